"""Privileged instructions (privileged spec, sections 3.3 and 4.2)."""

from __future__ import annotations

from typing import Final

from otoriscv.core.isa_string import extension_bit
from otoriscv.core.isa_table import insn
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.uop import Value


def _status(m: Sem, bit: int) -> Value:
    return (m.get("mstatus") & bit).ne(0)


def _illegal_if(m: Sem, cond: Value) -> None:
    m.trap_if(cond, CAUSE.ILLEGAL, m.bits)


@insn("mret", "0011000 00010 00000 000 00000 1110011", "I")
def mret(m: Sem) -> None:
    _illegal_if(m, m.get("priv").ltu(3))
    m.poll(m.call("xret", 3).trunc(m.xlen))


@insn("sret", "0001000 00010 00000 000 00000 1110011", "S")
def sret(m: Sem) -> None:
    priv = m.get("priv")
    _illegal_if(m, priv.eq(0) | (priv.eq(1) & _status(m, MSTATUS.TSR)))
    m.poll(m.call("xret", 1).trunc(m.xlen))


@insn("wfi", "0001000 00101 00000 000 00000 1110011", "I")
def wfi(m: Sem) -> None:
    """Waits unless an enabled interrupt is pending, whatever mstatus says; `poll` leaves."""
    priv = m.get("priv")
    has_s = m.get("isa").bit(extension_bit("S"))
    user = priv.eq(0)
    limited = (priv.eq(1) | (user & ~has_s)) & _status(m, MSTATUS.TW)
    _illegal_if(m, limited | (user & has_s))
    m.set("waiting", (m.get("mip") & m.get("mie")).eq(0))
    m.poll()


_FENCES: Final = ("every", "everyone")


@insn("sfence.vma rs1, rs2", "0001001 rs2 rs1 000 00000 1110011", "S", variants=_FENCES)
def sfence_vma(m: Sem) -> None:
    """Forgets translations: of one page when rs1 says which, of one address space when rs2 does.

    Of other address spaces than the current one none is known.
    """
    _forget(m)


def _forget(m: Sem) -> None:
    priv = m.get("priv")
    _illegal_if(m, priv.eq(0) | (priv.eq(1) & _status(m, MSTATUS.TVM)))
    addresses = () if "every" in m.variant else (m.rs1,)
    spaces = () if "everyone" in m.variant else (m.rs2,)
    name = f"tlb_flush{'_space' * len(spaces)}{'_page' * len(addresses)}"
    m.call(name, *spaces, *addresses)
    m.poll()


@insn("sinval.vma rs1, rs2", "0001011 rs2 rs1 000 00000 1110011", "Svinval", variants=_FENCES)
def sinval_vma(m: Sem) -> None:
    """Forgets at once what sfence.vma would forget."""
    _forget(m)


def _ordering(m: Sem) -> None:
    """Everything is in order already."""
    _illegal_if(m, m.get("priv").eq(0))
    m.poll()


@insn("sfence.w.inval", "0001100 00000 00000 000 00000 1110011", "Svinval")
def sfence_w_inval(m: Sem) -> None:
    _ordering(m)


@insn("sfence.inval.ir", "0001100 00001 00000 000 00000 1110011", "Svinval")
def sfence_inval_ir(m: Sem) -> None:
    _ordering(m)
