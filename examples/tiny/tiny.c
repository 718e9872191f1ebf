/* A guest of a few hundred instructions with nothing under it: its own startup, no C library.
 * It prints through the UART and ends through the test finisher of the virt board. */

#define UART ((volatile unsigned char *)0x10000000)
#define UART_LSR 5
#define UART_LSR_THRE 0x20
#define FINISHER ((volatile unsigned int *)0x100000)
#define FINISHER_PASS 0x5555
#define FINISHER_FAIL 0x3333

struct item {
    const char *name;
    unsigned int weight;
};

unsigned int calls;
struct item basket[] = {{"apple", 3}, {"pear", 4}, {"melon", 5}};

static void put(char c)
{
    while (!(UART[UART_LSR] & UART_LSR_THRE))
        ;
    UART[0] = c;
}

static void print(const char *text)
{
    while (*text)
        put(*text++);
}

static void print_number(unsigned int n)
{
    char digits[10];
    int count = 0;
    do {
        digits[count++] = '0' + n % 10;
        n /= 10;
    } while (n);
    while (count)
        put(digits[--count]);
}

__attribute__((noinline)) unsigned int factorial(unsigned int n)
{
    calls++;
    if (n < 2)
        return 1;
    return n * factorial(n - 1);
}

__attribute__((noinline)) unsigned int weigh(const struct item *items, unsigned int count)
{
    unsigned int sum = 0;
    for (unsigned int i = 0; i < count; i++)
        sum += factorial(items[i].weight);
    return sum;
}

void finish(unsigned int code)
{
    *FINISHER = code ? code << 16 | FINISHER_FAIL : FINISHER_PASS;
    for (;;)
        ;
}

int main(void)
{
    print("tiny: ");
    print(basket[0].name);
    print(", ");
    print(basket[1].name);
    print(" and ");
    print(basket[2].name);
    print(" weigh ");
    print_number(weigh(basket, 3));
    print("\ntiny: factorial was called ");
    print_number(calls);
    print(" times\n");
    return 42;
}
