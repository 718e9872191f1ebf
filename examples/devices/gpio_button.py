"""A GPIO port in Python, and its button pressed from outside.

    python examples/gpio_button.py

The guest copies the button to the LED whenever the port interrupts it, and sleeps otherwise.
"""

from __future__ import annotations

from functools import partial

from otoriscv import Device, Machine
from otoriscv.core.encode import assemble

BASE = 0x8000_0000
PORT = 0x3000_0000
IRQ = 20

FIRMWARE = """
    li   s0, 0x30000000     # the port
    li   s1, 0xc200004      # the PLIC's claim register
    li   t0, 0xc000050      # priority of source 20
    li   t1, 1
    sw   t1, 0(t0)
    li   t0, 0xc002000      # enable source 20
    li   t1, 0x100000
    sw   t1, 0(t0)
    li   t0, 0x80000100     # the handler
    csrw mtvec, t0
    li   t0, 0x800
    csrw mie, t0
    csrsi mstatus, 8
1:  wfi
    j    1b
"""
HANDLER = """
    lw   t2, 0(s1)          # claim
    lw   t0, 0(s0)
    sw   t0, 4(s0)
    sw   t2, 0(s1)          # complete
    mret
"""


class Gpio(Device):
    """Registers: 0 the inputs (reading them ends the interrupt), 4 the outputs."""

    name = "gpio"

    def __init__(self) -> None:
        self.inputs = 0
        self.outputs = 0

    def press(self, down: bool) -> None:
        """The button changes."""
        self.inputs = int(down)
        self.irq()

    def read(self, offset: int, size: int) -> int:
        """What the guest sees."""
        if offset:
            return self.outputs
        self.irq(False)
        return self.inputs

    def write(self, offset: int, value: int, size: int) -> None:
        """The guest drives the LED."""
        if offset == 4:
            self.outputs = value


def board(engine: str = "auto") -> tuple[Machine, Gpio]:
    """A machine with the port and the firmware."""
    machine = Machine(isa="rv32imac_zicsr", engine=engine)
    machine.mem[BASE] = assemble(FIRMWARE, 32, BASE).code
    machine.mem[BASE + 0x100] = assemble(HANDLER, 32, BASE + 0x100).code
    return machine, machine.attach(Gpio(), PORT, irq=IRQ)


def main() -> None:
    """Press and release, looking at the LED each time."""
    machine, gpio = board()
    with machine:
        machine.run(timeout=0.001)
        for down in (True, False, True):
            machine.after(0.25, partial(gpio.press, down))
            machine.run(timeout=0.5)
            print(f"at {machine.seconds:.3f} s the button is {down:d}, the LED {gpio.outputs}")


if __name__ == "__main__":
    main()
