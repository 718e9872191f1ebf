"""Consoles behind a TCP port or a pseudo-terminal: one thread per console moves the bytes.

Output waits in a buffer until somebody reads it; of what nobody reads, the last mebibyte is kept. A
client that reads slowly slows the guest down and loses nothing, unless it reads nothing for
`_PATIENCE` seconds.
"""

from __future__ import annotations

import os
import select
import socket
import threading
import tty
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from otoriscv.board.console import ConsoleError, InputQueue

__all__ = ["PtyConsole", "StreamConsole", "TcpConsole"]

_BACKLOG: Final = 1 << 20
_CHUNK: Final = 1 << 14
_PATIENCE: Final = 3.0


class StreamConsole:
    """What both kinds share. ``_peer`` is the descriptor talked to, or None."""

    interactive = False
    eof = False  # somebody may always come and type

    def __init__(self) -> None:
        self.on_input: Callable[[], None] | None = None
        self._peer: int | None = None
        self._listener: socket.socket | None = None
        self._queue = InputQueue()
        self._queue.notify = self._tell
        self._queue.on_room = self._wake
        self._lock = threading.Condition()
        self._out = bytearray()
        self._patient = True  # the peer has read since it was waited for in vain
        self._closed = False
        self._wake_read, self._wake_write = os.pipe()
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        self._thread = threading.Thread(target=self._pump, name="console", daemon=True)

    @property
    def ready(self) -> bool:
        """True when there is input."""
        return self._queue.ready

    def write(self, data: bytes) -> None:
        """Queue output for the peer."""
        with self._lock:
            if len(self._out) + len(data) > _BACKLOG:
                self._await_peer()
            self._out += data
            del self._out[: max(0, len(self._out) - _BACKLOG)]
        self._wake()

    def _await_peer(self) -> None:
        """Wait until the peer has read half of what waits, or seems not to read any more."""
        while self._patient and self._listens and len(self._out) > _BACKLOG // 2:
            self._wake()
            before = len(self._out)
            self._lock.wait(_PATIENCE)
            self._patient = len(self._out) < before or not self._listens

    @property
    def _listens(self) -> bool:
        """Whether there is somebody who may read."""
        return self._peer is not None and not self._closed

    def read(self, limit: int) -> bytes:
        """What the peer sent."""
        return self._queue.take(limit)

    def close(self) -> None:
        """Send what can be sent at once, then hang up."""
        if self._closed:
            return
        self._closed = True
        self._wake()
        self._thread.join(timeout=2)
        if not self._thread.is_alive():
            os.close(self._wake_read)
            os.close(self._wake_write)

    def _wake(self) -> None:
        with suppress(OSError):  # full (so it wakes anyway) or closed
            os.write(self._wake_write, b"x")

    def _tell(self) -> None:
        if self.on_input is not None:
            self.on_input()

    def _pump(self) -> None:
        while not self._closed:
            self._once()
        if self._peer is not None:
            self._send()
            self._hang_up()
        if self._listener is not None:
            self._listener.close()

    def _once(self) -> None:
        reads, writes = [self._wake_read], list[int]()
        if self._peer is not None:
            if self._queue.room():
                reads.append(self._peer)
            with self._lock:
                if self._out:
                    writes.append(self._peer)
        elif self._listener is not None:
            reads.append(self._listener.fileno())
        readable, writable, _ = select.select(reads, writes, [])
        if self._wake_read in readable:
            os.read(self._wake_read, _CHUNK)
        if self._peer is None:
            if self._listener is not None and self._listener.fileno() in readable:
                self._accept(self._listener)
            return
        if (writable and not self._send()) or (self._peer in readable and not self._receive()):
            self._hang_up()

    def _send(self) -> bool:
        """Send some output; False when the peer is gone."""
        assert self._peer is not None
        with self._lock:
            try:
                sent = os.write(self._peer, self._out[:_CHUNK])
            except BlockingIOError:
                return True
            except OSError:
                return False
            del self._out[:sent]
            self._patient = True
            self._lock.notify_all()
        return True

    def _receive(self) -> bool:
        """Take some input; False when the peer is gone."""
        assert self._peer is not None
        try:
            data = os.read(self._peer, min(_CHUNK, self._queue.room()))
        except BlockingIOError:
            return True
        except OSError:
            return False
        if data:
            self._queue.put(data)
        return bool(data)

    def _accept(self, listener: socket.socket) -> None:
        try:
            connection, _ = listener.accept()
        except OSError:
            return
        connection.setblocking(False)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = connection.detach()

    def _hang_up(self) -> None:
        if self._peer is not None:
            os.close(self._peer)
            with self._lock:
                self._peer = None
                self._lock.notify_all()


class TcpConsole(StreamConsole):
    """Listens; one client at a time, the next waits until it leaves."""

    def __init__(self, host: str, port: int, notice: Callable[[str], None]) -> None:
        try:
            family, _, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
            self._bound = socket.create_server(address[:2], family=family, backlog=1)
        except OSError as error:
            why = error.strerror or error
            raise ConsoleError(f"--serial tcp:{host}:{port}: {why}") from None
        super().__init__()
        self._bound.setblocking(False)
        self._listener = self._bound
        self.port: int = self._bound.getsockname()[1]
        shown = f"[{host}]" if ":" in host else host
        notice(f"serial console on tcp {shown}:{self.port}")
        self._thread.start()


class PtyConsole(StreamConsole):
    """A new pseudo-terminal; its name is told through *notice*."""

    def __init__(self, notice: Callable[[str], None]) -> None:
        try:
            master, self._slave = os.openpty()
        except OSError as error:
            raise ConsoleError(f"--serial pty: {error.strerror}") from None
        super().__init__()
        tty.setraw(self._slave)
        os.set_blocking(master, False)
        self._peer = master
        self.path = os.ttyname(self._slave)
        notice(f"serial console on {self.path}")
        self._thread.start()

    def close(self) -> None:
        """Close both ends. The other end was held so that clients may come and go."""
        if not self._closed:
            super().close()
            os.close(self._slave)
