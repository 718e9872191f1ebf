"""``otoriscv serve`` and ``boot --gdb`` as processes, with a client of our own."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from otoriscv.gdbstub.client import PC, ClientError, RspClient
from tests.board_guest import FINISH, PUTS, build, needs_cc

pytestmark = needs_cc

ROOT = Path(__file__).resolve().parents[1]
#: Prints "up", waits for a byte that is not zero at `gate`, prints "done", ends with 5.
GUEST = f"""
_start: la a0, up
    call puts
wait:
    la t0, gate
    lbu t1, 0(t0)
    beqz t1, wait
    la a0, down
    call puts
    li a0, 5
    j finish
{PUTS}{FINISH}
    .data
gate: .byte 0
up: .asciz "up\\n"
down: .asciz "done\\n"
"""


def symbol(name: str) -> int:
    from otoriscv.board.loaders import load_image

    found = load_image(build(GUEST)).symbols.get(name)
    assert found is not None
    return found.address


@contextmanager
def process(*words: object) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [sys.executable, "-m", "otoriscv", *map(str, words)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    ) as child:
        try:
            yield child
        finally:
            if child.poll() is None:
                child.kill()


def port_of(child: subprocess.Popen[str]) -> int:
    assert child.stderr is not None
    line = child.stderr.readline()
    assert ":" in line, line
    return int(line.rpartition(":")[2])


def test_serve_outlives_its_clients(tmp_path: Path) -> None:
    file = tmp_path / "port"
    with process("serve", build(GUEST), "--port", 0, "--port-file", file) as child:
        port = port_of(child)
        assert int(file.read_text()) == port
        assert child.stdout is not None
        with RspClient("127.0.0.1", port) as client:
            assert client.read_register(PC) == 0x1000
            client.insert_breakpoint(symbol("wait"))
            client.resume()
            assert client.read_register(PC) == symbol("wait")
        assert child.stdout.readline() == "up\n"
        with RspClient("127.0.0.1", port) as client:  # halted where it was, no breakpoint left
            assert client.read_register(PC) == symbol("wait")
            client.write_memory(symbol("gate"), b"\1")
            stop = client.resume()
            assert stop.exit_code == 5
        with RspClient("127.0.0.1", port) as client:  # a new run
            assert client.read_register(PC) == 0x1000
        child.send_signal(signal.SIGTERM)
        assert child.wait(10) == 143
        assert "Traceback" not in child.communicate()[1]


def test_detach_lets_the_guest_run(tmp_path: Path) -> None:
    with process("serve", build(GUEST), "--port", 0) as child:
        port = port_of(child)
        with RspClient("127.0.0.1", port) as client:
            client.detach()
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        child.send_signal(signal.SIGINT)
        assert child.wait(10) == 130


def test_serve_without_an_image() -> None:
    with (
        process("serve", "--port", 0, "--isa", "rv32imac") as child,
        RspClient("127.0.0.1", port_of(child)) as client,
    ):
        client.write_memory(0x8000_0000, b"\x93\x02\x10\x00")  # li t0, 1
        client.write_register(PC, 0x8000_0000)
        client.step()
        assert client.read_register(5) == 1


def test_boot_goes_on_when_the_client_leaves() -> None:
    with process("boot", build(GUEST), "--gdb", 0) as child:
        port = port_of(child)
        assert child.stdout is not None
        assert child.stdout.readline() == "up\n"
        with RspClient("127.0.0.1", port) as client:
            assert symbol("wait") <= client.read_register(PC) < symbol("puts")
            client.write_memory(symbol("gate"), b"\1")
        assert child.wait(10) == 5
        assert child.stdout.readline() == "done\n"


def test_boot_halted_ends_with_the_guest() -> None:
    with process("boot", build(GUEST), "--gdb", 0, "-S") as child:
        port = port_of(child)
        time.sleep(0.2)
        with RspClient("127.0.0.1", port) as client:
            assert client.read_register(PC) == 0x1000
            client.write_memory(symbol("gate"), b"\1")
            stop = client.resume()
            assert stop.exit_code == 5
        assert child.wait(10) == 5


def test_boot_ends_when_killed() -> None:
    with process("boot", build(GUEST), "--gdb", 0, "-S") as child:
        try:
            with RspClient("127.0.0.1", port_of(child)) as client:
                client.kill()
        except ClientError:
            pass  # the connection may be gone before the reply
        assert child.wait(10) == 0


def test_a_taken_port_is_said() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        for words in (
            ("serve", build(GUEST), "--port", port),
            ("boot", build(GUEST), "--gdb", port),
        ):
            with process(*words) as child:
                assert child.wait(10) == 2
                said = child.communicate()[1]
                assert said.count("\n") == 1
                assert said.startswith("otoriscv: error: ") and "in use" in said
