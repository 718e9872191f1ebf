"""The code cache on disk: checksummed entries in a folder that only this user can write.

It holds code, so the folder is 0700 and refused when another user owns it or can write it. Without
a usable folder everything works uncached.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
import tempfile
from pathlib import Path
from typing import Final

__all__ = ["DiskCache", "cache_folder"]

_MAGIC: Final = b"otoriscv code 1\n"


def cache_folder() -> Path:
    """OTORISCV_CACHE_DIR, or otoriscv under XDG_CACHE_HOME (default ~/.cache)."""
    own = os.environ.get("OTORISCV_CACHE_DIR")
    if own:
        return Path(own)
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "otoriscv"


class DiskCache:
    """Entries by key; `get` returns only what `put` wrote, whole and unchanged."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder()
        self.problem = self._prepare()

    def _prepare(self) -> str:
        """Make the folder; returns why it cannot be used, or nothing."""
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

    def get(self, key: str) -> bytes | None:
        """The entry, or None; a damaged one is removed."""
        if self.problem:
            return None
        path = self.folder / key
        try:
            data = path.read_bytes()
        except OSError:
            return None
        head = len(_MAGIC) + 32
        body = data[head:]
        if data[:head] == _MAGIC + _digest(key, body):
            return body
        with contextlib.suppress(OSError):
            path.unlink()
        return None

    def put(self, key: str, body: bytes) -> None:
        """Store an entry; readers see all of it or nothing. A full disk is not an error."""
        if self.problem:
            return
        try:
            handle, name = tempfile.mkstemp(dir=self.folder, prefix=".new-")
        except OSError:
            return
        try:
            with os.fdopen(handle, "wb") as f:
                f.write(_MAGIC + _digest(key, body) + body)
            os.replace(name, self.folder / key)
        except OSError:
            with contextlib.suppress(OSError):
                os.unlink(name)


def _digest(key: str, body: bytes) -> bytes:
    return hashlib.sha256(key.encode() + b"\0" + body).digest()
