"""Devices written in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from otoriscv.core.bus import Access
from otoriscv.devices.state import Stateful

if TYPE_CHECKING:
    from otoriscv.api.machine import Machine

__all__ = ["Attached", "Device"]


class Device(Stateful):
    """A memory-mapped device: derive, and override what it does.

    After `Machine.attach`, ``machine`` is the machine, `irq` drives the device's interrupt line and
    `after` calls back in guest time. Raise `BusFault` to give the guest an access fault; any other
    exception comes out of `Machine.run`. All attributes are part of the machine's snapshots, except
    those whose name begins with an underscore.

    Examples
    --------
    >>> from otoriscv import Device, Machine
    >>> class Dice(Device):
    ...     value = 4  # chosen by fair dice roll
    ...     def read(self, offset: int, size: int) -> int:
    ...         return self.value
    >>> m = Machine()
    >>> dice = m.attach(Dice(), 0x3000_0000)
    """

    name = "device"
    _machine: Machine | None = None
    _line: Callable[[bool], None] | None = None

    @property
    def machine(self) -> Machine:
        """The machine it is attached to."""
        if self._machine is None:
            raise RuntimeError(f"{self.name} is not attached to a machine")
        return self._machine

    def connect(self, machine: Machine, line: Callable[[bool], None] | None) -> None:
        """Called by `Machine.attach`."""
        self._machine, self._line = machine, line

    def saved_names(self) -> tuple[str, ...]:
        """The attributes that snapshots keep."""
        return tuple(name for name in vars(self) if not name.startswith("_"))

    def read(self, offset: int, size: int) -> int:
        """A load of *size* bytes at *offset*; 0 when not overridden."""
        return 0

    def write(self, offset: int, value: int, size: int) -> None:
        """A store of *size* bytes at *offset*; ignored when not overridden."""

    def reset(self) -> None:
        """Power-on state; called by `Machine.reset`."""

    def irq(self, level: bool = True) -> None:
        """Raise or lower the interrupt line."""
        if self._line is None:
            raise RuntimeError(f"{self.name} was attached without irq=")
        self._line(level)

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call *callback* once, after *seconds* of guest time."""
        self.machine.after(seconds, callback)


class Attached:
    """A `Device` as the bus wants it."""

    def __init__(self, device: Device) -> None:
        self.device = device
        self.name = device.name

    def read(self, offset: int, access: Access) -> int:
        """Read a register."""
        return self.device.read(offset, access.size)

    def write(self, offset: int, value: int, access: Access) -> None:
        """Write a register."""
        self.device.write(offset, value, access.size)

    def reset(self) -> None:
        """Back to the state at power-on."""
        self.device.reset()
