/* Ends of benchmarks: policies, an engine each, and the network between them. */
#include "tests/bench/ends.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#define QUEUE 1024

struct datagram {
	struct cs_endpoint from, to;
	uint8_t data[2048];
	size_t len;
};

static struct datagram queue[QUEUE];
static unsigned first, queued;
static uint32_t next_spi = 0x10000;
static struct end *ends[65536];

struct ike_now end_now = {1000, 1700000000};
bool end_cut;

/* By the last two bytes of their addresses. */
static struct end **place(const struct cs_addr *addr)
{
	return &ends[addr->b[2] << 8 | addr->b[3]];
}

/* ---- operations ---- */

static void op_send(void *ctx, const struct cs_endpoint *local, const struct cs_endpoint *remote,
		    const uint8_t *data, size_t len)
{
	struct datagram *d = &queue[(first + queued) % QUEUE];

	(void)ctx;
	if (end_cut)
		return;
	if (queued == QUEUE || len > sizeof(d->data)) {
		fprintf(stderr, "bench: %zu bytes do not fit the queue\n", len);
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

	if (rec->kind == IKE_REC_P2_UP)
		end->up++;
	if (end->record)
		return end->record(end, rec, tx);
	*tx = ++last;
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

const struct end_suite end_suites[] = {{"aes256-sha256-modp2048", "Group14"},
				       {"aes256-sha256-ecp256", "Group19"}};

static void complain(void *arg, const struct pol_diag *d)
{
	(void)arg;
	fprintf(stderr, "%u: %s: %s\n", d->line, d->attribute, d->text);
}

static struct pol_policy *policy(const struct end_suite *s, const char *me, const char *others)
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
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	unlink(path);
	p->rules[0].id = XF_MARK_RULE_MIN;
	return p;
}

void end_start(struct end *end, const struct end_suite *s, const char *me, const char *others)
{
	struct ike_settings settings = {.retries = 6,
					.init_wait_ms = 2000,
					.port = 500,
					.marking = {XF_MARK_SHIFT_DEFAULT}};
	struct cs_err err;

	cs_addr_parse(me, &end->addr, NULL);
	*place(&end->addr) = end;
	end->policy = policy(s, me, others);
	if (ike_engine_new(&settings, &ops, end, &end->engine, &err) < 0) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	ike_engine_policy(end->engine, end->policy, end_now);
}

void end_stop(struct end *end)
{
	ike_engine_shutdown(end->engine, false, true, end_now);
	ike_engine_free(end->engine);
	pol_unref(end->policy);
	*place(&end->addr) = NULL;
	queued = 0;
}

double end_cpu_ms(clockid_t clock)
{
	struct timespec t;

	clock_gettime(clock, &t);
	return (double)t.tv_sec * 1000 + (double)t.tv_nsec / 1e6;
}

void end_network(void)
{
	while (queued) {
		struct datagram d = queue[first];
		struct end *to = *place(&d.to.addr);

		first = (first + 1) % QUEUE;
		queued--;
		if (!to)
			continue;
		if (to->timed)
			to->cpu_ms -= end_cpu_ms(CLOCK_THREAD_CPUTIME_ID);
		ike_engine_receive(to->engine, &d.to, &d.from, d.data, d.len, end_now);
		if (to->timed)
			to->cpu_ms += end_cpu_ms(CLOCK_THREAD_CPUTIME_ID);
	}
}

void end_begin(struct end *from, const struct end *to)
{
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN,
			       .src = from->addr,
			       .dst = to->addr,
			       .proto = IPPROTO_ESP};

	a.selector.local = cs_range_single(&from->addr);
	a.selector.remote = cs_range_single(&to->addr);
	a.selector.proto = 1;
	ike_engine_acquire(from->engine, &a, end_now);
}

static int first_p1(void *arg, const struct ike_p1_info *info)
{
	*(uint32_t *)arg = info->tunnel;
	return 1;
}

void end_forget(struct end *end)
{
	uint32_t k = 0;

	if (ike_engine_each_p1(end->engine, first_p1, &k))
		ike_engine_deactivate_p1(end->engine, k, end_now, NULL);
	end_network();
}
