"""GDB agent expressions: the bytecode of conditions and commands, decoded and verified.

A stack machine of 64-bit values (gdb manual, appendix "The GDB Agent Expression Mechanism").
`decode` accepts only programs that cannot go wrong structurally: every jump leads to an
instruction, the stack has the same height however an instruction is reached, and is neither
overdrawn nor too high, and nothing runs past the end. What remains for run time are bad memory,
division by zero and loops, which are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final, NamedTuple

__all__ = ["MAX_LOOPS", "AgentError", "Code", "Insn", "decode"]

MAX_CODE: Final = 0x1_0000
MAX_STACK: Final = 100
MAX_LOOPS: Final = 1000
"""An expression that jumps backwards this often is given up."""

_ESCAPE: Final = re.compile(rb"\\(.)", re.DOTALL)
_ESCAPES: Final = {
    bytes((letter,)): bytes((meaning,))
    for letter, meaning in zip(b"\\\"'abefnrtv", b"\\\"'\a\b\x1b\f\n\r\t\v", strict=True)
}


class AgentError(ValueError):
    """Malformed or unsupported bytecode; the message says what is wrong and where."""


class _Op(NamedTuple):
    name: str
    operand: int = 0  # bytes
    pops: int = 0
    pushes: int = 0


_BINARY: Final = (
    "add sub mul div_signed div_unsigned rem_signed rem_unsigned lsh rsh_signed rsh_unsigned"
)
_OPS: Final[dict[int, _Op]] = {
    **{0x02 + n: _Op(name, 0, 2, 1) for n, name in enumerate(_BINARY.split())},
    0x0E: _Op("log_not", 0, 1, 1),
    **{0x0F + n: _Op(f"bit_{name}", 0, 2, 1) for n, name in enumerate(("and", "or", "xor"))},
    0x12: _Op("bit_not", 0, 1, 1),
    **{0x13 + n: _Op(x, 0, 2, 1) for n, x in enumerate(("equal", "less_signed", "less_unsigned"))},
    0x16: _Op("ext", 1, 1, 1),
    **{0x17 + n: _Op(f"ref{8 << n}", 0, 1, 1) for n in range(4)},
    0x20: _Op("if_goto", 2, 1, 0),
    0x21: _Op("goto", 2),
    **{0x22 + n: _Op("const", 1 << n, 0, 1) for n in range(4)},
    0x26: _Op("reg", 2, 0, 1),
    0x27: _Op("end"),
    0x28: _Op("dup", 0, 1, 2),
    0x29: _Op("pop", 0, 1, 0),
    0x2A: _Op("zero_ext", 1, 1, 1),
    0x2B: _Op("swap", 0, 2, 2),
    0x32: _Op("pick", 1, 0, 1),
    0x33: _Op("rot", 0, 3, 3),
    0x34: _Op("printf", 1),
}
_NOT_HERE: Final = {
    **dict.fromkeys((0x01, 0x1B, 0x1C, 0x1D, 0x1E, 0x1F), "floating point"),
    **dict.fromkeys((0x0C, 0x0D, 0x2F, 0x30), "recording memory: there are no tracepoints"),
    **dict.fromkeys((0x2C, 0x2D, 0x2E), "a trace state variable"),
}


class Insn(NamedTuple):
    """One instruction; *at* and *next* are offsets, *depth* is the stack's height before it."""

    at: int
    next: int
    name: str
    operand: int = 0
    text: bytes = b""  # printf: the format
    depth: int = 0


class Code(NamedTuple):
    """A verified program: what can be reached of it, by offset."""

    insns: dict[int, Insn]
    height: int  #: the most that is on the stack
    ends: frozenset[int]  #: heights of the stack at its ends

    def blocks(self) -> list[list[Insn]]:
        """Straight pieces, by address: jumps come last in them and lead to first ones."""
        order = sorted(self.insns)
        leaders = {0}
        for insn in self.insns.values():
            if insn.name in ("goto", "if_goto"):
                leaders.update((insn.operand, insn.next))
            elif insn.name == "end":
                leaders.add(insn.next)
        found: list[list[Insn]] = []
        for at in order:
            if at in leaders:
                found.append([])
            found[-1].append(self.insns[at])
        return found


def decode(data: bytes, *, value: bool = True) -> Code:
    """Verify a program; with *value* it must leave one. `AgentError` when it is not sound."""
    if not data or len(data) > MAX_CODE:
        raise AgentError(f"an expression of {len(data)} bytes")
    insns: dict[int, Insn] = {}
    waiting = [(0, 0)]
    height, ends = 0, set()
    while waiting:
        at, depth = waiting.pop()
        known = insns.get(at)
        if known is not None:
            if known.depth != depth:
                raise AgentError(f"the stack's height at offset {at} depends on the way there")
            continue
        insn, pops, pushes = _decode_one(data, at, depth)
        insns[at] = insn
        if depth < pops:
            raise AgentError(f"{insn.name} at offset {at} takes more than the stack holds")
        depth += pushes - pops
        height = max(height, depth)
        if height > MAX_STACK:
            raise AgentError(f"more than {MAX_STACK} values on the stack at offset {at}")
        if insn.name == "end":
            ends.add(depth)
            if value and not depth:
                raise AgentError("the expression leaves no value")
            continue
        waiting += [(target, depth) for target in _successors(insn)]
    if not ends:
        raise AgentError("the expression cannot come to an end")
    _check_overlap(insns)
    return Code(insns, height, frozenset(ends))


def _decode_one(data: bytes, at: int, depth: int) -> tuple[Insn, int, int]:
    """The instruction at *at*, and how many values it takes and leaves."""
    if at >= len(data):
        raise AgentError("the expression runs past its end")
    op = _OPS.get(data[at])
    if op is None:
        what = _NOT_HERE.get(data[at], "no such operation")
        raise AgentError(f"operation {data[at]:#04x} at offset {at}: {what}")
    end = at + 1 + op.operand
    if end > len(data):
        raise AgentError(f"{op.name} at offset {at} is cut off")
    operand = int.from_bytes(data[at + 1 : end], "big")
    pops, pushes, text = op.pops, op.pushes, b""
    if op.name == "printf":
        size = int.from_bytes(data[end : end + 2], "big")
        text = data[end + 2 : end + 2 + size]
        if len(text) != size or not text.endswith(b"\0"):
            raise AgentError(f"printf at offset {at}: the format is cut off")
        # gdb sends the format as it was typed
        text = _ESCAPE.sub(lambda escape: _ESCAPES.get(escape[1], escape[0]), text)
        end += 2 + size
        pops = operand + 2  # function and channel lie above the arguments
    elif op.name == "pick":
        pops, pushes = operand + 1, operand + 2
    elif op.name in ("ext", "zero_ext") and operand == 0:
        raise AgentError(f"{op.name} of no bits at offset {at}")
    return Insn(at, end, op.name, operand, text, depth), pops, pushes


def _successors(insn: Insn) -> Iterator[int]:
    if insn.name != "goto":
        yield insn.next
    if insn.name in ("goto", "if_goto"):
        yield insn.operand


def _check_overlap(insns: dict[int, Insn]) -> None:
    """A jump into the middle of an instruction would make two readings of the same bytes."""
    end = 0
    for at in sorted(insns):
        if at < end:
            raise AgentError(f"a jump leads into the middle of an instruction, to offset {at}")
        end = insns[at].next
