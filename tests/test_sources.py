"""What compiled code depends on, whatever was imported first; and what starting does not import."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from otoriscv.jit.engines import probe

KEY = """
from otoriscv.core.handlers import numbers
from otoriscv.jit.sources import source_key
{}
print(source_key())
from otoriscv.core.isa_table import TABLE, compressed, insn
from otoriscv.core.sem import Sem
print([(n, l, sorted(v), at) for (n, l, v), at in numbers(64).items()])
print(len(TABLE.rows), len(TABLE.added))
"""
ROW = """
from otoriscv.core.isa_table import insn
@insn("x.one rd", "000000000000 00000 000 rd 0001011", "Xone")
def one(m): m.rd = m.pc + {}
"""
SHORT = """
from otoriscv.core.isa_table import compressed
compressed("c.x rd", "100 rd 00000 {} 00", "lui rd=rd imm=0", "Xshort")
"""


def said(program: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=120
    )
    return done.stdout.splitlines()


def test_it_does_not_matter_what_is_imported_first() -> None:
    """Processes share code on disk, and handlers by their numbers."""
    firsts = (
        "import otoriscv.core.architecture",
        "import otoriscv.core.isa.zbs",
        "import otoriscv.core.isa_table; otoriscv.core.isa_table.TABLE.rows",
    )
    usual = said(KEY.format(""))
    assert usual[2].endswith(" 0")
    for first in firsts:
        assert said(KEY.format(first)) == usual, first


def test_added_rows_count() -> None:
    """Compressed ones, which have no semantics of their own, too."""
    keys = [said(KEY.format(row))[0] for row in ("", ROW.format(1), ROW.format(2))]
    keys += [said(KEY.format(SHORT.format(bit)))[0] for bit in ("0", "1")]
    assert len(set(keys)) == 5


@pytest.mark.skipif(not probe("interp")[0].usable, reason="this host has no native engine")
@pytest.mark.parametrize("engine", ["interp", "llvm"])
def test_starting_reads_no_instruction(engine: str, tmp_path: Path) -> None:
    """A guest that the interpreter runs needs no row, nor what builds the interpreter."""
    image = tmp_path / "loop.bin"
    image.write_bytes(bytes.fromhex("6f000000"))  # j .
    arguments = [
        "boot",
        "--isa",
        "rv32i",
        "--engine",
        engine,
        "--max-instructions",
        "1000",
        str(image),
    ]
    program = f"""
import sys
from otoriscv.cli.main import main
print(main({arguments}))
print([m for m in sys.modules if m.startswith(("otoriscv.core.isa.", "llvmlite", "dataclasses"))])
"""
    for _ in range(2):  # the first time the interpreter may have to be built
        last = said(program)[-2:]
    assert last == ["124", "[]"]
