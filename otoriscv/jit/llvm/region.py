"""A region as LLVM IR: guest registers in SSA values, one body, one small function per entry.

The convention is the interpreter's (docs/abi.md). An entry function computes the region's base pc
and calls the body with (hart, arena, base, budget, table, entry number). All addresses are
relative to the base, so the code does not depend on where the guest mapped it. Whatever is
unusual commits the state at the instruction and lets the interpreter execute that one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Final

from otoriscv.core import mode
from otoriscv.core.handlers import RESUME, RESUME_INTERP
from otoriscv.core.layout import (
    EXITS,
    HART,
    MACHINE,
    PAGE,
    PAGE_ENTRIES,
    PAGE_SHIFT,
    TARGETS,
)
from otoriscv.core.sem import MemoryPolicy, Sem
from otoriscv.core.uop import OPS, Value, prune_marked
from otoriscv.jit.llvm.banked import LASTS, LOOP, LOOP_SHIFT, BankedPolicy, LoopPolicy
from otoriscv.jit.llvm.flat import BlockPolicy, FlatPolicy
from otoriscv.jit.llvm.ir import DECLARATIONS, is_number
from otoriscv.jit.llvm.native import ATTRIBUTES, CC, PARAMS, NativeFunction
from otoriscv.jit.regions import Block, Region

__all__ = ["region_text"]

#: A bail in one number: its pc relative to the base, shifted by this; what %n lacks of the budget.
_AT: Final = 16
#: An entry in one number: how far it is from the first, shifted by this; which it is.
_ENTRY: Final = 8
#: What %P of an instruction and of the one in the next page differ by, less what their pcs do.
_PAGE_STEP: Final = (8 * PAGE - PAGE_ENTRIES) // 8
#: Hart slots that no instruction of a region changes: what sets them ends a block, or leaves.
_FIXED: Final = frozenset(("mstatus", "frm", "fflags"))


class _RegionFunction(NativeFunction):
    """Lowers the body."""

    def __init__(
        self,
        xlen: int,
        region: Region,
        policy: MemoryPolicy,
        conditions: Mapping[int, Sequence[list[Value]]],
    ) -> None:
        super().__init__(xlen)
        self.region = region
        #: Programs of breakpoints in it: where one does not give 0, the interpreter goes on.
        self.conditions = conditions
        self._condition_false = ""  # label
        self.base = region.entry
        self.policy = policy
        #: Its addresses are known.
        self.flat = isinstance(policy, FlatPolicy)
        #: Hart slots of the registers in use, x and f, and of those written.
        self.regs: set[int] = set()
        self.written: set[int] = set()
        self._done = 0  # instructions retired in the block before the current one
        #: %n is what the budget exceeds this by, which covers every way to the next test.
        self._spare = region.longest
        self._budget = ""  # %n at the start of the block that loaded it
        #: Blocks with one way in, a forward edge, count on from where that block began: by start,
        #: (the block that loads %n, instructions retired since).
        self._counted = _counted_on(region)
        self._since = 0
        self._bank = ""
        self._pc = 0
        self._block_now = region.blocks[region.entry]
        self._passed: set[str] = set()  # conditions of bails that did not hold in this block
        #: Slots of registers that hold doubles, as far as this region sees.
        self.doubles: set[int] = set()
        #: What no instruction of the region changes is computed once, before all blocks.
        self._hoisted: list[str] = []
        self._fixed: dict[int, str] = {}  # by node
        self._known: dict[str, str] = {}  # by text
        loops = region.loops(LOOP) if isinstance(policy, BankedPolicy) else {}
        numbers = {head: n for n, head in enumerate(sorted(set(loops.values())))}
        #: Blocks that remember what the TLB said: the number of their loop.
        self._loop_of = {start: numbers[head] for start, head in loops.items()}
        self._lasts: dict[int, dict[str, None]] = {}  # the variables for that, by loop

    def build(self, name: str, entries: Sequence[int]) -> str:
        programs = {start: self._program(b) for start, b in self.region.blocks.items()}
        for start, (body, _) in programs.items():
            self._collect(body, start)
        for conditions in self.conditions.values():
            for body in conditions:
                self._collect(body, 0)
        self._find_doubles([body for body, _ in programs.values()])
        for r in sorted(self.regs):
            self.allocas.append(f"  %r{r} = alloca {self._type(r)}")
        self.allocas += [f"  %{name} = alloca i64" for name in ("n", "xat", "xpc", "xn", "xleft")]
        self.line(f"store i64 {self.op('sub', '%N', self._spare)}, ptr %n")
        tlb = self.field("%S", HART["tlb"])
        self._bank = self.new(f"getelementptr i64, ptr {tlb}, i64 {self.get('data_bank')}")
        for r in sorted(self.regs):
            value = self.new(f"load {self._type(r)}, ptr {self.field('%S', r)}")
            self.line(f"store {self._type(r)} {value}, ptr %r{r}")
        before = len(self.lines)
        self._enter_loops(entries, None)
        cases = " ".join(f"i64 {k}, label %{self._label(pc)}" for k, pc in enumerate(entries))
        self.end(f"switch i64 %P, label %{self._label(entries[0])} [{cases}]")
        for start, block in self.region.blocks.items():
            self._block(block, *programs[start])
        self._exits()
        self.lines[before:before] = self._hoisted
        return self.wrap(name)

    # -- micro-ops

    def _program(self, block: Block) -> tuple[list[Value], list[int]]:
        sem = Sem(self.xlen, self.policy)
        grouping = None
        if self.flat:
            assert isinstance(self.policy, FlatPolicy)
            sem.policy = grouping = BlockPolicy(self.policy, sem.body)
        remembering = None
        if block.start in self._loop_of:
            sem.policy = remembering = LoopPolicy(self._loop_of[block.start])
        base = sem.const(self.base, self.xlen) if self.flat else sem.emit("pc", self.xlen)
        marks = []
        for pc, insn in block.insns:
            where = base + ((pc - self.base) & ((1 << self.xlen) - 1))
            variant = insn.variant - {"near"}
            sem.begin(insn.row, insn.length, variant, insn.operands, where, insn.bits)
            if remembering is not None:
                remembering.register = insn.operands.get("rs1", 0)
            assert insn.row.semantics is not None
            insn.row.semantics(sem)
            marks.append(len(sem.body))
        body = sem.body
        if grouping is not None:
            body, marks = grouping.finish(body, marks)
        return prune_marked(body, marks)

    def _collect(self, body: Sequence[Value], start: int) -> None:
        for node in body:
            if node.op in ("get_x", "get_f"):
                self.regs.add(self._slot_of(node))
            elif (slot := self._register_of(node)) is not None:
                self.regs.add(slot)
            elif node.op in ("set_x", "set_f"):
                self.regs.add(self._slot_of(node))
                self.written.add(self._slot_of(node))
            elif node.op == "set" and node.args[0] in LASTS:
                self._last(node)
            for nested in node.bodies:
                self._collect(nested, start)

    def _find_doubles(self, bodies: Sequence[list[Value]]) -> None:
        """Registers that are used as doubles, or loaded to be, are SSA values of that type."""
        for body in bodies:
            self.want_numbers(body)
        nodes = [node for body in bodies for node in body]
        for node in nodes:
            if (node.op == "get_f" and id(node) in self._wanted) or (
                node.op == "set_f" and is_number(node.args[1])
            ):
                self.doubles.add(self._slot_of(node))
        for node in nodes:
            if node.op == "set_f" and self._slot_of(node) in self.doubles:
                self._wanted.add(id(node.args[1]))

    def _node(self, node: Value) -> None:
        if not self._is_fixed(node):
            super()._node(node)
            return
        self._names[id(node)] = self._fixed[id(node)] = self._once(lambda: self._named(node))

    def _named(self, node: Value) -> str:
        super()._node(node)
        return self._names[id(node)]

    def _once(self, make: Callable[[], str]) -> str:
        """Hoist what *make* computes, unless the same is there; its name there."""
        lines, self.lines = self.lines, []
        name = make()
        made, self.lines = self.lines, lines
        text = "\n".join(line.partition(" = ")[2].replace(made[0].split()[0], "_") for line in made)
        known = self._known.setdefault(text, name)
        if known == name:
            self._hoisted += made
        return known

    def _is_fixed(self, node: Value) -> bool:
        """Whether no instruction of the region changes it."""
        if node.op == "get":
            return node.args[0] in _FIXED
        return (
            OPS[node.op].pure
            and bool(node.args)
            and all(isinstance(a, Value) and (a.op == "const" or id(a) in self._fixed)
                    for a in node.args)
        )  # fmt: skip

    def _last(self, node: Value) -> str:
        """The variable of a `LoopPolicy` that *node* is about; -1 is no tag."""
        index = node.args[-1]
        assert isinstance(index, Value)
        assert index.const is not None
        name = f"%{node.args[0]}{index.const}"
        known = self._lasts.setdefault(index.const >> LOOP_SHIFT, {})
        if name not in known:
            known[name] = None
            self.allocas.append(f"  {name} = alloca i64")
        return name

    def _enter_loops(self, targets: Sequence[int], now: int | None) -> None:
        """Nothing is known when a loop is entered: kept from before, its variables would take
        registers and stack in all of the region."""
        entered = {self._loop_of[target] for target in targets if target in self._loop_of}
        for loop in sorted(entered - {now}):
            for name in self._lasts.get(loop, ()):
                self.line(f"store i64 -1, ptr {name}")

    def _op_set(self, node: Value) -> None:
        if node.args[0] in LASTS:
            self.line(f"store {self.typed(node.args[1])}, ptr {self._last(node)}")
            return
        if node.args[0] not in _FIXED:
            super()._op_set(node)
            return
        # It changes seldom: then it is the interpreter's.
        value = node.args[1]
        was = self._once(lambda: self.get(str(node.args[0])))
        text = f"icmp ne {self.typed(value)}, {was}"
        if id(value) in self._fixed:
            self._bail_unless_passed(self._once(lambda: self.new(text)))
        else:
            self._bail(self.new(text))

    def _op_pc(self, node: Value) -> str:
        return "%E" if self.xlen == 64 else self.new("trunc i64 %E to i32")

    @staticmethod
    def _slot_of(node: Value) -> int:
        n = node.args[0]
        assert isinstance(n, int)
        return HART[node.op[-1]] + n

    @staticmethod
    def _register_of(node: Value) -> int | None:
        """The hart slot of the register that a condition reads; None for x0 and all others."""
        if node.op != "get" or node.args[0] not in ("x", "f"):
            return None
        field, index = node.args
        assert isinstance(field, str) and isinstance(index, Value) and index.const is not None
        return None if (field, index.const) == ("x", 0) else HART[field] + index.const

    def _type(self, slot: int) -> str:
        if slot in self.doubles:
            return "double"
        return "i64" if slot >= HART["f"] else f"i{self.xlen}"

    def _op_get_x(self, node: Value) -> str:
        return self.new(f"load i{node.width}, ptr %r{self._slot_of(node)}")

    def _op_set_x(self, node: Value) -> None:
        self.line(f"store {self.typed(node.args[1])}, ptr %r{self._slot_of(node)}")

    def _op_get_f(self, node: Value) -> str | None:
        slot = self._slot_of(node)
        if slot in self.doubles:
            self._wanted.add(id(node))
        return self.loaded(node, f"%r{slot}")

    def _op_set_f(self, node: Value) -> None:
        slot, value = self._slot_of(node), node.args[1]
        double = slot in self.doubles
        text = f"double {self.number(value)}" if double else self.typed(value)
        self.line(f"store {text}, ptr %r{slot}")

    def _op_get(self, node: Value) -> str:
        slot = self._register_of(node)
        if slot is not None and slot in self.doubles:
            number = self.new(f"load double, ptr %r{slot}")
            return self.new(f"bitcast double {number} to i64")
        if slot is not None:
            value = self.new(f"load {self._type(slot)}, ptr %r{slot}")
            narrow = self._type(slot) == "i32"
            return self.new(f"zext i32 {value} to i64") if narrow else value
        if node.args[0] == "pc":
            return self._address(self._pc)
        if node.args[0] in LASTS:
            return self.new(f"load i64, ptr {self._last(node)}")
        if node.args[0] == "page_flags":  # the line bytes of a page, or'ed
            lines = self.new(f"load <8 x i64>, ptr {self.at(self.ref(node.args[1]))}")
            return self.new(f"call i64 @llvm.vector.reduce.or.v8i64(<8 x i64> {lines})")
        if node.args[0] == "tlb":  # see `BankedPolicy`
            at = self.new(f"getelementptr i64, ptr {self._bank}, i64 {self.ref(node.args[1])}")
            return self.new(f"load i64, ptr {at}")
        return super()._op_get(node)

    def _op_ret(self, node: Value) -> None:
        """The end of a condition."""
        self._bail(self.new(f"icmp ne {self.typed(node.args[0])}, 0"))
        self.end(f"br label %{self._condition_false}")

    def _bail(self, cond: str) -> None:
        on = self.label()
        where = (self._pc - self.base << _AT) + self._spare - self._done
        self.line(f"store i64 {where}, ptr %xat")
        self.end(f"br i1 {cond}, label %bail, label %{on}, !prof !0")
        self._join(on)

    def _op_bail_if(self, node: Value) -> None:
        self._bail_unless_passed(self.ref(node.args[0]))

    def _bail_unless_passed(self, cond: str) -> None:
        if cond not in self._passed:  # a load and a store of the same address ask the same
            self._passed.add(cond)
            self._bail(cond)

    def _arm(self, label: str, body: Sequence[Value], after: str) -> None:
        passed = set(self._passed)
        super()._arm(label, body, after)
        self._passed = passed

    def _op_call(self, node: Value) -> str:
        self.put("budget", self._left())  # a counter may be asked for
        return self.call_library(node)

    def _op_trap_if(self, node: Value) -> None:
        self._op_bail_if(node)

    # -- control

    @staticmethod
    def _label(pc: int) -> str:
        return f"p{pc:x}"

    def _left(self) -> str:
        """The budget at the current instruction."""
        return self.op("add", self._budget, self._spare - self._done)

    def _address(self, pc: int) -> str:
        """A region pc as 64 bits."""
        if self.flat:
            return str(pc)
        return self.masked(self.op("add", "%E", pc - self.base))

    def _exits(self) -> None:
        """The ways out, shared: committing the registers at each exit made branchy code twenty
        times slower to compile. A bail only says where it was, so that it needs no block."""
        self._join("bail")
        where = self.new("load i64, ptr %xat")
        base = str(self.base) if self.flat else "%E"
        pc = self.masked(self.op("add", base, self.op("ashr", where, _AT)))
        done = self.op("and", where, (1 << _AT) - 1)
        self._to("out", pc, self.op("add", self.new("load i64, ptr %n"), done), "0")
        self._join("out")
        self._commit()
        self._through(RESUME_INTERP)
        self._join("away")
        target, n = self._commit()
        # Among the last are all that are frequent, whatever the region is that samples end in.
        end = self.new(f"load i64, ptr {self.field('%A', MACHINE['steps_end'])}")
        step = self.op("and", self.op("sub", end, n), EXITS - 1)
        slot = self.field("%A", MACHINE["region_exits"], step)
        note = target if self.flat else self.op("or", target, 1)
        self.line(f"store i64 {note}, ptr {slot}")
        self._dispatch(target, n)

    def _commit(self) -> tuple[str, str]:
        pc, n = self.new("load i64, ptr %xpc"), self.new("load i64, ptr %xn")
        for r in sorted(self.written):
            value = self.new(f"load {self._type(r)}, ptr %r{r}")
            self.line(f"store {self._type(r)} {value}, ptr {self.field('%S', r)}")
        left = self.field("%A", MACHINE["region_left"])
        self.line(f"store i64 {self.new('load i64, ptr %xleft')}, ptr {left}")
        p = self.field("%A", MACHINE["region_steps"])
        total = self.op("add", self.new(f"load i64, ptr {p}"), self.op("sub", "%N", n))
        self.line(f"store i64 {total}, ptr {p}")
        self.put("pc", pc)
        self.put("budget", n)
        return pc, n

    def _to(self, label: str, pc: str, n: str, left: str) -> None:
        for name, value in (("xpc", pc), ("xn", n), ("xleft", left)):
            self.line(f"store i64 {value}, ptr %{name}")
        self.end(f"br label %{label}")

    def _through(self, number: int) -> None:
        """Go on in the interpreter's library; the state is committed."""
        table = self.get_pointer("table")
        self.tail(self.code_of(table, number), "0", "0", table, "0")

    def _leave(self, pc: int, n: str) -> None:
        """Let the interpreter go on with the instruction at *pc*."""
        self._to("out", self._address(pc), n, "0")

    def _jump_out(self, target: str, n: str) -> None:
        """Jump to any address (64 bits)."""
        self._to("away", target, n, target)

    def _dispatch(self, target: str, n: str) -> None:
        """Go on at *target*: through the execute TLB, or `resume` when it misses."""
        entry, page = self.execute_tlb(target)
        tag = self.new(f"load i64, ptr {entry}")
        on = self.unless(self.new(f"icmp ne i64 {tag}, {page}"))
        self._through(RESUME)
        self._join(on)
        e, p = self.place(target, self.new(f"load i64, ptr {self.addend(entry)}"))
        self.dispatch(e, n, self.table_for(n, self.get_pointer("table")), p)

    def _test_budget(self, n: str, target: str) -> None:
        """Let the interpreter go on at *target* unless the budget covers every way to the next
        test."""
        on = self.unless(self.new(f"icmp slt i64 {n}, 0"))
        full = self.op("add", n, self._spare)
        here = str(self.base | 1) if self.flat else self.op("or", "%E", 1)
        self._to("out", target, full, here)
        self._join(on)

    def _block(self, block: Block, body: list[Value], ends: list[int]) -> None:
        self.lines.append(f"{self._label(block.start)}:")
        self.closed = False
        root, self._since = self._counted.get(block.start, (block.start, 0))
        self._budget = f"%n{root:x}"
        if root == block.start:
            self.line(f"{self._budget} = load i64, ptr %n")
        self._done, self._pc, self._block_now = self._since, block.start, block
        self._passed.clear()
        for condition in self.conditions.get(block.start, ()) if block.insns else ():
            self._condition_false = self.label()
            self.lower(condition)
            self._join(self._condition_false)
        at = 0
        for k, ((pc, _), end) in enumerate(zip(block.insns, ends, strict=True)):
            self._done, self._pc = self._since + k, pc
            self.lower(body[at:end])
            at = end
        if self.closed:
            return
        self._done = self._since + block.size
        if block.kind == "stop":
            self._leave(block.end, self._left())
        elif block.kind == "next":
            self._go(block.targets[0])

    def _go(self, target: int) -> None:
        """Continue at *target* with the block's instructions retired."""
        if target not in self.region.blocks:
            self._jump_out(self._address(target), self._left())
            return
        if target not in self._counted:
            n = self.op("sub", self._budget, self._done)
            if target <= self._block_now.start:
                self._test_budget(n, self._address(target))
            self.line(f"store i64 {n}, ptr %n")
        self._enter_loops([target], self._loop_of.get(self._block_now.start))
        self.end(f"br label %{self._label(target)}")

    def _op_branch(self, node: Value) -> None:
        self._done += 1
        block = self._block_now
        taken, on = self.label(), self.label()
        stays, falls = (pc in self.region.blocks for pc in block.targets)
        weights = "" if stays == falls else f", !prof !{int(stays)}"
        self.end(f"br {self.typed(node.args[0])}, label %{taken}, label %{on}{weights}")
        self._join(taken)
        self._go(block.targets[0])
        self._join(on)
        self._go(block.targets[1])

    def _op_jump_rel(self, node: Value) -> None:
        self._done += 1
        self._go(self._block_now.targets[0])

    def _op_jump(self, node: Value) -> None:
        self._done += 1
        block = self._block_now
        if block.kind == "jump":  # auipc and jalr
            self._go(block.targets[0])
            return
        target = node.args[0]
        assert isinstance(target, Value)
        t = self.ref(target)
        if target.width != 64:
            t = self.new(f"zext i32 {t} to i64")
        if block.known:
            n = self.op("sub", self._budget, self._done)
            if min(block.known) <= block.start:
                self._test_budget(n, t)
            self.line(f"store i64 {n}, ptr %n")
            self._switch(t, block.known)
        if not block.returns:
            hash_ = self.op("and", self.op("lshr", t, 1), TARGETS - 1)
            self.line(f"store i64 {t}, ptr {self.field('%A', MACHINE['targets'], hash_)}")
        self._jump_out(t, self._left())

    def _switch(self, target: str, known: Sequence[int]) -> None:
        """Go on at *target* (64 bits) when it is one of *known*."""
        out = self.label()
        # Flat: what fits an immediate on x86-64 when RAM is at 2^31.
        origin = self.base & -(1 << 31) if self.flat and self.xlen == 64 else self.base
        if self.xlen == 32:
            target = self.new(f"trunc i64 {target} to i32")
            if self.flat:
                origin = 0
            else:
                target = self.new(f"sub i32 {target}, {self.new('trunc i64 %E to i32')}")
        else:
            target = self.op("sub", target, origin if self.flat else "%E")
        self._enter_loops(known, self._loop_of.get(self._block_now.start))
        kind, mask = f"i{self.xlen}", (1 << self.xlen) - 1
        cases = " ".join(f"{kind} {pc - origin & mask}, label %{self._label(pc)}" for pc in known)
        self.end(f"switch {kind} {target}, label %{out} [{cases}]")
        self._join(out)


def _counted_on(region: Region) -> dict[int, tuple[int, int]]:
    """See `_RegionFunction._counted`."""
    entered: dict[int, Block | None] = dict.fromkeys(region.entries)
    for block in region.blocks.values():
        for target in block.targets if block.kind != "stop" else ():
            only = target not in entered and target > block.start
            entered[target] = block if only else None
        entered.update(dict.fromkeys(block.known))
    found: dict[int, tuple[int, int]] = {}
    for start in sorted(region.blocks):
        before = entered.get(start)
        if before is not None:
            root, since = found.get(before.start, (before.start, 0))
            found[start] = root, since + before.size
    return found


class _EnterFunction(NativeFunction):
    """Enters the body at one of the entries, or interprets the instruction there instead.

    The small functions of the entries pass %E: the address of the region's first entry, %P as if
    in its page, and %T: the entry's number with its distance from the first.
    """

    def define(self, region: Region, *, translated: bool) -> str:
        packed = self.new("ptrtoint ptr %T to i64")
        base = "%E" if translated else str(region.entry)
        pc = self.masked(self.op("add", base, self.op("ashr", packed, _ENTRY)))
        if translated:
            bad = self._moved_pages(region)
        else:
            direct = self.op("and", self.get("mode"), mode.FLAT)
            bad = [self.new(f"icmp eq i64 {direct}, 0")]
        for other in bad:
            on = self.unless(other)
            self._to_interpreter(pc)
            self._join(on)
        on = self.unless(self.new(f"icmp ult i64 %N, {region.longest}"))
        # Only when a region jumped here it is this one that the budget ran out in.
        left = self.field("%A", MACHINE["region_left"])
        was = self.new(f"load i64, ptr {left}")
        chained = self.new(f"icmp eq i64 {was}, {pc}")
        own = self.new(f"select i1 {chained}, i64 {self.op('or', base, 1)}, i64 {was}")
        self.line(f"store i64 {own}, ptr {left}")
        self._to_interpreter(pc)
        self._join(on)
        self.tail("@body", base, p=self.op("and", packed, (1 << _ENTRY) - 1))
        return self.wrap("enter")

    def _moved_pages(self, region: Region) -> list[str]:
        """For each page, if there are several: whether it is not where the code was found,
        relative to the first entry's. The execute TLB tells."""
        pages = region.pages()
        here = region.entry >> PAGE_SHIFT
        tests = []
        for page in pages if len(pages) > 1 else ():
            target = self.masked(self.op("add", "%E", (page - here) << PAGE_SHIFT))
            entry, tag = self.execute_tlb(target)
            other = self.new(f"icmp ne i64 {self.new(f'load i64, ptr {entry}')}, {tag}")
            addend = self.new(f"load i64, ptr {self.addend(entry)}")
            wanted = self.op("mul", self.op("add", "%P", _PAGE_STEP * (page - here)), -8)
            moved = self.new(f"icmp ne i64 {addend}, {wanted}")
            tests.append(self.new(f"or i1 {other}, {moved}"))
        return tests

    def _to_interpreter(self, pc: str) -> None:
        self.put("pc", pc)
        self.put("budget", "%N")
        table = self.get_pointer("table")
        self.tail(self.code_of(table, RESUME_INTERP), "0", "0", table, "0")


class _EntryFunction(NativeFunction):
    """What a decoded entry leads to: says where in the region, and where the region is."""

    def define(self, region: Region, number: int, *, translated: bool) -> str:
        away = region.entries[number] - region.entry
        packed = self.new(f"inttoptr i64 {(away << _ENTRY) + number} to ptr")
        if not translated:
            self.tail("@enter", t=packed)
        else:
            pc = self.op("add", "%P", self.op("lshr", "%E", 3))
            base = self.masked(self.op("sub", pc, away))
            pages = (region.entries[number] >> PAGE_SHIFT) - (region.entry >> PAGE_SHIFT)
            place = self.op("sub", "%P", _PAGE_STEP * pages) if pages else "%P"
            self.tail("@enter", base, t=packed, p=place)
        return self.text(f"define {CC} void @entry{number}({PARAMS}) #0")


def region_text(
    xlen: int,
    region: Region,
    policy: MemoryPolicy,
    conditions: Mapping[int, Sequence[list[Value]]] = MappingProxyType({}),
    *,
    translated: bool = False,
) -> str:
    """The module's IR; entry *k* of ``region.entries`` is the function ``entry<k>``.

    *conditions*: programs by pc; a block begins at each. *translated*: for any mode, with a
    *policy* that asks the TLB; without, for direct access to RAM alone.
    """
    entries = region.entries
    body = _RegionFunction(xlen, region, policy, conditions).build("body", entries)
    parts = [DECLARATIONS, body, _EnterFunction(xlen).define(region, translated=translated)]
    parts += (
        _EntryFunction(xlen).define(region, k, translated=translated) for k in range(len(entries))
    )
    parts.append(ATTRIBUTES)
    return "\n\n".join(parts)
