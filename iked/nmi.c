/* What the management socket offers, by docs/nmi.md. */
#include "common/nmi.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/iked.h"
#include "iked/json.h"
#include "iked/nmi_private.h"

/* ---- lists of SAs: a snapshot that is turned into JSON as the client takes it ---- */

struct p1_item {
	struct ike_p1_info info;
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1];
};

struct p2_item {
	struct ike_p2_info info;
	char rule[POL_NAME_MAX + 1], action[POL_NAME_MAX + 1], local_rule[POL_NAME_MAX + 1];
};

struct snapshot {
	struct xf_kernel *kernel;
	struct p1_item *p1; /* one of the two is in use */
	struct p2_item *p2;
	size_t n, cap, next;
	bool ike_view;
};

static void name(char to[static POL_NAME_MAX + 1], const char *from)
{
	snprintf(to, POL_NAME_MAX + 1, "%s", from ? from : "");
}

static size_t grown(const struct snapshot *s)
{
	return s->cap ? 2 * s->cap : 32;
}

static int take_p1(void *arg, const struct ike_p1_info *info)
{
	struct snapshot *s = arg;
	struct p1_item *item;

	if (s->n == s->cap) {
		struct p1_item *items = reallocarray(s->p1, grown(s), sizeof(*items));

		if (!items)
			return CS_ENOMEM;
		s->cap = grown(s);
		s->p1 = items;
	}
	item = &s->p1[s->n++];
	item->info = *info;
	name(item->rule, info->rule);
	name(item->action, info->action);
	return 0;
}

static int take_p2(void *arg, const struct ike_p2_info *info)
{
	struct snapshot *s = arg;
	struct p2_item *item;

	/* The stack knows an SA from its installation on. */
	if (!s->ike_view && info->state != IKE_P2_DONE && info->state != IKE_P2_EXPIRED)
		return 0;
	if (s->n == s->cap) {
		struct p2_item *items = reallocarray(s->p2, grown(s), sizeof(*items));

		if (!items)
			return CS_ENOMEM;
		s->cap = grown(s);
		s->p2 = items;
	}
	item = &s->p2[s->n++];
	item->info = *info;
	name(item->rule, info->rule);
	name(item->action, info->action);
	name(item->local_rule, info->local_rule);
	return 0;
}

/* By tunnel, its newest generation first. */
static int order(uint32_t tunnel_a, uint32_t generation_a, uint32_t tunnel_b, uint32_t generation_b)
{
	if (tunnel_a != tunnel_b)
		return tunnel_a < tunnel_b ? -1 : 1;
	return (generation_a < generation_b) - (generation_a > generation_b);
}

static int order_p1(const void *a, const void *b)
{
	const struct p1_item *x = a, *y = b;

	return order(x->info.tunnel, x->info.generation, y->info.tunnel, y->info.generation);
}

static int order_p2(const void *a, const void *b)
{
	const struct p2_item *x = a, *y = b;

	return order(x->info.tunnel, x->info.generation, y->info.tunnel, y->info.generation);
}

static int entry_or_error(json_t *o, json_t **json, struct cs_err *err)
{
	if (!o)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	*json = o;
	return 1;
}

static int next_p1(void *state, json_t **json, struct cs_err *err)
{
	struct snapshot *s = state;
	struct p1_item *item;

	if (s->next == s->n) {
		*json = NULL;
		return 0;
	}
	item = &s->p1[s->next++];
	item->info.rule = item->rule;
	item->info.action = item->action;
	return entry_or_error(ike_json_p1(&item->info), json, err);
}

static const struct xf_counters *counters(const struct snapshot *s, const struct cs_addr *dst,
					  const struct ike_p2_info *i, uint32_t spi,
					  struct xf_counters *c)
{
	struct xf_said id = {*dst, ike_ipproto(i->suite.protocol), spi};
	struct cs_err err;

	return spi && xf_sa_counters(s->kernel, &id, c, &err) == 0 ? c : NULL;
}

static int next_p2(void *state, json_t **json, struct cs_err *err)
{
	const struct xf_counters *in = NULL, *out = NULL;
	struct xf_counters in_buffer, out_buffer;
	struct snapshot *s = state;
	struct p2_item *item;
	struct ike_p2_info *i;

	if (s->next == s->n) {
		*json = NULL;
		return 0;
	}
	item = &s->p2[s->next++];
	i = &item->info;
	i->rule = item->rule;
	i->action = item->action;
	i->local_rule = item->local_rule;
	if (!s->ike_view) {
		in = counters(s, &i->local, i, i->spi_in, &in_buffer);
		out = counters(s, &i->remote, i, i->spi_out, &out_buffer);
	}
	return entry_or_error(ike_json_p2(i, s->ike_view, in, out, iked_now().wall), json, err);
}

static void release(void *state)
{
	struct snapshot *s = state;

	free(s->p1);
	free(s->p2);
	free(s);
}

static void ike_tunnels(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	struct snapshot *s = calloc(1, sizeof(*s));

	(void)request;
	if (!s || ike_engine_each_p1(n->env.engine, take_p1, s) < 0) {
		if (s)
			release(s);
		cs_nmi_error(n->server, ticket, CS_ENOMEM, "out of memory");
		return;
	}
	if (s->n)
		qsort(s->p1, s->n, sizeof(*s->p1), order_p1);
	cs_nmi_stream(n->server, ticket, next_p1, release, s);
}

static void dynamic_tunnels(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	const json_t *source = json_object_get(request, "source");
	const char *view = json_string_value(source);
	struct snapshot *s;

	if (source && !json_is_null(source) && (!view || strcmp(view, "ike") != 0)) {
		cs_nmi_error(n->server, ticket, CS_EINVAL, "\"source\" is \"ike\" or not given");
		return;
	}
	s = calloc(1, sizeof(*s));
	if (s) {
		s->kernel = n->env.kernel;
		s->ike_view = view != NULL;
	}
	if (!s || ike_engine_each_p2(n->env.engine, take_p2, s) < 0) {
		if (s)
			release(s);
		cs_nmi_error(n->server, ticket, CS_ENOMEM, "out of memory");
		return;
	}
	if (s->n)
		qsort(s->p2, s->n, sizeof(*s->p2), order_p2);
	cs_nmi_stream(n->server, ticket, next_p2, release, s);
}

/* ---- actions ---- */

static void deactivate_ike(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	const char *which = json_string_value(json_object_get(request, "tunnel"));
	struct snapshot s = {0};
	struct cs_err err;
	uint32_t tunnel;
	int status;

	if (iked_nmi_tunnel(which, 'K', &tunnel)) {
		status = ike_engine_deactivate_p1(n->env.engine, tunnel, iked_now(), &err);
		if (status < 0)
			cs_nmi_error(n->server, ticket, err.code, err.text);
		else
			iked_nmi_answer(n->server, ticket,
					iked_nmi_status('K', tunnel, NULL, "Deactivating"));
		return;
	}
	if (!which || strcmp(which, "all") != 0) {
		cs_nmi_error(n->server, ticket, CS_EINVAL, "\"tunnel\" is \"K<n>\" or \"all\"");
		return;
	}
	/* A list first: the engine's own must not change while it is walked. */
	if (ike_engine_each_p1(n->env.engine, take_p1, &s) < 0) {
		free(s.p1);
		cs_nmi_error(n->server, ticket, CS_ENOMEM, "out of memory");
		return;
	}
	if (s.n)
		qsort(s.p1, s.n, sizeof(*s.p1), order_p1);
	for (size_t i = 0; i < s.n; i++) {
		tunnel = s.p1[i].info.tunnel;
		if (i && tunnel == s.p1[i - 1].info.tunnel)
			continue;
		if (ike_engine_deactivate_p1(n->env.engine, tunnel, iked_now(), &err) == 0)
			cs_nmi_entry(n->server, ticket,
				     iked_nmi_status('K', tunnel, NULL, "Deactivating"));
	}
	free(s.p1);
	cs_nmi_done(n->server, ticket, NULL);
}

static void deactivate_dynamic(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	const char *which = json_string_value(json_object_get(request, "tunnel"));
	const char *rule = json_string_value(json_object_get(request, "rule"));
	bool all = which && strcmp(which, "all") == 0, found = false;
	struct snapshot s = {.ike_view = true};
	uint32_t tunnel = 0;
	struct cs_err err;

	/* Tunnels that packets began have a rule without a name; none asks for those by it. */
	if (!!which == !!rule || (rule && !*rule) ||
	    (which && !all && !iked_nmi_tunnel(which, 'Y', &tunnel))) {
		cs_nmi_error(n->server, ticket, CS_EINVAL,
			     "\"tunnel\" is \"Y<n>\" or \"all\", or \"rule\" is a LocalDynVpnRule");
		return;
	}
	if (ike_engine_each_p2(n->env.engine, take_p2, &s) < 0) {
		free(s.p2);
		cs_nmi_error(n->server, ticket, CS_ENOMEM, "out of memory");
		return;
	}
	if (s.n)
		qsort(s.p2, s.n, sizeof(*s.p2), order_p2);
	for (size_t i = 0; i < s.n; i++) {
		const struct p2_item *p2 = &s.p2[i];
		uint32_t id = p2->info.tunnel;

		if ((i && id == s.p2[i - 1].info.tunnel) || (tunnel && id != tunnel) ||
		    (rule && strcmp(rule, p2->local_rule) != 0))
			continue;
		if (ike_engine_deactivate_p2(n->env.engine, id, iked_now(), &err) < 0)
			continue;
		found = true;
		cs_nmi_entry(n->server, ticket,
			     iked_nmi_status('Y', id, p2->local_rule, "Deactivating"));
	}
	free(s.p2);
	if (found || all) {
		cs_nmi_done(n->server, ticket, NULL);
	} else {
		cs_fail(&err, CS_ENOTFOUND, "there is no dynamic tunnel %s%s",
			rule ? "of rule " : "", rule ? rule : which);
		cs_nmi_error(n->server, ticket, err.code, err.text);
	}
}

/* ---- statistics, policy, stop ---- */

static json_t *engine_numbers(const struct ike_stats *s)
{
	/* clang-format off */
	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I"
			 " s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I"
			 " s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I}",
			 "received", (json_int_t)s->received, "sent", (json_int_t)s->sent,
			 "dropped_malformed", (json_int_t)s->dropped_malformed,
			 "dropped_unknown", (json_int_t)s->dropped_unknown,
			 "dropped_limit", (json_int_t)s->dropped_limit,
			 "retransmitted", (json_int_t)s->retransmitted,
			 "fragments_sent", (json_int_t)s->fragments_sent,
			 "fragments_received", (json_int_t)s->fragments_received,
			 "fragments_repeated", (json_int_t)s->fragments_repeated,
			 "fragments_dropped", (json_int_t)s->fragments_dropped,
			 "reassembled", (json_int_t)s->reassembled,
			 "clients_in", (json_int_t)s->clients_in,
			 "clients_refused", (json_int_t)s->clients_refused,
			 "taken_over", (json_int_t)s->taken_over,
			 "awaited", (json_int_t)s->awaited, "given_up", (json_int_t)s->given_up,
			 "dropped_passive", (json_int_t)s->dropped_passive,
			 "repeats_answered", (json_int_t)s->repeats_answered,
			 "repeats_refused", (json_int_t)s->repeats_refused,
			 "auth_failures", (json_int_t)s->auth_failures,
			 "decrypt_failures", (json_int_t)s->decrypt_failures,
			 "p1_initiated", (json_int_t)s->p1_initiated,
			 "p1_responded", (json_int_t)s->p1_responded,
			 "p1_up", (json_int_t)s->p1_up, "p1_failed", (json_int_t)s->p1_failed,
			 "p2_up", (json_int_t)s->p2_up, "p2_failed", (json_int_t)s->p2_failed,
			 "p2_down", (json_int_t)s->p2_down,
			 "acquires", (json_int_t)s->acquires,
			 "acquires_merged", (json_int_t)s->acquires_merged,
			 "acquires_delayed", (json_int_t)s->acquires_delayed,
			 "kernel_refusals", (json_int_t)s->kernel_refusals,
			 "p1_live", (json_int_t)s->p1_live, "p2_live", (json_int_t)s->p2_live,
			 "half_open", (json_int_t)s->half_open);
	/* clang-format on */
}

static json_t *store_numbers(struct ike_store *store)
{
	struct ike_store_stats s;

	ike_store_stats(store, &s);
	return json_pack("{s:I s:I s:I s:I s:I s:I s:b}", "records", (json_int_t)s.records,
			 "commits", (json_int_t)s.commits, "retries", (json_int_t)s.retries,
			 "refused", (json_int_t)s.refused, "lost", (json_int_t)s.lost, "queued",
			 (json_int_t)s.queued, "stuck", s.stuck);
}

static json_t *pk_numbers(const struct ike_pk_pool *pool)
{
	struct ike_pk_stats s;

	ike_pk_pool_stats(pool, &s);
	return json_pack("{s:I s:I s:I s:I s:I s:I}", "jobs", (json_int_t)s.jobs, "failed",
			 (json_int_t)s.failed, "ahead_made", (json_int_t)s.ahead_made, "ahead_used",
			 (json_int_t)s.ahead_used, "under_way", (json_int_t)s.under_way,
			 "ahead_ready", (json_int_t)s.ahead_ready);
}

static json_t *shared_numbers(const struct ike_shared *shared)
{
	struct ike_shared_stats s;

	if (!shared)
		return json_null();
	ike_shared_stats(shared, &s);
	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:b}", "puts",
			 (json_int_t)s.puts, "drops", (json_int_t)s.drops, "failed",
			 (json_int_t)s.failed, "claims", (json_int_t)s.claims, "lost",
			 (json_int_t)s.lost, "reads", (json_int_t)s.reads, "malformed",
			 (json_int_t)s.malformed, "reconnects", (json_int_t)s.reconnects, "queued",
			 (json_int_t)s.queued, "unshared", (json_int_t)s.unshared, "reachable",
			 s.reachable);
}

static json_t *udp_numbers(const struct iked_nmi_env *env)
{
	struct iked_udp_stats sum = {0};

	for (unsigned i = 0; i < env->n_udp; i++) {
		const struct iked_udp_stats *s;

		if (!env->udp[i])
			continue;
		s = iked_udp_stats(env->udp[i]);
		sum.received += s->received;
		sum.sent += s->sent;
		sum.batches += s->batches;
		sum.receive_errors += s->receive_errors;
		sum.send_errors += s->send_errors;
		sum.malformed += s->malformed;
	}
	return json_pack("{s:I s:I s:I s:I s:I s:I}", "received", (json_int_t)sum.received, "sent",
			 (json_int_t)sum.sent, "batches", (json_int_t)sum.batches, "receive_errors",
			 (json_int_t)sum.receive_errors, "send_errors", (json_int_t)sum.send_errors,
			 "malformed", (json_int_t)sum.malformed);
}

static json_t *nmi_numbers(const struct iked_nmi *n)
{
	const struct cs_nmi_stats *s = cs_nmi_stats(n->server);

	return json_pack("{s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I s:I}", "accepted",
			 (json_int_t)s->accepted, "requests", (json_int_t)s->requests, "answers",
			 (json_int_t)s->answers, "errors", (json_int_t)s->errors, "refused",
			 (json_int_t)s->refused, "malformed", (json_int_t)s->malformed, "slow",
			 (json_int_t)s->slow, "idle", (json_int_t)s->idle, "orphans",
			 (json_int_t)s->orphans, "clients", (json_int_t)s->clients, "waiting",
			 (json_int_t)iked_waiting(n->waiters));
}

static void statistics(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	json_t *fields = json_pack("{s:o s:o s:o s:o s:o s:o}", "statistics",
				   engine_numbers(ike_engine_stats(n->env.engine)), "nmi",
				   nmi_numbers(n), "store", store_numbers(n->env.store), "shared",
				   shared_numbers(n->env.shared), "public_key",
				   pk_numbers(n->env.pk), "udp", udp_numbers(&n->env));

	(void)request;
	if (fields)
		cs_nmi_done(n->server, ticket, fields);
	else
		cs_nmi_error(n->server, ticket, CS_ENOMEM, "out of memory");
}

/* pagent asks for this after a change; what is in force already is not loaded again. */
static void policy(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	bool retry = json_is_true(json_object_get(request, "retry"));

	iked_wait_load(n->waiters, ticket,
		       retry ? iked_policy_retry(n->env.policy)
			     : iked_policy_reload(n->env.policy));
}

struct load_result {
	struct iked_nmi *nmi;
	int status;
	const struct cs_err *err;
};

static void answer_loaded(void *arg, uint64_t ticket)
{
	const struct load_result *r = arg;
	struct iked_nmi *n = r->nmi;
	uint64_t generation;
	int64_t installed;
	unsigned rules;

	/* No policy yet is an answer, not an error. */
	if (r->status < 0 && r->status != CS_ENOTFOUND) {
		cs_nmi_error(n->server, ticket, r->err->code, r->err->text);
		return;
	}
	iked_policy_in_force(n->env.policy, &generation, &installed, &rules);
	cs_nmi_done(n->server, ticket,
		    json_pack("{s:I s:o s:I}", "generation", (json_int_t)generation, "installed",
			      generation ? json_integer(installed) : json_null(), "rules",
			      (json_int_t)rules));
}

void iked_nmi_loaded(struct iked_nmi *n, uint64_t round, int status, const struct cs_err *err)
{
	struct load_result result = {n, status, err};

	iked_waiters_loaded(n->waiters, round, answer_loaded, &result);
}

static void stop(struct iked_nmi *n, uint64_t ticket, const json_t *request)
{
	bool keep = json_is_true(json_object_get(request, "keep"));

	cs_nmi_done(n->server, ticket, NULL);
	n->env.stop(n->env.arg, keep);
}

/* ---- requests ---- */

static const struct request {
	const char *name;
	void (*fn)(struct iked_nmi *n, uint64_t ticket, const json_t *request);
	bool control;
} requests[] = {
	{"ike-tunnels", ike_tunnels, false},
	{"dynamic-tunnels", dynamic_tunnels, false},
	{"deactivate-ike", deactivate_ike, true},
	{"deactivate-dynamic", deactivate_dynamic, true},
	{"activate-dynamic", iked_nmi_activate_dynamic, true},
	{"refresh-ike", iked_nmi_refresh_ike, true},
	{"refresh-dynamic", iked_nmi_refresh_dynamic, true},
	{"statistics", statistics, false},
	{"policy", policy, false},
	{"stop", stop, true},
};

static void handle(void *arg, struct cs_nmi_server *server, uint64_t ticket, uid_t uid,
		   const json_t *request)
{
	const char *what = json_string_value(json_object_get(request, "request"));
	struct iked_nmi *n = arg;

	for (unsigned i = 0; what && i < sizeof(requests) / sizeof(*requests); i++) {
		const struct request *r = &requests[i];

		if (strcmp(what, r->name) != 0)
			continue;
		if (r->control && !cs_nmi_may_control(uid)) {
			cs_log(CS_NOCTX, CSM_NMI_DENIED, r->name, (unsigned)uid);
			cs_nmi_error(server, ticket, CS_EPERM, "this user may not do that");
			return;
		}
		if (r->control)
			cs_log(CS_NOCTX, CSM_NMI_CONTROL, r->name, (unsigned)uid);
		/* What is shown is of this moment, also by a clock that was set just now. */
		ike_engine_tick(n->env.engine, iked_now());
		r->fn(n, ticket, request);
		return;
	}
	cs_nmi_error(server, ticket, CS_EINVAL, what ? "no such request" : "no request is named");
}

int iked_nmi_open(uv_loop_t *loop, const char *path, struct iked_nmi **nmi, struct cs_err *err)
{
	struct iked_nmi *n = calloc(1, sizeof(*n));
	int status;

	if (!n)
		return cs_fail(err, CS_ENOMEM, "out of memory");
	status = cs_nmi_serve(loop, path, "iked", handle, n, &n->server, err);
	if (status < 0) {
		free(n);
		return status;
	}
	n->waiters = iked_waiters_new(loop, n->server);
	if (!n->waiters) {
		cs_nmi_stop(n->server);
		free(n);
		return cs_fail(err, CS_ENOMEM, "out of memory");
	}
	*nmi = n;
	return 0;
}

void iked_nmi_attach(struct iked_nmi *n, const struct iked_nmi_env *env)
{
	n->env = *env;
}

void iked_nmi_stop(struct iked_nmi *n)
{
	iked_waiters_end(n->waiters, "iked stops");
	cs_nmi_stop(n->server);
	free(n);
}
