/* matrix.c in single precision. */
#define SINGLE
#include "matrix.c"
