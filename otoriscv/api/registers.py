"""Registers and CSRs of a hart by name."""

from __future__ import annotations

import difflib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from otoriscv.board.info import ABI_NAMES
from otoriscv.core.csr import existing
from otoriscv.core.isa_table import FLOAT_NAMES
from otoriscv.core.layout import HART

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart

__all__ = ["Registers"]

_INTEGER: Final = {
    **{f"x{n}": n for n in range(32)},
    **{name: n for n, name in enumerate(ABI_NAMES)},
    "fp": 8,
}
_FLOAT: Final = {
    **{f"f{n}": n for n in range(32)},
    **{name: n for n, name in enumerate(FLOAT_NAMES)},
}


class Registers:
    """The registers of one hart, as attributes or items.

    Integer registers under both their names, ``pc``, ``priv`` (0 U, 1 S, 3 M) and every CSR that
    the hart has. Values are unsigned; what is written is cut to XLEN bits, and CSRs keep their
    fields legal. Floating-point registers are bit patterns of 64 bits, singles NaN-boxed.

    Examples
    --------
    >>> from otoriscv import Machine
    >>> m = Machine(isa="rv32imac_zicsr")
    >>> m.regs.a0 = -1
    >>> hex(m.regs.x10)
    '0xffffffff'
    >>> m.regs["mscratch"] = 7
    >>> m.regs.mscratch
    7
    """

    __slots__ = ("_hart",)
    _hart: Hart

    def __init__(self, hart: Hart) -> None:
        object.__setattr__(self, "_hart", hart)

    def __getitem__(self, name: str) -> int:
        hart = self._hart
        number = _INTEGER.get(name)
        if number is not None:
            return hart.x[number]
        if name in ("pc", "priv"):
            return hart.pc if name == "pc" else hart.priv
        if name in _FLOAT and hart.has("F"):
            bits: int = hart.q[HART["f"] + _FLOAT[name]]
            return bits
        try:
            return hart.read_csr(name)
        except KeyError:
            raise KeyError(self._unknown(name)) from None

    def __setitem__(self, name: str, value: int) -> None:
        hart = self._hart
        number = _INTEGER.get(name)
        if number is not None:
            hart.x[number] = value
        elif name == "pc":
            hart.pc = value
        elif name == "priv":
            hart.priv = value
        elif name in _FLOAT and hart.has("F"):
            hart.q[HART["f"] + _FLOAT[name]] = value & (1 << 64) - 1
        else:
            try:
                hart.write_csr(name, value)
            except KeyError:
                raise KeyError(self._unknown(name)) from None

    def __getattr__(self, name: str) -> int:
        try:
            return self[name]
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __setattr__(self, name: str, value: int) -> None:
        try:
            self[name] = value
        except KeyError as error:
            raise AttributeError(str(error.args[0])) from None

    def __iter__(self) -> Iterator[str]:
        hart = self._hart
        yield from (*ABI_NAMES, "pc", "priv")
        if hart.has("F"):
            yield from FLOAT_NAMES
        yield from (csr.name for csr in existing(hart.xlen, hart.isa_bits))

    def __contains__(self, name: object) -> bool:
        return name in _INTEGER or (name in _FLOAT and self._hart.has("F")) or name in set(self)

    def __dir__(self) -> list[str]:
        return [*super().__dir__(), *self]

    def __repr__(self) -> str:
        hart = self._hart
        values = ", ".join(f"{name}={hart.x[n]:#x}" for n, name in enumerate(ABI_NAMES) if n)
        return f"<Registers pc={hart.pc:#x}, {values}>"

    def _unknown(self, name: str) -> str:
        near = difflib.get_close_matches(name, [*self, *_INTEGER], 1)
        return f"hart {self._hart.index} has no register {name!r}" + (
            f"; did you mean {near[0]!r}?" if near else ""
        )
