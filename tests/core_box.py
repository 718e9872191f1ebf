"""A machine without an engine: an arena, memory and harts, and the routines to call on them."""

from __future__ import annotations

from collections.abc import Callable

from otoriscv.core import architecture
from otoriscv.core.evaluate import Evaluator
from otoriscv.core.hart import Hart
from otoriscv.core.isa_string import Isa, extension_bit
from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.memory import Arena, Memory
from otoriscv.jit.python.routines import compile_routines

__all__ = ["RAM", "ROM", "SECOND", "Box", "architecture"]

RAM = 0x8000_0000
SECOND = 0x8002_0000  # right behind a hole
ROM = 0x1000


class Box:
    """``call`` runs a routine on hart 0 through *backend*: the evaluator or compiled Python."""

    def __init__(
        self,
        xlen: int = 64,
        backend: str = "python",
        *,
        harts: int = 1,
        isa: str = "",
        off: str = "",
    ) -> None:
        self.xlen = xlen
        self.arena = Arena(1 << 20)
        self.m = self.arena.machine
        self.memory = Memory(self.arena)
        self.memory.add(RAM, 0x1_0000)
        self.memory.add(ROM, 0x1000, rom=True)
        self.memory.add(SECOND, 0x1000)
        bits = (Isa.parse(isa) if isa else Isa.full(xlen)).bits
        for name in off.split():
            bits &= ~(1 << extension_bit(name))
        self.harts = [Hart(self.arena, n, xlen, bits) for n in range(harts)]
        self.hart = self.harts[0]
        self.q = self.hart.q
        self.m[MACHINE["nharts"]] = harts
        self.m[MACHINE["time_num"]] = self.m[MACHINE["time_den"]] = 1
        self.m[MACHINE["clint_base"]] = 0x200_0000
        self.m[MACHINE["uart_base"]] = 0x1000_0000
        self.set_budget(1000)
        self.m[MACHINE["slice_end"]] = 1000
        self._routine: Callable[[str], Callable[..., int]]
        if backend == "python":
            space = compile_routines(xlen, self.arena.view8, self.m)
            self._routine = space.__getitem__
        else:
            evaluator = Evaluator(self.arena.view8, xlen)
            self._routine = lambda name: lambda q, *args: evaluator.call(name, *args)
        self.hart.routines = self._routine

    def set_budget(self, budget: int) -> None:
        """The running hart has *budget* steps left, and nothing was done before."""
        self.m[MACHINE["steps_end"]] = self.q[HART["retired_end"]] = budget
        self.q[HART["budget"]] = budget

    def call(self, name: str, *args: int) -> int:
        return self._routine(name)(self.q, *args)

    def get(self, field: str) -> int:
        value: int = self.q[HART[field]]
        return value

    def set(self, **fields: int) -> None:
        for field, value in fields.items():
            self.q[HART[field]] = value

    def get_m(self, field: str) -> int:
        value: int = self.m[MACHINE[field]]
        return value

    def set_m(self, **fields: int) -> None:
        for field, value in fields.items():
            self.m[MACHINE[field]] = value

    def watch(self, *points: tuple[int, int, int]) -> None:
        """Set the watchpoint table: (address, length, kinds)."""
        at = MACHINE["watchpoints"]
        for n, point in enumerate(points):
            for k, word in enumerate(point):
                self.m[at + 3 * n + k] = word
        self.set_m(nwatchpoints=len(points))
        self.hart.flush_tlb()

    def close(self) -> None:
        self.arena.close()
