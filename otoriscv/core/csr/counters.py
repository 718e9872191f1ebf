"""Counters (privileged spec 3.1.10 to 3.1.12; unprivileged spec, Zicntr).

minstret is the hart's retired instructions, mcycle the machine's steps (what virtual time is made
of), each with an offset of its own; an inhibited counter's offset is its value. A written value is
what the next instruction reads, so the writing instruction itself is not counted.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from otoriscv.core.csr.table import Access, csr, zero
from otoriscv.core.poll import steps_now
from otoriscv.core.trap import on, retired
from otoriscv.core.uop import Builder, Value

_LOW: Final = 0xFFFF_FFFF


def _cycles(b: Builder) -> Value:
    return steps_now(b) + b.get_m("skip")


#: (bit in mcountinhibit, slot of the offset, what counts)
_COUNTERS: Final = ((0, "mcycle_delta", _cycles), (2, "minstret_delta", retired))


def _value(b: Builder, bit: int, offset: str, count: Value) -> Value:
    inhibited = b.get("mcountinhibit").bit(bit)
    return b.get(offset) + inhibited.select(b.const(0, 64), count)


def _counter(bit: int, offset: str, count: Callable[[Builder], Value], *, high: bool) -> Access:
    """A counter, or on RV32 one half of it."""

    def read(b: Builder, number: Value) -> Value:
        value = _value(b, bit, offset, count(b))
        if high:
            return value >> 32
        return value & _LOW if b.xlen == 32 else value

    def write(b: Builder, number: Value, value: Value) -> None:
        after = count(b) + 1
        if b.xlen == 32:  # the increment is left out of the other half too
            old = _value(b, bit, offset, count(b))
            value = (old & _LOW) | (value << 32) if high else (old & ~_LOW) | value
        inhibited = b.get("mcountinhibit").bit(bit)
        b.set(offset, value - inhibited.select(b.const(0, 64), after))

    return Access(read, write)


def before_poke(b: Builder, number: Value) -> None:
    """`csr_poke` takes the count one back; the half of a counter that stays must not see that."""
    if b.xlen == 64:
        return
    with b.switch(number) as s:
        for bit, offset, _ in _COUNTERS:
            with s.case(0xB00 + bit, 0xB80 + bit):
                running = ~b.get("mcountinhibit").bit(bit)
                b.set(offset, b.get(offset) + running.zext(64))


def _user(access: Access) -> Access:
    """The read-only user-level view, gated by mcounteren and scounteren."""
    return Access(access.read, guard=_enabled)


def _enabled(b: Builder, number: Value) -> Value:
    n = number & 31
    priv = b.get("priv")
    by_machine = (b.get("mcounteren") >> n).trunc(1)
    by_supervisor = (b.get("scounteren") >> n).trunc(1)
    return priv.eq(3) | (by_machine & (priv.eq(1) | ~on(b, "S") | by_supervisor))


def _write_inhibit(b: Builder, number: Value, value: Value) -> None:
    """Starts and stops counters, keeping their values; the write itself counts as before it."""
    old = b.get("mcountinhibit")
    for bit, offset, count in _COUNTERS:
        after = count(b) + 1
        was, now = old.bit(bit), value.bit(bit)
        change = now.select(after, b.const(0, 64) - after)
        b.set(offset, b.get(offset) + was.eq(now).select(b.const(0, 64), change))
    b.set("mcountinhibit", value & 0xFFFF_FFFD)  # there is no bit for time


def _read_time(b: Builder, number: Value) -> Value:
    ticks = b.call("time_ticks")
    return ticks & _LOW if b.xlen == 32 else ticks


_CYCLE, _INSTRET = (_counter(*c, high=False) for c in _COUNTERS)
_CYCLEH, _INSTRETH = (_counter(*c, high=True) for c in _COUNTERS)
_NONE = _user(zero)

csr(0x320, "mcountinhibit", Access(lambda b, n: b.get("mcountinhibit"), _write_inhibit))
csr(0x323, "mhpmevent{}", zero, count=29)
csr(0xB00, "mcycle", _CYCLE)
csr(0xB02, "minstret", _INSTRET)
csr(0xB03, "mhpmcounter{}", zero, count=29)
csr(0xB80, "mcycleh", _CYCLEH, xlen=32)
csr(0xB82, "minstreth", _INSTRETH, xlen=32)
csr(0xB83, "mhpmcounter{}h", zero, xlen=32, count=29)
csr(0xC00, "cycle", _user(_CYCLE), "Zicntr")
csr(0xC01, "time", Access(_read_time, guard=_enabled), "Zicntr")
csr(0xC02, "instret", _user(_INSTRET), "Zicntr")
csr(0xC03, "hpmcounter{}", _NONE, "Zicntr", count=29)
csr(0xC80, "cycleh", _user(_CYCLEH), "Zicntr", xlen=32)
csr(
    0xC81,
    "timeh",
    Access(lambda b, n: b.call("time_ticks") >> 32, guard=_enabled),
    "Zicntr",
    xlen=32,
)
csr(0xC82, "instreth", _user(_INSTRETH), "Zicntr", xlen=32)
csr(0xC83, "hpmcounter{}h", _NONE, "Zicntr", xlen=32, count=29)
