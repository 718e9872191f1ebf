"""CSRs that are mostly storage: trap set-up and handling, identity, configuration, debug, FP."""

from __future__ import annotations

from otoriscv.core import mode
from otoriscv.core.csr.table import Access, constant, csr, fixed, slot, zero
from otoriscv.core.fcsr import FFLAGS, read_fcsr, write_fcsr
from otoriscv.core.mmu import ADUE, SV39, SV48
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.poll import STCE
from otoriscv.core.trap import epc_mask, on, xlen_bits
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


def _write_satp(b: Builder, number: Value, value: Value) -> None:
    """A write of an unknown mode is ignored. Global pages stay known, but not in another mode."""
    if b.xlen == 64:
        mode_bits = value >> 60
        known = mode_bits.eq(0) | mode_bits.eq(SV39) | mode_bits.eq(SV48)
        value = known.select(value, b.get("satp"))
    with b.if_(value.ne(b.get("satp"))):
        other_mode = ((value ^ b.get("satp")) >> (60 if b.xlen == 64 else 31)).ne(0)
        b.set("satp", value)
        with b.if_(other_mode):
            b.call("tlb_flush")
        with b.if_(~other_mode):
            b.call("tlb_flush_local")
        mode.refresh(b)


def _envcfg_bits(b: Builder) -> Value:
    """The fields of senvcfg that exist: FIOM, and of Zicbom and Zicboz CBIE, CBCFE, CBZE."""
    return on(b, "Zicbom").select(0x70, 0, 64) | on(b, "Zicboz").select(0x80, 0, 64) | 1


def _legal_envcfg(b: Builder, old: Value, new: Value) -> Value:
    """CBIE 2 is reserved: the old value is kept."""
    reserved = ((new >> 4) & 3).eq(2)
    return reserved.select((new & ~0x30) | (old & 0x30), new)


def _write_senvcfg(b: Builder, number: Value, value: Value) -> None:
    b.set("senvcfg", _legal_envcfg(b, b.get("senvcfg"), value & _envcfg_bits(b)))


def _deadline_moved(b: Builder) -> None:
    b.call("update_timer")
    b.set_m("retime", 1)


def _set_menvcfg(b: Builder, value: Value) -> None:
    """All 64 bits; STCE gives and takes stimecmp's interrupt."""
    bits = _envcfg_bits(b) | on(b, "Svadu").select(ADUE, 0, 64) | on(b, "Sstc").select(STCE, 0, 64)
    b.set("menvcfg", _legal_envcfg(b, b.get("menvcfg"), value & bits))
    _deadline_moved(b)


def _read_menvcfg(b: Builder, number: Value) -> Value:
    return xlen_bits(b, b.get("menvcfg"))


def _write_menvcfg(b: Builder, number: Value, value: Value) -> None:
    upper = b.get("menvcfg") & (-1 << 32) if b.xlen == 32 else b.const(0, 64)
    _set_menvcfg(b, upper | value)


def _read_menvcfgh(b: Builder, number: Value) -> Value:
    return b.get("menvcfg") >> 32


def _write_menvcfgh(b: Builder, number: Value, value: Value) -> None:
    _set_menvcfg(b, (b.get("menvcfg") & 0xFFFF_FFFF) | (value << 32))


def _timer_granted(b: Builder, number: Value) -> Value:
    """stimecmp is M-mode's own until mcounteren.TM and menvcfg.STCE grant it."""
    granted = b.get("mcounteren").bit(1) & b.get("menvcfg").bit(63)
    return b.get("priv").eq(3) | granted


def _set_stimecmp(b: Builder, value: Value) -> None:
    b.set("stimecmp", value)
    _deadline_moved(b)


def _write_stimecmp(b: Builder, number: Value, value: Value) -> None:
    upper = b.get("stimecmp") & (-1 << 32) if b.xlen == 32 else b.const(0, 64)
    _set_stimecmp(b, upper | value)


def _write_stimecmph(b: Builder, number: Value, value: Value) -> None:
    _set_stimecmp(b, (b.get("stimecmp") & 0xFFFF_FFFF) | (value << 32))


def _fs_on(b: Builder, number: Value) -> Value:
    return (b.get("mstatus") & MSTATUS.FS).ne(0)


for _number, _name in enumerate(("fflags", "frm", "fcsr"), FFLAGS):
    csr(_number, _name, Access(read_fcsr, write_fcsr, _fs_on), "F")

csr(0x105, "stvec", slot("stvec", legal=_tvec), "S")
csr(0x106, "scounteren", slot("scounteren", 0xFFFF_FFFF), "S")
csr(0x10A, "senvcfg", Access(lambda b, n: b.get("senvcfg"), _write_senvcfg), "S")
csr(0x140, "sscratch", slot("sscratch"), "S")
csr(0x141, "sepc", _epc("sepc"), "S")
csr(0x142, "scause", slot("scause"), "S")
csr(0x143, "stval", slot("stval"), "S")
csr(
    0x14D,
    "stimecmp",
    Access(lambda b, n: xlen_bits(b, b.get("stimecmp")), _write_stimecmp, _timer_granted),
    "Sstc",
)
csr(
    0x15D,
    "stimecmph",
    Access(lambda b, n: b.get("stimecmp") >> 32, _write_stimecmph, _timer_granted),
    "Sstc",
    xlen=32,
)
csr(0x180, "satp", Access(lambda b, n: b.get("satp"), _write_satp, _tvm), "S")

csr(0x301, "misa", fixed("misa"))
csr(0x305, "mtvec", slot("mtvec", legal=_tvec))
csr(0x306, "mcounteren", slot("mcounteren", 0xFFFF_FFFF), "U")
csr(0x30A, "menvcfg", Access(_read_menvcfg, _write_menvcfg), "U")
csr(0x31A, "menvcfgh", Access(_read_menvcfgh, _write_menvcfgh), "U", xlen=32)
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
