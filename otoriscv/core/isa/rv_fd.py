"""What F and D have alike: each operation once, for every format (unprivileged spec, chapters "F"
and "D").

Rows read beside the table 'RV32F Standard Extension'; what they mean is in floating.py. What only
one of the two has is in rv_f.py and rv_d.py.
"""

from __future__ import annotations

from otoriscv.core.isa.floating import (
    DYN,
    EQ,
    LE,
    LT,
    arithmetic,
    classify,
    compare,
    formats,
    from_int,
    inject,
    minmax,
    negated,
    read,
    to_int,
)
from otoriscv.core.sem import Sem
from otoriscv.core.softfloat import Format


def _two(m: Sem, f: Format, op: str) -> None:
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    arithmetic(m, f, op, op[1:], (x, y), (x, y))


def _fused(m: Sem, f: Format, *, product: bool = False, addend: bool = False) -> None:
    """fs1 * fs2 + fs3 with the product or the addend negated."""
    x, y, z = (read(m, n, f) for n in ("fs1", "fs2", "fs3"))
    args = negated(f, x) if product else x, y, negated(f, z) if addend else z
    arithmetic(m, f, "fma", "fma", args, args)


@formats("fmadd.{f} fd, fs1, fs2, fs3, rm", "fs3 fmt fs2 fs1 rm fd 1000011 rm!=5,6", variants=DYN)
def fmadd(m: Sem, f: Format) -> None:
    _fused(m, f)


@formats("fmsub.{f} fd, fs1, fs2, fs3, rm", "fs3 fmt fs2 fs1 rm fd 1000111 rm!=5,6", variants=DYN)
def fmsub(m: Sem, f: Format) -> None:
    _fused(m, f, addend=True)


@formats("fnmsub.{f} fd, fs1, fs2, fs3, rm", "fs3 fmt fs2 fs1 rm fd 1001011 rm!=5,6", variants=DYN)
def fnmsub(m: Sem, f: Format) -> None:
    _fused(m, f, product=True)


@formats("fnmadd.{f} fd, fs1, fs2, fs3, rm", "fs3 fmt fs2 fs1 rm fd 1001111 rm!=5,6", variants=DYN)
def fnmadd(m: Sem, f: Format) -> None:
    _fused(m, f, product=True, addend=True)


@formats("fadd.{f} fd, fs1, fs2, rm", "00000 fmt fs2 fs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fadd(m: Sem, f: Format) -> None:
    _two(m, f, "fadd")


@formats("fsub.{f} fd, fs1, fs2, rm", "00001 fmt fs2 fs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fsub(m: Sem, f: Format) -> None:
    x, y = read(m, "fs1", f), read(m, "fs2", f)
    arithmetic(m, f, "fsub", "add", (x, y), (x, negated(f, y)))


@formats("fmul.{f} fd, fs1, fs2, rm", "00010 fmt fs2 fs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fmul(m: Sem, f: Format) -> None:
    _two(m, f, "fmul")


@formats("fdiv.{f} fd, fs1, fs2, rm", "00011 fmt fs2 fs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fdiv(m: Sem, f: Format) -> None:
    _two(m, f, "fdiv")


@formats("fsqrt.{f} fd, fs1, rm", "01011 fmt 00000 fs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fsqrt(m: Sem, f: Format) -> None:
    x = (read(m, "fs1", f),)
    arithmetic(m, f, "fsqrt", "sqrt", x, x)


@formats("fsgnj.{f} fd, fs1, fs2", "00100 fmt fs2 fs1 000 fd 1010011")
def fsgnj(m: Sem, f: Format) -> None:
    inject(m, f, "copy")


@formats("fsgnjn.{f} fd, fs1, fs2", "00100 fmt fs2 fs1 001 fd 1010011")
def fsgnjn(m: Sem, f: Format) -> None:
    inject(m, f, "opposite")


@formats("fsgnjx.{f} fd, fs1, fs2", "00100 fmt fs2 fs1 010 fd 1010011")
def fsgnjx(m: Sem, f: Format) -> None:
    inject(m, f, "xor")


@formats("fmin.{f} fd, fs1, fs2", "00101 fmt fs2 fs1 000 fd 1010011")
def fmin(m: Sem, f: Format) -> None:
    minmax(m, f, maximum=False)


@formats("fmax.{f} fd, fs1, fs2", "00101 fmt fs2 fs1 001 fd 1010011")
def fmax(m: Sem, f: Format) -> None:
    minmax(m, f, maximum=True)


@formats("feq.{f} rd, fs1, fs2", "10100 fmt fs2 fs1 010 rd 1010011")
def feq(m: Sem, f: Format) -> None:
    compare(m, f, EQ)


@formats("flt.{f} rd, fs1, fs2", "10100 fmt fs2 fs1 001 rd 1010011")
def flt(m: Sem, f: Format) -> None:
    compare(m, f, LT)


@formats("fle.{f} rd, fs1, fs2", "10100 fmt fs2 fs1 000 rd 1010011")
def fle(m: Sem, f: Format) -> None:
    compare(m, f, LE)


@formats("fclass.{f} rd, fs1", "11100 fmt 00000 fs1 001 rd 1010011")
def fclass(m: Sem, f: Format) -> None:
    classify(m, f)


@formats("fcvt.w.{f} rd, fs1, rm", "11000 fmt 00000 fs1 rm rd 1010011 rm!=5,6", variants=DYN)
def fcvt_w_f(m: Sem, f: Format) -> None:
    to_int(m, f, 0)


@formats("fcvt.{f}.w fd, rs1, rm", "11010 fmt 00000 rs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fcvt_f_w(m: Sem, f: Format) -> None:
    from_int(m, f, 0)


@formats("fcvt.wu.{f} rd, fs1, rm", "11000 fmt 00001 fs1 rm rd 1010011 rm!=5,6", variants=DYN)
def fcvt_wu_f(m: Sem, f: Format) -> None:
    to_int(m, f, 1)


@formats("fcvt.{f}.wu fd, rs1, rm", "11010 fmt 00001 rs1 rm fd 1010011 rm!=5,6", variants=DYN)
def fcvt_f_wu(m: Sem, f: Format) -> None:
    from_int(m, f, 1)


@formats(
    "fcvt.l.{f} rd, fs1, rm", "11000 fmt 00010 fs1 rm rd 1010011 rm!=5,6",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_l_f(m: Sem, f: Format) -> None:
    to_int(m, f, 2)


@formats(
    "fcvt.{f}.l fd, rs1, rm", "11010 fmt 00010 rs1 rm fd 1010011 rm!=5,6",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_f_l(m: Sem, f: Format) -> None:
    from_int(m, f, 2)


@formats(
    "fcvt.lu.{f} rd, fs1, rm", "11000 fmt 00011 fs1 rm rd 1010011 rm!=5,6",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_lu_f(m: Sem, f: Format) -> None:
    to_int(m, f, 3)


@formats(
    "fcvt.{f}.lu fd, rs1, rm", "11010 fmt 00011 rs1 rm fd 1010011 rm!=5,6",
    variants=DYN, xlen=64,
)  # fmt: skip
def fcvt_f_lu(m: Sem, f: Format) -> None:
    from_int(m, f, 3)
