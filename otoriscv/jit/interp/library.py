"""The compiled interpreter: built once per content, cached on disk, then loaded without LLVM."""

from __future__ import annotations

import ctypes
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable
from pathlib import Path

from otoriscv.core.architecture import ROUTINES, TABLE
from otoriscv.core.isa.sem import Sem
from otoriscv.core.isa.table import Row
from otoriscv.core.layout import LIBRARY_ROUTINES
from otoriscv.core.policy import CallPolicy
from otoriscv.core.uop import text
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.engine import EngineUnavailable
from otoriscv.jit.llvm.compile import Blob, compile_module
from otoriscv.jit.llvm.memory import CodeMemory
from otoriscv.jit.python.engine import STEP_ROUTINES

__all__ = ["Library", "library", "source_key"]


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
        #: What the python engine's steps call, by name: (hart's address, arena's address,
        #: parameters).
        self.step_routines: dict[str, Callable[..., int]] = {
            name: self._memory.function(
                blob.symbols[name],
                *(ctypes.c_void_p, ctypes.c_void_p),
                *[ctypes.c_uint64] * ROUTINES[name].params,
                result=ctypes.c_uint64,
            )
            for name in STEP_ROUTINES
        }


def library(xlen: int, store: DiskCache) -> Library:
    """The interpreter for an XLEN and the instructions known now; one per process."""
    key = xlen, len(TABLE.rows)
    if key not in _LIBRARIES:
        _LIBRARIES[key] = _make(xlen, store)
    return _LIBRARIES[key]


_LIBRARIES: dict[tuple[int, int], Library] = {}


def _make(xlen: int, store: DiskCache) -> Library:
    if sys.platform != "linux" or platform.machine() not in ("x86_64", "aarch64"):
        raise EngineUnavailable(
            f"the native engines are built for Linux on x86-64 and aarch64, not "
            f"{sys.platform} on {platform.machine()}"
        )
    key = f"interp{xlen}-{source_key()}"
    data = store.get(key) if _settled() else None
    if data is not None:
        blob, names = _unpack(data)
    else:
        from otoriscv.jit.interp.build import handler_names, module_text

        names = handler_names(xlen)
        blob = compile_module(module_text(xlen))
        if _settled():
            store.put(key, _pack(blob, names))
    return Library(blob, names, cached=data is not None)


def _sources() -> list[Path]:
    root = Path(__file__).parents[2]
    folders = ("core", "jit/llvm", "jit/interp")
    found = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    return [*found, root / "jit" / "regions.py"]


def _settled() -> bool:
    """Whether the sources are what this process has loaded: none was edited since it started."""
    # field 22 of stat: clock ticks after boot at which the process started
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    started = time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
    return all(path.stat().st_mtime < started for path in _sources())


def source_key() -> str:
    """Everything generated code depends on: our own sources, added rows, and the host's CPU."""
    h = hashlib.sha256(f"{_cpu()} {sys.version_info[:2]}".encode())
    for path in _sources():
        h.update(path.read_bytes())
    for row in TABLE.rows:
        if row.semantics is not None and not row.semantics.__module__.startswith("otoriscv."):
            h.update(f"{row.name} {row.pattern} {row.ext} {row.expands}".encode())
            for xlen in row.xlens:
                h.update(_meaning(row, xlen).encode())
    return h.hexdigest()


def _meaning(row: Row, xlen: int) -> str:
    """The micro-ops of a row added from outside, whatever its function reads."""
    sem = Sem(xlen, CallPolicy())
    sem.begin(row, row.length, frozenset(), None, None, None)
    assert row.semantics is not None
    row.semantics(sem)
    return text(sem.body)


def _cpu() -> str:
    """What identifies this CPU's instruction set."""
    wanted = ("model name", "flags", "Features", "CPU part")
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return "\n".join(dict.fromkeys(x for x in lines if x.startswith(wanted)))


def _pack(blob: Blob, names: list[str]) -> bytes:
    head = json.dumps({"names": names, "symbols": blob.symbols}).encode()
    return len(head).to_bytes(8, "little") + head + blob.code


def _unpack(data: bytes) -> tuple[Blob, list[str]]:
    size = int.from_bytes(data[:8], "little")
    head = json.loads(data[8 : 8 + size])
    return Blob(data[8 + size :], head["symbols"]), head["names"]
