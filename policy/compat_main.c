/* Prints docs/compatibility.md from the grammar's rows, so that the page cannot differ from them.
 */
#include <stdio.h>
#include <string.h>

#include "policy/compile.h"
#include "policy/grammar.h"
#include "policy/profile.h"
#include "policy/quirk.h"

static const char *support_text(enum pol_support support)
{
	static const char *const texts[] = {
		[POL_SUPPORTED] = "supported",
		[POL_DEPRECATED] = "supported, with a warning",
		[POL_NOTED] = "accepted with a note",
		[POL_REFUSED] = "refused",
	};

	return texts[support];
}

static const char *evidence_text(enum pol_evidence evidence)
{
	static const char *const texts[] = {
		[POL_DOCUMENTED] = "documented",
		[POL_FROM_MEMORY] = "from memory",
		[POL_OURS] = "ours",
	};

	return texts[evidence];
}

static const char *or_nothing(const char *text)
{
	return text ? text : "";
}

/* A bar would end the table's cell. */
static void put_words(const char *words)
{
	for (; *words; words++)
		if (*words == '|')
			fputs(", ", stdout);
		else
			putchar(*words);
}

static void put_values(const struct pol_param *p)
{
	switch (p->kind) {
	case POL_K_YESNO:
		fputs("Yes, No", stdout);
		return;
	case POL_K_ONOFF:
		fputs("On, Off", stdout);
		return;
	case POL_K_BLOCK:
	case POL_K_REF:
		printf("%s %s", p->kind == POL_K_REF ? "name of" : "inline", or_nothing(p->of));
		return;
	case POL_K_ADDR:
		fputs(p->values ? "address, " : "address", stdout);
		break;
	case POL_K_ADDRS:
		fputs(p->values ? "address, prefix, range, " : "address, prefix, range", stdout);
		break;
	case POL_K_NUMBER:
	case POL_K_NUMBERS:
		printf("%lu to %lu%s", p->min, p->max, p->values ? ", " : "");
		break;
	case POL_K_FLAG:
		fputs("stands alone", stdout);
		return;
	case POL_K_KEYWORD:
	case POL_K_NAME:
	case POL_K_TEXT:
		break;
	}
	put_words(or_nothing(p->values));
}

static void put_preset(const struct pol_param *p)
{
	printf(" | ");
	if (p->inherits)
		printf("as %s%s", p->inherits, p->preset ? ", else " : "");
	fputs(p->preset ? p->preset : p->required ? "required" : "", stdout);
}

static void put_statement(const struct pol_statement *s)
{
	printf("\n### %s\n\n%s (%s)%s%s.\n", s->keyword, support_text(s->support),
	       evidence_text(s->evidence), s->note ? ": " : "", or_nothing(s->note));
	if (!s->params || !s->params->keyword)
		return;
	printf("\n| parameter | values | default | | evidence | note |\n"
	       "| --- | --- | --- | --- | --- | --- |\n");
	for (const struct pol_param *p = s->params; p->keyword; p++) {
		printf("| %s%s | ", p->keyword, p->repeatable ? " (repeatable)" : "");
		put_values(p);
		put_preset(p);
		printf(" | %s", support_text(p->support));
		if (p->except) {
			fputs(", not honoured: ", stdout);
			put_words(p->except);
		}
		printf(" | %s | %s |\n", evidence_text(p->evidence), or_nothing(p->note));
	}
}

static void put_place(const char *title, enum pol_place place)
{
	unsigned n;
	const struct pol_statement *s = pol_statements(&n);

	printf("\n## %s\n", title);
	for (unsigned i = 0; i < n; i++)
		if (s[i].place == place)
			put_statement(&s[i]);
}

static void put_profile(void)
{
	unsigned n;
	const struct pol_statement *s = pol_profile_statements(&n);

	fputs("\n## The IPSEC block of the TCP/IP profile: default filters\n", stdout);
	for (; n--; s++)
		put_statement(s);
}

static void put_quirks(void)
{
	unsigned n;
	const struct pol_quirk *q = pol_quirks(&n);

	fputs("\n## What peers do that is not as the RFCs have it\n\n"
	      "| PeerQuirk | peers | what it is about | shown by | to be looked at again after |\n"
	      "| --- | --- | --- | --- | --- |\n",
	      stdout);
	for (; n--; q++)
		printf("| %s | %s | %s | %s | %s |\n", q->keyword ? q->keyword : "always met",
		       q->peers, q->what, q->test, q->until);
}

/* "A|B" as "A and B". */
static void put_label(const struct pol_statement *s, const struct pol_param *p)
{
	size_t len = strcspn(p->shown, "|");

	if (!*p->shown)
		return; /* the address alone */
	printf("| %s | %s | %.*s%s%s | %s |\n", s->keyword, p->keyword, (int)len, p->shown,
	       p->shown[len] ? " and " : "", p->shown[len] ? p->shown + len + 1 : "",
	       evidence_text(p->shown_evidence));
}

static void put_labels(void)
{
	unsigned n;
	const struct pol_statement *s = pol_statements(&n);

	fputs("\n## Labels of pasearch that are not the keyword\n\n"
	      "| statement | parameter | label | evidence |\n| --- | --- | --- | --- |\n",
	      stdout);
	for (unsigned i = 0; i < n; i++)
		for (const struct pol_param *p = s[i].params; p && p->keyword; p++)
			if (p->shown)
				put_label(&s[i], p);
}

static void put_limits(void)
{
	printf("\n## How large a policy may be\n\n"
	       "- %u ipsec rules, manual ones among them: as many have a mark of the kernel.\n"
	       "- %u rules of each kind (filter, key exchange and local dynamic), a rule of a "
	       "group "
	       "counted\n  each time that the policy names the group.\n"
	       "- %u services in all filter rules together, those of a group counted in each "
	       "rule.\n\n"
	       "The line that goes over a limit is an error. z/OS's own limits are not known.\n",
	       POL_IPSEC_RULES_MAX, POL_RULES_MAX, POL_SERVICES_MAX);
}

int main(void)
{
	fputs("# Compatibility: the policy language\n\n"
	      "Every z/OS statement and parameter that csipsec knows, made from the grammar "
	      "itself: "
	      "after\n`./dev build`, `build/policy/compatibility > docs/compatibility.md`. What "
	      "stands nowhere here\nis refused by name.\n\n"
	      "Evidence says how sure we are of the original's behaviour: *documented* by IBM, "
	      "*from\n"
	      "memory* (believed right, not confirmed), or *ours* where the original is not "
	      "known.\n"
	      "The `ipsec` command's options and fields are in compatibility-ipsec.md, those of\n"
	      "`pasearch` in compatibility-pasearch.md.\n",
	      stdout);
	put_place("Main and image configuration files", POL_IN_MAIN);
	put_place("IPSec policy files", POL_IN_POLICY);
	put_place("AT-TLS policy files", POL_IN_TTLS);
	put_place("Both kinds of policy file", POL_IN_BOTH);
	put_place("iked's configuration file", POL_IN_IKED);
	put_limits();
	put_labels();
	put_profile();
	put_quirks();
	return ferror(stdout) != 0;
}
