"""The clocks agree with what native code computes."""

from __future__ import annotations

import pytest

from otoriscv.core.clock import Clock, HostClock, VirtualClock
from otoriscv.core.layout import MACHINE
from tests.core_box import Box


def steps_of(box: Box) -> int:
    return box.get_m("steps_end") - box.get("budget")


@pytest.mark.parametrize("mips", [1, 33, 1000, 4096])
def test_virtual(mips: int) -> None:
    box = Box(64)
    box.set(budget=900)
    clock = VirtualClock(box.m, lambda: steps_of(box), mips)
    clock.start()
    assert clock.ticks() == box.call("time_ticks") == 0
    box.set(budget=0)
    assert clock.now() == 1000
    assert clock.nanoseconds() == 900 * 1000 // mips
    assert clock.ticks() == box.call("time_ticks")
    clock.set_ticks(5)
    assert clock.ticks() == box.call("time_ticks") == 5
    due = clock.instant_of(12)
    clock.skip_to(due - 1)
    assert clock.ticks() < 12
    clock.skip_to(due)
    clock.skip_to(due - 5)  # never back
    assert clock.ticks() == box.call("time_ticks") >= 12
    assert clock.now() == due
    at = clock.after(1234)
    before = clock.nanoseconds()
    clock.skip_to(at)
    assert clock.nanoseconds() - before in (1234 + n for n in range(-1, 1000 // mips + 1))
    box.close()


@pytest.mark.parametrize("ticks", [0, 7, 1 << 40])
def test_deadlines_as_poll_sees_them(ticks: int) -> None:
    box = Box(64)
    box.set_m(slice_end=1 << 60)
    clock = VirtualClock(box.m, lambda: steps_of(box), 77)
    clock.start()
    clock.set_ticks(ticks)
    box.set(mtimecmp=ticks + 1000)
    assert box.call("poll") == 0
    assert box.get_m("steps_end") == clock.instant_of(ticks + 1000)
    box.close()


@pytest.mark.parametrize("moved", ["set_ticks", "skip_to"])
def test_a_poll_with_budget_left_sees_that_time_was_moved(moved: str) -> None:
    box = Box(64)
    box.set_m(slice_end=5000)
    clock = VirtualClock(box.m, lambda: steps_of(box), 10)
    clock.start()
    box.set(mtimecmp=1000)  # one tick each step
    assert box.call("poll") == 0 and box.get_m("steps_end") == 1000
    if moved == "set_ticks":
        clock.set_ticks(400)
    else:
        clock.skip_to(400)
    assert box.call("poll") == 0 and box.get("mip") == 0
    assert (steps_of(box), box.get_m("steps_end")) == (0, 600)
    getattr(clock, moved)(1000)
    assert box.call("poll") == 0 and box.get("mip") == 1 << 7
    box.close()


def test_host() -> None:
    box = Box(64)
    now = [12345]
    clock: Clock = HostClock(box.m, lambda: now[0])
    clock.start()
    assert not clock.virtual
    assert clock.ticks() == 0
    now[0] += 1000
    assert clock.ticks() in (10, 11)
    assert clock.nanoseconds() == 1000
    assert clock.after(50) == now[0] + 50
    clock.set_ticks(1 << 63)
    due = clock.instant_of((1 << 63) + 10)
    now[0] = due - 1
    assert clock.ticks() == (1 << 63) + 9
    now[0] = due
    assert clock.ticks() == (1 << 63) + 10
    assert box.m[MACHINE["clock_host"]] == 1
    box.close()


def test_host_agrees_with_native_code() -> None:
    box = Box(64)
    clock = HostClock(box.m)
    clock.start()
    first = clock.ticks()
    assert first <= box.call("time_ticks") <= clock.ticks()
    box.close()


@pytest.mark.parametrize("mips", [0, -1, 100_001])
def test_bad_speed(mips: int) -> None:
    box = Box(64)
    with pytest.raises(ValueError, match="MIPS"):
        VirtualClock(box.m, lambda: 0, mips)
    box.close()
