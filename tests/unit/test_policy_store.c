/*
 * The policy store: what is put in comes out, ids stay where they must, and neither a kill at any
 * moment nor a damaged file does worse than an error in words.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "policy/store.h"
#include "tests/unit/run_suite.h"

#define KEY "correct-horse-battery"

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/test_policy_store.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
}

static void remove_dir(void)
{
	DIR *d = opendir(dir);
	struct dirent *e;
	char path[400];

	while (d && (e = readdir(d))) {
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		unlink(path);
	}
	if (d)
		closedir(d);
	rmdir(dir);
}

static const char *in_dir(const char *leaf)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", dir, leaf);
	return path;
}

/* ---- policies ---- */

/* A rule of the policy text: the name, the remote address and what its action does. */
struct rule_text {
	const char *name, *to, *action; /* "permit", "secure", "secure-log" */
};

static void write_policy(FILE *f, const struct rule_text *rules, unsigned n, const char *key)
{
	fputs("IpFilterPolicy\n{\n  AllowOnDemand Yes\n", f);
	for (unsigned i = 0; i < n; i++) {
		fprintf(f,
			"  IpFilterRule %s\n  {\n    IpSourceAddr 192.0.2.1\n    IpDestAddr %s\n"
			"    IpService\n    {\n      Protocol All\n    }\n"
			"    IpGenericFilterActionRef %s\n",
			rules[i].name, rules[i].to, rules[i].action);
		if (strcmp(rules[i].action, "permit") != 0)
			fputs("    IpDynVpnActionRef gold\n", f);
		fputs("  }\n", f);
	}
	fputs("}\n"
	      "IpGenericFilterAction permit\n{\n  IpFilterAction Permit\n}\n"
	      "IpGenericFilterAction secure\n{\n  IpFilterAction IpSec\n}\n"
	      "IpGenericFilterAction secure-log\n{\n  IpFilterAction IpSec\n"
	      "  IpFilterLogging LogDeny\n}\n"
	      "IpDynVpnAction gold\n{\n  InitiateWithPfs Group14\n  AcceptablePfs Group14\n"
	      "  IpDataOffer\n  {\n    HowToEncap Transport\n"
	      "    HowToEncrypt AES_CBC KeyLength 128\n    HowToAuth ESP HMAC_SHA1\n  }\n}\n",
	      f);
	fprintf(f,
		"KeyExchangePolicy\n{\n  KeyExchangeRule peer\n  {\n"
		"    LocalSecurityEndpoint\n    {\n      Identity IpAddr 192.0.2.1\n"
		"      Location 192.0.2.1\n    }\n"
		"    RemoteSecurityEndpoint\n    {\n      Identity Fqdn *.example.com\n"
		"      Location 198.51.100.0/24\n    }\n"
		"    KeyExchangeActionRef psk\n    SharedKey Ascii %s\n  }\n}\n"
		"KeyExchangeAction psk\n{\n  HowToInitiate Main\n  HowToRespondIKEv1 Main\n"
		"  KeyExchangeOffer\n  {\n    HowToEncrypt AES_CBC KeyLength 128\n"
		"    HowToAuthMsgs SHA1\n    HowToAuthPeers PresharedKey\n    DHGroup Group14\n"
		"  }\n}\n",
		key);
}

static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg;
	if (d->severity == POL_ERROR)
		fprintf(stderr, "%s:%u: %s: %s\n", d->file, d->line, d->attribute, d->text);
}

static struct pol_policy *policy_of(const struct rule_text *rules, unsigned n, const char *key)
{
	struct pol_policy *policy = NULL;
	struct cs_err err = {0};
	FILE *f = fopen(in_dir("policy.conf"), "w");

	ck_assert_ptr_nonnull(f);
	write_policy(f, rules, n, key);
	fclose(f);
	ck_assert_msg(pol_compile(in_dir("policy.conf"), "TCPIP", on_diag, NULL, &policy, &err) ==
			      0,
		      "%s", err.text);
	return policy;
}

static const struct rule_text two[] = {
	{"ike", "198.51.100.0/24", "permit"},
	{"data", "198.51.100.20", "secure"},
};

static struct pol_store *open_store(bool write)
{
	struct pol_store *store = NULL;
	struct cs_err err = {0};

	ck_assert_msg(pol_store_open(dir, write, &store, &err) == 0, "%s", err.text);
	return store;
}

static void put(struct pol_store *store, struct pol_policy *policy)
{
	struct cs_err err = {0};

	ck_assert_msg(pol_store_put(store, policy, &err) == 0, "%s", err.text);
}

static struct pol_policy *load(struct pol_store *store)
{
	struct pol_policy *policy = NULL;
	struct cs_err err = {0};

	ck_assert_msg(pol_store_load(store, &policy, &err) == 0, "%s", err.text);
	return policy;
}

/* Puts these rules and gives their ids. */
static void put_rules(struct pol_store *store, const struct rule_text *rules, unsigned n,
		      uint16_t *ids)
{
	struct pol_policy *policy = policy_of(rules, n, KEY);

	put(store, policy);
	ck_assert_uint_eq(policy->n_rules, n);
	for (unsigned i = 0; i < n; i++)
		ids[i] = policy->rules[i].id;
	pol_unref(policy);
}

/* Another program's hand in the database. */
static void meddle(const char *leaf, const char *sql)
{
	sqlite3 *db = NULL;
	char *text = NULL;

	ck_assert_int_eq(sqlite3_open(in_dir(leaf), &db), SQLITE_OK);
	ck_assert_msg(sqlite3_exec(db, sql, NULL, NULL, &text) == SQLITE_OK, "%s: %s", sql, text);
	sqlite3_close(db);
}

static int64_t ask(const char *leaf, const char *sql)
{
	struct pol_db db = {.name = leaf};
	int64_t n = -1;
	bool found;

	ck_assert_int_eq(sqlite3_open(in_dir(leaf), &db.sql), SQLITE_OK);
	ck_assert_int_eq(pol_db_number(&db, sql, &n, &found, NULL), 0);
	ck_assert(found);
	sqlite3_close(db.sql);
	return n;
}

static bool file_has(const char *leaf, const char *text)
{
	FILE *f = fopen(in_dir(leaf), "r");
	static char all[1 << 20];
	size_t n;

	ck_assert_ptr_nonnull(f);
	n = fread(all, 1, sizeof(all), f);
	fclose(f);
	ck_assert_uint_lt(n, sizeof(all));
	return memmem(all, n, text, strlen(text)) != NULL;
}

/* ---- what is put in comes out ---- */

START_TEST(test_round_trip)
{
	struct pol_policy *policy = policy_of(two, 2, KEY), *back;
	struct pol_store *store = open_store(true), *reader;
	uint8_t before[POL_HASH_LEN], after[POL_HASH_LEN];
	struct pol_edition edition;

	ck_assert_uint_eq(policy->generation, 0);
	put(store, policy);
	ck_assert_uint_eq(policy->generation, 1);
	reader = open_store(false);
	back = load(reader);
	ck_assert_int_eq(pol_store_edition(reader, &edition, NULL), 0);
	ck_assert_uint_eq(edition.generation, 1);
	ck_assert_uint_eq(back->generation, 1);
	ck_assert_int_eq(pol_tree_digest(pol_policy_tree(policy), before, NULL), 0);
	ck_assert_int_eq(pol_tree_digest(pol_policy_tree(back), after, NULL), 0);
	ck_assert_mem_eq(before, after, sizeof(before));
	ck_assert_uint_eq(back->n_rules, 2);
	ck_assert_uint_eq(back->rules[0].id, 0);
	ck_assert_uint_eq(back->rules[1].id, 16);
	ck_assert_str_eq(back->rules[1].name, "data");
	ck_assert_uint_eq(back->rules[1].vpn->initiate_pfs, 14);
	ck_assert_uint_eq(back->n_ke_rules, 1);
	ck_assert_uint_eq(back->ke_rules[0].shared_key.len, strlen(KEY));
	ck_assert_mem_eq(back->ke_rules[0].shared_key.p, KEY, strlen(KEY));
	pol_unref(back);
	pol_unref(policy);
	pol_store_close(reader);
	pol_store_close(store);
}
END_TEST

START_TEST(test_secrets_apart)
{
	struct pol_policy *policy = policy_of(two, 2, KEY);
	struct pol_store *store = open_store(true);
	struct stat st;

	put(store, policy);
	pol_unref(policy);
	pol_store_close(store);
	ck_assert(!file_has("policy.db", KEY));
	ck_assert(file_has("secrets.db", KEY));
	ck_assert_int_eq(stat(in_dir("policy.db"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	ck_assert_int_eq(stat(in_dir("secrets.db"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	/* a mode that somebody widened is set right */
	ck_assert_int_eq(chmod(in_dir("secrets.db"), 0666), 0);
	store = open_store(true);
	pol_store_close(store);
	ck_assert_int_eq(stat(in_dir("secrets.db"), &st), 0);
	ck_assert_int_eq(st.st_mode & 07777, 0640);
	/* a new key takes the old one's place in a few generations, and leaves nothing behind */
	store = open_store(true);
	for (int i = 0; i <= POL_STORE_KEEP + 1; i++) {
		char key[32];

		snprintf(key, sizeof(key), "another-key-of-day-%d", i);
		policy = policy_of(two, 2, key);
		put(store, policy);
		pol_unref(policy);
	}
	pol_store_close(store);
	ck_assert(!file_has("secrets.db", KEY));
}
END_TEST

START_TEST(test_generations)
{
	struct rule_text rules[] = {{"a", "198.51.100.1", "permit"}};
	struct pol_store *store = open_store(true);
	struct pol_policy *policy;
	char to[32];

	for (unsigned i = 1; i <= 8; i++) {
		snprintf(to, sizeof(to), "198.51.100.%u", i);
		rules[0].to = to;
		policy = policy_of(rules, 1, KEY);
		put(store, policy);
		ck_assert_uint_eq(policy->generation, i);
		/* the same again is the same generation */
		put(store, policy);
		ck_assert_uint_eq(policy->generation, i);
		pol_unref(policy);
		policy = policy_of(rules, 1, KEY);
		put(store, policy);
		ck_assert_uint_eq(policy->generation, i);
		pol_unref(policy);
	}
	/* another key is another policy */
	policy = policy_of(rules, 1, "other-horse-battery");
	put(store, policy);
	ck_assert_uint_eq(policy->generation, 9);
	pol_unref(policy);
	pol_store_close(store);
	ck_assert_int_eq(ask("policy.db", "SELECT count(*) FROM generation"), POL_STORE_KEEP);
	ck_assert_int_eq(ask("policy.db", "SELECT min(generation) FROM node"), 5);
	ck_assert_int_eq(ask("policy.db", "SELECT min(generation) FROM item"), 5);
	ck_assert_int_eq(ask("policy.db", "SELECT min(generation) FROM file"), 5);
	ck_assert_int_ge(ask("secrets.db", "SELECT min(generation) FROM secret"), 4);
}
END_TEST

/* ---- ids ---- */

START_TEST(test_ids_stay)
{
	static const struct rule_text first[] = {
		{"a", "198.51.100.1", "secure"},
		{"b", "198.51.100.2", "secure"},
		{"c", "198.51.100.3", "permit"},
	};
	static const struct rule_text moved[] = {
		{"c", "198.51.100.3", "permit"},
		{"b", "198.51.100.2", "secure"},
		{"new", "198.51.100.4", "secure"},
		{"a", "198.51.100.1", "secure-log"}, /* logging is no content */
	};
	static const struct rule_text changed[] = {
		{"a", "198.51.100.9", "secure"}, /* content */
		{"B", "198.51.100.2", "secure"}, /* name */
		{"new", "198.51.100.4", "secure"},
		{"c", "198.51.100.3", "secure"}, /* was no ipsec rule */
	};
	struct pol_store *store = open_store(true);
	uint16_t ids[4];

	put_rules(store, first, 3, ids);
	ck_assert_uint_eq(ids[0], 16);
	ck_assert_uint_eq(ids[1], 17);
	ck_assert_uint_eq(ids[2], 0);
	put_rules(store, moved, 4, ids);
	ck_assert_uint_eq(ids[0], 0);
	ck_assert_uint_eq(ids[1], 17);
	ck_assert_uint_eq(ids[2], 18);
	ck_assert_uint_eq(ids[3], 16);
	put_rules(store, changed, 4, ids);
	ck_assert_uint_eq(ids[0], 19);
	ck_assert_uint_eq(ids[1], 20);
	ck_assert_uint_eq(ids[2], 18);
	ck_assert_uint_eq(ids[3], 21);
	/* back again: the same content has the id it had */
	put_rules(store, first, 3, ids);
	ck_assert_uint_eq(ids[0], 16);
	ck_assert_uint_eq(ids[1], 17);
	pol_store_close(store);
}
END_TEST

/* How a policy of that file, its text after before, compares with another host's. */
static void meaning_of(const char *leaf, const char *before, const struct rule_text *rules,
		       unsigned n, const char *key, uint8_t digest[static POL_CONTENT_LEN])
{
	struct pol_policy *policy = NULL;
	FILE *f = fopen(in_dir(leaf), "w");

	ck_assert_ptr_nonnull(f);
	fputs(before, f);
	write_policy(f, rules, n, key);
	fclose(f);
	ck_assert_int_eq(pol_compile(in_dir(leaf), "TCPIP", on_diag, NULL, &policy, NULL), 0);
	for (unsigned i = 0; i < policy->n_rules; i++)
		policy->rules[i].id = (uint16_t)(POL_RULE_ID_MIN + strlen(before) + i);
	ck_assert_int_eq(pol_meaning(policy, digest, NULL), 0);
	pol_unref(policy);
}

/* Neither place, comments, ids nor keys count, and every rule and its order does. */
START_TEST(test_meaning)
{
	static const struct rule_text others[][2] = {
		{{"data", "198.51.100.20", "secure"}, {"ike", "198.51.100.0/24", "permit"}},
		{{"ike", "198.51.100.0/24", "permit"}, {"data", "198.51.100.21", "secure"}},
		{{"ike", "198.51.100.0/24", "permit"}, {"data", "198.51.100.20", "secure-log"}},
		{{"ike", "198.51.100.0/24", "permit"}, {"date", "198.51.100.20", "secure"}},
	};
	uint8_t first[POL_CONTENT_LEN], other[POL_CONTENT_LEN];

	meaning_of("policy.conf", "", two, 2, KEY, first);
	meaning_of("another.conf", "# one\n\n# two\n", two, 2, KEY, other);
	ck_assert_mem_eq(other, first, sizeof(first));
	meaning_of("policy.conf", "", two, 2, "another-secret", other);
	ck_assert_mem_eq(other, first, sizeof(first));
	meaning_of("policy.conf", "", two, 1, KEY, other);
	ck_assert_mem_ne(other, first, sizeof(first));
	for (unsigned i = 0; i < sizeof(others) / sizeof(*others); i++) {
		meaning_of("policy.conf", "", others[i], 2, KEY, other);
		ck_assert_msg(memcmp(other, first, sizeof(first)) != 0, "%u", i);
	}
}
END_TEST

/* The kernel refused a generation: the one before is in force, and ids are as if it had never been.
 */
START_TEST(test_revert)
{
	static const struct rule_text more[] = {
		{"ike", "198.51.100.0/24", "permit"},
		{"data", "198.51.100.20", "secure"},
		{"new", "198.51.100.21", "secure"},
	};
	struct pol_store *store = open_store(true), *reader = open_store(false);
	struct pol_policy *policy = policy_of(two, 2, KEY);
	struct pol_edition first, second, now;
	struct cs_err err;
	uint16_t ids[3], again[3];

	put(store, policy);
	ck_assert_int_eq(pol_store_edition(reader, &first, &err), 0);
	put_rules(store, more, 3, ids);
	ck_assert_int_eq(pol_store_edition(reader, &second, &err), 0);
	ck_assert_int_eq(pol_store_revert(store, 7, &err), CS_ENOTFOUND);
	ck_assert_int_eq(pol_store_edition(reader, &now, &err), 0);
	ck_assert_mem_eq(&now, &second, sizeof(now));
	ck_assert_int_eq(pol_store_revert(store, 1, &err), 0);
	ck_assert_int_eq(pol_store_edition(reader, &now, &err), 0);
	ck_assert_mem_eq(&now, &first, sizeof(now));
	ck_assert_int_eq(ask("policy.db", "SELECT count(*) FROM item WHERE generation > 1"), 0);
	ck_assert_int_eq(ask("policy.db", "SELECT count(*) FROM rule WHERE generation > 1"), 0);
	pol_unref(policy);
	policy = load(reader);
	ck_assert_uint_eq(policy->n_rules, 2);
	ck_assert_uint_eq(policy->rules[1].id, ids[1]);
	/* the same again: the same number, the same ids */
	put_rules(store, more, 3, again);
	ck_assert_mem_eq(ids, again, sizeof(ids));
	ck_assert_int_eq(pol_store_edition(reader, &now, &err), 0);
	ck_assert_mem_eq(&now, &second, sizeof(now));
	/* none is in force */
	ck_assert_int_eq(pol_store_revert(store, 0, &err), 0);
	ck_assert_int_eq(pol_store_edition(reader, &now, &err), CS_ENOTFOUND);
	put_rules(store, more, 3, again);
	ck_assert_mem_eq(ids, again, sizeof(ids));
	pol_unref(policy);
	pol_store_close(reader);
	pol_store_close(store);
}
END_TEST

START_TEST(test_ids_oldest_first)
{
	static const struct rule_text sets[][2] = {
		{{"a", "198.51.100.1", "secure"}, {"b", "198.51.100.2", "secure"}},
		{{"b", "198.51.100.2", "secure"}, {"c", "198.51.100.3", "secure"}},
		{{"b", "198.51.100.2", "secure"}, {"d", "198.51.100.4", "secure"}},
		{{"b", "198.51.100.2", "secure"}, {"e", "198.51.100.5", "secure"}},
	};
	struct pol_store *store = open_store(true);
	uint16_t ids[2];

	put_rules(store, sets[0], 2, ids); /* a 16, b 17 */
	pol_store_close(store);
	/* as if all others had been in use before and were used last by generation 1 */
	meddle("policy.db",
	       "WITH RECURSIVE n(id) AS (SELECT 18 UNION ALL SELECT id + 1 FROM n WHERE id < 8191)"
	       " INSERT INTO rule_id SELECT id, 'x' || id, x'00', 1 FROM n");
	store = open_store(true);
	put_rules(store, sets[1], 2, ids);
	ck_assert_uint_eq(ids[0], 17);
	ck_assert_uint_eq(ids[1], 16); /* a's, unused since generation 1 */
	put_rules(store, sets[2], 2, ids);
	ck_assert_uint_eq(ids[0], 17);
	ck_assert_uint_eq(ids[1], 18);
	put_rules(store, sets[3], 2, ids);
	ck_assert_uint_eq(ids[1], 19);
	pol_store_close(store);
}
END_TEST

START_TEST(test_ids_run_out)
{
	struct pol_store *store = open_store(true);
	struct pol_policy *policy = policy_of(two, 2, KEY);
	struct cs_err err = {0};
	struct pol_edition edition;

	put(store, policy);
	pol_store_close(store);
	meddle("policy.db",
	       "WITH RECURSIVE n(id) AS (SELECT 17 UNION ALL SELECT id + 1 FROM n WHERE id < 8191)"
	       " INSERT INTO rule_id SELECT id, 'x' || id, x'00', 9999 FROM n;"
	       "UPDATE rule_id SET used = 9999, content = x'11'");
	store = open_store(true);
	pol_unref(policy);
	policy = policy_of(two, 2, "quite-another-key");
	ck_assert_int_eq(pol_store_put(store, policy, &err), CS_ELIMIT);
	ck_assert_ptr_nonnull(strstr(err.text, "8176"));
	ck_assert_uint_eq(policy->generation, 0);
	/* what was in force is in force */
	ck_assert_int_eq(pol_store_edition(store, &edition, NULL), 0);
	ck_assert_uint_eq(edition.generation, 1);
	pol_unref(policy);
	policy = load(store);
	ck_assert_mem_eq(policy->ke_rules[0].shared_key.p, KEY, strlen(KEY));
	pol_unref(policy);
	pol_store_close(store);
}
END_TEST

START_TEST(test_same_rule_twice)
{
	static const struct rule_text rules[] = {
		{"a", "198.51.100.1", "secure"},
		{"a", "198.51.100.1", "secure"},
		{"b", "198.51.100.2", "secure"},
	};
	struct pol_store *store = open_store(true);
	uint16_t first[3], second[3];

	put_rules(store, rules, 3, first);
	ck_assert_uint_ne(first[0], first[1]);
	put_rules(store, rules, 3, second);
	ck_assert_mem_eq(first, second, sizeof(first));
	pol_store_close(store);
}
END_TEST

/* ---- readers ---- */

START_TEST(test_reader)
{
	struct pol_store *store = NULL, *reader;
	struct pol_policy *policy = NULL;
	struct cs_err err = {0};
	struct pol_edition edition;

	ck_assert_int_eq(pol_store_open(dir, false, &store, &err), CS_ENOTFOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "policy.db"));
	ck_assert_int_eq(access(in_dir("policy.db"), F_OK), -1);
	store = open_store(true);
	reader = open_store(false);
	ck_assert_int_eq(pol_store_load(reader, &policy, &err), CS_ENOTFOUND);
	ck_assert_int_eq(pol_store_edition(reader, &edition, &err), CS_ENOTFOUND);
	policy = policy_of(two, 2, KEY);
	ck_assert_int_eq(pol_store_put(reader, policy, &err), CS_EINVAL);
	put(store, policy);
	pol_unref(policy);
	policy = load(reader);
	ck_assert_uint_eq(policy->generation, 1);
	pol_unref(policy);
	pol_store_close(reader);
	pol_store_close(store);
	pol_store_close(NULL);
}
END_TEST

/* ---- crashes ---- */

/* Between the two commits: secrets of a generation that never came. */
START_TEST(test_orphaned_secrets)
{
	struct pol_store *store = open_store(true);
	struct pol_policy *policy = policy_of(two, 2, KEY);

	put(store, policy);
	pol_unref(policy);
	pol_store_close(store);
	meddle("secrets.db",
	       "INSERT INTO secret SELECT 2, node, position, 'Ascii lost' FROM secret;"
	       "INSERT INTO secret VALUES (2, 999, 0, 'Ascii lost');"
	       "INSERT INTO digest SELECT 2, value FROM digest");
	store = open_store(true);
	policy = load(store);
	ck_assert_mem_eq(policy->ke_rules[0].shared_key.p, KEY, strlen(KEY));
	pol_unref(policy);
	policy = policy_of(two, 2, "next-horse-battery");
	put(store, policy);
	ck_assert_uint_eq(policy->generation, 2);
	pol_unref(policy);
	policy = load(store);
	ck_assert_mem_eq(policy->ke_rules[0].shared_key.p, "next-horse-battery", 18);
	pol_unref(policy);
	pol_store_close(store);
	ck_assert(!file_has("secrets.db", "lost"));
}
END_TEST

static bool has_content(const char *leaf)
{
	struct stat st;

	return stat(in_dir(leaf), &st) == 0 && st.st_size > 0;
}

/* Puts the two policies in turn until it is killed. */
static void put_for_ever(struct pol_policy *policies[2])
{
	struct pol_store *store = NULL;
	struct cs_err err;

	if (pol_store_open(dir, true, &store, &err) < 0)
		_exit(2);
	for (unsigned i = 0;; i++)
		if (pol_store_put(store, policies[i % 2], &err) < 0) {
			fprintf(stderr, "put %u: %s\n", i, err.text);
			_exit(3);
		}
}

#define SPAN_MAX 500000000

/* Nanoseconds that opening and one put take on this disk. */
static long time_of_put(struct pol_policy *policy)
{
	struct timespec from, to;
	struct pol_store *store;

	clock_gettime(CLOCK_MONOTONIC, &from);
	store = open_store(true);
	put(store, policy);
	clock_gettime(CLOCK_MONOTONIC, &to);
	pol_store_close(store);
	return (to.tv_sec - from.tv_sec) * 1000000000 + to.tv_nsec - from.tv_nsec;
}

START_TEST(test_kill)
{
	static const struct rule_text more[] = {
		{"ike", "198.51.100.0/24", "permit"}, {"x", "198.51.100.7", "secure"},
		{"data", "198.51.100.20", "secure"},  {"y", "198.51.100.8", "secure"},
		{"z", "198.51.100.9", "secure-log"},
	};
	const char *runs = getenv("CSIPSEC_TEST_KILLS");
	unsigned kills = runs ? (unsigned)strtoul(runs, NULL, 10) : 50, met[2] = {0}, journals = 0;
	struct pol_policy *policies[2] = {policy_of(two, 2, KEY),
					  policy_of(more, 5, "other-horse-battery")};
	struct pol_store *store;
	uint64_t last = 0;
	long span; /* the kill comes within it, in nanoseconds */

	srandom((unsigned)time(NULL));
	time_of_put(policies[0]); /* makes the databases */
	span = 4 * time_of_put(policies[1]);
	if (span > SPAN_MAX)
		span = SPAN_MAX;
	for (unsigned i = 0; i < kills; i++) {
		struct timespec wait = {.tv_nsec = random() % span};
		struct pol_policy *policy;
		unsigned which;
		int status = 0;
		pid_t pid = fork();

		ck_assert_int_ge(pid, 0);
		if (pid == 0)
			put_for_ever(policies);
		nanosleep(&wait, NULL);
		kill(pid, SIGKILL);
		ck_assert_int_eq(waitpid(pid, &status, 0), pid);
		ck_assert_msg(WIFSIGNALED(status), "the child ended by itself: %d", status);
		journals += has_content("policy.db-journal") || has_content("secrets.db-journal");

		store = open_store(true);
		policy = load(store);
		which = policy->n_rules == 5;
		ck_assert_uint_eq(policy->n_rules, which ? 5 : 2);
		ck_assert_mem_eq(policy->ke_rules[0].shared_key.p,
				 which ? "other-horse-battery" : KEY, which ? 19 : strlen(KEY));
		ck_assert_uint_eq(pol_rule_by_name(policy, "data")->id, 16);
		ck_assert_uint_ge(policy->generation, last);
		/* Killed too early too often: this machine is busier than when it was measured. */
		if (policy->generation == last && span < SPAN_MAX)
			span += span / 4;
		last = policy->generation;
		met[which]++;
		pol_unref(policy);
		pol_store_close(store);
	}
	/* the kills did fall into the work */
	ck_assert_msg(last > kills / 4, "%llu generations", (unsigned long long)last);
	ck_assert_msg(journals > 0, "no kill fell into a transaction");
	ck_assert_msg(kills < 20 || (met[0] && met[1]), "%u and %u", met[0], met[1]);
	pol_unref(policies[0]);
	pol_unref(policies[1]);
}
END_TEST

/* ---- damaged and foreign files ---- */

/* Opens and loads for writing and reading; an error must have a text. True when it loads. */
static bool try_all(void)
{
	bool loaded = true;

	for (int write = 0; write < 2; write++) {
		struct pol_store *store = NULL;
		struct pol_policy *policy = NULL;
		struct cs_err err = {0};
		struct pol_edition edition;
		int rc = pol_store_open(dir, write, &store, &err);

		if (rc == 0) {
			pol_store_edition(store, &edition, NULL);
			rc = pol_store_load(store, &policy, &err);
		}
		if (rc < 0) {
			loaded = false;
			ck_assert_int_eq(rc, err.code);
			ck_assert_msg(strlen(err.text) > 10, "error %d without a text", rc);
		}
		pol_unref(policy);
		pol_store_close(store);
	}
	return loaded;
}

static char *read_file(const char *leaf, size_t *len)
{
	FILE *f = fopen(in_dir(leaf), "r");
	char *data = malloc(1 << 20);

	ck_assert_ptr_nonnull(f);
	*len = fread(data, 1, 1 << 20, f);
	fclose(f);
	return data;
}

static void write_file(const char *leaf, const char *data, size_t len)
{
	FILE *f = fopen(in_dir(leaf), "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(data, 1, len, f), len);
	fclose(f);
	unlink(in_dir("policy.db-journal"));
	unlink(in_dir("secrets.db-journal"));
}

static void fill(void)
{
	struct pol_store *store = open_store(true);
	struct pol_policy *policy = policy_of(two, 2, KEY);

	put(store, policy);
	pol_unref(policy);
	pol_store_close(store);
}

START_TEST(test_truncated)
{
	static const char *const leaves[] = {"policy.db", "secrets.db"};

	fill();
	ck_assert(try_all());
	for (int i = 0; i < 2; i++) {
		size_t len;
		char *data = read_file(leaves[i], &len);

		for (size_t cut = 1; cut < len; cut += cut < 200 ? 13 : 997) {
			write_file(leaves[i], data, cut);
			ck_assert_msg(!try_all(), "%s cut at %zu of %zu loads", leaves[i], cut,
				      len);
		}
		write_file(leaves[i], data, len);
		ck_assert(try_all());
		free(data);
	}
}
END_TEST

START_TEST(test_flipped_bytes)
{
	static const char *const leaves[] = {"policy.db", "secrets.db"};

	fill();
	srandom(7);
	for (int i = 0; i < 2; i++) {
		size_t len;
		char *data = read_file(leaves[i], &len);

		for (unsigned round = 0; round < 250; round++) {
			unsigned n = 1 + (unsigned)random() % 8;
			char *damaged = malloc(len);

			memcpy(damaged, data, len);
			while (n--) /* the head of pages is where the structure is */
				damaged[(size_t)(random() % 3
							 ? random() % 4096 * 4096 + random() % 120
							 : random()) %
					len] = (char)random();
			write_file(leaves[i], damaged, len);
			try_all();
			free(damaged);
		}
		write_file(leaves[i], data, len);
		ck_assert(try_all());
		free(data);
	}
}
END_TEST

START_TEST(test_foreign)
{
	static const struct {
		const char *leaf, *sql;
		enum cs_code code;
		const char *text;
	} cases[] = {
		{"policy.db", "PRAGMA user_version = 2", CS_EUNSUPPORTED, "newer csipsec"},
		{"policy.db", "PRAGMA user_version = -4", CS_ESTORE, "unknown form"},
		{"policy.db", "PRAGMA application_id = 7", CS_ESTORE, "another program"},
		{"secrets.db", "PRAGMA user_version = 99", CS_EUNSUPPORTED, "newer csipsec"},
		{"secrets.db", "DELETE FROM secret", CS_ESTORE, "lacks a secret"},
		{"secrets.db", "DROP TABLE secret", CS_ESTORE, "no such table"},
		{"secrets.db", "UPDATE secret SET value = 'Ascii'", CS_EPOLICY, "does not compile"},
		{"policy.db", "DROP TABLE item", CS_ESTORE, "no such table"},
		{"policy.db", "DELETE FROM in_force", CS_ENOTFOUND, "no policy"},
		{"policy.db", "UPDATE in_force SET generation = -1", CS_EPARSE, "in force"},
		{"policy.db", "UPDATE in_force SET generation = 44", CS_EPOLICY, "compile"},
		{"policy.db", "DELETE FROM file", CS_EPARSE, "of no file"},
		{"policy.db", "DELETE FROM node WHERE number = 2", CS_EPARSE, "gap"},
		{"policy.db", "DELETE FROM node WHERE number > 2", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET node = node + 1000", CS_EPARSE, "of no statement"},
		{"policy.db", "UPDATE node SET statement = 'Nonsense' WHERE number = 1", CS_EPARSE,
		 "unknown statement"},
		{"policy.db", "UPDATE node SET top = 1", CS_EPARSE, "does not belong there"},
		{"policy.db", "UPDATE node SET top = 0 WHERE number = 0", CS_EPARSE,
		 "stands nowhere"},
		{"policy.db", "UPDATE node SET name = 'a' || char(0) || 'b'", CS_EPARSE,
		 "zero byte"},
		{"policy.db", "UPDATE item SET block = 0 WHERE block = 1", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET block = node WHERE block IS NOT NULL", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET block = 3 WHERE block IS NOT NULL", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET block = 99999999999 WHERE block = 1", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET keyword = 'Protocol'", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET keyword = NULL", CS_ESTORE, ""},
		{"policy.db", "UPDATE item SET value = NULL", CS_EPARSE, "without a value"},
		{"policy.db", "UPDATE item SET position = position + 1000", CS_EPARSE,
		 "does not belong there"},
		{"policy.db", "UPDATE item SET value = 'Maybe' WHERE keyword = 'IpFilterAction'",
		 CS_EPOLICY, "does not compile"},
		{"policy.db", "UPDATE rule SET id = 3", CS_EPARSE, "not those stored"},
		{"policy.db", "UPDATE rule SET name = 'other'", CS_EPARSE, "not those stored"},
		{"policy.db", "UPDATE rule SET position = 77", CS_EPARSE, "not those stored"},
		{"policy.db", "DELETE FROM rule", CS_EPARSE, "without an id"},
	};
	size_t policy_len, secrets_len;
	char *policy_db, *secrets_db;

	fill();
	policy_db = read_file("policy.db", &policy_len);
	secrets_db = read_file("secrets.db", &secrets_len);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct pol_store *store = NULL;
		struct pol_policy *policy = NULL;
		struct cs_err err = {0};
		sqlite3 *db = NULL;
		int rc;

		write_file("policy.db", policy_db, policy_len);
		write_file("secrets.db", secrets_db, secrets_len);
		ck_assert_int_eq(sqlite3_open(in_dir(cases[i].leaf), &db), SQLITE_OK);
		rc = sqlite3_exec(db, cases[i].sql, NULL, NULL, NULL);
		sqlite3_close(db);
		if (rc != SQLITE_OK) { /* the schema refuses it already */
			ck_assert_str_eq(cases[i].text, "");
			continue;
		}
		rc = pol_store_open(dir, true, &store, &err);
		if (rc == 0)
			rc = pol_store_load(store, &policy, &err);
		ck_assert_msg(rc == (int)cases[i].code && strstr(err.text, cases[i].text),
			      "%s: %d %s", cases[i].sql, rc, err.text);
		ck_assert_ptr_null(policy);
		pol_store_close(store);
	}
	free(policy_db);
	free(secrets_db);
}
END_TEST

/* What is written to a file that has lost its name, nobody would find. */
START_TEST(test_replaced)
{
	static const char *const leaves[] = {"policy.db", "secrets.db"};
	char aside[400];

	snprintf(aside, sizeof(aside), "%s/aside", dir);
	fill();
	for (int i = 0; i < 2; i++)
		for (int other = 0; other < 2; other++) {
			struct pol_store *store = open_store(true);
			struct pol_policy *policy = policy_of(two, 1, KEY);
			struct cs_err err = {0};
			size_t len;
			char *data = read_file(leaves[i], &len);

			ck_assert_int_eq(rename(in_dir(leaves[i]), aside), 0);
			if (other)
				write_file(leaves[i], data, len);
			ck_assert_int_eq(pol_store_put(store, policy, &err), CS_ESTORE);
			ck_assert_ptr_nonnull(strstr(err.text, leaves[i]));
			ck_assert_ptr_nonnull(strstr(err.text, "removed or replaced"));
			ck_assert_int_eq(rename(aside, in_dir(leaves[i])), 0);
			pol_unref(policy);
			policy = policy_of(two, 2, KEY);
			put(store, policy);
			pol_unref(policy);
			pol_store_close(store);
			free(data);
		}
}
END_TEST

/* Files that another user put there are not used; sqlite would play a journal back. */
START_TEST(test_others_files)
{
	static const char *const leaves[] = {"policy.db", "policy.db-journal", "secrets.db",
					     "secrets.db-journal"};

	if (geteuid() != 0)
		return; /* only root can give files away */
	fill();
	for (int i = 0; i < 4; i++) {
		struct pol_store *store = NULL;
		struct cs_err err = {0};

		ck_assert_int_eq(chown(in_dir(leaves[i]), 65534, (gid_t)-1), 0);
		ck_assert_int_eq(pol_store_open(dir, true, &store, &err), CS_ESTORE);
		ck_assert_ptr_nonnull(strstr(err.text, "belongs to user 65534"));
		ck_assert_int_eq(chown(in_dir(leaves[i]), 0, (gid_t)-1), 0);
	}
	ck_assert(try_all());
}
END_TEST

START_TEST(test_no_database)
{
	struct pol_store *store = NULL;
	struct cs_err err = {0};

	/* an existing database of somebody else is left as it is */
	meddle("policy.db", "CREATE TABLE mine(a)");
	ck_assert_int_eq(pol_store_open(dir, true, &store, &err), CS_ESTORE);
	ck_assert_ptr_nonnull(strstr(err.text, "another program"));
	ck_assert_int_eq(ask("policy.db", "SELECT count(*) FROM sqlite_schema"), 1);
	unlink(in_dir("policy.db"));
	write_file("policy.db", "this is no database, but long enough", 36);
	ck_assert_int_eq(pol_store_open(dir, true, &store, &err), CS_ESTORE);
	unlink(in_dir("policy.db"));
	ck_assert_int_eq(symlink("/dev/null", in_dir("policy.db")), 0);
	ck_assert_int_eq(pol_store_open(dir, true, &store, &err), CS_ESTORE);
	ck_assert_ptr_nonnull(strstr(err.text, "plain file"));
	unlink(in_dir("policy.db"));
	ck_assert_int_eq(pol_store_open("/proc/nowhere", true, &store, &err), CS_ESYS);
	/* another writer at work */
	store = open_store(true);
	pol_store_close(store);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("policy_store");
	TCase *tc = tcase_create("all");

	tcase_set_timeout(tc, 300);
	tcase_add_checked_fixture(tc, make_dir, remove_dir);
	tcase_add_test(tc, test_round_trip);
	tcase_add_test(tc, test_secrets_apart);
	tcase_add_test(tc, test_generations);
	tcase_add_test(tc, test_ids_stay);
	tcase_add_test(tc, test_revert);
	tcase_add_test(tc, test_ids_oldest_first);
	tcase_add_test(tc, test_ids_run_out);
	tcase_add_test(tc, test_same_rule_twice);
	tcase_add_test(tc, test_reader);
	tcase_add_test(tc, test_meaning);
	tcase_add_test(tc, test_orphaned_secrets);
	tcase_add_test(tc, test_kill);
	tcase_add_test(tc, test_truncated);
	tcase_add_test(tc, test_flipped_bytes);
	tcase_add_test(tc, test_foreign);
	tcase_add_test(tc, test_replaced);
	tcase_add_test(tc, test_others_files);
	tcase_add_test(tc, test_no_database);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
