"""How regions for translated code access memory: through the TLB's bank in use, and in small loops
through what it said last.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import LINE_SHIFT, LINES, PAGE_SHIFT, TLB_R, TLB_W
from otoriscv.core.policy import TlbPolicy
from otoriscv.core.uop import Builder, Value

__all__ = ["LASTS", "LOOP", "LOOP_SHIFT", "BankedPolicy", "LoopPolicy"]

#: Instructions at most of a loop that remembers what the TLB said.
LOOP: Final = 64
#: Variables for that: the page known to be good, what leads from it to the arena, and the page
#: whose lines were looked at.
LASTS: Final = ("last_tag", "last_addend", "last_page")
#: Where the number of the loop is in the number of a variable.
LOOP_SHIFT: Final = 8


class BankedPolicy(TlbPolicy):
    """Slots of the TLB count from the bank in use, which nothing in a region changes."""

    def slot(self, m: Builder, at: Value) -> Value:
        return m.get("tlb", at)


class LoopPolicy(BankedPolicy):
    """In a loop, what the TLB said last for a base register is asked first: in the same page its
    entries need not be read, so the access need not wait for them; and a store need not ask the
    line map when no line of that page has anything to say. Nothing in a region changes either."""

    def __init__(self, loop: int) -> None:
        self._loop = loop  # its number in the region
        self.register = 0  # the base register of the current instruction

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        if kind == "w":  # the store that follows asks the same of the TLB
            return super().load(m, address, bits, kind)
        address = address.zext(64)
        tag, last = self._tag(address, bits), self._last(m, TLB_R)
        with m.if_(tag.ne(m.get("last_tag", last))):
            m.set("last_addend", self.addend(m, address, tag, TLB_R), last)
            m.set("last_tag", tag, last)
        return m.aload(address + m.get("last_addend", last), bits)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        address = address.zext(64)
        tag, last = self._tag(address, value.width), self._last(m, TLB_W)
        with m.if_(tag.ne(m.get("last_tag", last))):
            addend = self.addend(m, address, tag, TLB_W)
            m.set("last_addend", addend, last)
            m.set("last_tag", -1, last)  # the addend is no longer that page's
            self.line(m, address + addend)
            with m.if_(tag.ne(m.get("last_page", last))):
                m.set("last_page", tag, last)
                first = (address + addend) >> PAGE_SHIFT << (PAGE_SHIFT - LINE_SHIFT)
                with m.if_(m.get("page_flags", first + LINES).eq(0)):
                    m.set("last_tag", tag, last)
        m.astore(address + m.get("last_addend", last), value)

    def _last(self, m: Builder, kind: int) -> Value:
        """Which of the region's variables: those of the loop, base register and kind of access."""
        return m.const(self._loop << LOOP_SHIFT | self.register << 2 | kind, 64)
