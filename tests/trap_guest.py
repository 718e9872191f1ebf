"""An assembly guest that provokes traps and writes CSRs, and says on the UART what came of it.

The same ELF runs on QEMU and on us; the lines must be the same (tests/test_core_qemu.py).
"""

from __future__ import annotations

__all__ = ["M", "S", "U", "csr_lines", "finish", "program", "scene", "start", "trap_lines"]

M, S, U = 3, 1, 0
_HOLE = 0x1800_0000
_TW, _TVM, _TSR = 1 << 21, 1 << 20, 1 << 22

#: (label, body, CSR set-up): each body runs in M, S and U.
_SCENES: list[tuple[str, str, dict[str, int]]] = [
    ("ecall", "ecall", {}),
    ("ecall, delegated", "ecall", {"medeleg": 1 << 8 | 1 << 9}),
    ("ecall, delegated, vectored", "ecall", {"medeleg": 1 << 8, "stvec": 1}),
    ("illegal word", ".word 0xffffffff", {}),
    ("illegal halfword", ".half 0", {}),
    ("illegal, delegated", ".word 0xffffffff", {"medeleg": 1 << 2}),
    ("write a read-only CSR", "csrw 0xf14, x0", {}),
    ("read a read-only CSR with csrrs", "csrrs a0, 0xf14, x0", {}),
    ("set bits of a read-only CSR", "csrrsi a0, 0xf14, 1", {}),
    ("no such CSR", "csrr a0, 0x5c0", {}),
    ("mstatus", "csrr a0, mstatus", {}),
    ("sstatus", "csrr a0, sstatus", {}),
    ("satp", "csrr a0, satp", {}),
    ("satp with TVM", "csrr a0, satp", {"mstatus": _TVM}),
    ("sfence.vma", "sfence.vma", {}),
    ("sfence.vma with TVM", "sfence.vma", {"mstatus": _TVM}),
    ("mret", "la t0, 1f; csrw mepc, t0; mret; 1:", {}),
    ("sret", "la t0, 1f; csrw sepc, t0; sret; 1:", {}),
    ("sret with TSR", "la t0, 1f; csrw sepc, t0; sret; 1:", {"mstatus": _TSR}),
    ("sret to S", "la t0, 1f; csrw sepc, t0; li t0, 0x120; csrs sstatus, t0; sret; 1:", {}),
    ("wfi with TW", "wfi", {"mstatus": _TW, "mie": 2, "mip": 2, "mideleg": 2}),
    ("wfi", "wfi", {"mie": 2, "mip": 2, "mideleg": 2}),
    ("cycle, not enabled", "csrr a0, cycle; li a0, 0", {}),
    ("cycle, enabled for S", "csrr a0, cycle; li a0, 0", {"mcounteren": 1}),
    ("cycle, enabled", "csrr a0, cycle; li a0, 0", {"mcounteren": 1, "scounteren": 1}),
    ("time, scounteren only", "csrr a0, time; li a0, 0", {"scounteren": 7}),
    ("instret, enabled", "csrr a0, instret; li a0, 0", {"mcounteren": 4, "scounteren": 4}),
    ("load from a hole", f"li a1, {_HOLE}; lw a0, 8(a1)", {}),
    ("store to a hole", f"li a1, {_HOLE}; sb a0, 1(a1)", {}),
    ("jump into a hole", f"li a1, {_HOLE}; jr a1", {}),
    ("AMO on a hole", f"li a1, {_HOLE}; amoadd.w a0, a1, (a1)", {}),
    ("lr from a hole", f"li a1, {_HOLE}; lr.w a0, (a1)", {}),
    ("hole, delegated", f"li a1, {_HOLE}; lw a0, (a1)", {"medeleg": 1 << 5}),
    ("misaligned AMO", "la a1, data; addi a1, a1, 2; amoadd.w a0, a0, (a1)", {}),
    ("misaligned lr", "la a1, data; addi a1, a1, 1; lr.w a0, (a1)", {}),
    ("misaligned sc", "la a1, data; addi a1, a1, 1; sc.w a0, a0, (a1)", {}),
    ("misaligned load", "la a1, data; lw a0, 3(a1)", {}),
    ("SSIP", "nop; nop", {"mie": 2, "mip": 2, "mstatus": 2 | 8}),
    ("SSIP, delegated", "nop; nop", {"mie": 2, "mip": 2, "mideleg": 2, "mstatus": 2 | 8}),
    ("SSIP, vectored", "nop; nop", {"mie": 2, "mip": 2, "mtvec": 1, "mstatus": 2 | 8}),
    ("SEIP and STIP", "nop", {"mie": 0x220, "mip": 0x220, "mideleg": 0x220, "stvec": 1}),
    ("enabling SSIP", "csrsi sip, 2; nop", {"mie": 2, "mideleg": 2, "mstatus": 2}),
    ("enabling SIE", "csrsi sstatus, 2; nop", {"mie": 2, "mip": 2, "mideleg": 2}),
    ("sie and sip", "csrr a0, sie; csrr a1, sip; add a0, a0, a1",
     {"mie": 0x222, "mip": 0x222, "mideleg": 0x20}),
    ("writing sie", "csrw sie, x0; csrr a0, sie", {"mie": 0x222, "mideleg": 0x20}),
    ("medeleg of what cannot happen", "csrr a0, mcause", {"medeleg": 1}),
]  # fmt: skip

#: CSRs whose bits beyond these QEMU 7.2 has for extensions that we do not (and keeps illegal
#: values in, for MPP and the epcs).
_PATTERNS = (
    ("mscratch", -1),
    ("mtval", -1),
    ("mcause", -1),
    ("stval", -1),
    ("scause", -1),
    ("sscratch", -1),
    ("stvec", 0xFFFD),
    ("mie", 0xAAA),
    ("mip", 0x222),
    ("medeleg", 0xB3FF),
    ("mideleg", 0x222),
    ("mcounteren", 0xFFFF_FFFF),
    ("scounteren", 0xFFFF_FFFF),
    ("mstatus", 0x7E_01AA),
    ("sstatus", 0xC_0122),
)
_VALUES = (0, -1, 0x5555_5555_5555_5555, 0xAAAA_AAAA_AAAA_AAAA, 0x8000_0000, 0x222, 0)

_LIBRARY = """
puthex: li t3, 0x10000000
    li t1, {top}
1:  srl t2, a0, t1
    andi t2, t2, 15
    addi t2, t2, 48
    li t4, 58
    blt t2, t4, 2f
    addi t2, t2, 39
2:  sb t2, (t3)
    addi t1, t1, -4
    bgez t1, 1b
    li t2, 32
    sb t2, (t3)
    ret
newline: li t3, 0x10000000
    li t2, 10
    sb t2, (t3)
    ret
    .align 6
    .option push
    .option norvc
mhandler:                      # s4 tells which entry was used
    .rept 16
    jal s4, mtrap
    .endr
    .align 6
shandler:
    .rept 16
    jal s4, strap
    .endr
    .option pop
mtrap:
    bnez s10, done
    mv s2, a0
    csrr a0, mcause
    call puthex
    csrr a0, mepc
    call puthex
    csrr a0, mtval
    call puthex
    csrr a0, mstatus
    li t0, 0x7e19aa
    and a0, a0, t0
    call puthex
    la t0, mhandler
    sub a0, s4, t0
    call puthex
    mv a0, s2
    call puthex
done:
    call newline
    csrw mie, x0
    csrw mip, x0
    csrw medeleg, x0
    csrw mideleg, x0
    csrw mcounteren, x0
    csrw scounteren, x0
    la t0, mhandler
    csrw mtvec, t0
    la t0, shandler
    csrw stvec, t0
    li t0, 0x1800
    csrw mstatus, t0
    li s10, 0
    csrw mepc, s11
    mret
strap:
    mv s2, a0
    csrr a0, scause
    call puthex
    csrr a0, sepc
    call puthex
    csrr a0, stval
    call puthex
    csrr a0, sstatus
    li t0, 0xc0122
    and a0, a0, t0
    call puthex
    la t0, shandler
    sub a0, s4, t0
    call puthex
    mv a0, s2
    call puthex
    li s10, 1
    ebreak                     # to M: no scene delegates that
    .balign 4096
data: .word 0x03020100, 0x07060504, 0, 0
"""


def start() -> list[str]:
    """Set-up, then the first trap's handling, which goes on behind these lines."""
    return [
        ".globl _start", "_start: li t0, -1", "csrw pmpaddr0, t0", "li t0, 0x1f",
        "csrw pmpcfg0, t0", "csrw satp, x0", "li s10, 1", "la s11, begin", "j done", "begin:",
    ]  # fmt: skip


def finish(xlen: int) -> list[str]:
    """The end of the run, the handlers, and what scenes work on."""
    end = ["li t0, 0x5555", "li t1, 0x100000", "sw t0, (t1)", "1: j 1b"]
    return [*end, _LIBRARY.format(top=xlen - 4)]


def trap_lines() -> list[str]:
    """A label for each line that the trap guest prints."""
    return [f"{label} in {name}" for label, _, _ in _SCENES for name in "MSU"]


def csr_lines() -> list[str]:
    """A label for each line that the CSR guest prints."""
    return [f"{name} = {value:#x}" for name, _ in _PATTERNS for value in _VALUES]


def program(xlen: int, what: str) -> str:
    """The guest's assembly: *what* is ``traps`` or ``csrs``. Its first line is empty."""
    out = start()
    if what == "traps":
        for _, body, setup in _SCENES:
            for priv in (M, S, U):
                out += scene(len(out), body, setup, priv)
    else:
        for name, mask in _PATTERNS:
            for value in _VALUES:
                cut = value & (1 << xlen) - 1
                out += [
                    f"li a1, {cut:#x}", f"csrw {name}, a1", f"csrr a0, {name}",
                    f"li a1, {mask & (1 << xlen) - 1:#x}", "and a0, a0, a1", "call puthex",
                    "call newline", "li t0, 0x1800", "csrw mstatus, t0", "csrw mie, x0",
                ]  # fmt: skip
    return "\n".join(out + finish(xlen)) + "\n"


def scene(at: int, body: str, setup: dict[str, int], priv: int, displaced: int = 0) -> list[str]:
    """Enter *body* in *priv*; ``at`` is its number. *displaced*: how far from its physical address
    it is entered."""
    out = [f"la s11, after{at}"]
    status = setup.get("mstatus", 0)
    for name, value in setup.items():
        if name in ("mtvec", "stvec"):
            out += [f"la t0, {name[0]}handler + {value}", f"csrw {name}, t0"]
        elif name not in ("mstatus", "mie"):
            out += [f"li t0, {value:#x}", f"csrw {name}, t0"]
    if "mie" in setup:
        out += [f"li t0, {setup['mie']:#x}", "csrw mie, t0"]
    # MPIE and SIE become what the scene wants when it is entered
    status = status & ~8 | (status & 8) << 4 | priv << 11
    return [
        *out, f"li t0, {status:#x}", "csrw mstatus, t0", f"la t0, body{at}",
        f"li t1, {displaced}", "add t0, t0, t1", "csrw mepc, t0",
        "li a0, 0", "li a1, 0", "mret", f".balign 4; body{at}: {body}", "ecall", f"after{at}:",
    ]  # fmt: skip
