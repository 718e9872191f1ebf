"""The meaning of the host's floating-point operations on bit patterns (``fadd`` ... ``fnarrow``).

Round to nearest even, no flags. A result that is not a normal number may be wrong in its last bits
or be any NaN: whoever uses these operations looks at the exponent and computes such results by
core/softfloat.py. That leaves an engine without a fused multiply-add free to answer NaN.
Comparisons are false for NaNs; what has no place in an integer becomes any integer.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable
from typing import Any, Final

__all__ = ["HOST_FLOAT", "format_width", "host_float"]

_fma: Any = getattr(math, "fma", None)  # Python 3.13


def _divide(a: float, b: float) -> float:
    return a / b if b else math.nan


def _root(a: float) -> float:
    return math.sqrt(a) if 0 <= a < math.inf else math.nan


def _fused(a: float, b: float, c: float) -> float:
    if _fma is None:
        return math.nan
    try:
        result: float = _fma(a, b, c)
    except (OverflowError, ValueError):
        return math.nan
    return result


_OPERATIONS: Final[dict[str, tuple[int, Callable[..., float]]]] = {
    "fadd": (2, lambda a, b: a + b),
    "fsub": (2, lambda a, b: a - b),
    "fmul": (2, lambda a, b: a * b),
    "fdiv": (2, _divide),
    "fsqrt": (1, _root),
    "fma": (3, _fused),
}
_COMPARISONS: Final[dict[str, Callable[[float, float], bool]]] = {
    "feq": lambda a, b: a == b,
    "flt": lambda a, b: a < b,
    "funo": lambda a, b: math.isnan(a) or math.isnan(b),
}
HOST_FLOAT: Final = frozenset((*_OPERATIONS, *_COMPARISONS, "ftoi", "itof", "fwiden", "fnarrow"))
_NAN32: Final = 0x7FC0_0000
_MASK64: Final = (1 << 64) - 1
_F32: Final = struct.Struct("<f")
_I32: Final = struct.Struct("<I")
_F64: Final = struct.Struct("<d")
_I64: Final = struct.Struct("<Q")


def format_width(op: str, width: int, first: int) -> int:
    """The format that an operation is called with in `host_float`, by the widths of its result and
    its first argument: its operands', or, for conversions between numbers and from integers, its
    result's."""
    return first if op in _COMPARISONS or op == "ftoi" else width


def host_float(op: str, width: int, *args: int) -> int:
    """The result of an operation on patterns of *width* bits (see `format_width`)."""
    if op in _COMPARISONS:
        return int(_COMPARISONS[op](*(_number(width, a) for a in args[:2])))
    if op == "ftoi":
        value = _number(width, args[0])
        return int(value) & _MASK64 if abs(value) < 2.0**63 else 1 << 63
    if op == "itof":
        whole = args[0] - (args[0] >> 63 << 64)
        return _pattern(width, float(whole)) if width == 64 else _nearest32(whole)
    if op in ("fwiden", "fnarrow"):
        return _pattern(width, _number(96 - width, args[0]))
    count, compute = _OPERATIONS[op]
    if width == 32 and op == "fma":  # twice rounded: not the same
        return _NAN32
    # twice as many bits and two more: rounding twice is the same, for normal results
    return _pattern(width, compute(*(_number(width, a) for a in args[:count])))


def _number(width: int, bits: int) -> float:
    wide = _F64.unpack(_I64.pack(bits)) if width == 64 else _F32.unpack(_I32.pack(bits))
    value: float = wide[0]
    return value


def _pattern(width: int, value: float) -> int:
    if width == 32:
        return int.from_bytes(bytes(ctypes.c_float(value)), "little")
    result: int = _I64.unpack(_F64.pack(value))[0]
    return result


def _nearest32(whole: int) -> int:
    """Rounded once: what a double has no room for stays visible in its last bit."""
    size = abs(whole)
    lost = max(0, size.bit_length() - 53)
    sticky = (size >> lost | (size & (1 << lost) - 1 != 0)) << lost
    return _pattern(32, float(sticky if whole >= 0 else -sticky))
