"""Split virtqueues (virtio 1.2, section 2.7), the device's side.

The driver's structures are in guest memory and may say anything. Whatever a correct driver never
does raises `QueueError`; the transport answers it with DEVICE_NEEDS_RESET.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple, Protocol

from otoriscv.devices.protocols import MEMORY_FAULTS
from otoriscv.devices.state import Stateful

__all__ = ["Chain", "GuestMemory", "Queue", "QueueError"]

_NEXT, _WRITE, _INDIRECT = 1, 2, 4
_NO_INTERRUPT: Final = 1
_DESCRIPTOR: Final = 16
_WRAP: Final = 0xFFFF


class QueueError(Exception):
    """The driver broke the rules; one line that says how."""


class GuestMemory(Protocol):
    """Guest-physical memory. Writes go through the door that all writers use."""

    def read(self, address: int, length: int, /) -> bytes:
        """Exactly *length* bytes; one of `MEMORY_FAULTS` when some are not memory."""
        ...

    def write(self, address: int, data: bytes, /) -> None:
        """All of *data*, or one of `MEMORY_FAULTS`."""
        ...

    def available(self, address: int, length: int, /) -> int:
        """How many of the bytes from *address* on are memory."""
        ...


class Chain(NamedTuple):
    """A descriptor chain: (address, length) of what the device reads, then of what it writes."""

    memory: GuestMemory
    head: int
    readable: Sequence[tuple[int, int]]
    writable: Sequence[tuple[int, int]]

    @property
    def read_size(self) -> int:
        """Bytes for the device to read."""
        return sum(length for _, length in self.readable)

    @property
    def write_size(self) -> int:
        """Bytes for the device to write."""
        return sum(length for _, length in self.writable)

    def read(self, start: int, length: int) -> bytes:
        """*length* bytes from *start* on of the readable part, fewer at its end."""
        return b"".join(_read(self.memory, a, n) for a, n in _part(self.readable, start, length))

    def write(self, start: int, data: bytes) -> None:
        """*data* from *start* on into the writable part, which must be large enough."""
        at = 0
        for address, length in _part(self.writable, start, len(data)):
            _write(self.memory, address, data[at : at + length])
            at += length


def _part(pieces: Sequence[tuple[int, int]], start: int, size: int) -> Iterator[tuple[int, int]]:
    """What of *pieces*, taken as one, lies in ``[start, start + size)``."""
    for address, length in pieces:
        skip = min(start, length)
        start -= skip
        count = min(length - skip, size)
        if count > 0:
            yield address + skip, count
            size -= count


def _read(memory: GuestMemory, address: int, length: int) -> bytes:
    try:
        return memory.read(address, length)
    except MEMORY_FAULTS as fault:
        raise QueueError(str(fault)) from None


def _write(memory: GuestMemory, address: int, data: bytes) -> None:
    try:
        memory.write(address, data)
    except MEMORY_FAULTS as fault:
        raise QueueError(str(fault)) from None


class Queue(Stateful):
    """One queue. The transport sets ``size`` and the three addresses, then `start`s it."""

    STATE = ("size", "ready", "descriptors", "driver", "device", "_seen", "_used")

    def __init__(self, memory: GuestMemory, largest: int) -> None:
        self._memory = memory
        self.largest = largest
        self.reset()

    def reset(self) -> None:
        """Not ready, no addresses."""
        self.size = self.largest
        self.ready = False
        self.descriptors = self.driver = self.device = 0
        self._seen = 0  # entries of the available ring taken
        self._used = 0  # entries of the used ring given back

    def start(self) -> None:
        """The driver says that it is set up: check what can be checked."""
        size = self.size
        if not 0 < size <= self.largest or size & (size - 1):
            raise QueueError(f"a queue of {size} entries (a power of two up to {self.largest})")
        for name, at, align, length in (
            ("descriptor table", self.descriptors, 16, _DESCRIPTOR * size),
            ("available ring", self.driver, 2, 6 + 2 * size),
            ("used ring", self.device, 4, 6 + 8 * size),
        ):
            if at % align or self._memory.available(at, length) != length:
                raise QueueError(f"the {name} at {at:#x} is not in memory, or not aligned")
        self.ready = True

    @property
    def interrupts(self) -> bool:
        """Whether the driver wants to hear of used buffers."""
        return not self._half(self.driver) & _NO_INTERRUPT

    @property
    def given(self) -> int:
        """A count of the buffers given back, modulo 65536."""
        return self._used

    @property
    def taken(self) -> int:
        """A count of the buffers taken, modulo 65536."""
        return self._seen

    def pop(self) -> Chain | None:
        """The next chain that the driver made available."""
        waiting = self._half(self.driver + 2) - self._seen & _WRAP
        if not waiting:
            return None
        if waiting > self.size:
            raise QueueError(f"{waiting} buffers are available in a queue of {self.size}")
        head = self._half(self.driver + 4 + 2 * (self._seen % self.size))
        chain = self._chain(head)
        self._seen = self._seen + 1 & _WRAP
        return chain

    def push(self, chain: Chain, written: int) -> None:
        """Give *chain* back, *written* bytes of it filled."""
        at = self.device + 4 + 8 * (self._used % self.size)
        _write(self._memory, at, (chain.head | written << 32).to_bytes(8, "little"))
        self._used = self._used + 1 & _WRAP
        _write(self._memory, self.device + 2, self._used.to_bytes(2, "little"))

    def _half(self, address: int) -> int:
        return int.from_bytes(_read(self._memory, address, 2), "little")

    def _chain(self, head: int) -> Chain:
        readable: list[tuple[int, int]] = []
        writable: list[tuple[int, int]] = []
        table, entries, index, count = self.descriptors, self.size, head, 0
        while True:
            if index >= entries:
                raise QueueError(f"descriptor {index} of {entries}")
            count += 1
            if count > self.size:
                raise QueueError(f"a chain of more than {self.size} descriptors: a loop?")
            raw = int.from_bytes(_read(self._memory, table + _DESCRIPTOR * index, 16), "little")
            address, length = raw & (1 << 64) - 1, raw >> 64 & 0xFFFF_FFFF
            flags, following = raw >> 96 & 0xFFFF, raw >> 112
            if flags & _INDIRECT:
                if flags & _NEXT or table != self.descriptors:
                    raise QueueError("an indirect descriptor inside a chain or a table")
                entries, odd = divmod(length, _DESCRIPTOR)
                if odd or not 0 < entries <= self.size:
                    raise QueueError(f"an indirect table of {length} bytes")
                table, index, count = address, 0, 0
                continue
            if self._memory.available(address, length) != length:
                raise QueueError(f"a buffer of {length} bytes at {address:#x} is not in memory")
            if flags & _WRITE:
                writable.append((address, length))
            elif writable:
                raise QueueError("a buffer to read behind one to write")
            else:
                readable.append((address, length))
            if not flags & _NEXT:
                return Chain(self._memory, head, readable, writable)
            index = following
