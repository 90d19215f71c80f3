/* ISAKMP's codec: header, chain, the rules of each step, building. */
#include <check.h>
#include <stdlib.h>
#include <string.h>

#include "iked/isakmp.h"
#include "tests/unit/run_suite.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

static const struct isa_header base = {
	.icookie = {1, 2, 3, 4, 5, 6, 7, 8},
	.rcookie = {9, 9, 9, 9, 9, 9, 9, 9},
	.version = 0x10,
	.exchange = ISA_MAIN,
};

/* ---- header ---- */

START_TEST(test_header)
{
	static const struct {
		const char *what;
		unsigned offset;
		uint8_t value;
		int rc;
	} cases[] = {
		{"unchanged", 16, ISA_SA, 0},
		{"minor version", 17, 0x15, 0},
		{"major version 0", 17, 0x00, CS_EUNSUPPORTED},
		{"IKEv2", 17, 0x20, CS_EUNSUPPORTED},
		{"major version 15", 17, 0xf0, CS_EUNSUPPORTED},
		{"unknown exchange is not ours to judge", 18, 240, 0},
		{"encrypted", 19, 1, 0},
		{"commit", 19, 2, 0},
		{"reserved flag", 19, 8, CS_EPARSE},
		{"all flags", 19, 0xff, CS_EPARSE},
		{"message id in phase 1", 20, 1, CS_EPARSE},
		{"message id in phase 1, last byte", 23, 1, CS_EPARSE},
		{"length one more", 27, 41, CS_EPARSE},
		{"length one less", 27, 39, CS_EPARSE},
		{"length 27", 27, 27, CS_EPARSE},
		{"length 0", 27, 0, CS_EPARSE},
		{"length 2^31 more", 24, 0x80, CS_EPARSE},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct isa_header h;
		struct isa_builder b;
		struct cs_err err = {0};
		uint8_t data[64], body[8] = {0};
		size_t len;
		int rc;

		isa_begin(&b, data, sizeof(data), &base);
		isa_put(&b, ISA_SA, body, sizeof(body));
		len = isa_end(&b, 0);
		ck_assert_uint_eq(len, 40);
		data[cases[i].offset] = cases[i].value;
		rc = isa_header_parse(data, len, &h, &err);
		ck_assert_msg(rc == cases[i].rc, "%s: %d %s", cases[i].what, rc, err.text);
		if (rc < 0)
			ck_assert_uint_gt(strlen(err.text), 0);
	}
}
END_TEST

START_TEST(test_header_lengths)
{
	uint8_t data[ISA_HEADER_LEN];
	struct isa_builder b;
	struct isa_header h;

	isa_begin(&b, data, sizeof(data), &base);
	ck_assert_uint_eq(isa_end(&b, 0), ISA_HEADER_LEN);
	for (size_t len = 0; len < ISA_HEADER_LEN; len++) {
		uint8_t *exact = malloc(len ? len : 1); /* the sanitizer sees a read past it */

		memcpy(exact, data, len);
		ck_assert_int_eq(isa_header_parse(exact, len, &h, NULL), CS_EPARSE);
		free(exact);
	}
	ck_assert_int_eq(isa_header_parse(data, ISA_HEADER_LEN, &h, NULL), 0);
	ck_assert_uint_eq(h.length, ISA_HEADER_LEN);
	ck_assert_mem_eq(h.icookie, base.icookie, ISA_COOKIE_LEN);
	ck_assert_mem_eq(h.rcookie, base.rcookie, ISA_COOKIE_LEN);
}
END_TEST

START_TEST(test_header_cookies)
{
	struct isa_header h = base, parsed;
	uint8_t data[ISA_HEADER_LEN];
	struct isa_builder b;

	memset(h.icookie, 0, ISA_COOKIE_LEN);
	isa_begin(&b, data, sizeof(data), &h);
	isa_end(&b, 0);
	ck_assert_int_eq(isa_header_parse(data, sizeof(data), &parsed, NULL), CS_EPARSE);

	memcpy(h.icookie, h.rcookie, ISA_COOKIE_LEN);
	isa_begin(&b, data, sizeof(data), &h);
	isa_end(&b, 0);
	ck_assert_int_eq(isa_header_parse(data, sizeof(data), &parsed, NULL), CS_EPARSE);
}
END_TEST

START_TEST(test_header_message_id)
{
	static const struct {
		uint8_t exchange, flags;
		uint32_t mid;
		int rc;
	} cases[] = {
		{ISA_QUICK, 1, 0, CS_EPARSE},
		{ISA_QUICK, 1, 7, 0},
		{ISA_TRANSACTION, 1, 0, CS_EPARSE},
		{ISA_TRANSACTION, 1, 7, 0},
		{ISA_INFORMATIONAL, 1, 0, CS_EPARSE},
		{ISA_INFORMATIONAL, 0, 0, 0},
		{ISA_INFORMATIONAL, 0, 7, 0},
		{ISA_AGGRESSIVE, 0, 7, CS_EPARSE},
		{ISA_AGGRESSIVE, 0, 0, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct isa_header h = base, parsed;
		uint8_t data[ISA_HEADER_LEN];
		struct isa_builder b;

		h.exchange = cases[i].exchange;
		h.flags = cases[i].flags;
		h.message_id = cases[i].mid;
		isa_begin(&b, data, sizeof(data), &h);
		isa_end(&b, 0);
		ck_assert_int_eq(isa_header_parse(data, sizeof(data), &parsed, NULL), cases[i].rc);
		if (cases[i].rc == 0)
			ck_assert_uint_eq(parsed.message_id, cases[i].mid);
	}
}
END_TEST

/* ---- chain ---- */

START_TEST(test_chain)
{
	static const struct {
		const char *what;
		uint8_t first;
		uint8_t body[24];
		uint8_t len;
		bool padded;
		int rc;
		unsigned n, used;
	} cases[] = {
		{"empty", 0, {0}, 0, false, 0, 0, 0},
		{"one", 13, {0, 0, 0, 4}, 4, false, 0, 1, 4},
		{"two", 13, {13, 0, 0, 5, 1, 0, 0, 0, 4}, 9, false, 0, 2, 9},
		{"type without payload", 13, {0}, 0, false, CS_EPARSE, 0, 0},
		{"three bytes of a header", 13, {0, 0, 0}, 3, false, CS_EPARSE, 0, 0},
		{"length 0", 13, {0, 0, 0, 0}, 4, false, CS_EPARSE, 0, 0},
		{"length 1", 13, {0, 0, 0, 1}, 4, false, CS_EPARSE, 0, 0},
		{"length 3", 13, {0, 0, 0, 3}, 4, false, CS_EPARSE, 0, 0},
		{"length past the end", 13, {0, 0, 0, 5}, 4, false, CS_EPARSE, 0, 0},
		{"length 65535", 13, {0, 0, 0xff, 0xff}, 4, false, CS_EPARSE, 0, 0},
		{"next payload missing", 13, {13, 0, 0, 4}, 4, false, CS_EPARSE, 0, 0},
		{"reserved byte in the clear", 13, {0, 9, 0, 4}, 4, false, 0, 1, 4},
		{"reserved byte, encrypted", 13, {0, 9, 0, 4}, 4, true, CS_EPARSE, 0, 0},
		{"three zero bytes behind", 13, {0, 0, 0, 4}, 7, false, 0, 1, 4},
		{"four zero bytes behind", 13, {0, 0, 0, 4}, 8, false, CS_EPARSE, 0, 0},
		{"other byte behind", 13, {0, 0, 0, 4, 1}, 5, false, CS_EPARSE, 0, 0},
		{"padding", 13, {0, 0, 0, 4, 7, 7, 7, 7, 7, 7}, 16, true, 0, 1, 4},
		{"whole block of padding", 13, {0, 0, 0, 8, 1, 1, 1, 1, 8}, 24, true, 0, 1, 8},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct isa_header h = base;
		struct isa_message m;
		struct cs_err err = {0};
		uint8_t *exact = malloc(cases[i].len ? cases[i].len : 1);
		int rc;

		memcpy(exact, cases[i].body, cases[i].len);
		h.next = cases[i].first;
		rc = isa_chain_parse(&h, exact, cases[i].len, cases[i].padded, &m, &err);
		ck_assert_msg(rc == cases[i].rc, "%s: %d %s", cases[i].what, rc, err.text);
		if (rc == 0) {
			ck_assert_msg(m.n_payloads == cases[i].n, "%s", cases[i].what);
			ck_assert_msg(m.used == cases[i].used, "%s", cases[i].what);
		}
		free(exact);
	}
}
END_TEST

START_TEST(test_chain_bounds)
{
	uint8_t body[4 * (ISA_PAYLOADS_MAX + 1)], fill[4 + 256];
	struct isa_header h = base;
	struct isa_message m;

	h.next = ISA_VENDOR;
	for (unsigned n = ISA_PAYLOADS_MAX - 1; n <= ISA_PAYLOADS_MAX + 1; n++) {
		for (unsigned i = 0; i < n; i++)
			memcpy(body + 4 * i, (uint8_t[]){i + 1 < n ? ISA_VENDOR : 0, 0, 0, 4}, 4);
		ck_assert_int_eq(isa_chain_parse(&h, body, 4 * n, false, &m, NULL),
				 n <= ISA_PAYLOADS_MAX ? 0 : CS_EPARSE);
	}
	memset(fill, 5, sizeof(fill));
	memcpy(fill, (uint8_t[]){0, 0, 0, 4}, 4);
	ck_assert_int_eq(isa_chain_parse(&h, fill, 4 + 255, true, &m, NULL), 0);
	ck_assert_int_eq(isa_chain_parse(&h, fill, 4 + 256, true, &m, NULL), CS_EPARSE);
}
END_TEST

/* ---- steps ---- */

/* A body of a payload that has the right shape. */
static size_t good_body(unsigned type, uint8_t body[64])
{
	memset(body, 0, 64);
	switch (type) {
	case ISA_NOTIFY:
		return 8;
	case ISA_DELETE:
		body[5] = 4; /* two SPIs of four bytes */
		body[7] = 2;
		return 16;
	case ISA_ID:
	case ISA_NATOA:
	case ISA_NATOA_DRAFT:
		return 8;
	default:
		return 20;
	}
}

static void build(const uint8_t *types, struct isa_message *m, uint8_t data[2048])
{
	struct isa_builder b;
	struct isa_header h;
	uint8_t body[64];
	size_t len;

	isa_begin(&b, data, 2048, &base);
	for (; *types; types++) {
		size_t n = good_body(*types, body);

		isa_put(&b, *types, body, n);
	}
	len = isa_end(&b, 0);
	ck_assert_uint_gt(len, 0);
	ck_assert_int_eq(isa_header_parse(data, len, &h, NULL), 0);
	ck_assert_int_eq(
		isa_chain_parse(&h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN, false, m, NULL),
		0);
}

#define SA  ISA_SA
#define KE  ISA_KE
#define NO  ISA_NONCE
#define ID  ISA_ID
#define HA  ISA_HASH
#define VID ISA_VENDOR
#define N   ISA_NOTIFY
#define D   ISA_DELETE

/* What each step needs, in order. */
static const uint8_t plain[ISA_STEP_N][8] = {
	[ISA_STEP_MAIN_1] = {SA},
	[ISA_STEP_MAIN_2] = {SA},
	[ISA_STEP_MAIN_3] = {KE, NO},
	[ISA_STEP_MAIN_4] = {KE, NO},
	[ISA_STEP_MAIN_5_PSK] = {ID, HA},
	[ISA_STEP_MAIN_6_PSK] = {ID, HA},
	[ISA_STEP_MAIN_5_SIG] = {ID, ISA_SIG},
	[ISA_STEP_MAIN_6_SIG] = {ID, ISA_SIG},
	[ISA_STEP_AGGR_1] = {SA, KE, NO, ID},
	[ISA_STEP_AGGR_2_PSK] = {SA, KE, NO, ID, HA},
	[ISA_STEP_AGGR_3_PSK] = {HA},
	[ISA_STEP_AGGR_2_SIG] = {SA, KE, NO, ID, ISA_SIG},
	[ISA_STEP_AGGR_3_SIG] = {ISA_SIG},
	[ISA_STEP_QUICK_1] = {HA, SA, NO},
	[ISA_STEP_QUICK_2] = {HA, SA, NO},
	[ISA_STEP_QUICK_3] = {HA},
	[ISA_STEP_QUICK_4] = {HA, N},
	[ISA_STEP_INFO_CLEAR] = {N},
	[ISA_STEP_INFO_ENCRYPTED] = {HA, N},
	[ISA_STEP_TRANSACTION] = {HA, ISA_ATTRIBUTES},
	[ISA_STEP_FRAGMENT] = {ISA_FRAGMENT},
};

START_TEST(test_step_plain)
{
	for (unsigned s = 0; s < ISA_STEP_N; s++) {
		uint8_t data[2048];
		struct isa_message m;
		struct cs_err err = {0};

		build(plain[s], &m, data);
		ck_assert_msg(isa_step_check(&m, (enum isa_step)s, &err) == 0, "%s", err.text);
	}
}
END_TEST

/* Each required payload missing, and each of them twice (a notification may be). */
START_TEST(test_step_missing_and_double)
{
	for (unsigned s = 0; s < ISA_STEP_N; s++) {
		unsigned n = (unsigned)strlen((const char *)plain[s]);

		for (unsigned i = 0; i < n; i++) {
			uint8_t types[10] = {0}, data[2048];
			struct isa_message m;

			memcpy(types, plain[s], i);
			memcpy(types + i, plain[s] + i + 1, n - i - 1);
			build(types, &m, data);
			ck_assert_msg(isa_step_check(&m, (enum isa_step)s, NULL) == CS_EPARSE,
				      "%s without %s", isa_step_name((enum isa_step)s),
				      isa_payload_name(plain[s][i]));

			memcpy(types, plain[s], n);
			types[n] = plain[s][i];
			build(types, &m, data);
			ck_assert_msg(isa_step_check(&m, (enum isa_step)s, NULL) ==
					      (plain[s][i] == N ? 0 : CS_EPARSE),
				      "%s with two %s", isa_step_name((enum isa_step)s),
				      isa_payload_name(plain[s][i]));
		}
	}
}
END_TEST

START_TEST(test_step_added)
{
	static const struct {
		enum isa_step step;
		uint8_t types[10];
		int rc;
	} cases[] = {
		{ISA_STEP_MAIN_1, {SA, VID, VID, VID, N, 200}, 0},
		{ISA_STEP_MAIN_1, {VID, SA}, CS_EPARSE},
		{ISA_STEP_MAIN_1, {SA, KE}, CS_EPARSE},
		{ISA_STEP_MAIN_1, {SA, 15}, CS_EPARSE},
		{ISA_STEP_MAIN_1, {SA, 33}, CS_EPARSE}, /* IKEv2's SA */
		{ISA_STEP_MAIN_1, {SA, ISA_PROPOSAL}, CS_EPARSE},
		{ISA_STEP_MAIN_1, {SA, ISA_NATD}, CS_EPARSE},
		{ISA_STEP_MAIN_3, {NO, KE, VID, ISA_NATD, ISA_NATD, ISA_NATD, ISA_CERTREQ}, 0},
		{ISA_STEP_MAIN_3, {KE, NO, ISA_NATD_DRAFT, ISA_NATD_DRAFT}, 0},
		{ISA_STEP_MAIN_3, {KE, NO, SA}, CS_EPARSE},
		{ISA_STEP_MAIN_3, {KE, NO, ID}, CS_EPARSE},
		{ISA_STEP_MAIN_5_PSK, {HA, ID, N, VID}, 0},
		{ISA_STEP_MAIN_5_PSK, {ID, HA, ISA_SIG}, CS_EPARSE},
		{ISA_STEP_MAIN_5_PSK, {ID, ISA_SIG}, CS_EPARSE},
		{ISA_STEP_MAIN_5_PSK, {ID, HA, D}, CS_EPARSE},
		{ISA_STEP_AGGR_1, {SA, ID, NO, KE, VID, N, ISA_CERTREQ, 200}, 0},
		{ISA_STEP_AGGR_1, {KE, SA, NO, ID}, CS_EPARSE},
		{ISA_STEP_AGGR_1, {SA, KE, NO, ID, HA}, CS_EPARSE},
		{ISA_STEP_AGGR_1, {SA, KE, NO, ID, ISA_NATD}, CS_EPARSE},
		{ISA_STEP_AGGR_1, {SA, KE, NO, ID, ISA_SIG}, CS_EPARSE},
		{ISA_STEP_AGGR_1, {SA, KE, NO, ID, D}, CS_EPARSE},
		{ISA_STEP_AGGR_2_PSK, {SA, HA, ID, NO, KE, VID, ISA_NATD, ISA_NATD}, 0},
		{ISA_STEP_AGGR_2_PSK, {SA, KE, NO, ID, HA, N, ISA_CERTREQ, ISA_NATD_DRAFT}, 0},
		{ISA_STEP_AGGR_2_PSK, {HA, SA, KE, NO, ID}, CS_EPARSE},
		{ISA_STEP_AGGR_2_PSK, {SA, KE, NO, ID, ISA_SIG}, CS_EPARSE},
		{ISA_STEP_AGGR_2_PSK, {SA, KE, NO, ID, HA, ISA_CERT}, CS_EPARSE},
		{ISA_STEP_AGGR_3_PSK, {VID, ISA_NATD, ISA_NATD, HA, N}, 0},
		{ISA_STEP_AGGR_3_PSK, {HA, ID}, CS_EPARSE},
		{ISA_STEP_MAIN_5_SIG, {ID, ISA_CERT, ISA_CERT, ISA_SIG, ISA_CERTREQ, N, VID}, 0},
		{ISA_STEP_MAIN_5_SIG, {ID, ISA_CERT}, CS_EPARSE},
		{ISA_STEP_MAIN_5_SIG, {ISA_CERT, ISA_SIG}, CS_EPARSE},
		{ISA_STEP_MAIN_5_SIG, {ID, ISA_SIG, ISA_SIG}, CS_EPARSE},
		{ISA_STEP_MAIN_5_SIG, {ID, ISA_SIG, HA}, CS_EPARSE},
		{ISA_STEP_MAIN_6_SIG, {ID, HA}, CS_EPARSE},
		{ISA_STEP_AGGR_2_SIG, {SA, KE, NO, ID, ISA_CERT, ISA_SIG, ISA_CERTREQ}, 0},
		{ISA_STEP_AGGR_2_SIG, {SA, KE, NO, ID, HA}, CS_EPARSE},
		{ISA_STEP_AGGR_3_SIG, {ISA_CERT, ISA_SIG, N}, 0},
		{ISA_STEP_AGGR_3_SIG, {ISA_CERT, ISA_SIG, ID}, CS_EPARSE},
		{ISA_STEP_AGGR_3_PSK, {HA, D}, CS_EPARSE},
		{ISA_STEP_QUICK_1, {HA, SA, NO, KE, ID, ID, N, ISA_NATOA, ISA_NATOA}, 0},
		{ISA_STEP_QUICK_1, {HA, SA, NO, ID}, CS_EPARSE},
		{ISA_STEP_QUICK_1, {HA, SA, NO, ID, ID, ID}, CS_EPARSE},
		{ISA_STEP_QUICK_1, {HA, SA, NO, KE, KE}, CS_EPARSE},
		{ISA_STEP_QUICK_1, {SA, HA, NO}, CS_EPARSE},
		{ISA_STEP_QUICK_1, {HA, NO, SA}, CS_EPARSE},
		{ISA_STEP_QUICK_1, {VID, HA, SA, NO}, CS_EPARSE},
		{ISA_STEP_QUICK_3, {HA, N}, CS_EPARSE},
		{ISA_STEP_QUICK_3, {HA, VID}, CS_EPARSE},
		{ISA_STEP_QUICK_4, {HA, N, N, VID}, 0},
		{ISA_STEP_QUICK_4, {HA}, CS_EPARSE},
		{ISA_STEP_QUICK_4, {HA, SA, N}, CS_EPARSE},
		{ISA_STEP_INFO_ENCRYPTED, {HA, D, D, N}, 0},
		{ISA_STEP_INFO_ENCRYPTED, {N, HA}, CS_EPARSE},
		{ISA_STEP_INFO_ENCRYPTED, {HA, VID}, CS_EPARSE},
		{ISA_STEP_INFO_ENCRYPTED, {HA, N, SA}, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, {D}, 0},
		{ISA_STEP_INFO_CLEAR, {VID}, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, {HA, N}, CS_EPARSE},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t data[2048];
		struct isa_message m;
		struct cs_err err = {0};
		int rc;

		build(cases[i].types, &m, data);
		rc = isa_step_check(&m, cases[i].step, &err);
		ck_assert_msg(rc == cases[i].rc, "case %zu, %s: %s", i,
			      isa_step_name(cases[i].step), err.text);
	}
}
END_TEST

START_TEST(test_step_shapes)
{
	static const struct {
		enum isa_step step;
		unsigned type;
		uint8_t head[8];
		unsigned len;
		int rc;
	} cases[] = {
		{ISA_STEP_MAIN_1, SA, {0}, 7, CS_EPARSE},
		{ISA_STEP_MAIN_1, SA, {0}, 8, 0},
		{ISA_STEP_MAIN_3, NO, {0}, 7, CS_EPARSE},
		{ISA_STEP_MAIN_3, NO, {0}, 8, 0},
		{ISA_STEP_MAIN_3, NO, {0}, 256, 0},
		{ISA_STEP_MAIN_3, NO, {0}, 257, CS_EPARSE},
		{ISA_STEP_MAIN_3, KE, {0}, 0, CS_EPARSE},
		{ISA_STEP_MAIN_5_PSK, ID, {0}, 3, CS_EPARSE},
		{ISA_STEP_MAIN_5_PSK, ID, {0}, 4, 0},
		{ISA_STEP_MAIN_5_PSK, HA, {0}, 0, CS_EPARSE},
		{ISA_STEP_MAIN_5_PSK, HA, {0}, 64, 0},
		{ISA_STEP_MAIN_5_PSK, HA, {0}, 65, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, N, {0}, 7, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, N, {0, 0, 0, 1, 3, 4}, 12, 0},
		{ISA_STEP_INFO_CLEAR, N, {0, 0, 0, 1, 3, 5}, 12, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, N, {0, 0, 0, 1, 3, 255}, 12, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, D, {0, 0, 0, 1, 3, 4, 0, 1}, 12, 0},
		{ISA_STEP_INFO_CLEAR, D, {0, 0, 0, 1, 3, 4, 0, 2}, 12, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, D, {0, 0, 0, 1, 3, 4, 0, 0}, 12, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, D, {0, 0, 0, 1, 3, 255, 255, 255}, 12, CS_EPARSE},
		{ISA_STEP_INFO_CLEAR, D, {0, 0, 0, 1, 1, 16, 0, 1}, 24, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t data[2048], body[512] = {0};
		const uint8_t *types = plain[cases[i].step];
		struct cs_err err = {0};
		struct isa_builder b;
		struct isa_header h;
		struct isa_message m;
		size_t len;
		bool placed = false;
		int rc;

		isa_begin(&b, data, sizeof(data), &base);
		for (; *types; types++) {
			if (*types != cases[i].type) {
				uint8_t good[64];
				size_t n = good_body(*types, good);

				/* Only the payload in question in Informational messages. */
				if (cases[i].step != ISA_STEP_INFO_CLEAR)
					isa_put(&b, *types, good, n);
				continue;
			}
			memcpy(body, cases[i].head, sizeof(cases[i].head));
			isa_put(&b, *types, body, cases[i].len);
			placed = true;
		}
		if (!placed) {
			memcpy(body, cases[i].head, sizeof(cases[i].head));
			isa_put(&b, cases[i].type, body, cases[i].len);
		}
		len = isa_end(&b, 0);
		ck_assert_int_eq(isa_header_parse(data, len, &h, NULL), 0);
		ck_assert_int_eq(isa_chain_parse(&h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN,
						 false, &m, NULL),
				 0);
		rc = isa_step_check(&m, cases[i].step, &err);
		ck_assert_msg(rc == cases[i].rc, "case %zu: %d %s", i, rc, err.text);
	}
}
END_TEST

START_TEST(test_find)
{
	static const uint8_t types[] = {HA, VID, N, VID, 0};
	uint8_t data[2048];
	struct isa_message m;

	build(types, &m, data);
	ck_assert_ptr_eq(isa_find(&m, VID, 0), &m.payloads[1]);
	ck_assert_ptr_eq(isa_find(&m, VID, 1), &m.payloads[3]);
	ck_assert_ptr_null(isa_find(&m, VID, 2));
	ck_assert_ptr_null(isa_find(&m, SA, 0));
	ck_assert_ptr_eq(m.payloads[1].body.p, m.payloads[1].whole.p + 4);
	ck_assert_uint_eq(m.payloads[1].body.len + 4, m.payloads[1].whole.len);
}
END_TEST

/* ---- building ---- */

START_TEST(test_build_padding)
{
	static const struct {
		size_t body, block, len;
	} cases[] = {
		{4, 0, 36}, {4, 8, 36}, {5, 8, 44}, {4, 16, 44}, {12, 16, 44}, {13, 16, 60},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		uint8_t data[128], body[32] = {0xee};
		struct isa_builder b;
		struct isa_message m;
		struct isa_header h;
		size_t len;

		memset(data, 0xaa, sizeof(data));
		isa_begin(&b, data, sizeof(data), &base);
		isa_put(&b, VID, body, cases[i].body);
		len = isa_end(&b, cases[i].block);
		ck_assert_uint_eq(len, cases[i].len);
		ck_assert_int_eq(isa_header_parse(data, len, &h, NULL), 0);
		ck_assert_int_eq(isa_chain_parse(&h, data + ISA_HEADER_LEN, len - ISA_HEADER_LEN,
						 true, &m, NULL),
				 0);
		ck_assert_uint_eq(m.used, cases[i].body + 4);
		for (size_t j = ISA_HEADER_LEN + m.used; j < len; j++)
			ck_assert_uint_eq(data[j], 0);
	}
}
END_TEST

START_TEST(test_build_overflow)
{
	static uint8_t big[ISA_MESSAGE_MAX], body[UINT16_MAX];
	struct isa_builder b;

	for (size_t cap = 0; cap < ISA_HEADER_LEN + 12; cap++) {
		isa_begin(&b, big, cap, &base);
		isa_put(&b, VID, body, 8);
		ck_assert_uint_eq(isa_end(&b, 0), 0);
	}
	isa_begin(&b, big, ISA_HEADER_LEN + 12, &base);
	isa_put(&b, VID, body, 8);
	ck_assert_uint_eq(isa_end(&b, 0), ISA_HEADER_LEN + 12);
	isa_begin(&b, big, ISA_HEADER_LEN + 12, &base);
	isa_put(&b, VID, body, 8);
	ck_assert_uint_eq(isa_end(&b, 16), 0); /* no room for the padding */
	isa_begin(&b, big, sizeof(big), &base);
	isa_put(&b, VID, body, UINT16_MAX - 3); /* one more than a payload can be */
	ck_assert_uint_eq(isa_end(&b, 0), 0);
}
END_TEST

START_TEST(test_names)
{
	ck_assert_str_eq(isa_exchange_name(ISA_QUICK), "Quick Mode");
	ck_assert_str_eq(isa_exchange_name(99), "unknown");
	ck_assert_str_eq(isa_payload_name(ISA_NATD), "NAT-D");
	ck_assert_str_eq(isa_payload_name(200), "private");
	ck_assert_str_eq(isa_payload_name(15), "unknown");
	ck_assert_str_eq(isa_notify_name(ISA_N_NO_PROPOSAL_CHOSEN), "NO-PROPOSAL-CHOSEN");
	ck_assert_str_eq(isa_notify_name(0), "unknown");
	ck_assert_str_eq(isa_step_name(ISA_STEP_QUICK_2), "Quick Mode message 2");
}
END_TEST

int main(void)
{
	Suite *s = suite_create("isakmp");
	TCase *c = tcase_create("all");

	tcase_add_test(c, test_header);
	tcase_add_test(c, test_header_lengths);
	tcase_add_test(c, test_header_cookies);
	tcase_add_test(c, test_header_message_id);
	tcase_add_test(c, test_chain);
	tcase_add_test(c, test_chain_bounds);
	tcase_add_test(c, test_step_plain);
	tcase_add_test(c, test_step_missing_and_double);
	tcase_add_test(c, test_step_added);
	tcase_add_test(c, test_step_shapes);
	tcase_add_test(c, test_find);
	tcase_add_test(c, test_build_padding);
	tcase_add_test(c, test_build_overflow);
	tcase_add_test(c, test_names);
	suite_add_tcase(s, c);
	return run_suite(s);
}
