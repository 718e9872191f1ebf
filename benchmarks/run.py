"""Our engines against QEMU and the host on benchmarks/kernels, in interleaved pairs.

Every round runs QEMU and then each engine on the same program, so that a machine that is busy for a
while slows all of them. A run's time is its wall time less that of an empty guest, which leaves
out starting Python or QEMU but not translating the guest. With --steady it is the CPU time that
twice the work takes longer, with warm caches: hot code's speed alone, whatever else the host does.
Every checksum must be QEMU's.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks import boot, debug, system, whole
from benchmarks.plot import draw
from benchmarks.programs import NATIVE, Program, build_native_kernel, find_programs
from benchmarks.suite import (
    EMPTY,
    FLOAT_KERNELS,
    KERNELS,
    VARIANTS,
    BuildError,
    Kernel,
    build,
    kernels_of,
    rounds_of,
)
from otoriscv.jit.engines import ENGINES, probe
from otoriscv.tools import find_qemu

ROOT = Path(__file__).resolve().parent.parent
# The portable engine is a hundred times slower: it does less work, and rates are compared.
SCALES = {"python": 0.02}
QEMU = "qemu"
WARM = 16  # runs at most until a cache is as warm as it gets
LONG = 16.0  # times the work, for that
LEAST = 1e-3  # seconds: no run is taken to be shorter than this


class BenchmarkError(Exception):
    """A run went wrong; the message says which."""


@dataclass(frozen=True)
class Run:
    """One run of a guest."""

    wall: float
    cpu: float  # seconds; for our engines, of the thread that runs the machine
    checksum: str
    stats: dict[str, Any] = field(default_factory=dict)
    compiled: float = 0.0  # share of the instructions retired in regions


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
    compiled: list[float] = field(default_factory=list)  # share retired in regions, by round

    @property
    def mips(self) -> float:
        """Millions of guest instructions a second, in the median round."""
        return self.instructions / median(self.seconds) / 1e6 if self.seconds else 0.0


def _children() -> float:
    """CPU seconds of the processes that have ended."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def finish(command: Sequence[str], timeout: float) -> tuple[float, float, str]:
    """Run to the end; wall time, CPU time and what it printed."""
    before = _children()
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
    return wall, _children() - before, done.stdout.strip()


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
        wall, _, said = finish(command, timeout)
        stats = json.loads(file.read_text())
    return Run(wall, stats["cpu_seconds"], said, stats, stats["share"].get("llvm", 0.0))


def geometric_mean(values: Sequence[float]) -> float:
    """0 for no values."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else 0.0


@dataclass(frozen=True)
class Work:
    """Something to measure: how it is built for a variant, and what of its output must agree."""

    name: str
    make: Callable[[str, float], Kernel]  # (variant or native, scale)
    result: Callable[[str], str]


def kernel_work(name: str, directory: Path) -> Work:
    """A kernel of ours; all that it prints is its checksum."""

    def make(variant: str, scale: float) -> Kernel:
        if variant == NATIVE:
            return build_native_kernel(name, rounds_of(name, scale), directory)
        return build(name, variant, directory, scale=scale)

    return Work(name, make, str)


def program_work(program: Program, directory: Path) -> Work:
    """Somebody else's program."""

    def result(text: str) -> str:
        lines = [x.strip() for x in text.splitlines() if program.result.search(x)]
        return "\n".join(lines)

    def make(variant: str, scale: float) -> Kernel:
        return program.build(variant, directory, scale=scale)

    return Work(program.name, make, result)


def run_one(runner: str, kernel: Kernel, timeout: float) -> Run:
    """One run under QEMU, on the host, or by one of our engines."""
    if runner == QEMU:
        return run_qemu(kernel, timeout)
    if runner == NATIVE:
        return Run(*finish([str(kernel.image)], timeout))
    return run_engine(runner, kernel, timeout)


def measure(
    variant: str, works: Sequence[Work], args: argparse.Namespace, say: Callable[[str], None]
) -> list[Row]:
    """Everything of one variant by every runner, round by round."""
    runners: list[str] = args.runners
    timeout: float = args.timeout
    cost = dict.fromkeys(runners, 0.0)
    if not args.steady:
        empty = build(EMPTY, variant, args.build)
        for runner in runners:
            if runner != NATIVE:
                run_one(runner, empty, timeout)  # fills the cache of compiled interpreters
                walls = [run_one(runner, empty, timeout).wall for _ in range(args.rounds + 2)]
                cost[runner] = median(walls)
        say(f"{variant}: startup " + ", ".join(f"{name} {cost[name]:.3f} s" for name in runners))

    rows: list[Row] = []
    for work in works:
        checked = _Checked(variant, work, runners[0], args)
        mine = [Row(work.name, variant, runner) for runner in runners]
        for row in mine if args.steady else ():
            if row.runner in ENGINES:
                checked.warm(row.runner)
        for _ in range(args.rounds):
            for row in mine:
                run = checked.run(row.runner, 2 if args.steady else 1)
                spent, before = run.wall - cost[row.runner], 0
                if args.steady:
                    short = checked.run(row.runner, 1)
                    spent, before = run.cpu - short.cpu, int(short.stats.get("instructions", 0))
                row.seconds.append(max(LEAST, spent))
                if run.stats:
                    row.instructions = int(run.stats["instructions"]) - before
                    row.engine_seconds.append(float(run.stats["seconds"]))
                    row.compiled.append(run.compiled)
        rows += compare(mine)
        say(f"  {work.name:10}" + "".join(f" {row.runner} {row.mips:.3g} MIPS" for row in mine))
    return rows


class _Checked:
    """Runs a work of a variant; each result must be that of *judge*."""

    def __init__(self, variant: str, work: Work, judge: str, args: argparse.Namespace) -> None:
        self._variant, self._work, self._judge, self._args = variant, work, judge, args
        self._wanted: dict[float, str] = {}

    def run(self, runner: str, more: float) -> Run:
        """*more* times its work."""
        work, args = self._work, self._args
        scale = more * SCALES.get(runner, 1.0)
        run = run_one(runner, self._made(runner, scale), args.timeout)
        if scale not in self._wanted:  # less work: another result
            judged = run_one(self._judge, self._made(self._judge, scale), args.timeout)
            self._wanted[scale] = work.result(judged.checksum)
        result = work.result(run.checksum)
        if not result or result != self._wanted[scale]:
            raise BenchmarkError(
                f"{runner} on {work.name}-{self._variant}: {result!r}, "
                f"{self._judge} says {self._wanted[scale]!r}"
            )
        return run

    def warm(self, runner: str) -> None:
        """Fill the caches, until a run enters nothing that the one before did not: first in runs
        that are long enough for regions to grow, whose code the others then find."""
        for scale in (x * SCALES.get(runner, 1.0) for x in (LONG, 1, 2)):
            for _ in range(WARM):
                run = run_one(runner, self._made(runner, scale), self._args.timeout)
                jit = run.stats.get("jit", {})
                if jit.get("regions_installed", 0) == jit.get("remembered", 0):
                    break

    def _made(self, runner: str, scale: float) -> Kernel:
        where = NATIVE if runner == NATIVE else self._variant
        return self._work.make(where, self._args.scale * scale)


def compare(rows: list[Row]) -> list[Row]:
    """Fill in the ratios to the first row. All engines count the same instructions; who does not
    count did theirs at full scale."""
    counted = max(
        (row for row in rows if row.instructions), key=lambda row: SCALES.get(row.runner, 1.0)
    )
    full = round(counted.instructions / SCALES.get(counted.runner, 1.0))
    base = rows[0]
    base.instructions = base.instructions or full
    for row in rows:
        row.instructions = row.instructions or full
        row.ratios = [
            (row.instructions / ours) / (base.instructions / theirs)
            for ours, theirs in zip(row.seconds, base.seconds, strict=True)
        ]
    return rows


def table(rows: Sequence[Row], engines: Sequence[str], base: str = QEMU) -> str:
    """Markdown: a table for each variant, the geometric mean last; ratios are to *base*."""
    lines: list[str] = []
    title = "QEMU" if base == QEMU else base
    for variant in dict.fromkeys(row.variant for row in rows):
        here = {(row.kernel, row.runner): row for row in rows if row.variant == variant}
        lines += [f"### {variant}", ""]
        heads = [f"{engine} | ratio to {title} (spread)" for engine in engines]
        lines.append(" | ".join(["| kernel", "instructions", title, *heads]) + " |")
        lines.append("|---|--:|--:|" + "--:|--:|" * len(engines))
        for kernel in dict.fromkeys(name for name, _ in here):
            first = here[kernel, base]
            cells = [kernel, f"{first.instructions / 1e6:.0f} M", f"{first.mips:.4g}"]
            for engine in engines:
                row = here[kernel, engine]
                low, high = min(row.ratios), max(row.ratios)
                spread = f"{median(row.ratios):.3g} ({low:.3g}-{high:.3g})"
                if any(row.compiled):
                    spread += f", {100 * median(row.compiled):.1f} %"
                cells += [f"{row.mips:.3g}", spread]
            lines.append("| " + " | ".join(cells) + " |")
        means = ["**geometric mean**", "", f"{mean_mips(here, base):.4g}"]
        for engine in engines:
            ratios = [median(row.ratios) for row in here.values() if row.runner == engine]
            means += [f"{mean_mips(here, engine):.3g}", f"**{geometric_mean(ratios):.3g}**"]
        lines.append("| " + " | ".join(means) + " |")
        if NATIVE in engines:
            lines.append("| " + " | ".join(_of_native(here, base, engines)) + " |")
        lines.append("")
    lines.append(
        "MIPS: millions of guest instructions a second in the median round; for the host's own "
        "code, as many as the guest needs for the same work. %: of them retired in regions."
    )
    return "\n".join(lines)


def _of_native(
    here: dict[tuple[str, str], Row], base: str, engines: Sequence[str]
) -> Iterator[str]:
    """The cells of the geometric means in relation to the host's own code, of the same rounds."""
    yield from ("**of native**", "", f"{_share_of_native(here, base):.2g}")
    for engine in engines:
        yield from ("", f"**{_share_of_native(here, engine):.3g}**")


def _share_of_native(here: dict[tuple[str, str], Row], runner: str) -> float:
    pairs = [(row, here[name, NATIVE]) for (name, who), row in here.items() if who == runner]
    return geometric_mean(
        [
            median(a / b for a, b in zip(row.ratios, native.ratios, strict=True))
            for row, native in pairs
        ]
    )


def mean_mips(here: dict[tuple[str, str], Row], runner: str) -> float:
    """The geometric mean of a runner's MIPS."""
    return geometric_mean([row.mips for row in here.values() if row.runner == runner])


def split(text: str) -> list[str]:
    """A comma-separated list."""
    return [word for word in text.split(",") if word]


def usable_engines() -> list[str]:
    """What can run here, fastest first; the portable engine takes too long to be asked for."""
    return [e.name for e in reversed(probe()) if e.usable and e.name != "python"] or ["python"]


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options."""
    add = parser.add_argument
    add(
        "programs",
        nargs="*",
        type=Path,
        metavar="FOLDER",
        help="sources of CoreMark, Dhrystone, Embench, to be built and run instead of kernels; "
        "`whole`: the kernels from a process's start to its end, with cold and warm caches; "
        "`boot`: how long Linux takes to user space and to a prompt, `system`: how long for system "
        "calls, page faults, pipes, fork and exec, instead",
    )
    known = [*KERNELS, *FLOAT_KERNELS]
    add("--engines", type=split, default=usable_engines(), metavar="A,B")
    add("--kernels", type=split, metavar="A,B", help=f"some of {','.join(known)}")
    add("--variants", type=split, default=["rv32imac", "rv64imac"], metavar="A,B")
    add("--rounds", type=int, default=3, help="interleaved rounds; the median counts (default 3)")
    add("--scale", type=float, default=1.0, help="multiplies the work (1: seconds under QEMU)")
    add(
        "--steady",
        action="store_true",
        help="hot code alone: the CPU time that twice the work adds",
    )
    add("--work", type=float, default=4.0, metavar="SEC", help="of QEMU's time, for `whole`")
    add("--native", action="store_true", help="also build for this host with gcc -O2, and run it")
    add("--no-qemu", action="store_true", help="leave QEMU out; ratios are to the first engine")
    add("--debugging", action="store_true", help="measure what debugging costs, instead")
    linux = ROOT / "build-linux"
    add(
        "--kernel", type=Path, default=linux / "vmlinux64", metavar="FILE", help="what `boot` boots"
    )
    add("--initrd", type=Path, default=linux / "initrd64.gz", metavar="FILE", help="its RAM disk")
    add("--user-space", default="Run /init", metavar="RE", help="first text that `boot` waits for")
    add("--prompt", default="~ #", metavar="RE", help="the text at which `boot` is done")
    add("--timeout", type=float, default=600, metavar="SEC", help="for one run")
    add("--build", type=Path, default=ROOT / "benchmarks" / "build", metavar="FOLDER")
    add("--output", type=Path, default=ROOT / "benchmarks" / "results", metavar="FOLDER")


def check(args: argparse.Namespace) -> None:
    """ValueError for options that make no sense."""
    kernels = KERNELS | FLOAT_KERNELS
    for what, known in (("kernel", kernels), ("variant", VARIANTS), ("engine", ENGINES)):
        for name in getattr(args, f"{what}s") or ():
            if name not in known:
                raise ValueError(f"no {what} {name}; there are {', '.join(known)}")
    if (
        args.rounds < 1
        or not min(args.scale, args.work) > 0
        or not args.engines
        or not args.variants
    ):
        raise ValueError("--rounds, --scale and --work must be positive, the lists not empty")
    if args.programs not in ([], [Path("whole")]) and args.kernels:
        raise ValueError("give folders with programs, or --kernels")


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; the exit code."""
    rows: list[Row] = []
    try:
        check(args)
        if args.debugging:
            return debug.run(args)
        if args.programs == [Path("boot")]:
            return boot.run(args)
        if args.programs == [Path("whole")]:
            return whole.run(args)
        if args.programs == [Path("system")]:
            return system.run(args)
        qemu = not args.no_qemu and all(find_qemu(VARIANTS[v][0]).usable for v in args.variants)
        if not qemu and not args.no_qemu:
            print("QEMU is not installed: ratios are to the first engine")
        own = [*args.engines, *([NATIVE] if args.native else [])]
        args.runners = [QEMU, *own] if qemu else own
        base, compared = args.runners[0], args.runners[1:]
        programs = [p for folder in args.programs for p in find_programs(folder, args.build)]
        for variant in args.variants:
            if programs:
                works = [program_work(program, args.build) for program in programs]
            else:
                names = args.kernels or kernels_of(variant)
                works = [kernel_work(name, args.build) for name in names]
            rows += measure(variant, works, args, lambda text: print(text, flush=True))
    except (BenchmarkError, BuildError, ValueError) as error:
        print(f"otoriscv bench: error: {error}", file=sys.stderr)
        return 2 if isinstance(error, ValueError) else 1
    text = table(rows, compared, base)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "table.md").write_text(text + "\n")
    host = {"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version}
    record = {"host": host, "rounds": args.rounds, "rows": [asdict(row) for row in rows]}
    (args.output / "results.json").write_text(json.dumps(record, indent=1) + "\n")
    print(f"\n{text}")
    drawn = draw(rows, compared or [base], base, args.output)
    print(f"\nwritten to {args.output}; the plot is {drawn.name}")
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description=__doc__)
    add_arguments(parser)
    return run(parser.parse_args(argv))


if __name__ == "__main__":
    sys.exit(main())
