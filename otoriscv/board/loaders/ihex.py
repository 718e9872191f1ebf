"""Intel HEX (Intel Hexadecimal Object File Format Specification, revision A, 1988)."""

from __future__ import annotations

import re
from typing import Final

from otoriscv.board.loaders.image import Image, ImageError, Segment, check_overlaps

__all__ = ["load_hex", "looks_like_hex"]

_DATA, _END, _SEGMENT, _START_SEGMENT, _LINEAR, _START_LINEAR = range(6)
_LENGTHS: Final = {_END: 0, _SEGMENT: 2, _START_SEGMENT: 4, _LINEAR: 2, _START_LINEAR: 4}
_FIRST_LINE: Final = re.compile(rb"\s*:(?:[0-9A-Fa-f]{2}){5,}\s*(?:\n|$)")


def looks_like_hex(data: bytes) -> bool:
    """True when the first line is a HEX record."""
    return _FIRST_LINE.match(data[:1024]) is not None


def load_hex(data: bytes, path: str, xlen: int) -> Image:
    """The image in *data*; the entry is the start record's, else the lowest address."""
    chunks: list[tuple[int, bytearray]] = []
    base, linear = 0, True
    entry: int | None = None
    ended = False
    for number, line in enumerate(data.split(b"\n"), 1):
        text = line.strip()
        if not text:
            continue
        if ended:
            raise ImageError(f"line {number}: something follows the end record")
        kind, address, payload = _record(text, number)
        if kind == _DATA:
            _place(chunks, base, address, payload, linear)
        elif kind == _END:
            ended = True
        elif kind in (_SEGMENT, _LINEAR):
            linear = kind == _LINEAR
            base = int.from_bytes(payload, "big") << (16 if linear else 4)
        elif kind == _START_LINEAR:
            entry = int.from_bytes(payload, "big")
        else:  # CS:IP of an 8086
            entry = (int.from_bytes(payload[:2], "big") << 4) + int.from_bytes(payload[2:], "big")
    if not ended:
        raise ImageError("is truncated: there is no end record (:00000001FF)")
    segments = [Segment(a, bytes(d), len(d)) for a, d in sorted(chunks, key=lambda c: c[0])]
    if not segments:
        raise ImageError("has no data records")
    check_overlaps(segments)
    start = segments[0].address if entry is None else entry
    return Image(path, "hex", xlen, start, tuple(segments))


def _record(text: bytes, number: int) -> tuple[int, int, bytes]:
    if text[:1] != b":":
        raise ImageError(f"line {number}: a record starts with ':'")
    try:
        raw = bytes.fromhex(text[1:].decode("ascii"))
    except ValueError:
        raise ImageError(f"line {number}: not hexadecimal digits in pairs") from None
    if len(raw) < 5 or len(raw) != raw[0] + 5:
        raise ImageError(f"line {number}: the record's length is wrong (truncated?)")
    if sum(raw) & 0xFF:
        good = -sum(raw[:-1]) & 0xFF
        raise ImageError(f"line {number}: checksum is {raw[-1]:02X}, should be {good:02X}")
    kind, payload = raw[3], raw[4:-1]
    if kind > _START_LINEAR:
        raise ImageError(f"line {number}: unknown record type {kind:02X}")
    if len(payload) != _LENGTHS.get(kind, len(payload)):
        raise ImageError(f"line {number}: wrong length for record type {kind:02X}")
    return kind, int.from_bytes(raw[1:3], "big"), payload


def _place(
    chunks: list[tuple[int, bytearray]], base: int, offset: int, data: bytes, linear: bool
) -> None:
    """Add *data*; addresses wrap at 64 KiB in a segment and at 4 GiB otherwise."""
    room = (1 << 32) - base - offset if linear else 0x1_0000 - offset
    for address, part in ((base + offset, data[:room]), (0 if linear else base, data[room:])):
        if not part:
            continue
        if chunks and chunks[-1][0] + len(chunks[-1][1]) == address:
            chunks[-1][1].extend(part)
        else:
            chunks.append((address, bytearray(part)))
