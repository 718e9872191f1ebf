"""Non-stop mode on the wire."""

from __future__ import annotations

import re
import socket
import time
from collections.abc import Iterator

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import PC
from otoriscv.gdbstub.packets import frame
from tests.fake_target import BASE, CRASH, EBREAK, EXIT, LOOP, PRINT, FakeTarget
from tests.stub import until


class Wire:
    """A connection that sees replies and notifications in their order."""

    def __init__(self, address: tuple[str, int]) -> None:
        self._socket = socket.create_connection(address, 5)
        self._buffer = b""
        for packet in (b"qSupported:swbreak+;error-message+", b"QStartNoAckMode"):
            self.ask(packet)

    def close(self) -> None:
        self._socket.close()

    def next(self) -> str:
        """The next packet, with its first character."""
        while (match := re.search(rb"[$%][^#]*#..", self._buffer)) is None:
            data = self._socket.recv(1 << 16)
            assert data, "the server hung up"
            self._buffer += data
        self._buffer = self._buffer[match.end() :]
        return match[0][:-3].decode("latin-1")

    def send(self, packet: bytes) -> None:
        self._socket.sendall(frame(packet))

    def ask(self, packet: bytes) -> str:
        """The reply, when no notification comes before it."""
        self.send(packet)
        return self.next()

    def monitor(self, command: bytes) -> str:
        """What a monitor command prints."""
        text = ""
        reply = self.ask(b"qRcmd," + command.hex().encode())
        while reply != "$OK":
            assert reply.startswith("$O"), reply
            text += bytes.fromhex(reply[2:]).decode()
            reply = self.next()
        return text

    def quiet(self) -> bool:
        """Whether nothing comes for a moment."""
        self._socket.settimeout(0.05)
        try:
            self._buffer += self._socket.recv(100)
            return False
        except TimeoutError:
            return True
        finally:
            self._socket.settimeout(5)


@pytest.fixture
def target() -> FakeTarget:
    target = FakeTarget(harts=3)
    target.load(LOOP, 0, 0, EBREAK)
    return target


@pytest.fixture
def wire(target: FakeTarget) -> Iterator[Wire]:
    server = GdbServer(target)
    server.start()
    wire = Wire(server.address)
    assert wire.ask(b"QNonStop:1") == "$OK"
    yield wire
    wire.close()
    server.close()
    assert not target.running


def stops(wire: Wire) -> list[str]:
    """The stops from a notification on: signal and thread."""
    found = [wire.next().removeprefix("%Stop:")]
    while (reply := wire.ask(b"vStopped")) != "$OK":
        found.append(reply[1:])
    return [stop.partition(";")[0] for stop in found]


def test_what_is_halted_is_told_one_by_one(wire: Wire) -> None:
    first = wire.ask(b"?")
    assert first.startswith("$T00thread:1;")
    assert wire.ask(b"vStopped") == "$OK"
    assert stops(wire) == ["T00thread:2", "T00thread:3"]


def test_harts_run_and_stop_one_by_one(wire: Wire, target: FakeTarget) -> None:
    assert wire.ask(b"vCont;c:1") == "$OK"
    assert target.running
    assert wire.ask(b"vCont;c:2") == "$OK"
    assert wire.ask(b"vCont;c:1") == "$OK"  # it does already
    assert wire.ask(b"vCont;t:1") == "$OK"
    assert stops(wire) == ["T00thread:1"]
    assert target.running
    assert wire.ask(b"vCont;s:3") == "$OK"
    assert stops(wire) == ["T05thread:3"]
    assert target.running
    assert wire.ask(b"?").startswith("$T00thread:1;")  # and 3, but 2 runs
    assert wire.ask(b"vStopped") == "$OK"
    assert stops(wire) == ["T00thread:3"]
    assert wire.ask(b"vCont;t") == "$OK"
    assert stops(wire) == ["T00thread:2"]
    assert not target.running
    assert wire.ask(b"vCont;t") == "$OK"
    assert wire.quiet()


def test_a_range_is_left_while_others_run(wire: Wire, target: FakeTarget) -> None:
    for hart in range(3):
        target.values[hart][PC] = BASE + 0x100  # nothing but steps
    target.load_at(0x200, LOOP)
    assert wire.ask(b"vCont;r80000104,80000180:2;c:1") == "$OK"
    # at once, and not after one instruction; hart 1 has come to its loop meanwhile or will
    assert stops(wire) == ["T05thread:2"]
    assert target.values[1][PC] == BASE + 0x180
    assert target.values[2][PC] == BASE + 0x100
    until(lambda: target.values[0][PC] == BASE + 0x200)
    assert target.running


def test_a_range_goes_on_after_others_have_stopped(wire: Wire, target: FakeTarget) -> None:
    assert wire.ask(b"vCont;r80000000,80000004:1") == "$OK"  # a loop in one line
    assert wire.ask(b"vCont;c:2") == "$OK"
    assert wire.ask(b"vCont;r80000000,80000004:1") == "$OK"  # it does already
    assert wire.ask(b"vCont;t:2") == "$OK"
    assert stops(wire) == ["T00thread:2"]
    assert target.running
    # a second range meanwhile is reported step by step
    assert wire.ask(b"vCont;r80000000,80000004:3") == "$OK"
    assert stops(wire) == ["T05thread:3"]
    assert wire.ask(b"qThreadExtraInfo,1") == "$" + b"Hart 0: M-mode, running".hex()
    assert wire.ask(b"qThreadExtraInfo,2") == "$" + b"Hart 1: M-mode, halted".hex()
    target.memory[:4] = bytes(4)  # no loop any more
    assert stops(wire) == ["T05thread:1"]
    assert target.values[0][PC] == BASE + 4
    assert not target.running
    # an interrupt ends one, too, and what runs later is no range
    target.values[0][PC] = BASE + 0x100
    target.load_at(0x100, LOOP)
    assert wire.ask(b"vCont;r80000100,80000104:1") == "$OK"
    assert wire.ask(b"vCtrlC") == "$OK"
    assert stops(wire) == ["T02thread:1"]
    assert wire.ask(b"vCont;c:1") == "$OK"
    target.load_at(0x100, 0)
    target.load_at(0x104, EBREAK)
    assert stops(wire) == ["T05thread:1"]
    assert target.values[0][PC] == BASE + 0x104


def test_what_the_guest_prints_waits_for_a_monitor_command(wire: Wire, target: FakeTarget) -> None:
    target.load(*(PRINT for _ in range(5)), LOOP)
    target.values[0][11] = ord("a")
    assert wire.ask(b"vCont;c:1") == "$OK"
    until(lambda: target.values[0][PC] == BASE + 20)
    assert wire.quiet()  # a packet could be taken for an answer
    assert wire.monitor(b"console") == "aaaaa"
    assert wire.monitor(b"console") == ""
    target.values[1][11] = ord("b")
    assert wire.ask(b"vCont;c:2") == "$OK"
    until(lambda: target.values[1][PC] == BASE + 20)
    assert wire.monitor(b"info fake") == "bbbbba fake machine\n"
    target.load_at(40, CRASH)
    target.values[2][PC] = BASE + 40
    assert wire.ask(b"vCont;c:3") == "$OK"
    assert stops(wire) == ["T0bthread:3"]
    assert wire.monitor(b"console") == "the guest crashed\n"


def test_what_nobody_fetches_comes_in_all_stop_mode(wire: Wire, target: FakeTarget) -> None:
    target.load(PRINT, LOOP)
    target.values[0][11] = ord("a")
    assert wire.ask(b"vCont;c:1") == "$OK"
    until(lambda: target.values[0][PC] == BASE + 4)
    assert wire.ask(b"QNonStop:0") == "$OK"
    assert wire.ask(b"vCont;s:1") == "$O61"
    assert wire.next().startswith("$T05")


def test_looking_while_others_run(wire: Wire, target: FakeTarget) -> None:
    target.values[1][PC] = BASE + 4
    assert wire.ask(b"vCont;c:1") == "$OK"
    assert wire.ask(b"Hg2") == "$OK"
    assert wire.ask(b"p20") == "$04000080"
    assert wire.ask(b"P5=01000000") == "$OK"
    assert wire.ask(b"m80000000,4") == "$07000000"
    assert wire.ask(b"Z0,80000008,4") == "$OK"
    assert target.breakpoints == {BASE + 8}  # at once: hart 1 runs
    assert wire.ask(b"vCont;c:2") == "$OK"
    assert wire.next().startswith("%Stop:T05thread:2;core:1;swbreak:;")
    assert wire.ask(b"vStopped") == "$OK"
    assert target.running


def test_stops_wait_until_they_are_fetched(wire: Wire, target: FakeTarget) -> None:
    for hart in (1, 2):
        target.values[hart][PC] = BASE + 4
    assert wire.ask(b"vCont;c") == "$OK"
    until(lambda: target.values[2][PC] == BASE + 12)
    time.sleep(0.05)
    assert stops(wire) == ["T05thread:2", "T05thread:3"]
    assert wire.quiet()
    assert wire.ask(b"vStopped") == "$OK"  # nothing to fetch
    assert target.running


def test_interrupt(wire: Wire, target: FakeTarget) -> None:
    assert wire.ask(b"vCont;c:2;c:3") == "$OK"
    assert wire.ask(b"vCtrlC") == "$OK"
    assert stops(wire) == ["T02thread:2"]
    assert target.running
    wire._socket.sendall(b"\x03")
    assert stops(wire) == ["T02thread:3"]
    assert not target.running
    assert wire.ask(b"vCtrlC") == "$OK"
    assert wire.quiet()


def test_the_end(wire: Wire, target: FakeTarget) -> None:
    target.load(EXIT)
    assert wire.ask(b"vCont;c:2") == "$OK"
    assert wire.next() == "%Stop:W00"
    assert wire.ask(b"vStopped") == "$OK"
    assert wire.ask(b"vCont;c:1") == "$W00"


def test_back_to_all_stop(wire: Wire, target: FakeTarget) -> None:
    assert wire.ask(b"vCont;c:1") == "$OK"
    assert wire.ask(b"QNonStop:0") == "$OK"
    assert not target.running
    assert wire.ask(b"vStopped").startswith("$E.")
    assert wire.ask(b"QNonStop:2").startswith("$E.")
    assert wire.ask(b"vCont;s:2").startswith("$T05thread:2")


def test_detach_and_kill(wire: Wire, target: FakeTarget) -> None:
    wire.ask(b"!")
    assert wire.ask(b"vCont;c:1") == "$OK"
    assert wire.ask(b"D") == "$OK"
    assert target.running and not target.attached
    assert wire.ask(b"vAttach;1").startswith("$T")
    assert wire.ask(b"vCont;c:1") == "$OK"
    assert wire.ask(b"vKill;1") == "$OK"
    assert not target.running


def test_a_watcher_cannot(wire: Wire, target: FakeTarget) -> None:
    assert wire.ask(b"vCont;c:1") == "$OK"
    server_address = wire._socket.getpeername()
    other = Wire(server_address)
    assert other.ask(b"QNonStop:1") == "$OK"
    assert other.ask(b"vCont;c:2").startswith("$E.another")
    assert other.ask(b"vCtrlC") == "$OK"
    assert other.ask(b"QNonStop:0") == "$OK"
    assert target.running
    other.close()
