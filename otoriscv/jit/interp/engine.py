"""The ``interp`` engine: the threaded native interpreter."""

from __future__ import annotations

import ctypes
from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

from otoriscv.core.layout import (
    HART,
    HART_SIZE,
    LINE_CODE,
    LINE_SHIFT,
    LINES,
    MACHINE,
    PAGE,
    Exit,
    entry_offset,
    hart_offset,
)
from otoriscv.core.mode import FLAT
from otoriscv.jit.cache import open_cache
from otoriscv.jit.engine import EngineUnavailable, Platform
from otoriscv.jit.interp.device_access import DeviceAccesses
from otoriscv.jit.interp.library import library
from otoriscv.jit.interp.slots import Slots
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.python.engine import PythonEngine
from otoriscv.jit.settings import JitSettings

if TYPE_CHECKING:
    from otoriscv.core.agent_programs import AgentPrograms
    from otoriscv.core.hart import Hart
    from otoriscv.jit.interp.programs import Programs

__all__ = ["InterpEngine"]

_PC = HART["pc"]
_BUDGET = HART["budget"]
_EXIT = HART["exit_code"]
_DEVICE = HART["device"]
_WATCH_SKIP = HART["watch_skip"]
_STOP = MACHINE["stop"]
_PAST = MACHINE["past"]
_STEPS_END = MACHINE["steps_end"]
_SLICE_END = MACHINE["slice_end"]
_TRAP_EXITS = MACHINE["trap_exits"]


class InterpEngine:
    """Runs the handlers generated for the machine's XLEN."""

    name: ClassVar[str] = "interp"
    even: bool = False

    def __init__(
        self, platform: Platform, helper: PythonEngine, settings: JitSettings | None = None
    ) -> None:
        if not platform.arena.pool:
            raise EngineUnavailable(
                "the reservation for decoded instructions was refused: use --engine python, "
                "or allow more virtual memory (ulimit -v, vm.overcommit_memory)"
            )
        self._p = platform
        self._m = platform.m
        self._helper = helper
        self._store = open_cache(settings)
        self._library = library(platform.isa.xlen, self._store)
        self._enter = self._library.enter
        self._base = platform.arena.address
        clock = ctypes.CDLL(None).clock_gettime
        platform.m[MACHINE["host_clock_fn"]] = ctypes.cast(clock, ctypes.c_void_p).value or 0
        for name, address in self._library.routines.items():
            platform.m[MACHINE[f"{name}_fn"]] = address
        helper.use_routines(self._native_routine)
        self._devices = DeviceAccesses(platform)
        self._prepared: set[int] = set()
        self._slots: Slots | None = None
        self._programs: Programs | None = None
        self._changed: set[int] = set()  # breakpoints changed since the last run

    def _native_routine(self, name: str) -> Callable[..., int]:
        """One of `STEP_ROUTINES` as ``f(hart's number, parameters)``."""
        routine, base = self._library.routine(name), self._base
        return lambda index, *args: routine(base + hart_offset(index), base, *args)

    def run(self, hart: Hart) -> int:
        """Run until an exit (docs/abi.md)."""
        if self._changed:
            self._apply_changes(hart)
        if hart.index not in self._prepared:
            self._prepare(hart)
        q, own = hart.q, self._base + hart_offset(hart.index)
        self._enter(own, self._base)
        while q[_EXIT] == Exit.FALLBACK and q[_DEVICE]:
            self._devices.serve(hart)
            self._enter(own, self._base)
        code: int = q[_EXIT]
        return code

    def _prepare(self, hart: Hart) -> None:
        if self._slots is not None:
            self._slots.use(hart)
        else:
            hart.q[HART["table"]] = self._library.table
            hart.q[HART["exact_table"]] = self._library.exact_table
        self._prepared.add(hart.index)

    def step(self, hart: Hart) -> int:
        """One instruction, trap or interrupt: a run with a budget of one that any trap ends.

        What needs Python, and conditional breakpoints, are left to the python engine.
        """
        q, m = hart.q, self._m
        pc = q[_PC]
        if m[_STOP] or q[_WATCH_SKIP] or self._p.programs_at(pc):
            return self._helper.step(hart)
        m[_PAST] = pc | 1
        if self._changed:
            self._apply_changes(hart)
        if hart.index not in self._prepared:
            self._prepare(hart)
        slice_end, trap_exits = m[_SLICE_END], m[_TRAP_EXITS]
        m[_SLICE_END] = m[_STEPS_END] - q[_BUDGET] + 1
        m[_TRAP_EXITS] = 1
        try:
            self._enter(self._base + hart_offset(hart.index), self._base)
        finally:
            m[_SLICE_END], m[_TRAP_EXITS] = slice_end, trap_exits
            m[_PAST] = 0
        code: int = q[_EXIT]
        if code == Exit.TRAP and not trap_exits:
            return Exit.SLICE
        if code in (Exit.STOP, Exit.FALLBACK):  # nothing was done yet
            return self._helper.step(hart)
        return code

    def memory_changed(self, offset: int, length: int) -> None:
        """`Memory.written` has zeroed the decoded entries already."""

    def breakpoints_changed(self, address: int) -> None:
        """Decode the instruction at *address* again, wherever it may be."""
        self._changed.add(address)
        arena = self._p.arena
        for place in self._places(address):
            entry = entry_offset(arena.pool, place)
            arena.view8[entry : entry + 16] = bytes(16)

    def _places(self, address: int) -> list[int]:
        """Arena offsets with code that *address* may lead to: without translation one, with it
        that place in every page."""
        memory, flags = self._p.memory, self._p.arena.view8
        direct = memory.find(address)
        if direct is not None and not self._translating():
            return [direct]
        inside = address & (PAGE - 2)
        step = PAGE >> LINE_SHIFT
        found = [] if direct is None else [direct]
        for r in memory.ranges():
            first = LINES + (r.offset + inside >> LINE_SHIFT)
            lines = bytes(flags[first : LINES + (r.offset + r.size >> LINE_SHIFT) : step])
            found += [r.offset + inside + n * PAGE for n, f in enumerate(lines) if f & LINE_CODE]
        return found

    def _translating(self) -> bool:
        """Whether any hart has page tables."""
        harts = range(self._m[MACHINE["nharts"]])
        return any(self._p.arena.words(hart_offset(n), HART_SIZE)[HART["satp"]] for n in harts)

    def adopt_programs(self, hart: Hart) -> None:
        """The breakpoint's decoded entry leads to its compiled programs from now on."""
        pc = hart.pc
        programs = self._p.programs_at(pc)
        offset = self._helper.place(hart)
        if programs and offset is not None:
            self._adopt(pc, offset, programs)

    def _adopt(self, pc: int, offset: int, programs: AgentPrograms) -> None:
        entry = entry_offset(self._p.arena.pool, offset)
        own = self._decode_in_place(pc, offset, entry)
        if own is None:
            return
        if not self._own_programs().adopt(pc, entry, programs, own):
            self._p.arena.view8[entry : entry + 16] = bytes(16)

    def _decode_in_place(self, pc: int, offset: int, entry: int) -> int | None:
        """Decode the instruction into its entry whatever was there; its handler's number. None
        for one across the end of a page, which has no entry of its own.
        """
        view = self._p.arena.view8
        word = int.from_bytes(view[offset : offset + 4], "little")
        if word & 3 == 3 and pc & (PAGE - 1) == PAGE - 2:
            return None
        hart = self._base + hart_offset(0)
        self._library.decode_entry(hart, self._base, word, pc & (PAGE - 1), entry)
        return int.from_bytes(view[entry : entry + 2], "little")

    def _own_programs(self) -> Programs:
        if self._programs is None:
            if self._slots is None:
                self._slots = Slots(self._library)
                self._prepared.clear()  # the harts' tables are these now
            from otoriscv.jit.interp.programs import Programs  # few machines have any

            arena = self._p.arena.view8
            self._programs = Programs(
                self._p.isa.xlen, arena, self._slots, self._code_arena(), self._store
            )
        return self._programs

    def _code_arena(self) -> CodeArena:
        return CodeArena(1 << 20)

    def _apply_changes(self, hart: Hart) -> None:
        """Keep the compiled programs of breakpoints that are back as they were."""
        changed, self._changed = self._changed, set()
        if self._programs is None:
            return
        programs = self._programs.all()
        flat = hart.q[HART["mode"]] & FLAT
        for address in changed & programs.keys():
            offset = self._p.memory.find(address)
            if offset is not None and flat and self._p.programs_at(address) == programs[address]:
                self._adopt(address, offset, programs[address])
            else:
                self._programs.forget(address)

    def watchpoints_changed(self) -> None:
        """Watched pages leave the TLBs, which the machine flushes; nothing is rebuilt."""

    def report(self) -> dict[str, object]:
        """Where the interpreter itself came from."""
        return {"interpreter": "from the cache" if self._library.cached else "built now"}

    def compiled_at(self, pc: int, physical: int, *, translated: bool) -> int:
        """The interpreter compiles nothing."""
        return 0

    def close(self) -> None:
        """The library is shared; nothing is this machine's own."""
        self._prepared.clear()
