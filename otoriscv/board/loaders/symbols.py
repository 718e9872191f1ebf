"""Symbols of an image, read when first asked for."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

__all__ = ["Symbol", "SymbolTable"]


class Symbol(NamedTuple):
    """A named address; *function* tells code from data, *is_global* breaks ties."""

    name: str
    address: int
    size: int
    function: bool
    is_global: bool


class SymbolTable:
    """Name to symbol and address to symbol. *read* is called once, at the first question."""

    def __init__(self, read: Callable[[], Iterable[Symbol]] | None = None) -> None:
        self._read = read
        self._names: dict[str, Symbol] = {}
        self._ordered: list[Symbol] = []
        self._addresses: list[int] = []

    def get(self, name: str) -> Symbol | None:
        """The symbol called *name*: the global one when several are."""
        self._fill()
        return self._names.get(name)

    def at(self, address: int) -> tuple[Symbol, int] | None:
        """The symbol that holds *address* and the offset in it.

        A symbol without a size reaches to the next one.
        """
        self._fill()
        index = bisect_right(self._addresses, address) - 1
        if index < 0:
            return None
        symbol = self._ordered[index]
        offset = address - symbol.address
        return (symbol, offset) if not symbol.size or offset < symbol.size else None

    def describe(self, address: int) -> str:
        """``name+0x12``, ``name``, or the bare address."""
        found = self.at(address)
        if found is None:
            return f"{address:#x}"
        symbol, offset = found
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def __iter__(self) -> Iterator[Symbol]:
        """All named symbols, by address."""
        self._fill()
        return iter(self._ordered)

    def __len__(self) -> int:
        self._fill()
        return len(self._ordered)

    def _fill(self) -> None:
        if self._read is None:
            return
        read, self._read = self._read, None
        symbols = list(read())
        for symbol in symbols:
            known = self._names.get(symbol.name)
            if known is None or symbol.is_global > known.is_global:
                self._names[symbol.name] = symbol
        # Of several at one address the last is found: prefer sized global functions.
        symbols.sort(key=lambda s: (s.address, s.size != 0, s.function, s.is_global))
        self._ordered = symbols
        self._addresses = [s.address for s in symbols]
