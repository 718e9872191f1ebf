"""Finding compilers and debuggers, with a PATH made for each case."""

from __future__ import annotations

from pathlib import Path

import pytest

from otoriscv import tools

KNOWS = """#!/bin/sh
echo 'The target architecture is set to "riscv:rv64".'
"""
KNOWS_NOT = """#!/bin/sh
echo 'Undefined item: "riscv:rv64".' >&2
echo 'The target architecture is set to "auto" (currently "i386").'
"""


@pytest.fixture
def path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty PATH; programs are put there with `program`."""
    for variable in ("OTORISCV_CC", "OTORISCV_GDB"):
        monkeypatch.delenv(variable, raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    tools._knows_riscv.cache_clear()
    return tmp_path


def program(path: Path, name: str, text: str = "#!/bin/sh\n") -> str:
    """Put a program into *path*."""
    file = path / name
    file.write_text(text)
    file.chmod(0o755)
    return str(file)


@pytest.mark.parametrize("prefix", tools.CC_PREFIXES)
def test_every_compiler_prefix_is_found(path: Path, prefix: str) -> None:
    gcc = program(path, f"{prefix}gcc")
    found = tools.find_cc()
    assert found.command == (gcc,)
    assert found.prefix == str(path / prefix)


def test_no_compiler_says_what_was_looked_for(path: Path) -> None:
    found = tools.find_cc()
    assert not found.usable
    assert "riscv64-unknown-elf-gcc" in found.reason
    assert "OTORISCV_CC" in found.reason


def test_the_compiler_can_be_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "riscv64-unknown-elf-gcc")
    mine = program(path, "mine")
    monkeypatch.setenv("OTORISCV_CC", f"{mine} -v")
    assert tools.find_cc().command == (mine, "-v")
    monkeypatch.setenv("OTORISCV_CC", "nothing-like-it")
    assert "nothing-like-it" in tools.find_cc().reason


def test_picolibc_is_asked_of_the_compiler(path: Path) -> None:
    program(path, "riscv64-unknown-elf-gcc", "#!/bin/sh\necho picolibc.specs\n")
    assert not tools.find_picolibc().usable
    program(path, "riscv64-unknown-elf-gcc", "#!/bin/sh\necho /somewhere/picolibc.specs\n")
    assert tools.find_picolibc().usable


def test_a_gdb_without_riscv_is_passed_over(path: Path) -> None:
    plain = program(path, "gdb", KNOWS_NOT)
    found = tools.find_gdb()
    assert not found.usable
    assert plain in found.reason
    multi = program(path, "gdb-multiarch", KNOWS)
    assert tools.find_gdb().command == (multi,)


def test_a_plain_gdb_that_knows_riscv_will_do(path: Path) -> None:
    plain = program(path, "gdb", KNOWS)
    assert tools.find_gdb().command == (plain,)


def test_the_gdb_can_be_named(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(path, "gdb-multiarch", KNOWS)
    mine = program(path, "mine", KNOWS_NOT)
    monkeypatch.setenv("OTORISCV_GDB", mine)
    assert "knows no RISC-V" in tools.find_gdb().reason
    tools._knows_riscv.cache_clear()
    program(path, "mine", KNOWS)
    assert tools.find_gdb().command == (mine,)


@pytest.mark.parametrize("manager", tools.INSTALL)
def test_the_package_manager_and_its_names(path: Path, manager: str) -> None:
    assert tools.package_manager() == ""
    program(path, manager)
    assert tools.package_manager() == manager
    assert tools.hint("gdb", manager).startswith(tools.INSTALL[manager])


def test_hints_without_a_package_manager_name_them_all() -> None:
    said = tools.hint("dtc", "")
    for manager in tools.INSTALL:
        assert manager in said
