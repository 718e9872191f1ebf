# Reset: hart 0 gets a stack and a cleared .bss, calls main and ends the machine with its result.
        .section .text.start, "ax"
        .globl  _start
        .type   _start, @function
_start:
        .option push
        .option norelax
        la      gp, __global_pointer$
        .option pop
        csrr    t0, mhartid
        bnez    t0, sleep
        la      sp, _stack_end
        la      t0, _bss_start
        la      t1, _bss_end
1:      bgeu    t0, t1, 2f
        sw      zero, 0(t0)
        addi    t0, t0, 4
        j       1b
2:      call    main
        call    finish
sleep:  wfi
        j       sleep
        .size   _start, . - _start
