"""Sstc: supervisor mode's own timer wakes, interrupts and is granted by machine mode."""

from __future__ import annotations

import subprocess

import pytest

from otoriscv import tools
from otoriscv.board.stops import StopReason
from tests.board_guest import ENGINES, FINISH, build, machine, needs_cc, output, run

pytestmark = needs_cc
engines = pytest.mark.parametrize("engine", ENGINES)
widths = pytest.mark.parametrize("xlen", [32, 64])

#: Ticks between two interrupts: far more than the guest's instructions take, also on a busy host.
PERIOD = 20_000
SLOW = 1_000_000


def _stce(xlen: int) -> str:
    """Grant stimecmp."""
    if xlen == 32:
        return "li t0, 1 << 31\n csrw 0x31a, t0"
    return "li t0, 1 << 63\n csrw 0x30a, t0"


def _compare(xlen: int, register: str) -> str:
    """Set stimecmp."""
    high = "li t1, -1\n csrw 0x15d, t1\n" if xlen == 32 else ""
    low = "\n csrw 0x15d, zero" if xlen == 32 else ""
    return f"{high} csrw 0x14d, {register}{low}"


def guest(xlen: int, period: int = PERIOD) -> str:
    """In S-mode: five interrupts, each *period* ticks after the one before, a dot for each."""
    return f"""
_start:
    li t0, -1
    csrw pmpaddr0, t0
    li t0, 0x1f
    csrw pmpcfg0, t0
    la t0, unexpected
    csrw mtvec, t0
    li t0, 0x20
    csrw mideleg, t0
    li t0, 2
    csrw mcounteren, t0
    {_stce(xlen)}
    la t0, handler
    csrw stvec, t0
    la t0, supervisor
    csrw mepc, t0
    li t0, 0x800
    csrw mstatus, t0
    mret
supervisor:
    li s3, {period}
    rdtime s1
    add s1, s1, s3
    li s2, 5
    {_compare(xlen, "s1")}
    li t0, 0x20
    csrw sie, t0
    csrsi sstatus, 2
1:  wfi
    j 1b
    .align 2
handler:
    li t0, 0x10000000
    li t1, '.'
    sb t1, 0(t0)
    rdtime t2
    bltu t2, s1, early
    csrr t0, sip
    andi t0, t0, 0x20
    beqz t0, early
    add s1, t2, s3
    {_compare(xlen, "s1")}
    csrr t0, sip
    andi t0, t0, 0x20
    bnez t0, early             # a compare register in the future takes the interrupt back
    addi s2, s2, -1
    beqz s2, pass
    sret
early:
    li a0, 1
    j finish
    .align 2
unexpected:
    li a0, 2
    j finish
{FINISH}
"""


@engines
@widths
def test_idle_harts_wake_and_time_skips(engine: str, xlen: int) -> None:
    made = machine(guest(xlen), engine, xlen)
    stop = made.run()
    assert (stop.reason, stop.code, output(made)) == (StopReason.EXIT, 0, "....."), stop
    assert made.retired < 400
    assert 5 * PERIOD <= made.clock.ticks() < 5 * PERIOD + 5
    made.close()


@engines
@widths
def test_busy_harts_are_interrupted_at_the_same_instruction(engine: str, xlen: int) -> None:
    source = guest(xlen).replace("1:  wfi\n", "1:  addi s11, s11, 1\n", 1)
    made = machine(source, engine, xlen, mips=100)
    stop = made.run()
    assert (stop.reason, stop.code) == (StopReason.EXIT, 0), stop
    reference = machine(source, "python", xlen, mips=100)
    reference.run()
    assert (made.retired, made.harts[0].x[27]) == (reference.retired, reference.harts[0].x[27])
    made.close()
    reference.close()


@engines
def test_the_host_clock_wakes_it_too(engine: str) -> None:
    stop, text = run(guest(64, SLOW), engine, clock="host")
    assert (stop.reason, stop.code, text) == (StopReason.EXIT, 0, ".....")


@engines
@pytest.mark.parametrize(
    "removed", ["csrw 0x30a, t0", "csrw mcounteren, t0"], ids=["menvcfg", "mcounteren"]
)
def test_not_granted(engine: str, removed: str) -> None:
    """Without STCE or TM an access from S is illegal."""
    stop, _ = run(guest(64).replace(removed, "nop"), engine)
    assert (stop.reason, stop.code) == (StopReason.EXIT, 2)


@pytest.mark.qemu
@widths
def test_qemu_agrees_with_the_guest(xlen: int) -> None:
    """The guest's own checks hold on QEMU."""
    qemu = tools.find_qemu(xlen)
    if not qemu.usable:
        pytest.skip(qemu.reason)
    command = [*qemu.command, "-M", "virt", "-cpu", f"rv{xlen},sstc=on", "-bios", "none"]
    command += [
        "-kernel",
        str(build(guest(xlen, SLOW), xlen)),
        "-display",
        "none",
        "-serial",
        "stdio",
    ]
    done = subprocess.run([*command, "-monitor", "none"], capture_output=True, timeout=60)
    assert (done.returncode, done.stdout) == (0, b".....")
