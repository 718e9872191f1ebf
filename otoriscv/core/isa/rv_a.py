"""A: atomics (unprivileged spec, chapter "A"); Zalrsc and Zaamo are its halves.

All harts run on one thread, so an atomic is a load that faults as a store does, an operation, and a
store; aq and rl order nothing further. Misaligned ones always trap.

LR registers the address in the hart (``res_valid``, ``res_addr``). SC succeeds when the reservation
is still there and its own address is the reserved one; it always ends the reservation, and so does
an AMO. No other hart runs between LR and SC unless harts are switched, and a switch ends the
reservation of the hart that is left: so a store of another hart always breaks it, and an LR/SC loop
fails at most once per quantum (eventual success, section "Eventual Success of SC").
The hart's own plain stores do not end it.
"""

from __future__ import annotations

from collections.abc import Callable

from otoriscv.core.isa_table import insn
from otoriscv.core.sem import CAUSE, Sem
from otoriscv.core.uop import Value

_LRSC = "A|Zalrsc"
_AMO = "A|Zaamo"


def _aligned(m: Sem, bits: int, cause: int) -> Value:
    """The address in rs1; misaligned ones trap."""
    address = m.rs1
    m.trap_if((address & bits // 8 - 1).ne(0), cause, address)
    return address


def _lr(m: Sem, bits: int) -> None:
    address = _aligned(m, bits, CAUSE.LOAD_MISALIGNED)
    value = m.load(address, bits)
    m.set("res_valid", 1)
    m.set("res_addr", address)
    m.rd = value.sext(m.xlen)


def _sc(m: Sem, bits: int) -> None:
    address = _aligned(m, bits, CAUSE.STORE_MISALIGNED)
    value = m.rs2.trunc(bits)
    ok = m.get("res_valid").ne(0) & m.get("res_addr").eq(address.zext(64))
    with m.if_(ok):
        m.store(address, value)
    m.set("res_valid", 0)
    m.rd = (~ok).zext(m.xlen)


def _amo(m: Sem, bits: int, op: Callable[[Value, Value], Value]) -> None:
    address = _aligned(m, bits, CAUSE.STORE_MISALIGNED)
    operand = m.rs2.trunc(bits)
    old = m.load(address, bits, "w")
    m.store(address, op(old, operand))
    m.set("res_valid", 0)
    m.rd = old.sext(m.xlen)


def _swap(old: Value, new: Value) -> Value:
    return new


def _add(a: Value, b: Value) -> Value:
    return a + b


def _xor(a: Value, b: Value) -> Value:
    return a ^ b


def _and(a: Value, b: Value) -> Value:
    return a & b


def _or(a: Value, b: Value) -> Value:
    return a | b


def _min(a: Value, b: Value) -> Value:
    return a.lts(b).select(a, b)


def _max(a: Value, b: Value) -> Value:
    return a.lts(b).select(b, a)


def _minu(a: Value, b: Value) -> Value:
    return a.ltu(b).select(a, b)


def _maxu(a: Value, b: Value) -> Value:
    return a.ltu(b).select(b, a)


@insn("lr.w rd, (rs1)", "00010 aq rl 00000 rs1 010 rd 0101111", _LRSC)
def lr_w(m: Sem) -> None:
    _lr(m, 32)


@insn("sc.w rd, rs2, (rs1)", "00011 aq rl rs2 rs1 010 rd 0101111", _LRSC)
def sc_w(m: Sem) -> None:
    _sc(m, 32)


@insn("amoswap.w rd, rs2, (rs1)", "00001 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amoswap_w(m: Sem) -> None:
    _amo(m, 32, _swap)


@insn("amoadd.w rd, rs2, (rs1)", "00000 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amoadd_w(m: Sem) -> None:
    _amo(m, 32, _add)


@insn("amoxor.w rd, rs2, (rs1)", "00100 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amoxor_w(m: Sem) -> None:
    _amo(m, 32, _xor)


@insn("amoand.w rd, rs2, (rs1)", "01100 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amoand_w(m: Sem) -> None:
    _amo(m, 32, _and)


@insn("amoor.w rd, rs2, (rs1)", "01000 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amoor_w(m: Sem) -> None:
    _amo(m, 32, _or)


@insn("amomin.w rd, rs2, (rs1)", "10000 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amomin_w(m: Sem) -> None:
    _amo(m, 32, _min)


@insn("amomax.w rd, rs2, (rs1)", "10100 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amomax_w(m: Sem) -> None:
    _amo(m, 32, _max)


@insn("amominu.w rd, rs2, (rs1)", "11000 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amominu_w(m: Sem) -> None:
    _amo(m, 32, _minu)


@insn("amomaxu.w rd, rs2, (rs1)", "11100 aq rl rs2 rs1 010 rd 0101111", _AMO)
def amomaxu_w(m: Sem) -> None:
    _amo(m, 32, _maxu)


@insn("lr.d rd, (rs1)", "00010 aq rl 00000 rs1 011 rd 0101111", _LRSC, xlen=64)
def lr_d(m: Sem) -> None:
    _lr(m, 64)


@insn("sc.d rd, rs2, (rs1)", "00011 aq rl rs2 rs1 011 rd 0101111", _LRSC, xlen=64)
def sc_d(m: Sem) -> None:
    _sc(m, 64)


@insn("amoswap.d rd, rs2, (rs1)", "00001 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amoswap_d(m: Sem) -> None:
    _amo(m, 64, _swap)


@insn("amoadd.d rd, rs2, (rs1)", "00000 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amoadd_d(m: Sem) -> None:
    _amo(m, 64, _add)


@insn("amoxor.d rd, rs2, (rs1)", "00100 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amoxor_d(m: Sem) -> None:
    _amo(m, 64, _xor)


@insn("amoand.d rd, rs2, (rs1)", "01100 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amoand_d(m: Sem) -> None:
    _amo(m, 64, _and)


@insn("amoor.d rd, rs2, (rs1)", "01000 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amoor_d(m: Sem) -> None:
    _amo(m, 64, _or)


@insn("amomin.d rd, rs2, (rs1)", "10000 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amomin_d(m: Sem) -> None:
    _amo(m, 64, _min)


@insn("amomax.d rd, rs2, (rs1)", "10100 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amomax_d(m: Sem) -> None:
    _amo(m, 64, _max)


@insn("amominu.d rd, rs2, (rs1)", "11000 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amominu_d(m: Sem) -> None:
    _amo(m, 64, _minu)


@insn("amomaxu.d rd, rs2, (rs1)", "11100 aq rl rs2 rs1 011 rd 0101111", _AMO, xlen=64)
def amomaxu_d(m: Sem) -> None:
    _amo(m, 64, _maxu)
