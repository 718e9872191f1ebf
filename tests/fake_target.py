"""A machine small enough to read: it implements `Target` for the tests of the stub.

Every instruction is one word and moves pc by 4. The word 0 does nothing; the others are below.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager

from otoriscv.gdbstub.target import (
    Action,
    Actions,
    MemoryFault,
    MemoryRegion,
    RegisterInfo,
    StepRange,
    StopEvent,
    StopKind,
    WatchKind,
    WatchTerm,
)

__all__ = [
    "BASE",
    "CRASH",
    "EBREAK",
    "EXIT",
    "LOAD",
    "LOOP",
    "PRINT",
    "SIZE",
    "STORE",
    "FakeTarget",
]

BASE, SIZE = 0x8000_0000, 1 << 20
EBREAK = 1  # stops while a client is attached
STORE = 2  # the word x11 to address x10
LOAD = 3  # x11 from address x10
PRINT = 4  # the low byte of x11
EXIT = 5  # with code x10
CRASH = 6
LOOP = 7  # jumps to itself

_PC = 32
_OVERLAPS = {WatchKind.WRITE: (STORE,), WatchKind.READ: (LOAD,), WatchKind.ACCESS: (STORE, LOAD)}


class FakeTarget:
    """One or more harts over a mebibyte of memory."""

    def __init__(self, xlen: int = 32, harts: int = 1) -> None:
        self.xlen = xlen
        self.harts = harts
        self.isa = f"rv{xlen}imac_zicsr"
        self.executable: str | None = None
        self.memory = bytearray(SIZE)
        self.image = bytes(SIZE)
        self.values: list[dict[int, int]] = []
        self.breakpoints: set[int] = set()
        self.terms: dict[tuple[WatchKind, int, int], tuple[WatchTerm, ...]] = {}
        self.programs: dict[int, tuple[tuple[bytes, ...], tuple[bytes, ...]]] = {}
        self.watchpoints: set[tuple[WatchKind, int, int]] = set()
        self.attached = False
        self.kills = 0
        self.inserted = 0  # how often a breakpoint was given to us
        self.last_stop = StopEvent(StopKind.INTERRUPT)
        self.sleepers: set[int] = set()  # the harts that say they wait
        self.prompt = False  # a run goes on until it stops, in `resume`
        self._steps = 0
        self._thread: threading.Thread | None = None
        self._stop = threading.Event()
        self._stopped = threading.Event()
        self._callback: Callable[[], None] = lambda: None
        self._output: Callable[[bytes], None] | None = None
        self._gate = threading.RLock()  # held while an instruction is executed
        self.states: dict[str, tuple[bytes, list[dict[int, int]]]] = {}
        self._infos = self._describe()
        self.reset()

    def _describe(self) -> list[RegisterInfo]:
        infos = [RegisterInfo(f"x{n}", n, self.xlen, "cpu") for n in range(32)]
        infos.append(RegisterInfo("pc", _PC, self.xlen, "cpu"))
        csrs = {"mstatus": 0x300, "misa": 0x301, "mepc": 0x341}
        infos += [RegisterInfo(name, 65 + n, self.xlen, "csr") for name, n in csrs.items()]
        infos.append(RegisterInfo("priv", 4161, self.xlen, "virtual"))
        return infos

    def load(self, *words: int, at: int = 0) -> None:
        """Put instructions into the image and reset."""
        image = bytearray(self.image)
        for index, word in enumerate(words):
            image[at + 4 * index : at + 4 * index + 4] = word.to_bytes(4, "little")
        self.image = bytes(image)
        self.reset()

    def load_at(self, offset: int, word: int) -> None:
        """Put an instruction into memory, as it is now."""
        self.memory[offset : offset + 4] = word.to_bytes(4, "little")

    # Target.

    @property
    def running(self) -> bool:
        return self._thread is not None and not self._stopped.is_set()

    def registers(self) -> Sequence[RegisterInfo]:
        return self._infos

    def general_registers(self, hart: int) -> bytes:
        size = self.xlen // 8
        return b"".join(self.values[hart][n].to_bytes(size, "little") for n in range(_PC + 1))

    def read_register(self, hart: int, number: int) -> int:
        return self.values[hart][number]

    def write_register(self, hart: int, number: int, value: int) -> None:
        if number:
            self.values[hart][number] = value & ((1 << self.xlen) - 1)

    def waiting(self, hart: int) -> bool:
        return hart in self.sleepers

    def read_memory(self, hart: int, address: int, length: int) -> bytes:
        at = address - BASE
        if not 0 <= at < SIZE:
            raise MemoryFault(address, f"no memory at {address:#x}")
        return bytes(self.memory[at : at + length])

    def write_memory(self, hart: int, address: int, data: bytes) -> None:
        at = address - BASE
        if not 0 <= at <= SIZE - len(data):
            raise MemoryFault(address, f"no memory at {address:#x}")
        self.memory[at : at + len(data)] = data

    def memory_map(self) -> Sequence[MemoryRegion]:
        return [MemoryRegion(0x1000, 0x1000, "device", "thing"), MemoryRegion(BASE, SIZE, "ram")]

    def insert_breakpoint(
        self, address: int, conditions: Sequence[bytes] = (), commands: Sequence[bytes] = ()
    ) -> None:
        self.inserted += 1
        self.breakpoints.add(address)
        self.programs[address] = tuple(conditions), tuple(commands)

    def remove_breakpoint(self, address: int) -> None:
        self.breakpoints.remove(address)

    def insert_watchpoint(
        self, kind: WatchKind, address: int, length: int, terms: Sequence[WatchTerm] = ()
    ) -> None:
        self.terms[kind, address, length] = tuple(terms)
        self.watchpoints.add((kind, address, length))

    def remove_watchpoint(self, kind: WatchKind, address: int, length: int) -> None:
        self.watchpoints.remove((kind, address, length))

    def clear_breakpoints(self) -> None:
        self.breakpoints.clear()
        self.watchpoints.clear()

    def resume(self, actions: Actions) -> StopEvent | None:
        assert not self.running
        self._stop.clear()
        self._stopped.clear()
        if self.prompt:
            self._run(dict(actions))
            return self.last_stop
        self._thread = threading.Thread(target=self._run, args=(dict(actions),), daemon=True)
        self._thread.start()
        return None

    @property
    def long_steps(self) -> bool:
        return False

    def step(self, hart: int) -> StopEvent:
        event = self._execute(hart, first=True, breakpoints=False)
        self.last_stop = event or StopEvent(StopKind.STEP, hart)
        return self.last_stop

    def stop(self) -> None:
        self._stop.set()

    def pause(self) -> None:
        self._stop.set()

    def visit(self) -> AbstractContextManager[None]:
        return self._visit()

    @contextmanager
    def _visit(self) -> Iterator[None]:
        with self._gate:
            yield

    def wait(self, timeout: float | None) -> StopEvent | None:
        thread = self._thread
        if thread is None:
            return None
        if not self._stopped.wait(timeout):
            return None
        thread.join()
        self._thread = None
        return self.last_stop

    def on_stop(self, callback: Callable[[], None]) -> None:
        self._callback = callback

    def on_output(self, callback: Callable[[bytes], None] | None) -> None:
        self._output = callback
        self.attached = callback is not None

    def reset(self) -> None:
        self.memory[:] = self.image
        blank = {info.number: 0 for info in self._infos}
        misa = {0x301 + 65: 1 << (30 if self.xlen == 32 else 62) | 0x1105}
        self.values = [blank | {_PC: BASE, 4161: 3} | misa for _ in range(self.harts)]
        self.last_stop = StopEvent(StopKind.INTERRUPT)

    def save(self, path: str) -> None:
        self.states[path] = bytes(self.memory), [dict(values) for values in self.values]

    def restore(self, path: str) -> None:
        if path not in self.states:
            raise ValueError("there is no such file")
        memory, values = self.states[path]
        self.memory[:] = memory
        self.values = [dict(one) for one in values]
        self.last_stop = StopEvent(StopKind.STEP)

    def kill(self) -> None:
        self.kills += 1

    def symbol(self, name: str) -> tuple[int, int] | None:
        return (BASE + 0x100, 4) if name == "thing" else None

    def setting(self, name: str, words: Sequence[str]) -> str:
        if name != "quantum":
            raise KeyError(name)
        return str(int(words[0])) if words else "0"

    def info(self, hart: int, topic: str) -> str:
        if topic != "fake":
            raise KeyError("topics: fake")
        return "a fake machine"

    # Within.

    def _run(self, actions: Actions) -> None:
        event: StopEvent | None = None
        first = True
        while event is None:
            for hart, action in sorted(actions.items()):
                with self._gate:
                    event = self._execute(hart, first=first, breakpoints=True)
                if event is None and isinstance(action, StepRange):
                    if not action.start <= self.values[hart][_PC] < action.end:
                        event = StopEvent(StopKind.STEP, hart)
                elif event is None and action is Action.STEP:
                    event = StopEvent(StopKind.STEP, hart)
                if event is not None:
                    break
            first = False
            time.sleep(0.0002)  # the thread must not starve the others
            if event is None and self._stop.is_set():
                event = StopEvent(StopKind.INTERRUPT, min(actions))
        self.last_stop = event
        self._stopped.set()
        self._callback()

    def _execute(self, hart: int, *, first: bool, breakpoints: bool) -> StopEvent | None:
        values = self.values[hart]
        pc = values[_PC]
        if breakpoints and not first and pc in self.breakpoints:
            return StopEvent(StopKind.BREAKPOINT, hart)
        at = pc - BASE
        if not 0 <= at <= SIZE - 4:
            return StopEvent(StopKind.CRASH, hart, message=f"no memory at pc {pc:#x}")
        word = int.from_bytes(self.memory[at : at + 4], "little")
        if word == EBREAK and self.attached:
            return StopEvent(StopKind.EBREAK, hart)
        if word in (STORE, LOAD):
            where = values[10]
            again = first and self.last_stop.kind is StopKind.WATCH
            for kind, start, length in self.watchpoints:
                if word in _OVERLAPS[kind] and start - 4 < where < start + length and not again:
                    return StopEvent(StopKind.WATCH, hart, address=where, watch=kind)
            offset = (where - BASE) % (SIZE - 4)
            if word == STORE:
                self.memory[offset : offset + 4] = (values[11] & 0xFFFF_FFFF).to_bytes(4, "little")
            else:
                values[11] = int.from_bytes(self.memory[offset : offset + 4], "little")
        elif word == PRINT and self._output is not None:
            self._output(bytes((values[11] & 0xFF,)))
        elif word == EXIT:
            return StopEvent(StopKind.EXIT, hart, code=values[10])
        elif word == CRASH:
            return StopEvent(StopKind.CRASH, hart, message="the guest crashed")
        if word != LOOP:
            values[_PC] = (pc + 4) & ((1 << self.xlen) - 1)
        return None
