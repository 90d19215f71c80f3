/*
 * Validation errors that files of tests/policies/bad cannot stand for, because they depend on the
 * build or on what this release can: a small text, the line and the words of the one finding that
 * it must give. A number is the condition's in the list of validation errors, section 6 of the
 * statement reference. And what holds for all findings: their order, and that no key is in them.
 */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy_text.h"
#include "tests/unit/run_suite.h"

/* A policy without fault, with objects that the cases use; the case's text comes behind it. */
static const char base[] = "IpFilterPolicy\n{\n IpFilterRuleRef r0\n}\n"
			   "IpFilterRule r0\n{\n IpGenericFilterActionRef permit\n}\n"
			   "IpGenericFilterAction permit\n{\n IpFilterAction Permit\n}\n"
			   "IpGenericFilterAction ipsec\n{\n IpFilterAction IpSec\n}\n"
			   "IpDataOffer do\n{\n}\n"
			   "IpDynVpnAction dyn\n{\n IpDataOfferRef do\n}\n"
			   "KeyExchangeOffer psk\n{\n HowToAuthPeers PresharedKey\n}\n"
			   "KeyExchangeAction ka\n{\n KeyExchangeOfferRef psk\n}\n"
			   "LocalSecurityEndpoint le\n{\n Identity IpAddr 192.0.2.1\n}\n"
			   "RemoteSecurityEndpoint re\n{\n Identity IpAddr 192.0.2.2\n}\n";

#define RULE(body) "IpFilterRule r\n{\nIpGenericFilterActionRef permit\n" body "\n}\n"
#define VPN_RULE(body)                                                                             \
	"IpFilterRule r\n{\nIpGenericFilterActionRef ipsec\nIpDynVpnActionRef dyn\n" body "\n}\n"
#define LOCAL(body) "LocalSecurityEndpoint e\n{\n" body "\n}\n"

/* Keys of manual tunnels, and whole ones. */
#define K128     "0123456789abcdef0123456789ABCDEF"
#define K160     K128 "01234567"
#define K192     K128 "0123456789abcdef"
#define AUTH_SAS "AuthInboundSa 300 " K160 "\nAuthOutboundSa 300 " K160 "\n"
#define ENC_SAS  "EncryptInboundSa 300 " K128 "\nEncryptOutboundSa 300 " K128 "\n"
#define MAN_SAS  AUTH_SAS ENC_SAS
#define MANUAL(body)                                                                               \
	"IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\n"                               \
	"RemoteSecurityEndpointAddr 192.0.2.2\n" body "\n}\n"
#define MANUAL_N(name, remote)                                                                     \
	"IpManVpnAction " name "\n{\nLocalSecurityEndpointAddr 192.0.2.1\n"                        \
	"RemoteSecurityEndpointAddr " remote "\n" MAN_SAS "\n}\n"
#define MANUAL_ANY(local, remote, mode)                                                            \
	"IpManVpnAction m\n{\nLocalSecurityEndpointAddr " local                                    \
	"\nRemoteSecurityEndpointAddr " remote "\nHowToEncap " mode "\n" MAN_SAS "\n}\n"
#define MAN_POLICY "IpFilterPolicy\n{\nIpFilterRuleRef r\nIpFilterRuleRef s\n}\n"
#define MAN_RULE(name, action, src, dst)                                                           \
	"IpFilterRule " name "\n{\nIpGenericFilterActionRef ipsec\n"                               \
	"IpSourceAddr " src "\nIpManVpnActionRef " action "\nIpDestAddr " dst "\n}\n"
#define IPSEC_ACTION "IpGenericFilterAction ipsec\n{\nIpFilterAction IpSec\n}\n"

enum where { AFTER_BASE, ALONE }; /* in this file, behind `base` or by itself */

static const struct {
	unsigned number;
	const char *text;
	unsigned line; /* of text */
	const char *attribute, *words;
	enum where where;
	enum pol_severity severity;
} cases[] = {
	{22, VPN_RULE("IpManVpnActionRef m"), 5, "IpManVpnActionRef",
	 "it excludes IpDynVpnActionRef", AFTER_BASE, POL_ERROR},
	{57, "IpManVpnAction m\n{\nRemoteSecurityEndpointAddr 192.0.2.2\n" MAN_SAS "}\n", 1, "",
	 "one is required: LocalSecurityEndpointAddr, LocalSecurityEndpointAddrRef", AFTER_BASE,
	 POL_ERROR},
	{57, "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\n" MAN_SAS "}\n", 1, "",
	 "one is required: RemoteSecurityEndpointAddr, RemoteSecurityEndpointAddrRef", AFTER_BASE,
	 POL_ERROR},
	{58,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 0.0.0.0\nRemoteSecurityEndpointAddr "
	 "192.0.2.2\n" MAN_SAS "}\n",
	 3, "LocalSecurityEndpointAddr", "the unspecified address cannot be an endpoint",
	 AFTER_BASE, POL_ERROR},
	{58,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 2001:db8::1\nRemoteSecurityEndpointAddr "
	 "::\n" MAN_SAS "}\n",
	 4, "RemoteSecurityEndpointAddr", "the unspecified address cannot be an endpoint",
	 AFTER_BASE, POL_ERROR},
	{59,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\nRemoteSecurityEndpointAddr "
	 "2001:db8::1\n" MAN_SAS "}\n",
	 1, "", "local and remote security endpoint are of different IP families", AFTER_BASE,
	 POL_ERROR},
	{59,
	 "IpManVpnAction m\n{\nLocalSecurityEndpointAddr 192.0.2.1\nRemoteSecurityEndpointAddr "
	 "Any6\n" MAN_SAS "}\n",
	 1, "", "local and remote security endpoint are of different IP families", AFTER_BASE,
	 POL_ERROR},
	{60, MANUAL("AuthInboundSa 300 " K160 "\n" ENC_SAS), 1, "AuthOutboundSa",
	 "it is required: HowToAuth is ESP HMAC_SHA1", AFTER_BASE, POL_ERROR},
	{60, MANUAL("HowToAuth AH HMAC_MD5\nAuthOutboundSa 300 " K128 "\n" ENC_SAS), 1,
	 "AuthInboundSa", "it is required: HowToAuth is AH HMAC_MD5", AFTER_BASE, POL_ERROR},
	{60, MANUAL(AUTH_SAS "EncryptOutboundSa 300 " K128), 1, "EncryptInboundSa",
	 "it is required: HowToEncrypt is AES_CBC", AFTER_BASE, POL_ERROR},
	{60, MANUAL(AUTH_SAS "HowToEncrypt 3DES\nEncryptInboundSa 300 " K192), 1,
	 "EncryptOutboundSa", "it is required: HowToEncrypt is 3DES", AFTER_BASE, POL_ERROR},
	{60, MANUAL("HowToEncrypt DoNot\n" AUTH_SAS "EncryptInboundSa 300 " K128), 8,
	 "EncryptInboundSa", "it is not used: HowToEncrypt is DoNot", AFTER_BASE, POL_WARNING},
	{61, MANUAL("AuthInboundSa 300 " K128 "\nAuthOutboundSa 300 " K160 "\n" ENC_SAS), 5,
	 "AuthInboundSa", "the key has 32 characters; HMAC_SHA1 takes 40 hex digits", AFTER_BASE,
	 POL_ERROR},
	{61, MANUAL(AUTH_SAS "EncryptInboundSa 300 " K160 "\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "the key has 40 characters; AES-CBC takes 32 hex digits", AFTER_BASE,
	 POL_ERROR},
	{61,
	 MANUAL(AUTH_SAS "EncryptInboundSa 300 0123456789abcdef0123456789abcxef\nEncryptOutboundSa "
			 "300 " K128),
	 7, "EncryptInboundSa", "character 30 of the key is not a hex digit", AFTER_BASE,
	 POL_ERROR},
	{61, MANUAL(AUTH_SAS "EncryptInboundSa 300\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "a key of 32 hex digits is missing behind the SPI", AFTER_BASE,
	 POL_ERROR},
	{62, MANUAL("AuthInboundSa 255 " K160 "\nAuthOutboundSa 300 " K160 "\n" ENC_SAS), 5,
	 "AuthInboundSa", "SPI 255 is reserved: from 256", AFTER_BASE, POL_ERROR},
	{62, MANUAL(AUTH_SAS "EncryptInboundSa " K128 " 300\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "the SPI is not a number", AFTER_BASE, POL_ERROR},
	{62,
	 MANUAL("AuthInboundSa 267386880 " K160 "\nAuthOutboundSa 300 " K160
		"\nHowToEncrypt DoNot"),
	 5, "AuthInboundSa", "SPIs 267386880 to 268435455 are for ESP inside AH", AFTER_BASE,
	 POL_ERROR},
	{62, MANUAL(AUTH_SAS "EncryptInboundSa 301 " K128 "\nEncryptOutboundSa 300 " K128), 7,
	 "EncryptInboundSa", "its SPI is 301 and that of AuthInboundSa is 300", AFTER_BASE,
	 POL_ERROR},
	{62, MANUAL("HowToAuth ESP AES_GMAC_128\n" AUTH_SAS ENC_SAS), 5, "HowToAuth",
	 "a manual tunnel authenticates with HMAC or AES128_XCBC_96", AFTER_BASE, POL_ERROR},
	{62, MANUAL("HowToEncrypt AES_GCM_16 KeyLength 128\n" AUTH_SAS ENC_SAS), 5, "HowToEncrypt",
	 "'AES_GCM_16' is not one of DoNot|DES|3DES|AES|AES_CBC", AFTER_BASE, POL_ERROR},
	{62, MANUAL("HowToEncrypt DES\n" AUTH_SAS ENC_SAS), 5, "HowToEncrypt",
	 "DES is not supported", AFTER_BASE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.1", "192.0.2.2")
		 MAN_RULE("s", "n", "192.0.2.1", "192.0.2.3") MANUAL(AUTH_SAS ENC_SAS)
			 MANUAL_N("n", "192.0.2.3") IPSEC_ACTION,
	 17, "IpManVpnActionRef",
	 "IpManVpnAction m and n have the same inbound SPI 300 of ESP for the same local security "
	 "endpoint",
	 ALONE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.1", "192.0.2.9")
		 MAN_RULE("s", "m", "192.0.2.1", "198.51.100.9")
			 MANUAL_ANY("192.0.2.1", "Any", "Transport") IPSEC_ACTION,
	 17, "IpManVpnActionRef",
	 "RemoteSecurityEndpointAddr is Any, and another rule of it has IpDestAddr 192.0.2.9",
	 ALONE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.0/24", "192.0.2.9")
		 MAN_RULE("s", "m", "192.0.2.1", "192.0.2.9")
			 MANUAL_ANY("Any", "192.0.2.9", "Tunnel") IPSEC_ACTION,
	 10, "IpManVpnActionRef",
	 "LocalSecurityEndpointAddr is Any, so the rule's IpSourceAddr must be one address", ALONE,
	 POL_ERROR},
	{63, MANUAL_ANY("Any", "Any4", "Tunnel"), 1, "",
	 "in tunnel mode one security endpoint at least must be an address", AFTER_BASE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "2001:db8::1", "2001:db8::2")
		 MAN_RULE("s", "m", "192.0.2.1", "192.0.2.9")
			 MANUAL_ANY("192.0.2.1", "192.0.2.9", "Tunnel") IPSEC_ACTION,
	 10, "IpManVpnActionRef", "of IpManVpnAction m are of another IP family than the rule",
	 ALONE, POL_ERROR},
	{63,
	 MAN_POLICY MAN_RULE("r", "m", "192.0.2.1", "192.0.2.0/24")
		 MAN_RULE("s", "m", "192.0.2.1", "192.0.2.9")
			 MANUAL_ANY("192.0.2.1", "192.0.2.9", "Transport") IPSEC_ACTION,
	 10, "IpManVpnActionRef", "the tunnel is in transport mode and carries", ALONE,
	 POL_WARNING},
#ifndef HAVE_OPENSSL
	{76, LOCAL("Identity X500dn CN=a"), 3, "Identity", "X500dn needs OpenSSL", AFTER_BASE,
	 POL_ERROR},
#endif
	{91, "IpSecConfig /nonexistent/policy\n", 1, "IpSecConfig",
	 "/nonexistent/policy: cannot open it", ALONE, POL_ERROR},

	/* Ours. */
	{0, RULE("RemoteIdentity\n{\nIdentity Fqdn a\n}"), 4, "RemoteIdentity",
	 "it needs IpDynVpnActionRef beside it", AFTER_BASE, POL_ERROR},
	{0, VPN_RULE("RemoteIdentityRef nobody"), 5, "RemoteIdentityRef", "nobody", AFTER_BASE,
	 POL_ERROR},
	{0,
	 "IpFilterPolicy\n{\nIpFilterRuleRef r\n}\n" VPN_RULE(
		 "RemoteIdentity\n{\nIdentity Fqdn a\n}") IPSEC_ACTION
	 "IpDynVpnAction dyn\n{\nIpDataOffer\n{\n}\n}\n",
	 1, "", "rule r has a RemoteIdentity, and no KeyExchangeAction of the policy has", ALONE,
	 POL_WARNING},
	{0, "ZERTRule x # comment\n{\n{\n}\n}\n", 1, "ZERTRule", "no meaning", AFTER_BASE,
	 POL_NOTE},
};

static unsigned lines_of(const char *text)
{
	unsigned n = 0;

	for (; *text; text++)
		n += *text == '\n';
	return n;
}

START_TEST(test_case)
{
	char text[8192];
	bool after = cases[_i].where == AFTER_BASE;
	unsigned line = cases[_i].line + (after ? lines_of(base) : 0), hits = 0;
	struct findings found;
	struct pol_policy *policy;
	int n = snprintf(text, sizeof(text), "%s%s", after ? base : "", cases[_i].text);

	ck_assert_int_lt(n, (int)sizeof(text));
	policy = compile_text(text, (size_t)n, &found);
	for (unsigned i = 0; i < found.n; i++) {
		const struct finding *f = &found.v[i];

		if (f->severity == cases[_i].severity && f->line == line &&
		    strcmp(f->attribute, cases[_i].attribute) == 0 &&
		    strstr(f->text, cases[_i].words))
			hits++;
		else if (cases[_i].number != 14 && /* which stands beside an error */
			 !strstr(f->text, "(told once)") &&
			 (f->severity < cases[_i].severity ||
			  (f->severity != POL_NOTE && f->line != line)))
			ck_abort_msg("%u: unexpected: %u: %s: %s: %s", cases[_i].number, f->line,
				     f->statement, f->attribute, f->text);
	}
	ck_assert_msg(hits == 1, "number %u (%s), line %u: %u findings, of them wanted: %u",
		      cases[_i].number, cases[_i].words, line, found.n, hits);
	if (cases[_i].severity == POL_ERROR)
		ck_assert_ptr_null(policy);
	else if (cases[_i].number != 14)
		ck_assert_ptr_nonnull(policy);
	pol_unref(policy);
}
END_TEST

START_TEST(test_base_is_good)
{
	struct findings found;
	struct pol_policy *policy = compile_text(base, sizeof(base) - 1, &found);

	ck_assert_ptr_nonnull(policy);
	ck_assert_uint_eq(found.n, 0);
	pol_unref(policy);
}
END_TEST

/* Many errors in one run, sorted by line. */
START_TEST(test_all_at_once)
{
	static const char text[] =
		"IpFilterPolicy\n{\n PreDecap Maybe\n IpFilterRuleRef r\n"
		" IpFilterRuleRef s\n}\n"
		"IpFilterRule r\n{\n IpSourceAddr 1\n IpGenericFilterActionRef p\n}\n"
		"IpGenericFilterAction p\n{\n IpFilterAction Pemit\n}\n"
		"IpService x\n{\n Code 1\n Type 256\n}\n";
	static const unsigned lines[] = {3, 5, 9, 14, 18, 19};
	struct findings found;
	unsigned last = 0, k = 0;

	ck_assert_ptr_null(compile_text(text, sizeof(text) - 1, &found));
	for (unsigned i = 0; i < found.n; i++) {
		ck_assert_uint_ge(found.v[i].line, last);
		last = found.v[i].line;
		if (found.v[i].severity == POL_ERROR) {
			ck_assert_uint_lt(k, 6);
			ck_assert_uint_eq(found.v[i].line, lines[k++]);
		}
	}
	ck_assert_uint_eq(k, 6);
}
END_TEST

/* The value of a key is never said, whatever is wrong with its line. */
START_TEST(test_keys_stay_hidden)
{
	static const char *const lines[] = {
		"SharedKey SWORDFISH",
		"SharedKey Hex SWORDFISH",
		"SharedKey Ascii SWORDFISH }",
		"SharedKey Ascii\nSWORDFISH",
		"SharedKey Ascii \\\n SWORDFISH\n SWORDFISH",
		"SharedKey\nSWORDFISH {",
		"SharedKey\nSWORDFISH\n{\n}",
		"SharedKey Ebcdic SWORDFISH\xc3\xa9",
		"SharedKey { SWORDFISH",
		"SharedKey\n{\nSWORDFISH",
		"SharedKy Ascii SWORDFISH",
		"SharedKy Ascii\nSWORDFISH",
		"Sharedkex Ascii SWORDFISH",
		"SahredKee Ascii SWORDFISH",
		"ShrdKey SWORDFISH",
		"PreSharedKey Ascii SWORDFISH",
		"Key Ascii SWORDFISH",
		"PSK SWORDFISH",
		"Password SWORDFISH",
		"KeyExchangeSecret SWORDFISH",
		"# SharedKey Ascii\nSharedKe\nSWORDFISH x",
		"SharedKey=SWORDFISH",
		"SharedKey:SWORDFISH",
		"SharedKey,SWORDFISH",
		"SharedKeySWORDFISH",
		"sharedkeyAsciiSWORDFISH y",
		"SharedKey\xe2\x80\x8b Ascii SWORDFISH",
		"\xef\xbb\xbfSharedKey Ascii SWORDFISH",
		"} SharedKey Ascii SWORDFISH",
		"{ SharedKey Ascii SWORDFISH",
		"}\n}\nSharedKey Ascii SWORDFISH\nSWORDFISH",
		"}\nSharedKey Ascii\nSWORDFISH",
		"}\nWhatever\nSWORDFISH",
		"KeyExchangeActionRef no SharedKey Ascii SWORDFISH",
		"KeyExchangeActionRef no SharedKy Ascii SWORDFISH",
		"KeyExchangeActionRef no { Key SWORDFISH",
		"KeyExchangeActionRef no } SWORDFISH",
		"LocalSecurityEndpoint x { SharedKey Ascii SWORDFISH }",
		"LocalSecurityEndpoint x SharedKey Ascii SWORDFISH",
		"}\nKeyExchangeRule j { SharedKey Ascii SWORDFISH }\nIpService x\n{",
		"}\nKeyExchangeRule j SWORDFISH SWORDFISH\n{",
		"}\nKeyExchangeAction m\n{\nClientUser ann SWORDFISH",
		"}\nKeyExchangeAction m\n{\nClientUsr ann SWORDFISH",
		"}\nIpService s\n{\nSharedKy Ascii SWORDFISH",
		"SharedKey Ascii SWORDFISH#x y"};
	char text[8192];
	struct findings found;

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		int n = snprintf(text, sizeof(text),
				 "%sKeyExchangeRule k\n{\nLocalSecurityEndpointRef le\n"
				 "RemoteSecurityEndpointRef re\nKeyExchangeActionRef ka\n%s\n}\n",
				 base, lines[i]);

		pol_unref(compile_text(text, (size_t)n, &found));
		ck_assert_uint_gt(found.n, 0);
		for (unsigned k = 0; k < found.n; k++) {
			const struct finding *f = &found.v[k];

			ck_assert_msg(!strcasestr(f->text, "swordfish") &&
					      !strcasestr(f->attribute, "swordfish") &&
					      !strcasestr(f->statement, "swordfish") &&
					      !strcasestr(f->source, "swordfish") &&
					      !strcasestr(f->expected, "swordfish"),
				      "%s: %u: %s: %s: %s | %s", lines[i], f->line, f->statement,
				      f->attribute, f->text, f->source);
		}
	}
}
END_TEST

/* ---- how many ---- */

struct tally {
	unsigned n[POL_NOTE + 1];
	char last[512];
};

static void on_finding(void *arg, const struct pol_diag *d)
{
	struct tally *t = arg;

	t->n[d->severity]++;
	snprintf(t->last, sizeof(t->last), "%s:%u: %s", strrchr(d->file, '/') + 1, d->line,
		 d->text);
}

/* Begin, then head, a number and tail so many times, then end. */
static const struct {
	const char *begin, *head, *tail, *end;
	unsigned times;
	int rc;
	unsigned errors, warnings;
	const char *last; /* NULL: whatever it is */
} floods[] = {
	{"", "Nonsense", " of a file that is none\n", "", 400000, CS_EPOLICY, 1001, 0,
	 "f:1001: more than 1000 errors: what else is wrong is not told"},
	{"IpFilterPolicy\n{\n", "Nonsense", "\n", "}\n", 800000, CS_EPOLICY, 1001, 0,
	 "f:1003: more than 1000 errors: what else is wrong is not told"},
	{"IpFilterPolicy\n{\n", "IpFilterRuleRef r", "\n", "}\n", 200000, CS_EPOLICY, 1001, 0,
	 "f:1003: more than 1000 errors: what else is wrong is not told"},
	{"", "Nonsense", "\n", "", 1000, CS_EPOLICY, 1000, 0, NULL},
	{base, "IpService s", "\n{\n HowTo 1\n}\n", "", 999, CS_EPOLICY, 999, 0, NULL},
	{base, "IpService s", "\n{\nProtocol Tcp\nProtocol Tcp\n}\n", "", 3000, 0, 0, 1001,
	 "f:5043: more warnings: 2000 of them and of notes are not told"},
};

START_TEST(test_flood)
{
	size_t cap = 17u << 20, len;
	char *text = malloc(cap), path[] = "/tmp/csipsec-flood-XXXXXX", file[64];
	struct pol_policy *policy = NULL;
	struct tally t = {0};
	struct cs_err err;
	FILE *f;

	ck_assert_ptr_nonnull(text);
	ck_assert_ptr_nonnull(mkdtemp(path));
	len = (size_t)snprintf(text, cap, "%s", floods[_i].begin);
	for (unsigned i = 0; i < floods[_i].times; i++)
		len += (size_t)snprintf(text + len, cap - len, "%s%u%s", floods[_i].head, i,
					floods[_i].tail);
	len += (size_t)snprintf(text + len, cap - len, "%s", floods[_i].end);
	snprintf(file, sizeof(file), "%s/f", path);
	f = fopen(file, "w");
	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(text, 1, len, f), len);
	ck_assert_int_eq(fclose(f), 0);
	ck_assert_int_eq(pol_compile(file, "TCPIP", on_finding, &t, &policy, &err), floods[_i].rc);
	unlink(file);
	rmdir(path);
	free(text);
	pol_unref(policy);
	ck_assert_uint_eq(t.n[POL_ERROR], floods[_i].errors);
	ck_assert_uint_eq(t.n[POL_WARNING], floods[_i].warnings);
	if (floods[_i].last)
		ck_assert_str_eq(t.last, floods[_i].last);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy errors");
	TCase *tc = tcase_create("errors");

	tcase_add_test(tc, test_base_is_good);
	tcase_add_loop_test(tc, test_case, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, test_all_at_once);
	tcase_add_test(tc, test_keys_stay_hidden);
	tcase_add_loop_test(tc, test_flood, 0, (int)(sizeof(floods) / sizeof(floods[0])));
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
