"""Agent expressions in micro-ops, so that every engine evaluates breakpoint conditions itself.

The program of a condition returns `FALSE`, `TRUE`, or `FAILED` when it cannot be evaluated (no
memory, division by zero, too many loops); a debugger is told then. It reads memory through the
slow path without touching devices or watchpoints, or as a memory policy says, and changes nothing
the guest can see.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.agent_code import MAX_LOOPS, AgentError, Code, Insn, decode
from otoriscv.core.agent_eval import SPEC
from otoriscv.core.layout import PRINT_WORDS
from otoriscv.core.sem import MemoryPolicy
from otoriscv.core.uop import Builder, Value, Var, prune

__all__ = [
    "FAILED", "FALSE", "TRUE", "AgentError", "NotCompiled", "translate", "translate_command",
]  # fmt: skip

FALSE: Final = 0
TRUE: Final = 1
FAILED: Final = 2

_PC: Final = 32
_F0: Final = 33
_CSRS: Final = 65
_PRIV: Final = 4161


class NotCompiled(Exception):
    """A command prints what only Python can format; the message says what."""


def translate(bytecode: bytes, xlen: int, memory: MemoryPolicy | None = None) -> list[Value]:
    """The program of a condition. `AgentError` when it is malformed or prints.

    With a *memory* policy it reads as the policy does, which may bail.
    """
    b = Builder(xlen)
    _Translation(b, decode(bytecode), memory).emit()
    return prune(b.body)


def translate_command(bytecode: bytes, xlen: int, address: int, number: int) -> list[Value]:
    """The program of command *number* of the breakpoint at *address*, which prints.

    It returns `FALSE` when all went well. What it prints is put into the machine's print ring at
    ``print_next``: address, number and the offset of the printf, arguments. `NotCompiled` when the
    arguments do not tell the text.
    """
    b = Builder(xlen)
    _Translation(b, decode(bytecode, value=False), None, (address, number)).emit()
    return prune(b.body)


class _Translation:
    """One program. Within a block the stack is a Python list; between blocks it is variables."""

    def __init__(
        self,
        b: Builder,
        code: Code,
        memory: MemoryPolicy | None,
        site: tuple[int, int] | None = None,  # of a command: breakpoint, number
    ) -> None:
        self._b = b
        self._memory = memory
        self._site = site
        self._blocks = code.blocks()
        self._index = {block[0].at: n for n, block in enumerate(self._blocks)}
        self._loads = any(i.name.startswith("ref") for i in code.insns.values())
        self._skip: Var | None = None
        self._at: Var | None = None
        self._slots: list[Var] = []
        self._height = code.height

    def emit(self) -> None:
        b = self._b
        if self._loads and self._memory is None:
            # a condition that reads what is watched is no access of the guest
            self._skip = b.var(b.get("watch_skip"))
            b.set("watch_skip", 1)
        if len(self._blocks) == 1:
            self._block(0, [])
            return
        self._at = b.var(0)
        self._slots = [b.var(0) for _ in range(self._height)]
        if any(self._goes_back(n) for n in range(len(self._blocks))):
            with b.repeat(MAX_LOOPS):
                self._all_blocks(self._at)
        else:
            self._all_blocks(self._at)
        self._return(FAILED)

    def _all_blocks(self, at: Var) -> None:
        """Each block in turn, when it is the one to run."""
        for n, block in enumerate(self._blocks):
            with self._b.if_(at.value.eq(n)):
                self._block(n, [slot.value for slot in self._slots[: block[0].depth]])

    def _goes_back(self, n: int) -> bool:
        last = self._blocks[n][-1]
        return last.name in ("goto", "if_goto") and self._index[last.operand] <= n

    def _block(self, n: int, stack: list[Value]) -> None:
        for insn in self._blocks[n]:
            if insn.name == "end":
                done = FALSE if self._site else stack[-1].ne(0).select(TRUE, FALSE, 64)
                self._return(done)
                return
            if insn.name == "goto":
                self._go(stack, self._b.const(self._index[insn.operand], 64))
                return
            if insn.name == "if_goto":
                taken = stack.pop().ne(0)
                self._go(stack, taken.select(self._index[insn.operand], n + 1, 64))
                return
            self._insn(insn, stack)
        self._go(stack, self._b.const(n + 1, 64))

    def _go(self, stack: list[Value], block: Value) -> None:
        assert self._at is not None
        for slot, value in zip(self._slots, stack, strict=False):
            slot.value = value
        self._at.value = block

    def _return(self, result: Value | int) -> None:
        if self._skip is not None:
            self._b.set("watch_skip", self._skip.value)
        self._b.ret(result)

    def _fail_if(self, condition: Value) -> None:
        with self._b.if_(condition):
            self._return(FAILED)

    # -- instructions

    def _insn(self, insn: Insn, stack: list[Value]) -> None:
        name, operand = insn.name, insn.operand
        if name == "const":
            stack.append(self._b.const(operand, 64))
        elif name == "reg":
            stack.append(self._register(operand))
        elif name.startswith("ref"):
            stack.append(self._load(stack.pop(), int(name[3:]) // 8))
        elif name == "dup":
            stack.append(stack[-1])
        elif name == "pop":
            stack.pop()
        elif name == "swap":
            stack[-1], stack[-2] = stack[-2], stack[-1]
        elif name == "pick":
            stack.append(stack[-1 - operand])
        elif name == "rot":
            stack.insert(-2, stack.pop())
        elif name in ("ext", "zero_ext"):
            stack.append(self._extend(stack.pop(), operand, name == "ext"))
        elif name == "log_not":
            stack.append(stack.pop().eq(0).zext(64))
        elif name == "bit_not":
            stack.append(~stack.pop())
        elif name == "printf":
            self._print(insn, stack)
        else:
            right, left = stack.pop(), stack.pop()
            stack.append(self._binary(name, left, right))

    def _binary(self, name: str, a: Value, c: Value) -> Value:
        if name.startswith(("div", "rem")):
            self._fail_if(c.eq(0))
        match name:
            case "add":
                return a + c
            case "sub":
                return a - c
            case "mul":
                return a * c
            case "div_signed":
                return a.divs(c)
            case "div_unsigned":
                return a.divu(c)
            case "rem_signed":
                return a.rems(c)
            case "rem_unsigned":
                return a.remu(c)
            case "lsh":
                return c.ltu(64).select(a << c, 0)
            case "rsh_unsigned":
                return c.ltu(64).select(a >> c, 0)
            case "rsh_signed":
                return a.sar(c.ltu(64).select(c, 63))
            case "bit_and":
                return a & c
            case "bit_or":
                return a | c
            case "bit_xor":
                return a ^ c
            case "equal":
                return a.eq(c).zext(64)
            case "less_signed":
                return a.lts(c).zext(64)
            case "less_unsigned":
                return a.ltu(c).zext(64)
        raise AgentError(f"no operation {name}")

    def _extend(self, value: Value, bits: int, signed: bool) -> Value:
        if bits >= 64:
            return value
        if signed:
            return (value << (64 - bits)).sar(64 - bits)
        return value & ((1 << bits) - 1)

    def _register(self, number: int) -> Value:
        b = self._b
        if number < _PC:
            return b.get("x", b.const(number, 64))
        if number == _PC:
            return b.get("pc")
        if number < _CSRS:
            return b.get("f", b.const(number - _F0, 64))
        if number == _PRIV:
            return b.get("priv")
        if number < _PRIV:
            return b.call("csr_read", number - _CSRS)
        raise AgentError(f"there is no register {number}")

    def _print(self, insn: Insn, stack: list[Value]) -> None:
        if self._site is None:
            raise AgentError("a condition that prints")
        if any(kind == b"s" for *_, kind in SPEC.findall(insn.text)):
            raise NotCompiled("a string is in memory")
        b = self._b
        del stack[-2:]  # function and channel
        address, number = self._site
        words = [b.const(address, 64), b.const(number << 32 | insn.at, 64)]
        words += [stack.pop() for _ in range(insn.operand)]
        place = b.get_m("print_next")
        self._fail_if(place.geu(PRINT_WORDS - len(words)))
        for n, word in enumerate(words):
            b.set_m("print_ring", word, place + n)
        b.set_m("print_next", place + len(words))

    def _load(self, address: Value, size: int) -> Value:
        b = self._b
        if self._memory is not None:
            return self._memory.load(b, address.trunc(b.xlen), 8 * size, "r").zext(64)
        status = b.call("load_slow", address.trunc(b.xlen).zext(64), size, 0)
        self._fail_if(status.ne(0))
        return b.get("value")
