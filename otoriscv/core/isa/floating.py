"""What the instructions of F and D have in common, for one format (unprivileged spec, "F", "D").

Results come from the software routines (core/softfloat.py), except where a host operation is known
to give the same: when NX is already set and rounding is to nearest even, and the result is not so
small or so big that anything else could be raised; or when the result is exact, which two or three
more host operations tell (nothing is raised then, in any rounding mode that gives the same).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Final, TypeAlias

from otoriscv.core.isa_table import insn
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.softfloat import F32, F64, NX, RM, Format, smaller
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
    return m.mostly(boxed, bits & 0xFFFF_FFFF, m.const(f.nan, 64))


def write(m: Sem, f: Format, bits: Value) -> None:
    """Write fd, boxing a narrower number; the state is dirty from now on."""
    bits = bits.zext(64)
    m.set("mstatus", m.get("mstatus") | MSTATUS.FS)
    m.write_f("fd", bits | _BOX if f.width == 32 else bits)


def negated(f: Format, bits: Value) -> Value:
    return bits ^ f.sign


def arithmetic(
    m: Sem, f: Format, op: str, routine: str, args: tuple[Value, ...], software: tuple[Value, ...]
) -> None:
    """fd = host operation *op* of *args*, or *routine* of *software*: the same operation."""
    rm = rounding(m)
    parts = [a.trunc(f.width) for a in args]
    quick = m.emit(op, f.width, *parts)
    ok = _certain(m, f, rm, quick, exact=op in ("fadd", "fsub"))

    def exact() -> Value:
        return rm.eq(RM.RNE) & _EXACT[op](m, f, quick, *parts)

    result = m.usually(ok, quick.zext(64), f"{f.name}_{routine}", *software, rm, also=exact)
    write(m, f, result)


def _certain(m: Sem, f: Format, rm: Value, result: Value, *, exact: bool) -> Value:
    """Whether a result that was rounded to nearest raised nothing but NX, which is set already, and
    *rm* is that mode.

    *exact*: sums are when they are subnormal or zero. Products and quotients must be above the
    smallest normal number, which may have been rounded up from below it.
    """
    settled = ((m.get("fflags") & NX ^ NX) | rm).eq(0)
    least = 0 if exact else 2
    size, one = _size(f, result)
    return (size - least * one).ltu(settled.select((f.special - least) * one, 0, 32))


def _size(f: Format, number: Value) -> tuple[Value, int]:
    """The exponent above what of the fraction fits in 32 bits, and the exponent's unit there."""
    if f.width == 64:
        number = (number >> 32).trunc(32)
    return number << 1, 1 << 32 - f.width + f.precision


def _zero(number: Value) -> Value:
    return (number << 1).eq(0)


def _big(f: Format, number: Value) -> Value:
    """Whether *number* is so large that no error of a product that gives it, or of a quotient or
    root of it, is too small for a number of its own."""
    size, one = _size(f, number)
    return size.geu((f.precision + 3) * one)


def _exact_sum(m: Sem, f: Format, r: Value, a: Value, c: Value) -> Value:
    """Whether r = a + c (Knuth's TwoSum: the error of a sum is a number)."""
    b = m.emit("fsub", f.width, r, a)
    rest = m.emit("fsub", f.width, a, m.emit("fsub", f.width, r, b))
    error = m.emit("fadd", f.width, rest, m.emit("fsub", f.width, c, b))
    return _zero(error)


def _exact_difference(m: Sem, f: Format, r: Value, a: Value, c: Value) -> Value:
    return _exact_sum(m, f, r, a, negated(f, c))


def _exact_product(m: Sem, f: Format, r: Value, a: Value, c: Value) -> Value:
    """Whether r = a * c, for sure."""
    error = m.emit("fma", f.width, a, c, negated(f, r))
    return (_zero(error) & _big(f, r)) | (_zero(r) & (_zero(a) | _zero(c)))


def _exact_quotient(m: Sem, f: Format, r: Value, a: Value, c: Value) -> Value:
    error = m.emit("fma", f.width, negated(f, r), c, a)
    return (_zero(error) & _big(f, a) & _big(f, r)) | (_zero(r) & _zero(a))


def _exact_root(m: Sem, f: Format, r: Value, a: Value) -> Value:
    error = m.emit("fma", f.width, negated(f, r), r, a)
    return (_zero(error) & _big(f, a)) | _zero(a)


def _exact_fused(m: Sem, f: Format, r: Value, a: Value, c: Value, d: Value) -> Value:
    product = m.emit("fmul", f.width, a, c)
    same = m.emit("feq", 1, m.emit("fadd", f.width, product, d), r)
    return same & _exact_product(m, f, product, a, c) & _exact_sum(m, f, r, product, d)


#: Whether a result is exact, not a NaN and finite, so that nothing is raised; they may say no
#: though it is.
_EXACT: Final[dict[str, Callable[..., Value]]] = {
    "fadd": _exact_sum,
    "fsub": _exact_difference,
    "fmul": _exact_product,
    "fdiv": _exact_quotient,
    "fsqrt": _exact_root,
    "fma": _exact_fused,
}


def compare(m: Sem, f: Format, kind: int) -> None:
    """rd = fs1 == fs2, fs1 < fs2 or fs1 <= fs2."""
    enabled(m)
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    p, q = x.trunc(f.width), y.trunc(f.width)
    ok = ~m.emit("funo", 1, p, q)
    if kind == LE:  # not greater, when neither is a NaN
        quick = ~m.emit("flt", 1, q, p)
    else:
        quick = m.emit("feq" if kind == EQ else "flt", 1, p, q)
    m.rd = m.usually(ok, quick.zext(64), f"{f.name}_compare", x, y, kind).trunc(m.xlen)


def minmax(m: Sem, f: Format, maximum: bool) -> None:
    """fd = the smaller or the larger of fs1 and fs2."""
    enabled(m)
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    p, q = x.trunc(f.width), y.trunc(f.width)
    under = smaller(f, p, q)
    ok = ~m.emit("funo", 1, p, q)
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
    write(m, f, x ^ ((x ^ sign) & f.sign))


def classify(m: Sem, f: Format) -> None:
    """rd = a bit for what kind of number fs1 is."""
    enabled(m)
    x = read(m, "fs1", f)
    size, one = _size(f, x.trunc(f.width))
    normal = (size - one).ltu((f.special - 1) * one)
    quick = ((x & f.sign).ne(0)).select(1 << 1, 1 << 6, 64)
    m.rd = m.usually(normal, quick, f"{f.name}_class", x).trunc(m.xlen)


def to_int(m: Sem, f: Format, kind: int) -> None:
    """rd = fs1 as an integer; *kind* 0: w, 1: wu, 2: l, 3: lu."""
    rm = rounding(m)
    x = read(m, "fs1", f)
    number = x.trunc(f.width)
    quick = m.emit("ftoi", 64, number)
    size, one = _size(f, number)
    limit = (f.bias + (31, 32, 63, 63)[kind]) * one
    # not exact, but cut as asked and the flag is set
    cut = ((m.get("fflags") & NX ^ NX) | (rm ^ RM.RTZ)).eq(0)
    ok = size.ltu(cut.select(limit, 0, 32))
    positive = (x & f.sign).eq(0)
    if kind & 1:
        ok = ok & positive

    def exact() -> Value:
        same = m.emit("feq", 1, m.emit("itof", f.width, quick), number)
        fits = same & size.ltu(limit)
        return fits & positive if kind & 1 else fits

    value = m.usually(ok, quick, f"{f.name}_to_int", x, rm, kind, also=exact)
    m.rd = value.trunc(32).sext(m.xlen) if kind < 2 else value.trunc(m.xlen)


def from_int(m: Sem, f: Format, kind: int) -> None:
    """fd = rs1, an integer of *kind*."""
    rm = rounding(m)
    value = m.rs1.trunc(32) if kind < 2 else m.rs1
    wide = value.zext(64) if kind & 1 else value.sext(64)
    quick = m.emit("itof", f.width, wide)
    if kind < 2 and f.width == 64:  # always exact
        write(m, f, quick)
        return
    least = 0 if kind & 1 else 1 << f.precision
    exact = (wide + least).ltu(least + (1 << f.precision))

    def settled() -> Value:
        known = ((m.get("fflags") & NX ^ NX) | rm).eq(0)
        return known & ~wide.bit(63) if kind == 3 else known

    name = f"{f.name}_from_int"
    write(m, f, m.usually(exact, quick.zext(64), name, wide, rm, not kind & 1, also=settled))


def convert(m: Sem, f: Format, to: Format) -> None:
    """fd = fs1 in another format."""
    rm = rounding(m)
    x = read(m, "fs1", f)
    number = x.trunc(f.width)
    name = f"{f.name}_to_{to.name}"
    if to.width > f.width:  # always exact
        quick = m.emit("fwiden", to.width, number)
        ok = ~m.emit("funo", 1, number, number)
        write(m, to, m.usually(ok, quick, name, x, rm))
        return
    quick = m.emit("fnarrow", to.width, number)
    ok = _certain(m, to, rm, quick, exact=False)

    def exact() -> Value:
        return m.emit("feq", 1, m.emit("fwiden", f.width, quick), number)

    write(m, to, m.usually(ok, quick.zext(64), name, x, rm, also=exact))


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
