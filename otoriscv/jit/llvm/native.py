"""What interpreter handlers and regions share: the tail-call convention and the dispatch."""

from __future__ import annotations

import os
from typing import Final

from otoriscv.core.layout import HART, MACHINE, TLB_ENTRIES, TLB_X, tlb_slot
from otoriscv.core.uop import Value
from otoriscv.jit.llvm.ir import Function

__all__ = ["ATTRIBUTES", "CC", "LONGEST", "PARAMS", "NativeFunction"]

#: The calling convention: six arguments in registers and none saved by the callee. LLVM has no tail
#: calls for ghccc on aarch64.
CC: Final = "preserve_nonecc" if os.uname().machine in ("aarch64", "arm64") else "ghccc"
PARAMS: Final = "ptr %S, ptr %A, i64 %E, i64 %N, ptr %T, i64 %P"
#: Instructions that may follow a test of the budget before the next one: a page of 2-byte ones.
LONGEST: Final = 2048 + 8
#: The attribute group #0 of every function, and branch weights: !0 unlikely, !1 likely.
ATTRIBUTES: Final = (
    'attributes #0 = { nounwind "no-builtins" "no-jump-tables"="true" }\n'
    '!0 = !{!"branch_weights", i32 1, i32 2000}\n'
    '!1 = !{!"branch_weights", i32 2000, i32 1}'
)


class NativeFunction(Function):
    """A function of the interpreter's convention."""

    def wrap(self, name: str) -> str:
        """The definition's text."""
        return self.text(f"define internal {CC} void @{name}({PARAMS}) #0")

    def tail(self, target: str, e: str = "%E", n: str = "%N", t: str = "%T", p: str = "%P") -> None:
        """Tail-call a function of the convention."""
        if not self.closed:
            args = f"ptr %S, ptr %A, i64 {e}, i64 {n}, ptr {t}, i64 {p}"
            self.line(f"musttail call {CC} void {target}({args})")
        self.end("ret void")

    def unless(self, cond: str, *, likely: bool = True) -> str:
        """Open the block for *cond*; the returned label is where the others go on (`_join`)."""
        cold, on = self.label(), self.label()
        weights = ", !prof !0" if likely else ""
        self.end(f"br i1 {cond}, label %{cold}, label %{on}{weights}")
        self._join(cold)
        return on

    def masked(self, pc: str) -> str:
        """An address cut to XLEN bits."""
        return pc if self.xlen == 64 else self.op("and", pc, 0xFFFF_FFFF)

    def get_pointer(self, name: str) -> str:
        """A host pointer in the hart's private slots."""
        return self.new(f"load ptr, ptr {self.field('%S', HART[name])}")

    def code_of(self, table: str, index: str | int) -> str:
        """The function with number *index* of a handler table."""
        p = self.new(f"getelementptr ptr, ptr {table}, i64 {index}")
        return self.new(f"load ptr, ptr {p}")

    def dispatch(self, e: str, n: str, t: str, p: str) -> None:
        """Tail-call the handler of the entry at *e*."""
        number = self.new(f"load i16, ptr {self.at(e)}")
        self.tail(self.code_of(t, self.new(f"zext i16 {number} to i64")), e, n, t, p)

    def table_for(self, n: str, normal: str) -> str:
        """The handler table after a taken jump: exact when the budget *n* might run out."""
        exact = self.get_pointer("exact_table")
        short = self.new(f"icmp ult i64 {n}, {LONGEST}")
        return self.new(f"select i1 {short}, ptr {exact}, ptr {normal}")

    def call_library(self, node: Value) -> str:
        """Call one of `LIBRARY_ROUTINES`, for an ``_op_call`` outside the library's module."""
        args = "".join(f", {self.typed(a)}" for a in node.args[1:])
        code = self.new(f"load ptr, ptr {self.field('%A', MACHINE[f'{node.args[0]}_fn'])}")
        return self.new(f"call i64 {code}(ptr %S, ptr %A{args})")

    def execute_tlb(self, pc: str) -> tuple[str, str]:
        """(pointer to the execute TLB's entry for *pc*, its page)."""
        index = self.op("and", self.op("lshr", pc, 8), (TLB_ENTRIES - 1) << 4)
        base = self.new(f"getelementptr i8, ptr %S, i64 {tlb_slot(0, TLB_X) * 8}")
        at = self.op("add", index, self.get("fetch_bank"))
        return self.new(f"getelementptr i8, ptr {base}, i64 {at}"), self.op("and", pc, -4096)

    def addend(self, entry: str) -> str:
        """Pointer to the addend of a TLB entry."""
        return self.new(f"getelementptr i8, ptr {entry}, i64 8")

    def place(self, pc: str, addend: str) -> tuple[str, str]:
        """(E, P) of *pc* in a page with this addend."""
        e = self.op("add", self.op("shl", pc, 3), addend)
        return e, self.op("sub", pc, self.op("lshr", e, 3))
