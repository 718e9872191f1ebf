"""ELF32 and ELF64 executables (System V gABI chapters 4 and 5; RISC-V psABI, ELF object files).

Read with `struct`, not pyelftools: a boot must not pay for its import (65 ms, measured) nor for
36 us per symbol, and every count and offset here is checked against the file before it is used,
so a damaged file can neither hang the loader nor make it allocate.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from otoriscv.board.loaders.image import Image, ImageError, Segment, check_overlaps
from otoriscv.board.loaders.symbols import Symbol, SymbolTable

__all__ = ["ELF_MAGIC", "load_elf"]

ELF_MAGIC: Final = b"\x7fELF"
_EM_RISCV: Final = 243
_ET_EXEC, _ET_DYN = 2, 3
_PT_LOAD, _PT_INTERP = 1, 3
_SHT_SYMTAB, _SHT_DYNSYM = 2, 11
_STT_FUNC, _STT_SECTION, _STT_FILE = 2, 3, 4
_PN_XNUM: Final = 0xFFFF
_NAME_MAX: Final = 4096
_NAMES_MAX: Final = 64 << 20  # all names together, whatever the file says

_TYPES: Final = {
    0: "has no type",
    1: "is a relocatable object (.o): link it first",
    4: "is a core dump",
}
_MACHINES: Final = {3: "x86", 8: "MIPS", 20: "PowerPC", 40: "ARM", 62: "x86-64", 183: "AArch64"}


@dataclass(frozen=True, slots=True)
class _Format:
    """The structures of one ELF class."""

    xlen: int
    header: struct.Struct
    program: struct.Struct
    section: struct.Struct
    symbol: struct.Struct


_ELF32: Final = _Format(
    32,
    struct.Struct("<16sHHIIIIIHHHHHH"),
    struct.Struct("<IIIIIIII"),
    struct.Struct("<10I"),
    struct.Struct("<IIIBBH"),
)
_ELF64: Final = _Format(
    64,
    struct.Struct("<16sHHIQQQIHHHHHH"),
    struct.Struct("<IIQQQQQQ"),
    struct.Struct("<IIQQQQIIQQ"),
    struct.Struct("<IBBHQQ"),
)


@dataclass(frozen=True, slots=True)
class _Header:
    """What is used of Elf32_Ehdr and Elf64_Ehdr."""

    fmt: _Format
    entry: int
    phoff: int
    shoff: int
    phnum: int
    shentsize: int
    shnum: int

    @property
    def size(self) -> int:
        """Bytes of the ELF header and the program headers when they follow it."""
        size, table = self.fmt.header.size, self.phnum * self.fmt.program.size
        return size + table if self.phoff == size else size


def load_elf(data: bytes, path: str) -> Image:
    """The image in *data*; `ImageError` for anything that is not a RISC-V executable."""
    header = _header(data)
    xlen = header.fmt.xlen
    segments: list[Segment] = []
    view = memoryview(data)
    for i in range(header.phnum):
        fields = header.fmt.program.unpack_from(data, header.phoff + i * header.fmt.program.size)
        if xlen == 64:
            kind, _, offset, vaddr, paddr, filesz, memsz, _ = fields
        else:
            kind, offset, vaddr, paddr, filesz, memsz, _, _ = fields
        if kind == _PT_INTERP:
            raise ImageError("is a dynamically linked program; link a bare-metal one (-static)")
        if kind != _PT_LOAD or memsz == 0:
            continue
        if filesz > memsz:
            raise ImageError(f"is damaged: segment {i} has more bytes than memory")
        if offset + filesz > len(data):
            raise ImageError(f"is truncated: segment {i} ends behind the end of the file")
        if paddr + memsz > 1 << xlen:
            raise ImageError(f"is damaged: segment {i} wraps around the address space")
        headers = min(header.size, filesz) if offset == 0 else 0
        part = view[offset : offset + filesz]
        segments.append(Segment(paddr, part, memsz, vaddr != paddr, headers))
    if not any(len(s.data) for s in segments):
        raise ImageError("has nothing to load (no loadable segments); was it linked?")
    check_overlaps(segments)
    symbols = SymbolTable(lambda: _symbols(data, header))
    return Image(path, "elf", xlen, header.entry, tuple(segments), symbols)


def _header(data: bytes) -> _Header:
    if len(data) < 16 or data[:4] != ELF_MAGIC:
        raise ImageError("is truncated: no complete ELF header")
    elf_class, order = data[4], data[5]
    if order == 2:
        raise ImageError("is big-endian; only little-endian RISC-V is emulated")
    if order != 1 or elf_class not in (1, 2) or data[6] != 1:
        raise ImageError("is damaged: unknown ELF class, byte order or version")
    fmt = _ELF32 if elf_class == 1 else _ELF64
    if len(data) < fmt.header.size:
        raise ImageError("is truncated: no complete ELF header")
    fields = fmt.header.unpack_from(data)
    _, kind, machine, _, entry, phoff, shoff, _, _, phentsize, phnum, shentsize, shnum, _ = fields
    if machine != _EM_RISCV:
        name = _MACHINES.get(machine, f"machine {machine}")
        raise ImageError(f"is for {name}, not RISC-V; build it with a riscv compiler")
    if kind not in (_ET_EXEC, _ET_DYN):
        raise ImageError(_TYPES.get(kind, f"is damaged: unknown ELF type {kind}"))
    if phnum == 0:
        raise ImageError("has nothing to load (no loadable segments); was it linked?")
    if phnum == _PN_XNUM or phentsize != fmt.program.size:
        raise ImageError("is damaged: odd program header table")
    if phoff + phnum * phentsize > len(data):
        raise ImageError("is truncated: the program headers end behind the end of the file")
    return _Header(fmt, entry, phoff, shoff, phnum, shentsize, shnum)


def _symbols(data: bytes, header: _Header) -> Iterator[Symbol]:
    """The symbols of .symtab, else of .dynsym; a damaged table has none."""
    sections = _sections(data, header)
    for wanted in (_SHT_SYMTAB, _SHT_DYNSYM):
        for kind, offset, size, link in sections:
            if kind == wanted and link < len(sections):
                _, names_at, names_size, _ = sections[link]
                names = data[names_at : names_at + names_size]
                yield from _table(data[offset : offset + size], names, header.fmt)
                return


def _sections(data: bytes, header: _Header) -> list[tuple[int, int, int, int]]:
    """(type, offset, size, link) of every section."""
    section = header.fmt.section
    end = header.shoff + header.shnum * section.size
    if header.shentsize != section.size or not 0 < header.shoff <= end <= len(data):
        return []
    rows = section.iter_unpack(data[header.shoff : end])
    return [(r[1], r[4], r[5], r[6]) for r in rows]


def _table(table: bytes, names: bytes, fmt: _Format) -> Iterator[Symbol]:
    whole = len(table) // fmt.symbol.size * fmt.symbol.size
    left = _NAMES_MAX
    for fields in fmt.symbol.iter_unpack(table[:whole]):
        if fmt.xlen == 64:
            name_at, info, _, section, address, size = fields
        else:
            name_at, address, size, info, _, section = fields
        kind = info & 15
        if section == 0 or kind in (_STT_SECTION, _STT_FILE) or not 0 < name_at < len(names):
            continue
        end = names.find(b"\0", name_at, name_at + _NAME_MAX)
        raw = names[name_at : end if end >= 0 else name_at + _NAME_MAX]
        # psABI: $d and $x mark data and code; .L labels are the compiler's own.
        if not raw or raw.startswith((b"$", b".L")):
            continue
        left -= len(raw)
        if left < 0:
            return
        name = raw.decode("utf-8", "replace")
        yield Symbol(name, address, size, kind == _STT_FUNC, info >> 4 != 0)
