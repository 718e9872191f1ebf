"""Workers without processes, for tests that say when an answer comes."""

from __future__ import annotations

from collections.abc import Iterable

from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.compiler import compile_request
from otoriscv.jit.llvm.request import Request
from otoriscv.jit.llvm.workers import Answer, Workers


class Inline(Workers):
    """Compiles here, when the test says so."""

    def __init__(self, count: int, store: DiskCache) -> None:
        super().__init__(count, store)
        self.asked: list[Request] = []
        self.waiting: list[Request] = []
        self.open = False  # it answers

    @property
    def idle(self) -> bool:
        return not self.waiting

    def submit(self, request: Request) -> None:
        self.asked.append(request)
        self.waiting.append(request)

    def poll(self) -> list[Answer]:
        ready = self.waiting if self.open else []
        self.waiting = [] if self.open else self.waiting
        return [(request, compile_request(request)) for request in ready]

    def close(self, waiting: Iterable[Request] = ()) -> None:
        self.asked += waiting
        super().close()
