"""The ``llvm`` engine: the interpreter, with hot code compiled to regions by LLVM.

Where the time goes is found by sampling: each refill of the budget notes the pc. A pc seen often
enough that no region covers is compiled, in a worker process. A finished region is entered
through the decoded entries of its entry pcs: their handler number names its code, so regions
chain through the interpreter's own dispatch, and a store into an entry's instruction forgets it
like any other.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from otoriscv.core.isa.handlers import FIRST_REGION, SPECIAL
from otoriscv.core.layout import (
    HART_SIZE,
    HARTS,
    LINE_REGION,
    LINE_SHIFT,
    LINES,
    MACHINE,
    MAX_REGIONS,
    REGION_WORDS,
    SAMPLES,
    TARGETS,
    entry_offset,
)
from otoriscv.jit.engine import Platform
from otoriscv.jit.interp.engine import InterpEngine
from otoriscv.jit.interp.slots import Slots
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.compiler import (
    STOP,
    CompiledRegion,
    JitError,
    Request,
    compile_request,
    find,
    hash_conditions,
    hash_spans,
)
from otoriscv.jit.llvm.worker import Workers
from otoriscv.jit.python.engine import PythonEngine
from otoriscv.jit.settings import JitSettings

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart

__all__ = ["LlvmEngine"]

#: Steps between two samples at first, and at most once all that is hot is compiled.
SAMPLE_FIRST: Final = 1 << 13
SAMPLE_LAST: Final = 1 << 20
#: Samples of a pc's neighbourhood (16 bytes) before it is compiled.
THRESHOLD: Final = 2
#: Bytes of code sent along in each direction.
REACH: Final = 1 << 15
#: Known targets of a region's indirect jumps at most.
MAX_TARGETS: Final = 64
#: Regions that may contain one pc: a caller's copy and its own.
COPIES: Final = 3

#: Regions kept that do not fit the breakpoints or watchpoints in force.
SHELF: Final = 256

_REGIONS: Final = MACHINE["regions"]
_ENTRIES: Final = MACHINE["region_entries"]


@dataclass(slots=True)
class _Installed:
    region: CompiledRegion
    row: int  # in the machine struct's table
    address: int
    first: int  # slot of its first entry
    offsets: tuple[int, ...]  # arena offsets of its decoded entries, 0: not entered there
    generation: int = 0


class LlvmEngine(InterpEngine):
    """The interpreter and its compiled regions."""

    name: ClassVar[str] = "llvm"

    def __init__(
        self,
        platform: Platform,
        helper: PythonEngine,
        settings: JitSettings | None = None,
    ) -> None:
        """The threshold counts samples of the pc before a place is compiled; 1 also samples
        often."""
        settings = (settings or JitSettings()).filled()
        threshold, workers = settings.threshold, settings.workers
        super().__init__(platform, helper, settings)
        self._threshold = THRESHOLD if threshold is None else max(1, threshold)
        self._first = SAMPLE_FIRST if threshold is None or threshold > 1 else 64
        self._arena = CodeArena()
        count = 1 if workers is None else workers
        self._workers = Workers(count, self._store) if count else None
        self._own_slots = self._slots = Slots(self._library)
        self._m = platform.m
        self._m[MACHINE["sample_every"]] = self._first
        self._m[MACHINE["nregions"]] = 0
        self._seen = self._m[MACHINE["samples"]]
        self._heat: Counter[int] = Counter()
        self._pending: set[int] = set()
        self._refused: set[int] = set()
        self._covered: Counter[int] = Counter()
        self._rows: dict[int, _Installed] = {}
        self._free_rows = list(range(MAX_REGIONS - 1, -1, -1))
        self._hostile: Counter[int] = Counter()
        self._writes = self._m[MACHINE["code_writes"]]
        self._shelf: list[CompiledRegion] = []  # made for other breakpoints or watchpoints
        self._watching = False
        self._applied: dict[int, str] = {}  # what regions do at breakpoints, see `Request.points`
        self.statistics = {
            "regions": 0, "compiled": 0, "cached": 0, "dropped": 0, "refused": 0, "shelved": 0,
            "compile_seconds": 0.0,
        }  # fmt: skip
        #: Regions dropped, by what changed under them.
        self.invalidations: Counter[str] = Counter()

    # -- the run contract

    def run(self, hart: Hart) -> int:
        code = super().run(hart)
        self._reap()
        if self._m[MACHINE["samples"]] != self._seen:
            self._look()
        if self._workers is not None and self._pending:
            for request, region in self._workers.poll():
                self._arrived(request, region)
        return code

    def memory_changed(self, offset: int, length: int) -> None:
        for installed in list(self._rows.values()):
            for start, end in installed.region.spans:
                at = self._p.memory.find(start)
                if at is not None and at < offset + length and offset < at + end - start:
                    self._drop(installed, "write from outside")
                    break

    def adopt_conditions(self, hart: Hart) -> None:
        super().adopt_conditions(hart)
        self._changed.add(hart.pc)

    def _code_arena(self) -> CodeArena:
        return self._arena

    def _apply_changes(self, hart: Hart) -> None:
        """Regions made for other breakpoints are put aside, those made for these come back."""
        addresses = self._changed
        super()._apply_changes(hart)
        changed = set()
        for address in addresses:
            state = self._point(address)
            if self._applied.get(address) != state:
                changed.add(address)
                if state is None:
                    del self._applied[address]
                else:
                    self._applied[address] = state
        if not changed:
            return
        self._refused -= changed
        self._m[MACHINE["sample_every"]] = self._first
        self._sort(lambda region: not changed.isdisjoint(region.relevant), "breakpoint")

    def _point(self, address: int) -> str | None:
        """What a region must do at *address* (see `Request.points`)."""
        if address not in self._p.breakpoints:
            return None
        known = None if self._conditions is None else self._conditions.programs().get(address)
        return STOP if known is None else hash_conditions(known)

    def _fits(self, region: CompiledRegion) -> bool:
        """Whether *region* was made for the breakpoints and watchpoints there are now."""
        if region.watching != bool(self._m[MACHINE["nwatchpoints"]]):
            return False
        points = dict(region.points)
        applied = self._applied
        return all(applied.get(pc) == points.get(pc) for pc in region.relevant)

    def _sort(self, touched: Callable[[CompiledRegion], bool], cause: str) -> None:
        """Install what fits now of the regions put aside, and put aside what does not."""
        for installed in [i for i in self._rows.values() if touched(i.region)]:
            if not self._fits(installed.region):
                self._put_aside(installed.region)
                self._drop(installed)
                self.statistics["shelved"] += 1
                self.invalidations[cause] += 1
        fitting = [r for r in self._shelf if touched(r) and self._fits(r)]
        self._shelf = [r for r in self._shelf if r not in fitting]
        for region in fitting:
            self._install(region)

    def _put_aside(self, region: CompiledRegion) -> None:
        self._shelf.append(region)
        del self._shelf[:-SHELF]

    def watchpoints_changed(self) -> None:
        """Regions compiled for the other watching mode are put aside, not thrown away."""
        m = self._m
        count = m[MACHINE["nwatchpoints"]]
        rows = [MACHINE["watchpoints"] + 3 * n for n in range(count)]
        if rows:
            low = min(m[r] for r in rows)
            m[MACHINE["watch_low"]] = low
            m[MACHINE["watch_span"]] = max(m[r] + m[r + 1] for r in rows) - low
        if bool(count) != self._watching:
            self._watching = bool(count)
            self._refused.clear()
            self._sort(lambda region: True, "watchpoint")

    def report(self) -> dict[str, object]:
        """Regions, what compiling them cost, and why they were dropped."""
        counts = dict(self.statistics)
        installed = counts.pop("regions")
        return {
            **super().report(),
            "regions": len(self._rows),
            "regions_installed": installed,
            "instructions_in_regions": sum(i.region.instructions for i in self._rows.values()),
            "code_bytes": self._arena.used,
            **counts,
            "compile_seconds": round(counts["compile_seconds"], 3),
            "invalidations_by_cause": dict(self.invalidations),
            "workers": 0 if self._workers is None else self._workers.count,
            "workers_replaced": 0 if self._workers is None else self._workers.replaced,
            "problem": "" if self._workers is None else self._workers.problem,
        }

    def close(self) -> None:
        if self._workers is not None:
            self._workers.close()
        self._rows.clear()
        self._arena.close()
        super().close()

    # -- heat

    def _look(self) -> None:
        """Count the new samples and compile what became hot."""
        m = self._m
        taken = m[MACHINE["samples"]]
        ring = MACHINE["sample_ring"]
        first = max(self._seen, taken - SAMPLES)
        news = 0
        for n in range(first, taken):
            pc: int = m[ring + (n & (SAMPLES - 1))]
            if self._covered[pc] >= COPIES or pc in self._refused or pc in self._pending:
                continue
            place = pc >> 4
            self._heat[place] += 1
            weight = self._threshold * (16 if self._covered[pc] else 1)
            if self._heat[place] >= weight:
                self._heat[place] = 0
                news += 1
                self._request(pc)
        self._seen = taken
        every = m[MACHINE["sample_every"]]
        if news:
            m[MACHINE["sample_every"]] = self._first
        elif taken - first > 4 and every < SAMPLE_LAST:
            m[MACHINE["sample_every"]] = min(SAMPLE_LAST, every * 2)

    def _request(self, pc: int) -> None:
        request = self._make_request(pc)
        if request is None:
            self._refused.add(pc)
            return
        cached = find(request, self._store)
        if cached is not None:
            self.statistics["cached"] += 1
            self._install(cached)
        elif self._workers is None:
            try:
                self._arrived(request, compile_request(request, self._store))
            except JitError as error:
                self._arrived(request, error)
        else:
            self._pending.add(pc)
            self._workers.submit(request)

    def _make_request(self, pc: int) -> Request | None:
        memory = self._p.memory
        here = memory.range_at(pc)
        ram = [r for r in memory.ranges() if not r.rom]
        if here is None or not ram or self._hostile[pc >> 8] > 8:
            return None
        start = max(here.base, (pc & ~0xFFF) - REACH)
        end = min(here.end, (pc & ~0xFFF) + REACH)
        best = max(ram, key=lambda r: r.size)
        inside = tuple(sorted(b for b in self._breakpoints() if start <= b < end))
        programs = {} if self._conditions is None else self._conditions.programs()
        return Request(
            pc,
            str(self._p.isa),
            start,
            memory.read(start, end - start),
            tuple(b for b in inside if b not in programs),
            tuple((b, programs[b]) for b in inside if b in programs),
            (best.base, best.size, best.offset),
            bool(self._m[MACHINE["nwatchpoints"]]),
            self._history(start, end),
        )

    def _history(self, start: int, end: int) -> tuple[int, ...]:
        """Where indirect jumps went, near the code to compile."""
        first = MACHINE["targets"]
        recent = self._m[first : first + TARGETS].tolist()
        return tuple(t for t in recent if start <= t < end)[:MAX_TARGETS]

    def _breakpoints(self) -> list[int]:
        table = MACHINE["breakpoints"]
        return self._m[table : table + self._m[MACHINE["nbreakpoints"]]].tolist()

    def _arrived(self, request: Request, region: CompiledRegion | JitError) -> None:
        self._pending.discard(request.pc)
        if isinstance(region, JitError):
            self._refused.add(request.pc)
            self.statistics["refused"] += 1
            return
        self.statistics["compiled"] += 1
        self.statistics["compile_seconds"] += region.seconds
        self._install(region)

    # -- regions

    def _install(self, region: CompiledRegion) -> None:
        """Enter *region* from now on, if its code is still what it was made from."""
        if not self._fits(region):
            self._put_aside(region)
            return
        memory = self._p.memory
        try:
            if hash_spans(region.spans, memory.read) != region.digest:
                return
        except LookupError:
            return
        count = len(region.entries)
        first = self._own_slots.take(count)
        address = self._arena.put(region.code) if self._free_rows and first is not None else None
        if address is None or first is None:
            if first is not None:
                self._own_slots.free(first, count)
            return  # no room: what is compiled stays, this stays interpreted
        row = self._free_rows.pop()
        view, pool = self._p.arena.view8, self._p.arena.pool
        offsets = []
        for k, (pc, at, own) in enumerate(region.entries):
            slot = first + k
            condition = None if self._conditions is None else self._conditions.handler(pc)
            self._own_slots.set(slot, address + at, own if condition is None else condition)
            offset = memory.find(pc)
            assert offset is not None
            entry = entry_offset(pool, offset)
            offsets.append(entry)
            self._m[_ENTRIES + slot] = entry
            if self._decode(offset, pc, entry, region):
                view[entry : entry + 2] = (FIRST_REGION + slot).to_bytes(2, "little")
        low = min(memory.find(s) or 0 for s, _ in region.spans)
        high = max((memory.find(e - 1) or 0) + 1 for _, e in region.spans)
        at = _REGIONS + row * REGION_WORDS
        self._m[at], self._m[at + 1] = low, high
        self._m[at + 2], self._m[at + 3] = first, count
        self._m[MACHINE["nregions"]] = max(self._m[MACHINE["nregions"]], row + 1)
        for start, end in region.spans:
            begin = memory.find(start)
            assert begin is not None
            for line in range(begin >> LINE_SHIFT, (begin + end - start - 1 >> LINE_SHIFT) + 1):
                view[LINES + line] |= LINE_REGION | 1
        self._rows[row] = _Installed(region, row, address, first, tuple(offsets))
        self._covered.update(region.covered)
        self.statistics["regions"] += 1

    def _decode(self, offset: int, pc: int, entry: int, region: CompiledRegion) -> bool:
        """Make sure the entry is decoded: its operands serve the interpreter. False: it is a
        larger region's already, or not ordinary."""
        view = self._p.arena.view8
        number = view[entry] | view[entry + 1] << 8
        if number >= FIRST_REGION:
            return self._size_of_slot(number - FIRST_REGION) < region.instructions
        if 0 < number < len(SPECIAL):
            return False
        if number == 0:
            word = int.from_bytes(view[offset : offset + 4], "little")
            if word & 3 == 3 and pc & 0xFFF == 0xFFE:
                return False
            hart = self._p.arena.words(HARTS, HART_SIZE)
            self._helper.routine("decode_entry")(hart, word, pc & 0xFFF, entry)
        return True

    def _size_of_slot(self, slot: int) -> int:
        for installed in self._rows.values():
            if installed.first <= slot < installed.first + len(installed.offsets):
                return installed.region.instructions
        return 0

    def _reap(self) -> None:
        """Free what native stores have dropped."""
        writes = self._m[MACHINE["code_writes"]]
        if writes == self._writes:
            return
        self._writes = writes
        for row, installed in list(self._rows.items()):
            if self._m[_REGIONS + row * REGION_WORDS + 1] == 0:
                self._hostile[installed.region.pc >> 8] += 1
                self._drop(installed, "guest store")

    def _drop(self, installed: _Installed, cause: str = "") -> None:
        """Forget a region: its entries are decoded anew. No *cause*: it is kept aside."""
        region, row = installed.region, installed.row
        view = self._p.arena.view8
        for k, entry in enumerate(installed.offsets):
            number = view[entry] | view[entry + 1] << 8
            if number == FIRST_REGION + installed.first + k:
                view[entry : entry + 16] = bytes(16)
        at = _REGIONS + row * REGION_WORDS
        self._m[at] = self._m[at + 1] = self._m[at + 3] = 0
        self._arena.free(installed.address)
        self._free_rows.append(row)
        self._own_slots.free(installed.first, len(region.entries))
        self._covered.subtract(region.covered)
        del self._rows[row]
        if cause:
            self.statistics["dropped"] += 1
            self.invalidations[cause] += 1


