"""mstatus, its views and the interrupt registers (privileged spec 3.1.6, 3.1.9, 4.1.1, 4.1.3)."""

from __future__ import annotations

from typing import Final

from otoriscv.core import mode
from otoriscv.core.csr.table import Access, csr, slot
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.poll import STCE
from otoriscv.core.trap import on
from otoriscv.core.uop import Builder, Value

MACHINE_INTERRUPTS: Final = 0x888
SUPERVISOR_INTERRUPTS: Final = 0x222
SSIP: Final = 1 << 1
STIP: Final = 1 << 5
#: Exceptions that may be delegated: all but the environment call from M-mode and reserved codes.
_EXCEPTIONS: Final = 0xB3FF

_SUPERVISOR: Final = MSTATUS.SIE | MSTATUS.SPIE | MSTATUS.SPP | MSTATUS.SUM | MSTATUS.MXR
_INTERRUPTS: Final = MSTATUS.SIE | MSTATUS.MIE | MSTATUS.SPIE | MSTATUS.MPIE
_XL64: Final = 2  # UXL and SXL: 64 bits


def _when(b: Builder, extension: str, bits: int) -> Value:
    return on(b, extension).select(bits, 0, 64)


def _with_summary(b: Builder, status: Value, upper: Value) -> Value:
    """mstatus as read: SD from FS; on RV64 the upper half is *upper*."""
    dirty = (status & MSTATUS.FS).eq(MSTATUS.FS).select(1, 0, 64)
    if b.xlen == 32:
        return (status & 0xFFFF_FFFF) | (dirty << 31)
    return status | upper | (dirty << 63)


def _store(b: Builder, status: Value) -> None:
    changed = b.get("mstatus") ^ status
    b.set("mstatus", status)
    with b.if_((changed & MSTATUS.MXR).ne(0)):  # the TLB's banks do not tell it
        b.call("tlb_flush")
    with b.if_((changed & ~_INTERRUPTS).ne(0)):  # the mode does not depend on these
        mode.refresh(b)


def _read_mstatus(b: Builder, number: Value) -> Value:
    upper = _when(b, "U", _XL64 << 32) | _when(b, "S", _XL64 << 34)
    return _with_summary(b, b.get("mstatus"), upper)


def _write_mstatus(b: Builder, number: Value, value: Value) -> None:
    old = b.get("mstatus")
    user = _when(b, "U", MSTATUS.MPRV | MSTATUS.TW)
    supervisor = _when(b, "S", _SUPERVISOR | MSTATUS.TVM | MSTATUS.TSR)
    mask = user | supervisor | _when(b, "F", MSTATUS.FS) | (MSTATUS.MIE | MSTATUS.MPIE)
    mpp = (value >> 11) & 3
    legal = mpp.eq(3) | (mpp.eq(0) & on(b, "U")) | (mpp.eq(1) & on(b, "S"))
    mask = mask | legal.select(MSTATUS.MPP, 0, 64)
    _store(b, (old & ~mask) | (value & mask))


def _read_sstatus(b: Builder, number: Value) -> Value:
    visible = b.get("mstatus") & (_SUPERVISOR | MSTATUS.FS)
    return _with_summary(b, visible, _when(b, "U", _XL64 << 32))


def _write_sstatus(b: Builder, number: Value, value: Value) -> None:
    mask = _when(b, "F", MSTATUS.FS) | _SUPERVISOR
    _store(b, (b.get("mstatus") & ~mask) | (value & mask))


def _write_mie(b: Builder, number: Value, value: Value) -> None:
    b.set("mie", value & (_when(b, "S", SUPERVISOR_INTERRUPTS) | MACHINE_INTERRUPTS))


def _write_mip(b: Builder, number: Value, value: Value) -> None:
    """MSIP, MTIP and MEIP belong to devices; SEIP is or-ed with the interrupt controller's."""
    mask = _when(b, "S", SUPERVISOR_INTERRUPTS)
    # with stimecmp on, STIP is the clock's
    mask = mask & (b.get("menvcfg") & STCE).ne(0).select(~STIP, -1, 64)
    new = value & mask
    b.set("seip_soft", (new >> 9) & 1)
    b.set("mip", (b.get("mip") & ~mask) | new | (b.get("seip_line") << 9))


def _write_sie(b: Builder, number: Value, value: Value) -> None:
    mask = b.get("mideleg")
    b.set("mie", (b.get("mie") & ~mask) | (value & mask))


def _write_sip(b: Builder, number: Value, value: Value) -> None:
    mask = b.get("mideleg") & SSIP
    b.set("mip", (b.get("mip") & ~mask) | (value & mask))


csr(0x100, "sstatus", Access(_read_sstatus, _write_sstatus), "S")
csr(0x104, "sie", Access(lambda b, n: b.get("mie") & b.get("mideleg"), _write_sie), "S")
csr(0x144, "sip", Access(lambda b, n: b.get("mip") & b.get("mideleg"), _write_sip), "S")
csr(0x300, "mstatus", Access(_read_mstatus, _write_mstatus))
csr(0x310, "mstatush", Access(lambda b, n: b.get("mstatus") >> 32), xlen=32)
csr(0x302, "medeleg", slot("medeleg", _EXCEPTIONS), "S")
csr(0x303, "mideleg", slot("mideleg", SUPERVISOR_INTERRUPTS), "S")
csr(0x304, "mie", Access(lambda b, n: b.get("mie"), _write_mie))
csr(0x344, "mip", Access(lambda b, n: b.get("mip"), _write_mip))
