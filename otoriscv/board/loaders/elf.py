"""ELF32 and ELF64 executables, read with pyelftools.

A damaged file can neither hang the loader nor make it allocate: counts and offsets are checked
against the file before anything is read through them. Headers are parsed one by one, never as
pyelftools' section objects, whose names may each be as long as the file; symbol tables are
unpacked whole, because pyelftools takes 36 us per symbol.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any, Final

from otoriscv.board.loaders.image import Image, ImageError, Segment, check_overlaps
from otoriscv.board.loaders.symbols import Symbol, SymbolTable

if TYPE_CHECKING:
    from elftools.elf.elffile import ELFFile

__all__ = ["ELF_MAGIC", "load_elf"]

ELF_MAGIC: Final = b"\x7fELF"
_NAME_MAX: Final = 4096
_NAMES_MAX: Final = 64 << 20  # all names together, whatever the file says
_STT_FUNC, _STT_SECTION, _STT_FILE = 2, 3, 4
_SYMBOL: Final = {32: struct.Struct("<IIIBBH"), 64: struct.Struct("<IBBHQQ")}
_TYPES: Final = {
    "ET_NONE": "has no type",
    "ET_REL": "is a relocatable object (.o): link it first",
    "ET_CORE": "is a core dump",
}


def load_elf(data: bytes, path: str) -> Image:
    """The image in *data*; `ImageError` for anything that is not a RISC-V executable."""
    elf = _open(data)
    segments: list[Segment] = []
    view = memoryview(data)
    for i, row in enumerate(_headers(elf, "program")):
        offset, size, memory = row["p_offset"], row["p_filesz"], row["p_memsz"]
        if row["p_type"] == "PT_INTERP":
            raise ImageError("is a dynamically linked program; link a bare-metal one (-static)")
        if row["p_type"] != "PT_LOAD" or memory == 0:
            continue
        if size > memory:
            raise ImageError(f"is damaged: segment {i} has more bytes than memory")
        if offset + size > len(data):
            raise ImageError(f"is truncated: segment {i} ends behind the end of the file")
        if row["p_paddr"] + memory > 1 << elf.elfclass:
            raise ImageError(f"is damaged: segment {i} wraps around the address space")
        own = min(_own_size(elf), size) if offset == 0 else 0
        part = view[offset : offset + size]
        moved = row["p_vaddr"] != row["p_paddr"]
        segments.append(Segment(row["p_paddr"], part, memory, moved, own))
    if not any(len(s.data) for s in segments):
        raise ImageError("has nothing to load (no loadable segments); was it linked?")
    check_overlaps(segments)
    symbols = SymbolTable(lambda: _symbols(elf, data))
    return Image(path, "elf", elf.elfclass, elf["e_entry"], tuple(segments), symbols)


def _open(data: bytes) -> ELFFile:
    from elftools.elf.elffile import ELFFile

    try:
        elf = ELFFile(BytesIO(data))
    except Exception:  # ELFError; older versions look further than the header
        what = "truncated: no complete" if len(data) < 64 else "damaged: no good"
        raise ImageError(f"is {what} ELF header") from None
    machine, kind = elf["e_machine"], elf["e_type"]
    if not elf.little_endian:
        raise ImageError("is big-endian; only little-endian RISC-V is emulated")
    if machine != "EM_RISCV":
        from elftools.elf.descriptions import describe_e_machine  # 8 ms

        name = f"machine {machine}" if isinstance(machine, int) else describe_e_machine(machine)
        raise ImageError(f"is for {name}, not RISC-V; build it with a riscv compiler")
    if kind not in ("ET_EXEC", "ET_DYN"):
        raise ImageError(_TYPES.get(kind, f"is damaged: unknown ELF type {kind}"))
    return elf


def _headers(elf: ELFFile, kind: str) -> Iterator[Any]:
    """The program or section headers; `ImageError` when they are not in the file."""
    from elftools.common.utils import struct_parse

    layout = elf.structs.Elf_Phdr if kind == "program" else elf.structs.Elf_Shdr
    start, count, size = (elf[f"e_{kind[0]}h{field}"] for field in ("off", "num", "entsize"))
    if count and (count == 0xFFFF or size != layout.sizeof()):
        raise ImageError(f"is damaged: odd {kind} header table")
    if start + count * size > elf.stream_len:
        raise ImageError(f"is truncated: the {kind} headers end behind the end of the file")
    for n in range(count):
        yield struct_parse(layout, elf.stream, start + n * size)


def _own_size(elf: ELFFile) -> int:
    """Bytes of the ELF header and the program headers when they follow it."""
    size: int = elf.structs.Elf_Ehdr.sizeof()
    return size + elf["e_phnum"] * elf["e_phentsize"] if elf["e_phoff"] == size else size


def _symbols(elf: ELFFile, data: bytes) -> Iterator[Symbol]:
    """The symbols of .symtab, else of .dynsym; a damaged table has none."""
    try:
        sections = list(_headers(elf, "section"))
    except ImageError:
        return
    for wanted in ("SHT_SYMTAB", "SHT_DYNSYM"):
        for section in sections:
            if section["sh_type"] == wanted and section["sh_link"] < len(sections):
                names = _bytes(data, sections[section["sh_link"]])
                yield from _table(_bytes(data, section), names, elf.elfclass)
                return


def _bytes(data: bytes, section: Any) -> bytes:
    return data[section["sh_offset"] : section["sh_offset"] + section["sh_size"]]


def _table(table: bytes, names: bytes, xlen: int) -> Iterator[Symbol]:
    layout = _SYMBOL[xlen]
    left = _NAMES_MAX
    for fields in layout.iter_unpack(table[: len(table) // layout.size * layout.size]):
        if xlen == 64:
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
