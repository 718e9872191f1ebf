"""The traces there are: by context and pc, and by the lines of memory that they are from."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from otoriscv.core.layout import LINE_CODE, LINE_SHIFT, LINES
from otoriscv.jit.python.trace import Trace

__all__ = ["Context", "Space", "Spaces"]

#: What the traces of a pc depend on; its first number says whether addresses are physical.
Context = tuple[int, ...]
#: A compiled trace and its longest path.
_Entry = tuple[Callable[[Any, int], tuple[int, int]], int]
_MOST: Final = 64  #: contexts whose traces are kept


class Space:
    """The traces of one context, by virtual pc.

    ``doubtful`` are those made before the last fence, ``places`` the arena offsets of the halfwords
    that each trace was made from.
    """

    __slots__ = ("doubtful", "flat", "generation", "made", "places", "traces")

    def __init__(self, flat: int) -> None:
        self.flat = bool(flat)
        self.generation = 0
        self.made: dict[int, Trace] = {}
        self.traces: dict[int, _Entry] = {}
        self.doubtful: dict[int, _Entry] = {}
        self.places: dict[int, tuple[tuple[int, int], ...]] = {}


class Spaces:
    """All spaces. The line map of *arena* says where traces are from; it is theirs alone, to be
    cleared when they go, if *owned* says so."""

    def __init__(self, arena: memoryview, owned: Callable[[], bool]) -> None:
        self._arena = arena
        self._owned = owned
        self._spaces: dict[Context, Space] = {}
        self._by_line: dict[int, set[tuple[Space, int]]] = {}

    def __iter__(self) -> Iterator[Trace]:
        return (trace for space in self._spaces.values() for trace in space.made.values())

    def find(self, context: Context) -> Space | None:
        """The space of *context*, if there is one."""
        return self._spaces.get(context)

    def choose(self, context: Context, generation: int) -> Space:
        """The space of *context*; its pages are to be asked for again after a fence."""
        space = self._spaces.get(context)
        if space is None:
            if len(self._spaces) >= _MOST:
                self.drop_all()
                self._spaces.clear()
            space = self._spaces[context] = Space(context[0])
        if space.generation != generation and not space.flat:
            space.generation = generation
            space.doubtful.update(space.traces)
            space.traces.clear()
        return space

    def keep(
        self, space: Space, start: int, trace: Trace, places: dict[int, tuple[int, int]]
    ) -> None:
        """Keep the trace of *start*. *places* says by pc where its halfwords are: arena offsets, of
        the second one 0 where there is none. Code that was only looked at is in it, too."""
        for line in {at >> LINE_SHIFT for at in _bytes(places.values())}:
            self._arena[LINES + line] |= LINE_CODE
            self._by_line.setdefault(line, set()).add((space, start))
        space.made[start] = trace
        space.places[start] = tuple(
            half
            for at, size in trace.spans
            for low, high in (places[at],)
            for half in ((low, 2), (high or low, 2))[: size // 2]
        )
        space.traces[start] = trace.run, trace.longest

    def drop(self, space: Space, start: int) -> None:
        """Forget the trace of *start*."""
        del space.made[start], space.places[start]
        space.traces.pop(start, None)
        space.doubtful.pop(start, None)
        for line, starts in list(self._by_line.items()):
            starts.discard((space, start))
            if not starts:
                del self._by_line[line]
                if self._owned():
                    self._arena[LINES + line] &= ~LINE_CODE & 0xFF

    def drop_all(self) -> None:
        """Forget every trace."""
        for space in self._spaces.values():
            for start in list(space.made):
                self.drop(space, start)

    def drop_with(self, address: int) -> None:
        """Forget the traces that contain the instruction at *address*."""
        for space in self._spaces.values():
            for start, trace in list(space.made.items()):
                if any(pc == address for pc, _ in trace.spans):
                    self.drop(space, start)

    def written(self, offset: int, length: int) -> None:
        """Forget the traces made from arena bytes ``[offset, offset + length)``."""
        first, last = offset >> LINE_SHIFT, (offset + length - 1) >> LINE_SHIFT
        if last - first < len(self._by_line):
            lines = [n for n in range(first, last + 1) if n in self._by_line]
        else:
            lines = [n for n in self._by_line if first <= n <= last]
        for line in lines:
            # a drop empties other lines too
            for space, start in list(self._by_line.get(line, ())):
                for at, size in space.places[start]:
                    if at < offset + length and offset < at + size:
                        self.drop(space, start)
                        break

    def clear(self) -> None:
        """Forget everything; the arena may be gone."""
        self._spaces.clear()


def _bytes(halves: Iterable[tuple[int, int]]) -> Iterator[int]:
    """The first and last bytes of halfwords; there may be no second one."""
    for low, high in halves:
        yield from (low, low + 1, high, high + 1) if high else (low, low + 1)
