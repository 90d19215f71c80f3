/*
 * Mutated messages through every parser of the wire: whatever comes, the result is an error with a
 * text or something that holds together.  The seed is fixed; a number as argument replaces it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/fuzz/wire_check.h"

#define ROUNDS 200000

static uint64_t state;

/* xorshift64*: the same numbers everywhere. */
static uint32_t random_below(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(state * 2685821657736338717ull >> 32) % n;
}

/* ---- mutation ---- */

static void mutate(uint8_t *data, size_t *len)
{
	static const uint8_t edges[] = {0, 1, 2, 3, 4, 7, 8, 15, 16, 127, 128, 254, 255};
	size_t at = random_below((uint32_t)*len), n;

	switch (random_below(6)) {
	case 0:
		data[at] ^= (uint8_t)(1u << random_below(8));
		break;
	case 1:
		data[at] = edges[random_below(sizeof(edges))];
		break;
	case 2:
		data[at] = (uint8_t)(data[at] + (random_below(2) ? 1 : -1));
		break;
	case 3: /* cut out a piece, or the end */
		n = 1 + random_below(random_below(2) ? 4 : 64);
		if (at + n > *len || random_below(8) == 0)
			n = *len - at;
		memmove(data + at, data + at + n, *len - at - n);
		*len -= n;
		break;
	case 4: /* double a piece */
		n = 4 * (1 + random_below(8));
		if (at + n > *len || *len + n > WIRE_MESSAGE_MAX)
			break;
		memmove(data + at + n, data + at, *len - at);
		*len += n;
		break;
	default: /* a piece from elsewhere */
		n = 1 + random_below(16);
		if (at + n <= *len)
			memmove(data + at, data + random_below((uint32_t)(*len - n + 1)), n);
	}
}

int main(int argc, char **argv)
{
	unsigned long long seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20240229;
	static struct wire_message messages[WIRE_MESSAGES];
	struct wire_count count = {0};

	state = seed * 2 + 1;
	wire_policies();
	wire_messages(messages);
	for (unsigned i = 0; i < WIRE_MESSAGES; i++)
		wire_check_message(messages[i].data, messages[i].len, messages[i].padded, &count);
	if (count.chains != WIRE_MESSAGES || count.accepted != 7) {
		fprintf(stderr, "of the messages as made, %lu chains and %lu offers are accepted\n",
			count.chains, count.accepted);
		return EXIT_FAILURE;
	}
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned which = random_below(WIRE_MESSAGES);
		uint8_t data[WIRE_MESSAGE_MAX];
		size_t len = messages[which].len;

		memcpy(data, messages[which].data, len);
		for (unsigned n = 1 + random_below(3); n > 0 && len > 0; n--)
			mutate(data, &len);
		/* Mostly with a length that fits, so that the payloads are reached. */
		if (len >= ISA_HEADER_LEN && random_below(16) != 0) {
			struct cs_writer w = {data, len, len, false};

			cs_patch_u32(&w, 24, (uint32_t)len);
		}
		wire_check_message(data, len, messages[which].padded, &count);
	}
	printf("seed %llu: %d messages, %lu chains, %lu offers accepted\n", seed, ROUNDS,
	       count.chains, count.accepted);
	return EXIT_SUCCESS;
}
