/* Policy files in EBCDIC: what is taken for one, and that they say the same as in UTF-8. */
#include <check.h>
#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "policy/codepage.h"
#include "policy/lex.h"
#include "policy_text.h"
#include "tests/unit/run_suite.h"

#define KEY "Key1[!]|^~"

/* The text as z/OS UNIX has it, lines ended with NL. The caller frees it. */
static char *ebcdic(const char *page, const char *text, size_t size)
{
	iconv_t cd = iconv_open(page, "UTF-8");
	char *in = (char *)(uintptr_t)text, *out = malloc(size + 1), *to = out;
	size_t left = size, room = size;

	ck_assert(cd != (iconv_t)-1);
	ck_assert_uint_eq(iconv(cd, &in, &left, &to, &room), 0);
	ck_assert_uint_eq(room, 0);
	iconv_close(cd);
	for (size_t i = 0; i < size; i++)
		if (text[i] == '\n')
			out[i] = 0x15;
	return out;
}

START_TEST(test_recognised)
{
	static const struct {
		const char *text;
		bool is;
	} cases[] = {
		{"\xc1\x40\xc2\x15", true},         /* "A B" NL */
		{"\x05\xc1\x40\xc2\x0d\x25", true}, /* HT "A B" CR LF */
		{"\x7b\x40\x81\x15\xc0\x15", true}, /* "# a" NL "{" NL */
		{"\xc1\x15\xc2\x15", false},        /* no blank: hardly a policy */
		{"", false},
		{"@@@@", false},
		{"A B\n", false},
		{"@ \xc3\xa4\n", false},
		{"@\xc3\xa4", true},        /* no line of a policy */
		{"Gr\xfc\xdf@\n", false},   /* Latin-1 */
		{"\xff\xfe\x41\x40", true}, /* no UTF-16 text is without a NUL for long */
		{"\xc1\x40\xc2\x15\x01", false},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		ck_assert_msg(pol_is_ebcdic(cases[i].text, strlen(cases[i].text)) == cases[i].is,
			      "case %zu", i);
	ck_assert(!pol_is_ebcdic("\xc1\x40\x00\x15", 4));
}
END_TEST

START_TEST(test_converted)
{
	static const struct {
		const char *page, *text, *becomes; /* NULL: the error's text */
		const char *error;
		int rc;
	} cases[] = {
		{"IBM-1047", "\xc1\x40\xc2\x15\xad\x25", "A B\n[\n", NULL, 0},
		{"IBM-037", "\xba\x40\x15", "[ \n", NULL, 0},
		{"1047", "\xc1\x15\x15", "A\n\n", NULL, 0},
		{"IBM-1047", "\xc1\x40", NULL, "has no line ends", CS_EPARSE},
		{"IBM-424", "\xc1\x73\x15", NULL, "byte 2 is not of code page IBM-424", CS_EPARSE},
		{"IBM-99999", "\xc1\x15", NULL, "does not know code page IBM-99999",
		 CS_EUNSUPPORTED},
		{"IBM1047//TRANSLIT", "\xc1\x15", NULL, "does not know", CS_EUNSUPPORTED},
		{"../x", "\xc1\x15", NULL, "does not know", CS_EUNSUPPORTED},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t size = strlen(cases[i].text);
		char *data = strdup(cases[i].text);
		struct cs_err err = {.text = ""};
		int rc = pol_from_ebcdic(cases[i].page, &data, &size, &err);

		ck_assert_msg(rc == cases[i].rc, "case %zu: %d, %s", i, rc, err.text);
		if (rc == 0) {
			ck_assert_uint_eq(size, strlen(cases[i].becomes));
			ck_assert_mem_eq(data, cases[i].becomes, size);
		} else {
			ck_assert_ptr_nonnull(strstr(err.text, cases[i].error));
			ck_assert_str_eq(data, cases[i].text);
		}
		free(data);
	}
}
END_TEST

/* Every sample is the same policy in EBCDIC, and says so in one note. */
START_TEST(test_sample)
{
	size_t size;
	char *text = read_sample("host-to-host.policy", &size);
	char *z = ebcdic("IBM-1047", text, size);
	struct findings found, z_found;
	struct pol_policy *p = compile_text(text, size, &found);
	struct pol_policy *q = compile_text(z, size, &z_found);

	ck_assert_ptr_nonnull(p);
	ck_assert_msg(q != NULL, "%u: %s", z_found.v[0].line, z_found.v[0].text);
	ck_assert_uint_eq(q->n_rules, p->n_rules);
	ck_assert_str_eq(q->rules[0].name, p->rules[0].name);
	ck_assert_uint_eq(q->n_ke_rules, p->n_ke_rules);
	ck_assert_uint_eq(q->ke_rules[0].shared_key.len, p->ke_rules[0].shared_key.len);
	ck_assert_mem_eq(q->ke_rules[0].shared_key.p, p->ke_rules[0].shared_key.p,
			 p->ke_rules[0].shared_key.len);
	ck_assert_uint_eq(z_found.n, found.n + 1);
	ck_assert_int_eq(z_found.v[0].severity, POL_NOTE);
	ck_assert_uint_eq(z_found.v[0].line, 1);
	ck_assert_ptr_nonnull(strstr(z_found.v[0].text, "in EBCDIC"));
	ck_assert_ptr_nonnull(strstr(z_found.v[0].text, "IBM-1047, because no Codepage"));
	/* faults have their own lines */
	*strchr(z, 0xc0) = (char)0xd0; /* the first '{' is a '}' */
	ck_assert_ptr_null(compile_text(z, size, &z_found));
	ck_assert_uint_gt(z_found.n_errors, 0);
	pol_unref(p);
	pol_unref(q);
	free(text);
	free(z);
}
END_TEST

/* Editors of Windows put a mark before UTF-8, and some save UTF-16. */
START_TEST(test_byte_order_marks)
{
	static const char comment[] = {'\xef', '\xbb', '\xbf', '#', '\n'};
	struct findings found;
	struct pol_policy *p;
	size_t size;
	char *text = read_sample("host-to-host.policy", &size);
	char *marked = malloc(size + 3);

	ck_assert_ptr_nonnull(marked);
	memcpy(marked, comment, 3);
	memcpy(marked + 3, text, size);
	p = compile_text(marked, size + 3, &found);
	ck_assert_msg(p != NULL, "%u: %s", found.v[0].line, found.v[0].text);
	pol_unref(p);
	/* lines count as they do without it */
	ck_assert_ptr_null(compile_text(comment, sizeof(comment), &found));
	ck_assert_uint_eq(found.v[0].line, 1);
	for (unsigned i = 0; i < 2; i++) {
		int fd = memfd_create("policy", 0);
		struct pol_lines lines;
		struct cs_err err;
		char path[64];

		ck_assert_int_eq(write(fd, i ? "\xfe\xff\0#\0\n" : "\xff\xfe#\0\n\0", 6), 6);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		ck_assert_int_eq(pol_lex_file(path, POL_CODEPAGE_DEFAULT, &lines, &err), CS_EPARSE);
		ck_assert_ptr_nonnull(strstr(err.text, "UTF-16"));
		close(fd);
	}
	free(text);
	free(marked);
}
END_TEST

/* ---- Codepage ---- */

static char dir[] = "/tmp/test_codepage.XXXXXX";

static const char *in_dir(const char *leaf)
{
	static char path[2][64];
	static unsigned turn;
	char *p = path[turn++ % 2];

	snprintf(p, sizeof(path[0]), "%s/%s", dir, leaf);
	return p;
}

/* page NULL: UTF-8. */
static void put(const char *leaf, const char *page, const char *text)
{
	size_t size = strlen(text);
	char *z = page ? ebcdic(page, text, size) : NULL;
	FILE *f = fopen(in_dir(leaf), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(z ? z : text, 1, size, f), size);
	fclose(f);
	free(z);
}

static const char text_of_policy[] =
	"IpFilterPolicy\n{\n  IpFilterRule r\n  {\n    IpGenericFilterActionRef a\n  }\n}\n"
	"IpGenericFilterAction a\n{\n  IpFilterAction Deny\n}\n"
	"KeyExchangePolicy\n{\n  KeyExchangeRule k\n  {\n"
	"    LocalSecurityEndpoint\n    {\n      Identity IpAddr 192.0.2.1\n"
	"      Location 192.0.2.1\n    }\n"
	"    RemoteSecurityEndpoint\n    {\n      Identity IpAddr 192.0.2.2\n"
	"      Location 192.0.2.2\n    }\n"
	"    KeyExchangeActionRef a\n    SharedKey Ascii " KEY "\n  }\n}\n"
	"KeyExchangeAction a\n{\n  KeyExchangeOffer\n  {\n    HowToEncrypt 3DES\n"
	"    HowToAuthMsgs SHA1\n    HowToAuthPeers PresharedKey\n    DHGroup Group2\n  }\n}\n";

/* Compiles main; whether the key is as it was written. */
static bool key_is_right(struct findings *found)
{
	struct pol_policy *p = compile_file(in_dir("main"), "TCPIP", found);
	bool right;

	ck_assert_msg(p != NULL, "%s:%u: %s", found->v[0].file, found->v[0].line, found->v[0].text);
	right = p->ke_rules[0].shared_key.len == strlen(KEY) &&
		memcmp(p->ke_rules[0].shared_key.p, KEY, strlen(KEY)) == 0;
	pol_unref(p);
	return right;
}

START_TEST(test_codepage)
{
	char whole[sizeof(text_of_policy) + 64];
	struct findings found;

	ck_assert_ptr_nonnull(mkdtemp(dir));
	/* the main file in UTF-8, the policy in EBCDIC */
	put("main", NULL, "IpSecConfig policy\n");
	put("policy", "IBM1047", text_of_policy);
	ck_assert(key_is_right(&found));
	ck_assert_uint_eq(found.n_notes, 1);
	ck_assert_str_eq(strrchr(found.v[0].file, '/'), "/policy");
	/* some characters of a key are others in another page */
	put("policy", "IBM037", text_of_policy);
	ck_assert(!key_is_right(&found));
	put("main", NULL, "Codepage IBM-037\nIpSecConfig policy\n");
	ck_assert(key_is_right(&found));
	ck_assert_ptr_nonnull(strstr(found.v[0].text, "it is read in code page IBM-037"));
	ck_assert_ptr_null(strstr(found.v[0].text, "because"));
	/* the main file too, and wherever in it the statement stands; the last one counts */
	put("main", "IBM037", "Codepage IBM-273\nIpSecConfig policy\nCodepage IBM-037\n");
	ck_assert(key_is_right(&found));
	ck_assert_uint_eq(found.n_notes, 2);
	ck_assert_uint_eq(found.n_warnings, 1);
	/* everything in one file */
	snprintf(whole, sizeof(whole), "%sCodepage IBM-037\n", text_of_policy);
	put("main", "IBM037", whole);
	ck_assert(key_is_right(&found));
	/* it is no matter for files in UTF-8 */
	put("main", NULL, whole);
	ck_assert(key_is_right(&found));
	ck_assert_uint_eq(found.n, 0);

	put("main", NULL, "Codepage\nIpSecConfig policy\n");
	ck_assert_ptr_null(compile_file(in_dir("main"), "TCPIP", &found));
	ck_assert_str_eq(found.v[0].attribute, "Codepage");
	ck_assert_str_eq(found.v[0].text, "the value is missing");
	put("main", NULL, "Codepage IBM-99999\nIpSecConfig policy\n");
	ck_assert_ptr_null(compile_file(in_dir("main"), "TCPIP", &found));
	ck_assert_uint_eq(found.v[0].line, 2);
	ck_assert_ptr_nonnull(strstr(found.v[0].text, "iconv does not know code page IBM-99999"));
	unlink(in_dir("main"));
	unlink(in_dir("policy"));
	rmdir(dir);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("codepage");
	TCase *tc = tcase_create("codepage");

	tcase_add_test(tc, test_recognised);
	tcase_add_test(tc, test_converted);
	tcase_add_test(tc, test_sample);
	tcase_add_test(tc, test_byte_order_marks);
	tcase_add_test(tc, test_codepage);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
