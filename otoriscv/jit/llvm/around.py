"""What is around a hot place: the code that is sent along to be compiled with it, and where jumps
near it went."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otoriscv.core.layout import (
    MACHINE,
    PAGE,
    PAGE_SHIFT,
    TARGETS,
    TLB_ENTRIES,
    TLB_X,
    entry_place,
    tlb_slot,
)

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.jit.engine import Platform

__all__ = ["Around"]

#: Pages of code sent along in each direction; for a later run, when much is at once.
REACH: Final = 16
REACH_LATER: Final = 2
#: Known targets of a region's indirect jumps at most.
MAX_TARGETS: Final = 64
_FETCH_BANKS: Final = 3


class Around:
    """Looks around places in the memory of one machine."""

    def __init__(self, platform: Platform) -> None:
        self._memory = platform.memory
        self._pool = platform.arena.pool
        self._m = platform.m

    def of(
        self, hart: Hart, pc: int, mark: int, *, later: bool = False
    ) -> tuple[int, int, tuple[int, int, int] | None] | None:
        """The addresses (start, end) of the code to send along with *pc*, which is at *mark* (a
        place, with bit 0 set for translated code), and the window for untranslated code; None when
        the code is not where it was any more. *later*: for another run, in which it will be there
        again; then at least its own page is sent."""
        reach = REACH_LATER if later else REACH
        if mark & 1:
            found = self._mapped(hart, pc, mark & ~1, reach)
            if found is None and later:
                found = pc & -PAGE, (pc & -PAGE) + PAGE
            return None if found is None else (*found, None)
        here, window = self._memory.range_at(pc), self.window()
        if here is None or window is None:
            return None
        start = max(here.base, (pc & -PAGE) - reach * PAGE)
        end = min(here.end, (pc & -PAGE) + reach * PAGE)
        return start, end, window

    def window(self) -> tuple[int, int, int] | None:
        """The RAM that untranslated regions access directly (see `Window`): the largest."""
        ram = [(r.size, r.base, r.offset) for r in self._memory.ranges() if not r.rom]
        if not ram:
            return None
        size, base, offset = max(ram)
        return base, size, offset

    def _mapped(self, hart: Hart, pc: int, place: int, reach: int) -> tuple[int, int] | None:
        """The addresses (start, end) around *pc* that are mapped to memory as it is, in a row; None
        when *pc* itself is not. The execute TLB tells, so only pages are seen that were in use."""
        page = pc & -PAGE
        for bank in range(_FETCH_BANKS):

            def mapped(address: int, bank: int = bank) -> bool:
                return self._place(hart, bank, address) == place - pc + address

            if not mapped(page):
                continue
            start, end = page, page + PAGE
            while start > page - reach * PAGE and start > 0 and mapped(start - PAGE):
                start -= PAGE
            while end < page + reach * PAGE and mapped(end):
                end += PAGE
            return start, end
        return None

    def mark(self, hart: Hart, pc: int, *, translated: bool) -> int | None:
        """Where *pc* is, with bit 0 set for translated code; None: *hart* has not been there
        lately."""
        if not translated:
            return self._memory.find(pc)
        for bank in range(_FETCH_BANKS):
            place = self._place(hart, bank, pc)
            if place is not None:
                return place | 1
        return None

    def _place(self, hart: Hart, bank: int, pc: int) -> int | None:
        """Where *pc* is, as a bank of the execute TLB knows it; None: it does not."""
        page = pc & -PAGE
        at = tlb_slot(bank, TLB_X) + 2 * ((page >> PAGE_SHIFT) % TLB_ENTRIES)
        if hart.q[at] != page:
            return None
        return entry_place(self._pool, 8 * pc + hart.q[at + 1] & (1 << 64) - 1)

    def history(self, start: int, end: int) -> tuple[int, ...]:
        """Where indirect jumps went, near the code to compile."""
        first = MACHINE["targets"]
        recent = self._m[first : first + TARGETS].tolist()
        return tuple(t for t in recent if start <= t < end)[:MAX_TARGETS]
