"""Snapshots in files.

A magic line, version and header length as little-endian u32, the header (JSON), the pages in the
header's order (one zlib stream), and the SHA-256 of everything before.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import tempfile
import zlib
from contextlib import suppress
from typing import Any, Final

from otoriscv.board.snapshot import Event, Snapshot, SnapshotError
from otoriscv.board.snapshot_pages import Pages
from otoriscv.core.layout import MEM, PAGE

__all__ = ["VERSION", "read", "write"]

VERSION: Final = 1
_MAGIC: Final = b"otoriscv snapshot\n"
_HEAD: Final = struct.Struct("<II")
_DIGEST: Final = 32
_LEVEL: Final = 1


def write(snapshot: Snapshot, path: str) -> None:
    """Write *snapshot*; a reader finds all of it or nothing."""
    if any(event.callback is not None for event in snapshot.events):
        raise SnapshotError("a Python function is to be called later: that cannot be in a file")
    pages = snapshot.pages.used()
    try:
        header = json.dumps(
            {
                "identity": snapshot.identity,
                "state": snapshot.state,
                "events": [[e.delay, e.device, e.method] for e in snapshot.events],
                "pages": pages,
            },
            default=_encode,
        ).encode()
    except TypeError as error:
        raise SnapshotError(f"a device's state cannot be in a file: {error}") from None
    body = zlib.compress(b"".join(snapshot.pages.page(at) for at in pages), _LEVEL)
    data = _MAGIC + _HEAD.pack(VERSION, len(header)) + header + body
    folder = os.path.dirname(path) or "."
    handle, name = tempfile.mkstemp(dir=folder, prefix=".snapshot-")
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
            file.write(hashlib.sha256(data).digest())
        os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise


def read(path: str) -> Snapshot:
    """Read what `write` wrote."""
    with open(path, "rb") as file:
        data = file.read()
    start = len(_MAGIC) + _HEAD.size
    if not data.startswith(_MAGIC) or len(data) < start + _DIGEST:
        raise SnapshotError("is no snapshot of otoriscv")
    version, length = _HEAD.unpack_from(data, len(_MAGIC))
    if version != VERSION:
        raise SnapshotError(f"has format {version}; this otoriscv reads {VERSION}")
    content = data[:-_DIGEST]
    if hashlib.sha256(content).digest() != data[-_DIGEST:]:
        raise SnapshotError("is damaged (its checksum is wrong)")
    try:
        return _parse(content[start : start + length], content[start + length :])
    except (ValueError, KeyError, TypeError, RecursionError, zlib.error) as error:
        raise SnapshotError(f"was not written by this version ({error})") from None


def _parse(header: bytes, body: bytes) -> Snapshot:
    fields: dict[str, Any] = json.loads(header, object_hook=_decode)
    offsets: list[int] = fields["pages"]
    if not all(type(at) is int for at in offsets) or offsets != sorted(set(offsets)):
        raise ValueError("its list of pages is none")
    raw = zlib.decompressobj().decompress(body, len(offsets) * PAGE + 1)
    if len(raw) != len(offsets) * PAGE:
        raise ValueError("pages are missing")
    end = MEM + sum(size for _, size, _ in fields["identity"]["memory"])
    if any(at % PAGE or not MEM <= at < end for at in offsets):
        raise ValueError("a page is outside memory")
    pages = {at: raw[n * PAGE : (n + 1) * PAGE] for n, at in enumerate(offsets)}
    events = tuple(Event(int(d), int(n), str(name)) for d, n, name in fields["events"])
    return Snapshot(fields["identity"], fields["state"], events, Pages(pages))


def _encode(value: object) -> object:
    if isinstance(value, bytes | bytearray):
        return {"__bytes__": value.hex()}
    if hasattr(value, "__iter__"):
        return list(value)
    raise TypeError(f"{type(value).__name__} is not a number, text or a sequence of them")


def _decode(value: dict[str, Any]) -> object:
    return bytes.fromhex(value["__bytes__"]) if value.keys() == {"__bytes__"} else value
