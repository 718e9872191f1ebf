"""Slow memory accesses: translation, misalignment, watchpoints, native devices, the write door."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otoriscv.core.evaluate import Evaluator
from otoriscv.core.layout import (
    HART,
    LINE_CODE,
    LINES,
    MACHINE,
    MEM,
    PAGE,
    TLB_INVALID,
    TLB_R,
    TLB_W,
    UART_RING,
    Exit,
    entry_offset,
    tlb_slot,
)
from otoriscv.core.policy import CallPolicy, TlbPolicy
from otoriscv.core.sem import CAUSE
from otoriscv.core.slow import DONE, DONE_POLL, LEAVE, TRAP
from otoriscv.core.uop import Builder
from tests.core_box import RAM, ROM, SECOND, Box

CLINT = 0x200_0000
UART = 0x1000_0000
FALLBACK = LEAVE + Exit.FALLBACK
DATA = bytes(range(0x80, 0x80 + 32))


@pytest.fixture(params=[(32, "python"), (64, "python"), (64, "evaluate")])
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    box = Box(*request.param, harts=2)
    box.memory.write(RAM, DATA)
    box.memory.write(ROM, DATA, rom=True)
    yield box
    box.close()


def load(box: Box, address: int, size: int, kind: int = 0) -> int:
    assert box.call("load_slow", address, size, kind) == DONE
    return box.get("value")


def tlb(box: Box, kind: int, address: int) -> tuple[int, int]:
    at = tlb_slot(0, kind) + 2 * (address >> 12 & 255)
    return box.q[at], box.q[at + 1]


@pytest.mark.parametrize("size", [1, 2, 4, 8])
@pytest.mark.parametrize("offset", [0, 1, 2, 3, 5, 8])
def test_loads_and_stores(box: Box, size: int, offset: int) -> None:
    want = int.from_bytes(DATA[offset : offset + size], "little")
    assert load(box, RAM + offset, size) == want
    assert load(box, ROM + offset, size) == want
    assert box.call("store_slow", RAM + 64 + offset, 0x1122334455667788, size) == DONE
    stored = 0x1122334455667788.to_bytes(8, "little")[:size]
    assert box.memory.read(RAM + 64, 32) == bytes(offset) + stored + bytes(32 - offset - size)


def test_misaligned_over_pages(box: Box) -> None:
    at = RAM + PAGE - 3
    assert box.call("store_slow", at, 0x1122334455667788, 8) == DONE
    assert box.memory.read(at, 8) == 0x1122334455667788.to_bytes(8, "little")
    assert load(box, at, 8) == 0x1122334455667788
    before = box.memory.read(RAM + 0xFFFC, 4)
    assert box.call("store_slow", RAM + 0xFFFE, -1 & (1 << 64) - 1, 4) == FALLBACK
    assert box.memory.read(RAM + 0xFFFC, 4) == before  # all or nothing
    assert box.call("load_slow", SECOND - 2, 4, 0) == FALLBACK


def test_misaligned_traps(box: Box) -> None:
    box.set(misaligned_trap=1)
    assert box.call("load_slow", RAM + 1, 2, 0) == TRAP
    assert (box.get("trap_cause"), box.get("trap_tval")) == (CAUSE.LOAD_MISALIGNED, RAM + 1)
    assert box.call("store_slow", RAM + 2, 0, 4) == TRAP
    assert (box.get("trap_cause"), box.get("trap_tval")) == (CAUSE.STORE_MISALIGNED, RAM + 2)
    box.set(misaligned_trap=0)
    assert box.call("load_slow", RAM + 2, 4, 1) == TRAP  # an AMO's always does
    assert box.get("trap_cause") == CAUSE.STORE_MISALIGNED


def test_rom_ignores_stores(box: Box) -> None:
    assert box.call("store_slow", ROM, 0, 4) == DONE
    assert box.call("store_slow", ROM + 1, 0, 4) == DONE
    assert box.memory.read(ROM, 8) == DATA[:8]
    assert tlb(box, TLB_W, ROM)[0] == TLB_INVALID
    load(box, ROM, 4, 1)
    assert tlb(box, TLB_W, ROM)[0] == TLB_INVALID


def test_holes(box: Box) -> None:
    for address in (0, RAM - 1, RAM + 0x1_0000, (1 << box.xlen) - 1):
        assert box.call("load_slow", address, 1, 0) == FALLBACK
        assert box.call("store_slow", address, 0, 1) == FALLBACK
        assert box.call("fetch_slow", address & ~1) == TRAP
        assert box.get("trap_cause") == CAUSE.FETCH_FAULT
        assert box.get("trap_tval") == address & ~1


def test_fetch(box: Box) -> None:
    assert box.call("fetch_slow", RAM + 0x1006) == DONE
    assert box.get("value") == MEM + 0x1000
    assert box.call("fetch_slow", ROM) == DONE
    assert box.get("value") == MEM + 0x1_0000


def test_tlb_fill(box: Box) -> None:
    load(box, RAM + 0x2345, 1)
    assert tlb(box, TLB_R, RAM + 0x2000) == (RAM + 0x2000, MEM - RAM & (1 << 64) - 1)
    assert tlb(box, TLB_W, RAM + 0x2000)[0] == TLB_INVALID
    box.call("store_slow", RAM + 0x2340, 0, 8)
    assert tlb(box, TLB_W, RAM + 0x2000)[0] == RAM + 0x2000
    load(box, RAM + 0x3000, 4, 1)
    assert tlb(box, TLB_W, RAM + 0x3000)[0] == RAM + 0x3000
    box.watch((RAM + 0x2FFF, 1, 2))
    assert tlb(box, TLB_R, RAM + 0x2000)[0] == TLB_INVALID
    load(box, RAM + 0x2345, 1)
    assert tlb(box, TLB_R, RAM + 0x2000)[0] == TLB_INVALID


@pytest.mark.parametrize(
    ("point", "address", "size", "store", "kind"),
    [
        ((RAM + 8, 4, 1), RAM + 8, 4, False, 1),
        ((RAM + 8, 4, 1), RAM + 8, 4, True, 0),
        ((RAM + 8, 4, 2), RAM + 8, 4, True, 2),
        ((RAM + 8, 4, 2), RAM + 8, 4, False, 0),
        ((RAM + 8, 4, 3), RAM + 11, 1, False, 1),
        ((RAM + 8, 4, 3), RAM + 12, 1, False, 0),
        ((RAM + 8, 4, 3), RAM + 7, 1, False, 0),
        ((RAM + 10, 1, 3), RAM + 8, 8, True, 2),
        ((RAM + 10, 1, 2), RAM + 9, 4, True, 2),  # misaligned
        ((RAM, 0x1_0000, 2), RAM + 0x1000, 1, True, 2),
    ],
)
def test_watchpoints(
    box: Box, point: tuple[int, int, int], address: int, size: int, store: bool, kind: int
) -> None:
    box.watch((0x40, 4, 3), point)
    before = box.memory.read(RAM, 32)

    def access() -> int:
        if store:
            return box.call("store_slow", address, 0x55, size)
        return box.call("load_slow", address, size, 0)

    if not kind:
        assert access() == DONE
        return
    assert access() == LEAVE + Exit.WATCH
    assert box.get("exit_kind") == kind
    assert box.get("exit_addr") == max(address, point[0])
    assert box.memory.read(RAM, 32) == before
    box.set(watch_skip=1)
    assert access() == DONE


def test_watching_an_amo(box: Box) -> None:
    box.watch((RAM, 4, 2))
    assert box.call("load_slow", RAM, 4, 1) == LEAVE + Exit.WATCH
    assert box.get("exit_kind") == 2


def test_code_written(box: Box) -> None:
    pool = box.arena.pool
    if not pool:
        pytest.skip("no pool here")
    entries = box.arena.view8[pool : pool + 0x3000 * 8]
    entries[:] = b"\xff" * len(entries)
    box.call("store_slow", RAM + 0x80, 0, 8)
    assert all(entries)
    assert box.get_m("code_writes") == 0
    box.arena.view8[LINES + (MEM + 0x80 >> 6)] = LINE_CODE
    box.call("store_slow", RAM + 0x88, 0, 8)
    assert [n for n in range(0x80) if not entries[16 * n]] == [0x43, 0x44, 0x45, 0x46, 0x47]
    box.call("store_slow", RAM + 0x85, 0, 1)
    assert [n for n in range(0x80) if not entries[16 * n]][:2] == [0x41, 0x42]
    assert box.get_m("code_writes") == box.get_m("invalidations") == 2
    # at a page's start, the page before it and its sentinel stay
    entries[:] = b"\xff" * len(entries)
    box.arena.view8[LINES + (MEM + PAGE >> 6)] = LINE_CODE
    box.call("store_slow", RAM + PAGE, 0, 1)
    second = entry_offset(pool, MEM + PAGE) - pool
    assert bytes(entries) == b"\xff" * second + bytes(16) + b"\xff" * (len(entries) - second - 16)
    # a misaligned store over two lines, one of them with code
    box.arena.view8[LINES + (MEM + 0x80 >> 6)] = 0
    box.arena.view8[LINES + (MEM + 0xC0 >> 6)] = LINE_CODE
    box.call("store_slow", RAM + 0xBE, 0, 4)
    assert [n for n in range(0x80) if not entries[16 * n]] == [0x5F, 0x60]
    entries.release()


def test_clint(box: Box) -> None:
    other = box.harts[1].q
    other[HART["mtimecmp"]] = 0x1122334455667788
    assert load(box, CLINT + 0x4008, 8) == 0x1122334455667788
    assert load(box, CLINT + 0x400C, 4) == 0x11223344
    assert box.call("store_slow", CLINT + 0x400C, 0, 4) == DONE_POLL
    assert other[HART["mtimecmp"]] == 0x55667788
    box.set(budget=990)
    assert load(box, CLINT + 0xBFF8, 8) == 10
    assert load(box, CLINT + 0xBFFC, 4) == 0
    assert box.call("store_slow", CLINT + 0x4008, 10, 8) == DONE_POLL
    assert other[HART["mip"]] == 1 << 7
    assert box.call("store_slow", CLINT + 0x4008, 11, 8) == DONE_POLL
    assert other[HART["mip"]] == 0
    for n, q in enumerate(h.q for h in box.harts):
        assert box.call("store_slow", CLINT + 4 * n, 0xFFFF_FFFF, 4) == DONE_POLL
        assert q[HART["mip"]] == 1 << 3
        assert load(box, CLINT + 4 * n, 4) == 1
        assert box.call("store_slow", CLINT + 4 * n, 2, 4) == DONE_POLL
        assert q[HART["mip"]] == 0
    assert box.call("store_slow", CLINT + 0x4000, 5, 8) == DONE_POLL
    assert (box.get("mtimecmp"), box.get("mip")) == (5, 1 << 7)


@pytest.mark.parametrize(
    ("offset", "size"), [(0, 8), (0, 1), (8, 4), (0x4010, 8), (0x4000, 2), (0xC000, 4), (0x4002, 4)]
)
def test_clint_leaves_the_odd_to_python(box: Box, offset: int, size: int) -> None:
    assert box.call("load_slow", CLINT + offset, size, 0) == FALLBACK
    assert box.call("store_slow", CLINT + offset, 0, size) == FALLBACK


def test_clint_mtime_write_is_pythons(box: Box) -> None:
    assert box.call("store_slow", CLINT + 0xBFF8, 0, 8) == FALLBACK


def test_uart(box: Box) -> None:
    assert box.call("store_slow", UART, ord("a"), 1) == FALLBACK
    box.set_m(uart_fast=1, uart_head=UART_RING - 1, uart_tail=UART_RING - 1)
    for c in b"ab":
        assert box.call("store_slow", UART, c, 1) == DONE
    ring = box.arena.view8[MACHINE["uart_ring"] * 8 :][:UART_RING]
    assert (ring[-1], ring[0]) == (ord("a"), ord("b"))
    ring.release()
    assert box.get_m("uart_head") == UART_RING + 1
    box.set_m(uart_tail=1)
    assert box.call("store_slow", UART, 0, 1) == FALLBACK  # full
    box.set_m(uart_tail=2, uart_lcr=0x80)
    assert box.call("store_slow", UART, 0, 1) == FALLBACK
    box.set_m(uart_lcr=3, uart_ier=2)
    assert box.call("store_slow", UART, 0, 1) == FALLBACK
    box.set_m(uart_lsr=0x61)
    assert load(box, UART + 5, 1) == 0x61
    box.set_m(uart_lsr=0x63)
    assert box.call("load_slow", UART + 5, 1, 0) == FALLBACK
    assert box.call("load_slow", UART, 1, 0) == FALLBACK


def test_policies() -> None:
    box = Box(32)
    box.memory.write(RAM, DATA)
    run = Evaluator(box.arena.view8, 32)

    def build(policy: CallPolicy | TlbPolicy, address: int, value: int | None, kind: str) -> str:
        b = Builder(32)
        a = b.const(address, 32)
        if value is None:
            b.set("value", policy.load(b, a, 16, kind).zext(64))
        else:
            policy.store(b, a, b.const(value, 16))
        end = run.run(b.body)
        return f"{end.op} {end.args[0]}" if end.args else end.op

    fast, slow = TlbPolicy(), CallPolicy()
    assert build(fast, RAM + 2, None, "r") == "bail 1"
    assert build(slow, RAM + 2, None, "r") == "next"
    box.set(value=0)
    assert build(fast, RAM + 2, None, "r") == "next"
    assert box.get("value") == 0x8382
    assert build(fast, RAM + 3, None, "r") == "bail 1"  # misaligned
    assert build(fast, RAM + 2, None, "w") == "bail 1"
    assert build(slow, RAM + 2, None, "w") == "next"
    assert build(fast, RAM + 2, None, "w") == "next"
    assert build(fast, RAM + 4, 0x1234, "w") == "next"
    assert box.memory.read(RAM + 4, 2) == b"\x34\x12"
    box.arena.view8[LINES + (MEM >> 6)] = LINE_CODE
    assert build(fast, RAM + 4, 0, "w") == "bail 1"
    assert build(fast, RAM + 64, 0, "w") == "next"
    assert build(slow, CLINT, 0, "w") == f"check {FALLBACK}"
    box.close()
