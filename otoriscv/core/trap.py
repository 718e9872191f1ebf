"""Trap entry and return, in micro-ops (privileged spec, sections 3.1.6 to 3.1.9 and 3.3.2)."""

from __future__ import annotations

from typing import Final

from otoriscv.core import mode
from otoriscv.core.isa_string import extension_bit
from otoriscv.core.layout import Exit
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value

__all__ = ["INTERRUPT", "epc_mask", "on", "retired", "xlen_bits"]

#: The bit of a cause that says interrupt, whatever XLEN is.
INTERRUPT: Final = 1 << 63


def on(b: Builder, extension: str) -> Value:
    """Whether the hart has an extension (1 bit)."""
    return b.get("isa").bit(extension_bit(extension))


def xlen_bits(b: Builder, value: Value) -> Value:
    """The low XLEN bits, zero-extended to 64."""
    return value.trunc(b.xlen).zext(64)


def retired(b: Builder) -> Value:
    """Instructions that this hart has retired."""
    return b.get("retired_end") - b.get("budget")


def epc_mask(b: Builder) -> Value:
    """Which bits of an epc exist: bit 1 only with compressed instructions."""
    return on(b, "Zca").select(-2, -4, 64)


@routine(3)
def trap_enter(b: Builder, pc: Value, cause: Value, tval: Value) -> None:
    """Take a trap at *pc*; the result is the address of its handler.

    An exception costs a step. ``exit_code`` becomes TRAP when somebody wants to see traps. It
    becomes CRASH, and nothing else changes, when the handler in M-mode traps on its own first
    instruction: it would do so for ever.
    """
    interrupt = cause.bit(63)
    priv = b.get("priv")
    b.set_m("past", 0)
    with b.if_(interrupt):
        b.set_m("interrupts", b.get_m("interrupts") + 1)
    with b.else_():
        b.set_m("traps", b.get_m("traps") + 1)
        b.set("budget", b.get("budget") - 1)
        b.set("retired_end", b.get("retired_end") - 1)
        again = b.get("trap_pc").eq(pc) & b.get("trap_retired").eq(retired(b))
        at_handler = priv.eq(3) & pc.eq(b.get("mtvec") & -4)
        with b.if_(again & at_handler):
            b.set("exit_code", Exit.CRASH)
            b.ret(pc)
    with b.if_(b.get_m("trap_exits").ne(0)):
        b.set("exit_code", Exit.TRAP)
    code = cause & 63
    flagged = code | (cause >> 63 << (b.xlen - 1))
    b.set("res_valid", 0)
    status = b.get("mstatus")
    delegated = interrupt.select(b.get("mideleg"), b.get("medeleg"))
    with b.if_(priv.ltu(3) & (delegated >> code).trunc(1)):
        b.set("sepc", pc & -2)
        b.set("scause", flagged)
        b.set("stval", xlen_bits(b, tval))
        kept = status & ~(MSTATUS.SPP | MSTATUS.SPIE | MSTATUS.SIE)
        _enter(b, kept | ((priv & 1) << 8) | ((status & MSTATUS.SIE) << 4), 1)
        b.ret(_handler(b, b.get("stvec"), code, interrupt))
    b.set("mepc", pc & -2)
    b.set("mcause", flagged)
    b.set("mtval", xlen_bits(b, tval))
    kept = status & ~(MSTATUS.MPP | MSTATUS.MPIE | MSTATUS.MIE)
    _enter(b, kept | (priv << 11) | ((status & MSTATUS.MIE) << 4), 3)
    handler = _handler(b, b.get("mtvec"), code, interrupt)
    b.set("trap_pc", handler)
    b.set("trap_retired", retired(b))
    b.ret(handler)


def _enter(b: Builder, status: Value, priv: int) -> None:
    b.set("mstatus", status)
    b.set("priv", priv)
    mode.refresh(b)


def _handler(b: Builder, vector: Value, code: Value, interrupt: Value) -> Value:
    vectored = interrupt & vector.bit(0)
    return xlen_bits(b, (vector & -4) + vectored.select(code << 2, 0))


@routine(1)
def xret(b: Builder, level: Value) -> None:
    """Return from a trap: *level* 3 for mret, 1 for sret. The result is the new pc."""
    status = b.get("mstatus")
    b.set("res_valid", 0)
    with b.if_(level.eq(3)):
        to = (status >> 11) & 3
        lowest = on(b, "U").select(0, MSTATUS.MPP, 64)
        kept = status & ~(MSTATUS.MPP | MSTATUS.MIE)
        kept = kept & to.eq(3).select(-1, ~MSTATUS.MPRV, 64)
        _return(b, kept | lowest | MSTATUS.MPIE | ((status & MSTATUS.MPIE) >> 4), to)
        b.ret(b.get("mepc") & epc_mask(b))
    kept = status & ~(MSTATUS.SPP | MSTATUS.SIE | MSTATUS.MPRV)
    _return(b, kept | MSTATUS.SPIE | ((status & MSTATUS.SPIE) >> 4), (status >> 8) & 1)
    b.ret(b.get("sepc") & epc_mask(b))


def _return(b: Builder, status: Value, priv: Value) -> None:
    b.set("mstatus", status)
    b.set("priv", priv)
    mode.refresh(b)
