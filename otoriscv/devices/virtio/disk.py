"""Raw disk images on the host."""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct
from typing import Any, Final

from otoriscv.devices.state import StateError, Stateful

__all__ = ["SECTOR", "Disk", "DiskError"]

SECTOR: Final = 512
_BLOCK: Final = 4096  # what a write in snapshot mode copies
_FLOCK: Final = struct.Struct("@hhqqi4x")  # struct flock: type, whence, start, length, pid


class DiskError(Exception):
    """The image cannot be used; one line that says why."""


class Disk(Stateful):
    """An image file.

    *readonly*: writes are refused. *snapshot*: writes are kept in memory and forgotten at the end.
    Otherwise the file is written, and locked against other writers (also against QEMU's).
    """

    def __init__(self, path: str, *, readonly: bool = False, snapshot: bool = False) -> None:
        self.path = path
        self.readonly = readonly
        self._snapshot = snapshot
        self._changed: dict[int, bytes] = {}  # blocks written in snapshot mode
        self._written = False
        shared = readonly or snapshot
        try:
            self._fd = os.open(path, (os.O_RDONLY if shared else os.O_RDWR) | os.O_CLOEXEC)
        except OSError as error:
            hint = ""
            if error.errno in (errno.EACCES, errno.EROFS, errno.EPERM) and not shared:
                hint = "; add ,readonly or ,snapshot"
            raise DiskError(f"{path}: {error.strerror}{hint}") from None
        except ValueError as error:  # a NUL in the name
            raise DiskError(f"{path}: {error}") from None
        try:
            self._lock(shared)
            self.size = self._check()
        except BaseException:
            os.close(self._fd)
            raise

    @property
    def sectors(self) -> int:
        """The capacity."""
        return self.size // SECTOR

    def close(self) -> None:
        """Give the file back; harmless twice."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def reset(self) -> None:
        """A power cycle changes nothing on a disk."""

    # -- access: OSError when the host cannot

    def read(self, offset: int, size: int) -> bytes:
        """*size* bytes from *offset* on, which must exist."""
        data = self._read_file(offset, size)
        if not self._changed:
            return data
        out = bytearray(data)
        for block in range(offset // _BLOCK, (offset + size + _BLOCK - 1) // _BLOCK):
            changed = self._changed.get(block)
            if changed is not None:
                at = block * _BLOCK
                low, high = max(at, offset), min(at + len(changed), offset + size)
                out[low - offset : high - offset] = changed[low - at : high - at]
        return bytes(out)

    def write(self, offset: int, data: bytes) -> None:
        """Write; the range must exist."""
        if not self._snapshot:
            self._written = True
            view = memoryview(data)
            while view:
                count = os.pwrite(self._fd, view, offset)
                offset += count
                view = view[count:]
            return
        while data:
            block, start = divmod(offset, _BLOCK)
            count = min(_BLOCK - start, len(data))
            whole = min(_BLOCK, self.size - block * _BLOCK)
            old = self._changed.get(block)
            if old is None:
                old = self._read_file(block * _BLOCK, whole)
            self._changed[block] = old[:start] + data[:count] + old[start + count :]
            offset += count
            data = data[count:]

    def flush(self) -> None:
        """What was written is on the medium when this returns."""
        if self._written and not self._snapshot:
            os.fsync(self._fd)

    def _read_file(self, offset: int, size: int) -> bytes:
        data = os.pread(self._fd, size, offset)
        while len(data) < size:
            more = os.pread(self._fd, size - len(data), offset + len(data))
            if not more:
                raise OSError(errno.EIO, "the image has become shorter")
            data += more
        return data

    # -- snapshots of the machine

    def save(self) -> dict[str, Any]:
        """The changed blocks; `StateError` when they are in the file."""
        if self._written:
            raise StateError(
                f"the guest has written to {self.path}, which a snapshot of the machine does not "
                "hold: use --drive FILE,snapshot"
            )
        return {"size": self.size, "changed": [list(item) for item in self._changed.items()]}

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        if state["size"] != self.size or self._written:
            raise StateError(f"{self.path} is not as it was when the snapshot was made")
        self._changed = dict(state["changed"])

    # -- opening

    def _lock(self, shared: bool) -> None:
        kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
        command = getattr(fcntl, "F_OFD_SETLK", fcntl.F_SETLK)
        try:
            fcntl.fcntl(self._fd, command, _FLOCK.pack(kind, os.SEEK_SET, 0, 0, 0))
        except OSError as error:
            if error.errno in (errno.EACCES, errno.EAGAIN):
                raise DiskError(f"{self.path}: is locked: another machine uses it") from None
            raise DiskError(f"{self.path}: cannot be locked: {error.strerror}") from None

    def _check(self) -> int:
        """The size; what cannot be a whole raw image is refused."""
        status = os.fstat(self._fd)
        if not (stat.S_ISREG(status.st_mode) or stat.S_ISBLK(status.st_mode)):
            raise DiskError(f"{self.path}: is no file")
        size = os.lseek(self._fd, 0, os.SEEK_END)
        head = os.pread(self._fd, 0x800, 0)
        if head.startswith(b"QFI\xfb"):
            raise DiskError(
                f"{self.path}: is a qcow2 image: make a raw one with qemu-img convert -O raw"
            )
        if not size:
            raise DiskError(f"{self.path}: is empty; truncate -s 64M {self.path} makes it a disk")
        if size % SECTOR:
            raise DiskError(
                f"{self.path}: is truncated: {size} bytes are no whole 512-byte sectors"
            )
        needed = _size_inside(head)
        if needed > size:
            raise DiskError(
                f"{self.path}: is truncated: what is on it needs {needed} bytes of {size}"
            )
        return size


def _size_inside(head: bytes) -> int:
    """The size that an ext file system or a partition table says the disk has, or 0."""
    if head[0x438:0x43A] == b"\x53\xef":
        blocks, log_size = (int.from_bytes(head[0x400 + at :][:4], "little") for at in (4, 24))
        return blocks * (1024 << log_size) if log_size < 7 else 0
    if head[512:520] == b"EFI PART":
        backup = int.from_bytes(head[544:552], "little")
        return (backup + 1) * SECTOR
    if head[510:512] == b"\x55\xaa":
        ends = [0]
        for at in range(446, 510, 16):
            status, kind = head[at], head[at + 4]
            start, count = struct.unpack_from("<2I", head, at + 8)
            if status & 0x7F:
                return 0  # a boot sector, but no partition table
            if kind not in (0, 0xEE):
                ends.append((start + count) * SECTOR)
        return max(ends)
    return 0
