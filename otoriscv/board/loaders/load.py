"""`load_image`: find out what a file is and load it."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Final

from otoriscv.board.loaders.compressed import decompress
from otoriscv.board.loaders.elf import ELF_MAGIC, load_elf
from otoriscv.board.loaders.ihex import load_hex, looks_like_hex
from otoriscv.board.loaders.image import Image, ImageError
from otoriscv.board.loaders.linux import (
    foreign_kernel,
    is_linux,
    linux_from_elf,
    load_linux,
    unpack_zboot,
)
from otoriscv.board.loaders.raw import load_raw
from otoriscv.board.memory_map import RAM_BASE

__all__ = ["load_image"]

_LIMIT: Final = 1 << 30
_CHUNK: Final = 1 << 22
_HEX_SUFFIXES: Final = (".hex", ".ihex", ".ihx")
_REFUSED: Final = (
    (b"!<arch>\n", "is a static library: link it into a program"),
    (b"S0", "looks like Motorola S-records: convert it with objcopy -O ihex"),
)


def load_image(
    path: str | os.PathLike[str],
    *,
    xlen: int | None = None,
    base: int = RAM_BASE,
    limit: int = _LIMIT,
) -> Image:
    """Load an ELF, Linux kernel, Intel HEX or raw file, perhaps inside .gz or .zst.

    *xlen* is what ``--isa`` asks for: needed for HEX and raw files, checked against an ELF's
    class. *base* is where a raw binary goes. Files of more than *limit* bytes are refused.
    Only `ImageError` is raised, its message starting with the path.
    """
    name = os.fspath(path)
    try:
        return _load(_read(name, limit), name, xlen, base, limit)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None


def _load(data: bytes, name: str, xlen: int | None, base: int, limit: int) -> Image:
    inner = decompress(data, limit)
    if inner is not None:
        data = inner
        name_inside = Path(name).stem
    else:
        name_inside = name
    if not data:
        raise ImageError("is empty")
    data = unpack_zboot(data, limit) or data
    if is_linux(data):
        return load_linux(data, name, xlen)
    if data.startswith(ELF_MAGIC):
        image = linux_from_elf(load_elf(data, name))
        if xlen not in (None, image.xlen):
            raise ImageError(f"is a {image.xlen}-bit program, but --isa says rv{xlen}")
        return image
    for magic, reason in _REFUSED:
        if data.startswith(magic) and (magic != b"S0" or data[2:10].isalnum()):
            raise ImageError(reason)
    if (machine := foreign_kernel(data)) is not None:
        raise ImageError(f"is a kernel for {machine}, not RISC-V")
    is_hex = looks_like_hex(data) or name_inside.lower().endswith(_HEX_SUFFIXES)
    if xlen is None:
        what = "an Intel HEX file does" if is_hex else "a raw binary (it is no ELF) does"
        raise ImageError(f"{what} not say what it is for; add --isa, for example --isa rv32imac")
    return load_hex(data, name, xlen) if is_hex else load_raw(data, name, xlen, base)


def _read(name: str, limit: int) -> bytes:
    try:
        with open(name, "rb") as file:
            status = os.fstat(file.fileno())
            if not (stat.S_ISREG(status.st_mode) or stat.S_ISFIFO(status.st_mode)):
                raise ImageError("is not a file")
            size, parts = 0, []
            if status.st_size <= limit:  # a file comes whole, and a pipe in pieces
                while size <= limit and (part := file.read(max(_CHUNK, status.st_size + 1))):
                    size += len(part)
                    parts.append(part)
            if size > limit or status.st_size > limit:
                raise ImageError(f"is larger than {limit >> 20} MiB")
            return b"".join(parts)
    except OSError as error:
        raise ImageError(error.strerror or str(error)) from None
    except ValueError as error:  # a NUL in the name
        raise ImageError(str(error)) from None
