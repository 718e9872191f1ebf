"""The pytest plugin, in suites of its own."""

from __future__ import annotations

import re
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

from otoriscv.tools import find_gdb
from tests.board_guest import build, needs_cc
from tests.test_api_machine import GUEST

pytest_plugins = ["pytester"]
pytestmark = needs_cc
needs_gdb = pytest.mark.skipif(not find_gdb().usable, reason="no gdb")
INSTALLED = any(entry.name == "otoriscv" for entry in entry_points(group="pytest11"))
PLUGIN = () if INSTALLED else ("-p", "otoriscv.testing.plugin")

C_GUEST = """
volatile int sink;
__attribute__((noinline)) int inner(int n) { sink += n; return sink * 2; }
__attribute__((noinline)) int outer(int n) { int r = inner(n + 1); sink = r; return r + 1; }
static char stack[4096];
__attribute__((noinline)) void start(void) {
    *(volatile char *)0x10000000 = 'o';
    *(volatile char *)0x10000000 = 'k';
    for (int i = 0;; i++) sink = outer(i);
}
__attribute__((naked)) void _start(void) {
    __asm__("la sp, %0 + 4096; call start" : : "i"(stack));
}
"""


@pytest.fixture
def suite(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> pytest.Pytester:
    """A folder with the guest in it, and its ini file."""
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[1]))
    (pytester.path / "fw.elf").write_bytes(build(GUEST, 32).read_bytes())
    (pytester.path / "c.elf").write_bytes(build(C_GUEST, 64, c=True).read_bytes())
    pytester.makeini("[pytest]\notoriscv_image = fw.elf\n")
    return pytester


def run(suite: pytest.Pytester, *args: str) -> pytest.RunResult:
    return suite.runpytest_subprocess(*PLUGIN, "-p", "no:cacheprovider", *args)


BASIC = """
import pytest

def test_runs(machine):
    assert machine.expect("rea(.)y").group(1) == "d"
    assert machine.run().code == 9
    assert machine.mem.u32["counter"] == 115

@pytest.mark.parametrize("n", range(4))
def test_each_begins_anew(machine, n):
    assert machine.output == "" and machine.retired == 0
    assert machine.mem.u32["counter"] == 100
    machine.on_exec("work", lambda event: machine.stop())
    machine.mem.u32["counter"] = 1
    assert machine.run("loop").reason.value == "until"

@pytest.mark.otoriscv(engine="python", harts=2)
class TestMarks:
    def test_engine(self, machine):
        assert machine.board.engine.name == "python" and len(machine.harts) == 2

    @pytest.mark.otoriscv("c.elf", harts=1)
    def test_nearest_wins(self, machine):
        assert machine.board.engine.name == "python" and len(machine.harts) == 1
        machine.run("inner")
        assert machine.regs.a0 == 1

def test_factory(otoriscv_machine):
    a, b = otoriscv_machine(), otoriscv_machine("c.elf", isa="rv64imac_zicsr")
    a.run(); b.run("outer")
    assert (a.board.xlen, b.board.xlen) == (32, 64)
"""


def test_the_fixtures(suite: pytest.Pytester) -> None:
    suite.makepyfile(BASIC)
    run(suite).assert_outcomes(passed=8)


def test_in_parallel(suite: pytest.Pytester) -> None:
    suite.makepyfile(BASIC)
    run(suite, "-n2").assert_outcomes(passed=8)


def test_a_failure_shows_the_machine(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        @pytest.mark.otoriscv("c.elf")
        def test_fails(machine):
            machine.run("inner")
            machine.run("inner")
            machine.run(count=2)
            assert machine.regs.a0 == 77
        def test_expects(machine):
            machine.expect("nonsense")
        """
    )
    result = run(suite)
    result.assert_outcomes(failed=2)
    text = result.stdout.str()
    assert re.search(r"otoriscv machine.*\n(.*\n)*console\n  ok\nhart 0", text)
    assert re.search(r"last instructions\n(  0x\w+  .*\n)+  0x\w+  inner\+0x\w+", text)
    assert re.search(r"#0 0x\w+  inner\+.*\n  #1 .*outer\+.*\n  #2 .*start\+", text)
    assert "'nonsense' was not printed before the guest ended with code 9" in text


@needs_gdb
def test_gdb(suite: pytest.Pytester) -> None:
    pytest.importorskip("pygdbmi")
    suite.makepyfile(
        """
        import pytest
        @pytest.mark.otoriscv("c.elf")
        @pytest.mark.parametrize("engine", ["python", "interp"])
        def test_gdb(otoriscv_machine, otoriscv_gdb, engine):
            machine = otoriscv_machine(engine=engine)
            gdb = otoriscv_gdb(machine)
            gdb.breakpoint("inner")
            assert gdb.go().function == "inner"
            assert gdb.backtrace()[:2] == ["inner", "outer"]
            assert gdb.integer("n") == 1 == machine.regs.a0

        @pytest.mark.otoriscv("c.elf")
        def test_attached(machine, gdb):
            gdb.breakpoint("outer")
            assert gdb.go().pc == machine.regs.pc
        """
    )
    run(suite, "--otoriscv-strict").assert_outcomes(passed=3)


@needs_gdb
def test_gdb_leaves_the_machine_halted(suite: pytest.Pytester) -> None:
    """gdb detaches when it is ended, which lets the machine run: the next test must not see it."""
    pytest.importorskip("pygdbmi")
    suite.makepyfile(
        """
        import pytest
        @pytest.mark.otoriscv("c.elf")
        @pytest.mark.parametrize("n", range(3))
        def test_gdb(machine, gdb, n):
            assert machine.retired == 0
            gdb.breakpoint("inner")
            gdb.go()

        @pytest.mark.otoriscv("c.elf")
        def test_later(machine):
            assert machine.retired == 0
            assert machine.run(count=10).reason.value == "steps"
            assert machine.retired == 10
        """
    )
    run(suite, "--otoriscv-strict").assert_outcomes(passed=4)


def test_without_gdb(suite: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTORISCV_GDB", "/nowhere/gdb")
    suite.makepyfile("def test_it(gdb): pass")
    result = run(suite, "-rs")
    result.assert_outcomes(skipped=1)
    result.stdout.fnmatch_lines(["*SKIPPED*no gdb:*OTORISCV_GDB*"])
    result = run(suite, "--otoriscv-strict")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["*no gdb:*"])


def test_a_device_stays_with_its_test(suite: pytest.Pytester) -> None:
    suite.makepyfile(
        """
        import pytest
        from otoriscv import Device
        @pytest.mark.parametrize("n", range(3))
        def test_it(machine, n):
            machine.attach(Device(), 0x30000000)
            machine.run()
        """
    )
    run(suite).assert_outcomes(passed=3)


def test_the_plugin_imports_nothing_heavy() -> None:
    code = (
        "import sys, pytest, time; t = time.perf_counter(); import otoriscv.testing.plugin;"
        "print((time.perf_counter() - t) * 1000);"
        "print(*[m for m in sys.modules if m.startswith(('otoriscv.', 'elftools', 'pygdbmi'))])"
    )
    best = 1e9
    for _ in range(5):  # the computer may be busy
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True)
        milliseconds, modules = done.stdout.decode().splitlines()
        assert modules.split() == ["otoriscv.testing", "otoriscv.testing.plugin"]
        best = min(best, float(milliseconds))
        if best < 10:
            return
    raise AssertionError(f"{best} ms")
