"""What a debugger may look at: the memory map that gdb and LLDB get."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.core.layout import HART
from otoriscv.gdbstub.target import MemoryRegion

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine

__all__ = ["memory_regions"]

_SPACE = 1 << 64  # gdb sign-extends the addresses of a 32-bit machine


def memory_regions(machine: Machine) -> list[MemoryRegion]:
    """ROM, RAM and devices by address, and what lies between them as RAM that is not there.

    gdb reads nothing that is not described. While an address space is translated any address may
    be memory, so then there is one region of everything. (Devices are never read in any case.)
    """
    if any(hart.q[HART["satp"]] for hart in machine.harts):
        return _between(0, _SPACE)
    known = [
        MemoryRegion(r.base, r.size, "rom" if r.rom else "ram", "ROM" if r.rom else "RAM")
        for r in machine.memory.ranges()
    ]
    known += [
        MemoryRegion(base, size, "device", device.name)
        for base, size, device in machine.bus.devices()
    ]
    out: list[MemoryRegion] = []
    at = 0
    for region in sorted(known):
        out += _between(at, region.base)
        out.append(region)
        at = region.base + region.size
    return out + _between(at, _SPACE)


def _between(start: int, end: int) -> list[MemoryRegion]:
    """A hole; in two parts when its size would not fit in 64 bits."""
    middle = _SPACE >> 1
    if start == 0 and end == _SPACE:
        return [MemoryRegion(0, middle, "ram"), MemoryRegion(middle, middle, "ram")]
    return [MemoryRegion(start, end - start, "ram")] if start < end else []
