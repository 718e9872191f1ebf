"""Compile workers: processes that answer requests on their pipes.

Messages are pickles with a length in front. Nothing here ever waits for a worker. A worker ends
when its pipe does: with what it compiles then, and what is in its second file, for the cache on
disk.
One that dies is replaced and its request tried once more; one that hangs is replaced and its
request given up. When workers only die, no more are started: the guest goes on in the interpreter
and never notices. One that has compiled much is let go, for llvmlite keeps 2 KB for each compile (a
PassBuilder's callbacks, which nothing frees).
"""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import pickle
import signal
import subprocess
import sys
import time
import traceback
from collections import deque
from collections.abc import Iterable, Iterator
from typing import IO, Any, Final

from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.compiler import CompiledRegion, JitError, Request, compile_request

__all__ = ["COMMAND", "PATIENCE", "Answer", "Workers"]

#: Seconds after which a compile is given up and its worker replaced.
PATIENCE: Final = 60.0
#: How often a request is sent to a worker.
_TRIES: Final = 2
#: Workers lost one after another, none having answered anything: there is no use in more.
_LOST: Final = 6
#: Answers after which a worker ends; the next request starts another.
_ENOUGH: Final = 2000
#: The largest answer that makes sense; a length beyond is garbage.
_LARGEST: Final = 1 << 28
#: Bytes read at once: what is allocated for more comes from the kernel anew each time.
_PIECE: Final = 1 << 16
#: Bytes that the pipe to a worker holds, where the system lets it: a request goes out at once.
_PIPE: Final = 1 << 20
#: Workers that were left to end by themselves, until they are reaped.
_LEFT: Final[list[subprocess.Popen[bytes]]] = []
COMMAND: Final = (sys.executable, "-c", "from otoriscv.jit.llvm.worker import main; main()")

#: A request with its result, or why there is none.
Answer = tuple[Request, CompiledRegion | JitError]


class _Job:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.tries = 0


class _Worker:
    def __init__(self, process: subprocess.Popen[bytes], later: int) -> None:
        self.process = process
        self.later = later  # a file that it reads once its pipe has ended
        self.job: _Job | None = None
        self.since = 0.0
        self.answers = 0
        self.unsent = bytearray()
        self.received = bytearray()


class Workers:
    """*count* worker processes at most, started when there is something to compile."""

    def __init__(
        self,
        count: int,
        store: DiskCache,
        *,
        patience: float = PATIENCE,
        command: tuple[str, ...] = COMMAND,
    ) -> None:
        self.count = count
        self.replaced = 0  #: workers that died or hung
        self.problem = ""  #: why no more are started
        self._store = store
        self._patience = patience
        self._command = command
        self._workers: list[_Worker] = []
        self._queue: deque[_Job] = deque()
        self._failed: list[Answer] = []
        self._lost = 0

    @property
    def idle(self) -> bool:
        """Whether a request would be worked on at once."""
        return len(self._queue) + sum(w.job is not None for w in self._workers) < self.count

    def submit(self, request: Request) -> None:
        """Compile *request* some time; `poll` tells how it went."""
        self._queue.append(_Job(request))
        self._feed()

    @property
    def busy(self) -> bool:
        """Whether `poll` will have something to tell."""
        return bool(self._queue or self._failed) or any(w.job for w in self._workers)

    @property
    def processes(self) -> list[int]:
        """The process ids of the workers."""
        return [w.process.pid for w in self._workers]

    def poll(self) -> list[Answer]:
        """What was finished since the last call; `JitError` for what cannot be compiled."""
        done: list[Answer] = []
        for worker in list(self._workers):
            job = worker.job
            if job is None:
                continue
            try:
                _push(worker)
                answer = _pull(worker)
            except Exception as error:  # whatever a broken worker may have written
                self._replace(worker, f"{type(error).__name__}: {error}")
                continue
            if answer is not None:
                worker.job, self._lost = None, 0
                done.append((job.request, answer))
                worker.answers += 1
                if worker.answers == _ENOUGH:
                    self._workers.remove(worker)
                    _leave(worker)
            elif time.monotonic() - worker.since > self._patience:
                job.tries = _TRIES
                self._replace(worker, f"no answer within {self._patience:g} s")
        self._feed()
        done += self._failed
        self._failed.clear()
        return done

    def _feed(self) -> None:
        """Give waiting requests to idle workers, starting them when there are too few."""
        while self._queue:
            worker = next((w for w in self._workers if w.job is None), None)
            if worker is None and not self.problem and len(self._workers) < self.count:
                worker = self._start()
            if worker is None:
                if self.problem and not self._workers:
                    waiting = [(job.request, JitError(self.problem)) for job in self._queue]
                    self._failed += waiting
                    self._queue.clear()
                return
            job = self._queue.popleft()
            job.tries += 1
            worker.job, worker.since = job, time.monotonic()
            worker.unsent[:] = _message(job.request)
            try:
                _push(worker)
            except OSError as error:
                self._replace(worker, str(error))

    def _start(self) -> _Worker | None:
        _reap()
        settings = {
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OTORISCV_CACHE": "1" if self._store.enabled else "0",
            "OTORISCV_CACHE_DIR": str(self._store.folder),
        }
        later = -1
        try:
            later = os.memfd_create("otoriscv-later")
            given = self._store.limit, math.ceil(self._patience), later
            process = subprocess.Popen(
                [*self._command, *map(str, given)],
                pass_fds=[later],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("OTORISCV_DEBUG") else subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is not for it
                env=os.environ | settings,
            )
        except OSError as error:
            if later >= 0:
                os.close(later)
            self.problem = f"no compile worker can be started: {error.strerror}"
            return None
        for pipe in (process.stdin, process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # there is a limit for each user
            fcntl.fcntl(process.stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)
        worker = _Worker(process, later)
        self._workers.append(worker)
        return worker

    def _replace(self, worker: _Worker, why: str) -> None:
        """A worker is lost; its request is tried with another, or given up."""
        self.replaced += 1
        self._lost += 1
        self._workers.remove(worker)
        _stop(worker)
        job = worker.job
        if self._lost >= _LOST:
            self.problem = f"compile workers do not work: {why}"
        if job is None:
            return
        if job.tries < _TRIES and not self.problem:
            self._queue.appendleft(job)
        else:
            self._failed.append((job.request, JitError(f"the worker was lost: {why}")))

    def close(self, waiting: Iterable[Request] = ()) -> None:
        """End every worker; one that compiles for the cache on disk ends when that is done, or the
        next run would begin with the same, and so would each that is shorter than it takes. One of
        them gets what is *waiting*, too."""
        later = b"".join(map(_message, waiting)) if self._workers and self._store.usable else b""
        for worker in self._workers:
            if not self._store.usable or worker.unsent or not (worker.job or later):
                _stop(worker)
                continue
            with contextlib.suppress(OSError):  # no memory for it: it compiles less
                os.pwrite(worker.later, later, 0)
            later = b""
            _leave(worker)
        self._workers.clear()
        self._queue.clear()
        self._failed.clear()


def _stop(worker: _Worker) -> None:
    worker.process.kill()
    _close_pipes(worker)
    worker.process.wait()


def _leave(worker: _Worker) -> None:
    _close_pipes(worker)
    _LEFT.append(worker.process)


def _reap() -> None:
    """Forget the workers that were left and have ended."""
    _LEFT[:] = [process for process in _LEFT if process.poll() is None]


def _close_pipes(worker: _Worker) -> None:
    os.close(worker.later)
    for pipe in (worker.process.stdin, worker.process.stdout):
        if pipe is not None:
            with contextlib.suppress(OSError):
                pipe.close()


def _message(content: Any) -> bytes:
    data = pickle.dumps(content)
    return len(data).to_bytes(8, "little") + data


def _push(worker: _Worker) -> None:
    """Write as much of the request as the pipe takes."""
    pipe = worker.process.stdin
    assert pipe is not None
    with contextlib.suppress(BlockingIOError):
        while worker.unsent:
            del worker.unsent[: os.write(pipe.fileno(), worker.unsent)]


def _pull(worker: _Worker) -> CompiledRegion | JitError | None:
    """A whole answer, or None when it has not come yet; EOFError, ValueError for garbage."""
    pipe = worker.process.stdout
    assert pipe is not None
    with contextlib.suppress(BlockingIOError):
        while data := os.read(pipe.fileno(), _PIECE):
            worker.received += data
        raise EOFError("the worker ended")
    buffer = worker.received
    if len(buffer) < 8:
        return None
    size = int.from_bytes(buffer[:8], "little")
    if size > _LARGEST:
        raise ValueError("an answer that makes no sense")
    if len(buffer) < 8 + size:
        return None
    answer = pickle.loads(bytes(buffer[8 : 8 + size]))
    if not isinstance(answer, CompiledRegion | JitError) or len(buffer) > 8 + size:
        raise ValueError("an answer that makes no sense")
    buffer.clear()
    return answer


def main() -> None:
    """The worker's loop."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    patience = int(sys.argv[2])
    store = DiskCache(enabled=os.environ.get("OTORISCV_CACHE") != "0", limit=int(sys.argv[1]))
    listened = True
    files = sys.stdin.buffer, os.fdopen(int(sys.argv[3]), "rb")
    with contextlib.suppress(KeyboardInterrupt):
        for request in (request for file in files for request in _requests(file)):
            answer: CompiledRegion | JitError
            signal.alarm(patience)  # nobody may be left to end it
            try:
                answer = compile_request(request, store)
            except JitError as error:
                answer = error
            except Exception as error:  # a bug: the guest goes on in the interpreter
                traceback.print_exc()
                answer = JitError(f"{type(error).__name__}: {error}")
            signal.alarm(0)
            try:
                if listened:
                    answers.write(_message(answer))
                    answers.flush()
            except BrokenPipeError:  # from here on for the cache alone
                listened = False
                os.nice(19)
                if not store.reserve():
                    break


def _requests(file: IO[bytes]) -> Iterator[Request]:
    """The requests in *file*, to the last whole one."""
    while len(head := file.read(8)) == 8:
        size = int.from_bytes(head, "little")
        data = file.read(size)
        if len(data) < size:
            return
        yield pickle.loads(data)
