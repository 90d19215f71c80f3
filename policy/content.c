/*
 * What a rule comes to, as one hash: SAs live on over a new policy while their rule's name and
 * content stay the same.
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

static void add_manual_sa(struct pol_hash *h, const struct pol_manual_sa *sa)
{
	pol_hash_number(h, sa->spi);
	pol_hash_bytes(h, sa->key.p, sa->key.len);
}

int pol_manual_content(const struct pol_manvpn_action *a, uint8_t hash[static POL_CONTENT_LEN],
		       struct cs_err *err)
{
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	add_addr(&h, &a->local);
	add_addr(&h, &a->remote);
	pol_hash_number(&h, a->encap);
	pol_hash_number(&h, a->auth_proto);
	pol_hash_text(&h, a->cipher ? a->cipher->keyword : "");
	pol_hash_number(&h, a->cipher ? a->cipher->key_bits : 0);
	pol_hash_text(&h, a->integ->keyword);
	pol_hash_number(&h, a->passthrough_df);
	pol_hash_number(&h, a->df_set);
	pol_hash_number(&h, a->passthrough_dscp);
	add_manual_sa(&h, &a->auth_in);
	add_manual_sa(&h, &a->auth_out);
	add_manual_sa(&h, &a->encrypt_in);
	add_manual_sa(&h, &a->encrypt_out);
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

int pol_ke_rule_content(const struct pol_ke_rule *r, uint8_t hash[static POL_CONTENT_LEN],
			struct cs_err *err)
{
	const struct pol_ke_action *a = r->action;
	struct pol_hash h;
	int rc = pol_hash_begin(&h, err);

	if (rc < 0)
		return rc;
	add_identity(&h, &r->local.identity);
	add_identity(&h, &r->remote.identity);
	pol_hash_number(&h, r->remote.n_ca_labels);
	for (unsigned i = 0; i < r->remote.n_ca_labels; i++)
		pol_hash_text(&h, r->remote.ca_labels[i]);
	pol_hash_bytes(&h, r->shared_key.p, r->shared_key.len);
	pol_hash_text(&h, a->name);
	pol_hash_number(&h, a->initiate);
	pol_hash_number(&h, a->respond);
	pol_hash_number(&h, a->allow_nat);
	pol_hash_number(&h, a->nat_force_encap);
	pol_hash_number(&h, a->bypass_ip_validation);
	pol_hash_number(&h, a->revocation);
	/* Not the users: one more or less is no other agreement with the rest. */
	pol_hash_number(&h, a->xauth);
	add_addr(&h, &a->pool.lo);
	add_addr(&h, &a->pool.hi);
	pol_hash_number(&h, a->quirks);
	pol_hash_number(&h, a->n_offers);
	for (unsigned i = 0; i < a->n_offers; i++)
		add_ke_offer(&h, &a->offers[i]);
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
