"""F and D: results and flags against exact arithmetic on fractions, on every engine."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import pytest

from otoriscv.core.decode import Decoder, Isa
from otoriscv.core.encode import encode
from otoriscv.core.hostfloat import host_float
from otoriscv.core.layout import HART
from otoriscv.core.memory import Arena
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.sem import CAUSE
from otoriscv.core.softfloat import DZ, F32, F64, NV, NX, OF, UF, Format
from otoriscv.jit.python.routines import compile_routines
from tests.engine_box import EVERY, RAM, STEP, EngineBox
from tests.float_table import BOX, SIZE, Operation, Row, execute, place

NEVER = (1 << 64) - 1
ROUNDINGS = range(5)


# -- the reference: IEEE 754 with fractions


@dataclass(frozen=True)
class Number:
    """A datum: NaN, infinity, or a fraction and the sign of a zero."""

    bits: int
    nan: bool
    signaling: bool
    infinite: bool
    negative: bool
    value: Fraction


def number(f: Format, bits: int) -> Number:
    field, fraction = bits >> f.precision - 1 & f.special, bits & f.fraction
    negative = bool(bits >> f.width - 1)
    special = field == f.special
    nan = special and fraction != 0
    whole = fraction | (1 << f.precision - 1 if field else 0)
    value = Fraction(0) if special else Fraction(whole) * power(max(field, 1), f)
    return Number(
        bits, nan, nan and not bits & f.quiet, special and not nan, negative,
        -value if negative else value,
    )  # fmt: skip


def power(field: int, f: Format) -> Fraction:
    """The weight of a significand's last bit."""
    return Fraction(2) ** (field - f.bias - (f.precision - 1))


def whole(value: Fraction, rm: int) -> int:
    """*value* >= 0 or < 0 rounded to an integer."""
    low = math.floor(value)
    rest = value - low
    if rm in (0, 4):
        if rest == Fraction(1, 2):
            return low + (low & 1 if rm == 0 else value > 0)
        return low + (rest > Fraction(1, 2))
    if rm == 1:
        return low + (value < 0 and rest > 0)
    return low + (rm == 3 and rest > 0)


def magnitude_mode(rm: int, negative: bool) -> int:
    """The rounding mode for the absolute value."""
    return {2: 3, 3: 2}.get(rm, rm) if negative else rm


def pack(f: Format, value: Fraction, rm: int, negative_zero: bool = False) -> tuple[int, int]:
    """(bits, flags) of an exact result."""
    if not value:
        return f.sign if negative_zero else 0, 0
    negative = value < 0
    size, mode = abs(value), magnitude_mode(rm, negative)
    exponent = size.numerator.bit_length() - size.denominator.bit_length()
    if Fraction(2) ** exponent > size:
        exponent -= 1
    lowest = 1 - f.bias
    unbounded = whole(size / Fraction(2) ** (exponent - f.precision + 1), mode)
    tiny = unbounded * Fraction(2) ** (exponent - f.precision + 1) < Fraction(2) ** lowest
    step = Fraction(2) ** (max(exponent, lowest) - f.precision + 1)
    count = whole(size / step, mode)
    inexact = count * step != size
    flags = (NX if inexact else 0) | (UF if inexact and tiny else 0)
    if count * step >= Fraction(2) ** (f.bias + 1):
        out = f.infinity if mode in (0, 3, 4) else f.infinity - 1
        flags = OF | NX
    elif count * step < Fraction(2) ** lowest:
        out = count
    else:
        field = max(exponent, lowest) + f.bias
        out = (field - 1 << f.precision - 1) + count
    return out | (f.sign if negative else 0), flags


def any_nan(f: Format, *args: Number) -> tuple[int, int] | None:
    if any(a.nan for a in args):
        return f.nan, NV if any(a.signaling for a in args) else 0
    return None


def infinity(f: Format, negative: bool) -> tuple[int, int]:
    return f.infinity | (f.sign if negative else 0), 0


def add(f: Format, a: Number, b: Number, rm: int) -> tuple[int, int]:
    found = any_nan(f, a, b)
    if found:
        return found
    if a.infinite and b.infinite and a.negative != b.negative:
        return f.nan, NV
    if a.infinite or b.infinite:
        return infinity(f, a.negative if a.infinite else b.negative)
    minus = a.negative if a.negative == b.negative else rm == 2
    return pack(f, a.value + b.value, rm, minus)


def mul(f: Format, a: Number, b: Number, rm: int) -> tuple[int, int]:
    found = any_nan(f, a, b)
    if found:
        return found
    minus = a.negative != b.negative
    if a.infinite or b.infinite:
        if (not a.infinite and not a.value) or (not b.infinite and not b.value):
            return f.nan, NV
        return infinity(f, minus)
    return pack(f, a.value * b.value, rm, minus)


def div(f: Format, a: Number, b: Number, rm: int) -> tuple[int, int]:
    found = any_nan(f, a, b)
    if found:
        return found
    minus = a.negative != b.negative
    if a.infinite:
        return (f.nan, NV) if b.infinite else infinity(f, minus)
    if b.infinite:
        return pack(f, Fraction(0), rm, minus)
    if not b.value:
        return (infinity(f, minus)[0], DZ) if a.value else (f.nan, NV)
    return pack(f, a.value / b.value, rm, minus)


def sqrt(f: Format, a: Number, rm: int) -> tuple[int, int]:
    found = any_nan(f, a)
    if found:
        return found
    if not a.value and not a.infinite:
        return a.bits, 0
    if a.negative:
        return f.nan, NV
    if a.infinite:
        return infinity(f, False)
    scale = 1 << 600  # enough digits; a sticky one behind them
    square = a.value * scale * scale * 4
    root = math.isqrt(square.numerator // square.denominator)
    exact = Fraction(root) ** 2 == square
    return pack(f, (Fraction(root) + (0 if exact else Fraction(1, 2))) / (2 * scale), rm)


def fma(f: Format, a: Number, b: Number, c: Number, rm: int) -> tuple[int, int]:
    zero_inf = (a.infinite and not b.value and not b.infinite and not b.nan) or (
        b.infinite and not a.value and not a.infinite and not a.nan
    )
    if zero_inf:
        return f.nan, NV
    found = any_nan(f, a, b, c)
    if found:
        return found
    minus = a.negative != b.negative
    if a.infinite or b.infinite:
        return (f.nan, NV) if c.infinite and c.negative != minus else infinity(f, minus)
    if c.infinite:
        return infinity(f, c.negative)
    zero = minus if minus == c.negative else rm == 2
    return pack(f, a.value * b.value + c.value, rm, zero)


def to_int(f: Format, a: Number, rm: int, kind: int) -> tuple[int, int]:
    bits = 32 if kind < 2 else 64
    low, high = (0, (1 << bits) - 1) if kind & 1 else (-1 << bits - 1, (1 << bits - 1) - 1)
    if a.nan or a.infinite:
        return (low if a.negative and not a.nan else high) & NEVER, NV
    n = whole(abs(a.value), magnitude_mode(rm, a.negative)) * (-1 if a.negative else 1)
    if not low <= n <= high:
        return (low if n < low else high) & NEVER, NV
    return n & NEVER, NX if n != a.value else 0


def compare(f: Format, a: Number, b: Number, kind: int) -> tuple[int, int]:
    if a.nan or b.nan:
        return 0, NV if kind or a.signaling or b.signaling else 0
    x, y = (
        (Fraction(2) ** 2000 * (-1 if n.negative else 1)) if n.infinite else n.value for n in (a, b)
    )
    return int((x == y, x < y, x <= y)[kind]), 0


def minmax(f: Format, a: Number, b: Number, maximum: int) -> tuple[int, int]:
    flags = NV if a.signaling or b.signaling else 0
    if a.nan or b.nan:
        return (f.nan if a.nan and b.nan else b.bits if a.nan else a.bits), flags
    both = sorted((a, b), key=lambda n: (not n.negative, n.bits if not n.negative else -n.bits))
    return both[maximum].bits, flags


def convert(f: Format, to: Format, a: Number, rm: int) -> tuple[int, int]:
    if a.nan:
        return to.nan, NV if a.signaling else 0
    if a.infinite:
        return infinity(to, a.negative)
    return pack(to, a.value, rm, a.negative)


# -- operands


def operands(f: Format, rng: random.Random) -> int:
    """A number around which something may happen."""
    fractions = [0, 1, f.quiet, f.fraction, f.fraction - 1, rng.getrandbits(f.precision - 1)]
    fractions.append(rng.getrandbits(f.precision - 1) & -1 << rng.randrange(f.precision))
    fields = [0, 0, 1, 2, f.special - 1, f.special, f.bias, f.bias + rng.randrange(-60, 60)]
    fields += [f.bias + f.precision, rng.randrange(f.special + 1), f.bias + rng.randrange(-3, 4)]
    field = min(max(rng.choice(fields), 0), f.special)
    fraction = rng.choice(fractions) & f.fraction
    return rng.getrandbits(1) << f.width - 1 | field << f.precision - 1 | fraction


def near(f: Format, value: tuple[int, int], rng: random.Random) -> int:
    """The negative of a result, give or take a few units: cancellation."""
    return (value[0] ^ f.sign) + rng.randrange(-2, 3) & (1 << f.width) - 1


def routines() -> tuple[dict[str, Any], memoryview]:
    arena = Arena(1 << 20, pool=False)
    return compile_routines(64, arena.view8, arena.machine), arena.hart(0)


@pytest.mark.parametrize("f", [F32, F64], ids=lambda f: f.name)
def test_routines_are_exact(f: Format) -> None:
    space, h = routines()
    rng = random.Random(f.width)
    other = F64 if f is F32 else F32

    def check(name: str, want: tuple[int, int], *args: int) -> None:
        h[HART["fflags"]] = 0
        got = space[name](h, *args)
        where = f"{name} {[hex(a) for a in args]}"
        assert (hex(got & NEVER), h[HART["fflags"]]) == (hex(want[0]), want[1]), where

    for n in range(1500):
        rm = n % 5
        a, b, c = (operands(f, rng) for _ in range(3))
        x, y = number(f, a), number(f, b)
        if n % 3 == 0:
            c = near(f, mul(f, x, y, rm), rng)
        z = number(f, c)
        check(f"{f.name}_add", add(f, x, y, rm), a, b, rm)
        check(f"{f.name}_mul", mul(f, x, y, rm), a, b, rm)
        check(f"{f.name}_div", div(f, x, y, rm), a, b, rm)
        check(f"{f.name}_fma", fma(f, x, y, z, rm), a, b, c, rm)
        check(f"{f.name}_to_int", to_int(f, x, rm, n & 3), a, rm, n & 3)
        check(f"{f.name}_compare", compare(f, x, y, n % 3), a, b, n % 3)
        check(f"{f.name}_minmax", minmax(f, x, y, n & 1), a, b, n & 1)
        check(f"{f.name}_to_{other.name}", convert(f, other, x, rm), a, rm)
        if n % 5 == 0:
            check(f"{f.name}_sqrt", sqrt(f, x, rm), a, rm)
        value = rng.getrandbits(64) >> rng.randrange(64)
        signed = value - (1 << 64) if n & 1 and value >> 63 else value
        check(f"{f.name}_from_int", pack(f, Fraction(signed), rm), value, rm, n & 1)


@pytest.mark.parametrize("f", [F32, F64], ids=lambda f: f.name)
def test_host_operations_are_exact_for_normal_results(f: Format) -> None:
    rng = random.Random(7)
    for _ in range(3000):
        a, b = operands(f, rng), operands(f, rng)
        x, y = number(f, a), number(f, b)
        for op, want in (("fadd", add), ("fmul", mul), ("fdiv", div)):
            result, flags = want(f, x, y, 0)
            if not flags & ~NX and 1 < result >> f.precision - 1 & f.special < f.special:
                assert host_float(op, f.width, a, b) == result


# -- instructions


def unboxed(f: Format, bits: int) -> Number:
    if f.width == 32 and bits >> 32 != 0xFFFF_FFFF:
        return number(f, f.nan)
    return number(f, bits & (1 << f.width) - 1)


def operations(f: Format, xlen: int) -> Iterator[Operation]:
    letter = "s" if f is F32 else "d"
    other = F64 if f is F32 else F32

    def get(args: Sequence[int]) -> list[Number]:
        return [unboxed(f, a) for a in args]

    def on(g: Callable[..., tuple[int, int]], args: Sequence[int], r: int) -> tuple[int, int]:
        return g(f, *get(args), r)

    def flipped(n: Number) -> Number:
        return number(f, n.bits ^ f.sign)

    yield Operation(f"fadd.{letter}", "ff", "f", lambda a, r: on(add, a, r))
    yield Operation(
        f"fsub.{letter}", "ff", "f", lambda a, r: add(f, get(a)[0], flipped(get(a)[1]), r)
    )
    yield Operation(f"fmul.{letter}", "ff", "f", lambda a, r: on(mul, a, r))
    yield Operation(f"fdiv.{letter}", "ff", "f", lambda a, r: on(div, a, r))
    yield Operation(f"fsqrt.{letter}", "f", "f", lambda a, r: on(sqrt, a, r))
    for name, product, addend in (
        ("fmadd", 0, 0), ("fmsub", 0, 1), ("fnmsub", 1, 0), ("fnmadd", 1, 1),
    ):  # fmt: skip

        def fused(a: Sequence[int], r: int, p: int = product, q: int = addend) -> tuple[int, int]:
            x, y, z = get(a)
            return fma(f, flipped(x) if p else x, y, flipped(z) if q else z, r)

        yield Operation(f"{name}.{letter}", "fff", "f", fused)
    for kind, name in enumerate(("feq", "flt", "fle")):

        def comparing(a: Sequence[int], r: int, k: int = kind) -> tuple[int, int]:
            return on(compare, a, k)

        yield Operation(f"{name}.{letter}", "ff", "x", comparing, rounds=False)
    for kind, name in enumerate(("fmin", "fmax")):

        def choosing(a: Sequence[int], r: int, k: int = kind) -> tuple[int, int]:
            return on(minmax, a, k)

        yield Operation(f"{name}.{letter}", "ff", "f", choosing, rounds=False)
    for kind, name in enumerate(("w", "wu", "l", "lu")[: xlen // 16]):

        def integer(a: Sequence[int], r: int, k: int = kind) -> tuple[int, int]:
            value, flags = to_int(f, get(a)[0], r, k)
            if k < 2:
                value = (value & 0xFFFF_FFFF ^ 1 << 31) - (1 << 31)
            return value & (1 << xlen) - 1, flags

        def from_int(a: Sequence[int], r: int, k: int = kind) -> tuple[int, int]:
            bits = 32 if k < 2 else 64
            value = a[0] & (1 << bits) - 1
            return pack(f, Fraction(value if k & 1 or not value >> bits - 1
                                    else value - (1 << bits)), r)  # fmt: skip

        yield Operation(f"fcvt.{name}.{letter}", "f", "x", integer)
        yield Operation(f"fcvt.{letter}.{name}", "x", "f", from_int)
    target = "s" if letter == "d" else "d"
    yield Operation(
        f"fcvt.{target}.{letter}", "f", "f",
        lambda a, r: convert(f, other, get(a)[0], r),
    )  # fmt: skip


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize(("isa", "f"), [("rv32gc", F32), ("rv64gc", F32), ("rv32gc", F64),
                                        ("rv64gc", F64)])  # fmt: skip
def test_instructions(engine: str, isa: str, f: Format) -> None:
    rng = random.Random(11)
    xlen = Isa.parse(isa).xlen
    count = 150 if engine == "interp" else 25 if engine == STEP else 60
    box = EngineBox(engine, isa=isa, size=SIZE)
    for n, op in enumerate(operations(f, xlen)):
        rm = 7 if n % 3 else n // 3 % 5
        rows = []
        for k in range(count):
            args = [operands(f, rng) | (BOX if f is F32 else 0) for _ in range(3)]
            if "fff" in op.sources and k % 3 == 0:
                product = mul(f, unboxed(f, args[0]), unboxed(f, args[1]), 0)
                args[2] = near(f, product, rng) | (BOX if f is F32 else 0)
            if f is F32 and k % 10 == 0:
                args[rng.randrange(3)] ^= 1 << rng.randrange(32, 64)
            if op.sources == "x":
                args[0] = rng.getrandbits(64) >> rng.randrange(64)
            flags, mode = (NX if k & 1 else 0) | (OF if k % 7 == 0 else 0), 0 if k & 3 else k % 5
            rows.append(Row((args[0], args[1], args[2]), mode, flags))
        place(box, op, rm, rows)
        for row, found in zip(rows, execute(box, count), strict=True):
            mode = row.frm if rm == 7 or not op.rounds else rm
            want, raised = op.want(row.args[: len(op.sources)], mode)
            if op.result == "f" and op.name.split(".")[1] == "s":
                want |= BOX
            where = f"{op.name} rm {rm} {[hex(a) for a in row.args]} {row}"
            assert (hex(found[0]), found[1]) == (hex(want), row.fflags | raised), where
    box.close()


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("isa", ["rv32gc", "rv64gc"])
def test_state_of_the_unit(engine: str, isa: str) -> None:
    """Off: everything is illegal. A write makes it dirty, reads and stores do not."""
    box = EngineBox(engine, isa=isa)
    box.hart.write_csr("mtvec", RAM + 0x400)
    box.load("1: j 1b", RAM + 0x400)
    every = ["fadd.s ft0, ft1, ft2", "fsgnj.d ft0, ft1, ft2", "feq.s a0, ft0, ft0",
             "fmv.x.w a0, ft0", "flw ft0, 0(s0)", "fsd ft0, 0(s0)", "fclass.d a0, ft0",
             "fcvt.w.s a0, ft0",
             "fmv.w.x ft0, a0", "frflags a0", "fsrmi 0", "fmin.s ft0, ft0, ft0",
             "fcvt.d.w ft0, a0"]  # fmt: skip
    quiet = {2, 3, 5, 6, 7, 9}
    for n, text in enumerate(every):
        for fs, legal in ((0, False), (1, True), (2, True), (3, True)):
            box.load(f"{text}; 1: j 1b")
            box.hart.pc = RAM
            box.hart.x[8] = RAM + 0x800
            box.q[HART["fflags"]] = box.q[HART["frm"]] = 0
            box.hart.write_csr("mstatus", fs << 13)
            box.run(2)
            assert (box.hart.pc == RAM + 0x400) == (not legal), text
            if not legal:
                assert box.hart.read_csr("mcause") == CAUSE.ILLEGAL
            state = box.hart.read_csr("mstatus") >> 13 & 3
            assert state == (fs if not legal or n in quiet else 3), text
    # a flag that is raised makes it dirty, too
    box.load("feq.s a0, ft0, ft0; 1: j 1b")
    box.hart.pc = RAM
    box.q[HART["f"]] = 0x7F80_0001 | BOX
    box.hart.write_csr("mstatus", 1 << 13)
    box.run(2)
    assert box.hart.read_csr("mstatus") >> 13 & 3 == 3 and box.q[HART["fflags"]] == NV
    box.close()


@pytest.mark.parametrize("engine", EVERY)
def test_every_access_to_fcsr_and_its_parts(engine: str) -> None:
    """fflags is bits 0 to 4 of fcsr, frm 5 to 7; each is written without the other."""
    fields = {"fflags": (0, 0x1F), "frm": (5, 7), "fcsr": (0, 0xFF)}
    verbs: dict[str, Callable[[int, int], int]] = {
        "w": lambda old, new: new,
        "s": lambda old, new: old | new,
        "c": lambda old, new: old & ~new,
    }
    rng = random.Random(3)
    box = EngineBox(engine, isa="rv64gc")
    state = 0
    for _ in range(150):
        name, verb, immediate = rng.choice([*fields]), rng.choice([*verbs]), rng.random() < 0.5
        value = rng.getrandbits(5 if immediate else 12)
        source = f"{value}" if immediate else "a1"
        box.load(f"csrr{verb}{'i' if immediate else ''} a0, {name}, {source}; 1: j 1b")
        box.hart.write_csr("mstatus", 1 << 13)
        box.hart.pc, box.hart.x[11] = RAM, value
        box.run(2)
        shift, mask = fields[name]
        old = state >> shift & mask
        state = state & ~(mask << shift) | (verbs[verb](old, value) & mask) << shift
        assert (box.hart.x[10], box.hart.read_csr("fcsr")) == (old, state), (name, verb, value)
    box.close()


@pytest.mark.parametrize("engine", EVERY)
def test_reserved_rounding_modes_are_illegal(engine: str) -> None:
    box = EngineBox(engine, isa="rv64gc")
    box.hart.write_csr("mtvec", RAM + 0x400)
    box.load("1: j 1b", RAM + 0x400)
    box.hart.write_csr("mstatus", MSTATUS.FS)
    for rm, frm, legal in ((5, 0, False), (6, 0, False), (7, 5, False), (7, 7, False), (7, 4, True),
                           (1, 5, True)):  # fmt: skip
        box.load((encode("fadd.d", fd=1, fs1=2, fs2=3) & ~0x7000 | rm << 12).to_bytes(4, "little"))
        box.q[HART["frm"]] = frm
        box.hart.pc = RAM
        box.run(1)
        assert (box.hart.pc == RAM + 4) == legal, (rm, frm)
    box.close()


def test_isa_strings() -> None:
    assert str(Isa.parse("rv64gc")) == "rv64imafdc_zicsr_zifencei"
    assert Isa.parse("rv32gc").has("Zcf") and not Isa.parse("rv64gc").has("Zcf")
    assert Isa.parse("rv32ifc").has("Zcf") and not Isa.parse("rv32ifc").has("Zcd")
    assert Decoder(Isa.parse("rv64gc")).decode(encode("fadd.d")).legal
    assert not Decoder(Isa.parse("rv64imac_zicsr")).decode(encode("fadd.s")).legal
    assert not Decoder(Isa.parse("rv64imafc")).decode(encode("fadd.d")).legal
