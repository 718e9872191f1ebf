"""Raw binaries: the bytes as they are, at one address, which is also the entry."""

from __future__ import annotations

from otoriscv.board.loaders.image import Image, ImageError, Segment

__all__ = ["load_raw"]


def load_raw(data: bytes, path: str, xlen: int, base: int) -> Image:
    """*data* at *base*."""
    if base + len(data) > 1 << xlen:
        raise ImageError(f"does not fit the address space at {base:#x}")
    return Image(path, "raw", xlen, base, (Segment(base, data, len(data)),))
