"""What the guest prints, on its way to the client as `O` packets."""

from __future__ import annotations

import threading
from collections.abc import Callable

__all__ = ["OutputBuffer"]

_CAPACITY = 1 << 20


class OutputBuffer:
    """A bounded buffer between the machine's thread and the server's.

    The machine never waits for a client: what does not fit is counted and dropped.
    """

    def __init__(self, wake: Callable[[], None], capacity: int = _CAPACITY) -> None:
        self._wake = wake
        self._capacity = capacity
        self._lock = threading.Lock()
        self._data = bytearray()
        self._dropped = 0

    def put(self, data: bytes) -> None:
        """Called by the machine with what the guest printed."""
        with self._lock:
            first = not self._data and not self._dropped
            room = self._capacity - len(self._data)
            self._data += data[:room]
            self._dropped += max(0, len(data) - room)
        if first:
            self._wake()

    def take(self) -> bytes:
        """Everything that waits, in order; a note stands where output was dropped."""
        if not self._data and not self._dropped:
            return b""
        with self._lock:
            data = bytes(self._data)
            if self._dropped:
                data += b"\n[%d bytes of output dropped]\n" % self._dropped
            self._data.clear()
            self._dropped = 0
        return data
