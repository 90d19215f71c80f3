/* Names in certificates: shown, and compared with the identity of an ID payload. */
#include "pki/private.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include <openssl/err.h>

#include "policy/policy.h"

const char *pki_name_text(const X509_NAME *name, char *buf, size_t size)
{
	const unsigned char *der = NULL;
	size_t len = 0;
	struct pol_peer_id id = {.type = POL_ID_DER_ASN1_DN};

	if (!name || X509_NAME_entry_count(name) == 0)
		snprintf(buf, size, "(empty)");
	else if (X509_NAME_get0_der(name, &der, &len) != 1)
		snprintf(buf, size, "(cannot be shown)");
	else {
		id.data = (struct cs_bytes){der, len};
		pol_peer_id_text(&id, buf, size);
	}
	ERR_clear_error();
	return buf;
}

X509_NAME *pki_name_decode(struct cs_bytes der)
{
	const unsigned char *p = der.p;
	X509_NAME *name;

	if (!der.p || der.len > LONG_MAX)
		return NULL;
	name = d2i_X509_NAME(NULL, &p, (long)der.len);
	ERR_clear_error();
	if (name && p != der.p + der.len) {
		X509_NAME_free(name);
		return NULL;
	}
	return name;
}

/* ---- identities ---- */

static bool same_subject(X509 *cert, struct cs_bytes der)
{
	X509_NAME *name = pki_name_decode(der);
	bool same = name && X509_NAME_entry_count(name) > 0 &&
		    X509_NAME_cmp(name, X509_get_subject_name(cert)) == 0;

	X509_NAME_free(name);
	return same;
}

static struct cs_bytes string_of(const ASN1_STRING *s)
{
	int n = ASN1_STRING_length(s);

	return (struct cs_bytes){ASN1_STRING_get0_data(s), n > 0 ? (size_t)n : 0};
}

static bool same_host(struct cs_bytes a, struct cs_bytes b)
{
	return a.len == b.len && a.len > 0 && !memchr(a.p, '\0', a.len) &&
	       strncasecmp((const char *)a.p, (const char *)b.p, a.len) == 0;
}

/* RFC 5280 section 4.2.1.6 with RFC 5321 section 2.4: the user's case counts, the host's does not.
 */
static bool same_user(struct cs_bytes a, struct cs_bytes b)
{
	size_t at;

	if (a.len != b.len)
		return false;
	for (at = a.len; at > 0 && a.p[at - 1] != '@';)
		at--;
	return at > 1 && memcmp(a.p, b.p, at) == 0 &&
	       same_host((struct cs_bytes){a.p + at, a.len - at},
			 (struct cs_bytes){b.p + at, b.len - at});
}

static bool same_name(const GENERAL_NAME *name, const struct pki_id *id)
{
	struct cs_bytes b;

	switch (id->type) {
	case POL_ID_IPV4_ADDR:
	case POL_ID_IPV6_ADDR:
		if (name->type != GEN_IPADD)
			return false;
		b = string_of(name->d.iPAddress);
		return b.len == (id->type == POL_ID_IPV4_ADDR ? 4u : 16u) &&
		       b.len == id->data.len && memcmp(b.p, id->data.p, b.len) == 0;
	case POL_ID_FQDN:
		return name->type == GEN_DNS && same_host(id->data, string_of(name->d.dNSName));
	case POL_ID_USER_FQDN:
		return name->type == GEN_EMAIL &&
		       same_user(id->data, string_of(name->d.rfc822Name));
	default:
		return false;
	}
}

bool pki_cert_holds(X509 *cert, const struct pki_id *id)
{
	GENERAL_NAMES *names;
	bool holds = false;

	if (!id->data.p)
		return false;
	if (id->type == POL_ID_DER_ASN1_DN)
		return same_subject(cert, id->data);
	names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	for (int i = 0; !holds && i < sk_GENERAL_NAME_num(names); i++)
		holds = same_name(sk_GENERAL_NAME_value(names, i), id);
	GENERAL_NAMES_free(names);
	ERR_clear_error();
	return holds;
}

/* ---- times ---- */

int64_t pki_time(const ASN1_TIME *t)
{
	struct tm tm;

	if (!t || ASN1_TIME_to_tm(t, &tm) != 1) {
		ERR_clear_error();
		return INT64_MIN;
	}
	return timegm(&tm);
}

void pki_day(int64_t when, char text[static 24])
{
	time_t t = (time_t)when;
	struct tm tm;

	if (!gmtime_r(&t, &tm) || strftime(text, 24, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		snprintf(text, 24, "an impossible time");
}
