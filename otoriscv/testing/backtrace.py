"""Backtraces from the image's call frame information (DWARF 4, section 6.4), with pyelftools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from otoriscv.core.memory import MemoryHole

if TYPE_CHECKING:
    from otoriscv.api import Machine

__all__ = ["backtrace"]

_RA: Final = 1
_SP: Final = 2
_DEEPEST: Final = 64


def backtrace(machine: Machine, hart: int = 0) -> list[int]:
    """The pcs of a hart's frames, innermost first; of what has no frame information, only that."""
    state = machine.board.harts[hart]
    registers: dict[int, int] = dict(enumerate(state.x))
    frames = [state.pc]
    entries = _frame_entries(machine)
    while entries and len(frames) < _DEEPEST:
        # a return address may already belong to the next function: look up the call before it
        pc = frames[-1] - (len(frames) > 1)
        rules = _rules(entries, pc)
        if rules is None:
            break
        try:
            registers = _unwind(machine, hart, rules, registers)
        except MemoryHole:
            break
        caller = registers.get(_RA, 0)
        if caller == 0 or (caller == frames[-1] and registers[_SP] == state.x[_SP]):
            break
        frames.append(caller)
    return frames


def _frame_entries(machine: Machine) -> list[Any]:
    """The image's frame descriptions."""
    from elftools.dwarf.callframe import FDE
    from elftools.elf.elffile import ELFFile

    image = machine.board.image
    if image is None or image.kind != "elf":
        return []
    try:
        with open(image.path, "rb") as file:
            dwarf = ELFFile(file).get_dwarf_info()
            found: list[Any] = []
            if dwarf.has_CFI():
                found += dwarf.CFI_entries()
            if dwarf.has_EH_CFI():
                found += dwarf.EH_CFI_entries()
            return [(entry, entry.get_decoded()) for entry in found if isinstance(entry, FDE)]
    except Exception:  # damaged or compressed: a report must not fail for it
        return []


def _rules(entries: list[Any], pc: int) -> dict[Any, Any] | None:
    """The row of the table that holds for *pc*."""
    for entry, decoded in entries:
        start = entry["initial_location"]
        if start <= pc < start + entry["address_range"]:
            row = None
            for candidate in decoded.table:
                if candidate["pc"] <= pc:
                    row = candidate
            return row
    return None


def _unwind(
    machine: Machine, hart: int, rules: dict[Any, Any], registers: dict[int, int]
) -> dict[int, int]:
    """The caller's registers."""
    rule = rules["cfa"]
    if rule.reg is None:  # an expression: compilers write none for RISC-V
        return {}
    size = machine.board.xlen // 8
    frame = registers[rule.reg] + rule.offset
    caller = dict(registers)
    caller[_SP] = frame
    for number, saved in rules.items():
        if isinstance(number, int) and saved.type == "OFFSET":
            raw = machine.harts[hart].memory[frame + saved.arg : frame + saved.arg + size]
            caller[number] = int.from_bytes(raw, "little")
    return caller
