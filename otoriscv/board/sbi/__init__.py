"""The built-in firmware: SBI v2.0 for S-mode, in machine code of our own assembler.

It is guest code in ROM, so every engine runs it, it costs no exits, and gdb can step through it.
"""

from otoriscv.board.sbi.firmware import firmware

__all__ = ["firmware"]
