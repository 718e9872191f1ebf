"""RISC-V semihosting (RISC-V Semihosting 1.0; operations: Arm "Semihosting for AArch32 and
AArch64", release 2.0).

A call is ``slli x0,x0,0x1f; ebreak; srai x0,x0,7``, all uncompressed. a0 holds the operation, a1
the address of a block of XLEN-bit fields (or a value), and the result comes back in a0.

The guest gets the console (``:tt``), its command line and exit. Files exist only inside a
directory the user named: names are resolved below it, ``..``, absolute names and symbolic links
cannot leave it, and nothing but regular files is opened. ``SYS_SYSTEM`` never runs anything.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable
from typing import Any, Final

from otoriscv.devices.exits import GuestExit
from otoriscv.devices.protocols import MEMORY_FAULTS, Nanoseconds
from otoriscv.devices.semihost_files import (
    Console,
    Features,
    File,
    HostDirectory,
    HostFile,
    NotReady,
)

__all__ = ["NotReady", "Semihosting"]

_BEFORE: Final = 0x01F0_1013  # slli x0, x0, 0x1f
_EBREAK: Final = 0x0010_0073
_AFTER: Final = 0x4070_5013  # srai x0, x0, 7
_APPLICATION_EXIT: Final = 0x20026  # ADP_Stopped_ApplicationExit
_MAX_NAME: Final = 4096
_CHUNK: Final = 1 << 16
_MAX_HANDLES: Final = 256
_TICK_HZ: Final = 1_000_000_000
#: fopen modes 0-11 in the order of SYS_OPEN's table; "b" makes no difference here.
_MODES: Final = ("r", "r", "r+", "r+", "w", "w", "w+", "w+", "a", "a", "a+", "a+")


class _Failed(Exception):
    """The operation fails with this errno."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Semihosting:
    """One guest's semihosting.

    *memory_read(address, length)* and *memory_write(address, data)* may raise `BusFault` or
    `MemoryHole`; the guest then sees EFAULT. *console_in(limit)* returns up to *limit* bytes, b""
    at the end of the input, None while there is none. *clock* counts nanoseconds since power-on,
    *wall* since the Unix epoch. *heapinfo* is HEAPINFO's block: heap base and limit, stack base
    and limit.
    """

    def __init__(
        self,
        memory_read: Callable[[int, int], bytes],
        memory_write: Callable[[int, bytes], None],
        console_out: Callable[[bytes], None],
        console_in: Callable[[int], bytes | None],
        clock: Nanoseconds,
        cmdline: str = "",
        directory: str | os.PathLike[str] | None = None,
        *,
        wall: Nanoseconds | None = None,
        heapinfo: tuple[int, int, int, int] = (0, 0, 0, 0),
    ) -> None:
        self._memory_read = memory_read
        self._memory_write = memory_write
        self._out = console_out
        self._in = console_in
        self._clock = clock
        self._wall = wall or clock
        self._cmdline = os.fsencode(cmdline)
        self._directory = None if directory is None else HostDirectory(directory)
        self._heapinfo = heapinfo
        self._handles: dict[int, File] = {}
        self._errno = 0
        self._xlen = 64

    def reset(self) -> None:
        """Close everything the guest opened."""
        for file in self._handles.values():
            file.close()
        self._handles.clear()
        self._errno = 0

    @property
    def files_open(self) -> bool:
        """Whether the guest has a file of the host open: no snapshot can hold that."""
        return any(isinstance(file, HostFile) for file in self._handles.values())

    def save(self) -> dict[str, Any]:
        """The open handles, for a snapshot."""
        handles = [
            [handle, "features", file.position]
            if isinstance(file, Features)
            else [handle, "console", isinstance(file, Console) and file.reads]
            for handle, file in self._handles.items()
        ]
        return {"errno": self._errno, "handles": handles}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self.reset()
        self._errno = state["errno"]
        for handle, kind, detail in state["handles"]:
            if kind == "console":
                self._handles[handle] = Console(self._out, self._in, reads=detail)
            else:
                self._handles[handle] = Features(detail)

    def is_call(self, read: Callable[[int, int], bytes], pc: int) -> bool:
        """True when the ebreak at *pc* is a call. *read* reads code, or raises likewise."""
        try:
            code = read(pc - 4, 12)
        except MEMORY_FAULTS:
            return False
        words = (_BEFORE, _EBREAK, _AFTER)
        return code == b"".join(w.to_bytes(4, "little") for w in words)

    def call(self, op: int, param: int, xlen: int) -> int:
        """Do operation *op*; the result for a0, as an unsigned XLEN-bit number.

        Raises `GuestExit`; and `NotReady` when the call waits for console input: nothing has
        happened then, and the machine leaves pc at the ebreak and calls again later.
        """
        self._xlen = xlen
        mask = (1 << xlen) - 1
        operation = self._OPERATIONS.get(op)
        if operation is None:
            self._errno = errno.ENOSYS
            return mask
        try:
            return operation(self, param) & mask
        except _Failed as failed:
            self._errno = failed.number
        except MEMORY_FAULTS:
            self._errno = errno.EFAULT
        except OSError as error:
            self._errno = error.errno or errno.EIO
        return mask

    # -- the parameter block ---------------------------------------------------------------

    def _fields(self, block: int, count: int) -> list[int]:
        size = self._xlen // 8
        raw = self._memory_read(block, count * size)
        return [int.from_bytes(raw[i : i + size], "little") for i in range(0, len(raw), size)]

    def _field(self, block: int) -> int:
        return self._fields(block, 1)[0]

    def _put(self, block: int, *values: int) -> None:
        size = self._xlen // 8
        mask = (1 << self._xlen) - 1
        self._memory_write(block, b"".join((v & mask).to_bytes(size, "little") for v in values))

    def _file(self, handle: int) -> File:
        try:
            return self._handles[handle]
        except KeyError:
            raise _Failed(errno.EBADF) from None

    def _files(self) -> HostDirectory:
        if self._directory is None:
            raise _Failed(errno.EACCES)
        return self._directory

    def _name(self, address: int, length: int) -> str:
        if length > _MAX_NAME:
            raise _Failed(errno.ENAMETOOLONG)
        raw = self._memory_read(address, length)
        if b"\0" in raw:
            raise _Failed(errno.EINVAL)
        return os.fsdecode(raw)

    # -- operations, by number -------------------------------------------------------------

    def _open(self, block: int) -> int:
        address, mode_number, length = self._fields(block, 3)
        if mode_number >= len(_MODES):
            raise _Failed(errno.EINVAL)
        if len(self._handles) >= _MAX_HANDLES:
            raise _Failed(errno.EMFILE)
        name, mode = self._name(address, length), _MODES[mode_number]
        file: File
        if name == ":tt":
            file = Console(self._out, self._in, reads=mode_number < 4)
        elif name == ":semihosting-features":
            if mode != "r":
                raise _Failed(errno.EACCES)
            file = Features()
        else:
            file = HostFile(self._files().open(name, mode), mode)
        handle = next(h for h in range(1, _MAX_HANDLES + 1) if h not in self._handles)
        self._handles[handle] = file
        return handle

    def _close(self, block: int) -> int:
        handle = self._field(block)
        self._file(handle).close()
        del self._handles[handle]
        return 0

    def _writec(self, address: int) -> int:
        self._out(self._memory_read(address, 1))
        return 0

    def _write0(self, address: int) -> int:
        while True:  # up to the next multiple of 64, so as not to read behind the last page
            part = self._memory_read(address, 64 - address % 64)
            text, end, _ = part.partition(b"\0")
            self._out(text)
            if end:
                return 0
            address += len(part)

    def _write(self, block: int) -> int:
        """The number of bytes *not* written."""
        handle, address, length = self._fields(block, 3)
        file = self._file(handle)
        while length:
            done = file.write(self._memory_read(address, min(length, _CHUNK)))
            if not done:
                break
            address, length = address + done, length - done
        return length

    def _read(self, block: int) -> int:
        """The number of bytes *not* read: all of them at the end of the file."""
        handle, address, length = self._fields(block, 3)
        file = self._file(handle)
        while length:
            asked = min(length, _CHUNK)
            data = file.read(asked)
            self._memory_write(address, data)
            address, length = address + len(data), length - len(data)
            if len(data) < asked or file.tty:
                break
        return length

    def _readc(self, _: int) -> int:
        data = self._in(1)
        if data is None:
            raise NotReady
        return data[0] if data else -1

    def _iserror(self, block: int) -> int:
        return self._field(block) >> self._xlen - 1

    def _istty(self, block: int) -> int:
        return int(self._file(self._field(block)).tty)

    def _seek(self, block: int) -> int:
        handle, position = self._fields(block, 2)
        self._file(handle).seek(position)
        return 0

    def _flen(self, block: int) -> int:
        return self._file(self._field(block)).length()

    def _tmpnam(self, block: int) -> int:
        address, number, length = self._fields(block, 3)
        name = os.fsencode(self._files().temporary(number & 0xFF)) + b"\0"
        if len(name) > length:
            raise _Failed(errno.ENAMETOOLONG)
        self._memory_write(address, name)
        return 0

    def _remove(self, block: int) -> int:
        self._files().remove(self._name(*self._fields(block, 2)))
        return 0

    def _rename(self, block: int) -> int:
        old, old_length, new, new_length = self._fields(block, 4)
        self._files().rename(self._name(old, old_length), self._name(new, new_length))
        return 0

    def _centiseconds(self, _: int) -> int:
        return self._clock() // 10_000_000

    def _seconds(self, _: int) -> int:
        return self._wall() // 1_000_000_000

    def _system(self, _: int) -> int:
        raise _Failed(errno.ENOSYS)

    def _get_errno(self, _: int) -> int:
        return self._errno

    def _get_cmdline(self, block: int) -> int:
        address, length = self._fields(block, 2)
        if len(self._cmdline) >= length:
            raise _Failed(errno.E2BIG)
        self._memory_write(address, self._cmdline + b"\0")
        self._put(block, address, len(self._cmdline))
        return 0

    def _get_heapinfo(self, block: int) -> int:
        self._put(self._field(block), *self._heapinfo)
        return 0

    def _exit(self, param: int) -> int:
        """On RV32 the parameter is the reason itself, on RV64 a block (section 5.9)."""
        if self._xlen == 32:
            raise GuestExit(0 if param == _APPLICATION_EXIT else 1, "semihosting")
        return self._exit_extended(param)

    def _exit_extended(self, block: int) -> int:
        reason, code = self._fields(block, 2)
        # The subcode is a C int: negative codes end as a shell would show them.
        raise GuestExit(code & 0xFFFF_FFFF if reason == _APPLICATION_EXIT else 1, "semihosting")

    def _elapsed(self, block: int) -> int:
        self._memory_write(block, (self._clock() & (1 << 64) - 1).to_bytes(8, "little"))
        return 0

    def _tickfreq(self, _: int) -> int:
        return _TICK_HZ

    _OPERATIONS: Final[dict[int, Callable[[Semihosting, int], int]]] = {
        0x01: _open,
        0x02: _close,
        0x03: _writec,
        0x04: _write0,
        0x05: _write,
        0x06: _read,
        0x07: _readc,
        0x08: _iserror,
        0x09: _istty,
        0x0A: _seek,
        0x0C: _flen,
        0x0D: _tmpnam,
        0x0E: _remove,
        0x0F: _rename,
        0x10: _centiseconds,
        0x11: _seconds,
        0x12: _system,
        0x13: _get_errno,
        0x15: _get_cmdline,
        0x16: _get_heapinfo,
        0x18: _exit,
        0x20: _exit_extended,
        0x30: _elapsed,
        0x31: _tickfreq,
    }
