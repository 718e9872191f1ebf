"""Range steps end where single steps would, but by the engine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from otoriscv.board.range_step import RangeStep
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.target import BoardTarget
from otoriscv.core.layout import HART, MACHINE
from otoriscv.gdbstub.target import Action, StepRange, StopKind
from tests.board_guest import ENGINES, FINISH, machine, needs_cc

pytestmark = needs_cc

GUEST = f"""
_start:
    csrr t0, mhartid
    bnez t0, other
    la t0, handler
    csrw mtvec, t0
    li s0, 300
line:
    addi s1, s1, 1
    addi s0, s0, -1
    bnez s0, line
    la t1, inside
    jr t1
    nop
inside:
    li s2, 40
again:
    call count
    addi s2, s2, -1
    bnez s2, again
    ecall
    li s3, 100
    la t1, table
spin:
    andi t2, s3, 1
    slli t2, t2, 2
    add t2, t2, t1
    jr t2
table:
    .option push
    .option norvc
    j odd
    j odd
    .option pop
odd:
    addi s3, s3, -1
    bnez s3, spin
wait:
    la t0, flag
    lw t0, 0(t0)
    beqz t0, wait
after:
    la t1, handler2
    csrw mtvec, t1
    li s4, 2000
timed:
    addi s4, s4, -1
    bnez s4, timed
last:
    li a0, 9
    j finish
count:
    addi s5, s5, 1
    ret
    .balign 4
handler:
    csrr t3, mepc
    addi t3, t3, 4
    csrw mepc, t3
    mret
    .balign 4
handler2:
    csrw mie, zero
    addi s6, s6, 1
    mret
other:
    addi s1, s1, 1
    li t1, 200000
    bltu s1, t1, other
    la t0, flag
    li t1, 1
    sw t1, 0(t0)
1:  j 1b
{FINISH}
    .data
flag: .word 0
"""


@pytest.fixture(params=[(e, x) for e in ENGINES for x in (32, 64)], ids=lambda p: f"{p[0]}{p[1]}")
def target(request: pytest.FixtureRequest) -> Iterator[BoardTarget]:
    engine, xlen = request.param
    guest = machine(GUEST, engine, xlen, harts=2)
    target = BoardTarget(guest)
    yield target
    target.shut_down()
    guest.close()


def at(target: BoardTarget, name: str) -> int:
    symbol = target.machine.symbols.get(name)
    assert symbol is not None
    return symbol.address


def run_to(target: BoardTarget, name: str, *harts: int) -> None:
    address = at(target, name)
    target.insert_breakpoint(address)
    target.resume(dict.fromkeys(harts or (0,), Action.CONTINUE))
    event = target.wait(10)
    assert event is not None and event.kind is StopKind.BREAKPOINT
    target.remove_breakpoint(address)


def go(target: BoardTarget, start: str, end: str, *others: int) -> StopKind:
    actions: dict[int, Action | StepRange] = dict.fromkeys(others, Action.CONTINUE)
    target.resume({0: StepRange(at(target, start), at(target, end)), **actions})
    event = target.wait(20)
    assert event is not None
    assert len(target.machine.breakpoints) == 0
    assert target.machine.m[MACHINE["trap_exits"]] == 0
    return event.kind


def stepped(target: BoardTarget, start: str, end: str) -> tuple[int, int]:
    """pc and instruction count when it is done one by one, from the same state."""
    span = range(at(target, start), at(target, end))
    state = target.machine
    from otoriscv.board.snapshot import restore, save

    before = save(state)
    stop: Stop = state.step(0)
    while stop.pc in span:
        stop = state.step(0)
    result = stop.pc, state.retired
    restore(state, before)
    return result


@pytest.mark.parametrize(
    ("where", "start", "end"),
    [
        ("line", "line", "inside"),  # a loop, then an indirect jump to the range's end
        ("line", "_start", "again"),  # and into the range
        ("again", "inside", "spin"),  # a call leaves it at once
        ("spin", "spin", "wait"),  # indirect jumps that stay in
        ("spin", "table", "odd"),  # it begins outside
        ("count", "again", "count"),
    ],
)
def test_it_ends_where_single_steps_do(
    target: BoardTarget, where: str, start: str, end: str
) -> None:
    run_to(target, where)
    expected = stepped(target, start, end)
    assert go(target, start, end) is StopKind.STEP
    assert (target.read_register(0, 32), target.machine.retired) == expected


def test_a_trap_leaves_it(target: BoardTarget) -> None:
    run_to(target, "again")
    target.write_register(0, 32, at(target, "again"))
    for _ in range(40):  # each call leaves the range
        assert go(target, "again", "spin") is StopKind.STEP
        assert target.read_register(0, 32) == at(target, "count")
        run_to_return = target.read_register(0, 1)
        target.insert_breakpoint(run_to_return)
        target.resume({0: Action.CONTINUE})
        assert target.wait(5) is not None
        target.remove_breakpoint(run_to_return)
    assert go(target, "again", "spin") is StopKind.STEP
    assert target.read_register(0, 32) == at(target, "handler")


def test_a_breakpoint_and_an_interrupt_stop_it(target: BoardTarget) -> None:
    run_to(target, "line")
    inner = at(target, "line") + 2
    target.insert_breakpoint(inner)
    target.write_register(0, 32, inner)
    for expected in (2, 3):  # not where it starts, but the next time round
        target.resume({0: StepRange(at(target, "line"), at(target, "inside"))})
        event = target.wait(5)
        assert event is not None and event.kind is StopKind.BREAKPOINT
        assert target.read_register(0, 9) == expected - 1
    target.remove_breakpoint(inner)
    run_to(target, "wait")
    target.resume({0: StepRange(at(target, "wait"), at(target, "after"))})
    assert target.wait(0.2) is None  # hart 1, which would end the wait, is halted
    target.stop()
    event = target.wait(5)
    assert event is not None and event.kind is StopKind.INTERRUPT


def test_other_harts_run_meanwhile(target: BoardTarget) -> None:
    run_to(target, "wait")
    assert go(target, "wait", "after", 1) is StopKind.STEP
    assert target.read_register(0, 32) == at(target, "after")
    assert target.read_register(1, 9) == 200_000


def test_anothers_breakpoint_is_anothers_stop(target: BoardTarget) -> None:
    run_to(target, "wait")
    target.insert_breakpoint(at(target, "other"))
    target.resume({0: StepRange(at(target, "wait"), at(target, "after")), 1: Action.CONTINUE})
    event = target.wait(5)
    assert event is not None and (event.kind, event.hart) == (StopKind.BREAKPOINT, 1)


@pytest.mark.parametrize("setting", ["on", "off"])
def test_interrupts(target: BoardTarget, setting: str) -> None:
    run_to(target, "timed", 0, 1)
    q = target.machine.harts[0].q
    q[HART["mtimecmp"]] = target.machine.clock.ticks() + 10
    target.machine.harts[0].write_csr("mie", 0x80)
    target.machine.harts[0].write_csr("mstatus", 0x1808)
    target.setting("step-irq", [setting])
    assert go(target, "timed", "last") is StopKind.STEP
    handled = target.read_register(0, 22)
    if setting == "on":
        assert (target.read_register(0, 32), handled) == (at(target, "handler2"), 0)
    else:
        assert (target.read_register(0, 32), handled) == (at(target, "last"), 1)


def test_it_is_the_engines_work() -> None:
    guest = machine(GUEST, "interp", 32)
    target = BoardTarget(guest)
    run_to(target, "line")
    target.write_register(0, 8, 3_000_000)
    began = time.perf_counter()
    assert go(target, "line", "inside") is StopKind.STEP  # 9 million steps
    assert time.perf_counter() - began < 5
    assert guest.retired > 9_000_000
    target.shut_down()
    guest.close()


def test_a_request_between_the_first_steps() -> None:
    guest = machine(GUEST, "python", 32)
    guest.request_stop()
    step = RangeStep(guest, 0, range(1 << 32), only=None, step=guest.step, interrupts=True)
    assert step.run().reason is StopReason.REQUEST
    guest.close()
