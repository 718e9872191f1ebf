"""SiFive test finisher: "sifive,test0" and "syscon" in the device tree (hw/misc/sifive_test.c).

A 32-bit write ends the machine: 0x5555 passes, 0x3333 | code << 16 fails with *code*,
0x7777 resets. Everything else is ignored and reads give 0.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.bus import Access
from otoriscv.devices.exits import GuestExit, GuestReset

__all__ = ["FINISHER_FAIL", "FINISHER_PASS", "FINISHER_RESET", "Finisher"]

FINISHER_FAIL: Final = 0x3333
FINISHER_PASS: Final = 0x5555
FINISHER_RESET: Final = 0x7777


class Finisher:
    """Ends or resets the machine: raises `GuestExit` or `GuestReset` out of the write."""

    name = "test"

    def read(self, offset: int, access: Access) -> int:
        """Always 0."""
        return 0

    def write(self, offset: int, value: int, access: Access) -> None:
        """End the machine when *value* asks for it."""
        if offset != 0 or access.size == 1:
            return
        status, code = value & 0xFFFF, value >> 16 & 0xFFFF
        if status == FINISHER_PASS:
            raise GuestExit(0, "test finisher")
        if status == FINISHER_FAIL:
            # Failing with no code is still a failure.
            raise GuestExit(code or 1, "test finisher")
        if status == FINISHER_RESET:
            raise GuestReset("test finisher")

    def reset(self) -> None:
        """It has no state."""
