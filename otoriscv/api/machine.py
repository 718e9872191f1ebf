"""`Machine`: a virt board to be driven from Python."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, Literal, TypeVar

from otoriscv.api.configure import File, Ranges, configure
from otoriscv.api.device import Attached, Device
from otoriscv.api.hooks import AccessEvent, ExecEvent, Hook, TrapEvent
from otoriscv.api.memory import MemoryView
from otoriscv.api.registers import Registers
from otoriscv.api.symbols import Address, Symbols
from otoriscv.board.console import BufferConsole
from otoriscv.board.hooks import INTERRUPT, WatchedAccess
from otoriscv.board.loaders import Image, load_image
from otoriscv.board.stops import Stop, StopReason
from otoriscv.board.translation import TranslatedMemory
from otoriscv.board.virt import VirtMachine
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import HART, MACHINE
from otoriscv.jit.settings import JitSettings

if TYPE_CHECKING:
    from otoriscv.api.debugger import MachineServer
    from otoriscv.board.snapshot import Snapshot
    from otoriscv.core.hart import Hart

__all__ = ["ExpectError", "HartView", "Machine"]

_WINDOW: Final = 1 << 14  # bytes of output that a pattern may match
_FAST: Final = MACHINE["uart_fast"]
_D = TypeVar("_D", bound=Device)


class ExpectError(AssertionError):
    """The console did not show what was expected."""


class HartView:
    """One hart of a `Machine`."""

    def __init__(self, machine: Machine, hart: Hart) -> None:
        self._machine = machine
        self._hart = hart
        self.index = hart.index
        self.regs = Registers(hart)
        #: Memory as this hart's loads find it: through its page tables when it uses them.
        self.memory = MemoryView(TranslatedMemory(hart, machine.board.memory), machine.symbols)

    def __repr__(self) -> str:
        return f"<hart {self.index} at {self._machine.symbols.describe(self.pc)}>"

    @property
    def pc(self) -> int:
        """The address of its next instruction."""
        return self._hart.pc

    @property
    def retired(self) -> int:
        """Instructions retired since the reset."""
        return self._hart.retired

    @property
    def waiting(self) -> bool:
        """Whether it sleeps in a ``wfi``."""
        return self._hart.waiting

    def step(self, count: int = 1) -> Stop:
        """Execute *count* instructions (or traps) of this hart only; ValueError below one."""
        if count < 1:
            raise ValueError(f"{count} instructions cannot be executed")
        self._machine.check_open()
        stop = self._machine.board.step(self.index)
        for _ in range(count - 1):
            if stop.reason is not StopReason.STEPS:
                break
            stop = self._machine.board.step(self.index)
        return stop


class Machine:
    """A RISC-V machine: QEMU's ``virt`` board, halted at its reset vector.

    Parameters
    ----------
    image
        An ELF, Linux kernel, Intel HEX or raw file (``.gz`` and ``.zst`` too), or an `Image`. Raw
        and HEX files need *isa*.
    isa
        Such as ``"rv32imac_zicsr"``. Default: everything implemented, at the image's width.
    ram
        Ranges ``(base, size)`` in bytes, or the size alone of RAM at 0x80000000. Default: 128 MiB
        there, more for a Linux kernel.
    rom
        Ranges of ROM.
    harts
        How many, 1 to 240.
    engine
        ``"auto"``, or one that ``otoriscv doctor`` lists.
    clock
        Guest time: ``"virtual"`` counts instructions, so that runs repeat; ``"host"`` is real.
    mips
        Instructions in a microsecond of virtual time.
    misaligned
        What misaligned loads and stores do: ``"emulate"`` does them, ``"trap"`` traps.
    bios
        What runs below the image: ``"builtin"``, ``"none"``, a file, or (``"auto"``) what it needs.
    initrd, dtb
        Files: the initial RAM disk, and a device tree instead of the board's own.
    drives
        virtio disks, ``"FILE[,readonly][,snapshot]"`` each.
    append
        The command line in the device tree.
    arguments
        The guest's arguments, which semihosting hands out.
    semihosting_dir
        The folder whose files semihosting may open; without it there are none.
    jit_threshold, jit_workers, code_cache
        How the llvm engine compiles, as ``--jit-threshold``, ``--jit-workers`` (0: inline, the same
        in every run) and ``--no-cache``. None: as the environment says.

    Attributes
    ----------
    harts : list of HartView
    regs : Registers
        Those of hart 0.
    mem : MemoryView
        By physical address.
    memory : MemoryView
        As hart 0 sees it, through its page tables; each hart has its own.
    symbols : Symbols
    board : VirtMachine
        What is underneath.

    Examples
    --------
    >>> from otoriscv import Machine
    >>> m = Machine(isa="rv64imac_zicsr")
    >>> m.mem.u32[0x80000000:+8]
    [0, 0]
    >>> m.mem[0x80000000] = bytes.fromhex("13050504 6f000000")  # addi a0, a0, 64; j .
    >>> m.regs.pc, m.regs.a0 = 0x80000000, 2
    >>> m.step().reason.value, m.regs.a0
    ('steps', 66)
    >>> m.run(count=1000).reason.value, m.retired
    ('steps', 1001)
    """

    def __init__(
        self,
        image: File | Image | None = None,
        *,
        isa: str | Isa | None = None,
        ram: int | Ranges | None = None,
        rom: Ranges = (),
        harts: int = 1,
        engine: str = "auto",
        clock: Literal["virtual", "host"] = "virtual",
        mips: int = 1000,
        misaligned: Literal["emulate", "trap"] = "emulate",
        bios: File | Image = "auto",
        initrd: File | None = None,
        dtb: File | None = None,
        drives: Sequence[str] = (),
        append: str = "",
        arguments: Sequence[str] = (),
        semihosting_dir: str | None = None,
        jit_threshold: int | None = None,
        jit_workers: int | None = None,
        code_cache: bool | None = None,
    ) -> None:
        config = configure(
            image,
            isa=isa,
            ram=ram,
            rom=rom,
            harts=harts,
            engine=engine,
            clock=clock,
            mips=mips,
            misaligned=misaligned,
            bios=bios,
            initrd=initrd,
            dtb=dtb,
            drives=drives,
            append=append,
            arguments=arguments,
            semihosting_dir=semihosting_dir,
            jit=JitSettings(jit_threshold, jit_workers, code_cache),
        )
        self._console = BufferConsole()
        self.board = VirtMachine(config, self._console)
        # Input comes from `send`, between runs: a guest that waits for it ends the run.
        self.board.input_open_now = lambda: False
        self.symbols = Symbols(lambda: self.board.symbols)
        self.mem = MemoryView(self.board.memory, self.symbols)
        self.harts = [HartView(self, hart) for hart in self.board.harts]
        self.regs = self.harts[0].regs
        self.memory = self.harts[0].memory
        self._seen = 0  # console output that `expect` has passed
        self._closed = False

    def __enter__(self) -> Machine:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __repr__(self) -> str:
        image = self.board.image
        what = "no image" if image is None else image.path
        return f"<Machine {self.board.isa}, {what}, {self.harts[0]}>"

    def close(self) -> None:
        """Free the machine; it cannot be run afterwards. Harmless twice."""
        self._closed = True
        self.board.close()

    def check_open(self) -> None:
        """RuntimeError when the machine was closed."""
        if self._closed:
            raise RuntimeError("the machine is closed")

    def load(self, image: File | Image) -> None:
        """Replace the image and reset. `ImageError` when it does not fit."""
        if not isinstance(image, Image):
            ram = self.board.config.ram
            image = load_image(image, xlen=self.board.xlen, base=ram[0][0])
        self.board.load(image)

    def reset(self) -> None:
        """Power-on state, the image loaded again."""
        self.board.take_request()
        self.board.reset()

    # -- running

    @property
    def retired(self) -> int:
        """Instructions retired since the reset, over all harts."""
        return self.board.retired

    @property
    def seconds(self) -> float:
        """Guest time since the reset."""
        return self.board.clock.nanoseconds() / 1e9

    def run(
        self,
        until: Address | None = None,
        *,
        count: int | None = None,
        text: str | None = None,
        timeout: float | None = None,
    ) -> Stop:
        """Run until the guest ends, or until the first of these.

        Parameters
        ----------
        until
            An address, or a symbol: stop when a hart is about to execute the instruction there
            (again, when one is there now).
        count
            Instructions to retire.
        text
            Stop right behind this text on the console.
        timeout
            Seconds of guest time.

        Returns
        -------
        Stop
            Why it stopped: reason UNTIL (*until* and *text*), STEPS (*count*), TIMEOUT, EXIT with
            the guest's code, CRASH, IDLE (it waits for input, or nothing), REQUEST (`stop`).

        What a hook or a device raises comes out of here; so does KeyboardInterrupt. The machine is
        then halted at that instruction and can be run again. ValueError for a negative *count* or
        *timeout*, KeyError for an unknown symbol.
        """
        if count is not None and count < 0:
            raise ValueError(f"{count} instructions cannot be executed")
        reached: list[int] = []

        def here(hart: Hart) -> None:
            if self.board.steps > began:
                reached.append(hart.index)
                self.board.request_stop()

        def listen(data: bytes) -> None:
            if text is not None and text.encode() in self._console.output[heard:]:
                reached.append(self.board.runner.current)
                self.board.request_stop()

        began = self.board.steps
        heard = len(self._console.output)
        with self._limits(timeout), self._listening(listen if text is not None else None):
            if until is None:
                stop = self._run(count)
            else:
                where = self.symbols.resolve(until)
                with Hook(self.board.hooks.add_exec(where, where, here)):
                    stop = self._run(count)
        if reached and stop.reason is StopReason.REQUEST:
            return stop._replace(reason=StopReason.UNTIL)
        return stop

    def _run(self, count: int | None) -> Stop:
        """Run, through resets."""
        self.check_open()
        board = self.board
        while True:
            before = board.retired
            stop = board.run(steps=count)
            if stop.reason is not StopReason.RESET:
                return stop
            if count is not None:
                count -= board.retired - before
            board.reset()

    @contextmanager
    def _limits(self, timeout: float | None) -> Iterator[None]:
        board = self.board
        if timeout is not None:
            if timeout < 0:
                raise ValueError(f"a timeout of {timeout} seconds")
            board.time_limit = board.clock.after(round(timeout * 1e9))
        try:
            yield
        finally:
            board.time_limit = None

    @contextmanager
    def _listening(self, listener: Callable[[bytes], None] | None) -> Iterator[None]:
        """With *listener*, the guest's output is seen byte by byte."""
        if listener is None:
            yield
            return
        board = self.board
        board.hub.listeners.append(listener)
        board.m[_FAST] = 0
        try:
            yield
        finally:
            board.m[_FAST] = 1
            board.hub.listeners.remove(listener)

    def step(self, count: int = 1) -> Stop:
        """Execute *count* instructions (or traps) of hart 0."""
        return self.harts[0].step(count)

    def stop(self) -> None:
        """End the run: from a hook at once, from another thread within milliseconds."""
        self.board.request_stop()

    def after(self, seconds: float, callback: Callable[[], None]) -> None:
        """Call *callback* once, after *seconds* of guest time; ValueError for negative ones."""
        if seconds < 0:
            raise ValueError(f"{seconds} seconds are in the past")
        self.board.schedule(round(seconds * 1e9), callback)

    # -- console

    @property
    def output(self) -> str:
        """Everything the guest has printed."""
        self.board.flush()
        return self._console.output.decode(errors="replace")

    def clear_output(self) -> None:
        """Forget what was printed so far."""
        self.board.flush()
        self._console.output.clear()
        self._seen = 0

    def send(self, data: str | bytes) -> None:
        """Type *data* on the console."""
        self._console.feed(data.encode() if isinstance(data, str) else data)

    def expect(self, pattern: str, timeout: float = 10.0) -> re.Match[str]:
        """Run until the console shows *pattern*, a regular expression.

        Only output behind the last match is looked at. The machine stops at the instruction that
        completes the match. `ExpectError` (an AssertionError) when that does not happen within
        *timeout* seconds of guest time.
        """
        __tracebackhide__ = True  # pytest shows the line of the test
        wanted = re.compile(pattern)
        found = self._search(wanted)
        if found is not None:
            return found
        matches: list[re.Match[str]] = []

        def listen(data: bytes) -> None:
            if not matches:
                match = self._search(wanted)
                if match is not None:
                    matches.append(match)
                    self.board.request_stop()

        with self._limits(timeout), self._listening(listen):
            stop = self._run(None)
        if matches:
            return matches[0]
        raise ExpectError(self._unmet(pattern, timeout, stop))

    def _search(self, pattern: re.Pattern[str]) -> re.Match[str] | None:
        output = self._console.output
        start = max(self._seen, len(output) - _WINDOW)
        text = output[start:].decode(errors="surrogateescape")
        found = pattern.search(text)
        if found is not None:
            self._seen = start + len(text[: found.end()].encode(errors="surrogateescape"))
        return found

    def _unmet(self, pattern: str, timeout: float, stop: Stop) -> str:
        why = {
            StopReason.TIMEOUT: f"within {timeout:g} s of guest time",
            StopReason.EXIT: f"before the guest ended with code {stop.code}",
        }.get(stop.reason, f"({stop.reason.value}) {stop.message}".rstrip())
        tail = self._console.output[self._seen :].decode(errors="replace")[-400:]
        where = self.symbols.describe(stop.pc)
        return f"{pattern!r} was not printed {why}; at {where}, unmatched output: {tail!r}"

    # -- hooks

    def on_exec(self, where: Address | range, callback: Callable[[ExecEvent], object]) -> Hook:
        """Call *callback* before each execution of the instruction (or range of them) at *where*.

        The machine is halted meanwhile: the callback may read and write everything, also the pc.
        Hooks may be added and removed at any moment, and cost nothing anywhere else.

        Examples
        --------
        >>> from otoriscv import Machine
        >>> m = Machine()
        >>> m.mem[0x80000000] = bytes.fromhex("0505 0505 f5bf")  # 1: addi a0, a0, 1 (twice); j 1b
        >>> m.regs.pc = 0x80000000
        >>> seen = []
        >>> hook = m.on_exec(0x80000002, lambda event: seen.append(m.regs.a0))
        >>> stop = m.run(count=9)
        >>> hook.remove()
        >>> seen
        [1, 3, 5]
        """
        start, end = self._range(where, code=True)

        def call(hart: Hart) -> None:
            callback(ExecEvent(self.harts[hart.index], hart.pc))

        return Hook(self.board.hooks.add_exec(start, end, call))

    def on_read(self, where: Address | range, callback: Callable[[AccessEvent], object]) -> Hook:
        """Call *callback* before each load from *where*: an address, a symbol's object, a range."""
        return self._on_access(where, 1, callback)

    def on_write(self, where: Address | range, callback: Callable[[AccessEvent], object]) -> Hook:
        """Call *callback* before each store to *where*: an address, a symbol's object, a range."""
        return self._on_access(where, 2, callback)

    def _on_access(
        self, where: Address | range, kinds: int, callback: Callable[[AccessEvent], object]
    ) -> Hook:
        def call(hart: Hart, access: WatchedAccess) -> None:
            view = self.harts[hart.index]
            value = access.value
            if value is not None:
                value &= (1 << 8 * access.size) - 1
            write = access.kind == 2
            callback(AccessEvent(view, hart.pc, access.address, access.size, write, value))

        return Hook(self.board.hooks.add_access(*self._range(where), kinds, call))

    def on_trap(
        self,
        callback: Callable[[TrapEvent], object],
        cause: int | None = None,
        *,
        interrupt: bool = False,
    ) -> Hook:
        """Call *callback* behind each trap, or each of *cause*, before the handler runs."""
        wanted = cause if cause is None or not interrupt else cause | INTERRUPT

        def call(hart: Hart, flagged: int) -> None:
            level = "m" if hart.priv == 3 else "s"
            epc, tval = hart.q[HART[f"{level}epc"]], hart.q[HART[f"{level}tval"]]
            is_interrupt = bool(flagged & INTERRUPT)
            view = self.harts[hart.index]
            callback(TrapEvent(view, epc, flagged & ~INTERRUPT, is_interrupt, tval))

        return Hook(self.board.hooks.add_trap(wanted, call))

    def on_console(self, callback: Callable[[bytes], object]) -> Hook:
        """Call *callback* with what the guest prints, a few milliseconds later at most."""

        def listen(data: bytes) -> None:
            callback(data)

        listeners = self.board.hub.listeners
        listeners.append(listen)
        return Hook(lambda: listeners.remove(listen))

    def _range(self, where: Address | range, *, code: bool = False) -> tuple[int, int]:
        if isinstance(where, range):
            return where.start, where.stop
        start = self.symbols.resolve(where)
        size = self.symbols.size(where) if isinstance(where, str) and not code else 0
        return start, start + max(size, 1)

    # -- devices, snapshots, debuggers

    def attach(self, device: _D, base: int, size: int = 0x1000, *, irq: int | None = None) -> _D:
        """Map *device* at *base*; *irq* is the PLIC's source of its interrupt line.

        ValueError when something else is there.
        """
        plic = self.board.plic
        line = None if irq is None else lambda level: plic.set_line(irq, level)
        self.board.attach(base, size, Attached(device))
        self.board.foreign_devices = True
        device.connect(self, line)
        return device

    def save(self) -> Snapshot:
        """The machine's state as a value: for `restore`, or for a file (`Snapshot.write`)."""
        from otoriscv.board.snapshot import save

        return save(self.board)

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to *snapshot*; the run goes on from there exactly as it did.

        Hooks, breakpoints and what was printed stay as they are; typed input that the guest has not
        taken yet is dropped. `SnapshotError` when it is of another machine.
        """
        from otoriscv.board.snapshot import restore

        restore(self.board, snapshot)
        self._console.read(1 << 30)
        self._seen = len(self._console.output)

    def gdb_server(self, port: int = 0, host: str = "127.0.0.1") -> MachineServer:
        """Let debuggers in, while nobody else runs the machine; ``close()`` ends that.

        Its ``address`` is where it listens, ``(host, port)``; port 0 picks a free one.

        Examples
        --------
        >>> from contextlib import closing
        >>> from otoriscv import Machine
        >>> m = Machine()
        >>> with closing(m.gdb_server()) as server:
        ...     command = f"target remote localhost:{server.address[1]}"
        """
        from otoriscv.api.debugger import MachineServer

        server = MachineServer(self.board, host, port)
        server.start()
        return server
