"""Which lines have watched bytes: regions ask about accesses to those only."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from otoriscv.core.layout import LINE_READS, LINE_SHIFT, LINE_WRITES, LINES
from otoriscv.core.memory import Memory
from otoriscv.core.slow import READS, WRITES

__all__ = ["WatchedLines"]

_FLAGS: Final = {READS: LINE_READS, WRITES: LINE_WRITES, READS | WRITES: LINE_READS | LINE_WRITES}
#: Translations of line bytes.
_WITH: Final = {kinds: bytes(n | flag for n in range(256)) for kinds, flag in _FLAGS.items()}
_WITHOUT: Final = bytes(n & ~(LINE_READS | LINE_WRITES) for n in range(256))

Row = tuple[int, int, int]  # address, length, kinds


def _lines(row: Row) -> range:
    """The numbers of the lines that it is in."""
    address, length, _ = row
    return range(address >> LINE_SHIFT, (address + length - 1 >> LINE_SHIFT) + 1)


class WatchedLines:
    """Keeps the flags of the lines of *memory* that watchpoints are in."""

    def __init__(self, memory: Memory) -> None:
        self._memory = memory
        self._rows: set[Row] = set()

    def mark(self, rows: Sequence[Row]) -> None:
        """From now on *rows* are watched, and nothing else: (address, length, kinds)."""
        now = set(rows)
        gone, new = self._rows - now, now - self._rows
        self._rows = now
        for row in gone:
            self._translate(row, _WITHOUT)
        # those that remain may be in the same lines
        cleared = [_lines(row) for row in gone]
        for row in now:
            lines = _lines(row)
            if row in new or any(
                other.start < lines.stop and lines.start < other.stop for other in cleared
            ):
                self._translate(row, _WITH[row[2]])

    def _translate(self, row: Row, table: bytes) -> None:
        address, length, _ = row
        view = self._memory.arena.view8
        for r in self._memory.ranges():
            start, end = max(address, r.base) - r.base, min(address + length, r.end) - r.base
            if start < end:
                first = LINES + (r.offset + start >> LINE_SHIFT)
                last = LINES + (r.offset + end - 1 >> LINE_SHIFT) + 1
                view[first:last] = bytes(view[first:last]).translate(table)
