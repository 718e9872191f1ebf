"""Constant folding and algebraic identities, once for every backend.

`fold` is called for each pure operation as a program is built; it returns a simpler value, or None.
`evaluate` is the meaning of the pure operations on Python ints: the reference for every backend.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.core.hostfloat import HOST_FLOAT, format_width, host_float

if TYPE_CHECKING:
    from otoriscv.core.uop import Arg, Builder, Value

__all__ = ["evaluate", "fold", "signed"]


def signed(n: int, width: int) -> int:
    """The bit pattern *n* of *width* bits read as two's complement."""
    return n - (1 << width) if n >> (width - 1) else n


def _div(a: int, b: int) -> int:
    q = abs(a) // abs(b)
    return -q if (a < 0) != (b < 0) else q


def evaluate(op: str, width: int, a: int, b: int = 0, c: int = 0, *, arg_width: int = 0) -> int:
    """The result of a pure operation on bit patterns; *arg_width* is its operands' width."""
    if op in HOST_FLOAT:
        return host_float(op, format_width(op, width, arg_width), a, b, c)
    w = arg_width or width
    mask = (1 << width) - 1
    match op:
        case "add":
            r = a + b
        case "sub":
            r = a - b
        case "mul":
            r = a * b
        case "mulhu":
            r = (a * b) >> w
        case "mulhs":
            r = (signed(a, w) * signed(b, w)) >> w
        case "mulhsu":
            r = (signed(a, w) * b) >> w
        case "divu":
            r = a // b if b else -1
        case "remu":
            r = a % b if b else a
        case "divs":
            r = _div(signed(a, w), signed(b, w)) if b else -1
        case "rems":
            sa, sb = signed(a, w), signed(b, w)
            r = sa - sb * _div(sa, sb) if b else a
        case "and":
            r = a & b
        case "or":
            r = a | b
        case "xor":
            r = a ^ b
        case "shl":
            r = a << (b & (w - 1))
        case "shr":
            r = a >> (b & (w - 1))
        case "sar":
            r = signed(a, w) >> (b & (w - 1))
        case "eq":
            r = int(a == b)
        case "ltu":
            r = int(a < b)
        case "lts":
            r = int(signed(a, w) < signed(b, w))
        case "select":
            r = b if a else c
        case "zext" | "trunc":
            r = a
        case "sext":
            r = signed(a, w)
        case "clz":
            r = w - a.bit_length()
        case "ctz":
            r = (a & -a).bit_length() - 1 if a else w
        case "popcount":
            r = a.bit_count()
        case "bswap":
            r = int.from_bytes(a.to_bytes(w // 8, "little"), "big")
        case _:
            raise ValueError(f"{op} is not a pure operation")
    return r & mask


_COMMUTES = frozenset(("add", "mul", "and", "or", "xor", "eq"))
_LEAVES = frozenset(("const", "operand", "pc", "param"))


def fold(b: Builder, op: str, width: int, args: tuple[Arg, ...]) -> Value | None:
    """A value equal to ``op(args)`` that needs no new node of this kind, or None."""
    if op in _LEAVES:
        return None
    values: list[Value] = list(args)  # type: ignore[arg-type]  # pure operations take values only
    consts = [v.const for v in values]
    if None not in consts:
        n = [k for k in consts if k is not None]
        return b.const(evaluate(op, width, *n, arg_width=_operand_width(op, values)), width)
    a = values[0]
    if op in ("zext", "sext", "trunc"):
        return _fold_width(b, op, width, a)
    if op == "select":
        if consts[0] is not None:
            return values[1] if consts[0] else values[2]
        return values[1] if values[1] is values[2] else None
    if len(values) != 2:
        return None
    if consts[0] is not None and op in _COMMUTES:
        return b.emit(op, width, values[1], a)
    return _fold_binary(b, op, width, a, values[1], consts[1])


def _argument(a: Value, n: int = 0) -> Value | None:
    """An argument of *a*; None when it has none there, or one that is no value."""
    arg = a.args[n] if n < len(a.args) else None
    return None if arg is None or isinstance(arg, (int, str)) else arg


def _with_constant(a: Value) -> tuple[Value, int] | None:
    """(v, k) when *a* is an operation on v and the constant k."""
    first, second = _argument(a), _argument(a, 1)
    if first is None or second is None or second.const is None:
        return None
    return first, second.const


def _operand_width(op: str, values: list[Value]) -> int:
    return 0 if op == "select" else values[0].width


def _fold_width(b: Builder, op: str, width: int, a: Value) -> Value | None:
    inner = _argument(a)
    if inner is None:
        return None
    if op == "trunc" and a.op in ("zext", "sext"):
        if inner.width == width:
            return inner
        if inner.width > width:
            return b.emit("trunc", width, inner)
        return b.emit(a.op, width, inner)
    if op == a.op:
        return b.emit(op, width, inner)
    if op == "trunc" and a.op == "or":
        parts = _with_constant(a)
        if parts is not None and parts[1] & (1 << width) - 1 == 0:
            return b.emit(op, width, inner)
    return None


def _fold_boxed(b: Builder, op: str, a: Value, c: Value, k: int) -> Value | None:
    """What looks at some bits of a value put together from a narrow one and a constant: floating-
    point registers with a number of 32 bits, flags."""
    inner = _argument(a)
    if a.op == "zext" and inner is not None:
        if op == "and" and k & (1 << inner.width) - 1 == (1 << inner.width) - 1:
            return a
        if op == "shr" and inner.width <= k < a.width:
            return b.const(0, a.width)
        if op == "eq" and k == 0 and inner.width == 1:
            return b.emit("xor", 1, inner, b.const(1, 1))
    parts = _with_constant(a) if a.op == "or" else None
    if parts is None:
        return None
    other, bits = parts
    if op == "and" and bits & k == k:
        return c
    if op == "and" and bits & k == 0:
        return b.emit("and", a.width, other, c)
    if op == "shr" and k < a.width:
        return b.emit("or", a.width, b.emit("shr", a.width, other, c), b.const(bits >> k, a.width))
    return None


def _fold_binary(
    b: Builder, op: str, width: int, a: Value, c: Value, k: int | None
) -> Value | None:
    if k == 0:
        if op in ("add", "sub", "or", "xor", "shl", "shr", "sar"):
            return a
        if op in ("and", "mul"):
            return c
        if op == "ltu":
            return b.const(0, 1)
    ones = (1 << a.width) - 1
    if k == ones:
        if op == "and":
            return a
        if op == "or":
            return c
    if k == 1 and op in ("mul", "divu"):
        return a
    if a is c:
        if op in ("and", "or"):
            return a
        if op in ("sub", "xor"):
            return b.const(0, width)
        if op in ("eq", "ltu", "lts"):
            return b.const(int(op == "eq"), 1)
    if op in ("eq", "ltu", "lts") and a.op in ("sext", "zext"):
        narrow = _narrowed(b, op, a, c, k)
        if narrow is not None:
            return b.emit(op, width, *narrow)
    if op == "xor":  # v ^ (v ^ w) = w
        for one, other in ((a, c), (c, a)):
            if other.op == "xor" and one is other.args[0]:
                return _argument(other, 1)
            if other.op == "and" and one is other.args[0]:  # v ^ (v & k) = v & ~k
                parts = _with_constant(other)
                if parts is not None:
                    return b.emit("and", width, one, b.const(~parts[1], width))
    if k is not None:
        simpler = _fold_boxed(b, op, a, c, k)
        if simpler is not None:
            return simpler
    if k is not None and op == a.op and op in ("add", "and", "or", "xor"):
        # (v op k1) op k2 = v op (k1 op k2)
        parts = _with_constant(a)
        if parts is not None:
            inner, k1 = parts
            return b.emit(op, width, inner, b.const(evaluate(op, width, k1, k), width))
    return None


def _narrowed(b: Builder, op: str, a: Value, c: Value, k: int | None) -> tuple[Value, Value] | None:
    """What a comparison of values that were extended alike is one of, if any; *k* is *c* as a
    constant. Extending by the sign keeps both orders, with zeros only the unsigned one."""
    x = _argument(a)
    if x is None or x.width == 1 or (a.op == "zext" and op == "lts"):
        return None
    if k is not None:
        low = k & ((1 << x.width) - 1)
        same = evaluate(a.op, a.width, low, arg_width=x.width) == k
        return (x, b.const(low, x.width)) if same else None
    y = _argument(c) if c.op == a.op else None
    return None if y is None or y.width != x.width else (x, y)
