"""Beginning and end: ! R k D vRun vAttach vKill."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.table import packet
from otoriscv.gdbstub.target import Action

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []


@packet("!", needs_machine=False)
def extended(session: Session, arguments: bytes) -> bytes:
    """``target extended-remote``: the connection outlives the guest."""
    session.extended = True
    return b"OK"


@packet("R", needs_machine=False)
def restart(session: Session, arguments: bytes) -> None:
    """Restart the guest; the protocol has no reply here."""
    session.restart()


@packet("vRun", needs_machine=False)
def run(session: Session, arguments: bytes) -> bytes:
    """Restart the guest. The machine knows its image: a file name and arguments are ignored."""
    session.restart()
    return session.last_stop_reply()


@packet("vAttach", needs_machine=False)
def attach(session: Session, arguments: bytes) -> bytes:
    """Take the machine back after ``D``."""
    session.enter()
    return session.last_stop_reply()


@packet("k", needs_machine=False)
def kill(session: Session, arguments: bytes) -> None:
    """End the guest, and the session unless it is an extended one. There is no reply."""
    _kill(session)
    session.finished = not session.extended


@packet("vKill", needs_machine=False)
def kill_process(session: Session, arguments: bytes) -> bytes:
    """Likewise; the client waits for the reply and may then use vRun."""
    _kill(session)
    return b"OK"


@packet("D", needs_machine=False)
def detach(session: Session, arguments: bytes) -> bytes:
    """Let the guest run without a debugger."""
    session.halt()
    ended = session.ended
    session.detach()
    session.detached = True
    if not ended:
        target = session.target
        target.resume(dict.fromkeys(range(target.harts), Action.CONTINUE))
    session.finished = not session.extended
    return b"OK"


def _kill(session: Session) -> None:
    session.halt()
    session.killed = True
    session.target.kill()
