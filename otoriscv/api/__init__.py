"""The Python API: `Machine` and what belongs to it."""

from otoriscv.api.device import Device
from otoriscv.api.hooks import AccessEvent, ExecEvent, Hook, TrapEvent
from otoriscv.api.machine import ExpectError, HartView, Machine

__all__ = [
    "AccessEvent",
    "Device",
    "ExecEvent",
    "ExpectError",
    "HartView",
    "Hook",
    "Machine",
    "TrapEvent",
]
