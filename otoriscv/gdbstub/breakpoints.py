"""The breakpoints and watchpoints that the client wants, and how they reach the machine.

gdb removes and inserts everything at each stop. `Z` and `z` therefore only edit the wanted set;
`BreakpointTable.install` gives the machine the difference when it is about to run, so that nothing
is rebuilt for a breakpoint that merely went and came back.
"""

from __future__ import annotations

from typing import NamedTuple

from otoriscv.gdbstub.errors import UNSUPPORTED, CommandError
from otoriscv.gdbstub.target import StopEvent, Target, WatchKind, WatchTerm

__all__ = ["BreakpointTable", "Programs", "Watchpoint"]

_WIDEST_ACCESS = 16  # bytes that one instruction may touch, starting below a watchpoint
_STOPPED_BY = {
    WatchKind.WRITE: (WatchKind.WRITE, WatchKind.ACCESS),
    WatchKind.READ: (WatchKind.READ, WatchKind.ACCESS),
    WatchKind.ACCESS: (WatchKind.ACCESS, WatchKind.WRITE, WatchKind.READ),
}


class Watchpoint(NamedTuple):
    """One watched range."""

    kind: WatchKind
    address: int
    length: int


class Programs(NamedTuple):
    """What the machine does itself at a breakpoint, in agent bytecode."""

    conditions: tuple[bytes, ...] = ()
    commands: tuple[bytes, ...] = ()


class BreakpointTable:
    """What one client wants, and what of it the machine has."""

    def __init__(self, target: Target) -> None:
        self._target = target
        self.software: dict[int, Programs] = {}
        self.hardware: dict[int, Programs] = {}
        self.watchpoints: set[Watchpoint] = set()
        self._breakpoints_in: dict[int, Programs] = {}
        self._watchpoints_in: set[Watchpoint] = set()
        self.own: dict[Watchpoint, tuple[WatchTerm, ...]] = {}  # those of `monitor watch`

    def install(self) -> None:
        """Make the machine stop at what is wanted and nowhere else; `CommandError` if it cannot."""
        try:
            self._install()
        except ValueError as error:
            raise CommandError(UNSUPPORTED, str(error)) from None

    def _install(self) -> None:
        wanted = self.software | self.hardware
        for address in self.software.keys() & self.hardware.keys():
            wanted[address] = Programs()  # one of them may want every stop: the client decides
        for address in self._breakpoints_in.keys() - wanted.keys():
            self._target.remove_breakpoint(address)
            del self._breakpoints_in[address]
        for address, programs in wanted.items():
            if self._breakpoints_in.get(address) != programs:
                self._target.insert_breakpoint(address, *programs)
                self._breakpoints_in[address] = programs
        self._install_watchpoints()

    def install_watchpoints(self) -> None:
        """Likewise for watchpoints only: one step of one hart ignores breakpoints."""
        if self._watchpoints_in == self.watchpoints:
            return
        try:
            self._install_watchpoints()
        except ValueError as error:
            raise CommandError(UNSUPPORTED, str(error)) from None

    def _install_watchpoints(self) -> None:
        for watch in self._watchpoints_in - self.watchpoints:
            self._watchpoints_in.discard(watch)
            if watch in self.own:
                self._target.insert_watchpoint(*watch, self.own[watch])
            else:
                self._target.remove_watchpoint(*watch)
        for watch in self.watchpoints - self._watchpoints_in:
            self._target.insert_watchpoint(*watch)
            self._watchpoints_in.add(watch)

    def add_own(self, watch: Watchpoint, terms: tuple[WatchTerm, ...]) -> None:
        """Insert one that the client does not know of, at once."""
        if watch not in self._watchpoints_in:
            self._target.insert_watchpoint(*watch, terms)
        self.own[watch] = terms

    def remove_own(self, watch: Watchpoint) -> None:
        """The inverse."""
        del self.own[watch]
        if watch not in self._watchpoints_in:
            self._target.remove_watchpoint(*watch)

    def clear(self) -> None:
        """The client left: forget everything."""
        self.own.clear()
        self.software.clear()
        self.hardware.clear()
        self.watchpoints.clear()
        self._breakpoints_in.clear()
        self._watchpoints_in.clear()
        self._target.clear_breakpoints()

    def watch_hit(self, event: StopEvent) -> Watchpoint | None:
        """The watchpoint behind a stop.

        An access may start below the range it touches, and gdb only believes an address inside
        the range: the caller reports ``max(event.address, watchpoint.address)``.
        """
        kinds = _STOPPED_BY[event.watch] if event.watch is not None else tuple(WatchKind)
        for reach in (1, _WIDEST_ACCESS):  # the one that holds the address before one behind it
            for kind in kinds:
                near = [
                    watch
                    for watch in (*self.watchpoints, *self.own)
                    if watch.kind is kind
                    and watch.address - reach < event.address < watch.address + watch.length
                ]
                if near:
                    return min(near, key=lambda watch: watch.address)
        return None
