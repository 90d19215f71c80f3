/* Recomputes one negotiation: keys, IVs, hashes, KEYMAT; and what our proposal code makes of it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/crypto.h"
#include "iked/isakmp.h"
#include "iked/proposal.h"
#include "kat.h"

#define QUICK_MAX 8

struct quick { /* or another exchange under the phase 1 SA */
	uint32_t mid;
	unsigned n;
	uint8_t iv[IKE_BLOCK_MAX];
	struct cs_bytes ni, nr, sa[2]; /* of a Quick Mode */
	bool ke;
};

struct kat {
	struct kat_report *r;
	const json_t *doc, *ike;
	struct cs_addr initiator;
	bool psk;
	const struct cs_cipher *cipher;
	const struct cs_hash *hash;
	const struct cs_group *group;
	/* [0] the initiator's, [1] the responder's */
	struct cs_bytes sa[2], gx[2], nonce[2], id[2];
	uint8_t icookie[ISA_COOKIE_LEN], rcookie[ISA_COOKIE_LEN];
	uint8_t gxy[IKE_SECRET_MAX];
	size_t gxy_len;
	bool derived;
	uint8_t skeyid[IKE_HASH_MAX];
	struct ike_keys keys;
	uint8_t iv[IKE_BLOCK_MAX]; /* phase 1, running */
	unsigned phase1_messages, n_quick;
	struct quick quick[QUICK_MAX];
};

/* ---- JSON ---- */

/* Hex under a key, with or without 0x; the length, 0 when it is not there. */
static size_t hex_of(const json_t *o, const char *key, uint8_t *out, size_t cap)
{
	const char *text = json_string_value(json_object_get(o, key));
	int n;

	if (!text)
		return 0;
	n = cs_unhex(strncmp(text, "0x", 2) == 0 ? text + 2 : text, out, cap);
	return n < 0 ? 0 : (size_t)n;
}

static const char *text_of(const json_t *o, const char *key)
{
	const char *text = json_string_value(json_object_get(o, key));

	return text ? text : "";
}

static void compare(struct kat *k, const char *key, const uint8_t *got, size_t len)
{
	uint8_t want[IKE_SECRET_MAX];
	size_t n = hex_of(k->ike, key, want, sizeof(want));

	if (n == 0)
		kat_na(k->r, "%s: the JSON file does not have it", key);
	else
		kat_ok(k->r, n == len && memcmp(got, want, len) == 0, "%s", key);
}

/* ---- suites by their names ---- */

static bool take_word(const char **text, char *word, size_t size)
{
	size_t n = strcspn(*text, "-");

	if (n == 0 || n >= size)
		return false;
	memcpy(word, *text, n);
	word[n] = '\0';
	*text += n + ((*text)[n] == '-');
	return true;
}

static const struct cs_cipher *cipher_named(const char *suite, bool phase1)
{
	unsigned n;
	const struct cs_cipher *c = cs_ciphers(&n);

	for (unsigned i = 0; i < n; i++)
		if (strcmp(c[i].suite, suite) == 0 && (phase1 ? c[i].ike : c[i].esp))
			return &c[i];
	return NULL;
}

static bool find_ike_suite(struct kat *k)
{
	const char *text = text_of(k->doc, "ike_suite");
	char cipher[24], hash[24], group[24];
	const struct cs_hash *h;
	const struct cs_group *g;
	unsigned n;

	if (!take_word(&text, cipher, sizeof(cipher)) || !take_word(&text, hash, sizeof(hash)) ||
	    !take_word(&text, group, sizeof(group)))
		return false;
	k->cipher = cipher_named(cipher, true);
	h = cs_hashes(&n);
	for (unsigned i = 0; i < n; i++)
		if (strcmp(h[i].suite, hash) == 0)
			k->hash = &h[i];
	g = cs_groups(&n);
	for (unsigned i = 0; i < n; i++)
		if (strcmp(g[i].suite, group) == 0)
			k->group = &g[i];
	return k->cipher && k->hash && k->group;
}

static bool find_esp_suite(struct kat *k, struct pol_data_offer *o)
{
	const char *text = text_of(k->doc, "esp_suite");
	const json_t *first = json_array_get(json_object_get(k->doc, "sas"), 0);
	const struct cs_integ *in;
	char word[24];
	unsigned n;

	memset(o, 0, sizeof(*o));
	o->auth_proto = POL_ESP;
	o->encap = strcmp(text_of(first, "mode"), "transport") == 0 ? POL_TRANSPORT : POL_TUNNEL;
	if (!take_word(&text, word, sizeof(word)))
		return false;
	o->cipher = cipher_named(word, false);
	if (!o->cipher || o->cipher->icv_bits)
		return o->cipher != NULL;
	if (!take_word(&text, word, sizeof(word)))
		return false;
	in = cs_integs(&n);
	for (unsigned i = 0; i < n; i++)
		if (strcmp(in[i].suite, word) == 0)
			o->integ = &in[i];
	return o->integ != NULL;
}

/* ---- phase 1 ---- */

/* Once both public values and nonces are known. */
static void derive(struct kat *k)
{
	uint8_t skeyid_e[IKE_HASH_MAX];
	struct cs_bytes gxy = {k->gxy, k->gxy_len};
	const char *psk = json_string_value(json_object_get(k->doc, "psk"));
	struct cs_err err = {0};
	int rc;

	if (k->psk && psk) {
		struct cs_bytes b = {(const uint8_t *)psk, strlen(psk)};

		rc = ike_skeyid_psk(k->hash, b, k->nonce[0], k->nonce[1], k->skeyid, &err);
	} else {
		rc = ike_skeyid_sig(k->hash, gxy, k->nonce[0], k->nonce[1], k->skeyid, &err);
	}
	if (rc == 0)
		rc = ike_derive(k->hash, k->cipher, k->skeyid, gxy, k->icookie, k->rcookie,
				&k->keys, skeyid_e, &err);
	if (rc == 0)
		rc = ike_phase1_iv(k->hash, k->cipher, k->gx[0], k->gx[1], k->iv, &err);
	if (rc < 0) {
		kat_ok(k->r, false, "keys: %s", err.text);
		return;
	}
	compare(k, "SKEYID", k->skeyid, k->hash->len);
	compare(k, "SKEYID_d", k->keys.d, k->hash->len);
	compare(k, "SKEYID_a", k->keys.a, k->hash->len);
	compare(k, "SKEYID_e", skeyid_e, k->hash->len);
	compare(k, "Ka", k->keys.cipher, k->cipher->key_bits / 8u);
	compare(k, "iv", k->iv, k->cipher->block);
	k->derived = true;
}

static void check_auth(struct kat *k, const struct isa_message *m, int own)
{
	const struct isa_payload *hash = isa_find(m, ISA_HASH, 0);
	const uint8_t *cookies[2] = {k->icookie, k->rcookie};
	uint8_t want[IKE_HASH_MAX];
	char name = own == 0 ? 'I' : 'R';
	struct cs_err err = {0};

	if (!hash && !isa_find(m, ISA_SIG, 0))
		return;
	if (!k->derived || !k->id[own].p) {
		kat_ok(k->r, false, "HASH_%c: it came before what it covers", name);
		return;
	}
	if (ike_hash_auth(k->hash, k->skeyid, k->gx[own], k->gx[!own], cookies[own], cookies[!own],
			  k->sa[0], k->id[own], want, &err) < 0)
		kat_ok(k->r, false, "HASH_%c: %s", name, err.text);
	else if (hash)
		kat_ok(k->r,
		       hash->body.len == k->hash->len &&
			       memcmp(hash->body.p, want, k->hash->len) == 0,
		       "HASH_%c", name);
	else
		kat_check_signature(k->r, m, k->id[own], (struct cs_bytes){want, k->hash->len},
				    name);
}

/* A NAT-D hash of the packet's own addresses proves the form; behind a NAT some cannot match. */
static void check_natd(struct kat *k, const struct isa_message *m, const struct kat_message *raw)
{
	const struct cs_endpoint *ends[2] = {&raw->dst, &raw->src};
	const char *names[2] = {"destination", "source"};
	const struct isa_payload *p;

	for (unsigned i = 0; i < 2 && (p = isa_find(m, ISA_NATD, i)) != NULL; i++) {
		uint8_t want[IKE_HASH_MAX];
		bool same = ike_hash_natd(k->hash, m->header.icookie, m->header.rcookie, ends[i],
					  want, NULL) == 0 &&
			    p->body.len == k->hash->len &&
			    memcmp(p->body.p, want, k->hash->len) == 0;

		if (same)
			kat_ok(k->r, true, "NAT-D of message %u, %s", k->phase1_messages, names[i]);
		else
			kat_na(k->r, "NAT-D of message %u, %s: it was sent as another address",
			       k->phase1_messages, names[i]);
	}
}

static void collect(const struct isa_message *m, unsigned type, struct cs_bytes *to)
{
	const struct isa_payload *p = isa_find(m, type, 0);

	if (p)
		*to = p->body;
}

static bool decrypt(struct kat *k, const struct kat_message *raw, const struct isa_header *h,
		    uint8_t *iv, struct isa_message *m)
{
	uint8_t *body = raw->data + ISA_HEADER_LEN;
	size_t len = raw->len - ISA_HEADER_LEN;
	struct cs_err err = {0};

	if (ike_cbc(k->cipher, false, k->keys.cipher, iv, body, len, &err) < 0 ||
	    isa_chain_parse(h, body, len, true, m, &err) < 0) {
		kat_ok(k->r, false, "%s %08x: %s", isa_exchange_name(h->exchange), h->message_id,
		       err.text);
		return false;
	}
	return true;
}

static void check_rules(struct kat *k, const struct isa_message *m, enum isa_step step)
{
	struct cs_err err = {0};
	bool good = isa_step_check(m, step, &err) == 0;

	kat_ok(k->r, good, "payloads of %s%s%s", isa_step_name(step), good ? "" : ": ", err.text);
}

static void phase1(struct kat *k, const struct kat_message *raw, const struct isa_header *h,
		   int from)
{
	struct isa_message m;
	struct cs_err err = {0};

	if (h->flags & ISA_FLAG_ENCRYPTED) {
		if (!k->derived) {
			kat_ok(k->r, false, "an encrypted phase 1 message before its keys");
			return;
		}
		if (!decrypt(k, raw, h, k->iv, &m))
			return;
	} else if (isa_chain_parse(h, raw->data + ISA_HEADER_LEN, raw->len - ISA_HEADER_LEN, false,
				   &m, &err) < 0) {
		kat_ok(k->r, false, "phase 1 message: %s", err.text);
		return;
	}
	if (h->exchange == ISA_MAIN && k->phase1_messages < 6 && (k->psk || k->phase1_messages < 4))
		check_rules(k, &m, (enum isa_step)(ISA_STEP_MAIN_1 + k->phase1_messages));
	if (h->exchange == ISA_AGGRESSIVE && k->phase1_messages < 3 && k->psk)
		check_rules(k, &m, (enum isa_step)(ISA_STEP_AGGR_1 + k->phase1_messages));
	k->phase1_messages++;
	memcpy(k->icookie, h->icookie, ISA_COOKIE_LEN);
	memcpy(k->rcookie, h->rcookie, ISA_COOKIE_LEN);
	collect(&m, ISA_SA, &k->sa[from]);
	collect(&m, ISA_KE, &k->gx[from]);
	collect(&m, ISA_NONCE, &k->nonce[from]);
	collect(&m, ISA_ID, &k->id[from]);
	check_natd(k, &m, raw);
	if (!k->derived && k->gx[0].p && k->gx[1].p && k->nonce[0].p && k->nonce[1].p)
		derive(k);
	check_auth(k, &m, from);
}

/* ---- what comes under phase 1 ---- */

static struct quick *find_quick(struct kat *k, uint32_t mid)
{
	struct quick *q;

	for (unsigned i = 0; i < k->n_quick; i++)
		if (k->quick[i].mid == mid)
			return &k->quick[i];
	if (k->n_quick == QUICK_MAX)
		return NULL;
	q = &k->quick[k->n_quick];
	memset(q, 0, sizeof(*q));
	q->mid = mid;
	if (ike_phase2_iv(k->hash, k->cipher, k->iv, mid, q->iv, NULL) < 0)
		return NULL;
	k->n_quick++;
	return q;
}

static void check_hash(struct kat *k, struct quick *q, const struct isa_message *m,
		       const char *what)
{
	struct cs_bytes ni = {NULL, 0}, rest;
	const struct isa_payload *hash = &m->payloads[0];
	uint8_t want[IKE_HASH_MAX];
	bool third = m->header.exchange == ISA_QUICK && q->n == 2;

	if (m->n_payloads == 0 || hash->type != ISA_HASH) {
		kat_ok(k->r, false, "%s: HASH is not the first payload", what);
		return;
	}
	rest.p = hash->whole.p + hash->whole.len;
	rest.len = m->used - hash->whole.len;
	if (m->header.exchange == ISA_QUICK && q->n >= 1)
		ni = q->ni;
	if (third)
		rest = q->nr;
	kat_ok(k->r,
	       ike_hash_quick(k->hash, k->keys.a, q->mid, third, ni, rest, want, NULL) == 0 &&
		       hash->body.len == k->hash->len &&
		       memcmp(hash->body.p, want, k->hash->len) == 0,
	       "%s", what);
}

static void phase2(struct kat *k, const struct kat_message *raw, const struct isa_header *h)
{
	struct isa_message m;
	struct quick *q;
	char what[64];

	if (!(h->flags & ISA_FLAG_ENCRYPTED)) {
		kat_na(k->r, "%s %08x: it is not encrypted", isa_exchange_name(h->exchange),
		       h->message_id);
		return;
	}
	q = k->derived ? find_quick(k, h->message_id) : NULL;
	if (!q) {
		kat_ok(k->r, false, "%s %08x: no keys or too many exchanges",
		       isa_exchange_name(h->exchange), h->message_id);
		return;
	}
	if (!decrypt(k, raw, h, q->iv, &m))
		return;
	if (h->exchange == ISA_QUICK && q->n < 3) {
		check_rules(k, &m, (enum isa_step)(ISA_STEP_QUICK_1 + q->n));
		snprintf(what, sizeof(what), "HASH(%u) of Quick Mode %08x", q->n + 1, q->mid);
		if (q->n < 2) {
			collect(&m, ISA_SA, &q->sa[q->n]);
			collect(&m, ISA_NONCE, q->n == 0 ? &q->ni : &q->nr);
			q->ke |= isa_find(&m, ISA_KE, 0) != NULL;
		}
	} else {
		if (h->exchange == ISA_INFORMATIONAL)
			check_rules(k, &m, ISA_STEP_INFO_ENCRYPTED);
		snprintf(what, sizeof(what), "HASH(1) of %s %08x message %u",
			 isa_exchange_name(h->exchange), q->mid, q->n + 1);
	}
	check_hash(k, q, &m, what);
	q->n++;
}

/* ---- proposals ---- */

static void check_p1_proposals(struct kat *k)
{
	struct pol_ke_offer offer = {
		.cipher = k->cipher, .hash = k->hash, .group = k->group, .auth = POL_AUTH_PSK};
	struct pol_ke_action action = {.offers = &offer, .n_offers = 1};
	/* Aggressive Mode brings the public value with the offer, and so fixes the group. */
	size_t ke_len = strcmp(text_of(k->doc, "mode"), "aggr") == 0 ? k->gx[0].len : 0;
	struct ike_mismatch why = {""};
	struct ike_p1_suite suite;
	struct cs_err err = {0};
	unsigned index;

	if (strcmp(text_of(k->doc, "auth"), "psk") != 0) {
		kat_na(k->r, "phase 1 proposals: authentication by %s is not implemented",
		       text_of(k->doc, "auth"));
		return;
	}
	kat_ok(k->r,
	       ike_p1_choose(k->sa[0], ke_len, &action, true, &suite, &index, &why, &err) == 0,
	       "phase 1 offer is understood%s%s", why.text[0] ? ": " : "", why.text);
	kat_ok(k->r, ike_p1_accept(k->sa[1], &action, true, -1, &suite, &index, &err) == 0,
	       "phase 1 answer is understood%s%s", err.text[0] ? ": " : "", err.text);
}

static void check_p2_proposals(struct kat *k, const struct quick *q)
{
	uint16_t groups[] = {POL_PFS_NONE, 1, 2, 5, 14, 15, 16, 19, 20, 21, 24};
	struct pol_data_offer offer;
	struct pol_dynvpn_action action = {.offers = &offer,
					   .n_offers = 1,
					   .accept_pfs = groups,
					   .n_accept_pfs = sizeof(groups) / sizeof(groups[0])};
	const json_t *first = json_array_get(json_object_get(k->doc, "sas"), 0);
	struct ike_mismatch why = {""};
	struct ike_p2_suite suite = {0};
	struct cs_err err = {0};
	unsigned index;

	if (json_object_get(first, "encap")) {
		kat_na(k->r, "phase 2 proposals: UDP encapsulation is not implemented");
		return;
	}
	if (!find_esp_suite(k, &offer)) {
		kat_ok(k->r, false, "esp_suite \"%s\"", text_of(k->doc, "esp_suite"));
		return;
	}
	kat_ok(k->r,
	       ike_p2_choose(q->sa[0], &action, IKE_PATH_TRANSPORT, &suite, &index, &why, &err) ==
			       0 &&
		       (suite.group != POL_PFS_NONE) == q->ke,
	       "phase 2 offer is understood%s%s", why.text[0] ? ": " : "", why.text);
	kat_ok(k->r,
	       ike_p2_accept(q->sa[1], &action, suite.group, IKE_PATH_TRANSPORT, -1, &suite, &index,
			     &err) == 0,
	       "phase 2 answer is understood%s%s", err.text[0] ? ": " : "", err.text);
}

/* ---- KEYMAT ---- */

static bool has_spi(struct cs_bytes sa, const uint8_t *spi)
{
	return sa.p && memmem(sa.p, sa.len, spi, 4) != NULL;
}

static void check_keymat(struct kat *k, const json_t *sa)
{
	uint8_t spi[4], want[IKE_KEYMAT_MAX], got[IKE_KEYMAT_MAX];
	uint8_t protocol = strcmp(text_of(sa, "proto"), "ah") == 0 ? POL_AH : POL_ESP;
	const struct quick *q = NULL;
	const char *name = text_of(sa, "spi");
	struct cs_bytes none = {NULL, 0};
	size_t len;

	if (hex_of(sa, "spi", spi, sizeof(spi)) != 4) {
		kat_ok(k->r, false, "KEYMAT: an SA has no SPI");
		return;
	}
	for (unsigned i = 0; i < k->n_quick && !q; i++)
		if (has_spi(k->quick[i].sa[0], spi) || has_spi(k->quick[i].sa[1], spi))
			q = &k->quick[i];
	if (!q) {
		kat_ok(k->r, false, "KEYMAT: no Quick Mode has SPI %s", name);
		return;
	}
	if (q->ke) {
		kat_na(k->r, "KEYMAT of SPI %s: PFS, and g^xy of Quick Mode was not recorded",
		       name);
		return;
	}
	len = hex_of(sa, "aead_key", want, sizeof(want));
	if (len == 0) {
		len = hex_of(sa, "enc_key", want, sizeof(want));
		len += hex_of(sa, "auth_key", want + len, sizeof(want) - len);
	}
	kat_ok(k->r,
	       len > 0 &&
		       ike_keymat(k->hash, k->keys.d, none, protocol,
				  (uint32_t)spi[0] << 24 | (uint32_t)spi[1] << 16 |
					  (uint32_t)spi[2] << 8 | spi[3],
				  q->ni, q->nr, got, len, NULL) == 0 &&
		       memcmp(got, want, len) == 0,
	       "KEYMAT of SPI %s", name);
}

/* ---- all of it ---- */

void kat_check(struct kat_report *r, const json_t *doc, const struct kat_trace *trace)
{
	struct kat k = {.r = r, .doc = doc, .ike = json_object_get(doc, "ike")};
	const json_t *sas = json_object_get(doc, "sas");

	k.psk = strstr(text_of(doc, "auth"), "psk") != NULL;
	k.initiator = trace->messages[0].src.addr;
	k.gxy_len = hex_of(k.ike, "g_xy", k.gxy, sizeof(k.gxy));
	if (!find_ike_suite(&k) || k.gxy_len != k.group->secret_len) {
		kat_ok(r, false, "JSON: ike_suite or g_xy");
		return;
	}
	for (unsigned i = 0; i < trace->n; i++) {
		const struct kat_message *raw = &trace->messages[i];
		struct isa_header h;
		struct cs_err err = {0};

		if (isa_header_parse(raw->data, raw->len, &h, &err) < 0)
			kat_ok(r, false, "message %u: %s", i + 1, err.text);
		else if (h.exchange == ISA_MAIN || h.exchange == ISA_AGGRESSIVE)
			phase1(&k, raw, &h, !cs_addr_equal(&raw->src.addr, &k.initiator));
		else
			phase2(&k, raw, &h);
	}
	if (!k.derived) {
		kat_ok(r, false, "phase 1 is not complete");
		return;
	}
	check_p1_proposals(&k);
	for (unsigned i = 0; i < k.n_quick; i++)
		if (k.quick[i].sa[0].p && k.quick[i].sa[1].p)
			check_p2_proposals(&k, &k.quick[i]);
	if (json_array_size(sas) == 0)
		kat_na(r, "KEYMAT: the JSON file has no SAs");
	for (size_t i = 0; i < json_array_size(sas); i++)
		check_keymat(&k, json_array_get(sas, i));
}
