"""Translation and physical memory protection on every engine, against a model of the two."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from otoriscv.core.encode import encode
from otoriscv.core.layout import HART
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.sem import CAUSE
from tests.engine_box import EVERY, RAM, EngineBox, Exit

V, R, W, X, U, G, A, D = (1 << n for n in range(8))
PAGE = 4096
SIZE = 8 << 20
TABLES = RAM + 0x10_0000  # page tables
TARGET = RAM + 0x40_0000  # what the page under test maps: aligned as a megapage of either width
HANDLER = RAM + 0x2000
CODE_PAGE = RAM + 0x3000
STAY = 0x0000_006F
FAULTS = {
    "r": (CAUSE.LOAD_PAGE, CAUSE.LOAD_FAULT),
    "w": (CAUSE.STORE_PAGE, CAUSE.STORE_FAULT),
    "x": (CAUSE.FETCH_PAGE, CAUSE.FETCH_FAULT),
}
#: satp's mode, levels, index bits, bytes of an entry.
MODES = {"sv32": (1, 2, 10, 4), "sv39": (8, 3, 9, 8), "sv48": (9, 4, 9, 8)}
EVERY_MODE = [(e, m) for e in EVERY for m in MODES]


@dataclass
class Tables:
    """Page tables in the guest's memory."""

    box: EngineBox
    mode: str

    def __post_init__(self) -> None:
        self.number, self.levels, self.bits, self.size = MODES[self.mode]
        self.root = TABLES
        self.next = TABLES + PAGE

    @property
    def satp(self) -> int:
        return self.number << (31 if self.mode == "sv32" else 60) | self.root >> 12

    def entry_at(self, va: int, level: int) -> int:
        """The address of the entry of *va* at *level*, with the tables above it."""
        table = self.root
        for n in range(self.levels - 1, level - 1, -1):
            index = va >> 12 + n * self.bits & (1 << self.bits) - 1
            at = table + index * self.size
            if n == level:
                return at
            pte = int.from_bytes(self.box.memory.read(at, self.size), "little")
            if not pte & V:
                pte = self.next >> 12 << 10 | V
                self.next += PAGE
                self.write(at, pte)
            assert not pte & (R | W | X)
            table = pte >> 10 << 12
        raise AssertionError

    def write(self, at: int, pte: int) -> None:
        self.box.memory.write(at, pte.to_bytes(self.size, "little"))

    def map(self, va: int, pa: int, flags: int, level: int = 0) -> int:
        """Map the page of *va*; the address of its entry."""
        at = self.entry_at(va, level)
        self.write(at, pa >> 12 << 10 | flags)
        return at

    def read(self, at: int) -> int:
        return int.from_bytes(self.box.memory.read(at, self.size), "little")


def allowed(flags: int, kind: str, user: bool, status: int) -> bool:
    """The permission bits of a leaf, as the privileged spec's 4.3.2 has them."""
    if not flags & V or (flags & W and not flags & R):
        return False
    if bool(flags & U) != user and (user or kind == "x" or not status & MSTATUS.SUM):
        return False
    if kind == "r":
        return bool(flags & R or (flags & X and status & MSTATUS.MXR))
    return bool(flags & (W if kind == "w" else X))


def make(engine: str, mode: str, isa: str = "") -> tuple[EngineBox, Tables]:
    xlen = 32 if mode == "sv32" else 64
    box = EngineBox(engine, isa=isa or f"rv{xlen}gc", size=SIZE)
    box.load(STAY.to_bytes(4, "little"), HANDLER)
    box.hart.write_csr("mtvec", HANDLER)
    box.hart.write_csr("pmpaddr0", -1 & (1 << 32) - 1 if xlen == 32 else (1 << 54) - 1)
    box.hart.write_csr("pmpcfg0", 0x1F)
    return box, Tables(box, mode)


def va_of(mode: str) -> int:
    """An address whose page, and superpage of every size, maps `TARGET` alike."""
    return {"sv32": 0x4040_0000, "sv39": 0x40_0040_0000 - (1 << 38) & (1 << 38) - 1,
            "sv48": 0x1234_4040_0000}[mode]  # fmt: skip


def probe(kind: str) -> int:
    """The instruction of an access through s0."""
    return {
        "r": encode("lw", rd=10, rs1=8, imm=0),
        "w": encode("sw", rs2=11, rs1=8, imm=0),
        "a": encode("amoadd.w", rd=10, rs1=8, rs2=11),
        "x": encode("jalr", rd=1, rs1=8, imm=0),
    }[kind]


@pytest.mark.parametrize(("engine", "mode"), EVERY_MODE)
@pytest.mark.parametrize("update", ["hardware", "svade", "adue", "no adue"])
def test_leaves(engine: str, mode: str, update: str) -> None:
    """Every permission bit, kind of access, privilege, SUM and MXR; A and D."""
    xlen = 32 if mode == "sv32" else 64
    isa = f"rv{xlen}gc" + {"svade": "_svade", "hardware": ""}.get(update, "_svadu")
    box, tables = make(engine, mode, isa)
    if update == "adue":
        box.hart.write_csr("menvcfgh" if xlen == 32 else "menvcfg", 1 << (29 if xlen == 32 else 61))
    hardware = update in ("hardware", "adue")
    rng = random.Random(f"{mode}{update}")
    va = va_of(mode)
    code = va + (1 << 30)
    for _ in range(600 if update == "hardware" else 150):
        flags = rng.getrandbits(8) & ~G | (V if rng.random() < 0.95 else 0)
        level = rng.randrange(2) if flags & (R | W | X) else 0  # else it is a pointer
        kind = rng.choice("rwxa")
        user = bool(rng.getrandbits(1))
        status = (MSTATUS.SUM if rng.getrandbits(1) else 0) | (
            MSTATUS.MXR if rng.getrandbits(1) else 0
        )
        lent = kind != "x" and rng.random() < 0.3  # MPRV
        tables.root, tables.next = TABLES, TABLES + PAGE
        box.memory.write(TABLES, bytes(16 * PAGE))
        entry = tables.map(va, TARGET, flags, level)
        tables.map(code, CODE_PAGE, V | R | X | A | D | (U if user else 0))
        box.load(probe(kind).to_bytes(4, "little"), CODE_PAGE)
        box.load(STAY.to_bytes(4, "little"), TARGET)
        box.hart.write_csr("satp", tables.satp)
        box.hart.write_csr("mstatus", status)
        if lent:
            box.hart.priv = 3
            box.hart.write_csr("mstatus", status | MSTATUS.MPRV | (0 if user else 1 << 11))
            box.hart.pc = CODE_PAGE
        else:
            box.hart.priv = 0 if user else 1
            box.hart.pc = code
        box.hart.routines("tlb_flush")(box.q)  # type: ignore[misc]  # the box has routines
        box.hart.x[8] = va
        box.hart.x[11] = 5
        steps = 2 if kind == "x" else 1
        assert box.run(steps) == Exit.SLICE
        how = "w" if kind == "a" else kind
        where = f"{kind} {'u' if user else 's'} flags {flags:#x} level {level} status {status:#x}"
        fine = allowed(flags, how, user, status)
        needed = A | (D if how == "w" else 0)
        if fine and flags & needed != needed and not hardware:
            fine = False
        if fine:
            assert box.hart.pc == (va if kind == "x" else (CODE_PAGE if lent else code) + 4), where
            assert tables.read(entry) & 0xFF == flags | needed, where
        else:
            assert box.hart.pc == HANDLER, where
            assert box.hart.read_csr("mcause") == FAULTS[how][0], where
            assert box.hart.read_csr("mtval") == va, where
            assert tables.read(entry) & 0xFF == flags, where
    box.close()


@pytest.mark.parametrize(("engine", "mode"), EVERY_MODE)
def test_malformed_tables(engine: str, mode: str) -> None:
    box, tables = make(engine, mode)
    va = va_of(mode)
    leaf = V | R | W | A | D
    cases: list[tuple[int, int, int, bool]] = [  # (level, pte, cause, whether it is mapped)
        (0, TARGET >> 2 | leaf, 0, True),
        (1, TARGET >> 2 | leaf, 0, True),
        (1, TARGET + PAGE >> 2 | leaf, CAUSE.LOAD_PAGE, False),  # a superpage out of place
        (0, TARGET >> 2 | V, CAUSE.LOAD_PAGE, False),  # a pointer at the last level
        (1, TABLES >> 2 | V | A, CAUSE.LOAD_PAGE, False),  # pointers have no A, D and U
        (1, TABLES >> 2 | V | U, CAUSE.LOAD_PAGE, False),
        (1, 0x1000_0000 >> 2 | V, CAUSE.LOAD_FAULT, False),  # a table where there is no memory
        (0, 0x1000_0000 >> 2 | leaf, CAUSE.LOAD_FAULT, False),
    ]
    if mode != "sv32":
        cases += [(0, TARGET >> 2 | leaf | 1 << bit, CAUSE.LOAD_PAGE, False) for bit in (54, 63)]
    for level, pte, cause, mapped in cases:
        box.memory.write(TABLES, bytes(16 * PAGE))
        tables.next = TABLES + PAGE
        tables.write(tables.entry_at(va, level), pte)
        box.load(probe("r").to_bytes(4, "little"), CODE_PAGE)
        box.hart.priv = 3
        box.hart.write_csr("satp", tables.satp)
        box.hart.write_csr("mstatus", MSTATUS.MPRV | 1 << 11)
        box.hart.routines("tlb_flush")(box.q)  # type: ignore[misc]  # the box has routines
        box.hart.pc, box.hart.x[8] = CODE_PAGE, va
        assert box.run(1) == Exit.SLICE
        if mapped:
            assert box.hart.pc == CODE_PAGE + 4
        else:
            assert box.hart.pc == HANDLER and box.hart.read_csr("mcause") == cause, hex(pte)
            assert box.hart.read_csr("mtval") == va
    if mode != "sv32":  # upper bits must be copies of the highest one in use
        for bad in (va | 1 << 63, va | 1 << (39 if mode == "sv39" else 48)):
            box.hart.pc, box.hart.x[8] = CODE_PAGE, bad
            box.hart.priv = 3
            box.hart.write_csr("mstatus", MSTATUS.MPRV | 1 << 11)
            assert box.run(1) == Exit.SLICE
            assert box.hart.read_csr("mcause") == CAUSE.LOAD_PAGE
            assert box.hart.read_csr("mtval") == bad
    box.close()


@pytest.mark.parametrize(("engine", "mode"), EVERY_MODE)
def test_over_two_pages(engine: str, mode: str) -> None:
    """Misaligned accesses: both pages, wherever they lie, and the fault's address."""
    box, tables = make(engine, mode)
    va = va_of(mode)
    leaf = V | R | W | X | A | D
    code = va + 0x10_0000
    tables.map(code, CODE_PAGE, leaf)
    first, second = TARGET + 0x5000, TARGET + 0x1000  # not adjacent
    box.hart.write_csr("satp", tables.satp)
    for kind, cause in (("r", CAUSE.LOAD_PAGE), ("w", CAUSE.STORE_PAGE)):
        for one, two in ((True, True), (True, False), (False, True)):
            tables.map(va, first, leaf if one else 0)
            tables.map(va + PAGE, second, leaf if two else 0)
            box.memory.write(first + PAGE - 2, b"\x11\x22\x33\x44")
            box.memory.write(second, b"\x55\x66\x77\x88")
            box.load(probe(kind).to_bytes(4, "little"), CODE_PAGE)
            box.hart.priv = 1
            box.hart.routines("tlb_flush")(box.q)  # type: ignore[misc]  # the box has routines
            box.hart.pc, box.hart.x[8], box.hart.x[11] = code, va + PAGE - 2, 0xAABB_CCDD
            assert box.run(1) == Exit.SLICE
            if one and two:
                assert box.hart.pc == code + 4
                if kind == "r":
                    assert box.hart.x[10] == 0x6655_2211
                else:
                    assert box.memory.read(first + PAGE - 2, 4) == b"\xdd\xcc\x33\x44"
                    assert box.memory.read(second, 4) == b"\xbb\xaa\x77\x88"
            else:
                assert box.hart.pc == HANDLER and box.hart.read_csr("mcause") == cause
                assert box.hart.read_csr("mtval") == (va + PAGE if one else va + PAGE - 2)
                assert box.memory.read(first + PAGE - 2, 2) == b"\x11\x22"
    # an instruction over two pages
    word = encode("addi", rd=10, rs1=0, imm=77)
    box.memory.write(first + PAGE - 2, word.to_bytes(4, "little")[:2])
    box.memory.write(second, word.to_bytes(4, "little")[2:])
    for two in (True, False):
        tables.map(va, first, leaf)
        tables.map(va + PAGE, second, leaf if two else 0)
        box.hart.priv = 1
        box.hart.routines("tlb_flush")(box.q)  # type: ignore[misc]  # the box has routines
        box.hart.pc = va + PAGE - 2
        box.hart.x[10] = 0
        box.run(1)
        if two:
            assert box.hart.pc == va + PAGE + 2 and box.hart.x[10] == 77
        else:
            assert box.hart.read_csr("mcause") == CAUSE.FETCH_PAGE
            assert box.hart.read_csr("mtval") == va + PAGE
            assert box.hart.read_csr("mepc") == va + PAGE - 2
    box.close()


@pytest.mark.parametrize(("engine", "mode"), EVERY_MODE)
def test_fences_and_switches(engine: str, mode: str) -> None:
    """A program that remaps its data and its code, and switches address spaces."""
    box, tables = make(engine, mode)
    va = va_of(mode)
    leaf = V | R | W | X | A | D
    size = 2 if mode == "sv32" else 3
    store, load = ("sw", "lw") if mode == "sv32" else ("sd", "ld")
    code, data, routine, window = va + 0x10_0000, va, va + 0x2000, va + 0x8000
    tables.map(code, CODE_PAGE, leaf)
    entry = tables.map(data, TARGET, leaf)
    other = tables.map(routine, TARGET + 0x2000, leaf)
    tables.map(window, entry & -PAGE, leaf)
    assert entry & -PAGE == other & -PAGE
    for n, page in enumerate((TARGET, TARGET + PAGE)):
        box.memory.write(page, (100 + n).to_bytes(8, "little"))
        code_of = encode("addi", rd=10, rs1=0, imm=n + 7), encode("jalr", rd=0, rs1=1, imm=0)
        box.memory.write(page + 0x2000, b"".join(w.to_bytes(4, "little") for w in code_of))
    old, new = tables.read(entry), TARGET + PAGE >> 12 << 10 | leaf
    new_code = TARGET + 0x3000 >> 12 << 10 | leaf
    first = tables.root
    tables.root = tables.next  # another address space: the same code, other data
    tables.next += PAGE
    tables.map(code, CODE_PAGE, leaf)
    tables.map(data, TARGET + 8 * PAGE, leaf)
    box.memory.write(TARGET + 8 * PAGE, (300).to_bytes(8, "little"))
    second_satp = tables.satp
    tables.root = first
    program = box.load(
        f"""
        {load} s1, 0(s0)
        jalr ra, 0(s3)
        mv s4, a0
        {store} s5, 0(s6)
        {store} s7, 0(s8)
        sfence.vma s0
        sfence.vma s3
        {load} s9, 0(s0)
        jalr ra, 0(s3)
        mv s10, a0
        csrw satp, a3
        {load} s11, 0(s0)
        csrw satp, a4
        {load} t3, 0(s0)
    1:  j 1b
    """,
        CODE_PAGE,
    )
    assert len(program.code) < PAGE
    box.hart.write_csr("satp", tables.satp)
    box.hart.priv = 1
    x = box.hart.x
    x[8], x[19], x[21], x[23] = data, routine, new, new_code
    x[22], x[24] = window + (entry & PAGE - 1), window + (other & PAGE - 1)
    x[13], x[14] = second_satp, tables.satp
    box.hart.pc = code
    assert old != new and size
    assert box.run(60) == Exit.SLICE
    assert (x[9], x[20], x[25], x[26], x[27], x[28]) == (100, 7, 101, 8, 300, 101)
    box.close()


# -- physical memory protection


def matching(cfg: int, own: int, below: int) -> tuple[int, int]:
    """The bytes (start, end) of an entry."""
    how = cfg >> 3 & 3
    if how == 1:
        return below << 2, own << 2
    if how == 2:
        return own << 2, own + 1 << 2
    if how == 3:
        ones = 0
        while own >> ones & 1:
            ones += 1
        start = own >> ones << ones
        return start << 2, start + (2 << ones) << 2
    return 0, 0


def pmp_allows(entries: list[tuple[int, int]], start: int, size: int, need: int, priv: int) -> bool:
    below = 0
    for cfg, own in entries:
        low, high = matching(cfg, own, below)
        below = own
        if low < start + size and start < high:
            if not (low <= start and start + size <= high):
                return False
            return (priv == 3 and not cfg & 0x80) or cfg & need == need
    return priv == 3


def protections(rng: random.Random) -> Iterator[tuple[int, int]]:
    """Entries around the target page."""
    for _ in range(rng.randrange(1, 8)):
        place = TARGET + rng.choice((-64, 0, 0, 0, 8, 16, 100, 4096, 8192))
        how = rng.choice((0, 1, 1, 2, 3, 3))
        cfg = rng.getrandbits(3) | how << 3 | (0x80 if rng.random() < 0.25 else 0)
        if cfg & 3 == 2:
            cfg &= ~2
        word = place >> 2
        if how == 3:
            ones = rng.choice((0, 1, 2, 9, 10, 18, 25))
            word = word >> ones << ones | (1 << ones) - 1
            word &= ~(1 << ones)
        yield cfg, word


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("xlen", [32, 64])
def test_pmp(engine: str, xlen: int) -> None:
    rng = random.Random(xlen)
    box = EngineBox(engine, isa=f"rv{xlen}gc", size=SIZE)
    box.hart.write_csr("mtvec", HANDLER)
    box.load(STAY.to_bytes(4, "little"), HANDLER)
    last = (HANDLER + 0x2000 >> 2, 0x80 | 0x0F)  # code: everybody's, up to here
    for n in range(250):
        box.hart.reset()
        box.hart.write_csr("mtvec", HANDLER)
        entries = list(protections(rng))
        entries.append((0x88 | 5, RAM >> 2))
        entries.append((last[1], last[0]))
        table = [(c & 0x9F, a & (1 << 32) - 1) for c, a in entries]
        for k, (_, own) in enumerate(table):
            box.hart.write_csr(f"pmpaddr{k}", own)
        step = xlen // 8
        for k in range(0, len(table), step):
            value = sum(c << 8 * j for j, (c, _) in enumerate(table[k : k + step]))
            box.hart.write_csr(f"pmpcfg{k // 4 if xlen == 32 else k // 4 & ~1}", value)
        priv = rng.choice((0, 1, 3))
        for _ in range(6):
            kind = rng.choice("rwa")
            at = TARGET + rng.choice((-4, 0, 4, 8, 16, 60, 100, 4092, 4096, 6, 4094, 14))
            if kind == "a":
                at &= -4
            box.load(probe(kind).to_bytes(4, "little"), CODE_PAGE)
            box.hart.priv = priv
            box.hart.pc, box.hart.x[8] = CODE_PAGE, at
            fetch = pmp_allows(table, CODE_PAGE, 4, 4, priv)
            if not fetch:
                continue
            assert box.run(1) == Exit.SLICE
            need = 1 if kind == "r" else 2
            if at & PAGE - 1 > PAGE - 4:
                room = PAGE - (at & PAGE - 1)
                fine = pmp_allows(table, at, room, need, priv) and pmp_allows(
                    table, at + room, 4 - room, need, priv
                )
            else:
                fine = pmp_allows(table, at, 4, need, priv)
            where = f"{n}: {kind} {at:#x} priv {priv} {[(hex(c), hex(a << 2)) for c, a in table]}"
            assert (box.hart.pc == CODE_PAGE + 4) == fine, where
            if not fine:
                assert box.hart.read_csr("mcause") == FAULTS["r" if kind == "r" else "w"][1]
    box.close()


@pytest.mark.parametrize("engine", EVERY)
def test_pmp_of_code(engine: str) -> None:
    """A page that is executable in part: every instruction is asked for."""
    box = EngineBox(engine, isa="rv64gc", size=SIZE)
    box.hart.write_csr("mtvec", HANDLER)
    box.load(STAY.to_bytes(4, "little"), HANDLER)
    box.load("addi a0, a0, 1; addi a0, a0, 1; c.nop; addi a0, a0, 1; addi a0, a0, 1", CODE_PAGE)
    box.hart.write_csr("pmpaddr0", CODE_PAGE >> 2)
    box.hart.write_csr("pmpaddr1", CODE_PAGE + 12 >> 2)
    box.hart.write_csr("pmpcfg0", 0x0C_00 | 0x00)
    box.hart.priv = 0
    box.hart.pc = CODE_PAGE
    assert box.run(4) == Exit.SLICE
    assert box.hart.x[10] == 2 and box.hart.read_csr("mcause") == CAUSE.FETCH_FAULT
    # the instruction at + 10 has its second half outside
    assert box.hart.read_csr("mepc") == CODE_PAGE + 10
    assert box.hart.read_csr("mtval") == CODE_PAGE + 12
    box.close()


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("xlen", [32, 64])
def test_without_entries_only_machine_mode_has_access(engine: str, xlen: int) -> None:
    box = EngineBox(engine, xlen)
    box.hart.write_csr("mtvec", RAM + 0x400)
    box.load(STAY.to_bytes(4, "little"), RAM + 0x400)
    box.load("nop; nop")
    assert box.run(1) == Exit.SLICE and box.hart.pc == RAM + 4
    box.hart.priv = 1
    box.run(1)
    assert box.hart.pc == RAM + 0x400 and box.q[HART["mcause"]] == CAUSE.FETCH_FAULT
    box.close()
