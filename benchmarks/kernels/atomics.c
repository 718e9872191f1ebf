/* C11 atomics: read-modify-write, compare and exchange, a spin lock, a ring buffer. */
#include <stdatomic.h>

#include "runtime.h"

#define RING 64

static atomic_uint counter, bits, maximum;
static atomic_ulong wide;
static atomic_flag lock = ATOMIC_FLAG_INIT;
static atomic_uint head, tail;
static uint32_t ring[RING];
static uint32_t guarded;

static NOINLINE void raise_to(uint32_t value)
{
    unsigned int seen = atomic_load_explicit(&maximum, memory_order_relaxed);
    while (seen < value && !atomic_compare_exchange_weak(&maximum, &seen, value))
        ;
}

static NOINLINE void add_guarded(uint32_t value)
{
    while (atomic_flag_test_and_set_explicit(&lock, memory_order_acquire))
        ;
    guarded += value;
    atomic_flag_clear_explicit(&lock, memory_order_release);
}

static NOINLINE void pass_on(uint32_t value)
{
    unsigned int at = atomic_load_explicit(&head, memory_order_relaxed);
    ring[at % RING] = value;
    atomic_store_explicit(&head, at + 1, memory_order_release);
}

static NOINLINE uint32_t take(void)
{
    unsigned int at = atomic_load_explicit(&tail, memory_order_relaxed);
    if (at == atomic_load_explicit(&head, memory_order_acquire))
        return 0;
    atomic_store_explicit(&tail, at + 1, memory_order_release);
    return ring[at % RING];
}

uint32_t run(uint32_t n)
{
    uint32_t state = 3, sum = 0;
    while (n--) {
        for (int i = 0; i < 1000; i++) {
            uint32_t value = next_random(&state);
            sum += atomic_fetch_add(&counter, value);
            atomic_fetch_or(&bits, value & 0xff);
            atomic_fetch_and(&bits, ~(value >> 24));
            sum ^= atomic_exchange(&wide, sum);
            raise_to(value & n);
            add_guarded(value & 15);
            pass_on(value);
            sum = mix(sum, take());
        }
        sum = mix(sum, bits + maximum + guarded);
    }
    return sum;
}
