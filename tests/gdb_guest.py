"""The C program that the tests with the real gdb debug, compiled for either width."""

from __future__ import annotations

import subprocess
from pathlib import Path

from otoriscv.tools import find_cc

__all__ = ["SOURCE", "build", "line_of"]

SOURCE = r"""
typedef unsigned long word;

volatile int g;
volatile int other;
volatile int table[8];
volatile word traps, trap_cause;
struct node { int a, b; struct node *next; };
struct node second = {30, 40, 0}, first = {10, 20, &second};

__attribute__((noinline)) int leaf(int n)
{
    int twice = n + n;                  /* leaf-first */
    return twice + 1;                   /* leaf-last */
}

__attribute__((noinline)) int f(int n)
{
    g = n;                              /* f-write */
    int sum = other;                    /* f-read */
    for (int i = 0; i < 4; i++)         /* f-loop */
        sum += leaf(i + n);
    table[n & 7] = sum;
    return sum;                         /* f-last */
}

__attribute__((noinline)) int factorial(int n)
{
    if (n < 2)
        return 1;                       /* factorial-bottom */
    return n * factorial(n - 1);
}

__attribute__((interrupt("machine"), aligned(4))) void handler(void)
{
    word cause, epc;
    asm volatile("csrr %0, mcause" : "=r"(cause));
    trap_cause = cause;                 /* handler-cause */
    asm volatile("csrr %0, mepc" : "=r"(epc));
    epc += 4;
    asm volatile("csrw mepc, %0" : : "r"(epc));
    traps++;                            /* handler-last */
}

__attribute__((noinline)) void do_trap(void)
{
    asm volatile(".option push\n.option norvc\necall\n.option pop" : : : "memory"); /* trap-call */
}

volatile int rounds = 20, running = 1;
volatile unsigned spins;

__attribute__((noinline)) void spin(void)
{
    while (running)
        spins++;                        /* spin-loop */
}

__attribute__((noinline)) void finish(int code)
{
    *(volatile unsigned *)0x100000 = code ? (unsigned)code << 16 | 0x3333 : 0x5555;
}

int main(void)
{
    int total = 0;
    asm volatile("csrw mtvec, %0" : : "r"(handler));
    other = 5;                          /* main-first */
    for (int n = 0; n < rounds; n++)
        total += f(n);                  /* main-call */
    do_trap();                          /* main-trap */
    int product = factorial(5);         /* main-factorial */
    g = total + product + first.next->b;/* main-sum */
    if (running > 1)
        spin();                         /* main-spin */
    finish(g == 0);
    return 0;
}

asm(".section .text.start,\"ax\"\n"
    ".globl _start\n"
    "_start:\n"
    "  .option push\n  .option norelax\n  la gp, __global_pointer$\n  .option pop\n"
    "  csrr t0, mhartid\n"
    "  la sp, stack_top\n"
    "  slli t0, t0, 12\n"
    "  sub sp, sp, t0\n"
    "  bnez t0, secondary\n"
    "  call main\n"
    "1: j 1b\n"
    "secondary:\n"
    "  csrr a0, mhartid\n"
    "  call worker\n"
    "  .section .bss\n  .balign 16\n  .space 16384\nstack_top:\n  .text\n");

volatile unsigned long counts[4];

void worker(int hart)
{
    for (;;)
        counts[hart & 3]++;             /* worker-loop */
}
"""

_LINK = """
OUTPUT_ARCH(riscv)
ENTRY(_start)
SECTIONS {
  . = 0x80000000;
  .text : { *(.text.start) *(.text*) }
  .data : ALIGN(16) { *(.data*) *(.rodata*) __global_pointer$ = . + 0x100; *(.sdata*) }
  .bss : ALIGN(16) { *(.sbss*) *(.bss*) *(COMMON) }
}
"""

_MARCH = {32: ("rv32imac_zicsr", "ilp32"), 64: ("rv64imac_zicsr", "lp64")}


def build(directory: Path, xlen: int) -> Path:
    """Compile it; returns the ELF file."""
    source, script = directory / "guest.c", directory / "guest.ld"
    program = directory / f"guest{xlen}.elf"
    if not source.exists():  # gdb warns of a source that is newer than its program
        source.write_text(SOURCE)
    script.write_text(_LINK)
    march, mabi = _MARCH[xlen]
    command = [
        *find_cc().command, "-g", "-O0", "-ffreestanding", "-nostdlib",
        "-Wl,--no-warn-rwx-segments", "-mcmodel=medany", f"-march={march}", f"-mabi={mabi}",
        "-T", str(script), str(source), "-o", str(program),
    ]  # fmt: skip
    subprocess.run(command, check=True)
    return program


def line_of(mark: str) -> int:
    """The number of the line that ends in a comment with *mark*."""
    for number, line in enumerate(SOURCE.splitlines(), 1):
        if f"/* {mark} */" in line:
            return number
    raise ValueError(mark)
