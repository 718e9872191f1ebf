"""The mode word (docs/abi.md): what translations depend on beside the code itself."""

from __future__ import annotations

from typing import Final

from otoriscv.core.uop import Builder, Value

__all__ = ["FLAT", "FS_ON", "MISALIGNED_TRAP", "PRIV_SHIFT", "WATCH_R", "WATCH_W", "XLEN64"]

XLEN64: Final = 1
PRIV_SHIFT: Final = 1
FLAT: Final = 1 << 3
MISALIGNED_TRAP: Final = 1 << 4
FS_ON: Final = 1 << 5
WATCH_R: Final = 1 << 6
WATCH_W: Final = 1 << 7

PRIV_AND_FS: Final = 3 << PRIV_SHIFT | FS_ON


def with_state(mode: int, priv: int, mstatus: int) -> int:
    """*mode* for this privilege and mstatus."""
    fs = FS_ON if mstatus >> 13 & 3 else 0
    return mode & ~PRIV_AND_FS | priv << PRIV_SHIFT | fs


def refresh(b: Builder, priv: Value, mstatus: Value) -> None:
    """Recompute the slot ``mode`` after a change of privilege or mstatus."""
    fs = ((mstatus >> 13) & 3).ne(0).select(FS_ON, 0, 64)
    b.set("mode", (b.get("mode") & ~PRIV_AND_FS) | (priv << PRIV_SHIFT) | fs)
