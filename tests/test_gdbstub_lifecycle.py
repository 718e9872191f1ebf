"""A guest ends, is killed or reset; clients come, detach and vanish."""

from __future__ import annotations

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import PC, ClientError, RspClient
from otoriscv.gdbstub.target import StopEvent, StopKind
from tests.fake_target import (
    BASE,
    EBREAK,
    EXIT,
    LOOP,
    FakeTarget,
)
from tests.stub import Connect, until


def test_exit_and_restart(client: RspClient, target: FakeTarget) -> None:
    target.load(0, 0, EXIT)
    client.command(b"!")
    client.write_register(10, 42)
    assert client.resume().exit_code == 42
    assert client.request(b"qfThreadInfo") == b"l"
    assert client.request(b"T1").startswith(b"E.")
    assert client.resume().exit_code == 42
    assert client.why().exit_code == 42
    assert client.request(b"vRun;").startswith(b"T05")
    assert client.read_register(PC) == BASE
    client.send(b"R00")
    assert client.why().signal == 5


def test_a_new_client_finds_a_living_guest(connect: Connect, target: FakeTarget) -> None:
    target.load(EXIT)
    first = connect()
    assert first.resume().exit_code == 0
    first.close()
    connect().close()
    until(lambda: target.last_stop.kind is StopKind.INTERRUPT)
    assert connect().why().signal == 5


def test_kill(client: RspClient, target: FakeTarget) -> None:
    client.command(b"!")
    assert client.request(b"vKill;1") == b"OK"
    assert target.kills == 1
    assert client.request(b"?") == b"X09"
    assert client.request(b"vRun;").startswith(b"T05")
    client.command(b"qSupported")


def test_kill_without_extended_mode_hangs_up(client: RspClient, target: FakeTarget) -> None:
    client.send(b"k")
    with pytest.raises(ClientError):
        client.receive()
    assert target.kills == 1


def test_kill_while_running(client: RspClient, target: FakeTarget) -> None:
    target.load(LOOP)
    client.send(b"c")
    client.kill()
    until(lambda: target.kills == 1)
    assert not target.running


def test_a_lost_client_leaves_a_halted_machine(connect: Connect, target: FakeTarget) -> None:
    target.load(LOOP)
    client = connect()
    client.insert_breakpoint(BASE + 0x100)
    client.send(b"c")
    until(lambda: target.running)
    client.close()
    until(lambda: not target.running)
    until(lambda: not target.breakpoints and not target.attached)
    assert connect().why().signal == 5
    assert target.attached


def test_detach_lets_the_guest_run(connect: Connect, target: FakeTarget) -> None:
    target.load(EBREAK, LOOP)
    client = connect()
    client.insert_breakpoint(BASE + 4)
    client.detach()
    until(lambda: target.running)
    assert not target.attached
    again = connect()
    assert again.why().signal == 5
    assert again.read_register(PC) == BASE + 4


def test_detach_and_attach_in_extended_mode(client: RspClient, target: FakeTarget) -> None:
    target.load(LOOP)
    client.command(b"!")
    client.command(b"D")
    assert target.running
    assert client.request(b"?") == b"W00"
    assert client.request(b"g").startswith(b"E.")
    assert client.request(b"vAttach;1").startswith(b"T05")
    assert len(client.read_registers()) == 33
    assert client.request(b"D;1") == b"OK"
    assert client.request(b"vRun;").startswith(b"T05")
    assert not target.running


def test_under_boot_the_guest_goes_on(target: FakeTarget) -> None:
    target.load(*[0] * 8, LOOP)
    server = GdbServer(target, on_disconnect="resume")
    server.start()
    client = RspClient(*server.address)
    client.insert_breakpoint(BASE + 4)
    client.resume()
    client.close()
    until(lambda: target.running and target.values[0][PC] == BASE + 32)
    assert not target.breakpoints
    again = RspClient(*server.address)
    assert again.read_register(PC) == BASE + 32
    again.write_memory(BASE + 32, EXIT.to_bytes(4, "little"))
    again.write_register(10, 9)
    again.close()
    assert server.join(5)
    assert server.ending == StopEvent(StopKind.EXIT, code=9)


def test_under_boot_a_guest_that_ends_before_a_client_ends_the_server(target: FakeTarget) -> None:
    target.load(EXIT)
    server = GdbServer(target, on_disconnect="resume")
    server.start()
    RspClient(*server.address).close()
    assert server.join(5)
    assert server.ending is not None


def test_under_boot_a_killed_guest_ends_the_server(target: FakeTarget) -> None:
    server = GdbServer(target, on_disconnect="resume")
    server.start()
    RspClient(*server.address).kill()
    assert server.join(5)
    assert server.ending is not None
    assert server.ending.message == "killed by the debugger"
    assert not target.running


def test_after_a_kill_the_next_client_starts_anew(connect: Connect, target: FakeTarget) -> None:
    client = connect()
    client.step()
    client.kill()
    assert connect().read_register(PC) == BASE


def test_monitor(client: RspClient, target: FakeTarget) -> None:
    assert "reset [halt]" in client.monitor("help")
    assert "reset [halt]" in client.monitor("")
    assert client.monitor("info fake") == "a fake machine\n"
    assert "topics: fake" in client.monitor("info nonsense")
    assert "no monitor command 'xyz'" in client.monitor("xyz")
    client.step()
    client.monitor("reset halt")
    assert client.read_register(PC) == BASE
    assert "Usage" in client.monitor("reset again")
