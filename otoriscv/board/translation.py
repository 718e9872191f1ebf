"""Memory as a hart's loads and stores find it: through its page tables, for whoever looks on.

Unlike the guest's own accesses (`otoriscv.core.mmu`) these change nothing: no trap, no accessed or
dirty bit, no TLB entry; and permissions, PMP included, do not matter (privileged spec, 4.3 to 4.5).
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from otoriscv.core.hart import Hart
from otoriscv.core.layout import PAGE, PAGE_SHIFT
from otoriscv.core.memory import Memory, MemoryHole
from otoriscv.core.mmu import SV39
from otoriscv.core.mstatus import MSTATUS

__all__ = ["TranslatedMemory", "physical"]

_V: Final = 1
_LEAF: Final = 2 | 8  # R or X


def physical(hart: Hart, memory: Memory, address: int) -> int | None:
    """The physical address of *address* for the loads of *hart*, None where nothing is mapped."""
    status, satp = hart.read_csr("mstatus"), hart.read_csr("satp") if hart.has("S") else 0
    lent = hart.priv == 3 and status & MSTATUS.MPRV
    privilege = status >> 11 & 3 if lent else hart.priv
    wide = hart.xlen == 64
    mode = satp >> (60 if wide else 31)
    if privilege == 3 or not mode:
        return address
    bits, size = (9, 8) if wide else (10, 4)
    levels = (3 if mode == SV39 else 4) if wide else 2
    reach = levels * bits + PAGE_SHIFT
    if wide and (address + (1 << reach - 1)) & (1 << 64) - 1 >= 1 << reach:
        return None  # the upper bits are not copies of the highest one
    table = (satp & ((1 << 44) - 1 if wide else (1 << 22) - 1)) << PAGE_SHIFT
    for level in reversed(range(levels)):
        shift = level * bits + PAGE_SHIFT
        at = table + (address >> shift & (1 << bits) - 1) * size
        try:
            entry = int.from_bytes(memory.read(at, size), "little")
        except MemoryHole:
            return None
        if not entry & _V:
            return None
        table = (entry & (1 << 54) - 1) >> 10 << PAGE_SHIFT
        if entry & _LEAF:
            return table | address & (1 << shift) - 1
    return None


class TranslatedMemory:
    """RAM and ROM under a hart's addresses, whatever its translation is at each moment."""

    def __init__(self, hart: Hart, memory: Memory) -> None:
        self._hart = hart
        self._memory = memory

    def _pieces(self, address: int, length: int) -> Iterator[tuple[int, int]]:
        """Physical address and length of each page's part; `MemoryHole` where nothing is."""
        while length > 0:
            part = min(length, PAGE - address % PAGE)
            where = physical(self._hart, self._memory, address)
            if where is None:
                raise MemoryHole(f"nothing is mapped at {address:#x}")
            yield where, part
            address += part
            length -= part

    def available(self, address: int, length: int) -> int:
        """How many of *length* bytes at *address* can be read."""
        found = 0
        try:
            for where, part in self._pieces(address, length):
                have = self._memory.available(where, part)
                found += have
                if have < part:
                    break
        except MemoryHole:
            pass
        return found

    def read(self, address: int, length: int) -> bytes:
        """Read; `MemoryHole` where nothing is."""
        return b"".join(self._memory.read(*piece) for piece in self._pieces(address, length))

    def write(self, address: int, data: bytes, *, rom: bool = False) -> None:
        """Write all of it or, with `MemoryHole`, nothing."""
        pieces = list(self._pieces(address, len(data)))
        for where, part in pieces:
            if self._memory.available(where, part) < part:
                raise MemoryHole(f"no memory at {where:#x}")
        at = 0
        for where, part in pieces:
            self._memory.write(where, data[at : at + part], rom=rom)
            at += part
