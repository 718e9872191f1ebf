"""The same random programs retire the same state in every engine and in QEMU."""

from __future__ import annotations

import functools
import socket
import subprocess
import time
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st

from otoriscv.gdbstub.client import PC, ClientError, RspClient
from otoriscv.tools import find_qemu
from tests.engine_box import ENGINES, HOT, STEP, EngineBox, Exit, difference
from tests.random_programs import (
    BASE,
    END,
    SCRATCH,
    SCRATCH_SIZE,
    START,
    RandomProgram,
    random_program,
)

GENES = st.lists(st.integers(0, (1 << 32) - 1), min_size=40, max_size=160)
SEEDED = settings(
    deadline=None,
    max_examples=40,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
LONG = settings(SEEDED, max_examples=600)
#: No program needs as many instructions.
ENOUGH = 300_000


@functools.cache
def box_of(engine: str, xlen: int) -> EngineBox:
    """One box for all programs: what is left of one must not be seen by the next."""
    return EngineBox(engine, xlen, size=0x4_0000)


def run_on(engine: str, program: RandomProgram) -> EngineBox:
    """The box in which *program* has ended."""
    box = box_of(engine, program.xlen)
    box.reset()
    for at, data in program.parts:
        box.memory.write(at, data)
    box.hart.pc = START
    box.breakpoints.add(END)
    code = box.run(ENOUGH)
    assert code == Exit.BREAKPOINT, f"{engine}: exit {code} at {box.hart.pc:#x}"
    return box


def check_engines(program: RandomProgram, *, step: bool) -> EngineBox:
    boxes = [run_on(e, program) for e in (*ENGINES, *([STEP] if step else []))]
    for other in boxes[1:]:
        assert not (what := difference(boxes[0], other)), what
    return boxes[0]


@pytest.mark.parametrize("xlen", [32, 64])
def test_engines(xlen: int) -> None:
    @SEEDED
    @given(GENES)
    def check(genes: list[int]) -> None:
        check_engines(random_program(xlen, genes), step=len(genes) < 60)

    check()


@pytest.mark.parametrize("xlen", [32, 64])
def test_regions(xlen: int) -> None:
    """With everything compiled that runs twice."""

    @settings(SEEDED, max_examples=8)
    @given(GENES)
    def check(genes: list[int]) -> None:
        program = random_program(xlen, genes[:60])
        assert not (what := difference(run_on("interp", program), run_on(HOT, program))), what

    check()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("xlen", [32, 64])
def test_regions_long(xlen: int) -> None:
    @settings(SEEDED, max_examples=500)
    @given(GENES)
    def check(genes: list[int]) -> None:
        program = random_program(xlen, genes)
        assert not (what := difference(run_on("interp", program), run_on(HOT, program))), what

    check()


@pytest.mark.slow
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("xlen", [32, 64])
def test_engines_long(xlen: int) -> None:
    @LONG
    @given(GENES)
    def check(genes: list[int]) -> None:
        check_engines(random_program(xlen, genes), step=len(genes) < 60)

    check()


# -- QEMU


class Qemu:
    """A QEMU that stays halted under our client; programs are put into its memory and run."""

    def __init__(self, xlen: int) -> None:
        found = find_qemu(xlen)
        if not found.usable:
            pytest.skip(found.reason)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        self._process = subprocess.Popen(
            [*found.command, "-M", "virt", "-bios", "none", "-display", "none", "-serial", "none",
             "-monitor", "none", "-S", "-gdb", f"tcp:127.0.0.1:{port}"],
            stdin=subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(200):
            try:
                self._client = RspClient("127.0.0.1", port)
                break
            except (OSError, ClientError):
                time.sleep(0.05)
        else:
            raise ClientError("QEMU does not listen")
        self._client.insert_breakpoint(END)
        self._x = self._client.xlen // 8

    def run(self, program: RandomProgram) -> tuple[list[int], bytes]:
        """x0 to x31 and pc, and the scratch memory, when *program* has ended."""
        client = self._client
        for start, data in program.parts:
            for at in range(0, len(data), 1024):
                piece = data[at : at + 1024]
                client.command(b"M%x,%x:%s" % (start + at, len(piece), piece.hex().encode()))
        client.write_register(PC, START)
        stop = client.resume(20)
        assert stop.signal == 5, stop.raw
        return client.read_registers(), client.read_memory(SCRATCH, SCRATCH_SIZE)

    def close(self) -> None:
        self._client.close()
        self._process.kill()
        self._process.wait()


@pytest.fixture(scope="module", params=[32, 64])
def qemu(request: pytest.FixtureRequest) -> Iterator[tuple[int, Qemu]]:
    it = Qemu(request.param)
    yield request.param, it
    it.close()


def check_qemu(genes: list[int], xlen: int, qemu: Qemu) -> None:
    program = random_program(xlen, genes, qemu=True)
    registers, scratch = qemu.run(program)
    box = check_engines(program, step=False)
    ours = [*box.hart.x, box.hart.pc]
    bad = [
        f"{'pc' if n == PC else f'x{n}'}: here {a:#x}, QEMU {b:#x}"
        for n, (a, b) in enumerate(zip(ours, registers, strict=True))
        if a != b
    ]
    assert not bad, "\n".join(bad)
    assert box.memory.read(SCRATCH, SCRATCH_SIZE) == scratch


@pytest.mark.qemu
def test_qemu(qemu: tuple[int, Qemu]) -> None:
    @SEEDED
    @given(GENES)
    @example([])
    def check(genes: list[int]) -> None:
        check_qemu(genes, *qemu)

    check()


@pytest.mark.qemu
@pytest.mark.slow
@pytest.mark.timeout(1200)  # a busy machine may need minutes
def test_qemu_long(qemu: tuple[int, Qemu]) -> None:
    @settings(SEEDED, max_examples=300)
    @given(GENES)
    def check(genes: list[int]) -> None:
        check_qemu(genes, *qemu)

    check()


assert BASE == 0x8000_0000
