"""Zifencei: instruction-fetch fence."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem


@insn("fence.i", "imm[11:0] rs1 001 rd 0001111", "Zifencei")
def fence_i(m: Sem) -> None:
    """A store into code takes effect at the next instruction: nothing is left to do.

    The spec reserves imm, rs1 and rd, and has implementations ignore them.
    """
