"""A guest cannot tell whether it is debugged.

It hashes its memory, takes timer interrupts and exceptions, notes after which count of instructions
each came, and prints all of it; whatever a debugger does meanwhile must change nothing, nor may the
engine.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Iterator

import pytest

from otoriscv.board.target import BoardTarget
from otoriscv.core.layout import MACHINE
from otoriscv.gdbstub.target import Action, StopKind, WatchKind
from tests.board_guest import FINISH, machine, needs_cc, output

pytestmark = needs_cc

GO = {0: Action.CONTINUE}
STEP = {0: Action.STEP}
LONG, SHORT = 600_000, 2_000  # rounds of the loop

#: s1 rounds, s3 random numbers, s4 hash of all traps, s5 their number.
GUEST = """
    .globl _start, hot, never, table
_start:
    la t0, trap
    csrw mtvec, t0
    la s0, table
    li s1, {rounds}
    li s2, 0x2004000            # mtimecmp
    li s3, 0x1234567
    li s4, 0
    li s5, 0
    li t0, -1
    sw t0, 4(s2)
    sw zero, 0(s2)
    sw zero, 4(s2)
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
hot:
    slli t0, s3, 13             # xorshift
    xor s3, s3, t0
    srli t0, s3, 17
    xor s3, s3, t0
    slli t0, s3, 5
    xor s3, s3, t0
    andi t0, s3, 0xfc
    add t0, t0, s0
    lw t1, 0(t0)
    add t1, t1, s3
    sw t1, 0(t0)
    call mix
    andi t0, s3, 0xff
    bnez t0, 1f
    ecall
    .word 0                     # illegal
    lw t1, 1(s0)                # misaligned: done by the machine
1:  addi s1, s1, -1
    bnez s1, hot
    csrci mstatus, 8
    li s6, 64                   # the memory's hash
    li a0, 0
2:  lw t0, 0(s0)
    slli t1, a0, 5
    sub a0, t1, a0
    add a0, a0, t0
    addi s0, s0, 4
    addi s6, s6, -1
    bnez s6, 2b
    call hex
    mv a0, s4
    call hex
    mv a0, s5
    call hex
    csrr a0, minstret
    call hex
    li a0, 0
    j finish
mix:
    xor t2, s3, s1
    sb t2, 3(s0)
    ret
never:
    .rept 100
    nop
    .endr

    .align 2
trap:
    csrw mscratch, t0
    mv s8, t1
    mv s9, t2
    csrr t0, mcause
    csrr t1, mepc
    csrr t2, minstret
    add t0, t0, t1
    add t0, t0, t2
    slli t1, s4, 7
    sub s4, t1, s4
    xor s4, s4, t0
    addi s5, s5, 1
    csrr t0, mcause
    bltz t0, 3f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    j 4f
3:  li t1, 0x200bff8            # mtime: again after a while
    lw t0, 0(t1)
    andi t1, s3, 7
    add t0, t0, t1
    addi t0, t0, 2
    li t2, -1
    sw t2, 4(s2)
    sw t0, 0(s2)
    sw zero, 4(s2)
4:  mv t1, s8
    mv t2, s9
    csrr t0, mscratch
    mret

hex:
    li t0, 0x10000000
    li t1, 32
5:  addi t1, t1, -4
    srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, 48
    li t3, 58
    blt t2, t3, 6f
    addi t2, t2, 39
6:  sb t2, 0(t0)
    bnez t1, 5b
    li t2, 10
    sb t2, 0(t0)
    ret
""" + FINISH + """
    .data
    .align 8
table: .zero 512
    .zero 4096
beside: .word 0
"""  # fmt: skip

#: Engine, threshold and workers: None as they come.
ENGINES = {
    "python": ("python", None, None),
    "interp": ("interp", None, None),
    "llvm": ("llvm", None, None),
    "llvm at once": ("llvm", "1", "0"),
}


@functools.cache
def expected(xlen: int, rounds: int) -> str:
    """What the guest prints when nobody looks, under the interpreter."""
    guest = machine(GUEST.format(rounds=rounds), "interp", xlen)
    try:
        guest.run()
        return output(guest)
    finally:
        guest.close()


@pytest.fixture(params=[(e, x) for e in ENGINES for x in (32, 64)], ids=lambda p: f"{p[0]} {p[1]}")
def debugged(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[BoardTarget, int, float]]:
    """The guest under a debugger, its rounds, and the share that regions retire at least."""
    name, xlen = request.param
    engine, threshold, workers = ENGINES[name]
    rounds = SHORT if engine == "python" else LONG
    if name == "llvm":  # what it compiles is in the cache: it is there at once
        _fill_cache(xlen)
    for variable, value in (("THRESHOLD", threshold), ("WORKERS", workers)):
        if value is not None:
            monkeypatch.setenv(f"OTORISCV_JIT_{variable}", value)
    guest = machine(GUEST.format(rounds=rounds), engine, xlen)
    target = BoardTarget(guest)
    target.on_output(lambda text: None)
    yield target, rounds, {"llvm": 0.0, "llvm at once": 0.7}.get(name, -1.0)
    target.shut_down()
    guest.close()


@functools.cache
def _fill_cache(xlen: int) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OTORISCV_JIT_THRESHOLD", "1")
        patch.setenv("OTORISCV_JIT_WORKERS", "0")
        guest = machine(GUEST.format(rounds=LONG), "llvm", xlen)
        guest.run()
        guest.close()


def at(target: BoardTarget, name: str) -> int:
    """A symbol's address."""
    found = target.symbol(name)
    assert found is not None
    return found[0]


def go(target: BoardTarget) -> StopKind:
    """Continue to the next stop."""
    target.resume(GO)
    event = target.wait(120)
    assert event is not None
    return event.kind


def hundred_breakpoints(target: BoardTarget) -> None:
    """Breakpoints that are never hit, some with programs; watchpoints that are never hit."""
    never = at(target, "never")
    for n in range(100):
        condition = [b"\x22\x00\x27"] if n % 3 == 0 else []
        target.insert_breakpoint(never + 2 * n, condition)
    table = at(target, "table")
    for n, kind in enumerate(WatchKind):
        target.insert_watchpoint(kind, table + 0x180 + 16 * n, 4)
        target.insert_watchpoint(kind, table - 0x80 - 16 * n, 2)


def steps(target: BoardTarget, count: int) -> None:
    """Single steps through whatever comes."""
    for n in range(count):
        if n % 2:
            target.resume(STEP)
            assert target.wait(60) is not None
        else:
            target.step(0)
        assert target.last_stop.kind is StopKind.STEP, target.last_stop


def look(target: BoardTarget) -> None:
    """What a debugger reads at a stop."""
    target.general_registers(0)
    for number in (65 + 0x300, 65 + 0xB02, 65 + 0x344):
        target.read_register(0, number)
    target.read_memory(0, at(target, "table"), 512)
    target.info(0, "translations")


def nothing(target: BoardTarget) -> None:
    """A debugger that only waits."""


def step_at_first(target: BoardTarget) -> None:
    steps(target, 1000)


def points(target: BoardTarget) -> None:
    hundred_breakpoints(target)


def step_in_the_middle(target: BoardTarget) -> None:
    """After code was compiled, with all the points, a thousand steps; then on without them."""
    hundred_breakpoints(target)
    stop_late(target)
    steps(target, 1000)
    target.clear_breakpoints()


def stop_late(target: BoardTarget) -> None:
    """Stop once in the hot loop, by a condition: s1 is not above half its rounds."""
    hot, rounds = at(target, "hot"), target.read_register(0, 9)
    half = (rounds or 1000) // 2
    target.insert_breakpoint(hot, [b"\x26\x00\x09\x24" + half.to_bytes(4, "big") + b"\x14\x27"])
    assert go(target) is StopKind.BREAKPOINT
    target.remove_breakpoint(hot)


def hits(target: BoardTarget) -> None:
    """Breakpoints and watchpoints that are hit, with looks and steps between."""
    rng = random.Random(1)
    hot, table = at(target, "hot"), at(target, "table")
    for _ in range(20):
        target.insert_breakpoint(hot + 4 * rng.randrange(8))
        for _ in range(rng.randrange(1, 8)):
            assert go(target) is StopKind.BREAKPOINT
            look(target)
        target.clear_breakpoints()
        steps(target, rng.randrange(30))
        target.insert_watchpoint(WatchKind.WRITE, table + 4 * rng.randrange(48), 64)
        for _ in range(rng.randrange(1, 4)):
            assert go(target) is StopKind.WATCH
            look(target)
        target.clear_breakpoints()


def interrupted(target: BoardTarget) -> None:
    """Stopped wherever it happens to be."""
    for _ in range(30):
        target.resume(GO)
        target.stop()
        event = target.wait(60)
        assert event is not None
        if event.kind is StopKind.EXIT:
            return
        look(target)


@pytest.mark.parametrize(
    "what", [nothing, points, step_at_first, step_in_the_middle, hits, interrupted]
)
def test_the_guest_cannot_tell(
    debugged: tuple[BoardTarget, int, float], what: Callable[[BoardTarget], None]
) -> None:
    target, rounds, share = debugged
    guest = target.machine
    what(target)
    if target.last_stop.kind is not StopKind.EXIT:
        assert go(target) is StopKind.EXIT
    assert output(guest) == expected(guest.xlen, rounds)
    if what is nothing or (what is points and share):  # the cache has nothing for breakpoints
        assert guest.m[MACHINE["region_steps"]] > share * guest.retired


@pytest.mark.parametrize("xlen", [32, 64])
def test_the_guest_is_worth_it(xlen: int) -> None:
    """It takes many traps, and what it prints depends on when they came."""
    lines = [int(line, 16) for line in expected(xlen, LONG).split()]
    assert len(lines) == 4 and lines[2] > 15_000 and lines[3] > 15 * LONG
    assert expected(xlen, LONG) != expected(xlen, LONG - 1)
