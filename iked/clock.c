/* The time that the daemon hands to the engine. */
#include <time.h>

#include "iked/iked.h"

struct ike_now iked_now(void)
{
	struct timespec mono, wall;

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct ike_now){
		.mono = (uint64_t)mono.tv_sec * 1000u + (uint64_t)mono.tv_nsec / 1000000u,
		.wall = wall.tv_sec,
	};
}
