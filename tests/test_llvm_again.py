"""Runs from a reset or a snapshot, again and again, as tests and fuzzers have them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

pytest.importorskip("llvmlite")  # as in the tests of all that compiles: not every host has it

from otoriscv.board.snapshot import restore, save
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.encode import assemble
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import MACHINE
from otoriscv.jit.llvm import engine as engine_module
from otoriscv.jit.llvm.engine import RUN_SAMPLES, SAMPLE_LAST, LlvmEngine
from otoriscv.jit.settings import JitSettings
from tests.inline_workers import Inline

RAM = 0x8000_0000
LOOP = "loop: addi a0, a0, 1; j loop"
EVERY, INSIDE = MACHINE["sample_every"], MACHINE["region_steps"]


def looping(workers: int) -> VirtMachine:
    machine = VirtMachine(
        VirtConfig(
            isa=Isa.parse("rv64i"),
            engine="llvm",
            jit=JitSettings(cache=False, workers=workers),
        )
    )
    load(machine)
    return machine


def load(machine: VirtMachine) -> None:
    code = assemble(LOOP, 64, RAM).code
    if machine.memory.read(RAM, len(code)) != code:
        machine.memory.write(RAM, code)
    machine.harts[0].pc = RAM


def from_a_snapshot(machine: VirtMachine) -> Callable[[], None]:
    machine.run(steps=SAMPLE_LAST)
    saved = save(machine)
    return lambda: restore(machine, saved)


def from_a_reset(machine: VirtMachine) -> Callable[[], None]:
    def again() -> None:
        machine.reset()
        load(machine)

    return again


@pytest.mark.parametrize(
    ("start", "workers", "share"),
    # A reset drops all regions.
    [(from_a_snapshot, 0, 0.98), (from_a_snapshot, 1, 0.98), (from_a_reset, 0, 0.3)],
)
def test_short_runs_get_hot(
    start: Callable[[VirtMachine], Callable[[], None]],
    workers: int,
    share: float,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """None of them is as long as samples are apart, or worth a worker's time."""
    monkeypatch.setattr(engine_module, "Workers", Inline)
    machine = looping(workers)
    m, hart, engine = machine.m, machine.harts[0], machine.engine
    assert isinstance(engine, LlvmEngine)
    if isinstance(engine._workers, Inline):
        engine._workers.open = True
    again = start(machine)
    m[EVERY] = SAMPLE_LAST
    best = 0.0
    machine.memory.write(RAM, machine.memory.read(RAM, 8))  # no region is left
    for _ in range(100):
        again()
        before, rounds = m[INSIDE], hart.x[10]
        machine.run(steps=100_000)
        assert hart.x[10] == rounds + 50_000
        best = max(best, (m[INSIDE] - before) / 100_000)
    assert m[EVERY] <= 4 * 100_000 // RUN_SAMPLES
    assert best > share
    machine.close()


def test_after_long_runs_samples_stay_rare() -> None:
    machine = looping(0)
    saved = save(machine)
    machine.run(steps=SAMPLE_LAST * RUN_SAMPLES)
    machine.m[EVERY] = SAMPLE_LAST
    restore(machine, saved)
    machine.run(steps=1000)
    assert machine.m[EVERY] == SAMPLE_LAST
    machine.close()
