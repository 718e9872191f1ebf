"""The CSR routines: one switch each over the table."""

from __future__ import annotations

from collections.abc import Callable

from otoriscv.core.csr.counters import before_poke
from otoriscv.core.csr.table import CSRS, Csr
from otoriscv.core.routine import routine
from otoriscv.core.trap import on, xlen_bits
from otoriscv.core.uop import Builder, Value


def _groups(b: Builder, key: Callable[[Csr], object]) -> list[tuple[Csr, list[int]]]:
    """The CSRs of this XLEN that share a body: one of them, and their numbers."""
    groups: dict[object, list[Csr]] = {}
    for c in CSRS.values():
        if c.xlen in (0, b.xlen):
            groups.setdefault(key(c), []).append(c)
    return [(cs[0], sorted(c.number for c in cs)) for cs in groups.values()]


@routine(2)
def csr_allowed(b: Builder, number: Value, write: Value) -> None:
    """1 when an instruction may access CSR *number*, and write it when *write* is 1."""
    with b.if_(b.get("priv").ltu((number >> 8) & 3)):
        b.ret(0)
    with b.if_(write.ne(0) & (number >> 10).eq(3)):
        b.ret(0)
    with b.switch(number) as s:
        for c, numbers in _groups(b, lambda c: (c.needs, c.access.guard)):
            with s.case(*numbers):
                allowed = on(b, c.needs) if c.needs else b.const(1, 1)
                if c.access.guard is not None:
                    allowed = allowed & c.access.guard(b, number)
                b.ret(allowed)
    b.ret(0)


@routine(1)
def csr_read(b: Builder, number: Value) -> None:
    """The value of CSR *number*, zero-extended; 0 when there is none."""
    with b.switch(number) as s:
        for c, numbers in _groups(b, lambda c: c.access.read):
            with s.case(*numbers):
                b.ret(c.access.read(b, number))
    b.ret(0)


@routine(2)
def csr_write(b: Builder, number: Value, value: Value) -> None:
    """Write CSR *number* as an instruction does: legalised, exact for its successor."""
    new = xlen_bits(b, value)
    with b.switch(number) as s:
        for c, numbers in _groups(b, lambda c: c.access.write):
            if c.access.write is not None:
                with s.case(*numbers):
                    c.access.write(b, number, new)


@routine(2)
def csr_poke(b: Builder, number: Value, value: Value) -> None:
    """Write CSR *number* as a debugger does: no instruction is under way, so none is left out."""
    budget = b.get("budget")
    b.set("budget", budget + 1)
    before_poke(b, number)
    b.call("csr_write", number, value)
    b.set("budget", budget)
