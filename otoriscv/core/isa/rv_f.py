"""F: single precision (unprivileged spec, chapter "F").

Rows read beside the table 'RV32F Standard Extension'; what they mean is in floating.py.
"""

from __future__ import annotations

from otoriscv.core.isa.floating import (
    DYN,
    EQ,
    LE,
    LT,
    arithmetic,
    between,
    classify,
    compare,
    from_int,
    inject,
    load,
    minmax,
    negated,
    read,
    store,
    to_int,
)
from otoriscv.core.isa.sem import Sem
from otoriscv.core.isa.table import insn
from otoriscv.core.softfloat import F32


def _two(m: Sem, op: str, routine: str = "") -> None:
    x, y = read(m, "fs1", F32), read(m, "fs2", F32)
    arithmetic(m, F32, op, routine or op[1:], (x, y), (x, y))


def _fused(m: Sem, *, product: bool = False, addend: bool = False) -> None:
    """fs1 * fs2 + fs3 with the product or the addend negated."""
    x, y, z = (read(m, n, F32) for n in ("fs1", "fs2", "fs3"))
    args = negated(F32, x) if product else x, y, negated(F32, z) if addend else z
    arithmetic(m, F32, "fma", "fma", args, args)


@insn("flw fd, imm(rs1)", "imm[11:0] rs1 010 fd 0000111", "F")
def flw(m: Sem) -> None:
    load(m, F32)


@insn("fsw fs2, imm(rs1)", "imm[11:5] fs2 rs1 010 imm[4:0] 0100111", "F")
def fsw(m: Sem) -> None:
    store(m, F32)


@insn(
    "fmadd.s fd, fs1, fs2, fs3, rm", "fs3 00 fs2 fs1 rm fd 1000011 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fmadd_s(m: Sem) -> None:
    _fused(m)


@insn(
    "fmsub.s fd, fs1, fs2, fs3, rm", "fs3 00 fs2 fs1 rm fd 1000111 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fmsub_s(m: Sem) -> None:
    _fused(m, addend=True)


@insn(
    "fnmsub.s fd, fs1, fs2, fs3, rm", "fs3 00 fs2 fs1 rm fd 1001011 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fnmsub_s(m: Sem) -> None:
    _fused(m, product=True)


@insn(
    "fnmadd.s fd, fs1, fs2, fs3, rm", "fs3 00 fs2 fs1 rm fd 1001111 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fnmadd_s(m: Sem) -> None:
    _fused(m, product=True, addend=True)


@insn("fadd.s fd, fs1, fs2, rm", "00000 00 fs2 fs1 rm fd 1010011 rm!=5,6", "F", variants=DYN)
def fadd_s(m: Sem) -> None:
    _two(m, "fadd")


@insn("fsub.s fd, fs1, fs2, rm", "00001 00 fs2 fs1 rm fd 1010011 rm!=5,6", "F", variants=DYN)
def fsub_s(m: Sem) -> None:
    x, y = read(m, "fs1", F32), read(m, "fs2", F32)
    arithmetic(m, F32, "fsub", "add", (x, y), (x, negated(F32, y)))


@insn("fmul.s fd, fs1, fs2, rm", "00010 00 fs2 fs1 rm fd 1010011 rm!=5,6", "F", variants=DYN)
def fmul_s(m: Sem) -> None:
    _two(m, "fmul")


@insn("fdiv.s fd, fs1, fs2, rm", "00011 00 fs2 fs1 rm fd 1010011 rm!=5,6", "F", variants=DYN)
def fdiv_s(m: Sem) -> None:
    _two(m, "fdiv")


@insn("fsqrt.s fd, fs1, rm", "01011 00 00000 fs1 rm fd 1010011 rm!=5,6", "F", variants=DYN)
def fsqrt_s(m: Sem) -> None:
    x = (read(m, "fs1", F32),)
    arithmetic(m, F32, "fsqrt", "sqrt", x, x)


@insn("fsgnj.s fd, fs1, fs2", "00100 00 fs2 fs1 000 fd 1010011", "F")
def fsgnj_s(m: Sem) -> None:
    inject(m, F32, "copy")


@insn("fsgnjn.s fd, fs1, fs2", "00100 00 fs2 fs1 001 fd 1010011", "F")
def fsgnjn_s(m: Sem) -> None:
    inject(m, F32, "opposite")


@insn("fsgnjx.s fd, fs1, fs2", "00100 00 fs2 fs1 010 fd 1010011", "F")
def fsgnjx_s(m: Sem) -> None:
    inject(m, F32, "xor")


@insn("fmin.s fd, fs1, fs2", "00101 00 fs2 fs1 000 fd 1010011", "F")
def fmin_s(m: Sem) -> None:
    minmax(m, F32, maximum=False)


@insn("fmax.s fd, fs1, fs2", "00101 00 fs2 fs1 001 fd 1010011", "F")
def fmax_s(m: Sem) -> None:
    minmax(m, F32, maximum=True)


@insn("feq.s rd, fs1, fs2", "10100 00 fs2 fs1 010 rd 1010011", "F")
def feq_s(m: Sem) -> None:
    compare(m, F32, EQ)


@insn("flt.s rd, fs1, fs2", "10100 00 fs2 fs1 001 rd 1010011", "F")
def flt_s(m: Sem) -> None:
    compare(m, F32, LT)


@insn("fle.s rd, fs1, fs2", "10100 00 fs2 fs1 000 rd 1010011", "F")
def fle_s(m: Sem) -> None:
    compare(m, F32, LE)


@insn("fclass.s rd, fs1", "11100 00 00000 fs1 001 rd 1010011", "F")
def fclass_s(m: Sem) -> None:
    classify(m, F32)


@insn(
    "fcvt.w.s rd, fs1, rm", "11000 00 00000 fs1 rm rd 1010011 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fcvt_w_s(m: Sem) -> None:
    to_int(m, F32, 0)


@insn(
    "fcvt.s.w fd, rs1, rm", "11010 00 00000 rs1 rm fd 1010011 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fcvt_s_w(m: Sem) -> None:
    from_int(m, F32, 0)


@insn(
    "fcvt.wu.s rd, fs1, rm", "11000 00 00001 fs1 rm rd 1010011 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fcvt_wu_s(m: Sem) -> None:
    to_int(m, F32, 1)


@insn(
    "fcvt.s.wu fd, rs1, rm", "11010 00 00001 rs1 rm fd 1010011 rm!=5,6", "F",
    variants=DYN,
)  # fmt: skip
def fcvt_s_wu(m: Sem) -> None:
    from_int(m, F32, 1)


@insn(
    "fcvt.l.s rd, fs1, rm", "11000 00 00010 fs1 rm rd 1010011 rm!=5,6", "F",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_l_s(m: Sem) -> None:
    to_int(m, F32, 2)


@insn(
    "fcvt.s.l fd, rs1, rm", "11010 00 00010 rs1 rm fd 1010011 rm!=5,6", "F",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_s_l(m: Sem) -> None:
    from_int(m, F32, 2)


@insn(
    "fcvt.lu.s rd, fs1, rm", "11000 00 00011 fs1 rm rd 1010011 rm!=5,6", "F",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_lu_s(m: Sem) -> None:
    to_int(m, F32, 3)


@insn(
    "fcvt.s.lu fd, rs1, rm", "11010 00 00011 rs1 rm fd 1010011 rm!=5,6", "F",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_s_lu(m: Sem) -> None:
    from_int(m, F32, 3)


@insn("fmv.x.w rd, fs1", "11100 00 00000 fs1 000 rd 1010011", "F")
def fmv_x_w(m: Sem) -> None:
    between(m, 32, to_x=True)


@insn("fmv.w.x fd, rs1", "11110 00 00000 rs1 000 fd 1010011", "F")
def fmv_w_x(m: Sem) -> None:
    between(m, 32, to_x=False)
