"""The row format: an instruction's encoding and operands, as the manual prints them.

    @insn("addi rd, rs1, imm", "imm[11:0] rs1 000 rd 0010011", "I")
    def addi(m: Sem) -> None:
        m.rd = m.rs1 + m.imm

The pattern reads from bit 31 (or 15) down. Tokens are literal bits; register fields (``rd rs1 rs2
rs3``, and ``fd fs1 fs2 fs3`` for floating point, of 5 bits, ``rd' rs1' rs2' fd' fs2'`` of 3 bits
for x8-x15); and fields ``name[hi:lo|bit...]`` that say which bits of the operand stand there.
``imm`` and ``nzimm`` are signed, all others unsigned; ``nz`` means zero does not match.
``rd!=0,2`` after the pattern excludes register numbers.

Compressed rows have no meaning of their own: they name the base instruction they stand for,
``expands="addi rd=rd rs1=sp imm=nzuimm"``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from otoriscv.core.sem import Sem

__all__ = ["ENTRY_SLOTS", "TABLE", "Field", "IsaTable", "Row", "compressed", "insn"]

Semantics = Callable[["Sem"], None]

_IMPLIED: Final = {
    **dict.fromkeys(("rd", "rs1", "rs2", "rs3", "zimm", "uimm5"), "[4:0]"),
    **dict.fromkeys(("fd", "fs1", "fs2", "fs3"), "[4:0]"),
    **dict.fromkeys(("rd'", "rs1'", "rs2'", "fd'", "fs2'", "rm"), "[2:0]"),
    **dict.fromkeys(("fm", "pred", "succ"), "[3:0]"),
    **dict.fromkeys(("aq", "rl"), "[0]"),
    "csr": "[11:0]",
}
_SIGNED: Final = frozenset(("imm", "nzimm"))
REGISTER_FIELDS: Final = ("rd", "rs1", "rs2", "rs3")
#: Floating-point register fields, and the slot of a decoded entry that each takes.
FLOAT_FIELDS: Final = {"fd": "rd", "fs1": "rs1", "fs2": "rs2", "fs3": "rs3"}
#: Operand slots of a decoded entry besides the register slots.
ENTRY_SLOTS: Final = ("imm", "aux")


class Field(NamedTuple):
    """An operand: ``pieces`` are (low bit in the word, low bit in the value, bits)."""

    name: str
    pieces: tuple[tuple[int, int, int], ...]
    signed: bool
    nonzero: bool
    register: bool
    floating: bool  # a floating-point register
    prime: bool  # a 3-bit register number: x8 + n

    @property
    def bits(self) -> int:
        """Width of the value, counted from its bit 0."""
        return max(at + n for _, at, n in self.pieces)

    @property
    def mask(self) -> int:
        """The bits of the word that it takes."""
        return sum(((1 << n) - 1) << low for low, _, n in self.pieces)

    def extract(self, word: int) -> int:
        """The operand's value in *word*."""
        value = 0
        for low, at, n in self.pieces:
            value |= (word >> low & (1 << n) - 1) << at
        if self.prime:
            return value + 8
        if self.signed and value >> (self.bits - 1):
            value -= 1 << self.bits
        return value

    def insert(self, value: int) -> int:
        """The word bits that encode *value*; ValueError when it does not fit."""
        if self.prime:
            value -= 8
        word = 0
        for low, at, n in self.pieces:
            word |= (value >> at & (1 << n) - 1) << low
        if self.extract(word) != value + 8 * self.prime:
            raise ValueError(f"{self.name} = {value + 8 * self.prime} cannot be encoded")
        return word


class Row(NamedTuple):
    """One encoding. ``mask`` and ``match`` are its fixed bits; ``fields`` its operands by name."""

    name: str
    operands: str  # assembler operands, for example "rd, imm(rs1)"
    pattern: str
    ext: str  # the extension it belongs to; "A+B" needs both
    xlens: tuple[int, ...]
    length: int  # bytes
    mask: int
    match: int
    fields: Mapping[str, Field]
    exclude: Mapping[str, tuple[int, ...]]
    within: str  # the row whose encoding space this one is carved out of
    semantics: Semantics | None
    variants: tuple[str, ...]
    expands: str = ""
    hint: bool = False
    aliases: tuple[str, ...] = ()

    @property
    def usual_rounding(self) -> int:
        """The rounding mode that assembly text leaves out: dynamic; RNE for exact conversions."""
        return 0 if self.name in _EXACT else 7

    def matches(self, word: int) -> bool:
        """Whether *word* is this instruction."""
        if word & self.mask != self.match:
            return False
        for f in self.fields.values():
            if f.nonzero and f.extract(word) == 0:
                return False
        return all(self.fields[n].extract(word) not in bad for n, bad in self.exclude.items())

    def expansion(self) -> tuple[str, dict[str, str | int]]:
        """For a compressed row: the base instruction's name and where its operands come from.

        A str names a field of this row, an int is a fixed value.
        """
        name, *parts = self.expands.split()
        sources: dict[str, str | int] = {}
        for part in parts:
            operand, _, source = part.partition("=")
            if source in self.fields:
                sources[operand] = source
            elif source in ABI_NUMBERS:
                sources[operand] = ABI_NUMBERS[source]
            else:
                sources[operand] = int(source, 0)
        return name, sources

    def slots(self) -> dict[str, str]:
        """Which decoded-entry slot holds each operand that the semantics may read."""
        out = {n: n for n in self.fields if n in REGISTER_FIELDS}
        out |= {n: slot for n, slot in FLOAT_FIELDS.items() if n in self.fields}
        rest = [n for n in self.fields if n not in out and n not in UNREAD]
        rest.sort(key=lambda n: -self.fields[n].bits)
        for name, slot in zip(rest, ENTRY_SLOTS, strict=False):
            out[name] = slot
        if len(rest) > len(ENTRY_SLOTS):
            raise ValueError(f"{self.name}: more operands than a decoded entry holds")
        return out


#: Fields that no semantics reads (one machine thread: every access is ordered).
UNREAD: Final = frozenset(("aq", "rl", "fm", "pred", "succ"))

#: Names of the rounding modes; 5 and 6 are reserved.
ROUNDING: Final = ("rne", "rtz", "rdn", "rup", "rmm", "unknown", "unknown", "dyn")
_EXACT: Final = frozenset(("fcvt.d.s", "fcvt.d.w", "fcvt.d.wu"))

ABI_NAMES: Final = (
    "zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2",
    "s0", "s1", "a0", "a1", "a2", "a3", "a4", "a5", "a6", "a7",
    "s2", "s3", "s4", "s5", "s6", "s7", "s8", "s9", "s10", "s11",
    "t3", "t4", "t5", "t6",
)  # fmt: skip
FLOAT_NAMES: Final = (
    "ft0", "ft1", "ft2", "ft3", "ft4", "ft5", "ft6", "ft7",
    "fs0", "fs1", "fa0", "fa1", "fa2", "fa3", "fa4", "fa5",
    "fa6", "fa7", "fs2", "fs3", "fs4", "fs5", "fs6", "fs7",
    "fs8", "fs9", "fs10", "fs11", "ft8", "ft9", "ft10", "ft11",
)  # fmt: skip
ABI_NUMBERS: Final = {name: n for n, name in enumerate(ABI_NAMES)}


@cache
def _pieces(spec: str, top: int) -> tuple[tuple[tuple[int, int, int], ...], int]:
    """Pieces of ``hi:lo|bit|...`` whose first bit stands at word bit *top*; and the bits used."""
    out = []
    used = 0
    for part in spec.split("|"):
        hi, _, lo = part.partition(":")
        high, low = int(hi), int(lo or hi)
        n = high - low + 1
        used += n
        out.append((top - used + 1, low, n))
    return tuple(out), used


def parse_pattern(
    pattern: str,
) -> tuple[int, int, int, dict[str, Field], dict[str, tuple[int, ...]]]:
    """(length in bytes, mask, match, fields, exclusions) of a pattern."""
    tokens = [t for t in pattern.split() if "!=" not in t]
    exclude = {}
    for t in pattern.split():
        if "!=" in t:
            name, _, numbers = t.partition("!=")
            exclude[name] = tuple(int(n) for n in numbers.split(","))
    sized: list[tuple[str, str, int]] = []
    for t in tokens:
        if set(t) <= {"0", "1"}:
            sized.append((t, "", len(t)))
            continue
        name, _, spec = t.partition("[")
        spec = spec.rstrip("]") or _IMPLIED[name].strip("[]")
        sized.append((name, spec, _pieces(spec, 0)[1]))
    total = sum(n for _, _, n in sized)
    if total not in (16, 32):
        raise ValueError(f"pattern {pattern!r} has {total} bits")
    top = total - 1
    mask = match = 0
    raw: dict[str, list[tuple[int, int, int]]] = {}
    for name, spec, n in sized:
        if not spec:
            low = top - n + 1
            mask |= ((1 << n) - 1) << low
            match |= int(name, 2) << low
        else:
            raw.setdefault(name, []).extend(_pieces(spec, top)[0])
        top -= n
    fields = {name.rstrip("'"): _field(name, tuple(pieces)) for name, pieces in raw.items()}
    return total // 8, mask, match, fields, exclude


@cache
def _field(name: str, pieces: tuple[tuple[int, int, int], ...]) -> Field:
    plain = name.rstrip("'")
    return Field(
        plain,
        pieces,
        signed=plain in _SIGNED,
        nonzero=plain.startswith("nz"),
        register=plain in REGISTER_FIELDS,
        floating=plain in FLOAT_FIELDS,
        prime=name.endswith("'"),
    )


@cache
def _whole(f: Field) -> bool:
    """Whether there is each bit of the operand, from the lowest on, and once."""
    bits = sorted(at + n for _, at, count in f.pieces for n in range(count))
    return bits == list(range(bits[0], bits[0] + len(bits)))


class IsaTable:
    """All rows; `add` refuses overlapping encodings. Importing *source* adds the first ones: when a
    row is first asked for or added."""

    def __init__(self, source: str = "") -> None:
        self._source = source
        self._given = 0  # rows from the source
        self._rows: list[Row] = []
        self._named: dict[tuple[str, int], Row] = {}  # the first of that name and XLEN
        self._alike: dict[tuple[int, int] | None, list[Row]] = {}  # see `_opcode`

    @property
    def rows(self) -> Sequence[Row]:
        """Every row, in the order in which they were added."""
        self._fill()
        return self._rows

    @property
    def added(self) -> Sequence[Row]:
        """The rows that are not from the source."""
        return () if self._source else self._rows[self._given :]

    def _fill(self) -> None:
        if self._source:  # another thread may be importing it: then this one waits
            import_module(self._source)

    def end_source(self) -> None:
        """What is added from here on is not from the source."""
        self._source, self._given = "", len(self._rows)

    def add(self, row: Row) -> None:
        """Add *row*; ValueError when its encodings overlap another row's, unless ``within`` it,
        when bits of an operand are missing, or when what it expands to is not there."""
        self._fill()
        for f in row.fields.values():
            if not _whole(f):
                raise ValueError(f"{row.name} ({row.pattern}): bits of {f.name} missing or twice")
        self._check_base(row)
        opcode = _opcode(row)
        alike = self._alike.setdefault(opcode, [])
        for other in self._rows if opcode is None else (*alike, *self._alike.get(None, ())):
            if (other.match ^ row.match) & other.mask & row.mask or other.length != row.length:
                continue
            if not set(other.xlens) & set(row.xlens):
                continue
            if row.within == other.name or other.within == row.name or _excluded(row, other):
                continue
            raise ValueError(f"{row.name} ({row.pattern}) overlaps {other.name} ({other.pattern})")
        self._rows.append(row)
        alike.append(row)
        for xlen in row.xlens:
            self._named.setdefault((row.name, xlen), row)

    def _check_base(self, row: Row) -> None:
        """A name is one base row per XLEN; a compressed row gives all its base row reads."""
        for xlen in row.xlens:
            if row.semantics is not None:
                if (row.name, xlen) in self._named:
                    raise ValueError(f"{row.name} is there already for RV{xlen}")
                continue
            name, sources = row.expansion()
            missing = set(self.named(name, xlen).fields) - set(sources) - UNREAD
            if missing:
                raise ValueError(f"{row.name}: {name}'s {missing.pop()} is not given")

    def select(self, xlen: int, extensions: Iterable[str]) -> list[Row]:
        """The rows of an ISA, the more specific before those they are carved out of."""
        on = set(extensions)
        rows = [r for r in self.rows if xlen in r.xlens and has_ext(r.ext, on)]
        return sorted(rows, key=lambda r: -r.mask.bit_count())

    def named(self, name: str, xlen: int) -> Row:
        """The 4-byte row *name* for an XLEN; KeyError when there is none."""
        self._fill()
        row = self._named.get((name, xlen))
        if row is None:
            raise KeyError(f"no instruction {name} for RV{xlen}")
        return row


def has_ext(ext: str, on: set[str]) -> bool:
    """Whether the extensions *on* provide *ext*: ``A+B`` needs both, ``A|B`` either."""
    return any(all(e in on for e in alt.split("+")) for alt in ext.split("|"))


def _opcode(row: Row) -> tuple[int, int] | None:
    """Its length and opcode: rows that differ there do not overlap. None: not all is fixed."""
    bits = 0x7F if row.length == 4 else 0xE003
    return (row.length, row.match & bits) if row.mask & bits == bits else None


def _excluded(a: Row, b: Row) -> bool:
    """Whether exclusions or non-zero fields keep two rows apart."""
    for one, other in ((a, b), (b, a)):
        for name, bad in one.exclude.items():
            f = one.fields[name]
            if other.mask & f.mask == f.mask and f.extract(other.match) in bad:
                return True
        for f in one.fields.values():
            if f.nonzero and other.mask & f.mask == f.mask and f.extract(other.match) == 0:
                return True
    return False


#: Every instruction known: those of core.isa, and what other packages add.
TABLE: Final = IsaTable("otoriscv.core.isa")


def insn(
    asm: str,
    pattern: str,
    ext: str,
    *,
    xlen: int | None = None,
    within: str = "",
    variants: tuple[str, ...] = (),
    hint: bool = False,
    table: IsaTable = TABLE,
) -> Callable[[Semantics], Semantics]:
    """Register an encoding of the decorated semantics. Stack several for several encodings.

    ``variants`` declares what differs at decode time: names known to core/decode.py
    (for example ``near``: the jump's target lies in the instruction's own page).
    """
    name, _, operands = asm.partition(" ")
    length, mask, match, fields, exclude = parse_pattern(pattern)

    def register(semantics: Semantics) -> Semantics:
        xlens = (32, 64) if xlen is None else (xlen,)
        table.add(
            Row(
                name, operands, pattern, ext, xlens, length, mask, match, fields, exclude, within,
                semantics, variants, hint=hint,
            )
        )  # fmt: skip
        return semantics

    return register


def compressed(
    asm: str,
    pattern: str,
    expands: str,
    ext: str = "C|Zca",
    *,
    xlen: int | None = None,
    within: str = "",
    hint: bool = False,
    table: IsaTable = TABLE,
) -> None:
    """Register a 16-bit encoding of a base instruction."""
    name, _, operands = asm.partition(" ")
    length, mask, match, fields, exclude = parse_pattern(pattern)
    xlens = (32, 64) if xlen is None else (xlen,)
    table.add(
        Row(
            name, operands, pattern, ext, xlens, length, mask, match, fields, exclude, within,
            None, (), expands, hint,
        )
    )  # fmt: skip
