/*
 * Every bad policy file of tests/policies/bad: what pagent -n prints about it, word for word. A
 * file says so itself, in comments between "# expect" and "# end" at its begin; one that cannot
 * (another encoding) has a neighbour that ends in .expect. A folder is a main file pagent.conf with
 * the files it names. "# Condition N" is the number in the list of validation errors, section 6 of
 * the statement reference.
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"

#define BAD         TESTDATA "/policies/bad/"
#define CONDITIONS  92
#define OUTPUT_MAX  65536
#define FILES_LEAST 120

static glob_t files;

/* What a file says of itself. */
struct expected {
	char text[OUTPUT_MAX];
	unsigned condition; /* 0: none */
	bool needs_openssl;
};

static void add_text(char *to, const char *text, size_t len)
{
	size_t used = strlen(to);

	ck_assert_uint_lt(used + len, OUTPUT_MAX);
	memcpy(to + used, text, len);
	to[used + len] = '\0';
}

/* The neighbour, else the file itself. */
static FILE *open_expected(const char *path)
{
	char side[512];

	snprintf(side, sizeof(side), "%.*s.expect", (int)(strrchr(path, '.') - path), path);
	return fopen(access(side, R_OK) == 0 ? side : path, "r");
}

static void read_expected(const char *path, struct expected *e)
{
	FILE *file = open_expected(path);
	bool inside = false, whole = false;
	char line[8192];

	ck_assert_msg(file != NULL, "%s", path);
	memset(e, 0, sizeof(*e));
	while (!whole && fgets(line, sizeof(line), file)) {
		char *p = strncmp(line, "\xef\xbb\xbf", 3) == 0 ? line + 3 : line;
		size_t len = strcspn(p, "\r\n");

		if (p[0] != '#')
			break;
		p[len] = '\0';
		whole = strcmp(p, "# end") == 0;
		if (strncmp(p, "# Condition ", 12) == 0)
			e->condition = (unsigned)strtoul(p + 12, NULL, 10);
		if (strcmp(p, "# needs OpenSSL") == 0)
			e->needs_openssl = true;
		if (inside && !whole) {
			if (len > 2)
				add_text(e->text, p + 2, len - 2);
			add_text(e->text, "\n", 1);
		}
		inside = inside || strcmp(p, "# expect") == 0;
	}
	fclose(file);
	ck_assert_msg(whole, "%s does not say what is expected", path);
}

struct output {
	FILE *out;
	unsigned n_errors;
};

/* What the mode of a file or the state of this release is the reason for is not said of the file.
 */
static void print(void *arg, const struct pol_diag *d)
{
	struct output *o = arg;

	o->n_errors += d->severity == POL_ERROR;
	if (!strstr(d->text, "every user may ") && !strstr(d->text, "not honoured:"))
		pol_diag_print(o->out, d);
}

/* Without the names of folder and file, which stand before each finding and in some texts. */
static void cut_names(char *text, const char *path)
{
	const char *leaf = strrchr(path, '/') + 1;
	size_t folder = (size_t)(leaf - path), len = strlen(leaf);
	char *to = text;

	for (const char *p = text; *p;) {
		bool begin = to == text || to[-1] == '\n';

		if (strncmp(p, path, folder) == 0) {
			p += folder;
			if (begin && strncmp(p, leaf, len) == 0 && p[len] == ':')
				p += len + 1;
			continue;
		}
		*to++ = *p++;
	}
	*to = '\0';
}

static char *compile(const char *path, bool *good)
{
	struct pol_policy *policy = NULL;
	struct output o = {0};
	char *text = NULL;
	struct cs_err err = {0};
	size_t size;

	o.out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(o.out);
	*good = pol_compile(path, "TCPIP", print, &o, &policy, &err) == 0;
	ck_assert_int_eq(*good, policy != NULL);
	if (!*good && !o.n_errors)
		fprintf(o.out, "%s\n", err.text);
	else
		ck_assert_int_eq(*good, o.n_errors == 0);
	fclose(o.out);
	pol_unref(policy);
	cut_names(text, path);
	return text;
}

START_TEST(test_file)
{
	const char *path = files.gl_pathv[_i];
	struct expected *e = malloc(sizeof(*e));
	char *text;
	bool good;

	ck_assert_ptr_nonnull(e);
	read_expected(path, e);
#ifndef HAVE_OPENSSL
	if (e->needs_openssl) {
		free(e);
		return;
	}
#endif
	text = compile(path, &good);
	ck_assert_msg(strcmp(text, e->text) == 0, "%s\n---- told\n%s---- expected\n%s", path, text,
		      e->text);
	ck_assert_msg(*text != '\0', "%s: nothing is wrong with it", path);
	ck_assert_msg(!strcasestr(text, "swordfish"), "%s: a key is shown\n%s", path, text);
	free(text);
	free(e);
}
END_TEST

/* Conditions that no file here stands for, and why. */
static bool elsewhere(unsigned condition)
{
	static const unsigned numbers[] = {
		22,                         /* test_policy_errors, as all about manual tunnels */
		57, 58, 59, 60, 61, 62, 63, /* manual tunnels */
		76,                         /* test_policy_errors, in a build without OpenSSL */
	};

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		if (numbers[i] == condition)
			return true;
	return false;
}

START_TEST(test_every_condition)
{
	bool has[CONDITIONS + 1] = {0};
	struct expected *e = malloc(sizeof(*e));

	ck_assert_ptr_nonnull(e);
	ck_assert_uint_ge(files.gl_pathc, FILES_LEAST);
	for (size_t i = 0; i < files.gl_pathc; i++) {
		read_expected(files.gl_pathv[i], e);
		ck_assert_uint_le(e->condition, CONDITIONS);
		has[e->condition] = true;
	}
	for (unsigned c = 1; c <= CONDITIONS; c++)
		ck_assert_msg(has[c] || elsewhere(c), "no file for condition %u", c);
	free(e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("bad policies");
	TCase *tc = tcase_create("files");
	int rc;

	if (glob(BAD "*.policy", 0, NULL, &files) ||
	    glob(BAD "*/pagent.conf", GLOB_APPEND, NULL, &files))
		return EXIT_FAILURE;
	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, test_file, 0, (int)files.gl_pathc);
	tcase_add_test(tc, test_every_condition);
	suite_add_tcase(suite, tc);
	rc = run_suite(suite);
	globfree(&files);
	return rc;
}
