"""Folders of compiled code to measure with: cold ones in which only the interpreter is, warm ones
with what earlier runs left."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

__all__ = ["COLD", "SECOND", "WARM", "Caches"]

ROOT: Final = Path(__file__).resolve().parent.parent
COLD: Final = "llvm cold"
SECOND: Final = "llvm second"
WARM: Final = "llvm warm"
_BUILD: Final = (
    "from otoriscv.jit.cache import DiskCache; from pathlib import Path; import sys;"
    "from otoriscv.jit.interp.library import library;"
    "library(int(sys.argv[2]), DiskCache(Path(sys.argv[1])))"
)


class Caches:
    """The caches for one XLEN, in *folder*; making them builds the interpreter."""

    def __init__(self, folder: Path, xlen: int) -> None:
        self.interpreter = folder / "interpreter"  #: only the interpreter is in it
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
