"""The Python API on both engines: running, registers, memory, hooks, devices."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from otoriscv import Device, ExpectError, ImageError, Machine, MemoryHole, StopReason
from otoriscv.api import TrapEvent
from tests.board_guest import ENGINES, FINISH, PUTS, build, needs_cc

pytestmark = needs_cc

GUEST = f"""
_start: la sp, stack
    la t0, handler
    csrw mtvec, t0
    la a0, text
    call puts
    li s0, 5
loop:
    mv a0, s0
    call work
    addi s0, s0, -1
    bnez s0, loop
    ecall
    li a0, 9
    j finish
work:
    la t0, counter
    lw t1, 0(t0)
    add t1, t1, a0
    sw t1, 0(t0)
    ret
    .align 2
handler:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
{PUTS}{FINISH}
text: .asciz "ready\\n"
    .data
    .align 3
    .globl counter
    .type counter, @object
    .size counter, 4
counter: .word 100
    .bss
    .skip 256
stack:
"""


@pytest.fixture(
    params=[(x, e) for x in (32, 64) for e in ENGINES], ids=lambda p: f"rv{p[0]}-{p[1]}"
)
def m(request: pytest.FixtureRequest) -> Iterator[Machine]:
    xlen, engine = request.param
    with Machine(build(GUEST, xlen), engine=engine) as machine:
        yield machine


def test_run_until(m: Machine) -> None:
    assert m.run(text="ready").reason is StopReason.UNTIL
    assert m.output == "ready"
    for expected in (5, 4):
        stop = m.run("work")
        assert (stop.reason, stop.pc, m.regs.a0) == (
            StopReason.UNTIL,
            m.symbols["work"],
            expected,
        )
    before = m.retired
    assert m.run(count=7).reason is StopReason.STEPS
    assert m.retired == before + 7
    assert m.run(m.symbols["handler"]).reason is StopReason.UNTIL
    assert m.regs.mcause == 11
    m.step()
    assert m.regs.t0 == m.regs["mepc"]
    stop = m.run("work", timeout=1)
    assert (stop.reason, stop.code) == (StopReason.EXIT, 9)


def test_timeout_is_in_guest_time(m: Machine) -> None:
    m.run("loop")
    m.mem[m.regs.pc] = b"\x01\xa0"  # j .
    stop = m.run(timeout=0.001)
    assert stop.reason is StopReason.TIMEOUT
    assert 0.001 <= m.seconds < 0.0011


def test_registers(m: Machine) -> None:
    xlen = m.board.xlen
    m.regs.a0 = -1
    assert m.regs["x10"] == (1 << xlen) - 1
    m.regs.zero = 7
    assert m.regs.zero == 0
    m.regs["mstatus"] |= 8
    assert m.regs.mstatus & 8
    m.regs.fp = 3
    assert m.regs.s0 == 3
    assert {"a0", "pc", "mepc", "x31"} <= {n for n in ("a0", "pc", "mepc", "x31") if n in m.regs}
    m.regs.fa0 = 0x3FF0_0000_0000_0000
    assert m.regs["f10"] == 0x3FF0_0000_0000_0000
    assert "f31" in m.regs
    with Machine(isa="rv32imac_zicsr") as plain:
        assert "fa0" not in plain.regs
        with pytest.raises(AttributeError, match="no register 'fa0'"):
            plain.regs.fa0 = 1
    with pytest.raises(AttributeError, match="did you mean 'mstatus'"):
        _ = m.regs.mstatu
    with pytest.raises(KeyError, match="no register"):
        m.regs["nothing"] = 1


def test_memory_and_symbols(m: Machine) -> None:
    counter = m.symbols["counter"]
    assert m.mem.u32["counter"] == 100 == m.mem[counter]
    m.mem.i16["counter+2"] = -2
    assert m.mem.u32[counter] == 0xFFFE_0064
    assert m.mem.i16[counter:+4] == [100, -2]
    m.mem[counter : counter + 4] = b"abcd"
    assert m.mem[counter:+4] == b"abcd"
    assert m.mem.cstring("text") == "ready\n"
    assert m.symbols.describe(counter + 1) == "counter+0x1"
    with pytest.raises(ValueError, match="4 bytes of memory"):
        m.mem[counter:+4] = b"abc"
    with pytest.raises(KeyError, match="did you mean 'counter'"):
        _ = m.mem["countr"]
    with pytest.raises(MemoryHole):
        _ = m.mem[0x1234_0000]
    with pytest.raises(TypeError):
        _ = m.mem[1:]


def test_code_written_through_the_api_runs(m: Machine) -> None:
    m.run("work")
    m.mem["work"] = b"\x82\x80"  # ret
    m.run()
    assert m.mem.u32["counter"] == 100


def test_exec_hooks_come_and_go(m: Machine) -> None:
    seen: list[int] = []
    steps: list[int] = []
    hook = m.on_exec("work", lambda event: seen.append(event.hart.regs.a0))
    m.run("loop")
    m.run("loop")
    hook.remove()
    m.run("loop")
    with m.on_exec(range(m.symbols["work"], m.symbols["handler"]), lambda e: steps.append(e.pc)):
        m.run("loop")
    stop = m.run()
    assert seen == [5]
    assert len(steps) == 6  # la is two
    assert steps[0] == m.symbols["work"]
    assert (stop.code, m.mem.u32["counter"]) == (9, 115)
    hook.remove()


def test_hooks_do_not_change_the_run(m: Machine) -> None:
    with Machine(m.board.image, engine=m.board.engine.name) as plain:
        plain.run()
        calls: list[object] = []
        m.on_exec("loop", calls.append)
        m.on_read("counter", calls.append)
        m.on_write("counter", calls.append)
        m.on_trap(calls.append)
        m.run()
        assert len(calls) == 16
        assert (m.retired, m.board.steps) == (plain.retired, plain.board.steps)
        assert m.output == plain.output


def test_a_hook_may_move_the_pc(m: Machine) -> None:
    def skip(event: object) -> None:
        m.regs.pc = m.regs.ra

    m.on_exec("work", skip)
    m.run()
    assert m.mem.u32["counter"] == 100


def test_access_hooks(m: Machine) -> None:
    reads: list[tuple[int, int, int | None]] = []
    writes: list[tuple[bool, int | None, int]] = []
    m.on_read("counter", lambda e: reads.append((e.address, e.size, e.value)))
    m.on_write(range(m.symbols["counter"] + 2, m.symbols["counter"] + 3),
               lambda e: writes.append((e.write, e.value, m.mem.u32["counter"])))  # fmt: skip
    m.run()
    assert reads == [(m.symbols["counter"], 4, None)] * 5
    assert writes[:2] == [(True, 105, 100), (True, 109, 105)]
    assert len(writes) == 5


def test_trap_hooks(m: Machine) -> None:
    traps: list[tuple[int, int, bool]] = []
    m.on_trap(lambda e: traps.append((e.cause, e.pc, e.interrupt)), 11)
    m.on_trap(lambda e: pytest.fail("no such trap"), 7, interrupt=True)
    m.run("handler")
    assert [(cause, interrupt) for cause, _, interrupt in traps] == [(11, False)]
    assert m.regs.pc == m.symbols["handler"]
    assert traps[0][1] == m.regs.mepc


def test_timer_interrupts_are_traps_too() -> None:
    source = f"""
_start: la t0, handler
    csrw mtvec, t0
    li t0, 0x2004000
    sw zero, 4(t0)
    li t1, 100
    sw t1, 0(t0)
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
1:  j 1b
    .align 2
handler: li a0, 1
    j finish
{FINISH}"""
    counts = []
    for engine in {"python", *ENGINES}:
        with Machine(build(source), engine=engine) as m:
            events: list[tuple[int, bool, int]] = []

            def see(e: TrapEvent, m: Machine = m, events: list[Any] = events) -> None:
                events.append((e.cause, e.interrupt, m.retired))

            m.on_trap(see)
            assert m.run().code == 1
            counts.append(events)
    assert all(events == counts[0] for events in counts)
    assert counts[0][0][:2] == (7, True)


def test_what_a_callback_raises_comes_out_of_run(m: Machine) -> None:
    def fail(event: object) -> None:
        raise ZeroDivisionError

    for hook in (m.on_exec("work", fail), m.on_write("counter", fail)):
        with pytest.raises(ZeroDivisionError):
            m.run()
        assert m.symbols["work"] <= m.regs.pc < m.symbols["handler"]
        hook.remove()
    hook = m.on_trap(fail)
    with pytest.raises(ZeroDivisionError):
        m.run()
    hook.remove()
    assert m.run().code == 9
    assert m.mem.u32["counter"] == 115


def test_stop_in_a_hook(m: Machine) -> None:
    m.on_write("counter", lambda e: m.stop())
    for n in (100, 105, 109):
        stop = m.run()
        assert stop.reason is StopReason.REQUEST
        assert m.mem.u32["counter"] == n
    assert m.run(timeout=1).reason is StopReason.REQUEST


def test_stepping_calls_hooks(m: Machine) -> None:
    calls: list[str] = []
    m.run("work")
    m.on_exec("work", lambda e: calls.append("exec"))
    m.on_read("counter", lambda e: calls.append("read"))
    before = m.retired
    m.step(4)
    assert calls == ["exec", "read"]
    assert m.retired == before + 4


def test_console(m: Machine) -> None:
    pieces: list[bytes] = []
    m.on_console(pieces.append)
    m.run()
    assert b"".join(pieces) == b"ready\n"


def test_expect(m: Machine) -> None:
    assert m.expect(r"re(.)").group(1) == "a"
    assert m.output == "rea"
    assert m.expect("dy").group() == "dy"
    with pytest.raises(ExpectError, match="ended with code 9"):
        m.expect("ready")


def test_expect_times_out_and_says_where() -> None:
    with Machine(build("_start: nop\nspin: j spin"), engine="interp") as m:
        with pytest.raises(ExpectError, match=r"within 0.01 s of guest time; at spin"):
            m.expect("never", timeout=0.01)
        assert 0.01 <= m.seconds < 0.02


ECHO = f"""
_start: li s0, 0x10000000
1:  lbu t0, 5(s0)
    andi t0, t0, 1
    beqz t0, 1b
    lbu t0, 0(s0)
    xori t0, t0, 32
    sb t0, 0(s0)
    j 1b
{FINISH}"""


@pytest.mark.parametrize("engine", ENGINES)
def test_send(engine: str) -> None:
    with Machine(build(ECHO), engine=engine) as m:
        m.send("abc")
        assert m.expect("ABC")
        m.run(count=10)
        m.send("x")
        assert m.expect("X")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_guest_that_waits_is_idle_not_stuck(engine: str) -> None:
    with Machine(build("_start: wfi\nj _start"), engine=engine) as m:
        assert m.run().reason is StopReason.IDLE
        with pytest.raises(ExpectError, match="idle"):
            m.expect("x")


DEVICE = f"""
_start: li s0, 0x30000000
    la t0, handler
    csrw mtvec, t0
    li t0, 0xc000000          # PLIC: priority of source 20, enable, threshold 0
    li t1, 1
    sw t1, 80(t0)
    li t2, 0xc002000
    li t1, 1 << 20
    sw t1, 0(t2)
    li t0, 0x800
    csrw mie, t0
    csrsi mstatus, 8
    li t1, 0x1234
    sh t1, 6(s0)
1:  wfi
    j 1b
    .align 2
handler:
    lw a0, 4(s0)
    j finish
{FINISH}"""


class Echo(Device):
    name = "echo"

    def __init__(self) -> None:
        self.last = 0

    def read(self, offset: int, size: int) -> int:
        self.irq(False)
        return self.last + offset

    def write(self, offset: int, value: int, size: int) -> None:
        self.last = value + size
        self.after(0.5, self.ring)

    def ring(self) -> None:
        self.irq()


@pytest.mark.parametrize("engine", ENGINES)
def test_device(engine: str) -> None:
    with Machine(build(DEVICE), engine=engine) as m:
        m.attach(Echo(), 0x3000_0000, irq=20)
        stop = m.run()
        assert (stop.reason, stop.code) == (StopReason.EXIT, 0x1234 + 2 + 4)
        assert 0.5 <= m.seconds < 0.51
        with pytest.raises(ValueError, match="overlaps"):
            m.attach(Echo(), 0x3000_0800)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_device_that_raises(engine: str) -> None:
    class Broken(Device):
        def write(self, offset: int, value: int, size: int) -> None:
            raise ZeroDivisionError

    with Machine(build(DEVICE), engine=engine) as m:
        m.attach(Broken(), 0x3000_0000)
        with pytest.raises(ZeroDivisionError):
            m.run()


def test_load(tmp_path: Path) -> None:
    with Machine(isa="rv64imac_zicsr") as m:
        m.load(build(GUEST, 64))
        assert m.run().code == 9
        with pytest.raises(ImageError, match="is a 32-bit program"):
            m.load(build(GUEST, 32))
        m.reset()
        assert m.mem.u32["counter"] == 100
        assert m.run().code == 9


@pytest.mark.parametrize("engine", ENGINES)
def test_harts(engine: str) -> None:
    source = f"_start: csrr a0, mhartid\n addi a0, a0, 1\n1: j 1b\n{FINISH}"
    with Machine(build(source), harts=3, engine=engine) as m:
        m.run(count=300_000)
        assert [hart.regs.a0 for hart in m.harts] == [1, 2, 3]
        before = m.harts[1].retired
        m.harts[1].step(5)
        assert m.harts[1].retired == before + 5


def test_ctrl_c() -> None:
    with Machine(build("_start: j _start")) as m:
        timer = threading.Timer(0.2, lambda: signal.raise_signal(signal.SIGINT))
        timer.start()
        with pytest.raises(KeyboardInterrupt):
            m.run()
        assert m.run(count=5).reason is StopReason.STEPS


@pytest.mark.parametrize(
    ("use", "message"),
    [
        (lambda m: m.run(count=-1), "-1 instructions"),
        (lambda m: m.run(timeout=-0.5), "-0.5 seconds"),
        (lambda m: m.step(0), "0 instructions"),
        (lambda m: m.after(-1, print), "in the past"),
        (lambda m: Machine(clock="sun"), "clock 'sun'"),  # type: ignore[arg-type]  # wrong
        (lambda m: Machine(misaligned="maybe"), "misaligned 'maybe'"),  # type: ignore[arg-type]  # wrong
    ],
)
def test_wrong_arguments(m: Machine, use: Callable[[Any], object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        use(m)
    assert m.run(count=3).reason is StopReason.STEPS


def test_a_closed_machine_says_so() -> None:
    machine = Machine()
    machine.close()
    machine.close()
    for use in (lambda: machine.run(count=1), machine.step, lambda: machine.expect("x")):
        with pytest.raises(RuntimeError, match="the machine is closed"):
            use()
