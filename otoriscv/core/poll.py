"""Time, interrupt selection and the refill of the budget (docs/abi.md, "Time and budget")."""

from __future__ import annotations

from typing import Final

from otoriscv.core.layout import (
    MEM,
    PAGE,
    PAGE_ENTRIES,
    PAGE_SHIFT,
    SAMPLE_JUMP,
    SAMPLE_PC,
    SAMPLE_REGION,
    SAMPLE_WORDS,
    SAMPLES,
    TLB_ENTRIES,
    TLB_X,
    Exit,
    tlb_slot,
)
from otoriscv.core.mode import FLAT
from otoriscv.core.mstatus import MSTATUS
from otoriscv.core.routine import routine
from otoriscv.core.trap import INTERRUPT
from otoriscv.core.uop import Builder, Value, Var

__all__ = ["FAR", "PRIORITY", "STCE", "steps_now"]

#: Interrupts by falling priority (privileged spec, section 3.1.9): MEI MSI MTI SEI SSI STI.
PRIORITY: Final = (11, 3, 7, 9, 1, 5)
#: A deadline this many ticks after the clock's zero is none, so that no product overflows.
FAR: Final = 1 << 50
_MTIP: Final = 1 << 7
_STIP: Final = 1 << 5
#: An odd number: its multiples run through all distances of two samples.
_SPREAD: Final = 0x9E37_79B1
#: menvcfg.STCE: stimecmp makes STIP.
STCE: Final = 1 << 63


def steps_now(b: Builder) -> Value:
    """The global step count."""
    return b.get_m("steps_end") - b.get("budget")


@routine(0)
def time_ticks(b: Builder) -> None:
    """The current value of mtime."""
    delta = b.get_m("time_delta")
    with b.if_(b.get_m("clock_host").ne(0)):
        b.ret(b.emit("host_time", 64).divu(100) + delta)
    elapsed = steps_now(b) + b.get_m("skip")
    b.ret((elapsed * b.get_m("time_num")).divu(b.get_m("time_den")) + delta)


@routine(0)
def pick_interrupt(b: Builder) -> None:
    """The cause, with `INTERRUPT` set, of the interrupt to take now; 0 for none."""
    pending = b.get("mip") & b.get("mie")
    priv, status, mideleg = b.get("priv"), b.get("mstatus"), b.get("mideleg")
    to_m = priv.ltu(3) | (status & MSTATUS.MIE).ne(0)
    to_s = priv.ltu(1) | (priv.eq(1) & (status & MSTATUS.SIE).ne(0))
    machine = to_m.select(pending & ~mideleg, 0)
    supervisor = to_s.select(pending & mideleg, 0)
    chosen = machine.ne(0).select(machine, supervisor)
    cause = b.const(0, 64)
    for code in reversed(PRIORITY):
        cause = chosen.bit(code).select(INTERRUPT | code, cause)
    b.ret(cause)


@routine(0)
def update_timer(b: Builder) -> None:
    """Raise or lower MTIP, and STIP when it is stimecmp's."""
    now = b.call("time_ticks")
    due = now.geu(b.get("mtimecmp"))
    b.set("mip", (b.get("mip") & ~_MTIP) | due.select(_MTIP, 0, 64))
    with b.if_((b.get("menvcfg") & STCE).ne(0)):
        due = now.geu(b.get("stimecmp"))
        b.set("mip", (b.get("mip") & ~_STIP) | due.select(_STIP, 0, 64))


@routine(0)
def poll(b: Builder) -> None:
    """Look for everything that is not the guest's next instruction; refill the budget.

    ``pc`` is where the hart goes on, before and after. The result is an exit code, or 0.

    While there is budget left no deadline has come, nor has any moved if ``retime`` is clear: only
    what the last instruction may have enabled is looked at, as operating systems enable and
    disable interrupts all the time. Real time comes by itself.
    """
    b.set("device", 0)  # whatever was done for an instruction, that is over
    timely = b.get("budget").ne(0) & b.get_m("retime").eq(0) & b.get_m("clock_host").eq(0)
    now = steps_now(b)
    with b.if_(~timely):
        b.call("update_timer")
        with b.if_(now.geu(b.get_m("slice_end"))):
            b.set_m("region_left", 0)  # the next sample may be another hart's
            b.ret(Exit.SLICE)
    with b.if_(b.get_m("stop").ne(0)):
        b.ret(Exit.STOP)
    with b.if_(b.get("waiting").ne(0)):
        with b.if_((b.get("mip") & b.get("mie")).eq(0)):
            b.ret(Exit.WFI)
        b.set("waiting", 0)
    with b.if_((b.get("mip") & b.get("mie")).ne(0)):
        cause = b.call("pick_interrupt")
        with b.if_(cause.ne(0)):
            b.set("pc", b.call("trap_enter", b.get("pc"), cause, 0))
            with b.if_(b.get_m("trap_exits").ne(0)):
                b.ret(Exit.TRAP)
    with b.if_(~timely):
        b.set_m("retime", 0)
        _refill(b, now)
    b.ret(0)


def _until(b: Builder, now: Value, end: Var, compare: Value) -> None:
    """Bring *end* forward to the step at which the clock reaches *compare*."""
    ticks = compare - b.get_m("time_delta")
    with b.if_(ticks.ltu(FAR)):
        num = b.get_m("time_num")
        at = (ticks * b.get_m("time_den") + (num - 1)).divu(num) - b.get_m("skip")
        at = at.ltu(now + 1).select(now + 1, at)
        end.value = at.ltu(end.value).select(at, end.value)


def _sample(b: Builder) -> None:
    """Note the pc, or what the last region since the last sample said, and where that lies: its
    decoded entry tells, which the execute TLB knows."""
    left = b.get_m("region_left")
    none = left.eq(0)
    pc = none.select(b.get("pc"), left & ~1)
    b.set_m("region_left", 0)
    page = pc & -PAGE
    index = (page >> PAGE_SHIFT) & (TLB_ENTRIES - 1)
    at = (index << 1) + (tlb_slot(0, TLB_X) - tlb_slot(0, 0)) + (b.get("fetch_bank") >> 3)
    with b.if_(b.get("tlb", at).eq(page)):
        entry = (pc << 3) + b.get("tlb", at + 1) - b.get_m("pool")
        number = entry.divu(PAGE_ENTRIES)
        inside = (entry - number * PAGE_ENTRIES) >> 3
        translated = (b.get("mode") & FLAT).eq(0).zext(64)
        place = ((number << PAGE_SHIFT) + inside + MEM) | translated
        taken = b.get_m("samples")
        slot = (taken & (SAMPLES - 1)) * SAMPLE_WORDS
        b.set_m("sample_ring", pc, slot)
        b.set_m("sample_ring", place, slot + 1)
        kind = left.bit(0).select(SAMPLE_REGION, SAMPLE_JUMP, 64)
        b.set_m("sample_ring", none.select(SAMPLE_PC, kind), slot + 2)
        b.set_m("samples", taken + 1)


def _refill(b: Builder, now: Value) -> None:
    """The budget reaches to the slice's end, or to the step at which MTIP or STIP rises."""
    end = b.var(b.get_m("slice_end"))
    every = b.get_m("sample_every")
    with b.if_(every.ne(0)):
        # due, or far ahead: the steps were counted anew
        with b.if_((b.get_m("sample_due") - now - 1).geu(every + (every >> 1))):
            _sample(b)
            # at distances that differ: a loop's period may divide those of samples and slices
            more = (b.get_m("samples") * _SPREAD) & ((every >> 1) - 1)
            b.set_m("sample_due", now + every + more)
        due = b.get_m("sample_due")
        end.value = due.ltu(end.value).select(due, end.value)
    with b.if_(b.get_m("clock_host").eq(0)):
        with b.if_((b.get("mip") & _MTIP).eq(0)):
            _until(b, now, end, b.get("mtimecmp"))
        with b.if_(((b.get("menvcfg") & STCE).ne(0)) & (b.get("mip") & _STIP).eq(0)):
            _until(b, now, end, b.get("stimecmp"))
    retired = b.get("retired_end") - b.get("budget")
    budget = end.value - now
    b.set_m("steps_end", end.value)
    b.set("budget", budget)
    b.set("retired_end", retired + budget)
