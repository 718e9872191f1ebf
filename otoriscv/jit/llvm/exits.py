"""Where regions jump out to, for code that samples do not see.

The budget ends where a region is not entered for what is left of it, nearly always at the one with
the longest way. A few instructions that are interpreted between two regions may be executed all the
time and never be where a sample lands.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import EXITS, MACHINE

__all__ = ["SAMPLE_EXIT", "RegionExits"]

#: What the engine takes an exit for, beside the kinds of samples in core/layout.py.
SAMPLE_EXIT: Final = 3
#: Of this many steps one may be interpreted, and nothing is looked for.
FEW: Final = 256

_FIRST: Final = MACHINE["region_exits"]
_NONE: Final = memoryview(bytes(8 * EXITS)).cast("Q")


class RegionExits:
    """The last jumps out of the regions of one machine."""

    def __init__(self, m: memoryview[int]) -> None:
        self._m = m
        self._steps = self._inside = 0

    def take(self, steps: int) -> list[tuple[int, bool]]:
        """Where regions jumped out to lately, pcs with whether the code is translated, each as
        often as it was seen; nothing when nearly all *steps* since the last time were retired in
        regions."""
        inside = self._m[MACHINE["region_steps"]]
        passed, retired = steps - self._steps, inside - self._inside
        self._steps, self._inside = steps, inside
        recent = self._m[_FIRST : _FIRST + EXITS]
        found = [(note & ~1, bool(note & 1)) for note in recent if note]
        recent[:] = _NONE
        return found if (passed - retired) * FEW > passed > 0 else []
