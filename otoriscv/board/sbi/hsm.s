# Hart state management. `status` is the specification's state with bit 0 inverted, so that memory
# of zeros says STOPPED: 1 STARTED, 0 STOPPED, 3 START_PENDING, 5 SUSPENDED; and 17 while somebody is
# about to start it, which others see as START_PENDING.

hsm:
    beqz a6, hart_start
    li   t0, 1
    beq  a6, t0, hart_stop
    li   t0, 2
    beq  a6, t0, hart_status
    li   t0, 3
    beq  a6, t0, hart_suspend
    j    not_supported

# The variables of hart a0 into t0; leaves for the caller's caller when there is no such hart.
find_hart:
    li   t0, {harts}
    bgeu a0, t0, invalid_parameter
    slli t0, a0, {hart_shift}
    li   t1, {variables}
    add  t0, t0, t1
    ret

hart_start:
    jal  ra, find_hart
    andi t1, a1, 1
    bnez t1, invalid_address
    addi t1, t0, {o_status}
1:  lr.w t2, (t1)
    bnez t2, already_available
    li   t2, 17
    sc.w t3, t2, (t1)
    bnez t3, 1b
    sx   a1, {o_start}(t0)
    sx   a2, {o_opaque}(t0)
    fence
    li   t2, 3
    sw   t2, 0(t1)
    slli t0, a0, 2
    li   t1, {clint}
    add  t0, t0, t1
    li   t1, 1
    sw   t1, 0(t0)
    j    success

hart_stop:
    sw   zero, {o_status}(sp)
    csrw mscratch, sp               # the registers that it had are lost
    li   t0, 8                      # MSIE
    csrw mie, t0
    j    wait_for_start

hart_status:
    jal  ra, find_hart
    lw   a1, {o_status}(t0)
    xori a1, a1, 1
    li   t0, 16
    bne  a1, t0, 1f
    li   a1, 2
1:  li   a0, 0
    j    result

# Wait for an interrupt that S-mode has enabled; a0 is the type, a1 where to resume, a2 for a1.
hart_suspend:
    mv   s0, a0
    beqz s0, 1f
    li   t0, {non_retentive}
    bne  s0, t0, invalid_parameter
    andi t0, a1, 1
    bnez t0, invalid_address
1:  li   t0, 5
    sw   t0, {o_status}(sp)
2:  wfi
    jal  ra, serve
    csrr t0, mip
    csrr t1, mie
    and  t0, t0, t1
    andi t1, t0, 0x80               # MTIP
    beqz t1, 3f
    csrc mie, t1
    li   t0, 0x20                   # STIP
    csrs mip, t0
    j    2b
3:  andi t0, t0, 0x222
    beqz t0, 2b
    li   t0, 1
    sw   t0, {o_status}(sp)
    beqz s0, success
    mv   t0, a1
    csrr a0, mhartid
    mv   a1, a2
    csrw mscratch, sp
    j    enter_supervisor
