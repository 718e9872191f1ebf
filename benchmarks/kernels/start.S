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
2:      call    main
        li      t0, 0x100000
        li      t1, 0x5555
        beqz    a0, 3f
        slli    a0, a0, 16
        li      t1, 0x3333
        or      t1, t1, a0
3:      sw      t1, 0(t0)
4:      j       4b
