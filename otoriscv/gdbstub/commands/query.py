"""What the two sides can do: qSupported and its like."""

from __future__ import annotations

from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.table import packet
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
)
_LOCAL_FEATURES = ("qXfer:exec-file:read+",)  # for a client that sees our files


@packet("qSupported", needs_machine=False)
def supported(session: Session, arguments: bytes) -> bytes:
    """``qSupported:feature+;...``: remember what the client can do, and say what we can."""
    offered = arguments.lstrip(b":").decode("ascii", "replace").split(";")
    session.client_features = frozenset(name[:-1] for name in offered if name.endswith("+"))
    return ";".join(_FEATURES + (_LOCAL_FEATURES if session.local else ())).encode()


@packet("QStartNoAckMode", needs_machine=False)
def start_no_ack_mode(session: Session, arguments: bytes) -> bytes:
    """From the next packet on nobody acknowledges."""
    if arguments:
        raise CommandError(INVALID, "QStartNoAckMode takes no arguments")
    session.no_ack = True
    return b"OK"


@packet("qAttached", needs_machine=False)
def attached(session: Session, arguments: bytes) -> bytes:
    """The machine was there before the client, which should detach and not kill when it quits."""
    return b"1"


@packet("vMustReplyEmpty", needs_machine=False)
def must_reply_empty(session: Session, arguments: bytes) -> bytes:
    """How a client learns what "not supported" looks like."""
    return b""
