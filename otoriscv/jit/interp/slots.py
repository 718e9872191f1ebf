"""A machine's own handler table: the library's handlers, then slots for code of its own.

A slot's handler number is ``FIRST_REGION`` + slot. Beside its code it has the number of the handler
that `resume_interp` goes to instead: the instruction's own, or a breakpoint's condition.
"""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, Final

from otoriscv.core.handlers import FIRST_REGION
from otoriscv.core.layout import HART, MAX_REGION_ENTRIES

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.jit.interp.library import Library

__all__ = ["MAX_PROGRAMS", "Slots"]

#: Breakpoints whose programs are kept compiled, in a slot each.
MAX_PROGRAMS: Final = 1024


class Slots:
    """Slots by number from 0; `take` and `free` ranges of them."""

    def __init__(self, library: Library) -> None:
        size = FIRST_REGION + MAX_REGION_ENTRIES
        assert len(library.addresses) < FIRST_REGION
        self._tables = (ctypes.c_uint64 * (2 * size))(*library.addresses)
        self._tables[size:] = [library.exact] * size
        self._interpreted = (ctypes.c_uint16 * MAX_REGION_ENTRIES)()
        self._free = [(0, MAX_REGION_ENTRIES)]  # (first, count), by first
        self._exact = ctypes.addressof(self._tables) + 8 * size

    def use(self, hart: Hart) -> None:
        """Let *hart* dispatch through this table."""
        hart.q[HART["table"]] = ctypes.addressof(self._tables)
        hart.q[HART["exact_table"]] = self._exact
        hart.q[HART["region_handlers"]] = ctypes.addressof(self._interpreted)

    def codes(self, first: int, count: int) -> list[int]:
        """The host addresses that *count* slots lead to."""
        start = FIRST_REGION + first
        return list(self._tables[start : start + count])

    def take(self, count: int, leave: int = 0) -> int | None:
        """The first of *count* slots in a row; None when there are not so many, or fewer than
        *leave* would be left."""
        if sum(size for _, size in self._free) < count + leave:
            return None
        for n, (start, size) in enumerate(self._free):
            if size >= count:
                self._free[n : n + 1] = [(start + count, size - count)] if size > count else []
                return start
        return None

    def free(self, first: int, count: int) -> None:
        """Give slots back."""
        merged: list[tuple[int, int]] = []
        for start, size in sorted([*self._free, (first, count)]):
            if merged and sum(merged[-1]) == start:
                merged[-1] = merged[-1][0], merged[-1][1] + size
            else:
                merged.append((start, size))
        self._free = merged

    def set(self, slot: int, code: int, interpreted: int) -> None:
        """Enter *code* (a host address) through *slot*; *interpreted* is a handler number."""
        self._tables[FIRST_REGION + slot] = code
        self._interpreted[slot] = interpreted
