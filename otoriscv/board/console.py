"""The host's end of the serial line: ``--serial stdio|null|file:F|tcp:[HOST:]PORT|pty``.

The machine's thread calls `Console.write` and `Console.read` and never waits for input. Threads of
the backends fill a bounded queue; while it is full they leave the input where it is (in the pipe,
the socket), so nothing is lost and nothing piles up. The end of the input is only noted.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from typing import Final, Protocol

__all__ = [
    "BufferConsole",
    "Console",
    "ConsoleError",
    "FileConsole",
    "InputQueue",
    "NullConsole",
    "open_console",
]

#: Bytes of input that wait at each place on the way, and that are let in at once: a guest that
#: reads without a pause has enough up to the next time.
QUEUE_LIMIT: Final = 1 << 18


class ConsoleError(Exception):
    """The console cannot be opened; one line that says why."""


class Console(Protocol):
    """One serial line. *on_input* is called from any thread when input or its end arrives."""

    on_input: Callable[[], None] | None

    @property
    def interactive(self) -> bool:
        """True when a person sits at a terminal."""
        ...

    @property
    def eof(self) -> bool:
        """True when `read` will never give anything again."""
        ...

    @property
    def ready(self) -> bool:
        """True when `read` would give something now, or the end is reached."""
        ...

    def write(self, data: bytes) -> None:
        """Print what the guest sent."""
        ...

    def read(self, limit: int) -> bytes:
        """Up to *limit* bytes that have arrived; b"" when there are none now."""
        ...

    def close(self) -> None:
        """Give everything back (the terminal's mode too). Harmless twice."""
        ...


class InputQueue:
    """A bounded byte queue between a reading thread and the machine's."""

    def __init__(self, limit: int = QUEUE_LIMIT) -> None:
        self._limit = limit
        self._data = bytearray()
        self._condition = threading.Condition()
        self._ended = False
        self._closed = False
        self.on_room: Callable[[], None] | None = None  # `take` made room in a full queue
        self.notify: Callable[[], None] | None = None  # something came, or the end

    @property
    def ended(self) -> bool:
        """True when the end was reached and everything was taken."""
        with self._condition:
            return self._ended and not self._data

    @property
    def ready(self) -> bool:
        """True when there is something to take, or the end was reached."""
        with self._condition:
            return self._ended or bool(self._data)

    def room(self) -> int:
        """How many bytes fit now."""
        with self._condition:
            return max(0, self._limit - len(self._data))

    def put(self, data: bytes) -> None:
        """Add *data*, whatever its size."""
        with self._condition:
            self._data += data
        self._tell()

    def wait_room(self) -> bool:
        """Wait until something fits; False when the queue was closed."""
        with self._condition:
            self._condition.wait_for(lambda: self._closed or len(self._data) < self._limit)
            return not self._closed

    def end(self) -> None:
        """No more will come."""
        with self._condition:
            self._ended = True
        self._tell()

    def take(self, limit: int) -> bytes:
        """Remove up to *limit* bytes."""
        if not self._data:  # the usual case, without the lock
            return b""
        with self._condition:
            full = len(self._data) >= self._limit
            data = bytes(self._data[:limit])
            del self._data[:limit]
            made_room = full and len(self._data) < self._limit
            if made_room:
                self._condition.notify_all()
        if made_room and self.on_room is not None:
            self.on_room()
        return data

    def close(self) -> None:
        """Wake and dismiss the reading thread."""
        with self._condition:
            self._closed = True
            self._condition.notify_all()

    def _tell(self) -> None:
        if self.notify is not None:
            self.notify()


class NullConsole:
    """Output goes nowhere; there is no input."""

    on_input: Callable[[], None] | None = None
    interactive = False
    eof = True
    ready = True

    def write(self, data: bytes) -> None:
        """Drop *data*."""

    def read(self, limit: int) -> bytes:
        """Nothing."""
        return b""

    def close(self) -> None:
        """Nothing to do."""


class BufferConsole:
    """A console in memory, for the Python API and tests."""

    interactive = False

    def __init__(self) -> None:
        self.output = bytearray()
        self.on_input: Callable[[], None] | None = None
        self._queue = InputQueue()

    @property
    def eof(self) -> bool:
        """True after `end` when everything was read."""
        return self._queue.ended

    @property
    def ready(self) -> bool:
        """True when something was fed, or after `end`."""
        return self._queue.ready

    def feed(self, data: bytes) -> None:
        """Type *data*."""
        self._queue.put(data)
        self._tell()

    def end(self) -> None:
        """End the input."""
        self._queue.end()
        self._tell()

    def write(self, data: bytes) -> None:
        """Append to ``output``."""
        self.output += data

    def read(self, limit: int) -> bytes:
        """What was fed."""
        return self._queue.take(limit)

    def close(self) -> None:
        """Nothing to do."""

    def _tell(self) -> None:
        if self.on_input is not None:
            self.on_input()


class FileConsole(NullConsole):
    """Output goes to a file, which is overwritten; there is no input."""

    def __init__(self, path: str) -> None:
        try:
            self._file = io.FileIO(path, "w")
        except OSError as error:
            raise ConsoleError(f"--serial file:{path}: {error.strerror}") from None

    def write(self, data: bytes) -> None:
        """Append to the file; a full disk is the caller's to know."""
        while data:
            data = data[self._file.write(data) or 0 :]

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def open_console(
    spec: str,
    *,
    on_quit: Callable[[], None] = lambda: None,
    on_break: Callable[[], None] = lambda: None,
    notice: Callable[[str], None] = lambda text: None,
) -> Console:
    """The console that ``--serial SPEC`` asks for; `ConsoleError` when that is impossible.

    *on_quit* and *on_break* are called, from a reading thread, at the escape keys. *notice* gets
    one line saying where a tcp or pty console is.
    """
    kind, _, rest = spec.partition(":")
    if spec == "null":
        return NullConsole()
    if kind == "file" and rest:
        return FileConsole(rest)
    if spec == "stdio":
        from otoriscv.board.console_stdio import StdioConsole

        return StdioConsole(on_quit=on_quit, on_break=on_break)
    if os.name != "posix":
        raise ConsoleError(f"--serial {spec}: only stdio, null and file:F work on this system")
    from otoriscv.board.console_stream import PtyConsole, TcpConsole

    if spec == "pty":
        return PtyConsole(notice)
    if kind == "tcp":
        host, _, port = rest.rpartition(":")
        if port.isascii() and port.isdigit() and int(port) < 1 << 16:
            return TcpConsole(host.strip("[]") or "127.0.0.1", int(port), notice)
    raise ConsoleError(f"--serial {spec}: should be stdio, null, file:F, tcp:[HOST:]PORT or pty")
