"""The real gdb in non-stop mode: harts of one machine run and stop one by one."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from otoriscv.board.target import BoardTarget
from otoriscv.tools import find_cc, find_gdb
from tests.gdb_guest import build, line_of
from tests.stub import until
from tests.test_gdb_real import ENGINES, serve

pytest.importorskip("pygdbmi")

from tests.gdbmi import Gdb, GdbError, Stopped

pytestmark = [
    pytest.mark.skipif(not find_gdb().usable, reason=find_gdb().reason),
    pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason),
]


class Box:
    """A gdb in non-stop mode, at main with hart 0 and before its first instruction with hart 1."""

    def __init__(self, gdb: Gdb, target: BoardTarget) -> None:
        self.gdb = gdb
        self.target = target

    def states(self) -> list[str]:
        """Of the threads."""
        return [thread["state"] for thread in self.gdb.mi("-thread-info")["threads"]]

    def counts(self) -> int:
        """What hart 1 has counted, read while it runs."""
        return int(self.gdb.mi("-data-evaluate-expression --thread 1 counts[1]")["value"])

    def run(self, command: str) -> Stopped:
        return self.gdb.go(command)


@pytest.fixture(
    params=[(x, e) for e in ENGINES for x in (32, 64)], ids=lambda p: f"rv{p[0]}-{p[1]}"
)
def box(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Box]:
    xlen, engine = request.param
    program = build(tmp_path, xlen)
    server, target = serve(program, engine)
    with Gdb(str(program)) as gdb:
        gdb.mi("-gdb-set non-stop on")
        gdb.connect(*server.address, extended=True)
        box = Box(gdb, target)
        end = time.monotonic() + 10
        while box.states() != ["stopped", "stopped"]:
            assert time.monotonic() < end
        gdb.breakpoint("main", "-t")
        assert box.run("-exec-continue --thread 1").function == "main"
        gdb.cli("thread 1")
        gdb.cli("set var running = 2")
        yield box
        assert [line for line in gdb.warnings() if "internal" in line or "rror" in line] == []
    server.close()
    target.shut_down()


def test_harts_one_by_one(box: Box) -> None:
    gdb = box.gdb
    assert box.states() == ["stopped", "stopped"]
    assert box.counts() == 0
    gdb.mi("-exec-continue --thread 2")
    time.sleep(0.2)
    assert box.states() == ["stopped", "running"]
    before = box.counts()
    time.sleep(0.1)
    assert box.counts() > before > 0
    # the other hart is stepped, over calls too, while this one counts on
    box.run("-exec-next --thread 1")
    assert box.run("-exec-next --thread 1").line == line_of("main-first")
    gdb.breakpoint("leaf", "-t")
    stop = box.run("-exec-continue --thread 1")
    assert (stop.function, stop.thread) == ("leaf", "1")
    assert gdb.backtrace() == ["leaf", "f", "main"]
    assert box.run("-exec-finish --thread 1").function == "f"
    assert box.states() == ["stopped", "running"]
    now = box.counts()
    assert now > before
    # an interrupt of one, asynchronously
    stop = box.run("-exec-interrupt --thread 2")
    assert (stop.thread, stop.signal, stop.function) == ("2", "0", "worker")
    assert box.states() == ["stopped", "stopped"]
    now = box.counts()
    time.sleep(0.1)
    assert box.counts() == now
    zero = box.target.machine.harts[0].pc
    assert box.run("-exec-step-instruction --thread 2").thread == "2"
    assert box.target.machine.harts[0].pc == zero


def test_a_breakpoint_stops_only_who_runs_into_it(box: Box) -> None:
    gdb = box.gdb
    gdb.mi("-exec-continue --thread 1")
    time.sleep(0.2)
    assert box.states() == ["running", "stopped"]
    gdb.breakpoint(f"guest.c:{line_of('worker-loop')}")
    stop = box.run("-exec-continue --thread 2")
    assert (stop.thread, stop.reason, stop.function) == ("2", "breakpoint-hit", "worker")
    assert box.states() == ["running", "stopped"]
    count = gdb.integer("counts[1]")
    assert box.run("-exec-continue --thread 2").thread == "2"
    assert gdb.integer("counts[1]") == count + 1
    spins = gdb.integer("spins")
    time.sleep(0.1)
    assert gdb.integer("spins") > spins


def test_a_breakpoint_set_while_all_run(box: Box) -> None:
    gdb = box.gdb
    gdb.mi("-exec-continue --all")
    time.sleep(0.2)
    assert box.states() == ["running", "running"]
    gdb._stops.clear()
    gdb.breakpoint(f"guest.c:{line_of('spin-loop')}")
    stop = gdb.wait_stop()
    assert (stop.thread, stop.function) == ("1", "spin")
    assert box.states() == ["stopped", "running"]
    gdb.cli("delete")
    gdb._stops.clear()
    gdb.mi("-exec-continue --thread 1")
    time.sleep(0.1)
    gdb.mi("-exec-interrupt --all")
    assert {gdb.wait_stop().thread, gdb.wait_stop().thread} == {"1", "2"}
    assert box.states() == ["stopped", "stopped"]


def test_a_line_that_loops(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("worker", "-t")
    gdb.mi("-exec-continue --thread 1")
    assert box.run("-exec-continue --thread 2").function == "worker"
    # In this mode gdb 13 asks what vCont can do (ranges, too) when it first interrupts a hart.
    gdb.mi("-exec-continue --thread 2")
    assert box.run("-exec-interrupt --thread 2").function == "worker"
    count = box.counts()
    gdb.mi("-exec-next --thread 2")
    # With a stop at each instruction this would take minutes.
    until(lambda: box.counts() > count + 20_000, 30)
    assert box.states() == ["running", "running"]
    gdb._stops.clear()
    gdb.breakpoint(f"guest.c:{line_of('worker-loop')}")
    stop = gdb.wait_stop()
    assert (stop.thread, stop.reason) == ("2", "breakpoint-hit")
    assert box.states() == ["running", "stopped"]


def test_what_is_printed_comes_with_the_stops(box: Box, tmp_path: Path) -> None:
    gdb = box.gdb
    script = tmp_path / "hook.gdb"
    script.write_text("define hook-stop\nmonitor console\nend\n")
    gdb.cli(f"source {script}")
    gdb.cli("set dprintf-style agent")
    gdb.cli('dprintf leaf, "leaf %d\\n", n')
    gdb.cli("set var rounds = 2")
    gdb.breakpoint("factorial", "-t")
    gdb.text()
    assert box.run("-exec-continue --thread 1").function == "factorial"
    assert [line for line in gdb.text().splitlines() if line.startswith("leaf")] == [
        f"leaf {n}" for n in (0, 1, 2, 3, 1, 2, 3, 4)
    ]


def test_a_watchpoint(box: Box) -> None:
    gdb = box.gdb
    gdb.mi("-exec-continue --thread 2")
    gdb.mi("-thread-select 1")
    gdb.cli("watch g")
    stop = box.run("-exec-continue --thread 1")
    assert (stop.thread, stop.reason) == ("1", "watchpoint-trigger")
    assert box.states() == ["stopped", "running"]
    gdb.cli("delete")


def test_the_guest_ends(box: Box) -> None:
    gdb = box.gdb
    gdb.mi("-exec-continue --thread 2")
    gdb.cli("set var running = 0")
    assert box.run("-exec-continue --thread 1").reason == "exited-normally"
    with pytest.raises(Exception, match=r"[Nn]o thread|Invalid thread"):
        gdb.mi("-exec-continue --thread 1")


@pytest.mark.parametrize("engine", ENGINES)
def test_a_second_gdb_watches(engine: str, tmp_path: Path) -> None:
    program = build(tmp_path, 64)
    server, target = serve(program, engine)
    with Gdb(str(program)) as owner, Gdb(str(program)) as watcher:
        owner.connect(*server.address, extended=True)
        owner.breakpoint("main", "-t")
        assert owner.go().function == "main"
        owner.cli("set var running = 2")
        watcher.connect(*server.address)
        watcher.cli("set var $seen = counts[1]")
        owner.mi("-exec-continue")
        until(lambda: watcher.integer("counts[1]") > watcher.integer("$seen"))  # it is live
        assert "Hart 1" in watcher.cli("info threads")
        assert "spins" in watcher.cli("info address spins")
        with pytest.raises(GdbError):
            watcher.cli("set var counts[1] = 0")
        assert target.running
        wait = server._connected[1].session
        watcher.mi("-exec-continue")  # waits for what the owner's machine does
        until(lambda: wait.running)
        owner.interrupt()
        assert watcher.wait_stop().signal == "SIGINT"
        owner.breakpoint(f"guest.c:{line_of('worker-loop')}")
        watcher.mi("-exec-continue")
        until(lambda: wait.running)
        assert owner.go().function == "worker"
        stop = watcher.wait_stop()
        assert (stop.function, stop.thread) == ("worker", "2")
        owner.close()
        until(lambda: len(server._connected) == 1)
        watcher.cli("set var counts[1] = 7")
        assert watcher.integer("counts[1]") == 7
        watcher.breakpoint("spin")
        assert watcher.go("-exec-step-instruction").thread == "2"
    server.close()
    target.shut_down()
