"""RV32I and RV64I (unprivileged spec, chapters 2 and 4)."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.layout import Exit
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.uop import Value

#: A jump's variants: target in its own page; no C extension and target not 4-byte aligned.
JUMP = ("near", "odd")


@insn("lui rd, imm", "imm[31:12] rd 0110111", "I")
def lui(m: Sem) -> None:
    m.rd = m.imm


@insn("auipc rd, imm", "imm[31:12] rd 0010111", "I")
def auipc(m: Sem) -> None:
    m.rd = m.pc + m.imm


@insn("jal rd, imm", "imm[20|10:1|11|19:12] rd 1101111", "I", variants=JUMP)
def jal(m: Sem) -> None:
    if "odd" in m.variant:
        m.trap(CAUSE.FETCH_MISALIGNED, m.pc + m.imm)
        return
    m.rd = m.npc
    m.jump_rel(m.imm)


@insn("jalr rd, imm(rs1)", "imm[11:0] rs1 000 rd 1100111", "I", variants=("noc",))
def jalr(m: Sem) -> None:
    target = (m.rs1 + m.imm) & -2
    if "noc" in m.variant:
        m.trap_if(target.bit(1), CAUSE.FETCH_MISALIGNED, target)
    m.rd = m.npc
    m.jump(target)


def _branch(m: Sem, taken: Value) -> None:
    if "odd" in m.variant:
        m.trap_if(taken, CAUSE.FETCH_MISALIGNED, m.pc + m.imm)
    else:
        m.branch(taken, m.imm)


@insn("beq rs1, rs2, imm", "imm[12|10:5] rs2 rs1 000 imm[4:1|11] 1100011", "I", variants=JUMP)
def beq(m: Sem) -> None:
    _branch(m, m.rs1.eq(m.rs2))


@insn("bne rs1, rs2, imm", "imm[12|10:5] rs2 rs1 001 imm[4:1|11] 1100011", "I", variants=JUMP)
def bne(m: Sem) -> None:
    _branch(m, m.rs1.ne(m.rs2))


@insn("blt rs1, rs2, imm", "imm[12|10:5] rs2 rs1 100 imm[4:1|11] 1100011", "I", variants=JUMP)
def blt(m: Sem) -> None:
    _branch(m, m.rs1.lts(m.rs2))


@insn("bge rs1, rs2, imm", "imm[12|10:5] rs2 rs1 101 imm[4:1|11] 1100011", "I", variants=JUMP)
def bge(m: Sem) -> None:
    _branch(m, m.rs1.ges(m.rs2))


@insn("bltu rs1, rs2, imm", "imm[12|10:5] rs2 rs1 110 imm[4:1|11] 1100011", "I", variants=JUMP)
def bltu(m: Sem) -> None:
    _branch(m, m.rs1.ltu(m.rs2))


@insn("bgeu rs1, rs2, imm", "imm[12|10:5] rs2 rs1 111 imm[4:1|11] 1100011", "I", variants=JUMP)
def bgeu(m: Sem) -> None:
    _branch(m, m.rs1.geu(m.rs2))


def _load(m: Sem, bits: int) -> Value:
    return m.load(m.rs1 + m.imm, bits)


@insn("lb rd, imm(rs1)", "imm[11:0] rs1 000 rd 0000011", "I")
def lb(m: Sem) -> None:
    m.rd = _load(m, 8).sext(m.xlen)


@insn("lh rd, imm(rs1)", "imm[11:0] rs1 001 rd 0000011", "I")
def lh(m: Sem) -> None:
    m.rd = _load(m, 16).sext(m.xlen)


@insn("lw rd, imm(rs1)", "imm[11:0] rs1 010 rd 0000011", "I")
def lw(m: Sem) -> None:
    m.rd = _load(m, 32).sext(m.xlen)


@insn("ld rd, imm(rs1)", "imm[11:0] rs1 011 rd 0000011", "I", xlen=64)
def ld(m: Sem) -> None:
    m.rd = _load(m, 64)


@insn("lbu rd, imm(rs1)", "imm[11:0] rs1 100 rd 0000011", "I")
def lbu(m: Sem) -> None:
    m.rd = _load(m, 8).zext(m.xlen)


@insn("lhu rd, imm(rs1)", "imm[11:0] rs1 101 rd 0000011", "I")
def lhu(m: Sem) -> None:
    m.rd = _load(m, 16).zext(m.xlen)


@insn("lwu rd, imm(rs1)", "imm[11:0] rs1 110 rd 0000011", "I", xlen=64)
def lwu(m: Sem) -> None:
    m.rd = _load(m, 32).zext(64)


@insn("sb rs2, imm(rs1)", "imm[11:5] rs2 rs1 000 imm[4:0] 0100011", "I")
def sb(m: Sem) -> None:
    m.store(m.rs1 + m.imm, m.rs2.trunc(8))


@insn("sh rs2, imm(rs1)", "imm[11:5] rs2 rs1 001 imm[4:0] 0100011", "I")
def sh(m: Sem) -> None:
    m.store(m.rs1 + m.imm, m.rs2.trunc(16))


@insn("sw rs2, imm(rs1)", "imm[11:5] rs2 rs1 010 imm[4:0] 0100011", "I")
def sw(m: Sem) -> None:
    m.store(m.rs1 + m.imm, m.rs2.trunc(32))


@insn("sd rs2, imm(rs1)", "imm[11:5] rs2 rs1 011 imm[4:0] 0100011", "I", xlen=64)
def sd(m: Sem) -> None:
    m.store(m.rs1 + m.imm, m.rs2)


@insn("addi rd, rs1, imm", "imm[11:0] rs1 000 rd 0010011", "I")
def addi(m: Sem) -> None:
    m.rd = m.rs1 + m.imm


@insn("slti rd, rs1, imm", "imm[11:0] rs1 010 rd 0010011", "I")
def slti(m: Sem) -> None:
    m.rd = m.rs1.lts(m.imm).zext(m.xlen)


@insn("sltiu rd, rs1, imm", "imm[11:0] rs1 011 rd 0010011", "I")
def sltiu(m: Sem) -> None:
    m.rd = m.rs1.ltu(m.imm).zext(m.xlen)


@insn("xori rd, rs1, imm", "imm[11:0] rs1 100 rd 0010011", "I")
def xori(m: Sem) -> None:
    m.rd = m.rs1 ^ m.imm


@insn("ori rd, rs1, imm", "imm[11:0] rs1 110 rd 0010011", "I")
def ori(m: Sem) -> None:
    m.rd = m.rs1 | m.imm


@insn("andi rd, rs1, imm", "imm[11:0] rs1 111 rd 0010011", "I")
def andi(m: Sem) -> None:
    m.rd = m.rs1 & m.imm


@insn("slli rd, rs1, shamt", "0000000 shamt[4:0] rs1 001 rd 0010011", "I", xlen=32)
@insn("slli rd, rs1, shamt", "000000 shamt[5:0] rs1 001 rd 0010011", "I", xlen=64)
def slli(m: Sem) -> None:
    m.rd = m.rs1 << m.shamt


@insn("srli rd, rs1, shamt", "0000000 shamt[4:0] rs1 101 rd 0010011", "I", xlen=32)
@insn("srli rd, rs1, shamt", "000000 shamt[5:0] rs1 101 rd 0010011", "I", xlen=64)
def srli(m: Sem) -> None:
    m.rd = m.rs1 >> m.shamt


@insn("srai rd, rs1, shamt", "0100000 shamt[4:0] rs1 101 rd 0010011", "I", xlen=32)
@insn("srai rd, rs1, shamt", "010000 shamt[5:0] rs1 101 rd 0010011", "I", xlen=64)
def srai(m: Sem) -> None:
    m.rd = m.rs1.sar(m.shamt)


@insn("add rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0110011", "I")
def add(m: Sem) -> None:
    m.rd = m.rs1 + m.rs2


@insn("sub rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0110011", "I")
def sub(m: Sem) -> None:
    m.rd = m.rs1 - m.rs2


@insn("sll rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0110011", "I")
def sll(m: Sem) -> None:
    m.rd = m.rs1 << m.rs2


@insn("slt rd, rs1, rs2", "0000000 rs2 rs1 010 rd 0110011", "I")
def slt(m: Sem) -> None:
    m.rd = m.rs1.lts(m.rs2).zext(m.xlen)


@insn("sltu rd, rs1, rs2", "0000000 rs2 rs1 011 rd 0110011", "I")
def sltu(m: Sem) -> None:
    m.rd = m.rs1.ltu(m.rs2).zext(m.xlen)


@insn("xor rd, rs1, rs2", "0000000 rs2 rs1 100 rd 0110011", "I")
def xor(m: Sem) -> None:
    m.rd = m.rs1 ^ m.rs2


@insn("srl rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0110011", "I")
def srl(m: Sem) -> None:
    m.rd = m.rs1 >> m.rs2


@insn("sra rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0110011", "I")
def sra(m: Sem) -> None:
    m.rd = m.rs1.sar(m.rs2)


@insn("or rd, rs1, rs2", "0000000 rs2 rs1 110 rd 0110011", "I")
def or_(m: Sem) -> None:
    m.rd = m.rs1 | m.rs2


@insn("and rd, rs1, rs2", "0000000 rs2 rs1 111 rd 0110011", "I")
def and_(m: Sem) -> None:
    m.rd = m.rs1 & m.rs2


@insn("addiw rd, rs1, imm", "imm[11:0] rs1 000 rd 0011011", "I", xlen=64)
def addiw(m: Sem) -> None:
    m.rd = (m.rs1 + m.imm).trunc(32).sext(64)


@insn("slliw rd, rs1, shamt", "0000000 shamt[4:0] rs1 001 rd 0011011", "I", xlen=64)
def slliw(m: Sem) -> None:
    m.rd = (m.rs1.trunc(32) << m.shamt.trunc(32)).sext(64)


@insn("srliw rd, rs1, shamt", "0000000 shamt[4:0] rs1 101 rd 0011011", "I", xlen=64)
def srliw(m: Sem) -> None:
    m.rd = (m.rs1.trunc(32) >> m.shamt.trunc(32)).sext(64)


@insn("sraiw rd, rs1, shamt", "0100000 shamt[4:0] rs1 101 rd 0011011", "I", xlen=64)
def sraiw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).sar(m.shamt.trunc(32)).sext(64)


@insn("addw rd, rs1, rs2", "0000000 rs2 rs1 000 rd 0111011", "I", xlen=64)
def addw(m: Sem) -> None:
    m.rd = (m.rs1 + m.rs2).trunc(32).sext(64)


@insn("subw rd, rs1, rs2", "0100000 rs2 rs1 000 rd 0111011", "I", xlen=64)
def subw(m: Sem) -> None:
    m.rd = (m.rs1 - m.rs2).trunc(32).sext(64)


@insn("sllw rd, rs1, rs2", "0000000 rs2 rs1 001 rd 0111011", "I", xlen=64)
def sllw(m: Sem) -> None:
    m.rd = (m.rs1.trunc(32) << m.rs2.trunc(32)).sext(64)


@insn("srlw rd, rs1, rs2", "0000000 rs2 rs1 101 rd 0111011", "I", xlen=64)
def srlw(m: Sem) -> None:
    m.rd = (m.rs1.trunc(32) >> m.rs2.trunc(32)).sext(64)


@insn("sraw rd, rs1, rs2", "0100000 rs2 rs1 101 rd 0111011", "I", xlen=64)
def sraw(m: Sem) -> None:
    m.rd = m.rs1.trunc(32).sar(m.rs2.trunc(32)).sext(64)


@insn("fence pred, succ", "fm pred succ rs1 000 rd 0001111", "I")
def fence(m: Sem) -> None:
    """All harts run on one thread and every access is ordered: nothing to do."""


@insn("ecall", "000000000000 00000 000 00000 1110011", "I")
def ecall(m: Sem) -> None:
    m.trap(m.get("priv") + CAUSE.ECALL_U)


@insn("ebreak", "000000000001 00000 000 00000 1110011", "I")
def ebreak(m: Sem) -> None:
    """Leaves to Python under a debugger or semihosting, which then decide what it is."""
    m.leave_if(m.get_m("ebreak_exits").ne(0), Exit.EBREAK)
    m.trap(CAUSE.BREAKPOINT, m.pc)
