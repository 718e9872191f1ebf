"""Zba: address generation (bit-manipulation spec)."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem
from otoriscv.core.uop import Value


def _uw(v: Value) -> Value:
    """The low word, zero-extended."""
    return v.trunc(32).zext(64)


@insn("sh1add rd, rs1, rs2", "0010000 rs2 rs1 010 rd 0110011", "Zba")
def sh1add(m: Sem) -> None:
    m.rd = m.rs2 + (m.rs1 << 1)


@insn("sh2add rd, rs1, rs2", "0010000 rs2 rs1 100 rd 0110011", "Zba")
def sh2add(m: Sem) -> None:
    m.rd = m.rs2 + (m.rs1 << 2)


@insn("sh3add rd, rs1, rs2", "0010000 rs2 rs1 110 rd 0110011", "Zba")
def sh3add(m: Sem) -> None:
    m.rd = m.rs2 + (m.rs1 << 3)


@insn("add.uw rd, rs1, rs2", "0000100 rs2 rs1 000 rd 0111011", "Zba", xlen=64)
def add_uw(m: Sem) -> None:
    m.rd = m.rs2 + _uw(m.rs1)


@insn("sh1add.uw rd, rs1, rs2", "0010000 rs2 rs1 010 rd 0111011", "Zba", xlen=64)
def sh1add_uw(m: Sem) -> None:
    m.rd = m.rs2 + (_uw(m.rs1) << 1)


@insn("sh2add.uw rd, rs1, rs2", "0010000 rs2 rs1 100 rd 0111011", "Zba", xlen=64)
def sh2add_uw(m: Sem) -> None:
    m.rd = m.rs2 + (_uw(m.rs1) << 2)


@insn("sh3add.uw rd, rs1, rs2", "0010000 rs2 rs1 110 rd 0111011", "Zba", xlen=64)
def sh3add_uw(m: Sem) -> None:
    m.rd = m.rs2 + (_uw(m.rs1) << 3)


@insn("slli.uw rd, rs1, shamt", "000010 shamt[5:0] rs1 001 rd 0011011", "Zba", xlen=64)
def slli_uw(m: Sem) -> None:
    m.rd = _uw(m.rs1) << m.shamt
