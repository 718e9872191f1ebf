/* Products of matrices, plain and with fused operations, one of them with many zeros; then the
 * inverse by Gauss and Jordan. */
#include "real.h"

#define SIZE 24

static real a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static NOINLINE void multiply(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            real sum = 0;
            for (int k = 0; k < SIZE; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

static NOINLINE void multiply_fused(void)
{
    for (int i = 0; i < SIZE; i++) {
        for (int j = 0; j < SIZE; j++)
            c[i][j] = 0;
        for (int k = 0; k < SIZE; k++)
            for (int j = 0; j < SIZE; j++)
                c[i][j] = FUSED(a[i][k], b[k][j], c[i][j]);
    }
}

/* c becomes its inverse; it has a heavy diagonal. */
static NOINLINE void invert(void)
{
    for (int k = 0; k < SIZE; k++) {
        real pivot = 1 / c[k][k];
        c[k][k] = 1;
        for (int j = 0; j < SIZE; j++)
            c[k][j] *= pivot;
        for (int i = 0; i < SIZE; i++) {
            if (i == k)
                continue;
            real factor = c[i][k];
            c[i][k] = 0;
            for (int j = 0; j < SIZE; j++)
                c[i][j] -= factor * c[k][j];
        }
    }
}

uint32_t run(uint32_t n)
{
    uint32_t state = 7, sum = 0;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = next_real(&state);
            b[i][j] = i == j ? 1 : next_random(&state) % 2 ? 0 : next_real(&state);
        }
    while (n--) {
        multiply();
        sum = mix(sum, digits(c[n % SIZE][(n >> 3) % SIZE]));
        multiply_fused();
        for (int i = 0; i < SIZE; i++)
            c[i][i] += SIZE;
        invert();
        sum = mix(sum, digits(1000 * c[(n >> 3) % SIZE][n % SIZE]));
        a[n % SIZE][sum % SIZE] = next_real(&state);
    }
    return sum;
}
