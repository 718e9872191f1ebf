"""Traces: a run of decoded instructions compiled to one Python function.

A trace starts at one pc, follows direct jumps and fall-throughs, and ends at an indirect jump, an
instruction that must poll, or its length limit; a conditional branch out of it is a side exit, a
branch back to its start a loop inside the function. Registers are locals: loaded at the start,
written back at each exit. The function is ``trace(h, n) -> (pc, n)``: *n* is the budget, and at
least `Trace.longest` of it must be left.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from otoriscv.core.isa_table import Row
from otoriscv.core.layout import HART
from otoriscv.core.sem import Sem
from otoriscv.core.uop import Builder, Value, prune, prune_marked
from otoriscv.jit.python.lower import Lowering, count_uses

__all__ = ["Decoded", "DirectPolicy", "Trace", "compile_step", "compile_trace"]

_BUDGET = HART["budget"]

#: Instructions in a trace at most, and up to which length it goes on behind a conditional branch:
#: longer ones run a few percent faster, but duplicate so much code that cold programs compile for
#: most of their time.
LIMIT = 48
EXTEND = 4


class Decoded(NamedTuple):
    """An instruction at an address."""

    pc: int
    row: Row
    operands: Mapping[str, int]
    length: int
    bits: int
    variant: frozenset[str]


class Trace(NamedTuple):
    """A compiled trace; ``pages`` are the (address, length) spans that it was made from."""

    run: Callable[[Any, int], tuple[int, int]]
    longest: int
    spans: tuple[tuple[int, int], ...]
    source: str


class DirectPolicy:
    """Loads and stores stay micro-ops: this backend has its own fast paths for them."""

    def load(self, m: Builder, address: Value, bits: int, kind: str) -> Value:
        return m.emit("load", bits, address, kind)

    def store(self, m: Builder, address: Value, value: Value) -> None:
        m.emit("store", 0, address, value)


_POLICY = DirectPolicy()


class _TraceLowering(Lowering):
    """Lowers instructions with fixed operands and registers in locals."""

    def __init__(self, xlen: int, ram_base: int, ram_mask: int) -> None:
        super().__init__(xlen)
        self.ram_base = ram_base
        self.ram_mask = ram_mask  # ~(power-of-two RAM size - 1), 0 when there is no fast window
        self.regs: set[int] = set()
        self.written: set[int] = set()
        self.count = 0  # instructions retired before the current one
        self._remaining: dict[int, int] = {}
        self._deps: dict[str, list[Value]] = {}
        self.pc = 0
        self.npc = 0
        self.start = -1
        self.next: int | None = None  # where the trace goes on, None: it ended

    # -- registers as locals

    def leaf(self, node: Value) -> str:
        return "pc"

    def ref(self, arg: Any) -> str:
        if isinstance(arg, Value) and id(arg) in self._remaining:
            self._remaining[id(arg)] -= 1
        return super().ref(arg)

    def _registers_in(self, text: str) -> set[str]:
        return {word for word in _words(text) if word[0] == "r" and word[1:].isdigit()}

    def name(self, node: Value, expression: str) -> None:
        super().name(node, expression)
        self._remaining[id(node)] = self._uses.get(id(node), 0)
        self._track(node)

    def _track(self, node: Value) -> None:
        for reg in self._registers_in(self._names[id(node)]):
            self._deps.setdefault(reg, []).append(node)

    def _get_register(self, node: Value) -> None:
        n = _slot(node)
        self.regs.add(n)
        self._names[id(node)] = f"r{n}"
        self._remaining[id(node)] = self._uses.get(id(node), 0)
        self._track(node)

    def _set_register(self, node: Value) -> None:
        n, value = _slot(node), node.args[1]
        assert isinstance(value, Value)
        self.regs.add(n)
        self.written.add(n)
        text = self.ref(value)
        if text == f"r{n}":
            return
        # expressions not yet evaluated that read the old value are evaluated now
        for old in self._deps.pop(f"r{n}", []):
            if self._remaining.get(id(old), 0) > 0 and old is not value:
                self._names[id(old)] = self.temp(self._names[id(old)])
        self.line(f"r{n} = {text}")
        if value.op != "const" and self._remaining.get(id(value), 0) > 0:
            self._names[id(value)] = f"r{n}"
            self._deps.setdefault(f"r{n}", []).append(value)

    def write_back(self) -> None:
        """Registers to the state: a placeholder, since later instructions may write more."""
        self.line("@writeback")

    # -- instructions

    def effect(self, node: Value) -> None:
        if node.op in ("get_x", "get_f"):
            self._get_register(node)
        elif node.op in ("set_x", "set_f"):
            self._set_register(node)
        else:
            if node.op == "call":  # routines find the exact budget in its slot
                self.line(f"h[{_BUDGET}] = n - {self.count}")
            super().effect(node)

    def control(self, node: Value) -> None:
        op, args = node.op, node.args
        here = f"n - {self.count}"
        if op == "load":
            self._load(node, here)
        elif op == "store":
            self._store(node, here)
        elif op == "trap_if":
            cond, cause, tval = map(self.ref, args)
            self.line(f"if {cond}: trap(h, {here}, {cause}, {tval})")
        elif op == "trap":
            self.line(f"trap(h, {here}, {self.ref(args[0])}, {self.ref(args[1])})")
            self.next = None
        elif op in ("leave", "leave_if"):
            test = f"if {self.ref(args[0])}: " if op == "leave_if" else ""
            self.line(f"{test}leave(h, {here}, {self.ref(args[-1])})")
            self.next = None if op == "leave" else self.next
        elif op == "leave_after":
            code = self.ref(args[0])
            self._exit(self.text_npc(), f"leave_after(h, %s, n - {self.count + 1}, {code})")
        elif op == "poll":
            target = self.ref(args[0]) if args else self.text_npc()
            self._exit(target, f"poll_at(h, %s, n - {self.count + 1})")
        elif op == "jump":
            self._exit(self.ref(args[0]), f"(%s, n - {self.count + 1})")
        elif op == "jump_rel":
            self._jump_rel(args[0])
        elif op == "branch":
            self._branch(args[0], args[1])
        elif op == "check":
            raise ValueError("check is expanded by native memory policies only")
        else:
            super().control(node)

    def text_npc(self) -> str:
        return str(self.npc)

    def _exit(self, target: str, result: str) -> None:
        self.write_back()
        self.line(f"return {result % target}")
        self.next = None

    def _target(self, offset: Any) -> int:
        assert isinstance(offset, Value) and offset.const is not None
        return (self.pc + offset.const) & ((1 << self.xlen) - 1)

    def _jump_rel(self, offset: Any) -> None:
        self.next = self._target(offset)

    def _branch(self, cond: Any, offset: Any) -> None:
        target = self._target(offset)
        self.line(f"if {self.ref(cond)}:")
        self.indent += 1
        if target == self.start:
            self.line(f"n -= {self.count + 1}")
            self.line("if n >= LONGEST: continue")
            self.write_back()
            self.line(f"return {target}, n")
        else:
            self.write_back()
            self.line(f"return {target}, n - {self.count + 1}")
        self.indent -= 1

    # -- memory: inside the RAM window and aligned, or the slow functions

    def _load(self, node: Value, here: str) -> None:
        address, kind = node.args
        w = node.width
        a = self._local(self.ref(address))
        slow = f"slow_load(h, {here}, {a}, {w // 8}, {int(kind == 'w')})"
        if not self.ram_mask:
            self._read(node, slow)
            return
        o = self.temp(f"{a} - {self.ram_base}")
        miss = self.ram_mask | (w // 8 - 1)
        shift = f" >> {(w // 8).bit_length() - 1}" if w > 8 else ""
        if kind == "w":  # an AMO must find the line clean, or its store would leave half done
            self._read(node, f"{slow} if {o} & {miss} or lines[{o} >> 6] else ram{w}[{o}{shift}]")
        else:
            self._read(node, f"{slow} if {o} & {miss} else ram{w}[{o}{shift}]")

    def _store(self, node: Value, here: str) -> None:
        address, value = node.args
        assert isinstance(value, Value)
        w = value.width
        a = self._local(self.ref(address))
        v = self.ref(value)
        if self.ram_mask:
            o = self.temp(f"{a} - {self.ram_base}")
            miss = self.ram_mask | (w // 8 - 1)
            shift = f" >> {(w // 8).bit_length() - 1}" if w > 8 else ""
            self.line(f"if {o} & {miss} or lines[{o} >> 6]:")
            self.indent += 1
            self._slow_store(here, a, v, w)
            self.indent -= 1
            self.line(f"else: ram{w}[{o}{shift}] = {v}")
        else:
            self._slow_store(here, a, v, w)

    def _slow_store(self, here: str, a: str, v: str, w: int) -> None:
        # nothing of the instruction but register writes may follow its store
        self.line(f"if slow_store(h, {here}, {a}, {v}, {w // 8}): ended = 1")
        self.ended = True

    ended = False

    def _local(self, text: str) -> str:
        return text if text.isidentifier() and text[0] == "t" else self.temp(text)


def _slot(node: Value) -> int:
    """The hart slot of the register that a node names."""
    n = node.args[0]
    assert isinstance(n, int)
    return HART["f"] + n if node.op.endswith("f") else n


def _words(text: str) -> list[str]:
    out, word = [], ""
    for c in text + " ":
        if c.isalnum() or c == "_":
            word += c
        elif word:
            out.append(word)
            word = ""
    return out


def _emit(sem: Sem, insn: Decoded, pc: Value) -> None:
    sem.begin(insn.row, insn.length, insn.variant, insn.operands, pc, insn.bits)
    assert insn.row.semantics is not None
    insn.row.semantics(sem)


def compile_trace(
    xlen: int,
    decode: Callable[[int], Decoded | None],
    start: int,
    space: Mapping[str, Any],
    ram_base: int,
    ram_mask: int,
    limit: int = LIMIT,
    extend: int = EXTEND,
) -> Trace:
    """Compile the trace at *start*; ``decode(pc)`` is None where it must not go on."""
    sem = Sem(xlen, _POLICY)
    insns: list[Decoded] = []
    marks: list[int] = []
    pc: int | None = start
    visited: set[int] = set()
    mask = (1 << xlen) - 1
    while pc is not None and len(insns) < limit and pc not in visited:
        insn = decode(pc)
        if insn is None:
            break
        visited.add(pc)
        insns.append(insn)
        _emit(sem, insn, sem.const(pc, xlen))
        marks.append(len(sem.body))
        branches = bool(sem.ended and sem.body[-1].op == "branch")
        pc = None if branches and len(insns) >= extend else _following(sem, insn, mask)
    if not insns:
        raise ValueError(f"no instruction at {start:#x}")
    low = _TraceLowering(xlen, ram_base, ram_mask)
    low.start = start
    body, ends = prune_marked(sem.body, marks)
    low._uses = count_uses(body)
    low.indent = 3
    at = 0
    for k, (insn, end) in enumerate(zip(insns, ends, strict=True)):
        low.count, low.pc, low.npc = k, insn.pc, (insn.pc + insn.length) & mask
        low.next = low.npc
        low.ended = False
        low.lower(body[at:end])
        at = end
        if low.ended and low.next is not None:
            low.line("if ended:")
            low.indent += 1
            low.write_back()
            low.line(f"return poll_at(h, {low.next}, n - {k + 1})")
            low.indent -= 1
    if low.next is not None:
        if low.next == start:
            low.line(f"n -= {len(insns)}")
            low.line("if n >= LONGEST: continue")
            low.write_back()
            low.line(f"return {start}, n")
        else:
            low.write_back()
            low.line(f"return {low.next}, n - {len(insns)}")
    return _assemble(low, insns, space, start)


def _following(sem: Sem, insn: Decoded, mask: int) -> int | None:
    last = sem.body[-1] if sem.ended else None
    if last is not None and last.op == "jump_rel":
        offset = last.args[0]
        assert isinstance(offset, Value) and offset.const is not None
        return (insn.pc + offset.const) & mask
    if last is not None and last.op != "branch":
        return None
    return (insn.pc + insn.length) & mask


def _assemble(
    low: _TraceLowering, insns: Sequence[Decoded], space: Mapping[str, Any], start: int
) -> Trace:
    back = ["; ".join(f"h[{n}] = r{n}" for n in sorted(low.written)) or "pass"]
    lines = ["def trace(h, n):"]
    for n in sorted(low.regs):
        lines.append(f"  r{n} = h[{n}]")
    if any("ended = 1" in text for text in low.lines):
        lines.append("  ended = 0")
    lines += ["  try:", "    while True:"]
    for text in low.lines:
        if text.endswith("@writeback"):
            lines.append(text.replace("@writeback", back[0]))
        else:
            lines.append(text.replace("LONGEST", str(len(insns))))
    lines += [
        "  except Leave as e:",
        f"    {back[0]}",
        f"    h[{HART['pc']}] = PCS[n - h[{_BUDGET}]]",
        "    return e.resume(h)",
    ]
    source = "\n".join(lines)
    local = dict(space)
    local["PCS"] = tuple(i.pc for i in insns)
    exec(compile(source, f"<trace {start:#x}>", "exec"), local)
    spans = tuple((i.pc, i.length) for i in insns)
    return Trace(local["trace"], len(insns), spans, source)


class _StepLowering(_TraceLowering):
    """One instruction at a run-time pc: ``step(h, pc, n) -> (pc, n)``."""

    def text_npc(self) -> str:
        return self._npc

    _npc = ""

    def _jump_rel(self, offset: Any) -> None:
        self._exit(self._pc_plus(offset), "(%s, n - 1)")

    def _branch(self, cond: Any, offset: Any) -> None:
        self.line(f"if {self.ref(cond)}:")
        self.indent += 1
        self.write_back()
        self.line(f"return {self._pc_plus(offset)}, n - 1")
        self.indent -= 1

    def _pc_plus(self, offset: Any) -> str:
        return f"((pc + {self.ref(offset)}) & {(1 << self.xlen) - 1})"


def compile_step(xlen: int, insn: Decoded, space: Mapping[str, Any]) -> Callable[..., Any]:
    """The function of one instruction anywhere; its memory accesses all take the slow path."""
    sem = Sem(xlen, _POLICY)
    _emit(sem, insn, sem.emit("pc", xlen))
    low = _StepLowering(xlen, 0, 0)
    body = prune(sem.body)
    low._uses = count_uses(body)
    low._npc = f"((pc + {insn.length}) & {(1 << xlen) - 1})"
    low.next = 0
    low.lower(body)
    if low.next is not None:
        low.write_back()
        low.line(f"return {low._npc}, n - 1")
    back = "; ".join(f"h[{n}] = r{n}" for n in sorted(low.written)) or "pass"
    lines = ["def step(h, pc, n):", "  ended = 0"]
    lines += [f"  r{n} = h[{n}]" for n in sorted(low.regs)]
    lines += [text.replace("@writeback", back) for text in low.lines]
    local = dict(space)
    exec(compile("\n".join(lines), f"<{insn.row.name}>", "exec"), local)
    step: Callable[..., Any] = local["step"]
    return step
