"""Hart state as Python sees it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otoriscv.core import mode
from otoriscv.core.layout import HART, TLB_INVALID, tlb_slot
from tests.core_box import Box


@pytest.fixture(params=[32, 64])
def box(request: pytest.FixtureRequest) -> Iterator[Box]:
    box = Box(request.param)
    yield box
    box.close()


def test_reset(box: Box) -> None:
    h = box.hart
    assert (h.pc, h.priv, h.index, box.get("hartid")) == (0x1000, 3, 0, 0)
    assert box.get("mstatus") == 0
    assert box.get("mtimecmp") == (1 << 64) - 1
    letters = {chr(65 + n) for n in range(26) if box.get("misa") >> n & 1}
    assert {"A", "C", "I", "M", "S", "U"} <= letters
    assert box.get("misa") >> (box.xlen - 2) == box.xlen // 32
    assert all(box.q[tlb_slot(b, k)] == TLB_INVALID for b in range(4) for k in range(3))
    h.x[5] = 1
    h.set_irq(11, True)
    h.reset()
    assert not any(h.x)
    assert not box.get("mip")


def test_registers(box: Box) -> None:
    h = box.hart
    h.x[0] = 5
    h.x[1] = -1
    assert list(h.x[:3]) == [0, (1 << box.xlen) - 1, 0]
    assert len(h.x) == 32
    for bad in (32, -33):
        with pytest.raises(IndexError):
            h.x[bad]
    with pytest.raises(IndexError):
        h.x[32] = 1
    h.pc = -1
    assert h.pc == (1 << box.xlen) - 2


def test_mode_word(box: Box) -> None:
    h = box.hart
    assert box.get("mode") & mode.XLEN64 == (box.xlen == 64)
    assert box.get("mode") >> mode.PRIV_SHIFT & 3 == 3
    h.priv = 1
    assert box.get("mode") >> mode.PRIV_SHIFT & 3 == 1
    h.set_watching(True, False)
    assert box.get("mode") & (mode.WATCH_R | mode.WATCH_W) == mode.WATCH_R
    h.reset()
    assert box.get("mode") & (mode.WATCH_R | mode.WATCH_W) == mode.WATCH_R
    with pytest.raises(ValueError, match="mode 2"):
        h.priv = 2


def test_irq_lines(box: Box) -> None:
    h = box.hart
    h.set_irq(7, True)
    assert box.get("mip") == 1 << 7
    h.set_irq(7, False)
    box.set(seip_soft=1, mip=1 << 9)
    h.set_irq(9, True)
    h.set_irq(9, False)
    assert box.get("mip") == 1 << 9  # software's bit stays
    box.set(seip_soft=0)
    h.set_irq(9, False)
    assert box.get("mip") == 0
    box.q[HART["mie"]] = 1 << 3
    assert not h.can_wake
    h.set_irq(3, True)
    assert h.can_wake


def test_csr_access(box: Box) -> None:
    h = box.hart
    h.write_csr("mscratch", -1)
    assert h.read_csr(0x340) == (1 << box.xlen) - 1
    h.write_csr("mhartid", 5)
    assert h.read_csr("mhartid") == 0
    with pytest.raises(KeyError, match="nonsense"):
        h.read_csr("nonsense")
    h.write_csr("minstret", 77)
    assert h.read_csr("minstret") == 77
