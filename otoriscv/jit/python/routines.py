"""All routines as Python functions over one machine's arena."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from otoriscv.core.fold import evaluate
from otoriscv.core.hostfloat import host_float
from otoriscv.core.routine import Routine, build
from otoriscv.core.uop import Value
from otoriscv.jit.python.lower import Lowering, count_uses

__all__ = ["arena_namespace", "compile_program", "compile_routines"]


class RoutineLowering(Lowering):
    """Lowers one routine to a ``def``."""

    def source(self, routine: Routine) -> str:
        """The function's text: ``def name(h, p0, ...)``."""
        return self.program(routine.name, routine.params, build(routine, self.xlen))

    def program(self, name: str, count: int, body: list[Value]) -> str:
        """Likewise for a program of *count* parameters."""
        self._uses = count_uses(body)
        params = ", ".join(["h", *(f"p{i}" for i in range(count))])
        self.lines = [f"def {name}({params}):"]
        self.indent = 1
        self.lower(body)
        self.line("return 0")
        return "\n".join(self.lines)


def arena_namespace(arena: memoryview) -> dict[str, Any]:
    """The functions that generated Python uses to reach the arena (bytes view *arena*)."""
    space: dict[str, Any] = {
        "evaluate": evaluate,
        "host_float": host_float,
        "host_time": time.monotonic_ns,
        "arena": arena,
    }
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


def compile_program(
    name: str, xlen: int, body: list[Value], space: dict[str, Any]
) -> Callable[[Any], int]:
    """A program without parameters as ``f(h)``; *space* is the namespace of the routines."""
    own = dict(space)
    exec(compile(RoutineLowering(xlen).program(name, 0, body), f"<{name}>", "exec"), own)
    made: Callable[[Any], int] = own[name]
    return made


def compile_routines(xlen: int, arena: memoryview, machine: memoryview) -> dict[str, Any]:
    """A namespace with every registered routine; each is compiled when it is first called."""
    space = arena_namespace(arena)
    space["m"] = machine
    from otoriscv.core.architecture import ROUTINES  # many machines never need any

    for r in ROUTINES.values():
        space[r.name] = _lazy(r, xlen, space)
    return space


def _lazy(r: Routine, xlen: int, space: dict[str, Any]) -> Callable[..., int]:
    """Compiles *r* into *space* when called; copies of the namespace may keep calling this."""
    compiled: Callable[..., int] | None = None

    def first(*args: Any) -> int:
        nonlocal compiled
        if compiled is None:
            text = RoutineLowering(xlen).source(r)
            exec(compile(text, f"<routine {r.name} rv{xlen}>", "exec"), space)
            compiled = space[r.name]
        return compiled(*args)

    return first
