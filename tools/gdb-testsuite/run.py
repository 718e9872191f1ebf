#!/usr/bin/env python3
"""Run gdb's own test-suite against `otoriscv serve --gdb stdio`, and against QEMU.

    tools/gdb-testsuite/run.py [--stub otoriscv,qemu] [--xlen 64] [--source DIR] [TEST.exp ...]

Needs dejagnu, gdb-multiarch, gcc and picolibc for riscv64-unknown-elf, and the testsuite of the
gdb version that runs (the Debian source package; fetched with apt-get when --source is not given).
A TEST may be a pattern (``gdb.base/*.exp``); without any, those run that can test something on a
bare machine; --skipped lists the others and why. Each file's
results are kept in the work folder as it ends; --resume runs only what is missing there.
Prints the counts per file, and every bad result of ours with its known cause (causes.txt) and
whether QEMU has it too; the exit code is 1 when one has no known cause.
"""

from __future__ import annotations

import argparse
import shutil
import sys
from collections import Counter
from pathlib import Path

from results import Outcome, causes, parse, report, table
from selection import candidates, chosen, reason
from suite import HERE, Suite, fetch


def main() -> int:
    """Run what was asked for, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stub", default="otoriscv,qemu", help="otoriscv, qemu or both")
    parser.add_argument("--xlen", type=int, default=64, choices=(32, 64))
    parser.add_argument("--source", type=Path, help="the unpacked source of gdb")
    parser.add_argument("--engine", default="auto", help="otoriscv's engine")
    parser.add_argument("--work", type=Path, default=Path("build/gdb-testsuite"))
    parser.add_argument("--timeout", type=int, default=600, help="seconds per .exp file")
    parser.add_argument("--resume", action="store_true", help="keep the results that are there")
    parser.add_argument("--report", action="store_true", help="run nothing: what is there already")
    parser.add_argument("--table", type=Path, help="write the counts to this file")
    parser.add_argument("--skipped", action="store_true", help="which are left out, and why")
    parser.add_argument("tests", nargs="*", help="instead of all that can run")
    options = parser.parse_args()
    source = options.source if options.source is not None else fetch()
    if options.skipped:
        return skipped(source / "gdb" / "testsuite")
    suites = []
    for stub in options.stub.split(","):
        work = (options.work / f"{stub}{options.xlen}").resolve()
        if not (options.resume or options.report):
            shutil.rmtree(work, ignore_errors=True)
        suites.append(Suite(stub, options.xlen, options.engine, source, work))
    results: dict[str, dict[str, Outcome]] = {suite.stub: {} for suite in suites}
    for test in select(options.tests, source):
        for suite in suites:
            summary = suite.summary(test)
            if not summary.exists():
                if options.report:
                    continue
                suite.run(test, options.timeout)
            results[suite.stub][test] = outcome = parse(summary)
            counts = " ".join(f"{kind} {n}" for kind, n in sorted(outcome.counts.items()))
            print(f"{suite.stub:10} {test:50} {counts}", flush=True)
    counts = table(results)
    if options.table is not None:
        options.table.write_text(counts + "\n")
    text, unknown = report(results, causes(HERE / "causes.txt"))
    print(f"\n{counts}\n\n{text}")
    return int(unknown > 0)


def skipped(testsuite: Path) -> int:
    """Print the tests that are left out, by the reason."""
    names = list(candidates(testsuite))
    reasons = {name: why for name in names if (why := reason(testsuite, name))}
    for why, number in Counter(reasons.values()).most_common():
        print(f"{number} for {why}:", *(n for n, w in reasons.items() if w == why), sep="\n  ")
    print(f"{len(reasons)} of {len(names)} are left out")
    return 0


def select(patterns: list[str], source: Path) -> list[str]:
    """The names that were asked for, or all that can run."""
    testsuite = source / "gdb" / "testsuite"
    if not patterns:
        return chosen(testsuite)
    names: list[str] = []
    for pattern in patterns:
        wanted, plus, variant = pattern.partition("+")
        found = sorted(str(path.relative_to(testsuite)) for path in testsuite.glob(wanted))
        if not found:
            raise SystemExit(f"this gdb has no test {pattern}")
        names += [f"{name}{plus}{variant}" for name in found]
    return names


if __name__ == "__main__":
    sys.exit(main())
