"""What a read and a write of fflags (1), frm (2) and fcsr (3) do."""

from __future__ import annotations

from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.uop import Builder, Value

__all__ = ["FCSR", "FFLAGS", "read_fcsr", "write_fcsr"]

FFLAGS, FRM, FCSR = 1, 2, 3


def read_fcsr(b: Builder, number: Value) -> Value:
    """The value of the CSR with this *number*, 64 bits."""
    flags, rm = b.get("fflags"), b.get("frm")
    both = (rm << 5) | flags
    return number.eq(FFLAGS).select(flags, number.eq(FRM).select(rm, both))


def write_fcsr(b: Builder, number: Value, value: Value) -> None:
    """Write it; the floating-point state is dirty from now on."""
    b.set("mstatus", b.get("mstatus") | MSTATUS.FS)
    rm = number.eq(FCSR).select(value >> 5, value) & 7
    flags = value & 0x1F
    b.set("frm", number.eq(FFLAGS).select(b.get("frm"), rm))
    b.set("fflags", number.eq(FRM).select(b.get("fflags"), flags))
