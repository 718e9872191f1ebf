"""How a guest ends: exceptions a device raises out of the access that ended it."""

from __future__ import annotations

__all__ = ["GuestExit", "GuestReset"]


class GuestExit(Exception):
    """The guest ended itself with ``code``; ``reason`` names the door it used."""

    def __init__(self, code: int, reason: str = "exit") -> None:
        super().__init__(f"guest ended with code {code} ({reason})")
        self.code = code
        self.reason = reason


class GuestReset(Exception):
    """The guest asked for a reset of the machine."""
