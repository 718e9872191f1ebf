"""Stop replies: why the machine is halted, in the words of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.description import FP, PC, SP
from otoriscv.gdbstub.target import StopEvent, StopKind, WatchKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["SIGINT", "SIGSEGV", "SIGTRAP", "stop_reply"]

SIGINT, SIGTRAP, SIGSEGV = 2, 5, 11

_SIGNALS = {StopKind.INTERRUPT: SIGINT, StopKind.CRASH: SIGSEGV}
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
    if with_reason:
        parts.append(_reason(session, event))
    if session.list_threads:
        parts.append(_threads(session))
    parts.extend(_expedited(session, event.hart))
    return b"".join(parts)


def _reason(session: Session, event: StopEvent) -> bytes:
    breakpoints = session.breakpoints
    if event.kind is StopKind.WATCH:
        hit = breakpoints.watch_hit(event)
        if hit is not None and hit not in breakpoints.watchpoints:
            return b""  # of `monitor watch`: gdb goes on when a watchpoint is not its own
        kind = hit.kind if hit is not None else event.watch or WatchKind.ACCESS
        address = max(event.address, hit.address) if hit is not None else event.address
        return b"%s:%x;" % (_WATCH_NAMES[kind], address)
    if event.kind is StopKind.BREAKPOINT:
        pc = session.target.read_register(event.hart, PC)
        if pc in breakpoints.hardware and pc not in breakpoints.software:
            return b"hwbreak:;" if "hwbreak" in session.client_features else b""
        return b"swbreak:;" if "swbreak" in session.client_features else b""
    return b""


def _threads(session: Session) -> bytes:
    """Every thread and its pc."""
    harts = range(session.target.harts)
    ids = ",".join(f"{hart + 1:x}" for hart in harts)
    pcs = ",".join(f"{session.target.read_register(hart, PC):x}" for hart in harts)
    return f"threads:{ids};thread-pcs:{pcs};".encode()


def _expedited(session: Session, hart: int) -> list[bytes]:
    """The registers every client asks for next."""
    size = session.target.xlen // 8
    read = session.target.read_register
    return [
        b"%x:%s;" % (number, read(hart, number).to_bytes(size, "little").hex().encode())
        for number in (SP, FP, PC)
    ]
