"""Goldfish real-time clock (Android's goldfish hardware document; QEMU hw/rtc/goldfish_rtc.c).

Counts nanoseconds since the Unix epoch in two 32-bit halves: reading the low half latches the
high one. Writing the halves sets the time; the alarm raises the interrupt line when its time
has come.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.bus import Access, BusFault
from otoriscv.devices.protocols import Nanoseconds, Schedule, SetLine
from otoriscv.devices.state import Stateful

__all__ = ["RTC_SIZE", "GoldfishRtc"]

RTC_SIZE: Final = 0x1000
_TIME_LOW, _TIME_HIGH, _ALARM_LOW, _ALARM_HIGH = 0x00, 0x04, 0x08, 0x0C
_IRQ_ENABLED, _CLEAR_ALARM, _ALARM_STATUS, _CLEAR_INTERRUPT = 0x10, 0x14, 0x18, 0x1C
_LOW: Final = 0xFFFF_FFFF
_ALL: Final = (1 << 64) - 1


class GoldfishRtc(Stateful):
    """*now* gives nanoseconds since the epoch; *schedule(delay_ns, callback)* wakes the alarm."""

    name = "rtc"
    STATE = ("_offset", "_latched", "_alarm", "_armed", "_pending", "_enabled", "_line")

    def __init__(self, now: Nanoseconds, schedule: Schedule, irq: SetLine) -> None:
        self._now = now
        self._schedule = schedule
        self._irq = irq
        self._offset = 0
        self._line = False
        self.reset()

    def reset(self) -> None:
        """No alarm, interrupt off; the time goes on."""
        self._latched = 0
        self._alarm = 0
        self._armed = False
        self._pending = False
        self._enabled = False
        self._update()

    def read(self, offset: int, access: Access) -> int:
        """Read a 32-bit register; write-only and reserved ones read 0."""
        self._check(offset, access)
        if offset == _TIME_LOW:
            time = self._time()
            self._latched = time >> 32
            return time & _LOW
        if offset == _TIME_HIGH:
            return self._latched
        if offset == _ALARM_LOW:
            return self._alarm & _LOW
        if offset == _ALARM_HIGH:
            return self._alarm >> 32
        if offset == _IRQ_ENABLED:
            return int(self._enabled)
        return int(self._armed) if offset == _ALARM_STATUS else 0

    def write(self, offset: int, value: int, access: Access) -> None:
        """Write a 32-bit register; the low half of the alarm arms it."""
        self._check(offset, access)
        if offset == _TIME_LOW:
            self._set_time(self._time() & ~_LOW | value)
        elif offset == _TIME_HIGH:
            self._set_time(self._time() & _LOW | value << 32)
        elif offset == _ALARM_LOW:
            self._alarm = self._alarm & ~_LOW | value
            self._arm()
        elif offset == _ALARM_HIGH:
            self._alarm = self._alarm & _LOW | value << 32
        elif offset == _IRQ_ENABLED:
            self._enabled = bool(value & 1)
            self._update()
        elif offset == _CLEAR_ALARM:
            self._armed = False
        elif offset == _CLEAR_INTERRUPT:
            self._pending = False
            self._update()

    def _check(self, offset: int, access: Access) -> None:
        if access.size != 4 or offset & 3:
            raise BusFault(f"the RTC takes aligned words, not {access.size} bytes at {offset:#x}")

    def _time(self) -> int:
        return self._now() + self._offset & _ALL

    def _set_time(self, time: int) -> None:
        self._offset += time - self._time()
        if self._armed:
            self._arm()

    def _arm(self) -> None:
        self._armed = True
        delay = self._alarm - self._time()
        if delay <= 0:
            self._check_alarm()
        else:
            self._schedule(delay, self._check_alarm)

    def _check_alarm(self) -> None:
        """Ring if due; a call scheduled for an alarm that was moved or cleared does nothing."""
        if self._armed and self._time() >= self._alarm:
            self._armed = False
            self._pending = True
            self._update()

    def _update(self) -> None:
        level = self._pending and self._enabled
        if level != self._line:
            self._line = level
            self._irq(level)
