"""A small client of the protocol: enough to debug a guest from Python, without gdb.

with RspClient("127.0.0.1", 1234) as client:
    client.insert_breakpoint(0x80000000)
    stop = client.resume()
    print(hex(client.read_register(PC)), stop.reason)
"""

from __future__ import annotations

import re
import socket
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from types import TracebackType

from otoriscv.gdbstub.packets import MAX_PACKET, Parser, Wire, escape, frame

__all__ = ["PC", "ClientError", "RspClient", "Stop"]

PC = 32
_ARCHITECTURE = re.compile(rb"<architecture>riscv:rv(\d+)</architecture>")
_REASONS = ("swbreak", "hwbreak", "watch", "rwatch", "awatch")


class ClientError(Exception):
    """The stub refused a command, or went away."""


@dataclass(frozen=True, slots=True)
class Stop:
    """A stop reply, taken apart."""

    raw: str
    signal: int = 0
    thread: int = 0
    reason: str = ""  # swbreak, hwbreak, watch, rwatch, awatch, or nothing
    address: int = 0  # of a watch
    exit_code: int | None = None  # when the guest ended
    registers: dict[int, int] = field(default_factory=dict)  # those sent along

    @classmethod
    def parse(cls, payload: bytes) -> Stop:
        """Understand ``T``, ``S``, ``W`` and ``X`` replies."""
        text = payload.decode("latin-1")
        kind, number = text[:1], text[1:3]
        if kind not in tuple("TSWX") or re.fullmatch("[0-9a-fA-F]{2}", number) is None:
            raise ClientError(f"not a stop reply: {text[:60]!r}")
        if kind in "WX":
            return cls(text, exit_code=int(number, 16))
        thread, reason, address = 0, "", 0
        registers: dict[int, int] = {}
        for name, _, value in (part.partition(":") for part in text[3:].split(";")):
            if name == "thread":
                thread = int(value, 16)
            elif name in _REASONS:
                reason, address = name, int(value or "0", 16)
            elif re.fullmatch("[0-9a-f]+", name) and value:
                registers[int(name, 16)] = int.from_bytes(bytes.fromhex(value), "little")
        return cls(text, int(number, 16), thread, reason, address, None, registers)


class RspClient:
    """One connection to a stub. Requests block until the reply, at most *timeout* seconds."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        timeout: float = 30.0,
        no_ack: bool = True,
        on_output: Callable[[bytes], None] = lambda text: None,
    ) -> None:
        """Connect and agree on features; *on_output* gets what the guest prints."""
        self._timeout = timeout
        self._on_output = on_output
        self._parser = Parser(4 * MAX_PACKET)
        self._arrived: deque[bytes] = deque()
        self._ack = True
        self._socket = socket.create_connection((host, port), timeout)
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.features = self.request(
            b"qSupported:swbreak+;hwbreak+;vContSupported+;error-message+"
        ).decode("latin-1")
        if no_ack and self.request(b"QStartNoAckMode") == b"OK":
            self._ack = False
        self.xlen = self._find_xlen()

    def __enter__(self) -> RspClient:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Just hang up."""
        self._socket.close()

    # Packets.

    def send(self, payload: bytes) -> None:
        """Send one packet; binary data in it must be escaped already."""
        self.send_raw(frame(payload))

    def send_raw(self, data: bytes) -> None:
        """Send bytes as they are."""
        self._socket.sendall(data)

    def receive(self, timeout: float | None = None) -> bytes:
        """The next packet."""
        deadline = time.monotonic() + (self._timeout if timeout is None else timeout)
        while not self._arrived:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                data = self._socket.recv(1 << 18)
            except TimeoutError:
                raise ClientError("the stub does not answer") from None
            except OSError as error:
                raise ClientError(f"the connection broke: {error}") from error
            if not data:
                raise ClientError("the stub closed the connection")
            for event in self._parser.feed(data):
                if isinstance(event, bytes):
                    self._arrived.append(event)
                    if self._ack:
                        self.send_raw(b"+")
                elif event in (Wire.BAD, Wire.TOO_LONG):
                    raise ClientError("the stub sent a damaged packet")
        return self._arrived.popleft()

    def request(self, payload: bytes) -> bytes:
        """Send a packet and return the reply; guest output on the way is passed on."""
        self.send(payload)
        return self._reply(self._timeout)

    def command(self, payload: bytes) -> bytes:
        """Likewise, and an error reply or "not supported" becomes a `ClientError`."""
        reply = self.request(payload)
        if not reply or reply.startswith(b"E.") or re.fullmatch(rb"E[0-9a-fA-F]{2}", reply):
            why = reply.decode("latin-1") or "not supported"
            raise ClientError(f"{payload[:40]!r}: {why.removeprefix('E.')}")
        return reply

    def _reply(self, timeout: float) -> bytes:
        while True:
            reply = self.receive(timeout)
            if reply[:1] != b"O" or reply == b"OK":
                return reply
            self._on_output(bytes.fromhex(reply[1:].decode("latin-1")))

    # Registers and memory.

    def read_registers(self) -> list[int]:
        """x0 to x31 and pc."""
        data = bytes.fromhex(self.command(b"g").decode("latin-1"))
        size = self.xlen // 8
        return [int.from_bytes(data[at : at + size], "little") for at in range(0, 33 * size, size)]

    def read_register(self, number: int) -> int:
        """One register by gdb's number."""
        reply = self.command(b"p%x" % number)
        return int.from_bytes(bytes.fromhex(reply.decode("latin-1")), "little")

    def write_register(self, number: int, value: int) -> None:
        """Set a register that is as wide as the machine."""
        data = (value & ((1 << self.xlen) - 1)).to_bytes(self.xlen // 8, "little")
        self.command(b"P%x=%s" % (number, data.hex().encode()))

    def read_memory(self, address: int, length: int) -> bytes:
        """*length* bytes; `ClientError` when memory ends before."""
        data = b""
        while len(data) < length:
            reply = self.command(b"m%x,%x" % (address + len(data), length - len(data)))
            data += bytes.fromhex(reply.decode("latin-1"))
        return data

    def write_memory(self, address: int, data: bytes) -> None:
        """Write all of *data*."""
        step = MAX_PACKET // 4
        for at in range(0, len(data), step):
            piece = data[at : at + step]
            self.command(b"X%x,%x:" % (address + at, len(piece)) + escape(piece))

    # Breakpoints.

    def insert_breakpoint(self, address: int, *, hardware: bool = False) -> None:
        """Stop before the instruction at *address*."""
        self.command(b"Z%d,%x,4" % (hardware, address))

    def remove_breakpoint(self, address: int, *, hardware: bool = False) -> None:
        """The inverse."""
        self.command(b"z%d,%x,4" % (hardware, address))

    def insert_watchpoint(self, kind: str, address: int, length: int) -> None:
        """Stop before accesses to a range; *kind* is ``w``, ``r`` or ``rw``."""
        self.command(b"Z%d,%x,%x" % (("w", "r", "rw").index(kind) + 2, address, length))

    def remove_watchpoint(self, kind: str, address: int, length: int) -> None:
        """The inverse."""
        self.command(b"z%d,%x,%x" % (("w", "r", "rw").index(kind) + 2, address, length))

    # Running.

    def why(self) -> Stop:
        """Why the machine is halted."""
        return Stop.parse(self.command(b"?"))

    def resume(self, timeout: float | None = None) -> Stop:
        """Continue all harts and wait for a stop."""
        self.send(b"vCont;c")
        return self.wait(timeout)

    def step(self, thread: int = 1) -> Stop:
        """One instruction of one hart."""
        self.send(b"vCont;s:%x" % thread)
        return self.wait()

    def wait(self, timeout: float | None = None) -> Stop:
        """The stop of a machine that runs."""
        return Stop.parse(self._reply(self._timeout if timeout is None else timeout))

    def interrupt(self) -> None:
        """Ask a running machine to stop; `wait` gets the reply."""
        self.send_raw(b"\x03")

    def monitor(self, text: str) -> str:
        """A ``monitor`` command's output."""
        parts: list[bytes] = []
        previous, self._on_output = self._on_output, parts.append
        try:
            self.command(b"qRcmd," + text.encode().hex().encode())
        finally:
            self._on_output = previous
        return b"".join(parts).decode("utf-8", "replace")

    def detach(self) -> None:
        """Let the guest run on, and hang up."""
        self.command(b"D")
        self.close()

    def kill(self) -> None:
        """End the guest, and hang up."""
        self.send(b"k")
        self.close()

    def _find_xlen(self) -> int:
        head = self.request(b"qXfer:features:read:target.xml:0,400")
        match = _ARCHITECTURE.search(head)
        if match is not None:
            return int(match[1])
        return 64 if len(self.request(b"g")) >= 33 * 16 else 32
