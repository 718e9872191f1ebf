"""binutils as the tests' reference: what objdump makes of words."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Sequence
from pathlib import Path

from otoriscv.tools import find_cc

#: Everything we implement that binutils 2.40 knows (not Zicond).
MARCH = "rv{}imafdc_zicsr_zifencei_zba_zbb_zbc_zbs_zihintpause_svinval_zicbom_zicboz"


def prefix() -> str:
    """The tools' prefix, or "" when there are none."""
    cc = find_cc()
    return cc.prefix if cc.usable else ""


def assemble(source: str, xlen: int, tmp: Path, march: str = MARCH) -> Path:
    """An object file from assembly text."""
    (tmp / "a.s").write_text(source)
    abi = "lp64" if xlen == 64 else "ilp32"
    subprocess.run(
        [prefix() + "as", f"-march={march.format(xlen)}", f"-mabi={abi}",
         "-o", str(tmp / "a.o"), str(tmp / "a.s")],
        check=True,
    )  # fmt: skip
    return tmp / "a.o"


def objdump(path: Path, *options: str) -> dict[int, tuple[int, str]]:
    """(bits, text) by address; symbols after addresses are left out."""
    out = subprocess.run(
        [prefix() + "objdump", "-d", "-z", *options, str(path)],
        capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    found = {}
    for line in out.splitlines():
        m = re.match(r"\s*([0-9a-f]+):\t([0-9a-f]+)\s+(.*)", line)
        if m is not None:
            text = re.sub(r"\s*(#|<).*", "", m[3]).strip()
            found[int(m[1], 16)] = int(m[2], 16), text
    return found


def words_as_objdump(words: Sequence[int], xlen: int, tmp: Path, *options: str) -> list[str]:
    """What objdump prints for each word, the n-th at address 4 * n (16-bit ones padded)."""
    lines = [".option norelax"]
    for w in words:
        if w & 3 == 3:
            lines.append(f".insn 4, {w:#x}")
        else:
            lines.append(f".insn 2, {w & 0xFFFF:#x}\n.insn 2, 1")
    found = objdump(assemble("\n".join(lines) + "\n", xlen, tmp), *options)
    return [found[4 * n][1] for n in range(len(words))]
