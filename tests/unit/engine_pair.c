/* The harness of the engine's unit tests, see engine_pair.h. */
#include "tests/unit/engine_pair.h"

#include <check.h>
#include <gcrypt.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

bool pair_crypto(void)
{
	return !ike_crypto_init(false, NULL) && !ike_arena_init(16u << 20, NULL);
}

/* ---- policies ---- */

static const char *or_default(const char *text, const char *otherwise)
{
	return text ? text : otherwise;
}

static const char *address(bool ipv6, unsigned index)
{
	static const char *const four[] = {"192.0.2.1", "198.51.100.2", "203.0.113.3"};
	static const char *const six[] = {"2001:db8:1::1", "2001:db8:2::2", "2001:db8:3::3"};

	return ipv6 ? six[index] : four[index];
}

static unsigned peer_of(unsigned index)
{
	return index == 0;
}

/* "a|b|c;d|e|f": calls fn for each triple. */
typedef void triple_fn(FILE *f, char *const part[3]);

static void each_triple(FILE *f, const char *list, triple_fn *fn)
{
	char *copy = strdup(list), *at = copy, *item;

	while ((item = strsep(&at, ";"))) {
		char *part[3];

		for (unsigned i = 0; i < 3; i++)
			part[i] = strsep(&item, "|");
		fn(f, part);
	}
	free(copy);
}

static void write_ke_offer(FILE *f, char *const part[3])
{
	char *rest = part[2];
	const char *group = strsep(&rest, "/");

	fprintf(f,
		"  KeyExchangeOffer\n  {\n    HowToEncrypt %s\n    HowToAuthMsgs %s\n    DHGroup "
		"%s\n"
		"    HowToAuthPeers %s\n    RefreshLifetimeProposed 480\n"
		"    RefreshLifetimeAccepted 5 1440\n  }\n",
		part[0], part[1], group, or_default(rest, "PresharedKey"));
}

static void write_data_offer(FILE *f, char *const part[3])
{
	fprintf(f,
		"  IpDataOffer\n  {\n    HowToEncap %s\n    HowToEncrypt %s\n    HowToAuth %s\n"
		"    RefreshLifetimeProposed 60\n    RefreshLifetimeAccepted 5 480\n  }\n",
		part[0], part[1], part[2]);
}

static void write_filter(FILE *f, const struct pair_policy *o, unsigned me)
{
	const char *local = address(o->ipv6, me), *remote = address(o->ipv6, peer_of(me));
	char copy[100], *at = copy, *group;

	fprintf(f,
		"IpFilterPolicy\n{\n  AllowOnDemand %s\n%s  IpFilterRule %s\n  {\n"
		"    IpSourceAddr%s %s\n    IpDestAddr%s %s\n    IpService\n    {\n      %s\n    "
		"}\n"
		"    IpGenericFilterActionRef Ipsec\n    IpDynVpnActionRef Vpn\n%s%s%s%s%s%s%s  "
		"}\n}\n"
		"IpGenericFilterAction Ipsec\n{\n  IpFilterAction IpSec\n}\n",
		o->no_on_demand ? "No" : "Yes", or_default(o->first_filter, ""),
		or_default(o->rule_name, "Both"), o->local_net ? "Set" : "",
		or_default(o->local_net, local), o->remote_net ? "Set" : "",
		or_default(o->remote_net, remote), or_default(o->service, "Protocol All"),
		o->local_net ? "    IpLocalStartActionRef Start\n" : "",
		o->times ? "    IpTimeCondition\n    {\n" : "", o->times ? o->times : "",
		o->times ? "\n    }\n" : "",
		o->rule_identity ? "    RemoteIdentity\n    {\n      Identity " : "",
		or_default(o->rule_identity, ""), o->rule_identity ? "\n    }\n" : "");
	if (o->local_net)
		fprintf(f,
			"IpLocalStartAction Start\n{\n  LocalSecurityEndpointAddr %s\n"
			"  %s%s\n  LocalIpGranularity %s\n  RemoteIpGranularity %s\n%s}\n",
			local, o->any_endpoint ? "" : "RemoteSecurityEndpointAddr ",
			o->any_endpoint ? "" : remote, o->a_tunnel_a_host ? "Packet" : "Rule",
			o->a_tunnel_a_host ? "Packet" : "Rule", or_default(o->start, ""));
	fprintf(f, "IpDynVpnAction Vpn\n{\n  Initiation %s\n  VpnLife %u\n  InitiateWithPfs %s\n",
		or_default(o->initiation, "Either"), o->vpn_life, or_default(o->pfs, "None"));
	snprintf(copy, sizeof(copy), "%s", or_default(o->accept_pfs, or_default(o->pfs, "None")));
	while ((group = strsep(&at, " ")))
		fprintf(f, "  AcceptablePfs %s\n", group);
	each_triple(f, or_default(o->data_offers, "Transport|AES_CBC KeyLength 128|ESP HMAC_SHA1"),
		    write_data_offer);
	fprintf(f, "}\n");
}

static void write_key_exchange(FILE *f, const struct pair_policy *o, unsigned me)
{
	const char *local = address(o->ipv6, me), *remote = address(o->ipv6, peer_of(me));
	char own_id[80], peer_id[80];

	snprintf(own_id, sizeof(own_id), "IpAddr %s", local);
	snprintf(peer_id, sizeof(peer_id), "IpAddr %s", remote);
	fprintf(f, "KeyExchangeAction Act\n{\n  LivenessInterval %s\n  HowToInitiate %s\n",
		or_default(o->liveness, "0"), or_default(o->how_to_initiate, "Main"));
	if (!o->how_to_respond || o->how_to_respond[0])
		fprintf(f, "  HowToRespondIKEv1 %s\n", or_default(o->how_to_respond, "Main"));
	if (o->bypass_ip_validation)
		fprintf(f, "  BypassIpValidation Yes\n");
	if (o->revocation)
		fprintf(f, "  RevocationChecking %s\n", o->revocation);
	fprintf(f, "%s", or_default(o->more_action, ""));
	each_triple(f, or_default(o->ke_offers, "AES_CBC KeyLength 128|SHA2_256|Group19"),
		    write_ke_offer);
	fprintf(f, "}\nKeyExchangePolicy\n{\n");
	if (!o->no_ke_rule)
		fprintf(f,
			"  KeyExchangeRule First\n  {\n    LocalSecurityEndpoint\n    {\n"
			"      Identity %s\n      Location %s\n    }\n    RemoteSecurityEndpoint\n"
			"    {\n      Identity %s\n      Location %s\n%s\n    }\n"
			"    KeyExchangeActionRef Act\n    SharedKey Ascii %s\n  }\n",
			or_default(o->local_id, own_id), local, or_default(o->remote_id, peer_id),
			or_default(o->remote_location, remote), or_default(o->ca_labels, ""),
			or_default(o->key, "a-good-secret"));
	fprintf(f, "%s}\n", or_default(o->more_rules, ""));
	if (o->local_rule)
		fprintf(f,
			"LocalDynVpnPolicy\n{\n  LocalDynVpnRule ByHand\n  {\n    LocalIp %s\n"
			"    RemoteIp %s\n%s  }\n}\n",
			or_default(o->local_net, local), or_default(o->remote_net, remote),
			o->auto_activate ? "    AutoActivate Yes\n" : "");
}

static void complain(void *arg, const struct pol_diag *d)
{
	(void)arg;
	if (d->severity == POL_ERROR)
		fprintf(stderr, "%s:%u: %s %s: %s\n", d->file, d->line, d->statement, d->attribute,
			d->text);
}

struct pol_policy *pair_make_policy(const struct pair_policy *o, unsigned index)
{
	static const struct pair_policy plain;
	char path[] = "/tmp/csipsec-pair-XXXXXX";
	int fd = mkstemp(path);
	FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
	struct pol_policy *policy = NULL;
	struct cs_err err = {0};
	int rc;

	ck_assert_ptr_nonnull(f);
	if (!o)
		o = &plain;
	write_filter(f, o, index);
	write_key_exchange(f, o, index);
	fclose(f);
	rc = pol_compile(path, "UNIT", complain, NULL, &policy, &err);
	unlink(path);
	ck_assert_msg(!rc, "%s", err.text);
	for (unsigned i = 0; i < policy->n_rules; i++)
		policy->rules[i].id = (uint16_t)(XF_MARK_RULE_MIN + i);
	return policy;
}

/* ---- operations ---- */

/* Allocates nothing, unlike Check's: some tests let allocations fail in here. */
static void require(bool ok, const char *what)
{
	if (!ok) {
		fprintf(stderr, "engine_pair: %s\n", what);
		abort();
	}
}

/* Without memory the datagram is lost, as datagrams are. */
static void keep(struct datagram *list, unsigned *n, unsigned from, const struct cs_endpoint *local,
		 const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	struct datagram d = {from, *local, *remote, malloc(len), len};

	if (!d.data)
		return;
	memcpy(d.data, data, len);
	list[(*n)++] = d;
}

static void op_send(void *ctx, const struct cs_endpoint *local, const struct cs_endpoint *remote,
		    const uint8_t *data, size_t len)
{
	struct side *s = ctx;
	struct pair *p = s->pair;

	require(p->n_queue < PAIR_DATAGRAMS, "the engines talk for ever");
	keep(p->queue, &p->n_queue, s->index, local, remote, data, len);
	if (p->n_history < PAIR_DATAGRAMS)
		keep(p->history, &p->n_history, s->index, local, remote, data, len);
}

static void op_random(void *ctx, void *buf, size_t len)
{
	(void)ctx;
	gcry_create_nonce(buf, len);
}

static enum ike_done op_pk(void *ctx, struct ike_pk_job *job)
{
	struct side *s = ctx;

	s->n_pk++;
	if (s->jobs_later) {
		require(s->n_jobs < 64, "s->n_jobs is full");
		s->jobs[s->n_jobs++] = job;
		return IKE_LATER;
	}
	ike_pk_run(job);
	return IKE_DONE;
}

static enum ike_done op_cert(void *ctx, struct ike_cert_job *job)
{
	struct side *s = ctx;

	if (s->certs_later) {
		require(s->n_cert_jobs < 16, "s->n_cert_jobs is full");
		s->cert_jobs[s->n_cert_jobs++] = job;
		return IKE_LATER;
	}
	if (s->cert)
		s->cert(s->cert_arg, job);
	else
		job->status = cs_fail(&job->err, CS_ENOTFOUND, "there is no keyring");
	return IKE_DONE;
}

static struct pair_sa *find_sa(struct side *s, const struct xf_said *id)
{
	for (unsigned i = 0; i < s->n_sas; i++)
		if (s->sas[i].sa.id.spi == id->spi && s->sas[i].sa.id.proto == id->proto &&
		    cs_addr_equal(&s->sas[i].sa.id.dst, &id->dst))
			return &s->sas[i];
	return NULL;
}

static bool refuses(struct side *s, struct cs_err *err)
{
	if (!s->refuse || --s->refuse)
		return false;
	cs_fail(err, CS_EKERNEL, "the test's kernel refuses");
	return true;
}

static int op_spi(void *ctx, const struct cs_addr *src, const struct cs_addr *dst, uint8_t proto,
		  enum xf_spi_kind kind, uint32_t reqid, enum xf_mode mode, uint32_t *spi,
		  struct cs_err *err)
{
	struct side *s = ctx;
	struct pair_sa *k;

	if (refuses(s, err))
		return CS_EKERNEL;
	require(s->n_sas < PAIR_SAS, "s->n_sas is full");
	k = &s->sas[s->n_sas++];
	memset(k, 0, sizeof(*k));
	k->larval = true;
	*spi = ++s->next_spi + (kind == XF_SPI_BUNDLED ? XF_SPI_BUNDLED_MIN : 0);
	k->sa.id = (struct xf_said){*dst, proto, *spi};
	k->sa.src = *src;
	k->sa.reqid = reqid;
	k->sa.mode = mode;
	return 0;
}

static int store_sa(struct side *s, struct pair_sa *k, const struct xf_sa *sa)
{
	bool guarded = sa->bundled && (sa->outbound || sa->id.spi >= XF_SPI_BUNDLED_MIN);

	(void)s;
	require(sa->integ || (sa->cipher && sa->cipher->icv_bits) || guarded,
		"an SA has no integrity");
	k->larval = false;
	k->sa = *sa;
	require(sa->cipher_key.len <= sizeof(k->keys[0]), "sa->cipher_key.len is too long");
	if (sa->cipher_key.len)
		memcpy(k->keys[0], sa->cipher_key.p, sa->cipher_key.len);
	if (sa->integ_key.len)
		memcpy(k->keys[1], sa->integ_key.p, sa->integ_key.len);
	k->sa.cipher_key.p = k->keys[0];
	k->sa.integ_key.p = k->keys[1];
	return 0;
}

static int op_update(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	struct side *s = ctx;
	struct pair_sa *k = find_sa(s, &sa->id);

	if (refuses(s, err))
		return CS_EKERNEL;
	if (!k || !k->larval)
		return cs_fail(err, CS_ENOTFOUND, "no larval SA");
	return store_sa(s, k, sa);
}

static int op_add(void *ctx, const struct xf_sa *sa, struct cs_err *err)
{
	struct side *s = ctx;

	if (refuses(s, err))
		return CS_EKERNEL;
	if (find_sa(s, &sa->id))
		return cs_fail(err, CS_EEXIST, "the SA exists");
	require(s->n_sas < PAIR_SAS, "s->n_sas is full");
	memset(&s->sas[s->n_sas], 0, sizeof(s->sas[0]));
	return store_sa(s, &s->sas[s->n_sas++], sa);
}

static void note_removed(struct side *s, char what)
{
	size_t len = strlen(s->removed);

	if (len + 1 < sizeof(s->removed))
		s->removed[len] = what;
}

static int op_delete(void *ctx, const struct xf_said *id, struct cs_err *err)
{
	struct side *s = ctx;
	struct pair_sa *k = find_sa(s, id);

	if (!k)
		return cs_fail(err, CS_ENOTFOUND, "no such SA");
	if (!k->larval)
		note_removed(s, k->sa.outbound ? 'o' : 'i');
	*k = s->sas[--s->n_sas];
	k->sa.cipher_key.p = k->keys[0];
	k->sa.integ_key.p = k->keys[1];
	return 0;
}

static int op_counters(void *ctx, const struct xf_said *id, struct xf_counters *c,
		       struct cs_err *err)
{
	struct side *s = ctx;

	if (!find_sa(s, id))
		return cs_fail(err, CS_ENOTFOUND, "no such SA");
	*c = (struct xf_counters){.packets = 3 + s->more_packets, .bytes = 252};
	return 0;
}

static int op_move(void *ctx, const struct xf_move *m, struct cs_err *err)
{
	struct side *s = ctx;
	struct pair_sa *k = find_sa(s, &m->id);
	struct xf_said there = m->id;

	if (refuses(s, err))
		return CS_EKERNEL;
	if (!k || k->larval || !k->sa.encap_sport)
		return cs_fail(err, CS_ENOTFOUND, "no such SA in UDP");
	require(k->sa.outbound == m->outbound, "an SA is moved as one of the other direction");
	if (m->outbound)
		there.dst = m->peer;
	if (!cs_addr_equal(&there.dst, &m->id.dst) && find_sa(s, &there))
		return cs_fail(err, CS_EEXIST, "the SA exists");
	k->sa.id = there;
	if (m->outbound)
		k->sa.encap_dport = m->encap_port;
	else
		k->sa.encap_sport = m->encap_port;
	if (!m->outbound)
		k->sa.src = m->peer;
	s->moves++;
	return 0;
}

static struct xf_policy *find_policy(struct side *s, const struct xf_policy *p)
{
	for (unsigned i = 0; i < s->n_policies; i++)
		if (s->policies[i].dir == p->dir && s->policies[i].mark == p->mark &&
		    cs_selector_equal(&s->policies[i].selector, &p->selector))
			return &s->policies[i];
	return NULL;
}

static int op_policy_add(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	struct side *s = ctx;
	struct xf_policy *old = find_policy(s, p);

	if (refuses(s, err))
		return CS_EKERNEL;
	if (old && p->hold)
		return cs_fail(err, CS_EEXIST, "the policy exists");
	s->policy_adds += !p->hold;
	require(s->n_policies < PAIR_POLICIES, "s->n_policies is full");
	if (old)
		*old = *p;
	else
		s->policies[s->n_policies++] = *p;
	return 0;
}

static int op_policy_delete(void *ctx, const struct xf_policy *p, struct cs_err *err)
{
	struct side *s = ctx;
	struct xf_policy *old = find_policy(s, p);

	if (!old)
		return cs_fail(err, CS_ENOTFOUND, "no such policy");
	if (!old->hold)
		note_removed(s, 'p');
	*old = s->policies[--s->n_policies];
	return 0;
}

static void op_larval_clear(void *ctx, const struct xf_acquire *a)
{
	struct side *s = ctx;

	(void)a;
	s->larval_clears++;
}

/* As a store does, so that what points to nowhere is seen. */
static void read_all(const struct ike_record *rec)
{
	static char copy[2 * (UINT16_MAX + 1)];

	snprintf(copy, sizeof(copy), "%s", rec->reason);
	if (rec->p1)
		snprintf(copy, sizeof(copy), "%s%s", rec->p1->rule, rec->p1->action);
	if (!rec->p2)
		return;
	snprintf(copy, sizeof(copy), "%s%s%s", rec->p2->rule, rec->p2->action, rec->p2->local_rule);
	if (rec->p2->local_id.len)
		memcpy(copy, rec->p2->local_id.p, rec->p2->local_id.len);
	if (rec->p2->remote_id.len)
		memcpy(copy, rec->p2->remote_id.p, rec->p2->remote_id.len);
}

/* One intent at a time is open, and its result names it. */
static enum ike_done op_record(void *ctx, const struct ike_record *rec, uint64_t *tx)
{
	struct side *s = ctx;

	*tx = ++s->last_tx;
	read_all(rec);
	s->n_records[rec->kind]++;
	s->n_in_doubt += rec->in_doubt;
	snprintf(s->reason, sizeof(s->reason), "%s", rec->reason);
	if (rec->kind == IKE_REC_P2_UP || rec->kind == IKE_REC_P2_FAILED) {
		require(rec->intent != 0, "rec->intent is missing");
		s->settled = rec->intent;
	}
	if (rec->kind == IKE_REC_P2_INTENT && s->later) {
		s->open_intent = *tx;
		return IKE_LATER;
	}
	return IKE_DONE;
}

static struct ike_p1_kept *find_kept(struct side *s, uint32_t tunnel, uint32_t generation)
{
	for (unsigned i = 0; i < s->n_kept; i++)
		if (s->kept[i].tunnel == tunnel && s->kept[i].generation == generation)
			return &s->kept[i];
	return NULL;
}

/* As many as fit: tests with more do not look. */
static void op_keep(void *ctx, const struct ike_p1_kept *kept)
{
	struct side *s = ctx;
	struct ike_p1_kept *k = find_kept(s, kept->tunnel, kept->generation);

	if (!k && s->n_kept < PAIR_KEPT)
		k = &s->kept[s->n_kept++];
	if (k)
		*k = *kept;
}

static void op_forget(void *ctx, uint32_t tunnel, uint32_t generation)
{
	struct side *s = ctx;
	struct ike_p1_kept *k = find_kept(s, tunnel, generation);

	if (k)
		*k = s->kept[--s->n_kept];
}

static void op_settled(void *ctx, uint64_t ref)
{
	struct side *s = ctx;

	require(ref < 64 && !(s->inherited >> ref & 1), "what is settled is settled already");
	s->inherited |= (uint64_t)1 << ref;
	s->n_inherited++;
}

static struct ike_quick_kept *find_quick(struct side *s, uint32_t tunnel, uint32_t generation)
{
	for (unsigned i = 0; i < s->n_quicks; i++)
		if (s->quicks[i].tunnel == tunnel && s->quicks[i].generation == generation)
			return &s->quicks[i];
	return NULL;
}

static void op_quick_keep(void *ctx, const struct ike_quick_kept *kept)
{
	struct side *s = ctx;

	require(!find_quick(s, kept->tunnel, kept->generation), "an exchange is kept once");
	if (s->n_quicks < PAIR_KEPT)
		s->quicks[s->n_quicks++] = *kept;
}

static void op_quick_forget(void *ctx, uint32_t tunnel, uint32_t generation)
{
	struct side *s = ctx;
	struct ike_quick_kept *k = find_quick(s, tunnel, generation);

	if (k)
		*k = s->quicks[--s->n_quicks];
}

static void op_clock(void *ctx, int64_t offset)
{
	struct side *s = ctx;

	s->clock = offset;
}

static void append(char *log, size_t size, size_t *len, const char *line)
{
	int n = snprintf(log + *len, size - *len, "%s\n", line);

	if (n > 0 && (size_t)n < size - *len)
		*len += (size_t)n;
}

static void op_log(void *ctx, struct cs_logctx lc, const char *id, enum cs_severity severity,
		   const char *text)
{
	struct side *s = ctx;
	char line[CS_LOG_LINE];

	cs_log_line(line, sizeof(line), lc, id, text);
	append(s->log, sizeof(s->log), &s->log_len, line);
	if (severity >= CS_WARNING)
		append(s->bad, sizeof(s->bad), &s->bad_len, line);
}

static void op_event(void *ctx, const struct ike_event *ev)
{
	struct side *s = ctx;

	s->n_events[ev->kind]++;
	if (s->hear)
		s->hear(ev);
	snprintf(s->reason, sizeof(s->reason), "%s", ev->reason);
}

static const struct ike_ops ops = {
	.send = op_send,
	.random = op_random,
	.pk = op_pk,
	.cert = op_cert,
	.sa_spi = op_spi,
	.sa_update = op_update,
	.sa_add = op_add,
	.sa_delete = op_delete,
	.sa_counters = op_counters,
	.sa_move = op_move,
	.policy_add = op_policy_add,
	.policy_delete = op_policy_delete,
	.larval_clear = op_larval_clear,
	.record = op_record,
	.p1_keep = op_keep,
	.p1_forget = op_forget,
	.settled = op_settled,
	.quick_keep = op_quick_keep,
	.quick_forget = op_quick_forget,
	.clock = op_clock,
	.log = op_log,
	.event = op_event,
};

void pair_ops(struct ike_ops *copy)
{
	*copy = ops;
}

/* ---- the pair ---- */

void pair_engine(struct side *s)
{
	struct ike_settings set = {.retries = 6,
				   .init_wait_ms = 2000,
				   .port = 500,
				   .max_half_open = 8,
				   .reserved_half_open = 2,
				   .max_jobs = 4,
				   .marking = {XF_MARK_SHIFT_DEFAULT}};
	struct cs_err err;

	ck_assert_msg(!ike_engine_new(&set, &ops, s, &s->e, &err), "%s", err.text);
	ike_engine_policy(s->e, s->policy, s->pair->now);
}

static void start(struct pair *p, unsigned i, const struct pair_policy *o)
{
	struct side *s = &p->side[i];

	s->pair = p;
	s->index = i;
	s->next_spi = 0x1000u * (i + 1);
	s->policy = pair_make_policy(o, i);
	cs_addr_parse(address(o && o->ipv6, i), &s->addr.addr, NULL);
	s->addr.port = 500;
	pair_engine(s);
}

struct pair *pair_new(const struct pair_policy *left, const struct pair_policy *right)
{
	struct pair *p = calloc(1, sizeof(*p));

	ck_assert_ptr_nonnull(p);
	p->now = (struct ike_now){1000, 1700000000};
	start(p, 0, left);
	start(p, 1, right);
	p->n_sides = 2;
	return p;
}

struct side *pair_third(struct pair *p, const struct pair_policy *o)
{
	start(p, 2, o);
	p->n_sides = 3;
	return &p->side[2];
}

static void drop_queue(struct datagram *d, unsigned *n)
{
	while (*n)
		free(d[--*n].data);
}

void pair_forget_history(struct pair *p)
{
	drop_queue(p->history, &p->n_history);
}

void pair_free(struct pair *p)
{
	for (unsigned i = 0; i < p->n_sides; i++) {
		struct side *s = &p->side[i];
		const struct ike_stats *stats = ike_engine_stats(s->e);

		pair_jobs(p);
		ike_engine_shutdown(s->e, false, false, p->now);
		ck_assert_uint_eq(stats->p1_live, 0);
		ck_assert_uint_eq(stats->p2_live, 0);
		ck_assert_uint_eq(stats->half_open, 0);
		ck_assert_uint_eq(ike_engine_next(s->e), UINT64_MAX);
		ck_assert_msg(!s->n_sas, "side %u keeps %u SAs", i, s->n_sas);
		ck_assert_msg(!s->n_policies, "side %u keeps %u policies", i, s->n_policies);
		ck_assert_uint_eq(s->n_quicks, 0);
		ck_assert_uint_eq(s->n_records[IKE_REC_P1_UP], s->n_records[IKE_REC_P1_DOWN]);
		ck_assert_uint_eq(s->n_records[IKE_REC_P2_UP], s->n_records[IKE_REC_P2_DOWN]);
		ike_engine_free(s->e);
		pol_unref(s->policy);
	}
	drop_queue(p->queue, &p->n_queue);
	drop_queue(p->history, &p->n_history);
	free(p);
	ck_assert_uint_eq(ike_arena_used(), 0);
}

/* In the arena's eyes what was sent is the other's local end. */
static void deliver(struct pair *p, const struct datagram *sent)
{
	struct datagram copy = *sent, *d = &copy;

	if (p->nat && !p->nat(p, d))
		return;
	/* A keepalive does not get beyond the port. */
	if (d->len == 1 && d->data[0] == 0xff)
		return;
	for (unsigned i = 0; i < p->n_sides; i++) {
		struct side *to = &p->side[i];

		if (i != d->from && cs_addr_equal(&d->remote.addr, &to->addr.addr))
			ike_engine_receive(to->e, &d->remote, &d->local, d->data, d->len, p->now);
	}
}

/* The queue's bound ends the test when two engines talk for ever. */
void pair_run(struct pair *p)
{
	for (unsigned i = 0; i < p->n_queue; i++) {
		struct datagram d = p->queue[i];

		if (!p->filter || p->filter(p, d.from, d.data, &d.len))
			deliver(p, &d);
		free(d.data);
	}
	p->n_queue = 0;
}

static uint64_t next_deadline(const struct pair *p)
{
	uint64_t next = UINT64_MAX;

	for (unsigned i = 0; i < p->n_sides; i++) {
		uint64_t other = ike_engine_next(p->side[i].e);

		if (other < next)
			next = other;
	}
	return next;
}

void pair_wait(struct pair *p, uint64_t milliseconds)
{
	uint64_t end = p->now.mono + milliseconds;

	for (;;) {
		uint64_t next = next_deadline(p);

		pair_run(p);
		if (next > end)
			break;
		if (next > p->now.mono) {
			p->now.wall += (int64_t)(next / 1000 - p->now.mono / 1000);
			p->now.mono = next;
		}
		for (unsigned i = 0; i < p->n_sides; i++)
			ike_engine_tick(p->side[i].e, p->now);
		pair_run(p);
	}
	p->now.wall += (int64_t)(end / 1000 - p->now.mono / 1000);
	p->now.mono = end;
}

void pair_acquire(struct pair *p, unsigned i)
{
	struct side *s = &p->side[i];
	struct xf_acquire a = {.rule_id = XF_MARK_RULE_MIN, .proto = IPPROTO_ESP};

	a.src = s->addr.addr;
	a.dst = p->side[peer_of(i)].addr.addr;
	a.selector.local = cs_range_single(&s->policy->rules[0].src[0].lo);
	a.selector.remote = cs_range_single(&s->policy->rules[0].dst[0].lo);
	a.selector.proto = IPPROTO_TCP;
	a.selector.local_port = 40000;
	a.selector.remote_port = 80;
	ike_engine_acquire(s->e, &a, p->now);
	pair_run(p);
}

void pair_commit(struct side *s, int status)
{
	uint64_t tx = s->open_intent;

	s->open_intent = 0;
	ck_assert_uint_ne(tx, 0);
	ike_engine_committed(s->e, tx, status, s->pair->now);
	pair_run(s->pair);
}

void pair_jobs(struct pair *p)
{
	for (unsigned i = 0; i < p->n_sides; i++) {
		struct side *s = &p->side[i];

		while (s->n_jobs) {
			struct ike_pk_job *job = s->jobs[--s->n_jobs];

			ike_pk_run(job);
			ike_engine_pk_done(s->e, job, p->now);
		}
		while (s->n_cert_jobs) {
			struct ike_cert_job *job = s->cert_jobs[--s->n_cert_jobs];

			s->cert(s->cert_arg, job);
			ike_engine_cert_done(s->e, job, p->now);
		}
	}
	pair_run(p);
}

void pair_expire(struct pair *p, unsigned i, bool hard)
{
	struct side *s = &p->side[i];
	struct xf_expire x = {.hard = hard, .counters = {.packets = 9}};

	for (unsigned k = 0; k < s->n_sas; k++)
		if (!s->sas[k].sa.outbound)
			x.id = s->sas[k].sa.id;
	ck_assert_uint_ne(x.id.spi, 0);
	ike_engine_expire(s->e, &x, p->now);
	pair_run(p);
}

void pair_replay(struct pair *p, unsigned nth)
{
	ck_assert_uint_lt(nth, p->n_history);
	deliver(p, &p->history[nth]);
}

unsigned pair_holds(const struct side *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_policies; i++)
		n += s->policies[i].hold;
	return n;
}

unsigned pair_installed(const struct side *s)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n_sas; i++)
		n += !s->sas[i].larval;
	return n;
}

static bool same_keys(const struct xf_sa *a, const struct xf_sa *b)
{
	return a->cipher == b->cipher && a->integ == b->integ && a->mode == b->mode &&
	       a->outbound != b->outbound && a->cipher_key.len == b->cipher_key.len &&
	       a->integ_key.len == b->integ_key.len &&
	       !memcmp(a->cipher_key.p, b->cipher_key.p, a->cipher_key.len) &&
	       !memcmp(a->integ_key.p, b->integ_key.p, a->integ_key.len);
}

bool pair_mirrored(const struct pair *p)
{
	const struct side *left = &p->side[0];
	struct side *right = (struct side *)&p->side[1];

	if (!left->n_sas || left->n_sas != right->n_sas)
		return false;
	for (unsigned i = 0; i < left->n_sas; i++) {
		struct pair_sa *other = find_sa(right, &left->sas[i].sa.id);

		if (!other || other->larval || !same_keys(&left->sas[i].sa, &other->sa))
			return false;
	}
	return true;
}

bool pair_said(const struct side *s, const char *text)
{
	return strstr(s->log, text) != NULL;
}

unsigned pair_complaints(const struct side *s, const char *text)
{
	unsigned n = 0;

	for (const char *line = s->bad, *end; (end = strchr(line, '\n')); line = end + 1)
		n += !text || memmem(line, (size_t)(end - line), text, strlen(text));
	return n;
}

/* ---- what tests expect ---- */

const struct ike_stats *pair_stats(const struct pair *p, unsigned i)
{
	return ike_engine_stats(p->side[i].e);
}

/* One tunnel, up on both sides, the same on both sides. */
void pair_expect_up(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_msg(pair_stats(p, i)->p2_live == 1, "side %u:\n%s", i, p->side[i].log);
		ck_assert_msg(pair_stats(p, i)->p2_up == 1, "side %u:\n%s", i, p->side[i].log);
		ck_assert_uint_eq(pair_installed(&p->side[i]),
				  p->side[i].policies[0].bundle ? 4 : 2);
		ck_assert_uint_eq(p->side[i].n_policies, 1);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P1_UP], 1);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P2_INTENT], 1);
		ck_assert_uint_eq(p->side[i].n_records[IKE_REC_P2_UP], 1);
	}
	ck_assert(pair_mirrored(p));
}

/* Nothing in the kernel but what holds packets for a while, nothing under way. */
void pair_expect_nothing(struct pair *p)
{
	for (unsigned i = 0; i < 2; i++) {
		ck_assert_msg(!p->side[i].n_sas, "side %u:\n%s", i, p->side[i].log);
		ck_assert_uint_eq(p->side[i].n_policies, pair_holds(&p->side[i]));
		ck_assert_uint_eq(pair_stats(p, i)->p2_live, 0);
	}
}

struct pair *pair_up(const struct pair_policy *o)
{
	struct pair *p = pair_new(o, o);

	pair_acquire(p, 0);
	pair_expect_up(p);
	return p;
}
