"""Run a test program in compiled code, and say how much of it was.

    python -m tools.compliance.compiled PROGRAM [--isa ISA] [--misaligned trap] [--signature FILE]

Test programs execute most instructions once: nothing in them becomes hot, and what sampling has
compiled is not entered any more. Here a first machine tells which instructions are executed, and
in a second one regions are made of all of them before it runs. What leaves a region (floating point
does where an operand is special or a flag changes) is interpreted up to the next entry, so there is
one at every 32nd instruction. It prints how many instructions were retired, and how many of them in
regions. The exit code is that of the program, or 124 when it does not end.
"""

from __future__ import annotations

import argparse
import contextlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from otoriscv import Machine
from otoriscv.board.stops import StopReason
from otoriscv.core.layout import MACHINE, MAX_REGIONS
from otoriscv.jit.llvm.engine import LlvmEngine
from otoriscv.jit.protocol import JitError

BEGIN, END = "begin_signature", "end_signature"
APART: Final = 32  # instructions from one entry to the next
LENGTH: Final = 48  # of a region
NEVER: Final = 1 << 30  # samples, steps


def executed(machine: Machine, most: int) -> list[int]:
    """The addresses of instructions in RAM, in the order in which they are executed first."""
    seen: dict[int, None] = {}
    hart, memory = machine.harts[0], machine.board.memory
    for _ in range(most):
        where = memory.range_at(hart.pc)
        if where is not None and not where.rom:
            seen[hart.pc] = None
        if hart.step().reason is not StopReason.STEPS:
            break
    return list(seen)


def compile_all(machine: Machine, addresses: Sequence[int]) -> None:
    """Make regions of *addresses*."""
    engine = machine.board.engine
    assert isinstance(engine, LlvmEngine)
    apart = max(APART, -(-len(addresses) // MAX_REGIONS))
    for address in addresses[::apart]:
        with contextlib.suppress(JitError):  # nothing there that a region may contain
            engine.compile_now(machine.board.harts[0], address, max(LENGTH, apart))


def main(argv: Sequence[str] | None = None) -> int:
    """Command line; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.compliance.compiled",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("program", type=Path)
    parser.add_argument("--isa")
    parser.add_argument("--misaligned", choices=["emulate", "trap"], default="emulate")
    parser.add_argument("--max-instructions", type=int, default=20_000_000)
    parser.add_argument("--signature", type=Path)
    args = parser.parse_args(argv)
    with Machine(args.program, isa=args.isa, misaligned=args.misaligned, engine="interp") as first:
        addresses = executed(first, args.max_instructions)
    with Machine(
        args.program,
        isa=args.isa,
        misaligned=args.misaligned,
        engine="llvm",
        jit_threshold=NEVER,
        jit_workers=0,
        code_cache=False,
    ) as machine:
        compile_all(machine, addresses)
        m = machine.board.m
        m[MACHINE["sample_every"]] = NEVER
        stop = machine.run(count=args.max_instructions)
        print(machine.harts[0].retired, m[MACHINE["region_steps"]])
        if stop.reason is not StopReason.EXIT:
            print(f"{stop.reason}: {stop.message}", file=sys.stderr)
            return 124
        if args.signature is not None:
            begin, end = machine.symbols[BEGIN], machine.symbols[END]
            data = machine.mem[begin : begin + (end - begin & ~3)]
            words = (int.from_bytes(data[at : at + 4], "little") for at in range(0, len(data), 4))
            args.signature.write_text("".join(f"{word:08x}\n" for word in words))
    return min(stop.code, 125)


if __name__ == "__main__":
    sys.exit(main())
