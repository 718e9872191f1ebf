/* Integer matrix product: multiplication, nested loops, row and column access. */
#include "runtime.h"

#define SIZE 48

static int32_t a[SIZE][SIZE], b[SIZE][SIZE], c[SIZE][SIZE];

static NOINLINE void multiply(void)
{
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            int32_t sum = 0;
            for (int k = 0; k < SIZE; k++)
                sum += a[i][k] * b[k][j];
            c[i][j] = sum;
        }
}

uint32_t run(uint32_t n)
{
    uint32_t state = 7, sum = 0;
    for (int i = 0; i < SIZE; i++)
        for (int j = 0; j < SIZE; j++) {
            a[i][j] = next_random(&state) % 1000;
            b[i][j] = next_random(&state) % 1000;
        }
    while (n--) {
        multiply();
        sum = mix(sum, c[n % SIZE][(n >> 3) % SIZE]);
        a[n % SIZE][sum % SIZE] = sum & 0x3ff;
    }
    return sum;
}
