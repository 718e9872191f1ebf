"""How another thread looks at a machine that runs: between two instructions, and by turns."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final

__all__ = ["Visits"]

_SECONDS: Final = 5.0


class Visits:
    """A door in a run. The run's thread opens it at an instruction's boundary when somebody waits.

    It is closed behind the last visitor and opened again after a whole slice, a few milliseconds:
    who comes again and again does not keep the machine from running. *wake* ends its sleep.
    """

    def __init__(self, wake: Callable[[], None]) -> None:
        self._wake = wake
        self._changed = threading.Condition()
        self._open = False
        self.wanted = 0  #: how many wait at the door or are inside

    def receive(self) -> None:
        """In the run's thread: let those in who wait, and wait until they are gone."""
        with self._changed:
            self._open = self.wanted > 0
            self._changed.notify_all()
            self._changed.wait_for(lambda: not self._open)

    def run_ended(self) -> None:
        """There is no run any more to wait for: `visit`'s *running* says so already."""
        if self.wanted:
            with self._changed:
                self._changed.notify_all()

    @contextmanager
    def visit(self, running: Callable[[], bool]) -> Iterator[None]:
        """Be inside, while *running* says that there is a run. From any thread but its own.

        TimeoutError when it does not get to the door: a callback does not return.
        """
        with self._changed:
            self.wanted += 1
            self._wake()
            if not self._changed.wait_for(lambda: self._open or not running(), _SECONDS):
                self._leave()
                raise TimeoutError("the machine does not come to the end of an instruction")
        try:
            yield
        finally:
            with self._changed:
                self._leave()

    def _leave(self) -> None:
        self.wanted -= 1
        if not self.wanted:
            self._open = False
            self._changed.notify_all()
