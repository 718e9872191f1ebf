"""Initial RAM disks: only looked at, so that a damaged one is found before the kernel starts.

The kernel takes cpio archives (Documentation/driver-api/early-userspace/buffer-format.rst), each
perhaps compressed, one behind the other, or a file system's image.
"""

from __future__ import annotations

import bz2
import lzma
import os
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, NamedTuple

from otoriscv.board.loaders.compressed import decompress
from otoriscv.board.loaders.image import ImageError

__all__ = ["Initrd", "load_initrd"]

_LIMIT: Final = 1 << 30
_OPENED_LIMIT: Final = 8 << 30
_CHUNK: Final = 1 << 14  # what comes out of one is held in memory
_CPIO: Final = (b"070701", b"070702")
_CPIO_HEADER: Final = 110
_TRAILER: Final = b"TRAILER!!!"

#: Compressions whose end we can find: a fresh decompressor with ``decompress`` and ``unused_data``.
_DECODERS: Final[dict[bytes, tuple[str, Callable[[], Any]]]] = {
    b"\x1f\x8b": ("gzip", lambda: zlib.decompressobj(31)),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": ("xz", lzma.LZMADecompressor),
    b"\x5d\0\0": ("lzma", lzma.LZMADecompressor),
}
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
#: What the kernel reads and we take on trust: lz4 (legacy frames) and lzo.
_TRUSTED: Final = (b"\x02\x21\x4c\x18", b"\x89LZO")
#: File systems: where the magic is, and what it is.
_FILE_SYSTEMS: Final = (
    (0x438, b"\x53\xef"),  # ext2, ext3, ext4
    (0, b"hsqs"),  # squashfs
    (0, b"-rom1fs-"),
    (0, b"\x45\x3d\xcd\x28"),  # cramfs
    (0x400, b"\xe2\xe1\xf5\xe0"),  # erofs
)


class Initrd(NamedTuple):
    """A RAM disk as it goes into memory."""

    path: str
    data: bytes


def load_initrd(path: str | os.PathLike[str]) -> Initrd:
    """Read and check a RAM disk; `ImageError`, its message starting with the path."""
    name = os.fspath(path)
    try:
        file = Path(name)
        if file.stat().st_size > _LIMIT:
            raise ImageError(f"is larger than {_LIMIT >> 20} MiB")
        data = file.read_bytes()
        _check(data)
        return Initrd(name, data)
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or error}") from None
    except ValueError as error:  # a NUL in the name
        raise ImageError(f"{name}: {error}") from None


def _check(data: bytes) -> None:
    if not data:
        raise ImageError("is empty")
    if any(data[at : at + len(magic)] == magic for at, magic in _FILE_SYSTEMS):
        return
    at, first = 0, True
    while at < len(data):
        if data[at] == 0 and not first:  # padding between archives
            at = len(data) - len(data[at:].lstrip(b"\0"))
            continue
        used = _archive(data, at)
        if used is None:
            what = "begins with neither" if first else f"holds at {at:#x} neither"
            raise ImageError(
                f"{what} a cpio archive nor one compressed with gzip, xz, zstd, bzip2, lzma, lz4 "
                "or lzo; is it an initrd?"
            )
        at, first = used, False


def _archive(data: bytes, at: int) -> int | None:
    """Where the archive at *at* ends; None when there is none."""
    if data[at : at + 6] in _CPIO:
        return _cpio(data, at)
    for magic, (name, decoder) in _DECODERS.items():
        if data.startswith(magic, at):
            return _compressed(data, at, name, decoder())
    if data.startswith(_ZSTD, at):
        try:
            decompress(data[at:], _OPENED_LIMIT)
        except ImageError as error:
            if "pip install" not in str(error):
                raise
        return len(data)
    return len(data) if data.startswith(_TRUSTED, at) else None


def _compressed(data: bytes, at: int, name: str, decoder: Any) -> int:
    """Decompress to the end; what comes out must be an archive, and is not kept."""
    head, size = b"", 0
    try:
        while not decoder.eof:
            if at >= len(data):
                raise ImageError(f"is truncated: its {name} data ends too early")
            chunk = data[at : at + _CHUNK]
            at += len(chunk)
            out = decoder.decompress(chunk)
            head += out[: 6 - len(head)]
            size += len(out)
            if size > _OPENED_LIMIT:
                raise ImageError(f"is more than {_OPENED_LIMIT >> 30} GiB when decompressed")
    except (zlib.error, lzma.LZMAError, OSError) as error:
        raise ImageError(f"is corrupt: its {name} data is bad ({error})") from None
    if head not in _CPIO and size:
        raise ImageError(f"holds {name} data that is no cpio archive")
    return at - len(decoder.unused_data)


def _cpio(data: bytes, at: int) -> int:
    """Follow a plain archive to its trailer."""
    start = at
    while True:
        header = data[at : at + _CPIO_HEADER]
        if len(header) < _CPIO_HEADER:
            raise ImageError("is truncated: its cpio archive has no end")
        try:
            if header[:6] not in _CPIO:
                raise ValueError
            size, name_size = int(header[54:62], 16), int(header[94:102], 16)
        except ValueError:
            raise ImageError(f"is corrupt: no cpio header at {at:#x}") from None
        name = data[at + _CPIO_HEADER : at + _CPIO_HEADER + name_size].rstrip(b"\0")
        at = start + (at - start + _CPIO_HEADER + name_size + 3 & -4)
        at = start + (at - start + size + 3 & -4)
        if name == _TRAILER:
            return min(at, len(data))
