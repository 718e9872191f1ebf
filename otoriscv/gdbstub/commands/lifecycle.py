"""Beginning and end: ! R k D vRun vAttach vKill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.target import Action, StopEvent, StopKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []


@packet("!", access=Access.NONE, detached=True)
def extended(session: Session, arguments: bytes) -> bytes:
    """``target extended-remote``: the connection outlives the guest."""
    session.extended = True
    return b"OK"


@packet("R", access=Access.NONE, detached=True)
def restart(session: Session, arguments: bytes) -> None:
    """Restart the guest; the protocol has no reply here."""
    _restart(session)


@packet("vRun", access=Access.NONE, detached=True)
def run(session: Session, arguments: bytes) -> bytes:
    """Restart the guest. The machine knows its image: a file name and arguments are ignored."""
    _restart(session)
    return session.last_stop_reply()


@packet("vAttach", access=Access.NONE, detached=True)
def attach(session: Session, arguments: bytes) -> bytes:
    """Take the machine back after ``D``."""
    session.enter()
    return session.last_stop_reply()


@packet("k", access=Access.NONE, detached=True)
def kill(session: Session, arguments: bytes) -> None:
    """End the guest, and the session unless it is an extended one. There is no reply."""
    _kill(session)
    session.finished = not session.extended


@packet("vKill", access=Access.NONE, detached=True)
def kill_process(session: Session, arguments: bytes) -> bytes:
    """Likewise; the client waits for the reply and may then use vRun."""
    _kill(session)
    return b"OK"


@packet("D", access=Access.NONE, detached=True)
def detach(session: Session, arguments: bytes) -> bytes:
    """Let the guest run without this debugger."""
    owned = session.owns
    if owned:
        session.halt()
        session.detach()
        if not session.ended:
            target = session.target
            target.resume(dict.fromkeys(range(target.harts), Action.CONTINUE))
    session.detached = True
    if owned:
        session.clients.pass_on()
    session.finished = not session.extended
    return b"OK"


def _restart(session: Session) -> None:
    if session.detached:
        session.enter()
    session.own()
    session.restart()


def _kill(session: Session) -> None:
    """One who only watches leaves the guest alone."""
    if session.owns:
        session.halt()
        session.clients.killed = True
        session.target.kill()
        session.clients.tell(StopEvent(StopKind.EXIT))
