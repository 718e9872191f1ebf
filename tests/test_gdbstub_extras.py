"""Packets beyond the basics: binary reads, search, checksums, files, conditions, the memory map."""

from __future__ import annotations

import struct
from pathlib import Path

from otoriscv.gdbstub.client import PC, RspClient
from tests.fake_target import BASE, SIZE, FakeTarget


def crc(data: bytes) -> int:
    """As gdb computes it."""
    value = 0xFFFF_FFFF
    for byte in data:
        value ^= byte << 24
        for _ in range(8):
            value = (value << 1 ^ 0x04C1_1DB7 if value >> 31 else value << 1) & 0xFFFF_FFFF
    return value


def test_binary_reads(client: RspClient, target: FakeTarget) -> None:
    target.memory[0:8] = b"#$}*\0abc"
    assert client.request(b"x%x,8" % BASE) == b"b#$}*\0abc"
    assert client.request(b"x%x,0" % BASE) == b"b"
    assert client.request(b"x0,4").startswith(b"E")


def test_checksums_and_search(client: RspClient, target: FakeTarget) -> None:
    target.memory[0:300] = bytes(n * 7 & 255 for n in range(300))
    reply = client.request(b"qCRC:%x,%x" % (BASE, 300))
    assert reply == b"C%08x" % crc(bytes(target.memory[0:300]))
    assert client.request(b"qCRC:%x,0" % BASE) == b"Cffffffff"
    assert client.request(b"qCRC:%x,%x" % (BASE, SIZE + 1)).startswith(b"E")
    target.memory[0x1234:0x1238] = b"find"
    assert client.request(b"qSearch:memory:%x;%x;find" % (BASE, SIZE)) == b"1,%x" % (BASE + 0x1234)
    assert client.request(b"qSearch:memory:%x;%x;none" % (BASE, SIZE)) == b"0"
    assert client.request(b"qSearch:memory:%x;10;" % BASE).startswith(b"E")


def test_accepted_and_refused(client: RspClient) -> None:
    for packet in (b"QPassSignals:e;10", b"QProgramSignals:0", b"QThreadEvents:1", b"qSymbol::"):
        assert client.request(packet) == b"OK"
    assert client.request(b"vMustReplyEmpty") == b""
    for bad in (
        b"vCont;r",
        b"vCont;r1",
        b"vCont;r1,",
        b"vCont;rx,y:1",
        b"qCRC:",
        b"x",
        b"QPassSignals",
    ):
        assert client.request(bad).startswith(b"E"), bad


def test_range_step(client: RspClient) -> None:
    client.send(b"vCont;r%x,%x:1" % (BASE, BASE + 0x40))
    assert client.wait().registers[PC] == BASE + 0x40
    client.send(b"vCont;r%x,%x:1" % (BASE, BASE + 4))  # outside already: one step
    assert client.wait().registers[PC] == BASE + 0x44


def test_conditions_reach_the_machine(client: RspClient, target: FakeTarget) -> None:
    place = BASE + 0x20
    assert client.request(b"Z0,%x,4;X3,220127X3,220027;cmds:0,X1,27" % place) == b"OK"
    client.resume()
    assert target.programs[place] == ((b"\x22\1\x27", b"\x22\0\x27"), (b"\x27",))
    client.request(b"Z0,%x,4" % place)
    client.insert_breakpoint(place + 8)
    client.resume()
    assert target.programs[place] == ((), ())
    for bad in (b"X1,27", b"X5,2201", b"X", b"X1,zz", b"X2,0227", b"X3,210000", b"cmds:0,X1,02"):
        assert client.request(b"Z0,%x,4;" % place + bad).startswith(b"E"), bad


def test_memory_map(client: RspClient) -> None:
    text = client.request(b"qXfer:memory-map:read::0,ffff")
    assert b'type="ram" start="0x80000000" length="0x100000"' in text
    assert b'start="0x1000"' not in text


def test_the_program_is_a_file(client: RspClient, target: FakeTarget, tmp_path: Path) -> None:
    program = tmp_path / "guest.elf"
    program.write_bytes(b"\x7fELF}#$*" * 10)
    target.executable = str(program)
    name = str(program).encode().hex().encode()
    assert client.request(b"vFile:setfs:0") == b"F0"
    assert client.request(b"vFile:open:%b,0,0" % name) == b"F3"
    assert client.request(b"vFile:pread:3,8,4") == b"F8;}#$*\x7fELF"
    status = client.request(b"vFile:fstat:3")
    assert struct.unpack(">7I3Q3I", status[4:])[7] == 80
    assert client.request(b"vFile:close:3") == b"F0"
    assert client.request(b"vFile:open:%b,1,0" % name) == b"F-1,1e"
    assert client.request(b"vFile:open:2f6574632f706173737764,0,0") == b"F-1,2"  # /etc/passwd
    assert client.request(b"vFile:pread:9,8,4") == b"F-1,9"
    assert client.request(b"vFile:unlink:%b" % name) == b"F-1,1e"


def test_monitor_watch(client: RspClient, target: FakeTarget) -> None:
    said = client.monitor("watch rw thing,8 if value == 5 && old != 0x10")
    assert said.startswith(f"watch rw {BASE + 0x100:#x},8 if value == 0x5 && old != 0x10")
    ((key, terms),) = target.terms.items()
    assert key[1:] == (BASE + 0x100, 8)
    assert [tuple(term) for term in terms] == [("value", "==", 5), ("old", "!=", 16)]
    assert "thing" not in client.monitor("watch")
    for bad in (
        "watch nowhere",
        "watch thing if",
        "watch thing if x == 1",
        "watch thing,0",
        "watch thing what",
    ):
        assert "Usage" in client.monitor(bad), bad
    assert "1 removed" in client.monitor("unwatch thing")
    assert "none" in client.monitor("watch")
    assert "no setting" in client.monitor("clock")
    assert "Not understood" in client.monitor("quantum x")
