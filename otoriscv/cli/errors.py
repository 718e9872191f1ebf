"""How commands fail: exit codes and the exception that carries a message to the user."""

from __future__ import annotations

from typing import Final

__all__ = [
    "FAILED",
    "INTERNAL",
    "INTERRUPTED",
    "LIMIT",
    "OK",
    "PIPE",
    "TERMINATED",
    "USAGE",
    "UsageError",
]

OK: Final = 0
FAILED: Final = 1  # an expectation was not met, the guest crashed or cannot go on
USAGE: Final = 2
LIMIT: Final = 124  # a time or instruction limit
INTERNAL: Final = 125
INTERRUPTED: Final = 130
PIPE: Final = 141
TERMINATED: Final = 143


class UsageError(Exception):
    """Something the user can put right; the message says what and how."""
