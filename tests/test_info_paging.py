"""``monitor info pages`` and ``tlb`` on page tables made here; QEMU's ``info mem`` agrees."""

from __future__ import annotations

import select
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoriscv import tools
from otoriscv.board.info_paging import pages, tlb
from otoriscv.board.translation import TABLES_LIMIT, mappings, physical, scheme_of
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.encode import encode
from otoriscv.core.isa_string import Isa

RAM = 0x8000_0000
TABLES = RAM + 0x1_0000
V, R, W, X, U, G, A, D = (1 << n for n in range(8))
#: satp's mode, levels, index bits, bytes of an entry.
MODES = {"Sv32": (1, 2, 10, 4), "Sv39": (8, 3, 9, 8), "Sv48": (9, 4, 9, 8)}


class Tables:
    """Page tables as bytes that begin at `TABLES`."""

    def __init__(self, mode: str) -> None:
        self.number, self.levels, self.bits, self.size = MODES[mode]
        self.data = bytearray(4096)
        self.satp = self.number << (31 if mode == "Sv32" else 60) | TABLES >> 12

    def map(self, va: int, pa: int, flags: int, level: int = 0) -> None:
        table = 0
        for n in range(self.levels - 1, level - 1, -1):
            at = table + (va >> 12 + n * self.bits & (1 << self.bits) - 1) * self.size
            old = int.from_bytes(self.data[at : at + self.size], "little")
            if n == level:
                new = pa >> 12 << 10 | flags
            elif old:
                table = (old >> 10 << 12) - TABLES
                continue
            else:
                table = len(self.data)
                new = TABLES + table >> 12 << 10 | V
                self.data += bytes(4096)
            self.data[at : at + self.size] = new.to_bytes(self.size, "little")


def example(mode: str) -> Tables:
    """Code, data that follows itself in memory and that does not, superpages, high addresses."""
    tables = Tables(mode)
    all_of_it = V | R | W | X | A | D
    big = 22 if mode == "Sv32" else 21
    for n in range(2):
        tables.map(RAM + (n << big), RAM + (n << big), all_of_it, 1)
    for n in range(5):
        tables.map(0x4000_0000 + 4096 * n, RAM + 0x4_0000 + 4096 * n, V | R | W | U | A | D)
    tables.map(0x4000_5000, RAM + 0x4_5000, V | R | U | A)
    tables.map(0x4000_6000, RAM + 0x4_0000, V | R | U | A)
    tables.map(0x4000_9000, 0x1000_0000, V | R | W | G)
    top = 0xFFC0_0000 if mode == "Sv32" else -1 << big & (1 << 64) - 1
    tables.map(top, RAM, V | R | X | G | A, 1)
    return tables


def code(xlen: int) -> bytes:
    """Read satp's value from 256 bytes behind, set it, and stay."""
    load = "ld" if xlen == 64 else "lw"
    words = (
        encode("auipc", xlen, rd=5),
        encode(load, xlen, rd=6, rs1=5, imm=256),
        encode("csrrw", xlen, rd=0, rs1=6, csr=0x180),
        encode("jal", xlen, rd=0, imm=0),
    )
    return b"".join(word.to_bytes(4, "little") for word in words)


def program(mode: str) -> bytes:
    """The whole of memory's beginning, to run in machine mode from RAM on."""
    tables, xlen = example(mode), 32 if mode == "Sv32" else 64
    start = code(xlen).ljust(256, b"\0") + tables.satp.to_bytes(8, "little")
    return start.ljust(TABLES - RAM, b"\0") + bytes(tables.data)


@pytest.fixture(params=MODES)
def mode(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def machine(mode: str) -> Iterator[VirtMachine]:
    isa = Isa.parse("rv32gc" if mode == "Sv32" else "rv64gc")
    made = VirtMachine(VirtConfig(isa=isa, engine="interp", bios="none"))
    made.memory.write(RAM, program(mode))
    made.harts[0].pc = RAM
    made.run(steps=10)
    yield made
    made.close()


def test_what_is_mapped(machine: VirtMachine, mode: str) -> None:
    text = pages(machine, machine.harts[0], "")
    assert text.startswith(f"hart 0: {mode}, root table at 0x80010000\n")
    rows = [line.split() for line in text.splitlines()[2:]]
    size, page = ("8M", "4M") if mode == "Sv32" else ("4M", "2M")
    top = {"Sv32": "ffc00000"}.get(mode, "ffffffffffe00000")
    pad = 8 if mode == "Sv32" else 16
    assert rows == [
        ["40000000".rjust(pad, "0"), "00000080040000", "20K", "4K", "rw-u-ad"],
        ["40005000".rjust(pad, "0"), "00000080045000", "4K", "4K", "r--u-a-"],
        ["40006000".rjust(pad, "0"), "00000080040000", "4K", "4K", "r--u-a-"],
        ["40009000".rjust(pad, "0"), "00000010000000", "4K", "4K", "rw--g--"],
        ["80000000".rjust(pad, "0"), "00000080000000", size, page, "rwx--ad"],
        [top, "00000080000000", page, page, "r-x-ga-"],
    ]


def test_the_walk_to_an_address(machine: VirtMachine, mode: str) -> None:
    hart = machine.harts[0]
    small = pages(machine, hart, "0x40005123")
    levels = MODES[mode][1]
    assert small.count("level ") == levels
    entry = 0x8004_5000 >> 2 | V | R | U | A
    assert f"level 0: entry {entry:#x} at 0x8001" in small and ", vr--u-a-\n" in small
    assert small.endswith("0x40005123 is 0x80045123, in a page of 4K\n")
    large = pages(machine, hart, "0x80101234")
    assert large.count("level ") == levels - 1
    assert "0x80101234 is 0x80101234, in a page of " in large
    assert "0x50000000 is not mapped" in pages(machine, hart, "0x50000000")
    if mode != "Sv32":
        assert "its upper bits differ" in pages(machine, hart, "0x800000000000")
    hart.priv = 1
    assert physical(hart, machine.memory, 0x4000_5123) == RAM + 0x4_5123
    with pytest.raises(ValueError, match="'nowhere' is neither an address nor a symbol"):
        pages(machine, hart, "nowhere")


def test_strange_tables(machine: VirtMachine, mode: str) -> None:
    hart, levels = machine.harts[0], MODES[mode][1]
    size = MODES[mode][3]
    pointer = TABLES >> 12 << 10 | V  # every entry leads to the same table
    machine.memory.write(TABLES, pointer.to_bytes(size, "little") * (4096 // size))
    text = pages(machine, hart, "")
    assert (f"more than {TABLES_LIMIT} page tables" in text) == (levels > 2)
    assert ("nothing is mapped" in text) == (levels == 2)
    assert "the last entry is no leaf" in pages(machine, hart, "0x1000")
    pointer = 0x10_0000 >> 2 | V  # there is a device
    machine.memory.write(TABLES, pointer.to_bytes(size, "little") * (4096 // size))
    assert "nothing is mapped" in pages(machine, hart, "")
    assert "there is no memory at the table 0x100000" in pages(machine, hart, "0x1000")
    misplaced = RAM + 0x3000 >> 2 | V | R
    machine.memory.write(TABLES, misplaced.to_bytes(size, "little"))
    assert "that is no address of such a page" in pages(machine, hart, "0x1000")
    hart.write_csr("satp", example(mode).satp & ~(TABLES >> 12) | 0x100)
    assert "there is no memory at the root table 0x100000" in pages(machine, hart, "0")
    hart.write_csr("satp", 0)
    assert "satp is Bare" in pages(machine, hart, "")


def test_the_tlb_shows_what_was_used(machine: VirtMachine, mode: str) -> None:
    hart = machine.harts[0]
    assert "M     " in tlb(machine, hart, "")  # from running
    hart.write_csr("satp", 0)
    for number in (0x3A0, 0x3B0):  # PMP lets S in
        hart.write_csr(number, 0x1F if number == 0x3A0 else -1 & (1 << hart.xlen) - 1)
    hart.write_csr("satp", example(mode).satp)
    words = (
        encode("lw", hart.xlen, rd=6, rs1=5, imm=4),
        encode("sw", hart.xlen, rs2=6, rs1=7, imm=0),
        encode("jal", hart.xlen, rd=0, imm=0),
    )
    machine.memory.write(RAM + 0x3000, b"".join(w.to_bytes(4, "little") for w in words))
    hart.write_csr("mstatus", 1 << 18)  # SUM
    hart.pc, hart.priv = RAM + 0x3000, 1
    hart.x[5], hart.x[7] = 0x4000_5000, 0x4000_1000
    machine.run(steps=20)
    assert hart.pc == RAM + 0x3008
    rows = [line.split() for line in tlb(machine, hart, "").splitlines()[2:]]
    found = {(bank, int(va, 16)): (int(pa, 16), access) for bank, va, pa, access in rows}
    assert found["S", RAM + 0x3000] == (RAM + 0x3000, "--x")
    assert found["S+SUM", 0x4000_5000] == (RAM + 0x4_5000, "r--")
    assert found["S+SUM", 0x4000_1000] == (RAM + 0x4_1000, "-w-")
    with pytest.raises(ValueError, match="all of it"):
        tlb(machine, hart, "0x1000")


@pytest.mark.qemu
def test_qemu_sees_the_same(mode: str, machine: VirtMachine, tmp_path: Path) -> None:
    xlen = machine.xlen
    qemu = tools.find_qemu(xlen)
    if not qemu.usable:
        pytest.skip(qemu.reason)
    image = tmp_path / "image"
    image.write_bytes(program(mode))
    words = ("-M", "virt", "-display", "none", "-serial", "null", "-monitor", "stdio")
    process = subprocess.Popen(
        [*qemu.command, *words, "-bios", str(image)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0,
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    said, deadline = b"", time.monotonic() + 30
    while b"-------" not in said and time.monotonic() < deadline:
        process.stdin.write(b"info mem\n")
        time.sleep(0.2)
        while select.select([process.stdout], [], [], 0.2)[0]:
            said += process.stdout.read(1 << 16)
    process.stdin.write(b"quit\n")
    process.stdin.close()
    process.stdout.close()
    process.wait(30)
    text = said.decode(errors="replace")
    rows = [line.split() for line in text[text.rindex("-----") :].splitlines() if " " in line]
    theirs = [
        (int(row[0], 16), int(row[1], 16), int(row[2], 16), row[3]) for row in rows if len(row) == 4
    ]
    scheme = scheme_of(machine.harts[0])
    assert scheme is not None
    ours = [
        (m.address, m.physical, m.size, "".join(
            c if m.flags >> bit + 1 & 1 else "-" for bit, c in enumerate("rwxugad")
        ))
        for m in mappings(scheme, machine.memory)
    ]  # fmt: skip
    assert ours == theirs, text
