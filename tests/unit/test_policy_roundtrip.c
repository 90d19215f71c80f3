/*
 * The display of a policy written out as a file compiles to the same policy: samples, examples, and
 * policies that are made at random from the grammar's rows.  CSIPSEC_SEED replays one of those,
 * CSIPSEC_POLICIES says how many there are.
 */
#include <check.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/pasearch.h"
#include "tests/unit/policy_dump.h"
#include "tests/unit/policy_random.h"
#include "tests/unit/policy_text.h"
#include "tests/unit/run_suite.h"

#define EXAMPLES TESTDATA "/../examples/"

/* The policy as pasearch writes it, or NULL with *err; the caller frees it. */
static char *written_with(const struct pol_policy *policy, const struct pasearch_options *o,
			  struct cs_err *err)
{
	struct pasearch p = {.o = o};
	char *text = NULL;
	size_t size = 0;
	int rc;

	p.stored.tree = (struct pol_tree *)(uintptr_t)pol_policy_tree(policy);
	ck_assert_int_eq(pol_view_open(p.stored.tree, 0, &p.view, err), 0);
	p.out = open_memstream(&text, &size);
	ck_assert_ptr_nonnull(p.out);
	rc = pasearch_write(&p, err);
	ck_assert_int_eq(fclose(p.out), 0);
	ck_assert(!pol_view_failed(&p.view));
	pol_view_close(&p.view);
	if (rc == 0)
		return text;
	ck_assert_int_eq(rc, CS_EINVAL);
	ck_assert_uint_eq(size, 0);
	free(text);
	return NULL;
}

static char *written(const struct pol_policy *policy, bool secrets)
{
	const struct pasearch_options o = {.stack = "TCPIP",
					   .types = {true, true, true, true},
					   .policy = true,
					   .secrets = secrets};
	struct cs_err err = {0};
	char *text = written_with(policy, &o, &err);

	ck_assert_msg(text != NULL, "%s", err.text);
	return text;
}

static void compare(const char *what, const char *a, const char *b)
{
	const char *end;

	while (*a && *a == *b) {
		a++;
		b++;
	}
	if (*a == *b)
		return;
	end = strchr(a, '\n');
	ck_abort_msg("%s: '%.*s' is now '%.60s'", what, end && end - a < 60 ? (int)(end - a) : 60,
		     a, b);
}

static bool is_left_out(const char *text, unsigned line)
{
	while (--line)
		text = strchr(text, '\n') + 1;
	return memmem(text, strcspn(text, "\n"), POL_NOT_SHOWN, strlen(POL_NOT_SHOWN)) != NULL;
}

/*
 * Where secrets are left out the file says so and is refused, at these lines and no others: a file
 * that somebody takes for whole must not come into force.
 */
static void check_without_secrets(const char *what, const struct pol_policy *policy,
				  const char *with)
{
	char *without = written(policy, false);
	const char *a = with, *b = without;
	struct findings found;
	struct pol_policy *again = compile_text(without, strlen(without), &found);
	unsigned left_out = 0, told = 0;

	for (unsigned i = 0; i < found.n; i++) {
		ck_assert_msg(found.v[i].severity != POL_ERROR ||
				      is_left_out(without, found.v[i].line),
			      "%s: line %u: %s", what, found.v[i].line, found.v[i].text);
		told += strstr(found.v[i].text, "the secret was left out") != NULL;
	}
	while (*a && *b) {
		const char *end_a = strchr(a, '\n'), *end_b = strchr(b, '\n');
		size_t len = strcspn(b, "\n");

		ck_assert(end_a && end_b);
		if (memmem(b, len, POL_NOT_SHOWN, strlen(POL_NOT_SHOWN)) && *b != '#') {
			left_out++;
		} else if (*b != '#') {
			ck_assert_uint_eq((size_t)(end_a - a), len);
			ck_assert_int_eq(memcmp(a, b, len), 0);
		}
		a = end_a + 1;
		b = end_b + 1;
	}
	ck_assert_msg((again == NULL) == (left_out > 0), "%s: %u secrets", what, left_out);
	ck_assert_msg(told == left_out || found.n == FINDINGS_MAX, "%s: %u secrets, %u told", what,
		      left_out, told);
	pol_unref(again);
	free(without);
}

/* The whole of it for one policy; takes the reference over. */
static void round_trip(const char *what, struct pol_policy *policy, const struct findings *before)
{
	char *dump = policy_dump(policy), *text = written(policy, true), *again, *text2;
	struct findings found;
	struct pol_policy *second = compile_text(text, strlen(text), &found);

	for (unsigned i = 0; i < found.n; i++)
		ck_assert_msg(found.v[i].severity != POL_ERROR &&
				      !strstr(found.v[i].text, "it replaces the one"),
			      "%s: line %u: %s %s: %s", what, found.v[i].line, found.v[i].statement,
			      found.v[i].attribute, found.v[i].text);
	ck_assert_ptr_nonnull(second);
	again = policy_dump(second);
	compare(what, dump, again);
	/* It needs no more words than what it was made of. */
	ck_assert_msg(found.n_warnings <= before->n_warnings && found.n_notes <= before->n_notes,
		      "%s: line %u: %s: %s", what, found.v[0].line, found.v[0].attribute,
		      found.v[0].text);
	text2 = written(second, true);
	ck_assert_str_eq(text2, text);
	check_without_secrets(what, policy, text);
	free(text2);
	free(again);
	pol_unref(second);
	free(text);
	free(dump);
	pol_unref(policy);
}

/* ---- files ---- */

START_TEST(test_samples)
{
	static const char *const samples[] = {"host-to-host.policy", "branch.policy",
					      "ttls-everything.policy"};
	struct findings found;
	char path[400];

	snprintf(path, sizeof(path), TESTDATA "/data/policy/%s", samples[_i]);
	round_trip(samples[_i], compile_file(path, "TCPIP", &found), &found);
}
END_TEST

/* Two files, one of which replaces statements of the other. */
START_TEST(test_common_and_own)
{
	struct findings found;
	struct pol_policy *policy =
		compile_file(TESTDATA "/data/policy/pagent.conf", "TCPIP", &found);

	ck_assert_msg(policy != NULL, "%s", found.v[0].text);
	round_trip("pagent.conf", policy, &found);
}
END_TEST

START_TEST(test_examples)
{
	static const char *const patterns[] = {EXAMPLES "*.policy", EXAMPLES "*/*.policy",
					       EXAMPLES "*/pagent.conf"};
	static const unsigned least[] = {9, 2, 1};

	for (unsigned k = 0; k < sizeof(patterns) / sizeof(patterns[0]); k++) {
		glob_t files;

		ck_assert_int_eq(glob(patterns[k], 0, NULL, &files), 0);
		ck_assert_uint_ge(files.gl_pathc, least[k]);
		for (size_t i = 0; i < files.gl_pathc; i++) {
			const char *path = files.gl_pathv[i];
			struct findings found;
			struct pol_policy *policy = compile_file(path, "TCPIP", &found);

			ck_assert_msg(policy != NULL, "%s", path);
			round_trip(path, policy, &found);
		}
		globfree(&files);
	}
}
END_TEST

/* What of twice/ is written with -v a or -t is what its files have by themselves. */
START_TEST(test_twice)
{
	static const struct {
		bool types[PASEARCH_TYPES];
		const char *alone, *not_in;
	} halves[] = {
		{{true, true, true, false}, "ipsec.policy", "TTLS"},
		{{false, false, false, true}, "ttls.conf", "IpFilter"},
	};
	struct pasearch_options o = {.stack = "TCPIP", .types = {true, true, true, true}};
	struct findings found;
	struct pol_policy *policy =
		compile_file(TESTDATA "/data/policy/twice/pagent.conf", "TCPIP", &found);
	struct cs_err err = {0};

	ck_assert_msg(policy != NULL, "%s", found.v[0].text);
	ck_assert_ptr_null(written_with(policy, &o, &err));
	ck_assert_msg(strstr(err.text, "each have their own IpAddrSet net") ||
			      strstr(err.text, "each have their own IpTimeCondition hours"),
		      "%s", err.text);
	for (unsigned i = 0; i < 2; i++) {
		struct pol_policy *alone, *again;
		char path[400], *text, *a, *b;

		memcpy(o.types, halves[i].types, sizeof(o.types));
		text = written_with(policy, &o, &err);
		ck_assert_msg(text != NULL, "%s", err.text);
		ck_assert_msg(!strstr(text, halves[i].not_in), "%s", text);
		again = compile_text(text, strlen(text), &found);
		ck_assert_msg(again && found.n == 0, "%s", found.v[0].text);
		snprintf(path, sizeof(path), TESTDATA "/data/policy/twice/%s", halves[i].alone);
		alone = compile_file(path, "TCPIP", &found);
		ck_assert_msg(alone && found.n == 0, "%s", found.v[0].text);
		a = policy_dump(alone);
		b = policy_dump(again);
		compare(halves[i].alone, a, b);
		free(a);
		free(b);
		free(text);
		pol_unref(alone);
		pol_unref(again);
	}
	pol_unref(policy);
}
END_TEST

/* A rule in a file of both kinds finds the object of its own kind, compiled and written. */
START_TEST(test_shared)
{
	struct pasearch_options o = {.stack = "TCPIP", .types = {true, true, true, false}};
	struct findings found;
	struct pol_policy *policy =
		compile_file(TESTDATA "/data/policy/twice/shared.conf", "TCPIP", &found);
	const struct pol_ttls_range *range;
	char text[CS_RANGE_STRLEN], *file;
	struct cs_err err = {0};

	ck_assert_msg(policy && found.n == 0, "%s", found.v[0].text);
	ck_assert_uint_eq(policy->n_rules, 1);
	ck_assert_str_eq(cs_range_text(&policy->rules[0].src[0], text), "192.0.2.0/24");
	ck_assert_uint_eq(pol_ttls_count(policy->ttls), 2);
	for (unsigned i = 0; i < 2; i++) {
		range = pol_ttls_things(policy->ttls, pol_ttls_rule(policy->ttls, i)->remote);
		ck_assert_uint_eq((uint32_t)range->lo[1], 0xc6336400u); /* 198.51.100.0 */
	}
	file = written_with(policy, &o, &err);
	ck_assert_msg(file != NULL, "%s", err.text);
	ck_assert_msg(strstr(file, "192.0.2.0/24") && !strstr(file, "198.51.100.0") &&
			      !strstr(file, "TTLS"),
		      "%s", file);
	free(file);
	o = (struct pasearch_options){.stack = "TCPIP", .types = {false, false, false, true}};
	file = written_with(policy, &o, &err);
	ck_assert_msg(file != NULL, "%s", err.text);
	ck_assert_msg(strstr(file, "198.51.100.0/24") && !strstr(file, "192.0.2.0") &&
			      !strstr(file, "IpFilter"),
		      "%s", file);
	free(file);
	pol_unref(policy);
}
END_TEST

/* ---- what is easily lost ---- */

static const char *const delicate[] = {
	/* of doubles the last counts, of statements and of lines */
	"IpFilterPolicy\n{\n IpFilterRuleRef r\n}\n"
	"IpFilterRule r\n{\n IpDestAddr 192.0.2.1\n IpGenericFilterActionRef a\n}\n"
	"IpFilterRule r\n{\n IpDestAddr 192.0.2.2\n IpDestAddr 192.0.2.3\n"
	" IpGenericFilterActionRef a\n}\n"
	"IpGenericFilterAction a\n{\n IpFilterAction Permit\n IpFilterAction Deny\n}\n",
	/* words behind values; a list in its order; other spellings of ranges and words */
	"IpFilterPolicy\n{\n IpFilterRule r\n {\n  IpSourceAddr 192.0.2.77/24 our network\n"
	"  ipservice\n  {\n   protocol TCP\n   SourcePortRange 5:6\n   DestinationPortRange 7-8\n"
	"   direction bidirectional  inboundconnect\n  }\n  IpService\n  {\n   Protocol 6\n"
	"   SourcePortRange 1 2 hundred\n  }\n  IpGenericFilterActionRef a says\n }\n}\n"
	"IpGenericFilterAction a\n{\n IpFilterAction permit me\n}\n",
	/* that Aggressive Mode is answered depends on whether it is coded */
	"IpFilterPolicy\n{\n IpFilterRule r\n {\n  IpGenericFilterActionRef a\n }\n}\n"
	"IpGenericFilterAction a\n{\n IpFilterAction Permit\n}\n"
	"KeyExchangePolicy\n{\n KeyExchangeRule coded\n {\n"
	"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1\n  }\n"
	"  RemoteSecurityEndpoint\n  {\n   Identity Fqdn a.example\n  }\n"
	"  KeyExchangeActionRef coded\n  SharedKey Hex 00ff10\n }\n"
	" KeyExchangeRule not\n {\n"
	"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1\n  }\n"
	"  RemoteSecurityEndpoint\n  {\n   Identity KeyID Ascii key\n  }\n"
	"  KeyExchangeActionRef not\n  SharedKey Ascii ********x\n }\n}\n"
	"KeyExchangeAction coded\n{\n HowToRespondIKEv1 Either\n KeyExchangeOffer\n {\n"
	"  HowToAuthPeers PresharedKey\n }\n}\n"
	"KeyExchangeAction not\n{\n KeyExchangeOffer\n {\n  HowToAuthPeers PresharedKey\n }\n}\n",
#ifdef HAVE_OPENSSL
	/* a name with blanks and quotes */
	"IpFilterPolicy\n{\n IpFilterRule r\n {\n  IpGenericFilterActionRef a\n }\n}\n"
	"IpGenericFilterAction a\n{\n IpFilterAction Permit\n}\n"
	"KeyExchangePolicy\n{\n KeyExchangeRule k\n {\n"
	"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1\n  }\n"
	"  RemoteSecurityEndpoint\n  {\n   Identity X500dn CN=a b,O=\"c\"\n  }\n"
	"  KeyExchangeActionRef x\n  SharedKey Hex 00ff10\n }\n}\n"
	"KeyExchangeAction x\n{\n KeyExchangeOffer\n {\n  HowToAuthPeers PresharedKey\n }\n}\n",
#endif
};

START_TEST(test_delicate)
{
	struct findings found;
	struct pol_policy *policy = compile_text(delicate[_i], strlen(delicate[_i]), &found);

	ck_assert_msg(policy != NULL, "line %u: %s: %s", found.v[0].line, found.v[0].attribute,
		      found.v[0].text);
	round_trip("delicate", policy, &found);
}
END_TEST

/* A line as long as a line may be, deep in blocks, does not get too long. */
START_TEST(test_long_line)
{
	static const char before[] =
		"IpFilterPolicy\n{\n IpFilterRule r\n {\n  IpGenericFilterActionRef a\n }\n}\n"
		"IpGenericFilterAction a\n{\n IpFilterAction Permit\n}\n"
		"KeyExchangeAction a\n{\n KeyExchangeOffer\n {\n";
	static const char line[] = "HowToEncrypt AES_CBC KeyLength 256 ";
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);
	struct findings found;
	struct pol_policy *policy;

	fprintf(f, "%s%s", before, line);
	for (size_t i = strlen(line); i < POL_LINE_MAX; i++)
		fputc(i % 50 == 49 ? ' ' : 'x', f);
	fputs("\n }\n}\n", f);
	fclose(f);
	policy = compile_text(text, size, &found);
	ck_assert_msg(policy != NULL, "%s", found.v[0].text);
	round_trip("long line", policy, &found);
	free(text);
}
END_TEST

/* ---- policies at random ---- */

#define RANDOM_POLICIES 150
#define RANDOM_MAX      600 /* of them, while a row that is supported was not met */
#define ROWS            512

/* Rows of which a policy that was accepted had a line. */
struct seen {
	const struct pol_param *rows[ROWS];
	unsigned n;
};

static void look(struct seen *seen, const struct pol_node *node)
{
	for (unsigned i = 0; i < node->n_items; i++) {
		unsigned at = 0;

		while (at < seen->n && seen->rows[at] != node->items[i].param)
			at++;
		if (at == seen->n && seen->n < ROWS)
			seen->rows[seen->n++] = node->items[i].param;
		if (node->items[i].block)
			look(seen, node->items[i].block);
	}
}

static bool has_seen(const struct seen *seen, const struct pol_param *p)
{
	for (unsigned i = 0; i < seen->n; i++)
		if (seen->rows[i] == p)
			return true;
	return false;
}

/* A row that is supported and was not tried; NULL: all were. *of is its statement. */
static const struct pol_param *not_seen(const struct seen *seen, const char **of)
{
	unsigned n;
	const struct pol_statement *s = pol_statements(&n);

	for (unsigned i = 0; i < n; i++) {
		if (!pol_is_policy(s[i].place) || s[i].support != POL_SUPPORTED)
			continue;
		for (const struct pol_param *p = s[i].params; p && p->keyword; p++) {
			*of = s[i].keyword;
			if (p->support != POL_REFUSED && !has_seen(seen, p))
				return p;
		}
	}
	return NULL;
}

START_TEST(test_random)
{
	const char *seed_text = getenv("CSIPSEC_SEED"), *many = getenv("CSIPSEC_POLICIES");
	struct seen seen = {.n = 0};
	unsigned seed = seed_text ? (unsigned)strtoul(seed_text, NULL, 0) : 1;
	unsigned n = many ? (unsigned)strtoul(many, NULL, 0) : seed_text ? 1 : RANDOM_POLICIES;
	unsigned accepted = 0, statements = 0, rules = 0;
	const struct pol_param *missing;
	const char *of = "";

	/* Longer where a row is rare. */
	for (unsigned i = 0; i < n; i++, seed++) {
		char what[40], *text = random_policy(seed);
		struct findings found;
		struct pol_policy *policy = compile_text(text, strlen(text), &found);

		snprintf(what, sizeof(what), "CSIPSEC_SEED=%u", seed);
		if (policy) {
			accepted++;
			for (unsigned k = 0; k < pol_policy_tree(policy)->n_nodes; k++)
				look(&seen, pol_policy_tree(policy)->nodes[k]);
			statements += pol_policy_tree(policy)->n_nodes;
			rules += policy->n_rules + policy->n_ke_rules + policy->n_local_rules +
				 pol_ttls_count(policy->ttls);
			round_trip(what, policy, &found);
		}
		free(text);
		if (i + 1 == n && n >= RANDOM_POLICIES && n < RANDOM_MAX && not_seen(&seen, &of))
			n++;
	}
	printf("%u of %u random policies, %u statements, %u rules\n", accepted, n, statements,
	       rules);
	if (n < RANDOM_POLICIES)
		return;
	missing = not_seen(&seen, &of);
	ck_assert_msg(!missing, "no random policy had %s of %s", missing ? missing->keyword : "",
		      of);
	ck_assert_uint_ge(accepted * 10, n * 9);
	ck_assert_uint_ge(statements, accepted * 15);
	ck_assert_uint_ge(rules, accepted * 3);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("policy round trip");
	TCase *tc = tcase_create("files"), *random = tcase_create("random");

	setenv("TZ", "UTC", 1);
	tcase_add_loop_test(tc, test_samples, 0, 3);
	tcase_add_test(tc, test_common_and_own);
	tcase_add_test(tc, test_examples);
	tcase_add_test(tc, test_twice);
	tcase_add_test(tc, test_shared);
	tcase_add_loop_test(tc, test_delicate, 0, sizeof(delicate) / sizeof(delicate[0]));
	tcase_add_test(tc, test_long_line);
	suite_add_tcase(suite, tc);
	tcase_set_timeout(tc, 60);
	tcase_add_test(random, test_random);
	tcase_set_timeout(random, 900);
	suite_add_tcase(suite, random);
	return run_suite(suite);
}
