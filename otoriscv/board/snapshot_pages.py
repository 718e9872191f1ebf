"""Guest memory in snapshots: what was there when the memory was frozen, and the pages since then.

The first snapshot freezes the memory, which copies nothing (`core/backing.py`); the next ones keep
the pages written since, and share the others. Where the host cannot freeze, and after a fork, the
first one copies every page that is not zero.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Final

from otoriscv.core.layout import MEM, PAGE

if TYPE_CHECKING:
    from otoriscv.core.backing import Frozen
    from otoriscv.core.memory import Memory

__all__ = ["Pages", "restore_pages", "save_pages"]

_ZERO: Final = bytes(PAGE)
_MANY: Final = 64  # pages in a row are written together


class Pages:
    """The memory of one snapshot, by arena offsets of pages."""

    __slots__ = ("_frozen", "_later")

    def __init__(self, later: dict[int, bytes], frozen: Frozen | None = None) -> None:
        self._frozen = frozen
        self._later = later

    def page(self, at: int) -> bytes:
        """One page's content."""
        data = self._later.get(at)
        if data is not None:
            return data
        if self._frozen is None:
            return _ZERO
        return bytes(self._frozen.view[at - MEM : at - MEM + PAGE])

    def used(self) -> list[int]:
        """The pages that are not zero, in order."""
        return [at for at in sorted(self._candidates()) if self.page(at) != _ZERO]

    def differing(self, other: Pages) -> Iterable[int]:
        """The pages that may differ."""
        if self._frozen is not other._frozen:
            return self._candidates() | other._candidates()
        mine, theirs = self._later, other._later
        return [at for at in mine.keys() | theirs.keys() if mine.get(at) is not theirs.get(at)]

    def changed(self, memory: memoryview, written: Iterable[int]) -> Pages:
        """This memory after *written* pages were written."""
        later = dict(self._later)
        for at in written:
            data = bytes(memory[at : at + PAGE])
            if data == _ZERO:
                later[at] = _ZERO
            elif data != later.get(at):  # else it is shared
                later[at] = data
        return Pages(later, self._frozen)

    def _candidates(self) -> set[int]:
        found = set(self._later)
        if self._frozen is not None:
            for start, end in self._frozen.extents():
                found.update(range(MEM + start, MEM + end, PAGE))
        return found


def save_pages(memory: Memory, before: Pages | None) -> Pages:
    """The memory of a halted machine; *before* is its last snapshot's (or where it was restored).

    All pages are clean from now on.
    """
    if before is not None:
        written = memory.dirty_pages()
        memory.set_clean(written)
        return before.changed(memory.arena.view8, written)
    backing = memory.arena.backing
    frozen = backing.freeze() if backing is not None else None
    memory.set_clean()
    if frozen is not None:
        return Pages({}, frozen)
    return Pages({at: page for at, page in _every(memory) if page != _ZERO})


def restore_pages(memory: Memory, before: Pages | None, pages: Pages) -> None:
    """Make the memory of a halted machine *pages*; writes what differs, through the usual door."""
    view = memory.arena.view8
    base = before if before is not None else save_pages(memory, None)
    written = sorted({*memory.dirty_pages(), *base.differing(pages)})
    for run in _runs(written):
        if len(run) < _MANY:
            for at in run:
                data = pages.page(at)
                if view[at : at + PAGE].tobytes() != data:  # else code in it stays known
                    memory.write_at(at, data)
        else:
            for at in run:
                view[at : at + PAGE] = pages.page(at)
            memory.written(run[0], len(run) * PAGE)
    memory.set_clean(written)


def _runs(pages: list[int]) -> Iterator[list[int]]:
    """Neighbours together, `_MANY` at most."""
    start = 0
    for n in range(1, len(pages) + 1):
        if n == len(pages) or pages[n] != pages[n - 1] + PAGE or n - start == _MANY:
            yield pages[start:n]
            start = n


def _every(memory: Memory) -> Iterator[tuple[int, bytes]]:
    view = memory.arena.view8
    for r in memory.ranges():
        for at in range(r.offset, r.offset + r.size, PAGE):
            yield at, bytes(view[at : at + PAGE])
