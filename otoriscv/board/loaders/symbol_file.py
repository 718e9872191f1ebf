"""Symbols from a file of their own: an ELF with debugging information, or nm's output."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

from otoriscv.board.loaders.elf import ELF_MAGIC, load_elf
from otoriscv.board.loaders.image import ImageError
from otoriscv.board.loaders.symbols import Symbol, SymbolTable

__all__ = ["load_symbols"]

_NM: Final = re.compile(rb"([0-9a-fA-F]+) ([A-Za-z?]) (\S+)[^\n]*")
_LIMIT: Final = 2 << 30


def load_symbols(path: str | os.PathLike[str]) -> SymbolTable:
    """The symbols of an ELF or of a ``System.map``; `ImageError`, starting with the path."""
    name = os.fspath(path)
    try:
        file = Path(name)
        if file.stat().st_size > _LIMIT:
            raise ImageError(f"is larger than {_LIMIT >> 30} GiB")
        data = file.read_bytes()
        table = load_elf(data, name).symbols if data.startswith(ELF_MAGIC) else _listed(data)
        if not len(table):
            raise ImageError("has no symbols: neither an ELF with a symbol table nor nm's output")
        return table
    except ImageError as error:
        raise ImageError(f"{name}: {error}") from None
    except OSError as error:
        raise ImageError(f"{name}: {error.strerror or error}") from None


def _listed(data: bytes) -> SymbolTable:
    symbols = []
    for line in data.splitlines():
        if (found := _NM.fullmatch(line)) is not None:
            address, kind, name = found.groups()
            function, is_global = kind in b"tTwW", kind.isupper()
            text = name.decode("utf-8", "replace")
            symbols.append(Symbol(text, int(address, 16), 0, function, is_global))
    return SymbolTable(lambda: symbols)
