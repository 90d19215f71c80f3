/* SA payloads: frame, attributes, matching against policy, and what is built. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/proposal.h"
#include "iked/sa_payload.h"
#include "tests/unit/run_suite.h"

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))

/* ---- policies ---- */

static struct pol_ke_offer ke_offer(const char *cipher, unsigned bits, const char *hash,
				    const char *group)
{
	struct pol_ke_offer o = {
		.cipher = cs_cipher_by_keyword(cipher, bits),
		.hash = cs_hash_by_keyword(hash),
		.group = cs_group_by_keyword(group),
		.auth = POL_AUTH_PSK,
		.life_seconds = {28800, 14400, 86400},
	};

	ck_assert(o.cipher && o.hash && o.group);
	return o;
}

static struct pol_data_offer esp_offer(const char *cipher, unsigned bits, const char *integ,
				       enum pol_encap encap)
{
	struct pol_data_offer o = {
		.encap = encap,
		.auth_proto = POL_ESP,
		.cipher = cipher ? cs_cipher_by_keyword(cipher, bits) : NULL,
		.integ = integ ? cs_integ_by_keyword(integ) : NULL,
		.life_seconds = {14400, 7200, 28800},
	};

	return o;
}

static struct pol_data_offer ah_offer(const char *integ, enum pol_encap encap)
{
	struct pol_data_offer o = esp_offer(NULL, 0, integ, encap);

	o.auth_proto = POL_AH;
	return o;
}

/* ---- bodies ---- */

struct raw_transform {
	uint8_t id;
	const char *attributes; /* hex with spaces */
};

static void put_hex(struct cs_writer *w, const char *hex)
{
	char compact[1024];
	uint8_t bytes[512];
	size_t n = 0;
	int len;

	for (; *hex; hex++)
		if (*hex != ' ')
			compact[n++] = *hex;
	compact[n] = '\0';
	len = cs_unhex(compact, bytes, sizeof(bytes));
	ck_assert_int_ge(len, 0);
	cs_put_bytes(w, bytes, (size_t)len);
}

static void put_proposal(struct ike_sa_builder *b, uint8_t number, uint8_t protocol,
			 const uint32_t *spi, const struct raw_transform *t, unsigned n)
{
	ike_sa_proposal_begin(b, number, protocol, spi);
	for (unsigned i = 0; i < n; i++) {
		ike_sa_transform_begin(b, (uint8_t)(i + 1), t[i].id);
		put_hex(b->w, t[i].attributes);
		ike_sa_transform_end(b);
	}
	ike_sa_proposal_end(b);
}

/* One proposal with one transform. */
static struct cs_bytes one(uint8_t protocol, const uint32_t *spi, uint8_t id,
			   const char *attributes)
{
	static uint8_t buffer[1024];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct raw_transform t = {id, attributes};
	struct ike_sa_builder b;

	ike_sa_begin(&b, &w);
	put_proposal(&b, 1, protocol, spi, &t, 1);
	ck_assert(cs_writer_ok(&w));
	return (struct cs_bytes){buffer, w.len};
}

#define P1_GOOD "80010007 800e0100 80020004 8004000e 80030001"
#define P1_LIFE "800b0001 800c7080"

static const uint32_t peer_spi = 0xc0ffee01;
static const struct ike_p2_spis own_spis = {0xabcdef01, 0xabcdef01, 0x0ff12345};

/* ---- the frame ---- */

START_TEST(test_frame)
{
	static const struct {
		const char *what;
		unsigned offset;
		uint8_t value;
		int rc;
	} cases[] = {
		{"unchanged", 0, 0, 0},
		{"DOI 0", 3, 0, CS_EUNSUPPORTED},
		{"DOI 2", 3, 2, CS_EUNSUPPORTED},
		{"no situation", 7, 0, CS_EUNSUPPORTED},
		{"secrecy", 7, 3, CS_EUNSUPPORTED},
		{"all situations", 4, 0xff, CS_EUNSUPPORTED},
		{"proposal followed by KE", 8, 4, CS_EPARSE},
		{"proposal that promises another", 8, 2, CS_EPARSE},
		{"proposal length 0", 11, 0, CS_EPARSE},
		{"proposal length 3", 11, 3, CS_EPARSE},
		{"proposal length 7", 11, 7, CS_EPARSE},
		{"proposal length one less", 11, 35, CS_EPARSE},
		{"proposal length one more", 11, 37, CS_EPARSE},
		{"proposal length huge", 10, 0xff, CS_EPARSE},
		{"SPI size 1", 14, 1, CS_EPARSE}, /* eats the transform's first byte */
		{"SPI size 16", 14, 16, CS_EPARSE},
		{"SPI size 17", 14, 17, CS_EPARSE},
		{"SPI size 255", 14, 255, CS_EPARSE},
		{"no transforms", 15, 0, CS_EPARSE},
		{"two transforms said", 15, 2, CS_EPARSE},
		{"255 transforms said", 15, 255, CS_EPARSE},
		{"transform that promises another", 16, 3, CS_EPARSE},
		{"transform followed by a proposal", 16, 2, CS_EPARSE},
		{"transform length 0", 19, 0, CS_EPARSE},
		{"transform length 7", 19, 7, CS_EPARSE},
		{"transform length one less", 19, 27, CS_EPARSE},
		{"transform length one more", 19, 29, CS_EPARSE},
		{"attribute past the end", 40, 0x00,
		 CS_EPARSE}, /* variable, its value its length */
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cs_bytes good = one(1, NULL, 1, P1_GOOD);
		struct ike_sa_payload sa;
		struct cs_err err = {0};
		uint8_t *exact = malloc(good.len);
		int rc;

		ck_assert_uint_eq(good.len, 44);
		memcpy(exact, good.p, good.len);
		exact[cases[i].offset] = cases[i].value;
		rc = ike_sa_parse((struct cs_bytes){exact, good.len}, &sa, &err);
		ck_assert_msg(rc == cases[i].rc, "%s: %d %s", cases[i].what, rc, err.text);
		free(exact);
	}
	/* Cut anywhere, it is refused. */
	for (size_t len = 0; len < 44; len++) {
		struct cs_bytes good = one(1, NULL, 1, P1_GOOD);
		struct ike_sa_payload sa;
		uint8_t *exact = malloc(len ? len : 1);

		memcpy(exact, good.p, len);
		ck_assert_int_eq(ike_sa_parse((struct cs_bytes){exact, len}, &sa, NULL), CS_EPARSE);
		free(exact);
	}
}
END_TEST

START_TEST(test_frame_limits)
{
	static uint8_t buffer[60000];
	struct ike_sa_payload sa;
	static const unsigned cases[][3] = {
		/* proposals, transforms of each, result */
		{64, 1, 0}, {65, 1, 1}, {4, 250, 0}, {5, 201, 1}, {1, 255, 0},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
		struct ike_sa_builder b;
		int rc;

		ike_sa_begin(&b, &w);
		for (unsigned p = 0; p < cases[i][0]; p++) {
			ike_sa_proposal_begin(&b, (uint8_t)(p + 1), 1, NULL);
			for (unsigned t = 0; t < cases[i][1]; t++) {
				ike_sa_transform_begin(&b, (uint8_t)(t + 1), 1);
				put_hex(&w, P1_GOOD);
				ike_sa_transform_end(&b);
			}
			ike_sa_proposal_end(&b);
		}
		ck_assert(cs_writer_ok(&w));
		rc = ike_sa_parse((struct cs_bytes){buffer, w.len}, &sa, NULL);
		ck_assert_int_eq(rc, cases[i][2] ? CS_ELIMIT : 0);
	}
}
END_TEST

/* ---- phase 1, as responder ---- */

START_TEST(test_p1_attributes)
{
	static const struct {
		const char *attributes;
		const char *why; /* NULL: accepted */
		uint64_t seconds, kbytes;
	} cases[] = {
		{P1_GOOD, NULL, 0, 0},
		{P1_GOOD P1_LIFE, NULL, 28800, 0},
		{P1_GOOD "800b0001 000c0004 00007080", NULL, 28800, 0},
		{P1_GOOD "800b0001 000c0008 0000000000007080", NULL, 28800, 0},
		{P1_GOOD "800b0001 000c0003 007080", NULL, 28800, 0},
		{P1_GOOD P1_LIFE "800b0002 800c1000", NULL, 28800, 4096},
		/* lifetimes */
		{P1_GOOD "800b0001 800c0000", "a duration is 0", 0, 0},
		{P1_GOOD "800b0001 000c0004 ffffffff", "lifetime 4294967295 s is outside", 0, 0},
		{P1_GOOD "800b0001 000c0008 ffffffffffffffff",
		 "lifetime 18446744073709551615 s is outside", 0, 0},
		{P1_GOOD "800b0001 000c0009 000000000000007080", "a duration has 9 bytes", 0, 0},
		{P1_GOOD "800b0001 000c0000", "a duration has 0 bytes", 0, 0},
		{P1_GOOD "800b0001 800c003c", "lifetime 60 s is outside 14400 to 86400", 0, 0},
		{P1_GOOD "800b0001", "a life type has no duration", 0, 0},
		{P1_GOOD "800c7080", "a duration has no life type", 0, 0},
		{P1_GOOD "800b0001 800b0002 800c7080", "a life type has no duration", 0, 0},
		{P1_GOOD P1_LIFE P1_LIFE, "a life type stands twice", 0, 0},
		{P1_GOOD "800b0003 800c7080", "life type 3 is not known", 0, 0},
		{P1_GOOD "000b0002 0001 800c7080", "the life type has the variable form", 0, 0},
		/* forms and repetitions */
		{P1_GOOD "80010007", "attribute 1 stands twice", 0, 0},
		{P1_GOOD "80030001", "attribute 3 stands twice", 0, 0},
		{P1_GOOD "00010002 0007", "", 0, 0},
		{"00010002 0007 800e0100 80020004 8004000e 80030001", "", 0, 0},
		{P1_GOOD "80050001", "attribute 5 is not supported", 0, 0},
		{P1_GOOD "800d0001", "attribute 13 is not supported", 0, 0},
		{P1_GOOD "ffff0001", "attribute 32767 is not supported", 0, 0},
		{P1_GOOD "40000000", "attribute 16384 is not supported", 0, 0},
		/* algorithms */
		{"80010007 80020004 8004000e 80030001", "", 0, 0},
		{"80010007 800e0000 80020004 8004000e 80030001", "", 0, 0},
		{"80010007 800e0001 80020004 8004000e 80030001", "", 0, 0},
		{"80010007 800e0007 80020004 8004000e 80030001", "", 0, 0},
		{"80010007 800e0080 80020004 8004000e 80030001", "", 0, 0},
		{"80010007 800effff 80020004 8004000e 80030001", "", 0, 0},
		{"80010005 800e00c0 80020002 80040002 80030001", "fixed length", 0, 0},
		{"80010005 80020002 80040002 80030001", NULL, 0, 0},
		{"80010001 80020001 80040001 80030001", "", 0, 0},
		{"80010007 800e0100 80020004 8004000e 80030004", "", 0, 0},
		{"80010007 800e0100 80020004 8004000e 80030005", "", 0, 0},
		{"80010007 800e0100 80020004 8004000e 8003fde9", "", 0, 0},
		{"80010007 800e0100 80020004 8004000e", "", 0, 0},
		{"80010007 800e0100 80020004 80048001 80030001", "", 0, 0},
		{"", "", 0, 0},
	};
	struct pol_ke_offer offers[] = {
		ke_offer("AES_CBC", 256, "SHA2_256", "Group14"),
		ke_offer("3DES", 0, "SHA1", "Group2"),
	};
	struct pol_ke_action action = {.offers = offers, .n_offers = COUNT(offers)};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cs_bytes body = one(1, NULL, 1, cases[i].attributes);
		struct ike_mismatch why = {""};
		struct ike_p1_suite suite;
		struct cs_err err = {0};
		unsigned offer = 99;
		int rc = ike_p1_choose(body, 0, &action, false, &suite, &offer, &why, &err);

		if (!cases[i].why) {
			ck_assert_msg(rc == 0, "%s: %s", cases[i].attributes, why.text);
			ck_assert_uint_lt(offer, COUNT(offers));
			ck_assert_uint_eq(suite.life_seconds, cases[i].seconds);
			ck_assert_uint_eq(suite.life_kbytes, cases[i].kbytes);
			continue;
		}
		ck_assert_msg(rc == CS_EPOLICY, "%s: %d %s", cases[i].attributes, rc, err.text);
		ck_assert_msg(strstr(why.text, cases[i].why) != NULL, "%s: %s", cases[i].attributes,
			      why.text);
	}
}
END_TEST

START_TEST(test_p1_order)
{
	/* The peer's order decides, not ours. */
	static const struct raw_transform t[] = {
		{1, "80010007 800e0080 80020002 80040002 80030001"},
		{1, "80010005 80020002 80040005 80030001" P1_LIFE},
		{1, P1_GOOD},
	};
	struct pol_ke_offer offers[] = {
		ke_offer("AES_CBC", 256, "SHA2_256", "Group14"),
		ke_offer("3DES", 0, "SHA1", "Group5"),
	};
	struct pol_ke_action action = {.offers = offers, .n_offers = COUNT(offers)};
	uint8_t buffer[512], answer[512];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct cs_writer a = cs_writer_of(answer, sizeof(answer));
	struct ike_sa_builder b;
	struct ike_p1_suite suite;
	struct cs_bytes expected;
	unsigned offer;
	char text[64];

	ike_sa_begin(&b, &w);
	put_proposal(&b, 7, 1, NULL, t, 3);
	ck_assert_int_eq(ike_p1_choose((struct cs_bytes){buffer, w.len}, 0, &action, false, &suite,
				       &offer, NULL, NULL),
			 0);
	ck_assert_uint_eq(offer, 1);
	ck_assert_uint_eq(suite.proposal, 7);
	ck_assert_uint_eq(suite.transform, 2);
	ck_assert_str_eq(ike_p1_suite_text(&suite, text, sizeof(text)), "3des-sha1-modp1536");
	ck_assert_int_eq(ike_p1_answer(&suite, &a, NULL), 0);
	expected = one(1, NULL, 1, "80010005 80020002 80040005 80030001" P1_LIFE);
	ck_assert_uint_eq(a.len, expected.len);
	answer[12] = 1; /* the numbers are the peer's, the rest is what we would have written */
	answer[20] = 1;
	ck_assert_mem_eq(answer, expected.p, a.len);
}
END_TEST

START_TEST(test_p1_mismatch_text)
{
	static const struct raw_transform t[] = {
		{1, "80010007 800e0080 80020002 80040002 80030001"},
		{1, "80010007 800e0080 80020002 80040002 80030001"},
		{1, "80010005 80020001 80040005 80030003"},
		{1, "80010063 80020009 80040063 80030001"},
	};
	struct pol_ke_offer offers[] = {ke_offer("AES_CBC", 256, "SHA2_256", "Group14")};
	struct pol_ke_action action = {.offers = offers, .n_offers = 1};
	uint8_t buffer[40000];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct ike_mismatch why;
	struct ike_sa_builder b;
	struct ike_p1_suite suite;
	unsigned offer;

	ike_sa_begin(&b, &w);
	put_proposal(&b, 1, 1, NULL, t, 4);
	ck_assert_int_eq(ike_p1_choose((struct cs_bytes){buffer, w.len}, 0, &action, false, &suite,
				       &offer, &why, NULL),
			 CS_EPOLICY);
	ck_assert_str_eq(why.text, "peer offered aes128-sha1-modp1024, 3des-md5-modp1536-rsasig, "
				   "cipher99/0-hash9-group99; rule accepts aes256-sha256-modp2048");

	/* Very many stay short. */
	w = cs_writer_of(buffer, sizeof(buffer));
	ike_sa_begin(&b, &w);
	ike_sa_proposal_begin(&b, 1, 1, NULL);
	for (unsigned i = 0; i < 250; i++) {
		ike_sa_transform_begin(&b, (uint8_t)i, 1);
		ike_sa_basic(&b, 1, (uint16_t)(100 + i));
		ike_sa_transform_end(&b);
	}
	ike_sa_proposal_end(&b);
	ck_assert_int_eq(ike_p1_choose((struct cs_bytes){buffer, w.len}, 0, &action, false, &suite,
				       &offer, &why, NULL),
			 CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(why.text, ", ...; rule accepts aes256-sha256-modp2048"));
}
END_TEST

START_TEST(test_p1_signature_offers)
{
	struct pol_ke_offer offers[] = {ke_offer("AES_CBC", 256, "SHA2_256", "Group14")};
	struct pol_ke_action action = {.name = "Gold", .offers = offers, .n_offers = 1};
	uint8_t buffer[256];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct ike_p1_suite suite;
	struct cs_err err = {0};
	unsigned offer;

	offers[0].auth = POL_AUTH_RSA;
	ck_assert_int_eq(ike_p1_offer(&action, false, -1, &w, &err), CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(err.text, "Gold"));
	ck_assert_int_eq(
		ike_p1_choose(one(1, NULL, 1, "80010007 800e0100 80020004 8004000e 80030003"), 0,
			      &action, false, &suite, &offer, NULL, NULL),
		CS_EPOLICY);
}
END_TEST

START_TEST(test_p1_other_protocols)
{
	struct pol_ke_offer offers[] = {ke_offer("AES_CBC", 256, "SHA2_256", "Group14")};
	struct pol_ke_action action = {.offers = offers, .n_offers = 1};
	struct ike_p1_suite suite;
	unsigned offer;

	ck_assert_int_eq(ike_p1_choose(one(3, NULL, 1, P1_GOOD), 0, &action, false, &suite, &offer,
				       NULL, NULL),
			 CS_EPOLICY);
	ck_assert_int_eq(ike_p1_choose(one(1, NULL, 2, P1_GOOD), 0, &action, false, &suite, &offer,
				       NULL, NULL),
			 CS_EPOLICY);
	/* An SPI in phase 1 is allowed and not used. */
	ck_assert_int_eq(ike_p1_choose(one(1, &peer_spi, 1, P1_GOOD), 0, &action, false, &suite,
				       &offer, NULL, NULL),
			 0);
}
END_TEST

/* ---- phase 1, as initiator ---- */

START_TEST(test_p1_round)
{
	struct pol_ke_offer offers[] = {
		ke_offer("AES_CBC", 256, "SHA2_256", "Group14"),
		ke_offer("AES_CBC", 128, "SHA1", "Group2"),
		ke_offer("3DES", 0, "MD5", "Group5"),
		ke_offer("AES_CBC", 192, "SHA2_512", "Group21"),
	};
	struct pol_ke_action action = {.offers = offers, .n_offers = COUNT(offers)};
	uint8_t sent[512], answer[512];

	offers[2].life_seconds = (struct pol_life){90000, 0, 0};
	offers[2].life_kbytes = (struct pol_life){0x100000, 0, 0};
	for (unsigned i = 0; i < COUNT(offers); i++) {
		struct pol_ke_action peer = {.offers = &offers[i], .n_offers = 1};
		struct cs_writer w = cs_writer_of(sent, sizeof(sent));
		struct cs_writer a = cs_writer_of(answer, sizeof(answer));
		struct ike_p1_suite theirs, ours;
		struct cs_err err = {0};
		unsigned offer;

		ck_assert_int_eq(ike_p1_offer(&action, false, -1, &w, &err), 0);
		ck_assert_int_eq(ike_p1_choose((struct cs_bytes){sent, w.len}, 0, &peer, false,
					       &theirs, &offer, NULL, &err),
				 0);
		ck_assert_uint_eq(theirs.transform, i + 1);
		ck_assert_uint_eq(theirs.life_seconds, offers[i].life_seconds.proposed);
		ck_assert_uint_eq(theirs.life_kbytes, offers[i].life_kbytes.proposed);
		ck_assert_int_eq(ike_p1_answer(&theirs, &a, &err), 0);
		ck_assert_int_eq(ike_p1_accept((struct cs_bytes){answer, a.len}, &action, false, -1,
					       &ours, &offer, &err),
				 0);
		ck_assert_uint_eq(offer, i);
		ck_assert_ptr_eq(ours.cipher, offers[i].cipher);
		ck_assert_uint_eq(ours.life_kbytes, theirs.life_kbytes);
	}
}
END_TEST

START_TEST(test_p1_accept)
{
	static const struct {
		const char *attributes;
		int rc;
		uint64_t seconds;
	} cases[] = {
		{P1_GOOD P1_LIFE, 0, 28800},
		{P1_GOOD, 0, 28800},                          /* said nothing: ours holds */
		{P1_GOOD "800b0001 800c3840", 0, 14400},      /* shorter, within Accepted */
		{P1_GOOD "800b0001 800c0e10", CS_EPOLICY, 0}, /* too short */
		{P1_GOOD "800b0001 000c0004 00015180", CS_EPOLICY, 0}, /* longer than proposed */
		{"80010007 800e0080 80020004 8004000e 80030001", CS_EPOLICY, 0}, /* shorter key */
		{"80010007 800e0100 80020004 80040002 80030001", CS_EPOLICY, 0}, /* other group */
		{"80010007 800e0100 80020004 8004000e 8003fde9", CS_EPOLICY, 0}, /* other method */
		{P1_GOOD "80040002", CS_EPOLICY, 0},
		{P1_GOOD "800d0001", CS_EPOLICY, 0},
	};
	struct pol_ke_offer offers[] = {ke_offer("AES_CBC", 256, "SHA2_256", "Group14")};
	struct pol_ke_action action = {.offers = offers, .n_offers = 1};
	static const struct raw_transform two[] = {{1, P1_GOOD}, {1, P1_GOOD}};
	uint8_t buffer[256];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct ike_sa_builder b;
	struct ike_p1_suite suite;
	unsigned offer;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cs_err err = {0};
		int rc = ike_p1_accept(one(1, NULL, 1, cases[i].attributes), &action, false, -1,
				       &suite, &offer, &err);

		ck_assert_msg(rc == cases[i].rc, "%s: %d %s", cases[i].attributes, rc, err.text);
		if (rc == 0)
			ck_assert_uint_eq(suite.life_seconds, cases[i].seconds);
	}
	ck_assert_int_eq(
		ike_p1_accept(one(3, NULL, 1, P1_GOOD), &action, false, -1, &suite, &offer, NULL),
		CS_EPARSE);
	/* Two transforms, and two proposals. */
	ike_sa_begin(&b, &w);
	put_proposal(&b, 1, 1, NULL, two, 2);
	ck_assert_int_eq(ike_p1_accept((struct cs_bytes){buffer, w.len}, &action, false, -1, &suite,
				       &offer, NULL),
			 CS_EPARSE);
	w = cs_writer_of(buffer, sizeof(buffer));
	ike_sa_begin(&b, &w);
	put_proposal(&b, 1, 1, NULL, two, 1);
	put_proposal(&b, 2, 1, NULL, two, 1);
	ck_assert_int_eq(ike_p1_accept((struct cs_bytes){buffer, w.len}, &action, false, -1, &suite,
				       &offer, NULL),
			 CS_EPARSE);
}
END_TEST

/* ---- phase 2 ---- */

#define ESP_GOOD "80010001 80023840 80040001 80050005 80060100"

START_TEST(test_p2_attributes)
{
	static const struct {
		uint8_t protocol, id;
		const char *attributes;
		const char *why; /* NULL: accepted */
		const char *text;
	} cases[] = {
		{3, 12, ESP_GOOD, NULL, "esp aes256-sha256 tunnel"},
		{3, 12, "80040001 80050005 80060100", NULL, "esp aes256-sha256 tunnel"},
		{3, 12, ESP_GOOD "8003000e", NULL, "esp aes256-sha256 tunnel pfs=modp2048"},
		{3, 12, ESP_GOOD "80030002", "AcceptablePfs does not have modp1024", NULL},
		{3, 12, ESP_GOOD "80038001", "AcceptablePfs does not have group32769", NULL},
		{3, 12, "80040003 80050005 80060100", "no UDP encapsulation", NULL},
		{3, 12, "8004f003 80050005 80060100", "no UDP encapsulation", NULL},
		{3, 12, "80040005 80050005 80060100", "", NULL},
		{3, 12, "80050005 80060100", "", NULL}, /* without a mode */
		{3, 12, "80040001 80060100", "", NULL}, /* without integrity */
		{3, 12, "80040001 80050005", "", NULL}, /* without a key length */
		{3, 12, "80040001 80050005 80060000", "", NULL},
		{3, 12, "80040001 80050005 80060007", "", NULL},
		{3, 12, "80040001 80050005 80060080", "", NULL},
		{3, 12, ESP_GOOD "800b0001", "attribute 11 is not supported", NULL},
		{3, 12, ESP_GOOD "80050005", "attribute 5 stands twice", NULL},
		{3, 12, "80010001 8002003c 80040001 80050005 80060100",
		 "lifetime 60 s is outside 7200 to 28800", NULL},
		{3, 3, "80040001 80050002 800600c0", "fixed length", NULL},
		{3, 3, "80040001 80050002", NULL, "esp 3des-sha1 tunnel"},
		{3, 20, "80040001 80060080", NULL, "esp aes128gcm16 tunnel"},
		{3, 20, "80040001 80060080 80050005", "", NULL}, /* AEAD with integrity */
		{3, 20, "80040001 80060000", "", NULL},
		{3, 23, "80040001 80060080", "", NULL}, /* GMAC */
		{3, 11, "80040001", "", NULL},          /* NULL and NULL */
		{3, 11, "80040001 80050005", NULL, "esp null-sha256 tunnel"},
		{3, 11, "80040001 80050005 80060080", "", NULL},
		{3, 12, "80040002 80050005 80060100", "",
		 NULL}, /* transport is not offered by it */
		{3, 12, "80040001 80050009 80060100", "", NULL},
		{2, 5, "80040002 80050005", NULL, "ah sha256 transport"},
		{2, 3, "80040002 80050005", "AH transform 3", NULL},
		{2, 5, "80040002", "", NULL}, /* AH without integrity */
		{2, 5, "80040002 80050005 80060100", "key length stands with AH", NULL},
		{4, 2, "80040001", "neither ESP nor AH", NULL}, /* IPCOMP */
	};
	uint16_t pfs[] = {POL_PFS_NONE, 14};
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL),
		esp_offer("3DES", 0, "HMAC_SHA1", POL_TUNNEL),
		esp_offer("AES_GCM_16", 128, NULL, POL_TUNNEL),
		esp_offer(NULL, 0, "HMAC_SHA2_256_128", POL_TUNNEL),
		ah_offer("HMAC_SHA2_256_128", POL_TRANSPORT),
	};
	struct pol_dynvpn_action action = {.offers = offers,
					   .n_offers = COUNT(offers),
					   .accept_pfs = pfs,
					   .n_accept_pfs = COUNT(pfs)};

	offers[0].life_seconds = (struct pol_life){14400, 7200, 28800};
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cs_bytes body =
			one(cases[i].protocol, &peer_spi, cases[i].id, cases[i].attributes);
		struct ike_mismatch why = {""};
		struct ike_p2_suite suite;
		struct cs_err err = {0};
		unsigned offer;
		char text[64];
		int rc = ike_p2_choose(body, &action, IKE_PATH_TRANSPORT, &suite, &offer, &why,
				       &err);

		if (!cases[i].why) {
			ck_assert_msg(rc == 0, "case %zu: %s", i, why.text);
			ck_assert_uint_eq(suite.spi, peer_spi);
			ck_assert_str_eq(ike_p2_suite_text(&suite, text, sizeof(text)),
					 cases[i].text);
			continue;
		}
		ck_assert_msg(rc == CS_EPOLICY, "case %zu: %d %s", i, rc, err.text);
		ck_assert_msg(strstr(why.text, cases[i].why) != NULL, "case %zu: %s", i, why.text);
	}
}
END_TEST

START_TEST(test_p2_spi)
{
	static const uint32_t spis[] = {0, 1, 255};
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL)};
	struct pol_dynvpn_action action = {.offers = offers, .n_offers = 1};
	struct ike_mismatch why;
	struct ike_p2_suite suite;
	unsigned offer;

	for (size_t i = 0; i < COUNT(spis); i++)
		ck_assert_int_eq(ike_p2_choose(one(3, &spis[i], 12, ESP_GOOD), &action,
					       IKE_PATH_TRANSPORT, &suite, &offer, &why, NULL),
				 CS_EPOLICY);
	ck_assert_int_eq(ike_p2_choose(one(3, NULL, 12, ESP_GOOD), &action, IKE_PATH_TRANSPORT,
				       &suite, &offer, &why, NULL),
			 CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(why.text, "the SPI is not allowed"));
}
END_TEST

START_TEST(test_p2_transport)
{
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TRANSPORT),
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL),
	};
	struct pol_dynvpn_action action = {.name = "Silver", .offers = offers, .n_offers = 1};
	struct cs_bytes body = one(3, &peer_spi, 12, "80040002 80050005 80060100");
	uint8_t buffer[256];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct ike_sa_payload sa;
	struct ike_mismatch why;
	struct ike_p2_suite suite;
	unsigned offer;

	ck_assert_int_eq(
		ike_p2_choose(body, &action, IKE_PATH_TRANSPORT, &suite, &offer, &why, NULL), 0);
	ck_assert_int_eq(ike_p2_choose(body, &action, 0, &suite, &offer, &why, NULL), CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(why.text, "transport mode needs"));
	ck_assert_int_eq(
		ike_p2_accept(body, &action, 0, IKE_PATH_TRANSPORT, -1, &suite, &offer, NULL), 0);
	ck_assert_int_eq(ike_p2_accept(body, &action, 0, 0, -1, &suite, &offer, NULL), CS_EPOLICY);
	ck_assert_int_eq(ike_p2_offer(&action, 0, 0, -1, &own_spis, &w, NULL), CS_EPOLICY);
	action.n_offers = 2;
	w = cs_writer_of(buffer, sizeof(buffer));
	ck_assert_int_eq(ike_p2_offer(&action, 0, 0, -1, &own_spis, &w, NULL), 0);
	ck_assert_int_eq(ike_sa_parse((struct cs_bytes){buffer, w.len}, &sa, NULL), 0);
	ck_assert_uint_eq(sa.n, 1);
	ck_assert_uint_eq(sa.proposals[0].n_transforms, 1);
}
END_TEST

/* Behind a NAT: ESP alone, in UDP, whatever numbers the peer has for that. */
START_TEST(test_p2_udp)
{
	static const struct {
		const char *attributes, *text; /* text NULL: why */
		enum ike_udp udp;
		const char *why;
	} cases[] = {
		{"80040003 80050005 80060100", "esp aes256-sha256 udp-tunnel", IKE_UDP_RFC, NULL},
		{"80040004 80050005 80060100", "esp aes256-sha256 udp-transport", IKE_UDP_RFC,
		 NULL},
		{"8004f003 80050005 80060100", "esp aes256-sha256 udp-tunnel", IKE_UDP_DRAFT, NULL},
		{"8004f004 80050005 80060100", "esp aes256-sha256 udp-transport", IKE_UDP_DRAFT,
		 NULL},
		{"80040001 80050005 80060100", "esp aes256-sha256 udp-tunnel", IKE_UDP_PLAIN, NULL},
		{"80040002 80050005 80060100", "esp aes256-sha256 udp-transport", IKE_UDP_PLAIN,
		 NULL},
		{"80040005 80050005 80060100", NULL, IKE_UDP_NONE, "encap5"},
	};
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL),
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TRANSPORT),
	};
	struct pol_dynvpn_action action = {.offers = offers, .n_offers = COUNT(offers)};
	const unsigned path = IKE_PATH_TRANSPORT | IKE_PATH_UDP;

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct cs_bytes body = one(3, &peer_spi, 12, cases[i].attributes);
		struct ike_mismatch why = {""};
		uint8_t buffer[256];
		struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
		struct ike_p2_suite suite, again;
		unsigned offer;
		char text[64];
		int rc = ike_p2_choose(body, &action, path, &suite, &offer, &why, NULL);

		if (!cases[i].text) {
			ck_assert_int_eq(rc, CS_EPOLICY);
			ck_assert_ptr_nonnull(strstr(why.text, cases[i].why));
			continue;
		}
		ck_assert_msg(rc == 0, "case %zu: %s", i, why.text);
		ck_assert_int_eq(suite.udp, cases[i].udp);
		ck_assert_str_eq(ike_p2_suite_text(&suite, text, sizeof(text)), cases[i].text);
		/* The answer has the peer's own number. */
		ck_assert_int_eq(ike_p2_answer(&suite, 0x1000, 0, &w, NULL), 0);
		ck_assert_int_eq(ike_p2_accept((struct cs_bytes){buffer, w.len}, &action, 0, path,
					       -1, &again, &offer, NULL),
				 0);
		ck_assert_int_eq(again.udp, cases[i].udp);
		ck_assert_int_eq(ike_p2_proposes(body, suite.encap), true);
		ck_assert_int_eq(ike_p2_proposes(body, suite.encap == POL_TUNNEL ? POL_TRANSPORT
										 : POL_TUNNEL),
				 false);
		/* Without a NAT only what is without UDP. */
		ck_assert_int_eq(ike_p2_choose(body, &action, IKE_PATH_TRANSPORT, &suite, &offer,
					       &why, NULL),
				 cases[i].udp == IKE_UDP_PLAIN ? 0 : CS_EPOLICY);
	}
}
END_TEST

START_TEST(test_p2_no_ah_through_nat)
{
	struct pol_data_offer offers[] = {
		ah_offer("HMAC_SHA2_256_128", POL_TUNNEL),
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL),
	};
	struct pol_dynvpn_action action = {.name = "Gold", .offers = offers, .n_offers = 1};
	uint8_t buffer[256];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
	struct ike_mismatch why = {""};
	struct ike_sa_payload sa;
	struct ike_p2_suite suite;
	struct cs_err err = {0};
	unsigned offer;

	ck_assert_int_eq(ike_p2_choose(one(2, &peer_spi, 5, "80040001 80050005"), &action,
				       IKE_PATH_UDP, &suite, &offer, &why, NULL),
			 CS_EPOLICY);
	ck_assert_msg(strstr(why.text, "AH does not get through a NAT") != NULL, "%s", why.text);
	ck_assert_int_eq(ike_p2_offer(&action, 0, IKE_PATH_UDP, -1, &own_spis, &w, &err),
			 CS_EPOLICY);
	ck_assert_ptr_nonnull(strstr(err.text, "through a NAT"));
	action.n_offers = 2;
	w = cs_writer_of(buffer, sizeof(buffer));
	ck_assert_int_eq(
		ike_p2_offer(&action, 0, IKE_PATH_UDP | IKE_PATH_DRAFT, -1, &own_spis, &w, NULL),
		0);
	ck_assert_int_eq(ike_sa_parse((struct cs_bytes){buffer, w.len}, &sa, NULL), 0);
	ck_assert_uint_eq(sa.n, 1);
	ck_assert_uint_eq(sa.proposals[0].protocol, POL_ESP);
	ck_assert_uint_eq(ike_p2_offer_needs(&action, IKE_PATH_UDP, -1).ah, 0);
	ck_assert_int_eq(ike_p2_choose((struct cs_bytes){buffer, w.len}, &action, IKE_PATH_UDP,
				       &suite, &offer, &why, NULL),
			 0);
	ck_assert_int_eq(suite.udp, IKE_UDP_DRAFT);
}
END_TEST

START_TEST(test_p2_bundles)
{
	static const struct raw_transform esp = {12, ESP_GOOD}, ah = {5, "80040001 80050005"};
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL)};
	struct pol_dynvpn_action action = {.offers = offers, .n_offers = 1};
	uint8_t buffer[512];
	struct ike_mismatch why;
	struct ike_p2_suite suite;
	struct ike_sa_builder b;
	unsigned offer;

	/*
	 * AH and ESP under one number are one offer, which is not taken in half, nor where ESP has
	 * an integrity of its own, too.
	 */
	for (unsigned third = 0; third < 2; third++) {
		struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));

		ike_sa_begin(&b, &w);
		put_proposal(&b, 1, 2, &peer_spi, &ah, 1);
		put_proposal(&b, 1, 3, &peer_spi, &esp, 1);
		if (third)
			put_proposal(&b, 2, 3, &peer_spi, &esp, 1);
		ck_assert_int_eq(ike_p2_choose((struct cs_bytes){buffer, w.len}, &action,
					       IKE_PATH_TRANSPORT, &suite, &offer, &why, NULL),
				 third ? 0 : CS_EPOLICY);
		if (third)
			ck_assert_uint_eq(suite.proposal, 2);
		else
			ck_assert_ptr_nonnull(strstr(why.text, "ah+esp aes256-sha256 tunnel"));
	}
}
END_TEST

static struct pol_data_offer bundle_offer(const char *cipher, unsigned bits, const char *integ,
					  enum pol_encap encap)
{
	struct pol_data_offer o = esp_offer(cipher, bits, integ, encap);

	o.auth_proto = POL_AH;
	return o;
}

#define ESP_BARE "80040001 80060100 " /* tunnel, 256 bits, no integrity */
#define AH_GOOD  "80040001 80050005 "

/* What stands under one number, and what becomes of it where the rule has a bundle. */
START_TEST(test_p2_bundle_choice)
{
	static const struct {
		struct {
			uint8_t protocol;
			struct raw_transform t[2];
			unsigned n;
		} part[3];
		const char *why; /* NULL: taken */
	} cases[] = {
		{{{2, {{5, AH_GOOD}}, 1}, {3, {{12, ESP_BARE}}, 1}}, NULL},
		{{{3, {{12, ESP_BARE}}, 1}, {2, {{5, AH_GOOD}}, 1}}, NULL},
		/* the second transform of each */
		{{{2, {{3, "80040001 80050002"}, {5, AH_GOOD}}, 2},
		  {3, {{3, "80040001"}, {12, ESP_BARE}}, 2}},
		 NULL},
		/* the group stands in both or in none */
		{{{2, {{5, AH_GOOD "8003000e"}}, 1}, {3, {{12, ESP_BARE "8003000e"}}, 1}}, NULL},
		{{{2, {{5, AH_GOOD}}, 1}, {3, {{12, ESP_BARE "8003000e"}}, 1}},
		 "differ in their group"},
		{{{2, {{5, "80040002 80050005"}}, 1}, {3, {{12, ESP_BARE}}, 1}},
		 "differ in their mode"},
		{{{2, {{5, AH_GOOD}}, 1}, {3, {{12, "80040001 80050005 80060100"}}, 1}},
		 "peer offered ah+esp aes256-sha256 tunnel; rule accepts ah+esp aes256-sha256 "
		 "tunnel"},
		{{{2, {{3, AH_GOOD}}, 1}, {3, {{12, ESP_BARE}}, 1}}, "AH transform 3"},
		{{{2, {{5, AH_GOOD "80010001 80020064"}}, 1}, {3, {{12, ESP_BARE}}, 1}},
		 "lifetime 100 s"},
		/* half of it */
		{{{3, {{12, ESP_BARE}}, 1}}, "peer offered esp aes256 tunnel"},
		{{{2, {{5, AH_GOOD}}, 1}}, "peer offered ah sha256 tunnel"},
		/* others */
		{{{3, {{12, ESP_BARE}}, 1}, {4, {{2, "80040001"}}, 1}}, "with IPComp"},
		{{{2, {{5, AH_GOOD}}, 1}, {3, {{12, ESP_BARE}}, 1}, {4, {{2, "80040001"}}, 1}},
		 "a bundle of protocols with IPComp"},
		{{{4, {{2, "80040001"}}, 1}}, "IPComp, which is neither ESP nor AH"},
		{{{3, {{12, ESP_BARE}}, 1}, {3, {{12, ESP_BARE}}, 1}},
		 "a bundle of protocols other than ESP with AH"},
	};
	uint16_t pfs[] = {POL_PFS_NONE, 14};
	struct pol_data_offer offers[] = {
		bundle_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL)};
	struct pol_dynvpn_action action = {
		.offers = offers, .n_offers = 1, .accept_pfs = pfs, .n_accept_pfs = 2};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ike_mismatch why = {""};
		struct ike_p2_suite suite;
		struct ike_sa_builder b;
		struct cs_err err = {0};
		uint8_t buffer[512];
		struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));
		unsigned offer;
		int rc;

		ike_sa_begin(&b, &w);
		for (unsigned k = 0; k < 3 && cases[i].part[k].n; k++) {
			uint32_t spi = peer_spi + k;

			put_proposal(&b, 7, cases[i].part[k].protocol, &spi, cases[i].part[k].t,
				     cases[i].part[k].n);
		}
		rc = ike_p2_choose((struct cs_bytes){buffer, w.len}, &action, IKE_PATH_TRANSPORT,
				   &suite, &offer, &why, &err);
		if (cases[i].why) {
			ck_assert_msg(rc == CS_EPOLICY, "case %zu: %d %s", i, rc, err.text);
			ck_assert_msg(strstr(why.text, cases[i].why) != NULL, "case %zu: %s", i,
				      why.text);
			continue;
		}
		ck_assert_msg(rc == 0, "case %zu: %s", i, why.text);
		ck_assert_int_eq(suite.protocol, POL_ESP);
		ck_assert_str_eq(suite.ah->suite, "sha256");
		ck_assert_ptr_null(suite.integ);
		ck_assert_int_eq(suite.esp_first, cases[i].part[0].protocol == 3);
		ck_assert_uint_eq(suite.spi, peer_spi + !suite.esp_first);
		ck_assert_uint_eq(suite.ah_spi, peer_spi + suite.esp_first);
		ck_assert_uint_eq(suite.proposal, 7);
		ck_assert_uint_eq(suite.transform, cases[i].part[1].n);
		ck_assert_uint_eq(suite.ah_transform, cases[i].part[1].n);
		ck_assert_uint_eq(ike_p2_keymat_len(&suite), 32);
		ck_assert_uint_eq(ike_p2_ah_keymat_len(&suite), 32);
	}
}
END_TEST

/* A proposal number with IPComp is passed over for another one, its ESP is not taken alone. */
START_TEST(test_p2_ipcomp)
{
	static const struct raw_transform esp = {12, ESP_GOOD}, comp = {2, "80040001"};
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL)};
	struct pol_dynvpn_action action = {.offers = offers, .n_offers = 1};
	struct ike_mismatch why = {""};
	struct ike_p2_suite suite;
	unsigned offer;

	for (unsigned third = 0; third < 2; third++) {
		struct ike_sa_builder b;
		uint8_t buffer[512];
		struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));

		ike_sa_begin(&b, &w);
		put_proposal(&b, 1, 3, &peer_spi, &esp, 1);
		put_proposal(&b, 1, 4, NULL, &comp, 1);
		put_proposal(&b, 2, 4, NULL, &comp, 1);
		if (third)
			put_proposal(&b, 3, 3, &peer_spi, &esp, 1);
		ck_assert_int_eq(ike_p2_choose((struct cs_bytes){buffer, w.len}, &action,
					       IKE_PATH_TRANSPORT, &suite, &offer, &why, NULL),
				 third ? 0 : CS_EPOLICY);
		if (third)
			ck_assert_uint_eq(suite.proposal, 3);
		else
			ck_assert_msg(strstr(why.text,
					     "peer offered a bundle of protocols with IPComp, "
					     "IPComp, which is neither ESP nor AH; rule accepts "),
				      "%s", why.text);
	}
}
END_TEST

/* Only what an offer takes is reserved. */
START_TEST(test_p2_needs)
{
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TRANSPORT),
		ah_offer("HMAC_SHA1", POL_TUNNEL),
		bundle_offer("3DES", 0, "HMAC_SHA1", POL_TUNNEL),
	};
	static const struct {
		bool transport;
		int only;
		bool esp, ah, bundled;
	} cases[] = {
		{true, -1, true, true, true},  {false, -1, false, true, true},
		{true, 0, true, false, false}, {true, 1, false, true, false},
		{true, 2, false, true, true},
	};
	struct pol_dynvpn_action action = {.offers = offers, .n_offers = COUNT(offers)};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct ike_p2_spis needs =
			ike_p2_offer_needs(&action, cases[i].transport, cases[i].only);

		ck_assert_int_eq(needs.esp != 0, cases[i].esp);
		ck_assert_int_eq(needs.ah != 0, cases[i].ah);
		ck_assert_int_eq(needs.bundled_esp != 0, cases[i].bundled);
	}
}
END_TEST

START_TEST(test_p2_round)
{
	struct pol_data_offer offers[] = {
		esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL),
		esp_offer("AES_GCM_16", 256, NULL, POL_TRANSPORT),
		ah_offer("HMAC_SHA2_384_192", POL_TUNNEL),
		esp_offer("3DES", 0, "HMAC_MD5", POL_TUNNEL),
		esp_offer(NULL, 0, "HMAC_SHA1", POL_TRANSPORT),
		bundle_offer("AES_CBC", 128, "HMAC_SHA2_256_128", POL_TRANSPORT),
		bundle_offer("3DES", 0, "HMAC_SHA1", POL_TUNNEL),
	};
	static const size_t keymat[] = {64, 36, 48, 40, 20, 16, 24};
	uint16_t pfs[] = {20};
	struct pol_dynvpn_action action = {
		.offers = offers, .n_offers = COUNT(offers), .accept_pfs = pfs, .n_accept_pfs = 1};
	uint8_t sent[1024], answer[512];

	offers[3].life_kbytes = (struct pol_life){4194300, 1, 4194300};
	for (int only = -1; only < (int)COUNT(offers); only++) {
		for (unsigned i = 0; i < COUNT(offers); i++) {
			struct pol_dynvpn_action peer = action;
			struct cs_writer w = cs_writer_of(sent, sizeof(sent));
			struct cs_writer a = cs_writer_of(answer, sizeof(answer));
			struct ike_p2_suite theirs, ours;
			struct cs_bytes body;
			struct cs_err err = {0};
			unsigned offer;

			peer.offers = &offers[i];
			peer.n_offers = 1;
			ck_assert_int_eq(ike_p2_offer(&action, 20, IKE_PATH_TRANSPORT, only,
						      &own_spis, &w, &err),
					 0);
			body = (struct cs_bytes){sent, w.len};
			if (only >= 0 && (int)i != only) {
				ck_assert_int_eq(ike_p2_choose(body, &peer, IKE_PATH_TRANSPORT,
							       &theirs, &offer, NULL, &err),
						 CS_EPOLICY);
				continue;
			}
			ck_assert_msg(ike_p2_choose(body, &peer, IKE_PATH_TRANSPORT, &theirs,
						    &offer, NULL, &err) == 0,
				      "%s", err.text);
			ck_assert_int_eq(ike_p2_offer_of(&action, IKE_PATH_TRANSPORT, &theirs),
					 (int)i);
			ck_assert_uint_eq(theirs.spi, i > 4 ? own_spis.bundled_esp : own_spis.esp);
			ck_assert_uint_eq(theirs.ah_spi, i > 4 ? own_spis.ah : 0);
			ck_assert_uint_eq(theirs.group, 20);
			ck_assert_uint_eq(ike_p2_keymat_len(&theirs), keymat[i]);
			if ((int)i == only) {
				ck_assert_uint_eq(theirs.proposal, 1);
				ck_assert_uint_eq(theirs.transform, 1);
			}
			ck_assert_int_eq(ike_p2_answer(&theirs, 0x10203040, 0x50607080, &a, &err),
					 0);
			body = (struct cs_bytes){answer, a.len};
			ck_assert_msg(ike_p2_accept(body, &action, 20, IKE_PATH_TRANSPORT, only,
						    &ours, &offer, &err) == 0,
				      "%s", err.text);
			ck_assert_int_eq(ike_p2_accept(body, &action, 20, IKE_PATH_TRANSPORT,
						       (int)i ? 0 : 1, &ours, &offer, NULL),
					 CS_EPOLICY);
			ike_p2_accept(body, &action, 20, IKE_PATH_TRANSPORT, only, &ours, &offer,
				      NULL);
			ck_assert_uint_eq(offer, i);
			ck_assert_uint_eq(ours.spi, 0x10203040);
			ck_assert_uint_eq(ours.ah_spi, i > 4 ? 0x50607080 : 0);
			ck_assert_uint_eq(ours.life_kbytes, offers[i].life_kbytes.proposed);
			/* The group is the one that we sent, nothing else. */
			ck_assert_int_eq(ike_p2_accept(body, &action, 0, IKE_PATH_TRANSPORT, -1,
						       &ours, &offer, NULL),
					 CS_EPOLICY);
		}
	}
}
END_TEST

START_TEST(test_p2_offers_not_made)
{
	struct pol_data_offer both = esp_offer("AES_CBC", 256, "HMAC_SHA2_256_128", POL_TUNNEL);
	struct pol_data_offer des = esp_offer("DES", 0, "HMAC_SHA1", POL_TUNNEL);
	struct pol_data_offer offers[2];
	struct pol_dynvpn_action action = {.offers = offers, .n_offers = 2};
	uint8_t buffer[256];
	struct cs_writer w = cs_writer_of(buffer, sizeof(buffer));

	both.auth_proto = POL_AH; /* authenticating twice, with AH and with GCM */
	both.cipher = cs_cipher_by_keyword("AES_GCM_16", 256);
	offers[0] = both;
	offers[1] = des;
	ck_assert_int_eq(ike_p2_offer(&action, 0, IKE_PATH_TRANSPORT, -1, &own_spis, &w, NULL),
			 CS_EPOLICY);
}
END_TEST

START_TEST(test_no_room)
{
	struct pol_ke_offer offers[] = {ke_offer("AES_CBC", 256, "SHA2_256", "Group14")};
	struct pol_ke_action action = {.offers = offers, .n_offers = 1};
	uint8_t buffer[64];

	for (size_t cap = 0; cap < 52; cap++) {
		struct cs_writer w = cs_writer_of(buffer, cap);

		ck_assert_int_eq(ike_p1_offer(&action, false, -1, &w, NULL), CS_ELIMIT);
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("proposal");
	TCase *c = tcase_create("all");

	tcase_add_test(c, test_frame);
	tcase_add_test(c, test_frame_limits);
	tcase_add_test(c, test_p1_attributes);
	tcase_add_test(c, test_p1_order);
	tcase_add_test(c, test_p1_mismatch_text);
	tcase_add_test(c, test_p1_signature_offers);
	tcase_add_test(c, test_p1_other_protocols);
	tcase_add_test(c, test_p1_round);
	tcase_add_test(c, test_p1_accept);
	tcase_add_test(c, test_p2_attributes);
	tcase_add_test(c, test_p2_spi);
	tcase_add_test(c, test_p2_transport);
	tcase_add_test(c, test_p2_udp);
	tcase_add_test(c, test_p2_no_ah_through_nat);
	tcase_add_test(c, test_p2_bundles);
	tcase_add_test(c, test_p2_bundle_choice);
	tcase_add_test(c, test_p2_ipcomp);
	tcase_add_test(c, test_p2_needs);
	tcase_add_test(c, test_p2_round);
	tcase_add_test(c, test_p2_offers_not_made);
	tcase_add_test(c, test_no_room);
	suite_add_tcase(s, c);
	return run_suite(s);
}
