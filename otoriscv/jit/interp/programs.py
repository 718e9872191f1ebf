"""Conditions and commands of breakpoints in compiled code: a hit costs no way out of it.

The programs of a breakpoint become a handler of its own, entered through the breakpoint's decoded
entry. It goes on with the instruction when every condition is false, or when the commands were run:
what they print is put into a ring, which the machine empties between two slices. It stops at the
breakpoint when there are no commands and a condition is true, or when something cannot be evaluated
there: whoever runs the machine looks at it then.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import NamedTuple

from otoriscv.core.agent import FALSE, TRUE, NotCompiled, translate, translate_command
from otoriscv.core.agent_programs import AgentPrograms
from otoriscv.core.handlers import BREAKPOINT, FIRST_REGION
from otoriscv.core.layout import MACHINE, Exit
from otoriscv.core.uop import Value
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.interp.slots import MAX_PROGRAMS, Slots
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.compile import compile_module
from otoriscv.jit.llvm.ir import DECLARATIONS
from otoriscv.jit.llvm.native import ATTRIBUTES, CC, PARAMS, NativeFunction
from otoriscv.jit.sources import source_key

__all__ = ["Programs", "handler_text"]


class _ProgramFunction(NativeFunction):
    """Lowers the programs of one breakpoint to a handler."""

    def __init__(self, xlen: int) -> None:
        super().__init__(xlen)
        self._ends: dict[int, str] = {}  # where a program's results lead

    def define(self, address: int, programs: AgentPrograms, own: int) -> str:
        """The definition of ``programs``; *own* is the handler of the instruction at *address*."""
        pc = self.masked(self.op("add", "%P", self.op("lshr", "%E", 3)))
        self.put("pc", pc)
        here = self.unless(self.new(f"icmp ne i64 {pc}, {address}"))  # another way to this page
        self._go(BREAKPOINT)
        self._join(here)
        self.put("budget", "%N")
        for bytecode in programs.conditions:
            on = self._program(translate(bytecode, self.xlen), programs.commands)
            self._join(on)
        if programs.conditions:
            self._go(own)
        if programs.commands:
            self._commands(address, programs, own)
        self._join("stop")
        self.put("exit_code", str(Exit.BREAKPOINT))
        self.end("ret void")
        return self.text(f"define {CC} void @programs({PARAMS}) #0")

    def _commands(self, address: int, programs: AgentPrograms, own: int) -> None:
        if programs.conditions:
            self._join("held")
        head, following = (self.field("%A", MACHINE[n]) for n in ("print_head", "print_next"))
        self.line(f"store i64 {self.new(f'load i64, ptr {head}')}, ptr {following}")
        for number, bytecode in enumerate(programs.commands):
            body = translate_command(bytecode, self.xlen, address, number)
            self._join(self._program(body))
        # only now: whoever runs the machine runs all of them when one fails
        self.line(f"store i64 {self.new(f'load i64, ptr {following}')}, ptr {head}")
        self._go(own)

    def _program(self, body: list[Value], commands: tuple[bytes, ...] = ()) -> str:
        """Lower a program; where it leads when its result is `FALSE`, to be begun."""
        on = self.label()
        self._ends = {FALSE: on, TRUE: "held" if commands else "stop"}
        self.lower(body)
        return on

    def _go(self, handler: int) -> None:
        self.tail(self.code_of(self.get_pointer("table"), handler))

    def _op_ret(self, node: Value) -> None:
        cases = " ".join(f"i64 {result}, label %{to}" for result, to in self._ends.items())
        self.end(f"switch {self.typed(node.args[0])}, label %stop [{cases}]")

    def _op_call(self, node: Value) -> str:
        return self.call_library(node)


def handler_text(xlen: int, address: int, programs: AgentPrograms, own: int) -> str:
    """The module's IR. `NotCompiled` when a command cannot be in it."""
    function = _ProgramFunction(xlen).define(address, programs, own)
    return "\n\n".join([DECLARATIONS, function, ATTRIBUTES])


class _Adopted(NamedTuple):
    programs: AgentPrograms
    own: int
    slot: int
    code: int
    entry: int  # arena offset of the decoded entry that leads to it


class Programs:
    """The compiled programs of one machine, by the breakpoint's address."""

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
        """The handler number of the breakpoint's programs; None: not compiled."""
        adopted = self._adopted.get(address)
        return None if adopted is None else FIRST_REGION + adopted.slot

    def all(self) -> Mapping[int, AgentPrograms]:
        """The compiled programs by address."""
        return {address: a.programs for address, a in self._adopted.items()}

    def adopt(self, address: int, entry: int, programs: AgentPrograms, own: int) -> bool:
        """Compile them and lead the breakpoint's decoded *entry* there; False: not possible."""
        known = self._adopted.get(address)
        if known is None or (known.programs, known.own, known.entry) != (programs, own, entry):
            self.forget(address)
            if not self._make(address, entry, programs, own):
                return False
        handler = FIRST_REGION + self._adopted[address].slot
        self._view[entry : entry + 2] = handler.to_bytes(2, "little")
        return True

    def _make(self, address: int, entry: int, programs: AgentPrograms, own: int) -> bool:
        code = self._code(address, programs, own)
        if code is None or len(self._adopted) >= MAX_PROGRAMS:
            return False
        slot = self._slots.take(1)
        if slot is None:
            return False
        at = self._arena.put(code)
        if at is None:
            self._slots.free(slot, 1)
            return False
        self._slots.set(slot, at, FIRST_REGION + slot)
        self._adopted[address] = _Adopted(programs, own, slot, at, entry)
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

    def _code(self, address: int, programs: AgentPrograms, own: int) -> bytes | None:
        try:
            text = handler_text(self._xlen, address, programs, own)
        except NotCompiled:
            return None
        key = f"programs-{hashlib.sha256((source_key() + text).encode()).hexdigest()}"
        code = self._store.get(key)
        if code is None:
            blob = compile_module(text)
            code = blob.code
            assert blob.symbols["programs"] == 0
            self._store.put(key, code)
        return code
