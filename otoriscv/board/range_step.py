"""Stepping one hart until it leaves a range of addresses (vCont;r), by the engine.

Most ranges are a source line and are left within a few steps. A loop is not: then its ways out
become breakpoints, and the engine runs at its own speed. These are the addresses that its jumps
reach outside, and the indirect jumps inside, each of which is stepped. Traps stop by a flag. (Code
that rewrites the range while it is being stepped over may be left unnoticed.)

The addresses are virtual, as breakpoints are. Under translation the instructions that may change
the mapping are stepped, too, and an exit that is reached in another address space or mode, while an
interrupt is being handled, is none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

from otoriscv.board.points import DEBUGGER, RANGE
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.translation import TranslatedMemory
from otoriscv.core.decode import Decoder
from otoriscv.core.isa_table import Row
from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.policy import TlbPolicy
from otoriscv.core.sem import Sem

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine

__all__ = ["RangeStep"]

_FEW: Final = 16
_MOST: Final = 1 << 16  # bytes of a range whose exits are looked for
_M_MODE: Final = 3
_TRAP_EXITS: Final = MACHINE["trap_exits"]
_kinds: dict[tuple[str, frozenset[str], int], str] = {}


class RangeStep:
    """One range step of *hart*; the harts in *only* (None: all) run meanwhile.

    *step* does one step of a hart. With *interrupts* a step may end in an interrupt's handler.
    """

    def __init__(
        self,
        machine: Machine,
        hart: int,
        span: range,
        *,
        only: Collection[int] | None,
        step: Callable[[int], Stop],
        interrupts: bool,
    ) -> None:
        self._machine = machine
        self._hart = hart
        self._span = span
        self._only = only
        self._step = step
        self._interrupts = interrupts

    def run(self) -> Stop:
        """Step once at least; the stop is STEPS when the range was left."""
        machine = self._machine
        for _ in range(_FEW):
            stop = self._checked_step()
            if stop is not None:
                return stop
        hart = machine.harts[self._hart]
        while True:
            exits = self._exits()
            if exits is None or hart.pc in exits:
                stop = self._checked_step()
                if stop is not None:
                    return stop
                continue
            place = self._place()
            with self._stopping_at(exits):
                stop = machine.run(only=self._only)
                while self._passes(stop, exits, place) and not self._debuggers(stop.pc):
                    stop = machine.run(only=self._only)
                passed = self._passes(stop, exits, place)
            if stop.reason is not StopReason.STEPS:
                return stop
            if passed or (stop.pc in self._span and self._debuggers(stop.pc)):
                return Stop(StopReason.BREAKPOINT, stop.hart, stop.pc)
            if stop.pc not in self._span:
                return stop
            after = self._checked_step()
            if after is not None:
                return after

    def _checked_step(self) -> Stop | None:
        """One step; None when the next may follow."""
        machine, hart = self._machine, self._hart
        if machine.runner.visits.wanted:
            machine.runner.visits.receive()
        stop = self._step(hart)
        if stop.reason is not StopReason.STEPS or stop.pc not in self._span:
            return stop
        if self._debuggers(stop.pc):
            return Stop(StopReason.BREAKPOINT, hart, stop.pc)
        if machine.m[MACHINE["stop"]] and machine.take_request():
            machine.m[MACHINE["stop"]] = 0
            return Stop(StopReason.REQUEST, hart, stop.pc)
        return None

    def _debuggers(self, pc: int) -> bool:
        """Whether the debugger wants the hart to stop where it is."""
        machine = self._machine
        mine = machine.breakpoints.owners(pc) & DEBUGGER
        return bool(mine) and machine.stops_at_breakpoint(machine.harts[self._hart])

    def _passes(self, stop: Stop, exits: Collection[int], place: tuple[int, int]) -> bool:
        """Whether an interrupt that is none of the debugger's begins or is being handled.

        *place* is where the range is. Without *interrupts* only such a handler gets elsewhere.
        """
        if self._interrupts or stop.reason is not StopReason.STEPS:
            return False
        if stop.pc in exits:
            return self._place() != place
        hart = self._machine.harts[self._hart]
        machine_mode = hart.priv == _M_MODE
        status = hart.read_csr("mstatus")
        before = (status & MSTATUS.MPP) >> 11 if machine_mode else (status & MSTATUS.SPP) >> 8
        if self._place(before) != place:
            return True  # the handler's own trap
        epc = hart.q[HART["mepc" if machine_mode else "sepc"]]
        if epc not in self._span and epc not in exits:
            return True
        cause = hart.q[HART["mcause" if machine_mode else "scause"]]
        return bool(cause >> (hart.xlen - 1) & 1)

    def _place(self, mode: int | None = None) -> tuple[int, int]:
        """What else than its pc says where a hart is: its mode (or *mode*) and address space."""
        hart = self._machine.harts[self._hart]
        if mode is None:
            mode = hart.priv
        return mode, 0 if mode == _M_MODE else hart.q[HART["satp"]]

    @contextmanager
    def _stopping_at(self, exits: Collection[int]) -> Iterator[None]:
        machine = self._machine
        m, points = machine.m, machine.breakpoints
        traps = m[_TRAP_EXITS]
        with machine.lock:
            for address in exits:
                points.add(address, RANGE)
            m[_TRAP_EXITS] = 1
            machine.runner.ranging = self._hart
        try:
            yield
        finally:
            with machine.lock:
                machine.runner.ranging = None
                m[_TRAP_EXITS] = traps
                for address in exits:
                    points.remove(address, RANGE)

    def _exits(self) -> set[int] | None:
        """Where to stop; None when that is not known."""
        machine, span = self._machine, self._span
        if span.stop - span.start > _MOST:
            return None
        hart = machine.harts[self._hart]
        translated = bool(self._place()[1])
        decoder = Decoder(machine.isa)
        memory = TranslatedMemory(hart, machine.memory, fetch=True)
        mask = (1 << machine.xlen) - 1
        exits: set[int] = set()
        seen: set[int] = set()
        todo = [hart.pc]
        while todo:
            pc = todo.pop()
            if pc in seen or pc in exits:
                continue
            if pc not in span:
                exits.add(pc)
                continue
            seen.add(pc)
            have = memory.available(pc, 4)
            if have < 2:
                continue  # it traps
            insn = decoder.decode(int.from_bytes(memory.read(pc, have), "little"), pc)
            kind = _kind(insn.row, insn.variant, machine.xlen)
            if kind == "indirect" or (kind == "poll" and translated):
                exits.add(pc)
                continue
            if kind in ("branch", "jump"):
                todo.append((pc + insn.operands["imm"]) & mask)
            if kind in ("branch", "next", "poll"):
                todo.append((pc + insn.length) & mask)
        return exits


def _kind(row: Row, variant: frozenset[str], xlen: int) -> str:
    """How an instruction goes on: next, branch, jump, indirect, trap; poll: next, but it polls."""
    key = row.name, variant, xlen
    kind = _kinds.get(key)
    if kind is None:
        kind = _kinds[key] = _find_kind(row, variant, xlen)
    return kind


def _find_kind(row: Row, variant: frozenset[str], xlen: int) -> str:
    if row.semantics is None:
        return "trap"
    sem = Sem(xlen, TlbPolicy())
    sem.begin(row, 4, variant, None, None, None)
    row.semantics(sem)
    last = sem.body[-1] if sem.body else None
    if last is None:
        return "next"
    if last.op == "poll":  # xret names where it goes; others go on behind themselves
        return "indirect" if last.args else "poll"
    kinds = {"branch": "branch", "jump_rel": "jump", "jump": "indirect", "trap": "trap"}
    return kinds.get(last.op, "next")
