"""What earlier runs of a program compiled, so that the next one starts with it.

A profile is an entry of the code cache: for each region its place and its own entry's name, or the
entry that lists it if it was still to be compiled; and where there is nothing to compile, for some
runs that change the profile. It is a hint: whoever installs a region compares
the code that it was made from with memory as it is. What does not fit yet (the program
decompresses, copies or patches code) is tried again when the program is seen in one of the region's
pages.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Final

from otoriscv.core.layout import PAGE, PAGE_SHIFT
from otoriscv.jit.llvm.installed import Placed
from otoriscv.jit.llvm.request import CompiledRegion, listed
from otoriscv.jit.sources import source_key

if TYPE_CHECKING:
    from otoriscv.core.memory import Memory
    from otoriscv.jit.cache import DiskCache

__all__ = ["Profile", "program_name"]

#: Regions in a profile at most; those added last stay.
MOST: Final = 1024
#: What tells programs apart when nobody does: this much from the page on where they begin.
_HEAD: Final = 1 << 16
#: Changes of a profile after which it is tried again where there was nothing to compile.
_RUNS: Final = 8
#: Additions after which a profile is written although the run goes on.
_MANY: Final = 32


def program_name(isa: str, memory: Memory, pc: int) -> str:
    """The name of the profile for the program in *memory*, which begins at *pc*."""
    layout = [(r.base, r.size, r.offset) for r in memory.ranges()]
    h = hashlib.sha256(repr((isa, layout, memory.program, source_key())).encode())
    here = None if memory.program else memory.range_at(pc)
    if here is not None:
        start = here.offset + (pc & -PAGE) - here.base
        h.update(memory.arena.view8[start : min(start + _HEAD, here.offset + here.size)])
    return f"profile-{h.hexdigest()}"


class Profile:
    """The regions of one program, by mark: an arena offset, with bit 0 set for translated code."""

    def __init__(self, name: str, store: DiskCache) -> None:
        self._name = name
        self._store = store
        self._keys: dict[int, str] = {}
        self._added = 0
        self._waiting: dict[int, list[Placed]] = {}  # by page, with the mark's bit 0
        self._asked: dict[int, int] = {}  # how often the page of `_waiting` was seen
        data = store.get(name)
        if data is not None:
            self._keys = {int(mark): key for mark, key in json.loads(data).items()}

    def load(self) -> list[Placed]:
        """Every region of earlier runs that the cache still has."""
        found = []
        for mark, key in list(self._keys.items()):
            if key.startswith("-"):
                continue
            place = mark & ~1
            pc, _, name = key.rpartition(":")
            names = listed(name, self._store) if pc else [name]
            if names is not None and not names:
                self.refuse(mark)
                continue
            data = None if names is None else self._store.get(names[0])
            if names is None or data is None:
                del self._keys[mark]
                continue
            region = CompiledRegion.unpack(data)
            delta = place - (int(pc, 16) if pc else region.pc)
            if pc:  # it was compiled since
                del self._keys[mark]
                self.add(region.pc + delta | mark & 1, names[0])
            found.append(Placed(region, delta, place))
        return found

    @property
    def refused(self) -> set[int]:
        """The marks where earlier runs found nothing to compile."""
        return {mark for mark, key in self._keys.items() if key.startswith("-")}

    def refuse(self, mark: int) -> None:
        """There is nothing to compile at *mark*."""
        self.add(mark, f"-{_RUNS}")

    def wait(self, placed: Placed) -> None:
        """Its code is not there yet: `due` gives it again."""
        for page in self._pages(placed):
            self._waiting.setdefault(page, []).append(placed)

    def due(self, mark: int) -> list[Placed]:
        """The regions to try again when the program was seen at *mark*: ever more rarely."""
        page = mark & -PAGE | mark & 1
        waiting = self._waiting.get(page)
        if not waiting:
            return []
        count = self._asked[page] = self._asked.get(page, 0) + 1
        return [] if count & (count - 1) else list(waiting)

    def done(self, placed: Placed) -> None:
        """It waits no more."""
        for page in self._pages(placed):
            left = [p for p in self._waiting.get(page, ()) if p is not placed]
            self._waiting[page] = left

    @staticmethod
    def _pages(placed: Placed) -> set[int]:
        bit = int(placed.region.translated)
        return {page << PAGE_SHIFT | bit for page in placed.pages()}

    def add_later(self, mark: int, pc: int, key: str) -> None:
        """A region is still to be compiled for *pc* at *mark*; *key* will list it."""
        if mark not in self._keys:
            self.add(mark, f"{pc:x}:{key}")

    def add(self, mark: int, key: str) -> None:
        """A region was compiled, or found in the cache, for *mark*."""
        if self._keys.get(mark) == key:
            return
        self._keys.pop(mark, None)
        self._keys[mark] = key
        if len(self._keys) > 2 * MOST:
            self._keys = self._last()
        self._added += 1
        if self._added >= _MANY:
            self.save()

    def save(self) -> None:
        """Write it, when there is something new."""
        if not self._added:
            return
        self._added = 0
        for mark in self.refused:
            left = int(self._keys[mark][1:]) - 1
            if left:
                self._keys[mark] = f"-{left}"
            else:
                del self._keys[mark]
        self._store.put(self._name, json.dumps(self._last()).encode())

    def _last(self) -> dict[int, str]:
        return dict(list(self._keys.items())[-MOST:])
