"""Every packet the stub understands, one module per group.

| module | packets |
|---|---|
| `query` | qSupported qAttached QStartNoAckMode vMustReplyEmpty |
| `transfer` | qXfer |
| `threads` | H T qC qfThreadInfo qsThreadInfo qThreadExtraInfo |
| `registers` | g G p P |
| `memory` | m M X |
| `breakpoints` | Z z |
| `execution` | ? c C s S vCont |
| `lifecycle` | ! R k D vRun vAttach vKill |
| `monitor` | qRcmd |
| `files` | vFile |
"""

from otoriscv.gdbstub.commands import (
    breakpoints,
    execution,
    files,
    lifecycle,
    memory,
    monitor,
    query,
    registers,
    threads,
    transfer,
)
from otoriscv.gdbstub.commands.table import dispatch

__all__ = [
    "breakpoints",
    "dispatch",
    "execution",
    "files",
    "lifecycle",
    "memory",
    "monitor",
    "query",
    "registers",
    "threads",
    "transfer",
]
