"""The stub over real sockets, with a machine of the tests behind it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otoriscv.gdbstub import GdbServer, ListenError, parse_address
from otoriscv.gdbstub.client import PC, ClientError, RspClient
from otoriscv.gdbstub.packets import MAX_PACKET, frame
from otoriscv.gdbstub.session import Session
from otoriscv.gdbstub.target import StopEvent, StopKind
from otoriscv.gdbstub.transport import TcpTransport
from tests.fake_target import (
    BASE,
    CRASH,
    EBREAK,
    EXIT,
    LOAD,
    LOOP,
    PRINT,
    SIZE,
    STORE,
    FakeTarget,
)

ROOT = Path(__file__).resolve().parent.parent
Connect = Callable[..., RspClient]


@pytest.fixture
def target() -> Iterator[FakeTarget]:
    target = FakeTarget()
    yield target
    target.stop()


@pytest.fixture
def server(target: FakeTarget) -> Iterator[GdbServer]:
    server = GdbServer(target)
    server.start()
    yield server
    server.close()
    assert server.join(5)


@pytest.fixture
def connect(server: GdbServer) -> Iterator[Connect]:
    clients: list[RspClient] = []

    def connect(no_ack: bool = True) -> RspClient:
        clients.append(RspClient(*server.address, timeout=10, no_ack=no_ack))
        return clients[-1]

    yield connect
    for client in clients:
        client.close()


@pytest.fixture
def client(connect: Connect) -> RspClient:
    return connect()


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)


# Queries.


def test_features(client: RspClient) -> None:
    features = client.features.split(";")
    assert f"PacketSize={MAX_PACKET:x}" in features
    assert {"QStartNoAckMode+", "swbreak+", "hwbreak+", "qXfer:features:read+"} <= set(features)
    assert "multiprocess+" not in features


@pytest.mark.parametrize(
    ("packet", "reply"),
    [
        (b"vMustReplyEmpty", b""),
        (b"qNoSuchThing", b""),
        (b"_", b""),
        (b"", b""),
        (b"qAttached", b"1"),
        (b"qC", b"QC1"),
        (b"qfThreadInfo", b"m1"),
        (b"qsThreadInfo", b"l"),
        (b"T1", b"OK"),
        (b"Hg0", b"OK"),
        (b"Hc-1", b"OK"),
        (b"Hgp1.1", b"OK"),
        (b"vCont?", b"vCont;c;C;s;S;t;r"),
        (b"Z9,80000000,4", b""),
        (b"vFile:open:1,2,3", b"F-1,2"),
        (b"!", b"OK"),
        (b"X80000000,0:", b"OK"),
        (b"qThreadExtraInfo,1", b"Hart 0: M-mode, halted".hex().encode()),
    ],
)
def test_simple_replies(client: RspClient, packet: bytes, reply: bytes) -> None:
    assert client.request(packet) == reply


@pytest.mark.parametrize(
    "packet",
    [
        b"m", b"m80000000", b"mxyz,4", b"m80000000,", b"m80000000,0", b"m,", b"m0,4",
        b"mfffffffffffffffff,4", b"m180000000,4", b"M80000000,4:00", b"M80000000,1:0g",
        b"M80000000,2:000", b"X80000000,4:abc", b"X,:", b"M0,1:00", b"p", b"pzz", b"p9999",
        b"P1", b"P1=", b"P1=00", b"P1=xx", b"G00", b"Gzz", b"H", b"Hx1", b"Hg9", b"T0", b"T7",
        b"Tzz", b"Z", b"Z0", b"Z0,zz,4", b"Z2,80000000,0", b"Z2,ffffffff,8", b"z0,1", b"vCont",
        b"vCont;x", b"vCont;s:9", b"vCont;", b"vCont;C", b"S", b"Cxx", b"czz", b"qRcmd",
        b"qRcmd,zz", b"qXfer:features:read:target.xml:zz,1", b"qXfer:features:read:other.xml:0,1",
        b"qXfer:features:read:target.xml:fffffff,1", b"QStartNoAckMode:1",
    ],
)  # fmt: skip
def test_malformed_packets_get_an_error(client: RspClient, packet: bytes) -> None:
    assert client.request(packet).startswith(b"E.")
    assert client.request(b"qC") == b"QC1"


def test_error_numbers_for_a_client_that_knows_no_texts(client: RspClient) -> None:
    client.request(b"qSupported:swbreak+")
    assert client.request(b"m0,4") == b"E0e"
    assert client.request(b"mx,4") == b"E01"


def test_an_error_text_is_escaped(client: RspClient) -> None:
    assert client.request(b"qRcmd," + b"no#$}*such".hex().encode()) == b"OK"


@pytest.mark.parametrize("xlen", [32, 64])
def test_target_description(xlen: int) -> None:
    server = GdbServer(FakeTarget(xlen))
    server.start()
    with RspClient(*server.address) as client:
        assert client.xlen == xlen
        document = b""
        while True:
            reply = client.request(b"qXfer:features:read:target.xml:%x,%x" % (len(document), 100))
            document += reply[1:]
            if reply[:1] == b"l":
                break
    server.close()
    for expected in (f"riscv:rv{xlen}", "riscv.cpu", "riscv.csr", "riscv.virtual", '"mstatus"'):
        assert expected.encode() in document
    assert b"riscv.fpu" not in document


def test_thread_list() -> None:
    server = GdbServer(FakeTarget(harts=3))
    server.start()
    with RspClient(*server.address) as client:
        reply = client.request(b"qXfer:threads:read::0,1000")
        assert reply.startswith(b"l")
        assert reply.count(b"<thread ") == 3
        assert b'name="Hart 2">M-mode, halted<' in reply
        assert client.request(b"qfThreadInfo") == b"m1,2,3"
    server.close()


# Registers and memory.


def test_registers(client: RspClient) -> None:
    client.write_register(5, 0x12345678)
    client.write_register(0, 7)
    values = client.read_registers()
    assert (values[5], values[0], values[PC]) == (0x12345678, 0, BASE)
    everything = client.request(b"g")
    assert client.request(b"G" + b"11" * 4 + everything[8:]) == b"OK"
    assert client.request(b"g") == everything
    assert client.read_register(65 + 0x301) == 1 << 30 | 0x1105


def test_memory(client: RspClient) -> None:
    data = bytes(range(256)) * 4000
    client.write_memory(BASE, data)
    assert client.read_memory(BASE, len(data)) == data
    client.command(b"M80000003,2:beef")
    assert client.read_memory(BASE + 2, 4) == b"\x02\xbe\xef\x05"
    assert client.read_memory(0xFFFF_FFFF_0000_0000 | BASE, 4) == b"\x00\x01\x02\xbe"
    assert client.request(b"m%x,10" % (BASE + SIZE - 2)) == b"0000"


def test_a_large_read_is_compressed_and_whole(client: RspClient, target: FakeTarget) -> None:
    target.memory[5000:5004] = b"}#$*"
    assert client.read_memory(BASE, SIZE) == bytes(target.memory)


# Running.


def test_step_and_continue(client: RspClient) -> None:
    assert client.step().registers[PC] == BASE + 4
    client.insert_breakpoint(BASE + 0x100)
    stop = client.resume()
    assert (stop.signal, stop.thread, stop.reason) == (5, 1, "swbreak")
    assert stop.registers[PC] == BASE + 0x100
    assert "core:0;" in stop.raw


def test_continue_and_step_with_old_packets(client: RspClient) -> None:
    client.insert_breakpoint(BASE + 0x20)
    for packet, pc in ((b"s", 4), (b"S05", 8), (b"s80000010", 0x14), (b"c", 0x20)):
        client.send(packet)
        assert client.wait().registers[PC] == BASE + pc
    client.send(b"C05;80000018")
    assert client.wait().registers[PC] == BASE + 0x20


def test_breakpoint_kinds(client: RspClient) -> None:
    client.insert_breakpoint(BASE + 0x10, hardware=True)
    assert client.resume().reason == "hwbreak"
    client.insert_breakpoint(BASE + 0x20)
    assert client.resume().reason == "swbreak"
    client.request(b"qSupported")
    client.insert_breakpoint(BASE + 0x30)
    assert client.resume().reason == ""


def test_breakpoints_that_come_and_go_cost_nothing(client: RspClient, target: FakeTarget) -> None:
    for offset in range(0, 400, 4):
        client.insert_breakpoint(BASE + 0x100 + offset)
    client.resume()
    before = target.inserted
    for _ in range(3):
        for edit in (client.remove_breakpoint, client.insert_breakpoint):
            for offset in range(0, 400, 4):
                edit(BASE + 0x100 + offset)
            client.step()
        client.resume()
    assert target.inserted == before


@pytest.mark.parametrize(
    ("kind", "word", "reason"),
    [("w", STORE, "watch"), ("r", LOAD, "rwatch"), ("rw", STORE, "awatch"), ("rw", LOAD, "awatch")],
)
def test_watchpoints(
    client: RspClient, target: FakeTarget, kind: str, word: int, reason: str
) -> None:
    target.load(0, 0, word, 0, LOOP)
    client.write_register(10, BASE + 0x1002)
    client.insert_watchpoint(kind, BASE + 0x1004, 1)
    stop = client.resume()
    assert (stop.reason, stop.address) == (reason, BASE + 0x1004)
    assert stop.registers[PC] == BASE + 8
    client.insert_breakpoint(BASE + 12)
    assert client.resume().registers[PC] == BASE + 12
    client.remove_watchpoint(kind, BASE + 0x1004, 1)
    client.step()
    assert not target.watchpoints


def test_the_watchpoint_that_was_touched_among_neighbours(
    client: RspClient, target: FakeTarget
) -> None:
    target.load(0, LOAD, LOOP)
    for n in range(7):
        client.insert_watchpoint("r", BASE + 0x1001 + n, 1)
    client.write_register(10, BASE + 0x1002)
    assert client.resume().address == BASE + 0x1002
    client.write_register(10, BASE + 0xFFE)  # begins before all of them
    client.write_register(PC, BASE)
    assert client.resume().address == BASE + 0x1001


def test_ebreak_is_a_plain_trap(client: RspClient, target: FakeTarget) -> None:
    target.load(0, EBREAK)
    stop = client.resume()
    assert (stop.signal, stop.reason, stop.registers[PC]) == (5, "", BASE + 4)


def test_interrupt(client: RspClient, target: FakeTarget) -> None:
    target.load(LOOP)
    for _ in range(5):
        client.send(b"vCont;c")
        client.interrupt()
        assert client.wait().signal == 2
    client.interrupt()  # nothing runs: nothing happens
    assert client.request(b"qC") == b"QC1"


def test_stop_of_a_running_thread(client: RspClient, target: FakeTarget) -> None:
    target.load(LOOP)
    client.send(b"vCont;c")
    client.send(b"vCont;t")
    assert client.wait().signal == 0
    client.send(b"vCont;t")
    assert client.wait().raw.startswith("T05")


def test_packets_sent_while_the_machine_runs_are_answered_after(
    client: RspClient, target: FakeTarget
) -> None:
    target.load(LOOP)
    client.send(b"c")
    client.send(b"qC")
    client.send(b"?")
    client.interrupt()
    assert client.wait().signal == 2
    assert client.receive() == b"QC1"
    assert client.receive().startswith(b"T05")


def test_output_comes_before_the_stop(server: GdbServer, target: FakeTarget) -> None:
    target.load(*([PRINT] * 300), EBREAK)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        client.write_register(11, ord("x"))
        client.step()
        assert seen == [b"x"]
        client.resume()
    assert b"".join(seen) == b"x" * 300


def test_crash_says_why(server: GdbServer, target: FakeTarget) -> None:
    target.load(0, CRASH)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        assert client.resume().signal == 11
        assert b"the guest crashed" in b"".join(seen)
        assert client.why().signal == 11


def test_a_machine_that_fails_is_a_crash(
    server: GdbServer, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(timeout: float | None) -> StopEvent | None:
        target._thread = None
        raise RuntimeError("the device exploded")

    target.load(EBREAK)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        monkeypatch.setattr(target, "wait", broken)
        assert client.resume().signal == 11
        assert b"the device exploded" in b"".join(seen)
        monkeypatch.undo()
        monkeypatch.setattr(target, "step", lambda hart: 1 // 0)
        assert client.request(b"s").startswith(b"E.ZeroDivisionError")


def test_harts() -> None:
    target = FakeTarget(harts=3)
    server = GdbServer(target)
    server.start()

    def pcs() -> list[int]:
        return [values[PC] - BASE for values in target.values]

    with RspClient(*server.address) as client:
        assert client.step(2).thread == 2
        assert pcs() == [0, 4, 0]
        client.send(b"vCont;s:3;c:1")
        assert client.wait().thread == 3
        assert pcs() == [4, 4, 4]
        client.send(b"vCont;s:1;c")
        assert client.wait().thread == 1
        client.request(b"Hc2")
        client.send(b"s")
        assert client.wait().thread == 2
        assert client.request(b"qC") == b"QC2"
        client.request(b"Hg3")
        client.write_register(9, 77)
        assert target.values[2][9] == 77
    server.close()


# Ends and beginnings.


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


# The wire.


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
