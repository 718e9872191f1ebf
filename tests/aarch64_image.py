"""A guest program under the native code for aarch64, as a program for Linux on aarch64.

    python -m tests.aarch64_image HOST XLEN FOLDER

HOST ``aarch64`` writes a static executable for each of `SEEDS` to FOLDER: the interpreter, compiled
regions and the arena of a machine, as they would be on such a host, with a few instructions in
front that enter native code once and write to stdout what `dumped` names. HOST ``here`` does the
same with the code for this host, at once, and writes those bytes to FOLDER.
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from otoriscv.jit.llvm.engine import LlvmEngine
    from tests.engine_box import EngineBox

TRIPLE: Final = "aarch64-unknown-linux-gnu"
STEPS: Final = 300_000
#: 0: `KERNEL` in regions. Others: random programs in the interpreter that come to their end without
#: Python, with up to forty traps.
SEEDS: Final = (0, 103, 64, 111, 115)
#: Where the executable has its parts; all of the arena is at 64 GiB.
START, LIBRARY, REGIONS, TABLES, ARENA = 0x40_0000, 0x100_0000, 0x200_0000, 0x300_0000, 1 << 36
_LOAD, _RX, _RW = 1, 5, 6
_WRITE, _EXIT = 64, 93  # Linux's system calls

#: A loop with what programs consist of: arithmetic, memory of all widths, calls, atomics, floats.
KERNEL: Final = """
    la s0, data
    li s1, 0
    li s2, 3000
    li s3, 0x12345
    fcvt.s.w fs0, s2
    fcvt.d.w fs1, s2
again:
    jal ra, mix
    andi t0, s1, 0x7c
    add t0, t0, s0
    sw s3, 0(t0)
    lhu t1, 2(t0)
    lb t2, 1(t0)
    amoadd.w t3, s1, (t0)
    mul t4, t1, s3
    mulh t5, t4, s3
    divu t6, t4, t1
    rem a0, t5, s2
    add s3, s3, t2
    xor s3, s3, t6
    fcvt.s.w fa0, t1
    fmadd.s fs0, fs0, fa0, fs0
    fcvt.d.s fa1, fa0
    fdiv.d fs1, fs1, fa1
    fsqrt.d fs2, fa1
    flt.d a1, fs1, fs2
    add s3, s3, a1
    bltu t4, t5, over
    sub s3, s3, t5
over:
    addi s1, s1, 1
    bne s1, s2, again
end:
    j end
mix:
    slli t0, s3, 13
    xor s3, s3, t0
    srli t0, s3, 17
    xor s3, s3, t0
    slt a2, s3, t0
    ret
    .align 6
data:
    .zero 256
"""


def pretend() -> None:
    """Compile for aarch64 from now on; call it before anything else is imported."""
    host = os.uname()
    os.uname = lambda: os.uname_result((*host[:4], "aarch64"))
    from otoriscv.jit.llvm import compile as compiling

    def compile_module(text: str, *, passes: str = "sroa", level: int = 1) -> compiling.Blob:
        import llvmlite.binding as llvm

        llvm.initialize_all_targets()
        llvm.initialize_all_asmprinters()
        target = llvm.Target.from_triple(TRIPLE)
        machine = target.create_target_machine(opt=level, reloc="pic", codemodel="small")
        module = llvm.parse_assembly(text)
        module.triple, module.data_layout = TRIPLE, str(machine.target_data)
        module.verify()
        compiling._run_passes(llvm, machine, module, passes)
        return compiling.link(machine.emit_object(module))

    compiling.compile_module = compile_module


def prepared(xlen: int, seed: int) -> tuple[EngineBox, LlvmEngine]:
    """A box about to run a program of `SEEDS`."""
    from otoriscv.core.layout import HART, MACHINE
    from otoriscv.jit.llvm.engine import LlvmEngine
    from otoriscv.jit.settings import JitSettings
    from tests.engine_box import RAM, EngineBox
    from tests.random_programs import END, random_program
    from tests.random_programs import START as BEGIN

    class Box(EngineBox):
        def _create(self, engine: str) -> LlvmEngine:
            return LlvmEngine(self, self.stepper, JitSettings(threshold=1, workers=0))

    box = Box("llvm", xlen)
    engine = box.main_engine
    assert isinstance(engine, LlvmEngine)
    decode = box.stepper.routine("decode_entry")

    def decode_entry(hart: int, arena: int, word: int, inside: int, entry: int) -> None:
        decode(box.q, word, inside, entry)

    engine._library.decode_entry = decode_entry  # its own is code for another processor
    if seed:
        import random

        rng = random.Random(seed)
        program = random_program(xlen, [rng.getrandbits(40) for _ in range(25)])
        for address, data in program.parts:
            box.load(data, address)
        box.hart.pc = BEGIN
        box.breakpoints.add(END)
    else:
        box.hart.write_csr(0x300, 1 << 13)  # mstatus.FS: floating point is on
        symbols = box.load(KERNEL).symbols
        box.breakpoints.add(symbols["end"])
        for at in (RAM, symbols["again"], symbols["mix"]):
            engine.compile_now(box.hart, at, 512)
    engine._apply_changes(box.hart)
    engine._prepare(box.hart)
    box.m[MACHINE["slice_end"]] = STEPS
    box.q[HART["exit_code"]] = 0
    return box, engine


def dumped() -> Iterator[tuple[int, int]]:
    """Arena offset and length of what tells how a run went: hart, machine, RAM."""
    from otoriscv.core.layout import HART_FIELDS_END, HARTS, MACHINE, MEM

    yield HARTS, 8 * HART_FIELDS_END
    yield 8 * MACHINE["region_steps"], 8
    yield MEM, 1 << 20


def executable(box: EngineBox, engine: LlvmEngine) -> bytes:
    """The ELF file."""
    from otoriscv.core.layout import HART, HARTS, LIBRARY_ROUTINES, LINE_SHIFT, LINES, MACHINE, MEM

    library, slots = engine._library, engine._slots
    assert slots is not None
    own = ctypes.string_at(library._memory.address, len(library._memory._map))
    compiled = ctypes.string_at(engine._arena.address, engine._arena.used)

    def moved(address: int) -> int:
        for here, code, there in (
            (library._memory.address, own, LIBRARY),
            (engine._arena.address, compiled, REGIONS),
        ):
            if here <= address < here + len(code):
                return there + address - here
        return 0

    tables = struct.pack(f"<{len(slots._tables)}Q", *map(moved, slots._tables))
    for name in ("table", "exact_table"):
        box.q[HART[name]] += TABLES - ctypes.addressof(slots._tables)
    box.q[HART["region_handlers"]] = TABLES + len(tables)
    tables += bytes(slots._interpreted)
    box.m[MACHINE["host_clock_fn"]] = 0
    for name in LIBRARY_ROUTINES:
        box.m[MACHINE[f"{name}_fn"]] = moved(box.m[MACHINE[f"{name}_fn"]])
    end = len(box.arena.view8)
    pieces = [(0, HARTS + 0x1_0000), (LINES, LINES + (end >> LINE_SHIFT)), (MEM, end)]
    segments = [(START, _RX, start_code(LIBRARY + enter_offset(engine)))]
    segments += [(LIBRARY, _RX, own), (REGIONS, _RX, compiled), (TABLES, _RW, tables)]
    segments += [(ARENA + a, _RW, bytes(box.arena.view8[a:b])) for a, b in pieces]
    return elf([s for s in segments if s[2]])


def enter_offset(engine: LlvmEngine) -> int:
    """Where the function that enters native code is in the library."""
    address: Any = ctypes.cast(engine._library.enter, ctypes.c_void_p).value  # type: ignore[arg-type]  # a C function
    return int(address - engine._library._memory.address)


def start_code(enter: int) -> bytes:
    """Call *enter*, write what is `dumped`, exit (A64 instructions, Arm ARM C6.2)."""
    from otoriscv.core.layout import HARTS

    words: list[int] = []

    def move(register: int, value: int) -> None:
        for n in range(4):  # movz, then movk
            base = 0xF2800000 if n else 0xD2800000
            words.append(base | n << 21 | (value >> 16 * n & 0xFFFF) << 5 | register)

    def call(number: int, *arguments: int) -> None:
        for register, value in enumerate(arguments):
            move(register, value)
        move(8, number)
        words.append(0xD4000001)  # svc #0

    move(0, ARENA + HARTS)
    move(1, ARENA)
    move(16, enter)
    words.append(0xD63F0000 | 16 << 5)  # blr x16
    for offset, length in dumped():
        call(_WRITE, 1, ARENA + offset, length)
    call(_EXIT, 0)
    return struct.pack(f"<{len(words)}I", *words)


def elf(segments: Sequence[tuple[int, int, bytes]]) -> bytes:
    """A static executable of (address, flags, content)."""
    page = 0x10000
    at = page
    heads, body = b"", b""
    for address, flags, data in segments:
        size = len(data)
        heads += struct.pack("<IIQQQQQQ", _LOAD, flags, at, address, address, size, size, page)
        body += data + bytes(-size % page)
        at += size + -size % page
    identity = b"\x7fELF\x02\x01\x01" + bytes(9)
    head = struct.pack(
        "<HHIQQQIHHHHHH", 2, 183, 1, START, 64, 0, 0, 64, 56, len(segments), 64, 0, 0
    )
    return (identity + head + heads).ljust(page, b"\0") + body


def main() -> None:
    """The command line, see above."""
    host, xlen, folder = sys.argv[1], int(sys.argv[2]), Path(sys.argv[3])
    if host == "aarch64":
        pretend()
    from otoriscv.core.layout import hart_offset

    for seed in SEEDS:
        box, engine = prepared(xlen, seed)
        if host == "aarch64":
            content = executable(box, engine)
        else:
            engine._enter(box.arena.address + hart_offset(0), box.arena.address)
            content = b"".join(bytes(box.arena.view8[a : a + n]) for a, n in dumped())
        (folder / f"{host}-{seed}").write_bytes(content)
    os._exit(0)  # nothing of a machine that cannot run here is to be taken apart


if __name__ == "__main__":
    main()
