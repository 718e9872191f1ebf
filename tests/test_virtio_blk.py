"""Virtio disks: requests, images that are refused, locks, ``--drive``."""

from __future__ import annotations

import errno
import os
import random
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoriscv.board.virtio import Drive, parse_drive
from otoriscv.devices.virtio.disk import Disk, DiskError
from tests.virtio_driver import (
    FEATURES,
    blk,
    io,
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(1).randbytes(64 * 512))
    return path


def test_read_write_flush_and_id(image: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = image.read_bytes()
    driver = blk(image)
    assert io(driver, 0, 3, room=1024) == (0, before[3 * 512 : 5 * 512])
    new = random.Random(2).randbytes(1536)
    assert io(driver, 1, 60, new) == (0, b"")
    assert image.read_bytes() == before[: 60 * 512] + new + before[63 * 512 :]
    synced: list[int] = []
    monkeypatch.setattr(os, "fsync", synced.append)
    assert io(driver, 4, 0) == (0, b"") and len(synced) == 1
    assert io(driver, 8, 0, room=20) == (0, b"serial".ljust(20, b"\0"))
    assert io(driver, 99, 0) == (2, b"")


def test_indirect_and_scattered_requests(image: Path) -> None:
    driver = blk(image)
    header = struct.pack("<IIQ", 0, 0, 1)
    parts = [header[:1], header[1:9], header[9:]]
    length, written = driver.request(parts, [100, 412, 512, 1], indirect=True)
    assert (length, written[-1]) == (1025, 0)
    assert written[:-1] == image.read_bytes()[512:1536]


@pytest.mark.parametrize("kind, sector, size", ((0, 64, 512), (0, 63, 1024), (0, 2**64 - 1, 512),
    (0, 0, 100), (1, 64, 512), (1, 2**63, 512), (1, 1, 511)))  # fmt: skip
def test_requests_beyond_the_disk(kind: int, sector: int, size: int, image: Path) -> None:
    before = image.read_bytes()
    driver = blk(image)
    if kind:
        status, _ = io(driver, 1, sector, bytes(size))
    else:
        status, _ = io(driver, 0, sector, room=size)
    assert status == 1 and image.read_bytes() == before


def test_readonly_and_snapshot(image: Path) -> None:
    before = image.read_bytes()
    driver = blk(image, readonly=True)
    assert driver.get(FEATURES) >> 5 & 1
    assert io(driver, 1, 0, bytes(512))[0] == 1
    other = blk(image, snapshot=True)
    data = random.Random(3).randbytes(9 * 512)
    assert io(other, 1, 4, data)[0] == 0
    assert io(other, 0, 0, room=20 * 512) == (0, before[:2048] + data + before[13 * 512 : 20 * 512])
    assert io(driver, 0, 4, room=512) == (0, before[2048:2560])
    assert image.read_bytes() == before


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 60), st.integers(1, 20), st.integers(0, 255)), max_size=20)
)
def test_a_snapshot_disk_is_a_disk(writes: list[tuple[int, int, int]]) -> None:
    path = Path(f"/tmp/otoriscv-disk-{os.getpid()}")
    model = bytearray(random.Random(1).randbytes(61 * 512))
    path.write_bytes(model)
    disk = Disk(str(path), snapshot=True)
    try:
        for sector, count, byte in writes:
            data = bytes([byte]) * min(count * 512, len(model) - sector * 512)
            model[sector * 512 : sector * 512 + len(data)] = data
            disk.write(sector * 512, data)
        assert disk.read(0, len(model)) == model
        assert disk.read(512, 1024) == model[512:1536]
    finally:
        disk.close()
        path.unlink()


def test_an_image_that_shrinks_is_an_io_error(image: Path) -> None:
    driver = blk(image)
    os.truncate(image, 512)
    assert io(driver, 0, 8, room=512)[0] == 1


def mbr(start: int, count: int) -> bytes:
    entry = struct.pack("<B3xB3xII", 0x80, 0x83, start, count)
    return bytes(446) + entry + bytes(48) + b"\x55\xaa"


@pytest.mark.parametrize(
    "data, why",
    (
        (b"", "is empty"),
        (bytes(1000), "is truncated: 1000 bytes"),
        (b"QFI\xfb" + bytes(508), "qcow2"),
        (mbr(1, 100) + bytes(512), "what is on it needs 51712 bytes"),
        (bytes(1024) + struct.pack("<4xI16xI", 64, 2) + bytes(28) + b"\x53\xef" + bytes(966),
         "what is on it needs 262144 bytes"),
        (bytes(512) + b"EFI PART" + bytes(24) + struct.pack("<Q", 99) + bytes(464), "truncated"),
    ),
)  # fmt: skip
def test_images_that_are_refused(data: bytes, why: str, tmp_path: Path) -> None:
    path = tmp_path / "bad.img"
    path.write_bytes(data)
    with pytest.raises(DiskError, match=why) as caught:
        Disk(str(path))
    assert str(caught.value).startswith(f"{path}: ") and "\n" not in str(caught.value)


def test_images_that_cannot_be_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DiskError, match="No such file"):
        Disk(str(tmp_path / "none"))
    with pytest.raises(DiskError, match=r"directory|no file"):
        Disk(str(tmp_path))

    def refuse(*words: object, **more: object) -> int:
        raise OSError(errno.EROFS, "Read-only file system")

    monkeypatch.setattr(os, "open", refuse)
    with pytest.raises(DiskError, match=r"Read-only file system; add ,readonly or ,snapshot"):
        Disk(str(tmp_path / "x"))


def test_locks(image: Path) -> None:
    first = Disk(str(image))
    for options in ({}, {"readonly": True}, {"snapshot": True}):
        with pytest.raises(DiskError, match="is locked: another machine uses it"):
            Disk(str(image), **options)
    first.close()
    readers = [Disk(str(image), readonly=True), Disk(str(image), snapshot=True)]
    with pytest.raises(DiskError, match="is locked"):
        Disk(str(image))
    for reader in readers:
        reader.close()


@pytest.mark.skipif(shutil.which("qemu-img") is None, reason="no qemu-img")
def test_qemu_respects_our_lock(image: Path) -> None:
    disk = Disk(str(image))
    command = ["qemu-io", "-f", "raw", "-c", "write 0 512", str(image)]
    done = subprocess.run(command, capture_output=True, text=True)
    disk.close()
    assert done.returncode != 0 and "lock" in done.stderr
    assert subprocess.run(command, capture_output=True).returncode == 0


@pytest.mark.parametrize(
    "text, drive",
    (
        ("a.img", Drive("a.img")),
        ("a.img,readonly", Drive("a.img", True)),
        ("a,b.img,snapshot,readonly", Drive("a,b.img", True, True)),
        ("readonly", Drive("readonly")),
    ),
)
def test_drive_options(text: str, drive: Drive) -> None:
    assert parse_drive(text) == drive
    with pytest.raises(ValueError, match="is not FILE"):
        parse_drive(",readonly")
