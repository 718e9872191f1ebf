"""The compiled interpreter: built once per content, cached on disk, then loaded without LLVM."""

from __future__ import annotations

import ctypes
import json
import os
import sys
from collections.abc import Callable

from otoriscv.core.isa_table import TABLE
from otoriscv.core.layout import LIBRARY_ROUTINES
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.engine import EngineUnavailable
from otoriscv.jit.llvm.compile import Blob, compile_module
from otoriscv.jit.llvm.memory import CodeMemory
from otoriscv.jit.sources import settled, source_key

__all__ = ["Library", "library"]


class Library:
    """The interpreter of one XLEN in executable memory, with its handler tables."""

    def __init__(self, blob: Blob, names: list[str], *, cached: bool) -> None:
        self.cached = cached  #: it was on disk, not built
        self._memory = CodeMemory(blob.code)
        addresses = [self._memory.address + blob.symbols[n] for n in names]
        exact = self._memory.address + blob.symbols["exact"]
        self.addresses = addresses  #: of the handlers, by number
        #: Of the routines that other native code calls.
        self.routines = {
            name: self._memory.address + blob.symbols[name] for name in LIBRARY_ROUTINES
        }
        self.exact = exact  #: of the handler that tests the budget first
        self._tables = (ctypes.c_uint64 * (2 * len(names)))(*addresses, *[exact] * len(names))
        self.table = ctypes.addressof(self._tables)
        self.exact_table = self.table + 8 * len(names)
        self.enter: Callable[[int, int], None] = self._memory.function(
            blob.symbols["enter"], ctypes.c_void_p, ctypes.c_void_p
        )
        #: The routine of that name: (hart's address, arena's address, word, page offset, entry).
        self.decode_entry: Callable[[int, int, int, int, int], None] = self._memory.function(
            blob.symbols["decode_entry"], ctypes.c_void_p, ctypes.c_void_p, *[ctypes.c_uint64] * 3
        )
        self._symbols = blob.symbols

    def routine(self, name: str) -> Callable[..., int]:
        """A routine as a function: (hart's address, arena's address, parameters)."""
        from otoriscv.core.architecture import ROUTINES  # only for what the python engine steps

        return self._memory.function(
            self._symbols[name],
            *(ctypes.c_void_p, ctypes.c_void_p),
            *[ctypes.c_uint64] * ROUTINES[name].params,
            result=ctypes.c_uint64,
        )


def library(xlen: int, store: DiskCache) -> Library:
    """The interpreter for an XLEN and the instructions known now; one per process."""
    key = xlen, len(TABLE.added)
    if key not in _LIBRARIES:
        _LIBRARIES[key] = _make(xlen, store)
    return _LIBRARIES[key]


_LIBRARIES: dict[tuple[int, int], Library] = {}


def _make(xlen: int, store: DiskCache) -> Library:
    if sys.platform != "linux" or os.uname().machine not in ("x86_64", "aarch64"):
        raise EngineUnavailable(
            f"the native engines are built for Linux on x86-64 and aarch64, not "
            f"{sys.platform} on {os.uname().machine}"
        )
    key = f"interp{xlen}-{source_key()}"
    data = store.get(key) if settled() else None
    if data is not None:
        blob, names = _unpack(data)
    else:
        from otoriscv.jit.interp.build import handler_names, module_text

        names = handler_names(xlen)
        blob = compile_module(module_text(xlen))
        if settled():
            store.put(key, _pack(blob, names))
    return Library(blob, names, cached=data is not None)


def _pack(blob: Blob, names: list[str]) -> bytes:
    head = json.dumps({"names": names, "symbols": blob.symbols}).encode()
    return len(head).to_bytes(8, "little") + head + blob.code


def _unpack(data: bytes) -> tuple[Blob, list[str]]:
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    return Blob(data[8 + size :], head["symbols"]), head["names"]
