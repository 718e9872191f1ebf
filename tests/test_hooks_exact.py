"""Hooks at the difficult places: interrupts at the hooked instruction, and atomic operations."""

from __future__ import annotations

import pytest

from otoriscv import Machine
from otoriscv.api import AccessEvent
from otoriscv.board.log import Log
from otoriscv.core.layout import HART
from tests.board_guest import ENGINES, FINISH, build, needs_cc

pytestmark = needs_cc

INTERRUPTED = f"""
_start: la t0, handler
    csrw mtvec, t0
    li t0, 8
    csrw mie, t0
    csrsi mstatus, 8
    li s0, 10
hooked:
    addi s1, s1, 1
    addi s0, s0, -1
    bnez s0, hooked
    j pass
    .balign 4
handler:
    li t0, 0x2000000
    sw zero, 0(t0)
    addi s2, s2, 1
    mret
{FINISH}
"""

_OPERATIONS = ("swap", "add", "xor", "and", "or", "min", "max", "minu", "maxu")
ATOMIC = (
    "_start: la t0, word\n li t1, -3\n lui t2, 0x12345\n"
    + "".join(f" amo{name}.w t3, t1, (t0)\n sub t1, t1, t2\n" for name in _OPERATIONS)
    + f" lr.w t3, (t0)\n sc.w t4, t2, (t0)\n sc.w t4, t1, (t0)\n j pass\n{FINISH}\n"
    " .data\n .balign 8\nword: .dword 0x7654321\n"
)


@pytest.fixture(params=ENGINES)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("logged", [False, True])
def test_an_interrupt_that_the_hook_raises(engine: str, logged: bool) -> None:
    m = Machine(build(INTERRUPTED, 32), isa="rv32gc", engine=engine)
    if logged:
        with open("/dev/null", "w") as nowhere:
            Log(m.board, ["exec"], nowhere)
            _count(m)
    else:
        _count(m)


def _count(m: Machine) -> None:
    calls: list[int] = []

    def raises(event: object) -> None:
        calls.append(m.regs.s1)
        m.board.harts[0].set_irq(3, True)

    m.on_exec("hooked", raises)
    m.on_exec("handler", lambda event: m.board.harts[0].set_irq(3, False))
    m.run(count=2000)
    assert calls == list(range(10))
    assert m.regs.s2 == 10  # each was taken, behind the hooked instruction


def test_one_that_is_pending_comes_before_the_hook(engine: str) -> None:
    m = Machine(build(INTERRUPTED, 32), isa="rv32gc", engine=engine)
    calls: list[tuple[int, int]] = []
    m.run(until="hooked")
    m.on_exec("hooked", lambda event: calls.append((m.regs.s1, m.regs.s2)))
    m.on_exec("handler", lambda event: m.board.harts[0].set_irq(3, False))
    m.board.harts[0].set_irq(3, True)
    m.step()
    assert (calls, m.regs.pc) == ([], m.symbols["handler"])
    m.run(count=6)
    assert calls == [(0, 1)]
    m.run(until="pass")
    assert calls == [(n, 1) for n in range(10)]


def test_hooked_and_watched_is_called_once(engine: str) -> None:
    m = Machine(build(ATOMIC, 64), isa="rv64gc", engine=engine)
    calls: list[str] = []
    m.on_exec(range(m.symbols["_start"], m.symbols["pass"]), lambda event: calls.append("exec"))
    m.on_write("word", lambda event: calls.append("write"))
    stop = m.run()
    assert stop.code == 0
    assert calls.count("write") == len(_OPERATIONS) + 1
    m.board.reset()
    writes, calls[:] = calls.count("exec"), []
    m.board.watchpoints.set_hooked([])
    m.run()
    assert calls.count("exec") == writes


@pytest.mark.parametrize("xlen", [32, 64])
def test_what_atomic_operations_write(engine: str, xlen: int) -> None:
    m = Machine(build(ATOMIC, xlen), isa=f"rv{xlen}gc", engine=engine)
    word = m.symbols["word"]
    expected: list[int] = []
    said: list[int | None] = []

    def writes(event: AccessEvent) -> None:
        if said:
            expected.append(int.from_bytes(m.mem[word : word + 4], "little"))
        before = list(m.board.harts[0].q[: HART["watch_skip"]])
        said.append(event.value)
        assert list(m.board.harts[0].q[: HART["watch_skip"]]) == before

    m.on_write("word", writes)
    assert m.run().code == 0
    expected.append(int.from_bytes(m.mem[word : word + 4], "little"))
    assert len(said) == len(_OPERATIONS) + 1
    assert said == expected


def test_conditions_on_what_an_atomic_operation_writes(engine: str) -> None:
    from otoriscv.board.target import BoardTarget
    from otoriscv.gdbstub.target import Action, StopKind, WatchKind, WatchTerm

    m = Machine(build(ATOMIC, 32), isa="rv32gc", engine=engine)
    target = BoardTarget(m.board)
    word = m.symbols["word"]
    value = 0xFFFF_FFFD  # amoswap writes -3
    target.insert_watchpoint(WatchKind.WRITE, word, 4, (WatchTerm("value", "==", value),))
    stops = 0
    while True:
        target.resume({0: Action.CONTINUE})
        event = target.wait(10)
        assert event is not None
        if event.kind is not StopKind.WATCH:
            break
        stops += 1
    assert stops == 1
    target.shut_down()
