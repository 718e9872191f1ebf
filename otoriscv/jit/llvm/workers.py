"""Compile workers: processes that answer requests on their pipes.

Nothing here ever waits for a worker (`otoriscv.jit.llvm.worker`). A worker ends when its pipe does:
with what it compiles then, and what is in its second file, for the cache on disk.
One that dies is replaced and its request tried once more; one that hangs is replaced and its
request given up. When workers only die, no more are started: the guest goes on in the interpreter
and never notices. One that has compiled much is let go, for llvmlite keeps 2 KB for each compile (a
PassBuilder's callbacks, which nothing frees).
"""

from __future__ import annotations

import sys
import time
from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.request import CompiledRegion, JitError, Request

if TYPE_CHECKING:
    from otoriscv.jit.llvm.worker_process import WorkerProcess

__all__ = ["COMMAND", "PATIENCE", "Answer", "Workers"]

#: Seconds after which a compile is given up and its worker replaced.
PATIENCE: Final = 60.0
#: How often a request is sent to a worker.
_TRIES: Final = 2
#: Workers lost one after another, none having answered anything: there is no use in more.
_LOST: Final = 6
#: Answers after which a worker ends; the next request starts another.
_ENOUGH: Final = 2000
COMMAND: Final = (sys.executable, "-c", "from otoriscv.jit.llvm.worker import main; main()")

#: A request with its result, or why there is none.
Answer = tuple[Request, CompiledRegion | JitError]


class Job:
    def __init__(self, request: Request) -> None:
        self.request = request
        self.tries = 0


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
        self._workers: list[WorkerProcess] = []
        self._queue: deque[Job] = deque()
        self._failed: list[Answer] = []
        self._lost = 0

    @property
    def idle(self) -> bool:
        """Whether a request would be worked on at once."""
        return len(self._queue) + sum(w.job is not None for w in self._workers) < self.count

    def submit(self, request: Request) -> None:
        """Compile *request* some time; `poll` tells how it went."""
        self._queue.append(Job(request))
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
                worker.push()
                answer = worker.pull()
            except Exception as error:  # whatever a broken worker may have written
                self._replace(worker, f"{type(error).__name__}: {error}")
                continue
            if answer is not None:
                worker.job, self._lost = None, 0
                done.append((job.request, answer))
                worker.answers += 1
                if worker.answers == _ENOUGH:
                    self._workers.remove(worker)
                    worker.leave()
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
            try:
                worker.send(job.request)
            except OSError as error:
                self._replace(worker, str(error))

    def _start(self) -> WorkerProcess | None:
        from otoriscv.jit.llvm.worker_process import WorkerProcess  # warm runs need none

        try:
            worker = WorkerProcess(self._command, self._store, self._patience)
        except OSError as error:
            self.problem = f"no compile worker can be started: {error.strerror}"
            return None
        self._workers.append(worker)
        return worker

    def _replace(self, worker: WorkerProcess, why: str) -> None:
        """A worker is lost; its request is tried with another, or given up."""
        self.replaced += 1
        self._lost += 1
        self._workers.remove(worker)
        worker.stop()
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
        later = list(waiting) if self._workers and self._store.usable else []
        for worker in self._workers:
            if self._store.usable and not worker.unsent and (worker.job or later):
                worker.leave(later)
                later = []
            else:
                worker.stop()
        self._workers.clear()
        self._queue.clear()
        self._failed.clear()
