"""Memory policies: how loads and stores become micro-ops that a backend can do."""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import (
    LINE_SHIFT,
    LINES,
    PAGE,
    PAGE_SHIFT,
    TLB_ENTRIES,
    TLB_R,
    TLB_W,
    tlb_slot,
)
from otoriscv.core.uop import Builder, Value

__all__ = ["KINDS", "CallPolicy", "TlbPolicy", "line_flags"]

#: `slow.load_slow`'s number for a load's kind.
KINDS: Final = {"r": 0, "w": 1}


def line_flags(m: Builder, offset: Value) -> Value:
    """The byte of the line at an arena offset."""
    return m.aload((offset >> LINE_SHIFT) + LINES, 8)


class CallPolicy:
    """Every access calls the slow routine: small code, and every check is made."""

    rare: Final = "call"

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        status = m.call("load_slow", address, bits // 8, KINDS[kind])
        m.emit("check", 0, status)
        return m.get("value").trunc(bits)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        status = m.call("store_slow", address, value, value.width // 8)
        m.emit("check", 0, status)


class TlbPolicy:
    """The software TLB's test inline; a miss, and a store into code, bail to the slow form."""

    rare: Final = "bail"

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        # An AMO reads through the entry that it will write through: it faults as a store does.
        return m.aload(self._hit(m, address, bits, TLB_W if kind == "w" else TLB_R), bits)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        offset = self._hit(m, address, value.width, TLB_W)
        self.line(m, offset)
        m.astore(offset, value)

    def line(self, m: Builder, offset: Value) -> None:
        """Bail when a store there is more than a store."""
        m.emit("bail_if", 0, line_flags(m, offset).ne(0))

    def _hit(self, m: Builder, address: Value, bits: int, kind: int) -> Value:
        """The arena offset of an aligned access, or bail."""
        address = address.zext(64)
        return address + self.addend(m, address, self._tag(address, bits), kind)

    @staticmethod
    def _tag(address: Value, bits: int) -> Value:
        return address & (-PAGE | (bits // 8 - 1))

    def addend(self, m: Builder, address: Value, tag: Value, kind: int) -> Value:
        """What leads from an address to the arena offset, of the entry with this *tag*, or bail."""
        # two slots an entry: shifted by one bit less than the page number is
        index = (address >> (PAGE_SHIFT - 1)) & (2 * (TLB_ENTRIES - 1))
        at = index + (tlb_slot(0, kind) - tlb_slot(0, 0))
        m.emit("bail_if", 0, tag.ne(self.slot(m, at)))
        return self.slot(m, at + 1)

    def slot(self, m: Builder, at: Value) -> Value:
        """A slot of the TLB's bank in use."""
        return m.get("tlb", at + m.get("data_bank"))
