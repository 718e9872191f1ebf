"""What Linux does all day, beside QEMU: system calls, page faults, pipes, switches, fork and exec.

benchmarks/linux/mix.c is the guest's only program and does fixed numbers of each; both emulators
boot the same kernel with it. A part's time is that between its line and the one before, on the
host: wall time, and CPU time of the emulator's process, which holds on a busy host (compile workers
are processes of their own and not in it). The order of runs is that of ``bench boot``.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from statistics import geometric_mean, median
from typing import Final

from benchmarks.boot import BootError, Runners, time_boot
from benchmarks.report import publish
from otoriscv.tools import find_cc
from tools.linux.cpio import Archive

__all__ = ["PARTS", "Part", "build", "compare", "run", "table"]

_SOURCE: Final = Path(__file__).resolve().parent / "linux" / "mix.c"
PARTS: Final = ("syscalls", "faults", "pipes", "switches", "forks", "execs")
_FLAGS: Final = {
    32: ("-march=rv32imafdc", "-mabi=ilp32d"),
    64: ("-march=rv64imafdc", "-mabi=lp64d"),
}


@dataclass
class Part:
    """All rounds of one part under one runner; the names are those of a row of the plot."""

    kernel: str  # the part
    variant: str
    runner: str
    seconds: list[float] = field(default_factory=list)  # wall time
    cpu_seconds: list[float] = field(default_factory=list)  # of the emulator's process
    wall_ratios: list[float] = field(default_factory=list)  # QEMU's wall time over this one's
    ratios: list[float] = field(default_factory=list)  # likewise, CPU time


def build(xlen: int, folder: Path) -> Path:
    """The initramfs: /init is the program. `BootError`."""
    cc = find_cc()
    if not cc.usable:
        raise BootError(f"no RISC-V compiler for the guest's program: {cc.reason}")
    program, file = folder / "mix", folder / "mix.cpio"
    done = subprocess.run(
        [*cc.command, *_FLAGS[xlen], "-O2", "-static", "-nostdlib", "-ffreestanding",
         "-Wl,--no-warn-rwx-segments", "-o", str(program), str(_SOURCE), "-lgcc"],
        capture_output=True, text=True,
    )  # fmt: skip
    if done.returncode:
        raise BootError(f"{_SOURCE.name} cannot be compiled: {done.stderr.strip()[-300:]}")
    root = Archive()
    root.device("dev/console", 5, 1)
    root.file("init", program.read_bytes(), 0o755)
    file.write_bytes(root.finish())
    return file


def cpu_seconds(pid: int) -> float:
    """CPU time of all threads of a process so far."""
    total = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        try:
            total += int((task / "schedstat").read_text().split()[0])
        except OSError:  # it has ended; so few do that it does not matter
            continue
    return total / 1e9


def measure(args: argparse.Namespace, say: Callable[[str], None]) -> list[Part]:
    """Everything, round by round."""
    texts = ["mix: begins", *(f"mix: {part} done" for part in PARTS)]
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        args = argparse.Namespace(**{**vars(args), "initrd": None, "prompt": ""})
        runners = Runners(args, folder)
        args.initrd = build(runners.xlen, folder)

        def boot(runner: str) -> tuple[list[float], list[float]]:
            cpu: list[float] = []
            walls, _ = time_boot(
                runners.command(runner), texts, runners.cache(runner), args.timeout,
                lambda pid: cpu.append(cpu_seconds(pid)),
            )  # fmt: skip
            return _differences(walls), _differences(cpu)

        rows = [Part(part, runners.variant, runner) for part in PARTS for runner in runners.names]
        runners.prepare(boot)
        for number in range(args.rounds):
            for runner in runners.names:
                walls, cpu = boot(runner)
                mine = [row for row in rows if row.runner == runner]
                for row, wall, seconds in zip(mine, walls, cpu, strict=True):
                    row.seconds.append(wall)
                    row.cpu_seconds.append(seconds)
                shown = ", ".join(f"{row.kernel} {row.cpu_seconds[-1]:.2f}" for row in mine)
                say(f"round {number + 1}: {runner:10} CPU seconds: {shown}")
    return compare(rows)


def _differences(times: Sequence[float]) -> list[float]:
    return [after - before for before, after in pairwise(times)]


def compare(rows: list[Part]) -> list[Part]:
    """Fill in the ratios to the first runner's times, round by round."""
    base = {row.kernel: row for row in rows if row.runner == rows[0].runner}
    for row in rows:
        theirs = base[row.kernel]
        row.wall_ratios = [a / b for a, b in zip(theirs.seconds, row.seconds, strict=True)]
        row.ratios = [a / b for a, b in zip(theirs.cpu_seconds, row.cpu_seconds, strict=True)]
    return rows


def table(rows: Sequence[Part]) -> str:
    """Markdown: a line for each part and runner, then each runner's geometric means."""
    base = rows[0].runner
    lines = [
        f"### {rows[0].variant}",
        "",
        f"| part | runner | CPU | times {base} (spread) | wall | times {base} (spread) |",
        "|---|---|--:|--:|--:|--:|",
    ]
    for row in rows:
        cells = [row.kernel, row.runner, f"{median(row.cpu_seconds):.2f} s", _spread(row.ratios)]
        cells += [f"{median(row.seconds):.2f} s", _spread(row.wall_ratios)]
        lines.append("| " + " | ".join(cells) + " |")
    for runner in dict.fromkeys(row.runner for row in rows):
        mine = [row for row in rows if row.runner == runner]
        cpu = geometric_mean(median(row.ratios) for row in mine)
        wall = geometric_mean(median(row.wall_ratios) for row in mine)
        lines.append(f"| **geometric mean** | {runner} | | {cpu:.2f} | | {wall:.2f} |")
    lines += ["", f"Medians; above 1 is faster than {base}. CPU: the emulator's process."]
    return "\n".join(lines)


def _spread(ratios: Sequence[float]) -> str:
    return f"{median(ratios):.2f} ({min(ratios):.2f}-{max(ratios):.2f})"


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; the exit code."""
    try:
        rows = measure(args, lambda text: print(text, flush=True))
    except (BootError, subprocess.CalledProcessError, re.error) as error:
        print(f"otoriscv bench system: error: {error}", file=sys.stderr)
        return 1
    publish(args, "system", table(rows), rows, rows[0].runner)
    return 0
