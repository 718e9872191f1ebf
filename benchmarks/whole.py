"""Whole runs, from starting the process to its end, beside QEMU with the same amount of work.

How much a kernel does is chosen so that QEMU takes about *work* seconds. Each round runs every
runner once, one behind the other. ``llvm cold`` starts with an empty cache of compiled code in
which only the interpreter is, ``llvm warm`` with what two earlier runs of that kernel left there.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import geometric_mean, median
from typing import Final

from benchmarks.caches import COLD, ROOT, WARM, Caches, settle
from benchmarks.report import publish
from benchmarks.suite import BuildError, Kernel, build, kernels_of
from otoriscv.tools import find_qemu

__all__ = ["Whole", "WholeError", "compare", "run", "table"]

QEMU: Final = "qemu"
#: Of a kernel's usual work: what tells how fast QEMU is.
_TRIAL: Final = 0.5


class WholeError(Exception):
    """A run went wrong, or cannot be tried; the message says why."""


@dataclass
class Whole:
    """All rounds of one runner on one kernel; the names are those of a row of the plot."""

    kernel: str
    variant: str
    runner: str
    seconds: list[float] = field(default_factory=list)  # wall time
    #: But for a compile worker that is busy at the end.
    cpu_seconds: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)  # QEMU's time over this one's


def command(runner: str, kernel: Kernel) -> list[str]:
    """What to run."""
    if runner == QEMU:
        machine = [f"qemu-system-riscv{kernel.xlen}", "-M", "virt", "-bios", "none"]
        shown = ["-display", "none", "-monitor", "none", "-serial", "stdio"]
        return [*machine, *shown, "-kernel", str(kernel.image)]
    engine = runner.partition(" ")[0]
    ours = [sys.executable, "-m", "otoriscv", "boot", str(kernel.image)]
    return [*ours, "--engine", engine, "--clock", "virtual"]


def finish(words: Sequence[str], cache: Path | None, timeout: float) -> tuple[float, float, str]:
    """Wall seconds, CPU seconds with those of children, and what it printed."""
    environment = dict(os.environ)
    if cache is not None:
        environment["OTORISCV_CACHE_DIR"] = str(cache)
    before, began = os.times(), time.perf_counter()
    try:
        done = subprocess.run(
            words, cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, capture_output=True,
            text=True, errors="replace", timeout=timeout,
        )  # fmt: skip
    except subprocess.TimeoutExpired as error:
        raise WholeError(f"no end after {timeout:g} s: {' '.join(words)}") from error
    wall, after = time.perf_counter() - began, os.times()
    if done.returncode:
        said = done.stderr.strip()[-300:]
        raise WholeError(f"exit code {done.returncode}: {' '.join(words)}: {said}")
    user, system = (after.children_user - before.children_user,
                    after.children_system - before.children_system)  # fmt: skip
    if cache is not None:
        settle(cache)
    return wall, user + system, done.stdout.strip()


def measure(args: argparse.Namespace, say: Callable[[str], None]) -> list[Whole]:
    """Everything, kernel by kernel."""
    names: list[str] = []
    for engine in args.engines:
        names += [COLD, WARM] if engine == "llvm" else [engine]
    rows: list[Whole] = []
    for variant in args.variants:
        for name in args.kernels or kernels_of(variant):
            trial = build(name, variant, args.build, scale=_TRIAL * args.scale)
            if not find_qemu(trial.xlen).usable:
                raise WholeError(find_qemu(trial.xlen).reason)
            seconds, _, _ = finish(command(QEMU, trial), None, args.timeout)
            scale = _TRIAL * args.scale * args.work / seconds
            kernel = build(name, variant, args.build, scale=float(f"{scale:.2g}"))
            rows += _rounds(kernel, [QEMU, *names], args, say)
    return compare(rows)


def _rounds(
    kernel: Kernel, runners: Sequence[str], args: argparse.Namespace, say: Callable[[str], None]
) -> list[Whole]:
    rows = [Whole(kernel.name, kernel.variant, runner) for runner in runners]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        caches = Caches(Path(folder), kernel.xlen)
        if WARM in runners:
            for _ in range(2):
                finish(command(WARM, kernel), caches.warm, args.timeout)
        for _ in range(args.rounds):
            wanted = ""
            for row in rows:
                cache = None if row.runner == QEMU else caches.of(row.runner)
                wall, cpu, said = finish(command(row.runner, kernel), cache, args.timeout)
                wanted = wanted or said
                if said != wanted:
                    raise WholeError(f"{row.runner} on {kernel.name}: {said!r}, not {wanted!r}")
                row.seconds.append(wall)
                row.cpu_seconds.append(cpu)
    shown = ", ".join(f"{row.runner} {median(row.seconds):.2f} s" for row in rows)
    say(f"{kernel.variant} {kernel.name:12} {shown}")
    return rows


def compare(rows: list[Whole]) -> list[Whole]:
    """Fill in the ratios to QEMU's times, round by round."""
    base = {(row.kernel, row.variant): row.seconds for row in rows if row.runner == QEMU}
    for row in rows:
        theirs = base[row.kernel, row.variant]
        row.ratios = [a / b for a, b in zip(theirs, row.seconds, strict=True)]
    return rows


def table(rows: Sequence[Whole]) -> str:
    """Markdown: a table for each variant, the geometric means last; above 1 is faster than QEMU."""
    lines: list[str] = []
    runners = [name for name in dict.fromkeys(row.runner for row in rows) if name != QEMU]
    for variant in dict.fromkeys(row.variant for row in rows):
        here = {(row.kernel, row.runner): row for row in rows if row.variant == variant}
        heads = [f"{name} | times QEMU (spread)" for name in runners]
        lines += [f"### {variant}", "", "| " + " | ".join(["kernel", "QEMU", *heads]) + " |"]
        lines.append("|---|--:|" + "--:|--:|" * len(runners))
        for kernel in dict.fromkeys(name for name, _ in here):
            cells = [kernel, f"{median(here[kernel, QEMU].seconds):.2f} s"]
            for name in runners:
                row = here[kernel, name]
                low, high = min(row.ratios), max(row.ratios)
                cells.append(f"{median(row.seconds):.2f} s")
                cells.append(f"{median(row.ratios):.2f} ({low:.2f}-{high:.2f})")
            lines.append("| " + " | ".join(cells) + " |")
        means = ["**geometric mean**", ""]
        for name in runners:
            ratios = [median(row.ratios) for (_, who), row in here.items() if who == name]
            means += ["", f"**{geometric_mean(ratios):.2f}**"]
        lines += ["| " + " | ".join(means) + " |", ""]
    lines.append("Wall time from the process's start to its end, medians.")
    return "\n".join(lines)


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; the exit code."""
    try:
        rows = measure(args, lambda text: print(text, flush=True))
    except (WholeError, BuildError, subprocess.CalledProcessError) as error:
        print(f"otoriscv bench whole: error: {error}", file=sys.stderr)
        return 1
    publish(args, "whole", table(rows), rows, QEMU)
    return 0
