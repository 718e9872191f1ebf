"""The physical memory protection CSRs, 16 entries (privileged spec 3.7.1): storage and locks."""

from __future__ import annotations

from typing import Final

from otoriscv.core.csr.table import Access, csr
from otoriscv.core.uop import Builder, Value

ENTRIES: Final = 16
_R: Final = 1
_W: Final = 2
_TOR: Final = 1 << 3
_A: Final = 3 << 3
_L: Final = 1 << 7
_CFG_BITS: Final = 0x9F
_ADDRESS_BITS: Final = {32: (1 << 32) - 1, 64: (1 << 54) - 1}


def _read_cfg(b: Builder, number: Value) -> Value:
    first = (number & 3) << 2
    value = b.const(0, 64)
    for n in range(b.xlen // 8):
        value = value | (b.get("pmpcfg", first + n) << (8 * n))
    return value


def _write_cfg(b: Builder, number: Value, value: Value) -> None:
    first = (number & 3) << 2
    for n in range(b.xlen // 8):
        old = b.get("pmpcfg", first + n)
        new = (value >> (8 * n)) & _CFG_BITS
        new = new & (new & _R).eq(0).select(~_W, -1, 64)  # W without R is reserved
        b.set("pmpcfg", (old & _L).ne(0).select(old, new), first + n)
    b.call("pmp_changed")


def _write_address(b: Builder, number: Value, value: Value) -> None:
    n = number & (ENTRIES - 1)
    own = b.get("pmpcfg", n)
    above = n.eq(ENTRIES - 1).select(b.const(0, 64), b.get("pmpcfg", (n + 1) & (ENTRIES - 1)))
    bounds_locked = (above & (_L | _A)).eq(_L | _TOR)
    locked = (own & _L).ne(0) | bounds_locked
    old = b.get("pmpaddr", n)
    b.set("pmpaddr", locked.select(old, value & _ADDRESS_BITS[b.xlen]), n)
    b.call("pmp_changed")


_CFG: Final = Access(_read_cfg, _write_cfg)

csr(0x3A0, "pmpcfg0", _CFG)
csr(0x3A1, "pmpcfg1", _CFG, xlen=32)
csr(0x3A2, "pmpcfg2", _CFG)
csr(0x3A3, "pmpcfg3", _CFG, xlen=32)
csr(
    0x3B0,
    "pmpaddr{}",
    Access(lambda b, n: b.get("pmpaddr", n & (ENTRIES - 1)), _write_address),
    count=ENTRIES,
)
