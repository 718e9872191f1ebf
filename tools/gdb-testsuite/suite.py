"""Run single .exp files of gdb's test-suite against a stub."""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Container, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final

__all__ = ["MADE_BY", "MEMORY_BREAKPOINTS", "STOPPED", "Suite", "fetch"]

HERE: Final = Path(__file__).resolve().parent
ROOT: Final = HERE.parents[1]
CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "otoriscv" / "gdb"
#: With columns a line has several rows in the line table, and gdb steps through each by itself.
CFLAGS: Final = {
    32: "-march=rv32imafdc -mabi=ilp32d -gno-column-info",
    64: "-march=rv64imafdc -mabi=lp64d -mcmodel=medany -gno-column-info",
}
#: As gdb.exp sets them, but for the time-out: a stub on a loaded host may start in more than 2 s.
_GDB_FLAGS: Final = (
    '-nw -nx -iex "set height 0" -iex "set width 0" -iex "set remotetimeout 30" '
    "-data-directory /usr/share/gdb"
)
#: What a summary says besides what dejagnu writes: that a test took too long, and what was tested.
STOPPED: Final = "stopped after"
MADE_BY: Final = "stub: "
GCC: Final = "riscv64-unknown-elf-gcc"
#: Behind a test's name: gdb writes ebreak into memory instead of asking the stub (Z packets).
MEMORY_BREAKPOINTS: Final = "+memory-breakpoints"


def fetch() -> Path:
    """The source of gdb, downloaded once."""
    found = sorted(CACHE.glob("gdb-*/gdb/testsuite"))
    if not found:
        CACHE.mkdir(parents=True, exist_ok=True)
        get = ["apt-get", "source", "--download-only", "gdb"]
        if subprocess.run(get, cwd=CACHE).returncode:
            raise SystemExit("apt-get source failed: add a deb-src line, or use --source DIR")
        archive = max(p for p in CACHE.glob("gdb_*.orig.tar.*") if p.suffix != ".asc")
        with tarfile.open(archive) as tar:
            tar.extractall(CACHE, filter="data")
        found = sorted(CACHE.glob("gdb-*/gdb/testsuite"))
    return found[-1].parents[1]


class Suite:
    """gdb's test-suite set up for one stub, in a folder of its own."""

    def __init__(self, stub: str, xlen: int, engine: str, source: Path, work: Path) -> None:
        self.stub, self.work, self.version = stub, work, _version(stub, xlen)
        testsuite = work / "gdb" / "testsuite"
        if not testsuite.exists():
            work.mkdir(parents=True, exist_ok=True)
            (work / "include").symlink_to(source / "include")  # a test reads dwarf2.h
            _overlay(source / "gdb" / "testsuite", testsuite)
            _program(xlen, work / "program")
        boards = work / "boards"
        boards.mkdir(exist_ok=True)
        shutil.copy(HERE / "board.exp", boards / "riscv-bare.exp")
        settings = {
            "host_triplet": "x86_64-pc-linux-gnu",
            "build_triplet": "x86_64-pc-linux-gnu",
            "target_triplet": f"riscv{xlen}-unknown-elf",
            "target_alias": "riscv64-unknown-elf",
            "tool": "gdb",
            "srcdir": str(testsuite),
            "objdir": str(work),
            "GDB": shutil.which("gdb-multiarch") or "gdb-multiarch",
            "INTERNAL_GDBFLAGS": _GDB_FLAGS,
            "gdb_test_timeout": "20",
            "enable_libctf": "no",  # what gdb's own configure script would have written
        }
        lines = [f"set {name} {{{value}}}" for name, value in settings.items()]
        lines.append(f'lappend boards_dir "{boards}"')
        (work / "site.exp").write_text("\n".join(lines) + "\n")
        self.environment = {
            **os.environ,
            "STUB": _command(stub, xlen, engine),
            "CFLAGS": CFLAGS[xlen],
            "PROGRAM": str(work / "program"),
            "TERM": "dumb",
            "DEJAGNU": str(work / "site.exp"),
        }

    def summary(self, test: str) -> Path:
        """Where *test*'s results are (dejagnu's .sum; the .log is beside it)."""
        return self.work / f"{test.replace('/', '-')}.sum"

    def run(self, test: str, timeout: float) -> None:
        """Run *test*; one that takes longer than *timeout* seconds is stopped and says so."""
        name, variant, _ = test.partition(MEMORY_BREAKPOINTS)
        environment: Mapping[str, str] = {
            **self.environment,
            "MEMORY_BREAKPOINTS": str(int(bool(variant))),
        }
        line = ["runtest", "--tool", "gdb", "--target_board", "riscv-bare", name]
        made = self.work / "gdb.sum"
        made.unlink(missing_ok=True)
        late = False
        with (self.work / "runtest.out").open("a") as out:
            process = subprocess.Popen(
                line, cwd=self.work, env=environment, stdout=out, stderr=out, start_new_session=True
            )
            try:
                process.wait(timeout)
            except subprocess.TimeoutExpired:
                late = True
                for pid in (process.pid, *_descendants(process.pid)):
                    with suppress(ProcessLookupError):
                        os.kill(pid, 15)
                process.wait()
        text = made.read_text(errors="replace") if made.exists() else ""
        if late:
            text += f"\nERROR: {name}: {STOPPED} {timeout:.0f} s\n"
        text += f"\n{MADE_BY}{self.version}\n"
        summary = self.summary(test)
        if (self.work / "gdb.log").exists():
            shutil.copy(self.work / "gdb.log", summary.with_suffix(".log"))
        summary.write_text(text)
        shutil.rmtree(self.work / "temp", ignore_errors=True)


def _command(stub: str, xlen: int, engine: str) -> str:
    """What gdb starts behind ``target remote |``."""
    if stub == "qemu":
        return (
            f"qemu-system-riscv{xlen} -M virt -m 128M -bios none -display none -serial none "
            "-monitor none -S -gdb stdio -semihosting-config enable=on,target=native"
        )
    python = f"env PYTHONPATH={shlex.quote(str(ROOT))} {shlex.quote(sys.executable)} -m otoriscv"
    return f"{python} serve --isa rv{xlen}gc --engine {engine} --gdb stdio"


def _descendants(pid: int) -> list[int]:
    """The processes below *pid*: expect gives gdb and so the stub sessions of their own."""
    children = _call("ps", "-o", "pid=", "--ppid", str(pid), fine=(0, 1)).split()
    return [found for child in map(int, children) for found in (child, *_descendants(child))]


def _version(stub: str, xlen: int) -> str:
    """What is tested: QEMU's version, or our commit, with a + when it was changed since."""
    if stub == "qemu":
        return _call(f"qemu-system-riscv{xlen}", "--version").partition("\n")[0]
    git = ["git", "-C", str(ROOT)]
    changed = _call(*git, "status", "--porcelain", "--untracked-files=no", "otoriscv")
    return f"otoriscv {_call(*git, 'rev-parse', '--short', 'HEAD').strip()}{'+' * bool(changed)}"


def _overlay(testsuite: Path, place: Path) -> None:
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


def _program(xlen: int, place: Path) -> None:
    """The startup code, the linker script and the C library, all without debug information.

    With it, `main` would not be the first function that gdb knows of, and `step` would enter libc.
    """
    place.mkdir()
    shutil.copy(HERE / "link.ld", place)
    flags = [*CFLAGS[xlen].split(), "--specs=picolibc.specs"]
    _call(GCC, *flags, "-c", str(HERE / "crt0.S"), "-o", str(place / "crt0.o"))
    source = place / "main.c"
    source.write_text("int main(void) { return 0; }\n")
    trace = _call(GCC, *flags, "--oslib=semihost", "-Wl,-t", str(source), "-lm", "-o", os.devnull)
    libraries = {Path(found) for found in re.findall(r"/\S+?/lib\w+\.a", trace)}
    for library in libraries:
        _call("riscv64-unknown-elf-objcopy", "-g", str(library), str(place / library.name))


def _call(*line: str, fine: Container[int] = (0,)) -> str:
    done = subprocess.run(line, capture_output=True, text=True)
    if done.returncode not in fine:
        raise SystemExit(f"{' '.join(line)}: {done.stderr.strip()}")
    return done.stdout
