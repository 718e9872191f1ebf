"""The console on standard input and output: a raw terminal with an escape key, or plain pipes.

Escape keys as QEMU's: Ctrl-A then x quits, h helps, b sends a break, Ctrl-A sends a Ctrl-A.
"""

from __future__ import annotations

import atexit
import os
import select
import sys
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any, Final

from otoriscv.board.console import QUEUE_LIMIT, InputQueue

__all__ = ["EscapeFilter", "StdioConsole"]

_ESCAPE: Final = 0x01
#: A terminal is always read on, or the escape key would not work while the guest hangs.
_TERMINAL_LIMIT: Final = 16 << 20
_HELP: Final = (
    "\r\nCtrl-A x  quit\r\nCtrl-A b  send a break\r\nCtrl-A Ctrl-A  send Ctrl-A\r\n"
    "Ctrl-A h  this help\r\n"
)


class EscapeFilter:
    """Takes the escape sequences out of typed bytes and acts on them."""

    def __init__(
        self,
        on_quit: Callable[[], None],
        on_break: Callable[[], None],
        on_help: Callable[[], None],
    ) -> None:
        self._actions = {"x": on_quit, "b": on_break, "h": on_help, "?": on_help}
        self._escaped = False

    def feed(self, data: bytes) -> bytes:
        """*data* without escape sequences; an unknown one vanishes, as in QEMU."""
        out = bytearray()
        for byte in data:
            if self._escaped:
                self._escaped = False
                if byte in (_ESCAPE, ord("a")):
                    out.append(_ESCAPE)
                elif action := self._actions.get(chr(byte).lower()):
                    action()
            elif byte == _ESCAPE:
                self._escaped = True
            else:
                out.append(byte)
        return bytes(out)


class _Terminal:
    """A terminal in raw mode until `restore`, which also runs when Python exits."""

    def __init__(self, fd: int) -> None:
        import termios

        self._termios = termios
        self._fd = fd
        self._saved: list[Any] | None = termios.tcgetattr(fd)
        atexit.register(self.restore)
        self.apply()

    def apply(self) -> None:
        """Raw input; output keeps its newline translation (QEMU, chardev/char-stdio.c)."""
        t = self._termios
        mode = t.tcgetattr(self._fd)
        mode[0] &= ~(t.IGNBRK | t.BRKINT | t.PARMRK | t.ISTRIP | t.INLCR | t.IGNCR | t.ICRNL)
        mode[0] &= ~t.IXON
        mode[1] |= t.OPOST
        mode[2] = mode[2] & ~(t.CSIZE | t.PARENB) | t.CS8
        mode[3] &= ~(t.ECHO | t.ECHONL | t.ICANON | t.IEXTEN | t.ISIG)
        mode[6][t.VMIN], mode[6][t.VTIME] = 1, 0
        t.tcsetattr(self._fd, t.TCSANOW, mode)

    def restore(self) -> None:
        """The mode it had."""
        saved, self._saved = self._saved, None
        if saved is not None:
            atexit.unregister(self.restore)
            with suppress(self._termios.error):  # the terminal may be gone
                self._termios.tcsetattr(self._fd, self._termios.TCSADRAIN, saved)


class StdioConsole:
    """Standard input and output, or other descriptors."""

    def __init__(
        self,
        stdin: int = 0,
        stdout: int = 1,
        *,
        on_quit: Callable[[], None] = lambda: None,
        on_break: Callable[[], None] = lambda: None,
    ) -> None:
        self.on_input: Callable[[], None] | None = None
        self.broken = False  # nobody reads our output any more
        self._stdin = stdin
        self._stdout = stdout
        self._terminal = _Terminal(stdin) if _foreground_terminal(stdin) else None
        self._queue = InputQueue(_TERMINAL_LIMIT if self._terminal else QUEUE_LIMIT)
        self._queue.notify = self._tell
        self._filter = None
        if self._terminal is not None:
            self._filter = EscapeFilter(on_quit, on_break, self._help)
        self._wake_read, self._wake_write = os.pipe()
        self._thread: threading.Thread | None = None
        if self._terminal is None and _is_terminal(stdin):
            self._queue.end()  # in the background: reading would stop the process
        else:
            self._thread = threading.Thread(target=self._pump, name="console", daemon=True)
            self._thread.start()

    @property
    def interactive(self) -> bool:
        """True on a terminal in the foreground."""
        return self._terminal is not None

    @property
    def eof(self) -> bool:
        """True when standard input ended and everything was read."""
        return self._queue.ended

    @property
    def ready(self) -> bool:
        """True when there is input, or its end was reached."""
        return self._queue.ready

    def write(self, data: bytes) -> None:
        """Print; when the reader went away the rest is dropped and ``broken`` set."""
        view = memoryview(data)
        while view and not self.broken:
            try:
                view = view[os.write(self._stdout, view) :]
            except BlockingIOError:
                select.select([], [self._stdout], [])
            except BrokenPipeError:
                self.broken = True

    def read(self, limit: int) -> bytes:
        """What was typed or piped in."""
        return self._queue.take(limit)

    def reapply(self) -> None:
        """Set raw mode again (after SIGCONT)."""
        if self._terminal is not None:
            self._terminal.apply()

    def close(self) -> None:
        """Stop reading and restore the terminal."""
        terminal = self._terminal
        if terminal is not None:
            terminal.restore()
        self._queue.close()
        if self._wake_write >= 0:
            os.close(self._wake_write)
            self._wake_write = -1
            if self._thread is not None and self._thread is not threading.current_thread():
                self._thread.join(timeout=1)
            if self._thread is None or not self._thread.is_alive():
                os.close(self._wake_read)

    def _pump(self) -> None:
        """The reading thread."""
        while self._queue.wait_room():
            try:
                ready, _, _ = select.select([self._stdin, self._wake_read], [], [])
                if self._wake_read in ready:
                    return
                data = os.read(self._stdin, 4096)
            except (OSError, ValueError):  # closed, or a hung-up terminal
                data = b""
            if not data:
                self._queue.end()
                return
            if self._filter is not None:
                data = self._filter.feed(data)
            if data:
                self._queue.put(data)

    def _help(self) -> None:
        sys.stderr.write(_HELP)
        sys.stderr.flush()

    def _tell(self) -> None:
        if self.on_input is not None:
            self.on_input()


def _is_terminal(fd: int) -> bool:
    try:
        return os.isatty(fd)
    except OSError:
        return False


def _foreground_terminal(fd: int) -> bool:
    """True for a terminal that we may read and set without being stopped."""
    if os.name != "posix" or not _is_terminal(fd):
        return False
    try:
        return os.tcgetpgrp(fd) == os.getpgrp()
    except OSError:  # not our controlling terminal: nobody stops us
        return True
