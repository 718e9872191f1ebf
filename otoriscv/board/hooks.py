"""Callbacks of a machine's owner: at instructions, before memory accesses, behind traps.

They are breakpoints and watchpoints that the run loop answers itself, so they cost nothing where
they are not. A hook sees the machine halted and may change it; what it raises comes out of the
run, which goes on afterwards with the instruction that was hooked.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from otoriscv.board.points import HOOKS
from otoriscv.core.layout import HART, MACHINE

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine
    from otoriscv.core.hart import Hart

__all__ = ["INTERRUPT", "AccessCallback", "ExecCallback", "Hooks", "TrapCallback", "WatchedAccess"]

#: In a hook's cause, whatever XLEN is: an interrupt.
INTERRUPT: Final = 1 << 63
_TRAP_EXITS: Final = MACHINE["trap_exits"]


class WatchedAccess(NamedTuple):
    """A memory access about to be done. *value* is what a store or an AMO writes."""

    address: int
    size: int
    kind: int  # 1 read, 2 write
    value: int | None


ExecCallback = Callable[["Hart"], None]
AccessCallback = Callable[["Hart", WatchedAccess], None]
#: Gets the hart at its handler, and the cause.
TrapCallback = Callable[["Hart", int], None]


class Hooks:
    """The hooks of one machine. Each ``add_`` returns the function that removes it again."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._exec: dict[int, list[ExecCallback]] = {}
        self._called: dict[int, list[ExecCallback]] = {}  # by hart, for its next instruction
        self._access: list[tuple[int, int, int, AccessCallback]] = []
        self._trap: list[tuple[int | None, TrapCallback]] = []

    @property
    def any(self) -> bool:
        """Whether there are some: whoever runs the machine may have to wait for a callback."""
        return bool(self._exec or self._access or self._trap)

    def add_exec(self, start: int, end: int, callback: ExecCallback) -> Callable[[], None]:
        """Call *callback* before each instruction that begins in ``[start, end)``."""
        machine = self._machine
        addresses = range(start & ~1, max(end, start + 1), 2)
        with machine.lock:
            for address in addresses:
                machine.breakpoints.add(address, HOOKS)
                self._exec.setdefault(address, []).append(callback)

        def remove() -> None:
            with machine.lock:
                for address in addresses:
                    self._exec[address].remove(callback)
                    if not self._exec[address]:
                        del self._exec[address]
                        machine.breakpoints.remove(address, HOOKS)

        return remove

    def add_access(
        self, start: int, end: int, kinds: int, callback: AccessCallback
    ) -> Callable[[], None]:
        """Call *callback* before accesses of *kinds* (1 reads, 2 writes, 3) in ``[start, end)``."""
        row = (start, max(end, start + 1), kinds, callback)
        with self._machine.lock:
            self._access.append(row)
            self._watch()

        def remove() -> None:
            with self._machine.lock:
                self._access.remove(row)
                self._watch()

        return remove

    def _watch(self) -> None:
        ranges = {(start, end - start, kinds) for start, end, kinds, _ in self._access}
        self._machine.watchpoints.set_hooked(sorted(ranges))

    def add_trap(self, cause: int | None, callback: TrapCallback) -> Callable[[], None]:
        """Call *callback* behind each trap, or those of *cause*, at the handler."""
        row = (cause, callback)
        m = self._machine.m
        with self._machine.lock:
            self._trap.append(row)
            m[_TRAP_EXITS] = 1

        def remove() -> None:
            with self._machine.lock:
                self._trap.remove(row)
                m[_TRAP_EXITS] = bool(self._trap)

        return remove

    def clear(self) -> None:
        """Remove them all."""
        machine = self._machine
        with machine.lock:
            for address in self._exec:
                machine.breakpoints.remove(address, HOOKS)
            self._exec.clear()
            self._access.clear()
            self._watch()
            self._trap.clear()
            machine.m[_TRAP_EXITS] = 0

    # -- called by the run loop

    def executing(self, hart: Hart, again: bool) -> None:
        """*hart* is about to execute a hooked instruction; *again*: and was, when last asked."""
        called = self._called.setdefault(hart.index, [])
        if not again:
            called.clear()
        for callback in list(self._exec.get(hart.pc, ())):
            if callback not in called:
                called.append(callback)
                callback(hart)

    def called(self, hart: Hart) -> bool:
        """Whether a hook at the instruction that *hart* executes next was called for it."""
        called = self._called.get(hart.index, ())
        return any(callback in called for callback in self._exec.get(hart.pc, ()))

    def accessing(self, hart: Hart) -> bool:
        """*hart* is about to do a watched access; whether it matters to hooks only."""
        q = hart.q
        begin, size, kind = (q[HART[name]] for name in ("exit_access", "exit_size", "exit_kind"))
        end = begin + size
        mine = [row for row in self._access if row[2] & kind and row[0] < end and begin < row[1]]
        value = self._machine.stored_value(hart) if mine and kind & 2 else None
        for row in mine:
            row[3](hart, WatchedAccess(begin, size, kind, value))
        others = self._machine.watchpoints
        theirs = any(p[2] & kind and p[0] < end and begin < p[0] + p[1] for p in others)
        return bool(mine) and not theirs

    def trapped(self, hart: Hart) -> None:
        """*hart* has taken a trap."""
        flagged = hart.q[HART["mcause" if hart.priv == 3 else "scause"]]
        cause = flagged & 63 | flagged >> (hart.xlen - 1) << 63
        for wanted, callback in list(self._trap):
            if wanted in (None, cause):
                callback(hart, cause)
