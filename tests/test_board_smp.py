"""Several harts: work handed around by interprocessor interrupts, timers of their own, order."""

from __future__ import annotations

import pytest

from otoriscv.board.stops import StopReason
from otoriscv.core.layout import HART
from tests.board_guest import ENGINES, FINISH, machine, needs_cc, output

pytestmark = [needs_cc, pytest.mark.parametrize("engine", ENGINES)]

#: Four harts pass a token around by software interrupts; each adds its part of a sum under an
#: LR/SC lock, and each takes three interrupts of its own timer.
RING = r"""
typedef unsigned long u64;
typedef unsigned int u32;
#define HARTS 4
#define ROUNDS 25
#define MSIP(h) (*(volatile u32 *)(0x2000000 + 4 * (h)))
#define MTIMECMP(h) ((volatile u32 *)(0x2004000 + 8 * (h)))
#define MTIME ((volatile u32 *)0x200bff8)
#define UART (*(volatile unsigned char *)0x10000000)
#define FINISHER (*(volatile u32 *)0x100000)

char stacks[HARTS][2048] __attribute__((aligned(16)));
volatile u32 lock, rounds, sum, finished, ticks[HARTS], turns[HARTS];
volatile char order[HARTS * ROUNDS + 1];

static void acquire(void) {
    u32 got;
    do {
        __asm__ volatile("1: lr.w.aq %0, (%1)\n bnez %0, 1b\n li %0, 1\n sc.w.rl %0, %0, (%1)"
                         : "=&r"(got) : "r"(&lock) : "memory");
    } while (got);
}
static void release(void) {
    __asm__ volatile("amoswap.w.rl x0, x0, (%0)" :: "r"(&lock) : "memory");
}

static void put(const char *text) { while (*text) UART = *text++; }

void trap(u64 cause, u32 hart) {
    if ((cause & 0xff) == 3) {
        MSIP(hart) = 0;
        acquire();
        order[rounds] = '0' + hart;
        for (u32 i = 0; i <= rounds; i++) sum += i;
        turns[hart]++;
        u32 now = ++rounds;
        release();
        if (now < HARTS * ROUNDS) MSIP((hart + 1) % HARTS) = 1;
    } else {
        MTIMECMP(hart)[1] = 0;
        MTIMECMP(hart)[0] = ++ticks[hart] < 3 ? MTIME[0] + 1000 * (hart + 1) : 0xffffffff;
        if (ticks[hart] == 3) MTIMECMP(hart)[1] = 0xffffffff;
    }
}

void work(u32 hart) {
    MTIMECMP(hart)[1] = 0;
    MTIMECMP(hart)[0] = 1000 * (hart + 1);
    __asm__ volatile("csrw mie, %0\n csrsi mstatus, 8" :: "r"(0x88));
    if (hart == 0) MSIP(1) = 1;
    while (ticks[hart] < 3 || rounds < HARTS * ROUNDS) __asm__ volatile("wfi");
    __asm__ volatile("csrci mstatus, 8");
    acquire();
    finished++;
    release();
    if (hart == 0) {
        while (finished < HARTS) ;
        put((char *)order);
        FINISHER = sum << 16 & 0x7fff0000 | 0x3333;
    }
    for (;;) __asm__ volatile("wfi");
}

__attribute__((naked, aligned(4))) void entry(void) {
    __asm__ volatile(
        "addi sp, sp, -256\n"
        "sd ra, 0(sp)\n sd t0, 8(sp)\n sd t1, 16(sp)\n sd t2, 24(sp)\n sd a0, 32(sp)\n"
        "sd a1, 40(sp)\n sd a2, 48(sp)\n sd a3, 56(sp)\n sd a4, 64(sp)\n sd a5, 72(sp)\n"
        "sd a6, 80(sp)\n sd a7, 88(sp)\n sd t3, 96(sp)\n sd t4, 104(sp)\n sd t5, 112(sp)\n"
        "sd t6, 120(sp)\n csrr a0, mcause\n csrr a1, mhartid\n call trap\n"
        "ld ra, 0(sp)\n ld t0, 8(sp)\n ld t1, 16(sp)\n ld t2, 24(sp)\n ld a0, 32(sp)\n"
        "ld a1, 40(sp)\n ld a2, 48(sp)\n ld a3, 56(sp)\n ld a4, 64(sp)\n ld a5, 72(sp)\n"
        "ld a6, 80(sp)\n ld a7, 88(sp)\n ld t3, 96(sp)\n ld t4, 104(sp)\n ld t5, 112(sp)\n"
        "ld t6, 120(sp)\n addi sp, sp, 256\n mret");
}

__attribute__((naked, section(".text.start"))) void _start(void) {
    __asm__ volatile("la t0, entry\n csrw mtvec, t0\n csrr a0, mhartid\n la sp, stacks\n"
                     "addi t0, a0, 1\n slli t0, t0, 11\n add sp, sp, t0\n j work");
}
"""


def test_four_harts_hand_work_around(engine: str) -> None:
    guest = machine(RING, engine, c=True, harts=4)
    stop = guest.run()
    total = sum(n * (n + 1) // 2 for n in range(100))
    assert (stop.reason, stop.code) == (StopReason.EXIT, total & 0x7FFF)
    assert output(guest) == "1230" * 25
    assert all(hart.retired > 500 for hart in guest.harts)
    guest.close()


def test_the_order_does_not_depend_on_the_slices(engine: str) -> None:
    whole, parts = (machine(RING, engine, c=True, harts=4) for _ in range(2))
    whole.run()
    reason, n = StopReason.STEPS, 0
    while reason is StopReason.STEPS:
        n = n % 997 + 101
        reason = parts.run(steps=n).reason
    assert reason is StopReason.EXIT
    assert (whole.steps, whole.instant) == (parts.steps, parts.instant)
    assert [h.retired for h in whole.harts] == [h.retired for h in parts.harts]
    whole.close()
    parts.close()


def test_steps_of_all_harts_are_counted(engine: str) -> None:
    guest = machine("_start: addi t0, t0, 1\n j _start", engine, harts=3)
    guest.run(steps=100_000)
    assert guest.retired == guest.steps == 100_000
    assert [hart.retired for hart in guest.harts] == [40_000, 40_000, 20_000]
    guest.close()


def test_only_some_harts_run(engine: str) -> None:
    guest = machine("_start: addi t0, t0, 1\n j _start", engine, harts=3)
    guest.run(steps=50_000, only=(1, 2))
    assert guest.harts[0].retired == 0
    assert guest.harts[1].retired + guest.harts[2].retired == 50_000
    guest.close()


def test_a_switch_ends_reservations(engine: str) -> None:
    guest = machine(
        f"""
_start:
    csrr t0, mhartid
    bnez t0, other
    la t1, word
    lr.w t2, (t1)
    li t3, 40000
1:  addi t3, t3, -1
    bnez t3, 1b
    sc.w a0, t2, (t1)
    j finish
other: j other
{FINISH}
    .data
    .align 2
word: .word 0""",
        engine,
        harts=2,
    )
    stop = guest.run()
    assert stop.code == 1
    assert guest.harts[0].q[HART["res_valid"]] == 0
    guest.close()
