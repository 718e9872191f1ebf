"""Linux kernel images (Documentation/arch/riscv/boot-image-header.rst in the kernel's source).

An Image is position-independent and may lie at any multiple of `Image.align`; its header says how
much memory it needs, but not whether it is for RV32 or RV64. That is told by the EFI stub's machine
type or, without a stub, by the offset from the start of RAM that it is linked for.
"""

from __future__ import annotations

import struct
from typing import Final

from otoriscv.board.loaders.compressed import decompress
from otoriscv.board.loaders.image import Image, ImageError, Segment

__all__ = [
    "KERNEL_ALIGN",
    "foreign_kernel",
    "is_linux",
    "linux_from_elf",
    "load_linux",
    "unpack_zboot",
]

#: What an Image must be aligned to: the size of a large page (Sv39's; Sv32's).
KERNEL_ALIGN: Final = {64: 2 << 20, 32: 4 << 20}

# code0, code1, text_offset, image_size, flags, version, res1, res2, magic, magic2, res3
_HEADER: Final = struct.Struct("<IIQQQIIQ8s4sI")
_MAGIC: Final = b"RISCV\0\0\0"
_MAGIC2: Final = b"RSC\x05"
_BIG_ENDIAN: Final = 1
_SIZE_LIMIT: Final = 1 << 32
_MACHINES: Final = {0x5032: 32, 0x5064: 64}  # PE/COFF: IMAGE_FILE_MACHINE_RISCV32, RISCV64
_OTHERS: Final = {0x014C: "i386", 0x8664: "x86-64", 0x01C2: "ARM", 0xAA64: "AArch64"}

# "MZ\0\0", "zimg", payload offset and size, reserved, compression (drivers/firmware/efi/libstub)
_ZBOOT: Final = struct.Struct("<4s4sIII4x32s")


def is_linux(data: bytes | memoryview) -> bool:
    """Whether *data* begins with the header of a RISC-V Linux Image."""
    return len(data) >= _HEADER.size and bytes(data[48:56]) == _MAGIC and data[56:60] == _MAGIC2


def _pe_machine(data: bytes | memoryview) -> int | None:
    """The machine type in *data*'s PE header, if it has one."""
    if data[:2] != b"MZ" or len(data) < 64:
        return None
    at = int.from_bytes(data[60:64], "little")
    if data[at : at + 4] != b"PE\0\0" or at + 6 > len(data):
        return None
    return int.from_bytes(data[at + 4 : at + 6], "little")


def foreign_kernel(data: bytes) -> str | None:
    """What machine a kernel is for that is not RISC-V's; None when *data* is none such."""
    if data[0x202:0x206] == b"HdrS":
        return "x86"
    if data[56:60] == b"ARM\x64":
        return "AArch64"
    if int.from_bytes(data[0x24:0x28], "little") == 0x016F_2818:
        return "ARM"
    machine = _pe_machine(data)
    if machine is None or machine in _MACHINES:
        return None
    return _OTHERS.get(machine, f"machine {machine:#x}")


def load_linux(data: bytes | memoryview, path: str, xlen: int | None) -> Image:
    """An Image, at address 0 until it is placed; *xlen* is what ``--isa`` says, if anything."""
    fields = _HEADER.unpack_from(data)
    text_offset, size, flags = fields[2:5]
    if flags & _BIG_ENDIAN:
        raise ImageError("is a big-endian kernel; only little-endian RISC-V is emulated")
    if not 0 < size < _SIZE_LIMIT:
        raise ImageError(f"is damaged: a kernel of {size:#x} bytes")
    machine = _pe_machine(data)
    found = next((x for x, offset in KERNEL_ALIGN.items() if offset == text_offset), None)
    found = _MACHINES.get(machine or 0, found)
    if found is None and xlen is None:
        raise ImageError("is a kernel that does not say whether it is for rv32 or rv64; add --isa")
    if None not in (found, xlen) and found != xlen:
        raise ImageError(f"is a {found}-bit kernel, but --isa says rv{xlen}")
    segment = Segment(0, data, max(size, len(data)))
    return Image(path, "linux", found or xlen or 64, 0, (segment,))


def linux_from_elf(image: Image) -> Image:
    """*image* itself, or the kernel that it is (a ``vmlinux``), with its symbols.

    A vmlinux begins with an Image's header, and an Image is what its segments hold.
    """
    if not image.segments:
        return image
    first = min(image.segments, key=lambda s: s.address)
    if not is_linux(first.data):
        return image
    end = max(s.address + len(s.data) for s in image.segments) - first.address
    size = max(s.address + s.size for s in image.segments) - first.address
    if size >= _SIZE_LIMIT:
        raise ImageError(f"is damaged: a kernel of {size:#x} bytes")
    flat = bytearray(end)
    for s in image.segments:
        at = s.address - first.address
        flat[at : at + len(s.data)] = s.data
    kernel = load_linux(bytes(flat), image.path, image.xlen)
    return kernel._replace(symbols=image.symbols)


def unpack_zboot(data: bytes, limit: int) -> bytes | None:
    """The Image inside an EFI zboot image; None when *data* is none."""
    if len(data) < _ZBOOT.size or data[:8] != b"MZ\0\0zimg":
        return None
    _, _, offset, size, _, name = _ZBOOT.unpack_from(data)
    if offset + size > len(data):
        raise ImageError("is truncated: its compressed kernel ends behind the end of the file")
    kind = name.rstrip(b"\0").decode("ascii", "replace")
    inner = decompress(data[offset : offset + size], limit)
    if inner is None:
        raise ImageError(f"is an EFI image compressed with {kind!r}; gzip and zstd can be read")
    return inner
