"""Running: ? c C s S vCont. Signals are accepted and mean nothing to a machine."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import address, hart, hexadecimal, two
from otoriscv.gdbstub.commands.table import packet
from otoriscv.gdbstub.description import PC
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.target import Action, Actions, StepRange

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_VCONT = {b"c": Action.CONTINUE, b"C": Action.CONTINUE, b"s": Action.STEP, b"S": Action.STEP}


@packet("?", needs_machine=False)
def why(session: Session, arguments: bytes) -> bytes:
    """Why is the machine halted?"""
    return b"W00" if session.detached else session.last_stop_reply()


@packet("c")
def resume(session: Session, arguments: bytes) -> bytes | None:
    """``c[address]``."""
    return _legacy(session, Action.CONTINUE, arguments)


@packet("C")
def resume_with_signal(session: Session, arguments: bytes) -> bytes | None:
    """``Csignal[;address]``."""
    return _legacy(session, Action.CONTINUE, _behind_signal(arguments))


@packet("s")
def step(session: Session, arguments: bytes) -> bytes | None:
    """``s[address]``: one instruction of one hart."""
    return _legacy(session, Action.STEP, arguments)


@packet("S")
def step_with_signal(session: Session, arguments: bytes) -> bytes | None:
    """``Ssignal[;address]``."""
    return _legacy(session, Action.STEP, _behind_signal(arguments))


@packet("vCont?")
def resume_actions(session: Session, arguments: bytes) -> bytes:
    """What vCont can do."""
    return b"vCont;c;C;s;S;t;r"


@packet("vCont")
def resume_threads(session: Session, arguments: bytes) -> bytes | None:
    """``vCont;action[:thread];...``: each hart takes the leftmost action that names it."""
    if not arguments.startswith(b";"):
        raise CommandError(INVALID, "an action is missing")
    chosen: dict[int, Action | StepRange | None] = {}
    for text in arguments[1:].split(b";"):
        what, colon, who = text.partition(b":")
        action = _action(session, what)
        only = hart(session, who) if colon else None
        harts = range(session.target.harts) if only is None else (only,)
        for index in harts:
            chosen.setdefault(index, action)
    actions = {index: action for index, action in chosen.items() if action is not None}
    return _run(session, actions)


def _action(session: Session, text: bytes) -> Action | StepRange | None:
    """The action, None for ``t``: what is halted stays so."""
    if text == b"t":
        return None
    if text[:1] == b"r":
        start, end = two(text[1:])
        return StepRange(address(session, start), address(session, end))
    action = _VCONT.get(text[:1])
    if action is None:
        raise CommandError(INVALID, "no such action")
    if text[:1].isupper():
        hexadecimal(text[1:], "signal")
    elif len(text) > 1:
        raise CommandError(INVALID, "no such action")
    return action


def _behind_signal(arguments: bytes) -> bytes:
    signal, _, where = arguments.partition(b";")
    hexadecimal(signal, "signal")
    return where


def _legacy(session: Session, action: Action, where: bytes) -> bytes | None:
    """c and s: the hart of ``Hc``; without one c means all, s the current one."""
    chosen = session.continue_hart
    if where:
        start = address(session, where)
        session.target.write_register(session.hart if chosen is None else chosen, PC, start)
    if chosen is not None:
        return _run(session, {chosen: action})
    if action is Action.STEP:
        return _run(session, {session.hart: action})
    return _run(session, dict.fromkeys(range(session.target.harts), action))


def _run(session: Session, actions: Actions) -> bytes | None:
    if not actions:
        return session.last_stop_reply()
    return session.resume(actions)
