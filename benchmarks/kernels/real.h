/* The type that a floating-point kernel computes in: NAME_single.c includes NAME.c with SINGLE. */
#ifndef REAL_H
#define REAL_H

#include "runtime.h"

#ifdef SINGLE
typedef float real;
#define ROOT __builtin_sqrtf
#define FUSED __builtin_fmaf
#else
typedef double real;
#define ROOT __builtin_sqrt
#define FUSED __builtin_fma
#endif

/* From -1 to 1, with as many bits as a float has. */
static inline real next_real(uint32_t *state)
{
    return (real)((int32_t)next_random(state) >> 8) / 0x800000;
}

/* What a number is, to six digits. */
static inline uint32_t digits(real x)
{
    return (int32_t)(x * (real)1e5);
}

#endif
