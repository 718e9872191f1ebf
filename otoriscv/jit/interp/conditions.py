"""Conditions of breakpoints in compiled code: a false one costs no way out of it.

The condition of a breakpoint becomes a handler of its own, entered through the breakpoint's decoded
entry: it goes on with the instruction when every condition is false, and stops at the breakpoint
when one is true or cannot be evaluated there (a TLB miss, a device): whoever runs the machine
evaluates it then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from otoriscv.core.agent import NeedsRoutine, translate
from otoriscv.core.isa.handlers import FIRST_REGION
from otoriscv.core.layout import Exit
from otoriscv.core.policy import TlbPolicy
from otoriscv.core.uop import Value
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.interp.library import source_key
from otoriscv.jit.interp.slots import Slots
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.compile import compile_module
from otoriscv.jit.llvm.ir import DECLARATIONS
from otoriscv.jit.llvm.native import ATTRIBUTES, CC, PARAMS, NativeFunction

__all__ = ["Conditions", "condition_text"]

#: Breakpoints whose conditions are kept compiled.
LIMIT: Final = 1024


class _ConditionFunction(NativeFunction):
    """Lowers the conditions of one breakpoint to a handler."""

    def __init__(self, xlen: int) -> None:
        super().__init__(xlen)
        self._next = ""

    def define(self, address: int, programs: Sequence[list[Value]], own: int) -> str:
        """The definition of ``condition``; *own* is the handler of the instruction at *address*."""
        pc = self.masked(self.op("add", "%P", self.op("lshr", "%E", 3)))
        self.put("pc", pc)
        here = self.unless(self.new(f"icmp ne i64 {pc}, {address}"))  # another way to this page
        self._go(own)
        self._join(here)
        for body in programs:
            self._next = self.label()
            self.lower(body)
            self._join(self._next)
        self._go(own)
        self._join("stop")
        self.put("budget", "%N")
        self.put("exit_code", str(Exit.BREAKPOINT))
        self.end("ret void")
        return self.text(f"define {CC} void @condition({PARAMS}) #0")

    def _go(self, own: int) -> None:
        self.tail(self.code_of(self.get_pointer("table"), own))

    def _op_ret(self, node: Value) -> None:
        held = self.new(f"icmp ne {self.typed(node.args[0])}, 0")
        self.end(f"br i1 {held}, label %stop, label %{self._next}")

    def _op_bail_if(self, node: Value) -> None:
        on = self.label()
        self.end(f"br {self.typed(node.args[0])}, label %stop, label %{on}")
        self._join(on)


def condition_text(xlen: int, address: int, conditions: Sequence[bytes], own: int) -> str:
    """The module's IR. `NeedsRoutine` when a condition cannot be a handler."""
    programs = [translate(bytecode, xlen, TlbPolicy()) for bytecode in conditions]
    function = _ConditionFunction(xlen).define(address, programs, own)
    return "\n\n".join([DECLARATIONS, function, ATTRIBUTES])


@dataclass(frozen=True, slots=True)
class _Adopted:
    conditions: tuple[bytes, ...]
    own: int
    slot: int
    code: int
    entry: int  # arena offset of the decoded entry that leads to it


class Conditions:
    """The compiled conditions of one machine, by the breakpoint's address."""

    def __init__(
        self, xlen: int, view: memoryview, slots: Slots, arena: CodeArena, store: DiskCache
    ) -> None:
        self._xlen = xlen
        self._view = view  # of the machine's arena
        self._slots = slots
        self._arena = arena
        self._store = store
        self._adopted: dict[int, _Adopted] = {}

    def handler(self, address: int) -> int | None:
        """The handler number of the breakpoint's conditions; None: not compiled."""
        adopted = self._adopted.get(address)
        return None if adopted is None else FIRST_REGION + adopted.slot

    def programs(self) -> Mapping[int, tuple[bytes, ...]]:
        """The compiled conditions by address."""
        return {address: a.conditions for address, a in self._adopted.items()}

    def adopt(self, address: int, entry: int, conditions: tuple[bytes, ...], own: int) -> bool:
        """Compile them and lead the breakpoint's decoded *entry* there; False: not possible."""
        known = self._adopted.get(address)
        if known is None or (known.conditions, known.own, known.entry) != (conditions, own, entry):
            self.forget(address)
            if not self._make(address, entry, conditions, own):
                return False
        handler = FIRST_REGION + self._adopted[address].slot
        self._view[entry : entry + 2] = handler.to_bytes(2, "little")
        return True

    def _make(self, address: int, entry: int, conditions: tuple[bytes, ...], own: int) -> bool:
        code = self._code(address, conditions, own)
        if code is None or len(self._adopted) >= LIMIT:
            return False
        slot = self._slots.take(1)
        if slot is None:
            return False
        at = self._arena.put(code)
        if at is None:
            self._slots.free(slot, 1)
            return False
        self._slots.set(slot, at, FIRST_REGION + slot)
        self._adopted[address] = _Adopted(conditions, own, slot, at, entry)
        return True

    def forget(self, address: int) -> None:
        """Free what was compiled for *address*."""
        adopted = self._adopted.pop(address, None)
        if adopted is not None:
            entry = adopted.entry
            number = int.from_bytes(self._view[entry : entry + 2], "little")
            if number == FIRST_REGION + adopted.slot:
                self._view[entry : entry + 16] = bytes(16)
            self._slots.free(adopted.slot, 1)
            self._arena.free(adopted.code)

    def _code(self, address: int, conditions: Sequence[bytes], own: int) -> bytes | None:
        try:
            text = condition_text(self._xlen, address, conditions, own)
        except NeedsRoutine:
            return None
        key = f"condition-{hashlib.sha256((source_key() + text).encode()).hexdigest()}"
        code = self._store.get(key)
        if code is None:
            blob = compile_module(text)
            code = blob.code
            assert blob.symbols["condition"] == 0
            self._store.put(key, code)
        return code
