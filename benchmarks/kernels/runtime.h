/* What every kernel may use. A kernel defines run(), which does its work N times (-DN=...) and
 * returns a checksum; the runtime prints that and ends the machine. */
#ifndef RUNTIME_H
#define RUNTIME_H

#include <stddef.h>
#include <stdint.h>

#define NOINLINE __attribute__((noinline))

uint32_t run(uint32_t n);

/* Marsaglia's xorshift: the kernels' only source of data. */
static inline uint32_t next_random(uint32_t *state)
{
    uint32_t x = *state;
    x ^= x << 13;
    x ^= x >> 17;
    x ^= x << 5;
    return *state = x;
}

static inline uint32_t mix(uint32_t sum, uint32_t value)
{
    return (sum ^ value) * 0x01000193u;
}

#endif
