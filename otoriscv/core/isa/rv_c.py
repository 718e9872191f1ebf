"""C: compressed encodings of base instructions (unprivileged spec, chapter "C"); Zca without FP.

The patterns read beside the spec's tables, the expansion beside their last column. Reserved
encodings match no row.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.isa_table import compressed

_J: Final = "imm[11|4|9:8|10|6|7|3:1|5]"
_B: Final = "imm[8|4:3] rs1' imm[7:6|2:1|5]"


def _shift(name: str, high: str, rd: str, low: str, base: str) -> None:
    """A shift: its count has five bits on RV32, where a sixth is reserved."""
    expands = f"{base} rd=rd rs1=rd shamt=nzshamt"
    asm = f"{name} rd, nzshamt"
    compressed(asm, f"{high} 0 {rd} nzshamt[4:0] {low}", expands, xlen=32)
    compressed(asm, f"{high} nzshamt[5] {rd} nzshamt[4:0] {low}", expands, xlen=64)


def _hint(asm: str, pattern: str, expands: str, xlen: int | None = None) -> None:
    """A HINT: executed as the instruction without effect that it looks like."""
    compressed(asm, pattern, expands, xlen=xlen, hint=True)


# Quadrant 0
compressed(
    "c.addi4spn rd, sp, nzuimm", "000 nzuimm[5:4|9:6|2|3] rd' 00", "addi rd=rd rs1=sp imm=nzuimm"
)
compressed("c.lw rd, uimm(rs1)", "010 uimm[5:3] rs1' uimm[2|6] rd' 00", "lw rd=rd rs1=rs1 imm=uimm")
compressed(
    "c.ld rd, uimm(rs1)",
    "011 uimm[5:3] rs1' uimm[7:6] rd' 00",
    "ld rd=rd rs1=rs1 imm=uimm",
    xlen=64,
)
compressed(
    "c.sw rs2, uimm(rs1)", "110 uimm[5:3] rs1' uimm[2|6] rs2' 00", "sw rs1=rs1 rs2=rs2 imm=uimm"
)
compressed(
    "c.sd rs2, uimm(rs1)", "111 uimm[5:3] rs1' uimm[7:6] rs2' 00", "sd rs1=rs1 rs2=rs2 imm=uimm",
    xlen=64,
)  # fmt: skip

# Quadrant 1
compressed("c.nop", "000 0 00000 00000 01", "addi rd=zero rs1=zero imm=0")
compressed("c.addi rd, nzimm", "000 nzimm[5] rd nzimm[4:0] 01 rd!=0", "addi rd=rd rs1=rd imm=nzimm")
compressed("c.jal imm", f"001 {_J} 01", "jal rd=ra imm=imm", xlen=32)
compressed(
    "c.addiw rd, imm", "001 imm[5] rd imm[4:0] 01 rd!=0", "addiw rd=rd rs1=rd imm=imm", xlen=64
)
compressed("c.li rd, imm", "010 imm[5] rd imm[4:0] 01 rd!=0", "addi rd=rd rs1=zero imm=imm")
compressed(
    "c.addi16sp sp, nzimm", "011 nzimm[9] 00010 nzimm[4|6|8:7|5] 01", "addi rd=sp rs1=sp imm=nzimm"
)
compressed("c.lui rd, nzimm", "011 nzimm[17] rd nzimm[16:12] 01 rd!=0,2", "lui rd=rd imm=nzimm")
_shift("c.srli", "100", "00 rd'", "01", "srli")
_shift("c.srai", "100", "01 rd'", "01", "srai")
compressed("c.andi rd, imm", "100 imm[5] 10 rd' imm[4:0] 01", "andi rd=rd rs1=rd imm=imm")
compressed("c.sub rd, rs2", "100 0 11 rd' 00 rs2' 01", "sub rd=rd rs1=rd rs2=rs2")
compressed("c.xor rd, rs2", "100 0 11 rd' 01 rs2' 01", "xor rd=rd rs1=rd rs2=rs2")
compressed("c.or rd, rs2", "100 0 11 rd' 10 rs2' 01", "or rd=rd rs1=rd rs2=rs2")
compressed("c.and rd, rs2", "100 0 11 rd' 11 rs2' 01", "and rd=rd rs1=rd rs2=rs2")
compressed("c.subw rd, rs2", "100 1 11 rd' 00 rs2' 01", "subw rd=rd rs1=rd rs2=rs2", xlen=64)
compressed("c.addw rd, rs2", "100 1 11 rd' 01 rs2' 01", "addw rd=rd rs1=rd rs2=rs2", xlen=64)
compressed("c.j imm", f"101 {_J} 01", "jal rd=zero imm=imm")
compressed("c.beqz rs1, imm", f"110 {_B} 01", "beq rs1=rs1 rs2=zero imm=imm")
compressed("c.bnez rs1, imm", f"111 {_B} 01", "bne rs1=rs1 rs2=zero imm=imm")

# Quadrant 2
_shift("c.slli", "000", "rd", "10 rd!=0", "slli")
compressed(
    "c.lwsp rd, uimm(sp)", "010 uimm[5] rd uimm[4:2|7:6] 10 rd!=0", "lw rd=rd rs1=sp imm=uimm"
)
compressed(
    "c.ldsp rd, uimm(sp)", "011 uimm[5] rd uimm[4:3|8:6] 10 rd!=0", "ld rd=rd rs1=sp imm=uimm",
    xlen=64,
)  # fmt: skip
compressed("c.jr rs1", "100 0 rs1 00000 10 rs1!=0", "jalr rd=zero rs1=rs1 imm=0")
compressed("c.mv rd, rs2", "100 0 rd rs2 10 rd!=0 rs2!=0", "add rd=rd rs1=zero rs2=rs2")
compressed("c.ebreak", "100 1 00000 00000 10", "ebreak")
compressed("c.jalr rs1", "100 1 rs1 00000 10 rs1!=0", "jalr rd=ra rs1=rs1 imm=0")
compressed("c.add rd, rs2", "100 1 rd rs2 10 rd!=0 rs2!=0", "add rd=rd rs1=rd rs2=rs2")
compressed("c.swsp rs2, uimm(sp)", "110 uimm[5:2|7:6] rs2 10", "sw rs1=sp rs2=rs2 imm=uimm")
compressed(
    "c.sdsp rs2, uimm(sp)", "111 uimm[5:3|8:6] rs2 10", "sd rs1=sp rs2=rs2 imm=uimm", xlen=64
)

# HINTs
_hint("c.nop nzimm", "000 nzimm[5] 00000 nzimm[4:0] 01", "addi rd=zero rs1=zero imm=nzimm")
_hint("c.addi rd, 0", "000 0 rd 00000 01 rd!=0", "addi rd=rd rs1=rd imm=0")
_hint("c.li zero, imm", "010 imm[5] 00000 imm[4:0] 01", "addi rd=zero rs1=zero imm=imm")
_hint("c.lui zero, nzimm", "011 nzimm[17] 00000 nzimm[16:12] 01", "lui rd=zero imm=nzimm")
_hint("c.srli64 rd", "100 0 00 rd' 00000 01", "srli rd=rd rs1=rd shamt=0")
_hint("c.srai64 rd", "100 0 01 rd' 00000 01", "srai rd=rd rs1=rd shamt=0")
_hint("c.slli64 rd", "000 0 rd 00000 10", "slli rd=rd rs1=rd shamt=0")
_hint(
    "c.slli zero, nzshamt", "000 0 00000 nzshamt[4:0] 10", "slli rd=zero rs1=zero shamt=nzshamt", 32
)
_hint(
    "c.slli zero, nzshamt", "000 nzshamt[5] 00000 nzshamt[4:0] 10",
    "slli rd=zero rs1=zero shamt=nzshamt", 64,
)  # fmt: skip
_hint("c.mv zero, rs2", "100 0 00000 rs2 10 rs2!=0", "add rd=zero rs1=zero rs2=rs2")
_hint("c.add zero, rs2", "100 1 00000 rs2 10 rs2!=0", "add rd=zero rs1=zero rs2=rs2")
