"""Berkeley host-target interface (riscv-isa-sim, fesvr/htif.cc, device.cc and syscall.cc).

``tohost`` and ``fromhost`` are 64-bit words of guest memory that an ELF names by symbols. They
stay plain RAM: nothing is mapped. The machine calls `Htif.poll` at each slice end *and* right
after a store into the eight bytes of ``tohost`` (it marks that line in the line map), so that the
guest ends at the very store that ends it.

A word written to ``tohost`` is ``device << 56 | command << 48 | payload``:

* device 0: an odd payload exits with ``payload >> 1``; an even one is the address of a proxied
  system call, eight 64-bit words ``{number, arguments...}``: write (64) and exit (93) are
  served, the others answer -ENOSYS. The result replaces the first word, then ``fromhost`` is 1.
* device 1: command 1 prints the byte, command 0 asks for one, which comes through ``fromhost``
  as ``0x100 | byte``.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otoriscv.devices.exits import GuestExit
from otoriscv.devices.protocols import MEMORY_FAULTS
from otoriscv.devices.state import Stateful

__all__ = ["Htif"]

_ALL: Final = (1 << 64) - 1
_PAYLOAD: Final = (1 << 48) - 1
_SYS_WRITE: Final = 64
_SYS_EXIT: Final = 93
_EBADF: Final = 9
_EFAULT: Final = 14
_ENOSYS: Final = 38
_MAX_WRITE: Final = 1 << 20
_GETCHAR: Final = 1 << 56


class Htif(Stateful):
    """Addresses are physical. *console_in()* gives one byte of input, or None while there is none.

    Memory is read and written through the callables given to `poll`; those may raise `BusFault` or
    `MemoryHole`.
    """

    STATE = ("_answers", "_getchars")

    def __init__(
        self,
        tohost: int,
        fromhost: int | None,
        console_out: Callable[[bytes], None],
        console_in: Callable[[], int | None] | None = None,
    ) -> None:
        self.tohost = tohost
        self.fromhost = fromhost
        self._out = console_out
        self._in = console_in
        self._answers: list[int] = []
        self._getchars = 0

    def reset(self) -> None:
        """Forget what is unanswered."""
        self._answers.clear()
        self._getchars = 0

    def poll(self, read_u64: Callable[[int], int], write_u64: Callable[[int, int], None]) -> None:
        """Serve what the guest asked for; raises `GuestExit` when it ends."""
        word = read_u64(self.tohost)
        if word:
            write_u64(self.tohost, 0)
            self._command(word, read_u64, write_u64)
        if self._getchars and self._in is not None:
            byte = self._in()
            if byte is not None:
                self._getchars -= 1
                self._answers.append(_GETCHAR | 0x100 | byte)
        if self._answers and self.fromhost is not None and read_u64(self.fromhost) == 0:
            write_u64(self.fromhost, self._answers.pop(0))

    def _command(
        self, word: int, read_u64: Callable[[int], int], write_u64: Callable[[int, int], None]
    ) -> None:
        device, command, payload = word >> 56, word >> 48 & 0xFF, word & _PAYLOAD
        if device == 0 and command == 0:
            if payload & 1:
                raise GuestExit(payload >> 1, "tohost")
            try:
                result = self._syscall(payload, read_u64)
                write_u64(payload, result & _ALL)
            except MEMORY_FAULTS:
                pass  # the block itself is not in memory: there is nowhere to answer
            self._answers.append(1)
        elif device == 1 and command == 1:
            self._out(bytes([payload & 0xFF]))
        elif device == 1 and command == 0:
            self._getchars += 1

    def _syscall(self, block: int, read_u64: Callable[[int], int]) -> int:
        number = read_u64(block)
        if number == _SYS_EXIT:
            raise GuestExit(read_u64(block + 8) & 0xFFFF_FFFF, "tohost exit call")
        if number != _SYS_WRITE:
            return -_ENOSYS
        fd, address, length = (read_u64(block + 8 * i) for i in (1, 2, 3))
        if fd not in (1, 2):
            return -_EBADF
        try:
            data = _read_bytes(address, min(length, _MAX_WRITE), read_u64)
        except MEMORY_FAULTS:
            return -_EFAULT
        self._out(data)
        return len(data)


def _read_bytes(address: int, length: int, read_u64: Callable[[int], int]) -> bytes:
    first = address & ~7
    words = (read_u64(a & _ALL) for a in range(first, address + length, 8))
    data = b"".join(w.to_bytes(8, "little") for w in words)
    return data[address - first :][:length]
