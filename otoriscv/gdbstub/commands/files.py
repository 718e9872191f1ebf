"""Which program the guest is: the exec-file object of qXfer, and vFile.

gdb started without a file asks for one, and warns unless it can open the answer itself: a path
that it takes for absolute goes through slow file transfers, with another warning. A client on this
computer therefore gets a relative path that leads to the root from wherever gdb was started, and so
has the guest's symbols at once. A machine that holds no ELF file is given an empty one. Other
clients read the file through vFile, which knows this one file only.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import struct
import tempfile
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import hexadecimal, hexbytes
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.packets import MAX_PACKET, escape

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["executable_path"]

_TO_ROOT = "../" * 64  # "/.." is "/"
_EM_RISCV = 243
_DESCRIPTOR = 3
_PIECE = MAX_PACKET // 2 - 32  # every byte may need an escape
_EIO = 5
_NO_FILE, _BAD_DESCRIPTOR, _READ_ONLY = b"F-1,2", b"F-1,9", b"F-1,1e"


def executable_path(session: Session) -> bytes:
    """The path, for a client on this computer relative to where it is."""
    if not session.local:
        return _image(session).encode("utf-8", "surrogateescape")
    path = session.target.executable
    if path is None or not os.path.isfile(path):
        path = _empty_program(session.target.xlen)
    return (_TO_ROOT + os.path.abspath(path).lstrip("/")).encode("utf-8", "surrogateescape")


@packet("vFile", access=Access.NONE, detached=True)
def file_operation(session: Session, arguments: bytes) -> bytes:
    """``vFile:operation:...``: files of the machine's side. There is one, to be read."""
    operation, _, rest = arguments.removeprefix(b":").partition(b":")
    handler = _OPERATIONS.get(operation)
    return b"" if handler is None else handler(session, rest)


def _open(session: Session, arguments: bytes) -> bytes:
    name, flags, *_ = (*arguments.split(b","), b"")
    wanted = hexbytes(name) if len(name) % 2 == 0 else b""
    if not wanted or wanted != _image(session).encode("utf-8", "surrogateescape"):
        return _NO_FILE
    if flags.strip(b"0"):
        return _READ_ONLY
    return b"F%x" % _DESCRIPTOR


def _pread(session: Session, arguments: bytes) -> bytes:
    number, length_text, offset_text = (*arguments.split(b","), b"", b"")[:3]
    length = min(hexadecimal(length_text, "length"), _PIECE)
    offset = hexadecimal(offset_text, "offset")
    try:
        if hexadecimal(number, "descriptor") != _DESCRIPTOR:
            return _BAD_DESCRIPTOR
        with open(_image(session), "rb") as file:
            file.seek(min(offset, 1 << 62))
            data = file.read(length)
    except OSError as error:
        return b"F-1,%x" % (error.errno or _EIO)
    return b"F%x;" % len(data) + escape(data)


def _fstat(session: Session, arguments: bytes) -> bytes:
    """dev, ino, mode, nlink, uid, gid, rdev, size, blksize, blocks, atime, mtime, ctime."""
    try:
        status = os.stat(_image(session))
    except OSError as error:
        return b"F-1,%x" % (error.errno or _EIO)
    size, when = status.st_size, int(status.st_mtime) & 0xFFFF_FFFF
    data = struct.pack(
        ">7I3Q3I", 1, 1, 0o100444, 1, 0, 0, 0, size, 4096, (size + 511) // 512, when, when, when
    )
    return b"F%x;" % len(data) + escape(data)


def _image(session: Session) -> str:
    path = session.target.executable
    return os.path.abspath(path) if path is not None and os.path.isfile(path) else ""


_OPERATIONS: dict[bytes, Callable[[Session, bytes], bytes]] = {
    b"setfs": lambda session, arguments: b"F0",
    b"open": _open,
    b"pread": _pread,
    b"fstat": _fstat,
    b"close": lambda session, arguments: b"F0",
    b"pwrite": lambda session, arguments: _READ_ONLY,
    b"unlink": lambda session, arguments: _READ_ONLY,
    b"readlink": lambda session, arguments: _NO_FILE,
}


@cache
def _empty_program(xlen: int) -> str:
    """A file with nothing but an ELF header, removed when the process ends."""
    ident = b"\x7fELF" + bytes((1 if xlen == 32 else 2, 1, 1)) + bytes(9)
    addresses, size = ("III", 52) if xlen == 32 else ("QQQ", 64)
    header = struct.pack(
        f"<HHI{addresses}IHHHHHH", 2, _EM_RISCV, 1, 0, 0, 0, 0, size, 0, 0, 0, 0, 0
    )
    descriptor, path = tempfile.mkstemp(prefix=f"otoriscv-rv{xlen}-", suffix=".elf")
    with os.fdopen(descriptor, "wb") as file:
        file.write(ident + header)
    atexit.register(_remove, path)
    return path


def _remove(path: str) -> None:
    with contextlib.suppress(OSError):
        os.unlink(path)
