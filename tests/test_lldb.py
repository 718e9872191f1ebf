"""LLDB attaches, breaks, steps and reads."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import RspClient
from otoriscv.tools import find_cc
from tests.fake_target import BASE, FakeTarget
from tests.gdb_guest import build
from tests.test_gdb_real import serve

LLDB = shutil.which("lldb")


@pytest.mark.skipif(LLDB is None, reason="lldb is not installed (apt-get install lldb)")
@pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason)
def test_lldb(tmp_path: Path) -> None:
    program = build(tmp_path, 64)
    server, target = serve(program, "auto", 2)
    commands = [
        f"gdb-remote {server.address[1]}", "breakpoint set -n leaf", "continue", "bt",
        "register read a0 mcause", "memory read -s4 -fx -c1 0x80000000", "thread step-inst",
        "thread step-over", "p n", "thread list", "detach",
    ]  # fmt: skip
    line = [str(LLDB), "--no-use-colors", "-b", str(program)]
    for command in commands:
        line += ["-o", command]
    done = subprocess.run(line, stdout=subprocess.PIPE, text=True, timeout=120)
    server.close()
    target.shut_down()
    text = done.stdout
    assert "stop reason = breakpoint 1.1" in text, text
    assert "leaf(n=0) at guest.c" in text
    assert "stop reason = instruction step into" in text
    assert "stop reason = step over" in text
    assert "name = 'Hart 0'" in text and "Hart 1" in text
    assert "(int) $" in text and "detached" in text


@pytest.fixture
def client() -> Iterator[RspClient]:
    server = GdbServer(FakeTarget(64, harts=2))
    server.start()
    with RspClient(*server.address) as client:
        assert client.request(b"QThreadSuffixSupported") == b"OK"
        assert client.request(b"QListThreadsInStopReply") == b"OK"
        yield client
    server.close()


def test_packets(client: RspClient) -> None:
    assert b"triple:" + b"riscv64-unknown-elf".hex().encode() in client.request(b"qHostInfo")
    assert client.request(b"qProcessInfo").startswith(b"pid:1;")
    assert b"otoriscv" in client.request(b"qGDBServerVersion")
    threads = json.loads(client.request(b"jThreadsInfo"))
    assert [thread["name"] for thread in threads] == ["Hart 0", "Hart 1"]
    assert client.request(b"P5;thread:2;").startswith(b"E")
    assert client.request(b"P5=1100000000000000;thread:2;") == b"OK"
    assert client.request(b"p5;thread:2;") == b"1100000000000000"
    assert client.request(b"p5;thread:1;") == b"0000000000000000"
    assert len(client.request(b"g;thread:2;")) == 33 * 16
    stop = client.request(b"?")
    assert b"threads:1,2;thread-pcs:80000000,80000000;" in stop
    assert client.request(b"qThreadStopInfo2").startswith(b"T")
    region = client.request(b"qMemoryRegionInfo:%x" % (BASE + 5))
    assert region.startswith(b"start:80000000;size:100000;")
    assert b"permissions" not in client.request(b"qMemoryRegionInfo:1000")
    assert client.request(b"qMemoryRegionInfo:5").startswith(b"E")
    assert client.request(b"x0,0") == b"OK"
    assert client.request(b"x%x,4" % BASE) == bytes(4)
    assert b'generic="pc"' in client.request(b"qXfer:features:read:target.xml:0,ffff")
