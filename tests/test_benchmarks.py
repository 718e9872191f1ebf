"""The benchmark kernels build, and the harness's arithmetic is right."""

from __future__ import annotations

import argparse
import json
import os
import shutil
import struct
import subprocess
import sys
import time
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from benchmarks import boot, caches, suite, system, whole
from benchmarks import run as bench
from benchmarks.debug import table as debug_table
from benchmarks.debug_rows import CONDITION, RATES, SLOWDOWNS, START, Measured
from benchmarks.firmware import firmware_options
from benchmarks.plot import svg
from benchmarks.programs import find_programs
from benchmarks.run import Row, Run, Work, geometric_mean, measure, run_engine, run_qemu, table
from otoriscv import Machine
from otoriscv.board.fdt_read import from_blob
from otoriscv.cli.main import main
from otoriscv.core.encode import assemble
from otoriscv.tools import Tool, find_cc, find_picolibc, find_qemu

needs_cc = pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason)
needs_qemu = pytest.mark.skipif(not find_qemu().usable, reason=find_qemu().reason)


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the kernels are built."""
    return tmp_path_factory.mktemp("kernels")


@needs_cc
@needs_qemu
@pytest.mark.qemu
@pytest.mark.parametrize(
    ("variant", "name"),
    [(v, k) for v in ("rv32imac", "rv64imac") for k in suite.KERNELS]
    + [(v, k) for v in suite.HARD_FLOAT for k in suite.FLOAT_KERNELS],
)
def test_a_short_run_of_every_kernel_prints_qemus_checksum(
    images: Path, name: str, variant: str
) -> None:
    kernel = suite.build(name, variant, images, scale=0.001)
    wanted = run_qemu(kernel, 60).checksum
    assert wanted.startswith("checksum ")
    run = run_engine("auto", kernel, 60)
    assert run.checksum == wanted
    assert int(run.stats["instructions"]) > 1000


@needs_cc
@needs_qemu
@pytest.mark.qemu
@pytest.mark.parametrize("variant", ["rv32imac-paged", "rv64imac-paged"])
def test_a_kernel_with_paging_on_runs_in_s_mode_as_under_qemu(images: Path, variant: str) -> None:
    kernel = suite.build("strings", variant, images, scale=0.001)
    assert run_engine("auto", kernel, 60).checksum == run_qemu(kernel, 60).checksum
    machine = Machine(kernel.image)
    machine.run("run")
    assert machine.regs["satp"] >> (31 if kernel.xlen == 32 else 63)
    machine.close()


def bench_fib(folder: Path, name: str, *words: str) -> list[dict[str, Any]]:
    """One round of `otoriscv bench` with *words* on a small kernel; the rows it wrote as *name*."""
    small = ["--kernels", "fib", "--variants", "rv32imac", "--rounds", "1"]
    places = ["--build", str(folder / "b"), "--output", str(folder / "o")]
    assert main(["bench", *words, *small, *places]) == 0
    rows: list[dict[str, Any]] = json.loads((folder / "o" / f"{name}.json").read_text())["rows"]
    return rows


@needs_cc
def test_steady_speed_is_what_twice_the_work_adds(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = bench_fib(
        tmp_path, "results", "--steady", "--engines", "interp", "--scale", "0.1", "--no-qemu",
        "--native",
    )  # fmt: skip
    assert "**of native**" in capfd.readouterr().out
    assert 125_000_000 < rows[0]["instructions"] < 160_000_000  # of 500 rounds, not of 1000
    assert rows[0]["seconds"][0] > 0.001


class Guests:
    """Runs of known length instead of real ones: startup and *scale* times one work."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
        self.scales: dict[Path, float] = {}
        self._folder = folder
        monkeypatch.setattr(bench, "run_one", self._run)
        monkeypatch.setattr(bench, "build", lambda name, variant, to: self.make(variant, 0.0))

    def make(self, variant: str, scale: float) -> suite.Kernel:
        image = self._folder / f"{scale}"
        self.scales[image] = scale
        return suite.Kernel("work", variant, 64, image)

    def _run(self, runner: str, kernel: suite.Kernel, timeout: float) -> Run:
        scale = self.scales[kernel.image]
        startup, work = {"qemu": (0.25, 8.0), "interp": (0.5, 2.0), "python": (0.5, 400.0)}[runner]
        wall = startup + scale * work
        stats: dict[str, Any] = {}
        if runner != "qemu":
            steps = round(1000 + scale * 50_000_000)
            stats = {"instructions": steps, "seconds": wall, "jit": {}, "share": {}}
        return Run(wall, wall / 2, f"checksum {scale}", stats)


@pytest.mark.parametrize("steady", [False, True])
def test_a_run_counts_without_its_startup(
    steady: bool, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """CPU time is half of wall time here; `python` does a fiftieth of the work."""
    guests = Guests(monkeypatch, tmp_path)
    args = argparse.Namespace(
        runners=["qemu", "interp", "python"], timeout=1, steady=steady, rounds=2, scale=1.0,
        build=tmp_path,
    )  # fmt: skip
    works = [Work("work", guests.make, str)]
    rows = measure("rv64imac", works, args, lambda text: None)
    times = [row.seconds for row in rows]
    share = 0.5 if steady else 1.0
    assert times == [pytest.approx([share * t] * 2) for t in (8.0, 2.0, 8.0)]
    steps = [row.instructions for row in rows]
    assert steps == [pytest.approx(n, rel=1e-3) for n in (50_000_000, 50_000_000, 1_000_000)]
    assert [row.ratios[0] for row in rows] == [pytest.approx(n, rel=1e-2) for n in (1.0, 4.0, 0.02)]
    args.runners = ["qemu", "python"]  # the only one that counts does a part of the work
    rows = measure("rv64imac", works, args, lambda text: None)
    assert rows[0].instructions == pytest.approx(50_000_000, rel=2e-3)


def test_the_programs_of_embench_are_found(tmp_path: Path) -> None:
    for file in ("support/beebsc.c", "support/main.c", "src/ud/libud.c", "src/crc32/crc_32.c"):
        (tmp_path / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / file).touch()
    programs = find_programs(tmp_path, tmp_path / "b")
    assert [p.name for p in programs] == ["embench-crc32", "embench-ud"]
    assert all(len(p.sources) == 3 for p in programs)


def test_the_table_has_medians_and_the_geometric_mean() -> None:
    rows = []
    for kernel, ours in (("fast", [1.0, 2.0, 4.0]), ("slow", [8.0, 8.0, 8.0])):
        rows.append(Row(kernel, "rv32imac", "qemu", 4_000_000, [2.0, 2.0, 2.0]))
        ratios = [2.0 / seconds for seconds in ours]
        rows.append(Row(kernel, "rv32imac", "interp", 4_000_000, ours, ours, ratios))
    text = table(rows, ["interp"])
    assert "| fast | 4 M | 2 | 2 | 1 (0.5-2) |" in text
    assert "| slow | 4 M | 2 | 0.5 | 0.25 (0.25-0.25) |" in text
    assert "**0.5** |" in text
    assert geometric_mean([1, 4]) == pytest.approx(2)
    assert geometric_mean([]) == 0


@needs_cc
def test_hard_float_kernels_are_only_for_variants_with_f_and_d(images: Path) -> None:
    with pytest.raises(suite.BuildError, match="nbody needs F and D: one of rv32gc, rv64gc"):
        suite.build("nbody", "rv64imac", images)
    assert "nbody" in suite.kernels_of("rv64gc") and "nbody" not in suite.kernels_of("rv64imac")


@needs_cc
def test_a_kernel_is_not_built_twice(images: Path) -> None:
    first = suite.build("fib", "rv32imac", images, scale=0.001).image
    stamp = first.stat().st_mtime_ns
    assert suite.build("fib", "rv32imac", images, scale=0.001).image.stat().st_mtime_ns == stamp


def test_the_table_of_boots_has_times_and_their_ratios_to_qemu() -> None:
    rows = [
        boot.Boot("prompt", "rv64, image", boot.QEMU, [4.0, 8.0, 4.0], [4.5] * 3),
        boot.Boot("prompt", "rv64, image", boot.WARM, [2.0, 2.0, 3.0], [6.0] * 3),
    ]
    text = boot.table(boot.compare(rows))
    assert "| qemu | 4.00 s | 1.00 (1.00-1.00) | 4.50 s |" in text
    assert "| llvm warm | 2.00 s | 0.50 (0.25-0.75) | 6.00 s |" in text
    assert rows[1].ratios == pytest.approx([2, 4, 4 / 3])


@needs_cc
@needs_qemu
@pytest.mark.qemu
def test_whole_runs_with_cold_and_warm_caches(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    rows = bench_fib(
        tmp_path, "whole", "whole", "--engines", "llvm", "--scale", "0.01", "--work", "0.01"
    )
    assert "| llvm warm |" in capfd.readouterr().out
    assert [row["runner"] for row in rows] == [whole.QEMU, boot.COLD, boot.WARM]
    assert all(len(row["ratios"]) == 1 and row["seconds"][0] > 0 for row in rows)


def test_the_table_of_whole_runs() -> None:
    rows = [
        whole.Whole("fib", "rv64imac", whole.QEMU, [4.0, 4.0], [4.0] * 2),
        whole.Whole("sieve", "rv64imac", whole.QEMU, [4.0, 2.0], [4.0] * 2),
        whole.Whole("fib", "rv64imac", boot.WARM, [1.0, 1.0], [2.0] * 2),
        whole.Whole("sieve", "rv64imac", boot.WARM, [4.0, 2.0], [2.0] * 2),
    ]
    text = whole.table(whole.compare(rows))
    assert "| fib | 4.00 s | 1.00 s | 4.00 (4.00-4.00) |" in text
    assert "**2.00**" in text


def test_the_table_of_whole_runs_by_variants() -> None:
    """Each has QEMU's times of its own; medians are of the rounds' ratios."""
    rows = [
        whole.Whole("fib", "rv64imac", whole.QEMU, [4.0, 8.0, 4.0]),
        whole.Whole("fib", "rv64imac", boot.WARM, [4.0, 2.0, 2.0]),
        whole.Whole("fib", "rv32imac", whole.QEMU, [3.0, 3.0, 3.0]),
        whole.Whole("fib", "rv32imac", boot.WARM, [0.5, 1.0, 1.0]),
    ]
    first, _, second = whole.table(whole.compare(rows)).partition("### rv32imac")
    assert "| fib | 4.00 s | 2.00 s | 2.00 (1.00-4.00) |" in first and "**2.00**" in first
    assert "| fib | 3.00 s | 1.00 s | 3.00 (3.00-6.00) |" in second and "**3.00**" in second


def test_cold_caches_are_new_ones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("benchmarks.caches.subprocess.run", lambda *words, **options: None)
    made = caches.Caches(tmp_path, 64)
    (made.interpreter / "interp64-0").touch()
    (made.of(boot.WARM) / "region-0").touch()
    cold = [made.of(boot.COLD) for _ in range(2)]
    assert [[path.name for path in folder.iterdir()] for folder in cold] == [["interp64-0"]] * 2
    assert len({*cold, made.of(boot.WARM), made.interpreter}) == 4
    assert [path.name for path in made.of(boot.WARM).iterdir()] == ["region-0"]
    assert made.of("interp") == made.interpreter
    made.ran_once()
    (made.of(boot.WARM) / "region-1").touch()
    second = [made.of(boot.SECOND) for _ in range(2)]
    assert [[path.name for path in folder.iterdir()] for folder in second] == [["region-0"]] * 2
    assert len({*second, *cold, made.of(boot.WARM)}) == 5


def test_whole_runs_are_as_long_as_asked_for(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """QEMU takes 3 s for a kernel's usual work, and results must agree."""
    scales: dict[Path, float] = {}
    said = {"qemu": "checksum", "interp": "checksum"}

    def build(name: str, variant: str, to: Path, *, scale: float) -> suite.Kernel:
        image = to / f"{scale:g}"
        scales[image] = scale
        return suite.Kernel(name, variant, 64, image)

    def finish(words: list[str], cache: Path | None, timeout: float) -> tuple[float, float, str]:
        qemu = words[0].startswith("qemu")
        image = words[-1] if qemu else words[words.index("boot") + 1]
        return 3 * scales[Path(image)], 0.0, said["qemu" if qemu else "interp"]

    monkeypatch.setattr(whole, "build", build)
    monkeypatch.setattr(whole, "finish", finish)
    monkeypatch.setattr(caches.Caches, "__init__", lambda self, folder, xlen: None)
    monkeypatch.setattr(caches.Caches, "of", lambda self, runner: tmp_path)
    monkeypatch.setattr(whole, "find_qemu", lambda xlen: Tool("qemu", "", ("qemu",)))
    args = argparse.Namespace(
        engines=["interp"], variants=["rv64imac"], kernels=["fib"], build=tmp_path, timeout=1,
        scale=1.0, work=6.0, rounds=2,
    )  # fmt: skip
    rows = whole.measure(args, lambda text: None)
    assert [row.seconds for row in rows] == [pytest.approx([6.0, 6.0])] * 2
    said["interp"] = "another"
    with pytest.raises(whole.WholeError, match="interp on fib: 'another', not 'checksum'"):
        whole.measure(args, lambda text: None)


def test_boots_of_no_image_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    for what in ("boot", "system"):
        assert main(["bench", what, "--kernel", "/nowhere/Image"]) == 1
        assert "make linux64" in capsys.readouterr().err


@needs_cc
@pytest.mark.parametrize("xlen", (32, 64))
def test_the_mix_of_system_work_is_built(xlen: int, tmp_path: Path) -> None:
    archive = system.build(xlen, tmp_path).read_bytes()
    assert archive.startswith(b"070701") and b"mix: begins" in archive
    for part in system.PARTS:
        assert part.encode() in archive


def test_the_table_of_system_work() -> None:
    rows = [
        system.Part("forks", "rv64, image", boot.QEMU, [4.0, 8.0], [2.0, 2.0]),
        system.Part("execs", "rv64, image", boot.QEMU, [4.0, 4.0], [1.0, 1.0]),
        system.Part("forks", "rv64, image", boot.WARM, [2.0, 2.0], [0.5, 0.5]),
        system.Part("execs", "rv64, image", boot.WARM, [4.0, 4.0], [1.0, 1.0]),
    ]
    text = system.table(system.compare(rows))
    assert "| forks | llvm warm | 0.50 s | 4.00 (4.00-4.00) | 2.00 s | 3.00 (2.00-4.00) |" in text
    assert "| **geometric mean** | llvm warm | | 2.00 | | 1.73 |" in text


def test_the_plot_without_matplotlib() -> None:
    rows = [
        Row(kernel, variant, runner, 10, [1.0], [1.0], [0.5, ratio, 9.0])
        for variant in ("rv32imac", "rv64gc")
        for kernel in ("fib", "sieve")
        for runner, ratio in (("qemu", 1.0), ("llvm", 3.0), ("interp", 0.6))
    ]
    tree = ElementTree.fromstring(svg(rows, ["llvm", "interp"], "qemu"))
    space = "{http://www.w3.org/2000/svg}"
    bars = [r for r in tree.iter(f"{space}rect") if r.get("fill") != "white"]
    assert len(bars) == 8 and all(float(r.get("height", "0")) > 0 for r in bars)
    words = {t.text for t in tree.iter(f"{space}text")}
    assert {"fib", "sieve", "llvm", "interp", "rv64gc: speed, qemu = 1"} <= words
    height = float(tree.get("height", "0"))
    assert all(0 <= float(line.get("y2", "-1")) <= height for line in tree.iter(f"{space}line"))


@needs_cc
def test_otoriscv_bench_prints_and_writes(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    words = ["bench", "--kernels", "fib", "--variants", "rv32imac", "--rounds", "1", "--native"]
    words += ["--engines", "interp", "--scale", "0.001", "--no-qemu"]
    words += ["--build", str(tmp_path / "b"), "--output", str(tmp_path / "o")]
    assert main(words) == 0
    out = capfd.readouterr().out
    assert "| kernel | instructions | interp | native | ratio to interp (spread) |" in out
    written = {path.name for path in (tmp_path / "o").iterdir()}
    assert {"table.md", "results.json"} <= written and written & {"plot.png", "plot.svg"}


def test_otoriscv_bench_says_what_is_wrong(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for words, said in (
        (["--kernels", "tetris"], "no kernel tetris"),
        (["--engines", "warp"], "no engine warp"),
        (["--rounds", "0"], "must be positive"),
        ([str(tmp_path), "--kernels", "fib"], "or --kernels"),
    ):
        assert main(["bench", *words]) == 2
        err = capfd.readouterr().err
        assert said in err and err.count("\n") == 1
    assert main(["bench", str(tmp_path), "--no-qemu", "--build", str(tmp_path / "b")]) == 1
    assert "neither CoreMark" in capfd.readouterr().err


def test_the_table_of_what_debugging_costs() -> None:
    rows = [
        Measured(name, "rv32imac", runner, values)
        for name, runner, values in (
            ("break", "otoriscv", [1.0, 1.01, 9.0]),
            ("break", "qemu", [40.0, 41.0, 42.0]),
            ("x", "otoriscv", [80.0, 90.0, 95.0]),
        )
    ]
    text = debug_table(rows)
    assert "| never-hit breakpoint in the hot page | ≤ 1.02x | 1.01 (1-9) | 41 (40-42) |  |" in text
    assert "| memory read x, MB/s | ≥ 100 | 90 (80-95) | - | missed |" in text


@pytest.mark.slow
@needs_cc
def test_what_debugging_costs(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Every row is there, and nothing makes the guest as slow as if it were interpreted, or as
    QEMU's stub makes it: that would be ten times and more. What each row should be is for
    benchmarks to tell, on a host that does nothing else."""
    words = ["bench", "--debugging", "--variants", "rv64imac", "--rounds", "1", "--no-qemu"]
    assert main([*words, "--output", str(tmp_path)]) == 0
    rows = json.loads((tmp_path / "debug.json").read_text())
    values = {row["kernel"]: row["values"][0] for row in rows}
    assert values.keys() == {r.name for r in (*SLOWDOWNS, *RATES, CONDITION, START)}
    slow = {row.name: values[row.name] for row in SLOWDOWNS if values[row.name] > 4 * row.limit}
    assert not slow
    assert values["condition"] > CONDITION.limit


#: Enough of Dhrystone's shape to be built by its rules: K&R, two files, scanf and time.
DHRYSTONE = {
    "dhry.h": "extern int Int_Glob;\n",
    "dhry_1.c": """
#include <stdio.h>
#include "dhry.h"
int Int_Glob;
extern long time();
void main (argc, argv) int argc; char **argv;
{
    int n, i;
    if (argc == 1) scanf("%d", &n);
    for (i = 0; i < n; i++) Proc_7(i);
    time((long *) 0);
    printf("Int_Glob:            %d\\n", Int_Glob);
}
""",
    "dhry_2.c": '#include "dhry.h"\nProc_7(i) int i; { Int_Glob += i & 3; }\n',
}


@needs_cc
@needs_qemu
@pytest.mark.qemu
@pytest.mark.skipif(not find_picolibc().usable, reason="no picolibc")
@pytest.mark.skipif(shutil.which("gcc") is None, reason="no compiler for the host")
def test_a_program_in_dhrystones_shape_everywhere(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    for name, text in DHRYSTONE.items():
        (tmp_path / name).write_text(text)
    words = ["bench", str(tmp_path), "--variants", "rv64imac", "--rounds", "1", "--native"]
    words += ["--engines", "interp", "--scale", "0.001"]
    words += ["--build", str(tmp_path / "b"), "--output", str(tmp_path / "o")]
    assert main(words) == 0, capfd.readouterr().err
    assert "| dhrystone |" in capfd.readouterr().out


@needs_qemu
@pytest.mark.qemu
@pytest.mark.parametrize("xlen", [32, 64])
def test_qemu_starts_with_our_firmware(xlen: int, tmp_path: Path) -> None:
    """It enters S-mode behind the firmware, prints through the SBI and switches off; the device
    tree keeps the firmware's memory from Linux."""
    machine = [f"qemu-system-riscv{xlen}", "-M", "virt", "-m", "64", "-nographic"]
    options = firmware_options(machine, xlen, tmp_path)
    kernel = tmp_path / "kernel"
    text = "".join(f"li a0, {ord(c)}\n li a7, 1\n ecall\n" for c in "said by S-mode")
    text += "li a7, 0x53525354\n li a6, 0\n li a0, 0\n li a1, 0\n ecall\n end: j end"
    kernel.write_bytes(assemble(text, xlen).code)
    done = subprocess.run(
        [*machine, *options, "-kernel", str(kernel)],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("said by S-mode"), done.stderr
    _, reservations, _ = from_blob((tmp_path / "qemu.dtb").read_bytes())
    start, size = struct.unpack(">QQ", reservations[:16])
    code = (tmp_path / "firmware.bin").stat().st_size
    assert start == 0x8000_0000 and code + 0x1_0000 <= size <= 0x20_0000


def test_nothing_is_measured_beside_what_a_run_left(tmp_path: Path) -> None:
    began = time.monotonic()
    caches.settle(tmp_path)
    assert time.monotonic() - began < 5
    began = time.monotonic()
    left = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(1)"],
        env=os.environ | {"OTORISCV_CACHE_DIR": str(tmp_path)},
    )
    time.sleep(0.2)  # until it has its environment
    caches.settle(tmp_path)
    assert time.monotonic() - began > 1  # it has ended, or is about to
    assert left.wait(10) == 0
