"""Zihintpause: a hint in the encoding space of fence."""

from __future__ import annotations

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem


@insn("pause", "0000 0001 0000 00000 000 00000 0001111", "Zihintpause", within="fence")
def pause(m: Sem) -> None:
    """Harts take turns on one thread: waiting in a spin loop costs only its own quantum."""
