"""``monitor watch``: watchpoints with conditions, which gdb never sends."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from otoriscv.gdbstub.breakpoints import Watchpoint
from otoriscv.gdbstub.commands.monitor import monitor
from otoriscv.gdbstub.target import WatchKind, WatchTerm

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__: list[str] = []

_KINDS = {"r": WatchKind.READ, "w": WatchKind.WRITE, "rw": WatchKind.ACCESS}
_NAMES = {kind: name for name, kind in _KINDS.items()}
_TERM = re.compile(r"\s*(value|old)\s*(==|!=|<=|>=|<|>|&)\s*(-?\w+)\s*")
_USAGE = "Usage: monitor watch [r|w|rw] ADDR|SYMBOL[,LEN] [if (value|old) OP N [&& ...]]"


class _Bad(Exception):
    """The command is wrong; the message says how."""


@monitor("watch [r|w|rw] ADDR|SYMBOL[,LEN] [if (value|old) OP N [&& ...]]")
def _watch(session: Session, words: list[str]) -> str:
    """Stop before accesses for which the condition holds; alone: list these."""
    if not words:
        rows = [_show(point, terms) for point, terms in session.breakpoints.own.items()]
        return "\n".join(rows) or "There are none."
    session.own()
    try:
        point, terms = _parse(session, words)
        session.breakpoints.add_own(point, terms)
    except (_Bad, ValueError) as error:
        return f"{error}\n{_USAGE}"
    return _show(point, terms)


@monitor("unwatch ADDR|SYMBOL|all")
def _unwatch(session: Session, words: list[str]) -> str:
    """Remove what `monitor watch` set."""
    session.own()
    table = session.breakpoints
    if words == ["all"]:
        gone = list(table.own)
    else:
        try:
            start, _ = _place(session, words[0] if words else "")
        except _Bad as error:
            return str(error)
        gone = [point for point in table.own if point.address == start]
    for point in gone:
        table.remove_own(point)
    return f"{len(gone)} removed."


def _parse(session: Session, words: list[str]) -> tuple[Watchpoint, tuple[WatchTerm, ...]]:
    kind = WatchKind.WRITE
    if words[0] in _KINDS and len(words) > 1 and words[1] != "if":
        kind = _KINDS[words[0]]
        words = words[1:]
    place, *rest = words
    terms: list[WatchTerm] = []
    if rest:
        if rest[0] != "if" or len(rest) == 1:
            raise _Bad(f"{' '.join(rest)!r} is not understood")
        for text in " ".join(rest[1:]).split("&&"):
            match = _TERM.fullmatch(text.strip().removeprefix("(").removesuffix(")"))
            if match is None:
                raise _Bad(f"{text.strip()!r} is not (value|old) OP N")
            terms.append(WatchTerm(match[1], match[2], _number(session, match[3])))
    start, length = _place(session, place)
    if not 1 <= length <= session.mask + 1 - start:
        raise _Bad(f"{place} is not a range of memory")
    return Watchpoint(kind, start, length), tuple(terms)


def _place(session: Session, text: str) -> tuple[int, int]:
    name, comma, length_text = text.partition(",")
    symbol = session.target.symbol(name)
    size = session.target.xlen // 8
    if symbol is not None:
        start, size = symbol[0], symbol[1] or size
    else:
        start = _number(session, name)
    if comma:
        size = _number(session, length_text)
    return start & session.mask, size


def _number(session: Session, text: str) -> int:
    symbol = session.target.symbol(text)
    if symbol is not None:
        return symbol[0]
    try:
        return int(text, 0)
    except ValueError:
        raise _Bad(f"{text!r} is neither a number nor a symbol") from None


def _show(point: Watchpoint, terms: tuple[WatchTerm, ...]) -> str:
    condition = " && ".join(f"{t.what} {t.operator} {t.number:#x}" for t in terms)
    text = f"watch {_NAMES[point.kind]} {point.address:#x},{point.length}"
    return f"{text} if {condition}" if terms else text
