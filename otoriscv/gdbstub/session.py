"""One client's conversation: bytes in, bytes out. Knows nothing of sockets."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from functools import partial

from otoriscv.gdbstub import commands
from otoriscv.gdbstub.breakpoints import BreakpointTable
from otoriscv.gdbstub.clients import Clients
from otoriscv.gdbstub.errors import DENIED, FAULT, INVALID, IO, CommandError
from otoriscv.gdbstub.nonstop import NonStop
from otoriscv.gdbstub.output import OutputBuffer
from otoriscv.gdbstub.packets import MAX_PACKET, Parser, Wire, compress, frame
from otoriscv.gdbstub.stopreply import stop_reply
from otoriscv.gdbstub.target import (
    Action,
    Actions,
    MemoryFault,
    RegisterInfo,
    StepRange,
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
    `poll`; ``wake`` is called from other threads when `poll` should be called. While ``congested``
    says True nothing is answered: call `poll` when the client has read on.
    """

    def __init__(
        self,
        target: Target,
        send: Callable[[bytes], None],
        wake: Callable[[], None] = lambda: None,
        *,
        local: bool = True,
        clients: Clients | None = None,
        congested: Callable[[], bool] = lambda: False,
    ) -> None:
        self.target = target
        self.local = local  # the client runs on this computer
        self.client_features: frozenset[str] = frozenset()
        self.breakpoints = BreakpointTable(target)
        self.hart = 0  # what g, m, P ... refer to (Hg, and the last stop)
        self.continue_hart: int | None = None  # what c and s refer to (Hc); None is all
        self.extended = False  # the client said "!": the session survives the guest
        self.detached = False  # after D in extended mode
        self.finished = False  # nothing more to say: close the connection
        self.no_ack = False
        self.lldb = False  # the client turned out to be LLDB
        self.list_threads = False  # stop replies list all threads
        self.nonstop: NonStop | None = None
        self.mask = (1 << target.xlen) - 1
        self.output = OutputBuffer(wake)
        self.clients = Clients(target) if clients is None else clients
        self._send = send
        self._congested = congested
        self._parser = Parser()
        self._arrived: deque[bytes | Wire] = deque()  # not looked at yet
        self._last_frame = b""
        self._running = False  # the client waits for a stop reply
        self._quiet_stop = False  # the pending stop was asked for by vCont;t
        self._queue: deque[bytes] = deque()
        self._queued_bytes = 0
        self._registers: dict[int, RegisterInfo] = {}
        self.clients.join(self)

    # The server's side.

    def enter(self) -> None:
        """Take the machine and halt it, or watch it when it is another's."""
        self.clients.join(self)
        self.detached = False
        if self.owns:
            self.halt()
            self.attach()

    def receive(self, data: bytes) -> None:
        """Handle what the client sent."""
        self._arrived += self._parser.feed(data)
        self._work()

    def poll(self) -> None:
        """Go on with what has arrived; pass on guest output, and a stop of the machine."""
        if self.nonstop is not None:
            self.nonstop.poll()
            self.nonstop.announce()
        elif self._running:
            event = self.wait(0) if self.owns else None
            self.flush_output()
            if event is not None:
                self._end_run(lambda: self.stopped(event))
        if self._arrived:
            self._work()

    def leave(self) -> None:
        """The client is gone; a machine that was its is halted, and forgets it."""
        self.clients.leave(self)

    def let_go(self) -> None:
        """The owner goes: halt the machine and undo what was set up, unless it detached."""
        if self.detached:
            return
        try:
            self.halt()
        except CommandError as error:  # nothing more can be done to it
            _log.error("a client left: %s", error)
        else:
            self.detach()

    def take_over(self) -> None:
        """The owner went; this client is it now. A client that waits hears of a halted machine."""
        with self.target.visit():
            self.attach()
        if self._running and not self.target.running:
            event = StopEvent(StopKind.INTERRUPT, self.target.last_stop.hart)
            if self.ended:
                event = self.target.last_stop
            self.flush_output()
            self.console(b"The debugger that owned the machine left: you own it now.\n")
            self._end_run(lambda: self._reply_of(event))

    def observe(self, event: StopEvent) -> None:
        """The machine of another client has stopped: answer one that waits for that."""
        if self._running:
            self.flush_output()
            self._end_run(lambda: self._reply_of(event))

    @property
    def running(self) -> bool:
        """True while the client waits for a stop reply, or harts run in non-stop mode."""
        return self._running or (self.nonstop is not None and bool(self.nonstop.going))

    @property
    def waiting(self) -> bool:
        """True while something that arrived has not been looked at."""
        return bool(self._arrived)

    # What commands use.

    @property
    def owns(self) -> bool:
        """Whether this client may run and change the machine."""
        return self.clients.owner is self

    @property
    def registers(self) -> dict[int, RegisterInfo]:
        """The machine's registers by number."""
        if not self._registers:
            self._registers = {register.number: register for register in self.target.registers()}
        return self._registers

    @property
    def ended(self) -> bool:
        """True when there is no guest any more."""
        return self.clients.killed or (
            self.target.last_stop.kind is StopKind.EXIT and not self.target.running
        )

    def own(self) -> None:
        """`CommandError` unless this client owns the machine, halted or in non-stop mode."""
        if not self.owns:
            raise CommandError(DENIED, "another debugger owns the machine: this one can only watch")
        if self.nonstop is None and self.target.running:
            self.halt()  # it ran on when its last owner detached

    def reply(self, payload: bytes) -> None:
        """Send one packet; *payload* is escaped already where it needs to be."""
        if len(payload) >= _COMPRESS_FROM:
            payload = compress(payload)
        self._last_frame = frame(payload)
        self._send(self._last_frame)

    def notify(self, payload: bytes) -> None:
        """Send one notification, which nobody acknowledges."""
        self._send(b"%" + frame(payload)[1:])

    def console(self, text: bytes) -> None:
        """Show *text* on the client's console."""
        for at in range(0, len(text), _OUTPUT_CHUNK):
            self.reply(b"O" + text[at : at + _OUTPUT_CHUNK].hex().encode())

    def flush_output(self) -> None:
        """Show what the guest has printed, where the protocol permits that."""
        text = self.output.take()
        if text:
            self.console(text)

    def resume(self, actions: Mapping[int, Action | StepRange | None]) -> bytes | None:
        """Run the machine; the stop reply when that is known at once.

        A client that only watches waits for the owner's next stop.
        """
        if self.nonstop is not None:
            self.own()
            return self.last_stop_reply() if self.ended else self.nonstop.resume(actions)
        if self.ended:
            return self.last_stop_reply()
        if len(actions) == 1 and not self.target.long_steps:
            for hart, action in actions.items():
                if action is Action.STEP:
                    self.own()
                    self.breakpoints.install_watchpoints()
                    event = self.target.step(hart)
                    self.flush_output()
                    return self.stopped(event)
        wanted: Actions = {hart: action for hart, action in actions.items() if action is not None}
        if not wanted:
            return self.last_stop_reply()
        if not self.owns and all(action is Action.CONTINUE for action in wanted.values()):
            self._running = True
            return None
        self.own()
        self.breakpoints.install()
        self._running = True
        try:
            stop = self.target.resume(wanted)
        except BaseException:
            self._running = False
            raise
        if stop is None:
            return None
        self._running = False
        self.flush_output()
        return self.stopped(stop)

    def halt(self) -> None:
        """Stop a running machine without telling the client."""
        if self._running or self.target.running:
            self.target.stop()
            self._await_halt()
        self._running = False
        self._quiet_stop = False
        if self.nonstop is not None:
            self.nonstop = NonStop(self)
        else:
            self.output.take()

    def pause(self) -> StopEvent | None:
        """Hold a running machine for a moment; what it stopped for, INTERRUPT for just that."""
        self.target.pause()
        return self._await_halt()

    def stopped(self, event: StopEvent, *, asked: bool = False) -> bytes:
        """Take note of a stop, *asked* for by ``vCont;t``; returns the reply."""
        self.clients.tell(event)
        say = self.console if self.nonstop is None else self.output.put
        if event.kind is StopKind.CRASH and event.message:
            say(event.message.encode() + b"\n")
        if event.kind is StopKind.WATCH:
            hit = self.breakpoints.watch_hit(event)
            if hit is not None and hit not in self.breakpoints.watchpoints:
                say(f"[monitor watch {hit.address:#x},{hit.length}]\n".encode())
        asked = asked or self._quiet_stop
        self._quiet_stop = False
        if asked and event.kind is StopKind.INTERRUPT:
            return b"T00" + self._reply_of(event)[3:]
        return self._reply_of(event)

    def last_stop_reply(self) -> bytes:
        """Why the machine is halted, for a client that was not there."""
        if self.clients.killed:
            return b"X09"
        event = self.target.last_stop
        if self.target.running:  # seen by one who watches
            event = StopEvent(StopKind.INTERRUPT, self.hart)
        return stop_reply(self, event, with_reason=False)

    def set_nonstop(self, on: bool) -> None:
        """Change the mode. Leaving it halts every hart."""
        if on and self.nonstop is None:
            self.nonstop = NonStop(self)
        elif not on and self.nonstop is not None:
            if self.owns:
                self.halt()
            self.nonstop = None

    def attach(self) -> None:
        """From now on the machine has a debugger."""
        self.target.on_output(self.clients.put)
        self.detached = False

    def detach(self) -> None:
        """The halted machine has no debugger and no breakpoints any more."""
        self.breakpoints.clear()
        self.target.on_output(None)
        self.output.take()

    def restart(self) -> None:
        """A new run of the guest, halted at its first instruction."""
        self.halt()
        self.target.reset()
        self.attach()
        self.clients.killed = False
        self.hart = 0
        self.continue_hart = None

    def wait(self, timeout: float) -> StopEvent | None:
        """`Target.wait`, with a failure of the machine turned into a crash of the guest."""
        try:
            return self.target.wait(timeout)
        except Exception as error:
            _log.exception("the machine failed")
            return StopEvent(StopKind.CRASH, message=f"{type(error).__name__}: {error}")

    # Within.

    def _work(self) -> None:
        while self._arrived and not self.finished and not self._congested():
            event = self._arrived.popleft()
            if isinstance(event, Wire):
                self._wire_event(event)
            else:
                if not self.no_ack:
                    if event.startswith(b"qSupported"):
                        self._skip_repeated(event)
                    self._send(b"+")
                self._packet(event)

    def _skip_repeated(self, packet: bytes) -> None:
        """gdb sends its first packet again every two seconds while the server starts behind its
        pipe, but takes one answer only.
        """
        while self._arrived and self._arrived[0] == packet:
            self._arrived.popleft()

    def _wire_event(self, event: Wire) -> None:
        if event is Wire.INTERRUPT:
            self.interrupt()
            if self.nonstop is not None:
                self.nonstop.announce()
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

    def interrupt(self) -> None:
        """^C: stop the machine; one who watches just stops waiting."""
        if self.nonstop is not None:
            if self.owns:
                self.nonstop.interrupt()
        elif self._running and self.owns:
            self.target.stop()
        elif self._running:
            with self.target.visit():
                self.observe(StopEvent(StopKind.INTERRUPT, self.hart))

    def _packet(self, packet: bytes) -> None:
        if self._running:
            if packet.startswith(b"vCont;t"):
                self._quiet_stop = True
                self.interrupt()
            elif packet.startswith(_ENDING):
                if self.owns:
                    self.halt()
                self._running = False
                self._execute(packet)
            elif (
                len(self._queue) < _MAX_QUEUED
                and self._queued_bytes + len(packet) <= _MAX_QUEUED_BYTES
            ):
                self._queue.append(packet)
                self._queued_bytes += len(packet)
            return
        self._execute(packet)

    def _end_run(self, reply: Callable[[], bytes]) -> None:
        """The client's waiting is over: answer it, and what it asked meanwhile."""
        self._running = False
        answer = self._guarded(reply, "a stop")
        self.reply(answer if answer is not None else b"T05")
        while self._queue and not self._running and not self.finished:
            packet = self._queue.popleft()
            self._queued_bytes -= len(packet)
            self._execute(packet)

    def _reply_of(self, event: StopEvent) -> bytes:
        """The reply for a stop, whose hart is the current one from now on."""
        if self.clients.killed:
            return b"X09"
        self.hart = event.hart
        self.continue_hart = None
        return stop_reply(self, event)

    def _execute(self, packet: bytes) -> None:
        answer = self._guarded(partial(commands.dispatch, self, packet), packet)
        if answer is not None:
            self.reply(answer)
        if self.nonstop is not None:
            self.nonstop.announce()
        elif self._running and not self.target.running:
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

    def _await_halt(self) -> StopEvent | None:
        event = self.wait(HALT_SECONDS)
        if event is None and self.target.running:
            raise CommandError(IO, f"the machine did not stop within {HALT_SECONDS:g} seconds")
        return event
