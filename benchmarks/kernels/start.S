# One hart: a stack, a cleared .bss, main(), and what it returns to the test finisher.
        .file   "start.S"
        .section .text.start, "ax"
        .globl  _start
_start:
        .option push
        .option norelax
        la      gp, __global_pointer$
        .option pop
#ifdef __riscv_flen
        li      t0, 0x2000              # mstatus.FS: initial
        csrs    mstatus, t0
#endif
        la      sp, _stack_end
        la      t0, _bss_start
        la      t1, _bss_end
1:      bgeu    t0, t1, 2f
        sw      zero, 0(t0)
        addi    t0, t0, 4
        j       1b
2:
#ifdef PAGED                            /* S-mode, every address translated to itself */
        .option arch, +zicsr
        la      t0, page_table
#if __riscv_xlen == 64
        li      t1, 0xcf                # a gigabyte with the devices; valid, rwx, accessed, dirty
        sd      t1, 0(t0)
        li      t1, 0x200000cf          # one with RAM
        sd      t1, 16(t0)
        li      t1, 8 << 60             # Sv39
#else
        li      t1, 0xcf                # 4 MiB with the test finisher
        sw      t1, 0(t0)
        li      t1, 0x040000cf          # with the UART
        sw      t1, 256(t0)
        li      t1, 0x200000cf          # 16 MiB of RAM
        li      t2, 1 << 20
        addi    t3, t0, 2047
        sw      t1, 1(t3)
        add     t1, t1, t2
        sw      t1, 5(t3)
        add     t1, t1, t2
        sw      t1, 9(t3)
        add     t1, t1, t2
        sw      t1, 13(t3)
        li      t1, 1 << 31             # Sv32
#endif
        srli    t0, t0, 12
        or      t0, t0, t1
        csrw    satp, t0
        sfence.vma
        li      t0, -1                  # PMP grants everything
        csrw    pmpaddr0, t0
        li      t0, 0x1f
        csrw    pmpcfg0, t0
        li      t0, 0x1800
        csrc    mstatus, t0
        li      t0, 0x0800              # mstatus.MPP: S
        csrs    mstatus, t0
        la      t0, 5f
        csrw    mepc, t0
        mret
5:
#endif
        call    main
        li      t0, 0x100000
        li      t1, 0x5555
        beqz    a0, 3f
        slli    a0, a0, 16
        li      t1, 0x3333
        or      t1, t1, a0
3:      sw      t1, 0(t0)
4:      j       4b
#ifdef PAGED
        .section .bss
        .balign 4096
page_table:
        .space  4096
#endif
