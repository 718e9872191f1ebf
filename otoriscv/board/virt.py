"""The ``virt`` board: QEMU's map and devices around a `Machine`, with an image in memory."""

from __future__ import annotations

import shlex
import time
from collections.abc import Callable, Sequence
from typing import Final, Literal, NamedTuple

from otoriscv.board import memory_map as at
from otoriscv.board.boot import Bios, plan_boot, uses_builtin
from otoriscv.board.bootrom import boot_rom
from otoriscv.board.console import QUEUE_LIMIT, BufferConsole, Console
from otoriscv.board.devicetree import TreeConfig, place_fdt, virt_blob, with_chosen
from otoriscv.board.hub import Hub
from otoriscv.board.loaders import Image, ImageError, SymbolTable
from otoriscv.board.loaders.initrd import Initrd
from otoriscv.board.machine import ClockKind, Machine, Mtime
from otoriscv.board.sbi import firmware
from otoriscv.board.virtio import VirtioConfig, VirtioParts
from otoriscv.core.bus import Device
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import LINE_SHIFT, LINE_WATCH, LINES, MACHINE, PAGE, UART_RING
from otoriscv.devices.clint import Clint
from otoriscv.devices.entropy import Entropy
from otoriscv.devices.finisher import Finisher
from otoriscv.devices.goldfish_rtc import GoldfishRtc
from otoriscv.devices.htif import Htif
from otoriscv.devices.plic import Plic
from otoriscv.devices.semihosting import Semihosting
from otoriscv.devices.uart16550 import Uart16550
from otoriscv.devices.virtio.mmio import VirtioMmio
from otoriscv.jit.cache import open_cache
from otoriscv.jit.settings import JitSettings

__all__ = ["VirtConfig", "VirtMachine"]

#: What the RTC says at power-on when the clock is virtual: 2024-01-01, so that runs repeat.
_VIRTUAL_EPOCH_NS: Final = 1_704_067_200 * 10**9


_SEED_SIZE: Final = 32  # QEMU's


class VirtConfig(NamedTuple):
    """What varies between virt machines; the fields are `otoriscv boot`'s options."""

    image: Image | None = None
    bios: Bios = "auto"
    initrd: Initrd | None = None
    dtb: bytes | None = None  # instead of the board's own device tree
    isa: Isa | None = None  # None: everything implemented, at the image's width
    ram: Sequence[tuple[int, int]] = ((at.RAM_BASE, at.RAM_SIZE),)
    rom: Sequence[tuple[int, int]] = ()
    harts: int = 1
    engine: str = "auto"
    clock: ClockKind = "virtual"
    mips: int = 1000
    misaligned: Literal["emulate", "trap"] = "emulate"
    append: str = ""
    arguments: Sequence[str] = ()
    virtio: VirtioConfig = VirtioConfig()
    semihosting: bool = True
    semihosting_dir: str | None = None
    jit: JitSettings = JitSettings()


class VirtMachine(Machine):
    """A virt machine with its image loaded, halted at its reset vector.

    ``ImageError`` when the image does not fit, ``EngineUnavailable``, ValueError for the rest.
    """

    def __init__(self, config: VirtConfig, console: Console | None = None) -> None:
        self.config = config
        isa = config.isa
        if isa is None:
            known = [i for i in (config.image, config.bios) if isinstance(i, Image)]
            isa = Isa.full(known[0].xlen if known else 64)
        # Machine mode is made of CSRs (privileged spec, chapter 2), whatever --isa leaves out.
        isa = isa._replace(extensions=isa.extensions | {"Zicsr"})
        boot = (at.BOOT_ROM.base, at.BOOT_ROM.size)
        own = [*config.ram, *config.rom]
        self._builtin = uses_builtin(config.bios, config.image)
        low_end = at.FIRMWARE_RAM.end if self._builtin else at.BOOT_ROM.end
        has_rom = not any(b < low_end and boot[0] < b + s for b, s in own)
        if self._builtin and not has_rom:
            raise ValueError(
                f"the built-in firmware lies at {boot[0]:#x}-{low_end - 1:#x}, where other memory "
                "is asked for; --bios none leaves it out"
            )
        self._plan = plan_boot(
            config.image, config.bios, config.initrd, isa.xlen, config.ram, config.rom
        )
        variables = [(at.FIRMWARE_RAM.base, at.FIRMWARE_RAM.size)] if self._builtin else []
        super().__init__(
            isa,
            ram=[*config.ram, *variables],
            rom=[*config.rom, boot] if has_rom else config.rom,
            harts=config.harts,
            engine=config.engine,
            clock=config.clock,
            mips=config.mips,
            misaligned=config.misaligned,
            reset_vector=boot[0] if has_rom else self.entry,
            jit=config.jit,
        )
        #: Lines for stderr: what is not as usual, and ports that were opened.
        self.notices: list[str] = []
        self.console: Console = BufferConsole() if console is None else console
        self.hub = Hub(self.console, lambda: self.instant)
        self.htif: Htif | None = None
        self.virtio = VirtioParts()
        self._has_rom = has_rom
        self._connect_console()
        self._add_devices()
        self._add_hosts()
        self.on_reset.append(self._load)
        self._load()
        self.runner.reset()

    @property
    def image(self) -> Image | None:
        """The guest's program, at its place."""
        return self._plan.image

    @property
    def supervised(self) -> bool:
        """Whether firmware runs below the guest: then it is an operating system."""
        return self._builtin or self._plan.firmware is not None

    @property
    def symbols(self) -> SymbolTable:
        """The image's symbols, or the firmware's when there is no image."""
        shown = self.image or self._plan.firmware
        return SymbolTable() if shown is None else shown.symbols

    def where(self, address: int) -> str:
        """The name of *address* (``name+0x12``), in the firmware's code too; "" without one."""
        if self._builtin and at.FIRMWARE.base <= address < at.FIRMWARE.end:
            labels = firmware(self.isa, len(self.harts)).symbols
            near = max((a, name) for name, a in labels.items() if a <= address)
            return f"firmware {near[1]}+{address - near[0]:#x}"
        name = self.symbols.describe(address)
        return "" if name.startswith("0x") else name

    @property
    def entry(self) -> int:
        """Where the guest's own code begins, with firmware that a file holds."""
        return self._plan.entry

    # -- parts

    def _connect_console(self) -> None:
        self.connect(self.console)
        self.input_open_now = lambda: (
            self.hub.open or (self.virtio.net is not None and self.virtio.net.open)
        )
        self.input_ready_now = lambda: self.hub.ready
        self.on_flush.append(self.hub.flush)
        self.on_pump.append(self.hub.pump)
        self.on_pump.append(self._pump_virtio)

    def _pump_virtio(self) -> None:
        self.virtio.pump()

    def connect(self, console: Console) -> None:
        """Use another console."""
        self.console = self.hub.console = console
        console.on_input = self.wake
        self.wake()

    def _place(self, region: at.Region, device: Device, slot: str = "") -> bool:
        """Attach *device*, unless memory the user asked for is there."""
        end = region.base + region.size
        if any(region.base < r.end and r.base < end for r in self.memory.ranges()):
            self.notices.append(
                f"warning: memory at {region.base:#x} hides the {region.name} device"
            )
            return False
        self.attach(region.base, region.size, device)
        if slot:
            self.m[MACHINE[slot]] = region.base
        return True

    def _add_devices(self) -> None:
        self.plic = plic = Plic(len(self.harts), self.set_irq)

        def line(source: int) -> Callable[[bool], None]:
            return lambda level: plic.set_line(source, level)

        ring_at = MACHINE["uart_ring"] * 8
        ring = self.arena.view8[ring_at : ring_at + UART_RING]
        uart = Uart16550(self.m, ring, self.hub.output, line(at.UART.irq), queue_limit=QUEUE_LIMIT)
        self.m[MACHINE["uart_fast"]] = 1
        self._place(at.FINISHER, Finisher())
        self._place(at.RTC, GoldfishRtc(self.wall_ns, self.schedule, line(at.RTC.irq)))
        clint = Clint([hart.q for hart in self.harts], Mtime(self.clock), self._deadline_moved)
        self._place(at.CLINT, clint, "clint_base")
        self._place(at.PLIC, plic)
        if self._place(at.UART, uart, "uart_base"):
            self.hub.uart = uart
        self._add_virtio(line)

    def _deadline_moved(self, hart: int) -> None:
        self.m[MACHINE["retime"]] = 1

    def _add_virtio(self, line: Callable[[int], Callable[[bool], None]]) -> None:
        self.virtio = parts = VirtioParts.make(
            self.config.virtio,
            output=self._print,
            wake=self.wake,
            notice=self.notices.append,
            repeatable=self.clock.virtual,
        )
        self.hub.virtio = parts.console
        if len(parts.devices) > at.VIRTIO_COUNT:
            parts.close()
            raise ValueError(f"there is room for {at.VIRTIO_COUNT} virtio devices")
        for index, device in enumerate(parts.devices):
            region = at.virtio(index)
            self._place(region, VirtioMmio(device, self.memory, line(region.irq)))

    def _add_hosts(self) -> None:
        config = self.config
        if config.semihosting:
            words = [config.image.path if config.image is not None else "guest"]
            words += config.arguments or shlex.split(config.append, posix=False)
            self.semihosting = Semihosting(
                self.memory.read,
                self.memory.write,
                self._print,
                self.hub.take,
                self.clock.nanoseconds,
                " ".join(words),
                config.semihosting_dir,
                wall=self.wall_ns,
            )
        self.update_ebreak()
        self._add_htif()
        self.on_look.append(self._poll_htif)
        self.on_pump.append(self._poll_htif)

    def _add_htif(self) -> None:
        """Serve the image's tohost, if it has one."""
        self.htif = None
        tohost = self.symbols.get("tohost")
        if tohost is not None and self.memory.find(tohost.address, 8) is not None:
            fromhost = self.symbols.get("fromhost")
            where = None if fromhost is None else fromhost.address
            self.htif = Htif(tohost.address, where, self._print, self.hub.take_byte)

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch, as the guest's clock has it."""
        if not self.clock.virtual:
            return time.time_ns()
        return _VIRTUAL_EPOCH_NS + self.clock.nanoseconds()

    # -- what hosts do with memory

    def _print(self, data: bytes) -> None:
        self.hub.flush()  # what the UART printed before comes first
        self.hub.output(data)

    def _poll_htif(self) -> None:
        if self.htif is None:
            return
        self.htif.poll(
            lambda address: int.from_bytes(self.memory.read(address, 8), "little"),
            lambda address, value: self.memory.write(address, value.to_bytes(8, "little")),
        )

    # -- loading

    def load(self, image: Image) -> None:
        """Put another image in place of the first, and reset. `ImageError` when it does not fit."""
        if image.xlen != self.xlen:
            raise ImageError(f"{image.path}: is a {image.xlen}-bit program for rv{self.xlen}")
        config = self.config._replace(image=image)
        if uses_builtin(config.bios, image) != self._builtin:
            what = "needs" if self._builtin is False else "does without"
            raise ImageError(f"{image.path}: {what} the built-in firmware, unlike the image before")
        self._plan = plan_boot(image, config.bios, config.initrd, self.xlen, config.ram, config.rom)
        self.config = config
        if not self._has_rom:
            for hart in self.harts:
                hart.reset_vector = image.entry
        self._add_htif()
        self.reset()

    def _load(self) -> None:
        """Put images, the device tree and the boot ROM into cleared memory."""
        config, plan, write = self.config, self._plan, self.memory.write
        images = [image for image in (plan.firmware, plan.image) if image is not None]
        self.memory.program = " ".join(image.fingerprint for image in images)
        for image in images:
            for segment in image.segments:
                write(segment.address, segment.data, rom=True)
        if config.initrd is not None and plan.initrd is not None:
            write(plan.initrd[0], config.initrd.data)
        entry = plan.entry
        if self._builtin:
            program = firmware(self.isa, len(self.harts), store=open_cache(config.jit))
            write(program.base, program.code, rom=True)
            entry = program.symbols["start"]
        tree = self.device_tree()
        place = place_fdt(len(tree), self._ram(), plan.used)
        rom = self._boot_rom(entry, place or 0) if self._has_rom else b""
        if place is None and self._has_rom:
            place = at.BOOT_ROM.base + (len(rom) + PAGE - 1 & -PAGE)
            rom = self._boot_rom(entry, place)
        if rom:
            write(at.BOOT_ROM.base, rom, rom=True)
        if place is not None:
            write(place, tree, rom=True)
        if not self._has_rom:
            for hart in self.harts:
                hart.x[10], hart.x[11] = hart.index, place or 0
        if self.htif is not None:
            self.htif.reset()
            self._watch_word(self.htif.tohost)

    def _boot_rom(self, entry: int, fdt: int) -> bytes:
        return boot_rom(self.xlen, entry, fdt, next_address=self._plan.kernel)

    def _ram(self) -> list[tuple[int, int]]:
        """The guest's RAM, rounded up to whole pages."""
        return [(base, size + -size % PAGE) for base, size in self.config.ram]

    def device_tree(self) -> bytes:
        """The device tree that the guest gets."""
        config = self.config
        seed = None
        if self.supervised:
            # The kernel's generator is ready at once, instead of after waiting for noise.
            seed = Entropy("rng-seed", repeatable=self.clock.virtual).take(_SEED_SIZE)
        tree = TreeConfig(
            isa=str(self.isa),
            harts=len(self.harts),
            mmu="sv32" if self.xlen == 32 else "sv48",
            ram=self._ram(),
            bootargs=config.append or None,
            initrd=self._plan.initrd,
            rng_seed=seed,
            virtio=len(self.virtio.devices),
        )
        return virt_blob(tree) if config.dtb is None else with_chosen(config.dtb, tree)

    def _watch_word(self, address: int) -> None:
        """Stores to the line of *address* set the machine's ``stop``."""
        offset = self.memory.find(address, 8)
        assert offset is not None
        self.arena.view8[LINES + (offset >> LINE_SHIFT)] |= LINE_WATCH

    def close(self) -> None:
        """Free the machine; the console is its owner's."""
        if self.semihosting is not None:
            self.semihosting.reset()
        self.virtio.close()
        super().close()
