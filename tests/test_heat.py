"""What is compiled next: heat by samples, and exits of regions where no sample lands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

pytest.importorskip("llvmlite")

from otoriscv.board.machine import Machine
from otoriscv.core.encode import assemble
from otoriscv.core.layout import EXITS, MACHINE, SAMPLE_JUMP, SAMPLE_PC, SAMPLE_REGION
from otoriscv.jit.llvm import engine as engine_module
from otoriscv.jit.llvm import heat as heat_module
from otoriscv.jit.llvm.engine import COPIES, SAMPLE_RARE, WORTH, LlvmEngine
from otoriscv.jit.llvm.exits import FEW, SAMPLE_EXIT, RegionExits
from otoriscv.jit.llvm.heat import FADING, REWRITES, WAITING, Heat, Hot
from otoriscv.jit.protocol import HOT_REGION_LIMIT
from otoriscv.jit.settings import JitSettings
from tests.inline_workers import Inline

RAM = 0x8000_0000
KIB = 1024


def test_samples_around_a_place_count_together() -> None:
    heat = Heat()
    assert [heat.add(0x1000), heat.add(0x100E), heat.add(0x1010), heat.add(0x1001)] == [1, 2, 1, 1]
    assert heat.samples(0x1004) == 2
    heat.forget(0x100A)
    assert heat.samples(0x1000) == 0 and heat.samples(0x1010) == 1


def test_what_was_hot_long_ago_weighs_less() -> None:
    heat = Heat()
    for _ in range(2):
        heat.add(KIB, 1 << 20)
    heat.fade(FADING - 1)
    assert heat.steps(KIB + 512) == 2 << 20
    heat.fade(FADING)
    heat.fade(FADING + 1)
    assert heat.steps(KIB) == 1 << 20


def test_what_was_rewritten_long_ago_may_be_compiled() -> None:
    heat = Heat()
    for n in range(REWRITES + 1):
        assert not heat.rewritten(0x1000), n
        heat.rewrite(0x10FF)
    assert heat.rewritten(0x1001) and not heat.rewritten(0x1100)
    heat.fade(FADING - 1)
    assert heat.rewritten(0x1000)
    heat.fade(FADING)
    assert not heat.rewritten(0x1000)
    for _ in range(REWRITES // 2):
        heat.rewrite(0x1000)
    assert not heat.rewritten(0x1000)  # half of the old ones count
    heat.rewrite(0x1000)
    assert heat.rewritten(0x1000)


def test_what_was_seen_once_is_forgotten_in_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(heat_module, "PLACES", 100)
    heat = Heat()
    for place in range(0, 101 * 16, 16):
        heat.add(place)
    heat.add(160)
    heat.wait(Hot(0, 320, SAMPLE_PC), fresh=True)
    heat.fade(1)
    assert {place for place in range(0, 101 * 16, 16) if heat.samples(place)} == {160, 320}


def test_the_hottest_place_outside_of_regions_is_next() -> None:
    heat = Heat()
    cool, hot, again = (Hot(0, place * KIB, SAMPLE_PC) for place in (1, 2, 3))
    heat.add(cool.mark, 1000)
    heat.add(hot.mark, 2000)
    heat.wait(again, fresh=False)
    for each in (cool, hot):
        heat.wait(each, fresh=True)
    assert heat and all(heat.asked(each.mark) for each in (cool, hot, again))
    assert heat.hottest() == [hot, cool]
    assert [heat.take(0, worth=1500) for _ in range(3)] == [hot, again, None]
    # A place that is not worth it is looked at again later.
    heat.add(cool.mark, 1000)
    assert heat.take(1499, worth=1500) is None
    assert heat.take(1500, worth=1500) == cool
    assert not heat


def test_what_is_interpreted_between_regions_comes_before_regions_that_grow() -> None:
    heat = Heat()
    grow, seldom, often = (
        Hot(0, place * KIB, kind)
        for place, kind in ((1, SAMPLE_REGION), (2, SAMPLE_EXIT), (3, SAMPLE_EXIT))
    )
    for hot, samples in ((grow, 100), (seldom, 2), (often, 3)):
        for _ in range(samples):
            heat.add(hot.mark)
        heat.wait(hot, fresh=False)
    fresh = Hot(0, 0, SAMPLE_PC)
    heat.wait(fresh, fresh=True)
    assert heat.hottest() == [fresh, often, seldom]
    assert [heat.take(0, 1) for _ in range(3)] == [often, seldom, grow]


@pytest.mark.parametrize("fresh", [True, False])
def test_the_coldest_do_not_wait_when_there_are_many(fresh: bool) -> None:
    heat = Heat()
    for n in range(2 * WAITING + 1):
        place = n * KIB
        for _ in range(n % 50 + 1):
            heat.add(place, 100)
        heat.wait(Hot(0, place, SAMPLE_JUMP), fresh=fresh)
    taken = [hot.mark // KIB % 50 for hot in iter(lambda: heat.take(0, 100), None)]
    assert len(taken) == WAITING + 1
    assert min(taken) == sorted(n % 50 for n in range(2 * WAITING + 1))[WAITING]


def test_what_is_compiled_is_not_asked_for_again() -> None:
    heat = Heat()
    heat.begin(0x1004)
    assert heat and heat.asked(0x1000)
    heat.add(0x1000)
    heat.end(0x1008)
    assert not heat and not heat.asked(0x1000) and heat.samples(0x1000) == 0


def test_what_a_region_covers_waits_no_more() -> None:
    heat = Heat()
    inside, outside = Hot(0, 0x1004, SAMPLE_PC), Hot(0, 0x1020, SAMPLE_PC)
    for hot in (inside, outside):
        heat.add(hot.mark, 1000)
        heat.wait(hot, fresh=True)
    heat.cool({0x1000, 0x100C, 0x1010})
    assert heat.samples(inside.mark) == 0 and heat.samples(outside.mark) == 1
    assert heat.hottest() == [outside]


def test_exits_are_told_when_much_is_interpreted() -> None:
    m = memoryview(bytearray(8 * 0x1000)).cast("Q")
    exits = RegionExits(m)
    first = MACHINE["region_exits"]

    def jump(*notes: int) -> None:
        for slot, note in enumerate(notes):
            m[first + slot] = note

    jump(0x1000, 0x2001, 0x1000)
    m[MACHINE["region_steps"]] = 1000
    assert exits.take(2000) == [(0x1000, False), (0x2000, True), (0x1000, False)]
    assert not any(m[first : first + EXITS])
    assert exits.take(3000) == []  # none since then
    # From here on: 1 of `FEW` steps is not worth it, and the steps before count no more.
    jump(0x1000)
    m[MACHINE["region_steps"]] += FEW * 100 - 100
    assert exits.take(3000 + FEW * 100) == []
    assert not any(m[first : first + EXITS])
    jump(0x1000)
    m[MACHINE["region_steps"]] += FEW * 100 - 101
    assert exits.take(3000 + FEW * 200) == [(0x1000, False)]
    jump(0x1000)
    assert exits.take(0) == []  # steps are counted anew
    jump(0x1000)
    assert exits.take(1000) == [(0x1000, False)]


#: `large` is entered from `first` by chaining, and its longest way is longer than a round, so it is
#: what the budget is too little for, and all samples are of it.
BETWEEN = f"""
first:
    addi a1, a1, 1
    j    large
    .align 12
large:
    beqz x0, usual
{"addi a0, a0, 1;" * 1000}
usual:
{"addi a0, a0, 1;" * (HOT_REGION_LIMIT - 1002)}
    j    between
    .align 12
{"".join(f"other{n}: addi a3, a3, {n}; j between;" for n in range(COPIES))}
between:
{"addi a2, a2, 1;" * 60}
    j    first
"""


class Guest(NamedTuple):
    """A machine that runs a program."""

    machine: Machine
    engine: LlvmEngine
    symbols: dict[str, int]

    def share(self) -> float:
        """How much of 10,000,000 steps without samples is in regions."""
        m = self.machine.m
        every, m[MACHINE["sample_every"]] = m[MACHINE["sample_every"]], 1 << 40
        before = m[MACHINE["region_steps"]]
        self.machine.run(steps=10_000_000)
        m[MACHINE["sample_every"]] = every
        return (m[MACHINE["region_steps"]] - before) / 10_000_000


def running(text: str, xlen: int, **settings: int) -> Guest:
    program = assemble(text, xlen, RAM)
    machine = Machine(
        f"rv{xlen}im_zicsr",
        ram=[(RAM, 1 << 20)],
        engine="llvm",
        jit=JitSettings(cache=False, **settings),
    )
    machine.memory.write(RAM, program.code)
    machine.harts[0].pc = RAM
    engine = machine.engine
    assert isinstance(engine, LlvmEngine)
    return Guest(machine, engine, program.symbols)


def between(xlen: int, **settings: int) -> Guest:
    """`BETWEEN`, with regions for all but `between`."""
    guest = running(BETWEEN, xlen, **settings)
    guest.machine.m[MACHINE["sample_every"]] = 2 * SAMPLE_RARE
    for name, limit in (("first", 2), ("large", HOT_REGION_LIMIT)):
        guest.engine.compile_now(guest.machine.harts[0], guest.symbols[name], limit)
    return guest


@pytest.fixture(params=[32, 64])
def guest(request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = between(request.param, workers=0)
    yield made
    made.machine.close()


def test_code_that_no_sample_sees_is_compiled(guest: Guest) -> None:
    assert guest.share() < 0.99
    assert len(guest.engine.regions()) == 2
    guest.machine.run(steps=30_000_000)
    assert len(guest.engine.regions()) == 3
    assert guest.share() > 0.995


def test_also_where_regions_have_it_but_none_begins(guest: Guest) -> None:
    engine, at = guest.engine, guest.symbols
    for n in range(COPIES):
        engine.compile_now(guest.machine.harts[0], at[f"other{n}"], 63)
    assert engine.compiled_at(at["between"], at["between"], translated=False) == COPIES
    assert guest.share() < 0.99
    guest.machine.run(steps=30_000_000)
    assert guest.share() > 0.995


def test_samples_alone_do_not_see_it(guest: Guest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Or the test above would test nothing."""
    monkeypatch.setattr(RegionExits, "take", lambda *_: [])
    guest.machine.run(steps=30_000_000)
    assert len(guest.engine.regions()) == 2
    assert guest.share() < 0.99


def test_a_worker_compiles_it_though_it_is_not_worth_much(monkeypatch: pytest.MonkeyPatch) -> None:
    """In fewer steps than are worth a worker's time elsewhere."""
    monkeypatch.setattr(engine_module, "Workers", Inline)
    made = between(64, workers=1)
    workers = made.engine._workers
    assert isinstance(workers, Inline)
    workers.open = True
    assert 30_000_000 * (1 - made.share()) < WORTH
    for _ in range(10):
        made.machine.run(steps=3_000_000)
    assert made.share() > 0.995
    assert [request.pc for request in workers.asked] == [made.symbols["between"]]
    made.machine.close()


def test_what_a_worker_has_no_time_for_is_left_to_the_next_run(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(engine_module, "Workers", Inline)
    made = between(64, workers=1)
    workers = made.engine._workers
    assert isinstance(workers, Inline)
    monkeypatch.setattr(Inline, "idle", False)
    made.machine.run(steps=30_000_000)
    assert not workers.asked
    made.machine.close()
    assert [request.pc for request in workers.asked] == [made.symbols["between"]]


def test_a_worker_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "Workers", Inline)
    monkeypatch.setattr(Inline, "idle", True)
    made = between(64, workers=1)
    workers, at = made.engine._workers, made.symbols["between"]
    assert isinstance(workers, Inline)
    place = made.machine.memory.find(at)
    assert place is not None
    for _ in range(10):
        made.machine.run(steps=3_000_000)
    assert [request.pc for request in workers.asked] == [at] and made.engine._heat.asked(place)
    workers.open = True
    made.machine.run(steps=30_000_000)
    assert made.engine.statistics["compiled"] == len(workers.asked) == 1
    assert not made.engine._heat.asked(place)  # it may be asked for again, when it is dropped
    made.machine.close()


#: Rewrites an instruction of its loop 20,000 times, then leaves it alone.
PATCHING = """
    la   s2, there
    lw   s1, 0(s2)
    li   s3, 20000
loop:
    sw   s1, 0(s2)
there:
    addi a0, a0, 1
    addi s3, s3, -1
    bnez s3, loop
    li   s2, 0x80010000
    j    loop
"""


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_loop_that_was_rewritten_is_compiled_later(
    xlen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    guest = running(PATCHING, xlen, workers=0, threshold=1)
    guest.machine.run(steps=100_000)
    assert guest.engine.invalidations["guest store"] == REWRITES + 1
    assert guest.share() < 0.01  # there may be more to come
    monkeypatch.setattr(heat_module, "FADING", 1 << 20)
    guest.machine.run(steps=1 << 22)
    assert guest.share() > 0.99
    guest.machine.close()
