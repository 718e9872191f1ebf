"""What `Machine` is made from, as the board takes it."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Literal, TypeAlias

from otoriscv.board.boot import Bios
from otoriscv.board.loaders import Image, load_image
from otoriscv.board.loaders.initrd import load_initrd
from otoriscv.board.memory_map import LINUX_RAM_SIZE, RAM_BASE, RAM_SIZE
from otoriscv.board.virt import VirtConfig
from otoriscv.board.virtio import VirtioConfig, parse_drive
from otoriscv.core.isa_string import Isa
from otoriscv.jit.settings import JitSettings

__all__ = ["File", "Ranges", "configure"]

File: TypeAlias = str | os.PathLike[str]
Ranges: TypeAlias = Sequence[tuple[int, int]]

_BIOS: Final = ("auto", "builtin", "none")


def configure(
    image: File | Image | None,
    *,
    isa: str | Isa | None,
    ram: int | Ranges | None,
    rom: Ranges,
    harts: int,
    engine: str,
    clock: Literal["virtual", "host"],
    mips: int,
    misaligned: Literal["emulate", "trap"],
    bios: File | Image,
    initrd: File | None,
    dtb: File | None,
    drives: Sequence[str],
    append: str,
    arguments: Sequence[str],
    semihosting_dir: str | None,
    jit: JitSettings,
) -> VirtConfig:
    """The parameters of `Machine`, with files read. ValueError, `ImageError`, OSError."""
    if clock not in ("virtual", "host"):
        raise ValueError(f"clock {clock!r} is neither 'virtual' nor 'host'")
    if misaligned not in ("emulate", "trap"):
        raise ValueError(f"misaligned {misaligned!r} is neither 'emulate' nor 'trap'")
    parsed = Isa.parse(isa) if isinstance(isa, str) else isa
    base = RAM_BASE if ram is None or isinstance(ram, int) else ram[0][0]
    if image is not None and not isinstance(image, Image):
        image = load_image(image, xlen=None if parsed is None else parsed.xlen, base=base)
    if ram is None:
        ram = LINUX_RAM_SIZE if image is not None and image.kind == "linux" else RAM_SIZE
    known = parsed if parsed is not None else image
    return VirtConfig(
        image=image,
        bios=_firmware(bios, None if known is None else known.xlen, base),
        initrd=None if initrd is None else load_initrd(os.fspath(initrd)),
        dtb=None if dtb is None else Path(dtb).read_bytes(),
        isa=parsed,
        ram=((RAM_BASE, ram),) if isinstance(ram, int) else tuple(ram),
        rom=tuple(rom),
        harts=harts,
        engine=engine,
        clock=clock,
        mips=mips,
        misaligned=misaligned,
        append=append,
        arguments=arguments,
        virtio=VirtioConfig(tuple(parse_drive(text) for text in drives)),
        semihosting_dir=semihosting_dir,
        jit=jit,
    )


def _firmware(bios: File | Image, xlen: int | None, base: int) -> Bios:
    if isinstance(bios, Image):
        return bios
    if bios in _BIOS:
        return bios  # type: ignore[return-value]  # one of the three literals
    return load_image(bios, xlen=xlen, base=base)
