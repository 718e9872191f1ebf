/* Five bodies under gravity: sums of products, a square root and a division for each pair. */
#include "real.h"

#define BODIES 5

struct body {
    real x, y, z, vx, vy, vz, mass;
};

static struct body bodies[BODIES];

static NOINLINE void advance(real dt)
{
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            real dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            real square = dx * dx + dy * dy + dz * dz;
            real pull = dt / (square * ROOT(square));
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

static NOINLINE real energy(void)
{
    real sum = 0;
    for (int i = 0; i < BODIES; i++) {
        struct body *a = &bodies[i];
        sum += a->mass * (a->vx * a->vx + a->vy * a->vy + a->vz * a->vz) / 2;
        for (int j = i + 1; j < BODIES; j++) {
            struct body *b = &bodies[j];
            real dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
            sum -= a->mass * b->mass / ROOT(dx * dx + dy * dy + dz * dz);
        }
    }
    return sum;
}

uint32_t run(uint32_t n)
{
    uint32_t state = 11, sum = 0;
    for (int i = 0; i < BODIES; i++) {
        struct body *b = &bodies[i];
        b->x = 5 * next_real(&state) + 3 * i;
        b->y = 5 * next_real(&state);
        b->z = 5 * next_real(&state);
        b->mass = 1 + next_real(&state) / 2;
    }
    while (n--) {
        for (int step = 0; step < 50; step++)
            advance((real)1 / 1024);
        sum = mix(sum, digits(energy()));
    }
    return sum;
}
