"""Where things are on the virt board: QEMU's map (hw/riscv/virt.c, virt_memmap), as data."""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = [
    "BOOT_ROM",
    "CLINT",
    "FINISHER",
    "FIRMWARE",
    "FIRMWARE_RAM",
    "LINUX_RAM_SIZE",
    "PLIC",
    "PLIC_NDEV",
    "RAM_BASE",
    "RAM_SIZE",
    "REGIONS",
    "RTC",
    "TIMEBASE_HZ",
    "UART",
    "UART_CLOCK_HZ",
    "VIRTIO_COUNT",
    "Region",
    "virtio",
]


class Region(NamedTuple):
    """A range of physical addresses; ``irq`` is its PLIC source, 0 for none."""

    name: str
    base: int
    size: int
    irq: int = 0

    @property
    def end(self) -> int:
        """The first address behind it."""
        return self.base + self.size


BOOT_ROM: Final = Region("boot ROM", 0x1000, 0xF000)
#: The built-in firmware: its code at the end of the boot ROM, its variables behind it.
FIRMWARE: Final = Region("firmware", 0xC000, 0x4000)
FIRMWARE_RAM: Final = Region("firmware RAM", 0x1_0000, 0x1_0000)
FINISHER: Final = Region("test", 0x10_0000, 0x1000)
RTC: Final = Region("rtc", 0x10_1000, 0x1000, irq=11)
CLINT: Final = Region("clint", 0x200_0000, 0x1_0000)
PLIC: Final = Region("plic", 0xC00_0000, 0x60_0000)
UART: Final = Region("uart", 0x1000_0000, 0x100, irq=10)
RAM_BASE: Final = 0x8000_0000
RAM_SIZE: Final = 128 << 20
#: Enough for a distribution's kernel and its unpacked initial RAM disk.
LINUX_RAM_SIZE: Final = 512 << 20
VIRTIO_COUNT: Final = 8

#: Interrupt sources the PLIC has: 1 to 95.
PLIC_NDEV: Final = 95
TIMEBASE_HZ: Final = 10_000_000
UART_CLOCK_HZ: Final = 3_686_400


def virtio(index: int) -> Region:
    """The register block of virtio-mmio transport *index*."""
    return Region(f"virtio{index}", 0x1000_1000 + 0x1000 * index, 0x1000, irq=1 + index)


#: Every fixed region, by address.
REGIONS: Final = (
    BOOT_ROM,
    FINISHER,
    RTC,
    CLINT,
    PLIC,
    UART,
    *(virtio(i) for i in range(VIRTIO_COUNT)),
)
