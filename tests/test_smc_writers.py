"""Code rewritten at random by everything that can write: the hart itself, another hart, a device's
DMA, the debugger and the Python API; every engine ends as one that decodes each instruction anew.
"""

from __future__ import annotations

import functools
import random
from typing import Any

import pytest

from otoriscv.board.machine import Machine
from otoriscv.board.translation import TranslatedMemory
from otoriscv.core.bus import Access
from otoriscv.core.encode import assemble, encode
from otoriscv.core.hart import Hart
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import MACHINE, MEM, Exit
from otoriscv.jit.settings import JitSettings
from tests.random_programs import alu_word

RAM, SIZE = 0x8000_0000, 0x40_0000
ALIAS = 0x4000_0000  # of RAM, when there is translation
DEVICE = 0x0B00_0000
AREA, TABLE, PAGES = 0x4000 - 4 * 40, 0x6000, 0x1_0000  # in RAM; the area lies around a page's end
SLOTS, WORDS = 64, 128
QUANTUM = 700
LEAF = 0xCF  # V R W X A D

#: x26 area, x27 table, x31 random numbers; the area writes x1 to x25.
GUEST = """
    j first
    j other
first:
    li x29, 3
1:  li x30, {executed:#x}
    jalr x1, 0(x30)
    addi x29, x29, -1
    bnez x29, 1b
    {random}
    sw x28, 0(x30)
    fence.i
    andi x30, x31, 0x100
    bnez x30, first
    li x30, {device:#x}
    sw x31, 0(x30)
    j first
other:
    {random}
    amoswap.w x28, x28, (x30)
    li x29, 40
2:  addi x29, x29, -1
    bnez x29, 2b
    j other
"""
#: x28 becomes a word of the table, x30 the address of a slot.
RANDOM = """
    slli x30, x31, 13
    xor x31, x31, x30
    srli x30, x31, 17
    xor x31, x31, x30
    slli x30, x31, 5
    xor x31, x31, x30
    andi x30, x31, 0x1fc
    add x30, x30, x27
    lw x28, 0(x30)
    srli x30, x31, 12
    andi x30, x30, 0xfc
    add x30, x30, x26
"""


class Dma:
    """Writes a word of the table into the area whenever it is written to."""

    name = "dma"

    def __init__(self, machine: Machine) -> None:
        self._memory = machine.memory
        self.count = 0

    def read(self, offset: int, access: Access) -> int:
        """Nothing."""
        return 0

    def write(self, offset: int, value: int, access: Access) -> None:
        """Do it; *value* chooses."""
        self.count += 1
        word = self._memory.read(RAM + TABLE + value % WORDS * 4, 4)
        self._memory.write(RAM + AREA + (value >> 8) % SLOTS * 4, word)

    def reset(self) -> None:
        """There is no state."""


class Guest:
    """Both harts running, *virtual*: in S-mode, through an alias of the page that is written."""

    def __init__(
        self, engine: str, xlen: int, seed: int, *, virtual: bool, jit: JitSettings | None = None
    ) -> None:
        self.machine = machine = Machine(
            Isa.full(xlen),
            ram=[(RAM, SIZE)],
            harts=2,
            engine=engine,
            jit=jit,
        )
        machine.runner.quantum = machine.runner.quantum_end = QUANTUM
        self.dma = Dma(machine)
        machine.attach(DEVICE, 0x1000, self.dma)
        rng = self.rng = random.Random(seed)
        words = [alu_word(xlen, rng, length=4) for _ in range(SLOTS + WORDS)]
        back = encode("jalr", xlen, rd=0, rs1=1, imm=0)
        self._put(AREA, [*words[:SLOTS], back])
        self._put(TABLE, words[SLOTS:])
        where = (ALIAS if virtual else RAM) + AREA
        text = GUEST.format(executed=where, device=DEVICE, random=RANDOM)
        machine.memory.write(RAM, assemble(text, xlen, RAM).code)
        if virtual:
            self._map(xlen)
        for n, hart in enumerate(machine.harts):
            hart.pc = RAM + 4 * n
            hart.x[26], hart.x[27], hart.x[31] = RAM + AREA, RAM + TABLE, 0x12345 + n
            if virtual:
                hart.write_csr("pmpaddr0", (1 << xlen) - 1)
                hart.write_csr("pmpcfg0", 0x1F)
                mode = 1 << 31 if xlen == 32 else 8 << 60
                hart.write_csr("satp", mode | RAM + PAGES >> 12)
                hart.priv = 1

    def _put(self, at: int, words: list[int]) -> None:
        data = b"".join(word.to_bytes(4, "little") for word in words)
        self.machine.memory.write(RAM + at, data)

    def _map(self, xlen: int) -> None:
        """One table of superpages: RAM twice, and the device."""
        shift, size = (22, 4) if xlen == 32 else (30, 8)
        for va, pa in ((RAM, RAM), (ALIAS, RAM), (DEVICE, DEVICE)):
            pa &= -(1 << shift)
            entry = (pa >> 12 << 10 | LEAF).to_bytes(size, "little")
            self.machine.memory.write(RAM + PAGES + (va >> shift) * size, entry)

    def rewrite(self, virtual: bool) -> None:
        """As the Python API or the debugger does it: some instructions in a row."""
        rng = self.rng
        count = rng.choice((1, 1, 2, 7, 30))
        at = AREA + 4 * rng.randrange(SLOTS - count + 1)
        words = [rng.randrange(WORDS) for _ in range(count)]
        data = b"".join(self.machine.memory.read(RAM + TABLE + 4 * n, 4) for n in words)
        if rng.random() < 0.5:
            self.machine.memory.write(RAM + at, data)
        else:  # M and X packets
            memory = TranslatedMemory(self.machine.harts[0], self.machine.memory)
            memory.write((ALIAS if virtual else RAM) + at, data, rom=True)

    def state(self) -> tuple[Any, ...]:
        """All that must be equal."""
        machine = self.machine
        harts = [(h.pc, h.retired, *h.x) for h in machine.harts]
        return machine.retired, self.dma.count, harts, bytes(machine.arena.view8[MEM:][:0x8000])

    def states(self, virtual: bool) -> list[tuple[Any, ...]]:
        """After each of many runs, with something rewritten between them."""
        found = []
        for _ in range(30):
            self.machine.run(steps=self.rng.choice((1, 37, 400, 1500)))
            found.append(self.state())
            self.rewrite(virtual)
        self.machine.close()
        return found


@functools.cache
def expected(xlen: int, seed: int, virtual: bool) -> list[tuple[Any, ...]]:
    """By decoding each instruction where it is."""
    guest = Guest("python", xlen, seed, virtual=virtual)
    engine = guest.machine.stepper
    m = guest.machine.m

    def run(hart: Hart) -> int:
        return Exit.STOP if m[MACHINE["stop"]] else engine.step(hart)

    engine.run = run  # type: ignore[method-assign]  # instead of traces
    return guest.states(virtual)


ENGINES = {
    "python": ("python", None),
    "interp": ("interp", None),
    "llvm": ("llvm", None),
    "llvm at once": ("llvm", JitSettings(threshold=1, workers=0, cache=False)),
}


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("virtual", [False, True], ids=["physical", "virtual"])
@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("seed", [1, 2])
def test_all_writers(engine: str, xlen: int, virtual: bool, seed: int) -> None:
    name, jit = ENGINES[engine]
    guest = Guest(name, xlen, seed, virtual=virtual, jit=jit)
    m = guest.machine.m
    for n, (ours, theirs) in enumerate(
        zip(guest.states(virtual), expected(xlen, seed, virtual), strict=True)
    ):
        assert ours == theirs, f"run {n}"
    assert theirs[1] > 5  # the device wrote, too
    if engine == "llvm at once":
        assert m[MACHINE["region_steps"]] > 0
