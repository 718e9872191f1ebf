"""What could go wrong around compiled code: no disk space, garbage in the cache, ten thousand
breakpoints. The guest's result is what it is anywhere."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from otoriscv.board.machine import Machine
from otoriscv.board.stops import StopReason
from otoriscv.core.encode import assemble
from otoriscv.core.layout import MACHINE
from otoriscv.jit.engines import probe
from otoriscv.jit.settings import JitSettings
from tests.board_guest import build, needs_cc
from tests.test_jit_options import HOT, ROOT

pytestmark = pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here")

RAM = 0x8000_0000
LOOP = """
    li s1, 0
loop:
    addi s1, s1, 1
    slli a0, s1, 3
    xor a1, a1, a0
    bltz s1, rare
    j loop
rare:
    addi a2, a2, 1
    j loop
"""


def _boot_on_full_disk(folder: Path, facts: Path, workers: int) -> subprocess.CompletedProcess[str]:
    """`otoriscv boot` whose cache folder is 16 KiB of disk."""
    command = [
        *(sys.executable, "-m", "otoriscv", "boot", str(build(HOT)), "--engine", "llvm"),
        *("--jit-threshold", "1", "--jit-workers", str(workers), "--stats-json", str(facts)),
    ]
    place = shlex.quote(str(folder))
    script = (
        f"mount -t tmpfs -o size=16k,mode=700 none {place} && "
        f"OTORISCV_CACHE_DIR={place} exec {shlex.join(command)}"
    )
    return subprocess.run(
        ["unshare", "--map-root-user", "--mount", "sh", "-c", script],
        capture_output=True, text=True, stdin=subprocess.DEVNULL, cwd=ROOT, timeout=300,
    )  # fmt: skip


@needs_cc
@pytest.mark.parametrize("workers", [0, 1])
def test_no_disk_space(tmp_path: Path, workers: int) -> None:
    """Everything is compiled and nothing said; the cache just stays empty."""
    folder = tmp_path / "cache"
    folder.mkdir()
    mount = "mount -t tmpfs -o size=16k none ."
    probe = ["unshare", "--map-root-user", "--mount", "sh", "-c", mount]
    if subprocess.run(probe, cwd=folder, capture_output=True).returncode:
        pytest.skip("this user cannot mount a small disk")
    facts = tmp_path / "facts.json"
    done = _boot_on_full_disk(folder, facts, workers)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    jit = json.loads(facts.read_text())["jit"]
    assert jit["interpreter"] == "built now" and jit["problem"] == ""
    if workers == 0:
        assert jit["compiled"] > 0 and jit["regions"] > 0


@needs_cc
def test_a_cache_full_of_garbage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Entries with the right names and wrong content, folders, links, unreadable files."""
    folder, facts = tmp_path / "cache", tmp_path / "facts.json"
    monkeypatch.setenv("OTORISCV_CACHE_DIR", str(folder))
    command = [
        *(sys.executable, "-m", "otoriscv", "boot", str(build(HOT)), "--engine", "llvm"),
        *("--jit-threshold", "1", "--jit-workers", "0", "--stats-json", str(facts)),
    ]

    def boot() -> dict[str, Any]:
        done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=300)
        assert (done.returncode, done.stderr) == (0, "")
        jit: dict[str, Any] = json.loads(facts.read_text())["jit"]
        return jit

    first = boot()
    entries = sorted(path for path in folder.iterdir() if path.is_file())
    assert len(entries) > 2
    for n, path in enumerate(entries):
        data = path.read_bytes()
        if n % 4 == 0:
            path.write_bytes(data[: len(data) // 2])
        elif n % 4 == 1:
            path.write_bytes(data[:-40] + bytes(40))
        elif n % 4 == 2:
            path.write_bytes(entries[n - 1].read_bytes())  # another one's content
        else:
            path.unlink()
            path.mkdir()
    (folder / "region-x").symlink_to("/dev/zero")
    (folder / "interp64-").write_bytes(b"\0" * 5000)
    again = boot()
    assert again["interpreter"] == "built now" and again["compiled"] == first["compiled"] > 0
    assert again["cached"] == again["remembered"] == 0


@pytest.mark.parametrize("jit", [JitSettings(threshold=1, workers=0), JitSettings()], ids=repr)
def test_ten_thousand_breakpoints(jit: JitSettings) -> None:
    """Around the loop and on an instruction of it that is never reached; the loop stays compiled,
    and setting all of them takes seconds at most."""
    machine = Machine("rv64imac_zicsr", ram=[(RAM, 1 << 20)], engine="llvm", jit=jit)
    program = assemble(LOOP, 64, RAM)
    machine.memory.write(RAM, program.code)
    machine.harts[0].pc = RAM
    machine.run(steps=200_000)
    began = time.thread_time()
    for n in range(10_000):
        machine.breakpoints.add(RAM + 0x1000 + 2 * n)
        if n % 1000 == 0:
            machine.run(steps=100)
    machine.breakpoints.add(program.symbols["rare"])
    assert machine.run(steps=50_000).reason is StopReason.STEPS
    assert time.thread_time() - began < 10
    before = machine.m[MACHINE["region_steps"]], machine.retired
    assert machine.run(steps=3_000_000).reason is StopReason.STEPS
    share = (machine.m[MACHINE["region_steps"]] - before[0]) / (machine.retired - before[1])
    if jit.workers == 0:
        assert share > 0.9
    machine.harts[0].x[9] = 1 << 63
    stop = machine.run(steps=1_000)
    assert (stop.reason, stop.pc) == (StopReason.BREAKPOINT, program.symbols["rare"])
    machine.harts[0].x[9] = 0
    for n in range(0, 10_000, 2):
        machine.breakpoints.remove(RAM + 0x1000 + 2 * n)
    machine.memory.write(RAM + 0x1000, assemble("c.nop; c.nop", 64, RAM).code)
    machine.harts[0].pc = RAM + 0x1000
    stop = machine.run(steps=1_000)
    assert (stop.reason, stop.pc) == (StopReason.BREAKPOINT, RAM + 0x1002)
    machine.close()
