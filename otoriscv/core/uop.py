"""The micro-op language: what an instruction means, in about sixty typed operations.

A program is a list of `Value` nodes; a node is an operation and, when its width is not 0, the value
it yields. Widths are 1, 8, 16, 32 and 64 bits; values are bit patterns, and signedness belongs to
operations. `OPS` documents every operation; `text` prints a program. `Builder` makes programs:
it folds constants, shares equal pure operations and forwards register reads while building,
so every backend gets programs that are already small; `prune` removes what nothing uses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple, Union

from otoriscv.core.fold import fold

__all__ = [
    "OPS", "Arg", "Builder", "OpInfo", "Value", "Var", "prune", "prune_marked", "text", "uses_op",
]  # fmt: skip


class OpInfo(NamedTuple):
    """One operation of the language: whether it is pure, may trap, and what it does."""

    pure: bool
    doc: str
    traps: bool = False
    reads: bool = False  # reads state: shared only until the next effect


OPS: Final[dict[str, OpInfo]] = {
    # -- values
    "const": OpInfo(True, "args (n): the bit pattern n"),
    "operand": OpInfo(True, "args (slot): a decode-time number; imm is sign-extended from 32 bits"),
    "pc": OpInfo(True, "the address of this instruction, XLEN bits"),
    "param": OpInfo(True, "args (index): a routine's parameter"),
    # -- integer arithmetic: operands and result of one width, modulo 2**width
    "add": OpInfo(True, "a + b"),
    "sub": OpInfo(True, "a - b"),
    "mul": OpInfo(True, "a * b, low half"),
    "mulhu": OpInfo(True, "a * b, high half, both unsigned"),
    "mulhs": OpInfo(True, "a * b, high half, both signed"),
    "mulhsu": OpInfo(True, "a * b, high half, a signed, b unsigned"),
    "divu": OpInfo(
        True, "unsigned a / b; all ones when b = 0 (RISC-V M, table 'division by zero')"
    ),
    "divs": OpInfo(True, "signed a / b toward zero; -1 when b = 0; a when it overflows"),
    "remu": OpInfo(True, "unsigned a % b; a when b = 0"),
    "rems": OpInfo(True, "signed remainder with a's sign; a when b = 0; 0 when it overflows"),
    "and": OpInfo(True, "a & b"),
    "or": OpInfo(True, "a | b"),
    "xor": OpInfo(True, "a ^ b"),
    "shl": OpInfo(True, "a << (b mod width)"),
    "shr": OpInfo(True, "a >> (b mod width), zeros in"),
    "sar": OpInfo(True, "a >> (b mod width), sign in"),
    "clz": OpInfo(True, "leading zero bits; width when a = 0"),
    "ctz": OpInfo(True, "trailing zero bits; width when a = 0"),
    "popcount": OpInfo(True, "bits set"),
    "bswap": OpInfo(True, "bytes in reverse order (width 16 and up)"),
    # -- comparisons: 1 bit
    "eq": OpInfo(True, "a = b"),
    "ltu": OpInfo(True, "a < b, unsigned"),
    "lts": OpInfo(True, "a < b, signed"),
    "select": OpInfo(True, "args (c, a, b): a when the 1-bit c is 1, else b"),
    # -- widths
    "zext": OpInfo(True, "widen with zeros"),
    "sext": OpInfo(True, "widen with the sign"),
    "trunc": OpInfo(True, "the low bits"),
    # -- the host's floating point: to nearest even, no flags; only normal results are right
    "fadd": OpInfo(True, "a + b on bit patterns of 32 or 64 bits"),
    "fsub": OpInfo(True, "a - b"),
    "fmul": OpInfo(True, "a * b"),
    "fdiv": OpInfo(True, "a / b"),
    "fsqrt": OpInfo(True, "the square root of a"),
    "fma": OpInfo(True, "a * b + c rounded once, or a NaN where the host has no such operation"),
    "feq": OpInfo(True, "a = b as numbers, 1 bit; 0 with a NaN"),
    "flt": OpInfo(True, "a < b, 1 bit; 0 with a NaN"),
    "funo": OpInfo(True, "whether a or b is a NaN, 1 bit"),
    "ftoi": OpInfo(True, "a as a signed integer of 64 bits, toward zero; any when it does not fit"),
    "itof": OpInfo(True, "the number nearest to a, a signed integer of 64 bits"),
    "fwiden": OpInfo(True, "a, of 32 bits, in 64"),
    "fnarrow": OpInfo(True, "the number of 32 bits nearest to a, of 64"),
    # -- state
    "get_x": OpInfo(False, "args (reg): integer register, a number or an operand slot", reads=True),
    "set_x": OpInfo(False, "args (reg, v): write it; x0 stays zero"),
    "get_f": OpInfo(
        False,
        "args (reg): floating-point register, 64 bits, a number or an operand slot",
        reads=True,
    ),
    "set_f": OpInfo(False, "args (reg, v): write it"),
    "get": OpInfo(False, "args (slot[, index]): a u64 slot of the hart struct", reads=True),
    "set": OpInfo(False, "args (slot, v[, index]): write it"),
    "get_m": OpInfo(False, "args (slot[, index]): a u64 slot of the machine struct", reads=True),
    "set_m": OpInfo(False, "args (slot, v[, index]): write it"),
    "aload": OpInfo(
        False, "args (offset): width bits at an arena offset, little-endian", reads=True
    ),
    "astore": OpInfo(False, "args (offset, v): write v at an arena offset"),
    "host_time": OpInfo(False, "the host's monotonic clock in nanoseconds, 64 bits", reads=False),
    # -- guest memory, expanded by a memory policy before a native backend sees it
    "load": OpInfo(False, "args (address, kind): width bits; kind r or w (an AMO's)", traps=True),
    "store": OpInfo(False, "args (address, v): write v to guest memory", traps=True),
    "bail_if": OpInfo(False, "args (c): leave the fast form, before any effect; the slow one runs"),
    "check": OpInfo(False, "args (status): a slow routine's status: go on, trap, or leave"),
    # -- variables and structured control
    "var": OpInfo(False, "args (init): a mutable variable"),
    "get_var": OpInfo(False, "args (var): its value"),
    "set_var": OpInfo(False, "args (var, v): assign"),
    "if": OpInfo(False, "args (c), bodies (then, else)"),
    "switch": OpInfo(False, "args (v, case, ...), bodies one per case, then the default's"),
    "repeat": OpInfo(False, "args (n), one body: run it n times; `index` is its counter"),
    "index": OpInfo(False, "args (): the innermost repeat's counter, 64 bits"),
    "break_if": OpInfo(False, "args (c): leave the innermost repeat"),
    "call": OpInfo(False, "args (routine, ...): call a routine"),
    "ret": OpInfo(False, "args ([v]): return from a routine"),
    # -- how an instruction ends (top level only; without one, the next instruction follows)
    "branch": OpInfo(False, "args (c, offset): jump to pc + offset when c"),
    "jump_rel": OpInfo(False, "args (offset): jump to pc + offset"),
    "jump": OpInfo(False, "args (target): jump to an address"),
    "trap": OpInfo(False, "args (cause, tval): take an exception", traps=True),
    "trap_if": OpInfo(False, "args (c, cause, tval): take an exception when c", traps=True),
    "poll": OpInfo(
        False,
        "args ([target]): retire, then look for interrupts and deadlines before going on,"
        " at the next instruction or at target",
    ),
    "leave": OpInfo(False, "args (exit): leave to Python at this instruction, nothing done"),
    "leave_if": OpInfo(False, "args (c, exit): leave to Python when c, nothing done"),
    "leave_after": OpInfo(False, "args (exit): retire, then leave to Python"),
}

Arg = Union["Value", int, str]


class Value:
    """A node: operation ``op`` over ``args``, yielding ``width`` bits (0: nothing)."""

    __slots__ = ("args", "bodies", "builder", "op", "width")

    def __init__(
        self,
        builder: Builder,
        op: str,
        width: int,
        args: tuple[Arg, ...],
        bodies: tuple[list[Value], ...] = (),
    ) -> None:
        self.builder = builder
        self.op = op
        self.width = width
        self.args = args
        self.bodies = bodies

    @property
    def const(self) -> int | None:
        """The number, when this is a constant."""
        return self.args[0] if self.op == "const" else None  # type: ignore[return-value]  # const holds an int

    def _with(self, op: str, other: Value | int, width: int | None = None) -> Value:
        b = self.builder
        if isinstance(other, int):
            other = b.const(other, self.width)
        if other.width != self.width:
            raise TypeError(f"{op}: widths {self.width} and {other.width}")
        return b.emit(op, self.width if width is None else width, self, other)

    def __add__(self, other: Value | int) -> Value:
        return self._with("add", other)

    def __sub__(self, other: Value | int) -> Value:
        return self._with("sub", other)

    def __mul__(self, other: Value | int) -> Value:
        return self._with("mul", other)

    def __and__(self, other: Value | int) -> Value:
        return self._with("and", other)

    def __or__(self, other: Value | int) -> Value:
        return self._with("or", other)

    def __xor__(self, other: Value | int) -> Value:
        return self._with("xor", other)

    def __invert__(self) -> Value:
        return self._with("xor", -1)

    def __lshift__(self, other: Value | int) -> Value:
        return self._with("shl", other)

    def __rshift__(self, other: Value | int) -> Value:
        """Logical shift right; `sar` shifts the sign in."""
        return self._with("shr", other)

    def sar(self, other: Value | int) -> Value:
        return self._with("sar", other)

    def mulhu(self, other: Value) -> Value:
        return self._with("mulhu", other)

    def mulhs(self, other: Value) -> Value:
        return self._with("mulhs", other)

    def mulhsu(self, other: Value) -> Value:
        return self._with("mulhsu", other)

    def divu(self, other: Value | int) -> Value:
        return self._with("divu", other)

    def divs(self, other: Value | int) -> Value:
        return self._with("divs", other)

    def remu(self, other: Value | int) -> Value:
        return self._with("remu", other)

    def rems(self, other: Value | int) -> Value:
        return self._with("rems", other)

    def eq(self, other: Value | int) -> Value:
        return self._with("eq", other, 1)

    def ne(self, other: Value | int) -> Value:
        return ~self.eq(other)

    def ltu(self, other: Value | int) -> Value:
        return self._with("ltu", other, 1)

    def lts(self, other: Value | int) -> Value:
        return self._with("lts", other, 1)

    def geu(self, other: Value | int) -> Value:
        return ~self.ltu(other)

    def ges(self, other: Value | int) -> Value:
        return ~self.lts(other)

    def zext(self, width: int) -> Value:
        """Widened with zeros to *width* bits (or unchanged)."""
        return self if width == self.width else self.builder.emit("zext", width, self)

    def sext(self, width: int) -> Value:
        """Widened with the sign to *width* bits (or unchanged)."""
        return self if width == self.width else self.builder.emit("sext", width, self)

    def trunc(self, width: int) -> Value:
        """The low *width* bits (or unchanged)."""
        return self if width == self.width else self.builder.emit("trunc", width, self)

    def bit(self, n: int) -> Value:
        """Bit *n* as one bit."""
        return (self >> n).trunc(1)

    def select(self, a: Value | int, b: Value | int, width: int = 0) -> Value:
        """*a* when this 1-bit value is 1, else *b* (*width* is needed when both are ints)."""
        assert self.width == 1
        w = a.width if isinstance(a, Value) else b.width if isinstance(b, Value) else width
        make = self.builder.const
        a = make(a, w) if isinstance(a, int) else a
        b = make(b, w) if isinstance(b, int) else b
        if a.width != b.width:
            raise TypeError(f"select: widths {a.width} and {b.width}")
        return self.builder.emit("select", w, self, a, b)

    def clz(self) -> Value:
        return self.builder.emit("clz", self.width, self)

    def ctz(self) -> Value:
        return self.builder.emit("ctz", self.width, self)

    def popcount(self) -> Value:
        return self.builder.emit("popcount", self.width, self)

    def bswap(self) -> Value:
        return self.builder.emit("bswap", self.width, self)


class Var:
    """A mutable variable of a program: ``v.value`` reads it, ``v.value = x`` assigns."""

    __slots__ = ("node",)

    def __init__(self, node: Value) -> None:
        self.node = node

    @property
    def value(self) -> Value:
        b = self.node.builder
        return b.emit("get_var", self.node.width, self.node)

    @value.setter
    def value(self, new: Value | int) -> None:
        b = self.node.builder
        new = b.const(new, self.node.width) if isinstance(new, int) else new
        if new.width != self.node.width:
            raise TypeError(f"variable of width {self.node.width} assigned {new.width}")
        b.emit("set_var", 0, self.node, new)


class Builder:
    """Makes a micro-op program for one XLEN. The body grows in ``body``."""

    def __init__(self, xlen: int) -> None:
        self.xlen = xlen
        self.body: list[Value] = []
        self._pure: dict[tuple[object, ...], Value] = {}
        self._state: dict[tuple[object, ...], Value] = {}

    # -- nodes

    def emit(self, op: str, width: int, *args: Arg, bodies: tuple[list[Value], ...] = ()) -> Value:
        """Append a node, or return an equal or simpler value that exists."""
        info = OPS[op]
        if info.pure:
            simpler = fold(self, op, width, args)
            if simpler is not None:
                return simpler
            key = (op, width, *[a if isinstance(a, (int, str)) else id(a) for a in args])
            known = self._pure.get(key)
            if known is None:
                known = self._pure[key] = Value(self, op, width, args)
                self.body.append(known)
            return known
        if info.reads:
            key = (op, width, *[a if isinstance(a, (int, str)) else id(a) for a in args])
            known = self._state.get(key)
            if known is None:
                known = self._state[key] = Value(self, op, width, args)
                self.body.append(known)
            return known
        if op in _CONDITIONAL and isinstance(args[0], Value) and args[0].const == 0:
            return args[0]
        if op == "set" and len(args) == 2 and self._state.get(("get", 64, args[0])) is args[1]:
            return self._state["get", 64, args[0]]
        node = Value(self, op, width, args, bodies)
        self.body.append(node)
        if op not in _KEEPS_STATE:
            self._forget(op, args)
        return node

    def _forget(self, op: str, args: tuple[Arg, ...]) -> None:
        """Drop forwarded state that *op* may change; remember what it wrote."""
        state = self._state
        if op in ("set_x", "set_f"):
            reg, value = args
            fixed = isinstance(reg, int)
            get = "get_x" if op == "set_x" else "get_f"
            for key in [k for k in state if k[0] == get]:
                if not fixed or not isinstance(key[2], int) or key[2] == reg:
                    del state[key]
            if fixed and isinstance(value, Value):
                state[get, value.width, reg] = value
        elif op in ("set", "set_m"):
            get = "get" if op == "set" else "get_m"
            for key in [
                k for k in state if k[0] == get and (len(args) > 2 or k[2] == args[0] or len(k) > 3)
            ]:
                del state[key]
            if len(args) == 2:
                state[get, 64, args[0]] = args[1]  # type: ignore[assignment]  # args[1] is a Value
        elif op == "astore":
            for key in [k for k in state if k[0] == "aload"]:
                del state[key]
        else:
            state.clear()

    def const(self, n: int, width: int) -> Value:
        """The constant *n* (any int) in *width* bits."""
        n &= (1 << width) - 1
        key = ("const", width, n)
        known = self._pure.get(key)
        if known is None:
            known = self._pure[key] = Value(self, "const", width, (n,))
            self.body.append(known)
        return known

    def x(self, n: Value | int) -> Value:
        """An XLEN-wide constant."""
        return self.const(n, self.xlen) if isinstance(n, int) else n

    # -- state

    def get(self, field: str, index: Value | None = None) -> Value:
        """A 64-bit slot of the hart struct (``layout.HART``)."""
        return self.emit("get", 64, field) if index is None else self.emit("get", 64, field, index)

    def set(self, field: str, value: Value | int, index: Value | None = None) -> None:
        """Write a hart slot; narrower values are zero-extended."""
        value = self.const(value, 64) if isinstance(value, int) else value.zext(64)
        if index is None:
            self.emit("set", 0, field, value)
        else:
            self.emit("set", 0, field, value, index)

    def get_m(self, field: str, index: Value | None = None) -> Value:
        """A 64-bit slot of the machine struct (``layout.MACHINE``)."""
        return (
            self.emit("get_m", 64, field) if index is None else self.emit("get_m", 64, field, index)
        )

    def set_m(self, field: str, value: Value | int, index: Value | None = None) -> None:
        """Write a machine slot; narrower values are zero-extended."""
        value = self.const(value, 64) if isinstance(value, int) else value.zext(64)
        if index is None:
            self.emit("set_m", 0, field, value)
        else:
            self.emit("set_m", 0, field, value, index)

    def aload(self, offset: Value, width: int) -> Value:
        """*width* bits at arena *offset* (64 bits)."""
        return self.emit("aload", width, offset)

    def astore(self, offset: Value, value: Value) -> None:
        """Store *value* at arena *offset* (64 bits)."""
        self.emit("astore", 0, offset, value)

    # -- control

    def var(self, init: Value | int, width: int = 64) -> Var:
        """A new mutable variable."""
        init = self.const(init, width) if isinstance(init, int) else init
        return Var(self.emit("var", init.width, init))

    @contextmanager
    def _nested(self, into: list[Value]) -> Iterator[None]:
        outer, pure = self.body, self._pure
        self.body, self._pure, self._state = into, dict(pure), {}
        try:
            yield
        finally:
            self.body, self._pure, self._state = outer, pure, {}

    @contextmanager
    def apart(self, into: list[Value]) -> Iterator[None]:
        """Nodes go to *into* and are shared with none elsewhere: it may be put in anywhere behind
        the values that it uses."""
        saved = self.body, self._pure, self._state
        self.body, self._pure, self._state = into, {}, {}
        try:
            yield
        finally:
            self.body, self._pure, self._state = saved

    @contextmanager
    def if_(self, cond: Value) -> Iterator[None]:
        """The body runs when the 1-bit *cond* is 1."""
        then: list[Value] = []
        before = self._state
        with self._nested(then):
            yield
        self._branching("if", (cond,), (then, []))
        if all(OPS[n.op].pure or OPS[n.op].reads or n.op in _NO_EFFECT for n in then):
            self._state = before

    @contextmanager
    def else_(self) -> Iterator[None]:
        """The else part of the `if_` just closed."""
        node = self.body[-1]
        assert node.op == "if", "else_ must follow if_"
        with self._nested(node.bodies[1]):
            yield
        self._state.clear()

    def _branching(self, op: str, args: tuple[Arg, ...], bodies: tuple[list[Value], ...]) -> None:
        self.body.append(Value(self, op, 0, args, bodies))
        self._state = {}

    @contextmanager
    def repeat(self, count: Value | int) -> Iterator[Value]:
        """Run the body *count* times (64-bit); yields the counter."""
        n = self.const(count, 64) if isinstance(count, int) else count
        body: list[Value] = []
        with self._nested(body):
            index = Value(self, "index", 64, ())
            body.append(index)
            yield index
        self._branching("repeat", (n,), (body,))

    def break_if(self, cond: Value) -> None:
        """Leave the innermost `repeat` when *cond*."""
        self.emit("break_if", 0, cond)

    def switch(self, value: Value) -> Switch:
        """``with b.switch(v) as s: with s.case(3): ...; with s.default(): ...``"""
        return Switch(self, value)

    def call(self, routine: str, *args: Value | int, width: int = 64) -> Value:
        """Call a routine (core/routine.py); its arguments and result are 64 bits wide."""
        values = [self.const(a, 64) if isinstance(a, int) else a.zext(64) for a in args]
        return self.emit("call", width, routine, *values)

    def ret(self, value: Value | int | None = None) -> None:
        """Return from a routine."""
        if value is None:
            self.emit("ret", 0)
        else:
            v = self.const(value, 64) if isinstance(value, int) else value.zext(64)
            self.emit("ret", 0, v)


class Switch:
    """Collects the cases of a `Builder.switch`."""

    def __init__(self, builder: Builder, value: Value) -> None:
        self._b = builder
        self._value = value
        self._cases: list[tuple[int, list[Value]]] = []
        self._default: list[Value] = []

    def __enter__(self) -> Switch:
        return self

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if kind is None:
            args: tuple[Arg, ...] = (self._value, *[c for c, _ in self._cases])
            bodies = (*[b for _, b in self._cases], self._default)
            self._b._branching("switch", args, bodies)

    @contextmanager
    def case(self, *numbers: int) -> Iterator[None]:
        """The body for these values."""
        body: list[Value] = []
        with self._b._nested(body):
            yield
        for n in numbers:
            self._cases.append((n, body))

    @contextmanager
    def default(self) -> Iterator[None]:
        """The body for every other value."""
        with self._b._nested(self._default):
            yield


#: Operations that do nothing when their first argument is 0.
_CONDITIONAL: Final = frozenset(("trap_if", "leave_if", "bail_if", "break_if"))
#: What leaves the state as it is, in the bodies of an `if`.
_NO_EFFECT: Final = frozenset(("bail_if", "var", "get_var", "set_var"))
#: Operations without value that leave forwarded state valid.
_KEEPS_STATE: Final = frozenset(
    (
        "var",
        "get_var",
        "set_var",
        "index",
        "break_if",
        "bail_if",
        "trap_if",
        "leave_if",
        "ret",
        "host_time",
        "branch",
    )
)


def prune(body: list[Value]) -> list[Value]:
    """*body* without pure values and state reads that nothing uses, and without dead writes.

    A register write is dead when the same fixed register is written again before anything that
    may read the state: a trap, a call, a jump, a nested body.
    """
    used: set[int] = set()

    def walk(nodes: Sequence[Value]) -> list[Value]:
        kept: list[Value] = []
        overwritten: set[tuple[str, int]] = set()
        for node in reversed(nodes):
            info = OPS[node.op]
            if (info.pure or info.reads or node.op in ("get_var", "index")) and id(
                node
            ) not in used:
                continue
            if node.op in ("set_x", "set_f") and isinstance(node.args[0], int):
                register = node.op[-1], node.args[0]
                if register in overwritten:
                    continue
                overwritten.add(register)
            elif node.op in ("get_x", "get_f"):
                if isinstance(node.args[0], int):
                    overwritten.discard((node.op[-1], node.args[0]))
                else:
                    overwritten.clear()
            elif not info.pure and node.op not in _QUIET:
                overwritten.clear()
            for arg in node.args:
                if isinstance(arg, Value):
                    used.add(id(arg))
            if node.bodies:
                bodies = []
                seen: dict[int, list[Value]] = {}
                for b in reversed(node.bodies):
                    if id(b) not in seen:
                        seen[id(b)] = walk(b)
                    bodies.append(seen[id(b)])
                node = _with_bodies(node, tuple(reversed(bodies)))
            kept.append(node)
        kept.reverse()
        return kept

    return walk(body)


def prune_marked(body: list[Value], marks: Sequence[int]) -> tuple[list[Value], list[int]]:
    """`prune`, keeping track of instructions: *marks* says where each ends in *body*, and the
    second result where it ends in what is left."""
    owner = {}
    at = 0
    for k, end in enumerate(marks):
        for node in body[at:end]:
            owner[id(node)] = k
        at = end
    kept = prune(body)
    ends = [0] * len(marks)
    for i, node in enumerate(kept):
        ends[owner[id(node)]] = i + 1
    for k in range(1, len(ends)):
        ends[k] = max(ends[k], ends[k - 1])
    return kept, ends


_QUIET: Final = frozenset(("get", "set", "get_m", "set_m", "aload", "var", "get_var", "set_var"))


def _with_bodies(node: Value, bodies: tuple[list[Value], ...]) -> Value:
    node.bodies = bodies
    return node


def uses_op(body: Sequence[Value], op: str) -> bool:
    """Whether *op* occurs in *body* or a body nested in it."""
    return any(node.op == op or any(uses_op(b, op) for b in node.bodies) for node in body)


def text(body: Sequence[Value]) -> str:
    """The program as text, one node a line: ``%3:32 = add %1, %2``."""
    names: dict[int, str] = {}
    lines: list[str] = []

    def show(arg: Arg) -> str:
        if isinstance(arg, Value):
            if arg.op == "const":
                return f"{arg.args[0]:#x}:{arg.width}"
            return names.setdefault(id(arg), f"%{len(names)}")
        return str(arg)

    def walk(nodes: Sequence[Value], indent: str) -> None:
        for node in nodes:
            if node.op == "const":
                continue
            args = ", ".join(show(a) for a in node.args)
            head = f"{show(node)}:{node.width} = " if node.width else ""
            lines.append(f"{indent}{head}{node.op} {args}".rstrip())
            for n, b in enumerate(node.bodies):
                if n:
                    lines.append(f"{indent}--")
                walk(b, indent + "  ")

    walk(body, "")
    return "\n".join(lines)
