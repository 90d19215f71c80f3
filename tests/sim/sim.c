/* The virtual clock, the event queue, the network, and the operations that engines call. */
#include "tests/sim/sim.h"

#include <netinet/in.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum event_kind {
	EV_DATAGRAM,
	EV_PK,
	EV_CERT,
	EV_COMMIT,
	EV_ACQUIRE,
	EV_EXPIRE,
	EV_ESP,
	EV_ACTION
};

struct sim_event {
	uint64_t at, order;
	enum event_kind kind;
	unsigned host, peer;
	uint64_t epoch; /* of the host's engine: what was under way for a dead one is dropped */
	union {
		struct {
			struct cs_endpoint local, remote;
			uint8_t *data;
			size_t len;
		} datagram;
		struct ike_pk_job *job;
		struct ike_cert_job *cert;
		struct {
			uint64_t tx;
			int status;
		} commit;
		struct xf_acquire acquire;
		struct {
			struct xf_said id;
			bool hard;
			uint64_t added; /* the SA it speaks of */
		} expire;
		struct {
			struct xf_said id;
			uint16_t port; /* that it comes from in UDP, or 0 */
			uint8_t cipher_key[64], integ_key[64];
		} esp;
		enum sim_action action;
	};
};

/* ---- random numbers: splitmix64 ---- */

uint64_t sim_random(struct sim_rng *rng)
{
	uint64_t z = rng->state += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint32_t sim_below(struct sim_rng *rng, uint32_t n)
{
	return n ? (uint32_t)(sim_random(rng) % n) : 0;
}

bool sim_chance(struct sim_rng *rng, unsigned permille)
{
	return permille && sim_below(rng, 1000) < permille;
}

void sim_fail(struct sim *sim, const char *fmt, ...)
{
	va_list ap;
	int n;

	if (sim->failure[0])
		return;
	n = snprintf(sim->failure, sizeof(sim->failure), "at %.3f s: ", (double)sim->now / 1000);
	va_start(ap, fmt);
	vsnprintf(sim->failure + n, sizeof(sim->failure) - (size_t)n, fmt, ap);
	va_end(ap);
}

struct ike_now sim_now(const struct sim *sim)
{
	return (struct ike_now){sim->now, SIM_WALL + (int64_t)(sim->now / 1000)};
}

bool sim_bad(const struct sim *sim)
{
	return sim->now >= sim->net.bad_from && sim->now < sim->net.bad_until;
}

/* ---- the queue: a heap by time, then by order of arrival ---- */

static bool before(const struct sim_event *a, const struct sim_event *b)
{
	return a->at != b->at ? a->at < b->at : a->order < b->order;
}

static struct sim_event *push(struct sim *sim, uint64_t at, enum event_kind kind, unsigned host)
{
	struct sim_event *ev = calloc(1, sizeof(*ev));
	unsigned i;

	if (sim->n_queue == sim->cap_queue) {
		sim->cap_queue = sim->cap_queue ? 2 * sim->cap_queue : 64;
		sim->queue = realloc(sim->queue, sim->cap_queue * sizeof(struct sim_event *));
	}
	if (!ev || !sim->queue)
		abort();
	ev->at = at;
	ev->order = sim->next_event++;
	ev->kind = kind;
	ev->host = host;
	ev->epoch = sim->hosts[host].epoch;
	for (i = sim->n_queue++; i > 0 && before(ev, sim->queue[(i - 1) / 2]); i = (i - 1) / 2)
		sim->queue[i] = sim->queue[(i - 1) / 2];
	sim->queue[i] = ev;
	return ev;
}

static struct sim_event *pop(struct sim *sim)
{
	struct sim_event *top = sim->queue[0], *last = sim->queue[--sim->n_queue];
	unsigned i = 0;

	for (;;) {
		unsigned child = 2 * i + 1;

		if (child >= sim->n_queue)
			break;
		if (child + 1 < sim->n_queue && before(sim->queue[child + 1], sim->queue[child]))
			child++;
		if (!before(sim->queue[child], last))
			break;
		sim->queue[i] = sim->queue[child];
		i = child;
	}
	sim->queue[i] = last;
	return top;
}

/* ---- the network ---- */

static bool is_one_of_many(const struct sim_host *h, const struct cs_addr *addr)
{
	struct cs_range all;

	return h->many && !cs_range_parse(SIM_MANY, &all, NULL) && cs_range_has(&all, addr);
}

static bool is_deaf(const struct sim_host *h, const struct cs_addr *addr)
{
	return h->deaf_from && addr->b[2] * 256u + addr->b[3] >= h->deaf_from;
}

/* Of several that have it one of chance, as their neighbours believe. */
static struct sim_host *host_of(struct sim *sim, const struct cs_addr *addr)
{
	struct sim_host *found = NULL;
	unsigned n = 0;

	for (unsigned i = 0; i < sim->n_hosts; i++) {
		struct sim_host *h = &sim->hosts[i];

		if (!h->absent && (cs_addr_equal(&h->addr, addr) || is_one_of_many(h, addr)) &&
		    (!n++ || !sim_below(&sim->rng, n)))
			found = h;
	}
	return found;
}

static uint64_t latency(struct sim *sim)
{
	unsigned spread = sim->net.delay_max - sim->net.delay_min;

	if (!sim_bad(sim))
		return 1 + sim_below(&sim->rng, 10);
	return sim->net.delay_min + sim_below(&sim->rng, spread + 1);
}

static void deliver(struct sim *sim, struct sim_host *to, const struct cs_endpoint *from,
		    const struct cs_endpoint *local, const uint8_t *data, size_t len,
		    uint64_t delay)
{
	struct sim_host *by = host_of(sim, &from->addr);
	struct cs_endpoint here = *local, there = *from;
	struct sim_event *ev;

	if (by && by != to && !sim_nat_pass(by, to, &there.port, &here.port))
		return;
	/* A keepalive does not get beyond the port. */
	if (len == 1)
		return;
	ev = push(sim, sim->now + delay, EV_DATAGRAM, to->index);
	ev->datagram.local = here;
	ev->datagram.remote = there;
	ev->datagram.len = len;
	ev->datagram.data = malloc(len ? len : 1);
	if (!ev->datagram.data)
		abort();
	memcpy(ev->datagram.data, data, len);
	if (len && sim_bad(sim) && sim_chance(&sim->rng, sim->net.corrupt))
		ev->datagram.data[sim_below(&sim->rng, (uint32_t)len)] ^=
			(uint8_t)(1u << sim_below(&sim->rng, 8));
}

size_t sim_fragment(const uint8_t *message, size_t len, unsigned number, unsigned of,
		    uint8_t out[static SIM_FRAGMENT_MAX])
{
	static const uint8_t no_cookie[ISA_COOKIE_LEN];
	size_t piece = (len + of - 1) / of, at = (number - 1) * piece;
	struct isa_builder b;
	struct isa_header h;

	if (at >= len || isa_header_parse(message, len, &h, NULL) || h.next == ISA_FRAGMENT ||
	    !memcmp(h.rcookie, no_cookie, ISA_COOKIE_LEN))
		return 0;
	h.flags = 0;
	isa_begin(&b, out, SIM_FRAGMENT_MAX, &h);
	isa_payload_begin(&b, ISA_FRAGMENT);
	cs_put_u16(&b.w, 1);
	cs_put_u8(&b.w, (uint8_t)number);
	cs_put_u8(&b.w, number == of);
	cs_put_bytes(&b.w, message + at, number == of ? len - at : piece);
	isa_payload_end(&b);
	return isa_end(&b, 0);
}

static void carry(struct sim_host *h, const struct cs_endpoint *local,
		  const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	struct sim_host *to = host_of(h->sim, &remote->addr);
	struct sim *sim = h->sim;
	struct sim_net *net = &sim->net;
	unsigned copies = 1;
	uint64_t delay = latency(sim);

	sim->datagrams++;
	sim->bytes += len;
	if (sim->verbose)
		printf("%10.3f host %u sends %zu bytes, exchange %u id %08x\n",
		       (double)sim->now / 1000, h->index, len, len > 18 ? data[18] : 0,
		       len > 23 ? (unsigned)data[20] << 24 | (unsigned)data[21] << 16 |
					  (unsigned)data[22] << 8 | data[23]
				: 0);
	if (!to || is_deaf(to, &remote->addr))
		return;
	if (net->script) {
		if (!net->script(sim, h->index, local, remote, data, len, &copies, &delay))
			return;
	} else if (sim_bad(sim)) {
		if (sim_chance(&sim->rng, net->loss))
			return;
		if (sim_chance(&sim->rng, net->duplicate))
			copies = 2 + sim_below(&sim->rng, 2);
	}
	for (unsigned i = 0; i < copies; i++)
		deliver(sim, to, local, remote, data, len,
			i == 0 ? delay : delay + sim_below(&sim->rng, 100));
}

/* An Informational message is never so large, and one that is torn does not come again. */
static bool is_cut(struct sim *sim, const uint8_t *data, size_t len)
{
	return sim->net.cut && len > ISA_HEADER_LEN && data[18] != ISA_INFORMATIONAL &&
	       data[18] != ISA_TRANSACTION && sim_chance(&sim->rng, sim->net.cut);
}

void sim_send(struct sim_host *h, const struct cs_endpoint *local, const struct cs_endpoint *remote,
	      const uint8_t *data, size_t len)
{
	uint8_t out[SIM_FRAGMENT_MAX];
	unsigned of = is_cut(h->sim, data, len) ? 2 + sim_below(&h->sim->rng, 2) : 0;
	size_t n;

	if (!of || !sim_fragment(data, len, 1, of, out)) {
		carry(h, local, remote, data, len);
		return;
	}
	for (unsigned i = 1; i <= of && (n = sim_fragment(data, len, i, of, out)); i++)
		carry(h, local, remote, out, n);
}

/* Asked before each thing that others can see: is the engine dead by now? */
static bool dies(struct sim_host *h)
{
	if (h->fuse && !--h->fuse)
		h->dead = true;
	return h->dead;
}

static int dead(struct cs_err *err)
{
	return cs_fail(err, CS_EKERNEL, "nobody is there any more");
}

static void op_send(void *ctx, const struct cs_endpoint *local, const struct cs_endpoint *remote,
		    const uint8_t *data, size_t len)
{
	struct sim_host *h = ctx;
	uint8_t copy[SIM_FRAGMENT_MAX];

	if (dies(h) || h->absent)
		return;
	if (len == 1 && data[0] == 0xff && h->variant->nat) {
		carry(h, local, remote, data, len);
		return;
	}
	if (len < ISA_HEADER_LEN || len > sizeof(copy)) {
		sim_fail(h->sim, "host %u sends %zu bytes", h->index, len);
		return;
	}
	memcpy(copy, data, len);
	if (h->commits)
		copy[19] |= ISA_FLAG_COMMIT;
	if (h->variant->clients)
		sim_client_offer(h, remote, copy, len);
	if (h->variant->clients)
		sim_client_sends(h, copy, len);
	sim_send(h, local, remote, copy, len);
}

void sim_inject(struct sim *sim, const struct cs_endpoint *from, const struct cs_endpoint *to,
		const uint8_t *data, size_t len, uint64_t delay)
{
	struct sim_host *host = host_of(sim, &to->addr);

	if (host)
		deliver(sim, host, from, to, data, len, delay);
}

/* The kernel loses some for want of room, and says so. */
void sim_push_acquire(struct sim_host *h, const struct xf_acquire *a)
{
	struct sim *sim = h->sim;

	if (sim_bad(sim) && sim_chance(&sim->rng, 100)) {
		sim_at(sim, sim->now + sim_below(&sim->rng, 1000), h->index, SIM_RESYNC, 0);
		return;
	}
	push(h->sim, h->sim->now, EV_ACQUIRE, h->index)->acquire = *a;
}

void sim_push_expire(struct sim_host *h, uint64_t at, const struct xf_said *id, bool hard)
{
	struct sim_event *ev = push(h->sim, at, EV_EXPIRE, h->index);
	const struct vk_sa *sa = vk_find(h, id);

	ev->expire.id = *id;
	ev->expire.hard = hard;
	ev->expire.added = sa ? sa->added : 0;
}

void sim_push_esp(struct sim_host *from, struct sim_host *to, const struct vk_sa *sa)
{
	struct sim *sim = from->sim;
	uint16_t sport = sa->sa.encap_sport, dport = sa->sa.encap_dport;
	struct sim_event *ev;

	if (sim_bad(sim) && sim_chance(&sim->rng, sim->net.loss))
		return;
	if (sim->shared)
		to = from->absent ? NULL : host_of(sim, &to->addr);
	if (!to)
		return;
	/* ESP that is not in UDP gets through no NAT. */
	if ((from->nat.there || to->nat.there) &&
	    (!sport || !sim_nat_pass(from, to, &sport, &dport)))
		return;
	ev = push(sim, sim->now + latency(sim), EV_ESP, to->index);
	ev->esp.id = sa->sa.id;
	ev->esp.port = sport;
	memcpy(ev->esp.cipher_key, sa->cipher_key, sizeof(sa->cipher_key));
	memcpy(ev->esp.integ_key, sa->integ_key, sizeof(sa->integ_key));
}

/* ---- the other operations ---- */

static void op_random(void *ctx, void *buf, size_t len)
{
	struct sim_host *h = ctx;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)sim_random(&h->sim->rng);
}

/* As ike_pk_run, but with private values of the scenario's own random numbers. */
static void run_job(struct sim_host *h, struct ike_pk_job *job)
{
	uint8_t private_value[66];
	size_t len;

	if (job->kind != IKE_PK_KEYPAIR) {
		ike_pk_run(job);
		return;
	}
	len = job->group->kind == CS_ECP ? job->group->secret_len : 32;
	op_random(h, private_value, len);
	private_value[0] &= job->group->number == 21 ? 0 : 0x7f;
	job->status = ike_dh_from_private(job->group, (struct cs_bytes){private_value, len},
					  &job->dh, &job->err);
}

/* Of this process so far. Nothing that is decided depends on it. */
static double cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static enum ike_done op_pk(void *ctx, struct ike_pk_job *job)
{
	struct sim_host *h = ctx;
	struct sim *sim = h->sim;
	double begun = cpu_ms();

	h->all_jobs++;
	run_job(h, job);
	sim->pk_ms += cpu_ms() - begun;
	if (!sim->pk_delay || sim_chance(&sim->rng, 300))
		return IKE_DONE;
	push(sim, sim->now + sim_below(&sim->rng, sim->pk_delay + 1), EV_PK, h->index)->job = job;
	h->jobs++;
	return IKE_LATER;
}

static enum ike_done op_cert(void *ctx, struct ike_cert_job *job)
{
	struct sim_host *h = ctx;
	struct sim *sim = h->sim;

	ike_cert_run(&sim->ring, job);
	if (!sim->pk_delay || sim_chance(&sim->rng, 300))
		return IKE_DONE;
	push(sim, sim->now + sim_below(&sim->rng, sim->pk_delay + 1), EV_CERT, h->index)->cert =
		job;
	h->jobs++;
	return IKE_LATER;
}

static int op_sa_spi(void *ctx, const struct cs_addr *src, const struct cs_addr *dst, uint8_t proto,
		     enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode, uint32_t *spi,
		     struct cs_err *err)
{
	(void)src;
	(void)mode;
	if (dies(ctx))
		return dead(err);
	return vk_spi(ctx, dst, proto, kind, reqid, spi, err);
}

static int op_sa_update(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	return dies(ctx) ? dead(err) : vk_add(ctx, sa, true, err);
}

static int op_sa_add(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	return dies(ctx) ? dead(err) : vk_add(ctx, sa, false, err);
}

static int op_sa_delete(void *ctx, const struct xf_said *id, struct cs_err *err)
{
	return dies(ctx) ? dead(err) : vk_delete(ctx, id, err);
}

static int op_sa_move(void *ctx, const struct xf_move *m, struct cs_err *err)
{
	return dies(ctx) ? dead(err) : vk_move(ctx, m, err);
}

static int op_sa_counters(void *ctx, const struct xf_said *id, struct xf_counters *c,
			  struct cs_err *err)
{
	struct vk_sa *sa = vk_find(ctx, id);

	if (!sa)
		return cs_fail(err, CS_ENOTFOUND, "no SA %08x", id->spi);
	*c = (struct xf_counters){.packets = sa->packets, .bytes = 84 * sa->packets};
	return 0;
}

static int op_policy_add(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	return dies(ctx) ? dead(err) : vk_policy_add(ctx, p, err);
}

static int op_policy_delete(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	return dies(ctx) ? dead(err) : vk_policy_delete(ctx, p, err);
}

static void op_larval_clear(void *ctx, const struct xf_acquire *a)
{
	if (!dies(ctx))
		vk_larval_clear(ctx, a);
}

static void op_keep(void *ctx, const struct ike_p1_kept *kept)
{
	if (!dies(ctx))
		sim_keep(ctx, kept);
}

static void op_forget(void *ctx, uint32_t tunnel, uint32_t generation)
{
	if (!dies(ctx))
		sim_forget(ctx, tunnel, generation);
}

static void op_quick_keep(void *ctx, const struct ike_quick_kept *kept)
{
	if (!dies(ctx))
		sim_keep_quick(ctx, kept);
}

static void op_quick_forget(void *ctx, uint32_t tunnel, uint32_t generation)
{
	if (!dies(ctx))
		sim_forget_quick(ctx, tunnel, generation);
}

static enum ike_done op_record(void *ctx, const struct ike_record *rec, uint64_t *tx)
{
	struct sim_host *h = ctx;
	struct sim *sim = h->sim;
	struct sim_event *ev;
	bool fails = rec->kind == IKE_REC_P2_INTENT && sim_bad(sim) &&
		     sim_chance(&sim->rng, sim->commit_fail_permille);

	*tx = ++h->ledger.next_tx;
	if (dies(h))
		return IKE_LATER;
	if (rec->kind == IKE_REC_P2_INTENT && rec->p1)
		sim_client_check(h, rec->p1);
	if (!fails)
		sim_take_record(h, rec, *tx);
	sim_share_record(h, rec);
	if (!fails && (!sim->commit_delay || sim_chance(&sim->rng, 300))) {
		sim_durable(h, *tx);
		return IKE_DONE;
	}
	ev = push(sim, sim->now + sim_below(&sim->rng, sim->commit_delay + 1), EV_COMMIT, h->index);
	ev->commit.tx = *tx;
	ev->commit.status = fails ? CS_ESTORE : 0;
	return IKE_LATER;
}

static void op_log(void *ctx, struct cs_logctx lc, const char *id, enum cs_severity severity,
		   const char *text)
{
	struct sim_host *h = ctx;
	char line[CS_LOG_LINE];

	(void)severity;
	if (!h->sim->verbose)
		return;
	cs_log_line(line, sizeof(line), lc, id, text);
	printf("%10.3f host %u %s\n", (double)h->sim->now / 1000, h->index, line);
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	(void)ctx;
	(void)ev;
}

const struct ike_ops sim_ops = {
	.send = op_send,
	.random = op_random,
	.pk = op_pk,
	.cert = op_cert,
	.sa_spi = op_sa_spi,
	.sa_update = op_sa_update,
	.sa_add = op_sa_add,
	.sa_delete = op_sa_delete,
	.sa_counters = op_sa_counters,
	.sa_move = op_sa_move,
	.policy_add = op_policy_add,
	.policy_delete = op_policy_delete,
	.larval_clear = op_larval_clear,
	.record = op_record,
	.p1_keep = op_keep,
	.p1_forget = op_forget,
	.quick_keep = op_quick_keep,
	.quick_forget = op_quick_forget,
	.settled = sim_share_settled,
	.log = op_log,
	.event = op_event,
};

/* ---- hosts ---- */

void sim_init(struct sim *sim, uint64_t seed, bool verbose)
{
	memset(sim, 0, sizeof(*sim));
	sim->seed = seed;
	sim->rng.state = seed;
	sim->verbose = verbose;
	sim->now = 1000;
}

int sim_start_engine(struct sim_host *h)
{
	struct ike_settings settings = {.retries = 6,
					.init_wait_ms = 2000,
					.port = 500,
					.last_tunnel = h->last_tunnel,
					.max_half_open = h->sim->max_half_open,
					.marking = {XF_MARK_SHIFT_DEFAULT}};
	struct cs_err err;

	if (ike_engine_new(&settings, &sim_ops, h, &h->engine, &err) < 0) {
		sim_fail(h->sim, "host %u: %s", h->index, err.text);
		return -1;
	}
	ike_engine_policy(h->engine, h->policy, sim_now(h->sim));
	sim_restore(h);
	return 0;
}

int sim_add_host(struct sim *sim, const struct sim_variant *variant, struct pol_policy *policy)
{
	struct sim_host *h = &sim->hosts[sim->n_hosts];

	h->sim = sim;
	h->index = sim->n_hosts++;
	h->outside = h->index;
	h->variant = variant;
	h->policy = pol_ref(policy);
	cs_addr_parse(sim_address(variant->ipv6, h->index), &h->addr, NULL);
	h->nat.there = variant->nat == SIM_NAT && !h->index;
	h->nat.timeout = 30000 + sim_below(&sim->rng, variant->nat ? 150000 : 0);
	if (variant->signs && !sim->ring.keyring && sim_keyring(&sim->ring)) {
		sim_fail(sim, "there is no keyring");
		return -1;
	}
	return sim_start_engine(h);
}

static struct sim_event *next_job(struct sim *sim, const struct sim_host *h)
{
	for (unsigned i = 0; i < sim->n_queue; i++) {
		struct sim_event *ev = sim->queue[i];

		if (ev->host == h->index &&
		    ((ev->kind == EV_PK && ev->job) || (ev->kind == EV_CERT && ev->cert)))
			return ev;
	}
	return NULL;
}

static void give_back(struct sim_host *h, struct sim_event *ev)
{
	struct ike_now now = sim_now(h->sim);

	h->jobs--;
	if (ev->kind == EV_PK) {
		struct ike_pk_job *job = ev->job;

		ev->job = NULL;
		ike_engine_pk_done(h->engine, job, now);
	} else {
		struct ike_cert_job *job = ev->cert;

		ev->cert = NULL;
		ike_engine_cert_done(h->engine, job, now);
	}
}

/* What the engine of this host still has under way; each may bring the next one. */
static void drain_jobs(struct sim_host *h)
{
	struct sim_event *ev;

	while ((ev = next_job(h->sim, h)))
		give_back(h, ev);
}

/* Answers what this host's store has taken; a store that is closed does it at once. */
static void drain_commits(struct sim_host *h)
{
	struct sim *sim = h->sim;

	for (unsigned i = 0; i < sim->n_queue; i++) {
		struct sim_event *ev = sim->queue[i];

		if (ev->kind == EV_COMMIT && ev->host == h->index && ev->epoch == h->epoch)
			ike_engine_committed(h->engine, ev->commit.tx, ev->commit.status,
					     sim_now(sim));
	}
}

void sim_kill_engine(struct sim_host *h)
{
	struct sim *sim = h->sim;

	for (unsigned i = 0; i < sim->n_queue; i++) {
		struct sim_event *ev = sim->queue[i];

		/* The engine frees them. */
		if (ev->kind == EV_PK && ev->host == h->index)
			ev->job = NULL;
		else if (ev->kind == EV_CERT && ev->host == h->index)
			ev->cert = NULL;
	}
	h->jobs = 0;
	h->fuse = 0;
	h->dead = true; /* whatever its end would do */
	ike_engine_free(h->engine);
	h->dead = false;
	h->engine = NULL;
	h->epoch++;
	sim_lose_records(h);
	/* What it was to remove it may not have heard of. */
	for (unsigned i = 0; i < sim->n_gone; i++)
		if (sim->gone[i].host == h->index)
			sim->gone[i--] = sim->gone[--sim->n_gone];
}

/* The engine dies within what it is doing, and another one begins some time later. */
void sim_light_fuse(struct sim_host *h, enum sim_death death)
{
	h->death = death;
	h->fuse = 1 + sim_below(&h->sim->rng, 25);
	h->fuse_until = h->sim->now + sim_below(&h->sim->rng, 2000);
	sim_at(h->sim, h->fuse_until, h->index, SIM_START, 0); /* something happens then */
}

void sim_bury(struct sim_host *h, enum sim_death death)
{
	struct sim *sim = h->sim;

	h->deaths++;
	sim_kill_engine(h);
	if (death != SIM_WORKER)
		sim_lose_kept(h);
	if (death == SIM_WHOLE_HOST)
		vk_halt(h);
	sim_at(sim, sim->now + 250 + sim_below(&sim->rng, 2000), h->index, SIM_START, 0);
}

static void bury(struct sim_host *h)
{
	struct sim *sim = h->sim;

	if (h->fuse && sim->now >= h->fuse_until)
		h->dead = true;
	if (h->dead && h->engine)
		sim_bury(h, h->death);
}

/* Now and then it dies once more, while it finds out what was left. */
static void start_again(struct sim_host *h)
{
	if (h->engine || h->sim->ended)
		return;
	if (!h->sim->shared && sim_chance(&h->sim->rng, 250))
		sim_light_fuse(h, SIM_WORKER);
	sim_start_engine(h);
}

/* ---- running ---- */

static int first_p1(void *arg, const struct ike_p1_info *info)
{
	*(uint32_t *)arg = info->tunnel;
	return 1;
}

static int first_p2(void *arg, const struct ike_p2_info *info)
{
	*(uint32_t *)arg = info->tunnel;
	return 1;
}

/* Larval states of acquires come first, as SPI 0; those of SPIs are left out. */
static unsigned dump(const struct vkernel *k, struct xf_sa *list)
{
	unsigned n = 0;

	for (unsigned i = 0; i < k->n_larvals; i++, n++) {
		list[n].reqid = xf_reqid(k->larvals[i].rule_id, 0);
		list[n].selector = k->larvals[i].selector;
		list[n].src = list[n].selector.local.lo;
		list[n].id.dst = list[n].selector.remote.lo;
		list[n].id.proto = IPPROTO_ESP;
	}
	for (unsigned i = 0; i < k->n_sas; i++)
		if (!k->sas[i]->larval) {
			list[n] = k->sas[i]->sa;
			list[n].cipher_key.len = list[n].integ_key.len = 0;
			n++;
		}
	return n;
}

static void resync(struct sim_host *h)
{
	struct vkernel *k = &h->kernel;
	struct xf_sa *list = calloc(k->n_sas + k->n_larvals + 1, sizeof(*list));
	unsigned n;

	if (!list)
		abort();
	n = dump(k, list);
	ike_engine_resync_begin(h->engine);
	for (unsigned i = 0; i < n; i++)
		ike_engine_resync_sa(h->engine, &list[i], &(struct xf_counters){0});
	ike_engine_resync_end(h->engine, sim_now(h->sim));
	free(list);
}

static void act(struct sim *sim, struct sim_host *h, enum sim_action action, unsigned peer)
{
	uint32_t tunnel = 0;

	if (action == SIM_START)
		start_again(h);
	if (!h->engine)
		return;
	switch (action) {
	case SIM_TRAFFIC:
		sim_packet(sim, h->index, peer);
		break;
	case SIM_DROP_P1:
		if (ike_engine_each_p1(h->engine, first_p1, &tunnel))
			ike_engine_deactivate_p1(h->engine, tunnel, sim_now(sim), NULL);
		break;
	case SIM_DROP_P2:
		if (ike_engine_each_p2(h->engine, first_p2, &tunnel))
			ike_engine_deactivate_p2(h->engine, tunnel, sim_now(sim), NULL);
		break;
	case SIM_REFRESH_P1:
		if (ike_engine_each_p1(h->engine, first_p1, &tunnel))
			ike_engine_refresh_p1(h->engine, tunnel, sim_now(sim), NULL);
		break;
	case SIM_REFRESH_P2:
		if (ike_engine_each_p2(h->engine, first_p2, &tunnel))
			ike_engine_refresh_p2(h->engine, tunnel, sim_now(sim), NULL);
		break;
	case SIM_RELOAD:
		sim_reload(h, sim_below(&sim->rng, SIM_EDITIONS), peer);
		break;
	case SIM_RESTART:
		sim_kill_engine(h);
		sim_start_engine(h);
		break;
	case SIM_RESYNC:
		resync(h);
		break;
	case SIM_NAT_RESTART:
		sim_nat_restart(h);
		break;
	case SIM_KILL:
		sim_light_fuse(h, (enum sim_death)peer);
		break;
	case SIM_START:
		break;
	}
}

static void expire(struct sim *sim, struct sim_host *h, const struct sim_event *ev)
{
	const struct vk_sa *sa = vk_find(h, &ev->expire.id);
	struct xf_expire x = {.id = ev->expire.id, .hard = ev->expire.hard};

	if (!sa || sa->added != ev->expire.added)
		return;
	x.counters.packets = sa->packets;
	if (x.hard)
		vk_delete(h, &x.id, NULL);
	if (h->engine)
		ike_engine_expire(h->engine, &x, sim_now(sim));
}

static void dispatch(struct sim *sim, struct sim_event *ev)
{
	struct sim_host *h = &sim->hosts[ev->host];
	bool alive = h->engine && ev->epoch == h->epoch;
	struct ike_now now = sim_now(sim);

	switch (ev->kind) {
	case EV_DATAGRAM:
		if (h->engine && !(h->variant->clients &&
				   sim_client_receive(h, ev->datagram.data, ev->datagram.len)))
			ike_engine_receive(h->engine, &ev->datagram.local, &ev->datagram.remote,
					   ev->datagram.data, ev->datagram.len, now);
		free(ev->datagram.data);
		break;
	case EV_PK:
		if (ev->job)
			give_back(h, ev);
		break;
	case EV_CERT:
		if (ev->cert)
			give_back(h, ev);
		break;
	case EV_COMMIT:
		if (!alive)
			break;
		sim_durable(h, ev->commit.tx);
		ike_engine_committed(h->engine, ev->commit.tx, ev->commit.status, now);
		break;
	case EV_ACQUIRE:
		if (h->engine)
			ike_engine_acquire(h->engine, &ev->acquire, now);
		break;
	case EV_EXPIRE:
		expire(sim, h, ev);
		break;
	case EV_ESP:
		vk_input(h, &ev->esp.id, ev->esp.port, ev->esp.cipher_key, ev->esp.integ_key);
		break;
	case EV_ACTION:
		act(sim, h, ev->action, ev->peer);
		break;
	}
	free(ev);
}

/* Time of the next deadline of any engine; *due is its host. */
static uint64_t next_deadline(struct sim *sim, struct sim_host **due)
{
	uint64_t best = UINT64_MAX;

	*due = NULL;
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		struct sim_host *h = &sim->hosts[i];
		uint64_t t = h->engine ? ike_engine_next(h->engine) : UINT64_MAX;

		if (t < best) {
			best = t;
			*due = h;
		}
	}
	return best;
}

void sim_run(struct sim *sim, uint64_t until)
{
	unsigned idle_ticks = 0, events = 0;

	while (!sim->failure[0]) {
		struct sim_host *due;
		uint64_t deadline = next_deadline(sim, &due);
		uint64_t event = sim->n_queue ? sim->queue[0]->at : UINT64_MAX;
		uint64_t next = deadline < event ? deadline : event;

		if (next > until)
			break;
		idle_ticks = next > sim->now ? 0 : idle_ticks + 1;
		if (idle_ticks > 100000) {
			sim_fail(sim, "host %u: the clock stands still", due ? due->index : 0);
			break;
		}
		if (next > sim->now)
			sim->now = next;
		if (event <= deadline)
			dispatch(sim, pop(sim));
		else
			ike_engine_tick(due->engine, sim_now(sim));
		for (unsigned i = 0; i < sim->n_hosts; i++)
			bury(&sim->hosts[i]);
		if (!sim->check_every || ++events % sim->check_every == 0)
			vk_check_pairs(sim);
		sim_check_gone(sim);
	}
	if (sim->now < until && !sim->failure[0])
		sim->now = until;
}

void sim_at(struct sim *sim, uint64_t at, unsigned host, enum sim_action action, unsigned peer)
{
	struct sim_event *ev = push(sim, at, EV_ACTION, host);

	ev->action = action;
	ev->peer = peer;
}

void sim_packet(struct sim *sim, unsigned host, unsigned peer)
{
	vk_output(&sim->hosts[host], &sim->hosts[peer]);
}

bool sim_both_ways(struct sim *sim, unsigned a, unsigned b, uint64_t milliseconds)
{
	uint64_t end = sim->now + milliseconds;
	unsigned at_a = sim->hosts[a].received, at_b = sim->hosts[b].received;

	while (sim->now < end && !sim->failure[0]) {
		bool a_done = sim->hosts[a].received > at_a, b_done = sim->hosts[b].received > at_b;

		if (a_done && b_done)
			return true;
		if (!b_done)
			sim_packet(sim, a, b);
		if (!a_done)
			sim_packet(sim, b, a);
		sim_run(sim, sim->now + 1000);
	}
	return false;
}

/* ---- the end ---- */

static void check_left(struct sim *sim, struct sim_host *h)
{
	struct sim_ledger *l = &h->ledger;

	if (h->kernel.n_sas)
		sim_fail(sim, "host %u: %u SAs left, first %08x", h->index, h->kernel.n_sas,
			 h->kernel.sas[0]->sa.id.spi);
	if (h->kernel.n_policies)
		sim_fail(sim, "host %u: %u policies left", h->index, h->kernel.n_policies);
	if (l->p1_up || l->p2_up)
		sim_fail(sim, "host %u: %d phase 1 and %d phase 2 records without their end",
			 h->index, l->p1_up, l->p2_up);
	for (unsigned i = 0; i < l->n_intents; i++)
		sim_fail(sim, "host %u: intent %llu of Y%u has no result", h->index,
			 (unsigned long long)l->intents[i].tx, l->intents[i].tunnel);
}

void sim_end(struct sim *sim)
{
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		struct sim_host *h = &sim->hosts[i];

		h->fuse = 0;
		if (!h->engine && !sim->failure[0])
			sim_start_engine(h);
		if (h->engine) {
			drain_jobs(h);
			ike_engine_shutdown(h->engine, true, false, sim_now(sim));
			drain_commits(h);
			sim_durable(h, UINT64_MAX);
			ike_engine_free(h->engine);
			h->engine = NULL;
			h->epoch++;
		}
		check_left(sim, h);
		if (!sim->failure[0])
			sim_audit(h);
	}
	sim->ended = true;
	while (sim->n_queue)
		dispatch(sim, pop(sim));
	sim_share_free(sim);
	free(sim->queue);
	free(sim->gone);
	sim_keyring_free(&sim->ring);
	for (unsigned i = 0; i < sim->n_hosts; i++) {
		vk_clear(&sim->hosts[i]);
		free(sim->hosts[i].ledger.intents);
		sim_forget_all(&sim->hosts[i]);
		sim_audit_free(&sim->hosts[i]);
		pol_unref(sim->hosts[i].policy);
	}
	if (ike_arena_used())
		sim_fail(sim, "%zu bytes of secrets left", ike_arena_used());
}
