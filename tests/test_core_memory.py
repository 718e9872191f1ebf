"""The arena, guest memory and the write door."""

from __future__ import annotations

import pytest

from otoriscv.core.layout import LINE_CODE, LINES, MACHINE, MEM, PAGE, RANGE_ROM, entry_offset
from otoriscv.core.memory import MEMORY_LIMIT, Arena, Memory, MemoryHole


def make(*ranges: tuple[int, int, bool]) -> tuple[Arena, Memory]:
    arena = Arena(sum(size for _, size, _ in ranges))
    memory = Memory(arena)
    for base, size, rom in ranges:
        memory.add(base, size, rom=rom)
    return arena, memory


def test_arena() -> None:
    arena = Arena(5000)
    assert arena.capacity == 2 * PAGE
    assert arena.pool in (0, MEM + 2 * PAGE)
    arena.view8[MEM] = 0x5A
    assert arena.view64[MEM >> 3] == 0x5A
    arena.hart(3)[0] = 7
    assert arena.view8[0x13_0000] == 7
    assert arena.address == arena.address != 0
    arena.close()
    with pytest.raises(ValueError, match="at most"):
        Arena(MEMORY_LIMIT + 1)
    plain = Arena(4096, pool=False)
    assert plain.pool == 0
    plain.close()


def test_a_large_reservation_is_sparse() -> None:
    arena = Arena(8 << 30)
    arena.view8[arena.size - 1] = 1
    arena.close()


def test_ranges() -> None:
    arena, memory = make((0x8000_0000, 0x4000, False), (0x1000, 0x1000, True))
    table = MACHINE["ranges"]
    assert arena.machine[MACHINE["nranges"]] == 2
    assert list(arena.machine[table : table + 8]) == [
        0x8000_0000, 0x4000, MEM, 0, 0x1000, 0x1000, MEM + 0x4000, RANGE_ROM,
    ]  # fmt: skip
    assert arena.machine[MACHINE["mem_end"]] == MEM + 0x5000
    assert memory.find(0x8000_3FFF) == MEM + 0x3FFF
    assert memory.find(0x8000_3FFF, 2) is None
    assert memory.find(0x7FFF_FFFF) is None
    assert memory.address_of(MEM + 0x4004) == 0x1004
    assert memory.address_of(MEM + 0x5000) is None
    arena.close()


@pytest.mark.parametrize(
    ("base", "size", "why"),
    [
        (0x8000_1000, 0x1000, "overlaps"),
        (0x7FFF_F000, 0x2000, "overlaps"),
        (0x9000_0010, 0x1000, "multiples"),
        (0x9000_0000, 0x10, "multiples"),
        (0x9000_0000, 0, "multiples"),
        (0x9000_0000, 0x10000, "room"),
        ((1 << 64) - PAGE, 2 * PAGE, "behind the address space"),
    ],
)
def test_bad_ranges(base: int, size: int, why: str) -> None:
    arena, memory = make((0x8000_0000, 0x4000, False))
    with pytest.raises(ValueError, match=why):
        memory.add(base, size)
    arena.close()


def test_too_many_ranges() -> None:
    arena, memory = make(*((n << 20, PAGE, False) for n in range(64)))
    with pytest.raises(ValueError, match="64 ranges"):
        memory.add(64 << 20, PAGE)
    arena.close()


def test_read_and_write() -> None:
    arena, memory = make((0x2000, PAGE, False), (0x3000, PAGE, False), (0x5000, PAGE, True))
    memory.write(0x2FFE, b"abcd")
    assert memory.read(0x2FFE, 4) == b"abcd"
    assert memory.available(0x3FFC, 100) == 4
    with pytest.raises(MemoryHole, match="0x4000"):
        memory.read(0x3FFE, 4)
    with pytest.raises(MemoryHole, match="0x4000"):
        memory.write(0x3FFE, b"abcd")
    assert memory.read(0x3FFE, 2) == bytes(2)  # nothing was written
    with pytest.raises(MemoryHole, match="ROM"):
        memory.write(0x5000, b"a")
    memory.write(0x5000, b"a", rom=True)
    assert memory.read(0x5000, 1) == b"a"
    arena.close()


def test_write_door() -> None:
    arena, memory = make((0x8000_0000, 0x4000, False))
    if not arena.pool:
        pytest.skip("no pool here")
    heard: list[tuple[int, int]] = []
    memory.on_code_write.append(lambda offset, length: heard.append((offset, length)))
    pool = arena.view8[arena.pool : entry_offset(arena.pool, MEM + 0x4000)]
    pool[:] = b"\xff" * len(pool)
    memory.write(0x8000_0000, bytes(0x100))
    assert not heard
    assert all(pool)
    arena.view8[LINES + (MEM + 0x40 >> 6)] = LINE_CODE
    memory.write(0x8000_0000, bytes(0x100))
    assert heard == [(MEM, 0x100)]
    zero = [n for n in range(0x200) if not pool[8 * n]]
    assert zero == list(range(0x3E, 0x80))  # the flagged line and the halfword before it
    assert arena.machine[MACHINE["code_writes"]] == 1
    # the first halfword of a page: the page before it, and its sentinel, stay
    pool[:] = b"\xff" * len(pool)
    arena.view8[LINES + (MEM + PAGE >> 6)] = LINE_CODE
    memory.write(0x8000_1000, b"x")
    second = entry_offset(arena.pool, MEM + PAGE) - arena.pool
    assert pool[second - 64 : second] == b"\xff" * 64
    assert pool[second : second + 32] == bytes(16) + b"\xff" * 16
    # an odd byte belongs to instructions that begin in its own halfword and in the one before
    pool[:] = b"\xff" * len(pool)
    memory.write(0x8000_1005, b"x")
    assert [n for n in range(8) if not pool[second + 16 * n]] == [1, 2]
    pool.release()
    arena.close()
