"""All routines as Python functions over one machine's arena."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from otoriscv.core.architecture import ROUTINES
from otoriscv.core.fold import evaluate
from otoriscv.core.routine import Routine, build
from otoriscv.jit.python.lower import Lowering, count_uses

__all__ = ["arena_namespace", "compile_routines"]


class RoutineLowering(Lowering):
    """Lowers one routine to a ``def``."""

    def source(self, routine: Routine) -> str:
        """The function's text: ``def name(h, p0, ...)``."""
        body = build(routine, self.xlen)
        self._uses = count_uses(body)
        params = ", ".join(["h", *(f"p{i}" for i in range(routine.params))])
        self.lines = [f"def {routine.name}({params}):"]
        self.indent = 1
        self.lower(body)
        self.line("return 0")
        return "\n".join(self.lines)


def arena_namespace(arena: memoryview) -> dict[str, Any]:
    """The functions that generated Python uses to reach the arena (bytes view *arena*)."""
    space: dict[str, Any] = {"evaluate": evaluate, "host_time": time.monotonic_ns, "arena": arena}
    for width, code in ((8, "<B"), (16, "<H"), (32, "<I"), (64, "<Q")):
        packed = struct.Struct(code)
        space[f"aload{width}"] = _loader(packed, arena)
        space[f"astore{width}"] = _storer(packed, arena)
    return space


def _loader(packed: struct.Struct, arena: memoryview) -> Callable[[int], int]:
    unpack = packed.unpack_from

    def load(offset: int) -> int:
        value: int = unpack(arena, offset)[0]
        return value

    return load


def _storer(packed: struct.Struct, arena: memoryview) -> Callable[[int, int], None]:
    pack = packed.pack_into

    def store(offset: int, value: int) -> None:
        pack(arena, offset, value)

    return store


def compile_routines(xlen: int, arena: memoryview, machine: memoryview) -> dict[str, Any]:
    """Every registered routine, by name, with the namespace they live in."""
    space = arena_namespace(arena)
    space["m"] = machine
    # The routines are independent of each other's source: one exec for all of them.
    text = "\n\n".join(RoutineLowering(xlen).source(r) for r in ROUTINES.values() if r.portable)
    exec(compile(text, f"<routines rv{xlen}>", "exec"), space)
    return space
