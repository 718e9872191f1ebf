/* Nothing: what starting and ending a machine costs. */
#include "runtime.h"

uint32_t run(uint32_t n)
{
    return n;
}
