"""The instruction table: what is refused when it is built, and the page made from it."""

from __future__ import annotations

import random

import pytest

from otoriscv.core.isa_table import TABLE, IsaTable, compressed, insn
from otoriscv.core.sem import Sem
from tools import isa_table


def nothing(m: Sem) -> None:
    """A semantic function."""


def table(*rows: tuple[str, str]) -> IsaTable:
    t = IsaTable()
    for asm, pattern in rows:
        insn(asm, pattern, "I", table=t)(nothing)
    return t


ADDI = ("addi rd, rs1, imm", "imm[11:0] rs1 000 rd 0010011")


def test_overlaps_are_refused() -> None:
    t = table(ADDI)
    with pytest.raises(ValueError, match=r"other .* overlaps addi"):
        insn("other rd", "0000000 00000 rs1 000 rd 0010011", "I", table=t)(nothing)
    insn("inner", "0000000 00000 00000 000 00001 0010011", "I", within="addi", table=t)(nothing)
    insn("beside", "imm[11:0] rs1 001 rd 0010011", "I", table=t)(nothing)
    with pytest.raises(ValueError, match="addi is there already"):
        insn("addi", "imm[11:0] rs1 010 rd 0010011", "I", table=t)(nothing)


def test_rows_of_different_xlens_may_share_an_encoding() -> None:
    t = IsaTable()
    insn("a", "0000000 00000 rs1 000 rd 0010011", "I", xlen=32, table=t)(nothing)
    insn("b", "0000000 00000 rs1 000 rd 0010011", "I", xlen=64, table=t)(nothing)
    assert t.named("a", 32).match == t.named("b", 64).match


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("imm[11:0] rs1 000 rd 001001", "31 bits"),
        ("imm[12|10:5] rs2 rs1 000 imm[4:2|11|1] 110011", "31 bits"),
        ("imm[12|10:5] rs2 rs1 000 imm[5:2|11] 1100011", "bits of imm missing or twice"),
        ("imm[12|9:4] rs2 rs1 000 imm[3:0] 0 1100011", "bits of imm missing or twice"),
    ],
)
def test_gaps_in_a_pattern_are_refused(pattern: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        table(("x rs1, rs2, imm", pattern))


def test_incomplete_expansions_are_refused() -> None:
    t = table(ADDI)
    with pytest.raises(ValueError, match="addi's imm is not given"):
        compressed("c.x rd", "000 0 rd 00000 01", "addi rd=rd rs1=rd", table=t)
    with pytest.raises(KeyError, match="no instruction subi"):
        compressed("c.x rd", "000 0 rd 00000 01", "subi rd=rd rs1=rd imm=0", table=t)


@pytest.mark.parametrize("xlen", [32, 64])
def test_every_word_is_one_instruction_at_most(xlen: int) -> None:
    """`IsaTable.add` compares masks; this compares words."""
    short = [r for r in TABLE.rows if xlen in r.xlens and r.length == 2]
    for word in range(0x10000):
        assert len([r.name for r in short if r.matches(word)]) <= 1, hex(word)
    long = [r for r in TABLE.rows if xlen in r.xlens and r.length == 4]
    rng = random.Random(xlen)
    for _ in range(3000):
        row = rng.choice(long)
        word = rng.getrandbits(32) & ~row.mask | row.match
        if not row.matches(word):  # an operand that is excluded
            continue
        found = [r for r in long if r.matches(word)]
        outer = {r.within for r in found}
        assert len([r for r in found if r.name not in outer]) == 1, hex(word)


def test_the_page_is_current() -> None:
    assert isa_table.PAGE.read_text() == isa_table.page(), "run python tools/isa_table.py"
