"""Accesses of a block that are tested together: what is outside, misaligned or code still acts at
its own instruction, under every engine alike."""

from __future__ import annotations

import hashlib
import random
from pathlib import Path

import pytest

from otoriscv.board.machine import Machine
from otoriscv.board.stops import StopReason
from otoriscv.core.encode import assemble
from otoriscv.core.layout import LINE_SHIFT, MACHINE
from otoriscv.core.slow import READS, WRITES
from otoriscv.core.uop import Builder, uses_op
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.llvm.flat import BlockPolicy, FlatPolicy, Window, _Group
from otoriscv.jit.settings import JitSettings

pytestmark = pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here")

RAM, SIZE = 0x8000_0000, 0x10_0000
BOTH = pytest.mark.parametrize("xlen", [32, 64])


@pytest.fixture
def at_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Everything is compiled inline after its first sample; a cache of the test's own."""
    monkeypatch.setenv("OTORISCV_JIT_THRESHOLD", "1")
    monkeypatch.setenv("OTORISCV_JIT_WORKERS", "0")
    monkeypatch.setenv("OTORISCV_CACHE_DIR", str(tmp_path / "cache"))


#: Walks through a table of s1 addresses at s2, each used eight times; a trap counts in s3, adds
#: where it was to s4 and goes on behind its instruction.
GUEST = """
    la   t0, trap
    csrw mtvec, t0
next:
    lw   a0, 0(s2)
    li   s5, 8
again:
    sw   s5, 8(a0)
    lw   a1, -4(a0)
    lbu  a2, 3(a0)
    sb   a2, 13(a0)
    lh   a3, 6(a0)
    sh   s5, 70(a0)
    add  s6, s6, a1
    add  s6, s6, a2
    lw   a4, 4(a0)
    sw   a4, 0(a0)
    sub  s6, s6, a3
    add  s6, s6, a4
    addi s5, s5, -1
    bnez s5, again
    addi s2, s2, 4
    addi s1, s1, -1
    bnez s1, next
done:
    j    done
trap:
    csrr t1, mepc
    addi s3, s3, 1
    slli s4, s4, 1
    add  s4, s4, t1
    addi t1, t1, 4
    csrw mepc, t1
    mret
"""
DATA = RAM + 0x4000
EDGES = [
    *(RAM + SIZE + n for n in (-96, -76, -72, -71, -70, -68, -16, -8, -4, 0, 4)),
    *(RAM + n for n in (-8, -4, 0, 4)),
    *(DATA + 0x400 + n for n in range(72)),
    *(0x7FFF_FFC0, 0x0, 0x7C, 0xFFFF_FFF8),
]


def outcome(engine: str, xlen: int) -> tuple[object, ...]:
    """Registers, counters and memory at the end."""
    machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, SIZE)], engine=engine)
    program = assemble(GUEST, xlen, RAM)
    behind_the_code = RAM + len(program.code) + 24  # in a line that may have code
    table = [*EDGES, behind_the_code, *EDGES]
    machine.memory.write(RAM, program.code)
    fill = random.Random(5).randbytes(0x1000)
    machine.memory.write(DATA, fill)
    machine.memory.write(RAM + SIZE - 0x100, fill[:0x100])
    at = RAM + 0x8000
    machine.memory.write(at, b"".join(x.to_bytes(4, "little") for x in table))
    hart = machine.harts[0]
    hart.pc = RAM
    hart.x[9], hart.x[18] = len(table), at
    machine.breakpoints.add(program.symbols["done"])
    stop = machine.run(steps=10_000_000)
    assert hart.pc == program.symbols["done"], stop
    digest = hashlib.sha256(machine.memory.read(RAM, SIZE)).hexdigest()
    result = list(hart.x)[:32], machine.retired, machine.steps, digest
    if engine == "llvm":
        assert isinstance(machine.engine, LlvmEngine)
        assert machine.engine.statistics["regions"] > 0
        assert machine.m[MACHINE["region_steps"]] > 1000
    machine.close()
    return result


@BOTH
@pytest.mark.usefixtures("at_once")
def test_edges_misalignment_and_code_act_at_their_instruction(xlen: int) -> None:
    wanted = outcome("python", xlen)
    assert outcome("interp", xlen) == wanted
    assert outcome("llvm", xlen) == wanted
    assert outcome("llvm", xlen) == wanted  # with the regions of the first run


def test_a_blocks_accesses_off_one_address_are_tested_once() -> None:
    m = Builder(64)
    policy = BlockPolicy(FlatPolicy(Window(RAM, SIZE, 0x1000_0000)), m.body)
    base = m.emit("get_x", 64, 2)
    for n in range(8):
        policy.store(m, base + 8 * n, policy.load(m, base + 64 + 8 * n, 64, "r"))
    body, _ = policy.finish(m.body, [len(m.body)])
    assert sum(node.op == "bail_if" for node in body) == 2  # the bounds, and the lines
    assert not uses_op(body[: body.index(next(x for x in body if x.op == "bail_if"))], "aload")


def test_the_lines_of_stores_are_all_looked_at() -> None:
    rng = random.Random(1)
    for _ in range(300):
        group = _Group(Builder(64).const(0, 64), 8, 0)
        for _ in range(rng.randrange(1, 12)):
            size = rng.choice((1, 2, 4, 8))
            group.note(rng.randrange(-256, 256) // size * size, size, WRITES)
            group.note(rng.randrange(-256, 256) // size * size, size, READS)
        looked = group.lines(WRITES)
        for first in range(0, 64, 8):
            wanted = {(first + d) >> 6 for d, _ in group.of(WRITES)}
            assert wanted == {(first + d) >> 6 for d in looked}


@BOTH
@pytest.mark.usefixtures("at_once")
def test_code_that_was_never_executed_is_left_out_until_it_is(xlen: int) -> None:
    source = """
    loop:
        addi a0, a0, 1
        bnez a1, far
    back:
        j    loop
    far:
        j    elsewhere
        .zero 1004
    elsewhere:
        j    back
    """
    machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, SIZE)], engine="llvm")
    program = assemble(source, xlen, RAM)
    machine.memory.write(RAM, program.code)
    hart = machine.harts[0]
    hart.pc = RAM
    machine.run(steps=100_000)
    engine = machine.engine
    assert isinstance(engine, LlvmEngine)
    place = program.symbols["elsewhere"]
    assert engine.regions() and engine.compiled_at(place, place, translated=False) == 0
    assert any(place in region.unseen for region in engine.regions())
    hart.x[11] = 1
    before, steps = hart.x[10], machine.steps
    machine.run(steps=2_000_000)
    assert engine.compiled_at(place, place, translated=False) > 0
    loop = program.symbols["loop"]  # whose region was made again
    assert any({loop, place} <= set(region.covered) for region in engine.regions())
    assert abs((hart.x[10] - before) * 5 - (machine.steps - steps)) < 10
    machine.close()


#: Stores two words off one address: into data, and every 4096 rounds into the loop itself, where
#: addi a0, a0, 1 and addi a0, a0, 2 take turns.
PATCHING = """
    la   s1, slot
    la   s2, data
    li   s3, 0x00150513
    li   s4, 0x00250513
    li   s6, 4095
loop:
    addi s0, s0, 1
    mv   t0, s2
    and  t2, s0, s6
    bnez t2, plain
    mv   t0, s1
    xor  s5, s3, s4
    xor  s3, s3, s5
    xor  s4, s4, s5
plain:
    lw   t3, 8(t0)
    sw   s3, 0(t0)
    sw   t3, 8(t0)
    fence.i
slot:
    addi a0, a0, 1
    addi a1, a1, 1
    addi a2, a2, 1
    j    loop
    .align 6
data:
    .zero 16
"""


#: The same, but the first of the stores is to a line without code.
PATCHING_BEHIND = (
    PATCHING.replace("la   s1, slot", "la   s1, before")
    .replace("sw   s3, 0(t0)", "sw   t3, 0(t0)")
    .replace("sw   t3, 8(t0)", "sw   s3, 8(t0)")
    .replace("lw   t3, 8(t0)", "lw   t3, 0(t0)")
    .replace("slot:", "j slot; .align 6; .zero 56; before: .zero 8\nslot:")
)


@BOTH
@pytest.mark.parametrize("source", [PATCHING, PATCHING_BEHIND], ids=["first", "second"])
def test_a_loop_that_patches_itself_off_a_shared_address(xlen: int, source: str) -> None:
    jit = JitSettings(threshold=1, workers=0, cache=False)
    machines = [
        Machine(f"rv{xlen}ima_zicsr_zifencei", ram=[(RAM, SIZE)], engine=engine, jit=jit)
        for engine in ("interp", "llvm")
    ]
    for machine in machines:
        machine.memory.write(RAM, assemble(source, xlen, RAM).code)
        machine.harts[0].pc = RAM
    for _ in range(10):
        for machine in machines:
            machine.run(steps=123_457)
        assert list(machines[0].harts[0].x) == list(machines[1].harts[0].x)
    rounds = machines[0].harts[0].x
    assert rounds[10] > rounds[11]  # a0 was sometimes advanced by two
    assert machines[1].m[MACHINE["region_steps"]] > 10_000
    for machine in machines:
        machine.close()


#: One block with accesses before and behind the first, of all sizes; a0 counts rounds.
WATCHED = """
    la   s1, data
loop:
    lw   a1, 0(s1)
    addi a0, a0, 1
    sb   a0, 9(s1)
    lh   a2, -6(s1)
    sw   a0, 64(s1)
    lbu  a3, 9(s1)
    sh   a1, -64(s1)
    j    loop
    .align 7
    .zero 64
data:
    .zero 128
"""


@BOTH
@pytest.mark.parametrize("kinds", [READS, WRITES, READS | WRITES])
def test_watchpoints_on_each_of_a_blocks_accesses(xlen: int, kinds: int) -> None:
    jit = JitSettings(threshold=1, workers=0, cache=False)
    program = assemble(WATCHED, xlen, RAM)
    for distance in (-68, -64, -63, -62, -6, -4, 0, 3, 4, 8, 9, 10, 60, 64, 67, 68):
        stops = []
        for engine in ("interp", "llvm"):
            machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, SIZE)], engine=engine, jit=jit)
            machine.memory.write(RAM, program.code)
            machine.harts[0].pc = RAM
            machine.watchpoints.add(program.symbols["data"] - 512, 1, WRITES)  # never hit
            machine.run(steps=50_000)
            machine.watchpoints.add(program.symbols["data"] + distance, 1, kinds)
            stop = machine.run(steps=50_000)
            stops.append((stop.reason, stop.pc, machine.steps, *machine.harts[0].x))
            if engine == "llvm":
                assert machine.m[MACHINE["region_steps"]] > 20_000
            machine.close()
        assert stops[0] == stops[1]


class Watching:
    """A loop, at `at("loop")`, in a region that was compiled while something is watched."""

    def __init__(self, xlen: int, source: str) -> None:
        jit = JitSettings(workers=0, cache=False)
        self.machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, SIZE)], engine="llvm", jit=jit)
        program = assemble(source, xlen, RAM)
        self.at = program.symbols.__getitem__
        self.machine.memory.write(RAM, program.code)
        self.hart = self.machine.harts[0]
        self.hart.pc = RAM
        self.machine.watchpoints.add(RAM + SIZE - 1, 1, WRITES)  # never hit
        self.machine.run(steps=100)
        self.compile()

    def compile(self) -> None:
        """The loop's region for what is watched now."""
        assert isinstance(self.machine.engine, LlvmEngine)
        self.machine.engine.compile_now(self.hart, self.at("loop"), 64)

    def stops_at(self, address: int, length: int, kinds: int) -> int | None:
        """The pc where the loop, entered at its head, stops for the only watchpoint, if it does."""
        machine, hart = self.machine, self.hart
        machine.watchpoints.clear()
        machine.watchpoints.add(RAM + SIZE - 1, 1, WRITES)
        machine.run(steps=50)  # past where it stopped
        hart.pc = self.at("loop")
        machine.watchpoints.add(address, length, kinds)
        machine.watchpoints.remove(RAM + SIZE - 1, 1, WRITES)
        if kinds & READS:  # that is another region
            self.compile()
        before = machine.m[MACHINE["region_steps"]]
        stop = machine.run(steps=1000)
        if stop.reason is StopReason.WATCH:
            return stop.pc
        assert machine.m[MACHINE["region_steps"]] - before > 900
        return None


@BOTH
@pytest.mark.parametrize("first", ["lw a1, 0(s1)", "lbu a1, 66(s1)"], ids=["odd", "narrow"])
def test_a_watchpoint_behind_the_line_in_which_an_access_begins(xlen: int, first: str) -> None:
    """The store is not aligned, though the access before it, off the same address, is."""
    guest = Watching(
        xlen,
        f"""
        la   s1, data
    loop:
        {first}
        addi a0, a0, 1
        sw   a0, 62(s1)
        j    loop
        .align 7
    data:
        .zero 128
    """,
    )
    data = guest.at("data")
    assert guest.stops_at(data + 65, 1, WRITES) == guest.at("loop") + 8
    guest.machine.close()


@BOTH
def test_a_watchpoint_behind_the_line_in_which_the_widest_access_begins(xlen: int) -> None:
    """It is the first of the block, and not aligned; the last one is always aligned."""
    guest = Watching(
        xlen,
        """
        la   s1, data + 62
    loop:
        sw   a0, 0(s1)
        addi a0, a0, 1
        lbu  a1, 8(s1)
        j    loop
        .align 7
    data:
        .zero 128
    """,
    )
    assert guest.stops_at(guest.at("data") + 65, 1, WRITES) == guest.at("loop")
    guest.machine.close()


#: Accesses off one address: of how many bytes and where, in the order of instructions.
SPREAD = """
loop:
    lw   a1, 0(s1)
    sh   a0, -64(s1)
    lbu  a2, 67(s1)
    addi a0, a0, 1
    j    loop
"""
SPREAD_AT = ((0, 4, READS), (-64, 2, WRITES), (67, 1, READS))


@BOTH
def test_one_watchpoint_around_each_of_a_blocks_accesses(xlen: int) -> None:
    """Nothing else is watched, so the range of what is watched is as narrow as it can be."""
    guest = Watching(xlen, "la s1, loop + 0x4000\n" + SPREAD)
    base = guest.hart.x[9]
    for begin in (-72, -66, -65, -64, -63, -62, -8, -4, -1, 0, 3, 4, 60, 66, 67, 68):
        for length in (1, 2, 8):
            wanted = [
                guest.at("loop") + 4 * n
                for n, (at, size, _) in enumerate(SPREAD_AT)
                if begin < at + size and at < begin + length
            ]
            found = guest.stops_at(base + begin, length, READS | WRITES)
            assert found == (wanted[0] if wanted else None), (begin, length)
    guest.machine.close()


@BOTH
def test_a_watchpoint_in_any_line(xlen: int) -> None:
    """The lines of the whole memory are told apart."""
    guest = Watching(xlen, "la s1, loop + 0x4000\n" + SPREAD)
    first = (RAM >> LINE_SHIFT) + 256
    for line in (*(first + (1 << n) for n in range(13)), (RAM + SIZE >> LINE_SHIFT) - 3):
        guest.hart.x[9] = address = line << LINE_SHIFT
        assert guest.stops_at(address + 3, 1, READS) == guest.at("loop")
        assert guest.stops_at(address + 4, 1, READS) is None
        assert guest.stops_at(address - 66, 4, WRITES) == guest.at("loop") + 4  # over two lines
    guest.machine.close()


#: One word is written, and one read, in each of two lines.
TWO_LINES = """
    la   s1, data
loop:
    sw   a0, 0(s1)
    lw   a1, 64(s1)
    addi a0, a0, 1
    j    loop
    .align 7
data:
    .zero 128
"""


@BOTH
@pytest.mark.parametrize("kinds", [READS, WRITES, READS | WRITES])
def test_watchpoints_that_share_a_line_go_one_by_one(xlen: int, kinds: int) -> None:
    guest = Watching(xlen, TWO_LINES)
    data = guest.at("data")
    other = 8 if kinds == WRITES else 72
    hit = data + (0 if kinds == WRITES else 64)
    guest.machine.watchpoints.add(data + other, 4, kinds)
    assert guest.stops_at(hit, 4, kinds) is not None
    guest.machine.watchpoints.add(data + other, 4, kinds)
    guest.machine.watchpoints.remove(data + other, 4, kinds)
    guest.hart.pc = guest.at("loop")
    assert guest.machine.run(steps=1000).reason is StopReason.WATCH
    guest.machine.watchpoints.remove(hit, 4, kinds)
    guest.machine.watchpoints.add(data + other, 4, kinds)
    guest.compile()
    before = guest.machine.m[MACHINE["region_steps"]]
    assert guest.machine.run(steps=10_000).reason is StopReason.STEPS
    assert guest.machine.m[MACHINE["region_steps"]] - before > 9000
    guest.machine.close()


@BOTH
@pytest.mark.parametrize("length", [1, 65, 4096])
def test_a_long_watchpoint_is_in_all_of_its_lines(xlen: int, length: int) -> None:
    guest = Watching(xlen, TWO_LINES)
    data = guest.at("data")
    assert guest.stops_at(data + 3 - (length - 1), length, WRITES) == guest.at("loop")
    assert guest.stops_at(data + 4, length, WRITES) is None
    assert guest.stops_at(data + 67, length, READS) == guest.at("loop") + 4
    guest.machine.close()


@BOTH
def test_a_reset_keeps_watchpoints(xlen: int) -> None:
    guest = Watching(xlen, TWO_LINES)
    machine, data = guest.machine, guest.at("data")
    image = machine.memory.read(RAM, 4096)
    machine.watchpoints.add(data, 4, WRITES)
    machine.reset()
    machine.memory.write(RAM, image)
    guest.hart.x[9] = data
    guest.hart.pc = guest.at("loop")
    guest.compile()
    assert machine.run(steps=1000).reason is StopReason.WATCH
    machine.watchpoints.remove(data, 4, WRITES)
    before = machine.m[MACHINE["region_steps"]]
    assert machine.run(steps=1000).reason is StopReason.STEPS
    assert machine.m[MACHINE["region_steps"]] - before > 900
    machine.close()
