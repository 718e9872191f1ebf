"""Guest time. A clock counts *instants* of its own and says what mtime is at each.

The clock's parameters live in the machine struct, where native code reads mtime and finds the next
deadline by itself (core/poll.py); these classes do the same sums for Python. An instant of the
virtual clock is a step (plus the steps skipped in wfi), one of the host's a nanosecond.
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Final, Protocol

from otoriscv.core.layout import MACHINE

__all__ = ["TIMEBASE_HZ", "Clock", "HostClock", "VirtualClock"]

TIMEBASE_HZ: Final = 10_000_000
_NS_PER_TICK: Final = 10**9 // TIMEBASE_HZ
_M64: Final = (1 << 64) - 1

_NUM: Final = MACHINE["time_num"]
_DEN: Final = MACHINE["time_den"]
_DELTA: Final = MACHINE["time_delta"]
_HOST: Final = MACHINE["clock_host"]
_SKIP: Final = MACHINE["skip"]
_RETIME: Final = MACHINE["retime"]


class Clock(Protocol):
    """What a machine asks of its clock."""

    @property
    def virtual(self) -> bool:
        """Whether time is made of steps, so that it may be skipped and runs repeat."""
        ...

    def start(self) -> None:
        """Set the machine's slots; mtime is 0 now."""
        ...

    def now(self) -> int:
        """The current instant."""
        ...

    def skip_to(self, instant: int) -> None:
        """Nothing happens before *instant*: go there, where time may be skipped."""
        ...

    def ticks(self) -> int:
        """mtime."""
        ...

    def set_ticks(self, ticks: int) -> None:
        """Set mtime; it goes on counting from there."""
        ...

    def nanoseconds(self) -> int:
        """Guest time since `start`."""
        ...

    def elapsed(self) -> int:
        """Instants since `start`."""
        ...

    def resume(self, elapsed: int, ticks: int) -> None:
        """Go on from where `elapsed` and `ticks` gave these."""
        ...

    def after(self, delay_ns: int) -> int:
        """The first instant at least *delay_ns* nanoseconds from now."""
        ...

    def instant_of(self, ticks: int) -> int:
        """The first instant at which mtime is at least *ticks*, if nobody sets it."""
        ...


class _Base(ABC):
    """The offset between the clock's own count and mtime."""

    def __init__(self, machine: memoryview) -> None:
        self._m = machine

    _zero = 0  # the instant of `start`

    @abstractmethod
    def now(self) -> int: ...

    @abstractmethod
    def _raw(self) -> int:
        """The clock's own count, in ticks of mtime."""

    def elapsed(self) -> int:
        return self.now() - self._zero

    def resume(self, elapsed: int, ticks: int) -> None:
        self._zero = self.now() - elapsed
        self.set_ticks(ticks)

    def ticks(self) -> int:
        return (self._raw() + self._m[_DELTA]) & _M64

    def set_ticks(self, ticks: int) -> None:
        self._m[_DELTA] = (ticks - self._raw()) & _M64
        self._m[_RETIME] = 1

    def _since(self, ticks: int) -> int:
        """*ticks* of mtime as the clock's own count."""
        delta: int = self._m[_DELTA]
        return ticks - (delta - (delta >> 63 << 64))


class VirtualClock(_Base):
    """Time is a function of the steps done: *mips* of them are a microsecond.

    *steps* gives the machine's step count.
    """

    virtual = True

    def __init__(self, machine: memoryview, steps: Callable[[], int], mips: int = 1000) -> None:
        super().__init__(machine)
        if not 1 <= mips <= 100_000:
            raise ValueError(f"{mips} MIPS: from 1 to 100000")
        self._steps = steps
        self._mips = mips

    def start(self) -> None:
        self._m[_NUM] = TIMEBASE_HZ // 10**6
        self._m[_DEN] = self._mips
        self._m[_HOST] = 0
        self._zero = self.now()
        self.set_ticks(0)

    def now(self) -> int:
        return self._steps() + int(self._m[_SKIP])

    def skip_to(self, instant: int) -> None:
        self._m[_SKIP] += max(0, instant - self.now())
        self._m[_RETIME] = 1

    def _raw(self) -> int:
        return self.now() * int(self._m[_NUM]) // int(self._m[_DEN])

    def nanoseconds(self) -> int:
        return (self.now() - self._zero) * 1000 // self._mips

    def after(self, delay_ns: int) -> int:
        return self.now() - (-delay_ns * self._mips // 1000)

    def instant_of(self, ticks: int) -> int:
        return int(-(-self._since(ticks) * self._m[_DEN] // self._m[_NUM]))


class HostClock(_Base):
    """Real time. *monotonic_ns* must be the clock that native code reads too."""

    virtual = False

    def __init__(
        self, machine: memoryview, monotonic_ns: Callable[[], int] = time.monotonic_ns
    ) -> None:
        super().__init__(machine)
        self._read = monotonic_ns

    def start(self) -> None:
        self._m[_NUM] = self._m[_DEN] = 1
        self._m[_HOST] = 1
        self._zero = self._read()
        self.set_ticks(0)

    def now(self) -> int:
        return self._read()

    def skip_to(self, instant: int) -> None:
        """Real time comes by itself."""

    def _raw(self) -> int:
        return self._read() // _NS_PER_TICK

    def nanoseconds(self) -> int:
        return self._read() - self._zero

    def after(self, delay_ns: int) -> int:
        return self._read() + delay_ns

    def instant_of(self, ticks: int) -> int:
        return self._since(ticks) * _NS_PER_TICK
