"""The thermostat of examples/firmware: its command line, its regulation, its failures."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from otoriscv import Machine
from otoriscv.testing.gdb import Gdb

Ask = Callable[[str], str]


@pytest.mark.parametrize(
    ("command", "answer"),
    [
        ("temp", "15.2 degrees, heating"),
        ("set 25", "ok"),
        ("set 31", "error: 5 to 30 degrees"),
        ("selftest", "self-test passed"),
        ("make tea", "error: no such command"),
        ("", ""),
    ],
)
def test_command(ask: Ask, command: str, answer: str) -> None:
    assert ask(command) == answer


def test_it_ends_with_the_code_that_was_typed(machine: Machine, ask: Ask) -> None:
    assert ask("uptime") == "0 s"
    machine.send("exit 42\n")
    assert machine.run().code == 42


def test_regulation(machine: Machine, ask: Ask) -> None:
    """Six minutes of guest time: the firmware sleeps between its ticks, so they pass at once."""
    ask("set 25")
    machine.run(timeout=60)
    lowest = highest = machine.mem.i32["room+4"]

    def look(event: object) -> None:
        nonlocal lowest, highest
        now = machine.mem.i32["room+4"]
        lowest, highest = min(lowest, now), max(highest, now)

    with machine.on_exec("thermostat_tick", look):
        machine.run(timeout=300)
    assert 244 <= lowest <= highest <= 257
    assert ask("uptime") == "360 s"


def test_a_broken_sensor_does_not_stop_the_timer(machine: Machine, ask: Ask) -> None:
    machine.mem.i32["room+4"] = -2731
    before = machine.mem.u32["ticks"]
    machine.run(timeout=1)
    assert machine.mem.u32["ticks"] == before + 10
    assert ask("temp").startswith("-")


def test_an_unexpected_trap_is_reported(machine: Machine, ask: Ask) -> None:
    machine.regs.pc = 0  # there is nothing
    assert machine.run().code == 99
    assert "panic: unexpected trap 1\n" in machine.output


def test_from_gdb(machine: Machine, ask: Ask, gdb: Gdb) -> None:
    gdb.breakpoint("execute")
    machine.send("set 17\n")
    assert gdb.go().function == "execute"
    assert '"set 17"' in gdb.evaluate("command")
    assert gdb.backtrace()[:2] == ["execute", "main"]
    gdb.cli("finish")
    assert gdb.integer("room.target") == 170
