"""gzip (RFC 1952) and Zstandard (RFC 8878) around an image, with a limit on what comes out."""

from __future__ import annotations

import gzip
import importlib
import io
import zlib
from typing import Any, Final, Protocol

from otoriscv.board.loaders.image import ImageError

__all__ = ["decompress"]

_GZIP: Final = b"\x1f\x8b"
_ZSTD: Final = b"\x28\xb5\x2f\xfd"
_CHUNK: Final = 1 << 20


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...


def decompress(data: bytes, limit: int) -> bytes | None:
    """What is inside *data*, or None when it is not compressed."""
    if data.startswith(_GZIP):
        try:
            return _read(gzip.GzipFile(fileobj=io.BytesIO(data)), limit)
        except (OSError, EOFError, zlib.error) as error:
            raise ImageError(f"is not good gzip data: {error}") from None
    if data.startswith(_ZSTD):
        opener, errors = _zstd()
        try:
            return _read(opener(io.BytesIO(data)), limit)
        except errors as error:
            raise ImageError(f"is not good zstd data: {error}") from None
    return None


def _read(stream: _Readable, limit: int) -> bytes:
    out = bytearray()
    while chunk := stream.read(_CHUNK):
        out += chunk
        if len(out) > limit:
            raise ImageError(f"is more than {limit >> 20} MiB when decompressed")
    return bytes(out)


def _zstd() -> tuple[Any, tuple[type[Exception], ...]]:
    """A function that opens a zstd stream, and the errors it raises."""
    try:  # Python 3.14
        module = importlib.import_module("compression.zstd")
    except ImportError:
        pass
    else:
        return module.ZstdFile, (module.ZstdError, EOFError, OSError)
    try:
        module = importlib.import_module("zstandard")
    except ImportError:
        raise ImageError(
            "is compressed with zstd: pip install zstandard, or decompress it with unzstd"
        ) from None

    def open_whole(stream: _Readable) -> _Readable:
        return _Strict(module.ZstdDecompressor().decompressobj(), stream)

    return open_whole, (module.ZstdError, EOFError, OSError)


class _Strict:
    """zstandard's stream reader takes a truncated frame for a whole one; this does not."""

    def __init__(self, decoder: Any, stream: _Readable) -> None:
        self._decoder = decoder
        self._stream = stream

    def read(self, size: int, /) -> bytes:
        while not self._decoder.eof:
            compressed = self._stream.read(1 << 14)
            if not compressed:
                raise EOFError("the file ends inside a frame")
            out: bytes = self._decoder.decompress(compressed)
            if out:
                return out
        return b""
