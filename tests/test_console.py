"""Console backends: nothing lost, nothing hung, terminals restored."""

from __future__ import annotations

import os
import pty
import select
import socket
import termios
import threading
import time
import tty
from collections.abc import Callable
from pathlib import Path

import pytest

from otoriscv.board.console import (
    BufferConsole,
    Console,
    ConsoleError,
    FileConsole,
    open_console,
)
from otoriscv.board.console_stdio import EscapeFilter, StdioConsole
from otoriscv.board.console_stream import PtyConsole, TcpConsole


def wait_for(condition: Callable[[], object], seconds: float = 10) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "timed out"
        time.sleep(0.002)


def read_all(console: Console, count: int) -> bytes:
    got = bytearray()

    def step() -> bool:
        got.extend(console.read(50_000))
        return len(got) >= count

    wait_for(step)
    return bytes(got)


def test_escape_filter() -> None:
    seen: list[str] = []
    f = EscapeFilter(
        lambda: seen.append("quit"), lambda: seen.append("break"), lambda: seen.append("help")
    )
    assert f.feed(b"ab\x01") == b"ab"
    assert f.feed(b"xc\x01\x01\x01h\x01B\x01qd\x01a") == b"c\x01d\x01"
    assert seen == ["quit", "help", "break"]


def test_piped_input_has_back_pressure_and_an_end() -> None:
    source, sink = os.pipe()
    out_read, out_write = os.pipe()
    told = threading.Event()
    console = StdioConsole(source, out_write)
    console.on_input = told.set
    data = bytes(range(256)) * 4096
    written = [0]

    def feed() -> None:
        view = memoryview(data)
        while view:
            n = os.write(sink, view[:4096])
            view = view[n:]
            written[0] += n
        os.close(sink)

    thread = threading.Thread(target=feed, daemon=True)
    thread.start()
    assert not console.interactive
    assert told.wait(10)
    time.sleep(0.2)
    assert written[0] < 400_000, "the pipe's writer is held back"
    assert not console.eof
    assert read_all(console, len(data)) == data
    wait_for(lambda: console.eof)
    assert console.read(10) == b""
    console.write(b"out")
    assert os.read(out_read, 10) == b"out"
    os.close(out_read)
    console.write(b"nobody reads this")
    assert console.broken
    console.close()
    console.close()
    thread.join(10)
    for fd in (source, out_write):
        os.close(fd)


def test_ctrl_a_is_data_in_a_pipe() -> None:
    source, sink = os.pipe()
    console = StdioConsole(source, 1)
    os.write(sink, b"\x01x")
    assert read_all(console, 2) == b"\x01x"
    console.close()
    os.close(source)
    os.close(sink)


def test_close_does_not_wait_for_input() -> None:
    source, sink = os.pipe()
    console = StdioConsole(source, 1)
    started = time.monotonic()
    console.close()
    assert time.monotonic() - started < 0.9
    os.close(source)
    os.close(sink)


def test_terminal_is_raw_and_restored(capfd: pytest.CaptureFixture[str]) -> None:
    master, slave = pty.openpty()
    before = termios.tcgetattr(slave)
    quits: list[int] = []
    console = StdioConsole(slave, slave, on_quit=lambda: quits.append(1))
    assert console.interactive
    assert not termios.tcgetattr(slave)[3] & (termios.ICANON | termios.ECHO | termios.ISIG)
    os.write(master, b"\x03a\x01h\x01x")
    assert read_all(console, 2) == b"\x03a", "Ctrl-C belongs to the guest"
    wait_for(lambda: quits)
    console.write(b"x\n")
    assert os.read(master, 10) == b"x\r\n"
    assert not console.eof
    console.close()
    assert termios.tcgetattr(slave) == before
    assert "Ctrl-A x" in capfd.readouterr().err
    os.close(master)
    os.close(slave)


def test_file_and_null(tmp_path: Path) -> None:
    path = tmp_path / "log"
    console = open_console(f"file:{path}")
    console.write(b"hello")
    assert console.eof
    console.close()
    assert path.read_bytes() == b"hello"
    null = open_console("null")
    null.write(b"x")
    assert (null.read(1), null.eof, null.interactive) == (b"", True, False)
    with pytest.raises(ConsoleError, match="No such file"):
        FileConsole(str(tmp_path / "no" / "log"))


def test_tcp() -> None:
    notices: list[str] = []
    console = open_console("tcp:0", notice=notices.append)
    assert isinstance(console, TcpConsole)
    assert notices == [f"serial console on tcp 127.0.0.1:{console.port}"]
    console.write(b"before anybody came\n")
    for _ in range(2):  # clients come and go
        with socket.create_connection(("127.0.0.1", console.port), timeout=10) as client:
            console.write(b"hi\n")
            data = b""
            while not data.endswith(b"hi\n"):
                data += client.recv(100)
            client.sendall(b"typed" * 40_000)
            assert read_all(console, 200_000) == b"typed" * 40_000
        assert not console.eof
    with pytest.raises(ConsoleError, match="in use"):
        open_console(f"tcp:127.0.0.1:{console.port}")
    console.close()
    console.close()


def test_tcp_client_that_never_reads_does_not_block() -> None:
    console = TcpConsole("127.0.0.1", 0, lambda text: None)
    with socket.create_connection(("127.0.0.1", console.port), timeout=10):
        started = time.monotonic()
        for _ in range(100):
            console.write(bytes(100_000))
        assert time.monotonic() - started < 5
    console.close()


def test_pty() -> None:
    notices: list[str] = []
    console = open_console("pty", notice=notices.append)
    assert isinstance(console, PtyConsole)
    assert notices == [f"serial console on {console.path}"]
    for _ in range(2):
        fd = os.open(console.path, os.O_RDWR | os.O_NOCTTY)
        tty.setraw(fd)
        console.write(b"login: ")
        assert select.select([fd], [], [], 10)[0]
        assert os.read(fd, 100) == b"login: "
        os.write(fd, b"root\r")
        assert read_all(console, 5) == b"root\r"
        os.close(fd)
    console.close()


def test_buffer() -> None:
    console = BufferConsole()
    woken: list[int] = []
    console.on_input = lambda: woken.append(1)
    assert not console.ready
    console.feed(b"abc")
    assert console.ready
    console.end()
    assert woken == [1, 1]
    assert (console.read(2), console.eof, console.read(2), console.eof) == (
        b"ab",
        False,
        b"c",
        True,
    )
    console.write(b"out")
    assert console.output == b"out"


@pytest.mark.parametrize("spec", ["", "tcp:", "tcp:99999", "tcp:x", "file:", "serial", "pty:1"])
def test_bad_specs(spec: str) -> None:
    with pytest.raises(ConsoleError, match="should be"):
        open_console(spec)
