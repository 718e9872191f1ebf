"""Zbc: carry-less multiplication (bit-manipulation spec)."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem
from otoriscv.core.uop import Value


def _low(m: Sem) -> Value:
    """Bits XLEN-1 to 0 of the product."""
    a, b = m.rs1, m.rs2
    product = m.var(0, m.xlen)
    with m.repeat(m.xlen) as i:
        n = i.trunc(m.xlen)
        product.value = product.value ^ (b >> n).trunc(1).select(a << n, 0)
    return product.value


def _high(m: Sem) -> Value:
    """Bits 2*XLEN-2 to XLEN-1 of the product."""
    a, b = m.rs1, m.rs2
    product = m.var(0, m.xlen)
    with m.repeat(m.xlen) as i:
        n = i.trunc(m.xlen)
        product.value = product.value ^ (b >> n).trunc(1).select(a >> (m.x(m.xlen - 1) - n), 0)
    return product.value


@insn("clmul rd, rs1, rs2", "0000101 rs2 rs1 001 rd 0110011", "Zbc")
def clmul(m: Sem) -> None:
    m.rd = _low(m)


@insn("clmulh rd, rs1, rs2", "0000101 rs2 rs1 011 rd 0110011", "Zbc")
def clmulh(m: Sem) -> None:
    m.rd = _high(m) >> 1


@insn("clmulr rd, rs1, rs2", "0000101 rs2 rs1 010 rd 0110011", "Zbc")
def clmulr(m: Sem) -> None:
    m.rd = _high(m)
