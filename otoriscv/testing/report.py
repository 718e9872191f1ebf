"""What is shown of a machine when its test failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from otoriscv.board.crash import last_pcs
from otoriscv.board.info import registers_of
from otoriscv.testing.backtrace import backtrace

if TYPE_CHECKING:
    from otoriscv.api import Machine

__all__ = ["describe"]

_LINES: Final = 40
_REPLAYED: Final = 20_000_000  # instructions, at most, that are run again to find the last pcs


def describe(machine: Machine) -> str:
    """The console's last lines, and each hart's registers, last instructions and backtrace."""
    board, name = machine.board, machine.symbols.describe
    lines = machine.output.splitlines()
    parts = [f"console (last {_LINES} of {len(lines)} lines)" if len(lines) > _LINES else "console"]
    parts += [f"  {line}" for line in lines[-_LINES:]] or ["  nothing was printed"]
    since = 0 if board.origin is None else sum(_retired(board.origin))
    ways = last_pcs(board, None) if machine.retired - since <= _REPLAYED else []
    for hart in board.harts:
        parts += [f"hart {hart.index}, {hart.retired} instructions", registers_of(hart, name)]
        mine = [pc for index, pc in ways if index == hart.index]
        if mine:
            parts += ["last instructions", *(f"  {pc:#x}  {name(pc)}" for pc in mine)]
        frames = backtrace(machine, hart.index)
        parts += ["backtrace", *(f"  #{n} {pc:#x}  {name(pc)}" for n, pc in enumerate(frames))]
    return "\n".join(parts)


def _retired(origin: object) -> list[int]:
    state = getattr(origin, "state", {})
    return [fields["retired_end"][0] for fields in state["harts"]]
