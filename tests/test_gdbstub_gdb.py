"""The real gdb against the machine of the tests: attaching without a file, no warnings."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.description import PRIV
from otoriscv.tools import find_cc, find_gdb
from tests.fake_target import BASE, EBREAK, EXIT, LOOP, PRINT, STORE, FakeTarget

pytest.importorskip("pygdbmi")

from tests.gdbmi import Gdb, GdbError

pytestmark = pytest.mark.skipif(not find_gdb().usable, reason=find_gdb().reason)


@pytest.fixture(params=[32, 64])
def target(request: pytest.FixtureRequest) -> Iterator[FakeTarget]:
    target = FakeTarget(request.param, harts=2)
    yield target
    target.stop()


@pytest.fixture
def gdb(server: GdbServer) -> Iterator[Gdb]:
    with Gdb() as gdb:
        gdb.connect(*server.address)
        yield gdb


def test_attaching_without_a_file(server: GdbServer, target: FakeTarget, tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *find_gdb().command, "-nx", "-batch", "-ex", f"target remote :{server.address[1]}",
            "-ex", "show architecture", "-ex", "info threads", "-ex", "info registers",
            "-ex", "print/x $misa", "-ex", "print $priv", "-ex", "x/2xw $pc", "-ex", "detach",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        cwd=tmp_path,
        timeout=60,
    )  # fmt: skip
    text = done.stdout
    assert "warning" not in text.lower(), text
    assert f'(currently "riscv:rv{target.xlen}")' in text
    assert 'Thread 2 "Hart 1" (M-mode, halted)' in text
    assert "0x80000000" in text
    assert f"$1 = 0x{'4000000000001105' if target.xlen == 64 else '40001105'}"[:8] in text
    assert "detached" in text


def test_a_program_that_is_gone_is_no_warning(server: GdbServer, target: FakeTarget) -> None:
    target.executable = "/no/such/file.elf"
    with Gdb() as gdb:
        gdb.connect(*server.address)
        assert gdb.warnings() == []


@pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason)
def test_the_symbols_of_the_guest_come_by_themselves(
    server: GdbServer, target: FakeTarget, tmp_path: Path
) -> None:
    source, program = tmp_path / "guest.S", tmp_path / "a guest.elf"
    source.write_text(".globl somewhere\nsomewhere: nop\nnop\n")
    abi = {32: ("rv32imac", "ilp32"), 64: ("rv64imac", "lp64")}[target.xlen]
    flags = [f"-march={abi[0]}", f"-mabi={abi[1]}", "-nostdlib", "-Wl,-Ttext=0x80000000"]
    subprocess.run([*find_cc().command, *flags, source, "-o", program], check=True)
    target.executable = str(program)
    with Gdb() as gdb:
        gdb.connect(*server.address)
        assert gdb.warnings() == []
        assert gdb.integer("&somewhere") == BASE
    with Gdb(str(program)) as gdb:  # named by hand as well
        gdb.connect(*server.address)
        assert gdb.warnings() == []


def test_breakpoints_and_steps(gdb: Gdb, target: FakeTarget) -> None:
    gdb.breakpoint(f"*{BASE + 0x40:#x}")
    gdb.breakpoint(f"*{BASE + 0x80:#x}", "-h")
    assert gdb.go().pc == BASE + 0x40
    assert gdb.go("-exec-step-instruction").pc == BASE + 0x44
    assert gdb.run_cli("stepi 3").pc == BASE + 0x50
    stop = gdb.go()
    assert (stop.pc, stop.reason) == (BASE + 0x80, "breakpoint-hit")
    assert gdb.warnings() == []


def test_watchpoint(gdb: Gdb, target: FakeTarget) -> None:
    target.memory[16:20] = STORE.to_bytes(4, "little")
    gdb.cli(f"set $a0 = {BASE + 0x1000:#x}")
    gdb.cli("set $a1 = 0x1234")
    gdb.cli(f"watch *(int *){BASE + 0x1000:#x}")
    stop = gdb.go()
    assert stop.reason == "watchpoint-trigger"
    assert stop.payload["value"] == {"old": "0", "new": "4660"}
    assert stop.pc == BASE + 20


def test_registers_and_memory(gdb: Gdb, target: FakeTarget) -> None:
    gdb.cli("set $s5 = 0x1234567")
    assert target.values[0][21] == 0x1234567
    gdb.cli("set $mepc = 0x80000010")
    assert target.values[0][65 + 0x341] == BASE + 0x10
    gdb.cli(f"set *(unsigned *){BASE + 0x200:#x} = 0xcafe")
    assert target.memory[0x200:0x204] == b"\xfe\xca\0\0"
    assert gdb.integer(f"*(unsigned short *){BASE + 0x200:#x}") == 0xCAFE
    with pytest.raises(GdbError, match=r"[Cc]annot access memory"):
        gdb.evaluate("*(int *)0")


def test_interrupt(gdb: Gdb, target: FakeTarget) -> None:
    target.memory[0:4] = LOOP.to_bytes(4, "little")
    gdb.mi("-exec-continue")
    time.sleep(0.1)
    stop = gdb.interrupt()
    assert (stop.signal, stop.pc) == ("SIGINT", BASE)


def test_ebreak_output_and_exit(gdb: Gdb, target: FakeTarget) -> None:
    for at, word in enumerate((PRINT, EBREAK, EXIT)):
        target.memory[4 * at : 4 * at + 4] = word.to_bytes(4, "little")
    gdb.cli("set $a1 = 'Q'")
    gdb.cli("set $a0 = 3")
    stop = gdb.go()
    assert (stop.signal, stop.pc) == ("SIGTRAP", BASE + 4)
    assert "Q" in gdb.text()
    gdb.cli("set $pc = $pc + 4")
    assert gdb.go().payload["exit-code"] == "03"


def test_monitor_and_run_again(server: GdbServer, target: FakeTarget) -> None:
    target.load(0, EXIT)
    with Gdb() as gdb:
        gdb.connect(*server.address, extended=True)
        assert "Monitor commands" in gdb.cli("monitor help")
        assert gdb.go().reason.startswith("exited")
        gdb.breakpoint(f"*{BASE + 4:#x}")
        assert gdb.run_cli("run").pc == BASE + 4
        gdb.cli("kill")
        assert target.kills == 1


def test_threads(gdb: Gdb, target: FakeTarget) -> None:
    threads = gdb.mi("-thread-info")["threads"]
    assert [thread["details"] for thread in threads] == ["M-mode, halted"] * 2
    assert [thread["name"] for thread in threads] == ["Hart 0", "Hart 1"]
    target.sleepers.add(1)
    target.values[0][PRIV] = 1
    threads = gdb.mi("-thread-info")["threads"]
    assert [thread["details"] for thread in threads] == ["S-mode, halted", "M-mode, halted, wfi"]
    gdb.mi("-thread-select 2")
    gdb.cli("set scheduler-locking on")
    gdb.go("-exec-step-instruction")
    assert [values[32] - BASE for values in target.values] == [0, 4]
