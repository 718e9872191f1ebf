"""``monitor info pages`` and ``monitor info tlb``: what a hart's addresses lead to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from otoriscv.board.translation import Scheme, TooManyTables, mappings, scheme_of, walk
from otoriscv.core.hart import Hart
from otoriscv.core.layout import (
    MEM,
    PAGE,
    PAGE_ENTRIES,
    PAGE_SHIFT,
    TLB_ENTRIES,
    TLB_R,
    TLB_W,
    TLB_X,
    tlb_slot,
)

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["pages", "tlb"]

_FLAGS: Final = "vrwxugad"
_BANKS: Final = ("M", "U", "S", "S+SUM")
_KINDS: Final = {TLB_R: "r", TLB_W: "w", TLB_X: "x"}
_ROWS: Final = 4096  # of a listing


def _bits(flags: int, names: str = _FLAGS) -> str:
    return "".join(name if flags >> bit & 1 else "-" for bit, name in enumerate(names))


def _size(size: int) -> str:
    unit = next(u for u in (40, 30, 20, 10, 0) if size % (1 << u) == 0)
    return f"{size >> unit}{'BKMGT'[unit // 10]}"


def pages(machine: VirtMachine, hart: Hart, argument: str) -> str:
    """All that satp's tables map or, with an address or a symbol, the walk to it; ValueError."""
    address = _address(machine, argument) if argument else None
    scheme = scheme_of(hart)
    if scheme is None:
        return f"hart {hart.index}: satp is Bare, addresses are physical\n"
    head = f"hart {hart.index}: {scheme.name}, root table at {scheme.root:#x}\n"
    if address is not None:
        return head + _one(machine, scheme, address)
    digits = hart.xlen // 4
    rows = [f"{'address':{digits}} {'physical':14} {'size':>6} {'page':>5} flags\n"]
    try:
        for m in mappings(scheme, machine.memory):
            if len(rows) > _ROWS:
                rows.append(f"... and more than {_ROWS} rows\n")
                break
            rows.append(
                f"{m.address:0{digits}x} {m.physical:014x} {_size(m.size):>6} "
                f"{_size(m.page):>5} {_bits(m.flags)[1:]}\n"
            )
    except TooManyTables as error:
        rows.append(f"... {error}\n")
    return head + ("".join(rows) if len(rows) > 1 else "nothing is mapped\n")


def _one(machine: VirtMachine, scheme: Scheme, address: int) -> str:
    if scheme.canonical(address) is None:
        return f"{address:#x} is not an address of {scheme.name}: its upper bits differ\n"
    rows, entry = [], None
    for entry in walk(scheme, machine.memory, address):
        rows.append(
            f"level {entry.level}: entry {entry.value:#x} at {entry.at:#x}, {_bits(entry.value)}\n"
        )
    if entry is None:
        return f"there is no memory at the root table {scheme.root:#x}\n"
    if not entry.valid:
        rows.append(f"{address:#x} is not mapped\n")
    elif entry.leaf:
        page = 1 << scheme.shift(entry.level)
        where = entry.target | address & page - 1
        name = "" if entry.target % page == 0 else ", but that is no address of such a page"
        rows.append(f"{address:#x} is {where:#x}, in a page of {_size(page)}{name}\n")
    elif entry.level:
        rows.append(f"there is no memory at the table {entry.target:#x}\n")
    else:
        rows.append(f"{address:#x} is not mapped: the last entry is no leaf\n")
    return "".join(rows)


def _address(machine: VirtMachine, text: str) -> int:
    symbol = machine.symbols.get(text)
    if symbol is not None:
        return symbol.address
    try:
        return int(text, 0) & (1 << machine.xlen) - 1
    except ValueError:
        raise ValueError(f"{text!r} is neither an address nor a symbol") from None


def tlb(machine: VirtMachine, hart: Hart, argument: str) -> str:
    """The valid entries of the hart's software TLB: pages that native code reaches at once."""
    if argument:
        raise ValueError("`info tlb` shows all of it")
    rows = []
    digits = hart.xlen // 4
    for bank, name in enumerate(_BANKS):
        found: dict[tuple[int, int], set[int]] = {}
        for kind in _KINDS:
            for address, offset in _entries(machine, hart, bank, kind):
                found.setdefault((address, offset), set()).add(kind)
        for (address, offset), kinds in sorted(found.items()):
            access = "".join(text if kind in kinds else "-" for kind, text in _KINDS.items())
            where = machine.memory.address_of(offset)
            rows.append(f"{name:5} {address:0{digits}x} {where:014x} {access}\n")
    if rows:
        rows.insert(0, f"{'mode':5} {'address':{digits}} {'physical':14} access\n")
    return f"hart {hart.index}: {max(0, len(rows) - 1)} pages\n{''.join(rows)}"


def _entries(machine: VirtMachine, hart: Hart, bank: int, kind: int) -> Iterator[tuple[int, int]]:
    """(address, arena offset) of the pages in one table of the TLB."""
    slots, first, mask = hart.q, tlb_slot(bank, kind), (1 << 64) - 1
    for index in range(TLB_ENTRIES):
        tag, addend = slots[first + 2 * index], slots[first + 2 * index + 1]
        if tag % PAGE:
            continue
        if kind == TLB_X:  # leads to the page's decoded entries
            entries = (8 * tag + addend & mask) - machine.arena.pool
            yield tag, (entries // PAGE_ENTRIES << PAGE_SHIFT) + MEM
        else:
            yield tag, tag + addend & mask
