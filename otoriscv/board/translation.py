"""Memory as a hart's loads and stores find it: through its page tables, for whoever looks on.

Unlike the guest's own accesses (`otoriscv.core.mmu`) these change nothing: no trap, no accessed or
dirty bit, no TLB entry; and permissions, PMP included, do not matter (privileged spec, 4.3 to 4.5).
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Final, NamedTuple

from otoriscv.core.hart import Hart
from otoriscv.core.layout import PAGE, PAGE_SHIFT
from otoriscv.core.memory import Memory, MemoryHole
from otoriscv.core.mmu import SV39, SV48
from otoriscv.core.mstatus import MSTATUS

__all__ = [
    "Entry",
    "Mapping",
    "Scheme",
    "TooManyTables",
    "TranslatedMemory",
    "mappings",
    "physical",
    "scheme_of",
    "walk",
]

_V: Final = 1
_LEAF: Final = 2 | 8  # R or X
#: Of an entry: V, R, W, X, U, G, A, D.
FLAGS: Final = 0xFF
#: As many are looked at: 8 GiB of small pages.
TABLES_LIMIT: Final = 1 << 12


class TooManyTables(Exception):
    """The page tables have no end that is worth waiting for; one line."""


class Scheme(NamedTuple):
    """How satp translates: Sv32, Sv39 or Sv48, and from which table on."""

    name: str
    levels: int
    bits: int  #: of an address, that choose an entry of one table
    size: int  #: bytes of an entry
    root: int

    def shift(self, level: int) -> int:
        """Bits of an address that a leaf of *level* leaves as they are."""
        return level * self.bits + PAGE_SHIFT

    def canonical(self, address: int) -> int | None:
        """*address*, None when its upper bits are not copies of the highest that counts."""
        if self.size == 4:
            return address & (1 << 32) - 1
        reach = self.shift(self.levels)
        inside = (address + (1 << reach - 1)) & (1 << 64) - 1 < 1 << reach
        return address if inside else None


class Entry(NamedTuple):
    """An entry of a page table: the *level* is 0 for tables of pages."""

    level: int
    at: int  #: its physical address
    value: int

    @property
    def valid(self) -> bool:
        """Whether it leads anywhere."""
        return bool(self.value & _V)

    @property
    def leaf(self) -> bool:
        """Whether it maps a page, and leads to no other table."""
        return bool(self.value & _LEAF)

    @property
    def target(self) -> int:
        """The physical address of the page or the table that it leads to."""
        return (self.value & (1 << 54) - 1) >> 10 << PAGE_SHIFT


class Mapping(NamedTuple):
    """*size* bytes at *address* that follow each other in memory, mapped by leaves alike."""

    address: int
    physical: int
    size: int
    page: int  #: bytes that one leaf maps
    flags: int


def scheme_of(hart: Hart) -> Scheme | None:
    """What satp says, whatever the privilege; None when it says Bare."""
    satp = hart.read_csr("satp") if hart.has("S") else 0
    if hart.xlen == 32:
        if not satp >> 31:
            return None
        return Scheme("Sv32", 2, 10, 4, (satp & (1 << 22) - 1) << PAGE_SHIFT)
    levels = {SV39: 3, SV48: 4}.get(satp >> 60)
    if levels is None:
        return None
    return Scheme(f"Sv{PAGE_SHIFT + 9 * levels}", levels, 9, 8, (satp & (1 << 44) - 1) << 12)


def _data_privilege(hart: Hart) -> int:
    status = hart.read_csr("mstatus")
    lent = hart.priv == 3 and status & MSTATUS.MPRV
    return status >> 11 & 3 if lent else hart.priv


def walk(scheme: Scheme, memory: Memory, address: int) -> Iterator[Entry]:
    """The entries that lead to *address*, down to a leaf, an invalid one, or a hole."""
    inside = scheme.canonical(address)
    table = scheme.root
    for level in reversed(range(scheme.levels if inside is not None else 0)):
        assert inside is not None
        index = inside >> scheme.shift(level) & (1 << scheme.bits) - 1
        at = table + index * scheme.size
        try:
            value = int.from_bytes(memory.read(at, scheme.size), "little")
        except MemoryHole:
            return
        entry = Entry(level, at, value)
        yield entry
        if entry.leaf or not entry.valid:
            return
        table = entry.target


def physical(hart: Hart, memory: Memory, address: int, *, fetch: bool = False) -> int | None:
    """The physical address of *address* for the loads of *hart*, or for its fetches; None where
    nothing is mapped."""
    scheme = scheme_of(hart)
    if scheme is None or (hart.priv if fetch else _data_privilege(hart)) == 3:
        return address
    for entry in walk(scheme, memory, address):
        if entry.valid and entry.leaf:
            return entry.target | address & (1 << scheme.shift(entry.level)) - 1
    return None


def mappings(scheme: Scheme, memory: Memory) -> Iterator[Mapping]:
    """All that the page tables map, by rising address of the unsigned kind; `TooManyTables`.

    Leaves of one size and the same flags that follow each other, here and in memory, are one.
    """
    last: Mapping | None = None
    for address, entry in _leaves(scheme, memory):
        page, flags = 1 << scheme.shift(entry.level), entry.value & FLAGS
        if last is not None:
            goes_on = last.address + last.size == address
            goes_on = goes_on and last.physical + last.size == entry.target
            if goes_on and (last.page, last.flags) == (page, flags):
                last = last._replace(size=last.size + page)
                continue
            yield last
        last = Mapping(address, entry.target, page, page, flags)
    if last is not None:
        yield last


def _leaves(scheme: Scheme, memory: Memory) -> Iterator[tuple[int, Entry]]:
    """(address, leaf) of all tables. They may lead to each other in loops."""
    size, tables = scheme.size, 0
    waiting = [(0, Entry(scheme.levels, 0, scheme.root >> 2 | _V))]
    while waiting:
        base, entry = waiting.pop()
        if entry.leaf:
            yield base, entry
            continue
        tables += 1
        if tables > TABLES_LIMIT:
            raise TooManyTables(f"more than {TABLES_LIMIT} page tables")
        try:
            data = memory.read(entry.target, PAGE)
        except MemoryHole:
            continue
        level = entry.level - 1
        found = []
        for index, (value,) in enumerate(struct.iter_unpack("<Q" if size == 8 else "<I", data)):
            if value & _V and (level or value & _LEAF):
                address = base | index << scheme.shift(level)
                if entry.level == scheme.levels and size == 8 and index >> scheme.bits - 1:
                    address |= -1 << scheme.shift(scheme.levels) & (1 << 64) - 1
                found.append((address, Entry(level, entry.target + index * size, value)))
        waiting += reversed(found)


class TranslatedMemory:
    """RAM and ROM under a hart's addresses, whatever its translation is at each moment.

    The addresses are those of its loads or, with *fetch*, of its instructions.
    """

    def __init__(self, hart: Hart, memory: Memory, *, fetch: bool = False) -> None:
        self._hart = hart
        self._memory = memory
        self._fetch = fetch

    def _pieces(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        """Physical address and length of each page's part, or of all when nothing is translated;
        `MemoryHole` where nothing is."""
        if scheme_of(self._hart) is None or _data_privilege(self._hart) == 3:
            yield address, length
            return
        while length > 0:
            part = min(length, PAGE - address % PAGE)
            where = physical(self._hart, self._memory, address, fetch=self._fetch)
            if where is None:
                raise MemoryHole(f"nothing is mapped at {address:#x}")
            yield where, part
            address += part
            length -= part

    def available(self, address: int, length: int) -> int:
        """How many of *length* bytes at *address* can be read."""
        found = 0
        try:
            for where, part in self._pieces(address, length):
                have = self._memory.available(where, part)
                found += have
                if have < part:
                    break
        except MemoryHole:
            pass
        return found

    def read(self, address: int, length: int) -> bytes:
        """Read; `MemoryHole` where nothing is."""
        return b"".join(self._memory.read(*piece) for piece in self._pieces(address, length))

    def write(self, address: int, data: bytes, *, rom: bool = False) -> None:
        """Write all of it or, with `MemoryHole`, nothing."""
        pieces = list(self._pieces(address, len(data)))
        for where, part in pieces:
            if self._memory.available(where, part) < part:
                raise MemoryHole(f"no memory at {where:#x}")
        at = 0
        for where, part in pieces:
            self._memory.write(where, data[at : at + part], rom=rom)
            at += part
