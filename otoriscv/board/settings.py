"""What ``monitor`` can show and change of a machine: log, quantum, clock, step-irq, physical."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from otoriscv.board.log import Log
from otoriscv.board.log_options import KINDS
from otoriscv.core.bus import Bus
from otoriscv.core.layout import MACHINE

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["Settings"]

_MAX_QUANTUM: Final = 1 << 30


class Settings:
    """The settings of one machine."""

    def __init__(self, machine: VirtMachine) -> None:
        self._machine = machine
        self._bases: tuple[Bus, int, int] | None = None  # what a log has changed
        self.step_irq = True  #: whether a step may end in an interrupt's handler
        self.physical = False  #: whether a debugger's addresses are physical ones

    def change(self, name: str, words: Sequence[str]) -> str:
        """Show a setting, or set it to *words*; KeyError, or ValueError that says what is wrong."""
        actions: dict[str, Callable[[Sequence[str]], str]] = {
            "log": self._log,
            "quantum": self._quantum,
            "clock": self._clock,
            "step-irq": self._step_irq,
            "physical": self._physical,
        }
        return actions[name](words)

    def _log(self, words: Sequence[str]) -> str:
        machine, m = self._machine, self._machine.m
        if words:
            kinds = words[1].split(",") if len(words) == 2 else ["exec", "trap"]
            if words[0] not in ("on", "off") or len(words) > 2 or not set(kinds) <= set(KINDS):
                raise ValueError(f"log on [KIND,...] or log off; kinds: {', '.join(KINDS)}")
            if self._bases is not None:
                machine.tracer = None
                machine.bus, m[MACHINE["clint_base"]], m[MACHINE["uart_base"]] = self._bases
                self._bases = None
            if words[0] == "on":
                self._bases = machine.bus, m[MACHINE["clint_base"]], m[MACHINE["uart_base"]]
                Log(machine, kinds, sys.stderr)
        on = machine.tracer is not None or self._bases is not None
        return f"The log is {'on, to the stderr of otoriscv' if on else 'off'}."

    def _quantum(self, words: Sequence[str]) -> str:
        runner = self._machine.runner
        if words:
            steps = int(words[0], 0)
            if len(words) > 1 or not 1 <= steps <= _MAX_QUANTUM:
                raise ValueError(f"quantum takes a number of steps, 1 to {_MAX_QUANTUM}")
            runner.quantum = steps
            runner.quantum_end = min(runner.quantum_end, self._machine.steps + steps)
        return f"Each hart runs {runner.quantum} instructions before it is another's turn."

    def _clock(self, words: Sequence[str]) -> str:
        if words:
            raise ValueError("the clock is chosen when the machine starts: --clock virtual|host")
        clock = self._machine.clock
        kind = "virtual" if clock.virtual else "host"
        nanoseconds = clock.nanoseconds()
        return f"{kind} clock: mtime {clock.ticks()}, {nanoseconds} ns, step {self._machine.steps}"

    def _physical(self, words: Sequence[str]) -> str:
        if words:
            if list(words) not in (["on"], ["off"]):
                raise ValueError("physical on or off")
            self.physical = words[0] == "on"
        if self.physical:
            return "Memory is read and written at physical addresses."
        return "Memory is read and written through the hart's page tables."

    def _step_irq(self, words: Sequence[str]) -> str:
        if words:
            if list(words) not in (["on"], ["off"]):
                raise ValueError("step-irq on or off")
            self.step_irq = words[0] == "on"
        if self.step_irq:
            return "A step that takes an interrupt ends in its handler."
        return "Interrupts during steps are handled before the step."
