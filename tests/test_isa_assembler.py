"""The assembler, the disassembler's command and an instruction from outside the package."""

from __future__ import annotations

import argparse
import itertools
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from otoriscv.cli import disasm
from otoriscv.core.decode import TABLE, Decoder, Isa
from otoriscv.core.disassemble import disassemble
from otoriscv.core.encode import AsmError, assemble, assemble_insn, encode
from otoriscv.jit.engines import probe
from tests import binutils

ROOT = Path(__file__).resolve().parent.parent


def test_encode() -> None:
    assert encode("addi", rd=10, imm=5) == 0x00500513
    assert encode("c.lw", rd=8, rs1=15, uimm=124) == 0x5FE0
    for name, operands in (
        ("addi", {"imm": 2048}),
        ("addi", {"imm": -2049}),
        ("addi", {"foo": 1}),
        ("c.lw", {"rd": 7, "rs1": 8}),
        ("c.addi4spn", {"rd": 8, "nzuimm": 0}),
        ("beq", {"imm": 3}),
        ("slli", {"shamt": 64}),
        ("nosuch", {}),
    ):
        with pytest.raises(AsmError):
            encode(name, 64, **operands)


@pytest.mark.parametrize("xlen", [32, 64])
def test_disassembly_assembles_to_the_same(xlen: int) -> None:
    decoder = Decoder(Isa.full(xlen))
    rng = random.Random(xlen)
    rows = [r for r in TABLE.rows if xlen in r.xlens]
    for _ in range(3000):
        row = rng.choice(rows)
        pc = rng.getrandbits(20) * 2
        insn = decoder.decode(rng.getrandbits(32) & ~row.mask | row.match, pc)
        if not insn.legal or insn.row.name in ("fence", "fence.i"):  # reserved fields are not shown
            continue
        text = disassemble(insn, pc, xlen, aliases=False)
        assert assemble_insn(text, xlen, pc) == insn.bits, text
        text = disassemble(insn, pc, xlen)
        again = decoder.decode(assemble_insn(text, xlen, pc), pc)
        if not text.startswith("mv"):  # c.mv is an add
            assert (again.row, again.operands) == (insn.row, insn.operands), text


PROGRAM = """
start:  li   a1, -5
        li   a3, 0x12345678
1:      addi a1, a1, 1          # counts up
        bnez a1, 1b; j 2f
        .align 3
2:      la   a4, data
        lw   a5, (a4)
        lw   a5, 4(a4)
        lui  a6, %hi(1234567)
        addi a6, a6, %lo(1234567)
        csrw mscratch, a6
        amoadd.w.aq a0, a1, (a2)
        c.addi sp, 16
        c.nop
        bgt  a0, a1, start
        call start
        ret
data:   .word 1, 2
        .dword start
        .byte 1, 2, 3, 4
"""


@pytest.mark.skipif(not binutils.prefix(), reason="needs RISC-V binutils")
def test_program_as_binutils_assembles_it(tmp_path: Path) -> None:
    ours = assemble(PROGRAM, 64, 0)
    la = ours.code.index(b"\x17\x07\0\0")
    # la is a relocation there: written out
    source = PROGRAM.replace(
        "la   a4, data", f"auipc a4, 0; addi a4, a4, {ours.symbols['data'] - la}"
    ).replace("call start", "jal start")
    source = source.replace("c.addi", ".option rvc; c.addi").replace(
        "c.nop", "c.nop; .option norvc"
    )
    source = ".option norelax\n.option norvc\n" + source
    path = binutils.assemble(source, 64, tmp_path)
    raw = tmp_path / "a.bin"
    objcopy = binutils.prefix() + "objcopy"
    subprocess.run([objcopy, "-O", "binary", "-j", ".text", str(path), str(raw)], check=True)
    theirs = raw.read_bytes()  # to a multiple of the section's alignment
    assert ours.code == theirs[: len(ours.code)] and len(theirs) - len(ours.code) < 8


def test_constants() -> None:
    """li, by what a small interpretation of its instructions gives."""
    rng = random.Random(1)
    values = [0, 1, -1, 2047, 2048, -2048, -2049, 0x7FFFFFFF, -0x80000000, 0x7FFFF800, 1 << 63]
    values += [rng.getrandbits(rng.randrange(1, 65)) for _ in range(300)]
    for xlen in (32, 64):
        decoder = Decoder(Isa.full(xlen))
        for value in values:
            value &= (1 << xlen) - 1
            code = assemble(f"li a0, {value:#x}", xlen).code
            x = 0
            for at in range(0, len(code), 4):
                insn = decoder.decode(int.from_bytes(code[at : at + 4], "little"))
                o = insn.operands
                base = x if o.get("rs1") == 10 else 0
                match insn.row.name:
                    case "lui":
                        x = o["imm"]
                    case "addi":
                        x = base + o["imm"]
                    case "addiw":
                        x = (base + o["imm"] + (1 << 31) & 0xFFFF_FFFF) - (1 << 31)
                    case "slli":
                        x = base << o["shamt"]
                x &= (1 << xlen) - 1
            assert x == value and len(code) <= 32


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nop\nfoo a0", "line 2: 'foo a0': no instruction foo for RV64"),
        ("addi a0, a1", "line 1: .*addi takes 'rd, rs1, imm'"),
        ("addi a0, a1, 5000", "line 1: .*imm = 5000 cannot be encoded"),
        ("addi a0, q1, 5", "line 1: .*'q1' is not a register"),
        ("j nowhere", "line 1: .*unknown symbol 'nowhere'"),
        ("lw a0, 4", "line 1: .*'4' is not of the form"),
        ("a: nop\na: nop", "line 2: a is defined twice"),
        ("j 1f", "line 1: no label 1f"),
        ("lr.w a0, 4(a1)", "line 1: .*no offset is possible"),
        ("c.addi4spn a0, a1, 16", "line 1: .*'a1' must be sp"),
    ],
)
def test_errors_name_the_line(source: str, message: str) -> None:
    with pytest.raises(AsmError, match=message):
        assemble(source)


def command(*arguments: str) -> int:
    parser = argparse.ArgumentParser()
    disasm.add_arguments(parser)
    return disasm.run(parser.parse_args(arguments))


def test_command_with_words(capsys: pytest.CaptureFixture[str]) -> None:
    assert command("--hex", "00a00513", "8082", "--isa", "rv32ic", "--base", "0x80000000") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["80000000:", "00a00513", "li", "a0,10"],
        ["80000004:", "8082", "ret"],
    ]
    assert command("--hex", "8082", "--isa", "rv32i") == 0
    assert capsys.readouterr().out.split()[1:] == ["8082", ".2byte", "0x8082"]
    for wrong in (["--hex", "123"], [], ["--hex", "8082", "--isa", "rv99"], ["/nonexistent"]):
        assert command(*wrong) == 2
        assert "otoriscv disasm: " in capsys.readouterr().err


@pytest.mark.skipif(not binutils.prefix(), reason="needs RISC-V binutils")
@pytest.mark.parametrize("xlen", [32, 64])
def test_command_with_a_program(xlen: int, capsys: pytest.CaptureFixture[str]) -> None:
    elf = ROOT / "otoriscv" / "demo" / f"tiny{xlen}.elf"
    assert command(str(elf), "--no-aliases", "--isa", f"rv{xlen}imac_zicsr_zifencei") == 0
    out = capsys.readouterr().out
    assert "<_start>:" in out
    theirs = binutils.objdump(elf, "-M", "no-aliases")
    ours = {}
    for line in out.splitlines():
        at, tab, rest = line.strip().partition(":\t")
        if tab:
            bits, _, text = rest.partition("\t")
            ours[int(at, 16)] = int(bits, 16), text.split(" <")[0]
    assert ours.keys() == theirs.keys()
    for pc, (word, text) in theirs.items():
        text = text.replace("c.addi\tzero,", "c.nop\t") if word & 0xEF83 == 1 else text
        assert ours[pc] == (word, text.removesuffix("c.nop\t0") or "c.nop")


def test_custom_instruction_on_every_engine() -> None:
    done = subprocess.run(
        [sys.executable, str(ROOT / "examples" / "custom_instruction.py")],
        capture_output=True, text=True, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "0005850b is xdemo.rbit\ta0,a1" in done.stdout
    assert "rv64imac: 0005850b is illegal" in done.stdout
    usable = [e.name for e in probe() if e.usable]
    for engine, xlen in itertools.product(usable, (32, 64)):
        assert f"{engine}, RV{xlen}: the reverse of 0x4c is 0x32" in done.stdout
