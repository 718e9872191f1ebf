"""The run contract: what the machine asks of an engine (docs/abi.md, "Entry and exit")."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, ClassVar, Protocol

if TYPE_CHECKING:
    from otoriscv.core.agent_programs import AgentPrograms
    from otoriscv.core.bus import Bus
    from otoriscv.core.hart import Hart
    from otoriscv.core.isa_string import Isa
    from otoriscv.core.memory import Arena, Memory

__all__ = ["Engine", "EngineUnavailable", "Platform"]


class Platform(Protocol):
    """What an engine sees of the machine it runs."""

    @property
    def isa(self) -> Isa: ...

    @property
    def arena(self) -> Arena: ...

    @property
    def m(self) -> memoryview:
        """The machine struct as u64 slots."""
        ...

    @property
    def memory(self) -> Memory: ...

    @property
    def bus(self) -> Bus: ...

    @property
    def breakpoints(self) -> Container[int]:
        """Virtual addresses of the breakpoints in force."""
        ...

    def programs_at(self, address: int) -> AgentPrograms:
        """What the breakpoint there evaluates; empty: it stops."""
        ...

    @property
    def main_engine(self) -> Engine:
        """The engine that runs the machine (another may execute single instructions for it)."""
        ...


class EngineUnavailable(Exception):
    """This engine cannot run here; the message says why and what would help."""


class Engine(Protocol):
    """Runs harts of one machine. Not thread-safe: the machine's thread calls it."""

    name: ClassVar[str]
    even: bool
    """Whether slices must end at the same steps on every host: what it compiles depends on them."""

    def run(self, hart: Hart) -> int:
        """Run *hart* until an exit; returns one of `layout.Exit`. The state is committed.

        The machine has set ``slice_end``; the engine refills ``budget`` itself through ``poll``.
        """
        ...

    def step(self, hart: Hart) -> int:
        """Execute exactly one instruction or take one trap or interrupt, ignoring breakpoints.
        Every budget is zero before.

        Returns ``Exit.SLICE`` normally, else ``WFI``, ``WATCH``, ``EBREAK`` or ``CRASH``.
        """
        ...

    def memory_changed(self, offset: int, length: int) -> None:
        """Arena bytes ``[offset, offset + length)`` were written by Python: drop what overlaps."""
        ...

    def breakpoints_changed(self, address: int) -> None:
        """A breakpoint or its programs at virtual *address* were added, changed or removed."""
        ...

    def adopt_programs(self, hart: Hart) -> None:
        """*hart* is at a breakpoint that often goes on: evaluate its programs in compiled code
        from now on, if that is possible. Exits there still mean that it must be looked at.
        """
        ...

    def watchpoints_changed(self) -> None:
        """The watchpoint table changed."""
        ...

    def report(self) -> Mapping[str, object]:
        """What statistics show of the engine: numbers and mappings of numbers, by name."""
        ...

    def compiled_at(self, pc: int, physical: int, *, translated: bool) -> int:
        """How many compiled regions contain the instruction at *pc*, which lies at *physical*, and
        can run when addresses are *translated* or not. An engine that compiles all that it runs
        says 0 or 1.
        """
        ...

    def close(self) -> None:
        """Free native resources."""
        ...
