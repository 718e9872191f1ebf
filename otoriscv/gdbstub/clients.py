"""Who is connected to a machine: one client owns it, the others watch.

The owner is the first that came and has not detached. It alone runs and changes the machine; the
others read it, at an instruction's boundary while it runs, and are told of its stops when they wait
for one (`continue`). When the owner goes, the next one becomes it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from otoriscv.gdbstub.target import StopEvent, Target

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["Clients"]


class Clients:
    """The clients of one machine."""

    def __init__(self, target: Target) -> None:
        self.target = target
        self.killed = False  # the guest was killed and waits for R, vRun or the next client
        self._sessions: list[Session] = []

    @property
    def owner(self) -> Session | None:
        """The one that may run and change the machine."""
        for session in self._sessions:
            if not session.detached:
                return session
        return None

    def join(self, session: Session) -> None:
        """A client has come, or is back after ``D``: the others were there before it."""
        if session in self._sessions:
            self._sessions.remove(session)
        self._sessions.append(session)

    def leave(self, session: Session) -> None:
        """A client is gone: what it has set up is undone, and another may own the machine now."""
        if session not in self._sessions:
            return
        owned = self.owner is session
        self._sessions.remove(session)
        if owned:
            try:
                session.let_go()
            finally:
                self.pass_on()

    def pass_on(self) -> None:
        """The owner detached or left."""
        owner = self.owner
        if owner is not None:
            _guarded(owner, owner.take_over)

    def put(self, output: bytes) -> None:
        """What the guest prints is for everybody. Called from the machine's thread."""
        for session in tuple(self._sessions):
            session.output.put(output)

    def tell(self, event: StopEvent) -> None:
        """The owner's machine has stopped."""
        if len(self._sessions) > 1:
            for session in self._sessions:
                if session is not self.owner:
                    _guarded(session, partial(session.observe, event))


def _guarded(session: Session, work: Callable[[], None]) -> None:
    """Do it for one client at another's occasion, who does not care whether this one is gone."""
    try:
        work()
    except OSError:  # also TimeoutError: then the machine cannot be its
        session.finished = True
