"""Virtio: the transport, disks, console, entropy and network card, driven by drivers in Python.

The driver below is a plain one of virtio 1.2, section 2.7; hostile ones are made by hypothesis.
"""

from __future__ import annotations

import errno
import os
import random
import shutil
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoriscv.board.console import BufferConsole
from otoriscv.board.net_socket import NetError, SocketNet
from otoriscv.board.snapshot import Snapshot, SnapshotError, restore, save
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.board.virtio import Drive, Net, VirtioConfig, parse_drive, parse_net
from otoriscv.core.bus import Access
from otoriscv.core.memory import MemoryHole
from otoriscv.devices.entropy import Entropy
from otoriscv.devices.virtio.blk import VirtioBlk
from otoriscv.devices.virtio.console import VirtioConsole
from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.disk import Disk, DiskError
from otoriscv.devices.virtio.mmio import VirtioMmio
from otoriscv.devices.virtio.net import VirtioNet
from otoriscv.devices.virtio.rng import VirtioRng

BASE = 0x8000_0000
WORD = Access(4, 0)
MAGIC, VERSION, DEVICE_ID, FEATURES, FEATURES_SEL = 0x0, 0x4, 0x8, 0x10, 0x14
CHOSEN, CHOSEN_SEL, QUEUE, QUEUE_MAX, QUEUE_SIZE = 0x20, 0x24, 0x30, 0x34, 0x38
READY, NOTIFY, INTERRUPT, ACK, STATUS = 0x44, 0x50, 0x60, 0x64, 0x70
NEEDS_RESET = 64
NEXT, WRITE, INDIRECT = 1, 2, 4


class Ram:
    """Guest memory of 1 MiB at BASE, which counts what is written."""

    def __init__(self) -> None:
        self.data = bytearray(1 << 20)

    def available(self, address: int, length: int) -> int:
        return max(0, min(length, BASE + len(self.data) - address)) if address >= BASE else 0

    def read(self, address: int, length: int) -> bytes:
        self._check(address, length)
        return bytes(self.data[address - BASE : address - BASE + length])

    def write(self, address: int, data: bytes) -> None:
        self._check(address, len(data))
        self.data[address - BASE : address - BASE + len(data)] = data

    def _check(self, address: int, length: int) -> None:
        if self.available(address, length) != length:
            raise MemoryHole(f"no memory at {address:#x}")


class Driver:
    """Drives one device: queue *n* has its rings at BASE + n * 0x4000, buffers from 0x10000 on."""

    def __init__(self, device: VirtioDevice, size: int = 16) -> None:
        self.ram = Ram()
        self.levels: list[bool] = []
        self.mmio = VirtioMmio(device, self.ram, self.levels.append)
        self.size = size
        self.next = [0] * len(device.queue_sizes)
        self.done = [0] * len(device.queue_sizes)

    def get(self, register: int) -> int:
        return self.mmio.read(register, WORD)

    def put(self, register: int, value: int) -> None:
        self.mmio.write(register, value, WORD)

    def start(self, features: int = 0) -> Driver:
        self.put(STATUS, 1)
        self.put(STATUS, 3)
        for word, value in enumerate((features, 1)):
            self.put(CHOSEN_SEL, word)
            self.put(CHOSEN, value)
        self.put(STATUS, 11)
        assert self.get(STATUS) == 11
        for n in range(len(self.next)):
            self.put(QUEUE, n)
            assert self.get(QUEUE_MAX) >= self.size
            self.put(QUEUE_SIZE, self.size)
            for register, address in zip((0x80, 0x90, 0xA0), self.rings(n), strict=True):
                self.put(register, address & 0xFFFF_FFFF)
                self.put(register + 4, address >> 32)
            self.put(READY, 1)
            assert self.get(READY) == 1
        self.put(STATUS, 15)
        return self

    @staticmethod
    def rings(n: int) -> tuple[int, int, int]:
        base = BASE + n * 0x4000
        return base, base + 0x1000, base + 0x2000

    def descriptor(self, n: int, index: int, *fields: int) -> None:
        self.ram.write(self.rings(n)[0] + 16 * index, struct.pack("<QIHH", *fields))

    def offer(self, head: int, n: int = 0, *, notify: bool = True) -> None:
        """Make a chain available."""
        available = self.rings(n)[1]
        entry = available + 4 + 2 * (self.next[n] % self.size)
        self.ram.write(entry, head.to_bytes(2, "little"))
        self.next[n] = self.next[n] + 1 & 0xFFFF
        self.ram.write(available + 2, self.next[n].to_bytes(2, "little"))
        if notify:
            self.put(NOTIFY, n)

    def used(self, n: int = 0) -> list[tuple[int, int]]:
        """(head, length) of the chains given back since the last call."""
        ring = self.rings(n)[2]
        end = int.from_bytes(self.ram.read(ring + 2, 2), "little")
        out = []
        while self.done[n] != end:
            raw = self.ram.read(ring + 4 + 8 * (self.done[n] % self.size), 8)
            out.append(struct.unpack("<II", raw))
            self.done[n] = self.done[n] + 1 & 0xFFFF
        return out

    def request(
        self, out: Sequence[bytes], room: Sequence[int], n: int = 0, *, indirect: bool = False
    ) -> tuple[int, bytes]:
        """One chain; (length, what was written)."""
        at = BASE + 0x10000
        rows, places = [], []
        for data in out:
            self.ram.write(at, data)
            rows.append([at, len(data), 0])
            at += len(data) + 64
        for size in room:
            rows.append([at, size, WRITE])
            places.append((at, size))
            at += size + 64
        table = BASE + 0xF000 if indirect else self.rings(n)[0]
        for i, (address, size, flags) in enumerate(rows):
            more = NEXT if i + 1 < len(rows) else 0
            row = struct.pack("<QIHH", address, size, flags | more, i + 1)
            self.ram.write(table + 16 * i, row)
        if indirect:
            self.descriptor(n, 0, table, 16 * len(rows), INDIRECT, 0)
        self.offer(0, n)
        (used,) = self.used(n)
        assert used[0] == 0
        return used[1], b"".join(self.ram.read(a, size) for a, size in places)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(1).randbytes(64 * 512))
    return path


def blk(path: Path, **options: bool) -> Driver:
    return Driver(VirtioBlk(Disk(str(path), **options), "serial")).start()


def io(
    driver: Driver, kind: int, sector: int, data: bytes = b"", room: int = 0
) -> tuple[int, bytes]:
    """(status, data) of a block request."""
    out = [struct.pack("<IIQ", kind, 0, sector), *([data] if data else [])]
    _, written = driver.request(out, [*([room] if room else []), 1])
    return written[-1], written[:-1]


# -- the transport


def test_registers_and_negotiation(image: Path) -> None:
    driver = Driver(VirtioBlk(Disk(str(image)), "x"))
    assert driver.get(MAGIC).to_bytes(4, "little") == b"virt"
    assert (driver.get(VERSION), driver.get(DEVICE_ID)) == (2, 2)
    driver.put(FEATURES_SEL, 1)
    assert driver.get(FEATURES) == 1  # VERSION_1
    driver.put(FEATURES_SEL, 5)
    assert driver.get(FEATURES) == 0
    driver.put(STATUS, 3)
    driver.put(STATUS, 11)  # without VERSION_1: not accepted
    assert driver.get(STATUS) == 3
    driver.put(CHOSEN_SEL, 1)
    driver.put(CHOSEN, 3)  # and not with a feature that is not there
    driver.put(STATUS, 11)
    assert driver.get(STATUS) == 3
    driver.put(QUEUE, 9)
    assert driver.get(QUEUE_MAX) == 0
    driver.put(STATUS, 0)
    assert driver.get(STATUS) == 0
    assert driver.mmio.read(0x2, Access(1, 0)) == 0  # registers are words
    config = [driver.mmio.read(0x100 + i, Access(1, 0)) for i in range(8)]
    assert int.from_bytes(bytes(config), "little") == 64
    assert driver.mmio.read(0x100, Access(8, 0)) == 64
    assert driver.mmio.read(0xFF0, Access(4, 0)) == 0


def test_interrupts(image: Path) -> None:
    driver = blk(image)
    assert driver.levels == []
    io(driver, 0, 0, room=512)
    assert driver.levels == [True] and driver.get(INTERRUPT) == 1
    driver.put(ACK, 1)
    assert driver.levels == [True, False] and driver.get(INTERRUPT) == 0
    driver.ram.write(driver.rings(0)[1], b"\1\0")  # VIRTQ_AVAIL_F_NO_INTERRUPT
    io(driver, 0, 0, room=512)
    assert driver.levels == [True, False]


def test_nothing_happens_before_the_driver_is_ready(image: Path) -> None:
    driver = blk(image)
    driver.put(STATUS, 0)
    driver.put(NOTIFY, 0)
    assert driver.get(STATUS) == 0 and driver.used() == []


# -- disks


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


# -- the others


def test_rng_repeats_and_reaches_every_byte() -> None:
    runs = []
    for _ in range(2):
        driver = Driver(VirtioRng(Entropy("x", repeatable=True))).start()
        length, data = driver.request([], [1000, 24])
        assert length == 1024
        runs.append(data)
    assert runs[0] == runs[1] and len(set(runs[0])) > 200
    live = Driver(VirtioRng(Entropy("x", repeatable=False))).start()
    assert live.request([], [64])[1] != runs[0][:64]


def test_console() -> None:
    out: list[bytes] = []
    device = VirtioConsole(out.append)
    driver = Driver(device).start()
    driver.request([b"hello ", b"world"], [], 1)
    assert b"".join(out) == b"hello world"
    driver.descriptor(0, 3, BASE + 0x20000, 4, WRITE, 0)
    driver.offer(3)
    assert driver.used() == []  # waits
    device.receive(b"typed text")
    assert driver.used() == [(3, 4)] and driver.ram.read(BASE + 0x20000, 4) == b"type"
    driver.offer(3)
    assert driver.used() == [(3, 4)] and driver.ram.read(BASE + 0x20000, 4) == b"d te"
    assert driver.get(INTERRUPT) == 1


def test_network_card() -> None:
    sent: list[bytes] = []
    mac = bytes.fromhex("525400123456")
    device = VirtioNet(mac, sent.append)
    driver = Driver(device).start()
    assert bytes(driver.mmio.read(0x100 + i, Access(1, 0)) for i in range(6)) == mac
    frame = random.Random(4).randbytes(300)
    driver.request([bytes(12), frame], [], 1)
    assert sent == [frame]
    driver.descriptor(0, 0, BASE + 0x20000, 2000, WRITE, 0)
    driver.offer(0)
    assert driver.used() == []
    device.receive(frame)
    assert driver.used() == [(0, 312)]
    assert driver.ram.read(BASE + 0x20000, 312) == bytes(10) + b"\1\0" + frame
    for _ in range(2000):
        device.receive(frame)
    assert device.dropped == 976


# -- hostile drivers


def broken(setup: Callable[[Driver], None], image: Path) -> Driver:
    driver = blk(image)
    setup(driver)
    assert driver.get(STATUS) & NEEDS_RESET, driver.mmio.error
    assert driver.get(INTERRUPT) & 2  # configuration changed
    assert driver.mmio.error and "\n" not in driver.mmio.error
    driver.offer(0)  # nothing more happens
    driver.put(STATUS, 0)
    assert driver.get(STATUS) == 0
    return driver


def loop(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE + 0x10000, 16, NEXT, 1)
    driver.descriptor(0, 1, BASE + 0x10000, 16, NEXT, 0)
    driver.offer(0)


def outside(driver: Driver) -> None:
    driver.descriptor(0, 0, 0x1000, 16, 0, 0)
    driver.offer(0)


def wraps(driver: Driver) -> None:
    driver.descriptor(0, 0, 2**64 - 8, 16, 0, 0)
    driver.offer(0)


def huge(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE, 0xFFFF_FFFF, 0, 0)
    driver.offer(0)


def no_such_descriptor(driver: Driver) -> None:
    driver.offer(16)


def next_outside(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE, 16, NEXT, 999)
    driver.offer(0)


def too_many(driver: Driver) -> None:
    driver.ram.write(driver.rings(0)[1] + 2, b"\x11\0")
    driver.put(NOTIFY, 0)


def nested_indirect(driver: Driver) -> None:
    table = BASE + 0xF000
    driver.ram.write(table, struct.pack("<QIHH", table, 16, INDIRECT, 0))
    driver.descriptor(0, 0, table, 16, INDIRECT, 0)
    driver.offer(0)


def odd_indirect(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE + 0xF000, 17, INDIRECT, 0)
    driver.offer(0)


def indirect_outside(driver: Driver) -> None:
    driver.descriptor(0, 0, 0x1000, 16, INDIRECT, 0)
    driver.offer(0)


def read_behind_write(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE + 0x10000, 16, NEXT | WRITE, 1)
    driver.descriptor(0, 1, BASE + 0x10000, 16, 0, 0)
    driver.offer(0)


def no_status(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE + 0x10000, 16, 0, 0)
    driver.offer(0)


def short_header(driver: Driver) -> None:
    driver.descriptor(0, 0, BASE + 0x10000, 8, NEXT, 1)
    driver.descriptor(0, 1, BASE + 0x10100, 1, WRITE, 0)
    driver.offer(0)


def rings_leave_memory(driver: Driver) -> None:
    driver.put(QUEUE, 0)
    driver.put(READY, 0)
    driver.put(0xA4, 7)
    driver.put(READY, 1)


def odd_size(driver: Driver) -> None:
    driver.put(QUEUE, 0)
    driver.put(READY, 0)
    driver.put(QUEUE_SIZE, 3)
    driver.put(READY, 1)


@pytest.mark.parametrize(
    "setup",
    (loop, outside, wraps, huge, no_such_descriptor, next_outside, too_many, nested_indirect,
     odd_indirect, indirect_outside, read_behind_write, no_status, short_header,
     rings_leave_memory, odd_size),
)  # fmt: skip
def test_a_driver_that_breaks_the_rules(setup: Callable[[Driver], None], image: Path) -> None:
    before = image.read_bytes()
    driver = broken(setup, image)
    assert image.read_bytes() == before
    driver.next = [0]  # and a new one can start
    driver.done = [0]
    driver.ram.data[:] = bytes(len(driver.ram.data))
    driver.start()
    assert io(driver, 0, 0, room=512) == (0, before[:512])


def devices(path: Path) -> Iterator[VirtioDevice]:
    yield VirtioBlk(Disk(str(path), snapshot=True), "x")
    yield VirtioRng(Entropy("x", repeatable=True))
    console = VirtioConsole(lambda data: None)
    console.receive(b"some input")
    yield console
    card = VirtioNet(bytes(6), lambda frame: None)
    yield card


@settings(max_examples=100, deadline=None)
@given(data=st.data(), which=st.integers(0, 3))
def test_no_driver_makes_a_device_fail(data: st.DataObject, which: int) -> None:
    """Random rings, random register accesses: the worst that happens is NEEDS_RESET."""
    path = Path(f"/tmp/otoriscv-hostile-{os.getpid()}")
    path.write_bytes(bytes(16 * 512))
    device = list(devices(path))[which]
    driver = Driver(device).start()
    near = st.integers(BASE, BASE + 0x8000) | st.integers(BASE + 0xF_FF00, BASE + 0x10_0010)
    address = near | st.integers(0, 2**64 - 1)
    size = st.integers(0, 64) | st.integers(0, 2**32 - 1) | st.just(16)
    for _ in range(data.draw(st.integers(1, 6))):
        queue = data.draw(st.integers(0, len(driver.next) - 1))
        for index in range(data.draw(st.integers(0, 6))):
            row = (data.draw(address), data.draw(size), data.draw(st.integers(0, 7)))
            driver.descriptor(queue, index, *row, data.draw(st.integers(0, 17)))
        choice = data.draw(st.integers(0, 3))
        if choice == 0:
            driver.put(data.draw(st.integers(0, 0x7F)) * 4, data.draw(st.integers(0, 2**32 - 1)))
        elif choice == 1:
            driver.ram.write(
                driver.rings(queue)[1] + 2, data.draw(st.binary(min_size=2, max_size=2))
            )
            driver.put(NOTIFY, queue)
        else:
            driver.offer(data.draw(st.integers(0, 6)), queue)
        if isinstance(device, VirtioNet):
            device.receive(bytes(60))
    driver.put(STATUS, 0)
    assert driver.get(STATUS) == 0 and driver.levels[-1:] in ([], [False])
    path.unlink()


def test_a_buffer_over_the_rings_ends() -> None:
    """Input written over the available ring's index must not keep the device busy for ever."""
    device = VirtioConsole(lambda data: None)
    driver = Driver(device).start()
    driver.descriptor(0, 0, driver.rings(0)[1] + 2, 2, WRITE, 0)
    device.receive(bytes(range(1, 200)) * 300)
    driver.offer(0)
    assert driver.get(STATUS) & NEEDS_RESET


# -- on the board


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


def test_the_console_goes_to_the_driver(image: Path) -> None:
    machine = virt(devices=("virtio-console",))
    console = machine.console
    assert isinstance(console, BufferConsole) and machine.virtio.console is not None
    machine.virtio.console.listening = True
    console.feed(b"abc")
    machine.pump()
    assert machine.virtio.console.room() == (1 << 16) - 3
    machine.close()


# -- the command line


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


def test_net_options() -> None:
    assert parse_net("listen:0") == Net("127.0.0.1", 0, True)
    found = parse_net("connect:[::1]:99,mac=02:00:00:00:00:01")
    assert found == Net("::1", 99, False, bytes.fromhex("020000000001"))
    for bad in ("", "9", "listen:", "connect:x:y", "listen:1,mac=5", "listen:1,mac=01:0:0:0:0:0"):
        with pytest.raises(ValueError, match="is not connect"):
            parse_net(bad)
    with pytest.raises(ValueError, match="is not FILE"):
        parse_drive(",readonly")


@pytest.mark.parametrize(
    "words, why",
    (
        (("--drive", "none.img"), "none.img: No such file"),
        (("--drive", "good.img", "--drive", "good.img"), "is locked"),
        (("--drive", "bad.img"), "is truncated"),
        (("--drive", ",snapshot"), "is not FILE"),
        (("--net", "connect:1"), "cannot connect to 127.0.0.1:1"),
        (("--net", "tap0"), "is not connect:"),
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


# -- sockets


def test_two_machines_exchange_frames() -> None:
    said: list[str] = []
    one = SocketNet(Net("127.0.0.1", 0, True), lambda: None, said.append)
    two = SocketNet(Net("127.0.0.1", one.port, False), lambda: None, said.append)
    frames = [random.Random(n).randbytes(60 + 700 * n) for n in range(20)]
    deadline = time.monotonic() + 20
    got: list[bytes] = []
    while one._peer is None and time.monotonic() < deadline:
        time.sleep(0.01)
    for frame in frames:
        two.send(frame)
        one.send(frame)
    back: list[bytes] = []
    while (len(got) < 20 or len(back) < 20) and time.monotonic() < deadline:
        got += one.take()
        back += two.take()
        time.sleep(0.01)
    assert got == frames and back == frames and "tcp 127.0.0.1" in said[0]
    two.close()
    one.close()
    one.close()


def test_a_peer_with_another_language_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    one = SocketNet(Net("127.0.0.1", 0, True), lambda: None, lambda text: None)
    with socket.create_connection(("127.0.0.1", one.port), timeout=20) as peer:
        peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
        assert peer.recv(10) == b""  # hung up
    with pytest.raises(NetError, match="cannot listen on"):
        SocketNet(Net("127.0.0.1", one.port, True), lambda: None, lambda text: None)
    one.close()
