"""F and D against Berkeley SoftFloat: results and flags of every engine and of the software
routines, over special values and random ones that are mostly near an edge.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from itertools import chain, islice
from typing import Any, Final

import pytest

from otoriscv.core.layout import HART, MACHINE
from otoriscv.core.memory import Arena
from otoriscv.core.routine import ROUTINES
from otoriscv.core.softfloat import F32, F64, Format
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.python.routines import compile_routines
from tests.engine_box import HOT, EngineBox
from tests.float_cases import Cases
from tests.float_table import BOX, LIMIT, SIZE, Operation, Row, execute, place

berkeley = pytest.importorskip(
    "tests.berkeley", reason="there is no Berkeley SoftFloat: pip install softfloatpy"
)

DYN: Final = 7
NEVER: Final = (1 << 64) - 1
_COMPARISONS: Final = ("feq", "flt", "fle")
_INTEGERS: Final = ("w", "wu", "l", "lu")
FORMATS: Final = pytest.mark.parametrize("f", [F32, F64], ids=lambda f: f.name)
EACH: Final = pytest.mark.parametrize("isa", ["rv32gc", "rv64gc"])


# -- instructions


def batches(rows: Iterator[Row]) -> Iterator[list[Row]]:
    """As many at a time as fit; those of one frm and fflags together, for they stay in a region."""
    while batch := list(islice(rows, LIMIT)):
        yield sorted(batch, key=lambda row: (row.frm, row.fflags))


class Engines:
    """Several beside each other; `HOT` runs compiled code from the first instruction on."""

    def __init__(self, isa: str, names: Sequence[str]) -> None:
        self._stack = ExitStack()
        boxes = [EngineBox(name, isa=isa, size=SIZE) for name in names]
        self._boxes = [self._stack.enter_context(closing(box)) for box in boxes]
        self.compiled = 0  # steps in regions

    def close(self) -> None:
        self._stack.close()

    def check(self, op: Operation, rm: int, rows: Sequence[Row]) -> None:
        """Each row's register and fflags are as *op* wants; *rm* is the instruction's field."""
        wanted = []
        for row in rows:
            mode = row.frm if rm == DYN else rm
            result, flags = op.want(row.args[: len(op.sources)], mode)
            wanted.append((result, row.fflags | flags))
        for box in self._boxes:
            loop = place(box, op, rm, rows)
            engine = box.main_engine
            before = box.m[MACHINE["region_steps"]]
            if isinstance(engine, LlvmEngine):
                engine.compile_now(box.hart, loop, 64)
            got = execute(box, len(rows))
            self.compiled += box.m[MACHINE["region_steps"]] - before
            wrong = [n for n, pair in enumerate(got) if pair != wanted[n]]
            if wrong:
                row, found, want = rows[wrong[0]], got[wrong[0]], wanted[wrong[0]]
                pytest.fail(
                    f"{op.name} on {box.engine}: {len(wrong)} of {len(rows)} differ, first rm {rm} "
                    f"frm {row.frm} fflags {row.fflags} {[hex(a) for a in row.args]}: "
                    f"{found[0]:#x} {found[1]:#x}, wanted {want[0]:#x} {want[1]:#x}"
                )


def run_all(
    isa: str, f: Format, names: Sequence[str], directed: int, drawn: int, modes: int
) -> None:
    """*directed*: one of so many special tuples; *drawn*: random rows for an operation with frm's
    rounding mode; *modes*: in how many of the five others it is tried, too, with a quarter of them.
    """
    with closing(Engines(isa, names)) as engines:
        count = run_operations(engines, isa, f, directed, drawn, modes)
        print(f"{count} cases, {engines.compiled} steps in regions")
        assert engines.compiled > 3 * count


def run_operations(
    engines: Engines, isa: str, f: Format, directed: int, drawn: int, modes: int
) -> int:
    """How many rows there were."""
    cases = Cases(f, berkeley.multiply, seed=f.width)
    count = 0
    for n, op in enumerate(berkeley.operations(f, int(isa[2:4]))):
        special = islice(cases.directed(op), n % directed, None, directed)
        for batch in batches(chain(special, cases.drawn(op, drawn))):
            engines.check(op, DYN, batch)
            count += len(batch)
        if op.rounds:
            for rm in range(n, n + modes):
                for batch in batches(cases.drawn(op, drawn // 4)):
                    engines.check(op, rm % 5, batch)
                    count += len(batch)
    return count


class Tiny:
    """Operands whose products, quotients and roots miss a number of *f* by the least that there
    is: R * C = 1 + A << precision, for odd numbers of all bits."""

    def __init__(self, f: Format, seed: int) -> None:
        self._f, p = f, f.precision
        self._rng = random.Random(seed)
        while True:
            r = self._rng.getrandbits(p) | 1 << p - 1 | 1
            c = pow(r, -1, 1 << p)
            if c >> p - 1 and r * c >> 2 * p - 1:
                break
        self._r, self._c, self._a = r, c, (r * c - 1) >> p

    def _number(self, mantissa: int, field: int) -> int:
        """That has all *precision* bits, and an exponent field."""
        f = self._f
        bits = field << f.precision - 1 | mantissa & f.fraction
        return bits | BOX if f.width == 32 else bits

    def operands(self, name: str, field: int) -> list[int]:
        """So that the result, or what is divided or rooted, has that exponent field."""
        f = self._f
        if name == "fdiv":
            near = self._rng.choice((field, f.bias))  # of the divisor
            return [self._number(self._a, field), self._number(self._c, near)]
        if name == "fsqrt":  # of R ** 2 - 1, where R is next to a power of two
            return [self._number(1 << f.precision - 1 | 2, field)]
        first = f.bias // 2 + self._rng.randrange(-9, 9)
        second = field + f.bias - first - 1  # the mantissas' product is 2 or more
        factors = [self._number(self._r, first), self._number(self._c, second)]
        return [*factors, self._number(0, 0)] if name == "fmadd" else factors


@FORMATS
def test_errors_that_are_smaller_than_any_number(f: Format) -> None:
    """They are no reason to take a result for exact: NX is raised."""
    with closing(Engines("rv64gc", ("python", "interp", HOT))) as engines:
        for op in berkeley.operations(f, 64):
            name = op.name.partition(".")[0]
            if name not in ("fmul", "fdiv", "fsqrt", "fmadd"):
                continue
            rows = []
            for field in range(1, f.precision + 9):
                for seed in range(4):
                    first, second, third = (*Tiny(f, seed).operands(name, field), 0, 0)[:3]
                    rows.append(Row((first, second, third), 0, 0))
            assert all(op.want(row.args[: len(op.sources)], 0)[1] & 1 for row in rows[-12:])
            engines.check(op, DYN, rows)


@FORMATS
def test_results_rounded_up_to_the_smallest_normal_number(f: Format) -> None:
    """They are not tiny any more, but were: UF is raised with NX, also when that is set already."""
    p, box = f.precision, BOX if f.width == 32 else 0
    below_one, least = (f.bias << p - 1) - 1 | box, 1 << p - 1 | box
    two, below_two = f.bias + 1 << p - 1 | box, (2 << p - 1) - 1 | box  # times the least one
    single = (F64.bias - F32.bias + 1 << 52) - (1 << 52 - 23)  # the least one of them, less a bit
    rows = {
        f"fmul.{f.letter}": (below_one, least, 0),
        f"fdiv.{f.letter}": (below_two, two, 0),
        f"fmadd.{f.letter}": (below_one, least, box),
        "fcvt.s.d": (single, 0, 0),
    }
    with closing(Engines("rv64gc", ("python", "interp", HOT))) as engines:
        for op in berkeley.operations(f, 64):
            if op.name in rows:
                row = Row(rows[op.name], 0, 1)
                assert op.want(row.args[: len(op.sources)], 0)[1] == 3
                engines.check(op, DYN, [row, row])


@FORMATS
@EACH
def test_instructions(isa: str, f: Format) -> None:
    run_all(isa, f, ("python", "interp", HOT), directed=23, drawn=600, modes=1)


@pytest.mark.slow
@FORMATS
@EACH
def test_millions_of_instructions(isa: str, f: Format) -> None:
    run_all(isa, f, ("interp", HOT), directed=1, drawn=30_000, modes=5)


# -- the routines, compiled to Python


def routine_of(f: Format, name: str) -> tuple[str, list[int]] | None:
    """The routine behind an instruction, and its arguments after operands and rounding mode."""
    verb, *kinds = name.split(".")
    if verb in ("fadd", "fmul", "fdiv", "fsqrt"):
        return f"{f.name}_{verb[1:]}", []
    if verb == "fmadd":
        return f"{f.name}_fma", []
    if verb in _COMPARISONS:
        return f"{f.name}_compare", [_COMPARISONS.index(verb)]
    if verb in ("fmin", "fmax"):
        return f"{f.name}_minmax", [int(verb == "fmax")]
    if verb != "fcvt":
        return None  # a sign is changed before one of the others
    if kinds[0] in _INTEGERS:
        return f"{f.name}_to_int", [_INTEGERS.index(kinds[0])]
    if kinds[1] in _INTEGERS:
        return f"{f.name}_from_int", [int(not kinds[1].endswith("u"))]
    return f"{f.name}_to_{(F64 if f is F32 else F32).name}", []


def routine_arguments(f: Format, op: Operation, row: Row) -> list[int]:
    """The operands as a routine gets them: without boxes, integers extended to 64 bits."""
    args = list(row.args[: len(op.sources)])
    if op.sources != "x":
        return [a & (1 << f.width) - 1 for a in args]
    if op.name.endswith(".wu"):
        return [args[0] & 0xFFFF_FFFF]
    if op.name.endswith(".w"):
        return [((args[0] & 0xFFFF_FFFF ^ 1 << 31) - (1 << 31)) & NEVER]
    return args


def check_routines(f: Format, directed: int, drawn: int) -> None:
    """As `run_operations`."""
    arena = Arena(1 << 20, pool=False)
    space: dict[str, Any] = compile_routines(64, arena.view8, arena.machine)
    hart = arena.hart(0)
    cases = Cases(f, berkeley.multiply, seed=f.width + 1)
    box = BOX if f is F32 else 0
    tested = set()
    for n, op in enumerate(berkeley.operations(f, 64)):
        found = routine_of(f, op.name)
        if found is None:
            continue
        name, more = found
        tested.add(name)
        special = islice(cases.directed(op), n % directed, None, directed)
        for row in chain(special, cases.drawn(op, drawn)):
            args = routine_arguments(f, op, row)
            want, raised = op.want([a | box for a in args] if op.sources != "x" else args, row.frm)
            hart[HART["fflags"]] = row.fflags
            mode = [row.frm] if op.rounds else []
            got = space[name](hart, *args, *mode, *more)
            if op.result == "f" and op.name.split(".")[1] == "s":
                got |= BOX
            elif op.name.startswith(("fcvt.w.", "fcvt.wu.")):  # the instruction extends it
                got, want = got & 0xFFFF_FFFF, want & 0xFFFF_FFFF
            assert (got & NEVER, hart[HART["fflags"]]) == (want, row.fflags | raised), (
                f"{name} {[hex(a) for a in args]} {mode} {more} fflags {row.fflags}: "
                f"{got & NEVER:#x} {hart[HART['fflags']]:#x}, wanted {want:#x} {raised:#x}"
            )
    have = {name for name in ROUTINES if name.startswith(f.name)}
    assert tested == have - {f"{f.name}_round", f"{f.name}_class"}


@FORMATS
def test_routines(f: Format) -> None:
    check_routines(f, directed=37, drawn=200)


@pytest.mark.slow
@FORMATS
def test_routines_at_length(f: Format) -> None:
    check_routines(f, directed=1, drawn=15_000)
