# How the examples compile a program for the bare machine. XLEN=64 gives the other width.
RISCV_CC ?= riscv64-unknown-elf-gcc
OUT      ?= build
XLEN     ?= 32
ABI_32   := ilp32
ABI_64   := lp64
COMMON   := $(patsubst %/,%,$(dir $(lastword $(MAKEFILE_LIST))))
CFLAGS   := -march=rv$(XLEN)imac_zicsr -mabi=$(ABI_$(XLEN)) -mcmodel=medany -Og -g -std=gnu11 \
            -ffreestanding -fno-common -Wall -Wextra -Werror -I$(COMMON)
LDFLAGS  := -nostdlib -static -T $(COMMON)/link.ld
RUNTIME  := $(COMMON)/start.S $(COMMON)/board.c
COMPILE   = @mkdir -p $(OUT) && $(RISCV_CC) $(CFLAGS) $(LDFLAGS) $(filter %.S %.c,$^) -lgcc -o $@
NEEDS    := $(RUNTIME) $(wildcard $(COMMON)/*.h) $(COMMON)/link.ld $(COMMON)/guest.mk Makefile
