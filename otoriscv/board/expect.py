"""``--expect``, ``--send`` and ``--fail-on``: a talk with the guest, byte by byte."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Final

__all__ = ["Expecter"]

_WINDOW: Final = 4096
#: An expression without alternatives or flags whose last element is a character.
_PLAIN: Final = re.compile(
    r"(?!.*\||.*\(\?).*?(?<!\\)(?:\\(?P<escaped>[^\w\s])|(?P<plain>[^\\\[\](){}.*+?^$|\n]))",
    re.DOTALL,
)
#: An expression in which every ``|`` is between alternatives of the whole.
_FLAT: Final = re.compile(r"[^\\(\[]*")


class Expecter:
    """Watches what the guest prints.

    *expect* are regular expressions to be found one behind the other; *matched* is called at the
    byte that completes the last. *fail_on* ends the run: *failed* is called with the line in which
    it was found, at that line's end. Expressions see one line at a time, or the last 4096 bytes
    when one of them mentions a newline. ValueError for a bad expression.

    *sends* has what to type once so many expressions were found (`begin`: with none of them), and
    *send* types it. When something is typed behind the last one, the run goes on to its own end:
    *matched* is not called.
    """

    def __init__(
        self,
        expect: Sequence[str],
        fail_on: str | None,
        *,
        matched: Callable[[], None],
        failed: Callable[[str], None],
        sends: Mapping[int, bytes] | None = None,
        send: Callable[[bytes], None] = lambda data: None,
    ) -> None:
        self._expect = [_compile("--expect", text) for text in expect]
        self._fail_on = None if fail_on is None else _compile("--fail-on", fail_on)
        self._lines = not any("\\n" in text for text in (*expect, fail_on or ""))
        self._matched = matched
        self._failed = failed
        self._sends = sends or {}
        self._send = send
        self._done = 0  # how many of `expect` were found
        self._seen = bytearray()  # what the next expression may match
        self._line = bytearray()
        self._failing = False
        known = [_last_bytes(each) for each in (*self._expect, self._fail_on) if each is not None]
        #: Finds the bytes at which something may match or end; None: any byte.
        self._telling = None if None in known else _any_of({10}.union(*filter(None, known)))

    @property
    def unmet(self) -> str | None:
        """The first expression not found yet."""
        if self._done == len(self._expect):
            return None
        return self._expect[self._done].pattern.decode()

    @property
    def failure(self) -> str | None:
        """The line so far in which `fail_on` was found."""
        return self._line.decode(errors="replace").strip() if self._failing else None

    def ends(self) -> frozenset[int] | None:
        """The bytes at which something may have to happen at once; None: any byte."""
        found = {10} if self._fail_on is not None else set()
        for expression in self._expect:
            last = _last_bytes(expression)
            if last is None:
                return None
            found |= last
        return frozenset(found)

    def begin(self) -> None:
        """The run begins: type what waits for nothing."""
        self._type()

    def _type(self) -> None:
        data = self._sends.get(self._done)
        if data is not None:
            self._send(data)

    def feed(self, data: bytes) -> None:
        """The guest printed *data*."""
        if self._telling is None:
            for byte in data:
                self._byte(byte)
            return
        start = 0
        for found in self._telling.finditer(data):
            self._keep(data[start : found.start()])
            self._byte(data[found.start()])
            start = found.end()
        self._keep(data[start:])

    def _keep(self, data: bytes) -> None:
        """*data* completes nothing."""
        self._line += data
        if not self._failing:
            del self._line[:-_WINDOW]
        self._seen += data
        del self._seen[:-_WINDOW]

    def _byte(self, byte: int) -> None:
        end = byte == 10
        if end and self._failing:
            self._failed(self.failure or "")
        if not end:
            self._line.append(byte)
            if len(self._line) > _WINDOW and not self._failing:
                del self._line[0]
            if self._fail_on is not None and not self._failing:
                self._failing = self._fail_on.search(self._line) is not None
        if end and self._lines:
            self._seen.clear()
        else:
            self._seen.append(byte)
            if len(self._seen) > _WINDOW:
                del self._seen[: len(self._seen) - _WINDOW]
        if self._done < len(self._expect):
            found = self._expect[self._done].search(self._seen)
            if found is not None:
                del self._seen[: max(found.end(), 1)]
                self._done += 1
                self._type()
                if self._done == len(self._expect) and self._done not in self._sends:
                    self._matched()
        if end and not self._failing:
            self._line.clear()


def _last_bytes(expression: re.Pattern[bytes]) -> set[int] | None:
    """The bytes that end what *expression* matches; None when that is not easy to tell."""
    pattern = expression.pattern.decode()
    found = set()
    for each in pattern.split("|") if _FLAT.fullmatch(pattern) else [pattern]:
        last = _PLAIN.fullmatch(each)
        if last is None:
            return None
        found.add(ord(last["escaped"] or last["plain"]))
    return found if max(found) < 128 else None


def _any_of(some: set[int]) -> re.Pattern[bytes]:
    return re.compile(b"[" + b"".join(b"\\x%02x" % byte for byte in sorted(some)) + b"]")


def _compile(option: str, text: str) -> re.Pattern[bytes]:
    try:
        return re.compile(text.encode())
    except re.error as error:
        raise ValueError(f"{option} {text!r} is no regular expression: {error}") from None
