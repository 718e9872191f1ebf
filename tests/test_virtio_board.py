"""Virtio devices on the board, in snapshots, and on the command line."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from otoriscv.board.info_virtio import virtio
from otoriscv.board.snapshot import Snapshot, SnapshotError, restore, save
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.board.virtio import Drive, VirtioConfig
from tests.virtio_driver import (
    BASE,
    CHOSEN,
    CHOSEN_SEL,
    NEXT,
    NOTIFY,
    QUEUE,
    QUEUE_SIZE,
    READY,
    STATUS,
    WORD,
    WRITE,
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(1).randbytes(64 * 512))
    return path


def virt(*drives: Drive, devices: Sequence[str] = (), engine: str = "interp") -> VirtMachine:
    virtio = VirtioConfig(drives, None, devices)
    return VirtMachine(VirtConfig(engine=engine, virtio=virtio, ram=((BASE, 16 << 20),)))


def program(machine: VirtMachine, words: Sequence[int], at: int = BASE) -> None:
    machine.memory.write(at, b"".join(w.to_bytes(4, "little") for w in words))


def blk_program(machine: VirtMachine, kind: int, sector: int, buffer: int, size: int) -> None:
    """Rings in memory and registers set as a driver would, by accesses on the bus."""

    def put(register: int, value: int) -> None:
        machine.bus.write(0x1000_1000 + register, value, WORD)

    rings = (BASE + 0x10_0000, BASE + 0x10_1000, BASE + 0x10_2000)
    put(STATUS, 0)
    put(STATUS, 3)
    put(CHOSEN_SEL, 1)
    put(CHOSEN, 1)
    put(STATUS, 11)
    put(QUEUE, 0)
    put(QUEUE_SIZE, 8)
    for register, address in zip((0x80, 0x90, 0xA0), rings, strict=True):
        put(register, address)
    put(READY, 1)
    put(STATUS, 15)
    header, status = BASE + 0x11_0000, BASE + 0x11_0100
    machine.memory.write(header, struct.pack("<IIQ", kind, 0, sector))
    flag = WRITE if kind == 0 else 0
    rows = ((header, 16, NEXT, 1), (buffer, size, NEXT | flag, 2), (status, 1, WRITE, 0))
    machine.memory.write(rings[0], b"".join(struct.pack("<QIHH", *row) for row in rows))
    machine.memory.write(rings[1], struct.pack("<HHH", 0, 1, 0))
    machine.memory.write(rings[2], bytes(16))
    put(NOTIFY, 0)
    assert machine.memory.read(status, 1) == b"\0"


@pytest.mark.parametrize("engine", ("python", "interp", "llvm"))
def test_dma_over_code_is_seen(engine: str, tmp_path: Path) -> None:
    """A disk read replaces a loop that was executed (and compiled): the new code runs."""
    path = tmp_path / "code.img"
    # addi a0, a0, 2; addi a1, a1, -1; bnez a1, .-8; j .
    new = (0x0025_0513, 0xFFF5_8593, 0xFE05_9CE3, 0x0000_006F)
    path.write_bytes(b"".join(w.to_bytes(4, "little") for w in new).ljust(512, b"\0"))
    machine = virt(Drive(str(path), readonly=True), engine=engine)
    old = (0x0015_0513, *new[1:])
    program(machine, old)
    hart = machine.harts[0]

    def count() -> int:
        hart.pc = BASE
        hart.x[10], hart.x[11] = 0, 50_000
        machine.run(steps=150_001)
        return int(hart.x[10])

    assert count() == 50_000
    blk_program(machine, 0, 0, BASE, 512)
    assert count() == 100_000
    machine.close()


def test_the_tree_names_them(image: Path) -> None:
    from tests.test_fdt import parse

    machine = virt(Drive(str(image), readonly=True), devices=("virtio-rng",))
    tree = parse(machine.device_tree())
    assert tree["/soc/virtio_mmio@10001000"]["interrupts"] == b"\0\0\0\1"
    assert tree["/soc/virtio_mmio@10002000"]["compatible"] == b"virtio,mmio\0"
    assert "/soc/virtio_mmio@10003000" not in tree
    machine.close()


def test_monitor_info(image: Path) -> None:
    machine = virt(Drive(str(image), readonly=True), devices=("virtio-rng",))
    text = virtio(machine)
    assert "virtio-blk at 0x10001000: reset\n  features: none; also offered: SEG_MAX RO " in text
    assert "virtio-rng at 0x10002000: reset" in text and "queue 0: not ready, up to 256" in text
    blk_program(machine, 0, 0, BASE + 0x1000, 512)
    text = virtio(machine)
    assert "ACKNOWLEDGE DRIVER FEATURES_OK DRIVER_OK\n  features: VERSION_1; also" in text
    assert "8 entries, descriptors 0x80100000, available 0x80101000, used 0x80102000" in text
    assert "1 taken, 1 given back" in text
    machine.memory.write(BASE + 0x10_1002, b"\xff\xff")
    machine.bus.write(0x1000_1000 + NOTIFY, 0, WORD)
    text = virtio(machine)
    assert "DEVICE_NEEDS_RESET" in text
    assert "the driver's mistake: 65534 buffers are available in a queue of 8" in text
    machine.close()
    machine = virt()
    assert virtio(machine) == "there are no virtio devices\n"
    machine.close()


def test_snapshots(image: Path, tmp_path: Path) -> None:
    machine = virt(Drive(str(image), snapshot=True), devices=("virtio-rng", "virtio-console"))
    machine.memory.write(BASE + 0x1000, b"new".ljust(512))
    blk_program(machine, 1, 5, BASE + 0x1000, 512)
    file = tmp_path / "saved"
    save(machine).write(file)
    again = virt(Drive(str(image), snapshot=True), devices=("virtio-rng", "virtio-console"))
    restore(again, Snapshot.read(file))
    assert again.bus.read(0x1000_1000 + STATUS, WORD) == 15
    again.memory.write(BASE + 0x11_0000, struct.pack("<IIQ", 0, 0, 5))
    again.memory.write(BASE + 0x10_0000 + 16, struct.pack("<QIHH", BASE + 0x2000, 512, 3, 2))
    again.memory.write(BASE + 0x10_1000 + 2, struct.pack("<HHH", 2, 0, 0))
    again.bus.write(0x1000_1000 + NOTIFY, 0, WORD)
    assert again.memory.read(BASE + 0x2000, 512) == b"new".ljust(512)
    machine.close()
    again.close()
    written = virt(Drive(str(image)))
    save(written)
    blk_program(written, 1, 5, BASE + 0x1000, 512)
    with pytest.raises(SnapshotError, match="use --drive FILE,snapshot"):
        save(written)
    written.close()


@pytest.mark.parametrize(
    "words, why",
    (
        (("--drive", "none.img"), "none.img: No such file"),
        (("--drive", "good.img", "--drive", "good.img"), "is locked"),
        (("--drive", "bad.img"), "is truncated"),
        (("--drive", ",snapshot"), "is not FILE"),
        (("--net", "connect:1"), "cannot connect to 127.0.0.1:1"),
        (("--net", "tap0"), "is not user, connect:"),
        (("--device", "virtio-gpu"), "invalid choice"),
        (("--drive", "good.img,readonly") * 9, "room for 8"),
    ),
)
def test_mistakes_are_one_line(words: tuple[str, ...], why: str, tmp_path: Path) -> None:
    (tmp_path / "good.img").write_bytes(bytes(1024))
    (tmp_path / "bad.img").write_bytes(bytes(1023))
    command = [sys.executable, "-m", "otoriscv", "boot", "--dumpdtb", "x", *words]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, timeout=60)
    assert done.returncode == 2 and why in done.stderr, done.stderr
    assert done.stderr.count("\n") == 1
