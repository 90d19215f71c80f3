/* Records for tests. */
#include "tests/unit/smf_sample.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t smf_rand(uint64_t *state)
{
	*state = *state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(*state >> 33);
}

size_t smf_sample(const char *leaf, uint8_t record[static SMF_BUILD_MAX])
{
	char path[512], digits[3];
	size_t n = 0;
	FILE *f;

	snprintf(path, sizeof(path), TESTDATA "/data/smf/%s", leaf);
	f = fopen(path, "r");
	ck_assert_msg(f != NULL, "%s", path);
	while (n < SMF_BUILD_MAX && fscanf(f, " %2[0-9a-fA-F]", digits) == 1)
		record[n++] = (uint8_t)strtoul(digits, NULL, 16);
	fclose(f);
	return n;
}

static void finish(struct smf_builder *b, struct cs_writer *w)
{
	struct cs_err err;

	ck_assert_msg(smf_finish(b, w, &err) == 0, "%s", err.text);
}

static void random_text(uint64_t *state, struct smf_builder *b, enum smf_field field)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_/:@~ ^[]{}\"\\=|";
	unsigned len = smf_rows[field].len ? smf_rows[field].len : 300;
	unsigned n = smf_rand(state) % (len + 1);
	char text[301];

	for (unsigned i = 0; i < n; i++)
		text[i] = letters[smf_rand(state) % (sizeof(letters) - 1)];
	if (n > 0)
		text[n - 1] = 'x'; /* blanks behind would be lost */
	text[n] = '\0';
	smf_put_text(b, field, text);
}

static void random_field(uint64_t *state, struct smf_builder *b, enum smf_field field, bool ipv6)
{
	struct cs_addr addr = {.family = ipv6 ? AF_INET6 : AF_INET};
	unsigned len = smf_rows[field].len;
	uint64_t value =
		(uint64_t)smf_rand(state) << 40 ^ (uint64_t)smf_rand(state) << 20 ^ smf_rand(state);

	if (len < 8)
		value &= (UINT64_C(1) << 8 * len) - 1;
	switch (smf_rows[field].kind) {
	case SMF_K_TEXT:
		random_text(state, b, field);
		break;
	case SMF_K_ADDR:
		for (unsigned i = 0; i < (ipv6 ? 16 : 4); i++)
			addr.b[i] = (uint8_t)smf_rand(state);
		smf_put_addr(b, field, &addr);
		break;
	case SMF_K_FLAGS: /* the IPv6 flag is the addresses' */
		value &= 0x7fffffff;
		smf_put_u64(b, field, ipv6 ? value | 0x80000000 : value);
		break;
	case SMF_K_RESERVED:
		break;
	default:
		smf_put_u64(b, field, value);
	}
}

size_t smf_random(uint64_t *state, unsigned subtype, uint8_t record[static SMF_BUILD_MAX])
{
	const struct smf_layout *l = smf_layout_of(subtype);
	struct cs_writer w = cs_writer_of(record, SMF_BUILD_MAX);
	struct smf_builder b;
	bool ipv6 = smf_rand(state) % 2;

	smf_build(&b, subtype);
	smf_put_time(&b, (int64_t)smf_rand(state) * 1000000 + smf_rand(state) % 100 * 10000);
	random_text(state, &b, SMF_HDSID);
	for (unsigned i = 0; i < l->n_sections; i++) {
		const struct smf_section_row *s = &smf_sections[l->sections[i]];

		for (unsigned k = s->first; k < s->first + s->n; k++)
			random_field(state, &b, (enum smf_field)k, ipv6);
	}
	ck_assert(!b.lossy);
	finish(&b, &w);
	return w.len;
}

static void put_again(struct smf_builder *b, const struct smf_record *r, enum smf_field field)
{
	char text[4 * SMF_TEXT_MAX];
	struct cs_addr addr;
	uint64_t value;

	switch (smf_rows[field].kind) {
	case SMF_K_TEXT:
		smf_get_text(r, field, SMF_IBM1047, text, sizeof(text));
		smf_put_text(b, field, text);
		break;
	case SMF_K_ADDR:
		ck_assert(smf_get_addr(r, field, &addr));
		smf_put_addr(b, field, &addr);
		break;
	case SMF_K_RESERVED:
		break;
	default:
		ck_assert(smf_get_u64(r, field, &value));
		smf_put_u64(b, field, value);
	}
}

size_t smf_again(const struct smf_record *r, uint8_t record[static SMF_BUILD_MAX])
{
	struct cs_writer w = cs_writer_of(record, SMF_BUILD_MAX);
	struct smf_builder b;
	int64_t us;

	smf_build(&b, r->layout->subtype);
	ck_assert(smf_get_time(r, &us));
	smf_put_time(&b, us);
	put_again(&b, r, SMF_HDSID);
	put_again(&b, r, SMF_HDSSI);
	for (unsigned i = 0; i < r->layout->n_sections; i++) {
		const struct smf_section_row *s = &smf_sections[r->layout->sections[i]];

		for (unsigned k = s->first; k < s->first + s->n; k++)
			put_again(&b, r, (enum smf_field)k);
	}
	finish(&b, &w);
	return w.len;
}
