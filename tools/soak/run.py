"""Soak the compiler: random guests on the llvm engine beside the interpreter, for as long as asked.

    python -m tools.soak.run --minutes 60

Both machines get the same random programs, breakpoints, watchpoints, writes into code and data and
resets at the same instructions, and must agree on every stop, register, CSR and byte of memory.
Compile workers are killed and halted meanwhile, all but the first of each machine. The exit code is
1 when something differs; the seed that is printed then repeats the guests and what was done to them
(not when workers died).

Memory, file descriptors and processes are looked at ninety times behind the first tenth. In the
mean the second half must hold what the first half held: the process to 1 MiB, a worker that nobody
killed to 8 MiB. What only hides growth is left out: the machines' own arenas, memory that was given
back, and what is kept up to a limit that takes long to reach (single instructions decoded and
compiled, places seen hot, names of regions) or that counts regions, whatever their size (those put
aside); all that is forgotten every ten programs. Python uses the C library's allocator, which gives
back pages: its own keeps a MiB for one object in it, so that memory grew by steps of that.
"""

from __future__ import annotations

import argparse
import ctypes
import gc
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from statistics import fmean

from otoriscv.core.layout import MACHINE, PAGE
from otoriscv.core.memory import Arena
from otoriscv.jit.cache import open_cache
from otoriscv.jit.engine import Engine
from otoriscv.jit.interp.library import library
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.settings import JitSettings
from tests import random_programs
from tests.engine_box import EngineBox, Exit, difference
from tests.random_programs import END, SCRATCH, SCRATCH_SIZE, START, alu_word, random_program

_LIBC = ctypes.CDLL(None)

WORKERS = 2
LOOKS = 100
FORGET = 10  # programs
#: MiB that the second half may hold above the first: the process, and a worker.
GROWTH = 1
WORKER_GROWTH = 8


class _Mallinfo(ctypes.Structure):
    """struct mallinfo2, see mallinfo(3)."""

    _fields_ = tuple(
        (name, ctypes.c_size_t)
        for name in (
            "arena", "ordblks", "smblks", "hblks", "hblkhd",
            "usmblks", "fsmblks", "uordblks", "fordblks", "keepcost",
        )
    )  # fmt: skip


class CompiledBox(EngineBox):
    """A box whose engine compiles in workers what was seen hot once."""

    def _create(self, engine: str) -> Engine:
        return LlvmEngine(self, self.stepper, JitSettings(threshold=1, workers=WORKERS))

    @property
    def compiler(self) -> LlvmEngine:
        """The engine."""
        assert isinstance(self.main_engine, LlvmEngine)
        return self.main_engine


class Diverged(Exception):
    """The two machines are not the same; the message says where."""


@dataclass
class Usage:
    """What the process holds: MiB of its own, of these in use by the allocator's count (0 where it
    does not tell), and of arenas; MiB of the largest old worker."""

    resident: float
    in_use: float
    arenas: float
    worker: float
    descriptors: int
    children: int

    @classmethod
    def now(cls, pairs: Sequence[Pair]) -> Usage:
        """Look, with what is only cached forgotten."""
        _forget(pairs)
        gc.collect()
        if hasattr(_LIBC, "malloc_trim"):
            _LIBC.malloc_trim(0)
        me = Path(f"/proc/self/task/{os.getpid()}/children")
        oldest = [pid for pair in pairs for pid in pair.workers[:1]]
        arenas = sum(_touched(box.arena) for pair in pairs for box in pair.boxes)
        return cls(
            _resident("self") - arenas,
            _in_use(),
            arenas,
            max(map(_resident, oldest), default=0),
            len(os.listdir("/proc/self/fd")),
            len(me.read_text().split()),
        )

    def __str__(self) -> str:
        return (
            f"{self.resident:.1f} MiB, {self.in_use:.1f} in use, arenas of {self.arenas:.1f}, "
            f"{self.descriptors} files, {self.children} workers of {self.worker:.0f} MiB"
        )


def _forget(pairs: Sequence[Pair]) -> None:
    """Empty what has a limit that is only reached after hours."""
    random_programs._encoded.cache_clear()
    random_programs._decoder.cache_clear()
    for pair in pairs:
        pair.hot.compiler._heat._samples.clear()
        pair.hot.compiler._heat._steps.clear()
        pair.hot.compiler._regions._shelf.clear()
        if pair.hot.compiler._profile is not None:
            pair.hot.compiler._profile._keys.clear()
        for box in pair.boxes:
            box.stepper._steps.clear()
            box.stepper._decoder._cache.clear()


def _touched(arena: Arena) -> float:
    """MiB of an arena that take memory."""
    pages = (ctypes.c_ubyte * (arena.size // PAGE))()
    if _LIBC.mincore(ctypes.c_void_p(arena.address), ctypes.c_size_t(arena.size), pages):
        raise OSError("mincore failed")
    return sum(page & 1 for page in bytes(pages)) * PAGE / (1 << 20)


def _in_use() -> float:
    """MiB that were allocated and not freed."""
    if not hasattr(_LIBC, "mallinfo2"):
        return 0
    _LIBC.mallinfo2.restype = _Mallinfo
    info = _LIBC.mallinfo2()
    return float(info.hblkhd + info.uordblks) / (1 << 20)  # mapped for themselves, and in arenas


def _resident(pid: int | str) -> float:
    """MiB of memory that a process has; 0 when there is none."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except OSError:
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE") / (1 << 20)


def judge(looks: Sequence[Usage]) -> tuple[list[str], bool]:
    """What is said about memory, and whether it is flat, of *looks* in equal steps of time."""
    half = len(looks) // 2
    if half < 5:
        return ["too short to say anything about memory"], True
    lines, flat = [], True
    for what, values, limit in (
        ("the process", [u.resident for u in looks], GROWTH),
        ("a worker", [u.worker for u in looks], WORKER_GROWTH),
    ):
        first, second = fmean(values[:half]), fmean(values[-half:])
        good = second - first <= limit
        lines.append(
            f"memory of {what}: {first:.1f} MiB in the first half, {second:.1f} in the second, "
            f"{max(values):.1f} at most: {'flat' if good else 'NOT FLAT'}"
        )
        flat &= good
    ends = looks[0], looks[-1]
    if ends[1].descriptors > ends[0].descriptors + 2 * ends[1].children:
        lines.append(f"NOT FLAT: descriptors, {ends[0].descriptors} to {ends[1].descriptors}")
        flat = False
    return lines, flat


@dataclass
class Pair:
    """The interpreter and the compiler at the same instruction."""

    xlen: int
    rng: random.Random
    counts: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        self.plain = EngineBox("interp", self.xlen)
        self.hot = CompiledBox("llvm", self.xlen)
        self.boxes = (self.plain, self.hot)

    @property
    def workers(self) -> list[int]:
        """The process ids of the compile workers, the oldest first."""
        workers = self.hot.compiler._workers
        return [] if workers is None else workers.processes

    def close(self) -> None:
        """Free both."""
        for box in self.boxes:
            box.close()

    def check(self, what: str, *, memory: bool = False) -> None:
        """`Diverged` unless both are the same."""
        if self.plain.brief() != self.hot.brief() or memory:
            said = difference(self.plain, self.hot)
            if said:
                raise Diverged(f"rv{self.xlen}, {what}:\n{said}")

    def episode(self) -> None:
        """One program, run many times with something done to it now and then."""
        rng = self.rng
        self.counts["programs"] += 1
        program = random_program(self.xlen, [rng.getrandbits(40) for _ in range(rng.randrange(60))])
        for box in self.boxes:
            box.reset()
            for address, data in program.parts:
                box.load(data, address)
            box.hart.pc = START
            box.breakpoints.add(END)
        code = max(len(data) for address, data in program.parts if address < SCRATCH)
        points: set[int] = set()
        watched: set[tuple[int, int, int]] = set()
        for _ in range(rng.randrange(5, 60)):
            self.go(rng.choice((rng.randrange(1, 50), rng.randrange(1, 5000), 20_000)))
            self.change(
                rng, START + 2 * rng.randrange(max(1, (code - 0x100) // 2)), points, watched
            )
            self.harm(rng)
        self.check("at the end", memory=True)

    def go(self, steps: int) -> None:
        """Run both so many steps, beginning again at each end."""
        goal = self.plain.steps + steps
        while self.plain.steps < goal:
            left = goal - self.plain.steps
            codes = [box.resume(left) for box in self.boxes]
            name = next((n for n, c in vars(Exit).items() if c == codes[0]), str(codes[0]))
            self.counts[f"exit {name.lower()}"] += 1
            if codes[0] != codes[1]:
                raise Diverged(f"rv{self.xlen}: interp left with {codes[0]}, llvm with {codes[1]}")
            self.check("in a run")
            if self.plain.hart.pc == END or codes[0] == Exit.CRASH:
                self.counts["rounds"] += 1
                for box in self.boxes:
                    box.hart.pc = START
            elif codes[0] not in (Exit.SLICE, Exit.BREAKPOINT, Exit.WATCH):
                return  # a wfi: nothing more comes

    def change(
        self, rng: random.Random, pc: int, points: set[int], watched: set[tuple[int, int, int]]
    ) -> None:
        """Do the same to both."""
        kind = rng.randrange(12)
        if kind < 3:
            self.counts["breakpoints"] += 1
            for box in self.boxes:
                box.breakpoints.add(pc)
            points.add(pc)
        elif kind < 5 and points:
            pc = rng.choice(sorted(points))
            points.discard(pc)
            for box in self.boxes:
                box.breakpoints.remove(pc)
        elif kind == 5:
            self.counts["watchpoints"] += 1
            range_ = (
                SCRATCH + rng.randrange(SCRATCH_SIZE),
                rng.randrange(1, 9),
                rng.randrange(1, 4),
            )
            if range_ not in watched:
                for box in self.boxes:
                    box.watchpoints.add(*range_)
                watched.add(range_)
        elif kind == 6 and watched:
            for range_ in watched:
                for box in self.boxes:
                    box.watchpoints.remove(*range_)
            watched.clear()
        elif kind < 9:
            self.counts["writes into code"] += 1
            word = self.plain.memory.read(pc, 2)
            length = 4 if word[0] & 3 == 3 else 2
            new = alu_word(self.xlen, rng, length=length).to_bytes(length, "little")
            for box in self.boxes:
                box.memory.write(pc, new)
        elif kind == 9:
            data = rng.randbytes(rng.randrange(1, 64))
            at = SCRATCH + rng.randrange(SCRATCH_SIZE - 64)
            for box in self.boxes:
                box.memory.write(at, data)
        elif kind == 10 and rng.random() < 0.2:
            self.counts["jumps"] += 1
            for box in self.boxes:
                box.hart.pc = START

    def harm(self, rng: random.Random) -> None:
        """Kill or halt a worker, rarely; never the first, whose memory is looked at."""
        if rng.random() > 0.01:
            return
        for pid in self.workers[1:2]:
            number = signal.SIGKILL if rng.random() < 0.9 else signal.SIGSTOP
            self.counts["workers killed" if number == signal.SIGKILL else "workers halted"] += 1
            os.kill(pid, number)


def soak(minutes: float, seed: int) -> int:
    """Run; the exit code."""
    rng = random.Random(seed)
    counts: Counter[str] = Counter()
    began = time.monotonic()
    pairs = [Pair(xlen, rng, counts) for xlen in (32, 64)]
    looks: list[Usage] = []
    shown, every = began, minutes * 60 / LOOKS
    try:
        while (now := time.monotonic()) - began < minutes * 60:
            pair = rng.choice(pairs)
            pair.episode()
            if counts["programs"] % FORGET == 0:
                _forget(pairs)
            if now - began > every * (len(looks) + LOOKS // 10):
                looks.append(Usage.now(pairs))
            if now - shown > 60 and looks:
                shown = now
                print(f"{(now - began) / 60:5.1f} min, {summary(pairs)}, {looks[-1]}", flush=True)
    except Diverged as error:
        print(f"DIVERGED, seed {seed}, program {counts['programs']}: {error}", flush=True)
        return 1
    for name, count in sorted(counts.items()):
        print(f"  {name:18} {count}")
    for pair in pairs:
        print(f"  rv{pair.xlen}: {dict(pair.hot.compiler.report())}")
        pair.close()
    lines, flat = judge(looks)
    print("\n".join(lines))
    return 0 if flat else 1


def summary(pairs: Sequence[Pair]) -> str:
    """One line about how it goes."""
    steps = sum(p.hot.m[MACHINE["region_steps"]] for p in pairs)
    reports = [p.hot.compiler.statistics for p in pairs]
    lost = sum(p.hot.compiler._workers.replaced for p in pairs if p.hot.compiler._workers)
    return (
        f"{pairs[0].counts['programs']} programs, {steps / 1e6:.0f} M instructions in regions, "
        f"{sum(r['compiled'] for r in reports):.0f} compiled, {lost} workers lost"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.soak.run", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.add_argument("--minutes", type=float, default=60)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    args = parser.parse_args(argv)
    if os.environ.get("PYTHONMALLOC") != "malloc":
        arguments = sys.argv[1:] if argv is None else argv
        command = [sys.executable, "-m", "tools.soak.run", *arguments]
        os.execve(sys.executable, command, {**os.environ, "PYTHONMALLOC": "malloc"})
    print(f"seed {args.seed}", flush=True)
    for xlen in (32, 64):
        library(xlen, open_cache())  # from the usual cache
    with tempfile.TemporaryDirectory(prefix="otoriscv-soak-", ignore_cleanup_errors=True) as folder:
        os.environ["OTORISCV_CACHE_DIR"] = folder  # what random programs compile to is no use
        os.environ["OTORISCV_CACHE_SIZE"] = "16M"
        return soak(args.minutes, args.seed)


if __name__ == "__main__":
    sys.exit(main())
