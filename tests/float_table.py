"""An instruction of F or D over a table of operands, run on an engine: results and flags.

The table's rows are 48 bytes: three operands, fcsr before, the result and fflags after.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from otoriscv.core.encode import encode
from otoriscv.core.mstatus import MSTATUS
from tests.engine_box import RAM, EngineBox, Exit

__all__ = ["BOX", "LIMIT", "SIZE", "Operation", "Row", "execute", "place"]

#: What is above a single-precision number in its register.
BOX: Final = 0xFFFF_FFFF << 32
#: The size of memory, and the rows that fit into it.
SIZE: Final = 2 << 20
_DATA: Final = RAM + 0x8_0000
_ROW: Final = 48
LIMIT: Final = (SIZE - (_DATA - RAM)) // _ROW
_HEAD: Final = 16  # bytes of code before the loop
_SOURCES: Final = (("fs1", "rs1"), ("fs2", "rs2"), ("fs3", "rs3"))


@dataclass(frozen=True)
class Operation:
    """An instruction; ``want(args, rm)`` is what its register holds then, and what it raises.

    *sources* has a letter per operand and *result* one: f or x. *rounds*: it has a rounding mode.
    """

    name: str
    sources: str
    result: str
    want: Callable[[Sequence[int], int], tuple[int, int]]
    rounds: bool = True


@dataclass(frozen=True)
class Row:
    """Three registers of 64 bits, and frm and fflags before."""

    args: tuple[int, int, int]
    frm: int
    fflags: int


def _word(op: Operation, rm: int) -> int:
    """The instruction: f1 to f3 or x1 to f0 or x5."""
    fields = {_SOURCES[n]["fx".index(k)]: n + 1 for n, k in enumerate(op.sources)}
    fields |= {"fd": 0} if op.result == "f" else {"rd": 5}
    if op.rounds:
        fields["rm"] = rm
    return encode(op.name, 64, **fields)


def _loop(op: Operation, rm: int, xlen: int, count: int) -> str:
    move = "fsd ft0, 32(s0)" if op.result == "f" else f"s{'d' if xlen == 64 else 'w'} t0, 32(s0)"
    return f"""
        la s0, {_DATA:#x}
        la s1, {_DATA + _ROW * count:#x}
    1:  fld ft1, 0(s0)
        fld ft2, 8(s0)
        fld ft3, 16(s0)
        l{"d" if xlen == 64 else "w"} ra, 0(s0)
        lw t1, 24(s0)
        fscsr t1
        .word {_word(op, rm):#x}
        frflags t2
        {move}
        sw t2, 40(s0)
        addi s0, s0, {_ROW}
        bne s0, s1, 1b
    2:  j 2b
    """


def place(box: EngineBox, op: Operation, rm: int, rows: Sequence[Row]) -> int:
    """Put code and table into memory; where the loop begins."""
    assert len(rows) <= LIMIT
    table = b"".join(
        b"".join(v.to_bytes(8, "little") for v in (*row.args, row.frm << 5 | row.fflags, 0, 0))
        for row in rows
    )
    box.memory.write(_DATA, table)
    box.load(_loop(op, rm, box.xlen, len(rows)))
    box.hart.write_csr("mstatus", MSTATUS.FS)
    return RAM + _HEAD


def execute(box: EngineBox, count: int) -> list[tuple[int, int]]:
    """Run what `place` put there: for each row, 64 bits of the result and fflags after it."""
    assert box.run(4 + 16 * count) == Exit.SLICE
    assert box.hart.x[8] == _DATA + _ROW * count
    table = memoryview(bytes(box.memory.read(_DATA, _ROW * count))).cast("Q")
    return list(zip(table[4::6].tolist(), table[5::6].tolist(), strict=True))
