/* exact.c in single precision. */
#define SINGLE
#include "exact.c"
