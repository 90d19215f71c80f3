/*
 * Mutated certificates and CRLs, mostly with lengths that fit and signed anew, so that what is
 * behind length and signature is reached: test_pki_mutation [ROUNDS [SEED]].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pki/pki.h"
#include "tests/fuzz/pki_check.h"

#define ROUNDS 4000

static uint64_t state;

static uint32_t random_below(uint32_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return n ? (uint32_t)((state >> 16) % n) : 0;
}

/* ---- DER, as far as it is any ---- */

/* Header and length of the value at p; 0 when there is none. */
static size_t header_of(const uint8_t *p, size_t left, size_t *len)
{
	size_t n;

	if (left < 2 || (p[0] & 0x1f) == 0x1f)
		return 0;
	if (p[1] < 0x80) {
		*len = p[1];
		return *len <= left - 2 ? 2 : 0;
	}
	n = p[1] & 0x7fu;
	if (n == 0 || n > 3 || left < 2 + n)
		return 0;
	*len = 0;
	for (size_t i = 0; i < n; i++)
		*len = *len << 8 | p[2 + i];
	return *len <= left - 2 - n ? 2 + n : 0;
}

static size_t put_header(uint8_t *to, uint8_t tag, size_t len)
{
	to[0] = tag;
	if (len < 0x80) {
		to[1] = (uint8_t)len;
		return 2;
	}
	to[1] = 0x82;
	to[2] = (uint8_t)(len >> 8);
	to[3] = (uint8_t)len;
	return 4;
}

static unsigned count_values(const uint8_t *p, size_t left)
{
	unsigned n = 0;

	while (left) {
		size_t len, header = header_of(p, left, &len);

		if (!header)
			return n;
		n++;
		if (p[0] & 0x20)
			n += count_values(p + header, len);
		p += header + len;
		left -= header + len;
	}
	return n;
}

static const uint8_t tags[] = {0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0a, 0x0c,
			       0x13, 0x16, 0x17, 0x18, 0x30, 0x31, 0x80, 0x81,
			       0x82, 0x86, 0x87, 0xa0, 0xa1, 0xa3, 0xa4, 0x24};

/* The value that is chosen, changed in one way. */
static size_t change(const uint8_t *p, size_t header, size_t len, uint8_t *to)
{
	uint8_t tag = p[0];
	size_t n, more;

	switch (random_below(9)) {
	case 0: /* gone */
		return 0;
	case 1: /* twice */
		memcpy(to, p, header + len);
		memcpy(to + header + len, p, header + len);
		return 2 * (header + len);
	case 2: /* empty */
		return put_header(to, tag, 0);
	case 3: /* of another type */
		n = put_header(to, tags[random_below(sizeof(tags))], len);
		memcpy(to + n, p + header, len);
		return n + len;
	case 4: /* cut */
		len = random_below((uint32_t)len);
		n = put_header(to, tag, len);
		memcpy(to + n, p + header, len);
		return n + len;
	case 5: /* longer */
		more = random_below(40);
		n = put_header(to, tag, len + more);
		memcpy(to + n, p + header, len);
		for (size_t i = 0; i < more; i++)
			to[n + len + i] = (uint8_t)random_below(256);
		return n + len + more;
	case 6: /* wrapped */
		n = put_header(to, 0x30, header + len);
		memcpy(to + n, p, header + len);
		return n + header + len;
	default: /* a byte or two of it */
		memcpy(to, p, header + len);
		for (unsigned i = 1 + random_below(2); i && len; i--)
			to[header + random_below((uint32_t)len)] = (uint8_t)random_below(256);
		return header + len;
	}
}

/* Copies values, and changes the one that *which counts down to; lengths above it follow. */
static size_t rebuild(const uint8_t *p, size_t left, uint8_t *to, unsigned *which)
{
	size_t out = 0;

	while (left) {
		size_t len, header = header_of(p, left, &len), n;

		if (!header) {
			memcpy(to + out, p, left);
			return out + left;
		}
		if ((*which)-- == 0) {
			out += change(p, header, len, to + out);
		} else if (p[0] & 0x20) {
			uint8_t inner[2 * PKI_SEED_MAX];

			n = rebuild(p + header, len, inner, which);
			out += put_header(to + out, p[0], n);
			memcpy(to + out, inner, n);
			out += n;
		} else {
			memcpy(to + out, p, header + len);
			out += header + len;
		}
		p += header + len;
		left -= header + len;
	}
	return out;
}

static size_t mutate_der(uint8_t *data, size_t len)
{
	static uint8_t made[4 * PKI_SEED_MAX];
	unsigned n = count_values(data, len), which = random_below(n);
	size_t out = n ? rebuild(data, len, made, &which) : 0;

	if (out == 0 || out > PKI_SEED_MAX)
		return len;
	memcpy(data, made, out);
	return out;
}

/* ---- an input ---- */

/* Mutates one piece of the seed, sometimes several times, sometimes without regard to DER. */
static size_t mutate(const uint8_t *seed, size_t len, uint8_t *out)
{
	size_t at = 0, n = 0;
	unsigned pieces = 0, chosen;

	for (at = 0; at + 3 <= len; at += 3 + ((size_t)seed[at + 1] << 8 | seed[at + 2]))
		pieces++;
	chosen = random_below(pieces);
	for (at = 0; at + 3 <= len; pieces--) {
		size_t size = (size_t)seed[at + 1] << 8 | seed[at + 2];
		static uint8_t piece[PKI_SEED_MAX + 64];
		size_t piece_len = size;

		memcpy(piece, seed + at + 3, size);
		if (chosen-- == 0)
			for (unsigned k = 1 + random_below(3); k; k--) {
				if (random_below(8))
					piece_len = mutate_der(piece, piece_len);
				else if (piece_len)
					piece[random_below((uint32_t)piece_len)] ^=
						(uint8_t)(1u << random_below(8));
			}
		out[n] = seed[at];
		out[n + 1] = (uint8_t)(piece_len >> 8);
		out[n + 2] = (uint8_t)piece_len;
		memcpy(out + n + 3, piece, piece_len);
		n += 3 + piece_len;
		at += 3 + size;
	}
	return n;
}

/* The seeds as they are: those that should be accepted are, and the others are not. */
static int check_seeds(void)
{
	static const unsigned long accepted[PKI_SEEDS] = {2, 2, 2, 1, 2, 0};
	static uint8_t seed[PKI_SEED_MAX];

	for (unsigned i = 0; i < PKI_SEEDS; i++) {
		struct pki_count count = {0};
		size_t len = pki_check_seed(i, seed);

		pki_check_input(seed, len, &count);
		if (count.accepted != accepted[i]) {
			fprintf(stderr, "seed %u is accepted at %lu levels, not %lu\n", i,
				count.accepted, accepted[i]);
			return EXIT_FAILURE;
		}
	}
	return EXIT_SUCCESS;
}

int main(int argc, char **argv)
{
	unsigned rounds = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : ROUNDS;
	unsigned long long start = argc > 2 ? strtoull(argv[2], NULL, 0) : 20261124;
	static uint8_t seed[PKI_SEED_MAX], input[4 * PKI_SEED_MAX];
	struct pki_count count = {0};

	state = start * 2 + 1;
	pki_check_setup();
	if (check_seeds() != EXIT_SUCCESS)
		return EXIT_FAILURE;
	for (unsigned round = 0; round < rounds; round++) {
		size_t len = pki_check_seed(random_below(PKI_SEEDS), seed);

		pki_check_input(input, mutate(seed, len, input), &count);
	}
	printf("seed %llu: %lu inputs, %lu accepted", start, count.inputs, count.accepted);
	for (unsigned i = 1; i <= PKI_F_OTHER; i++)
		printf(", %s %lu", pki_fault_name((enum pki_fault)i), count.refused[i]);
	putchar('\n');
	return EXIT_SUCCESS;
}
