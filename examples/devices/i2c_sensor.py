"""An I2C controller in Python with a thermometer on its bus.

    python examples/i2c_sensor.py

Each transfer takes as long as on a real bus at 100 kHz, in guest time. The guest reads the
temperature until it is above 30 degrees and prints an exclamation mark for it.
"""

from __future__ import annotations

from otoriscv import BusFault, Device, Machine
from otoriscv.core.encode import assemble

BASE = 0x8000_0000
CONTROLLER = 0x3001_0000
ADDRESS = 0x48
BYTE_SECONDS = 9 / 100_000

FIRMWARE = """
    li   s0, 0x30010000
    li   s1, 0x10000000     # the UART
1:  li   t0, 0x4801         # read from device 0x48
    sw   t0, 0(s0)
2:  lw   t1, 4(s0)          # wait until it is done
    andi t1, t1, 1
    bnez t1, 2b
    lw   a0, 8(s0)          # degrees
    li   t2, 30
    ble  a0, t2, 1b
    li   t0, 33
    sb   t0, 0(s1)
3:  j    3b
"""


class Thermometer:
    """A sensor: one register."""

    def __init__(self, degrees: int) -> None:
        self.degrees = degrees

    def transfer(self) -> int:
        """A byte for the controller."""
        return self.degrees


class I2c(Device):
    """Registers: 0 command (address << 8 | 1 reads), 4 status (1 busy, 2 no answer), 8 data."""

    name = "i2c"

    def __init__(self, sensors: dict[int, Thermometer]) -> None:
        self._sensors = sensors
        self.busy = False
        self.failed = False
        self.data = 0
        self.wanted = 0

    def read(self, offset: int, size: int) -> int:
        """Status or data."""
        if offset == 4:
            return self.busy | self.failed << 1
        if offset == 8:
            return self.data
        raise BusFault(f"no register {offset:#x}")

    def write(self, offset: int, value: int, size: int) -> None:
        """Start a transfer."""
        if offset == 0 and not self.busy:
            self.busy, self.wanted = True, value >> 8
            self.after(2 * BYTE_SECONDS, self.finish)

    def finish(self) -> None:
        """The stop condition."""
        self.busy = False
        sensor = self._sensors.get(self.wanted)
        self.failed = sensor is None
        self.data = 0 if sensor is None else sensor.transfer()


def board(sensor: Thermometer, engine: str = "auto") -> Machine:
    """A machine with the controller, the sensor and the firmware."""
    machine = Machine(isa="rv32imac_zicsr", engine=engine, mips=10)
    machine.mem[BASE] = assemble(FIRMWARE, 32, BASE).code
    machine.attach(I2c({ADDRESS: sensor}), CONTROLLER)
    return machine


def main() -> None:
    """Warm the sensor and see what the guest says."""
    sensor = Thermometer(20)
    with board(sensor) as machine:
        machine.run(timeout=0.01)
        print(f"at {sensor.degrees} degrees: {machine.output!r}")
        sensor.degrees = 31
        machine.expect("!")
        print(f"at {sensor.degrees} degrees: {machine.output!r} after {machine.seconds:.4f} s")


if __name__ == "__main__":
    main()
