"""Compiling regions: a request holds everything needed, so any process can do it.

`find` looks into the disk cache, `compile_request` compiles and stores. A result names the byte
ranges it was made from with their hash: who installs it checks them against memory as it is then.
"""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import asdict, dataclass
from functools import cache

from otoriscv.core.architecture import TABLE
from otoriscv.core.decode import Decoder, Insn, Isa, numbers
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.compile import compile_module
from otoriscv.jit.llvm.region import FlatPolicy, Window, region_text
from otoriscv.jit.regions import LIMIT, discover

__all__ = ["CompiledRegion", "JitError", "Request", "compile_request", "find", "hash_spans"]


class JitError(Exception):
    """Nothing can be compiled there; the message says why."""


@dataclass(frozen=True, slots=True)
class Request:
    """What to compile: the code around *pc* as it is now, and what holds of the machine."""

    pc: int
    isa: str
    start: int  # address of code[0]
    code: bytes
    breakpoints: tuple[int, ...]  # of those in the code
    window: tuple[int, int, int]  # see `Window`
    watching: bool
    history: tuple[int, ...] = ()  # where regions jumped to lately
    limit: int = LIMIT

    @property
    def key(self) -> str:
        """What a cached result is looked up by: the next 64 bytes and the circumstances."""
        at = self.pc - self.start
        h = hashlib.sha256(self.code[at : at + 64])
        near = [b for b in self.breakpoints if abs(b - self.pc) < 1 << 16]
        h.update(repr((self.pc, self.isa, near, self.window, self.watching, self.limit)).encode())
        h.update(sources().encode())
        return f"region-{h.hexdigest()}"


@dataclass(frozen=True, slots=True)
class CompiledRegion:
    """Position-independent code with its entries: pc, offset in the code, interpreter handler."""

    pc: int
    watching: bool
    entries: tuple[tuple[int, int, int], ...]
    spans: tuple[tuple[int, int], ...]
    digest: str  # of the bytes of the spans
    breakpoints: tuple[int, ...]
    instructions: int
    covered: tuple[int, ...]  # every pc in it
    seconds: float
    code: bytes

    def pack(self) -> bytes:
        fields = asdict(self)
        del fields["code"]
        head = json.dumps(fields).encode()
        return len(head).to_bytes(8, "little") + head + self.code

    @classmethod
    def unpack(cls, data: bytes) -> CompiledRegion:
        size = int.from_bytes(data[:8], "little")
        fields = json.loads(data[8 : 8 + size])
        for name in ("entries", "spans"):
            fields[name] = tuple(tuple(x) for x in fields[name])
        fields["covered"] = tuple(fields["covered"])
        fields["breakpoints"] = tuple(fields["breakpoints"])
        return cls(**fields, code=data[8 + size :])


@cache
def sources() -> str:
    """A hash of what the generated code depends on in this package, and of the CPU."""
    from otoriscv.jit.interp.library import source_key

    return source_key()


def hash_spans(spans: tuple[tuple[int, int], ...], read: object) -> str:
    """The hash of the bytes of *spans*; ``read(start, length)`` gives them."""
    assert callable(read)
    h = hashlib.sha256()
    for start, end in spans:
        h.update(read(start, end - start))
    return h.hexdigest()


def _reader(request: Request) -> object:
    def read(start: int, length: int) -> bytes:
        at = start - request.start
        return request.code[at : at + length] if at >= 0 else b""

    return read


def find(request: Request, store: DiskCache) -> CompiledRegion | None:
    """The cached result that fits the request's code."""
    data = store.get(request.key)
    if data is None:
        return None
    region = CompiledRegion.unpack(data)
    same = hash_spans(region.spans, _reader(request)) == region.digest
    inside = [b for b in request.breakpoints if b in set(region.covered)]
    if not same or inside or region.breakpoints:
        return None
    return region


@cache
def _decoder(isa: str) -> Decoder:
    return Decoder(Isa.parse(isa))


def compile_request(request: Request, store: DiskCache | None = None) -> CompiledRegion:
    """Discover and compile the region; `JitError` when there is nothing to gain."""
    began = time.perf_counter()
    decoder = _decoder(request.isa)
    code, first = request.code, request.start
    breakpoints = frozenset(request.breakpoints)

    def decode(pc: int) -> Insn | None:
        at = pc - first
        if at < 0 or at + 2 > len(code) or pc in breakpoints:
            return None
        word = int.from_bytes(code[at : at + 4], "little")
        if word & 3 == 3 and at + 4 > len(code):
            return None
        return decoder.decode(word, pc)

    xlen = decoder.isa.xlen
    region = discover(request.pc, xlen, decode, request.limit, request.history)
    if region.instructions < 2 or not region.blocks[request.pc].insns:
        raise JitError(f"no code to compile at {request.pc:#x}")
    policy = FlatPolicy(Window(*request.window), request.watching)
    blob = compile_module(region_text(xlen, region, policy))
    handler = numbers(xlen, TABLE)
    entries = []
    for k, pc in enumerate(region.entries):
        insn = decode(pc)
        assert insn is not None
        own = handler[insn.row.name, insn.length, insn.variant]
        entries.append((pc, blob.symbols[f"entry{k}"], own))
    covered = tuple(pc for b in region.blocks.values() for pc, _ in b.insns)
    spans = tuple(region.spans())
    result = CompiledRegion(
        request.pc,
        request.watching,
        tuple(entries),
        spans,
        hash_spans(spans, _reader(request)),
        tuple(b for b in request.breakpoints if any(s <= b < e for s, e in spans)),
        region.instructions,
        covered,
        time.perf_counter() - began,
        blob.code,
    )
    if store is not None:
        store.put(request.key, result.pack())
    return result


