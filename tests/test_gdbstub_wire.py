"""The stub's connections: acknowledgements, damage, readers that stall, addresses, stdio."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otoriscv.gdbstub import GdbServer, ListenError, parse_address
from otoriscv.gdbstub.client import PC, ClientError, RspClient
from otoriscv.gdbstub.packets import MAX_PACKET, frame
from otoriscv.gdbstub.session import Session
from otoriscv.gdbstub.transport import StdioTransport, TcpTransport
from tests.fake_target import (
    BASE,
    LOOP,
    SIZE,
    FakeTarget,
)
from tests.stub import Connect, until

ROOT = Path(__file__).resolve().parent.parent


def test_acknowledgements(server: GdbServer) -> None:
    with socket.create_connection(server.address, 5) as wire:
        wire.sendall(b"+$qC#b4")
        received = b""
        while len(received) < 8:
            received += wire.recv(100)
        assert received == b"+$QC1#c5"
        wire.sendall(b"-")
        assert wire.recv(100) == b"$QC1#c5"
        wire.sendall(b"$qC#00")
        assert wire.recv(100) == b"-"
        wire.sendall(b"+garbage\xff$m80#$qC#b4")
        received = b""
        while not received.endswith(b"#c5"):
            received += wire.recv(100)
        assert received.startswith(b"-")


def test_a_greeting_that_was_sent_again_is_answered_once(server: GdbServer) -> None:
    """gdb's, when the server took longer than two seconds to start behind a pipe."""
    with socket.create_connection(server.address, 5) as wire:
        wire.sendall(b"+" + 3 * frame(b"qSupported:swbreak+") + frame(b"vMustReplyEmpty"))
        received = b""
        while not received.endswith(b"+$#00"):
            received += wire.recv(4096)
    assert received.startswith(b"+$PacketSize=") and received.count(b"$") == 2


def test_damage_without_acknowledgements_is_an_error(client: RspClient) -> None:
    client.send_raw(b"$qC#00")
    assert client.receive().startswith(b"E.")
    client.send_raw(b"$m80$qC#b4")
    assert client.receive() == b"QC1"


def test_with_acknowledgements_all_along(connect: Connect) -> None:
    client = connect(no_ack=False)
    for _ in range(20):
        client.step()
    assert client.read_register(PC) == BASE + 80


def test_a_packet_above_the_limit_is_refused(client: RspClient) -> None:
    client.send_raw(frame(b"X80000000,200000:" + bytes(2 * MAX_PACKET)))
    assert client.receive().startswith(b"E.")
    assert client.request(b"qC") == b"QC1"


def test_a_client_that_comes_as_the_first_leaves_is_served(connect: Connect) -> None:
    for _ in range(20):
        client = connect()
        assert client.request(b"qC") == b"QC1"
        client.close()


def test_a_stalled_reader_does_not_hang_the_machine(
    target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(TcpTransport.__init__, "__defaults__", (0.3,))
    target.memory[:] = b"Z" * SIZE
    server = GdbServer(target)
    server.start()
    stalled = socket.create_connection(server.address, 5)
    stalled.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    stalled.sendall(b"+" + frame(b"m80000000,7fff0") * 100)
    start = time.monotonic()
    with RspClient(*server.address, timeout=5) as client:
        assert client.request(b"qC") == b"QC1"
    assert time.monotonic() - start < 5
    stalled.close()
    server.close()


def test_a_reader_that_stalls_while_the_guest_prints(target: FakeTarget) -> None:
    """The machine's side never waits: what does not fit is dropped."""
    sent: list[bytes] = []
    session = Session(target, sent.append)
    session.receive(frame(b"vCont;c"))
    for _ in range(300):
        session.output.put(b"x" * 10_000)
    target.stop()
    until(lambda: not target.running)
    session.poll()
    text = b"".join(sent)
    assert len(text) < 3 << 20
    assert b"bytes of output dropped".hex().encode() in text


def test_a_port_that_is_taken(server: GdbServer) -> None:
    with pytest.raises(ListenError, match="already in use"):
        GdbServer(FakeTarget(), port=server.address[1]).bind()
    with pytest.raises(ListenError, match="unknown host"):
        GdbServer(FakeTarget(), "no.such.host.invalid", 0).bind()


def test_ipv6() -> None:
    server = GdbServer(FakeTarget(), "::1")
    try:
        server.start()
    except ListenError:
        pytest.skip("no IPv6 here")
    with RspClient(*server.address) as client:
        assert client.request(b"qC") == b"QC1"
    server.close()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("1234", ("127.0.0.1", 1234)),
        (":1234", ("127.0.0.1", 1234)),
        ("tcp::1234", ("127.0.0.1", 1234)),
        ("0.0.0.0:0", ("0.0.0.0", 0)),
        ("[::1]:99", ("::1", 99)),
    ],
)
def test_addresses(text: str, address: tuple[str, int]) -> None:
    assert parse_address(text) == address


@pytest.mark.parametrize("text", ["", "x", "host:", "1:2:x", "65536", "-1", "\u0663"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(ValueError, match="HOST"):
        parse_address(text)


def test_close_ends_a_session(target: FakeTarget) -> None:
    target.load(LOOP)
    server = GdbServer(target)
    server.start()
    client = RspClient(*server.address)
    client.send(b"c")
    until(lambda: target.running)
    server.close()
    assert server.join(1)
    assert not target.running
    with pytest.raises(ClientError):
        client.receive()


def test_stdio() -> None:
    code = (
        "from otoriscv.gdbstub import GdbServer\n"
        "from tests.fake_target import FakeTarget\n"
        "GdbServer.stdio(FakeTarget()).serve_forever()\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        input=b"+$qC#b4+$g#67+",
        capture_output=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        timeout=30,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(b"+$QC1#c5+$0000")


def test_stdio_is_closed_while_the_client_is_silent() -> None:
    reading, client_out = os.pipe()
    client_in, writing = os.pipe()
    target = FakeTarget()
    server = GdbServer(target, transport=StdioTransport(reading, writing))
    server.start()
    os.write(client_out, b"$qC#b4")
    received = b""
    while len(received) < 8:
        received += os.read(client_in, 100)
    server.close()
    assert server.join(5)
    for end in (reading, client_out, client_in, writing):
        os.close(end)
