/* A thermostat with a command line: the timer's interrupt regulates, the UART's takes characters. */
#include <stddef.h>

#include "board.h"
#include "thermostat.h"

#define TICK (TICKS_PER_SECOND / 10)
#define CAUSE_INTERRUPT (1ul << (8 * sizeof(long) - 1))
#define CAUSE_TIMER (CAUSE_INTERRUPT | 7)
#define CAUSE_EXTERNAL (CAUSE_INTERRUPT | 11)
#define MIE_TIMER_AND_EXTERNAL 0x880
#define MSTATUS_MIE 8

struct thermostat room = {.target = 200, .temperature = 150};
volatile unsigned int ticks;

static char line[32];
static volatile size_t length;
static volatile int complete;

static void receive(char c)
{
    if (c == '\r' || c == '\n') {
        line[length] = '\0';
        complete = 1;
    } else if (length < sizeof line - 1) {
        line[length++] = c;
    }
}

static void set_timer(void)
{
    static uint64_t when;

    when += TICK;
    MTIMECMP_HIGH = 0xffffffff;
    MTIMECMP_LOW = (uint32_t)when;
    MTIMECMP_HIGH = (uint32_t)(when >> 32);
}

__attribute__((interrupt("machine"), aligned(4))) static void handler(void)
{
    unsigned long cause;

    __asm__ volatile("csrr %0, mcause" : "=r"(cause));
    if (cause == CAUSE_TIMER) {
        set_timer();
        ticks++;
        thermostat_tick(&room);
    } else if (cause == CAUSE_EXTERNAL) {
        uint32_t source = PLIC_CLAIM;

        while (!complete && UART_LSR & UART_LSR_READY)
            receive((char)UART_DATA);
        if (complete)
            UART_IER = 0; /* what is typed ahead waits in the UART */
        PLIC_CLAIM = source;
    } else {
        print("panic: unexpected trap ");
        print_number((int)cause);
        print("\n");
        finish(99);
    }
}

/* What follows the word in the command line, NULL when it begins otherwise. */
static const char *behind(const char *text, const char *word)
{
    while (*word)
        if (*text++ != *word++)
            return NULL;
    if (*text == ' ')
        return text + 1;
    return *text ? NULL : text;
}

static int number(const char *text)
{
    int value = 0;

    while (*text >= '0' && *text <= '9')
        value = 10 * value + *text++ - '0';
    return value;
}

static void print_tenths(int tenths)
{
    print_number(tenths / 10);
    print(".");
    print_number(tenths % 10);
}

static void self_test(void)
{
    struct thermostat t = {.target = 200, .temperature = 100};
    int seconds = 0;

    while (t.temperature < t.target && seconds++ < 60)
        for (int i = 0; i < 10; i++)
            thermostat_tick(&t);
    print(t.temperature >= t.target ? "self-test passed\n" : "self-test FAILED\n");
}

static void execute(const char *command)
{
    const char *argument;

    if (behind(command, "help")) {
        print("commands: help temp set uptime selftest exit\n");
    } else if (behind(command, "temp")) {
        print_tenths(room.temperature);
        print(room.heating ? " degrees, heating\n" : " degrees\n");
    } else if ((argument = behind(command, "set"))) {
        int degrees = number(argument);

        if (degrees < 5 || degrees > 30) {
            print("error: 5 to 30 degrees\n");
        } else {
            room.target = 10 * degrees;
            print("ok\n");
        }
    } else if (behind(command, "uptime")) {
        print_number((int)(ticks / 10));
        print(" s\n");
    } else if (behind(command, "selftest")) {
        self_test();
    } else if ((argument = behind(command, "exit"))) {
        finish(number(argument));
    } else if (*command) {
        print("error: no such command\n");
    }
}

int main(void)
{
    __asm__ volatile("csrw mtvec, %0" : : "r"(handler));
    UART_IER = UART_IER_RECEIVED;
    PLIC_PRIORITY(UART_IRQ) = 1;
    PLIC_ENABLE = 1u << UART_IRQ;
    set_timer();
    __asm__ volatile("csrw mie, %0" : : "r"(MIE_TIMER_AND_EXTERNAL));
    print("thermostat ready\n> ");
    for (;;) {
        /* wfi also wakes with interrupts off, so that none is lost between the test and it */
        __asm__ volatile("csrci mstatus, %0" : : "i"(MSTATUS_MIE) : "memory");
        if (!complete)
            __asm__ volatile("wfi");
        __asm__ volatile("csrsi mstatus, %0" : : "i"(MSTATUS_MIE) : "memory");
        if (complete) {
            execute(line);
            length = 0;
            complete = 0;
            print("> ");
            UART_IER = UART_IER_RECEIVED;
        }
    }
}
