"""The ``llvm`` engine's regions behind the backend contract (docs/jit-backend.md)."""

from __future__ import annotations

import ctypes
from typing import TYPE_CHECKING, ClassVar, Final

from otoriscv.core.handlers import FIRST_REGION, RESUME_INTERP
from otoriscv.core.layout import HART, MAX_REGION_ENTRIES, PAGE, Exit
from otoriscv.core.mode import FLAT
from otoriscv.jit.engine import Platform
from otoriscv.jit.llvm.compile import compile_module
from otoriscv.jit.llvm.native import ATTRIBUTES, CC, PARAMS
from otoriscv.jit.protocol import REGION_LIMIT, BlockExit, Capabilities, JitError

if TYPE_CHECKING:
    from otoriscv.core.hart import Hart
    from otoriscv.jit.llvm.engine import LlvmEngine
    from otoriscv.jit.llvm.request import CompiledRegion

__all__ = ["LlvmBackend", "RegionBlock"]

_CODE: Final = HART["exit_code"] * 8
#: Handlers that return to who entered native code: where a block ends, and where it hands its
#: instruction over. The state is committed there.
_EXITS: Final = f"""define {CC} void @leave({PARAMS}) #0 {{
  ret void
}}
define {CC} void @hand_over({PARAMS}) #0 {{
  %p = getelementptr i8, ptr %S, i64 {_CODE}
  store i64 {Exit.FALLBACK}, ptr %p
  ret void
}}

{ATTRIBUTES}
"""


class RegionBlock:
    """A region that the engine has installed."""

    def __init__(self, backend: LlvmBackend, region: CompiledRegion, mode: int) -> None:
        self._backend = backend
        self._region = region
        self.entry = region.pc
        self.mode = mode
        self.spans = region.spans
        self.longest = region.instructions + 1

    @property
    def valid(self) -> bool:
        """Whether it is entered at all now."""
        return self._backend.is_installed(self._region)

    def execute(self, hart: Hart) -> BlockExit:
        """Poll and run this region alone, with a handler table in which all else comes back."""
        return self._backend.execute(self._region, hart)


class LlvmBackend:
    """Compiles inline, into the regions of *engine*, seeing breakpoints as *hart* does."""

    name: ClassVar[str] = "llvm"
    capabilities: ClassVar[Capabilities] = Capabilities(
        native=True,
        translated=False,
        relocatable=True,
        background=True,
        persistent=True,
        limit=REGION_LIMIT,
    )

    def __init__(self, platform: Platform, engine: LlvmEngine, hart: Hart) -> None:
        self._p = platform
        self._hart = hart
        self._engine = engine
        self._table: ctypes.Array[ctypes.c_uint64] | None = None
        self._leave = 0
        self._last: dict[int, int] = {}

    def compile(self, address: int, mode: int, limit: int) -> RegionBlock:
        """The region entered at *address*, installed."""
        if not mode & FLAT:
            raise JitError("regions for translated addresses are made by the engine itself")
        region = self._engine.compile_now(self._hart, address, min(limit, REGION_LIMIT))
        if not self.is_installed(region):
            raise JitError(f"the region at {address:#x} cannot be entered: a larger one is there")
        return RegionBlock(self, region, mode)

    def invalidate(self, address: int, length: int) -> int:
        """Drop the regions made from these bytes."""
        offset = self._p.memory.find(address)
        before = len(self._engine.regions())
        if offset is not None:
            self._engine.memory_changed(offset, length)
        return before - len(self._engine.regions())

    def invalidate_page(self, address: int) -> int:
        """Drop the regions made from a page."""
        return self.invalidate(address & -PAGE, PAGE)

    def clear(self) -> None:
        """Drop every region."""
        for r in self._p.memory.ranges():
            self._engine.memory_changed(r.offset, r.size)

    # -- for RegionBlock

    def is_installed(self, region: CompiledRegion) -> bool:
        """Whether *region* can be entered."""
        return self._engine.slots_of(region) is not None

    def execute(self, region: CompiledRegion, hart: Hart) -> BlockExit:
        """Run *region* and nothing else on *hart*, which is in the state to enter it."""
        slots = self._engine.slots_of(region)
        if slots is None:
            raise JitError(f"the region at {region.pc:#x} was dropped")
        table = self._alone(slots)
        code = self._engine.enter(hart, ctypes.addressof(table))
        if code == Exit.FALLBACK:
            return BlockExit.FALLBACK
        return BlockExit.CONTINUE if code == Exit.NONE else BlockExit.STOP

    def _alone(self, slots: dict[int, int]) -> ctypes.Array[ctypes.c_uint64]:
        """A handler table in which only these slots lead anywhere."""
        if self._table is None:
            blob = compile_module(_EXITS)
            at = self._engine.place_code(blob.code)
            size = FIRST_REGION + MAX_REGION_ENTRIES
            self._leave = at + blob.symbols["leave"]
            self._table = (ctypes.c_uint64 * size)(*[self._leave] * size)
            self._table[RESUME_INTERP] = at + blob.symbols["hand_over"]
        for slot in self._last.keys() - slots.keys():
            self._table[FIRST_REGION + slot] = self._leave
        for slot, code in slots.items():
            self._table[FIRST_REGION + slot] = code
        self._last = slots
        return self._table
