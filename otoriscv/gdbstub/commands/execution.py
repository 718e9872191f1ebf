"""Running: ? c C s S vCont, and QNonStop vStopped vCtrlC.

Signals are accepted and mean nothing to a machine.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import address, hart, hexadecimal, two
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.description import PC
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.target import Action, StepRange

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_VCONT = {b"c": Action.CONTINUE, b"C": Action.CONTINUE, b"s": Action.STEP, b"S": Action.STEP}


@packet("?", detached=True)
def why(session: Session, arguments: bytes) -> bytes:
    """Why is the machine halted?"""
    if session.detached:
        return b"W00"
    return session.nonstop.why() if session.nonstop is not None else session.last_stop_reply()


@packet("c", access=Access.NONE)
def resume(session: Session, arguments: bytes) -> bytes | None:
    """``c[address]``."""
    return _legacy(session, Action.CONTINUE, arguments)


@packet("C", access=Access.NONE)
def resume_with_signal(session: Session, arguments: bytes) -> bytes | None:
    """``Csignal[;address]``."""
    return _legacy(session, Action.CONTINUE, _behind_signal(arguments))


@packet("s", access=Access.NONE)
def step(session: Session, arguments: bytes) -> bytes | None:
    """``s[address]``: one instruction of one hart."""
    return _legacy(session, Action.STEP, arguments)


@packet("S", access=Access.NONE)
def step_with_signal(session: Session, arguments: bytes) -> bytes | None:
    """``Ssignal[;address]``."""
    return _legacy(session, Action.STEP, _behind_signal(arguments))


@packet("QNonStop", access=Access.NONE)
def nonstop(session: Session, arguments: bytes) -> bytes:
    """``QNonStop:1``: harts run and stop one by one; ``QNonStop:0``: all together."""
    if arguments not in (b":0", b":1"):
        raise CommandError(INVALID, "QNonStop takes 0 or 1")
    session.set_nonstop(arguments == b":1")
    return b"OK"


@packet("vStopped", access=Access.NONE)
def next_stop(session: Session, arguments: bytes) -> bytes:
    """The client has taken a stop of non-stop mode; is there another?"""
    if session.nonstop is None:
        raise CommandError(INVALID, "there are no notifications without QNonStop:1")
    return session.nonstop.next_stop()


@packet("vCtrlC", access=Access.NONE)
def interrupt(session: Session, arguments: bytes) -> bytes:
    """^C in non-stop mode."""
    session.interrupt()
    return b"OK"


@packet("vCont?", access=Access.NONE)
def resume_actions(session: Session, arguments: bytes) -> bytes:
    """What vCont can do."""
    return b"vCont;c;C;s;S;t;r"


@packet("vCont", access=Access.NONE)
def resume_threads(session: Session, arguments: bytes) -> bytes | None:
    """``vCont;action[:thread];...``: each hart takes the leftmost action that names it."""
    return session.resume(_actions(arguments, session.target.harts, session.mask))


@lru_cache(64)  # stepping says the same thing over and over
def _actions(arguments: bytes, harts: int, mask: int) -> Mapping[int, Action | StepRange | None]:
    if not arguments.startswith(b";"):
        raise CommandError(INVALID, "an action is missing")
    chosen: dict[int, Action | StepRange | None] = {}
    for text in arguments[1:].split(b";"):
        what, colon, who = text.partition(b":")
        action = _action(what, mask)
        only = hart(who, harts) if colon else None
        for index in range(harts) if only is None else (only,):
            chosen.setdefault(index, action)
    return chosen


def _action(text: bytes, mask: int) -> Action | StepRange | None:
    """The action, None for ``t``: what is halted stays so."""
    if text == b"t":
        return None
    if text[:1] == b"r":
        start, end = two(text[1:])
        return StepRange(address(start, mask), address(end, mask))
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
        start = address(where, session.mask)
        session.own()
        session.target.write_register(session.hart if chosen is None else chosen, PC, start)
    if chosen is not None:
        return session.resume({chosen: action})
    if action is Action.STEP:
        return session.resume({session.hart: action})
    return session.resume(dict.fromkeys(range(session.target.harts), action))
