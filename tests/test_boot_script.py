"""--send, --transcript, --symbols, the progress line, panics, and where a guest hangs."""

from __future__ import annotations

import io
import re
import subprocess
import sys
from pathlib import Path

import pytest

from otoriscv.board.loaders import ImageError
from otoriscv.board.loaders.symbol_file import load_symbols
from otoriscv.board.transcript import LastLine, PanicWatch
from otoriscv.cli.progress import Progress
from otoriscv.cli.text import unescape
from otoriscv.core.encode import assemble

BASE = 0x8000_0000

#: Prints "> ", reads a line, prints it in brackets; a line "q" ends the guest. Waits for the UART
#: as Linux does, without an interrupt.
ECHO = """
    li s0, 0x10000000
prompt:
    li t0, 62; sb t0, 0(s0); li t0, 32; sb t0, 0(s0)
    li s1, 0
1:  lbu t0, 5(s0); andi t0, t0, 1; beqz t0, 1b
    lbu t1, 0(s0)
    li t0, 113; beq t1, t0, quit
    li t0, 10; beq t1, t0, ended
    li t0, 91; sb t0, 0(s0); sb t1, 0(s0); li t0, 93; sb t0, 0(s0)
    j 1b
ended:
    sb t1, 0(s0)
    j prompt
quit:
    li t0, 0x100000; li t1, 0x5555; sw t1, 0(t0)
2:  j 2b
"""

#: Prints the text behind it, then spins, or ends with success.
PRINT = """
    li s0, 0x10000000
    la s1, text
1:  lbu t0, 0(s1); beqz t0, spin
    sb t0, 0(s0); addi s1, s1, 1; j 1b
spin: {end}
text:
"""
PANIC = "[    0.1] Kernel panic - not syncing: VFS: no root\n[    0.2] CPU: 0\n"
PANIC_END = "[    0.3] ---[ end Kernel panic - not syncing: VFS: no root ]---\n"


def guest(tmp_path: Path, source: str, text: str = "") -> Path:
    code = assemble(source, 64, BASE).code + text.encode() + b"\0"
    path = tmp_path / "guest.bin"
    path.write_bytes(code)
    return path


def boot(*words: object) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "otoriscv", "boot", "--isa", "rv64gc", *map(str, words)]
    return subprocess.run(
        command, capture_output=True, text=True, stdin=subprocess.DEVNULL, timeout=120
    )


@pytest.mark.parametrize("engine", ("python", "interp"))
def test_a_talk(engine: str, tmp_path: Path) -> None:
    path = guest(tmp_path, ECHO)
    runs = []
    for n in range(2):
        transcript, facts = tmp_path / f"t{n}", tmp_path / f"f{n}"
        words = ("--send", "a", "--expect", r"\[a\]", "--send", r"b\n", "--expect", "> ")
        more = ("--send", "c", "--send", r"\x71", "--transcript", transcript)
        done = boot(path, *words, *more, "--stats-json", facts, "--engine", engine)
        assert (done.returncode, done.stdout, done.stderr) == (0, "> [a][b]\n> [c]", "")
        assert transcript.read_text() == done.stdout
        runs.append(re.search(r'"instructions": \d+', facts.read_text()))
    assert runs[0] and runs[1] and runs[0][0] == runs[1][0]


def test_expectations_still_decide(tmp_path: Path) -> None:
    path = guest(tmp_path, ECHO)
    done = boot(path, "--expect", "> ", "--send", "x", "--expect", r"\[x\]")
    assert (done.returncode, done.stdout) == (0, "> [x]")
    done = boot(path, "--expect", "> ", "--send", "q", "--expect", "never")
    assert done.returncode == 1 and "before --expect 'never' was seen" in done.stderr


@pytest.mark.parametrize(
    "text, data",
    (
        (r"a\n\r\t\e\0\\", b"a\n\r\t\x1b\0\\"),
        (r"\x03\xff", b"\x03\xff"),
        ("ü\\n", "ü\n".encode()),
    ),
)
def test_escapes(text: str, data: bytes) -> None:
    assert unescape(text) == data


@pytest.mark.parametrize("text", ("\\", "\\q", "\\x1", "\\xzz"))
def test_bad_escapes(text: str, tmp_path: Path) -> None:
    done = boot(guest(tmp_path, ECHO), "--send", text)
    assert done.returncode == 2 and "there is no escape" in done.stderr
    assert done.stderr.count("\n") == 1


# -- panics: a guest below firmware is an operating system


@pytest.mark.parametrize("end", ("j spin", "li t0, 0x100000; li t1, 0x7777; sw t1, 0(t0); j spin"))
def test_a_panic_is_a_failure(end: str, tmp_path: Path) -> None:
    text = "booting\n" + PANIC + (PANIC_END if end == "j spin" else "Rebooting in 1 seconds..\n")
    path = guest(tmp_path, PRINT.format(end=end), text)
    done = boot(path, "--bios", "builtin", "--wall-timeout", 60)
    assert done.returncode == 1
    assert done.stdout == text
    said = "otoriscv: the guest panicked: Kernel panic - not syncing: VFS: no root\n"
    assert done.stderr == said


def test_a_bare_program_may_print_what_it_likes(tmp_path: Path) -> None:
    end = "li t0, 0x100000; li t1, 0x5555; sw t1, 0(t0); j spin"
    path = guest(tmp_path, PRINT.format(end=end), PANIC + PANIC_END)
    assert boot(path).returncode == 0
    assert boot(path, "--bios", "builtin").returncode == 1


# -- hangs


def test_where_a_guest_hangs(tmp_path: Path) -> None:
    path = guest(tmp_path, PRINT.format(end="j spin"), "one\nlast \x1b[1mwords\x1b[0m\n")
    symbols = tmp_path / "System.map"
    symbols.write_text(f"{BASE:x} T start\n{BASE + 8:016x} t looping\nffffffff80000000 A high\n")
    words = (path, "--symbols", symbols, "--max-instructions", 2000)
    done = boot(*words)
    assert done.returncode == 124
    assert re.fullmatch(
        r"otoriscv: instruction limit of 2000 reached at 0x800000\w\w \(looping\+0x\w+\), "
        r"M-mode; its last line: 'last words'\n",
        done.stderr,
    )
    done = boot(*words, "--bios", "builtin", "--harts", 2)
    assert "hart 0, S-mode; its last line" in done.stderr
    done = boot(path, "--timeout", "0.001")
    assert done.returncode == 124 and "time limit reached at 0x" in done.stderr
    done = boot(path, "--wall-timeout", "1")
    assert done.returncode == 124 and "wall-clock limit of 1 s reached at 0x" in done.stderr
    quiet = guest(tmp_path, "1: wfi; j 1b")
    done = boot(quiet)
    assert done.returncode == 1 and done.stderr.endswith("M-mode; it has printed nothing\n")


def test_firmware_has_names_too(tmp_path: Path) -> None:
    """Suspended for ever: the pc is in the firmware."""
    path = guest(tmp_path, "li a0, 0; li a7, 0x48534d; li a6, 3; ecall")
    done = boot(path, "--bios", "builtin")
    assert done.returncode == 1 and "(firmware hart_suspend+0x" in done.stderr, done.stderr


@pytest.mark.parametrize("data", (b"", b"no symbols here\n", b"\x7fELF junk"))
def test_files_without_symbols(data: bytes, tmp_path: Path) -> None:
    path = tmp_path / "map"
    path.write_bytes(data)
    with pytest.raises(ImageError) as caught:
        load_symbols(path)
    assert str(caught.value).startswith(f"{path}: ")
    with pytest.raises(ImageError, match="No such file"):
        load_symbols(tmp_path / "none")


# -- parts


def test_the_last_line() -> None:
    lines: list[str] = []
    last = LastLine(lines.append)
    assert last.text == ""
    for piece in (b"one\r\n\r\n", b"tw", b"o\n  \n", b"\xff\x1b[31mthree"):
        last.feed(piece)
    assert lines == ["one", "two"] and last.text == "\ufffdthree"
    last.feed(b"\n")
    assert last.text == "\ufffdthree" and lines[-1] == "\ufffdthree"
    last.feed(b"x" * 10_000)
    assert len(last.text) == 500


def test_a_panic_is_reported_when_it_is_complete() -> None:
    seen: list[str] = []
    watch = PanicWatch(seen.append)
    for line in (PANIC + PANIC_END).splitlines():
        assert seen == []
        watch.see(line)
    assert seen == ["Kernel panic - not syncing: VFS: no root"]


class _Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_on_a_terminal_vanishes() -> None:
    stream = _Terminal()
    progress = Progress(lambda: "busy", stream, first=0.0)
    progress.tick()
    progress.tick()  # not again at once
    assert stream.getvalue() == "\rbusy"
    progress.quiet()
    assert stream.getvalue() == "\rbusy\r    \r"


def test_progress_elsewhere_is_rare() -> None:
    stream = io.StringIO()
    progress = Progress(lambda: "busy", stream, first=0.0)
    progress.tick()
    assert stream.getvalue() == ""
