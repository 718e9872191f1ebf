/* String and memory work: byte loops, word copies, searches. */
#include "runtime.h"

#define SIZE 2048

static char text[SIZE], copy[SIZE];
static uint32_t words[SIZE / 4];

static NOINLINE size_t length(const char *s)
{
    const char *p = s;
    while (*p)
        p++;
    return p - s;
}

static NOINLINE int compare(const char *a, const char *b)
{
    while (*a && *a == *b) {
        a++;
        b++;
    }
    return (unsigned char)*a - (unsigned char)*b;
}

static NOINLINE void move(char *to, const char *from, size_t count)
{
    if (to < from)
        while (count--)
            *to++ = *from++;
    else
        while (count--)
            to[count] = from[count];
}

static NOINLINE void copy_words(uint32_t *to, const uint32_t *from, size_t count)
{
    for (size_t i = 0; i < count; i++)
        to[i] = from[i];
}

static NOINLINE const char *find(const char *s, const char *what)
{
    for (; *s; s++) {
        const char *a = s, *b = what;
        while (*b && *a == *b) {
            a++;
            b++;
        }
        if (!*b)
            return s;
    }
    return s;
}

static NOINLINE void upper(char *s)
{
    for (; *s; s++)
        if (*s >= 'a' && *s <= 'z')
            *s -= 32;
}

uint32_t run(uint32_t n)
{
    uint32_t state = 5, sum = 0;
    for (size_t i = 0; i < SIZE - 1; i++)
        text[i] = "abcdefghijklmnopqrstuvwxyz      "[next_random(&state) & 31];
    text[SIZE - 8] = 'Z';
    while (n--) {
        move(copy, text, SIZE);
        sum = mix(sum, compare(copy, text) + length(copy));
        sum = mix(sum, find(copy, "Z") - copy);
        move(copy + 3, copy, SIZE - 8);
        upper(copy);
        copy_words(words, (const uint32_t *)(void *)copy, SIZE / 4);
        sum = mix(sum, words[n % (SIZE / 4)]);
        text[sum % (SIZE - 16)] = 'a' + (n & 15);
    }
    return sum;
}
