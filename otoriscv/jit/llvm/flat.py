"""Loads and stores of flat code: inside one RAM window, without a TLB.

In a block, accesses at constant distances from one address are tested together, at the first of
them: their bounds and alignment with one compare, the lines that stores write with two loads for
each 64 bytes, and whether they are near watchpoints with one compare. A test that fails leaves
before that first access, so it may be stricter than need be: the interpreter goes on there.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final

from otoriscv.core.layout import LINE_SHIFT, LINES, MAX_ACCESS, WATCH_FILTER
from otoriscv.core.slow import READS, WRITES
from otoriscv.core.uop import Builder, Value

__all__ = ["BlockPolicy", "FlatPolicy", "Window"]

_LINE: Final = 1 << LINE_SHIFT
#: Bytes that accesses tested together may be apart: what fits an immediate, about.
_REACH: Final = 4096


@dataclass(frozen=True, slots=True)
class Window:
    """The RAM that flat code accesses directly: guest base, size, arena offset."""

    base: int
    size: int
    offset: int


class FlatPolicy:
    """Loads and stores inside one RAM window, each tested by itself."""

    rare: Final = "bail"

    def __init__(self, window: Window, watching: bool) -> None:
        self.window = window
        self.watching = watching

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        self._watch(m, address, bits, READS | WRITES if kind == "w" else READS)
        offset = self._offset(m, address, bits)
        if kind == "w":  # an AMO: its store must not find the line flagged
            self._line(m, offset)
        return m.aload(offset + self.window.offset, bits)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        self._watch(m, address, value.width, WRITES)
        offset = self._offset(m, address, value.width)
        self._line(m, offset)
        m.astore(offset + self.window.offset, value)

    def _offset(self, m: Builder, address: Value, bits: int) -> Value:
        inside = address + -self.window.base
        _bail_outside(m, inside, self.window.size, bits // 8, 0)
        return inside.zext(64)

    def _line(self, m: Builder, offset: Value) -> None:
        m.emit("bail_if", 0, self._flags(m, offset).ne(0))

    def _flags(self, m: Builder, offset: Value) -> Value:
        first = LINES + (self.window.offset >> LINE_SHIFT)
        return m.aload((offset >> LINE_SHIFT) + first, 8)

    def _watch(self, m: Builder, address: Value, bits: int, kinds: int) -> None:
        """Leave before an access that a watchpoint sees."""
        if self.watching:
            with self._near_watches(m, address, bits // 8):
                self._watch_line(m, address, bits // 8, kinds)

    def _near_watches(self, m: Builder, address: Value, size: int) -> AbstractContextManager[None]:
        """What follows is for *size* bytes at *address* in the range of all watchpoints."""
        more = max(0, size - MAX_ACCESS)  # the range allows for the longest access
        inside = address.zext(64) + more - m.get_m("watch_low")
        return m.if_(inside.ltu(m.get_m("watch_span") + more))

    def _watch_line(self, m: Builder, address: Value, size: int, kinds: int) -> None:
        """Only in lines with a watchpoint, all are looked through; what is not aligned leaves
        anyway."""
        address = address.zext(64)
        line = address >> LINE_SHIFT
        lines = m.get_m("watch_lines", (line >> 6) & (WATCH_FILTER - 1))
        with m.if_(((lines >> (line & 63)) & 1).ne(0)):
            m.emit("bail_if", 0, m.call("watched", address, size, kinds).ne(0))


def _bail_outside(m: Builder, low: Value, size: int, align: int, span: int) -> None:
    """Leave unless *low* (relative to the window) is a multiple of *align* and it, and what is
    *span* behind it, begin *align* bytes inside the window of *size*."""
    if span == 0 and size & (size - 1) == 0:
        bad = (low & (~(size - 1) | (align - 1))).ne(0)
    else:  # rotated, so that an odd address is a large one
        shift = align.bit_length() - 1
        if shift:
            low = (low >> shift) | (low << (low.width - shift))
        bad = low.geu((size - span) >> shift)
    m.emit("bail_if", 0, bad)


class _Group:
    """Accesses at constant distances from the *first* (relative to the window)."""

    __slots__ = ("accesses", "align", "at", "end", "first", "start", "stores_at")

    def __init__(self, first: Value, size: int, at: int) -> None:
        self.first = first
        self.align = size
        self.start, self.end = 0, size  # of all of them, in bytes from the first
        self.at = at  # where the first is in the block's body
        #: Kinds of watchpoints that see them, by (distance, size).
        self.accesses: dict[tuple[int, int], int] = {}
        self.stores_at = 0  # where the first store is there

    def join(self, distance: int, size: int) -> bool:
        """Take in an access; False: one test does not do for it."""
        start, end = min(self.start, distance), max(self.end, distance + size)
        if distance % size or end - start > _REACH:
            return False
        self.align = max(self.align, size)
        self.start, self.end = start, end
        return True

    def note(self, distance: int, size: int, kind: int) -> None:
        """It has an access that watchpoints of a *kind* see."""
        self.accesses[distance, size] = self.accesses.get((distance, size), 0) | kind

    @property
    def stores(self) -> list[tuple[int, int]]:
        """(distance, size) of what is written."""
        return [access for access, kinds in self.accesses.items() if kinds & WRITES]

    def lines(self) -> list[int]:
        """Distances of bytes in every line that a store writes, wherever lines begin."""
        runs: list[list[int]] = []  # of stores that lie in a line's length
        for distance, size in sorted(self.stores):
            if runs and distance + size - runs[-1][0] <= _LINE:
                runs[-1].append(distance)
            else:
                runs.append([distance])
        return [at for run in runs for at in dict.fromkeys((run[0], run[-1]))]


class BlockPolicy(FlatPolicy):
    """For one block: `finish` puts the tests in."""

    def __init__(self, policy: FlatPolicy, body: list[Value]) -> None:
        super().__init__(policy.window, policy.watching)
        self._body = body
        self._groups: dict[int, tuple[_Group, int]] = {}  # by the address they count from
        self._all: list[_Group] = []
        self._kept: list[Value] = []  # keys of groups: an id is one value's as long as it exists

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        found = None if kind == "w" else self._member(m, address, bits // 8)
        if found is None:
            return super().load(m, address, bits, kind)
        group, offset, distance = found
        group.note(distance, bits // 8, READS)
        return m.aload(offset + self.window.offset, bits)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        size = value.width // 8
        found = self._member(m, address, size)
        if found is None:
            super().store(m, address, value)
            return
        group, offset, distance = found
        if not group.stores:
            group.stores_at = len(m.body)
        group.note(distance, size, WRITES)
        m.astore(offset + self.window.offset, value)

    def _member(self, m: Builder, address: Value, size: int) -> tuple[_Group, Value, int] | None:
        """The group that tests an access, its offset in the window and from the first; None in
        a nested body, and for a constant address: the access is tested where it is."""
        base, constant = address, 0
        if address.op == "add" and isinstance(address.args[1], Value):
            inner, added = address.args[0], address.args[1].const
            if isinstance(inner, Value) and added is not None:
                base, constant = inner, added
        if m.body is not self._body or address.const is not None:
            return None
        half = 1 << (address.width - 1)
        known = self._groups.get(id(base))
        if known is not None:
            group, origin = known
            distance = ((constant - origin + half) & (2 * half - 1)) - half
            if group.join(distance, size):
                return group, group.first.zext(64) + distance, distance
        inside = address + -self.window.base
        group = _Group(inside, size, len(m.body))
        self._groups[id(base)] = group, constant
        self._kept.append(base)
        self._all.append(group)
        return group, inside.zext(64), 0

    def _watch_group(self, m: Builder, group: _Group) -> None:
        """Leave before the first of the accesses when a watchpoint sees one of them."""
        if self.watching:
            address = group.first + self.window.base
            with self._near_watches(m, address + group.start, group.end - group.start):
                for (distance, size), kinds in group.accesses.items():
                    self._watch_line(m, address + distance, size, kinds)

    def finish(self, body: Sequence[Value], marks: Sequence[int]) -> tuple[list[Value], list[int]]:
        """The block with the tests, and where its instructions end there."""
        tests: list[tuple[int, list[Value]]] = []
        for group in self._all:
            m = group.first.builder
            start = group.start // group.align * group.align
            span = (group.end - 1) // group.align * group.align - start
            bounds: list[Value] = []
            with m.apart(bounds):
                self._watch_group(m, group)
                _bail_outside(m, group.first + start, self.window.size, group.align, span)
            tests.append((group.at, bounds))
            if group.stores:
                lines: list[Value] = []
                with m.apart(lines):
                    first, *others = (
                        self._flags(m, group.first.zext(64) + d) for d in group.lines()
                    )
                    for other in others:
                        first = first | other
                    m.emit("bail_if", 0, first.ne(0))
                tests.append((group.stores_at, lines))
        out: list[Value] = []
        ends: list[int] = []
        tests.sort(key=lambda test: test[0])
        at = done = 0
        for end in marks:
            while done < len(tests) and tests[done][0] < end:
                out += body[at : tests[done][0]]
                out += tests[done][1]
                at = tests[done][0]
                done += 1
            out += body[at:end]
            at = end
            ends.append(len(out))
        return out, ends  # a test left is of a load that was shared, so it was tested
