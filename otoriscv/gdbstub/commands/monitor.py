"""``monitor`` commands (qRcmd), one function each."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

from otoriscv.gdbstub.commands.arguments import hexbytes
from otoriscv.gdbstub.commands.table import Access, allow, packet
from otoriscv.gdbstub.errors import INVALID, CommandError

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["monitor"]

MonitorHandler = Callable[["Session", list[str]], str]
"""Gets the session and the words behind the name; returns the text to show."""


_STALE = "`maint flush register-cache` and `maint flush dcache` make gdb look again."


class _Monitor(NamedTuple):
    handler: MonitorHandler
    usage: str
    summary: str
    access: Access


_MONITORS: dict[str, _Monitor] = {}


def monitor(usage: str, access: Access = Access.LOOK) -> Callable[[MonitorHandler], MonitorHandler]:
    """Register the decorated function; the first word of *usage* is the command's name.

    The docstring's first line is what ``monitor help`` shows. Any command with an argument that
    changes something asks `Session.own`.
    """

    def register(handler: MonitorHandler) -> MonitorHandler:
        summary = (handler.__doc__ or "").strip().partition("\n")[0]
        _MONITORS[usage.partition(" ")[0]] = _Monitor(handler, usage, summary, access)
        return handler

    return register


@packet("qRcmd", access=Access.NONE)
def remote_command(session: Session, arguments: bytes) -> bytes:
    """``qRcmd,hexadecimal text``: the answer comes as console output."""
    if not arguments.startswith(b","):
        raise CommandError(INVALID, "the command is missing")
    words = hexbytes(arguments[1:]).decode("utf-8", "replace").split()
    session.flush_output()
    session.console(_answer(session, words).encode())
    return b"OK"


def _answer(session: Session, words: list[str]) -> str:
    name = words[0] if words else "help"
    command = _MONITORS.get(name)
    if command is None:
        return f"There is no monitor command {name!r}; see `monitor help`.\n"
    text = allow(session, command.access, lambda: command.handler(session, words[1:]))
    return text if not text or text.endswith("\n") else text + "\n"


@monitor("help")
def _help(session: Session, words: list[str]) -> str:
    """Show this list."""
    width = max(len(command.usage) for command in _MONITORS.values())
    rows = [f"  {c.usage:{width}}  {c.summary}" for c in _MONITORS.values()]
    return "Monitor commands:\n" + "\n".join(rows)


@monitor("reset [halt]", Access.NONE)
def _reset(session: Session, words: list[str]) -> str:
    """Reset the machine and load its image again; it stays halted."""
    if words not in ([], ["halt"]):
        return "Usage: monitor reset [halt]"
    session.own()
    session.restart()
    return f"The machine is at its reset vector. {_STALE}"


@monitor("save FILE")
def _save(session: Session, words: list[str]) -> str:
    """Write the machine's state to a file (of the server's)."""
    return _with_file(session.target.save, "save", words) or f"Saved to {words[0]}."


@monitor("restore FILE", Access.NONE)
def _restore(session: Session, words: list[str]) -> str:
    """Go back to a state that `save`, or otoriscv --save, has written."""
    session.own()
    if session.target.running:
        return "The machine runs: interrupt every hart before."
    failure = _with_file(session.target.restore, "restore", words)
    if failure is not None:
        return failure
    session.hart = session.target.last_stop.hart
    session.clients.killed = False
    return f"The machine is as {words[0]} says. {_STALE}"


def _with_file(work: Callable[[str], None], name: str, words: list[str]) -> str | None:
    """What went wrong, None for nothing."""
    if len(words) != 1:
        return f"Usage: monitor {name} FILE"
    try:
        work(words[0])
    except ValueError as error:
        return f"{words[0]}: {error}."
    return None


@monitor("console", Access.NONE)
def _console(session: Session, words: list[str]) -> str:
    """Show what the guest has printed, as any monitor command does: for non-stop mode."""
    return ""


@monitor("info TOPIC [ADDRESS]")
def _info(session: Session, words: list[str]) -> str:
    """Show the state of a part of the machine."""
    topic = " ".join(words)
    try:
        return session.target.info(session.hart, topic)
    except KeyError as error:
        known = f" ({error.args[0]})" if error.args and error.args[0] != topic else ""
        return f"There is nothing to show about {topic!r}{known}."
    except ValueError as error:
        return f"Not understood: {error}."


@monitor("log on [KIND,...]|off")
def _log(session: Session, words: list[str]) -> str:
    """Log instructions and traps (or exec,trap,mmio,unmapped,csr), or stop that."""
    return _setting(session, "log", words)


@monitor("quantum [STEPS]")
def _quantum(session: Session, words: list[str]) -> str:
    """How many instructions a hart runs before it is another's turn."""
    return _setting(session, "quantum", words)


@monitor("clock")
def _clock(session: Session, words: list[str]) -> str:
    """The guest's time."""
    return _setting(session, "clock", words)


@monitor("step-irq [on|off]")
def _step_irq(session: Session, words: list[str]) -> str:
    """Whether a step that takes an interrupt ends in its handler."""
    return _setting(session, "step-irq", words)


@monitor("physical [on|off]")
def _physical(session: Session, words: list[str]) -> str:
    """Whether memory is at physical addresses, not at those of the hart's page tables."""
    return _setting(session, "physical", words)


def _setting(session: Session, name: str, words: list[str]) -> str:
    if words:
        session.own()
    try:
        return session.target.setting(name, words)
    except KeyError:
        return f"This machine has no setting {name!r}."
    except ValueError as error:
        return f"Not understood: {error}."
