"""Executable memory: written first, executable afterwards, never both at once."""

from __future__ import annotations

import ctypes
import mmap
from collections.abc import Callable
from typing import Any

__all__ = ["CodeMemory"]


class CodeMemory:
    """Holds one code blob for calling; freed with `close`."""

    def __init__(self, code: bytes) -> None:
        size = -(-len(code) // mmap.PAGESIZE) * mmap.PAGESIZE
        self._map = mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS)
        self._map[: len(code)] = code
        self._anchor = ctypes.c_char.from_buffer(self._map)
        self.address = ctypes.addressof(self._anchor)
        libc = ctypes.CDLL(None, use_errno=True)
        protect = libc.mprotect
        protect.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
        if protect(self.address, size, mmap.PROT_READ | mmap.PROT_EXEC):
            raise OSError(ctypes.get_errno(), "cannot make generated code executable")

    def function(
        self, offset: int, *arguments: type[Any], result: type[Any] | None = None
    ) -> Callable[..., Any]:
        """The C function at *offset*; calls release the GIL."""
        return ctypes.CFUNCTYPE(result, *arguments)(self.address + offset)

    def close(self) -> None:
        """Unmap; no function of it may run any more."""
        del self._anchor
        self._map.close()
