/*
 * Which payloads each message must and may hold, how many and how long (RFC 2408 sections 3 and 4,
 * RFC 2409 section 5, RFC 3947), and the names of the protocol's numbers.
 */
#include "iked/isakmp.h"

#include <string.h>

#define COUNT(table) (sizeof(table) / sizeof((table)[0]))
#define MANY         ISA_PAYLOADS_MAX
#define PRIVATE_MIN  128

/* ---- the shape of each payload ---- */

static const struct shape {
	uint8_t type;
	uint16_t min, max; /* of the body */
} shapes[] = {
	{ISA_SA, 8, UINT16_MAX},      /* DOI, situation */
	{ISA_KE, 1, UINT16_MAX},      /* the group decides */
	{ISA_ID, 4, UINT16_MAX},      /* type, protocol, port */
	{ISA_CERT, 2, UINT16_MAX},    /* encoding */
	{ISA_CERTREQ, 1, UINT16_MAX}, /* encoding */
	{ISA_HASH, 1, 64},            /* the negotiated hash decides */
	{ISA_SIG, 1, 1024},           /* RSA of 8192 bits */
	{ISA_NONCE, ISA_NONCE_MIN, ISA_NONCE_MAX},
	{ISA_NOTIFY, 8, UINT16_MAX}, /* DOI, protocol, SPI size, type */
	{ISA_DELETE, 8, UINT16_MAX}, /* DOI, protocol, SPI size, count */
	{ISA_NATD, 1, 64},
	{ISA_NATOA, 8, 20},
	{ISA_NATD_DRAFT, 1, 64},
	{ISA_NATOA_DRAFT, 8, 20},
	{ISA_ATTRIBUTES, 4, UINT16_MAX}, /* type, reserved, id */
	{ISA_FRAGMENT, 5, UINT16_MAX},   /* id, number, flags, at least one byte */
};

/* A notification's SPI lies within it; a deletion holds as many SPIs as it says. */
static int check_spis(const struct isa_payload *p, struct cs_err *err)
{
	struct cs_reader r = cs_reader_of(p->body.p, p->body.len);
	uint32_t doi;
	uint8_t protocol, size;
	uint16_t n;

	if (!cs_get_u32(&r, &doi) || !cs_get_u8(&r, &protocol) || !cs_get_u8(&r, &size) ||
	    !cs_get_u16(&r, &n))
		return cs_fail(err, CS_EPARSE, "%s payload is cut short",
			       isa_payload_name(p->type));
	if (p->type == ISA_NOTIFY && size > cs_reader_left(&r))
		return cs_fail(err, CS_EPARSE,
			       "NOTIFY payload has an SPI of %u bytes, %zu are left", size,
			       cs_reader_left(&r));
	if (p->type == ISA_DELETE && (size_t)size * n != cs_reader_left(&r))
		return cs_fail(err, CS_EPARSE,
			       "DELETE payload of %u SPIs of %u bytes has %zu bytes of them", n,
			       size, cs_reader_left(&r));
	return 0;
}

static int check_shape(const struct isa_payload *p, struct cs_err *err)
{
	for (size_t i = 0; i < COUNT(shapes); i++) {
		if (shapes[i].type != p->type)
			continue;
		if (p->body.len < shapes[i].min || p->body.len > shapes[i].max)
			return cs_fail(err, CS_EPARSE, "%s payload has a body of %zu bytes",
				       isa_payload_name(p->type), p->body.len);
	}
	if (p->type == ISA_NOTIFY || p->type == ISA_DELETE)
		return check_spis(p, err);
	return 0;
}

/* ---- the rules of each step ---- */

struct rule {
	uint8_t type, min, max;
};

struct step {
	const char *name;
	uint8_t lead[2];       /* types of the first payloads, where their order is fixed */
	bool vendor;           /* vendor IDs, private payloads and notifications may be added */
	struct rule rules[10]; /* ends with type 0; what is not named is forbidden */
};

#define NAT_ADDRESSES                                                                              \
	{ISA_NATOA, 0, 2},                                                                         \
	{                                                                                          \
		ISA_NATOA_DRAFT, 0, 2                                                              \
	}

static const struct step steps[ISA_STEP_N] = {
	[ISA_STEP_MAIN_1] = {"Main Mode message 1", {ISA_SA}, true, {{ISA_SA, 1, 1}}},
	[ISA_STEP_MAIN_2] = {"Main Mode message 2", {ISA_SA}, true, {{ISA_SA, 1, 1}}},
	[ISA_STEP_MAIN_3] = {"Main Mode message 3",
			     {0},
			     true,
			     {{ISA_KE, 1, 1},
			      {ISA_NONCE, 1, 1},
			      {ISA_CERTREQ, 0, MANY},
			      {ISA_NATD, 0, MANY},
			      {ISA_NATD_DRAFT, 0, MANY}}},
	[ISA_STEP_MAIN_4] = {"Main Mode message 4",
			     {0},
			     true,
			     {{ISA_KE, 1, 1},
			      {ISA_NONCE, 1, 1},
			      {ISA_CERTREQ, 0, MANY},
			      {ISA_NATD, 0, MANY},
			      {ISA_NATD_DRAFT, 0, MANY}}},
	[ISA_STEP_MAIN_5_PSK] = {"Main Mode message 5",
				 {0},
				 true,
				 {{ISA_ID, 1, 1}, {ISA_HASH, 1, 1}}},
	[ISA_STEP_MAIN_6_PSK] = {"Main Mode message 6",
				 {0},
				 true,
				 {{ISA_ID, 1, 1}, {ISA_HASH, 1, 1}}},
	/* CERT: also of CRLs, and the peer's own certificate may be known; CERTREQ: some peers ask
	 * as late as here. */
	[ISA_STEP_MAIN_5_SIG] = {"Main Mode message 5",
				 {0},
				 true,
				 {{ISA_ID, 1, 1},
				  {ISA_SIG, 1, 1},
				  {ISA_CERT, 0, ISA_CERTS_MAX},
				  {ISA_CERTREQ, 0, MANY}}},
	[ISA_STEP_MAIN_6_SIG] = {"Main Mode message 6",
				 {0},
				 true,
				 {{ISA_ID, 1, 1},
				  {ISA_SIG, 1, 1},
				  {ISA_CERT, 0, ISA_CERTS_MAX},
				  {ISA_CERTREQ, 0, MANY}}},
	[ISA_STEP_AGGR_1] = {"Aggressive Mode message 1",
			     {ISA_SA},
			     true,
			     {{ISA_SA, 1, 1},
			      {ISA_KE, 1, 1},
			      {ISA_NONCE, 1, 1},
			      {ISA_ID, 1, 1},
			      {ISA_CERTREQ, 0, MANY}}},
	[ISA_STEP_AGGR_2_PSK] = {"Aggressive Mode message 2",
				 {ISA_SA},
				 true,
				 {{ISA_SA, 1, 1},
				  {ISA_KE, 1, 1},
				  {ISA_NONCE, 1, 1},
				  {ISA_ID, 1, 1},
				  {ISA_HASH, 1, 1},
				  {ISA_CERTREQ, 0, MANY},
				  {ISA_NATD, 0, MANY},
				  {ISA_NATD_DRAFT, 0, MANY}}},
	[ISA_STEP_AGGR_3_PSK] = {"Aggressive Mode message 3",
				 {0},
				 true,
				 {{ISA_HASH, 1, 1},
				  {ISA_NATD, 0, MANY},
				  {ISA_NATD_DRAFT, 0, MANY}}},
	[ISA_STEP_AGGR_2_SIG] = {"Aggressive Mode message 2",
				 {ISA_SA},
				 true,
				 {{ISA_SA, 1, 1},
				  {ISA_KE, 1, 1},
				  {ISA_NONCE, 1, 1},
				  {ISA_ID, 1, 1},
				  {ISA_SIG, 1, 1},
				  {ISA_CERT, 0, ISA_CERTS_MAX},
				  {ISA_CERTREQ, 0, MANY},
				  {ISA_NATD, 0, MANY},
				  {ISA_NATD_DRAFT, 0, MANY}}},
	[ISA_STEP_AGGR_3_SIG] = {"Aggressive Mode message 3",
				 {0},
				 true,
				 {{ISA_SIG, 1, 1},
				  {ISA_CERT, 0, ISA_CERTS_MAX},
				  {ISA_CERTREQ, 0, MANY},
				  {ISA_NATD, 0, MANY},
				  {ISA_NATD_DRAFT, 0, MANY}}},
	[ISA_STEP_QUICK_1] = {"Quick Mode message 1",
			      {ISA_HASH, ISA_SA},
			      true,
			      {{ISA_HASH, 1, 1},
			       {ISA_SA, 1, 1},
			       {ISA_NONCE, 1, 1},
			       {ISA_KE, 0, 1},
			       {ISA_ID, 0, 2},
			       NAT_ADDRESSES}},
	[ISA_STEP_QUICK_2] = {"Quick Mode message 2",
			      {ISA_HASH, ISA_SA},
			      true,
			      {{ISA_HASH, 1, 1},
			       {ISA_SA, 1, 1},
			       {ISA_NONCE, 1, 1},
			       {ISA_KE, 0, 1},
			       {ISA_ID, 0, 2},
			       NAT_ADDRESSES}},
	/* HASH(3) covers no payload, so there is none beside it. */
	[ISA_STEP_QUICK_3] = {"Quick Mode message 3", {ISA_HASH}, false, {{ISA_HASH, 1, 1}}},
	/* CONNECTED, where the commit bit was set. */
	[ISA_STEP_QUICK_4] = {"Quick Mode message 4",
			      {ISA_HASH},
			      true,
			      {{ISA_HASH, 1, 1}, {ISA_NOTIFY, 1, MANY}}},
	[ISA_STEP_INFO_CLEAR] = {"Informational message in the clear",
				 {0},
				 true,
				 {{ISA_DELETE, 0, MANY}}},
	[ISA_STEP_INFO_ENCRYPTED] = {"encrypted Informational message",
				     {ISA_HASH},
				     true,
				     {{ISA_HASH, 1, 1}, {ISA_DELETE, 0, MANY}}},
	[ISA_STEP_TRANSACTION] = {"Transaction message",
				  {ISA_HASH, ISA_ATTRIBUTES},
				  false,
				  {{ISA_HASH, 1, 1}, {ISA_ATTRIBUTES, 1, 1}}},
	[ISA_STEP_FRAGMENT] = {"fragment", {0}, false, {{ISA_FRAGMENT, 1, 1}}},
};

static unsigned count_of(const struct isa_message *m, unsigned type)
{
	unsigned n = 0;

	for (unsigned i = 0; i < m->n_payloads; i++)
		n += m->payloads[i].type == type;
	return n;
}

static bool step_allows(const struct step *s, unsigned type)
{
	for (const struct rule *r = s->rules; r->type; r++)
		if (r->type == type)
			return true;
	/* A fragment is a message of its own and nothing else. */
	return s->vendor && type != ISA_FRAGMENT &&
	       (type == ISA_VENDOR || type == ISA_NOTIFY || type >= PRIVATE_MIN);
}

static int check_counts(const struct isa_message *m, const struct step *s, struct cs_err *err)
{
	for (const struct rule *r = s->rules; r->type; r++) {
		unsigned n = count_of(m, r->type);

		if (n < r->min)
			return cs_fail(err, CS_EPARSE, "%s has no %s payload", s->name,
				       isa_payload_name(r->type));
		if (n > r->max)
			return cs_fail(err, CS_EPARSE, "%s has %u %s payloads", s->name, n,
				       isa_payload_name(r->type));
	}
	return 0;
}

/* Conditions over more than one payload. */
static int check_whole(const struct isa_message *m, enum isa_step step, struct cs_err *err)
{
	const char *name = steps[step].name;

	switch (step) {
	case ISA_STEP_QUICK_1:
	case ISA_STEP_QUICK_2:
		if (count_of(m, ISA_ID) == 1)
			return cs_fail(err, CS_EPARSE, "%s has one ID payload of two", name);
		return 0;
	case ISA_STEP_INFO_CLEAR:
	case ISA_STEP_INFO_ENCRYPTED:
		if (count_of(m, ISA_NOTIFY) + count_of(m, ISA_DELETE) == 0)
			return cs_fail(err, CS_EPARSE, "%s says nothing", name);
		return 0;
	default:
		return 0;
	}
}

int isa_step_check(const struct isa_message *m, enum isa_step step, struct cs_err *err)
{
	const struct step *s;
	int rc;

	if ((unsigned)step >= ISA_STEP_N)
		return cs_fail(err, CS_EINVAL, "no such step");
	s = &steps[step];
	for (unsigned i = 0; i < m->n_payloads; i++)
		if (!step_allows(s, m->payloads[i].type))
			return cs_fail(err, CS_EPARSE, "%s must not have payload %u (%s)", s->name,
				       m->payloads[i].type, isa_payload_name(m->payloads[i].type));
	rc = check_counts(m, s, err);
	if (rc < 0)
		return rc;
	for (unsigned i = 0; i < COUNT(s->lead) && s->lead[i]; i++)
		if (m->payloads[i].type != s->lead[i])
			return cs_fail(err, CS_EPARSE, "%s has payload %s in the place of %s",
				       s->name, isa_payload_name(m->payloads[i].type),
				       isa_payload_name(s->lead[i]));
	for (unsigned i = 0; i < m->n_payloads; i++) {
		rc = check_shape(&m->payloads[i], err);
		if (rc < 0)
			return cs_err_prefix(err, "%s", s->name);
	}
	return check_whole(m, step, err);
}

/* ---- names ---- */

struct name {
	unsigned number;
	const char *name;
};

static const char *name_of(const struct name *names, size_t n, unsigned number)
{
	for (size_t i = 0; i < n; i++)
		if (names[i].number == number)
			return names[i].name;
	return "unknown";
}

const char *isa_exchange_name(unsigned exchange)
{
	static const struct name names[] = {
		{ISA_MAIN, "Main Mode"},
		{ISA_AGGRESSIVE, "Aggressive Mode"},
		{ISA_INFORMATIONAL, "Informational"},
		{ISA_TRANSACTION, "Transaction"},
		{ISA_QUICK, "Quick Mode"},
	};

	return name_of(names, COUNT(names), exchange);
}

const char *isa_payload_name(unsigned type)
{
	static const struct name names[] = {
		{ISA_NONE, "NONE"},
		{ISA_SA, "SA"},
		{ISA_PROPOSAL, "PROPOSAL"},
		{ISA_TRANSFORM, "TRANSFORM"},
		{ISA_KE, "KE"},
		{ISA_ID, "ID"},
		{ISA_CERT, "CERT"},
		{ISA_CERTREQ, "CERTREQ"},
		{ISA_HASH, "HASH"},
		{ISA_SIG, "SIG"},
		{ISA_NONCE, "NONCE"},
		{ISA_NOTIFY, "NOTIFY"},
		{ISA_DELETE, "DELETE"},
		{ISA_VENDOR, "VENDOR"},
		{ISA_ATTRIBUTES, "ATTR"},
		{ISA_NATD, "NAT-D"},
		{ISA_NATOA, "NAT-OA"},
		{ISA_NATD_DRAFT, "NAT-D (draft)"},
		{ISA_NATOA_DRAFT, "NAT-OA (draft)"},
		{ISA_FRAGMENT, "FRAGMENT"},
	};

	return type >= PRIVATE_MIN && type != ISA_NATD_DRAFT && type != ISA_NATOA_DRAFT &&
			       type != ISA_FRAGMENT
		       ? "private"
		       : name_of(names, COUNT(names), type);
}

const char *isa_notify_name(unsigned type)
{
	static const struct name names[] = {
		{ISA_N_INVALID_PAYLOAD_TYPE, "INVALID-PAYLOAD-TYPE"},
		{ISA_N_DOI_NOT_SUPPORTED, "DOI-NOT-SUPPORTED"},
		{ISA_N_SITUATION_NOT_SUPPORTED, "SITUATION-NOT-SUPPORTED"},
		{ISA_N_INVALID_COOKIE, "INVALID-COOKIE"},
		{ISA_N_INVALID_MAJOR_VERSION, "INVALID-MAJOR-VERSION"},
		{ISA_N_INVALID_MINOR_VERSION, "INVALID-MINOR-VERSION"},
		{ISA_N_INVALID_EXCHANGE_TYPE, "INVALID-EXCHANGE-TYPE"},
		{ISA_N_INVALID_FLAGS, "INVALID-FLAGS"},
		{ISA_N_INVALID_MESSAGE_ID, "INVALID-MESSAGE-ID"},
		{ISA_N_INVALID_PROTOCOL_ID, "INVALID-PROTOCOL-ID"},
		{ISA_N_INVALID_SPI, "INVALID-SPI"},
		{ISA_N_INVALID_TRANSFORM_ID, "INVALID-TRANSFORM-ID"},
		{ISA_N_ATTRIBUTES_NOT_SUPPORTED, "ATTRIBUTES-NOT-SUPPORTED"},
		{ISA_N_NO_PROPOSAL_CHOSEN, "NO-PROPOSAL-CHOSEN"},
		{ISA_N_BAD_PROPOSAL_SYNTAX, "BAD-PROPOSAL-SYNTAX"},
		{ISA_N_PAYLOAD_MALFORMED, "PAYLOAD-MALFORMED"},
		{ISA_N_INVALID_KEY_INFORMATION, "INVALID-KEY-INFORMATION"},
		{ISA_N_INVALID_ID_INFORMATION, "INVALID-ID-INFORMATION"},
		{ISA_N_INVALID_CERT_ENCODING, "INVALID-CERT-ENCODING"},
		{ISA_N_INVALID_CERTIFICATE, "INVALID-CERTIFICATE"},
		{ISA_N_CERT_TYPE_UNSUPPORTED, "CERT-TYPE-UNSUPPORTED"},
		{ISA_N_INVALID_CERT_AUTHORITY, "INVALID-CERT-AUTHORITY"},
		{ISA_N_INVALID_HASH_INFORMATION, "INVALID-HASH-INFORMATION"},
		{ISA_N_AUTHENTICATION_FAILED, "AUTHENTICATION-FAILED"},
		{ISA_N_INVALID_SIGNATURE, "INVALID-SIGNATURE"},
		{26, "ADDRESS-NOTIFICATION"},
		{27, "NOTIFY-SA-LIFETIME"},
		{ISA_N_CERTIFICATE_UNAVAILABLE, "CERTIFICATE-UNAVAILABLE"},
		{29, "UNSUPPORTED-EXCHANGE-TYPE"},
		{30, "UNEQUAL-PAYLOAD-LENGTHS"},
		{ISA_N_CONNECTED, "CONNECTED"},
		{ISA_N_RESPONDER_LIFETIME, "RESPONDER-LIFETIME"},
		{ISA_N_REPLAY_STATUS, "REPLAY-STATUS"},
		{ISA_N_INITIAL_CONTACT, "INITIAL-CONTACT"},
		{ISA_N_R_U_THERE, "R-U-THERE"},
		{ISA_N_R_U_THERE_ACK, "R-U-THERE-ACK"},
	};

	return name_of(names, COUNT(names), type);
}

const char *isa_step_name(enum isa_step step)
{
	return (unsigned)step < ISA_STEP_N ? steps[step].name : "unknown step";
}
