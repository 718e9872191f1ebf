"""SiFive CLINT (SiFive FU540-C000 manual, chapter 9; ACLINT 1.0-rc4 sections 2 and 3).

====== ================ =========================================
offset register         behind it
====== ================ =========================================
0x0    msip[hart]       bit 3 of the hart's mip, 4 bytes each
0x4000 mtimecmp[hart]   ``HART["mtimecmp"]``, 8 bytes each
0xbff8 mtime            the machine's clock
====== ================ =========================================

Native engines do the same accesses themselves; all state is in the hart structs, so both paths
agree. MTIP (bit 7) is re-evaluated after each write to a timer register.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

from otoriscv.core.bus import Access, BusFault
from otoriscv.core.layout import HART
from otoriscv.devices.protocols import Clock

__all__ = ["CLINT_SIZE", "MTIMECMP", "Clint"]

CLINT_SIZE: Final = 0x1_0000
MTIMECMP: Final = 0x4000
_MTIME: Final = 0xBFF8
_MSIP_BIT: Final = 1 << 3
_MTIP_BIT: Final = 1 << 7
_NEVER: Final = (1 << 64) - 1
_LOW: Final = 0xFFFF_FFFF

_MIP: Final = HART["mip"]
_CMP: Final = HART["mtimecmp"]


class Clint:
    """*harts* are the hart structs as ``memoryview('Q')``, one per hart.

    *deadline_changed(hart)* is called after a write that may move that hart's timer deadline or
    change its MSIP.
    """

    name = "clint"

    def __init__(
        self,
        harts: Sequence[memoryview],
        clock: Clock,
        deadline_changed: Callable[[int], None],
    ) -> None:
        self._harts = harts
        self._clock = clock
        self._deadline_changed = deadline_changed

    def reset(self) -> None:
        """No software interrupt, no deadline, mtime 0."""
        self._clock.write(0)
        for index, hart in enumerate(self._harts):
            hart[_MIP] &= ~(_MSIP_BIT | _MTIP_BIT)
            hart[_CMP] = _NEVER
            self._deadline_changed(index)

    def read(self, offset: int, access: Access) -> int:
        """4- or 8-byte aligned reads; reserved offsets and absent harts read 0."""
        self._check(offset, access)
        if offset < MTIMECMP and access.size == 8:
            return self._msip(offset) | self._msip(offset + 4) << 32
        if offset < MTIMECMP:
            return self._msip(offset)
        value = self._timer(offset & ~7)
        return value if access.size == 8 else value >> 8 * (offset & 4) & _LOW

    def write(self, offset: int, value: int, access: Access) -> None:
        """4- or 8-byte aligned writes; reserved offsets and absent harts ignore them."""
        self._check(offset, access)
        if offset < MTIMECMP:
            self._set_msip(offset, value)
            if access.size == 8:
                self._set_msip(offset + 4, value >> 32)
            return
        register = offset & ~7
        if access.size == 4:
            shift = 8 * (offset & 4)
            value = self._timer(register) & ~(_LOW << shift) | (value & _LOW) << shift
        if register == _MTIME:
            self._clock.write(value)
            for index in range(len(self._harts)):
                self._deadline(index)
        elif register - MTIMECMP >> 3 < len(self._harts):
            index = register - MTIMECMP >> 3
            self._harts[index][_CMP] = value
            self._deadline(index)

    def _check(self, offset: int, access: Access) -> None:
        if access.size < 4 or offset % access.size:
            raise BusFault(f"the CLINT takes aligned words, not {access.size} bytes at {offset:#x}")

    def _msip(self, offset: int) -> int:
        index = offset >> 2
        return self._harts[index][_MIP] >> 3 & 1 if index < len(self._harts) else 0

    def _set_msip(self, offset: int, value: int) -> None:
        index = offset >> 2
        if index < len(self._harts):
            hart = self._harts[index]
            hart[_MIP] = hart[_MIP] | _MSIP_BIT if value & 1 else hart[_MIP] & ~_MSIP_BIT
            self._deadline_changed(index)

    def _timer(self, register: int) -> int:
        if register == _MTIME:
            return self._clock.read() & _NEVER
        index = register - MTIMECMP >> 3
        return int(self._harts[index][_CMP]) if index < len(self._harts) else 0

    def _deadline(self, index: int) -> None:
        hart = self._harts[index]
        due = (self._clock.read() & _NEVER) >= hart[_CMP]
        hart[_MIP] = hart[_MIP] | _MTIP_BIT if due else hart[_MIP] & ~_MTIP_BIT
        self._deadline_changed(index)
