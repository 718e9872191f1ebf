"""What a semihosting handle can be: the console, the feature bits, a file in one directory."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable
from typing import Final, Protocol

__all__ = ["Console", "Features", "File", "HostDirectory", "HostFile", "NotReady"]

_FEATURES: Final = b"SHFB\x03"  # SH_EXT_EXIT_EXTENDED and SH_EXT_STDOUT_STDERR
_ACCESS: Final = {
    "r": os.O_RDONLY,
    "r+": os.O_RDWR,
    "w": os.O_WRONLY | os.O_CREAT | os.O_TRUNC,
    "w+": os.O_RDWR | os.O_CREAT | os.O_TRUNC,
    "a": os.O_WRONLY | os.O_CREAT | os.O_APPEND,
    "a+": os.O_RDWR | os.O_CREAT | os.O_APPEND,
}


class NotReady(Exception):
    """Console input is wanted and none is there yet."""


class File(Protocol):
    """One open handle. Everything may raise OSError."""

    tty: bool

    def read(self, limit: int) -> bytes: ...

    def write(self, data: bytes) -> int: ...

    def seek(self, position: int) -> None: ...

    def length(self) -> int: ...

    def close(self) -> None: ...


class Console:
    """``:tt``: opened for reading it is stdin, else stdout or stderr (here one console)."""

    tty = True

    def __init__(
        self, out: Callable[[bytes], None], into: Callable[[int], bytes | None], *, reads: bool
    ) -> None:
        self._out = out
        self._in = into
        self.reads = reads

    def read(self, limit: int) -> bytes:
        """Whatever has been typed, at least one byte; b"" at the end of the input."""
        if not self.reads:
            raise OSError(errno.EBADF, "not open for reading")
        data = self._in(limit)
        if data is None:
            raise NotReady
        return data

    def write(self, data: bytes) -> int:
        """Print *data*."""
        if self.reads:
            raise OSError(errno.EBADF, "not open for writing")
        self._out(data)
        return len(data)

    def seek(self, position: int) -> None:
        """A console cannot seek."""
        raise OSError(errno.ESPIPE, "the console")

    def length(self) -> int:
        """A console has no length."""
        return 0

    def close(self) -> None:
        """Nothing to do."""


class Features:
    """``:semihosting-features``, a read-only file of feature bits (section 5.2)."""

    tty = False

    def __init__(self, position: int = 0) -> None:
        self.position = position

    def read(self, limit: int) -> bytes:
        """The next bytes."""
        data = _FEATURES[self.position : self.position + limit]
        self.position += len(data)
        return data

    def write(self, data: bytes) -> int:
        """Refused."""
        raise OSError(errno.EBADF, "not open for writing")

    def seek(self, position: int) -> None:
        """Go to *position*."""
        if position > len(_FEATURES):
            raise OSError(errno.EINVAL, "behind the end")
        self.position = position

    def length(self) -> int:
        """Magic number and one byte of bits."""
        return len(_FEATURES)

    def close(self) -> None:
        """Nothing to do."""


class HostFile:
    """A regular file on the host."""

    tty = False

    def __init__(self, fd: int, mode: str) -> None:
        self._file = os.fdopen(fd, {"a": "ab", "a+": "a+b"}.get(mode, mode[0] + "b" + mode[1:]), 0)

    def read(self, limit: int) -> bytes:
        """The next bytes."""
        return self._file.read(limit) or b""

    def write(self, data: bytes) -> int:
        """Write *data*, or as much as goes."""
        return self._file.write(data) or 0

    def seek(self, position: int) -> None:
        """Go to *position*."""
        if position >= 1 << 63:
            raise OSError(errno.EINVAL, "negative position")
        self._file.seek(position)

    def length(self) -> int:
        """The file's size now."""
        return os.fstat(self._file.fileno()).st_size

    def close(self) -> None:
        """Close it."""
        self._file.close()


class HostDirectory:
    """The directory a guest may use. Names are relative to it and cannot leave it.

    Each component is opened relative to its parent with O_NOFOLLOW, after symbolic links were
    resolved and found to stay inside: exchanging a directory for a link in between gains nothing.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._root = os.path.realpath(path)
        if not os.path.isdir(self._root):
            raise NotADirectoryError(errno.ENOTDIR, "no such directory", os.fspath(path))

    def open(self, name: str, mode: str) -> int:
        """A file descriptor of the regular file *name*."""
        resolved = os.path.realpath(os.path.join(self._root, self._relative(name)))
        parent, leaf = self._parent(resolved)
        try:
            # O_NONBLOCK: a FIFO must not hang the open; it is refused below.
            flags = _ACCESS[mode] & ~os.O_TRUNC | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
            fd = os.open(leaf, flags, 0o644, dir_fd=parent)
        finally:
            os.close(parent)
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                raise PermissionError(errno.EACCES, "not a regular file")
            if _ACCESS[mode] & os.O_TRUNC:
                os.ftruncate(fd, 0)
        except OSError:
            os.close(fd)
            raise
        return fd

    def remove(self, name: str) -> None:
        """Unlink *name* (a symbolic link itself, never what it points to)."""
        parent, leaf = self._entry(name)
        try:
            os.unlink(leaf, dir_fd=parent)
        finally:
            os.close(parent)

    def rename(self, old: str, new: str) -> None:
        """Rename *old* to *new*, both inside."""
        old_parent, old_leaf = self._entry(old)
        try:
            new_parent, new_leaf = self._entry(new)
            try:
                os.rename(old_leaf, new_leaf, src_dir_fd=old_parent, dst_dir_fd=new_parent)
            finally:
                os.close(new_parent)
        finally:
            os.close(old_parent)

    def temporary(self, number: int) -> str:
        """A name for a temporary file: the same for the same *number*."""
        return f"semihost-{number:02x}.tmp"

    def _relative(self, name: str) -> str:
        """*name*, refused unless it is relative and stays inside by its own spelling."""
        depth = 0
        for part in name.split("/"):
            depth += -1 if part == ".." else part not in ("", ".")
            if depth < 0:
                raise PermissionError(errno.EACCES, "outside the directory")
        if os.path.isabs(name) or depth == 0:
            raise PermissionError(errno.EACCES, "outside the directory")
        return name

    def _entry(self, name: str) -> tuple[int, str]:
        """Parent descriptor and last name, the last component not resolved."""
        head, leaf = os.path.split(self._relative(name))
        if leaf in ("", ".", ".."):
            raise PermissionError(errno.EACCES, "not a file name")
        return self._parent(os.path.join(os.path.realpath(os.path.join(self._root, head)), leaf))

    def _parent(self, resolved: str) -> tuple[int, str]:
        """Open the parent of *resolved*, a link-free path that must be below the root."""
        relative = os.path.relpath(resolved, self._root)
        parts = relative.split(os.sep)
        if parts[0] == ".." or relative == ".":
            raise PermissionError(errno.EACCES, "outside the directory")
        flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
        fd = os.open(self._root, flags)
        for part in parts[:-1]:
            try:
                following = os.open(part, flags, dir_fd=fd)
            finally:
                os.close(fd)
            fd = following
        return fd, parts[-1]
