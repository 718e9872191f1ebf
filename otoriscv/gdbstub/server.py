"""The GDB server: lets clients in, one after another, and keeps the machine safe from them."""

from __future__ import annotations

import contextlib
import logging
import selectors
import socket
import threading
import time
from collections import deque
from typing import Literal

from otoriscv.gdbstub.session import Session
from otoriscv.gdbstub.target import Action, StopEvent, StopKind, Target
from otoriscv.gdbstub.transport import StdioTransport, TcpTransport, Transport, listen

__all__ = ["GdbServer"]

_log = logging.getLogger(__name__)

_PATIENCE = 1.0  # seconds a second client is kept waiting before its connection is closed
_MAX_WAITING = 4
_HEARTBEAT = 1.0  # a running machine is asked this often, should a wake-up be lost
_KILLED = 128 + 9  # what a shell says of a killed process
_FATAL = (StopKind.EXIT, StopKind.CRASH)


class GdbServer:
    """Serves a `Target` to debuggers.

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
        self._waiting: deque[tuple[TcpTransport, float]] = deque()
        self._transport: Transport | None = None
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()
        self._wake_in, self._wake_out = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._awaiting_stop = False
        self._serving = False
        self._killed = False  # by the last client
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
        transport = self._transport
        if transport is not None:
            transport.abort()
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
        try:
            with selectors.DefaultSelector() as selector:
                selector.register(self._wake_in, selectors.EVENT_READ)
                if self._listener is not None:
                    selector.register(self._listener, selectors.EVENT_READ)
                self._serve(selector)
        finally:
            while self._waiting:
                self._waiting.popleft()[0].close()
            if self._listener is not None:
                self._listener.close()
            self._wake_out.close()
            self._wake_in.close()
        return self._ending

    def _serve(self, selector: selectors.BaseSelector) -> None:
        while not self._closed.is_set():
            if self._only_client is not None:
                self._attend(self._only_client)
                self._only_client = None
                if not self._resume:
                    return
            client = self._next_client(selector)
            if client is not None:
                selector.register(client, selectors.EVENT_READ)
                try:
                    self._attend(client, selector)
                finally:
                    selector.unregister(client)
                    client.close()
            if self._resume and self._guest_ended():
                return

    # Between clients.

    def _next_client(self, selector: selectors.BaseSelector) -> TcpTransport | None:
        """Wait for a client; None when the server is closed or the guest has ended."""
        while not self._waiting:
            self._awaiting_stop = self._target.running
            ready = selector.select(_HEARTBEAT if self._awaiting_stop else None)
            self._take_wakeups(ready)
            if self._closed.is_set() or (self._resume and self._guest_ended()):
                return None
            self._accept(ready)
        return self._waiting.popleft()[0]

    def _guest_ended(self) -> bool:
        """True when the guest is over and nobody is there to look at it."""
        target = self._target
        event = target.wait(0) if target.running else target.last_stop
        if self._killed:
            event = StopEvent(StopKind.EXIT, code=_KILLED, message="killed by the debugger")
        if event is not None and event.kind in _FATAL:
            self._ending = event
        return self._ending is not None

    def _accept(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        """Let newcomers into the waiting room."""
        if self._listener is None or all(key.fileobj is not self._listener for key, _ in ready):
            return
        with contextlib.suppress(OSError):
            connection, _ = self._listener.accept()
            transport = TcpTransport(connection)
            if len(self._waiting) < _MAX_WAITING:
                self._waiting.append((transport, time.monotonic() + _PATIENCE))
            else:
                transport.close()

    def _turn_away(self) -> float | None:
        """Close the connections that waited long enough; returns how long the next may wait."""
        now = time.monotonic()
        while self._waiting and self._waiting[0][1] <= now:
            self._waiting.popleft()[0].close()
        return self._waiting[0][1] - now if self._waiting else None

    # With a client.

    def _attend(self, transport: Transport, selector: selectors.BaseSelector | None = None) -> None:
        """Serve one client until it leaves."""
        if selector is None:
            with selectors.SelectSelector() as own:  # poll and epoll refuse regular files
                own.register(self._wake_in, selectors.EVENT_READ)
                own.register(transport, selectors.EVENT_READ)
                self._attend(transport, own)
            return
        self._transport = transport
        session: Session | None = None
        try:
            session = self._welcome(transport)
            while not (session.finished or self._closed.is_set()):
                self._exchange(session, transport, selector)
        except OSError as error:
            _log.info("the client is gone: %s", error)
        except Exception:
            _log.exception("the session failed")
        finally:
            self._transport = None
            if session is not None:
                self._farewell(session)

    def _welcome(self, transport: Transport) -> Session:
        """A halted, living machine for the newcomer."""
        session = Session(self._target, transport.send, self._wake, local=transport.local)
        session.enter()
        if not self._resume and (self._killed or session.ended):
            session.restart()
        self._killed = False
        return session

    def _exchange(
        self, session: Session, transport: Transport, selector: selectors.BaseSelector
    ) -> None:
        """Wait for the client or the machine, and handle what comes."""
        timeout = self._turn_away()
        self._awaiting_stop = session.running
        if session.running:
            timeout = min(timeout or _HEARTBEAT, _HEARTBEAT)
            if not self._target.running:
                timeout = 0  # it stopped before a wake-up was asked for
        ready = selector.select(timeout)
        for key, _ in ready:
            if key.fileobj is transport:
                data = transport.receive()
                if not data:
                    session.finished = True
                    return
                session.receive(data)
        self._take_wakeups(ready)
        self._accept(ready)
        session.poll()

    def _farewell(self, session: Session) -> None:
        """Undo what the client set up, and let the guest go on if it should."""
        try:
            if session.detached and self._target.running:
                return
            session.leave()
            self._killed = session.killed
            if self._resume and not self._closed.is_set():
                self._go_on()
        except Exception:
            _log.exception("cleaning up after a client failed")

    def _go_on(self) -> None:
        if not self._killed and self._target.last_stop.kind not in _FATAL:
            self._target.resume(dict.fromkeys(range(self._target.harts), Action.CONTINUE))

    # Wake-ups.

    def _machine_stopped(self) -> None:
        if self._awaiting_stop:
            self._wake()

    def _wake(self) -> None:
        """Make the server's thread look around; safe anywhere."""
        with contextlib.suppress(OSError):
            self._wake_out.send(b"\0")

    def _take_wakeups(self, ready: list[tuple[selectors.SelectorKey, int]]) -> None:
        if any(key.fileobj is self._wake_in for key, _ in ready):
            with contextlib.suppress(BlockingIOError):
                self._wake_in.recv(4096)
