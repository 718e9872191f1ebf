"""Semihosting: every operation for both XLENs, and files that cannot leave their directory."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import struct
from pathlib import Path

import pytest

from otoriscv.core.bus import BusFault
from otoriscv.devices.exits import GuestExit
from otoriscv.devices.semihosting import NotReady, Semihosting

OPEN, CLOSE, WRITEC, WRITE0, WRITE, READ, READC, ISERROR, ISTTY, SEEK = range(1, 11)
FLEN, TMPNAM, REMOVE, RENAME, CLOCK, TIME, SYSTEM, ERRNO = range(0x0C, 0x14)
GET_CMDLINE, HEAPINFO, EXIT, EXIT_EXTENDED, ELAPSED, TICKFREQ = 0x15, 0x16, 0x18, 0x20, 0x30, 0x31
BASE, SIZE = 0x8000_0000, 0x4000
BLOCK, NAME, NAME2, BUFFER = BASE, BASE + 0x100, BASE + 0x200, BASE + 0x1000
APPLICATION_EXIT = 0x20026


class Guest:
    """Memory, a console and calls as a guest makes them."""

    def __init__(self, xlen: int, directory: Path | None = None, cmdline: str = "") -> None:
        self.xlen = xlen
        self.memory = bytearray(SIZE)
        self.out = bytearray()
        self.typed: bytes | None = None
        self.ns = 12_345_678_901
        self.host = Semihosting(
            self.read,
            self.write,
            self.out.extend,
            self.key,
            lambda: self.ns,
            cmdline,
            directory,
            wall=lambda: 1_700_000_000 * 10**9,
            heapinfo=(1, 2, 3, 4),
        )

    def read(self, address: int, length: int) -> bytes:
        if not (address >= BASE and address + length <= BASE + SIZE):
            raise BusFault(f"nothing at {address:#x}")
        return bytes(self.memory[address - BASE : address - BASE + length])

    def write(self, address: int, data: bytes) -> None:
        self.read(address, len(data))
        self.memory[address - BASE : address - BASE + len(data)] = data

    def key(self, limit: int) -> bytes | None:
        if self.typed is None:
            return None
        data, self.typed = self.typed[:limit], self.typed[limit:]
        return data

    def call(self, op: int, *fields: int) -> int:
        """A call with a parameter block; the result as a signed number."""
        self.write(BLOCK, struct.pack(f"<{len(fields)}{'IQ'[self.xlen == 64]}", *fields))
        return self.plain(op, BLOCK)

    def plain(self, op: int, param: int) -> int:
        result = self.host.call(op, param, self.xlen)
        assert 0 <= result < 1 << self.xlen
        return result - (1 << self.xlen) if result >> self.xlen - 1 else result

    def fields(self, address: int, count: int) -> tuple[int, ...]:
        size = self.xlen // 8
        return struct.unpack(f"<{count}{'IQ'[size == 8]}", self.read(address, count * size))

    def open(self, name: str | bytes, mode: int = 0) -> int:
        raw = os.fsencode(name)
        self.write(NAME, raw + b"\0")
        return self.call(OPEN, NAME, mode, len(raw))

    def errno(self) -> int:
        return self.plain(ERRNO, 0)

    def send(self, handle: int, data: bytes) -> int:
        self.write(BUFFER, data)
        return self.call(WRITE, handle, BUFFER, len(data))

    def get(self, handle: int, length: int) -> tuple[int, bytes]:
        self.write(BUFFER, bytes(length))
        left = self.call(READ, handle, BUFFER, length)
        return left, self.read(BUFFER, length - left)


@pytest.fixture(params=[32, 64])
def guest(request: pytest.FixtureRequest, tmp_path: Path) -> Guest:
    inside = tmp_path / "inside"
    inside.mkdir()
    return Guest(request.param, inside, "prog one two")


@pytest.fixture
def inside(tmp_path: Path) -> Path:
    return tmp_path / "inside"


def test_is_call() -> None:
    guest = Guest(32)
    triple = struct.pack("<3I", 0x01F01013, 0x00100073, 0x40705013)
    guest.write(BASE + 0x10, triple)
    assert guest.host.is_call(guest.read, BASE + 0x14)
    assert not guest.host.is_call(guest.read, BASE + 0x10)
    guest.write(BASE, triple[4:])  # nothing before it
    assert not guest.host.is_call(guest.read, BASE)
    guest.write(BASE + 0x18, b"\0")
    assert not guest.host.is_call(guest.read, BASE + 0x14)


def test_console_output(guest: Guest) -> None:
    guest.write(BUFFER, b"x")
    guest.plain(WRITEC, BUFFER)
    guest.write(BUFFER + 5, b"hello " * 30 + b"\0junk")
    guest.plain(WRITE0, BUFFER + 5)
    handle = guest.open(":tt", 4)
    assert handle > 0
    assert guest.call(ISTTY, handle) == 1
    assert guest.call(FLEN, handle) == 0
    assert guest.call(SEEK, handle, 0) == -1
    assert guest.errno() == errno.ESPIPE
    assert guest.send(handle, b"there") == 0
    assert guest.out == b"x" + b"hello " * 30 + b"there"
    assert guest.get(handle, 1)[0] == -1
    assert guest.call(CLOSE, handle) == 0
    assert guest.call(CLOSE, handle) == -1
    assert guest.errno() == errno.EBADF


def test_a_string_may_end_at_the_end_of_memory(guest: Guest) -> None:
    guest.write(BASE + SIZE - 4, b"end\0")
    assert guest.plain(WRITE0, BASE + SIZE - 4) == 0
    guest.write(BASE + SIZE - 4, b"ends")
    assert guest.plain(WRITE0, BASE + SIZE - 4) == -1
    assert guest.errno() == errno.EFAULT


def test_console_input(guest: Guest) -> None:
    handle = guest.open(":tt", 0)
    with pytest.raises(NotReady):
        guest.plain(READC, 0)
    with pytest.raises(NotReady):
        guest.get(handle, 10)
    guest.typed = b"abc"
    assert guest.plain(READC, 0) == ord("a")
    assert guest.get(handle, 10) == (8, b"bc")
    assert guest.get(handle, 10) == (10, b"")  # the end
    assert guest.plain(READC, 0) == -1
    assert guest.send(handle, b"no") == -1


def test_cmdline_and_heapinfo(guest: Guest) -> None:
    assert guest.call(GET_CMDLINE, BUFFER, 13) == 0
    assert guest.read(BUFFER, 13) == b"prog one two\0"
    assert guest.fields(BLOCK, 2) == (BUFFER, 12)
    assert guest.call(GET_CMDLINE, BUFFER, 12) == -1
    assert guest.call(HEAPINFO, BUFFER) == 0
    assert guest.fields(BUFFER, 4) == (1, 2, 3, 4)


def test_time(guest: Guest) -> None:
    assert guest.plain(CLOCK, 0) == 1234
    assert guest.plain(TIME, 0) == 1_700_000_000
    assert guest.plain(TICKFREQ, 0) == 10**9
    assert guest.plain(ELAPSED, BUFFER) == 0
    assert struct.unpack("<Q", guest.read(BUFFER, 8)) == (guest.ns,)


def test_exit(guest: Guest) -> None:
    with pytest.raises(GuestExit) as caught:
        guest.call(EXIT_EXTENDED, APPLICATION_EXIT, 42)
    assert caught.value.code == 42
    with pytest.raises(GuestExit) as caught:
        guest.call(EXIT_EXTENDED, 0x20023, 0)
    assert caught.value.code == 1
    with pytest.raises(GuestExit) as caught:
        if guest.xlen == 64:
            guest.call(EXIT, APPLICATION_EXIT, 7)
        else:
            guest.plain(EXIT, APPLICATION_EXIT)
    assert caught.value.code == (7 if guest.xlen == 64 else 0)
    if guest.xlen == 32:
        with pytest.raises(GuestExit) as caught:
            guest.plain(EXIT, 0x20023)
        assert caught.value.code == 1


def test_iserror_system_and_unknown(guest: Guest) -> None:
    assert guest.call(ISERROR, (1 << guest.xlen) - 1) == 1
    assert guest.call(ISERROR, 0) == 0
    assert guest.call(SYSTEM, NAME, 3) == -1
    assert guest.plain(0x99, 0) == -1
    assert guest.errno() == errno.ENOSYS


def test_features(guest: Guest) -> None:
    handle = guest.open(":semihosting-features")
    assert guest.call(FLEN, handle) == 5
    assert guest.get(handle, 8) == (3, b"SHFB\3")
    assert guest.call(SEEK, handle, 4) == 0
    assert guest.get(handle, 1) == (0, b"\3")
    assert guest.open(":semihosting-features", 4) == -1


def test_files(guest: Guest, inside: Path) -> None:
    (inside / "sub").mkdir()
    handle = guest.open("sub/a.txt", 6)  # w+
    assert guest.send(handle, b"0123456789") == 0
    assert guest.call(FLEN, handle) == 10
    assert guest.call(ISTTY, handle) == 0
    assert guest.call(SEEK, handle, 4) == 0
    assert guest.get(handle, 3) == (0, b"456")
    assert guest.get(handle, 9) == (6, b"789")
    assert guest.call(SEEK, handle, (1 << guest.xlen) - 1) == (0 if guest.xlen == 32 else -1)
    assert guest.call(CLOSE, handle) == 0
    handle = guest.open("sub/a.txt", 8)  # a
    assert guest.send(handle, b"+") == 0
    assert guest.get(handle, 1)[0] == -1
    guest.call(CLOSE, handle)
    handle = guest.open("sub/../sub/a.txt", 3)  # r+b
    assert guest.send(handle, b"X") == 0
    guest.host.reset()
    assert (inside / "sub/a.txt").read_bytes() == b"X123456789+"
    guest.write(NAME, b"sub/a.txt")
    guest.write(NAME2, b"b.txt")
    assert guest.call(RENAME, NAME, 9, NAME2, 5) == 0
    assert (inside / "b.txt").exists()
    assert guest.call(REMOVE, NAME2, 5) == 0
    assert guest.call(REMOVE, NAME2, 5) == -1
    assert guest.errno() == errno.ENOENT
    assert guest.open("b.txt") == -1
    assert guest.call(TMPNAM, BUFFER, 7, 100) == 0
    name = guest.read(BUFFER, 100).split(b"\0")[0]
    handle = guest.open(name, 4)
    assert handle > 0
    assert (inside / os.fsdecode(name)).exists()


def test_no_files_without_a_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here").write_text("x")
    guest = Guest(32)
    assert guest.open("here") == -1
    assert guest.errno() == errno.EACCES
    assert guest.open("new", 4) == -1
    guest.write(NAME, b"here")
    assert guest.call(REMOVE, NAME, 4) == -1
    assert guest.call(TMPNAM, BUFFER, 0, 100) == -1
    assert os.listdir(tmp_path) == ["here"]


def test_nothing_leaves_the_directory(guest: Guest, inside: Path, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_text("secret")
    (tmp_path / "inside-too").mkdir()
    (inside / "sub").mkdir()
    (inside / "link").symlink_to(secret)
    (inside / "up").symlink_to("..")
    (inside / "dangling").symlink_to(tmp_path / "created")
    (inside / "loop").symlink_to("loop")
    os.mkfifo(inside / "fifo")
    for name in (
        "../secret",
        "sub/../../secret",
        "../inside-too/x",
        str(secret),
        str(inside / "x"),
        "/etc/passwd",
        "link",
        "up/secret",
        "sub/../up/secret",
        "dangling",
        "loop",
        "fifo",
        "sub",
        ".",
        "..",
        "",
        "a\0b",
        "x" * 5000,
    ):
        if len(name) >= 0x100:
            assert guest.call(OPEN, NAME, 0, len(name)) == -1
            continue
        for mode in range(12):
            assert guest.open(name, mode) == -1, (name, mode)
    assert guest.open("fine", 12) == -1
    assert secret.read_text() == "secret"
    assert sorted(os.listdir(tmp_path)) == ["inside", "inside-too", "secret"]
    for target in (b"../stolen", b"up/stolen"):
        (inside / "mine").write_text("mine")
        guest.write(NAME, b"mine")
        guest.write(NAME2, target)
        assert guest.call(RENAME, NAME, 4, NAME2, len(target)) == -1
        assert guest.call(RENAME, NAME2, len(target), NAME, 4) == -1
        guest.write(NAME, b"up/secret")
        assert guest.call(REMOVE, NAME, 9) == -1
    guest.write(NAME, b"link")
    assert guest.call(REMOVE, NAME, 4) == 0, "the link itself is inside"
    assert secret.exists()


def test_links_inside_work(guest: Guest, inside: Path) -> None:
    (inside / "sub").mkdir()
    (inside / "sub/file").write_text("text")
    (inside / "alias").symlink_to("sub")
    assert guest.get(guest.open("alias/file"), 4) == (0, b"text")


def test_handles_run_out_and_are_reused(guest: Guest) -> None:
    handles = [guest.open(":tt", 4) for _ in range(256)]
    assert len(set(handles)) == 256
    assert guest.open(":tt", 4) == -1
    assert guest.errno() == errno.EMFILE
    guest.call(CLOSE, handles[10])
    assert guest.open(":tt", 4) == handles[10]


def test_huge_lengths_fail_without_allocating(guest: Guest) -> None:
    handle = guest.open(":tt", 4)
    huge = (1 << guest.xlen) - 1
    assert guest.call(WRITE, handle, BUFFER, huge) == -1
    assert guest.errno() == errno.EFAULT
    assert guest.call(OPEN, NAME, 0, huge) == -1
    assert guest.call(GET_CMDLINE, BASE + SIZE - 2, huge) == -1


def test_random_calls_never_raise_anything_else(guest: Guest) -> None:
    rng = random.Random(5)
    guest.typed = b"x" * 1000
    values = (0, 1, 2, 3, 8, BASE, BUFFER, BASE + SIZE - 1, (1 << guest.xlen) - 1)
    for _ in range(3000):
        with contextlib.suppress(GuestExit, NotReady):
            guest.call(rng.randrange(0x34), *(rng.choice(values) for _ in range(4)))
    guest.host.reset()
