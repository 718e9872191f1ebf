"""An engine, one hart and memory, without a board: what the tests of engines run programs in.

Every engine of `otoriscv.jit.engines` takes part by being listed there. ``step`` is the python
engine one instruction at a time: it keeps nothing that was made from code, and so is the reference
where code changes.
"""

from __future__ import annotations

import functools
import tempfile
from typing import Final

import pytest

from otoriscv.board.points import Breakpoints, Watchpoints
from otoriscv.core.agent_programs import AgentPrograms
from otoriscv.core.bus import Bus
from otoriscv.core.encode import Program, assemble
from otoriscv.core.hart import Hart
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import HART, HART_FIELDS_END, MACHINE, MEM, Exit
from otoriscv.core.memory import Arena, Memory
from otoriscv.devices.clint import Clint
from otoriscv.jit.cache import open_cache
from otoriscv.jit.engine import Engine, EngineUnavailable
from otoriscv.jit.engines import ENGINES as KNOWN
from otoriscv.jit.engines import create
from otoriscv.jit.python.engine import PythonEngine
from otoriscv.jit.settings import JitSettings

__all__ = [
    "CLINT",
    "ENGINES",
    "EVERY",
    "HOT",
    "NATIVE_STEPS",
    "RAM",
    "STEP",
    "EngineBox",
    "Exit",
    "difference",
    "fresh",
]

STEP: Final = "step"
#: The llvm engine compiling at once what was seen twice: most of a short program runs in regions.
HOT: Final = "llvm at once"
#: Native engines whose runs are made of their own single steps.
NATIVE_STEPS: Final = ("interp step by step", "llvm step by step")
ENGINES: Final = tuple(KNOWN)
EVERY: Final = (*ENGINES, STEP)

RAM: Final = 0x8000_0000
CLINT: Final = 0x200_0000
NEVER: Final = (1 << 64) - 1

#: Fields that say how the engine got there, not where the hart is.
_SCRATCH: Final = frozenset(
    ("budget", "retired_end", "exit_code", "exit_addr", "exit_kind", "value", "trap_cause",
     "trap_tval", "watch_skip", "exit_access", "exit_size", "exit_value")
)  # fmt: skip
_MTIE: Final = 1 << 7


class _Mtime:
    """The box's clock for the CLINT in Python: one tick a step."""

    def __init__(self, box: EngineBox) -> None:
        self._box = box

    def read(self) -> int:
        return self._box.ticks

    def write(self, ticks: int) -> None:
        m = self._box.m
        m[MACHINE["time_delta"]] = (ticks - self._box.steps - m[MACHINE["skip"]]) & NEVER
        m[MACHINE["retime"]] = 1


class EngineBox:
    """*engine* is one of `EVERY`; *clint*: ``native`` code does its accesses, or ``python``.
    *more* are further RAM ranges.
    """

    def __init__(
        self,
        engine: str = "python",
        xlen: int = 64,
        *,
        isa: str = "",
        size: int = 1 << 20,
        ram: int = RAM,
        more: tuple[tuple[int, int], ...] = (),
        clint: str = "",
        misaligned_trap: bool = False,
    ) -> None:
        self.isa = Isa.parse(isa) if isa else Isa.full(xlen)
        self.xlen = self.isa.xlen
        self.mask = (1 << self.xlen) - 1
        self.ram, self.size = ram, size
        self.arena = Arena(size + sum(length for _, length in more))
        self.m = self.arena.machine
        self.memory = Memory(self.arena)
        for base, length in ((ram, size), *more):
            self.memory.add(base, length)
        self.bus = Bus()
        self.hart = Hart(
            self.arena, 0, self.xlen, self.isa.bits, reset_vector=ram,
            misaligned_trap=misaligned_trap,
        )  # fmt: skip
        self.q = self.hart.q
        self.m[MACHINE["nharts"]] = 1
        self.m[MACHINE["time_num"]] = self.m[MACHINE["time_den"]] = 1
        if clint:
            self.bus.map(CLINT, 0x1_0000, Clint([self.q], _Mtime(self), self._deadline_moved))
            self.m[MACHINE["clint_base"]] = CLINT if clint == "native" else 0
        self.breakpoints = Breakpoints(self.m, self._breakpoint_changed)
        self.watchpoints = Watchpoints(self.m, self._watchpoints_changed)
        self.stepper = PythonEngine(self)
        self.main_engine: Engine = self.stepper
        if engine != STEP:
            try:
                self.main_engine = self._create(engine)
            except EngineUnavailable as e:
                pytest.skip(str(e))
        self.engine = engine
        self.hart.routines = self.stepper.routine
        self.memory.on_code_write.append(self._memory_changed)

    def _deadline_moved(self, hart: int) -> None:
        self.m[MACHINE["retime"]] = 1

    def _create(self, engine: str) -> Engine:
        if engine != HOT:
            engine = engine.removesuffix(" step by step")
            return create(engine, self, lambda: self.stepper)
        from otoriscv.jit.interp.library import library
        from otoriscv.jit.llvm.engine import LlvmEngine

        # from the usual cache; what random programs compile to does not go there
        library(self.xlen, open_cache())
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("OTORISCV_CACHE_DIR", _scratch_cache().name)
            return LlvmEngine(self, self.stepper, JitSettings(threshold=1, workers=0))

    def _engines(self) -> list[Engine]:
        both = [self.main_engine, self.stepper]
        return both[1:] if both[0] is both[1] else both

    def _memory_changed(self, offset: int, length: int) -> None:
        for e in self._engines():
            e.memory_changed(offset, length)

    def programs_at(self, address: int) -> AgentPrograms:
        """There are none here."""
        return AgentPrograms()

    def _breakpoint_changed(self, address: int) -> None:
        self.main_engine.breakpoints_changed(address)

    def _watchpoints_changed(self, reads: bool, writes: bool) -> None:
        self.hart.set_watching(reads, writes)
        for e in self._engines():
            e.watchpoints_changed()

    # -- set-up

    def reset(self) -> None:
        """Power-on state: time zero, memory zero, no breakpoints and watchpoints."""
        self.breakpoints.clear()
        self.watchpoints.clear()
        used = bytes(self.memory.read(self.ram, self.size)).rstrip(b"\0")
        if used:
            self.memory.write(self.ram, bytes(len(used)))
        for name in ("stop", "steps_end", "slice_end", "skip", "time_delta", "traps", "interrupts"):
            self.m[MACHINE[name]] = 0
        self.hart.reset()

    def load(self, code: str | bytes | Program, at: int | None = None) -> Program:
        """Put a program (or its assembly text) into memory; pc goes to its beginning."""
        at = self.ram if at is None else at
        if isinstance(code, str):
            code = assemble(code, self.xlen, at)
        if isinstance(code, bytes):
            code = Program(at, code, {})
        self.memory.write(code.base, code.code)
        self.hart.pc = code.base
        return code

    # -- running

    @property
    def steps(self) -> int:
        """Instructions retired and traps taken."""
        value: int = self.m[MACHINE["steps_end"]] - self.q[HART["budget"]]
        return value

    @property
    def ticks(self) -> int:
        """mtime."""
        m = self.m
        total: int = self.steps + m[MACHINE["skip"]] + m[MACHINE["time_delta"]]
        return total & NEVER

    def run(self, steps: int = 100_000) -> int:
        """Run exactly *steps* steps; SLICE, or the exit that came before.

        A wfi that the timer ends takes no time at all here; any other is an exit.
        """
        goal = self.steps + steps
        while self.steps < goal:
            self.m[MACHINE["slice_end"]] = goal
            code = self._some()
            if code == Exit.FALLBACK:
                code = self.stepper.step(self.hart)
            self._settle()
            if code == Exit.WFI and self._skip_to_timer():
                continue
            if code != Exit.SLICE:
                return code
        assert self.steps == goal, f"{self.engine} did {self.steps - goal} steps too many"
        return Exit.SLICE

    def resume(self, steps: int = 100_000) -> int:
        """Likewise, but a breakpoint or watchpoint does not stop the first instruction."""
        code = self.step(past=True)
        return self.run(steps - 1) if code == Exit.SLICE else code

    def step(self, *, past: bool = False) -> int:
        """One step; *past*: watchpoints do not stop it."""
        self.m[MACHINE["slice_end"]] = self.steps + 1
        self.q[HART["watch_skip"]] = past
        try:
            return self.stepper.step(self.hart)
        finally:
            self.q[HART["watch_skip"]] = 0
            self._settle()

    def _some(self) -> int:
        if self.engine != STEP and self.engine not in NATIVE_STEPS:
            return self.main_engine.run(self.hart)
        if self.m[MACHINE["stop"]]:
            return Exit.STOP
        if self.engine in NATIVE_STEPS:
            return self.main_engine.step(self.hart)
        if self.hart.pc in self.breakpoints:
            return Exit.BREAKPOINT
        return self.stepper.step(self.hart)

    def _settle(self) -> None:
        """Give the unused budget back, as the board does."""
        left = self.q[HART["budget"]]
        assert left <= 1 << 40, f"{self.engine} overdrew its budget: {left - (1 << 64)}"
        self.m[MACHINE["steps_end"]] -= left
        self.q[HART["retired_end"]] = (self.q[HART["retired_end"]] - left) & NEVER
        self.q[HART["budget"]] = 0

    def _skip_to_timer(self) -> bool:
        compare = self.q[HART["mtimecmp"]]
        if compare == NEVER or not self.q[HART["mie"]] & _MTIE:
            return False
        self.m[MACHINE["skip"]] += max(0, compare - self.ticks)
        return True

    # -- state

    def state(self) -> dict[str, int]:
        """Everything architectural, by name."""
        q = self.q.tolist()
        out = {f"x{n}": q[n] for n in range(32)}
        out["steps"] = self.steps
        out["retired"] = self.hart.retired
        out["ticks"] = self.ticks
        names = sorted((n, name) for name, n in HART.items() if 32 < n < HART_FIELDS_END)
        for (n, name), (end, _) in zip(names, [*names[1:], (HART_FIELDS_END, "")], strict=True):
            for k in range(n, end):
                if name not in _SCRATCH:
                    out[name if end == n + 1 else f"{name}[{k - n}]"] = q[k]
        # MTIP is brought up to date when somebody may look
        out["mip"] = out["mip"] & ~_MTIE | (_MTIE if self.ticks >= out["mtimecmp"] else 0)
        return out

    def brief(self) -> tuple[int, ...]:
        """pc, retired instructions and registers: enough to tell where a run is."""
        return self.hart.pc, self.hart.retired, *self.hart.x

    def ram_bytes(self) -> bytes:
        """All of RAM."""
        return bytes(self.arena.view8[MEM : MEM + self.size])

    def close(self) -> None:
        for e in self._engines():
            e.close()
        self.memory.close()


@functools.cache
def _scratch_cache() -> tempfile.TemporaryDirectory[str]:
    return tempfile.TemporaryDirectory(prefix="otoriscv-test-")


@functools.cache
def _kept(engine: str, xlen: int, clint: str) -> EngineBox:
    return EngineBox(engine, xlen, clint=clint)


def fresh(engine: str, xlen: int, clint: str = "") -> EngineBox:
    """A reset box. There is one of each kind, because making one takes a while; so what a program
    leaves behind in an engine meets the next one, as it should be able to."""
    box = _kept(engine, xlen, clint)
    box.reset()
    return box


def difference(a: EngineBox, b: EngineBox, *, memory: bool = True) -> str:
    """What is not the same in two boxes, for a person to read; nothing when all is."""
    one, other = a.state(), b.state()
    lines = [
        f"{name}: {a.engine} {one[name]:#x}, {b.engine} {other[name]:#x}"
        for name in one
        if one[name] != other[name]
    ]
    if memory and (left := a.ram_bytes()) != (right := b.ram_bytes()):
        bad = [n for n, (x, y) in enumerate(zip(left, right, strict=True)) if x != y]
        at = bad[0] & -8
        lines.append(
            f"{len(bad)} bytes of memory, first at {a.ram + bad[0]:#x}: "
            f"{a.engine} {left[at : at + 8].hex()}, {b.engine} {right[at : at + 8].hex()}"
        )
    return "\n".join(lines)
