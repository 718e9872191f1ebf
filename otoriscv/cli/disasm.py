"""``otoriscv disasm``: disassemble a program or instruction words, in objdump's conventions."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator

from otoriscv.board.loaders import Image, load_image
from otoriscv.board.loaders.image import ImageError
from otoriscv.core.decode import Decoder, Insn, Isa, IsaError
from otoriscv.core.disassemble import disassemble
from otoriscv.jit.protocol import REGION_LIMIT
from otoriscv.jit.regions import discover, text, to_dot

__all__ = ["add_arguments", "add_parser", "listing", "run"]


def _number(text: str) -> int:
    return int(text, 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.description = __doc__
    parser.add_argument("file", nargs="?", help="an ELF, Intel HEX or raw file (.gz, .zst too)")
    parser.add_argument(
        "--hex", nargs="+", metavar="WORD",
        help="instructions as numbers of 4 or 8 hexadecimal digits, instead of a file",
    )  # fmt: skip
    parser.add_argument("--isa", help="for example rv32imac_zba (default: everything)")
    parser.add_argument("--base", type=_number, help="address of the first byte of raw or --hex")
    parser.add_argument("--start", type=_number, default=0, help="first address to show")
    parser.add_argument("--stop", type=_number, default=1 << 64, help="address to stop before")
    parser.add_argument(
        "--no-aliases", action="store_true", help="show instructions as they are encoded"
    )
    cfg = parser.add_argument_group("control-flow graph")
    cfg.add_argument(
        "--cfg", nargs="?", const="text", choices=("text", "dot"),
        help="show the region that the compiler would make from --entry, as text or for Graphviz: "
        "blocks, calls followed, loop heads, ways out",
    )  # fmt: skip
    cfg.add_argument("--entry", metavar="ADDRESS", help="or a symbol (default: the image's entry)")
    cfg.add_argument(
        "--limit", type=_number, default=REGION_LIMIT, metavar="N",
        help=f"instructions in the region at most (default {REGION_LIMIT})",
    )  # fmt: skip


def add_parser(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add the command to otoriscv's own."""
    add_arguments(subparsers.add_parser("disasm", help="disassemble a program or words"))


def run(args: argparse.Namespace) -> int:
    """Print the listing; 2 when the input makes no sense."""
    try:
        if (args.file is None) == (args.hex is None):
            raise ValueError("give either a file or --hex")
        isa = None if args.isa is None else Isa.parse(args.isa)
        if args.cfg is None and args.entry is not None:
            raise ValueError("--entry goes with --cfg")
        if args.cfg is not None:
            lines = _graph(args, isa)
        elif args.hex is not None:
            lines = _hex(args, isa or Isa.full(64))
        else:
            where = {} if args.base is None else {"base": args.base}
            image = load_image(args.file, xlen=None if isa is None else isa.xlen, **where)
            lines = listing(
                image, isa, args.start, args.stop, aliases=not args.no_aliases,
                code=_code(args.file),
            )  # fmt: skip
        for line in lines:
            print(line)
    except BrokenPipeError:
        sys.stderr.close()
    except (ImageError, IsaError, ValueError) as error:
        print(f"otoriscv disasm: {error}", file=sys.stderr)
        return 2
    return 0


def _line(pc: int, insn: Insn, text: str) -> str:
    return f"{pc:8x}:\t{insn.bits:0{2 * insn.length}x}".ljust(30) + f"\t{text}"


def _graph(args: argparse.Namespace, isa: Isa | None) -> Iterator[str]:
    """The region from --entry."""
    if args.hex is not None:
        image = None
        isa = isa or Isa.full(64)
        words = [w.removeprefix("0x") for text in args.hex for w in text.replace(",", " ").split()]
        code = b"".join(int(w, 16).to_bytes(len(w) // 2, "little") for w in words)
        segments = [(args.base or 0, code)]
        entry = args.base or 0
    else:
        where = {} if args.base is None else {"base": args.base}
        image = load_image(args.file, xlen=None if isa is None else isa.xlen, **where)
        isa = isa or Isa.full(image.xlen)
        segments = [(s.address, bytes(s.data)) for s in image.segments]
        entry = image.entry
    if args.entry is not None:
        entry = _address(args.entry, image)
    decoder = Decoder(isa)

    def decode(pc: int) -> Insn | None:
        for base, data in segments:
            if base <= pc < base + len(data) - 1:
                word = int.from_bytes(data[pc - base : pc - base + 4], "little")
                return decoder.decode(word, pc)
        return None

    def name(address: int) -> str:
        found = image.symbols.at(address) if image is not None else None
        return f"{address:x}" if found is None else f"{address:x} <{found[0].name}+{found[1]:#x}>"

    def show(pc: int, insn: Insn) -> str:
        aliases = not args.no_aliases
        return disassemble(insn, pc, isa.xlen, aliases=aliases, symbol=name)

    if decode(entry) is None:
        raise ValueError(f"there is no code at {entry:#x}")
    region = discover(entry, isa.xlen, decode, max(1, args.limit))
    yield to_dot(region, show) if args.cfg == "dot" else text(region, show)


def _address(word: str, image: Image | None) -> int:
    found = None if image is None else image.symbols.get(word)
    if found is not None:
        return found.address
    try:
        return int(word, 0)
    except ValueError:
        raise ValueError(f"--entry {word}: there is no such symbol") from None


def _hex(args: argparse.Namespace, isa: Isa) -> Iterator[str]:
    words = [w.removeprefix("0x") for text in args.hex for w in text.replace(",", " ").split()]
    for w in words:
        if len(w) not in (4, 8) or (int(w, 16) & 3 == 3) != (len(w) == 8):
            raise ValueError(f"{w}: an instruction is 4 digits, or 8 when its low two bits are 11")
    decoder = Decoder(isa)
    pc = args.base or 0
    for w in words:
        insn = decoder.decode(int(w, 16), pc)
        yield _line(pc, insn, disassemble(insn, pc, isa.xlen, aliases=not args.no_aliases))
        pc += insn.length


def _code(path: str) -> list[tuple[int, int]]:
    """The executable sections of an ELF, (address, size); none: they are not known."""
    from elftools.common.exceptions import ELFError
    from elftools.elf.elffile import ELFFile

    try:
        with open(path, "rb") as file:
            sections = ELFFile(file).iter_sections()
            return [(s["sh_addr"], s["sh_size"]) for s in sections if s["sh_flags"] & 4]
    except (ELFError, OSError, ValueError, KeyError, AttributeError, TypeError, UnicodeError):
        return []  # not an ELF, or its section headers are damaged: every segment is shown


def listing(
    image: Image,
    isa: Isa | None = None,
    start: int = 0,
    stop: int = 1 << 64,
    *,
    aliases: bool = True,
    code: list[tuple[int, int]] | None = None,
) -> Iterator[str]:
    """The lines of an image's disassembly; only the address ranges in *code*, if any."""
    isa = isa or Isa.full(image.xlen)
    decoder = Decoder(isa)

    def symbol(address: int) -> str:
        found = image.symbols.at(address)
        if found is None:
            return f"{address:x}"
        offset = f"+{found[1]:#x}" if found[1] else ""
        return f"{address:x} <{found[0].name}{offset}>"

    for segment in image.segments:
        for first, size in code or [(segment.address, len(segment.data))]:
            pc = max(first, start, segment.address)
            end = min(first + size, stop, segment.address + len(segment.data))
            while pc < end:
                at = pc - segment.address
                word = int.from_bytes(segment.data[at : min(at + 4, len(segment.data))], "little")
                insn = decoder.decode(word, pc)
                here = image.symbols.at(pc)
                if here is not None and here[1] == 0:
                    yield f"\n{pc:0{image.xlen // 4}x} <{here[0].name}>:"
                text = disassemble(insn, pc, isa.xlen, aliases=aliases, symbol=symbol)
                yield _line(pc, insn, text)
                pc += insn.length
