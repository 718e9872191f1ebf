"""The meaning of the host's floating-point operations on bit patterns (``fadd`` ... ``fma``).

Round to nearest even, no flags. A result that is not a normal number may be wrong in its last bits
or be any NaN: whoever uses these operations looks at the exponent and computes such results by
core/softfloat.py. That leaves an engine without a fused multiply-add free to answer NaN.
"""

from __future__ import annotations

import ctypes
import math
import struct
from collections.abc import Callable
from typing import Any, Final

__all__ = ["HOST_FLOAT", "host_float"]

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
HOST_FLOAT: Final = frozenset(_OPERATIONS)
_NAN32: Final = 0x7FC0_0000
_F32: Final = struct.Struct("<f")
_I32: Final = struct.Struct("<I")
_F64: Final = struct.Struct("<d")
_I64: Final = struct.Struct("<Q")


def host_float(op: str, width: int, *args: int) -> int:
    """The result of an operation on *width*-bit patterns."""
    count, compute = _OPERATIONS[op]
    if width == 64:
        wide = compute(*(_F64.unpack(_I64.pack(a))[0] for a in args[:count]))
        result: int = _I64.unpack(_F64.pack(wide))[0]
        return result
    if op == "fma":  # twice rounded: not the same
        return _NAN32
    # twice as many bits and two more: rounding twice is the same, for normal results
    narrow = ctypes.c_float(compute(*(_F32.unpack(_I32.pack(a))[0] for a in args[:count])))
    return int.from_bytes(bytes(narrow), "little")
