"""The ``interp`` engine: the threaded native interpreter."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, ClassVar

from otoriscv.core.layout import (
    HART,
    LINE_BREAK,
    LINE_SHIFT,
    LINES,
    MACHINE,
    entry_offset,
    hart_offset,
)
from otoriscv.jit.engine import EngineUnavailable, Platform
from otoriscv.jit.interp.library import library
from otoriscv.jit.python.engine import PythonEngine

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart

__all__ = ["InterpEngine"]


class InterpEngine:
    """Runs the handlers generated for the machine's XLEN."""

    name: ClassVar[str] = "interp"

    def __init__(self, platform: Platform, helper: PythonEngine) -> None:
        if not platform.arena.pool:
            raise EngineUnavailable(
                "the reservation for decoded instructions was refused: use --engine python, "
                "or allow more virtual memory (ulimit -v, vm.overcommit_memory)"
            )
        self._p = platform
        self._helper = helper
        self._library = library(platform.isa.xlen)
        self._enter = self._library.enter
        self._base = platform.arena.address
        clock = ctypes.CDLL(None).clock_gettime
        platform.m[MACHINE["host_clock_fn"]] = ctypes.cast(clock, ctypes.c_void_p).value or 0
        self._prepared: set[int] = set()

    def run(self, hart: Hart) -> int:
        """Run until an exit (docs/abi.md)."""
        if hart.index not in self._prepared:
            self._prepare(hart)
        self._enter(self._base + hart_offset(hart.index), self._base)
        code: int = hart.q[HART["exit_code"]]
        return code

    def _prepare(self, hart: Hart) -> None:
        hart.q[HART["table"]] = self._library.table
        hart.q[HART["exact_table"]] = self._library.exact_table
        self._prepared.add(hart.index)

    def step(self, hart: Hart) -> int:
        """One instruction, through the python engine."""
        return self._helper.step(hart)

    def memory_changed(self, offset: int, length: int) -> None:
        """`Memory.written` has zeroed the decoded entries already."""

    def breakpoints_changed(self, address: int) -> None:
        """Decode the instruction at *address* again; its line says whether to look for it."""
        offset = self._p.memory.find(address)
        if offset is None:
            return
        view = self._p.arena.view8
        entry = entry_offset(self._p.arena.pool, offset)
        view[entry : entry + 16] = bytes(16)
        mark = LINES + (offset >> LINE_SHIFT)
        if address in self._p.breakpoints:
            view[mark] |= LINE_BREAK

    def watchpoints_changed(self) -> None:
        """Watched pages leave the TLBs, which the machine flushes; nothing is rebuilt."""

    def close(self) -> None:
        """The library is shared; nothing is this machine's own."""
        self._prepared.clear()


