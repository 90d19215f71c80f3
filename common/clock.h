/* The time that runs whatever is set. */
#ifndef CS_CLOCK_H
#define CS_CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC. */
int64_t cs_mono_ms(void);

#endif
