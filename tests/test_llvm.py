"""The llvm engine: regions are found, compiled, entered, dropped and right.

Everything compiles inline after the first sample, so that the same happens in every run.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from otoriscv.board.machine import Machine
from otoriscv.board.stops import StopReason
from otoriscv.core.decode import Decoder, Insn, Isa
from otoriscv.core.encode import assemble
from otoriscv.core.layout import LINE_CODE, MACHINE, MEM, SAMPLE_PC
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.compiler import FEW, compile_request
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.llvm.heat import Hot
from otoriscv.jit.llvm.request import Pointless, Request
from otoriscv.jit.regions import discover, text, to_dot

pytestmark = [
    pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here"),
    pytest.mark.usefixtures("compiled_inline"),
]

RAM = 0x8000_0000
BOTH = pytest.mark.parametrize("xlen", [32, 64])

#: Sums i*i over a0 rounds into a1, through a call, with a counter in memory at a2.
LOOP = """
start:
    li   a1, 0
    li   a2, 0x80001000
    li   s0, 0
loop:
    mv   t0, s0
    jal  ra, square
    add  a1, a1, t0
    lw   t1, 0(a2)
    addi t1, t1, 1
    sw   t1, 0(a2)
    addi s0, s0, 1
    bne  s0, a0, loop
done:
    j    done
square:
    mul  t0, t0, t0
    jalr x0, 0(ra)
"""


class Guest:
    """The loop on a machine."""

    def __init__(self, xlen: int, rounds: int = 100_000) -> None:
        self.machine = Machine(f"rv{xlen}imac_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
        self.program = assemble(LOOP, xlen, RAM)
        self.machine.memory.write(RAM, self.program.code)
        self.hart = self.machine.harts[0]
        self.mask = (1 << xlen) - 1
        self.start(rounds)

    def start(self, rounds: int) -> None:
        self.hart.pc = RAM
        self.hart.x[10] = rounds
        self.machine.memory.write(RAM + 0x1000, bytes(4))

    def at(self, label: str) -> int:
        return self.program.symbols[label]

    @property
    def engine(self) -> LlvmEngine:
        engine = self.machine.engine
        assert isinstance(engine, LlvmEngine)
        return engine

    @property
    def compiled_steps(self) -> int:
        steps: int = self.machine.m[MACHINE["region_steps"]]
        return steps

    def finish(self, rounds: int) -> None:
        """Run to the end and check the result."""
        self.machine.breakpoints.add(self.at("done"))
        assert self.machine.run().reason == StopReason.BREAKPOINT
        self.machine.breakpoints.remove(self.at("done"))
        assert self.hart.pc == self.at("done")
        assert self.hart.x[11] == sum(i * i for i in range(rounds)) & self.mask
        count = int.from_bytes(self.machine.memory.read(RAM + 0x1000, 4), "little")
        assert count == rounds


@pytest.fixture
def guest(request: pytest.FixtureRequest) -> Iterator[Guest]:
    made = Guest(request.param)
    yield made
    made.machine.close()


EACH = pytest.mark.parametrize("guest", [32, 64], indirect=True)


@EACH
def test_hot_code_runs_in_regions(guest: Guest) -> None:
    guest.machine.breakpoints.add(guest.at("done"))  # what contains it is compiled with it
    guest.start(1_000_000)
    guest.machine.run(steps=4_000_000)
    guest.start(1_000_000)
    before, retired = guest.compiled_steps, guest.machine.retired
    guest.finish(1_000_000)
    share = (guest.compiled_steps - before) / (guest.machine.retired - retired)
    assert guest.engine.statistics["regions"] > 0
    assert share > 0.99


@BOTH
def test_each_hart_is_sampled(xlen: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one hart does in regions does not hide what another does outside of them."""
    monkeypatch.delenv("OTORISCV_JIT_THRESHOLD")
    machine = Machine(f"rv{xlen}imac_zicsr", ram=[(RAM, 1 << 20)], engine="llvm", harts=2)
    machine.memory.write(RAM, assemble(LOOP, xlen, RAM).code)
    spin = RAM + 0x8000
    machine.memory.write(spin, assemble("1: addi a0, a0, 1\n j 1b", xlen, spin).code)
    for hart in machine.harts:
        hart.pc = spin
    machine.run(steps=20_000_000)
    hart = machine.harts[0]
    hart.pc, hart.x[10] = RAM, 100_000_000
    machine.run(steps=60_000_000)
    steps = MACHINE["region_steps"]
    before = machine.m[steps]
    machine.run(steps=1_000_000)
    assert machine.m[steps] - before > 900_000
    machine.close()


@EACH
def test_exact_counts_inside_regions(guest: Guest) -> None:
    guest.machine.run(steps=20_000)
    for n in (1, 7, 333, 4096, 50_001):
        before = guest.machine.retired
        guest.machine.run(steps=n)
        assert guest.machine.retired == before + n
    guest.finish(100_000)


@EACH
def test_a_breakpoint_in_a_hot_region(guest: Guest) -> None:
    guest.machine.run(steps=50_000)
    assert guest.engine.statistics["regions"] > 0
    guest.machine.breakpoints.add(guest.at("square"))
    for _ in range(5):
        was = guest.hart.x[8]
        assert guest.machine.run().reason == StopReason.BREAKPOINT
        assert guest.hart.pc == guest.at("square")
        assert guest.hart.x[5] == guest.hart.x[8] <= was + 1
    guest.machine.breakpoints.remove(guest.at("square"))
    guest.finish(100_000)


@EACH
def test_breakpoints_that_are_gone_leave_nothing_behind(guest: Guest) -> None:
    guest.machine.run(steps=1000)
    places = [RAM + 0x8000 + 4 * n for n in range(50)]
    for change in (guest.machine.breakpoints.add, guest.machine.breakpoints.remove):
        for place in places:
            change(place)
        guest.machine.run(steps=100)
        left = len(places) if change == guest.machine.breakpoints.add else 0
        assert len(guest.engine._near) == len(guest.engine._applied) == left


@EACH
def test_a_never_hit_breakpoint_leaves_the_loop_compiled(guest: Guest) -> None:
    guest.machine.run(steps=50_000)
    guest.machine.breakpoints.add(guest.at("start"))
    guest.start(1_000_000)
    guest.hart.pc += 4
    guest.machine.run(steps=4_000_000)
    before, retired = guest.compiled_steps, guest.machine.retired
    guest.machine.run(steps=4_000_000)
    assert guest.compiled_steps - before > 0.98 * (guest.machine.retired - retired)


@EACH
def test_a_watchpoint_on_what_a_region_writes(guest: Guest) -> None:
    guest.machine.run(steps=50_000)
    guest.machine.watchpoints.add(RAM + 0x1000, 4, 2)
    for _ in range(3):
        stop = guest.machine.run()
        assert stop.reason == StopReason.WATCH
        assert stop.address == RAM + 0x1000
        # before the store: memory is one behind the register that is stored
        old = int.from_bytes(guest.machine.memory.read(RAM + 0x1000, 4), "little")
        assert guest.hart.x[6] == old + 1
    guest.machine.watchpoints.remove(RAM + 0x1000, 4, 2)
    guest.finish(100_000)


@EACH
@pytest.mark.parametrize(
    "watched",
    [(0x1040,), (0xFC0, 0x1040), (0x8000,), (0x800, 0x8000)],
    ids=["in its page", "on both sides", "elsewhere", "far on both sides"],
)
def test_unrelated_watchpoints_keep_the_loop_compiled(
    guest: Guest, watched: tuple[int, ...]
) -> None:
    guest.start(1_000_000)
    for distance in watched:
        guest.machine.watchpoints.add(RAM + distance, 4, 3)
    guest.machine.run(steps=4_000_000)
    before, retired = guest.compiled_steps, guest.machine.retired
    guest.machine.run(steps=4_000_000)
    assert guest.compiled_steps - before > 0.98 * (guest.machine.retired - retired)
    guest.machine.watchpoints.clear()
    guest.finish(1_000_000)


@EACH
def test_writing_into_a_region_takes_effect(guest: Guest) -> None:
    guest.machine.run(steps=50_000)
    assert guest.engine.statistics["regions"] > 0
    xlen = guest.hart.xlen
    guest.machine.memory.write(guest.at("square"), assemble("add t0, t0, t0", xlen, 0).code)
    dropped = guest.engine.statistics["dropped"]
    guest.start(50_000)
    guest.machine.breakpoints.add(guest.at("done"))
    guest.machine.run()
    assert guest.hart.x[11] == sum(2 * i for i in range(50_000)) & guest.mask
    assert dropped > 0


@BOTH
def test_a_guest_that_rewrites_its_hot_loop(xlen: int) -> None:
    """Each round of the outer loop exchanges the inner loop's addi for another."""
    source = """
        li   s0, 200
        la   s1, patch
        la   s2, words
    outer:
        andi t0, s0, 1
        slli t0, t0, 2
        add  t0, t0, s2
        lw   t1, 0(t0)
        sw   t1, 0(s1)
        fence.i
        li   t2, 1000
    inner:
    patch:
        addi a0, a0, 1
        addi t2, t2, -1
        bne  t2, x0, inner
        addi s0, s0, -1
        bne  s0, x0, outer
    done:
        j done
    words:
        .word 0x00150513
        .word 0x00350513
    """
    ends = []
    for engine in ("interp", "llvm"):
        machine = Machine(f"rv{xlen}ima_zicsr_zifencei", ram=[(RAM, 1 << 20)], engine=engine)
        program = assemble(source, xlen, RAM)
        machine.memory.write(RAM, program.code)
        machine.harts[0].pc = RAM
        machine.breakpoints.add(program.symbols["done"])
        assert machine.run().reason == StopReason.BREAKPOINT
        ends.append((machine.harts[0].x[10], machine.retired))
        machine.close()
    assert ends[0] == ends[1]
    assert ends[0][0] == 100 * 1000 * (1 + 3)


def test_the_second_run_finds_its_regions_on_disk() -> None:
    for n in range(2):
        guest = Guest(64)
        guest.finish(100_000)
        assert guest.engine.statistics["cached" if n else "compiled"] > 0
        guest.machine.close()


def test_a_damaged_cache_is_rebuilt(tmp_path: Path) -> None:
    guest = Guest(32)
    guest.finish(100_000)
    compiled = guest.engine.statistics["compiled"]
    guest.machine.close()
    files = list((tmp_path / "cache").glob("region-*"))
    assert files
    for file in files:
        data = bytearray(file.read_bytes())
        data[-20] ^= 0xFF
        file.write_bytes(data)
    guest = Guest(32)
    guest.finish(100_000)
    assert guest.engine.statistics["compiled"] == compiled > 0
    guest.machine.close()


def test_workers_and_a_worker_that_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTORISCV_JIT_WORKERS", "1")
    guest = Guest(64, 100_000_000)
    guest.machine.run(steps=10_000_000)
    workers = guest.engine._workers
    assert workers is not None
    for worker in workers._workers:
        worker.process.kill()
    for _ in range(400):
        guest.machine.run(steps=1_000_000)
        if guest.engine.statistics["regions"]:
            break
    guest.start(100_000)
    guest.finish(100_000)
    guest.machine.close()


def test_discovery_stays_inside_what_can_be_decoded() -> None:
    program = assemble(LOOP, 32, RAM)
    decoder = Decoder(Isa.parse("rv32im"))

    def decode(pc: int) -> Insn | None:
        at = pc - RAM
        if not 0 <= at < len(program.code):
            return None
        return decoder.decode(int.from_bytes(program.code[at : at + 4], "little"), pc)

    region = discover(program.symbols["loop"], 32, decode)
    assert program.symbols["square"] in region.blocks  # the call is followed
    assert program.symbols["loop"] in region.heads
    assert len(region.return_sites) == 1
    low, high = region.spans()[0][0], region.spans()[-1][1]
    assert program.symbols["loop"] == low and high == RAM + len(program.code)
    assert "entry head" in text(region)
    assert to_dot(region).startswith("digraph")
    assert discover(program.symbols["loop"], 32, decode, limit=3).instructions <= 3


def test_the_code_arena_reuses_what_is_freed() -> None:
    arena = CodeArena(1 << 16)
    first = arena.put(b"x" * 100)
    for _ in range(2000):
        address = arena.put(b"y" * 5000)
        assert address is not None
        arena.free(address)
    assert arena.put(b"z" * (1 << 16)) is None
    assert first is not None
    arena.free(first)
    assert arena.used == 0
    assert arena.put(b"z" * (1 << 16)) is not None
    arena.close()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_memory_is_flat_over_20000_compile_and_invalidate_cycles() -> None:
    """Each cycle installs a region that was compiled and drops it again by a write; every hundredth
    is compiled by LLVM anew."""
    guest = Guest(64)
    engine = guest.engine
    guest.machine.run(steps=50_000)
    loop = guest.at("loop")
    code = guest.machine.memory.read(loop, 4)

    def resident() -> int:
        return int(Path("/proc/self/statm").read_text().split()[1]) * 4096

    base, used = 0, 0
    for n in range(20_000):
        if n % 100 == 0:
            engine._store.clear()  # compile, not load
        guest.machine.memory.write(loop, code)
        assert not [r for r in engine.regions() if loop in r.covered]
        place = guest.machine.memory.find(loop)
        assert place is not None
        engine._request(guest.hart, Hot(loop, place, SAMPLE_PC))
        assert [r for r in engine.regions() if loop in r.covered]
        if n == 2000:
            base, used = resident(), engine._arena.used
    assert engine._arena.used == used
    assert resident() - base < 8 << 20
    assert engine.statistics["compiled"] >= 200
    guest.start(100_000)
    guest.finish(100_000)
    guest.machine.close()


#: Three loops: `before` and `around` lead to `known`, which leads nowhere.
NEIGHBOURS = """
known:
    addi a0, a0, 1
    addi a1, a1, 1
    j    known
before:
    addi a2, a2, 1
    addi a3, a3, 1
    bne  a2, x0, before
    j    known
patch:
    sw   t1, 4(t0)
    j    known
"""


@BOTH
@pytest.mark.parametrize("translated", [False, True])
def test_what_other_regions_are_entered_at_stays_theirs(xlen: int, translated: bool) -> None:
    """Until a region proves hot, and takes it in."""
    machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
    program = assemble(NEIGHBOURS, xlen, RAM)
    machine.memory.write(RAM, program.code)
    engine, hart, at = machine.engine, machine.harts[0], program.symbols
    assert isinstance(engine, LlvmEngine)

    def covering(pc: int) -> int:
        return engine.compiled_at(pc, pc, translated=translated)

    if translated:  # in S-mode, at the same addresses
        hart.write_csr("pmpaddr0", -1 & (1 << xlen) - 1)
        hart.write_csr("pmpcfg0", 0x1F)
        table, leaf = RAM + 0x1_0000, (RAM >> 12 << 10 | 0xCF).to_bytes(xlen // 8, "little")
        machine.memory.write(table + (RAM >> (22 if xlen == 32 else 30)) * (xlen // 8), leaf)
        hart.write_csr("satp", (1 << 31 if xlen == 32 else 8 << 60) | table >> 12)
        hart.priv = 1
    hart.pc = at["known"]
    machine.run(steps=2000)
    [known] = engine.regions()
    place = machine.memory.find(at["known"])
    assert place is not None
    delta, regions = place - at["known"], engine._regions
    assert [
        regions.entered_at(pc + delta, translated=False) is known for pc, _, _ in known.entries
    ] == [True] * len(known.entries)
    # what was made for translated code runs in any mode
    assert (regions.entered_at(place, translated=True) is known) == translated
    assert regions.entered_in(place, place + 2, translated=False) == [place]
    assert regions.entered_in(place, place + 2, translated=True) == [place] * translated
    assert not regions.entered_in(place - 64, place, translated=False)
    hart.pc = at["before"]
    hart.x[12] = 1
    for _ in range(1000):
        machine.run(steps=100)
        if covering(at["before"]):
            break
    assert (covering(at["before"]), covering(at["known"])) == (1, 1)
    for _ in range(1000):
        machine.run(steps=1000)
        if covering(at["known"]) == 2:
            break
    large = max(engine.regions(), key=lambda region: region.instructions)
    assert {at["before"], at["known"]} <= set(large.covered)
    assert engine.slots_of(large) is not None  # it took the entries of the one before
    # the larger one goes, and a store into what is left still takes effect
    machine.memory.write(at["before"], machine.memory.read(at["before"], 4))
    assert (covering(at["before"]), covering(at["known"])) == (0, 1)
    hart.x[5] = at["known"]
    hart.x[6] = int.from_bytes(assemble("addi a1, a1, 2", xlen, 0).code, "little")
    hart.x[10] = hart.x[11] = 0
    hart.pc = at["patch"]
    machine.run(steps=2 + 3 * 1000)
    assert (hart.x[10], hart.x[11]) == (1000, 2000)
    machine.memory.write(RAM, machine.memory.read(RAM, len(program.code)))
    assert not regions._owners
    machine.close()


def test_a_few_instructions_before_another_region_are_not_worth_one() -> None:
    """Unless they are of a loop or, with what is behind them, not few any more."""

    def compiled_with(text: str, *elsewhere: str, limit: int = 100) -> bool:
        """Whether the region has what is at `other`."""
        tail = "j other\n other: addi a1, a1, 1\n more: addi a1, a1, 1\n j other"
        program = assemble(f"{text}\n {tail}", 64, RAM)
        places = tuple(program.symbols[label] for label in elsewhere)
        request = Request(
            RAM, "rv64ima", RAM, program.code, (), (), (RAM, 1 << 20, MEM), False, limit=limit,
            elsewhere=places,
        )  # fmt: skip
        region = compile_request(request)
        assert region.pc == RAM and region.instructions <= limit
        return program.symbols["other"] in region.covered

    some = "addi a0, a0, 1\n" * (FEW - 3)  # and the jump
    with pytest.raises(Pointless, match="is in other regions"):
        compiled_with(some, "other", "more")
    assert compiled_with(some, "other")
    assert compiled_with(some) and not compiled_with(some, limit=FEW - 4)
    assert not compiled_with(some + "addi a0, a0, 1\n" * 2, "other")
    assert not compiled_with("loop: addi a0, a0, 1\n bnez a0, loop", "other")
    assert not compiled_with("addi a0, a0, 1\n addi a0, a0, 1\n ecall\n unused: nop", "unused")


def test_a_region_may_grow_once_what_it_left_out_was_executed() -> None:
    source = """
    start: addi a0, a0, 1
           beqz a0, far
           j start
           .align 6
    far:   addi a1, a1, 1
           j start
    """
    program = assemble(source, 64, RAM)
    far = program.symbols["far"]
    none, window = (), (RAM, 1 << 20, MEM)
    request = Request(
        RAM, "rv64ima", RAM, program.code, none, none, window, False, lines=bytes([LINE_CODE, 0])
    )
    executed = request._replace(lines=bytes([LINE_CODE] * 2))
    assert [request.saw(pc) for pc in (RAM - 2, RAM, far - 2, far, far + 64)] == [
        False, True, True, False, False,
    ]  # fmt: skip
    region = compile_request(request)
    assert far not in region.covered and region.unseen == (far,)
    assert region.may_grow and not region.grows(request) and region.grows(executed)
    whole = compile_request(executed)
    assert far in whole.covered and not whole.may_grow and not whole.grows(executed)


def test_what_is_compiled_inline_does_not_depend_on_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """They are as long as the host is fast."""
    monkeypatch.setenv("OTORISCV_CACHE", "0")
    monkeypatch.delenv("OTORISCV_JIT_THRESHOLD", raising=False)
    program = assemble(NEIGHBOURS.replace("bne  a2, x0, before", "j before"), 64, RAM)
    seen = []
    for most in (3_000_000, 77_777, 5_001):
        machine = Machine("rv64ima_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
        machine.memory.write(RAM, program.code)
        machine.harts[0].pc = program.symbols["known"]
        in_regions = []
        for point in (1_000_000, 3_000_000):
            while machine.retired < point:
                machine.run(steps=min(most, point - machine.retired))
            in_regions.append(machine.m[MACHINE["region_steps"]])
            machine.harts[0].pc = program.symbols["before"]
        seen.append(in_regions)
        machine.close()
    # a slice's last steps may be too few for a region
    assert seen[0][0] > 500_000 and seen == [pytest.approx(seen[0], rel=1e-3)] * 3


def test_loops_under_translation_keep_what_they_remember_to_themselves() -> None:
    """With a variable of each loop alive in all others, the code grew with the square of them."""

    def size(count: int) -> int:
        loops = "".join(
            f"l{k}: lw a0, 0(s{k % 4 + 2})\n sw a0, 4(s{k % 4 + 2})\n sb a1, 8(s{k % 4 + 3})\n"
            f"addi a1, a1, -1\n bnez a1, l{k}\n li a1, 9\n" + "add a2, a2, a1\n" * 12
            for k in range(count)
        )
        program = assemble(f"top: {loops} j top", 64, RAM)
        request = Request(
            pc=RAM, isa="rv64imac_zicsr", start=RAM, code=program.code, breakpoints=(),
            conditions=(), window=None, watching=0,
        )  # fmt: skip
        region = compile_request(request)
        assert region.translated and region.instructions == 18 * count + 1
        return len(region.code)

    assert size(16) < 16 * size(1)
