"""Device accesses that native code leaves to Python (docs/abi.md, "Device accesses")."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otoriscv.core.bus import Access, BusFault
from otoriscv.core.layout import (
    DEVICE_DONE,
    DEVICE_FAULT,
    DEVICE_STORE,
    HART,
    MACHINE,
    PAGE,
    TLB_ENTRIES,
    TLB_X,
    entry_place,
    tlb_slot,
)

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.jit.engine import Platform

__all__ = ["DeviceAccesses"]

_PC: Final = HART["pc"]
_BUDGET: Final = HART["budget"]
_RETIRED_END: Final = HART["retired_end"]
_PHYS: Final = HART["phys"]
_DEVICE: Final = HART["device"]
_VALUE: Final = HART["device_value"]
_FETCH_BANK: Final = HART["fetch_bank"]
_EXECUTE_TLB: Final = HART["tlb"] + tlb_slot(0, TLB_X) - tlb_slot(0, 0)
_STEPS_END: Final = MACHINE["steps_end"]
_PAST: Final = MACHINE["past"]
_CODE_WRITES: Final = MACHINE["code_writes"]
_WORD: Final = (1 << 64) - 1


class DeviceAccesses:
    """Does the accesses of one machine's harts."""

    def __init__(self, platform: Platform) -> None:
        self._p = platform
        self._m = platform.m
        self._view = platform.arena.view8
        self._pool = platform.arena.pool
        self._mask = (1 << platform.isa.xlen) - 1
        self._accesses: dict[tuple[int, int], Access] = {}

    def serve(self, hart: Hart) -> None:
        """Do what the instruction at pc asks for, which is executed once more then, and nothing
        behind it without a poll.
        """
        q, m = hart.q, self._m
        asked, more = q[_DEVICE], q[_BUDGET] - 1
        m[_STEPS_END] -= more
        q[_RETIRED_END] = q[_RETIRED_END] - more & _WORD
        q[_BUDGET] = 1
        store, size = asked & DEVICE_STORE, asked & (DEVICE_STORE - 1)
        access = self._accesses.get((size, hart.index))
        if access is None:
            access = self._accesses[size, hart.index] = Access(size, hart.index)
        try:
            if not store:
                q[_VALUE] = self._p.bus.read(q[_PHYS], access)
            elif self._store(q, access):
                return
            q[_DEVICE] = DEVICE_DONE
        except BusFault:
            q[_DEVICE] = DEVICE_FAULT
        if q[_PC] in self._p.breakpoints:
            m[_PAST] = q[_PC] | 1  # it was passed already

    def _store(self, q: memoryview, access: Access) -> bool:
        """Whether the instruction is over: it had the device overwrite that very instruction."""
        writes = self._m[_CODE_WRITES]
        place = self._place(q)
        code = bytes(self._view[place : place + 4])
        self._p.bus.write(q[_PHYS], q[_VALUE], access)
        if self._m[_CODE_WRITES] == writes or self._view[place : place + 4] == code:
            return False
        q[_PC] = q[_PC] + (4 if code[0] & 3 == 3 else 2) & self._mask
        q[_BUDGET] = q[_DEVICE] = 0
        return True

    def _place(self, q: memoryview) -> int:
        """The arena offset of the instruction at pc, which the execute TLB knows."""
        pc = q[_PC]
        at = _EXECUTE_TLB + (q[_FETCH_BANK] >> 3) + 2 * (pc // PAGE % TLB_ENTRIES)
        return entry_place(self._pool, 8 * pc + q[at + 1] & _WORD)
