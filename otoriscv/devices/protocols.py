"""The small protocols devices are written against; the board supplies the objects."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from otoriscv.core.bus import BusFault
from otoriscv.core.memory import MemoryHole

__all__ = ["MEMORY_FAULTS", "Clock", "Nanoseconds", "Schedule", "SetHartIrq", "SetLine"]


class Clock(Protocol):
    """The machine timer, ``mtime`` (10 MHz on virt)."""

    def read(self) -> int:
        """The current value of mtime."""
        ...

    def write(self, ticks: int) -> None:
        """Set mtime; it goes on counting from there."""
        ...


#: One device interrupt line: called with its new level.
SetLine: TypeAlias = Callable[[bool], None]

#: ``set_irq(hart, bit, level)``: drive bit *bit* of a hart's mip.
SetHartIrq: TypeAlias = Callable[[int, int, bool], None]

#: Reads a clock that counts nanoseconds.
Nanoseconds: TypeAlias = Callable[[], int]

#: ``schedule(delay_ns, callback)``: call back once, in guest time.
Schedule: TypeAlias = Callable[[int, Callable[[], None]], None]

#: What reading or writing guest memory may raise; the guest then sees EFAULT.
MEMORY_FAULTS: Final = (BusFault, MemoryHole)
