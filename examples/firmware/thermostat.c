#include "thermostat.h"

#define HYSTERESIS 5 /* half a degree on both sides of the target */
#define OUTSIDE 50

void thermostat_tick(struct thermostat *t)
{
    if (t->temperature <= t->target - HYSTERESIS)
        t->heating = 1;
    if (t->temperature >= t->target + HYSTERESIS)
        t->heating = 0;
    if (t->heating)
        t->temperature += 2;
    else if (t->temperature > OUTSIDE)
        t->temperature -= 1;
}
