"""Folders of compiled code to measure with: cold ones with only the interpreter and the firmware in
them, warm ones with what earlier runs left."""

from __future__ import annotations

import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path
from typing import Final

__all__ = ["COLD", "SECOND", "WARM", "Caches", "settle"]

ROOT: Final = Path(__file__).resolve().parent.parent
COLD: Final = "llvm cold"
SECOND: Final = "llvm second"
WARM: Final = "llvm warm"
_BUILD: Final = (
    "import os, sys; os.environ['OTORISCV_CACHE_DIR'] = sys.argv[1];"
    "from otoriscv.board.virt import Isa, VirtConfig, VirtMachine;"
    "VirtMachine(VirtConfig(engine='interp', bios='builtin', isa=Isa.full(int(sys.argv[2]))))"
)
#: Seconds that `settle` waits at most.
_PATIENCE: Final = 120.0


def settle(folder: Path) -> None:
    """Wait until no process works for the cache any more: a run may leave something to compile,
    which is no part of the time of what is measured next."""
    wanted = f"OTORISCV_CACHE_DIR={folder}".encode()
    deadline = time.monotonic() + _PATIENCE
    while any(map(partial(_has, wanted), Path("/proc").glob("[0-9]*/environ"))):
        if time.monotonic() > deadline:
            return
        time.sleep(0.02)


def _has(wanted: bytes, environ: Path) -> bool:
    try:
        return wanted in environ.read_bytes().split(b"\0")
    except OSError:  # it has ended, or is not ours
        return False


class Caches:
    """The caches for one XLEN, in *folder*; making them builds the interpreter."""

    def __init__(self, folder: Path, xlen: int) -> None:
        self.interpreter = folder / "interpreter"  #: no compiled guest code is in it
        self._folder = folder
        self._made = 0
        self.interpreter.mkdir(mode=0o700, parents=True)
        command = [sys.executable, "-c", _BUILD, str(self.interpreter), str(xlen)]
        subprocess.run(command, cwd=ROOT, check=True)
        self.warm = self.cold()  #: one that every run with it makes warmer
        self._first = self.interpreter  # what one run left, once `ran_once` was called

    def cold(self) -> Path:
        """A new one."""
        return self._copy(self.interpreter)

    def ran_once(self) -> None:
        """Keep what the one run with `warm` left, for `SECOND`."""
        self._first = self._copy(self.warm)

    def of(self, runner: str) -> Path:
        """The one for the next run of an engine, `COLD`, `SECOND` or `WARM`."""
        if runner == WARM:
            return self.warm
        if runner == SECOND:
            return self._copy(self._first)
        return self.cold() if runner == COLD else self.interpreter

    def _copy(self, folder: Path) -> Path:
        self._made += 1
        return Path(shutil.copytree(folder, self._folder / f"cache{self._made}"))
