# Startup of the test programs; assembled without debug information, so that gdb finds no other than
# the test's own. Nothing is copied: `load` puts every section where it runs.
	.section .init, "ax"
	.globl	_start
	.type	_start, @function
_start:
	.cfi_startproc
	.cfi_undefined ra		# the outermost frame
	.option	push
	.option	norelax
	la	gp, __global_pointer$
	.option	pop
	la	sp, __stack
	la	tp, __tls_base
	li	t0, 0x2000		# mstatus.FS: initial
	csrs	mstatus, t0
	la	t0, __bss_start
	la	t1, __bss_end
1:	bgeu	t0, t1, 2f
	sb	zero, 0(t0)
	addi	t0, t0, 1
	j	1b
2:	call	__libc_init_array
	li	a0, 0
	li	a1, 0
	li	a2, 0
	call	main
	call	exit
	.cfi_endproc
	.size	_start, . - _start
