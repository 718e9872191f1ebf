"""Memory: m M X."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import address, hexadecimal, hexbytes, two
from otoriscv.gdbstub.commands.table import packet
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.packets import MAX_PACKET

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_LONGEST_READ = MAX_PACKET // 2 - 16


@packet("m")
def read(session: Session, arguments: bytes) -> bytes:
    """``maddress,length``; fewer bytes than asked for where memory or the packet ends."""
    where, length_text = two(arguments)
    start, length = address(session, where), hexadecimal(length_text, "length")
    if length == 0:
        raise CommandError(INVALID, "the length is zero")
    data = session.target.read_memory(session.hart, start, min(length, _LONGEST_READ))
    return data.hex().encode()


@packet("M")
def write(session: Session, arguments: bytes) -> bytes:
    """``Maddress,length:hexadecimal data``."""
    head, text = two(arguments, b":")
    return _write(session, head, hexbytes(text))


@packet("X")
def write_binary(session: Session, arguments: bytes) -> bytes:
    """``Xaddress,length:binary data``; of length zero to ask whether we know it."""
    head, data = two(arguments, b":")
    return _write(session, head, data)


def _write(session: Session, head: bytes, data: bytes) -> bytes:
    where, length_text = two(head)
    start = address(session, where)
    if hexadecimal(length_text, "length") != len(data):
        raise CommandError(INVALID, f"{len(data)} bytes came, not as many as announced")
    if data:
        session.target.write_memory(session.hart, start, data)
    return b"OK"
