"""ISA strings."""

from __future__ import annotations

import pytest

from otoriscv.core.decode import EXTENSIONS, Decoder, Isa, IsaError
from otoriscv.core.encode import encode
from otoriscv.core.isa_string import extension_bit


@pytest.mark.parametrize(
    ("text", "canonical"),
    [
        ("rv32i", "rv32i"),
        ("RV64IMAC", "rv64imac"),
        ("rv32imac_zicsr_zba", "rv32imac_zicsr_zba"),
        ("rv32imacZicsr_Zba", "rv32imac_zicsr_zba"),
        ("rv32i_m_a_c", "rv32imac"),
        ("rv64i2p1_m2p0_a2p1_c2p0_zicsr2p0_zba1p0", "rv64imac_zicsr_zba"),
        ("rv64i2p1m2", "rv64im"),
        ("rv64ib", "rv64i_zba_zbb_zbs"),
        ("rv64i_zbs_zba", "rv64i_zba_zbs"),
        ("rv64i_zca", "rv64i_zca"),
        ("rv64i_zmmul", "rv64i_zmmul"),
        ("rv64i_zicntr", "rv64i_zicntr_zicsr"),
    ],
)
def test_parse(text: str, canonical: str) -> None:
    isa = Isa.parse(text)
    assert str(isa) == canonical
    assert Isa.parse(str(isa)) == isa


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must begin with rv32 or rv64"),
        ("rv16i", "must begin with rv32 or rv64"),
        ("rv128i", "rv128 is not supported"),
        ("rv32", "must be i or g"),
        ("rv32m", "must be i or g"),
        ("rv32e", "e not supported"),
        ("rv64imv", "v not supported; supported: i m a"),
        ("rv32i_zbkb", "zbkb not supported"),
        ("rv32i_zfoo", "zfoo not supported"),
        ("rv32i_xfoo", "xfoo not supported"),
        ("rv32iam", "m must come before a"),
        ("rv32i_zba_m", "m must come before zba"),
        ("rv32i_xfoo_zba", "zba must come before xfoo"),
        ("rv32imm", "m is there twice"),
        ("rv32i_zba_zba", "zba is there twice"),
        ("rv32i__m", "nothing after an underscore"),
        ("rv32i_", "nothing after an underscore"),
        ("rv32i!", "cannot read '!'"),
        ("rv32iw", "no extension w"),
        ("rv32i_zba-1", "cannot read 'zba-1'"),
    ],
)
def test_errors(text: str, message: str) -> None:
    with pytest.raises(IsaError, match=message) as caught:
        Isa.parse(text)
    assert "\n" not in str(caught.value)


def test_implied_extensions() -> None:
    isa = Isa.parse("rv64imac")
    assert {"Zmmul", "Zaamo", "Zalrsc", "Zca"} <= isa.extensions
    assert "Zicsr" not in isa.extensions
    assert isa.has("C|Zca") and isa.has("A+M") and not isa.has("Zba") and not isa.has("A+Zba")


@pytest.mark.parametrize("xlen", [32, 64])
def test_full(xlen: int) -> None:
    isa = Isa.full(xlen)
    assert Isa.parse(str(isa)) == isa
    assert {"I", "M", "A", "C", "Zicsr", "Zifencei", "Zba", "Zbb", "Zbc", "Zbs"} <= isa.extensions


def test_bits() -> None:
    assert len(set(EXTENSIONS)) == len(EXTENSIONS) <= 48
    isa = Isa.parse("rv64im")
    assert isa.bits == sum(1 << extension_bit(e) for e in isa.extensions)
    assert isa.bits & 1 << extension_bit("M") and not isa.bits & 1 << extension_bit("C")


@pytest.mark.parametrize(
    ("name", "without", "with_"),
    [
        ("mul", "rv64i", "rv64i_zmmul"),
        ("div", "rv64i_zmmul", "rv64im"),
        ("lr.w", "rv64i_zaamo", "rv64i_zalrsc"),
        ("amoadd.d", "rv64i_zalrsc", "rv64ia"),
        ("csrrw", "rv64imac", "rv64i_zicsr"),
        ("fence.i", "rv64imac", "rv64i_zifencei"),
        ("sh1add", "rv64imac_zbb", "rv64i_zba"),
        ("clz", "rv64imac_zba", "rv64ib"),
        ("clmul", "rv64ib", "rv64i_zbc"),
        ("bset", "rv64i_zba", "rv64i_zbs"),
        ("czero.eqz", "rv64i", "rv64i_zicond"),
    ],
)
def test_an_extension_that_is_off_is_illegal(name: str, without: str, with_: str) -> None:
    word = encode(name)
    assert not Decoder(Isa.parse(without)).decode(word).legal
    assert Decoder(Isa.parse(with_)).decode(word).row.name == name


def test_pause_without_zihintpause_is_a_fence() -> None:
    word = encode("pause")
    assert Decoder(Isa.parse("rv64i_zihintpause")).decode(word).row.name == "pause"
    assert Decoder(Isa.parse("rv64i")).decode(word).row.name == "fence"
