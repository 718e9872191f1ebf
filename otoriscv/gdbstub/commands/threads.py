"""Harts as threads: thread id = hart index + 1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands import arguments as read
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.description import PRIV
from otoriscv.gdbstub.errors import INVALID, NO_THREAD, CommandError

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["hart_name", "hart_state", "live_harts"]

_MODES = {0: "U", 1: "S", 3: "M"}


def hart_name(hart: int) -> str:
    """What a hart is called."""
    return f"Hart {hart}"


def hart_state(session: Session, hart: int) -> str:
    """The privilege mode of a hart, and whether it is running, halted, or waiting in a wfi."""
    target, owner = session.target, session.clients.owner
    running = target.running
    if running and owner is not None and owner.nonstop is not None:
        running = hart in owner.nonstop.going
    mode = target.read_register(hart, PRIV)
    words = [f"{_MODES.get(mode, mode)}-mode", "running" if running else "halted"]
    if target.waiting(hart):
        words.append("wfi")
    return ", ".join(words)


def live_harts(session: Session) -> range:
    """The harts of the guest; none when it has ended, or gdb would take it for alive."""
    return range(0 if session.ended else session.target.harts)


@packet("H", access=Access.NONE)
def select(session: Session, arguments: bytes) -> bytes:
    """``Hg`` chooses the hart of what follows, ``Hc`` that of c and s."""
    hart = read.hart(arguments[1:], session.target.harts)
    if arguments[:1] == b"g":
        if hart is not None:
            session.hart = hart
    elif arguments[:1] == b"c":
        session.continue_hart = hart
    else:
        raise CommandError(INVALID, "H takes g or c")
    return b"OK"


@packet("T", access=Access.NONE)
def alive(session: Session, arguments: bytes) -> bytes:
    """Is this thread there?"""
    if read.hart(arguments, session.target.harts) not in live_harts(session):
        raise CommandError(NO_THREAD, "not a thread")
    return b"OK"


@packet("qC", access=Access.NONE)
def current(session: Session, arguments: bytes) -> bytes:
    """The thread that ``Hg`` and stops chose."""
    return b"QC%x" % (session.hart + 1)


@packet("qfThreadInfo", access=Access.NONE)
def first_threads(session: Session, arguments: bytes) -> bytes:
    """Every thread, in one reply."""
    harts = live_harts(session)
    return b"m" + b",".join(b"%x" % (hart + 1) for hart in harts) if harts else b"l"


@packet("qsThreadInfo", access=Access.NONE)
def more_threads(session: Session, arguments: bytes) -> bytes:
    """The first reply had them all."""
    return b"l"


@packet("qThreadExtraInfo")
def describe(session: Session, arguments: bytes) -> bytes:
    """What ``info threads`` shows."""
    hart = read.hart(arguments.removeprefix(b","), session.target.harts)
    if hart is None:
        raise CommandError(NO_THREAD, "not a thread")
    return f"{hart_name(hart)}: {hart_state(session, hart)}".encode().hex().encode()
