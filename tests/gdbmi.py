"""The gdb driver that the plugin brings, under the name that our own tests use."""

from otoriscv.testing.gdb import Gdb, GdbError, Stopped, quote

__all__ = ["Gdb", "GdbError", "Stopped", "quote"]
