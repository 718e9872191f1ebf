"""The compiled regions of one machine that are entered, and those kept aside.

A region is entered through the decoded entries of its entry pcs: their handler number is its slot.
Where code lies is an arena offset (a *place*); what a region knows are addresses, so a placed
region has the distance between both.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import reduce
from operator import or_
from typing import Final, NamedTuple

from otoriscv.core.handlers import FIRST_REGION, SPECIAL
from otoriscv.core.layout import (
    LINE_CODE,
    LINE_REGION,
    LINE_SHIFT,
    LINES,
    MACHINE,
    MAX_REGIONS,
    PAGE_SHIFT,
    REGION_FILTER,
    REGION_WORDS,
    entry_offset,
)
from otoriscv.core.memory import Arena
from otoriscv.jit.interp.slots import MAX_PROGRAMS, Slots
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.request import CompiledRegion, hash_spans

__all__ = ["InstalledRegions", "Placed"]

#: Regions kept that do not fit the breakpoints or watchpoints in force.
SHELF: Final = 256

_REGIONS: Final = MACHINE["regions"]
_ENTRIES: Final = MACHINE["region_entries"]
_FILTER: Final = MACHINE["region_filter"]


class Placed(NamedTuple):
    """A region and the arena offset of its address 0."""

    region: CompiledRegion
    delta: int
    asked: int  # the place for which it was compiled

    def spans(self) -> Iterator[tuple[int, int]]:
        """Arena offsets (start, end) of its code."""
        return ((s + self.delta, e + self.delta) for s, e in self.region.spans)

    def entries(self) -> list[int]:
        """The places where it is entered."""
        return [pc + self.delta for pc, _, _ in self.region.entries]

    def pages(self) -> set[int]:
        """The pages (arena offset / `PAGE`) with its code."""
        return {
            page
            for start, end in self.spans()
            for page in range(start >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) + 1)
        }

    def places(self) -> list[int]:
        """Of its instructions."""
        return [pc + self.delta for pc in self.region.covered]


class _Row(NamedTuple):
    placed: Placed
    code: int  # host address
    first: int  # slot of its first entry
    entries: tuple[int, ...]  # arena offsets of its decoded entries


class InstalledRegions:
    """Enters regions and forgets them. *decode* fills the decoded entry of an undecoded place:
    (place, arena offset of the entry), False when it has none of its own. *handler_at* gives the
    handler of the conditions of the breakpoint at a pc, if any. *evicted* is told how many were
    dropped for want of room.
    """

    def __init__(
        self,
        arena: Arena,
        m: memoryview,
        slots: Slots,
        code: CodeArena,
        decode: Callable[[int, int], int | None],
        handler_at: Callable[[int], int | None],
        evicted: Callable[[int], None],
    ) -> None:
        self._view = arena.view8
        self._handlers = arena.view16  # the first halfword of a decoded entry is its handler
        self._pool = arena.pool
        self._m = m
        m[MACHINE["nregions"]] = 0
        for n in range(REGION_FILTER):
            m[_FILTER + n] = 0
        self._slots = slots
        self._code = code
        self._decode = decode
        self._handler_at = handler_at
        self._evicted = evicted
        self._rows: dict[int, _Row] = {}
        self._owners: dict[int, CompiledRegion] = {}  # by slot
        #: Places of entries, by page: those of untranslated regions, and of translated ones.
        self._entered: tuple[dict[int, list[int]], dict[int, list[int]]] = {}, {}
        self._free = list(range(MAX_REGIONS - 1, -1, -1))
        self._shelf: list[Placed] = []
        #: The same for the regions with code there.
        self._covering: tuple[dict[int, list[Placed]], dict[int, list[Placed]]] = {}, {}
        self._filtered: dict[int, list[int]] = {}  # by word of the filter: the bits of each span

    def all(self) -> list[CompiledRegion]:
        """Those that are entered now."""
        return [row.placed.region for row in self._rows.values()]

    def slots_of(self, region: CompiledRegion) -> dict[int, int] | None:
        """The host addresses that a region's slots lead to; None: it is not entered at its pc."""
        for row in self._rows.values():
            number = self._handlers[row.entries[0] >> 1]
            if row.placed.region is region and number == FIRST_REGION + row.first:
                return dict(enumerate(self._slots.codes(row.first, len(row.entries)), row.first))
        return None

    def covering(self, place: int, *, translated: bool) -> int:
        """How many regions that can run there contain the instruction at *place*."""
        return sum(
            placed.region.has(place - placed.delta)
            for covering in self._covering[translated:]
            for placed in covering.get(place >> PAGE_SHIFT, ())
        )

    def entered_at(self, place: int, *, translated: bool) -> CompiledRegion | None:
        """The region that is entered at *place*, if one that can run there is."""
        entry = entry_offset(self._pool, place)
        number = self._handlers[entry >> 1]
        region = self._owners.get(number - FIRST_REGION)
        return None if region is None or region.translated < translated else region

    def entered_in(self, start: int, end: int, *, translated: bool) -> list[int]:
        """The places in [start, end) at which regions are entered that can run there."""
        pages = range(start >> PAGE_SHIFT, (end - 1 >> PAGE_SHIFT) + 1)
        return [
            place
            for entered in self._entered[translated:]
            for page in pages
            for place in entered.get(page, ())
            if start <= place < end
        ]

    def install(self, placed: Placed) -> bool:
        """Enter the region from now on. False: its code is not what it was made from any more, or
        it is larger than all room there is."""
        region = placed.region
        if hash_spans(tuple(placed.spans()), self._read) != region.digest:
            return False
        room = self._room(region)
        while room is None and self._rows:
            self._evict()
            room = self._room(region)
        if room is None:
            return False
        row, first, code = room
        count = len(region.entries)
        entries = []
        for k, (pc, at, own) in enumerate(region.entries):
            condition = self._handler_at(pc)
            self._slots.set(first + k, code + at, own if condition is None else condition)
            entry = entry_offset(self._pool, pc + placed.delta)
            entries.append(entry)
            self._m[_ENTRIES + first + k] = entry
            if self._may_enter(pc + placed.delta, entry, region):
                self._handlers[entry >> 1] = FIRST_REGION + first + k
        spans = list(placed.spans())
        at = _REGIONS + row * REGION_WORDS
        self._m[at], self._m[at + 1] = min(s for s, _ in spans), max(e for _, e in spans)
        self._m[at + 2], self._m[at + 3] = first, count
        self._m[MACHINE["nregions"]] = max(self._m[MACHINE["nregions"]], row + 1)
        for start, end in spans:
            for line in range(start >> LINE_SHIFT, (end - 1 >> LINE_SHIFT) + 1):
                self._view[LINES + line] |= LINE_REGION | LINE_CODE
            self._filter(start, end)
        self._rows[row] = _Row(placed, code, first, tuple(entries))
        entered = self._entered[region.translated]
        for place in placed.entries():
            entered.setdefault(place >> PAGE_SHIFT, []).append(place)
        covering = self._covering[region.translated]
        for page in placed.pages():
            covering.setdefault(page, []).append(placed)
        self._owners.update(dict.fromkeys(range(first, first + count), region))
        return True

    def _room(self, region: CompiledRegion) -> tuple[int, int, int] | None:
        """A row, the first slot and the host address for *region*, if there are any."""
        count = len(region.entries)
        first = self._slots.take(count, MAX_PROGRAMS) if self._free else None
        if first is None:
            return None
        code = self._code.put(region.code)
        if code is None:
            self._slots.free(first, count)
            return None
        return self._free.pop(), first, code

    def _evict(self) -> None:
        """Drop the eighth that is here longest: what is hot among it comes back soon."""
        oldest = list(self._rows)[: len(self._rows) + 7 >> 3]
        for number in oldest:
            self._drop(number)
        self._evicted(len(oldest))

    def put_aside(self, placed: Placed) -> None:
        """Keep a region that may fit again."""
        self._shelf.append(placed)
        del self._shelf[:-SHELF]

    def sort(
        self, touched: Callable[[CompiledRegion], bool], fits: Callable[[CompiledRegion], bool]
    ) -> int:
        """Of the regions that a change *touched*, put aside those that do not fit any more, and
        enter those that do again. Returns how many were put aside."""
        count = 0
        for n, row in list(self._rows.items()):
            if touched(row.placed.region) and not fits(row.placed.region):
                self.put_aside(row.placed)
                self._drop(n)
                count += 1
        again = [p for p in self._shelf if touched(p.region) and fits(p.region)]
        self._shelf = [p for p in self._shelf if p not in again]
        for placed in again:
            self.install(placed)
        return count

    def written(self, start: int, end: int) -> int:
        """Drop the regions made from arena bytes [start, end); returns how many."""
        found = [
            n
            for n, row in self._rows.items()
            if any(s < end and start < e for s, e in row.placed.spans())
        ]
        for n in found:
            self._drop(n)
        return len(found)

    def reap(self) -> list[Placed]:
        """Free the regions that native stores have dropped; returns them."""
        found = [n for n in self._rows if self._m[_REGIONS + n * REGION_WORDS + 1] == 0]
        return [self._drop(n) for n in found]

    def _filter(self, start: int, end: int) -> None:
        """Arena bytes [start, end) are code of one more region."""
        for word, bits in _filter_bits(start, end):
            self._filtered.setdefault(word, []).append(bits)
            self._m[_FILTER + word] |= bits

    def _unfilter(self, start: int, end: int) -> None:
        """Arena bytes [start, end) are code of one region less."""
        for word, bits in _filter_bits(start, end):
            left = self._filtered[word]
            left.remove(bits)
            self._m[_FILTER + word] = reduce(or_, left, 0)

    def _read(self, start: int, length: int) -> bytes:
        return bytes(self._view[start : start + length])

    def _may_enter(self, place: int, entry: int, region: CompiledRegion) -> bool:
        """Make sure the entry is decoded: its operands serve the interpreter. False: it is a
        better region's already, or not an instruction's."""
        number = self._handlers[entry >> 1]
        if number >= FIRST_REGION:
            other = self._owners.get(number - FIRST_REGION)
            return other is None or _worth(other) < _worth(region)
        if 0 < number < len(SPECIAL):
            return False
        return number != 0 or self._decode(place, entry) is not None

    def _drop(self, number: int) -> Placed:
        """Forget a region: its entries are decoded anew."""
        row = self._rows.pop(number)
        for k, entry in enumerate(row.entries):
            if self._handlers[entry >> 1] == FIRST_REGION + row.first + k:
                self._view[entry : entry + 16] = bytes(16)
        at = _REGIONS + number * REGION_WORDS
        self._m[at] = self._m[at + 1] = self._m[at + 3] = 0
        self._code.free(row.code)
        self._free.append(number)
        self._slots.free(row.first, len(row.entries))
        for slot in range(row.first, row.first + len(row.entries)):
            del self._owners[slot]
        region = row.placed.region
        entered = self._entered[region.translated]
        for place in row.placed.entries():
            entered[place >> PAGE_SHIFT].remove(place)
        covering = self._covering[region.translated]
        for page in row.placed.pages():
            covering[page].remove(row.placed)
        for start, end in row.placed.spans():
            self._unfilter(start, end)
        return row.placed


def _filter_bits(start: int, end: int) -> Iterator[tuple[int, int]]:
    """The words of the filter for arena bytes [start, end), with the bits of each."""
    begin, stop = start >> 1, end + 1 >> 1
    for first in range(begin & -64, stop, 64):
        low, high = max(first, begin), min(first + 64, stop)
        yield first // 64 % REGION_FILTER, (1 << high - first) - (1 << low - first)


def _worth(region: CompiledRegion) -> tuple[bool, int]:
    """Translated regions run in any mode; larger ones are left less often."""
    return region.translated, region.instructions
