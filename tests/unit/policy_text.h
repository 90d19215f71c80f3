/* Policy texts for tests: writes them to a file, compiles, keeps the findings. */
#ifndef POLICY_TEXT_H
#define POLICY_TEXT_H

#include "policy/policy.h"

#define FINDINGS_MAX 64

struct finding {
	enum pol_severity severity;
	char file[128];
	unsigned line;
	char statement[128], attribute[80], text[512], source[512], expected[256];
};

struct findings {
	struct finding v[FINDINGS_MAX];
	unsigned n, n_errors, n_warnings, n_notes; /* n: kept of them */
	/* not among them: warnings of a file that everybody may read, or write */
	unsigned n_open, n_writable;
};

void collect(void *arg, const struct pol_diag *diag);
/* Compiles text as the main file of stack TCPIP. The policy (with its reference) or NULL. */
struct pol_policy *compile_text(const char *text, size_t size, struct findings *found);
struct pol_policy *compile_file(const char *path, const char *stack, struct findings *found);
/* A file of tests/data/policy as text; the caller frees it. */
char *read_sample(const char *leaf, size_t *size);

#endif
