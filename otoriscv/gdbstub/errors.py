"""What a command answers when it cannot do what was asked."""

from __future__ import annotations

from otoriscv.gdbstub.packets import escape

__all__ = ["DENIED", "FAULT", "INVALID", "IO", "NO_THREAD", "UNSUPPORTED", "CommandError"]

DENIED = 0x0D  # only the client that owns the machine may do it
INVALID = 0x01  # the packet is malformed
NO_THREAD = 0x03  # there is no such hart
IO = 0x05  # the machine failed to do it
FAULT = 0x0E  # there is no such memory
UNSUPPORTED = 0x5F  # understood, and impossible here


class CommandError(Exception):
    """Raised by a command; becomes ``Exx``, or ``E.message`` for a client that asked for texts."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    def reply(self, with_text: bool) -> bytes:
        """The reply packet's payload."""
        if with_text:
            return b"E." + escape(self.message.encode("ascii", "replace"))
        return b"E%02x" % self.code
