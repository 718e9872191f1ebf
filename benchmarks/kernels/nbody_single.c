/* nbody.c in single precision. */
#define SINGLE
#include "nbody.c"
