"""Add an instruction to the machine from outside the package: one row and one function.

    python examples/custom_instruction.py

``xdemo.rbit rd, rs1`` reverses the bits of a register, in the encoding space that the spec keeps
for custom instructions (custom-0). Nothing else is needed: decoders, assembler, disassembler and
every engine are derived from the row and the function.
"""

from __future__ import annotations

from otoriscv.core.decode import Decoder, Isa
from otoriscv.core.disassemble import disassemble
from otoriscv.core.encode import assemble_insn
from otoriscv.core.isa.sem import Sem
from otoriscv.core.isa.table import insn


@insn("xdemo.rbit rd, rs1", "0000000 00000 rs1 000 rd 0001011", "Xdemo")
def rbit(m: Sem) -> None:
    """Reverse the bits: the bytes, then the bits of each byte."""
    v = m.rs1.bswap()
    for shift, mask in (
        (4, 0x0F0F_0F0F_0F0F_0F0F),
        (2, 0x3333_3333_3333_3333),
        (1, 0x5555_5555_5555_5555),
    ):
        v = v >> shift & mask | (v & mask) << shift
    m.rd = v


def main() -> None:
    isa = Isa.parse("rv64imac_zicsr_xdemo")
    word = assemble_insn("xdemo.rbit a0, a1", isa.xlen)
    decoded = Decoder(isa).decode(word)
    print(f"{isa}: {word:08x} is {disassemble(decoded)}")
    without = Decoder(Isa.parse("rv64imac")).decode(word)
    print(f"rv64imac: {word:08x} is {without.row.name}")


if __name__ == "__main__":
    main()
