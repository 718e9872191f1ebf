"""LLVM IR text to a relocated, position-independent code blob (docs/design.md, "Objects")."""

from __future__ import annotations

import io
import struct
from functools import cache
from typing import TYPE_CHECKING, Any, NamedTuple

from otoriscv.jit.engine import EngineUnavailable

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Blob", "compile_module", "host_triple"]

_R_X86_64_PC32, _R_X86_64_PLT32 = 2, 4
_R_AARCH64_PREL32, _R_AARCH64_CALL26, _R_AARCH64_JUMP26 = 261, 283, 282


class Blob(NamedTuple):
    """Machine code that runs at any address; ``symbols`` are offsets into ``code``."""

    code: bytes
    symbols: dict[str, int]


def _llvm() -> Any:
    try:
        import llvmlite.binding as llvm
    except ImportError as e:
        raise EngineUnavailable(f"llvmlite is not usable here ({e}): pip install llvmlite") from e
    return llvm


@cache
def host_triple() -> str:
    """The triple of this host, initialising LLVM."""
    llvm = _llvm()
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    # Loop strength reduction takes the counters of budgets apart: 2 to 6 % slower.
    llvm.set_option("", "-disable-lsr")
    triple: str = llvm.get_process_triple()
    return triple


def compile_module(text: str, *, passes: str = "sroa", level: int = 1) -> Blob:
    """Compile IR *text*; raises RuntimeError with LLVM's message when it is not valid."""
    llvm = _llvm()
    target = llvm.Target.from_triple(host_triple())
    machine = target.create_target_machine(
        opt=level, reloc="pic", codemodel="small", cpu=llvm.get_host_cpu_name(),
        features=llvm.get_host_cpu_features().flatten(),
    )  # fmt: skip
    module = llvm.parse_assembly(text)
    module.triple = target.triple
    module.data_layout = str(machine.target_data)
    module.verify()
    _run_passes(llvm, machine, module, passes)
    return link(machine.emit_object(module))


def _run_passes(llvm: Any, machine: Any, module: Any, passes: str) -> None:
    options = llvm.create_pipeline_tuning_options(speed_level=1)
    builder = llvm.create_pass_builder(machine, options)
    manager = llvm.create_new_module_pass_manager()
    for name in passes.split(","):
        getattr(manager, f"add_{name}_pass")()
    manager.run(module, builder)  # consumes the manager


def link(obj: bytes) -> Blob:
    """Lay out an object's code and constants and resolve what is relative between them."""
    from elftools.elf.elffile import ELFFile

    elf: Any = ELFFile(io.BytesIO(obj))
    bases: dict[int, int] = {}
    code = bytearray()
    for n, section in enumerate(elf.iter_sections()):
        keep = section.name.startswith((".text", ".rodata", ".ltext", ".lrodata"))
        if keep and section["sh_type"] == "SHT_PROGBITS" and section["sh_size"]:
            code += bytes(-len(code) % max(16, section["sh_addralign"]))
            bases[n] = len(code)
            code += section.data()
    table = elf.get_section_by_name(".symtab")
    addresses: list[int | None] = []
    symbols: dict[str, int] = {}
    for symbol in table.iter_symbols():
        index = symbol["st_shndx"]
        at = bases[index] + symbol["st_value"] if index in bases else None
        addresses.append(at)
        if at is not None and symbol["st_info"]["type"] == "STT_FUNC":
            symbols[symbol.name] = at
    for section in elf.iter_sections():
        if section["sh_type"] == "SHT_RELA" and section["sh_info"] in bases:
            _relocate(code, bases[section["sh_info"]], section.iter_relocations(), addresses)
    return Blob(bytes(code), symbols)


def _relocate(
    code: bytearray, base: int, relocations: Iterable[Any], addresses: list[int | None]
) -> None:
    for r in relocations:
        kind, at = r["r_info_type"], base + r["r_offset"]
        target = addresses[r["r_info_sym"]]
        if target is None:
            raise RuntimeError("generated code refers to something outside itself")
        value = target + r["r_addend"] - at
        if kind in (_R_X86_64_PC32, _R_X86_64_PLT32, _R_AARCH64_PREL32):
            struct.pack_into("<i", code, at, value)
        elif kind in (_R_AARCH64_CALL26, _R_AARCH64_JUMP26):
            (word,) = struct.unpack_from("<I", code, at)
            struct.pack_into("<I", code, at, word & 0xFC000000 | value >> 2 & 0x3FFFFFF)
        else:
            raise RuntimeError(f"generated code has a relocation of type {kind}")
