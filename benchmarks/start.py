"""How long it takes from starting `otoriscv boot` until the guest executes."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

__all__ = ["start_seconds"]


def start_seconds(elf: Path, engine: str) -> float:
    """CPU seconds of a whole `otoriscv boot` that ends at the guest's first instruction. The
    caches are warm when it was done before."""
    command = [sys.executable, "-m", "otoriscv", "boot", str(elf), "--engine", engine]
    command += ["--max-instructions", "1"]
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(
            command, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=said, stderr=subprocess.STDOUT
        )
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    return usage.ru_utime + usage.ru_stime
