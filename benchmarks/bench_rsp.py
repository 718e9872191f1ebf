"""The stub of `otoriscv serve` beside QEMU's, measured by rspbench.py on the same guest.

    python benchmarks/bench_rsp.py [--xlen 32,64] [--only step,mem,bp,slow,int] [--json FILE]

Prints a table of values and ratios (above 1: otoriscv is better) and writes the raw results.
"""

from __future__ import annotations

import argparse
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))

from otoriscv.tools import find_cc, find_qemu  # noqa: E402

Result = dict[str, Any]

START_SECONDS = 30.0
MARCH = {32: ("rv32imac", "ilp32"), 64: ("rv64imac", "lp64")}

# What is compared: path into rspbench's JSON, title, and whether more is better.
ROWS: tuple[tuple[str, str, bool], ...] = (
    ("connect_ms", "connect, ms", False),
    ("qC_roundtrips_per_s", "round trips /s", True),
    ("g_per_s", "g /s", True),
    ("p_pc_per_s", "p pc /s", True),
    ("s_per_s", "s /s", True),
    ("s_plus_g_per_s", "s + g /s", True),
    ("vCont_s_per_s", "vCont;s /s", True),
    ("m_read_max.MBps", "m, largest, MB/s", True),
    ("m_read_1k.MBps", "m, 1 KiB, MB/s", True),
    ("m_read_4B.pkts_per_s", "m, 4 bytes /s", True),
    ("M_write.MBps", "M, MB/s", True),
    ("X_write.MBps", "X, MB/s", True),
    ("bp_cycle_gdbstyle_per_s", "z s Z c cycles /s", True),
    ("bp_cycle_gdbstyle_with_g_per_s", "g z s g Z c cycles /s", True),
    ("bp_cycle_s_c_per_s", "s c cycles /s", True),
    ("Zz_pair_per_s", "z Z pairs /s", True),
    ("wp_hits_per_s", "watchpoint hits /s", True),
    ("hot_base.MIPS", "hot loop, MIPS", True),
    ("bp_same_code_page.MIPS", "breakpoint in hot page, MIPS", True),
    ("bp_other_code_page.MIPS", "breakpoint in another page, MIPS", True),
    ("wp_same_page.MIPS", "watch in hot page, MIPS", True),
    ("rwp_same_page.MIPS", "rwatch in hot page, MIPS", True),
    ("wp_far_page.MIPS", "watch in another page, MIPS", True),
    ("many_bp_1000.MIPS", "1000 breakpoints, MIPS", True),
    ("bp_same_code_page.slowdown", "slowdown: breakpoint in hot page", False),
    ("wp_same_page.slowdown", "slowdown: watch in hot page", False),
    ("rwp_same_page.slowdown", "slowdown: rwatch in hot page", False),
    ("cond_false.hits_per_s", "false condition, hits /s", True),
    ("interrupt.median_ms", "interrupt, median ms", False),
    ("interrupt.max_ms", "interrupt, worst ms", False),
)


class Stub(NamedTuple):
    """A stub that listens."""

    port: int
    pid: int


def main() -> int:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--xlen", default="32", help="32, 64 or 32,64")
    parser.add_argument("--only", default="", help="groups of rspbench: step,rt,mem,bp,slow,int")
    parser.add_argument("--secs", type=float, default=1.0, help="seconds per rate")
    parser.add_argument("--iters", type=int, default=5_000_000, help="iterations of the hot loop")
    parser.add_argument("--engine", default="auto", help="the engine of otoriscv")
    parser.add_argument("--json", type=Path, help="where the raw results go")
    options = parser.parse_args()
    everything: dict[str, dict[str, Result]] = {}
    with tempfile.TemporaryDirectory(prefix="otoriscv-rsp-") as directory:
        for xlen in (int(word) for word in options.xlen.split(",")):
            elf = build(xlen, Path(directory))
            results = {}
            with qemu(xlen, elf) as stub:
                results["qemu"] = measure(stub.port, elf, options)
            with otoriscv(elf, options.engine, Path(directory)) as stub:
                results["otoriscv"] = measure(stub.port, elf, options)
            everything[f"rv{xlen}"] = results
            print(f"rv{xlen}\n{table(results)}\n", flush=True)
    if options.json is not None:
        options.json.write_text(json.dumps(everything, indent=1) + "\n")
    return int(any("error" in result for pair in everything.values() for result in pair.values()))


def build(xlen: int, directory: Path, source: str = "bench.S") -> Path:
    """Compile a guest of benchmarks/rsp."""
    compiler = find_cc()
    if not compiler.usable:
        raise SystemExit(f"no RISC-V compiler: {compiler.reason}")
    elf = directory / f"{Path(source).stem}{xlen}.elf"
    march, mabi = MARCH[xlen]
    sources = HERE / "rsp"
    command = [
        *compiler.command, f"-march={march}", f"-mabi={mabi}", "-nostdlib",
        "-T", str(sources / "link.ld"), str(sources / source), "-o", str(elf),
    ]  # fmt: skip
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{source} for rv{xlen}: {done.stderr.strip()}")
    return elf


@contextmanager
def qemu(xlen: int, elf: Path) -> Iterator[Stub]:
    """QEMU, halted and listening."""
    tool = find_qemu(xlen)
    if not tool.usable:
        raise SystemExit(f"no QEMU: {tool.reason}")
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    command = [
        *tool.command, "-M", "virt", "-bios", "none", "-kernel", str(elf), "-display", "none",
        "-serial", "null", "-monitor", "none", "-gdb", f"tcp:127.0.0.1:{port}", "-S",
    ]  # fmt: skip
    with running(command) as process:
        wait_for(lambda: listens(port), process)
        yield Stub(port, process.pid)


@contextmanager
def otoriscv(elf: Path, engine: str, directory: Path) -> Iterator[Stub]:
    """``otoriscv serve`` on a port of its choice."""
    port_file = directory / "port"
    port_file.unlink(missing_ok=True)
    command = [
        sys.executable, "-m", "otoriscv", "serve", str(elf), "--engine", engine,
        "--port", "0", "--port-file", str(port_file), "--serial", "null",
    ]  # fmt: skip
    with running(command, stderr=subprocess.DEVNULL) as process:
        wait_for(lambda: port_file.is_file() and bool(port_file.read_text().strip()), process)
        yield Stub(int(port_file.read_text()), process.pid)


@contextmanager
def running(command: list[str], stderr: int | None = None) -> Iterator[subprocess.Popen[bytes]]:
    """A process that ends with the block."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stderr=stderr, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def wait_for(condition: Any, process: subprocess.Popen[bytes]) -> None:
    """Until *condition*, as long as the process lives."""
    end = time.monotonic() + START_SECONDS
    while not condition():
        if process.poll() is not None:
            raise SystemExit(f"{process.args!r} ended with code {process.returncode}")
        if time.monotonic() > end:
            raise SystemExit(f"{process.args!r} does not listen")
        time.sleep(0.02)


def listens(port: int) -> bool:
    """True when the port is bound: asked by trying to bind it, as a probe would be a client."""
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return True
    return False


def measure(port: int, elf: Path, options: argparse.Namespace) -> Result:
    """One run of rspbench with the *options* secs, iters and only."""
    command = [
        sys.executable, str(HERE / "rspbench.py"), f"127.0.0.1:{port}", "--elf", str(elf),
        "--secs", str(options.secs), "--iters", str(options.iters), "--only", options.only,
    ]  # fmt: skip
    done = subprocess.run(command, stdout=subprocess.PIPE, check=True)
    result: Result = json.loads(done.stdout)
    return result


def table(results: Mapping[str, Result]) -> str:
    """Both stubs side by side."""
    lines = [f"{'':36}{'QEMU':>12}{'otoriscv':>12}{'better':>9}"]
    for path, title, more_is_better in ROWS:
        theirs, ours = (number(results[name], path) for name in ("qemu", "otoriscv"))
        if theirs is None and ours is None:
            continue
        ratio = ""
        if theirs and ours:
            ratio = f"{ours / theirs if more_is_better else theirs / ours:.2f}x"
        lines.append(f"{title:36}{show(theirs):>12}{show(ours):>12}{ratio:>9}")
    for name, result in results.items():
        if "error" in result:
            lines.append(f"{name} failed: {result['error']}")
    return "\n".join(lines)


def number(result: Result, path: str) -> float | None:
    """The value at a dotted path; None when it was not measured or is not supported."""
    value: Any = result
    for key in path.split("."):
        value = value.get(key) if isinstance(value, dict) else None
    return float(value) if isinstance(value, (int, float)) else None


def show(value: float | None) -> str:
    """A number of about four digits."""
    if value is None:
        return "-"
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


if __name__ == "__main__":
    sys.exit(main())
