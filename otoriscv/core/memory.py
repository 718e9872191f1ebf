"""The arena and guest memory (docs/abi.md, "Arena" and "Line map and writes")."""

from __future__ import annotations

import contextlib
import ctypes
import mmap
import sys
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

from otoriscv.core.backing import Backing
from otoriscv.core.layout import (
    HART_SIZE,
    LINE_CLEAN,
    LINE_SHIFT,
    LINES,
    MACHINE,
    MACHINE_SIZE,
    MAX_RANGES,
    MEM,
    PAGE,
    PAGE_SHIFT,
    RANGE_ROM,
    RANGE_WORDS,
    entry_offset,
    hart_offset,
)

__all__ = ["MEMORY_LIMIT", "Arena", "Memory", "MemoryHole", "Range"]

#: What the line map can describe.
MEMORY_LIMIT: Final = ((MEM - LINES) << LINE_SHIFT) - MEM
_MAP_NORESERVE: Final = 0x4000
_RANGES: Final = MACHINE["ranges"]
_PAGE_LINES: Final = PAGE >> LINE_SHIFT
#: Translations of line bytes.
_WITH_CLEAN: Final = bytes(n | LINE_CLEAN for n in range(256))
_WITHOUT_CLEAN: Final = bytes(n & ~LINE_CLEAN for n in range(256))
_IS_DIRTY: Final = bytes(not n & LINE_CLEAN for n in range(256))
#: Line bytes of so much memory at a time.
_CHUNK: Final = 1 << 16
_NO_FLAGS: Final = bytes(_CHUNK)
_ONLY_CLEAN: Final = bytes([LINE_CLEAN]) * _CHUNK


class MemoryHole(Exception):
    """An access of the debugger, a loader or a device outside guest memory."""


def pool_size(memory: int) -> int:
    """Bytes of decoded entries for *memory* bytes of guest memory."""
    return 8 * memory + 64 * (memory >> PAGE_SHIFT)


def _pages(size: int) -> int:
    return (size + PAGE - 1) & -PAGE


class Arena:
    """The one reservation that generated code touches, with room for *memory* bytes of the guest.

    Pages cost nothing until touched. Without the decoded entries' pool (``pool`` 0: not Linux, or
    the reservation was refused) only engines that do not need it can run.
    """

    def __init__(self, memory: int, *, pool: bool = True) -> None:
        if not 0 < memory <= MEMORY_LIMIT:
            raise ValueError(f"guest memory of {memory:#x} bytes: at most {MEMORY_LIMIT:#x}")
        self.capacity = _pages(memory)
        self.pool = 0
        size = MEM + self.capacity
        self.buffer: mmap.mmap
        if pool and sys.platform == "linux":
            flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _MAP_NORESERVE
            try:
                self.buffer = mmap.mmap(-1, size + _pages(pool_size(self.capacity)), flags=flags)
                self.pool = size
            except OSError:
                pass
        if not self.pool:
            try:
                self.buffer = mmap.mmap(-1, size)
            except (OSError, ValueError, OverflowError) as e:
                raise MemoryError(f"cannot reserve {size >> 20} MiB: {e}") from None
        self.view8 = memoryview(self.buffer)
        self.view16 = self.view8.cast("H")
        self.view64 = self.view8.cast("Q")
        self.machine = self.words(0, MACHINE_SIZE)
        self._views: list[memoryview] = [self.machine]
        self._address = 0
        #: Guest memory as a file that can be frozen, where the host has such files.
        self.backing: Backing | None = None
        with contextlib.suppress(OSError):
            self.backing = Backing(self.address + MEM, self.capacity)

    @property
    def size(self) -> int:
        """Bytes reserved."""
        return len(self.view8)

    @property
    def address(self) -> int:
        """The arena's host address."""
        if not self._address:
            probe = ctypes.c_char.from_buffer(self.buffer)
            self._address = ctypes.addressof(probe)
        return self._address

    def words(self, offset: int, size: int) -> memoryview:
        """*size* bytes at *offset* as u64 slots."""
        return self.view64[offset >> 3 : (offset + size) >> 3]

    def hart(self, index: int) -> memoryview:
        """Hart *index*'s struct as u64 slots."""
        view = self.words(hart_offset(index), HART_SIZE)
        self._views.append(view)
        return view

    def close(self) -> None:
        """Give the memory back; nothing of the arena may be used afterwards."""
        for view in (*self._views, self.view64, self.view16, self.view8):
            view.release()
        self._views.clear()
        if self.backing is not None:
            self.backing.close()
        try:
            self.buffer.close()
        except BufferError:  # somebody still holds a view: freed with the last one
            return


class Range(NamedTuple):
    """A RAM or ROM range; ``offset`` is where it lies in the arena."""

    base: int
    size: int
    offset: int
    rom: bool

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.base + self.size


#: Called with arena offset and length when bytes of lines with code or breakpoints were written.
CodeListener = Callable[[int, int], None]


class Memory:
    """RAM and ROM ranges of one machine, as everything but guest code sees them.

    Native and generated code find the same ranges in the machine struct's table.
    """

    def __init__(self, arena: Arena) -> None:
        self.arena = arena
        self._ranges: list[Range] = []
        self._end = MEM
        self.on_code_write: list[CodeListener] = []
        #: What tells the program that was loaded from others; "" when nobody says.
        self.program = ""
        machine = arena.machine
        machine[MACHINE["nranges"]] = 0
        machine[MACHINE["mem_end"]] = MEM
        machine[MACHINE["pool"]] = arena.pool

    # -- ranges

    def add(self, base: int, size: int, *, rom: bool = False) -> Range:
        """Map *size* bytes at *base*; ValueError says why that cannot be."""
        what = f"{'ROM' if rom else 'RAM'} of {size:#x} bytes at {base:#x}"
        if base < 0 or base % PAGE or size <= 0 or size % PAGE:
            raise ValueError(f"{what}: base and size must be multiples of {PAGE:#x}")
        if base + size > 1 << 64:
            raise ValueError(f"{what}: ends behind the address space")
        for r in self._ranges:
            if base < r.end and r.base < base + size:
                raise ValueError(f"{what} overlaps the {r.size:#x} bytes at {r.base:#x}")
        if len(self._ranges) == MAX_RANGES:
            raise ValueError(f"{what}: there are {MAX_RANGES} ranges already")
        if self._end + size > MEM + self.arena.capacity:
            raise ValueError(f"{what}: the arena has room for {self.arena.capacity:#x} bytes")
        new = Range(base, size, self._end, rom)
        at = _RANGES + len(self._ranges) * RANGE_WORDS
        machine = self.arena.machine
        machine[at : at + RANGE_WORDS] = memoryview(
            b"".join(n.to_bytes(8, "little") for n in (base, size, new.offset, rom * RANGE_ROM))
        ).cast("Q")
        self._ranges.append(new)
        self._end += size
        machine[MACHINE["nranges"]] = len(self._ranges)
        machine[MACHINE["mem_end"]] = self._end
        return new

    def ranges(self) -> list[Range]:
        """All ranges, in the order in which they were added."""
        return list(self._ranges)

    def range_at(self, address: int) -> Range | None:
        """The range that holds *address*."""
        for r in self._ranges:
            if r.base <= address < r.end:
                return r
        return None

    def find(self, address: int, length: int = 1) -> int | None:
        """The arena offset of *address* when one range holds all *length* bytes."""
        r = self.range_at(address)
        if r is None or address + length > r.end:
            return None
        return r.offset + address - r.base

    def address_of(self, offset: int) -> int | None:
        """The guest address of an arena offset."""
        for r in self._ranges:
            if r.offset <= offset < r.offset + r.size:
                return r.base + offset - r.offset
        return None

    def available(self, address: int, length: int) -> int:
        """How many of the *length* bytes from *address* on are memory, up to the first hole."""
        return sum(n for _, n, _ in self._spans(address, length))

    def _spans(self, address: int, length: int) -> Iterator[tuple[int, int, Range]]:
        """(arena offset, bytes, range) for each piece, up to the first hole."""
        while length > 0:
            r = self.range_at(address)
            if r is None:
                return
            n = min(length, r.end - address)
            yield r.offset + address - r.base, n, r
            address += n
            length -= n

    # -- access

    def read(self, address: int, length: int) -> bytes:
        """Exactly *length* bytes; `MemoryHole` when some of them are not memory."""
        view = self.arena.view8
        parts = [bytes(view[at : at + n]) for at, n, _ in self._spans(address, length)]
        data = parts[0] if len(parts) == 1 else b"".join(parts)
        if len(data) != length:
            raise MemoryHole(f"no memory at {address + len(data):#x}")
        return data

    def write(self, address: int, data: bytes | memoryview, *, rom: bool = False) -> None:
        """Write all of *data*, or nothing and raise `MemoryHole`. *rom*: ROM may be written."""
        spans = list(self._spans(address, len(data)))
        done = sum(n for _, n, _ in spans)
        if done != len(data):
            raise MemoryHole(f"no memory at {address + done:#x}")
        for _, _, r in spans:
            if r.rom and not rom:
                raise MemoryHole(f"ROM at {max(r.base, address):#x}")
        view = memoryview(data)
        at = 0
        for offset, n, _ in spans:
            self.write_at(offset, view[at : at + n])
            at += n

    def write_at(self, offset: int, data: bytes | memoryview) -> None:
        """Write at an arena offset, through the door that every writer uses."""
        n = len(data)
        self.arena.view8[offset : offset + n] = data
        self.written(offset, n)

    def written(self, offset: int, length: int) -> None:
        """Arena bytes were changed: they are not clean; forget what was made from code in them."""
        if length <= 0:
            return
        first, last = offset >> LINE_SHIFT, (offset + length - 1) >> LINE_SHIFT
        flags = bytes(self.arena.view8[LINES + first : LINES + last + 1])
        if not any(flags):
            return
        others = flags.translate(_WITHOUT_CLEAN)
        if others != flags:
            self._set_dirty(first, last)
            flags = others
            if not any(flags):
                return
        if self.arena.pool:
            self._forget_entries(offset, length, first, flags)
        machine = self.arena.machine
        machine[MACHINE["code_writes"]] = (machine[MACHINE["code_writes"]] + 1) & ((1 << 64) - 1)
        machine[MACHINE["invalidations"]] += 1
        for listener in self.on_code_write:
            listener(offset, length)

    def _set_dirty(self, first: int, last: int) -> None:
        """The pages of these lines are not clean any more."""
        start, end = LINES + (first & -_PAGE_LINES), LINES + (last | _PAGE_LINES - 1) + 1
        view = self.arena.view8
        view[start:end] = bytes(view[start:end]).translate(_WITHOUT_CLEAN)

    # -- which pages were written

    def set_clean(self, pages: Iterable[int] | None = None) -> None:
        """A checkpoint: every page is clean from now on. *pages* are those that were not."""
        view = self.arena.view8
        if pages is not None:
            for page in pages:
                lines = LINES + (page >> LINE_SHIFT)
                flags = bytes(view[lines : lines + _PAGE_LINES])
                view[lines : lines + _PAGE_LINES] = flags.translate(_WITH_CLEAN)
            return
        start, end = LINES + (MEM >> LINE_SHIFT), LINES + (self._end >> LINE_SHIFT)
        for at in range(start, end, _CHUNK):
            flags = bytes(view[at : min(at + _CHUNK, end)])
            if flags == _NO_FLAGS:  # much faster, and most of them
                view[at : at + _CHUNK] = _ONLY_CLEAN
            else:
                view[at : at + len(flags)] = flags.translate(_WITH_CLEAN)

    def dirty_pages(self) -> list[int]:
        """Arena offsets of the pages written since `set_clean`."""
        start, end = LINES + (MEM >> LINE_SHIFT), LINES + (self._end >> LINE_SHIFT)
        first_lines = bytes(self.arena.view8[start:end:_PAGE_LINES]).translate(_IS_DIRTY)
        found, at = [], first_lines.find(1)
        while at >= 0:
            found.append(MEM + (at << PAGE_SHIFT))
            at = first_lines.find(1, at + 1)
        return found

    def _forget_entries(self, offset: int, length: int, first: int, flags: bytes) -> None:
        """Zero the decoded entries that overlap the written bytes, line by flagged line."""
        view, pool = self.arena.view8, self.arena.pool
        for n, flag in enumerate(flags):
            if flag:
                line = (first + n) << LINE_SHIFT
                low = max(line, offset)
                high = min(line + (1 << LINE_SHIFT), offset + length)
                # a 4-byte instruction may begin a halfword earlier, but never in another page
                low = max((low - 2) & -2, low & -PAGE)
                start = entry_offset(pool, low)
                end = start + 16 * ((high - low + 1) >> 1)
                view[start:end] = bytes(end - start)

    def close(self) -> None:
        """Forget the ranges and the listeners (the arena is closed by its owner)."""
        self._ranges.clear()
        self.on_code_write.clear()
