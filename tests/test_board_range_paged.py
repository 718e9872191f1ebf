"""Range steps under translation end where single steps would; interrupts do not mislead them."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from otoriscv.board.snapshot import restore, save
from otoriscv.board.target import BoardTarget
from otoriscv.core.layout import HART
from otoriscv.gdbstub.target import Action, StepRange, StopEvent, StopKind
from tests.board_guest import ENGINES, machine, needs_cc

pytestmark = needs_cc

RAM, VIRTUAL = 0x8000_0000, 0x4000_0000
ROOTS = RAM + 0x10_0000, RAM + 0x10_1000  # two address spaces, which have the same pages
PC, PRIV, S0, S6, S7 = 32, 4161, 8, 22, 23

#: Supervisor code, a machine-mode handler, and a supervisor's that itself traps and goes to the
#: other address space, where it calls what the line's end is.
GUEST = """
_start:
line:
    addi s1, s1, 1
    addi s0, s0, -1
    bnez s0, line
after:
    addi s7, s7, 1
    beqz s8, done
    ret
switch:
    li s0, 50
1:  addi s1, s1, 1
    csrw satp, s9
    sfence.vma
    addi s0, s0, -1
    bnez s0, 1b
done:
    ecall
    j done
    .balign 4
supervisor:
    csrci sip, 2
    addi s6, s6, 1
    ecall
    csrr t3, satp
    csrw satp, s9
    sfence.vma
    li s8, 1
    mv s11, ra
    call after
    mv ra, s11
    li s8, 0
    csrw satp, t3
    sfence.vma
    sret
    .balign 4
firmware:
    csrr t0, mcause
    bltz t0, 1f
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    mret
1:  li t0, 0x80
    csrc mie, t0
    csrsi mip, 2
    mret
"""


class Guest:
    """The line in supervisor mode, in the first address space."""

    def __init__(self, engine: str, xlen: int) -> None:
        self.machine = machine(GUEST, engine, xlen)
        self.target = BoardTarget(self.machine)
        entry, size = (VIRTUAL >> 30, 8) if xlen == 64 else (VIRTUAL >> 22, 4)
        mode = 8 << 60 if xlen == 64 else 1 << 31
        for root in ROOTS:
            leaf = (RAM >> 2 | 0xCF).to_bytes(size, "little")
            self.machine.memory.write(root + entry * size, leaf)
        first, second = (mode | root >> 12 for root in ROOTS)
        hart = self.machine.harts[0]
        for name, value in {
            "pmpaddr0": -1,
            "pmpcfg0": 0x1F,
            "mtvec": self.at("firmware") + RAM - VIRTUAL,
            "stvec": self.at("supervisor"),
            "mideleg": 2,
            "mstatus": 2,
            "satp": first,
        }.items():
            hart.write_csr(name, value & (1 << xlen) - 1)
        self.target.write_register(0, PRIV, 1)
        self.target.write_register(0, 25, second)
        self.target.write_register(0, S0, 3000)
        self.target.write_register(0, PC, self.at("line"))

    def at(self, name: str) -> int:
        symbol = self.machine.symbols.get(name)
        assert symbol is not None
        return symbol.address - RAM + VIRTUAL

    def step(self, start: str, end: str) -> StopEvent:
        self.target.resume({0: StepRange(self.at(start), self.at(end))})
        event = self.target.wait(20)
        assert event is not None
        return event

    def place(self) -> tuple[int, int]:
        return self.target.read_register(0, PC), self.machine.retired

    def stepped(self, start: str, end: str) -> tuple[int, int]:
        """Where single steps end, from the same state."""
        before = save(self.machine)
        while self.machine.step(0).pc in range(self.at(start), self.at(end)):
            pass
        place = self.place()
        restore(self.machine, before)
        return place


@pytest.fixture(params=[(e, x) for e in ENGINES for x in (32, 64)], ids=lambda p: f"{p[0]}{p[1]}")
def guest(request: pytest.FixtureRequest) -> Iterator[Guest]:
    guest = Guest(*request.param)
    yield guest
    guest.target.shut_down()
    guest.machine.close()


def test_a_loop_is_the_engines_work(guest: Guest) -> None:
    expected = guest.stepped("line", "after")
    before = guest.machine.runner.by_stepper
    assert guest.step("line", "after").kind is StopKind.STEP
    assert guest.place() == expected
    assert guest.machine.runner.by_stepper - before < 50
    assert len(guest.machine.breakpoints) == 0


def test_the_mapping_changes_in_the_range(guest: Guest) -> None:
    guest.target.write_register(0, PC, guest.at("switch"))
    expected = guest.stepped("switch", "done")
    assert guest.step("switch", "done").kind is StopKind.STEP
    assert guest.place() == expected


def test_an_exception_ends_it(guest: Guest) -> None:
    guest.target.write_register(0, PC, guest.at("switch"))
    assert guest.step("switch", "supervisor").kind is StopKind.STEP
    assert guest.place()[0] == guest.at("firmware") - VIRTUAL + RAM


def test_machine_mode_with_loads_as_a_supervisor(guest: Guest) -> None:
    """mstatus.MPRV translates loads; what is decoded is where instructions are fetched."""
    target = guest.target
    target.write_register(0, PRIV, 3)
    guest.machine.harts[0].write_csr("mstatus", 1 << 17 | 1 << 11)
    start, end = (guest.at(name) - VIRTUAL + RAM for name in ("line", "after"))
    target.write_register(0, PC, start)
    before = guest.machine.runner.by_stepper
    target.resume({0: StepRange(start, end)})
    event = target.wait(20)
    assert event is not None and event.kind is StopKind.STEP
    assert target.read_register(0, PC) == end
    assert guest.machine.runner.by_stepper - before < 50


@pytest.mark.parametrize("watch_for", ["", "after", "supervisor"])
def test_handlers_with_traps_and_address_spaces_of_their_own(guest: Guest, watch_for: str) -> None:
    """A timer interrupt becomes a supervisor's, which reaches the line's end by itself."""
    hart, target = guest.machine.harts[0], guest.target
    hart.q[HART["mtimecmp"]] = guest.machine.clock.ticks() + 10
    hart.write_csr("mie", 0x80)
    hart.write_csr("mideleg", 2)
    hart.write_csr("sie", 2)
    target.setting("step-irq", ["off"])
    if watch_for:
        target.insert_breakpoint(guest.at(watch_for))
    event = guest.step("line", "after")
    if watch_for:  # a breakpoint there is still one
        assert event.kind is StopKind.BREAKPOINT
        assert guest.place()[0] == guest.at(watch_for)
        assert target.read_register(0, S6) == (watch_for == "after")
        target.remove_breakpoint(guest.at(watch_for))
        target.insert_breakpoint(guest.at("done"))
        target.resume({0: Action.CONTINUE})
        assert target.wait(20) is not None
        assert [target.read_register(0, n) for n in (S0, S6, S7)] == [0, 1, 2]
    else:
        assert event.kind is StopKind.STEP
        assert guest.place()[0] == guest.at("after")
        assert [target.read_register(0, n) for n in (S0, S6, S7)] == [0, 1, 1]
