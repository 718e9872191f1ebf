"""``otoriscv bench``: the engines on benchmark programs, beside QEMU and the host itself.

The programs are in the source tree, so this works in a checkout only.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from otoriscv.cli.errors import UsageError

__all__ = ["add_arguments", "run"]

ROOT = Path(__file__).resolve().parents[2]

_EXAMPLES = """\
examples:
  otoriscv bench --kernels fib,sieve --rounds 5
  otoriscv bench --engines llvm,interp --variants rv64gc --native
  otoriscv bench ~/src/coremark ~/src/dhrystone ~/src/embench-iot --native
  otoriscv bench --steady --rounds 5 --native --variants rv64imac,rv64imac-paged
  otoriscv bench whole --kernels fib,branches    # from start to end, cold and warm
  otoriscv bench boot --rounds 5                 # after make linux64
  otoriscv bench system --engines llvm           # its system calls, page faults, pipes, fork, exec
  otoriscv bench boot --kernel build-linux/vmlinuz32 --initrd build-linux/initrd32.gz \\
                      --prompt "Power down"

Pairs are interleaved: each round runs everything once, and ratios are of one round. The table shows
the median and, in brackets, the lowest and highest ratio.
"""


def _benchmarks() -> ModuleType:
    if not (ROOT / "benchmarks" / "kernels").is_dir():
        raise UsageError("the benchmark programs are in the source tree: run this in a checkout")
    if importlib.util.find_spec("benchmarks") is None:
        sys.path.append(str(ROOT))
    return importlib.import_module("benchmarks.run")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options are those of benchmarks/run.py."""
    parser.description, parser.epilog = __doc__, _EXAMPLES
    _benchmarks().add_arguments(parser)


def run(args: argparse.Namespace) -> int:
    """Measure; the exit code."""
    code: int = _benchmarks().run(args)
    return code
