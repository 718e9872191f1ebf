"""The form of a CSR's definition, and the table of all of them.

    csr(0x340, "mscratch", slot("mscratch"))

An `Access` says how a CSR is read and written, in micro-ops; values are 64 bits wide with the upper
half zero on RV32. Writes legalise: what cannot be stored is dropped, or the old value is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, NamedTuple

from otoriscv.core.isa_string import extension_bit
from otoriscv.core.uop import Builder, Value

__all__ = ["CSRS", "Access", "Csr", "constant", "csr", "existing", "find", "slot", "zero"]

#: ``read(b, number)`` and ``write(b, number, value)``: *number* tells the CSRs of an array apart.
Read = Callable[[Builder, Value], Value]
Write = Callable[[Builder, Value, Value], None]
#: ``guard(b, number)``: 1 bit, whether the current privilege may access the CSR now.
Guard = Callable[[Builder, Value], Value]
#: ``legal(b, old, new)``: what is stored when *new* is written.
Legal = Callable[[Builder, Value, Value], Value]


class Access(NamedTuple):
    """How a CSR is read and written; writes are ignored without *write*."""

    read: Read
    write: Write | None = None
    guard: Guard | None = None


class Csr(NamedTuple):
    """One CSR. It exists when the hart has extension *needs* and XLEN is *xlen* (0: either)."""

    number: int
    name: str
    access: Access
    needs: str = ""
    xlen: int = 0

    @property
    def privilege(self) -> int:
        """The lowest privilege that may access it: 0 U, 1 S, 3 M."""
        return self.number >> 8 & 3

    @property
    def read_only(self) -> bool:
        """Whether writing it is an illegal instruction."""
        return self.number >> 10 == 3

    def exists(self, xlen: int, isa_bits: int) -> bool:
        """Whether a hart has it."""
        if self.xlen not in (0, xlen):
            return False
        return not self.needs or bool(isa_bits >> extension_bit(self.needs) & 1)


#: Every CSR by number; importing core.csr fills it.
CSRS: Final[dict[int, Csr]] = {}


def csr(
    number: int, name: str, access: Access, needs: str = "", *, xlen: int = 0, count: int = 1
) -> None:
    """Define a CSR, or *count* of them: ``{}`` in *name* is the last one's running number.

    The running number is *number*'s low bits, as the manual has it (mhpmcounter3 is 0xB03).
    """
    for n in range(number, number + count):
        assert n not in CSRS, f"CSR {n:#x} is there twice"
        CSRS[n] = Csr(n, name.format(n & 31 if count > 16 else n & 15), access, needs, xlen)


def existing(xlen: int, isa_bits: int) -> list[Csr]:
    """The CSRs of a hart, by number."""
    return sorted((c for c in CSRS.values() if c.exists(xlen, isa_bits)), key=lambda c: c.number)


def find(which: int | str, xlen: int, isa_bits: int) -> Csr:
    """A hart's CSR by number or name; KeyError when it has none."""
    if isinstance(which, int):
        found = CSRS.get(which)
    else:
        found = next((c for c in CSRS.values() if c.name == which.lower()), None)
    if found is None or not found.exists(xlen, isa_bits):
        what = f"{which:#x}" if isinstance(which, int) else which
        raise KeyError(f"this hart has no CSR {what}")
    return found


def slot(
    field: str, mask: int = -1, legal: Legal | None = None, guard: Guard | None = None
) -> Access:
    """A CSR that is a slot of the hart struct; *mask* are its writable bits, the others zero."""

    def read(b: Builder, number: Value) -> Value:
        return b.get(field)

    def write(b: Builder, number: Value, value: Value) -> None:
        value = value & mask
        b.set(field, value if legal is None else legal(b, b.get(field), value))

    return Access(read, write, guard)


def constant(value: int) -> Access:
    """A CSR that always reads *value*."""
    return Access(lambda b, number: b.const(value, 64))


def fixed(field: str) -> Access:
    """A slot that the guest cannot write."""
    return Access(lambda b, number: b.get(field))


zero: Final = constant(0)
