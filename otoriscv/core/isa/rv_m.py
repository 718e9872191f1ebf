"""M: multiplication and division (unprivileged spec, chapter "M"). Zmmul is its first half."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem

_MUL = "M|Zmmul"


@insn("mul rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0110011", _MUL)
def mul(m: Sem) -> None:
    m.rd = m.rs1 * m.rs2


@insn("mulh rd, rs1, rs2", "0000001 rs2 rs1 001 rd 0110011", _MUL)
def mulh(m: Sem) -> None:
    m.rd = m.rs1.mulhs(m.rs2)


@insn("mulhsu rd, rs1, rs2", "0000001 rs2 rs1 010 rd 0110011", _MUL)
def mulhsu(m: Sem) -> None:
    m.rd = m.rs1.mulhsu(m.rs2)


@insn("mulhu rd, rs1, rs2", "0000001 rs2 rs1 011 rd 0110011", _MUL)
def mulhu(m: Sem) -> None:
    m.rd = m.rs1.mulhu(m.rs2)


@insn("div rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0110011", "M")
def div(m: Sem) -> None:
    m.rd = m.rs1.divs(m.rs2)


@insn("divu rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0110011", "M")
def divu(m: Sem) -> None:
    m.rd = m.rs1.divu(m.rs2)


@insn("rem rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0110011", "M")
def rem(m: Sem) -> None:
    m.rd = m.rs1.rems(m.rs2)


@insn("remu rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0110011", "M")
def remu(m: Sem) -> None:
    m.rd = m.rs1.remu(m.rs2)


@insn("mulw rd, rs1, rs2", "0000001 rs2 rs1 000 rd 0111011", _MUL, xlen=64)
def mulw(m: Sem) -> None:
    m.rd = (m.rs1 * m.rs2).trunc(32).sext(64)


@insn("divw rd, rs1, rs2", "0000001 rs2 rs1 100 rd 0111011", "M", xlen=64)
def divw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).divs(m.rs2.trunc(32)).sext(64)


@insn("divuw rd, rs1, rs2", "0000001 rs2 rs1 101 rd 0111011", "M", xlen=64)
def divuw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).divu(m.rs2.trunc(32)).sext(64)


@insn("remw rd, rs1, rs2", "0000001 rs2 rs1 110 rd 0111011", "M", xlen=64)
def remw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).rems(m.rs2.trunc(32)).sext(64)


@insn("remuw rd, rs1, rs2", "0000001 rs2 rs1 111 rd 0111011", "M", xlen=64)
def remuw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).remu(m.rs2.trunc(32)).sext(64)
