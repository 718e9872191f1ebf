# The debug console (DBCN), on the UART. Addresses are physical; a0 is a number of bytes, a2 the
# upper half of the address, which must be zero..

debug_console:
    beqz a6, console_write
    li   t0, 1
    beq  a6, t0, console_read
    li   t0, 2
    bne  a6, t0, not_supported
    li   t0, {uart}
    sb   a0, 0(t0)
    j    success

console_write:
    jal  ra, check_buffer
    la   t0, bad_console
    csrw mtvec, t0
    csrr s0, mepc
    csrr s1, mstatus
    li   t0, {uart}
    li   t2, 0
1:  beq  t2, a0, console_done
    add  t3, a1, t2
    lbu  t1, 0(t3)
    sb   t1, 0(t0)
    addi t2, t2, 1
    j    1b

console_read:
    jal  ra, check_buffer
    la   t0, bad_console
    csrw mtvec, t0
    csrr s0, mepc
    csrr s1, mstatus
    mv   t4, a0
    li   t2, 0
1:  beq  t2, t4, console_done
    jal  ra, getchar
    bltz a0, console_done
    add  t3, a1, t2
    sb   a0, 0(t3)
    addi t2, t2, 1
    j    1b

console_done:
    la   t0, trap
    csrw mtvec, t0
    mv   a1, t2
    li   a0, 0
    j    result

    .align 2
bad_console:                        # a byte of the buffer is not memory
    csrw mepc, s0
    csrw mstatus, s1
    la   t0, trap
    csrw mtvec, t0
    j    invalid_parameter

# Nobody gets at the firmware's variables. Leaves for the caller's caller when the buffer is bad.
check_buffer:
    bnez a2, invalid_parameter
    add  t0, a1, a0
    bltu t0, a1, invalid_parameter
    li   t1, {variables}
    bleu t0, t1, 1f
    li   t1, {variables_end}
    bltu a1, t1, invalid_parameter
1:  ret

# A character that was typed into a0, or -1. Uses t0, t1.
getchar:
    li   t0, {uart}
    lbu  t1, 5(t0)
    andi t1, t1, 1
    li   a0, -1
    beqz t1, 1f
    lbu  a0, 0(t0)
1:  ret
