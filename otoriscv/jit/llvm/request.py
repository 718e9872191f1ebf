"""What is compiled, what comes of it, and where the cache on disk keeps that.

A result names the byte ranges it was made from with their hash: who installs it checks them against
memory as it is then.
"""

from __future__ import annotations

import hashlib
import json
from itertools import chain, compress
from typing import Final, NamedTuple

from otoriscv.core.layout import LINE_CODE, LINE_SHIFT
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.protocol import REGION_LIMIT, JitError
from otoriscv.jit.sources import source_key

__all__ = [
    "KEY_BYTES", "STOP", "CompiledRegion", "JitError", "Pointless", "Request", "find",
    "hash_conditions", "hash_spans", "keep", "listed", "reader", "region_key",
]  # fmt: skip


class Pointless(JitError):
    """Compiling the place again would come to the same, while the regions around it stay."""


#: What a region does at an unconditional breakpoint.
STOP: Final = "stop"


#: Code bytes at its pc that are in a region's key.
KEY_BYTES: Final = 64


#: Regions kept for one key: programs that agree there may differ in what a region goes on with.
_WAYS: Final = 4


def region_key(near: bytes, *circumstances: object) -> str:
    """The cache entry that lists the regions for a place: code at its pc, and pc, isa, breakpoints,
    window, watching and limit (see `Request`)."""
    h = hashlib.sha256(near)
    h.update(repr(circumstances).encode())
    h.update(source_key().encode())
    return f"place-{h.hexdigest()}"


class Request(NamedTuple):
    """What to compile: the code around *pc* as it is now, and what holds of the machine."""

    pc: int
    isa: str
    start: int  # address of code[0]
    code: bytes
    breakpoints: tuple[int, ...]  # of those in the code where the region must be left
    conditions: tuple[tuple[int, tuple[bytes, ...]], ...]  # of those that it evaluates
    window: tuple[int, int, int] | None  # see `Window`; None: translated, accesses ask the TLB
    watching: int  # kinds of accesses that are asked about: see `FlatPolicy`
    history: tuple[int, ...] = ()  # where regions jumped to lately
    limit: int = REGION_LIMIT
    place: int = 0  # arena offset of the instruction at pc
    lines: bytes = b""  # the line map of the code: what was decoded by now; empty: not known
    elsewhere: tuple[int, ...] = ()  # where other regions are entered, whose code stays theirs
    at_head: bool = False  # when pc is in a loop, the region may begin at that one's head instead

    def key(self, points: object) -> str:
        """What a cached result is looked up by: the next `KEY_BYTES` and the circumstances.

        *points* are the breakpoints it was made for.
        """
        at = self.pc - self.start
        near = self.code[at : at + KEY_BYTES]
        return region_key(near, self.pc, self.isa, points, self.window, self.watching, self.limit)

    def saw(self, pc: int) -> bool:
        """Whether something in the line of *pc* was executed, as far as is known."""
        line = pc - self.start >> LINE_SHIFT
        return not self.lines or (0 <= line < len(self.lines) and self.lines[line] & LINE_CODE != 0)

    @property
    def mark(self) -> int:
        """Its place, with bit 0 set for translated code."""
        return self.place | (self.window is None)

    def points(self) -> dict[int, str]:
        """What the region must do at each breakpoint: `STOP`, or the conditions' hash."""
        evaluated = {pc: hash_conditions(conditions) for pc, conditions in self.conditions}
        return dict.fromkeys(self.breakpoints, STOP) | evaluated


class CompiledRegion(NamedTuple):
    """Position-independent code with its entries: pc, offset in the code, interpreter handler."""

    pc: int
    translated: bool
    watching: int  # see `Request`
    entries: tuple[tuple[int, int, int], ...]
    spans: tuple[tuple[int, int], ...]
    digest: str  # of the bytes of the spans
    points: tuple[tuple[int, str], ...]  # breakpoints in it, see `Request.points`
    instructions: int
    growable: bool  # a larger limit would take in more
    #: Where jumps had gone when it was made; None: it has none whose targets only that tells.
    history: tuple[int, ...] | None
    starts: bytes  # for each halfword of the spans, whether an instruction of it begins there
    unseen: tuple[int, ...]  # where it would go on, had that ever been executed
    seconds: float
    code: bytes

    @property
    def covered(self) -> list[int]:
        """Every pc in it."""
        halfwords = chain.from_iterable(range(start, end, 2) for start, end in self.spans)
        return list(compress(halfwords, self.starts))

    def has(self, pc: int) -> bool:
        """Whether an instruction of it begins at *pc*."""
        before = 0
        for start, end in self.spans:
            if start <= pc < end:
                return self.starts[before + (pc - start >> 1)] != 0
            before += end - start + 1 >> 1
        return False

    @property
    def may_grow(self) -> bool:
        """Whether there may be more to compile by and by."""
        return self.growable or self.history is not None or bool(self.unseen)

    def grows(self, request: Request) -> bool:
        """Whether there is more to compile, now that jumps went where *request* says, and that
        code was executed."""
        new = self.history is not None and not set(request.history) <= set(self.history)
        return self.growable or new or any(request.saw(pc) for pc in self.unseen)

    @property
    def relevant(self) -> frozenset[int]:
        """The pcs where a breakpoint makes a difference to it."""
        return frozenset(self.covered).union(pc for pc, _ in self.points)

    def name(self, key: str) -> str:
        """Its own cache entry, of those that *key* lists."""
        return f"region-{hashlib.sha256(f'{key} {self.digest}'.encode()).hexdigest()}"

    def pack(self) -> bytes:
        fields = self._asdict()
        del fields["code"]
        fields["starts"] = self.starts.hex()
        head = json.dumps(fields).encode()
        return len(head).to_bytes(8, "little") + head + self.code

    @classmethod
    def unpack(cls, data: bytes) -> CompiledRegion:
        size = int.from_bytes(data[:8], "little")
        fields = json.loads(data[8 : 8 + size])
        for name in ("entries", "spans", "points"):
            fields[name] = tuple(tuple(x) for x in fields[name])
        fields["starts"] = bytes.fromhex(fields["starts"])
        fields["unseen"] = tuple(fields["unseen"])
        if fields["history"] is not None:
            fields["history"] = tuple(fields["history"])
        return cls(**fields, code=data[8 + size :])


def hash_spans(spans: tuple[tuple[int, int], ...], read: object) -> str:
    """The hash of the bytes of *spans*; ``read(start, length)`` gives them."""
    assert callable(read)
    h = hashlib.sha256()
    for start, end in spans:
        h.update(read(start, end - start))
    return h.hexdigest()


def hash_conditions(conditions: tuple[bytes, ...]) -> str:
    """What tells conditions of a breakpoint from others."""
    return hashlib.sha256(repr(conditions).encode()).hexdigest()


def reader(request: Request) -> object:
    def read(start: int, length: int) -> bytes:
        at = start - request.start
        return request.code[at : at + length] if at >= 0 else b""

    return read


def find(request: Request, store: DiskCache) -> CompiledRegion | None:
    """The cached result that fits the request's code."""
    points = request.points()
    keys = [request.key({}), request.key(points)][: 2 if points else 1]
    for name in (name for key in keys for name in listed(key, store) or ()):
        data = store.get(name)
        region = None if data is None else CompiledRegion.unpack(data)
        if region is not None and _serves(region, request, points):
            return region
    return None


def _serves(region: CompiledRegion, request: Request, points: dict[int, str]) -> bool:
    """Whether it was made from the request's code for its breakpoints, and is large enough."""
    if request.limit > REGION_LIMIT and region.grows(request):
        return False
    made_for = dict(region.points)
    return hash_spans(region.spans, reader(request)) == region.digest and all(
        points.get(pc) == made_for.get(pc) for pc in region.relevant
    )


def listed(key: str, store: DiskCache) -> list[str] | None:
    """The entries of the regions for a place (see `region_key`), the last one made first; none
    when it was `Pointless` to make one."""
    data = store.get(key)
    names: list[str] | None = None if data is None else json.loads(data)
    return names


def keep(key: str, region: CompiledRegion, store: DiskCache) -> None:
    name = region.name(key)
    store.put(name, region.pack())
    others = [other for other in listed(key, store) or () if other != name]
    store.put(key, json.dumps([name, *others][:_WAYS]).encode())
