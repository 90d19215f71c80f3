/*
 * Main Mode (RFC 2409 section 5): the messages that both roles build alike.
 */
#include "iked/main_mode.h"
#include "iked/exchange.h"

/* Message 3 or 4. */
int ike_main_build_ke(struct ike_engine *e, struct ike_p1 *p1, size_t *len, struct cs_err *err)
{
	struct cs_bytes ke = ike_dh_public(p1->ex->dh);
	struct ike_nonce *nonce = p1->initiator ? &p1->ex->ni : &p1->ex->nr;
	struct isa_builder b;

	ike_exchange_begin(e, p1, &b);
	isa_put(&b, ISA_KE, ke.p, ke.len);
	isa_put(&b, ISA_NONCE, nonce->data, nonce->len);
	ike_cert_put_requests(p1, &b);
	if (ike_nat_put(e, p1, &b, err))
		return err->code;
	return ike_exchange_end(&b, len, err);
}

/* Message 5 or 6. */
int ike_main_build_auth(struct ike_engine *e, struct ike_p1 *p1, bool initial_contact, size_t *len,
			struct cs_err *err)
{
	struct isa_builder b;
	int rc;

	ike_seal_begin(e, p1, &b, ISA_MAIN, 0, IKE_SEAL_PLAIN);
	isa_put(&b, ISA_ID, p1->ex->id, p1->ex->id_len);
	rc = ike_auth_put_proof(p1, &b, err);
	if (rc)
		return rc;
	if (initial_contact)
		ike_put_initial_contact(p1, &b);
	*len = ike_seal_end(e, p1, &b, 0, IKE_SEAL_PLAIN, NULL, NULL, p1->iv, err);
	return *len ? 0 : CS_ECRYPTO;
}
