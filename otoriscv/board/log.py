"""``--log``: a line for each instruction, trap, CSR access, device access or access to a hole.

exec, trap and csr run the guest through the python engine one instruction at a time; mmio and
unmapped do not, but every device access then leaves native code.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, TextIO

from otoriscv.core.bus import Access, Bus, BusFault, Device
from otoriscv.core.csr.table import CSRS
from otoriscv.core.decode import Decoder
from otoriscv.core.disassemble import disassemble
from otoriscv.core.layout import HART, MACHINE

if TYPE_CHECKING:
    from otoriscv.board.virt import VirtMachine
    from otoriscv.core.hart import Hart

__all__ = ["Log"]

_STEPPING: Final = frozenset(("exec", "trap", "csr"))
_CSR_OPCODE: Final = 0x73
_M64: Final = (1 << 64) - 1


class Log:
    """Writes lines about *machine* to *file*. It is the machine's `Tracer` when it must step."""

    def __init__(
        self,
        machine: VirtMachine,
        kinds: Sequence[str],
        file: TextIO,
        within: tuple[int, int] = (0, _M64),
    ) -> None:
        self._machine = machine
        self._kinds = frozenset(kinds)
        self._file = file
        self._low, self._high = within
        self._decoder = Decoder(machine.isa)
        self._texts: dict[tuple[int, int], str] = {}
        if self._kinds & _STEPPING:
            machine.tracer = self
        if self._kinds & {"mmio", "unmapped"}:
            machine.bus = _LoggedBus(machine.bus, self, self._kinds)
            if "mmio" in self._kinds:
                machine.m[MACHINE["clint_base"]] = machine.m[MACHINE["uart_base"]] = 0

    def line(self, kind: str, hart: int, text: str) -> None:
        """Write one line."""
        self._file.write(f"{kind} {hart} {text}\n")

    def within(self, address: int) -> bool:
        """Whether *address* is in the range asked for."""
        return self._low <= address <= self._high

    def step(self, hart: Hart, *, interrupts: bool) -> int:
        """One logged step."""
        m, q = self._machine.m, hart.q
        pc = hart.pc
        inside = self.within(pc)
        if inside and "exec" in self._kinds:
            self.line("exec", hart.index, f"{pc:#x} {self._where(pc)}: {self._text(pc)}")
        csr = self._csr_at(pc) if inside and "csr" in self._kinds else None
        old = hart.read_csr(csr) if csr is not None else 0
        taken = m[MACHINE["traps"]], m[MACHINE["interrupts"]]
        code = self._machine.stepper.step(hart, interrupts=interrupts)
        happened = (m[MACHINE["traps"]], m[MACHINE["interrupts"]]) != taken
        if csr is not None and not happened:
            new = hart.read_csr(csr)
            change = f"{old:#x} -> {new:#x}" if new != old else f"{old:#x}"
            self.line("csr", hart.index, f"{pc:#x} {self._where(pc)}: {CSRS[csr].name} {change}")
        if happened and inside and "trap" in self._kinds:
            names = ("scause", "sepc", "stval") if hart.priv == 1 else ("mcause", "mepc", "mtval")
            cause, epc, tval = (q[HART[name]] for name in names)
            text = f"{epc:#x} {self._where(epc)}: cause {cause:#x}, tval {tval:#x} -> {hart.pc:#x}"
            self.line("trap", hart.index, text)
        return code

    def _where(self, pc: int) -> str:
        found = self._machine.symbols.at(pc)
        if found is None:
            return "-"
        symbol, offset = found
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def _target(self, address: int) -> str:
        name = self._where(address)
        return f"{address:#x}" if name == "-" else f"{address:#x} <{name}>"

    def _word(self, pc: int) -> int | None:
        memory = self._machine.memory
        have = memory.available(pc, 4)
        return int.from_bytes(memory.read(pc, have), "little") if have >= 2 else None

    def _text(self, pc: int) -> str:
        word = self._word(pc)
        if word is None:
            return "(no memory)"
        text = self._texts.get((pc, word))
        if text is None:
            insn = self._decoder.decode(word, pc)
            text = disassemble(insn, pc, self._machine.xlen, symbol=self._target).replace("\t", " ")
            self._texts[pc, word] = text
        return text

    def _csr_at(self, pc: int) -> int | None:
        word = self._word(pc)
        if word is None or word & 0x7F != _CSR_OPCODE or word >> 12 & 3 == 0:
            return None
        number = word >> 20
        csr = CSRS.get(number)
        exists = csr is not None and csr.exists(self._machine.xlen, self._machine.isa.bits)
        return number if exists else None


class _LoggedBus(Bus):
    """A bus that tells a `Log` about every access."""

    def __init__(self, bus: Bus, log: Log, kinds: frozenset[str]) -> None:
        super().__init__()
        self._bus = bus
        self._log = log
        self._mmio = "mmio" in kinds
        self._holes = "unmapped" in kinds

    def map(self, base: int, size: int, device: Device) -> None:
        self._bus.map(base, size, device)

    def devices(self) -> list[tuple[int, int, Device]]:
        return self._bus.devices()

    def find(self, address: int, size: int = 1) -> tuple[Device, int] | None:
        return self._bus.find(address, size)

    def read(self, address: int, access: Access) -> int:
        try:
            value = self._bus.read(address, access)
        except BusFault as fault:
            self._tell(address, access, f"read {address:#x} size {access.size}: {fault}")
            raise
        self._tell(address, access, f"read {address:#x} size {access.size} = {value:#x}")
        return value

    def write(self, address: int, value: int, access: Access) -> None:
        text = f"write {address:#x} size {access.size} = {value:#x}"
        try:
            self._bus.write(address, value, access)
        except BusFault as fault:
            self._tell(address, access, f"{text}: {fault}")
            raise
        except BaseException:
            self._tell(address, access, text)
            raise
        self._tell(address, access, text)

    def _tell(self, address: int, access: Access, text: str) -> None:
        found = self._bus.find(address, access.size)
        if self._log.within(address):
            if found is None:
                if self._holes:
                    self._log.line("unmapped", access.hart, text)
            elif self._mmio:
                self._log.line("mmio", access.hart, f"{found[0].name} {text}")
