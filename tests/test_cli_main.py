"""The command line as such: help, version, unknown words, internal errors, import time."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import otoriscv
from otoriscv.cli import main as cli

ROOT = Path(__file__).resolve().parents[1]


def test_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["--version"]) == 0
    assert capsys.readouterr().out == f"otoriscv {otoriscv.__version__}\n"


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([]) == 2
    assert "boot" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["boot", "serve"])
def test_help_has_examples(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([command, "--help"]) == 0
    assert "examples:" in capsys.readouterr().out


def test_unknown_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["fly"]) == 2
    said = capsys.readouterr().err
    assert said.startswith("otoriscv: error: ") and "boot" in said


def test_internal_errors(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(argv: object) -> int:
        raise ZeroDivisionError("inside")

    monkeypatch.setattr(cli, "_run", broken)
    monkeypatch.delenv("OTORISCV_DEBUG", raising=False)
    assert cli.main(["boot", "x"]) == 125
    said = capsys.readouterr().err
    assert "inside" in said and "report" in said and "Traceback" not in said
    monkeypatch.setenv("OTORISCV_DEBUG", "1")
    assert cli.main(["boot", "x"]) == 125
    assert "Traceback" in capsys.readouterr().err


def test_everything_public_can_be_imported() -> None:
    for name in otoriscv.__all__:
        assert getattr(otoriscv, name) is not None
    with pytest.raises(AttributeError):
        _ = otoriscv.nothing_of_the_kind
    assert set(otoriscv.__all__) <= set(dir(otoriscv))


def test_import_loads_nothing_heavy() -> None:
    code = (
        "import sys, otoriscv;"
        "print(sorted(m for m in sys.modules if m.startswith(('otoriscv', 'llvm', 'elftools'))))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert done.stdout == "['otoriscv']\n"


@pytest.mark.timing
def test_import_time() -> None:
    code = "import time; t = time.perf_counter(); import otoriscv; print(time.perf_counter() - t)"
    times = [
        float(subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT).stdout)
        for _ in range(5)
    ]
    assert min(times) < 0.06
