"""Pseudo-instructions, as the assembler and objdump know them: one table for both directions.

A line is: name, operands, the base instruction with its fixed operands. The first line that fits
names an instruction. ``<`` marks what only the assembler knows; ``c.mv`` at the end of a line, that
it names that compressed form only; ``fs2=fs1``, that these two are the same register.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from otoriscv.core.isa_table import ABI_NUMBERS, FLOAT_FIELDS

__all__ = ["ALIASES", "Alias"]

_TEXT: Final = """
nop    |            | addi rd=zero rs1=zero imm=0
li     | rd, imm    | addi rs1=zero
mv     | rd, rs1    | addi imm=0
mv     | rd, rs2    | add rs1=zero            | c.mv
not    | rd, rs1    | xori imm=-1
neg    | rd, rs2    | sub rs1=zero
negw   | rd, rs2    | subw rs1=zero
sext.w | rd, rs1    | addiw imm=0
zext.b | rd, rs1    | andi imm=255
zext.w | rd, rs1    | add.uw rs2=zero
seqz   | rd, rs1    | sltiu imm=1
snez   | rd, rs2    | sltu rs1=zero
sltz   | rd, rs1    | slt rs2=zero
sgtz   | rd, rs2    | slt rs1=zero
beqz   | rs1, imm   | beq rs2=zero
bnez   | rs1, imm   | bne rs2=zero
blez   | rs2, imm   | bge rs1=zero
bgez   | rs1, imm   | bge rs2=zero
bltz   | rs1, imm   | blt rs2=zero
bgtz   | rs2, imm   | blt rs1=zero
ble    | rs2, rs1, imm | bge                  | <
bgt    | rs2, rs1, imm | blt                  | <
bleu   | rs2, rs1, imm | bgeu                 | <
bgtu   | rs2, rs1, imm | bltu                 | <
j      | imm        | jal rd=zero
jal    | imm        | jal rd=ra
call   | imm        | jal rd=ra               | <
tail   | imm        | jal rd=zero             | <
ret    |            | jalr rd=zero rs1=ra imm=0
jr     | rs1        | jalr rd=zero imm=0
jr     | imm(rs1)   | jalr rd=zero
jalr   | rs1        | jalr rd=ra imm=0
jalr   | imm(rs1)   | jalr rd=ra
jalr   | rd, rs1    | jalr imm=0
fence  |            | fence fm=0 pred=15 succ=15 rs1=zero rd=zero
fence.tso |         | fence fm=8 pred=3 succ=3 rs1=zero rd=zero
unimp  |            | csrrw rd=zero csr=0xc00 rs1=zero
rdcycle    | rd     | csrrs csr=0xc00 rs1=zero
rdtime     | rd     | csrrs csr=0xc01 rs1=zero
rdinstret  | rd     | csrrs csr=0xc02 rs1=zero
rdcycleh   | rd     | csrrs csr=0xc80 rs1=zero | rv32
rdtimeh    | rd     | csrrs csr=0xc81 rs1=zero | rv32
rdinstreth | rd     | csrrs csr=0xc82 rs1=zero | rv32
frflags    | rd     | csrrs csr=1 rs1=zero
frrm       | rd     | csrrs csr=2 rs1=zero
frcsr      | rd     | csrrs csr=3 rs1=zero
fsflags    | rs1    | csrrw csr=1 rd=zero
fsflags    | rd, rs1 | csrrw csr=1
fsrm       | rs1    | csrrw csr=2 rd=zero
fsrm       | rd, rs1 | csrrw csr=2
fscsr      | rs1    | csrrw csr=3 rd=zero
fscsr      | rd, rs1 | csrrw csr=3
fsflagsi   | zimm   | csrrwi csr=1 rd=zero
fsflagsi   | rd, zimm | csrrwi csr=1
fsrmi      | zimm   | csrrwi csr=2 rd=zero
fsrmi      | rd, zimm | csrrwi csr=2
fmv.s  | fd, fs1    | fsgnj.s fs2=fs1
fneg.s | fd, fs1    | fsgnjn.s fs2=fs1
fabs.s | fd, fs1    | fsgnjx.s fs2=fs1
fmv.d  | fd, fs1    | fsgnj.d fs2=fs1
fneg.d | fd, fs1    | fsgnjn.d fs2=fs1
fabs.d | fd, fs1    | fsgnjx.d fs2=fs1
csrr   | rd, csr    | csrrs rs1=zero
csrw   | csr, rs1   | csrrw rd=zero
csrs   | csr, rs1   | csrrs rd=zero
csrc   | csr, rs1   | csrrc rd=zero
csrwi  | csr, zimm  | csrrwi rd=zero
csrsi  | csr, zimm  | csrrsi rd=zero
csrci  | csr, zimm  | csrrci rd=zero
sfence.vma |        | sfence.vma rs1=zero rs2=zero
sfence.vma | rs1    | sfence.vma rs2=zero
"""


class Alias(NamedTuple):
    """Another name for a base instruction with some operands fixed."""

    name: str
    operands: str
    base: str
    fixed: dict[str, int]
    same: dict[str, str]  # operands equal to others
    assembler_only: bool
    source: str  # the compressed row it is for, or ""
    xlens: tuple[int, ...]


def _parse(line: str) -> Alias:
    name, operands, base, *note = (part.strip() for part in line.split("|"))
    base, *sets = base.split()
    fixed, same = {}, {}
    for text in sets:
        operand, _, value = text.partition("=")
        if value in FLOAT_FIELDS:
            same[operand] = value
            continue
        fixed[operand] = ABI_NUMBERS[value] if value in ABI_NUMBERS else int(value, 0)
    flag = note[0] if note else ""
    return Alias(
        name, operands, base, fixed, same, flag == "<", flag if flag.startswith("c.") else "",
        (32,) if flag == "rv32" else (32, 64),
    )  # fmt: skip


ALIASES: Final = tuple(_parse(line) for line in _TEXT.strip().splitlines())
