"""Floating point in integer micro-ops: the reference for every engine (IEEE 754, RISC-V F and D).

Routines ``f32_add``, ``f64_add`` and so on take bit patterns, zero-extended to 64 bits, and a
rounding mode 0 to 4 (RNE RTZ RDN RUP RMM), and give one. They or what they raise into ``fflags``.
Results that are NaN are the canonical one; tininess is detected after rounding.

A finite operand is unpacked to sign, exponent and a significand with its leading one at bit 63:
the value is ``sig * 2**(exp - bias - 63)``; zero is sig 0 with an exponent below any other.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.routine import ROUTINES, Routine
from otoriscv.core.uop import Builder, Value

__all__ = ["DZ", "F32", "F64", "NV", "NX", "OF", "RM", "UF", "Format", "equal", "is_nan", "less"]

NX: Final = 1
UF: Final = 2
OF: Final = 4
DZ: Final = 8
NV: Final = 16
_TOP: Final = 1 << 63
#: An exponent below every other, so that a zero never outweighs a number.
_NOTHING: Final = -0x4000


class RM:
    """The rounding modes."""

    RNE: Final = 0
    RTZ: Final = 1
    RDN: Final = 2
    RUP: Final = 3
    RMM: Final = 4


class Format(NamedTuple):
    """A binary interchange format; *precision* counts the leading one.

    *letter* and *code* stand for it in mnemonics and in encodings, *extension* computes with it.
    """

    name: str
    width: int
    precision: int
    letter: str
    code: str
    extension: str

    @property
    def bias(self) -> int:
        return (1 << self.width - self.precision - 1) - 1

    @property
    def special(self) -> int:
        """The exponent field of infinities and NaNs."""
        return (1 << self.width - self.precision) - 1

    @property
    def fraction(self) -> int:
        """The mask of the fraction field."""
        return (1 << self.precision - 1) - 1

    @property
    def infinity(self) -> int:
        return self.special << self.precision - 1

    @property
    def quiet(self) -> int:
        """The fraction's first bit: set in quiet NaNs."""
        return 1 << self.precision - 2

    @property
    def nan(self) -> int:
        """The canonical NaN."""
        return self.infinity | self.quiet

    @property
    def sign(self) -> int:
        return 1 << self.width - 1

    @property
    def extra(self) -> int:
        """Bits of an unpacked significand below the format's last one."""
        return 64 - self.precision


F32: Final = Format("f32", 32, 24, "s", "00", "F")
F64: Final = Format("f64", 64, 53, "d", "01", "D")


# -- parts


class _Number:
    """An unpacked operand."""

    def __init__(self, b: Builder, f: Format, bits: Value) -> None:
        self.bits = bits
        self.sign = (bits >> f.width - 1) & 1
        field = (bits >> f.precision - 1) & f.special
        fraction = bits & f.fraction
        self.special = field.eq(f.special)
        self.nan = self.special & fraction.ne(0)
        self.infinite = self.special & fraction.eq(0)
        self.signaling = self.nan & (bits & f.quiet).eq(0)
        high = fraction << f.extra
        n = high.clz()
        normal = field.ne(0)
        self.sig = normal.select(high | _TOP, high << n)
        self.exp = normal.select(field, b.const(1, 64) - n)
        self.zero = self.sig.eq(0)


def _raise(b: Builder, flags: Value) -> None:
    """Add to fflags; that makes the floating-point state dirty."""
    with b.if_(flags.ne(0)):
        b.set("fflags", b.get("fflags") | flags)
        b.set("mstatus", b.get("mstatus") | MSTATUS.FS)


def _flag(cond: Value, flag: int) -> Value:
    return cond.select(flag, 0, 64)


def _shift_jam(b: Builder, sig: Value, n: Value) -> Value:
    """sig >> n, for any n; what falls out stays visible in the last bit."""
    lost = sig & ((b.const(1, 64) << n) - 1)
    near = (sig >> n) | lost.ne(0).zext(64)
    return n.ltu(64).select(near, sig.ne(0).zext(64))


def _round(b: Builder, f: Format, sign: Value, exp: Value, sig: Value, rm: Value) -> None:
    """Round and pack a non-zero number; raises NX, UF, OF."""
    half, ones = 1 << f.extra - 1, (1 << f.extra) - 1
    away = (rm.eq(RM.RUP) & sign.eq(0)) | (rm.eq(RM.RDN) & sign.ne(0))
    nearest = rm.eq(RM.RNE) | rm.eq(RM.RMM)
    add = nearest.select(b.const(half, 64), away.select(ones, 0, 64))
    low = exp.lts(1)
    tiny = low & ~(exp.eq(0) & (sig + add).ltu(sig))
    sig = low.select(_shift_jam(b, sig, b.const(1, 64) - exp), sig)
    rest = sig & ones
    total = sig + add
    carry = _flag(total.ltu(sig), 1 << f.precision)
    tie = rm.eq(RM.RNE) & rest.eq(half)
    kept = ((total >> f.extra) | carry) & ~tie.zext(64)
    # the leading one adds itself to the exponent, and so does a carry out of the significand
    bits = (low.select(b.const(0, 64), exp - 1) << f.precision - 1) + kept
    over = bits.geu(f.infinity)
    inexact = rest.ne(0)
    _raise(b, _flag(inexact, NX) | _flag(inexact & tiny, UF) | _flag(over, OF | NX))
    largest = add.ne(0).select(f.infinity, f.infinity - 1, 64)
    b.ret((sign << f.width - 1) | over.select(largest, bits))


def _result(b: Builder, f: Format, sign: Value, exp: Value, sig: Value, rm: Value) -> None:
    b.ret(b.call(f"{f.name}_round", sign, exp, sig, rm))


def _normalised(b: Builder, f: Format, sign: Value, exp: Value, sig: Value, rm: Value) -> None:
    """The result of any non-zero *sig*."""
    n = sig.clz()
    _result(b, f, sign, exp - n, sig << n, rm)


# -- arithmetic


def _add(b: Builder, f: Format, a: Value, c: Value, rm: Value) -> None:
    x, y = _Number(b, f, a), _Number(b, f, c)
    same = x.sign.eq(y.sign)
    with b.if_(x.special | y.special):
        against = x.infinite & y.infinite & ~same
        _raise(b, _flag(x.signaling | y.signaling | against, NV))
        bad = x.nan | y.nan | against
        b.ret(bad.select(b.const(f.nan, 64), x.infinite.select(a, c)))
    swap = x.exp.lts(y.exp) | (x.exp.eq(y.exp) & x.sig.ltu(y.sig))
    sign, exp = swap.select(y.sign, x.sign), swap.select(y.exp, x.exp)
    near = swap.select(y.sig, x.sig) >> 1
    far = swap.select(x.sig, y.sig) >> 1
    far = _shift_jam(b, far, exp - swap.select(x.exp, y.exp))
    sig = same.select(near + far, near - far)
    with b.if_(sig.eq(0)):
        zero = same.select(x.sign, rm.eq(RM.RDN).zext(64))
        b.ret(zero << f.width - 1)
    _normalised(b, f, sign, exp + 1, sig, rm)


def _mul(b: Builder, f: Format, a: Value, c: Value, rm: Value) -> None:
    x, y = _Number(b, f, a), _Number(b, f, c)
    sign = x.sign ^ y.sign
    with b.if_(x.special | y.special):
        bad = (x.infinite & y.zero) | (x.zero & y.infinite)
        _raise(b, _flag(x.signaling | y.signaling | bad, NV))
        infinity = (sign << f.width - 1) | f.infinity
        b.ret((x.nan | y.nan | bad).select(b.const(f.nan, 64), infinity))
    with b.if_(x.zero | y.zero):
        b.ret(sign << f.width - 1)
    sig = x.sig.mulhu(y.sig) | (x.sig * y.sig).ne(0).zext(64)
    _normalised(b, f, sign, x.exp + y.exp - (f.bias - 1), sig, rm)


def _wide_shift_jam(b: Builder, high: Value, low: Value, n: Value) -> tuple[Value, Value]:
    """The 128 bits high:low >> n; what falls out stays visible in the last bit."""
    by = n & 63
    part = n.ltu(64)
    over = by.eq(0).select(b.const(0, 64), high << (b.const(64, 64) - by))
    below = (low & ((b.const(1, 64) << by) - 1)).ne(0)
    near_low = (low >> by) | over | below.zext(64)
    far_low = (high >> by) | ((high & ((b.const(1, 64) << by) - 1)) | low).ne(0).zext(64)
    gone = (high | low).ne(0).zext(64)
    out_low = part.select(near_low, n.ltu(128).select(far_low, gone))
    return part.select(high >> by, 0), out_low


def _fma(b: Builder, f: Format, a: Value, c: Value, d: Value, rm: Value) -> None:
    """a * c + d with one rounding."""
    x, y, z = _Number(b, f, a), _Number(b, f, c), _Number(b, f, d)
    psign = x.sign ^ y.sign
    same = psign.eq(z.sign)
    with b.if_(x.special | y.special | z.special):
        undefined = (x.infinite & y.zero) | (x.zero & y.infinite)
        product = x.infinite | y.infinite
        against = product & z.infinite & ~same
        nan = x.nan | y.nan | z.nan
        _raise(b, _flag(x.signaling | y.signaling | z.signaling | undefined | (against & ~nan), NV))
        infinity = (psign << f.width - 1) | f.infinity
        value = product.select(infinity, d)
        b.ret((nan | undefined | against).select(b.const(f.nan, 64), value))
    zero = x.zero | y.zero
    high, low = x.sig.mulhu(y.sig), x.sig * y.sig
    short = ~high.bit(63)
    p_high = short.select((high << 1) | (low >> 63), high)
    p_low = short.select(low << 1, low)
    p_exp = x.exp + y.exp - (f.bias - 1) - short.zext(64)
    p_exp = zero.select(_NOTHING, p_exp)
    z_exp = z.zero.select(_NOTHING, z.exp)
    swap = p_exp.lts(z_exp) | (p_exp.eq(z_exp) & p_high.ltu(z.sig))
    sign, exp = swap.select(z.sign, psign), swap.select(z_exp, p_exp)
    none = b.const(0, 64)
    near_high, near_low = swap.select(z.sig, p_high), swap.select(none, p_low)
    far_high, far_low = swap.select(p_high, z.sig), swap.select(p_low, none)
    # room for a carry; the last bits are zero
    near_low, near_high = (near_low >> 1) | (near_high << 63), near_high >> 1
    far_low, far_high = (far_low >> 1) | (far_high << 63), far_high >> 1
    far_high, far_low = _wide_shift_jam(b, far_high, far_low, exp - swap.select(p_exp, z_exp))
    sum_low, less_low = near_low + far_low, near_low - far_low
    sum_high = near_high + far_high + sum_low.ltu(near_low).zext(64)
    less_high = near_high - far_high - near_low.ltu(far_low).zext(64)
    r_high, r_low = same.select(sum_high, less_high), same.select(sum_low, less_low)
    with b.if_((r_high | r_low).eq(0)):
        of_zero = same.select(psign, rm.eq(RM.RDN).zext(64))
        b.ret(of_zero << f.width - 1)
    with b.if_(r_high.eq(0)):
        _normalised(b, f, sign, exp - 63, r_low, rm)
    n = r_high.clz()
    rest = n.eq(0).select(none, r_low >> (b.const(64, 64) - n))
    sticky = (r_low << n).ne(0).zext(64)
    _result(b, f, sign, exp + 1 - n, (r_high << n) | rest | sticky, rm)


def _div(b: Builder, f: Format, a: Value, c: Value, rm: Value) -> None:
    x, y = _Number(b, f, a), _Number(b, f, c)
    sign = x.sign ^ y.sign
    infinity = (sign << f.width - 1) | f.infinity
    with b.if_(x.special | y.special):
        bad = x.infinite & y.infinite
        _raise(b, _flag(x.signaling | y.signaling | bad, NV))
        value = x.infinite.select(infinity, sign << f.width - 1)
        b.ret((x.nan | y.nan | bad).select(b.const(f.nan, 64), value))
    with b.if_(y.zero):
        _raise(b, x.zero.select(NV, DZ, 64))
        b.ret(x.zero.select(b.const(f.nan, 64), infinity))
    with b.if_(x.zero):
        b.ret(sign << f.width - 1)
    # long division, as many bits at a time as a remainder leaves room for
    top, divisor = x.sig >> f.extra, y.sig >> f.extra
    first = top.geu(divisor).zext(64)
    quotient, rest = first, top - first * divisor
    bits = 0
    while bits < f.precision + 2:
        wide = rest << f.extra
        digit = wide.divu(divisor)
        quotient, rest = (quotient << f.extra) | digit, wide - digit * divisor
        bits += f.extra
    n = quotient.clz()
    sig = (quotient << n) | rest.ne(0).zext(64)
    _result(b, f, sign, x.exp - y.exp + (f.bias + 63 - bits) - n, sig, rm)


def _sqrt(b: Builder, f: Format, a: Value, rm: Value) -> None:
    x = _Number(b, f, a)
    negative = x.sign.ne(0)
    with b.if_(x.nan | (negative & ~x.zero)):
        _raise(b, _flag(x.signaling | ~x.nan, NV))
        b.ret(f.nan)
    with b.if_(x.zero | x.infinite):
        b.ret(a)
    exp = x.exp - f.bias
    odd = exp & 1
    # one bit of the root from two bits of the radicand, 1 <= radicand < 4
    left, rest, root = b.var(odd.ne(0).select(x.sig, x.sig >> 1)), b.var(0), b.var(0)
    digits = f.precision + 2
    with b.repeat(digits):
        part = (rest.value << 2) | (left.value >> 62)
        trial = (root.value << 2) | 1
        fits = part.geu(trial)
        left.value = left.value << 2
        root.value = (root.value << 1) | fits.zext(64)
        rest.value = fits.select(part - trial, part)
    sig = (root.value << 64 - digits) | rest.value.ne(0).zext(64)
    _result(b, f, b.const(0, 64), (exp - odd).sar(1) + f.bias, sig, rm)


# -- comparisons


def is_nan(f: Format, a: Value) -> Value:
    """Whether *a*, of the format's width, is a NaN."""
    return (a.builder.const(f.infinity << 1, f.width)).ltu(a << 1)


def _key(f: Format, a: Value) -> Value:
    """Ordered as two's complement as the numbers are; -0 is just below +0."""
    return a ^ (a.sar(f.width - 1) >> 1)


def equal(f: Format, a: Value, c: Value) -> Value:
    """a = c, neither a NaN."""
    return a.eq(c) | ((a | c) << 1).eq(0)


def less(f: Format, a: Value, c: Value) -> Value:
    """a < c, neither a NaN."""
    return _key(f, a).lts(_key(f, c)) & ((a | c) << 1).ne(0)


def _compare(b: Builder, f: Format, a: Value, c: Value, kind: Value) -> None:
    """*kind* 0: feq (quiet), 1: flt, 2: fle."""
    x, y = _Number(b, f, a), _Number(b, f, c)
    with b.if_(x.nan | y.nan):
        _raise(b, _flag(x.signaling | y.signaling | kind.ne(0), NV))
        b.ret(0)
    p, q = a.trunc(f.width), c.trunc(f.width)
    same, under = equal(f, p, q), less(f, p, q)
    b.ret((same & kind.ne(1)) | (under & kind.ne(0)))


def smaller(f: Format, a: Value, c: Value) -> Value:
    """a < c with -0 < +0, neither a NaN."""
    return _key(f, a).lts(_key(f, c))


def _minmax(b: Builder, f: Format, a: Value, c: Value, maximum: Value) -> None:
    """The IEEE 754-2019 minimumNumber, or maximumNumber when *maximum* is 1."""
    x, y = _Number(b, f, a), _Number(b, f, c)
    _raise(b, _flag(x.signaling | y.signaling, NV))
    first = smaller(f, a.trunc(f.width), c.trunc(f.width)) ^ maximum.ne(0)
    one = x.nan.select(c, y.nan.select(a, first.select(a, c)))
    b.ret((x.nan & y.nan).select(b.const(f.nan, 64), one))


def _class(b: Builder, f: Format, a: Value) -> None:
    """fclass: one bit of ten (unprivileged spec, table 'Format of result of FCLASS')."""
    x = _Number(b, f, a)
    normal = ((a >> f.precision - 1) & f.special).ne(0)
    size = x.infinite.select(b.const(0, 64), normal.select(b.const(1, 64), x.zero.select(3, 2, 64)))
    place = x.sign.ne(0).select(size, b.const(7, 64) - size)
    place = x.nan.select(x.signaling.select(8, 9, 64), place)
    b.ret(b.const(1, 64) << place)


# -- conversions


def _to_int(b: Builder, f: Format, a: Value, rm: Value, kind: Value) -> None:
    """*kind* 0: w, 1: wu, 2: l, 3: lu. Saturates with NV."""
    x = _Number(b, f, a)
    negative, unsigned = x.sign.ne(0), (kind & 1).ne(0)
    e = x.exp - f.bias  # the value is sig * 2**(e - 63)
    none = b.const(0, 64)
    inside = (e + 1).ltu(65)
    by = b.const(63, 64) - e
    whole = inside & ~e.eq(-1)
    value = whole.select(x.sig >> by, none)
    tail = e.eq(63).select(none, e.eq(-1).select(x.sig, x.sig << (e + 1)))
    tail = inside.select(tail, x.zero.select(0, 1, 64))
    half = b.const(_TOP, 64)
    nearest = tail.geu(half) & (rm.eq(RM.RMM) | (rm.eq(RM.RNE) & (tail.ne(half) | value.bit(0))))
    away = (rm.eq(RM.RUP) & ~negative) | (rm.eq(RM.RDN) & negative)
    up = nearest | (away & tail.ne(0))
    value = value + up.zext(64)
    bits = kind.ltu(2).select(32, 64, 64)
    below = ~none >> (b.const(64, 64) - bits)  # all ones of the width
    most = unsigned.select(below, below >> 1)
    least = unsigned.select(none, (below >> 1) + 1)  # the most negative one's magnitude
    big = (~e.lts(64) & ~x.zero) | x.special
    over = big | negative.select(least, most).ltu(value)
    with b.if_(over):
        _raise(b, b.const(NV, 64))
        b.ret((negative & ~x.nan).select(none - least, most))
    _raise(b, _flag(tail.ne(0), NX))
    b.ret(negative.select(none - value, value))


def _from_int(b: Builder, f: Format, value: Value, rm: Value, signed: Value) -> None:
    """*value* is extended to 64 bits as it is *signed* or not."""
    with b.if_(value.eq(0)):
        b.ret(0)
    negative = signed.ne(0) & value.bit(63)
    size = negative.select(b.const(0, 64) - value, value)
    _normalised(b, f, negative.zext(64), b.const(f.bias + 63, 64), size, rm)


def _convert(b: Builder, f: Format, to: Format, a: Value, rm: Value) -> None:
    """From format *f* to *to*."""
    x = _Number(b, f, a)
    sign = x.sign << to.width - 1
    with b.if_(x.special):
        _raise(b, _flag(x.signaling, NV))
        b.ret(x.nan.select(b.const(to.nan, 64), sign | to.infinity))
    with b.if_(x.zero):
        b.ret(sign)
    _result(b, to, x.sign, x.exp + (to.bias - f.bias), x.sig, rm)


# -- the routines


def _register(name: str, params: int, write: Callable[..., None], *formats: Format) -> None:
    def emit(b: Builder, *args: Value) -> None:
        write(b, *formats, *args)

    ROUTINES[name] = Routine(name, params, emit)


for _f, _other in ((F32, F64), (F64, F32)):
    _register(f"{_f.name}_round", 4, _round, _f)
    _register(f"{_f.name}_add", 3, _add, _f)
    _register(f"{_f.name}_mul", 3, _mul, _f)
    _register(f"{_f.name}_fma", 4, _fma, _f)
    _register(f"{_f.name}_div", 3, _div, _f)
    _register(f"{_f.name}_sqrt", 2, _sqrt, _f)
    _register(f"{_f.name}_compare", 3, _compare, _f)
    _register(f"{_f.name}_minmax", 3, _minmax, _f)
    _register(f"{_f.name}_class", 1, _class, _f)
    _register(f"{_f.name}_to_int", 3, _to_int, _f)
    _register(f"{_f.name}_from_int", 3, _from_int, _f)
    _register(f"{_f.name}_to_{_other.name}", 2, _convert, _f, _other)
