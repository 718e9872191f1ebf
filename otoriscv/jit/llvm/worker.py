"""A compile worker, which `otoriscv.jit.llvm.workers` starts: requests come in, regions go out."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
import traceback

from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.compiler import compile_request
from otoriscv.jit.llvm.messages import message, messages
from otoriscv.jit.llvm.request import CompiledRegion, JitError

__all__ = ["main"]


def main() -> None:
    """The worker's loop."""
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints is no answer
    patience = int(sys.argv[2])
    store = DiskCache(enabled=os.environ.get("OTORISCV_CACHE") != "0", limit=int(sys.argv[1]))
    listened = True
    files = sys.stdin.buffer, os.fdopen(int(sys.argv[3]), "rb")
    with contextlib.suppress(KeyboardInterrupt):
        for request in (request for file in files for request in messages(file)):
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
                    answers.write(message(answer))
                    answers.flush()
            except BrokenPipeError:  # from here on for the cache alone
                listened = False
                os.nice(19)
                if not store.reserve():
                    break
