"""The debugger's target over a real machine."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from otoriscv.board.points import TooMany
from otoriscv.board.target import BoardTarget
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import HART, MAX_WATCHPOINTS
from otoriscv.gdbstub.target import Action, MemoryFault, StopKind, Target, WatchKind
from tests.board_guest import ENGINES, FINISH, machine, needs_cc, output
from tests.stub import until

pytestmark = needs_cc

GUEST = f"""
_start:
    la s0, word
    li s1, 0
loop:
    addi s1, s1, 1
    call count
    lw a0, 0(s0)
    li t0, 50
    bne s1, t0, loop
    li a0, 9
    j finish
count:
    sw s1, 0(s0)
    ret
{FINISH}
    .data
    .align 3
    .globl word
word: .word 0
other: .word 0
"""
GO = {0: Action.CONTINUE}


@pytest.fixture(params=[(e, x) for e in ENGINES for x in (32, 64)], ids=lambda p: f"{p[0]}{p[1]}")
def target(request: pytest.FixtureRequest) -> Iterator[BoardTarget]:
    engine, xlen = request.param
    guest = machine(GUEST, engine, xlen)
    made: Target = BoardTarget(guest)
    assert isinstance(made, BoardTarget)
    yield made
    made.shut_down()
    guest.close()


def _symbol(target: BoardTarget, name: str) -> int:
    symbol = target.machine.symbols.get(name)
    assert symbol is not None
    return symbol.address


def _go(target: BoardTarget) -> StopKind:
    target.resume(GO)
    event = target.wait(10)
    assert event is not None and not target.running
    return event.kind


def test_registers(target: BoardTarget) -> None:
    registers = {r.name: r for r in target.registers()}
    assert registers["pc"].number == 32
    assert registers["mstatus"].number == 65 + 0x300
    assert registers["priv"].number == 4161
    numbers = [r.number for r in target.registers()]
    assert numbers == sorted(numbers)
    for register in target.registers():
        target.read_register(0, register.number)
    target.write_register(0, 10, -1 & (1 << target.xlen) - 1)
    assert target.read_register(0, 10) == (1 << target.xlen) - 1
    target.write_register(0, 65 + 0x340, 0x1234)  # mscratch
    assert target.read_register(0, 65 + 0x340) == 0x1234
    assert target.read_register(0, 4161) == 3
    with pytest.raises(KeyError):
        target.read_register(0, 65 + 0x7FF)


@pytest.mark.parametrize(("isa", "bits"), [("rv64gc", 64), ("rv32imafc", 32), ("rv32imac", 0)])
def test_floating_point_registers(isa: str, bits: int) -> None:
    guest = VirtMachine(VirtConfig(isa=Isa.parse(isa), engine="python"))
    target = BoardTarget(guest)
    float_registers = [r for r in target.registers() if r.group == "fpu"]
    assert [(r.number, r.bits) for r in float_registers] == [
        (33 + n, bits) for n in range(32 if bits else 0)
    ]
    if bits:
        value = 0x3FF8_0000_4048_F5C3 & (1 << bits) - 1
        target.write_register(0, 33 + 10, value)
        assert target.read_register(0, 33 + 10) == value
        box = -1 << bits & (1 << 64) - 1
        assert guest.harts[0].q[HART["f"] + 10] == value | box
    guest.close()


def test_memory(target: BoardTarget) -> None:
    start = _symbol(target, "_start")
    target.write_memory(0, start, b"\x13\x00\x00\x00")
    assert target.read_memory(0, start, 4) == b"\x13\x00\x00\x00"
    end = 0x8000_0000 + (128 << 20)
    assert len(target.read_memory(0, end - 4, 100)) == 4
    with pytest.raises(MemoryFault) as fault:
        target.read_memory(0, 0x1000_0000, 1)  # the UART is never read
    assert fault.value.address == 0x1000_0000
    with pytest.raises(MemoryFault) as fault:
        target.write_memory(0, end - 2, b"1234")
    assert fault.value.address == end
    target.write_memory(0, 0x1000, b"\x13\x00\x00\x00")  # ROM too


def test_breakpoints_make_progress(target: BoardTarget) -> None:
    count = _symbol(target, "count")
    code = target.read_memory(0, count, 8)
    target.insert_breakpoint(count)
    target.insert_breakpoint(count)
    for n in range(1, 4):
        assert _go(target) is StopKind.BREAKPOINT
        assert target.read_register(0, 32) == count
        assert target.read_register(0, 9) == n
    assert target.read_memory(0, count, 8) == code
    target.remove_breakpoint(count)
    assert _go(target) is StopKind.EXIT
    assert target.last_stop.code == 9


def test_a_breakpoint_that_a_step_leads_to_is_still_to_come(target: BoardTarget) -> None:
    count = _symbol(target, "count")
    target.insert_breakpoint(count)
    assert _go(target) is StopKind.BREAKPOINT
    retired = target.machine.harts[0].retired
    target.remove_breakpoint(count)
    following = target.step(0)
    assert following.kind is StopKind.STEP
    pc = target.read_register(0, 32)
    target.insert_breakpoint(pc)
    assert _go(target) is StopKind.BREAKPOINT
    assert target.read_register(0, 32) == pc
    assert target.machine.harts[0].retired == retired + 1
    assert _go(target) is StopKind.BREAKPOINT  # the next round: this one was reported
    assert target.machine.harts[0].retired > retired + 1


NULL_CALL = f"""
_start:
    la t0, handler
    csrw mtvec, t0
    jalr zero
handler:
    csrr a0, mcause
    j finish
{FINISH}
"""


def test_a_breakpoint_comes_before_the_trap_of_a_fetch(target: BoardTarget) -> None:
    """So `break *0` stops at calls of null pointers, with the caller still in ra."""
    guest = machine(NULL_CALL, target.machine.engine.name, target.xlen)
    other = BoardTarget(guest)
    other.insert_breakpoint(0)
    assert _go(other) is StopKind.BREAKPOINT
    assert (other.read_register(0, 32), other.read_register(0, 65 + 0x342)) == (0, 0)
    assert other.read_register(0, 1) == _symbol(other, "handler")
    retired = guest.retired
    assert _go(other) is StopKind.EXIT
    assert other.last_stop.code == 1  # an instruction access fault
    assert guest.retired > retired
    other.shut_down()
    guest.close()


FINE_PMP = f"""
_start:
    la t0, word
    srli t0, t0, 2
    csrw pmpaddr0, t0           # four bytes on the code's own page: no entry of the TLB covers it
    li t0, 0x90                 # locked, NA4
    csrw pmpcfg0, t0
    li a0, 5
next:
    addi a0, a0, 1
    j finish
    .align 2
word:
    .word 0
{FINISH}
"""


def test_breakpoints_in_a_page_that_pmp_divides(target: BoardTarget) -> None:
    guest = machine(FINE_PMP, target.machine.engine.name, target.xlen)
    other = BoardTarget(guest)
    other.insert_breakpoint(_symbol(other, "next"))
    assert _go(other) is StopKind.BREAKPOINT
    assert other.read_register(0, 10) == 5
    assert _go(other) is StopKind.EXIT
    assert other.last_stop.code == 6
    other.shut_down()
    guest.close()


def test_a_breakpoint_costs_no_instruction(target: BoardTarget) -> None:
    plain = machine(GUEST, target.machine.engine.name, target.xlen)
    plain.run()
    target.insert_breakpoint(_symbol(target, "count"))
    while _go(target) is not StopKind.EXIT:
        target.step(0)
    assert target.machine.retired == plain.retired
    assert target.machine.instant == plain.instant
    plain.close()


@pytest.mark.parametrize("kind", list(WatchKind))
def test_watchpoints_stop_before(target: BoardTarget, kind: WatchKind) -> None:
    word = _symbol(target, "word")
    target.insert_watchpoint(kind, word, 2)
    values = []
    for _ in range(4):
        assert _go(target) is StopKind.WATCH
        event = target.last_stop
        assert (event.watch, event.address) == (kind, word)
        values.append(int.from_bytes(target.read_memory(0, word, 4), "little"))
    expected = {
        WatchKind.WRITE: [0, 1, 2, 3],
        WatchKind.READ: [1, 2, 3, 4],
        WatchKind.ACCESS: [0, 1, 1, 2],
    }
    assert values == expected[kind]
    target.remove_watchpoint(kind, word, 2)
    assert _go(target) is StopKind.EXIT


def test_of_two_ranges_the_one_that_changes_is_reported(target: BoardTarget) -> None:
    word = _symbol(target, "word")
    for part in (word + 2, word + 1):  # the guest counts in the word
        target.insert_watchpoint(WatchKind.WRITE, part, 1)
    assert _go(target) is StopKind.WATCH
    assert target.last_stop.address == word + 2, "none of them changes"
    target.write_register(0, 9, 0xFF)
    assert _go(target) is StopKind.WATCH
    assert target.last_stop.address == word + 1, "0xff becomes 0x100"


def test_a_watchpoint_beside_does_not_stop(target: BoardTarget) -> None:
    target.insert_watchpoint(WatchKind.ACCESS, _symbol(target, "other"), 4)
    assert _go(target) is StopKind.EXIT


def test_steps(target: BoardTarget) -> None:
    target.insert_breakpoint(_symbol(target, "count"))
    assert _go(target) is StopKind.BREAKPOINT
    target.clear_breakpoints()
    target.insert_watchpoint(WatchKind.WRITE, _symbol(target, "word"), 4)
    assert target.step(0).kind is StopKind.WATCH
    assert target.step(0).kind is StopKind.STEP  # from the stop it goes on
    target.resume({0: Action.STEP})
    event = target.wait(5)
    assert event is not None and event.kind is StopKind.STEP
    target.clear_breakpoints()
    assert _go(target) is StopKind.EXIT


def test_resume_tells_of_a_stop_that_comes_at_once(target: BoardTarget) -> None:
    """Within some thousand steps, which are run in the caller's thread."""
    target.insert_breakpoint(_symbol(target, "count"))
    event = target.resume(GO)
    assert event is not None and event.kind is StopKind.BREAKPOINT
    assert event is target.last_stop and not target.running and target.wait(0) is event
    target.clear_breakpoints()
    target.write_memory(0, _symbol(target, "count"), b"\x6f\x00\x00\x00")  # j .
    assert target.resume(GO) is None and target.running
    target.stop()
    assert target.wait(10) is not None


def test_a_reset_that_comes_at_once(target: BoardTarget) -> None:
    """The guest goes on from there, again and again."""
    source = "_start: li t0, 0x100000\n li t1, 0x7777\n sw t1, 0(t0)\n"
    guest = machine(source, target.machine.engine.name, target.xlen)
    resets: list[bool] = []
    other = BoardTarget(guest, on_reset=lambda: resets.append(True))
    assert other.resume(GO) is None
    until(lambda: len(resets) > 2, 20)
    other.stop()
    event = other.wait(10)
    assert event is not None and event.kind is StopKind.INTERRUPT
    other.shut_down()
    guest.close()


def test_an_old_request_stops_no_run(target: BoardTarget) -> None:
    target.machine.request_stop()  # as when it came just behind the stop
    target.insert_breakpoint(_symbol(target, "count"))
    assert _go(target) is StopKind.BREAKPOINT


def test_a_failure_that_comes_at_once_comes_out(target: BoardTarget) -> None:
    def fail() -> None:
        raise RuntimeError("from the callback")

    target.machine.schedule(0, fail)
    assert target.resume(GO) is None and not target.running
    with pytest.raises(RuntimeError, match="from the callback"):
        target.wait(0)
    assert target.last_stop.kind is StopKind.CRASH
    assert _go(target) is StopKind.EXIT


def test_interrupt_and_reset(target: BoardTarget) -> None:
    loop = _symbol(target, "loop")
    target.write_memory(0, loop, b"\x6f\x00\x00\x00")  # j .
    stopped: list[bool] = []
    target.on_stop(lambda: stopped.append(True))
    target.resume(GO)
    end = time.monotonic() + 20
    while target.running:
        assert time.monotonic() < end
        with target.visit():
            if target.read_register(0, 32) == loop:
                break
    assert target.wait(0.05) is None and target.running
    target.stop()
    event = target.wait(1)
    assert event is not None and event.kind is StopKind.INTERRUPT
    time.sleep(0.05)
    assert stopped == [True]
    assert target.read_register(0, 32) == loop
    target.stop()  # harmless now
    target.reset()
    assert target.read_register(0, 32) == 0x1000
    assert _go(target) is StopKind.EXIT


def test_the_guests_ebreak(target: BoardTarget) -> None:
    target.write_memory(0, _symbol(target, "count"), b"\x02\x90")
    target.on_output(lambda data: None)
    assert _go(target) is StopKind.EBREAK
    assert target.read_register(0, 32) == _symbol(target, "count")
    target.on_output(None)


def test_info(target: BoardTarget) -> None:
    for topic in (
        "registers",
        "csr",
        "memory",
        "clint",
        "plic",
        "uart",
        "harts",
        "breakpoints",
        "virtio",
        "pages",
        "tlb",
    ):
        assert target.info(0, topic)
    with pytest.raises(KeyError):
        target.info(0, "weather")


def test_too_many_watchpoints(target: BoardTarget) -> None:
    points = target.machine.watchpoints
    points._points.extend((0, n + 1, 1) for n in range(MAX_WATCHPOINTS))
    with pytest.raises(TooMany, match=str(MAX_WATCHPOINTS)):
        target.insert_watchpoint(WatchKind.WRITE, 0x8000_0000, 4)
    points._points.clear()


def test_a_breakpoint_of_one_hart_does_not_hide_anothers() -> None:
    guest = machine("_start: addi t0, t0, 1\nhere: addi t1, t1, 1\n j _start", "python", harts=2)
    target = BoardTarget(guest)
    here = _symbol(target, "here")
    target.insert_breakpoint(here)
    both = {0: Action.CONTINUE, 1: Action.CONTINUE}
    seen = []
    for _ in range(30_000 // 3 + 3):
        target.resume(both)
        event = target.wait(5)
        assert event is not None
        seen.append(event.hart)
        if event.hart == 1:
            break
    assert seen[-1] == 1
    assert guest.harts[0].x[6] in (len(seen) - 1, len(seen) - 2)
    target.shut_down()
    guest.close()


def test_steps_are_fast() -> None:
    guest = machine("_start: addi t0, t0, 1\n j _start", "python")
    target = BoardTarget(guest)
    target.step(0)
    began = time.perf_counter()
    for _ in range(2000):
        target.step(0)
    assert 2000 / (time.perf_counter() - began) > 5000
    assert output(guest) == ""
    guest.close()


@pytest.mark.parametrize("engine", ENGINES)
def test_visits_are_invisible(engine: str) -> None:
    """Reads at any moment of a run, and holds of it, change nothing about it."""
    rounds = 20_000 if engine == "python" else 2_000_000
    source = f"""
    _start: la s0, word
        li s1, {rounds}
    1:  lr.w t0, (s0)
        addi t0, t0, 1
        sc.w t1, t0, (s0)
        add s2, s2, t1
        rdcycle t2
        add s3, s3, t2
        addi s1, s1, -1
        bnez s1, 1b
        j pass
    {FINISH}
        .data
        .align 3
    word: .word 0
    """
    plain = machine(source, engine, 64, harts=2)
    assert plain.run().code == 0
    guest = machine(source, engine, 64, harts=2)
    target = BoardTarget(guest)
    word = _symbol(target, "word")
    both = {0: Action.CONTINUE, 1: Action.CONTINUE}
    target.resume(both)
    seen, holds = [], 0
    while target.running:
        with target.visit():
            seen.append(int.from_bytes(target.read_memory(0, word, 4), "little"))
            assert len(target.general_registers(1)) == 33 * 8
        if len(seen) % 10 == 0:
            target.pause()
            event = target.wait(5)
            assert event is not None
            if event.kind is not StopKind.INTERRUPT:
                break
            holds += 1
            target.resume(both)
    assert seen == sorted(seen) and len(set(seen)) > 5 and holds
    assert target.last_stop.kind is StopKind.EXIT
    for a, b in zip(plain.harts, guest.harts, strict=True):
        assert (a.retired, a.pc, list(a.x)) == (b.retired, b.pc, list(b.x))
    assert plain.instant == guest.instant
    target.shut_down()
    guest.close()
    plain.close()


def test_a_hold_is_no_stop_at_a_breakpoint(target: BoardTarget) -> None:
    """A breakpoint that is due when a run is held is still due when it goes on."""
    count = _symbol(target, "count")
    target.insert_breakpoint(count)
    hits = 0
    while True:
        target.resume(GO)
        time.sleep(0.002)
        target.pause()
        event = target.wait(5)
        assert event is not None
        if event.kind is StopKind.EXIT:
            break
        hits += event.kind is StopKind.BREAKPOINT
    assert hits == 50


def test_memory_through_the_page_tables() -> None:
    """A supervisor's addresses are the debugger's, unless it asks for physical ones."""
    guest = machine("_start: j _start", "interp", 64)
    target = BoardTarget(guest)
    ram, root, virtual = 0x8000_0000, 0x8001_0000, 0x4000_0000
    guest.memory.write(root + 8, (ram >> 2 | 0xCF).to_bytes(8, "little"))  # 1 GiB, Sv39
    guest.memory.write(ram + 0x2000, b"physical")
    hart = guest.harts[0]
    hart.write_csr("satp", 8 << 60 | root >> 12)
    with pytest.raises(MemoryFault):
        target.read_memory(0, virtual + 0x2000, 8)  # machine mode is not translated
    hart.priv = 1
    assert target.read_memory(0, virtual + 0x2000, 8) == b"physical"
    target.write_memory(0, virtual + 0x2FFC, b"across a page")
    assert guest.memory.read(ram + 0x2FFC, 13) == b"across a page"
    with pytest.raises(MemoryFault, match="0x80002000"):
        target.read_memory(0, ram + 0x2000, 8)
    assert "physical" in target.setting("physical", ["on"])
    assert target.read_memory(0, ram + 0x2000, 8) == b"physical"
    with pytest.raises(MemoryFault):
        target.write_memory(0, virtual, b"x")
    with pytest.raises(ValueError, match="on or off"):
        target.setting("physical", ["maybe"])
    target.shut_down()
    guest.close()
