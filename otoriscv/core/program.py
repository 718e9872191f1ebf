"""An assembled program. `otoriscv.core.encode` makes them."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Program"]


@dataclass(frozen=True, slots=True)
class Program:
    """What `assemble` makes: bytes from ``base`` on, and the addresses of its labels."""

    base: int
    code: bytes
    symbols: dict[str, int]
