"""The reference meaning of micro-op programs: an interpreter over Python ints.

Slow and plain; the backends are tested against it. It runs routines on an arena without any engine.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from otoriscv.core.architecture import ROUTINES
from otoriscv.core.fold import evaluate, signed
from otoriscv.core.layout import HART, MACHINE, hart_offset
from otoriscv.core.routine import build
from otoriscv.core.uop import OPS, Value

__all__ = ["End", "Evaluator"]

_LEAVES = frozenset(("const", "operand", "pc", "param"))


class End(NamedTuple):
    """How a program ended: the operation and its argument values; ``next`` when it ran through."""

    op: str
    args: tuple[int, ...] = ()


class _Break(Exception):
    """break_if."""


class _Stop(Exception):
    """An operation that ends the program."""

    def __init__(self, end: End) -> None:
        self.end = end


class _Frame:
    """One activation of a program."""

    def __init__(self, params: Sequence[int], pc: int, operands: Mapping[str, int]) -> None:
        self.params = params
        self.pc = pc
        self.operands = operands
        self.values: dict[int, int] = {}
        self.variables: dict[int, int] = {}
        self.indexes: list[int] = []
        self.end = End("next")


def _no_load(address: int, bits: int, kind: str) -> int:
    raise NotImplementedError("this evaluation has no guest memory")


def _no_store(address: int, bits: int, value: int) -> None:
    raise NotImplementedError("this evaluation has no guest memory")


class Evaluator:
    """Runs programs for one hart of *arena*. ``load`` and ``store`` stand for guest memory."""

    def __init__(
        self,
        arena: memoryview,
        xlen: int,
        hart: int = 0,
        load: Callable[[int, int, str], int] = _no_load,
        store: Callable[[int, int, int], None] = _no_store,
    ) -> None:
        self.arena = arena
        self.xlen = xlen
        self.hart = hart_offset(hart)
        self.load = load
        self.store = store
        self.limit = 0  # steps left, when not 0
        self._routines: dict[str, list[Value]] = {}

    # -- the arena

    def peek(self, offset: int, width: int) -> int:
        """*width* bits at an arena offset."""
        return int.from_bytes(self.arena[offset : offset + width // 8], "little")

    def poke(self, offset: int, width: int, value: int) -> None:
        """Write *width* bits at an arena offset."""
        self.arena[offset : offset + width // 8] = value.to_bytes(width // 8, "little")

    def slot(self, field: str, index: int = 0) -> int:
        """Arena offset of a hart slot."""
        return self.hart + 8 * (HART[field] + index)

    # -- running

    def call(self, name: str, *args: int) -> int:
        """The result of a routine (0 when it returns none)."""
        body = self._routines.get(name)
        if body is None:
            body = self._routines[name] = build(ROUTINES[name], self.xlen)
        end = self.run(body, args)
        return end.args[0] if end.args else 0

    def run(
        self,
        body: Sequence[Value],
        params: Sequence[int] = (),
        *,
        pc: int = 0,
        operands: Mapping[str, int] | None = None,
    ) -> End:
        """Run a program. *operands* are the slots of a decoded entry."""
        frame = _Frame(params, pc, operands or {})
        try:
            self._body(frame, body)
        except _Stop as stop:
            return stop.end
        return frame.end

    def _body(self, frame: _Frame, body: Sequence[Value]) -> None:
        for node in body:
            result = self._node(frame, node)
            if node.width:
                frame.values[id(node)] = result & ((1 << node.width) - 1)

    def _node(self, f: _Frame, node: Value) -> int:
        op = node.op
        if op in _LEAVES:
            return self._leaf(f, node)
        args: list[int] = []
        for a in node.args:
            if isinstance(a, Value):
                if a.op in ("var",):
                    args.append(0)
                elif a.op in _LEAVES:
                    args.append(self._leaf(f, a))
                else:
                    args.append(f.values[id(a)])
            elif isinstance(a, int):
                args.append(a)
        if OPS[op].pure:
            first = node.args[1 if op == "select" else 0]
            assert isinstance(first, Value)
            a, b, c = (*args, 0, 0)[:3]
            return evaluate(op, node.width, a, b, c, arg_width=first.width)
        return self._effect(f, node, args)

    def _leaf(self, f: _Frame, node: Value) -> int:
        arg = node.args[0] if node.args else 0
        mask = (1 << node.width) - 1
        if node.op == "pc":
            return f.pc & mask
        if isinstance(arg, str):
            number = f.operands[arg] & 0xFFFF_FFFF
            return (signed(number, 32) if arg == "imm" else number) & mask
        assert isinstance(arg, int)
        return (f.params[arg] if node.op == "param" else arg) & mask

    def _register(self, f: _Frame, node: Value) -> tuple[int, int]:
        """Arena offset and number of the register that a node names."""
        reg = node.args[0]
        number = f.operands[reg] if isinstance(reg, str) else reg
        assert isinstance(number, int)
        return self.slot(node.op[-1], number), number

    def _effect(self, f: _Frame, node: Value, args: list[int]) -> int:
        a0 = node.args[0] if node.args else None
        match node.op:
            case "get_x" | "get_f":
                return self.peek(self._register(f, node)[0], 64)
            case "set_x":
                at, number = self._register(f, node)
                if number:
                    self.poke(at, 64, args[-1])
            case "set_f":
                self.poke(self._register(f, node)[0], 64, args[-1])
            case "get" | "get_m":
                return self.peek(self._state(node, args[0] if args else 0), 64)
            case "set" | "set_m":
                self.poke(self._state(node, args[1] if len(args) > 1 else 0), 64, args[0])
            case "aload":
                return self.peek(args[0], max(node.width, 8))
            case "astore":
                value = node.args[1]
                assert isinstance(value, Value)
                self.poke(args[0], value.width, args[1])
            case "host_time":
                return time.monotonic_ns()
            case "load":
                return self.load(args[0], node.width, str(node.args[-1]))
            case "store":
                value = node.args[1]
                assert isinstance(value, Value)
                self.store(args[0], value.width, args[1])
            case "var":
                f.variables[id(node)] = args[0]
            case "get_var":
                return f.variables[id(a0)]
            case "set_var":
                f.variables[id(a0)] = args[1]
            case "if":
                self._body(f, node.bodies[0 if args[0] else 1])
            case "switch":
                cases = args[1:]
                at = cases.index(args[0]) if args[0] in cases else len(cases)
                self._body(f, node.bodies[at])
            case "repeat":
                self._repeat(f, node, args[0])
            case "index":
                return f.indexes[-1]
            case "break_if":
                if args[0]:
                    raise _Break
            case "call":
                return self.call(str(a0), *args)
            case "ret":
                raise _Stop(End("ret", tuple(args)))
            case "branch":
                if args[0]:
                    f.end = End("branch", tuple(args))
            case "trap_if" | "leave_if":
                if args[0]:
                    raise _Stop(End(node.op.removesuffix("_if"), tuple(args[1:])))
            case "bail_if" | "check":
                if args[0]:
                    raise _Stop(End(node.op.removesuffix("_if"), tuple(args)))
            case _:
                raise _Stop(End(node.op, tuple(args)))
        return 0

    def _state(self, node: Value, index: int) -> int:
        field = str(node.args[0])
        if node.op.endswith("_m"):
            return 8 * (MACHINE[field] + index)
        return self.slot(field, index)

    def _repeat(self, f: _Frame, node: Value, count: int) -> None:
        f.indexes.append(0)
        try:
            for n in range(count):
                f.indexes[-1] = n
                self._body(f, node.bodies[0])
        except _Break:
            pass
        finally:
            f.indexes.pop()
