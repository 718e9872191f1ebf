"""Framing of the GDB remote serial protocol: checksums, escapes, run lengths, resynchronisation.

On the wire a packet is ``$payload#cc``. Inside the payload ``}`` escapes a byte (xor 0x20), and
``c*n`` repeats *c*. gdb undoes run lengths before escapes, so a repeated byte is never an escaped
one.
"""

from __future__ import annotations

import re
import zlib
from enum import Enum
from functools import lru_cache

__all__ = [
    "MAX_PACKET",
    "PacketError",
    "Parser",
    "Wire",
    "checksum",
    "compress",
    "escape",
    "expand",
    "frame",
    "unescape",
]

MAX_PACKET = 0x100000
"""The longest payload taken or sent, in bytes: what ``PacketSize`` announces (in hexadecimal)."""

_SLICE = 256  # 255 * 256 + 1 is below adler32's modulus, so its low half is the exact sum plus one
#: What is sent as something else, the escape character itself first.
_SPECIAL = tuple((bytes((c,)), bytes((0x7D, c ^ 0x20))) for c in b"}#$*")
_PLAIN = re.compile(rb"\$([^#$}*\x03]*)#[0-9a-fA-F]{2}", re.DOTALL)  # most packets are
_MOST_PLAIN = 200
_ESCAPED = re.compile(rb"\}(.)", re.DOTALL)
_START = re.compile(rb"[$\x03-]")
_END = re.compile(rb"[#$]")
_SLACK = 8  # for "$", "#" and the checksum of a packet just above the limit
_HEX_DIGITS = frozenset(b"0123456789abcdefABCDEF")
_MIN_COUNT, _MAX_COUNT = 3, 97  # further copies that one ``*n`` can ask for; n is count + 29
_RUNS = tuple((digit * (_MAX_COUNT + 1), digit + b"*~") for digit in (b"0", b"f"))


class PacketError(ValueError):
    """A payload that no encoder could have written."""


class Wire(Enum):
    """What arrives beside packets."""

    INTERRUPT = "interrupt"  # byte 0x03
    NAK = "nak"  # "-": send the last packet again
    BAD = "bad"  # a packet whose checksum or encoding is wrong
    TOO_LONG = "too long"  # a packet above the limit was dropped


def checksum(data: bytes | bytearray) -> int:
    """The sum of all bytes modulo 256."""
    if len(data) <= _SLICE:
        return (zlib.adler32(data) - 1) & 0xFF
    adler32 = zlib.adler32
    view = memoryview(data)
    total = 0
    for at in range(0, len(data), _SLICE):
        total += (adler32(view[at : at + _SLICE]) & 0xFFFF) - 1
    return total & 0xFF


def escape(data: bytes) -> bytes:
    """Make binary data fit for a payload."""
    for special in _SPECIAL:
        data = data.replace(*special)
    return data


def unescape(data: bytes) -> bytes:
    """The inverse of `escape`."""
    if b"}" not in data:
        return data
    plain = _ESCAPED.sub(lambda match: bytes((match[1][0] ^ 0x20,)), data)
    if _ends_inside_escape(data):
        raise PacketError("the payload ends inside an escape")
    return plain


def _ends_inside_escape(data: bytes) -> bool:
    """True when the trailing ``}`` is not itself escaped: an odd number of them ends *data*."""
    return (len(data) - len(data.rstrip(b"}"))) % 2 == 1


def compress(data: bytes) -> bytes:
    """Run-length encode a payload: the long runs of "0" and "f" that memory is full of.

    Nothing else repeats enough to pay for a search at Python's speed. A payload with escapes is
    left alone, as a repeated byte could be the second half of one.
    """
    if b"}" in data:
        return data
    for run, encoded in _RUNS:
        data = data.replace(run, encoded)
    return data


def expand(data: bytes, limit: int = MAX_PACKET) -> bytes:
    """Undo run-length encoding; `PacketError` when it is malformed or longer than *limit*."""
    if b"*" not in data:
        return data
    out = bytearray()
    done = 0
    star = data.find(b"*")
    while star >= 0:
        out += data[done:star]
        count = data[star + 1] - 29 if star + 1 < len(data) else 0
        if not out or not _MIN_COUNT <= count <= _MAX_COUNT:
            raise PacketError("bad run length")
        out += out[-1:] * count
        if len(out) > limit:
            raise PacketError("the expanded payload is too long")
        done = star + 2
        star = data.find(b"*", done)
    out += data[done:]
    if len(out) > limit:
        raise PacketError("the expanded payload is too long")
    return bytes(out)


def frame(payload: bytes) -> bytes:
    """The packet for an escaped payload."""
    return b"$%b#%02x" % (payload, checksum(payload))


@lru_cache(256)  # debuggers say the same things over and over
def _plain(data: bytes) -> bytes | None:
    """The payload, when *data* is just one packet without escapes and run lengths."""
    found = _PLAIN.fullmatch(data)
    if found is None or int(data[-2:], 16) != checksum(found[1]):
        return None
    return found[1]


class Parser:
    """Splits what arrives into decoded payloads and `Wire` events; never holds more than a packet.

    Garbage between packets is skipped; a ``$`` inside a packet starts a new one.
    """

    def __init__(self, limit: int = MAX_PACKET) -> None:
        self._limit = limit
        self._buffer = bytearray()  # empty, or starts with the "$" of an unfinished packet
        self._scanned = 1  # no "#" before this index of the buffer
        self._dropping = False  # inside a packet that is too long

    @property
    def pending(self) -> int:
        """How many bytes of an unfinished packet are held."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes | Wire]:
        """Everything that *data* completes, in order."""
        buffer = self._buffer
        if not buffer and not self._dropping and len(data) < _MOST_PLAIN:
            plain = _plain(data)
            if plain is not None:
                return [plain]
        events: list[bytes | Wire] = []
        buffer += data
        if self._dropping:
            self._drop(events)
            if self._dropping:
                return events
        at = 0
        while at < len(buffer):
            if buffer[at] != 0x24:
                at = self._idle(at, events)
                continue
            end = buffer.find(b"#", max(at + 1, at + self._scanned))
            self._scanned = 1
            if end < 0:
                self._scanned = len(buffer) - at
                break
            if end + 2 >= len(buffer) and not _is_torn(buffer, end):
                self._scanned = end - at
                break
            at = self._packet(at, end, events)
        del buffer[:at]
        if len(buffer) > self._limit + _SLACK:
            last = buffer.rfind(b"$")
            if last > 0 and len(buffer) - last <= self._limit:
                del buffer[:last]
            else:
                buffer.clear()
                self._dropping = True
            self._scanned = 1
        return events

    def _idle(self, at: int, events: list[bytes | Wire]) -> int:
        """Skip to the next "$" from *at*, noting interrupts and naks on the way."""
        buffer = self._buffer
        while (match := _START.search(buffer, at)) is not None:
            byte = buffer[match.start()]
            if byte == 0x24:
                return match.start()
            event = Wire.INTERRUPT if byte == 3 else Wire.NAK
            if not events or events[-1] is not event:
                events.append(event)
            at = match.end()
        return len(buffer)

    def _packet(self, start: int, end: int, events: list[bytes | Wire]) -> int:
        """Take the packet whose "$" and "#" are at *start* and *end*; returns where to go on."""
        buffer = self._buffer
        restart = buffer.rfind(b"$", start + 1, end)
        if restart >= 0:
            if buffer.find(b"\x03", start, restart) >= 0:
                events.append(Wire.INTERRUPT)
            start = restart
        body = bytes(buffer[start + 1 : end])
        high, low = buffer[end + 1], buffer[end + 2] if end + 2 < len(buffer) else 0
        if high not in _HEX_DIGITS or low not in _HEX_DIGITS:
            events.append(Wire.BAD)
            return end + 1
        if len(body) > self._limit:
            events.append(Wire.TOO_LONG)
        elif int(buffer[end + 1 : end + 3], 16) != checksum(body):
            events.append(Wire.BAD)
        else:
            try:
                events.append(unescape(expand(body, self._limit)))
            except PacketError:
                events.append(Wire.BAD)
        return end + 3

    def _drop(self, events: list[bytes | Wire]) -> None:
        """Throw a long packet away up to its end, or up to the next "$"."""
        buffer = self._buffer
        match = _END.search(buffer)
        if match is None:
            buffer.clear()
            return
        events.append(Wire.TOO_LONG)
        self._dropping = False
        # What follows "#" is a checksum, which the idle state skips like any garbage.
        at = match.start()
        del buffer[: at + (buffer[at] == 0x23)]


def _is_torn(buffer: bytearray, end: int) -> bool:
    """True when the one byte behind "#" already cannot be a checksum digit."""
    return end + 1 < len(buffer) and buffer[end + 1] not in _HEX_DIGITS
