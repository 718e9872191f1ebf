"""``otoriscv demo`` and ``doctor``, as a user starts them."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from otoriscv.cli import demo
from otoriscv.tools import find_gdb, find_picolibc

needs_gdb = pytest.mark.skipif(not find_gdb().usable, reason=find_gdb().reason)
needs_picolibc = pytest.mark.skipif(not find_picolibc().usable, reason=find_picolibc().reason)


def otoriscv(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command line."""
    return subprocess.run(
        [sys.executable, "-m", "otoriscv", *arguments],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
        timeout=200,
    )


@needs_gdb
@needs_picolibc
@pytest.mark.parametrize("xlen", ["32", "64"])
def test_a_compiled_guest_through_gdb(xlen: str) -> None:
    done = otoriscv("demo", "--xlen", xlen)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(gdb) backtrace" in done.stdout
    assert "exited with code 052" in done.stdout
    assert "11 words, 8 distinct" in done.stdout


@needs_gdb
@pytest.mark.parametrize("engine", ["interp", "python"])
@pytest.mark.parametrize("xlen", ["32", "64"])
def test_the_packaged_guest_through_gdb(xlen: str, engine: str) -> None:
    done = otoriscv("demo", "--tiny", "--xlen", xlen, "--engine", engine)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("xlen", ["32", "64"])
def test_without_compiler_and_gdb_our_own_client_does_it(xlen: str) -> None:
    done = otoriscv(
        "demo", "--xlen", xlen, OTORISCV_GDB="none-such-gdb", OTORISCV_CC="none-such-cc"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "(client) stepi" in done.stdout
    assert "the guest ended with code 42" in done.stdout
    assert "tiny: factorial was called 12 times" in done.stdout


def test_what_is_missing_from_a_session_is_an_error() -> None:
    demo.check_order("one\ntwo\n", ["^one$", "^two$"])
    with pytest.raises(demo.DemoError, match="two"):
        demo.check_order("two\none\n", ["^one$", "^two$"])


def test_a_guest_that_cannot_be_served_fails_the_demo() -> None:
    done = otoriscv("demo", "--tiny", "--engine", "no-such-engine")
    assert done.returncode == 1
    assert "no-such-engine" in done.stderr


def test_doctor_names_engines_and_tools_and_how_to_get_them() -> None:
    done = otoriscv("doctor")
    assert done.returncode == 0
    for word in ("python", "interp", "cc", "gdb", "qemu", "dtc"):
        assert f" {word} " in done.stdout
    without = otoriscv("doctor", OTORISCV_CC="none-such-cc").stdout
    assert "OTORISCV_CC names 'none-such-cc'" in without
