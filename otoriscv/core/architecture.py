"""Everything that defines the architecture: importing this registers all rows and routines."""

from __future__ import annotations

from otoriscv.core import (
    csr,
    debug,
    decode_native,
    isa,
    mmu,
    mode,
    pmp,
    poll,
    slow,
    slow_devices,
    softfloat,
    trap,
)
from otoriscv.core.isa_table import TABLE
from otoriscv.core.routine import ROUTINES

__all__ = [
    "ROUTINES", "TABLE", "csr", "debug", "decode_native", "isa", "mmu", "mode", "pmp", "poll",
    "slow", "slow_devices", "softfloat", "trap",
]  # fmt: skip
