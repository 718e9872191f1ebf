"""CLINT and PLIC against their specifications."""

from __future__ import annotations

import random

import pytest

from otoriscv.core.bus import Access, BusFault
from otoriscv.core.layout import HART, HART_SIZE
from otoriscv.devices.clint import Clint
from otoriscv.devices.plic import Plic

WORD = Access(4, 0)
DOUBLE = Access(8, 0)
NEVER = (1 << 64) - 1
MIP = HART["mip"]


class FakeClock:
    ticks = 0

    def read(self) -> int:
        return self.ticks

    def write(self, ticks: int) -> None:
        self.ticks = ticks


def clint(harts: int = 4) -> tuple[Clint, list[memoryview], FakeClock, list[int]]:
    structs = [memoryview(bytearray(HART_SIZE)).cast("Q") for _ in range(harts)]
    clock, moved = FakeClock(), list[int]()
    device = Clint(structs, clock, moved.append)
    device.reset()
    moved.clear()
    return device, structs, clock, moved


def test_clint_msip() -> None:
    device, harts, _, moved = clint()
    device.write(8, 1, WORD)
    assert [h[MIP] for h in harts] == [0, 0, 8, 0]
    assert moved == [2]
    assert device.read(8, WORD) == 1
    assert device.read(8, DOUBLE) == 1
    device.write(8, 0xFFFF_FFFE, WORD)
    assert harts[2][MIP] == 0
    device.write(16, 1, WORD)  # no hart 4
    assert device.read(16, WORD) == 0
    device.write(0, 1 << 32 | 1, DOUBLE)
    assert [h[MIP] for h in harts] == [8, 8, 0, 0]


def test_clint_timer() -> None:
    device, harts, clock, moved = clint()
    assert device.read(0x4000, DOUBLE) == NEVER
    clock.ticks = 0x1_0000_0005
    assert device.read(0xBFF8, DOUBLE) == clock.ticks
    assert device.read(0xBFF8, WORD) == 5
    assert device.read(0xBFFC, WORD) == 1
    device.write(0x4008, clock.ticks, DOUBLE)
    assert harts[1][MIP] == 0x80
    assert moved == [1]
    device.write(0x4008 + 4, 2, WORD)  # as rv32 does it: two words
    assert harts[1][MIP] == 0
    device.write(0x4008, 7, WORD)
    assert device.read(0x4008, DOUBLE) == 0x2_0000_0007
    assert harts[1][HART["mtimecmp"]] == 0x2_0000_0007
    device.write(0xBFF8, 0x3_0000_0000, DOUBLE)
    assert [h[MIP] for h in harts] == [0, 0x80, 0, 0]
    device.write(0xBFFC, 0, WORD)
    assert clock.ticks == 0
    assert harts[1][MIP] == 0


def test_clint_bad_accesses() -> None:
    device, *_ = clint()
    for offset, size in ((0, 1), (0xBFF8, 2), (0x4002, 4), (0x4004, 8)):
        with pytest.raises(BusFault):
            device.read(offset, Access(size, 0))
        with pytest.raises(BusFault):
            device.write(offset, 0, Access(size, 0))
    assert device.read(0x9000, WORD) == 0
    device.write(0xC000, 1, WORD)


M0, S0, M1 = 0, 1, 2


class PlicBench:
    def __init__(self, harts: int = 2) -> None:
        self.lines: dict[tuple[int, int], bool] = {}
        self.plic = Plic(harts, self.set_irq)

    def set_irq(self, hart: int, bit: int, level: bool) -> None:
        assert self.lines.get((hart, bit), False) != level, "only changes are reported"
        self.lines[hart, bit] = level

    def up(self) -> set[tuple[int, int]]:
        return {key for key, level in self.lines.items() if level}

    def priority(self, source: int, value: int) -> None:
        self.plic.write(4 * source, value, WORD)

    def enable(self, context: int, *sources: int) -> None:
        for word in range(3):
            bits = sum(1 << s - 32 * word for s in sources if s // 32 == word)
            self.plic.write(0x2000 + 0x80 * context + 4 * word, bits, WORD)

    def threshold(self, context: int, value: int) -> None:
        self.plic.write(0x20_0000 + 0x1000 * context, value, WORD)

    def claim(self, context: int) -> int:
        return self.plic.read(0x20_0004 + 0x1000 * context, WORD)

    def complete(self, context: int, source: int) -> None:
        self.plic.write(0x20_0004 + 0x1000 * context, source, WORD)


def test_plic_level_triggered_cycle() -> None:
    b = PlicBench()
    b.priority(10, 1)
    b.enable(S0, 10)
    b.plic.set_line(10, True)
    assert b.up() == {(0, 9)}
    assert b.plic.read(0x1000, WORD) == 1 << 10
    assert b.claim(S0) == 10
    assert b.up() == set()
    assert b.claim(S0) == 0
    b.complete(S0, 10)
    assert b.up() == {(0, 9)}, "the line is still high"
    assert b.claim(S0) == 10
    b.plic.set_line(10, False)
    b.complete(S0, 10)
    assert b.up() == set()


def test_plic_request_is_not_withdrawn() -> None:
    b = PlicBench()
    b.priority(3, 1)
    b.enable(M0, 3)
    b.plic.set_line(3, True)
    b.plic.set_line(3, False)
    assert b.up() == {(0, 11)}
    assert b.claim(M0) == 3
    b.complete(M0, 3)
    assert b.up() == set()


def test_plic_priorities_thresholds_ties() -> None:
    b = PlicBench()
    for source, priority in ((5, 2), (40, 7), (95, 7), (7, 0)):
        b.priority(source, priority)
        b.plic.set_line(source, True)
    b.enable(M1, 5, 7, 40, 95)
    b.enable(M0, 5)
    b.threshold(M0, 2)
    assert b.up() == {(1, 11)}
    b.threshold(M0, 1)
    assert b.up() == {(1, 11), (0, 11)}
    assert [b.claim(M1) for _ in range(4)] == [40, 95, 5, 0]
    assert b.up() == set()


def test_plic_wrong_completions_are_ignored() -> None:
    b = PlicBench()
    b.priority(10, 1)
    b.enable(M0, 10)
    b.plic.set_line(10, True)
    assert b.claim(M0) == 10
    b.complete(S0, 10)  # not enabled there
    b.complete(M0, 11)
    b.complete(M0, 4096)
    assert b.up() == set()
    b.complete(M0, 10)
    assert b.up() == {(0, 11)}


def test_plic_registers_are_legalised() -> None:
    b = PlicBench()
    b.priority(0, 7)
    assert b.plic.read(0, WORD) == 0
    b.priority(95, 0xFFFF_FFFF)
    assert b.plic.read(4 * 95, WORD) == 7
    b.priority(96, 7)
    assert b.plic.read(4 * 96, WORD) == 0
    for word in range(4):
        b.plic.write(0x2000 + 4 * word, 0xFFFF_FFFF, WORD)
    assert b.plic.read(0x2000, DOUBLE) == 0xFFFF_FFFF_FFFF_FFFE
    assert b.plic.read(0x2008, WORD) == 0xFFFF_FFFF
    assert b.plic.read(0x200C, WORD) == 0
    b.threshold(S0, 15)
    assert b.plic.read(0x20_1000, WORD) == 7
    b.plic.write(0x1000, 0xFFFF_FFFF, WORD)
    assert b.plic.read(0x1000, WORD) == 0
    with pytest.raises(BusFault):
        b.plic.read(1, Access(1, 0))
    with pytest.raises(ValueError, match="source 0"):
        b.plic.set_line(0, True)


def test_plic_reset_forgets_requests_but_not_lines() -> None:
    b = PlicBench()
    for source in (3, 10):
        b.priority(source, 1)
        b.plic.set_line(source, True)
    b.enable(M0, 3, 10)
    assert b.up() == {(0, 11)}
    b.plic.reset()
    assert b.up() == set()
    b.plic.set_line(3, False)  # that device is reset after the PLIC
    for source in (3, 10):
        b.priority(source, 1)
    b.enable(M0, 3, 10)
    assert b.claim(M0) == 10
    assert b.claim(M0) == 0


def test_plic_every_raised_line_is_served_once() -> None:
    """Random traffic: a claimed source is never handed out again before its completion."""
    rng = random.Random(1)
    b = PlicBench(harts=4)
    for source in range(1, 96):
        b.priority(source, rng.randint(1, 7))
    for context in range(8):
        b.enable(context, *range(1, 96))
    claimed: dict[int, int] = {}
    for _ in range(3000):
        source, context = rng.randint(1, 95), rng.randrange(8)
        action = rng.randrange(3)
        if action == 0:
            b.plic.set_line(source, rng.random() < 0.5)
        elif action == 1:
            got = b.claim(context)
            assert got not in claimed
            if got:
                claimed[got] = context
        elif claimed:
            source, context = claimed.popitem()
            b.complete(context, source)
