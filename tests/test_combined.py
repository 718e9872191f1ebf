"""Which combined instructions fall out of the micro-ops and LLVM (docs/design.md, "Regions").

Each idiom is compiled in a region that ends by leaving with the register in use; what counts is
that the host code has the result as a constant or as one operation, which objdump shows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from otoriscv.core.decode import Decoder, Insn, Isa
from otoriscv.core.encode import assemble
from otoriscv.core.policy import TlbPolicy
from otoriscv.core.sem import MemoryPolicy
from otoriscv.core.uop import Value
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm.compile import compile_module
from otoriscv.jit.llvm.flat import FlatPolicy, Window
from otoriscv.jit.llvm.region import _RegionFunction, region_text
from otoriscv.jit.regions import Region, discover

pytestmark = pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here")

RAM = 0x8000_0000
FLAT = FlatPolicy(Window(RAM, 1 << 20, 0x1000_0000), watching=False)


def region_of(source: str, xlen: int) -> Region:
    program = assemble(source, xlen, RAM)
    decoder = Decoder(Isa.full(xlen))

    def decode(pc: int) -> Insn | None:
        at = pc - RAM
        if not 0 <= at < len(program.code):
            return None
        return decoder.decode(int.from_bytes(program.code[at : at + 4], "little"), pc)

    return discover(RAM, xlen, decode)


def uops(source: str, xlen: int, policy: MemoryPolicy = FLAT) -> list[Value]:
    """The micro-ops of the first block, after pruning."""
    region = region_of(source, xlen)
    function = _RegionFunction(xlen, region, policy, {})
    return function._program(region.blocks[RAM])[0]


def writes(source: str, xlen: int, policy: MemoryPolicy = FLAT) -> dict[int, Value]:
    """The last value written to each register in the first block."""
    found = {}
    for node in uops(source, xlen, policy):
        if node.op == "set_x":
            register, value = node.args
            assert isinstance(register, int) and isinstance(value, Value)
            found[register] = value
    return found


def host_code(source: str, xlen: int, tmp_path: Path) -> list[str]:
    """The host's instructions of the region's body."""
    objdump = shutil.which("objdump")
    if objdump is None:
        pytest.skip("no objdump")
    text = region_text(xlen, region_of(source, xlen), FLAT, {})
    blob = compile_module(text)
    file = tmp_path / "region.bin"
    file.write_bytes(blob.code)
    arguments = ["-D", "-b", "binary", "-m", "i386:x86-64", "--no-show-raw-insn", str(file)]
    said = subprocess.run([objdump, *arguments], capture_output=True, text=True, check=True)
    return re.findall(r"^\s*[0-9a-f]+:\s+(.*?)\s*$", said.stdout, re.MULTILINE)


needs_x86 = pytest.mark.skipif(
    "x86-64"
    not in subprocess.run(["uname", "-m"], capture_output=True, text=True).stdout.replace("_", "-"),
    reason="looks at x86-64 code",
)
BOTH = pytest.mark.parametrize("xlen", [32, 64])


@BOTH
def test_lui_addi_is_a_constant_in_the_micro_ops(xlen: int) -> None:
    value = writes("lui a0, 0x12345\n addi a0, a0, 0x678\n ebreak", xlen)[10]
    assert (value.op, value.args) == ("const", (0x12345678,))


@BOTH
def test_auipc_addi_is_a_constant_where_the_pc_is_known(xlen: int) -> None:
    value = writes("1: auipc a0, 0x12\n addi a0, a0, 0x34\n ebreak", xlen)[10]
    assert (value.op, value.args) == ("const", (RAM + 0x12034,))


@BOTH
def test_auipc_addi_is_the_pc_and_one_constant_in_translated_code(xlen: int) -> None:
    """pc + both immediates: one addition, whose base is the region's."""
    source = "1: auipc a0, 0x12\n addi a0, a0, 0x34\n ebreak"
    value = writes(source, xlen, TlbPolicy())[10]
    assert value.op == "add"
    base, offset = value.args
    assert isinstance(base, Value) and isinstance(offset, Value)
    assert base.op == "pc" and (offset.op, offset.args) == ("const", (0x12034,))


@needs_x86
@BOTH
def test_auipc_jalr_is_no_addition_but_the_target(xlen: int, tmp_path: Path) -> None:
    """A far call: the target is one constant."""
    code = host_code("auipc t1, 0x1000\n jalr ra, 0x10(t1)", xlen, tmp_path)
    assert any("0x81000010" in line for line in code), code
    assert not any("0x1000010" in line for line in code), code


@needs_x86
@BOTH
@pytest.mark.parametrize("branch", ["beq", "bltu", "bge"])
def test_compare_and_branch_is_one_compare(xlen: int, branch: str, tmp_path: Path) -> None:
    """No materialised flag (setcc) between them: a slt result used by a branch included."""
    loops = {
        "plain": f"1: addi a0, a0, 1\n {branch} a0, a1, 1b\n ebreak",
        "slt": "1: addi a0, a0, 1\n sltu a2, a0, a1\n bnez a2, 1b\n ebreak",
    }
    plain = host_code(loops["plain"], xlen, tmp_path)
    assert not any(line.startswith("set") for line in plain)
    with_slt = host_code(loops["slt"], xlen, tmp_path)
    # the value is a register that the guest sees, so it is made once, and not tested again
    assert sum(line.startswith(("setb", "sbb")) for line in with_slt) <= 1


@needs_x86
def test_zero_extension_by_two_shifts_is_one_move(tmp_path: Path) -> None:
    """slli 32, srli 32 on RV64: the host's 32-bit move."""
    code = host_code("1: slli a0, a1, 32\n srli a0, a0, 32\n add a2, a2, a0\n j 1b", 64, tmp_path)
    assert not any(re.match(r"sh[lr]\s+\$0x20", line) for line in code), code


@needs_x86
@BOTH
def test_byte_extraction_by_two_shifts_is_one_move(xlen: int, tmp_path: Path) -> None:
    """slli, srli by XLEN - 8: movzx."""
    shift = xlen - 8
    source = f"1: slli a0, a1, {shift}\n srli a0, a0, {shift}\n add a2, a2, a0\n j 1b"
    code = host_code(source, xlen, tmp_path)
    assert any(line.startswith("movz") or "0xff" in line for line in code), code
    assert not any(re.match(rf"sh[lr]\s+\$0x{shift:x}\b", line) for line in code), code


@needs_x86
@BOTH
def test_a_rotation_by_shifts_is_one_rotation(xlen: int, tmp_path: Path) -> None:
    """slli, srli, or: what compilers without Zbb write."""
    source = f"1: slli a0, a1, 7\n srli a2, a1, {xlen - 7}\n or a1, a0, a2\n j 1b"
    code = host_code(source, xlen, tmp_path)
    assert any(line.startswith(("rol", "ror", "shld", "shrd")) for line in code), code
