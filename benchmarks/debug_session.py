"""A guest of loops under a stub, and how long the stub's process computes for them."""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import Any, Final

from elftools.elf.elffile import ELFFile

from otoriscv.gdbstub.client import PC, RspClient

__all__ = ["Session", "cpu_seconds", "symbols"]

A0: Final = 10
#: A timed run takes this long at least; shorter ones measure the stub.
LEAST_SECONDS: Final = 0.25
#: Seconds of wall time until what a change made necessary is compiled, in any stub.
SETTLING_SECONDS: Final = 1.0
_PATIENCE: Final = 300.0


def symbols(elf: Path) -> dict[str, int]:
    """The guest's symbols."""
    with elf.open("rb") as file:
        table: Any = ELFFile(file).get_section_by_name(".symtab")
        return {s.name: s["st_value"] for s in table.iter_symbols()}


def cpu_seconds(pid: int) -> float:
    """What all threads of a process computed; wall time where the host does not tell.

    Other work on the host, compile workers included, does not count.
    """
    try:
        tasks = list(Path(f"/proc/{pid}/task").iterdir())
        return sum(int((t / "schedstat").read_text().split()[0]) for t in tasks) / 1e9
    except OSError:
        return time.perf_counter()


class Session:
    """One debugger of one stub with the guest rsp/debug.S."""

    def __init__(self, port: int, pid: int, elf: Path) -> None:
        self.client = RspClient("127.0.0.1", port, timeout=_PATIENCE)
        self.symbols = symbols(elf)
        self.pid = pid
        self._rounds: dict[str, int] = {}
        self.client.insert_breakpoint(self.symbols["done"])

    def __enter__(self) -> Session:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.client.close()

    def seconds(self, loop: str, rounds: int) -> float:
        """CPU seconds for so many rounds of *loop*, a symbol."""
        client = self.client
        client.write_register(PC, self.symbols[f"start_{loop}"])
        client.write_register(A0, rounds)
        before = cpu_seconds(self.pid)
        client.resume()
        spent = cpu_seconds(self.pid) - before
        if client.read_register(PC) != self.symbols["done"]:
            raise RuntimeError(f"the loop {loop} did not come to its end")
        return max(spent, 1e-9)

    def rate(self, loop: str, what: str) -> float:
        """Rounds of *loop* in a CPU second; *what* names the circumstances."""
        key = f"{loop} {what}"
        if key not in self._rounds:
            self._rounds[key] = self._calibrate(loop)
        rounds = self._rounds[key]
        self.seconds(loop, rounds // 8 + 1)
        return rounds / self.seconds(loop, rounds)

    def _calibrate(self, loop: str) -> int:
        """How many rounds take long enough, once all that is hot was compiled."""
        rounds, began = 2000, time.perf_counter()
        while True:
            spent = self.seconds(loop, rounds)
            if time.perf_counter() - began >= SETTLING_SECONDS and spent > LEAST_SECONDS / 8:
                return int(rounds * LEAST_SECONDS / spent) + 1
            if spent < LEAST_SECONDS / 8:
                rounds *= 2

    def point(self, packet: str) -> Callable[[], None]:
        """Insert a breakpoint or watchpoint, ``Z...``; what takes it out again."""
        self.client.command(packet.encode())

        def remove() -> None:
            self.client.command(("z" + packet[1:].partition(";")[0]).encode())

        return remove
