"""What goes where at power-on: firmware, kernel, initial RAM disk (QEMU's hw/riscv/boot.c).

With firmware the kernel lies behind it, a large page above the start of RAM at least, and the RAM
disk in the upper half of RAM, out of the way of the kernel's growing. The built-in firmware lies in
ROM, yet the kernel stays where it would be.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal, NamedTuple, TypeAlias

from otoriscv.board.loaders import Image, ImageError, fit
from otoriscv.board.loaders.initrd import Initrd
from otoriscv.board.loaders.linux import KERNEL_ALIGN

__all__ = ["Bios", "BootPlan", "plan_boot", "uses_builtin"]

#: ``--bios``: the built-in firmware, none, a file's, or what the image needs.
Bios: TypeAlias = Literal["auto", "builtin", "none"] | Image

_INITRD_DISTANCE: Final = 512 << 20
_PAGE: Final = 0x1000
Ranges: TypeAlias = Sequence[tuple[int, int]]


class BootPlan(NamedTuple):
    """Images at their places, and where things begin.

    *image* is the guest's own program, *firmware* a file's. *entry* is where the reset vector jumps
    to, if no built-in firmware is in between; *kernel* is where firmware continues. *initrd* is
    (start, end).
    """

    image: Image | None
    firmware: Image | None
    entry: int
    kernel: int
    initrd: tuple[int, int] | None

    @property
    def used(self) -> list[tuple[int, int]]:
        """(base, size) of what is occupied."""
        images = [i for i in (self.firmware, self.image) if i is not None]
        used = [piece for image in images for piece in image.used]
        if self.initrd is not None:
            used.append((self.initrd[0], self.initrd[1] - self.initrd[0]))
        return used


def uses_builtin(bios: Bios, image: Image | None) -> bool:
    """Whether the built-in firmware comes first: when asked for, or for a Linux kernel."""
    return bios == "builtin" or (bios == "auto" and image is not None and image.kind == "linux")


def plan_boot(
    image: Image | None,
    bios: Bios,
    initrd: Initrd | None,
    xlen: int,
    ram: Ranges,
    rom: Ranges = (),
) -> BootPlan:
    """Place everything in *ram* and *rom*, (base, size); `ImageError` when that is impossible."""
    memory = [*ram, *rom]
    base = memory[0][0]
    firmware = None
    if isinstance(bios, Image):
        if bios.xlen != xlen:
            raise ImageError(f"{bios.path}: is {bios.xlen}-bit firmware for rv{xlen}")
        firmware = fit(bios, memory)
    if image is not None:
        if image.xlen != xlen:
            raise ImageError(f"{image.path}: is a {image.xlen}-bit program for rv{xlen}")
        if image.kind == "linux":
            image = image.moved(_kernel_address(firmware, uses_builtin(bios, image), xlen, base))
        image = fit(image, memory)
        _check_apart(image, firmware)
    kernel = base if image is None else image.entry
    place = None
    if initrd is not None:
        if image is None:
            raise ImageError(f"{initrd.path}: an initrd is for a kernel, and there is none")
        place = _place_initrd(initrd, image, ram)
    return BootPlan(image, firmware, kernel if firmware is None else firmware.entry, kernel, place)


def _kernel_address(firmware: Image | None, builtin: bool, xlen: int, base: int) -> int:
    align = KERNEL_ALIGN[xlen]
    end = base + 1 if builtin else base
    if firmware is not None:
        end = max((at + size for at, size in firmware.used if at >= base), default=base)
        end = max(end, base + 1)
    return base + (end - base + align - 1 & -align)


def _check_apart(image: Image, firmware: Image | None) -> None:
    for low, size in [] if firmware is None else firmware.used:
        for start, length in image.used:
            if low < start + length and start < low + size:
                raise ImageError(
                    f"{image.path}: overlaps the firmware at {low:#x}-{low + size - 1:#x}; "
                    "--bios none leaves that out"
                )


def _place_initrd(initrd: Initrd, kernel: Image, ram: Ranges) -> tuple[int, int]:
    start = min(at for at, _ in kernel.used)
    end = max(at + size for at, size in kernel.used)
    size = len(initrd.data)
    for base, length in ram:
        if not base <= start < base + length:
            continue
        for at in (start + min(length // 2, _INITRD_DISTANCE), end):
            at = max(at, end) + _PAGE - 1 & -_PAGE
            if at + size <= base + length:
                return at, at + size
        need = end + size + (64 << 20) - base
        raise ImageError(
            f"{initrd.path}: {size >> 20} MiB do not fit behind the kernel; "
            f"--ram {base:#x}:{need >> 20}M has room for them"
        )
    raise ImageError(f"{initrd.path}: the kernel at {start:#x} is not in RAM, nothing is near it")
