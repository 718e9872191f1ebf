/* statistics.c in single precision. */
#define SINGLE
#include "statistics.c"
