"""A network card's other end: one TCP connection that carries frames.

The protocol is that of QEMU's ``-netdev stream`` (and ``-netdev socket``): each frame behind its
length, 32 bits, big-endian. So two machines, or one and a QEMU, can be connected.
"""

from __future__ import annotations

import select
import socket
import threading
from collections.abc import Callable
from typing import Final

from otoriscv.board.net_options import Net, NetError
from otoriscv.board.net_pump import FramePump
from otoriscv.devices.virtio.net import FRAME_LIMIT

__all__ = ["SocketNet"]

_BACKLOG: Final = 4 << 20  # bytes to send that wait; more is lost
_CHUNK: Final = 1 << 16


class SocketNet(FramePump):
    """Frames in and out of a TCP connection; `NetError` when there is none."""

    def __init__(
        self, config: Net, wake: Callable[[], None], notice: Callable[[str], None]
    ) -> None:
        self._listener: socket.socket | None = None
        self._peer: socket.socket | None = None
        self._in = bytearray()
        self._out = bytearray()
        self._lock = threading.Lock()
        where = f"{config.host}:{config.port}"
        try:
            if config.listen:
                self._listener = socket.create_server((config.host, config.port), backlog=1)
                self._listener.setblocking(False)
            else:
                self._peer = socket.create_connection((config.host, config.port), timeout=10)
                self._peer.setblocking(False)
        except OSError as error:
            verb = "listen on" if config.listen else "connect to"
            raise NetError(f"--net: cannot {verb} {where}: {error.strerror or error}") from None
        if self._listener is not None:
            self.port: int = self._listener.getsockname()[1]
            notice(f"network card on tcp {config.host}:{self.port}")
        super().__init__(wake)
        self.start()

    @property
    def open(self) -> bool:
        """Whether frames may still come."""
        return self._listener is not None or self._peer is not None

    def send(self, frame: bytes) -> None:
        """Send a frame; without a peer, or when it does not keep up, it is lost."""
        with self._lock:
            if self._peer is None or len(self._out) > _BACKLOG:
                return
            self._out += len(frame).to_bytes(4, "big") + frame
        self.wake()

    def close(self) -> bool:
        """Hang up."""
        ended = super().close()
        for end in (self._listener, self._peer):
            if end is not None:
                end.close()
        return ended

    def pump(self) -> None:
        """The thread."""
        while not self.closed:
            peer = self._peer
            reading: list[int | socket.socket] = [self.wake_read]
            if peer is not None:
                reading.append(peer)
            elif self._listener is not None:
                reading.append(self._listener)
            writing = [peer] if peer is not None and self._out else []
            readable, writable, _ = select.select(reading, writing, [])
            if self.wake_read in readable:
                self.woken()
            if peer is None:
                self._accept()
            elif not (self._write(peer, bool(writable)) and self._read(peer, peer in readable)):
                self._hang_up(peer)

    def _accept(self) -> None:
        if self._listener is None:
            return
        try:
            peer, _ = self._listener.accept()
        except OSError:
            return
        peer.setblocking(False)
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._peer = peer

    def _write(self, peer: socket.socket, ready: bool) -> bool:
        """Send some; False when the peer is gone."""
        if not ready:
            return True
        with self._lock:
            try:
                del self._out[: peer.send(self._out[:_CHUNK])]
            except BlockingIOError:
                return True
            except OSError:
                return False
        return True

    def _read(self, peer: socket.socket, ready: bool) -> bool:
        """Take some; False when the peer is gone, or speaks another language."""
        if not ready:
            return True
        try:
            data = peer.recv(_CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._in += data
        came = False
        while len(self._in) >= 4:
            size = int.from_bytes(self._in[:4], "big")
            if size > FRAME_LIMIT:
                return False
            if len(self._in) < 4 + size:
                break
            self.received(bytes(self._in[4 : 4 + size]))
            del self._in[: 4 + size]
            came = True
        if came:
            self.tell()
        return bool(data)

    def _hang_up(self, peer: socket.socket) -> None:
        with self._lock:
            self._peer = None
            self._in.clear()
            self._out.clear()
        peer.close()
        self.tell()
