"""Compile workers: ``python -m otoriscv.jit.llvm.worker`` answers requests on its pipes.

Messages are pickles with a length in front. A worker ends when its pipe does; one that dies or
hangs is replaced by `Workers`, and its request is forgotten: the guest goes on in the
interpreter.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import selectors
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass, field
from typing import IO, Any, Final

from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.compiler import CompiledRegion, JitError, Request, compile_request

__all__ = ["Workers"]

#: Seconds after which a compile is given up and its worker replaced.
PATIENCE: Final = 60.0


@dataclass
class _Worker:
    process: subprocess.Popen[bytes]
    request: Request | None = None
    since: float = 0.0
    buffer: bytearray = field(default_factory=bytearray)


class Workers:
    """A few worker processes, started with the first request."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._workers: list[_Worker] = []
        self._queue: deque[Request] = deque()
        self.replaced = 0

    def submit(self, request: Request) -> None:
        """Compile *request* some time."""
        self._queue.append(request)
        self._feed()

    @property
    def busy(self) -> bool:
        return bool(self._queue) or any(w.request for w in self._workers)

    def poll(self) -> list[tuple[Request, CompiledRegion | None]]:
        """What was finished since the last call; None for what cannot be compiled."""
        done: list[tuple[Request, CompiledRegion | None]] = []
        for worker in list(self._workers):
            request = worker.request
            if request is None:
                continue
            try:
                answer = _receive(worker)
            except (OSError, EOFError, pickle.UnpicklingError):
                self._replace(worker)
                done.append((request, None))
                continue
            if answer is not None:
                worker.request = None
                done.append((request, answer[0]))
            elif time.monotonic() - worker.since > PATIENCE:
                self._replace(worker)
                done.append((request, None))
        if done:
            self._feed()
        return done

    def _feed(self) -> None:
        while self._queue:
            idle = next((w for w in self._workers if w.request is None), None)
            if idle is None:
                if len(self._workers) >= self._count:
                    return
                idle = _start()
                self._workers.append(idle)
            request = self._queue.popleft()
            idle.request, idle.since = request, time.monotonic()
            try:
                _send(idle.process.stdin, request)
            except OSError:
                self._replace(idle)

    def _replace(self, worker: _Worker) -> None:
        self.replaced += 1
        self._workers.remove(worker)
        _stop(worker)

    def close(self) -> None:
        """End every worker."""
        for worker in self._workers:
            _stop(worker)
        self._workers.clear()
        self._queue.clear()


def _start() -> _Worker:
    process = subprocess.Popen(
        [sys.executable, "-c", "from otoriscv.jit.llvm.worker import main; main()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C at the terminal is not for it
        env=os.environ | {"PYTHONPATH": os.pathsep.join(p for p in sys.path if p)},
    )
    assert process.stdout is not None
    os.set_blocking(process.stdout.fileno(), False)
    return _Worker(process)


def _stop(worker: _Worker) -> None:
    worker.process.kill()
    for pipe in (worker.process.stdin, worker.process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()
    worker.process.wait()


def _send(pipe: IO[bytes] | None, message: Any) -> None:
    assert pipe is not None
    data = pickle.dumps(message)
    pipe.write(len(data).to_bytes(8, "little") + data)
    pipe.flush()


def _receive(worker: _Worker) -> tuple[CompiledRegion | None] | None:
    """A whole answer, or None when it has not come yet."""
    pipe = worker.process.stdout
    assert pipe is not None
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while selector.select(0):
            data = os.read(pipe.fileno(), 1 << 20)
            if not data:
                raise EOFError("the worker ended")
            worker.buffer += data
    buffer = worker.buffer
    if len(buffer) < 8:
        return None
    size = int.from_bytes(buffer[:8], "little")
    if len(buffer) < 8 + size:
        return None
    answer: CompiledRegion | None = pickle.loads(bytes(buffer[8 : 8 + size]))
    del buffer[: 8 + size]
    return (answer,)


def main() -> None:
    """The worker's loop."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    store = DiskCache()
    with contextlib.suppress(BrokenPipeError, KeyboardInterrupt):
        while head := requests.read(8):
            request: Request = pickle.loads(requests.read(int.from_bytes(head, "little")))
            answer: CompiledRegion | None
            try:
                answer = compile_request(request, store)
            except JitError:
                answer = None
            _send(answers, answer)
