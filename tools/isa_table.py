"""Write docs/isa.md, the table of implemented instructions, from the rows.

python tools/isa_table.py          # write it
python tools/isa_table.py --check  # fail when it is not current
"""

from __future__ import annotations

import sys
from pathlib import Path

from otoriscv.core.aliases import ALIASES
from otoriscv.core.isa_string import Isa
from otoriscv.core.isa_table import ABI_NAMES, TABLE, Row

PAGE = Path(__file__).resolve().parent.parent / "docs" / "isa.md"
_HEAD = """\
# Instructions

Written by `tools/isa_table.py` from the rows in `otoriscv/core/isa`; do not edit.

An encoding reads from the highest bit down, as in the manual: literal bits, register fields, and
operands with the bits of theirs that stand there; `'` marks a 3-bit field for x8-x15, and a name
that begins with `nz` an operand that must not be zero. Compressed instructions show the base
instruction that they are executed as. Encodings not listed raise an illegal-instruction exception.
"""


def page() -> str:
    """The text of docs/isa.md."""
    lines = [_HEAD]
    lines.append(f"The default ISAs are `{Isa.full(32)}` and `{Isa.full(64)}`.")
    groups: dict[str, list[Row]] = {}
    for row in TABLE.rows:
        if not row.ext.startswith("X"):
            groups.setdefault(row.ext.split("|")[0], []).append(row)
    for ext, rows in groups.items():
        lines += ["", f"## {ext}", "", "| instruction | encoding | XLEN | |", "|---|---|---|---|"]
        lines += [_line(row) for row in rows]
    lines += ["", "## Pseudo-instructions", "", "| written | is |", "|---|---|"]
    for a in ALIASES:
        row = next(r for r in TABLE.rows if r.name == a.base)
        fixed = ", ".join(f"{n} = {_fixed(row, n, v)}" for n, v in a.fixed.items())
        fixed += ", ".join(f"{n} = {other}" for n, other in a.same.items())
        name = f"{a.name} {a.operands}".strip()
        lines.append(f"| `{name}` | `{a.base}`{' with ' + fixed if fixed else ''} |")
    return "\n".join(lines) + "\n"


def _fixed(row: Row, operand: str, value: int) -> str:
    f = row.fields[operand]
    return ABI_NAMES[value] if f.register else hex(value) if value > 31 else str(value)


def _line(row: Row) -> str:
    name = f"{row.name} {row.operands}".strip()
    xlen = "" if len(row.xlens) == 2 else str(row.xlens[0])
    notes = []
    if row.expands:
        notes.append(f"`{row.expands}`")
    if row.within:
        notes.append(f"within {row.within}")
    if row.hint:
        notes.append("HINT")
    pattern = row.pattern.replace("|", "\\|")
    return f"| `{name}` | `{pattern}` | {xlen} | {', '.join(notes)} |"


def main() -> int:
    text = page()
    if "--check" in sys.argv[1:]:
        current = PAGE.exists() and PAGE.read_text() == text
        if not current:
            print(f"{PAGE.name} is not current: run python tools/isa_table.py", file=sys.stderr)
        return 0 if current else 1
    PAGE.write_text(text)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
