"""Block device (virtio 1.2, section 5.2) on a raw image."""

from __future__ import annotations

import struct
from typing import Any, ClassVar, Final

from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.disk import SECTOR, Disk
from otoriscv.devices.virtio.queue import Chain, QueueError

__all__ = ["VirtioBlk"]

_SEG_MAX, _BLK_SIZE, _RO, _FLUSH = 1 << 2, 1 << 6, 1 << 5, 1 << 9
_IN, _OUT, _FLUSH_REQUEST, _GET_ID = 0, 1, 4, 8
_OK, _IOERR, _UNSUPP = b"\0", b"\1", b"\2"
_HEADER: Final = struct.Struct("<IIQ")
_ID_SIZE: Final = 20
_QUEUE: Final = 256
_SEGMENTS: Final = _QUEUE - 2  # a chain has a header and a status beside the data
_LARGEST: Final = 64 << 20  # bytes of one request


class VirtioBlk(VirtioDevice):
    """*disk* as a virtio disk; *serial* is what it calls itself."""

    name = "virtio-blk"
    number = 2
    queue_sizes: ClassVar = (_QUEUE,)
    feature_names: ClassVar = {
        _SEG_MAX: "SEG_MAX",
        _RO: "RO",
        _BLK_SIZE: "BLK_SIZE",
        _FLUSH: "FLUSH",
    }

    def __init__(self, disk: Disk, serial: str) -> None:
        super().__init__()
        self.disk = disk
        self._serial = serial.encode()[:_ID_SIZE].ljust(_ID_SIZE, b"\0")
        self.features = _SEG_MAX | _BLK_SIZE | _FLUSH | (_RO if disk.readonly else 0)

    def save(self) -> dict[str, Any]:
        """What of the disk is not in its file."""
        return self.disk.save()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self.disk.restore(state)

    def config(self) -> bytes:
        """Capacity in sectors, no size limit, segments, no geometry, block size."""
        return struct.pack("<QIIIII", self.disk.sectors, 0, _SEGMENTS, 0, SECTOR, 0)

    def handle(self, index: int, chain: Chain) -> int:
        """One request: a header, data, and a status byte at the very end."""
        size = chain.write_size - 1
        if size < 0:
            raise QueueError("a request without room for its status")
        header = chain.read(0, _HEADER.size)
        if len(header) < _HEADER.size:
            raise QueueError(f"a request of {len(header)} bytes")
        kind, _, sector = _HEADER.unpack(header)
        try:
            status, written = self._request(chain, kind, sector, size)
        except OSError:
            status, written = _IOERR, 0
        chain.write(size, status)
        return written + 1

    def _request(self, chain: Chain, kind: int, sector: int, size: int) -> tuple[bytes, int]:
        disk = self.disk
        if kind == _IN:
            if not self._exists(sector, size):
                return _IOERR, 0
            chain.write(0, disk.read(sector * SECTOR, size))
            return _OK, size
        if kind == _OUT:
            count = chain.read_size - _HEADER.size
            if disk.readonly or not self._exists(sector, count):
                return _IOERR, 0
            disk.write(sector * SECTOR, chain.read(_HEADER.size, count))
            return _OK, 0
        if kind == _FLUSH_REQUEST:
            disk.flush()
            return _OK, 0
        if kind == _GET_ID:
            data = self._serial[:size]
            chain.write(0, data)
            return _OK, len(data)
        return _UNSUPP, 0

    def _exists(self, sector: int, size: int) -> bool:
        inside = size % SECTOR == 0 and sector + size // SECTOR <= self.disk.sectors
        return inside and size <= _LARGEST
