"""Entropy device (virtio 1.2, section 5.4)."""

from __future__ import annotations

from typing import Any, ClassVar, Final

from otoriscv.devices.entropy import Entropy
from otoriscv.devices.virtio.device import VirtioDevice
from otoriscv.devices.virtio.queue import Chain

__all__ = ["VirtioRng"]

_MOST: Final = 1 << 16  # bytes for one buffer; the driver asks again


class VirtioRng(VirtioDevice):
    """Fills buffers from *entropy*."""

    name = "virtio-rng"
    number = 4
    queue_sizes: ClassVar = (64,)

    def __init__(self, entropy: Entropy) -> None:
        super().__init__()
        self._entropy = entropy

    def save(self) -> dict[str, Any]:
        """How far the source was used."""
        return self._entropy.save()

    def restore(self, state: dict[str, Any]) -> None:
        """Take over what `save` gave."""
        self._entropy.restore(state)

    def handle(self, index: int, chain: Chain) -> int:
        """Fill a buffer."""
        size = min(chain.write_size, _MOST)
        chain.write(0, self._entropy.take(size))
        return size
