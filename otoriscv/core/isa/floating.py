"""What the instructions of F and D have in common, for one format (unprivileged spec, "F", "D").

Results come from the software routines (core/softfloat.py), except where a host operation is known
to give the same: when NX is already set and rounding is to nearest even, and the result is not so
small or so big that anything else could be raised.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, TypeAlias

from otoriscv.core.isa.sem import CAUSE, Sem
from otoriscv.core.isa.table import insn
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.softfloat import F32, F64, NV, NX, RM, Format, equal, is_nan, less, smaller
from otoriscv.core.uop import Value

__all__ = [
    "DYN", "EQ", "LE", "LT", "arithmetic", "between", "classify", "compare", "convert", "enabled",
    "formats", "from_int", "inject", "load", "minmax", "negated", "read", "rounding", "store",
    "to_int", "write",
]  # fmt: skip

#: The variants of a row with a rounding mode.
DYN: Final = ("dyn",)
EQ, LT, LE = range(3)
_BOX: Final = 0xFFFF_FFFF << 32


#: What an operation means for one format.
Meaning: TypeAlias = Callable[[Sem, Format], None]


def formats(
    asm: str, pattern: str, *, xlen: int | None = None, variants: tuple[str, ...] = ()
) -> Callable[[Meaning], Meaning]:
    """Register the decorated operation for every format: as `insn`, with ``{f}`` in *asm* for the
    format's letter and ``fmt`` in *pattern* for its code.
    """

    def register(meaning: Meaning) -> Meaning:
        for f in (F32, F64):

            @insn(
                asm.format(f=f.letter), pattern.replace("fmt", f.code), f.extension,
                xlen=xlen, variants=variants,
            )  # fmt: skip
            @wraps(meaning)
            def semantics(m: Sem, f: Format = f) -> None:
                meaning(m, f)

        return meaning

    return register


def enabled(m: Sem) -> None:
    """Illegal while mstatus.FS is off."""
    m.trap_if((m.get("mstatus") & MSTATUS.FS).eq(0), CAUSE.ILLEGAL, m.bits)


def rounding(m: Sem) -> Value:
    """The rounding mode, 64 bits; a reserved one in frm is illegal."""
    enabled(m)
    if "dyn" not in m.variant:
        return m.operand("rm").zext(64)
    rm = m.get("frm")
    m.trap_if(rm.geu(RM.RMM + 1), CAUSE.ILLEGAL, m.bits)
    return rm


def read(m: Sem, name: str, f: Format) -> Value:
    """A number's bits, zero-extended to 64; what is not boxed properly is the canonical NaN."""
    bits = m.read_f(name)
    if f.width == 64:
        return bits
    boxed = (bits >> 32).eq(_BOX >> 32)
    return boxed.select(bits & 0xFFFF_FFFF, f.nan)


def write(m: Sem, f: Format, bits: Value) -> None:
    """Write fd, boxing a narrower number; the state is dirty from now on."""
    bits = bits.zext(64)
    m.write_f("fd", bits | _BOX if f.width == 32 else bits)
    m.set("mstatus", m.get("mstatus") | MSTATUS.FS)


def negated(f: Format, bits: Value) -> Value:
    return bits ^ f.sign


def arithmetic(
    m: Sem, f: Format, op: str, routine: str, args: tuple[Value, ...], software: tuple[Value, ...]
) -> None:
    """fd = host operation *op* of *args*, or *routine* of *software*: the same operation."""
    rm = rounding(m)
    quick = m.emit(op, f.width, *[a.trunc(f.width) for a in args])
    settled = ((m.get("fflags") & NX ^ NX) | rm).eq(0)
    ok = settled & _certain(f, op, quick)
    write(m, f, m.usually(ok, quick.zext(64), f"{f.name}_{routine}", *software, rm))


def _certain(f: Format, op: str, result: Value) -> Value:
    """Whether a rounded result raised nothing but NX.

    Sums are exact when they are subnormal or zero. Products and quotients must be above the
    smallest normal number, which may have been rounded up from below it.
    """
    b, shift = result.builder, f.precision
    doubled = result << 1
    if op in ("fadd", "fsub"):
        return doubled.ltu(f.special << shift)
    least = 2 << shift
    return (doubled - least).ltu(b.const((f.special << shift) - least, f.width))


def compare(m: Sem, f: Format, kind: int) -> None:
    """rd = fs1 == fs2, fs1 < fs2 or fs1 <= fs2."""
    enabled(m)
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    p, q = x.trunc(f.width), y.trunc(f.width)
    same = equal(f, p, q)
    quick = (same, less(f, p, q), less(f, p, q) | same)[kind]
    ok = ~(is_nan(f, p) | is_nan(f, q))
    m.rd = m.usually(ok, quick.zext(64), f"{f.name}_compare", x, y, kind).trunc(m.xlen)


def minmax(m: Sem, f: Format, maximum: bool) -> None:
    """fd = the smaller or the larger of fs1 and fs2."""
    enabled(m)
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    p, q = x.trunc(f.width), y.trunc(f.width)
    under = smaller(f, p, q)
    ok = ~(is_nan(f, p) | is_nan(f, q))
    quick = under.select(y, x) if maximum else under.select(x, y)
    write(m, f, m.usually(ok, quick, f"{f.name}_minmax", x, y, maximum))


def inject(m: Sem, f: Format, how: str) -> None:
    """fd = fs1 with fs2's sign, its opposite, or the two signs' exclusive or."""
    enabled(m)
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    if how == "xor":
        write(m, f, x ^ (y & f.sign))
        return
    sign = y if how == "copy" else negated(f, y)
    write(m, f, (x & ~f.sign) | (sign & f.sign))


def classify(m: Sem, f: Format) -> None:
    enabled(m)
    m.rd = m.call(f"{f.name}_class", read(m, "fs1", f)).trunc(m.xlen)


def to_int(m: Sem, f: Format, kind: int) -> None:
    """rd = fs1 as an integer; *kind* 0: w, 1: wu, 2: l, 3: lu."""
    rm = rounding(m)
    value = m.call(f"{f.name}_to_int", read(m, "fs1", f), rm, kind)
    m.rd = value.trunc(32).sext(m.xlen) if kind < 2 else value.trunc(m.xlen)


def from_int(m: Sem, f: Format, kind: int) -> None:
    """fd = rs1, an integer of *kind*."""
    rm = rounding(m)
    value = m.rs1.trunc(32) if kind < 2 else m.rs1
    wide = value.zext(64) if kind & 1 else value.sext(64)
    write(m, f, m.call(f"{f.name}_from_int", wide, rm, not kind & 1))


def convert(m: Sem, f: Format, to: Format) -> None:
    """fd = fs1 in another format."""
    rm = rounding(m)
    write(m, to, m.call(f"{f.name}_to_{to.name}", read(m, "fs1", f), rm))


def between(m: Sem, f: Format, *, to_x: bool) -> None:
    """Move a bit pattern between register files."""
    enabled(m)
    if to_x:
        m.rd = m.read_f("fs1").trunc(f.width).sext(m.xlen)
    else:
        write(m, f, m.rs1.trunc(f.width))


def load(m: Sem, f: Format) -> None:
    enabled(m)
    write(m, f, m.load(m.rs1 + m.imm, f.width))


def store(m: Sem, f: Format) -> None:
    enabled(m)
    m.store(m.rs1 + m.imm, m.read_f("fs2").trunc(f.width))


assert NV == 16
