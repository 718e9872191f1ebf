"""Every packet the stub understands, one module per group.

| module | packets |
|---|---|
| `query` | qSupported qAttached QStartNoAckMode vMustReplyEmpty qSymbol |
| | QPassSignals QProgramSignals QThreadEvents |
| `transfer` | qXfer |
| `threads` | H T qC qfThreadInfo qsThreadInfo qThreadExtraInfo |
| `registers` | g G p P |
| `memory` | m M x X qCRC qSearch |
| `breakpoints` | Z z |
| `execution` | ? c C s S vCont QNonStop vStopped vCtrlC |
| `lifecycle` | ! R k D vRun vAttach vKill |
| `monitor`, `monitor_watch` | qRcmd |
| `files` | vFile |
| `lldb` | qHostInfo qProcessInfo qMemoryRegionInfo jThreadsInfo ... |
"""

from otoriscv.gdbstub.commands import (
    breakpoints,
    execution,
    files,
    lifecycle,
    lldb,
    memory,
    monitor,
    monitor_watch,
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
    "lldb",
    "memory",
    "monitor",
    "monitor_watch",
    "query",
    "registers",
    "threads",
    "transfer",
]
