"""The bus: MMIO ranges and the devices behind them (RAM and ROM are core/memory.py's)."""

from __future__ import annotations

from bisect import bisect_right
from typing import NamedTuple, Protocol

__all__ = ["Access", "Bus", "BusFault", "Device"]


class BusFault(Exception):
    """Raised by a device, or by the bus for a hole: the guest gets an access fault."""


class Access(NamedTuple):
    """Who accesses a device, and how wide: ``size`` in bytes (1, 2, 4 or 8), ``hart`` its index."""

    size: int
    hart: int


class Device(Protocol):
    """Something mapped into physical memory. ``offset`` counts from the start of its range."""

    name: str

    def read(self, offset: int, access: Access) -> int:
        """The value read, ``access.size`` bytes wide; `BusFault` for an access fault."""
        ...

    def write(self, offset: int, value: int, access: Access) -> None:
        """Write the low ``access.size`` bytes of *value*; `BusFault` for an access fault."""
        ...

    def reset(self) -> None:
        """Back to the state at power-on."""
        ...


class _Mapping(NamedTuple):
    base: int
    size: int
    device: Device


class Bus:
    """Maps physical addresses to devices."""

    def __init__(self) -> None:
        self._bases: list[int] = []
        self._mappings: list[_Mapping] = []

    def map(self, base: int, size: int, device: Device) -> None:
        """Map *device* at ``[base, base + size)``; ValueError when that overlaps another."""
        for m in self._mappings:
            if base < m.base + m.size and m.base < base + size:
                raise ValueError(
                    f"{device.name} at {base:#x} overlaps {m.device.name} at {m.base:#x}"
                )
        at = bisect_right(self._bases, base)
        self._bases.insert(at, base)
        self._mappings.insert(at, _Mapping(base, size, device))

    def devices(self) -> list[tuple[int, int, Device]]:
        """All mappings as (base, size, device), by address."""
        return [(m.base, m.size, m.device) for m in self._mappings]

    def find(self, address: int, size: int = 1) -> tuple[Device, int] | None:
        """The device holding all of ``[address, address + size)`` and the offset in it."""
        at = bisect_right(self._bases, address) - 1
        if at >= 0:
            m = self._mappings[at]
            if address + size <= m.base + m.size:
                return m.device, address - m.base
        return None

    def read(self, address: int, access: Access) -> int:
        """Read a device register; `BusFault` on a hole."""
        found = self.find(address, access.size)
        if found is None:
            raise BusFault(f"nothing at {address:#x}")
        return found[0].read(found[1], access) & ((1 << 8 * access.size) - 1)

    def write(self, address: int, value: int, access: Access) -> None:
        """Write a device register; `BusFault` on a hole."""
        found = self.find(address, access.size)
        if found is None:
            raise BusFault(f"nothing at {address:#x}")
        found[0].write(found[1], value & ((1 << 8 * access.size) - 1), access)
