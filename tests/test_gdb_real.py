"""The real gdb debugs a C program on the real board: both widths, both engines."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from otoriscv.board.loaders import load_image
from otoriscv.board.target import BoardTarget
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.layout import HART, MACHINE
from otoriscv.gdbstub import GdbServer
from otoriscv.gdbstub.client import PC, RspClient
from otoriscv.jit.engines import probe
from otoriscv.jit.settings import JitSettings
from otoriscv.tools import find_cc, find_gdb
from tests import engine_choice
from tests.engine_box import HOT
from tests.gdb_guest import build, line_of

pytest.importorskip("pygdbmi")

from tests.gdbmi import Gdb, GdbError

pytestmark = [
    pytest.mark.skipif(not find_gdb().usable, reason=find_gdb().reason),
    pytest.mark.skipif(not find_cc().usable, reason=find_cc().reason),
]

HARTS = 2
ENGINES = list(engine_choice.asked) or [info.name for info in probe() if info.usable]
if "llvm" in ENGINES and not engine_choice.asked:
    ENGINES.append(HOT)


class Box(NamedTuple):
    """A server with the guest in its machine, and a gdb connected to it."""

    gdb: Gdb
    server: GdbServer
    target: BoardTarget
    program: Path

    @property
    def machine(self) -> VirtMachine:
        return self.target.machine

    def both_count(self) -> bool:
        """Whether hart 0 has come to spin() and hart 1 to worker(), while they run."""
        spins, counts = self.target.symbol("spins"), self.target.symbol("counts")
        assert spins is not None and counts is not None
        first = counts[0] + self.target.xlen // 8
        with self.target.visit():
            return all(any(self.target.read_memory(0, at, 4)) for at in (spins[0], first))


class RawBox(NamedTuple):
    """A client of the bare protocol, and its machine."""

    client: RspClient
    target: BoardTarget

    def symbol(self, name: str) -> int:
        found = self.target.machine.symbols.get(name)
        assert found is not None
        return found.address


def serve(program: Path, engine: str, harts: int = HARTS) -> tuple[GdbServer, BoardTarget]:
    image = load_image(program)
    jit = JitSettings()
    if engine == HOT:
        engine, jit = "llvm", JitSettings(threshold=1, workers=0)
    target = BoardTarget(VirtMachine(VirtConfig(image=image, engine=engine, harts=harts, jit=jit)))
    server = GdbServer(target)
    server.start()
    return server, target


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> dict[int, Path]:
    directory = tmp_path_factory.mktemp("guest")
    return {xlen: build(directory, xlen) for xlen in (32, 64)}


@pytest.fixture(
    scope="module",
    params=[(x, e) for e in ENGINES for x in (32, 64)],
    ids=lambda param: f"rv{param[0]}-{param[1]}",
)
def connected(request: pytest.FixtureRequest, programs: dict[int, Path]) -> Iterator[Box]:
    xlen, engine = request.param
    server, target = serve(programs[xlen], engine)
    with Gdb(str(programs[xlen])) as gdb:
        gdb.connect(*server.address, extended=True)
        yield Box(gdb, server, target, programs[xlen])
        assert gdb.warnings() == []
    server.close()
    target.shut_down()


@pytest.fixture
def box(connected: Box) -> Box:
    """A fresh run, halted in main; no breakpoints."""
    gdb = connected.gdb
    gdb.cli("delete")
    gdb.cli("set scheduler-locking off")
    gdb.breakpoint("main", "-t")
    stop = gdb.run_cli("run")
    assert stop.function == "main"
    return connected


def at(mark: str) -> str:
    return f"guest.c:{line_of(mark)}"


def test_breakpoints_of_every_kind(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint(at("main-first"), "-t")
    gdb.breakpoint("f", "-h")
    gdb.breakpoint("leaf")
    assert gdb.go().line == line_of("main-first")
    stop = gdb.go()
    assert (stop.function, stop.reason) == ("f", "breakpoint-hit")
    assert gdb.integer("n") == 0
    assert gdb.go().function == "leaf"
    assert gdb.backtrace() == ["leaf", "f", "main"]
    assert "hw breakpoint" in gdb.cli("info breakpoints")
    gdb.cli("delete")
    gdb.breakpoint("f", "-i 3")
    gdb.go()
    assert gdb.integer("n") == 4
    gdb.breakpoint(at("f-last"), "-c", '"n == 9 && sum > 3"')
    gdb.cli("delete 1-5")
    while gdb.go().line != line_of("f-last"):
        pass
    assert gdb.integer("n") == 9


def test_watchpoints(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("watch g")
    stop = gdb.go()  # g = 0 in the first round does not change it
    assert stop.reason == "watchpoint-trigger"
    assert stop.payload["value"] == {"old": "0", "new": "1"}
    assert stop.function == "f"
    gdb.cli("delete")
    gdb.cli("rwatch other")
    stop = gdb.go()
    assert stop.reason == "read-watchpoint-trigger"
    assert (stop.line, gdb.integer("n")) == (line_of("f-read"), 1)
    gdb.cli("delete")
    gdb.cli("awatch g")
    stop = gdb.go()
    assert (stop.reason, gdb.integer("n")) == ("access-watchpoint-trigger", 2)
    gdb.cli("delete")
    gdb.cli("watch table[5] if table[5] > 0")
    stop = gdb.go()
    assert (stop.reason, gdb.integer("n")) == ("watchpoint-trigger", 5)
    gdb.cli("delete")
    gdb.cli("set var rounds = 1000000")
    gdb.cli("watch counts[1]")  # hart 1 writes it
    stop = gdb.go()
    assert (stop.reason, stop.function, stop.thread) == ("watchpoint-trigger", "worker", "2")


def test_stops_in_compiled_code(box: Box) -> None:
    """A hot loop that the statistics show compiled: breakpoints, conditions, watchpoints, steps and
    writes act on it at once, and it is still compiled afterwards."""
    gdb, machine = box.gdb, box.machine
    gdb.cli("set var rounds = 2000000000")  # a busy machine takes long to compile it
    f_last = line_of("f-last")

    def hot() -> None:
        """Run until most of what is retired is retired in regions."""
        end = time.monotonic() + 120
        while machine.engine.name == "llvm":
            before = machine.m[MACHINE["region_steps"]], machine.retired
            gdb.mi("-exec-continue")
            time.sleep(0.3)
            gdb.interrupt()
            steps = machine.retired - before[1]
            if (machine.m[MACHINE["region_steps"]] - before[0]) > 0.5 * steps > 0:
                break
            assert time.monotonic() < end, "it is not compiled"

    hot()
    leaf = machine.symbols.get("leaf")
    assert leaf is not None
    if machine.engine.name == "llvm":
        assert any(leaf.address in region.covered for region in machine.engine.regions())  # type: ignore[attr-defined]  # the llvm engine's
        at_leaf = leaf.address
        assert machine.engine.compiled_at(at_leaf, at_leaf, translated=False) > 0
    n = gdb.integer("g")
    gdb.breakpoint(at("f-last"))
    assert gdb.go().line == f_last
    assert gdb.integer("n") >= n
    n = gdb.integer("n")
    assert gdb.go().line == f_last and gdb.integer("n") == n + 1
    assert gdb.go("-exec-next").function in ("f", "main")
    gdb.cli("delete")
    gdb.breakpoint(at("f-last"), f"-c {n + 20_000}==n")
    assert gdb.go().line == f_last and gdb.integer("n") == n + 20_000
    gdb.cli("delete")
    hot()
    gdb.cli("watch table[3]")
    assert gdb.go().reason == "watchpoint-trigger"
    gdb.cli("delete")
    gdb.cli("set var rounds = 0")
    gdb.breakpoint("finish", "-t")
    assert gdb.go().function == "finish"


def test_finish_until_advance(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("leaf", "-t")
    gdb.go()
    stop = gdb.go("-exec-finish")
    assert (stop.function, stop.payload["return-value"]) == ("f", "1")
    gdb.run_cli(f"until {line_of('f-last')}")
    assert gdb.integer("sum") == 5 + 1 + 3 + 5 + 7
    assert gdb.run_cli("advance " + at("main-call")).function == "main"
    gdb.breakpoint("factorial", "-t")
    stop = gdb.go()
    assert (stop.function, gdb.integer("n")) == ("factorial", 5)
    gdb.breakpoint(at("factorial-bottom"), "-t")
    gdb.go()
    assert gdb.backtrace() == ["factorial"] * 5 + ["main"]
    gdb.cli("up 3")
    assert gdb.integer("n") == 4
    gdb.cli("down 3")
    assert gdb.go("-exec-finish").payload["return-value"] == "1"
    assert gdb.go("-exec-finish").payload["return-value"] == "2"


def test_stepping(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("f", "-t")
    gdb.go()
    start = gdb.integer("$pc")
    assert 0 < gdb.go("-exec-step-instruction").pc - start <= 4
    gdb.run_cli("stepi 3")
    gdb.breakpoint(at("f-read"), "-t")
    gdb.go()
    assert gdb.go("-exec-next").line == line_of("f-loop")
    assert gdb.go("-exec-next").line == line_of("f-loop") + 1
    assert gdb.go("-exec-step").function == "leaf"
    assert gdb.go("-exec-next").line == line_of("leaf-last")
    gdb.breakpoint(at("main-call"), "-t")
    gdb.go()
    stop = gdb.go("-exec-next")
    assert stop.function == "main"
    gdb.breakpoint(at("main-sum"), "-t")
    assert gdb.go().line == line_of("main-sum")


def test_resuming_onto_a_breakpoint_makes_progress(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("leaf")
    gdb.go()
    gdb.run_cli("stepi 2")
    gdb.breakpoint(at("leaf-last"))
    assert gdb.go().line == line_of("leaf-last")
    assert gdb.go().line == line_of("leaf-first")  # the next call


def test_a_breakpoint_in_a_function_that_gdb_calls(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("*leaf")
    with pytest.raises(GdbError, match="stopped while in a function called from GDB"):
        gdb.evaluate("leaf(3)")
    gdb.cli("delete")
    assert gdb.go("-exec-finish").function == "main"
    assert gdb.integer("leaf(3)") == 7


def test_a_trap_handler(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint(at("main-trap"))
    gdb.breakpoint("handler")
    gdb.go()
    stop = gdb.go()
    assert stop.function == "handler"
    gdb.run_cli("advance " + at("handler-last"))
    assert gdb.integer("cause") == 11
    gdb.cli("set $mepc = $mepc")
    assert gdb.integer("$mcause + 0") == 11
    assert gdb.integer("(unsigned long)$mepc") == gdb.integer("epc")  # it moved over the ecall
    assert gdb.integer("(unsigned long)$mtvec") == gdb.integer("(unsigned long)&handler")
    assert gdb.go("-exec-next").function == "handler"
    gdb.breakpoint(at("main-factorial"), "-t")
    assert gdb.go().line == line_of("main-factorial")
    assert gdb.integer("traps") == 1
    assert gdb.integer("trap_cause") == 11
    # stepping over and into the trap
    gdb.cli("delete")
    gdb.breakpoint(at("trap-call"), "-t")
    gdb.run_cli("run")
    pc = gdb.integer("$pc")
    assert gdb.go("-exec-step-instruction").function == "handler"
    assert gdb.integer("(unsigned long)$mepc") == pc


def test_registers_memory_and_csrs(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint(at("leaf-last"))
    gdb.go()
    gdb.cli("set var twice = 1000")
    gdb.cli("delete")
    assert gdb.go("-exec-finish").payload["return-value"] == "1001"
    gdb.cli("set var other = 77")
    gdb.cli("set var rounds = 3")
    gdb.breakpoint("leaf")
    gdb.go()
    gdb.cli("set $s3 = 0x12345678")
    gdb.cli("set $mscratch = 0xabcdef")
    assert gdb.integer("$s3") == 0x1234_5678
    assert gdb.integer("$mscratch") == 0xAB_CDEF
    assert box.machine.harts[0].read_csr("mscratch") == 0xAB_CDEF
    gdb.cli("delete")
    gdb.breakpoint(at("main-trap"))
    gdb.go()
    assert gdb.integer("$s3") == 0x1234_5678
    assert gdb.integer("factorial(6)") == 720  # a call from gdb
    assert gdb.integer("$mscratch") == 0xAB_CDEF
    assert gdb.evaluate("first.next->b") == "40"
    assert gdb.integer("$misa & 0x1ffffff") == box.machine.harts[0].read_csr("misa") & 0x1FFFFFF


def test_threads_and_interrupt(box: Box) -> None:
    gdb = box.gdb
    threads = gdb.mi("-thread-info")["threads"]
    assert [thread["details"] for thread in threads] == ["M-mode, halted"] * 2
    gdb.cli("set var running = 2")
    gdb.mi("-exec-continue")
    end = time.monotonic() + 20
    while not box.both_count():
        assert time.monotonic() < end
        time.sleep(0.01)
    stop = gdb.interrupt()
    assert stop.signal == "SIGINT"
    assert stop.function in ("spin", "worker")
    gdb.mi("-thread-select 1")
    if gdb.backtrace()[0] == "spin":
        gdb.cli("set var running = 0")
        gdb.breakpoint("finish", "-t")
        assert gdb.go().function == "finish"
    gdb.cli("break worker thread 2")
    gdb.mi("-thread-select 2")
    assert "worker" in gdb.backtrace()


def test_one_hart_alone(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("set scheduler-locking on")
    before = gdb.integer("counts[1]")
    gdb.breakpoint(at("main-trap"), "-t")
    stop = gdb.go()
    assert (stop.thread, stop.line) == ("1", line_of("main-trap"))
    assert gdb.integer("counts[1]") == before
    gdb.mi("-thread-select 2")
    zero = box.machine.harts[0].pc
    stop = gdb.go("-exec-step-instruction")
    assert stop.thread == "2"
    assert box.machine.harts[0].pc == zero


def test_a_breakpoint_of_one_thread(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("set var running = 2")
    gdb.cli(f"break {at('worker-loop')} thread 1")  # hart 0 never comes there
    gdb.breakpoint("spin")
    stop = gdb.go()
    assert (stop.thread, stop.function) == ("1", "spin")


def test_stepping_with_the_other_hart_held_or_not(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("monitor quantum 50")
    gdb.breakpoint(at("main-call"), "-t")
    gdb.go()
    gdb.cli("set scheduler-locking step")
    before = gdb.integer("counts[1]")
    stop = gdb.go("-exec-next")  # over a call of hundreds of instructions
    assert (stop.thread, stop.function) == ("1", "main")
    assert gdb.integer("counts[1]") == before
    gdb.cli("set scheduler-locking off")
    gdb.breakpoint("spin", "-t")
    gdb.cli("set var running = 2")
    assert gdb.go().function == "spin"
    gdb.cli("set var running = 0")
    assert gdb.go("-exec-finish").function == "main"
    assert gdb.integer("counts[1]") > before
    gdb.cli("monitor quantum 20000")


def test_each_stop_names_its_thread(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("set var running = 2")
    where = {"1": "spin-loop", "2": "worker-loop"}
    for thread, mark in where.items():
        gdb.cli(f"tbreak {at(mark)} thread {thread}")
    stops = [gdb.go(), gdb.go()]
    assert {stop.thread: stop.line for stop in stops} == {
        thread: line_of(mark) for thread, mark in where.items()
    }
    for thread, mark in where.items():
        gdb.mi(f"-thread-select {thread}")
        other = box.machine.harts[2 - int(thread)].pc
        gdb.cli("set scheduler-locking on")
        stop = gdb.go("-exec-step-instruction")
        assert (stop.thread, stop.function) == (thread, mark.partition("-")[0])
        assert box.machine.harts[2 - int(thread)].pc == other
        gdb.cli("set scheduler-locking off")
    # one of them runs into a breakpoint while the other one is stepped
    gdb.mi("-thread-select 1")
    gdb.cli(f"break {at('worker-loop')}")
    assert gdb.go().thread == "2"


def test_save_and_restore(box: Box, tmp_path: Path) -> None:
    gdb = box.gdb
    gdb.breakpoint("f")
    for _ in range(3):
        gdb.go()
    here = gdb.integer("$pc")
    assert f"Saved to {tmp_path}/state" in gdb.cli(f"monitor save {tmp_path}/state")
    for _ in range(3):
        gdb.go()
    assert gdb.integer("n") == 5
    said = gdb.cli(f"monitor restore {tmp_path}/state")
    assert "maint flush register-cache" in said and "maint flush dcache" in said
    gdb.cli("maint flush register-cache")
    gdb.cli("maint flush dcache")
    assert (gdb.integer("$pc"), gdb.integer("n"), gdb.integer("g")) == (here, 2, 1)
    assert gdb.go().function == "f"
    assert gdb.integer("n") == 3
    gdb.cli("delete")
    assert gdb.go().reason == "exited-normally"
    gdb.breakpoint("f")
    gdb.run_cli("run")
    gdb.cli(f"monitor restore {tmp_path}/state")
    gdb.cli("maint flush register-cache")
    gdb.go()
    assert gdb.integer("n") == 3
    (tmp_path / "foreign").write_bytes(b"x" * 100)
    assert "is no snapshot" in gdb.cli(f"monitor restore {tmp_path}/foreign")
    assert "No such file" in gdb.cli(f"monitor restore {tmp_path}/nothing")
    assert "Usage" in gdb.cli("monitor restore")
    assert "No such file" in gdb.cli("monitor save /nowhere/at/all")


def test_to_the_end_and_again(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("finish")
    assert gdb.backtrace() == ["main"]
    assert gdb.go().function == "finish"
    assert gdb.go().reason == "exited-normally"
    assert gdb.run_cli("run").function == "finish"
    gdb.cli("kill")
    with pytest.raises(GdbError):
        gdb.evaluate("$pc")
    assert gdb.run_cli("run").function == "finish"


def test_reconnecting(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("leaf")
    gdb.go()
    pc = gdb.integer("$pc")
    gdb.cli("disconnect")
    gdb.connect(*box.server.address, extended=True)
    assert gdb.integer("$pc") == pc
    assert gdb.go().function == "leaf"


def test_conditions_are_evaluated_by_the_machine(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("set breakpoint condition-evaluation target")
    gdb.breakpoint("leaf", "-c", '"n == 7 && g > 3 && first.next->b == 40"')
    start = len(gdb.log)
    stop = gdb.go()
    assert stop.function == "leaf"
    assert (gdb.integer("n"), gdb.integer("g")) == (7, 4)
    assert "1 time" in gdb.cli("info breakpoints")
    assert gdb.go().function == "leaf"
    assert (gdb.integer("n"), gdb.integer("g")) == (7, 5)
    gdb.cli("delete")
    assert "condition-evaluation" not in gdb.text(start)


def test_dprintf_is_printed_by_the_machine(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("set dprintf-style agent")
    gdb.cli(f'dprintf {at("f-last")},"n=%d sum=%d\\n", n, sum')
    gdb.cli(f'dprintf {at("factorial-bottom")},"bottom\\n"')
    gdb.breakpoint("finish")
    start = len(gdb.log)
    assert gdb.go().function == "finish"
    said = gdb.text(start)
    assert "n=3 sum=45\n" in said, said
    assert "\nn=19 sum=" in said
    assert said.count("bottom") == 1
    gdb.cli("set dprintf-style gdb")


def test_range_stepping_is_done_by_the_machine(box: Box) -> None:
    gdb = box.gdb
    gdb.cli("set var running = 2")
    gdb.breakpoint("spin", "-t")
    gdb.go()
    gdb.cli("set debug remote 1")
    start = len(gdb.log)
    gdb.breakpoint(at("main-spin"), "-t")
    gdb.go("-exec-next")
    text = gdb.text(start)
    gdb.cli("set debug remote 0")
    assert "vCont;r" in text


def test_find_compare_sections_and_devices(box: Box) -> None:
    gdb = box.gdb
    assert "matched" in gdb.cli("compare-sections .text")
    assert "MIS-MATCHED" not in gdb.cli("compare-sections .text")
    found = gdb.cli("find /w &first, &first + 1, 20")
    assert "1 pattern found" in found
    with pytest.raises(GdbError, match="Cannot access memory"):
        gdb.evaluate("*(char *)0x10000000")  # the UART: reading it would take a character
    assert "80000000" in gdb.cli("info mem")


def test_flags_and_the_privilege(box: Box) -> None:
    gdb = box.gdb
    assert gdb.evaluate("$priv") == "M"
    assert "MPP=" in gdb.evaluate("$mstatus")
    gdb.cli("set $mstatus = (unsigned long)0x1888")
    assert {"MIE", "MPIE", "MPP=M"} <= set(gdb.evaluate("$mstatus").split())
    assert gdb.integer("$mstatus & 8") == 8
    gdb.cli("set $mstatus |= 0x80000")
    assert "MXR" in gdb.evaluate("$mstatus")
    gdb.cli("set $mstatus &= ~0x80000UL")
    gdb.cli("set $priv = 1")
    assert (gdb.evaluate("$priv"), box.machine.harts[0].priv) == ("S", 1)
    with pytest.raises(GdbError, match="Could not write register"):
        gdb.cli("set $priv = 2")
    gdb.cli("set $priv = 3")
    gdb.cli("set $mcause = (unsigned long)11")
    assert "Environment_call_from_M" in gdb.evaluate("$mcause")


def test_monitor(box: Box) -> None:
    gdb = box.gdb
    gdb.breakpoint("leaf")
    gdb.go()
    shown = {
        "registers": ("hart 1", "sp ", "leaf"),
        "csr": ("mstatus", "mepc"),
        "memory": ("RAM", "plic"),
        "clint": ("mtime ", "hart 1: msip 0, mtimecmp never"),
        "plic": ("context 3 (hart 1 S): threshold 0",),
        "uart": ("LCR", "bytes of input unread"),
        "harts": ("hart 0: M mode, pc ", "leaf", "instructions"),
        "breakpoints": ("breakpoint 0x8", "leaf"),
        "translations": ("engine  ", "retired in", "hart 0: pc 0x"),
        "virtio": ("there are no virtio devices",),
        "pages": ("hart 0: satp is Bare",),
        "tlb": ("hart 0: ", " pages"),
    }
    for topic, texts in shown.items():
        said = gdb.cli(f"monitor info {topic}")
        assert all(text in said for text in texts), said
    gdb.cli("delete")
    assert ", ".join(shown) in gdb.cli("monitor info weather")
    said = gdb.cli("monitor help")
    for name in (
        "help", "reset [halt]", "save FILE", "restore FILE", "info TOPIC [ADDRESS]",
        "watch [r|w|rw]", "unwatch", "console", "log on [KIND,...]|off", "quantum [STEPS]",
        "clock", "step-irq [on|off]", "physical [on|off]",
    ):  # fmt: skip
        assert f"  {name}" in said
    assert box.machine.engine.name in gdb.cli("monitor info translations")
    assert "neither an address nor a symbol" in gdb.cli("monitor info pages here")
    assert "satp is Bare" in gdb.cli("monitor info pages leaf")
    assert "w 0x" in gdb.cli("monitor watch w g if value >= 7 && old == 6")
    stop = gdb.go()
    assert stop.signal == "SIGTRAP"
    assert (stop.line, gdb.integer("n"), gdb.integer("g")) == (line_of("f-write"), 7, 6)
    assert "1 removed" in gdb.cli("monitor unwatch g")
    assert "not (value|old)" in gdb.cli("monitor watch g if value")
    assert "neither" in gdb.cli("monitor watch nowhere")
    assert "r 0x" in gdb.cli("monitor watch r other,4 if value == 5")
    assert gdb.go().line == line_of("f-read")
    gdb.cli("monitor unwatch all")
    assert "500 instr" in gdb.cli("monitor quantum 500")
    assert "20000" in gdb.cli("monitor quantum 20000")
    assert "Not understood" in gdb.cli("monitor quantum many")
    assert "mtime" in gdb.cli("monitor clock")
    assert "log is off" in gdb.cli("monitor log off")
    gdb.breakpoint("finish", "-t")
    assert gdb.go().function == "finish"


@pytest.fixture(params=ENGINES)
def raw(request: pytest.FixtureRequest, programs: dict[int, Path]) -> Iterator[RawBox]:
    server, target = serve(programs[32], request.param, 1)
    with RspClient(*server.address) as client:
        yield RawBox(client, target)
    server.close()
    target.shut_down()


def test_how_fast_an_interrupt_stops_the_guest(raw: RawBox) -> None:
    client = raw.client
    client.insert_breakpoint(raw.symbol("main"))
    client.resume()
    client.remove_breakpoint(raw.symbol("main"))
    client.write_memory(raw.symbol("running"), b"\2")
    times = []
    for _ in range(20):
        client.send(b"vCont;c")
        time.sleep(0.03)
        began = time.perf_counter()
        client.interrupt()
        assert client.wait().signal == 2
        times.append(time.perf_counter() - began)
    assert sorted(times)[len(times) // 2] < 0.010, times


def test_a_breakpoint_stops_once_where_a_stop_was_reported(raw: RawBox) -> None:
    client, leaf = raw.client, raw.symbol("leaf")
    client.insert_breakpoint(leaf)
    assert client.resume().reason == "swbreak"
    sp = client.read_register(2)
    assert client.resume().reason == "swbreak"  # the next call, not the same one again
    assert client.read_register(10) == 1
    assert client.read_register(2) == sp
    client.step()
    # gdb's calls of guest functions count on this one: nobody has seen it yet
    client.write_register(PC, leaf)
    assert client.resume().reason == "swbreak"
    assert client.read_register(10) == 1


def test_interrupts_during_steps(raw: RawBox) -> None:
    client, base = raw.client, 0x8001_0000
    mie, mtvec, mstatus = 65 + 0x304, 65 + 0x305, 65 + 0x300
    code = (0x0012_8293, 0xFFDF_F06F)  # addi t0, t0, 1; j .-4
    handler = (0x3040_1073, 0x3020_0073)  # csrw mie, zero; mret
    client.write_memory(base, b"".join(word.to_bytes(4, "little") for word in code))
    client.write_memory(base + 0x100, b"".join(word.to_bytes(4, "little") for word in handler))
    raw.target.machine.harts[0].q[HART["mtimecmp"]] = 0  # due
    for setting, expected in (("on", (base + 0x100, 0)), ("off", (base + 4, 1))):
        assert "step" in client.monitor(f"step-irq {setting}")
        values = {PC: base, 5: 0, mtvec: base + 0x100, mie: 0x80, mstatus: 0x1808}
        for number, value in values.items():
            client.write_register(number, value)
        client.step()
        assert (client.read_register(PC), client.read_register(5)) == expected
    assert client.read_register(mie) == 0  # the handler was run
    client.monitor("step-irq on")
