"""A debugger beside a user's device whose access does not return."""

from __future__ import annotations

import threading

from otoriscv import Device, Machine
from otoriscv.board.target import BoardTarget
from otoriscv.core.encode import assemble
from otoriscv.gdbstub.target import Action

AT = 0x5000_0000


class _Slow(Device):
    def __init__(self) -> None:
        self.entered, self.release = threading.Event(), threading.Event()

    def read(self, offset: int, size: int) -> int:
        self.entered.set()
        self.release.wait(30)
        return 0

    def write(self, offset: int, value: int, size: int) -> None:
        """Nothing."""


def test_a_continue_does_not_wait_for_a_device() -> None:
    """Whoever serves the debugger goes on while the machine's thread is in the device."""
    device = _Slow()
    with Machine(isa="rv64gc", engine="python") as m:
        m.attach(device, AT)
        m.mem[0x8000_0000] = assemble(
            f"li t0, {AT:#x}\nlw t1, 0(t0)\n1: j 1b", 64, 0x8000_0000
        ).code
        m.regs.pc = 0x8000_0000
        target = BoardTarget(m.board)
        returned = threading.Event()

        def resume() -> None:
            target.resume({0: Action.CONTINUE})
            returned.set()

        threading.Thread(target=resume, daemon=True).start()
        try:
            assert device.entered.wait(10)
            assert returned.wait(5)
            assert target.running
        finally:
            device.release.set()
            target.stop()
            target.wait(10)
            target.shut_down()
