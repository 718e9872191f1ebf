"""Address translation in micro-ops: Sv32, Sv39 and Sv48 (privileged spec, sections 4.3 to 4.5).

Entries of the software TLB and traces made under translation hold until they are flushed. Banks
keep the entries of different privileges apart, so that a change of privilege flushes nothing. No
entry has an ASID: those of pages that are not global are the current address space's, and are
forgotten when satp changes (`tlb_flush_local`).
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.isa_string import extension_bit
from otoriscv.core.layout import (
    LARGE_WORDS,
    NO_WALK,
    PAGE,
    PAGE_SHIFT,
    TLB_ENTRIES,
    TLB_INVALID,
    TLB_R,
    TLB_W,
    TLB_X,
    WALKS,
    tlb_slot,
)
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.pmp import ALL, NONE, PART, READ, WRITE, in_free_range
from otoriscv.core.routine import routine
from otoriscv.core.sem import CAUSE
from otoriscv.core.uop import Builder, Value

__all__ = ["ADUE", "SV32", "SV39", "SV48", "data_privilege", "paging"]

SV32, SV39, SV48 = 1, 8, 9
#: menvcfg.ADUE: the hardware sets A and D bits.
ADUE: Final = 1 << 61
_V, _R, _W, _X, _U, _G, _A, _D = 1, 2, 4, 8, 16, 32, 64, 128
_PAGE_FAULTS: Final = (CAUSE.LOAD_PAGE, CAUSE.STORE_PAGE, CAUSE.FETCH_PAGE)
_ACCESS_FAULTS: Final = (CAUSE.LOAD_FAULT, CAUSE.STORE_FAULT, CAUSE.FETCH_FAULT)
#: All banks but machine mode's: their entries depend on page tables.
_TRANSLATED: Final = tuple(
    tlb_slot(bank, kind) for kind in (TLB_R, TLB_W, TLB_X) for bank in (1, 2, 3)
)
#: Supervisor mode's own: it sees only kernel pages, which are global as a rule.
_KERNEL: Final = tuple(tlb_slot(2, kind) for kind in (TLB_R, TLB_W, TLB_X))
_LOCAL: Final = tuple(slot for slot in _TRANSLATED if slot not in _KERNEL)
_MACHINE: Final = tuple(tlb_slot(0, kind) for kind in (TLB_R, TLB_W, TLB_X))


def paging(b: Builder) -> Value:
    """Whether satp translates the addresses of S and U."""
    return (b.get("satp") >> (31 if b.xlen == 32 else 60)).ne(0)


def data_privilege(priv: Value, status: Value) -> Value:
    """The privilege of loads and stores: mstatus.MPP's in M-mode with MPRV."""
    lent = priv.eq(3) & (status & MSTATUS.MPRV).ne(0)
    return lent.select((status >> 11) & 3, priv)


def _by_kind(b: Builder, kind: Value, values: tuple[int, int, int]) -> Value:
    """The value for a TLB kind."""
    assert (TLB_R, TLB_W, TLB_X) == (0, 1, 2)
    return kind.eq(TLB_R).select(b.const(values[0], 64), kind.eq(TLB_W).select(*values[1:], 64))


def _fault(b: Builder, cause: Value, address: Value) -> None:
    b.set("trap_cause", cause)
    b.set("trap_tval", address)
    b.ret(1)


@routine(3)
def resolve(b: Builder, address: Value, size: Value, kind: Value) -> None:
    """The physical address of *size* bytes at *address* into the slot ``phys``, and whether its
    whole page may be accessed alike into ``page_ok``. The status is 0, or 1 for a trap."""
    status, priv = b.get("mstatus"), b.get("priv")
    who = kind.eq(TLB_X).select(priv, data_privilege(priv, status))
    b.set("phys", address)
    with b.if_(who.ne(3) & paging(b)), b.if_(b.call("walk", address, kind, who).ne(0)):
        b.ret(1)
    b.set("page_ok", 1)
    phys = b.get("phys")
    with b.if_(who.eq(3).select(b.get("pmp_machine").ne(0), ~in_free_range(b, phys))):
        need = _by_kind(b, kind, (1, 2, 4))
        found = b.call("pmp_check", phys & -PAGE, PAGE, need, who)
        with b.if_(found.eq(PART)):
            b.set("page_ok", 0)
        exact = b.var(found)
        with b.if_(found.eq(PART)):
            exact.value = b.call("pmp_check", phys, size, need, who)
        with b.if_(exact.value.ne(ALL)):
            _fault(b, _by_kind(b, kind, _ACCESS_FAULTS), address)
    b.ret(0)


@routine(3)
def walk(b: Builder, address: Value, kind: Value, priv: Value) -> None:
    """The physical address of *address* into ``phys``; 0, or 1 for a trap."""
    wide = b.xlen == 64
    satp = b.get("satp")
    bits, log_size = (9, 3) if wide else (10, 2)
    page_fault = _by_kind(b, kind, _PAGE_FAULTS)
    access_fault = _by_kind(b, kind, _ACCESS_FAULTS)
    levels: Value = b.const(2, 64)
    if wide:
        levels = (satp >> 60).eq(SV39).select(3, 4, 64)
        unused = b.const(64 - PAGE_SHIFT, 64) - levels * bits
        with b.if_(((address << unused).sar(unused)).ne(address)):
            _fault(b, page_fault, address)
    root = (satp & (0xFFF_FFFF_FFFF if wide else 0x3F_FFFF)) << PAGE_SHIFT
    leads = address >> (PAGE_SHIFT + bits)
    known = b.get("walk_tags", leads & (WALKS - 1)).eq(leads)
    table = b.var(known.select(b.get("walk_tables", leads & (WALKS - 1)), root))
    top = known.select(0, levels - 1)
    done = b.var(0)
    with b.repeat(top + 1) as n:
        level = top - n
        shift = level * bits + PAGE_SHIFT
        index = (address >> shift) & ((1 << bits) - 1)
        at = table.value + (index << log_size)
        place = b.call("translate", at, TLB_R)
        with b.if_(place.eq(0) | ~_table_allows(b, at, 1 << log_size, READ)):
            _fault(b, access_fault, address)
        pte = b.aload(place & (1 << 63) - 1, 64 if wide else 32).zext(64)
        malformed = (pte & _V).eq(0) | (pte & (_R | _W)).eq(_W)
        if wide:
            malformed = malformed | (pte >> 54).ne(0)
        leaf = (pte & (_R | _X)).ne(0)
        pointer = (pte & (_A | _D | _U)).eq(0) & level.ne(0)
        with b.if_(malformed | (~leaf & ~pointer)):
            _fault(b, page_fault, address)
        base = (pte >> 10) << PAGE_SHIFT
        table.value = base
        with b.if_(leaf):
            inside = (b.const(1, 64) << shift) - 1
            status = b.call("leaf_allows", pte, kind, priv)
            with b.if_(status.eq(0) | (base & inside).ne(0)):
                _fault(b, page_fault, address)
            needed = kind.eq(TLB_W).select(_A | _D, _A, 64)
            with b.if_((pte & needed).ne(needed)):
                with b.if_(_hardware_updates(b).eq(0)):
                    _fault(b, page_fault, address)
                writable = _table_allows(b, at, 1 << log_size, WRITE)
                with b.if_(~writable | place.bit(63)):
                    _fault(b, access_fault, address)
                b.call("poke", place, pte | needed, 1 << log_size)
            with b.if_(level.ne(0)):
                b.call("note_large_page", address, inside, (pte & _U).ne(0))
            with b.if_((pte & _G).eq(0) & priv.eq(1)):
                b.set("local_kernel", 1)
            b.set("phys", base | (address & inside))
            done.value = 1
        with b.if_(~leaf & level.eq(1)):
            b.set("walk_tags", leads, leads & (WALKS - 1))
            b.set("walk_tables", base, leads & (WALKS - 1))
        b.break_if(done.value.ne(0))
    b.ret(0)


def _table_allows(b: Builder, at: Value, size: int, need: int) -> Value:
    """Whether PMP lets a walk read or write an entry of a page table."""
    found = b.var(in_free_range(b, at).select(ALL, NONE, 64))
    with b.if_(found.value.eq(NONE)):
        found.value = b.call("pmp_check", at, size, need, 1)
    return found.value.eq(ALL)


@routine(1)
def block_allowed(b: Builder, address: Value) -> None:
    """0 when a cache block may be loaded from or stored to; else 1, with a store's trap."""
    with b.if_(b.call("resolve", address, 1, TLB_R).eq(0)):
        b.ret(0)
    b.ret(b.call("resolve", address, 1, TLB_W))


@routine(3)
def leaf_allows(b: Builder, pte: Value, kind: Value, priv: Value) -> None:
    """1 when the permission bits of a leaf entry allow the access."""
    status = b.get("mstatus")
    readable = (status & MSTATUS.MXR).ne(0).select(_R | _X, _R, 64)
    needed = kind.eq(TLB_R).select(readable, kind.eq(TLB_W).select(_W, _X, 64))
    users = (pte & _U).ne(0)
    lent = kind.ne(TLB_X) & (status & MSTATUS.SUM).ne(0)
    mine = priv.eq(0).select(users, ~users | lent)
    b.ret((pte & needed).ne(0) & mine)


def _hardware_updates(b: Builder) -> Value:
    """Whether A and D bits are set by hardware: always, as on QEMU before Svadu, unless the ISA
    says Svade, or Svadu with menvcfg.ADUE clear."""
    isa = b.get("isa")
    by_choice = (b.get("menvcfg") & ADUE).ne(0).zext(64)
    fixed = isa.bit(extension_bit("Svade")).select(0, 1, 64)
    return isa.bit(extension_bit("Svadu")).select(by_choice, fixed)


# -- what a change of page tables makes obsolete


def _invalidate(b: Builder, slots: tuple[int, ...], index: Value) -> None:
    for slot in slots:
        b.set("tlb", TLB_INVALID, (index << 1) + (slot - tlb_slot(0, 0)))


def _forget_matching(b: Builder, index: Value, address: Value, inside: Value | int) -> None:
    """Those of the entries at *index* whose address differs from *address* in *inside* at most."""
    for slot in _TRANSLATED:
        place = (index << 1) + (slot - tlb_slot(0, 0))
        apart = (b.get("tlb", place) ^ address) & ~(b.const(0, 64) | inside)
        with b.if_(apart.eq(0)):
            b.set("tlb", TLB_INVALID, place)


def _flush(b: Builder, slots: tuple[int, ...]) -> None:
    with b.repeat(TLB_ENTRIES) as n:
        _invalidate(b, slots, n)


def _forget_walks(b: Builder) -> None:
    """Also, what the ``python`` engine made must be looked at again."""
    with b.repeat(WALKS) as n:
        b.set("walk_tags", NO_WALK, n)
    b.set("tlb_generation", b.get("tlb_generation") + 1)


@routine(0)
def tlb_flush(b: Builder) -> None:
    """Forget every translation."""
    _flush(b, _TRANSLATED)
    _forget_walks(b)
    b.set("local_kernel", 0)
    _forget_large(b, 0)
    _forget_large(b, 1)


@routine(0)
def tlb_flush_all(b: Builder) -> None:
    """Forget machine mode's, too: physical memory protection changed."""
    _flush(b, _MACHINE)
    b.call("tlb_flush")


@routine(0)
def tlb_flush_local(b: Builder) -> None:
    """Forget the translations of pages that are not global, all of users' pages among them."""
    with b.if_(b.get("local_kernel").ne(0)):
        _flush(b, _KERNEL)
        b.set("local_kernel", 0)
    _flush(b, _LOCAL)
    _forget_walks(b)
    _forget_large(b, 0)


@routine(1)
def tlb_flush_page(b: Builder, address: Value) -> None:
    """Forget the translations of the page at *address*, of all of a superpage when that is there.

    Page tables found by walks stay: only what leaves say is to be forgotten.
    """
    word, bit = _large_place(b, address)
    inside = b.var(0)
    for whose in (0, 1):
        with b.if_((b.get("large", word + whose * LARGE_WORDS) & bit).ne(0)):
            inside.value = inside.value | b.get("large_span", b.const(whose, 64))
    with b.if_(inside.value.eq(0)):
        _forget_matching(b, (address >> PAGE_SHIFT) & (TLB_ENTRIES - 1), address, PAGE - 1)
    with b.if_(inside.value.ne(0)), b.repeat(TLB_ENTRIES) as n:
        _forget_matching(b, n, address, inside.value)
    b.set("tlb_generation", b.get("tlb_generation") + 1)


@routine(1)
def tlb_flush_space(b: Builder, asid: Value) -> None:
    """`tlb_flush_local` if *asid* is satp's: nothing is known of other address spaces."""
    with b.if_(_is_current(b, asid)):
        b.call("tlb_flush_local")


@routine(2)
def tlb_flush_space_page(b: Builder, asid: Value, address: Value) -> None:
    """`tlb_flush_page` if *asid* is satp's."""
    with b.if_(_is_current(b, asid)):
        b.call("tlb_flush_page", address)


def _is_current(b: Builder, asid: Value) -> Value:
    first, bits = (44, 16) if b.xlen == 64 else (22, 9)
    return (((b.get("satp") >> first) ^ asid) & ((1 << bits) - 1)).eq(0)


# Which superpages have entries in the TLB: a fence for an address must find the entries of all of
# the superpage's pages, but a fence elsewhere is not to pay for that there are superpages.


def _large_place(b: Builder, address: Value) -> tuple[Value, Value]:
    """Where the superpage of *address* is noted: a word, and a bit in it."""
    number = address >> (PAGE_SHIFT + (9 if b.xlen == 64 else 10))
    if b.xlen == 64:
        number = number ^ (address >> 45)  # the kernel's areas differ in their highest bits
    return (number >> 6) & (LARGE_WORDS - 1), b.const(1, 64) << (number & 63)


@routine(3)
def note_large_page(b: Builder, address: Value, inside: Value, users: Value) -> None:
    """There is a superpage at *address*; *inside* are the offset bits in it."""
    whose = users.ne(0).select(b.const(0, 64), 1)
    first = whose * LARGE_WORDS
    b.set("large_span", b.get("large_span", whose) | inside, whose)
    word, bit = _large_place(b, address)
    b.set("large", b.get("large", first + word) | bit, first + word)
    smallest = b.const((1 << PAGE_SHIFT + (9 if b.xlen == 64 else 10)) - 1, 64)
    with b.if_(smallest.ltu(inside)), b.repeat(LARGE_WORDS) as n:  # too many places to note
        b.set("large", -1, first + n)


def _forget_large(b: Builder, whose: int) -> None:
    with b.repeat(LARGE_WORDS) as n:
        b.set("large", 0, n + whose * LARGE_WORDS)
    b.set("large_span", 0, b.const(whose, 64))
