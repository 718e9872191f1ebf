"""Agent expressions evaluated directly: what `core.agent` translates, and what it cannot (printf).

The same meaning as the translation, in plain Python; the two are tested against each other.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from otoriscv.core.agent_code import MAX_LOOPS, Code, Insn
from otoriscv.core.fold import evaluate

__all__ = ["SPEC", "Failed", "format_text", "run"]

_MASK: Final = (1 << 64) - 1
_STRING: Final = 4096  # bytes of a %s at most
_WIDTH: Final = 1024
#: A conversion of printf.
SPEC: Final = re.compile(rb"%([-+ #0]*)(\d*)(?:\.(\d*))?(hh|h|ll|l|j|z|t)?([diouxXcsp%])")
_SIZES: Final = {b"hh": 8, b"h": 16, b"": 32, b"ll": 64, b"j": 64}
_PLAIN: Final = {
    "add": "add", "sub": "sub", "mul": "mul", "bit_and": "and", "bit_or": "or", "bit_xor": "xor",
    "equal": "eq", "less_signed": "lts", "less_unsigned": "ltu", "div_signed": "divs",
    "div_unsigned": "divu", "rem_signed": "rems", "rem_unsigned": "remu",
}  # fmt: skip

ReadRegister = Callable[[int], int]
ReadMemory = Callable[[int, int], bytes]


class Failed(Exception):
    """The expression cannot be evaluated; the message says why."""


def run(
    code: Code,
    xlen: int,
    register: ReadRegister,
    memory: ReadMemory,
    output: Callable[[bytes], None] = lambda text: None,
) -> int | None:
    """The value that *code* leaves, None when it leaves none.

    *memory* gives exactly as many bytes as asked for, or raises `Failed`. *output* gets what
    printf prints.
    """
    stack: list[int] = []
    at = loops = 0
    mask = (1 << xlen) - 1
    while True:
        insn = code.insns[at]
        at = insn.next
        name = insn.name
        if name == "end":
            return stack[-1] if stack else None
        if name in ("goto", "if_goto"):
            if name == "goto" or stack.pop():
                at = insn.operand
                loops += at <= insn.at
                if loops == MAX_LOOPS:
                    raise Failed("it loops too often")
        elif name == "printf":
            del stack[-2:]  # function and channel
            values = [stack.pop() for _ in range(insn.operand)]
            output(format_text(insn.text[:-1], values, xlen, memory))
        elif name.startswith("ref"):
            data = memory(stack.pop() & mask, int(name[3:]) // 8)
            stack.append(int.from_bytes(data, "little"))
        elif name == "reg":
            stack.append(register(insn.operand) & _MASK)
        else:
            _compute(insn, stack)


def _compute(insn: Insn, stack: list[int]) -> None:
    name, operand = insn.name, insn.operand
    if name == "const":
        stack.append(operand)
    elif name == "dup":
        stack.append(stack[-1])
    elif name == "pop":
        stack.pop()
    elif name == "swap":
        stack[-1], stack[-2] = stack[-2], stack[-1]
    elif name == "pick":
        stack.append(stack[-1 - operand])
    elif name == "rot":
        stack.insert(-2, stack.pop())
    elif name == "ext":
        bits = min(operand, 64)
        value = stack.pop() & ((1 << bits) - 1)
        stack.append((value - (1 << bits) if value >> (bits - 1) else value) & _MASK)
    elif name == "zero_ext":
        stack.append(stack.pop() & ((1 << operand) - 1))
    elif name == "log_not":
        stack.append(int(stack.pop() == 0))
    elif name == "bit_not":
        stack.append(stack.pop() ^ _MASK)
    else:
        right, left = stack.pop(), stack.pop()
        stack.append(_binary(name, left, right))


def _binary(name: str, a: int, c: int) -> int:
    if name.startswith(("div", "rem")) and c == 0:
        raise Failed("it divides by zero")
    if name == "lsh":
        return a << c & _MASK if c < 64 else 0
    if name == "rsh_unsigned":
        return a >> c if c < 64 else 0
    if name == "rsh_signed":
        return evaluate("sar", 64, a, min(c, 63))
    plain = _PLAIN[name]
    width = 1 if plain in ("eq", "lts", "ltu") else 64
    return evaluate(plain, width, a, c, arg_width=64)


def format_text(text: bytes, values: list[int], xlen: int, memory: ReadMemory) -> bytes:
    """C's printf for integers, characters and strings; what it does not know is left as it is."""
    left = iter(values)

    def one(match: re.Match[bytes]) -> bytes:
        flags, width, precision, size, kind = match.groups()
        if kind == b"%":
            return b"%"
        value = next(left, 0)
        number = min(int(width or 0), _WIDTH)
        style = b"%" + flags + (b"%d" % number if number else b"")
        if kind == b"s":
            limit = _STRING if precision is None else min(int(precision or 0), _STRING)
            return _pad(_string(value, limit, memory), number, b"-" in flags)
        if kind == b"c":
            return _pad(bytes((value & 0xFF,)), number, b"-" in flags)
        if precision is not None:
            style += b".%d" % min(int(precision or 0), _WIDTH)
        bits = xlen if kind == b"p" else _SIZES.get(size or b"", xlen)
        value &= (1 << bits) - 1
        if kind in b"di" and value >> (bits - 1):
            value -= 1 << bits
        if kind == b"p":
            return _pad(b"%#x" % value, number, b"-" in flags)
        return (style + (b"d" if kind in b"iu" else kind)) % value

    return SPEC.sub(one, text)


def _pad(text: bytes, width: int, left: bool) -> bytes:
    return text.ljust(width) if left else text.rjust(width)


def _string(address: int, limit: int, memory: ReadMemory) -> bytes:
    """The characters up to a zero byte, read in pieces that do not cross a page."""
    found = b""
    while len(found) < limit:
        size = min(limit - len(found), 64 - (address & 63))
        piece = memory(address, size)
        end = piece.find(b"\0")
        if end >= 0:
            return found + piece[:end]
        found += piece
        address += size
    return found
