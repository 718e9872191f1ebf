"""``otoriscv cache``: the compiled code kept on disk."""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from collections.abc import Iterator

from otoriscv.cli.errors import FAILED, OK, UsageError
from otoriscv.jit.cache import DiskCache, open_cache

__all__ = ["add_arguments", "run"]

_DESCRIPTION = """\
Show, check or empty the cache of compiled code.

  info    where it is, how much is in it, and whether it is used
  verify  check every entry and remove the damaged ones; 1 when there were any
  clear   remove every entry

OTORISCV_CACHE_DIR says where it is (default ~/.cache/otoriscv), OTORISCV_CACHE_SIZE how large it
may become (default 512M), OTORISCV_CACHE=0 that it is not used.
"""


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.description = _DESCRIPTION
    parser.usage = "otoriscv cache info|verify|clear"
    parser.add_argument("action", choices=("info", "verify", "clear"), metavar="ACTION")


def size(count: int) -> str:
    """A number of bytes for a person."""
    for unit, shift in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if count >= 1 << shift:
            return f"{count / (1 << shift):.1f} {unit}"
    return f"{count} bytes"


def _age(seconds: float) -> str:
    for unit, length in (("days", 86400.0), ("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{max(0.0, seconds):.0f} seconds"


def info(cache: DiskCache) -> Iterator[str]:
    """The lines about a usable cache."""
    entries = list(cache.entries())
    total = sum(entry.size for entry in entries)
    yield f"folder   {cache.folder}"
    yield f"entries  {len(entries)}, {size(total)} of {size(cache.limit)} at most"
    kinds: dict[str, list[int]] = defaultdict(list)
    for entry in entries:
        kinds[entry.kind].append(entry.size)
    for kind, sizes in sorted(kinds.items()):
        yield f"  {kind:10} {len(sizes)}, {size(sum(sizes))}"
    if entries:
        now = time.time()
        oldest, newest = (pick(entry.used for entry in entries) for pick in (min, max))
        yield f"last use {_age(now - newest)} ago, of the oldest entry {_age(now - oldest)} ago"


def run(args: argparse.Namespace) -> int:
    """Do it; the exit code."""
    cache = open_cache()
    if cache.problem:
        raise UsageError(f"the code cache is not used: {cache.problem}")
    if not cache.enabled:
        raise UsageError("the code cache is switched off: OTORISCV_CACHE is 0")
    if args.action == "info":
        for line in info(cache):
            print(line)
    elif args.action == "clear":
        count, freed = cache.clear()
        print(f"{count} entries removed, {size(freed)}")
    else:
        whole, damaged = cache.verify()
        for name in damaged:
            print(f"{name}: damaged, removed")
        print(f"{whole} entries are whole, {len(damaged)} were damaged")
        return FAILED if damaged else OK
    return OK
