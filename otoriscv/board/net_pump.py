"""The thread behind a network card, and the frames that wait on either side of it."""

from __future__ import annotations

import os
import threading
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from typing import Final

__all__ = ["FramePump"]

_FRAMES: Final = 4096  # received frames that wait; more are lost, as on a wire


class FramePump(ABC):
    """What a card is connected to. *wake* is called when frames came, from the thread.

    A subclass has `pump`, the thread's body, which selects ``wake_read`` with what else it waits
    for and returns once ``closed`` is set; and calls `start` when it is complete.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake_machine = wake
        self._frames: deque[bytes] = deque()
        self.closed = False
        self.wake_read, self._wake_write = os.pipe()
        for end in (self.wake_read, self._wake_write):
            os.set_blocking(end, False)
        self._thread = threading.Thread(target=self.pump, name="net", daemon=True)

    @property
    @abstractmethod
    def open(self) -> bool:
        """Whether frames may still come."""

    @abstractmethod
    def send(self, frame: bytes) -> None:
        """The guest sends *frame*; never waits."""

    @abstractmethod
    def pump(self) -> None:
        """Move frames until ``closed``."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    @property
    def waiting(self) -> bool:
        """Whether there are frames to take."""
        return bool(self._frames)

    def take(self) -> list[bytes]:
        """The frames that have come. On the machine's thread."""
        frames = []
        with suppress(IndexError):
            while True:
                frames.append(self._frames.popleft())
        return frames

    def close(self) -> bool:
        """End the thread; whether it ended (it may be busy for long)."""
        if not self.closed:
            self.closed = True
            self.wake()
            if self._thread.ident is not None:
                self._thread.join(timeout=2)
            if not self._thread.is_alive():
                os.close(self.wake_read)
                os.close(self._wake_write)
        return not self._thread.is_alive()

    def wake(self) -> None:
        """End the thread's waiting."""
        with suppress(OSError):  # full: it wakes anyway
            os.write(self._wake_write, b"x")

    def woken(self) -> None:
        """Forget the wakes so far. On the thread."""
        with suppress(OSError):
            os.read(self.wake_read, 1 << 16)

    def received(self, frame: bytes) -> None:
        """A frame for the guest. On the thread, which calls `tell` after the last."""
        if len(self._frames) < _FRAMES:
            self._frames.append(frame)

    def tell(self) -> None:
        """Say that frames came, or that none will."""
        self._wake_machine()
