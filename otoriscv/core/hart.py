"""A hart as Python sees it: its struct in the arena, with names."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Final, overload

from otoriscv.core import mode
from otoriscv.core.isa_string import EXTENSIONS
from otoriscv.core.layout import (
    HART,
    HART_FIELDS_END,
    LARGE_WORDS,
    NO_WALK,
    TLB_BANKS,
    TLB_ENTRIES,
    TLB_INVALID,
    TLB_KINDS,
    WALKS,
)
from otoriscv.core.pmp import OPEN_M

if TYPE_CHECKING:
    from otoriscv.core.memory import Arena

__all__ = ["PRIV_M", "PRIV_S", "PRIV_U", "Hart", "Registers", "misa_of"]

PRIV_U: Final = 0
PRIV_S: Final = 1
PRIV_M: Final = 3
_NEVER: Final = (1 << 64) - 1
_SEIP: Final = 9

#: ``routine(name)`` is a routine as a function of the struct's slots and its parameters.
Routines = Callable[[str], Callable[..., int]]


def misa_of(xlen: int, isa_bits: int) -> int:
    """The value of misa for a set of extensions (``Isa.bits``)."""
    letters = [e for n, e in enumerate(EXTENSIONS) if len(e) == 1 and isa_bits >> n & 1]
    return (xlen // 32) << (xlen - 2) | sum(1 << ord(c) - ord("A") for c in letters)


class Registers(Sequence[int]):
    """x0 to x31: writes are cut to XLEN bits, x0 stays zero."""

    def __init__(self, q: memoryview, xlen: int) -> None:
        self._q = q
        self._mask = (1 << xlen) - 1

    def __len__(self) -> int:
        return 32

    @overload
    def __getitem__(self, n: int) -> int: ...
    @overload
    def __getitem__(self, n: slice) -> list[int]: ...
    def __getitem__(self, n: int | slice) -> int | list[int]:
        if isinstance(n, slice):
            return self._q[:32].tolist()[n]
        if not -32 <= n < 32:
            raise IndexError(f"no register x{n}")
        value: int = self._q[n % 32]
        return value

    def __setitem__(self, n: int, value: int) -> None:
        if not 0 <= n < 32:
            raise IndexError(f"no register x{n}")
        if n:
            self._q[n] = value & self._mask

    def __iter__(self) -> Iterator[int]:
        return iter(self._q[:32].tolist())


class Hart:
    """One hart. ``q`` are the u64 slots of its struct; `layout.HART` gives their numbers."""

    def __init__(
        self,
        arena: Arena,
        index: int,
        xlen: int,
        isa_bits: int,
        *,
        reset_vector: int = 0x1000,
        misaligned_trap: bool = False,
    ) -> None:
        self.index = index
        self.xlen = xlen
        self.isa_bits = isa_bits
        self.reset_vector = reset_vector
        self.q = arena.hart(index)
        self.x = Registers(self.q, xlen)
        self.routines: Routines | None = None
        self._m = arena.machine
        self._mask = (1 << xlen) - 1
        self._misaligned_trap = misaligned_trap
        self.reset()

    def reset(self) -> None:
        """The state after a reset (privileged spec, section 3.4); everything else is zero."""
        q = self.q
        watching = q[HART["mode"]] & (mode.WATCH_R | mode.WATCH_W)
        q[:HART_FIELDS_END] = memoryview(bytes(8 * HART_FIELDS_END)).cast("Q")
        q[HART["pc"]] = self.reset_vector
        q[HART["hartid"]] = self.index
        q[HART["isa"]] = self.isa_bits
        q[HART["misa"]] = misa_of(self.xlen, self.isa_bits)
        q[HART["misaligned_trap"]] = self._misaligned_trap
        q[HART["mtimecmp"]] = q[HART["stimecmp"]] = _NEVER
        q[HART["trap_pc"]] = q[HART["trap_retired"]] = _NEVER
        q[HART["mode"]] = (
            (mode.XLEN64 if self.xlen == 64 else 0)
            | (mode.MISALIGNED_TRAP if self._misaligned_trap else 0)
            | mode.FLAT  # machine mode, nothing locked
            | watching
        )
        q[HART["pmp_open"]] = OPEN_M
        self.priv = PRIV_M
        self.flush_tlb()

    # -- state

    @property
    def pc(self) -> int:
        """The address of the next instruction."""
        value: int = self.q[HART["pc"]]
        return value

    @pc.setter
    def pc(self, value: int) -> None:
        self.q[HART["pc"]] = value & self._mask & ~1

    @property
    def priv(self) -> int:
        """The privilege: 0 U, 1 S, 3 M."""
        value: int = self.q[HART["priv"]]
        return value

    @priv.setter
    def priv(self, value: int) -> None:
        modes = [PRIV_U, PRIV_S, PRIV_M]
        if value != PRIV_M and (
            value not in modes or not self.has("U" if value == PRIV_U else "S")
        ):
            raise ValueError(f"this hart has no privilege mode {value}")
        q = self.q
        q[HART["priv"]] = value
        if self.routines is not None:
            self.routines("refresh_mode")(q)
        else:
            q[HART["mode"]] = q[HART["mode"]] & ~(3 << mode.PRIV_SHIFT) | value << mode.PRIV_SHIFT

    @property
    def budget(self) -> int:
        """Steps left before the next poll."""
        value: int = self.q[HART["budget"]]
        return value

    @property
    def retired(self) -> int:
        """Instructions retired since reset, whatever minstret says."""
        q = self.q
        return (q[HART["retired_end"]] - q[HART["budget"]]) & _NEVER

    @property
    def waiting(self) -> bool:
        """Whether the hart sleeps in a wfi."""
        return bool(self.q[HART["waiting"]])

    @property
    def can_wake(self) -> bool:
        """Whether an enabled interrupt is pending, so that a wfi would end."""
        return bool(self.q[HART["mip"]] & self.q[HART["mie"]])

    def has(self, extension: str) -> bool:
        """Whether an extension (or a mode, S or U) is on."""
        return bool(self.isa_bits >> EXTENSIONS.index(extension) & 1)

    def set_irq(self, bit: int, level: bool) -> None:
        """Drive an interrupt line into mip."""
        q = self.q
        if bit == _SEIP:
            q[HART["seip_line"]] = level
            level = level or bool(q[HART["seip_soft"]])
        mip = q[HART["mip"]]
        q[HART["mip"]] = mip | 1 << bit if level else mip & ~(1 << bit)

    def set_watching(self, reads: bool, writes: bool) -> None:
        """Put the kinds of watched accesses into the mode word; no TLB entry may survive it."""
        watching = (mode.WATCH_R if reads else 0) | (mode.WATCH_W if writes else 0)
        q = self.q
        q[HART["mode"]] = q[HART["mode"]] & ~(mode.WATCH_R | mode.WATCH_W) | watching
        self.flush_tlb()

    def flush_tlb(self) -> None:
        """Invalidate every entry of every bank."""
        entry = TLB_INVALID.to_bytes(8, "little") + bytes(8)
        count = TLB_BANKS * TLB_KINDS * TLB_ENTRIES
        q = self.q
        q[HART["tlb"] : HART["tlb"] + 2 * count] = memoryview(entry * count).cast("Q")
        q[HART["tlb_generation"]] += 1
        for name, size in (("large", 2 * LARGE_WORDS), ("large_span", 2)):
            q[HART[name] : HART[name] + size] = memoryview(bytes(8 * size)).cast("Q")
        q[HART["local_kernel"]] = 0
        for n in range(WALKS):
            q[HART["walk_tags"] + n] = NO_WALK

    # -- CSRs, as a debugger sees them: no privilege checks, but the fields stay legal

    def read_csr(self, csr: int | str) -> int:
        """A CSR by number or name; KeyError when this hart has none."""
        return self._routine("csr_read")(self.q, self._csr(csr)) & self._mask

    def write_csr(self, csr: int | str, value: int) -> None:
        """Write a CSR through its legalisation; read-only ones stay as they are."""
        self._routine("csr_poke")(self.q, self._csr(csr), value & self._mask)

    def _csr(self, csr: int | str) -> int:
        from otoriscv.core.csr import find

        return find(csr, self.xlen, self.isa_bits).number

    def _routine(self, name: str) -> Callable[..., int]:
        if self.routines is None:
            raise RuntimeError("this hart has no engine yet")
        return self.routines(name)
