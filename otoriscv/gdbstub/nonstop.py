"""Non-stop mode: each hart is resumed and stopped by itself, and stops are notifications.

``%Stop:reply`` announces the first stop; the client fetches those behind it with ``vStopped``, and
nothing is announced until it has had them all. The machine runs whichever harts are wanted; to
change which, it is held for a moment.

No notification carries what the guest prints, and `O` packets are not permitted in this mode (they
would be taken for the answer to what the client asks just then), except in the answer to qRcmd. So
output waits for the client's next ``monitor`` command, of which ``monitor console`` does only that.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import TYPE_CHECKING

from otoriscv.gdbstub.stopreply import stop_reply
from otoriscv.gdbstub.target import Action, StepRange, StopEvent, StopKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["NonStop"]


class NonStop:
    """Which harts of one client's machine run, and which stops it has not heard of."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._stops: deque[bytes] = deque()
        self._announced = False  # the client was told of the first of them
        self._asked = False  # and asked for it
        self._resumed = False  # and its stop not looked at
        self.going: set[int] = set()  # the harts that run
        self._span: tuple[int, StepRange] | None = None  # the one of them that leaves a range

    # What the client asks for.

    def resume(self, actions: Mapping[int, Action | StepRange | None]) -> bytes:
        """Continue, step or (None) stop harts; those that do that already are left alone."""
        self._hold()
        for hart, action in actions.items():
            if action is None and hart in self.going:
                self._halted(hart)
                self._add(StopEvent(StopKind.INTERRUPT, hart), asked=True)
            elif action is None or hart in self.going:
                pass
            elif action is Action.CONTINUE:
                self.going.add(hart)
            elif self._span is None and (
                isinstance(action, StepRange) or self._session.target.long_steps
            ):
                self.going.add(hart)
                # a step is the way out of a range that nothing is in
                self._span = hart, action if isinstance(action, StepRange) else StepRange(0, 0)
            else:
                # The target leaves one range at a time; another's may be reported step by step.
                self._session.breakpoints.install_watchpoints()
                self._stopped(self._session.target.step(hart))
        self._go()
        return b"OK"

    def interrupt(self) -> None:
        """^C: one of the running harts stops, as if a signal had come."""
        if self.going:
            self._hold()
            if self.going:
                hart = min(self.going)
                self._halted(hart)
                self._add(StopEvent(StopKind.INTERRUPT, hart))
            self._go()

    def why(self) -> bytes:
        """``?``: one halted hart. The others are announced as if they stopped just now.

        ``vStopped`` could fetch them here, too, but gdb 13.1 dies of two stops in this place.
        """
        session = self._session
        self._stops.clear()
        if session.ended:
            return session.last_stop_reply()
        for hart in range(session.target.harts):
            if hart not in self.going:
                reply = stop_reply(session, StopEvent(StopKind.INTERRUPT, hart))
                self._stops.append(b"T00" + reply[3:])
        self._announced = self._asked = bool(self._stops)
        return self._stops[0] if self._stops else b"OK"

    def next_stop(self) -> bytes:
        """``vStopped``: the client has the stop that it was told of last."""
        if self._stops:
            self._stops.popleft()
        asked, self._asked = self._asked, False
        if self._stops and not asked:
            return self._stops[0]
        self._announced = False
        return b"OK"

    # What the machine does.

    def poll(self) -> None:
        """Notice a stop; the other harts go on."""
        if self._resumed:
            event = self._session.wait(0)
            if event is not None:
                self._resumed = False
                self._stopped(event)
                self._go()

    def announce(self) -> None:
        """Tell the client of the first stop, when it waits for none."""
        if self._stops and not self._announced:
            self._announced = True
            self._session.notify(b"Stop:" + self._stops[0])

    def _hold(self) -> None:
        """Halt the machine without anybody noticing; a stop that comes first counts."""
        if self._resumed:
            self._resumed = False
            event = self._session.pause()
            if event is not None and event.kind is not StopKind.INTERRUPT:
                self._stopped(event)

    def _go(self) -> None:
        if self.going:
            self._session.breakpoints.install()
            actions: dict[int, Action | StepRange] = dict.fromkeys(
                sorted(self.going), Action.CONTINUE
            )
            if self._span is not None:
                actions[self._span[0]] = self._span[1]
            event = self._session.target.resume(actions)
            self._resumed = event is None
            if event is not None:
                self._stopped(event)
                self._go()

    def _stopped(self, event: StopEvent) -> None:
        if event.kind is StopKind.EXIT:
            self.going.clear()
            self._stops.clear()
        self._halted(event.hart)
        self._add(event)

    def _halted(self, hart: int) -> None:
        self.going.discard(hart)
        if self._span is not None and self._span[0] == hart:
            self._span = None

    def _add(self, event: StopEvent, *, asked: bool = False) -> None:
        self._stops.append(self._session.stopped(event, asked=asked))
