/* The time that runs whatever is set, and the time of day. */
#ifndef CS_CLOCK_H
#define CS_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t cs_mono_ms(void);
/* Microseconds since 1970. */
int64_t cs_wall_us(void);

#endif
