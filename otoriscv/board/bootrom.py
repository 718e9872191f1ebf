"""The reset vector at 0x1000 (QEMU hw/riscv/boot.c, riscv_setup_rom_reset_vec).

It sets a0 to the hart's number, a1 to the device tree's address and a2 to a ``fw_dynamic_info``
(OpenSBI, docs/firmware/fw_dynamic.md), then jumps to the entry point.
"""

from __future__ import annotations

import struct
from typing import Final

__all__ = ["boot_rom"]

_AUIPC_T0: Final = 0x0000_0297  # auipc t0, 0        t0 = start of the ROM
_ADDI_A2: Final = 0x0282_8613  # addi  a2, t0, 40   the fw_dynamic_info
_CSRR_A0: Final = 0xF140_2573  # csrr  a0, mhartid
_LD_A1: Final = 0x0202_B583  # ld    a1, 32(t0)   the device tree
_LD_T0: Final = 0x0182_B283  # ld    t0, 24(t0)   the entry point
_LW_A1: Final = 0x0202_A583  # lw    a1, 32(t0)
_LW_T0: Final = 0x0182_A283  # lw    t0, 24(t0)
_JR_T0: Final = 0x0002_8067  # jr    t0
_FW_DYNAMIC_MAGIC: Final = 0x4942_534F  # "OSBI"
_FW_DYNAMIC_VERSION: Final = 2


def boot_rom(
    xlen: int, entry: int, fdt: int, *, next_address: int = 0, next_mode: int = 1, hart: int = 0
) -> bytes:
    """The ROM's contents. *next_address* and *next_mode* (1: S) are for OpenSBI's fw_dynamic."""
    loads = (_LD_A1, _LD_T0) if xlen == 64 else (_LW_A1, _LW_T0)
    code = struct.pack("<6I", _AUIPC_T0, _ADDI_A2, _CSRR_A0, *loads, _JR_T0)
    info = (_FW_DYNAMIC_MAGIC, _FW_DYNAMIC_VERSION, next_address, next_mode, 0, hart)
    return (
        code + struct.pack("<2Q", entry, fdt) + struct.pack("<6Q" if xlen == 64 else "<6I", *info)
    )
