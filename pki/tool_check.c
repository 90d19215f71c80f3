/* csipsec-pki check: a certificate of the keyring, or of a file, judged as iked judges a peer's. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "common/addr.h"
#include "pki/tool.h"
#include "policy/policy.h"

/* An identity with the bytes of its ID payload. */
struct identity {
	struct pki_id id;
	uint8_t *data;
};

/* "Fqdn:gw.example.com": the words of the policy's Identity. */
static int parse_id(const char *text, struct identity *id, struct cs_err *err)
{
	static const struct {
		const char *word;
		uint8_t type;
	} types[] = {
		{"IpAddr", POL_ID_IPV4_ADDR},
		{"Fqdn", POL_ID_FQDN},
		{"UserAtFqdn", POL_ID_USER_FQDN},
		{"X500dn", POL_ID_DER_ASN1_DN},
	};
	const char *value = strchr(text, ':');
	struct cs_addr a;
	size_t n = value ? (size_t)(value - text) : 0, len;
	int status = 0;

	id->id.type = 0;
	for (int i = 0; i < 4; i++)
		if (strlen(types[i].word) == n && strncasecmp(types[i].word, text, n) == 0)
			id->id.type = types[i].type;
	if (!id->id.type)
		return cs_fail(
			err, CS_EINVAL,
			"'%s' is not TYPE:VALUE, TYPE one of IpAddr, Fqdn, UserAtFqdn, X500dn",
			text);
	value++;
	if (id->id.type == POL_ID_DER_ASN1_DN) {
		status = pol_dn_encode(value, &id->data, &len, err);
	} else if (id->id.type == POL_ID_IPV4_ADDR) {
		status = cs_addr_parse(value, &a, err);
		if (status < 0)
			return status;
		id->id.type = a.family == AF_INET ? POL_ID_IPV4_ADDR : POL_ID_IPV6_ADDR;
		len = cs_addr_len(a.family);
		id->data = malloc(len);
		if (id->data)
			memcpy(id->data, a.b, len);
	} else {
		id->data = (uint8_t *)strdup(value);
		len = strlen(value);
	}
	if (status == 0 && !id->data)
		status = cs_fail(err, CS_ENOMEM, "out of memory");
	if (status == 0)
		id->id.data = (struct cs_bytes){id->data, len};
	return status;
}

/* Without --id it is the subject, which any certificate has but one with an empty one. */
static int subject_id(struct x509_st *cert, struct identity *id, struct cs_err *err)
{
	struct cs_bytes name;
	int status = pki_cert_subject(cert, &name, err);

	if (status < 0)
		return status;
	id->data = (uint8_t *)(uintptr_t)name.p;
	id->id = (struct pki_id){POL_ID_DER_ASN1_DN, name};
	return 0;
}

/* ---- what is judged ---- */

static int add(struct pki_list *list, struct x509_st *cert, struct cs_err *err)
{
	struct cs_bytes *grown = reallocarray(list->item, list->n + 1, sizeof(*grown));
	int status;

	if (!grown)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	list->item = grown;
	status = pki_cert_bytes(cert, PKI_DER, &grown[list->n], err);
	if (status == 0)
		list->n++;
	return status;
}

/* What a peer would send, and the end entity among it, lent. */
static int take_certs(const struct tool *t, const struct pki_keyring *ring, struct pki_found *found,
		      struct pki_list *sent, struct x509_st **cert, struct cs_err *err)
{
	const struct pki_entry *e;
	int status;

	if (t->label) {
		status = tool_find(ring, t->label, &e, err);
		if (status < 0)
			return status;
		*cert = pki_entry_cert(e);
		return pki_own_chain(ring, e, t->now, sent, err);
	}
	status = tool_found(t, found, err);
	if (status == 0 && !found->cert)
		status = cs_fail(err, CS_EPARSE, "%s has no certificate", t->in);
	if (status == 0)
		status = add(sent, found->cert, err);
	for (unsigned i = 0; i < found->n_more && status == 0; i++)
		status = add(sent, found->more[i], err);
	*cert = found->cert;
	return status;
}

static enum tool_exit judge(const struct tool *t, const struct pki_keyring *ring,
			    const struct pki_list *sent, const struct pki_id *id)
{
	const struct pki_peer peer = {
		.id = *id,
		.certs = sent->item,
		.n_certs = sent->n,
		.ca_labels = t->cas,
		.n_ca_labels = t->n_cas,
		.revocation = t->revocation,
		.now = t->now,
	};
	const struct pol_peer_id shown = {id->type, id->data};
	struct pki_verdict v;
	struct cs_err err = {0};
	char text[PKI_TEXT_MAX];

	if (pki_peer_check(ring, &peer, &v, &err) < 0) {
		printf("No: %s: %s\n", pki_fault_name(v.fault), err.text);
		return TOOL_NO;
	}
	printf("Yes: %s holds %s %s; trusted by '%s', %u certificate%s above it\n", v.subject,
	       pol_id_type_name(id->type), pol_peer_id_text(&shown, text, sizeof(text)), v.anchor,
	       v.depth, v.depth == 1 ? "" : "s");
	pki_key_free(v.key);
	return TOOL_DONE;
}

enum tool_exit tool_check(struct tool *t)
{
	struct pki_keyring *ring = NULL;
	struct pki_found found = {0};
	struct pki_list sent = {0};
	struct x509_st *cert = NULL;
	struct identity id = {0};
	struct cs_err err = {0};
	enum tool_exit result = TOOL_DONE;
	int status;

	if (!t->label == !t->in) {
		tool_complain("check takes a label, or --in FILE");
		return TOOL_USAGE;
	}
	status = tool_load(t, &ring, &err);
	if (status == 0)
		status = take_certs(t, ring, &found, &sent, &cert, &err);
	if (status == 0)
		status = t->id ? parse_id(t->id, &id, &err) : subject_id(cert, &id, &err);
	if (status == 0)
		result = judge(t, ring, &sent, &id.id);
	free(id.data);
	pki_list_free(&sent);
	pki_found_free(&found);
	pki_keyring_free(ring);
	return status < 0 ? tool_failed(t, &err) : result;
}
