/*
 * bench_engine: complete Main Mode and Quick Mode negotiations per CPU-second of two engines in one
 * process, beside the cost of their bare Diffie-Hellman operations in the same run, and the memory
 * that a phase 1 and phase 2 pair takes.  The kernel and the store are empty operations here.
 */
#include <malloc.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "iked/engine.h"

#define HUB "192.0.2.1"

struct end {
	struct ike_engine *engine;
	struct pol_policy *policy;
	struct cs_addr addr;
	unsigned up; /* phase 2 pairs installed */
};

struct datagram {
	struct cs_endpoint from, to;
	uint8_t data[2048];
	size_t len;
};

static struct end hub, peer;
static struct datagram queue[16];
static unsigned queued;
static bool cut; /* what is sent is lost */
static uint32_t next_spi = 0x10000;
static struct ike_now now = {1000, 1700000000};

/* ---- operations ---- */

static void op_send(void *ctx, const struct cs_endpoint *local, const struct cs_endpoint *remote,
		    const uint8_t *data, size_t len)
{
	struct datagram *d = &queue[queued];

	(void)ctx;
	if (cut)
		return;
	if (queued == 16 || len > sizeof(d->data)) {
		fprintf(stderr, "bench_engine: %zu bytes do not fit the queue\n", len);
		exit(1);
	}
	d->from = *local;
	d->to = *remote;
	d->len = len;
	memcpy(d->data, data, len);
	queued++;
}

static void op_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	if (getrandom(buf, len, 0) != (ssize_t)len)
		exit(1);
}

static enum ike_done op_pk(void *ctx, struct ike_pk_job *job)
{
	(void)ctx;
	ike_pk_run(job);
	return IKE_DONE;
}

static int op_spi(void *ctx, const struct cs_addr *src, const struct cs_addr *dst, uint8_t proto,
		  enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode, uint32_t *spi,
		  struct cs_err *err)
{
	(void)ctx, (void)src, (void)dst, (void)proto, (void)kind, (void)reqid, (void)mode;
	(void)err;
	*spi = next_spi++;
	return 0;
}

static int op_sa(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	(void)ctx, (void)sa, (void)err;
	return 0;
}

static int op_sa_delete(void *ctx, const struct xf_said *id, struct cs_err *err)
{
	(void)ctx, (void)id, (void)err;
	return 0;
}

static int op_counters(void *ctx, const struct xf_said *id, struct xf_counters *c,
		       struct cs_err *err)
{
	(void)ctx, (void)id, (void)err;
	memset(c, 0, sizeof(*c));
	return 0;
}

static int op_policy(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	(void)ctx, (void)p, (void)err;
	return 0;
}

static void op_larval(void *ctx, const struct xf_acquire *a)
{
	(void)ctx, (void)a;
}

static enum ike_done op_record(void *ctx, const struct ike_record *rec, uint64_t *tx)
{
	static uint64_t last;
	struct end *end = ctx;

	*tx = ++last;
	if (rec->kind == IKE_REC_P2_UP)
		end->up++;
	return IKE_DONE;
}

static void op_log(void *ctx, struct cs_logctx lc, const char *id, enum cs_severity severity,
		   const char *text)
{
	(void)ctx, (void)lc;
	if (severity >= CS_WARNING)
		fprintf(stderr, "%s %s\n", id, text);
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	(void)ctx, (void)ev;
}

static const struct ike_ops ops = {
	.send = op_send,
	.random = op_random,
	.pk = op_pk,
	.sa_spi = op_spi,
	.sa_update = op_sa,
	.sa_add = op_sa,
	.sa_delete = op_sa_delete,
	.sa_counters = op_counters,
	.policy_add = op_policy,
	.policy_delete = op_policy,
	.larval_clear = op_larval,
	.record = op_record,
	.log = op_log,
	.event = op_event,
};

/* ---- policies ---- */

struct suite {
	const char *name, *group;
};
static const struct suite suites[] = {{"aes256-sha256-modp2048", "Group14"},
				      {"aes256-sha256-ecp256", "Group19"}};

static void complain(void *arg, const struct pol_diag *d)
{
	(void)arg;
	fprintf(stderr, "%u: %s: %s\n", d->line, d->attribute, d->text);
}

static struct pol_policy *policy(const struct suite *s, const char *me, const char *others)
{
	char path[] = "/tmp/csipsec-bench-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	struct pol_policy *p = NULL;
	struct cs_err err;

	if (!f)
		exit(1);
	fprintf(f,
		"IpFilterPolicy\n{\n  AllowOnDemand Yes\n  IpFilterRule Data\n  {\n"
		"    IpSourceAddr %s\n    IpDestAddr %s\n    IpService\n    {\n      Protocol "
		"All\n    }\n"
		"    IpGenericFilterActionRef ipsec\n    IpDynVpnActionRef Vpn\n  }\n}\n"
		"IpGenericFilterAction ipsec\n{\n  IpFilterAction IpSec\n}\n"
		"IpDynVpnAction Vpn\n{\n  IpDataOffer\n  {\n    HowToEncap Transport\n"
		"    HowToEncrypt AES_CBC KeyLength 256\n    HowToAuth ESP HMAC_SHA2_256_128\n  "
		"}\n}\n",
		me, others);
	fprintf(f,
		"KeyExchangePolicy\n{\n  KeyExchangeRule Peers\n  {\n"
		"    LocalSecurityEndpoint\n    {\n      Identity IpAddr %s\n      Location %s\n   "
		" }\n"
		"    RemoteSecurityEndpoint\n    {\n      Identity IpAddr %s\n      Location %s\n  "
		"  }\n"
		"    KeyExchangeActionRef Act\n    SharedKey Ascii bench-secret-0123456789\n  "
		"}\n}\n"
		"KeyExchangeAction Act\n{\n  HowToInitiate Main\n  HowToRespondIKEv1 Main\n"
		"  KeyExchangeOffer\n  {\n    HowToEncrypt AES_CBC KeyLength 256\n"
		"    HowToAuthMsgs SHA2_256\n    HowToAuthPeers PresharedKey\n    DHGroup %s\n  "
		"}\n}\n",
		me, me, others, others, s->group);
	fclose(f);
	if (pol_compile(path, "BENCH", complain, NULL, &p, &err) < 0) {
		fprintf(stderr, "bench_engine: %s\n", err.text);
		exit(1);
	}
	unlink(path);
	p->rules[0].id = XF_MARK_RULE_MIN;
	return p;
}

static void start(struct end *end, const struct suite *s, const char *me, const char *others)
{
	struct ike_settings settings = {.retries = 6,
					.init_wait_ms = 2000,
					.port = 500,
					.marking = {XF_MARK_SHIFT_DEFAULT}};
	struct cs_err err;

	cs_addr_parse(me, &end->addr, NULL);
	end->policy = policy(s, me, others);
	if (ike_engine_new(&settings, &ops, end, &end->engine, &err) < 0) {
		fprintf(stderr, "bench_engine: %s\n", err.text);
		exit(1);
	}
	ike_engine_policy(end->engine, end->policy, now);
}

static void stop(struct end *end)
{
	ike_engine_shutdown(end->engine, false, true, now);
	ike_engine_free(end->engine);
	pol_unref(end->policy);
	queued = 0;
}

static void run_network(void)
{
	while (queued) {
		struct datagram d = queue[0];
		struct end *to = cs_addr_equal(&d.to.addr, &hub.addr) ? &hub : &peer;

		memmove(queue, queue + 1, --queued * sizeof(queue[0]));
		ike_engine_receive(to->engine, &d.to, &d.from, d.data, d.len, now);
	}
}

static void negotiate(struct end *from, struct end *to)
{
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN,
			       .src = from->addr,
			       .dst = to->addr,
			       .proto = IPPROTO_ESP};
	unsigned want_from = from->up + 1, want_to = to->up + 1;

	a.selector.local = cs_range_single(&from->addr);
	a.selector.remote = cs_range_single(&to->addr);
	a.selector.proto = 1;
	ike_engine_acquire(from->engine, &a, now);
	run_network();
	if (from->up != want_from || to->up != want_to) {
		fprintf(stderr, "bench_engine: the negotiation did not complete\n");
		exit(1);
	}
}

/* ---- measuring ---- */

static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

static int first_p1(void *arg, const struct ike_p1_info *info)
{
	*(uint32_t *)arg = info->tunnel;
	return 1;
}

static void forget(struct end *end)
{
	uint32_t k = 0;

	if (ike_engine_each_p1(end->engine, first_p1, &k))
		ike_engine_deactivate_p1(end->engine, k, now, NULL);
	run_network();
}

/* CPU milliseconds of the two key pairs and two secrets that one negotiation needs. */
static double bare_dh(const struct suite *s, unsigned n)
{
	const struct cs_group *g = cs_group_by_keyword(s->group);
	uint8_t secret[IKE_SECRET_MAX];
	double begin = cpu_ms();

	for (unsigned i = 0; i < n; i++) {
		struct ike_dh *a = NULL, *b = NULL;

		if (ike_dh_keypair(g, &a, NULL) < 0 || ike_dh_keypair(g, &b, NULL) < 0 ||
		    ike_dh_secret(a, ike_dh_public(b), secret, NULL) < 0 ||
		    ike_dh_secret(b, ike_dh_public(a), secret, NULL) < 0)
			exit(1);
		ike_dh_free(a);
		ike_dh_free(b);
	}
	return (cpu_ms() - begin) / n;
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

#define ROUNDS 7

static void speed(const struct suite *s, unsigned n)
{
	double bare[ROUNDS], full[ROUNDS], share[ROUNDS];

	start(&hub, s, HUB, "10.0.0.0/8");
	start(&peer, s, "10.0.0.1", HUB);
	negotiate(&peer, &hub); /* warm */
	forget(&peer);
	forget(&hub);
	for (unsigned r = 0; r < ROUNDS; r++) {
		double begin;

		bare[r] = bare_dh(s, n);
		begin = cpu_ms();
		for (unsigned i = 0; i < n; i++) {
			negotiate(&peer, &hub);
			forget(&peer);
			forget(&hub);
			now.mono += 300000; /* repeats of old messages are answered for 254 s */
			now.wall += 300;
			ike_engine_tick(hub.engine, now);
			ike_engine_tick(peer.engine, now);
		}
		full[r] = (cpu_ms() - begin) / n;
		share[r] = bare[r] / full[r];
	}
	stop(&peer);
	stop(&hub);
	qsort(bare, ROUNDS, sizeof(double), by_value);
	qsort(full, ROUNDS, sizeof(double), by_value);
	qsort(share, ROUNDS, sizeof(double), by_value);
	printf("%-24s %8.0f pairs/CPU-s  %6.3f ms both sides  bare DH %6.3f ms  %3.0f %% of the "
	       "limit\n",
	       s->name, 1000 / full[ROUNDS / 2], full[ROUNDS / 2], bare[ROUNDS / 2],
	       100 * share[ROUNDS / 2]);
}

static size_t in_use(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd + ike_arena_used();
}

/* The hub holds n pairs; each peer is one engine that is gone when its pair is up. */
static void memory(unsigned n, bool hub_initiates)
{
	const struct suite *s = &suites[1];
	size_t before, fresh, settled;

	start(&hub, s, HUB, "10.0.0.0/8");
	before = in_use();
	for (unsigned i = 0; i < n; i++) {
		char addr[CS_ADDR_STRLEN];

		snprintf(addr, sizeof(addr), "10.1.%u.%u", i >> 8, i & 255);
		start(&peer, s, addr, HUB);
		if (hub_initiates)
			negotiate(&hub, &peer);
		else
			negotiate(&peer, &hub);
		stop(&peer);
	}
	fresh = in_use() - before;
	now.mono += 300000;
	now.wall += 300;
	cut = true; /* it asks whether its peers are there */
	ike_engine_tick(hub.engine, now);
	cut = false;
	settled = in_use() - before;
	printf("%u pairs as %s: %zu bytes a pair at once, %zu after 300 s\n", n,
	       hub_initiates ? "initiator" : "responder", fresh / n, settled / n);
	stop(&hub);
}

int main(int argc, char **argv)
{
	unsigned n = argc > 1 ? (unsigned)strtoul(argv[1], NULL, 10) : 200;
	unsigned pairs = argc > 2 ? (unsigned)strtoul(argv[2], NULL, 10) : 10000;
	struct cs_err err;

	if (!n || pairs > 60000) {
		fputs("usage: bench_engine [NEGOTIATIONS A ROUND [PAIRS HELD]]\n", stderr);
		return 2;
	}
	if (ike_crypto_init(false, &err) < 0 || ike_arena_init(256u << 20, &err) < 0) {
		fprintf(stderr, "bench_engine: %s\n", err.text);
		return 1;
	}
	for (unsigned i = 0; i < 2; i++)
		speed(&suites[i], n);
	memory(pairs, false);
	memory(pairs, true);
	return 0;
}
