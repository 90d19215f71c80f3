/* Checking a policy file, for `pagent -n FILE`. */
#include "policy/check.h"

#include "policy/policy.h"

struct tally {
	FILE *out;
	unsigned n[3]; /* by severity */
};

static void print(void *arg, const struct pol_diag *diag)
{
	struct tally *tally = arg;

	tally->n[diag->severity]++;
	pol_diag_print(tally->out, diag);
}

static const char *plural(unsigned n)
{
	return n == 1 ? "" : "s";
}

int pol_check_file(const char *file, const char *stack, FILE *out)
{
	struct tally tally = {.out = out};
	struct pol_policy *policy = NULL;
	struct cs_err err;
	unsigned ttls;
	int rc = pol_compile(file, stack, print, &tally, &policy, &err);

	if (rc && !tally.n[POL_ERROR]) {
		fprintf(out, "%s\n", err.text);
		return 1;
	}
	if (rc) {
		fprintf(out, "%s: %u error%s, %u warning%s, %u note%s: the policy is refused\n",
			file, tally.n[POL_ERROR], plural(tally.n[POL_ERROR]), tally.n[POL_WARNING],
			plural(tally.n[POL_WARNING]), tally.n[POL_NOTE], plural(tally.n[POL_NOTE]));
		return 1;
	}
	ttls = pol_ttls_count(policy->ttls);
	fprintf(out,
		"%s: %u warning%s, %u note%s: the policy is good for stack %s: %u filter rule%s, "
		"%u key exchange rule%s, %u local tunnel rule%s, %u AT-TLS rule%s\n",
		file, tally.n[POL_WARNING], plural(tally.n[POL_WARNING]), tally.n[POL_NOTE],
		plural(tally.n[POL_NOTE]), stack, policy->n_rules, plural(policy->n_rules),
		policy->n_ke_rules, plural(policy->n_ke_rules), policy->n_local_rules,
		plural(policy->n_local_rules), ttls, plural(ttls));
	pol_unref(policy);
	return 0;
}
