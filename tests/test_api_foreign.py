"""A debugger beside a user's device whose access does not return, or a hook that does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from otoriscv import Device, Machine
from otoriscv.board.target import BoardTarget
from otoriscv.core.encode import assemble
from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import PC, RspClient
from otoriscv.gdbstub.target import Action
from tests.test_gdbstub_nonstop import Wire

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


@contextmanager
def debugged(device: _Slow, hook: bool = False) -> Iterator[BoardTarget]:
    """A machine that reads *device* by its second instruction, or in a *hook* there."""

    def reads(event: object) -> None:
        device.read(0, 4)

    with Machine(isa="rv64gc", engine="python") as m:
        read = "nop" if hook else "lw t1, 0(t0)"
        if hook:
            m.on_exec(0x8000_0004, reads)
        else:
            m.attach(device, AT)
        m.mem[0x8000_0000] = assemble(f"lui t0, {AT >> 12:#x}\n{read}\n1: j 1b", 64).code
        m.regs.pc = 0x8000_0000
        target = BoardTarget(m.board)
        try:
            yield target
        finally:
            device.release.set()
            target.stop()
            target.wait(10)
            target.shut_down()


@pytest.mark.parametrize("hook", [False, True], ids=["device", "hook"])
def test_a_continue_does_not_wait_for_users_code(hook: bool) -> None:
    """Whoever serves the debugger goes on while the machine's thread is in the device."""
    device = _Slow()
    with debugged(device, hook) as target:
        returned = threading.Event()

        def resume() -> None:
            target.resume({0: Action.CONTINUE})
            returned.set()

        threading.Thread(target=resume, daemon=True).start()
        assert device.entered.wait(10)
        assert returned.wait(10)
        assert target.running


@pytest.mark.parametrize("nonstop", [False, True])
@pytest.mark.parametrize("hook", [False, True], ids=["device", "hook"])
def test_a_step_does_not_wait_for_users_code(hook: bool, nonstop: bool) -> None:
    """Other clients are served, and the step is reported when the device has answered."""
    device = _Slow()
    with debugged(device, hook) as target:
        server = GdbServer(target)
        server.start()
        wire = Wire(server.address)
        if nonstop:
            assert wire.ask(b"QNonStop:1") == "$OK"
        for pc in (0x8000_0000, 0x8000_0004):
            assert target.read_register(0, PC) == pc
            wire.send(b"vCont;s:1")
            if nonstop:
                assert wire.next() == "$OK"
            if pc == 0x8000_0004:
                assert device.entered.wait(10)
                other = Wire(server.address)
                assert other.ask(b"qC") == "$QC1"
                other.close()
                device.release.set()
            if nonstop:
                assert wire.next().startswith("%Stop:T05")
                assert wire.ask(b"vStopped") == "$OK"
            else:
                assert wire.next().startswith("$T05")
        assert target.read_register(0, PC) == 0x8000_0008
        wire.close()
        server.close()


INTERRUPTED = """
    auipc t0, 0
    addi t0, t0, 0x24
    csrw mtvec, t0
    lui t0, 0x2000
    csrwi mie, 8
    addi t1, zero, 1
    sw t1, 0(t0)
    csrsi mstatus, 8
1:  j 1b
handler:
    j handler
"""


def test_a_step_over_an_interrupts_handler_can_be_interrupted() -> None:
    """With step-irq off the handler is run before the step; this one never returns."""
    with Machine(isa="rv64g", engine="interp") as m:
        m.mem[0x8000_0000] = assemble(INTERRUPTED, 64, 0x8000_0000).code
        m.regs.pc = 0x8000_0000
        m.run(count=8)
        target = BoardTarget(m.board)
        server = GdbServer(target)
        server.start()
        with RspClient(*server.address) as client:
            assert client.monitor("step-irq off")
            client.send(b"vCont;s:1")
            client.send_raw(b"\x03")
            assert client.receive().startswith(b"T02")
            assert client.read_register(PC) == 0x8000_0024
        server.close()
        target.shut_down()
