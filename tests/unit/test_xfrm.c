/*
 * The XFRM calls against the running kernel, in a network namespace of the test's own.  Without
 * root, or ESP in the kernel, it tests what it can and says what it left out; with CSIPSEC_NEED_ESP
 * in the environment (the lab sets it) leaving something out is a failure.
 */
#include <check.h>
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"
#include "xfrm/dead_end.h"
#include "xfrm/spent.h"
#include "xfrm/xfrm.h"

static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
static struct xf_kernel *kernel;
static struct xf_abilities abilities;

static void left_out(const char *what)
{
	ck_assert_msg(!getenv("CSIPSEC_NEED_ESP"), "not tested: %s", what);
	printf("not tested here: %s\n", what);
}

/* ---- a namespace with lo up and documentation addresses ---- */

static void lo_up(void)
{
	struct ifreq ifr = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_LOOPBACK};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &ifr), 0);
	close(fd);
}

static void enter(void)
{
	struct cs_err err;

	if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
		return;
	ck_assert_msg(xf_open(&marking, &kernel, &err) == 0, "%s", err.text);
	xf_probe(kernel, &abilities);
	lo_up();
}

static void leave(void)
{
	xf_close(kernel);
	kernel = NULL;
}

static bool have_kernel(void)
{
	if (!kernel || !abilities.xfrm)
		left_out("the kernel's policies (needs root and CONFIG_XFRM_USER)");
	return kernel && abilities.xfrm;
}

static bool have_esp(void)
{
	if (kernel && (!abilities.esp4 || !abilities.esp6))
		left_out(abilities.missing);
	return have_kernel() && abilities.esp4 && abilities.esp6;
}

static struct cs_addr addr(const char *text)
{
	struct cs_addr a;

	ck_assert_int_eq(cs_addr_parse(text, &a, NULL), 0);
	return a;
}

static struct cs_range range(const char *text)
{
	struct cs_range r;

	ck_assert_int_eq(cs_range_parse(text, &r, NULL), 0);
	return r;
}

#define OK(call)                                                                                   \
	do {                                                                                       \
		struct cs_err err_ = {.text = ""};                                                 \
		ck_assert_msg((call) == 0, "%s", err_.text);                                       \
	} while (0)

/* ---- policies ---- */

static struct xf_policy tunnel(const char *local, const char *remote, bool any)
{
	struct xf_policy p = {.dir = XF_OUT,
			      .family = strchr(local, ':') ? AF_INET6 : AF_INET,
			      .priority = XF_PRIO_TUNNEL,
			      .mark = xf_mark_value(&marking, 20),
			      .mark_mask = xf_mark_mask(&marking),
			      .has_template = true,
			      .mode = XF_TUNNEL,
			      .proto = IPPROTO_ESP,
			      .reqid = xf_reqid(20, 5),
			      .local = addr(local),
			      .remote = addr(remote)};

	if (!any) {
		p.selector.local = range(local);
		p.selector.remote = range(remote);
		p.selector.proto = IPPROTO_TCP;
		p.selector.local_port = 1000;
		p.selector.remote_port = 2000;
	}
	return p;
}

struct seen {
	struct xf_policy v[8];
	unsigned n;
};

static int see(void *arg, const struct xf_policy *p)
{
	struct seen *s = arg;

	ck_assert_uint_lt(s->n, 8);
	s->v[s->n++] = *p;
	return 0;
}

static struct seen dump(void)
{
	struct seen s = {.n = 0};

	OK(xf_policy_dump(kernel, see, &s, &err_));
	return s;
}

static void round_trip(enum xf_dir dir, const char *local, const char *remote)
{
	struct xf_policy p = tunnel(local, remote, false);
	struct seen s;

	p.dir = dir;
	OK(xf_policy_add(kernel, &p, &err_));
	OK(xf_policy_add(kernel, &p, &err_)); /* replaces */
	s = dump();
	ck_assert_uint_eq(s.n, 1);
	ck_assert_int_eq(s.v[0].dir, dir);
	ck_assert(cs_selector_equal(&s.v[0].selector, &p.selector));
	ck_assert_uint_eq(s.v[0].priority, p.priority);
	ck_assert_uint_eq(s.v[0].mark, p.mark);
	ck_assert_uint_eq(s.v[0].mark_mask, p.mark_mask);
	ck_assert_uint_eq(s.v[0].reqid, p.reqid);
	ck_assert_int_eq(s.v[0].mode, XF_TUNNEL);
	ck_assert(cs_addr_equal(&s.v[0].local, &p.local));
	ck_assert(cs_addr_equal(&s.v[0].remote, &p.remote));
	OK(xf_policy_delete(kernel, &p, &err_));
	ck_assert_uint_eq(dump().n, 0);
}

START_TEST(test_policies)
{
	struct xf_policy p;
	struct cs_err err;

	if (!have_kernel())
		return;
	round_trip(XF_OUT, "192.0.2.1", "198.51.100.7");
	round_trip(XF_IN, "192.0.2.1", "198.51.100.7");
	round_trip(XF_FWD, "2001:db8::1", "2001:db8::2");
	p = tunnel("192.0.2.1", "198.51.100.7", false);
	ck_assert_int_eq(xf_policy_delete(kernel, &p, &err), CS_ENOTFOUND);
	ck_assert_ptr_nonnull(strstr(err.text, "policy out 192.0.2.1[6/1000] - 198.51.100.7"));
	p.selector.remote = range("198.51.100.7-198.51.100.9");
	ck_assert_int_eq(xf_policy_add(kernel, &p, &err), CS_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "not a prefix"));
}
END_TEST

START_TEST(test_tunnel_policies)
{
	static const struct {
		unsigned rule, tunnel;
		const char *remote;
	} wanted[] = {{16, 7, "198.51.100.7"}, {20, 5, "198.51.100.8"}, {20, 9, "0.0.0.0/1"}};
	struct xf_policy p[3], *found;
	size_t n;

	if (!have_kernel())
		return;
	for (int i = 2; i >= 0; i--) {
		p[i] = tunnel("192.0.2.1", "198.51.100.7", false);
		p[i].selector.remote = range(wanted[i].remote);
		p[i].reqid = xf_reqid(wanted[i].rule, wanted[i].tunnel);
		p[i].mark = xf_mark_value(&marking, wanted[i].rule);
		OK(xf_policy_add(kernel, &p[i], &err_));
	}
	/* What is not a tunnel's is left out. */
	p[0].priority = XF_PRIO_ANCHOR;
	p[0].selector.proto = IPPROTO_UDP;
	OK(xf_policy_add(kernel, &p[0], &err_));
	OK(xf_tunnel_policies(kernel, &found, &n, &err_));
	ck_assert_uint_eq(n, 3);
	for (size_t i = 0; i < n; i++) {
		struct cs_range remote = range(wanted[i].remote);

		ck_assert_uint_eq(xf_reqid_rule(found[i].reqid), wanted[i].rule);
		ck_assert_uint_eq(xf_reqid_tunnel(found[i].reqid), wanted[i].tunnel);
		ck_assert(cs_range_equal(&found[i].selector.remote, &remote));
		OK(xf_policy_delete(kernel, &found[i], &err_));
	}
	free(found);
	OK(xf_policy_delete(kernel, &p[0], &err_));
}
END_TEST

/* A tunnel for everything does not take its rule's anchor away. */
START_TEST(test_anchor)
{
	struct cs_range all = cs_range_all(AF_INET);
	struct xf_policy p, anchor, *tunnels;
	struct seen s;
	size_t n;

	if (!have_kernel())
		return;
	p = tunnel("192.0.2.1", "198.51.100.7", true);
	anchor = p;
	anchor.priority = XF_PRIO_ANCHOR;
	anchor.mode = XF_TRANSPORT;
	anchor.reqid = xf_reqid(20, 0);
	anchor.local = anchor.remote = (struct cs_addr){0};
	OK(xf_policy_add(kernel, &anchor, &err_));
	OK(xf_policy_add(kernel, &p, &err_));
	ck_assert_uint_eq(dump().n, 3);
	/* One tunnel all the same. */
	OK(xf_tunnel_policies(kernel, &tunnels, &n, &err_));
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(tunnels[0].reqid, p.reqid);
	ck_assert(cs_range_equal(&tunnels[0].selector.local, &all));
	ck_assert(cs_range_equal(&tunnels[0].selector.remote, &all));
	ck_assert_int_le(llabs((long long)(tunnels[0].added - time(NULL))), 2);
	free(tunnels);
	OK(xf_policy_delete(kernel, &p, &err_));
	OK(xf_tunnel_policies(kernel, &tunnels, &n, &err_));
	ck_assert_uint_eq(n, 0);
	free(tunnels);
	s = dump();
	ck_assert_uint_eq(s.n, 1);
	ck_assert_uint_eq(s.v[0].priority, XF_PRIO_ANCHOR);
	ck_assert_uint_eq(s.v[0].selector.local.lo.family, 0);
	ck_assert_uint_eq(s.v[0].family, AF_INET);
	OK(xf_policy_delete(kernel, &anchor, &err_));
}
END_TEST

/* What holds packets gives way to the tunnel, and never takes its place. */
START_TEST(test_hold)
{
	struct xf_policy p, hold, anchor;
	unsigned pieces = _i ? 2 : 1; /* for everything it is two halves */
	struct cs_err err;
	struct seen s;

	if (!have_kernel())
		return;
	p = tunnel("192.0.2.1", "198.51.100.7", _i);
	hold = (struct xf_policy){.dir = XF_OUT,
				  .selector = p.selector,
				  .family = AF_INET,
				  .priority = XF_PRIO_HOLD,
				  .mark = p.mark,
				  .mark_mask = p.mark_mask,
				  .hold = true};
	anchor = hold;
	anchor.selector = (struct cs_selector){0};
	anchor.priority = XF_PRIO_ANCHOR;
	anchor.has_template = true;
	anchor.proto = IPPROTO_ESP;
	anchor.reqid = xf_reqid(20, 0);
	OK(xf_policy_add(kernel, &anchor, &err_));
	OK(xf_policy_add(kernel, &hold, &err_));
	ck_assert_int_eq(xf_policy_add(kernel, &hold, &err), CS_EEXIST);
	s = dump();
	ck_assert_uint_eq(s.n, pieces + 1);
	for (unsigned i = 0; i < s.n; i++) {
		bool is_anchor = s.v[i].priority == XF_PRIO_ANCHOR;

		ck_assert(s.v[i].hold);
		ck_assert(!s.v[i].optional);
		ck_assert_int_eq(s.v[i].has_template, is_anchor);
		ck_assert_uint_eq(s.v[i].reqid, is_anchor ? anchor.reqid : 0);
	}
	OK(xf_policy_add(kernel, &p, &err_));
	ck_assert_int_eq(xf_policy_add(kernel, &hold, &err), CS_EEXIST);
	s = dump();
	ck_assert_uint_eq(s.n, pieces + 1);
	for (unsigned i = 0; i < s.n; i++)
		ck_assert_int_eq(s.v[i].hold, s.v[i].priority == XF_PRIO_ANCHOR);
	OK(xf_policy_delete(kernel, &p, &err_));
	OK(xf_policy_add(kernel, &hold, &err_));
	OK(xf_policy_delete(kernel, &hold, &err_));
	OK(xf_policy_delete(kernel, &anchor, &err_));
	ck_assert_uint_eq(dump().n, 0);
}
END_TEST

/* ---- SAs ---- */

struct suite {
	const char *cipher;
	unsigned bits;
	const char *integ;
};

static const struct suite suites[] = {
	{"AES_CBC", 128, "HMAC_SHA1"},
	{"AES_CBC", 256, "HMAC_SHA2_256_128"},
	{"AES_CBC", 192, "HMAC_SHA2_384_192"},
	{"3DES", 0, "HMAC_MD5"},
	{"AES_GCM_16", 128, NULL},
	{"AES_GCM_16", 256, NULL},
	{"DoNot", 0, "HMAC_SHA2_512_256"},
	{NULL, 0, "HMAC_SHA1"}, /* AH */
	{"AES_CBC", 256, NULL}, /* ESP of a bundle */
};

static uint8_t key_bytes[2][128];

static struct xf_sa sa_of(const struct suite *suite, const char *src, const char *dst, uint32_t spi)
{
	struct xf_sa sa = {.src = addr(src), .reqid = xf_reqid(20, 5), .outbound = true};

	for (unsigned i = 0; i < sizeof(key_bytes); i++)
		key_bytes[i / 128][i % 128] = (uint8_t)(i * 7 + 1);
	sa.id.dst = addr(dst);
	sa.id.proto = suite->cipher ? IPPROTO_ESP : IPPROTO_AH;
	sa.id.spi = spi;
	sa.bundled = suite->cipher && !suite->integ && strcmp(suite->cipher, "AES_CBC") == 0;
	if (suite->cipher) {
		sa.cipher = cs_cipher_by_keyword(suite->cipher, suite->bits);
		ck_assert_msg(sa.cipher != NULL, "%s", suite->cipher);
		sa.cipher_key =
			(struct cs_bytes){key_bytes[0], sa.cipher->key_bits / 8u + sa.cipher->salt};
	}
	if (suite->integ) {
		sa.integ = cs_integ_by_keyword(suite->integ);
		ck_assert_msg(sa.integ != NULL, "%s", suite->integ);
		sa.integ_key = (struct cs_bytes){key_bytes[1], sa.integ->key_bits / 8u};
	}
	sa.selector.local = range(src);
	sa.selector.remote = range(dst);
	return sa;
}

struct seen_sa {
	struct xf_sa sa;
	unsigned n;
};

static int see_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct seen_sa *s = arg;

	ck_assert_uint_eq(c->packets, 0);
	s->sa = *sa;
	s->n++;
	return 0;
}

static void check_dumped(const struct xf_sa *want)
{
	struct seen_sa s = {.n = 0};

	OK(xf_sa_dump(kernel, see_sa, &s, &err_));
	ck_assert_uint_eq(s.n, 1);
	ck_assert(cs_addr_equal(&s.sa.id.dst, &want->id.dst));
	ck_assert(cs_addr_equal(&s.sa.src, &want->src));
	ck_assert_uint_eq(s.sa.id.spi, want->id.spi);
	ck_assert_uint_eq(s.sa.id.proto, want->id.proto);
	ck_assert_uint_eq(s.sa.reqid, want->reqid);
	ck_assert_int_eq(s.sa.mode, want->mode);
	ck_assert_int_eq(s.sa.outbound, want->outbound);
	ck_assert_ptr_eq(s.sa.cipher, want->cipher);
	ck_assert_ptr_eq(s.sa.integ, want->integ);
	ck_assert_uint_eq(s.sa.soft_seconds, want->soft_seconds);
	ck_assert_uint_eq(s.sa.hard_bytes, want->hard_bytes);
	ck_assert_uint_eq(s.sa.replay_window, want->replay_window);
	ck_assert_int_eq(s.sa.tell_first_packet, want->tell_first_packet);
	ck_assert_uint_eq(s.sa.encap_sport, want->encap_sport);
	ck_assert_uint_eq(s.sa.encap_dport, want->encap_dport);
	ck_assert(cs_addr_equal(&s.sa.encap_oa, &want->encap_oa));
	ck_assert_uint_eq(s.sa.client, want->client);
	if (want->mode == XF_TRANSPORT)
		ck_assert(cs_selector_equal(&s.sa.selector, &want->selector));
}

START_TEST(test_suites)
{
	struct xf_counters c;
	struct xf_sa sa;

	if (!have_esp())
		return;
	for (int mode = 0; mode < 2; mode++) {
		sa = sa_of(&suites[_i], "192.0.2.1", "198.51.100.7", 0x1234);
		sa.mode = mode ? XF_TUNNEL : XF_TRANSPORT;
		sa.soft_seconds = 100;
		sa.hard_seconds = 200;
		sa.hard_bytes = 1 << 20;
		OK(xf_sa_add(kernel, &sa, &err_));
		check_dumped(&sa);
		ck_assert_int_eq(xf_sa_add(kernel, &sa, NULL), CS_EEXIST);
		OK(xf_sa_counters(kernel, &sa.id, &c, &err_));
		ck_assert_uint_eq(c.packets, 0);
		ck_assert_uint_eq(c.used, 0);
		ck_assert_uint_gt(c.added, 0);
		OK(xf_sa_delete(kernel, &sa.id, &err_));
		ck_assert_int_eq(xf_sa_delete(kernel, &sa.id, NULL), CS_ENOTFOUND);
	}
}
END_TEST

START_TEST(test_inbound)
{
	static const uint32_t windows[] = {0, 1, 32, 33, 64, 1024, 4096};
	struct cs_addr local, remote;
	struct xf_sa sa;
	uint32_t spi;

	if (!have_esp())
		return;
	local = addr("2001:db8::1");
	remote = addr("2001:db8::2");
	for (size_t i = 0; i < sizeof(windows) / sizeof(windows[0]); i++) {
		OK(xf_sa_spi(kernel, &remote, &local, IPPROTO_ESP, XF_SPI_PLAIN, xf_reqid(20, 5),
			     XF_TUNNEL, &spi, &err_));
		ck_assert_uint_gt(spi, XF_SPI_BUNDLED_MAX);
		sa = sa_of(&suites[1], "2001:db8::2", "2001:db8::1", spi);
		sa.outbound = false;
		sa.mode = XF_TUNNEL;
		sa.replay_window = windows[i];
		sa.tell_first_packet = true;
		OK(xf_sa_update(kernel, &sa, &err_));
		check_dumped(&sa);
		OK(xf_sa_delete(kernel, &sa.id, &err_));
		/* The larval state may be gone when keys are agreed at last. */
		OK(xf_sa_update(kernel, &sa, &err_));
		OK(xf_sa_delete(kernel, &sa.id, &err_));
	}
	sa = sa_of(&suites[1], "192.0.2.1", "198.51.100.7", 0x1234);
	sa.encap_sport = sa.encap_dport = 4500;
	OK(xf_sa_add(kernel, &sa, &err_));
	check_dumped(&sa);
	OK(xf_sa_delete(kernel, &sa.id, &err_));
	/* Of a client behind a NAT. */
	sa.outbound = false;
	sa.replay_window = 64;
	sa.encap_sport = 61000;
	sa.encap_oa = addr("10.1.2.3");
	sa.client = XF_MARK_CLIENT_MIN + 7;
	OK(xf_sa_add(kernel, &sa, &err_));
	check_dumped(&sa);
	OK(xf_sa_delete(kernel, &sa.id, &err_));
}
END_TEST

START_TEST(test_refusals)
{
	struct cs_err err;
	struct xf_sa sa;

	if (!have_kernel())
		return;
	sa = sa_of(&suites[1], "192.0.2.1", "198.51.100.7", 0x1234);
	sa.cipher_key.len--;
	ck_assert_int_eq(xf_sa_add(kernel, &sa, &err), CS_EINVAL);
	ck_assert_str_eq(err.text, "ESP SA 0x00001234 to 198.51.100.7: AES-CBC needs a key of 32 "
				   "bytes, not 31");
	sa = sa_of(&suites[1], "2001:db8::1", "2001:db8::2", 0x1234);
	sa.src = addr("192.0.2.1");
	ck_assert_int_eq(xf_sa_add(kernel, &sa, &err), CS_EINVAL);
	sa = sa_of(&suites[1], "192.0.2.1", "198.51.100.7", 0x1234);
	sa.integ = NULL;
	ck_assert_int_eq(xf_sa_add(kernel, &sa, &err), CS_EINVAL);
	ck_assert_int_eq(xf_sa_delete(kernel, &sa.id, &err), CS_ENOTFOUND);
	ck_assert_str_eq(err.text,
			 "ESP SA 0x00001234 to 198.51.100.7: the kernel refused: No such process");
}
END_TEST

/* ---- events ---- */

struct told {
	unsigned acquires, larvals, soft, hard, rulesets;
	struct xf_acquire last;
};

static void on_acquire(void *arg, const struct xf_acquire *a)
{
	struct told *t = arg;

	t->acquires++;
	t->last = *a;
}

static void on_expire(void *arg, const struct xf_expire *e)
{
	struct told *t = arg;

	ck_assert_uint_eq(e->id.spi, 0x1234);
	if (e->hard)
		t->hard++;
	else
		t->soft++;
}

static void on_ruleset(void *arg)
{
	((struct told *)arg)->rulesets++;
}

static const struct xf_event_ops ops = {
	.acquire = on_acquire, .expire = on_expire, .ruleset = on_ruleset};

static void listen_for(struct xf_events *ev, struct told *t, int ms)
{
	struct pollfd p = {.fd = xf_events_fd(ev), .events = POLLIN};

	while (poll(&p, 1, ms) > 0)
		OK(xf_events_read(ev, &ops, t, &err_));
}

/* A datagram under a mark, out of the test's own interface; nobody has to be there. errno or 0. */
static int send_marked(uint32_t mark, uint16_t port)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0), rc;

	to.sin_addr.s_addr = htonl(0xc0000207); /* 192.0.2.7 */
	ck_assert_int_eq(setsockopt(fd, SOL_SOCKET, SO_MARK, &mark, sizeof(mark)), 0);
	rc = sendto(fd, "x", 1, 0, (struct sockaddr *)&to, sizeof(to)) < 0 ? errno : 0;
	close(fd);
	return rc;
}

static bool make_dummy(void)
{
	return system("ip link add dmy type dummy && ip link set dmy up && "
		      "ip addr add 192.0.2.1/24 dev dmy") == 0;
}

static struct xf_policy anchor_of(unsigned rule_id)
{
	return (struct xf_policy){.dir = XF_OUT,
				  .family = AF_INET,
				  .priority = XF_PRIO_ANCHOR,
				  .mark = xf_mark_value(&marking, rule_id),
				  .mark_mask = xf_mark_mask(&marking),
				  .has_template = true,
				  .hold = true,
				  .mode = XF_TRANSPORT,
				  .proto = IPPROTO_ESP,
				  .reqid = xf_reqid(rule_id, 0)};
}

/* The larval states in the kernel, as the acquires that they were. */
static int count_larvals(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct told *t = arg;

	(void)c;
	t->larvals += xf_acquire_of(sa, &t->last);
	return 0;
}

static unsigned larvals(struct xf_acquire *last)
{
	struct told t = {0};

	OK(xf_sa_dump(kernel, count_larvals, &t, &err_));
	if (last)
		*last = t.last;
	return t.larvals;
}

static unsigned long xfrm_stat(const char *name)
{
	FILE *f = fopen("/proc/net/xfrm_stat", "r");
	unsigned long n = 0;
	char line[128];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f))
		if (strncmp(line, name, strlen(name)) == 0)
			n = strtoul(line + strlen(name), NULL, 10);
	fclose(f);
	return n;
}

START_TEST(test_acquire)
{
	struct xf_policy p = anchor_of(20);
	struct xf_acquire lost;
	struct xf_events *ev;
	struct told t = {0};
	char command[256];

	if (!have_esp())
		return;
	ck_assert(make_dummy());
	OK(xf_dead_end_add(kernel, XF_HELD, AF_INET, &err_));
	OK(xf_policy_add(kernel, &p, &err_));
	OK(xf_events_open(&marking, false, &ev, &err_));
	ck_assert_int_eq(send_marked(0, 4711), 0);
	listen_for(ev, &t, 100);
	ck_assert_uint_eq(t.acquires, 0);
	ck_assert_int_eq(send_marked(p.mark, 4711), 0);
	listen_for(ev, &t, 100);
	ck_assert_uint_eq(t.acquires, 1);
	ck_assert_uint_eq(t.last.rule_id, 20);
	ck_assert_uint_eq(t.last.selector.proto, IPPROTO_UDP);
	ck_assert_uint_eq(t.last.selector.remote_port, 4711);
	ck_assert_uint_eq(t.last.selector.local.lo.b[3], 1);
	ck_assert_uint_eq(t.last.reqid, p.reqid);
	/* Who has not heard of it can read it. */
	ck_assert_uint_eq(larvals(&lost), 1);
	ck_assert_uint_eq(lost.rule_id, 20);
	ck_assert(cs_selector_equal(&lost.selector, &t.last.selector));
	ck_assert(cs_addr_equal(&lost.src, &t.last.src));
	ck_assert(cs_addr_equal(&lost.dst, &t.last.dst));
	/* The larval state answers for everything between the two, until it is cleared. */
	ck_assert_int_eq(send_marked(p.mark, 4712), 0);
	listen_for(ev, &t, 100);
	ck_assert_uint_eq(t.acquires, 1);
	OK(xf_larval_clear(kernel, &lost, &err_));
	ck_assert_uint_eq(larvals(NULL), 0);
	ck_assert_int_eq(send_marked(p.mark, 4712), 0);
	listen_for(ev, &t, 100);
	ck_assert_uint_eq(t.acquires, 2);
	/* Somebody was killed while he cleared it: it has its SPI, and is still what was asked for.
	 */
	snprintf(command, sizeof(command),
		 "ip xfrm state allocspi src 192.0.2.1 dst 192.0.2.7 proto esp reqid %u mode "
		 "transport "
		 "mark %#x mask %#x >/dev/null",
		 p.reqid, p.mark, p.mark_mask);
	ck_assert_int_eq(system(command), 0);
	ck_assert_uint_eq(larvals(&lost), 1);
	ck_assert_uint_ne(lost.spi, 0);
	ck_assert_uint_eq(lost.rule_id, 20);
	OK(xf_larval_clear(kernel, &lost, &err_));
	ck_assert_uint_eq(larvals(NULL), 0);
	ck_assert_int_eq(send_marked(p.mark, 4712), 0);
	listen_for(ev, &t, 100);
	ck_assert_uint_eq(t.acquires, 3);
	OK(xf_larval_clear(kernel, &t.last, &err_));
	OK(xf_larval_clear(kernel, &t.last, &err_)); /* gone already */
	ck_assert_uint_eq(larvals(NULL), 0);
	OK(xf_policy_delete(kernel, &p, &err_));
	OK(xf_dead_end_delete(kernel, XF_HELD, AF_INET, &err_));
	xf_events_close(ev);
}
END_TEST

/* A client's policy asks under the client's mark; the rule is its reqid's. */
START_TEST(test_acquire_client)
{
	struct xf_policy p = anchor_of(20);
	struct xf_acquire lost;
	struct xf_events *ev;
	struct told t = {0};

	if (!have_esp())
		return;
	ck_assert(make_dummy());
	OK(xf_dead_end_add(kernel, XF_HELD, AF_INET, &err_));
	p.mark = xf_mark_value(&marking, XF_MARK_CLIENT_MIN + 7);
	p.reqid = xf_reqid(20, 5);
	OK(xf_policy_add(kernel, &p, &err_));
	OK(xf_events_open(&marking, false, &ev, &err_));
	ck_assert_int_eq(send_marked(p.mark, 4711), 0);
	listen_for(ev, &t, 100);
	ck_assert_uint_eq(t.acquires, 1);
	ck_assert_uint_eq(t.last.rule_id, 20);
	ck_assert_uint_eq(t.last.mark, XF_MARK_CLIENT_MIN + 7);
	ck_assert_uint_eq(larvals(&lost), 1);
	ck_assert_uint_eq(lost.rule_id, 20);
	ck_assert_uint_eq(lost.mark, t.last.mark);
	OK(xf_larval_clear(kernel, &lost, &err_));
	ck_assert_uint_eq(larvals(NULL), 0);
	OK(xf_policy_delete(kernel, &p, &err_));
	OK(xf_dead_end_delete(kernel, XF_HELD, AF_INET, &err_));
	xf_events_close(ev);
}
END_TEST

/* ---- moving ---- */

/* The sequence number of the one SA. */
static unsigned long sent_number(void)
{
	FILE *f = popen("ip -s xfrm state", "r");
	unsigned long n = 0;
	char line[256];

	ck_assert_ptr_nonnull(f);
	while (fgets(line, sizeof(line), f)) {
		const char *oseq = strstr(line, "oseq 0x");

		if (oseq)
			n = strtoul(oseq + 5, NULL, 16);
	}
	pclose(f);
	return n;
}

static struct xf_sa encapsulated(bool outbound)
{
	struct xf_sa sa = sa_of(&suites[1], outbound ? "192.0.2.1" : "192.0.2.7",
				outbound ? "192.0.2.7" : "192.0.2.1", 0x1234);

	sa.outbound = outbound;
	sa.mode = XF_TRANSPORT;
	sa.replay_window = outbound ? 0 : 64;
	sa.encap_sport = outbound ? 4500 : 61000;
	sa.encap_dport = outbound ? 61000 : 4500;
	sa.soft_seconds = 1000;
	sa.hard_seconds = 2000;
	sa.hard_bytes = 1 << 20;
	if (!outbound) {
		sa.client = XF_MARK_CLIENT_MIN;
		sa.selector.local = range("192.0.2.1");
		sa.selector.remote = range("192.0.2.7");
	}
	return sa;
}

static int see_any(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	struct seen_sa *s = arg;

	(void)c;
	s->sa = *sa;
	s->n++;
	return 0;
}

static struct xf_sa only_sa(void)
{
	struct seen_sa s = {.n = 0};

	OK(xf_sa_dump(kernel, see_any, &s, &err_));
	ck_assert_uint_eq(s.n, 1);
	return s.sa;
}

/* The port alone, then the address, too: what it has sent and when it began are what they were. */
START_TEST(test_move_outbound)
{
	struct xf_sa sa = encapsulated(true), at;
	struct xf_policy p = tunnel("192.0.2.1", "192.0.2.7", false);
	struct xf_move m = {.id = sa.id, .outbound = true, .peer = sa.id.dst, .encap_port = 61001};
	struct xf_counters before, after;

	if (!have_esp())
		return;
	ck_assert(make_dummy());
	p.mode = XF_TRANSPORT;
	p.selector.proto = IPPROTO_UDP;
	p.selector.local_port = p.selector.remote_port = 0;
	p.local = p.remote = (struct cs_addr){0};
	OK(xf_sa_add(kernel, &sa, &err_));
	OK(xf_policy_add(kernel, &p, &err_));
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(send_marked(p.mark, 4711), 0);
	ck_assert_uint_eq(sent_number(), 3);
	OK(xf_sa_counters(kernel, &sa.id, &before, &err_));
	ck_assert_uint_eq(before.packets, 3);
	for (int i = 0; i < 2; i++) {
		OK(xf_sa_move(kernel, &m, &err_));
		at = only_sa();
		ck_assert(cs_addr_equal(&at.id.dst, &m.peer));
		ck_assert(cs_addr_equal(&at.selector.remote.lo, &m.peer));
		ck_assert_uint_eq(at.encap_sport, 4500);
		ck_assert_uint_eq(at.encap_dport, m.encap_port);
		ck_assert_uint_eq(at.soft_seconds, 1000);
		ck_assert_uint_eq(at.hard_bytes, 1 << 20);
		ck_assert(at.outbound);
		m.id.dst = m.peer;
		OK(xf_sa_counters(kernel, &m.id, &after, &err_));
		ck_assert_uint_eq(after.packets, before.packets);
		ck_assert_uint_eq(after.bytes, before.bytes);
		ck_assert_uint_eq(after.added, before.added);
		ck_assert_uint_eq(sent_number(), 3);
		m.peer = addr("198.51.100.9");
		m.encap_port = 61002;
	}
	OK(xf_policy_delete(kernel, &p, &err_));
	OK(xf_sa_delete(kernel, &m.id, &err_));
}
END_TEST

START_TEST(test_move_inbound)
{
	struct xf_sa sa = encapsulated(false), at;
	struct xf_move m = {.id = sa.id, .peer = sa.src, .encap_port = 61001};

	if (!have_esp())
		return;
	OK(xf_sa_add(kernel, &sa, &err_));
	for (int i = 0; i < 2; i++) {
		OK(xf_sa_move(kernel, &m, &err_));
		at = only_sa();
		ck_assert(cs_addr_equal(&at.src, &m.peer));
		ck_assert(cs_addr_equal(&at.selector.remote.lo, &m.peer));
		ck_assert_uint_eq(at.encap_sport, m.encap_port);
		ck_assert_uint_eq(at.encap_dport, 4500);
		ck_assert_uint_eq(at.client, sa.client);
		ck_assert_uint_eq(at.replay_window, 64);
		m.peer = addr("198.51.100.9");
		m.encap_port = 61002;
	}
	OK(xf_sa_delete(kernel, &sa.id, &err_));
}
END_TEST

START_TEST(test_move_refused)
{
	struct xf_sa sa = encapsulated(false);
	struct xf_move m = {.id = sa.id, .peer = addr("198.51.100.9"), .encap_port = 61001};
	struct cs_err err;

	if (!have_esp())
		return;
	ck_assert_int_eq(xf_sa_move(kernel, &m, &err), CS_ENOTFOUND);
	OK(xf_sa_add(kernel, &sa, &err_));
	m.encap_port = 0;
	ck_assert_int_eq(xf_sa_move(kernel, &m, &err), CS_EINVAL);
	ck_assert_ptr_nonnull(strstr(err.text, "it cannot move out of UDP encapsulation"));
	m.peer = addr("2001:db8::1");
	ck_assert_int_eq(xf_sa_move(kernel, &m, &err), CS_EINVAL);
	OK(xf_sa_delete(kernel, &sa.id, &err_));
}
END_TEST

/* Without our table, too, nothing comes back from the held SA; without that SA packets are refused.
 */
START_TEST(test_held)
{
	struct xf_policy p = anchor_of(20);
	struct xf_events *ev;
	struct told t = {0};
	unsigned long replayed;

	if (!have_esp())
		return;
	ck_assert(make_dummy());
	p.has_template = false;
	OK(xf_events_open(&marking, false, &ev, &err_));
	OK(xf_policy_add(kernel, &p, &err_));
	OK(xf_dead_end_add(kernel, XF_HELD, AF_INET, &err_));
	ck_assert(xf_dead_end_there(kernel, XF_HELD, AF_INET));
	replayed = xfrm_stat("XfrmInStateSeqError");
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(send_marked(p.mark, 4711), 0);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(xfrm_stat("XfrmInStateSeqError"), replayed + 3);
	ck_assert(xf_dead_end_there(kernel, XF_HELD, AF_INET));
	OK(xf_dead_end_add(kernel, XF_HELD, AF_INET, &err_)); /* changes nothing */
	OK(xf_dead_end_delete(kernel, XF_HELD, AF_INET, &err_));
	ck_assert(!xf_dead_end_there(kernel, XF_HELD, AF_INET));
	send_marked(p.mark, 4711);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(xfrm_stat("XfrmInStateSeqError"), replayed + 3);
	ck_assert_uint_eq(xfrm_stat("XfrmOutNoStates"), 1);
	/* Nobody can negotiate it. */
	ck_assert_uint_eq(t.acquires, 0);
	/* It comes back and is found, whatever the kernel made meanwhile. */
	OK(xf_dead_end_add(kernel, XF_HELD, AF_INET, &err_));
	ck_assert_int_eq(send_marked(p.mark, 4711), 0);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(xfrm_stat("XfrmInStateSeqError"), replayed + 4);
	OK(xf_policy_delete(kernel, &p, &err_));
	xf_events_close(ev);
}
END_TEST

START_TEST(test_expire)
{
	struct xf_events *ev;
	struct told t = {0};
	struct xf_sa sa;

	if (!have_esp())
		return;
	OK(xf_events_open(&marking, false, &ev, &err_));
	sa = sa_of(&suites[1], "192.0.2.1", "198.51.100.7", 0x1234);
	sa.soft_seconds = 1;
	sa.hard_seconds = 2;
	OK(xf_sa_add(kernel, &sa, &err_));
	listen_for(ev, &t, 2500);
	ck_assert_uint_eq(t.soft, 1);
	ck_assert_uint_eq(t.hard, 1);
	ck_assert_int_eq(xf_sa_delete(kernel, &sa.id, NULL), CS_ENOTFOUND);
	xf_events_close(ev);
}
END_TEST

/* ---- the spent SAs' MTU ---- */

/* The largest packet that an ESP tunnel takes, as Linux reckons (xfrm_state_mtu). */
static unsigned fits(unsigned mtu, unsigned outer, unsigned iv, unsigned icv, unsigned block)
{
	unsigned overhead = outer + 8 + iv + icv;

	return mtu > overhead ? (mtu - overhead) / block * block - 2 : 0;
}

/* A bundle has no integrity in its ESP, but AH around it, padded to 4 or 8 bytes. */
static unsigned fits_bundle(unsigned link, unsigned outer, const struct cs_cipher *c,
			    const struct cs_integ *ah)
{
	unsigned pad = outer == 20 ? 4 : 8, ah_len = (12 + ah->icv_bits / 8u + pad - 1) / pad * pad;

	return fits(link - ah_len, outer, c->block, 0, c->block < 4 ? 4 : c->block);
}

/*
 * The smallest of what the SAs that we can make take: UDP encapsulation in IPv6, every suite; and
 * bundles, which have the family of what they protect.
 */
static unsigned fits_all(unsigned link, unsigned outer)
{
	unsigned n_ciphers, n_integs, least = link, one;
	const struct cs_cipher *c = cs_ciphers(&n_ciphers);
	const struct cs_integ *in = cs_integs(&n_integs);

	for (unsigned i = 0; i < n_ciphers; i++) {
		for (unsigned j = 0; j < n_integs; j++) {
			unsigned icv = c[i].icv_bits ? c[i].icv_bits : in[j].icv_bits;
			unsigned iv = c[i].icv_bits ? 8 : c[i].block;

			one = fits(link - 8, 40, iv, icv / 8, c[i].block < 4 ? 4 : c[i].block);
			least = one < least ? one : least;
			one = fits_bundle(link, outer, &c[i], &in[j]);
			if (!c[i].icv_bits)
				least = one < least ? one : least;
		}
	}
	return least;
}

/* What a sender hears of the spent SA fits every SA that we can make, and is not absurd. */
START_TEST(test_spent_mtu)
{
	uint8_t family = _i == 0 ? AF_INET : AF_INET6;
	unsigned least = _i == 0 ? 576 : 1280, outer = _i == 0 ? 20 : 40, told, most, wrong = 0;

	for (unsigned link = least; link <= 9216 && !wrong; link++) {
		told = fits(xf_spent_mtu(family, link), outer, XF_DEAD_END_IV, XF_DEAD_END_ICV,
			    XF_DEAD_END_BLOCK);
		/* On the smallest links the outer packet is cut; less than its least no sender
		 * takes. */
		most = fits_all(link, outer);
		if (told < least || (told > most && told >= least + 16) || told + 140 < link)
			wrong = link;
	}
	ck_assert_msg(!wrong, "on a link of %u", wrong);
}
END_TEST

/* ---- the whole policy ---- */

/* The MTU of a spent SA's route, 0 without one. */
static unsigned route_mtu(const char *family, const char *to)
{
	char command[128], line[256] = "";
	const char *mtu;
	FILE *f;

	snprintf(command, sizeof(command), "ip -%s route show table local %s", family, to);
	f = popen(command, "r");
	ck_assert_ptr_nonnull(f);
	if (!fgets(line, sizeof(line), f))
		line[0] = '\0';
	pclose(f);
	mtu = strstr(line, " mtu ");
	return mtu ? (unsigned)strtoul(mtu + 5, NULL, 10) : 0;
}

static void check_routes(unsigned link)
{
	ck_assert_uint_eq(route_mtu("4", "127.0.0.8"), link ? xf_spent_mtu(AF_INET, link) : 0);
	ck_assert_uint_eq(route_mtu("6", "100::8"), link ? xf_spent_mtu(AF_INET6, link) : 0);
}

START_TEST(test_routes)
{
	struct pol_service any = {.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};
	struct cs_range all[2] = {range("0.0.0.0/0"), range("::/0")};
	struct pol_filter_rule rule = {.verdict = POL_IPSEC,
				       .id = 20,
				       .src = all,
				       .n_src = 2,
				       .dst = all,
				       .n_dst = 2,
				       .services = &any,
				       .n_services = 1};
	struct pol_policy policy = {.generation = 3, .rules = &rule, .n_rules = 1};

	if (!have_esp() || !abilities.nft_inet || !abilities.nft_xfrm)
		return;
	/* Nothing to follow is no error and makes nothing. */
	OK(xf_mtu_follow(&err_));
	check_routes(0);
	OK(xf_install(kernel, &policy, 0, &err_));
	check_routes(1500);
	ck_assert_int_eq(system("ip link add v0 mtu 1400 type veth peer name v1 mtu 9000"), 0);
	OK(xf_mtu_follow(&err_));
	check_routes(1500); /* neither is up */
	ck_assert_int_eq(system("ip link set v1 up"), 0);
	OK(xf_mtu_follow(&err_));
	check_routes(9000);
	ck_assert_int_eq(system("ip link set v0 up"), 0);
	OK(xf_install(kernel, &policy, 0, &err_));
	check_routes(1400);
	/* Less than IPv6 can do counts for IPv4 alone. */
	ck_assert_int_eq(system("ip link set v0 mtu 1000"), 0);
	OK(xf_mtu_follow(&err_));
	ck_assert_uint_eq(route_mtu("4", "127.0.0.8"), xf_spent_mtu(AF_INET, 1000));
	ck_assert_uint_eq(route_mtu("6", "100::8"), xf_spent_mtu(AF_INET6, 9000));
	/* Somebody removes one: noticed, and made again. */
	ck_assert(xf_installed(kernel, &policy, 0));
	ck_assert_int_eq(system("ip route del local 127.0.0.8 table local"), 0);
	ck_assert(!xf_installed(kernel, &policy, 0));
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	ck_assert_int_eq(system("ip -6 route del local 100::8 table local"), 0);
	ck_assert(!xf_installed(kernel, &policy, 0));
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	/* The family that no rule is of any more has none. */
	rule.n_src = rule.n_dst = 1;
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert_uint_eq(route_mtu("6", "100::8"), 0);
	OK(xf_uninstall(kernel, &err_));
	check_routes(0);
	/* Where IPv6 is off, its rules are no obstacle. */
	ck_assert_int_eq(system("sysctl -qw net.ipv6.conf.all.disable_ipv6=1 "
				"net.ipv6.conf.lo.disable_ipv6=1"),
			 0);
	rule.n_src = rule.n_dst = 2;
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	OK(xf_uninstall(kernel, &err_));
}
END_TEST

START_TEST(test_install)
{
	struct pol_service any = {.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};
	struct cs_range src = range("192.0.2.1"), dst = range("198.51.100.0/24");
	struct pol_filter_rule rules[2] = {
		{.verdict = POL_PERMIT, .src = &src, .dst = &src, .services = &any},
		{.verdict = POL_IPSEC, .id = 20, .src = &src, .dst = &dst, .services = &any}};
	struct pol_policy policy = {.generation = 3, .rules = rules};
	struct pol_time window = {
		.from = 1000, .to = 2000, .months = 0xfff, .days = 0x7fffffff, .weekdays = 0x7f};
	struct xf_events *ev;
	struct told t = {0};
	unsigned before;

	if (!have_kernel() || !abilities.nft_inet || !abilities.nft_xfrm)
		return;
	for (int i = 0; i < 2; i++)
		rules[i].n_src = rules[i].n_dst = rules[i].n_services = 1;
	policy.n_rules = abilities.esp4 ? 2 : 1;
	if (!abilities.esp4)
		left_out("installing an ipsec rule (needs ESP)");
	OK(xf_events_open(&marking, true, &ev, &err_));
	ck_assert(!xf_installed(kernel, &policy, 0));
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	before = dump().n;
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert_uint_eq(dump().n, before);
	/* Our own work is not a foreign change. */
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(t.rulesets, 0);
	ck_assert_int_eq(system("nft add rule inet csipsec out_local counter"), 0);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(t.rulesets, 1);
	ck_assert(!xf_installed(kernel, &policy, 0));
	ck_assert_int_eq(system("nft add table inet other"), 0);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(t.rulesets, 1);
	ck_assert_int_eq(system("nft flush ruleset"), 0);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(t.rulesets, 2);
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	/* The kernel does not tell of a flush that found nothing. */
	for (int i = 0; i < 2 && abilities.esp4; i++) {
		ck_assert_int_eq(system(i ? "ip xfrm state flush" : "ip xfrm policy flush"), 0);
		listen_for(ev, &t, 50);
		ck_assert_uint_eq(t.rulesets, 3 + (unsigned)i);
		OK(xf_install(kernel, &policy, 0, &err_));
		ck_assert(xf_installed(kernel, &policy, 0));
		listen_for(ev, &t, 50);
		ck_assert_uint_eq(t.rulesets, 3 + (unsigned)i);
	}
	/* A table that looks at nothing is as good as none. */
	before = t.rulesets;
	ck_assert_int_eq(system("nft 'add table inet csipsec { flags dormant; }'"), 0);
	listen_for(ev, &t, 50);
	ck_assert_uint_eq(t.rulesets, before + 1);
	ck_assert(!xf_installed(kernel, &policy, 0));
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	/* A time condition that has changed since is not a table that somebody changed. */
	rules[0].times = &window;
	rules[0].n_times = 1;
	OK(xf_install(kernel, &policy, 1500, &err_));
	ck_assert(xf_installed(kernel, &policy, 1500));
	ck_assert(!xf_installed(kernel, &policy, 2001));
	rules[0].n_times = 0;
	/* A policy without ipsec rules needs nothing of XFRM. */
	policy.generation = 4;
	policy.n_rules = 1;
	OK(xf_install(kernel, &policy, 0, &err_));
	ck_assert_uint_eq(dump().n, 0);
	OK(xf_uninstall(kernel, &err_));
	ck_assert(!xf_installed(kernel, &policy, 0));
	OK(xf_uninstall(kernel, &err_));
	xf_events_close(ev);
}
END_TEST

static void on_out_count(void *arg, const struct xf_filter_count *c)
{
	uint64_t *packets = arg;

	if (c->outbound && c->rule < 3)
		packets[c->rule] += c->packets;
}

static void out_counts(uint64_t packets[3])
{
	memset(packets, 0, 3 * sizeof(*packets));
	OK(xf_filter_counts(kernel, on_out_count, packets, &err_));
}

/* A rule in another place of a new table goes on counting, and the implicit deny does. */
START_TEST(test_carry)
{
	static const unsigned from[] = {0, 1};
	struct pol_service any = {.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};
	struct cs_range src = range("192.0.2.1"), dst = range("192.0.2.9"),
			new = range("192.0.2.7");
	struct pol_filter_rule rules[2] = {
		{.verdict = POL_PERMIT, .src = &src, .dst = &dst, .services = &any},
		{.verdict = POL_PERMIT}};
	struct pol_policy policy = {.generation = 3, .rules = rules, .n_rules = 1};
	struct xf_carry carry = {.from = from, .n_before = 1};
	uint64_t before[3], now[3];

	if (!have_kernel() || !abilities.nft_inet)
		return;
	rules[0].n_src = rules[0].n_dst = rules[0].n_services = 1;
	ck_assert_int_eq(system("ip link add v0 type veth peer name v1 && ip link set v1 up && "
				"ip link set v0 up && ip addr add 192.0.2.1/24 dev v0"),
			 0);
	OK(xf_install(kernel, &policy, 0, &err_));
	(void)!system("ping -q -c 3 -i 0.2 -W 1 192.0.2.9 >/dev/null 2>&1");
	(void)!system("ping -q -c 2 -i 0.2 -W 1 192.0.2.8 >/dev/null 2>&1");
	out_counts(before);
	ck_assert_uint_ge(before[0], 1);
	ck_assert_uint_ge(before[1], 1);
	rules[1] = rules[0];
	rules[0].dst = &new;
	policy.n_rules = 2;
	policy.generation = 4;
	OK(xf_install_over(kernel, &policy, 0, &carry, &err_));
	ck_assert(xf_installed(kernel, &policy, 0));
	out_counts(now);
	ck_assert_uint_eq(now[0], 0);
	ck_assert_uint_ge(now[1], before[0]);
	ck_assert_uint_ge(now[2], before[1]);
	/* nothing to carry, and no table to read */
	OK(xf_install(kernel, &policy, 0, &err_));
	out_counts(now);
	ck_assert_uint_lt(now[1], before[0]);
	OK(xf_uninstall(kernel, &err_));
	OK(xf_install_over(kernel, &policy, 0, &carry, &err_));
	OK(xf_uninstall(kernel, &err_));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("xfrm");
	TCase *t = tcase_create("kernel");

	tcase_add_checked_fixture(t, enter, leave);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_policies);
	tcase_add_test(t, test_tunnel_policies);
	tcase_add_test(t, test_anchor);
	tcase_add_loop_test(t, test_hold, 0, 2);
	tcase_add_loop_test(t, test_suites, 0, sizeof(suites) / sizeof(suites[0]));
	tcase_add_test(t, test_inbound);
	tcase_add_test(t, test_refusals);
	tcase_add_test(t, test_acquire);
	tcase_add_test(t, test_acquire_client);
	tcase_add_test(t, test_move_outbound);
	tcase_add_test(t, test_move_inbound);
	tcase_add_test(t, test_move_refused);
	tcase_add_test(t, test_held);
	tcase_add_test(t, test_expire);
	tcase_add_loop_test(t, test_spent_mtu, 0, 2);
	tcase_add_test(t, test_routes);
	tcase_add_test(t, test_install);
	tcase_add_test(t, test_carry);
	suite_add_tcase(s, t);
	return run_suite(s);
}
