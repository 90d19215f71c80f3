/* The image of AT-TLS policy: looking up, publishing, mapping, and images that are damaged. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/ttls_image.h"
#include "policy_text.h"
#include "tests/unit/run_suite.h"

#define EXAMPLE TESTDATA "/../examples/ttls.policy"

#define ACTIONS                                                                                    \
	"TTLSGroupAction g\n{\nTTLSEnabled On\n}\n"                                                \
	"TTLSEnvironmentAction e\n{\nHandshakeRole Server\nTTLSKeyringParms\n{\nKeyring R\n}\n}\n"
#define RULE(name, lines)                                                                          \
	"TTLSRule " name "\n{\n" lines "TTLSGroupActionRef g\nTTLSEnvironmentActionRef e\n}\n"

static struct pol_policy *policy_of(const char *text)
{
	struct findings found;
	struct pol_policy *p = compile_text(text, strlen(text), &found);

	for (unsigned i = 0; !p && i < found.n; i++)
		if (found.v[i].severity == POL_ERROR)
			ck_abort_msg("%u: %s", found.v[i].line, found.v[i].text);
	return p;
}

static struct pol_policy *example(void)
{
	struct findings found;
	struct pol_policy *p = compile_file(EXAMPLE, "TCPIP", &found);

	ck_assert_ptr_nonnull(p);
	return p;
}

/* ---- looking up ---- */

struct lookup {
	const char *local, *remote;
	uint16_t local_port, remote_port;
	bool outbound;
	const char *job, *user;
	const char *rule; /* NULL: none */
};

static struct pol_ttls_connection connection_of(const struct lookup *l)
{
	struct pol_ttls_connection c = {.local_port = l->local_port,
					.remote_port = l->remote_port,
					.outbound = l->outbound,
					.job = l->job,
					.user = l->user};

	ck_assert_int_eq(cs_addr_parse(l->local, &c.local, NULL), 0);
	ck_assert_int_eq(cs_addr_parse(l->remote, &c.remote, NULL), 0);
	return c;
}

static void look_up(const struct pol_ttls *ttls, const struct lookup *l, unsigned n, time_t now)
{
	for (unsigned i = 0; i < n; i++) {
		struct pol_ttls_connection c = connection_of(&l[i]);
		const struct pol_ttls_rule *r = pol_ttls_match(ttls, &c, now);
		const char *name = r ? pol_ttls_text(ttls, r->name) : NULL;

		ck_assert_msg(!name == !l[i].rule && (!name || strcmp(name, l[i].rule) == 0),
			      "%u: %s, not %s", i, name ? name : "none",
			      l[i].rule ? l[i].rule : "none");
	}
}

#define LOOK_UP(ttls, lookups, now)                                                                \
	look_up(ttls, lookups, sizeof(lookups) / sizeof((lookups)[0]), now)

/* 2026-11-24 is a Tuesday. */
static time_t at(int hour, int minute)
{
	struct tm tm = {.tm_year = 126,
			.tm_mon = 10,
			.tm_mday = 24,
			.tm_hour = hour,
			.tm_min = minute,
			.tm_isdst = -1};

	return mktime(&tm);
}

START_TEST(test_example)
{
	static const struct lookup day[] = {
		{"192.0.2.1", "198.51.100.9", 7443, 40000, false, "ORDERD1", "orders",
		 "r11OrderServerPartners"},
		{"192.0.2.1", "203.0.113.9", 7443, 40000, false, "ORDERD1", "orders",
		 "r10OrderServer"},
		{"2001:db8::1", "2001:db8:7::20", 7443, 40000, false, "orderd", "orders",
		 "r11OrderServerPartners"},
		{"2001:db8::1", "2001:db8:7::21", 7443, 40000, false, "orderd", "orders",
		 "r10OrderServer"},
		{"::ffff:192.0.2.1", "::ffff:198.51.100.9", 7443, 40000, false, "ORDERD1", "orders",
		 "r11OrderServerPartners"},
		{"127.0.0.1", "127.9.9.9", 7443, 40000, false, "ORDERD1", "orders",
		 "r00LoopbackClear"},
		{"127.0.0.1", "127.0.0.1", 40000, 6514, true, "x", "feeduser", "r00LoopbackClear"},
		{"192.0.2.1", "203.0.113.40", 40000, 6514, true, "x", "feeduser", "r20FeedClient"},
		{"192.0.2.1", "203.0.113.40", 40000, 6514, true, "x", "FEEDUSER", "r20FeedClient"},
		{"192.0.2.1", "203.0.113.40", 40000, 6514, false, "x", "feeduser", NULL},
		{"192.0.2.1", "203.0.113.40", 40000, 6514, true, "x", "feeduser2", NULL},
		{"192.0.2.1", "203.0.113.41", 40000, 6514, true, "x", "feeduser", NULL},
		{"192.0.2.1", "203.0.113.40", 40000, 6515, true, "x", "feeduser", NULL},
		{"192.0.2.1", "198.51.100.9", 7443, 40000, false, "ORDER", "orders", NULL},
		{"192.0.2.1", "198.51.100.9", 7443, 40000, false, NULL, NULL, NULL},
		{"192.0.2.1", "198.51.100.9", 7443, 40000, true, "ORDERD1", "orders", NULL},
		{"192.0.2.1", "198.51.100.9", 21, 40000, false, "FTPD", "root", "r30FtpControl"},
	};
	static const struct lookup night[] = {
		{"192.0.2.1", "198.51.100.9", 7443, 40000, false, "ORDERD1", "orders",
		 "r10OrderServer"},
	};
	struct pol_policy *p = example();

	LOOK_UP(p->ttls, day, at(10, 0));
	LOOK_UP(p->ttls, day, at(6, 0));
	LOOK_UP(p->ttls, day, at(21, 59));
	LOOK_UP(p->ttls, night, at(23, 0));
	LOOK_UP(p->ttls, night, at(22, 0));
	LOOK_UP(p->ttls, night, at(5, 59));
	LOOK_UP(p->ttls, night, at(10, 0) + 4 * 86400);               /* Saturday */
	ck_assert(pol_ttls_concerns(p->ttls, "anything", "anybody")); /* by r00LoopbackClear */
	pol_unref(p);
}
END_TEST

/* By priority, then by name; what is not coded is no condition. */
START_TEST(test_order)
{
	static const char text[] = ACTIONS RULE(
		"z", "LocalPortRange 1-100\nDirection Both\nPriority 2\n")
		RULE("b", "LocalPortRange 1-100\nDirection Both\n") RULE(
			"a", "LocalPortRange 50:60\nDirection Both\n")
			RULE("top", "LocalPortRange 55\nDirection Outbound\nPriority 2000000000\n")
				RULE("any-port", "LocalPortRange 0\nUserid root\nDirection Both\n")
					RULE("job", "Jobname *\nRemotePortRange 9 9\nDirection "
						    "Inbound\nPriority 7\n");
	static const struct lookup lookups[] = {
		{"192.0.2.1", "192.0.2.2", 55, 1, true, "j", "u", "top"},
		{"192.0.2.1", "192.0.2.2", 55, 1, false, "j", "u", "z"},
		{"192.0.2.1", "192.0.2.2", 100, 1, true, "j", "u", "z"},
		{"192.0.2.1", "192.0.2.2", 101, 1, true, "j", "u", NULL},
		{"192.0.2.1", "192.0.2.2", 101, 1, true, "j", "root", "any-port"},
		{"192.0.2.1", "192.0.2.2", 101, 9, false, "j", "root", "job"},
		{"192.0.2.1", "192.0.2.2", 101, 9, false, NULL, "root", "any-port"},
		{"::1", "::1", 101, 9, false, "", "u", "job"},
	};
	static const char *const order[] = {"top", "job", "z", "a", "any-port", "b"};
	struct pol_policy *p = policy_of(text);

	for (unsigned i = 0; i < 6; i++)
		ck_assert_str_eq(pol_ttls_text(p->ttls, pol_ttls_rule(p->ttls, i)->name), order[i]);
	LOOK_UP(p->ttls, lookups, at(12, 0));
	pol_unref(p);
}
END_TEST

START_TEST(test_addresses)
{
	static const char text[] = ACTIONS RULE(
		"range", "RemoteAddr "
			 "192.0.2.10-192.0.2.20\nDirection "
			 "Both\nPriority 9\n") RULE("mapped",
						    "RemoteAddr ::ffff:198.51.100.0/120\nDirection "
						    "Both\nPriority 8\n")
		RULE("v6", "RemoteAddr 2001:db8::/32\nDirection Both\nPriority 7\n") RULE(
			"group",
			"RemoteAddrGroupRef g1\nLocalAddrRef one\nDirection Both\nPriority 6\n")
			RULE("all6", "RemoteAddr ::/0\nDirection Both\nPriority 5\n") RULE(
				"zero", "RemoteAddrGroupRef zero\nLocalPortRange 7\nDirection "
					"Both\nPriority 4\n")
				RULE("ports",
				     "LocalPortGroupRef pg\nRemoteAddr All\nDirection "
				     "Both\nPriority 3\n") "IpAddrGroup g1\n{\nIpAddr\n{\nAddr "
							   "203.0.113.1\n}\nIpAddrSet\n{\n"
							   "Prefix 203.0.113.128/25\n}\n}\nIpAddr "
							   "one\n{\nAddr 192.0.2.1\n}\n"
							   "IpAddrGroup zero\n{\nIpAddr\n{\nAddr "
							   "0.0.0.0\n}\n}\n"
							   "PortGroup pg\n{\nPortRange\n{\nPort 20 "
							   "21\n}\nPortRangeRef p1\n}\n"
							   "PortRange p1\n{\nPort 990\n}\n";
	static const struct lookup lookups[] = {
		{"192.0.2.1", "192.0.2.9", 1, 1, true, "j", "u", NULL},
		{"192.0.2.1", "192.0.2.10", 1, 1, true, "j", "u", "range"},
		{"192.0.2.1", "192.0.2.20", 1, 1, true, "j", "u", "range"},
		{"192.0.2.1", "192.0.2.21", 1, 1, true, "j", "u", NULL},
		{"::1", "::ffff:192.0.2.15", 1, 1, true, "j", "u", "range"},
		{"::1", "198.51.100.255", 1, 1, true, "j", "u", "mapped"},
		{"::1", "::ffff:198.51.100.0", 1, 1, true, "j", "u", "mapped"},
		{"::1", "2001:db8:ffff:ffff:ffff:ffff:ffff:ffff", 1, 1, true, "j", "u", "v6"},
		{"::1", "2001:db9::", 1, 1, true, "j", "u", "all6"},
		{"192.0.2.1", "203.0.113.1", 1, 1, true, "j", "u", "group"},
		{"192.0.2.1", "203.0.113.127", 1, 1, true, "j", "u", NULL},
		{"192.0.2.1", "203.0.113.128", 1, 1, true, "j", "u", "group"},
		{"192.0.2.2", "203.0.113.128", 1, 1, true, "j", "u", NULL},
		/* 0.0.0.0 is any IPv4 address, and ::/0 none of them */
		{"192.0.2.2", "203.0.113.128", 7, 1, true, "j", "u", "zero"},
		{"192.0.2.2", "203.0.113.9", 21, 1, true, "j", "u", "ports"},
		{"192.0.2.2", "203.0.113.9", 22, 1, true, "j", "u", NULL},
		{"192.0.2.2", "203.0.113.9", 990, 1, true, "j", "u", "ports"},
	};
	struct pol_policy *p = policy_of(text);

	LOOK_UP(p->ttls, lookups, at(12, 0));
	pol_unref(p);
}
END_TEST

/*
 * Random rules and connections: the image's answer is that of a plain walk over the values that
 * the rules were written from.
 */
struct plain {
	char name[8];
	unsigned priority, port_lo, port_hi, remote_port, addr, bits, direction, job;
};

static const char *const jobs[] = {"", "A", "AB", "ABC", "B"};
static const char *const patterns[] = {"", "A*", "ab", "*", "B"};

static bool plain_matches(const struct plain *r, const struct pol_ttls_connection *c,
			  unsigned remote, unsigned job)
{
	static const bool like[5][5] = {{true, true, true, true, true},
					{false, true, true, true, false},
					{false, false, true, false, false},
					{true, true, true, true, true},
					{false, false, false, false, true}};
	unsigned mask = ~0u << (8 - r->bits) & 0xff;

	return (r->direction == 2 || r->direction == c->outbound) && c->local_port >= r->port_lo &&
	       c->local_port <= r->port_hi &&
	       (r->remote_port == 0 || r->remote_port == c->remote_port) &&
	       (remote & mask) == (r->addr & mask) && like[r->job][job];
}

START_TEST(test_random)
{
	static const char *const directions[] = {"Inbound", "Outbound", "Both"};
	struct plain rules[60];
	char *text = calloc(1, 64 * 1024);
	struct pol_policy *p;
	unsigned hits = 0, deep = 0;

	srandom((unsigned)_i + 1);
	strcpy(text, ACTIONS);
	for (unsigned i = 0; i < 60; i++) {
		struct plain *r = &rules[i];

		*r = (struct plain){.priority = (unsigned)random() % 5 + 1,
				    .port_lo = (unsigned)random() % 40 + 1,
				    .remote_port = random() % 4 ? 0 : (unsigned)random() % 3 + 1,
				    .addr = (unsigned)random() % 256,
				    .bits = (unsigned)random() % 6,
				    .direction = (unsigned)random() % 3,
				    .job = (unsigned)random() % 5};
		r->port_hi = r->port_lo + (unsigned)random() % 4;
		snprintf(r->name, sizeof(r->name), "r%02ld%u", random() % 60, i);
		snprintf(text + strlen(text), 1024,
			 "TTLSRule %.*s\n{\nPriority %u\nLocalPortRange %u %u\nRemotePortRange %u\n"
			 "RemoteAddr 192.0.2.%u/%u\nDirection %s\n%s%s%s"
			 "TTLSGroupActionRef g\nTTLSEnvironmentActionRef e\n}\n",
			 (int)sizeof(r->name) - 1, r->name, r->priority, r->port_lo, r->port_hi,
			 r->remote_port, r->addr, 24 + r->bits, directions[r->direction],
			 r->job ? "Jobname " : "", patterns[r->job], r->job ? "\n" : "");
	}
	p = policy_of(text);
	for (unsigned n = 0; n < 3000; n++) {
		struct pol_ttls_connection c = {.local = {AF_INET, {192, 0, 2, 1}},
						.remote = {AF_INET, {192, 0, 2, (uint8_t)random()}},
						.local_port = (uint16_t)(random() % 45),
						.remote_port = (uint16_t)(random() % 4),
						.outbound = random() % 2,
						.user = "u"};
		unsigned job = (unsigned)random() % 5;
		const struct plain *want = NULL;
		const struct pol_ttls_rule *got;

		c.job = jobs[job];
		for (unsigned i = 0; i < 60; i++) {
			const struct plain *r = &rules[i];

			if (plain_matches(r, &c, c.remote.b[3], job) &&
			    (!want || r->priority > want->priority ||
			     (r->priority == want->priority && strcmp(r->name, want->name) < 0)))
				want = r;
		}
		got = pol_ttls_match(p->ttls, &c, 0);
		ck_assert(!got == !want);
		if (want)
			ck_assert_str_eq(pol_ttls_text(p->ttls, got->name), want->name);
		hits += want != NULL;
		deep += want && got != pol_ttls_rule(p->ttls, 0);
	}
	ck_assert_uint_gt(hits, 500);
	ck_assert_uint_gt(deep, 400);
	pol_unref(p);
	free(text);
}
END_TEST

START_TEST(test_concerns)
{
	struct pol_policy *p =
		policy_of(ACTIONS RULE("r", "Jobname pay*\nUserid u1\nDirection Both\n")
				  RULE("s", "Jobname other\nDirection Both\n"));

	ck_assert(pol_ttls_concerns(p->ttls, "PAYROLL", "u1"));
	ck_assert(!pol_ttls_concerns(p->ttls, "PAYROLL", "u2"));
	ck_assert(pol_ttls_concerns(p->ttls, "other", "u2"));
	ck_assert(!pol_ttls_concerns(p->ttls, "shell", "u1"));
	ck_assert(!pol_ttls_concerns(p->ttls, NULL, NULL));
	pol_unref(p);
}
END_TEST

/* ---- files ---- */

static char dir[64], file[128];

static void setup(void)
{
	snprintf(dir, sizeof(dir), "/tmp/test_ttls_image.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(file, sizeof(file), "%s/attls.image", dir);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", dir);
	ck_assert_int_eq(system(command), 0);
}

START_TEST(test_publish)
{
	struct pol_policy *p = example(),
			  *q = policy_of(ACTIONS RULE("r", "Userid u\nDirection Both\n"));
	struct pol_ttls *one = NULL, *two = NULL, *none = NULL;
	struct cs_err err;
	struct stat st;
	char temporary[160];

	ck_assert_int_eq(pol_ttls_map(file, &none, &err), CS_ENOTFOUND);
	umask(077);
	ck_assert_msg(pol_ttls_publish(p->ttls, 5, file, &err) == 0, "%s", err.text);
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0644); /* whatever umask is */
	ck_assert_msg(pol_ttls_map(file, &one, &err) == 0, "%s", err.text);
	ck_assert_uint_eq(pol_ttls_generation(one), 5);
	ck_assert_uint_eq(pol_ttls_count(one), 5);
	ck_assert_int_eq(pol_ttls_age(one, file), POL_TTLS_CURRENT);

	ck_assert_int_eq(pol_ttls_publish(q->ttls, 6, file, &err), 0);
	ck_assert_int_eq(pol_ttls_age(one, file), POL_TTLS_REPLACED);
	ck_assert_int_eq(pol_ttls_map(file, &two, &err), 0);
	ck_assert_uint_eq(pol_ttls_generation(two), 6);
	ck_assert_uint_eq(pol_ttls_count(two), 1);
	/* the old one is as it was */
	ck_assert_uint_eq(pol_ttls_count(one), 5);
	ck_assert_int_eq(pol_ttls_verify(one->image, one->length, &err), 0);
	snprintf(temporary, sizeof(temporary), "%s.new", file);
	ck_assert_int_ne(stat(temporary, &st), 0);
	unlink(file);
	ck_assert_int_eq(pol_ttls_age(two, file), POL_TTLS_GONE);
	pol_ttls_unmap(one);
	pol_ttls_unmap(two);
	pol_ttls_unmap(NULL);
	pol_unref(p);
	pol_unref(q);
}
END_TEST

/* What was published stays when the new one cannot be. */
START_TEST(test_publish_fails)
{
	struct pol_policy *p = example();
	struct pol_ttls *ttls = NULL;
	struct cs_err err;
	char nowhere[160], temporary[160];

	ck_assert_int_eq(pol_ttls_publish(p->ttls, 1, file, &err), 0);
	snprintf(nowhere, sizeof(nowhere), "%s/no/attls.image", dir);
	ck_assert_int_eq(pol_ttls_publish(p->ttls, 2, nowhere, &err), CS_ESYS);
	/* a directory in the way of the temporary file */
	snprintf(temporary, sizeof(temporary), "%s.new", file);
	ck_assert_int_eq(mkdir(temporary, 0700), 0);
	ck_assert_int_lt(pol_ttls_publish(p->ttls, 2, file, &err), 0);
	ck_assert_ptr_nonnull(strstr(err.text, "attls.image.new"));
	ck_assert_int_eq(pol_ttls_map(file, &ttls, &err), 0);
	ck_assert_uint_eq(pol_ttls_generation(ttls), 1);
	ck_assert_int_eq(pol_ttls_age(ttls, file), POL_TTLS_CURRENT);
	pol_ttls_unmap(ttls);
	/* what a pagent that was killed left is no obstacle */
	ck_assert_int_eq(rmdir(temporary), 0);
	ck_assert_int_eq(symlink("/nonexistent", temporary), 0);
	ck_assert_int_eq(pol_ttls_publish(p->ttls, 3, file, &err), 0);
	pol_unref(p);
}
END_TEST

static void put_octets(const void *p, size_t n)
{
	FILE *f = fopen(file, "w");

	ck_assert_ptr_nonnull(f);
	ck_assert_uint_eq(fwrite(p, 1, n, f), n);
	ck_assert_int_eq(fclose(f), 0);
}

static void map_fails_with(int rc, const char *says)
{
	struct pol_ttls *ttls = NULL;
	struct cs_err err;

	ck_assert_int_eq(pol_ttls_map(file, &ttls, &err), rc);
	ck_assert_ptr_null(ttls);
	ck_assert_msg(strstr(err.text, says) && strstr(err.text, file), "%s", err.text);
}

static void map_fails(const char *says)
{
	map_fails_with(CS_EPARSE, says);
}

/* An image that somebody else could have written is not obeyed. */
START_TEST(test_owner)
{
	static const mode_t bad[] = {0664, 0646, 0666};
	struct pol_policy *p = example();
	struct pol_ttls *ttls = NULL;
	struct cs_err err;

	ck_assert_int_eq(pol_ttls_publish(p->ttls, 1, file, &err), 0);
	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_int_eq(chmod(file, bad[i]), 0);
		map_fails_with(CS_EPERM, "others than its owner may write it");
	}
	ck_assert_int_eq(chmod(file, 0644), 0);
	if (geteuid() == 0) {
		ck_assert_int_eq(chown(file, 65534, (gid_t)-1), 0);
		map_fails_with(CS_EPERM, "it belongs to user 65534, and not to root");
		/* that user's own programs may use it, and root's is anybody's */
		ck_assert_int_eq(seteuid(65534), 0);
		ck_assert_msg(pol_ttls_map(file, &ttls, &err) == CS_ESYS, "%s", err.text);
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_eq(chmod(dir, 0755), 0);
		ck_assert_int_eq(seteuid(65534), 0);
		ck_assert_msg(pol_ttls_map(file, &ttls, &err) == 0, "%s", err.text);
		pol_ttls_unmap(ttls);
		ck_assert_int_eq(seteuid(0), 0);
		ck_assert_int_eq(chown(file, 0, (gid_t)-1), 0);
		ck_assert_int_eq(seteuid(65534), 0);
	}
	ck_assert_msg(pol_ttls_map(file, &ttls, &err) == 0, "%s", err.text);
	pol_ttls_unmap(ttls);
	ck_assert_int_eq(seteuid(getuid()), 0);
	pol_unref(p);
}
END_TEST

START_TEST(test_foreign)
{
	struct pol_policy *p = example();
	size_t n = p->ttls->length;
	uint8_t *copy = malloc(n + 8);
	struct pol_ttls_header *h = (void *)copy;

	put_octets("", 0);
	map_fails("no AT-TLS image");
	put_octets("CSATTLS", 7);
	map_fails("no AT-TLS image");
	memcpy(copy, p->ttls->image, n);
	h->order = __builtin_bswap32(h->order);
	put_octets(copy, n);
	map_fails("another byte order");
	memcpy(copy, p->ttls->image, n);
	h->version++;
	put_octets(copy, n);
	map_fails("has version 2, not 1");
	memcpy(copy, p->ttls->image, n);
	put_octets(copy, n - 1);
	map_fails("octets, not");
	memset(copy + n, 0, 8);
	put_octets(copy, n + 8);
	map_fails("octets, not");
	copy[n / 2] ^= 1;
	put_octets(copy, n);
	map_fails("its checksum differs");
	unlink(file);
	ck_assert_int_eq(mkdir(file, 0700), 0);
	map_fails("no AT-TLS image");
	free(copy);
	pol_unref(p);
}
END_TEST

/* ---- mutations ---- */

/* Reads whatever an image that was accepted leads to. */
static unsigned walk(const struct pol_ttls *t)
{
	static const struct lookup probe = {"192.0.2.1", "198.51.100.9", 7443,       6514,
					    false,       "ORDERD1",      "feeduser", NULL};
	struct pol_ttls_connection c = connection_of(&probe);
	unsigned sum = 0;

	for (unsigned i = 0; i < pol_ttls_count(t); i++) {
		const struct pol_ttls_rule *r = pol_ttls_rule(t, i);
		const uint8_t *p = (const uint8_t *)pol_ttls_profile(t, r);

		sum += (unsigned)strlen(pol_ttls_text(t, r->name));
		for (unsigned k = 0; k < pol_ttls_n_fields; k++) {
			const struct pol_ttls_field *f = &pol_ttls_fields[k];
			struct pol_ttls_list list;
			uint32_t text;

			memcpy(&text, p + f->at, f->kind == POL_TTLS_TEXT ? 4 : 1);
			if (f->kind == POL_TTLS_TEXT && text)
				sum += (unsigned)strlen(pol_ttls_text(t, text));
			if (f->kind < POL_TTLS_TEXTS)
				continue;
			memcpy(&list, p + f->at, sizeof(list));
			for (unsigned m = 0; f->kind == POL_TTLS_CODES && m < list.n; m++)
				sum += ((const uint16_t *)pol_ttls_things(t, list))[m];
			for (unsigned m = 0; f->kind == POL_TTLS_TEXTS && m < list.n; m++)
				sum += (unsigned)strlen(pol_ttls_text(
					t, ((const uint32_t *)pol_ttls_things(t, list))[m]));
		}
	}
	for (int i = 0; i < 4; i++) {
		c.outbound = i & 1;
		sum += pol_ttls_match(t, &c, (time_t)1764000000 + i * 40000) != NULL;
	}
	return sum;
}

static void mutate(uint8_t *image, size_t n)
{
	static const uint32_t odd[] = {0, 1, 7, 0x7fffffff, 0x80000000, 0xffffffff, 0xfffffff8};
	size_t place = (size_t)random() % n;
	uint32_t value = odd[(size_t)random() % 7];

	switch (random() % 5) {
	case 0:
		image[place] ^= (uint8_t)(1u << random() % 8);
		break;
	case 1:
		image[place] = (uint8_t)random();
		break;
	case 2: /* a field of four octets */
		place &= ~(size_t)3;
		if (place + 4 <= n)
			memcpy(image + place, &value, 4);
		break;
	case 3: /* another offset near the end */
		place &= ~(size_t)3;
		value = (uint32_t)(n - (size_t)random() % 64);
		if (place + 4 <= n)
			memcpy(image + place, &value, 4);
		break;
	default: /* what stands elsewhere */
		if (place + 16 <= n)
			memmove(image + place, image + (size_t)random() % (n - 16), 16);
		break;
	}
}

/*
 * Thousands of damaged images whose checksum is right: each is refused with a reason, or all that
 * it leads to can be read. The copy ends where its memory does, so that the sanitizer sees a step
 * too far.
 */
START_TEST(test_mutations)
{
	struct pol_policy *p = example();
	unsigned refused = 0, accepted = 0;
	unsigned walked = 0;

	srandom((unsigned)_i + 1);
	for (unsigned i = 0; i < 4000; i++) {
		size_t n = p->ttls->length;
		uint8_t *copy;
		struct pol_ttls t = {.image = NULL};
		struct cs_err err = {.text = ""};
		unsigned times = 1 + (unsigned)random() % 3;

		if (random() % 8 == 0)
			n = sizeof(struct pol_ttls_header) +
			    (size_t)random() % (n - sizeof(struct pol_ttls_header));
		copy = malloc(n);
		memcpy(copy, p->ttls->image, n);
		((struct pol_ttls_header *)(void *)copy)->length = n;
		while (times--)
			mutate(copy + 32, n - 32); /* behind length and checksum */
		pol_ttls_seal(copy, n, 1);
		t.image = copy;
		t.length = n;
		if (pol_ttls_verify(copy, n, &err) < 0) {
			ck_assert_int_eq((int)err.code, CS_EPARSE);
			ck_assert_ptr_nonnull(strstr(err.text, "the AT-TLS image is damaged: "));
			refused++;
		} else {
			walked += walk(&t);
			accepted++;
		}
		free(copy);
	}
	/* both happen, or the test shows little */
	ck_assert_uint_gt(refused, 500);
	ck_assert_uint_gt(accepted, 500);
	ck_assert_uint_gt(walked, accepted);
	pol_unref(p);
}
END_TEST

/* An image in order is accepted wherever it lies. */
START_TEST(test_every_cut)
{
	struct pol_policy *p = example();
	struct cs_err err;

	for (size_t n = 0; n < p->ttls->length; n++) {
		uint8_t *copy = malloc(n + 1);

		memcpy(copy, p->ttls->image, n);
		ck_assert_int_eq(pol_ttls_verify(copy, n, &err), CS_EPARSE);
		free(copy);
	}
	ck_assert_int_eq(pol_ttls_verify(p->ttls->image, p->ttls->length, &err), 0);
	ck_assert_uint_gt(walk(p->ttls), 100);
	pol_unref(p);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("ttls_image");
	TCase *matching = tcase_create("matching"), *files = tcase_create("files"),
	      *damage = tcase_create("damage");

	tcase_set_timeout(matching, 120);
	tcase_add_test(matching, test_example);
	tcase_add_test(matching, test_order);
	tcase_add_test(matching, test_addresses);
	tcase_add_loop_test(matching, test_random, 0, 5);
	tcase_add_test(matching, test_concerns);
	suite_add_tcase(suite, matching);
	tcase_add_checked_fixture(files, setup, teardown);
	tcase_add_test(files, test_publish);
	tcase_add_test(files, test_publish_fails);
	tcase_add_test(files, test_owner);
	tcase_add_test(files, test_foreign);
	suite_add_tcase(suite, files);
	tcase_set_timeout(damage, 120);
	tcase_add_loop_test(damage, test_mutations, 0, 3);
	tcase_add_test(damage, test_every_cut);
	suite_add_tcase(suite, damage);
	return run_suite(suite);
}
