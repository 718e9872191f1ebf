"""Device registers that guests touch often, in micro-ops: the CLINT, the UART's THR and LSR.

They do what devices/clint.py and devices/uart16550.py do, on the same state. Whatever is rare or
odd is left to Python: ``device`` says what to do, and the instruction is executed again when it was
done. An AMO is Python's as a whole.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import (
    DEVICE_AMO,
    DEVICE_DONE,
    DEVICE_STORE,
    HART,
    HART_SIZE,
    HARTS,
    MACHINE,
    UART_RING,
    Exit,
)
from otoriscv.core.routine import routine
from otoriscv.core.slow import DONE, DONE_POLL, LEAVE
from otoriscv.core.uop import Builder, Value

__all__: list[str] = []

_FALLBACK: Final = LEAVE + Exit.FALLBACK
_CLINT_SIZE: Final = 0x1_0000
_MTIMECMP: Final = 0x4000
_MTIME: Final = 0xBFF8
_LOW: Final = 0xFFFF_FFFF
_THR: Final = 0
_LSR: Final = 5
_LSR_ERRORS: Final = 0x1E
_IER_THRI: Final = 2
_LCR_DLAB: Final = 0x80


def _in_clint(b: Builder, address: Value) -> Value:
    base = b.get_m("clint_base")
    return base.ne(0) & (address - base).ltu(_CLINT_SIZE)


def _at_uart(b: Builder, address: Value, register: int) -> Value:
    base = b.get_m("uart_base")
    return base.ne(0) & address.eq(base + register)


@routine(2)
def load_device(b: Builder, address: Value, size: Value) -> None:
    """An aligned load from outside memory."""
    with b.if_(b.get("device").eq(DEVICE_DONE)):
        b.set("device", 0)
        b.set("value", b.get("device_value"))
        b.ret(DONE)
    with b.if_(_in_clint(b, address) & size.geu(4)):
        status = b.call("clint_load", address - b.get_m("clint_base"), size)
        with b.if_(status.ne(_FALLBACK)):
            b.ret(status)
    lsr = b.get_m("uart_lsr")
    quiet = (lsr & _LSR_ERRORS).eq(0)  # reading an error bit clears it
    with b.if_(_at_uart(b, address, _LSR) & quiet):
        b.set("value", lsr)
        b.ret(DONE)
    _ask(b, size)


@routine(3)
def store_device(b: Builder, address: Value, value: Value, size: Value) -> None:
    """An aligned store outside memory."""
    with b.if_(b.get("device").eq(DEVICE_DONE)):
        b.set("device", 0)
        b.ret(DONE)
    with b.if_(_in_clint(b, address) & size.geu(4)):
        status = b.call("clint_store", address - b.get_m("clint_base"), value, size)
        with b.if_(status.ne(_FALLBACK)):
            b.ret(status)
    head = b.get_m("uart_head")
    room = (head - b.get_m("uart_tail")).ltu(UART_RING)
    blocked = (b.get_m("uart_lcr") & _LCR_DLAB) | (b.get_m("uart_ier") & _IER_THRI)
    awaited = (b.get_m("uart_stops", (value >> 6) & 3) >> (value & 63)) & 1
    ready = b.get_m("uart_fast").ne(0) & (blocked | awaited).eq(0) & room
    with b.if_(_at_uart(b, address, _THR) & ready):
        b.astore((head & (UART_RING - 1)) + MACHINE["uart_ring"] * 8, value.trunc(8))
        b.set_m("uart_head", head + 1)
        b.ret(DONE)
    b.set("device_value", value)
    _ask(b, size | DEVICE_STORE)


def _ask(b: Builder, access: Value) -> None:
    """Leave a load or store to Python."""
    amo = b.get("device").eq(DEVICE_AMO)
    b.set("device", amo.select(0, access, 64))
    b.ret(_FALLBACK)


def _slot_of(hart: Value, field: str) -> Value:
    """Arena offset of a slot of another hart, or of this one."""
    return hart * HART_SIZE + (HARTS + 8 * HART[field])


def _half(word: Value, register: Value, size: Value) -> Value:
    """The *size* bytes at *register* of an 8-byte register."""
    return size.eq(8).select(word, (word >> ((register & 4) << 3)) & _LOW)


@routine(2)
def clint_load(b: Builder, register: Value, size: Value) -> None:
    """Load 4 or 8 bytes of the CLINT."""
    with b.if_(register.ltu(_MTIMECMP)):
        hart = register >> 2
        with b.if_(size.eq(8) | hart.geu(b.get_m("nharts"))):
            b.ret(_FALLBACK)
        b.set("value", (b.aload(_slot_of(hart, "mip"), 64) >> 3) & 1)
        b.ret(DONE)
    with b.if_((register & -8).eq(_MTIME)):
        b.set("value", _half(b.call("time_ticks"), register, size))
        b.ret(DONE)
    hart = (register - _MTIMECMP) >> 3
    with b.if_(hart.ltu(b.get_m("nharts"))):
        b.set("value", _half(b.aload(_slot_of(hart, "mtimecmp"), 64), register, size))
        b.ret(DONE)
    b.ret(_FALLBACK)


@routine(3)
def clint_store(b: Builder, register: Value, value: Value, size: Value) -> None:
    """Store 4 or 8 bytes of the CLINT; setting mtime is Python's."""
    with b.if_(register.ltu(_MTIMECMP)):
        hart = register >> 2
        with b.if_(size.eq(8) | hart.geu(b.get_m("nharts"))):
            b.ret(_FALLBACK)
        mip = b.aload(_slot_of(hart, "mip"), 64)
        b.astore(_slot_of(hart, "mip"), (mip & ~8) | ((value & 1) << 3))
        b.ret(DONE_POLL)
    hart = (register - _MTIMECMP) >> 3
    with b.if_(hart.geu(b.get_m("nharts"))):
        b.ret(_FALLBACK)
    old = b.aload(_slot_of(hart, "mtimecmp"), 64)
    shift = (register & 4) << 3
    merged = (old & ~(b.const(_LOW, 64) << shift)) | ((value & _LOW) << shift)
    deadline = size.eq(8).select(value, merged)
    b.astore(_slot_of(hart, "mtimecmp"), deadline)
    b.set_m("retime", 1)
    due = b.call("time_ticks").geu(deadline)
    mip = b.aload(_slot_of(hart, "mip"), 64)
    b.astore(_slot_of(hart, "mip"), (mip & ~0x80) | due.select(0x80, 0, 64))
    b.ret(DONE_POLL)
