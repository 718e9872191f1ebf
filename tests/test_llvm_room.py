"""More regions than there is room for: those entered first make room, and come back when hot."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

from otoriscv.board.machine import Machine
from otoriscv.core.encode import assemble
from otoriscv.core.layout import MACHINE
from otoriscv.jit.engines import probe
from otoriscv.jit.interp import slots as slots_module
from otoriscv.jit.interp.slots import MAX_PROGRAMS
from otoriscv.jit.llvm import engine as engine_module
from otoriscv.jit.llvm import installed as installed_module
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.engine import LlvmEngine

pytestmark = [
    # llvmlite has no wheel, or our loader no relocations, for every host: nothing to test there.
    pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here"),
    pytest.mark.usefixtures("compiled_inline"),
]

RAM = 0x8000_0000
MANY = 40
#: Loops in pages of their own: one region each.
LOOPS = "".join(
    f".align 12\nloop{n}: addi a0, a0, {n}\n addi a1, a1, 1\n j loop{n}\n" for n in range(MANY)
)


def few_rows(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(installed_module, "MAX_REGIONS", 16)


def few_slots(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(slots_module, "MAX_REGION_ENTRIES", MAX_PROGRAMS + 16)


def small_arena(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(engine_module, "CodeArena", partial(CodeArena, 1 << 13))


@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("little", [few_rows, few_slots, small_arena])
def test_the_oldest_make_room(
    little: Callable[[pytest.MonkeyPatch], None], xlen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    little(monkeypatch)
    machine = Machine(f"rv{xlen}im_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
    program = assemble(LOOPS, xlen, RAM)
    machine.memory.write(RAM, program.code)
    hart, engine = machine.harts[0], machine.engine
    assert isinstance(engine, LlvmEngine) and engine._slots is not None
    slots = list(engine._slots._free)

    def run(n: int) -> int:
        """How many of 600,000 steps of a loop were in its region."""
        hart.pc, hart.x[10], hart.x[11] = program.symbols[f"loop{n}"], 0, 0
        machine.m[MACHINE["sample_every"]] = 64
        before = machine.m[MACHINE["region_steps"]]
        machine.run(steps=60_000)
        assert (hart.x[10], hart.x[11]) == (n * 20_000, 20_000)
        return int(machine.m[MACHINE["region_steps"]] - before)

    def entered(n: int) -> int:
        at = program.symbols[f"loop{n}"]
        return engine.compiled_at(at, at, translated=False)

    engine._grown[0] = 3
    for n in range(MANY):
        assert run(n) > 50_000
        assert entered(n) == 1
    assert sum(map(entered, range(MANY))) == len(engine.regions()) <= 32
    assert not any(map(entered, range(8))) and all(map(entered, range(MANY - 4, MANY)))
    dropped = engine.invalidations["no room"]
    assert dropped == engine.statistics["dropped"] == MANY - len(engine.regions())
    assert sum(size for _, size in engine._slots._free) >= MAX_PROGRAMS  # for conditions
    assert not engine._grown  # what comes back may grow as others do
    assert run(0) > 50_000 and run(MANY - 1) > 50_000
    assert entered(0) == entered(MANY - 1) == 1
    machine.memory.write(RAM, program.code)
    assert not engine.regions() and engine._arena.used == 0
    assert engine._slots._free == slots
    machine.close()


def test_what_is_too_large_for_all_room_stays_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engine_module, "CodeArena", partial(CodeArena, 64))
    machine = Machine("rv64im_zicsr", ram=[(RAM, 1 << 20)], engine="llvm")
    program = assemble(LOOPS, 64, RAM)
    machine.memory.write(RAM, program.code)
    hart, engine = machine.harts[0], machine.engine
    assert isinstance(engine, LlvmEngine)
    hart.pc = program.symbols["loop3"]
    machine.run(steps=60_000)
    assert hart.x[10] == 3 * 20_000
    assert not engine.regions() and engine.statistics["compiled"] + engine.statistics["cached"]
    machine.close()
