"""Types of CSRs for target.xml: which bits are called what.

Flags types stay integers in expressions (``$mcause == 11``), and print as ``[ MIE MPP=M ]``. gdb
assigns only integers of the same width to them: on RV64 ``set $mstatus |= 8`` and
``set $mstatus = 8UL`` work, ``set $mstatus = 8`` is an "Invalid cast". (A union or struct would
take the latter in a member only, and could not be used in expressions.)
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["csr_type", "type_definitions"]


class _Field(NamedTuple):
    name: str
    start: int
    end: int
    type: str = ""


_CODE_POINTERS = frozenset(("mepc", "sepc", "mtvec", "stvec"))
_PRIVILEGE = {"U": 0, "S": 1, "M": 3}
_EXTENSION_STATE = {"Off": 0, "Initial": 1, "Clean": 2, "Dirty": 3}
_TRANSLATION = {32: {"Bare": 0, "Sv32": 1}, 64: {"Bare": 0, "Sv39": 8, "Sv48": 9, "Sv57": 10}}
_CAUSES = {
    "Instruction_address_misaligned": 0,
    "Instruction_access_fault": 1,
    "Illegal_instruction": 2,
    "Breakpoint": 3,
    "Load_address_misaligned": 4,
    "Load_access_fault": 5,
    "Store_address_misaligned": 6,
    "Store_access_fault": 7,
    "Environment_call_from_U": 8,
    "Environment_call_from_S": 9,
    "Environment_call_from_M": 11,
    "Instruction_page_fault": 12,
    "Load_page_fault": 13,
    "Store_page_fault": 15,
}
_INTERRUPTS = ((1, "SSI"), (3, "MSI"), (5, "STI"), (7, "MTI"), (9, "SEI"), (11, "MEI"))


def _bits(*names: tuple[int, str]) -> list[_Field]:
    return [_Field(name, bit, bit) for bit, name in names]


def _status(xlen: int, *, machine: bool) -> list[_Field]:
    fields = _bits((1, "SIE"), (5, "SPIE"), (8, "SPP"), (18, "SUM"), (19, "MXR"))
    fields.append(_Field("FS", 13, 14, "riscv_xs"))
    fields += _bits((xlen - 1, "SD"))
    if machine:
        fields += _bits((3, "MIE"), (7, "MPIE"), (17, "MPRV"), (20, "TVM"), (21, "TW"), (22, "TSR"))
        fields.append(_Field("MPP", 11, 12, "riscv_priv"))
    if xlen == 64:
        fields.append(_Field("UXL", 32, 33))
        if machine:
            fields.append(_Field("SXL", 34, 35))
    return fields


def _cause(xlen: int) -> list[_Field]:
    return [_Field("Code", 0, 5, "riscv_cause"), *_bits((xlen - 1, "Interrupt"))]


def _satp(xlen: int) -> list[_Field]:
    if xlen == 32:
        return [_Field("PPN", 0, 21), _Field("ASID", 22, 30), _Field("MODE", 31, 31, "riscv_satp")]
    return [_Field("PPN", 0, 43), _Field("ASID", 44, 59), _Field("MODE", 60, 63, "riscv_satp")]


def _misa(xlen: int) -> list[_Field]:
    return [*_bits(*((n, chr(ord("A") + n)) for n in range(26))), _Field("MXL", xlen - 2, xlen - 1)]


def _flags(xlen: int) -> dict[str, list[_Field]]:
    """The fields of each CSR that has some."""
    pending = _bits(*((bit, f"{name}P") for bit, name in _INTERRUPTS))
    enabled = _bits(*((bit, f"{name}E") for bit, name in _INTERRUPTS))
    return {
        "mstatus": _status(xlen, machine=True),
        "sstatus": _status(xlen, machine=False),
        "mip": pending,
        "sip": [field for field in pending if field.name[0] == "S"],
        "mie": enabled,
        "sie": [field for field in enabled if field.name[0] == "S"],
        "mideleg": _bits(*((bit, name) for bit, name in _INTERRUPTS)),
        "mcause": _cause(xlen),
        "scause": _cause(xlen),
        "satp": _satp(xlen),
        "misa": _misa(xlen),
    }


def csr_type(name: str, xlen: int) -> str:
    """The type of a CSR, or of the virtual register priv."""
    if name in _CODE_POINTERS:
        return "code_ptr"
    if name == "priv":
        return "riscv_priv"
    return f"riscv_{name}" if name in _flags(xlen) else "int"


def type_definitions(names: list[str], xlen: int) -> str:
    """The XML of what the types of these registers need."""
    flags = _flags(xlen)
    used = [name for name in names if name in flags]
    parts = []
    if used or "priv" in names:
        parts.append(_enum("riscv_priv", _PRIVILEGE, xlen))
    if used:
        parts.append(_enum("riscv_xs", _EXTENSION_STATE, xlen))
        parts.append(_enum("riscv_cause", _CAUSES, xlen))
        parts.append(_enum("riscv_satp", _TRANSLATION[xlen], xlen))
    for name in used:
        rows = []
        for field in sorted(flags[name], key=lambda field: field.start):
            kind = f' type="{field.type}"' if field.type else ""
            if not kind and field.start == field.end:
                kind = ' type="bool"'
            rows.append(
                f'<field name="{field.name}" start="{field.start}" end="{field.end}"{kind}/>'
            )
        parts.append(f'<flags id="riscv_{name}" size="{xlen // 8}">{"".join(rows)}</flags>\n')
    return "".join(parts)


def _enum(name: str, values: dict[str, int], xlen: int) -> str:
    rows = "".join(f'<evalue name="{text}" value="{n}"/>' for text, n in values.items())
    return f'<enum id="{name}" size="{xlen // 8}">{rows}</enum>\n'
