"""Symbols by name, and whatever stands for an address."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping

from otoriscv.board.loaders import SymbolTable

__all__ = ["Address", "Symbols"]

#: An address, or a symbol's name, perhaps with an offset: ``"table+0x10"``.
Address = int | str


class Symbols(Mapping[str, int]):
    """The image's symbols: name to address."""

    def __init__(self, table: Callable[[], SymbolTable]) -> None:
        self._table = table

    def __getitem__(self, name: str) -> int:
        symbol = self._table().get(name)
        if symbol is None:
            near = difflib.get_close_matches(name, list(self), 1)
            more = f"; did you mean {near[0]!r}?" if near else ""
            raise KeyError(f"the image has no symbol {name!r}{more}")
        return symbol.address

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys(symbol.name for symbol in self._table()))

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def describe(self, address: int) -> str:
        """``name+0x12``, ``name``, or the bare address."""
        return self._table().describe(address)

    def size(self, name: str) -> int:
        """How many bytes the object or function has; 0 when the image does not say."""
        symbol = self._table().get(name)
        return 0 if symbol is None else symbol.size

    def resolve(self, where: Address) -> int:
        """The address that *where* stands for; KeyError for an unknown symbol."""
        if isinstance(where, int):
            return where
        if self._table().get(where) is not None:
            return self[where]
        name, plus, offset = where.rpartition("+")
        try:
            return self[name.strip()] + int(offset, 0) if plus else self[where]
        except ValueError:
            return self[where]
