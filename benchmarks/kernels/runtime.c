#include "runtime.h"

#ifndef N
#error "-DN=... says how often the kernel does its work"
#endif

static void put(char c)
{
    volatile unsigned char *uart = (volatile unsigned char *)0x10000000;
    while (!(uart[5] & 0x20))
        ;
    uart[0] = c;
}

void *memset(void *to, int value, size_t count)
{
    unsigned char *p = to;
    while (count--)
        *p++ = value;
    return to;
}

void *memcpy(void *restrict to, const void *restrict from, size_t count)
{
    unsigned char *p = to;
    const unsigned char *q = from;
    while (count--)
        *p++ = *q++;
    return to;
}

int main(void)
{
    uint32_t sum = run(N);
    for (const char *p = "checksum "; *p; p++)
        put(*p);
    for (int shift = 28; shift >= 0; shift -= 4)
        put("0123456789abcdef"[sum >> shift & 15]);
    put('\n');
    return 0;
}
