"""Which .exp files of gdb's test-suite can test something on a bare machine, and why others cannot.

The rules look at a file and at the programs of its own name beside it: what such a program needs
of an operating system, and what the test itself says that it needs.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

__all__ = ["candidates", "chosen", "reason"]

#: The folders that concern a stub: no other languages, none of gdb's own Linux-only features.
FOLDERS: Final = ("gdb.arch/riscv*", "gdb.base/*", "gdb.mi/*", "gdb.python/*")

#: What a test's text says, and why such a test is left out; the first that matches counts.
_TEST_RULES: Final = tuple(
    (re.compile(pattern, re.MULTILINE), why)
    for pattern, why in (
        (r"-ex run|-x-script|spawn_with_cmdline_opts.*\brun\b", "runs a program of the host"),
        (r"can_spawn_for_attach|gdb_test.*\"attach \$", "attaches to a process of the host"),
        (r"skip_shlib_tests|gdb_compile_shlib|\bshlib=|dlmopen", "shared libraries"),
        (r"gdb_compile_pthreads|\{[^}]*\bpthreads\b[^}]*\}|-l?pthread|skip_.*thread", "threads"),
        (r"follow-fork|follow-exec|detach-on-fork|catch v?fork|catch exec|catch syscall", "fork"),
        (r"gdb_core_cmd|core_find|gdb_gcore_cmd|\bgcore\b", "core files"),
        (r"^if.*gdb,nosignals|can_single_step_to_signal|supports_get_siginfo", "signals"),
        (r"skip_gdbserver_tests|gdbserver-support|gdbserver_run|gdbserver_sp", "starts gdbserver"),
        (r"supports_process_record|supports_reverse|skip_btrace", "recording"),
        (r"skip_fortran_tests|skip_ctf_tests|skip_compile_feature", "a feature of other targets"),
        (r"skip_ifunc_tests|supports_memtag|displaced_stepping", "a feature of other targets"),
        (r"skip_tui_tests|tuiterm", "gdb's terminal interface"),
        (r"^if.*exists (gdb,noinferiorio|noargs)|\brun > ", "arguments, redirection"),
        (r"debuginfod", "debuginfod"),
    )
)
#: A test that never loads a program has no stub.
_USES_PROGRAM: Final = re.compile(
    r"runto|gdb_run_cmd|gdb_start_cmd|mi_run|prepare_for_testing|gdb_load|clean_restart"
    r"|build_executable|mi_gdb_load"
)
#: What a program needs, by its headers and calls.
_PROGRAM_RULES: Final = tuple(
    (re.compile(pattern, re.MULTILINE), why)
    for pattern, why in (
        (r"#\s*include <pthread.h>|\bclone \(", "threads"),
        (r"#\s*include <(dlfcn|link)\.h>", "shared libraries"),
        (r"\b(v?fork|execl[pe]?|execv[pe]?|waitpid|wait) \(", "fork"),
        (r"\b(alarm|ualarm|setitimer|sigaction|sigprocmask|kill|raise|signal) \(", "signals"),
        (r"#\s*include <sys/(mman|ptrace|socket|shm|msg|sem|syscall|sdt|wait)\.h>", "system calls"),
        (r"#\s*include <(sched|arpa/inet)\.h>|\bpipe \(|\bsyscall \(", "system calls"),
    )
)
#: The rules take a word in these for more than it is, or they are worth running anyway; a name
#: followed by ``+`` is run in another way (README.md).
_ALSO: Final = (
    "gdb.arch/riscv-default-tdesc.exp",
    "gdb.base/bp-permanent.exp",
    "gdb.base/bp-permanent.exp+memory-breakpoints",
    "gdb.base/break.exp",
    "gdb.base/completion.exp",
    "gdb.base/continue-after-aborted-step-over.exp+memory-breakpoints",
    "gdb.base/dprintf.exp",
    "gdb.base/find.exp",
    "gdb.base/step-over-no-symbols.exp",
    "gdb.base/watchpoint.exp",
    "gdb.base/whatis.exp",
    "gdb.mi/mi-dprintf.exp",
    "gdb.python/py-breakpoint.exp",
    "gdb.python/py-finish-breakpoint.exp",
    "gdb.python/py-inferior.exp",
)
_COMMENT: Final = re.compile(r"^\s*#.*$", re.MULTILINE)


def candidates(testsuite: Path) -> Iterator[str]:
    """The names of all .exp files in the folders that concern a stub."""
    for pattern in FOLDERS:
        yield from sorted(str(p.relative_to(testsuite)) for p in testsuite.glob(f"{pattern}.exp"))


def chosen(testsuite: Path) -> list[str]:
    """The names of those that can run."""
    names = [name for name in candidates(testsuite) if not reason(testsuite, name)]
    return sorted({*names, *_ALSO})


def reason(testsuite: Path, name: str) -> str:
    """Why the test *name* is left out; empty when it can run."""
    if name in _ALSO:
        return ""
    path = testsuite / name
    text = _COMMENT.sub("", path.read_text(errors="replace"))
    if _USES_PROGRAM.search(text) is None:
        return "no program: gdb alone"
    for pattern, why in _TEST_RULES:
        if pattern.search(text):
            return why
    for program in sorted(path.parent.glob(f"{path.stem}*.c*")):
        if re.fullmatch(rf"{re.escape(path.stem)}\d?(-\w+)?\.(c|cc|cpp)", program.name):
            source = program.read_text(errors="replace")
            for pattern, why in _PROGRAM_RULES:
                if pattern.search(source):
                    return why
    return ""
