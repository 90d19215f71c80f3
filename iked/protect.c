/*
 * The one place that turns ciphertext into payloads and back (RFC 2409 section 5, appendix B).
 * What ike_open() gives out is decrypted, well formed, has the payloads of its step and a HASH that
 * is right (a signature is checked later); until then neither the caller's IV nor anything else has
 * changed.
 */
#include <string.h>

#include "iked/engine_private.h"

#define HASH_AT (ISA_HEADER_LEN + 4) /* the HASH is the first payload of what we build */

static struct cs_bytes nonce_bytes(const struct ike_nonce *n)
{
	return n ? (struct cs_bytes){n->data, n->len} : (struct cs_bytes){NULL, 0};
}

/*
 * Of a fourth message of Quick Mode: prf(SKEYID_a, M-ID | Ni_b | Nr_b | what follows), as
 * draft-ietf-ipsec-ike-01 has it and peers do it; RFC 2409 says nothing.
 */
static int hash4(const struct ike_p1 *p1, uint32_t mid, const struct ike_nonce *ni,
		 const struct ike_nonce *nr, struct cs_bytes rest,
		 uint8_t hash[static IKE_HASH_MAX], struct cs_err *err)
{
	uint8_t both[2 * ISA_NONCE_MAX];
	struct cs_writer w = cs_writer_of(both, sizeof(both));

	cs_put_bytes(&w, ni->data, ni->len);
	cs_put_bytes(&w, nr->data, nr->len);
	return ike_hash_quick(p1->suite.hash, p1->keys->a, mid, false,
			      (struct cs_bytes){both, w.len}, rest, hash, err);
}

/* What the HASH payload of this message must be. rest: what follows that payload in the chain. */
static int expected_hash(const struct ike_p1 *p1, const struct isa_message *m, enum isa_step step,
			 const struct ike_nonce *ni, const struct ike_nonce *nr,
			 struct cs_bytes rest, uint8_t hash[static IKE_HASH_MAX],
			 struct cs_err *err)
{
	const struct cs_hash *h = p1->suite.hash;
	uint32_t mid = m->header.message_id;
	struct cs_bytes none = {NULL, 0};

	switch (step) {
	case ISA_STEP_QUICK_1:
	case ISA_STEP_INFO_ENCRYPTED:
	case ISA_STEP_TRANSACTION:
		return ike_hash_quick(h, p1->keys->a, mid, false, none, rest, hash, err);
	case ISA_STEP_QUICK_2:
		return ike_hash_quick(h, p1->keys->a, mid, false, nonce_bytes(ni), rest, hash, err);
	case ISA_STEP_QUICK_3:
		return ike_hash_quick(h, p1->keys->a, mid, true, nonce_bytes(ni), nonce_bytes(nr),
				      hash, err);
	case ISA_STEP_QUICK_4:
		return hash4(p1, mid, ni, nr, rest, hash, err);
	default:
		return cs_fail(err, CS_EINVAL, "%s is not encrypted", isa_step_name(step));
	}
}

static int verify(const struct ike_p1 *p1, const struct isa_message *m, const uint8_t *body,
		  enum isa_step step, const struct ike_nonce *ni, const struct ike_nonce *nr,
		  struct cs_err *err)
{
	const struct isa_payload *got = isa_find(m, ISA_HASH, 0);
	const uint8_t *after = got ? got->whole.p + got->whole.len : body;
	struct cs_bytes rest = {after, (size_t)(body + m->used - after)};
	uint8_t hash[IKE_HASH_MAX];
	int rc;

	if (step == ISA_STEP_MAIN_5_SIG || step == ISA_STEP_MAIN_6_SIG ||
	    step == ISA_STEP_AGGR_3_SIG)
		return 0; /* the signature is another's work, see auth_cert.c */
	if (step == ISA_STEP_MAIN_5_PSK || step == ISA_STEP_MAIN_6_PSK)
		return ike_auth_check_proof(p1, got->body, isa_find(m, ISA_ID, 0)->body,
					    isa_step_name(step), err);
	if (step == ISA_STEP_AGGR_3_PSK)
		return ike_auth_check_proof(p1, got->body,
					    (struct cs_bytes){p1->ex->peer_id, p1->ex->peer_id_len},
					    isa_step_name(step), err);
	if (got->body.len != p1->suite.hash->len)
		return cs_fail(err, CS_EAUTH, "%s has a HASH of %zu bytes, %u are right",
			       isa_step_name(step), got->body.len, p1->suite.hash->len);
	rc = expected_hash(p1, m, step, ni, nr, rest, hash, err);
	if (!rc && !cs_equal_secret(hash, got->body.p, got->body.len))
		rc = cs_fail(err, CS_EAUTH, "the HASH of %s is wrong", isa_step_name(step));
	cs_wipe(hash, sizeof(hash));
	return rc;
}

int ike_open(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
	     const uint8_t *data, enum isa_step step, uint8_t *iv, const struct ike_nonce *ni,
	     const struct ike_nonce *nr, struct isa_message *m, struct cs_err *err)
{
	const struct cs_cipher *cipher = p1->suite.cipher;
	size_t len = h->length - ISA_HEADER_LEN;
	uint8_t next_iv[IKE_BLOCK_MAX];
	int rc;

	if (!(h->flags & ISA_FLAG_ENCRYPTED))
		return cs_fail(err, CS_EPARSE, "%s is not encrypted", isa_step_name(step));
	if (!len || len > IKE_DATAGRAM_MAX || len % cipher->block)
		return cs_fail(err, CS_EPARSE, "%zu bytes are no ciphertext of %s", len,
			       cipher->suite);
	memcpy(e->plain, data + ISA_HEADER_LEN, len);
	memcpy(next_iv, iv, sizeof(next_iv));
	rc = ike_cbc(cipher, false, p1->keys->cipher, next_iv, e->plain, len, err);
	if (!rc)
		rc = isa_chain_parse(h, e->plain, len, true, m, err);
	if (!rc)
		rc = isa_step_check(m, step, err);
	if (rc) {
		e->stats.decrypt_failures++;
		p1->counts.malformed++;
		return rc;
	}
	rc = verify(p1, m, e->plain, step, ni, nr, err);
	if (rc) {
		e->stats.auth_failures++;
		p1->counts.unauthentic++;
		return rc;
	}
	memcpy(iv, next_iv, sizeof(next_iv));
	if (!p1->heard)
		p1->heard = ike_serial(e);
	return 0;
}

void ike_seal_begin(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b,
		    unsigned exchange, uint32_t mid, enum ike_seal kind)
{
	struct isa_header h = {.version = 0x10,
			       .exchange = (uint8_t)exchange,
			       .flags = ISA_FLAG_ENCRYPTED,
			       .message_id = mid};
	static const uint8_t zeros[IKE_HASH_MAX];

	memcpy(h.icookie, p1->sid.icookie, ISA_COOKIE_LEN);
	memcpy(h.rcookie, p1->sid.rcookie, ISA_COOKIE_LEN);
	isa_begin(b, e->out, IKE_DATAGRAM_MAX, &h);
	if (kind != IKE_SEAL_PLAIN)
		isa_put(b, ISA_HASH, zeros, p1->suite.hash->len);
}

size_t ike_seal_end(struct ike_engine *e, struct ike_p1 *p1, struct isa_builder *b, uint32_t mid,
		    enum ike_seal kind, const struct ike_nonce *ni, const struct ike_nonce *nr,
		    uint8_t *iv, struct cs_err *err)
{
	size_t hash_len = p1->suite.hash->len, end = b->w.len, len;
	struct cs_bytes rest;
	uint8_t hash[IKE_HASH_MAX];
	int rc;

	if (kind != IKE_SEAL_PLAIN && cs_writer_ok(&b->w)) {
		rest = (struct cs_bytes){e->out + HASH_AT + hash_len, end - HASH_AT - hash_len};
		if (kind == IKE_SEAL_HASH3)
			rest = nonce_bytes(nr);
		rc = kind == IKE_SEAL_HASH4
			     ? hash4(p1, mid, ni, nr, rest, hash, err)
			     : ike_hash_quick(p1->suite.hash, p1->keys->a, mid,
					      kind == IKE_SEAL_HASH3,
					      nonce_bytes(kind == IKE_SEAL_HASH1 ? NULL : ni), rest,
					      hash, err);
		if (rc)
			return 0;
		memcpy(e->out + HASH_AT, hash, hash_len);
	}
	len = isa_end(b, p1->suite.cipher->block);
	if (!len) {
		cs_fail(err, CS_ELIMIT, "a message does not fit %u bytes", IKE_DATAGRAM_MAX);
		return 0;
	}
	if (ike_cbc(p1->suite.cipher, true, p1->keys->cipher, iv, e->out + ISA_HEADER_LEN,
		    len - ISA_HEADER_LEN, err))
		return 0;
	return len;
}
