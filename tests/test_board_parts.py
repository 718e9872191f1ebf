"""The board's small parts: the scheduler, expectations, console routing, engine registry."""

from __future__ import annotations

import random

import pytest

from otoriscv.board.console import BufferConsole
from otoriscv.board.expect import Expecter
from otoriscv.board.hub import Hub, Replay
from otoriscv.board.scheduler import Scheduler
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.encode import assemble
from otoriscv.core.isa_string import Isa
from otoriscv.jit.engine import EngineUnavailable
from otoriscv.jit.engines import choose, probe
from otoriscv.jit.python.engine import STEP_ROUTINES
from tests.board_guest import ENGINES, FINISH, machine, needs_cc


def test_scheduler_keeps_the_order() -> None:
    seen: list[str] = []
    events = Scheduler()
    for instant, name in ((20, "c"), (10, "a"), (10, "b"), (30, "d")):
        events.add(instant, lambda name=name: seen.append(name))  # type: ignore[misc]  # bound now
    assert events.next == 10
    assert not events.run_due(9)
    assert events.run_due(20)
    assert (seen, events.next, len(events)) == (["a", "b", "c"], 30, 1)
    events.clear()
    assert events.next is None


def test_an_event_may_add_another_one() -> None:
    seen: list[int] = []
    events = Scheduler()
    events.add(1, lambda: events.add(2, lambda: seen.append(2)))
    assert events.run_due(2)
    assert seen == [2]


class Watcher:
    def __init__(self, *expect: str, fail_on: str | None = None) -> None:
        self.matches = 0
        self.failures: list[str] = []
        self.expecter = Expecter(
            expect, fail_on, matched=self._matched, failed=self.failures.append
        )

    def _matched(self) -> None:
        self.matches += 1

    def feed(self, text: str) -> int:
        """How many bytes it took until the last expression matched; -1: all, without."""
        for n, byte in enumerate(text.encode(), 1):
            self.expecter.feed(bytes([byte]))
            if self.matches:
                return n
        return -1


def test_expressions_match_in_order() -> None:
    watcher = Watcher("b+", "a", "c$")
    assert watcher.feed("a c abb\nxa\nc") == 12
    assert watcher.expecter.unmet is None
    assert Watcher("a", "a").feed("a-a") == 3
    assert Watcher("a(?=bc)", "bc").feed("abc.") == 4  # what was only looked at is still there
    watcher = Watcher("one", "two")
    assert watcher.feed("two one\n") == -1
    assert watcher.expecter.unmet == "two"


def test_expressions_see_one_line_unless_they_name_newlines() -> None:
    assert Watcher("a.*b").feed("a\nb\n") == -1
    assert Watcher("a\\nb").feed("a\nb\n") == 3
    assert Watcher("^b").feed("a\nb") == 3


@pytest.mark.parametrize(
    ("expressions", "ends"),
    [
        (["~ #"], "#"),
        (["login: ", "riscv64-.*gcc"], " c"),
        ([r"cost 5\$", r"\."], "$."),
        (["~ #|login: "], "# "),
        (["a|b+"], None),
        (["(a|b)"], None),
        ([r"a\|b"], None),
        (["a[|]b"], None),
        (["ab+"], None),
        (["# $"], None),
        ([r"\d"], None),
        ([r"x\n"], None),
        (["(?i)done"], None),
        (["a[bc]"], None),
        (["é"], None),
    ],
)
def test_the_bytes_that_may_end_a_match(expressions: list[str], ends: str | None) -> None:
    found = Watcher(*expressions).expecter.ends()
    assert found == (None if ends is None else frozenset(ends.encode()))
    with_lines = Watcher(*expressions, fail_on="panic|oops").expecter.ends()
    assert with_lines == (None if ends is None else frozenset(ends.encode()) | {10})


def test_a_failing_line_is_given_whole() -> None:
    watcher = Watcher(fail_on="pan.c")
    watcher.feed("fine\nkernel panic: bad\nmore\n")
    assert watcher.failures[0] == "kernel panic: bad"
    watcher = Watcher(fail_on="pan.c")
    watcher.feed("kernel panic: ba")
    assert watcher.failures == [] and watcher.expecter.failure == "kernel panic: ba"


def test_long_output_without_newlines_is_bounded() -> None:
    watcher = Watcher("end", fail_on="never")
    assert watcher.feed("x" * 20_000 + "end") == 20_003


@pytest.mark.parametrize("seed", range(40))
def test_output_in_pieces_is_looked_at_as_byte_by_byte(seed: int) -> None:
    rng = random.Random(seed)
    known = ["ab", "a.*c", "b|ca", "^a", r"\.a", "c\\nb", "[ab]c", "a$"]
    some = rng.sample(known, 3)
    fail_on = rng.choice([None, "cc", "b.a", "a+"])
    pieces, whole = Watcher(*some, fail_on=fail_on), Watcher(*some, fail_on=fail_on)
    text = "".join(rng.choices("abc. \n", k=rng.choice((30, 300, 6000)))).encode()
    if seed % 4 == 0:
        text = text.replace(b"\n", b"")
    for byte in text:
        whole.expecter._byte(byte)
    while text:
        n = rng.choice((1, 7, 100, 5000))
        pieces.expecter.feed(text[:n])
        text = text[n:]
    for name in ("_done", "_seen", "_line", "_failing"):
        assert getattr(pieces.expecter, name) == getattr(whole.expecter, name), name
    assert (pieces.matches, pieces.failures) == (whole.matches, whole.failures)


def test_bad_expressions() -> None:
    with pytest.raises(ValueError, match="--expect"):
        Watcher("(")


def test_hub_gives_semihosting_what_the_uart_had() -> None:
    guest = VirtMachine(VirtConfig(engine="python"))
    console = guest.console
    assert isinstance(console, BufferConsole)
    console.feed(b"abcdef")
    guest.hub.pump()
    uart = guest.hub.uart
    assert uart is not None and uart.unread == 6
    assert guest.hub.take(4) == b"abcd"
    assert uart.unread == 0
    assert (guest.hub.take_byte(), guest.hub.take(9), guest.hub.take(9)) == (101, b"f", None)
    console.end()
    guest.hub.pump()
    assert guest.hub.take(9) == b"" and not guest.hub.open
    guest.close()


def test_a_record_is_replayed_at_its_instants() -> None:
    now = 5
    console = BufferConsole()
    hub = Hub(console, lambda: now)
    console.feed(b"one")
    hub.pump()
    now = 9
    console.feed(b"two")
    hub.pump()
    assert hub.record == [(5, b"one"), (9, b"two")]
    replay = Replay(hub.record, ended=True)
    replay.instant = lambda: now
    now = 4
    assert (replay.read(9), replay.eof) == (b"", False)
    now = 9
    assert (replay.read(9), replay.read(9), replay.eof) == (b"one", b"two", True)


def test_engines_are_known() -> None:
    assert {info.name for info in probe()} >= {"python", "interp"}
    assert choose("python") == ("python", "")
    assert choose()[0] in {info.name for info in probe() if info.usable}
    with pytest.raises(EngineUnavailable, match="turbo"):
        choose("turbo")


@needs_cc
def test_engines_agree_on_a_run_with_a_fast_timer() -> None:
    source = f"""
_start:
    la t0, handler
    csrw mtvec, t0
    li s0, 0x2004000
    li s2, 300
    li s3, 0
    li t0, 0x80
    csrw mie, t0
    csrsi mstatus, 8
    sw zero, 4(s0)
    sw zero, 0(s0)
1:  addi s3, s3, 1
    xor s4, s4, s3
    mul s5, s5, s3
    add s5, s5, s4
    j 1b
    .align 2
handler:
    lw t1, 0(s0)
    addi t1, t1, 7
    sw t1, 0(s0)
    csrr t1, mepc
    add s6, s6, t1
    slli s6, s6, 1
    addi s2, s2, -1
    beqz s2, 2f
    mret
2:  mv a0, s6
    andi a0, a0, 0x7f
    j finish
{FINISH}"""
    results = []
    for engine in {"python", *ENGINES}:
        guest = machine(source, engine)
        stop = guest.run()
        results.append((stop, guest.steps, guest.retired, guest.instant, list(guest.harts[0].x)))
        guest.close()
    assert all(result == results[0] for result in results)


@pytest.mark.parametrize("engine", [name for name in ("interp", "llvm") if probe(name)[0].usable])
def test_device_accesses_take_the_native_routines(engine: str) -> None:
    """The python engine's own walk page tables many times as slowly."""
    machine = VirtMachine(VirtConfig(engine=engine, isa=Isa.parse("rv64ima_zicsr")))
    space = machine.stepper._space

    def refuse(*words: object) -> int:
        raise AssertionError("a routine of the python engine was called")

    space.update(dict.fromkeys(STEP_ROUTINES, refuse))
    code = "li t0, 0x0c000004\n li t1, 5\n sw t1, 0(t0)\n amoor.w a0, t1, (t0)\n end: j end"
    machine.memory.write(0x8000_0000, assemble(code, 64, 0x8000_0000).code)
    hart = machine.harts[0]
    hart.pc = 0x8000_0000
    machine.run(steps=10)
    assert hart.x[10] == 5 and machine.runner.by_stepper == 1  # the AMO
    machine.close()
