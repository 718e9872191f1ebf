"""F and D against QEMU: the same guest computes the same results and flags."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from benchmarks.suite import FLAGS, SOURCES, VARIANTS
from otoriscv import Machine, tools
from tests.float_guest import names, source

pytestmark = pytest.mark.qemu
Guest = Callable[[int, int], tuple[Path, list[str]]]


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> Guest:
    """The image for a width and a number of rounds, and what it prints on QEMU."""
    folder = tmp_path_factory.mktemp("float")

    def build(xlen: int, rounds: int) -> tuple[Path, list[str]]:
        for tool in (tools.find_cc(), tools.find_qemu(xlen)):
            if not tool.usable:
                pytest.skip(tool.reason)
        image = folder / f"{xlen}-{rounds}.elf"
        said = image.with_suffix(".txt")
        if not image.exists():
            text = image.with_suffix(".c")
            text.write_text(source(xlen, rounds))
            command = [*tools.find_cc().command, *VARIANTS[f"rv{xlen}gc"][1], *FLAGS]
            command += ["-T", str(SOURCES / "kernel.ld"), str(SOURCES / "start.S"), str(text)]
            subprocess.run([*command, "-lgcc", "-o", str(image)], check=True)
            qemu = [*tools.find_qemu(xlen).command, "-M", "virt", "-bios", "none", "-display"]
            qemu += ["none", "-monitor", "none", "-serial", f"file:{said}", "-kernel", str(image)]
            subprocess.run(qemu, timeout=600, check=True)
        return image, said.read_text().splitlines()

    return build


def check(image: Path, wanted: list[str], xlen: int, **options: Any) -> int:
    """Run it; how many instructions it took."""
    with Machine(image, **options) as machine:
        machine.run()
        said = machine.output.splitlines()
        assert [s for s, w in zip(said, wanted, strict=True) if s != w] == []
        assert len(said) == len(names(xlen))
        return machine.retired


@pytest.mark.parametrize("xlen", [32, 64])
def test_every_operation(guest: Guest, xlen: int) -> None:
    image, wanted = guest(xlen, 40)
    count = check(image, wanted, xlen, engine="interp")
    hot = {"engine": "llvm", "jit_threshold": 1, "jit_workers": 0}
    assert check(image, wanted, xlen, **hot) == count


@pytest.mark.slow
@pytest.mark.parametrize("xlen", [32, 64])
def test_millions_of_cases(guest: Guest, xlen: int) -> None:
    image, wanted = guest(xlen, 4000)
    count = check(image, wanted, xlen, engine="interp")
    assert check(image, wanted, xlen, engine="llvm", jit_workers=0) == count
