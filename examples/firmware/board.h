/* The devices of the virt board that the examples use. */
#ifndef BOARD_H
#define BOARD_H

#include <stdint.h>

#define REG8(address) (*(volatile uint8_t *)(uintptr_t)(address))
#define REG32(address) (*(volatile uint32_t *)(uintptr_t)(address))

/* 16550 UART, source 10 of the PLIC */
#define UART_DATA REG8(0x10000000)
#define UART_IER REG8(0x10000001)
#define UART_LSR REG8(0x10000005)
#define UART_IER_RECEIVED 0x01
#define UART_LSR_READY 0x01
#define UART_LSR_EMPTY 0x20
#define UART_IRQ 10

/* PLIC, context 0: hart 0 in M-mode */
#define PLIC_PRIORITY(source) REG32(0x0c000000 + 4 * (source))
#define PLIC_ENABLE REG32(0x0c002000)
#define PLIC_CLAIM REG32(0x0c200004)

/* CLINT: 10 million ticks a second */
#define MTIMECMP_LOW REG32(0x02004000)
#define MTIMECMP_HIGH REG32(0x02004004)
#define TICKS_PER_SECOND 10000000u

/* Test finisher: ends the machine with an exit code */
#define FINISHER REG32(0x00100000)

void print(const char *text);
void print_number(int number);
void finish(int code);

#endif
