"""gdb debugs Linux: the rv32 kernel of ``make linux32``, with its debugging information.

The guest's only process opens and closes a file for ever, or waits for input. Everything happens
under the kernel's own page tables; with the compiler, in code that it has compiled.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import pytest

from otoriscv.board.console import BufferConsole
from otoriscv.board.loaders import load_image
from otoriscv.board.loaders.initrd import load_initrd
from otoriscv.board.loaders.symbol_file import load_symbols
from otoriscv.board.machine import ClockKind
from otoriscv.board.target import BoardTarget
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.layout import MACHINE
from otoriscv.gdbstub import GdbServer
from otoriscv.jit.settings import JitSettings
from otoriscv.tools import find_gdb
from tools.linux import make32

pytest.importorskip("pygdbmi")

from tests.gdbmi import Gdb, GdbError, Stopped

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(1800),
    pytest.mark.skipif(not find_gdb().usable, reason=find_gdb().reason),
]
_SRET = b"\x73\x00\x20\x10"
_PATIENCE = 600  # seconds: with a sixth of a processor the busy kernel took 250 in all


class Box(NamedTuple):
    """A machine with Linux in it, and gdb."""

    gdb: Gdb
    machine: VirtMachine
    engine: str

    def priv(self) -> str:
        return self.gdb.evaluate("$priv")

    def compiled(self) -> bool:
        """Whether `monitor info translations` says that the stop is in compiled code."""
        said = self.gdb.cli("monitor info translations")
        found = re.search(r"hart 0: pc 0x[0-9a-f]+ is in (\d+) compiled regions", said)
        assert found or "is not in compiled code" in said, said
        return found is not None

    def console(self) -> bytes:
        assert isinstance(self.machine.console, BufferConsole)
        return bytes(self.machine.console.output)

    def in_compiled_code(self, go: Callable[[], Stopped]) -> Stopped:
        """*go*, again until much of the way was in compiled code, if the engine compiles."""
        m, deadline = self.machine.m, time.monotonic() + _PATIENCE
        while True:
            before, steps = m[MACHINE["region_steps"]], self.machine.steps
            stop = go()
            share = (m[MACHINE["region_steps"]] - before) / (self.machine.steps - steps)
            if self.engine != "llvm" or share > 0.3:
                return stop
            assert time.monotonic() < deadline, f"{share:.0%} of the steps were compiled"

    def later(self) -> Stopped:
        """Go on to the breakpoint made last, some ticks from now. Where the condition is false the
        guest does not stop."""
        self.gdb.cli(f"condition $bpnum (int)(jiffies - {self.gdb.integer('jiffies + 10')}) > 0")
        return self.gdb.go()

    def skip(self) -> Stopped:
        """Go on to the eleventh hit of the breakpoint made last."""
        self.gdb.cli("ignore $bpnum 10")
        return self.gdb.go()


@pytest.fixture(params=("interp", "llvm"))
def engine(request: pytest.FixtureRequest) -> str:
    for path in (make32.KERNEL, make32.SYMBOLS, make32.INITRD):
        if not path.exists():
            why = f"make linux32 was not run: there is no {path.name}"
            if request.config.getoption("--otoriscv-strict"):
                pytest.fail(why)
            pytest.skip(why)
    return str(request.param)


@contextmanager
def debugged(engine: str, job: str, clock: ClockKind = "virtual") -> Iterator[Box]:
    """gdb at the reset vector of a machine whose first process does *job*."""
    image = load_image(make32.KERNEL)._replace(symbols=load_symbols(make32.SYMBOLS))
    config = VirtConfig(
        image=image,
        initrd=load_initrd(make32.INITRD),
        engine=engine,
        clock=clock,
        jit=JitSettings(threshold=1),
        append=f"console=ttyS0 -- {job}",
    )
    machine = VirtMachine(config)
    target = BoardTarget(machine)
    server = GdbServer(target)
    server.start()
    try:
        with Gdb(str(make32.SYMBOLS), timeout=_PATIENCE) as gdb:
            gdb.connect(*server.address)
            yield Box(gdb, machine, engine)
    finally:
        server.close()
        target.shut_down()


def test_a_busy_kernel(engine: str) -> None:
    with debugged(engine, "work") as box:
        gdb = box.gdb
        assert box.priv() == "M"
        # Before there are page tables: kernel addresses lead nowhere yet.
        gdb.breakpoint("start_kernel", "-h")
        gdb.breakpoint("do_sys_openat2")
        with pytest.raises(GdbError):
            gdb.evaluate("jiffies_64")
        stop = gdb.go()
        assert (stop.function, stop.pc, box.priv()) == (
            "start_kernel", gdb.integer("&start_kernel"), "S"
        )  # fmt: skip
        assert gdb.backtrace() == ["start_kernel", "_start_kernel"]
        assert b"Linux version" not in box.console()

        # The first system call is for /proc/cpuinfo, and user space's memory is there, too.
        stop = gdb.go()
        assert (stop.function, box.priv()) == ("do_sys_openat2", "S")
        assert '"/proc/cpuinfo"' in gdb.evaluate("filename")
        assert '"init"' in gdb.evaluate("((struct task_struct *)$tp)->comm").replace("\\000", "")
        assert "in a page of 4M" in gdb.cli("monitor info pages start_kernel")
        assert b"otoriscv: user space" in box.console()

        stop = gdb.go()
        assert (stop.function, gdb.evaluate("dfd")) == ("do_sys_openat2", "-100")
        assert '"/init"' in gdb.evaluate("filename")
        assert gdb.backtrace()[-2:] == ["__se_sys_openat", "handle_exception"]
        program = "((struct task_struct *)$tp)->mm->exe_file->f_path.dentry"
        users = gdb.integer(f"&{program}->d_lockref.count")
        gdb.cli("delete")

        gdb.breakpoint("do_sys_openat2")
        stop = box.in_compiled_code(box.later)
        assert (stop.function, box.priv()) == ("do_sys_openat2", "S")
        assert gdb.backtrace()[-2:] == ["__se_sys_openat", "handle_exception"]
        gdb.cli("delete")
        watched_variables(box, users)
        into_user_code(box)


def watched_variables(box: Box, users: int) -> None:
    """jiffies_64, which the timer's interrupt counts; and one that every call writes."""
    gdb = box.gdb
    gdb.cli("watch jiffies_64")
    for _ in range(3):
        stop = gdb.go()
        assert (stop.reason, stop.function) == ("watchpoint-trigger", "tick_do_update_jiffies64")
        value = stop.payload["value"]
        assert int(value["new"]) == int(value["old"]) + 1 == gdb.integer("jiffies_64")
        assert {"tick_sched_timer", "riscv_timer_interrupt"} <= set(gdb.backtrace())
    gdb.cli("delete")
    gdb.cli(f"watch *(unsigned *){users:#x}")
    stop = box.in_compiled_code(box.skip)
    assert stop.reason == "watchpoint-trigger"
    value = stop.payload["value"]
    assert abs(int(value["old"]) - int(value["new"])) == 1
    # Opening counts three times; closing does so on the way back to user space, and which of the
    # four is the eleventh depends on how the kernel was built.
    assert gdb.backtrace()[-1] in ("handle_exception", "resume_userspace_slow")
    gdb.cli("delete")


def into_user_code(box: Box) -> None:
    """The sret that ends the timer's interrupt of a process, and one step over it."""
    gdb, symbols = box.gdb, box.machine.symbols
    begin = symbols.get("ret_from_exception")
    assert begin is not None
    memory = gdb.mi(f"-data-read-memory-bytes {begin.address} 1024")["memory"]
    sret = begin.address + bytes.fromhex(memory[0]["contents"]).index(_SRET)
    gdb.breakpoint("riscv_timer_interrupt")
    deadline = time.monotonic() + _PATIENCE
    while True:
        assert time.monotonic() < deadline, "user code was never interrupted"
        stop = gdb.go()
        assert (stop.function, box.priv()) == ("riscv_timer_interrupt", "S")
        if gdb.integer("$sstatus & 0x100"):  # it has interrupted the kernel
            continue
        user = gdb.integer("$sepc")
        gdb.breakpoint(f"*{sret:#x}", "-h", "-t")
        assert gdb.go().pc == sret and box.priv() == "S" and gdb.integer("$sepc") == user
        stop = gdb.go("-exec-step-instruction")
        assert (stop.pc, box.priv()) == (user, "U")
        assert 0x10000 <= user < 0x20000
        if box.engine != "llvm" or box.compiled():
            break
    gdb.go("-exec-step-instruction")
    assert box.priv() == "U"
    gdb.cli("delete")


def test_an_idle_kernel(engine: str) -> None:
    """It waits for a key: interrupted in the idle loop, and awake when the key comes."""
    with debugged(engine, "echo", clock="host") as box:
        gdb = box.gdb
        gdb.mi("-exec-continue")
        deadline = time.monotonic() + _PATIENCE
        while b"root 13784048" not in box.console():
            assert time.monotonic() < deadline
            time.sleep(0.05)
        time.sleep(0.5)
        stop = gdb.interrupt()
        for _ in range(20):  # the timer's interrupt may have come just now
            idle = stop.function in ("arch_cpu_idle", "default_idle_call")
            if idle and "waits for an interrupt" in gdb.cli("monitor info harts"):
                break
            gdb.mi("-exec-continue")
            time.sleep(0.1)
            stop = gdb.interrupt()
        frames = gdb.backtrace()
        assert "do_idle" in frames and "cpu_startup_entry" in frames, frames
        assert frames[-2:] == ["start_kernel", "_start_kernel"]
        assert box.priv() == "S"
        assert "waits for an interrupt" in gdb.cli("monitor info harts")
        assert '"swapper' in gdb.evaluate("((struct task_struct *)$tp)->comm")
        gdb.breakpoint("ksys_read", "-t")
        gdb.breakpoint("ksys_write")
        console = box.machine.console
        assert isinstance(console, BufferConsole)
        gdb.mi("-exec-continue")
        console.feed(b"hello\n")
        stop = gdb.wait_stop()
        assert stop.function == "ksys_write" and '"hello\\n"' in gdb.evaluate("buf")
        assert gdb.integer("count") == 6
        gdb.cli("delete")
        gdb.mi("-exec-continue")
        console.feed(b".\n")
        while b"Power down" not in box.console():
            assert time.monotonic() < deadline
            time.sleep(0.05)
