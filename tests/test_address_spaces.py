"""Fences and switches of address spaces: what they must forget, and what global pages keep.

A translation that is known shows itself: the page table is changed behind it, and without a fence
for it the old page is still read (the spec allows that; it says what a fence costs).
"""

from __future__ import annotations

import pytest

from otoriscv.core.layout import HART
from otoriscv.core.mstatus import MSTATUS
from tests.engine_box import STEP, EngineBox, Exit
from tests.test_mmu import (
    CODE_PAGE,
    EVERY_MODE,
    HANDLER,
    PAGE,
    TARGET,
    A,
    D,
    G,
    R,
    Tables,
    U,
    V,
    W,
    X,
    make,
)

OLD, NEW, GONE = 100, 200, 300
PLACES = (0x8_4000, 0x10_3000)  # in a superpage, at other indices of the TLB than other pages
every = pytest.mark.parametrize(("engine", "mode"), EVERY_MODE)
#: The engines that look into the TLB first.
native = pytest.mark.parametrize(
    ("engine", "mode"), [(e, m) for e, m in EVERY_MODE if e not in ("python", STEP)]
)


class Scene:
    """A page in supervisor mode's address space, and code that reads it before and after."""

    def __init__(self, engine: str, mode: str, flags: int) -> None:
        isa = f"rv{32 if mode == 'sv32' else 64}gc_svinval"
        self.box, self.tables = make(engine, mode, isa)
        box, tables = self.box, self.tables
        self.va = {"sv32": 0x4040_0000}.get(mode, 0x40_4000_0000 & (1 << 38) - 1)
        self.code = self.va + 0x10_0000
        self.entry = tables.map(self.va, TARGET, flags)
        tables.map(self.code, CODE_PAGE, V | R | X | A | D | G)
        self.window = self.va + 0x8000
        tables.map(self.window, self.entry & -PAGE, V | R | W | A | D | G)
        self.new = TARGET + PAGE >> 12 << 10 | flags
        for page, value in ((TARGET, OLD), (TARGET + PAGE, NEW)):
            box.memory.write(page, value.to_bytes(8, "little"))
        box.hart.write_csr("satp", tables.satp)
        box.hart.write_csr("mstatus", MSTATUS.SUM if flags & U else 0)

    def read_twice(self, between: str, **registers: int) -> tuple[int, int]:
        """Read, change the page table, do something, read."""
        box, x = self.box, self.box.hart.x
        store = "sw" if box.xlen == 32 else "sd"
        box.load(
            f"lw a0, 0(s0)\n {store} s1, 0(s2)\n {between}\n lw a1, 0(s0)\n 1: j 1b", CODE_PAGE
        )
        x[8], x[9], x[18] = self.va, self.new, self.window + (self.entry & PAGE - 1)
        for name, value in registers.items():
            x[int(name[1:])] = value
        box.hart.priv = 1
        box.hart.pc = self.code
        assert box.run(12) == Exit.SLICE
        return x[10], x[11]

    def close(self) -> None:
        self.box.close()


LEAF = V | R | W | A | D


def asid_of(tables: Tables, asid: int) -> int:
    """satp with an address space number."""
    return tables.satp | asid << (22 if tables.mode == "sv32" else 44)


@every
@pytest.mark.parametrize(
    "fence",
    ["sfence.vma", "sfence.vma s0", "sfence.vma s0, s3", "sfence.vma zero, s3",
     "sinval.vma s0, s3", "csrw satp, s4"],
)  # fmt: skip
@pytest.mark.parametrize("user", [False, True])
def test_what_forgets(engine: str, mode: str, fence: str, user: bool) -> None:
    """Everything that must forget a page that is not global does."""
    scene = Scene(engine, mode, LEAF | (U if user else 0))
    scene.box.hart.write_csr("satp", asid_of(scene.tables, 5))
    other = asid_of(scene.tables, 6)
    assert scene.read_twice(fence, x19=5, x20=other) == (OLD, NEW)
    scene.close()


@every
@pytest.mark.parametrize("fence", ["sfence.vma", "sfence.vma s0", "csrw satp, s4"])
def test_what_forgets_code(engine: str, mode: str, fence: str) -> None:
    scene = Scene(engine, mode, LEAF | X)
    box, x = scene.box, scene.box.hart.x
    for page, n in ((TARGET, OLD), (TARGET + PAGE, NEW)):
        box.load(f"li a0, {n}\n ret", page)
    box.load(
        f"jalr ra, 0(s0)\n mv s5, a0\n {'sw' if box.xlen == 32 else 'sd'} s1, 0(s2)\n {fence}\n"
        "jalr ra, 0(s0)\n mv s6, a0\n 1: j 1b",
        CODE_PAGE,
    )
    x[8], x[9], x[18] = scene.va, scene.new, scene.window + (scene.entry & PAGE - 1)
    x[20] = asid_of(scene.tables, 6)
    box.hart.priv = 1
    box.hart.pc = scene.code
    assert box.run(16) == Exit.SLICE
    assert (x[21], x[22]) == (OLD, NEW)
    scene.close()


@native
@pytest.mark.parametrize("fence", ["nop", "sfence.vma zero, s3", "sfence.vma s0, s3"])
def test_what_need_not_forget(engine: str, mode: str, fence: str) -> None:
    """Another address space's fence costs nothing."""
    highest = 1 << (8 if mode == "sv32" else 15)
    for other in (6, 5 | highest):
        scene = Scene(engine, mode, LEAF)
        scene.box.hart.write_csr("satp", asid_of(scene.tables, 5))
        assert scene.read_twice(fence, x19=other) == (OLD, OLD)
        scene.close()


@native
def test_global_pages_survive_a_switch(engine: str, mode: str) -> None:
    scene = Scene(engine, mode, LEAF | G)
    other = asid_of(scene.tables, 6)
    assert scene.read_twice("csrw satp, s4; sfence.vma zero, s3", x19=6, x20=other) == (OLD, OLD)
    scene.close()
    scene = Scene(engine, mode, LEAF | G)
    assert scene.read_twice("sfence.vma s0") == (OLD, NEW)
    scene.close()


class LargeScene:
    """A superpage at ``large``, read at two places in it, and a small page elsewhere (`Scene`).

    All are read, all page tables change, something happens, and all are read again.
    """

    def __init__(
        self, engine: str, mode: str, level: int, flags: int, places: tuple[int, int] = PLACES
    ) -> None:
        self.small = Scene(engine, mode, LEAF | flags & (U | G))
        self.box, self.tables = self.small.box, self.small.tables
        span = 1 << 12 + level * self.tables.bits
        self.large = large = self.small.va + (4 << 30 if mode != "sv32" else 64 << 20) & -span
        entry = self.tables.map(large, TARGET & -span, flags, level)
        self.places = [large + (TARGET + place & span - 1) for place in places]
        for place in places:
            self.box.memory.write(TARGET + place, OLD.to_bytes(8, "little"))
        window = self.small.window + PAGE
        self.tables.map(window, entry & -PAGE, V | R | W | A | D | G)
        self.entry = window + (entry & PAGE - 1)

    def read_twice(self, fence: str, **registers: int) -> tuple[list[int], list[int]]:
        """What is read before and after at two places of the superpage and in the small page."""
        small, box, x = self.small, self.box, self.box.hart.x
        store = "sw" if box.xlen == 32 else "sd"
        box.load(
            "lw a0, 0(s4)\n lw a1, 0(s5)\n lw a2, 0(s0)\n"
            f"{store} s1, 0(s2)\n {store} zero, 0(s6)\n {fence}\n"
            "lw a3, 0(s4)\n lw a4, 0(s5)\n lw a5, 0(s0)\n 1: j 1b",
            CODE_PAGE,
        )
        box.load("csrr t0, mepc\n addi t0, t0, 4\n csrw mepc, t0\n mret", HANDLER)
        x[8], x[9], x[18] = small.va, small.new, small.window + (small.entry & PAGE - 1)
        x[20], x[21] = self.places
        x[22] = self.entry
        x[13] = x[14] = x[15] = GONE
        for name, value in registers.items():
            x[int(name[1:])] = value
        box.hart.priv = 1
        box.hart.pc = small.code
        assert box.run(40) == Exit.SLICE
        return [x[n] for n in (10, 11, 12)], [x[n] for n in (13, 14, 15)]

    def close(self) -> None:
        self.box.close()


@every
def test_a_bit_of_sstatus_takes_effect_at_once(engine: str, mode: str) -> None:
    """SUM for a page of the user's, MXR for one that is only executable."""
    scene = Scene(engine, mode, LEAF | U)
    box, x = scene.box, scene.box.hart.x
    only_code = scene.va + 0x20_0000
    scene.tables.map(only_code, TARGET, V | X | A | D)
    box.load("csrr t0, mepc\n addi t0, t0, 4\n csrw mepc, t0\n mret", HANDLER)
    source = ""
    for n, (bit, page) in enumerate((("s2", "s0"), ("s3", "s1"))):
        source += f"lw x{10 + 4 * n}, 0({page})\n csrs sstatus, {bit}\n"
        source += f"lw x{11 + 4 * n}, 0({page})\n csrc sstatus, {bit}\n"
        source += f"lw x{12 + 4 * n}, 0({page})\n"
    box.load(source + "1: j 1b", CODE_PAGE)
    for n in range(10, 18):
        x[n] = GONE
    x[8], x[9], x[18], x[19] = scene.va, only_code, MSTATUS.SUM, MSTATUS.MXR
    box.hart.write_csr("mstatus", 0)
    box.hart.priv = 1
    box.hart.pc = scene.code
    assert box.run(60) == Exit.SLICE
    assert [x[n] for n in (10, 11, 12)] == [GONE, OLD, GONE]
    assert [x[n] for n in (14, 15, 16)] == [GONE, OLD, GONE]
    scene.close()


@every
@pytest.mark.parametrize("level", [1, 2])
@pytest.mark.parametrize("user", [False, True])
@pytest.mark.parametrize(
    "fence", ["sfence.vma s5", "sfence.vma s4, s3", "sinval.vma s5, s3", "sfence.vma s7"]
)
def test_a_fence_in_a_superpage(engine: str, mode: str, level: int, user: bool, fence: str) -> None:
    """A fence for one address, used or not, forgets all of the superpage there; elsewhere that is
    known stays."""
    if level == 2 and mode == "sv32":
        return  # it has two levels
    scene = LargeScene(engine, mode, level, LEAF | (U if user else 0))
    last = scene.large + (1 << 12 + level * scene.tables.bits) - PAGE
    before, after = scene.read_twice(fence, x23=last)
    assert before == [OLD, OLD, OLD]
    assert after[:2] == [GONE, GONE]
    if engine not in ("python", STEP):
        assert after[2] == OLD
    scene.close()


@native
def test_a_fence_in_a_global_superpage_after_a_switch(engine: str, mode: str) -> None:
    """The switch kept it, so it is still known that it is one."""
    scene = LargeScene(engine, mode, 1, LEAF | G)
    other = asid_of(scene.tables, 6)
    assert scene.read_twice("csrw satp, s7", x23=other) == ([OLD] * 3, [OLD] * 3)
    scene.close()
    scene = LargeScene(engine, mode, 1, LEAF | G)
    assert scene.read_twice("csrw satp, s7; sfence.vma s5", x23=other) == (
        [OLD] * 3, [GONE, GONE, OLD],
    )  # fmt: skip
    scene.close()


@every
@pytest.mark.parametrize("user", [False, True])
def test_a_fence_in_one_of_two_superpages(engine: str, mode: str, user: bool) -> None:
    scene = LargeScene(engine, mode, 1, LEAF | (U if user else 0))
    beside = scene.large + (1 << 12 + scene.tables.bits)
    scene.tables.map(beside, TARGET, LEAF | (U if user else 0), 1)
    _, after = scene.read_twice("lw t1, 0(s7); sfence.vma s5", x23=beside)
    assert after[:2] == [GONE, GONE]
    scene.close()


@every
@pytest.mark.parametrize("user", [False, True])
def test_a_fence_in_the_larger_of_two_superpages(engine: str, mode: str, user: bool) -> None:
    """The smaller one was entered behind it."""
    if mode == "sv32":
        return  # all have one size
    scene = LargeScene(engine, mode, 2, LEAF | (U if user else 0), (0x8_4000, 0x20_3000))
    smaller = scene.large + (1 << 30)
    scene.tables.map(smaller, TARGET, LEAF | (U if user else 0), 1)
    _, after = scene.read_twice("lw t1, 0(s7); sfence.vma s5", x23=smaller)
    assert after[:2] == [GONE, GONE]
    scene.close()


@native
@pytest.mark.parametrize("user", [False, True])
def test_a_fence_beside_a_superpage(engine: str, mode: str, user: bool) -> None:
    """It costs the superpage nothing."""
    scene = LargeScene(engine, mode, 1, LEAF | (U if user else 0))
    assert scene.read_twice("sfence.vma s0") == ([OLD, OLD, OLD], [OLD, OLD, NEW])
    scene.close()


@native
def test_a_fence_for_another_page_at_the_same_index(engine: str, mode: str) -> None:
    """Only the page itself is forgotten, not what lies in the same place of the TLB."""
    scene = Scene(engine, mode, LEAF)
    assert scene.read_twice("sfence.vma s3", x19=scene.va + (1 << 20)) == (OLD, OLD)
    scene.close()


@every
def test_global_pages_do_not_survive_another_mode(engine: str, mode: str) -> None:
    """Off, addresses are physical ones."""
    box, tables = make(engine, mode)
    tables.map(TARGET, TARGET + PAGE, LEAF | G)
    tables.map(CODE_PAGE, CODE_PAGE, V | R | X | A | D | G)
    for page, value in ((TARGET, OLD), (TARGET + PAGE, NEW)):
        box.memory.write(page, value.to_bytes(8, "little"))
    box.load(
        "lw a0, 0(s0)\n csrw satp, zero\n lw a1, 0(s0)\n csrw satp, s1\n lw a2, 0(s0)\n 1: j 1b",
        CODE_PAGE,
    )
    x = box.hart.x
    x[8], x[9] = TARGET, tables.satp
    box.hart.write_csr("satp", tables.satp)
    box.hart.priv = 1
    box.hart.pc = CODE_PAGE
    assert box.run(8) == Exit.SLICE
    assert [x[n] for n in (10, 11, 12)] == [NEW, OLD, NEW]
    box.close()


@every
def test_addresses_that_differ_in_one_bit(engine: str, mode: str) -> None:
    """Each finds its own page, whatever is remembered of the other's tables."""
    scene = Scene(engine, mode, LEAF)
    box, tables = scene.box, scene.tables
    top = tables.bits * tables.levels + 11  # the highest bits are all alike
    others = [scene.va ^ 1 << bit for bit in range(12, top)]
    others += [scene.va ^ (1 << box.xlen) - (1 << top)]
    others = [address for address in others if address not in (scene.code, scene.window)]
    for n, address in enumerate(others, 2):
        tables.map(address, TARGET + n * PAGE, LEAF)
        box.memory.write(TARGET + n * PAGE, (OLD + n).to_bytes(8, "little"))
    box.load("lw a0, 0(s0)\n lw a1, 0(s1)\n lw a2, 0(s0)\n 1: j 1b", CODE_PAGE)
    x = box.hart.x
    for n, address in enumerate(others, 2):
        x[8], x[9] = scene.va, address
        box.hart.priv = 1
        box.hart.pc = scene.code
        assert box.run(4) == Exit.SLICE
        assert [x[10], x[11], x[12]] == [OLD, OLD + n, OLD], hex(address)
    scene.close()


@every
def test_walks_find_new_tables_after_a_fence(engine: str, mode: str) -> None:
    """A pointer to a page table changes, and all addresses are fenced."""
    scene = Scene(engine, mode, LEAF)
    tables = scene.tables
    size = tables.size
    pointer = tables.entry_at(scene.va, 1)
    table = scene.entry & -PAGE
    copy = tables.next
    content = bytearray(scene.box.memory.read(table, PAGE))
    index = scene.entry & PAGE - 1
    content[index : index + size] = scene.new.to_bytes(size, "little")
    scene.box.memory.write(copy, bytes(content))
    scene.entry, scene.new = pointer, copy >> 12 << 10 | V
    tables.map(scene.window, pointer & -PAGE, LEAF | G)
    content[:] = scene.box.memory.read(table, PAGE)
    content[index : index + size] = (TARGET + PAGE >> 12 << 10 | LEAF).to_bytes(size, "little")
    scene.box.memory.write(copy, bytes(content))
    assert scene.read_twice("sfence.vma") == (OLD, NEW)
    scene.close()


@pytest.mark.parametrize("engine", ["python", "interp"])
def test_protection_at_the_bottom_of_ram(engine: str) -> None:
    """As firmware sets it: its own pages denied, the rest free without a look at the entries."""
    box = EngineBox(engine, 64, size=8 << 20)
    box.hart.write_csr("pmpaddr0", 0x8000_0000 + 0x3_FFFF >> 2)  # NAPOT, 512 KiB
    box.hart.write_csr("pmpaddr1", (1 << 54) - 1)
    box.hart.write_csr("pmpcfg0", 0x1F18)
    q = box.hart.q
    assert q[HART["pmp_free"]] == 0x8008_0000
    assert q[HART["pmp_free"]] + q[HART["pmp_free_size"]] == 0x8000_0000 + (8 << 20)
    box.hart.write_csr("pmpcfg0", 0x0018)
    assert q[HART["pmp_free_size"]] == 0
    box.close()
