/* Whole numbers as floating-point ones: nothing is ever rounded, so the flag that says so stays
 * clear. Polynomials, remainders, a determinant without fractions. */
#include "real.h"

#define SIZE 6

static real m[SIZE][SIZE];

static NOINLINE int32_t polynomials(int32_t seed)
{
    int32_t sum = 0;
    for (int i = -60; i < 60; i++) {
        real x = i, value = seed;
        for (int k = 0; k < 3; k++)
            value = value * x + (i - k);
        sum += (int32_t)value;
    }
    return sum;
}

/* Bareiss: every division has no remainder. */
static NOINLINE real determinant(void)
{
    real before = 1;
    for (int k = 0; k < SIZE - 1; k++) {
        if (m[k][k] == 0)
            return 0;
        for (int i = k + 1; i < SIZE; i++)
            for (int j = k + 1; j < SIZE; j++)
                m[i][j] = (m[i][j] * m[k][k] - m[i][k] * m[k][j]) / before;
        before = m[k][k];
    }
    return m[SIZE - 1][SIZE - 1];
}

uint32_t run(uint32_t n)
{
    uint32_t state = 5, sum = 0;
    while (n--) {
        sum = mix(sum, polynomials(next_random(&state) % 16));
        for (int i = 0; i < SIZE; i++)
            for (int j = 0; j < SIZE; j++)
                m[i][j] = (int32_t)(next_random(&state) % 3) - 1 + (i == j) * 2;
        sum = mix(sum, (int32_t)determinant());
    }
    return sum;
}
