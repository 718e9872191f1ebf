"""CSRs that are mostly storage: trap set-up and handling, identity, configuration, debug, FP."""

from __future__ import annotations

from otoriscv.core import mode
from otoriscv.core.csr.table import Access, constant, csr, fixed, slot, zero
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.trap import epc_mask
from otoriscv.core.uop import Builder, Value


def _tvec(b: Builder, old: Value, new: Value) -> Value:
    """Modes 2 and 3 are reserved: such a write is ignored."""
    return new.bit(1).select(old, new)


def _epc(field: str) -> Access:
    return Access(
        lambda b, n: b.get(field) & epc_mask(b),
        lambda b, n, value: b.set(field, value & epc_mask(b)),
    )


def _tvm(b: Builder, number: Value) -> Value:
    """satp is illegal in S-mode while mstatus.TVM is set."""
    return b.get("priv").eq(3) | (b.get("mstatus") & MSTATUS.TVM).eq(0)


def _fs_on(b: Builder, number: Value) -> Value:
    return (b.get("mstatus") & MSTATUS.FS).ne(0)


def _dirty(b: Builder) -> None:
    status = b.get("mstatus") | MSTATUS.FS
    b.set("mstatus", status)
    mode.refresh(b, b.get("priv"), status)


def _write_fflags(b: Builder, number: Value, value: Value) -> None:
    b.set("fflags", value & 0x1F)
    _dirty(b)


def _write_frm(b: Builder, number: Value, value: Value) -> None:
    b.set("frm", value & 7)
    _dirty(b)


def _write_fcsr(b: Builder, number: Value, value: Value) -> None:
    b.set("frm", (value >> 5) & 7)
    _write_fflags(b, number, value)


def _read_fcsr(b: Builder, number: Value) -> Value:
    return (b.get("frm") << 5) | b.get("fflags")


csr(0x001, "fflags", Access(lambda b, n: b.get("fflags"), _write_fflags, _fs_on), "F")
csr(0x002, "frm", Access(lambda b, n: b.get("frm"), _write_frm, _fs_on), "F")
csr(0x003, "fcsr", Access(_read_fcsr, _write_fcsr, _fs_on), "F")

csr(0x105, "stvec", slot("stvec", legal=_tvec), "S")
csr(0x106, "scounteren", slot("scounteren", 0xFFFF_FFFF), "S")
csr(0x10A, "senvcfg", slot("senvcfg", 1), "S")  # FIOM
csr(0x140, "sscratch", slot("sscratch"), "S")
csr(0x141, "sepc", _epc("sepc"), "S")
csr(0x142, "scause", slot("scause"), "S")
csr(0x143, "stval", slot("stval"), "S")
csr(0x180, "satp", Access(zero.read, guard=_tvm), "S")  # Bare is the only mode so far

csr(0x301, "misa", fixed("misa"))
csr(0x305, "mtvec", slot("mtvec", legal=_tvec))
csr(0x306, "mcounteren", slot("mcounteren", 0xFFFF_FFFF), "U")
csr(0x30A, "menvcfg", slot("menvcfg", 1), "U")  # FIOM
csr(0x31A, "menvcfgh", zero, "U", xlen=32)
csr(0x340, "mscratch", slot("mscratch"))
csr(0x341, "mepc", _epc("mepc"))
csr(0x342, "mcause", slot("mcause"))
csr(0x343, "mtval", slot("mtval"))

csr(0x7A0, "tselect", zero)  # no triggers: type 0 at index 0 and no other index
csr(0x7A1, "tdata1", zero)
csr(0x7A2, "tdata2", zero)
csr(0x7A3, "tdata3", zero)
csr(0x7A4, "tinfo", constant(1))

csr(0xF11, "mvendorid", zero)
csr(0xF12, "marchid", zero)
csr(0xF13, "mimpid", zero)
csr(0xF14, "mhartid", fixed("hartid"))
csr(0xF15, "mconfigptr", zero)
