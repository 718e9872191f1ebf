"""Memory: m M x X, and what is done with much of it: qCRC qSearch."""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import address, hexadecimal, hexbytes, two
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.errors import FAULT, INVALID, CommandError
from otoriscv.gdbstub.packets import MAX_PACKET, escape

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_LONGEST_READ = MAX_PACKET // 2 - 16
_CHUNK = 1 << 20
_REVERSED = bytes(int(f"{n:08b}"[::-1], 2) for n in range(256))


@packet("m")
def read(session: Session, arguments: bytes) -> bytes:
    """``maddress,length``; fewer bytes than asked for where memory or the packet ends."""
    where, length_text = two(arguments)
    start, length = address(where, session.mask), hexadecimal(length_text, "length")
    if length == 0:
        raise CommandError(INVALID, "the length is zero")
    data = session.target.read_memory(session.hart, start, min(length, _LONGEST_READ))
    return data.hex().encode()


@packet("x")
def read_binary(session: Session, arguments: bytes) -> bytes:
    """``xaddress,length``: the same in binary, behind a ``b`` for gdb and without for LLDB."""
    where, length_text = two(arguments)
    length = hexadecimal(length_text, "length")
    if length == 0:
        return b"OK" if session.lldb else b"b"
    start = address(where, session.mask)
    data = session.target.read_memory(session.hart, start, min(length, _LONGEST_READ))
    return (b"" if session.lldb else b"b") + escape(data)


@packet("qCRC")
def checksum(session: Session, arguments: bytes) -> bytes:
    """``qCRC:address,length``, for compare-sections: polynomial 0x04c11db7, highest bit first."""
    where, length_text = two(arguments.removeprefix(b":"))
    start, length = address(where, session.mask), hexadecimal(length_text, "length")
    crc = 0  # zlib has the lowest bit first, and inverts before and after
    for piece in _pieces(session, start, length):
        crc = zlib.crc32(piece.translate(_REVERSED), crc)
    return b"C%08x" % int(f"{crc ^ 0xFFFF_FFFF:032b}"[::-1], 2)


@packet("qSearch")
def search(session: Session, arguments: bytes) -> bytes:
    """``qSearch:memory:address;length;pattern``, for find."""
    if not arguments.startswith(b":memory:"):
        return b""
    where, rest = two(arguments.removeprefix(b":memory:"), b";")
    length_text, pattern = two(rest, b";")
    start, length = address(where, session.mask), hexadecimal(length_text, "length")
    if not pattern:
        raise CommandError(INVALID, "there is nothing to search for")
    at, before = start, b""
    for piece in _pieces(session, start, length):
        data = before + piece
        found = data.find(pattern)
        if found >= 0:
            return b"1,%x" % (at - len(before) + found)
        at += len(piece)
        before = data[max(0, len(data) - len(pattern) + 1) :] if len(pattern) > 1 else b""
    return b"0"


def _pieces(session: Session, start: int, length: int) -> Iterator[bytes]:
    """The memory in pieces that are not too large; all of it must be there."""
    end = start + length
    while start < end:
        wanted = min(_CHUNK, end - start)
        data = session.target.read_memory(session.hart, start, wanted)
        if len(data) < wanted:
            raise CommandError(FAULT, f"no memory at {start + len(data):#x}")
        yield data
        start += wanted


@packet("M", access=Access.CHANGE)
def write(session: Session, arguments: bytes) -> bytes:
    """``Maddress,length:hexadecimal data``."""
    head, text = two(arguments, b":")
    return _write(session, head, hexbytes(text))


@packet("X", access=Access.CHANGE)
def write_binary(session: Session, arguments: bytes) -> bytes:
    """``Xaddress,length:binary data``; of length zero to ask whether we know it."""
    head, data = two(arguments, b":")
    return _write(session, head, data)


def _write(session: Session, head: bytes, data: bytes) -> bytes:
    where, length_text = two(head)
    start = address(where, session.mask)
    if hexadecimal(length_text, "length") != len(data):
        raise CommandError(INVALID, f"{len(data)} bytes came, not as many as announced")
    if data:
        session.target.write_memory(session.hart, start, data)
    return b"OK"
