"""Several clients at once: one owns the machine, the others watch."""

from __future__ import annotations

import random
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace
from typing import cast

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub import server as server_module
from otoriscv.gdbstub.client import PC, ClientError, RspClient
from otoriscv.gdbstub.packets import frame
from otoriscv.gdbstub.target import StopKind
from otoriscv.gdbstub.transport import TcpTransport
from tests.fake_target import BASE, EBREAK, EXIT, LOOP, PRINT, SIZE, FakeTarget
from tests.stub import Connect, until


@pytest.fixture
def target() -> FakeTarget:
    target = FakeTarget(harts=2)
    target.load(LOOP)
    return target


def test_one_owns_and_the_others_watch(connect: Connect, target: FakeTarget) -> None:
    owner, watcher = connect(), connect()
    owner.write_register(5, 17)
    assert watcher.read_register(5) == 17
    assert watcher.why().signal == 5
    assert "thing" not in watcher.monitor("watch")
    for packet in (
        b"P5=11000000", b"G" + b"00" * 132, b"M80000000,1:00", b"X80000000,1:x", b"Z0,80000000,4",
        b"vCont;s:1", b"s", b"c80000004", b"R00", b"vRun;", b"vCont;r0,4:1",
        b"qRcmd," + b"reset".hex().encode(), b"qRcmd," + b"watch 0x80000000".hex().encode(),
        b"qRcmd," + b"quantum 7".hex().encode(), b"qRcmd," + b"restore x".hex().encode(),
    ):  # fmt: skip
        assert watcher.request(packet).startswith(b"E.another debugger owns"), packet
    assert owner.read_register(5) == 17
    assert not target.breakpoints


def test_reading_while_it_runs(connect: Connect, target: FakeTarget) -> None:
    target.load(*[0] * 2000, LOOP)
    owner, watcher = connect(), connect()
    owner.send(b"vCont;c")
    until(lambda: target.running)
    seen = []
    for _ in range(20):
        seen.append(watcher.read_register(PC))
        time.sleep(0.005)
    assert seen == sorted(seen) and seen[0] < seen[-1]
    assert watcher.why().signal == 5
    assert watcher.read_memory(BASE, 8) == bytes(8)
    assert watcher.monitor("info fake") == "a fake machine\n"
    assert target.running
    owner.interrupt()
    assert owner.wait().signal == 2


def test_a_watcher_hears_of_stops(server: GdbServer, connect: Connect, target: FakeTarget) -> None:
    target.load(0, 0, EBREAK, 0, LOOP)
    target.values[1][PC] = BASE + 16
    owner, watcher, other = connect(), connect(), connect()

    def somebody_waits() -> bool:  # packets of two clients have no order
        return any(client.session.running for client in server._connected)

    watcher.send(b"vCont;c")
    until(somebody_waits)
    other.send(b"c")
    other.interrupt()  # stops waiting, not the machine
    assert other.wait().signal == 2
    assert owner.resume().registers[PC] == BASE + 8
    assert watcher.wait().registers[PC] == BASE + 8
    watcher.send(b"c")
    until(somebody_waits)
    owner.step()
    assert watcher.wait().registers[PC] == BASE + 8
    owner.write_register(PC, BASE + 12)
    watcher.send(b"c")
    until(somebody_waits)
    owner.send(b"c")
    owner.interrupt()
    assert owner.wait().signal == 2
    assert watcher.wait().signal == 2


def test_output_reaches_everybody(server: GdbServer, target: FakeTarget) -> None:
    target.load(PRINT, PRINT, EBREAK)
    seen: list[list[bytes]] = [[], []]
    with (
        RspClient(*server.address, on_output=seen[0].append) as owner,
        RspClient(*server.address, on_output=seen[1].append) as watcher,
    ):
        owner.write_register(11, ord("x"))
        watcher.send(b"c")
        owner.request(b"Hc1")
        owner.send(b"c")
        owner.wait()
        watcher.wait()
    assert [b"".join(text) for text in seen] == [b"xx", b"xx"]


def test_the_owner_vanishes(connect: Connect, target: FakeTarget) -> None:
    owner, second, third = connect(), connect(), connect()
    owner.insert_breakpoint(BASE + 0x40)
    owner.send(b"vCont;c")
    second.send(b"vCont;c")
    until(lambda: target.running)
    owner.close()
    stop = second.wait()  # the machine was halted for it
    assert stop.signal == 2 and not target.running
    assert not target.breakpoints
    second.write_register(6, 3)
    with pytest.raises(ClientError, match="owns"):
        third.write_register(6, 4)
    second.send(b"vCont;c")
    until(lambda: target.running)
    second.close()
    until(lambda: not target.running)
    third.write_register(6, 4)  # it did not wait: it just owns
    assert target.values[0][6] == 4
    third.close()
    assert connect().read_register(6) == 4


def test_the_owner_detaches(connect: Connect, target: FakeTarget) -> None:
    owner, second, third = connect(), connect(), connect()
    second.send(b"c")
    owner.detach()
    until(lambda: target.running)
    assert third.read_register(PC) == BASE
    second.interrupt()  # what it waits for is its own run now
    assert second.wait().signal == 2
    assert not target.running
    second.command(b"D")
    until(lambda: target.running)
    assert third.read_register(PC) == BASE and target.running
    third.step()  # which owns it, and so halts it
    assert not target.running


def test_a_watcher_leaves_in_any_way(connect: Connect, target: FakeTarget) -> None:
    owner = connect()
    owner.send(b"c")
    until(lambda: target.running)
    connect().detach()
    connect().kill()
    watcher = connect()
    watcher.send(b"c")
    watcher.close()
    assert target.running and target.kills == 0
    owner.interrupt()
    assert owner.wait().signal == 2


def test_the_owner_kills_the_guest(connect: Connect, target: FakeTarget) -> None:
    owner, watcher = connect(), connect()
    watcher.command(b"!")
    watcher.send(b"c")
    owner.kill()
    assert watcher.wait().raw == "X09"
    assert watcher.request(b"vRun;").startswith(b"T05")


def test_the_guest_ends(connect: Connect, target: FakeTarget) -> None:
    target.load(0, EXIT)
    owner, watcher = connect(), connect()
    watcher.send(b"c")
    assert owner.resume().exit_code == 0
    assert watcher.wait().exit_code == 0
    owner.close()
    until(lambda: target.last_stop.kind is StopKind.EXIT)
    assert watcher.why().exit_code == 0


def test_coming_back_after_a_detach(connect: Connect, target: FakeTarget) -> None:
    first = connect()
    first.command(b"!")
    first.command(b"D")
    second = connect()
    second.write_register(7, 1)
    assert first.request(b"vAttach;1").startswith(b"T05")
    with pytest.raises(ClientError, match="owns"):
        first.write_register(7, 2)
    second.close()
    until(lambda: first.request(b"P7=02000000") == b"OK")


def test_two_clients_race(server: GdbServer, target: FakeTarget) -> None:
    """Both do whatever they like at once, and come and go; each is answered, one of them owns."""
    failures: list[object] = []

    def busy(seed: int) -> None:
        rng = random.Random(seed)
        packets = (
            b"g", b"m80000000,40", b"?", b"P5=00000000", b"Z0,80000040,4", b"z0,80000040,4",
            b"vCont;s:1", b"Hg2", b"qC", b"QNonStop:0", b"qfThreadInfo", b"M80000100,1:00",
        )  # fmt: skip
        try:
            for _ in range(6):
                with RspClient(*server.address, timeout=20) as client:
                    for _ in range(40):
                        if rng.random() < 0.1:
                            client.send(b"vCont;c")
                            client.interrupt()
                            client.wait()
                        else:
                            assert client.request(rng.choice(packets)) is not None
        except Exception as error:
            failures.append(error)

    threads = [threading.Thread(target=busy, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert failures == []
    until(lambda: not target.attached)
    assert not target.running and not target.breakpoints


def test_a_client_that_stalls_delays_nobody(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TcpTransport.__init__, "__defaults__", (1.0,))
    target.memory[:] = b"Z" * SIZE
    server = GdbServer(target)
    server.start()
    with RspClient(*server.address, timeout=5) as owner:
        stalled = socket.create_connection(server.address, 5)
        stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        # a gigabyte of answers: all but the first must stay unanswered, not wait in memory
        stalled.sendall(b"+" + frame(b"m80000000,7fff0") * 1000)
        began = time.monotonic()
        slowest = 0.0
        while time.monotonic() - began < 0.8:
            before = time.monotonic()
            owner.step()
            slowest = max(slowest, time.monotonic() - before)
        assert slowest < 0.5
        kept = max(len(client.transport._unsent) for client in server._connected)
        assert 0 < kept < 3 << 20
        until(lambda: len(server._connected) == 1)  # hung up
        assert owner.request(b"qC") == b"QC1"
        stalled.close()
    server.close()


def test_too_many_clients(connect: Connect) -> None:
    clients = [connect() for _ in range(8)]
    with pytest.raises(ClientError, match="closed"):
        connect()
    clients[3].close()
    until(lambda: _lives(connect))


def _lives(connect: Connect) -> bool:
    try:
        return connect().request(b"qC") == b"QC1"
    except ClientError:
        return False


def test_a_client_that_never_pauses_shuts_nobody_out(server: GdbServer, connect: Connect) -> None:
    done = threading.Event()

    def talk() -> None:
        with socket.create_connection(server.address, 5) as wire:
            wire.sendall(frame(b"QStartNoAckMode"))
            while not done.is_set():
                wire.sendall(frame(b"qC") * 20)
                wire.recv(1 << 16)

    talker = threading.Thread(target=talk)
    talker.start()
    try:
        until(lambda: _lives(connect))
    finally:
        done.set()
        talker.join(10)
    assert not talker.is_alive()


class Talker:
    """A client that says a word whenever it is asked, and then *event* happens."""

    def __init__(self, event: Callable[[Talker], object] = lambda talker: None) -> None:
        self.said = 0
        self.busy = False
        self._event = event

    def receive(self) -> bool:
        self.said += 1
        self.busy = self.busy or self.said == 1000  # by then it should have been left
        self._event(self)
        return True


def test_the_only_client_is_left_when_something_else_may_wait(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After so many words somebody may knock; at once when something happened."""
    monkeypatch.setattr(server_module, "_ALERT", 60.0)
    running: list[bool] = []
    monkeypatch.setattr(FakeTarget, "running", property(lambda target: bool(running)))
    server = GdbServer(target)

    def words(event: Callable[[Talker], object] = lambda talker: None) -> int:
        talker = Talker(event)
        server._alert_until = time.monotonic() + 60
        server._converse(cast(server_module._Client, talker))
        return talker.said

    assert words() == 64
    assert words(lambda talker: setattr(talker, "busy", True)) == 1
    assert words(lambda talker: server._wake()) == 1
    assert words() == 0  # nobody has looked what that was
    server._woken = False
    assert words(lambda talker: running.append(True)) == 1
    server.close()


def test_a_client_that_says_nothing_is_left_soon(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    seconds = iter(range(1000))
    clock = SimpleNamespace(monotonic=lambda: float(next(seconds)))
    monkeypatch.setattr(server_module, "time", clock)
    server = GdbServer(target)
    silent = Talker()
    monkeypatch.setattr(silent, "receive", lambda: False)
    server._alert_until = 10.0
    server._converse(cast(server_module._Client, silent))
    assert next(seconds) == 11
    server.close()


def test_one_of_several_clients_is_never_listened_to_alone(
    server: GdbServer, connect: Connect, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone: list[int] = []
    monkeypatch.setattr(server, "_converse", lambda client: alone.append(len(server._connected)))
    first = connect()
    assert first.request(b"qC") == b"QC1"
    until(lambda: 1 in alone)
    second = connect()
    for client in (first, second) * 5:
        assert client.request(b"qC") == b"QC1"
    server._wake()
    until(lambda: not server._woken)
    assert set(alone) == {1}
