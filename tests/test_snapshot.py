"""Snapshots: the continuation is the same, in this process and in another, on both engines."""

from __future__ import annotations

import hashlib
import json
import os
import random
import struct
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otoriscv import Device, Machine, Snapshot, SnapshotError, StopReason
from tests.board_guest import ENGINES, FINISH, PUTS, build, needs_cc
from tests.test_api_machine import DEVICE, ECHO, Echo

pytestmark = needs_cc

#: A timer interrupt every few ticks, self-modifying code, atomics, and output that depends on all.
BUSY = f"""
_start: la sp, stack
    la t0, handler
    csrw mtvec, t0
    li s0, 0x2004000
    li s1, 7
    sw zero, 4(s0)
    sw s1, 0(s0)
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
    li s2, 600
    la s3, table
1:  la t0, patch
    slli t1, s2, 20
    srli t1, t1, 1
    ori t1, t1, 0x513
    sw t1, 0(t0)
    fence.i
    .option push
    .option norvc
    .align 2
patch: addi a0, x0, 0
    .option pop
    amoadd.w t1, a0, (s3)
    andi t2, s2, 255
    slli t2, t2, 6
    add t2, t2, s3
    sw t1, 64(t2)
    addi s2, s2, -1
    bnez s2, 1b
    lw a0, (s3)
    andi a0, a0, 127
    j finish
    .align 2
handler: addi s1, s1, 7
    sw s1, 0(s0)
    andi t3, s1, 31
    addi t3, t3, 64
    li t4, 0x10000000
    sb t3, 0(t4)
    mret
{PUTS}{FINISH}
    .bss
    .align 12
table: .skip 65536
stack:
"""


def state(m: Machine) -> object:
    hart = m.board.harts[0]
    return (
        m.retired,
        m.board.steps,
        m.seconds,
        m.regs.pc,
        hart.x[:],
        {name: m.regs[name] for name in m.regs},
        m.mem["table" : m.symbols["table"] + 65536],
    )


def finish(m: Machine) -> tuple[object, str]:
    printed = len(m.output)
    stop = m.run()
    return (stop.reason, stop.code, stop.pc, state(m)), m.output[printed:]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("xlen", (32, 64))
def test_the_continuation_is_the_same(engine: str, xlen: int, tmp_path: Path) -> None:
    with Machine(build(BUSY, xlen), engine=engine) as m:
        m.run(count=5_432)
        saved = m.save()
        here = state(m)
        saved.write(tmp_path / "s")
        first = finish(m)
        assert len(first[1]) > 3
        m.restore(saved)
        assert state(m) == here
        assert finish(m) == first
    with Machine(build(BUSY, xlen), engine=engine) as straight:
        straight.run(count=5_432)
        assert finish(straight) == first, "saving changes nothing"
    for other in ENGINES:
        with Machine(build(BUSY, xlen), engine=other) as m:
            m.run(count=random.Random(1).randrange(8_000))
            m.restore(Snapshot.read(tmp_path / "s"))
            assert state(m) == here
            assert finish(m) == first


@pytest.mark.parametrize("engine", ENGINES)
def test_many_snapshots_in_any_order(engine: str) -> None:
    with Machine(build(BUSY), engine=engine) as m:
        known = []
        for _ in range(8):
            m.run(count=1_001)
            known.append((m.save(), state(m)))
        rng = random.Random(2)
        for _ in range(12):
            saved, expected = rng.choice(known)
            m.restore(saved)
            assert state(m) == expected
            m.run(count=rng.randrange(1_000))
            m.mem.u32["table"] = rng.randrange(1 << 32)


@pytest.mark.parametrize("engine", ENGINES)
def test_writes_of_every_writer_are_undone(engine: str) -> None:
    with Machine(build(BUSY), engine=engine) as m:
        m.run(count=500)
        saved = m.save()
        before = m.mem[0x8000_0000:+0x20_0000]
        m.run(count=2_000)  # stores, atomics
        m.mem[0x8010_0FFE:+4] = b"abcd"  # the API, over a page's end
        m.board.memory.write(0x8018_0000, bytes(range(256)) * 64)  # DMA, loaders, debuggers
        m.restore(saved)
        assert m.mem[0x8000_0000:+0x20_0000] == before
        m.reset()
        m.restore(saved)
        assert m.mem[0x8000_0000:+0x20_0000] == before


@pytest.mark.parametrize("engine", ENGINES)
def test_code_is_translated_again(engine: str) -> None:
    with Machine(build("_start: li a0, 1\n1: j 1b"), engine=engine) as m:
        saved = m.save()
        m.mem["_start"] = b"\x0d\x45"  # li a0, 3
        m.run(count=20)
        assert m.regs.a0 == 3
        m.restore(saved)
        m.run(count=20)
        assert m.regs.a0 == 1


def test_console_input_on_its_way() -> None:
    with Machine(build(ECHO)) as m:
        m.send("abcdef")
        m.expect("ABC")
        saved = m.save()
        for _ in range(3):
            m.restore(saved)
            assert m.expect("D(.)F").group(1) == "E"


@pytest.mark.parametrize("engine", ENGINES)
def test_devices_and_their_events(engine: str, tmp_path: Path) -> None:
    def make() -> Machine:
        m = Machine(build(DEVICE), engine=engine)
        m.attach(Echo(), 0x3000_0000, irq=20)
        return m

    with make() as m:
        m.run(timeout=0.1)  # the event is pending
        saved = m.save()
        saved.write(tmp_path / "s")
        end = m.run(), m.retired, m.seconds
        m.restore(saved)
        assert (m.run(), m.retired, m.seconds) == end
    with make() as m:
        m.restore(Snapshot.read(tmp_path / "s"))
        assert (m.run(), m.retired, m.seconds) == end


def test_local_functions_stay_in_the_process(tmp_path: Path) -> None:
    with Machine(build("_start: wfi\nj _start")) as m, Machine(build("_start: wfi\nj _start")) as n:
        m.after(1, m.stop)
        saved = m.save()
        m.restore(saved)
        assert m.run().reason is StopReason.REQUEST
        with pytest.raises(SnapshotError, match="called later"):
            saved.write(tmp_path / "s")
        assert list(tmp_path.iterdir()) == []
        with pytest.raises(SnapshotError, match="another machine"):
            n.restore(saved)


def test_of_another_machine() -> None:
    with Machine(build(BUSY)) as m, Machine(build(BUSY), harts=2) as two:
        with pytest.raises(SnapshotError, match="another machine: harts 1, here 2"):
            two.restore(m.save())
        m.attach(Device(), 0x3000_0000)
        with Machine(build(BUSY)) as plain, pytest.raises(SnapshotError, match="devices"):
            plain.restore(m.save())


def test_bad_files(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Machine(build(BUSY), ram=1 << 20) as m:
        m.save().write(path)
        good = path.read_bytes()
        cases = [
            (b"", "is no snapshot"),
            (b"\x7fELF" + bytes(100), "is no snapshot"),
            (good[:17] + b"\n", "is no snapshot"),
            (good[:18] + b"\x09" + good[19:], "has format 9; this otoriscv reads 1"),
            (good[:-1], "is damaged"),
            (good + b"x", "is damaged"),
        ]
        rng = random.Random(3)
        for _ in range(50):
            at = rng.randrange(26, len(good))
            cases.append((good[:at] + bytes([good[at] ^ 1]) + good[at + 1 :], "is damaged"))
        for data, message in cases:
            path.write_bytes(data)
            with pytest.raises(SnapshotError, match=message) as caught:
                Snapshot.read(path)
            assert "\n" not in str(caught.value)
        path.write_bytes(good)
        m.restore(Snapshot.read(path))


def _file(header: bytes, body: bytes) -> bytes:
    """A file with a right checksum."""
    data = b"otoriscv snapshot\n" + struct.pack("<II", 1, len(header)) + header + body
    return data + hashlib.sha256(data).digest()


def test_truncated_and_flipped_at_every_kind_of_place(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Machine(build(BUSY), ram=1 << 20) as m:
        m.run(count=2_000)
        m.save().write(path)
    good = path.read_bytes()
    header = 26 + struct.unpack_from("<I", good, 22)[0]
    edges = [0, 1, 17, 18, 22, 26, 27, header - 1, header, header + 1]
    edges += [len(good) - 33, len(good) - 32, len(good) - 31, len(good) - 1]
    for end in edges:
        path.write_bytes(good[:end])
        with pytest.raises(SnapshotError, match=r"is no snapshot|is damaged"):
            Snapshot.read(path)
    for at in edges[:-1]:
        for bit in range(8):
            path.write_bytes(good[:at] + bytes([good[at] ^ 1 << bit]) + good[at + 1 :])
            with pytest.raises(SnapshotError, match=r"is no snapshot|is damaged|has format"):
                Snapshot.read(path)


def test_files_with_a_right_checksum_and_wrong_content(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with Machine(build(BUSY), ram=1 << 20) as m:
        m.run(count=2_000)
        m.save().write(path)
        before = state(m)
        good = path.read_bytes()
        size = struct.unpack_from("<I", good, 22)[0]
        header, body = json.loads(good[26 : 26 + size]), good[26 + size : -32]

        def refused(content: object, message: str, data: bytes = body) -> None:
            path.write_bytes(_file(json.dumps(content).encode(), data))
            with pytest.raises(SnapshotError, match=message) as caught:
                m.restore(Snapshot.read(path))
            assert "\n" not in str(caught.value)
            assert state(m) == before

        def changed(*keys: object, to: object) -> object:
            copy = json.loads(json.dumps(header))
            place = copy
            for key in keys[:-1]:
                place = place[key]
            place[keys[-1]] = to
            return copy

        bad: list[object] = [[], {}, None, {"pages": 1}, {**header, "pages": [1.5]}]
        for content in bad:
            refused(content, "not written by this version")
        refused(changed("pages", to=header["pages"] * 2), "not written by this version")
        refused(changed("pages", 0, to=0), "not written by this version")
        refused(header, "not written by this version", body[:-9])
        refused(header, "not written by this version", b"no zlib")
        refused(changed("identity", to={"memory": header["identity"]["memory"]}), "another machine")
        refused(changed("identity", "harts", to=9), "another machine: harts 9, here 1")
        refused(changed("events", to=[[1, 99, "tick"]]), "device 99")
        for keys, to, where in (
            (("runner",), {}, "state.runner"),
            (("clock",), "now", "state.clock"),
            (("clock",), [1], "state.clock"),
            (("machine", "skip"), -1, "state.machine.skip"),
            (("machine", "skip"), "x", "state.machine.skip"),
            (("harts",), [], "state.harts"),
            (("harts", 0, "pc"), [0, 0], r"state.harts\[0\].pc"),
            (("harts", 0, "pc"), [1 << 64], r"state.harts\[0\].pc"),
            (("harts", 0, "pc"), [None], r"state.harts\[0\].pc"),
            (("harts", 0, "new"), [0], r"state.harts\[0\].new"),
            (("devices", 0), {}, r"state.devices\[0\]"),
            (("hub", "pending"), 5, "state.hub.pending"),
        ):
            refused(changed("state", *keys, to=to), f"{where}.* is different here")
        path.write_bytes(good)
        m.restore(Snapshot.read(path))
        assert state(m) == before


def test_a_snapshot_outlives_its_machine_and_goes_to_others() -> None:
    with Machine(build(BUSY)) as m, Machine(build(BUSY)) as third:
        m.run(count=1_000)
        first = m.save()
        m.run(count=1_000)
        second, expected = m.save(), state(m)
        end = finish(m)
        third.run(count=77)
        own = third.save()
        third.restore(second)
        assert finish(third) == end
        third.restore(own)
        assert third.retired == 77
    with Machine(build(BUSY)) as other:
        other.restore(second)
        assert state(other) == expected
        other.restore(first)
        assert other.retired == 1_000
        other.restore(second)
        assert finish(other) == end


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork")
def test_a_forked_process_has_memory_of_its_own() -> None:
    """Before the first save, when nothing else keeps the two apart."""
    with Machine(build(BUSY), engine="python") as m:
        m.run(count=1_000)
        before = state(m)
        child = os.fork()
        if not child:
            m.mem["table"] = b"changed!"
            os._exit(m.mem["table" : m.symbols["table"] + 8] != b"changed!")
        assert os.waitpid(child, 0)[1] == 0
        assert state(m) == before
        saved = m.save()
        end = finish(m)
        m.restore(saved)
        assert state(m) == before
        assert finish(m) == end


@pytest.mark.parametrize("backed", (True, False))
def test_memory_that_cannot_be_frozen_is_copied(
    backed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not backed:
        monkeypatch.setattr("os.memfd_create", _no_memfd, raising=False)
    with Machine(build(BUSY), ram=1 << 20) as m:
        assert (m.board.arena.backing is None) != (backed and sys.platform == "linux")
        m.run(count=1_000)
        saved, here = m.save(), state(m)
        end = finish(m)
        m.restore(saved)
        assert state(m) == here
        m.reset()
        assert m.mem[0x8008_0000:+16] == bytes(16)
        m.restore(saved)
        assert finish(m) == end


def _no_memfd(*_: object) -> int:
    raise OSError("none here")


@pytest.mark.timing
@pytest.mark.parametrize("used", (0, 64 << 20, 120 << 20))
def test_a_save_takes_milliseconds(used: int) -> None:
    first, saves, restores, older = [], [], [], []
    for _ in range(3):
        with Machine(build(BUSY), ram=128 << 20) as m:
            m.mem[0x8040_0000:+used] = b"\x5a" * used
            t0 = time.perf_counter()
            saved = m.save()
            first.append(time.perf_counter() - t0)
            for _ in range(10):
                m.run(count=2_000)
                t0 = time.perf_counter()
                m.save()
                saves.append(time.perf_counter() - t0)
            t0 = time.perf_counter()
            m.restore(saved)
            older.append(time.perf_counter() - t0)
            for _ in range(10):
                m.run(count=2_000)
                t0 = time.perf_counter()
                m.restore(saved)
                restores.append(time.perf_counter() - t0)
    for times in (first, saves, restores, older):
        assert min(times) < 0.01, (first, saves, restores, older)


@pytest.mark.parametrize("engine", ENGINES)
def test_the_command_line(engine: str, tmp_path: Path) -> None:
    def boot(*words: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "otoriscv", "boot", str(build(BUSY)), "--engine", engine]
        return subprocess.run([*command, *words], capture_output=True, text=True)

    path = str(tmp_path / "s")
    whole = boot()
    first = boot("--max-instructions", "4000", "--save", path)
    assert first.returncode == 124
    second = boot("--restore", path, "--max-instructions", "1000000")
    assert (second.returncode, first.stdout + second.stdout) == (whole.returncode, whole.stdout)
    (tmp_path / "bad").write_bytes(b"no")
    for words, message in (
        (["--restore", str(tmp_path / "bad")], "bad: is no snapshot of otoriscv"),
        (["--restore", str(tmp_path / "none")], "none: No such file"),
        (["--restore", path, "--harts", "2"], "another machine: harts 1, here 2"),
        (["--max-instructions", "1", "--save", str(tmp_path / "no" / "s")], "No such file"),
    ):
        done = boot(*words)
        assert done.returncode == 2
        assert message in done.stderr.splitlines()[-1]
