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
from tests.fake_target import BASE, EBREAK, EXIT, LOOP, FakeTarget
from tests.test_gdbstub_session import until


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
