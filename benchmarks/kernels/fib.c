/* Recursion: calls and returns, the stack. */
#include "runtime.h"

static NOINLINE uint32_t fib(uint32_t n)
{
    return n < 2 ? n : fib(n - 1) + fib(n - 2);
}

uint32_t run(uint32_t n)
{
    uint32_t sum = 0;
    while (n--)
        sum = mix(sum, fib(20 + (n & 1)));
    return sum;
}
