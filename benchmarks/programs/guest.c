/* A console on the UART and a heap for programs that use a C library (picolibc). */
#include <stddef.h>
#include <stdio.h>

static int put(char c, FILE *file)
{
    volatile unsigned char *uart = (volatile unsigned char *)0x10000000;
    (void)file;
    while (!(uart[5] & 0x20))
        ;
    uart[0] = c;
    return (unsigned char)c;
}

static FILE console = FDEV_SETUP_STREAM(put, NULL, NULL, _FDEV_SETUP_WRITE);
FILE *const stdout = &console;

void *sbrk(ptrdiff_t more)
{
    static char heap[1 << 16] __attribute__((aligned(16)));
    static size_t used;
    char *start = heap + used;
    used += more;
    return start;
}
