"""Profiles: a second run starts with the regions of the first, and never with anything else."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Iterable
from pathlib import Path

import pytest

from otoriscv.board.loaders import load_image
from otoriscv.board.machine import Machine
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.encode import assemble
from otoriscv.core.layout import MACHINE
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm import engine as engine_module
from otoriscv.jit.llvm.compiler import compile_request
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.llvm.profile import MOST, Profile
from otoriscv.jit.llvm.request import JitError, Request
from otoriscv.jit.llvm.workers import Answer, Workers
from otoriscv.jit.settings import JitSettings

pytestmark = pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here")
RAM = 0x8000_0000
BOTH = pytest.mark.parametrize("xlen", [32, 64])
#: Copies a loop behind itself and runs it there; `{n}` is in and behind it, so that no key of a
#: region in it is the same for another one.
COPIED = """
start: la t0, loop
       la t1, end
       li t2, {distance}
1:     lw t3, 0(t0)
       add t4, t0, t2
       sw t3, 0(t4)
       addi t0, t0, 4
       bltu t0, t1, 1b
       fence.i
       la t0, loop
       add t0, t0, t2
       li a1, 200000
       jr t0
loop:  addi a0, a0, {n}
       xor a0, a0, a1
       addi a1, a1, -1
       bnez a1, loop
       li a2, {n}
       wfi
end:   nop
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "cache"
    monkeypatch.setenv("OTORISCV_CACHE_DIR", str(path))
    return path


def run(xlen: int, n: int = 3, distance: int = 4096) -> tuple[int, int, dict[str, float]]:
    """a0, the instructions, and the engine's statistics of one run of `COPIED`."""
    settings = JitSettings(workers=0)
    isa = f"rv{xlen}ima_zicsr_zifencei"
    machine = Machine(isa, ram=[(RAM, 1 << 20)], engine="llvm", jit=settings)
    program = assemble(COPIED.format(n=n, distance=distance), xlen, RAM)
    machine.memory.write(RAM, program.code)
    hart = machine.harts[0]
    hart.pc = RAM
    machine.run(steps=790_000)
    assert program.symbols["loop"] + distance <= hart.pc < program.symbols["end"] + distance
    engine = machine.engine
    assert isinstance(engine, LlvmEngine)
    result = hart.x[10], machine.retired, dict(engine.statistics)
    machine.close()
    return result


@BOTH
def test_code_that_appears_later_is_remembered(xlen: int) -> None:
    cold, warm = run(xlen), run(xlen)
    assert cold[:2] == warm[:2]
    assert cold[2]["compiled"] > 0 and cold[2]["remembered"] == 0
    assert warm[2]["compiled"] == 0 and warm[2]["remembered"] >= cold[2]["compiled"]


def test_other_code_in_the_same_place_is_not_taken_for_it() -> None:
    first = run(64)
    profiles = [e.path for e in DiskCache().entries() if e.kind == "profile"]
    assert len(profiles) == 1
    other = run(64, n=5)
    assert other[2]["remembered"] == 0 and other[2]["compiled"] > 0
    [name] = [
        e.path.name for e in DiskCache().entries() if e.kind == "profile" and e.path not in profiles
    ]
    # the other program with the first one's profile: its regions do not fit
    hints = DiskCache().get(profiles[0].name)
    assert hints is not None
    DiskCache().put(name, hints)
    again = run(64, n=5)
    assert again[:2] == other[:2] != first[:2]
    assert again[2]["remembered"] == 0


def test_a_damaged_profile_or_a_lost_region_is_no_harm(folder: Path) -> None:
    cold = run(64)
    for entry in DiskCache().entries():
        if entry.kind == "profile":
            entry.path.write_bytes(entry.path.read_bytes()[:-1])
    damaged = run(64)
    assert damaged[:2] == cold[:2] and damaged[2]["remembered"] == 0
    for entry in DiskCache().entries():
        if entry.kind == "region":
            entry.path.unlink()
    lost = run(64)
    assert lost[:2] == cold[:2] and lost[2]["remembered"] == 0 and lost[2]["compiled"] > 0
    assert DiskCache().verify()[1] == []
    DiskCache().clear()
    assert not list(folder.glob("profile-*"))


def _key(kind: str, n: int) -> str:
    return f"{kind}-{hashlib.sha256(str(n).encode()).hexdigest()}"


def test_a_profile_is_bounded_and_the_last_additions_stay() -> None:
    store, name = DiskCache(), _key("profile", 0)
    profile = Profile(name, store)
    for mark in range(MOST + 50):
        profile.add(2 * mark, _key("region", mark))
    profile.add(2 * MOST, _key("region", MOST))  # known: nothing new
    profile.save()
    data = store.get(name)
    assert data is not None
    kept = [int(mark) for mark in json.loads(data)]
    assert len(kept) == MOST and kept[-1] == 2 * (MOST + 49)
    assert Profile(name, store).load() == []  # none of these regions exists


def run_image(folder: Path, n: int, append: str) -> dict[str, float]:
    """The engine's statistics of one run of a small image on the virt board."""
    text = f"li a1, 400000\nloop: addi a0, a0, {n}\nxor a0, a0, a1\naddi a1, a1, -1\nbnez a1, loop"
    file = folder / f"image{n}"
    file.write_bytes(assemble(f"{text}\nend: j end", 64, RAM).code)
    image = load_image(str(file), xlen=64, base=RAM)
    config = VirtConfig(image=image, engine="llvm", append=append, jit=JitSettings(workers=0))
    machine = VirtMachine(config)
    machine.run(steps=1_000_000)
    engine = machine.engine
    assert isinstance(engine, LlvmEngine)
    machine.close()
    return dict(engine.statistics)


def test_small_images_share_no_profile_and_other_arguments_are_no_other_program(
    tmp_path: Path,
) -> None:
    assert run_image(tmp_path, 3, "one")["compiled"] > 0
    assert run_image(tmp_path, 5, "one")["remembered"] == 0
    assert len([e for e in DiskCache().entries() if e.kind == "profile"]) == 2
    again = run_image(tmp_path, 3, "something else that makes the device tree longer")
    assert again["compiled"] == 0 and again["remembered"] > 0, again


#: Ten loops of 50,000 instructions.
LOOPS = "\n".join(
    f".align 8\nli a0, 25000\n1: addi a0, a0, -{n}\nbgtz a0, 1b" for n in range(1, 11)
)


class Later(Workers):
    """Answers nothing in this run, and compiles what is asked at its end."""

    def poll(self) -> list[Answer]:
        return []

    def submit(self, request: Request) -> None:
        pass

    @property
    def idle(self) -> bool:
        return False

    def close(self, waiting: Iterable[Request] = ()) -> None:
        for request in waiting:
            with contextlib.suppress(JitError):
                compile_request(request, self._store)


@BOTH
def test_what_waits_at_the_end_of_a_run_is_there_when_the_next_begins(
    xlen: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine_module, "Workers", Later)
    results = []
    for _ in range(2):
        machine = Machine(
            f"rv{xlen}ima_zicsr",
            ram=[(RAM, 1 << 20)],
            engine="llvm",
            jit=JitSettings(threshold=1, workers=1),
        )
        machine.memory.write(RAM, assemble(f"nop\n{LOOPS}\nend: j end", xlen, RAM).code)
        machine.harts[0].pc = RAM
        for _ in range(30):  # an engine looks between two slices
            machine.run(steps=5000)
        engine = machine.engine
        assert isinstance(engine, LlvmEngine)
        results.append((machine.retired, machine.harts[0].pc, list(machine.harts[0].x)))
        remembered = engine.statistics["remembered"]
        in_regions = machine.m[MACHINE["region_steps"]]
        machine.close()
    assert results[0] == results[1]
    assert remembered >= 5 and in_regions > 70_000


def test_what_was_never_compiled_is_no_part_of_the_next_profile(folder: Path) -> None:
    store = DiskCache(folder)
    profile = Profile(_key("profile", 1), store)
    profile.add_later(RAM, RAM, _key("place", 2))
    profile.add(RAM + 64, _key("region", 3))
    profile.add_later(RAM + 64, RAM + 64, _key("place", 4))  # there is one
    profile.save()
    written = json.loads(store.get(_key("profile", 1)) or b"")
    assert written == {
        str(RAM): f"{RAM:x}:{_key('place', 2)}", str(RAM + 64): _key("region", 3)
    }  # fmt: skip
    assert Profile(_key("profile", 1), store).load() == []


@BOTH
def test_where_nothing_can_be_compiled_is_not_asked_again(xlen: int) -> None:
    """A warm run starts no worker to find that out."""
    refused = []
    for _ in range(2):
        isa, jit = f"rv{xlen}ima_zicsr", JitSettings(threshold=1, workers=0)
        machine = Machine(isa, ram=[(RAM, 1 << 20)], engine="llvm", jit=jit)
        machine.memory.write(RAM, assemble("1: j 1b", xlen, RAM).code)
        machine.harts[0].pc = RAM
        for _ in range(10):
            machine.run(steps=5000)
        engine = machine.engine
        assert isinstance(engine, LlvmEngine)
        refused.append(engine.statistics["refused"])
        machine.close()
    assert refused == [1, 0]
