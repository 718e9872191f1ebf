"""A machine that has booted, and commands to its command line."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otoriscv import Machine

Ask = Callable[[str], str]


@pytest.fixture
def ask(machine: Machine) -> Ask:
    """Type a command and read the answer; the firmware has booted before."""
    machine.expect("ready\n> ")

    def answer(command: str) -> str:
        machine.send(f"{command}\n")
        return machine.expect(r"(?s)(.*?)\n?> ", timeout=1).group(1)

    return answer
