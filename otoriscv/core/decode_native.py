"""The native decoder: one routine in micro-ops, derived from the rows.

``decode_entry(word, pc & 4095, entry)`` decodes the fetched *word* for the hart's ISA into the
16-byte entry at arena offset *entry* (docs/abi.md, "Decoded entries") and returns its length.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import groupby
from typing import NamedTuple

from otoriscv.core.handlers import ILLEGAL2, ILLEGAL4, VARIANTS, numbers, variant_sets
from otoriscv.core.isa_string import extension_bit
from otoriscv.core.isa_table import ENTRY_SLOTS, REGISTER_FIELDS, TABLE, Field, IsaTable, Row
from otoriscv.core.layout import SINK
from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value, Var

__all__ = ["decode_entry"]


class _State(NamedTuple):
    """What the routine's parts share."""

    b: Builder
    table: IsaTable
    word: Value
    pc_low: Value
    isa: Value
    handler: Var
    slots: dict[str, Var]


@routine(3)
def decode_entry(
    b: Builder, word: Value, pc_low: Value, entry: Value, table: IsaTable = TABLE
) -> None:
    """Decode *word* into *entry*; the result is the instruction's length."""
    word = word & 0xFFFF_FFFF
    wide = (word & 3).eq(3)
    word = wide.select(word, word & 0xFFFF)
    s = _State(
        b, table, word, pc_low, b.get("isa"),
        handler=b.var(wide.select(ILLEGAL4, ILLEGAL2, 64)),
        slots={n: b.var(0) for n in (*REGISTER_FIELDS, *ENTRY_SLOTS)},
    )  # fmt: skip
    rows = [r for r in table.rows if b.xlen in r.xlens]
    rows.sort(key=lambda r: -r.mask.bit_count())
    with b.if_(wide):
        _switch(s, [r for r in rows if r.length == 4], (2, 5), lambda t: _switch(s, t, (12, 3)))
    with b.else_():
        _switch(s, [r for r in rows if r.length == 2], (0, 2), lambda t: _switch(s, t, (13, 3)))
    low = s.handler.value
    for slot, at in (("rd", 16), ("rs1", 24), ("rs2", 32), ("rs3", 40), ("aux", 48)):
        low = low | s.slots[slot].value << at
    b.astore(entry, low)
    b.astore(entry + 8, s.slots["imm"].value & 0xFFFF_FFFF | word << 32)
    b.ret(wide.select(4, 2, 64))


def _switch(
    s: _State,
    rows: Sequence[Row],
    bits: tuple[int, int],
    inner: Callable[[list[Row]], None] | None = None,
) -> None:
    """Choose among *rows* by a bit field; then *inner*, or row by row."""
    at, count = bits
    mask = (1 << count) - 1
    b = s.b
    lists = [
        [i for i, r in enumerate(rows) if ((r.match >> at) ^ n) & (r.mask >> at) & mask == 0]
        for n in range(mask + 1)
    ]
    with b.switch(s.word >> at & mask) as sw:
        order = sorted(range(mask + 1), key=lambda n: lists[n])
        for indexes, same in groupby(order, key=lambda n: lists[n]):
            if not indexes:
                continue
            chosen = [rows[i] for i in indexes]
            with sw.case(*same):
                if inner is None:
                    _chain(s, chosen)
                else:
                    inner(chosen)


def _chain(s: _State, rows: Sequence[Row]) -> None:
    """Try *rows* one after the other, the most specific first."""
    if not rows:
        return
    row, *rest = rows
    b = s.b
    with b.if_(_matches(s, row)):
        _fill(s, row)
    if rest:
        with b.else_():
            _chain(s, rest)


def _matches(s: _State, row: Row) -> Value:
    """Whether the word is this row and its extension is on."""
    ok = (s.word & row.mask).eq(row.match)
    for f in row.fields.values():
        if f.nonzero:
            ok = ok & (s.word & f.mask).ne(0)
    for name, bad in row.exclude.items():
        f = row.fields[name]
        for n in bad:
            ok = ok & (s.word & f.mask).ne(f.insert(n))
    if row.ext == "I":
        return ok
    on = s.b.const(0, 1)
    for alternative in row.ext.split("|"):
        need = sum(1 << extension_bit(e) for e in set(alternative.split("+")))
        on = on | (s.isa & need).eq(need)
    return ok & on


def _extract(s: _State, f: Field) -> Value:
    """The operand's value, 64 bits."""
    b = s.b
    value = b.const(0, 64)
    for low, at, n in f.pieces:
        part = s.word >> low & ((1 << n) - 1)
        value = part << at if value.const == 0 else value | part << at
    if f.prime:
        return value + 8
    return (value << 64 - f.bits).sar(64 - f.bits) if f.signed else value


def _fill(s: _State, row: Row) -> None:
    """Write the row's operands and its handler number."""
    b = s.b
    operands = {name: _extract(s, f) for name, f in row.fields.items()}
    base = row
    if row.expands:
        name, sources = row.expansion()
        base = s.table.named(name, b.xlen)
        zero = b.const(0, 64)
        given = {
            n: operands[v] if isinstance(v, str) else b.const(v, 64) for n, v in sources.items()
        }
        operands = {n: given.get(n, zero) for n in base.fields}
    for name, slot in base.slots().items():
        value = operands[name]
        if name == "rd":
            value = value.eq(0).select(SINK, value)
        s.slots[slot].value = value & 0xFFFF if slot == "aux" else value

    def get(*names: str) -> Value:
        return next(operands[n] for n in names if n in operands)

    bits = {v: VARIANTS[v](b, get, s.pc_low, s.isa) for v in base.variants}
    number = numbers(b.xlen, s.table)
    sets = variant_sets(base, row.length)
    out = b.const(number[base.name, row.length, sets[0]], 64)
    for on in sets[1:]:
        cond = b.const(1, 1)
        for name, bit in bits.items():
            cond = cond & (bit if name in on else ~bit)
        out = cond.select(b.const(number[base.name, row.length, on], 64), out)
    s.handler.value = out
