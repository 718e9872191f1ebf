"""The GDB server: lets clients in, several at once, and keeps the machine safe from them."""

from __future__ import annotations

import contextlib
import logging
import os
import selectors
import socket
import threading
import time
from collections.abc import Callable
from typing import Literal, TypeVar

from otoriscv.gdbstub.clients import Clients
from otoriscv.gdbstub.session import Session
from otoriscv.gdbstub.target import Action, StopEvent, StopKind, Target
from otoriscv.gdbstub.transport import StdioTransport, TcpTransport, Transport, listen

__all__ = ["GdbServer"]

_log = logging.getLogger(__name__)

_MAX_CLIENTS = 8
_GOODBYE = 1.0  # seconds that a client has for reading the last reply
_WORDS = 64  # of one client before it is seen whether another one knocks
_HEARTBEAT = 1.0  # a running machine is asked this often, should a wake-up be lost
_ALERT = 300e-6 if (os.cpu_count() or 1) > 1 else 0.0  # seconds, see `GdbServer._converse`
_KILLED = 128 + 9  # what a shell says of a killed process
_FATAL = (StopKind.EXIT, StopKind.CRASH)
_Result = TypeVar("_Result")


class _Client:
    """A connection and what is said over it."""

    def __init__(self, transport: Transport, session: Session) -> None:
        self.transport = transport
        self.session = session
        self.waits_for = selectors.EVENT_READ

    def receive(self) -> bool:
        """Handle what the client has sent; whether there was anything. OSError when it is gone."""
        try:
            data = self.transport.receive()
        except BlockingIOError:
            return False
        if data:
            self.session.receive(data)
        else:
            self.session.finished = True
        return True

    @property
    def busy(self) -> bool:
        """Whether something may be to be done that does not come from the client."""
        session = self.session
        return (
            session.running
            or session.finished
            or session.waiting
            or self.transport.congested
            or self.waits_for != selectors.EVENT_READ
        )


class GdbServer:
    """Serves a `Target` to debuggers: the first owns it, the others watch (`Clients`).

    *on_disconnect* says what a client leaves behind: ``"halt"`` (serve: the machine stays stopped
    until the next client; only ``D`` lets it run) or ``"resume"`` (boot: the guest goes on; when it
    ends without a client the server is done).

    One thread does everything, and it alone calls the target: either the one `start` makes or the
    caller of `serve_forever`. `close` may be called from any thread and from signal handlers.
    """

    def __init__(
        self,
        target: Target,
        host: str = "127.0.0.1",
        port: int = 0,
        *,
        on_disconnect: Literal["halt", "resume"] = "halt",
        transport: Transport | None = None,
    ) -> None:
        """Listen on TCP, or serve the one client of *transport* (see `stdio`)."""
        self._target = target
        self._where = (host, port)
        self._resume = on_disconnect == "resume"
        self._only_client = transport
        self._listener: socket.socket | None = None
        self._clients = Clients(target)
        self._connected: list[_Client] = []
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._awaiting_stop = False
        self._alert_until = 0.0
        self._woken = False
        self._serving = False
        self._ending: StopEvent | None = None

    @classmethod
    def stdio(
        cls, target: Target, *, on_disconnect: Literal["halt", "resume"] = "halt"
    ) -> GdbServer:
        """A server for the one client on standard input and output; done when that leaves."""
        return cls(target, on_disconnect=on_disconnect, transport=StdioTransport())

    @property
    def address(self) -> tuple[str, int]:
        """Host and port that the server listens on, known after `bind`."""
        if self._listener is None:
            return self._where
        host, port, *_ = self._listener.getsockname()
        return host, port

    @property
    def ending(self) -> StopEvent | None:
        """How the guest ended, once a ``"resume"`` server is done because of that."""
        return self._ending

    def bind(self) -> tuple[str, int]:
        """Listen; returns the `address`. `ListenError` when that is not possible."""
        if self._listener is None and self._only_client is None:
            self._listener = listen(*self._where)
            self._listener.setblocking(False)
        return self.address

    def start(self) -> None:
        """`bind`, then serve in a thread of its own."""
        self.bind()
        self._thread = threading.Thread(target=self.serve_forever, name="gdbstub", daemon=True)
        self._thread.start()

    def join(self, timeout: float | None = None) -> bool:
        """Wait for the thread of `start`; True when it is done."""
        if self._thread is not None:
            self._thread.join(timeout)
            return not self._thread.is_alive()
        return True

    def close(self) -> None:
        """End the session and the server. A machine that had a client is left halted."""
        self._closed.set()
        for client in tuple(self._connected):
            client.transport.abort()
        self._wake()
        if self._thread is not None and self._thread is not threading.current_thread():
            self._thread.join()
        elif self._listener is not None and not self._serving:
            self._listener.close()

    def serve_forever(self) -> StopEvent | None:
        """Serve until `close`, stdio's end (unless resuming) or, resuming, the guest's end."""
        self.bind()
        self._serving = True
        self._target.on_stop(self._machine_stopped)
        only = self._only_client
        # poll and epoll refuse regular files, which standard input may be
        kind = selectors.DefaultSelector if only is None else selectors.SelectSelector
        try:
            with kind() as selector:
                selector.register(self._wake_in, selectors.EVENT_READ)
                if self._listener is not None:
                    selector.register(self._listener, selectors.EVENT_READ)
                if only is not None:
                    self._welcome(only, selector)
                while not self._done():
                    self._round(selector)
                for client in tuple(self._connected):
                    self._farewell(client, selector)
        finally:
            if self._listener is not None:
                self._listener.close()
            self._wake_out.close()
            self._wake_in.close()
        return self._ending

    def _done(self) -> bool:
        if self._closed.is_set():
            return True
        if self._connected:
            return False
        return self._guest_ended() if self._resume else self._only_client is not None

    def _guest_ended(self) -> bool:
        """True when the guest is over and nobody is there to look at it."""
        target = self._target
        event = target.wait(0) if target.running else target.last_stop
        if self._clients.killed:
            event = StopEvent(StopKind.EXIT, code=_KILLED, message="killed by the debugger")
        if event is not None and event.kind in _FATAL:
            self._ending = event
        return self._ending is not None

    def _round(self, selector: selectors.BaseSelector) -> None:
        """Wait until something is to be done, and do it."""
        knocking = False
        if len(self._connected) == 1:
            self._converse(self._connected[0])
        for key, events in selector.select(self._patience()):
            if key.data is not None:
                self._exchange(key.data, events)
            elif key.fileobj is self._wake_in:
                self._woken = False
                with contextlib.suppress(BlockingIOError):
                    self._wake_in.recv(4096)
            else:
                knocking = True
        for client in tuple(self._connected):
            if client.busy:
                self._look_after(client, selector)
        if knocking:  # last: who comes as another leaves finds it gone
            self._accept(selector)

    def _converse(self, client: _Client) -> None:
        """Look out for the next word of the only client, which was answered just now, and answer.

        A processor that falls asleep meanwhile takes longer to wake up than a debugger for a step.
        """
        words = 0
        while not (self._woken or client.busy or self._target.running):
            now = time.monotonic()
            if now >= self._alert_until or words == _WORDS:
                return
            if self._guarded(client, client.receive):
                self._alert_until = now + _ALERT
                words += 1

    def _patience(self) -> float | None:
        """How long nothing may happen: for ever, unless a wake-up could be lost."""
        timeout: float | None = None
        self._awaiting_stop = not self._connected and self._target.running
        for client in self._connected:
            if not client.busy:
                continue
            session, congested = client.session, client.transport.congested
            if session.finished or (session.waiting and not congested):
                return 0
            if session.running:
                self._awaiting_stop = True
                if not self._target.running and session.owns:
                    return 0  # it stopped before a wake-up was asked for
            if congested:
                timeout = _HEARTBEAT
        return _HEARTBEAT if self._awaiting_stop else timeout

    # Clients.

    def _accept(self, selector: selectors.BaseSelector) -> None:
        """Let a newcomer in."""
        assert self._listener is not None
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            transport = TcpTransport(connection)
            if len(self._connected) < _MAX_CLIENTS:
                self._welcome(transport, selector)
            else:
                transport.close()

    def _welcome(self, transport: Transport, selector: selectors.BaseSelector) -> None:
        """A living machine for the newcomer, halted if nobody else has it."""
        session = Session(
            self._target,
            transport.send,
            self._wake,
            local=transport.local,
            clients=self._clients,
            congested=lambda: transport.congested,
        )
        client = _Client(transport, session)
        self._connected.append(client)
        selector.register(transport, selectors.EVENT_READ, client)
        self._guarded(client, lambda: self._begin(session))

    def _begin(self, session: Session) -> None:
        session.enter()
        if session.owns and self._resume:
            self._clients.killed = False
        elif session.owns and session.ended:
            session.restart()

    def _exchange(self, client: _Client, events: int) -> None:
        """The client has sent something, or takes more."""
        if events & selectors.EVENT_WRITE:
            self._guarded(client, client.transport.flush)
        if events & selectors.EVENT_READ and not client.session.finished:
            self._guarded(client, client.receive)
            self._alert_until = time.monotonic() + _ALERT

    def _look_after(self, client: _Client, selector: selectors.BaseSelector) -> None:
        """Pass on what the machine did; a client that does not read is not listened to."""
        transport, session = client.transport, client.session
        if transport.congested:
            self._guarded(client, transport.flush)
        if not session.finished and not transport.congested:
            self._guarded(client, session.poll)
        if session.finished:
            self._farewell(client, selector)
            return
        wanted = selectors.EVENT_WRITE if transport.congested else selectors.EVENT_READ
        if client.waits_for != wanted:
            client.waits_for = wanted
            selector.modify(transport, wanted, client)

    def _guarded(self, client: _Client, work: Callable[[], _Result]) -> _Result | None:
        """Do *work* for a client, whose end any exception is."""
        try:
            return work()
        except OSError as error:
            _log.info("a client is gone: %s", error)
            client.session.finished = True
        except Exception:
            _log.exception("a session failed")
            client.session.finished = True
        return None

    def _farewell(self, client: _Client, selector: selectors.BaseSelector) -> None:
        """Hang up, undo what the client set up, and let the guest go on if it should."""
        transport, session = client.transport, client.session
        self._connected.remove(client)
        selector.unregister(transport)
        deadline = time.monotonic() + _GOODBYE
        with contextlib.suppress(OSError):
            while transport.congested and time.monotonic() < deadline:
                transport.flush()
                time.sleep(0.001)
        try:
            session.leave()
            if self._resume and not self._connected and not self._closed.is_set():
                self._go_on()
        except Exception:
            _log.exception("cleaning up after a client failed")
        transport.close()

    def _go_on(self) -> None:
        target = self._target
        if target.running or self._clients.killed or target.last_stop.kind in _FATAL:
            return
        target.resume(dict.fromkeys(range(target.harts), Action.CONTINUE))

    # Wake-ups.

    def _machine_stopped(self) -> None:
        if self._awaiting_stop:
            self._wake()

    def _wake(self) -> None:
        """Make the server's thread look around; safe anywhere."""
        self._woken = True
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")
