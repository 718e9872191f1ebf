"""What is said about a guest that crashed: the way it came, and the registers.

Engines keep no record of where they were: it would cost every instruction. Runs in virtual time
are repeatable, so the run is done again from its input, quickly to just before the end and then
instruction by instruction.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final

from otoriscv.board.hub import Replay
from otoriscv.board.info import registers_of
from otoriscv.board.snapshot import SnapshotError, restore
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.virt import VirtMachine

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart

__all__ = ["crash_report", "last_pcs"]

_SHOWN: Final = 16
_BEFORE: Final = 64  # instructions before the end from which on every one is looked at
_SECONDS: Final = 30.0


class _Ring:
    """A tracer that remembers the last pcs."""

    def __init__(self, machine: VirtMachine) -> None:
        self._machine = machine
        self.last: deque[tuple[int, int]] = deque(maxlen=_SHOWN)

    def step(self, hart: Hart, *, interrupts: bool) -> int:
        """One remembered step."""
        self.last.append((hart.index, hart.pc))
        return self._machine.stepper.step(hart, interrupts=interrupts)


def last_pcs(machine: VirtMachine, stop: Stop | None) -> list[tuple[int, int]]:
    """(hart, pc) of the last instructions before *stop*, or before where the machine is.

    Empty when the run cannot be repeated.
    """
    config = machine.config
    if not machine.clock.virtual or config.semihosting_dir is not None:
        return []
    if not config.virtio.repeatable:
        return []
    console = Replay(machine.hub.record, ended=not machine.hub.open)
    again = VirtMachine(config._replace(engine=machine.engine.name), console)
    console.instant = lambda: again.instant
    again.input_open_now = lambda: False  # nobody types but the record
    try:
        if machine.origin is not None:
            restore(again, machine.origin)
        ring = _Ring(again)
        before = machine.retired - again.retired - _BEFORE
        end = again.run(steps=before) if before > 0 else None
        if end is not None and end.reason is not StopReason.STEPS:
            return []
        again.tracer = ring
        if stop is None:
            again.run(steps=machine.retired - again.retired)
            same = all(a.x[:] == b.x[:] for a, b in zip(again.harts, machine.harts, strict=True))
        else:
            end = again.run(steps=4 * _BEFORE)
            same = (end.reason, end.pc) == (stop.reason, stop.pc)
        return list(ring.last) if same else []
    except SnapshotError:  # devices that only the owner of the first machine can make
        return []
    finally:
        again.close()


def crash_report(machine: VirtMachine, stop: Stop, *, seconds: float, repeatable: bool) -> str:
    """Several lines about a CRASH: *seconds* is how long the run took, *repeatable* whether only
    its recorded input went into it.
    """
    lines = [f"{stop.message} (after {machine.retired} instructions)"]
    ways = last_pcs(machine, stop) if repeatable and seconds < _SECONDS else []
    if ways:
        lines.append(f"the last {len(ways)} instructions were at")
        many = len(machine.harts) > 1
        for index, pc in ways:
            where = machine.symbols.describe(pc)
            name = "" if where.startswith("0x") else f"  {where}"
            lines.append(f"  {f'hart {index} ' if many else ''}{pc:#x}{name}")
    hart = machine.harts[stop.hart]
    lines.append(f"registers of hart {hart.index}")
    return "\n".join(lines) + "\n" + registers_of(hart, machine.symbols.describe)
