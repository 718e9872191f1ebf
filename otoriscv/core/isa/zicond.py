"""Zicond: integer conditional operations."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem


@insn("czero.eqz rd, rs1, rs2", "0000111 rs2 rs1 101 rd 0110011", "Zicond")
def czero_eqz(m: Sem) -> None:
    m.rd = m.rs2.eq(0).select(0, m.rs1)


@insn("czero.nez rd, rs1, rs2", "0000111 rs2 rs1 111 rd 0110011", "Zicond")
def czero_nez(m: Sem) -> None:
    m.rd = m.rs2.eq(0).select(m.rs1, 0)
