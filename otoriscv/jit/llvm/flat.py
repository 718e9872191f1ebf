"""Loads and stores of flat code: inside one RAM window, without a TLB.

In a block, accesses at constant distances from one address are tested together, at the first of
them: their bounds and alignment with one compare, the lines that stores write with two loads for
each 64 bytes; so are the lines of loads while reads are watched. A test that fails leaves before
that first access, so it may be stricter than need be: the interpreter goes on there.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from otoriscv.core.layout import LINE_READS, LINE_SHIFT, LINE_WRITES, LINES
from otoriscv.core.slow import READS, WRITES
from otoriscv.core.uop import Builder, Value

__all__ = ["BlockPolicy", "FlatPolicy", "Window"]

_LINE: Final = 1 << LINE_SHIFT
_WATCHED: Final = LINE_READS | LINE_WRITES
#: Bytes that accesses tested together may be apart: what fits an immediate, about.
_REACH: Final = 4096


class Window(NamedTuple):
    """The RAM that flat code accesses directly: guest base, size, arena offset."""

    base: int
    size: int
    offset: int


class FlatPolicy:
    """Loads and stores inside one RAM window, each tested by itself.

    *watching*: the kinds of accesses that are looked at closely in lines with watched bytes: 0 for
    none, `WRITES`, or both.
    """

    rare: Final = "bail"

    def __init__(self, window: Window, watching: int = 0) -> None:
        self.window = window
        self.watching = watching

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        offset, size = self._offset(m, address, bits), bits // 8
        if kind == "w":  # an AMO: its store must not find the line flagged
            self.ask(m, address, {(0, size): READS | WRITES}, self.flags(m, offset))
        elif self.watching & READS:
            self.ask(m, address, {(0, size): READS}, self.flags(m, offset) & LINE_READS)
        return m.aload(offset + self.window.offset, bits)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        offset = self._offset(m, address, value.width)
        self.ask(m, address, {(0, value.width // 8): WRITES}, self.flags(m, offset))
        m.astore(offset + self.window.offset, value)

    def _offset(self, m: Builder, address: Value, bits: int) -> Value:
        inside = address + -self.window.base
        _bail_outside(m, inside, self.window.size, bits // 8, 0)
        return inside.zext(64)

    def flags(self, m: Builder, offset: Value) -> Value:
        """The byte of the line at *offset* in the window."""
        first = LINES + (self.window.offset >> LINE_SHIFT)
        return m.aload((offset >> LINE_SHIFT) + first, 8)

    def ask(
        self, m: Builder, address: Value, accesses: dict[tuple[int, int], int], flags: Value
    ) -> None:
        """Leave when the lines' *flags* say more than that something is watched there, or when one
        of the accesses is: kinds by (distance from *address*, size)."""
        if not self.watching:
            m.emit("bail_if", 0, flags.ne(0))
            return
        with m.if_(flags.ne(0)):
            m.emit("bail_if", 0, (flags & ~_WATCHED).ne(0))
            for (distance, size), kinds in accesses.items():
                at = (address + distance).zext(64)
                m.emit("bail_if", 0, m.call("watched", at, size, kinds).ne(0))


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
        #: Reads, writes or both, by (distance, size).
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
        """It has an access of a *kind*."""
        self.accesses[distance, size] = self.accesses.get((distance, size), 0) | kind

    def of(self, kinds: int) -> dict[tuple[int, int], int]:
        """Those of some *kinds*."""
        return {access: own & kinds for access, own in self.accesses.items() if own & kinds}

    def lines(self, kind: int) -> list[int]:
        """Distances of bytes in every line that accesses of one *kind* are in, wherever lines
        begin."""
        runs: list[list[int]] = []  # of accesses that lie in a line's length
        for distance, size in sorted(self.of(kind)):
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
        if not group.of(WRITES):
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

    def _ask_group(self, m: Builder, group: _Group, kinds: int) -> list[Value]:
        """The test of the lines that accesses of some *kinds* are in."""
        test: list[Value] = []
        with m.apart(test):
            lines = group.lines(kinds & WRITES or READS)
            first, *others = (self.flags(m, group.first.zext(64) + d) for d in lines)
            for other in others:
                first = first | other
            if kinds == READS:
                first = first & LINE_READS
            self.ask(m, group.first + self.window.base, group.of(kinds), first)
        return test

    def _asked(self, group: _Group) -> list[tuple[int, int]]:
        """(where, about which kinds) lines are tested: at once where the same tell of both."""
        reads = self.watching & READS and bool(group.of(READS))
        if not group.of(WRITES):
            return [(group.at, READS)] if reads else []
        if not reads:
            return [(group.stores_at, WRITES)]
        if set(group.lines(READS)) <= set(group.lines(WRITES)):
            return [(group.at, READS | WRITES)]
        return [(group.at, READS), (group.stores_at, WRITES)]

    def finish(self, body: Sequence[Value], marks: Sequence[int]) -> tuple[list[Value], list[int]]:
        """The block with the tests, and where its instructions end there."""
        tests: list[tuple[int, list[Value]]] = []
        for group in self._all:
            m = group.first.builder
            start = group.start // group.align * group.align
            span = (group.end - 1) // group.align * group.align - start
            bounds: list[Value] = []
            with m.apart(bounds):
                _bail_outside(m, group.first + start, self.window.size, group.align, span)
            tests.append((group.at, bounds))
            tests += ((at, self._ask_group(m, group, kinds)) for at, kinds in self._asked(group))
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
