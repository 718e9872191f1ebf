"""Compiling regions: a request holds everything needed, so any process can do it."""

from __future__ import annotations

import time
from functools import cache
from typing import Final

from otoriscv.core.architecture import TABLE
from otoriscv.core.decode import Decoder, Insn, Isa, numbers
from otoriscv.core.layout import PAGE_SHIFT
from otoriscv.core.sem import MemoryPolicy
from otoriscv.jit.cache import DiskCache
from otoriscv.jit.llvm.banked import LOOP, BankedPolicy
from otoriscv.jit.llvm.compile import compile_module
from otoriscv.jit.llvm.flat import FlatPolicy, Window
from otoriscv.jit.llvm.region import region_text
from otoriscv.jit.llvm.request import (
    CompiledRegion,
    JitError,
    Pointless,
    Request,
    hash_spans,
    keep,
    reader,
)
from otoriscv.jit.protocol import HOT_REGION_LIMIT
from otoriscv.jit.regions import Region, discover

__all__ = ["FEW", "compile_request"]


#: Pages in a region for translated code, each of which its entries look up.
MAX_PAGES: Final = 4


#: A region of fewer instructions, without a loop, is not worth entering when another follows.
FEW: Final = 8


@cache
def _decoder(isa: str) -> Decoder:
    return Decoder(Isa.parse(isa))


def compile_request(request: Request, store: DiskCache | None = None) -> CompiledRegion:
    """Discover and compile the region; `JitError` when that fails or gains nothing."""
    try:
        return _compile(request, store)
    except Pointless:
        key = request.key({})
        if store is not None and not request.points() and not store.has(key):
            store.put(key, b"[]")
        raise


def _compile(request: Request, store: DiskCache | None) -> CompiledRegion:
    began = time.thread_time()
    decoder = _decoder(request.isa)
    code, first = request.code, request.start
    breakpoints = frozenset(request.breakpoints)
    reached: set[int] = set()
    unseen: set[int] = set()
    pages: set[int] = set()

    def decode(pc: int) -> Insn | None:
        at = pc - first
        if at < 0 or at + 2 > len(code):
            return None
        if pc in breakpoints:
            reached.add(pc)
            return None
        if pc != request.pc and not request.saw(pc):
            unseen.add(pc)
            return None
        if request.window is None:
            pages.add(pc >> PAGE_SHIFT)
            if len(pages) > MAX_PAGES:
                pages.remove(pc >> PAGE_SHIFT)
                return None
        word = int.from_bytes(code[at : at + 4], "little")
        if word & 3 == 3 and at + 4 > len(code):
            return None
        return decoder.decode(word, pc)

    xlen = decoder.isa.xlen
    conditions = dict(request.conditions)

    def region_from(pc: int, elsewhere: tuple[int, ...]) -> Region:
        return discover(
            pc,
            xlen,
            decode,
            request.limit,
            request.history,
            frozenset(conditions),
            frozenset(elsewhere),
        )

    elsewhere = request.elsewhere
    region = region_from(request.pc, elsewhere)
    if elsewhere and region.instructions < FEW and not (region.whole or region.heads):
        around, elsewhere = elsewhere, ()
        beyond = {pc for block in region.blocks.values() for pc in block.targets}
        region = region_from(request.pc, elsewhere)
        if request.pc not in region.loops(LOOP):  # that other regions cut
            elsewhere = tuple(pc for pc in around if pc not in beyond)
            region = region_from(request.pc, elsewhere)
            if region.instructions < FEW:
                raise Pointless(f"what follows {request.pc:#x} is in other regions")
    if region.instructions < 2 or not region.blocks[request.pc].insns:
        raise Pointless(f"no code to compile at {request.pc:#x}")
    if request.at_head and (head := region.head_around(request.pc, LOOP)) != request.pc:
        other = region_from(head, elsewhere)
        if any(pc == request.pc for block in other.blocks.values() for pc, _ in block.insns):
            region = other
    policy: MemoryPolicy = BankedPolicy()
    unwatched: MemoryPolicy = policy
    if request.window is not None:
        window = Window(*request.window)
        policy = FlatPolicy(window, request.watching)
        unwatched = FlatPolicy(window)
    from otoriscv.core.agent import translate  # only who compiles needs it

    programs = {
        pc: [translate(c, xlen, unwatched) for c in conditions[pc]]
        for pc in region.blocks
        if pc in conditions
    }
    translated = request.window is None
    try:
        blob = compile_module(region_text(xlen, region, policy, programs, translated=translated))
    except (RuntimeError, MemoryError, RecursionError) as error:
        what = str(error).partition("\n")[0] or type(error).__name__
        raise JitError(f"the region at {request.pc:#x} cannot be compiled: {what}") from error
    handler = numbers(xlen, TABLE)
    entries = []
    for k, pc in enumerate(region.entries):
        insn = decode(pc)
        assert insn is not None
        own = handler[insn.row.name, insn.length, insn.variant]
        entries.append((pc, blob.symbols[f"entry{k}"], own))
    covered = {pc for b in region.blocks.values() for pc, _ in b.insns}
    spans = tuple(region.spans())
    result = CompiledRegion(
        region.entry,
        translated,
        request.watching,
        tuple(entries),
        spans,
        hash_spans(spans, reader(request)),
        tuple((pc, point) for pc, point in request.points().items() if pc in reached | covered),
        region.instructions,
        not region.whole and request.limit < HOT_REGION_LIMIT,
        request.history if region.indirect else None,
        bytes(pc in covered for start, end in spans for pc in range(start, end, 2)),
        tuple(sorted(unseen)),
        time.thread_time() - began,
        blob.code,
    )
    if store is not None:
        points = request.points() if result.points else {}
        keep(request.key(points), result, store)
    return result
