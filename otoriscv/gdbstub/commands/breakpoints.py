"""Breakpoints and watchpoints: Z0-Z4 insert, z0-z4 remove. They take effect at the next resume."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING

from otoriscv.core.agent import NotCompiled, translate, translate_command
from otoriscv.core.agent_code import AgentError
from otoriscv.gdbstub.breakpoints import Programs, Watchpoint
from otoriscv.gdbstub.commands.arguments import address, hexadecimal, hexbytes
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.target import WatchKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_EXPRESSION = re.compile(rb"X([0-9a-fA-F]{1,8}),([0-9a-fA-F]*)")
_WATCH = {b"2": WatchKind.WRITE, b"3": WatchKind.READ, b"4": WatchKind.ACCESS}


@packet("Z", access=Access.CHANGE)
def insert(session: Session, arguments: bytes) -> bytes:
    """``Ztype,address,kind[;X...][;cmds:persist,X...]``; a watchpoint's kind is its length.

    Behind it come conditions and commands in agent bytecode, ``Xlength,hexadecimal`` each.
    """
    return _edit(session, arguments, wanted=True)


@packet("z", access=Access.CHANGE)
def remove(session: Session, arguments: bytes) -> bytes:
    """``ztype,address,kind``; removing what is not there is fine."""
    return _edit(session, arguments, wanted=False)


def _edit(session: Session, arguments: bytes, *, wanted: bool) -> bytes:
    place, _, programs = arguments.partition(b";")
    parts = place.split(b",")
    if len(parts) != 3:
        raise CommandError(INVALID, "type, address and kind are needed")
    kind, where, length_text = parts
    table = session.breakpoints
    if kind in _WATCH:
        start, length = address(where, session.mask), hexadecimal(length_text, "length")
        if length == 0 or start + length > session.mask + 1:
            raise CommandError(INVALID, "not a range of memory")
        watch = Watchpoint(_WATCH[kind], start, length)
        (table.watchpoints.add if wanted else table.watchpoints.discard)(watch)
    elif kind in (b"0", b"1"):
        hexadecimal(length_text, "kind")
        places = table.software if kind == b"0" else table.hardware
        start = address(where, session.mask)
        if wanted:
            places[start] = _programs(programs, session.target.xlen)
        else:
            places.pop(start, None)
    else:
        return b""
    if session.target.running:
        table.install()  # non-stop mode: there may be no resume for long
    return b"OK"


@lru_cache(256)  # gdb sends the same at every stop
def _programs(text: bytes, xlen: int) -> Programs:
    """Conditions and commands; malformed bytecode is refused here and now."""
    conditions, _, commands = text.partition(b"cmds:")
    if commands:
        _, _, commands = commands.partition(b",")  # whether they outlive the connection: no
    return Programs(
        _expressions(conditions, lambda data: translate(data, xlen)),
        _expressions(commands, lambda data: _check_command(data, xlen)),
    )


def _check_command(data: bytes, xlen: int) -> None:
    """`AgentError` for what no engine can run, such as one about a register that is not there."""
    with contextlib.suppress(NotCompiled):
        translate_command(data, xlen, 0, 0)


def _expressions(text: bytes, check: Callable[[bytes], object]) -> tuple[bytes, ...]:
    found: list[bytes] = []
    at = 0
    text = text.strip(b";")
    while at < len(text):
        match = _EXPRESSION.match(text, at)
        if match is None:
            raise CommandError(INVALID, "bad expression")
        size = int(match[1], 16)
        data = hexbytes(match[2][: 2 * size])
        if len(data) != size:
            raise CommandError(INVALID, "the expression is cut off")
        try:
            check(data)
        except AgentError as error:
            raise CommandError(INVALID, str(error)) from None
        found.append(data)
        at = match.start(2) + 2 * size
        at += text[at : at + 1] == b";"
    return tuple(found)
