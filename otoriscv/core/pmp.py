"""Physical memory protection in micro-ops (privileged spec, section 3.7.1)."""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import PAGE, RANGE_WORDS
from otoriscv.core.routine import routine
from otoriscv.core.uop import Builder, Value, Var

__all__ = ["ALL", "ENTRIES", "NONE", "OPEN_M", "OPEN_SU", "PART", "READ", "WRITE", "in_free_range"]

ENTRIES: Final = 16
#: What an access may do, as bits of a pmpcfg byte, by TLB kind: read, write, execute.
READ, WRITE, _EXECUTE = 1, 2, 4
_EVERYTHING: Final = READ | WRITE | _EXECUTE
_LOCKED: Final = 0x80
#: Results of `pmp_check`.
NONE, ALL, PART = 0, 1, 2
#: Bits of the slot ``pmp_open``: all of RAM may be read, written and executed.
OPEN_SU: Final = 1
OPEN_M: Final = 2


def in_free_range(b: Builder, address: Value) -> Value:
    """Whether S and U may do everything with the page of physical *address*, as is known without
    looking at the entries."""
    return (address - b.get("pmp_free")).ltu(b.get("pmp_free_size"))


@routine(4)
def pmp_check(b: Builder, address: Value, size: Value, need: Value, priv: Value) -> None:
    """Whether *priv* has *need* for all of *size* physical bytes: `ALL`, `NONE`, or `PART` when
    the first entry that matches any of them does not match all."""
    machine = priv.eq(3)
    result = b.var(machine.zext(64))
    last = address + (size - 1)
    below = b.var(0)  # the previous entry's pmpaddr: where a range of two begins
    with b.repeat(b.get("pmp_active")) as n:
        cfg, low, end = _matched(b, n, below)
        touches = low.ltu(end) & address.ltu(end) & last.geu(low)
        with b.if_(touches):
            whole = address.geu(low) & last.ltu(end)
            granted = (machine & (cfg & _LOCKED).eq(0)) | (cfg & need).eq(need)
            result.value = whole.select(granted.zext(64), PART)
        b.break_if(touches)
    b.ret(result.value)


def _matched(b: Builder, n: Value, below: Var) -> tuple[Value, Value, Value]:
    """Entry *n*'s pmpcfg and the physical bytes (start, end) that it matches; 0 and 0 when it is
    off. *below* is the entry before's pmpaddr, and then this one's."""
    cfg, own = b.get("pmpcfg", n), b.get("pmpaddr", n)
    how = (cfg >> 3) & 3
    ranged, four = how.eq(1), how.eq(2)
    low = ranged.select(below.value, four.select(own, own & (own + 1))) << 2
    end = ranged.select(own, four.select(own, own | (own + 1)) + 1) << 2
    below.value = own
    return cfg, low, how.ne(0).select(end, 0)


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
    b.set("pmp_free_size", 0)
    with b.repeat(b.get_m("nranges")) as n:
        row = n * RANGE_WORDS
        base, size = b.get_m("ranges", row), b.get_m("ranges", row + 1)
        for bit, priv in ((OPEN_SU, 1), (OPEN_M, 3)):
            granted = b.call("pmp_check", base, size, _EVERYTHING, priv).eq(ALL)
            opened.value = opened.value & granted.select(-1, ~bit, 64)
        b.call("find_free_range", base, base + size)
    b.set("pmp_open", opened.value)
    b.set("pmp_machine", locked.value)
    b.call("tlb_flush_all")
    b.call("refresh_mode")


@routine(2)
def find_free_range(b: Builder, base: Value, end: Value) -> None:
    """Note the pages from *base* to *end* as free for S and U, without those that entries deny at
    the start, where firmware is; when that is more than is known, and true."""
    start, below = b.var(base), b.var(0)
    with b.repeat(b.get("pmp_active")) as n:
        cfg, low, after = _matched(b, n, below)
        denies = (cfg & _EVERYTHING).ne(_EVERYTHING) & low.ltu(start.value + 1)
        start.value = (denies & start.value.ltu(after)).select(after, start.value)
    first = (start.value + (PAGE - 1)) & -PAGE
    size = (end & -PAGE) - first
    more = first.ltu(end & -PAGE) & b.get("pmp_free_size").ltu(size)
    with b.if_(more), b.if_(b.call("pmp_check", first, size, _EVERYTHING, 1).eq(ALL)):
        b.set("pmp_free", first)
        b.set("pmp_free_size", size)
