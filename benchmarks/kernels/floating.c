/* Floating point: five bodies under gravity in double precision, a filter in single. Without an
 * F or D extension this is libgcc's soft-float: call-heavy integer code. */
#include "runtime.h"

#define BODIES 5
#define TAPS 16

struct body {
    double x, y, z, vx, vy, vz, mass;
};

static struct body bodies[BODIES];
static float line[TAPS], taps[TAPS];

/* Newton's method: there is no square root without a library. */
static double inverse_root(double d)
{
    double guess = d > 1 ? 1 / d : 1;
    for (int i = 0; i < 12; i++)
        guess = guess * (1.5 - 0.5 * d * guess * guess);
    return guess;
}

static NOINLINE void advance(double dt)
{
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            double inverse = inverse_root(dx * dx + dy * dy + dz * dz + 0.01);
            double pull = dt * inverse * inverse * inverse;
            a->vx -= dx * b->mass * pull;
            a->vy -= dy * b->mass * pull;
            a->vz -= dz * b->mass * pull;
            b->vx += dx * a->mass * pull;
            b->vy += dy * a->mass * pull;
            b->vz += dz * a->mass * pull;
        }
    }
    for (int i = 0; i < BODIES; i++) {
        bodies[i].x += dt * bodies[i].vx;
        bodies[i].y += dt * bodies[i].vy;
        bodies[i].z += dt * bodies[i].vz;
    }
}

static NOINLINE float filter(float input)
{
    float sum = 0;
    for (int i = TAPS - 1; i > 0; i--)
        line[i] = line[i - 1];
    line[0] = input;
    for (int i = 0; i < TAPS; i++)
        sum += line[i] * taps[i];
    return sum;
}

uint32_t run(uint32_t n)
{
    uint32_t state = 11, sum = 0;
    for (int i = 0; i < BODIES; i++) {
        struct body *b = &bodies[i];
        b->x = next_random(&state) % 100 / 10.0;
        b->y = next_random(&state) % 100 / 10.0;
        b->z = next_random(&state) % 100 / 10.0;
        b->mass = 1 + next_random(&state) % 9;
    }
    for (int i = 0; i < TAPS; i++)
        taps[i] = 1.0f / (i + 2);
    while (n--) {
        advance(0.001);
        for (int i = 0; i < 8; i++)
            sum = mix(sum, (int32_t)(filter((float)(next_random(&state) & 0xff)) * 100));
        sum = mix(sum, (int32_t)(bodies[n % BODIES].x * 1e6));
    }
    return sum;
}
