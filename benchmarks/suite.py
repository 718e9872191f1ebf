"""The kernels, how much each does, and how they are built. Fixed: results stay comparable."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from otoriscv.tools import find_cc

SOURCES = Path(__file__).resolve().parent / "kernels"

# Rounds of work: one to two seconds under QEMU 7.2.
KERNELS = {
    "sieve": 1600,
    "crc32": 30000,
    "matmul": 5000,
    "machine": 5000,
    "fib": 5000,
    "quicksort": 700,
    "strings": 48000,
    "atomics": 20000,
    "floating": 18000,
    "branches": 25000,
}
# The same for those in hardware floating point, double and single: only for variants with F and D.
FLOAT_KERNELS = {
    "nbody": 50000,
    "nbody_single": 20000,
    "statistics": 100000,
    "statistics_single": 50000,
    "matrix": 6000,
    "matrix_single": 3000,
    "exact": 200000,
    "exact_single": 120000,
}
EMPTY = "empty"  # its time is what starting and ending a machine costs

VARIANTS: dict[str, tuple[int, tuple[str, ...]]] = {
    "rv32imac": (32, ("-march=rv32imac", "-mabi=ilp32")),
    "rv64imac": (64, ("-march=rv64imac", "-mabi=lp64")),
    "rv32gc": (32, ("-march=rv32imafdc", "-mabi=ilp32d")),
    "rv64gc": (64, ("-march=rv64imafdc", "-mabi=lp64d")),
}
HARD_FLOAT = ("rv32gc", "rv64gc", "rv32gc-paged", "rv64gc-paged")
# The same in S-mode with address translation on.
VARIANTS |= {f"{name}-paged": (x, (*flags, "-DPAGED")) for name, (x, flags) in VARIANTS.items()}

FLAGS = (
    *("-O2", "-std=c11", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", "-static"),
    *("-mcmodel=medany", "-fno-pic", "-ffp-contract=off", "-fno-tree-loop-distribute-patterns"),
    "-Wl,--build-id=none",
)
FLOAT_FLAGS = ("-fno-math-errno",)  # a square root is an instruction


class BuildError(Exception):
    """A kernel could not be built; the message says why."""


@dataclass(frozen=True)
class Kernel:
    """One built kernel."""

    name: str
    variant: str
    xlen: int
    image: Path


def kernels_of(variant: str) -> list[str]:
    """The kernels that a variant can be built of."""
    return [*KERNELS, *(FLOAT_KERNELS if variant in HARD_FLOAT else ())]


def rounds_of(name: str, scale: float) -> int:
    """How often a kernel does its work."""
    return max(1, round((KERNELS | FLOAT_KERNELS).get(name, 1) * scale))


def build(name: str, variant: str, directory: Path, *, scale: float = 1.0) -> Kernel:
    """Compile a kernel into *directory*; *scale* multiplies the rounds of work."""
    compiler = find_cc()
    if not compiler.usable:
        raise BuildError(compiler.reason)
    if name in FLOAT_KERNELS and variant not in HARD_FLOAT:
        raise BuildError(f"{name} needs F and D: one of {', '.join(HARD_FLOAT)}")
    xlen, machine = VARIANTS[variant]
    rounds = rounds_of(name, scale)
    image = directory / f"{name}-{variant}-{rounds}.elf"
    sources = [SOURCES / "start.S", SOURCES / "runtime.c", SOURCES / f"{name}.c"]
    script = SOURCES / "kernel.ld"
    inputs = [*SOURCES.iterdir(), Path(__file__)]
    if image.is_file() and image.stat().st_mtime > max(file.stat().st_mtime for file in inputs):
        return Kernel(name, variant, xlen, image)
    directory.mkdir(parents=True, exist_ok=True)
    command = [*compiler.command, *machine, *FLAGS, *FLOAT_FLAGS * (name in FLOAT_KERNELS)]
    command += [f"-DN={rounds}", "-T", str(script)]
    command += [*map(str, sources), "-lgcc", "-o", str(image)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise BuildError(f"{name} for {variant}: {done.stderr.strip()}")
    return Kernel(name, variant, xlen, image)


def build_all(
    names: Sequence[str], variants: Sequence[str], directory: Path, *, scale: float = 1.0
) -> list[Kernel]:
    """Every kernel named, in every variant."""
    return [build(name, variant, directory, scale=scale) for variant in variants for name in names]
