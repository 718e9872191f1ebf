/* The sieve of Eratosthenes: byte stores with a stride, short loops. */
#include "runtime.h"

#define SIZE 100000

static uint8_t composite[SIZE];

uint32_t run(uint32_t n)
{
    uint32_t sum = 0;
    while (n--) {
        for (uint32_t i = 0; i < SIZE; i++)
            composite[i] = 0;
        uint32_t primes = 0;
        for (uint32_t i = 2; i < SIZE; i++) {
            if (composite[i])
                continue;
            primes++;
            for (uint32_t j = i + i; j < SIZE; j += i)
                composite[j] = 1;
        }
        sum = mix(sum, primes);
    }
    return sum;
}
