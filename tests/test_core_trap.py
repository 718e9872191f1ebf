"""Traps, interrupts, time and polling."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otoriscv.core.layout import Exit
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.sem import CAUSE
from tests.core_box import RAM, Box

IRQ = 1 << 63
HANDLER = RAM + 0x100


@pytest.fixture(params=[(32, "python"), (64, "python"), (32, "evaluate"), (64, "evaluate")])
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    box = Box(*request.param)
    box.set(mtvec=HANDLER, pc=RAM)
    yield box
    box.close()


def enter(box: Box, pc: int, cause: int, tval: int = 0) -> int:
    return box.call("trap_enter", pc, cause, tval)


def test_exception_from_m(box: Box) -> None:
    box.set(mstatus=MSTATUS.MIE, res_valid=1)
    assert enter(box, RAM + 4, CAUSE.LOAD_FAULT, 0x1234) == HANDLER
    assert box.get("mstatus") == MSTATUS.MPIE | MSTATUS.MPP
    assert (box.get("mepc"), box.get("mcause"), box.get("mtval")) == (RAM + 4, 5, 0x1234)
    assert (box.get("priv"), box.get("res_valid")) == (3, 0)
    # it cost a step and retired nothing
    assert (box.get("budget"), box.get("retired_end"), box.hart.retired) == (999, 999, 0)
    assert (box.get_m("traps"), box.get_m("interrupts")) == (1, 0)


def test_interrupt_vectored(box: Box) -> None:
    box.hart.priv = 0
    box.set(mtvec=HANDLER | 1)
    assert enter(box, RAM + 2, IRQ | 7) == HANDLER + 28
    assert box.get("mcause") == 1 << (box.xlen - 1) | 7
    assert box.get("mstatus") == 0  # MPP is U, MIE was off
    assert box.get("mode") >> 1 & 3 == 3
    assert box.get("budget") == 1000
    assert (box.get_m("traps"), box.get_m("interrupts")) == (0, 1)
    assert enter(box, RAM, CAUSE.ILLEGAL) == HANDLER  # exceptions are never vectored


def test_delegation(box: Box) -> None:
    box.set(stvec=RAM + 0x200 | 1, medeleg=1 << 8, mideleg=1 << 5, mstatus=MSTATUS.SIE)
    box.hart.priv = 0
    assert enter(box, RAM, CAUSE.ECALL_U) == RAM + 0x200
    assert (box.get("priv"), box.get("sepc"), box.get("scause")) == (1, RAM, 8)
    assert box.get("mstatus") == MSTATUS.SPIE
    assert enter(box, RAM + 8, IRQ | 5) == RAM + 0x200 + 20
    assert box.get("mstatus") == MSTATUS.SPP
    assert box.get("scause") == 1 << (box.xlen - 1) | 5
    assert box.get("mepc") == 0
    box.hart.priv = 3
    assert enter(box, RAM, CAUSE.ECALL_U) == HANDLER  # never to a lower privilege


def test_mret(box: Box) -> None:
    box.set(mstatus=MSTATUS.MPIE | MSTATUS.MPRV | 1 << 11, mepc=RAM + 6, res_valid=1)
    assert box.call("xret", 3) == RAM + 6
    assert box.get("priv") == 1
    assert box.get("mstatus") == MSTATUS.MIE | MSTATUS.MPIE
    assert box.get("res_valid") == 0
    box.set(mstatus=MSTATUS.MPRV | MSTATUS.MPP, mepc=RAM)
    box.hart.priv = 3
    box.call("xret", 3)
    assert box.get("mstatus") == MSTATUS.MPIE | MSTATUS.MPRV
    assert (box.get("priv"), box.get("mode") >> 1 & 3) == (3, 3)


def test_sret(box: Box) -> None:
    box.hart.priv = 1
    box.set(mstatus=MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.MPRV, sepc=RAM + 8)
    assert box.call("xret", 1) == RAM + 8
    assert box.get("priv") == 1
    assert box.get("mstatus") == MSTATUS.SIE | MSTATUS.SPIE
    box.call("xret", 1)
    assert box.get("priv") == 0


def test_epc_without_compressed() -> None:
    box = Box(32, isa="rv32i_zicsr", off="U")
    box.set(mepc=RAM + 6, mstatus=MSTATUS.MPP)
    assert box.call("xret", 3) == RAM + 4
    assert box.get("mstatus") == MSTATUS.MPIE | MSTATUS.MPP  # M is the lowest mode
    box.close()


def test_trap_loop(box: Box) -> None:
    pc = enter(box, RAM, CAUSE.ILLEGAL, 7)
    assert box.get("exit_code") == 0
    assert enter(box, pc, CAUSE.FETCH_FAULT, pc) == pc
    assert box.get("exit_code") == Exit.CRASH
    assert (box.get("mepc"), box.get("mcause"), box.get("mtval")) == (RAM, 2, 7)


def test_no_trap_loop_when_something_retired(box: Box) -> None:
    pc = enter(box, RAM, CAUSE.ILLEGAL)
    box.set(budget=box.get("budget") - 1)
    enter(box, pc, CAUSE.ILLEGAL)
    assert box.get("exit_code") == 0
    box.hart.priv = 0  # the handler's address, but not in M-mode
    enter(box, pc, CAUSE.ILLEGAL)
    assert box.get("exit_code") == 0


def test_interrupt_priority(box: Box) -> None:
    everything = 0xAAA
    box.set(mip=everything, mie=everything, mstatus=MSTATUS.MIE)
    order = []
    while cause := box.call("pick_interrupt"):
        assert cause & IRQ
        order.append(cause & 0xFF)
        box.set(mip=box.get("mip") & ~(1 << (cause & 0xFF)))
    assert order == [11, 3, 7, 9, 1, 5]


@pytest.mark.parametrize(
    ("priv", "mstatus", "mideleg", "taken"),
    [
        (3, 0, 0, 0),
        (3, MSTATUS.MIE, 0, 9),
        (3, MSTATUS.MIE, 0x222, 0),  # delegated: never in M
        (1, 0, 0, 9),  # M interrupts are on below M
        (1, 0, 0x222, 0),
        (1, MSTATUS.SIE, 0x222, 9),
        (0, 0, 0x222, 9),
    ],
)
def test_interrupt_enables(box: Box, priv: int, mstatus: int, mideleg: int, taken: int) -> None:
    box.set(mip=1 << 9, mie=1 << 9, mstatus=mstatus, mideleg=mideleg)
    box.hart.priv = priv
    assert box.call("pick_interrupt") == (IRQ | taken if taken else 0)


def test_machine_interrupts_come_first(box: Box) -> None:
    box.set(mip=1 << 7 | 1 << 9, mie=0xAAA, mideleg=0x222)
    box.hart.priv = 0
    assert box.call("pick_interrupt") == IRQ | 7


def test_virtual_time(box: Box) -> None:
    box.set_m(time_num=10, time_den=1000, skip=500, time_delta=7)
    box.set(budget=401)  # 599 steps done
    assert box.call("time_ticks") == (599 + 500) // 100 + 7


def test_host_time(box: Box) -> None:
    box.set_m(clock_host=1, time_delta=(1 << 64) - 3)
    first = box.call("time_ticks")
    assert 0 < first <= box.call("time_ticks")


def test_poll_order(box: Box) -> None:
    box.set(mtimecmp=0, mie=1 << 7, mstatus=MSTATUS.MIE, budget=0)
    box.set_m(stop=1)
    assert box.call("poll") == Exit.SLICE
    assert box.get("mip") == 1 << 7  # the timer is up to date even so
    box.set_m(slice_end=2000)
    assert box.call("poll") == Exit.STOP
    box.set_m(stop=0)
    assert box.call("poll") == 0
    assert box.get("pc") == HANDLER
    assert box.get("mepc") == RAM
    assert (box.get("budget"), box.get_m("steps_end"), box.get("retired_end")) == (1000, 2000, 2000)


def test_poll_lowers_the_timer(box: Box) -> None:
    box.set(mip=1 << 7, mtimecmp=1 << 40)
    box.set_m(retime=1)
    box.call("poll")
    assert box.get("mip") == 0


def test_poll_leaves_a_budget_that_holds(box: Box) -> None:
    """Until a deadline has moved, and not when time is the host's."""
    box.set(budget=5)
    box.set_m(steps_end=500)
    assert box.call("poll") == 0 and box.get("budget") == 5
    box.set_m(retime=1)
    assert box.call("poll") == 0 and box.get("budget") == 505  # up to the slice's end, 1000
    assert box.get_m("retime") == 0
    box.set(budget=5)
    box.set_m(steps_end=500, clock_host=1)
    assert box.call("poll") == 0 and box.get("budget") == 505


def test_poll_takes_what_was_enabled_with_budget_left(box: Box) -> None:
    box.set(mip=1 << 3, mie=1 << 3, budget=5)
    assert box.call("poll") == 0 and box.get("pc") == RAM
    box.set(mstatus=MSTATUS.MIE)
    assert box.call("poll") == 0
    assert (box.get("pc"), box.get("mepc"), box.get("budget")) == (HANDLER, RAM, 5)


@pytest.mark.parametrize(
    ("num", "den", "skip", "delta", "deadline", "due"),
    [
        (1, 1, 0, 0, 700, 700),
        (10, 1000, 0, 0, 7, 700),
        (10, 33, 0, 0, 100, 330),
        (10, 33, 5, 0, 101, 329),  # ceil(333.3) - 5
        (1, 1, 10, -20, 700, 710),
        (1, 1, 0, 0, 1 << 50, 5000),  # no deadline: the slice's end
        (1, 1, 0, 0, (1 << 64) - 1, 5000),
        (1, 1, 0, 0, 6000, 5000),
    ],
)
def test_deadline(
    box: Box, num: int, den: int, skip: int, delta: int, deadline: int, due: int
) -> None:
    box.set_m(time_num=num, time_den=den, skip=skip, time_delta=delta & (1 << 64) - 1)
    box.set_m(slice_end=5000, retime=1)
    box.set(mtimecmp=deadline, budget=900)  # 100 steps done
    assert box.call("poll") == 0
    assert box.get_m("steps_end") == due
    assert box.get("budget") == due - 100
    assert box.hart.retired == 100
    if due < 5000:
        box.set(budget=1)
        box.call("poll")
        assert not box.get("mip")
        box.set(budget=0)
        box.call("poll")
        assert box.get("mip") == 1 << 7
        assert box.get_m("steps_end") == 5000


def test_wfi(box: Box) -> None:
    box.set(waiting=1, mtimecmp=1 << 40)
    assert box.call("poll") == Exit.WFI
    assert box.hart.waiting
    box.set(mip=1 << 3, mie=1 << 3)  # enabled in mie: it ends the wfi, though MIE is off
    assert box.call("poll") == 0
    assert not box.hart.waiting
    assert box.get("pc") == RAM
