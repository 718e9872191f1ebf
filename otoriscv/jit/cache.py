"""The code cache on disk: checksummed entries in a folder that only this user can write.

It holds code, so the folder is 0700 and refused when another user owns it or can write it. Without
a usable folder everything works uncached. Many processes may share it: an entry appears by a
rename, whole, and may vanish at any moment. It is bounded: the entries used longest ago go first.
What is in the folder but is no entry of ours is never read, executed or removed.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import re
import stat
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from otoriscv.jit.settings import CACHE_BYTES, JitSettings

__all__ = ["DiskCache", "Entry", "cache_folder", "open_cache"]

_MAGIC: Final = b"otoriscv code 1\n"
_HEAD: Final = len(_MAGIC) + hashlib.sha256().digest_size
#: What an entry's name looks like: its kind and a hash of what its contents depend on.
_NAME: Final = re.compile(r"[a-z]+[0-9]*-[0-9a-f]{64}")
_UNFINISHED: Final = ".new-"
_RESERVED: Final = ".reserved"
_COUNTER: Final = ".written"  # has a byte for each `_BLOCK`
_BLOCK: Final = 4096
_RECENT: Final = 60.0  # seconds in which uses are not told apart
_ABANDONED: Final = 3600.0  # seconds after which an unfinished file is nobody's any more
_LOW_WATER: Final = 0.8  # of the limit that is left when entries had to go
_RESCAN: Final = 16  # others write too: look again after this part of the limit was written
#: No entry is larger: what claims to be is damaged.
_LARGEST: Final = 1 << 28


def cache_folder() -> Path:
    """OTORISCV_CACHE_DIR, or otoriscv under XDG_CACHE_HOME (default ~/.cache)."""
    own = os.environ.get("OTORISCV_CACHE_DIR")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    try:
        return Path(base).expanduser() / "otoriscv"
    except RuntimeError:  # nobody's home is known
        import tempfile

        return Path(tempfile.gettempdir(), "otoriscv")


class Entry(NamedTuple):
    """A file of the cache: its size in bytes and when it was last used (seconds since 1970)."""

    path: Path
    size: int
    used: float

    @property
    def kind(self) -> str:
        """What it holds: ``interp32``, ``region``..."""
        return self.path.name.partition("-")[0]


def open_cache(settings: JitSettings | None = None) -> DiskCache:
    """The cache that *settings*, else the environment, describe."""
    filled = (settings or JitSettings()).filled()
    return DiskCache(enabled=bool(filled.cache), limit=filled.cache_bytes or 0)


class DiskCache:
    """Entries by key; `get` returns only what `put` wrote, whole and unchanged.

    *limit* bounds the bytes of all entries; several writers together may exceed it for a moment,
    by a sixteenth each.
    """

    def __init__(
        self, folder: Path | None = None, *, enabled: bool = True, limit: int = CACHE_BYTES
    ) -> None:
        self.folder = folder or cache_folder()
        self._prefix = f"{self.folder}{os.sep}"
        self.limit = limit
        self.enabled = enabled
        #: Why the folder cannot be used, or nothing.
        self.problem = self._prepare() if enabled else ""
        self._total: int | None = None  # bytes in it when last counted, and written since
        self._written = 0
        self._reserved: int | None = None  # the file descriptor that keeps it so

    @property
    def usable(self) -> bool:
        """Whether entries are read and written."""
        return self.enabled and not self.problem

    def _prepare(self) -> str:
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            info = self.folder.stat()
        except OSError as e:
            return f"{self.folder}: {e.strerror}"
        if hasattr(os, "getuid") and info.st_uid != os.getuid():
            return f"{self.folder} belongs to another user"
        if stat.S_IMODE(info.st_mode) & 0o022:
            return f"{self.folder} can be written by others: chmod 700 {self.folder}"
        if not os.access(self.folder, os.W_OK | os.X_OK):
            return f"{self.folder} cannot be written"
        return ""

    def reserve(self) -> bool:
        """Whether this process, of those that ask, is the only one: until it ends."""
        if self._reserved is None and self.usable:
            with contextlib.suppress(OSError):
                flags = os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | _PLAIN
                handle = os.open(self.folder / _RESERVED, flags, 0o600)
                try:
                    fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except OSError:
                    os.close(handle)
                else:
                    self._reserved = handle
        return self._reserved is not None

    # -- entries

    def has(self, key: str) -> bool:
        """Whether there is such an entry, whole or not."""
        return self.usable and os.path.exists(f"{self._prefix}{key}")

    def get(self, key: str) -> bytes | None:
        """The entry, or None; a damaged one is removed."""
        if not self.usable:
            return None
        path = f"{self._prefix}{key}"
        data = _read(path, used=True)
        if data is None:
            return None
        body = data[_HEAD:]
        if data[:_HEAD] == _MAGIC + _digest(key, body):
            return body
        with contextlib.suppress(OSError):
            os.unlink(path)
        return None

    def put(self, key: str, body: bytes) -> None:
        """Store an entry; readers see all of it or nothing. A full disk is not an error.

        ValueError when *key* is no entry's name.
        """
        if not _NAME.fullmatch(key):
            raise ValueError(f"no name of a cache entry: {key!r}")
        size = _HEAD + len(body)
        if not self.usable or size > min(self.limit, _LARGEST):
            return
        name = f"{self._prefix}{_UNFINISHED}{os.getpid():x}-{time.monotonic_ns():x}"
        try:
            handle = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(_MAGIC + _digest(key, body) + body)
            os.replace(name, self.folder / key)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)
            return
        self._bound(size)

    def _bound(self, size: int) -> None:
        """Keep to the limit, *size* bytes having been written."""
        self._written += size
        due = self._note(size)
        if self._total is None:
            if not due:
                return
        elif self._written <= self.limit // _RESCAN and self._total + self._written <= self.limit:
            return
        self._total, self._written = self._sweep(), 0

    def _note(self, size: int) -> bool:
        """Count what all processes write, short runs too, each of which need not look at every
        entry; whether it is time to."""
        flags = os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC | _PLAIN
        try:
            handle = os.open(f"{self._prefix}{_COUNTER}", flags, 0o600)
        except OSError:
            return True
        try:
            before = os.fstat(handle).st_size * _BLOCK
            if due := not 0 < before <= self.limit // _RESCAN:
                os.ftruncate(handle, 0)
            os.write(handle, bytes(size // _BLOCK + 1))
        except OSError:
            return True
        finally:
            os.close(handle)
        return due

    def _sweep(self) -> int:
        """Remove what was abandoned and, above the limit, what was used longest ago; the bytes
        that are left."""
        now = time.time()
        with contextlib.suppress(OSError):
            for path in self.folder.glob(f"{_UNFINISHED}*"):
                with contextlib.suppress(OSError):
                    if path.lstat().st_mtime < now - _ABANDONED:
                        path.unlink()
        found = list(self._scan())
        total = sum(size for _, size, _ in found)
        if total <= self.limit:
            return total
        for name, size, _ in sorted(found, key=lambda entry: entry[2]):
            if total <= self.limit * _LOW_WATER:
                break
            with contextlib.suppress(OSError):
                os.unlink(f"{self._prefix}{name}")
            total -= size
        return total

    # -- the whole

    def entries(self) -> Iterator[Entry]:
        """Every entry, unchecked, in no order."""
        for name, size, used in self._scan():
            yield Entry(self.folder / name, size, used)

    def _scan(self) -> Iterator[tuple[str, int, float]]:
        """`entries` as (name, size, used): there may be very many."""
        if not self.usable:
            return
        try:
            files = os.scandir(self.folder)
        except OSError:
            return
        with files:
            for file in files:
                if not _NAME.fullmatch(file.name):
                    continue
                with contextlib.suppress(OSError):
                    info = file.stat(follow_symlinks=False)
                    if stat.S_ISREG(info.st_mode):
                        yield file.name, info.st_size, info.st_mtime

    def verify(self) -> tuple[int, list[str]]:
        """Check every entry and remove the damaged ones: how many are whole, which were not."""
        whole, damaged = 0, []
        for entry in list(self.entries()):
            data = _read(entry.path)
            if data is None:
                if not entry.path.exists():  # another process made room
                    continue
            elif data[:_HEAD] == _MAGIC + _digest(entry.path.name, data[_HEAD:]):
                whole += 1
                continue
            damaged.append(entry.path.name)
            with contextlib.suppress(OSError):
                entry.path.unlink()
        return whole, damaged

    def clear(self) -> tuple[int, int]:
        """Remove every entry: how many there were and their bytes."""
        count = size = 0
        for entry in list(self.entries()):
            with contextlib.suppress(OSError):
                entry.path.unlink()
                count, size = count + 1, size + entry.size
        if self.usable:
            with contextlib.suppress(OSError):
                for path in (*self.folder.glob(f"{_UNFINISHED}*"), self.folder / _COUNTER):
                    path.unlink(missing_ok=True)
        self._total = None
        return count, size


def _read(path: Path | str, *, used: bool = False) -> bytes | None:
    """The contents of a regular file, whatever else may have its name; it was *used* then: file
    systems do not keep that reliably."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC | _PLAIN)
    except OSError:
        return None
    try:
        info = os.fstat(handle)
        if not stat.S_ISREG(info.st_mode) or info.st_size > _LARGEST:
            return None
        if used and info.st_mtime < time.time() - _RECENT:
            with contextlib.suppress(OSError):
                os.utime(handle)
        with open(handle, "rb", buffering=0, closefd=False) as file:
            return file.readall()
    except OSError:
        return None
    finally:
        os.close(handle)


#: Neither wait for a FIFO's writer nor follow a link out of the folder.
_PLAIN: Final = getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_NOFOLLOW", 0)


def _digest(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + body).digest()
