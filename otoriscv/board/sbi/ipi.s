# Requests to other harts: supervisor software interrupts (sPI) and fences (RFNC).
# Bits of `pending`: 1 raise SSIP, 2 fence.i, 4 sfence.vma. Who asks for a fence counts up `asked`;
# who has done all up to a count writes it to `done`, so that a fence is over when the call returns.

ipi:
    bnez a6, not_supported
    li   s0, 1
    jal  ra, request
    j    no_value

fence:
    li   s0, 2
    beqz a6, 1f
    li   s0, 4                      # with ranges and ASIDs: everything is forgotten
    li   t0, 2
    bgtu a6, t0, not_supported
1:  jal  ra, request
    j    no_value

# Ask the harts of mask a0 from hart a1 on (-1: all) for s0. The error is in a0.
request:
    li   t6, -1
    beq  a1, t6, request_all
    li   t6, 0
    li   t0, {harts}
    bgeu a1, t0, request_beyond
    sub  t0, t0, a1
    li   t1, {xlen}
    bgeu t0, t1, request_each
    srl  t1, a0, t0
    bnez t1, request_invalid
    j    request_each
request_beyond:
    beqz a0, request_none
request_invalid:
    li   a0, -3
    ret
request_none:
    li   a0, 0
    ret
request_all:
    li   t6, 1
request_each:                       # t0 hart, t1 its variables
    li   t0, 0
    li   t1, {variables}
1:  bnez t6, 2f
    sub  t2, t0, a1
    li   t3, {xlen}
    bgeu t2, t3, 4f
    srl  t2, a0, t2
    andi t2, t2, 1
    beqz t2, 4f
2:  lw   t2, {o_status}(t1)
    andi t2, t2, 0x13
    li   t3, 1
    bne  t2, t3, 4f                 # neither STARTED nor SUSPENDED: nothing to do
    addi t3, t1, {o_pending}
    amoor.w zero, s0, (t3)
    li   t2, 1
    beq  s0, t2, 3f
    addi t3, t1, {o_asked}
    amoadd.w zero, t2, (t3)
3:  slli t3, t0, 2
    li   t4, {clint}
    add  t3, t3, t4
    sw   t2, 0(t3)
4:  addi t0, t0, 1
    addi t1, t1, {hart_size}
    li   t2, {harts}
    bltu t0, t2, 1b
    li   t0, 1
    beq  s0, t0, request_none
    # Wait until all have done what was asked for by now; serve those who wait for us.
    mv   s1, ra
    li   t0, 8
    csrrw s0, mie, t0               # only requests end the wfi
    li   t0, 1
    sw   t0, {o_waiting}(sp)
    li   t5, {variables}
5:  lw   t6, {o_asked}(t5)
6:  jal  ra, serve
    lw   t0, {o_done}(t5)
    sub  t0, t0, t6
    bgez t0, 7f
    wfi
    j    6b
7:  addi t5, t5, {hart_size}
    li   t0, {variables_end}
    bltu t5, t0, 5b
    sw   zero, {o_waiting}(sp)
    csrw mie, s0
    li   a0, 0
    jr   s1

# Do what other harts asked of this one. Uses t0 to t4.
serve:
    csrr t0, mhartid
    slli t0, t0, 2
    li   t1, {clint}
    add  t0, t0, t1
    sw   zero, 0(t0)
    lw   t2, {o_asked}(sp)
    addi t0, sp, {o_pending}
    amoswap.w t0, zero, (t0)
    andi t1, t0, 1
    beqz t1, 1f
    csrsi mip, 2                    # SSIP
1:  andi t1, t0, 2
    beqz t1, 2f
?zifencei fence.i
2:  andi t1, t0, 4
    beqz t1, 3f
    sfence.vma
3:  lw   t1, {o_done}(sp)
    beq  t1, t2, 6f
    sw   t2, {o_done}(sp)
    li   t0, {variables}            # wake those who wait
    li   t1, {clint}
    li   t2, {variables_end}
4:  lw   t3, {o_waiting}(t0)
    beqz t3, 5f
    sw   t3, 0(t1)
5:  addi t0, t0, {hart_size}
    addi t1, t1, 4
    bltu t0, t2, 4b
6:  ret
