"""An engine around any backend whose blocks Python calls, as docs/jit-backend.md describes it."""

from __future__ import annotations

from typing import ClassVar

from otoriscv.core.hart import Hart
from otoriscv.core.layout import HART, MACHINE, PAGE, Exit
from otoriscv.core.memory import Memory
from otoriscv.jit.engine import Platform
from otoriscv.jit.protocol import BlockExit, CompiledBlock, JitBackend, JitError
from otoriscv.jit.python.engine import PythonEngine

__all__ = ["BlockEngine"]


class BlockEngine:
    """Compiles everything at once, and interprets with the python engine what cannot be."""

    name: ClassVar[str] = "blocks"
    even: bool = False

    def __init__(
        self, platform: Platform, helper: PythonEngine, backend: JitBackend, limit: int = 64
    ) -> None:
        self._m = platform.m
        self._memory: Memory = platform.memory
        self._breakpoints = platform.breakpoints
        self._helper = helper
        self.backend = backend
        self._limit = limit
        self._blocks: dict[tuple[int, int], CompiledBlock | None] = {}
        self.executed = self.stepped = self.errors = 0

    def run(self, hart: Hart) -> int:
        q, routine = hart.q, self._helper.routine
        q[HART["exit_code"]] = 0
        code = routine("poll")(q)
        while not code:
            if not q[HART["budget"]] or self._m[MACHINE["stop"]]:
                code = routine("poll")(q)
                continue
            status = routine("fetch_slow")(q, q[HART["pc"]])
            if status == 1:
                code = self._trap(hart)
            elif status:
                code = status - 16
            elif q[HART["pc"]] in self._breakpoints:
                code = Exit.BREAKPOINT
            else:
                code = self._one(hart, q[HART["value"]] + (q[HART["pc"]] & (PAGE - 1)))
        q[HART["exit_code"]] = code
        return int(code)

    def _one(self, hart: Hart, offset: int) -> int:
        """One block, or one instruction; an exit or 0."""
        q = hart.q
        address = self._memory.address_of(offset)
        assert address is not None
        block = self._block(address, q[HART["mode"]])
        there = self.backend.capabilities.relocatable or address == q[HART["pc"]]
        if block is None or not there or q[HART["budget"]] < block.longest:
            return self._step(hart)
        self.executed += 1
        left = block.execute(hart)
        if left == BlockExit.TRAP:
            return self._trap(hart)
        if left == BlockExit.FALLBACK:
            return self._step(hart)
        if left == BlockExit.STOP:
            return int(q[HART["exit_code"]] or self._helper.routine("poll")(q))
        return 0

    def _trap(self, hart: Hart) -> int:
        q = hart.q
        cause, tval = q[HART["trap_cause"]], q[HART["trap_tval"]]
        q[HART["exit_code"]] = 0
        q[HART["pc"]] = self._helper.routine("trap_enter")(q, q[HART["pc"]], cause, tval)
        return int(q[HART["exit_code"]])

    def _step(self, hart: Hart) -> int:
        """One instruction; its budget is there, so that nothing is polled before."""
        self.stepped += 1
        if not hart.q[HART["budget"]]:
            return 0
        code = self._helper.step(hart)
        return 0 if code == Exit.SLICE else code

    def _block(self, address: int, mode: int) -> CompiledBlock | None:
        key = address, mode
        known = self._blocks.get(key)
        if key not in self._blocks or (known is not None and not known.valid):
            try:
                self._blocks[key] = self.backend.compile(address, mode, self._limit)
            except JitError:
                self.errors += 1
                self._blocks[key] = None
        return self._blocks[key]

    # -- the rest of the run contract

    def step(self, hart: Hart) -> int:
        return self._helper.step(hart)

    def memory_changed(self, offset: int, length: int) -> None:
        address = self._memory.address_of(offset)
        if address is not None:
            self.backend.invalidate(address, length)
        self._forget()

    def breakpoints_changed(self, address: int) -> None:
        # one that is cut before it is as good as before when it goes: only shorter
        self.backend.invalidate(address, 2)
        self._forget()

    def _forget(self) -> None:
        """What could not be compiled may be now; what is gone needs no memory."""
        kept = {key: b for key, b in self._blocks.items() if b is not None and b.valid}
        self._blocks = kept  # type: ignore[assignment]  # dict is invariant

    def adopt_programs(self, hart: Hart) -> None:
        """Conditions stay with whoever runs the machine."""

    def watchpoints_changed(self) -> None:
        self.backend.clear()
        self._forget()

    def compiled_at(self, pc: int, physical: int, *, translated: bool) -> int:
        """How many blocks contain it."""
        blocks = [b for b in self._blocks.values() if b is not None and b.valid]
        return sum(any(s <= pc < e for s, e in b.spans) for b in blocks)

    def report(self) -> dict[str, object]:
        return {"executed": self.executed, "stepped": self.stepped, "errors": self.errors}

    def close(self) -> None:
        self.backend.clear()
