"""Micro-ops to Python source.

A value is a Python int holding its bit pattern (1-bit values may be bools). Pure values used once
become part of the expression that uses them; the others become locals. `Lowering` turns one list of
nodes into lines; `RoutineLowering` and the trace compiler (trace.py) do state and control.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from otoriscv.core.hostfloat import HOST_FLOAT, format_width
from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.uop import OPS, Arg, Value

__all__ = ["Lowering", "count_uses"]

_BINARY: Final = {"and": "&", "or": "|", "xor": "^"}
_MASKED: Final = {"add": "+", "sub": "-", "mul": "*"}


def count_uses(body: Sequence[Value], uses: dict[int, int] | None = None) -> dict[int, int]:
    """How often each node of *body*, nested bodies included, is an argument."""
    uses = {} if uses is None else uses
    seen: set[int] = set()
    for node in body:
        for arg in node.args:
            if isinstance(arg, Value):
                uses[id(arg)] = uses.get(id(arg), 0) + 1
        for nested in node.bodies:
            if id(nested) not in seen:
                seen.add(id(nested))
                count_uses(nested, uses)
    return uses


class Lowering:
    """Lowers nodes to lines of Python; subclasses define `control` and register access."""

    def __init__(self, xlen: int) -> None:
        self.xlen = xlen
        self.lines: list[str] = []
        self.indent = 1
        self._names: dict[int, str] = {}
        self._uses: dict[int, int] = {}
        self._temps = 0
        self._loops: list[str] = []

    # -- text

    def line(self, text: str) -> None:
        self.lines.append("  " * self.indent + text)

    def temp(self, text: str) -> str:
        """Assign *text* to a new local and return its name."""
        self._temps += 1
        name = f"t{self._temps}"
        self.line(f"{name} = {text}")
        return name

    # -- values

    def ref(self, arg: Arg) -> str:
        """The expression of an argument."""
        if isinstance(arg, Value):
            if arg.op == "const":
                return str(arg.args[0])
            return self._names[id(arg)]
        return str(arg)

    def name(self, node: Value, expression: str) -> None:
        """Give *node* its expression: inlined when used once, else a local."""
        if self._uses.get(id(node), 0) > 1:
            expression = self.temp(expression)
        self._names[id(node)] = expression

    def lower(self, body: Sequence[Value]) -> None:
        """Lower all of *body*."""
        for node in body:
            if node.op == "const":
                continue
            if OPS[node.op].pure:
                self.name(node, self.pure(node))
            else:
                self.effect(node)

    def pure(self, node: Value) -> str:
        """The expression of a pure operation."""
        op, w = node.op, node.width
        mask = (1 << w) - 1
        if op == "param":
            return f"p{node.args[0]}"
        if op in ("operand", "pc"):
            return self.leaf(node)
        a = self.ref(node.args[0])
        first = node.args[0]
        assert isinstance(first, Value)
        aw = first.width
        if op == "select":
            return f"({self.ref(node.args[1])} if {a} else {self.ref(node.args[2])})"
        if op == "zext":
            return f"+{a}" if aw == 1 else a
        if op == "trunc":
            return f"({a} & {mask})"
        if op == "sext":
            s = 1 << (aw - 1)
            return f"((({a} ^ {s}) - {s}) & {mask})"
        if op == "clz":
            value = a if a.isidentifier() else f"({a})"
            return f"({w} - {value}.bit_length())"
        if op == "ctz":
            t = self.temp(a)
            return f"(({t} & -{t}).bit_length() - 1 if {t} else {w})"
        if op == "popcount":
            return f"({a}).bit_count()"
        if op == "bswap":
            return f"int.from_bytes(({a}).to_bytes({w // 8}, 'little'), 'big')"
        if op in HOST_FLOAT:
            form = str(format_width(op, w, aw))
            return f"host_float({', '.join([repr(op), form, *map(self.ref, node.args)])})"
        second = node.args[1]
        assert isinstance(second, Value)
        b = self.ref(second)
        k = second.const
        if op == "xor" and w == 1 and k == 1:
            return f"(not {a})"
        if op in _BINARY:
            return f"({a} {_BINARY[op]} {b})"
        if op in _MASKED:
            return f"(({a} {_MASKED[op]} {b}) & {mask})"
        if op in ("shl", "shr", "sar"):
            n = str(k & (w - 1)) if k is not None else f"({b} & {w - 1})"
            if op == "shl":
                return f"(({a} << {n}) & {mask})"
            if op == "shr":
                return f"({a} >> {n})"
            s = 1 << (w - 1)
            return f"(((({a} ^ {s}) - {s}) >> {n}) & {mask})"
        s = 1 << (aw - 1)
        if op == "eq":
            return f"({a} == {b})"
        if op == "ltu":
            return f"({a} < {b})"
        if op == "lts":
            right = str(k ^ s) if k is not None else f"({b} ^ {s})"
            return f"(({a} ^ {s}) < {right})"
        if op == "mulhu":
            return f"(({a} * {b}) >> {w})"
        if op == "mulhs":
            return f"((((({a} ^ {s}) - {s}) * (({b} ^ {s}) - {s})) >> {w}) & {mask})"
        if op == "mulhsu":
            return f"((((({a} ^ {s}) - {s}) * {b}) >> {w}) & {mask})"
        if op in ("divu", "divs", "remu", "rems"):
            return f"evaluate('{op}', {w}, {a}, {b})"
        raise ValueError(f"no Python lowering for {op}")

    def leaf(self, node: Value) -> str:
        """The expression of ``operand`` and ``pc``."""
        raise ValueError(f"{node.op} in a routine")

    # -- state and structure

    def effect(self, node: Value) -> None:
        """Lower an operation that reads or changes state, or directs control."""
        op, args = node.op, node.args
        if op == "get":
            self._read(node, f"h[{self._slot(HART, args[0], args[1:])}]")
        elif op == "set":
            self.line(f"h[{self._slot(HART, args[0], args[2:])}] = {self.ref(args[1])}")
        elif op == "get_m":
            self._read(node, f"m[{self._slot(MACHINE, args[0], args[1:])}]")
        elif op == "set_m":
            self.line(f"m[{self._slot(MACHINE, args[0], args[2:])}] = {self.ref(args[1])}")
        elif op == "aload":
            self._read(node, f"aload{node.width}({self.ref(args[0])})")
        elif op == "astore":
            value = args[1]
            assert isinstance(value, Value)
            self.line(f"astore{value.width}({self.ref(args[0])}, {self.ref(value)})")
        elif op == "host_time":
            self._read(node, "host_time()")
        elif op == "var":
            self._names[id(node)] = self.temp(self.ref(args[0]))
        elif op == "get_var":
            self._read(node, self.ref(args[0]))
        elif op == "set_var":
            self.line(f"{self.ref(args[0])} = {self.ref(args[1])}")
        elif op == "call":
            text = f"{args[0]}({', '.join(['h', *map(self.ref, args[1:])])})"
            if self._uses.get(id(node)):
                self._read(node, text)
            else:
                self.line(text)
        elif op == "if":
            self._if(node)
        elif op == "switch":
            self._switch(node)
        elif op == "repeat":
            self._repeat(node)
        elif op == "index":
            self._names[id(node)] = self._loops[-1]
        elif op == "break_if":
            self.line(f"if {self.ref(args[0])}: break")
        elif op == "ret":
            self.line(f"return {self.ref(args[0])}" if args else "return 0")
        else:
            self.control(node)

    def control(self, node: Value) -> None:
        """Lower an operation that only instructions have."""
        raise ValueError(f"no Python lowering for {node.op} here")

    def _read(self, node: Value, text: str) -> None:
        self._names[id(node)] = self.temp(text)

    def _slot(self, table: dict[str, int], field: Arg, index: tuple[Arg, ...]) -> str:
        assert isinstance(field, str)
        return f"{table[field]} + {self.ref(index[0])}" if index else str(table[field])

    def _body(self, body: Sequence[Value]) -> None:
        self.indent += 1
        before = len(self.lines)
        self.lower(body)
        if len(self.lines) == before:
            self.line("pass")
        self.indent -= 1

    def _if(self, node: Value) -> None:
        self.line(f"if {self.ref(node.args[0])}:")
        self._body(node.bodies[0])
        if node.bodies[1]:
            self.line("else:")
            self._body(node.bodies[1])

    def _switch(self, node: Value) -> None:
        value = self.temp(self.ref(node.args[0]))
        groups: list[tuple[list[int], list[Value]]] = []
        for case, body in zip(node.args[1:], node.bodies, strict=False):
            assert isinstance(case, int)
            for cases, other in groups:
                if other is body:
                    cases.append(case)
                    break
            else:
                groups.append(([case], body))
        self._dispatch(value, sorted(groups, key=lambda g: g[0][0]), node.bodies[-1])

    def _dispatch(
        self, value: str, groups: list[tuple[list[int], list[Value]]], default: list[Value]
    ) -> None:
        for n, (cases, body) in enumerate(groups):
            word = "elif" if n else "if"
            test = f"== {cases[0]}" if len(cases) == 1 else f"in {tuple(cases)}"
            self.line(f"{word} {value} {test}:")
            self._body(body)
        if default:
            if groups:
                self.line("else:")
                self._body(default)
            else:
                self.lower(default)

    def _repeat(self, node: Value) -> None:
        self._temps += 1
        counter = f"t{self._temps}"
        self.line(f"for {counter} in range({self.ref(node.args[0])}):")
        self._loops.append(counter)
        self._body(node.bodies[0])
        self._loops.pop()
