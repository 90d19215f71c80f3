/* Processes that claim one address of a shared store as fast as they can. */
#ifndef TEST_SHARED_RACE_H
#define TEST_SHARED_RACE_H

/* Checks that each epoch had one winner, and that there is none without. */
void shared_race(const char *uri, unsigned processes, unsigned rounds);

/* Who has lost an address changes nothing, and who is about to claim it waits for a write. */
void shared_fence(const char *uri);

#endif
