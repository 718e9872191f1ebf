"""D: double precision (unprivileged spec, chapter "D"); rows that F has, too: rv_fd.py."""

from __future__ import annotations

from otoriscv.core.isa.floating import DYN, between, convert, load, store
from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem
from otoriscv.core.softfloat import F32, F64


@insn("fld fd, imm(rs1)", "imm[11:0] rs1 011 fd 0000111", "D")
def fld(m: Sem) -> None:
    load(m, F64)


@insn("fsd fs2, imm(rs1)", "imm[11:5] fs2 rs1 011 imm[4:0] 0100111", "D")
def fsd(m: Sem) -> None:
    store(m, F64)


@insn("fcvt.s.d fd, fs1, rm", "01000 00 00001 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fcvt_s_d(m: Sem) -> None:
    convert(m, F64, F32)


@insn("fcvt.d.s fd, fs1, rm", "01000 01 00000 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fcvt_d_s(m: Sem) -> None:
    convert(m, F32, F64)


@insn("fmv.x.d rd, fs1", "11100 01 00000 fs1 000 rd 1010011", "D", xlen=64)
def fmv_x_d(m: Sem) -> None:
    between(m, F64, to_x=True)


@insn("fmv.d.x fd, rs1", "11110 01 00000 rs1 000 fd 1010011", "D", xlen=64)
def fmv_d_x(m: Sem) -> None:
    between(m, F64, to_x=False)
