"""The code cache on disk: only what was written comes back, and it stays in its bounds."""

from __future__ import annotations

import errno
import hashlib
import multiprocessing
import os
import resource
import stat
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from otoriscv.cli.main import main
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.engine import EngineUnavailable
from otoriscv.jit.settings import CACHE_BYTES, JitSettings, parse_size


def key(n: int, kind: str = "region") -> str:
    return f"{kind}-{hashlib.sha256(str(n).encode()).hexdigest()}"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("OTORISCV_CACHE_DIR", str(path))
    monkeypatch.delenv("OTORISCV_CACHE", raising=False)
    monkeypatch.delenv("OTORISCV_CACHE_SIZE", raising=False)
    return path


def test_entries_come_back_whole_and_only_by_their_key(folder: Path) -> None:
    cache = DiskCache()
    assert cache.get(key(1)) is None
    cache.put(key(1), b"code")
    cache.put(key(2), b"")
    assert DiskCache().get(key(1)) == b"code"
    assert cache.get(key(2)) == b""
    os.rename(folder / key(1), folder / key(3))  # another key's contents are no answer
    assert cache.get(key(3)) is None
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    with pytest.raises(ValueError):
        cache.put("../elsewhere", b"")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[:-1],
        lambda data: data + b"\0",
        lambda data: data[:20] + bytes([data[20] ^ 1]) + data[21:],
        lambda data: data[:60] + bytes([data[60] ^ 128]) + data[61:],
        lambda data: b"",
        lambda data: os.urandom(len(data)),
        lambda data: data[:10],
    ],
)
def test_damaged_entries_are_dropped(folder: Path, damage: Callable[[bytes], bytes]) -> None:
    cache = DiskCache()
    cache.put(key(1), b"x" * 100)
    path = folder / key(1)
    path.write_bytes(damage(path.read_bytes()))
    assert cache.get(key(1)) is None
    assert not path.exists()
    cache.put(key(1), b"again")
    assert cache.get(key(1)) == b"again"


def test_a_folder_full_of_garbage(folder: Path) -> None:
    cache = DiskCache()
    cache.put(key(0), b"good")
    (folder / key(1)).mkdir()
    os.mkfifo(folder / key(2))
    (folder / key(3)).symlink_to("/dev/zero")
    (folder / key(4)).symlink_to(folder / key(0))
    (folder / key(5)).write_bytes(os.urandom(5000))
    with (folder / key(6)).open("wb") as file:
        file.truncate(1 << 40)  # a hole: nobody may read that
    (folder / "thesis.tex").write_text("not ours")
    (folder / "region-short").write_text("not ours")
    for n in range(1, 7):
        assert cache.get(key(n)) is None
        cache.put(key(n), b"new")
        assert cache.get(key(n)) == (None if n == 1 else b"new")  # a directory stays where it is
    assert cache.get(key(0)) == b"good"
    assert cache.verify() == (6, [])
    assert cache.clear()[0] == 6
    assert {p.name for p in folder.iterdir()} == {key(1), "thesis.tex", "region-short"}


def test_the_least_recently_used_go_first(folder: Path) -> None:
    cache = DiskCache(limit=100_000)
    for n in range(9):
        cache.put(key(n), bytes(10_000))
        os.utime(folder / key(n), (1000 + n, 1000 + n))
    assert cache.get(key(0)) is not None  # used just now
    cache.put(key(9), bytes(10_000))
    left = {n for n in range(10) if (folder / key(n)).exists()}
    assert {0, 9} <= left and 1 not in left and 2 not in left and 8 in left
    assert sum(e.size for e in cache.entries()) <= 80_000


def test_the_bound_holds(folder: Path) -> None:
    caches = [DiskCache(limit=200_000) for _ in range(3)]
    for n in range(300):
        caches[n % 3].put(key(n), bytes(5000))
        assert sum(e.size for e in caches[0].entries()) <= 200_000 * (1 + 3 / 16) + 6000
    caches[0].put(key(1000), bytes(200_001))  # larger than everything may be
    assert caches[0].get(key(1000)) is None


def test_abandoned_files_are_swept(folder: Path) -> None:
    DiskCache()
    old, young = folder / ".new-old", folder / ".new-young"
    for path in (old, young):
        path.write_bytes(b"half")
    past = time.time() - 7200
    os.utime(old, (past, past))
    DiskCache().put(key(1), b"x")
    assert young.exists() and not old.exists()


def test_a_folder_that_others_can_write_is_refused(folder: Path) -> None:
    folder.mkdir(mode=0o700)
    folder.chmod(0o770)
    cache = DiskCache()
    assert "can be written by others" in cache.problem
    cache.put(key(1), b"x")
    assert not list(folder.iterdir())
    folder.chmod(0o755)
    assert DiskCache().usable


def test_a_folder_of_another_user_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder.mkdir(mode=0o700)
    me = os.getuid()
    monkeypatch.setattr(os, "getuid", lambda: me + 1)
    assert "belongs to another user" in DiskCache().problem


def test_a_folder_that_is_a_file(folder: Path) -> None:
    folder.write_text("")
    cache = DiskCache()
    assert cache.problem and not cache.usable
    cache.put(key(1), b"x")
    assert cache.get(key(1)) is None and list(cache.entries()) == []


def test_no_space_leaves_nothing_behind(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    cache = DiskCache()

    def full(*args: object, **more: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "replace", full)
    cache.put(key(1), b"x")
    monkeypatch.undo()
    assert not list(folder.iterdir())
    monkeypatch.setattr(os, "open", full)
    cache.put(key(1), b"x")
    monkeypatch.undo()
    assert cache.get(key(1)) is None


_LIMITED = """
import resource, sys
from otoriscv.jit.cache import DiskCache
cache = DiskCache()
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, 10_000))
cache.put(sys.argv[1], bytes(50_000))
cache.put(sys.argv[2], bytes(5_000))
left = [path.name for path in cache.folder.iterdir() if path.name != ".written"]
print(cache.get(sys.argv[1]), len(cache.get(sys.argv[2])), len(left))
"""


def test_a_file_that_cannot_be_written_whole(folder: Path) -> None:
    assert resource.RLIMIT_FSIZE >= 0
    done = subprocess.run(
        [sys.executable, "-c", _LIMITED, key(1), key(2)], capture_output=True, text=True
    )
    assert (done.stdout, done.stderr) == ("None 5000 1\n", "")


def _hammer(seed: int, limit: int) -> int:
    """Put and get; the number of wrong answers."""
    cache = DiskCache(limit=limit)
    wrong = 0
    for n in range(400):
        k = (n * 7 + seed) % 40
        body = bytes([k]) * (1000 + 50 * k)
        if n % 3 == 0:
            cache.put(key(k), body)
        got = cache.get(key(k))
        wrong += got is not None and got != body
        if n % 97 == 96:
            (cache.clear if seed == 0 else cache.verify)()
    return wrong


def test_short_runs_keep_to_the_limit_together(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """None of them writes enough to look at all entries, and hardly any does."""
    sweeps = 0
    sweep = DiskCache._sweep

    def counted(self: DiskCache) -> int:
        nonlocal sweeps
        sweeps += 1
        return sweep(self)

    monkeypatch.setattr(DiskCache, "_sweep", counted)
    limit = 1 << 20
    for n in range(600):
        DiskCache(limit=limit).put(key(n), bytes(4000))
    assert sum(e.size for e in DiskCache().entries()) <= limit * 17 // 16
    assert 600 * 4000 // (limit // 16) <= sweeps <= 50
    sweeps = 0
    for n in range(100):
        DiskCache().put(key(n), bytes(4000))
    assert sweeps == 0


def test_concurrent_processes(folder: Path) -> None:
    DiskCache()
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        assert pool.starmap(_hammer, [(seed, 60_000) for seed in range(4)]) == [0] * 4
    cache = DiskCache(limit=60_000)
    whole, damaged = cache.verify()
    assert not damaged and whole
    assert not list(folder.glob(".new-*"))
    assert sum(e.size for e in cache.entries()) <= 60_000 * (1 + 4 / 16)


def test_sizes() -> None:
    assert parse_size("3") == 3 << 20
    assert parse_size("64K") == parse_size("64KiB") == 64 << 10
    assert parse_size("2g") == 2 << 30
    for bad in ("", "x", "-1", "1T", "1.5G"):
        with pytest.raises(ValueError):
            parse_size(bad)


def test_settings_come_from_the_environment(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    assert JitSettings().filled() == JitSettings(None, None, True, CACHE_BYTES)
    monkeypatch.setenv("OTORISCV_JIT_THRESHOLD", "5")
    monkeypatch.setenv("OTORISCV_JIT_WORKERS", "0")
    monkeypatch.setenv("OTORISCV_CACHE", "0")
    monkeypatch.setenv("OTORISCV_CACHE_SIZE", "1G")
    assert JitSettings().filled() == JitSettings(5, 0, False, 1 << 30)
    assert JitSettings(7, 2, True, 9).filled() == JitSettings(7, 2, True, 9)
    for name, value in (("OTORISCV_CACHE_SIZE", "much"), ("OTORISCV_JIT_WORKERS", "-1")):
        with monkeypatch.context() as patch:
            patch.setenv(name, value)
            with pytest.raises(EngineUnavailable, match=name):
                JitSettings().filled()


def test_the_command(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    cache = DiskCache()
    for n in range(3):
        cache.put(key(n), bytes(3000))
    cache.put(key(9, "interp64"), bytes(100))
    assert main(["cache", "info"]) == 0
    said = capsys.readouterr().out
    assert str(folder) in said and "entries  4, 9.1 KiB of 512.0 MiB" in said
    assert "region     3" in said and "interp64   1" in said
    assert main(["cache", "verify"]) == 0
    (folder / key(1)).write_bytes(b"garbage")
    assert main(["cache", "verify"]) == 1
    assert f"{key(1)}: damaged, removed\n3 entries are whole" in capsys.readouterr().out
    assert main(["cache", "clear"]) == 0
    assert capsys.readouterr().out.startswith("3 entries removed")
    assert not list(folder.iterdir())
    folder.chmod(0o777)
    assert main(["cache", "info"]) == 2
    assert "chmod 700" in capsys.readouterr().err
    assert main(["cache", "polish"]) == 2
