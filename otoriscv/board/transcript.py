"""What is known of a console's past: its last line, and a Linux kernel's panic."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

__all__ = ["LastLine", "PanicWatch"]

_LINE_MAX: Final = 500
_PANIC: Final = re.compile(r"Kernel panic - not syncing: .*")
_PANIC_END: Final = "---[ end Kernel panic"
_ESCAPES: Final = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


class LastLine:
    """The last line with something on it."""

    def __init__(self, on_line: Callable[[str], None] = lambda line: None) -> None:
        self._complete = ""
        self._open = bytearray()
        self._on_line = on_line

    def feed(self, data: bytes) -> None:
        """The guest printed *data*."""
        *ended, rest = data.split(b"\n")
        for piece in ended:
            self._open += piece[:_LINE_MAX]
            line = self._shown()
            self._open.clear()
            if line:
                self._complete = line
                self._on_line(line)
        self._open += rest[: _LINE_MAX - len(self._open)]

    @property
    def text(self) -> str:
        """The line, perhaps an unfinished one, without control characters; "" before the first."""
        return self._shown() or self._complete

    def _shown(self) -> str:
        return _ESCAPES.sub("", self._open.decode("utf-8", "replace")).strip()


class PanicWatch:
    """Notices a Linux kernel's panic. *panicked* gets its line when the report is complete."""

    def __init__(self, panicked: Callable[[str], None]) -> None:
        self._panicked = panicked
        self.line: str | None = None

    def see(self, line: str) -> None:
        """The guest printed a whole line."""
        found = _PANIC.search(line)
        if self.line is None and found is not None and _PANIC_END not in line:
            self.line = found[0]
        elif self.line is not None and _PANIC_END in line:
            self._panicked(self.line)
