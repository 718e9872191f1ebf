"""Breakpoints and watchpoints: Z0-Z4 insert, z0-z4 remove. They take effect at the next resume."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.breakpoints import Watchpoint
from otoriscv.gdbstub.commands.arguments import address, hexadecimal
from otoriscv.gdbstub.commands.table import packet
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.target import WatchKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_WATCH = {b"2": WatchKind.WRITE, b"3": WatchKind.READ, b"4": WatchKind.ACCESS}


@packet("Z")
def insert(session: Session, arguments: bytes) -> bytes:
    """``Ztype,address,kind``; the kind of a watchpoint is its length."""
    return _edit(session, arguments, wanted=True)


@packet("z")
def remove(session: Session, arguments: bytes) -> bytes:
    """``ztype,address,kind``; removing what is not there is fine."""
    return _edit(session, arguments, wanted=False)


def _edit(session: Session, arguments: bytes, *, wanted: bool) -> bytes:
    parts = arguments.split(b";", 1)[0].split(b",")
    if len(parts) != 3:
        raise CommandError(INVALID, "type, address and kind are needed")
    kind, where, length_text = parts
    table = session.breakpoints
    if kind in _WATCH:
        start, length = address(session, where), hexadecimal(length_text, "length")
        if length == 0 or start + length > session.mask + 1:
            raise CommandError(INVALID, "not a range of memory")
        watch = Watchpoint(_WATCH[kind], start, length)
        (table.watchpoints.add if wanted else table.watchpoints.discard)(watch)
    elif kind in (b"0", b"1"):
        hexadecimal(length_text, "kind")
        places = table.software if kind == b"0" else table.hardware
        (places.add if wanted else places.discard)(address(session, where))
    else:
        return b""
    return b"OK"
