"""What the transport knows of a virtio device."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar

from otoriscv.devices.state import Stateful
from otoriscv.devices.virtio.queue import Chain, Queue, QueueError

__all__ = ["VirtioDevice"]


class VirtioDevice(Stateful):
    """A device type: its number, features, queues and configuration space.

    The transport calls `process` when the driver offered buffers in a queue, once the driver is
    ready. `kick` makes it look at the queues again, when the host has something for the guest.
    """

    name: ClassVar[str]
    number: ClassVar[int]  # virtio 1.2, section 5
    queue_sizes: ClassVar[Sequence[int]]
    features: int = 0
    needs_version_1: ClassVar = False  # a driver that does not choose it would be misunderstood
    feature_names: ClassVar[Mapping[int, str]] = {}  # of single bits, for people

    def __init__(self) -> None:
        #: Set by the transport: look at all queues.
        self.kick: Callable[[], None] = lambda: None

    def config(self) -> bytes:
        """The configuration space."""
        return b""

    def negotiated(self, features: int) -> None:
        """The driver has chosen *features*."""

    def process(self, index: int, queue: Queue) -> None:
        """Serve all buffers of a queue that can be served now; `QueueError` goes to the driver."""
        served = 0
        while self.wants(index) and (chain := queue.pop()) is not None:
            served += 1
            if served > queue.size:  # the driver does not run meanwhile: our own writes did it
                raise QueueError("a buffer overlaps the queue's rings")
            queue.push(chain, self.handle(index, chain))

    def wants(self, index: int) -> bool:
        """Whether a buffer of queue *index* can be served now."""
        return True

    def handle(self, index: int, chain: Chain) -> int:
        """Serve one chain of queue *index*; how many bytes were written."""
        raise NotImplementedError

    def reset(self) -> None:
        """The driver reset the device."""
