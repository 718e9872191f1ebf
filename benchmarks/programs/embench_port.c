/* What Embench asks of a board, and a verdict that can be compared; who runs it measures. */
#include <stdio.h>

#undef main

extern int embench_main(int argc, char **argv);

void initialise_board(void) {}

void start_trigger(void) {}

void stop_trigger(void) {}

int main(void)
{
    static char name[] = "embench";
    static char *argv[] = {name, 0};
    int wrong = embench_main(1, argv);
    puts(wrong ? "wrong" : "right");
    return wrong;
}
