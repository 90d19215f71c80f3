/*
 * What must hold whatever comes over the wire: an error with a text, or something that fits
 * together. Whoever finds that it does not hold aborts, for a fuzzer to see.
 */
#include "tests/fuzz/wire_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/config_payload.h"
#include "tests/fuzz/holds.h"

/* ---- policies that offers are matched with ---- */

static struct pol_ke_offer ke_offers[3];
#define N_DATA 5 /* three of ESP, AH, and a bundle */
static struct pol_data_offer data_offers[N_DATA];
static uint16_t pfs[] = {POL_PFS_NONE, 14, 19};
const struct pol_ke_action wire_ke_action = {.offers = ke_offers, .n_offers = 3};
const struct pol_dynvpn_action wire_vpn_action = {
	.offers = data_offers, .n_offers = N_DATA, .accept_pfs = pfs, .n_accept_pfs = 3};

void wire_policies(void)
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
	for (unsigned i = 0; i < N_DATA; i++) {
		data_offers[i].encap = i % 2 ? POL_TRANSPORT : POL_TUNNEL;
		data_offers[i].auth_proto = i >= 3 ? POL_AH : POL_ESP;
		if (i != 3)
			data_offers[i].cipher =
				cs_cipher_by_keyword(i == 2 ? "AES_GCM_16" : "AES_CBC", 128);
		if (i != 2)
			data_offers[i].integ = cs_integ_by_keyword("HMAC_SHA2_256_128");
		data_offers[i].life_seconds = (struct pol_life){14400, 600, 86400};
		data_offers[i].life_kbytes = (struct pol_life){100000, 1, 4194300};
	}
}

/* ---- what must hold ---- */

static void check_p1(struct cs_bytes body, struct wire_count *count)
{
	struct ike_mismatch why = {""};
	struct ike_p1_suite suite, again;
	uint8_t answer[256];
	const struct cs_group *group;
	struct cs_writer w = cs_writer_of(answer, sizeof(answer));
	struct cs_err err = {0};
	unsigned offer;
	char text[64];
	int rc = ike_p1_choose(body, 0, &wire_ke_action, true, &suite, &offer, &why, &err);

	if (rc < 0) {
		HOLDS(err.text[0] && (rc != CS_EPOLICY || why.text[0]));
		return;
	}
	count->accepted++;
	HOLDS(offer < 3 && suite.cipher == ke_offers[offer].cipher &&
	      suite.hash == ke_offers[offer].hash && suite.group == ke_offers[offer].group);
	HOLDS(ike_p1_suite_text(&suite, text, sizeof(text))[0]);
	/* Along with a public value of its group, as in Aggressive Mode, the same is chosen. */
	group = suite.group;
	rc = ike_p1_choose(body, group->public_len, &wire_ke_action, true, &again, &offer, NULL,
			   &err);
	HOLDS(rc == 0 && again.group == group && again.transform == suite.transform);
	/* Our answer is one that an initiator with the peer's lifetimes takes. */
	HOLDS(ike_p1_answer(&suite, &w, &err) == 0);
	rc = ike_p1_choose((struct cs_bytes){answer, w.len}, 0, &wire_ke_action, true, &again,
			   &offer, NULL, &err);
	HOLDS(rc == 0 && again.life_seconds == suite.life_seconds &&
	      again.life_kbytes == suite.life_kbytes && again.transform == suite.transform);
}

static void check_p2(struct cs_bytes body, unsigned path, struct wire_count *count)
{
	struct ike_mismatch why = {""};
	struct ike_p2_suite suite, again;
	uint8_t answer[256];
	struct cs_writer w = cs_writer_of(answer, sizeof(answer));
	struct cs_err err = {0};
	unsigned offer;
	char text[64];
	int rc = ike_p2_choose(body, &wire_vpn_action, path, &suite, &offer, &why, &err);

	if (rc < 0) {
		HOLDS(err.text[0] && (rc != CS_EPOLICY || why.text[0]));
		return;
	}
	count->accepted++;
	HOLDS(offer < N_DATA && suite.spi >= 256 && suite.encap == data_offers[offer].encap);
	HOLDS(ike_p2_keymat_len(&suite) > 0 && ike_p2_keymat_len(&suite) <= 192);
	HOLDS(ike_p2_suite_text(&suite, text, sizeof(text))[0]);
	HOLDS(ike_p2_answer(&suite, 0x1000, 0x2000, &w, &err) == 0);
	rc = ike_p2_choose((struct cs_bytes){answer, w.len}, &wire_vpn_action,
			   path | IKE_PATH_TRANSPORT, &again, &offer, NULL, &err);
	HOLDS(rc == 0 && again.life_seconds == suite.life_seconds && again.group == suite.group &&
	      again.transform == suite.transform && again.spi == 0x1000 && again.ah == suite.ah &&
	      again.ah_spi == (suite.ah ? 0x2000 : 0) && again.udp == suite.udp);
	HOLDS(!suite.udp == !(path & IKE_PATH_UDP));
	HOLDS(!suite.udp || (suite.protocol == POL_ESP && !suite.ah));
}

/* As an initiator takes an answer: one of our offers, or an error. */
static void check_answer(struct cs_bytes body)
{
	struct ike_p1_suite p1;
	struct ike_p2_suite p2;
	struct cs_err err = {0};
	unsigned offer;
	int rc = ike_p1_accept(body, &wire_ke_action, true, -1, &p1, &offer, &err);

	HOLDS(rc < 0 ? err.text[0] != 0 : offer < 3 && p1.cipher == ke_offers[offer].cipher);
	err.text[0] = '\0';
	rc = ike_p2_accept(body, &wire_vpn_action, 14, IKE_PATH_TRANSPORT, -1, &p2, &offer, &err);
	HOLDS(rc < 0 ? err.text[0] != 0 : offer < N_DATA && p2.cipher == data_offers[offer].cipher);
}

void wire_check_sa(struct cs_bytes body, struct wire_count *count)
{
	check_p1(body, count);
	check_p2(body, IKE_PATH_TRANSPORT, count);
	check_p2(body, 0, count);
	check_p2(body, IKE_PATH_TRANSPORT | IKE_PATH_UDP, count);
	check_answer(body);
}

/* What is taken out lies within the payload. */
static void check_config(const struct isa_message *m)
{
	struct cs_bytes body = isa_find(m, ISA_ATTRIBUTES, 0)->body;
	struct ike_config c;
	struct cs_err err = {0};

	if (ike_config_read(m, &c, &err) < 0) {
		HOLDS(err.text[0]);
		return;
	}
	HOLDS(!c.has_user ||
	      (c.user.p >= body.p + 4 && c.user.p + c.user.len <= body.p + body.len));
	HOLDS(!c.has_password ||
	      (c.password.p >= body.p + 4 && c.password.p + c.password.len <= body.p + body.len));
}

static void check_chain(const struct isa_message *m, const uint8_t *body, size_t len,
			struct wire_count *count)
{
	const uint8_t *at = body;

	count->chains++;
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
		if (rc == 0 && (s == ISA_STEP_AGGR_1 || s == ISA_STEP_AGGR_2_PSK))
			HOLDS(isa_find(m, ISA_SA, 0) == &m->payloads[0] &&
			      isa_find(m, ISA_KE, 0)->body.len > 0 &&
			      isa_find(m, ISA_ID, 0)->body.len >= 4 &&
			      isa_find(m, ISA_NONCE, 0)->body.len <= ISA_NONCE_MAX);
		if (rc == 0 && (s == ISA_STEP_MAIN_5_SIG || s == ISA_STEP_MAIN_6_SIG ||
				s == ISA_STEP_AGGR_2_SIG || s == ISA_STEP_AGGR_3_SIG)) {
			const struct isa_payload *cert;

			HOLDS(isa_find(m, ISA_SIG, 0)->body.len > 0 &&
			      isa_find(m, ISA_SIG, 0)->body.len <= 1024);
			for (unsigned i = 0; (cert = isa_find(m, ISA_CERT, i)); i++)
				HOLDS(i < ISA_CERTS_MAX && cert->body.len >= 2);
		}
		if (rc == 0 && s == ISA_STEP_TRANSACTION)
			check_config(m);
		if (rc == 0 && s == ISA_STEP_FRAGMENT)
			HOLDS(m->n_payloads == 1 && m->payloads[0].type == ISA_FRAGMENT &&
			      m->payloads[0].body.len > 4);
		if (rc == 0 && s != ISA_STEP_FRAGMENT)
			HOLDS(!isa_find(m, ISA_FRAGMENT, 0));
		if (rc == 0 && (s == ISA_STEP_AGGR_2_PSK || s == ISA_STEP_AGGR_3_PSK))
			HOLDS(isa_find(m, ISA_HASH, 0)->body.len > 0 &&
			      isa_find(m, ISA_HASH, 0)->body.len <= 64);
	}
	for (unsigned i = 0; i < m->n_payloads; i++)
		if (m->payloads[i].type == ISA_SA)
			wire_check_sa(m->payloads[i].body, count);
}

void wire_check_chain(const struct isa_header *h, const uint8_t *body, size_t len, bool padded,
		      struct wire_count *count)
{
	struct isa_message m;
	struct cs_err err = {0};

	if (isa_chain_parse(h, body, len, padded, &m, &err) < 0)
		HOLDS(err.text[0]);
	else
		check_chain(&m, body, len, count);
}

void wire_check_message(const uint8_t *data, size_t len, bool padded, struct wire_count *count)
{
	struct isa_header h;
	struct cs_err err = {0};
	uint8_t *exact = malloc(len ? len : 1); /* so that a read past the end is seen */

	HOLDS(exact != NULL);
	memcpy(exact, data, len);
	if (isa_header_parse(exact, len, &h, &err) < 0)
		HOLDS(err.text[0]);
	else
		wire_check_chain(&h, exact + ISA_HEADER_LEN, len - ISA_HEADER_LEN, padded, count);
	free(exact);
}
