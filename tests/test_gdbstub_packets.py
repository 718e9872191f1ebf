"""Framing: checksums, escapes, run lengths, resynchronisation, bounded buffers."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from otoriscv.gdbstub.packets import (
    PacketError,
    Parser,
    Wire,
    checksum,
    compress,
    escape,
    expand,
    frame,
    unescape,
)

ANY = st.binary(max_size=600) | st.lists(
    st.tuples(st.sampled_from(b"0*#$}~\x03 f"), st.integers(1, 220)), max_size=8
).map(lambda runs: b"".join(bytes((byte,)) * count for byte, count in runs))


@given(st.binary(max_size=3000))
def test_checksum_is_the_sum(data: bytes) -> None:
    assert checksum(data) == sum(data) & 255


def test_zeros_shrink() -> None:
    assert compress(b"0" * 9800) == b"0*~" * 100
    assert expand(b"0*~" * 100) == b"0" * 9800


def test_checksum_of_the_largest_sums() -> None:
    for length in (255, 256, 257, 512, 1 << 20):
        assert checksum(b"\xff" * length) == (255 * length) & 255


@given(ANY)
def test_escape_round_trip(data: bytes) -> None:
    wire = escape(data)
    assert re.search(rb"[#$*]", wire) is None
    assert unescape(wire) == data


@given(ANY)
def test_compress_round_trip(data: bytes) -> None:
    plain = escape(data)
    wire = compress(plain)
    assert len(wire) <= len(plain)
    assert b"#" not in wire
    assert b"$" not in wire
    assert expand(wire, 1 << 20) == plain


@given(ANY)
def test_a_repeated_byte_is_never_an_escaped_one(data: bytes) -> None:
    """gdb expands run lengths before it undoes escapes: "}" "c" "*" would repeat c plain."""
    wire = compress(escape(data))
    at = 0
    while at < len(wire):
        if wire[at] == ord("}"):
            assert wire[at + 2 : at + 3] != b"*"
            at += 2
        elif wire[at] == ord("*"):
            at += 2
        else:
            at += 1


@given(ANY, st.lists(st.integers(1, 40), min_size=1))
def test_parser_gets_back_what_was_framed(data: bytes, chunks: list[int]) -> None:
    wire = frame(compress(escape(data))) * 2
    parser, events, at, turn = Parser(), [], 0, 0
    while at < len(wire):
        size = chunks[turn % len(chunks)]
        events += parser.feed(wire[at : at + size])
        at, turn = at + size, turn + 1
    assert events == [data, data]
    assert parser.pending == 0


@given(st.binary(max_size=200).filter(lambda garbage: b"$" not in garbage))
def test_garbage_before_a_packet_is_skipped(garbage: bytes) -> None:
    assert Parser().feed(garbage + b"$g#67")[-1] == b"g"


@given(st.binary(max_size=300))
def test_the_parser_recovers_from_anything(garbage: bytes) -> None:
    parser = Parser()
    parser.feed(garbage)
    parser.feed(b"#00")  # at worst the end of a packet that garbage began
    assert parser.feed(b"$g#67")[-1] == b"g"


@pytest.mark.parametrize(
    ("wire", "events"),
    [
        (b"$g#67", [b"g"]),
        (b"$g#6", []),
        (b"$g#00", [Wire.BAD]),
        (b"$g#zz$g#67", [Wire.BAD, b"g"]),
        (b"$g#$g#67", [Wire.BAD, b"g"]),
        (b"$m0,4$g#67", [b"g"]),
        (b"$m0\x03,4$g#67", [Wire.INTERRUPT, b"g"]),
        (b"\x03$g#67\x03", [Wire.INTERRUPT, b"g", Wire.INTERRUPT]),
        (b"+-----$g#67", [Wire.NAK, b"g"]),
        (b"++++", []),
        (frame(b"}"), [Wire.BAD]),
        (frame(b"*!"), [Wire.BAD]),
        (frame(b"a*"), [Wire.BAD]),
        (frame(b"a* b"), [b"aaaab"]),
        (frame(b"a* * "), [b"aaaaaaa"]),
        (frame(b"a**"), [b"a" * 14]),
        (frame(b"X\x03}\x03"), [b"X\x03#"]),
        (frame(b""), [b""]),
    ],
)
def test_parser_cases(wire: bytes, events: list[bytes | Wire]) -> None:
    assert Parser().feed(wire) == events


def test_a_long_packet_is_dropped_without_growing() -> None:
    parser = Parser(limit=1000)
    events: list[bytes | Wire] = parser.feed(b"$")
    for _ in range(500):
        events += parser.feed(b"x" * 900)
        assert parser.pending <= 2000
    assert events == []
    assert parser.feed(b"#00$g#67") == [Wire.TOO_LONG, b"g"]


def test_a_long_packet_with_many_starts_does_not_grow() -> None:
    parser = Parser(limit=1000)
    for _ in range(500):
        parser.feed(b"$" + b"x" * 1500)
        assert parser.pending <= 3100
    assert parser.feed(b"#00$g#67")[-1] == b"g"


def test_a_packet_of_exactly_the_limit_is_taken() -> None:
    parser = Parser(limit=1000)
    assert parser.feed(frame(b"x" * 1000)) == [b"x" * 1000]
    assert parser.feed(frame(b"x" * 1001)) == [Wire.TOO_LONG]


def test_a_run_length_bomb_is_refused() -> None:
    with pytest.raises(PacketError):
        expand(b"a*~" * 1000, limit=10_000)
    assert Parser(limit=10_000).feed(frame(b"a*~" * 1000)) == [Wire.BAD]
