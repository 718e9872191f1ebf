"""Virtio: the transport, and drivers that break the rules of its rings."""

from __future__ import annotations

import os
import random
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from otoriscv.core.bus import Access
from otoriscv.devices.entropy import Entropy
from otoriscv.devices.virtio.blk import VirtioBlk
from otoriscv.devices.virtio.console import VirtioConsole
from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.disk import Disk
from otoriscv.devices.virtio.net import VirtioNet
from otoriscv.devices.virtio.rng import VirtioRng
from tests.virtio_driver import (
    ACK,
    BASE,
    CHOSEN,
    CHOSEN_SEL,
    DEVICE_ID,
    FEATURES,
    FEATURES_SEL,
    INDIRECT,
    INTERRUPT,
    MAGIC,
    NEEDS_RESET,
    NEXT,
    NOTIFY,
    QUEUE,
    QUEUE_MAX,
    QUEUE_SIZE,
    READY,
    STATUS,
    VERSION,
    WRITE,
    Driver,
    blk,
    io,
)


@pytest.fixture
def image(tmp_path: Path) -> Path:
    path = tmp_path / "disk.img"
    path.write_bytes(random.Random(1).randbytes(64 * 512))
    return path


def test_registers_and_negotiation(image: Path) -> None:
    driver = Driver(VirtioBlk(Disk(str(image)), "x"))
    assert driver.get(MAGIC).to_bytes(4, "little") == b"virt"
    assert (driver.get(VERSION), driver.get(DEVICE_ID)) == (2, 2)
    driver.put(FEATURES_SEL, 1)
    assert driver.get(FEATURES) == 1  # VERSION_1
    driver.put(FEATURES_SEL, 5)
    assert driver.get(FEATURES) == 0
    driver.put(STATUS, 3)
    driver.put(STATUS, 11)  # without VERSION_1, as xv6 does it
    assert driver.get(STATUS) == 11
    driver.put(STATUS, 3)
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


def test_a_card_needs_version_1() -> None:
    driver = Driver(VirtioNet(bytes(6), lambda frame: None))
    driver.put(STATUS, 3)
    driver.put(STATUS, 11)
    assert driver.get(STATUS) == 3


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
