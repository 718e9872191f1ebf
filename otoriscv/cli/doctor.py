"""``otoriscv doctor``: which engines and tools are usable here, and how to get the rest."""

from __future__ import annotations

import argparse
import importlib.util
import platform
import sys
from collections.abc import Iterator

from otoriscv.board import slirp
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.engines import choose, probe
from otoriscv.tools import TOOLS, hint, package_manager

__all__ = ["add_arguments", "report", "run"]

# Python packages that are not required, and the extra that brings them.
OPTIONAL = (
    ("llvmlite", "", "builds the native interpreter"),
    ("zstandard", "zstd", "reads .zst images"),
    ("matplotlib", "plot", "draws the benchmarks' plot"),
    ("pytest", "test", "runs the tests"),
)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command takes none of its own."""
    parser.description = __doc__


def _line(usable: bool, name: str, text: str) -> str:
    return f"  {'ok' if usable else '--'}  {name:11} {text}"


def report() -> Iterator[str]:
    """The lines of the report."""
    yield f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    yield "Engines"
    for engine in probe():
        why = engine.doc if engine.usable else engine.reason
        yield _line(engine.usable, engine.name, why)
        if engine.hint and not engine.usable:
            yield f"{'':17} {engine.hint}"
    chosen, why = choose()
    yield f"  auto is {chosen}" + (f": {why}" if why else "")
    cache = DiskCache()
    unused = f", not used: {cache.problem}" if cache.problem else ""
    yield f"  code cache: {cache.folder}{unused}"
    yield "Python packages"
    for module, extra, purpose in OPTIONAL:
        there = importlib.util.find_spec(module) is not None
        package = f"'otoriscv[{extra}]'" if extra else module
        get = "" if there else f": python3 -m pip install {package}"
        yield _line(there, module, purpose + get)
    yield "Tools"
    manager = package_manager()
    for find in TOOLS:
        tool = find()
        if tool.usable:
            yield _line(True, tool.name, f"{tool.purpose}: {' '.join(tool.command)}")
        else:
            yield _line(False, tool.name, f"{tool.purpose}: {tool.reason}")
            yield f"{'':17} {hint(tool.name, manager)}"
    yield "Libraries"
    found = slirp.version()
    purpose = "a network for Linux guests (--net user)"
    yield _line(bool(found), "libslirp", f"{purpose}: {found or 'not found'}")
    if not found:
        yield f"{'':17} {hint('slirp', manager)}"


def run(args: argparse.Namespace) -> int:
    """Print the report; 0 as long as some engine is usable."""
    del args
    for line in report():
        print(line)
    return 0 if any(engine.usable for engine in probe()) else 1


if __name__ == "__main__":
    sys.exit(run(argparse.Namespace()))
