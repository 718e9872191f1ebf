"""How long Linux takes to user space and to a prompt, beside QEMU with the same images.

Each round runs every runner once, one behind the other. ``llvm cold`` starts with an empty cache of
compiled code in which only the interpreter is, ``llvm second`` with what one run left there, and
``llvm warm`` with what many did, ten before the first round: a run compiles what is hottest while
it runs, and the next goes on from there. Times are from starting the process to the byte that
completes the text on the console.
"""

from __future__ import annotations

import argparse
import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks.caches import COLD, ROOT, SECOND, WARM, Caches, settle
from benchmarks.firmware import firmware_options
from benchmarks.report import publish
from otoriscv.board.loaders import ImageError, load_image
from otoriscv.tools import find_qemu

__all__ = [
    "COLD",
    "QEMU",
    "SECOND",
    "WARM",
    "Boot",
    "BootError",
    "Runners",
    "compare",
    "run",
    "table",
    "time_boot",
]

QEMU: Final = "qemu"
#: Runs before the first round with the cache that is warm then.
WARMING: Final = 10
#: What is waited for: a title, and the option that holds its expression.
STAGES: Final = (("user space", "user_space"), ("prompt", "prompt"))


class BootError(Exception):
    """A boot went wrong, or cannot be tried; the message says why."""


@dataclass
class Boot:
    """All rounds of one runner up to one stage; the names are those of a row of the plot."""

    kernel: str  # the stage
    variant: str
    runner: str
    seconds: list[float] = field(default_factory=list)  # wall time
    cpu_seconds: list[float] = field(default_factory=list)  # of the whole run, workers included
    ratios: list[float] = field(default_factory=list)  # QEMU's time over this one's


def time_boot(
    command: Sequence[str],
    texts: Sequence[str],
    cache: Path | None,
    timeout: float,
    found_one: Callable[[int], None] = lambda pid: None,
) -> tuple[list[float], float]:
    """Seconds after the start at which each of *texts* (regular expressions, in this order) was on
    stdout, and the CPU seconds of the process and its children. *found_one* gets the process's
    number at each of these moments."""
    environment = dict(os.environ)
    if cache is not None:
        environment["OTORISCV_CACHE_DIR"] = str(cache)
    found: list[float] = []
    seen = b""
    began = time.perf_counter()
    process = subprocess.Popen(
        command, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdout, selectors.EVENT_READ)
            while len(found) < len(texts):
                left = began + timeout - time.perf_counter()
                if left <= 0 or not selector.select(left):
                    raise BootError(f"no {texts[len(found)]!r} in {timeout:g} s: {command[0]}")
                data = os.read(process.stdout.fileno(), 1 << 16)
                if not data:
                    raise BootError(f"{' '.join(command)} ended before {texts[len(found)]!r}")
                seen += data
                while len(found) < len(texts):
                    match = re.search(texts[len(found)].encode(), seen)
                    if match is None:
                        break
                    found.append(time.perf_counter() - began)
                    found_one(process.pid)
                    seen = seen[match.end() :]
        process.terminate()  # ours writes its profile when it ends
        _, _, usage = os.wait4(process.pid, 0)
        process.returncode = 0
    finally:
        if process.returncode is None:
            process.kill()
            process.wait()
        process.stdout.close()
    if cache is not None:
        settle(cache)
    return found, usage.ru_utime + usage.ru_stime


class Runners:
    """The commands by runner's name, and the cache folders that they use."""

    def __init__(self, args: argparse.Namespace, folder: Path) -> None:
        try:
            self.xlen = load_image(args.kernel).xlen or 64
        except ImageError as error:
            raise BootError(f"{error}: make linux64 or linux32 fetches one") from None
        self._args = args
        self._folder = folder
        self._caches: Caches | None = None
        names: list[str] = []
        for engine in args.engines:
            names += [COLD, SECOND, WARM] if engine == "llvm" else [engine]
        self.names = [QEMU, *names] if not args.no_qemu and find_qemu(self.xlen).usable else names
        self._qemu = [f"qemu-system-riscv{self.xlen}", "-M", "virt", "-m", "512", "-nographic"]
        if QEMU in self.names and self.xlen == 32:
            self._qemu += firmware_options(self._qemu, self.xlen, folder)

    @property
    def variant(self) -> str:
        """What the plot and the table are titled."""
        return f"rv{self.xlen}, {self._args.kernel.name}"

    def prepare(self, boot: Callable[[str], object]) -> None:
        """Fill the caches: the interpreter in all of them, regions in the warm one."""
        self._caches = Caches(self._folder, self.xlen)
        if WARM in self.names:
            boot(WARM)
            self._caches.ran_once()
            for _ in range(WARMING - 1):
                boot(WARM)

    def cache(self, name: str) -> Path | None:
        """The cache folder for the next run."""
        return None if name == QEMU or self._caches is None else self._caches.of(name)

    def command(self, name: str) -> list[str]:
        """What to run."""
        args = self._args
        images = ["-kernel", str(args.kernel)] if name == QEMU else [str(args.kernel)]
        if args.initrd is not None:
            images += ["-initrd" if name == QEMU else "--initrd", str(args.initrd)]
        if name == QEMU:
            return [*self._qemu, *images]
        return [
            sys.executable, "-m", "otoriscv", "boot", *images, "--engine", name.partition(" ")[0],
            *(["--expect", args.prompt] if args.prompt else []),
        ]  # fmt: skip


def measure(args: argparse.Namespace, say: Callable[[str], None]) -> list[Boot]:
    """Everything, round by round."""
    texts = [getattr(args, option) for _, option in STAGES]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        runners = Runners(args, Path(folder))

        def boot(name: str) -> tuple[list[float], float]:
            return time_boot(runners.command(name), texts, runners.cache(name), args.timeout)

        rows = [Boot(stage, runners.variant, name) for stage, _ in STAGES for name in runners.names]
        runners.prepare(boot)
        for number in range(args.rounds):
            for name in runners.names:
                times, cpu = boot(name)
                for row, seconds in zip((r for r in rows if r.runner == name), times, strict=True):
                    row.seconds.append(seconds)
                    row.cpu_seconds.append(cpu)
                marks = zip(STAGES, times, strict=True)
                shown = ", ".join(f"{stage} {seconds:.2f} s" for (stage, _), seconds in marks)
                say(f"round {number + 1}: {name:10} {shown}, CPU {cpu:.2f} s")
    return compare(rows)


def compare(rows: list[Boot]) -> list[Boot]:
    """Fill in the ratios to the first runner's times, round by round."""
    base = {row.kernel: row.seconds for row in rows if row.runner == rows[0].runner}
    for row in rows:
        pairs = zip(base[row.kernel], row.seconds, strict=True)
        row.ratios = [theirs / ours for theirs, ours in pairs]
    return rows


def table(rows: Sequence[Boot]) -> str:
    """Markdown: a line for each runner; wall time over the first runner's, its spread behind."""
    base = rows[0].runner
    stages = list(dict.fromkeys(row.kernel for row in rows))
    heads = [f"{stage} | time / {base} (spread)" for stage in stages]
    lines = [f"### {rows[0].variant}", "", "| " + " | ".join(["", *heads, "CPU"]) + " |"]
    lines.append("|---|" + "--:|--:|" * len(stages) + "--:|")
    for runner in dict.fromkeys(row.runner for row in rows):
        here = {row.kernel: row for row in rows if row.runner == runner}
        cells = [runner]
        for stage in stages:
            times = [1 / ratio for ratio in here[stage].ratios]
            spread = f"{median(times):.2f} ({min(times):.2f}-{max(times):.2f})"
            cells += [f"{median(here[stage].seconds):.2f} s", spread]
        cells.append(f"{median(here[stages[0]].cpu_seconds):.2f} s")
        lines.append("| " + " | ".join(cells) + " |")
    lines += ["", "Medians; CPU: of the whole run, but for a compile worker busy at its end."]
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; the exit code."""
    try:
        rows = measure(args, lambda text: print(text, flush=True))
    except (BootError, subprocess.CalledProcessError, re.error) as error:
        print(f"otoriscv bench boot: error: {error}", file=sys.stderr)
        return 1
    publish(args, "boot", table(rows), rows, rows[0].runner)
    return 0
