"""The recipes of examples/systems: operating systems of others, built and booted.

OTORISCV_SYSTEMS names a folder with the clones that the README's `git clone` lines make; the tests
fetch nothing. They run the README's other commands.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from otoriscv.tools import find_picolibc
from tests.doc_blocks import ROOT, blocks

FOLDER = Path(os.environ.get("OTORISCV_SYSTEMS", ""))
pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1200),
    pytest.mark.skipif(not FOLDER.name, reason="OTORISCV_SYSTEMS names no folder of clones"),
    pytest.mark.skipif(not find_picolibc().usable, reason=find_picolibc().reason),
]


def recipe(system: str) -> tuple[str, list[str], list[str]]:
    """Its clone, what builds it there, and the words behind ``otoriscv boot``."""
    page = (ROOT / "examples" / "systems" / "README.md").read_text()
    part = next(p for p in page.split("\n## ") if p.startswith(system))
    lines = [line for b in blocks(part) if b.kind == "sh" for line in b.text.splitlines()]
    boot = next(line for line in lines if line.startswith("otoriscv boot "))
    clone = next(line for line in lines if line.startswith("git clone "))
    folder = clone.split("github.com/")[1].split()[0].rpartition("/")[2]
    build = [line for line in lines if line not in (boot, clone)]
    return folder, build, shlex.split(boot)[2:]


def make(folder: Path, commands: list[str]) -> None:
    for command in commands:
        subprocess.run(["sh", "-ec", command], cwd=folder, check=True, capture_output=True)


def boot(folder: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otoriscv", "boot", *words, "--wall-timeout", "900"],
        cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, text=True,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip


def test_xv6() -> None:
    name, build, words = recipe("xv6")
    folder = FOLDER / name
    patches = [c for c in build if c.startswith("sed ")]
    patched = "ReadReg(ISR)" in (folder / "kernel" / "uart.c").read_text()
    make(folder, ([] if patched else patches) + [c for c in build if c not in patches])
    words = [word.replace("fs.img", "fs.img,snapshot") for word in words]
    talk = ("--expect", r"\$ ", "--send", r"ls\n", "--expect", "^console ", "--expect", r"\$ ")
    more = ("--send", r"forktest\n", "--expect", "^fork test OK")
    done = boot(folder, *words, *talk, *more)
    assert done.returncode == 0, done.stdout + done.stderr


def test_freertos() -> None:
    name, build, words = recipe("FreeRTOS")
    folder = FOLDER / name / name
    (into,) = [c for c in build if c.startswith("cd ")]
    folder /= into[3:]
    make(folder, [c for c in build if c.startswith("make ")])
    done = boot(folder, *words, "--expect", "Demo SUCCESS: : 10", "--fail-on", "FAIL")
    assert done.returncode == 0, done.stdout + done.stderr
