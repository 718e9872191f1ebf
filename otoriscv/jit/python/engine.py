"""The ``python`` engine: portable, needs nothing native, and the reference for the others.

It also executes, for every engine, the single instructions that need Python (`PythonEngine.step`).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final

from otoriscv.core.bus import Access, BusFault
from otoriscv.core.layout import (
    HART,
    HART_FIELDS_END,
    LINE_SHIFT,
    LINES,
    MACHINE,
    PAGE,
    Exit,
)
from otoriscv.core.mode import FLAT, PRIV_SHIFT
from otoriscv.core.sem import CAUSE
from otoriscv.core.uop import Value
from otoriscv.jit.engine import Platform
from otoriscv.jit.python.routines import compile_program, compile_routines
from otoriscv.jit.python.spaces import Context, Space, Spaces
from otoriscv.jit.python.trace import LIMIT, Decoded, Trace, compile_step, compile_trace

if TYPE_CHECKING:
    from otoriscv.core.decode import Decoder
    from otoriscv.core.hart import Hart

__all__ = ["STEP_ROUTINES", "PythonEngine"]

_BUDGET = HART["budget"]
_RETIRED_END = HART["retired_end"]
_PC = HART["pc"]
_VALUE = HART["value"]
_CAUSE = HART["trap_cause"]
_TVAL = HART["trap_tval"]
_EXIT = HART["exit_code"]
_WATCH_SKIP = HART["watch_skip"]
_CODE_WRITES = MACHINE["code_writes"]
_STOP = MACHINE["stop"]
_PAST = MACHINE["past"]

_MODE = HART["mode"]
_SATP = HART["satp"]
_GENERATION = HART["tlb_generation"]
_PHYS = HART["phys"]
_STORE_AT = HART["store_at"]
_STORE_END = HART["store_end"]

#: Routines that fetch, access memory and poll: a native engine has faster ones.
STEP_ROUTINES: Final = ("fetch_slow", "fetch_exact", "load_slow", "store_slow", "poll")

#: Instructions kept compiled for `step`: some 10 KiB each.
_MAX_STEPS = 1024

TRAP = 1  #: status of a slow routine: take the trap in trap_cause and trap_tval
DONE_POLL = 2  #: status: done; interrupts or deadlines may have changed
LEAVE = 16  #: status LEAVE + exit: leave to Python at this instruction


class _Leave(Exception):
    """Leaves a trace at an instruction that did not complete; ``status`` as a slow routine's."""

    def __init__(self, engine: PythonEngine, status: int) -> None:
        self.engine = engine
        self.status = status

    def resume(self, h: Any) -> tuple[int, int]:
        """Go on after it: pc and budget, or `_Exited`."""
        if self.status == TRAP:
            return self.engine.take_trap(h)
        code = self.status - LEAVE
        if code == Exit.FALLBACK:
            return self.engine.execute_one(h)
        raise _Exited(code)


class _Exited(Exception):
    """Leaves `run`; pc and budget are committed."""

    def __init__(self, code: int) -> None:
        self.code = code


class _Switched(Exception):
    """Leaves the traces of one space: the hart's context is another. The state is committed."""


class _Stored(Exception):
    """What an instruction would store."""

    def __init__(self, value: int) -> None:
        self.value = value


def _tell_store(h: Any, n: int, address: int, value: int, size: int) -> int:
    raise _Stored(value & (1 << 8 * size) - 1)


class PythonEngine:
    """Runs traces of micro-ops compiled to Python functions."""

    name: ClassVar[str] = "python"
    even: bool = False

    def __init__(self, platform: Platform) -> None:
        self._p = platform
        self._m = platform.m
        self._xlen = platform.isa.xlen
        self._mask = (1 << self._xlen) - 1
        self._mode_shift = 31 if self._xlen == 32 else 60
        self._arena = platform.arena.view8
        self._hart_index = 0
        self._native_form: Callable[[str], Callable[..., int]] | None = None
        self._native: dict[str, Callable[..., int]] = {}
        self._steps: dict[tuple[int, frozenset[str]], Callable[..., Any]] = {}
        self._spaces = Spaces(self._arena, lambda: platform.main_engine is self)
        self._context: Context = ()
        self._here = Space(0)
        self._ram_base = 0
        self._ram_mask = 0

    # What runs is made when it is first needed: few machines with a native engine ever step.

    @cached_property
    def _decoder(self) -> Decoder:
        from otoriscv.core.decode import Decoder

        return Decoder(self._p.isa)

    @cached_property
    def _space(self) -> dict[str, Any]:
        """The namespace of traces and routines."""
        space = compile_routines(self._xlen, self._arena, self._m)
        space.update(
            Leave=_Leave,
            trap=self._trap,
            leave=self._leave,
            leave_after=self._leave_after,
            poll_at=self._poll_at,
            slow_load=self._slow_load,
            slow_store=self._slow_store,
        )
        self._window(space)
        return space

    @cached_property
    def _step_space(self) -> dict[str, Any]:
        """The same for single steps."""
        return dict(self._space, slow_load=self._device_load, slow_store=self._device_store)

    def use_routines(self, native: Callable[[str], Callable[..., int]]) -> None:
        """Call a native engine's form of `STEP_ROUTINES`, as ``f(hart's number, parameters)``: a
        walk of page tables takes this one as long as the rest of a step."""
        self._native_form = native

    def _call(self, name: str, h: Any, *args: int) -> int:
        """Call one of `STEP_ROUTINES` for the hart that runs."""
        if self._native_form is not None:
            native = self._native.get(name)
            if native is None:
                native = self._native[name] = self._native_form(name)
            return native(self._hart_index, *args)
        status: int = self._space[name](h, *args)
        return status

    def routine(self, name: str) -> Callable[..., int]:
        """A routine as a Python function ``f(h, *args)``."""
        f: Callable[..., int] = self._space[name]
        return f

    def program(self, body: list[Value]) -> Callable[[Any], int]:
        """A program in the language of routines, without parameters, as ``f(h)``."""
        return compile_program("program", self._xlen, body, self._space)

    # -- single traces, for `PythonBackend`: of the flat space

    def make_trace(self, hart: Hart, pc: int, limit: int) -> Trace | None:
        """The trace at *pc*, of at most *limit* instructions; None when there is none."""
        h = hart.q
        self._choose(h)
        space = self._here
        known = self.trace_at(pc)
        if known is not None and len(known.spans) <= limit:
            return known
        if not space.flat or pc in self._p.breakpoints or self._m[_STOP]:
            return None
        if self._fetch(h, pc) is None:
            return None
        if known is not None:
            self._spaces.drop(space, pc)
        self._limit = limit
        try:
            self._enter(h, pc, 1)
        finally:
            self._limit = LIMIT
        return self.trace_at(pc)

    def trace_at(self, pc: int) -> Trace | None:
        """The trace there is at *pc*."""
        flat = self._spaces.find((FLAT,))
        return None if flat is None else flat.made.get(pc)

    def run_trace(self, hart: Hart, trace: Trace) -> int:
        """Run *trace* from the committed state: an exit, or `Exit.NONE`."""
        h = hart.q
        self._hart_index = hart.index
        h[_EXIT] = Exit.NONE
        self._choose(h)
        try:
            h[_PC], h[_BUDGET] = trace.run(h, h[_BUDGET])
        except _Switched:
            return Exit.NONE
        except _Exited as e:
            h[_EXIT] = e.code
            return e.code
        return Exit.NONE

    # -- the run contract

    def run(self, hart: Any) -> int:
        """Run until an exit (docs/abi.md)."""
        h = hart.q
        self._hart_index = hart.index
        h[_EXIT] = 0
        self._choose(h)
        try:
            pc, n = self._poll_at(h, h[_PC], h[_BUDGET])
        except _Switched:
            pc, n = h[_PC], h[_BUDGET]
        except _Exited as e:
            h[_EXIT] = e.code
            return e.code
        while True:
            self._choose(h)
            try:
                self._run(h, pc, n)
            except _Switched:
                pc, n = h[_PC], h[_BUDGET]
            except _Exited as e:
                h[_EXIT] = e.code
                return e.code

    def _run(self, h: Any, pc: int, n: int) -> None:
        """Run in one space until an exit or another space."""
        traces = self._here.traces
        while True:
            try:
                run, longest = traces[pc]
            except KeyError:
                h[_PC], h[_BUDGET] = pc, n
                pc, n = self._enter(h, pc, n)
                continue
            if longest <= n:
                pc, n = run(h, n)
            elif n:
                pc, n = self._one(h, pc, n)
            else:
                pc, n = self._poll_at(h, pc, n)

    # -- spaces

    def _context_of(self, h: Any) -> Context:
        """What the traces of a pc depend on: direct access to RAM, page tables, privilege."""
        mode: int = h[_MODE]
        if mode & FLAT:
            return (FLAT,)
        satp: int = h[_SATP]
        priv = mode >> PRIV_SHIFT & 3
        paged = priv != 3 and satp >> self._mode_shift
        return 0, priv, self._hart_index, satp if paged else 0

    def _choose(self, h: Any) -> None:
        """Find the traces of the hart's context."""
        self._context = self._context_of(h)
        self._here = self._spaces.choose(self._context, h[_GENERATION])

    def _switch(self, h: Any) -> None:
        """After anything that may have changed the context; pc and budget are committed."""
        here = self._here
        if self._context_of(h) != self._context or (
            not here.flat and h[_GENERATION] != here.generation
        ):
            raise _Switched

    def step(self, hart: Any, *, interrupts: bool = True) -> int:
        """One instruction, trap or interrupt, ignoring breakpoints.

        Without *interrupts* one that is pending is left pending behind it.
        """
        h, m = hart.q, self._m
        self._hart_index = hart.index
        h[_EXIT] = 0
        steps_end, slice_end, stop = MACHINE["steps_end"], MACHINE["slice_end"], MACHINE["stop"]
        saved = m[slice_end], m[stop]
        m[slice_end] = max(saved[0], m[steps_end] - h[_BUDGET] + 1)
        m[MACHINE["retime"]] = 1
        m[stop] = 0
        self._choose(h)
        try:
            pc = h[_PC]
            taken = m[MACHINE["interrupts"]]
            if interrupts:
                pc, n = self._poll_at(h, pc, h[_BUDGET])
            else:
                m[steps_end] += 1 - h[_BUDGET]
                h[_RETIRED_END] = h[_RETIRED_END] + 1 - h[_BUDGET] & (1 << 64) - 1
                n = 1
            if m[MACHINE["interrupts"]] == taken:
                pc, n = self._one(h, pc, n)
                h[_PC], h[_BUDGET] = pc, n
            return Exit.SLICE
        except _Switched:
            return Exit.SLICE
        except _Exited as e:
            h[_EXIT] = e.code
            # one step is all that was asked for; a poll in the instruction may say so too
            return Exit.SLICE if e.code == Exit.STOP else e.code
        finally:
            m[slice_end] = saved[0]
            m[stop] |= saved[1]

    def stored(self, hart: Any) -> int | None:
        """What the instruction at the committed pc would store; nothing changes.

        None when it traps, does not store, or must read a device for it.
        """
        h = hart.q
        self._hart_index = hart.index
        state = h[:HART_FIELDS_END].tolist()
        try:
            h[_WATCH_SKIP] = 1
            fetched = self._fetch(h, h[_PC])
            if fetched is None:
                return None
            space = dict(self._space, slow_store=_tell_store)
            compile_step(self._xlen, self._decoded(h[_PC], fetched[0]), space)(h, h[_PC], 1)
        except _Stored as found:
            return found.value
        except (_Leave, _Exited, _Switched):
            pass
        finally:
            for n, word in enumerate(state):
                h[n] = word
        return None

    def memory_changed(self, offset: int, length: int) -> None:
        """Drop the traces made from arena bytes ``[offset, offset + length)``."""
        self._spaces.written(offset, length)

    def breakpoints_changed(self, address: int) -> None:
        """Drop the traces that contain *address*."""
        self._spaces.drop_with(address)

    def adopt_programs(self, hart: Any) -> None:
        """They are evaluated as Python functions already."""

    def place(self, hart: Any) -> int | None:
        """The arena offset of the instruction at *hart*'s pc; None when none can be fetched."""
        self._hart_index = hart.index
        fetched = self._fetch(hart.q, hart.q[_PC])
        return None if fetched is None else fetched[1]

    def watchpoints_changed(self) -> None:
        """With watchpoints every access takes the checked path: other traces."""
        if "_space" in vars(self):
            self._window(self._space)
        self._spaces.drop_all()

    def report(self) -> dict[str, int]:
        """The traces there are, and the instructions compiled to be stepped."""
        return {"traces": len(list(self._spaces)), "steps_compiled": len(self._steps)}

    def compiled_at(self, pc: int, physical: int, *, translated: bool) -> int:
        """1 when a trace contains it."""
        return int(any(at == pc for trace in self._spaces for at, _ in trace.spans))

    def close(self) -> None:
        """Nothing native to free."""
        self._spaces.clear()
        self._here = Space(0)

    # -- traces

    def _window(self, space: dict[str, Any]) -> None:
        """The power-of-two RAM window that traces access directly."""
        self._ram_mask = 0
        if self._m[MACHINE["nwatchpoints"]]:
            return
        ram = [r for r in self._p.memory.ranges() if not r.rom]
        if not ram:
            return
        best = max(ram, key=lambda r: r.size)
        size = 1 << (best.size.bit_length() - 1)
        self._ram_base, self._ram_mask = best.base, ~(size - 1)
        view = self._arena[best.offset : best.offset + size]
        first = LINES + (best.offset >> LINE_SHIFT)
        space.update(
            ram8=view,
            ram16=view.cast("H"),
            ram32=view.cast("I"),
            ram64=view.cast("Q"),
            lines=self._arena[first : first + (size >> LINE_SHIFT)],
        )

    def _fetch(self, h: Any, pc: int, how: str = "fetch_slow") -> tuple[int, int, int] | None:
        """(word, arena offset of its first half, of its second half or 0); None: status in h."""
        status = self._call(how, h, pc)
        if status:
            self._fetch_status = status
            return None
        arena = self._arena
        low = h[_VALUE] + (pc & (PAGE - 1))
        word: int = arena[low] | arena[low + 1] << 8
        if word & 3 != 3:
            return word, low, 0
        high = low + 2
        if (pc + 2) & (PAGE - 1) == 0 or (how != "fetch_slow" and pc & 2):  # PMP divides words
            status = self._call(how, h, (pc + 2) & self._mask)
            if status:
                self._fetch_status = status
                return None
            high = h[_VALUE] + ((pc + 2) & (PAGE - 1))
        return word | arena[high] << 16 | arena[high + 1] << 24, low, high

    _fetch_status = 0
    _limit = LIMIT

    def _decoded(self, pc: int, word: int) -> Decoded:
        insn = self._decoder.decode(word, pc)
        return Decoded(pc, insn.row, insn.operands, insn.length, insn.bits, insn.variant)

    def _enter(self, h: Any, pc: int, n: int) -> tuple[int, int]:
        """Make the trace at *pc*, or find out why there is none."""
        if not n or self._m[_STOP]:  # what is due comes before a breakpoint, a trap, much compiling
            return self._poll_at(h, pc, n)
        if pc in self._p.breakpoints:
            if self._m[_PAST] != pc | 1:
                raise _Exited(Exit.BREAKPOINT)
            self._m[_PAST] = 0
            return self._one(h, pc, n)
        fetched = self._fetch(h, pc)
        if fetched is None:
            return _Leave(self, self._fetch_status).resume(h)
        space = self._here
        if pc in space.doubtful:
            entry = space.doubtful.pop(pc)
            if self._same_pages(h, space.made[pc], space.places[pc]):
                space.traces[pc] = entry
                return pc, n
            self._spaces.drop(space, pc)
        breakpoints = self._p.breakpoints
        made = space.made
        places: dict[int, tuple[int, int]] = {}
        last = pc

        def decode(at: int) -> Decoded | None:
            nonlocal last
            # a loop longer than a trace would else become traces from each of its instructions
            if at != pc and (at in breakpoints or (at < last and at in made)):
                return None
            last = at
            got = self._fetch(h, at)
            if got is None:
                return None
            word, low, high = got
            places[at] = low, high
            return self._decoded(at, word)

        mask = self._ram_mask if space.flat else 0
        trace = compile_trace(
            self._xlen, decode, pc, self._space, self._ram_base, mask, self._limit
        )
        self._spaces.keep(space, pc, trace, places)
        return pc, n

    def _same_pages(self, h: Any, trace: Trace, places: tuple[tuple[int, int], ...]) -> bool:
        """Whether all of a trace's code is still where it was found."""
        halves = iter(places)
        seen: dict[int, int] = {}
        for pc, size in trace.spans:
            for at in range(pc, pc + size, 2):
                offset = next(halves)[0]
                page = at & -PAGE & self._mask
                if page not in seen:
                    if self._space["fetch_slow"](h, page):
                        return False
                    seen[page] = h[_VALUE]
                if seen[page] != offset & -PAGE:
                    return False
        return True

    def _one(self, h: Any, pc: int, n: int) -> tuple[int, int]:
        """Execute the instruction at *pc*, whatever it needs."""
        h[_PC], h[_BUDGET] = pc, n
        return self.execute_one(h)

    def execute_one(self, h: Any) -> tuple[int, int]:
        """Execute the instruction at the committed pc; device accesses are done here."""
        pc, n = h[_PC], h[_BUDGET]
        fetched = self._fetch(h, pc, "fetch_exact")
        if fetched is None:
            status = self._fetch_status
            if status == LEAVE + Exit.FALLBACK:  # no code can be fetched from a device
                h[_CAUSE], h[_TVAL] = CAUSE.FETCH_FAULT, pc
                status = TRAP
            return _Leave(self, status).resume(h)
        insn = self._decoder.decode(fetched[0], pc)
        key = insn.bits, insn.variant
        step = self._steps.get(key)
        if step is None:
            decoded = Decoded(pc, insn.row, insn.operands, insn.length, insn.bits, insn.variant)
            if len(self._steps) >= _MAX_STEPS:
                self._steps.clear()
            step = self._steps[key] = compile_step(self._xlen, decoded, self._step_space)
        self._device = False
        try:
            pc, n = step(h, pc, n)
        except _Leave as e:
            return e.resume(h)
        if self._device:
            return self._poll_at(h, pc, n)
        return pc, n

    _device = False

    # -- what generated code calls

    def take_trap(self, h: Any) -> tuple[int, int]:
        """Take the exception in trap_cause and trap_tval at the committed pc."""
        h[_PC] = self._space["trap_enter"](h, h[_PC], h[_CAUSE], h[_TVAL])
        if h[_EXIT]:
            raise _Exited(h[_EXIT])
        self._switch(h)
        return h[_PC], h[_BUDGET]

    def _trap(self, h: Any, n: int, cause: int, tval: int) -> None:
        h[_BUDGET], h[_CAUSE], h[_TVAL] = n, cause, tval
        raise _Leave(self, TRAP)

    def _leave(self, h: Any, n: int, code: int) -> None:
        h[_BUDGET] = n
        raise _Leave(self, LEAVE + code)

    def _leave_after(self, h: Any, pc: int, n: int, code: int) -> tuple[int, int]:
        h[_PC], h[_BUDGET] = pc, n
        raise _Exited(code)

    def _poll_at(self, h: Any, pc: int, n: int) -> tuple[int, int]:
        h[_PC], h[_BUDGET] = pc, n
        code = self._call("poll", h)
        if code:
            raise _Exited(code)
        self._switch(h)
        return h[_PC], h[_BUDGET]

    def _slow_load(self, h: Any, n: int, address: int, size: int, kind: int) -> int:
        h[_BUDGET] = n
        status = self._call("load_slow", h, address, size, kind)
        if status and status != DONE_POLL:
            raise _Leave(self, status)
        value: int = h[_VALUE]
        return value

    def _slow_store(self, h: Any, n: int, address: int, value: int, size: int) -> int:
        """Non-zero when the trace must end after this instruction."""
        h[_BUDGET] = n
        m = self._m
        writes = m[_CODE_WRITES]
        status = self._call("store_slow", h, address, value, size)
        if status and status != DONE_POLL:
            raise _Leave(self, status)
        if m[_CODE_WRITES] != writes:
            before = len(self._here.made)
            self._code_written(h, size)
            return status or len(self._here.made) != before
        return status

    def _code_written(self, h: Any, size: int) -> None:
        """A slow store reached code: its bytes lie in one page or in two."""
        first, last = h[_STORE_AT], h[_STORE_END]
        if last == first + size - 1:
            self.memory_changed(first, size)
        else:
            self.memory_changed(first, PAGE - (first & (PAGE - 1)))
            self.memory_changed(last & -PAGE, (last & (PAGE - 1)) + 1)

    def _device_load(self, h: Any, n: int, address: int, size: int, kind: int) -> int:
        h[_BUDGET] = n
        status = self._call("load_slow", h, address, size, kind)
        if status == LEAVE + Exit.FALLBACK:
            self._device = True
            try:
                return self._p.bus.read(h[_PHYS], Access(size, self._hart_index))
            except BusFault:
                cause = CAUSE.STORE_FAULT if kind else CAUSE.LOAD_FAULT
                self._trap(h, n, cause, address)
        if status and status != DONE_POLL:
            raise _Leave(self, status)
        value: int = h[_VALUE]
        return value

    def _device_store(self, h: Any, n: int, address: int, value: int, size: int) -> int:
        h[_BUDGET] = n
        writes = self._m[_CODE_WRITES]
        status = self._call("store_slow", h, address, value, size)
        if status == LEAVE + Exit.FALLBACK:
            self._device = True
            try:
                self._p.bus.write(h[_PHYS], value, Access(size, self._hart_index))
            except BusFault:
                self._trap(h, n, CAUSE.STORE_FAULT, address)
            return 0
        if status == DONE_POLL:
            self._device = True
            return 0
        if status:
            raise _Leave(self, status)
        if self._m[_CODE_WRITES] != writes:
            self._code_written(h, size)
        return 0
