"""The run loop on both engines: exact counts, ends, waiting, stops from other threads."""

from __future__ import annotations

import signal
import threading
import time
from typing import Literal

import pytest

from otoriscv.board.stops import StopReason
from otoriscv.core.bus import Access
from otoriscv.core.layout import HART
from tests.board_guest import ENGINES, FINISH, PUTS, machine, needs_cc, output, run

pytestmark = [needs_cc, pytest.mark.parametrize("engine", ENGINES)]

SPIN = "_start: addi t0, t0, 1\n j _start"
HELLO = f"""
_start: la a0, text
    call puts
    li a0, 7
    j finish
{PUTS}{FINISH}
text: .asciz "hello, board\\n"
"""
#: A timer interrupt every 1,000 ticks; prints a dot for each of five.
TIMER = f"""
_start:
    la t0, handler
    csrw mtvec, t0
    li s0, 0x2004000
    li s3, 1000
    mv s1, s3
    li s2, 5
    sw zero, 4(s0)
    sw s1, 0(s0)
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
1:  wfi
    j 1b
    .align 2
handler:
    li t0, 0x10000000
    li t1, '.'
    sb t1, 0(t0)
    add s1, s1, s3
    sw s1, 0(s0)
    addi s2, s2, -1
    beqz s2, pass
    mret
{FINISH}
"""


@pytest.mark.parametrize("xlen", (32, 64))
def test_hello(engine: str, xlen: int) -> None:
    stop, text = run(HELLO, engine, xlen)
    assert (stop.reason, stop.code, text) == (StopReason.EXIT, 7, "hello, board\n")


@pytest.mark.parametrize("steps", (1, 2, 3, 999, 1000, 100_001))
def test_run_retires_exactly(engine: str, steps: int) -> None:
    guest = machine(SPIN, engine)
    assert guest.run(steps=5).reason is StopReason.STEPS  # the boot ROM
    stop = guest.run(steps=steps)
    assert stop.reason is StopReason.STEPS
    assert guest.retired == guest.steps == 5 + steps
    guest.close()


def test_traps_are_steps_but_do_not_retire(engine: str) -> None:
    guest = machine(
        """
_start: la t0, handler
    csrw mtvec, t0
1:  ecall
    j 1b
    .align 2
handler:
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret""",
        engine,
    )
    guest.run(steps=1000)
    assert guest.retired == 1000
    assert 1100 < guest.steps < 1300
    guest.close()


def test_pieces_make_the_same_run(engine: str) -> None:
    whole, parts = machine(TIMER, engine), machine(TIMER, engine)
    stop = whole.run()
    reason = StopReason.STEPS
    sizes = (1, 7, 13, 2, 40)
    n = 0
    while reason is StopReason.STEPS:
        end = parts.run(steps=sizes[n % 5])
        reason, n = end.reason, n + 1
    assert (stop.pc, whole.steps, whole.instant) == (end.pc, parts.steps, parts.instant)
    assert output(whole) == output(parts) == "....."
    whole.close()
    parts.close()


def test_single_steps_make_the_same_run(engine: str) -> None:
    whole, steps = machine(TIMER, engine), machine(TIMER, engine)
    whole.run()
    while steps.step().reason is StopReason.STEPS:
        pass
    assert (whole.retired, whole.instant) == (steps.retired, steps.instant)
    whole.close()
    steps.close()


def test_wfi_skips_time_exactly(engine: str) -> None:
    guest = machine(TIMER, engine)
    stop = guest.run()
    assert stop.reason is StopReason.EXIT
    assert guest.retired < 200
    assert 5000 <= guest.clock.ticks() < 5002
    guest.close()


@pytest.mark.parametrize("log_ticks, wakes", ((49, True), (50, False)))
def test_a_deadline_far_ahead(engine: str, log_ticks: int, wakes: bool) -> None:
    """Native code counts deadlines in ticks, of 100 instants here: so does the idle machine."""
    stop, _ = run(
        f"""
_start:
    li t0, 0x2004000
    li t1, 1 << {log_ticks}
    sd t1, 0(t0)
    li t0, 0x80
    csrw mie, t0
    wfi
    j pass
{FINISH}
""",
        engine,
    )
    assert stop.reason is (StopReason.EXIT if wakes else StopReason.IDLE)


def test_idle_ends_the_run(engine: str) -> None:
    stop, _ = run("_start: wfi\n j _start", engine)
    assert stop.reason is StopReason.IDLE
    assert "no timer" in stop.message


def test_crash_in_a_hole(engine: str) -> None:
    stop, _ = run("_start: li t0, 0x40000000\n jr t0", engine)
    assert stop.reason is StopReason.CRASH
    assert "instruction access fault" in stop.message


def test_limits(engine: str) -> None:
    guest = machine(SPIN, engine)
    guest.instruction_limit = 12_345
    assert guest.run().reason is StopReason.TIMEOUT
    assert guest.retired == 12_345
    guest.instruction_limit = None
    guest.time_limit = 50_000
    assert guest.run().reason is StopReason.TIMEOUT
    assert guest.instant == 50_000
    guest.close()


def test_reset_makes_the_run_again(engine: str) -> None:
    guest = machine(HELLO, engine)
    first = guest.run()
    retired = guest.retired
    guest.reset()
    assert guest.harts[0].pc == 0x1000
    assert guest.run() == first
    assert guest.retired == retired
    assert output(guest) == "hello, board\n" * 2
    guest.close()


def test_guest_reset_is_a_stop(engine: str) -> None:
    source = "_start: li t0, 0x100000\n li t1, 0x7777\n sw t1, 0(t0)"
    stop, _ = run(source, engine)
    assert stop.reason is StopReason.RESET


def test_a_guests_reset_loses_no_request(engine: str) -> None:
    """It may come at any time, also between the guest's store and the reset."""
    guest = machine("_start: li t0, 0x100000\n li t1, 0x7777\n sw t1, 0(t0)", engine)
    assert guest.run().reason is StopReason.RESET
    guest.request_stop()
    guest.reset()
    assert guest.run().reason is StopReason.REQUEST
    assert guest.run().reason is StopReason.RESET
    guest.end(3, "late")
    guest.reset()
    stop = guest.run()
    assert (stop.reason, stop.code, stop.message) == (StopReason.ENDED, 3, "late")
    assert guest.run().reason is StopReason.RESET
    guest.close()


def test_tohost_ends_at_the_store(engine: str) -> None:
    guest = machine(
        """
_start: li t0, 100000
1:  addi t0, t0, -1
    bnez t0, 1b
    la t0, tohost
    li t1, (42 << 1) | 1
    sw t1, 0(t0)
2:  j 2b
    .data
    .align 6
    .globl tohost, fromhost
tohost: .dword 0
fromhost: .dword 0""",
        engine,
    )
    stop = guest.run()
    assert (stop.reason, stop.code) == (StopReason.EXIT, 42)
    assert guest.retired < 200_020
    assert guest.symbols.describe(stop.pc).startswith("_start")
    guest.close()


def test_tohost_ends_a_step(engine: str) -> None:
    """At the store, and without any tick of the board in between."""
    guest = machine(
        """
_start: la t0, tohost
    li t1, (42 << 1) | 1
    sw t1, 0(t0)
2:  j 2b
    .data
    .align 6
    .globl tohost, fromhost
tohost: .dword 0
fromhost: .dword 0""",
        engine,
    )
    reasons: list[StopReason] = []
    while not reasons or reasons[-1] is StopReason.STEPS:
        assert len(reasons) < 20
        store = guest.memory.read(guest.harts[0].pc, 4) == bytes.fromhex("23a06200")
        stop = guest.step()
        reasons.append(stop.reason)
    assert store and (stop.reason, stop.code) == (StopReason.EXIT, 42)
    assert guest.retired == len(reasons)
    guest.close()


def test_a_devices_exception_comes_out(engine: str) -> None:
    class Angry:
        name = "angry"

        def read(self, offset: int, access: Access) -> int:
            raise ZeroDivisionError("from the device")

        def write(self, offset: int, value: int, access: Access) -> None:
            self.written = (offset, value, access.size, access.hart)

        def reset(self) -> None:
            pass

    guest = machine(
        """
_start: li t0, 0x30000000
    li t1, 0x1234
    sh t1, 6(t0)
here: lw t2, 0(t0)
    li a0, 1
    j finish"""
        + FINISH,
        engine,
    )
    angry = Angry()
    guest.attach(0x3000_0000, 0x1000, angry)
    with pytest.raises(ZeroDivisionError, match="from the device"):
        guest.run()
    assert angry.written == (6, 0x1234, 2, 0)
    here = guest.symbols.get("here")
    assert here is not None and guest.harts[0].pc == here.address
    guest.harts[0].pc += 4
    assert guest.run().reason is StopReason.EXIT
    guest.close()


def test_what_a_device_schedules_comes_on_time(engine: str) -> None:
    """Within a run, whose slice was to end later."""

    class Alarm:
        name = "alarm"

        def read(self, offset: int, access: Access) -> int:
            return 0

        def write(self, offset: int, value: int, access: Access) -> None:
            due = guest.instant + value
            guest.schedule(value, lambda: seen.append(guest.instant - due))

        def reset(self) -> None:
            pass

    source = """
_start:
    li t0, 0x30000000
    li t1, 333
1:  addi t2, t2, 1
    andi t3, t2, 0x1ff
    bnez t3, 1b
    sw t1, 0(t0)
    j 1b
"""
    guest = machine(source, engine)  # an instruction is a nanosecond
    guest.attach(0x3000_0000, 0x1000, Alarm())
    seen: list[int] = []
    guest.run(steps=19_500)
    assert seen == [0] * 12  # once in 1538 steps
    guest.close()


def test_the_guest_sets_the_time(engine: str) -> None:
    """A timer that was far ahead is near, and is taken after as many steps as are left."""
    source = f"""
_start:
    la t0, handler
    csrw mtvec, t0
    li s0, 0x2004000
    li t1, 1000000
    sd t1, 0(s0)
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
    li s1, 0x200bff8
    li t1, 999000
    li a1, 300
1:  addi a1, a1, -1
    bnez a1, 1b
    sd t1, 0(s1)
2:  addi a0, a0, 1
    j 2b
    .align 2
handler:
    li a1, 1000 / 2
    sub a0, a0, a1
    slti a1, a0, -1
    bnez a1, finish
    li a1, 2
    blt a0, a1, pass
    j finish
{FINISH}
"""
    stop, _ = run(source, engine, mips=10)  # a tick each instruction
    assert (stop.reason, stop.code) == (StopReason.EXIT, 0)


def test_a_scheduled_callback_comes_on_time(engine: str) -> None:
    guest = machine(SPIN, engine)
    seen: list[int] = []
    guest.schedule(100_000, lambda: seen.append(guest.instant))
    guest.schedule(50_000, lambda: seen.append(guest.instant))
    guest.run(steps=200_000)
    assert seen == [50_000, 100_000]

    def fail() -> None:
        raise RuntimeError("from the callback")

    guest.schedule(1000, fail)
    with pytest.raises(RuntimeError, match="from the callback"):
        guest.run()
    assert guest.instant == 201_000
    guest.close()


def test_stop_from_another_thread(engine: str) -> None:
    guest = machine(SPIN, engine)
    guest.run(steps=100_000)
    late = []
    for _ in range(5):
        asked = 0.0

        def ask() -> None:
            nonlocal asked
            time.sleep(0.02)
            asked = time.perf_counter()
            guest.request_stop()

        thread = threading.Thread(target=ask)
        thread.start()
        assert guest.run().reason is StopReason.REQUEST
        late.append(time.perf_counter() - asked)
        thread.join()
    assert sorted(late)[2] < 0.01
    guest.close()


def test_ctrl_c_leaves_the_machine_usable(engine: str) -> None:
    guest = machine(SPIN, engine)
    timer = threading.Timer(0.05, lambda: signal.raise_signal(signal.SIGINT))
    timer.start()
    with pytest.raises(KeyboardInterrupt):
        guest.run()
    before = guest.retired
    guest.run(steps=10)
    assert guest.retired == before + 10
    guest.close()


def test_host_clock_sleeps_in_wfi(engine: str) -> None:
    # 5 times 200,000 ticks of 10 MHz: 0.1 s, and hardly any CPU
    guest = machine(TIMER.replace("li s3, 1000", "li s3, 200000"), engine, clock="host")
    wall, cpu = time.perf_counter(), time.process_time()
    assert guest.run().reason is StopReason.EXIT
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    assert wall >= 0.1
    assert cpu < 0.9 * wall  # the python engine compiles a little
    guest.close()


@pytest.mark.parametrize("clock", ["virtual", "host"])
def test_input_wakes_a_waiting_guest(engine: str, clock: Literal["virtual", "host"]) -> None:
    """At once: in real time the next timer event is an hour away."""
    from otoriscv.board.console import BufferConsole

    hour = "li t0, 0x2004000\n li t1, 0x7fffffff\n sw t1, 0(t0)\n li t1, 8\n sw t1, 4(t0)"
    source = f"""
_start:
    {hour if clock == "host" else ""}
    li s0, 0x10000000
    li t0, 0xc000028      # priority of source 10
    li t1, 1
    sw t1, 0(t0)
    li t0, 0xc002000
    li t1, 1 << 10
    sw t1, 0(t0)
    li t1, 1
    sb t1, 1(s0)          # receive interrupts
    li t0, (1 << 11) + (1 << 7)
    csrw mie, t0
1:  wfi
    lbu t0, 5(s0)
    andi t0, t0, 1
    beqz t0, 1b
    lbu a0, 0(s0)
    j finish
{FINISH}"""
    guest = machine(source, engine, clock=clock)
    console = BufferConsole()
    guest.connect(console)
    threading.Timer(0.1, lambda: console.feed(b"*")).start()
    stop = guest.run()
    assert (stop.reason, stop.code) == (StopReason.EXIT, ord("*"))
    guest.close()


def test_ebreak_is_the_guests_without_a_debugger(engine: str) -> None:
    source = f"""
_start: la t0, handler
    csrw mtvec, t0
    ebreak
    .align 2
handler: csrr a0, mcause
    j finish
{FINISH}"""
    assert run(source, engine)[0].code == 3
    guest = machine(source, engine)
    guest.debugger = True
    stop = guest.run()
    assert stop.reason is StopReason.EBREAK
    assert guest.memory.read(stop.pc, 2) == b"\x02\x90"
    assert guest.harts[0].q[HART["mcause"]] == 0
    guest.close()


def test_semihosting_waits_for_input(engine: str) -> None:
    from otoriscv.board.console import BufferConsole

    source = f"""
_start: li a0, 7              # SYS_READC
    li a1, 0
    .option push
    .option norvc
    .balign 16
    slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    .option pop
    j finish
{FINISH}"""
    guest = machine(source, engine)
    console = BufferConsole()
    guest.connect(console)
    threading.Timer(0.1, lambda: console.feed(b"!")).start()
    assert guest.run().code == ord("!")
    guest.close()
