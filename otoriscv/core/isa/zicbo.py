"""Zicbom and Zicboz: cache blocks of 64 bytes (cache-management spec); there are no caches.

Zicbop's prefetches are the HINTs among ORI with rd = x0: nothing at all.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.isa_table import insn
from otoriscv.core.layout import CACHE_BLOCK
from otoriscv.core.sem import CAUSE, Sem

CBIE: Final = 3 << 4
CBCFE: Final = 1 << 6
CBZE: Final = 1 << 7


def _granted(m: Sem, field: int) -> None:
    """menvcfg grants it to S and U, senvcfg to U."""
    priv = m.get("priv")
    by_machine = (m.get("menvcfg") & field).ne(0)
    by_supervisor = (m.get("senvcfg") & field).ne(0)
    fine = priv.eq(3) | (by_machine & (priv.eq(1) | by_supervisor))
    m.trap_if(~fine, CAUSE.ILLEGAL, m.bits)


def _manage(m: Sem, field: int) -> None:
    """Allowed where loads or stores are; faults as a store does."""
    _granted(m, field)
    address = m.rs1
    bad = m.call("block_allowed", address).ne(0)
    m.trap_if(bad, m.get("trap_cause"), address)


@insn("cbo.inval (rs1)", "000000000000 rs1 010 00000 0001111", "Zicbom")
def cbo_inval(m: Sem) -> None:
    _manage(m, CBIE)


@insn("cbo.clean (rs1)", "000000000001 rs1 010 00000 0001111", "Zicbom")
def cbo_clean(m: Sem) -> None:
    _manage(m, CBCFE)


@insn("cbo.flush (rs1)", "000000000010 rs1 010 00000 0001111", "Zicbom")
def cbo_flush(m: Sem) -> None:
    _manage(m, CBCFE)


@insn("cbo.zero (rs1)", "000000000100 rs1 010 00000 0001111", "Zicboz")
def cbo_zero(m: Sem) -> None:
    """The first of the eight stores decides: they are in one line."""
    _granted(m, CBZE)
    block = m.rs1 & -CACHE_BLOCK
    for n in range(0, CACHE_BLOCK, 8):
        m.store(block + n, m.const(0, 64))
