# Entry from the reset vector, on every hart: a0 its number, a1 the device tree, a2 the
# fw_dynamic_info, whose third word is where S-mode begins.

start:
    slli t0, a0, {hart_shift}
    li   sp, {variables}
    add  sp, sp, t0                 # sp: this hart's variables, in M-mode always
    csrw mscratch, sp
    la   t0, menvcfg_done           # a hart need not have menvcfg
    csrw mtvec, t0
    li   t0, {envcfg}
    csrw menvcfg, t0
?rv32 li   t0, {envcfg_high}
?rv32 csrw menvcfgh, t0
    .align 2
menvcfg_done:
    la   t0, trap
    csrw mtvec, t0
    # S and U get all of memory but the variables.
    li   t0, {pmp_own}
    csrw pmpaddr0, t0
    li   t0, -1
    csrw pmpaddr1, t0
    li   t0, {pmp_config}
    csrw pmpcfg0, t0
    # S handles everything but its own calls.
    li   t0, 0xb1ff
    csrw medeleg, t0
    li   t0, 0x222
    csrw mideleg, t0
    li   t0, -1
    csrw mcounteren, t0
    li   t0, 7
    csrw scounteren, t0
    li   t0, 8                      # MSIE
    csrw mie, t0
    bnez a0, wait_for_start         # hart 0 boots, the others wait to be started
    li   t0, 1                      # STARTED
    sw   t0, {o_status}(sp)
    lx   t0, {next_address}(a2)
    j    enter_supervisor

wait_for_start:
    wfi
    jal  ra, serve
    lw   t0, {o_status}(sp)
    li   t1, 3                      # START_PENDING
    bne  t0, t1, wait_for_start
    li   t0, 1
    sw   t0, {o_status}(sp)
    lx   t0, {o_start}(sp)
    lx   a1, {o_opaque}(sp)
    csrr a0, mhartid

# To S-mode at t0, paging and interrupts off; a0 and a1 are its arguments.
enter_supervisor:
    csrw mepc, t0
    csrw satp, zero
    csrw sie, zero
    csrci sstatus, 2                # SIE
    li   t1, 0x1880                 # MPP and MPIE
    csrc mstatus, t1
    li   t1, 0x800                  # MPP: S
    csrs mstatus, t1
    mret
