/* A kernel as a program of the host: the checksum of kernels/runtime.c. */
#include <stdio.h>

#include "runtime.h"

int main(void)
{
    printf("checksum %08x\n", (unsigned)run(N));
    return 0;
}
