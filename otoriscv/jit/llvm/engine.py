"""The ``llvm`` engine: the interpreter, with hot code compiled to regions by LLVM.

Where the time goes is found by sampling: each refill of the budget notes the pc. A place seen often
enough that no region covers is compiled, in a worker process. A finished region is entered
through the decoded entries of its entry pcs: their handler number names its code, so regions
chain through the interpreter's own dispatch, and a store into an entry's instruction forgets it
like any other.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, ClassVar, Final

from otoriscv.core.layout import (
    HART,
    LINE_SHIFT,
    LINES,
    MACHINE,
    PAGE,
    SAMPLE_JUMP,
    SAMPLE_REGION,
    SAMPLE_WORDS,
    SAMPLES,
    WATCH_WORDS,
    Exit,
    hart_offset,
)
from otoriscv.core.slow import READS, WRITES
from otoriscv.jit.engine import Platform
from otoriscv.jit.interp.engine import InterpEngine
from otoriscv.jit.interp.slots import Slots
from otoriscv.jit.llvm.arena import CodeArena
from otoriscv.jit.llvm.around import Around
from otoriscv.jit.llvm.exits import SAMPLE_EXIT, RegionExits
from otoriscv.jit.llvm.heat import Heat, Hot
from otoriscv.jit.llvm.installed import InstalledRegions, Placed
from otoriscv.jit.llvm.profile import Profile, program_name
from otoriscv.jit.llvm.request import (
    KEY_BYTES,
    STOP,
    CompiledRegion,
    JitError,
    Pointless,
    Request,
    find,
    hash_conditions,
    region_key,
)
from otoriscv.jit.llvm.watched import WatchedLines
from otoriscv.jit.llvm.workers import Workers
from otoriscv.jit.protocol import HOT_REGION_LIMIT, REGION_LIMIT
from otoriscv.jit.python.engine import PythonEngine
from otoriscv.jit.settings import JitSettings

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.jit.cache import DiskCache

__all__ = ["LlvmEngine"]

#: Steps between two samples at first, and at most once all that is hot is compiled.
SAMPLE_FIRST: Final = 1 << 13
SAMPLE_LAST: Final = 1 << 22
#: Samples between two times at which is compiled inline, but for the first times.
EVENLY: Final = 8
#: Samples without anything new to compile after which they are taken half as often: this many
#: while they are less than `SAMPLE_RARE` apart, and more from there on.
QUIET: Final = 4
QUIET_RARE: Final = 64
SAMPLE_RARE: Final = 1 << 16
#: Samples of a neighbourhood (16 bytes) before it is compiled.
THRESHOLD: Final = 2
#: Steps spent lately around a place (in its KiB), outside of regions, that are worth a worker's
#: time.
WORTH: Final = 1 << 20
#: Compile processes at most, where there are so many cores.
MOST_WORKERS: Final = 3
#: Hot places that are tried in a row for an idle worker: their pages may not be in use now.
TRIES: Final = 4
#: Regions that may contain one instruction: a caller's copy and its own.
COPIES: Final = 3
#: The same where a region jumps to what is not entered yet: parts of a large function overlap.
COPIES_LEFT: Final = 8
#: Places that are not asked for again.
MOST_REFUSED: Final = 1 << 14
#: Samples in a region before it is made again, with code that it was too small for, or that its
#: indirect jumps led to since; each time eight times as many.
PROMOTE: Final = 8

#: Samples in a run as long as the last, from one reset (or snapshot restored) to the next.
RUN_SAMPLES: Final = 16

_INSIDE: Final = PAGE - 1
_STEPS_END: Final = MACHINE["steps_end"]


def _processes() -> int:
    """Compile processes unless somebody says otherwise: a core is left for the guest."""
    return min(MOST_WORKERS, max(1, len(os.sched_getaffinity(0)) - 1))


def _compile(request: Request, store: DiskCache | None = None) -> CompiledRegion:
    from otoriscv.jit.llvm.compiler import compile_request  # with workers only they need it

    return compile_request(request, store)


class LlvmEngine(InterpEngine):
    """The interpreter and its compiled regions."""

    name: ClassVar[str] = "llvm"

    def __init__(
        self,
        platform: Platform,
        helper: PythonEngine,
        settings: JitSettings | None = None,
    ) -> None:
        """The threshold counts samples before a place is compiled; 1 also samples often."""
        settings = (settings or JitSettings()).filled()
        threshold, workers = settings.threshold, settings.workers
        super().__init__(platform, helper, settings)
        self._threshold = THRESHOLD if threshold is None else max(1, threshold)
        self._worth = WORTH if threshold is None else 0
        self._first = SAMPLE_FIRST if threshold is None or threshold > 1 else 64
        count = _processes() if workers is None else workers
        self._workers = Workers(count, self._store) if count else None
        self.even = not count  # regions are not entered just before a slice ends
        self._arena = CodeArena()
        self._slots = slots = Slots(self._library)
        self._around = Around(platform)
        self._exits = RegionExits(self._m)
        self._m[MACHINE["sample_every"]] = self._first
        self._seen = self._m[MACHINE["samples"]]
        self._quiet = 0  # samples since the interval changed
        # Steps at the beginning of what runs without a reset in between, and at its end so far;
        # those before it.
        self._begun = self._reached = self._before = 0
        self._due = 0  # the steps at which to compile inline
        self._evenly = 1  # samples up to there
        self._regions = InstalledRegions(
            platform.arena, self._m, slots, self._arena, self._decode_place, self._handler_at,
            self._evicted,
        )  # fmt: skip
        self._heat = Heat()
        # By mark (see `Heat`).
        self._refused: set[int] = set()
        self._grown: Counter[int] = Counter()  # how often a region was looked at for that
        self._writes = self._m[MACHINE["code_writes"]]
        self._watching = 0  # kinds of watched accesses, see `FlatPolicy`
        self._watched = WatchedLines(platform.memory)
        self._isa = str(platform.isa)
        self._hart: Hart | None = None  # that was looked at last
        self._program = ""  # the profile's name
        self._profile: Profile | None = None
        self._applied: dict[int, str] = {}  # what regions do at breakpoints, see `Request.points`
        self._near: Counter[int] = Counter()  # breakpoints by their offset in a page
        #: "cached": from the cache on disk; "remembered": of these, because of the profile.
        self.statistics = {
            "regions": 0, "compiled": 0, "cached": 0, "remembered": 0, "dropped": 0,
            "refused": 0, "shelved": 0, "compile_seconds": 0.0,
        }  # fmt: skip
        #: Regions dropped, by what changed under them.
        self.invalidations: Counter[str] = Counter()

    # -- the run contract

    def run(self, hart: Hart) -> int:
        if not self._program:
            self._program = program_name(self._isa, self._p.memory, hart.pc)
        if self._m[_STEPS_END] < self._reached:
            self._run_again()
        if self._workers is None:
            return self._run_evenly(hart)
        code = super().run(hart)
        self._reached = self._m[_STEPS_END] - hart.budget
        self._reap()
        if self._m[MACHINE["samples"]] != self._seen:
            self._hart = hart
            self._look(hart)
            if self._heat:
                for request, region in self._workers.poll():
                    self._arrived(request, region)
                self._employ(hart, self._workers)
        return code

    def _run_evenly(self, hart: Hart) -> int:
        """`run` that compiles after fixed numbers of steps, not at the ends of slices, which are
        as long as the host is fast: so runs repeat."""
        m, slice_end = self._m, MACHINE["slice_end"]
        end = m[slice_end]
        while True:
            begun, every = m[_STEPS_END], self._evenly * m[MACHINE["sample_every"]]
            if not 0 < self._due - begun <= every:  # or steps are counted anew
                self._due = begun + every
            m[slice_end] = min(end, self._due)
            code = super().run(hart)
            self._reap()
            self._reached = now = m[_STEPS_END] - hart.budget
            if now < self._due:
                return code
            self._look(hart)
            self._evenly = min(EVENLY, self._evenly + 1)
            if code != Exit.SLICE or now >= end:
                return code

    def _run_again(self) -> None:
        """Steps are counted anew, behind a reset or from a snapshot. That may happen often: samples
        are near enough for some in each such run."""
        m, every = self._m, MACHINE["sample_every"]
        now, length = m[_STEPS_END], self._reached - self._begun
        m[every] = min(m[every], max(self._first, 1 << (length // RUN_SAMPLES).bit_length()))
        self._before += self._reached - now
        self._begun = now

    def _now(self) -> int:
        """Steps since the engine was made; it does not run."""
        now: int = self._before + self._reached
        return now

    def memory_changed(self, offset: int, length: int) -> None:
        self._dropped(self._regions.written(offset, offset + length), "write from outside")

    def _dropped(self, count: int, cause: str) -> None:
        if count:
            self._refused.clear()  # what was in them, or behind, may be worth it by itself
            self.statistics["dropped"] += count
            self.invalidations[cause] += count

    def _evicted(self, count: int) -> None:
        self._grown.clear()  # what comes back begins small
        self._dropped(count, "no room")

    def _sort(self, touched: Callable[[CompiledRegion], bool], cause: str) -> None:
        """Let the regions that a change touched go, and come back."""
        count = self._regions.sort(touched, self._fits)
        if count:
            self.statistics["shelved"] += count
            self.invalidations[cause] += count
            self._m[MACHINE["sample_every"]] = self._first

    def adopt_programs(self, hart: Hart) -> None:
        super().adopt_programs(hart)
        self._changed.add(hart.pc)

    def watchpoints_changed(self) -> None:
        """Regions compiled for other kinds of watchpoints are put aside, not thrown away."""
        first, count = MACHINE["watchpoints"], self._m[MACHINE["nwatchpoints"]]
        words = self._m[first : first + WATCH_WORDS * count].tolist()
        rows = list(zip(*(words[k::WATCH_WORDS] for k in range(WATCH_WORDS)), strict=True))
        self._watched.mark(rows)
        watching = 0
        for _, _, kinds in rows:
            watching |= WRITES | kinds & READS
        if watching != self._watching:
            self._watching = watching
            self._refused.clear()
            self._grown.clear()
            self._sort(lambda region: not region.translated, "watchpoint")

    def regions(self) -> list[CompiledRegion]:
        """The regions that are entered now."""
        return self._regions.all()

    def report(self) -> dict[str, object]:
        """Regions, what compiling them cost, and why they were dropped."""
        counts = dict(self.statistics)
        installed = counts.pop("regions")
        regions = self.regions()
        return {
            **super().report(),
            "regions": len(regions),
            "regions_installed": installed,
            "instructions_in_regions": sum(r.instructions for r in regions),
            "code_bytes": self._arena.used,
            **counts,
            "compile_seconds": round(counts["compile_seconds"], 3),
            "invalidations_by_cause": dict(self.invalidations),
            "workers": 0 if self._workers is None else self._workers.count,
            "workers_replaced": 0 if self._workers is None else self._workers.replaced,
            "problem": "" if self._workers is None else self._workers.problem,
        }

    # -- single regions, for `LlvmBackend`

    def compile_now(self, hart: Hart, pc: int, limit: int) -> CompiledRegion:
        """Compile and enter the region at the untranslated *pc* inline, of *limit* instructions at
        most. `JitError` when there is nothing to compile.
        """
        table = MACHINE["breakpoints"]
        points = self._m[table : table + self._m[MACHINE["nbreakpoints"]]].tolist()
        self._changed |= {*points, *self._applied}
        self._apply_changes(hart)
        place = self._p.memory.find(pc)
        request = None if place is None else self._make_request(hart, Hot(pc, place, SAMPLE_JUMP))
        if request is None:
            raise JitError(f"no code to compile at {pc:#x}")
        request = request._replace(limit=limit, lines=b"", elsewhere=(), at_head=False)
        region = _compile(request)
        self._install(request, region)
        return region

    def slots_of(self, region: CompiledRegion) -> dict[int, int] | None:
        """The host addresses that a region's slots lead to; None: it is not entered at its pc."""
        return self._regions.slots_of(region)

    def place_code(self, code: bytes) -> int:
        """The host address of *code*, which stays until the engine is closed."""
        address = self._arena.put(code)
        if address is None:
            raise JitError("the code arena is full")
        return address

    def enter(self, hart: Hart, table: int) -> int:
        """Enter native code with another handler table; the exit."""
        if hart.index not in self._prepared:
            self._prepare(hart)
        own = hart.q[HART["table"]]
        hart.q[HART["table"]] = table
        try:
            self._enter(self._base + hart_offset(hart.index), self._base)
        finally:
            hart.q[HART["table"]] = own
        code: int = hart.q[HART["exit_code"]]
        return code

    def compiled_at(self, pc: int, physical: int, *, translated: bool) -> int:
        """How many regions contain the instruction."""
        place = self._p.memory.find(physical)
        return 0 if place is None else self._regions.covering(place, translated=translated)

    def close(self) -> None:
        if self._workers is not None:
            self._workers.close(self._left_waiting())
        if self._profile is not None:
            self._profile.save()
        self._arena.close()
        super().close()

    # -- breakpoints

    def _code_arena(self) -> CodeArena:
        return self._arena

    def _handler_at(self, pc: int) -> int | None:
        return None if self._programs is None else self._programs.handler(pc)

    def _evaluated(self) -> dict[int, tuple[bytes, ...]]:
        """The conditions that regions evaluate; the interpreter runs commands."""
        if self._programs is None:
            return {}
        return {a: p.conditions for a, p in self._programs.all().items() if not p.commands}

    def _apply_changes(self, hart: Hart) -> None:
        """Regions made for other breakpoints are put aside, those made for these come back."""
        addresses = self._changed
        super()._apply_changes(hart)
        changed = {a for a in addresses if self._applied.get(a) != self._point(a)}
        if not changed:
            return
        for address in changed:
            state = self._point(address)
            if state is None:
                del self._applied[address]
                inside = address & _INSIDE
                self._near[inside] -= 1
                if not self._near[inside]:
                    del self._near[inside]
            else:
                self._near[address & _INSIDE] += address not in self._applied
                self._applied[address] = state
        near = {address & _INSIDE for address in changed}

        def touched(region: CompiledRegion) -> bool:
            if region.translated:
                return any(pc & _INSIDE in near for pc in region.relevant)
            return not changed.isdisjoint(region.relevant)

        self._refused.clear()
        self._grown.clear()
        self._sort(touched, "breakpoint")

    def _point(self, address: int) -> str | None:
        """What a region must do at *address* (see `Request.points`)."""
        if address not in self._p.breakpoints:
            return None
        known = self._evaluated().get(address)
        return STOP if known is None else hash_conditions(known)

    def _fits(self, region: CompiledRegion) -> bool:
        """Whether *region* was made for the breakpoints and watchpoints there are now."""
        if not region.points and not self._applied:
            return region.translated or region.watching == self._watching
        points = dict(region.points)
        if region.translated:  # another address may lead to the same place
            near = self._near
            return all((near[pc & _INSIDE] > 0) == (pc in points) for pc in region.relevant)
        applied = self._applied
        return region.watching == self._watching and all(
            applied.get(pc) == points.get(pc) for pc in region.relevant
        )

    # -- heat

    def _look(self, hart: Hart) -> None:
        """Count the new samples and compile what became hot."""
        profile = self._profile or self._remember()
        m, ring = self._m, MACHINE["sample_ring"]
        taken = m[MACHINE["samples"]]
        first = max(self._seen, taken - SAMPLES)
        news = 0
        every = m[MACHINE["sample_every"]]
        heat = self._heat
        heat.fade(self._now())
        for n in range(first, taken):
            at = ring + (n & (SAMPLES - 1)) * SAMPLE_WORDS
            pc, mark, kind = m[at], m[at + 1], m[at + 2]
            for placed in profile.due(mark):
                if self._try(placed):
                    profile.done(placed)
            if mark in self._refused:
                continue
            wanted = self._heat_wanted(mark, kind)
            if wanted is None:
                continue
            samples = heat.add(mark, every if wanted == self._threshold else 0)
            if samples >= wanted and not heat.asked(mark):
                news += heat.steps(mark) >= self._worth
                self._request(hart, Hot(pc, mark, kind))
        self._seen = taken
        if len(self._refused) > MOST_REFUSED:
            self._refused.clear()
            self._grown.clear()
        self._quiet += taken - first
        if news:
            m[MACHINE["sample_every"]] = max(self._first, every >> 4)
            self._quiet = 0
        elif self._quiet > (QUIET if every < SAMPLE_RARE else QUIET_RARE):
            if every < SAMPLE_RARE or not self._look_at_exits(hart):
                m[MACHINE["sample_every"]] = min(SAMPLE_LAST, every * 2)
            self._quiet = 0

    def _look_at_exits(self, hart: Hart) -> int:
        """Count where regions jump out to and none begins; how many such places are asked for."""
        news = 0
        for pc, translated in self._exits.take(self._now()):
            mark = self._around.mark(hart, pc, translated=translated)
            if mark is None or mark in self._refused:
                continue
            wanted = self._heat_wanted(mark, SAMPLE_EXIT)
            if wanted is None or self._heat.asked(mark):
                continue
            if self._heat.add(mark) >= wanted:
                news += 1
                self._request(hart, Hot(pc, mark, SAMPLE_EXIT))
        return news

    def _remember(self) -> Profile:
        """Enter what earlier runs of this program compiled."""
        self._profile = profile = Profile(self._program, self._store)
        for placed in profile.load():
            if not self._try(placed):
                profile.wait(placed)
        self._refused |= profile.refused
        return profile

    def _try(self, placed: Placed) -> bool:
        """Enter a region of an earlier run, unless its code is not there."""
        if not self._fits(placed.region) or not self._regions.install(placed):
            return False
        self.statistics["regions"] += 1
        self.statistics["cached"] += 1
        self.statistics["remembered"] += 1
        return True

    def _heat_wanted(self, mark: int, kind: int) -> int | None:
        """The samples after which a place is compiled; None: there are regions enough with it, or
        they would not last."""
        if self._heat.rewritten(mark):
            return None
        place, translated = mark & ~1, bool(mark & 1)
        if kind == SAMPLE_REGION:
            region = self._regions.entered_at(place, translated=translated)
            if region is None or not region.may_grow:
                return None
            return PROMOTE * self._threshold << 3 * self._grown[mark]
        if self._regions.entered_at(place, translated=translated) is not None:
            return None
        covering = self._regions.covering(place, translated=translated)
        if kind in (SAMPLE_JUMP, SAMPLE_EXIT):
            return None if covering >= COPIES_LEFT else self._threshold
        return None if covering >= COPIES else self._threshold * (16 if covering else 1)

    def _request(self, hart: Hart, hot: Hot) -> None:
        """Compile a hot place, or let it wait until a worker is idle."""
        pc, mark, kind = hot
        grow = kind == SAMPLE_REGION
        if self._workers is not None and not grow and not self._may_be_cached(pc, mark):
            self._let_wait(hot)
            return
        request = self._make_request(hart, hot)
        if request is not None and grow:
            self._grown[mark] += 1
            region = self._regions.entered_at(mark & ~1, translated=bool(mark & 1))
            if region is None or not region.grows(request):
                request = None
        if request is None:
            self._heat.forget(mark)
            return
        cached = find(request, self._store)
        if cached is not None:
            self.statistics["cached"] += 1
            self._heat.forget(mark)
            self._install(request, cached)
        elif self._workers is None:
            try:
                self._arrived(request, _compile(request, self._store))
            except JitError as error:
                self._arrived(request, error)
        else:
            self._let_wait(hot)

    def _may_be_cached(self, pc: int, mark: int) -> bool:
        """Whether there is an entry for the code there; with breakpoints, that has to be looked
        at in detail."""
        place, window = mark & ~1, None if mark & 1 else self._around.window()
        near = bytes(self._p.arena.view8[place : place + KEY_BYTES])
        watching = 0 if window is None else self._watching
        key = region_key(near, pc, self._isa, {}, window, watching, REGION_LIMIT)
        return bool(self._applied) or self._store.has(key)

    def _let_wait(self, hot: Hot) -> None:
        fresh = self._heat_wanted(hot.mark, hot.kind) == self._threshold
        self._heat.wait(hot, fresh=fresh and hot.kind != SAMPLE_EXIT)

    def _left_waiting(self) -> Iterator[Request]:
        """What waits for a worker at the end, the hottest first: the next run finds it compiled."""
        hart = self._hart
        if hart is None:
            return
        for hot in self._heat.hottest():
            request = self._make_request(hart, hot, later=True)
            if request is not None:
                if self._profile is not None and not request.points() and not request.watching:
                    self._profile.add_later(hot.mark, hot.pc, request.key({}))
                yield request

    def _employ(self, hart: Hart, workers: Workers) -> None:
        """Give what waits to idle workers."""
        heat, now = self._heat, self._now()
        tries = TRIES
        while workers.idle and tries:
            tries -= 1
            hot = heat.take(now, self._worth)
            if hot is None:
                break
            wanted = self._heat_wanted(hot.mark, hot.kind)
            if wanted is None or (heat.samples(hot.mark) < wanted and hot.kind != SAMPLE_REGION):
                continue  # another region covers it now
            request = self._make_request(hart, hot)
            if request is None:
                heat.forget(hot.mark)
            else:
                heat.begin(hot.mark)
                workers.submit(request)

    def _make_request(self, hart: Hart, hot: Hot, *, later: bool = False) -> Request | None:
        """What to compile; None when the code is not where it was any more (see `Around.of`)."""
        pc, mark, kind = hot
        place = mark & ~1
        found = self._around.of(hart, pc, mark, later=later)
        if found is None:
            return None
        start, end, window = found
        delta = place - pc
        first, last = (LINES + (at + delta >> LINE_SHIFT) for at in (start, end))
        stops, programs = self._points_in(start, end, translated=window is None)
        others: list[int] = []
        if kind != SAMPLE_REGION:
            others = self._regions.entered_in(start + delta, end + delta, translated=window is None)
        return Request(
            pc=pc,
            isa=self._isa,
            start=start,
            code=bytes(self._p.arena.view8[start + delta : end + delta]),
            breakpoints=stops,
            conditions=programs,
            window=window,
            watching=0 if window is None else self._watching,
            history=self._around.history(start, end),
            limit=HOT_REGION_LIMIT if kind == SAMPLE_REGION else REGION_LIMIT,
            place=place,
            lines=bytes(self._p.arena.view8[first:last]),
            elsewhere=tuple(each - delta for each in others),
            at_head=kind != SAMPLE_REGION,
        )

    def _points_in(
        self, start: int, end: int, *, translated: bool
    ) -> tuple[tuple[int, ...], tuple[tuple[int, tuple[bytes, ...]], ...]]:
        """Where regions must be left, and the conditions that they evaluate, by pc."""
        if translated:
            return tuple(sorted(p + n for p in range(start, end, PAGE) for n in self._near)), ()
        programs = self._evaluated()
        points = sorted(a for a in self._applied if start <= a < end)
        return (
            tuple(a for a in points if a not in programs),
            tuple((a, programs[a]) for a in points if a in programs),
        )

    def _arrived(self, request: Request, region: CompiledRegion | JitError) -> None:
        mark = request.mark
        self._heat.end(mark)
        if isinstance(region, JitError):
            self._refused.add(mark)
            self.statistics["refused"] += 1
            plain = not request.points() and not request.watching
            if isinstance(region, Pointless) and plain and self._profile is not None:
                self._profile.refuse(mark)
            return
        self.statistics["compiled"] += 1
        self.statistics["compile_seconds"] += region.seconds
        self._install(request, region)

    # -- regions

    def _install(self, request: Request, region: CompiledRegion) -> None:
        placed = Placed(region, request.place - request.pc, request.place)
        if region.pc != request.pc and self._is_there(placed):
            self._refused.add(request.mark)
            return
        if self._profile is not None and not region.points and not region.watching:
            mark = region.pc + placed.delta | int(region.translated)
            self._profile.add(mark, region.name(request.key({})))
        if not self._fits(region):
            self._regions.put_aside(placed)
        elif self._regions.install(placed):
            self.statistics["regions"] += 1
            bit = int(region.translated)
            self._heat.cool({place | bit for place in placed.places()})

    def _is_there(self, placed: Placed) -> bool:
        """Whether another hot place in the same loop led to this region before."""
        region = placed.region
        place = region.pc + placed.delta
        there = self._regions.entered_at(place, translated=region.translated)
        return there is not None and set(region.covered) <= set(there.covered)

    def _decode_place(self, place: int, entry: int) -> int | None:
        return self._decode_in_place(place, place, entry)

    def _reap(self) -> None:
        """Free what native stores have dropped."""
        writes = self._m[MACHINE["code_writes"]]
        if writes == self._writes:
            return
        self._writes = writes
        dropped = self._regions.reap()
        self._dropped(len(dropped), "guest store")
        for placed in dropped:
            self._heat.rewrite(placed.asked)
