"""Zbb: basic bit manipulation (bit-manipulation spec)."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem
from otoriscv.core.uop import Value


def _rol(v: Value, n: Value) -> Value:
    return v << n | v >> (n.builder.const(0, n.width) - n)


def _ror(v: Value, n: Value) -> Value:
    return v >> n | v << (n.builder.const(0, n.width) - n)


@insn("andn rd, rs1, rs2", "0100000 rs2 rs1 111 rd 0110011", "Zbb")
def andn(m: Sem) -> None:
    m.rd = m.rs1 & ~m.rs2


@insn("orn rd, rs1, rs2", "0100000 rs2 rs1 110 rd 0110011", "Zbb")
def orn(m: Sem) -> None:
    m.rd = m.rs1 | ~m.rs2


@insn("xnor rd, rs1, rs2", "0100000 rs2 rs1 100 rd 0110011", "Zbb")
def xnor(m: Sem) -> None:
    m.rd = ~(m.rs1 ^ m.rs2)


@insn("clz rd, rs1", "0110000 00000 rs1 001 rd 0010011", "Zbb")
def clz(m: Sem) -> None:
    m.rd = m.rs1.clz()


@insn("ctz rd, rs1", "0110000 00001 rs1 001 rd 0010011", "Zbb")
def ctz(m: Sem) -> None:
    m.rd = m.rs1.ctz()


@insn("cpop rd, rs1", "0110000 00010 rs1 001 rd 0010011", "Zbb")
def cpop(m: Sem) -> None:
    m.rd = m.rs1.popcount()


@insn("clzw rd, rs1", "0110000 00000 rs1 001 rd 0011011", "Zbb", xlen=64)
def clzw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).clz().zext(64)


@insn("ctzw rd, rs1", "0110000 00001 rs1 001 rd 0011011", "Zbb", xlen=64)
def ctzw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).ctz().zext(64)


@insn("cpopw rd, rs1", "0110000 00010 rs1 001 rd 0011011", "Zbb", xlen=64)
def cpopw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).popcount().zext(64)


@insn("max rd, rs1, rs2", "0000101 rs2 rs1 110 rd 0110011", "Zbb")
def max_(m: Sem) -> None:
    m.rd = m.rs1.lts(m.rs2).select(m.rs2, m.rs1)


@insn("maxu rd, rs1, rs2", "0000101 rs2 rs1 111 rd 0110011", "Zbb")
def maxu(m: Sem) -> None:
    m.rd = m.rs1.ltu(m.rs2).select(m.rs2, m.rs1)


@insn("min rd, rs1, rs2", "0000101 rs2 rs1 100 rd 0110011", "Zbb")
def min_(m: Sem) -> None:
    m.rd = m.rs1.lts(m.rs2).select(m.rs1, m.rs2)


@insn("minu rd, rs1, rs2", "0000101 rs2 rs1 101 rd 0110011", "Zbb")
def minu(m: Sem) -> None:
    m.rd = m.rs1.ltu(m.rs2).select(m.rs1, m.rs2)


@insn("sext.b rd, rs1", "0110000 00100 rs1 001 rd 0010011", "Zbb")
def sext_b(m: Sem) -> None:
    m.rd = m.rs1.trunc(8).sext(m.xlen)


@insn("sext.h rd, rs1", "0110000 00101 rs1 001 rd 0010011", "Zbb")
def sext_h(m: Sem) -> None:
    m.rd = m.rs1.trunc(16).sext(m.xlen)


@insn("zext.h rd, rs1", "0000100 00000 rs1 100 rd 0110011", "Zbb", xlen=32)
@insn("zext.h rd, rs1", "0000100 00000 rs1 100 rd 0111011", "Zbb", xlen=64)
def zext_h(m: Sem) -> None:
    m.rd = m.rs1.trunc(16).zext(m.xlen)


@insn("rol rd, rs1, rs2", "0110000 rs2 rs1 001 rd 0110011", "Zbb")
def rol(m: Sem) -> None:
    m.rd = _rol(m.rs1, m.rs2)


@insn("ror rd, rs1, rs2", "0110000 rs2 rs1 101 rd 0110011", "Zbb")
def ror(m: Sem) -> None:
    m.rd = _ror(m.rs1, m.rs2)


@insn("rori rd, rs1, shamt", "0110000 shamt[4:0] rs1 101 rd 0010011", "Zbb", xlen=32)
@insn("rori rd, rs1, shamt", "011000 shamt[5:0] rs1 101 rd 0010011", "Zbb", xlen=64)
def rori(m: Sem) -> None:
    m.rd = _ror(m.rs1, m.shamt)


@insn("rolw rd, rs1, rs2", "0110000 rs2 rs1 001 rd 0111011", "Zbb", xlen=64)
def rolw(m: Sem) -> None:
    m.rd = _rol(m.rs1.trunc(32), m.rs2.trunc(32)).sext(64)


@insn("rorw rd, rs1, rs2", "0110000 rs2 rs1 101 rd 0111011", "Zbb", xlen=64)
def rorw(m: Sem) -> None:
    m.rd = _ror(m.rs1.trunc(32), m.rs2.trunc(32)).sext(64)


@insn("roriw rd, rs1, shamt", "0110000 shamt[4:0] rs1 101 rd 0011011", "Zbb", xlen=64)
def roriw(m: Sem) -> None:
    m.rd = _ror(m.rs1.trunc(32), m.shamt.trunc(32)).sext(64)


@insn("orc.b rd, rs1", "001010000111 rs1 101 rd 0010011", "Zbb")
def orc_b(m: Sem) -> None:
    """Bit 0 of each byte becomes the OR of its bits, then fills the byte."""
    v = m.rs1
    v = v | v >> 4
    v = v | v >> 2
    v = v | v >> 1
    m.rd = (v & 0x0101_0101_0101_0101) * 0xFF


@insn("rev8 rd, rs1", "011010011000 rs1 101 rd 0010011", "Zbb", xlen=32)
@insn("rev8 rd, rs1", "011010111000 rs1 101 rd 0010011", "Zbb", xlen=64)
def rev8(m: Sem) -> None:
    m.rd = m.rs1.bswap()
