"""The GDB stub: serves a `Target` to gdb, LLDB and our own `RspClient`."""

from otoriscv.gdbstub.server import GdbServer
from otoriscv.gdbstub.target import Target
from otoriscv.gdbstub.transport import ListenError, parse_address

__all__ = ["GdbServer", "ListenError", "Target", "parse_address"]
