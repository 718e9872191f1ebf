/* Quicksort with a comparison callback: indirect calls, unpredictable branches. */
#include "runtime.h"

#define SIZE 4096

struct record {
    uint32_t key;
    uint32_t payload;
};

typedef int (*compare_t)(const struct record *, const struct record *);

static struct record records[SIZE];

static int by_key(const struct record *a, const struct record *b)
{
    return a->key < b->key ? -1 : a->key > b->key;
}

static int by_payload(const struct record *a, const struct record *b)
{
    return a->payload < b->payload ? -1 : a->payload > b->payload;
}

static void sort(struct record *low, struct record *high, compare_t compare)
{
    while (low < high) {
        struct record pivot = low[(high - low) / 2];
        struct record *i = low, *j = high;
        do {
            while (compare(i, &pivot) < 0)
                i++;
            while (compare(&pivot, j) < 0)
                j--;
            if (i <= j) {
                struct record t = *i;
                *i++ = *j;
                *j-- = t;
            }
        } while (i <= j);
        if (j - low < high - i) {
            sort(low, j, compare);
            low = i;
        } else {
            sort(i, high, compare);
            high = j;
        }
    }
}

uint32_t run(uint32_t n)
{
    static compare_t volatile orders[] = {by_key, by_payload};
    uint32_t state = 99, sum = 0;
    for (uint32_t i = 0; i < SIZE; i++) {
        records[i].key = next_random(&state);
        records[i].payload = next_random(&state);
    }
    while (n--) {
        sort(records, records + SIZE - 1, orders[n & 1]);
        sum = mix(sum, records[n % SIZE].key);
        records[sum % SIZE].key = next_random(&state);
    }
    return sum;
}
