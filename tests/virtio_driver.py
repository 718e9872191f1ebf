"""A plain driver of virtio devices (virtio 1.2, section 2.7), in Python."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

from otoriscv.core.bus import Access
from otoriscv.core.memory import MemoryHole
from otoriscv.devices.virtio.blk import VirtioBlk
from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.disk import Disk
from otoriscv.devices.virtio.mmio import VirtioMmio

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


def blk(path: Path, **options: bool) -> Driver:
    return Driver(VirtioBlk(Disk(str(path), **options), "serial")).start()


def io(
    driver: Driver, kind: int, sector: int, data: bytes = b"", room: int = 0
) -> tuple[int, bytes]:
    """(status, data) of a block request."""
    out = [struct.pack("<IIQ", kind, 0, sector), *([data] if data else [])]
    _, written = driver.request(out, [*([room] if room else []), 1])
    return written[-1], written[:-1]
