"""Hot code under translation: every engine ends in the same state as one that steps, whatever
happens to the pages that the code lies in.
"""

from __future__ import annotations

import pytest

from otoriscv.core.encode import Program, assemble
from otoriscv.core.layout import MACHINE
from otoriscv.jit.llvm.engine import LlvmEngine
from tests.engine_box import ENGINES, HOT, RAM, STEP, Exit, difference
from tests.test_mmu import MODES, A, D, R, U, V, W, X, make

PAGE = 4096
CODE = 0x4001_0000  # virtual: a loop in one page, its function in the next
DATA = 0x4002_0000
CODE_AT = RAM + 0x20_0000  # physical
DATA_AT = RAM + 0x30_0000
ELSEWHERE = RAM + 0x28_0000
NATIVE = [e for e in (*ENGINES, HOT) if e != "python"]

#: Sums words of two data pages into a0, through a function in the next page; s2 counts.
LOOP = f"""
    li s0, {DATA:#x}
    li s1, {DATA + PAGE:#x}
    li s2, 0
loop:
    lw a1, 0(s0)
    jal ra, loop + {PAGE}
    sw a0, 4(s1)
    addi s2, s2, 1
    j loop
"""
FUNCTION = "lw a2, 0(s1); add a1, a1, a2; {operation} a0, a0, a1; ret"

EACH = pytest.mark.parametrize(("engine", "mode"), [(e, m) for e in NATIVE for m in MODES])


class Guest:
    """The loop in user mode."""

    def __init__(self, engine: str, mode: str, second: int = CODE_AT + PAGE) -> None:
        self.box, self.tables = make(engine, mode)
        box, tables = self.box, self.tables
        self.program: Program = assemble(LOOP, box.xlen, CODE)
        self.into = self.program.symbols["loop"] - CODE
        box.memory.write(CODE_AT, self.program.code)
        self.function(second, "add")
        for va, pa, flags in (
            (CODE, CODE_AT, R | X),
            (CODE + PAGE, second, R | X),
            (DATA, DATA_AT, R | W),
            (DATA + PAGE, DATA_AT + PAGE, R | W),
        ):
            tables.map(va, pa, flags | V | U | A | D)
        box.memory.write(DATA_AT, (3).to_bytes(4, "little"))
        box.memory.write(DATA_AT + PAGE, (4).to_bytes(4, "little"))
        box.hart.write_csr("satp", tables.satp)
        box.hart.priv = 0
        box.hart.pc = CODE

    def function(self, page: int, operation: str) -> None:
        text = FUNCTION.format(operation=operation)
        self.box.memory.write(page + self.into, assemble(text, self.box.xlen, CODE).code)

    def remap(self, va: int, pa: int, flags: int) -> None:
        """As a kernel does it, with its fence."""
        self.tables.map(va, pa, flags | V | U | A | D)
        self.box.hart.routines("tlb_flush")(self.box.q)  # type: ignore[misc]  # a routine without result


def word_of(instruction: str, xlen: int) -> int:
    return int.from_bytes(assemble(instruction, xlen, CODE).code, "little")


def both(engine: str, mode: str, second: int = CODE_AT + PAGE) -> tuple[Guest, Guest]:
    return Guest(engine, mode, second), Guest(STEP, mode, second)


def run(guests: tuple[Guest, Guest], steps: int) -> None:
    for guest in guests:
        assert guest.box.run(steps) == Exit.SLICE
    assert not (what := difference(guests[0].box, guests[1].box)), what


def hot(guest: Guest) -> float:
    """The share of steps in regions."""
    box = guest.box
    return float(box.m[MACHINE["region_steps"]] / box.steps)


@EACH
@pytest.mark.parametrize("second", [CODE_AT + PAGE, ELSEWHERE], ids=["in a row", "scattered"])
def test_hot_code(engine: str, mode: str, second: int) -> None:
    guests = both(engine, mode, second)
    for steps in (5000, 777, 1, 20_000):
        run(guests, steps)
    if engine == HOT:
        assert hot(guests[0]) > 0.5


@pytest.mark.parametrize("mode", MODES)
def test_where_regions_jump_out_to(mode: str) -> None:
    """Each is entered through the other, as their pages are not in a row in memory."""
    guest = Guest(HOT, mode, ELSEWHERE)
    box, engine = guest.box, guest.box.main_engine
    assert isinstance(engine, LlvmEngine)
    assert box.run(25_000) == Exit.SLICE
    into = CODE + guest.into
    exits = set(engine._exits.take(box.steps))
    assert exits == {(into + PAGE, True), (into + 8, True)}
    marks = {pc: engine._around.mark(box.hart, pc, translated=True) for pc, _ in exits}
    physical = {into + PAGE: ELSEWHERE + guest.into, into + 8: CODE_AT + guest.into + 8}
    places = {pc: box.memory.find(at) for pc, at in physical.items()}
    assert marks == {pc: place | 1 for pc, place in places.items() if place is not None}
    assert engine._around.mark(box.hart, DATA, translated=True) is None
    assert engine._around.mark(box.hart, CODE_AT, translated=False) == box.memory.find(CODE_AT)


@EACH
def test_another_function_in_its_place(engine: str, mode: str) -> None:
    """The same address leads to other code, and back again."""
    guests = both(engine, mode)
    for guest in guests:
        guest.function(ELSEWHERE, "sub")
    run(guests, 3000)
    for n in range(4):
        for guest in guests:
            guest.remap(CODE + PAGE, (CODE_AT + PAGE, ELSEWHERE)[n % 2 == 0], R | X)
        run(guests, 1500)


@EACH
def test_a_region_is_entered_in_its_second_page(engine: str, mode: str) -> None:
    guests = both(engine, mode)
    for guest in guests:
        box = guest.box
        text = f"loop: jal ra, loop + {PAGE}\n" + "nop\n" * 50 + "j loop"
        box.memory.write(CODE_AT, assemble(text, box.xlen, CODE).code)
        text = """
            mv   a1, s6
            beqz a1, out
        inner:
            addi a0, a0, 1
            addi a1, a1, -1
            bnez a1, inner
        out:
            ret
        """
        box.memory.write(CODE_AT + PAGE, assemble(text, box.xlen, CODE).code)
    run(guests, 9000)
    for guest in guests:
        guest.box.hart.x[22] = 2000
    before = hot(guests[0]) * guests[0].box.steps
    for _ in range(4):  # before the loop gets a region of its own
        run(guests, 250)
    if engine == HOT:
        main_engine = guests[0].box.main_engine
        assert isinstance(main_engine, LlvmEngine)
        pages = [{pc // PAGE for pc in region.covered} for region in main_engine.regions()]
        assert {CODE // PAGE, CODE // PAGE + 1} in pages
        assert hot(guests[0]) * guests[0].box.steps - before > 300


@EACH
def test_rights_taken_away(engine: str, mode: str) -> None:
    """Data becomes read-only, code not executable: the faults come at the exact instruction."""
    for va, pa, flags in ((DATA + PAGE, DATA_AT + PAGE, R), (CODE + PAGE, CODE_AT + PAGE, R)):
        guests = both(engine, mode)
        run(guests, 3000)
        for guest in guests:
            guest.remap(va, pa, flags)
        run(guests, 50)
        assert guests[0].box.hart.priv == 3


@EACH
def test_written_through_another_address(engine: str, mode: str) -> None:
    """A function is rewritten through its physical address; the change holds at once."""
    guests = both(engine, mode)
    run(guests, 3000)
    for guest in guests:
        guest.function(CODE_AT + PAGE, "sub")
    run(guests, 1000)


#: Stores into the same place of each line of three pages, the second with the function that it
#: calls after each: its first instruction is replaced once in a round, by turns.
FILL = f"""
    li s0, {DATA:#x}
    li s3, {{one:#x}}
    li s4, {{flip:#x}}
round:
    mv t0, s0
    addi a5, zero, {3 * PAGE >> 6}
loop:
    sw s3, {{into}}(t0)
    jal ra, loop + {PAGE + 0x400}
    addi t0, t0, 64
    addi a5, a5, -1
    bnez a5, loop
    xor s3, s3, s4
    j round
"""


@EACH
def test_stores_through_pages_with_and_without_code(engine: str, mode: str) -> None:
    guests = both(engine, mode)
    for guest in guests:
        box = guest.box
        one, two = (word_of(f"addi a0, a0, {n}", box.xlen) for n in (1, 2))
        text = FILL.format(one=one, flip=one ^ two, into=0)
        into = assemble(text, box.xlen, CODE).symbols["loop"] - CODE
        text = FILL.format(one=one, flip=one ^ two, into=into % 64)
        box.memory.write(CODE_AT, assemble(text, box.xlen, CODE).code)
        function = assemble(f".word {one:#x}; ret", box.xlen, CODE).code
        box.memory.write(CODE_AT + PAGE + 0x400 + into, function)
        for n, pa in enumerate((DATA_AT, CODE_AT + PAGE, DATA_AT + PAGE)):
            guest.tables.map(DATA + n * PAGE, pa, R | W | V | U | A | D)
    for _ in range(12):
        run(guests, 401)
    if engine == HOT:
        assert hot(guests[0]) > 0.2
    run(guests, 20_000)  # by and by it stays interpreted


#: Stores through one register into two pages by turns; the second has code, elsewhere in it.
BY_TURNS = f"""
    li t0, {DATA + 0x800:#x}
    li s2, {PAGE}
    jal ra, loop + {PAGE}
loop:
    sw a0, 0(t0)
    addi a0, a0, 1
    add t0, t0, s2
    sub s2, x0, s2
    lw a1, 0(t0)
    add a2, a2, a1
    j loop
"""


@EACH
@pytest.mark.parametrize("first", ["data", "code"])
def test_stores_by_turns_into_pages_with_and_without_code(
    engine: str, mode: str, first: str
) -> None:
    guests = both(engine, mode)
    for guest in guests:
        box = guest.box
        program = assemble(BY_TURNS, box.xlen, CODE)
        box.memory.write(CODE_AT, program.code)
        into = program.symbols["loop"] - CODE
        box.memory.write(CODE_AT + PAGE + into, assemble("ret", box.xlen, CODE).code)
        pages = [DATA_AT, CODE_AT + PAGE]
        for n, pa in enumerate(pages if first == "data" else reversed(pages)):
            guest.tables.map(DATA + n * PAGE, pa, R | W | V | U | A | D)
    for _ in range(12):
        run(guests, 401)
    if engine == HOT:
        assert hot(guests[0]) > 0.2


#: Loads, changes and stores one word at t0, through one register, and calls a function.
CHANGE = f"""
    li t0, {{at:#x}}
    li s4, {{flip:#x}}
    jal ra, loop + {PAGE}
loop:
    lw a1, 0(t0)
    xor a1, a1, s4
    sw a1, 0(t0)
    jal ra, loop + {PAGE}
    j loop
"""


@EACH
@pytest.mark.parametrize("page", ["code", "read-only", "zero"])
def test_a_load_says_nothing_of_a_store(engine: str, mode: str, page: str) -> None:
    """To code, which changes; to a page that must not be written, after a while."""
    guests = both(engine, mode)
    for guest in guests:
        box = guest.box
        one, two = (word_of(f"addi a0, a0, {n}", box.xlen) for n in (1, 2))
        at = {"code": DATA + 0x20, "read-only": DATA, "zero": 0x20}[page]
        text = CHANGE.format(at=at, flip=one ^ two)
        program = assemble(text, box.xlen, CODE)
        box.memory.write(CODE_AT, program.code)
        into = program.symbols["loop"] - CODE + PAGE
        box.memory.write(CODE_AT + into, assemble(f".word {one:#x}; ret", box.xlen, CODE).code)
        if page == "code":
            text = CHANGE.format(at=DATA + into % PAGE, flip=one ^ two)
            box.memory.write(CODE_AT, assemble(text, box.xlen, CODE).code)
        data = CODE_AT + PAGE if page == "code" else DATA_AT
        guest.tables.map(at & -PAGE, data, R | W | V | U | A | D)
    for _ in range(3):
        run(guests, 401)
    if page == "read-only":
        for guest in guests:
            guest.remap(DATA, DATA_AT, R)
    for _ in range(3):
        run(guests, 401)
    if page == "zero" and engine == HOT:
        assert hot(guests[0]) > 0.2


#: Accesses words over the boundary of two pages, which are not neighbours, at every distance from
#: a multiple of four.
ACROSS = f"""
    li s0, {DATA + PAGE - 16:#x}
    li a5, 0
round:
    add t0, s0, a5
    addi t1, t0, 16
loop:
    {{access}}
    add a0, a0, a1
    addi a1, a1, 99
    addi t0, t0, 4
    bltu t0, t1, loop
    addi a5, a5, 1
    andi a5, a5, 15
    j round
"""


@EACH
@pytest.mark.parametrize("access", ["lw a1, 0(t0)", "sw a0, 0(t0)"])
def test_misaligned_accesses_over_the_boundary_of_pages(
    engine: str, mode: str, access: str
) -> None:
    guests = both(engine, mode)
    for guest in guests:
        box = guest.box
        program = assemble(ACROSS.format(access=access), box.xlen, CODE)
        box.memory.write(CODE_AT, program.code)
        for n in range(2):
            box.memory.write(DATA_AT + 2 * n * PAGE, bytes(range(n, 251)) * 16)
            guest.tables.map(DATA + n * PAGE, DATA_AT + 2 * n * PAGE, R | W | V | U | A | D)
    for _ in range(12):
        run(guests, 401)
    if engine == HOT:
        assert hot(guests[0]) > 0.2
    data = [guest.box.memory.read(DATA_AT, 3 * PAGE) for guest in guests]
    assert data[0] == data[1]


@EACH
@pytest.mark.parametrize("where", ["loop", "function"])
def test_breakpoints_at_virtual_addresses(engine: str, mode: str, where: str) -> None:
    """Set while the code is hot; and the same code at another address goes on."""
    guest = Guest(engine, mode)
    box = guest.box
    alias = CODE + 64 * PAGE
    guest.tables.map(alias, CODE_AT, R | X | V | U | A | D)
    guest.tables.map(alias + PAGE, CODE_AT + PAGE, R | X | V | U | A | D)
    assert box.run(3000) == Exit.SLICE
    at = CODE + guest.into + (PAGE if where == "function" else 0)
    box.breakpoints.add(at)
    for _ in range(3):
        assert box.resume() == Exit.BREAKPOINT
        assert box.hart.pc == at
    box.hart.pc += alias - CODE
    box.hart.x[1] += alias - CODE
    rounds = box.hart.x[18]
    assert box.run(3000) == Exit.SLICE
    assert box.hart.x[18] > rounds + 300
    box.hart.pc += CODE - alias
    box.hart.x[1] += CODE - alias
    assert box.run() == Exit.BREAKPOINT
    box.breakpoints.remove(at)
    assert box.run(3000) == Exit.SLICE


@EACH
def test_a_breakpoint_set_before_there_is_translation(engine: str, mode: str) -> None:
    """Code that ran at its physical address has a breakpoint at its virtual one."""
    guest = Guest(engine, mode)
    box = guest.box
    at = CODE + guest.into
    box.breakpoints.add(at)
    box.hart.priv = 3
    box.hart.pc = CODE_AT + guest.into
    box.hart.x[8], box.hart.x[9] = DATA_AT, DATA_AT + PAGE
    assert box.run(3000) == Exit.SLICE
    box.hart.priv = 0
    box.hart.pc = CODE
    assert box.run() == Exit.BREAKPOINT
    assert box.hart.pc == at


@EACH
def test_watched_data(engine: str, mode: str) -> None:
    """A watchpoint's address is a virtual one, and everything beside it stays fast."""
    guest = Guest(engine, mode)
    box = guest.box
    assert box.run(3000) == Exit.SLICE
    box.watchpoints.add(DATA + PAGE + 4, 4, 2)
    for _ in range(3):
        assert box.resume() == Exit.WATCH
        assert box.hart.pc == CODE + guest.into + 8
