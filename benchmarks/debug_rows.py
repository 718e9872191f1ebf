"""What debugging costs: the rows of benchmarks/debug.py and how each is measured."""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import ClassVar, Final

from benchmarks.debug_session import Session

__all__ = [
    "CONDITION", "RATES", "SLOWDOWNS", "START", "Measured", "Rate", "Slowdown",
    "measure_condition", "measure_slowdown",
]  # fmt: skip


@dataclass(frozen=True)
class Slowdown:
    """A loop beside another one, or beside itself without a point."""

    name: str
    title: str
    limit: float  # at most so many times slower
    loop: str
    base: str
    points: tuple[tuple[str, str, int], ...] = ()  # (packet, symbol, distance between several)
    count: int = 1

    at_most: ClassVar[bool] = True
    unit: ClassVar[str] = "x"

    def packets(self, symbols: dict[str, int]) -> list[str]:
        """The points to insert."""
        return [
            f"{kind},{symbols[symbol] + n * step:x},4"
            for kind, symbol, step in self.points
            for n in range(self.count)
        ]


@dataclass(frozen=True)
class Rate:
    """A number; *path* is its place in rspbench's result."""

    name: str
    title: str
    limit: float
    path: str = ""
    at_most: bool = False

    unit: ClassVar[str] = ""


@dataclass
class Measured:
    """A row's values, round by round, for one stub."""

    kernel: str  # the row's name
    variant: str
    runner: str
    values: list[float] = field(default_factory=list)

    @property
    def ratios(self) -> list[float]:
        """Of slowdowns, for the plot: the speed that is left."""
        return [1 / value for value in self.values if value]

    @property
    def value(self) -> float:
        """The median."""
        return median(self.values)


SLOWDOWNS: Final = (
    Slowdown("mixed", "code and hot data in one page", 1.1, "mixed", "plain"),
    Slowdown("across", "hot loop across a page's end", 1.1, "across", "within"),
    Slowdown(
        "break", "never-hit breakpoint in the hot page", 1.02, "plain", "plain",
        (("Z0", "never", 0),),
    ),
    Slowdown(
        "break 1000", "1000 never-hit breakpoints", 1.02, "plain", "plain",
        (("Z0", "elsewhere", 4),), 1000,
    ),
    Slowdown(
        "watch", "write watch, unrelated word of the hot data page", 1.5, "plain", "plain",
        (("Z2", "unrelated", 0),),
    ),
    Slowdown(
        "rwatch", "read watch, unrelated word of the hot data page", 1.5, "plain", "plain",
        (("Z3", "unrelated", 0),),
    ),
    Slowdown(
        "watch far", "write watch anywhere else", 1.2, "plain", "plain",
        (("Z2", "elsewhere", 0),),
    ),
    Slowdown(
        "rwatch far", "read watch anywhere else", 1.2, "plain", "plain",
        (("Z3", "elsewhere", 0),),
    ),
    Slowdown(
        "watch both", "two write watches around the hot data", 1.5, "plain", "plain",
        (("Z2", "before", 0), ("Z2", "elsewhere", 0)),
    ),
    Slowdown("data in line", "data in the very line of the code", 50, "inline", "plain"),
    Slowdown(
        "rewriting", "code rewritten in each round of the loop", 50, "rewrite", "rewrites_data"
    ),
)  # fmt: skip

CONDITION: Final = Rate("condition", "false hits of a compiled condition, M/s", 5.0)
START: Final = Rate("start", "start to first guest instruction, warm, CPU s", 0.25, at_most=True)
RATES: Final = (
    Rate("cycle", "breakpoint cycle z0 s Z0 c, /s", 5000, "bp_cycle_gdbstyle_per_s"),
    Rate("step", "single steps s, /s", 10_000, "s_per_s"),
    Rate("x", "memory read x, MB/s", 100, "x_read.MBps"),
    Rate("m", "memory read m, MB/s", 40, "m_read_max.MBps"),
    Rate("interrupt", "interrupt to stop reply, median ms", 2.0, "interrupt.median_ms", True),
)

#: ``t0 == 0``: false until the word overflows.
_CONDITION: Final = "26000522001327"


def measure_slowdown(session: Session, row: Slowdown) -> float:
    """How many times slower, in one round."""
    base = session.rate(row.base, "")
    removers = [session.point(packet) for packet in row.packets(session.symbols)]
    try:
        return base / session.rate(row.loop, row.name if removers else "")
    finally:
        for remove in removers:
            remove()


def measure_condition(session: Session) -> float:
    """Millions of false hits in a CPU second."""
    size = len(_CONDITION) // 2
    remove = session.point(f"Z0,{session.symbols['hit']:x},4;X{size:x},{_CONDITION}")
    try:
        return session.rate("plain", "condition") / 1e6
    finally:
        remove()
