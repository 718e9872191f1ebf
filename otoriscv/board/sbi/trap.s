# Traps to M-mode: calls from S-mode, other harts' requests and, without Sstc, the timer.
# SBI specification v2.0: a7 is the extension, a6 the function; the result is an error in a0 and a
# value in a1, all other registers are kept. Legacy calls have a result in a0 only.

    .align 2
trap:
    csrrw sp, mscratch, sp
    sx   ra, {o_ra}(sp)
    sx   t0, {o_t0}(sp)
    sx   t1, {o_t1}(sp)
    sx   t2, {o_t2}(sp)
    sx   t3, {o_t3}(sp)
    sx   t4, {o_t4}(sp)
    sx   t5, {o_t5}(sp)
    sx   t6, {o_t6}(sp)
    sx   s0, {o_s0}(sp)
    sx   s1, {o_s1}(sp)
    sx   a0, {o_a0}(sp)
    sx   a1, {o_a1}(sp)
    csrr t0, mcause
    bltz t0, interrupt
    li   t1, 9                      # environment call from S-mode
    bne  t0, t1, lost
    csrr t0, mepc
    addi t0, t0, 4
    csrw mepc, t0
    li   t0, 8
    bleu a7, t0, legacy
    li   t0, 0x10
    beq  a7, t0, base
    li   t0, 0x54494d45             # TIME
    beq  a7, t0, time
    li   t0, 0x735049               # sPI
    beq  a7, t0, ipi
    li   t0, 0x52464e43             # RFNC
    beq  a7, t0, fence
    li   t0, 0x48534d               # HSM
    beq  a7, t0, hsm
    li   t0, 0x53525354             # SRST
    beq  a7, t0, system_reset
    li   t0, 0x4442434e             # DBCN
    beq  a7, t0, debug_console

not_supported:
    li   a0, -2
    j    no_value
invalid_parameter:
    li   a0, -3
    j    no_value
invalid_address:
    li   a0, -5
    j    no_value
already_available:
    li   a0, -6
    j    no_value
success:
    li   a0, 0
no_value:
    li   a1, 0
    j    result
interrupt_done:
    lx   a0, {o_a0}(sp)
legacy_result:
    lx   a1, {o_a1}(sp)
result:
    lx   ra, {o_ra}(sp)
    lx   t0, {o_t0}(sp)
    lx   t1, {o_t1}(sp)
    lx   t2, {o_t2}(sp)
    lx   t3, {o_t3}(sp)
    lx   t4, {o_t4}(sp)
    lx   t5, {o_t5}(sp)
    lx   t6, {o_t6}(sp)
    lx   s0, {o_s0}(sp)
    lx   s1, {o_s1}(sp)
    csrrw sp, mscratch, sp
    mret

interrupt:
    slli t0, t0, 1
    li   t1, 14                     # machine timer
    beq  t0, t1, timer_interrupt
    li   t1, 6                      # machine software
    bne  t0, t1, lost
    jal  ra, serve
    j    interrupt_done
timer_interrupt:
    li   t0, 0x80                   # MTIE
    csrc mie, t0
    li   t0, 0x20                   # STIP
    csrs mip, t0
    j    interrupt_done

# A trap that cannot be: end as a crash, with the registers as they were.
lost:
    la   t0, stuck
    csrw mtvec, t0
    .align 2
stuck:
    unimp

# -- base

base:
    li   a1, 0x2000000              # v2.0
    beqz a6, base_value
    li   a1, 0x4f544f               # implementation: none of the registered ones
    li   t0, 1
    beq  a6, t0, base_value
    li   a1, 1                      # its version
    li   t0, 2
    beq  a6, t0, base_value
    li   t0, 3
    beq  a6, t0, probe
    csrr a1, mvendorid
    li   t0, 4
    beq  a6, t0, base_value
    csrr a1, marchid
    li   t0, 5
    beq  a6, t0, base_value
    csrr a1, mimpid
    li   t0, 6
    bne  a6, t0, not_supported
base_value:
    li   a0, 0
    j    result

probe:
    li   a1, 1
    li   t0, 8
    bleu a0, t0, base_value
    la   t0, extensions
1:  lw   t1, 0(t0)
    beq  a0, t1, base_value
    addi t0, t0, 4
    bnez t1, 1b
    li   a1, 0
    j    base_value
    .align 2
extensions:
    .word 0x10, 0x54494d45, 0x735049, 0x52464e43, 0x48534d, 0x53525354, 0x4442434e, 0

# -- time

time:
    bnez a6, not_supported
    jal  ra, set_timer
    j    success

# The next timer interrupt is at a0 (RV32: a1 is its upper half).
set_timer:
?sstc ?rv64 csrw stimecmp, a0
?sstc ?rv32 li   t0, -1
?sstc ?rv32 csrw stimecmp, t0
?sstc ?rv32 csrw stimecmph, a1
?sstc ?rv32 csrw stimecmp, a0
?mtime csrr t0, mhartid
?mtime slli t0, t0, 3
?mtime li   t1, {mtimecmp}
?mtime add  t0, t0, t1
?mtime ?rv32 li   t1, -1
?mtime ?rv32 sw   t1, 0(t0)
?mtime ?rv32 sw   a1, 4(t0)
?mtime sx   a0, 0(t0)
?mtime li   t0, 0x20                # STIP
?mtime csrc mip, t0
?mtime li   t0, 0x80                # MTIE
?mtime csrs mie, t0
    ret

# -- legacy calls, 0 to 8

legacy:
    beqz a7, legacy_timer
    li   t0, 1
    beq  a7, t0, legacy_putchar
    li   t0, 2
    beq  a7, t0, legacy_getchar
    li   t0, 3
    beq  a7, t0, legacy_clear_ipi
    li   t0, 8
    beq  a7, t0, shutdown
    # send_ipi and the fences take the address of a mask, zero for all harts
    mv   s0, a7
    li   a1, -1
    beqz a0, 1f
    jal  ra, load_mask
    li   a1, 0
1:  li   t0, 4
    li   t1, 1
    beq  s0, t0, 2f
    li   t1, 2
    li   t0, 5
    beq  s0, t0, 2f
    li   t1, 4
2:  mv   s0, t1
    jal  ra, request
    j    legacy_result
legacy_timer:
    jal  ra, set_timer
    li   a0, 0
    j    legacy_result
legacy_putchar:
    li   t0, {uart}
    sb   a0, 0(t0)
    li   a0, 0
    j    legacy_result
legacy_getchar:
    jal  ra, getchar
    j    legacy_result
legacy_clear_ipi:
    csrci mip, 2                    # SSIP
    li   a0, 0
    j    legacy_result

# The word at a0, an address of S-mode, into a0.
load_mask:
    csrr t0, mepc
    csrr t1, mstatus
    la   t2, bad_mask
    csrw mtvec, t2
    li   t2, 0x20000                # MPRV; MPP is S
    csrs mstatus, t2
    lx   a0, 0(a0)
    csrc mstatus, t2
    la   t2, trap
    csrw mtvec, t2
    ret
    .align 2
bad_mask:
    csrw mepc, t0
    csrw mstatus, t1
    la   t2, trap
    csrw mtvec, t2
    li   a0, -5
    j    legacy_result
