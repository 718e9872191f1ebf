"""Driving the real gdb from tests, through pygdbmi: commands with tokens, stops, evaluation."""

from __future__ import annotations

import time
from types import TracebackType
from typing import Any

from pygdbmi.gdbcontroller import GdbController

from otoriscv.tools import find_gdb

__all__ = ["Gdb", "GdbError", "Stopped", "quote"]

Record = dict[str, Any]


class GdbError(Exception):
    """gdb answered ``^error``, or did not answer in time."""


class Stopped:
    """A ``*stopped`` record."""

    def __init__(self, payload: Record) -> None:
        self.payload = payload
        frame = payload.get("frame", {})
        self.reason: str = payload.get("reason", "")
        self.signal: str = payload.get("signal-name", "")
        self.function: str = frame.get("func", "")
        self.pc = int(frame.get("addr", "0"), 16)
        self.line = int(frame.get("line", "0"))
        self.thread: str = payload.get("thread-id", "")

    def __repr__(self) -> str:
        return f"Stopped({self.payload!r})"


class Gdb:
    """One gdb process. Everything that it says is kept in ``log``, in order."""

    def __init__(self, elf: str | None = None, *, timeout: float = 20.0) -> None:
        gdb = find_gdb()
        if not gdb.usable:
            raise GdbError(gdb.reason)
        command = [*gdb.command, "--nx", "--quiet", "--interpreter=mi3"]
        self._timeout = timeout
        self._token = 0
        self._stops: list[Stopped] = []
        self.log: list[Record] = []
        self._controller = GdbController(
            command + ([elf] if elf else []), time_to_check_for_additional_output_sec=0.002
        )
        self.mi("-gdb-set confirm off")
        self.mi("-gdb-set mi-async on")

    def __enter__(self) -> Gdb:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End gdb, without letting it detach."""
        self._controller.exit()

    # Commands.

    def mi(self, command: str) -> Record:
        """Run an MI command; the payload of its result."""
        self._token += 1
        token = self._token
        self._controller.write(f"{token}{command}", read_response=False)
        for record in self._records(self._timeout, command):
            if record["type"] == "result" and record["token"] == token:
                if record["message"] == "error":
                    raise GdbError(f"{command}: {record['payload']['msg']}")
                return record["payload"] or {}
        raise AssertionError

    def cli(self, command: str) -> str:
        """Run a console command; the text that it prints."""
        start = len(self.log)
        self.mi(f"-interpreter-exec console {quote(command)}")
        return self.text(start)

    def text(self, start: int = 0) -> str:
        """The console and target output since log entry *start*."""
        return "".join(
            str(record["payload"])
            for record in self.log[start:]
            if record["type"] in ("console", "target", "log")
        ).replace("\\n", "\n")

    def connect(self, host: str, port: int, *, extended: bool = False) -> None:
        """Attach to a stub."""
        kind = "extended-remote" if extended else "remote"
        where = f"[{host}]" if ":" in host else host
        self.mi(f"-target-select {kind} {where}:{port}")
        self._stops.clear()

    # Running.

    def wait_stop(self, timeout: float | None = None) -> Stopped:
        """The next stop."""
        limit = self._timeout if timeout is None else timeout
        if not self._stops:
            for _ in self._records(limit, "a stop"):
                if self._stops:
                    break
        return self._stops.pop(0)

    def go(self, command: str = "-exec-continue") -> Stopped:
        """Resume with an MI command and wait for the stop."""
        self._stops.clear()
        self.mi(command)
        return self.wait_stop()

    def run_cli(self, command: str) -> Stopped:
        """Resume with a console command (``until``, ``advance``, ``stepi 5``...) likewise."""
        return self.go(f"-interpreter-exec console {quote(command)}")

    def interrupt(self) -> Stopped:
        """Stop what runs."""
        self.mi("-exec-interrupt")
        return self.wait_stop()

    # Looking.

    def evaluate(self, expression: str) -> str:
        """The value of an expression, as gdb prints it."""
        return str(self.mi(f"-data-evaluate-expression {quote(expression)}")["value"])

    def integer(self, expression: str) -> int:
        """The value of an integer expression."""
        return int(self.evaluate(f"(unsigned long long)({expression})"))

    def breakpoint(self, where: str, *options: str) -> str:
        """``-break-insert``; options are -t, -h, -c CONDITION... Returns the number."""
        words = " ".join((*options, where))
        return str(self.mi(f"-break-insert {words}")["bkpt"]["number"])

    def backtrace(self) -> list[str]:
        """The functions on the stack, innermost first."""
        frames = self.mi("-stack-list-frames")["stack"]
        return [frame.get("func", "??") for frame in frames]

    def warnings(self) -> list[str]:
        """Every line so far that warns or reports an error."""
        marks = ("warning", "error", "not compatible", "truncated", "mismatch", "ignoring packet")
        return [line for line in self.text().splitlines() if any(m in line.lower() for m in marks)]

    def _records(self, timeout: float, what: str) -> Any:
        """What gdb says, record by record, until *timeout*."""
        end = time.monotonic() + timeout
        while time.monotonic() < end:
            batch = self._controller.get_gdb_response(
                timeout_sec=0.05, raise_error_on_timeout=False
            )
            self.log += batch
            for record in batch:
                if record["type"] == "notify" and record["message"] == "stopped":
                    self._stops.append(Stopped(record["payload"] or {}))
            yield from batch
        raise GdbError(f"no answer to {what} in {timeout:g} s; gdb said:\n{self.text()[-2000:]}")


def quote(text: str) -> str:
    """An MI string."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
