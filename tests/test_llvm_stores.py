"""The llvm engine: what a store into the memory around and in a region does to it.

Everything compiles inline after the first sample, so that the same happens in every run.
"""

from __future__ import annotations

import pytest

from otoriscv.board.machine import Machine
from otoriscv.board.stops import StopReason
from otoriscv.core.encode import assemble
from otoriscv.core.layout import MACHINE, REGION_FILTER
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm.engine import LlvmEngine

pytestmark = [
    pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here"),
    pytest.mark.usefixtures("compiled_inline"),
]

RAM = 0x8000_0000
BOTH = pytest.mark.parametrize("xlen", [32, 64])

#: A loop and what it calls, between them a word that each round changes: all in one line.
AROUND = """
loop:
    lw   t0, 0(a2)
    addi t0, t0, 1
    sw   t0, 0(a2)
    jal  ra, called
    bne  a0, x0, loop
done:
    j    done
word:
    .word 0
called:
    addi a0, a0, -1
    jalr x0, 0(ra)
"""


@BOTH
def test_data_between_the_parts_of_a_region_leaves_it_alone(xlen: int) -> None:
    machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
    program = assemble(AROUND, xlen, RAM)
    machine.memory.write(RAM, program.code)
    hart, word = machine.harts[0], program.symbols["word"]
    hart.pc, hart.x[10], hart.x[12] = RAM, 50_000, word
    machine.breakpoints.add(program.symbols["done"])
    assert machine.run().reason is StopReason.BREAKPOINT
    assert int.from_bytes(machine.memory.read(word, 4), "little") == 50_000
    engine = machine.engine
    assert isinstance(engine, LlvmEngine)
    around = [r for r in engine.regions() if min(r.covered) < word < max(r.covered)]
    assert around and not engine.statistics["dropped"]
    # a write to what is behind the word does drop it, and nothing stays in the filter
    first = MACHINE["region_filter"]
    assert any(machine.m[first : first + REGION_FILTER])
    machine.memory.write(program.symbols["called"], machine.memory.read(word + 4, 4))
    assert engine.statistics["dropped"] >= len(around)
    machine.close()
    assert not any(machine.m[first : first + REGION_FILTER])


@BOTH
def test_of_two_regions_with_one_function_either_may_go(xlen: int) -> None:
    """A store into the function still takes effect in the other one."""
    source = """
    one:   jal ra, leaf
           j one
    two:   jal ra, leaf
           j two
    patch: sw t1, 0(t0)
           j one
           .align 6
    leaf:  addi a0, a0, 1
           addi a1, a1, 1
           ret
    """
    machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
    program = assemble(source, xlen, RAM)
    machine.memory.write(RAM, program.code)
    engine, hart, at = machine.engine, machine.harts[0], program.symbols
    assert isinstance(engine, LlvmEngine)
    for loop in ("one", "two"):
        hart.pc = at[loop]
        machine.run(steps=20)
        engine.compile_now(hart, at[loop], 64)
    assert engine.compiled_at(at["leaf"], at["leaf"], translated=False) == 2
    machine.memory.write(at["two"], machine.memory.read(at["two"], 4))
    assert engine.compiled_at(at["leaf"], at["leaf"], translated=False) == 1
    hart.pc = at["patch"]
    hart.x[5] = RAM + 0x8000
    before = machine.m[MACHINE["region_steps"]]
    machine.run(steps=1000)
    assert machine.m[MACHINE["region_steps"]] - before > 500
    hart.pc, hart.x[5] = at["patch"], at["leaf"] + 4
    hart.x[6] = int.from_bytes(assemble("addi a1, a1, 2", xlen, 0).code, "little")
    hart.x[10] = hart.x[11] = 0
    machine.run(steps=2 + 5 * 200)
    assert (hart.x[10], hart.x[11]) == (200, 400)
    machine.close()


@BOTH
@pytest.mark.parametrize("at", [0, 0x2_0000 - 0x54], ids=["first", "around the filter's end"])
def test_stores_into_each_part_of_a_region_take_effect(xlen: int, at: int) -> None:
    """The loop is in four lines; it adds what each of its instructions adds."""
    count = 40
    loop = "addi a0, a0, 1\n" * count
    source = f"sw t1, 0(t0)\n loop: {loop} addi a1, a1, -1\n bnez a1, loop\n done: j done"
    machine = Machine(f"rv{xlen}ima_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
    program = assemble(source, xlen, RAM + at)
    machine.memory.write(RAM + at, program.code)
    engine, hart, m = machine.engine, machine.harts[0], machine.m
    assert isinstance(engine, LlvmEngine)
    first = program.symbols["loop"]
    three = int.from_bytes(assemble("addi a0, a0, 3", xlen, 0).code, "little")
    hart.pc, hart.x[5], hart.x[11] = RAM + at, RAM + 0x8_0000, 1
    machine.run(steps=count + 10)  # executed once
    wanted = count
    for k in (0, 1, 9, 14, 15, 16, 17, 28, 31, 32, 39):
        engine.compile_now(hart, first, 64)
        hart.pc, hart.x[10], hart.x[11] = first, 0, 10
        before = m[MACHINE["region_steps"]]
        machine.run(steps=10 * (count + 2))
        assert hart.x[10] == 10 * wanted and m[MACHINE["region_steps"]] - before > 2 * count
        hart.pc, hart.x[5], hart.x[6] = RAM + at, first + 4 * k, three
        hart.x[10], hart.x[11] = 0, 10
        machine.run(steps=1 + 10 * (count + 2))
        wanted += 2
        assert hart.x[10] == 10 * wanted, k
    machine.close()
