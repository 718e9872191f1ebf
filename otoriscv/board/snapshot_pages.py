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
        """This memory after *written* pages were written; pages written as they were are shared."""
        later = dict(self._later)
        for at in written:
            data = bytes(memory[at : at + PAGE])
            if data != self.page(at):
                later[at] = data if data != _ZERO else _ZERO
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
    view = memory.arena.view8
    if before is not None:
        written = memory.dirty_pages()
        memory.set_clean(written)
        return before.changed(view, written)
    backing = memory.arena.backing
    frozen = backing.freeze() if backing is not None else None
    memory.set_clean()
    if frozen is not None:
        return Pages({}, frozen)
    return Pages({}).changed(view, _every(memory))


def restore_pages(memory: Memory, before: Pages | None, pages: Pages) -> None:
    """Make the memory of a halted machine *pages*; writes what differs, through the usual door."""
    view = memory.arena.view8
    base = before if before is not None else save_pages(memory, None)
    written = {*memory.dirty_pages(), *base.differing(pages)}
    for at in written:
        data = pages.page(at)
        if view[at : at + PAGE].tobytes() != data:
            memory.write_at(at, data)
    memory.set_clean(written)


def _every(memory: Memory) -> Iterator[int]:
    for r in memory.ranges():
        yield from range(r.offset, r.offset + r.size, PAGE)
