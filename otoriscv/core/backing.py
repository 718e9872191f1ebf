"""Guest memory as a file in memory, so that its content can be frozen without copying it (Linux).

The file is mapped shared until `Backing.freeze`, then privately: the host copies what is written
from then on page by page, and the file keeps what was there (mmap(2), memfd_create(2)).
"""

from __future__ import annotations

import ctypes
import mmap
import os
import sys
import weakref
from collections.abc import Iterator
from typing import Final

__all__ = ["Backing", "Frozen"]

_READ_WRITE: Final = 3
_SHARED: Final = 0x01
_PRIVATE: Final = 0x02
_FIXED: Final = 0x10
_NORESERVE: Final = 0x4000
_FAILED: Final = ctypes.c_void_p(-1).value


class Frozen:
    """*size* bytes that do not change any more."""

    def __init__(self, file: int, size: int) -> None:
        self._file, self._size = file, size
        weakref.finalize(self, os.close, file)
        self.view = memoryview(mmap.mmap(file, size, mmap.MAP_SHARED, mmap.PROT_READ))

    def extents(self) -> Iterator[tuple[int, int]]:
        """(start, end) of the parts that may hold something else than zeros."""
        end = 0
        while True:
            try:
                start = os.lseek(self._file, end, os.SEEK_DATA)
            except OSError:  # ENXIO: there is nothing more
                return
            end = os.lseek(self._file, start, os.SEEK_HOLE)
            yield start, end


class Backing:
    """Maps *size* bytes of zeros at the host *address*, inside a mapping that is there already.

    OSError when the host has no files in memory, or *size* is not whole pages of the host.
    """

    def __init__(self, address: int, size: int) -> None:
        self._file = -1
        if sys.platform != "linux" or size % mmap.PAGESIZE:
            raise OSError("no files in memory")
        self._address, self._size = address, size
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._libc.mmap.restype = ctypes.c_void_p
        self._libc.mmap.argtypes = [
            *(ctypes.c_void_p, ctypes.c_size_t),
            *(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_long),
        ]
        self.clear()
        _SHARED_ONES.add(self)

    def clear(self) -> None:
        """All zeros again, and able to be frozen."""
        file = os.memfd_create("otoriscv", os.MFD_CLOEXEC)
        try:
            os.ftruncate(file, self._size)
            self._map(file, _SHARED)
        except BaseException:
            os.close(file)
            raise
        self.close()
        self._file = file

    def freeze(self) -> Frozen | None:
        """What is there now, kept; None when that was done before: then only copying helps."""
        if self._file < 0:
            return None
        self._map(self._file, _PRIVATE)
        file, self._file = self._file, -1
        return Frozen(file, self._size)

    def close(self) -> None:
        """Forget the file; the mapping stays."""
        if self._file >= 0:
            os.close(self._file)
            self._file = -1

    def _map(self, file: int, kind: int) -> None:
        flags = kind | _FIXED | _NORESERVE
        at = self._libc.mmap(self._address, self._size, _READ_WRITE, flags, file, 0)
        if at == _FAILED:
            raise OSError(ctypes.get_errno(), "mmap")

    def __del__(self) -> None:
        self.close()


_SHARED_ONES: Final[weakref.WeakSet[Backing]] = weakref.WeakSet()


def _before_fork() -> None:
    """A child process gets copies, as of any other memory."""
    for backing in list(_SHARED_ONES):
        backing.freeze()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork)
