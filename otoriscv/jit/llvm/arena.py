"""The code arena: one mapping to write through, another to run from, and a free list."""

from __future__ import annotations

import ctypes
import mmap
import os
from bisect import insort
from typing import Final

from otoriscv.jit.engine import EngineUnavailable

__all__ = ["CodeArena"]

_ALIGN: Final = 64


class CodeArena:
    """Executable memory for regions; `put` and `free` never make a page writable and executable."""

    def __init__(self, size: int = 64 << 20) -> None:
        self.size = size
        try:
            handle = os.memfd_create("otoriscv-code", os.MFD_CLOEXEC)
        except OSError as e:
            raise EngineUnavailable(f"no memory for compiled code: {e.strerror}") from e
        try:
            os.ftruncate(handle, size)
            self._write = mmap.mmap(handle, size, prot=mmap.PROT_READ | mmap.PROT_WRITE)
            libc = ctypes.CDLL(None, use_errno=True)
            libc.mmap.restype = ctypes.c_void_p
            libc.mmap.argtypes = (
                ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int, ctypes.c_int, ctypes.c_int,
                ctypes.c_long,
            )  # fmt: skip
            run = libc.mmap(None, size, mmap.PROT_READ | mmap.PROT_EXEC, mmap.MAP_SHARED, handle, 0)
        finally:
            os.close(handle)
        if run in (None, ctypes.c_void_p(-1).value):
            raise EngineUnavailable("this system does not let generated code be executed")
        self.address: int = run
        self._libc = libc
        self._free: list[tuple[int, int]] = [(0, size)]  # (offset, size), by offset
        self._sizes: dict[int, int] = {}

    @property
    def used(self) -> int:
        """Bytes in use."""
        return sum(self._sizes.values())

    def put(self, code: bytes) -> int | None:
        """The host address of a copy of *code*; None when there is no room."""
        need = -(-len(code) // _ALIGN) * _ALIGN
        for n, (offset, size) in enumerate(self._free):
            if size >= need:
                if size == need:
                    del self._free[n]
                else:
                    self._free[n] = offset + need, size - need
                self._write[offset : offset + len(code)] = code
                self._sizes[offset] = need
                return self.address + offset
        return None

    def free(self, address: int) -> None:
        """Give back what `put` returned; no hart may be in it."""
        offset = address - self.address
        insort(self._free, (offset, self._sizes.pop(offset)))
        merged: list[tuple[int, int]] = []
        for at, size in self._free:
            if merged and sum(merged[-1]) == at:
                merged[-1] = merged[-1][0], merged[-1][1] + size
            else:
                merged.append((at, size))
        self._free = merged

    def close(self) -> None:
        """Unmap both views."""
        self._write.close()
        munmap = self._libc.munmap
        munmap.argtypes = (ctypes.c_void_p, ctypes.c_size_t)
        munmap(self.address, self.size)
