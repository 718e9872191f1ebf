"""qXfer: documents that the client reads in pieces."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING
from xml.sax.saxutils import quoteattr

from otoriscv.gdbstub.commands.arguments import hexadecimal, two
from otoriscv.gdbstub.commands.files import executable_path
from otoriscv.gdbstub.commands.table import packet
from otoriscv.gdbstub.commands.threads import hart_name, hart_state, live_harts
from otoriscv.gdbstub.description import target_xml
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.packets import MAX_PACKET, escape

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_PIECE = MAX_PACKET // 2 - 16  # every byte may need an escape


def _features(session: Session, annex: bytes) -> bytes:
    if annex != b"target.xml":
        raise CommandError(0, "there is no such description")
    return target_xml(session.target.xlen, list(session.registers.values()), lldb=session.lldb)


def _threads(session: Session, annex: bytes) -> bytes:
    rows = [
        f'<thread id="{hart + 1:x}" core="{hart}" name={quoteattr(hart_name(hart))}>'
        f"{hart_state(session, hart)}</thread>\n"
        for hart in live_harts(session)
    ]
    return ('<?xml version="1.0"?>\n<threads>\n' + "".join(rows) + "</threads>\n").encode()


def _memory_map(session: Session, annex: bytes) -> bytes:
    """gdb reads nothing outside of these: devices are left out."""
    rows = [
        f'<memory type="{region.kind}" start="{region.base:#x}" length="{region.size:#x}"/>\n'
        for region in session.target.memory_map()
        if region.kind != "device"
    ]
    head = (
        '<?xml version="1.0"?>\n<!DOCTYPE memory-map PUBLIC "+//IDN gnu.org//DTD GDB Memory Map '
        'V1.0//EN" "http://sourceware.org/gdb/gdb-memory-map.dtd">\n<memory-map>\n'
    )
    return (head + "".join(rows) + "</memory-map>\n").encode()


def _exec_file(session: Session, annex: bytes) -> bytes:
    return executable_path(session)


_OBJECTS: dict[bytes, Callable[[Session, bytes], bytes]] = {
    b"features": _features,
    b"threads": _threads,
    b"memory-map": _memory_map,
    b"exec-file": _exec_file,
}


@packet("qXfer")
def transfer(session: Session, arguments: bytes) -> bytes:
    """``qXfer:object:read:annex:offset,length``."""
    parts = arguments.split(b":", 4)
    if len(parts) != 5 or parts[1] not in _OBJECTS or parts[2] != b"read":
        return b""
    offset_text, length_text = two(parts[4])
    offset, length = hexadecimal(offset_text, "offset"), hexadecimal(length_text, "length")
    document = _OBJECTS[parts[1]](session, parts[3])
    if offset > len(document):
        raise CommandError(INVALID, "the offset is beyond the end")
    piece = document[offset : offset + min(length, _PIECE)]
    more = offset + len(piece) < len(document)
    return (b"m" if more else b"l") + escape(piece)
