"""An assembled program. `otoriscv.core.encode` makes them."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["Program"]


class Program(NamedTuple):
    """What `assemble` makes: bytes from ``base`` on, and the addresses of its labels."""

    base: int
    code: bytes
    symbols: dict[str, int]
