"""Assembles the built-in firmware for a machine.

Two additions to the assembler's language: ``{name}`` is a constant, and a line that begins with
``?word`` is there only where *word* applies (rv32, rv64; sstc or mtime: which timer; zifencei).
``lx`` and ``sx`` load and store a register.
"""

from __future__ import annotations

import hashlib
import json
import re
from functools import cache, lru_cache
from pathlib import Path
from typing import Final

from otoriscv.board import memory_map as at
from otoriscv.core.isa_string import Isa
from otoriscv.core.program import Program
from otoriscv.devices.clint import MTIMECMP
from otoriscv.devices.finisher import FINISHER_FAIL, FINISHER_PASS, FINISHER_RESET
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.sources import settled, source_key

__all__ = ["MAX_HARTS", "firmware"]

_PARTS: Final = ("start.s", "trap.s", "console.s", "ipi.s", "hsm.s", "system.s")

_HART_SHIFT: Final = 8
#: How many harts have room for their variables.
MAX_HARTS: Final = at.FIRMWARE_RAM.size >> _HART_SHIFT
#: A hart's variables: saved registers first, in slots of eight bytes.
_SLOTS: Final = (
    *("o_sp", "o_ra", "o_t0", "o_t1", "o_t2", "o_t3", "o_t4", "o_t5", "o_t6", "o_s0", "o_s1"),
    *("o_a0", "o_a1"),
    "o_status",  # HSM state
    "o_start",  # where it is to start, and with what in a1
    "o_opaque",
    "o_pending",  # what other harts ask for: PENDING bits
    "o_asked",  # fences asked for and done
    "o_done",
    "o_waiting",  # whether it waits for another hart's fence
)

_NAPOT: Final = 0x18
_RWX: Final = 7
_STCE, _ADUE, _CBZE, _CBCFE, _CBIE_FLUSH = 1 << 63, 1 << 61, 1 << 7, 1 << 6, 1 << 4


def firmware(
    isa: Isa,
    harts: int,
    *,
    base: int = at.FIRMWARE.base,
    variables: int = at.FIRMWARE_RAM.base,
    store: DiskCache | None = None,
) -> Program:
    """The firmware's code at *base* for *harts* harts of *isa*; ValueError when there can be none.

    Its *variables* take ``FIRMWARE_RAM.size`` bytes, to which that address is aligned. Assembling
    it takes as long as a fifth of a start: *store* remembers it.
    """
    if "Zaamo" not in isa.extensions or "Zalrsc" not in isa.extensions:
        raise ValueError(f"the built-in firmware needs atomics, which {isa} has not")
    if harts > MAX_HARTS:
        raise ValueError(f"the built-in firmware serves at most {MAX_HARTS} harts, not {harts}")
    if store is None or not settled():
        return _assemble(isa, harts, base, variables)
    given = repr((str(isa), harts, base, variables, _sources(), source_key()))
    key = f"firmware-{hashlib.sha256(given.encode()).hexdigest()}"
    found = store.get(key)
    if found is None:
        made = _assemble(isa, harts, base, variables)
        found = json.dumps([made.code.hex(), made.symbols]).encode()
        store.put(key, found)
    code, symbols = json.loads(found)
    return Program(base, bytes.fromhex(code), symbols)


@cache
def _sources() -> dict[str, str]:
    """What the firmware is made from, but for the assembler."""
    here = Path(__file__)
    paths = (here, *(here.with_name(name) for name in _PARTS))
    return {path.name: path.read_text(encoding="ascii") for path in paths}


@lru_cache(8)
def _assemble(isa: Isa, harts: int, base: int, variables: int) -> Program:
    from otoriscv.core.encode import assemble  # most starts need no assembler

    flags = {f"rv{isa.xlen}", "sstc" if "Sstc" in isa.extensions else "mtime"}
    flags |= {"zifencei"} & {name.lower() for name in isa.extensions}
    source = "\n".join(_sources()[name] for name in _PARTS)
    text = "\n".join(_preprocess(line, flags) for line in source.splitlines())
    text = re.sub(r"\b([ls])x\b", r"\1d" if isa.xlen == 64 else r"\1w", text)
    program = assemble(text.format_map(_constants(isa, harts, variables)), isa.xlen, base)
    assert len(program.code) <= at.FIRMWARE.size
    return program


def _preprocess(line: str, flags: set[str]) -> str:
    code = line.split("#", maxsplit=1)[0]
    while (condition := re.match(r"\s*\?(\w+)\s", code)) is not None:
        if condition[1] not in flags:
            return ""
        code = code[condition.end() :]
    return code


def _constants(isa: Isa, harts: int, variables: int) -> dict[str, int]:
    constants = {name: 8 * n for n, name in enumerate(_SLOTS)}
    size = at.FIRMWARE_RAM.size
    envcfg = _STCE | _CBZE | _CBCFE | _CBIE_FLUSH
    if "Svadu" in isa.extensions and "Svade" not in isa.extensions:
        envcfg |= _ADUE
    constants |= {
        "harts": harts,
        "xlen": isa.xlen,
        "hart_shift": _HART_SHIFT,
        "hart_size": 1 << _HART_SHIFT,
        "variables": variables,
        "variables_end": variables + (harts << _HART_SHIFT),
        "next_address": 2 * isa.xlen // 8,
        "non_retentive": 1 << 31 if isa.xlen == 32 else -1 << 31,
        "pmp_own": (variables | (size >> 1) - 1) >> 2,
        "pmp_config": _NAPOT | (_NAPOT | _RWX) << 8,
        "envcfg": envcfg if isa.xlen == 64 else envcfg & 0xFFFF_FFFF,
        "envcfg_high": envcfg >> 32,
        "clint": at.CLINT.base,
        "mtimecmp": at.CLINT.base + MTIMECMP,
        "uart": at.UART.base,
        "finisher": at.FINISHER.base,
        "finisher_pass": FINISHER_PASS,
        "finisher_fail": FINISHER_FAIL | 1 << 16,
        "finisher_reset": FINISHER_RESET,
    }
    return constants
