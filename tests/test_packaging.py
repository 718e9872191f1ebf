"""What is committed or packaged beside the code: the small guest, the kernels, the package data."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from elftools.elf.elffile import ELFFile

from otoriscv.tools import find_cc

ROOT = Path(__file__).resolve().parent.parent
DEMO = ROOT / "otoriscv" / "demo"
TINY = ROOT / "examples" / "tiny"

needs_cc = pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason)


def compiler_of(image: Path) -> str:
    """The compiler's version as an ELF file's .comment has it."""
    with image.open("rb") as stream:
        section = ELFFile(stream).get_section_by_name(".comment")
        assert section is not None
        data: bytes = section.data()
    return data.rstrip(b"\0").decode()


@pytest.fixture(scope="module")
def rebuilt(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """examples/tiny, built now."""
    out = tmp_path_factory.mktemp("tiny")
    compiler = " ".join(find_cc().command)
    subprocess.run(
        ["make", "-s", "-C", str(TINY), f"OUT={out}", f"RISCV_CC={compiler}"], check=True
    )
    return out


@needs_cc
@pytest.mark.parametrize("xlen", [32, 64])
def test_the_packaged_guest_is_built_from_its_source(rebuilt: Path, xlen: int) -> None:
    name = f"tiny{xlen}.elf"
    committed, now = DEMO / name, rebuilt / name
    if compiler_of(committed) != compiler_of(now):
        pytest.skip(f"committed by {compiler_of(committed)}, this is {compiler_of(now)}")
    assert committed.read_bytes() == now.read_bytes()


@pytest.mark.parametrize("xlen", [32, 64])
def test_the_packaged_guest_is_small_and_names_no_folder_of_its_builder(xlen: int) -> None:
    image = DEMO / f"tiny{xlen}.elf"
    data = image.read_bytes()
    assert len(data) < 8192
    assert b"examples/tiny" in data
    for part in ROOT.parts[1:2]:
        assert f"/{part}/".encode() not in data


def test_the_branchy_kernel_is_what_its_script_writes() -> None:
    kernels = ROOT / "benchmarks" / "kernels"
    script = kernels / "generate_branches.py"
    done = subprocess.run([sys.executable, str(script)], capture_output=True, check=True)
    assert done.stdout == (kernels / "branches.c").read_bytes()


def test_package_data_covers_every_file_that_is_not_python() -> None:
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    package = ROOT / "otoriscv"
    packaged = {
        file for pattern in patterns["package-data"]["otoriscv"] for file in package.glob(pattern)
    }
    others = {
        file
        for file in package.rglob("*")
        if file.is_file() and file.suffix not in (".py", ".pyc", ".md")
    }
    assert others <= packaged
    assert {DEMO / "tiny32.elf", DEMO / "tiny64.elf", DEMO / "tiny.gdb"} <= packaged
