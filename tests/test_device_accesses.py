"""Accesses of Python devices: each is done once, at its step, in every engine."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from otoriscv.board.machine import Machine
from otoriscv.core.bus import Access, BusFault
from otoriscv.core.encode import assemble
from otoriscv.core.layout import HART
from tests.engine_box import (
    CLINT,
    ENGINES,
    EVERY,
    HOT,
    NATIVE_STEPS,
    RAM,
    STEP,
    EngineBox,
    Exit,
    difference,
)

BOTH = pytest.mark.parametrize("xlen", [32, 64])
OTHERS = pytest.mark.parametrize("engine", [*(e for e in EVERY if e != STEP), HOT, *NATIVE_STEPS])
BASE = 0x1000
MEIP = 1 << 11


@dataclass
class Journal:
    """Notes what is done to it and when; reads count up, and *written* is called for stores."""

    box: EngineBox
    name: str = "journal"
    notes: list[tuple[int, ...]] = field(default_factory=list)
    written: Callable[[int], None] = lambda value: None

    def read(self, offset: int, access: Access) -> int:
        self.notes.append((0, offset, access.size, access.hart, self.box.steps))
        if offset == 0xBAD:
            raise BusFault("not here")
        return 0xF0F1_F2F3_F4F5_F600 + len(self.notes) * 0x81

    def write(self, offset: int, value: int, access: Access) -> None:
        self.notes.append((1, offset, access.size, value, self.box.steps))
        if offset == 0xBAC:
            raise BusFault("not here")
        self.written(value)

    def reset(self) -> None:
        pass


def box_with(engine: str, xlen: int, source: str) -> tuple[EngineBox, Journal, dict[str, int]]:
    box = EngineBox(engine, xlen)
    journal = Journal(box)
    box.bus.map(BASE, 0x1000, journal)
    program = box.load(f"li s0, {BASE}\n{source}")
    return box, journal, program.symbols


def same(engine: str, xlen: int, source: str, steps: int = 2000) -> tuple[EngineBox, Journal]:
    """The program's state and its accesses are those of single steps."""
    boxes = [box_with(each, xlen, source)[:2] for each in (STEP, engine)]
    for box, _ in boxes:
        assert box.run(steps) == Exit.SLICE
    (one, expected), (other, journal) = boxes
    assert journal.notes == expected.notes and journal.notes
    assert not (what := difference(one, other)), what
    return boxes[1]


ACCESSES = """
    li s1, 60
again:
    lb a0, 0(s0)
    lbu a1, 1(s0)
    lh a2, 2(s0)
    lhu a3, 4(s0)
    lw a4, 8(s0)
    add a5, a5, a0
    xor a5, a5, a2
    sb a5, 12(s0)
    sh a5, 14(s0)
    sw a5, 16(s0)
    flw fa0, 20(s0)
    fsw fa0, 24(s0)
    fld fa1, 32(s0)
    fsd fa1, 40(s0)
    c.lw a2, 4(s0)
    c.sw a2, 8(s0)
    amoadd.w a6, a5, (s2)
    addi s3, s0, 64
    amoswap.w a6, a5, (s3)
    lr.w a7, (s3)
    sc.w t0, a5, (s3)
    amomaxu.w t1, a0, (s3)
    lw t2, 0(s3)
    sw t2, 4(s3)
    addi s1, s1, -1
    bnez s1, again
1:  j 1b
"""


@OTHERS
@BOTH
def test_each_access_is_done_once_and_at_its_step(engine: str, xlen: int) -> None:
    more = "" if xlen == 32 else "ld t3, 48(s0)\n sd t3, 56(s0)\n lwu t4, 48(s0)\n"
    text = ACCESSES.replace("    addi s1,", f"{more}    addi s1,", 1)
    setup = f"li t0, 0x6000\n csrs mstatus, t0\n li s2, {RAM + 0x8000}\n"
    same(engine, xlen, setup + text)


@OTHERS
@BOTH
def test_what_the_native_clint_leaves_to_python(engine: str, xlen: int) -> None:
    """Registers of harts that there are not, and mtime: AMOs of them, too."""
    source = f"""
        li s0, {CLINT}
        li s1, {CLINT + 0xBFF8}
        li s2, {CLINT + 0x4000}
        li a0, 1
    again:
        amoor.w a1, a0, (s0)
        lw a2, 44(s0)
        sw a0, 44(s0)
        addi a3, s0, 44
        amoor.w a4, a0, (a3)
        amoadd.w a5, a0, (s1)
        lw a6, 0(s1)
        sw a6, 0(s1)
        amoadd.w a7, a0, (s2)
        sw x0, 0(s0)
        j again
    """
    boxes = []
    for each in (STEP, engine):
        box = EngineBox(each, xlen, clint="native")
        box.load(source)
        assert box.run(500) == Exit.SLICE
        boxes.append(box)
    assert not (what := difference(*boxes)), what


@OTHERS
@BOTH
def test_an_access_that_faults_traps(engine: str, xlen: int) -> None:
    _, journal = same(
        engine,
        xlen,
        """
        la t0, handler
        csrw mtvec, t0
        li s1, 20
        li t1, 0xbad
        add s2, s0, t1
    1:  lb a0, 0(s2)
        sb a0, -1(s2)
        sb a0, 1(s0)
        addi s1, s1, -1
        bnez s1, 1b
    2:  j 2b
        .align 4
    handler:
        csrr a1, mcause
        csrr a2, mtval
        add a3, a3, a1
        xor a3, a3, a2
        csrr a4, mepc
        addi a4, a4, 4
        csrw mepc, a4
        mret
    """,
    )
    assert sum(note[1] == 1 for note in journal.notes) == 20


@OTHERS
@BOTH
def test_an_interrupt_that_a_store_raises_comes_behind_it(engine: str, xlen: int) -> None:
    boxes = []
    for each in (STEP, engine):
        box, journal, at = box_with(
            each,
            xlen,
            """
            la t0, handler
            csrw mtvec, t0
            li t0, 0x800
            csrw mie, t0
            csrsi mstatus, 8
        again:
            addi a0, a0, 1
        store:
            sw a0, 0(s0)
            addi a1, a1, 1
            j again
            .align 4
        handler:
            csrr a2, mepc
            sw x0, 4(s0)
            mret
        """,
        )

        def raise_or_lower(value: int, box: EngineBox = box) -> None:
            mip = HART["mip"]
            box.q[mip] = box.q[mip] & ~MEIP | (MEIP if value else 0)

        journal.written = raise_or_lower
        assert box.run(1000) == Exit.SLICE
        assert box.hart.x[12] == at["store"] + 4
        boxes.append((box, journal))
    (one, expected), (other, journal) = boxes
    assert journal.notes == expected.notes and len(journal.notes) > 200
    assert not (what := difference(one, other)), what


@pytest.mark.parametrize("engine", [*ENGINES, HOT])
@BOTH
def test_a_breakpoint_at_an_access_stops_once(engine: str, xlen: int) -> None:
    box, journal, at = box_with(engine, xlen, "1: addi a0, a0, 1\nstore: sw a0, 0(s0)\n j 1b")
    for round_ in range(1, 40):
        box.breakpoints.add(at["store"])
        assert (box.run(1000), box.hart.pc, len(journal.notes)) == (
            Exit.BREAKPOINT, at["store"], round_ - 1,
        )  # fmt: skip
        assert box.run(1000) == Exit.BREAKPOINT  # nothing was done
        if round_ & 1:
            assert box.resume(1) == Exit.SLICE
        else:
            box.breakpoints.remove(at["store"])
            assert box.run(1) == Exit.SLICE
        assert (box.hart.pc, journal.notes[-1][3]) == (at["store"] + 4, round_)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_breakpoint_that_was_passed_is_not_seen_again(engine: str) -> None:
    """A run that begins at one does its access, although that is executed once more."""
    machine = Machine("rv64imac_zicsr", ram=[(RAM, 1 << 20)], engine=engine)
    written: list[int] = []

    class Device:
        name = "device"

        def read(self, offset: int, access: Access) -> int:
            return 0

        def write(self, offset: int, value: int, access: Access) -> None:
            written.append(value)

        def reset(self) -> None:
            pass

    machine.attach(BASE, 0x1000, Device())
    text = f"li s0, {BASE}\n1: addi a0, a0, 1\nstore: sw a0, 0(s0)\n j 1b"
    program = assemble(text, 64, RAM)
    machine.memory.write(RAM, program.code)
    machine.harts[0].pc = RAM
    machine.breakpoints.add(program.symbols["store"])
    for round_ in range(20):
        machine.run(steps=1000)
        assert machine.harts[0].pc == program.symbols["store"]
        assert written == list(range(1, round_ + 1))
    machine.close()


@OTHERS
@BOTH
@pytest.mark.parametrize("short", [False, True])
def test_a_device_may_overwrite_the_store_that_it_answers(
    engine: str, xlen: int, short: bool
) -> None:
    """That one is over all the same, and what it became is executed the next time."""
    boxes = []
    for each in (STEP, engine):
        store = "c.sw a0, 0(s0)\n c.nop" if short else "sw a0, 0(s0)"
        box, journal, at = box_with(
            each, xlen, f"1: addi a0, a0, 1\nstore: {store}\n addi a1, a1, 1\n lw a2, 4(s0)\n j 1b"
        )
        new = assemble("c.addi a3, 1\n c.nop" if short else "addi a3, a3, 1", xlen, 0).code

        def overwrite(
            value: int, box: EngineBox = box, place: int = at["store"], new: bytes = new
        ) -> None:
            if value == 20:
                box.memory.write(place, new)

        journal.written = overwrite
        assert box.run(300) == Exit.SLICE
        assert box.hart.x[13] > 20 and sum(note[0] for note in journal.notes) == 20
        boxes.append((box, journal))
    (one, expected), (other, journal) = boxes
    assert journal.notes == expected.notes
    assert not (what := difference(one, other)), what


@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "python"])
def test_plain_accesses_do_not_leave_the_run(engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    box, journal, _ = box_with(engine, 64, "1: lw a0, 0(s0)\n sw a0, 4(s0)\n j 1b")

    def refuse(*_: object, **__: object) -> int:
        raise AssertionError("the python engine was asked")

    monkeypatch.setattr(box.stepper, "step", refuse)
    assert box.run(3000) == Exit.SLICE
    assert len(journal.notes) > 1900
