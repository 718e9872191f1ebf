"""What instructions do, on edge operands, against a second description in plain Python ints.

The programs run on the reference evaluator with operands fixed and with operands read at run time.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Callable

import pytest

from otoriscv.core.decode import Decoder, Isa
from otoriscv.core.encode import assemble_insn
from otoriscv.core.evaluate import End, Evaluator
from otoriscv.core.fold import signed
from otoriscv.core.layout import HART_SIZE, HARTS
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.uop import Builder, Value, prune

Model = Callable[[int, int, int], int]  # (a, b, xlen): the result before it is cut to XLEN


class Direct:
    """Loads and stores stay micro-ops, for the evaluator's own memory."""

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        return m.emit("load", bits, address, kind)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        m.emit("store", 0, address, value)


class Machine:
    """A hart and a few bytes of memory."""

    def __init__(self, xlen: int) -> None:
        self.xlen = xlen
        self.memory = bytearray(64)
        self.kinds: list[str] = []
        self.decoder = Decoder(Isa.full(xlen))
        self.ev = Evaluator(
            memoryview(bytearray(HARTS + HART_SIZE)), xlen, load=self.load, store=self.store
        )

    def load(self, address: int, bits: int, kind: str) -> int:
        self.kinds.append(kind)
        return int.from_bytes(self.memory[address : address + bits // 8], "little")

    def store(self, address: int, bits: int, value: int) -> None:
        self.kinds.append("s")
        self.memory[address : address + bits // 8] = value.to_bytes(bits // 8, "little")

    def x(self, n: int) -> int:
        return self.ev.peek(self.ev.slot("x", n), 64)

    def set_x(self, n: int, value: int) -> None:
        self.ev.poke(self.ev.slot("x", n), 64, value & ((1 << self.xlen) - 1))

    def slot(self, name: str) -> int:
        return self.ev.peek(self.ev.slot(name), 64)

    def execute(self, text: str, fixed: bool = True, pc: int = 0x1000) -> End:
        """One instruction, its operands fixed (as in a block) or read from the entry."""
        insn = self.decoder.decode(assemble_insn(text, self.xlen, pc), pc)
        assert insn.row.semantics is not None
        sem = Sem(self.xlen, Direct())
        operands = insn.operands if fixed else None
        sem.begin(insn.row, insn.length, insn.variant, operands, None, insn.bits if fixed else None)
        insn.row.semantics(sem)
        slots = {slot: insn.operands[name] for name, slot in insn.row.slots().items()}
        return self.ev.run(prune(sem.body), pc=pc, operands={**slots, "bits": insn.bits})


def edges(xlen: int) -> list[int]:
    top = 1 << (xlen - 1)
    some = [0, 1, 2, 31, 63, top - 1, top, 2 * top - 1, 2 * top - 2, 0x7FFF_FFFF, 0x8000_0000]
    rng = random.Random(xlen)
    return [*some, 0x80, 0x8000, 0x0123_4567, *(rng.getrandbits(xlen) for _ in range(4))]


def s(a: int, x: int) -> int:
    return signed(a, x)


def word(a: int) -> int:
    return signed(a & 0xFFFF_FFFF, 32)


def quotient(a: int, b: int) -> int:
    return abs(a) // abs(b) * (-1 if (a < 0) != (b < 0) else 1) if b else -1


def remainder(a: int, b: int) -> int:
    return a - b * quotient(a, b) if b else a


def carryless(a: int, b: int) -> int:
    out = 0
    for i in range(b.bit_length()):
        if b >> i & 1:
            out ^= a << i
    return out


def rotate(a: int, n: int, x: int) -> int:
    n %= x
    a &= (1 << x) - 1
    return a << n | a >> (x - n)


def each_byte(a: int, f: Callable[[int], int]) -> int:
    return int.from_bytes(bytes(f(v) for v in a.to_bytes(8, "little")), "little")


REGISTER: dict[str, Model] = {
    "add": lambda a, b, x: a + b,
    "sub": lambda a, b, x: a - b,
    "sll": lambda a, b, x: a << b % x,
    "srl": lambda a, b, x: a >> b % x,
    "sra": lambda a, b, x: s(a, x) >> b % x,
    "slt": lambda a, b, x: s(a, x) < s(b, x),
    "sltu": lambda a, b, x: a < b,
    "xor": lambda a, b, x: a ^ b,
    "or": lambda a, b, x: a | b,
    "and": lambda a, b, x: a & b,
    "mul": lambda a, b, x: a * b,
    "mulh": lambda a, b, x: s(a, x) * s(b, x) >> x,
    "mulhsu": lambda a, b, x: s(a, x) * b >> x,
    "mulhu": lambda a, b, x: a * b >> x,
    "div": lambda a, b, x: quotient(s(a, x), s(b, x)),
    "divu": lambda a, b, x: a // b if b else -1,
    "rem": lambda a, b, x: remainder(s(a, x), s(b, x)),
    "remu": lambda a, b, x: a % b if b else a,
    "sh1add": lambda a, b, x: b + 2 * a,
    "sh2add": lambda a, b, x: b + 4 * a,
    "sh3add": lambda a, b, x: b + 8 * a,
    "andn": lambda a, b, x: a & ~b,
    "orn": lambda a, b, x: a | ~b,
    "xnor": lambda a, b, x: ~(a ^ b),
    "max": lambda a, b, x: max(s(a, x), s(b, x)),
    "maxu": lambda a, b, x: max(a, b),
    "min": lambda a, b, x: min(s(a, x), s(b, x)),
    "minu": lambda a, b, x: min(a, b),
    "rol": rotate,
    "ror": lambda a, b, x: rotate(a, -b, x),
    "clmul": lambda a, b, x: carryless(a, b),
    "clmulh": lambda a, b, x: carryless(a, b) >> x,
    "clmulr": lambda a, b, x: carryless(a, b) >> (x - 1),
    "bclr": lambda a, b, x: a & ~(1 << b % x),
    "bext": lambda a, b, x: a >> b % x & 1,
    "binv": lambda a, b, x: a ^ 1 << b % x,
    "bset": lambda a, b, x: a | 1 << b % x,
    "czero.eqz": lambda a, b, x: a if b else 0,
    "czero.nez": lambda a, b, x: 0 if b else a,
}
REGISTER_64: dict[str, Model] = {
    "addw": lambda a, b, x: word(a + b),
    "subw": lambda a, b, x: word(a - b),
    "sllw": lambda a, b, x: word(a << b % 32),
    "srlw": lambda a, b, x: word((a & 0xFFFF_FFFF) >> b % 32),
    "sraw": lambda a, b, x: word(a) >> b % 32,
    "mulw": lambda a, b, x: word(a * b),
    "divw": lambda a, b, x: word(quotient(word(a), word(b))),
    "divuw": lambda a, b, x: word((a & 0xFFFF_FFFF) // (b & 0xFFFF_FFFF)) if word(b) else -1,
    "remw": lambda a, b, x: word(remainder(word(a), word(b))),
    "remuw": lambda a, b, x: word((a & 0xFFFF_FFFF) % (b & 0xFFFF_FFFF) if word(b) else a),
    "add.uw": lambda a, b, x: b + (a & 0xFFFF_FFFF),
    "sh1add.uw": lambda a, b, x: b + 2 * (a & 0xFFFF_FFFF),
    "sh2add.uw": lambda a, b, x: b + 4 * (a & 0xFFFF_FFFF),
    "sh3add.uw": lambda a, b, x: b + 8 * (a & 0xFFFF_FFFF),
    "rolw": lambda a, b, x: word(rotate(a, b, 32)),
    "rorw": lambda a, b, x: word(rotate(a, -b, 32)),
}
ONE: dict[str, Model] = {
    "clz": lambda a, b, x: x - a.bit_length(),
    "ctz": lambda a, b, x: (a & -a).bit_length() - 1 if a else x,
    "cpop": lambda a, b, x: a.bit_count(),
    "sext.b": lambda a, b, x: signed(a & 0xFF, 8),
    "sext.h": lambda a, b, x: signed(a & 0xFFFF, 16),
    "zext.h": lambda a, b, x: a & 0xFFFF,
    "orc.b": lambda a, b, x: each_byte(a, lambda v: 255 if v else 0),
    "rev8": lambda a, b, x: int.from_bytes(a.to_bytes(x // 8, "little"), "big"),
}
ONE_64: dict[str, Model] = {
    "clzw": lambda a, b, x: 32 - (a & 0xFFFF_FFFF).bit_length(),
    "ctzw": lambda a, b, x: ((a & -a).bit_length() - 1) if a & 0xFFFF_FFFF else 32,
    "cpopw": lambda a, b, x: (a & 0xFFFF_FFFF).bit_count(),
}
#: Immediate form: the register form it equals, with the immediates to try.
IMMEDIATE = {
    "addi": "add", "slti": "slt", "sltiu": "sltu", "xori": "xor", "ori": "or", "andi": "and",
}  # fmt: skip
SHIFTS = {
    "slli": "sll", "srli": "srl", "srai": "sra", "rori": "ror", "bclri": "bclr", "bexti": "bext",
    "binvi": "binv", "bseti": "bset",
}  # fmt: skip
SHIFTS_W = {"slliw": "sllw", "srliw": "srlw", "sraiw": "sraw", "roriw": "rorw"}


def compare(m: Machine, text: str, a: int, b: int, want: int) -> None:
    want &= (1 << m.xlen) - 1
    for fixed in (True, False):
        m.set_x(10, 0x55)
        m.set_x(11, a)
        m.set_x(12, b)
        assert m.execute(text, fixed) == End("next")
        assert m.x(10) == want, f"{text} a={a:#x} b={b:#x}: {m.x(10):#x}, not {want:#x}"


@pytest.mark.parametrize("xlen", [32, 64])
def test_arithmetic(xlen: int) -> None:
    m = Machine(xlen)
    models = {**REGISTER, **(REGISTER_64 if xlen == 64 else {})}
    values = edges(xlen)
    rng = random.Random(0)
    pairs = [
        *itertools.product(values[:8], values[:8]),
        *((rng.choice(values), rng.choice(values)) for _ in range(20)),
    ]
    for name, model in models.items():
        for a, b in rng.sample(pairs, 16 if name.startswith("clmul") else 28):
            a, b = a & (1 << xlen) - 1, b & (1 << xlen) - 1
            compare(m, f"{name} a0, a1, a2", a, b, model(a, b, xlen))
    for name, model in {**ONE, **(ONE_64 if xlen == 64 else {})}.items():
        for a in values:
            a &= (1 << xlen) - 1
            compare(m, f"{name} a0, a1", a, 0, model(a, 0, xlen))


@pytest.mark.parametrize("xlen", [32, 64])
def test_immediates(xlen: int) -> None:
    m = Machine(xlen)
    mask = (1 << xlen) - 1
    for name, register in IMMEDIATE.items():
        for a, b in itertools.product(edges(xlen)[:9], (0, 1, -1, 2047, -2048)):
            a &= mask
            compare(m, f"{name} a0, a1, {b}", a, 0, REGISTER[register](a, b & mask, xlen))
    shifts = {n: (REGISTER[r], xlen) for n, r in SHIFTS.items()}
    if xlen == 64:
        shifts |= {n: (REGISTER_64[r], 32) for n, r in SHIFTS_W.items()}
        shifts["slli.uw"] = (lambda a, b, x: (a & 0xFFFF_FFFF) << b, 64)
        for a in edges(64):
            compare(m, "addiw a0, a1, -7", a, 0, word(a - 7))
    for name, (model, width) in shifts.items():
        for a, b in itertools.product(edges(xlen)[3:12], (0, 1, 31, width - 1)):
            a &= mask
            compare(m, f"{name} a0, a1, {b}", a, 0, model(a, b, xlen))
    compare(m, "lui a0, 0x80000", 0, 0, -0x8000_0000)
    compare(m, "auipc a0, 0xfffff", 0, 0, 0x1000 - 0x1000)


@pytest.mark.parametrize("xlen", [32, 64])
def test_jumps(xlen: int) -> None:
    m = Machine(xlen)
    mask = (1 << xlen) - 1
    taken: dict[str, Callable[[int, int], bool]] = {
        "beq": lambda a, b: a == b,
        "bne": lambda a, b: a != b,
        "blt": lambda a, b: s(a, xlen) < s(b, xlen),
        "bge": lambda a, b: s(a, xlen) >= s(b, xlen),
        "bltu": lambda a, b: a < b,
        "bgeu": lambda a, b: a >= b,
    }
    for name, model in taken.items():
        for a, b in itertools.product(edges(xlen)[:8], repeat=2):
            m.set_x(11, a)
            m.set_x(12, b)
            end = m.execute(f"{name} a1, a2, 0x0ff0")
            want = End("branch", (1, -0x10 & mask)) if model(a & mask, b & mask) else End("next")
            assert end == want
    m.set_x(11, 0x2001)
    assert m.execute("jalr a1, 2(a1)") == End("jump", (0x2002,)) and m.x(11) == 0x1004
    assert m.execute("jal a1, 0x800") == End("jump_rel", (-0x800 & mask,)) and m.x(11) == 0x1004
    assert m.execute("c.jr a1") == End("jump", (0x1004,))
    m.decoder = Decoder(Isa.parse(f"rv{xlen}i"))
    m.set_x(11, 0x2001)
    assert m.execute("jalr a1, 2(a1)") == End("trap", (CAUSE.FETCH_MISALIGNED, 0x2002))
    assert m.x(11) == 0x2001
    assert m.execute("jal a1, 0x802") == End("trap", (CAUSE.FETCH_MISALIGNED, 0x802))
    assert m.execute("bne a1, a2, 0x802") == End("trap", (CAUSE.FETCH_MISALIGNED, 0x802))
    m.set_x(12, 0x2001)
    assert m.execute("bne a1, a2, 0x802") == End("next")


@pytest.mark.parametrize("xlen", [32, 64])
def test_loads_and_stores(xlen: int) -> None:
    m = Machine(xlen)
    mask = (1 << xlen) - 1
    m.memory[8:16] = bytes(range(0xF8, 0x100))
    value = int.from_bytes(m.memory[8:16], "little")
    sizes = {"b": 8, "h": 16, "w": 32, **({"d": 64} if xlen == 64 else {})}
    for letter, bits in sizes.items():
        low = value & (1 << bits) - 1
        m.set_x(11, 12)
        assert m.execute(f"l{letter} a0, -4(a1)") == End("next")
        assert m.x(10) == signed(low, bits) & mask
        if bits < xlen:
            assert m.execute(f"l{letter}u a0, -4(a1)") == End("next")
            assert m.x(10) == low
        m.set_x(10, 0x0123_4567_89AB_CDEF)
        assert m.execute(f"s{letter} a0, 20(a1)") == End("next")
        written = (0x0123_4567_89AB_CDEF & (1 << bits) - 1).to_bytes(bits // 8, "little")
        assert m.memory[32 : 32 + bits // 8] == written
        assert m.memory[32 + bits // 8] == 0
        m.memory[32:48] = bytes(16)


AMO: dict[str, Model] = {
    "amoswap": lambda a, b, x: b,
    "amoadd": REGISTER["add"],
    "amoxor": REGISTER["xor"],
    "amoand": REGISTER["and"],
    "amoor": REGISTER["or"],
    "amomin": REGISTER["min"],
    "amomax": REGISTER["max"],
    "amominu": REGISTER["minu"],
    "amomaxu": REGISTER["maxu"],
}


@pytest.mark.parametrize("xlen", [32, 64])
def test_atomics(xlen: int) -> None:
    m = Machine(xlen)
    mask = (1 << xlen) - 1
    for name, model in AMO.items():
        for letter, bits in (("w", 32), ("d", 64)):
            if bits > xlen:
                continue
            for a, b in itertools.product((0, 1, 1 << (bits - 1), (1 << bits) - 1), repeat=2):
                m.memory[16 : 16 + bits // 8] = a.to_bytes(bits // 8, "little")
                m.set_x(11, 16)
                m.set_x(12, b | 0xABCD << bits)
                m.kinds = []
                m.execute(f"{name}.{letter}.aqrl a0, a2, (a1)")
                assert m.kinds == ["w", "s"]
                assert m.x(10) == signed(a, bits) & mask
                now = int.from_bytes(m.memory[16 : 16 + bits // 8], "little")
                assert now == model(a, b, bits) & (1 << bits) - 1
    m.set_x(11, 18)
    before = bytes(m.memory)
    assert m.execute("amoadd.w a0, a2, (a1)") == End("trap", (CAUSE.STORE_MISALIGNED, 18))
    assert m.execute("sc.w a0, a2, (a1)") == End("trap", (CAUSE.STORE_MISALIGNED, 18))
    assert m.execute("lr.w a0, (a1)") == End("trap", (CAUSE.LOAD_MISALIGNED, 18))
    assert bytes(m.memory) == before


@pytest.mark.parametrize("xlen", [32, 64])
def test_reservations(xlen: int) -> None:
    m = Machine(xlen)

    def sc(address: int) -> int:
        m.set_x(11, address)
        m.set_x(12, 0x77)
        m.execute("sc.w a0, a2, (a1)")
        return m.x(10)

    def lr(address: int) -> None:
        m.set_x(11, address)
        m.execute("lr.w a0, (a1)")

    assert sc(16) == 1 and m.memory[16] == 0  # no reservation
    lr(16)
    assert m.slot("res_valid") == 1 and m.slot("res_addr") == 16
    assert sc(16) == 0 and m.memory[16] == 0x77
    assert sc(16) == 1  # used up
    lr(16)
    assert sc(20) == 1 and m.memory[20] == 0  # another address
    assert sc(16) == 1  # a failing SC ends it too
    lr(16)
    m.execute("amoadd.w a0, a2, (a1)")
    assert sc(16) == 1


def test_system() -> None:
    m = Machine(64)
    m.ev.poke(m.ev.slot("priv"), 64, 3)
    assert m.execute("ecall") == End("trap", (CAUSE.ECALL_M, 0))
    assert m.execute("ebreak") == End("trap", (CAUSE.BREAKPOINT, 0x1000))
    for nothing in ("fence rw, rw", "fence.i", "pause"):
        assert m.execute(nothing) == End("next")
