"""Network device (virtio 1.2, section 5.1) without offloads."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import ClassVar, Final

from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.queue import Chain, QueueError

__all__ = ["FRAME_LIMIT", "VirtioNet"]

_MAC, _STATUS = 1 << 5, 1 << 16
_RECEIVE, _TRANSMIT = 0, 1
_HEADER: Final = 12  # virtio_net_hdr with num_buffers
_ONE_BUFFER: Final = bytes(10) + b"\1\0"
_LINK_UP: Final = 1
#: The longest frame: what QEMU's stream protocol carries.
FRAME_LIMIT: Final = 65_550
_WAITING_LIMIT: Final = 1024


class VirtioNet(VirtioDevice):
    """*mac* has six bytes; *send* gets each frame that the guest sends."""

    name = "virtio-net"
    number = 1
    queue_sizes: ClassVar = (256, 256)
    needs_version_1 = True  # the header was shorter before
    features = _MAC | _STATUS
    feature_names: ClassVar = {_MAC: "MAC", _STATUS: "STATUS"}
    STATE = ("_waiting", "dropped")

    def __init__(self, mac: bytes, send: Callable[[bytes], None]) -> None:
        super().__init__()
        self._mac = mac
        self._send = send
        self._waiting: deque[bytes] = deque()
        self.dropped = 0  #: frames nobody had room for

    def config(self) -> bytes:
        """The address and the link's state."""
        return self._mac + _LINK_UP.to_bytes(2, "little")

    def receive(self, frame: bytes) -> None:
        """A frame from outside; when too many wait it is lost, as on a wire."""
        if len(self._waiting) >= _WAITING_LIMIT:
            self.dropped += 1
            return
        self._waiting.append(frame)
        self.kick()

    def wants(self, index: int) -> bool:
        """Buffers for frames wait until there are some."""
        return index == _TRANSMIT or bool(self._waiting)

    def handle(self, index: int, chain: Chain) -> int:
        """Send a frame, or fill a buffer with one."""
        if index == _TRANSMIT:
            size = chain.read_size - _HEADER
            if not 0 < size <= FRAME_LIMIT:
                raise QueueError(f"a frame of {size} bytes to send")
            self._send(chain.read(_HEADER, size))
            return 0
        frame = self._waiting.popleft()
        if chain.write_size < _HEADER:
            raise QueueError(f"a buffer of {chain.write_size} bytes for a frame")
        if _HEADER + len(frame) > chain.write_size:
            self.dropped += 1
            frame = frame[: chain.write_size - _HEADER]
        chain.write(0, _ONE_BUFFER + frame)
        return _HEADER + len(frame)

    def reset(self) -> None:
        """Frames that wait are lost."""
        self._waiting.clear()
