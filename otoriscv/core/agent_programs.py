"""What gdb sends along with a breakpoint. `otoriscv.core.agent` says what it means."""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["AgentPrograms"]


class AgentPrograms(NamedTuple):
    """What a breakpoint evaluates instead of stopping, as bytecode."""

    conditions: tuple[bytes, ...] = ()  #: it does not matter while all of them are false
    commands: tuple[bytes, ...] = ()  #: run when one is true, or there is none; then it goes on

    def __bool__(self) -> bool:
        return bool(self.conditions or self.commands)
