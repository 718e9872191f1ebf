"""Conditions of breakpoints under every engine: compiled code evaluates them as Python does."""

from __future__ import annotations

import struct
from collections.abc import Callable

import pytest

from otoriscv.board.breakpoint_programs import BreakpointPrograms
from otoriscv.board.machine import Machine
from otoriscv.board.points import HOOKS
from otoriscv.board.stops import StopReason
from otoriscv.core.encode import Program, assemble
from otoriscv.core.hart import Hart
from otoriscv.core.layout import MACHINE
from tests.engine_box import ENGINES
from tests.test_agent import EQUAL, LESS, const, ref, reg

RAM = 0x8000_0000
WORD = RAM + 0x1000
END = b"\x27"
A0, S1 = 10, 9

#: Counts in s1 and in memory; `here` is a block's middle, `jump` and `away` ends of blocks.
GUEST = f"""
    li s0, {WORD:#x}
    li s1, 0
    li s2, 400000
loop:
    addi s1, s1, 1
    slli a0, s1, 3
here:
    sub a0, a0, s1
    sw a0, 0(s0)
    xor a1, a1, a0
jump:
    bne s1, s2, loop
away:
    j away
"""


@pytest.fixture(params=[(e, x) for e in ENGINES for x in (32, 64)], ids=lambda p: f"{p[0]}{p[1]}")
def guest(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Machine:
    engine, xlen = request.param
    monkeypatch.setenv("OTORISCV_JIT_THRESHOLD", "1")
    monkeypatch.setenv("OTORISCV_JIT_WORKERS", "0")
    return Machine(f"rv{xlen}imac_zicsr", ram=[(RAM, 0x10000)], engine=engine)


def printf(text: bytes, *arguments: bytes) -> bytes:
    """A command that prints; *arguments* are programs that leave a value."""
    size = (len(text) + 1).to_bytes(2, "big")
    pushed = b"".join(reversed(arguments)) + const(0) + const(0)
    return pushed + b"\x34" + bytes((len(arguments),)) + size + text + b"\0" + END


def start(
    guest: Machine, output: Callable[[bytes], None] = lambda text: None
) -> tuple[Program, BreakpointPrograms]:
    program = assemble(GUEST, guest.xlen, RAM)
    guest.memory.write(RAM, program.code)
    guest.harts[0].pc = RAM
    programs = BreakpointPrograms(guest, output)
    guest.stops_at_breakpoint = programs.stops
    return program, programs


Make = Callable[[int], bytes]
CONDITIONS: dict[str, Make] = {
    "register": lambda n: reg(S1) + const(n) + EQUAL + END,
    "memory": lambda n: const(WORD) + ref(32) + const(7 * n) + EQUAL + END,
    "below": lambda n: const(n - 1) + reg(S1) + LESS + END,
    # if_goto the second of two ends
    "jump": lambda n: (
        reg(S1) + const(n) + EQUAL + b"\x20\x00\x1a" + const(0) + END + const(1) + END
    ),
}


def breaks(guest: Machine, address: int) -> None:
    stop = guest.run()
    assert (stop.reason, stop.pc) == (StopReason.BREAKPOINT, address), stop


@pytest.mark.parametrize("kind", CONDITIONS)
@pytest.mark.parametrize("place", ["here", "jump", "loop"])
def test_stops_where_it_is_true(guest: Machine, kind: str, place: str) -> None:
    """At the exact instruction, with the exact state, long after it was compiled."""
    make = CONDITIONS[kind]
    program, programs = start(guest)
    address = program.symbols[place]
    count = 300_000 if guest.engine.name != "python" else 5_000
    programs.put(address, [make(count)], [])
    guest.breakpoints.add(address)
    breaks(guest, address)
    rounds = guest.harts[0].x[S1]
    # at `here` s1 was counted up, but the word not yet written
    assert rounds == count + ((kind, place) == ("memory", "here"))
    setup = (program.symbols["loop"] - RAM) // 4
    into = {"loop": 0, "here": 2 - 6, "jump": 5 - 6}[place]
    assert guest.retired == setup + 6 * rounds + into
    if guest.engine.name == "llvm":
        assert guest.m[MACHINE["region_steps"]] > 0.9 * guest.retired
    retired = guest.retired
    programs.remove(address)
    guest.breakpoints.remove(address)
    guest.run(steps=10_000)
    assert guest.retired == retired + 10_000


def test_taken_out_and_put_in_again(guest: Machine) -> None:
    """As a debugger does it at each stop; nothing is compiled again."""
    program, programs = start(guest)
    address = program.symbols["here"]
    for n in range(1, 20):
        programs.put(address, [reg(S1) + const(n * 1000) + EQUAL + END], [])
        guest.breakpoints.add(address)
        breaks(guest, address)
        assert guest.harts[0].x[S1] == n * 1000
        programs.remove(address)
        guest.breakpoints.remove(address)
        guest.step(0)


def test_other_conditions_at_the_same_place(guest: Machine) -> None:
    """Without taking the breakpoint out: gdb may send it again with others."""
    program, programs = start(guest)
    address = program.symbols["here"]
    guest.breakpoints.add(address)
    for n in (3_000, 6_000, 9_000):
        conditions = [reg(S1) + const(n) + EQUAL + END, reg(S1) + const(n + 1000) + EQUAL + END]
        programs.put(address, conditions, [])
        for wanted in (n, n + 1000):  # any of them stops
            breaks(guest, address)
            assert guest.harts[0].x[S1] == wanted
    programs.put(address, [], [])
    breaks(guest, address)
    assert guest.harts[0].x[S1] == 10_001


def test_a_hook_at_the_same_place_sees_every_execution(guest: Machine) -> None:
    program, programs = start(guest)
    address = program.symbols["here"]
    programs.put(address, [reg(S1) + const(4_000) + EQUAL + END], [])
    guest.breakpoints.add(address)
    guest.run(steps=6 * 2_000)
    guest.breakpoints.add(address, HOOKS)
    assert not guest.programs_at(address)
    guest.breakpoints.remove(address, HOOKS)
    assert guest.programs_at(address)
    breaks(guest, address)
    assert guest.harts[0].x[S1] == 4_000


def test_code_rewritten_under_a_condition(guest: Machine) -> None:
    """The condition stays, with the new instruction behind it."""
    program, programs = start(guest)
    address = program.symbols["here"]
    programs.put(address, [reg(S1) + const(4_000) + EQUAL + END], [])
    guest.breakpoints.add(address)
    guest.run(steps=6 * 2_000)
    guest.memory.write(address, struct.pack("<I", 0x0000_0013))  # nop
    breaks(guest, address)
    assert guest.harts[0].x[S1] == 4_000
    guest.run(steps=4)
    assert guest.harts[0].x[A0] == 8 * 4_000  # a0 - s1 is not computed any more


def test_a_condition_on_memory_that_is_not_there(guest: Machine) -> None:
    """Cannot be evaluated: the debugger is told, each time."""
    program, programs = start(guest)
    address = program.symbols["here"]
    bad = const(0x1234_5678) + ref(32) + END
    programs.put(address, [bad], [])
    guest.breakpoints.add(address)
    for n in range(1, 40):
        breaks(guest, address)
        assert guest.harts[0].x[S1] == n


# -- what only the slow routines know, and commands


def compiled(guest: Machine) -> bool:
    """Whether the engine compiles programs at all."""
    return guest.engine.name in ("interp", "llvm")


def exits_of(guest: Machine, steps: int) -> int:
    """How often the machine left its engine at a breakpoint in so many steps."""
    count = 0
    asked = guest.stops_at_breakpoint

    def counted(hart: Hart) -> bool:
        nonlocal count
        count += 1
        return asked(hart)

    guest.stops_at_breakpoint = counted
    guest.run(steps=steps)
    guest.stops_at_breakpoint = asked
    return count


@pytest.mark.parametrize("csr", ["minstret", "mscratch", "fflags"])
def test_a_condition_about_a_csr(guest: Machine, csr: str) -> None:
    """Evaluated where the breakpoint is, with the exact count."""
    program, programs = start(guest)
    hart = guest.harts[0]
    address = program.symbols["here"]
    number = {"minstret": 0xB02, "mscratch": 0x340, "fflags": 1}[csr]
    setup = (program.symbols["loop"] - RAM) // 4
    hart.write_csr(0x340, 77)
    rounds = 30_000 if compiled(guest) else 3_000
    wanted = {"minstret": setup + 6 * rounds - 4, "mscratch": 78, "fflags": 1}[csr]
    programs.put(address, [reg(65 + number) + const(wanted) + EQUAL + END], [])
    guest.breakpoints.add(address)
    if compiled(guest):
        assert exits_of(guest, 6_000) > 0  # it is adopted
        assert exits_of(guest, 6_000) == 0
    if csr == "minstret":
        breaks(guest, address)
        assert hart.x[S1] == rounds
        assert guest.retired == wanted
    else:
        assert guest.run(steps=6_000).reason is StopReason.STEPS


def test_a_condition_about_memory_that_is_not_there(guest: Machine) -> None:
    """It cannot be evaluated: the breakpoint stops, every time, as gdb's manual says."""
    program, programs = start(guest)
    address = program.symbols["here"]
    programs.put(address, [const(0x40) + ref(32) + END], [])
    guest.breakpoints.add(address)
    for n in range(1, 40):
        breaks(guest, address)
        assert guest.harts[0].x[S1] == n
    # up to 5000 it is false, then it reads what is not there
    test, no = const(5_000) + reg(S1) + LESS, const(0) + END
    to = len(test) + 3 + len(no)
    condition = test + b"\x20" + to.to_bytes(2, "big") + no + const(0x40) + ref(32) + END
    programs.put(address, [condition], [])
    breaks(guest, address)
    assert guest.harts[0].x[S1] == 5_001


def test_commands_print_every_hit_and_nothing_else(guest: Machine) -> None:
    """In order, complete at every stop, whether Python or compiled code runs them."""
    said: list[bytes] = []
    program, programs = start(guest, said.append)
    address = program.symbols["here"]
    command = printf(b"%d %x\n", reg(S1), const(WORD) + ref(32))
    programs.put(address, [], [command])
    guest.breakpoints.add(address)
    setup = (program.symbols["loop"] - RAM) // 4
    rounds = 20_000 if compiled(guest) else 2_000
    guest.run(steps=setup + 6 * rounds)
    lines = b"".join(said).splitlines()
    assert lines == [b"%d %x" % (n, 7 * (n - 1)) for n in range(1, rounds + 1)]
    assert guest.retired == setup + 6 * rounds
    if compiled(guest):
        assert exits_of(guest, 6_000) <= 6_000 // 6 // 400  # only when the ring is full
    said.clear()
    programs.remove(address)
    guest.breakpoints.remove(address)
    guest.run(steps=6_000)
    assert said == []


def test_commands_with_a_condition_and_with_text(guest: Machine) -> None:
    """Only hits that fulfil the condition print; %s is read when it is hit."""
    said: list[bytes] = []
    program, programs = start(guest, said.append)
    guest.memory.write(RAM + 0x2000, b"word\0")
    here, jump = program.symbols["here"], program.symbols["jump"]
    few = const(2_990) + reg(S1) + LESS + END
    programs.put(here, [few], [printf(b"a%d;", reg(S1)), printf(b"b;")])
    programs.put(jump, [few], [printf(b"%s;", const(RAM + 0x2000))])
    for address in (here, jump):
        guest.breakpoints.add(address)
    setup = (program.symbols["loop"] - RAM) // 4
    guest.run(steps=setup + 6 * 3_000)
    wanted = b"".join(b"a%d;b;word;" % n for n in range(2_991, 3_001))
    assert b"".join(said) == wanted
