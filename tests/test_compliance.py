"""tools/compliance: judging runs by tohost and by signature, on our engines and on QEMU."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from otoriscv.jit.engines import probe
from otoriscv.tools import find_cc, find_qemu
from tools.compliance.run import compare, main

needs_cc = pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason)
needs_qemu = pytest.mark.skipif(not find_qemu().usable, reason=find_qemu().reason)
SUITES = os.environ.get("OTORISCV_COMPLIANCE", "")

SOURCE = """
        .globl _start, tohost, begin_signature, end_signature
_start: la t0, begin_signature
        li t1, 0x12345678
        sw t1, 0(t0)
        li a0, RESULT
        la t0, tohost
1:      sw a0, 0(t0)
        j 1b
        .data
        .balign 64
tohost: .dword 0
        .balign 16
begin_signature:
        .word 0, 0x9abcdef0
        .balign 16
end_signature:
"""


def make(directory: Path, suite: str, name: str, result: int, xlen: int = 32) -> Path:
    """A program that writes its signature and stores *result* to tohost."""
    image = directory / suite / f"{name}.elf"
    image.parent.mkdir(exist_ok=True)
    abi = "ilp32" if xlen == 32 else "lp64"
    command = [*find_cc().command, f"-march=rv{xlen}i", f"-mabi={abi}", "-nostdlib", "-static"]
    command += [f"-DRESULT={result}", "-Ttext=0x80000000", "-x", "assembler-with-cpp", "-"]
    subprocess.run([*command, "-o", str(image)], input=SOURCE, text=True, check=True)
    return image


@pytest.fixture(params=["otoriscv", pytest.param("qemu", marks=[needs_qemu, pytest.mark.qemu])])
def device(request: pytest.FixtureRequest) -> str:
    """What the programs run on."""
    name: str = request.param
    return name


@needs_cc
@pytest.mark.compliance
def test_tohost_decides(device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make(tmp_path, "good", "one", 1)
    make(tmp_path, "good", "two", 1, xlen=64)
    assert main([str(tmp_path), "--device", device]) == 0
    make(tmp_path, "bad", "three", 7)
    assert main([str(tmp_path), "--device", device]) == 1
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["bad", "0", "1"] in [line[:3] for line in lines]
    assert ["good", "2", "0"] in [line[:3] for line in lines]
    assert ["FAILED", "bad/three:"] in [line[:2] for line in lines]
    assert main([str(tmp_path), "--device", device, "--only", "good/*"]) == 0


@needs_cc
@pytest.mark.compliance
def test_a_reference_signature_decides(
    device: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    image = make(tmp_path, "signed", "one", 1)
    reference = image.with_name("one.reference_output")
    reference.write_text("12345678\n9abcdef0\n")
    assert main([str(tmp_path), "--device", device]) == 0
    reference.write_text("12345678\n9abcdef1\n")
    assert main([str(tmp_path), "--device", device]) == 1
    assert "signature word 1 is 9abcdef0, the reference has 9abcdef1" in capsys.readouterr().out


@needs_cc
@pytest.mark.compliance
@pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here")
def test_what_is_executed_is_compiled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    reference = make(tmp_path, "signed", "one", 1).with_name("one.reference_output")
    reference.write_text("12345678\n9abcdef0\n")
    assert main([str(tmp_path), "--compiled"]) == 0
    words = capsys.readouterr().out.splitlines()[1].split()
    assert words[:3] == ["signed", "1", "0"]
    assert int(words[-1].rstrip("%")) > 20  # up to the first store, which is near tohost
    reference.write_text("12345678\n9abcdef1\n")
    assert main([str(tmp_path), "--compiled"]) == 1
    make(tmp_path, "bad", "two", 7)
    assert main([str(tmp_path), "--compiled", "--only", "bad/*"]) == 1
    assert "FAILED bad/two: exit code 3" in capsys.readouterr().out


def test_signatures_are_compared_word_by_word(tmp_path: Path) -> None:
    reference = tmp_path / "reference"
    reference.write_text("0000000a\n0000000B\n")
    assert compare("0000000a\n0000000b\n00000000\n", reference) == ""
    assert "1 words" in compare("0000000a\n", reference)
    assert "word 1" in compare("0000000a\n0000000c\n", reference)
    assert "behind" in compare("0000000a\n0000000b\n00000001\n", reference)


def test_a_directory_without_programs_is_an_error(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 2


@pytest.mark.slow
@pytest.mark.compliance
@pytest.mark.timeout(1800)
@pytest.mark.skipif(not SUITES, reason="OTORISCV_COMPLIANCE names no folder of built suites")
@pytest.mark.parametrize("engine", ["interp", "python"])
def test_the_suites_pass(engine: str) -> None:
    assert main([SUITES, "--engine", engine]) == 0
