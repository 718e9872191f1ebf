# System reset (SRST) through the test finisher.

system_reset:
    bnez a6, not_supported
    li   t0, 1
    bgtu a1, t0, invalid_parameter
    li   t0, 2
    bgtu a0, t0, invalid_parameter
    li   t0, {finisher}
    beqz a0, 1f
    li   t1, {finisher_reset}
    sw   t1, 0(t0)
1:  bnez a1, 2f                     # the reason: system failure
shutdown:
    li   t0, {finisher}
    li   t1, {finisher_pass}
    sw   t1, 0(t0)
2:  li   t1, {finisher_fail}
    sw   t1, 0(t0)
3:  j    3b
