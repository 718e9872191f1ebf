"""The 16550 against its data sheet, and its promise to lose nothing."""

from __future__ import annotations

import pytest

from otoriscv.core.bus import Access, BusFault
from otoriscv.core.layout import MACHINE, MACHINE_SIZE, UART_RING
from otoriscv.devices.uart16550 import Uart16550

BYTE = Access(1, 0)
RBR = THR = DLL = 0
IER = DLM = 1
IIR = FCR = 2
LCR, MCR, LSR, MSR, SCR = 3, 4, 5, 6, 7


class Bench:
    """A UART with everything around it replaced by lists."""

    def __init__(self, fast: int = 1) -> None:
        struct = memoryview(bytearray(MACHINE_SIZE))
        self.slots = struct.cast("Q")
        self.slots[MACHINE["uart_fast"]] = fast
        start = MACHINE["uart_ring"] * 8
        self.ring = struct[start : start + UART_RING]
        self.out: list[bytes] = []
        self.irq: list[bool] = []
        self.uart = Uart16550(self.slots, self.ring, self.out.append, self.irq.append)

    def read(self, register: int) -> int:
        return self.uart.read(register, BYTE)

    def write(self, register: int, value: int) -> None:
        self.uart.write(register, value, BYTE)

    @property
    def line(self) -> bool:
        return bool(self.irq) and self.irq[-1]


def test_output_waits_in_the_ring_until_drained() -> None:
    b = Bench()
    for byte in b"hello":
        b.write(THR, byte)
    assert b.out == []
    b.uart.drain()
    assert b.out == [b"hello"]
    b.uart.drain()
    assert b.out == [b"hello"]


def test_output_is_immediate_when_not_fast() -> None:
    b = Bench(fast=0)
    b.write(THR, 0x41)
    assert b.out == [b"A"]


def test_native_and_python_output_share_one_ring_in_order() -> None:
    b = Bench()
    sent = bytearray()
    for i in range(3 * UART_RING // 1000):
        chunk = bytes((i + j) & 0xFF for j in range(1000))
        for byte in chunk[:500]:  # what a native engine does
            head = b.slots[MACHINE["uart_head"]]
            if head - b.slots[MACHINE["uart_tail"]] >= UART_RING:
                b.uart.drain()
            b.ring[head % UART_RING] = byte
            b.slots[MACHINE["uart_head"]] = head + 1
        for byte in chunk[500:]:
            b.write(THR, byte)
        sent += chunk
    b.uart.drain()
    assert b"".join(b.out) == bytes(sent)


def test_a_pasted_megabyte_arrives_whole() -> None:
    b = Bench()
    data = bytes(range(256)) * 4096
    b.write(FCR, 1)
    b.uart.receive(data)
    assert b.uart.room() == 0
    got = bytearray()
    while b.read(LSR) & 1:
        got.append(b.read(RBR))
    assert got == data
    assert b.uart.room() > 0


def test_input_survives_the_drivers_fifo_reset() -> None:
    b = Bench()
    b.uart.receive(b"ls\n")
    b.write(FCR, 7)
    assert b.read(LSR) & 1 == 0
    assert b.read(RBR) == 0  # Linux reads RBR once to clear it
    b.uart.flush()
    assert b.read(LSR) & 1 == 0, "flushing output is invisible to the guest"
    b.uart.drain()
    assert [b.read(RBR) for _ in range(3)] == list(b"ls\n")


def test_input_survives_a_machine_reset() -> None:
    b = Bench()
    b.uart.receive(b"ab")
    b.uart.reset()
    b.uart.drain()
    assert [b.read(RBR), b.read(RBR)] == list(b"ab")


def test_input_can_be_taken_back() -> None:
    b = Bench()
    b.uart.receive(b"abc")
    assert b.read(RBR) == ord("a")
    assert b.uart.take_back() == b"bc"
    assert b.read(LSR) & 1 == 0
    assert b.uart.unread == 0


def test_divisor_latch_and_scratch() -> None:
    b = Bench()
    b.write(LCR, 0x83)
    b.write(DLL, 0x34)
    b.write(DLM, 0x12)
    assert (b.read(DLL), b.read(DLM)) == (0x34, 0x12)
    b.write(LCR, 3)
    assert b.read(IER) == 0
    b.uart.drain()
    assert b.out == []  # the divisor was not printed
    b.write(SCR, 0xA5)
    assert b.read(SCR) == 0xA5
    assert b.slots[MACHINE["uart_lcr"]] == 3


def test_transmit_interrupt() -> None:
    b = Bench()
    assert b.read(IIR) == 1
    b.write(IER, 2)
    assert b.line
    assert b.slots[MACHINE["uart_ier"]] & 2
    assert b.read(IIR) == 2  # reading it clears it
    assert not b.line
    assert b.read(IIR) == 1
    b.write(THR, 0x41)
    assert b.line
    b.write(IER, 0)
    assert not b.line


@pytest.mark.parametrize(("bits", "trigger"), [(0, 1), (1, 4), (2, 8), (3, 14)])
def test_receive_trigger_and_timeout(bits: int, trigger: int) -> None:
    b = Bench()
    b.write(FCR, bits << 6 | 1)
    b.write(IER, 1)
    for count in range(1, 17):
        b.uart.receive(b"x")
        assert b.line
        assert b.read(IIR) == 0xC0 | (4 if count >= trigger else 12)
    for _ in range(16):
        b.read(RBR)
    assert not b.line


def test_interrupt_priorities() -> None:
    b = Bench()
    b.write(IER, 0x0F)
    b.write(MCR, 0x10)  # loopback: the modem lines drop, MSR changes
    b.write(MCR, 0x00)
    b.uart.receive_break()
    assert b.read(IIR) == 6
    assert b.read(LSR) & 0x11 == 0x11
    assert b.read(LSR) & 0x10 == 0
    assert b.read(IIR) == 4
    assert b.read(RBR) == 0
    assert b.read(IIR) == 2
    assert b.read(IIR) == 0
    assert b.read(MSR) & 0x0F
    assert b.read(IIR) == 1
    assert not b.line


def test_loopback() -> None:
    b = Bench()
    b.write(FCR, 1)
    b.uart.receive(b"outside")
    b.write(MCR, 0x1A)  # Linux's autoconfiguration probe
    assert b.read(MSR) & 0xF0 == 0x90
    assert b.slots[MACHINE["uart_ier"]] & 2, "native THR writes must come to Python"
    assert b.read(IER) == 0
    assert not b.read(LSR) & 1
    for byte in b"0123456789abcdefg":
        b.write(THR, byte)
    assert b.read(LSR) & 3 == 3  # the 17th overran
    assert bytes(b.read(RBR) for _ in range(16)) == b"0123456789abcdef"
    b.write(MCR, 0x0B)
    assert b.read(MSR) & 0xF0 == 0xB0
    assert bytes(b.read(RBR) for _ in range(7)) == b"outside"
    b.uart.drain()
    assert b.out == []


def test_wide_accesses_reach_one_register_and_holes_fault() -> None:
    b = Bench()
    assert b.uart.read(LSR, Access(4, 0)) == 0x60
    b.uart.write(THR, 0x4142_4344, Access(4, 0))
    b.uart.drain()
    assert b.out == [b"D"]
    with pytest.raises(BusFault):
        b.read(8)
    with pytest.raises(BusFault):
        b.write(0xFF, 0)
