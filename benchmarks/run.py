"""Our engines against QEMU on benchmarks/kernels, in interleaved pairs.

Every round runs QEMU and then each engine on the same kernel, so that a machine that is busy for a
while slows all of them. A run's time is its wall time less that of an empty guest, which leaves
out starting Python or QEMU but not translating the guest. Every checksum must be QEMU's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median

from benchmarks.suite import EMPTY, KERNELS, VARIANTS, BuildError, Kernel, build
from otoriscv.tools import find_qemu

ROOT = Path(__file__).resolve().parent.parent
# The portable engine is a hundred times slower: it does less work, and rates are compared.
SCALES = {"python": 0.02}
LEAST = 1e-3  # seconds: no run is taken to be shorter than this


class BenchmarkError(Exception):
    """A run went wrong; the message says which."""


@dataclass(frozen=True)
class Run:
    """One run of a guest."""

    wall: float
    checksum: str
    stats: dict[str, float | int | str] = field(default_factory=dict)


@dataclass
class Row:
    """All rounds of one kernel under one runner."""

    kernel: str
    variant: str
    runner: str
    instructions: int = 0
    seconds: list[float] = field(default_factory=list)  # without startup
    engine_seconds: list[float] = field(default_factory=list)  # what --stats-json says
    ratios: list[float] = field(default_factory=list)  # rate over QEMU's, round by round

    @property
    def mips(self) -> float:
        """Millions of guest instructions a second, in the median round."""
        return self.instructions / median(self.seconds) / 1e6 if self.seconds else 0.0


def finish(command: Sequence[str], timeout: float) -> tuple[float, str]:
    """Run to the end; wall time and what it printed."""
    started = time.perf_counter()
    try:
        done = subprocess.run(
            command,
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            timeout=timeout,
        )
    except subprocess.TimeoutExpired as error:
        raise BenchmarkError(f"no end after {timeout:g} s: {' '.join(command)}") from error
    wall = time.perf_counter() - started
    if done.returncode:
        raise BenchmarkError(
            f"exit code {done.returncode}: {' '.join(command)}\n{done.stderr[-2000:]}"
        )
    return wall, done.stdout.strip()


def run_qemu(kernel: Kernel, timeout: float) -> Run:
    """One run under QEMU's virt machine."""
    command = [f"qemu-system-riscv{kernel.xlen}", "-M", "virt", "-bios", "none"]
    command += ["-display", "none", "-monitor", "none", "-serial", "stdio"]
    return Run(*finish([*command, "-kernel", str(kernel.image)], timeout))


def run_engine(engine: str, kernel: Kernel, timeout: float) -> Run:
    """One run under one of our engines."""
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "stats.json")
        command = [sys.executable, "-m", "otoriscv", "boot", str(kernel.image)]
        command += ["--engine", engine, "--clock", "virtual", "--stats-json", str(file)]
        wall, said = finish(command, timeout)
        stats = json.loads(file.read_text())
    return Run(wall, said, stats)


def geometric_mean(values: Sequence[float]) -> float:
    """0 for no values."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else 0.0


def measure(variant: str, args: argparse.Namespace, say: Callable[[str], None]) -> list[Row]:
    """Every kernel of one variant under QEMU and every engine."""
    kernels: Sequence[str] = args.kernels
    engines: Sequence[str] = args.engines
    timeout: float = args.timeout
    directory: Path = args.build

    def made(name: str, engine: str = "") -> Kernel:
        return build(name, variant, directory, scale=args.scale * SCALES.get(engine, 1.0))

    empty = made(EMPTY)
    for engine in engines:  # fills the cache of compiled interpreters
        run_engine(engine, empty, timeout)
    startup = {"qemu": [run_qemu(empty, timeout).wall for _ in range(args.rounds + 2)]}
    for engine in engines:
        startup[engine] = [run_engine(engine, empty, timeout).wall for _ in range(args.rounds + 2)]
    cost = {runner: median(walls) for runner, walls in startup.items()}
    say(f"{variant}: startup " + ", ".join(f"{name} {cost[name]:.3f} s" for name in cost))

    rows: list[Row] = []
    for name in kernels:
        base = Row(name, variant, "qemu")
        mine = [Row(name, variant, engine) for engine in engines]
        wanted = {
            kernel.image: run_qemu(kernel, timeout).checksum
            for kernel in {made(name), *(made(name, engine) for engine in engines)}
        }
        for _ in range(args.rounds):
            run = run_qemu(made(name), timeout)
            base.seconds.append(max(LEAST, run.wall - cost["qemu"]))
            for row in mine:
                kernel = made(name, row.runner)
                run = run_engine(row.runner, kernel, timeout)
                if run.checksum != wanted[kernel.image]:
                    raise BenchmarkError(
                        f"{row.runner} on {name}-{variant}: {run.checksum!r}, "
                        f"QEMU says {wanted[kernel.image]!r}"
                    )
                row.instructions = int(run.stats["instructions"])
                row.seconds.append(max(LEAST, run.wall - cost[row.runner]))
                row.engine_seconds.append(float(run.stats["seconds"]))
        # All engines count the same instructions; QEMU's count is theirs at full scale.
        full = max(mine, key=lambda row: SCALES.get(row.runner, 1.0), default=None)
        if full is not None:
            base.instructions = round(full.instructions / SCALES.get(full.runner, 1.0))
        for row in mine:
            row.ratios = [
                (row.instructions / ours) / (base.instructions / theirs)
                for ours, theirs in zip(row.seconds, base.seconds, strict=True)
            ]
        rows += [base, *mine]
        say(f"  {name:10}" + "".join(f" {row.runner} {row.mips:.3g} MIPS" for row in (base, *mine)))
    return rows


def table(rows: Sequence[Row], engines: Sequence[str]) -> str:
    """Markdown: a table for each variant, the geometric mean last."""
    lines: list[str] = []
    for variant in dict.fromkeys(row.variant for row in rows):
        here = {(row.kernel, row.runner): row for row in rows if row.variant == variant}
        lines += [f"### {variant}", ""]
        heads = [f"{engine} | ratio to QEMU (spread)" for engine in engines]
        lines.append(" | ".join(["| kernel", "instructions", "QEMU", *heads]) + " |")
        lines.append("|---|--:|--:|" + "--:|--:|" * len(engines))
        for kernel in dict.fromkeys(name for name, _ in here):
            base = here[kernel, "qemu"]
            cells = [kernel, f"{base.instructions / 1e6:.0f} M", f"{base.mips:.4g}"]
            for engine in engines:
                row = here[kernel, engine]
                low, high = min(row.ratios), max(row.ratios)
                spread = f"{median(row.ratios):.3g} ({low:.3g}-{high:.3g})"
                cells += [f"{row.mips:.3g}", spread]
            lines.append("| " + " | ".join(cells) + " |")
        means = ["**geometric mean**", "", f"{mean_mips(here, 'qemu'):.4g}"]
        for engine in engines:
            ratios = [median(row.ratios) for row in here.values() if row.runner == engine]
            means += [f"{mean_mips(here, engine):.3g}", f"**{geometric_mean(ratios):.3g}**"]
        lines += ["| " + " | ".join(means) + " |", ""]
    lines.append("MIPS: millions of guest instructions a second in the median round.")
    return "\n".join(lines)


def mean_mips(here: dict[tuple[str, str], Row], runner: str) -> float:
    """The geometric mean of a runner's MIPS."""
    return geometric_mean([row.mips for row in here.values() if row.runner == runner])


def plot(rows: Sequence[Row], engines: Sequence[str], file: Path) -> bool:
    """Bars of the ratios to QEMU; False without matplotlib."""
    try:
        import matplotlib as mpl
    except ImportError:
        return False
    mpl.use("Agg")
    from matplotlib import pyplot

    variants = list(dict.fromkeys(row.variant for row in rows))
    figure, panels = pyplot.subplots(len(variants), 1, figsize=(10, 3.2 * len(variants)))
    for panel, variant in zip([panels] if len(variants) == 1 else panels, variants, strict=True):
        for index, engine in enumerate(engines):
            here = [row for row in rows if row.variant == variant and row.runner == engine]
            places = [at + (index - (len(engines) - 1) / 2) * 0.8 / len(engines) for at in
                      range(len(here))]  # fmt: skip
            middle = [median(row.ratios) for row in here]
            errors = [
                [value - min(row.ratios) for value, row in zip(middle, here, strict=True)],
                [max(row.ratios) - value for value, row in zip(middle, here, strict=True)],
            ]
            panel.bar(places, middle, 0.8 / len(engines), yerr=errors, capsize=2, label=engine)
            panel.set_xticks(range(len(here)), [row.kernel for row in here])
        panel.axhline(1, color="black", linewidth=0.8)
        panel.set_title(variant)
        panel.set_ylabel("speed, QEMU = 1")
        panel.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)
    return True


def split(text: str) -> list[str]:
    """A comma-separated list."""
    return [word for word in text.split(",") if word]


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    parser.add_argument("--engines", type=split, default=["interp", "python"], metavar="A,B")
    parser.add_argument("--kernels", type=split, default=list(KERNELS), metavar="A,B")
    parser.add_argument("--variants", type=split, default=["rv32imac", "rv64imac"], metavar="A,B")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--scale", type=float, default=1.0, help="multiplies every kernel's work")
    parser.add_argument("--timeout", type=float, default=600, metavar="SEC", help="for one run")
    parser.add_argument("--build", type=Path, default=ROOT / "benchmarks" / "build")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "results")
    args = parser.parse_args(argv)
    for given, known, what in (
        (args.kernels, KERNELS, "kernel"),
        (args.variants, VARIANTS, "variant"),
    ):
        for name in given:
            if name not in known:
                parser.error(f"no {what} {name}; there are {', '.join(known)}")
    try:
        for variant in args.variants:
            qemu = find_qemu(VARIANTS[variant][0])
            if not qemu.usable:
                raise BenchmarkError(qemu.reason)
        rows: list[Row] = []
        for variant in args.variants:
            rows += measure(variant, args, lambda text: print(text, flush=True))
    except (BenchmarkError, BuildError) as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 1
    text = table(rows, args.engines)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "table.md").write_text(text + "\n")
    host = {"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version}
    record = {"host": host, "rounds": args.rounds, "rows": [asdict(row) for row in rows]}
    (args.output / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{text}")
    if not plot(rows, args.engines, args.output / "plot.png"):
        print("no plot: pip install otoriscv[plot] brings matplotlib")
    print(f"\nwritten to {args.output}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
