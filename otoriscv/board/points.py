"""Breakpoints and watchpoints of one machine, where engines find them (docs/abi.md)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from otoriscv.core.layout import (
    MACHINE,
    MAX_ACCESS,
    MAX_BREAKPOINTS,
    MAX_WATCHPOINTS,
    WATCH_WORDS,
)

__all__ = ["DEBUGGER", "HOOKS", "RANGE", "Breakpoints", "TooMany", "Watchpoints"]

#: Who wants a point: bits, so that a breakpoint can be several's.
DEBUGGER: Final = 1
HOOKS: Final = 2
RANGE: Final = 4  # a step over a range of addresses, for as long as it lasts

_NBREAK: Final = MACHINE["nbreakpoints"]
_BREAK: Final = MACHINE["breakpoints"]
_NWATCH: Final = MACHINE["nwatchpoints"]
_WATCH: Final = MACHINE["watchpoints"]


class TooMany(ValueError):
    """The table of breakpoints or watchpoints is full; the message says how many fit."""


class Breakpoints:
    """A set of virtual addresses, mirrored in the machine struct.

    *changed(address)* is called after each addition and removal, of an owner too. Each belongs to
    the debugger, the hooks, a range step, or several of them; engines do not tell them apart.
    Iteration gives the debugger's.
    """

    def __init__(self, m: memoryview, changed: Callable[[int], None]) -> None:
        self._m = m
        self._changed = changed
        self._index: dict[int, int] = {}  # address -> its place in the table
        self._owners: dict[int, int] = {}

    def __contains__(self, address: object) -> bool:
        return address in self._index

    def __iter__(self) -> Iterator[int]:
        return iter([address for address in self._index if self._owners[address] & DEBUGGER])

    def __len__(self) -> int:
        return len(self._index)

    def owners(self, address: int) -> int:
        """Whose the breakpoint at *address* is: `DEBUGGER`, `HOOKS`, `RANGE` or'd, or 0."""
        return self._owners.get(address, 0)

    def add(self, address: int, owner: int = DEBUGGER) -> None:
        """Add a breakpoint; twice the same is one. `TooMany` when the table is full."""
        if address in self._index:
            if not self._owners[address] & owner:
                self._owners[address] |= owner
                self._changed(address)
            return
        count = len(self._index)
        if count == MAX_BREAKPOINTS:
            raise TooMany(f"there can be {MAX_BREAKPOINTS} breakpoints, and all are in use")
        self._m[_BREAK + count] = address
        self._index[address] = count
        self._owners[address] = owner
        self._m[_NBREAK] = count + 1
        self._changed(address)

    def remove(self, address: int, owner: int = DEBUGGER) -> None:
        """Remove a breakpoint of *owner*; KeyError when there is none at all."""
        self._owners[address] &= ~owner
        if self._owners[address]:
            self._changed(address)
            return
        del self._owners[address]
        place = self._index.pop(address)
        last = len(self._index)
        if place != last:
            moved: int = self._m[_BREAK + last]
            self._m[_BREAK + place] = moved
            self._index[moved] = place
        self._m[_NBREAK] = last
        self._changed(address)

    def clear(self) -> None:
        """Remove the debugger's."""
        for address in self:
            self.remove(address)


class Watchpoints:
    """Watched ranges: (address, length, kinds), kinds 1 for reads, 2 for writes, 3 for both.

    Iteration, `remove`, `clear` and `hit` are about the debugger's; `set_hooked` about the others.
    *changed(reads, writes)* is called after each change with what is watched now.
    """

    def __init__(self, m: memoryview, changed: Callable[[bool, bool], None]) -> None:
        self._m = m
        self._changed = changed
        self._points: list[tuple[int, int, int]] = []
        self._hooked: list[tuple[int, int, int]] = []

    def __iter__(self) -> Iterator[tuple[int, int, int]]:
        return iter(list(self._points))

    def __len__(self) -> int:
        return len(self._points) + len(self._hooked)

    def add(self, address: int, length: int, kinds: int) -> None:
        """Watch a range; twice the same is one. `TooMany` when the table is full."""
        point = address, max(length, 1), kinds
        if point in self._points:
            return
        self._check(len(self) + 1)
        self._points.append(point)
        self._publish(len(self) - 1)

    def remove(self, address: int, length: int, kinds: int) -> None:
        """Remove a watchpoint; KeyError when there is none."""
        try:
            at = self._points.index((address, max(length, 1), kinds))
        except ValueError:
            raise KeyError(f"no watchpoint at {address:#x}") from None
        del self._points[at]
        self._publish(len(self._hooked) + at)

    def set_hooked(self, points: Sequence[tuple[int, int, int]]) -> None:
        """The hooks' ranges, instead of those before."""
        self._check(len(self._points) + len(points))
        self._hooked = list(points)
        self._publish()

    @staticmethod
    def _check(count: int) -> None:
        if count > MAX_WATCHPOINTS:
            raise TooMany(f"there can be {MAX_WATCHPOINTS} watchpoints, and all are in use")

    def clear(self) -> None:
        """Remove the debugger's."""
        if self._points:
            self._points.clear()
            self._publish()

    def hit(self, address: int, kind: int) -> tuple[int, int, int] | None:
        """The watchpoint that an access of *kind* (1 or 2) at *address* belongs to.

        *address* is where the access begins, or the first watched byte in it.
        """
        matching = [p for p in self._points if p[2] & kind]
        for reach in (0, MAX_ACCESS - 1):
            for point in matching:
                if point[0] - reach <= address < point[0] + point[1]:
                    return point
        return None

    def _publish(self, first: int = 0) -> None:
        """Bring the machine struct up to date from row *first* on."""
        points = [*self._hooked, *self._points]
        for i in range(first, len(points)):
            for k, word in enumerate(points[i]):
                self._m[_WATCH + i * WATCH_WORDS + k] = word
        self._m[_NWATCH] = len(points)
        kinds = 0
        for _, _, kind in points:
            kinds |= kind
        self._changed(bool(kinds & 1), bool(kinds & 2))
