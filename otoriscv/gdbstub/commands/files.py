"""Which program the guest is: the exec-file object of qXfer, and vFile.

gdb started without a file asks for one, and warns unless it can open the answer itself: a path
that it takes for absolute goes through slow file transfers, with another warning. A client on this
computer therefore gets a relative path that leads to the root from wherever gdb was started, and so
has the guest's symbols at once. A machine that holds no ELF file is given an empty one.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import struct
import tempfile
from functools import cache
from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.table import packet

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["executable_path"]

_TO_ROOT = "../" * 64  # "/.." is "/"
_EM_RISCV = 243


def executable_path(session: Session) -> bytes:
    """The path for a client on this computer."""
    path = session.target.executable
    if path is None or not os.path.isfile(path):
        path = _empty_program(session.target.xlen)
    return (_TO_ROOT + os.path.abspath(path).lstrip("/")).encode("utf-8", "surrogateescape")


@packet("vFile", needs_machine=False)
def file_operation(session: Session, arguments: bytes) -> bytes:
    """Files of the machine's side: there are none, said so that gdb does not look further."""
    if arguments.startswith(b":setfs:"):
        return b"F0"
    return b"F-1,2" if arguments.startswith(b":open:") else b""


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
