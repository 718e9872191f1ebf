"""Zifencei: instruction-fetch fence."""

from __future__ import annotations

from otoriscv.core.isa.sem import Sem
from otoriscv.core.isa.table import insn


@insn("fence.i", "imm[11:0] rs1 001 rd 0001111", "Zifencei")
def fence_i(m: Sem) -> None:
    """Every store already drops the code it overwrites; only the running block must end.

    The spec reserves imm, rs1 and rd, and has implementations ignore them.
    """
    m.poll()
