/* Mutations of ISAKMP messages that know where payloads and lengths are. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include "tests/sim/sim.h"

/*
 * Changes a payload chain in place: data holds *len bytes with room for cap. first is the type of
 * the first payload, which may change too. Does one to four things.
 */
void fuzz_mutate_chain(struct sim_rng *rng, uint8_t *first, uint8_t *data, size_t *len, size_t cap);
/* The same without any idea of the structure: bits, bytes, cuts and tails. */
void fuzz_mutate_bytes(struct sim_rng *rng, uint8_t *data, size_t *len, size_t cap);

#endif
