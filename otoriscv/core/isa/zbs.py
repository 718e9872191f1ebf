"""Zbs: single-bit instructions (bit-manipulation spec)."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem


@insn("bclr rd, rs1, rs2", "0100100 rs2 rs1 001 rd 0110011", "Zbs")
def bclr(m: Sem) -> None:
    m.rd = m.rs1 & ~(m.x(1) << m.rs2)


@insn("bclri rd, rs1, shamt", "0100100 shamt[4:0] rs1 001 rd 0010011", "Zbs", xlen=32)
@insn("bclri rd, rs1, shamt", "010010 shamt[5:0] rs1 001 rd 0010011", "Zbs", xlen=64)
def bclri(m: Sem) -> None:
    m.rd = m.rs1 & ~(m.x(1) << m.shamt)


@insn("bext rd, rs1, rs2", "0100100 rs2 rs1 101 rd 0110011", "Zbs")
def bext(m: Sem) -> None:
    m.rd = m.rs1 >> m.rs2 & 1


@insn("bexti rd, rs1, shamt", "0100100 shamt[4:0] rs1 101 rd 0010011", "Zbs", xlen=32)
@insn("bexti rd, rs1, shamt", "010010 shamt[5:0] rs1 101 rd 0010011", "Zbs", xlen=64)
def bexti(m: Sem) -> None:
    m.rd = m.rs1 >> m.shamt & 1


@insn("binv rd, rs1, rs2", "0110100 rs2 rs1 001 rd 0110011", "Zbs")
def binv(m: Sem) -> None:
    m.rd = m.rs1 ^ m.x(1) << m.rs2


@insn("binvi rd, rs1, shamt", "0110100 shamt[4:0] rs1 001 rd 0010011", "Zbs", xlen=32)
@insn("binvi rd, rs1, shamt", "011010 shamt[5:0] rs1 001 rd 0010011", "Zbs", xlen=64)
def binvi(m: Sem) -> None:
    m.rd = m.rs1 ^ m.x(1) << m.shamt


@insn("bset rd, rs1, rs2", "0010100 rs2 rs1 001 rd 0110011", "Zbs")
def bset(m: Sem) -> None:
    m.rd = m.rs1 | m.x(1) << m.rs2


@insn("bseti rd, rs1, shamt", "0010100 shamt[4:0] rs1 001 rd 0010011", "Zbs", xlen=32)
@insn("bseti rd, rs1, shamt", "001010 shamt[5:0] rs1 001 rd 0010011", "Zbs", xlen=64)
def bseti(m: Sem) -> None:
    m.rd = m.rs1 | m.x(1) << m.shamt
