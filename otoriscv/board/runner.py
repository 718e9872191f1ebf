"""The run loop: slices, harts in turn, waiting, and what an engine's exits mean."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping
from enum import Enum, auto
from typing import TYPE_CHECKING, Any, Final

from otoriscv.board.points import DEBUGGER, HOOKS, RANGE
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.visits import Visits
from otoriscv.board.watch_hits import reported_address
from otoriscv.core.layout import HART, MACHINE, Exit
from otoriscv.core.poll import FAR, STCE
from otoriscv.devices.exits import GuestExit, GuestReset
from otoriscv.devices.semihosting import NotReady

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine
    from otoriscv.core.hart import Hart

__all__ = ["QUANTUM", "TICK", "Runner"]

#: Steps one of several harts runs before it is another's turn. Part of what a run means: with
#: another number the harts interleave differently.
QUANTUM: Final = 20_000
#: Input reaches the guest at multiples of this many steps (of virtual time, wfi's skips included),
#: so that it does not matter how fast the host is.
TICK: Final = 2_000_000

_SLICE_SECONDS: Final = 0.002
_SLICE_MIN: Final = 2_000
_SLICE_MAX: Final = 8_000_000
_NEVER: Final = (1 << 64) - 1

_BUDGET: Final = HART["budget"]
_PC: Final = HART["pc"]
_EXIT: Final = HART["exit_code"]
_WAITING: Final = HART["waiting"]
_RETIRED_END: Final = HART["retired_end"]
_RES_VALID: Final = HART["res_valid"]
_WATCH_SKIP: Final = HART["watch_skip"]
_MIP: Final = HART["mip"]
_MIE: Final = HART["mie"]
_MTIMECMP: Final = HART["mtimecmp"]
_STIMECMP: Final = HART["stimecmp"]
_MENVCFG: Final = HART["menvcfg"]
_MTIP: Final = 1 << 7
_STIP: Final = 1 << 5

_STOP: Final = MACHINE["stop"]
_STEPS_END: Final = MACHINE["steps_end"]
_SLICE_END: Final = MACHINE["slice_end"]
_SKIP: Final = MACHINE["skip"]
_PAST: Final = MACHINE["past"]
_TIME_DELTA: Final = MACHINE["time_delta"]
_EBREAK_EXITS: Final = MACHINE["ebreak_exits"]


def _timers(q: memoryview) -> list[tuple[int, int]]:
    """(compare register, interrupt bit) of the timers that a hart has on."""
    timers = [(q[_MTIMECMP], _MTIP)]
    if q[_MENVCFG] & STCE:
        timers.append((q[_STIMECMP], _STIP))
    return timers


class _Turn(Enum):
    """What a turn of the run loop came to that did not stop it."""

    DONE = auto()
    IDLE = auto()  # every hart waits


class Runner:
    """Runs the harts of one machine in turn.

    Whenever it has the machine, no engine running, every budget is zero: ``steps_end`` is the
    global step count and each ``retired_end`` what that hart retired. So a hart that is switched
    to, or continues, always enters its engine through ``poll``.
    """

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._m = machine.m
        self._harts = machine.harts
        self._qs = [hart.q for hart in machine.harts]
        self._slice = 20_000
        self.quantum = QUANTUM
        #: Instructions retired by the machine's engine and by the stepper since all began.
        self.by_engine = self.by_stepper = 0
        #: Set with a request to stop: nobody is told of that stop, nothing counts as seen by it.
        self.quiet = False
        #: The hart that leaves a range of addresses, which stops the run (`RangeStep`).
        self.ranging: int | None = None
        self.visits = Visits(machine.wake)
        self.reset()

    def reset(self) -> None:
        """Back to hart 0 and step 0."""
        self._started = False
        self.current = 0
        self.quantum_end = self.quantum
        self.next_tick = 0
        self.blocked: set[int] = set()  # harts in a semihosting read without input
        # Where each hart was when its stop was reported: a breakpoint there was seen. And the
        # same for stops before a watched access: that one is done when the hart goes on.
        self._seen: dict[int, int] = {h.index: h.pc for h in self._harts}
        self._watched: dict[int, int] = {}
        # Where hooks were called for an instruction that was not executed yet.
        self._hooked: dict[int, int] = {}

    def unsee(self, hart: int) -> None:
        """No breakpoint was reported where *hart* is: one that is there is still to come."""
        self._seen.pop(hart, None)

    def save(self) -> dict[str, Any]:
        """What it knows about a halted machine, for a snapshot."""
        return {
            "started": self._started,
            "current": self.current,
            "quantum_end": self.quantum_end,
            "next_tick": self.next_tick,
            "blocked": sorted(self.blocked),
            "seen": sorted(self._seen.items()),
            "watched": sorted(self._watched.items()),
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `save` gave."""
        self._started = state["started"]
        self.current = state["current"]
        self.quantum_end = state["quantum_end"]
        self.next_tick = state["next_tick"]
        self.blocked = set(state["blocked"])
        self._seen = dict(state["seen"])
        self._watched = dict(state["watched"])
        self._hooked = {}

    # -- counts

    @property
    def steps(self) -> int:
        """Global steps; valid while no engine runs."""
        value: int = self._m[_STEPS_END] - self._qs[self.current][_BUDGET]
        return value

    @property
    def retired(self) -> int:
        """Instructions retired by all harts."""
        return sum(q[_RETIRED_END] - q[_BUDGET] & _NEVER for q in self._qs)

    def settle(self) -> None:
        """Give the unused budget back."""
        q = self._qs[self.current]
        left = q[_BUDGET]
        if left:
            self._m[_STEPS_END] -= left
            q[_RETIRED_END] = q[_RETIRED_END] - left & _NEVER
            q[_BUDGET] = 0

    # -- running

    def _start(self) -> None:
        """The host's clock counts from the first instruction, not from when things were made."""
        if not self._started:
            self._started = True
            if not self._machine.clock.virtual:
                self._machine.clock.start()

    def run(self, steps: int | None, only: Collection[int] | None) -> Stop:
        """Run until something happens; *steps* instructions at most, *only* these harts."""
        machine = self._machine
        self._start()
        target = None if steps is None else self.retired + steps
        limit = machine.instruction_limit
        goal = limit if target is None or (limit is not None and limit < target) else target
        virtual = machine.clock.virtual
        while True:
            if self.visits.wanted:
                self.visits.receive()
            with machine.lock:
                turn = self._turn(target, limit, goal, self._slice, only)
            if isinstance(turn, Stop):
                return turn
            if turn is _Turn.IDLE:
                stop = self._idle(virtual, only)
                if stop is not None:
                    return self._stopped(stop)

    def run_briefly(self, only: Collection[int] | None) -> Stop | None:
        """`run` for a fraction of a millisecond: what it stopped for, None when nothing yet.

        It never sleeps, and to go on with `run` makes no difference to the guest.
        """
        machine, m = self._machine, self._m
        self._start()
        limit = machine.instruction_limit
        with machine.lock:
            end = m[_STEPS_END] + max(_SLICE_MIN, self._slice >> 4)
            while (left := end - m[_STEPS_END]) > 0 and not self.visits.wanted:
                turn = self._turn(None, limit, limit, left, only)
                if isinstance(turn, Stop):
                    return turn
                if turn is _Turn.IDLE:
                    break
        return None

    def _turn(
        self,
        target: int | None,
        limit: int | None,
        goal: int | None,
        most: int,
        only: Collection[int] | None,
    ) -> Stop | _Turn:
        """Whatever comes next: a reason to stop, an event, input, or a slice of a hart, of *most*
        steps and until *goal* instructions are retired.
        """
        machine = self._machine
        virtual = machine.clock.virtual
        try:
            ended = self._ended(target, limit)
        except (GuestExit, GuestReset) as ending:
            return self._stopped(self._guest_ended(self.current, ending))
        if ended is not None:
            return ended
        now = machine.instant
        if machine.events.run_due(now):
            return _Turn.DONE
        if not virtual:
            machine.pump()
        elif now >= self.next_tick:
            self.next_tick = (now // TICK + 1) * TICK
            machine.pump()
            return _Turn.DONE
        hart = self._pick(only)
        if hart is None:
            return _Turn.IDLE
        stop = self._slice_of(hart, goal, most, virtual)
        if stop is not None:
            return self._stopped(stop)
        machine.flush()
        return _Turn.DONE

    def step(self, index: int) -> Stop | None:
        """One step of one hart; None when just that was done."""
        machine, m = self._machine, self._m
        self._start()
        self._switch(index)
        q, hart = self._qs[index], self._harts[index]
        if q[_WAITING]:
            self._end_wait(index)
        m[_SLICE_END] = m[_STEPS_END] + 1
        self._seen.pop(index, None)
        stop = None
        try:
            try:
                told = index in self._watched or index in self._hooked
                if machine.tracer is None and not told:
                    code = self._plain_step(hart, q)
                else:
                    advanced = self._advance(hart)
                    code = self._step_one(hart) if advanced is None else advanced
                if code != Exit.SLICE:
                    stop = self._exit(hart, code)
                    if stop is None and self._watched.get(index) == q[_PC]:
                        stop = self._exit(hart, self._step_one(hart))  # a hook saw it, now do it
            finally:
                q[_WATCH_SKIP] = 0
                self.settle()
            if m[_STOP]:
                machine.look()
            now = m[_STEPS_END] + m[_SKIP] if machine.clock.virtual else machine.instant
            machine.events.run_due(now)
            if now >= self.next_tick:
                self.next_tick = (now // TICK + 1) * TICK
                machine.pump()
        except (GuestExit, GuestReset) as ending:
            stop = self._guest_ended(index, ending)
        machine.flush()
        if stop is None and machine.ending is not None:
            stop = machine.take_ending()
        self._note(index, stop)
        return stop

    def _end_wait(self, index: int) -> None:
        """A step ends a wfi; as in a run, time goes on to what would end it."""
        machine = self._machine
        if not self._wakes(index) and machine.clock.virtual:
            if all(self.asleep(i) for i in range(len(self._qs))):
                due = self._next_event(None)
                if due is not None:
                    machine.clock.skip_to(due)
                    machine.events.run_due(machine.instant)
            self._wakes(index)
        self._qs[index][_WAITING] = 0

    def _plain_step(self, hart: Hart, q: memoryview) -> int:
        """One step of a hart that nothing was reported for, by the machine's own engine."""
        machine = self._machine
        if machine.breakpoints.owners(q[_PC]) & HOOKS:
            code = self._advance(hart)
            return self._step_one(hart) if code is None else code
        before = q[_RETIRED_END] - q[_BUDGET]
        try:
            return machine.engine.step(hart)
        finally:
            self.by_engine += q[_RETIRED_END] - q[_BUDGET] - before & _NEVER

    def _ended(self, target: int | None, limit: int | None) -> Stop | None:
        """A reason not to go on at all."""
        machine = self._machine
        if machine.ending is not None:
            return self._stopped(machine.take_ending())
        if self._m[_STOP]:
            self._m[_STOP] = 0
            if machine.take_request():
                stop = self._stop(StopReason.REQUEST)
                if not self.quiet:
                    return self._stopped(stop)
                self.quiet = False
                machine.flush()
                return stop
            machine.look()
            if machine.ending is not None:
                return self._stopped(machine.take_ending())
        if target is not None or limit is not None:
            retired = self.retired
            if target is not None and retired >= target:
                return self._stopped(self._stop(StopReason.STEPS))
            if limit is not None and retired >= limit:
                what = f"instruction limit of {limit} reached"
                return self._stopped(self._stop(StopReason.TIMEOUT, message=what))
        if machine.time_limit is not None and machine.instant >= machine.time_limit:
            return self._stopped(self._stop(StopReason.TIMEOUT, message="time limit reached"))
        return None

    def _stopped(self, stop: Stop) -> Stop:
        self._note(stop.hart, stop)
        self._machine.flush()
        return stop

    def _note(self, hart: int, stop: Stop | None) -> None:
        pc = self._qs[hart][_PC]
        self._seen[hart] = pc
        if stop is not None and stop.reason is StopReason.WATCH:
            self._watched[hart] = pc

    def _stop(self, reason: StopReason, hart: int | None = None, **more: object) -> Stop:
        index = self.current if hart is None else hart
        return Stop(reason, index, self._qs[index][_PC], **more)  # type: ignore[arg-type]  # Stop's own fields

    def _slice_of(self, hart: Hart, goal: int | None, most: int, virtual: bool) -> Stop | None:
        """Run one slice of *hart*, not stopping at what stopped it before."""
        machine, m = self._machine, self._m
        pc = hart.q[_PC]
        past = pc in (self._seen.pop(hart.index, None), self._hooked.get(hart.index))
        past = past and pc in machine.breakpoints
        apart = past and (machine.breakpoints.owners(pc) & HOOKS or machine.programs_at(pc))
        first: int = m[_STEPS_END]
        end = first + most
        if virtual:
            skip = m[_SKIP]
            end = min(end, self.next_tick - skip)
            for instant in (machine.events.next, machine.time_limit):
                if instant is not None:
                    end = min(end, instant - skip)
        if len(self._qs) > 1:
            end = min(end, self.quantum_end)
        if goal is not None:
            end = min(end, first + goal - self.retired)
        end = max(end, first + 1)
        m[_SLICE_END] = end
        try:
            if apart or hart.index in self._watched or machine.tracer is not None:
                advanced = self._advance(hart)
                if advanced is None:
                    return None
                code = advanced
            else:
                self._hooked.pop(hart.index, None)
                m[_PAST] = pc | 1 if past else 0
                began = time.perf_counter()
                before = hart.retired
                try:
                    code = machine.engine.run(hart)
                finally:
                    self.by_engine += hart.retired - before & _NEVER
                if code == Exit.SLICE and end - first >= _SLICE_MIN:
                    self._adapt(end - first, time.perf_counter() - began)
            self.settle()
            if past and code == Exit.SLICE and hart.q[_PC] == pc and m[_STEPS_END] == first:
                self._seen[hart.index] = pc  # a request came first: it is still to be stepped past
            return self._exit(hart, code)
        except (GuestExit, GuestReset) as ending:
            return self._guest_ended(hart.index, ending)
        finally:
            m[_PAST] = 0
            self.settle()

    def _adapt(self, steps: int, seconds: float) -> None:
        wanted = TICK
        if not self._machine.engine.even:
            wanted = int(steps / max(seconds, 1e-6) * _SLICE_SECONDS)
            wanted = min(max(wanted, _SLICE_MIN), _SLICE_MAX)
        self._slice = (3 * self._slice + wanted) // 4 + 1

    def _advance(self, hart: Hart) -> int | None:
        """Call the hooks at pc and do one step; None when a hook moves pc, or wants a stop.

        The instruction follows its hooks at once, also when they raise an interrupt, so that they
        are called once; one that was pending before is taken before them.
        """
        machine, q, index = self._machine, hart.q, hart.index
        pc = q[_PC]
        if machine.breakpoints.owners(pc) & HOOKS:
            called = self._hooked.get(index) == pc and machine.hooks.called(hart)
            if not called and self._take_interrupt(hart):
                return int(q[_EXIT])
            self._call_hooks(hart)
            if q[_PC] != pc or self._m[_STOP]:
                return None
        else:
            self._hooked.pop(index, None)  # they were removed
        if machine.tracer is None or index in self._watched:
            return self._step_one(hart)
        return machine.tracer.step(hart, interrupts=self._hooked.pop(index, None) != pc)

    def _step_one(self, hart: Hart) -> int:
        """One step that no breakpoint stops, nor the watchpoint that was reported last."""
        q, index = hart.q, hart.index
        pc = q[_PC]
        interrupts = self._hooked.pop(index, None) != pc
        if self._watched.pop(index, None) != pc:
            return self._stepped(hart, interrupts)
        q[_WATCH_SKIP] = 1
        try:
            return self._stepped(hart, interrupts)
        finally:
            q[_WATCH_SKIP] = 0

    def _stepped(self, hart: Hart, interrupts: bool = True) -> int:
        """One step by the python engine; an exit."""
        before = hart.retired
        try:
            return self._machine.stepper.step(hart, interrupts=interrupts)
        finally:
            self.by_stepper += hart.retired - before & _NEVER

    def _take_interrupt(self, hart: Hart) -> bool:
        """Take an interrupt that is pending at the hart's pc; whether there was one."""
        routine, q = self._machine.stepper.routine, hart.q
        q[_EXIT] = Exit.SLICE
        routine("update_timer")(q)
        cause = routine("pick_interrupt")(q)
        if cause:
            q[_WAITING] = 0
            q[_PC] = routine("trap_enter")(q, q[_PC], cause, 0)
        return bool(cause)

    # -- exits

    def _exit(self, hart: Hart, code: int) -> Stop | None:
        """What an exit means for the run; None: go on."""
        machine = self._machine
        if code in (Exit.SLICE, Exit.STOP):
            return None
        if code == Exit.WFI:
            hart.q[_WAITING] = 1
            return None
        if code == Exit.FALLBACK:
            self._m[_SLICE_END] = max(self._m[_SLICE_END], self._m[_STEPS_END] + 1)
            code = self._stepped(hart)
            self.settle()
            if code == Exit.FALLBACK:
                raise RuntimeError(f"the python engine cannot execute the code at {hart.pc:#x}")
            return self._exit(hart, code)
        if code == Exit.BREAKPOINT:
            self._call_hooks(hart)
            owners = machine.breakpoints.owners(hart.q[_PC])
            if owners & RANGE and hart.index == self.ranging:
                return self._stop(StopReason.STEPS, hart.index)
            if not owners & DEBUGGER:
                if owners == RANGE:  # another hart's: step past it
                    self._seen[hart.index] = hart.q[_PC]
                return None
            if not machine.stops_at_breakpoint(hart):  # its condition is false
                self._seen[hart.index] = hart.q[_PC]
                return None
            return self._stop(StopReason.BREAKPOINT, hart.index)
        if code == Exit.WATCH:
            return self._watch(hart)
        if code == Exit.TRAP:
            machine.hooks.trapped(hart)
            if hart.index == self.ranging:
                return self._stop(StopReason.STEPS, hart.index)
            return None
        if code == Exit.EBREAK:
            return self._ebreak(hart)
        if code == Exit.CRASH:
            what = machine.describe_crash(hart)
            return self._stop(StopReason.CRASH, hart.index, message=what)
        raise RuntimeError(f"engine {machine.engine.name} returned {code}")

    def _call_hooks(self, hart: Hart) -> None:
        """Call the hooks of the instruction at pc, once before it is executed."""
        pc = hart.q[_PC]
        if self._machine.breakpoints.owners(pc) & HOOKS:
            again = self._hooked.get(hart.index) == pc
            self._hooked[hart.index] = pc
            self._machine.hooks.executing(hart, again)

    def _watch(self, hart: Hart) -> Stop | None:
        """A watched access: the hooks are called, and it is reported to the debugger if its."""
        q = hart.q
        self._watched[hart.index] = q[_PC]
        if self._machine.breakpoints.owners(q[_PC]) & HOOKS:  # called, and not yet executed
            self._hooked[hart.index] = q[_PC]
        if self._machine.hooks.accessing(hart) or not self._machine.stops_at_watchpoint(hart):
            return None
        address = reported_address(hart, self._machine.memory, self._machine.watchpoints)
        kind = q[HART["exit_kind"]]
        return self._stop(StopReason.WATCH, hart.index, address=address, kind=kind)

    def _ebreak(self, hart: Hart) -> Stop | None:
        """An ebreak: semihosting, the debugger's, or the guest's own affair."""
        machine, m, q = self._machine, self._m, hart.q
        host = machine.semihosting
        if host is not None and host.is_call(machine.memory.read, q[_PC]):
            try:
                result = host.call(q[10], q[11], machine.xlen)
            except NotReady:
                q[_WAITING] = 1
                self.blocked.add(hart.index)
                return None
            q[10] = result
            q[_PC] += 4
            m[_STEPS_END] += 1
            q[_RETIRED_END] = q[_RETIRED_END] + 1 & _NEVER
            return None
        if machine.debugger:
            return self._stop(StopReason.EBREAK, hart.index)
        exits = m[_EBREAK_EXITS]
        m[_EBREAK_EXITS] = 0
        m[_SLICE_END] = max(m[_SLICE_END], m[_STEPS_END] + 1)
        try:
            code = machine.stepper.step(hart)
        finally:
            m[_EBREAK_EXITS] = exits
        self.settle()
        return self._exit(hart, code)

    def _guest_ended(self, hart: int, ending: GuestExit | GuestReset) -> Stop:
        self.settle()
        if isinstance(ending, GuestReset):
            return self._stop(StopReason.RESET, hart, message=str(ending))
        return self._stop(StopReason.EXIT, hart, code=ending.code, message=ending.reason)

    # -- harts in turn

    def _switch(self, index: int) -> None:
        if index != self.current:
            self._qs[self.current][_RES_VALID] = 0
            self.current = index
            self.quantum_end = self._m[_STEPS_END] + self.quantum

    def _pick(self, only: Collection[int] | None) -> Hart | None:
        """The hart whose turn it is; None when all wait."""
        current, harts = self.current, self._harts
        may = only is None or current in only
        if may and self._m[_STEPS_END] < self.quantum_end and not self.asleep(current):
            return harts[current]
        count = len(harts)
        for k in range(1, count + 1):
            index = (current + k) % count
            if (only is None or index in only) and not self.asleep(index):
                if index == current:  # nobody else wants to run
                    self.quantum_end = self._m[_STEPS_END] + self.quantum
                self._switch(index)
                return harts[index]
        return None

    def asleep(self, index: int) -> bool:
        """Whether a hart waits in a wfi that nothing has ended yet."""
        return bool(self._qs[index][_WAITING]) and not self._wakes(index)

    def _wakes(self, index: int) -> bool:
        """Whether a waiting hart goes on now."""
        q = self._qs[index]
        for compare, bit in _timers(q):
            if q[_MIE] & bit and self._machine.clock.ticks() >= compare:
                q[_MIP] |= bit
        if q[_MIP] & q[_MIE] or (index in self.blocked and self._machine.input_ready):
            q[_WAITING] = 0
            self.blocked.discard(index)
            return True
        return False

    def _next_event(self, only: Collection[int] | None) -> int | None:
        """The instant at which guest time alone ends the waiting."""
        machine = self._machine
        found = machine.events.next
        for index, q in enumerate(self._qs):
            if only is not None and index not in only:
                continue
            for compare, bit in _timers(q):
                if q[_MIE] & bit and (compare - self._m[_TIME_DELTA]) & _NEVER < FAR:
                    due = machine.clock.instant_of(compare)
                    found = due if found is None else min(found, due)
        return found

    def _idle(self, virtual: bool, only: Collection[int] | None) -> Stop | None:
        """Every hart waits: skip or sleep until something can happen."""
        machine = self._machine
        machine.flush()
        due = self._next_event(only)
        limit = machine.time_limit
        if due is not None and limit is not None:
            due = min(due, limit)
        if virtual and due is not None:
            with machine.lock:
                machine.clock.skip_to(due)
            return None
        if due is None:
            with machine.lock:
                machine.pump()
            if self._pick(only) is not None:
                return None
            if not (machine.input_open or machine.debugger):
                what = "no timer is set and no input is left"
                return self._stop(
                    StopReason.IDLE,
                    message=f"the guest waits for an interrupt that nothing can raise: {what}",
                )
        timeout = None if due is None else (due - machine.instant) / 1e9
        if timeout is None or timeout > 0:
            machine.sleep(timeout)
        return None
