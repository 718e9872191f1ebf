"""Where random numbers for the guest come from."""

from __future__ import annotations

import hashlib
import os

from otoriscv.devices.state import Stateful

__all__ = ["Entropy"]


class Entropy(Stateful):
    """The host's random numbers; *repeatable*: the same ones in every run, no secret to anybody.

    *name* keeps several repeatable sources apart.
    """

    STATE = ("_drawn",)

    def __init__(self, name: str, *, repeatable: bool) -> None:
        self._name = name.encode()
        self._repeatable = repeatable
        self._drawn = 0  # blocks

    def reset(self) -> None:
        """From the beginning."""
        self._drawn = 0

    def take(self, count: int) -> bytes:
        """*count* random bytes."""
        if not self._repeatable:
            return os.urandom(count)
        out = bytearray()
        while len(out) < count:
            out += hashlib.blake2b(self._drawn.to_bytes(8, "little"), key=self._name).digest()
            self._drawn += 1
        return bytes(out[:count])
