"""Random guest programs that end: what the lockstep tests run everywhere.

A program is drawn as a list of integers, the *genes*; each is the seed of one small piece of code,
so hypothesis can shorten a failing program; gene 0 is no code at all. Everything drawn ends: jumps
go forward, loops count, functions are leaves, and a trap handler folds cause and mtval into x31 and
skips what trapped.

Registers: x1 to x25 are the programs' own (x1 links); x26 points to the scratch memory, x27 and x29
count loops, x28 and x30 are temporary, x31 sums up the traps.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from otoriscv.core import architecture
from otoriscv.core.decode import Decoder
from otoriscv.core.encode import assemble, encode
from otoriscv.core.isa_string import Isa
from otoriscv.core.isa_table import Row
from otoriscv.core.sem import Sem
from otoriscv.core.uop import uses_op
from otoriscv.jit.python.trace import DirectPolicy

__all__ = ["END", "SCRATCH", "SCRATCH_SIZE", "START", "RandomProgram", "alu_word", "random_program"]

BASE = 0x8000_0000
END = BASE  # programs end by jumping here, where they would stay
START = BASE + 0x100
SCRATCH = BASE + 0x1_0E00  # so that a page ends in it
SCRATCH_SIZE = 0x410
TABLE_AT = 0x500  # initial register values, behind the scratch memory
MEMORY = 0x2_0000  # bytes that a program may touch
HOLE = 0x0E00_0000  # nothing is there, on QEMU's virt neither

POINTER, COUNTERS, TEMP, TEMP2, SUM = 26, (27, 29), 28, 30, 31
FREE = range(1, 26)
DESTINATIONS = (0, *range(2, 26))

#: CSRs that programs access; those that QEMU 7.2 does not legalise (xepc's bit 0) come last.
_CSRS = (0x340, 0x342, 0x343, 0x140, 0x143, 0x341, 0x141)
_CSRS_IN_QEMU = 5
_ILLEGAL = (0xFFFF_FFFF, 0x0000_002B, 0x4200_0033, 0x0000)
#: What QEMU 7.2 lacks, or does wrong (ctzw looks at all 64 bits; mended in 8.0).
_NOT_IN_QEMU = frozenset(("Zicond", "ctzw"))


@dataclass(frozen=True)
class RandomProgram:
    """Memory contents by address; execution begins at `START` and ends at `END`."""

    xlen: int
    parts: tuple[tuple[int, bytes], ...]


# -- rows by what they do


def _program_ops(row: Row, xlen: int) -> list[str]:
    """The operations of a row's meaning that are not plain computation."""
    base = TABLE.named(row.expansion()[0], xlen) if row.expands else row
    sem = Sem(xlen, DirectPolicy())
    sem.begin(base, row.length, frozenset(), None, None, None)
    assert base.semantics is not None
    base.semantics(sem)
    every = ("load", "store", "branch", "jump_rel", "jump", "trap", "trap_if", "poll", "call",
             "leave", "leave_if")  # fmt: skip
    return [op for op in every if uses_op(sem.body, op)]


TABLE = architecture.TABLE


@functools.cache
def _decoder(xlen: int) -> Decoder:
    return Decoder(Isa.full(xlen))


@functools.cache
def _rows(xlen: int, kind: str, qemu: bool) -> tuple[Row, ...]:
    """The rows of a kind: alu, memory (loads and stores), branch, amo."""
    out = []
    for row in TABLE.rows:
        if xlen not in row.xlens or row.ext.startswith("X"):
            continue
        if qemu and {row.ext, row.name} & _NOT_IN_QEMU:
            continue
        ops = _program_ops(row, xlen)
        if row.name.startswith("amo"):
            found = "amo"
        elif row.name.startswith(("lr.", "sc.")):
            found = "lrsc"
        elif "branch" in ops:
            found = "branch"
        elif ops == []:
            found = "alu"
        elif set(ops) <= {"load", "store"}:
            found = "memory"
        else:
            continue
        if found == kind:
            out.append(row)
    return tuple(out)


def _fill(row: Row, rng: random.Random, **given: int) -> int | None:
    """A word of *row* with random operands but for *given*; None when that cannot be."""
    word = row.match
    try:
        for name, f in row.fields.items():
            if name in given:
                value = given[name]
            elif f.register and f.prime:
                value = rng.randrange(8, 16)
            elif f.register:
                value = rng.choice(DESTINATIONS if name == "rd" else FREE)
            else:
                value = f.extract(rng.getrandbits(32))
            word |= f.insert(value)
    except ValueError:
        return None
    return word if row.matches(word) else None


def alu_word(xlen: int, rng: random.Random, qemu: bool = False, length: int = 0) -> int:
    """An instruction that only computes, of *length* bytes if that matters."""
    while True:
        row = rng.choice(_rows(xlen, "alu", qemu))
        if length and row.length != length:
            continue
        word = _fill(row, rng)
        if word is not None and _decoder(xlen).decode(word).source is row:
            return word


# -- pieces of code


#: A piece: its length, and its words once its address and those of labels are known.
@dataclass
class _Piece:
    size: int
    words: Callable[[int], list[int]]


class _Label:
    address = 0


class _Writer:
    """Collects pieces and labels, then lays them out."""

    def __init__(self, xlen: int, qemu: bool) -> None:
        self.xlen, self.qemu = xlen, qemu
        self.out: list[_Piece | _Label] = []
        self.functions: list[tuple[_Label, list[int]]] = []

    def fixed(self, *words: int) -> None:
        """Words that do not depend on where they are."""
        self.out.append(_Piece(sum(4 if w & 3 == 3 else 2 for w in words), lambda pc: list(words)))

    def insn(self, name: str, **operands: int) -> None:
        self.fixed(_encoded(name, self.xlen, **operands))

    def to(self, label: _Label, size: int, words: Callable[[int], list[int]]) -> None:
        """Words that depend on the distance to *label*."""
        self.out.append(_Piece(size, lambda pc: words(label.address - pc)))

    def bytes(self, base: int) -> bytes:
        at = base
        for piece in self.out:
            if isinstance(piece, _Label):
                piece.address = at
            else:
                at += piece.size
        code = bytearray()
        for piece in self.out:
            if isinstance(piece, _Piece):
                before = len(code)
                for w in piece.words(base + before):
                    code += w.to_bytes(4 if w & 3 == 3 else 2, "little")
                assert len(code) - before == piece.size
        return bytes(code)

    # -- the kinds of pieces

    def block(self, genes: Sequence[int], depth: int, leaf: bool = False) -> None:
        """A sequence of pieces; jumps in it lead to places behind them in it."""
        labels = [_Label() for _ in range(len(genes) + 1)]
        n = 0
        while n < len(genes):
            rng = random.Random(genes[n])
            self.out.append(labels[n])
            if genes[n] == 0:
                n += 1
                continue
            kind = rng.choices(
                ("alu", "memory", "amo", "csr", "trap", "branch", "loop", "call"),
                (40, 18, 6, 5, 4, 14, 8 if depth < 2 and not leaf else 0, 0 if leaf else 5),
            )[0]
            if kind == "branch":
                self.branch(rng, labels[min(n + rng.randrange(1, 5), len(genes))])
            elif kind == "loop":
                inside = genes[n + 1 : n + 1 + rng.randrange(1, 9)]
                self.loop(rng, inside, depth)
                for skipped in labels[n + 1 : n + 1 + len(inside)]:
                    self.out.append(skipped)  # a jump into the loop goes behind it
                n += len(inside)
            else:
                getattr(self, kind)(rng)
            n += 1
        self.out.append(labels[-1])

    def alu(self, rng: random.Random) -> None:
        for _ in range(rng.randrange(1, 5)):
            self.fixed(alu_word(self.xlen, rng, self.qemu))

    def memory(self, rng: random.Random) -> None:
        row = rng.choice(_rows(self.xlen, "memory", self.qemu))
        base, imm = rng.choice(DESTINATIONS[1:]), "imm"
        if "uimm" in row.fields:
            imm = "uimm"
            base = rng.randrange(8, 16) if "rs1" in row.fields else 2
        offset = row.fields[imm].extract(rng.getrandbits(32))
        if not SCRATCH_SIZE - 9 - 2047 <= offset < 1024:  # addi reaches the base below
            offset = 0
        given = {imm: offset, **({"rs1": base} if "rs1" in row.fields else {})}
        word = _fill(row, rng, **given)
        if word is None:
            return
        if offset == 0 and rng.random() < 0.5:  # an address that depends on data
            self.insn("andi", rd=base, rs1=rng.choice(FREE), imm=0x3FF)
            self.insn("add", rd=base, rs1=base, rs2=POINTER)
        else:
            at = rng.randrange(0, SCRATCH_SIZE - 8)
            if rng.random() < 0.5:
                at &= -8
            self.insn("addi", rd=base, rs1=POINTER, imm=at - offset)
        self.fixed(word)

    def amo(self, rng: random.Random) -> None:
        row = rng.choice(_rows(self.xlen, "amo", self.qemu))
        size = 8 if row.name.endswith(".d") else 4
        base = rng.choice(DESTINATIONS[1:])
        self.insn("addi", rd=base, rs1=POINTER, imm=rng.randrange(0, SCRATCH_SIZE - 8) & -size)
        if rng.random() < 0.6:
            self.fixed(_fill(row, rng, rs1=base) or 0x13)
            return
        suffix = row.name[-2:]
        if rng.random() < 0.8:
            others = [r for r in DESTINATIONS if r != base]
            self.insn("lr" + suffix, rd=rng.choice(others), rs1=base)
        rd, rs2 = rng.choice(DESTINATIONS), rng.choice(FREE)
        self.insn("sc" + suffix, rd=rd, rs1=base, rs2=rs2)

    def csr(self, rng: random.Random) -> None:
        name = "csrr" + rng.choice("wsc") + rng.choice(("", "i"))
        csr = rng.choice(_CSRS[: _CSRS_IN_QEMU if self.qemu else None])
        rd = rng.choice(DESTINATIONS)
        if name.endswith("i"):
            self.insn(name, rd=rd, csr=csr, zimm=rng.randrange(32))
        else:
            self.insn(name, rd=rd, csr=csr, rs1=rng.choice((0, *FREE)))

    def trap(self, rng: random.Random) -> None:
        kind = rng.randrange(6)
        other = rng.choice(FREE)
        if kind == 0:
            self.insn(rng.choice(("ecall", "ebreak", "c.ebreak")))
        elif kind == 1:
            self.fixed(rng.choice(_ILLEGAL))
        elif kind == 2:
            self.insn("csrrw", rd=other, csr=0xF14, rs1=other)  # mhartid is read-only
        elif kind == 3:
            self.insn("addi", rd=TEMP, rs1=POINTER, imm=rng.randrange(64) | 1)
            if self.qemu:  # whose misaligned AMOs, run by one thread, trap as loads
                self.insn("lr.w", rd=other, rs1=TEMP)
            else:
                self.insn(rng.choice(("amoadd.w", "amomax.w")), rd=other, rs1=TEMP, rs2=other)
        elif kind == 4:
            self.insn("lui", rd=TEMP, imm=HOLE)
            self.insn(rng.choice(("lb", "lhu", "lw")), rd=other, rs1=TEMP, imm=rng.randrange(8) * 4)
        else:
            self.insn("lui", rd=TEMP, imm=HOLE)
            self.insn(rng.choice(("sb", "sh", "sw")), rs2=other, rs1=TEMP, imm=rng.randrange(8) * 4)

    def branch(self, rng: random.Random, label: _Label) -> None:
        xlen = self.xlen
        kind = rng.randrange(8)
        if kind < 5:
            row = rng.choice(_rows(xlen, "branch", self.qemu))
            given = {n: rng.choice(FREE) for n in ("rs1", "rs2") if n in row.fields}
            if row.fields["rs1"].prime:
                given["rs1"] = rng.randrange(8, 16)
            words = functools.partial(_encoded, row.name, xlen, **given)
            self.to(label, row.length, lambda d: [words(imm=d)])
        elif kind == 5:
            self.to(label, 2, lambda d: [_encoded("c.j", xlen, imm=d)])
        elif kind == 6:
            rd = rng.choice(DESTINATIONS)
            self.to(label, 4, lambda d: [_encoded("jal", xlen, rd=rd, imm=d)])
        else:
            rd, via = rng.choice(DESTINATIONS), rng.choice(DESTINATIONS[1:])
            self.to(
                label,
                8,
                lambda d: [
                    _encoded("auipc", xlen, rd=via, imm=(d + 0x800) & -0x1000),
                    _encoded("jalr", xlen, rd=rd, rs1=via, imm=d - ((d + 0x800) & -0x1000)),
                ],
            )

    def loop(self, rng: random.Random, inside: Sequence[int], depth: int) -> None:
        top = _Label()
        counter = COUNTERS[depth]
        self.insn("addi", rd=counter, rs1=0, imm=rng.randrange(1, 30 if depth == 0 else 8))
        self.out.append(top)
        self.block(inside, depth + 1)
        self.insn("addi", rd=counter, rs1=counter, imm=-1)
        self.to(top, 4, lambda d: [_encoded("bne", self.xlen, rs1=counter, rs2=0, imm=d)])

    def call(self, rng: random.Random) -> None:
        label = _Label()
        seeds = [rng.getrandbits(32) for _ in range(rng.randrange(1, 5))]
        self.functions.append((label, seeds))
        self.to(label, 4, lambda d: [_encoded("jal", self.xlen, rd=1, imm=d)])

    def bodies(self) -> None:
        """The functions that were called."""
        for label, seeds in self.functions:
            self.out.append(label)
            self.block(seeds, 2, leaf=True)
            self.insn("c.jr", rs1=1)


_encoded = functools.cache(encode)


@functools.cache
def _frame(xlen: int) -> bytes:
    """What is at BASE: the end, the trap handler, and at START the initialisation."""
    load, size = ("lw", 4) if xlen == 32 else ("ld", 8)
    fill = "\n".join(
        f"{load} x{n}, {TABLE_AT + size * (n - 1)}(x{POINTER})" for n in FREE
    )  # fmt: skip
    head = assemble(
        f"""
    end: j end
        .align 2
    handler:
        csrr x{TEMP}, mcause
        slli x{TEMP2}, x{SUM}, 1
        add x{SUM}, x{SUM}, x{TEMP2}
        add x{SUM}, x{SUM}, x{TEMP}
        addi x{TEMP}, x{TEMP}, -3
        beqz x{TEMP}, 1f            # what mtval is for an ebreak is free
        csrr x{TEMP2}, mtval
        xor x{SUM}, x{SUM}, x{TEMP2}
    1:  csrw mtval, zero
        csrr x{TEMP}, mepc
        lhu x{TEMP2}, 0(x{TEMP})
        andi x{TEMP2}, x{TEMP2}, 3
        addi x{TEMP2}, x{TEMP2}, -3
        addi x{TEMP}, x{TEMP}, 2
        bnez x{TEMP2}, 2f
        addi x{TEMP}, x{TEMP}, 2
    2:  csrw mepc, x{TEMP}
        mret
    """,
        xlen,
        BASE,
    )
    start = assemble(
        f"""
        la x{TEMP}, {BASE + 4:#x}
        csrw mtvec, x{TEMP}
        la x{POINTER}, {SCRATCH:#x}
        li x{SUM}, 0
        li x{COUNTERS[0]}, 0
        li x{COUNTERS[1]}, 0
        li x{TEMP2}, 0
        csrw mscratch, zero
        csrw sscratch, zero
        csrw mepc, zero
        csrw mcause, zero
        csrw mtval, zero
        csrw sepc, zero
        csrw stval, zero
        lr.w x1, (x{POINTER})
        sc.w x1, x1, (x{POINTER})
        {fill}
        la x{TEMP}, {SCRATCH:#x}
    """,
        xlen,
        START,
    )
    assert len(head.code) <= START - BASE
    return head.code.ljust(START - BASE, b"\0") + start.code


def random_program(xlen: int, genes: Sequence[int], *, qemu: bool = False) -> RandomProgram:
    """The program of *genes*; *qemu*: of instructions that QEMU has too."""
    w = _Writer(xlen, qemu)
    w.block(genes, 0)
    finish = _Label()
    w.to(finish, 4, lambda d: [_encoded("jal", xlen, rd=0, imm=d)])
    w.bodies()
    w.out.append(finish)
    frame = _frame(xlen)
    at = BASE + len(frame)
    code = w.bytes(at)
    back = END - (at + len(code))
    code += _encoded("jal", xlen, rd=0, imm=back).to_bytes(4, "little")
    assert at + len(code) <= SCRATCH
    rng = random.Random(sum(genes))
    top = 1 << (xlen - 1)
    edges = (0, 1, 2, 31, 0x7FFF_FFFF, 0x8000_0000, top - 1, top, 2 * top - 1, SCRATCH)
    values = [rng.choice((rng.choice(edges), rng.getrandbits(xlen))) for _ in FREE]
    table = b"".join(v.to_bytes(xlen // 8, "little") for v in values)
    scratch = rng.randbytes(SCRATCH_SIZE).ljust(TABLE_AT, b"\0") + table
    return RandomProgram(xlen, ((BASE, frame + code), (SCRATCH, scratch)))
