/* The time that the daemon hands to the engine. */
#include <time.h>

#include "common/clock.h"
#include "iked/iked.h"

struct ike_now iked_now(void)
{
	struct timespec wall;

	clock_gettime(CLOCK_REALTIME, &wall);
	return (struct ike_now){
		.mono = (uint64_t)cs_mono_ms(),
		.wall = wall.tv_sec,
	};
}
