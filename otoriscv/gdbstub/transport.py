"""How bytes travel: TCP and stdio. Sends give up on a client that does not read."""

from __future__ import annotations

import contextlib
import errno
import os
import select
import socket
import sys
import time
from typing import Protocol

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


class Transport(Protocol):
    """A connection to one client."""

    @property
    def local(self) -> bool:
        """True when the client runs on this computer."""
        ...

    def fileno(self) -> int:
        """What to wait for before `receive`."""
        ...

    def receive(self) -> bytes:
        """Some bytes, when `fileno` is readable; empty when the client closed."""
        ...

    def send(self, data: bytes) -> None:
        """Send all of *data*, or raise ConnectionError when the client does not take it."""
        ...

    def abort(self) -> None:
        """From any thread: make `receive` and `send` end at once."""
        ...

    def close(self) -> None:
        """End the connection."""
        ...


class TcpTransport:
    """A connected socket."""

    def __init__(self, connection: socket.socket, send_seconds: float = SEND_SECONDS) -> None:
        self._socket = connection
        connection.settimeout(send_seconds)
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
        try:
            return self._socket.recv(_RECEIVE)
        except TimeoutError as error:
            raise ConnectionError("nothing to receive") from error

    def send(self, data: bytes) -> None:
        """Send within the time limit."""
        try:
            self._socket.sendall(data)
        except TimeoutError as error:
            raise ConnectionError("the client does not read") from error
        except (OSError, ValueError) as error:
            raise ConnectionError(str(error)) from error

    def abort(self) -> None:
        """Shut the connection down."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Shut down and free the socket."""
        self.abort()
        self._socket.close()


class StdioTransport:
    """Standard input and output, for ``target remote | otoriscv ...``."""

    def __init__(
        self, input_fd: int = 0, output_fd: int = 1, send_seconds: float = SEND_SECONDS
    ) -> None:
        if sys.platform == "win32":
            raise ListenError(errno.ENOTSUP, "--gdb stdio does not work on Windows: use a port")
        self._input = input_fd
        self._output = output_fd
        self._seconds = send_seconds

    @property
    def local(self) -> bool:
        """True: we are gdb's child."""
        return True

    def fileno(self) -> int:
        """The input's descriptor."""
        return self._input

    def receive(self) -> bytes:
        """What has arrived."""
        return os.read(self._input, _RECEIVE)

    def send(self, data: bytes) -> None:
        """Send within the time limit."""
        poller = select.poll()
        poller.register(self._output, select.POLLOUT)
        deadline = time.monotonic() + self._seconds
        view = memoryview(data)
        while view:
            left = deadline - time.monotonic()
            if left <= 0 or not poller.poll(left * 1000):
                raise ConnectionError("the client does not read")
            try:
                view = view[os.write(self._output, view[:_PIPE_WRITE]) :]
            except OSError as error:
                raise ConnectionError(str(error)) from error

    def abort(self) -> None:
        """A wait for standard output ends by itself within the time limit."""

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
