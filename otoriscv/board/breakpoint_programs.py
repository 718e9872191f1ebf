"""What a machine does itself at a debugger's breakpoints: conditions and commands.

A condition is compiled once, from agent bytecode through micro-ops to a Python function. When a
breakpoint went on a few times the engine is asked to evaluate its programs in compiled code. What
commands print there is in the machine's print ring until `BreakpointPrograms.drain`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from otoriscv.board.translation import TranslatedMemory
from otoriscv.core.agent import FALSE, translate
from otoriscv.core.agent_code import Code, decode
from otoriscv.core.agent_eval import Failed, format_text, run
from otoriscv.core.agent_programs import AgentPrograms
from otoriscv.core.hart import Hart
from otoriscv.core.layout import MACHINE
from otoriscv.core.memory import MemoryHole

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine

__all__ = ["BreakpointPrograms"]

#: How often a breakpoint does not stop before the engine is asked to take it over.
PATIENCE: Final = 16
#: Conditions kept as Python functions: a debugger sends the same ones at every stop.
KEPT: Final = 4096

_PC: Final = 32
_CSRS: Final = 65
_PRIV: Final = 4161
_HEAD: Final = MACHINE["print_head"]
_RING: Final = MACHINE["print_ring"]
_OFFSET: Final = (1 << 32) - 1


class _Programs:
    """Of one breakpoint."""

    def __init__(self, conditions: list[Callable[[Any], int]], commands: list[Code]) -> None:
        self.conditions = conditions
        self.commands = commands


class BreakpointPrograms:
    """The programs by address. *output* gets what commands print."""

    def __init__(self, machine: Machine, output: Callable[[bytes], None]) -> None:
        self._machine = machine
        self._output = output
        self._programs: dict[int, _Programs] = {}
        self._compiled: dict[bytes, Callable[[Any], int]] = {}
        self._passed: Counter[int] = Counter()  # by address, since it was last asked
        self._m = machine.m
        machine.on_flush.append(self.drain)

    def put(self, address: int, conditions: Sequence[bytes], commands: Sequence[bytes]) -> None:
        """Set those of a breakpoint; none: it just stops. `AgentError` when one is malformed."""
        made = [self._condition(bytecode) for bytecode in conditions]
        codes = [decode(bytecode, value=False) for bytecode in commands]
        self.drain()
        self._machine.set_programs(address, AgentPrograms(tuple(conditions), tuple(commands)))
        if conditions or commands:
            self._programs[address] = _Programs(made, codes)
        else:
            self._programs.pop(address, None)

    def remove(self, address: int) -> None:
        """Forget those of a breakpoint."""
        self.drain()
        self._programs.pop(address, None)
        self._machine.set_programs(address, AgentPrograms())

    def clear(self) -> None:
        """Forget all."""
        for address in list(self._programs):
            self.remove(address)

    def stops(self, hart: Hart) -> bool:
        """Whether *hart*, at a breakpoint, stops there; runs the breakpoint's commands."""
        programs = self._programs.get(hart.pc)
        if programs is None:
            return True
        self.drain()
        if not programs.conditions or any(c(hart.q) != FALSE for c in programs.conditions):
            for code in programs.commands:
                self._command(hart, code)
            if not programs.commands:
                return True
        self._passed[hart.pc] += 1
        if self._passed[hart.pc] >= PATIENCE:
            self._passed[hart.pc] = 0
            self._machine.engine.adopt_programs(hart)
        return False

    def drain(self) -> None:
        """Hand over what commands printed in compiled code."""
        m = self._m
        head = m[_HEAD]
        if not head:
            return
        words = m[_RING : _RING + head].tolist()
        m[_HEAD] = 0
        xlen, at, parts = self._machine.xlen, 0, []
        while at < head:
            address, which = words[at : at + 2]
            insn = self._programs[address].commands[which >> 32].insns[which & _OFFSET]
            at += 2 + insn.operand
            values = words[at - insn.operand : at]
            parts.append(format_text(insn.text[:-1], values, xlen, _no_memory))
        self._output(b"".join(parts))

    def _condition(self, bytecode: bytes) -> Callable[[Any], int]:
        made = self._compiled.get(bytecode)
        if made is None:
            if len(self._compiled) >= KEPT:
                self._compiled.clear()
            machine = self._machine
            made = machine.stepper.program(translate(bytecode, machine.xlen))
            self._compiled[bytecode] = made
        return made

    def _command(self, hart: Hart, code: Code) -> None:
        def register(number: int) -> int:
            return read_register(hart, number)

        memory = TranslatedMemory(hart, self._machine.memory)

        def read(address: int, length: int) -> bytes:
            try:
                return memory.read(address, length)
            except MemoryHole as hole:
                raise Failed(str(hole)) from None

        try:
            run(code, self._machine.xlen, register, read, self._output)
        except Failed as error:
            self._output(f"[at {hart.pc:#x}: {error}]\n".encode())


def _no_memory(address: int, length: int) -> bytes:
    raise Failed(f"memory at {address:#x} was not kept")


def read_register(hart: Hart, number: int) -> int:
    """A register by gdb's number; `Failed` when there is none."""
    try:
        if number < _PC:
            return hart.x[number]
        if number == _PC:
            return hart.pc
        if number == _PRIV:
            return hart.priv
        if number >= _CSRS:
            return hart.read_csr(number - _CSRS)
    except KeyError as error:
        raise Failed(str(error)) from None
    raise Failed(f"there is no register {number}")
