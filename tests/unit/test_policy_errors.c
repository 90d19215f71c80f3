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
	{57, "IpManVpnAction m\n{\n}\n", 1, "", "manual tunnels are not supported", AFTER_BASE,
	 POL_ERROR},
	{57, "IpFilterRule r\n{\nIpGenericFilterActionRef ipsec\nIpManVpnActionRef m\n}\n", 4,
	 "IpManVpnActionRef", "manual tunnels are not supported", AFTER_BASE, POL_ERROR},
#ifndef HAVE_OPENSSL
	{76, LOCAL("Identity X500dn CN=a"), 3, "Identity", "X500dn needs OpenSSL", AFTER_BASE,
	 POL_ERROR},
#endif
	{91, "IpSecConfig /nonexistent/policy\n", 1, "IpSecConfig",
	 "/nonexistent/policy: cannot open it", ALONE, POL_ERROR},

	/* Ours. */
	{0, RULE("RemoteIdentity\n{\nIdentity Fqdn a\n}"), 4, "RemoteIdentity",
	 "filtering by the peer's identity is not supported", AFTER_BASE, POL_ERROR},
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

int main(void)
{
	Suite *suite = suite_create("policy errors");
	TCase *tc = tcase_create("errors");

	tcase_add_test(tc, test_base_is_good);
	tcase_add_loop_test(tc, test_case, 0, (int)(sizeof(cases) / sizeof(cases[0])));
	tcase_add_test(tc, test_all_at_once);
	tcase_add_test(tc, test_keys_stay_hidden);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
