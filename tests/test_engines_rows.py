"""Every row of the instruction table, on every engine, over edge operands.

The truth is core/evaluate.py running the row's micro-ops with operands read at run time. A guest
program is a loop per encoding: load registers from a table, execute, store what came out. A trap
handler notes cause and mtval and skips the instruction, so that trapping is a result like others.
"""

from __future__ import annotations

import functools
import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import pytest

from otoriscv.core import architecture
from otoriscv.core.decode import Decoder, Insn
from otoriscv.core.encode import assemble, encode
from otoriscv.core.evaluate import End, Evaluator
from otoriscv.core.fold import signed
from otoriscv.core.hart import Hart
from otoriscv.core.isa_string import Isa
from otoriscv.core.isa_table import Field, Row
from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.memory import Arena
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.uop import Value, prune, uses_op
from otoriscv.jit.python.trace import DirectPolicy
from tests.engine_box import ENGINES, EVERY, RAM, STEP, EngineBox, Exit

TABLE = architecture.TABLE
CODE = RAM
DATA = RAM + 0x4_0000  # operands
RESULTS = RAM + 0x8_0000
SCRATCH = RAM + 0xF_F000 - 64  # what the rows under test access: around a page end
SCRATCH_SIZE = 128

#: Registers of the test program itself; no row under test uses them.
LENGTH, TEMP, TABLE_END, OPERANDS, OUT = 26, 28, 29, 30, 31
CSRS = (0x340, 0x140, 0xF14, 0x7FF, 0x001)  # mscratch, sscratch, mhartid (read-only), none, fflags


@dataclass(frozen=True)
class Case:
    """An encoding to try: with each of *values*, old rd, rs2 and rs1 in this order."""

    row: Row
    insn: Insn
    values: tuple[tuple[int, int, int], ...]
    before: int = 0  # an instruction word executed first

    @property
    def word(self) -> int:
        return self.insn.bits


def edges(xlen: int) -> list[int]:
    """Operand values at which something could change."""
    top = 1 << (xlen - 1)
    out = [0, 1, 2, xlen - 1, xlen, 0x7F, 0x80, 0x7FFF, 0x8000, 0x7FFF_FFFF, 0x8000_0000]
    out += [top - 1, top, top + 1, 2 * top - 1, 2 * top - 2, 0x0123_4567_89AB_CDEF & (2 * top - 1)]
    if xlen == 64:
        out += [0xFFFF_FFFF, 0x1_0000_0000, 0xFFFF_FFFF_8000_0000, 0xFFFF_FFFF_7FFF_FFFF]
    return sorted(set(out))


# -- the reference


@functools.cache
def program(name: str, xlen: int, length: int, variant: frozenset[str]) -> list[Value]:
    """A base row's micro-ops with operands read at run time."""
    row = TABLE.named(name, xlen)
    sem = Sem(xlen, DirectPolicy())
    sem.begin(row, length, variant, None, None, None)
    assert row.semantics is not None
    row.semantics(sem)
    return prune(sem.body)


class Reference:
    """Executes single instructions by evaluating their rows."""

    def __init__(self, xlen: int) -> None:
        self.xlen = xlen
        self.arena = Arena(1 << 20)
        self.isa = Isa.full(xlen)
        self.hart = Hart(self.arena, 0, xlen, self.isa.bits)
        m = self.arena.machine
        m[MACHINE["nharts"]] = m[MACHINE["time_num"]] = m[MACHINE["time_den"]] = 1
        m[MACHINE["steps_end"]] = m[MACHINE["slice_end"]] = self.hart.q[HART["budget"]] = 1 << 40
        self.hart.q[HART["retired_end"]] = 1 << 40
        self.eval = Evaluator(self.arena.view8, xlen, load=self._load, store=self._store)
        self.scratch = bytearray(SCRATCH_SIZE)
        self._fault = 0

    def _load(self, address: int, bits: int, kind: str) -> int:
        return int.from_bytes(self.scratch[self._at(address) :][: bits // 8], "little")

    def _store(self, address: int, bits: int, value: int) -> None:
        at = self._at(address)
        self.scratch[at : at + bits // 8] = value.to_bytes(bits // 8, "little")

    def _at(self, address: int) -> int:
        assert SCRATCH <= address <= SCRATCH + SCRATCH_SIZE - 8
        return address - SCRATCH

    def execute(self, insn: Insn, pc: int) -> tuple[int, int, int]:
        """(cause + 1 or 0, tval, next pc) of an instruction."""
        slots = insn.row.slots()
        operands = {slot: insn.operands[name] for name, slot in slots.items()}
        operands["bits"] = insn.bits
        self.hart.pc = pc
        body = program(insn.row.name, self.xlen, insn.length, insn.variant)
        end = self.eval.run(body, pc=pc, operands=operands)
        mask = (1 << self.xlen) - 1
        match end:
            case End("trap", (cause, tval)):
                return cause + 1, tval & mask, pc + insn.length
            case End("branch", (_, offset)) | End("jump_rel", (offset,)):
                return 0, 0, (pc + signed(offset, self.xlen)) & mask
            case End("jump" | "poll", (target,)):
                return 0, 0, target
            case End("next" | "poll", ()):
                return 0, 0, pc + insn.length
        raise AssertionError(f"{insn.row.name} ended with {end}")


# -- what to try


def immediates(f: Field, row: Row) -> list[int]:
    """Edge values of an operand that is not a register."""
    if f.name == "csr":
        return list(CSRS)
    every = [row.match, row.match | f.mask]  # all zeros, all ones
    top = max(low + n - 1 for low, _, n in f.pieces)
    every += [row.match | f.mask & mask for mask in (~(1 << top), 1 << top, 0x5555_5555)]
    return sorted({f.extract(word) for word in every})


def registers(row: Row) -> Iterator[dict[str, int]]:
    """Register choices: different ones, x0, the same one twice."""
    names = [n for n, f in row.fields.items() if f.register]
    prime = any(row.fields[n].prime for n in names)
    a, b, c = (8, 9, 15) if prime else (5, 10, 27)
    choices = [dict(zip(names, (a, b, c), strict=False)), dict.fromkeys(names, c)]
    for same in names:
        choices.append({n: b if n == same else a for n in names})
        if not prime:
            choices.append({**choices[0], same: 0})
    seen = []
    for choice in choices:
        if choice not in seen:
            seen.append(choice)
            yield choice


def encodings(row: Row) -> Iterator[int]:
    """Words of a row: register choices, then immediates with the first choice."""
    fixed = {n: f for n, f in row.fields.items() if not f.register}
    simple = {n: next((v for v in immediates(f, row) if v), 0) for n, f in fixed.items()}
    choices = list(registers(row))
    tries = [{**simple, **choice} for choice in choices]
    for name, f in fixed.items():
        tries += [{**simple, **choices[0], name: value} for value in immediates(f, row)]
    for operands in tries:
        try:
            word = row.match
            for name, f in row.fields.items():
                word |= f.insert(operands[name])
        except ValueError:
            continue
        yield word


def cases(xlen: int, row: Row, decoder: Decoder) -> Iterator[Case]:
    """Everything to try with a row."""
    seen = set()
    for word in encodings(row):
        insn = decoder.decode(word, CODE)
        if insn.source is not row or word in seen:
            continue  # reserved, or a HINT that another row is
        seen.add(word)
        body = program(insn.row.name, xlen, insn.length, frozenset())
        if uses_op(body, "jump_rel") or uses_op(body, "branch") or uses_op(body, "jump"):
            continue  # test_jumps
        if uses_op(body, "load") or uses_op(body, "store"):
            yield from memory_cases(xlen, row, insn)
        else:
            yield Case(row, insn, tuple(value_triples(xlen, insn, every=len(seen) == 1)))


def value_triples(xlen: int, insn: Insn, *, every: bool) -> Iterator[tuple[int, int, int]]:
    """Old rd, rs2 and rs1: *every* pair of the sharpest edge values, or each edge value once."""
    values = edges(xlen)
    if "rs1" not in insn.row.fields:
        values = values[:2]
    if every and "rs2" in insn.row.fields:
        top = 1 << (xlen - 1)
        sharp = [0, 1, xlen - 1, xlen, 0x7FFF_FFFF, 0x8000_0000, top - 1, top, 2 * top - 1]
        for a in sharp:
            for b in sharp:
                yield (values[-3], b, a)
    else:
        for n, a in enumerate(values):
            yield (values[-1] ^ 0x55, values[n * 5 % len(values)], a)


def memory_cases(xlen: int, row: Row, insn: Insn) -> Iterator[Case]:
    """Addresses of every alignment, within a line and across a page end."""
    base = insn.operands.get("rs1", 0)
    if base == 0:
        return
    offset = insn.operands.get("imm", 0)
    targets = [SCRATCH + n for n in (*range(8), *range(56, 72))]
    fill = random.Random(row.name).getrandbits
    values = tuple((fill(xlen), fill(xlen), t - offset & (1 << xlen) - 1) for t in targets)
    yield Case(row, insn, values)
    if row.name.startswith("sc."):  # with the reservation that it wants, too
        rs1 = insn.operands["rs1"]
        lr = row.match & ~(0x1F << 27) | 0b00010 << 27 | rs1 << 15 | TEMP << 7
        yield Case(row, insn, tuple(v for v in values if v[2] % 8 == 0), lr)


# -- guest programs

word_of = functools.cache(encode)


def loop_of(case: Case, xlen: int) -> bytes:
    """The code that executes a case with all its values; OPERANDS and OUT go on from the last."""
    load, store, size = ("lw", "sw", 4) if xlen == 32 else ("ld", "sd", 8)
    ops = case.insn.operands
    body = [
        word_of(load, xlen, rd=ops.get(name, 0), rs1=OPERANDS, imm=n * size)
        for n, name in enumerate(("rd", "rs2", "rs1"))
    ]
    body += [case.before] * bool(case.before)
    body += [
        case.word,
        word_of(store, xlen, rs2=ops.get("rd", 0), rs1=OUT, imm=0),
        word_of("addi", xlen, rd=OPERANDS, rs1=OPERANDS, imm=3 * size),
        word_of("addi", xlen, rd=OUT, rs1=OUT, imm=3 * size),
    ]
    length = sum(4 if w & 3 == 3 else 2 for w in body)
    end = 3 * size * len(case.values)
    words = [
        word_of("addi", xlen, rd=TABLE_END, rs1=OPERANDS, imm=end),
        word_of("addi", xlen, rd=LENGTH, rs1=0, imm=case.insn.length),
        *body,
        word_of("bne", xlen, rs1=OPERANDS, rs2=TABLE_END, imm=-length),
    ]
    return b"".join(w.to_bytes(4 if w & 3 == 3 else 2, "little") for w in words)


def frame(xlen: int) -> str:
    """The start of a program, and its trap handler: cause + 1 and mtval into the result, then on
    behind the instruction."""
    store, size = ("sw", 4) if xlen == 32 else ("sd", 8)
    return f"""
        la x{TEMP}, handler
        csrw mtvec, x{TEMP}
        li x{OPERANDS}, {DATA:#x}
        li x{OUT}, {RESULTS:#x}
        j cases
    end: j end
        .align 2
    handler:
        csrr x{TEMP}, mcause
        addi x{TEMP}, x{TEMP}, 1
        {store} x{TEMP}, {size}(x{OUT})
        csrr x{TEMP}, mtval
        {store} x{TEMP}, {2 * size}(x{OUT})
        csrr x{TEMP}, mepc
        add x{TEMP}, x{TEMP}, x{LENGTH}
        csrw mepc, x{TEMP}
        mret
    cases:
    """


class Sheet:
    """Many cases as one guest program, and what must come out of it."""

    def __init__(self, xlen: int, every: Sequence[Case]) -> None:
        self.xlen, self.cases = xlen, every
        size = xlen // 8
        head = assemble(frame(xlen), xlen, CODE)
        code, data = bytearray(head.code), bytearray()
        for case in every:
            code += loop_of(case, xlen)
            for triple in case.values:
                data += b"".join(v.to_bytes(size, "little") for v in triple)
        at = CODE + len(code)
        code += word_of("jal", xlen, rd=0, imm=head.symbols["end"] - at).to_bytes(4, "little")
        self.end = head.symbols["end"]
        self.data, self.code = bytes(data), bytes(code)
        assert len(data) <= RESULTS - DATA and len(code) <= DATA - CODE
        self.expected: list[tuple[int, int, int]] = []
        self.scratch = b""
        self._expect()

    def _expect(self) -> None:
        reference = Reference(self.xlen)
        reference.scratch[:] = random.Random(1).randbytes(SCRATCH_SIZE)
        q, x = reference.hart.q, reference.hart.x
        decoder = Decoder(reference.isa)
        for case in self.cases:
            ops = case.insn.operands
            for old, b, a in case.values:
                for name, value in (("rd", old), ("rs2", b), ("rs1", a)):
                    x[ops.get(name, 0)] = value
                if case.before:
                    reference.execute(decoder.decode(case.before), 0)
                cause, tval, _ = reference.execute(case.insn, 0)
                q[HART["waiting"]] = 0
                rd = x[ops.get("rd", 0)]
                if cause and cause - 1 == CAUSE.BREAKPOINT:
                    tval = -1  # the pc: not known here
                if cause:  # as taking the trap does
                    q[HART["res_valid"]] = 0
                self.expected.append((rd, cause, tval))
        self.scratch = bytes(reference.scratch)

    def check(self, engine: str) -> None:
        """Run on *engine* and compare."""
        box = EngineBox(engine, self.xlen)
        box.memory.write(DATA, self.data)
        box.memory.write(SCRATCH, random.Random(1).randbytes(SCRATCH_SIZE))
        box.load(self.code)
        box.hart.write_csr("mie", 8)  # a pending, disabled interrupt: wfi goes on
        box.hart.set_irq(3, True)
        box.breakpoints.add(self.end)
        assert box.run(4_000_000) == Exit.BREAKPOINT, hex(box.hart.pc)
        size = self.xlen // 8
        raw = memoryview(box.memory.read(RESULTS, len(self.data)))
        found = [int.from_bytes(raw[n : n + size], "little") for n in range(0, len(raw), size)]
        at = 0
        for case in self.cases:
            for values in case.values:
                got, want = tuple(found[3 * at : 3 * at + 3]), self.expected[at]
                if want[2] == -1:
                    got = (*got[:2], -1)
                at += 1
                assert got == want, (
                    f"{engine} RV{self.xlen} {case.row.name} {case.word:#x} {case.insn.operands}, "
                    f"old rd, rs2, rs1 = {[hex(v) for v in values]}: rd, cause + 1, mtval = "
                    f"{[hex(v) for v in got]}, not {[hex(v) for v in want]}"
                )
        assert box.memory.read(SCRATCH, SCRATCH_SIZE) == self.scratch
        box.close()


#: Rows with tests of their own below, because of where they are or lead to.
ELSEWHERE = ("auipc", "mret", "sret")


def rows_of(xlen: int) -> list[Row]:
    """The rows of the package (tests of custom instructions may have added others)."""
    return [r for r in TABLE.rows if xlen in r.xlens and not r.ext.startswith("X")]


@functools.cache
def sheets(xlen: int, every: int = 1) -> list[Sheet]:
    """All rows, in programs of moderate size; *every* so many operand values."""
    decoder = Decoder(Isa.full(xlen))
    found: list[Case] = []
    for row in rows_of(xlen):
        if row.name not in ELSEWHERE:
            found += cases(xlen, row, decoder)
    out: list[Sheet] = []
    part: list[Case] = []
    room = 0
    for case in found:
        case = replace(case, values=case.values[::every])
        room += 3 * (xlen // 8) * len(case.values) + 64
        if room > 0x3_8000:
            out.append(Sheet(xlen, part))
            room, part = 0, []
        part.append(case)
    return [*out, Sheet(xlen, part)]


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("xlen", [32, 64])
def test_rows(engine: str, xlen: int) -> None:
    for sheet in sheets(xlen, 9 if engine == STEP else 1):
        sheet.check(engine)


# -- jumps, and what hangs on the pc


def jump_cases(xlen: int, decoder: Decoder) -> Iterator[tuple[Insn, int, dict[int, int]]]:
    """(instruction, its pc, registers) for every jump, branch and auipc; pcs within a page and
    across its end."""
    values = (0, 1, 1 << (xlen - 1), (1 << xlen) - 1)
    count = 0
    for row in rows_of(xlen):
        for word in encodings(row):
            count += 1
            pc = MIDDLE + (0x200, 0xFFE)[count % 2 if decoder.isa.has("Zca") else 0]
            insn = decoder.decode(word, pc)
            if insn.source is not row:
                continue
            ops = insn.operands
            rs1, rs2 = ops.get("rs1", 0), ops.get("rs2", 0)
            body = program(insn.row.name, xlen, insn.length, frozenset())
            if uses_op(body, "jump"):
                for target in (pc + 8, pc + 7, pc - 0x1002, MIDDLE + 0x1F_0000):
                    if rs1:
                        yield insn, pc, {rs1: target - ops["imm"] & (1 << xlen) - 1}
            elif uses_op(body, "branch"):
                for n, a in enumerate(values):
                    yield insn, pc, {rs1: a, rs2: values[n - 1]}
                    yield insn, pc, {rs1: a, rs2: a}
            elif insn.row.name in ("jal", "auipc"):
                yield insn, pc, {}


BIG = 6 << 20
MIDDLE = RAM + (3 << 20)
HANDLER = RAM + 0x100
STAY = 0x0000_006F  # j .


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("isa", ["rv32imac", "rv64imac", "rv32ima", "rv64ima"])
def test_jumps(engine: str, isa: str) -> None:
    isa += "_zicsr"
    xlen = Isa.parse(isa).xlen
    box = EngineBox(engine, isa=isa, size=BIG)
    reference = Reference(xlen)
    decoder = Decoder(box.isa)
    box.hart.write_csr("mtvec", HANDLER)
    box.load(STAY.to_bytes(4, "little"), HANDLER)
    steps = 0
    for insn, pc, registers in jump_cases(xlen, decoder):
        for n, value in registers.items():
            box.hart.x[n] = reference.hart.x[n] = value
        cause, tval, after = reference.execute(insn, pc)
        if -4 < after - pc < insn.length and after != pc:
            continue  # into itself
        if after != pc and not cause:
            box.memory.write(after, STAY.to_bytes(4, "little"))
        box.load(insn.bits.to_bytes(insn.length, "little"), pc)
        assert box.run(60) == Exit.SLICE
        steps += 60
        found = (box.hart.pc, box.hart.x[:], box.steps, box.q[HART["mtval"]] if cause else 0)
        want = (HANDLER if cause else after, reference.hart.x[:], steps, tval)
        assert found == want, f"{insn.source.name} {insn.operands} at {pc:#x} with {registers}"
        if cause:
            assert box.q[HART["mcause"]] == cause - 1 and box.q[HART["mepc"]] == pc
    box.close()


@pytest.mark.parametrize("engine", EVERY)
@pytest.mark.parametrize("xlen", [32, 64])
@pytest.mark.parametrize("back", ["mret", "sret"])
def test_trap_returns(engine: str, xlen: int, back: str) -> None:
    """mret and sret go where xepc says, restore the interrupt enables, end a reservation."""
    box = EngineBox(engine, xlen)
    who = back[0]
    p = box.load(f"""
        la a0, there
        csrw {who}epc, a0
        la a0, handler
        csrw mtvec, a0
        li a1, {0x80 | 3 << 11 if who == "m" else 0x20 | 1 << 8:#x}
        csrw mstatus, a1
        lr.w a2, (a0)
        {back}
        .zero 64
    there:
        csrr a3, {who}status
        sc.w a4, a2, (a0)
        wfi
        ebreak
        .align 2
    handler:
        csrr a5, mcause
    1:  j 1b
    """)
    box.hart.write_csr("mie", 8)
    box.hart.set_irq(3, True)
    assert box.run(200) == Exit.SLICE
    q, x = box.q, box.hart.x
    assert box.hart.pc == p.symbols["handler"] + 4
    if who == "m":  # MIE came on with the mret: the interrupt was taken there
        assert x[15] == 1 << (xlen - 1) | 3
        assert q[HART["mepc"]] == p.symbols["there"]
        assert q[HART["mstatus"]] & 0x1888 == 0x1880
    else:  # in S-mode machine interrupts are always on
        assert x[15] == 1 << (xlen - 1) | 3
        assert q[HART["mepc"]] == p.symbols["there"]
        assert q[HART["mstatus"]] & 0x1922 == 0x0822
    assert not q[HART["res_valid"]]
    box.close()


@pytest.mark.parametrize("xlen", [32, 64])
def test_every_row_is_here(xlen: int) -> None:
    """The tests above reach each row of the table."""
    tested = {case.row.name for sheet in sheets(xlen) for case in sheet.cases}
    tested |= {i.source.name for i, _, _ in jump_cases(xlen, Decoder(Isa.full(xlen)))}
    tested |= set(ELSEWHERE)
    assert {r.name for r in rows_of(xlen)} <= tested


def test_engines_are_listed() -> None:
    assert {"python", "interp"} <= set(ENGINES)
