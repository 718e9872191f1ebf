"""Breakpoints as engines look for them."""

from __future__ import annotations

from otoriscv.core.layout import PAGE, TLB_R
from otoriscv.core.mode import FLAT
from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value

__all__ = ["breakpoint_at", "breakpoint_near"]


@routine(1)
def breakpoint_at(b: Builder, pc: Value) -> None:
    """1 when a breakpoint is at *pc*, and is not to be passed this once."""
    with b.if_(b.get_m("past").eq(pc | 1)):
        b.set_m("past", 0)
        b.ret(0)
    with b.repeat(b.get_m("nbreakpoints")) as i, b.if_(b.get_m("breakpoints", i).eq(pc)):
        b.ret(1)
    b.ret(0)


def _direct(b: Builder, address: Value) -> Value:
    """Whether there is memory at this physical address."""
    return b.call("translate", address, TLB_R).ne(0)


@routine(1)
def breakpoint_near(b: Builder, pc: Value) -> None:
    """1 when a breakpoint is at *pc*, or may be where the code at *pc* lies under another address:
    one on an address that is translated, at this offset in its page. Asked when code is decoded.
    """
    translated = (b.get("mode") & FLAT).eq(0)
    with b.repeat(b.get_m("nbreakpoints")) as i:
        at = b.get_m("breakpoints", i)
        with b.if_(at.eq(pc)):
            b.ret(1)
        with b.if_(((at ^ pc) & (PAGE - 2)).eq(0)), b.if_(translated | ~_direct(b, at)):
            b.ret(1)
    b.ret(0)
