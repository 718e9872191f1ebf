"""What LLDB asks beyond gdb's protocol (llvm-project, lldb/docs/lldb-gdb-remote.txt)."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING

from otoriscv.gdbstub.commands.arguments import address, hart
from otoriscv.gdbstub.commands.table import Access, packet
from otoriscv.gdbstub.commands.threads import hart_name, live_harts
from otoriscv.gdbstub.description import PC
from otoriscv.gdbstub.errors import INVALID, CommandError
from otoriscv.gdbstub.packets import escape
from otoriscv.gdbstub.stopreply import stop_reply
from otoriscv.gdbstub.target import StopEvent, StopKind

if TYPE_CHECKING:
    from otoriscv.gdbstub.session import Session

__all__ = ["split_thread"]

_SUFFIX = re.compile(rb";thread:([0-9a-fA-Fp.-]+);?$")
_PERMISSIONS = {"ram": "rwx", "rom": "rx"}


def split_thread(session: Session, arguments: bytes) -> tuple[bytes, int]:
    """The arguments of g, G, p, P without LLDB's ``;thread:n;``, and the hart that they are for."""
    match = _SUFFIX.search(arguments)
    if match is None:
        return arguments, session.hart
    index = hart(match[1], session.target.harts)
    return arguments[: match.start()], session.hart if index is None else index


@packet("QThreadSuffixSupported", access=Access.NONE, detached=True)
def thread_suffix(session: Session, arguments: bytes) -> bytes:
    """Register packets name their thread; only LLDB asks."""
    session.lldb = True
    return b"OK"


@packet("QListThreadsInStopReply", access=Access.NONE, detached=True)
def list_threads(session: Session, arguments: bytes) -> bytes:
    """Stop replies list all threads and their pcs."""
    session.lldb = session.list_threads = True
    return b"OK"


@packet("qHostInfo", access=Access.NONE, detached=True)
def host_info(session: Session, arguments: bytes) -> bytes:
    """What kind of computer this is."""
    return _triple(session) + b"vendor:unknown;ostype:unknown;"


@packet("qProcessInfo", access=Access.NONE, detached=True)
def process_info(session: Session, arguments: bytes) -> bytes:
    """The guest, as a process."""
    return b"pid:1;parent-pid:1;" + _triple(session) + b"ostype:unknown;"


@packet("qGDBServerVersion", access=Access.NONE, detached=True)
def version(session: Session, arguments: bytes) -> bytes:
    """Who we are."""
    from otoriscv import __version__

    return f"name:otoriscv;version:{__version__};".encode()


@packet("qMemoryRegionInfo")
def region_info(session: Session, arguments: bytes) -> bytes:
    """``qMemoryRegionInfo:address``: the region around it. Devices may not be read."""
    where = address(arguments.removeprefix(b":"), session.mask)
    for region in session.target.memory_map():
        if region.base <= where < region.base + region.size:
            size = min(region.size, session.mask + 1 - region.base)
            text = f"start:{region.base:x};size:{size:x};"
            if region.name and region.kind in _PERMISSIONS:
                text += f"permissions:{_PERMISSIONS[region.kind]};"
            if region.name:
                text += f"name:{region.name.encode().hex()};"
            return text.encode()
    raise CommandError(INVALID, "no such address")


@packet("jThreadsInfo")
def threads_info(session: Session, arguments: bytes) -> bytes:
    """Every thread with its name, pc and reason, as JSON."""
    rows = []
    for index in live_harts(session):
        event = event_of(session, index)
        reason = {StopKind.BREAKPOINT: "breakpoint", StopKind.STEP: "trace"}.get(event.kind, "")
        if event.kind is StopKind.WATCH:
            reason = "watchpoint"
        value = session.target.read_register(index, PC)
        size = session.target.xlen // 8
        rows.append(
            {
                "tid": index + 1,
                "name": hart_name(index),
                "reason": reason or "none",
                "registers": {str(PC): value.to_bytes(size, "little").hex()},
            }
        )
    return escape(json.dumps(rows, separators=(",", ":")).encode())


@packet("qThreadStopInfo")
def thread_stop_info(session: Session, arguments: bytes) -> bytes:
    """Why one thread is halted."""
    index = hart(arguments, session.target.harts)
    if index is None:
        raise CommandError(INVALID, "a thread is needed")
    return stop_reply(session, event_of(session, index))


def event_of(session: Session, index: int) -> StopEvent:
    """The last stop, as far as it is hart *index*'s."""
    event = session.target.last_stop
    if event.hart == index or event.kind is StopKind.EXIT:
        return event
    return StopEvent(StopKind.INTERRUPT, index)


def _triple(session: Session) -> bytes:
    xlen = session.target.xlen
    triple = f"riscv{xlen}-unknown-elf".encode().hex()
    return f"triple:{triple};endian:little;ptrsize:{xlen // 8};".encode()
