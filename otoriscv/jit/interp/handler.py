"""One interpreter handler: the region lowering of a single instruction with run-time operands.

Handlers are functions that tail-call each other (docs/abi.md, "Entry and exit"). One with
memory accesses exists twice: the fast form tests the TLB inline and tail-calls the slow form when
anything is unusual; the slow form calls the routines. No fast form has a callee.
"""

from __future__ import annotations

from typing import Final

from otoriscv.core.handlers import Handler
from otoriscv.core.layout import HART
from otoriscv.core.sem import MemoryPolicy, Sem
from otoriscv.core.uop import Value, prune, uses_op
from otoriscv.jit.llvm.native import NativeFunction

__all__ = ["HandlerFunction", "program"]

#: Byte offsets in a decoded entry.
_BYTE: Final = {"rd": 2, "rs1": 3, "rs2": 4, "rs3": 5}
_WORD: Final = {"aux": (6, 16, "zext"), "imm": (8, 32, "sext"), "bits": (12, 32, "zext")}


def program(handler: Handler, xlen: int, policy: MemoryPolicy) -> list[Value]:
    """The handler's micro-ops with operands read at run time."""
    sem = Sem(xlen, policy)
    sem.begin(handler.row, handler.length, handler.variant, None, None, None)
    assert handler.row.semantics is not None
    handler.row.semantics(sem)
    return prune(sem.body)


class HandlerFunction(NativeFunction):
    """Lowers one instruction; the text is a whole handler."""

    def __init__(self, xlen: int, handler: Handler, slow: str = "") -> None:
        super().__init__(xlen)
        self.handler = handler
        self.slow = slow  # the slow form's name, for `bail_if`
        self._entry = ""
        self._poll = ""  # alloca: poll after this instruction
        self._bytes: dict[str, str] = {}  # operand bytes read already

    def define(self, name: str, body: list[Value]) -> str:
        """The definition's text."""
        self._entry = self.at("%E")
        self.want_numbers(body)
        if uses_op(body, "check"):
            self._poll = "%poll"
            self.allocas.append("  %poll = alloca i64")
            self.line("store i64 0, ptr %poll")
            # a store into its own instruction empties the entry: rd is read before
            self._bytes["rd"] = self._byte("rd")
        if uses_op(body, "call"):
            self.put("budget", "%N")
        self.lower(body)
        if not self.closed:
            self._next()
        return self.wrap(name)

    # -- operands

    def _byte(self, slot: str) -> str:
        if slot in self._bytes:
            return self._bytes[slot]
        p = self.new(f"getelementptr i8, ptr {self._entry}, i64 {_BYTE[slot]}")
        return self.new(f"zext i8 {self.new(f'load i8, ptr {p}')} to i64")

    def _op_operand(self, node: Value) -> str:
        slot = node.args[0]
        assert isinstance(slot, str)
        if slot in _BYTE:
            byte = self._byte(slot)
            return byte if node.width == 64 else self.new(f"trunc i64 {byte} to i{node.width}")
        at, bits, how = _WORD[slot]
        p = self.new(f"getelementptr i8, ptr {self._entry}, i64 {at}")
        raw = self.new(f"load i{bits}, ptr {p}")
        return raw if bits == node.width else self.new(f"{how} i{bits} {raw} to i{node.width}")

    def pc64(self) -> str:
        """The pc as 64 bits."""
        return self.op("add", "%P", self.op("lshr", "%E", 3))

    def _op_pc(self, node: Value) -> str:
        pc = self.pc64()
        return pc if self.xlen == 64 else self.new(f"trunc i64 {pc} to i32")

    def _register(self, reg: object) -> str:
        if isinstance(reg, int):
            return self.field("%S", HART["x"] + reg)
        assert isinstance(reg, str)
        return self.new(f"getelementptr i64, ptr %S, i64 {self._byte(reg)}")

    def _op_get_x(self, node: Value) -> str:
        return self.new(f"load i{node.width}, ptr {self._register(node.args[0])}")

    def _float(self, reg: object) -> str:
        if isinstance(reg, int):
            return self.field("%S", HART["f"] + reg)
        assert isinstance(reg, str)
        return self.field("%S", HART["f"], self._byte(reg))

    def _op_get_f(self, node: Value) -> str | None:
        return self.loaded(node, self._float(node.args[0]))

    def _op_set_f(self, node: Value) -> None:
        self.line(f"store {self.either(node.args[1])}, ptr {self._float(node.args[0])}")

    def _op_set_x(self, node: Value) -> None:
        self.line(f"store {self.typed(node.args[1])}, ptr {self._register(node.args[0])}")

    # -- leaving the fast path

    def _op_bail_if(self, node: Value) -> None:
        on = self.unless(self.ref(node.args[0]))
        self.tail(f"@{self.slow}")
        self._join(on)

    def _op_trap_if(self, node: Value) -> None:
        on = self.unless(self.ref(node.args[0]))
        self._raise(self.ref(node.args[1]), self.ref(node.args[2]))
        self._join(on)

    def _op_trap(self, node: Value) -> None:
        self._raise(self.ref(node.args[0]), self.ref(node.args[1]))

    def _raise(self, cause: str, tval: str) -> None:
        self.put("trap_cause", cause)
        self.put("trap_tval", tval)
        self.tail("@take_trap")

    def _op_leave(self, node: Value) -> None:
        self.put("exit_code", self.ref(node.args[-1]))
        self.tail("@leave_here")

    def _op_leave_if(self, node: Value) -> None:
        on = self.unless(self.ref(node.args[0]))
        self._op_leave(node)
        self._join(on)

    def _op_check(self, node: Value) -> None:
        status = self.ref(node.args[0])
        go, trap, poll, leave = (self.label() for _ in range(4))
        self.end(
            f"switch i64 {status}, label %{leave} [i64 0, label %{go} i64 1, label %{trap} "
            f"i64 2, label %{poll}]"
        )
        self._join(trap)
        self.tail("@take_trap")
        self._join(leave)
        self.put("exit_code", self.new(f"sub i64 {status}, 16"))
        self.tail("@leave_here")
        self._join(poll)
        self.line(f"store i64 1, ptr {self._poll}")
        self.end(f"br label %{go}")
        self._join(go)

    def _op_poll(self, node: Value) -> None:
        self._retire()
        if node.args:
            target = node.args[0]
            assert isinstance(target, Value)
            pc = self.ref(target)
            self.put("pc", pc if target.width == 64 else self.new(f"zext i32 {pc} to i64"))
        self.tail("@poll_here")

    def _op_leave_after(self, node: Value) -> None:
        self._retire()
        self.put("exit_code", self.ref(node.args[0]))
        self.end("ret void")

    def _retire(self) -> None:
        """Commit the pc of the next instruction and the budget after this one."""
        pc = self.new(f"add i64 {self.pc64()}, {self.handler.length}")
        self.put("pc", self.masked(pc))
        self.put("budget", self.new("sub i64 %N, 1"))

    # -- going on

    def _next(self) -> None:
        if self._poll:
            flag = self.new(f"load i64, ptr {self._poll}")
            on = self.unless(self.new(f"icmp ne i64 {flag}, 0"))
            self._retire()
            self.tail("@poll_here")
            self._join(on)
        n = self.new("sub i64 %N, 1")
        e = self.new(f"add i64 %E, {8 * self.handler.length}")
        self.dispatch(e, n, "%T", "%P")

    def _op_branch(self, node: Value) -> None:
        taken, on = self.label(), self.label()
        self.end(f"br {self.typed(node.args[0])}, label %{taken}, label %{on}")
        self._join(taken)
        self._jump_rel(node.args[1])
        self._join(on)

    def _op_jump_rel(self, node: Value) -> None:
        self._jump_rel(node.args[0])

    def _jump_rel(self, offset: object) -> None:
        assert isinstance(offset, Value)
        by = self.ref(offset)
        if self.xlen == 32:
            by = self.new(f"sext i32 {by} to i64")
        if "near" in self.handler.variant:
            e = self.op("add", "%E", self.op("shl", by, 3))
            n = self.new("sub i64 %N, 1")
            self.dispatch(e, n, self.table_for(n, "%T"), "%P")
        else:
            self._far(self.masked(self.new(f"add i64 {self.pc64()}, {by}")))

    def _op_jump(self, node: Value) -> None:
        target = node.args[0]
        assert isinstance(target, Value)
        t = self.ref(target)
        self._far(t if target.width == 64 else self.new(f"zext i32 {t} to i64"))

    def _far(self, target: str) -> None:
        """Jump to any address: through the execute TLB, or `resume` when it misses."""
        n = self.new("sub i64 %N, 1")
        entry, page = self.execute_tlb(target)
        tag = self.new(f"load i64, ptr {entry}")
        on = self.unless(self.new(f"icmp ne i64 {tag}, {page}"))
        self.put("pc", target)
        self.put("budget", n)
        self.tail("@resume")
        self._join(on)
        e, p = self.place(target, self.new(f"load i64, ptr {self.addend(entry)}"))
        self.dispatch(e, n, self.table_for(n, "%T"), p)

    # -- for special handlers

    def dispatch_again(self) -> None:
        """The handler of the entry at E, now that it is decoded."""
        number = self.new(f"load i16, ptr {self.at('%E')}")
        index = self.new(f"zext i16 {number} to i64")
        self.tail(self.code_of(self.get_pointer("table"), index))
