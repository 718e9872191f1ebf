"""The stub runs a machine: steps, breakpoints, watchpoints, interrupts, and what stops it."""

from __future__ import annotations

import pytest

from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import PC, RspClient
from otoriscv.gdbstub.target import StopEvent
from tests.fake_target import (
    BASE,
    CRASH,
    EBREAK,
    LOAD,
    LOOP,
    PRINT,
    STORE,
    FakeTarget,
)


def test_step_and_continue(client: RspClient) -> None:
    assert client.step().registers[PC] == BASE + 4
    client.insert_breakpoint(BASE + 0x100)
    stop = client.resume()
    assert (stop.signal, stop.thread, stop.reason) == (5, 1, "swbreak")
    assert stop.registers[PC] == BASE + 0x100
    assert "core:0;" in stop.raw


def test_continue_and_step_with_old_packets(client: RspClient) -> None:
    client.insert_breakpoint(BASE + 0x20)
    for packet, pc in ((b"s", 4), (b"S05", 8), (b"s80000010", 0x14), (b"c", 0x20)):
        client.send(packet)
        assert client.wait().registers[PC] == BASE + pc
    client.send(b"C05;80000018")
    assert client.wait().registers[PC] == BASE + 0x20


def test_breakpoint_kinds(client: RspClient) -> None:
    client.insert_breakpoint(BASE + 0x10, hardware=True)
    assert client.resume().reason == "hwbreak"
    client.insert_breakpoint(BASE + 0x20)
    assert client.resume().reason == "swbreak"
    client.request(b"qSupported")
    client.insert_breakpoint(BASE + 0x30)
    assert client.resume().reason == ""


def test_breakpoints_that_come_and_go_cost_nothing(client: RspClient, target: FakeTarget) -> None:
    for offset in range(0, 400, 4):
        client.insert_breakpoint(BASE + 0x100 + offset)
    client.resume()
    before = target.inserted
    for _ in range(3):
        for edit in (client.remove_breakpoint, client.insert_breakpoint):
            for offset in range(0, 400, 4):
                edit(BASE + 0x100 + offset)
            client.step()
        client.resume()
    assert target.inserted == before


@pytest.mark.parametrize(
    ("kind", "word", "reason"),
    [("w", STORE, "watch"), ("r", LOAD, "rwatch"), ("rw", STORE, "awatch"), ("rw", LOAD, "awatch")],
)
def test_watchpoints(
    client: RspClient, target: FakeTarget, kind: str, word: int, reason: str
) -> None:
    target.load(0, 0, word, 0, LOOP)
    client.write_register(10, BASE + 0x1002)
    client.insert_watchpoint(kind, BASE + 0x1004, 1)
    stop = client.resume()
    assert (stop.reason, stop.address) == (reason, BASE + 0x1004)
    assert stop.registers[PC] == BASE + 8
    client.insert_breakpoint(BASE + 12)
    assert client.resume().registers[PC] == BASE + 12
    client.remove_watchpoint(kind, BASE + 0x1004, 1)
    client.step()
    assert not target.watchpoints


def test_the_watchpoint_that_was_touched_among_neighbours(
    client: RspClient, target: FakeTarget
) -> None:
    target.load(0, LOAD, LOOP)
    for n in range(7):
        client.insert_watchpoint("r", BASE + 0x1001 + n, 1)
    client.write_register(10, BASE + 0x1002)
    assert client.resume().address == BASE + 0x1002
    client.write_register(10, BASE + 0xFFE)  # begins before all of them
    client.write_register(PC, BASE)
    assert client.resume().address == BASE + 0x1001


def test_ebreak_is_a_plain_trap(client: RspClient, target: FakeTarget) -> None:
    target.load(0, EBREAK)
    stop = client.resume()
    assert (stop.signal, stop.reason, stop.registers[PC]) == (5, "", BASE + 4)


def test_interrupt(client: RspClient, target: FakeTarget) -> None:
    target.load(LOOP)
    for _ in range(5):
        client.send(b"vCont;c")
        client.interrupt()
        assert client.wait().signal == 2
    client.interrupt()  # nothing runs: nothing happens
    assert client.request(b"qC") == b"QC1"


def test_stop_of_a_running_thread(client: RspClient, target: FakeTarget) -> None:
    target.load(LOOP)
    client.send(b"vCont;c")
    client.send(b"vCont;t")
    assert client.wait().signal == 0
    client.send(b"vCont;t")
    assert client.wait().raw.startswith("T05")


def test_packets_sent_while_the_machine_runs_are_answered_after(
    client: RspClient, target: FakeTarget
) -> None:
    target.load(LOOP)
    client.send(b"c")
    client.send(b"qC")
    client.send(b"?")
    client.interrupt()
    assert client.wait().signal == 2
    assert client.receive() == b"QC1"
    assert client.receive().startswith(b"T05")


def test_output_comes_before_the_stop(server: GdbServer, target: FakeTarget) -> None:
    target.load(*([PRINT] * 300), EBREAK)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        client.write_register(11, ord("x"))
        client.step()
        assert seen == [b"x"]
        client.resume()
    assert b"".join(seen) == b"x" * 300


def test_a_run_that_stops_or_fails_at_once(
    server: GdbServer, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    target.prompt = True
    target.load(*([PRINT] * 3), EBREAK)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        client.write_register(11, ord("x"))
        assert client.resume().registers[PC] == BASE + 12
        assert b"".join(seen) == b"xxx"
        assert client.request(b"qC") == b"QC1"  # nothing runs
        monkeypatch.setattr(target, "resume", lambda actions: 1 // 0)
        assert client.request(b"c").startswith(b"E.ZeroDivisionError")
        assert client.request(b"qC") == b"QC1"


def test_crash_says_why(server: GdbServer, target: FakeTarget) -> None:
    target.load(0, CRASH)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        assert client.resume().signal == 11
        assert b"the guest crashed" in b"".join(seen)
        assert client.why().signal == 11


def test_a_machine_that_fails_is_a_crash(
    server: GdbServer, target: FakeTarget, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(timeout: float | None) -> StopEvent | None:
        target._thread = None
        raise RuntimeError("the device exploded")

    target.load(EBREAK)
    seen: list[bytes] = []
    with RspClient(*server.address, on_output=seen.append) as client:
        monkeypatch.setattr(target, "wait", broken)
        assert client.resume().signal == 11
        assert b"the device exploded" in b"".join(seen)
        monkeypatch.undo()
        monkeypatch.setattr(target, "step", lambda hart: 1 // 0)
        assert client.request(b"s").startswith(b"E.ZeroDivisionError")


def test_harts() -> None:
    target = FakeTarget(harts=3)
    server = GdbServer(target)
    server.start()

    def pcs() -> list[int]:
        return [values[PC] - BASE for values in target.values]

    with RspClient(*server.address) as client:
        assert client.step(2).thread == 2
        assert pcs() == [0, 4, 0]
        client.send(b"vCont;s:3;c:1")
        assert client.wait().thread == 3
        assert pcs() == [4, 4, 4]
        client.send(b"vCont;s:1;c")
        assert client.wait().thread == 1
        client.request(b"Hc2")
        client.send(b"s")
        assert client.wait().thread == 2
        assert client.request(b"qC") == b"QC2"
        client.request(b"Hg3")
        client.write_register(9, 77)
        assert target.values[2][9] == 77
    server.close()
