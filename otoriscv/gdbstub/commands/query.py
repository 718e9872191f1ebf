"""What the two sides can do: qSupported and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.packets import MAX_PACKET

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_FEATURES = (
    f"PacketSize={MAX_PACKET:x}",
    "QStartNoAckMode+",
    "vContSupported+",
    "swbreak+",
    "hwbreak+",
    "error-message+",
    "qXfer:features:read+",
    "qXfer:threads:read+",
    "qXfer:memory-map:read+",
    "qXfer:exec-file:read+",
    "binary-upload+",
    "ConditionalBreakpoints+",
    "BreakpointCommands+",
    "QPassSignals+",
    "QProgramSignals+",
    "QThreadEvents+",
    "QNonStop+",
)


@packet("qSupported", access=Access.NONE, detached=True)
def supported(session: Session, arguments: bytes) -> bytes:
    """``qSupported:feature+;...``: remember what the client can do, and say what we can."""
    offered = arguments.lstrip(b":").decode("ascii", "replace").split(";")
    session.client_features = frozenset(name[:-1] for name in offered if name.endswith("+"))
    return ";".join(_FEATURES).encode()


@packet("QStartNoAckMode", access=Access.NONE, detached=True)
def start_no_ack_mode(session: Session, arguments: bytes) -> bytes:
    """From the next packet on nobody acknowledges."""
    if arguments:
        raise CommandError(INVALID, "QStartNoAckMode takes no arguments")
    session.no_ack = True
    return b"OK"


@packet("qAttached", access=Access.NONE, detached=True)
def attached(session: Session, arguments: bytes) -> bytes:
    """The machine was there before the client, which should detach and not kill when it quits."""
    return b"1"


@packet("vMustReplyEmpty", access=Access.NONE, detached=True)
def must_reply_empty(session: Session, arguments: bytes) -> bytes:
    """How a client learns what "not supported" looks like."""
    return b""


@packet("QPassSignals", "QProgramSignals", "QThreadEvents", access=Access.NONE, detached=True)
def accepted(session: Session, arguments: bytes) -> bytes:
    """A machine has no signals, and its harts neither appear nor vanish: nothing to change."""
    if not arguments.startswith(b":"):
        raise CommandError(INVALID, "an argument is missing")
    return b"OK"


@packet("qSymbol", access=Access.NONE, detached=True)
def symbols(session: Session, arguments: bytes) -> bytes:
    """The client offers to look symbols up: there are none we need."""
    return b"OK"
