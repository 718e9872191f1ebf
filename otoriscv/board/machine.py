"""A machine: harts, memory, a bus with devices, a clock, and an engine that runs it all.

`Machine` is any RISC-V machine; `otoriscv.board.virt` makes the ``virt`` board out of one.

Threads: one thread at a time runs the machine (`run`, `step`); others may call `request_stop`,
`end` and `wake` at any moment, and everything else while they hold ``lock`` and no run is going
on. ``lock`` is held while a slice runs and free between slices.
"""

from __future__ import annotations

import mmap
import signal
import threading
from collections.abc import Callable, Collection, Sequence
from queue import Empty, SimpleQueue
from types import FrameType
from typing import TYPE_CHECKING, Final, Literal, Protocol

from otoriscv.board.hooks import Hooks
from otoriscv.board.points import DEBUGGER, Breakpoints, Watchpoints
from otoriscv.board.runner import Runner
from otoriscv.board.scheduler import Scheduler
from otoriscv.board.stops import Stop, StopReason
from otoriscv.core.agent_programs import AgentPrograms
from otoriscv.core.bus import Bus, Device
from otoriscv.core.clock import Clock, HostClock, VirtualClock
from otoriscv.core.hart import Hart
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import (
    HART,
    LINE_READS,
    LINE_SHIFT,
    LINE_WRITES,
    LINES,
    MACHINE,
    MAX_HARTS,
    PAGE,
)
from otoriscv.core.memory import Arena, Memory, pool_size
from otoriscv.jit.engines import create
from otoriscv.jit.settings import JitSettings

if TYPE_CHECKING:
    from otoriscv.board.snapshot import Snapshot
    from otoriscv.devices.semihosting import Semihosting
    from otoriscv.jit.engine import Engine
    from otoriscv.jit.python.engine import PythonEngine

__all__ = ["ClockKind", "Machine", "Mtime", "Tracer"]

ClockKind = Literal["virtual", "host"]


class Tracer(Protocol):
    """Runs a machine one instruction at a time (``--log``)."""

    def step(self, hart: Hart, *, interrupts: bool) -> int:
        """One step of *hart*, as `PythonEngine.step` does it."""
        ...


class Mtime:
    """A machine's clock as the CLINT sees it."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def read(self) -> int:
        """mtime."""
        return self._clock.ticks()

    def write(self, ticks: int) -> None:
        """Set mtime; it goes on counting from there."""
        self._clock.set_ticks(ticks)


class Machine:
    """A machine without devices; `attach` adds them.

    *ram* and *rom* are (base, size) ranges. *clock* ``virtual`` counts instructions (*mips* of
    them are a microsecond), ``host`` is real time. *misaligned* is what a misaligned load or store
    does. *jit* says how native engines compile. ``EngineUnavailable`` when *engine* cannot run
    here, ValueError for anything else wrong.
    """

    def __init__(
        self,
        isa: Isa | str = "rv64gc",
        *,
        ram: Sequence[tuple[int, int]] = ((0x8000_0000, 128 << 20),),
        rom: Sequence[tuple[int, int]] = (),
        harts: int = 1,
        engine: str = "auto",
        clock: ClockKind = "virtual",
        mips: int = 1000,
        misaligned: Literal["emulate", "trap"] = "emulate",
        reset_vector: int = 0x1000,
        jit: JitSettings | None = None,
    ) -> None:
        self.isa = isa if isinstance(isa, Isa) else Isa.parse(isa)
        if not 1 <= harts <= MAX_HARTS:
            raise ValueError(f"a machine has 1 to {MAX_HARTS} harts, not {harts}")
        self.lock = threading.RLock()
        pages = [(base, size) for base, size in (*ram, *rom)]
        self.arena = Arena(sum(size + (-size) % PAGE for _, size in pages))
        self.m = self.arena.machine
        self.memory = Memory(self.arena)
        for ranges, is_rom in ((ram, False), (rom, True)):
            for base, size in ranges:
                self.memory.add(base, size + (-size) % PAGE, rom=is_rom)
        self.bus = Bus()
        self.harts = [
            Hart(
                self.arena,
                index,
                self.xlen,
                self.isa.bits,
                reset_vector=reset_vector,
                misaligned_trap=misaligned == "trap",
            )
            for index in range(harts)
        ]
        m = self.m
        m[MACHINE["nharts"]] = harts
        self.clock: VirtualClock | HostClock = (
            HostClock(m) if clock == "host" else VirtualClock(m, lambda: self.steps, mips)
        )
        self.clock.start()
        self.events = Scheduler()
        self.breakpoints = Breakpoints(m, self._breakpoint_changed)
        self.watchpoints = Watchpoints(m, self._watchpoints_changed)
        self.hooks = Hooks(self)
        #: Whether a device is the user's: nobody knows when its accesses return.
        self.foreign_devices = False
        #: The last snapshot made or restored: pages that are clean have its contents.
        self.checkpoint: Snapshot | None = None
        #: The snapshot restored last, from which the recorded input goes on.
        self.origin: Snapshot | None = None
        #: Called between slices: hand output over. The guest must not notice.
        self.on_flush: list[Callable[[], None]] = []
        #: Called at fixed instants (virtual clock) or between slices (host): input enters here.
        self.on_pump: list[Callable[[], None]] = []
        #: Called when ``stop`` was set without a request: a watched word was written (HTIF).
        self.on_look: list[Callable[[], None]] = []
        #: Whether a hart stops at the breakpoint where it is (conditions).
        self.stops_at_breakpoint: Callable[[Hart], bool] = lambda hart: True
        self._programs: dict[int, AgentPrograms] = {}
        self.stops_at_watchpoint: Callable[[Hart], bool] = lambda hart: True
        #: Called by `reset` after everything else: loads the images.
        self.on_reset: list[Callable[[], None]] = []
        self.semihosting: Semihosting | None = None
        self.tracer: Tracer | None = None
        self.input_open_now: Callable[[], bool] = lambda: False  # input may still come
        self.input_ready_now: Callable[[], bool] = lambda: False  # input (or its end) is there
        self.time_limit: int | None = None  # an instant
        self.instruction_limit: int | None = None
        self.ending: Stop | None = None
        self._debugger = False
        self._stop_requested = False
        self._wakeups: SimpleQueue[None] = SimpleQueue()
        self._sleeping = False
        self._woken = False
        self._stepper: PythonEngine | None = None
        self.engine: Engine = create(engine, self, lambda: self.stepper, jit)
        for hart in self.harts:
            hart.routines = self._routine
        self.memory.on_code_write.append(self._code_written)
        self.runner = Runner(self)

    def close(self) -> None:
        """Free what the machine holds; it cannot be used afterwards."""
        if self._stepper is not None and self._stepper is not self.engine:
            self._stepper.close()
        self.engine.close()
        self.memory.close()

    # -- facts

    @property
    def xlen(self) -> int:
        """32 or 64."""
        return self.isa.xlen

    @property
    def main_engine(self) -> Engine:
        """The engine that runs the machine."""
        return self.engine

    @property
    def stepper(self) -> PythonEngine:
        """The python engine, which executes single instructions for every engine."""
        if self._stepper is None:
            from otoriscv.jit.python.engine import PythonEngine

            self._stepper = PythonEngine(self)
        return self._stepper

    def _routine(self, name: str) -> Callable[..., int]:
        return self.stepper.routine(name)

    # -- time

    @property
    def steps(self) -> int:
        """Steps so far: instructions retired and traps taken, over all harts."""
        value: int = self.m[MACHINE["steps_end"]] - self._running_budget()
        return value

    @property
    def retired(self) -> int:
        """Instructions retired since reset, over all harts."""
        return sum(hart.retired for hart in self.harts)

    def _running_budget(self) -> int:
        # Only the hart that runs has a budget.
        if len(self.harts) == 1:
            return self.harts[0].budget
        return sum(hart.budget for hart in self.harts)

    @property
    def instant(self) -> int:
        """Guest time in the clock's own unit."""
        return self.clock.now()

    def schedule(self, delay_ns: int, callback: Callable[[], None]) -> None:
        """Call *callback* once, on the machine's thread, after *delay_ns* of guest time."""
        instant = self.clock.after(max(0, delay_ns))
        self.events.add(instant, callback)
        if self.clock.virtual:
            m = self.m
            end = max(instant - m[MACHINE["skip"]], 0)
            m[MACHINE["slice_end"]] = min(m[MACHINE["slice_end"]], end)
            m[MACHINE["retime"]] = 1

    # -- devices

    def attach(self, base: int, size: int, device: Device) -> None:
        """Map *device*; ValueError when it overlaps another or memory."""
        for r in self.memory.ranges():
            if base < r.end and r.base < base + size:
                raise ValueError(
                    f"{device.name} at {base:#x} overlaps the memory at {r.base:#x}-{r.end - 1:#x}"
                )
        self.bus.map(base, size, device)

    def set_irq(self, hart: int, bit: int, level: bool) -> None:
        """Drive bit *bit* of a hart's mip."""
        self.harts[hart].set_irq(bit, level)

    def pump(self) -> None:
        """Let input in."""
        for hook in self.on_pump:
            hook()

    def flush(self) -> None:
        """Hand output over."""
        for hook in self.on_flush:
            hook()

    def look(self) -> None:
        """Look at what the guest may have written to words that somebody watches."""
        for hook in self.on_look:
            hook()

    @property
    def input_open(self) -> bool:
        """Whether console input can still come."""
        return self.input_open_now()

    @property
    def input_ready(self) -> bool:
        """Whether a semihosting read would find input, or its end."""
        return self.input_ready_now()

    def reset(self) -> None:
        """Power-on state: memory cleared, devices and harts reset, images loaded again.

        `request_stop` and `end` hold on: the guest may reset itself just as they are called.
        """
        with self.lock:
            if self.arena.backing is not None:
                self.arena.backing.clear()
            for r in self.memory.ranges():
                self._clear(r.offset, r.size)
            self.events.clear()
            m = self.m
            for name in ("stop", "steps_end", "slice_end", "skip"):
                m[MACHINE[name]] = 0
            for name in ("traps", "interrupts", "invalidations"):
                m[MACHINE[name]] = 0
            for hart in self.harts:
                hart.reset()
            self.clock.start()
            for _, _, device in self.bus.devices():
                device.reset()
            if self.semihosting is not None:
                self.semihosting.reset()
            self.checkpoint = self.origin = None
            for hook in self.on_reset:
                hook()
            self.runner.reset()
            if self._stop_requested or self.ending is not None:
                m[MACHINE["stop"]] = 1

    def _clear(self, offset: int, size: int) -> None:
        """Zero arena bytes and forget the code in them."""
        arena = self.arena
        self.engine.memory_changed(offset, size)
        if self._stepper is not None and self._stepper is not self.engine:
            self._stepper.memory_changed(offset, size)
        first, last = LINES + (offset >> LINE_SHIFT), LINES + (offset + size >> LINE_SHIFT)
        watched = bytes(arena.view8[first:last]).translate(_WATCHED) if self.watchpoints else b""
        regions = [(first, last - first)]
        if arena.backing is None:
            regions.append((offset, size))
        if arena.pool:
            start = arena.pool + pool_size(offset - self.memory.ranges()[0].offset)
            regions.append((start, pool_size(size)))
        for start, length in regions:
            self._zero(start, length)
        if watched:
            arena.view8[first:last] = watched

    def _zero(self, start: int, length: int) -> None:
        """Zero a part of the arena, giving whole pages back."""
        first, last = start + -start % PAGE, (start + length) & -PAGE
        view = self.arena.view8
        if hasattr(mmap, "MADV_DONTNEED") and self.arena.pool and first < last:
            view[start:first] = bytes(first - start)
            self.arena.buffer.madvise(mmap.MADV_DONTNEED, first, last - first)
            view[last : start + length] = bytes(start + length - last)
            return
        chunk = bytes(1 << 20)
        for at in range(start, start + length, len(chunk)):
            n = min(len(chunk), start + length - at)
            view[at : at + n] = chunk[:n]

    # -- running

    def run(self, *, steps: int | None = None, only: Collection[int] | None = None) -> Stop:
        """Run until something happens; what, is the result.

        With *steps* exactly that many instructions are retired (over all harts), unless something
        else happens before. *only* names the harts that run. What a device or a callback raises
        comes out of here, the machine halted at that instruction; so does KeyboardInterrupt.
        """
        interrupted = False

        def on_sigint(signum: int, frame: FrameType | None) -> None:
            nonlocal interrupted
            interrupted = True
            self.request_stop()

        guard = (
            threading.current_thread() is threading.main_thread()
            and signal.getsignal(signal.SIGINT) is signal.default_int_handler
        )
        if guard:
            signal.signal(signal.SIGINT, on_sigint)
        try:
            stop = self.runner.run(steps, only)
        finally:
            with self.lock:
                self.runner.settle()
            if guard:
                signal.signal(signal.SIGINT, signal.default_int_handler)
        if interrupted:
            raise KeyboardInterrupt
        return stop

    def step(self, hart: int = 0) -> Stop:
        """One instruction, or one trap, of one hart; breakpoints do not stop it."""
        with self.lock:
            stop = self.runner.step(hart)
            if stop is None:
                stop = Stop(StopReason.STEPS, hart, self.harts[hart].pc)
            return stop

    def asleep(self, hart: int) -> bool:
        """Whether a hart waits in a wfi that nothing has ended yet."""
        return self.runner.asleep(hart)

    def request_stop(self) -> None:
        """Make a run end soon (REQUEST). From any thread and from signal handlers."""
        self._stop_requested = True
        self.m[MACHINE["stop"]] = 1
        self.wake()

    def take_request(self) -> bool:
        """Whether `request_stop` was called; forgets it."""
        requested, self._stop_requested = self._stop_requested, False
        return requested

    def end(self, code: int, message: str, reason: StopReason = StopReason.ENDED) -> None:
        """End the run with *code*, at the next instruction when a device calls this."""
        if self.ending is None:
            self.ending = Stop(reason, code=code, message=message)
        self.m[MACHINE["stop"]] = 1
        self.wake()

    def take_ending(self) -> Stop:
        """The stop that `end` asked for, completed with where the machine is."""
        ending = self.ending
        assert ending is not None
        self.ending = None
        hart = self.runner.current
        return Stop(
            ending.reason, hart, self.harts[hart].pc, code=ending.code, message=ending.message
        )

    def wake(self) -> None:
        """End `sleep`: input came, or somebody wants something. From any thread."""
        self._woken = True
        if self._sleeping:
            self._wakeups.put(None)

    def sleep(self, seconds: float | None) -> None:
        """Wait for a `wake` since the last sleep, *seconds* at most."""
        self._sleeping = True
        try:
            if self._woken:
                return
            self._wakeups.get(timeout=seconds)
            while True:
                self._wakeups.get_nowait()
        except Empty:
            pass
        finally:
            self._sleeping = self._woken = False

    # -- debugging

    @property
    def debugger(self) -> bool:
        """Whether a debugger is attached: the guest's own ebreak stops then."""
        return self._debugger

    @debugger.setter
    def debugger(self, attached: bool) -> None:
        self._debugger = attached
        self.update_ebreak()
        self.wake()

    def update_ebreak(self) -> None:
        """Whether an ebreak leaves to Python: for a debugger, or to look for semihosting."""
        exits = self._debugger or self.semihosting is not None
        self.m[MACHINE["ebreak_exits"]] = exits

    def _breakpoint_changed(self, address: int) -> None:
        self.engine.breakpoints_changed(address)

    def set_programs(self, address: int, programs: AgentPrograms) -> None:
        """What the debugger's breakpoint at *address* evaluates.

        An engine may do so itself; `stops_at_breakpoint` is asked in any case of doubt.
        """
        if self._programs.get(address, _STOP) != programs:
            self._programs.pop(address, None)
            if programs:
                self._programs[address] = programs
            self._breakpoint_changed(address)

    def programs_at(self, address: int) -> AgentPrograms:
        """What the breakpoint at *address* evaluates; empty: it stops."""
        if self.breakpoints.owners(address) != DEBUGGER:
            return _STOP
        return self._programs.get(address, _STOP)

    def _watchpoints_changed(self, reads: bool, writes: bool) -> None:
        for hart in self.harts:
            hart.set_watching(reads, writes)
        self.engine.watchpoints_changed()
        if self._stepper is not None and self._stepper is not self.engine:
            self._stepper.watchpoints_changed()

    def _code_written(self, offset: int, length: int) -> None:
        self.engine.memory_changed(offset, length)
        if self._stepper is not None and self._stepper is not self.engine:
            self._stepper.memory_changed(offset, length)

    def stored_value(self, hart: Hart) -> int | None:
        """What *hart*, about to do a watched write, will write; None when it is to a device.

        A store has said so; an AMO is at its load.
        """
        q = hart.q
        if q[HART["exit_stores"]]:
            return int(q[HART["exit_value"]])
        return self.stepper.stored(hart)

    def describe_crash(self, hart: Hart) -> str:
        """One line on why *hart* cannot go on."""
        q = hart.q
        cause = _CAUSES.get(q[HART["mcause"]], f"cause {q[HART['mcause']]}")
        return (
            f"hart {hart.index} is lost: its trap handler at {hart.pc:#x} traps on its own first "
            f"instruction ({cause}, mtval {q[HART['mtval']]:#x})"
        )


_STOP: Final = AgentPrograms()
#: What line bytes keep when memory is cleared: watchpoints stay.
_WATCHED: Final = bytes(n & (LINE_READS | LINE_WRITES) for n in range(256))
_CAUSES: Final = {
    0: "instruction address misaligned",
    1: "instruction access fault",
    2: "illegal instruction",
    3: "breakpoint",
    4: "load address misaligned",
    5: "load access fault",
    6: "store address misaligned",
    7: "store access fault",
    8: "ecall from U mode",
    9: "ecall from S mode",
    11: "ecall from M mode",
    12: "instruction page fault",
    13: "load page fault",
    15: "store page fault",
}
