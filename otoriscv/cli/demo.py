"""``otoriscv demo``: a C program on the emulator, stopped, looked into and run to its end.

With a checkout, a compiler and picolibc the guest is examples/demo, compiled on the spot; else a
small one that comes with the package. With a gdb it is debugged by gdb, else by our own client.
"""

from __future__ import annotations

import argparse
import re
import shlex
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from elftools.elf.elffile import ELFFile
from elftools.elf.sections import SymbolTableSection

from otoriscv.cli.options import add_jit_options, jit_settings
from otoriscv.gdbstub.client import PC, ClientError, RspClient, Stop
from otoriscv.jit.engine import EngineUnavailable
from otoriscv.jit.engines import choose
from otoriscv.tools import Tool, find_cc, find_gdb, find_picolibc

__all__ = ["add_arguments", "run"]

EXAMPLE = Path(__file__).resolve().parents[2] / "examples" / "demo"
PATIENCE = 120.0  # seconds for gdb's whole session
A0, RA = 10, 1  # register numbers
#: What `monitor info translations` says at a breakpoint in code that ran for long.
HOT = {"llvm": r"in [1-9]\d* compiled regions", "interp": "not in compiled code"}


class DemoError(Exception):
    """The demonstration did not go as it must; the message says where."""


@dataclass(frozen=True)
class Guest:
    """A program, how gdb goes through it, and what must be seen meanwhile."""

    name: str
    image: Path
    script: Path
    session: tuple[str, ...]  # patterns in what gdb prints, in this order
    console: tuple[str, ...]  # lines of the guest's
    code: int


def tiny_guest(xlen: int) -> Guest:
    """The guest that comes with the package."""
    data = Path(str(resources.files("otoriscv"))) / "demo"
    return Guest(
        "the guest in the package (examples/tiny)",
        data / f"tiny{xlen}.elf",
        data / "tiny.gdb",
        (
            r"Breakpoint 1, factorial \(n=2\)",
            r"^n = 2$",
            r"#0 +factorial \(n=2\)",
            r"#1 .* in factorial \(n=3\)",
            r"#2 .* in weigh \(",
            r"#3 .* in main \(",
            r"\$1 = 1$",
            r'name = 0x\w+ "apple", weight = 3',
            r"Value returned is \$3 = 2$",
            r"exited with code 052",
        ),
        ("tiny: apple, pear and melon weigh 150", "tiny: factorial was called 12 times"),
        42,
    )


def compiled_guest(xlen: int, compiler: Tool, engine: str) -> Guest:
    """examples/demo, compiled now; what is seen depends on *engine* in one line."""
    image = EXAMPLE / "build" / f"demo{xlen}.elf"
    command = ["make", "--no-print-directory", "--always-make", "-C", str(EXAMPLE)]
    command += [f"RISCV_CC={shlex.join(compiler.command)}", f"build/demo{xlen}.elf"]
    if subprocess.run(command, stdin=subprocess.DEVNULL).returncode:
        raise DemoError(f"the guest could not be compiled: {shlex.join(command)}")
    return Guest(
        "examples/demo/demo.c, compiled now",
        image,
        EXAMPLE / "demo.gdb",
        (
            r"Breakpoint 1, insert \(node=0x0, word=0x\w+ \"fox\", depth=2\)",
            r'^word = .*"fox"$',
            r"^depth = 2$",
            r"#0 +insert \(.*depth=2\)",
            r"#1 .* in insert \(.*depth=1\)",
            r"#2 .* in insert \(.*depth=0\)",
            r"#3 .* in main \(",
            r"\$1 = 2$",
            r'\$2 = \{word = .* "the", count = 1',
            r"Value returned is \$3 = \(struct node \*\) 0x\w+",
            r"atchpoint 2: words_seen",
            r"^Old value = 2$",
            r"^New value = 3$",
            r"^\$4 = 300000$",
            r"^\$5 = 0xf86e2ca2$",
            rf"^hart 0: pc 0x\w+ is {HOT.get(engine, '')}",
            r"exited with code 052",
        ),
        (
            f"hello from a RISC-V with {xlen}-bit registers",
            "  the     3",
            "11 words, 8 distinct",
            "random: 907f3c0e",
        ),
        42,
    )


def choose_guest(xlen: int, engine: str) -> Guest:
    """The compiled guest when it can be had."""
    compiler, library = find_cc(), find_picolibc()
    missing = next((tool for tool in (compiler, library) if not tool.usable), None)
    if not (EXAMPLE / "Makefile").is_file():
        why = "this is no checkout"
    elif shutil.which("make") is None:
        why = "there is no make"
    elif missing is not None:
        why = f"{missing.name}: {missing.reason}"
    else:
        return compiled_guest(xlen, compiler, engine)
    print(f"examples/demo is not compiled ({why})")
    return tiny_guest(xlen)


def title(text: str) -> None:
    """What comes next."""
    print(f"\n=== {text}", flush=True)


class Server:
    """``otoriscv serve`` as a process; what its guest prints is collected."""

    def __init__(self, image: Path, engine: str, options: Sequence[str] = ()) -> None:
        self._directory = tempfile.TemporaryDirectory()
        self._port_file = Path(self._directory.name, "port")
        command = [sys.executable, "-m", "otoriscv", "serve", str(image), "--engine", engine]
        command += [*options, "--port", "0", "--port-file", str(self._port_file)]
        print(f"$ {shlex.join(['otoriscv', *command[3:]])}", flush=True)
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        )
        self._console = bytearray()
        self._notes = bytearray()
        self._readers = [
            threading.Thread(target=self._collect, args=pair, daemon=True)
            for pair in ((self._process.stdout, self._console), (self._process.stderr, self._notes))
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _collect(stream: object, into: bytearray) -> None:
        while data := stream.read1():  # type: ignore[attr-defined]  # a BufferedReader
            into += data

    def port(self) -> int:
        """Where it listens, once it does."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline and self._process.poll() is None:
            text = self._port_file.read_text() if self._port_file.is_file() else ""
            if text.strip():
                return int(text)
            time.sleep(0.01)
        raise DemoError(f"otoriscv serve did not start to listen:\n{self.notes()}")

    def notes(self) -> str:
        """What the server wrote to its standard error."""
        return self._notes.decode(errors="replace").strip()

    def stop(self) -> str:
        """End the server; everything that its guest printed."""
        self._process.terminate()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        for reader in self._readers:
            reader.join(10)
        self._directory.cleanup()
        return self._console.decode(errors="replace").replace("\r\n", "\n")


@contextmanager
def serving(guest: Guest, engine: str, options: Sequence[str] = ()) -> Iterator[int]:
    """A server for *guest*; afterwards its console is shown and checked."""
    server = Server(guest.image, engine, options)
    try:
        port = server.port()
        print(server.notes(), flush=True)
        yield port
    finally:
        console = server.stop()
    title("what the guest printed")
    print(console.rstrip("\n"))
    lines = console.splitlines()
    for line in guest.console:
        if line not in lines:
            raise DemoError(f"the guest did not print {line!r}")


def check_order(text: str, patterns: Sequence[str]) -> None:
    """Every pattern must match, each behind the one before."""
    at = 0
    for pattern in patterns:
        match = re.compile(pattern, re.MULTILINE).search(text, at)
        if match is None:
            raise DemoError(f"gdb did not print what matches {pattern!r} (there, or at all)")
        at = match.end()


def with_gdb(gdb: Tool, guest: Guest, port: int) -> None:
    """The guest's script through gdb, every command shown before its output."""
    script = guest.script.read_text().splitlines()
    commands = [line for line in script if line and not line.startswith("#")]
    lines = ["set pagination off", "set confirm off", "set width 0", "set style enabled off"]
    lines.append("set print entry-values no")
    for command in [f"target remote localhost:{port}", *commands]:
        lines += [f"echo \\n(gdb) {command}\\n", command]
    arguments = [*gdb.command, "-nx", "-batch"]
    for line in lines:
        arguments += ["-ex", line]
    arguments.append(str(guest.image))
    print(f"$ {gdb.command[0]} {guest.image}", flush=True)
    seen: list[str] = []
    process = subprocess.Popen(
        arguments,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    watchdog = threading.Timer(PATIENCE, process.kill)
    watchdog.start()
    assert process.stdout is not None
    try:
        for line in process.stdout:
            print(line, end="", flush=True)
            seen.append(line)
        code = process.wait()
    finally:
        watchdog.cancel()
        process.kill()
    if code < 0:
        raise DemoError(f"gdb was ended after {PATIENCE:g} s")
    check_order("".join(seen), guest.session)


class Symbols:
    """The functions and objects of an ELF file."""

    def __init__(self, image: Path) -> None:
        self.address: dict[str, int] = {}
        self._functions: list[tuple[int, int, str]] = []
        with image.open("rb") as stream:
            for section in ELFFile(stream).iter_sections():
                if not isinstance(section, SymbolTableSection):
                    continue
                for symbol in section.iter_symbols():
                    start, size = symbol["st_value"], symbol["st_size"]
                    self.address[symbol.name] = start
                    if symbol["st_info"]["type"] == "STT_FUNC":
                        self._functions.append((start, start + size, symbol.name))

    def describe(self, address: int) -> str:
        """``0x80000012 <main+4>``."""
        for start, end, name in self._functions:
            if start <= address < end:
                return f"{address:#x} <{name}+{address - start}>"
        return f"{address:#x}"


def with_client(guest: Guest, port: int) -> None:
    """Break, look around, step and run to the end through our own client."""
    symbols = Symbols(guest.image)
    factorial = symbols.address["factorial"]

    def shown(command: str, action: Callable[[], str]) -> str:
        said = action()
        print(f"\n(client) {command}\n{said}", flush=True)
        return said

    def must(good: bool, what: str) -> None:
        if not good:
            raise DemoError(what)

    with RspClient("localhost", port, timeout=60) as client:

        def stopped(stop: Stop) -> str:
            if stop.exit_code is not None:
                return f"the guest ended with code {stop.exit_code}"
            where = symbols.describe(client.read_register(PC))
            return f"stopped by {stop.reason or f'signal {stop.signal}'} at {where}"

        def place() -> str:
            called = symbols.describe(client.read_register(RA))
            return f"n = {client.read_register(A0)}, called from {called}"

        def set_breakpoint() -> str:
            client.insert_breakpoint(factorial)
            return f"breakpoint at {symbols.describe(factorial)}"

        def clear_breakpoint() -> str:
            client.remove_breakpoint(factorial)
            return "removed"

        shown("break factorial", set_breakpoint)
        for n in (3, 2):
            said = shown("continue", lambda: stopped(client.resume()))
            must(said.endswith("<factorial+0>"), "the breakpoint in factorial was not hit")
            said = shown("print n, return address", place)
            must(said.startswith(f"n = {n},"), f"n should be {n}")
        must("<factorial+" in said, "the second call of factorial should come from the first")
        size = client.xlen // 8
        words = client.read_memory(symbols.address["basket"], 2 * size)
        name = client.read_memory(int.from_bytes(words[:size], "little"), 5).decode()
        weight = int.from_bytes(words[size : size + 4], "little")
        said = shown("print basket[0]", lambda: f"name = {name!r}, weight = {weight}")
        must((name, weight) == ("apple", 3), "basket[0] should be the apple of weight 3")
        previous = factorial
        for _ in range(4):
            said = shown("stepi", lambda: stopped(client.step()))
            now = client.read_register(PC)
            must(now != previous and "<factorial+" in said, "the step went astray")
            previous = now
        shown("delete", clear_breakpoint)
        said = shown("continue", lambda: stopped(client.resume(PATIENCE)))
        must(said == f"the guest ended with code {guest.code}", "the guest ended otherwise")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's own options."""
    parser.description = __doc__
    parser.add_argument("--xlen", type=int, choices=(32, 64), default=32)
    parser.add_argument("--engine", default="auto", help="as of otoriscv boot")
    parser.add_argument("--tiny", action="store_true", help="the guest in the package, always")
    parser.add_argument("--no-gdb", action="store_true", help="our own client, even if gdb is here")
    add_jit_options(parser)


def _jit_words(args: argparse.Namespace) -> list[str]:
    """The options of `add_jit_options` again, for the server."""
    jit = jit_settings(args)
    words = ["--no-cache"] if args.no_cache else []
    if jit.cache_bytes is not None:
        words += ["--cache-size", f"{jit.cache_bytes >> 10}K"]
    # compiled inline unless told otherwise: the same is compiled in every run
    workers = 0 if jit.workers is None else jit.workers
    for name, value in (("threshold", jit.threshold), ("workers", workers)):
        words += [] if value is None else [f"--jit-{name}", str(value)]
    return words


def run(args: argparse.Namespace) -> int:
    """Show it; 0 when everything was as it must be."""
    try:
        engine, why = choose(args.engine)
        title("the guest")
        gdb = Tool("gdb", "", reason="--no-gdb") if args.no_gdb else find_gdb()
        # Our own client knows no debug information: it goes through the small guest.
        small = args.tiny or not gdb.usable
        guest = tiny_guest(args.xlen) if small else choose_guest(args.xlen, engine)
        print(f"{guest.name}: {guest.image}")
        title(f"the emulator ({engine} engine), halted, waiting for a debugger")
        if why:
            print(why)
        with serving(guest, engine, _jit_words(args)) as port:
            if gdb.usable:
                title("gdb")
                with_gdb(gdb, guest, port)
            else:
                title(f"our own client (no gdb: {gdb.reason})")
                with_client(guest, port)
    except (DemoError, ClientError, EngineUnavailable, OSError) as error:
        print(f"otoriscv demo: {error}", file=sys.stderr)
        return 1
    title(f"the guest's exit code was {guest.code}: all as it must be")
    return 0


def main() -> int:
    """`python -m otoriscv.cli.demo`."""
    parser = argparse.ArgumentParser(prog="otoriscv demo")
    add_arguments(parser)
    return run(parser.parse_args())


if __name__ == "__main__":
    sys.exit(main())
