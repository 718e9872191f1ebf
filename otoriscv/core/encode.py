"""The encoder and a small assembler, derived from the rows. Mnemonics and operands are objdump's.

encode("addi", rd=10, rs1=0, imm=5)
assemble_insn("addi a0, zero, 5")
assemble("loop: addi a0, a0, -1; bnez a0, loop", base=0x8000_0000).code
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

from otoriscv.core.aliases import ALIASES
from otoriscv.core.csr_names import NUMBERS
from otoriscv.core.isa_table import ABI_NUMBERS, FLOAT_NAMES, ROUNDING, TABLE, Field, Row
from otoriscv.core.program import Program

__all__ = ["AsmError", "Program", "assemble", "assemble_insn", "encode"]

_REGISTERS: Final = {**ABI_NUMBERS, "fp": 8, **{f"x{n}": n for n in range(32)}}
_FLOAT_REGISTERS: Final = {
    **{name: n for n, name in enumerate(FLOAT_NAMES)},
    **{f"f{n}": n for n in range(32)},
}
_ORDERING: Final = {".aqrl": (1, 1), ".aq": (1, 0), ".rl": (0, 1)}


class AsmError(ValueError):
    """A statement that cannot be assembled; one line."""


def encode(name: str, xlen: int = 64, **operands: int) -> int:
    """The encoding (16 or 32 bits) of instruction *name*; operands not named are 0."""
    rows = _rows(name, xlen)
    if not rows:
        raise AsmError(f"no instruction {name} for RV{xlen}")
    return _encode(rows, operands)


def _encode(rows: list[Row], operands: Mapping[str, int]) -> int:
    error = ""
    for row in rows:
        unknown = [n for n in operands if n not in row.fields]
        if unknown:
            error = error or f"{row.name} has no operand {unknown[0]}"
            continue
        try:
            word = row.match
            for name, f in row.fields.items():
                word |= f.insert(operands.get(name, 8 if f.prime else 0))
        except ValueError as e:
            error = f"{row.name}: {e}"
            continue
        if row.matches(word):
            return word
        error = f"{row.name}: these operands are reserved or another instruction"
    raise AsmError(error)


def _rows(name: str, xlen: int) -> list[Row]:
    return [r for r in TABLE.rows if r.name == name and xlen in r.xlens]


class _Form(NamedTuple):
    """One way to write an instruction: its row, operand template, and fixed operands."""

    row: Row
    template: str
    fixed: Mapping[str, int]
    same: Mapping[str, str]  # operands equal to others


@cache
def _forms(name: str, xlen: int, rows: int) -> tuple[_Form, ...]:
    """The ways to write *name*, when there are so many *rows*."""
    return tuple(_make_forms(name, xlen))


def _make_forms(name: str, xlen: int) -> Iterator[_Form]:
    for row in _rows(name, xlen):
        yield _Form(row, row.operands, {}, {})
        if row.operands.endswith(", rm"):
            yield _Form(row, row.operands.removesuffix(", rm"), {"rm": row.usual_rounding}, {})
    for suffix, (aq, rl) in _ORDERING.items():
        if name.endswith(suffix):
            for row in _rows(name.removesuffix(suffix), xlen):
                yield _Form(row, row.operands, {"aq": aq, "rl": rl}, {})
            break
    for alias in ALIASES:
        if alias.name == name and xlen in alias.xlens:
            for row in _rows(alias.base, xlen):
                yield _Form(row, alias.operands, alias.fixed, alias.same)


def assemble_insn(
    text: str, xlen: int = 64, pc: int = 0, symbols: Mapping[str, int] | None = None
) -> int:
    """The encoding of one instruction as text; jump targets are symbols or addresses."""
    name, operands = _head(text)
    error = ""
    for form in _forms(name, xlen, len(TABLE.rows)):
        template = _split(form.template)
        if len(template) != len(operands):
            error = error or f"{name} takes {form.template or 'no operands'!r}"
            continue
        try:
            values = dict(form.fixed)
            for want, have in zip(template, operands, strict=True):
                values.update(_operand(form.row, want, have, xlen, pc, symbols or {}))
            values.update({n: values[other] for n, other in form.same.items()})
            return _encode([form.row], values)
        except AsmError as e:
            error = str(e)
    raise AsmError(f"{text.strip()!r}: {error or f'no instruction {name} for RV{xlen}'}")


def _split(text: str) -> list[str]:
    return [part.strip() for part in text.split(",")] if text.strip() else []


def _operand(
    row: Row, want: str, have: str, xlen: int, pc: int, symbols: Mapping[str, int]
) -> dict[str, int]:
    """The fields that one written operand gives: ``imm(rs1)`` and ``8(sp)`` give two."""
    if "(" in want:
        m = re.fullmatch(r"(.*)\(\s*(\w+)\s*\)", have)
        if m is None:
            raise AsmError(f"{row.name}: {have!r} is not of the form {want}")
        outer, inner = want[:-1].split("(")
        out = _operand(row, inner, m[2], xlen, pc, symbols)
        given = m[1].strip() or "0"
        if outer:
            out.update(_operand(row, outer, given, xlen, pc, symbols))
        elif given != "0":
            raise AsmError(f"{row.name}: no offset is possible in {have!r}")
        return out
    f = row.fields.get(want)
    if f is None:  # a register or number that the encoding fixes
        if _REGISTERS.get(have.lower(), have) != _REGISTERS.get(want, want):
            raise AsmError(f"{row.name}: {have!r} must be {want}")
        return {}
    return {want: _value(row, f, have, xlen, pc, symbols)}


def _value(row: Row, f: Field, text: str, xlen: int, pc: int, symbols: Mapping[str, int]) -> int:
    low = text.lower()
    if f.register:
        if low not in _REGISTERS:
            raise AsmError(f"{row.name}: {text!r} is not a register")
        return _REGISTERS[low]
    if f.floating:
        if low not in _FLOAT_REGISTERS:
            raise AsmError(f"{row.name}: {text!r} is not a floating-point register")
        return _FLOAT_REGISTERS[low]
    if f.name == "rm" and low in ROUNDING:
        return ROUNDING.index(low)
    if f.name == "csr" and low in NUMBERS:
        return NUMBERS[low]
    if f.name in ("pred", "succ") and low != "" and set(low) <= set("iorw"):
        return sum({"i": 8, "o": 4, "r": 2, "w": 1}[c] for c in set(low))
    if f.name in ("pred", "succ") and low == "unknown":
        return 0
    value = evaluate(text, symbols, pc)
    lowest = min(at for _, at, _ in f.pieces)
    if f.name == "imm" and lowest == 1:
        return _signed(value - pc, xlen)
    if lowest == 12:
        if not -0x8_0000 <= value <= 0xF_FFFF:
            raise AsmError(f"{row.name}: {text!r} does not fit in 20 bits")
        return _signed(value << 12, 32)
    return value


def _signed(value: int, width: int) -> int:
    value &= (1 << width) - 1
    return value - (1 << width) if value >> (width - 1) else value


def evaluate(text: str, symbols: Mapping[str, int], pc: int = 0) -> int:
    """A number, a symbol, ``.``, sums of them, ``%hi(x)`` or ``%lo(x)``."""
    m = re.fullmatch(r"%(hi|lo)\((.*)\)", text.strip())
    if m is not None:
        value = evaluate(m[2], symbols, pc)
        return (value + 0x800) >> 12 & 0xFFFFF if m[1] == "hi" else _signed(value, 12)
    total = 0
    found = re.findall(r"([+-]?)\s*([\w.$]+)", text)
    if not found or "".join(a + b for a, b in found) != re.sub(r"\s", "", text):
        raise AsmError(f"cannot read {text!r}")
    for sign, term in found:
        if term == ".":
            value = pc
        elif term in symbols:
            value = symbols[term]
        else:
            try:
                value = int(term, 0)
            except ValueError:
                raise AsmError(f"unknown symbol {term!r}") from None
        total += -value if sign == "-" else value
    return total


# -- programs


class _Statement(NamedTuple):
    line: int
    text: str
    pc: int


_DATA: Final = {".byte": 1, ".half": 2, ".word": 4, ".dword": 8}


def assemble(source: str, xlen: int = 64, base: int = 0) -> Program:
    """Assemble a small program: instructions, labels (``1:``, ``1b``, ``1f`` too), ``li`` of any
    constant, ``la``, and ``.byte .half .word .dword .zero .align``."""
    symbols: dict[str, int] = {}
    statements: list[_Statement] = []
    pc = base
    numeric: list[tuple[int, int]] = []  # numeric labels: number, address
    for line, text in _lines(source):
        while (m := re.match(r"([\w.$]+):\s*", text)) is not None:
            if m[1].isdigit():
                numeric.append((int(m[1]), pc))
            else:
                if m[1] in symbols:
                    raise AsmError(f"line {line}: {m[1]} is defined twice")
                symbols[m[1]] = pc
            text = text[m.end() :]
        if text:
            statements.append(_Statement(line, text, pc))
            try:
                pc += _size(text, pc, xlen)
            except AsmError as e:
                raise AsmError(f"line {line}: {e}") from None
    out = bytearray()
    for s in statements:
        try:
            out += _emit(_resolve(s, numeric), s.pc, xlen, symbols)
        except AsmError as e:
            raise AsmError(f"line {s.line}: {e}") from None
    return Program(base, bytes(out), symbols)


def _lines(source: str) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(source.splitlines(), 1):
        line = re.sub(r"(#|//).*", "", line)
        for part in line.split(";"):
            if part.strip():
                yield number, part.strip()


def _resolve(s: _Statement, numeric: list[tuple[int, int]]) -> str:
    """The statement with ``1b`` and ``1f`` replaced by addresses."""

    def address(m: re.Match[str]) -> str:
        n = int(m[1])
        here = [a for k, a in numeric if k == n and (a <= s.pc if m[2] == "b" else a > s.pc)]
        if not here:
            raise AsmError(f"no label {m[0]}")
        return str(max(here) if m[2] == "b" else min(here))

    return re.sub(r"(?<![\w.$])(\d+)([bf])(?![\w.$])", address, s.text)


def _head(text: str) -> tuple[str, list[str]]:
    name, *rest = text.split(None, 1) or [""]
    return name.lower(), _split(rest[0] if rest else "")


def _size(text: str, pc: int, xlen: int) -> int:
    name, operands = _head(text)
    if name in _DATA:
        return _DATA[name] * len(operands)
    if name == ".zero":
        return evaluate(operands[0], {})
    if name == ".align":
        return -pc % (1 << evaluate(operands[0], {}))
    if name == "la":
        return 8
    if name == "li" and len(operands) == 2:
        return 4 * len(_li(operands[0], evaluate(operands[1], {}), xlen))
    return 2 if name.startswith("c.") else 4


def _emit(text: str, pc: int, xlen: int, symbols: Mapping[str, int]) -> bytes:
    name, operands = _head(text)
    if name in _DATA:
        n = _DATA[name]
        values = (evaluate(t, symbols, pc) & (1 << 8 * n) - 1 for t in operands)
        return b"".join(v.to_bytes(n, "little") for v in values)
    if name in (".zero", ".align"):
        n = _size(text, pc, xlen)
        nops = b"\x01\x00" * (n % 4 // 2) + b"\x13\x00\x00\x00" * (n // 4)
        return nops if name == ".align" and n % 2 == 0 else bytes(n)
    lines = [text]
    if name == "la" and len(operands) == 2:
        offset = _signed(evaluate(operands[1], symbols, pc) - pc, xlen)
        rd = operands[0]
        upper = (offset + 0x800) >> 12 & 0xFFFFF
        lines = [f"auipc {rd}, {upper:#x}", f"addi {rd}, {rd}, {_signed(offset, 12)}"]
    elif name == "li" and len(operands) == 2:
        lines = _li(operands[0], evaluate(operands[1], {}), xlen)
    out = bytearray()
    for line in lines:
        word = assemble_insn(line, xlen, pc, symbols)
        size = 4 if word & 3 == 3 else 2
        out += word.to_bytes(size, "little")
        pc += size
    return bytes(out)


def _li(rd: str, value: int, xlen: int) -> list[str]:
    """Instructions that load a constant."""
    value = _signed(value, xlen)
    if -2048 <= value < 2048:
        return [f"addi {rd}, zero, {value}"]
    low = _signed(value, 12)
    if _signed(value, 32) == value:
        add = "addi" if xlen == 32 else "addiw"
        lui = f"lui {rd}, {(value + 0x800) >> 12 & 0xFFFFF:#x}"
        return [lui, f"{add} {rd}, {rd}, {low}"] if low else [lui]
    high = value - low >> 12
    shift = 12 + (high & -high).bit_length() - 1
    lines = _li(rd, _signed(value - low, 64) >> shift, xlen)
    lines.append(f"slli {rd}, {rd}, {shift}")
    return [*lines, f"addi {rd}, {rd}, {low}"] if low else lines
