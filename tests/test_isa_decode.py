"""The decoders: the native one, run by the reference evaluator, agrees with the one in Python."""

from __future__ import annotations

import random

import pytest

from otoriscv.core.decode import SPECIAL, TABLE, Decoder, Insn, Isa, handlers, numbers
from otoriscv.core.encode import assemble_insn, encode
from otoriscv.core.evaluate import Evaluator
from otoriscv.core.handlers import VARIANTS
from otoriscv.core.layout import HART_SIZE, HARTS, SINK

ENTRY = 64


def check(insn: Insn, low: int, high: int, number: int) -> None:
    """The decoded entry (docs/abi.md) says what *insn* says."""
    slots = {
        "rd": low >> 16 & 255,
        "rs1": low >> 24 & 255,
        "rs2": low >> 32 & 255,
        "rs3": low >> 40 & 255,
        "aux": low >> 48,
        "imm": high & 0xFFFF_FFFF,
    }
    assert low & 0xFFFF == number
    assert high >> 32 == insn.bits
    for name, slot in insn.row.slots().items():
        value = insn.operands[name]
        if name == "rd" and value == 0:
            value = SINK
        assert slots[slot] == value & 0xFFFF_FFFF, name


@pytest.mark.parametrize(
    "text", ["rv32imac_zicsr_zifencei", "rv64im_zicsr_zba", "rv32i", "full32", "full64"]
)
def test_native_and_python_agree(text: str) -> None:
    isa = Isa.full(int(text[4:])) if text.startswith("full") else Isa.parse(text)
    decoder = Decoder(isa)
    evaluator = Evaluator(memoryview(bytearray(HARTS + HART_SIZE)), isa.xlen)
    evaluator.poke(evaluator.slot("isa"), 64, isa.bits)
    number = numbers(isa.xlen)
    rng = random.Random(text)
    legal = 0
    for n in range(2500):
        row = rng.choice(TABLE.rows)
        word = rng.getrandbits(32)
        if n % 4:
            word = word & ~row.mask | row.match
        pc = rng.getrandbits(12) & ~1
        insn = decoder.decode(word, pc)
        assert evaluator.call("decode_entry", word, pc, ENTRY) == insn.length
        low, high = evaluator.peek(ENTRY, 64), evaluator.peek(ENTRY + 8, 64)
        check(insn, low, high, number[insn.row.name, insn.length, insn.variant])
        legal += insn.legal
    assert legal > 300


def test_handlers() -> None:
    for xlen in (32, 64):
        every = handlers(xlen)
        assert every[:8] == list(SPECIAL)
        names = [h.name for h in SPECIAL[:6]]
        assert names == ["undecoded", "illegal", "illegal", "page_end", "crossing", "breakpoint"]
        keys = [(h.name, h.length, h.variant) for h in every]
        assert len(set(keys)) == len(keys) < 0x1_0000
        assert all(h.row.semantics is not None for h in every[8:])
        jal = {(h.length, h.variant) for h in every if h.name == "jal"}
        near, odd = frozenset({"near"}), frozenset({"odd"})
        none: frozenset[str] = frozenset()
        assert jal == {(4, none), (4, near), (4, odd), (2, none), (2, near)}
    assert all(v in VARIANTS for r in TABLE.rows for v in r.variants)


@pytest.mark.parametrize(
    ("isa", "text", "pc", "variant"),
    [
        ("rv32ic", "jal ra, 0x1ffe", 0x1000, {"near"}),
        ("rv32ic", "jal ra, 0x2000", 0x1000, set()),
        ("rv32ic", "jal ra, 0xffe", 0x1000, set()),
        ("rv32i", "jal ra, 0x1004", 0x1000, {"near"}),
        ("rv32i", "jal ra, 0x1006", 0x1000, {"odd"}),
        ("rv32i", "beq a0, a1, 0x2006", 0x1FFC, {"odd"}),
        ("rv32i", "jalr ra, 1(a0)", 0, {"noc"}),
        ("rv32ic", "jalr ra, 1(a0)", 0, set()),
        ("rv32i_zicsr", "csrw mscratch, a0", 0, {"noread"}),
        ("rv32i_zicsr", "csrrw a0, mscratch, zero", 0, set()),
        ("rv32i_zicsr", "csrr a0, mscratch", 0, {"nowrite"}),
        ("rv32i_zicsr", "csrsi mscratch, 0", 0, {"nowrite"}),
        ("rv32i_zicsr", "csrsi mscratch, 1", 0, set()),
    ],
)
def test_variants(isa: str, text: str, pc: int, variant: set[str]) -> None:
    word = assemble_insn(text, 32, pc)
    insn = Decoder(Isa.parse(isa)).decode(word, pc)
    assert insn.variant == variant


def test_compressed_expands_and_keeps_its_bits() -> None:
    decoder = Decoder(Isa.parse("rv64ic"))
    word = encode("c.addi", 64, rd=10, nzimm=-3)
    insn = decoder.decode(0xABCD_0000 | word)
    assert (insn.row.name, insn.source.name, insn.length) == ("addi", "c.addi", 2)
    assert insn.operands == {"rd": 10, "rs1": 10, "imm": -3} and insn.bits == word
    off = Decoder(Isa.parse("rv64i")).decode(word)
    assert (off.legal, off.length, off.bits) == (False, 2, word)


@pytest.mark.parametrize("word", [0x0000, 0x8002, 0x6081 & ~0x107C, 0x4002, 0x2001, 0x9C41])
def test_reserved_compressed_encodings_are_illegal(word: int) -> None:
    """All zeros, c.jr x0, c.lui of 0, c.lwsp to x0, c.addiw to x0, the gap beside c.subw."""
    assert not Decoder(Isa.parse("rv64imac")).decode(word).legal
