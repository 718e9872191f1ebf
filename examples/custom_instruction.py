"""Add an instruction to the machine from outside the package: one row and one function.

    python examples/custom_instruction.py

``xdemo.rbit rd, rs1`` reverses the bits of a register, in the encoding space that the spec keeps
for custom instructions (custom-0). Nothing else is needed: decoders, assembler, disassembler and
every engine are derived from the row and the function.
"""

from __future__ import annotations

from otoriscv.board.loaders import Image, Segment
from otoriscv.board.virt import VirtConfig, VirtMachine
from otoriscv.core.decode import Decoder, Isa
from otoriscv.core.disassemble import disassemble
from otoriscv.core.encode import assemble, assemble_insn
from otoriscv.core.isa_table import insn
from otoriscv.core.sem import Sem
from otoriscv.jit.engines import probe

SWAPS = (
    (4, 0x0F0F_0F0F_0F0F_0F0F),
    (2, 0x3333_3333_3333_3333),
    (1, 0x5555_5555_5555_5555),
)


@insn("xdemo.rbit rd, rs1", "0000000 00000 rs1 000 rd 0001011", "Xdemo")
def rbit(m: Sem) -> None:
    """Reverse the bytes, then the bits of each byte."""
    v = m.rs1.bswap()
    for shift, mask in SWAPS:
        v = v >> shift & mask | (v & mask) << shift
    m.rd = v


BASE = 0x8000_0000
#: Ends the machine with the byte 0x4C, its bits reversed, as the exit code.
GUEST = """
    li   a1, 0x4c
    slli a1, a1, {shift}
    xdemo.rbit a0, a1
    slli a0, a0, 16
    li   t0, 0x3333
    or   a0, a0, t0
    li   t1, 0x100000
    sw   a0, 0(t1)
1:  j 1b
"""


def run(engine: str, xlen: int) -> int:
    """The guest's exit code on an engine."""
    code = assemble(GUEST.format(shift=xlen - 8), xlen, BASE).code
    image = Image("guest", "raw", xlen, BASE, (Segment(BASE, code, len(code)),))
    machine = VirtMachine(VirtConfig(image=image, engine=engine))
    try:
        return machine.run(steps=1000).code
    finally:
        machine.close()


def main() -> None:
    isa = Isa.parse("rv64imac_zicsr_xdemo")
    word = assemble_insn("xdemo.rbit a0, a1", isa.xlen)
    print(f"{isa}: {word:08x} is {disassemble(Decoder(isa).decode(word))}")
    print(f"rv64imac: {word:08x} is {Decoder(Isa.parse('rv64imac')).decode(word).row.name}")
    for engine in probe():
        if engine.usable:
            for xlen in (32, 64):
                print(
                    f"{engine.name}, RV{xlen}: the reverse of 0x4c is {run(engine.name, xlen):#x}"
                )


if __name__ == "__main__":
    main()
