"""`Machine` with firmware, an initial RAM disk, a device tree and drives."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from otoriscv import Machine
from otoriscv.board.loaders import ImageError
from otoriscv.board.memory_map import LINUX_RAM_SIZE, RAM_SIZE
from otoriscv.board.stops import StopReason
from otoriscv.core.encode import assemble
from otoriscv.devices.virtio.disk import DiskError
from tests.test_linux_images import kernel

SAY_AND_LEAVE = """
    li a7, 1            # legacy putchar
    li a0, 'A'
    ecall
    li a7, 0x53525354   # SRST: shut down
    li a6, 0
    li a0, 0
    li a1, 0
    ecall
1:  j 1b
"""


@pytest.fixture
def guest(tmp_path: Path) -> Path:
    """A raw program that uses the SBI."""
    path = tmp_path / "guest.bin"
    source = SAY_AND_LEAVE.replace("'A'", str(ord("A")))
    path.write_bytes(assemble(source, 64, 0x8000_0000).code)
    return path


def test_builtin_firmware(guest: Path) -> None:
    with Machine(guest, isa="rv64gc", bios="builtin", engine="python") as m:
        assert m.run(timeout=1).reason is StopReason.EXIT
        assert m.output.endswith("A")


def test_without_firmware_nobody_answers(guest: Path) -> None:
    with Machine(guest, isa="rv64gc", bios="none", engine="python") as m:
        assert m.run(count=10_000).reason is not StopReason.EXIT


def test_a_kernel_gets_firmware_memory_and_its_files(tmp_path: Path) -> None:
    image, archive, disk = tmp_path / "Image", tmp_path / "initrd.gz", tmp_path / "disk"
    image.write_bytes(kernel(64))
    data = gzip.compress(b"070701" + b"0" * 104 + b"TRAILER!!!\0\0\0\0")
    archive.write_bytes(data)
    disk.write_bytes(bytes(1 << 16))
    drives = [f"{disk},readonly"]
    with Machine(image, initrd=archive, drives=drives, append="quiet", engine="python") as m:
        assert m.board.supervised
        assert m.board.config.ram[0][1] == LINUX_RAM_SIZE
        tree = m.board.device_tree()
        assert b"quiet\0" in tree
        assert b"linux,initrd-start\0" in tree
        place = m.board._plan.initrd
        assert place is not None
        assert bytes(m.mem[place[0] : place[1]]) == data
        assert [d.readonly for d in m.board.config.virtio.drives] == [True]
    with Machine(isa="rv64gc", engine="python") as m:
        assert m.board.config.ram[0][1] == RAM_SIZE


def test_another_device_tree(guest: Path, tmp_path: Path) -> None:
    with Machine(isa="rv64gc", engine="python") as m:
        blob = m.board.device_tree()
    path = tmp_path / "other.dtb"
    path.write_bytes(blob.replace(b"riscv-virtio", b"my-own-board"))
    with Machine(guest, isa="rv64gc", dtb=path, engine="python") as m:
        assert b"my-own-board" in m.board.device_tree()


def test_what_is_not_there(guest: Path, tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="missing"):
        Machine(guest, isa="rv64gc", bios=tmp_path / "missing")
    with pytest.raises(ImageError, match="missing"):
        Machine(guest, isa="rv64gc", initrd=tmp_path / "missing")
    with pytest.raises(DiskError, match="missing"):
        Machine(guest, isa="rv64gc", drives=[str(tmp_path / "missing")])
    with pytest.raises(ValueError, match="FILE"):
        Machine(guest, isa="rv64gc", drives=[",readonly"])
