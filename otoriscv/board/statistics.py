"""What a machine did and which of its engines did it: for ``--stats`` and the Python API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from otoriscv.core.layout import MACHINE

if TYPE_CHECKING:
    from otoriscv.board.machine import Machine

__all__ = ["gather", "lines"]


def gather(machine: Machine) -> dict[str, object]:
    """Counts since reset; ``retired_by`` and ``share`` since the machine was made.

    ``retired_by`` has instructions by engine: compiled regions count as ``llvm``, the rest of that
    engine as ``interp``, single instructions that needed Python as ``python``.
    """
    m, engine = machine.m, machine.engine
    by = _retired_by(machine)
    total = sum(by.values())
    return {
        "instructions": machine.retired,
        "engine": engine.name,
        "harts": len(machine.harts),
        "traps": m[MACHINE["traps"]],
        "interrupts": m[MACHINE["interrupts"]],
        "invalidations": m[MACHINE["invalidations"]],
        "retired_by": by,
        "share": {name: round(count / total, 6) if total else 0.0 for name, count in by.items()},
        "jit": dict(engine.report()),
    }


def _retired_by(machine: Machine) -> dict[str, int]:
    """Fastest engine first."""
    runner = machine.runner
    if machine.engine.name == "python":
        return {"python": runner.by_engine + runner.by_stepper}
    regions: int = machine.m[MACHINE["region_steps"]]
    by = {"llvm": regions} if machine.engine.name == "llvm" else {}
    by["interp"] = runner.by_engine - sum(by.values())
    by["python"] = runner.by_stepper
    return by


def lines(facts: Mapping[str, object]) -> list[str]:
    """The facts for a person to read, one to a line; what is empty is left out."""
    out: list[str] = []
    for name, value in facts.items():
        title = name.replace("_", " ")
        if name == "retired_by" or value in (None, ""):
            continue
        if name == "share":
            by = facts["retired_by"]
            assert isinstance(by, Mapping) and isinstance(value, Mapping)
            for engine, count in by.items():
                out.append(f"retired in {engine:11} {count} ({100 * value[engine]:.2f} %)")
        elif isinstance(value, Mapping):
            if name == "jit":
                out += lines(value)
            else:
                inner = ", ".join(f"{key} {count}" for key, count in value.items())
                out.append(f"{title:22} {inner or 'none'}")
        else:
            out.append(f"{title:22} {value}")
    return out
