"""Whether the state in a file fits a machine, before any of it is taken over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["mismatch"]

_WORD: Final = 1 << 64
#: How deep the names are fixed: a part's fields, or the fields of each hart or device in it.
_DEPTH: Final = 3


def mismatch(here: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """The name of the first part of *there* that is not what *here* has, or None.

    Names, kinds and the sizes of what lies in the arena must agree; values may differ.
    """
    return _differs(here, there, "state", _DEPTH) or _words(here, there)


def _differs(here: object, there: object, name: str, depth: int) -> str | None:
    if here is None or there is None:  # an attribute may be None now and then, a part may not
        return name if isinstance(here, Mapping) or isinstance(there, Mapping) else None
    if _kind(here) is not _kind(there):
        return name
    if depth == 0:
        return None
    pairs: list[tuple[str, object, object]] = []
    if isinstance(here, Mapping) and isinstance(there, Mapping):
        if here.keys() != there.keys():
            unlike = min(map(str, here.keys() ^ there.keys()))
            return f"{name}.{unlike}"
        pairs = [(f"{name}.{key}", here[key], there[key]) for key in here]
    elif depth == _DEPTH - 1 and isinstance(here, list) and isinstance(there, list):
        if len(here) != len(there):
            return name
        both = zip(here, there, strict=True)
        pairs = [(f"{name}[{n}]", mine, theirs) for n, (mine, theirs) in enumerate(both)]
    found = (_differs(mine, theirs, key, depth - 1) for key, mine, theirs in pairs)
    return next((where for where in found if where is not None), None)


def _kind(value: object) -> type:
    if isinstance(value, Mapping):
        return dict
    if isinstance(value, str):
        return str
    if isinstance(value, bytes | bytearray):
        return bytes
    if isinstance(value, Sequence | set | frozenset) or hasattr(value, "__iter__"):
        return list  # JSON knows one kind of sequence
    return int if isinstance(value, int) else float if isinstance(value, float) else type(value)


def _words(here: Mapping[str, Any], there: Mapping[str, Any]) -> str | None:
    """The machine's and the harts' slots are numbers of 64 bits, as many as here."""
    for name, value in there["machine"].items():
        if not 0 <= value < _WORD:
            return f"state.machine.{name}"
    for n, (mine, theirs) in enumerate(zip(here["harts"], there["harts"], strict=True)):
        for name, words in theirs.items():
            if len(words) != len(mine[name]) or not all(
                type(word) is int and 0 <= word < _WORD for word in words
            ):
                return f"state.harts[{n}].{name}"
    return None
