/* Records for tests: the published ones, and random ones. */
#ifndef TEST_SMF_SAMPLE_H
#define TEST_SMF_SAMPLE_H

#include "smf/smf.h"

/* tests/data/smf/LEAF; the length. */
size_t smf_sample(const char *leaf, uint8_t record[static SMF_BUILD_MAX]);
/* Every field filled with what it may have; the length. State is the random generator's. */
size_t smf_random(uint64_t *state, unsigned subtype, uint8_t record[static SMF_BUILD_MAX]);
/* The record made anew from what is decoded of it; the length. */
size_t smf_again(const struct smf_record *r, uint8_t record[static SMF_BUILD_MAX]);
uint32_t smf_rand(uint64_t *state);

#endif
