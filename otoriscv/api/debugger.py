"""Debuggers beside a program that drives the machine from Python."""

from __future__ import annotations

from otoriscv.board.target import BoardTarget
from otoriscv.board.virt import VirtMachine
from otoriscv.gdbstub.server import GdbServer

__all__ = ["MachineServer"]

_PATIENCE = 10.0  # seconds until a machine that was let run must have halted


class MachineServer(GdbServer):
    """A GDB server whose `close` gives the machine back halted.

    A debugger that detaches lets the machine run, on a thread of its own: as gdb does when it is
    ended by a signal.
    """

    def __init__(self, machine: VirtMachine, host: str, port: int) -> None:
        self._board_target = BoardTarget(machine)
        super().__init__(self._board_target, host, port)

    def close(self) -> None:
        """End the session and the server; halt the machine."""
        super().close()
        target = self._board_target
        if target.running:
            target.stop()
            target.wait(_PATIENCE)
        target.shut_down()
        target.machine.take_request()  # nobody runs: the request was for the target's loop only
