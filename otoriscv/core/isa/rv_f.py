"""F: single precision (unprivileged spec, chapter "F"); rows that D has, too: rv_fd.py."""

from __future__ import annotations

from otoriscv.core.isa.floating import between, load, store
from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem
from otoriscv.core.softfloat import F32


@insn("flw fd, imm(rs1)", "imm[11:0] rs1 010 fd 0000111", "F")
def flw(m: Sem) -> None:
    load(m, F32)


@insn("fsw fs2, imm(rs1)", "imm[11:5] fs2 rs1 010 imm[4:0] 0100111", "F")
def fsw(m: Sem) -> None:
    store(m, F32)


@insn("fmv.x.w rd, fs1", "11100 00 00000 fs1 000 rd 1010011", "F")
def fmv_x_w(m: Sem) -> None:
    between(m, F32, to_x=True)


@insn("fmv.w.x fd, rs1", "11110 00 00000 rs1 000 fd 1010011", "F")
def fmv_w_x(m: Sem) -> None:
    between(m, F32, to_x=False)
