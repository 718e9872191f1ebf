"""One client's conversation: bytes in, bytes out. Knows nothing of sockets."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable

from otoriscv.gdbstub import commands
from otoriscv.gdbstub.breakpoints import BreakpointTable
from otoriscv.gdbstub.errors import FAULT, INVALID, IO, CommandError
from otoriscv.gdbstub.output import OutputBuffer
from otoriscv.gdbstub.packets import MAX_PACKET, Parser, Wire, compress, frame
from otoriscv.gdbstub.stopreply import stop_reply
from otoriscv.gdbstub.target import (
    Action,
    Actions,
    MemoryFault,
    RegisterInfo,
    StopEvent,
    StopKind,
    Target,
)

__all__ = ["HALT_SECONDS", "Session"]

_log = logging.getLogger(__name__)

HALT_SECONDS = 10.0
"""How long a running machine may take to stop when it has to before it counts as lost."""

_MAX_QUEUED = 256  # packets that arrive while the machine runs
_MAX_QUEUED_BYTES = 2 * MAX_PACKET
_COMPRESS_FROM = 1024  # below, run lengths cost more time than they save
_OUTPUT_CHUNK = MAX_PACKET // 4
_ENDING = (b"k", b"D", b"vKill", b"vCont;t")  # packets that are obeyed while the machine runs


class Session:
    """The state of one client.

    ``send`` gets the bytes to transmit and may raise OSError, which comes out of `receive` and
    `poll`; ``wake`` is called from other threads when `poll` should be called.
    """

    def __init__(
        self,
        target: Target,
        send: Callable[[bytes], None],
        wake: Callable[[], None] = lambda: None,
        *,
        local: bool = True,
    ) -> None:
        self.target = target
        self.local = local  # the client runs on this computer
        self.client_features: frozenset[str] = frozenset()
        self.breakpoints = BreakpointTable(target)
        self.hart = 0  # what g, m, P ... refer to (Hg, and the last stop)
        self.continue_hart: int | None = None  # what c and s refer to (Hc); None is all
        self.extended = False  # the client said "!": the session survives the guest
        self.detached = False  # after D in extended mode
        self.killed = False  # the guest was killed and waits for R or vRun
        self.finished = False  # nothing more to say: close the connection
        self.no_ack = False
        self.lldb = False  # the client turned out to be LLDB
        self.list_threads = False  # stop replies list all threads
        self.mask = (1 << target.xlen) - 1
        self._send = send
        self._parser = Parser()
        self._last_frame = b""
        self._running = False
        self._quiet_stop = False  # the pending stop was asked for by vCont;t
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._output = OutputBuffer(wake)
        self._registers: dict[int, RegisterInfo] = {}

    # The server's side.

    def enter(self) -> None:
        """Take the machine and halt it."""
        self.halt()
        self.attach()

    def receive(self, data: bytes) -> None:
        """Handle what the client sent."""
        for event in self._parser.feed(data):
            if isinstance(event, Wire):
                self._wire_event(event)
            else:
                if not self.no_ack:
                    self._send(b"+")
                self._packet(event)
            if self.finished:
                return

    def poll(self) -> None:
        """Pass on guest output, and the stop when the machine has stopped."""
        if not self._running:
            return
        event = self._wait(0)
        self._flush_output()
        if event is not None:
            self._running = False
            answer = self._guarded(lambda: self.stopped(event), "a stop")
            self.reply(answer if answer is not None else b"T05")
            self._run_queue()

    def leave(self) -> None:
        """The client is gone: halt the machine, which forgets the client."""
        self.halt()
        self.detach()

    @property
    def running(self) -> bool:
        """True while the client waits for a stop reply."""
        return self._running

    # What commands use.

    @property
    def registers(self) -> dict[int, RegisterInfo]:
        """The machine's registers by number."""
        if not self._registers:
            self._registers = {register.number: register for register in self.target.registers()}
        return self._registers

    @property
    def ended(self) -> bool:
        """True when there is no guest any more."""
        return self.killed or (
            not self.target.running and self.target.last_stop.kind is StopKind.EXIT
        )

    def reply(self, payload: bytes) -> None:
        """Send one packet; *payload* is escaped already where it needs to be."""
        if len(payload) >= _COMPRESS_FROM:
            payload = compress(payload)
        self._last_frame = frame(payload)
        self._send(self._last_frame)

    def console(self, text: bytes) -> None:
        """Show *text* on the client's console."""
        for at in range(0, len(text), _OUTPUT_CHUNK):
            self.reply(b"O" + text[at : at + _OUTPUT_CHUNK].hex().encode())

    def resume(self, actions: Actions) -> bytes | None:
        """Run the machine; the stop reply when that is known at once."""
        if self.ended:
            return self.last_stop_reply()
        if len(actions) == 1:
            (hart, action), *_ = actions.items()
            if action is Action.STEP:
                self.breakpoints.install_watchpoints()
                event = self.target.step(hart)
                self._flush_output()
                return self.stopped(event)
        self.breakpoints.install()
        self._running = True
        try:
            self.target.resume(actions)
        except BaseException:
            self._running = False
            raise
        return None

    def halt(self) -> None:
        """Stop a running machine without telling the client."""
        target = self.target
        if self._running or target.running:
            target.stop()
            if self._wait(HALT_SECONDS) is None and target.running:
                _log.error("the machine did not stop within %g seconds", HALT_SECONDS)
        self._running = False
        self._quiet_stop = False
        self._output.take()

    def stopped(self, event: StopEvent) -> bytes:
        """Take note of a stop; returns the reply."""
        self.hart = event.hart
        self.continue_hart = None
        if event.kind is StopKind.CRASH and event.message:
            self.console(event.message.encode() + b"\n")
        if event.kind is StopKind.WATCH:
            hit = self.breakpoints.watch_hit(event)
            if hit is not None and hit not in self.breakpoints.watchpoints:
                self.console(f"[monitor watch {hit.address:#x},{hit.length}]\n".encode())
        if self._quiet_stop:
            self._quiet_stop = False
            if event.kind is StopKind.INTERRUPT:
                return b"T00" + stop_reply(self, event)[3:]
        return stop_reply(self, event)

    def last_stop_reply(self) -> bytes:
        """Why the machine is halted, for a client that was not there."""
        if self.killed:
            return b"X09"
        return stop_reply(self, self.target.last_stop, with_reason=False)

    def attach(self) -> None:
        """From now on the machine has a debugger."""
        self.target.on_output(self._output.put)
        self.detached = False

    def detach(self) -> None:
        """The halted machine has no debugger and no breakpoints any more."""
        self.breakpoints.clear()
        self.target.on_output(None)
        self._output.take()

    def restart(self) -> None:
        """A new run of the guest, halted at its first instruction."""
        self.halt()
        self.target.reset()
        self.attach()
        self.killed = False
        self.hart = 0
        self.continue_hart = None

    # Within.

    def _wire_event(self, event: Wire) -> None:
        if event is Wire.INTERRUPT:
            if self._running:
                self.target.stop()
        elif event is Wire.NAK:
            if self._last_frame and not self.no_ack:
                self._send(self._last_frame)
        elif event is Wire.BAD and not self.no_ack:
            self._send(b"-")
        else:
            # Nobody sends these again: an answer keeps the client from waiting for one.
            if not self.no_ack:
                self._send(b"+")
            if not self._running:
                what = "a damaged packet" if event is Wire.BAD else "a packet that is too long"
                self.reply(self._error(CommandError(INVALID, what)))

    def _packet(self, packet: bytes) -> None:
        if self._running:
            if packet.startswith(b"vCont;t"):
                self._quiet_stop = True
                self.target.stop()
            elif packet.startswith(_ENDING):
                self.halt()
                self._execute(packet)
            elif (
                len(self._queue) < _MAX_QUEUED
                and self._queued_bytes + len(packet) <= _MAX_QUEUED_BYTES
            ):
                self._queue.append(packet)
                self._queued_bytes += len(packet)
            return
        self._execute(packet)

    def _run_queue(self) -> None:
        """Answer what was asked while the machine ran."""
        while self._queue and not self._running and not self.finished:
            packet = self._queue.popleft()
            self._queued_bytes -= len(packet)
            self._execute(packet)

    def _execute(self, packet: bytes) -> None:
        answer = self._guarded(lambda: commands.dispatch(self, packet), packet)
        if answer is not None:
            self.reply(answer)
        if self._running and not self.target.running:
            self.poll()

    def _guarded(self, work: Callable[[], bytes | None], what: object) -> bytes | None:
        """The reply that *work* gives; no exception but those of the connection leaves this."""
        try:
            return work()
        except CommandError as error:
            return self._error(error)
        except MemoryFault as error:
            return self._error(CommandError(FAULT, str(error)))
        except ConnectionError:
            raise
        except Exception as error:
            _log.exception("%.60r failed", what)
            return self._error(CommandError(IO, f"{type(error).__name__}: {error}"))

    def _error(self, error: CommandError) -> bytes:
        return error.reply("error-message" in self.client_features)

    def _flush_output(self) -> None:
        text = self._output.take()
        if text:
            self.console(text)

    def _wait(self, timeout: float) -> StopEvent | None:
        """`Target.wait`, with a failure of the machine turned into a crash of the guest."""
        try:
            return self.target.wait(timeout)
        except Exception as error:
            _log.exception("the machine failed")
            return StopEvent(StopKind.CRASH, message=f"{type(error).__name__}: {error}")
