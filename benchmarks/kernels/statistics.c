/* Two samples: mean, variance, extremes, a histogram, correlation. Numbers become integers and
 * integers numbers, and are compared. */
#include "real.h"

#define SIZE 200
#define BINS 16

static real a[SIZE], b[SIZE];
static uint32_t bins[BINS];

struct summary {
    real mean, deviation, least, most;
};

static NOINLINE void draw(real *to, uint32_t *state)
{
    for (int i = 0; i < SIZE; i++)
        to[i] = i + (real)(next_random(state) % 8095) / 8095;
}

static NOINLINE struct summary summarise(const real *from)
{
    real sum = 0, squares = 0, least = from[0], most = from[0];
    for (int i = 0; i < SIZE; i++) {
        sum += from[i];
        if (from[i] < least)
            least = from[i];
        if (from[i] > most)
            most = from[i];
    }
    real mean = sum / SIZE;
    for (int i = 0; i < SIZE; i++)
        squares += (from[i] - mean) * (from[i] - mean);
    return (struct summary){mean, ROOT(squares / SIZE), least, most};
}

static NOINLINE void count(const real *from, struct summary s)
{
    real scale = BINS / (s.most - s.least);
    for (int i = 0; i < SIZE; i++) {
        int bin = (int)((from[i] - s.least) * scale);
        bins[bin < BINS ? bin : BINS - 1]++;
    }
}

static NOINLINE real correlate(real mean_a, real mean_b)
{
    real both = 0, of_a = 0, of_b = 0;
    for (int i = 0; i < SIZE; i++) {
        real p = a[i] - mean_a, q = b[i] - mean_b;
        both += p * q;
        of_a += p * p;
        of_b += q * q;
    }
    return both / (ROOT(of_a) * ROOT(of_b));
}

uint32_t run(uint32_t n)
{
    uint32_t state = 3, sum = 0;
    while (n--) {
        draw(a, &state);
        draw(b, &state);
        struct summary of_a = summarise(a), of_b = summarise(b);
        count(a, of_a);
        sum = mix(sum, digits(of_a.deviation + of_b.deviation));
        sum = mix(sum, digits(correlate(of_a.mean, of_b.mean)));
        sum = mix(sum, bins[n % BINS]);
    }
    return sum;
}
