/* What a certificate says of itself, as texts and numbers, for displays. */
#include "pki/private.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/err.h>

#include "common/addr.h"

void pki_info_clear(struct pki_info *info)
{
	for (unsigned i = 0; i < info->n_names; i++)
		free((char *)(uintptr_t)info->names[i]);
	free((void *)(uintptr_t)info->names);
	info->names = NULL;
	info->n_names = 0;
	free((char *)(uintptr_t)info->usage);
	info->usage = NULL;
}

/* ---- names of the subjectAltName ---- */

/* Printable ASCII; what is not is shown as \xNN. */
static void printable(struct cs_bytes b, char *to, size_t size)
{
	size_t n = 0;

	for (size_t i = 0; i < b.len && n + 5 < size; i++)
		if (b.p[i] >= ' ' && b.p[i] < 0x7f && b.p[i] != '\\')
			to[n++] = (char)b.p[i];
		else
			n += (size_t)snprintf(to + n, size - n, "\\x%02x", b.p[i]);
	to[n] = '\0';
}

static char *san_text(const GENERAL_NAME *name)
{
	const char *kind = "";
	const ASN1_STRING *s = NULL;
	char value[300], addr[CS_ADDR_STRLEN], *text = NULL;
	struct cs_bytes b;
	struct cs_addr a;
	int n;

	switch (name->type) {
	case GEN_IPADD:
		kind = "IP";
		s = name->d.iPAddress;
		break;
	case GEN_DNS:
		kind = "DNS";
		s = name->d.dNSName;
		break;
	case GEN_EMAIL:
		kind = "EMAIL";
		s = name->d.rfc822Name;
		break;
	case GEN_URI:
		kind = "URI";
		s = name->d.uniformResourceIdentifier;
		break;
	case GEN_DIRNAME:
		kind = "DN";
		pki_name_text(name->d.directoryName, value, sizeof(value));
		break;
	default:
		return strdup("OTHER");
	}
	if (s) {
		b = (struct cs_bytes){ASN1_STRING_get0_data(s), (size_t)ASN1_STRING_length(s)};
		if (name->type == GEN_IPADD && (b.len == 4 || b.len == 16)) {
			a = cs_addr_from_bytes(b.len == 4 ? AF_INET : AF_INET6, b.p);
			snprintf(value, sizeof(value), "%s", cs_addr_text(&a, addr));
		} else {
			printable(b, value, sizeof(value));
		}
	}
	n = asprintf(&text, "%s:%s", kind, value);
	return n < 0 ? NULL : text;
}

static int take_names(X509 *cert, struct pki_info *info, struct cs_err *err)
{
	GENERAL_NAMES *names = X509_get_ext_d2i(cert, NID_subject_alt_name, NULL, NULL);
	int n = names ? sk_GENERAL_NAME_num(names) : 0, status = 0;
	char **list;

	ERR_clear_error();
	if (n <= 0) {
		GENERAL_NAMES_free(names);
		return 0;
	}
	list = calloc((size_t)n, sizeof(*list));
	info->names = (const char *const *)list;
	if (!list)
		status = cs_fail(err, CS_ENOMEM, "out of memory");
	for (int i = 0; i < n && status == 0; i++) {
		list[i] = san_text(sk_GENERAL_NAME_value(names, i));
		if (list[i])
			info->n_names++;
		else
			status = cs_fail(err, CS_ENOMEM, "out of memory");
	}
	GENERAL_NAMES_free(names);
	return status;
}

/* ---- usage ---- */

static char *usage_text(X509 *cert)
{
	static const struct {
		uint32_t bit;
		const char *name;
	} bits[] = {
		{KU_DIGITAL_SIGNATURE, "digitalSignature"},
		{KU_NON_REPUDIATION, "nonRepudiation"},
		{KU_KEY_ENCIPHERMENT, "keyEncipherment"},
		{KU_DATA_ENCIPHERMENT, "dataEncipherment"},
		{KU_KEY_AGREEMENT, "keyAgreement"},
		{KU_KEY_CERT_SIGN, "keyCertSign"},
		{KU_CRL_SIGN, "cRLSign"},
	};
	uint32_t usage = X509_get_key_usage(cert);
	char text[160] = "";
	size_t n = 0;

	for (size_t i = 0; usage != UINT32_MAX && i < sizeof(bits) / sizeof(bits[0]); i++)
		if (usage & bits[i].bit)
			n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%s", n ? "," : "",
					      bits[i].name);
	return strdup(text);
}

/* ---- all of it ---- */

static void take_serial(X509 *cert, char *text, size_t size)
{
	BIGNUM *n = ASN1_INTEGER_to_BN(X509_get0_serialNumber(cert), NULL);
	char *hex = n ? BN_bn2hex(n) : NULL;

	snprintf(text, size, "%s", hex ? hex : "?");
	OPENSSL_free(hex);
	BN_free(n);
}

int pki_cert_info(X509 *cert, struct pki_info *info, struct cs_err *err)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	unsigned digest_len = 0;
	EVP_PKEY *key = X509_get0_pubkey(cert);
	int status;

	memset(info, 0, sizeof(*info));
	pki_name_text(X509_get_subject_name(cert), info->subject, sizeof(info->subject));
	pki_name_text(X509_get_issuer_name(cert), info->issuer, sizeof(info->issuer));
	take_serial(cert, info->serial, sizeof(info->serial));
	if (X509_digest(cert, EVP_sha256(), digest, &digest_len) != 1 || digest_len != 32)
		return pki_fail_openssl(err, "the fingerprint cannot be made");
	cs_hex(digest, 32, info->fingerprint);
	info->not_before = pki_time(X509_get0_notBefore(cert));
	info->not_after = pki_time(X509_get0_notAfter(cert));
	info->key_type = pki_key_type_of(key);
	info->key_bits = key ? (unsigned)EVP_PKEY_get_bits(key) : 0;
	info->self_signed = (X509_get_extension_flags(cert) & EXFLAG_SS) != 0;
	info->is_ca = X509_check_ca(cert) == 1 || X509_check_ca(cert) == 3;
	info->usage = usage_text(cert);
	status = info->usage ? take_names(cert, info, err)
			     : cs_fail(err, CS_ENOMEM, "out of memory");
	ERR_clear_error();
	if (status < 0)
		pki_info_clear(info);
	return status;
}
