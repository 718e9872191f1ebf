"""Between a machine and its console: what the guest prints, and what it is given to read.

Input enters the guest only in `Hub.pump`, which the machine calls at fixed instants, and is written
down with the instant: a run can be repeated from that record.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from otoriscv.board.console import QUEUE_LIMIT

if TYPE_CHECKING:
    from otoriscv.board.console import Console
    from otoriscv.devices.uart16550 import Uart16550
    from otoriscv.devices.virtio.console import VirtioConsole

__all__ = ["Hub", "Replay"]


class Hub:
    """Routes one console's bytes to and from the UART, a virtio console, semihosting and HTIF."""

    def __init__(self, console: Console, instant: Callable[[], int]) -> None:
        self.console = console
        self.uart: Uart16550 | None = None
        self.virtio: VirtioConsole | None = None
        self.listeners: list[Callable[[bytes], None]] = []
        self.record: list[tuple[int, bytes]] = []
        self._instant = instant
        self._pending = bytearray()
        self._typed = bytearray()
        self._breaks = 0
        self._direct = False  # the guest reads through semihosting or HTIF, not the UART

    def save(self) -> dict[str, Any]:
        """What is on the way to the guest, for a snapshot."""
        waiting = bytes(self._pending + self._typed)
        return {"pending": waiting, "breaks": self._breaks, "direct": self._direct}

    def restore(self, state: Mapping[str, Any]) -> None:
        """Take over what `save` gave; the record begins anew."""
        self._pending[:] = state["pending"]
        self._typed.clear()
        self._breaks = state["breaks"]
        self._direct = state["direct"]
        self.record.clear()

    def output(self, data: bytes) -> None:
        """The guest prints *data*."""
        self.console.write(data)
        for listener in self.listeners:
            listener(data)

    def pump(self) -> None:
        """Take what has arrived and offer it to the guest."""
        data = bytes(self._typed) + self.console.read(QUEUE_LIMIT)
        self._typed.clear()
        if data:
            self.record.append((self._instant(), data))
            self._pending += data
        uart, virtio = self.uart, self.virtio
        if virtio is not None and virtio.listening and not self._direct:
            room = virtio.room()
            if self._pending and room:
                virtio.receive(bytes(self._pending[:room]))
                del self._pending[:room]
        elif uart is not None and not self._direct:
            uart.drain()
            while self._breaks:
                self._breaks -= 1
                uart.receive_break()
            if self._pending:
                room = uart.room()
                uart.receive(bytes(self._pending[:room]))
                del self._pending[:room]

    def type(self, data: bytes) -> None:
        """Give the guest *data* to read, at the next `pump`. On the machine's thread."""
        self._typed += data

    def send_break(self) -> None:
        """Send the guest a break, at the next `pump`. From any thread."""
        self._breaks += 1

    def flush(self) -> None:
        """Hand over what the UART has to print."""
        if self.uart is not None:
            self.uart.flush()

    def take(self, limit: int) -> bytes | None:
        """Input for semihosting: b"" at its end, None while there is none."""
        if not self._direct:
            self._direct = True
            if self.uart is not None:
                self._pending[:0] = self.uart.take_back()
        data = bytes(self._pending[:limit])
        del self._pending[:limit]
        if data:
            return data
        return b"" if self.console.eof else None

    def take_byte(self) -> int | None:
        """One byte of input for HTIF, None while there is none."""
        data = self.take(1)
        return data[0] if data else None

    @property
    def open(self) -> bool:
        """Whether input can still come."""
        return bool(self._typed) or not self.console.eof

    @property
    def ready(self) -> bool:
        """Whether `take` would not say None, after a `pump`."""
        return bool(self._pending or self._typed) or self.console.eof


class Replay:
    """A console that types a record again, each piece at its instant, and prints nothing."""

    interactive = False
    on_input: Callable[[], None] | None = None

    def __init__(self, record: Sequence[tuple[int, bytes]], ended: bool) -> None:
        self._record = list(record)
        self._ended = ended
        self.instant: Callable[[], int] = lambda: 0

    @property
    def eof(self) -> bool:
        """Whether the record, and what was recorded, has ended."""
        return self._ended and not self._record

    @property
    def ready(self) -> bool:
        """Whether `read` gives something now, or never will again."""
        return self.eof or bool(self._record and self._record[0][0] <= self.instant())

    def write(self, data: bytes) -> None:
        """Nobody looks."""

    def read(self, limit: int) -> bytes:
        """What was typed by now."""
        if self._record and self._record[0][0] <= self.instant():
            return self._record.pop(0)[1]
        return b""

    def close(self) -> None:
        """Nothing to do."""
