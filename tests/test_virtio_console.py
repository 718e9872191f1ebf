"""Virtio consoles and entropy."""

from __future__ import annotations

from otoriscv.board.console import BufferConsole
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.board.virtio import VirtioConfig
from otoriscv.devices.entropy import Entropy
from otoriscv.devices.virtio.console import VirtioConsole
from otoriscv.devices.virtio.rng import VirtioRng
from tests.virtio_driver import BASE, INTERRUPT, WRITE, Driver


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


def virt(*devices: str) -> VirtMachine:
    virtio = VirtioConfig((), None, devices)
    return VirtMachine(VirtConfig(engine="interp", virtio=virtio, ram=((BASE, 16 << 20),)))


def test_the_console_goes_to_the_driver() -> None:
    machine = virt("virtio-console")
    console = machine.console
    assert isinstance(console, BufferConsole) and machine.virtio.console is not None
    machine.virtio.console.listening = True
    console.feed(b"abc")
    machine.pump()
    assert machine.virtio.console.room() == (1 << 16) - 3
    machine.close()
