"""What QEMU boots RV32 Linux with, as Debian has no OpenSBI for that: the built-in firmware of
otoriscv, assembled for the start of RAM. So both run the same."""

from __future__ import annotations

import struct
import subprocess
from pathlib import Path
from typing import Final

from otoriscv.board import memory_map as at
from otoriscv.board.fdt import to_blob
from otoriscv.board.fdt_read import from_blob
from otoriscv.board.sbi.firmware import firmware
from otoriscv.core.isa_string import Isa

__all__ = ["firmware_options"]

_VARIABLES: Final = at.RAM_BASE + at.FIRMWARE_RAM.size
_END: Final = _VARIABLES + at.FIRMWARE_RAM.size


def firmware_options(machine: list[str], xlen: int, folder: Path) -> list[str]:
    """The options that make QEMU's *machine* (a command line, without images) start with it."""
    tree, code = folder / "qemu.dtb", folder / "firmware.bin"
    dump = [*machine, "-bios", "none", "-machine", f"dumpdtb={tree}"]
    subprocess.run(dump, check=True, stdin=subprocess.DEVNULL, capture_output=True)
    root, _, boot_cpu = from_blob(tree.read_bytes())
    own = struct.pack(">4Q", at.RAM_BASE, _END - at.RAM_BASE, 0, 0)  # Linux may not have it
    tree.write_bytes(to_blob(root, boot_cpu=boot_cpu, reservations=own))
    isa = Isa.parse(f"rv{xlen}imac_zicsr_zifencei_sstc")
    program = firmware(isa, 1, base=at.RAM_BASE, variables=_VARIABLES)
    code.write_bytes(program.code)
    return ["-bios", str(code), "-dtb", str(tree)]
