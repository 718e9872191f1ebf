"""The target description (target.xml): which registers there are, for gdb and LLDB.

The register numbers are gdb's own for RISC-V, so that a client which ignores the description
agrees too. CSRs that do not exist are absent.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from xml.sax.saxutils import quoteattr

from otoriscv.gdbstub.register_types import csr_type, type_definitions
from otoriscv.gdbstub.target import RegisterInfo

__all__ = ["EXPEDITED", "PC", "PRIV", "target_xml"]

PC = 32
PRIV = 4161
EXPEDITED = (1, 2, 8, PC)
"""Registers sent with every stop: ra, sp, fp and pc, enough to see who called whom."""

_CODE_POINTERS = {1, PC}
_DATA_POINTERS = {2, 3, 4, 8}
_DOUBLE = (
    '<union id="riscv_double">'
    '<field name="float" type="ieee_single"/><field name="double" type="ieee_double"/>'
    "</union>"
)


_GENERIC = {1: "ra", 2: "sp", 8: "fp", PC: "pc", **{10 + n: f"arg{n + 1}" for n in range(8)}}


def target_xml(xlen: int, registers: Sequence[RegisterInfo], *, lldb: bool = False) -> bytes:
    """The whole description as one document; LLDB also wants to know what registers are for."""
    parts = [
        '<?xml version="1.0"?>\n<!DOCTYPE target SYSTEM "gdb-target.dtd">\n',
        f'<target version="1.0">\n<architecture>riscv:rv{xlen}</architecture>\n',
        # Without it a gdb built for GNU/Linux steps by breakpoints, and over what it cannot guess.
        "<osabi>none</osabi>\n",
    ]
    for group, members in groupby(sorted(registers, key=_feature_order), key=lambda r: r.group):
        feature = list(members)
        parts.append(f'<feature name="org.gnu.gdb.riscv.{group}">\n')
        if group == "fpu" and any(register.bits == 64 for register in feature):
            parts.append(_DOUBLE + "\n")
        if group in ("csr", "virtual"):
            parts.append(type_definitions([register.name for register in feature], xlen))
        parts.extend(_register_xml(register, xlen, lldb) for register in feature)
        parts.append("</feature>\n")
    parts.append("</target>\n")
    return "".join(parts).encode()


def _feature_order(register: RegisterInfo) -> tuple[int, int]:
    return ("cpu", "fpu", "csr", "virtual").index(register.group), register.number


def _register_xml(register: RegisterInfo, xlen: int, lldb: bool) -> str:
    attributes = (
        f'<reg name={quoteattr(register.name)} bitsize="{register.bits}" '
        f'regnum="{register.number}" type="{_type(register, xlen)}"'
    )
    if register.group == "csr":
        # A call from gdb saves and restores registers, which must not write CSRs back.
        attributes += ' save-restore="no" group="csr"'
    if lldb and register.number <= PC:
        attributes += f' dwarf_regnum="{register.number}" gcc_regnum="{register.number}"'
        if register.number < PC:
            attributes += f' altname="x{register.number}"'
        if register.number in _GENERIC:
            attributes += f' generic="{_GENERIC[register.number]}"'
    return attributes + "/>\n"


def _type(register: RegisterInfo, xlen: int) -> str:
    if register.group == "cpu":
        if register.number in _CODE_POINTERS:
            return "code_ptr"
        return "data_ptr" if register.number in _DATA_POINTERS else "int"
    if register.group == "fpu" and 33 <= register.number < 65:
        return "riscv_double" if register.bits == 64 else "ieee_single"
    if register.bits == xlen:
        return csr_type(register.name, xlen)
    return "int"
