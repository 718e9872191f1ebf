"""``otoriscv boot`` as a process: output, exit codes, limits, expectations, reports, bad input."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from otoriscv.cli.main import main
from tests.board_guest import ENGINES, FINISH, PUTS, build, needs_cc

pytestmark = needs_cc

ROOT = Path(__file__).resolve().parents[1]
HELLO = f"""
_start: la a0, text
    call puts
    li a0, 7
    j finish
{PUTS}{FINISH}
text: .asciz "one\\ntwo three\\npanic: four five\\nsix\\n"
"""
SPIN = "_start: addi t0, t0, 1\n j _start"
ECHO = f"""
_start: li s0, 0x10000000
1:  lbu t0, 5(s0)
    andi t0, t0, 1
    beqz t0, 1b
    lbu t0, 0(s0)
    li t1, '.'
    beq t0, t1, pass
    sb t0, 0(s0)
    j 1b
{FINISH}"""


def command(*words: object) -> list[str]:
    return [sys.executable, "-m", "otoriscv", "boot", *map(str, words)]


def boot(
    *words: object, stdin: bytes | None = b"", timeout: float = 30
) -> subprocess.CompletedProcess[bytes]:
    environment = {k: v for k, v in os.environ.items() if k != "OTORISCV_DEBUG"}
    return subprocess.run(
        command(*words),
        input=stdin,
        capture_output=True,
        timeout=timeout,
        cwd=ROOT,
        env=environment,
    )


@pytest.mark.parametrize("engine", ENGINES)
def test_only_the_console_goes_to_stdout(engine: str) -> None:
    done = boot(build(HELLO), "--engine", engine, "--stats")
    assert done.returncode == 7
    assert done.stdout == b"one\ntwo three\npanic: four five\nsix\n"
    assert b"instructions" in done.stderr and engine.encode() in done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_expect_stops_at_the_byte(engine: str, tmp_path: Path) -> None:
    facts = tmp_path / "facts.json"
    words = ("--engine", engine, "--stats-json", facts)
    done = boot(build(HELLO), *words, "--expect", "o.e", "--expect", "thr")
    assert (done.returncode, done.stdout) == (0, b"one\ntwo thr")
    said = json.loads(facts.read_text())
    assert said["reason"] == "ended" and said["exit_code"] == 0
    # 6 in the boot ROM, 5 up to the loop, 5 a byte but the last, whose store is the third
    assert said["instructions"] == 6 + 5 + 5 * 10 + 3


def test_expectations_that_fail() -> None:
    done = boot(build(HELLO), "--expect", "one", "--expect", "seven")
    assert done.returncode == 1
    assert b"'seven'" in done.stderr
    done = boot(build(HELLO), "--fail-on", "panic", "--expect", "six")
    assert done.returncode == 1
    assert b"panic: four five" in done.stderr
    assert done.stdout.endswith(b"panic: four five\n")


def test_limits() -> None:
    done = boot(build(SPIN), "--max-instructions", 1000)
    assert done.returncode == 124 and b"instruction limit of 1000" in done.stderr
    done = boot(build(SPIN), "--timeout", "0.001")
    assert done.returncode == 124 and b"time limit" in done.stderr
    began = time.monotonic()
    done = boot(build(SPIN), "--wall-timeout", "0.5")
    assert done.returncode == 124 and b"wall-clock limit" in done.stderr
    assert time.monotonic() - began < 10


@pytest.mark.parametrize(
    ("number", "code"), ((signal.SIGINT, 130), (signal.SIGTERM, 143)), ids=("INT", "TERM")
)
@pytest.mark.parametrize("source", (SPIN, "_start: wfi\n j _start"), ids=("spin", "wfi"))
def test_signals(number: signal.Signals, code: int, source: str) -> None:
    # the waiting guest waits for input: stdin stays open
    started = f"_start: la a0, text\n call puts\n j 2f\n{PUTS}2:\n" + source.replace("_start", "3")
    started = started.replace("j 3", "j 3b") + '\ntext: .asciz "up\\n"'
    process = subprocess.Popen(
        command(build(started)), stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT
    )
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    asked = time.monotonic()
    process.send_signal(number)
    assert process.wait(10) == code
    assert time.monotonic() - asked < 2
    process.communicate()


def test_input_is_echoed_and_its_end_ends_nothing() -> None:
    assert boot(build(ECHO), stdin=b"hello.").stdout == b"hello"
    done = boot(build(ECHO), "--max-instructions", 3_000_000, stdin=b"abc")
    assert (done.returncode, done.stdout) == (124, b"abc")


def test_idle_guest_says_so() -> None:
    done = boot(build("_start: wfi\n j _start"))
    assert done.returncode == 1
    assert b"waits for an interrupt" in done.stderr


@pytest.mark.parametrize("engine", ENGINES)
def test_a_wild_jump_is_traced(engine: str) -> None:
    source = """
_start: li t0, 5000
1:  addi t0, t0, -1
    bnez t0, 1b
wild:
    li t0, 0x40000000
    jr t0"""
    done = boot(build(source), "--engine", engine)
    assert done.returncode == 1
    lines = done.stderr.decode().splitlines()
    assert "is lost" in lines[0]
    at = lines.index("the last 16 instructions were at")
    listed = [line.split()[0] for line in lines[at + 1 : at + 17]]
    assert listed[-2:] == ["0x40000000", "0x0"]
    assert any("wild" in line for line in lines)
    assert any(line.startswith("zero ") for line in lines)


def test_log() -> None:
    done = boot(build(HELLO), "--log", "exec,csr", "--log-range", "_start-puts")
    lines = done.stderr.decode().splitlines()
    assert lines[0].startswith("exec 0 0x80000000 _start: auipc a0")
    assert len([line for line in lines if line.startswith("exec")]) == 7
    done = boot(build(HELLO), "--log", "mmio")
    assert done.stderr.splitlines()[0] == b"mmio 0 uart write 0x10000000 size 1 = 0x6f"
    hole = "_start: la t0, 1f\n csrw mtvec, t0\n li t1, 0x50000000\n lw t1, 0(t1)\n"
    hole += f".align 2\n1: csrr a0, mcause\n j finish\n{FINISH}"
    done = boot(build(hole), "--log", "unmapped,trap")
    assert done.returncode == 5
    assert b"unmapped 0 read 0x50000000 size 4" in done.stderr
    assert b"cause 0x5, tval 0x50000000" in done.stderr


def test_log_file(tmp_path: Path) -> None:
    log = tmp_path / "log"
    done = boot(build(HELLO), "--log", "exec", "--log-file", log)
    assert done.stderr == b""
    assert log.read_text().splitlines()[0] == "exec 0 0x1000 -: auipc t0,0x0"


def test_signature(tmp_path: Path) -> None:
    source = f"""
_start: j pass
{FINISH}
.align 4
.globl begin_signature, end_signature
begin_signature: .word 0x12345678, 0xdeadbeef
end_signature: .word 1"""
    file = tmp_path / "signature"
    assert boot(build(source), "--signature", file).returncode == 0
    assert file.read_text() == "12345678\ndeadbeef\n"
    done = boot(build(source), "--signature", file, "--begin", "nothing")
    assert done.returncode == 2 and b"nothing" in done.stderr


def test_tohost_and_large_codes() -> None:
    source = """
_start: la t0, tohost
    li t1, {}
    sw t1, 0(t0)
1:  j 1b
    .data
    .align 6
    .globl tohost
tohost: .dword 0"""
    assert boot(build(source.format("(5 << 1) | 1"))).returncode == 5
    done = boot(build(source.format("(300 << 1) | 1")))
    assert done.returncode == 255
    assert b"300" in done.stderr


def test_raw_and_other_bases(tmp_path: Path) -> None:
    elf = build(HELLO, 32, base=0x2000_0000)
    done = boot(elf)
    assert done.returncode == 2
    assert b"outside memory" in done.stderr and b"--ram 0x" in done.stderr
    assert boot(elf, "--rom", "4", "--ram", "1").returncode == 7
    raw = tmp_path / "raw.bin"
    subprocess.run(["riscv64-unknown-elf-objcopy", "-O", "binary", elf, raw], check=True)
    done = boot(raw)
    assert done.returncode == 2 and b"--isa" in done.stderr
    assert boot(raw, "--isa", "rv32imac", "--ram", "0x20000000:64K").returncode == 7


BAD: tuple[tuple[list[str], str], ...] = (
    ([], "no image"),
    (["/nonexistent"], "No such file"),
    (["/"], "irectory"),
    (["{elf}", "--ram", "lots"], "[BASE:]SIZE"),
    (["{elf}", "--harts", "0"], "out of range"),
    (["{elf}", "--engine", "turbo"], "turbo"),
    (["{elf}", "--isa", "rv32imac"], "64-bit program"),
    (["{elf}", "--isa", "rv64iq"], "not supported"),
    (["{elf}", "-S"], "-S waits"),
    (["{elf}", "--gdb", "nowhere"], "HOST"),
    (["{elf}", "--gdb", "70000"], "70000"),
    (["{elf}", "-s", "--gdb", "1"], "-s is"),
    (["{elf}", "--gdb", "stdio", "--serial", "stdio"], "--serial"),
    (["{elf}", "--serial", "carrier-pigeon"], "--serial"),
    (["{elf}", "--expect", "("], "regular expression"),
    (["{elf}", "--log", "everything"], "choose from"),
    (["{elf}", "--log-file", "x"], "need --log"),
    (["{elf}", "--log", "exec", "--log-range", "here-there"], "here"),
    (["{elf}", "--semihosting-dir", "/nonexistent"], "no such directory"),
    (["{elf}", "--timeout", "-1"], "seconds"),
    (["{elf}", "--ram", "0x80000000:1M", "--ram", "0x80000000:1M"], "overlap"),
    (["{elf}", "--ram", "0x80000000:100000G"], "memory"),
    (["{elf}", "--kernel", "{elf}"], "same thing"),
    (["{elf}", "--what"], "--what"),
)


@pytest.mark.parametrize(("words", "said"), BAD, ids=[" ".join(w) or "none" for w, _ in BAD])
def test_bad_usage_is_one_line(
    words: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    elf = str(build(SPIN))
    assert main(["boot", *(word.format(elf=elf) for word in words)]) == 2
    text = capsys.readouterr().err
    assert text.count("\n") == 1
    assert text.startswith("otoriscv: error: ") and said in text


def test_a_closed_pipe_ends_quietly() -> None:
    source = f'_start: la a0, text\n call puts\n j _start\n{PUTS}\ntext: .asciz "again\\n"'
    process = subprocess.Popen(
        command(build(source)),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
    )
    assert process.stdout is not None and process.stderr is not None
    assert process.stdout.readline() == b"again\n"
    process.stdout.close()
    assert process.wait(10) == 141
    assert process.stderr.read() == b""
    process.stderr.close()


def test_semihosting_arguments(tmp_path: Path) -> None:
    # SYS_GET_CMDLINE, then SYS_WRITE0 of it
    source = f"""
    .option norvc
_start: li a0, 0x15
    la a1, block
    call host
    la a1, buffer
    li a0, 4
    call host
    j pass
    .balign 16
host: slli x0, x0, 0x1f
    ebreak
    srai x0, x0, 7
    ret
{FINISH}
    .data
    .align 3
block: .dword buffer, 512
buffer: .space 512"""
    elf = build(source)
    link = tmp_path / "guest"
    link.symlink_to(elf)
    done = boot(link, "--", "one", "--two")
    assert done.stdout == f"{link} one --two".encode()
