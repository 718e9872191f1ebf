"""Code that changes: every writer, every distance, with and without fence.i; breakpoints and
watchpoints anywhere. The reference is ``step``, which decodes each instruction where it is."""

from __future__ import annotations

import functools
import random
from itertools import pairwise

import pytest

from otoriscv.core.decode import Decoder
from otoriscv.core.encode import assemble_insn, encode
from otoriscv.core.layout import HART, MACHINE
from tests.engine_box import ENGINES, EVERY, HOT, RAM, STEP, EngineBox, Exit, difference, fresh
from tests.random_programs import (
    END,
    SCRATCH,
    SCRATCH_SIZE,
    START,
    alu_word,
    random_program,
)

BOTH = pytest.mark.parametrize("xlen", [32, 64])
FAST = pytest.mark.parametrize("engine", ENGINES)
AND_HOT = pytest.mark.parametrize("engine", (*ENGINES, HOT))
FENCE = pytest.mark.parametrize("fence", ["", "fence.i"])

#: ``a0 += 1`` and what it is changed to.
OLD, NEW = assemble_insn("addi a0, a0, 1"), assemble_insn("addi a0, a0, 64")

#: How a guest writes the word in t1 at t0; the narrow ones know that its low half stays.
WRITERS = {
    "sw": "sw t1, 0(t0)",
    "sh": "srli t2, t1, 16; sh t2, 2(t0)",
    "sb": "srli t2, t1, 24; sb t2, 3(t0); srli t2, t1, 16; sb t2, 2(t0)",
    "amoswap.w": "amoswap.w zero, t1, (t0)",
    "amoadd.w": "lw t2, 0(t0); sub t2, t1, t2; amoadd.w zero, t2, (t0)",
    "sc.w": "lr.w t2, (t0); sc.w t2, t1, (t0)",
    "misaligned": "lhu t2, -2(t0); slli t3, t1, 16; or t2, t2, t3; sw t2, -2(t0);"
    "srli t2, t1, 16; sh t2, 2(t0)",
}
#: Where the changed instruction is, seen from the store.
PLACES = {
    "next": "{writer}; {fence} target: addi a0, a0, 1; j done;",
    "same line": ".align 6; {writer}; {fence} nop; nop; target: addi a0, a0, 1; j done;",
    "next line": ".align 6; {writer}; {fence} c.nop; c.nop; j target; .align 6;"
    "target: addi a0, a0, 1; j done;",
    "next page": "{writer}; {fence} j target; .align 12; target: addi a0, a0, 1; j done;",
    "behind": "j write; target: addi a0, a0, 1; j done; write: {writer}; {fence} j target;",
    "through jalr": "{writer}; {fence} jr t0; .align 3; target: addi a0, a0, 1; j done;",
}


@FAST
@BOTH
@FENCE
@pytest.mark.parametrize("place", PLACES)
def test_guest_stores(engine: str, xlen: int, fence: str, place: str) -> None:
    """The loop runs the instruction, changes it, runs it again: new code at once."""
    for writer, stores in WRITERS.items():
        middle = PLACES[place].format(writer=stores, fence=f"{fence};" if fence else "")
        text = f"""
            li s0, 8
            li t1, {OLD:#x}
        again:
            la t0, target
            {middle}
        done:
            la t0, words            # the other word next time
            andi t1, s0, 1
            slli t1, t1, 2
            add t0, t0, t1
            lw t1, 0(t0)
            addi s0, s0, -1
            beqz s0, end
            j again
        end: j end
            .align 2
        words: .word {NEW:#x}, {OLD:#x}
        """
        fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
        for box in (fast, slow):
            box.load(text)
            assert box.run(1000) == Exit.SLICE
        assert not (what := difference(fast, slow)), f"{writer}: {what}"
        assert fast.hart.x[10] == 4 * 1 + 4 * 64


@FAST
@BOTH
def test_a_store_that_changes_itself_and_its_neighbours(engine: str, xlen: int) -> None:
    """sd over two instructions, itself among them, in a loop."""
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    load, store = ("lw", "sw") if xlen == 32 else ("ld", "sd")
    text = f"""
        la t0, here
        {load} t1, 0(t0)
        li s0, 20
        .align 3
    1:  nop
        nop
    here:
        {store} t1, 0(t0)
        addi a0, a0, 1
        xori t1, t1, 0
        addi s0, s0, -1
        bnez s0, 1b
    2:  j 2b
    """
    for box in (fast, slow):
        box.load(text)
        assert box.run(300) == Exit.SLICE
    assert not (what := difference(fast, slow)), what
    assert fast.hart.x[10] == 20


@AND_HOT
@BOTH
@pytest.mark.parametrize("size", [1, 2, 3, 8, 64, 4096])
def test_python_writes(engine: str, xlen: int, size: int) -> None:
    """`Memory.write` (DMA, debugger, API) of any length anywhere into running code."""
    rng = random.Random(size)
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    code = b"".join(alu_word(xlen, rng, length=4).to_bytes(4, "little") for _ in range(60))
    start, length = RAM + 0xE00, max(len(code), size + 4)
    code = (code * 30)[:length]
    back = encode("jal", xlen, rd=0, imm=-length).to_bytes(4, "little")
    for box in (fast, slow):
        box.load(code + back, start)
    for _ in range(1600 // length + 2):
        # instructions change as a whole, but by writes that begin and end anywhere in them
        at = rng.randrange(0, length - size)
        first, last = at & -4, (at + size + 3) & -4
        shift = rng.randrange(0, 100) * 4
        new = (code[shift:] + code)[first:last]
        cuts = (first, at, at + size, last)
        steps = rng.randrange(1, 1000)
        for box in (fast, slow):
            for a, b in pairwise(cuts):
                box.memory.write(start + a, new[a - first : b - first])
            box.run(steps)
        assert not (what := difference(fast, slow)), what


@AND_HOT
@BOTH
def test_data_beside_code(engine: str, xlen: int) -> None:
    """A counter in the very line of the loop that increments it; the code around stays."""
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    for box in (fast, slow):
        box.load("""
            la t0, counter
            la t2, other
            .align 6
        1:  lw t1, 0(t0)
            addi t1, t1, 1
            sw t1, 0(t0)
            sh t1, 2(t2)
            sb t1, 4(t2)
            amoadd.w t3, t1, (t0)
            sw t1, 0(t0)
            j 1b
        other: .word 0
        counter: .word 0
               .word 0
        """)
        assert box.run(5000) == Exit.SLICE
    assert not (what := difference(fast, slow)), what
    assert fast.hart.x[6] > 600


@AND_HOT
@BOTH
@FENCE
def test_an_instruction_across_a_page_end(engine: str, xlen: int, fence: str) -> None:
    """Its halves change one by one, written by the guest and by Python."""
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    text = f"""
        la t0, target
        j 1f
        .zero {0x1000 - 8 - 4 - 2 - 8}
    1:  j 2f
        .half 1
        .half 1
    target:
        addi a0, a0, 1              # at 0x...ffe
        jr s1
    2:  la s1, 3f
        j target
    3:  lhu t1, 2(t0)
        addi t1, t1, 16             # the immediate
        sh t1, 2(t0)
        {fence or "nop"}
        la s1, 4f
        j target
    4:  lhu t1, 0(t0)
        xori t1, t1, 0x100          # the destination: a0 or s4 ... and back
        sh t1, 0(t0)
        {fence or "nop"}
        la s1, 3b
        jr t0
    """
    for box in (fast, slow):
        p = box.load(text)
        assert p.symbols["target"] & 0xFFF == 0xFFE, hex(p.symbols["target"])
        assert box.run(500) == Exit.SLICE
    assert not (what := difference(fast, slow)), what
    rng = random.Random(5)
    for n in range(40):
        half = rng.randrange(2)
        word = encode("addi", xlen, rd=10, rs1=10, imm=rng.randrange(-2048, 2048))
        for box in (fast, slow):
            data = (
                word.to_bytes(4, "little")[2 * half :][:2] if n % 2 else word.to_bytes(4, "little")
            )
            box.memory.write(p.symbols["target"] + (2 * half if n % 2 else 0), data)
            box.run(rng.randrange(1, 30) if box is fast else 0)
        slow.run(fast.steps - slow.steps)
        assert not (what := difference(fast, slow)), what


# -- random code that changes random code


def stress_program(box: EngineBox, rng: random.Random, fence: bool) -> None:
    """Calls a page of random code for ever, and between the calls and from within changes it."""
    xlen = box.xlen
    slots = 96
    area = RAM + 0x4000 - 4 * rng.choice((slots // 2, slots, 13))  # around a page end, or not

    def slot() -> int:
        """Four bytes of code: computation, or a store into the area."""
        kind = rng.random()
        if kind < 0.3:
            a, b = (alu_word(xlen, rng, length=2) for _ in range(2))
            return a | b << 16
        if kind < 0.45:
            at = rng.randrange(slots) * 4
            return encode("sw", xlen, rs2=rng.choice((28, 29)), rs1=26, imm=at)
        if kind < 0.5 and fence:
            return encode("fence.i", xlen)
        return alu_word(xlen, rng, length=4)

    code = [slot() for _ in range(slots)] + [encode("jalr", xlen, rd=0, rs1=1, imm=0)]
    table = [slot() for _ in range(128)]
    box.memory.write(area, b"".join(w.to_bytes(4, "little") for w in code))
    box.memory.write(RAM + 0x2000, b"".join(w.to_bytes(4, "little") for w in table))
    shift = 16 if xlen == 32 else 48
    box.load(f"""
        la x26, {area:#x}
        la x27, {RAM + 0x2000:#x}
        li x31, 0x12345
        lw x28, 0(x27)
        lw x29, 4(x27)
    1:  slli x30, x31, 13
        xor x31, x31, x30
        srli x30, x31, 17
        xor x31, x31, x30
        slli x30, x31, 5
        xor x31, x31, x30
        andi x30, x31, 0x1fc
        add x30, x30, x27
        lw x28, 0(x30)              # a word of the table
        srli x30, x31, 9
        andi x30, x30, 0x1fc
        add x30, x30, x27
        lw x29, 0(x30)
        srli x30, x31, {shift - 8}
        andi x30, x30, 0xfc         # to slots 0 to 63
        add x30, x30, x26
        sw x29, 0(x30)
        srli x30, x31, {shift - 12}
        andi x30, x30, 0xfc
        add x30, x30, x26
        amoswap.w x30, x28, (x30)
        {"fence.i" if fence else "nop"}
        jalr x1, 0(x26)
        andi x30, x31, 0x7c
        add x30, x30, x26
        jalr x1, 0(x30)
        j 1b
    """)
    for n in range(2, 26):
        box.hart.x[n] = rng.getrandbits(xlen)


@AND_HOT
@BOTH
@pytest.mark.parametrize("fence", [False, True])
@pytest.mark.parametrize("seed", range(3))
def test_stress(engine: str, xlen: int, fence: bool, seed: int) -> None:
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    for box in (fast, slow):
        stress_program(box, random.Random(seed), fence)
    rng = random.Random(seed)
    for _ in range(8):
        steps = rng.choice((rng.randrange(1, 20), rng.randrange(1, 600)))
        assert fast.run(steps) == slow.run(steps) == Exit.SLICE
        assert not (what := difference(fast, slow)), what


# -- breakpoints


def load_random(box: EngineBox, seed: int) -> None:
    """A random program that repeats for ever."""
    rng = random.Random(seed)
    program = random_program(box.xlen, [rng.getrandbits(32) for _ in range(30)])
    for at, data in program.parts:
        box.memory.write(at, data)
    back = encode("jal", box.xlen, rd=0, imm=START - END).to_bytes(4, "little")
    box.memory.write(END, back)
    box.hart.pc = START


@functools.cache
def trace(xlen: int, seed: int, steps: int) -> list[tuple[int, ...]]:
    """Where such a program is after each step."""
    box = fresh(STEP, xlen)
    load_random(box, seed)
    out = [box.brief()]
    for _ in range(steps):
        assert box.run(1) == Exit.SLICE
        out.append(box.brief())
    return out


@AND_HOT
@BOTH
@pytest.mark.parametrize("seed", range(2))
def test_breakpoints_come_and_go(engine: str, xlen: int, seed: int) -> None:
    """Anywhere in running code: every stop is the next one that the trace says."""
    expected = trace(xlen, seed, 4000)
    box = fresh(engine, xlen)
    load_random(box, seed)
    rng = random.Random(seed)
    here: set[int] = set()
    while box.steps < 3000:
        for _ in range(rng.randrange(3)):
            if here and rng.random() < 0.5:
                address = rng.choice(sorted(here))
                here.remove(address)
                box.breakpoints.remove(address)
            else:
                address = expected[rng.randrange(len(expected))][0]
                here.add(address)
                box.breakpoints.add(address)
        limit = rng.randrange(1, 300)
        now = box.steps
        hits = (n for n in range(now + 1, now + limit) if expected[n][0] in here)
        stop = next(hits, None)
        code = box.resume(limit)
        assert box.steps == (now + limit if stop is None else stop)
        assert code == (Exit.SLICE if stop is None else Exit.BREAKPOINT)
        assert box.brief() == expected[box.steps]


@AND_HOT
@BOTH
def test_a_breakpoint_at_every_instruction(engine: str, xlen: int) -> None:
    expected = trace(xlen, 0, 4000)
    box = fresh(engine, xlen)
    load_random(box, 0)
    box.run(2000)  # everything is compiled or decoded
    for address in sorted({entry[0] for entry in expected[2000:3500]}):
        box.breakpoints.add(address)
    for n in range(2001, 2300):
        assert box.resume() == Exit.BREAKPOINT
        assert (box.steps, box.brief()) == (n, expected[n])
    box.breakpoints.clear()
    box.run(1000)
    assert box.brief() == expected[3299]


SELF = {
    "amoswap.w": "amoswap.w a0, t1, (t0)",
    "amominu.w": "amominu.w a0, t1, (t0)",
    "sc.w": "lr.w a1, (t0); target: sc.w a0, t1, (t0)",
    "sw": "sw t1, 0(t0)",
}


@FAST
@BOTH
@pytest.mark.parametrize("name", SELF)
def test_an_instruction_that_overwrites_itself(engine: str, xlen: int, name: str) -> None:
    """It has been executed as it was; all of its results are there."""
    target = "" if "target:" in SELF[name] else "target:"
    fast, slow = fresh(engine, xlen), fresh(STEP, xlen)
    for box in (fast, slow):
        box.load(f"""
            li s0, 3
            li a0, 77
            la t0, target
            li t1, {assemble_insn("addi a2, a2, 5"):#x}
        1:  nop
            {target} {SELF[name]}
            addi s0, s0, -1
            bnez s0, 1b
        2:  j 2b
        """)
        assert box.run(100) == Exit.SLICE
    assert not (what := difference(fast, slow)), what
    assert fast.hart.x[12] >= 5
    assert fast.hart.x[10] != 77 or name == "sw"


@FAST
@BOTH
def test_breakpoints_where_there_is_no_code_yet(engine: str, xlen: int) -> None:
    """In code never run, inside an instruction, in a hole, and behind written code."""
    box = fresh(engine, xlen)
    p = box.load("li a0, 1; la t0, later; lw t1, 0(t0); sw t1, 0(t0); later: li a0, 2; 1: j 1b")
    for address in (p.symbols["later"], RAM + 2, 0x10, RAM + 0x8000):
        box.breakpoints.add(address)
    assert box.run() == Exit.BREAKPOINT
    assert box.hart.pc == p.symbols["later"] and box.hart.x[10] == 1
    word = encode("addi", xlen, rd=10, imm=3)
    box.memory.write(p.symbols["later"], word.to_bytes(4, "little"))
    assert box.run() == Exit.BREAKPOINT  # writing over it does not remove it
    assert box.resume(10) == Exit.SLICE
    assert box.hart.x[10] == 3


# -- watchpoints

_SIZES = {"b": 1, "h": 2, "w": 4, "d": 8}


def access(box: EngineBox, decoder: Decoder) -> tuple[int, int, int] | None:
    """(address, size, kinds) of what the next instruction will access."""
    pc = box.hart.pc
    insn = decoder.decode(int.from_bytes(box.memory.read(pc, 4), "little"), pc)
    name, x, ops = insn.row.name, box.hart.x, insn.operands
    if name in ("lb", "lbu", "lh", "lhu", "lw", "lwu", "ld", "sb", "sh", "sw", "sd"):
        address = x[ops["rs1"]] + ops["imm"] & box.mask
        return address, _SIZES[name[1]], 2 if name[0] == "s" else 1
    if name.startswith(("amo", "lr.", "sc.")):
        address, size = x[ops["rs1"]], _SIZES[name[-1]]
        if address % size:
            return None  # traps
        if name.startswith("sc."):
            q = box.q
            fits = q[HART["res_valid"]] and q[HART["res_addr"]] == address
            return (address, size, 2) if fits else None
        return address, size, 1 if name.startswith("lr.") else 3
    return None


@functools.cache
def accesses(xlen: int, seed: int, steps: int) -> list[tuple[int, int, int] | None]:
    """What each step of the repeating program accesses."""
    box = fresh(STEP, xlen)
    load_random(box, seed)
    decoder = Decoder(box.isa)
    out = []
    for _ in range(steps):
        out.append(access(box, decoder))
        box.run(1)
    return out


def overlaps(done: tuple[int, int, int] | None, points: list[tuple[int, int, int]]) -> bool:
    if done is None:
        return False
    address, size, kinds = done
    return any(address < a + n and a < address + size and k & kinds for a, n, k in points)


@AND_HOT
@BOTH
@pytest.mark.parametrize("seed", range(2))
def test_watchpoints(engine: str, xlen: int, seed: int) -> None:
    """Of any length and alignment: every stop is before the access, with the old state."""
    steps = 2500
    expected, done = trace(xlen, seed, steps), accesses(xlen, seed, steps)
    box = fresh(engine, xlen)
    load_random(box, seed)
    rng = random.Random(seed)
    points: list[tuple[int, int, int]] = []
    stops = 0
    places = [address for address, _, _ in filter(None, done)]
    while box.steps < steps - 200:
        for _ in range(rng.randrange(4)):
            if points and rng.random() < 0.4:
                box.watchpoints.remove(*points.pop(rng.randrange(len(points))))
            else:
                length = rng.choice((1, 1, 2, 3, 4, 7, 8, 16, 100))
                at = rng.choice(places) + rng.randrange(-length, 8)
                point = at, length, rng.choice((1, 2, 3))
                if point not in points:
                    points.append(point)
                    box.watchpoints.add(*point)
        now, limit = box.steps, rng.randrange(1, 150)
        hits = (n for n in range(now + 1, now + limit) if overlaps(done[n], points))
        stop = next(hits, None)
        code = box.resume(limit)
        assert box.steps == (now + limit if stop is None else stop), (points, done[box.steps])
        assert code == (Exit.SLICE if stop is None else Exit.WATCH)
        assert box.brief() == expected[box.steps]
        if stop is not None:
            stops += 1
            address, size, _ = done[stop] or (0, 0, 0)
            where = box.q[HART["exit_addr"]]
            assert address <= where < address + size
            assert any(a <= where < a + n for a, n, _ in points)
            before = box.memory.read(SCRATCH, SCRATCH_SIZE)
            assert box.run() == Exit.WATCH  # still before it, nothing done
            assert box.brief() == expected[stop]
            assert box.memory.read(SCRATCH, SCRATCH_SIZE) == before
    assert stops > 5
    reference = fresh(STEP, xlen)
    load_random(reference, seed)
    reference.run(box.steps)
    assert reference.ram_bytes() == box.ram_bytes()


@pytest.mark.parametrize("engine", EVERY)
@BOTH
def test_watching_changes_nothing(engine: str, xlen: int) -> None:
    """A run with watchpoints that are never hit ends as one without."""
    box = fresh(engine, xlen)
    load_random(box, 1)
    box.watchpoints.add(RAM + 0x8_0000, 8, 3)
    box.watchpoints.add(SCRATCH + 0x800, 1, 3)  # in a page that is accessed
    box.run(1000)
    box.watchpoints.clear()
    box.run(500)
    assert box.brief() == trace(xlen, 1, 4000)[1500]


@pytest.mark.parametrize("engine", [e for e in ENGINES if e != "python"])
@BOTH
def test_lines_without_code_are_ordinary_again(engine: str, xlen: int) -> None:
    """Once code was overwritten, stores to its place are no writes to code; until it is run."""
    box = EngineBox(engine, xlen)
    place = RAM + 0x4000 + 64 - 6  # over the end of a line
    routine = "addi a0, a0, 1; addi a0, a0, 2; addi a0, a0, 3; jalr zero, 0(ra)"
    writes = MACHINE["invalidations"]

    def call() -> None:
        box.load(f"jalr ra, 0(s0); {'nop; ' * 4}1: j 1b", RAM)
        box.hart.x[8] = place
        box.run(10)

    def overwrite(value: int) -> int:
        box.load(f"{'sh s1, 0(s0); addi s0, s0, 2; ' * 8}1: j 1b", RAM + 0x2000)
        before = box.m[writes]
        box.hart.x[8], box.hart.x[9] = place, value
        box.run(20)
        return box.m[writes] - before

    box.load(routine, place)
    call()
    assert box.hart.x[10] == 6
    assert overwrite(1) > 0
    assert overwrite(2) == 0
    box.load(routine.replace("1;", "4;", 1), place)
    call()
    assert box.hart.x[10] == 6 + 9
    assert overwrite(1) > 0
    assert overwrite(2) == 0
    box.close()
