/* A parser of settings, name=value with escapes (\n, \t, \\), and a bug for a fuzzer to find. */
#include "board.h"

enum { OK, NO_NAME, NO_VALUE, TOO_LONG, BAD_ESCAPE };

struct setting {
    char name[8];
    char value[16];
};

/* What the fuzzer writes and reads. Nobody may write to the red zone. */
char input[64];
unsigned int input_length;
int result;
struct {
    struct setting setting;
    char red_zone[64];
} output;

static int escape(char c)
{
    switch (c) {
    case 'n':
        return '\n';
    case 't':
        return '\t';
    case '\\':
        return '\\';
    default:
        return -1;
    }
}

__attribute__((noinline)) int parse(const char *text, unsigned int length, struct setting *out)
{
    unsigned int at = 0, n = 0;

    while (at < length && text[at] != '=') {
        if (n == sizeof out->name - 1)
            return TOO_LONG;
        out->name[n++] = text[at++];
    }
    if (n == 0)
        return NO_NAME;
    out->name[n] = '\0';
    if (at++ == length)
        return NO_VALUE;
    for (n = 0; at < length; at++) {
        if (text[at] == '\\') {
            int c = ++at < length ? escape(text[at]) : -1;
            if (c < 0)
                return BAD_ESCAPE;
#ifdef FIXED
            if (n == sizeof out->value - 1)
                return TOO_LONG;
#endif
            out->value[n++] = (char)c;
        } else {
            if (n == sizeof out->value - 1)
                return TOO_LONG;
            out->value[n++] = text[at];
        }
    }
    out->value[n] = '\0';
    return OK;
}

__attribute__((noinline)) void parsed(void)
{
    __asm__ volatile("");
}

int main(void)
{
    result = parse(input, input_length, &output.setting);
    parsed();
    return 0;
}
