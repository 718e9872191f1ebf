"""How the compiler is set up and what it tells: options, Python arguments, marks, statistics."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Literal

import pytest

import otoriscv
from otoriscv.board.statistics import gather
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm.engine import LlvmEngine
from tests.board_guest import FINISH, build, needs_cc
from tests.test_plugin import PLUGIN

pytest_plugins = ["pytester"]
pytestmark = [
    needs_cc,
    pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here"),
]
ROOT = Path(__file__).resolve().parents[1]
#: Sums a hundred thousand numbers in a loop with a call and a store, then passes.
HOT = f"""
_start: li s0, 100000
    la s1, word
1:  mv a0, s0
    call square
    lw t0, 0(s1)
    add t0, t0, a0
    sw t0, 0(s1)
    addi s0, s0, -1
    bnez s0, 1b
    j pass
square: mul a0, a0, a0
    ret
    .align 6
word: .word 0
    .align 6
{FINISH}
"""


def boot(*words: object, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "otoriscv", "boot", *map(str, words)],
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        cwd=ROOT,
        env={**os.environ, **environment},
        timeout=120,
    )


@pytest.mark.parametrize("xlen", [32, 64])
def test_statistics(xlen: int, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    image = build(HOT, xlen)
    words = (image, "--engine", "llvm", "--jit-threshold", 1, "--jit-workers", 0)
    runs = []
    for _ in range(2):
        done = boot(
            *words, "--stats", "--stats-json", facts, OTORISCV_CACHE_DIR=str(tmp_path / "c")
        )
        assert done.returncode == 0, done.stderr
        runs.append(json.loads(facts.read_text()))
    for said in runs:
        assert sum(said["retired_by"].values()) == said["instructions"]
        assert said["share"]["llvm"] > 0.5 and sum(said["share"].values()) == pytest.approx(1)
        jit = said["jit"]
        assert jit["workers"] == 0 and jit["regions"] > 0 and jit["instructions_in_regions"] > 5
    cold, warm = (said["jit"] for said in runs)
    assert cold["compiled"] > 0 and cold["compile_seconds"] > 0
    assert warm["compiled"] == 0 and warm["cached"] >= cold["compiled"]
    assert warm["interpreter"] == "from the cache"
    for line in (
        "retired in llvm",
        "compile seconds",
        "cached",
        "invalidations by cause",
        "regions",
    ):
        assert line in done.stderr


def test_compiling_inline_repeats_exactly(tmp_path: Path) -> None:
    seen = []
    for n in range(2):
        facts = tmp_path / f"{n}.json"
        words = ("--engine", "llvm", "--jit-workers", 0, "--no-cache", "--stats-json", facts)
        assert boot(build(HOT), *words).returncode == 0
        said = json.loads(facts.read_text())
        seen.append((said["instructions"], said["jit"]["compiled"]))
    assert seen[0] == seen[1]


@pytest.mark.parametrize("kind", ["host", "virtual"])
def test_how_fast_the_host_is_does_not_show(
    kind: Literal["host", "virtual"], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = []
    for second in (1, 1e-9):  # that the host's clock goes on when it is looked at
        ticks = itertools.count()
        clock = SimpleNamespace(**vars(time))
        clock.perf_counter = lambda t=ticks, s=second: next(t) * s
        monkeypatch.setattr("otoriscv.board.runner.time", clock)
        machine = otoriscv.Machine(
            build(HOT), engine="llvm", jit_workers=0, code_cache=False, clock=kind
        )
        assert machine.run().code == 0
        facts = gather(machine.board)
        machine.board.close()
        seen.append((facts["retired_by"], machine.board.engine.report()["instructions_in_regions"]))
        assert next(ticks) > 2
    assert seen[0] == seen[1]


def test_without_a_cache_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "none"
    words = (build(HOT), "--engine", "llvm", "--no-cache", "--jit-workers", 0)
    assert boot(*words, OTORISCV_CACHE_DIR=str(folder)).returncode == 0
    assert not folder.exists()


def test_an_unusable_folder_is_a_warning(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir()
    folder.chmod(0o777)
    done = boot(build(HOT), "--engine", "llvm", OTORISCV_CACHE_DIR=str(folder))
    assert done.returncode == 0
    assert done.stderr == (
        f"otoriscv: warning: compiled code is not kept: {folder} can be written by others: "
        f"chmod 700 {folder}\n"
    )
    assert not list(folder.iterdir())


def test_options_that_make_no_sense() -> None:
    for words in (
        ("--jit-threshold", 0),
        ("--jit-workers", -1),
        ("--jit-workers", "many"),
        ("--cache-size", "big"),
    ):
        done = boot(build(HOT), *words)
        assert done.returncode == 2 and done.stderr.count("\n") == 1, done.stderr
    done = boot(build(HOT), "--engine", "llvm", OTORISCV_JIT_WORKERS="x")
    assert done.returncode == 2 and "OTORISCV_JIT_WORKERS is 'x'" in done.stderr


def test_machine_arguments(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTORISCV_JIT_WORKERS", "3")
    machine = otoriscv.Machine(
        build(HOT), engine="llvm", jit_threshold=1, jit_workers=0, code_cache=False
    )
    engine = machine.board.engine
    assert isinstance(engine, LlvmEngine) and engine._workers is None
    assert machine.run().code == 0
    facts = gather(machine.board)
    share, jit = facts["share"], facts["jit"]
    assert isinstance(share, dict) and share["llvm"] > 0.5
    assert isinstance(jit, dict) and jit["cached"] == 0
    machine.board.close()
    machine = otoriscv.Machine(build(HOT), engine="llvm")
    engine = machine.board.engine
    assert isinstance(engine, LlvmEngine) and engine._workers is not None
    assert engine._workers.count == 3
    machine.board.close()


MARKED = """
import pytest

@pytest.mark.otoriscv(engine="llvm", jit_workers=0, jit_threshold=1, code_cache=False)
def test_it(machine):
    assert machine.board.engine.report()["workers"] == 0
    assert machine.run().code == 0
    assert machine.board.engine.report()["regions"] > 0
"""


def test_the_mark_takes_them(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    (pytester.path / "fw.elf").write_bytes(build(HOT).read_bytes())
    pytester.makeini("[pytest]\notoriscv_image = fw.elf\n")
    pytester.makepyfile(MARKED)
    pytester.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider").assert_outcomes(passed=1)


def test_invalidations_by_cause() -> None:
    """Each way a region is dropped is told apart."""
    machine = otoriscv.Machine(
        build(HOT.replace("100000", "1000000000")),
        engine="llvm", jit_threshold=1, jit_workers=0, code_cache=False,
    )  # fmt: skip
    board = machine.board
    square = machine.symbols["square"]
    engine = board.engine
    assert isinstance(engine, LlvmEngine)

    def until_compiled() -> None:
        machine.run(count=1000)
        engine.compile_now(board.harts[0], square, 64)
        assert any(square in region.covered for region in engine.regions())

    def causes() -> dict[str, int]:
        found = board.engine.report()["invalidations_by_cause"]
        assert isinstance(found, dict)
        return found

    until_compiled()
    assert causes() == {}
    board.breakpoints.add(square)
    machine.run(count=200_000)
    assert set(causes()) == {"breakpoint"}
    board.breakpoints.remove(square)
    until_compiled()
    hook = machine.on_write(0x8000_8000, lambda event: None)
    machine.run(count=200_000)
    assert set(causes()) == {"breakpoint", "watchpoint"}
    hook.remove()
    until_compiled()
    machine.mem[square] = bytes(machine.mem[square : square + 4])  # the same bytes, written anew
    machine.run(count=200_000)
    assert set(causes()) == {"breakpoint", "watchpoint", "write from outside"}
    board.close()
