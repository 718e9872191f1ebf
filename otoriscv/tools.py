"""Finding the programs of others: a RISC-V compiler, a gdb that knows RISC-V, QEMU, dtc.

Standard library only, and imports nothing of the package: tools/setup.py loads it before anything
is installed.
"""

from __future__ import annotations

import os
import shlex
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

__all__ = [
    "CC_PREFIXES",
    "PACKAGES",
    "TOOLS",
    "Tool",
    "find_cc",
    "find_dtc",
    "find_gdb",
    "find_picolibc",
    "find_qemu",
    "find_qemu_user",
    "hint",
    "package_manager",
]

CC_PREFIXES = (
    "riscv64-unknown-elf-",
    "riscv32-unknown-elf-",
    "riscv64-elf-",
    "riscv-none-elf-",
)
GDB_NAMES = (
    "gdb-multiarch",
    "riscv64-unknown-elf-gdb",
    "riscv32-unknown-elf-gdb",
    "riscv64-elf-gdb",
    "riscv-none-elf-gdb",
    "gdb",
)

# What to install, by tool or library, and package manager. An empty tuple: that system has no
# such package.
PACKAGES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "cc": {
        "apt-get": ("gcc-riscv64-unknown-elf",),
        "dnf": (),
        "pacman": ("riscv64-elf-gcc",),
        "brew": ("riscv64-elf-gcc",),
    },
    "picolibc": {
        "apt-get": ("picolibc-riscv64-unknown-elf",),
        "dnf": (),
        "pacman": (),
        "brew": (),
    },
    "gdb": {
        "apt-get": ("gdb-multiarch",),
        "dnf": ("gdb",),
        "pacman": ("riscv64-elf-gdb",),
        "brew": ("riscv64-elf-gdb",),
    },
    "qemu": {
        "apt-get": ("qemu-system-misc",),
        "dnf": ("qemu-system-riscv",),
        "pacman": ("qemu-system-riscv",),
        "brew": ("qemu",),
    },
    "qemu-user": {
        "apt-get": ("qemu-user",),
        "dnf": ("qemu-user",),
        "pacman": ("qemu-user",),
        "brew": (),
    },
    "dtc": {
        "apt-get": ("device-tree-compiler",),
        "dnf": ("dtc",),
        "pacman": ("dtc",),
        "brew": ("dtc",),
    },
    "slirp": {
        "apt-get": ("libslirp0",),
        "dnf": ("libslirp",),
        "pacman": ("libslirp",),
        "brew": ("libslirp",),
    },
}

INSTALL: Mapping[str, str] = {
    "apt-get": "apt-get install -y",
    "dnf": "dnf install -y",
    "pacman": "pacman -S --needed --noconfirm",
    "brew": "brew install",
}


@dataclass(frozen=True, slots=True)
class Tool:
    """A program that was looked for: ``command`` starts it (empty: not found, ``reason`` why)."""

    name: str
    purpose: str
    command: tuple[str, ...] = ()
    reason: str = ""
    note: str = field(default="", compare=False)

    @property
    def usable(self) -> bool:
        """Whether the program can be started."""
        return bool(self.command)

    @property
    def prefix(self) -> str:
        """The compiler's tool prefix: ``riscv64-unknown-elf-`` for ``riscv64-unknown-elf-gcc``."""
        return self.command[0][: -len("gcc")] if self.command[0].endswith("gcc") else ""


def _output(command: Sequence[str]) -> str | None:
    """What *command* prints, or None when it cannot be run or fails."""
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=30, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout + done.stderr if done.returncode == 0 else None


def _override(variable: str) -> tuple[tuple[str, ...], str]:
    """The command in an environment variable, and why it cannot be used ("" when it can)."""
    words = tuple(shlex.split(os.environ.get(variable, "")))
    if words and shutil.which(words[0]) is None:
        return words, f"{variable} names {words[0]!r}, which cannot be run"
    return words, ""


def find_cc() -> Tool:
    """A bare-metal RISC-V gcc. ``OTORISCV_CC`` overrides."""
    purpose = "compiles guests for demo, examples, benchmarks"
    words, bad = _override("OTORISCV_CC")
    if bad:
        return Tool("cc", purpose, reason=bad)
    if words:
        return Tool("cc", purpose, words, note="from OTORISCV_CC")
    for prefix in CC_PREFIXES:
        path = shutil.which(prefix + "gcc")
        if path:
            return Tool("cc", purpose, (path,))
    names = ", ".join(prefix + "gcc" for prefix in CC_PREFIXES)
    return Tool("cc", purpose, reason=f"none of {names} is on the PATH; OTORISCV_CC names another")


def find_picolibc() -> Tool:
    """picolibc for the compiler found: its command is the compiler with ``--specs``."""
    purpose = "the demo's C library"
    cc = find_cc()
    if not cc.usable:
        return Tool("picolibc", purpose, reason="no RISC-V compiler")
    specs = "picolibc.specs"
    found = _output([*cc.command, f"-print-file-name={specs}"])
    if found is None or found.strip() == specs:
        return Tool("picolibc", purpose, reason=f"{cc.command[0]} finds no {specs}")
    return Tool("picolibc", purpose, (*cc.command, f"--specs={specs}"))


@lru_cache
def _knows_riscv(gdb: tuple[str, ...]) -> bool:
    probe = ["-nx", "-batch", "-ex", "set architecture riscv:rv64", "-ex", "show architecture"]
    said = _output([*gdb, *probe])
    return said is not None and '"riscv:rv64"' in said and "Undefined item" not in said


def find_gdb() -> Tool:
    """A gdb that knows RISC-V. ``OTORISCV_GDB`` overrides."""
    purpose = "debugs guests in demo and tests"
    words, bad = _override("OTORISCV_GDB")
    if bad:
        return Tool("gdb", purpose, reason=bad)
    if words:
        if _knows_riscv(words):
            return Tool("gdb", purpose, words, note="from OTORISCV_GDB")
        return Tool("gdb", purpose, reason=f"OTORISCV_GDB={shlex.join(words)} knows no RISC-V")
    ignorant = []
    for name in GDB_NAMES:
        path = shutil.which(name)
        if path and _knows_riscv((path,)):
            return Tool("gdb", purpose, (path,))
        if path:
            ignorant.append(path)
    if ignorant:
        reason = f"{', '.join(ignorant)} knows no RISC-V; OTORISCV_GDB names another"
    else:
        reason = f"none of {', '.join(GDB_NAMES)} is on the PATH; OTORISCV_GDB names another"
    return Tool("gdb", purpose, reason=reason)


def _find_plain(name: str, program: str, purpose: str) -> Tool:
    path = shutil.which(program)
    if path is None:
        return Tool(name, purpose, reason=f"{program} is not on the PATH")
    return Tool(name, purpose, (path,))


def find_qemu(xlen: int = 64) -> Tool:
    """QEMU's system emulator of that width."""
    return _find_plain("qemu", f"qemu-system-riscv{xlen}", "the reference of tests and benchmarks")


def find_qemu_user() -> Tool:
    """The emulator of aarch64 Linux programs."""
    return _find_plain("qemu-user", "qemu-aarch64", "runs the code for aarch64 hosts in the tests")


def find_dtc() -> Tool:
    """The device tree compiler."""
    return _find_plain("dtc", "dtc", "checks device trees in the tests")


TOOLS = (find_cc, find_picolibc, find_gdb, find_qemu, find_qemu_user, find_dtc)


def package_manager() -> str:
    """``apt-get``, ``dnf``, ``pacman`` or ``brew``, whichever is here; "" when none is."""
    names = ("brew",) if sys.platform == "darwin" else ("apt-get", "dnf", "pacman", "brew")
    return next((name for name in names if shutil.which(name)), "")


def hint(tool: str, manager: str) -> str:
    """The command that installs *tool* with *manager*, or why there is none."""
    packages = PACKAGES[tool].get(manager)
    if packages is None:
        known = "; ".join(
            f"{name}: {' '.join(names[name])}"
            for name in INSTALL
            if (names := PACKAGES[tool]).get(name)
        )
        return f"no known package manager here ({known})"
    if not packages:
        return f"{manager} has no package of it; the packaged demo guest needs none"
    return f"{INSTALL[manager]} {' '.join(packages)}"
