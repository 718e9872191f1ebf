"""Helpers of the tests that talk to the stub; the fixtures are in conftest.py."""

from __future__ import annotations

import time
from collections.abc import Callable

from otoriscv.gdbstub.client import RspClient

__all__ = ["Connect", "until"]

#: Another client of the server; the arguments are `RspClient`'s.
Connect = Callable[..., RspClient]


def until(condition: Callable[[], bool], seconds: float = 5) -> None:
    """Wait for *condition*, for *seconds* at most."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never came true"
        time.sleep(0.005)
