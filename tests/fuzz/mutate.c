/* Mutations of ISAKMP messages. */
#include "tests/fuzz/mutate.h"

#include <string.h>

#define MOST 40

struct span {
	size_t at, len; /* of a payload, its generic header included */
};

/* Where the payloads stand, as far as their lengths lead. */
static unsigned payloads(const uint8_t *data, size_t len, struct span *spans)
{
	unsigned n = 0;
	size_t at = 0;

	while (n < MOST && len - at >= 4) {
		size_t size = (size_t)data[at + 2] << 8 | data[at + 3];

		if (size < 4 || size > len - at)
			break;
		spans[n++] = (struct span){at, size};
		if (data[at] == 0)
			break;
		at += size;
	}
	return n;
}

static uint8_t type_of(uint8_t first, const uint8_t *data, const struct span *s, unsigned i)
{
	return i ? data[s[i - 1].at] : first;
}

static uint8_t interesting(struct sim_rng *rng)
{
	static const uint8_t values[] = {0,  1,  2,  3,  4,   5,   7,   8,
					 16, 20, 32, 64, 127, 128, 254, 255};

	return values[sim_below(rng, sizeof(values))];
}

static uint8_t any_type(struct sim_rng *rng)
{
	static const uint8_t types[] = {0,  1,  2,  3,  4,  5,  6,  7,   8,   9,
					10, 11, 12, 13, 14, 20, 21, 130, 131, 132};

	return sim_chance(rng, 900) ? types[sim_below(rng, sizeof(types))]
				    : (uint8_t)sim_random(rng);
}

void fuzz_mutate_bytes(struct sim_rng *rng, uint8_t *data, size_t *len, size_t cap)
{
	size_t extra;

	switch (sim_below(rng, 5)) {
	case 0:
		if (*len)
			data[sim_below(rng, (uint32_t)*len)] ^= (uint8_t)(1u << sim_below(rng, 8));
		break;
	case 1:
		if (*len)
			data[sim_below(rng, (uint32_t)*len)] = interesting(rng);
		break;
	case 2:
		if (*len >= 4)
			memset(data + sim_below(rng, (uint32_t)*len - 3), interesting(rng), 4);
		break;
	case 3:
		*len = sim_below(rng, (uint32_t)*len + 1);
		break;
	case 4:
		extra = sim_below(rng, 64);
		for (; extra && *len < cap; extra--)
			data[(*len)++] = (uint8_t)sim_random(rng);
		break;
	}
}

static void remove_payload(uint8_t *first, uint8_t *data, size_t *len, const struct span *s,
			   unsigned i)
{
	uint8_t next = data[s[i].at];

	if (i == 0)
		*first = next;
	else
		data[s[i - 1].at] = next;
	memmove(data + s[i].at, data + s[i].at + s[i].len, *len - s[i].at - s[i].len);
	*len -= s[i].len;
}

/* Puts a payload of this type and body before payload i. */
static void insert_payload(uint8_t *first, uint8_t *data, size_t *len, size_t cap,
			   const struct span *s, unsigned i, uint8_t type, const uint8_t *body,
			   size_t body_len)
{
	uint8_t *link = i == 0 ? first : &data[s[i - 1].at];
	size_t at = s[i].at, size = body_len + 4;

	if (cap - *len < size)
		return;
	memmove(data + at + size, data + at, *len - at);
	data[at] = *link;
	data[at + 1] = 0;
	data[at + 2] = (uint8_t)(size >> 8);
	data[at + 3] = (uint8_t)size;
	memcpy(data + at + 4, body, body_len);
	*link = type;
	*len += size;
}

static void insert_made_up(struct sim_rng *rng, uint8_t *first, uint8_t *data, size_t *len,
			   size_t cap, const struct span *s, unsigned i)
{
	/* A notify of the IPsec DOI; a delete of an IKE SA; of ESP SPIs; a vendor ID. */
	uint8_t body[80] = {0, 0, 0, 1};
	uint8_t type = (uint8_t)(sim_chance(rng, 600) ? 11 + sim_below(rng, 3) : any_type(rng));
	size_t n = 8 + sim_below(rng, 40);
	static const uint16_t notifies[] = {1,     14,    16,    18,    24,   16384,
					    24576, 24577, 24578, 36136, 36137};

	body[4] = (uint8_t)(1 + sim_below(rng, 3));
	body[5] = sim_chance(rng, 500) ? 4 : sim_chance(rng, 500) ? 16 : interesting(rng);
	if (type == 11) {
		uint16_t kind = notifies[sim_below(rng, 11)];

		body[6] = (uint8_t)(kind >> 8);
		body[7] = (uint8_t)kind;
	} else {
		body[7] = interesting(rng);
	}
	for (size_t k = 8; k < n; k++)
		body[k] = sim_chance(rng, 500) ? 0 : (uint8_t)sim_random(rng);
	insert_payload(first, data, len, cap, s, i, type, body, n);
}

/* Behind all others, so that the rest stays good: a RESPONDER-LIFETIME with some attributes. */
static void append_lifetime(struct sim_rng *rng, uint8_t *data, size_t *len, size_t cap,
			    const struct span *last)
{
	static const uint8_t notify[] = {0, 0, 0, 1, 3, 0, 0x60, 0x00};
	uint8_t body[80];
	size_t n = sizeof(notify);

	memcpy(body, notify, n);
	for (unsigned k = sim_below(rng, 6); k; k--) {
		bool basic = sim_chance(rng, 600);

		body[n++] = basic ? 0x80 : 0;
		body[n++] = (uint8_t)(sim_chance(rng, 900) ? 1 + k % 2 : interesting(rng));
		body[n++] = 0;
		body[n++] = (uint8_t)(basic ? 1 + sim_below(rng, 200) : sim_below(rng, 10));
		for (unsigned more = basic ? 0 : 4; more; more--)
			body[n++] = (uint8_t)sim_random(rng);
	}
	if (cap - *len < n + 4 || data[last->at])
		return;
	data[last->at] = 11;
	memset(data + *len, 0, 4);
	data[*len + 3] = (uint8_t)(n + 4);
	memcpy(data + *len + 4, body, n);
	*len += n + 4;
}

/* At the end of an attributes payload that is the last: one more, perhaps a long one. */
static void append_attribute(struct sim_rng *rng, uint8_t *data, size_t *len, size_t cap,
			     const struct span *last)
{
	static const uint16_t types[] = {1, 2, 3, 7, 16520, 16521, 16522, 16527};
	uint16_t type = types[sim_below(rng, 8)];
	bool basic = sim_chance(rng, 300);
	size_t n = basic ? 0 : sim_below(rng, sim_chance(rng, 500) ? 1000 : 9), size;

	if (data[last->at] || last->at + last->len != *len || cap - *len < n + 4)
		return;
	data[(*len)++] = (uint8_t)(type >> 8 | (basic ? 0x80 : 0));
	data[(*len)++] = (uint8_t)type;
	data[(*len)++] = (uint8_t)(n >> 8);
	data[(*len)++] = basic ? interesting(rng) : (uint8_t)n;
	for (; n; n--)
		data[(*len)++] = (uint8_t)(33 + sim_below(rng, 94));
	size = *len - last->at;
	data[last->at + 2] = (uint8_t)(size >> 8);
	data[last->at + 3] = (uint8_t)size;
}

static void mutate_once(struct sim_rng *rng, uint8_t *first, uint8_t *data, size_t *len, size_t cap)
{
	struct span s[MOST];
	unsigned n = payloads(data, *len, s), i = sim_below(rng, n), j = sim_below(rng, n);
	size_t length;

	if (!n) {
		fuzz_mutate_bytes(rng, data, len, cap);
		return;
	}
	if (type_of(*first, data, s, n - 1) == 14 && sim_chance(rng, 600)) {
		append_attribute(rng, data, len, cap, &s[n - 1]);
		return;
	}
	switch (sim_below(rng, 11)) {
	case 0:
		remove_payload(first, data, len, s, i);
		break;
	case 1: /* the same payload once more, anywhere */
		if (s[j].len < 2000) {
			uint8_t copy[2000];

			memcpy(copy, data + s[j].at + 4, s[j].len - 4);
			insert_payload(first, data, len, cap, s, i, type_of(*first, data, s, j),
				       copy, s[j].len - 4);
		}
		break;
	case 2:
		insert_made_up(rng, first, data, len, cap, s, i);
		break;
	case 3: /* another type for a payload */
		*(i ? &data[s[i - 1].at] : first) = any_type(rng);
		break;
	case 4: /* a length that lies */
		length = s[i].len + sim_below(rng, 9) - 4;
		if (sim_chance(rng, 300))
			length = interesting(rng);
		data[s[i].at + 2] = (uint8_t)(length >> 8);
		data[s[i].at + 3] = (uint8_t)length;
		break;
	case 5: /* a payload made shorter, its length told truly */
		length = s[i].len - 4;
		if (length) {
			size_t cut = 1 + sim_below(rng, (uint32_t)length);

			memmove(data + s[i].at + s[i].len - cut, data + s[i].at + s[i].len,
				*len - s[i].at - s[i].len);
			*len -= cut;
			data[s[i].at + 2] = (uint8_t)((s[i].len - cut) >> 8);
			data[s[i].at + 3] = (uint8_t)(s[i].len - cut);
		}
		break;
	case 6:
		data[s[i].at + 1] = interesting(rng);
		break;
	case 7:
		append_lifetime(rng, data, len, cap, &s[n - 1]);
		break;
	default: /* bytes within a payload */
		if (s[i].len > 4)
			data[s[i].at + 4 + sim_below(rng, (uint32_t)s[i].len - 4)] =
				sim_chance(rng, 500) ? interesting(rng) : (uint8_t)sim_random(rng);
		break;
	}
}

void fuzz_mutate_chain(struct sim_rng *rng, uint8_t *first, uint8_t *data, size_t *len, size_t cap)
{
	unsigned times = 1 + (sim_chance(rng, 300) ? sim_below(rng, 4) : 0);

	while (times--)
		mutate_once(rng, first, data, len, cap);
}
