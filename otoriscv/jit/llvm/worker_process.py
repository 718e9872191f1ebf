"""A compile worker as its parent sees it: a process with two pipes and a file for the end."""

from __future__ import annotations

import contextlib
import fcntl
import math
import os
import subprocess
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING, Final

from otoriscv.jit.llvm.messages import message, taken
from otoriscv.jit.llvm.request import CompiledRegion, JitError, Request

if TYPE_CHECKING:
    from otoriscv.jit.cache import DiskCache
    from otoriscv.jit.llvm.workers import Job

__all__ = ["WorkerProcess"]

#: Bytes read at once: what is allocated for more comes from the kernel anew each time.
_PIECE: Final = 1 << 16
#: Bytes that the pipe to a worker holds, where the system lets it: a request goes out at once.
_PIPE: Final = 1 << 20
#: Workers that were left to end by themselves, until they are reaped.
_LEFT: Final[list[subprocess.Popen[bytes]]] = []


class WorkerProcess:
    """Starts one; OSError. It compiles for *store*, each request for *patience* seconds at most."""

    def __init__(self, command: Iterable[str], store: DiskCache, patience: float) -> None:
        _LEFT[:] = [process for process in _LEFT if process.poll() is None]
        settings = {
            "PYTHONPATH": os.pathsep.join(p for p in sys.path if p),
            "OTORISCV_CACHE": "1" if store.enabled else "0",
            "OTORISCV_CACHE_DIR": str(store.folder),
        }
        self.later = os.memfd_create("otoriscv-later")  # it reads that once its pipe has ended
        try:
            given = store.limit, math.ceil(patience), self.later
            self.process = subprocess.Popen(
                [*command, *map(str, given)],
                pass_fds=[self.later],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=None if os.environ.get("OTORISCV_DEBUG") else subprocess.DEVNULL,
                start_new_session=True,  # a Ctrl-C at the terminal is not for it
                env=os.environ | settings,
            )
        except OSError:
            os.close(self.later)
            raise
        self.job: Job | None = None
        self.since = 0.0
        self.answers = 0
        self.unsent = bytearray()
        self._received = bytearray()
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):  # there is a limit for each user
            fcntl.fcntl(self.process.stdin.fileno(), fcntl.F_SETPIPE_SZ, _PIPE)

    def send(self, request: Request) -> None:
        """Begin to send *request*; OSError."""
        self.unsent[:] = message(request)
        self.push()

    def push(self) -> None:
        """Write as much of the request as the pipe takes; OSError."""
        pipe = self.process.stdin
        assert pipe is not None
        with contextlib.suppress(BlockingIOError):
            while self.unsent:
                del self.unsent[: os.write(pipe.fileno(), self.unsent)]

    def pull(self) -> CompiledRegion | JitError | None:
        """A whole answer, or None when it has not come yet. EOFError when the worker has ended,
        ValueError or whatever unpickling raises for garbage."""
        pipe = self.process.stdout
        assert pipe is not None
        with contextlib.suppress(BlockingIOError):
            while data := os.read(pipe.fileno(), _PIECE):
                self._received += data
            raise EOFError("the worker ended")
        answer = taken(self._received)
        if not isinstance(answer, CompiledRegion | JitError | None):
            raise ValueError("an answer that makes no sense")
        return answer

    def stop(self) -> None:
        """End it now."""
        self.process.kill()
        self._close_pipes()
        self.process.wait()

    def leave(self, waiting: Iterable[Request] = ()) -> None:
        """Let it end by itself: after what it compiles, and what is *waiting*."""
        with contextlib.suppress(OSError):  # no memory for it: it compiles less
            os.pwrite(self.later, b"".join(map(message, waiting)), 0)
        self._close_pipes()
        _LEFT.append(self.process)

    def _close_pipes(self) -> None:
        os.close(self.later)
        for pipe in (self.process.stdin, self.process.stdout):
            if pipe is not None:
                with contextlib.suppress(OSError):
                    pipe.close()
