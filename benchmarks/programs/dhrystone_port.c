/* What Dhrystone asks for: how often (through scanf), and the time, which who runs it measures. */
#undef main

extern void dhrystone_main(int argc, char **argv);

int dhrystone_scanf(const char *format, int *runs)
{
    (void)format;
    *runs = RUNS;
    return 1;
}

#ifndef __riscv
/* What glibc's header makes of scanf, by the assembler name, in spite of -Dscanf. */
int __isoc99_scanf(const char *, int *) __attribute__((alias("dhrystone_scanf")));
int __isoc23_scanf(const char *, int *) __attribute__((alias("dhrystone_scanf")));
#endif

long dhrystone_time(long *seconds)
{
    (void)seconds;
    return 0;
}

int main(void)
{
    static char name[] = "dhrystone";
    static char *argv[] = {name, 0};
    dhrystone_main(1, argv);
    return 0;
}
