"""Compile workers that die, hang or answer nonsense; code that cannot be compiled."""

from __future__ import annotations

import errno
import io
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from otoriscv.board.machine import Machine
from otoriscv.core.encode import assemble
from otoriscv.core.layout import MACHINE
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.engines import probe
from otoriscv.jit.llvm import engine as engine_module
from otoriscv.jit.llvm import workers as workers_module
from otoriscv.jit.llvm.compiler import compile_request
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.llvm.messages import message, messages, taken
from otoriscv.jit.llvm.request import CompiledRegion, JitError, Request, find
from otoriscv.jit.llvm.workers import COMMAND, Answer, Workers
from otoriscv.jit.protocol import HOT_REGION_LIMIT
from otoriscv.jit.settings import JitSettings
from tests.inline_workers import Inline

pytestmark = pytest.mark.skipif(not probe("llvm")[0].usable, reason="no native engine here")

RAM = 0x8000_0000
LOOP = assemble("1: addi a0, a0, 1\n addi a1, a1, 2\n j 1b", 64, RAM).code


def request(code: bytes = LOOP, pc: int = RAM) -> Request:
    window = (RAM, 1 << 20, 0x1000_0000)
    return Request(pc, "rv64imac_zicsr", RAM, code + bytes(1 << 16), (), (), window, False)


def script(text: str) -> tuple[str, ...]:
    return sys.executable, "-c", text


@pytest.fixture
def store(tmp_path: Path) -> DiskCache:
    return DiskCache(tmp_path / "cache")


@pytest.fixture
def started() -> Iterator[list[Workers]]:
    made: list[Workers] = []
    yield made
    for workers in made:
        workers.close()


def wait(workers: Workers, count: int = 1, seconds: float = 60) -> list[Answer]:
    """The next *count* answers."""
    answers: list[Answer] = []
    deadline = time.monotonic() + seconds
    while len(answers) < count:
        assert time.monotonic() < deadline, "no answer"
        answers += workers.poll()
        time.sleep(0.01)
    return answers


def reason(answer: Answer) -> str:
    assert isinstance(answer[1], JitError)
    return str(answer[1])


def test_a_worker_compiles_and_stores(started: list[Workers], store: DiskCache) -> None:
    workers = Workers(2, store)
    started.append(workers)
    assert workers.processes == []
    asked = request()
    workers.submit(asked)
    [(back, region)] = wait(workers)
    assert back == asked and isinstance(region, CompiledRegion)
    assert region.instructions == 3 and len(workers.processes) == 1
    assert store.get(asked.key({})) is not None
    workers.submit(request(pc=RAM + 0x100))  # zeros are no instructions
    assert "no code to compile" in reason(wait(workers)[0])
    assert not workers.busy and workers.replaced == 0


def test_without_a_cache_workers_store_nothing(started: list[Workers], tmp_path: Path) -> None:
    workers = Workers(1, DiskCache(tmp_path / "cache", enabled=False))
    started.append(workers)
    workers.submit(request())
    assert isinstance(wait(workers)[0][1], CompiledRegion)
    assert not (tmp_path / "cache").exists()


@pytest.mark.parametrize(
    "text",
    [
        "raise SystemExit(3)",
        "import sys; sys.stdin.buffer.read(8); raise SystemExit(0)",
        "print('hello')",
        "import sys; sys.stdout.buffer.write(b'\\xff' * 64); sys.stdout.flush(); sys.stdin.read()",
        "import sys; sys.stdout.buffer.write(b'\\4' + bytes(7) + b'junk'); sys.stdout.flush();"
        "sys.stdin.read()",
        "import sys, pickle; d = pickle.dumps({}); sys.stdout.buffer.write("
        "len(d).to_bytes(8, 'little') + d); sys.stdout.flush(); sys.stdin.read()",
    ],
    ids=["exits", "dies reading", "prints", "length", "no pickle", "no region"],
)
def test_workers_that_do_not_work(started: list[Workers], store: DiskCache, text: str) -> None:
    workers = Workers(1, store, command=script(text))
    started.append(workers)
    for _ in range(5):
        workers.submit(request())
    assert all(reason(a) for a in wait(workers, 5))
    assert 6 <= workers.replaced <= 7 and workers.problem  # and no more are started
    workers.submit(request())
    assert workers.problem in reason(wait(workers)[0])
    assert not workers.busy


def test_a_program_that_cannot_be_started(started: list[Workers], store: DiskCache) -> None:
    workers = Workers(1, store, command=("/nonexistent/python",))
    started.append(workers)
    workers.submit(request())
    assert "can be started" in reason(wait(workers)[0])


def test_no_file_for_a_worker(
    started: list[Workers], store: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> int:
        raise OSError(errno.EMFILE, "Too many open files")

    monkeypatch.setattr(os, "memfd_create", full)
    workers = Workers(1, store)
    started.append(workers)
    workers.submit(request())
    assert "can be started: Too many open files" in reason(wait(workers)[0])


def test_a_request_whose_worker_died_is_tried_again(
    started: list[Workers], store: DiskCache, tmp_path: Path
) -> None:
    once = tmp_path / "died"
    text = (
        f"import os\nif not os.path.exists({str(once)!r}):\n"
        f" open({str(once)!r}, 'w')\n os._exit(9)\n"
    )
    workers = Workers(1, store, command=script(text + COMMAND[2]))
    started.append(workers)
    workers.submit(request())
    assert isinstance(wait(workers)[0][1], CompiledRegion)
    assert workers.replaced == 1 and not workers.problem


def test_a_worker_that_hangs_is_replaced(
    started: list[Workers], store: DiskCache, tmp_path: Path
) -> None:
    once = tmp_path / "hung"
    text = (
        f"import os, time\nif not os.path.exists({str(once)!r}):\n"
        f" open({str(once)!r}, 'w')\n time.sleep(1000)\n"
    )
    workers = Workers(1, store, command=script(text + COMMAND[2]), patience=3)
    started.append(workers)
    big = request(bytes(1 << 20))  # more than a pipe holds, and nobody reads it
    began = time.monotonic()
    workers.submit(big)
    workers.submit(request())
    assert time.monotonic() - began < 1
    [first, second] = wait(workers, 2)
    assert first[0] == big and "no answer" in reason(first)
    assert isinstance(second[1], CompiledRegion)
    assert workers.replaced == 1


def test_a_worker_that_compiled_much_is_let_go(
    started: list[Workers], store: DiskCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What each compile leaves behind in it does not add up; no request notices."""
    monkeypatch.setattr(workers_module, "_ENOUGH", 2)
    workers = Workers(1, store)
    started.append(workers)
    seen = []
    for _ in range(5):
        workers.submit(request())
        [worker] = workers._workers
        assert isinstance(wait(workers)[0][1], CompiledRegion)
        seen.append(worker.process)
    assert [seen.index(process) for process in seen] == [0, 0, 2, 2, 4]
    assert [process.wait(60) for process in seen[:4]] == [0] * 4
    assert workers.replaced == 0 and workers.processes == [seen[4].pid]


def test_idle_until_there_is_work_for_all(started: list[Workers], store: DiskCache) -> None:
    workers = Workers(2, store, command=script("import time; time.sleep(1000)"))
    started.append(workers)
    idle = []
    for _ in range(3):
        idle.append(workers.idle)
        workers.submit(request())
    assert idle == [True, True, False]


def test_workers_end_with_their_pipe(store: DiskCache) -> None:
    workers = Workers(1, store)
    workers.submit(request())
    wait(workers)
    [pid] = workers.processes
    workers.close()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_what_is_compiled_at_the_end_is_there_in_the_next_run(store: DiskCache) -> None:
    workers = Workers(1, store)
    workers.submit(request())
    while workers._workers[0].unsent:
        assert not workers.poll()
    [worker] = workers._workers
    workers.close()
    assert workers.processes == [] and worker.process.wait(60) is not None
    assert find(request(), store) is not None


LATER = [request(pc=RAM + offset) for offset in (4, 8)]


def left(workers: Workers) -> subprocess.Popen[bytes]:
    """The worker that compiles when the run is over, with `LATER` besides."""
    workers.submit(request())
    while workers._workers[0].unsent:
        assert not workers.poll()
    [worker] = workers._workers
    workers.close(LATER)
    return worker.process


def test_what_waits_at_the_end_is_there_in_the_next_run(store: DiskCache) -> None:
    assert left(Workers(1, store)).wait(60) == 0
    assert all(find(each, store) is not None for each in (request(), *LATER))


def test_one_process_at_a_time_compiles_for_no_run(store: DiskCache) -> None:
    """A hundred short runs, one after another, do not leave a hundred of them."""
    assert store.reserve() and store.reserve()
    assert left(Workers(1, store)).wait(60) == 0
    assert [find(each, store) is not None for each in (request(), *LATER)] == [True, False, False]


def test_much_may_wait_at_the_end(store: DiskCache) -> None:
    """More than a pipe holds; and a worker that has nothing to do then gets it."""
    workers = Workers(1, store)
    workers.submit(request())
    wait(workers)
    [worker] = workers._workers
    code = LOOP * (1 << 13)
    large = [request(code, RAM + 64 * n) for n in range(20)]
    began = time.monotonic()
    workers.close(large)
    assert time.monotonic() - began < 10
    assert worker.process.wait(120) == 0
    assert all(find(each, store) is not None for each in large)


def test_what_was_cut_off_is_no_request() -> None:
    whole = message(request())
    for size in (0, 5, 8, len(whole) - 1):
        assert list(messages(io.BytesIO(whole + whole[:size]))) == [request()]


def test_an_answer_is_one_message() -> None:
    whole = message("done")
    received = bytearray(whole[:-1])
    assert taken(received) is None and received == whole[:-1]
    received += whole[-1:]
    assert taken(received) == "done" and not received
    for garbage in (whole + b"x", b"\xff" * 8):
        with pytest.raises(ValueError, match="no sense"):
            taken(bytearray(garbage))


def test_without_a_cache_nothing_is_compiled_at_the_end(tmp_path: Path) -> None:
    workers = Workers(1, DiskCache(tmp_path, enabled=False))
    workers.submit(request())
    while workers._workers[0].unsent:
        assert not workers.poll()
    [worker] = workers._workers
    workers.close()
    assert worker.process.returncode == -signal.SIGKILL


# -- machines

#: Calls one of 16 functions by a counter; the result depends on all of them.
GUEST = "\n".join(
    [
        "start: li s0, 0",
        "outer: andi t0, s0, 15",
        "slli t0, t0, 4",
        "la t1, table",
        "add t1, t1, t0",
        "jalr ra, 0(t1)",
        "addi s0, s0, 1",
        "j outer",
        ".align 4",
        "table:",
        *(f"addi a0, a0, {n}\nslli a1, a0, {n % 3}\nxor a0, a0, a1\nret" for n in range(16)),
    ]
)


def machine(engine: str, **settings: int) -> Machine:
    made = Machine(
        "rv64im_zicsr",
        ram=[(RAM, 1 << 20)],
        engine=engine,
        jit=JitSettings(cache=False, **settings),
    )
    made.memory.write(RAM, assemble(GUEST, 64, RAM).code)
    made.harts[0].pc = RAM
    return made


def state(made: Machine) -> tuple[int, ...]:
    hart = made.harts[0]
    return (made.retired, hart.pc, *hart.x)


def _kill(pid: int) -> None:
    os.kill(pid, signal.SIGKILL)


def _stop(pid: int) -> None:
    os.kill(pid, signal.SIGSTOP)


@pytest.mark.parametrize("harm", [_kill, _stop], ids=["killed", "stopped"])
def test_the_guest_never_notices(
    harm: Callable[[int], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Workers are harmed all the time; what the guest does is what it does interpreted."""
    monkeypatch.setattr(
        engine_module, "Workers", lambda count, store: Workers(count, store, patience=5)
    )
    plain, hot = machine("interp"), machine("llvm", threshold=1, workers=2)
    engine = hot.engine
    assert isinstance(engine, LlvmEngine)
    workers = engine._workers
    assert workers is not None
    harmed = 0
    deadline = time.monotonic() + 120
    in_regions = MACHINE["region_steps"]
    while not (workers.replaced and hot.m[in_regions]) and time.monotonic() < deadline:
        for pid in () if workers.replaced else workers.processes:
            harm(pid)
            harmed += 1
        for each in (plain, hot):
            each.run(steps=1_000_000)
        assert state(plain) == state(hot)
        time.sleep(0.05)
        if workers.problem or not workers.busy:  # nothing more will come: compile elsewhere
            engine._refused.clear()
            workers.problem = ""
    report = engine.report()
    assert harmed and workers.replaced and report["workers_replaced"] == workers.replaced
    assert engine.statistics["regions"] > 0 and hot.m[in_regions] > 0
    for each in (plain, hot):
        each.close()


def test_workers_that_only_die_leave_an_interpreter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        engine_module,
        "Workers",
        lambda count, store: Workers(count, store, command=script("raise SystemExit(1)")),
    )
    plain, hot = machine("interp"), machine("llvm", threshold=1, workers=1)
    for _ in range(60):
        for each in (plain, hot):
            each.run(steps=500_000)
        time.sleep(0.02)
    assert state(plain) == state(hot)
    report = hot.engine.report()
    assert report["regions"] == 0 and "do not work" in str(report["problem"])
    for each in (plain, hot):
        each.close()


def test_what_llvm_rejects_is_interpreted(monkeypatch: pytest.MonkeyPatch) -> None:
    from otoriscv.jit.llvm import compiler

    def broken(text: str) -> None:
        raise RuntimeError("LLVM says no\nand more")

    monkeypatch.setattr(compiler, "compile_module", broken)
    with pytest.raises(JitError, match="cannot be compiled: LLVM says no"):
        compiler.compile_request(request())
    plain, hot = machine("interp"), machine("llvm", threshold=1, workers=0)
    for each in (plain, hot):
        each.run(steps=500_000)
    assert state(plain) == state(hot)
    report = hot.engine.report()
    assert report["regions"] == 0 and isinstance(report["refused"], int) and report["refused"] > 0
    for each in (plain, hot):
        each.close()


@pytest.mark.parametrize("xlen", [32, 64])
def test_a_loop_too_large_for_a_region(xlen: int) -> None:
    """20,000 instructions without a branch, then back: parts are compiled, all of it is right."""
    body = "\n".join(f"addi a{n % 6}, a{(n + 1) % 6}, {n % 1000}" for n in range(20_000))
    source = f"start:\n{body}\nla t0, start\njalr x0, 0(t0)\n"
    program = assemble(source, xlen, RAM)
    ends = []
    for engine in ("interp", "llvm"):
        made = Machine(
            f"rv{xlen}im_zicsr",
            ram=[(RAM, 1 << 20)],
            engine=engine,
            jit=JitSettings(threshold=1, workers=0, cache=False),
        )
        made.memory.write(RAM, program.code)
        made.harts[0].pc = RAM
        made.run(steps=1_000_003)
        ends.append(state(made))
        if engine == "llvm":
            assert made.m[MACHINE["region_steps"]] > 0
            assert isinstance(made.engine, LlvmEngine)
            assert all(r.instructions <= HOT_REGION_LIMIT for r in made.engine.regions())
        made.close()
    assert ends[0] == ends[1]


def test_the_hottest_places_that_wait_are_left_to_a_worker_first(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """It never answers in this run: all but the first place wait until the end."""
    monkeypatch.setattr(engine_module, "Workers", Inline)
    # Some samples in each loop: how far apart they come to be is a matter of the host's speed.
    monkeypatch.setattr(engine_module, "SAMPLE_LAST", 1 << 12)
    jit = JitSettings(threshold=1, workers=1, cache=False)
    machine = Machine("rv64imac_zicsr", ram=[(RAM, 1 << 20)], engine="llvm", jit=jit)
    loops = {"first": 1 << 20, "warm": 20_000, "hot": 60_000}
    text = "".join(
        f".align 12\nli a0, {count}\n{label}: addi a0, a0, -1\nbnez a0, {label}\n"
        for label, count in loops.items()
    )
    program = assemble(f"{text}end: j end", 64, RAM)
    machine.memory.write(RAM, program.code)
    machine.harts[0].pc = RAM
    machine.run(steps=2 * sum(loops.values()))
    engine = machine.engine
    assert isinstance(engine, LlvmEngine) and isinstance(engine._workers, Inline)
    machine.close()
    order = [
        label
        for each in engine._workers.asked
        for label in loops
        if each.pc >> 12 == program.symbols[label] >> 12
    ]
    assert list(dict.fromkeys(order)) == ["first", "hot", "warm"]


def test_samples_from_before_a_region_do_not_ask_for_a_second_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """While a loop waits for the compiler, all places of it become hot."""
    monkeypatch.setattr(engine_module, "Workers", Inline)
    monkeypatch.setattr(engine_module, "SAMPLE_LAST", engine_module.SAMPLE_FIRST)
    jit = JitSettings(workers=1, cache=False)
    machine = Machine("rv64imac_zicsr", ram=[(RAM, 1 << 20)], engine="llvm", jit=jit)
    text = "loop:\n" + "addi a0, a0, 1\n" * 62 + "j loop"
    machine.memory.write(RAM, assemble(text, 64, RAM).code)
    machine.harts[0].pc = RAM
    engine = machine.engine
    assert isinstance(engine, LlvmEngine)
    workers = engine._workers
    assert isinstance(workers, Inline)
    for _ in range(100):
        machine.run(steps=500_009)
    assert len(workers.asked) == 1
    workers.open = True
    for _ in range(100):
        machine.run(steps=500_009)
    assert engine.statistics["compiled"] == len(workers.asked) == 1
    machine.close()


#: Seven instructions, the third of which another region is entered at.
CUT = """
loop:
    lw   a1, 0(a3)
    addi a3, a3, 4
middle:
    add  a0, a0, a1
    xor  a2, a2, a0
    and  a4, a4, a2
    addi a5, a5, 1
    bne  a3, a6, loop
    j    loop
"""


@pytest.mark.parametrize("entered", ["loop", "middle"])
def test_a_small_loop_is_compiled_as_a_whole(entered: str) -> None:
    """Also what is a few instructions between other regions: else each round would be through
    the interpreter."""
    program = assemble(CUT, 64, RAM)
    cut = request(program.code, program.symbols[entered])
    others = tuple(at for label, at in program.symbols.items() if label != entered)
    region = compile_request(cut._replace(elsewhere=others))
    assert set(region.covered) >= set(range(program.symbols["loop"], RAM + 28, 4))


def test_a_region_begins_at_the_head_of_its_loop() -> None:
    program = assemble(CUT, 64, RAM)
    head, middle = (program.symbols[label] for label in ("loop", "middle"))
    hot = request(program.code, middle)
    assert compile_request(hot).pc == middle
    region = compile_request(hot._replace(at_head=True))
    assert region.pc == head and [pc for pc, _, _ in region.entries] == [head]
    assert middle in region.covered


def test_a_region_that_begins_before_the_hot_place_is_found_again(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """By its own place; and it is not made twice when another place in the loop is hot."""
    monkeypatch.setenv("OTORISCV_CACHE_DIR", str(tmp_path / "cache"))
    program = assemble("nop\n" * 9 + CUT, 64, RAM)
    for remembered in (0, 1):
        jit = JitSettings(threshold=1, workers=0)
        machine = Machine("rv64imac_zicsr", ram=[(RAM, 1 << 20)], engine="llvm", jit=jit)
        machine.memory.write(RAM, program.code)
        hart, engine = machine.harts[0], machine.engine
        assert isinstance(engine, LlvmEngine)
        hart.pc, hart.x[13], hart.x[16] = RAM, RAM, RAM + (1 << 19)
        for _ in range(40):
            machine.run(steps=1009)
        assert [region.pc for region in engine.regions()] == [program.symbols["loop"]]
        assert engine.statistics["remembered"] == remembered
        machine.close()
