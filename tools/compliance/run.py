"""Run a directory of built riscv-tests or riscv-arch-test programs and print a table.

A program with a reference signature (NAME.reference_output beside it, in references/, or under
--references) passes when the memory between begin_signature and end_signature is equal to it. Any
other program passes when it stores 1 to tohost. A file boot.args (for QEMU: qemu.args) in a
program's directory holds more arguments for it.
"""

from __future__ import annotations

import argparse
import fnmatch
import os
import re
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from elftools.common.exceptions import ELFError
from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

ROOT = Path(__file__).resolve().parents[2]
BEGIN, END = "begin_signature", "end_signature"


@dataclass(frozen=True)
class Program:
    """One test: an ELF file and what is needed to judge its run."""

    path: Path
    suite: str
    name: str
    xlen: int
    symbols: dict[str, int] = field(hash=False)
    reference: Path | None


@dataclass(frozen=True)
class Options:
    """What the command line asks for."""

    device: str
    engine: str
    compiled: bool
    timeout: float
    instructions: int


@dataclass(frozen=True)
class Result:
    """How a program ended: ``problem`` is empty when it passed. Of its *retired* instructions some
    were in regions, if that was asked for."""

    program: Program
    problem: str
    seconds: float
    retired: int = 0
    in_regions: int = 0


def symbols_of(elf: ELFFile) -> dict[str, int]:
    """Addresses of the symbols that tests end with."""
    wanted = {"tohost", BEGIN, END}
    found: dict[str, int] = {}
    for section in elf.iter_sections():
        if isinstance(section, SymbolTableSection):
            for symbol in section.iter_symbols():
                if symbol.name in wanted:
                    found[symbol.name] = symbol["st_value"]
    return found


def find_reference(path: Path, references: Path | None) -> Path | None:
    """The reference signature of a program, when there is one."""
    name = f"{path.name.removesuffix('.elf')}.reference_output"
    beside = (path.parent / name, path.parent / "references" / name)
    for candidate in (*beside, path.parent.parent / "references" / name):
        if candidate.is_file():
            return candidate
    return next(iter(sorted(references.rglob(name))), None) if references else None


def find_programs(directory: Path, references: Path | None) -> Iterator[Program]:
    """Every RISC-V test program under *directory*, in order."""
    for path in sorted(directory.rglob("*")):
        if not path.is_file():
            continue
        with path.open("rb") as stream:
            if stream.read(4) != b"\x7fELF":
                continue
            try:
                elf = ELFFile(stream)
                if elf["e_machine"] != "EM_RISCV" or elf["e_type"] != "ET_EXEC":
                    continue
                xlen, symbols = elf.elfclass, symbols_of(elf)
            except ELFError:
                continue
        reference = find_reference(path, references)
        if reference is None and "tohost" not in symbols:
            continue
        # riscv-tests' own makefile names its programs rv64ui-p-add, all in one directory.
        flat = re.fullmatch(r"(rv(?:32|64)\w+-[a-z]+)-(.+)", path.name)
        suite, name = flat.groups() if flat else (path.parent.name, path.stem)
        yield Program(path, suite, name, xlen, symbols, reference)


def extra_arguments(program: Program, file: str) -> list[str]:
    """The arguments in a suite's boot.args or qemu.args."""
    path = program.path.parent / file
    return shlex.split(path.read_text(), comments=True) if path.is_file() else []


def compare(signature: str, reference: Path) -> str:
    """Why *signature* (words of 4 bytes in hex, a line each) is not the reference's; "" if it is.

    Padding behind the reference's last word (the end is aligned) must be zero.
    """
    got = signature.split()
    want = reference.read_text().split()
    if len(got) < len(want):
        return f"signature has {len(got)} words, the reference {len(want)}"
    for index, (mine, theirs) in enumerate(zip(got, want, strict=False)):
        if mine.lower() != theirs.lower():
            return f"signature word {index} is {mine}, the reference has {theirs}"
    if any(int(word, 16) for word in got[len(want) :]):
        return "the signature goes on behind the reference"
    return ""


def run_otoriscv(program: Program, options: Options) -> tuple[str, str]:
    """Run under otoriscv: why it failed, or "", and what was printed."""
    if options.compiled:
        command = [sys.executable, "-m", "tools.compliance.compiled", str(program.path)]
    else:
        command = [sys.executable, "-m", "otoriscv", "boot", str(program.path)]
        command += ["--serial", "null", "--clock", "virtual"]
        if options.engine:
            command += ["--engine", options.engine]
    command += ["--max-instructions", str(options.instructions)]
    command += extra_arguments(program, "boot.args")
    with tempfile.TemporaryDirectory() as directory:
        file = Path(directory, "signature")
        if program.reference:
            command += ["--signature", str(file)]
        try:
            done = subprocess.run(
                command,
                cwd=ROOT,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                errors="replace",
                timeout=options.timeout,
            )
        except subprocess.TimeoutExpired:
            return f"no end after {options.timeout:g} s", ""
        if done.returncode:
            said = done.stderr.strip().splitlines()
            return f"exit code {done.returncode}" + (f": {said[-1]}" if said else ""), done.stdout
        if program.reference is None:
            return "", done.stdout
        if not file.is_file():
            return "no signature was written", done.stdout
        return compare(file.read_text(), program.reference), done.stdout


class QemuMonitor:
    """QEMU's human monitor on its stdin and stdout."""

    PROMPT = b"(qemu) "

    def __init__(self, command: Sequence[str]) -> None:
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
        self._read()

    def _read(self) -> str:
        assert self.process.stdout is not None
        text = bytearray()
        while not text.endswith(self.PROMPT):
            byte = self.process.stdout.read1(4096)  # type: ignore[attr-defined]  # BufferedReader
            if not byte:
                raise RuntimeError(f"QEMU ended: {text.decode(errors='replace').strip()}")
            text += byte
        return text.decode(errors="replace")

    def ask(self, command: str) -> str:
        """Send one command; its answer."""
        assert self.process.stdin is not None
        self.process.stdin.write(command.encode() + b"\n")
        self.process.stdin.flush()
        return self._read()

    def word(self, address: int) -> int:
        """A word of guest memory."""
        answer = re.search(r": (0x[0-9a-f]+)\s", self.ask(f"xp /1wx {address:#x}"))
        return int(answer[1], 16) if answer else 0

    def close(self) -> None:
        """End QEMU."""
        self.process.kill()
        self.process.communicate()


def run_qemu(program: Program, options: Options) -> str:
    """Run under QEMU's virt machine; why it failed, or ""."""
    command = [f"qemu-system-riscv{program.xlen}", "-M", "virt", "-bios", "none", "-m", "128M"]
    command += ["-display", "none", "-serial", "null", "-monitor", "stdio"]
    command += ["-kernel", str(program.path), *extra_arguments(program, "qemu.args")]
    monitor = QemuMonitor(command)
    try:
        deadline = time.monotonic() + options.timeout
        while not (status := monitor.word(program.symbols["tohost"])):
            if time.monotonic() > deadline:
                return f"no end after {options.timeout:g} s"
            time.sleep(0.01)
        if program.reference is None:
            return "" if status == 1 else f"tohost is {status:#x}"
        begin, end = program.symbols[BEGIN], program.symbols[END]
        with tempfile.TemporaryDirectory() as directory:
            file = Path(directory, "signature")
            monitor.ask(f'pmemsave {begin:#x} {end - begin} "{file}"')
            data = file.read_bytes()
        words = (int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4))
        return compare("\n".join(f"{word:08x}" for word in words), program.reference)
    finally:
        monitor.close()


def run_one(program: Program, options: Options) -> Result:
    """Run one program on the device asked for."""
    started, said = time.monotonic(), ""
    try:
        if options.device == "qemu":
            problem = run_qemu(program, options)
        else:
            problem, said = run_otoriscv(program, options)
    except (OSError, RuntimeError, KeyError) as error:
        problem = f"{type(error).__name__}: {error}"
    counts = [int(word) for word in said.split()] if options.compiled else []
    return Result(program, problem, time.monotonic() - started, *counts[:2])


def table(results: Sequence[Result]) -> str:
    """A line per suite, then one per failure."""
    suites: dict[str, list[Result]] = {}
    for result in results:
        suites.setdefault(result.program.suite, []).append(result)
    width = max(len("suite"), *(len(suite) for suite in suites))
    counted = any(result.retired for result in results)
    lines = [f"{'suite':{width}}  passed  failed  seconds" + "  in regions" * counted]
    for suite, members in [*suites.items(), ("all", list(results))]:
        failed = sum(bool(result.problem) for result in members)
        seconds = sum(result.seconds for result in members)
        lines.append(f"{suite:{width}}  {len(members) - failed:6}  {failed:6}  {seconds:7.1f}")
        if counted:
            total = sum(result.retired for result in members)
            lines[-1] += f"  {sum(result.in_regions for result in members) / max(1, total):10.0%}"
    for result in results:
        if result.problem:
            lines.append(f"FAILED {result.program.suite}/{result.program.name}: {result.problem}")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; 0 when everything passed, 1 when something failed, 2 when nothing was found."""
    parser = argparse.ArgumentParser(prog="tools/compliance/run.py", description=__doc__)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--device", choices=["otoriscv", "qemu"], default="otoriscv")
    parser.add_argument("--engine", default="", help="otoriscv's engine (default: its own choice)")
    parser.add_argument(
        "--compiled",
        action="store_true",
        help="make regions of all that is executed, and run these",
    )
    parser.add_argument("--references", type=Path, help="directory of *.reference_output files")
    parser.add_argument("--only", default="*", metavar="PATTERN", help="SUITE/NAME, with * and ?")
    parser.add_argument("-j", "--jobs", type=int, default=0, help="in parallel (0: every core)")
    parser.add_argument("--timeout", type=float, default=60, metavar="SEC", help="for each program")
    parser.add_argument("--max-instructions", type=int, default=20_000_000, metavar="N")
    args = parser.parse_args(argv)
    if args.compiled and (args.engine or args.device == "qemu"):
        parser.error("--compiled chooses the engine")
    options = Options(args.device, args.engine, args.compiled, args.timeout, args.max_instructions)
    programs = [
        program
        for program in find_programs(args.directory, args.references)
        if fnmatch.fnmatch(f"{program.suite}/{program.name}", args.only)
    ]
    if not programs:
        print(f"no RISC-V test programs under {args.directory} match {args.only}", file=sys.stderr)
        return 2
    with ThreadPoolExecutor(args.jobs or os.cpu_count() or 1) as pool:
        results = list(pool.map(lambda program: run_one(program, options), programs))
    print(table(results))
    return int(any(result.problem for result in results))


if __name__ == "__main__":
    sys.exit(main())
