"""Conditions of watchpoints: ``value`` is what will be there, ``old`` what is there."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from otoriscv.core.hart import Hart
from otoriscv.core.layout import HART
from otoriscv.core.memory import MemoryHole
from otoriscv.gdbstub.target import WatchTerm

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine

__all__ = ["WatchConditions"]

_OPERATORS: Final[dict[str, Callable[[int, int], bool]]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "&": lambda a, b: a & b != 0,
}
_WIDEST: Final = 8


class WatchConditions:
    """The conditions by watchpoint (address, length, kinds)."""

    def __init__(self, machine: Machine) -> None:
        self._machine = machine
        self._terms: dict[tuple[int, int, int], tuple[WatchTerm, ...]] = {}

    def put(self, point: tuple[int, int, int], terms: Sequence[WatchTerm]) -> None:
        """Set a watchpoint's; none: it always stops."""
        if terms:
            self._terms[point] = tuple(terms)
        else:
            self._terms.pop(point, None)

    def clear(self) -> None:
        """Forget all."""
        self._terms.clear()

    def stops(self, hart: Hart) -> bool:
        """Whether the access that *hart* is about to do is one to stop at."""
        if not self._terms:
            return True
        q = hart.q
        begin, size, kind = (q[HART[name]] for name in ("exit_access", "exit_size", "exit_kind"))
        hit = [
            point
            for point in self._machine.watchpoints
            if point[2] & kind and point[0] < begin + size and begin < point[0] + point[1]
        ]
        return not hit or any(self._true(hart, point, begin, size) for point in hit)

    def _true(self, hart: Hart, point: tuple[int, int, int], begin: int, size: int) -> bool:
        terms = self._terms.get(point)
        if terms is None:
            return True
        length = min(point[1], _WIDEST)
        q = hart.q
        try:
            old = bytearray(self._machine.memory.read(point[0], length))
        except MemoryHole:
            return True
        new = bytearray(old)
        if q[HART["exit_kind"]] & 2:
            value = self._machine.stored_value(hart)
            if value is None:
                return True
            stored = value.to_bytes(8, "little")[:size]
            for at, byte in enumerate(stored, begin - point[0]):
                if 0 <= at < length:
                    new[at] = byte
        values = {"old": int.from_bytes(old, "little"), "value": int.from_bytes(new, "little")}
        mask = (1 << 8 * length) - 1
        return all(
            _OPERATORS[term.operator](values[term.what], term.number & mask) for term in terms
        )
