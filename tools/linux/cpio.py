"""Writes cpio archives of the kind that Linux unpacks into its root (the "newc" format)."""

from __future__ import annotations

import stat

__all__ = ["Archive"]


class Archive:
    """An archive in memory. All files belong to root and have no date, so that builds repeat."""

    def __init__(self) -> None:
        self._data = bytearray()
        self._inode = 0
        self._folders: set[str] = set()

    def folder(self, path: str) -> None:
        """A directory, and those above it."""
        parent = path.rpartition("/")[0]
        if parent:
            self.folder(parent)
        if path not in self._folders:
            self._folders.add(path)
            self._entry(path, stat.S_IFDIR | 0o755, b"")

    def file(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """A file."""
        self._parent(path)
        self._entry(path, stat.S_IFREG | mode, data)

    def link(self, path: str, target: str) -> None:
        """A symbolic link."""
        self._parent(path)
        self._entry(path, stat.S_IFLNK | 0o777, target.encode())

    def device(self, path: str, major: int, minor: int) -> None:
        """A character device."""
        self._parent(path)
        self._entry(path, stat.S_IFCHR | 0o600, b"", (major, minor))

    def finish(self) -> bytes:
        """The archive."""
        self._entry("TRAILER!!!", 0, b"")
        return bytes(self._data)

    def _parent(self, path: str) -> None:
        parent = path.rpartition("/")[0]
        if parent:
            self.folder(parent)

    def _entry(self, path: str, mode: int, data: bytes, device: tuple[int, int] = (0, 0)) -> None:
        self._inode += 1
        name = path.encode() + b"\0"
        # ino mode uid gid nlink mtime filesize devmajor devminor rdevmajor rdevminor namesize check
        numbers = (self._inode, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(name), 0)
        self._data += b"070701" + b"".join(b"%08x" % n for n in numbers) + name
        self._data += bytes(-len(self._data) % 4)
        self._data += data + bytes(-len(data) % 4)
