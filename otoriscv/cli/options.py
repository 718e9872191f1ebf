"""The options that ``boot`` and ``serve`` share, and the machine they describe."""

from __future__ import annotations

import argparse
import os
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, TypeVar

from otoriscv.board.boot import Bios
from otoriscv.board.console import Console, NullConsole, open_console
from otoriscv.board.fdt_read import FdtError, from_blob
from otoriscv.board.loaders import Image, load_image
from otoriscv.board.loaders.initrd import load_initrd
from otoriscv.board.loaders.symbol_file import load_symbols
from otoriscv.board.log_options import KINDS
from otoriscv.board.memory_map import LINUX_RAM_SIZE, RAM_BASE, RAM_SIZE
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.board.virtio import DEVICES, VirtioConfig, parse_drive
from otoriscv.cli.errors import UsageError
from otoriscv.core.isa_string import Isa
from otoriscv.core.layout import MAX_HARTS
from otoriscv.jit.cache import open_cache
from otoriscv.jit.engines import ENGINES, choose
from otoriscv.jit.settings import JitSettings, parse_size

if TYPE_CHECKING:
    from otoriscv.board.net_options import Net, UserNet

__all__ = [
    "Setup",
    "add_jit_options",
    "add_machine_options",
    "jit_settings",
    "make_machine",
    "note",
]

_ROM_BASE: Final = 0x2000_0000
_UNITS: Final = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}
_SIZE: Final = re.compile(r"(0x[0-9a-f]+|[0-9]+)(?:([kmg])(?:i?b)?)?", re.IGNORECASE)


def note(text: str) -> None:
    """A line for the user on stderr."""
    sys.stderr.write(f"otoriscv: {text}\n")
    sys.stderr.flush()


def _range(default_base: int) -> Callable[[str], tuple[int, int]]:
    def parse(text: str) -> tuple[int, int]:
        base, colon, size = text.rpartition(":")
        found = _SIZE.fullmatch(size)
        try:
            start = int(base, 0) if colon else default_base
        except ValueError:
            found = None
        if found is None:
            raise argparse.ArgumentTypeError(
                f"{text!r} is not [BASE:]SIZE, for example 64 (MiB), 0x20000000:4M or 16K"
            )
        number, unit = found[1], (found[2] or "").upper()
        hexadecimal = number.lower().startswith("0x")
        length = int(number, 0) * (1 if hexadecimal and not unit else _UNITS[unit])
        if length <= 0 or start < 0 or start + length > 1 << 64:
            raise argparse.ArgumentTypeError(f"{text!r} is no range of addresses")
        if start % 4096:
            raise argparse.ArgumentTypeError(f"{text!r}: the base must be a multiple of 4 KiB")
        return start, length

    return parse


def _number(low: int, high: int | None = None) -> Callable[[str], int]:
    def parse(text: str) -> int:
        try:
            value = int(text, 0)
        except ValueError:
            raise argparse.ArgumentTypeError(f"{text!r} is no number") from None
        if value < low or (high is not None and value > high):
            limits = f"at least {low}" if high is None else f"from {low} to {high}"
            raise argparse.ArgumentTypeError(f"{text} is out of range: {limits}")
        return value

    return parse


def _size(text: str) -> int:
    try:
        return parse_size(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from None


def _seconds(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 < value < 1e9:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return value


_T = TypeVar("_T")


def _parsed(parse: Callable[[str], _T]) -> Callable[[str], _T]:
    """*parse* as argparse wants it."""

    def convert(text: str) -> _T:
        try:
            return parse(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return convert


def _net(text: str) -> Net | UserNet:
    from otoriscv.board.net_options import parse_net  # few machines have a network

    return parse_net(text)


class _Scripted(argparse.Action):
    """Appends (option, text) to one list, so that the options' order is kept."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: object,
        option: str | None = None,
    ) -> None:
        script = [*getattr(namespace, self.dest), (option, values)]
        setattr(namespace, self.dest, script)


def _kinds(text: str) -> list[str]:
    kinds = [word for word in text.split(",") if word]
    bad = [word for word in kinds if word not in KINDS]
    if bad or not kinds:
        raise argparse.ArgumentTypeError(f"{text!r}: choose from {','.join(KINDS)}")
    return kinds


def add_machine_options(parser: argparse.ArgumentParser) -> None:
    """The image, the machine, its console and what ends a run."""
    add = parser.add_argument
    add("image", metavar="IMAGE", nargs="?", help="ELF, Linux kernel, HEX or raw; .gz and .zst")
    add("--kernel", metavar="IMAGE", help="the image, QEMU's way")
    system = parser.add_argument_group("an operating system")
    add = system.add_argument
    add(
        "--bios",
        metavar="WHAT",
        default="auto",
        help="builtin (SBI; default for Linux kernels), none, or a firmware FILE such as OpenSBI",
    )
    add("--initrd", metavar="FILE", help="initial RAM disk: cpio archive, any compression")
    add("--append", metavar="STR", default="", help="the command line in the device tree")
    add("--symbols", metavar="FILE", help="names for reports: an ELF (vmlinux) or a System.map")
    add("--dtb", metavar="FILE", help="a device tree instead of the board's own")
    add("--dumpdtb", metavar="FILE", help="write the device tree, and do not run")
    add(
        "--drive",
        metavar="FILE[,readonly][,snapshot]",
        action="append",
        type=_parsed(parse_drive),
        default=[],
        help="a virtio disk on a raw image; snapshot: what is written is forgotten; repeatable",
    )
    add(
        "--net",
        metavar="WHERE",
        type=_parsed(_net),
        help="a virtio network card: user[,hostfwd=tcp:[ADDRESS]:PORT-:PORT][,...] (libslirp), or "
        "connect:[HOST:]PORT or listen:[HOST:]PORT, QEMU's stream",
    )
    add(
        "--device",
        choices=DEVICES,
        action="append",
        default=[],
        help="another virtio device; the virtio console shares --serial with the UART",
    )
    machine = parser.add_argument_group("machine")
    add = machine.add_argument
    add("--isa", metavar="ISA", help="for example rv32imac_zicsr; raw and HEX images need it")
    add(
        "--ram",
        metavar="[BASE:]SIZE",
        action="append",
        type=_range(RAM_BASE),
        help="RAM, repeatable; MiB unless K, M or G follows "
        "(default 0x80000000:128M, 512M for a Linux kernel)",
    )
    add(
        "--rom",
        metavar="[BASE:]SIZE",
        action="append",
        type=_range(_ROM_BASE),
        default=[],
        help="ROM, repeatable (default base 0x20000000)",
    )
    add("--harts", metavar="N", type=_number(1, MAX_HARTS), default=1, help="how many harts")
    add("--engine", choices=["auto", *ENGINES], default="auto", help="what runs the guest")
    add("--serial", metavar="WHERE", help="stdio (default), null, file:F, tcp:[HOST:]PORT or pty")
    add(
        "--clock",
        choices=["virtual", "host"],
        help="guest time: counted instructions (repeatable) or real time "
        "(default host when stdin is a terminal or with --net, else virtual)",
    )
    add(
        "--mips",
        metavar="N",
        type=_number(1, 100_000),
        default=1000,
        help="instructions in a virtual microsecond (default 1000)",
    )
    add(
        "--misaligned",
        choices=["emulate", "trap"],
        default="emulate",
        help="what misaligned loads and stores do (default emulate)",
    )
    add("--semihosting-dir", metavar="DIR", help="let semihosting open files below DIR")
    add("--restore", metavar="FILE", help="go on from a snapshot that --save wrote")
    add("--save", metavar="FILE", help="write a snapshot when the run ends")
    add_jit_options(parser)
    ends = parser.add_argument_group("what ends a run")
    add = ends.add_argument
    add("--timeout", metavar="SEC", type=_seconds, help="seconds of guest time; exit code 124")
    add("--wall-timeout", metavar="SEC", type=_seconds, help="seconds of real time; 124")
    add("--max-instructions", metavar="N", type=_number(1), help="instructions retired; 124")
    add(
        "--expect",
        metavar="RE",
        dest="script",
        action=_Scripted,
        default=[],
        help="succeed when the console has shown this; repeatable, in order",
    )
    add(
        "--send",
        metavar="TEXT",
        dest="script",
        action=_Scripted,
        help="type this after the --expect before it; \\n, \\t, \\x03 ... as in C",
    )
    add("--fail-on", metavar="RE", help="fail when a console line matches")
    reports = parser.add_argument_group("reports")
    add = reports.add_argument
    add("--stats", action="store_true", help="instructions, seconds, MIPS ... on stderr")
    add("--stats-json", metavar="FILE", help="the same as JSON")
    add("--transcript", metavar="FILE", help="write all that the guest prints to this file too")
    add("--log", metavar="KINDS", type=_kinds, help=f"some of {','.join(KINDS)}")
    add("--log-file", metavar="F", help="where the log goes (default stderr)")
    add("--log-range", metavar="A-B", help="log only these addresses; symbols work too")
    add("--signature", metavar="FILE", help="write memory from --begin to --end as hex words")
    add("--begin", metavar="SYM", default="begin_signature", help="default begin_signature")
    add("--end", metavar="SYM", default="end_signature", help="default end_signature")


def add_jit_options(parser: argparse.ArgumentParser) -> None:
    """How the llvm engine compiles; the environment gives the defaults."""
    jit = parser.add_argument_group("compiling (--engine llvm)")
    add = jit.add_argument
    add(
        "--jit-threshold",
        metavar="N",
        type=_number(1, 1 << 20),
        help="compile what was seen hot N times; 1 also looks often (OTORISCV_JIT_THRESHOLD)",
    )
    add(
        "--jit-workers",
        metavar="N",
        type=_number(0, 64),
        help="compile processes (default 1 to 3, one less than cores); 0 compiles inline, the same "
        "in every run (OTORISCV_JIT_WORKERS)",
    )
    add(
        "--no-cache",
        action="store_true",
        help="do not keep compiled code on disk (OTORISCV_CACHE=0)",
    )
    add(
        "--cache-size",
        metavar="SIZE",
        type=_size,
        help="bound of the cache on disk, such as 2G (OTORISCV_CACHE_SIZE, default 512M)",
    )


def jit_settings(args: argparse.Namespace) -> JitSettings:
    """What the options of `add_jit_options` say."""
    cache = False if args.no_cache else None
    return JitSettings(args.jit_threshold, args.jit_workers, cache, args.cache_size)


class Setup(NamedTuple):
    """A machine and its console."""

    machine: VirtMachine
    console: Console
    image: Image | None


def _image(args: argparse.Namespace, isa: Isa | None, base: int) -> Image | None:
    if args.image is not None and args.kernel is not None:
        raise UsageError("IMAGE and --kernel are the same thing: give one of them")
    path = args.kernel if args.image is None else args.image
    if path is None:
        return None
    image = load_image(path, xlen=None if isa is None else isa.xlen, base=base)
    return image if args.symbols is None else image._replace(symbols=load_symbols(args.symbols))


def _bios(args: argparse.Namespace, xlen: int | None, base: int) -> Bios:
    kind: str = args.bios
    if kind in ("auto", "builtin", "none"):
        return kind  # type: ignore[return-value]  # one of the three literals
    return load_image(kind, xlen=xlen, base=base)


def _dtb(path: str) -> bytes:
    try:
        data = Path(path).read_bytes()
        from_blob(data)
    except OSError as error:
        raise UsageError(f"--dtb {path}: {error.strerror}") from None
    except FdtError as error:
        raise UsageError(f"--dtb {path}: {error}") from None
    return data


def _dump_tree(machine: VirtMachine, path: str) -> None:
    try:
        Path(path).write_bytes(machine.device_tree())
    except OSError as error:
        raise UsageError(f"--dumpdtb {path}: {error.strerror}") from None


def _restore(machine: VirtMachine, path: str) -> None:
    from otoriscv.board.snapshot import Snapshot, SnapshotError, restore

    try:
        restore(machine, Snapshot.read(path))
    except SnapshotError as error:
        raise UsageError(f"--restore {path}: {error}") from None
    except OSError as error:
        raise UsageError(f"--restore {path}: {error.strerror}") from None


def make_machine(
    args: argparse.Namespace,
    *,
    on_quit: Callable[[], None],
    needs_image: bool,
    stdio_taken: bool = False,
) -> Setup:
    """The machine that the options describe. *stdio_taken*: stdin and stdout are a debugger's."""
    isa = Isa.parse(args.isa) if args.isa is not None else None
    base = args.ram[0][0] if args.ram else RAM_BASE
    image = _image(args, isa, base)
    xlen = isa.xlen if isa is not None else None if image is None else image.xlen
    bios = _bios(args, xlen, base)
    linux = image is not None and image.kind == "linux"
    ram = args.ram or [(RAM_BASE, LINUX_RAM_SIZE if linux else RAM_SIZE)]
    if image is None and needs_image and not isinstance(bios, Image) and args.dumpdtb is None:
        raise UsageError("there is no image to boot: otoriscv boot IMAGE")
    serial = args.serial or ("null" if stdio_taken else "stdio")
    if serial == "stdio" and stdio_taken:
        raise UsageError("--gdb stdio needs stdin and stdout: choose another --serial")
    clock = args.clock
    if clock is None:
        typed = serial == "stdio" and sys.stdin and sys.stdin.isatty()
        clock = "host" if typed or args.net is not None else "virtual"
    if args.semihosting_dir is not None and not os.path.isdir(args.semihosting_dir):
        raise UsageError(f"--semihosting-dir {args.semihosting_dir}: there is no such directory")
    config = VirtConfig(
        image=image,
        bios=bios,
        initrd=None if args.initrd is None else load_initrd(args.initrd),
        dtb=None if args.dtb is None else _dtb(args.dtb),
        isa=isa,
        ram=ram,
        rom=args.rom,
        harts=args.harts,
        engine=args.engine,
        clock=clock,
        mips=args.mips,
        misaligned=args.misaligned,
        append=args.append,
        arguments=args.arguments,
        semihosting_dir=args.semihosting_dir,
        virtio=VirtioConfig(args.drive, args.net, tuple(dict.fromkeys(args.device))),
        jit=jit_settings(args),
    )
    chosen, why = choose(args.engine)
    if why:
        note(f"using the {chosen} engine: {why}")
    if chosen != "python" and (problem := open_cache(config.jit).problem):
        note(f"warning: compiled code is not kept: {problem}")
    # The machine is made first, so that an error in it does not leave a terminal in raw mode.
    try:
        machine = VirtMachine(config, NullConsole())
    except (ValueError, MemoryError) as error:
        raise UsageError(str(error)) from None
    if args.dumpdtb is not None:
        _dump_tree(machine, args.dumpdtb)
    if args.restore is not None:
        _restore(machine, args.restore)
    console = open_console(serial, on_quit=on_quit, on_break=machine.hub.send_break, notice=note)
    machine.connect(console)
    for text in machine.notices:
        note(text)
    return Setup(machine, console, image)
