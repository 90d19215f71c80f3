/*
 * pasearch: the display against golden files (tests/data/pasearch; with CSIPSEC_WRITE_GOLDEN set
 * they are written instead, to be read before they are committed), every default in it, JSON, no
 * secret anywhere, and the program with its options as users run it.
 */
#include <check.h>
#include <dirent.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "policy/pasearch.h"
#include "tests/unit/policy_text.h"
#include "tests/unit/run_suite.h"

#define DATA TESTDATA "/data/pasearch/"
#define KEY  "plantedsecretofnobody"
#define HASH "$6$planted$" KEY "zz"
#define NOON 1784030400 /* Tue Jul 14 12:00:00 2026 UTC */

static char statedir[64];

/* ---- the display, in this process, at a fixed time ---- */

static const struct pasearch_options everything = {.stack = "TCPIP",
						   .types = {true, true, true, true},
						   .rules = true,
						   .actions = true,
						   .active = true,
						   .inactive = true};

struct display {
	struct pol_policy *policy;
	struct pasearch p;
	char *text;
	size_t size;
};

/* A display of policy, whose reference it takes; the caller calls end_display(). */
static void begin_with(struct display *d, struct pol_policy *policy,
		       const struct pasearch_options *o)
{
	struct cs_err err;

	memset(d, 0, sizeof(*d));
	d->policy = policy;
	d->p.o = o;
	d->p.stored.generation = 7;
	d->p.stored.created = NOON - 3600;
	/* The policy's own, which nobody changes through this. */
	d->p.stored.tree = (struct pol_tree *)(uintptr_t)pol_policy_tree(d->policy);
	ck_assert_int_eq(pol_view_open(d->p.stored.tree, NOON, &d->p.view, &err), 0);
	d->p.out = open_memstream(&d->text, &d->size);
	ck_assert_ptr_nonnull(d->p.out);
}

/* The same of text (a policy file). */
static void begin_display(struct display *d, const char *text, size_t size,
			  const struct pasearch_options *o)
{
	struct findings found;
	struct pol_policy *policy = compile_text(text, size, &found);

	ck_assert_msg(policy != NULL, "%u: %s: %s", found.v[0].line, found.v[0].attribute,
		      found.v[0].text);
	begin_with(d, policy, o);
}

static void show_text(struct display *d)
{
	pasearch_text(&d->p);
	ck_assert_int_eq(fflush(d->p.out), 0);
	ck_assert(!pol_view_failed(&d->p.view));
}

static void end_display(struct display *d)
{
	fclose(d->p.out);
	free(d->text);
	pol_view_close(&d->p.view);
	pol_unref(d->policy);
}

/* Paths of files in memory differ from run to run. */
static void compare_golden(const char *text, const char *leaf)
{
	char path[256], *golden;
	size_t size;
	FILE *f;

	snprintf(path, sizeof(path), DATA "%s", leaf);
	if (getenv("CSIPSEC_WRITE_GOLDEN")) {
		f = fopen(path, "w");
		ck_assert_msg(f && fputs(text, f) >= 0 && fclose(f) == 0, "%s", path);
	}
	snprintf(path, sizeof(path), "../pasearch/%s", leaf);
	golden = read_sample(path, &size);
	ck_assert_str_eq(text, golden);
	free(golden);
}

static const struct {
	const char *sample, *golden;
} goldens[] = {
	{"host-to-host.policy", "host-to-host.txt"},
	{"branch.policy", "branch.txt"},
};

START_TEST(test_golden)
{
	struct display d;
	size_t size;
	char *text = read_sample(goldens[_i].sample, &size);

	begin_display(&d, text, size, &everything);
	show_text(&d);
	compare_golden(d.text, goldens[_i].golden);
	end_display(&d);
	free(text);
}
END_TEST

/* An example of AT-TLS policy alone, as -t shows it. */
START_TEST(test_golden_ttls)
{
	struct pasearch_options o = everything;
	struct display d;
	size_t size;
	char *text = read_sample("../../../examples/ttls.policy", &size);

	for (unsigned i = 0; i < PASEARCH_TYPES; i++)
		o.types[i] = pasearch_types[i].letter == 't';
	begin_display(&d, text, size, &o);
	show_text(&d);
	compare_golden(d.text, "ttls.txt");
	end_display(&d);
	free(text);
}
END_TEST

/* The same as a file, and for scripts. */
START_TEST(test_golden_others)
{
	struct display d;
	struct cs_err err;
	json_t *document;
	char *text, *json;
	size_t size;

	text = read_sample("host-to-host.policy", &size);
	begin_display(&d, text, size, &everything);
	ck_assert_int_eq(pasearch_write(&d.p, &err), 0);
	fflush(d.p.out);
	compare_golden(d.text, "host-to-host.policy");
	document = pasearch_json(&d.p);
	json = json_dumps(document, JSON_INDENT(2));
	ck_assert_ptr_nonnull(json);
	/* The name of a file in memory. */
	if (strstr(json, "/proc/self/fd/"))
		memset(strstr(json, "/proc/self/fd/") + 14, '9', 1);
	compare_golden(json, "host-to-host.json");
	free(json);
	json_decref(document);
	end_display(&d);
	free(text);
}
END_TEST

/* ---- every default ---- */

/* Each statement that has defaults, with nothing in it that has one. */
static const char bare[] =
	"IpFilterPolicy\n{\n IpFilterRule bare\n {\n  IpService\n  {\n  }\n"
	"  IpTimeCondition\n  {\n  }\n"
	"  IpGenericFilterActionRef ipsec\n  IpDynVpnActionRef vpn\n  IpLocalStartActionRef start\n"
	" }\n}\n"
	"IpGenericFilterAction ipsec\n{\n IpFilterAction IpSec\n}\n"
	"IpDynVpnAction vpn\n{\n IpDataOffer\n {\n }\n}\n"
	"IpLocalStartAction start\n{\n}\n"
	"KeyExchangePolicy\n{\n KeyExchangeRule bare\n {\n"
	"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1\n  }\n"
	"  RemoteSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.2\n  }\n"
	"  KeyExchangeActionRef action\n }\n}\n"
	"KeyExchangeAction action\n{\n KeyExchangeOffer\n {\n }\n}\n"
	"LocalDynVpnPolicy\n{\n LocalDynVpnRule bare\n {\n  LocalIp 192.0.2.1\n"
	"  RemoteIp 192.0.2.2\n }\n}\n"
	"TTLSRule bare\n{\n Jobname J\n Direction Both\n TTLSGroupActionRef on\n"
	" TTLSEnvironmentActionRef server\n TTLSConnectionActionRef all\n}\n"
	"TTLSGroupAction on\n{\n TTLSEnabled On\n TTLSGroupAdvancedParms\n {\n }\n}\n"
	"TTLSEnvironmentAction server\n{\n HandshakeRole Server\n TTLSKeyringParms\n {\n"
	"  Keyring r\n }\n TTLSEnvironmentAdvancedParms\n {\n }\n TTLSGskAdvancedParms\n {\n"
	"  TTLSGskLdapParms\n  {\n   GSK_LDAP_SERVER l\n  }\n  TTLSGskOcspParms\n  {\n  }\n"
	"  TTLSGskHttpCdpParms\n  {\n  }\n }\n}\n"
	"TTLSConnectionAction all\n{\n}\n";

/* Is there a line "label: value", indented somehow? */
static bool has_line(const char *text, const char *label, const char *value)
{
	size_t len = strlen(label);

	for (const char *line = text; line && *line; line = strchr(line, '\n')) {
		const char *p = line + strspn(line, "\n ");

		line = p;
		if (strncmp(p, label, len) != 0 || p[len] != ':')
			continue;
		p += len + 1;
		p += strspn(p, " ");
		if (strncmp(p, value, strlen(value)) == 0 && strchr(" \n", p[strlen(value)]))
			return true;
	}
	return false;
}

/* What time periods are shown as, which have a form of their own. */
static const char *time_label(const char *keyword)
{
	static const char *const labels[][2] = {{"MonthOfYearMask", "Month of Yr Mask"},
						{"DayOfMonthMask", "First to Last"},
						{"DayOfWeekMask", "Day of Week Mask"},
						{"TimeOfDayRange", "Fr TimeOfDay"}};

	for (unsigned i = 0; i < 4; i++)
		if (strcmp(keyword, labels[i][0]) == 0)
			return labels[i][1];
	return keyword;
}

static void check_preset(const char *text, const struct pol_statement *s, const struct pol_param *p)
{
	const char *bar = p->shown ? strchr(p->shown, '|') : NULL;
	char label[80], value[80];

	snprintf(label, sizeof(label), "%s", p->shown ? p->shown : time_label(p->keyword));
	snprintf(value, sizeof(value), "%s", p->preset);
	if (bar)
		label[bar - p->shown] = '\0';
	else if (p->shown && p->kind == POL_K_ADDRS)
		strcpy(label, "FromAddr");
	if (strcmp(p->keyword, "TimeOfDayRange") == 0)
		strcpy(value, "00:00");
	ck_assert_msg(has_line(text, label, value), "%s of %s: no line '%s: %s'", p->keyword,
		      s->keyword, label, value);
}

START_TEST(test_every_default)
{
	unsigned n, checked = 0, statements = 0;
	const struct pol_statement *s = pol_statements(&n);
	struct display d;

	begin_display(&d, bare, sizeof(bare) - 1, &everything);
	show_text(&d);
	for (unsigned i = 0; i < n; i++) {
		bool any = false;

		if (!strstr(bare, s[i].keyword))
			continue;
		for (const struct pol_param *p = s[i].params; p && p->keyword; p++) {
			if (!p->preset || p->support == POL_DEPRECATED)
				continue;
			check_preset(d.text, &s[i], p);
			checked++;
			any = true;
		}
		statements += any;
	}
	ck_assert_uint_ge(statements, 20);
	ck_assert_uint_ge(checked, 150);
	end_display(&d);
}
END_TEST

static const json_t *find_statement(const json_t *json, const char *keyword)
{
	const char *key;
	const json_t *value, *found;
	size_t i;

	if (json_is_object(json)) {
		const char *name = json_string_value(json_object_get(json, "Statement"));

		if (name && strcmp(name, keyword) == 0 && json_object_get(json, "Defaults"))
			return json;
		json_object_foreach(
			(json_t *)(uintptr_t)json, key,
			value) if ((found = find_statement(value, keyword))) return found;
	}
	json_array_foreach(json, i,
			   value) if ((found = find_statement(value, keyword))) return found;
	return NULL;
}

static bool lists(const json_t *array, const char *text)
{
	const json_t *value;
	size_t i;

	json_array_foreach(array, i,
			   value) if (strcmp(json_string_value(value), text) == 0) return true;
	return false;
}

/* The same in JSON, where numbers and switches are what they are. */
START_TEST(test_every_default_json)
{
	unsigned n, checked = 0;
	const struct pol_statement *s = pol_statements(&n);
	struct display d;
	json_t *document;

	begin_display(&d, bare, sizeof(bare) - 1, &everything);
	document = pasearch_json(&d.p);
	for (unsigned i = 0; i < n; i++) {
		const json_t *node = find_statement(document, s[i].keyword), *value;

		for (const struct pol_param *p = s[i].params; node && p && p->keyword; p++) {
			if (!p->preset || p->support == POL_DEPRECATED)
				continue;
			value = json_object_get(node, p->keyword);
			ck_assert_msg(value != NULL, "%s of %s", p->keyword, s[i].keyword);
			ck_assert_msg(lists(json_object_get(node, "Defaults"), p->keyword), "%s",
				      p->keyword);
			if (p->kind == POL_K_YESNO)
				ck_assert_int_eq(json_is_true(value), !strcmp(p->preset, "Yes"));
			else if (p->kind == POL_K_ONOFF)
				ck_assert_int_eq(json_is_true(value), !strcmp(p->preset, "On"));
			else if (p->kind == POL_K_KEYWORD)
				ck_assert_str_eq(json_string_value(value), p->preset);
			else if (json_is_integer(value))
				ck_assert_int_eq(json_integer_value(value),
						 strtol(p->preset, NULL, 10));
			checked++;
		}
	}
	ck_assert_uint_ge(checked, 150);
	json_decref(document);
	end_display(&d);
}
END_TEST

/* What another statement decides. */
START_TEST(test_inherited)
{
	static const char policy[] =
		"IpFilterPolicy\n{\n AllowOnDemand Yes\n IpFilterRule r\n {\n"
		"  IpGenericFilterActionRef ipsec\n  IpDynVpnActionRef vpn\n"
		"  IpLocalStartActionRef start\n }\n}\n"
		"IpGenericFilterAction ipsec\n{\n IpFilterAction IpSec\n}\n"
		"IpDynVpnAction vpn\n{\n Pfs Group14\n IpDataOffer\n {\n }\n}\n"
		"IpLocalStartAction start\n{\n}\n"
		"KeyExchangePolicy\n{\n AllowNat Yes\n LivenessInterval 77\n"
		" HowToInitiate Aggressive\n KeyExchangeRule k\n {\n"
		"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1\n  }\n"
		"  RemoteSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.2\n  }\n"
		"  KeyExchangeActionRef a\n }\n}\n"
		"KeyExchangeAction a\n{\n HowToRespond Main\n KeyExchangeOffer\n {\n }\n}\n";
	static const char *const lines[][2] = {
		{"AllowOnDemand", "Yes"},       {"Pfs", "Group14"},
		{"InitiateWithPfs", "Group14"}, {"AcceptablePfs", "Group14"},
		{"HowToRespond", "Main"},       {"HowToRespondIKEv1", "Main"},
		{"LivenessInterval", "77"},     {"HowToInitiate", "Aggressive"}};
	struct display d;
	const char *action;

	begin_display(&d, policy, sizeof(policy) - 1, &everything);
	show_text(&d);
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		/* Behind "Action:", so not in the policy that has it. */
		action = strstr(d.text, i < 4 ? "IpFilter Action:" : "KeyExchange Action:");
		ck_assert_ptr_nonnull(action);
		ck_assert_msg(has_line(action, lines[i][0], lines[i][1]), "%s", lines[i][0]);
	}
	end_display(&d);
}
END_TEST

/* ---- AT-TLS: what no statement of the action itself says ---- */

#define PLAIN_RULE(name, group, connection)                                                        \
	"TTLSRule " name "\n{\n Jobname J\n Direction Both\n TTLSGroupActionRef " group            \
	"\n TTLSEnvironmentActionRef server\n" connection "}\n"
#define INNER " TTLSConnectionActionRef inner\n"

/* Two groups with one environment, no blocks but the one that must be. */
static const char plain[] =
	"TTLSGroupAction quiet\n{\n TTLSEnabled On\n Trace 1\n}\n"
	"TTLSGroupAction loud\n{\n TTLSEnabled On\n Trace 255\n CtraceClearText On\n"
	" TTLSGroupAdvancedParms\n {\n  SecondaryMap On\n }\n}\n"
	"TTLSEnvironmentAction server\n{\n HandshakeRole Server\n TTLSKeyringParms\n {\n"
	"  Keyring r\n }\n TTLSCipherParms\n {\n  V3CipherSuites4Char C02F\n }\n}\n"
	"TTLSConnectionAction inner\n{\n TTLSConnectionAdvancedParms\n {\n"
	"  HandshakeTimeout 5\n  ServerCertificateLabel two\n }\n}\n" /* and the rules */
	PLAIN_RULE("a", "quiet", INNER) PLAIN_RULE("b", "loud", "");

/* The action of a name below the rule of a name, up to its end. */
static char *action_of(const char *text, const char *rule, const char *action)
{
	char line[80];
	const char *at, *end;

	snprintf(line, sizeof(line), "policyRule:             %s\n", rule);
	at = strstr(text, line);
	snprintf(line, sizeof(line), "  TTLS Action:                  %s\n", action);
	at = at ? strstr(at, line) : NULL;
	end = at ? strstr(at, "Policy created") : NULL;
	ck_assert_msg(end != NULL, "%s of %s", action, rule);
	return strndup(at, (size_t)(end - at));
}

START_TEST(test_outer_actions)
{
	static const struct {
		const char *rule, *action, *label, *value; /* NULL: no such line */
	} lines[] = {
		{"a", "quiet", "SecondaryMap", "Off"},
		{"a", "quiet", "SyslogFacility", "Daemon"},
		{"a", "server", "Trace", "1"},
		{"a", "server", "CtraceClearText", "Off"},
		{"a", "server", "TLSv1.2", "On"},
		{"a", "server", "HandshakeTimeout", "10"},
		{"a", "server", "SecondaryMap", "Off"},
		{"a", "server", "GSK_V3_SIDCACHE_SIZE", "512"},
		{"a", "server", "OcspNonceSize", "8"},
		{"a", "server", "HttpCdpCacheSize", "32"},
		{"a", "server", "GSK_LDAP_SERVER_PORT", NULL}, /* without a server there is none */
		{"a", "server", "TTLSSignatureParms", NULL},
		{"a", "inner", "HandshakeRole", "Server"},
		{"a", "inner", "Trace", "1"},
		{"a", "inner", "TLSv1.2", "On"},
		{"a", "inner", "HandshakeTimeout", "5"},
		{"a", "inner", "SecondaryMap", "Off"},
		{"a", "inner", "V3CipherSuites4Char", "C02F"},
		{"a", "inner", "ServerCertificateLabel", "two"},
		{"a", "inner", "CertificateLabel", NULL}, /* the other one is coded */
		{"a", "inner", "SuiteBProfile", NULL},    /* not a connection's */
		{"b", "server", "Trace", "255"},
		{"b", "server", "CtraceClearText", "On"},
		{"b", "server", "SecondaryMap", "On"},
	};
	struct pasearch_options o = everything;
	struct display d;

	begin_display(&d, plain, sizeof(plain) - 1, &o);
	show_text(&d);
	for (unsigned i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		char *action = action_of(d.text, lines[i].rule, lines[i].action);
		const char *value = lines[i].value ? lines[i].value : "";

		ck_assert_msg(has_line(action, lines[i].label, value) == (lines[i].value != NULL),
			      "%s of %s of %s is not %s: %s", lines[i].label, lines[i].action,
			      lines[i].rule, value, action);
		free(action);
	}
	end_display(&d);

	/* By itself an action has no outer one: what it codes, and its own defaults. */
	o.rules = false;
	begin_display(&d, plain, sizeof(plain) - 1, &o);
	show_text(&d);
	ck_assert(has_line(strstr(d.text, "server\n"), "TLSv1.2", "On"));
	ck_assert(!has_line(strstr(d.text, "inner\n"), "TLSv1.2", "On"));
	ck_assert(has_line(strstr(d.text, "inner\n"), "HandshakeTimeout", "5"));
	end_display(&d);
}
END_TEST

/* What an environment codes more than once its connections have as often. */
START_TEST(test_outer_repeated)
{
	static const char policy[] =
		"TTLSGroupAction on\n{\n TTLSEnabled On\n}\n"
		"TTLSEnvironmentAction server\n{\n HandshakeRole Client\n TTLSKeyringParms\n {\n"
		"  Keyring r\n }\n TTLSEnvironmentAdvancedParmsRef adv\n"
		" TTLSCipherParmsRef strong\n}\n"
		"TTLSCipherParms strong\n{\n V3CipherSuites4Char C030\n}\n"
		"TTLSEnvironmentAdvancedParms adv\n{\n CertificateLabel one\n"
		" HostReferenceIdDNS a.example\n HostReferenceIdDNS b.example\n}\n"
		"TTLSConnectionAction inner\n{\n}\n" PLAIN_RULE("a", "on", INNER);
	struct display d;
	char *action;

	begin_display(&d, policy, sizeof(policy) - 1, &everything);
	show_text(&d);
	action = action_of(d.text, "a", "inner");
	ck_assert(has_line(action, "HostReferenceIdDNS", "a.example"));
	ck_assert(has_line(action, "HostReferenceIdDNS", "b.example"));
	ck_assert(has_line(action, "CertificateLabel", "one"));
	ck_assert(!has_line(action, "ServerCertificateLabel", ""));
	ck_assert(has_line(action, "TTLSCipherParms", "strong"));
	ck_assert(has_line(action, "V3CipherSuites4Char", "C030"));
	ck_assert(!strstr(action, "Ref:"));
	free(action);
	end_display(&d);
}
END_TEST

/* ---- samples and examples: nothing is left to be known ---- */

static unsigned check_filled(const json_t *json);

static bool has_group(const json_t *object, const struct pol_statement *s,
		      const struct pol_param *p)
{
	for (const struct pol_param *q = s->params; q->keyword; q++)
		if (pol_same_group(p, q) && json_object_get(object, q->keyword))
			return true;
	return false;
}

static bool requires(const struct pol_statement *s)
{
	for (const struct pol_param *p = s->params; p && p->keyword; p++)
		if (p->required)
			return true;
	return false;
}

static bool has_presets(const struct pol_statement *s)
{
	for (const struct pol_param *p = s->params; p && p->keyword; p++)
		if (p->preset && p->support != POL_DEPRECATED)
			return true;
	return false;
}

/* How many parameters that have a default somewhere were looked for and found. */
static unsigned check_statement(const json_t *object, const struct pol_statement *s,
				const struct pol_statement *outer)
{
	unsigned n = 0;

	for (const struct pol_param *p = s->params; p && p->keyword; p++) {
		const struct pol_param *above = outer ? pol_param_find(outer, p->keyword) : NULL;
		const struct pol_statement *of =
			p->kind == POL_K_BLOCK ? pol_statement_find(p->of) : NULL;
		bool filled =
			p->preset || (above && above->preset) ||
			(of && !p->required && !p->repeatable && !requires(of) && has_presets(of));

		if (!filled || p->support == POL_DEPRECATED || p->support == POL_REFUSED)
			continue;
		ck_assert_msg(has_group(object, s, p), "%s %s: no %s", s->keyword,
			      json_string_value(json_object_get(object, "Name")), p->keyword);
		n++;
	}
	return n;
}

static unsigned check_object(const json_t *object)
{
	static const char *const within[][2] = {
		{"TTLSConnectionAdvancedParms", "TTLSEnvironmentAdvancedParms"},
		{"TTLSConnectionAction", "TTLSGroupAction"},
		{"TTLSEnvironmentAction", "TTLSGroupAction"},
		{"TTLSEnvironmentAdvancedParms", "TTLSGroupAdvancedParms"},
	};
	const char *keyword = json_string_value(json_object_get(object, "Statement")), *key;
	const struct pol_statement *s = keyword ? pol_statement_find(keyword) : NULL;
	const struct pol_statement *outer = NULL;
	const json_t *value;
	unsigned n = 0;

	for (unsigned i = 0; s && i < sizeof(within) / sizeof(within[0]); i++)
		if (strcmp(keyword, within[i][0]) == 0)
			outer = pol_statement_find(within[i][1]);
	/* A mention has its name alone. */
	if (s && json_object_size(object) > 2)
		n = check_statement(object, s, outer);
	json_object_foreach((json_t *)(uintptr_t)object, key, value) n += check_filled(value);
	return n;
}

static unsigned check_filled(const json_t *json)
{
	const json_t *value;
	unsigned n = 0;
	size_t i;

	if (json_is_object(json))
		return check_object(json);
	json_array_foreach(json, i, value) n += check_filled(value);
	return n;
}

START_TEST(test_all_filled_in)
{
	static const struct {
		const char *pattern;
		unsigned files, parameters;
	} sets[] = {
		{TESTDATA "/data/policy/host-to-host.policy", 1, 40},
		{TESTDATA "/data/policy/branch.policy", 1, 40},
		{TESTDATA "/../examples/*.policy", 9, 2000},
		{TESTDATA "/../examples/mixed/pagent.conf", 1, 200},
	};

	for (unsigned k = 0; k < sizeof(sets) / sizeof(sets[0]); k++) {
		unsigned checked = 0;
		glob_t files;

		ck_assert_int_eq(glob(sets[k].pattern, 0, NULL, &files), 0);
		ck_assert_uint_ge(files.gl_pathc, sets[k].files);
		for (size_t i = 0; i < files.gl_pathc; i++) {
			struct findings found;
			struct display d;
			json_t *document;

			begin_with(&d, compile_file(files.gl_pathv[i], "TCPIP", &found),
				   &everything);
			document = pasearch_json(&d.p);
			checked += check_filled(json_object_get(document, "policies"));
			checked += check_filled(json_object_get(document, "rules"));
			json_decref(document);
			end_display(&d);
		}
		globfree(&files);
		ck_assert_msg(checked >= sets[k].parameters, "%s: %u", sets[k].pattern, checked);
	}
}
END_TEST

/* ---- time ---- */

START_TEST(test_time)
{
	static const char policy[] =
		"IpFilterPolicy\n{\n IpFilterRule now\n {\n  IpGenericFilterActionRef permit\n"
		"  IpTimeCondition\n  {\n   TimeOfDayRange 13:30-14:30\n   TimeZone +0200\n  }\n "
		"}\n"
		" IpFilterRule later\n {\n  IpGenericFilterActionRef permit\n"
		"  IpTimeCondition\n  {\n   ConditionTimeRange 20270101000000:20280101000000\n"
		"   TimeOfDayRange 23-01\n   TimeZone -0130\n  }\n }\n}\n"
		"IpGenericFilterAction permit\n{\n IpFilterAction Permit\n}\n";
	static const char *const expected[] = {
		"Fr TimeOfDay:        13:30             To TimeOfDay:      14:30\n",
		"Fr TimeOfDay UTC:    11:30             To TimeOfDay UTC:  12:30\n",
		"TimeZone:            +0200\n",
		"Start Date Time:     Fri Jan  1 00:00:00 2027\n",
		"Start Date Time UTC: Fri Jan  1 01:30:00 2027\n",
		"End Date Time UTC:   Sat Jan  1 01:30:00 2028\n",
		"Fr TimeOfDay:        23:00             To TimeOfDay:      01:00\n",
		"Fr TimeOfDay UTC:    00:30             To TimeOfDay UTC:  02:30\n",
		"TimeZone:            -0130\n",
	};
	struct pasearch_options o = everything;
	struct display d;
	char *later;

	begin_display(&d, policy, sizeof(policy) - 1, &o);
	show_text(&d);
	for (unsigned i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
		ck_assert_msg(strstr(d.text, expected[i]) != NULL, "%s in %s", expected[i], d.text);
	later = strstr(d.text, "policyRule:             later");
	ck_assert_ptr_nonnull(later);
	ck_assert(has_line(later, "Version", "3"));
	ck_assert(strstr(later, "Status:            Inactive"));
	*later = '\0';
	ck_assert(!strstr(d.text, "Inactive"));
	end_display(&d);

	o.inactive = false;
	begin_display(&d, policy, sizeof(policy) - 1, &o);
	show_text(&d);
	ck_assert(strstr(d.text, "policyRule:             now"));
	ck_assert(!strstr(d.text, "policyRule:             later"));
	ck_assert_uint_eq(d.p.shown, 2); /* a rule and its action */
	end_display(&d);

	o = everything;
	o.active = false;
	o.rules = false;
	begin_display(&d, policy, sizeof(policy) - 1, &o);
	show_text(&d);
	ck_assert(!strstr(d.text, "policyRule"));
	ck_assert(strstr(d.text, "IpFilter Action:"));
	ck_assert_uint_eq(d.p.shown, 1);
	end_display(&d);
}
END_TEST

/* What a terminal would obey does not reach it. */
START_TEST(test_control_bytes)
{
	static const char policy[] =
		"IpFilterPolicy\n{\n IpFilterRule r\n {\n  IpGenericFilterActionRef permit\n }\n}\n"
		"IpGenericFilterAction permit\n{\n IpFilterAction Permit \033[2J\n}\n"
		"KeyExchangePolicy\n{\n KeyExchangeRule k\n {\n"
		"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1 \033[2J\n  }\n"
		"  RemoteSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.2\n"
		"   CaLabel a\xff\n  }\n  KeyExchangeActionRef a\n }\n}\n"
		"KeyExchangeAction a\n{\n KeyExchangeOffer\n {\n }\n}\n";
	struct findings found;
	struct pol_policy *policy_or_not = compile_text(policy, sizeof(policy) - 1, &found);
	struct display d;
	json_t *document;

	if (!policy_or_not)
		return; /* it does not get so far */
	pol_unref(policy_or_not);
	begin_display(&d, policy, sizeof(policy) - 1, &everything);
	show_text(&d);
	ck_assert(!strchr(d.text, 033) && strstr(d.text, "192.0.2.1 \\x1b[2J"));
	document = pasearch_json(&d.p);
	ck_assert_ptr_nonnull(document);
	json_decref(document);
	end_display(&d);
}
END_TEST

/* ---- the program ---- */

static const char secret_policy[] =
	"IpFilterPolicy\n{\n IpFilterRule permit-all\n {\n  IpGenericFilterActionRef permit\n }\n"
	" IpFilterRule never\n {\n  IpGenericFilterActionRef permit\n  IpTimeCondition\n  {\n"
	"   ConditionTimeRange 19900101000000:19910101000000\n  }\n }\n}\n"
	"IpGenericFilterAction permit\n{\n IpFilterAction Permit\n}\n"
	"KeyExchangePolicy\n{\n KeyExchangeRule clients\n {\n"
	"  LocalSecurityEndpoint\n  {\n   Identity IpAddr 192.0.2.1\n  }\n"
	"  RemoteSecurityEndpoint\n  {\n   Identity Fqdn *\n  }\n"
	"  KeyExchangeActionRef gateway\n  SharedKey Ascii " KEY "\n }\n}\n"
	"KeyExchangeAction gateway\n{\n HowToInitiate DoNot\n ClientAuthentication XAuth\n"
	" ClientUser somebody " HASH "\n KeyExchangeOffer\n {\n  HowToAuthPeers PresharedKey\n"
	" }\n}\n";

static void make_statedir(void)
{
	strcpy(statedir, "/tmp/test_pasearch.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(statedir));
	setenv("CSIPSEC_STATEDIR", statedir, 1);
}

static void remove_tree(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *e;
	char below[600];

	while (dir && (e = readdir(dir))) {
		if (e->d_name[0] == '.')
			continue;
		snprintf(below, sizeof(below), "%s/%s", path, e->d_name);
		if (unlink(below) < 0)
			remove_tree(below);
	}
	if (dir)
		closedir(dir);
	rmdir(path);
}

static void remove_statedir(void)
{
	remove_tree(statedir);
}

static const char *stack_path(const char *stack, const char *leaf)
{
	static char path[200];

	snprintf(path, sizeof(path), "%s/%s%s%s", statedir, stack, *leaf ? "/" : "", leaf);
	return path;
}

static void store_policy(const char *stack, struct pol_policy *policy)
{
	struct pol_store *s;
	struct cs_err err = {0};

	ck_assert_msg(pol_store_open(stack_path(stack, ""), true, &s, &err) == 0, "%s", err.text);
	ck_assert_msg(pol_store_put(s, policy, &err) == 0, "%s", err.text);
	pol_store_close(s);
	pol_unref(policy);
}

static void store(const char *stack, const char *text)
{
	struct findings found;
	struct pol_policy *policy = compile_text(text, strlen(text), &found);

	ck_assert_msg(policy != NULL, "%u: %s", found.v[0].line, found.v[0].text);
	store_policy(stack, policy);
}

static void store_file(const char *stack, const char *path)
{
	struct findings found;
	struct pol_policy *policy = compile_file(path, "TCPIP", &found);

	ck_assert_msg(policy != NULL, "%u: %s", found.v[0].line, found.v[0].text);
	store_policy(stack, policy);
}

static const char *program(void)
{
	static char path[512];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 32);

	ck_assert_int_gt(n, 0);
	path[n] = 0;
	for (int up = 0; up < 3; up++)
		*strrchr(path, '/') = 0;
	strcat(path, "/policy/pasearch");
	return path;
}

static char *read_whole(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = calloc(1, 262144);

	ck_assert(f && text);
	ck_assert_uint_lt(fread(text, 1, 262143, f), 262143);
	fclose(f);
	return text;
}

struct result {
	int exit;
	char *out, *err;
};

/* mode: of the file that takes the output. */
static struct result run_argv(char *const argv[], mode_t mode, uid_t uid)
{
	int file = open(program(), O_RDONLY); /* nobody need not find the way to it */
	char out[100], err[100];
	struct result r;
	int status;
	pid_t pid;

	snprintf(out, sizeof(out), "%s/.out", statedir);
	snprintf(err, sizeof(err), "%s/.err", statedir);
	pid = fork();
	if (pid == 0) {
		umask(0);
		dup2(open(out, O_CREAT | O_TRUNC | O_WRONLY, mode), 1);
		dup2(open(err, O_CREAT | O_TRUNC | O_WRONLY, 0600), 2);
		if (uid && (setgroups(0, NULL) || setgid((gid_t)uid) || setuid(uid)))
			_exit(126);
		fexecve(file, argv, environ);
		_exit(127);
	}
	close(file);
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_msg(WIFEXITED(status), "pasearch %s: signal %d", argv[1], WTERMSIG(status));
	r.exit = WEXITSTATUS(status);
	r.out = read_whole(out);
	r.err = read_whole(err);
	unlink(out);
	unlink(err);
	return r;
}

static struct result run_as(const char *a, const char *b, mode_t mode, uid_t uid)
{
	char one[40], two[40], *argv[] = {"pasearch", a ? one : NULL, b ? two : NULL, NULL};

	snprintf(one, sizeof(one), "%s", a ? a : "");
	snprintf(two, sizeof(two), "%s", b ? b : "");
	return run_argv(argv, mode, uid);
}

static struct result run_mode(const char *line, mode_t mode)
{
	char words[400], *argv[40] = {"pasearch"};
	int argc = 1;

	snprintf(words, sizeof(words), "%s", line);
	for (char *save, *w = strtok_r(words, " ", &save); w; w = strtok_r(NULL, " ", &save))
		argv[argc++] = w;
	return run_argv(argv, mode, 0);
}

static struct result run(const char *line)
{
	return run_mode(line, 0644);
}

static void result_free(struct result *r)
{
	free(r->out);
	free(r->err);
}

static const struct {
	const char *line;
	int exit;
	const char *out, *not_out, *err;
} lines[] = {
	{"", 0, "policyRule:             permit-all", "policyRule:             never", ""},
	{"", 0, "SharedKey:          ********\n", KEY, ""},
	{"-p TCPIP -I", 0, "policyRule:             never", "permit-all", ""},
	{"-A -I -n", 0, "policyRule:             never\n  policyAction:         permit\n",
	 "Rule Type", ""},
	{"-v f", 0, "IpFilterPolicy", "KeyExchangePolicy", ""},
	{"-v k", 0, "policyKeyExchange", "policyIpFilter", ""},
	{"-v kf", 0, "policyKeyExchange", "TTLS", ""},
	{"-v a", 0, "policyIpFilter", "TTLS", ""},
	{"-v l", 0, "IPSec Instance Id", "policyRule", ""},
	{"-v l --fail-empty", 1, "IPSec Instance Id", "policyRule", ""},
	{"-t", 0, "TTLS Instance Id", "policyRule", ""},
	{"-q", 0, "Image Name: TCPIP", "policyRule", "quality of service"},
	{"-i -R -T", 0, "Image Name", "policyRule", "intrusion detection"},
	{"-q -v f", 0, "policyIpFilter", "policyKeyExchange", "note"},
	{"-g -o -w -z", 0, "policyIpFilter", "TTLSRule", "no effect"},
	{"-s Both", 0, "policyIpFilter", KEY, "note: -s"},
	{"-r", 0, "policyRule:", "IpFilter Action:", ""},
	{"-a", 0, "IpFilter Action:", "policyRule:", ""},
	{"-e", 0, "IpFilter Action:", "TTLS Action:", ""},
	{"-n -r", 0, "policyRule:             permit-all\npolicyRule", "policyAction", ""},
	{"-f permit", 0, "policyRule:             permit-all", "clients", ""},
	{"-f client*", 0, "policyRule:             clients", "permit-all", ""},
	{"-f c?ients -n -a", 0, "policyAction:         gateway", "policyRule", ""},
	{"-f nobody", 0, "Image Name", "policyRule", ""},
	{"-f nobody --fail-empty", 1, "Image Name", "policyRule", ""},
	{"-c", 0, "policyObject:                   IpFilterPolicy\n", "policyRule:", ""},
	{"-c", 0, "No. Policy Rule:              2\n", KEY, ""},
	{"-c", 0, "Generation:                   1\n", KEY, ""},
	{"-C", 0, "Image Name: EMPTY2\nImage Name: TCPIP\nImage Name: TWICE\n", "BROKEN0", ""},
	{"-d", 0, "policyRule", KEY, "policy.db: generation 1, 4 statements"},
	{"--policy", 0, "SharedKey                   ********\n", KEY, ""},
	{"--policy", 0, "# HowToRespondIKEv1         Either (the default)\n", KEY, ""},
	{"--help", 0, "Usage: pasearch", "policyRule", ""},
	{"-?", 0, "Usage: pasearch", "policyRule", ""},
	{"--version", 0, "pasearch (csipsec) ", "policyRule", ""},
	{"-v x", 2, "", "policyRule", "-v takes a, f, k or l, not: x"},
	{"-v", 2, "", "policyRule", "lacks its value: -v"},
	{"-x", 2, "", "policyRule", "unknown option: -x"},
	{"--jso", 0, "\"heading\"", KEY, ""},
	{"--nonsense", 2, "", "policyRule", "unknown option: --nonsense"},
	{"TCPIP", 2, "", "policyRule", "belongs to no option: TCPIP"},
	{"-p a/b", 2, "", "policyRule", "a stack name does not contain '/'"},
	{"-p tcpip -n", 0, "Image Name: TCPIP\n", "Rule Type", ""},
	{"-p NOWHERE", 4, "", "policyRule", "NOWHERE/policy.db"},
	{"--with-secrets", 2, "", KEY, "--with-secrets goes with --policy"},
	{"--policy --with-secrets", 2, "", KEY, "others may open the output file"},
	{"--policy --json", 2, "", KEY, "only -v a and -t go with it"},
	{"--policy -f x", 2, "", KEY, "only -v a and -t go with it"},
	{"--policy -v f", 2, "", KEY, "only -v a and -t go with it"},
	{"--policy -t -q", 2, "", KEY, "only -v a and -t go with it"},
	{"--policy -v a", 0, "KeyExchangePolicy\n", KEY, ""},
	{"--policy -v a -t", 0, "KeyExchangePolicy\n", KEY, ""},
	{"--policy -t --fail-empty", 1, "# The policy of stack TCPIP", "IpFilterPolicy", ""},
	{"-t -p EMPTY2", 0, "   ActionType:          TTLS Environment\n", "IpFilter", ""},
	{"-p TWICE --policy", 2, "", "net", "each have their own Ip"},
	{"-p TWICE --policy -t", 0, "TTLSRule net\n", "IpFilterPolicy", ""},
	{"-p TWICE --policy -t", 0, "198.51.100.0/24\n", "192.0.2.0", ""},
	{"-p TWICE --policy -v a", 0, "IpFilterRule net\n", "TTLSRule", ""},
	{"-p TWICE --policy -v a", 0, "192.0.2.0/24\n", "198.51.100.0", ""},
	{"-p TWICE -t", 0, "FromAddr:           198.51.100.0\n", "192.0.2.0", ""},
	{"-p TWICE -t", 0, "TimeZone:            UTC\n", "203.0.113.0", ""},
	{"-p TWICE -v f", 0, "FromAddr:          192.0.2.0\n", "198.51.100.0", ""},
	{"-c -C", 2, "", "policyRule", "-c and -C"},
	{"-p GARBAGE", 5, "", "policyRule", "policy.db is damaged or no database"},
};

static void make_stacks(void)
{
	make_statedir();
	store("TCPIP", secret_policy);
	store("EMPTY2", bare);
	store_file("TWICE", TESTDATA "/data/policy/twice/pagent.conf");
	ck_assert_int_eq(mkdir(stack_path("GARBAGE", ""), 0755), 0);
	ck_assert_int_eq(mkdir(stack_path("BROKEN0", ""), 0755), 0);
}

static void write_garbage(const char *path)
{
	FILE *f = fopen(path, "w");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 4096; i++)
		fputc('x', f);
	ck_assert_int_eq(fclose(f), 0);
}

START_TEST(test_line)
{
	struct result r;

	if (strstr(lines[_i].line, "GARBAGE"))
		write_garbage(stack_path("GARBAGE", "policy.db"));
	r = run(lines[_i].line);
	ck_assert_msg(r.exit == lines[_i].exit, "pasearch %s: exit %d\n%.2000s%s", lines[_i].line,
		      r.exit, r.out, r.err);
	ck_assert_msg(strstr(r.out, lines[_i].out) != NULL, "pasearch %s: no '%s' in\n%.2000s",
		      lines[_i].line, lines[_i].out, r.out);
	ck_assert_msg(!strstr(r.out, lines[_i].not_out), "pasearch %s: '%s' in\n%.2000s",
		      lines[_i].line, lines[_i].not_out, r.out);
	ck_assert_msg(*lines[_i].err ? strstr(r.err, lines[_i].err) != NULL : !*r.err,
		      "pasearch %s: %s", lines[_i].line, r.err);
	ck_assert(!strstr(r.out, KEY) && !strstr(r.err, KEY));
	result_free(&r);
}
END_TEST

/* Nobody needs a right to the secrets: what is in their place does not matter. */
START_TEST(test_without_secrets)
{
	static const char *const ways[] = {"", "--json", "--policy", "-c", "-n", "-a --json"};
	struct result r;

	write_garbage(stack_path("TCPIP", "secrets.db"));
	for (unsigned i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		r = run(ways[i]);
		ck_assert_msg(r.exit == 0, "%s: %s", ways[i], r.err);
		ck_assert_str_eq(r.err, "");
		result_free(&r);
	}
	r = run_mode("--policy --with-secrets", 0600);
	ck_assert_int_eq(r.exit, 5);
	ck_assert(strstr(r.err, "secrets.db is damaged or no database"));
	ck_assert_str_eq(r.out, "");
	result_free(&r);
	ck_assert_int_eq(unlink(stack_path("TCPIP", "secrets.db")), 0);
	r = run("--policy");
	ck_assert_int_eq(r.exit, 0);
	result_free(&r);
}
END_TEST

/* Somebody who may read the one database and not the other; it takes root to become nobody. */
START_TEST(test_nobody)
{
	static const struct {
		const char *option[2];
		int exit;
		const char *out, *err;
	} runs[] = {
		{{NULL}, 0, "SharedKey:          ********\n", ""},
		{{"--policy", "--with-secrets"}, 3, "", "secrets.db: Permission denied"},
	};

	if (geteuid() != 0)
		return;
	ck_assert_int_eq(chmod(statedir, 0755), 0);
	ck_assert_int_eq(chmod(stack_path("TCPIP", ""), 0755), 0);
	ck_assert_int_eq(chmod(stack_path("TCPIP", "policy.db"), 0644), 0);
	ck_assert_int_eq(chmod(stack_path("TCPIP", "secrets.db"), 0600), 0);
	for (unsigned i = 0; i < 2; i++) {
		struct result r = run_as(runs[i].option[0], runs[i].option[1], 0600, (uid_t)65534);

		ck_assert_msg(r.exit == runs[i].exit, "%d: %s", r.exit, r.err);
		ck_assert(strstr(r.out, runs[i].out) && strstr(r.err, runs[i].err));
		ck_assert(!strstr(r.out, KEY));
		result_free(&r);
	}
}
END_TEST

START_TEST(test_with_secrets)
{
	struct result r = run_mode("--policy --with-secrets", 0600);

	ck_assert_msg(r.exit == 0, "%s", r.err);
	ck_assert(strstr(r.out, "SharedKey                   Ascii " KEY "\n"));
	ck_assert(strstr(r.out, "ClientUser                  somebody " HASH "\n"));
	ck_assert(!strstr(r.out, POL_NOT_SHOWN));
	ck_assert(strstr(r.out, "# It has keys"));
	result_free(&r);
}
END_TEST

START_TEST(test_json_program)
{
	struct result r = run("-A -I --json"), names = run("-A -I -n");
	json_t *document = json_loads(r.out, 0, NULL), *rule;
	size_t i;

	ck_assert_msg(document != NULL, "%s", r.out);
	ck_assert_uint_eq(json_array_size(json_object_get(document, "rules")), 3);
	json_array_foreach(json_object_get(document, "rules"), i, rule)
	{
		char line[80];

		snprintf(line, sizeof(line), "policyRule:             %s\n",
			 json_string_value(json_object_get(rule, "Name")));
		ck_assert_msg(strstr(names.out, line) != NULL, "%s", line);
		if (json_object_get(rule, "SharedKey"))
			ck_assert(json_is_null(json_object_get(rule, "SharedKey")));
	}
	ck_assert(strstr(r.out, "\"SharedKey\": null"));
	ck_assert(strstr(r.out, "\"ClientUser\": [\n"));
	json_decref(document);
	result_free(&r);
	result_free(&names);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pasearch");
	TCase *display = tcase_create("display"), *cli = tcase_create("program");

	setenv("TZ", "UTC", 1);
	tcase_add_loop_test(display, test_golden, 0, sizeof(goldens) / sizeof(goldens[0]));
	tcase_add_test(display, test_golden_ttls);
	tcase_add_test(display, test_golden_others);
	tcase_add_test(display, test_every_default);
	tcase_add_test(display, test_every_default_json);
	tcase_add_test(display, test_inherited);
	tcase_add_test(display, test_outer_actions);
	tcase_add_test(display, test_outer_repeated);
	tcase_add_test(display, test_all_filled_in);
	tcase_add_test(display, test_time);
	tcase_add_test(display, test_control_bytes);
	suite_add_tcase(suite, display);
	tcase_add_unchecked_fixture(cli, make_stacks, remove_statedir);
	tcase_set_timeout(cli, 60);
	tcase_add_loop_test(cli, test_line, 0, sizeof(lines) / sizeof(lines[0]));
	tcase_add_test(cli, test_with_secrets);
	tcase_add_test(cli, test_nobody);
	tcase_add_test(cli, test_json_program);
	tcase_add_test(cli, test_without_secrets);
	suite_add_tcase(suite, cli);
	return run_suite(suite);
}
