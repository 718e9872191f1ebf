"""The backend contract (docs/jit-backend.md): three backends, the same programs, the same ends."""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otoriscv.core.encode import assemble_insn
from otoriscv.core.layout import HART
from otoriscv.jit import protocol
from otoriscv.jit.engine import Engine, EngineUnavailable
from otoriscv.jit.llvm.backend import LlvmBackend
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.protocol import BlockExit, CompiledBlock, JitBackend, JitError
from otoriscv.jit.python.backend import PythonBackend
from otoriscv.jit.settings import JitSettings
from tests.block_engine import BlockEngine
from tests.engine_box import RAM, STEP, EngineBox, Exit, difference
from tests.evaluate_backend import EvaluateBackend
from tests.random_programs import END, START, random_program

PAGE_OF_DOCS = Path(__file__).parents[1] / "docs" / "jit-backend.md"
BOTH = pytest.mark.parametrize("xlen", [32, 64])
BACKENDS = ("evaluate", "python", "llvm")
EACH = pytest.mark.parametrize("name", BACKENDS)


class BackendBox(EngineBox):
    """A box run by blocks of the backend *name*."""

    def __init__(self, name: str, xlen: int, *, limit: int = 64, clint: str = "") -> None:
        self.limit = limit
        super().__init__(name, xlen, clint=clint)

    def _create(self, engine: str) -> Engine:
        self.backend = self._backend(engine)
        return BlockEngine(self, self.stepper, self.backend, self.limit)

    def _backend(self, name: str) -> JitBackend:
        if name == "evaluate":
            return EvaluateBackend(self)
        if name == "python":
            return PythonBackend(self, self.stepper, self.hart)
        native = LlvmEngine(self, self.stepper, JitSettings(workers=0, cache=False))
        return LlvmBackend(self, native, self.hart)

    @property
    def blocks(self) -> BlockEngine:
        assert isinstance(self.main_engine, BlockEngine)
        return self.main_engine


@pytest.fixture
def make() -> Iterator[Callable[..., BackendBox]]:
    made: list[BackendBox] = []

    def box(*args: object, **more: object) -> BackendBox:
        try:
            made.append(BackendBox(*args, **more))  # type: ignore[arg-type]  # its own arguments
        except EngineUnavailable as e:
            pytest.skip(str(e))
        return made[-1]

    yield box
    for each in made:
        each.close()


@EACH
@BOTH
def test_random_programs(name: str, xlen: int, make: Callable[..., BackendBox]) -> None:
    """In pieces of any length, with traps, loops, calls: as one instruction at a time."""
    rng = random.Random(xlen)
    box, reference = make(name, xlen), EngineBox(STEP, xlen)
    programs, genes = (3, 10) if name == "llvm" else (8, 30)
    for _ in range(programs):
        program = random_program(xlen, [rng.getrandbits(40) for _ in range(genes)])
        for each in (box, reference):
            each.reset()
            for address, data in program.parts:
                each.load(data, address)
            each.hart.pc = START
            each.breakpoints.add(END)
        code = Exit.SLICE
        while code == Exit.SLICE:
            steps = rng.choice((1, 7, 100, 5000))
            code = box.run(steps)
            assert reference.run(steps) == code
            assert not difference(box, reference, memory=False)
        assert code == Exit.BREAKPOINT and box.hart.pc == END
        assert not difference(box, reference)
    assert box.blocks.executed > 20
    reference.close()


@EACH
@BOTH
def test_what_a_block_says_of_itself(name: str, xlen: int, make: Callable[..., BackendBox]) -> None:
    box = make(name, xlen)
    backend = box.backend
    assert isinstance(backend, JitBackend) and backend.name == name
    box.load("start: addi a0, a0, 1\n add a1, a1, a0\n xor a2, a2, a1\n j start")
    mode = box.q[HART["mode"]]
    block = backend.compile(RAM, mode, 64)
    assert (block.entry, block.mode, block.valid) == (RAM, mode, True)
    covered = sorted({at for s, e in block.spans for at in range(s, e)})
    assert covered == list(range(RAM, RAM + len(covered))) and len(covered) >= 12
    assert 3 <= block.longest <= 64
    backend.clear()
    short = backend.compile(RAM, mode, 2)
    assert sum(e - s for s, e in short.spans) <= 8


@EACH
def test_executing_one(name: str, make: Callable[..., BackendBox]) -> None:
    """A loop runs through as often as it likes, never beyond the budget, and counts exactly."""
    box = make(name, 64)
    box.load("start: addi a0, a0, 1\n add a1, a1, a0\n j start")
    block = box.backend.compile(RAM, box.q[HART["mode"]], 64)
    box.m[_machine("slice_end")] = 1000
    assert box.stepper.routine("poll")(box.q) == 0
    given = box.q[HART["budget"]]
    assert given == 1000
    while box.q[HART["budget"]] >= block.longest and box.hart.pc == RAM:
        left = block.execute(box.hart)
        assert left in (BlockExit.CONTINUE, BlockExit.FALLBACK, BlockExit.STOP)
        if left != BlockExit.CONTINUE:
            break
    done = given - box.q[HART["budget"]]
    assert 3 <= done <= given
    rounds, rest = divmod(done, 3)
    assert box.hart.x[10] == rounds + (rest > 0)
    assert box.hart.pc == RAM + 4 * rest


def _machine(name: str) -> int:
    from otoriscv.core.layout import MACHINE

    return MACHINE[name]


@EACH
def test_what_cannot_be_compiled(name: str, make: Callable[..., BackendBox]) -> None:
    box = make(name, 64)
    box.load("start: addi a0, a0, 1\n addi a0, a0, 2\n addi a0, a0, 3\n j start")
    mode = box.q[HART["mode"]]
    for nowhere in (0x1000, RAM + box.size, 0):
        with pytest.raises(JitError) as said:
            box.backend.compile(nowhere, mode, 64)
        assert str(said.value) and "\n" not in str(said.value)
    box.breakpoints.add(RAM)
    with pytest.raises(JitError):
        box.backend.compile(RAM, mode, 64)
    box.breakpoints.remove(RAM)
    box.breakpoints.add(RAM + 8)
    block = box.backend.compile(RAM, mode, 64)
    assert max(e for _, e in block.spans) <= RAM + 8
    if not box.backend.capabilities.translated:
        with pytest.raises(JitError, match="translated"):
            box.backend.compile(RAM, mode & ~8, 64)


@EACH
def test_invalidation(name: str, make: Callable[..., BackendBox]) -> None:
    """Only what overlaps is dropped, and said so."""
    box = make(name, 64)
    text = "1: addi a0, a0, 1\n add a1, a1, a0\n j 1b"
    mode = box.q[HART["mode"]]

    def blocks() -> list[CompiledBlock]:
        for at in (RAM, RAM + 0x40, RAM + 0x2000):
            box.load(text, at)
        return [box.backend.compile(at, mode, 64) for at in (RAM, RAM + 0x40, RAM + 0x2000)]

    first, second, third = blocks()
    assert box.backend.invalidate(RAM + 12, 0x40 - 12) == 0  # between two
    assert box.backend.invalidate(RAM + 11, 1) == 1
    assert (first.valid, second.valid, third.valid) == (False, True, True)
    assert box.backend.invalidate_page(RAM + 0xFFF) == 1
    assert (second.valid, third.valid) == (False, True)
    box.backend.clear()
    assert not third.valid
    first, second, third = blocks()
    box.memory.write(RAM + 0x42, b"\x05")  # the door of every Python writer
    assert (first.valid, second.valid, third.valid) == (True, False, True)


@EACH
@BOTH
def test_code_that_the_guest_rewrites(
    name: str, xlen: int, make: Callable[..., BackendBox]
) -> None:
    """The loop's own addi alternates between two words; a store right before it counts."""
    words = assemble_insn("addi a0, a0, 1"), assemble_insn("addi a0, a0, 64")
    text = f"""
        li s0, 50
        li t1, {words[0]:#x}
        li t2, {words[0] ^ words[1]:#x}
    again:
        la t0, target
        xor t1, t1, t2
        sw t1, 0(t0)
    target:
        addi a0, a0, 1
        addi s0, s0, -1
        bnez s0, again
    end: j end
    """
    box = make(name, xlen)
    program = box.load(text)
    box.breakpoints.add(program.symbols["end"])
    assert box.run(10_000) == Exit.BREAKPOINT
    assert box.hart.x[10] == 25 * 65


@EACH
def test_breakpoints_while_it_runs(name: str, make: Callable[..., BackendBox]) -> None:
    box = make(name, 64)
    box.load("start: addi a0, a0, 1\n add a1, a1, a0\n j start")
    assert box.run(3000) == Exit.SLICE
    box.breakpoints.add(RAM + 4)
    for n in range(3):
        assert (box.run if n == 0 else box.resume)(3000) == Exit.BREAKPOINT
        assert (box.hart.pc, box.hart.x[10]) == (RAM + 4, 1001 + n)
    box.breakpoints.remove(RAM + 4)
    assert box.run(3000) == Exit.SLICE
    assert box.hart.x[10] == 1003 + 1000


def test_the_page_names_what_there_is() -> None:
    """Every part of the protocol, every exit and every capability is on the page."""
    page = PAGE_OF_DOCS.read_text()
    for name in protocol.__all__:
        assert f"`{name}" in page, name
    for exit_ in BlockExit:
        assert f"| `{exit_.name}` |" in page
    for name in protocol.Capabilities._fields:
        assert re.search(rf"`(capabilities\.)?{name}`", page), name
    for name in ("compile(", "invalidate(", "invalidate_page", "clear", "execute("):
        assert f"`{name}" in page
