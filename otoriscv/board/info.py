"""Texts about a halted machine, for ``monitor info`` and crash reports."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Final

from otoriscv.board.info_paging import pages, tlb
from otoriscv.board.info_virtio import virtio
from otoriscv.board.statistics import gather, lines
from otoriscv.board.translation import physical, scheme_of
from otoriscv.core.bus import Access, Device
from otoriscv.core.csr import existing
from otoriscv.core.hart import Hart
from otoriscv.core.layout import HART, MACHINE

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine

__all__ = ["ABI_NAMES", "HART_TOPICS", "TOPICS", "registers_of"]

ABI_NAMES: Final = (
    *("zero", "ra", "sp", "gp", "tp", "t0", "t1", "t2", "s0", "s1"),
    *(f"a{n}" for n in range(8)),
    *(f"s{n}" for n in range(2, 12)),
    *(f"t{n}" for n in range(3, 7)),
)
_MODES: Final = {0: "U", 1: "S", 3: "M"}
_NEVER: Final = (1 << 64) - 1


def registers_of(hart: Hart, describe: Callable[[int], str] = hex) -> str:
    """The integer registers of *hart*, four to a line."""
    digits = hart.xlen // 4
    lines = [f"pc   {hart.pc:0{digits}x}  {describe(hart.pc)}  mode {_MODES[hart.priv]}"]
    for row in range(0, 32, 4):
        cells = (f"{ABI_NAMES[n]:4} {hart.x[n]:0{digits}x}" for n in range(row, row + 4))
        lines.append("  ".join(cells))
    return "\n".join(lines) + "\n"


def _registers(machine: VirtMachine) -> str:
    out = []
    for hart in machine.harts:
        title = f"hart {hart.index}\n" if len(machine.harts) > 1 else ""
        out.append(title + registers_of(hart, machine.symbols.describe))
    return "\n".join(out)


def _csr(machine: VirtMachine) -> str:
    out = []
    digits = machine.xlen // 4
    for hart in machine.harts:
        if len(machine.harts) > 1:
            out.append(f"hart {hart.index}\n")
        for csr in existing(machine.xlen, machine.isa.bits):
            value = hart.read_csr(csr.number)
            if value or not csr.name.startswith(("mhpm", "hpm", "pmp")):
                out.append(f"{csr.name:14} {value:0{digits}x}\n")
    return "".join(out)


def _memory(machine: VirtMachine) -> str:
    rows = [(r.base, r.end, "ROM" if r.rom else "RAM") for r in machine.memory.ranges()]
    rows += [(base, base + size, device.name) for base, size, device in machine.bus.devices()]
    return "".join(f"{a:016x}-{b - 1:016x}  {what}\n" for a, b, what in sorted(rows))


def _device(machine: VirtMachine, name: str) -> tuple[int, Device] | None:
    for base, _, device in machine.bus.devices():
        if device.name == name:
            return base, device
    return None


def _clint(machine: VirtMachine) -> str:
    lines = [f"mtime {machine.clock.ticks()}\n"]
    for hart in machine.harts:
        compare = hart.q[HART["mtimecmp"]]
        when = "never" if compare == _NEVER else str(compare)
        lines.append(f"hart {hart.index}: msip {hart.q[HART['mip']] >> 3 & 1}, mtimecmp {when}\n")
    return "".join(lines)


def _plic(machine: VirtMachine) -> str:
    found = _device(machine, "plic")
    if found is None:
        return "there is no PLIC\n"
    plic = found[1]

    def word(offset: int) -> int:
        return plic.read(offset, Access(4, 0))

    lines = []
    for source in range(1, 96):
        priority = word(4 * source)
        pending = word(0x1000 + 4 * (source >> 5)) >> (source & 31) & 1
        contexts = [
            str(c)
            for c in range(2 * len(machine.harts))
            if word(0x2000 + 0x80 * c + 4 * (source >> 5)) >> (source & 31) & 1
        ]
        if priority or pending or contexts:
            lines.append(
                f"source {source}: priority {priority}, {'pending' if pending else 'quiet'}, "
                f"enabled in contexts {' '.join(contexts) or 'none'}\n"
            )
    for context in range(2 * len(machine.harts)):
        mode = "SM"[context & 1 == 0]
        threshold = word(0x20_0000 + 0x1000 * context)
        lines.append(f"context {context} (hart {context >> 1} {mode}): threshold {threshold}\n")
    return "".join(lines)


def _uart(machine: VirtMachine) -> str:
    uart = machine.hub.uart
    if uart is None:
        return "there is no UART\n"
    m = machine.m
    return (
        f"IER {m[MACHINE['uart_ier']]:02x}  LCR {m[MACHINE['uart_lcr']]:02x}  "
        f"LSR {m[MACHINE['uart_lsr']]:02x}\n"
        f"printed {m[MACHINE['uart_head']]} bytes, {uart.unread} bytes of input unread\n"
    )


def _harts(machine: VirtMachine) -> str:
    lines = []
    for hart in machine.harts:
        state = "waits for an interrupt" if hart.waiting else "runs"
        lines.append(
            f"hart {hart.index}: {_MODES[hart.priv]} mode, pc {hart.pc:#x} "
            f"{machine.symbols.describe(hart.pc)}, {state}, {hart.retired} instructions\n"
        )
    return "".join(lines)


def _breakpoints(machine: VirtMachine) -> str:
    lines = [
        f"breakpoint {address:#x} {machine.symbols.describe(address)}\n"
        for address in sorted(machine.breakpoints)
    ]
    kinds = {1: "read", 2: "write", 3: "access"}
    for address, length, kind in machine.watchpoints:
        lines.append(f"watchpoint {address:#x}, {length} bytes, {kinds[kind]}\n")
    return "".join(lines) or "none\n"


def _translations(machine: VirtMachine) -> str:
    """What is compiled, how much of the work it did, and whether the harts are in it."""
    facts = gather(machine)
    text = "".join(f"{line}\n" for line in lines(facts))
    for hart in machine.harts:
        place = physical(hart, machine.memory, hart.pc, fetch=True)
        translated = hart.priv != 3 and scheme_of(hart) is not None
        count = 0
        if place is not None:
            count = machine.engine.compiled_at(hart.pc, place, translated=translated)
        what = f"in {count} compiled regions" if count else "not in compiled code"
        text += f"hart {hart.index}: pc {hart.pc:#x} is {what}\n"
    return text


#: What ``monitor info`` can show.
TOPICS: Final[Mapping[str, Callable[[VirtMachine], str]]] = {
    "registers": _registers,
    "csr": _csr,
    "memory": _memory,
    "clint": _clint,
    "plic": _plic,
    "uart": _uart,
    "harts": _harts,
    "breakpoints": _breakpoints,
    "translations": _translations,
    "virtio": virtio,
}
#: And of one hart; some take an argument.
HART_TOPICS: Final[Mapping[str, Callable[[VirtMachine, Hart, str], str]]] = {
    "pages": pages,
    "tlb": tlb,
}
