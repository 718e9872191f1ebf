# Loops for benchmarks/debug.py. a0 counts their rounds; all end at `done`.
    .option norelax
    .option norvc
    .option arch, +zifencei
    .section .text
    .globl _start
    .balign 4096
_start:
    j    spin
done:
    j    done
spin:
    addi t2, t2, 1
    j    spin

# Data in a page of its own.
    .balign 4096
start_plain:
    la   s0, word
plain:
    lw   t0, 0(s0)
    addi t0, t0, 1
hit:
    sw   t0, 0(s0)
    xor  t1, t1, t0
    addi a0, a0, -1
    bnez a0, plain
    j    done
never:
    nop
    j    never

# The same with its data in the page of the code, some lines away, as small firmware has it.
    .balign 4096
start_mixed:
    la   s0, near
mixed:
    lw   t0, 0(s0)
    addi t0, t0, 1
    sw   t0, 0(s0)
    xor  t1, t1, t0
    addi a0, a0, -1
    bnez a0, mixed
    j    done
    .balign 256
near:
    .word 0

# The same with its data in the very line of the code.
    .balign 4096
start_inline:
    la   s0, beside
    j    inline
    .balign 64
inline:
    lw   t0, 0(s0)
    addi t0, t0, 1
    sw   t0, 0(s0)
    xor  t1, t1, t0
    addi a0, a0, -1
    bnez a0, inline
    j    done
beside:
    .word 0

# A loop within a page, and the same with the page's end in its middle: in an instruction.
    .macro loop name, fill
    .balign 4096
start_\name:
    la   s0, word
    j    \name
    .option rvc
    .zero \fill
\name:
    lw   t0, 0(s0)
    c.addi t0, 1
    sw   t0, 0(s0)
    xor  t1, t1, t0
    addi a0, a0, -1
    bnez a0, \name
    .option norvc
    j    done
    .endm
    loop within, 0x800
    loop across, 4096 - 12 - 8

# One instruction of the loop is changed in each round; the other loop changes data only.
    .macro change name, target, fence
    .balign 4096
start_\name:
    la   s0, \target
    la   s1, old_\name
    j    \name
    .balign 64
\name:
    andi t1, a0, 4
    add  t1, t1, s1
    lw   t0, 0(t1)
    sw   t0, 0(s0)
    \fence
    j    1f
    .balign 64
1:
code_\name:
    addi t2, t2, 1
    addi a0, a0, -1
    bnez a0, \name
    j    done
    .balign 64
old_\name:
    addi t2, t2, 1
    addi t2, t2, 2
    .endm
    change rewrite, code_rewrite, fence.i
    change rewrites_data, word, nop

    .section .data
    .balign 4096
before:
    .word 0
    .balign 4096
word:
    .word 0
    .balign 256
unrelated:
    .word 0
    .balign 4096
elsewhere:
    .word 0
