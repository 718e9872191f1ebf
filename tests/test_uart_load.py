"""Much input through the UART: a guest that echoes it loses nothing, whatever it comes through."""

from __future__ import annotations

import base64
import os
import pty
import random
import re
import select
import socket
import subprocess
import sys
import threading
import time
import tty
from collections.abc import Callable

import pytest

from otoriscv.board.console import BufferConsole
from otoriscv.board.loaders import load_image
from otoriscv.board.stops import StopReason
from otoriscv.board.virt import VirtConfig, VirtMachine
from tests.board_guest import build, needs_cc

pytestmark = needs_cc

#: Sleeps until the UART interrupts, echoes all that is there; ends at a Ctrl-D. The timer is far.
ECHO = """
typedef volatile unsigned char reg;
#define UART ((reg *)0x10000000)
#define PLIC(at) (*(volatile unsigned *)(0x0c000000 + (at)))
#define MTIMECMP (*(volatile unsigned long long *)0x02004000)

__attribute__((section(".text.start"), naked)) void _start(void)
{
    asm volatile("la sp, stack + 4096\\n j run");
}
char stack[4096] __attribute__((aligned(16)));

__attribute__((used)) void run(void)
{
    UART[2] = 7;
    UART[1] = 1;
    PLIC(4 * 10) = 1;
    PLIC(0x2000) = 1 << 10;
    MTIMECMP = 3000000000ull;
    asm volatile("csrw mie, %0" : : "r"(1 << 11 | 1 << 7));
    UART[0] = '>';
    for (;;) {
        asm volatile("wfi");
        unsigned source = PLIC(0x200004);
        while (UART[5] & 1) {
            unsigned char c = UART[0];
            if (c == 4)
                *(volatile unsigned *)0x100000 = 0x5555;
            UART[0] = c;
        }
        if (source)
            PLIC(0x200004) = source;
    }
}
"""
END = b"\4"
SIZES = [1 << 14, pytest.param(1 << 20, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
ENGINES = ("interp", "llvm")


def text(size: int) -> bytes:
    """That many letters, digits and line ends."""
    return base64.encodebytes(random.Random(size).randbytes(size))[:size]


def boot(engine: str, serial: str, *words: str, **more: object) -> subprocess.Popen[bytes]:
    options = ("--engine", engine, "--serial", serial, "--wall-timeout", "1000", *words)
    command = [sys.executable, "-m", "otoriscv", "boot", str(build(ECHO, 64, c=True)), *options]
    return subprocess.Popen(command, **more)  # type: ignore[call-overload,no-any-return]  # Popen's own


def gather(read: Callable[[], bytes], size: int) -> bytes:
    """What *read* gives until there are *size* bytes or no more comes."""
    got = bytearray()
    while len(got) < size:
        data = read()
        if not data:
            break
        got += data
    return bytes(got)


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("engine", ENGINES)
def test_piped_in(engine: str, size: int) -> None:
    sent = text(size)
    pipe = subprocess.PIPE
    with boot(engine, "stdio", stdin=pipe, stdout=pipe, stderr=pipe) as process:
        out, err = process.communicate(sent + END, timeout=1100)
    assert process.returncode == 0, err
    assert out == b">" + sent


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("engine", ENGINES)
def test_through_a_socket(engine: str, size: int) -> None:
    """The client reads nothing before it has sent everything."""
    sent = text(size)
    # With virtual time the guest would be far behind its timer when the client comes.
    with boot(
        engine, "tcp:0", "--clock", "host", stdin=subprocess.DEVNULL, stderr=subprocess.PIPE
    ) as process:
        assert process.stderr is not None
        found = re.search(rb"tcp 127.0.0.1:(\d+)", process.stderr.readline())
        assert found
        with socket.create_connection(("127.0.0.1", int(found[1])), timeout=1000) as client:
            client.sendall(sent)
            out = gather(lambda: client.recv(1 << 16), size + 1)
            client.sendall(END)
        assert process.wait(60) == 0
    assert out == b">" + sent


@pytest.mark.parametrize("engine", ENGINES)
def test_pasted_into_a_terminal(engine: str) -> None:
    sent = text(1 << 14)
    master, slave = pty.openpty()
    tty.setraw(slave)
    with boot(engine, "stdio", stdin=slave, stdout=slave, stderr=subprocess.PIPE) as process:
        os.close(slave)

        def read() -> bytes:
            return os.read(master, 1 << 16) if select.select([master], [], [], 300)[0] else b""

        out = gather(read, 1)
        paste = threading.Thread(target=lambda: os.write(master, sent))
        paste.start()
        out += gather(read, len(sent) + sent.count(b"\n"))
        paste.join()
        os.write(master, END)
        assert process.wait(60) == 0
    os.close(master)
    assert out.replace(b"\r\n", b"\n") == b">" + sent


@pytest.mark.parametrize("engine", ("python", *ENGINES))
def test_typing_at_a_sleeping_guest(engine: str) -> None:
    """With the host's clock a key is noticed when it is hit, not at the next timer interrupt."""
    image = load_image(build(ECHO, 64, c=True))
    made = VirtMachine(VirtConfig(image=image, engine=engine, clock="host"))
    console = made.console
    assert isinstance(console, BufferConsole)
    seen: list[float] = []

    def type_slowly() -> None:
        for n in range(5):
            while len(console.output) <= n:
                time.sleep(0.001)
            time.sleep(0.2)  # it sleeps by now: its timer is minutes away
            began = time.monotonic()
            console.feed(b"x")
            while len(console.output) <= n + 1:
                time.sleep(0.001)
            seen.append(time.monotonic() - began)
        console.feed(END)

    typist = threading.Thread(target=type_slowly, daemon=True)
    typist.start()
    made.time_limit = made.instant + 120 * 10**9
    stop = made.run()
    typist.join(10)
    made.close()
    assert stop.reason is StopReason.EXIT and bytes(console.output) == b">xxxxx"
    assert min(seen) < 0.2, seen
