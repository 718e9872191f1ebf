#!/usr/bin/env python3
"""Run gdb's own test-suite against `otoriscv serve --gdb stdio`, and against QEMU.

    tools/gdb-testsuite/run.py [--stub otoriscv,qemu] [--xlen 64] [--source DIR] [TEST.exp ...]

Needs dejagnu, gdb-multiarch, gcc and picolibc for riscv64-unknown-elf, and the testsuite of the
gdb version that runs (the Debian source package; fetched with apt-get when --source is not given).
Prints every FAIL of ours with its known cause (causes.txt) and whether QEMU has it too; the exit
code is 1 when one has no known cause.
"""

from __future__ import annotations

import argparse
import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Sequence
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoriscv" / "gdb"
MULTILIB = {
    32: "-march=rv32imac -mabi=ilp32",
    64: "-march=rv64imac -mabi=lp64 -mcmodel=medany",
}
KINDS = "PASS FAIL XFAIL XPASS KFAIL KPASS UNRESOLVED UNTESTED UNSUPPORTED ERROR"
RESULT = re.compile(rf"^({KINDS.replace(' ', '|')}): (.*)$")
BAD = ("FAIL", "UNRESOLVED", "ERROR")

Results = dict[str, str]


def main() -> int:
    """Run what was asked for, and report."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--stub", default="otoriscv,qemu", help="otoriscv, qemu or both")
    parser.add_argument("--xlen", type=int, default=64, choices=(32, 64))
    parser.add_argument("--source", type=Path, help="the unpacked source of gdb")
    parser.add_argument("--engine", default="auto", help="otoriscv's engine")
    parser.add_argument("--work", type=Path, default=Path("build/gdb-testsuite"))
    parser.add_argument("--timeout", type=int, default=600, help="seconds per .exp file")
    parser.add_argument("tests", nargs="*", help="instead of tests.txt")
    options = parser.parse_args()
    source = options.source if options.source is not None else fetch()
    tests = options.tests or listed()
    results: dict[str, Results] = {}
    for stub in options.stub.split(","):
        work = (options.work / f"{stub}{options.xlen}").resolve()
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir(parents=True)
        line = command(stub, options.xlen, options.engine)
        results[stub] = run(line, source, work, tests, options)
    return report(results)


def listed() -> list[str]:
    """The names in tests.txt."""
    lines = (HERE / "tests.txt").read_text().splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def fetch() -> Path:
    """The source of gdb, downloaded once."""
    found = sorted(CACHE.glob("gdb-*/gdb/testsuite"))
    if not found:
        CACHE.mkdir(parents=True, exist_ok=True)
        get = ["apt-get", "source", "--download-only", "gdb"]
        if subprocess.run(get, cwd=CACHE).returncode:
            raise SystemExit("apt-get source failed: add a deb-src line, or use --source DIR")
        archive = max(CACHE.glob("gdb_*.orig.tar.*"))
        with tarfile.open(archive) as tar:
            tar.extractall(CACHE, filter="data")
        found = sorted(CACHE.glob("gdb-*/gdb/testsuite"))
    return found[-1].parents[1]


def command(stub: str, xlen: int, engine: str) -> str:
    """What gdb starts behind ``target remote |``."""
    if stub == "qemu":
        return (
            f"qemu-system-riscv{xlen} -M virt -m 128M -bios none -display none -serial none "
            "-monitor none -S -gdb stdio -semihosting-config enable=on,target=native"
        )
    python = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m otoriscv"
    return f"{python} serve --isa rv{xlen}imac_zicsr_zifencei --engine {engine} --gdb stdio"


def run(
    stub: str, source: Path, work: Path, tests: Sequence[str], options: argparse.Namespace
) -> Results:
    """Run the tests one by one; a test that hangs is stopped."""
    testsuite = overlay(source / "gdb" / "testsuite", work / "testsuite")
    (work / "site.exp").write_text(
        f"set host_triplet x86_64-pc-linux-gnu\nset build_triplet x86_64-pc-linux-gnu\n"
        f"set target_triplet riscv{options.xlen}-unknown-elf\nset target_alias riscv-unknown-elf\n"
        f'set tool gdb\nset srcdir "{testsuite}"\nset objdir "{work}"\n'
        f'set GDB "{shutil.which("gdb-multiarch")}"\nset gdb_test_timeout 20\n'
        f'set boards_dir "{HERE}"\nset GDB_DATA_DIRECTORY "/usr/share/gdb"\nset enable_libctf no\n'
    )
    boards = work / "boards"
    boards.mkdir()
    shutil.copy(HERE / "board.exp", boards / "riscv-bare.exp")
    environment = {
        **os.environ,
        "STUB": stub,
        "MULTILIB": MULTILIB[options.xlen],
        "XLEN": str(options.xlen),
        "TERM": "dumb",
        "DEJAGNU": str(work / "site.exp"),
    }
    (work / "site.exp").open("a").write(f'lappend boards_dir "{boards}"\n')
    results: Results = {}
    for test in tests:
        line = ["runtest", "--tool", "gdb", "--target_board", "riscv-bare", test]
        (work / "gdb.sum").unlink(missing_ok=True)
        with (work / "runtest.out").open("a") as out:
            process = subprocess.Popen(
                line, cwd=work, env=environment, stdout=out, stderr=out, start_new_session=True
            )
            try:
                process.wait(options.timeout)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, 15)
                process.wait()
                results[f"{test}: the whole file"] = "ERROR"
        found = parse(work / "gdb.sum")
        results |= found
        counts = " ".join(
            f"{kind} {sum(v == kind for v in found.values())}"
            for kind in ("PASS", "FAIL", "UNRESOLVED", "UNTESTED")
        )
        print(f"{test:50} {counts}", flush=True)
        name = test.replace("/", "-")
        for suffix in ("sum", "log"):
            if (work / f"gdb.{suffix}").exists():
                shutil.copy(work / f"gdb.{suffix}", work / f"{name}.{suffix}")
    return results


def overlay(testsuite: Path, place: Path) -> Path:
    """The testsuite with one mistake corrected, by links.

    config/monitor.exp takes the command behind the "|" of a pipe for a part of a pattern, and so
    does not wait for gdb's prompt.
    """
    (place / "config").mkdir(parents=True)
    for entry in testsuite.iterdir():
        if entry.name != "config":
            (place / entry.name).symlink_to(entry)
    for entry in (testsuite / "config").iterdir():
        if entry.name != "monitor.exp":
            (place / "config" / entry.name).symlink_to(entry)
    text = (testsuite / "config" / "monitor.exp").read_text()
    text = text.replace("using .*$serialport.*$gdb_prompt", "using .*$gdb_prompt")
    (place / "config" / "monitor.exp").write_text(text)
    return place


def parse(summary: Path) -> Results:
    """The results in a .sum file; a name that comes twice counts as its worse result."""
    results: Results = {}
    if summary.exists():
        for line in summary.read_text(errors="replace").splitlines():
            match = RESULT.match(line)
            if match is not None and results.get(match[2]) not in BAD:
                results[match[2]] = match[1]
    return results


def causes() -> list[tuple[re.Pattern[str], str]]:
    """causes.txt: ``pattern => cause`` lines."""
    table = []
    for line in (HERE / "causes.txt").read_text().splitlines():
        pattern, arrow, cause = line.partition(" => ")
        if arrow and not line.startswith("#"):
            table.append((re.compile(pattern), cause))
    return table


def report(results: dict[str, Results]) -> int:
    """Totals, and each failure of otoriscv with its cause."""
    for stub, found in results.items():
        kinds = sorted(set(found.values()))
        totals = ", ".join(f"{kind} {sum(v == kind for v in found.values())}" for kind in kinds)
        print(f"{stub}: {totals}")
    known, unknown = causes(), 0
    qemu = results.get("qemu")
    for name, kind in results.get("otoriscv", {}).items():
        if kind in BAD:
            cause = next((text for pattern, text in known if pattern.search(name)), "")
            unknown += not cause
            theirs = "" if qemu is None else f" [qemu: {qemu.get(name, 'not run')}]"
            print(f"{kind}: {name}{theirs} -- {cause or 'CAUSE UNKNOWN'}")
    return int(unknown > 0)


if __name__ == "__main__":
    sys.exit(main())
