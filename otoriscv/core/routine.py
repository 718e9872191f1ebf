"""Routines: functions in the micro-op language, compiled once by every backend.

Traps, CSR access, interrupt selection, slow memory accesses and the native decoder are routines, so
they exist once. Parameters and the result are 64 bits wide; state is reached through the builder.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from otoriscv.core.uop import Builder, Value, prune

__all__ = ["ROUTINES", "Routine", "build", "routine"]


class Routine(NamedTuple):
    """A named micro-op function; ``write(b, *params)`` emits its body for ``b.xlen``."""

    name: str
    params: int
    write: Callable[..., None]


ROUTINES: dict[str, Routine] = {}


def routine(params: int) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Register the decorated function as the routine of its name."""

    def register(write: Callable[..., None]) -> Callable[..., None]:
        ROUTINES[write.__name__] = Routine(write.__name__, params, write)
        return write

    return register


def build(r: Routine, xlen: int) -> list[Value]:
    """The routine's program for one XLEN."""
    b = Builder(xlen)
    r.write(b, *[b.emit("param", 64, i) for i in range(r.params)])
    return prune(b.body)
