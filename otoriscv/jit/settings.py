"""What a user decides about compiling: thresholds, workers and the cache on disk."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from otoriscv.jit.engine import EngineUnavailable

__all__ = ["CACHE_BYTES", "JitSettings", "parse_size"]

#: The size of the code cache on disk unless somebody says otherwise.
CACHE_BYTES: Final = 512 << 20

_SIZE: Final = re.compile(r"([0-9]+)([KMG]?)(?:i?B)?", re.IGNORECASE)
_UNITS: Final = {"": 1 << 20, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def parse_size(text: str) -> int:
    """Bytes of ``512`` (MiB), ``64K``, ``512M`` or ``2G``; ValueError for anything else."""
    found = _SIZE.fullmatch(text.strip())
    if found is None:
        raise ValueError(f"{text!r} is no size, such as 512M or 2G")
    return int(found[1]) * _UNITS[found[2].upper()]


def _number(name: str) -> int | None:
    value = os.environ.get(name, "")
    if value and not (value.isascii() and value.isdigit()):
        raise EngineUnavailable(f"{name} is {value!r}: it must be a number")
    return int(value) if value else None


class JitSettings(NamedTuple):
    """None, everywhere: what the environment says, else the default.

    *threshold*: how often a place is seen hot before it is compiled; 1 also looks often.
    *workers*: compile processes; 0 compiles inline, between slices, so that runs repeat exactly.
    *cache*: whether compiled code is kept on disk, *cache_bytes* at most.
    """

    threshold: int | None = None
    workers: int | None = None
    cache: bool | None = None
    cache_bytes: int | None = None

    def filled(self) -> JitSettings:
        """With the environment's values where there were none: OTORISCV_JIT_THRESHOLD,
        OTORISCV_JIT_WORKERS, OTORISCV_CACHE (0: none), OTORISCV_CACHE_SIZE.

        `EngineUnavailable` when a variable makes no sense.
        """
        threshold, workers, cache_bytes = self.threshold, self.workers, self.cache_bytes
        if cache_bytes is None:
            try:
                cache_bytes = parse_size(
                    os.environ.get("OTORISCV_CACHE_SIZE") or f"{CACHE_BYTES >> 20}M"
                )
            except ValueError as error:
                raise EngineUnavailable(f"OTORISCV_CACHE_SIZE: {error}") from None
        return JitSettings(
            _number("OTORISCV_JIT_THRESHOLD") if threshold is None else threshold,
            _number("OTORISCV_JIT_WORKERS") if workers is None else workers,
            os.environ.get("OTORISCV_CACHE") != "0" if self.cache is None else self.cache,
            cache_bytes,
        )
