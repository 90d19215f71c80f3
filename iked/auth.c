/*
 * Authentication in phase 1, whatever the mode: what SKEYID is made of, what proves an identity
 * (RFC 2409 sections 5.1 and 5.4), and whether the identity is one that the policy wants.
 */
#include "iked/engine_private.h"

/* ---- the preshared key ---- */

bool ike_auth_usable(const struct pol_ke_rule *rule, const struct ike_p1_suite *suite)
{
	return suite->auth == POL_AUTH_RSA || (suite->auth == POL_AUTH_PSK && rule->shared_key.p);
}

int ike_auth_skeyid(struct ike_p1 *p1, struct cs_bytes gxy, struct cs_err *err)
{
	struct ike_exchange *ex = p1->ex;
	struct cs_bytes ni = {ex->ni.data, ex->ni.len}, nr = {ex->nr.data, ex->nr.len};

	if (ike_auth_signs(p1))
		return ike_skeyid_sig(p1->suite.hash, gxy, ni, nr, ex->skeyid, err);
	return ike_skeyid_psk(p1->suite.hash, p1->rule->shared_key, ni, nr, ex->skeyid, err);
}

/* HASH_I or HASH_R, of the side that sent this ID payload. */
int ike_auth_hash(const struct ike_p1 *p1, bool of_initiator, struct cs_bytes id_body,
		  uint8_t hash[static IKE_HASH_MAX], struct cs_err *err)
{
	const struct ike_exchange *ex = p1->ex;
	struct cs_bytes own = ike_dh_public(ex->dh), peer = {ex->peer_ke, ex->peer_ke_len};
	bool ours = of_initiator == p1->initiator;

	return ike_hash_auth(p1->suite.hash, ex->skeyid, ours ? own : peer, ours ? peer : own,
			     of_initiator ? p1->sid.icookie : p1->sid.rcookie,
			     of_initiator ? p1->sid.rcookie : p1->sid.icookie,
			     (struct cs_bytes){ex->sai, ex->sai_len}, id_body, hash, err);
}

int ike_auth_put_proof(const struct ike_p1 *p1, struct isa_builder *b, struct cs_err *err)
{
	uint8_t hash[IKE_HASH_MAX];
	int rc;

	if (ike_auth_signs(p1)) {
		ike_cert_put_proof(p1, b);
		return 0;
	}
	rc = ike_auth_hash(p1, p1->initiator, (struct cs_bytes){p1->ex->id, p1->ex->id_len}, hash,
			   err);

	if (!rc)
		isa_put(b, ISA_HASH, hash, p1->suite.hash->len);
	return rc;
}

int ike_auth_check_proof(const struct ike_p1 *p1, struct cs_bytes proof, struct cs_bytes id_body,
			 const char *message, struct cs_err *err)
{
	uint8_t hash[IKE_HASH_MAX];
	int rc;

	if (proof.len != p1->suite.hash->len)
		return cs_fail(err, CS_EAUTH, "%s has a HASH of %zu bytes, %u are right", message,
			       proof.len, p1->suite.hash->len);
	rc = ike_auth_hash(p1, !p1->initiator, id_body, hash, err);
	if (!rc && !cs_equal_secret(hash, proof.p, proof.len))
		rc = cs_fail(err, CS_EAUTH, "the HASH of %s is wrong", message);
	cs_wipe(hash, sizeof(hash));
	return rc;
}

/* ---- identities ---- */

int ike_auth_check_identity(const struct ike_p1 *p1, struct cs_bytes id_body, struct cs_err *err)
{
	struct pol_peer_id id;
	int rc = ike_ident_check(p1->rule, id_body, ike_nat_source(p1), &id, err);

	if (!rc && !pol_identity_matches(&p1->rule->remote.identity, &id))
		rc = ike_auth_wrong_identity(p1->rule, &id, "wrong identity", err);
	return rc;
}

/* One sentence with both identities; err keeps its code. */
int ike_auth_wrong_identity(const struct pol_ke_rule *rule, const struct pol_peer_id *id,
			    const char *why, struct cs_err *err)
{
	char has[80], wants[CS_RANGE_STRLEN];
	const struct pol_identity *want = &rule->remote.identity;
	const char *text = want->text ? want->text : "";

	if (want->type == POL_ID_IPV4_ADDR || want->type == POL_ID_IPV6_ADDR)
		text = cs_range_text(&want->addr, wants);
	return cs_fail(err, CS_EAUTH, "%s: the peer is %s %s, rule %s wants %s %.60s", why,
		       pol_id_type_name(id->type), pol_peer_id_text(id, has, sizeof(has)),
		       rule->name, pol_id_type_name(want->type), text);
}

/*
 * The peer has the keys but is not whom we want: both sides are told, the exchange ends.  Who sent
 * the last message takes itself for up already.
 */
void ike_auth_refuse(struct ike_engine *e, struct ike_p1 *p1, unsigned notify, const char *why)
{
	struct cs_bytes none = {NULL, 0};

	ike_notify_p1(e, p1, notify, 1, none, none);
	if (p1->initiator || p1->mode == POL_MODE_AGGRESSIVE)
		ike_delete_p1(e, p1);
	ike_p1_fail(e, p1, "%s", why);
}

void ike_auth_refuse_identity(struct ike_engine *e, struct ike_p1 *p1, const char *why)
{
	ike_auth_refuse(e, p1, ISA_N_INVALID_ID_INFORMATION, why);
}
