"""Region discovery: the control-flow graph reachable from a hot pc, calls included.

A region is a set of basic blocks with one or more entries. Direct jumps, branches and calls are
followed; a return (``jalr x0, 0(ra)``) may go back to the region's calls of its function.
Instructions that need a routine (CSRs, traps, fences, ...) end a block: they are the interpreter's.
Nothing is decoded that ``decode`` does not give.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

from otoriscv.core.decode import Insn
from otoriscv.core.isa_table import Row
from otoriscv.core.layout import PAGE, PAGE_SHIFT
from otoriscv.core.policy import TlbPolicy
from otoriscv.core.sem import Sem
from otoriscv.core.uop import uses_op
from otoriscv.jit.protocol import REGION_LIMIT

__all__ = ["Block", "Region", "discover", "text", "to_dot"]

#: Entries of a region at most: the hot pc, loop heads, places where calls come back.
MAX_ENTRIES: Final = 64

_LINK: Final = (1, 5)
_ENDS: Final = ("poll", "leave", "leave_if", "leave_after", "trap", "call")
_AWAY: Final = ("leave", "leave_after", "trap")


@dataclass(slots=True)
class Block:
    """Straight-line instructions; ``kind`` says how it ends.

    ``next`` falls through, ``branch`` and ``jump`` (auipc with jalr is one) go to ``targets``,
    ``indirect`` goes anywhere, ``stop`` hands the instruction at ``end`` to the interpreter.
    ``known`` is where an indirect jump may go on in the region.
    """

    start: int
    insns: list[tuple[int, Insn]] = field(default_factory=list)
    kind: str = "next"
    targets: tuple[int, ...] = ()
    end: int = 0
    returns: bool = False  # an indirect jump that is a return
    links: bool = False  # a call
    known: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        return len(self.insns)


@dataclass(slots=True)
class Region:
    """Blocks by start pc, in discovery order; ``heads`` are the targets of back-edges."""

    entry: int
    blocks: dict[int, Block]
    heads: set[int]
    return_sites: list[int]
    targets: list[int]  # of other indirect jumps, from history
    resumed: list[int]  # behind instructions that are the interpreter's
    whole: bool  # no code was left out for its size

    @property
    def instructions(self) -> int:
        return sum(b.size for b in self.blocks.values())

    @property
    def indirect(self) -> bool:
        """Whether it has jumps whose targets only the history tells."""
        return any(b.kind == "indirect" and not b.returns for b in self.blocks.values())

    @property
    def longest(self) -> int:
        """Instructions on the longest way that takes no back-edge."""
        lengths: dict[int, int] = {}
        for start in sorted(self.blocks, reverse=True):
            block = self.blocks[start]
            ways = _successors(block)
            if min(block.known, default=0) > start:  # the budget is not tested there
                ways = block.known
            on = [lengths[t] for t in ways if t > start and t in lengths]
            lengths[start] = block.size + max(on, default=0)
        return max(lengths.values(), default=0)

    @property
    def entries(self) -> list[int]:
        """Where the region is entered: the hot pc, loop heads, where the interpreter or callees
        come back to; never at an instruction that it leaves to the interpreter, which may be
        another one by and by."""
        wanted = dict.fromkeys([self.entry, *sorted(self.heads), *self.return_sites, *self.resumed])
        return [pc for pc in wanted if pc in self.blocks and self.blocks[pc].insns][:MAX_ENTRIES]

    def loop_heads(self) -> set[int]:
        """Of the targets of jumps back, those of loops: not where code out of the way returns to
        the main one."""
        found: set[int] = set()
        way: dict[int, bool] = {}  # whether a block is on the way to the current one
        for root in sorted(self.blocks):  # a loop begins at its lowest address, as a rule
            stack = [(root, iter(self._ways(root)))] if root not in way else []
            way.setdefault(root, True)
            while stack:
                start, ways = stack[-1]
                for on in ways:
                    if on not in way:
                        way[on] = True
                        stack.append((on, iter(self._ways(on))))
                        break
                    if way[on]:
                        found.add(on)
                else:
                    way[start] = False
                    stack.pop()
        return found

    def _ways(self, start: int) -> list[int]:
        block = self.blocks[start]
        return [pc for pc in (*_successors(block), *block.known) if pc in self.blocks]

    def head_around(self, pc: int, limit: int) -> int:
        """The head of the innermost loop with the block at *pc*, as far as addresses tell; *pc*
        itself when it is in none of *limit* instructions at most."""
        heads = self.loop_heads()
        for size, head, inside in self._sized_loops():
            if pc in inside and head in heads:
                return head if size <= limit else pc
        return pc

    def loops(self, limit: int) -> dict[int, int]:
        """The blocks in loops of *limit* instructions at most, as far as addresses tell: the head
        of the largest such loop."""
        found: dict[int, int] = {}
        for size, head, inside in self._sized_loops():
            if size <= limit:
                found.update(dict.fromkeys(inside, head))
        return found

    def _sized_loops(self) -> list[tuple[int, int, list[int]]]:
        """Loops as (instructions, head, blocks), small ones first."""
        lasts: dict[int, int] = {}  # by head: the block that jumps back to it, the last one
        for start, block in self.blocks.items():
            for head in _successors(block):
                if head <= start and head in self.blocks:
                    lasts[head] = max(start, lasts.get(head, start))
        sized = []
        for head, last in lasts.items():
            inside = [start for start in self.blocks if head <= start <= last]
            sized.append((sum(self.blocks[start].size for start in inside), head, inside))
        return sorted(sized)

    def pages(self) -> list[int]:
        """The numbers of the pages with its code."""
        return sorted(
            {at >> PAGE_SHIFT for s, e in self.spans() for at in (*range(s, e, PAGE), e - 1)}
        )

    def spans(self) -> list[tuple[int, int]]:
        """The byte ranges (start, end) it was made from, merged."""
        ranges = sorted((pc, pc + i.length) for b in self.blocks.values() for pc, i in b.insns)
        merged: list[list[int]] = []
        for start, end in ranges:
            if merged and start <= merged[-1][1]:
                merged[-1][1] = max(end, merged[-1][1])
            else:
                merged.append([start, end])
        return [(a, b) for a, b in merged]


_KINDS: dict[tuple[str, frozenset[str], int], str] = {}


def _kind(row: Row, variant: frozenset[str], xlen: int) -> str:
    """How an instruction ends: next, branch, jump, indirect, stop, or pause, which is a stop that
    usually goes on at the next instruction."""
    key = row.name, variant, xlen
    kind = _KINDS.get(key)
    if kind is None:
        kind = _KINDS[key] = _find_kind(row, variant, xlen)
    return kind


def _find_kind(row: Row, variant: frozenset[str], xlen: int) -> str:
    if row.semantics is None:
        return "stop"
    sem = Sem(xlen, TlbPolicy())
    sem.begin(row, 4, variant, None, None, None)
    row.semantics(sem)
    if any(uses_op(sem.body, op) for op in _ENDS):
        away = any(n.op in _AWAY or (n.op == "poll" and n.args) for n in sem.body)
        return "stop" if away else "pause"
    last = sem.body[-1].op if sem.ended else "next"
    return {"branch": "branch", "jump_rel": "jump", "jump": "indirect"}.get(last, "next")


def discover(
    entry: int,
    xlen: int,
    decode: Callable[[int], Insn | None],
    limit: int = REGION_LIMIT,
    history: Sequence[int] = (),
    splits: frozenset[int] = frozenset(),
    elsewhere: frozenset[int] = frozenset(),
) -> Region:
    """The region entered at *entry*; its blocks are empty when nothing can be compiled there.

    *history*: where indirect jumps went; those that the region reaches may go there again. At
    *splits* blocks begin. *elsewhere*: what other regions are entered at is left to them, but for
    functions as a whole.
    """
    mask = (1 << xlen) - 1
    leaders, code, whole = _scan(entry, xlen, mask, decode, limit, history, elsewhere)
    for pc in splits & code.keys():
        leaders.setdefault(pc)
    blocks: dict[int, Block] = {}
    resumed: list[int] = []
    for start in leaders:
        if start not in code:
            continue
        block = Block(start)
        pc = start
        while True:
            insn, kind = code[pc]
            if kind in ("stop", "pause"):
                block.kind, block.end = "stop", pc
                if kind == "pause":
                    resumed.append((pc + insn.length) & mask)
                break
            block.insns.append((pc, insn))
            after = (pc + insn.length) & mask
            block.end = after
            if kind in ("branch", "jump"):
                target = (pc + insn.operands["imm"]) & mask
                block.kind = kind
                block.targets = (target, after) if kind == "branch" else (target,)
                block.links = kind == "jump" and insn.operands["rd"] in _LINK
                break
            if kind == "indirect":
                known = _far_target(block.insns, mask)
                if known is not None:
                    block.kind, block.targets = "jump", (known,)
                else:
                    block.kind, block.returns = "indirect", _returns(insn)
                block.links = insn.operands["rd"] in _LINK
                break
            if after in leaders or after not in code:
                block.targets = (after,)
                break
            pc = after
        blocks[start] = block
    heads = {t for b in blocks.values() for t in _successors(b) if t in blocks and t <= b.start}
    jumps = any(b.kind == "indirect" and not b.returns for b in blocks.values())
    targets = [t for t in history if t in blocks] if jumps else []
    _know(entry, blocks, targets)
    heads |= {t for b in blocks.values() for t in b.known}
    sites = [b.end for b in blocks.values() if b.links and b.end in blocks]
    resumed = [pc for pc in dict.fromkeys(resumed) if pc in blocks]
    return Region(entry, blocks, heads, list(dict.fromkeys(sites)), targets, resumed, whole)


def _know(entry: int, blocks: dict[int, Block], targets: list[int]) -> None:
    """Fill in where indirect jumps may go: a return to the calls of the functions that it is in,
    each other one where such jumps went lately."""
    callers: dict[int, dict[int, None]] = {}
    for block in blocks.values():
        if block.kind == "indirect" and not block.returns:
            block.known = tuple(targets)
        if block.links and block.end in blocks:
            for callee in block.known or block.targets:
                callers.setdefault(callee, {})[block.end] = None
    back: dict[int, dict[int, None]] = {}  # by the block of a return
    for function, sites in callers.items():
        queue, seen = [function], {function}
        while queue:
            found = blocks.get(queue.pop())
            if found is None:
                continue
            if found.returns:
                back.setdefault(found.start, {}).update(sites)
            on = (found.end,) if found.links else found.targets
            if found.kind == "indirect" and not found.returns and not found.links:
                on = found.known
            queue += [pc for pc in on if pc not in seen]
            seen.update(on)
    for start, sites in back.items():
        blocks[start].known = tuple(sites)


def _far_target(insns: Sequence[tuple[int, Insn]], mask: int) -> int | None:
    """Where the jalr that ends *insns* goes when it and the auipc before it are one far jump."""
    if len(insns) < 2:
        return None
    (pc, high), (_, jalr) = insns[-2:]
    if high.row.name != "auipc" or high.operands["rd"] != jalr.operands["rs1"]:
        return None
    return (pc + high.operands["imm"] + jalr.operands["imm"]) & mask & -2


def _returns(insn: Insn) -> bool:
    return insn.operands["rd"] == 0 and insn.operands["rs1"] in _LINK


def _successors(block: Block) -> tuple[int, ...]:
    return block.targets if block.kind != "stop" else ()


def _scan(
    entry: int,
    xlen: int,
    mask: int,
    decode: Callable[[int], Insn | None],
    limit: int,
    history: Sequence[int],
    elsewhere: frozenset[int],
) -> tuple[dict[int, None], dict[int, tuple[Insn, str]], bool]:
    """Leaders in the order found, every instruction reached with how it ends, and whether nothing
    was left out for the limit or for other regions.

    A function is scanned before those that it calls; a callee that does not fit as a whole is
    left out, so that it is entered at its beginning when it is hot itself.
    """
    leaders: dict[int, None] = {entry: None}
    code: dict[int, tuple[Insn, str]] = {}
    functions = deque([entry])
    whole = True
    while functions:
        first, before, fits = functions.popleft(), len(code), True
        queue, calls = deque([first]), deque[int]()
        while queue:
            pc = queue.popleft()
            last: list[tuple[int, Insn]] = []
            while pc not in code:
                if len(code) >= limit or (pc in elsewhere and pc != first):
                    fits = False
                    break
                insn = decode(pc)
                if insn is None:
                    break
                kind = _kind(insn.row, insn.variant, xlen)
                code[pc] = insn, kind
                after = (pc + insn.length) & mask
                links = kind in ("jump", "indirect") and insn.operands["rd"] in _LINK
                last = [*last[-1:], (pc, insn)]
                known = _far_target(last, mask) if kind == "indirect" else None
                to: Sequence[int] = ()
                if kind in ("branch", "jump"):
                    to = ((pc + insn.operands["imm"]) & mask,)
                elif known is not None:
                    to = (known,)
                elif kind == "indirect" and not _returns(insn):
                    to = history
                leaders.update(dict.fromkeys(to))
                (calls if links else queue).extend(to)
                if kind in ("branch", "pause") or links:
                    leaders[after] = None
                    queue.append(after)
                if kind != "next":
                    break
                pc = after
            else:
                leaders.setdefault(pc)
        whole = whole and fits
        if fits or first == entry:
            functions.extend(calls)
        else:
            for pc in list(code)[before:]:
                del code[pc]
    return leaders, code, whole


def _name(pc: int, insn: Insn) -> str:
    return insn.row.name


def text(region: Region, show: Callable[[int, Insn], str] = _name) -> str:
    """The region as text, a block a paragraph; *show* gives an instruction's text."""
    lines = []
    for start, block in region.blocks.items():
        marks = " entry" * (start in region.entries) + " head" * (start in region.heads)
        lines.append(f"{start:#x}:{marks}")
        lines += [f"  {pc:#x}  {show(pc, insn)}" for pc, insn in block.insns]
        to = " ".join(f"{t:#x}" for t in block.targets)
        lines.append(f"  -> {block.kind} {to}".rstrip())
    return "\n".join(lines)


def to_dot(region: Region, show: Callable[[int, Insn], str] = _name) -> str:
    """The region for Graphviz: entries have a double border, back-edges are dashed, ways out of
    the region end in ellipses."""
    lines = ["digraph region {", "  node [shape=box fontname=monospace];"]
    outside: dict[int, None] = {}
    for start, block in region.blocks.items():
        body = "".join(f"{_quoted(f'{pc:#x}  {show(pc, insn)}')}\\l" for pc, insn in block.insns)
        border = " peripheries=2" if start in region.entries else ""
        lines.append(f'  b{start:x} [label="{body}{block.kind}\\l"{border}];')
        for target in block.targets:
            style = " [style=dashed]" if target in region.heads and target <= start else ""
            lines.append(f"  b{start:x} -> b{target:x}{style};")
            if target not in region.blocks:
                outside[target] = None
    lines += [f'  b{t:x} [label="{t:#x}" shape=ellipse];' for t in outside]
    return "\n".join([*lines, "}"])


def _quoted(text: str) -> str:
    """For a label of Graphviz."""
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", " ")
