/* The first process of the rv32 guest: no library, system calls only. It says what it finds, forks,
 * computes with floating point, and switches off. With an argument (`-- work` on the kernel's command
 * line) it does something else before it switches off:
 *   work   computes, and opens and closes a file, for ever: something to debug
 *   echo   repeats what is typed, line by line, until one begins with a full stop */

typedef unsigned long word;

enum { OPEN = 56, CLOSE = 57, READ = 63, WRITE = 64, EXIT = 93, REBOOT = 142, UNAME = 160,
       MOUNT = 40, CLONE = 220, WAITID = 95, MKDIRAT = 34 };

static long call(long n, word a, word b, word c, word d, word e)
{
    register word a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register word a3 __asm__("a3") = d, a4 __asm__("a4") = e, a7 __asm__("a7") = n;
    __asm__ volatile("ecall" : "+r"(a0) : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a7) : "memory");
    return (long)a0;
}

static void print(const char *text)
{
    word size = 0;
    while (text[size])
        size++;
    call(WRITE, 1, (word)text, size, 0, 0);
}

static void print_number(unsigned value)
{
    char digits[12], *at = digits + 11;
    *at = 0;
    do
        *--at = '0' + value % 10;
    while (value /= 10);
    print(at);
}

static void print_file(const char *path)
{
    static char buffer[4096];
    long file = call(OPEN, (word)-100, (word)path, 0, 0, 0), size;
    while ((size = call(READ, file, (word)buffer, sizeof buffer, 0, 0)) > 0)
        call(WRITE, 1, (word)buffer, size, 0, 0);
    call(CLOSE, file, 0, 0, 0, 0);
}

static void work(void)
{
    volatile word result = 1;
    for (;;) {
        word x = result;
        for (int round = 0; round < 1000; round++)
            x ^= x << 13, x ^= x >> 17, x ^= x << 5;
        result = x;
        call(CLOSE, call(OPEN, (word)-100, (word)"/init", 0, 0, 0), 0, 0, 0, 0);
    }
}

static void echo(void)
{
    static char line[4096];
    long size;
    while ((size = call(READ, 0, (word)line, sizeof line, 0, 0)) > 0 && line[0] != '.')
        call(WRITE, 1, (word)line, size, 0, 0);
}

__attribute__((used)) static void run(const word *stack)
{
    const char *job = stack[0] > 1 ? (const char *)stack[2] : "";
    static struct { char field[6][65]; } name;
    static int status[32];
    volatile double x = 190.0, root = 1.0;
    long child;

    print("otoriscv: user space\n");
    call(UNAME, (word)&name, 0, 0, 0, 0);
    print(name.field[0]), print(" "), print(name.field[2]), print(" "), print(name.field[4]);
    print("\n");
    call(MKDIRAT, (word)-100, (word)"/proc", 0755, 0, 0);
    call(MOUNT, (word)"proc", (word)"/proc", (word)"proc", 0, 0);
    print_file("/proc/cpuinfo");
    child = call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0);
    if (child == 0)
        call(EXIT, 3, 0, 0, 0, 0);
    call(WAITID, 1 /* P_PID */, child, (word)status, 4 /* WEXITED */, 0);
    print("child status "), print_number(status[5]), print("\n");
    for (int i = 0; i < 40; i++)
        root = (root + x / root) / 2;
    print("root "), print_number((unsigned)(root * 1000000.0)), print("\n");
    if (job[0] == 'w')
        work();
    if (job[0] == 'e')
        echo();
    call(REBOOT, 0xfee1dead, 672274793, 0x4321fedc /* power off */, 0, 0);
    for (;;)
        ;
}

__attribute__((naked)) void _start(void)
{
    __asm__(".option push\n\t.option norelax\n\tla gp, __global_pointer$\n\t.option pop\n\t"
            "mv a0, sp\n\tandi sp, sp, -16\n\tj run");
}
