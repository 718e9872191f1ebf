"""Why a machine came back from running."""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

__all__ = ["Stop", "StopReason"]


class StopReason(Enum):
    """What ended a run."""

    STEPS = "steps"  # the asked-for number of instructions
    REQUEST = "request"  # `Machine.request_stop`
    BREAKPOINT = "breakpoint"
    WATCH = "watchpoint"  # before the access
    EBREAK = "ebreak"  # the guest's own, with a debugger attached
    EXIT = "exit"  # the guest ended with ``code``
    RESET = "reset"  # the guest asked for a reset
    CRASH = "crash"  # the guest cannot go on
    IDLE = "idle"  # every hart waits for an interrupt that cannot come
    TIMEOUT = "timeout"  # the virtual time limit
    UNTIL = "until"  # what `otoriscv.Machine.run` was asked to wait for
    ENDED = "ended"  # `Machine.end`: an expectation or the like; ``code`` is the exit code


class Stop(NamedTuple):
    """The end of a run: ``hart`` caused it, ``pc`` is where that hart goes on."""

    reason: StopReason
    hart: int = 0
    pc: int = 0
    code: int = 0  # EXIT, ENDED
    address: int = 0  # WATCH: the data address
    kind: int = 0  # WATCH: 1 a read, 2 a write
    message: str = ""
