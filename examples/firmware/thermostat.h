/* A thermostat and the room it heats. Temperatures are in tenths of a degree. */
#ifndef THERMOSTAT_H
#define THERMOSTAT_H

struct thermostat {
    int target;
    int temperature;
    int heating;
};

/* A tenth of a second passes. */
void thermostat_tick(struct thermostat *t);

#endif
