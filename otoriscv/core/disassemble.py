"""The disassembler: instructions as objdump prints them, derived from the rows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import cache
from typing import Final

from otoriscv.core.aliases import ALIASES, Alias
from otoriscv.core.csr_names import NAMES
from otoriscv.core.decode import Insn
from otoriscv.core.isa_table import ABI_NAMES, FLOAT_NAMES, ROUNDING, Field, Row

__all__ = ["disassemble"]

Symbolize = Callable[[int], str]
_TOKEN: Final = re.compile(r"[a-z][a-z0-9]*")
_HEX: Final = frozenset(("shamt", "nzshamt"))


@cache
def _aliases() -> dict[str, list[Alias]]:
    out: dict[str, list[Alias]] = {}
    for alias in ALIASES:
        if not alias.assembler_only:
            out.setdefault(alias.base, []).append(alias)
    return out


def disassemble(
    insn: Insn,
    pc: int = 0,
    xlen: int = 64,
    *,
    aliases: bool = True,
    symbol: Symbolize | None = None,
) -> str:
    """*insn* at *pc* in objdump's conventions: mnemonic, tab, operands.

    Without *aliases* the encoded instruction itself is shown (objdump -M no-aliases). *symbol*
    gives the text of a jump target.
    """
    show = _Operands(pc, xlen, symbol)
    if not insn.legal:
        if insn.bits == 0:
            return "unimp" if aliases else "c.unimp"
        return f".{insn.length}byte\t{insn.bits:#x}"
    row, operands = insn.row, insn.operands
    name, template = row.name, row.operands
    if not aliases or insn.source.hint:
        row = insn.source
        operands = {n: f.extract(insn.bits) for n, f in row.fields.items()}
        name, template = row.name, row.operands
    else:
        for alias in _aliases().get(row.name, ()):
            if _fits(alias, insn, xlen):
                name, template = alias.name, alias.operands
                break
    if "rm" in row.fields and operands["rm"] == row.usual_rounding:
        template = template.removesuffix(", rm")
    if "aq" in row.fields:
        name += ("", ".rl", ".aq", ".aqrl")[operands["aq"] << 1 | operands["rl"]]
    text = show.all(row, template, operands)
    return f"{name}\t{text}" if text else name


def _fits(alias: Alias, insn: Insn, xlen: int) -> bool:
    if xlen not in alias.xlens or (alias.source and insn.source.name != alias.source):
        return False
    operands = insn.operands
    return all(operands[n] == v for n, v in alias.fixed.items()) and all(
        operands[n] == operands[other] for n, other in alias.same.items()
    )


class _Operands:
    """Prints operands by their template."""

    def __init__(self, pc: int, xlen: int, symbol: Symbolize | None) -> None:
        self.pc = pc
        self.mask = (1 << xlen) - 1
        self.symbol = symbol

    def all(self, row: Row, template: str, operands: Mapping[str, int]) -> str:
        def one(match: re.Match[str]) -> str:
            f = row.fields.get(match[0])
            return match[0] if f is None else self.one(f, operands[match[0]])

        return _TOKEN.sub(one, template.replace(", ", ","))

    def one(self, f: Field, value: int) -> str:
        if f.register:
            return ABI_NAMES[value]
        if f.floating:
            return FLOAT_NAMES[value]
        if f.name == "rm":
            return ROUNDING[value]
        if f.name in ("pred", "succ"):
            letters = (c for n, c in zip((8, 4, 2, 1), "iorw", strict=True) if value & n)
            return "".join(letters) or "unknown"
        if f.name == "csr":
            return NAMES.get(value, f"{value:#x}")
        lowest = min(at for _, at, _ in f.pieces)
        if f.name == "imm" and lowest == 1:  # relative to the pc
            target = (self.pc + value) & self.mask
            return self.symbol(target) if self.symbol else f"{target:#x}"
        if lowest == 12:  # upper immediates
            return f"{value >> 12 & 0xFFFFF:#x}"
        return f"{value:#x}" if f.name in _HEX else str(value)
