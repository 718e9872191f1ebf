"""The decoder in Python: a fetched word to an `Insn`. The native one is in decode_native.py.

Both are derived from the rows, and so are the handler numbers that they share.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from otoriscv.core import decode_native
from otoriscv.core.handlers import (
    ILLEGAL,
    SPECIAL,
    VARIANTS,
    Handler,
    handlers,
    numbers,
    variant_sets,
)
from otoriscv.core.isa_string import EXTENSIONS, Isa, IsaError
from otoriscv.core.isa_table import TABLE, IsaTable, Row
from otoriscv.core.uop import Builder, Value

__all__ = [
    "EXTENSIONS", "ILLEGAL", "SPECIAL", "TABLE", "VARIANTS", "Decoder", "Handler", "Insn", "Isa",
    "IsaError", "decode_native", "handlers", "numbers", "variant_sets",
]  # fmt: skip

#: Instructions kept decoded, of 320 bytes each; there is a decoder for each engine.
_CACHE_LIMIT: Final = 1 << 14
_NO_VARIANT: Final[frozenset[str]] = frozenset()


class Insn(NamedTuple):
    """A decoded instruction. ``row`` is the base row; ``source`` the row that was encoded."""

    row: Row
    source: Row
    operands: dict[str, int]
    length: int
    bits: int  # the encoding itself: 16 or 32 bits
    variant: frozenset[str]

    @property
    def legal(self) -> bool:
        return self.row is not ILLEGAL


class Decoder:
    """Decodes for one ISA. Illegal, reserved or switched-off encodings give the row `ILLEGAL`."""

    def __init__(self, isa: Isa, table: IsaTable = TABLE) -> None:
        self.isa = isa
        self.table = table
        self._bits = isa.bits
        self._rows: dict[int, list[Row]] = {}
        for row in table.select(isa.xlen, isa.extensions):
            low = row.mask & 3 if row.length == 2 else row.mask & 0x7F
            assert low == (3 if row.length == 2 else 0x7F), row.name
            for key in _keys(row):
                self._rows.setdefault(key, []).append(row)
        self._base: dict[str, Row] = {
            r.name: r for r in table.rows if r.semantics is not None and isa.xlen in r.xlens
        }
        self._cache: dict[int, Insn] = {}

    def decode(self, word: int, pc: int = 0) -> Insn:
        """The instruction in *word*, 32 bits fetched at *pc* (16-bit ones are in its low half)."""
        if word & 3 != 3:
            word &= 0xFFFF
        insn = self._cache.get(word)
        if insn is None:
            insn = self._cache.get(word << 12 | pc & 0xFFF | 1 << 48)
            if insn is None:
                insn = self._decode(word, pc & 0xFFF)
                if len(self._cache) > _CACHE_LIMIT:
                    self._cache.clear()
                # Only a jump's own page depends on the pc.
                here = word << 12 | pc & 0xFFF | 1 << 48
                self._cache[here if "near" in insn.row.variants else word] = insn
        return insn

    def _decode(self, word: int, pc_low: int) -> Insn:
        length = 4 if word & 3 == 3 else 2
        for row in self._rows.get(_bucket(word), ()):
            if row.matches(word):
                break
        else:
            return Insn(ILLEGAL, ILLEGAL, {}, length, word, _NO_VARIANT)
        operands = {name: f.extract(word) for name, f in row.fields.items()}
        base = row
        if row.expands:
            name, sources = row.expansion()
            base = self._base[name]
            given = {n: operands[s] if isinstance(s, str) else s for n, s in sources.items()}
            operands = {n: given.get(n, 0) for n in base.fields}
        variant = self._variant(base, operands, pc_low, length)
        return Insn(base, row, operands, length, word, variant)

    def _variant(
        self, row: Row, operands: dict[str, int], pc_low: int, length: int
    ) -> frozenset[str]:
        if not row.variants:
            return _NO_VARIANT
        b = Builder(self.isa.xlen)

        def get(*names: str) -> Value:
            return b.const(next(operands[n] for n in names if n in operands), 64)

        pc, isa = b.const(pc_low, 64), b.const(self._bits, 64)
        on = frozenset(v for v in row.variants if VARIANTS[v](b, get, pc, isa).const)
        assert on in variant_sets(row, length), (row.name, on)
        return on


def _bucket(word: int) -> int:
    """Where to look for a word: opcode and bits 14:12, or quadrant and bits 15:13."""
    if word & 3 == 3:
        return word & 0x7F | (word >> 12 & 7) << 7
    return word & 3 | (word >> 13 & 7) << 2


def _keys(row: Row) -> list[int]:
    """The buckets of a row."""
    low, bits = (12, 0x7F) if row.length == 4 else (13, 3)
    out = []
    for n in range(8):
        if (row.match ^ n << low) & row.mask & 7 << low == 0:
            out.append(_bucket(row.match & bits | n << low))
    return out
