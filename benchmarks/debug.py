"""What debugging costs under otoriscv and QEMU: loops with and without breakpoints and watchpoints.

    otoriscv bench --debugging [--variants rv32imac,rv64imac] [--rounds 5] [--no-qemu]

Every round measures every row once under each stub, the loop
without and with what is measured directly one after the other. Guest speed is told by the CPU time
of the stub's process, so other work on the host does not count; what needs two processes (packets a
second, latency) is wall time and wants an idle host.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from benchmarks import bench_rsp
from benchmarks.bench_rsp import Stub
from benchmarks.debug_rows import (
    CONDITION,
    RATES,
    SLOWDOWNS,
    START,
    Measured,
    measure_condition,
    measure_slowdown,
)
from benchmarks.debug_session import Session
from benchmarks.plot import draw
from benchmarks.start import start_seconds
from benchmarks.suite import VARIANTS

__all__ = ["run"]

OTORISCV, QEMU = "otoriscv", "qemu"
Say = Callable[[str], None]


def run(args: argparse.Namespace) -> int:
    """Measure, print and write; the exit code."""
    rows: list[Measured] = []
    for variant in args.variants:
        rows += measure(variant, args, lambda text: print(text, flush=True))
    text = table(rows)
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / "debug.md").write_text(text + "\n")
    (args.output / "debug.json").write_text(json.dumps([asdict(r) for r in rows], indent=1) + "\n")
    names = {row.name for row in SLOWDOWNS}
    drawn = [row for row in rows if row.kernel in names]
    runners = list(dict.fromkeys(row.runner for row in rows))
    plot = draw(drawn, runners, "without", args.output, "debug")
    print(f"\n{text}\n\nwritten to {args.output}; the plot is {plot.name}")
    return 0


def measure(variant: str, args: argparse.Namespace, say: Say) -> list[Measured]:
    """All rows of one variant."""
    xlen = VARIANTS[variant][0]
    found: dict[tuple[str, str], Measured] = {}
    with tempfile.TemporaryDirectory(prefix="otoriscv-debug-") as folder, ExitStack() as stack:
        directory = Path(folder)
        loops = bench_rsp.build(xlen, directory, "debug.S")
        packets = bench_rsp.build(xlen, directory)

        def opened(elf: Path, name: str) -> dict[str, Stub]:
            own = directory / name
            own.mkdir()
            stubs = {OTORISCV: stack.enter_context(bench_rsp.otoriscv(elf, args.engines[0], own))}
            if not args.no_qemu:
                stubs[QEMU] = stack.enter_context(bench_rsp.qemu(xlen, elf))
            return stubs

        sessions = {
            name: stack.enter_context(Session(stub.port, stub.pid, loops))
            for name, stub in opened(loops, "loops").items()
        }
        others = opened(packets, "packets")
        for n in range(args.rounds):
            for runner, session in sessions.items():
                values = [*guest_rows(session, runner)]
                values += packet_rows(others[runner].port, packets)
                if runner == OTORISCV:
                    values.append((START.name, start_seconds(loops, args.engines[0])))
                for name, value in values:
                    row = found.setdefault((name, runner), Measured(name, variant, runner))
                    row.values.append(value)
            say(f"{variant}: round {n + 1} of {args.rounds} done")
    return list(found.values())


def guest_rows(session: Session, runner: str) -> Iterator[tuple[str, float]]:
    """The rows in which the guest runs."""
    for row in SLOWDOWNS:
        yield row.name, measure_slowdown(session, row)
    if runner == OTORISCV:
        yield CONDITION.name, measure_condition(session)


def packet_rows(port: int, elf: Path) -> Iterator[tuple[str, float]]:
    """The rows that are about packets, by rspbench; those that the stub can do."""
    options = argparse.Namespace(secs=0.3, iters=1000, only="step,mem,bp,int")
    result = bench_rsp.measure(port, elf, options)
    for row in RATES:
        value = bench_rsp.number(result, row.path)
        if value is not None:
            yield row.name, value


def table(rows: Sequence[Measured]) -> str:
    """Markdown: a table for each variant; medians, and the lowest and highest in brackets."""
    lines: list[str] = []
    for variant in dict.fromkeys(row.variant for row in rows):
        here = {(row.kernel, row.runner): row for row in rows if row.variant == variant}
        lines += [f"### {variant}", "", "| | wanted | otoriscv | QEMU | |", "|---|--:|--:|--:|---|"]
        for spec in (*SLOWDOWNS, CONDITION, *RATES, START):
            ours, theirs = here.get((spec.name, OTORISCV)), here.get((spec.name, QEMU))
            if ours is None:
                continue
            good = ours.value <= spec.limit if spec.at_most else ours.value >= spec.limit
            wanted = f"{'≤' if spec.at_most else '≥'} {spec.limit:,g}{spec.unit}"
            cells = [spec.title, wanted, shown(ours), "-" if theirs is None else shown(theirs)]
            lines.append("| " + " | ".join([*cells, "" if good else "missed"]) + " |")
        lines.append("")
    return "\n".join(lines).rstrip()


def shown(row: Measured) -> str:
    """Median and spread, in four digits."""

    def four(value: float) -> str:
        return f"{value:,.0f}" if value >= 1000 else f"{value:.4g}"

    return f"{four(row.value)} ({four(min(row.values))}-{four(max(row.values))})"
