"""The mode word (docs/abi.md) and what follows from it: the TLB banks in use."""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import TLB_X, tlb_slot
from otoriscv.core.mmu import data_privilege, paging
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.pmp import OPEN_M, OPEN_SU
from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value

__all__ = ["FLAT", "FS_ON", "MISALIGNED_TRAP", "PRIV_SHIFT", "WATCH_R", "WATCH_W", "XLEN64"]

XLEN64: Final = 1
PRIV_SHIFT: Final = 1
FLAT: Final = 1 << 3
MISALIGNED_TRAP: Final = 1 << 4
FS_ON: Final = 1 << 5
WATCH_R: Final = 1 << 6
WATCH_W: Final = 1 << 7

_OURS: Final = 3 << PRIV_SHIFT | FS_ON | FLAT
_BANK: Final = tlb_slot(1, 0) - tlb_slot(0, 0)
_FETCH_BANK: Final = 8 * (tlb_slot(1, TLB_X) - tlb_slot(0, TLB_X))


def refresh(b: Builder) -> None:
    """After a change of the slots priv or mstatus."""
    b.call("refresh_mode")


@routine(0)
def refresh_mode(b: Builder) -> None:
    """Recompute ``mode``, ``data_bank`` and ``fetch_bank`` from priv, mstatus, satp and PMP.

    Data banks: M, U, S, S with SUM. Fetch banks: M, U, S.
    """
    priv, status = b.get("priv"), b.get("mstatus")
    data = data_privilege(priv, status)
    fs = (status & MSTATUS.FS).ne(0).select(FS_ON, 0, 64)
    flat = _direct(b, priv) & _direct(b, data)
    kept = b.get("mode") & ~_OURS
    b.set("mode", kept | (priv << PRIV_SHIFT) | fs | flat.select(FLAT, 0, 64))
    lent = (status & MSTATUS.SUM).ne(0).select(3, 2, 64)
    bank = data.eq(3).select(b.const(0, 64), data.eq(0).select(b.const(1, 64), lent))
    b.set("data_bank", bank * _BANK)
    b.set("fetch_bank", priv.eq(3).select(0, priv.eq(0).select(1, 2, 64)) * _FETCH_BANK)


def _direct(b: Builder, priv: Value) -> Value:
    """Whether *priv* sees all of RAM, untranslated."""
    machine = priv.eq(3)
    opened = b.get("pmp_open") & machine.select(OPEN_M, OPEN_SU, 64)
    return opened.ne(0) & (machine | ~paging(b))
