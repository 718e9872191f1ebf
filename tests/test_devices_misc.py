"""Finisher, real-time clock and HTIF."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from otoriscv.core.bus import Access, BusFault
from otoriscv.devices.exits import GuestExit, GuestReset
from otoriscv.devices.finisher import Finisher
from otoriscv.devices.goldfish_rtc import GoldfishRtc
from otoriscv.devices.htif import Htif

WORD = Access(4, 0)


@pytest.mark.parametrize(("value", "code"), [(0x5555, 0), (0x3333 | 42 << 16, 42), (0x3333, 1)])
def test_finisher_exits(value: int, code: int) -> None:
    with pytest.raises(GuestExit) as caught:
        Finisher().write(0, value, WORD)
    assert caught.value.code == code


def test_finisher_resets_and_ignores() -> None:
    f = Finisher()
    with pytest.raises(GuestReset):
        f.write(0, 0x7777, WORD)
    f.write(0, 0x1234, WORD)
    f.write(4, 0x5555, WORD)
    assert f.read(0, WORD) == 0


class RtcBench:
    def __init__(self) -> None:
        self.ns = 0x1234_5678_9ABC_DEF0
        self.events: list[tuple[int, Callable[[], None]]] = []
        self.irq: list[bool] = []
        self.rtc = GoldfishRtc(lambda: self.ns, self.schedule, self.irq.append)

    def schedule(self, delay: int, callback: Callable[[], None]) -> None:
        self.events.append((self.ns + delay, callback))

    def advance(self, ns: int) -> None:
        self.ns += ns
        due = [e for e in self.events if e[0] <= self.ns]
        self.events = [e for e in self.events if e[0] > self.ns]
        for _, callback in due:
            callback()

    def set_alarm(self, at: int) -> None:
        self.rtc.write(0x0C, at >> 32, WORD)
        self.rtc.write(0x08, at & 0xFFFF_FFFF, WORD)


def test_rtc_time_is_latched_and_settable() -> None:
    b = RtcBench()
    low = b.rtc.read(0, WORD)
    b.advance(1 << 40)
    assert b.rtc.read(4, WORD) << 32 | low == 0x1234_5678_9ABC_DEF0
    b.rtc.write(4, 7, WORD)
    b.rtc.write(0, 9, WORD)
    b.advance(100)
    assert (b.rtc.read(0, WORD), b.rtc.read(4, WORD)) == (109, 7)


def test_rtc_alarm() -> None:
    b = RtcBench()
    b.rtc.write(0x10, 1, WORD)
    b.set_alarm(b.ns + 1000)
    assert b.rtc.read(0x18, WORD) == 1
    b.advance(999)
    assert b.irq == []
    b.advance(1)
    assert b.irq == [True]
    assert b.rtc.read(0x18, WORD) == 0
    b.rtc.write(0x1C, 1, WORD)
    assert b.irq == [True, False]


def test_rtc_alarm_moved_cleared_past_and_masked() -> None:
    b = RtcBench()
    b.rtc.write(0x10, 1, WORD)
    b.set_alarm(b.ns + 1000)
    b.set_alarm(b.ns + 5000)
    b.advance(2000)
    assert b.irq == []
    b.rtc.write(0x14, 1, WORD)
    b.advance(5000)
    assert b.irq == []
    b.rtc.write(0x10, 0, WORD)
    b.set_alarm(b.ns - 1)
    assert b.irq == []
    b.rtc.write(0x10, 1, WORD)
    assert b.irq == [True]
    with pytest.raises(BusFault):
        b.rtc.read(0, Access(8, 0))


TOHOST, FROMHOST, BLOCK, TEXT = 0x1000, 0x1040, 0x1080, 0x1101


class HtifBench:
    def __init__(self) -> None:
        self.memory = bytearray(0x2000)
        self.out = bytearray()
        self.typed: list[int] = []
        self.htif = Htif(TOHOST, FROMHOST, self.out.extend, self.key)

    def key(self) -> int | None:
        return self.typed.pop(0) if self.typed else None

    def read(self, address: int) -> int:
        if not 0x1000 <= address <= 0x2000 - 8:
            raise BusFault(f"nothing at {address:#x}")
        return int(struct.unpack_from("<Q", self.memory, address)[0])

    def write(self, address: int, value: int) -> None:
        self.read(address)
        struct.pack_into("<Q", self.memory, address, value)

    def poll(self, tohost: int = 0) -> None:
        self.write(TOHOST, tohost)
        self.htif.poll(self.read, self.write)

    def call(self, *words: int) -> int:
        struct.pack_into(f"<{len(words)}Q", self.memory, BLOCK, *words)
        self.poll(BLOCK)
        assert self.read(TOHOST) == 0
        assert self.read(FROMHOST) == 1
        self.write(FROMHOST, 0)
        return self.read(BLOCK)


@pytest.mark.parametrize(("word", "code"), [(1, 0), (1337 << 1 | 1, 1337)])
def test_htif_exit(word: int, code: int) -> None:
    with pytest.raises(GuestExit) as caught:
        HtifBench().poll(word)
    assert caught.value.code == code


def test_htif_console() -> None:
    b = HtifBench()
    b.poll(1 << 56 | 1 << 48 | ord("x"))
    assert b.out == b"x"
    b.poll(1 << 56)
    assert b.read(FROMHOST) == 0
    b.typed = [ord("k")]
    b.poll()
    assert b.read(FROMHOST) == 1 << 56 | 0x100 | ord("k")


def test_htif_system_calls() -> None:
    b = HtifBench()
    b.memory[TEXT : TEXT + 11] = b"hello world"
    assert b.call(64, 1, TEXT, 11) == 11
    assert b.out == b"hello world"
    assert b.call(64, 1, TEXT, 0) == 0
    assert b.call(64, 7, TEXT, 11) == 2**64 - 9
    assert b.call(64, 1, 0x1FF0, 1 << 40) == 2**64 - 14
    assert b.call(56) == 2**64 - 38
    with pytest.raises(GuestExit) as caught:
        b.call(93, 3)
    assert caught.value.code == 3
    b.poll(0x50_0000)  # a block outside memory is survived
