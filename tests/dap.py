"""A client of the Debug Adapter Protocol, as an editor is one: requests, and events in order."""

from __future__ import annotations

import json
import queue
import subprocess
import threading
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["Adapter", "DapError"]

_PATIENCE = 120.0


class DapError(Exception):
    """The adapter refused a request."""


class Adapter:
    """A debug adapter that was started by *command* and talks through its pipes."""

    def __init__(self, command: Sequence[str], cwd: Path, environment: dict[str, str]) -> None:
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=cwd, env=environment
        )
        self._seq = 0
        self._responses: queue.Queue[dict[str, Any]] = queue.Queue()
        self._early: dict[int, dict[str, Any]] = {}
        self._events: queue.Queue[dict[str, Any]] = queue.Queue()
        #: All the text of output events so far.
        self.output = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._process.kill()
        self._process.wait()

    def _read(self) -> None:
        stream = self._process.stdout
        assert stream is not None
        while header := stream.readline():
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                stream.readline()
                message = json.loads(stream.read(int(value)))
                if message["type"] == "response":
                    self._responses.put(message)
                elif message["event"] == "output":
                    self.output += message["body"]["output"]
                else:
                    self._events.put(message)

    def send(self, command: str, **arguments: Any) -> int:
        """Send a request without waiting for its response; returns its number."""
        self._seq += 1
        message = {"seq": self._seq, "type": "request", "command": command, "arguments": arguments}
        text = json.dumps(message).encode()
        assert self._process.stdin is not None
        self._process.stdin.write(b"Content-Length: %d\r\n\r\n%s" % (len(text), text))
        self._process.stdin.flush()
        return self._seq

    def response(self, seq: int) -> dict[str, Any]:
        """The body of the response to request *seq*; DapError when it was refused."""
        while seq not in self._early:
            message = self._responses.get(timeout=_PATIENCE)
            self._early[message["request_seq"]] = message
        message = self._early.pop(seq)
        if not message["success"]:
            raise DapError(f"{message['command']}: {message.get('message', '')}")
        body: dict[str, Any] = message.get("body", {})
        return body

    def request(self, command: str, **arguments: Any) -> dict[str, Any]:
        """Send a request and return its response's body."""
        return self.response(self.send(command, **arguments))

    def event(self, name: str) -> dict[str, Any]:
        """The body of the next event of that name; others before it are dropped."""
        while (message := self._events.get(timeout=_PATIENCE))["event"] != name:
            pass
        body: dict[str, Any] = message.get("body", {})
        return body
