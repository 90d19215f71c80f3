/*
 * What a rule comes to, as one hash: SAs live on over a new policy while their rule's name and
 * content stay the same.  And what all of a policy comes to, without its secrets.
 */
#include "policy/content.h"

#include <string.h>

/* ---- filter rules: what decides how the rule's packets are protected ---- */

static void add_addr(struct pol_hash *h, const struct cs_addr *a)
{
	pol_hash_number(h, a->family);
	pol_hash_bytes(h, a->b, sizeof(a->b));
}

static void add_ranges(struct pol_hash *h, const struct cs_range *ranges, unsigned n)
{
	pol_hash_number(h, n);
	for (unsigned i = 0; i < n; i++) {
		add_addr(h, &ranges[i].lo);
		add_addr(h, &ranges[i].hi);
	}
}

static void add_service(struct pol_hash *h, const struct pol_service *s)
{
	pol_hash_number(h, s->proto);
	for (int i = 0; i < 2; i++) {
		pol_hash_number(h, s->src_port[i]);
		pol_hash_number(h, s->dst_port[i]);
		pol_hash_number(h, s->type[i]);
		pol_hash_number(h, s->code[i]);
	}
	pol_hash_number(h, s->direction);
	pol_hash_number(h, s->connect);
	pol_hash_number(h, s->routing);
	pol_hash_number(h, s->security_class);
	pol_hash_number(h, s->fragments_only);
}

static void add_life(struct pol_hash *h, const struct pol_life *l)
{
	pol_hash_number(h, l->proposed);
	pol_hash_number(h, l->accepted_min);
	pol_hash_number(h, l->accepted_max);
}

static void add_offer(struct pol_hash *h, const struct pol_data_offer *o)
{
	pol_hash_number(h, o->encap);
	pol_hash_number(h, o->auth_proto);
	pol_hash_text(h, o->cipher ? o->cipher->keyword : "");
	pol_hash_number(h, o->cipher ? o->cipher->key_bits : 0);
	pol_hash_text(h, o->integ ? o->integ->keyword : "");
	add_life(h, &o->life_seconds);
	add_life(h, &o->life_kbytes);
}

static void add_vpn(struct pol_hash *h, const struct pol_dynvpn_action *v)
{
	pol_hash_number(h, v != NULL);
	if (!v)
		return;
	pol_hash_number(h, v->initiation);
	pol_hash_number(h, v->vpn_life);
	pol_hash_number(h, v->initiate_pfs);
	pol_hash_number(h, v->n_accept_pfs);
	for (unsigned i = 0; i < v->n_accept_pfs; i++)
		pol_hash_number(h, v->accept_pfs[i]);
	pol_hash_number(h, v->passthrough_df);
	pol_hash_number(h, v->df_set);
	pol_hash_number(h, v->passthrough_dscp);
	pol_hash_number(h, v->n_offers);
	for (unsigned i = 0; i < v->n_offers; i++)
		add_offer(h, &v->offers[i]);
}

static void add_start(struct pol_hash *h, const struct pol_start_action *s)
{
	pol_hash_number(h, s != NULL);
	if (!s)
		return;
	add_addr(h, &s->local);
	add_addr(h, &s->remote);
	pol_hash_number(h, s->local_ip);
	pol_hash_number(h, s->remote_ip);
	pol_hash_number(h, s->local_port);
	pol_hash_number(h, s->remote_port);
	pol_hash_number(h, s->protocol);
}

static void add_identity(struct pol_hash *h, const struct pol_identity *id)
{
	pol_hash_number(h, id->type);
	add_addr(h, &id->addr.lo);
	add_addr(h, &id->addr.hi);
	pol_hash_text(h, id->text);
	pol_hash_bytes(h, id->data.p, id->data.len);
}

/* key false: of a tunnel's SAs all but what is secret. */
static void add_manual_sa(struct pol_hash *h, const struct pol_manual_sa *sa, bool key)
{
	pol_hash_number(h, sa->spi);
	if (key)
		pol_hash_bytes(h, sa->key.p, sa->key.len);
}

static void add_manual(struct pol_hash *h, const struct pol_manvpn_action *a, bool keys)
{
	add_addr(h, &a->local);
	add_addr(h, &a->remote);
	pol_hash_number(h, a->encap);
	pol_hash_number(h, a->auth_proto);
	pol_hash_text(h, a->cipher ? a->cipher->keyword : "");
	pol_hash_number(h, a->cipher ? a->cipher->key_bits : 0);
	pol_hash_text(h, a->integ->keyword);
	pol_hash_number(h, a->passthrough_df);
	pol_hash_number(h, a->df_set);
	pol_hash_number(h, a->passthrough_dscp);
	add_manual_sa(h, &a->auth_in, keys);
	add_manual_sa(h, &a->auth_out, keys);
	add_manual_sa(h, &a->encrypt_in, keys);
	add_manual_sa(h, &a->encrypt_out, keys);
}

int pol_manual_content(const struct pol_manvpn_action *a, uint8_t hash[static POL_CONTENT_LEN],
		       struct cs_err *err)
{
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	add_manual(&h, a, true);
	pol_hash_end(&h, hash);
	return 0;
}

int pol_filter_rule_content(const struct pol_filter_rule *r, uint8_t hash[static POL_HASH_LEN],
			    struct cs_err *err)
{
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	add_ranges(&h, r->src, r->n_src);
	add_ranges(&h, r->dst, r->n_dst);
	pol_hash_number(&h, r->n_services);
	for (unsigned i = 0; i < r->n_services; i++)
		add_service(&h, &r->services[i]);
	add_vpn(&h, r->vpn);
	add_start(&h, r->start);
	pol_hash_number(&h, r->on_demand);
	if (r->remote_identity)
		add_identity(&h, r->remote_identity);
	if (r->manual) /* its SAs are its own; which one it is, is the rule's */
		pol_hash_text(&h, r->manual->name);
	pol_hash_end(&h, hash);
	return 0;
}

static void add_time(struct pol_hash *h, const struct pol_time *t)
{
	pol_hash_number(h, t->from);
	pol_hash_number(h, t->to);
	pol_hash_number(h, t->months);
	pol_hash_number(h, t->days);
	pol_hash_number(h, t->days_from_end);
	pol_hash_number(h, t->weekdays);
	pol_hash_number(h, t->n_spans);
	for (unsigned i = 0; i < t->n_spans; i++) {
		pol_hash_number(h, t->spans[i][0]);
		pol_hash_number(h, t->spans[i][1]);
	}
	pol_hash_number(h, t->zone);
}

int pol_filter_rule_whole(const struct pol_filter_rule *r, uint8_t hash[static POL_HASH_LEN],
			  struct cs_err *err)
{
	uint8_t content[POL_HASH_LEN];
	struct pol_hash h;
	int rc = pol_filter_rule_content(r, content, err);

	if (rc == 0)
		rc = pol_hash_begin(&h, err);
	if (rc < 0)
		return rc;
	pol_hash_bytes(&h, content, sizeof(content));
	pol_hash_text(&h, r->group_name);
	pol_hash_text(&h, r->action_name);
	pol_hash_number(&h, r->verdict);
	pol_hash_number(&h, r->log);
	pol_hash_number(&h, r->discard_icmp);
	pol_hash_number(&h, r->n_times);
	for (unsigned i = 0; i < r->n_times; i++)
		add_time(&h, &r->times[i]);
	pol_hash_end(&h, hash);
	return 0;
}

/* ---- local tunnel rules ---- */

int pol_local_rule_content(const struct pol_local_dynvpn *r, uint8_t hash[static POL_HASH_LEN],
			   struct cs_err *err)
{
	const struct cs_selector *s = &r->selector;
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	pol_hash_text(&h, r->group_name);
	add_ranges(&h, &s->local, 1);
	add_ranges(&h, &s->remote, 1);
	pol_hash_number(&h, s->proto);
	pol_hash_number(&h, s->local_port);
	pol_hash_number(&h, s->remote_port);
	pol_hash_number(&h, r->type);
	pol_hash_number(&h, r->code);
	pol_hash_number(&h, r->auto_activate);
	pol_hash_end(&h, hash);
	return 0;
}

/* ---- key exchange rules: what the two hosts agree on ---- */

static void add_ke_offer(struct pol_hash *h, const struct pol_ke_offer *o)
{
	pol_hash_text(h, o->cipher->keyword);
	pol_hash_number(h, o->cipher->key_bits);
	pol_hash_text(h, o->hash->keyword);
	pol_hash_number(h, o->group->number);
	pol_hash_number(h, o->auth);
	add_life(h, &o->life_seconds);
	add_life(h, &o->life_kbytes);
}

static void add_ke_rule(struct pol_hash *h, const struct pol_ke_rule *r, bool key)
{
	const struct pol_ke_action *a = r->action;

	add_identity(h, &r->local.identity);
	add_identity(h, &r->remote.identity);
	pol_hash_number(h, r->remote.n_ca_labels);
	for (unsigned i = 0; i < r->remote.n_ca_labels; i++)
		pol_hash_text(h, r->remote.ca_labels[i]);
	if (key)
		pol_hash_bytes(h, r->shared_key.p, r->shared_key.len);
	pol_hash_text(h, a->name);
	pol_hash_number(h, a->initiate);
	pol_hash_number(h, a->respond);
	pol_hash_number(h, a->allow_nat);
	pol_hash_number(h, a->nat_force_encap);
	pol_hash_number(h, a->bypass_ip_validation);
	pol_hash_number(h, a->revocation);
	/* Not the users: one more or less is no other agreement with the rest. */
	pol_hash_number(h, a->xauth);
	add_addr(h, &a->pool.lo);
	add_addr(h, &a->pool.hi);
	pol_hash_number(h, a->quirks);
	pol_hash_number(h, a->n_offers);
	for (unsigned i = 0; i < a->n_offers; i++)
		add_ke_offer(h, &a->offers[i]);
}

int pol_ke_rule_content(const struct pol_ke_rule *r, uint8_t hash[static POL_CONTENT_LEN],
			struct cs_err *err)
{
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	add_ke_rule(&h, r, true);
	pol_hash_end(&h, hash);
	return 0;
}

const struct pol_ke_rule *pol_ke_rule_same(const struct pol_policy *policy, const char *name,
					   const uint8_t content[static POL_CONTENT_LEN])
{
	uint8_t hash[POL_CONTENT_LEN];

	for (unsigned i = 0; i < policy->n_ke_rules; i++) {
		const struct pol_ke_rule *rule = &policy->ke_rules[i];

		if (!strcmp(rule->name, name) && !pol_ke_rule_content(rule, hash, NULL) &&
		    !memcmp(hash, content, sizeof(hash)))
			return rule;
	}
	return NULL;
}

/* ---- the whole policy, for other hosts' eyes ---- */

static void add_ke_rest(struct pol_hash *h, const struct pol_ke_rule *r)
{
	const struct pol_ke_action *a = r->action;

	pol_hash_text(h, r->name);
	pol_hash_text(h, r->group_name);
	add_ranges(h, r->local.locations, r->local.n_locations);
	add_ranges(h, r->remote.locations, r->remote.n_locations);
	pol_hash_number(h, a->respond_coded);
	pol_hash_number(h, a->filter_by_identity);
	pol_hash_number(h, a->liveness);
	add_addr(h, &a->dns);
	pol_hash_number(h, a->n_users);
	for (unsigned i = 0; i < a->n_users; i++)
		pol_hash_text(h, a->users[i].name); /* and not what tells of a password */
}

static int add_filter_rules(struct pol_hash *h, const struct pol_policy *p, struct cs_err *err)
{
	uint8_t hash[POL_HASH_LEN];
	int rc = 0;

	pol_hash_number(h, p->n_rules);
	for (unsigned i = 0; rc == 0 && i < p->n_rules; i++) {
		rc = pol_filter_rule_whole(&p->rules[i], hash, err);
		pol_hash_text(h, p->rules[i].name);
		pol_hash_bytes(h, hash, rc == 0 ? sizeof(hash) : 0);
	}
	pol_hash_number(h, p->n_manuals);
	for (unsigned i = 0; i < p->n_manuals; i++) {
		pol_hash_text(h, p->manuals[i]->name);
		pol_hash_number(h, p->manuals[i]->active);
		add_manual(h, p->manuals[i], false);
	}
	return rc;
}

static int add_local_rules(struct pol_hash *h, const struct pol_policy *p, struct cs_err *err)
{
	uint8_t hash[POL_HASH_LEN];
	int rc = 0;

	pol_hash_number(h, p->n_local_rules);
	for (unsigned i = 0; rc == 0 && i < p->n_local_rules; i++) {
		rc = pol_local_rule_content(&p->local_rules[i], hash, err);
		pol_hash_text(h, p->local_rules[i].name);
		pol_hash_bytes(h, hash, rc == 0 ? sizeof(hash) : 0);
	}
	return rc;
}

int pol_meaning(const struct pol_policy *p, uint8_t digest[static POL_CONTENT_LEN],
		struct cs_err *err)
{
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	pol_hash_number(&h, p->predecap);
	pol_hash_number(&h, p->filter_logging);
	pol_hash_number(&h, p->allow_on_demand);
	pol_hash_number(&h, p->implicit_discard_icmp);
	pol_hash_number(&h, p->fips140);
	pol_hash_number(&h, p->log_implicit);
	pol_hash_number(&h, p->dvipsec);
	pol_hash_number(&h, p->nat_keepalive);
	rc = add_filter_rules(&h, p, err);
	pol_hash_number(&h, p->n_ke_rules);
	for (unsigned i = 0; i < p->n_ke_rules; i++) {
		add_ke_rule(&h, &p->ke_rules[i], false);
		add_ke_rest(&h, &p->ke_rules[i]);
	}
	if (rc == 0)
		rc = add_local_rules(&h, p, err);
	pol_hash_end(&h, digest);
	return rc;
}
