/*
 * Mutated messages through every parser of the wire: whatever comes, the result is an error with a
 * text or something that holds together.  The seed is fixed; a number as argument replaces it.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/isakmp.h"
#include "iked/proposal.h"

#define ROUNDS      200000
#define MESSAGE_MAX 2048

static uint64_t state;

/* xorshift64*: the same numbers everywhere. */
static uint32_t random_below(uint32_t n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (uint32_t)(state * 2685821657736338717ull >> 32) % n;
}

/* ---- policies and the messages that are mutated ---- */

static struct pol_ke_offer ke_offers[3];
static struct pol_data_offer data_offers[4];
static uint16_t pfs[] = {POL_PFS_NONE, 14, 19};
static const struct pol_ke_action ke_action = {.offers = ke_offers, .n_offers = 3};
static const struct pol_dynvpn_action vpn_action = {
	.offers = data_offers, .n_offers = 4, .accept_pfs = pfs, .n_accept_pfs = 3};

static void make_policies(void)
{
	static const char *const hashes[] = {"SHA2_256", "SHA1", "SHA2_384"};
	static const char *const groups[] = {"Group14", "Group2", "Group20"};

	for (unsigned i = 0; i < 3; i++) {
		ke_offers[i].cipher =
			cs_cipher_by_keyword(i == 1 ? "3DES" : "AES_CBC", i == 1 ? 0 : 256);
		ke_offers[i].hash = cs_hash_by_keyword(hashes[i]);
		ke_offers[i].group = cs_group_by_keyword(groups[i]);
		ke_offers[i].auth = POL_AUTH_PSK;
		ke_offers[i].life_seconds = (struct pol_life){28800, 600, 86400};
	}
	for (unsigned i = 0; i < 4; i++) {
		data_offers[i].encap = i % 2 ? POL_TRANSPORT : POL_TUNNEL;
		data_offers[i].auth_proto = i == 3 ? POL_AH : POL_ESP;
		if (i < 3)
			data_offers[i].cipher =
				cs_cipher_by_keyword(i == 2 ? "AES_GCM_16" : "AES_CBC", 128);
		if (i != 2)
			data_offers[i].integ = cs_integ_by_keyword("HMAC_SHA2_256_128");
		data_offers[i].life_seconds = (struct pol_life){14400, 600, 86400};
		data_offers[i].life_kbytes = (struct pol_life){100000, 1, 4194300};
	}
}

static struct {
	uint8_t data[MESSAGE_MAX];
	size_t len;
	bool padded;
} corpus[6];

static void make_message(unsigned at, unsigned exchange, const uint8_t *types, size_t block)
{
	struct isa_header h = {
		.icookie = {1}, .rcookie = {2}, .version = 0x10, .exchange = (uint8_t)exchange};
	struct isa_builder b;

	h.message_id = exchange == ISA_MAIN ? 0 : 0x12345678;
	isa_begin(&b, corpus[at].data, MESSAGE_MAX, &h);
	for (; *types; types++) {
		isa_payload_begin(&b, *types);
		switch (*types) {
		case ISA_SA:
			if (exchange == ISA_QUICK)
				ike_p2_offer(&vpn_action, 14, true, -1, 0xc0ffee01, &b.w, NULL);
			else
				ike_p1_offer(&ke_action, &b.w, NULL);
			break;
		case ISA_DELETE:
			cs_put_u32(&b.w, 1);
			cs_put_u32(&b.w, 0x03040002);
			cs_put_zeros(&b.w, 8);
			break;
		case ISA_NOTIFY:
			cs_put_u32(&b.w, 1);
			cs_put_u32(&b.w, 0x03040000 | ISA_N_RESPONDER_LIFETIME);
			cs_put_zeros(&b.w, 16);
			break;
		default:
			cs_put_zeros(&b.w, 32);
		}
		isa_payload_end(&b);
	}
	corpus[at].len = isa_end(&b, block);
	corpus[at].padded = block > 0;
}

static void make_corpus(void)
{
	static const uint8_t main1[] = {ISA_SA, ISA_VENDOR, ISA_VENDOR, 0};
	static const uint8_t main3[] = {ISA_KE, ISA_NONCE, ISA_NATD, ISA_NATD, 0};
	static const uint8_t main5[] = {ISA_ID, ISA_HASH, ISA_NOTIFY, 0};
	static const uint8_t quick[] = {ISA_HASH, ISA_SA, ISA_NONCE, ISA_KE, ISA_ID, ISA_ID, 0};
	static const uint8_t last[] = {ISA_HASH, 0};
	static const uint8_t info[] = {ISA_HASH, ISA_DELETE, ISA_NOTIFY, 0};

	make_message(0, ISA_MAIN, main1, 0);
	make_message(1, ISA_MAIN, main3, 0);
	make_message(2, ISA_MAIN, main5, 16);
	make_message(3, ISA_QUICK, quick, 16);
	make_message(4, ISA_QUICK, last, 8);
	make_message(5, ISA_INFORMATIONAL, info, 16);
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
		if (at + n > *len || *len + n > MESSAGE_MAX)
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

/* ---- what must hold ---- */

static unsigned long accepted, chains;

#define HOLDS(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "%s:%d: %s does not hold\n", __FILE__, __LINE__,           \
				#condition);                                                       \
			exit(EXIT_FAILURE);                                                        \
		}                                                                                  \
	} while (0)

static void check_p1(struct cs_bytes body)
{
	struct ike_mismatch why = {""};
	struct ike_p1_suite suite, again;
	uint8_t answer[256];
	struct cs_writer w = cs_writer_of(answer, sizeof(answer));
	struct cs_err err = {0};
	unsigned offer;
	char text[64];
	int rc = ike_p1_choose(body, &ke_action, &suite, &offer, &why, &err);

	if (rc < 0) {
		HOLDS(err.text[0] && (rc != CS_EPOLICY || why.text[0]));
		return;
	}
	accepted++;
	HOLDS(offer < 3 && suite.cipher == ke_offers[offer].cipher &&
	      suite.hash == ke_offers[offer].hash && suite.group == ke_offers[offer].group);
	HOLDS(ike_p1_suite_text(&suite, text, sizeof(text))[0]);
	/* Our answer is one that an initiator with the peer's lifetimes takes. */
	HOLDS(ike_p1_answer(&suite, &w, &err) == 0);
	rc = ike_p1_choose((struct cs_bytes){answer, w.len}, &ke_action, &again, &offer, NULL,
			   &err);
	HOLDS(rc == 0 && again.life_seconds == suite.life_seconds &&
	      again.life_kbytes == suite.life_kbytes && again.transform == suite.transform);
}

static void check_p2(struct cs_bytes body)
{
	struct ike_mismatch why = {""};
	struct ike_p2_suite suite, again;
	uint8_t answer[256];
	struct cs_writer w = cs_writer_of(answer, sizeof(answer));
	struct cs_err err = {0};
	unsigned offer;
	char text[64];
	int rc = ike_p2_choose(body, &vpn_action, random_below(2), &suite, &offer, &why, &err);

	if (rc < 0) {
		HOLDS(err.text[0] && (rc != CS_EPOLICY || why.text[0]));
		return;
	}
	accepted++;
	HOLDS(offer < 4 && suite.spi >= 256 && suite.encap == data_offers[offer].encap);
	HOLDS(ike_p2_keymat_len(&suite) > 0 && ike_p2_keymat_len(&suite) <= 192);
	HOLDS(ike_p2_suite_text(&suite, text, sizeof(text))[0]);
	HOLDS(ike_p2_answer(&suite, 0x1000, &w, &err) == 0);
	rc = ike_p2_choose((struct cs_bytes){answer, w.len}, &vpn_action, true, &again, &offer,
			   NULL, &err);
	HOLDS(rc == 0 && again.life_seconds == suite.life_seconds && again.group == suite.group &&
	      again.transform == suite.transform && again.spi == 0x1000);
}

static void check_chain(const struct isa_message *m, const uint8_t *body, size_t len)
{
	const uint8_t *at = body;

	chains++;
	HOLDS(m->n_payloads <= ISA_PAYLOADS_MAX && m->used <= len);
	for (unsigned i = 0; i < m->n_payloads; i++) {
		const struct isa_payload *p = &m->payloads[i];

		HOLDS(p->whole.p == at && p->whole.len >= 4 && p->body.p == at + 4 &&
		      p->body.len == p->whole.len - 4);
		at += p->whole.len;
	}
	HOLDS(at == body + m->used);
	for (unsigned s = 0; s < ISA_STEP_N; s++) {
		struct cs_err err = {0};
		int rc = isa_step_check(m, (enum isa_step)s, &err);

		HOLDS(rc == 0 || err.text[0]);
		/* A handler of the step may use these without asking. */
		if (rc == 0 && (s == ISA_STEP_QUICK_1 || s == ISA_STEP_QUICK_2))
			HOLDS(isa_find(m, ISA_HASH, 0) == &m->payloads[0] &&
			      isa_find(m, ISA_SA, 0) == &m->payloads[1] &&
			      isa_find(m, ISA_NONCE, 0)->body.len <= ISA_NONCE_MAX);
	}
	for (unsigned i = 0; i < m->n_payloads; i++) {
		if (m->payloads[i].type != ISA_SA)
			continue;
		check_p1(m->payloads[i].body);
		check_p2(m->payloads[i].body);
	}
}

static void run(const uint8_t *data, size_t len, bool padded)
{
	struct isa_header h;
	struct isa_message m;
	struct cs_err err = {0};
	uint8_t *exact = malloc(len ? len : 1); /* so that a read past the end is seen */

	HOLDS(exact != NULL);
	memcpy(exact, data, len);
	if (isa_header_parse(exact, len, &h, &err) < 0 ||
	    isa_chain_parse(&h, exact + ISA_HEADER_LEN, len - ISA_HEADER_LEN, padded, &m, &err) < 0)
		HOLDS(err.text[0]);
	else
		check_chain(&m, exact + ISA_HEADER_LEN, len - ISA_HEADER_LEN);
	free(exact);
}

int main(int argc, char **argv)
{
	unsigned long long seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 20240229;

	state = seed * 2 + 1;
	make_policies();
	make_corpus();
	for (unsigned i = 0; i < 6; i++) {
		HOLDS(corpus[i].len > 0);
		run(corpus[i].data, corpus[i].len, corpus[i].padded);
	}
	HOLDS(chains == 6 && accepted == 2);
	for (unsigned round = 0; round < ROUNDS; round++) {
		unsigned which = random_below(6);
		uint8_t data[MESSAGE_MAX];
		size_t len = corpus[which].len;

		memcpy(data, corpus[which].data, len);
		for (unsigned n = 1 + random_below(3); n > 0 && len > 0; n--)
			mutate(data, &len);
		/* Mostly with a length that fits, so that the payloads are reached. */
		if (len >= ISA_HEADER_LEN && random_below(16) != 0) {
			struct cs_writer w = {data, len, len, false};

			cs_patch_u32(&w, 24, (uint32_t)len);
		}
		run(data, len, corpus[which].padded);
	}
	printf("seed %llu: %d messages, %lu chains, %lu offers accepted\n", seed, ROUNDS, chains,
	       accepted);
	return EXIT_SUCCESS;
}
