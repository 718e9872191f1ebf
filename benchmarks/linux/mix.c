/* The first process of a Linux guest: what an operating system is asked for all day, in fixed numbers,
 * after the tests of UnixBench. No library, system calls only; either width of riscv. It prints a line
 * before the first and after each part, so that the host can take the time. */

typedef unsigned long word;

enum { DUP = 23, CLOSE = 57, PIPE2 = 59, READ = 63, WRITE = 64, EXIT = 93, WAITID = 95, PPOLL = 73,
       UMASK = 166, GETPID = 172, GETUID = 174, MUNMAP = 215, CLONE = 220, EXECVE = 221, MMAP = 222 };

enum { SYSCALLS = 150000, FAULTS = 40, FAULT_PAGES = 1024, PIPE_BLOCKS = 40000, SWITCHES = 10000,
       FORKS = 1500, EXECS = 600, PAGE = 4096 };

static long call(long n, word a, word b, word c, word d, word e, word f)
{
    register word a0 __asm__("a0") = a, a1 __asm__("a1") = b, a2 __asm__("a2") = c;
    register word a3 __asm__("a3") = d, a4 __asm__("a4") = e, a5 __asm__("a5") = f;
    register word a7 __asm__("a7") = n;
    __asm__ volatile("ecall" : "+r"(a0)
                     : "r"(a1), "r"(a2), "r"(a3), "r"(a4), "r"(a5), "r"(a7) : "memory");
    return (long)a0;
}

static void print(const char *text)
{
    word size = 0;
    while (text[size])
        size++;
    call(WRITE, 1, (word)text, size, 0, 0, 0);
}

/* The host ends the machine, when it has looked at the clocks. */
static void stay(void)
{
    for (;;)
        call(PPOLL, 0, 0, 0, 0, 0, 0);
}

/* Nothing may fail: a part that does less than it should would be quick. */
static word must(long result, const char *what)
{
    if (result < 0) {
        print("mix: failed: "), print(what), print("\n");
        stay();
    }
    return result;
}

static void done(const char *part)
{
    print("mix: "), print(part), print(" done\n");
}

static word child(void)
{
    return must(call(CLONE, 17 /* SIGCHLD */, 0, 0, 0, 0, 0), "clone");
}

static void leave(int status)
{
    for (;;)
        call(EXIT, status, 0, 0, 0, 0, 0);
}

static void wait_for(word pid, int wanted)
{
    static int status[32];
    must(call(WAITID, 1 /* P_PID */, pid, (word)status, 4 /* WEXITED */, 0, 0), "waitid");
    if (status[sizeof(word) == 8 ? 6 : 5] != wanted) /* siginfo: the ids are aligned as words are */
        must(-1, "a child");
}

static void syscalls(void)
{
    for (int n = 0; n < SYSCALLS; n++) {
        call(CLOSE, must(call(DUP, 0, 0, 0, 0, 0, 0), "dup"), 0, 0, 0, 0, 0);
        call(GETPID, 0, 0, 0, 0, 0, 0);
        call(GETUID, 0, 0, 0, 0, 0, 0);
        call(UMASK, 022, 0, 0, 0, 0, 0);
    }
}

static void faults(void)
{
    for (int n = 0; n < FAULTS; n++) {
        word size = (word)FAULT_PAGES * PAGE, flags = 0x22; /* private, anonymous */
        word at = call(MMAP, 0, size, 3 /* read, write */, flags, -1, 0);
        if (at > -(word)PAGE)
            must(-1, "mmap");
        for (word page = at; page < at + size; page += PAGE)
            *(volatile word *)page = page;
        must(call(MUNMAP, at, size, 0, 0, 0, 0), "munmap");
    }
}

static void pipes(void)
{
    static char block[512];
    int ends[2];
    must(call(PIPE2, (word)ends, 0, 0, 0, 0, 0), "pipe2");
    for (int n = 0; n < PIPE_BLOCKS; n++)
        if (call(WRITE, ends[1], (word)block, sizeof block, 0, 0, 0) != sizeof block
            || call(READ, ends[0], (word)block, sizeof block, 0, 0, 0) != sizeof block)
            must(-1, "a pipe");
    call(CLOSE, ends[0], 0, 0, 0, 0, 0), call(CLOSE, ends[1], 0, 0, 0, 0, 0);
}

/* A number goes round between two processes; who begins sends first. */
static void token(int from, int to, int begins)
{
    unsigned value = 1;
    for (int n = 0; n < SWITCHES; n++)
        for (int sends = begins, left = 2; left; left--, sends = !sends) {
            long moved = sends ? call(WRITE, to, (word)&value, sizeof value, 0, 0, 0)
                               : call(READ, from, (word)&value, sizeof value, 0, 0, 0);
            must(moved - (long)sizeof value, "a token");
        }
}

static void switches(void)
{
    int here[2], there[2];
    must(call(PIPE2, (word)here, 0, 0, 0, 0, 0), "pipe2");
    must(call(PIPE2, (word)there, 0, 0, 0, 0, 0), "pipe2");
    word pid = child();
    if (pid == 0)
        token(there[0], here[1], 0), leave(5);
    token(here[0], there[1], 1);
    wait_for(pid, 5);
    for (int n = 0; n < 2; n++)
        call(CLOSE, here[n], 0, 0, 0, 0, 0), call(CLOSE, there[n], 0, 0, 0, 0, 0);
}

static void forks(void)
{
    for (int n = 0; n < FORKS; n++) {
        word pid = child();
        if (pid == 0)
            leave(6);
        wait_for(pid, 6);
    }
}

static void execs(void)
{
    static const char *const words[] = { "/init", "child", 0 }, *const none[] = { 0 };
    for (int n = 0; n < EXECS; n++) {
        word pid = child();
        if (pid == 0)
            must(call(EXECVE, (word) "/init", (word)words, (word)none, 0, 0, 0), "execve");
        wait_for(pid, 7);
    }
}

__attribute__((used)) static void run(void)
{
    if (call(GETPID, 0, 0, 0, 0, 0, 0) != 1)
        leave(7);
    print("mix: begins\n");
    syscalls(), done("syscalls");
    faults(), done("faults");
    pipes(), done("pipes");
    switches(), done("switches");
    forks(), done("forks");
    execs(), done("execs");
    stay();
}

__attribute__((naked)) void _start(void)
{
    __asm__(".option push\n\t.option norelax\n\tla gp, __global_pointer$\n\t.option pop\n\t"
            "andi sp, sp, -16\n\tj run");
}
