"""Small guests for the board's and the command line's tests, compiled on the spot."""

from __future__ import annotations

import atexit
import hashlib
import shutil
import subprocess
import tempfile
from functools import lru_cache
from pathlib import Path

import pytest

from otoriscv.board.console import BufferConsole
from otoriscv.board.loaders import load_image
from otoriscv.board.stops import Stop
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.tools import find_cc
from tests import engine_choice

__all__ = ["ENGINES", "FINISH", "PUTS", "build", "machine", "needs_cc", "output", "run"]

#: The two simple ones: `engine_box` compares all engines.
ENGINES = engine_choice.asked or ("python", "interp")
needs_cc = pytest.mark.skipif(not find_cc().usable, reason="no RISC-V compiler")

#: Ends with the code in a0: exit codes of the test finisher.
FINISH = """
finish:
    li t0, 0x100000
    slli a0, a0, 16
    li t1, 0x3333
    or a0, a0, t1
    sw a0, 0(t0)
1:  j 1b
pass:
    li t0, 0x100000
    li t1, 0x5555
    sw t1, 0(t0)
1:  j 1b
"""

#: Prints the string at a0 on the UART.
PUTS = """
puts:
    li t0, 0x10000000
1:  lbu t1, 0(a0)
    beqz t1, 2f
    sb t1, 0(t0)
    addi a0, a0, 1
    j 1b
2:  ret
"""


@lru_cache(1)
def _folder() -> Path:
    folder = tempfile.mkdtemp(prefix="otoriscv-guests-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


@lru_cache(128)
def build(source: str, xlen: int = 64, *, c: bool = False, base: int = 0x8000_0000) -> Path:
    """An ELF of assembly (or C, beginning at _start) linked at *base*."""
    name = hashlib.sha256(f"{source} {xlen} {c} {base}".encode()).hexdigest()[:16]
    path = _folder() / f"{name}.elf"
    suffix = ".c" if c else ".S"
    text = path.with_suffix(suffix)
    text.write_text(source if c else f".globl _start\n{source}\n")
    arch = f"rv{xlen}imac_zicsr_zifencei"
    abi = "lp64" if xlen == 64 else "ilp32"
    command = [*find_cc().command, f"-march={arch}", f"-mabi={abi}", "-mcmodel=medany", "-O2"]
    command += ["-g", "-nostdlib", "-nostartfiles", "-ffreestanding", "-static"]
    command += [
        f"-Wl,-Ttext={base:#x}",
        "-Wl,--no-warn-rwx-segments,--no-relax",
        str(text),
        "-o",
        str(path),
    ]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return path


def machine(source: str, engine: str, xlen: int = 64, **config: object) -> VirtMachine:
    """A machine with assembly *source* in it; its console is a `BufferConsole`, its input ended."""
    c = bool(config.pop("c", False))
    image = load_image(build(source, xlen, c=c))
    made = VirtMachine(VirtConfig(image=image, engine=engine, **config))  # type: ignore[arg-type]  # VirtConfig's own fields
    console = made.console
    assert isinstance(console, BufferConsole)
    console.end()
    return made


def output(made: VirtMachine) -> str:
    """What the guest printed."""
    console = made.console
    assert isinstance(console, BufferConsole)
    return console.output.decode()


def run(source: str, engine: str, xlen: int = 64, **config: object) -> tuple[Stop, str]:
    """Run to the end: why it stopped and what was printed."""
    made = machine(source, engine, xlen, **config)
    try:
        stop = made.run()
        return stop, output(made)
    finally:
        made.close()
