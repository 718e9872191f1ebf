"""The memory-mapped transport, version 2 (virtio 1.2, section 4.2).

Everything happens within the access that causes it: a notified queue is served before the store
ends, so guests see the same at every speed of the host.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final

from otoriscv.core.bus import Access
from otoriscv.devices.protocols import SetLine
from otoriscv.devices.state import Stateful
from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.queue import GuestMemory, Queue, QueueError

__all__ = ["VirtioMmio"]

_MAGIC: Final = int.from_bytes(b"virt", "little")
_VENDOR: Final = int.from_bytes(b"QEMU", "little")  # the board is QEMU's, and xv6 insists
_VERSION_1: Final = 1 << 32
_INDIRECT_DESC: Final = 1 << 28
_ACKNOWLEDGE, _DRIVER, _DRIVER_OK, _FEATURES_OK, _NEEDS_RESET, _FAILED = 1, 2, 4, 8, 64, 128
_STATUS_NAMES: Final = {
    _ACKNOWLEDGE: "ACKNOWLEDGE",
    _DRIVER: "DRIVER",
    _FEATURES_OK: "FEATURES_OK",
    _DRIVER_OK: "DRIVER_OK",
    _NEEDS_RESET: "DEVICE_NEEDS_RESET",
    _FAILED: "FAILED",
}
_FEATURE_NAMES: Final = {_INDIRECT_DESC: "INDIRECT_DESC", _VERSION_1: "VERSION_1"}
_KNOWN: Final = _ACKNOWLEDGE | _DRIVER | _DRIVER_OK | _FEATURES_OK | _FAILED
_USED, _CONFIG_CHANGED = 1, 2
_CONFIG: Final = 0x100
_LOW: Final = 0xFFFF_FFFF


class VirtioMmio(Stateful):
    """A transport with its device; *irq* is its interrupt line."""

    STATE = (
        "_status",
        "_interrupts",
        "_driver_features",
        "_feature_words",
        "_queue",
        "_generation",
    )

    def __init__(self, device: VirtioDevice, memory: GuestMemory, irq: SetLine) -> None:
        self.virtio_device = device
        self.name = device.name
        self.error = ""  #: why the device needs a reset
        self._irq = irq
        self._queues = [Queue(memory, size) for size in device.queue_sizes]
        self._features = device.features | _VERSION_1 | _INDIRECT_DESC
        self._line = False
        self._generation = 0
        device.kick = self._kick
        self.reset()

    # -- for people

    @property
    def status(self) -> list[str]:
        """The names of the status bits that are set (virtio 1.2, section 2.1)."""
        return [name for bit, name in _STATUS_NAMES.items() if self._status & bit]

    @property
    def features(self) -> dict[str, bool]:
        """The features offered, and whether the driver chose each."""
        names = {**self.virtio_device.feature_names, **_FEATURE_NAMES}
        chosen = self._driver_features if self._status & _FEATURES_OK else 0
        return {
            names[1 << bit]: bool(chosen >> bit & 1)
            for bit in range(self._features.bit_length())
            if self._features >> bit & 1
        }

    @property
    def queues(self) -> Sequence[Queue]:
        """Its virtqueues."""
        return self._queues

    # -- state

    def reset(self) -> None:
        """Power-on, and what the driver does by writing 0 to the status."""
        self._status = 0
        self._interrupts = 0
        self._driver_features = 0
        self._feature_words = [0, 0]  # which word the device's and the driver's registers show
        self._queue = 0
        self.error = ""
        for queue in self._queues:
            queue.reset()
        self.virtio_device.reset()
        self._drive()

    def save(self) -> dict[str, Any]:
        """The transport's state, its queues' and its device's."""
        return {
            "transport": super().save(),
            "queues": [queue.save() for queue in self._queues],
            "device": self.virtio_device.save(),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        super().restore(state["transport"])
        for queue, saved in zip(self._queues, state["queues"], strict=True):
            queue.restore(saved)
        self.virtio_device.restore(state["device"])
        self.error = ""
        self._drive()

    # -- the driver's side

    def read(self, offset: int, access: Access) -> int:
        """A register; configuration space from 0x100 on may be read in any width."""
        if offset >= _CONFIG:
            data = self.virtio_device.config()[offset - _CONFIG :][: access.size]
            return int.from_bytes(data, "little")
        if access.size != 4 or offset & 3:
            return 0
        queue = self._selected
        match offset:
            case 0x00:
                return _MAGIC
            case 0x04:
                return 2
            case 0x08:
                return self.virtio_device.number
            case 0x0C:
                return _VENDOR
            case 0x10:
                return self._features >> 32 * self._feature_words[0] & _LOW
            case 0x34:
                return 0 if queue is None else queue.largest
            case 0x44:
                return 0 if queue is None else queue.ready
            case 0x60:
                return self._interrupts
            case 0x70:
                return self._status
            case 0xB0 | 0xB4 | 0xB8 | 0xBC:  # there is no shared memory
                return _LOW
            case 0xFC:
                return self._generation
        return 0

    def write(self, offset: int, value: int, access: Access) -> None:
        """A register; configuration space cannot be written."""
        if access.size != 4 or offset & 3:
            return
        match offset:
            case 0x14:
                self._feature_words[0] = min(value, 2)
            case 0x20:
                self._choose_features(value)
            case 0x24:
                self._feature_words[1] = min(value, 2)
            case 0x30:
                self._queue = value
            case 0x50:
                self._notified(value)
            case 0x64:
                self._interrupts &= ~value
                self._drive()
            case 0x70:
                self._set_status(value)
            case _:
                self._set_up_queue(offset, value)

    @property
    def _selected(self) -> Queue | None:
        return self._queues[self._queue] if self._queue < len(self._queues) else None

    def _choose_features(self, value: int) -> None:
        shift = 32 * self._feature_words[1]
        if not self._status & _FEATURES_OK:
            kept = self._driver_features & ~(_LOW << shift)
            self._driver_features = kept | value << shift

    def _set_status(self, value: int) -> None:
        if value == 0:
            self.reset()
            return
        value &= _KNOWN
        if value & _FEATURES_OK and not self._status & _FEATURES_OK:
            chosen = self._driver_features
            old = not chosen & _VERSION_1  # a device MAY refuse this (section 6.2); xv6 does it
            if chosen & ~self._features or (old and self.virtio_device.needs_version_1):
                value &= ~_FEATURES_OK
            else:
                self.virtio_device.negotiated(chosen)
        began = value & _DRIVER_OK and not self._status & _DRIVER_OK
        self._status = value | self._status & _NEEDS_RESET
        if began:
            self._kick()

    def _set_up_queue(self, offset: int, value: int) -> None:
        queue = self._selected
        if queue is None:
            return
        if offset == 0x44:
            if value & 1:
                self._guarded(queue.start)
            else:
                queue.ready = False
            return
        if queue.ready:
            return
        match offset:
            case 0x38:
                queue.size = value
            case 0x80 | 0x84:
                queue.descriptors = _merge(queue.descriptors, offset, value)
            case 0x90 | 0x94:
                queue.driver = _merge(queue.driver, offset, value)
            case 0xA0 | 0xA4:
                queue.device = _merge(queue.device, offset, value)

    # -- serving

    def _notified(self, index: int) -> None:
        if index < len(self._queues):
            self._serve(index)

    def _kick(self) -> None:
        for index in range(len(self._queues)):
            self._serve(index)

    def _serve(self, index: int) -> None:
        queue = self._queues[index]
        if self._status & (_DRIVER_OK | _NEEDS_RESET) != _DRIVER_OK or not queue.ready:
            return

        def serve() -> None:
            before = queue.given
            try:
                self.virtio_device.process(index, queue)
            finally:
                if queue.given != before and queue.interrupts:
                    self._interrupts |= _USED
                    self._drive()

        self._guarded(serve)

    def _guarded(self, action: Callable[[], None]) -> None:
        """The driver's mistakes end here (section 2.1.2)."""
        try:
            action()
        except QueueError as error:
            self.error = str(error)
            self._status |= _NEEDS_RESET
            self._generation = self._generation + 1 & _LOW
            if self._status & _DRIVER_OK:
                self._interrupts |= _CONFIG_CHANGED
                self._drive()

    def _drive(self) -> None:
        level = self._interrupts != 0
        if level != self._line:
            self._line = level
            self._irq(level)


def _merge(address: int, offset: int, value: int) -> int:
    """The 64-bit *address* with one half replaced."""
    if offset & 4:
        return address & _LOW | value << 32
    return address & ~_LOW | value
