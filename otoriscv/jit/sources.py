"""What compiled code depends on: the names of cached code have a hash of it."""

from __future__ import annotations

import hashlib
import os
import sys
import time
from functools import cache
from pathlib import Path

from otoriscv.core.isa_table import TABLE, Row
from otoriscv.core.policy import CallPolicy
from otoriscv.core.sem import Sem
from otoriscv.core.uop import text

__all__ = ["settled", "source_key"]


def source_key() -> str:
    """Everything generated code depends on: our own sources, added rows, and the host's CPU."""
    return _key(len(TABLE.added))


def settled() -> bool:
    """Whether the sources are what this process has loaded: none was edited since it started."""
    # field 22 of stat: clock ticks after boot at which the process started
    ticks = int(Path("/proc/self/stat").read_text().rpartition(")")[2].split()[19])
    uptime = float(Path("/proc/uptime").read_text().split()[0])
    started = time.time() - uptime + ticks / os.sysconf("SC_CLK_TCK")
    return all(os.stat(path).st_mtime < started for path in _sources())


@cache
def _sources() -> tuple[str, ...]:
    root = Path(__file__).parents[1]
    folders = ("core", "jit/llvm", "jit/interp")
    found = [path for folder in folders for path in sorted((root / folder).rglob("*.py"))]
    return *map(str, found), str(root / "jit" / "regions.py")


@cache
def _key(added: int) -> str:
    """`source_key`, when so many rows were added."""
    h = hashlib.sha256(_given())
    for row in TABLE.added:
        h.update(f"{row.name} {row.pattern} {row.ext} {row.xlens} {row.expands}".encode())
        if row.semantics is not None:
            for xlen in row.xlens:
                h.update(_meaning(row, xlen).encode())
    return h.hexdigest()


@cache
def _given() -> bytes:
    """The same, without added rows."""
    h = hashlib.sha256(f"{_cpu()} {sys.version_info[:2]}".encode())
    for path in _sources():
        with open(path, "rb", buffering=0) as file:
            h.update(file.readall())
    return h.digest()


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
        return os.uname().machine
    return "\n".join(dict.fromkeys(x for x in lines if x.startswith(wanted)))
