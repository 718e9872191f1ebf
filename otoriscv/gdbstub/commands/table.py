"""The table of commands: which function answers which packet."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from otoriscv.gdbstub.errors import INVALID, CommandError

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["Handler", "dispatch", "packet"]

Handler = Callable[["Session", bytes], bytes | None]
"""Gets the session and what follows the packet's name; returns the payload of the reply, escaped
where needed, or None when there is no reply now. An empty reply means "not supported"."""


class _Command(NamedTuple):
    handler: Handler
    needs_machine: bool


_COMMANDS: dict[bytes, _Command] = {}
_LONG_NAME = re.compile(rb"[qQvj][A-Za-z]+\??")


def packet(*names: str, needs_machine: bool = True) -> Callable[[Handler], Handler]:
    """Register the decorated function for packets of these names.

    A packet that *needs_machine* is refused after the client detached.
    """

    def register(handler: Handler) -> Handler:
        for name in names:
            key = name.encode()
            if key in _COMMANDS:
                raise ValueError(f"two handlers for the packet {name}")
            _COMMANDS[key] = _Command(handler, needs_machine)
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
    if session.detached and command.needs_machine:
        raise CommandError(INVALID, "the client has detached from the machine")
    return command.handler(session, payload[len(name) :])
