"""Console device (virtio 1.2, section 5.3), one port."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Final

from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.queue import Chain, QueueError

__all__ = ["VirtioConsole"]

_RECEIVE, _TRANSMIT = 0, 1
_LARGEST: Final = 1 << 20  # bytes printed with one buffer


class VirtioConsole(VirtioDevice):
    """*output* gets what the guest prints."""

    name = "virtio-console"
    number = 3
    queue_sizes: ClassVar = (64, 64)
    STATE = ("_waiting", "listening")

    def __init__(self, output: Callable[[bytes], None]) -> None:
        super().__init__()
        self._output = output
        self._waiting = bytearray()
        self.listening = False  #: whether a driver reads; the UART's input comes here then

    def receive(self, data: bytes) -> None:
        """Host input."""
        self._waiting += data
        self.kick()

    def room(self) -> int:
        """How many bytes `receive` should be given now."""
        return max(0, (1 << 16) - len(self._waiting))

    def negotiated(self, features: int) -> None:
        """There is a driver."""
        self.listening = True

    def wants(self, index: int) -> bool:
        """Buffers for input wait until there is some."""
        return index == _TRANSMIT or bool(self._waiting)

    def handle(self, index: int, chain: Chain) -> int:
        """Print a buffer, or fill one with input."""
        if index == _TRANSMIT:
            if chain.read_size > _LARGEST:
                raise QueueError(f"{chain.read_size} bytes to print at once")
            self._output(chain.read(0, _LARGEST))
            return 0
        data = bytes(self._waiting[: chain.write_size])
        if not data:
            raise QueueError("an empty buffer for input")
        chain.write(0, data)
        del self._waiting[: len(data)]
        return len(data)

    def reset(self) -> None:
        """Nobody reads; what was not read yet stays."""
        self.listening = False
