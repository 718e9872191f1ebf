"""Operands for floating point, most of them where something happens: ties, cancellation, overflow,
results that are subnormal or just not, exact results, boxes that are none.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable, Iterator
from typing import Final

from otoriscv.core.softfloat import F64, Format
from tests.float_table import BOX, Operation, Row

__all__ = ["Cases", "Multiply"]

#: A product's bits, rounded to nearest, of a format's two numbers.
Multiply = Callable[[Format, int, int], int]
_NX: Final = 1
_EVERY_FLAG: Final = 31


def _row(args: list[int], frm: int, fflags: int) -> Row:
    first, second, third = (*args, 0, 0)[:3]
    return Row((first, second, third), frm, fflags)


class Cases:
    """Rows for operations on *f*; the same *seed* makes the same ones."""

    def __init__(self, f: Format, multiply: Multiply, seed: int) -> None:
        self._f = f
        self._multiply = multiply
        self._rng = random.Random(seed)

    # -- rows

    def directed(self, op: Operation) -> Iterator[Row]:
        """Every tuple of special values, in every rounding mode, with NX clear and set."""
        values = [self._box(v) for v in self._specials(few="fff" in op.sources)]
        if op.sources == "x":
            values = self._integers()
        for args in itertools.product(values, repeat=len(op.sources)):
            for frm, fflags in itertools.product(range(5), (0, _NX)):
                yield _row(list(args), frm, fflags)

    def drawn(self, op: Operation, count: int) -> Iterator[Row]:
        """*count* random rows. More than a third round to nearest with NX set: that is when the
        host's operations may do."""
        rng = self._rng
        draw = self._drawing(op)
        for n in range(count):
            args = draw()
            if op.sources != "x":
                args = [self._box(a) for a in args]
                if self._f.width == 32 and n % 32 == 0:
                    args[rng.randrange(len(op.sources))] ^= 1 << rng.randrange(32, 64)
            frm = rng.randrange(5) if n & 1 else 0
            fflags = rng.choice((0, _NX, _NX, rng.randrange(_EVERY_FLAG + 1)))
            yield _row(args, frm, fflags)

    def _drawing(self, op: Operation) -> Callable[[], list[int]]:
        verb, *kinds = op.name.split(".")
        if op.sources == "x":
            return lambda: [self._integer()]
        if op.sources == "fff":
            return self._triple
        if verb == "fsqrt":
            return lambda: [self._radicand()]
        if verb == "fcvt" and op.result == "x":
            return lambda: [self._near_integer()]
        if kinds == ["s", "d"]:
            return lambda: [self._near_single()]
        if verb in ("fmul", "fdiv"):
            return self._factors if verb == "fmul" else self._quotient
        return self._terms if op.sources == "ff" else lambda: [self._any()]

    # -- numbers

    def _box(self, bits: int) -> int:
        return bits | BOX if self._f.width == 32 else bits

    def _specials(self, *, few: bool) -> list[int]:
        f = self._f
        one = f.bias << f.precision - 1
        values = [0, 1, f.fraction + 1, one, f.infinity - 1, f.infinity, f.nan, f.infinity | 1]
        if not few:
            values += [f.fraction, f.fraction + 2, one - 1, one + 1, one + f.quiet, f.nan | 5,
                       one + (31 << f.precision - 1), one + (63 << f.precision - 1)]  # fmt: skip
        return [v | s for v in values for s in (0, f.sign)]

    def _integers(self) -> list[int]:
        powers = [1 << n for n in (0, 1, 23, 24, 25, 31, 32, 52, 53, 54, 62, 63)]
        near = {p + d for p in powers for d in (-1, 0, 1)}
        return sorted({n & (1 << 64) - 1 for p in near for n in (p, -p)})

    def _sign(self) -> int:
        return self._f.sign if self._rng.getrandbits(1) else 0

    def _fraction(self) -> int:
        f, rng = self._f, self._rng
        bits = rng.getrandbits(f.precision - 1)
        kind = rng.randrange(8)
        if kind < 3:  # short
            return bits & -1 << rng.randrange(f.precision) & f.fraction
        if kind == 3:
            return rng.choice((0, f.fraction, f.quiet, 1, f.fraction - 1))
        if kind == 4:  # a run of ones
            return f.fraction >> rng.randrange(f.precision)
        return bits

    def _field(self) -> int:
        f, rng = self._f, self._rng
        kind = rng.randrange(8)
        if kind < 2:
            return f.bias + rng.randrange(-f.precision - 2, f.precision + 3)
        if kind == 2:
            return rng.choice((0, 0, 1, 2, 3))
        if kind == 3:
            return f.special - rng.choice((0, 1, 1, 2, 3))
        return rng.randrange(f.special + 1)

    def _at(self, field: int) -> int:
        """A number with this exponent field, or the nearest that a finite one has."""
        f = self._f
        field = min(max(field, 0), f.special - 1)
        return self._sign() | field << f.precision - 1 | self._fraction()

    def _any(self) -> int:
        return self._sign() | self._field() << self._f.precision - 1 | self._fraction()

    def _exponent(self, number: int) -> int:
        return number >> self._f.precision - 1 & self._f.special

    def _power(self, field: int) -> int:
        """A power of two; subnormal when the field is not positive, so far as there are such."""
        f = self._f
        if field > 0:
            return min(field, f.special - 1) << f.precision - 1
        return 1 << max(f.precision - 2 + field, 0)

    def _exact(self, significand: int, exponent: int) -> int:
        """significand * 2**exponent, cut where the format ends."""
        f = self._f
        if not significand:
            return self._sign()
        shift = significand.bit_length() - f.precision
        significand = significand >> shift if shift > 0 else significand << -shift
        field = exponent + shift + f.bias + f.precision - 1
        if field < 1:
            return self._sign() | significand >> 1 - field
        field = min(field, f.special - 1)
        return self._sign() | field << f.precision - 1 | significand & f.fraction

    def _target(self) -> int:
        """An exponent's field for a result: at the ends as often as anywhere."""
        f, rng = self._f, self._rng
        kind = rng.randrange(4)
        if kind == 0:
            return f.special + rng.randrange(-3, 2)
        if kind == 1:
            return rng.randrange(-f.precision - 2, 3)
        return rng.randrange(1, f.special) if kind == 2 else self._field()

    # -- operands

    def _terms(self) -> list[int]:
        """Of sums and comparisons."""
        f, rng = self._f, self._rng
        a = self._any()
        kind, field = rng.randrange(6), self._exponent(a)
        if kind == 0:  # equal or nearly, or cancelling
            b = (a ^ self._sign()) + rng.randrange(-2, 3) & (1 << f.width) - 1
        elif kind == 1:  # half a unit, and a little more or less
            b = self._sign() | self._power(field - f.precision + rng.randrange(3))
            b += rng.randrange(-1, 2) if b & ~f.sign else 0
        elif kind < 5:
            b = self._at(field + rng.randrange(-f.precision - 3, f.precision + 4))
        else:
            b = self._any()
        return [b, a] if rng.getrandbits(1) else [a, b]

    def _factors(self) -> list[int]:
        f, rng = self._f, self._rng
        kind = rng.randrange(4)
        if kind == 0:  # as many bits as the format has, or one more: a tie
            long = rng.randrange(1, f.precision)
            a, b = (1 | rng.getrandbits(n) for n in (long, f.precision + 1 - long))
            low = rng.randrange(-20, 21)
            if rng.getrandbits(1):  # or the smallest numbers
                low = -f.bias - f.precision + rng.randrange(-3, 2)
            return [self._exact(a, low), self._exact(b, 0)]
        a = self._any()
        if kind == 3:
            return [a, self._any()]
        return [a, self._at(self._target() - self._exponent(a) + f.bias - rng.randrange(2))]

    def _quotient(self) -> list[int]:
        f, rng = self._f, self._rng
        kind = rng.randrange(4)
        if kind == 0:  # exact, or exact but for the smallest numbers' last bits
            long = rng.randrange(1, f.precision)
            q, b = 1 | rng.getrandbits(long), 1 | rng.getrandbits(f.precision - long)
            low = -f.bias - f.precision + rng.randrange(-3, 4) if rng.getrandbits(1) else 0
            up = rng.randrange(f.bias - f.precision)
            return [self._exact(q * b, low + up), self._exact(b, up)]
        b = self._any()
        if kind == 3:
            return [self._any(), b]
        return [self._at(self._target() + self._exponent(b) - f.bias + rng.randrange(2)), b]

    def _radicand(self) -> int:
        f, rng = self._f, self._rng
        if rng.getrandbits(1):
            return self._any() & (~0 if rng.randrange(8) == 0 else f.sign - 1)
        root = rng.getrandbits(rng.randrange(1, f.precision // 2 + 1))
        square = self._exact(root * root, 2 * rng.randrange(-f.bias // 2, f.bias // 4)) & f.sign - 1
        return square + rng.choice((0, 0, 0, 1, -1 if square else 0))

    def _triple(self) -> list[int]:
        f, rng = self._f, self._rng
        a, b = self._factors()
        product = self._multiply(f, a, b)
        kind, field = rng.randrange(6), self._exponent(product)
        if kind == 0:  # nothing is left but what rounding the product would lose
            return [a, b, (product ^ self._sign()) + rng.randrange(-2, 3) & (1 << f.width) - 1]
        if kind == 1:  # half a unit of the product, and a little more or less
            return [a, b, self._sign() | self._power(field - f.precision + rng.randrange(3))]
        if kind == 2:  # the product is half a unit of the sum
            return [self._exact(1, 0), self._sign() | self._power(field),
                    self._at(field + f.precision + rng.randrange(-1, 2))]  # fmt: skip
        if kind == 3:
            return [a, b, self._any()]
        return [a, b, self._at(field + rng.randrange(-2 * f.precision - 3, 2 * f.precision + 4))]

    def _integer(self) -> int:
        rng = self._rng
        long = rng.choice((24, 25, 26, 53, 54, 55, 64))
        value = rng.getrandbits(long) | rng.getrandbits(1)
        value = value << rng.randrange(65 - long) if rng.getrandbits(1) else value
        value >>= rng.choice((0, 0, rng.randrange(64)))
        return (-value if rng.getrandbits(1) else value) & (1 << 64) - 1

    def _near_integer(self) -> int:
        """With halves, around zero and around where integers end."""
        f, rng = self._f, self._rng
        kind = rng.randrange(4)
        if kind == 0:
            edge = self._exact(1 << rng.choice((0, 31, 32, 63, 64)), 0)
            return edge + rng.randrange(-3, 4)
        if kind == 1:
            return self._exact(rng.getrandbits(rng.randrange(1, f.precision + 1)), -1)
        if kind == 2:
            return self._at(f.bias + rng.randrange(-3, 66))
        return self._any()

    def _near_single(self) -> int:
        """Doubles whose last bits, beyond those of single precision, say how to round."""
        rng = self._rng
        field = rng.choice((rng.randrange(-26, 3), 254 + rng.randrange(-2, 3), rng.randrange(256)))
        if rng.randrange(8) == 0:
            return self._any()
        cut = 29 + max(0, 1 - field) if rng.getrandbits(1) else 29
        half = 1 << cut - 1
        low = rng.choice((0, half, half - 1, half + 1, 1, 2 * half - 1, rng.getrandbits(cut)))
        fraction = rng.choice((rng.getrandbits(52), 0, F64.fraction)) & -1 << cut | low
        return self._sign() | field - 127 + F64.bias << 52 | fraction & F64.fraction
