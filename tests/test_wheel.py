"""The wheel in a fresh environment, as somebody gets it who has no checkout."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.doc_blocks import ROOT

pytestmark = [pytest.mark.slow]
_NOT_COPIED = shutil.ignore_patterns(".git", ".venv", "build", "*.egg-info", "results", ".*_cache")

SUITE = """
import otoriscv, pathlib, pytest
from otoriscv import Machine
GUEST = pathlib.Path(otoriscv.__file__).parent / "demo" / "tiny32.elf"

def test_the_api():
    with Machine(GUEST) as machine:
        machine.expect("weigh 150")
        machine.run()
        assert machine.mem.u32["calls"] == 12

@pytest.mark.otoriscv(str(GUEST))
def test_the_plugin_is_there_without_being_asked_for(machine):
    assert machine.run("factorial").reason.value == "until"
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bin folder of an environment with the wheel in it."""
    folder = tmp_path_factory.mktemp("wheel")
    source = shutil.copytree(ROOT, folder / "source", ignore=_NOT_COPIED)
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input"]
    built = subprocess.run(
        [*pip, "wheel", "--no-deps", "-w", str(folder), str(source)], capture_output=True, text=True
    )
    if built.returncode and "setuptools" in built.stderr:
        pytest.skip("the wheel cannot be built without a network: setuptools is fetched")
    assert built.returncode == 0, built.stderr
    venv.create(folder / "fresh", with_pip=True)
    programs = folder / "fresh" / ("Scripts" if os.name == "nt" else "bin")
    wheel = next(folder.glob("*.whl"))
    command = [str(programs / "python"), "-m", "pip", "install", "--no-deps", str(wheel)]
    subprocess.run(command, check=True, capture_output=True)
    return programs


def environment() -> dict[str, str]:
    """With this environment's packages, which otoriscv depends on, but not the checkout."""
    return {**os.environ, "PYTHONPATH": sysconfig.get_path("purelib")}


def test_the_commands(installed: Path, tmp_path: Path) -> None:
    for words in (["doctor"], ["demo", "--tiny", "--no-gdb"], ["--version"]):
        done = subprocess.run(
            [str(installed / "otoriscv"), *words],
            cwd=tmp_path,
            env=environment(),
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_the_api_and_the_plugin(installed: Path, tmp_path: Path) -> None:
    (tmp_path / "test_suite.py").write_text(SUITE)
    where = subprocess.run(
        [str(installed / "python"), "-c", "import otoriscv; print(otoriscv.__file__)"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert where.stdout.startswith(str(installed.parent))
    done = subprocess.run(
        [str(installed / "python"), "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=200,
    )
    assert "2 passed" in done.stdout, done.stdout + done.stderr
