"""The contract of a compiler backend: docs/jit-backend.md says what each part promises."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple, Protocol, runtime_checkable

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart

__all__ = [
    "HOT_REGION_LIMIT", "REGION_LIMIT", "BlockExit", "Capabilities", "CompiledBlock", "JitBackend",
    "JitError",
]  # fmt: skip

#: Instructions in a region at most.
REGION_LIMIT: Final = 512
#: The same once it proved hot.
HOT_REGION_LIMIT: Final = 4096


class JitError(Exception):
    """Nothing can be compiled there; the message is the reason, one line. The guest goes on in
    the interpreter."""


class BlockExit(IntEnum):
    """How an execution of a block ended. Always: registers, ``pc`` and ``budget`` are committed."""

    CONTINUE = 0  #: go on at ``pc``
    TRAP = 1  #: the instruction at ``pc`` raises ``trap_cause``, ``trap_tval``; nothing of it done
    FALLBACK = 2  #: the instruction at ``pc`` is the interpreter's; nothing of it was done
    STOP = 3  #: leave with the slot ``exit_code``; when that is 0, poll and go on at ``pc``


class Capabilities(NamedTuple):
    """What a backend's blocks can do; what they cannot is the dispatcher's to see to."""

    native: bool  #: machine code, entered by native dispatch: `execute` is for tests
    translated: bool  #: serves modes without FLAT: addresses go through the software TLB
    relocatable: bool  #: a block runs wherever its physical page is mapped
    background: bool  #: compiling can happen in another process
    persistent: bool  #: blocks can be kept in the disk cache
    limit: int  #: instructions in a block at most


class CompiledBlock(Protocol):
    """A translation. Addresses are physical."""

    @property
    def entry(self) -> int:
        """Where it begins."""
        ...

    @property
    def mode(self) -> int:
        """The mode word that it was compiled for."""
        ...

    @property
    def spans(self) -> tuple[tuple[int, int], ...]:
        """The byte ranges (start, end) that it was made from, ascending and disjoint."""
        ...

    @property
    def longest(self) -> int:
        """Steps to its next test of the budget at most: it is not entered with less budget."""
        ...

    @property
    def valid(self) -> bool:
        """False once it was invalidated: it must not be entered any more."""
        ...

    def execute(self, hart: Hart) -> BlockExit:
        """Run it on *hart*, whose ``pc`` is at its entry and whose budget is ``longest`` or more.

        It may run more than once through (loops), never more steps than the budget.
        """
        ...


@runtime_checkable
class JitBackend(Protocol):
    """Compiles guest code of one machine."""

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]

    def compile(self, address: int, mode: int, limit: int) -> CompiledBlock:
        """The block at physical *address* for *mode*, of at most *limit* instructions.

        It is made from memory as it is now, with the machine's breakpoints: an instruction with
        one is in no block. `JitError` when there is nothing to compile.
        """
        ...

    def invalidate(self, address: int, length: int) -> int:
        """Drop the blocks made from any byte of ``[address, address + length)``; how many."""
        ...

    def invalidate_page(self, address: int) -> int:
        """The same for the 4 KiB page of *address*."""
        ...

    def clear(self) -> None:
        """Drop every block."""
        ...
