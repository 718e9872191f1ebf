"""What a loader makes of a file."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from otoriscv.board.loaders.symbols import SymbolTable

__all__ = ["Image", "ImageError", "Segment", "check_overlaps", "fit"]


#: Bytes of each segment that tell a program from others.
_HEAD: Final = 1 << 20


class ImageError(Exception):
    """The image cannot be loaded; one line that says why and what to do."""


class Segment(NamedTuple):
    """Bytes for physical *address*; up to *size* the rest is zero (never materialised).

    *moved* says that the program will run elsewhere (ELF: p_vaddr is not p_paddr): then the zero
    part belongs to the place it moves to, and only the bytes have to be there. *headers* counts
    leading bytes that are the ELF's own headers: linkers put them into the first page.
    """

    address: int
    data: bytes | memoryview
    size: int
    moved: bool = False
    headers: int = 0

    @property
    def required(self) -> int:
        """How many bytes from *address* on have to be memory."""
        return len(self.data) if self.moved else self.size


class Image(NamedTuple):
    """A loaded image. *kind* is elf, hex, raw or linux; a linux one has still to be `moved`."""

    path: str
    kind: str
    xlen: int
    entry: int
    segments: tuple[Segment, ...]
    symbols: SymbolTable = SymbolTable()

    @property
    def used(self) -> list[tuple[int, int]]:
        """(base, size) of everything it occupies, zeroed parts too."""
        return [(s.address, s.size) for s in self.segments]

    @property
    def fingerprint(self) -> str:
        """What tells this program from others: where its segments are, and how they begin."""
        h = hashlib.sha256()
        for s in self.segments:
            h.update(repr((s.address, len(s.data))).encode())
            h.update(s.data[:_HEAD])
        return h.hexdigest()

    def moved(self, offset: int) -> Image:
        """The same *offset* bytes higher; its symbols are virtual addresses and stay."""
        segments = tuple(s._replace(address=s.address + offset) for s in self.segments)
        return self._replace(entry=self.entry + offset, segments=segments)


def check_overlaps(segments: Sequence[Segment]) -> None:
    """`ImageError` when two segments want the same memory."""
    ordered = sorted((s for s in segments if s.required), key=lambda s: s.address)
    for low, high in pairwise(ordered):
        if low.address + low.required > high.address:
            raise ImageError(
                f"segments overlap: {_range(low)} and {_range(high)}; check the linker script"
            )


def fit(image: Image, memory: Sequence[tuple[int, int]]) -> Image:
    """*image* as it goes into *memory*, ranges of (base, size); those that touch count as one.

    `ImageError` when a part is outside; the message names the flag that would map it. Only an
    ELF's own headers, with the zeros behind them, are left out where there is no memory for
    them (``ld -Ttext=0x80000000`` puts them at 0x7ffff000; QEMU drops them silently too).
    """
    merged: list[list[int]] = []
    for base, size in sorted(memory):
        if merged and merged[-1][1] >= base:
            merged[-1][1] = max(merged[-1][1], base + size)
        else:
            merged.append([base, base + size])
    segments = tuple(_fit_segment(s, merged, image.path) for s in image.segments)
    return image._replace(segments=segments)


def _fit_segment(segment: Segment, memory: list[list[int]], path: str) -> Segment:
    start, end = segment.address, segment.address + segment.required
    if start == end:
        return segment
    for low, high in memory:
        if low <= start and end <= high:
            return segment
        if segment.headers and start < low < end <= high:
            cut = low - start
            if not any(segment.data[segment.headers : cut]):
                return Segment(low, segment.data[cut:], segment.size - cut, segment.moved)
    have = ", ".join(f"{low:#x}-{high - 1:#x}" for low, high in memory) or "none"
    base = start & ~0xFFF
    kib = (end - base + 0xFFF >> 12) * 4
    raise ImageError(
        f"{path}: {_range(segment)} is outside memory ({have}); "
        f"--ram {base:#x}:{kib}K (or --rom) would map it"
    )


def _range(segment: Segment) -> str:
    return f"{segment.address:#x}-{segment.address + segment.required - 1:#x}"
