"""Reading the arguments of packets. Whatever is malformed raises `CommandError`."""

from __future__ import annotations

import re

from otoriscv.gdbstub.errors import INVALID, NO_THREAD, CommandError

__all__ = ["address", "hart", "hexadecimal", "hexbytes", "thread", "two"]

_HEX = re.compile(rb"[0-9a-fA-F]{1,16}")
_HEX_BYTES = re.compile(rb"(?:[0-9a-fA-F]{2})*")


def hexadecimal(text: bytes, what: str = "number") -> int:
    """An unsigned number of at most 64 bits."""
    if _HEX.fullmatch(text) is None:
        raise CommandError(INVALID, f"bad {what}")
    return int(text, 16)


def hexbytes(text: bytes) -> bytes:
    """Bytes written as pairs of digits."""
    if _HEX_BYTES.fullmatch(text) is None:
        raise CommandError(INVALID, "bad hexadecimal data")
    return bytes.fromhex(text.decode())


def two(text: bytes, separator: bytes = b",") -> tuple[bytes, bytes]:
    """The parts before and behind the first *separator*."""
    before, found, behind = text.partition(separator)
    if not found:
        raise CommandError(INVALID, "an argument is missing")
    return before, behind


def address(text: bytes, mask: int) -> int:
    """A guest address, of as many bits as *mask*. A client may sign-extend a 32-bit one."""
    value = hexadecimal(text, "address")
    if value > mask:
        if value | mask != 0xFFFF_FFFF_FFFF_FFFF or not value & ((mask >> 1) + 1):
            raise CommandError(INVALID, "the address is wider than the machine's")
        value &= mask
    return value


def thread(text: bytes) -> int:
    """A thread id: -1 all, 0 any, or hart index + 1. A process part is accepted."""
    if text.startswith(b"p"):
        process, dot, rest = text[1:].partition(b".")
        if process not in (b"1", b"0", b"-1"):
            raise CommandError(NO_THREAD, "there is only one process")
        text = rest if dot else b"-1"
    if text == b"-1":
        return -1
    return hexadecimal(text, "thread id")


def hart(text: bytes, harts: int) -> int | None:
    """The hart index of a thread id, below *harts*; None for "all" and "any"."""
    number = thread(text)
    if number <= 0:
        return None
    if number > harts:
        raise CommandError(NO_THREAD, f"there is no thread {number:x}")
    return number - 1
