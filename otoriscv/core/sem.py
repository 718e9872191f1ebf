"""What a semantic function sees: `Sem`, a micro-op builder with the instruction's operands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final, Protocol

from otoriscv.core.isa_table import REGISTER_FIELDS, UNREAD, Row
from otoriscv.core.uop import Arg, Builder, Value

__all__ = ["CAUSE", "MemoryPolicy", "Sem"]


class CAUSE:
    """Exception causes (privileged spec, table 'mcause')."""

    FETCH_MISALIGNED: Final = 0
    FETCH_FAULT: Final = 1
    ILLEGAL: Final = 2
    BREAKPOINT: Final = 3
    LOAD_MISALIGNED: Final = 4
    LOAD_FAULT: Final = 5
    STORE_MISALIGNED: Final = 6
    STORE_FAULT: Final = 7
    ECALL_U: Final = 8
    ECALL_S: Final = 9
    ECALL_M: Final = 11
    FETCH_PAGE: Final = 12
    LOAD_PAGE: Final = 13
    STORE_PAGE: Final = 15


class MemoryPolicy(Protocol):
    """How loads and stores are expanded for a backend (core/policy.py)."""

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value: ...

    def store(self, m: Builder, address: Value, value: Value) -> None: ...


class Sem(Builder):
    """Builds the micro-ops of instructions.

    Operands are opaque typed values: registers read as XLEN-wide values through ``m.rs1``, writing
    is ``m.rd = value``, immediates are ``m.imm`` and so on. With *operands* given they are fixed
    numbers (blocks); without, they are read at run time from the decoded entry (interpreter).
    """

    def __init__(self, xlen: int, policy: MemoryPolicy) -> None:
        super().__init__(xlen)
        self.policy = policy
        self.row: Row | None = None
        self.variant: frozenset[str] = frozenset()
        self._fixed: Mapping[str, int] | None = None
        self._slots: Mapping[str, str] = {}
        self._pc: Value | None = None
        self.length = 4
        self.ended = False

    def begin(
        self,
        row: Row,
        length: int,
        variant: frozenset[str],
        operands: Mapping[str, int] | None,
        pc: Value | None,
        bits: int | None,
    ) -> None:
        """Start an instruction; *operands* and *bits* None: read at run time."""
        self.row = row
        self.length = length
        self.variant = variant
        self._fixed = operands
        self._slots = row.slots() if operands is None else {}
        self._pc = pc if pc is not None else self.emit("pc", self.xlen)
        self._bits = bits
        self.ended = False

    # -- operands

    def operand(self, name: str) -> Value:
        """A non-register operand, XLEN bits wide (signed ones sign-extended)."""
        if self._fixed is not None:
            return self.const(self._fixed[name], self.xlen)
        return self.emit("operand", self.xlen, self._slots[name])

    def _reg(self, name: str) -> int | str:
        return self._fixed[name] if self._fixed is not None else self._slots[name]

    def read_x(self, name: str) -> Value:
        """The integer register that operand *name* selects."""
        reg = self._reg(name)
        return self.const(0, self.xlen) if reg == 0 else self.emit("get_x", self.xlen, reg)

    def write_x(self, name: str, value: Value) -> None:
        """Write the integer register that operand *name* selects."""
        if value.width != self.xlen:
            raise TypeError(f"{name} is {self.xlen} bits, value {value.width}")
        reg = self._reg(name)
        if reg != 0:
            self.emit("set_x", 0, reg, value)

    def read_f(self, name: str) -> Value:
        """The 64 bits of the floating-point register that operand *name* selects."""
        return self.emit("get_f", 64, self._reg(name))

    def write_f(self, name: str, value: Value) -> None:
        """Write all 64 bits of the floating-point register that operand *name* selects."""
        if value.width != 64:
            raise TypeError(f"{name} is 64 bits, value {value.width}")
        self.emit("set_f", 0, self._reg(name), value)

    @property
    def rs1(self) -> Value:
        return self.read_x("rs1")

    @property
    def rs2(self) -> Value:
        return self.read_x("rs2")

    @property
    def rs3(self) -> Value:
        return self.read_x("rs3")

    @property
    def rd(self) -> Value:
        return self.read_x("rd")

    @rd.setter
    def rd(self, value: Value) -> None:
        self.write_x("rd", value)

    @property
    def imm(self) -> Value:
        return self.operand("imm")

    @property
    def shamt(self) -> Value:
        return self.operand("shamt")

    @property
    def pc(self) -> Value:
        """The address of this instruction."""
        assert self._pc is not None
        return self._pc

    @property
    def npc(self) -> Value:
        """The address of the next instruction in memory."""
        return self.pc + self.length

    @property
    def bits(self) -> Value:
        """The instruction's own encoding, zero-extended to XLEN (for mtval)."""
        if self._bits is None:
            return self.emit("operand", self.xlen, "bits")
        return self.const(self._bits, self.xlen)

    # -- memory

    def load(self, address: Value, bits: int, kind: str = "r") -> Value:
        """*bits* wide value loaded from guest memory; kind "w" faults as a store does (AMOs)."""
        return self.policy.load(self, address, bits, kind)

    def store(self, address: Value, value: Value) -> None:
        """Store *value* to guest memory."""
        self.policy.store(self, address, value)

    # -- results that are usually quick to have

    def usually(
        self,
        ok: Value,
        quick: Value,
        routine: str,
        *args: Value | int,
        also: Callable[[], Value] | None = None,
    ) -> Value:
        """*quick* when *ok*, else the result of *routine*, which may have effects.

        Nothing may have been changed before. A policy whose ``rare`` is "bail" leaves the second
        to the instruction's slow form, one whose ``rare`` is "call" always calls. *also* builds
        another condition for *quick*, which is looked at when *ok* does not hold.
        """
        how = getattr(self.policy, "rare", "branch")
        if how == "call":
            return self.call(routine, *args)
        if how == "bail":
            if also is None:
                self.emit("bail_if", 0, ~ok)
            else:
                with self.if_(~ok):
                    self.emit("bail_if", 0, ~also())
            return quick
        result = self.var(quick)
        with self.if_(~ok):
            result.value = self.call(routine, *args)
        return result.value

    def mostly(self, ok: Value, quick: Value, other: Value) -> Value:
        """*quick* when *ok*, else *other*, both without effects. A policy whose ``rare`` is "bail"
        leaves the second to the slow form."""
        if getattr(self.policy, "rare", "branch") != "bail":
            return ok.select(quick, other)
        self.emit("bail_if", 0, ~ok)
        return quick

    # -- ends

    def _end(self, op: str, *args: Arg) -> None:
        self.ended = True
        self.emit(op, 0, *args)

    def branch(self, cond: Value, offset: Value) -> None:
        """Jump to pc + offset when the 1-bit *cond* is 1."""
        self._end("branch", cond, offset)

    def jump_rel(self, offset: Value) -> None:
        """Jump to pc + offset."""
        self._end("jump_rel", offset)

    def jump(self, target: Value) -> None:
        """Jump to *target*."""
        self._end("jump", target)

    def trap(self, cause: int | Value, tval: Value | int = 0) -> None:
        """Take an exception; the instruction does not retire."""
        self._end("trap", self._w(cause), self._w(tval))

    def trap_if(self, cond: Value, cause: int | Value, tval: Value | int = 0) -> None:
        """Take an exception when *cond*; nothing must have been changed before."""
        self.emit("trap_if", 0, cond, self._w(cause), self._w(tval))

    def _w(self, v: Value | int) -> Value:
        return self.const(v, 64) if isinstance(v, int) else v.zext(64)

    def poll(self, target: Value | None = None) -> None:
        """End the block and look for interrupts, going on at *target* or the next instruction."""
        self._end("poll", *([] if target is None else [target]))

    def leave(self, code: int) -> None:
        """Leave to Python with this instruction not executed."""
        self._end("leave", self.const(code, 64))

    def leave_if(self, cond: Value, code: int) -> None:
        """Leave to Python when *cond*, with this instruction not executed."""
        self.emit("leave_if", 0, cond, self.const(code, 64))

    def leave_after(self, code: int) -> None:
        """Retire this instruction and leave to Python."""
        self._end("leave_after", self.const(code, 64))


assert not set(REGISTER_FIELDS) & UNREAD
