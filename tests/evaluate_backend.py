"""A backend written from docs/jit-backend.md: its blocks evaluate micro-ops with `core.evaluate`.

It is the slowest there can be, and needs nothing but the reference meaning of the language.
"""

from __future__ import annotations

from typing import ClassVar

from otoriscv.core.decode import Decoder, Insn
from otoriscv.core.evaluate import End, Evaluator
from otoriscv.core.hart import Hart
from otoriscv.core.layout import HART, LINE_CODE, LINE_SHIFT, LINES, MACHINE, PAGE, Exit
from otoriscv.core.policy import CallPolicy
from otoriscv.core.sem import Sem
from otoriscv.core.uop import Value
from otoriscv.jit.engine import Platform
from otoriscv.jit.protocol import BlockExit, Capabilities, JitError

__all__ = ["EvaluateBackend", "EvaluatedBlock"]

ENDS = ("branch", "jump_rel", "jump", "poll", "trap", "leave", "leave_after")


class EvaluatedBlock:
    """Straight-line instructions, each a micro-op program."""

    def __init__(self, backend: EvaluateBackend, entry: int, mode: int, insns: list[Insn]) -> None:
        self._backend = backend
        self._programs = [(insn.length, backend.program(insn)) for insn in insns]
        self.entry = entry
        self.mode = mode
        self.longest = len(insns)
        self.spans = ((entry, entry + sum(insn.length for insn in insns)),)
        self.valid = True

    def execute(self, hart: Hart) -> BlockExit:
        q, backend = hart.q, self._backend
        writes = backend.code_writes
        evaluator = backend.evaluator(hart)
        q[HART["exit_code"]] = 0
        for length, body in self._programs:
            pc = q[HART["pc"]]
            end = evaluator.run(body, pc=pc)
            following, exit_ = self._after(q, pc, pc + length, end)
            if following is not None:  # it retires
                q[HART["pc"]] = following & backend.mask
                q[HART["budget"]] -= 1
            if exit_ is not None:
                return exit_
            if backend.code_writes != writes:
                backend.check()
                writes = backend.code_writes
                if not self.valid:
                    return BlockExit.CONTINUE
        return BlockExit.CONTINUE

    def _after(
        self, q: memoryview, pc: int, npc: int, end: End
    ) -> tuple[int | None, BlockExit | None]:
        """Where it goes on (None: it did not retire), and how the block is left, if it is."""
        args = end.args
        match end.op:
            case "next":
                return npc, None
            case "branch":
                return pc + args[1], BlockExit.CONTINUE
            case "jump_rel":
                return pc + args[0], BlockExit.CONTINUE
            case "jump":
                return args[0], BlockExit.CONTINUE
            case "poll":
                return args[0] if args else npc, BlockExit.STOP
            case "trap":
                q[HART["trap_cause"]], q[HART["trap_tval"]] = args
                return None, BlockExit.TRAP
            case "leave":
                return None, self._left(q, args[0])
            case "leave_after":
                return npc, self._left(q, args[0])
            case "check" if args[0] == 1:
                return None, BlockExit.TRAP
            case "check" if args[0] == 2:
                return npc, BlockExit.STOP
            case "check":
                return None, self._left(q, args[0] - 16)
        return None, BlockExit.FALLBACK

    def _left(self, q: memoryview, code: int) -> BlockExit:
        if code == Exit.FALLBACK:
            return BlockExit.FALLBACK
        q[HART["exit_code"]] = code
        return BlockExit.STOP


class EvaluateBackend:
    """Compiles straight lines."""

    name: ClassVar[str] = "evaluate"
    capabilities: ClassVar[Capabilities] = Capabilities(
        native=False,
        translated=True,
        relocatable=True,
        background=False,
        persistent=False,
        limit=64,
    )

    def __init__(self, platform: Platform) -> None:
        self._p = platform
        self.mask = (1 << platform.isa.xlen) - 1
        self._decoder = Decoder(platform.isa)
        self._blocks: dict[EvaluatedBlock, bytes] = {}
        self._evaluators: dict[int, Evaluator] = {}
        self._programs: dict[tuple[int, frozenset[str]], list[Value]] = {}

    @property
    def code_writes(self) -> int:
        count: int = self._p.m[MACHINE["code_writes"]]
        return count

    def evaluator(self, hart: Hart) -> Evaluator:
        if hart.index not in self._evaluators:
            made = Evaluator(self._p.arena.view8, self._p.isa.xlen, hart.index)
            self._evaluators[hart.index] = made
        return self._evaluators[hart.index]

    def program(self, insn: Insn) -> list[Value]:
        key = insn.bits, insn.variant
        if key not in self._programs:
            sem = Sem(self._p.isa.xlen, CallPolicy())
            variant = insn.variant - {"near"}  # which is about the place, not the meaning
            sem.begin(insn.row, insn.length, variant, insn.operands, None, insn.bits)
            assert insn.row.semantics is not None
            insn.row.semantics(sem)
            self._programs[key] = sem.body
        return self._programs[key]

    def compile(self, address: int, mode: int, limit: int) -> EvaluatedBlock:
        insns: list[Insn] = []
        pc = address
        while len(insns) < min(limit, self.capabilities.limit):
            if pc in self._p.breakpoints or (insns and pc & (PAGE - 1) == 0):
                break
            code = self._read(pc, 4) or self._read(pc, 2)
            word = int.from_bytes(code, "little")
            inside = len(code) == 4 and pc & (PAGE - 1) != PAGE - 2
            if not code or (word & 3 == 3 and not inside):
                break
            insn = self._decoder.decode(word, pc)
            insns.append(insn)
            pc += insn.length
            if any(node.op in ENDS for node in self.program(insn)):
                break
        if not insns:
            raise JitError(f"no code to compile at {address:#x}")
        block = EvaluatedBlock(self, address, mode, insns)
        self._blocks[block] = self._read(address, pc - address)
        first, last = (self._p.memory.find(at) for at in (address, pc - 1))
        assert first is not None and last is not None
        for line in range(first >> LINE_SHIFT, (last >> LINE_SHIFT) + 1):
            self._p.arena.view8[LINES + line] |= LINE_CODE
        return block

    def _read(self, address: int, length: int) -> bytes:
        if self._p.memory.available(address, length) < length:
            return b""
        return bytes(self._p.memory.read(address, length))

    def _drop(self, blocks: list[EvaluatedBlock]) -> int:
        for block in blocks:
            block.valid = False
            del self._blocks[block]
        return len(blocks)

    def check(self) -> None:
        """Code may have been written: drop what is not as it was."""
        same = self._blocks.items()
        self._drop([b for b, was in same if self._read(b.entry, len(was)) != was])

    def invalidate(self, address: int, length: int) -> int:
        ends = [(b, b.spans[0]) for b in self._blocks]
        return self._drop([b for b, (s, e) in ends if s < address + length and address < e])

    def invalidate_page(self, address: int) -> int:
        return self.invalidate(address & -PAGE, PAGE)

    def clear(self) -> None:
        self._drop(list(self._blocks))
