"""The table of commands: which function answers which packet."""

from __future__ import annotations

import re
from collections.abc import Callable
from enum import Enum
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from otoriscv.gdbstub.errors import INVALID, IO, CommandError

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["Access", "Handler", "allow", "dispatch", "packet"]

Handler = Callable[["Session", bytes], bytes | None]
"""Gets the session and what follows the packet's name; returns the payload of the reply, escaped
where needed, or None when there is no reply now. An empty reply means "not supported"."""


class Access(Enum):
    """What a command does to the machine."""

    NONE = "none"  # nothing, or it sees to that itself
    LOOK = "look"  # reads it: at an instruction's boundary when it runs
    CHANGE = "change"  # writes it, likewise: for its owner only


class _Command(NamedTuple):
    handler: Handler
    access: Access
    detached: bool


_Result = TypeVar("_Result")
_COMMANDS: dict[bytes, _Command] = {}
_LONG_NAME = re.compile(rb"[qQvj][A-Za-z]+\??")


def packet(
    *names: str, access: Access = Access.LOOK, detached: bool = False
) -> Callable[[Handler], Handler]:
    """Register the decorated function for packets of these names.

    Unless it may come when the client is *detached*, a packet is refused then.
    """

    def register(handler: Handler) -> Handler:
        for name in names:
            key = name.encode()
            if key in _COMMANDS:
                raise ValueError(f"two handlers for the packet {name}")
            _COMMANDS[key] = _Command(handler, access, detached)
        return handler

    return register


def dispatch(session: Session, payload: bytes) -> bytes | None:
    """Run the command in *payload*; the reply, empty for one we do not know."""
    name = payload[:1]
    if name in b"qQvj":
        match = _LONG_NAME.match(payload)
        name = match[0] if match is not None else payload
    command = _COMMANDS.get(name)
    if command is None:
        return b""
    if session.detached and not command.detached:
        raise CommandError(INVALID, "the client has detached from the machine")
    arguments = payload[len(name) :]
    if command.access is Access.NONE:
        return command.handler(session, arguments)
    return allow(session, command.access, lambda: command.handler(session, arguments))


def allow(session: Session, access: Access, work: Callable[[], _Result]) -> _Result:
    """Do *work* if the client may, while the machine holds still."""
    if access is Access.CHANGE:
        session.own()
    if access is Access.NONE or not session.target.running:
        return work()
    try:
        with session.target.visit():
            return work()
    except TimeoutError as error:
        raise CommandError(IO, str(error)) from None
