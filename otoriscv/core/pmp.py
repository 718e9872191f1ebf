"""Physical memory protection in micro-ops (privileged spec, section 3.7.1)."""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import RANGE_WORDS
from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value

__all__ = ["ALL", "ENTRIES", "NONE", "OPEN_M", "OPEN_SU", "PART", "READ"]

ENTRIES: Final = 16
#: What an access may do, as bits of a pmpcfg byte, by TLB kind: read, write, execute.
READ, _WRITE, _EXECUTE = 1, 2, 4
_LOCKED: Final = 0x80
#: Results of `pmp_check`.
NONE, ALL, PART = 0, 1, 2
#: Bits of the slot ``pmp_open``: all of RAM may be read, written and executed.
OPEN_SU: Final = 1
OPEN_M: Final = 2


@routine(4)
def pmp_check(b: Builder, address: Value, size: Value, need: Value, priv: Value) -> None:
    """Whether *priv* has *need* for all of *size* physical bytes: `ALL`, `NONE`, or `PART` when
    the first entry that matches any of them does not match all."""
    machine = priv.eq(3)
    result = b.var(machine.zext(64))
    last = address + (size - 1)
    below = b.var(0)  # the previous entry's pmpaddr: where a range of two begins
    with b.repeat(b.get("pmp_active")) as n:
        cfg, own = b.get("pmpcfg", n), b.get("pmpaddr", n)
        how = (cfg >> 3) & 3
        ranged, four = how.eq(1), how.eq(2)
        low = ranged.select(below.value, four.select(own, own & (own + 1))) << 2
        end = ranged.select(own, four.select(own, own | (own + 1)) + 1) << 2
        below.value = own
        touches = how.ne(0) & low.ltu(end) & address.ltu(end) & last.geu(low)
        with b.if_(touches):
            whole = address.geu(low) & last.ltu(end)
            granted = (machine & (cfg & _LOCKED).eq(0)) | (cfg & need).eq(need)
            result.value = whole.select(granted.zext(64), PART)
        b.break_if(touches)
    b.ret(result.value)


@routine(0)
def pmp_changed(b: Builder) -> None:
    """An entry was written: nothing that was found before holds."""
    active, locked = b.var(0), b.var(0)
    with b.repeat(ENTRIES) as n:
        cfg = b.get("pmpcfg", n)
        on = (cfg & 0x18).ne(0)
        active.value = on.select(n + 1, active.value)
        locked.value = locked.value | (on & (cfg & _LOCKED).ne(0)).zext(64)
    b.set("pmp_active", active.value)
    opened = b.var(OPEN_SU | OPEN_M)
    everything = READ | _WRITE | _EXECUTE
    with b.repeat(b.get_m("nranges")) as n:
        row = n * RANGE_WORDS
        base, size = b.get_m("ranges", row), b.get_m("ranges", row + 1)
        for bit, priv in ((OPEN_SU, 1), (OPEN_M, 3)):
            granted = b.call("pmp_check", base, size, everything, priv).eq(ALL)
            opened.value = opened.value & granted.select(-1, ~bit, 64)
    b.set("pmp_open", opened.value)
    b.set("pmp_machine", locked.value)
    b.call("tlb_flush_all")
    b.call("refresh_mode")
