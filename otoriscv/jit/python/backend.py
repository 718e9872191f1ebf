"""The ``python`` engine's traces behind the backend contract (docs/jit-backend.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

from otoriscv.core.layout import PAGE, Exit
from otoriscv.core.mode import FLAT
from otoriscv.jit.engine import Platform
from otoriscv.jit.protocol import BlockExit, Capabilities, JitError
from otoriscv.jit.python.trace import LIMIT, Trace

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.jit.python.engine import PythonEngine

__all__ = ["PythonBackend", "PythonBlock"]


class PythonBlock:
    """A trace of the engine's own. Its addresses are constants."""

    def __init__(self, engine: PythonEngine, entry: int, mode: int, trace: Trace) -> None:
        self._engine = engine
        self._trace = trace
        self.entry = entry
        self.mode = mode
        self.longest = trace.longest
        self.spans = tuple(sorted((pc, pc + size) for pc, size in trace.spans))

    @property
    def valid(self) -> bool:
        """Whether the engine still has it."""
        return self._engine.trace_at(self.entry) is self._trace

    def execute(self, hart: Hart) -> BlockExit:
        """Run it; traps and device accesses are dealt with inside."""
        code = self._engine.run_trace(hart, self._trace)
        return BlockExit.CONTINUE if code == Exit.NONE else BlockExit.STOP


class PythonBackend:
    """Makes the traces of *engine*; *hart* is the one whose view of memory they are made from."""

    name: ClassVar[str] = "python"
    capabilities: ClassVar[Capabilities] = Capabilities(
        native=False,
        translated=False,
        relocatable=False,
        background=False,
        persistent=False,
        limit=LIMIT,
    )

    def __init__(self, platform: Platform, engine: PythonEngine, hart: Hart) -> None:
        self._p = platform
        self._engine = engine
        self._hart = hart

    def compile(self, address: int, mode: int, limit: int) -> PythonBlock:
        """The trace from *address*."""
        if not mode & FLAT:
            raise JitError("only traces for untranslated addresses are made one by one")
        trace = self._engine.make_trace(self._hart, address, min(limit, LIMIT))
        if trace is None:
            raise JitError(f"no code to compile at {address:#x}")
        return PythonBlock(self._engine, address, mode, trace)

    def invalidate(self, address: int, length: int) -> int:
        """Drop the traces made from these bytes."""
        offset = self._p.memory.find(address)
        before = self._engine.report()["traces"]
        if offset is not None:
            self._engine.memory_changed(offset, length)
        return before - self._engine.report()["traces"]

    def invalidate_page(self, address: int) -> int:
        """Drop the traces made from a page."""
        return self.invalidate(address & -PAGE, PAGE)

    def clear(self) -> None:
        """Drop every trace."""
        for r in self._p.memory.ranges():
            self._engine.memory_changed(r.offset, r.size)
