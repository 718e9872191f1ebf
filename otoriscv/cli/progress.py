"""A line about the run while the guest prints nothing."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

__all__ = ["Progress"]

_FIRST: Final = 2.0  # seconds of silence
_AGAIN: Final = 0.5
_AGAIN_IN_A_FILE: Final = 30.0


class Progress:
    """On a terminal one line that is overwritten and vanishes; elsewhere a line now and then.

    *say* makes the text. `tick` is called often, `quiet` when something was printed.
    """

    def __init__(
        self, say: Callable[[], str], stream: TextIO | None = None, *, first: float = _FIRST
    ) -> None:
        self._say = say
        self._stream = sys.stderr if stream is None else stream
        self._terminal = self._stream.isatty()
        self._first = first if self._terminal else max(first, _AGAIN_IN_A_FILE)
        self._next = time.monotonic() + self._first
        self._shown = 0

    def tick(self) -> None:
        """Show where the run is, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        text = self._say()
        if self._terminal:
            self._next = now + _AGAIN
            self._stream.write("\r" + text.ljust(self._shown))
            self._shown = len(text)
        else:
            self._next = now + _AGAIN_IN_A_FILE
            self._stream.write(text + "\n")
        self._stream.flush()

    def quiet(self) -> None:
        """Something else is printed: wipe the line and wait anew."""
        self._next = time.monotonic() + self._first
        if self._shown:
            self._stream.write("\r" + " " * self._shown + "\r")
            self._stream.flush()
            self._shown = 0
