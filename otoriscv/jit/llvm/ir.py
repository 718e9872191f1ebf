"""The typed emitter of LLVM IR text (28 times faster than building llvmlite objects).

`Function` lowers micro-op programs; what differs between users (where registers and operands come
from, how an instruction ends) is left to subclasses. Pointers: ``%S`` hart struct, ``%A`` arena.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Final

from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.uop import Arg, Value, uses_op

__all__ = ["DECLARATIONS", "Function", "RoutineFunction", "is_number"]

DECLARATIONS: Final = (
    "\n".join(
        f"declare i{w} @llvm.{name}.i{w}(i{w}{', i1' if name in ('ctlz', 'cttz') else ''})"
        for name in ("ctlz", "cttz", "ctpop", "bswap")
        for w in (16, 32, 64)
    )
    + "".join(
        f"\ndeclare {t} @llvm.sqrt.{n}({t})\ndeclare {t} @llvm.fma.{n}({t}, {t}, {t})"
        for t, n in (("float", "f32"), ("double", "f64"))
    )
    + "\ndeclare i64 @llvm.vector.reduce.or.v8i64(<8 x i64>)"
)

_PLAIN: Final = {"add": "add", "sub": "sub", "mul": "mul", "and": "and", "or": "or", "xor": "xor"}
_SHIFT: Final = {"shl": "shl", "shr": "lshr", "sar": "ashr"}
_COMPARE: Final = {"eq": "eq", "ltu": "ult", "lts": "slt"}
_HIGH: Final = {"mulhu": ("zext", "zext"), "mulhs": ("sext", "sext"), "mulhsu": ("sext", "zext")}
_FLOAT: Final = {"fadd": "fadd", "fsub": "fsub", "fmul": "fmul", "fdiv": "fdiv"}
_FLOAT_CALLS: Final = {"fsqrt": "sqrt", "fma": "fma"}
_FLOAT_COMPARE: Final = {"feq": "oeq", "flt": "olt", "funo": "uno"}
#: Operations on numbers, and those whose result is one.
_ON_NUMBERS: Final = frozenset(
    (*_FLOAT, *_FLOAT_CALLS, *_FLOAT_COMPARE, "ftoi", "fwiden", "fnarrow")
)
_NUMBERS: Final = frozenset((*_FLOAT, *_FLOAT_CALLS, "itof", "fwiden", "fnarrow"))
_COUNT: Final = {"clz": "ctlz", "ctz": "cttz", "popcount": "ctpop"}


@cache
def host_has_fma() -> bool:
    """Whether this host multiplies and adds with one rounding in one instruction."""
    machine = os.uname().machine
    if machine not in ("x86_64", "AMD64"):
        return machine in ("aarch64", "arm64")
    try:
        return " fma " in Path("/proc/cpuinfo").read_text()
    except OSError:
        return False


def is_number(arg: Arg) -> bool:
    """Whether a value comes from an operation whose result is a float or double."""
    return isinstance(arg, Value) and arg.op in _NUMBERS


def _kind(width: int) -> str:
    return "float" if width == 32 else "double"


def _width(arg: Arg) -> int:
    assert isinstance(arg, Value)
    return arg.width


class Function:
    """Lowers nodes to the lines of one LLVM function."""

    def __init__(self, xlen: int) -> None:
        self.xlen = xlen
        self.lines: list[str] = []
        self.allocas: list[str] = []
        self._names: dict[int, str] = {}
        self._numbers: dict[int, str] = {}  # values that exist as float or double
        self._wanted: set[int] = set()  # those that had better
        self._n = 0
        self._loops: list[tuple[str, str]] = []  # (counter, exit label)
        self.closed = False  # the current basic block has its terminator

    # -- text

    def line(self, text: str) -> None:
        self.lines.append("  " + text)

    def new(self, text: str) -> str:
        """A new SSA value."""
        self._n += 1
        name = f"%v{self._n}"
        self.lines.append(f"  {name} = {text}")
        return name

    def op(self, name: str, a: str, b: str | int) -> str:
        """A binary operation on i64."""
        return self.new(f"{name} i64 {a}, {b}")

    def label(self) -> str:
        self._n += 1
        return f"b{self._n}"

    def start(self, label: str) -> None:
        """Begin the basic block *label*, falling into it from an open one."""
        if not self.closed:
            self.line(f"br label %{label}")
        self.lines.append(f"{label}:")
        self.closed = False

    def end(self, text: str) -> None:
        """Terminate the current basic block."""
        if not self.closed:
            self.line(text)
        self.closed = True

    def ref(self, arg: Arg) -> str:
        """An argument as an operand (without its type)."""
        assert isinstance(arg, Value)
        if arg.op == "const":
            n = arg.args[0]
            return ("true" if n else "false") if arg.width == 1 else str(n)
        number = self._numbers.get(id(arg))
        if number is not None:  # here, as a move between register files is free within a block
            return self.new(f"bitcast {_kind(arg.width)} {number} to i{arg.width}")
        return self._names[id(arg)]

    def number(self, arg: Arg) -> str:
        """An argument as a float or double (without its type)."""
        assert isinstance(arg, Value)
        number = self._numbers.get(id(arg))
        if number is None:
            number = self.new(f"bitcast {self.typed(arg)} to {_kind(arg.width)}")
        return number

    def want_numbers(self, body: Sequence[Value]) -> None:
        """Look through a program for what is used as a number: loads give it as one."""
        for node in body:
            if node.op in _ON_NUMBERS:
                self._wanted.update(map(id, node.args))
            for nested in node.bodies:
                self.want_numbers(nested)

    def loaded(self, node: Value, pointer: str, align: str = "") -> str | None:
        """Load *node*'s value, as a number when it is used as one; None then."""
        if id(node) in self._wanted:
            kind = _kind(node.width)
            self._numbers[id(node)] = self.new(f"load {kind}, ptr {pointer}{align}")
            return None
        return self.new(f"load i{node.width}, ptr {pointer}{align}")

    def typed(self, arg: Arg) -> str:
        assert isinstance(arg, Value)
        return f"i{arg.width} {self.ref(arg)}"

    # -- addresses

    def field(self, base: str, slot: int, index: str | None = None) -> str:
        """Pointer to a u64 slot of the struct at *base*."""
        p = self.new(f"getelementptr i8, ptr {base}, i64 {slot * 8}")
        return p if index is None else self.new(f"getelementptr i64, ptr {p}, i64 {index}")

    def get(self, name: str) -> str:
        """The value of a hart slot."""
        return self.new(f"load i64, ptr {self.field('%S', HART[name])}")

    def put(self, name: str, value: str) -> None:
        """Write a hart slot."""
        self.line(f"store i64 {value}, ptr {self.field('%S', HART[name])}")

    def at(self, offset: str) -> str:
        """Pointer to an arena offset."""
        return self.new(f"getelementptr i8, ptr %A, i64 {offset}")

    # -- lowering

    def lower(self, body: Sequence[Value]) -> None:
        """Lower all of *body*; what follows a terminator is unreachable and left out."""
        for node in body:
            if self.closed:
                return
            if node.op != "const":
                self._node(node)

    def _node(self, node: Value) -> None:
        handler: Callable[[Value], str | None] | None = getattr(self, f"_op_{node.op}", None)
        result = self._pure(node) if handler is None else handler(node)
        if result is not None:
            self._names[id(node)] = result

    def _pure(self, node: Value) -> str | None:
        op, w, args = node.op, node.width, node.args
        if op in _PLAIN:
            return self.new(f"{_PLAIN[op]} {self.typed(args[0])}, {self.ref(args[1])}")
        if op in _COMPARE:
            return self.new(f"icmp {_COMPARE[op]} {self.typed(args[0])}, {self.ref(args[1])}")
        if op in _SHIFT:
            count = args[1]
            assert isinstance(count, Value)
            if count.const is not None:
                by = str(count.const & (w - 1))
            else:
                by = self.new(f"and {self.typed(count)}, {w - 1}")
            return self.new(f"{_SHIFT[op]} {self.typed(args[0])}, {by}")
        if op == "select":
            a, b, c = (self.typed(x) for x in args)
            return self.new(f"select {a}, {b}, {c}")
        if op in ("zext", "sext", "trunc"):
            return self.new(f"{op} {self.typed(args[0])} to i{w}")
        if op in _HIGH:
            a, b = (
                self.new(f"{how} {self.typed(x)} to i{2 * w}")
                for how, x in zip(_HIGH[op], args, strict=True)
            )
            product = self.new(f"mul i{2 * w} {a}, {b}")
            high = self.new(f"lshr i{2 * w} {product}, {w}")
            return self.new(f"trunc i{2 * w} {high} to i{w}")
        if op in ("divu", "remu", "divs", "rems"):
            return self._divide(op, w, self.ref(args[0]), self.ref(args[1]))
        if op in _COUNT:
            flag = "" if op == "popcount" else ", i1 false"
            return self.new(f"call i{w} @llvm.{_COUNT[op]}.i{w}({self.typed(args[0])}{flag})")
        if op in _NUMBERS:
            self._numbers[id(node)] = self._number_op(node)
            return None
        if op in _FLOAT_COMPARE:
            kind = _kind(_width(args[0]))
            a, b = (self.number(x) for x in args)
            return self.new(f"fcmp {_FLOAT_COMPARE[op]} {kind} {a}, {b}")
        if op == "ftoi":
            kind = _kind(_width(args[0]))
            value = self.new(f"fptosi {kind} {self.number(args[0])} to i64")
            return self.new(f"freeze i64 {value}")
        if op == "bswap":
            return self.new(f"call i{w} @llvm.bswap.i{w}({self.typed(args[0])})")
        raise ValueError(f"no LLVM lowering for {op}")

    def _number_op(self, node: Value) -> str:
        op, w, args = node.op, node.width, node.args
        kind = _kind(w)
        if op == "fma" and not host_has_fma():
            nan = 0x7FC0_0000 if w == 32 else 0x7FF8 << 48  # computed in software
            return self.new(f"bitcast i{w} {nan} to {kind}")
        if op == "itof":
            return self.new(f"sitofp {self.typed(args[0])} to {kind}")
        values = [self.number(a) for a in args]
        if op == "fwiden":
            return self.new(f"fpext float {values[0]} to double")
        if op == "fnarrow":
            return self.new(f"fptrunc double {values[0]} to float")
        if op in _FLOAT:
            return self.new(f"{_FLOAT[op]} {kind} {values[0]}, {values[1]}")
        typed = ", ".join(f"{kind} {v}" for v in values)
        return self.new(f"call {kind} @llvm.{_FLOAT_CALLS[op]}.f{w}({typed})")

    def _divide(self, op: str, w: int, a: str, b: str) -> str:
        zero = self.new(f"icmp eq i{w} {b}, 0")
        bad = zero
        if op in ("divs", "rems"):
            low = self.new(f"icmp eq i{w} {a}, {-(1 << (w - 1))}")
            minus = self.new(f"icmp eq i{w} {b}, -1")
            bad = self.new(f"or i1 {zero}, {self.new(f'and i1 {low}, {minus}')}")
        safe = self.new(f"select i1 {bad}, i{w} 1, i{w} {b}")
        name = {"divu": "udiv", "remu": "urem", "divs": "sdiv", "rems": "srem"}[op]
        r = self.new(f"{name} i{w} {a}, {safe}")
        other = "-1" if op.startswith("div") else a
        return self.new(f"select i1 {zero}, i{w} {other}, i{w} {r}")

    # -- state

    def _slot(self, base: str, table: dict[str, int], field: Arg, index: Sequence[Arg]) -> str:
        assert isinstance(field, str)
        return self.field(base, table[field], self.ref(index[0]) if index else None)

    def _op_get(self, node: Value) -> str:
        p = self._slot("%S", HART, node.args[0], node.args[1:])
        return self.new(f"load i64, ptr {p}")

    def _op_set(self, node: Value) -> None:
        p = self._slot("%S", HART, node.args[0], node.args[2:])
        self.line(f"store {self.typed(node.args[1])}, ptr {p}")

    def _op_get_m(self, node: Value) -> str:
        p = self._slot("%A", MACHINE, node.args[0], node.args[1:])
        # another thread writes `stop`
        volatile = "volatile " if node.args[0] == "stop" else ""
        return self.new(f"load {volatile}i64, ptr {p}")

    def _op_set_m(self, node: Value) -> None:
        p = self._slot("%A", MACHINE, node.args[0], node.args[2:])
        self.line(f"store {self.typed(node.args[1])}, ptr {p}")

    def _op_aload(self, node: Value) -> str | None:
        return self.loaded(node, self.at(self.ref(node.args[0])), ", align 1")

    def _op_astore(self, node: Value) -> None:
        p = self.at(self.ref(node.args[0]))
        self.line(f"store {self.either(node.args[1])}, ptr {p}, align 1")

    def either(self, arg: Arg) -> str:
        """An argument with its type, as it exists."""
        number = self._numbers.get(id(arg))
        return f"{_kind(_width(arg))} {number}" if number is not None else self.typed(arg)

    def _op_host_time(self, node: Value) -> str:
        p = self.field("%A", MACHINE["host_clock_fn"])
        f = self.new(f"load ptr, ptr {p}")
        spec = self.field("%A", MACHINE["host_time"])
        self.new(f"call i32 {f}(i32 1, ptr {spec})")  # CLOCK_MONOTONIC
        seconds = self.new(f"load i64, ptr {spec}")
        nanos = self.new(f"load i64, ptr {self.field('%A', MACHINE['host_time'] + 1)}")
        return self.new(f"add i64 {self.new(f'mul i64 {seconds}, 1000000000')}, {nanos}")

    # -- variables and structure

    def _op_var(self, node: Value) -> str:
        self._n += 1
        name = f"%var{self._n}"
        self.allocas.append(f"  {name} = alloca i{node.width}")
        self.line(f"store {self.typed(node.args[0])}, ptr {name}")
        return name

    def _op_get_var(self, node: Value) -> str:
        var = node.args[0]
        assert isinstance(var, Value)
        return self.new(f"load i{node.width}, ptr {self._names[id(var)]}")

    def _op_set_var(self, node: Value) -> None:
        var = node.args[0]
        assert isinstance(var, Value)
        self.line(f"store {self.typed(node.args[1])}, ptr {self._names[id(var)]}")

    def _op_call(self, node: Value) -> str:
        args = "".join(f", {self.typed(a)}" for a in node.args[1:])
        return self.new(f"call i64 @{node.args[0]}(ptr %S, ptr %A{args})")

    def _op_ret(self, node: Value) -> None:
        self.end(f"ret {self.typed(node.args[0])}" if node.args else "ret i64 0")

    def _op_if(self, node: Value) -> None:
        then, other, after = self.label(), self.label(), self.label()
        has_else = bool(node.bodies[1])
        no = other if has_else else after
        rare = ", !prof !0" if not has_else and uses_op(node.bodies[0], "bail_if") else ""
        self.end(f"br {self.typed(node.args[0])}, label %{then}, label %{no}{rare}")
        self._arm(then, node.bodies[0], after)
        if has_else:
            self._arm(other, node.bodies[1], after)
        self._join(after)

    def _arm(self, label: str, body: Sequence[Value], after: str) -> None:
        self.lines.append(f"{label}:")
        self.closed = False
        self.lower(body)
        self.end(f"br label %{after}")

    def _join(self, label: str) -> None:
        self.lines.append(f"{label}:")
        self.closed = False

    def _op_switch(self, node: Value) -> None:
        after, default = self.label(), self.label()
        labels: dict[int, str] = {}
        bodies: list[tuple[str, Sequence[Value]]] = []
        cases = []
        value = node.args[0]
        assert isinstance(value, Value)
        for number, body in zip(node.args[1:], node.bodies, strict=False):
            if id(body) not in labels:
                labels[id(body)] = self.label()
                bodies.append((labels[id(body)], body))
            cases.append(f"i{value.width} {number}, label %{labels[id(body)]}")
        self.end(f"switch {self.typed(value)}, label %{default} [{' '.join(cases)}]")
        for label, chosen in (*bodies, (default, node.bodies[-1])):
            self._arm(label, chosen, after)
        self._join(after)

    def _op_repeat(self, node: Value) -> None:
        self._n += 1
        counter = f"%loop{self._n}"
        self.allocas.append(f"  {counter} = alloca i64")
        head, body, after = self.label(), self.label(), self.label()
        self.line(f"store i64 0, ptr {counter}")
        self.start(head)
        index = self.new(f"load i64, ptr {counter}")
        more = self.new(f"icmp ult i64 {index}, {self.ref(node.args[0])}")
        self.end(f"br i1 {more}, label %{body}, label %{after}")
        self._join(body)
        self._loops.append((index, after))
        self.lower(node.bodies[0])
        self._loops.pop()
        if not self.closed:
            following = self.new(f"add i64 {index}, 1")
            self.line(f"store i64 {following}, ptr {counter}")
        self.end(f"br label %{head}")
        self._join(after)

    def _op_index(self, node: Value) -> str:
        return self._loops[-1][0]

    def _op_break_if(self, node: Value) -> None:
        on = self.label()
        self.end(f"br {self.typed(node.args[0])}, label %{self._loops[-1][1]}, label %{on}")
        self._join(on)

    # -- the whole

    def text(self, head: str) -> str:
        """The function's text; *head* is everything before its brace."""
        assert self.closed
        return "\n".join([head + " {", "entry:", *self.allocas, *self.lines, "}"])


class RoutineFunction(Function):
    """A routine as ``i64 @name(ptr %S, ptr %A, i64 ...)``, C convention."""

    def _op_param(self, node: Value) -> str:
        return f"%p{node.args[0]}"

    def define(self, name: str, params: int, body: Sequence[Value], attributes: str) -> str:
        """The definition's text."""
        self.lower(body)
        self.end("ret i64 0")
        args = "".join(f", i64 %p{i}" for i in range(params))
        return self.text(f"define internal i64 @{name}(ptr %S, ptr %A{args}) {attributes}")
