"""How bytes travel: TCP and stdio. A send never waits: what the client does not take is kept.

So a client that stalls holds up nobody else; the server stops listening to it, and hangs up when it
took nothing for `SEND_SECONDS`.
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import time
from abc import ABC, abstractmethod

__all__ = [
    "SEND_SECONDS",
    "ListenError",
    "StdioTransport",
    "TcpTransport",
    "Transport",
    "listen",
    "parse_address",
]

SEND_SECONDS = 5.0
"""How long a client may leave a reply unread before it counts as gone."""

_RECEIVE = 1 << 18
_PIPE_WRITE = 4096  # a pipe that is writable takes this much without blocking


class ListenError(OSError):
    """The server cannot listen where it was told to; the message says what to do."""


class Transport(ABC):
    """A connection to one client."""

    def __init__(self, send_seconds: float) -> None:
        self._seconds = send_seconds
        self._unsent = bytearray()
        self._stalled = 0.0  # since when the client has taken nothing

    @property
    @abstractmethod
    def local(self) -> bool:
        """True when the client runs on this computer."""

    @abstractmethod
    def fileno(self) -> int:
        """What is readable when `receive` has something."""

    @abstractmethod
    def receive(self) -> bytes:
        """What has arrived, at once; empty when the client closed. BlockingIOError: nothing has."""

    @abstractmethod
    def abort(self) -> None:
        """From any thread: make `receive` end at once."""

    @abstractmethod
    def close(self) -> None:
        """End the connection."""

    @abstractmethod
    def _write(self, data: bytes | bytearray) -> int:
        """Write what can be written at once; how much that was. OSError."""

    @property
    def congested(self) -> bool:
        """Whether something waits for the client to read."""
        return bool(self._unsent)

    def send(self, data: bytes) -> None:
        """Send *data*, now or as soon as the client reads; ConnectionError when it is gone."""
        if self._unsent:
            self._unsent += data
            return
        done = self._guarded_write(data)
        if done < len(data):
            self._unsent += data[done:]
            self._stalled = time.monotonic()

    def flush(self) -> None:
        """Send what waits; ConnectionError when the client took nothing for too long."""
        if not self._unsent:
            return
        done = self._guarded_write(self._unsent)
        now = time.monotonic()
        if done:
            del self._unsent[:done]
            self._stalled = now
        elif now - self._stalled > self._seconds:
            raise ConnectionError("the client does not read")

    def _guarded_write(self, data: bytes | bytearray) -> int:
        try:
            return self._write(data)
        except BlockingIOError:
            return 0
        except (OSError, ValueError) as error:
            raise ConnectionError(str(error)) from error


class TcpTransport(Transport):
    """A connected socket."""

    def __init__(self, connection: socket.socket, send_seconds: float = SEND_SECONDS) -> None:
        super().__init__(send_seconds)
        self._socket = connection
        self._buffer = memoryview(bytearray(_RECEIVE))  # a new one each time takes longer to make
        connection.setblocking(False)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        if connection.family != getattr(socket, "AF_UNIX", None):
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            # A client whose computer vanished is noticed within about a minute.
            for option, seconds in (("TCP_KEEPIDLE", 20), ("TCP_KEEPINTVL", 10)):
                if hasattr(socket, option):
                    connection.setsockopt(socket.IPPROTO_TCP, getattr(socket, option), seconds)

    @property
    def local(self) -> bool:
        """True for a loopback connection."""
        try:
            host = str(self._socket.getpeername()[0])
        except (OSError, IndexError):
            return False
        return host.startswith(("127.", "::ffff:127.")) or host == "::1"

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._socket.fileno()

    def receive(self) -> bytes:
        """What has arrived."""
        count = self._socket.recv_into(self._buffer)
        return bytes(self._buffer[:count])

    def _write(self, data: bytes | bytearray) -> int:
        return self._socket.send(data)

    def abort(self) -> None:
        """Shut the connection down."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut down and free the socket."""
        self.abort()
        self._socket.close()


class StdioTransport(Transport):
    """Standard input and output, for ``target remote | otoriscv ...``."""

    def __init__(
        self, input_fd: int = 0, output_fd: int = 1, send_seconds: float = SEND_SECONDS
    ) -> None:
        if sys.platform == "win32":
            raise ListenError(errno.ENOTSUP, "--gdb stdio does not work on Windows: use a port")
        super().__init__(send_seconds)
        self._input = input_fd
        self._output = output_fd
        self._poller = select.poll()
        self._poller.register(output_fd, select.POLLOUT)

    @property
    def local(self) -> bool:
        """True: we are gdb's child."""
        return True

    def fileno(self) -> int:
        """The input's descriptor."""
        return self._input

    def receive(self) -> bytes:
        """What has arrived."""
        if not select.select((self._input,), (), (), 0)[0]:
            raise BlockingIOError
        return os.read(self._input, _RECEIVE)

    def _write(self, data: bytes | bytearray) -> int:
        done = 0
        view = memoryview(data)
        while done < len(view) and self._poller.poll(0):
            done += os.write(self._output, view[done : done + _PIPE_WRITE])
        view.release()
        return done

    def abort(self) -> None:
        """Standard input belongs to the process: `receive` goes on."""

    def close(self) -> None:
        """The descriptors belong to the process: nothing to do."""


def listen(host: str, port: int) -> socket.socket:
    """A listening socket; port 0 picks a free one. `ListenError` says why it is not possible."""
    try:
        candidates = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError) as error:
        raise ListenError(errno.EADDRNOTAVAIL, f"unknown host {host!r}: {error}") from error
    failure: OSError | None = None
    for family, kind, protocol, _, address in candidates:
        try:
            listener = socket.socket(family, kind, protocol)
        except OSError as error:
            failure = error
            continue
        try:
            if os.name == "posix":
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(8)
        except (OSError, OverflowError) as error:
            listener.close()
            failure = error if isinstance(error, OSError) else OSError(errno.EINVAL, str(error))
            continue
        return listener
    number = failure.errno if failure is not None and failure.errno else errno.EADDRNOTAVAIL
    reason = os.strerror(number)
    hint = "; use another port, or 0 to pick a free one" if number == errno.EADDRINUSE else ""
    raise ListenError(number, f"cannot listen on {host}:{port}: {reason.lower()}{hint}")


def parse_address(text: str, default_host: str = "127.0.0.1") -> tuple[str, int]:
    """``[HOST:]PORT`` with an IPv6 host in brackets; ValueError says what is wrong."""
    host, colon, number = text.removeprefix("tcp:").rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else ""
    if not number.isascii() or not number.isdigit() or int(number) > 65535:
        raise ValueError(f"{text!r} is not [HOST:]PORT with a port from 0 to 65535")
    return host or default_host, int(number)
