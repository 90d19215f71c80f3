/*
 * SMF records: the published examples, what is wrong with a record, times, EBCDIC, and that nothing
 * in a record is trusted.
 */
#include <check.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "smf/clock.h"
#include "smf/ebcdic.h"
#include "smf/smf.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/smf_sample.h"

static uint8_t record[SMF_BUILD_MAX];
static struct smf_record r;

static const char *text_of(enum smf_field field)
{
	static char text[256];

	smf_get_text(&r, field, SMF_IBM1047, text, sizeof(text));
	return text;
}

static const char *addr_of(enum smf_field field)
{
	static char text[CS_ADDR_STRLEN];
	struct cs_addr addr;

	return smf_get_addr(&r, field, &addr) ? cs_addr_text(&addr, text) : "absent";
}

static uint64_t number_of(enum smf_field field)
{
	uint64_t value;

	ck_assert_msg(smf_get_u64(&r, field, &value), "%s", smf_rows[field].name);
	return value;
}

static void decode(size_t len)
{
	struct cs_err err;

	ck_assert_msg(smf_decode(record, len, &r, &err) == 0, "%s", err.text);
}

/* ---- the published examples ---- */

START_TEST(test_ike_tunnel)
{
	int64_t us;

	ck_assert_uint_eq(smf_sample("73.hex", record), 402);
	decode(402);
	ck_assert_str_eq(smf_event(&r), "ike_tunnel_activated");
	ck_assert(smf_get_time(&r, &us));
	ck_assert_int_eq(us, 1768472430450000); /* 2026-01-15T10:20:30.45Z */
	ck_assert_str_eq(text_of(SMF_HDSID), "LNX1");
	ck_assert_str_eq(text_of(SMF_HDSSI), "TCP");
	ck_assert_str_eq(text_of(SMF_TI_SYS_NAME), "LNX1");
	ck_assert_str_eq(text_of(SMF_TI_SYSPLEX_NAME), "LOCAL");
	ck_assert_str_eq(text_of(SMF_TI_STACK), "TCPIP");
	ck_assert_str_eq(text_of(SMF_TI_RELEASE_ID), "LNX R01");
	ck_assert_str_eq(text_of(SMF_TI_COMP), "IKE");
	ck_assert_uint_eq(number_of(SMF_TI_ASID), 42);
	ck_assert_uint_eq(number_of(SMF_TI_REASON), 8);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_FLAGS), 0x44000000);
	ck_assert_str_eq(text_of(SMF_IKE_TUN_ID), "K12");
	ck_assert_str_eq(text_of(SMF_IKE_TUN_KEY_EXCH_RULE), "BranchA~1");
	ck_assert_str_eq(text_of(SMF_IKE_TUN_KEY_EXCH_ACTION), "Gold~IKE");
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_EXCH_MODE), 34);
	ck_assert_str_eq(addr_of(SMF_IKE_TUN_LCL_ENDPT), "192.0.2.1");
	ck_assert_str_eq(addr_of(SMF_IKE_TUN_RMT_ENDPT), "198.51.100.7");
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_RMT_UDP_PORT), 500);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_ENCRYPT_KEY_LEN), 256);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_I_COOKIE), 0x1122334455667788);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_LIFETIME), 28800);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_START_TIME), 1768472430);
	ck_assert_str_eq(text_of(SMF_LCL_ID), "gw1.example.com");
	ck_assert_str_eq(text_of(SMF_RMT_ID), "gw2.example.net");
	/* what another subtype has */
	ck_assert_str_eq(text_of(SMF_IP_TUN_ID), "");
	ck_assert_str_eq(addr_of(SMF_IP_TUN_LCL_ENDPT), "absent");
	record[124 + 152 + 3] = 2;
	ck_assert_str_eq(smf_event(&r), "ike_tunnel_refreshed");
}
END_TEST

START_TEST(test_dynamic_tunnel)
{
	ck_assert_uint_eq(smf_sample("75.hex", record), 591);
	decode(591);
	ck_assert_str_eq(smf_event(&r), "dynamic_tunnel_activated");
	ck_assert_str_eq(text_of(SMF_IP_TUN_ID), "Y7");
	ck_assert_str_eq(text_of(SMF_IP_TUN_VPN_ACTION), "Gold~VPN");
	ck_assert_str_eq(smf_value_name(SMF_IP_TUN_TYPE, number_of(SMF_IP_TUN_TYPE)), "ike");
	ck_assert_uint_eq(number_of(SMF_IP_TUN_AUTH_PROTO), 50);
	ck_assert_uint_eq(number_of(SMF_IP_TUN_INB_AUTH_SPI), 0xc0de0001);
	ck_assert_uint_eq(number_of(SMF_IP_TUN_OUTB_ENCRYPT_SPI), 0xbeef0002);
	ck_assert_uint_eq(number_of(SMF_IP_DYN_FLAGS), 0x02000000);
	ck_assert_uint_eq(number_of(SMF_IP_DYN_ACT_METHOD), 3);
	ck_assert_uint_eq(number_of(SMF_IP_DYN_DH_GROUP), 14);
	ck_assert_str_eq(text_of(SMF_IP_DYN_VPN_RULE), "");
	ck_assert_str_eq(text_of(SMF_IP_DYN_IKE_TUN_ID), "K12");
	ck_assert_str_eq(addr_of(SMF_IP_DYN_SRC_ADDR), "192.0.2.64");
	ck_assert_str_eq(addr_of(SMF_IP_DYN_DST_ADDR_END), "203.0.113.255");
	ck_assert_uint_eq(number_of(SMF_IP_DYN_DST_PORT_END), 65535);
	ck_assert_uint_eq(number_of(SMF_IP_DYN_LIFE_REFRESH), 1768485931);
	ck_assert_uint_eq(number_of(SMF_IP_DYN_IKE_EXT_STATE), 8);
	ck_assert_str_eq(text_of(SMF_LCL_CLIENT_ID), "192.0.2.64/26");
	ck_assert_str_eq(text_of(SMF_RMT_CLIENT_ID), "203.0.113.0/24");
	/* the flag makes IPv6 of the addresses of all its sections */
	record[140 + 96] = 0x80;
	memset(record + 140 + 104, 0, 16);
	memcpy(record + 140 + 104, (const uint8_t[]){0x20, 0x01, 0x0d, 0xb8}, 4);
	record[140 + 104 + 15] = 1;
	ck_assert_str_eq(addr_of(SMF_IP_TUN_LCL_ENDPT), "2001:db8::1");
	ck_assert_str_eq(addr_of(SMF_IP_DYN_SRC_ADDR), "c000:240::");
}
END_TEST

static const char *const samples[] = {"73.hex", "75.hex"};

START_TEST(test_again)
{
	uint8_t made[SMF_BUILD_MAX];
	size_t len = smf_sample(samples[_i], record);

	decode(len);
	ck_assert_uint_eq(smf_again(&r, made), len);
	ck_assert_mem_eq(made, record, len);
}
END_TEST

/* ---- lengths that do not fit ---- */

static void patch(size_t at, unsigned len, uint64_t value)
{
	while (len-- > 0) {
		record[at + len] = (uint8_t)value;
		value >>= 8;
	}
}

static const struct {
	size_t at;
	unsigned len;
	uint64_t value;
	size_t cut; /* bytes that are there; 0: all */
	enum cs_code code;
	const char *says;
} wrongs[] = {
	{5, 1, 30, 0, CS_EUNSUPPORTED, "type 30 is not 119"},
	{22, 2, 72, 0, CS_EUNSUPPORTED, "subtype 72 is not one of 73 to 80"},
	{22, 2, 81, 0, CS_EUNSUPPORTED, "subtype 81"},
	{4, 1, 0x1e, 0, CS_EUNSUPPORTED, "subtype -1"},
	{0, 2, 403, 0, CS_EPARSE, "it says 403 bytes and has 402"},
	{0, 2, 401, 0, CS_EPARSE, "it says 401 bytes and has 402"},
	{0, 2, 27, 27, CS_EPARSE, "27 bytes are no record of type 119, which has 28"},
	{0, 2, 5, 5, CS_EPARSE, "5 bytes are no record"},
	{0, 2, 0, 1, CS_EPARSE, "1 bytes are no record"},
	{2, 1, 1, 0, CS_EPARSE, "it is a segment"},
	{24, 2, 0, 0, CS_EPARSE, "it says that it has 0 triplets, in 402 bytes"},
	{24, 2, 60, 0, CS_EPARSE, "it says that it has 60 triplets, in 402 bytes"},
	{24, 2, 65535, 0, CS_EPARSE, "it says that it has 65535 triplets"},
	{52, 4, 400, 0, CS_EPARSE, "triplet 3: 1 times 15 bytes at 400 pass the end at 402"},
	{36, 4, 0xffffffff, 0, CS_EPARSE, "triplet 1: 1 times 248 bytes at 4294967295 pass"},
	{40, 2, 65535, 0, CS_EPARSE, "triplet 1: 1 times 65535 bytes at 124 pass"},
	{42, 2, 65535, 0, CS_EPARSE, "triplet 1: 65535 times 248 bytes at 124 pass"},
	{36, 4, 59, 0, CS_EPARSE,
	 "triplet 1: its section begins at 59, within the 60 bytes of header and triplets"},
	{36, 4, 0, 0, CS_EPARSE, "triplet 1: its section begins at 0"},
	{28, 4, 30, 0, CS_EPARSE, "triplet 0: its section begins at 30"},
};

START_TEST(test_wrong)
{
	size_t len = smf_sample("73.hex", record);
	struct smf_record before = {.len = 4711};
	struct cs_err err;
	uint8_t *exact;

	patch(wrongs[_i].at, wrongs[_i].len, wrongs[_i].value);
	len = wrongs[_i].cut ? wrongs[_i].cut : len;
	exact = malloc(len); /* so that a byte too far is seen */
	ck_assert_ptr_nonnull(exact);
	memcpy(exact, record, len);
	ck_assert_int_eq(smf_decode(exact, len, &before, &err), wrongs[_i].code);
	ck_assert_int_eq(err.code, wrongs[_i].code);
	ck_assert_msg(strstr(err.text, wrongs[_i].says) != NULL, "%s", err.text);
	ck_assert_uint_eq(before.len, 4711);
	ck_assert_int_eq(smf_decode(exact, len, &before, NULL), wrongs[_i].code);
	free(exact);
}
END_TEST

/* A shorter section has the fields that are whole in it, a longer one has all. */
START_TEST(test_section_lengths)
{
	uint64_t value;

	smf_sample("73.hex", record);
	patch(40, 2, 200);
	decode(402);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_RMT_AUTH_METH), 3); /* its byte 199 */
	ck_assert(!smf_get_u64(&r, SMF_IKE_TUN_AUTH_ALG, &value));
	ck_assert(!smf_get_u64(&r, SMF_IKE_TUN_REAUTH_TIME, &value));
	patch(40, 2, 199);
	decode(402);
	ck_assert(!smf_get_u64(&r, SMF_IKE_TUN_RMT_AUTH_METH, &value));
	patch(40, 2, 170); /* in the middle of an address */
	decode(402);
	ck_assert_str_eq(addr_of(SMF_IKE_TUN_LCL_ENDPT), "absent");
	patch(40, 2, 3); /* without the flags nobody knows what an address is */
	decode(402);
	ck_assert(!smf_get_u64(&r, SMF_IKE_TUN_FLAGS, &value));
	/* eight bytes more behind the tunnel section */
	smf_sample("73.hex", record);
	memmove(record + 380, record + 372, 30);
	memset(record + 372, 0xee, 8);
	patch(0, 2, 410);
	patch(40, 2, 256);
	patch(44, 4, 380);
	patch(52, 4, 395);
	decode(410);
	ck_assert_uint_eq(r.sections[SMF_S_IKE_TUNNEL].len, 256);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_LIFETIME), 28800);
	ck_assert_str_eq(text_of(SMF_RMT_ID), "gw2.example.net");
	ck_assert_str_eq(smf_event(&r), "ike_tunnel_activated");
}
END_TEST

/* Fewer triplets than known, more, absent ones, several instances, another order. */
START_TEST(test_triplets)
{
	smf_sample("73.hex", record);
	patch(24, 2, 2);
	decode(402);
	ck_assert_str_eq(text_of(SMF_IKE_TUN_ID), "K12");
	ck_assert_ptr_null(r.sections[SMF_S_LCL_ID].p);
	ck_assert_str_eq(text_of(SMF_LCL_ID), "");
	smf_sample("73.hex", record);
	memmove(record + 68, record + 60, 342);
	memset(record + 60, 0, 8); /* a fifth triplet that nobody knows */
	patch(0, 2, 410);
	patch(24, 2, 5);
	for (size_t at = 28; at < 60; at += 8)
		record[at + 3] = (uint8_t)(record[at + 3] + 8);
	decode(410);
	ck_assert_str_eq(text_of(SMF_RMT_ID), "gw2.example.net");
	patch(60, 4, 409);
	patch(64, 2, 2);
	patch(66, 2, 1); /* and that must fit all the same */
	ck_assert_int_eq(smf_decode(record, 410, &r, NULL), CS_EPARSE);
	smf_sample("73.hex", record);
	patch(36, 8, 0);
	decode(402);
	ck_assert_str_eq(text_of(SMF_IKE_TUN_ID), "");
	ck_assert_str_eq(text_of(SMF_LCL_ID), "gw1.example.com");
	ck_assert_str_eq(smf_event(&r), "ike_tunnel_activated");
	/* both identities in one section of two */
	smf_sample("73.hex", record);
	patch(50, 2, 2);
	decode(402);
	ck_assert_uint_eq(r.sections[SMF_S_LCL_ID].number, 2);
	ck_assert_str_eq(text_of(SMF_LCL_ID), "gw1.example.com");
	patch(48, 2, 0); /* of no bytes */
	decode(402);
	ck_assert_str_eq(text_of(SMF_LCL_ID), "");
	/* sections may share bytes with each other */
	smf_sample("73.hex", record);
	patch(52, 4, 372);
	decode(402);
	ck_assert_str_eq(text_of(SMF_RMT_ID), "gw1.example.com");
}
END_TEST

/* A negotiation that failed: nothing is known, and that is no error. */
START_TEST(test_unknown)
{
	struct cs_writer w = cs_writer_of(record, sizeof(record));
	struct smf_builder b;
	int64_t us;

	smf_build(&b, 76);
	ck_assert_int_eq(smf_finish(&b, &w, NULL), 0);
	decode(w.len);
	ck_assert_uint_eq(number_of(SMF_IP_TUN_STATE), 0);
	ck_assert_str_eq(text_of(SMF_IP_TUN_ID), "");
	ck_assert_str_eq(addr_of(SMF_IP_TUN_LCL_ENDPT), "0.0.0.0");
	ck_assert_ptr_null(r.sections[SMF_S_RMT_CLIENT_ID].p);
	ck_assert_str_eq(smf_event(&r), "dynamic_tunnel_ended");
	ck_assert(!smf_get_time(&r, &us));
}
END_TEST

/* ---- random ones ---- */

static uint64_t seed;

static void reseed(void)
{
	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	printf("test_smf: seed %llu\n", (unsigned long long)seed);
}

START_TEST(test_random)
{
	uint8_t made[SMF_BUILD_MAX];

	reseed();
	for (unsigned i = 0; i < 400; i++) {
		size_t len = smf_random(&seed, 73 + i % 8, record);

		decode(len);
		ck_assert_uint_eq(smf_again(&r, made), len);
		ck_assert_mem_eq(made, record, len);
	}
}
END_TEST

/* Reads all there is to read; whoever reads too far is seen by the sanitizer. */
static void read_all(const struct smf_record *decoded)
{
	char text[100];
	struct cs_bytes bytes;
	struct cs_addr addr;
	uint64_t value;
	int64_t us;

	for (unsigned f = 0; f < SMF_FIELDS; f++) {
		enum smf_field field = (enum smf_field)f;

		smf_get_u64(decoded, field, &value);
		smf_get_addr(decoded, field, &addr);
		ck_assert_uint_lt(
			smf_get_text(decoded, field, (enum smf_page)(f % 2), text, sizeof(text)),
			sizeof(text));
		if (smf_get_bytes(decoded, field, &bytes) && bytes.len)
			ck_assert(bytes.p >= decoded->p &&
				  bytes.p + bytes.len <= decoded->p + decoded->len);
	}
	smf_get_time(decoded, &us);
	ck_assert_ptr_nonnull(smf_event(decoded));
}

static void mutate(size_t *len)
{
	unsigned n = 1 + smf_rand(&seed) % 6;

	while (n-- > 0) {
		size_t at = smf_rand(&seed) % (smf_rand(&seed) % 2 ? 76 : *len);

		switch (smf_rand(&seed) % 4) {
		case 0:
			record[at] = (uint8_t)smf_rand(&seed);
			break;
		case 1:
			record[at] = smf_rand(&seed) % 2 ? 0xff : 0;
			break;
		case 2: /* a triplet */
			patch(28 + 8 * (size_t)(smf_rand(&seed) % 6) + 2, 2, smf_rand(&seed) % 700);
			break;
		default:
			*len = 1 + smf_rand(&seed) % *len;
		}
		if (*len < 80)
			return;
	}
}

START_TEST(test_mutations)
{
	unsigned good = 0, bad = 0;
	struct cs_err err;

	reseed();
	for (unsigned i = 0; i < 10000; i++) {
		size_t len = smf_random(&seed, 73 + i % 8, record);
		uint8_t *exact;

		mutate(&len);
		if (len >= 2 && smf_rand(&seed) % 4)
			patch(0, 2, len);
		exact = malloc(len);
		ck_assert_ptr_nonnull(exact);
		memcpy(exact, record, len);
		err.text[0] = '\0';
		if (smf_decode(exact, len, &r, &err) == 0) {
			good++;
			read_all(&r);
		} else {
			bad++;
			ck_assert_uint_gt(strlen(err.text), 0);
		}
		free(exact);
	}
	ck_assert_uint_gt(good, 1000);
	ck_assert_uint_gt(bad, 1000);
}
END_TEST

/* ---- time ---- */

static const struct {
	int64_t us;
	uint32_t clock, date;
} times[] = {
	{1768472430450000, 0x0038cf25, 0x0126015f}, /* 2026-01-15T10:20:30.45Z */
	{1735689599990000, 0x0083d5ff, 0x0124366f}, /* 2024-12-31T23:59:59.99Z */
	{946598400000000, 0, 0x0099365f},           /* 1999-12-31 */
	{946684800000000, 0, 0x0100001f},           /* 2000-01-01 */
	{0, 0, 0x0070001f},
	{-10000, 0x0083d5ff, 0x0069365f},
	{-2208988800000000, 0, 0x0000001f}, /* 1900-01-01 */
};

START_TEST(test_header_time)
{
	struct cs_writer w = cs_writer_of(record, sizeof(record));
	struct smf_builder b;
	int64_t us;

	smf_build(&b, 79);
	smf_put_time(&b, times[_i].us + 9999); /* what is finer is cut */
	ck_assert_int_eq(smf_finish(&b, &w, NULL), 0);
	decode(w.len);
	ck_assert_uint_eq(number_of(SMF_HD_TIME), times[_i].clock);
	ck_assert_uint_eq(number_of(SMF_HD_DATE), times[_i].date);
	ck_assert(smf_get_time(&r, &us));
	ck_assert_int_eq(us, times[_i].us);
}
END_TEST

START_TEST(test_bad_time)
{
	static const uint32_t dates[] = {0x1126015f, 0x012a015f, 0x0126000f, 0x0126366f,
					 0x0126015a, 0x01260159, 0x0124367f, 0x0f26015f,
					 0x01261b5f, 0xffffffff};
	int64_t us;

	for (size_t i = 0; i < sizeof(dates) / sizeof(dates[0]); i++) {
		smf_sample("73.hex", record);
		patch(10, 4, dates[i]);
		decode(402);
		/* any of A to F is a sign */
		ck_assert_msg(smf_get_time(&r, &us) == (dates[i] == 0x0126015a), "%08x", dates[i]);
	}
	smf_sample("73.hex", record);
	patch(6, 4, 8640000);
	decode(402);
	ck_assert(!smf_get_time(&r, &us));
}
END_TEST

START_TEST(test_tod)
{
	ck_assert_uint_eq(smf_tod_of(0), 0x7d91048bca000000);
	ck_assert_uint_eq(smf_tod_of(1768472430000000), 0xe217adbb8d780000);
	ck_assert_int_eq(smf_tod_us(0xe217adbb8d780000), 1768472430000000);
	ck_assert_int_eq(smf_tod_us(0x7d91048bca000fff), 0);
	ck_assert_int_eq(smf_tod_us(0), -2208988800000000);
	ck_assert_uint_eq(smf_tod_of(-2208988800000001), 0);
	ck_assert_int_eq(smf_tod_us(UINT64_MAX), INT64_C(0xfffffffffffff) - 2208988800000000);
}
END_TEST

/* Every day of some centuries, against the one before. */
START_TEST(test_calendar)
{
	static const unsigned months[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	unsigned month = 1, day = 1, m, d;
	int64_t year = 1900, y, back;

	for (int64_t days = SMF_DAYS_MIN; days <= SMF_DAYS_MAX; days++) {
		bool leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);

		smf_date_of(days, &y, &m, &d);
		ck_assert(y == year && m == month && d == day);
		ck_assert_int_eq(smf_days_of(y, m, d), days);
		ck_assert(smf_unpack_date(smf_pack_date(days), &back));
		ck_assert_int_eq(back, days);
		if (++day > months[month - 1] + (month == 2 && leap)) {
			day = 1;
			month = month % 12 + 1;
			year += month == 1;
		}
	}
	ck_assert_int_eq(year, 2900);
}
END_TEST

/* ---- EBCDIC ---- */

/* The tables say what iconv says, of every byte. */
START_TEST(test_pages)
{
	static const char *const names[] = {[SMF_IBM1047] = "IBM1047", [SMF_IBM037] = "IBM037"};

	for (unsigned page = 0; page < 2; page++) {
		iconv_t cd = iconv_open("UTF-8", names[page]);

		ck_assert(cd != (iconv_t)-1);
		for (unsigned i = 0; i < 256; i++) {
			uint8_t byte = (uint8_t)i;
			char in = (char)byte, out[8] = "", text[8];
			char *from = &in, *to = out;
			size_t left = 1, room = sizeof(out), n;

			ck_assert_uint_eq(iconv(cd, &from, &left, &to, &room), 0);
			n = smf_to_utf8((enum smf_page)page, &byte, 1, text, sizeof(text));
			ck_assert_uint_eq(n, sizeof(out) - room);
			ck_assert_mem_eq(text, out, n);
		}
		iconv_close(cd);
	}
}
END_TEST

START_TEST(test_utf8)
{
	static const struct {
		const char *text, *ebcdic;
		bool lossy, control;
	} cases[] = {
		{"A1 a", "\xc1\xf1\x40\x81", false, false},
		{"^[]~", "\x5f\xad\xbd\xa1", false, false},
		{"\xc3\xa4", "\x43", false, false},             /* a with dots */
		{"x\xe2\x82\xac", "\xa7\x6f", true, false},     /* euro */
		{"\xf0\x9f\x94\x92z", "\x6f\xa9", true, false}, /* beyond 16 bits */
		{"a\xc3", "\x81\x6f", true, false},             /* ends too soon */
		{"\xffq", "\x6f\x98", true, false},             /* no UTF-8 */
		{"\xc0\xafs", "\x6f\x6f\xa2", true, false},     /* a slash, too long */
		{"\xed\xa0", "\x6f\x6f", true, false},          /* half of a half */
		{"a\nb", NULL, false, true},
		{"a\x7f", NULL, false, true},
		{"\xc2\x85", NULL, false, true},
		{"ABCDEFGHIJKLMNOPQ",
		 "\xc1\xc2\xc3\xc4\xc5\xc6\xc7\xc8\xc9\xd1\xd2\xd3\xd4\xd5\xd6\xd7", true, false},
		{"", "", false, false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t to[16];
		size_t len;
		bool lossy = false;

		ck_assert_msg(smf_from_utf8(cases[i].text, to, sizeof(to), &len, &lossy) ==
				      !cases[i].control,
			      "case %zu", i);
		if (cases[i].control)
			continue;
		ck_assert_msg(lossy == cases[i].lossy, "case %zu", i);
		ck_assert_uint_eq(len, strlen(cases[i].ebcdic));
		ck_assert_mem_eq(to, cases[i].ebcdic, len);
	}
}
END_TEST

/* Cut where the buffer ends, but not within a character. */
START_TEST(test_text_room)
{
	char text[8];

	smf_sample("73.hex", record);
	decode(402);
	record[372] = 0x43; /* two bytes of UTF-8 */
	ck_assert_uint_eq(smf_get_text(&r, SMF_LCL_ID, SMF_IBM1047, text, 3), 2);
	ck_assert_str_eq(text, "\xc3\xa4");
	ck_assert_uint_eq(smf_get_text(&r, SMF_LCL_ID, SMF_IBM1047, text, 2), 0);
	ck_assert_str_eq(text, "");
	ck_assert_uint_eq(smf_get_text(&r, SMF_LCL_ID, SMF_IBM1047, text, 1), 0);
	ck_assert_uint_eq(smf_get_text(&r, SMF_LCL_ID, SMF_IBM1047, NULL, 0), 0);
	ck_assert_uint_eq(smf_get_text(&r, SMF_HDSID, SMF_IBM1047, text, sizeof(text)), 4);
	memset(record + 14, 0x40, 4);
	ck_assert_uint_eq(smf_get_text(&r, SMF_HDSID, SMF_IBM1047, text, sizeof(text)), 0);
	/* blanks within stay */
	ck_assert_str_eq(text_of(SMF_TI_RELEASE_ID), "LNX R01");
}
END_TEST

/* ---- what cannot be put ---- */

static struct smf_builder b;

static const char *finish(void)
{
	static struct cs_err err;
	struct cs_writer w = cs_writer_of(record, sizeof(record));

	if (smf_finish(&b, &w, &err) == 0)
		return "made";
	ck_assert_uint_eq(w.len, 0);
	return err.text;
}

START_TEST(test_wrong_puts)
{
	struct cs_addr v4, v6;

	ck_assert_int_eq(cs_addr_parse("192.0.2.1", &v4, NULL), 0);
	ck_assert_int_eq(cs_addr_parse("2001:db8::1", &v6, NULL), 0);
	smf_build(&b, 72);
	smf_put_u64(&b, SMF_TI_ASID, 1);
	smf_put_text(&b, SMF_LCL_ID, "x");
	smf_put_time(&b, 0);
	smf_put_addr(&b, SMF_IKE_TUN_LCL_ENDPT, &v4);
	ck_assert_str_eq(finish(), "subtype 72 is not one of 73 to 80");
	smf_build(&b, 73);
	smf_put_u64(&b, SMF_IP_TUN_STATE, 1);
	smf_put_text(&b, SMF_IKE_TUN_ID, "a\n"); /* the first one is told */
	ck_assert_str_eq(finish(), "subtype 73 has no IPTunState");
	smf_build(&b, 73);
	smf_put_text(&b, SMF_LCL_CLIENT_ID, "x");
	ck_assert_str_eq(finish(), "subtype 73 has no LclClientID");
	smf_build(&b, 73);
	smf_put_u64(&b, SMF_IKE_TUN_STATE, 256);
	ck_assert_str_eq(finish(), "IKETunState is smaller than what it is given");
	smf_build(&b, 73);
	smf_put_u64(&b, SMF_IKE_TUN_ID, 1);
	ck_assert_str_eq(finish(), "IKETunID is no number");
	smf_build(&b, 73);
	smf_put_u64(&b, SMF_IKE_TUN_RSVD1, 1);
	ck_assert_str_eq(finish(), "IKETunRsvd1 is no number");
	smf_build(&b, 73);
	smf_put_text(&b, SMF_IKE_TUN_STATE, "x");
	ck_assert_str_eq(finish(), "IKETunState is no text");
	smf_build(&b, 73);
	smf_put_text(&b, SMF_RMT_ID, "a\tb");
	ck_assert_str_eq(finish(), "RmtID would have a control character");
	smf_build(&b, 73);
	smf_put_addr(&b, SMF_IKE_TUN_STATE, &v4);
	ck_assert_str_eq(finish(), "IKETunState is no address");
	smf_build(&b, 75);
	smf_put_addr(&b, SMF_IP_TUN_LCL_ENDPT, &v4);
	smf_put_addr(&b, SMF_IP_DYN_SRC_ADDR, &v6);
	ck_assert_str_eq(finish(), "IPDynSrcAddr is of another family than an address before it");
	smf_build(&b, 73);
	smf_put_flag(&b, SMF_IKE_TUN_FLAGS, 32);
	ck_assert_str_eq(finish(), "IKETunFlags has no such bit");
	smf_build(&b, 73);
	smf_put_flag(&b, SMF_IKE_TUN_LIFETIME, 0);
	ck_assert_str_eq(finish(), "IKETunLifetime has no such bit");
	smf_build(&b, 73);
	smf_put_bytes(&b, SMF_IKE_TUN_I_COOKIE, "1234567", 7);
	ck_assert_str_eq(finish(), "IKETunICookie does not take so many bytes");
	smf_build(&b, 73);
	smf_put_time(&b, INT64_MAX);
	ck_assert_str_eq(finish(), "HDDate has no such year");
	smf_build(&b, 73);
	smf_put_time(&b, INT64_MIN);
	ck_assert_str_eq(finish(), "HDDate has no such year");
}
END_TEST

START_TEST(test_puts)
{
	char long_name[4000];
	struct cs_addr none = {0};
	struct cs_bytes bytes;

	smf_build(&b, 74);
	smf_put_flag(&b, SMF_IKE_TUN_FLAGS, 1);
	smf_put_flag(&b, SMF_IKE_TUN_FLAGS, 6);
	smf_put_bytes(&b, SMF_IKE_TUN_I_COOKIE, "\1\2\3\4\5\6\7\x8", 8);
	smf_put_text(&b, SMF_IKE_TUN_ID, "long before");
	smf_put_text(&b, SMF_IKE_TUN_ID, "K1");
	smf_put_addr(&b, SMF_IKE_TUN_RMT_ENDPT, &none);
	smf_put_text(&b, SMF_RMT_ID, "first");
	smf_put_text(&b, SMF_RMT_ID, "r");
	ck_assert(!b.lossy);
	ck_assert_str_eq(finish(), "made");
	decode(437);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_FLAGS), 0x42000000);
	ck_assert_uint_eq(number_of(SMF_IKE_TUN_I_COOKIE), 0x0102030405060708);
	ck_assert_str_eq(text_of(SMF_IKE_TUN_ID), "K1");
	ck_assert_str_eq(text_of(SMF_RMT_ID), "r");
	ck_assert_ptr_null(r.sections[SMF_S_LCL_ID].p);
	memset(long_name, 'x', sizeof(long_name) - 1);
	long_name[sizeof(long_name) - 1] = '\0';
	smf_build(&b, 74);
	smf_put_text(&b, SMF_IKE_TUN_ID, long_name);
	ck_assert(b.lossy);
	smf_put_text(&b, SMF_LCL_ID, long_name);
	smf_put_text(&b, SMF_RMT_ID, long_name);
	ck_assert_str_eq(finish(), "made");
	decode(436 + 2 * SMF_TEXT_MAX);
	ck_assert_uint_eq(strlen(text_of(SMF_IKE_TUN_ID)), 48);
	ck_assert(smf_get_bytes(&r, SMF_RMT_ID, &bytes));
	ck_assert_uint_eq(bytes.len, SMF_TEXT_MAX);
}
END_TEST

/* Records stand one after another; what has no room is not begun. */
START_TEST(test_writer)
{
	uint8_t room[600];
	struct cs_writer w = cs_writer_of(room, sizeof(room));
	struct cs_err err;

	smf_build(&b, 79);
	ck_assert_int_eq(smf_finish(&b, &w, &err), 0);
	ck_assert_int_eq(smf_finish(&b, &w, &err), 0);
	ck_assert_uint_eq(w.len, 552);
	ck_assert_mem_eq(room, room + 276, 276);
	ck_assert_int_eq(smf_finish(&b, &w, &err), CS_ELIMIT);
	ck_assert_str_eq(err.text, "no room for a record of 276 bytes");
	ck_assert_uint_eq(w.len, 552);
	ck_assert(cs_writer_ok(&w));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("smf");
	TCase *c = tcase_create("records");

	tcase_set_timeout(c, 600); /* of a machine that has much else to do */
	tcase_add_test(c, test_ike_tunnel);
	tcase_add_test(c, test_dynamic_tunnel);
	tcase_add_loop_test(c, test_again, 0, 2);
	tcase_add_loop_test(c, test_wrong, 0, sizeof(wrongs) / sizeof(wrongs[0]));
	tcase_add_test(c, test_section_lengths);
	tcase_add_test(c, test_triplets);
	tcase_add_test(c, test_unknown);
	tcase_add_test(c, test_random);
	tcase_add_test(c, test_mutations);
	tcase_add_loop_test(c, test_header_time, 0, sizeof(times) / sizeof(times[0]));
	tcase_add_test(c, test_bad_time);
	tcase_add_test(c, test_tod);
	tcase_add_test(c, test_calendar);
	tcase_add_test(c, test_pages);
	tcase_add_test(c, test_utf8);
	tcase_add_test(c, test_text_room);
	tcase_add_test(c, test_wrong_puts);
	tcase_add_test(c, test_puts);
	tcase_add_test(c, test_writer);
	suite_add_tcase(s, c);
	return run_suite(s);
}
