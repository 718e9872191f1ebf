"""What engines ask about breakpoints, as routines."""

from __future__ import annotations

from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value

__all__ = ["breakpoint_at"]


@routine(1)
def breakpoint_at(b: Builder, pc: Value) -> None:
    """1 when a breakpoint is at *pc*. Asked when code is decoded, never when it runs."""
    with b.repeat(b.get_m("nbreakpoints")) as i, b.if_(b.get_m("breakpoints", i).eq(pc)):
        b.ret(1)
    b.ret(0)
