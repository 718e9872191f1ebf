"""`Machine.memory`: what a hart's own loads and stores find is the oracle."""

from __future__ import annotations

import random

import pytest

from otoriscv import Machine, MemoryHole
from otoriscv.core.encode import assemble

RAM = 0x8000_0000
TABLES = RAM + 0x10_0000
LEAF, POINTER = 0xCF, 1  # D A R W X V, not U: S-mode's


class Tables:
    """Page tables in guest memory."""

    def __init__(self, machine: Machine, mode: int) -> None:
        self.machine = machine
        self.wide = machine.board.xlen == 64
        self.bits = 9 if self.wide else 10
        self.levels = {1: 2, 8: 3, 9: 4}[mode]
        self.satp = mode << (60 if self.wide else 31) | TABLES >> 12
        self._free = TABLES + 0x1000

    def map(self, virtual: int, physical: int, level: int = 0) -> None:
        """Map the page of *level*."""
        mem = self.machine.mem.u64 if self.wide else self.machine.mem.u32
        size = 8 if self.wide else 4
        table = TABLES
        for at in range(self.levels - 1, level - 1, -1):
            index = virtual >> 12 + at * self.bits & (1 << self.bits) - 1
            place = table + index * size
            if at == level:
                mem[place] = physical >> 12 << 10 | LEAF
            elif not mem[place]:
                mem[place] = self._free >> 12 << 10 | POINTER
                self._free += 0x1000
            table = mem[place] >> 10 << 12


def loaded(machine: Machine, address: int) -> int | None:
    """What a load in S-mode finds, None for a page fault."""
    machine.regs.pc, machine.regs.priv, machine.regs.a0 = RAM, 1, address
    machine.regs.mcause = 0
    machine.step()
    return None if machine.regs.mcause else machine.regs.a1


CASES = [
    ("rv32imac_zicsr", 1, 0x4000_0000, 0xC123_4000),
    ("rv64imac_zicsr", 8, 0x2A_0000_0000, 0xFFFF_FFC1_2345_6000),
    ("rv64imac_zicsr", 9, 0x7A12_0000_0000, 0xFFFF_8001_2345_6000),
]


@pytest.mark.parametrize(("isa", "mode", "large", "small"), CASES)
def test_it_is_what_loads_find(isa: str, mode: int, large: int, small: int) -> None:
    with Machine(isa=isa) as m:
        xlen = m.board.xlen
        m.mem[RAM] = assemble("lbu a1, 0(a0)", xlen, RAM).code
        m.regs.pmpaddr0, m.regs.pmpcfg0 = -1, 0x1F  # everything, for S-mode too
        noise = random.Random(mode)
        m.mem[RAM + 0x40_0000] = noise.randbytes(0x4000)
        tables = Tables(m, mode)
        tables.map(RAM, RAM, 1)  # the code
        tables.map(large, RAM + 0x40_0000, 1)
        tables.map(small, RAM + 0x40_3000)
        tables.map(small + 0x1000, RAM + 0x40_1000)
        m.regs.satp = tables.satp
        starts = (large, large + 0x3000, small, small + 0x1000, small + 0x2000, large - 0x1000)
        places = [at + noise.randrange(0x1000) for at in starts for _ in range(8)]
        if xlen == 64:
            places += [small & (1 << 63) - 1, 1 << 50]
        seen = [loaded(m, at) for at in places]
        assert None in seen
        assert len(set(seen)) > 10
        m.regs.priv = 1
        for at, value in zip(places, seen, strict=True):
            if value is None:
                with pytest.raises(MemoryHole, match="nothing is mapped"):
                    m.memory[at]
            else:
                assert m.memory[at] == value, hex(at)


def test_across_pages_and_writes() -> None:
    with Machine(isa="rv64imac_zicsr") as m:
        tables = Tables(m, 8)
        tables.map(0x5000, RAM + 0x40_3000)
        tables.map(0x6000, RAM + 0x40_1000)
        assert m.memory.u32[RAM] == 0  # machine mode: physical
        m.regs.satp, m.regs.priv = tables.satp, 1
        m.memory[0x5FFE] = b"abcd"
        assert m.mem[RAM + 0x40_3FFE : +2] == b"ab"
        assert m.mem[RAM + 0x40_1000 : +2] == b"cd"
        assert m.memory.cstring(0x5FFE) == "abcd"
        with pytest.raises(MemoryHole):
            m.memory[0x6FFE] = b"none of it"
        assert m.memory[0x6FFE:+2] == bytes(2)
        assert m.harts[0].memory.u16[0x5FFF] == int.from_bytes(b"bc", "little")
        before = m.mem[TABLES:+0x3000]
        m.regs.mstatus = 1 << 17 | 1 << 11  # MPRV, MPP = S
        m.regs.priv = 3
        assert m.memory[0x5FFE:+4] == b"abcd"
        assert m.mem[TABLES:+0x3000] == before
