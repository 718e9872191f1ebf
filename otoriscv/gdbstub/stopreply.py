"""Stop replies: why the machine is halted, in the words of the protocol."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import Callable
from operator import itemgetter
from typing import TYPE_CHECKING

from otoriscv.gdbstub.description import EXPEDITED, PC
from otoriscv.gdbstub.target import StopEvent, StopKind, WatchKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["SIGINT", "SIGSEGV", "SIGTRAP", "stop_reply"]

SIGINT, SIGTRAP, SIGSEGV = 2, 5, 11

_SIGNALS = {StopKind.INTERRUPT: SIGINT, StopKind.CRASH: SIGSEGV}
_TEMPLATE = b"".join(b"%x:%%b;" % number for number in EXPEDITED)
#: What picks these registers from the digits of all, by how many digits that are.
_PICK: dict[int, Callable[[bytes], tuple[bytes, ...]]] = {
    (PC + 1) * digits: itemgetter(*(slice(n * digits, (n + 1) * digits) for n in EXPEDITED))
    for digits in (8, 16)
}
_WATCH_NAMES = {
    WatchKind.WRITE: b"watch",
    WatchKind.READ: b"rwatch",
    WatchKind.ACCESS: b"awatch",
}


def stop_reply(session: Session, event: StopEvent, *, with_reason: bool = True) -> bytes:
    """The payload for *event*; ``?`` asks for it without the reason."""
    if event.kind is StopKind.EXIT:
        return b"W%02x" % (event.code & 0xFF)
    signal = _SIGNALS.get(event.kind, SIGTRAP)
    if event.kind is StopKind.INTERRUPT and not with_reason:
        signal = SIGTRAP  # a client that attaches did not ask for an interrupt
    parts = [b"T%02xthread:%x;core:%x;" % (signal, event.hart + 1, event.hart)]
    if with_reason and event.kind is not StopKind.STEP:
        parts.append(_reason(session, event))
    if session.list_threads:
        parts.append(_threads(session))
    parts.append(_expedited(session, event.hart))
    return b"".join(parts)


def _reason(session: Session, event: StopEvent) -> bytes:
    """Why, if it is the client's own doing: gdb goes on at a point that is not its own."""
    breakpoints = session.breakpoints
    if event.kind is StopKind.WATCH:
        hit = breakpoints.watch_hit(event)
        if hit is None or hit not in breakpoints.watchpoints:
            return b""  # of `monitor watch`, or another's
        return b"%s:%x;" % (_WATCH_NAMES[hit.kind], max(event.address, hit.address))
    if event.kind is StopKind.BREAKPOINT:
        pc = session.target.read_register(event.hart, PC)
        if pc in breakpoints.software:
            return b"swbreak:;" if "swbreak" in session.client_features else b""
        if pc in breakpoints.hardware:
            return b"hwbreak:;" if "hwbreak" in session.client_features else b""
    return b""


def _threads(session: Session) -> bytes:
    """Every thread and its pc."""
    harts = range(session.target.harts)
    ids = ",".join(f"{hart + 1:x}" for hart in harts)
    pcs = ",".join(f"{session.target.read_register(hart, PC):x}" for hart in harts)
    return f"threads:{ids};thread-pcs:{pcs};".encode()


def _expedited(session: Session, hart: int) -> bytes:
    """The registers every client asks for next."""
    digits = hexlify(session.target.general_registers(hart))
    return _TEMPLATE % _PICK[len(digits)](digits)
