/* Policy texts for tests: writes them to a file, compiles, keeps the findings. */
#include "policy_text.h"

#include <check.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

void collect(void *arg, const struct pol_diag *diag)
{
	struct findings *found = arg;
	struct finding *f;

	/* Of no test's text but two: the tree's files, and those in memory, are for everybody. */
	if (strstr(diag->text, "every user may read this file")) {
		found->n_open++;
		return;
	}
	if (strstr(diag->text, "every user may write this file")) {
		found->n_writable++;
		return;
	}
	if (diag->severity == POL_ERROR)
		found->n_errors++;
	else if (diag->severity == POL_WARNING)
		found->n_warnings++;
	else
		found->n_notes++;
	if (found->n == FINDINGS_MAX)
		return;
	f = &found->v[found->n++];
	f->severity = diag->severity;
	f->line = diag->line;
	snprintf(f->file, sizeof(f->file), "%s", diag->file);
	snprintf(f->statement, sizeof(f->statement), "%s", diag->statement);
	snprintf(f->attribute, sizeof(f->attribute), "%s", diag->attribute);
	snprintf(f->text, sizeof(f->text), "%s", diag->text);
	snprintf(f->source, sizeof(f->source), "%s", diag->source);
	snprintf(f->expected, sizeof(f->expected), "%s", diag->expected);
}

struct pol_policy *compile_file(const char *path, const char *stack, struct findings *found)
{
	struct pol_policy *policy = NULL;
	struct cs_err err = {0};
	int rc;

	memset(found, 0, sizeof(*found));
	rc = pol_compile(path, stack, collect, found, &policy, &err);
	if (rc) {
		ck_assert_ptr_null(policy);
		ck_assert_int_lt(rc, 0);
		ck_assert_int_eq(rc, (int)err.code);
		ck_assert_str_ne(err.text, "");
		return NULL;
	}
	ck_assert_ptr_nonnull(policy);
	ck_assert_uint_eq(found->n_errors, 0);
	return policy;
}

struct pol_policy *compile_text(const char *text, size_t size, struct findings *found)
{
	int fd = memfd_create("policy", 0);
	char path[64];
	struct pol_policy *policy;

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(write(fd, text, size), (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	policy = compile_file(path, "TCPIP", found);
	close(fd);
	return policy;
}

char *read_sample(const char *leaf, size_t *size)
{
	char path[512], *text;
	FILE *file;

	snprintf(path, sizeof(path), TESTDATA "/data/policy/%s", leaf);
	file = fopen(path, "r");
	ck_assert_msg(file != NULL, "%s", path);
	text = malloc(65536);
	ck_assert_ptr_nonnull(text);
	*size = fread(text, 1, 65535, file);
	text[*size] = '\0';
	fclose(file);
	return text;
}
