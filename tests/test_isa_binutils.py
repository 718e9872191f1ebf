"""Decoder, disassembler and assembler against binutils."""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from otoriscv.core.decode import TABLE, Decoder, Insn, Isa
from otoriscv.core.disassemble import disassemble
from otoriscv.core.encode import assemble as our_assemble
from otoriscv.core.isa_table import Row
from tests import binutils

pytestmark = pytest.mark.skipif(not binutils.prefix(), reason="needs RISC-V binutils")

#: Encodings that binutils and we name differently: class, the spec's word, and who belongs to it.
#: ``(insn, ours, theirs, xlen)``
Class = Callable[[Insn, str, str, int], bool]
EXCEPTIONS: dict[str, tuple[str, Class]] = {
    "zicond": (
        "Zicond 1.0, ratified after binutils 2.40",
        lambda i, o, t, x: i.row.name.startswith("czero."),
    ),
    "reserved fields of fence": (
        "unprivileged spec 2.7: 'base implementations shall ignore these fields' (rd, rs1), and"
        " reserved fm are normal fences",
        lambda i, o, t, x: i.row.name == "fence" and t.startswith(".4byte"),
    ),
    "reserved fields of fence.i": (
        "Zifencei: imm, rs1 and rd 'are reserved for finer-grain fences; implementations shall"
        " ignore these fields'",
        lambda i, o, t, x: i.row.name == "fence.i" and t.startswith(".4byte"),
    ),
    "shamt[5] on RV32C": (
        "C, table of integer register-immediate operations: 'for RV32C, shamt[5] must be zero; the"
        " code points with shamt[5]=1 are designated for custom extensions'",
        lambda i, o, t, x: x == 32 and not i.legal and i.length == 2 and i.bits >> 12 & 1 == 1,
    ),
    "shamt[5] of Zbb and Zbs on RV32": (
        "Zbs, bclri: 'for RV32, the encodings corresponding to shamt[5]=1 are reserved'",
        lambda i, o, t, x: (
            x == 32 and not i.legal and i.bits >> 25 & 1 == 1 and i.bits & 0x7F == 0x13
        ),
    ),
    "c.addi16sp of 0": (
        "C: c.addi16sp 'is only valid when nzimm != 0; the code point with nzimm=0 is reserved'",
        lambda i, o, t, x: i.bits == 0x6101 and not i.legal,
    ),
    "reserved rounding modes": (
        "F, table of rounding modes: 5 and 6 are 'reserved for future use'",
        lambda i, o, t, x: not i.legal and t.endswith(",unknown"),
    ),
    "rounding modes of exact conversions": (
        "D: fcvt.d.w and others 'always produce an exact result and are unaffected by rounding"
        " mode'; binutils knows rm=0 only",
        lambda i, o, t, x: i.row.usual_rounding == 0 and i.operands["rm"] > 0 and t[0] == ".",
    ),
    "c.nop's name": (
        "C: c.nop 'expands to nop'; binutils without aliases calls it c.addi zero",
        lambda i, o, t, x: i.source.name == "c.nop" and t.startswith("c.addi\tzero,"),
    ),
    "c.addi of 0": (
        "C: c.addi with imm=0 is a HINT; binutils prints its expansion",
        lambda i, o, t, x: o.startswith("c.addi") and t.startswith("add\t") and t.endswith(",0"),
    ),
}


def plain(address: int) -> str:
    """Jump targets as objdump prints them for an ELF, without 0x."""
    return f"{address:x}"


def same(ours: str, theirs: str) -> bool:
    """Equal text; binutils 2.40 prints immediate forms under the register form's name."""
    if ours == theirs:
        return True
    mine, _, left = ours.partition("\t")
    name, _, right = theirs.partition("\t")
    return left == right and mine in (name + "i", name[:-1] + "iw")


def a_word(rng: random.Random, rows: list[Row]) -> int:
    """A random word: half of them entirely, half around an instruction."""
    word = rng.getrandbits(32)
    if rng.random() < 0.5:
        row = rng.choice(rows)
        word = word & ~row.mask | row.match
        for f in row.fields.values():
            if rng.random() < 0.2:
                word &= ~f.mask
    if word & 3 != 3:
        word &= 0xFFFF
    elif word & 0x1F == 0x1F:
        word ^= 0x10  # binutils takes these for 48 bits and more: see below
    return word


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("aliases", [False, True])
def test_random_words(xlen: int, aliases: bool, tmp_path: Path) -> None:
    rng = random.Random(xlen + aliases)
    rows = [r for r in TABLE.rows if xlen in r.xlens and not r.ext.startswith("X")]
    words = [a_word(rng, rows) for _ in range(20_000 if aliases else 50_000)]
    options = () if aliases else ("-M", "no-aliases")
    decoder = Decoder(Isa.full(xlen))
    wrong: list[str] = []
    theirs = binutils.words_as_objdump(words, xlen, tmp_path, *options)
    for n, (word, text) in enumerate(zip(words, theirs, strict=True)):
        insn = decoder.decode(word, 4 * n)
        ours = disassemble(insn, 4 * n, xlen, aliases=aliases, symbol=plain)
        if not same(ours, text) and not any(
            test(insn, ours, text, xlen) for _, test in EXCEPTIONS.values()
        ):
            wrong.append(f"{word:#x}: {ours!r}, objdump {text!r}")
    assert not wrong, "\n".join(wrong[:20])
    assert len(EXCEPTIONS) <= 20


@pytest.mark.parametrize("xlen", [32, 64])
def test_every_compressed_word(xlen: int, tmp_path: Path) -> None:
    words = [w for w in range(0x10000) if w & 3 != 3]
    decoder = Decoder(Isa.full(xlen))
    theirs = binutils.words_as_objdump(words, xlen, tmp_path, "-M", "no-aliases")
    for n, (word, text) in enumerate(zip(words, theirs, strict=True)):
        insn = decoder.decode(word, 4 * n)
        ours = disassemble(insn, 4 * n, xlen, aliases=False, symbol=plain)
        assert ours == text or any(
            test(insn, ours, text, xlen) for _, test in EXCEPTIONS.values()
        ), f"{word:#x}: {ours!r}, objdump {text!r}"


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("aliases", [False, True])
def test_every_instruction_round_trips(xlen: int, aliases: bool, tmp_path: Path) -> None:
    """Our text through both assemblers gives the same bytes, and objdump prints it back."""
    rng = random.Random(xlen)
    decoder = Decoder(Isa.full(xlen))
    lines: list[str] = []
    seen: set[str] = set()
    for row in TABLE.rows:
        if xlen not in row.xlens or row.ext in ("Zicond", "Xdemo"):
            continue
        for _ in range(20):
            word = rng.getrandbits(32) & ~row.mask | row.match
            if row.name == "fence":
                word &= 0x0FF0007F
            if row.name == "fence.i":
                word &= 0x0000707F
            if row.usual_rounding == 0:
                word &= ~0x7000  # binutils knows rm=0 only
            pc = 0x1000 if is_branching(row) else 0
            insn = decoder.decode(word if row.length == 4 else word & 0xFFFF, pc)
            if insn.source is not row:
                continue
            seen.add(row.name)
            text = disassemble(insn, pc, xlen, aliases=aliases)
            if is_branching(row):  # a target relative to here, which both assemblers resolve
                imm = insn.operands["imm"]
                text = re.sub(r"0x[0-9a-f]+$", f". + {imm}" if imm >= 0 else f". - {-imm}", text)
            lines.append(text)
    expected = {r.name for r in TABLE.rows if xlen in r.xlens} - {"xdemo.rbit"}
    assert seen >= {n for n in expected if not n.startswith("czero.")}
    skip = {"c.slli64", "c.srli64", "c.srai64"}  # binutils assembles them for RV128 only
    lines = [t for t in lines if t.split("\t")[0] not in skip and not hard_to_write(t)]
    option = ".option norelax\n.option norvc\n"
    source = (
        option
        + "\n".join(f".option rvc\n{t}\n.option norvc" if t.startswith("c.") else t for t in lines)
        + "\n"
    )
    theirs = binutils.objdump(binutils.assemble(source, xlen, tmp_path))
    code = our_assemble("\n".join(lines), xlen).code
    at = 0
    for pc, (bits, text) in sorted(theirs.items()):
        size = 4 if bits & 3 == 3 else 2
        ours = int.from_bytes(code[at : at + size], "little")
        assert pc == at and ours == bits, f"{text}: {bits:#x}, ours {ours:#x}"
        at += size
    assert at == len(code)


def is_branching(row: Row) -> bool:
    return "imm" in row.fields and min(at for _, at, _ in row.fields["imm"].pieces) == 1


def hard_to_write(text: str) -> bool:
    """What binutils disassembles but does not assemble in this form."""
    return "unknown" in text or text == "unimp"


def test_longer_encodings_are_illegal() -> None:
    """Low bits 11111 begin instructions of 48 bits and more, of which there are none."""
    for xlen in (32, 64):
        decoder = Decoder(Isa.full(xlen))
        rng = random.Random(5)
        for _ in range(2000):
            insn = decoder.decode(rng.getrandbits(32) | 0x1F)
            assert not insn.legal and insn.length == 4
