"""RISC-V PLIC 1.0.0 (riscv-plic-spec), laid out as SiFive's and QEMU's virt.

======== ======================================================
offset   register (32 bits each)
======== ======================================================
0x0      priority[source], 0-7, source 0 is hardwired to 0
0x1000   pending, one bit per source (read-only)
0x2000   enables[context], 0x80 bytes per context
0x200000 threshold[context]; +4 claim/complete; 0x1000 each
======== ======================================================

Context ``2 * hart`` is the hart's M mode (MEIP), ``2 * hart + 1`` its S mode (SEIP).

Gateways are level-triggered (section "Interrupt Gateways"): a high line makes its source pending
once; the pending bit stays until claimed, even when the line falls; a line still high at
completion makes it pending again.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.bus import Access, BusFault
from otoriscv.devices.protocols import SetHartIrq
from otoriscv.devices.state import Stateful

__all__ = ["PLIC_SIZE", "PLIC_SOURCES", "Plic"]

PLIC_SIZE: Final = 0x60_0000
PLIC_SOURCES: Final = 96  # source numbers 0-95; 0 does not exist
_PENDING: Final = 0x1000
_ENABLE: Final = 0x2000
_ENABLE_STRIDE: Final = 0x80
_CONTEXT: Final = 0x20_0000
_CONTEXT_STRIDE: Final = 0x1000
_PRIORITY_MASK: Final = 7
_MIP_BITS: Final = (11, 9)  # MEIP, SEIP


class Plic(Stateful):
    """*set_irq(hart, bit, level)* drives MEIP (11) and SEIP (9)."""

    name = "plic"
    STATE = ("_priority", "_enable", "_threshold", "_levels", "_in_flight", "_pending", "_outputs")

    def __init__(self, harts: int, set_irq: SetHartIrq, sources: int = PLIC_SOURCES) -> None:
        self._sources = sources
        self._contexts = 2 * harts
        self._set_irq = set_irq
        self._valid = (1 << sources) - 2
        self._levels = 0  # the lines; devices own them, so they survive a reset
        self._outputs = [False] * self._contexts
        self.reset()

    def reset(self) -> None:
        """Everything masked, nothing in flight. The gateways look at their lines again later, when
        the devices too have been reset.
        """
        self._priority = [0] * self._sources
        self._enable = [0] * self._contexts
        self._threshold = [0] * self._contexts
        self._in_flight = 0  # forwarded by the gateway and not completed
        self._pending = 0
        self._drive()

    def set_line(self, source: int, level: bool) -> None:
        """A device's interrupt line changed."""
        bit = 1 << source
        if not bit & self._valid:
            raise ValueError(f"the PLIC has no source {source}")
        self._levels = self._levels | bit if level else self._levels & ~bit
        if level:
            self._update()

    def read(self, offset: int, access: Access) -> int:
        """Read a 32-bit register; a claim is a read with an effect."""
        if access.size == 8 and not offset & 7:
            word = Access(4, access.hart)
            return self.read(offset, word) | self.read(offset + 4, word) << 32
        self._check(offset, access)
        if offset < _PENDING:
            return self._priority[offset >> 2] if offset >> 2 < self._sources else 0
        if offset < _ENABLE:
            return self._pending >> 8 * (offset - _PENDING) & 0xFFFF_FFFF
        if offset < _CONTEXT:
            context, word_offset = divmod(offset - _ENABLE, _ENABLE_STRIDE)
            if context >= self._contexts:
                return 0
            return self._enable[context] >> 8 * word_offset & 0xFFFF_FFFF
        context, register = divmod(offset - _CONTEXT, _CONTEXT_STRIDE)
        if context < self._contexts:
            if register == 0:
                return self._threshold[context]
            if register == 4:
                return self._claim(context)
        return 0

    def write(self, offset: int, value: int, access: Access) -> None:
        """Write a 32-bit register; reserved and read-only ones ignore it."""
        if access.size == 8 and not offset & 7:
            word = Access(4, access.hart)
            self.write(offset, value & 0xFFFF_FFFF, word)
            self.write(offset + 4, value >> 32, word)
            return
        self._check(offset, access)
        if offset < _PENDING:
            if 0 < offset >> 2 < self._sources:
                self._priority[offset >> 2] = value & _PRIORITY_MASK
        elif offset < _ENABLE:
            return
        elif offset < _CONTEXT:
            context, word_offset = divmod(offset - _ENABLE, _ENABLE_STRIDE)
            if context < self._contexts:
                shift = 8 * word_offset
                kept = self._enable[context] & ~(0xFFFF_FFFF << shift)
                self._enable[context] = (kept | value << shift) & self._valid
        else:
            context, register = divmod(offset - _CONTEXT, _CONTEXT_STRIDE)
            if context < self._contexts:
                if register == 0:
                    self._threshold[context] = value & _PRIORITY_MASK
                elif register == 4:
                    self._complete(context, value)
        self._update()

    def _check(self, offset: int, access: Access) -> None:
        if access.size != 4 or offset & 3:
            raise BusFault(f"the PLIC takes aligned words, not {access.size} bytes at {offset:#x}")

    def _best(self, context: int) -> tuple[int, int]:
        """(priority, source) of the highest pending and enabled source, ties to the lowest."""
        best, source, bits = 0, 0, self._pending & self._enable[context]
        while bits:
            number = (bits & -bits).bit_length() - 1
            bits &= bits - 1
            if self._priority[number] > best:
                best, source = self._priority[number], number
        return best, source

    def _claim(self, context: int) -> int:
        """Claims ignore the threshold (section "Interrupt Claim Process")."""
        _, source = self._best(context)
        if source:
            self._pending &= ~(1 << source)
            self._update()
        return source

    def _complete(self, context: int, source: int) -> None:
        """Ignored unless the source is enabled for the context ("Interrupt Completion")."""
        if source < self._sources and self._enable[context] >> source & 1:
            bit = 1 << source
            if not self._pending & bit:
                self._in_flight &= ~bit

    def _update(self) -> None:
        """The gateways pass on what is high and not in flight, then the outputs follow."""
        new = self._levels & ~self._in_flight
        self._in_flight |= new
        self._pending |= new
        self._drive()

    def _drive(self) -> None:
        for context in range(self._contexts):
            level = self._best(context)[0] > self._threshold[context]
            if level != self._outputs[context]:
                self._outputs[context] = level
                self._set_irq(context >> 1, _MIP_BITS[context & 1], level)
