"""Variants and handler numbers: what the decoders and the interpreters share.

A *variant* is what differs at decode time. Each is one predicate in micro-ops: the native decoder
computes it, and the Python decoder gets it from the same text through constant folding.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from itertools import combinations
from typing import TYPE_CHECKING, Final, NamedTuple

from otoriscv.core.fcsr import FCSR, FFLAGS
from otoriscv.core.isa_string import extension_bit
from otoriscv.core.isa_table import TABLE, IsaTable, Row
from otoriscv.core.layout import PAGE
from otoriscv.core.sem import CAUSE
from otoriscv.core.uop import Builder, Value

if TYPE_CHECKING:
    from otoriscv.core.sem import Sem

__all__ = ["ILLEGAL", "SPECIAL", "VARIANTS", "Handler", "Operands", "handlers", "variant_sets"]

#: Operand by name, 64 bits, sign-extended when signed; of several names, the one the row has.
Operands = Callable[..., Value]
Predicate = Callable[[Builder, Operands, Value, Value], Value]


def _c_off(isa: Value) -> Value:
    return ~isa.bit(extension_bit("Zca"))


def _odd(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """The jump's target is not 4-byte aligned and there is no C extension."""
    return _c_off(isa) & get("imm").bit(1)


def _near(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """The jump's target is aligned and lies in the instruction's own page."""
    return (pc_low + get("imm")).ltu(PAGE) & ~_odd(b, get, pc_low, isa)


def _noc(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """There is no C extension: jump targets are checked for alignment."""
    return _c_off(isa)


def _noread(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """A CSR write whose rd is x0: the CSR is not read."""
    return get("rd").eq(0)


def _nowrite(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """A CSR set or clear whose source is x0 or 0: the CSR is not written."""
    return get("zimm", "rs1").eq(0)


def _fcsr(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """The CSR is one of the floating-point unit, which exists."""
    return (get("csr") - FFLAGS).ltu(FCSR) & isa.bit(extension_bit("F"))


def _every(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """rs1 is x0: a fence for all addresses."""
    return get("rs1").eq(0)


def _everyone(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """rs2 is x0: a fence for all address spaces."""
    return get("rs2").eq(0)


def _dyn(b: Builder, get: Operands, pc_low: Value, isa: Value) -> Value:
    """The rounding mode is the one in frm."""
    return get("rm").eq(7)


#: Every variant that a row may declare. ``predicate(b, operands, pc & 4095, isa bits)`` is 1 bit.
VARIANTS: Final[dict[str, Predicate]] = {
    "near": _near,
    "odd": _odd,
    "noc": _noc,
    "noread": _noread,
    "nowrite": _nowrite,
    "fcsr": _fcsr,
    "dyn": _dyn,
    "every": _every,
    "everyone": _everyone,
}
#: Variants that never hold together.
_EXCLUSIVE: Final = ({"near", "odd"},)
#: Variants of a hart without compressed instructions.
_WITHOUT_C: Final = frozenset(("odd", "noc"))


def variant_sets(row: Row, length: int) -> list[frozenset[str]]:
    """The variant combinations of a base row that can occur, in a fixed order, () first."""
    names = [v for v in row.variants if length == 4 or v not in _WITHOUT_C]
    every = [frozenset(c) for n in range(len(names) + 1) for c in combinations(names, n)]
    return [c for c in every if not any(e <= c for e in _EXCLUSIVE)]


def _illegal(m: Sem) -> None:
    m.trap(CAUSE.ILLEGAL, m.bits)


def _special(name: str, semantics: Callable[[Sem], None] | None = None) -> Row:
    return Row(name, "", "", "I", (32, 64), 4, 0, 0, {}, {}, "", semantics, ())


#: The pseudo-row of everything that is not an instruction.
ILLEGAL: Final = _special("illegal", _illegal)


class Handler(NamedTuple):
    """What the interpreters have one piece of code for."""

    row: Row
    length: int
    variant: frozenset[str]

    @property
    def name(self) -> str:
        return self.row.name


_NONE: Final[frozenset[str]] = frozenset()
#: The first handler numbers: an entry not decoded yet, illegal instructions of both lengths, and
#: what the interpreter puts at page ends and breakpoints.
SPECIAL: Final = (
    Handler(_special("undecoded"), 4, _NONE),
    Handler(ILLEGAL, 4, _NONE),
    Handler(ILLEGAL, 2, _NONE),
    Handler(_special("page_end"), 4, _NONE),
    Handler(_special("crossing"), 4, _NONE),
    Handler(_special("breakpoint"), 4, _NONE),
    Handler(_special("resume_interp"), 4, _NONE),
    Handler(_special("resume"), 4, _NONE),
)
UNDECODED, ILLEGAL4, ILLEGAL2, PAGE_END, CROSSING, BREAKPOINT, RESUME_INTERP, RESUME = range(8)
#: Handler numbers from here on are entries of compiled regions.
FIRST_REGION: Final = 4096


def handlers(xlen: int, table: IsaTable = TABLE) -> list[Handler]:
    """Every handler; its number is its place. Base rows in the table's order after `SPECIAL`."""
    return list(_handlers(xlen, len(table.rows), table))


def numbers(xlen: int, table: IsaTable = TABLE) -> dict[tuple[str, int, frozenset[str]], int]:
    """Handler numbers by (row name, length, variant)."""
    return _numbers(xlen, len(table.rows), table)


@cache
def _handlers(xlen: int, rows: int, table: IsaTable) -> list[Handler]:
    here = [r for r in table.rows if xlen in r.xlens]
    short = {r.expansion()[0] for r in here if r.expands}
    out = list(SPECIAL)
    for row in here:
        if row.semantics is None:
            continue
        for length in (4, 2):
            if row.length == length or (length == 2 and row.name in short):
                out += [Handler(row, length, v) for v in variant_sets(row, length)]
    return out


@cache
def _numbers(xlen: int, rows: int, table: IsaTable) -> dict[tuple[str, int, frozenset[str]], int]:
    every = handlers(xlen, table)
    return {(h.name, h.length, h.variant): n for n, h in enumerate(every)}
