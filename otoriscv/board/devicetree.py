"""The virt board's device tree, equal in meaning to QEMU's (hw/riscv/virt.c, create_fdt)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

from otoriscv.board import memory_map as at
from otoriscv.board.fdt import Node, Value, cells, to_blob
from otoriscv.board.fdt_read import from_blob
from otoriscv.core.layout import CACHE_BLOCK
from otoriscv.devices.finisher import FINISHER_PASS, FINISHER_RESET

__all__ = ["TreeConfig", "place_fdt", "virt_blob", "virt_tree", "with_chosen"]

_MEIP, _SEIP, _MSIP, _MTIP = 11, 9, 3, 7  # interrupt numbers of the hart's own controller
_FDT_ALIGN: Final = 2 << 20
_FDT_CEILING: Final = 3 << 30


class TreeConfig(NamedTuple):
    """What varies between virt machines. ``mmu`` is sv32, sv39, sv48, sv57 or None."""

    isa: str
    harts: int = 1
    mmu: str | None = None
    ram: Sequence[tuple[int, int]] = ((at.RAM_BASE, at.RAM_SIZE),)
    bootargs: str | None = None
    initrd: tuple[int, int] | None = None  # start and end addresses
    rng_seed: bytes | None = None
    virtio: int = 0  # transports present
    timebase: int = at.TIMEBASE_HZ


def virt_tree(config: TreeConfig) -> Node:
    """The tree of a virt machine."""
    root = Node(
        "",
        {
            "#address-cells": 2,
            "#size-cells": 2,
            "compatible": "riscv-virtio",
            "model": "riscv-virtio,otoriscv",
        },
    )
    root.children.append(_chosen(config))
    for base, size in config.ram:
        root.add(f"memory@{base:x}", {"device_type": "memory", "reg": cells(base, size, size=2)})
    # Phandles: CPUs and their interrupt controllers first, then the PLIC and the finisher.
    cpu = [1 + 2 * i for i in range(config.harts)]
    intc = [handle + 1 for handle in cpu]
    plic = 2 * config.harts + 1
    test = plic + 1
    root.children.append(_cpus(config, cpu, intc))
    root.children.append(_soc(config, intc, plic, test))
    for name, value in (("poweroff", FINISHER_PASS), ("reboot", FINISHER_RESET)):
        properties: dict[str, Value] = {
            "compatible": f"syscon-{name}",
            "regmap": test,
            "offset": 0,
            "value": value,
        }
        root.add(name, properties)
    return root


def virt_blob(config: TreeConfig) -> bytes:
    """`virt_tree` as a flattened blob."""
    return to_blob(virt_tree(config))


def with_chosen(blob: bytes, config: TreeConfig) -> bytes:
    """Another machine's tree with what *config* says about booting in its /chosen.

    `FdtError` when it is damaged.
    """
    root, reservations, boot_cpu = from_blob(blob)
    try:
        chosen = root.find("/chosen")
    except KeyError:
        chosen = root.add("chosen")
    wanted = _chosen(config).properties
    chosen.properties = {"stdout-path": wanted.pop("stdout-path")} | chosen.properties | wanted
    return to_blob(root, boot_cpu=boot_cpu, reservations=reservations)


def place_fdt(
    size: int, ram: Sequence[tuple[int, int]], used: Sequence[tuple[int, int]] = ()
) -> int | None:
    """An address for a tree of *size* bytes, as high as QEMU puts it, or None.

    *ram* and *used* are (base, size). QEMU's rule (hw/riscv/boot.c): 2 MiB aligned, at the end of
    the first RAM range but below 3 GiB. When an image is in the way or the range is small, the
    next lower free page. None: nothing fits (the boot ROM has room for it then).
    """
    base, length = ram[0]
    top = base + length
    if base < _FDT_CEILING:
        top = min(top, _FDT_CEILING)
    for align in (_FDT_ALIGN, 0x1000):
        address = (top - size) & -align
        while address >= base:
            hit = [b for b, s in used if b < address + size and address < b + s]
            if not hit:
                return address
            address = (min(hit) - size) & -align
    return None


def _chosen(config: TreeConfig) -> Node:
    chosen: dict[str, Value] = {"stdout-path": f"/soc/serial@{at.UART.base:x}"}
    if config.bootargs:
        chosen["bootargs"] = config.bootargs
    if config.initrd is not None:
        for name, address in zip(("start", "end"), config.initrd, strict=True):
            chosen[f"linux,initrd-{name}"] = cells(address, size=1 + (address >> 32 != 0))
    if config.rng_seed is not None:
        chosen["rng-seed"] = config.rng_seed
    return Node("chosen", chosen)


def _cpus(config: TreeConfig, cpu: list[int], intc: list[int]) -> Node:
    cpus = Node(
        "cpus",
        {"#address-cells": 1, "#size-cells": 0, "timebase-frequency": config.timebase},
    )
    for i in range(config.harts):
        properties: dict[str, Value] = {
            "device_type": "cpu",
            "reg": i,
            "status": "okay",
            "compatible": "riscv",
            "riscv,isa": config.isa,
            "mmu-type": f"riscv,{config.mmu or 'none'}",
            "phandle": cpu[i],
        }
        for letter in "mz":
            if f"_zicbo{letter}" in config.isa:
                properties[f"riscv,cbo{letter}-block-size"] = CACHE_BLOCK
        node = cpus.add(f"cpu@{i:x}", properties)
        controller: dict[str, Value] = {
            "#interrupt-cells": 1,
            "interrupt-controller": None,
            "compatible": "riscv,cpu-intc",
            "phandle": intc[i],
        }
        node.add("interrupt-controller", controller)
    cluster = cpus.add("cpu-map").add("cluster0")
    for i in range(config.harts):
        cluster.add(f"core{i}", {"cpu": cpu[i]})
    return cpus


def _soc(config: TreeConfig, intc: list[int], plic: int, test: int) -> Node:
    soc = Node(
        "soc",
        {"#address-cells": 2, "#size-cells": 2, "compatible": "simple-bus", "ranges": None},
    )

    def device(name: str, region: at.Region, properties: dict[str, Value]) -> None:
        reg = cells(region.base, region.size, size=2)
        wires: dict[str, Value] = {}
        if region.irq:
            wires = {"interrupts": region.irq, "interrupt-parent": plic}
        soc.add(f"{name}@{region.base:x}", {"reg": reg} | wires | properties)

    device(
        "test",
        at.FINISHER,
        {"compatible": ["sifive,test1", "sifive,test0", "syscon"], "phandle": test},
    )
    device("rtc", at.RTC, {"compatible": "google,goldfish-rtc"})
    device(
        "clint",
        at.CLINT,
        {
            "compatible": ["sifive,clint0", "riscv,clint0"],
            "interrupts-extended": cells(*(v for h in intc for v in (h, _MSIP, h, _MTIP))),
        },
    )
    device(
        "plic",
        at.PLIC,
        {
            "compatible": ["sifive,plic-1.0.0", "riscv,plic0"],
            "interrupt-controller": None,
            "#interrupt-cells": 1,
            "#address-cells": 0,
            "riscv,ndev": at.PLIC_NDEV,
            "interrupts-extended": cells(*(v for h in intc for v in (h, _MEIP, h, _SEIP))),
            "phandle": plic,
        },
    )
    device("serial", at.UART, {"compatible": "ns16550a", "clock-frequency": at.UART_CLOCK_HZ})
    for i in range(config.virtio):
        device("virtio_mmio", at.virtio(i), {"compatible": "virtio,mmio"})
    return soc
