/* A data logger with a bug: its alarm goes off although every sample is below the limit. */
#include "board.h"

#define SAMPLES 8

struct logger {
    int samples[SAMPLES];
    int limit;
    unsigned int next;
};

struct logger logger = {.limit = 500};

/* What a sensor would say: between 250 and 450. */
static int measure(int n)
{
    return 350 + (n * 37) % 200 - 100;
}

__attribute__((noinline)) void record(struct logger *log, int sample)
{
    log->samples[log->next] = sample;
    if (log->next++ == SAMPLES)
        log->next = 0;
}

__attribute__((noinline)) int alarm(const struct logger *log, int sample)
{
    return sample > log->limit;
}

int main(void)
{
    int alarms = 0;

    for (int n = 0; n < 20; n++) {
        int sample = measure(n);
        record(&logger, sample);
        alarms += alarm(&logger, sample);
    }
    print_number(alarms);
    print(" alarms\n");
    return alarms;
}
