"""Machines that tests take one after another: each made once, then restored from a snapshot."""

from __future__ import annotations

from typing import Any

from otoriscv.api import Machine
from otoriscv.board.snapshot import Snapshot

__all__ = ["Pool"]


class Pool:
    """The machines of one process by their arguments."""

    def __init__(self) -> None:
        self._free: dict[str, list[Machine]] = {}
        self._fresh: dict[Machine, tuple[str, Snapshot, int]] = {}

    def take(self, arguments: dict[str, Any]) -> Machine:
        """A machine in its power-on state."""
        key = repr(sorted(arguments.items()))
        free = self._free.setdefault(key, [])
        if free:
            return free.pop()
        machine = Machine(**arguments)
        self._fresh[machine] = key, machine.save(), len(machine.board.bus.devices())
        return machine

    def give_back(self, machine: Machine) -> None:
        """The test is over: make it as new, or forget it when devices were added."""
        key, snapshot, devices = self._fresh[machine]
        board = machine.board
        if len(board.bus.devices()) != devices:
            del self._fresh[machine]
            machine.close()
            return
        board.hooks.clear()
        board.breakpoints.clear()
        board.watchpoints.clear()
        board.hub.listeners.clear()
        board.debugger = False
        board.time_limit = board.instruction_limit = None
        machine.restore(snapshot)
        machine.clear_output()
        self._free[key].append(machine)

    def close(self) -> None:
        """Free them all."""
        for machine in self._fresh:
            machine.close()
        self._fresh.clear()
        self._free.clear()
