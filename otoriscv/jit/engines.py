"""The engines by name: which can run here, and making one."""

from __future__ import annotations

import importlib
import importlib.util
import os
import struct
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from otoriscv.jit.engine import Engine, EngineUnavailable, Platform
from otoriscv.jit.settings import JitSettings

if TYPE_CHECKING:
    from otoriscv.jit.python.engine import PythonEngine

__all__ = ["AUTO", "ENGINES", "EngineInfo", "choose", "create", "probe"]

#: What ``auto`` tries, best first.
AUTO: Final = ("llvm", "interp", "python")

#: Every engine: its module and class, and what it is.
ENGINES: Final[dict[str, tuple[str, str, str]]] = {
    "python": (
        "otoriscv.jit.python.engine",
        "PythonEngine",
        "portable, needs nothing native; instructions compiled to Python functions",
    ),
    "interp": (
        "otoriscv.jit.interp.engine",
        "InterpEngine",
        "native threaded interpreter, built once by LLVM and cached",
    ),
    "llvm": (
        "otoriscv.jit.llvm.engine",
        "LlvmEngine",
        "the interpreter, and hot code compiled to regions by LLVM in worker processes",
    ),
}

_NATIVE: Final = {("Linux", "x86_64"), ("Linux", "aarch64")}


class EngineInfo(NamedTuple):
    """Whether an engine can run here; ``reason`` and ``hint`` say why not and what would help."""

    name: str
    usable: bool
    doc: str
    reason: str = ""
    hint: str = ""


def _obstacle(name: str) -> tuple[str, str]:
    """Why engine *name* cannot run here and what would help, or two empty strings."""
    module = ENGINES[name][0]
    try:
        if importlib.util.find_spec(module) is None:
            return "not part of this version", ""
    except ImportError as error:
        return f"cannot be imported: {error}", ""
    if name == "python":
        return "", ""
    host = os.uname()
    here = host.sysname, host.machine
    if here not in _NATIVE or struct.calcsize("P") != 8 or sys.byteorder != "little":
        return f"native engines run on Linux x86-64 and aarch64, not on {' '.join(here)}", ""
    own: Any = getattr(importlib.import_module(module), "obstacle", None)
    if own is not None:
        reason, hint = own()
        return str(reason), str(hint)
    return "", ""


def probe(name: str | None = None) -> list[EngineInfo]:
    """Every engine (or the one called *name*) and whether it can run here."""
    found = []
    for each in ENGINES if name is None else (name,):
        reason, hint = _obstacle(each)
        found.append(EngineInfo(each, not reason, ENGINES[each][2], reason, hint))
    return found


def choose(name: str = "auto") -> tuple[str, str]:
    """The engine that *name* means here, and why ``auto`` is not the best one ("" when it is).

    `EngineUnavailable` when the named one cannot run.
    """
    if name != "auto":
        if name not in ENGINES:
            raise EngineUnavailable(f"no engine {name!r}; there are auto, {', '.join(ENGINES)}")
        info = probe(name)[0]
        if not info.usable:
            more = f"; {info.hint}" if info.hint else ""
            raise EngineUnavailable(f"engine {name}: {info.reason}{more}")
        return name, ""
    why = ""
    for each in AUTO:
        info = probe(each)[0]
        if info.usable:
            return each, why
        if not why:
            why = f"{each} cannot run: {info.reason}" + (f" ({info.hint})" if info.hint else "")
    raise EngineUnavailable(why)


def create(
    name: str,
    machine: Platform,
    helper: Callable[[], PythonEngine],
    settings: JitSettings | None = None,
) -> Engine:
    """A new engine for *machine*; *name* is one of `ENGINES` or ``auto``.

    *helper* gives the machine's python engine, which native engines leave odd instructions to.
    """
    chosen, _ = choose(name)
    if chosen == "python":
        return helper()
    module, cls, _ = ENGINES[chosen]
    try:
        make = getattr(importlib.import_module(module), cls)
        engine: Engine = make(machine, helper(), settings or JitSettings())
    except EngineUnavailable:
        if name != "auto":
            raise
        return helper()
    return engine
