"""Which of the watched ranges that one access touches is reported."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from otoriscv.core.layout import HART
from otoriscv.core.memory import MemoryHole

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.core.memory import Memory

__all__ = ["reported_address"]

_WRITES: Final = 2


def reported_address(
    hart: Hart, memory: Memory, watchpoints: Iterable[tuple[int, int, int]]
) -> int:
    """The first watched byte of the access before which *hart* stopped.

    A stop has one address, and gdb looks for a change only in watchpoints that contain it; so of
    several ranges under one store it is in one whose bytes the store changes, if there is such.
    """
    q = hart.q
    found: int = q[HART["exit_addr"]]
    if not q[HART["exit_stores"]]:
        return found
    begin, size = q[HART["exit_access"]], q[HART["exit_size"]]
    try:
        old = memory.read(begin, size)
    except MemoryHole:
        return found
    new = (q[HART["exit_value"]] & (1 << 8 * size) - 1).to_bytes(size, "little")
    for start, length, kinds in watchpoints:
        low, high = max(start, begin) - begin, min(start + length, begin + size) - begin
        if kinds & _WRITES and low < high and old[low:high] != new[low:high]:
            return begin + low
    return found
