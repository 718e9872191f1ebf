"""Compressed floating-point loads and stores: Zcd, and on RV32 Zcf (unprivileged spec, "C")."""

from __future__ import annotations

from otoriscv.core.isa_table import compressed

compressed(
    "c.fld fd, uimm(rs1)", "001 uimm[5:3] rs1' uimm[7:6] fd' 00", "fld fd=fd rs1=rs1 imm=uimm",
    "Zcd",
)  # fmt: skip
compressed(
    "c.fsd fs2, uimm(rs1)", "101 uimm[5:3] rs1' uimm[7:6] fs2' 00", "fsd rs1=rs1 fs2=fs2 imm=uimm",
    "Zcd",
)  # fmt: skip
compressed(
    "c.fldsp fd, uimm(sp)", "001 uimm[5] fd uimm[4:3|8:6] 10", "fld fd=fd rs1=sp imm=uimm", "Zcd"
)
compressed(
    "c.fsdsp fs2, uimm(sp)", "101 uimm[5:3|8:6] fs2 10", "fsd rs1=sp fs2=fs2 imm=uimm", "Zcd"
)
compressed(
    "c.flw fd, uimm(rs1)", "011 uimm[5:3] rs1' uimm[2|6] fd' 00", "flw fd=fd rs1=rs1 imm=uimm",
    "Zcf", xlen=32,
)  # fmt: skip
compressed(
    "c.fsw fs2, uimm(rs1)", "111 uimm[5:3] rs1' uimm[2|6] fs2' 00", "fsw rs1=rs1 fs2=fs2 imm=uimm",
    "Zcf", xlen=32,
)  # fmt: skip
compressed(
    "c.flwsp fd, uimm(sp)", "011 uimm[5] fd uimm[4:2|7:6] 10", "flw fd=fd rs1=sp imm=uimm", "Zcf",
    xlen=32,
)  # fmt: skip
compressed(
    "c.fswsp fs2, uimm(sp)", "111 uimm[5:2|7:6] fs2 10", "fsw rs1=sp fs2=fs2 imm=uimm", "Zcf",
    xlen=32,
)  # fmt: skip
