"""Guests that make no sense: random bytes as code, jumps anywhere, stores over the whole address
space, the code itself included. The host survives, and every engine ends in the same state.
"""

from __future__ import annotations

import random

import pytest

from otoriscv.core.encode import encode
from otoriscv.core.isa_table import TABLE
from otoriscv.core.layout import HART
from tests.engine_box import EVERY, RAM, EngineBox, Exit, difference
from tests.random_programs import alu_word

BOTH = pytest.mark.parametrize("xlen", [32, 64])
SIZE = 0x1_0000


def everywhere(engine: str, xlen: int, size: int = SIZE) -> EngineBox:
    return EngineBox(engine, xlen, size=size, clint="native")


def compare(boxes: list[EngineBox], chunks: list[int]) -> int:
    """Run all boxes in these pieces, as far as they go; the exit that ended it."""
    code: int = Exit.SLICE
    for n, steps in enumerate(chunks):
        codes = [box.run(steps) for box in boxes]
        code = codes[0]
        exits = dict(zip((b.engine for b in boxes), codes, strict=True))
        assert len(set(codes)) == 1, f"exits in chunk {n}: {exits}"
        for box in boxes[1:]:
            assert not (what := difference(boxes[0], box)), f"chunk {n}: {what}"
        if code != Exit.SLICE:
            break
    return code


ADDRESSES = {
    "all of it": "addi x6, x5, 0",
    "RAM and around": f"""
        slli x6, x5, {{upper}}
        srli x6, x6, {{upper}}      # 17 bits: half of them in RAM
        li x7, {RAM:#x}
        add x6, x6, x7
        li x7, -{SIZE // 2:#x}
        add x6, x6, x7""",
    "page zero": "slli x6, x5, {page}; srli x6, x6, {page}",
    "its own page": f"""
        slli x6, x5, {{page}}
        srli x6, x6, {{page}}
        li x7, {RAM:#x}
        add x6, x6, x7""",
}


@BOTH
@pytest.mark.parametrize("where", ADDRESSES)
def test_writes_everywhere(xlen: int, where: str) -> None:
    """Loads, stores and AMOs of every size at random addresses; faults are skipped."""
    shifts = (13, 17, 5) if xlen == 32 else (13, 7, 17)
    address = ADDRESSES[where].format(upper=xlen - 17, page=xlen - 12)
    accesses = """
        sb x5, 0(x6)
        sh x5, 0(x6)
        sw x5, 0(x6)
        lb x8, 0(x6)
        lw x8, -3(x6)
        amoxor.w x8, x5, (x6)
        sw x5, 2047(x6)
        lr.w x8, (x6)
        sc.w x8, x5, (x6)"""
    if xlen == 64:
        accesses += "; sd x5, 0(x6); ld x8, 0(x6); amoswap.d x8, x5, (x6)"
    text = f"""
        la x7, handler
        csrw mtvec, x7
        li x5, 0x2545f491
    1:  slli x7, x5, {shifts[0]}
        xor x5, x5, x7
        srli x7, x5, {shifts[1]}
        xor x5, x5, x7
        slli x7, x5, {shifts[2]}
        xor x5, x5, x7
        {address}
        {accesses}
        addi x10, x10, 1
        j 1b
        .align 2
    handler:
        csrr x7, mtval
        add x9, x9, x7
        csrr x7, mepc
        addi x7, x7, 4
        csrw mepc, x7
        mret
    """
    boxes = [everywhere(e, xlen) for e in EVERY]
    for box in boxes:
        box.load(text)
    code = compare(boxes, [1000, 1, 7, 3000, 2000])
    if where == "all of it":
        assert code == Exit.SLICE


@BOTH
def test_the_top_and_the_bottom(xlen: int) -> None:
    """Code and data across the end of the address space, which goes on at zero."""
    top = 1 << xlen
    load, store = ("lw", "sw") if xlen == 32 else ("ld", "sd")
    parts = {
        top - 26: """
            addi a0, a0, 1
            c.addi a1, 1
            c.addi a1, 1
            addi a2, a2, 3
            lw a6, 0(a5)
            sw a0, 0(a5)
            bnez a0, . + 10
        """,  # its target is 2, behind the end; the next instruction lies across it
        0: ".half 0; addi a3, a3, 1; j . + 250",
        256: f"""
            addi a3, a3, 2
            {load} t0, 0(s0)
            addi t0, t0, 1
            {store} t0, 0(s0)
            auipc s1, 0
            jalr ra, {-256 - 16 - 26}(s1)
        """,
    }
    boxes = [EngineBox(e, xlen, ram=top - 0x2000, size=0x2000, more=((0, 0x1000),)) for e in EVERY]
    for box in boxes:
        for at, text in parts.items():
            box.load(text, at)
        box.hart.x[8] = -3
        box.hart.x[15] = -2
        box.hart.write_csr("mtvec", 0x800)
        box.load("1: j 1b", 0x800)
        box.hart.pc = top - 26
    compare(boxes, [1, 2, 3, 50, 500])
    assert boxes[0].hart.x[13] > 0


@BOTH
@pytest.mark.parametrize("target", ["hole", "data", "odd", "end of RAM", "device", "top"])
def test_jumps_to_nowhere(xlen: int, target: str) -> None:
    """The trap says where; the handler goes on."""
    address = {
        "hole": 0x1234_5678,
        "data": RAM + 0x800,  # zeros: illegal
        "odd": 0x4000_0001,
        "end of RAM": RAM + SIZE - 2,  # the first half of an instruction
        "device": 0x200_0000,
        "top": (1 << xlen) - 2,
    }[target]
    boxes = [everywhere(e, xlen) for e in EVERY]
    for box in boxes:
        box.memory.write(RAM + SIZE - 2, b"\x13\x05")  # of addi a0, a0, ...
        p = box.load(f"""
            la t0, handler
            csrw mtvec, t0
            li t0, {address:#x}
            jr t0
            .align 2
        handler:
            csrr a1, mcause
            csrr a2, mepc
            csrr a3, mtval
        1:  j 1b
        """)
        assert box.run(200) == Exit.SLICE
        cause, epc, tval = box.hart.x[11:14]
        assert box.hart.pc == p.symbols["handler"] + 12
        assert (cause, epc) == (2 if target == "data" else 1, address & -2)
        if target == "end of RAM":  # the half that could not be fetched
            assert tval == RAM + SIZE
        elif target != "data":
            assert tval == address & -2
    compare(boxes, [100])


def soup(xlen: int, rng: random.Random, size: int) -> bytes:
    """Bytes that are code now and then."""
    out = bytearray()
    rows = [r for r in TABLE.rows if xlen in r.xlens and r.name != "wfi"]
    while len(out) < size:
        kind = rng.random()
        if kind < 0.35:
            word = alu_word(xlen, rng)
        elif kind < 0.85:
            row = rng.choice(rows)
            word = row.match | rng.getrandbits(8 * row.length) & ~row.mask
        elif kind < 0.9:  # a base address for what follows
            word = encode("auipc", xlen, rd=rng.randrange(1, 32), imm=rng.randrange(-8, 8) << 12)
        else:
            out += rng.randbytes(2)
            continue
        out += word.to_bytes(4 if word & 3 == 3 else 2, "little")
    return bytes(out[:size])


SOUP = 0x4000
#: Goes on two bytes behind what trapped. The guest may well overwrite it.
SKIP = "csrr x30, mepc; addi x30, x30, 2; csrw mepc, x30; mret"


def run_soup(xlen: int, seed: int) -> int:
    rng = random.Random(seed)
    data = soup(xlen, rng, SOUP)
    registers = [rng.choice((RAM + rng.randrange(SOUP), rng.getrandbits(xlen))) for _ in range(32)]
    vector = RAM + rng.randrange(SOUP - 16) & -4
    start = RAM + rng.randrange(SOUP) & -2
    chunks = [rng.choice((1, rng.randrange(1, 10), rng.randrange(1, 500))) for _ in range(12)]
    boxes = [everywhere(e, xlen, SOUP) for e in EVERY]
    for box in boxes:
        box.memory.write(RAM, data)
        for n, value in enumerate(registers):
            box.hart.x[n] = value
        box.load(SKIP, vector)
        box.hart.write_csr("mtvec", vector)
        box.q[HART["mtimecmp"]] = 777
        box.hart.pc = start
    compare(boxes, chunks)
    return boxes[0].steps


@BOTH
def test_soup(xlen: int) -> None:
    """Random bytes as code, jumping and writing where they like."""
    assert sum(run_soup(xlen, seed) for seed in range(8)) > 3000


@pytest.mark.slow
@BOTH
def test_soup_long(xlen: int) -> None:
    for seed in range(100, 400):
        run_soup(xlen, seed)
