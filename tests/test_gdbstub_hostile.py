"""A real machine behind the stub, and clients, bytecode and callbacks that mean no good."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoriscv.board import visits
from otoriscv.board.target import BoardTarget
from otoriscv.core.layout import MAX_WATCHPOINTS
from otoriscv.gdbstub import GdbServer, session
from otoriscv.gdbstub.client import PC, ClientError, RspClient
from otoriscv.gdbstub.commands import monitor, table
from tests.board_guest import FINISH, machine, needs_cc
from tests.stub import until

pytestmark = needs_cc

GUEST = f"""
_start: la s0, word
loop:
    addi s1, s1, 1
here:
    sw s1, 0(s0)
    j loop
{FINISH}
    .data
word: .word 0
"""


class Box:
    """A server over a guest that loops for ever."""

    def __init__(self, engine: str, xlen: int) -> None:
        self.guest = machine(GUEST, engine, xlen, harts=2)
        self.target = BoardTarget(self.guest)
        self.server = GdbServer(self.target)
        self.server.start()

    def connect(self, timeout: float = 10) -> RspClient:
        return RspClient(*self.server.address, timeout=timeout)

    def symbol(self, name: str) -> int:
        found = self.guest.symbols.get(name)
        assert found is not None
        return found.address

    def close(self) -> None:
        self.server.close()
        self.target.shut_down()


@pytest.fixture(params=[("python", 64), ("interp", 32)], ids=lambda p: f"{p[0]}{p[1]}")
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    box = Box(*request.param)
    yield box
    box.close()


BAD = [
    b"", b"0", b"1", b"-1", b"zz", b":", b";", b",", b"=", b"p", b"p-1.-1", b"p1.99",
    b"99", b"0,0", b"0,1", b"ffffffffffffffff", b"ffffffffffffffff,ffffffffffffffff",
    b"80000000,ffffffff", b"80000000,ffffffffffffffff", b"fffffffe,8:", b"10000000,8",
    b"7fffffff,4", b"87fffffc,100", b"100000000000000000", b"1" * 70_000, b"\xff\xfe\x00",
    b":80000000,4", b":memory:80000000;ffffffffffffffff;A", b":memory:80000000;10;",
    b":memory:0;1;A", b":80000000,ffffffff", b":1", b":0;0;0", b"0,80000000,4;X", b"1,,", b"2,0,0",
    b"2,ffffffff,ffffffff", b"4,80000000,ffffffffffffffff", b"g9", b"c9", b";c:9", b";s:-1;c",
    b";r80000000,80000000:1", b";rz,1", b";C", b";t:9", b"20=", b"20=00", b"1041=0200000000000000",
    b"1041=02000000", b",zz", b",68656c70", b",776174636820307830", b":read:x:0,1",
    b":features:read:target.xml:0,ffffffffffffffff", b":threads:read::ffffffffffffffff,1",
    b":open:00,0,0", b":pread:3,ffffffffffffffff,0", b":pread:9,1,1", b":setfs:9", b"1;thread:9;",
]  # fmt: skip


#: These may set the machine going, and then there is no reply.
RUNNING = (b"c", b"C", b"vCont", b"vAttach")
#: These have none, end the session, or change how it talks.
LEFT_OUT = (b"R", b"k", b"D", b"vKill", b"vRun", b"QStartNoAckMode", b"qSupported")


def test_every_packet_with_every_bad_argument(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    """Each is answered (or has no reply by design), and the session goes on."""
    silent = {b"R", b"k"}
    with box.connect() as client:
        client.command(b"!")
        for name in sorted(table._COMMANDS):
            for arguments in BAD:
                if name in silent or name in (b"QStartNoAckMode", b"qSupported"):
                    continue
                client.send(name + arguments)
                try:
                    client._reply(0.2 if name in RUNNING else 60)
                except ClientError as error:
                    assert "does not answer" in str(error), (name, arguments)
                    client.interrupt()
                    client.wait()
            if client.request(b"?") in (b"W00", b"X09"):
                client.command(b"vRun;")
            client.command(b"QNonStop:0")
            assert client.request(b"qC").startswith(b"QC")
            assert len(client.read_registers()) == 33
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.slow
def test_every_packet_of_a_watcher(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    """Nothing that it sends while the owner's machine runs stops or changes that."""
    with box.connect() as owner, box.connect() as client:
        owner.command(b"!")
        owner.insert_breakpoint(box.symbol("finish"))
        words = owner.read_memory(box.symbol("loop"), 16)
        client.command(b"!")
        owner.send(b"vCont;c")
        until(lambda: box.target.running)
        for name in sorted(table._COMMANDS):
            for arguments in BAD:
                if name in LEFT_OUT:
                    continue
                client.send(name + arguments)
                try:
                    client._reply(0.05 if name in RUNNING else 60)
                except ClientError as error:
                    assert "does not answer" in str(error), (name, arguments)
                    client.interrupt()  # it waits for the owner's stop
                    client.wait()
        assert box.target.running
        assert set(box.guest.breakpoints) == {box.symbol("finish")}
        assert not list(box.guest.watchpoints)
        owner.interrupt()
        assert owner.wait().signal == 2
        assert owner.read_memory(box.symbol("loop"), 16) == words
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


@pytest.mark.slow
def test_every_packet_in_non_stop_mode(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    """A hart runs meanwhile; whatever is announced is no answer."""
    with box.connect() as client:
        assert client.request(b"QNonStop:1") == b"OK"
        for name in sorted(table._COMMANDS):
            if name in (*LEFT_OUT, b"QNonStop", b"vAttach"):
                continue
            assert client.request(b"vCont;c:2") == b"OK"
            for arguments in BAD:
                client.send(name + arguments)
                client._reply(60)
            assert client.request(b"qC").startswith(b"QC")
        assert client.request(b"vCont;t") == b"OK"
        assert not box.target.running
        assert client.request(b"QNonStop:0") == b"OK"
        assert len(client.read_registers()) == 33
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


WORDS = (
    "", "x", "-1", "0", "0x", "99999999999999999999", "on off", "halt now", "a b c d e f",
    "\xff\xfe", "word,0", "word,-1", "word,99999999999", "r", "w word,4 if", "rw word if value",
    "word if value == ", "word if value ?? 3", "word if value == 1 && ", "nowhere", "0xffffffff,8",
    "/nonexistent/dir/file", "/", "exec,nothing", "%s%n", "x" * 5000,
)  # fmt: skip


def test_every_monitor_command_with_bad_words(
    box: Box, caplog: pytest.LogCaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each is answered in words, and nothing is left behind."""
    monkeypatch.chdir(tmp_path)  # for `save x`
    with box.connect(60) as client:
        for name in (*monitor._MONITORS, "nothing", ""):
            for words in WORDS:
                text = client.monitor(f"{name} {words}")
                assert "Traceback" not in text and "Error:" not in text, (name, words, text)
        client.monitor("unwatch all")
        client.monitor("log off")
        client.step()
        assert len(client.read_registers()) == 33
    assert [record.message for record in caplog.records if record.levelname == "ERROR"] == []


HOSTILE = {
    "an endless loop": b"210000",
    "an endless loop that pushes": b"2201" + b"210000",
    "pops of nothing": b"29" * 20 + b"27",
    "a deep stack": b"2201" * 5000 + b"27",
    "a jump outside": b"21ffff",
    "no end": b"2201",
    "nothing": b"",
    "an unknown operation": b"fe27",
    "a read of nothing": b"22001927",
    "a division by zero": b"220122000527",
    "a register that is not there": b"26ffff27",
    "a truncated constant": b"2500",
    "a gigabyte read": b"2280" + b"0d" + b"3840000000" + b"27",
}


@pytest.mark.parametrize("what", HOSTILE)
@pytest.mark.parametrize("place", ["condition", "command"])
def test_hostile_bytecode(box: Box, what: str, place: str) -> None:
    code = HOSTILE[what]
    text = b"X%x,%s" % (len(code) // 2, code)
    where = b"Z0,%x,4;" % box.symbol("here")
    with box.connect() as client:
        reply = client.request(where + (text if place == "condition" else b"cmds:0," + text))
        assert reply == b"OK" or reply.startswith(b"E.")
        client.send(b"vCont;c")
        time.sleep(0.05)
        client.interrupt()
        stop = client.wait(5)
        assert stop.signal in (2, 5)
        assert client.request(b"z0,%x,4" % box.symbol("here")) == b"OK"
        client.step()


def test_more_watchpoints_than_there_can_be(box: Box, caplog: pytest.LogCaptureFixture) -> None:
    with box.connect() as client:
        for n in range(MAX_WATCHPOINTS + 1):
            client.insert_watchpoint("w", box.symbol("word") + 64 + n, 1)
        with pytest.raises(ClientError, match="all are in use"):
            client.step()
        with pytest.raises(ClientError, match="all are in use"):
            client.resume()
        client.remove_watchpoint("w", box.symbol("word") + 64, 1)
        client.step()
    assert not caplog.records


def test_a_callback_that_raises(box: Box) -> None:
    def fails(hart: object) -> None:
        raise RuntimeError("the callback failed")

    seen: list[bytes] = []
    remove = box.guest.hooks.add_exec(box.symbol("here"), box.symbol("here") + 2, fails)
    with RspClient(*box.server.address, timeout=10, on_output=seen.append) as client:
        assert client.resume().signal == 11
        assert b"RuntimeError: the callback failed" in b"".join(seen)
        assert client.read_register(PC) == box.symbol("here")
        remove()
        client.send(b"c")
        client.interrupt()
        assert client.wait().signal == 2


def test_a_callback_that_never_returns(box: Box, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(session, "HALT_SECONDS", 0.3)
    monkeypatch.setattr(visits, "_SECONDS", 0.3)
    blocked, release = threading.Event(), threading.Event()

    def hangs(hart: object) -> None:
        blocked.set()
        release.wait(30)

    remove = box.guest.hooks.add_exec(box.symbol("here"), box.symbol("here") + 2, hangs)
    owner, watcher = box.connect(), box.connect()
    owner.send(b"c")
    assert blocked.wait(10)
    assert watcher.request(b"qC") == b"QC1"
    assert watcher.request(b"g").startswith(b"E.the machine does not come to the end")
    owner.interrupt()
    owner.close()  # the machine cannot be halted for it
    time.sleep(1)
    release.set()
    until(lambda: not box.target.running)
    remove()
    watcher.close()
    until(lambda: not box.server._connected)
    with box.connect() as client:
        client.step()
        assert len(client.read_registers()) == 33
