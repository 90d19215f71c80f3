/* Identities: what matches what, and that any bytes can be shown. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/dn.h"
#include "policy/policy.h"
#include "tests/unit/run_suite.h"

#define BYTES(s) (const uint8_t *)(s), sizeof(s) - 1

START_TEST(test_names)
{
	static const struct {
		enum pol_id_type type;
		const char *pattern;
		const uint8_t *id;
		size_t len;
		bool matches;
	} cases[] = {
		{POL_ID_FQDN, "gw.example.com", BYTES("gw.example.com"), true},
		{POL_ID_FQDN, "gw.example.com", BYTES("GW.Example.Com"), true},
		{POL_ID_FQDN, "gw.example.com", BYTES("gw.example.co"), false},
		{POL_ID_FQDN, "gw.example.com", BYTES("gw.example.com\0"), false},
		{POL_ID_FQDN, "gw.example.com", BYTES("a.gw.example.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES("gw.example.com"), true},
		{POL_ID_FQDN, "*.example.com", BYTES("a.b.EXAMPLE.com"), true},
		{POL_ID_FQDN, "*.example.com", BYTES("example.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES(".example.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES("badexample.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES("evil\0.example.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES("a b.example.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES("a\n.example.com"), false},
		{POL_ID_FQDN, "*.example.com", BYTES("\xff.example.com"), false},
		{POL_ID_FQDN, "*example.com", BYTES("xexample.com"), false},
		{POL_ID_FQDN, "*", BYTES("anything"), true},
		{POL_ID_FQDN, "*", BYTES(""), false},
		{POL_ID_USER_FQDN, "u@example.com", BYTES("u@example.com"), true},
		{POL_ID_USER_FQDN, "u@example.com", BYTES("u@EXAMPLE.com"), true},
		{POL_ID_USER_FQDN, "u@example.com", BYTES("U@example.com"), false},
		{POL_ID_USER_FQDN, "u@example.com", BYTES("v@example.com"), false},
		{POL_ID_USER_FQDN, "*@example.com", BYTES("v@example.com"), true},
		{POL_ID_USER_FQDN, "*@example.com", BYTES("v@a.example.com"), false},
		{POL_ID_USER_FQDN, "*@example.com", BYTES("@example.com"), false},
		{POL_ID_USER_FQDN, "*@example.com", BYTES("v@"), false},
		{POL_ID_USER_FQDN, "*@example.com", BYTES("example.com"), false},
		{POL_ID_USER_FQDN, "*@*.example.com", BYTES("v@a.example.com"), true},
		{POL_ID_USER_FQDN, "*@*.example.com", BYTES("v@example.com"), false},
		{POL_ID_USER_FQDN, "*", BYTES("v@example.com"), true},
		{POL_ID_USER_FQDN, "*", BYTES("v"), false},
		{POL_ID_USER_FQDN, "a@b@example.com", BYTES("a@b@example.com"), true},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char pattern_text[64];
		struct pol_identity pattern = {.type = cases[i].type, .text = pattern_text};
		struct pol_peer_id id = {(uint8_t)cases[i].type, {cases[i].id, cases[i].len}};

		snprintf(pattern_text, sizeof(pattern_text), "%s", cases[i].pattern);
		ck_assert_msg(pol_identity_matches(&pattern, &id) == cases[i].matches,
			      "case %zu: %s", i, cases[i].pattern);
		/* the same bytes as another type never match */
		id.type = POL_ID_KEY_ID;
		ck_assert(!pol_identity_matches(&pattern, &id));
	}
}
END_TEST

START_TEST(test_addresses)
{
	static const struct {
		enum pol_id_type type;
		const char *pattern;
		const uint8_t *id;
		size_t len;
		bool matches;
	} cases[] = {
		{POL_ID_IPV4_ADDR, "192.0.2.1", BYTES("\xc0\x00\x02\x01"), true},
		{POL_ID_IPV4_ADDR, "192.0.2.1", BYTES("\xc0\x00\x02\x02"), false},
		{POL_ID_IPV4_ADDR, "192.0.2.1", BYTES("\xc0\x00\x02"), false},
		{POL_ID_IPV4_ADDR, "192.0.2.1", BYTES("\xc0\x00\x02\x01\x00"), false},
		{POL_ID_IPV4_ADDR, "192.0.2.1", BYTES(""), false},
		{POL_ID_IPV4_ADDR, "192.0.2.0/24", BYTES("\xc0\x00\x02\xff"), true},
		{POL_ID_IPV4_ADDR, "192.0.2.0/24", BYTES("\xc0\x00\x03\x00"), false},
		{POL_ID_IPV4_ADDR, "192.0.2.3-192.0.2.5", BYTES("\xc0\x00\x02\x05"), true},
		{POL_ID_IPV4_ADDR, "192.0.2.3-192.0.2.5", BYTES("\xc0\x00\x02\x06"), false},
		{POL_ID_IPV4_ADDR, "0.0.0.0", BYTES("\xc0\x00\x02\x06"), true},
		{POL_ID_IPV4_ADDR, "0.0.0.0/0", BYTES("\xc0\x00\x02\x06"), true},
		{POL_ID_IPV4_ADDR, "0.0.0.0", BYTES("\xc0\x00\x02"), false},
		{POL_ID_IPV6_ADDR, "2001:db8::/32",
		 BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), true},
		{POL_ID_IPV6_ADDR, "2001:db8::1", BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"),
		 false},
		{POL_ID_IPV6_ADDR, "::", BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\2"), true},
		/* the pattern's range and its type do not go together */
		{POL_ID_IPV6_ADDR, "0.0.0.0/0", BYTES("\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pol_identity pattern = {.type = cases[i].type};
		struct pol_peer_id id = {(uint8_t)cases[i].type, {cases[i].id, cases[i].len}};
		struct cs_err err;

		ck_assert_int_eq(cs_range_parse(cases[i].pattern, &pattern.addr, &err), 0);
		ck_assert_msg(pol_identity_matches(&pattern, &id) == cases[i].matches,
			      "case %zu: %s", i, cases[i].pattern);
	}
}
END_TEST

START_TEST(test_key_id_and_none)
{
	static const uint8_t key[] = {0, 1, 2, 0xff};
	struct pol_identity pattern = {.type = POL_ID_KEY_ID, .data = {key, sizeof(key)}};
	struct pol_identity none = {.type = POL_ID_NONE};
	struct pol_identity hollow = {.type = POL_ID_FQDN};
	struct pol_peer_id id = {POL_ID_KEY_ID, {key, sizeof(key)}};
	struct pol_peer_id nothing = {POL_ID_NONE, {key, sizeof(key)}};
	struct pol_peer_id no_bytes = {POL_ID_FQDN, {NULL, 0}};

	ck_assert(pol_identity_matches(&pattern, &id));
	id.data.len--;
	ck_assert(!pol_identity_matches(&pattern, &id));
	ck_assert(!pol_identity_matches(&none, &nothing));
	ck_assert(!pol_identity_matches(&hollow, &no_bytes));
	no_bytes.data = (struct cs_bytes){BYTES("gw")};
	ck_assert(!pol_identity_matches(&hollow, &no_bytes));
}
END_TEST

START_TEST(test_text)
{
	static const struct {
		uint8_t type;
		const uint8_t *id;
		size_t len;
		const char *text;
	} cases[] = {
		{1, BYTES("\xc0\x00\x02\x01"), "192.0.2.1"},
		{1, BYTES("\xc0\x00\x02"), "malformed 0xc00002"},
		{1, BYTES(""), "(empty)"},
		{5, BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"), "2001:db8::1"},
		{5, BYTES("\xc0\x00\x02\x01"), "malformed 0xc0000201"},
		{4, BYTES("\xc0\x00\x02\x00\xff\xff\xff\x00"), "192.0.2.0/24"},
		{4, BYTES("\xc0\x00\x02\x00\xff\xff\xff\xff"), "192.0.2.0/32"},
		{4, BYTES("\xc0\x00\x02\x00\x00\x00\x00\x00"), "192.0.2.0/0"},
		{4, BYTES("\xc0\x00\x02\x00\xff\x00\xff\x00"), "192.0.2.0/255.0.255.0"},
		{4, BYTES("\xc0\x00\x02\x00\xff\xff\xff"), "malformed 0xc0000200ffffff"},
		{7, BYTES("\xc0\x00\x02\x00\xc0\x00\x02\x09"), "192.0.2.0-192.0.2.9"},
		{6,
		 BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\0"
		       "\xff\xff\xff\xff\0\0\0\0\0\0\0\0\0\0\0\0"),
		 "2001:db8::/32"},
		{8, BYTES("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"),
		 "malformed 0x20010db8000000000000000000000001"},
		{2, BYTES("gw.example.com"), "gw.example.com"},
		{2, BYTES("gw\0\n\x7f\x80\\x"), "gw\\x00\\x0a\\x7f\\x80\\\\x"},
		{3, BYTES("u@example.com"), "u@example.com"},
		{11, BYTES("branch 7"), "branch 7"},
		{11, BYTES("\x00\x01"), "0x0001"},
		{9, BYTES("\x30\x05garbage"), "0x300567617262616765"},
		{10, BYTES("\x30\x00"), "0x3000"},
		{200, BYTES("abc"), "0x616263"},
	};
	char buf[128];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pol_peer_id id = {cases[i].type, {cases[i].id, cases[i].len}};

		ck_assert_ptr_eq(pol_peer_id_text(&id, buf, sizeof(buf)), buf);
		ck_assert_str_eq(buf, cases[i].text);
	}
}
END_TEST

START_TEST(test_text_cut)
{
	struct pol_peer_id id = {POL_ID_FQDN, {BYTES("gateway.example.com")}};
	struct pol_peer_id escaped = {POL_ID_FQDN, {BYTES("ab\x01\x02\x03")}};
	char buf[24];

	ck_assert_str_eq(pol_peer_id_text(&id, buf, 20), "gateway.example.com");
	ck_assert_str_eq(pol_peer_id_text(&id, buf, 19), "gateway.example...");
	ck_assert_str_eq(pol_peer_id_text(&id, buf, 5), "g...");
	ck_assert_str_eq(pol_peer_id_text(&id, buf, 4), "...");
	ck_assert_uint_lt(strlen(pol_peer_id_text(&id, buf, 3)), 3);
	ck_assert_str_eq(pol_peer_id_text(&id, buf, 1), "");
	ck_assert_str_eq(pol_peer_id_text(&id, buf, 0), "");
	ck_assert_str_eq(pol_peer_id_text(&escaped, buf, 12), "ab\\x01\\x...");
}
END_TEST

/* Any type with any bytes into any buffer: printable, ended, inside its bounds. */
START_TEST(test_text_any_bytes)
{
	char patterns[][24] = {"*", "*.a", "*@*", "u@a", "CN=*", "O=a", "*,O=a", "="};

	srandom(4);
	for (unsigned round = 0; round < 40000; round++) {
		size_t len = (size_t)random() % 40, size = (size_t)random() % 60;
		uint8_t *data = malloc(len + 1);
		char *buf = malloc(size + 1);
		struct pol_peer_id id = {(uint8_t)(random() % 14), {data, len}};
		const char *text;

		for (size_t i = 0; i < len; i++)
			data[i] = (uint8_t)(random() % 4 ? random()
							 : "\x30\x31\x06\x03*@.="[random() % 8]);
		text = pol_peer_id_text(&id, buf, size);
		ck_assert_uint_lt(strlen(text), size ? size : 1);
		for (const char *p = text; *p; p++)
			ck_assert_msg(*p >= ' ' && *p < 0x7f, "byte %d shown", *p);
		for (size_t i = 0; i < sizeof(patterns) / sizeof(patterns[0]); i++) {
			struct pol_identity p = {.type = (enum pol_id_type)id.type,
						 .text = patterns[i]};

			pol_identity_matches(&p, &id);
		}
		free(data);
		free(buf);
	}
}
END_TEST

START_TEST(test_type_name)
{
	ck_assert_str_eq(pol_id_type_name(1), "ID_IPV4_ADDR");
	ck_assert_str_eq(pol_id_type_name(9), "ID_DER_ASN1_DN");
	ck_assert_str_eq(pol_id_type_name(11), "ID_KEY_ID");
	ck_assert_str_eq(pol_id_type_name(0), "unknown");
	ck_assert_str_eq(pol_id_type_name(12), "unknown");
	ck_assert_str_eq(pol_id_type_name(4000000000u), "unknown");
}
END_TEST

#ifdef HAVE_OPENSSL
START_TEST(test_dn)
{
	static const struct {
		const char *pattern, *name;
		bool matches;
	} cases[] = {
		{"CN=a,O=Example,C=US", "CN=a,O=Example,C=US", true},
		{"cn=A,o=EXAMPLE,c=us", "CN=a,O=Example,C=US", true},
		{"CN=a, O=Two  Words, C=US", "CN=a,O=two words,C=US", true},
		{"CN=a,O=Example,C=US", "CN=b,O=Example,C=US", false},
		{"CN=a,O=Example,C=US", "O=Example,CN=a,C=US", false},
		{"CN=a,O=Example,C=US", "O=Example,C=US", false},
		/* leading parts left out, or wild */
		{"O=Example,C=US", "CN=a,O=Example,C=US", true},
		{"O=Example,C=US", "CN=a,OU=x,O=Example,C=US", true},
		{"O=Example,C=US", "CN=a,O=Example,C=CA", false},
		{"*,O=Example,C=US", "CN=a,O=Example,C=US", true},
		{"CN=*,O=Example,C=US", "CN=a,O=Example,C=US", true},
		{"CN=*,O=Example,C=US", "OU=a,O=Example,C=US", false},
		{"CN=*,O=Example,C=US", "O=Example,C=US", false},
		{"CN=*,OU=*,O=Example,C=US", "CN=a,OU=b,O=Example,C=US", true},
		{"CN=*,OU=*,O=Example,C=US", "OU=b,CN=a,O=Example,C=US", false},
		{"*", "CN=a,C=US", true},
		/* a star that is meant */
		{"CN=\\*,C=US", "CN=a,C=US", false},
		{"CN=\\*,C=US", "CN=\\*,C=US", true},
		{"CN=a\\,b,C=US", "CN=a\\,b,C=US", true},
		{"SP=x,street=y,uid=z,E=q,C=US", "ST=x,STREET=y,UID=z,EMAIL=q,C=US", true},
		{"1.3.6.1.4.1.9=a,C=US", "1.3.6.1.4.1.9=a,C=US", true},
		/* what cannot be read matches nothing */
		{"CN=*,O=Example,CN=*", "CN=a,O=Example,CN=b", false},
		{"O=Example,*", "O=Example,C=US", false},
		{"nonsense", "C=US", false},
		{"CN=", "C=US", false},
		{"CN=a\\", "CN=a,C=US", false},
		{"XYZZY=a", "C=US", false},
		{"", "C=US", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char pattern_text[64];
		struct pol_identity pattern = {.type = POL_ID_DER_ASN1_DN, .text = pattern_text};
		struct cs_err err = {0};
		struct pol_peer_id id = {.type = POL_ID_DER_ASN1_DN};
		uint8_t *der = NULL;
		size_t len = 0;

		snprintf(pattern_text, sizeof(pattern_text), "%s", cases[i].pattern);
		ck_assert_msg(pol_dn_encode(cases[i].name, &der, &len, &err) == 0, "%s: %s",
			      cases[i].name, err.text);
		id.data = (struct cs_bytes){der, len};
		ck_assert_msg(pol_identity_matches(&pattern, &id) == cases[i].matches, "%s with %s",
			      cases[i].pattern, cases[i].name);
		/* every cut of it is refused, not read */
		for (size_t cut = 0; cut < len; cut++) {
			id.data.len = cut;
			ck_assert(!pol_identity_matches(&pattern, &id));
		}
		free(der);
	}
}
END_TEST

/* Every keyword that a policy may use is one that can be encoded. */
START_TEST(test_dn_types)
{
	static const char *const types[] = {
		"C",
		"CN",
		"DC",
		"DNQUALIFIER",
		"E",
		"EMAIL",
		"EMAILADDRESS",
		"G",
		"GENERATIONQUALIFIER",
		"GIVENNAME",
		"I",
		"INITIALS",
		"L",
		"MAIL",
		"NAME",
		"O",
		"OU",
		"PC",
		"S",
		"SERIALNUMBER",
		"SN",
		"SP",
		"ST",
		"STREET",
		"SURNAME",
		"T",
		"TITLE",
		"UID",
		"cn",
		"2.5.4.3",
	};

	for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
		char name[64];
		struct cs_err err = {0};
		uint8_t *der = NULL;
		size_t len;

		snprintf(name, sizeof(name), "%s=US", types[i]);
		ck_assert_msg(pol_dn_encode(name, &der, &len, &err) == 0, "%s", err.text);
		free(der);
	}
}
END_TEST

START_TEST(test_dn_text)
{
	struct cs_err err = {0};
	struct pol_peer_id id = {.type = POL_ID_DER_ASN1_DN};
	uint8_t *der = NULL;
	size_t len = 0;
	char buf[128];
	bool exact = true;

	ck_assert_int_eq(pol_dn_encode("CN=hosta,OU=net,O=Example,C=US", &der, &len, &err), 0);
	id.data = (struct cs_bytes){der, len};
	ck_assert_str_eq(pol_peer_id_text(&id, buf, sizeof(buf)), "CN=hosta,OU=net,O=Example,C=US");
	ck_assert_str_eq(pol_peer_id_text(&id, buf, 10), "CN=hos...");
	free(der);
	der = NULL;
	ck_assert_int_eq(pol_dn_encode("CN=a\\,b\x01\xc3\xa9,C=US", &der, &len, &err), 0);
	id.data = (struct cs_bytes){der, len};
	ck_assert_str_eq(pol_peer_id_text(&id, buf, sizeof(buf)), "CN=a\\,b\\01\\C3\\A9,C=US");
	free(der);

	ck_assert_int_eq(pol_dn_check("CN=*,O=a", &exact, &err), 0);
	ck_assert(!exact);
	ck_assert_int_eq(pol_dn_check("CN=b,O=a", &exact, &err), 0);
	ck_assert(exact);
	ck_assert_int_eq(pol_dn_check("CN=b,oops", &exact, &err), CS_EPARSE);
	ck_assert_ptr_nonnull(strstr(err.text, "oops"));
	ck_assert_int_lt(pol_dn_encode("CN=*,O=a", &der, &len, &err), 0);
	ck_assert_int_lt(pol_dn_encode("C=USA", &der, &len, &err), 0);
}
END_TEST
#endif

int main(void)
{
	Suite *s = suite_create("ident");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, test_names);
	tcase_add_test(tc, test_addresses);
	tcase_add_test(tc, test_key_id_and_none);
	tcase_add_test(tc, test_text);
	tcase_add_test(tc, test_text_cut);
	tcase_add_test(tc, test_text_any_bytes);
	tcase_add_test(tc, test_type_name);
#ifdef HAVE_OPENSSL
	tcase_add_test(tc, test_dn);
	tcase_add_test(tc, test_dn_types);
	tcase_add_test(tc, test_dn_text);
#endif
	suite_add_tcase(s, tc);
	return run_suite(s);
}
