"""Instructions of F and D computed by Berkeley SoftFloat (its RISC-V variant), as `softfloatpy`.

What is ours here is what SoftFloat has no function for: boxes, signs of the fused operations, and
the choice of fmin and fmax, which the manual words as its comparisons.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, Final

import softfloatpy as sf

from otoriscv.core.softfloat import F32, F64, Format
from tests.float_table import BOX, Operation

__all__ = ["multiply", "operations"]

_FLOATS: Final[dict[str, Any]] = {"s": sf.Float32, "d": sf.Float64}
_INTEGERS: Final[dict[str, Any]] = {
    "w": sf.Int32, "wu": sf.UInt32, "l": sf.Int64, "lu": sf.UInt64,
}  # fmt: skip
_NAMES: Final = {
    "s": "f32", "d": "f64", "w": "i32", "wu": "ui32", "l": "i64", "lu": "ui64",
}  # fmt: skip
#: By instruction: whether the product and the addend change their signs.
_FUSED: Final = {
    "fmadd": (0, 0), "fmsub": (0, 1), "fnmsub": (1, 0), "fnmadd": (1, 1),
}  # fmt: skip


def _raised(call: Callable[..., Any], *args: Any, rm: int) -> tuple[Any, int]:
    sf.set_tininess_mode(sf.TininessMode.AFTER_ROUNDING)  # a C variable of the thread
    sf.set_rounding_mode(sf.RoundingMode(rm))
    sf.set_exception_flags(0)
    return call(*args), sf.get_exception_flags()


def _bits(value: Any) -> int:
    return int.from_bytes(value.to_bytes(), "big")


def _unboxed(f: Format, register: int) -> int:
    if f.width == 32 and register & BOX != BOX:
        return f.nan
    return register & (1 << f.width) - 1


def _number(f: Format, register: int, negate: int = 0) -> Any:
    bits = _unboxed(f, register) ^ (f.sign if negate else 0)
    return _FLOATS[f.letter].from_bytes(bits.to_bytes(f.width // 8, "big"))


def _register(f: Format, value: Any) -> int:
    return _bits(value) | (BOX if f.width == 32 else 0)


def _arithmetic(f: Format, call: Any, args: Sequence[int], rm: int) -> tuple[int, int]:
    value, flags = _raised(call, *(_number(f, a) for a in args), rm=rm)
    return _register(f, value), flags


def _fused(f: Format, signs: tuple[int, int], args: Sequence[int], rm: int) -> tuple[int, int]:
    a, b, c = args
    parts = _number(f, a, signs[0]), _number(f, b), _number(f, c, signs[1])
    value, flags = _raised(getattr(sf, f"{f.name}_mul_add"), *parts, rm=rm)
    return _register(f, value), flags


def _compared(f: Format, call: Any, args: Sequence[int], rm: int) -> tuple[int, int]:
    value, flags = _raised(call, *(_number(f, a) for a in args), rm=0)
    return int(value), flags


def _chosen(f: Format, maximum: bool, args: Sequence[int], rm: int) -> tuple[int, int]:
    x, y = (_number(f, a) for a in args)
    less, flags = _raised(getattr(sf, f"{f.name}_lt_quiet"), x, y, rm=0)
    is_nan = getattr(sf, f"{f.name}_is_nan")
    if is_nan(x) and is_nan(y):
        return f.nan | (BOX if f.width == 32 else 0), flags
    if getattr(sf, f"{f.name}_eq")(x, y):
        less = bool(_bits(x) & f.sign)
    first = is_nan(y) or (not is_nan(x) and bool(less) != maximum)
    return _register(f, x if first else y), flags


def _to_integer(f: Format, kind: str, xlen: int, args: Sequence[int], rm: int) -> tuple[int, int]:
    call = getattr(sf, f"{f.name}_to_{_NAMES[kind]}")
    value, flags = _raised(call, _number(f, args[0]), rm=rm)
    bits = _bits(value)
    if kind in ("w", "wu"):
        bits = (bits ^ 1 << 31) - (1 << 31)
    return bits & (1 << xlen) - 1, flags


def _from_integer(f: Format, kind: str, args: Sequence[int], rm: int) -> tuple[int, int]:
    size = 4 if kind in ("w", "wu") else 8
    value = _INTEGERS[kind].from_bytes((args[0] & (1 << 8 * size) - 1).to_bytes(size, "big"))
    value, flags = _raised(getattr(sf, f"{_NAMES[kind]}_to_{f.name}"), value, rm=rm)
    return _register(f, value), flags


def _converted(f: Format, to: Format, args: Sequence[int], rm: int) -> tuple[int, int]:
    call = getattr(sf, f"{f.name}_to_{to.name}")
    value, flags = _raised(call, _number(f, args[0]), rm=rm)
    return _register(to, value), flags


def multiply(f: Format, a: int, b: int) -> int:
    """The product's bits rounded to nearest, of numbers' bits."""
    box = BOX if f.width == 32 else 0
    call = getattr(sf, f"{f.name}_mul")
    value, _ = _raised(call, _number(f, a | box), _number(f, b | box), rm=0)
    return _bits(value)


def operations(f: Format, xlen: int) -> Iterator[Operation]:
    """What SoftFloat can tell about format *f* on a hart of *xlen* bits."""
    x = f.letter
    for name in ("add", "sub", "mul", "div"):
        call = getattr(sf, f"{f.name}_{name}")
        yield Operation(f"f{name}.{x}", "ff", "f", partial(_arithmetic, f, call))
    yield Operation(f"fsqrt.{x}", "f", "f", partial(_arithmetic, f, getattr(sf, f"{f.name}_sqrt")))
    for name, signs in _FUSED.items():
        yield Operation(f"{name}.{x}", "fff", "f", partial(_fused, f, signs))
    for name in ("eq", "lt", "le"):
        call = getattr(sf, f"{f.name}_{name}")
        yield Operation(f"f{name}.{x}", "ff", "x", partial(_compared, f, call), rounds=False)
    for name, maximum in (("fmin", False), ("fmax", True)):
        yield Operation(f"{name}.{x}", "ff", "f", partial(_chosen, f, maximum), rounds=False)
    for kind in tuple(_INTEGERS)[: xlen // 16]:
        yield Operation(f"fcvt.{kind}.{x}", "f", "x", partial(_to_integer, f, kind, xlen))
        yield Operation(f"fcvt.{x}.{kind}", "x", "f", partial(_from_integer, f, kind))
    to = F64 if f is F32 else F32
    yield Operation(f"fcvt.{to.letter}.{x}", "f", "f", partial(_converted, f, to))
