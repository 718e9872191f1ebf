"""What a debugger needs of a machine. The board implements it; the stub knows nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from enum import Enum
from typing import NamedTuple, Protocol

__all__ = [
    "Action",
    "Actions",
    "MemoryFault",
    "MemoryRegion",
    "RegisterInfo",
    "StepRange",
    "StopEvent",
    "StopKind",
    "Target",
    "WatchKind",
    "WatchTerm",
]


class MemoryFault(Exception):
    """The debugger touched memory that is not there; ``address`` is the first bad byte."""

    def __init__(self, address: int, message: str) -> None:
        super().__init__(message)
        self.address = address


class WatchKind(Enum):
    """Which accesses a watchpoint stops."""

    WRITE = 2
    READ = 3
    ACCESS = 4


class WatchTerm(NamedTuple):
    """One comparison of a watchpoint's condition; all of them must hold."""

    what: str  # "value": what will be there; "old": what is there before the access
    operator: str  # == != < <= > >= (unsigned), & (have a bit in common)
    number: int


class StopKind(Enum):
    """Why the machine stopped."""

    STEP = "step"  # the asked-for steps were done
    BREAKPOINT = "breakpoint"  # at a breakpoint of the debugger
    EBREAK = "ebreak"  # the guest's own ebreak
    WATCH = "watch"  # before a watched access
    INTERRUPT = "interrupt"  # `Target.stop` was called
    EXIT = "exit"  # the guest ended with ``code``
    CRASH = "crash"  # the guest cannot go on; ``message`` says why


class Action(Enum):
    """What one hart does on resume; harts not named stay halted."""

    CONTINUE = "c"
    STEP = "s"


class StepRange(NamedTuple):
    """What one hart does on resume: step until pc is outside ``[start, end)``, once at least."""

    start: int
    end: int


Actions = Mapping[int, Action | StepRange]
"""What each hart does, by index."""


class MemoryRegion(NamedTuple):
    """Addresses a debugger may look at: ``ram`` or ``rom``, or ``device`` that it must not."""

    base: int
    size: int
    kind: str
    name: str = ""


class StopEvent(NamedTuple):
    """A stop, with the hart that caused it."""

    kind: StopKind
    hart: int = 0
    address: int = 0  # WATCH: the data address accessed
    watch: WatchKind | None = None  # WATCH: the kind of the watchpoint that was hit
    code: int = 0  # EXIT: exit status
    message: str = ""


class RegisterInfo(NamedTuple):
    """A register as gdb sees it. ``group`` is the target.xml feature: cpu, fpu, csr or virtual."""

    name: str
    number: int  # gdb's register number: x0-x31 0-31, pc 32, f0-f31 33-64, CSR n 65+n, priv 4161
    bits: int
    group: str


class Target(Protocol):
    """A debuggable machine. All methods are called from one server thread.

    Between `resume` and its stop only `visit`, `stop`, `wait` and `running` may be called; every
    other method requires a halted machine, or one that is visited. Registers and memory raise
    KeyError and `MemoryFault`.
    """

    @property
    def xlen(self) -> int:
        """32 or 64."""
        ...

    @property
    def isa(self) -> str:
        """The ISA string, for example rv32imac_zicsr."""
        ...

    @property
    def harts(self) -> int:
        """How many harts there are."""
        ...

    @property
    def executable(self) -> str | None:
        """The path of the ELF file in the machine, when it has one: symbols for the client."""
        ...

    @property
    def running(self) -> bool:
        """True between a resume and its stop."""
        ...

    @property
    def last_stop(self) -> StopEvent:
        """Why the machine is halted now."""
        ...

    def registers(self) -> Sequence[RegisterInfo]:
        """Every register that exists, in gdb's number order; CSRs that exist and no others."""
        ...

    def general_registers(self, hart: int) -> bytes:
        """x0 to x31 and pc, little-endian and XLEN bits each: what every stop asks for."""
        ...

    def read_register(self, hart: int, number: int) -> int: ...

    def write_register(self, hart: int, number: int, value: int) -> None:
        """ValueError when it cannot have that value (a privilege that does not exist)."""
        ...

    def waiting(self, hart: int) -> bool:
        """Whether the hart waits for an interrupt (wfi)."""
        ...

    def read_memory(self, hart: int, address: int, length: int) -> bytes:
        """Up to *length* bytes: fewer when memory ends; `MemoryFault` when not even one.

        Devices are never read (a debugger's look must not have side effects).
        """
        ...

    def write_memory(self, hart: int, address: int, data: bytes) -> None:
        """Write all of *data* (ROM too), through the door that invalidates translations."""
        ...

    def memory_map(self) -> Sequence[MemoryRegion]:
        """What is where, by address."""
        ...

    def insert_breakpoint(
        self, address: int, conditions: Sequence[bytes] = (), commands: Sequence[bytes] = ()
    ) -> None:
        """Add a breakpoint, or replace the one there. Guest memory is never patched.

        With *conditions* (agent bytecode) it stops only when one of them is not zero; one that
        cannot be evaluated stops too. *commands* are run where it would stop, and then it does not:
        what they print goes to `on_output`'s callback. ValueError for malformed bytecode, or when
        there can be no more breakpoints.
        """
        ...

    def remove_breakpoint(self, address: int) -> None: ...

    def insert_watchpoint(
        self, kind: WatchKind, address: int, length: int, terms: Sequence[WatchTerm] = ()
    ) -> None:
        """Stop before an access that overlaps ``[address, address + length)``.

        With *terms* only when they all hold for (the first 8 bytes of) that range. ValueError when
        there can be no more watchpoints.
        """
        ...

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None: ...

    def clear_breakpoints(self) -> None:
        """Remove every breakpoint and watchpoint (the client left)."""
        ...

    def resume(self, actions: Actions) -> StopEvent | None:
        """Start running. When that stops within a moment, the stop; else None, and the machine runs
        in the background until `wait` gives its stop.

        A breakpoint where the hart's last stop was reported does not stop it at once, and neither
        does the watched access that it stopped before. (One that the debugger moved pc to does:
        nobody has seen it yet.)

        With STEP the machine stops (StopKind.STEP) after that hart retired one instruction or
        took one trap.
        """
        ...

    def visit(self) -> AbstractContextManager[None]:
        """Hold a running machine at an instruction's boundary; afterwards it goes on.

        Meanwhile everything but `resume`, `reset` and `restore` may be called, as if it were
        halted. Nothing happens to one that is halted. TimeoutError when it does not get there.
        """
        ...

    def step(self, hart: int) -> StopEvent:
        """`resume` one hart by one step and wait for the stop: the fast path of single-step."""
        ...

    @property
    def long_steps(self) -> bool:
        """Whether a step may take any time, so that only `resume` is fit for one."""
        ...

    def stop(self) -> None:
        """Ask a running machine to stop (StopKind.INTERRUPT); harmless when it is halted."""
        ...

    def pause(self) -> None:
        """`stop`, by which nothing is reported: a breakpoint that is due then is still so."""
        ...

    def wait(self, timeout: float | None) -> StopEvent | None:
        """Wait for the stop of the last resume; None when *timeout* seconds pass first."""
        ...

    def on_stop(self, callback: Callable[[], None]) -> None:
        """*callback* is called, from any thread, when the machine stops (to wake a selector)."""
        ...

    def on_output(self, callback: Callable[[bytes], None] | None) -> None:
        """*callback* gets what the guest prints (O packets); None when the client leaves.

        There is a callback exactly while a client is attached: then the guest's own ebreak stops
        the machine instead of trapping.
        """
        ...

    def reset(self) -> None:
        """Reset and reload the image; the machine is halted at its reset vector."""
        ...

    def save(self, path: str) -> None:
        """Write the machine's state to a file; ValueError says why that is not possible."""
        ...

    def restore(self, path: str) -> None:
        """Go back to a state of `save`; ValueError says why not, and then nothing has changed.

        Breakpoints and watchpoints stay as they are.
        """
        ...

    def kill(self) -> None:
        """The client killed the guest (k, vKill)."""
        ...

    def symbol(self, name: str) -> tuple[int, int] | None:
        """Address and size of a symbol of the guest's program."""
        ...

    def setting(self, name: str, words: Sequence[str]) -> str:
        """Show the setting *name* (log, quantum, clock, step-irq), or set it to *words*.

        KeyError for an unknown one, ValueError that says what is wrong with *words*.
        """
        ...

    def info(self, hart: int, topic: str) -> str:
        """Text for ``monitor info TOPIC``; KeyError for an unknown topic.

        Some topics are about one *hart*, and some have an argument: ValueError for a bad one."""
        ...
