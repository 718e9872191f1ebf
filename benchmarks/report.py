"""What a comparison leaves behind: a table, its numbers and a plot, on screen and in files."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Sequence

from benchmarks.plot import Bar, draw

__all__ = ["publish"]


def publish(args: argparse.Namespace, name: str, text: str, rows: Sequence[Bar], base: str) -> None:
    """Print *text*, and write it, *rows* and their plot beside *base* as *name* to
    ``args.output``."""
    args.output.mkdir(parents=True, exist_ok=True)
    (args.output / f"{name}.md").write_text(text + "\n")
    host = {"machine": platform.machine(), "cores": os.cpu_count(), "python": sys.version}
    record = {"host": host, "rounds": args.rounds, "rows": [vars(row) for row in rows]}
    (args.output / f"{name}.json").write_text(json.dumps(record, indent=1) + "\n")
    runners = [who for who in dict.fromkeys(row.runner for row in rows) if who != base]
    drawn = draw(rows, runners or [base], base, args.output, name)
    print(f"\n{text}\n\nwritten to {args.output}; the plot is {drawn.name}")
