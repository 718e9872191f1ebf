"""D: double precision (unprivileged spec, chapter "D"); the rows of F, of twice the width."""

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
    convert,
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
from otoriscv.core.softfloat import F32, F64


def _two(m: Sem, op: str, routine: str = "") -> None:
    x, y = read(m, "fs1", F64), read(m, "fs2", F64)
    arithmetic(m, F64, op, routine or op[1:], (x, y), (x, y))


def _fused(m: Sem, *, product: bool = False, addend: bool = False) -> None:
    """fs1 * fs2 + fs3 with the product or the addend negated."""
    x, y, z = (read(m, n, F64) for n in ("fs1", "fs2", "fs3"))
    args = negated(F64, x) if product else x, y, negated(F64, z) if addend else z
    arithmetic(m, F64, "fma", "fma", args, args)


@insn("fld fd, imm(rs1)", "imm[11:0] rs1 011 fd 0000111", "D")
def fld(m: Sem) -> None:
    load(m, F64)


@insn("fsd fs2, imm(rs1)", "imm[11:5] fs2 rs1 011 imm[4:0] 0100111", "D")
def fsd(m: Sem) -> None:
    store(m, F64)


@insn(
    "fmadd.d fd, fs1, fs2, fs3, rm", "fs3 01 fs2 fs1 rm fd 1000011 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fmadd_d(m: Sem) -> None:
    _fused(m)


@insn(
    "fmsub.d fd, fs1, fs2, fs3, rm", "fs3 01 fs2 fs1 rm fd 1000111 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fmsub_d(m: Sem) -> None:
    _fused(m, addend=True)


@insn(
    "fnmsub.d fd, fs1, fs2, fs3, rm", "fs3 01 fs2 fs1 rm fd 1001011 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fnmsub_d(m: Sem) -> None:
    _fused(m, product=True)


@insn(
    "fnmadd.d fd, fs1, fs2, fs3, rm", "fs3 01 fs2 fs1 rm fd 1001111 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fnmadd_d(m: Sem) -> None:
    _fused(m, product=True, addend=True)


@insn("fadd.d fd, fs1, fs2, rm", "00000 01 fs2 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fadd_d(m: Sem) -> None:
    _two(m, "fadd")


@insn("fsub.d fd, fs1, fs2, rm", "00001 01 fs2 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fsub_d(m: Sem) -> None:
    x, y = read(m, "fs1", F64), read(m, "fs2", F64)
    arithmetic(m, F64, "fsub", "add", (x, y), (x, negated(F64, y)))


@insn("fmul.d fd, fs1, fs2, rm", "00010 01 fs2 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fmul_d(m: Sem) -> None:
    _two(m, "fmul")


@insn("fdiv.d fd, fs1, fs2, rm", "00011 01 fs2 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fdiv_d(m: Sem) -> None:
    _two(m, "fdiv")


@insn("fsqrt.d fd, fs1, rm", "01011 01 00000 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fsqrt_d(m: Sem) -> None:
    x = (read(m, "fs1", F64),)
    arithmetic(m, F64, "fsqrt", "sqrt", x, x)


@insn("fsgnj.d fd, fs1, fs2", "00100 01 fs2 fs1 000 fd 1010011", "D")
def fsgnj_d(m: Sem) -> None:
    inject(m, F64, "copy")


@insn("fsgnjn.d fd, fs1, fs2", "00100 01 fs2 fs1 001 fd 1010011", "D")
def fsgnjn_d(m: Sem) -> None:
    inject(m, F64, "opposite")


@insn("fsgnjx.d fd, fs1, fs2", "00100 01 fs2 fs1 010 fd 1010011", "D")
def fsgnjx_d(m: Sem) -> None:
    inject(m, F64, "xor")


@insn("fmin.d fd, fs1, fs2", "00101 01 fs2 fs1 000 fd 1010011", "D")
def fmin_d(m: Sem) -> None:
    minmax(m, F64, maximum=False)


@insn("fmax.d fd, fs1, fs2", "00101 01 fs2 fs1 001 fd 1010011", "D")
def fmax_d(m: Sem) -> None:
    minmax(m, F64, maximum=True)


@insn("fcvt.s.d fd, fs1, rm", "01000 00 00001 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fcvt_s_d(m: Sem) -> None:
    convert(m, F64, F32)


@insn("fcvt.d.s fd, fs1, rm", "01000 01 00000 fs1 rm fd 1010011 rm!=5,6", "D", variants=DYN)
def fcvt_d_s(m: Sem) -> None:
    convert(m, F32, F64)


@insn("feq.d rd, fs1, fs2", "10100 01 fs2 fs1 010 rd 1010011", "D")
def feq_d(m: Sem) -> None:
    compare(m, F64, EQ)


@insn("flt.d rd, fs1, fs2", "10100 01 fs2 fs1 001 rd 1010011", "D")
def flt_d(m: Sem) -> None:
    compare(m, F64, LT)


@insn("fle.d rd, fs1, fs2", "10100 01 fs2 fs1 000 rd 1010011", "D")
def fle_d(m: Sem) -> None:
    compare(m, F64, LE)


@insn("fclass.d rd, fs1", "11100 01 00000 fs1 001 rd 1010011", "D")
def fclass_d(m: Sem) -> None:
    classify(m, F64)


@insn(
    "fcvt.w.d rd, fs1, rm", "11000 01 00000 fs1 rm rd 1010011 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fcvt_w_d(m: Sem) -> None:
    to_int(m, F64, 0)


@insn(
    "fcvt.d.w fd, rs1, rm", "11010 01 00000 rs1 rm fd 1010011 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fcvt_d_w(m: Sem) -> None:
    from_int(m, F64, 0)


@insn(
    "fcvt.wu.d rd, fs1, rm", "11000 01 00001 fs1 rm rd 1010011 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fcvt_wu_d(m: Sem) -> None:
    to_int(m, F64, 1)


@insn(
    "fcvt.d.wu fd, rs1, rm", "11010 01 00001 rs1 rm fd 1010011 rm!=5,6", "D",
    variants=DYN,
)  # fmt: skip
def fcvt_d_wu(m: Sem) -> None:
    from_int(m, F64, 1)


@insn(
    "fcvt.l.d rd, fs1, rm", "11000 01 00010 fs1 rm rd 1010011 rm!=5,6", "D",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_l_d(m: Sem) -> None:
    to_int(m, F64, 2)


@insn(
    "fcvt.d.l fd, rs1, rm", "11010 01 00010 rs1 rm fd 1010011 rm!=5,6", "D",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_d_l(m: Sem) -> None:
    from_int(m, F64, 2)


@insn(
    "fcvt.lu.d rd, fs1, rm", "11000 01 00011 fs1 rm rd 1010011 rm!=5,6", "D",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_lu_d(m: Sem) -> None:
    to_int(m, F64, 3)


@insn(
    "fcvt.d.lu fd, rs1, rm", "11010 01 00011 rs1 rm fd 1010011 rm!=5,6", "D",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_d_lu(m: Sem) -> None:
    from_int(m, F64, 3)


@insn("fmv.x.d rd, fs1", "11100 01 00000 fs1 000 rd 1010011", "D", xlen=64)
def fmv_x_d(m: Sem) -> None:
    between(m, 64, to_x=True)


@insn("fmv.d.x fd, rs1", "11110 01 00000 rs1 000 fd 1010011", "D", xlen=64)
def fmv_d_x(m: Sem) -> None:
    between(m, 64, to_x=False)
