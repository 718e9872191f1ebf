"""Slow memory accesses, in micro-ops: what every engine calls when its fast test fails.

The result is a status: 0 done, 1 trap (``trap_cause`` and ``trap_tval`` say which), 2 done but
interrupts or deadlines may have changed, ``LEAVE + code`` leave to Python with nothing done.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import (
    DEVICE_AMO,
    DEVICE_FAULT,
    HART,
    LINE_CLEAN,
    LINE_CODE,
    LINE_REGION,
    LINE_SHIFT,
    LINE_WATCH,
    LINES,
    MEM,
    PAGE,
    PAGE_ENTRIES,
    PAGE_SHIFT,
    RANGE_WORDS,
    REGION_FILTER,
    REGION_WORDS,
    TLB_ENTRIES,
    TLB_R,
    TLB_W,
    TLB_X,
    WATCH_WORDS,
    Exit,
    tlb_slot,
)
from otoriscv.core.policy import line_flags
from otoriscv.core.routine import routine
from otoriscv.core.sem import CAUSE
from otoriscv.core.uop import Builder, Value

__all__ = ["DONE", "DONE_POLL", "LEAVE", "TRAP"]

DONE: Final = 0
TRAP: Final = 1
DONE_POLL: Final = 2
LEAVE: Final = 16

LINE: Final = 1 << LINE_SHIFT
READS: Final = 1
WRITES: Final = 2
#: Set in what `translate` returns for ROM.
ROM: Final = 1 << 63


# -- where an address leads


@routine(2)
def translate(b: Builder, address: Value, kind: Value) -> None:
    """The arena offset of physical *address*, with `ROM` set for ROM; 0 when it is not memory."""
    found = b.var(0)
    with b.repeat(b.get_m("nranges")) as n:
        row = n * RANGE_WORDS
        inside = address - b.get_m("ranges", row)
        hit = inside.ltu(b.get_m("ranges", row + 1))
        with b.if_(hit):
            rom = b.get_m("ranges", row + 3) << 63
            found.value = (inside + b.get_m("ranges", row + 2)) | rom
        b.break_if(hit)
    b.ret(found.value)


@routine(3)
def tlb_fill(b: Builder, address: Value, offset: Value, kind: Value) -> None:
    """Enter the page of *address*, at arena *offset*, for reads or writes; not a watched one, nor
    one that PMP covers in part."""
    with b.if_(b.get("page_ok").eq(0)):
        b.ret()
    with (
        b.if_(b.get_m("nwatchpoints").ne(0)),
        b.if_(b.call("watched", address & -PAGE, PAGE, READS | WRITES).ne(0)),
    ):
        b.ret()
    index = (address >> PAGE_SHIFT) & (TLB_ENTRIES - 1)
    at = ((kind * TLB_ENTRIES + index) << 1) + b.get("data_bank")
    b.set("tlb", address & -PAGE, at)
    b.set("tlb", offset - address, at + 1)


assert tlb_slot(0, 0) == HART["tlb"]


@routine(3)
def watched(b: Builder, address: Value, size: Value, kinds: Value) -> None:
    """1 when a watchpoint of one of *kinds* overlaps; exit_addr and exit_kind then say where."""
    found = b.var(0)
    with b.repeat(b.get_m("nwatchpoints")) as n:
        row = n * WATCH_WORDS
        start = b.get_m("watchpoints", row)
        common = b.get_m("watchpoints", row + 2) & kinds
        inside = (address - start).ltu(b.get_m("watchpoints", row + 1))
        overlaps = inside | (start - address).ltu(size)
        hit = overlaps & common.ne(0)
        with b.if_(hit):
            b.set("exit_addr", inside.select(address, start))
            b.set("exit_kind", (common & WRITES).ne(0).select(WRITES, READS, 64))
            found.value = 1
        b.break_if(hit)
    b.ret(found.value)


def _trap(b: Builder, cause: int | Value, tval: Value) -> None:
    b.set("trap_cause", cause)
    b.set("trap_tval", tval)
    b.ret(TRAP)


def _watch(
    b: Builder, address: Value, size: Value, kinds: Value, value: Value | None = None
) -> None:
    with (
        b.if_(b.get_m("nwatchpoints").ne(0) & b.get("watch_skip").eq(0)),
        b.if_(b.call("watched", address, size, kinds).ne(0)),
    ):
        b.set("exit_access", address)
        b.set("exit_size", size)
        b.set("exit_stores", value is not None)
        b.set("exit_value", 0 if value is None else value)
        b.ret(LEAVE + Exit.WATCH)


def _resolved(b: Builder, address: Value, size: Value, kind: Value) -> Value:
    """The place of an access (see `translate`), or a trap."""
    with b.if_(b.call("resolve", address, size, kind).ne(0)):
        b.ret(TRAP)
    return b.call("translate", b.get("phys"), kind)


def _device_fault(b: Builder, cause: int, address: Value) -> None:
    """Trap when Python found that the device does not let this be done."""
    with b.if_(b.get("device").eq(DEVICE_FAULT)):
        b.set("device", 0)
        _trap(b, cause, address)


# -- the three entries


@routine(3)
def load_slow(b: Builder, address: Value, size: Value, kind: Value) -> None:
    """Load *size* bytes, zero-extended, into the slot ``value``.

    *kind* is 0, or 1 for an AMO's load: that one must be aligned and faults as a store does.
    """
    amo = kind.ne(0)
    misaligned = (address & (size - 1)).ne(0)
    with b.if_(misaligned & (amo | b.get("misaligned_trap").ne(0))):
        _trap(b, amo.select(CAUSE.STORE_MISALIGNED, CAUSE.LOAD_MISALIGNED, 64), address)
    _watch(b, address, size, amo.select(READS | WRITES, READS, 64))
    with b.if_(misaligned):
        known, offset = _known_page(b, address, size, TLB_R)
        with b.if_(known):
            _load(b, offset, size)
        b.ret(b.call("load_pieces", address, size))
    tlb_kind = amo.select(TLB_W, TLB_R, 64)
    place = _resolved(b, address, size, tlb_kind)
    with b.if_(place.eq(0)):
        _device_fault(b, CAUSE.LOAD_FAULT, address)
        b.set("device", amo.select(DEVICE_AMO, b.get("device"), 64))
        b.ret(b.call("load_device", b.get("phys"), size))
    offset = place & ~ROM
    with b.if_(~(amo & place.bit(63))):
        b.call("tlb_fill", address, offset, tlb_kind)
    _load(b, offset, size)


def _load(b: Builder, offset: Value, size: Value) -> None:
    """Load from an arena offset, the end of a slow load."""
    with b.switch(size) as s:
        for n in (1, 2, 4, 8):
            with s.case(n):
                b.set("value", b.aload(offset, 8 * n))
    b.ret(DONE)


def _tlb_entry(b: Builder, address: Value, kind: int) -> Value:
    """Where in the hart's TLB the entry for *address* is: its tag, and behind it the addend."""
    at = (((address >> PAGE_SHIFT) & (TLB_ENTRIES - 1)) << 1) + b.get("data_bank")
    return at + (tlb_slot(0, kind) - tlb_slot(0, 0))


def _known_page(b: Builder, address: Value, size: Value, kind: int) -> tuple[Value, Value]:
    """Whether the TLB knows the page of an access that is all in it; its arena offset then."""
    at = _tlb_entry(b, address, kind)
    inside = (b.const(PAGE, 64) - size).geu(address & (PAGE - 1))
    known = inside & (address & -PAGE).eq(b.get("tlb", at))
    return known, address + b.get("tlb", at + 1)


@routine(3)
def store_slow(b: Builder, address: Value, value: Value, size: Value) -> None:
    """Store the low *size* bytes of *value*; ROM ignores stores."""
    # a store into a line with code is slow for no other reason than that
    at = _tlb_entry(b, address, TLB_W)
    with b.if_((address & (size - 1 | -PAGE)).eq(b.get("tlb", at))):
        _put(b, address + b.get("tlb", at + 1), value, size)
    misaligned = (address & (size - 1)).ne(0)
    with b.if_(misaligned & b.get("misaligned_trap").ne(0)):
        _trap(b, CAUSE.STORE_MISALIGNED, address)
    _watch(b, address, size, b.const(WRITES, 64), value.zext(64))
    with b.if_(misaligned):
        known, offset = _known_page(b, address, size, TLB_W)
        last = offset + (size - 1)
        with b.if_(known), b.if_((line_flags(b, offset) | line_flags(b, last)).eq(0)):
            _put(b, offset, value, size)
        b.ret(b.call("store_pieces", address, value, size))
    place = _resolved(b, address, size, b.const(TLB_W, 64))
    with b.if_(place.eq(0)):
        _device_fault(b, CAUSE.STORE_FAULT, address)
        b.ret(b.call("store_device", b.get("phys"), value, size))
    with b.if_(place.bit(63).eq(0)):
        b.call("tlb_fill", address, place, TLB_W)
        _put(b, place, value, size)
    b.set("store_at", place)
    b.set("store_end", place + (size - 1))
    b.ret(DONE)


def _put(b: Builder, place: Value, value: Value, size: Value) -> None:
    """Store at an arena offset, the end of a slow store."""
    b.set("store_at", place)
    b.set("store_end", place + (size - 1))
    b.call("poke", place, value, size)
    with b.if_(b.get_m("stop").ne(0)):
        b.ret(DONE_POLL)
    b.ret(DONE)


@routine(1)
def fetch_slow(b: Builder, pc: Value) -> None:
    """The arena offset of *pc*'s page into the slot ``value``; FALLBACK when not all of it may be
    executed alike: such a page is run through `fetch_exact`.

    The execute TLB is the native engines' own: its addends lead to decoded entries.
    """
    status = b.call("fetch_exact", pc)
    with b.if_(status.eq(0) & b.get("page_ok").eq(0)):
        b.ret(LEAVE + Exit.FALLBACK)
    b.ret(status)


@routine(1)
def fetch_exact(b: Builder, pc: Value) -> None:
    """The arena offset of the page of the two bytes at *pc* into the slot ``value``."""
    place = _resolved(b, pc, b.const(2, 64), b.const(TLB_X, 64))
    with b.if_(place.eq(0)):
        _trap(b, CAUSE.FETCH_FAULT, pc)
    offset = place & ~ROM
    b.set("value", offset & -PAGE)
    b.ret(DONE)


# -- misaligned accesses, byte by byte over at most two pages


def _pieces(b: Builder, address: Value, size: Value, kind: int) -> tuple[Value, Value, Value]:
    """(place of the first byte, place of the last byte's page, bytes in the first page)."""
    end = (address + (size - 1)).trunc(b.xlen).zext(64)
    room = b.const(PAGE, 64) - (address & (PAGE - 1))
    one = room.geu(size)
    how = b.const(kind, 64)
    first = _resolved(b, address, one.select(size, room), how)
    phys = b.get("phys")
    second = b.var(first)
    with b.if_(~one):
        second.value = _resolved(b, end & -PAGE, size - room, how)
    b.set("phys", phys)
    with b.if_(first.eq(0) | second.value.eq(0)):
        b.ret(LEAVE + Exit.FALLBACK)
    return first, second.value, room


@routine(2)
def load_pieces(b: Builder, address: Value, size: Value) -> None:
    """A misaligned load."""
    first, second, room = _pieces(b, address, size, TLB_R)
    with b.if_(room.geu(size)):
        b.call("tlb_fill", address, first & ~ROM, TLB_R)
    value = b.var(0)
    with b.repeat(size) as n:
        at = n.ltu(room).select(first + n, second + (n - room)) & ~ROM
        value.value = value.value | (b.aload(at, 8).zext(64) << (n << 3))
    b.set("value", value.value)
    b.ret(DONE)


@routine(3)
def store_pieces(b: Builder, address: Value, value: Value, size: Value) -> None:
    """A misaligned store."""
    first, second, room = _pieces(b, address, size, TLB_W)
    b.set("store_at", first)
    b.set("store_end", room.geu(size).select(first, second - room) + (size - 1))
    with b.if_(room.geu(size) & first.bit(63).eq(0)):
        b.call("tlb_fill", address, first, TLB_W)
    with b.repeat(size) as n:
        at = n.ltu(room).select(first + n, second + (n - room))
        with b.if_(at.bit(63).eq(0)):
            b.call("poke", at, value >> (n << 3), 1)
    b.ret(DONE)


# -- the write door


@routine(3)
def poke(b: Builder, offset: Value, value: Value, size: Value) -> None:
    """Store at an arena offset in guest memory; an access does not cross a line."""
    with b.switch(size) as s:
        for n in (1, 2, 4, 8):
            with s.case(n):
                b.astore(offset, value.trunc(8 * n))
    flags = line_flags(b, offset)
    with b.if_((flags & LINE_WATCH).ne(0)):
        b.set_m("stop", 1)
    with b.if_((flags & LINE_CLEAN).ne(0)):
        b.call("page_written", offset)
    with b.if_((flags & LINE_CODE).ne(0)):
        b.call("code_written", offset, size)


@routine(1)
def page_written(b: Builder, offset: Value) -> None:
    """The first store to a page since the checkpoint: none of its lines is clean now."""
    lines = (offset >> PAGE_SHIFT << (PAGE_SHIFT - LINE_SHIFT)) + LINES
    with b.repeat(PAGE >> LINE_SHIFT >> 3) as n:
        at = lines + (n << 3)
        b.astore(at, b.aload(at, 64) & ~(LINE_CLEAN * 0x0101_0101_0101_0101))


@routine(2)
def drop_regions(b: Builder, offset: Value, size: Value) -> None:
    """Bytes of a line with compiled code were written: no region that contains them is entered
    again. Their decoded entries are decoded anew; the engine frees what it finds dropped."""
    with b.repeat(b.get_m("nregions")) as n:
        row = n * REGION_WORDS
        start, end = b.get_m("regions", row), b.get_m("regions", row + 1)
        with b.if_((offset + size - start - 1).ltu(end - start + size - 1)):
            first = b.get_m("regions", row + 2)
            with b.repeat(b.get_m("regions", row + 3)) as k:
                entry = b.get_m("region_entries", first + k)
                b.astore(entry, b.const(0, 64))
                b.astore(entry + 8, b.const(0, 64))
            b.set_m("regions", 0, row)
            b.set_m("regions", 0, row + 1)


@routine(2)
def code_written(b: Builder, offset: Value, size: Value) -> None:
    """Bytes of a line with code were written: forget the decoded entries that overlap them."""
    b.set_m("code_writes", b.get_m("code_writes") + 1)
    b.set_m("invalidations", b.get_m("invalidations") + 1)
    line = (offset >> LINE_SHIFT) + LINES
    last = offset + (size - 1)
    written = (b.const(2, 64) << ((last >> 1) - (offset >> 1))) - 1
    with (
        b.if_((b.aload(line, 8) & LINE_REGION).ne(0)),
        b.if_((_in_regions(b, offset) & written).ne(0)),
    ):
        b.call("drop_regions", offset, size)
    pool = b.get_m("pool")
    with b.if_(pool.ne(0)):
        # a 4-byte instruction may begin a halfword earlier, but never in another page
        before, page = (offset - 2) & -2, offset & -PAGE
        start = before.ltu(page).select(page, before)
        inside = start - MEM
        entry = pool + (inside << 3) + ((inside >> PAGE_SHIFT) << 6)
        words = (offset + size + 1 - start) & -2  # two a halfword
        with b.repeat(words) as n:
            b.astore(entry + (n << 3), b.const(0, 64))
        # what is rewritten often has code right behind it, in the same line
        behind = start + words
        with (
            b.if_((behind & (LINE - 1)).ne(0)),
            b.if_(b.aload(entry + (words << 3), 64).ne(0)),
        ):
            b.ret()
    with b.if_(b.call("has_code", offset).eq(0)):
        b.astore(line, b.aload(line, 8) & ~(LINE_CODE | LINE_REGION))


def _in_regions(b: Builder, offset: Value) -> Value:
    """A bit for each halfword from arena *offset* to the end of its line: 0 if no region has it."""
    half = offset >> 1
    return b.get_m("region_filter", (half >> 6) & (REGION_FILTER - 1)) >> (half & 63)


@routine(1)
def has_code(b: Builder, offset: Value) -> None:
    """1 unless nothing is left that a native engine made from the line at arena *offset*: a page
    that an operating system uses for something else is soon an ordinary one."""
    start = (offset >> LINE_SHIFT) << LINE_SHIFT
    with (
        b.if_((b.aload((offset >> LINE_SHIFT) + LINES, 8) & LINE_REGION).ne(0)),
        b.if_((_in_regions(b, start) & 0xFFFF_FFFF).ne(0)),
        b.repeat(b.get_m("nregions")) as n,
    ):
        row = n * REGION_WORDS
        low, high = b.get_m("regions", row), b.get_m("regions", row + 1)
        with b.if_(low.ltu(start + LINE) & start.ltu(high)):
            b.ret(1)
    inside = start - MEM
    page = b.get_m("pool") + (inside >> PAGE_SHIFT) * PAGE_ENTRIES
    # without a sentinel it is the python engine's page
    with b.if_(b.get_m("pool").eq(0) | b.aload(page + 8 * PAGE, 16).eq(0)):
        b.ret(1)
    entry = page + ((inside & (PAGE - 1)) << 3)
    first = entry.eq(page).select(0, 1, 64)  # a longer instruction begins a halfword earlier
    with (
        b.repeat(first + LINE // 2) as n,
        b.if_(b.aload(entry + ((n - first) << 4), 64).ne(0)),
    ):
        b.ret(1)
    b.ret(0)
