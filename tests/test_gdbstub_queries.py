"""What the stub says about itself and the machine: queries, registers and memory."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import PC, RspClient
from otoriscv.gdbstub.packets import MAX_PACKET
from tests.fake_target import (
    BASE,
    SIZE,
    FakeTarget,
)

ROOT = Path(__file__).resolve().parent.parent


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
