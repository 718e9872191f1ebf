"""A machine as debuggers see it: `otoriscv.gdbstub.target.Target` over a `VirtMachine`.

The debugger's thread reads, writes and single-steps the halted machine itself. Running it is the
work of the thread in `BoardTarget.serve_loop`: the main thread of ``boot`` and ``serve``, else one
that the first `BoardTarget.resume` starts.
"""

from __future__ import annotations

import contextlib
import struct
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final

from otoriscv.board.breakpoint_programs import BreakpointPrograms
from otoriscv.board.info import ABI_NAMES, HART_TOPICS, TOPICS
from otoriscv.board.points import DEBUGGER
from otoriscv.board.range_step import RangeStep
from otoriscv.board.regions import memory_regions
from otoriscv.board.settings import Settings
from otoriscv.board.snapshot import Snapshot, SnapshotError, restore, save
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.translation import TranslatedMemory
from otoriscv.board.watch_conditions import WatchConditions
from otoriscv.core.csr import existing
from otoriscv.core.isa_table import FLOAT_NAMES
from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.memory import Memory, MemoryHole
from otoriscv.gdbstub.target import (
    Action,
    Actions,
    MemoryFault,
    MemoryRegion,
    RegisterInfo,
    StepRange,
    StopEvent,
    StopKind,
    WatchKind,
    WatchTerm,
)

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["BoardTarget"]

_PC: Final = 32
_FLOAT: Final = range(33, 65)
_CSRS: Final = 65
_PRIV: Final = 4161
_WATCH_KINDS: Final = {WatchKind.READ: 1, WatchKind.WRITE: 2, WatchKind.ACCESS: 3}
_WATCH_NAMES: Final = {kinds: kind for kind, kinds in _WATCH_KINDS.items()}
_WAIT_STEPS: Final = 20_000

_KINDS: Final = {
    StopReason.STEPS: StopKind.STEP,
    StopReason.REQUEST: StopKind.INTERRUPT,
    StopReason.BREAKPOINT: StopKind.BREAKPOINT,
    StopReason.WATCH: StopKind.WATCH,
    StopReason.EBREAK: StopKind.EBREAK,
    StopReason.EXIT: StopKind.EXIT,
    StopReason.CRASH: StopKind.CRASH,
    StopReason.IDLE: StopKind.EXIT,
    StopReason.TIMEOUT: StopKind.EXIT,
    StopReason.ENDED: StopKind.EXIT,
}
_FAILED: Final = StopEvent(StopKind.CRASH, message="the emulator failed")
#: Seconds that a guest running in Python may keep the debugger's thread waiting.
_SWITCH_SECONDS: Final = 0.0005


def _reason(error: Exception) -> str:
    """In one line, without the file's name."""
    return error.strerror or str(error) if isinstance(error, OSError) else str(error)


@contextlib.contextmanager
def _responsive() -> Iterator[None]:
    """Let other threads in often: Python's 5 ms add up to 20 ms until an interrupt is answered."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(min(before, _SWITCH_SECONDS))
    try:
        yield
    finally:
        sys.setswitchinterval(before)


class BoardTarget:
    """Implements `Target`.

    *ended* is told each stop that ends the guest and gives the exit code for it; *on_kill* is
    called when the client kills the guest; *on_reset* after each reset. Not *threaded*: the owner
    calls `serve_loop`, no thread is started.
    """

    def __init__(
        self,
        machine: VirtMachine,
        *,
        ended: Callable[[Stop], int] = lambda stop: stop.code,
        on_kill: Callable[[], None] = lambda: None,
        on_reset: Callable[[], None] = lambda: None,
        threaded: bool = True,
    ) -> None:
        self.machine = machine
        self.final: Stop | None = None  #: the stop that ended the guest
        self._ended = ended
        self._on_kill = on_kill
        self._on_reset = on_reset
        self._lock = lock = threading.RLock()
        self._changed = threading.Condition(lock)  # the machine has stopped
        self._resumed = threading.Condition(lock)  # the loop has something to do
        self._actions: Actions | None = None
        self._running = False
        self._failure: BaseException | None = None
        self._stepped = [StopEvent(StopKind.STEP, hart) for hart in range(len(machine.harts))]
        self._general = struct.Struct(f"<{_PC + 1}{'I' if machine.xlen == 32 else 'Q'}")
        self._last = self._stepped[0]
        self._looping = not threaded
        self._closing = False
        self._on_stop: list[Callable[[], None]] = []
        self._output: Callable[[bytes], None] | None = None
        machine.hub.listeners.append(self._heard)
        self.programs = BreakpointPrograms(machine, self._heard)
        self.conditions = WatchConditions(machine)
        self.settings = Settings(machine)
        machine.stops_at_breakpoint = self.programs.stops
        machine.stops_at_watchpoint = self.conditions.stops

    # -- what it is

    @property
    def xlen(self) -> int:
        return self.machine.xlen

    @property
    def isa(self) -> str:
        return str(self.machine.isa)

    @property
    def harts(self) -> int:
        return len(self.machine.harts)

    @property
    def executable(self) -> str | None:
        image = self.machine.image
        return image.path if image is not None and image.kind == "elf" else None

    @property
    def running(self) -> bool:
        return self._running

    @property
    def last_stop(self) -> StopEvent:
        return self._last

    # -- registers and memory

    def registers(self) -> Sequence[RegisterInfo]:
        xlen = self.xlen
        found = [RegisterInfo(name, n, xlen, "cpu") for n, name in enumerate(ABI_NAMES)]
        found.append(RegisterInfo("pc", _PC, xlen, "cpu"))
        if flen := self._flen:
            names = zip(_FLOAT, FLOAT_NAMES, strict=True)
            found += [RegisterInfo(name, n, flen, "fpu") for n, name in names]
        for csr in existing(xlen, self.machine.isa.bits):
            found.append(RegisterInfo(csr.name, _CSRS + csr.number, xlen, "csr"))
        found.append(RegisterInfo("priv", _PRIV, xlen, "virtual"))
        return found

    def general_registers(self, hart: int) -> bytes:
        one = self.machine.harts[hart]
        with self.machine.lock:
            return self._general.pack(*one.q[:_PC].tolist(), one.pc)

    def read_register(self, hart: int, number: int) -> int:
        one = self.machine.harts[hart]
        with self.machine.lock:
            if 0 <= number < 32:
                return one.x[number]
            if number == _PC:
                return one.pc
            if number == _PRIV:
                return one.priv
            if number in _FLOAT:
                bits: int = one.q[HART["f"] + number - _FLOAT.start]
                return bits & (1 << self._flen) - 1
            return one.read_csr(number - _CSRS)

    def write_register(self, hart: int, number: int, value: int) -> None:
        one = self.machine.harts[hart]
        with self.machine.lock:
            if 0 <= number < 32:
                one.x[number] = value
            elif number == _PC:
                one.pc = value
            elif number == _PRIV:
                one.priv = value
            elif number in _FLOAT:
                boxed = value | -1 << self._flen  # the struct's slots are NaN-boxed
                one.q[HART["f"] + number - _FLOAT.start] = boxed & (1 << 64) - 1
            else:
                one.write_csr(number - _CSRS, value)

    @property
    def _flen(self) -> int:
        """The width of the floating-point registers; 0 without any."""
        hart = self.machine.harts[0]
        return 64 if hart.has("D") else 32 if hart.has("F") else 0

    def read_memory(self, hart: int, address: int, length: int) -> bytes:
        with self.machine.lock:
            memory = self._memory(hart)
            have = memory.available(address, length)
            if length and not have:
                raise MemoryFault(address, f"no memory at {address:#x}")
            return memory.read(address, have)

    def write_memory(self, hart: int, address: int, data: bytes) -> None:
        with self.machine.lock:
            memory = self._memory(hart)
            try:
                memory.write(address, data, rom=True)
            except MemoryHole as hole:
                bad = address + memory.available(address, len(data))
                raise MemoryFault(bad, str(hole)) from None

    def _memory(self, hart: int) -> Memory | TranslatedMemory:
        """What *hart*'s addresses lead to, for a debugger."""
        if self.settings.physical:
            return self.machine.memory
        return TranslatedMemory(self.machine.harts[hart], self.machine.memory)

    def memory_map(self) -> Sequence[MemoryRegion]:
        return memory_regions(self.machine)

    # -- breakpoints

    def waiting(self, hart: int) -> bool:
        return self.machine.harts[hart].waiting

    def insert_breakpoint(
        self, address: int, conditions: Sequence[bytes] = (), commands: Sequence[bytes] = ()
    ) -> None:
        with self.machine.lock:
            self.programs.put(address, conditions, commands)
            self.machine.breakpoints.add(address)

    def remove_breakpoint(self, address: int) -> None:
        with self.machine.lock:
            self.programs.remove(address)
            if address in self.machine.breakpoints:
                self.machine.breakpoints.remove(address)

    def insert_watchpoint(
        self, kind: WatchKind, address: int, length: int, terms: Sequence[WatchTerm] = ()
    ) -> None:
        with self.machine.lock:
            self.conditions.put((address, length, _WATCH_KINDS[kind]), terms)
            self.machine.watchpoints.add(address, length, _WATCH_KINDS[kind])

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        with self.machine.lock:
            self.conditions.put((address, length, _WATCH_KINDS[kind]), ())
            self.machine.watchpoints.remove(address, length, _WATCH_KINDS[kind])

    def clear_breakpoints(self) -> None:
        with self.machine.lock:
            self.programs.clear()
            self.conditions.clear()
            self.machine.breakpoints.clear()
            self.machine.watchpoints.clear()

    # -- running

    def resume(self, actions: Actions) -> StopEvent | None:
        with self._lock:
            if self._running:
                raise RuntimeError("the machine is running already")
            self.machine.take_request()
            if self._last.kind is StopKind.STEP:  # gdb's `jump *$pc` counts on the breakpoint
                self.machine.runner.unsee(self._last.hart)
            self.machine.runner.quiet = False
            self._failure = None
            self._running = True
        stepping = any(action is not Action.CONTINUE for action in actions.values())
        if not (stepping or self._calls_users()) and self._stops_soon(actions):
            return self._last if self._failure is None else None
        with self._changed:
            self._actions = dict(actions)
            if not self._looping and not self._closing:
                self._looping = True
                threading.Thread(target=self.serve_loop, name="machine", daemon=True).start()
            self._resumed.notify_all()
        return None

    def step(self, hart: int) -> StopEvent:
        if self.settings.step_irq:
            with self.machine.lock:
                stop = self.machine.runner.step(hart)
        else:
            stop = self._step(hart)
        self._last = self._stepped[hart] if stop is None else self._event(stop)
        return self._last

    @property
    def long_steps(self) -> bool:
        # with step-irq off a step may be a whole interrupt's handler
        return self._calls_users() or not self.settings.step_irq

    def _calls_users(self) -> bool:
        """Whether there is code of the user's, of which nobody knows when it returns."""
        return self.machine.hooks.any or self.machine.foreign_devices

    def visit(self) -> contextlib.AbstractContextManager[None]:
        if not self._running:
            return contextlib.nullcontext()
        return self.machine.runner.visits.visit(lambda: self._running)

    def stop(self) -> None:
        with self._changed:
            if self._running:
                self.machine.runner.quiet = False
                self.machine.request_stop()

    def pause(self) -> None:
        with self._changed:
            if self._running:
                self.machine.runner.quiet = True
                self.machine.request_stop()

    def wait(self, timeout: float | None) -> StopEvent | None:
        if self._running and timeout == 0:
            return None
        with self._changed:
            if self._running and not self._changed.wait_for(lambda: not self._running, timeout):
                return None
            failure, self._failure = self._failure, None
            if failure is not None:
                raise failure
            return self._last

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._on_stop.append(callback)

    def on_output(self, callback: Callable[[bytes], None] | None) -> None:
        self._output = callback
        self.machine.debugger = callback is not None

    def reset(self) -> None:
        self.machine.reset()
        self.final = None
        self._last = StopEvent(StopKind.STEP)
        self._on_reset()

    def save(self, path: str) -> None:
        try:
            save(self.machine).write(path)
        except (SnapshotError, OSError) as error:
            raise ValueError(_reason(error)) from None

    def restore(self, path: str) -> None:
        try:
            restore(self.machine, Snapshot.read(path))
        except (SnapshotError, OSError) as error:
            raise ValueError(_reason(error)) from None
        self.final = None
        self._last = StopEvent(StopKind.STEP, self.machine.runner.current)
        self._on_reset()

    def kill(self) -> None:
        self._on_kill()

    def symbol(self, name: str) -> tuple[int, int] | None:
        found = self.machine.symbols.get(name)
        return None if found is None else (found.address, found.size)

    def setting(self, name: str, words: Sequence[str]) -> str:
        with self.machine.lock:
            return self.settings.change(name, words)

    def info(self, hart: int, topic: str) -> str:
        name, _, argument = topic.partition(" ")
        with self.machine.lock:
            if name in HART_TOPICS:
                return HART_TOPICS[name](self.machine, self.machine.harts[hart], argument)
            if topic in TOPICS:
                return TOPICS[topic](self.machine)
        raise KeyError(f"topics: {', '.join((*TOPICS, *HART_TOPICS))}")

    # -- the machine's thread

    def serve_loop(self) -> None:
        """Run the machine whenever it is resumed, until `shut_down`."""
        while True:
            with self._resumed:
                # A wait without a limit would keep a signal's handler from ending the loop.
                while self._actions is None and not self._closing:
                    self._resumed.wait(0.1)
                actions, self._actions = self._actions, None
                if actions is None:
                    return
            self._run(actions)

    def shut_down(self) -> None:
        """End `serve_loop`. From any thread, and from signal handlers."""
        self._closing = True
        self.machine.request_stop()

    def _run(self, actions: Actions) -> None:
        event, failure = _FAILED, None
        try:
            with _responsive():
                event = self._event(self._until_stop(actions))
        except Exception as error:
            failure = error
        self._has_stopped(event, failure)

    def _stops_soon(self, actions: Actions) -> bool:
        """Run in the caller's thread for a moment: to wake another takes longer than many a run
        from one breakpoint to the next.
        """
        try:
            stop = self.machine.runner.run_briefly(self._only(actions))
            if stop is None:
                return False
            if stop.reason is StopReason.RESET:
                self._reset()
                return False
            event, failure = self._event(stop), None
        except Exception as error:
            event, failure = _FAILED, error
        self._has_stopped(event, failure)
        return True

    def _has_stopped(self, event: StopEvent, failure: BaseException | None) -> None:
        with self._changed:
            self._failure = failure
            self._last = event
            self._running = False
            self._changed.notify_all()
        self.machine.runner.visits.run_ended()
        for callback in self._on_stop:
            callback()

    def _only(self, actions: Actions) -> list[int] | None:
        """The harts that run, when not all do."""
        return list(actions) if len(actions) < self.harts else None

    def _until_stop(self, actions: Actions) -> Stop:
        machine = self.machine
        stepping = [hart for hart, action in actions.items() if action is not Action.CONTINUE]
        if stepping:
            hart = stepping[0]
            action = actions[hart]
            others = [h for h in actions if h != hart]
            while others and machine.asleep(hart):  # it steps when something wakes it
                stop = machine.run(steps=_WAIT_STEPS, only=[*others, hart])
                if stop.reason is not StopReason.STEPS:
                    return stop
            if isinstance(action, StepRange):
                return RangeStep(
                    machine,
                    hart,
                    range(action.start, action.end),
                    only=self._only(actions),
                    step=self._step,
                    interrupts=self.settings.step_irq,
                ).run()
            return self._step(hart)
        only = self._only(actions)
        while True:
            stop = machine.run(only=only)
            if stop.reason is not StopReason.RESET:
                return stop
            self._reset()

    def _reset(self) -> None:
        """The guest asked for a reset: it goes on from there."""
        self.machine.reset()
        self._on_reset()

    def _step(self, hart: int) -> Stop:
        """One step; with step-irq off an interrupt's handler is run before it."""
        machine, m = self.machine, self.machine.m
        if self.settings.step_irq:
            return machine.step(hart)
        one = machine.harts[hart]
        here = one.pc, one.priv, one.x[2]
        while True:
            taken = m[MACHINE["interrupts"]]
            stop = machine.step(hart)
            if m[MACHINE["interrupts"]] == taken or stop.reason is not StopReason.STEPS:
                return stop
            with self._temporary(here[0]):
                while (one.pc, one.priv, one.x[2]) != here:
                    stop = machine.run(only=[hart])
                    back = stop.reason is StopReason.BREAKPOINT and stop.pc == here[0]
                    if not back:
                        return stop

    @contextlib.contextmanager
    def _temporary(self, address: int) -> Iterator[None]:
        """A breakpoint for a while."""
        points = self.machine.breakpoints
        there = points.owners(address) & DEBUGGER
        points.add(address)
        try:
            yield
        finally:
            if not there:
                points.remove(address)

    def _event(self, stop: Stop) -> StopEvent:
        if stop.reason is StopReason.RESET:  # a step did that
            self._reset()
            return StopEvent(StopKind.STEP)
        kind = _KINDS.get(stop.reason, StopKind.INTERRUPT)
        if kind is StopKind.WATCH:
            point = self.machine.watchpoints.hit(stop.address, stop.kind)
            watch = _WATCH_NAMES[point[2]] if point is not None else WatchKind.ACCESS
            return StopEvent(kind, stop.hart, address=stop.address, watch=watch)
        if kind in (StopKind.EXIT, StopKind.CRASH):
            self.final = stop
            return StopEvent(kind, stop.hart, code=self._ended(stop), message=stop.message)
        return StopEvent(kind, stop.hart, message=stop.message)

    def _heard(self, data: bytes) -> None:
        if self._output is not None:
            self._output(data)
