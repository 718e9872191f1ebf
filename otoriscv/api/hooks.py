"""Callbacks during a run, and what they are told."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from otoriscv.api.machine import HartView

__all__ = ["AccessEvent", "ExecEvent", "Hook", "TrapEvent"]


class ExecEvent(NamedTuple):
    """An instruction is about to be executed."""

    hart: HartView
    pc: int


class AccessEvent(NamedTuple):
    """A load or store is about to be done by the instruction at *pc*.

    *value* is what a store writes, None for a load. An atomic operation is a load here, *write* is
    true and its value None.
    """

    hart: HartView
    pc: int
    address: int
    size: int
    write: bool
    value: int | None


class TrapEvent(NamedTuple):
    """A trap was taken: the hart is at its handler. *pc* is where it was."""

    hart: HartView
    pc: int
    cause: int
    interrupt: bool
    tval: int


class Hook:
    """A callback in force. ``remove()`` ends it, as does leaving it as a context manager."""

    def __init__(self, remove: Callable[[], None]) -> None:
        self._remove: Callable[[], None] | None = remove

    def remove(self) -> None:
        """Take it away; harmless twice."""
        remove, self._remove = self._remove, None
        if remove is not None:
            remove()

    def __enter__(self) -> Hook:
        return self

    def __exit__(self, *failure: object) -> None:
        self.remove()
