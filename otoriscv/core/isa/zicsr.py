"""Zicsr (unprivileged spec, chapter 9); rdcycle, rdtime and rdinstret are forms of csrrs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otoriscv.core.fcsr import read_fcsr, write_fcsr
from otoriscv.core.isa.floating import enabled
from otoriscv.core.isa_table import insn
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.uop import Value

_MIP: Final = 0x344
_SEIP: Final = 1 << 9

#: ``new(old, source)``: what is written.
New = Callable[[Value, Value], Value]


def _access(m: Sem, source: Value, new: New | None) -> None:
    """Read the CSR into rd and write it; *new* None: *source* itself is written."""
    number = m.operand("csr").zext(64)
    write = "nowrite" not in m.variant
    if "fcsr" in m.variant:
        enabled(m)
        old = read_fcsr(m, number)
        if write:
            write_fcsr(m, number, source.zext(64) if new is None else new(old, source.zext(64)))
        if "noread" not in m.variant:
            m.rd = old.trunc(m.xlen)
        return
    m.trap_if(m.call("csr_allowed", number, write).eq(0), CAUSE.ILLEGAL, m.bits)
    old = m.const(0, 64)
    if "noread" not in m.variant or new is not None:
        old = m.call("csr_read", number)
    if write:
        value = source.zext(64)
        if new is not None:
            # read-modify-write of mip sees only what software wrote to SEIP
            soft = (old & ~_SEIP) | (m.get("seip_soft") << 9)
            value = new(number.eq(_MIP).select(soft, old), value)
        m.call("csr_write", number, value)
    if "noread" not in m.variant:
        m.rd = old.trunc(m.xlen)
    m.poll()


def _set(old: Value, source: Value) -> Value:
    return old | source


def _clear(old: Value, source: Value) -> Value:
    return old & ~source


@insn("csrrw rd, csr, rs1", "csr rs1 001 rd 1110011", "Zicsr", variants=("noread", "fcsr"))
def csrrw(m: Sem) -> None:
    _access(m, m.rs1, None)


@insn("csrrs rd, csr, rs1", "csr rs1 010 rd 1110011", "Zicsr", variants=("nowrite", "fcsr"))
def csrrs(m: Sem) -> None:
    _access(m, m.rs1, _set)


@insn("csrrc rd, csr, rs1", "csr rs1 011 rd 1110011", "Zicsr", variants=("nowrite", "fcsr"))
def csrrc(m: Sem) -> None:
    _access(m, m.rs1, _clear)


@insn("csrrwi rd, csr, zimm", "csr zimm 101 rd 1110011", "Zicsr", variants=("noread", "fcsr"))
def csrrwi(m: Sem) -> None:
    _access(m, m.operand("zimm"), None)


@insn("csrrsi rd, csr, zimm", "csr zimm 110 rd 1110011", "Zicsr", variants=("nowrite", "fcsr"))
def csrrsi(m: Sem) -> None:
    _access(m, m.operand("zimm"), _set)


@insn("csrrci rd, csr, zimm", "csr zimm 111 rd 1110011", "Zicsr", variants=("nowrite", "fcsr"))
def csrrci(m: Sem) -> None:
    _access(m, m.operand("zimm"), _clear)
