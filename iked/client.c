/*
 * XAuth (draft-beaulieu-ike-xauth-02) as gateway, for rules with ClientAuthentication XAuth: when
 * phase 1 is up the client's user is asked for, and until the password has been found right the SA
 * serves for nothing else.  Passwords are hashed on purpose so that checking one takes long; that
 * is a job.  A phase 1 SA has one attempt.
 */
#include <ctype.h>
#include <string.h>

#include "iked/client.h"

#define STATUS_FAIL 0
#define STATUS_OK   1

_Static_assert(sizeof(struct ike_client) <= IKE_ARENA_MAX, "a client must fit the arena");

/* ---- the object ---- */

static void client_timer(struct ike_engine *e, struct ike_timer *t);

int ike_client_make(struct ike_engine *e, struct ike_p1 *p1, struct cs_err *err)
{
	struct ike_client *c = ike_arena_get(sizeof(*c));

	if (!c || ike_timer_make(&e->timers, &c->timer, client_timer)) {
		ike_arena_put(c, sizeof(*c));
		return cs_fail(err, CS_ENOMEM, "no memory for a client");
	}
	c->p1 = p1;
	p1->client = c;
	return 0;
}

void ike_client_free(struct ike_engine *e, struct ike_p1 *p1)
{
	struct ike_client *c = p1->client;

	if (!c)
		return;
	p1->client = NULL;
	if (c->job)
		ike_job_orphan(c->job, NULL);
	ike_table_remove(&e->leases, &c->by_address);
	ike_timer_unmake(&e->timers, &c->timer);
	ike_rt_clear(&c->rt);
	ike_answer_clear(&c->answer);
	ike_arena_put(c, sizeof(*c));
}

bool ike_client_in(const struct ike_p1 *p1)
{
	return !p1->client || p1->client->state == IKE_CL_IN;
}

static bool may_have(const struct ike_p1 *p1, const struct cs_range *remote)
{
	const struct ike_client *c = p1->client;

	if (!c || !p1->rule->action->pool.lo.family)
		return ike_client_in(p1);
	return c->state == IKE_CL_IN && c->by_address.in && cs_range_is_single(remote) &&
	       cs_addr_equal(&remote->lo, &c->address);
}

int ike_client_check(const struct ike_p1 *p1, const struct cs_selector *s, struct cs_err *err)
{
	char selector[CS_SELECTOR_STRLEN];

	if (may_have(p1, &s->remote))
		return 0;
	return cs_fail(err, CS_EPOLICY, "%s is not the address that the client was given",
		       cs_selector_text(s, selector));
}

static const struct pol_client_user *find_user(const struct pol_ke_rule *rule, const char *name)
{
	for (unsigned i = 0; i < rule->action->n_users; i++)
		if (!strcmp(rule->action->users[i].name, name))
			return &rule->action->users[i];
	return NULL;
}

bool ike_client_known(const struct ike_p1 *p1, const struct pol_ke_rule *rule)
{
	return !p1->client || p1->client->state != IKE_CL_IN ||
	       find_user(rule, p1->client->user) != NULL;
}

static const char *user_of(const struct ike_p1 *p1)
{
	return p1->client ? p1->client->user : "";
}

/* Who has proved nothing yet speaks for himself alone, whatever name he gave. */
bool ike_client_same(const struct ike_p1 *a, const struct ike_p1 *b)
{
	if (!a || !b || a == b)
		return true;
	return ike_client_in(a) && ike_client_in(b) && !strcmp(user_of(a), user_of(b));
}

/* ---- sending ---- */

static void stop_sending(struct ike_engine *e, struct ike_client *c)
{
	ike_rt_clear(&c->rt);
	ike_timer_stop(&e->timers, &c->timer);
}

/* A message of ours, in an exchange of its own, repeated until it is answered. */
static void begin(struct ike_engine *e, struct ike_client *c, struct isa_builder *b,
		  enum ike_config_type type)
{
	c->mid = ike_new_mid(e, c->p1);
	ike_seal_begin(e, c->p1, b, ISA_TRANSACTION, c->mid, IKE_SEAL_HASH1);
	ike_config_begin(b, type, (uint16_t)c->mid);
}

static void finish(struct ike_engine *e, struct ike_client *c, struct isa_builder *b)
{
	struct ike_p1 *p1 = c->p1;
	struct cs_err err = {0};
	size_t len = 0;

	isa_payload_end(b);
	if (!ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, c->mid, c->iv, &err))
		len = ike_seal_end(e, p1, b, c->mid, IKE_SEAL_HASH1, NULL, NULL, c->iv, &err);
	if (!len || ike_rt_start(e, &c->rt, &c->timer, p1, e->out, len, &err)) {
		ike_p1_down(e, p1, true, err.text);
		return;
	}
	ike_p1_count(e, p1, len);
}

void ike_client_ask(struct ike_engine *e, struct ike_p1 *p1, bool initial_contact)
{
	struct ike_client *c = p1->client;
	struct isa_builder b;

	c->initial_contact = initial_contact;
	c->state = IKE_CL_ASKED;
	begin(e, c, &b, IKE_CFG_REQUEST);
	ike_config_basic(&b, IKE_XAUTH_TYPE, 0); /* generic: a name and a password */
	ike_config_bytes(&b, IKE_XAUTH_USER, NULL, 0);
	ike_config_bytes(&b, IKE_XAUTH_PASSWORD, NULL, 0);
	finish(e, c, &b);
}

static void tell_status(struct ike_engine *e, struct ike_client *c, uint16_t status)
{
	struct isa_builder b;

	begin(e, c, &b, IKE_CFG_SET);
	ike_config_basic(&b, IKE_XAUTH_STATUS, status);
	finish(e, c, &b);
}

static void client_timer(struct ike_engine *e, struct ike_timer *t)
{
	struct ike_client *c = IKE_OF(t, struct ike_client, timer);

	if (ike_rt_again(e, &c->rt, &c->timer, c->p1))
		return;
	if (c->state == IKE_CL_IN) /* it knows, or will find out */
		stop_sending(e, c);
	else
		ike_p1_down(e, c->p1, true,
			    c->state == IKE_CL_REFUSED
				    ? "its user was refused"
				    : "the client did not answer when its user was asked for");
}

/* ---- who it is ---- */

/* The one place that lets a client in. */
static void let_in(struct ike_engine *e, struct ike_client *c)
{
	struct ike_p1 *p1 = c->p1;
	char peer[CS_ENDPOINT_STRLEN];

	c->state = IKE_CL_IN;
	e->stats.clients_in++;
	ike_logf(e, ike_p1_ctx(p1), CSM_CLIENT_IN, c->user, cs_endpoint_text(&p1->sid.remote, peer),
		 p1->tunnel, p1->rule->name);
	ike_keep_later(e, p1);
	tell_status(e, c, STATUS_OK);
	if (!p1->dead && c->initial_contact)
		ike_p1_initial_contact(e, p1);
	if (!p1->dead)
		ike_p1_start_waiting(e, p1);
}

/* Whatever was wrong, the client hears the same; the log says more. */
static void refuse(struct ike_engine *e, struct ike_client *c, const char *why)
{
	const struct ike_p1 *p1 = c->p1;
	char peer[CS_ENDPOINT_STRLEN];

	c->state = IKE_CL_REFUSED;
	e->stats.clients_refused++;
	ike_logf(e, ike_p1_ctx(p1), CSM_CLIENT_REFUSED, c->user[0] ? c->user : "?",
		 cs_endpoint_text(&p1->sid.remote, peer), p1->rule->name, why);
	tell_status(e, c, STATUS_FAIL);
}

/* Printable, because it goes into the log. */
static bool take_user(struct ike_client *c, struct cs_bytes name)
{
	if (!name.len || name.len > POL_USER_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++)
		if (!isgraph(name.p[i]))
			return false;
	memcpy(c->user, name.p, name.len);
	c->user[name.len] = 0;
	return true;
}

/* A user that is not there costs as much time as one who is. */
static void check(struct ike_engine *e, struct ike_client *c, struct cs_bytes password)
{
	const struct pol_ke_rule *rule = c->p1->rule;
	const struct pol_client_user *user = find_user(rule, c->user);
	struct cs_err err = {0};

	c->state = IKE_CL_CHECKING;
	if (ike_password_start(e, c->p1, user ? user->hash : rule->action->users[0].hash, password,
			       &err))
		refuse(e, c, err.text);
}

/* By the policy of now, which may be another one than when the check began. */
void ike_client_checked(struct ike_engine *e, struct ike_p1 *p1, const struct ike_pk_job *job)
{
	struct ike_client *c = p1->client;
	const struct pol_client_user *user = find_user(p1->rule, c->user);

	if (!user)
		refuse(e, c, "there is no such ClientUser");
	else if (job->status)
		refuse(e, c, job->err.text);
	else if (strcmp(user->hash, job->hash) != 0)
		refuse(e, c, "its password has changed meanwhile");
	else
		let_in(e, c);
}

static void take_reply(struct ike_engine *e, struct ike_client *c, const struct ike_config *got)
{
	stop_sending(e, c);
	if (got->has_status && got->status == STATUS_FAIL)
		refuse(e, c, "the client gave up");
	else if (got->xauth_type)
		refuse(e, c, "the client answered by another XAUTH-TYPE than generic");
	else if (!got->has_user || !take_user(c, got->user))
		refuse(e, c, "its user name is none, too long or not printable");
	else if (!got->has_password || got->password.len > IKE_PASSWORD_MAX ||
		 memchr(got->password.p, 0, got->password.len))
		refuse(e, c, "its password is none, too long or has a zero in it");
	else
		check(e, c, got->password);
}

/* ---- receiving ---- */

static void drop(struct ike_engine *e, const struct ike_p1 *p1, const char *why)
{
	char peer[CS_ENDPOINT_STRLEN];

	e->stats.dropped_malformed++;
	ike_logf(e, ike_p1_ctx(p1), CSM_DROPPED, "Transaction",
		 cs_endpoint_text(&p1->sid.remote, peer), why);
}

/* The answer to our message. */
static void receive_answer(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			   const uint8_t *data)
{
	struct ike_client *c = p1->client;
	enum ike_config_type wanted = c->state == IKE_CL_ASKED ? IKE_CFG_REPLY : IKE_CFG_ACK;
	struct ike_config got;
	struct isa_message m;
	struct cs_err err = {0};
	uint8_t iv[IKE_BLOCK_MAX];

	if (!c->rt.data) { /* it is answered already */
		e->stats.dropped_unknown++;
		return;
	}
	/* Who knows the group's key could keep the threads from all other work; he is asked again.
	 */
	if (c->state == IKE_CL_ASKED && e->n_passwords >= IKE_PASSWORDS_MAX) {
		e->stats.dropped_limit++;
		return;
	}
	memcpy(iv, c->iv, sizeof(iv));
	if (ike_open(e, p1, h, data, ISA_STEP_TRANSACTION, iv, NULL, NULL, &m, &err) ||
	    ike_config_read(&m, &got, &err)) {
		drop(e, p1, err.text);
		return;
	}
	if (got.type != wanted) {
		drop(e, p1, "it is not of the type that was asked for");
		return;
	}
	ike_p1_count(e, p1, h->length);
	ike_dpd_heard(e, p1);
	ike_path_heard(e, p1, true);
	if (c->state == IKE_CL_ASKED) {
		take_reply(e, c, &got);
		cs_wipe(e->plain, h->length); /* the password */
	} else if (c->state == IKE_CL_IN) {
		stop_sending(e, c);
	} else {
		ike_p1_down(e, p1, true, "its user was refused");
	}
}

static void answer(struct ike_engine *e, struct ike_p1 *p1, const struct ike_config *asked,
		   uint32_t mid, uint8_t *iv, uint64_t digest)
{
	struct isa_builder b;
	struct cs_err err = {0};
	size_t len;

	ike_config_lease(e, p1, asked);
	ike_seal_begin(e, p1, &b, ISA_TRANSACTION, mid, IKE_SEAL_HASH1);
	ike_config_begin(&b, IKE_CFG_REPLY, asked->id);
	ike_config_put_answer(p1, asked, &b);
	isa_payload_end(&b);
	len = ike_seal_end(e, p1, &b, mid, IKE_SEAL_HASH1, NULL, NULL, iv, &err);
	if (!len || ike_answer_keep(&p1->client->answer, digest, e->out, len)) {
		drop(e, p1, len ? "no memory for an answer" : err.text);
		return;
	}
	ike_p1_count(e, p1, len);
	ike_keep_later(e, p1);
	ike_send_p1(e, p1, e->out, len);
}

/* Mode Config, which the client begins. */
static void receive_request(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			    const uint8_t *data, uint64_t digest)
{
	struct ike_config asked;
	struct isa_message m;
	struct cs_err err = {0};
	uint8_t iv[IKE_BLOCK_MAX];
	int rc;

	if (!ike_client_in(p1) || ike_mid_used(p1, h->message_id)) {
		e->stats.dropped_unknown++;
		return;
	}
	rc = ike_phase2_iv(p1->suite.hash, p1->suite.cipher, p1->iv, h->message_id, iv, &err);
	if (!rc)
		rc = ike_open(e, p1, h, data, ISA_STEP_TRANSACTION, iv, NULL, NULL, &m, &err);
	if (!rc && ike_mid_use(p1, h->message_id))
		rc = cs_fail(&err, CS_ENOMEM, "no memory for a message id");
	if (!rc)
		rc = ike_config_read(&m, &asked, &err);
	if (!rc && asked.type != IKE_CFG_REQUEST)
		rc = cs_fail(&err, CS_EPARSE, "it is no request, and nothing was asked for");
	if (rc) {
		drop(e, p1, err.text);
		return;
	}
	ike_p1_count(e, p1, h->length);
	ike_dpd_heard(e, p1);
	ike_path_heard(e, p1, !p1->forgot);
	ike_client_heard(e, p1);
	answer(e, p1, &asked, h->message_id, iv, digest);
}

void ike_client_receive(struct ike_engine *e, struct ike_p1 *p1, const struct isa_header *h,
			const uint8_t *data, size_t len)
{
	struct ike_client *c = p1->client;
	uint64_t digest = ike_digest(e, data, len);

	if (c->answer.data && c->answer.digest == digest) {
		e->stats.repeats_answered++;
		p1->counts.repeated++;
		ike_send_again(e, p1, c->answer.data, c->answer.len);
	} else if (h->message_id == c->mid) {
		receive_answer(e, p1, h, data);
	} else {
		receive_request(e, p1, h, data, digest);
	}
}

void ike_client_heard(struct ike_engine *e, struct ike_p1 *p1)
{
	if (p1->client && p1->client->state == IKE_CL_IN)
		stop_sending(e, p1->client);
}

/* ---- the end, and an engine after this one ---- */

void ike_client_end_pairs(struct ike_engine *e, struct ike_p1 *p1, bool tell, const char *reason)
{
	struct ike_list *l = p1->p2s.next;

	while (p1->client && l != &p1->p2s) {
		struct ike_p2 *p2 = IKE_OF(l, struct ike_p2, in_p1);

		l = l->next;
		ike_p2_end(e, p2, tell, reason);
	}
}

int ike_client_adopt(struct ike_engine *e, struct ike_p1 *p1, const struct ike_p1_kept *k,
		     struct cs_err *err)
{
	int rc = ike_client_make(e, p1, err);

	if (rc)
		return rc;
	p1->client->state = IKE_CL_IN;
	memcpy(p1->client->user, k->user, sizeof(p1->client->user));
	p1->client->user[POL_USER_MAX] = 0;
	if (!ike_client_known(p1, p1->rule))
		return cs_fail(err, CS_EPOLICY, "the policy no longer has its ClientUser");
	if (k->client_address.family)
		ike_lease_hold(e, p1, &k->client_address);
	return 0;
}
