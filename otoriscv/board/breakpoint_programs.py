"""What a machine does itself at a debugger's breakpoints: conditions and commands.

A condition is compiled once, from agent bytecode through micro-ops to a Python function. When it
was false a few times the engine is asked to evaluate it in compiled code.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from otoriscv.board.translation import TranslatedMemory
from otoriscv.core.agent import FALSE, translate
from otoriscv.core.agent_code import Code, decode
from otoriscv.core.agent_eval import Failed, run
from otoriscv.core.hart import Hart
from otoriscv.core.memory import MemoryHole

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine

__all__ = ["BreakpointPrograms"]

#: How often a breakpoint's conditions are false before the engine is asked to take them over.
PATIENCE: Final = 16

_PC: Final = 32
_CSRS: Final = 65
_PRIV: Final = 4161


class _Programs:
    """Of one breakpoint."""

    def __init__(self, conditions: list[Callable[[Any], int]], commands: list[Code]) -> None:
        self.conditions = conditions
        self.commands = commands
        self.hits = 0  # how often its conditions were true


class BreakpointPrograms:
    """The programs by address. *output* gets what commands print."""

    def __init__(self, machine: Machine, output: Callable[[bytes], None]) -> None:
        self._machine = machine
        self._output = output
        self._programs: dict[int, _Programs] = {}
        self._compiled: dict[bytes, Callable[[Any], int]] = {}
        self._false: Counter[int] = Counter()  # by address, since it was last asked

    def put(self, address: int, conditions: Sequence[bytes], commands: Sequence[bytes]) -> None:
        """Set those of a breakpoint; none: it just stops. `AgentError` when one is malformed."""
        made = [self._condition(bytecode) for bytecode in conditions]
        codes = [decode(bytecode, value=False) for bytecode in commands]
        self._machine.set_conditions(address, tuple(conditions))
        if conditions or commands:
            self._programs[address] = _Programs(made, codes)
        else:
            self._programs.pop(address, None)

    def remove(self, address: int) -> None:
        """Forget those of a breakpoint."""
        self._programs.pop(address, None)
        self._machine.set_conditions(address, ())

    def clear(self) -> None:
        """Forget all."""
        for address in list(self._programs):
            self.remove(address)

    def stops(self, hart: Hart) -> bool:
        """Whether *hart*, at a breakpoint, stops there; runs the breakpoint's commands."""
        programs = self._programs.get(hart.pc)
        if programs is None:
            return True
        if programs.conditions and all(c(hart.q) == FALSE for c in programs.conditions):
            self._false[hart.pc] += 1
            if self._false[hart.pc] >= PATIENCE:
                self._false[hart.pc] = 0
                self._machine.engine.adopt_conditions(hart)
            return False
        programs.hits += 1
        for code in programs.commands:
            self._command(hart, code)
        return not programs.commands

    def _condition(self, bytecode: bytes) -> Callable[[Any], int]:
        made = self._compiled.get(bytecode)
        if made is None:
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
