"""Agent expressions: the verifier, and the translation against the direct evaluation."""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoriscv.board.breakpoint_programs import BreakpointPrograms, read_register
from otoriscv.board.machine import Machine
from otoriscv.core.agent import FAILED, FALSE, TRUE, AgentError, translate
from otoriscv.core.agent_code import MAX_LOOPS, decode
from otoriscv.core.agent_eval import Failed, run
from otoriscv.core.evaluate import Evaluator

RAM = 0x8000_0000
END, DUP, POP, SWAP, ROT = b"\x27", b"\x28", b"\x29", b"\x2b", b"\x33"
ADD, SUB, EQUAL, LESS = b"\x02", b"\x03", b"\x13", b"\x14"


def const(n: int) -> bytes:
    return b"\x25" + struct.pack(">Q", n & (1 << 64) - 1)


def reg(n: int) -> bytes:
    return b"\x26" + struct.pack(">H", n)


def goto(at: int) -> bytes:
    return b"\x21" + struct.pack(">H", at)


def if_goto(at: int) -> bytes:
    return b"\x20" + struct.pack(">H", at)


def ref(bits: int) -> bytes:
    return bytes((0x17 + (8, 16, 32, 64).index(bits),))


@pytest.fixture(scope="module", params=[32, 64])
def machine(request: pytest.FixtureRequest) -> Machine:
    machine = Machine(f"rv{request.param}imac_zicsr", ram=[(RAM, 0x10000)], engine="python")
    for n in range(1, 32):
        machine.harts[0].x[n] = n * 0x0101_0101_0101_0101
    machine.harts[0].pc = RAM + 0x10
    machine.memory.write(RAM, bytes(range(256)))
    return machine


def translated(machine: Machine, code: bytes) -> int:
    """What the translation says, once compiled and once evaluated by the reference."""
    body = translate(code, machine.xlen)
    compiled = machine.stepper.program(body)(machine.harts[0].q)
    end = Evaluator(machine.arena.view8, machine.xlen).run(body)
    assert end.args == (compiled,)
    return compiled


def direct(machine: Machine, code: bytes) -> int:
    """What the direct evaluation says."""

    def memory(address: int, size: int) -> bytes:
        if not RAM <= address <= RAM + 0x10000 - size:
            raise Failed("no memory")
        return machine.memory.read(address, size)

    def register(number: int) -> int:
        return read_register(machine.harts[0], number)

    try:
        value = run(decode(code), machine.xlen, register, memory)
    except Failed:
        return FAILED
    return TRUE if value else FALSE


def check(machine: Machine, code: bytes, expected: int) -> None:
    assert direct(machine, code) == expected
    assert translated(machine, code) == expected


def test_registers_and_memory(machine: Machine) -> None:
    five = 5 * 0x0101_0101_0101_0101 & (1 << machine.xlen) - 1
    check(machine, reg(5) + const(five) + EQUAL + END, TRUE)
    check(machine, reg(0) + END, FALSE)
    check(machine, reg(32) + const(RAM + 0x10) + EQUAL + END, TRUE)
    check(machine, reg(65 + 0xF14) + END, FALSE)  # mhartid
    check(machine, reg(4161) + const(3) + EQUAL + END, TRUE)
    check(machine, const(RAM + 2) + ref(16) + const(0x0302) + EQUAL + END, TRUE)
    check(machine, const(RAM + 1) + ref(32) + const(0x0403_0201) + EQUAL + END, TRUE)
    check(machine, const(RAM + 0xFFF) + ref(64) + END, FALSE)
    check(machine, const(RAM + 0xFFFF) + ref(8) + END, FALSE)
    check(machine, const(0) + ref(8) + END, FAILED)
    check(machine, const(RAM + 0x10000) + ref(64) + END, FAILED)
    check(machine, const(3) + const(0) + b"\x05" + END, FAILED)


def test_jumps_and_loops(machine: Machine) -> None:
    code = const(1) + if_goto(9 + 3 + 9 + 3) + const(0) + goto(9 + 3 + 9 + 3 + 9) + const(5) + END
    check(machine, code, TRUE)
    # count down from n: dup, if_goto back
    for n, expected in ((MAX_LOOPS, TRUE), (MAX_LOOPS + 2, FAILED)):
        start = len(const(n))
        code = const(n) + const(1) + SUB + DUP + if_goto(start) + POP + const(9) + END
        check(machine, code, expected)
    check(machine, goto(3) + const(1) + END, TRUE)
    check(machine, const(0) + b"\x0e" + if_goto(0) + const(0) + END, FAILED)


@pytest.mark.parametrize(
    "code",
    [
        b"", END, b"\x01", b"\x22", b"\x23\0", ADD + END, const(1) + ADD + END, const(1),
        goto(1) + END, goto(99), goto(0xFFFF), const(1) + if_goto(3) + const(2) + END,
        const(1) * 101 + END, const(1) + goto(0), b"\x32\x05" + END, const(1) + b"\x32\x01" + END,
        b"\xff" + END, b"\x0c" + END, b"\x2c\0\1" + END, b"\x1b" + END, const(1) + b"\x16\0" + END,
        b"\x34\0\0\5abc\0" + END, const(1) * 2 + b"\x34\1\0\2a\0" + END, b"\x26\0", b"\x16",
        const(1) + b"\x2b" + END, const(1) * 2 + ROT + END, const(1) + POP + POP + END,
    ],
)  # fmt: skip
def test_malformed_bytecode_is_refused(code: bytes) -> None:
    with pytest.raises(AgentError):
        decode(code)


def test_a_jump_into_an_instruction_is_refused() -> None:
    with pytest.raises(AgentError, match="middle"):
        decode(const(1) + if_goto(13) + b"\x23\x22\x05" + END)


_OPS: dict[str, bytes] = {
    f"op{n:02x}": bytes((n,)) for n in (*range(2, 12), *range(0x0E, 0x16), 0x28, 0x29, 0x2B, 0x33)
}
_EDGES = [
    0,
    1,
    2,
    31,
    32,
    63,
    64,
    65,
    0x7FFF_FFFF,
    0x8000_0000,
    1 << 63,
    (1 << 64) - 1,
    RAM,
    RAM + 4,
]


@st.composite
def programs(draw: Callable[..., Any]) -> bytes:
    """Straight code whose stack always holds enough."""
    out, depth = b"", 0
    for _ in range(draw(st.integers(1, 20))):
        kind = draw(st.integers(0, 4))
        if depth < 3 or kind == 0:
            out += const(draw(st.sampled_from(_EDGES)))
            depth += 1
        elif kind == 1:
            out += reg(draw(st.integers(0, 32)))
            depth += 1
        elif kind == 2:
            out += bytes((draw(st.sampled_from((0x16, 0x2A))), draw(st.integers(1, 70))))
        elif kind == 3 and draw(st.booleans()):
            out += ref(draw(st.sampled_from((8, 16, 32, 64))))
        else:
            op = draw(st.sampled_from(sorted(_OPS.values())))
            assert isinstance(op, bytes)
            out += op
            code = op[0]
            depth += {0x28: 1, 0x29: -1}.get(code, -1 if code < 0x0C or 0x0F <= code < 0x16 else 0)
            depth += code == 0x12
    return out + END


@settings(max_examples=200, deadline=None)
@given(code=programs())
def test_translation_and_evaluation_agree(machine: Machine, code: bytes) -> None:
    assert translated(machine, code) == direct(machine, code)


@settings(max_examples=300, deadline=None)
@given(code=st.binary(max_size=60))
def test_any_bytes_are_refused_or_run(machine: Machine, code: bytes) -> None:
    try:
        program = decode(code)
        expected = direct(machine, code)
    except AgentError:
        return
    if not any(i.name in ("printf", "reg") for i in program.insns.values()):
        assert translated(machine, code) == expected


def printf(text: bytes, *arguments: int) -> bytes:
    pushed = b"".join(const(n) for n in reversed(arguments)) + const(0) * 2
    return (
        pushed
        + b"\x34"
        + bytes((len(arguments),))
        + struct.pack(">H", len(text) + 1)
        + text
        + b"\0"
    )


def test_printf(machine: Machine) -> None:
    said: list[bytes] = []
    programs = BreakpointPrograms(machine, said.append)
    hart = machine.harts[0]
    machine.memory.write(RAM + 0x200, b"words\0")
    text = b"%d %i %u %x %#lx %c|%5d|%-5d|%05d|%s|%8s|%lld 100%% %p\n"
    code = printf(text, -1, 7, 1 << 31, 255, 16, 65, 42, 42, 42, RAM + 0x200, RAM + 0x200, -2, 9)
    programs.put(hart.pc, (), [code + END])
    assert not programs.stops(hart)
    assert said == [b"-1 7 2147483648 ff 0x10 A|   42|42   |00042|words|   words|-2 100% 0x9\n"]
    programs.put(hart.pc, (), [printf(rb"\"\t\\n\'\e%d\n\q", 5) + END])  # as gdb sends them
    assert not programs.stops(hart)
    assert said.pop() == b"\"\t\\n'\x1b5\n\\q"
    programs.put(hart.pc, (), [printf(rb"\a\b\e\f\n\r\t\v") + END])
    assert not programs.stops(hart)
    assert said.pop() == bytes((7, 8, 27, 12, 10, 13, 9, 11))  # as in C
    programs.put(hart.pc, [const(0) + END], [printf(b"never") + END])
    assert not programs.stops(hart) and len(said) == 1
    programs.put(hart.pc, [const(0) + END, const(1) + END], ())
    assert programs.stops(hart)
    programs.put(hart.pc, (), [printf(b"%s", 0) + END])
    assert not programs.stops(hart)
    assert b"no memory" in said[-1]
    programs.clear()
    assert programs.stops(hart)
