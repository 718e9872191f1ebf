"""Registers: g G p P. Values are little-endian hexadecimal, as wide as target.xml says."""

from __future__ import annotations

from binascii import hexlify
from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import hexadecimal, hexbytes, two
from otoriscv.gdbstub.commands.lldb import split_thread
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.description import PC
from otoriscv.gdbstub.errors import INVALID, CommandError

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session
    from otoriscv.gdbstub.target import RegisterInfo

__all__: list[str] = []

_GENERAL = range(PC + 1)  # x0-x31 and pc; the client asks for others one by one, when it shows them


@packet("g")
def read_general(session: Session, arguments: bytes) -> bytes:
    """The integer registers and pc."""
    _, hart = split_thread(session, arguments)
    return hexlify(session.target.general_registers(hart))


@packet("G", access=Access.CHANGE)
def write_general(session: Session, arguments: bytes) -> bytes:
    """The inverse of ``g``."""
    arguments, hart = split_thread(session, arguments)
    size = session.target.xlen // 8
    data = hexbytes(arguments)
    if len(data) != size * len(_GENERAL):
        raise CommandError(INVALID, f"G takes {size * len(_GENERAL)} bytes, not {len(data)}")
    for number in _GENERAL:
        value = int.from_bytes(data[number * size : (number + 1) * size], "little")
        session.target.write_register(hart, number, value)
    return b"OK"


@packet("p")
def read_one(session: Session, arguments: bytes) -> bytes:
    """One register."""
    arguments, hart = split_thread(session, arguments)
    register = _register(session, arguments)
    value = session.target.read_register(hart, register.number)
    return value.to_bytes((register.bits + 7) // 8, "little").hex().encode()


@packet("P", access=Access.CHANGE)
def write_one(session: Session, arguments: bytes) -> bytes:
    """``Pn=value``."""
    arguments, hart = split_thread(session, arguments)
    number, text = two(arguments, b"=")
    register = _register(session, number)
    data = hexbytes(text)
    if len(data) != (register.bits + 7) // 8:
        raise CommandError(INVALID, f"{register.name} has {register.bits} bits")
    try:
        session.target.write_register(hart, register.number, int.from_bytes(data, "little"))
    except ValueError as error:
        raise CommandError(INVALID, str(error)) from None
    return b"OK"


def _register(session: Session, text: bytes) -> RegisterInfo:
    number = hexadecimal(text, "register number")
    register = session.registers.get(number)
    if register is None:
        raise CommandError(INVALID, f"there is no register {number}")
    return register
