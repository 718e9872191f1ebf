"""The interpreter as one LLVM module: every routine, every handler, for one XLEN."""

from __future__ import annotations

from otoriscv.core import architecture, routine
from otoriscv.core.handlers import SPECIAL, Handler, handlers
from otoriscv.core.policy import CallPolicy, TlbPolicy
from otoriscv.core.uop import uses_op
from otoriscv.jit.interp.handler import HandlerFunction, program
from otoriscv.jit.interp.special import special_definitions, special_names
from otoriscv.jit.llvm.ir import DECLARATIONS, RoutineFunction
from otoriscv.jit.llvm.native import ATTRIBUTES

__all__ = ["handler_names", "module_text"]


def handler_names(xlen: int) -> list[str]:
    """The function of each handler number."""
    special = special_names()
    names = []
    for number, handler in enumerate(handlers(xlen)):
        if number in special:
            names.append(special[number])
        elif handler.row.semantics is None:
            names.append("page_end")  # a number not in use: never in an entry
        else:
            names.append(f"h{number}")
    return names


def _handler(xlen: int, name: str, handler: Handler) -> list[str]:
    """The definitions of one handler: with a slow form when it accesses memory."""
    fast = program(handler, xlen, TlbPolicy())
    if not uses_op(fast, "bail_if"):
        return [HandlerFunction(xlen, handler).define(name, fast)]
    slow = program(handler, xlen, CallPolicy())
    return [
        HandlerFunction(xlen, handler, slow=f"{name}_slow").define(name, fast),
        HandlerFunction(xlen, handler).define(f"{name}_slow", slow),
    ]


def module_text(xlen: int) -> str:
    """The module's IR."""
    parts = [DECLARATIONS]
    for r in architecture.ROUTINES.values():
        body = routine.build(r, xlen)
        text = RoutineFunction(xlen).define(r.name, r.params, body, "#0")
        if r.name == "decode_entry":  # regions' entries are decoded through it
            text = text.replace("define internal", "define", 1)
        parts.append(text)
    names = handler_names(xlen)
    for name, handler in zip(names, handlers(xlen), strict=True):
        if handler.row.semantics is not None:
            parts += _handler(xlen, name, handler)
    parts += special_definitions(xlen)
    used = sorted(set(names) | {"exact"})
    refs = ", ".join(f"ptr @{n}" for n in used)
    kept = f"@llvm.used = appending global [{len(used)} x ptr] [{refs}]"
    parts.append(f'{kept}, section "llvm.metadata"')
    parts.append(ATTRIBUTES)
    return "\n\n".join(parts)


assert len(SPECIAL) == 8
