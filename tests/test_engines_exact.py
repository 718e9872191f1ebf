"""Exact counts: run(n) does n steps; time, traps and interrupts happen at the same step in every
engine, whatever the sizes of the runs."""

from __future__ import annotations

import functools
import random
import threading
import time

import pytest

from otoriscv.board.machine import Machine
from otoriscv.board.stops import StopReason
from otoriscv.core.bus import Access
from otoriscv.core.encode import assemble
from otoriscv.core.layout import HART, MACHINE
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
    fresh,
)
from tests.random_programs import START, alu_word, random_program

BOTH = pytest.mark.parametrize("xlen", [32, 64])
ANY = pytest.mark.parametrize("engine", EVERY)
FAST = pytest.mark.parametrize("engine", ENGINES)


def load_random(box: EngineBox, seed: int) -> None:
    """A random program, long and with traps."""
    rng = random.Random(seed)
    program = random_program(box.xlen, [rng.getrandbits(32) for _ in range(80)])
    for at, data in program.parts:
        box.memory.write(at, data)
    box.hart.pc = START


@functools.cache
def trace(xlen: int, seed: int, steps: int) -> list[tuple[int, ...]]:
    """Where a random program is after each step, from single steps."""
    box = fresh(STEP, xlen)
    load_random(box, seed)
    out = [box.brief()]
    for _ in range(steps):
        assert box.run(1) == Exit.SLICE
        out.append(box.brief())
    return out


@pytest.mark.parametrize("engine", (*ENGINES, HOT, *NATIVE_STEPS))
@BOTH
@pytest.mark.parametrize("largest", [1, 3, 60, 1000])
def test_run_does_exactly_n_steps(engine: str, xlen: int, largest: int) -> None:
    rng = random.Random(largest)
    for seed in range(2):
        expected = trace(xlen, seed, 1500)
        box = fresh(engine, xlen)
        load_random(box, seed)
        while box.steps + largest < len(expected):
            before = box.steps
            n = rng.randrange(1, largest + 1)
            assert box.run(n) == Exit.SLICE
            assert box.steps == before + n
            assert box.brief() == expected[box.steps], f"program {seed}, {n} steps from {before}"


@pytest.mark.parametrize("engine", NATIVE_STEPS)
@BOTH
def test_steps_pass_breakpoints(engine: str, xlen: int) -> None:
    """A step ignores the breakpoint at its pc, and leaves it as it was."""
    expected = trace(xlen, 0, 1500)
    box = fresh(engine, xlen)
    load_random(box, 0)
    points = {e[0] for e in expected}
    for pc in points:
        box.breakpoints.add(pc)
    for n in range(1, 400):
        assert box.run(1) == Exit.SLICE
        assert box.brief() == expected[n]
    box.m[MACHINE["slice_end"]] = box.steps + 10
    assert box.main_engine.run(box.hart) == Exit.BREAKPOINT
    assert box.brief() == expected[399]


@FAST
@BOTH
def test_a_breakpoint_is_passed_once(engine: str, xlen: int) -> None:
    """The slot `past` lets a run go on from a breakpoint, and no further than to the next."""
    box = fresh(engine, xlen)
    box.load("""
    1:  addi a0, a0, 1
        j 1b
    """)
    box.breakpoints.add(RAM)
    for n in range(5):
        box.m[MACHINE["slice_end"]] = box.steps + 100
        assert box.main_engine.run(box.hart) == Exit.BREAKPOINT
        box._settle()
        assert (box.hart.pc, box.hart.x[10]) == (RAM, n)
        box.m[MACHINE["past"]] = RAM | 1


@FAST
def test_every_length_of_a_run(engine: str) -> None:
    """From the same place, 0 to 50 steps at once."""
    expected = trace(64, 1, 1500)
    box = fresh(engine, 64)
    for n in range(50):
        box.reset()
        load_random(box, 1)
        box.run(n)
        assert box.brief() == expected[n]


# -- a fast timer


def timer_program(box: EngineBox, period: int, *, vectored: bool) -> None:
    """Computes for ever while the timer interrupts every *period* steps; x27 counts interrupts,
    x31 is a hash of where they came."""
    rng = random.Random(box.xlen)
    load, store = ("lw", "sw") if box.xlen == 32 else ("ld", "sd")

    def compute(n: int) -> str:
        words = [alu_word(box.xlen, rng) for _ in range(n)]
        return "\n".join(f".word {w:#x}" if w & 3 == 3 else f".half {w:#x}" for w in words)

    box.load(f"""
        la x26, {RAM + 0x8000:#x}
        la x28, vector
        addi x28, x28, {int(vectored)}
        csrw mtvec, x28
        li x29, {CLINT + 0x4000:#x}
        sw zero, 4(x29)
        li x28, 200
        sw x28, 0(x29)
        li x28, 0x80
        csrw mie, x28
        csrsi mstatus, 8
    1:  {compute(20)}
        andi x28, x5, 0x3f8
        add x28, x28, x26
        {load} x6, 0(x28)
        {store} x7, 3(x28)
        amoadd.w x8, x9, (x26)
        bltu x5, x6, 2f
        {compute(7)}
    2:  ecall
        csrr x10, instret
        csrr x11, time
        jal x1, function
        csrci mstatus, 8
        {compute(3)}
        csrsi mstatus, 8
        j 1b
    function:
        {compute(9)}
        ret
        .align 6
    vector:
        j exception
        .zero 24
        j timer
    exception:
        csrr x30, mcause
        bltz x30, timer
        csrr x30, mepc
        addi x30, x30, 4
        csrw mepc, x30
        mret
    timer:
        addi x27, x27, 1
        slli x29, x31, 5
        add x31, x31, x29
        csrr x30, mepc
        xor x31, x31, x30
        li x29, {CLINT + 0x4000:#x}
        {load} x30, 0(x29)
        addi x30, x30, {period}
        {store} x30, 0(x29)
        mret
    """)


@BOTH
@pytest.mark.parametrize("clint", ["native", "python"])
@pytest.mark.parametrize(("period", "vectored"), [(61, False), (150, True), (997, False)])
def test_fast_timer(xlen: int, clint: str, period: int, vectored: bool) -> None:
    """The same trace under a fast timer, whoever implements the CLINT."""
    boxes = [fresh(e, xlen, clint) for e in (*EVERY, HOT, *NATIVE_STEPS)]
    boxes.append(EngineBox(STEP, xlen, clint="native"))  # both CLINTs agree, too
    for box in boxes:
        timer_program(box, period, vectored=vectored)
    rng = random.Random(period)
    first = boxes[0]
    for n in range(60):
        steps = rng.choice((1, rng.randrange(1, 50), rng.randrange(1, 400)))
        for box in boxes:
            assert box.run(steps) == Exit.SLICE
        for box in boxes[1:]:
            assert not (what := difference(first, box)), f"chunk {n}: {what}"
    expected = (first.steps - 200) // period
    assert abs(first.hart.x[27] - expected) <= 1
    boxes = [b for b in boxes if b.engine not in (STEP, *NATIVE_STEPS)]
    for box in boxes:
        assert box.run(30_000) == Exit.SLICE
    for box in boxes[1:]:
        assert not (what := difference(first, box)), what
    assert abs(first.hart.x[27] - (first.steps - 200) // period) <= 1


@ANY
@BOTH
def test_timer_fires_at_its_step(engine: str, xlen: int) -> None:
    """mtimecmp = t: the interrupt is taken before the instruction of step t, for every t."""
    for due in range(6, 45, 3):
        box = fresh(engine, xlen, "native")
        p = box.load(f"""
            la t0, handler
            csrw mtvec, t0
            li t0, 0x80
            csrw mie, t0
            csrsi mstatus, 8
            {"addi a0, a0, 1;" * 40}
            .align 2
        handler:
            csrr a1, mepc
        1:  j 1b
        """)
        box.q[HART["mtimecmp"]] = due
        assert box.run(60) == Exit.SLICE
        assert box.hart.x[11] == RAM + 4 * due, due
        assert box.hart.pc == p.symbols["handler"] + 4


# -- wfi


@ANY
@BOTH
@pytest.mark.parametrize("enabled", [False, True])
def test_wfi(engine: str, xlen: int, enabled: bool) -> None:
    """Time skips to the timer; with interrupts off, execution just goes on."""
    store = "sw" if xlen == 32 else "sd"
    box = fresh(engine, xlen, "native")
    text = f"""
        la t0, handler
        csrw mtvec, t0
        li t0, 0x80
        csrw mie, t0
        li s0, {CLINT + 0x4000:#x}
        sw zero, 4(s0)
        csrsi mstatus, {8 if enabled else 0}
    1:  csrr t0, time
        li t1, 10000
        add t0, t0, t1
        {store} t0, 0(s0)
        wfi
        addi a0, a0, 1
        j 1b
        .align 2
    handler:
        addi a1, a1, 1
        csrr a2, mepc
        csrw mie, zero
        mret
    """
    box.load(text)
    code = box.run(60)
    assert box.ticks >= 10_000
    if enabled:  # the handler switched the timer off: nothing ends the second wfi
        assert code == Exit.WFI
        assert (box.hart.x[10], box.hart.x[11]) == (1, 1)
        assert box.memory.read(box.hart.x[12] - 4, 4) == b"\x73\x00\x50\x10"  # behind the wfi
        assert box.q[HART["waiting"]]
    else:
        assert code == Exit.SLICE
        assert box.hart.x[11] == 0 and box.ticks >= 10_000 * box.hart.x[10] > 50_000
    reference = EngineBox(STEP, xlen, clint="native")
    reference.load(text)
    assert reference.run(60) == code
    assert not (what := difference(box, reference)), what


@ANY
@BOTH
def test_wfi_waits_for_an_interrupt_from_outside(engine: str, xlen: int) -> None:
    box = fresh(engine, xlen)
    box.load("li t0, 8; csrw mie, t0; wfi; addi a0, a0, 1; 1: j 1b")
    for n in range(2):  # the second time the wfi's own step is the last of a run
        box.reset()
        box.load("li t0, 8; csrw mie, t0; wfi; addi a0, a0, 1; 1: j 1b")
        if n:
            assert box.run(3) == Exit.SLICE
        assert box.run(100) == Exit.WFI
        assert (box.steps, box.hart.pc, box.q[HART["waiting"]]) == (3, RAM + 12, 1)
        assert box.run(100) == Exit.WFI  # still
        box.hart.set_irq(3, True)
        assert box.run(10) == Exit.SLICE
        assert (box.steps, box.hart.x[10], box.q[HART["waiting"]]) == (13, 1, 0)


# -- vectors


@ANY
@BOTH
@pytest.mark.parametrize("vectored", [False, True])
def test_interrupt_vectors(engine: str, xlen: int, vectored: bool) -> None:
    """Each interrupt goes to its vector; exceptions and direct mode go to the base."""
    for bit in (3, 7, 11):
        box = fresh(engine, xlen)
        table = "".join("c.addi a0, 1; c.nop;" for _ in range(12))
        p = box.load(f"""
            la t0, vector
            addi t0, t0, {int(vectored)}
            csrw mtvec, t0
            li t0, 0x888
            csrw mie, t0
            csrsi mstatus, 8
            {"c.nop;" * 20}
            .align 6
        vector:
            {table}
        1:  j 1b
        """)
        box.run(7)
        assert box.hart.x[10] == 0
        if bit == 7:
            box.q[HART["mtimecmp"]] = 0
        else:
            box.hart.set_irq(bit, True)
        box.run(100)
        assert box.hart.x[10] == (12 - bit if vectored else 12)
        assert box.hart.read_csr("mcause") == 1 << (xlen - 1) | bit
        assert box.hart.pc == p.symbols["vector"] + 48


@ANY
def test_priority(engine: str) -> None:
    """External, software, timer: all pending at once, taken in this order."""
    box = fresh(engine, 64)
    box.load("""
        la t0, handler
        csrw mtvec, t0
        li t0, 0x888
        csrw mie, t0
        csrsi mstatus, 8
    1:  j 1b
        .align 2
    handler:
        csrr t0, mcause
        andi t0, t0, 0xff
        slli a0, a0, 4
        or a0, a0, t0
        li t1, 1
        sll t1, t1, t0
        csrc mie, t1
        mret
    """)
    for bit in (3, 11):
        box.hart.set_irq(bit, True)
    box.q[HART["mtimecmp"]] = 0
    assert box.run(100) == Exit.SLICE
    assert box.hart.x[10] == 0xB37


# -- traps count as steps


LOOPS = {
    "ecall": "1: ecall; j 1b",
    "hole": "la t0, 0x1000; jr t0",
    "illegal": "1: .half 0; .half 0; j 1b",
    "load": "1: lw a0, 0(zero); j 1b",
}


@FAST
@BOTH
@pytest.mark.parametrize("name", LOOPS)
def test_a_trap_is_a_step(engine: str, xlen: int, name: str) -> None:
    """A guest that only traps still consumes its budget, one step a trap."""
    back = "csrr t1, mepc; addi t1, t1, 4; csrw mepc, t1;" if name in ("ecall", "load") else ""
    text = f"""
        la t0, handler
        csrw mtvec, t0
        {LOOPS[name]}
        .align 2
    handler:
        addi a1, a1, 1
        {back}
        mret
    """
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    for box in (fast, slow):
        box.load(text)
    for n in range(1, 40):
        assert (fast.run(n), slow.run(n)) == (Exit.SLICE, Exit.SLICE)
        assert not (what := difference(fast, slow)), f"{n}: {what}"
    assert fast.hart.x[11] > 50
    assert fast.steps - fast.hart.retired in (fast.hart.x[11], fast.hart.x[11] + 1)


CRASHES = {
    "mtvec in a hole": "csrw mtvec, zero; ecall",
    "jump into a hole": "li t0, 0x1000; csrw mtvec, zero; jr t0",
    "illegal handler": "la t0, bad; csrw mtvec, t0; ecall; .align 2; bad: .word 0",
    "loading handler": "la t0, bad; csrw mtvec, t0; ecall; .align 2; bad: lw a0, 0(zero)",
    "vectored": "la t0, bad; addi t0, t0, 1; csrw mtvec, t0; ecall; .align 2; bad: .word 0",
    "ecall in the handler": "la t0, bad; csrw mtvec, t0; .word 0; .align 2; bad: ecall",
}


@BOTH
@pytest.mark.parametrize("name", CRASHES)
def test_crash(xlen: int, name: str) -> None:
    """A handler that traps on its own first instruction ends the run; nothing is lost by asking
    again."""
    boxes = [fresh(e, xlen) for e in EVERY]
    for _ in range(2):
        for box in boxes:
            if not box.steps:
                box.load(CRASHES[name])
            assert box.run(1000) == Exit.CRASH, box.engine
        for box in boxes[1:]:
            assert not (what := difference(boxes[0], box)), what
        assert boxes[0].hart.pc == boxes[0].q[HART["mtvec"]] & -4


@BOTH
def test_a_trap_in_a_handler_is_no_crash(xlen: int) -> None:
    """Only the first instruction of a handler cannot go on."""
    boxes = [fresh(e, xlen) for e in EVERY]
    for box in boxes:
        box.load("la t0, 1f; csrw mtvec, t0; ecall; .align 2; 1: addi a0, a0, 1; ecall")
        assert box.run(500) == Exit.SLICE
    assert boxes[0].hart.x[10] > 200
    for box in boxes[1:]:
        assert not (what := difference(boxes[0], box)), what


# -- stopping


class Stopper:
    """A device that asks for a stop when it is written."""

    name = "stopper"

    def __init__(self, m: memoryview) -> None:
        self.m = m

    def read(self, offset: int, access: Access) -> int:
        return 5

    def write(self, offset: int, value: int, access: Access) -> None:
        if value == 0xBAD:
            raise ZeroDivisionError("the device is broken")
        self.m[MACHINE["stop"]] = 1

    def reset(self) -> None:
        pass


@ANY
@BOTH
def test_a_device_stops_the_run_behind_its_instruction(engine: str, xlen: int) -> None:
    box = EngineBox(engine, xlen)
    box.bus.map(0x1000, 0x1000, Stopper(box.m))
    box.load("li a0, 0x1000; addi a1, a1, 1; lw a2, 0(a0); sw a1, 0(a0); addi a1, a1, 1; 1: j 1b")
    for _ in range(2):
        code = box.run(1000)
        if engine == STEP and code == Exit.SLICE:
            pytest.fail("the stop was not seen")
        assert code == Exit.STOP
        assert (box.steps, box.hart.pc) == (4, RAM + 16)
    assert (box.hart.x[11], box.hart.x[12]) == (1, 5)
    box.m[MACHINE["stop"]] = 0
    assert box.run(1000) == Exit.SLICE
    assert box.hart.x[11] == 2


@ANY
def test_an_exception_in_a_device_comes_out(engine: str) -> None:
    """And the machine stands at the instruction, able to go on."""
    box = EngineBox(engine, 64)
    box.bus.map(0x1000, 0x1000, Stopper(box.m))
    box.load("li a0, 0x1000; li a1, 0xbad; addi a2, a2, 1; sw a1, 0(a0); addi a2, a2, 1; 1: j 1b")
    with pytest.raises(ZeroDivisionError):
        box.run(1000)
    box._settle()
    assert (box.hart.pc, box.hart.x[12]) == (RAM + 16, 1)
    box.hart.x[11] = 0
    assert box.run(1000) == Exit.STOP
    box.m[MACHINE["stop"]] = 0
    assert box.run(1000) == Exit.SLICE
    assert box.hart.x[12] == 2


ENDLESS = {
    "empty loop": "1: j 1b",
    "long loop": "1: " + "addi a0, a0, 1;" * 600 + "j 1b",
    "traps": "la t0, 1f; csrw mtvec, t0; .align 2; 1: addi a0, a0, 1; ecall",
    "divisions": "li a1, -1; 1: div a0, a1, a1; rem a2, a1, a0; j 1b",
}


@pytest.mark.timing
@FAST
@pytest.mark.parametrize("name", ENDLESS)
def test_a_stop_is_answered_in_ten_milliseconds(engine: str, name: str) -> None:
    machine = Machine("rv64imac_zicsr", ram=[(RAM, 1 << 20)], engine=engine)
    machine.memory.write(RAM, assemble(ENDLESS[name], 64, RAM).code)
    machine.harts[0].pc = RAM
    asked = 0.0

    def ask(after: float) -> None:
        nonlocal asked
        time.sleep(after)
        asked = time.perf_counter()
        machine.request_stop()

    late = []
    for n in range(5):
        thread = threading.Thread(target=ask, args=(0.1 + 0.01 * n,))
        thread.start()
        assert machine.run().reason == StopReason.REQUEST
        late.append(time.perf_counter() - asked)
        thread.join()
    machine.close()
    assert sorted(late)[2] < 0.010, late
