/* A compiled policy as text, every field of it. */
#include "policy_dump.h"

#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "policy/ttls_image.h"

static void put_bytes(FILE *f, const struct cs_bytes *bytes)
{
	fprintf(f, "%zu:", bytes->len);
	for (size_t i = 0; i < bytes->len; i++)
		fprintf(f, "%02x", bytes->p[i]);
}

static void put_range(FILE *f, const struct cs_range *range)
{
	char text[CS_RANGE_STRLEN];

	fprintf(f, " %s", range->lo.family ? cs_range_text(range, text) : "none");
}

static void put_addr(FILE *f, const char *label, const struct cs_addr *addr)
{
	char text[CS_ADDR_STRLEN];

	fprintf(f, " %s %s", label, addr->family ? cs_addr_text(addr, text) : "none");
}

static void put_life(FILE *f, const struct pol_life *l)
{
	fprintf(f, " life %u %u %u", l->proposed, l->accepted_min, l->accepted_max);
}

/* ---- filters ---- */

static void put_service(FILE *f, const struct pol_service *s)
{
	fprintf(f, "  service %s: %d src %u %u dst %u %u type %d %d code %d %d %d %d %d %u %d\n",
		s->name, s->proto, s->src_port[0], s->src_port[1], s->dst_port[0], s->dst_port[1],
		s->type[0], s->type[1], s->code[0], s->code[1], s->direction, s->connect,
		s->routing, s->security_class, s->fragments_only);
}

static void put_time(FILE *f, const struct pol_time *t)
{
	fprintf(f, "  time %lld %lld %x %x %x %x zone %d", (long long)t->from, (long long)t->to,
		t->months, t->days, t->days_from_end, t->weekdays, t->zone);
	for (unsigned i = 0; i < t->n_spans; i++)
		fprintf(f, " %u-%u", t->spans[i][0], t->spans[i][1]);
	fputc('\n', f);
}

static void put_vpn(FILE *f, const struct pol_dynvpn_action *v)
{
	fprintf(f, "  vpn %s: %d %u pfs %u accept", v->name, v->initiation, v->vpn_life,
		v->initiate_pfs);
	for (unsigned i = 0; i < v->n_accept_pfs; i++)
		fprintf(f, " %u", v->accept_pfs[i]);
	fprintf(f, " through %d %d %d\n", v->passthrough_df, v->df_set, v->passthrough_dscp);
	for (unsigned i = 0; i < v->n_offers; i++) {
		const struct pol_data_offer *o = &v->offers[i];

		fprintf(f, "   offer %s: %d %d %s %u %s", o->name, o->encap, o->auth_proto,
			o->cipher ? o->cipher->keyword : "none",
			o->cipher ? o->cipher->key_bits : 0, o->integ ? o->integ->keyword : "none");
		put_life(f, &o->life_seconds);
		put_life(f, &o->life_kbytes);
		fputc('\n', f);
	}
}

static void put_start(FILE *f, const struct pol_start_action *s)
{
	fprintf(f, "  start %s: %d %d %d %d %d %d", s->name, s->on_demand, s->local_ip,
		s->remote_ip, s->local_port, s->remote_port, s->protocol);
	put_addr(f, "local", &s->local);
	put_addr(f, "remote", &s->remote);
	fputc('\n', f);
}

static void put_filter_rule(FILE *f, const struct pol_filter_rule *r)
{
	fprintf(f, " rule %s group '%s' action %s: %d log %d icmp %d demand %d\n  from", r->name,
		r->group_name, r->action_name, r->verdict, r->log, r->discard_icmp, r->on_demand);
	for (unsigned i = 0; i < r->n_src; i++)
		put_range(f, &r->src[i]);
	fputs("\n  to", f);
	for (unsigned i = 0; i < r->n_dst; i++)
		put_range(f, &r->dst[i]);
	fputc('\n', f);
	for (unsigned i = 0; i < r->n_services; i++)
		put_service(f, &r->services[i]);
	for (unsigned i = 0; i < r->n_times; i++)
		put_time(f, &r->times[i]);
	if (r->vpn)
		put_vpn(f, r->vpn);
	if (r->start)
		put_start(f, r->start);
}

/* ---- key exchange ---- */

static void put_endpoint(FILE *f, const char *side, const struct pol_sec_endpoint *e)
{
	fprintf(f, "  %s: %d '%s'", side, e->identity.type,
		e->identity.text ? e->identity.text : "");
	put_range(f, &e->identity.addr);
	fputc(' ', f);
	put_bytes(f, &e->identity.data);
	fputs(" at", f);
	for (unsigned i = 0; i < e->n_locations; i++)
		put_range(f, &e->locations[i]);
	for (unsigned i = 0; i < e->n_ca_labels; i++)
		fprintf(f, " ca '%s'", e->ca_labels[i]);
	fputc('\n', f);
}

static void put_ke_action(FILE *f, const struct pol_ke_action *a)
{
	fprintf(f,
		"  action %s: %d %d %d nat %d %d bypass %d filter %d live %u revoke %d xauth %d "
		"quirks %x pool",
		a->name, a->initiate, a->respond, a->respond_coded, a->allow_nat,
		a->nat_force_encap, a->bypass_ip_validation, a->filter_by_identity, a->liveness,
		a->revocation, a->xauth, a->quirks);
	put_range(f, &a->pool);
	put_addr(f, "dns", &a->dns);
	fputc('\n', f);
	for (unsigned i = 0; i < a->n_users; i++)
		fprintf(f, "   user %s %s\n", a->users[i].name, a->users[i].hash);
	for (unsigned i = 0; i < a->n_offers; i++) {
		const struct pol_ke_offer *o = &a->offers[i];

		fprintf(f, "   offer %s: %s %u %s group %u auth %d", o->name, o->cipher->keyword,
			o->cipher->key_bits, o->hash->keyword, o->group->number, o->auth);
		put_life(f, &o->life_seconds);
		put_life(f, &o->life_kbytes);
		fputc('\n', f);
	}
}

static void put_ke_rule(FILE *f, const struct pol_ke_rule *r)
{
	fprintf(f, " key rule %s group '%s' key ", r->name, r->group_name);
	put_bytes(f, &r->shared_key);
	fprintf(f, " %s\n", r->key_fingerprint);
	put_endpoint(f, "local", &r->local);
	put_endpoint(f, "remote", &r->remote);
	put_ke_action(f, r->action);
}

/* ---- AT-TLS ---- */

static void put_text(FILE *f, const struct pol_ttls *t, uint32_t at)
{
	const char *text = pol_ttls_text(t, at);

	fprintf(f, text ? " '%s'" : " none", text);
}

static void put_ranges(FILE *f, const struct pol_ttls *t, struct pol_ttls_list list)
{
	const struct pol_ttls_range *r = pol_ttls_things(t, list);

	for (unsigned i = 0; i < list.n; i++)
		fprintf(f, " %u:%016llx%016llx-%016llx%016llx", r[i].family,
			(unsigned long long)r[i].lo[0], (unsigned long long)r[i].lo[1],
			(unsigned long long)r[i].hi[0], (unsigned long long)r[i].hi[1]);
}

static void put_ports(FILE *f, const struct pol_ttls *t, struct pol_ttls_list list,
		      struct pol_ttls_ports span)
{
	const struct pol_ttls_ports *p = pol_ttls_things(t, list);

	fprintf(f, " ports %u-%u:", span.lo, span.hi);
	for (unsigned i = 0; i < list.n; i++)
		fprintf(f, " %u-%u", p[i].lo, p[i].hi);
}

static void put_ttls_times(FILE *f, const struct pol_ttls *t, struct pol_ttls_list list)
{
	const struct pol_ttls_time *v = pol_ttls_things(t, list);

	for (unsigned i = 0; i < list.n; i++) {
		const uint16_t(*spans)[2] = pol_ttls_things(t, v[i].spans);

		fprintf(f, "\n  time %lld %lld %x %x %x %x zone %d", (long long)v[i].from,
			(long long)v[i].to, v[i].months, v[i].days, v[i].days_from_end,
			v[i].weekdays, v[i].zone);
		for (unsigned k = 0; k < v[i].spans.n; k++)
			fprintf(f, " %u-%u", spans[k][0], spans[k][1]);
	}
}

static void put_things(FILE *f, const struct pol_ttls *t, const struct pol_ttls_field *field,
		       struct pol_ttls_list list)
{
	const void *things = pol_ttls_things(t, list);

	for (unsigned i = 0; i < list.n; i++) {
		if (field->kind == POL_TTLS_CODES) {
			fprintf(f, " %04x", ((const uint16_t *)things)[i]);
		} else if (field->kind == POL_TTLS_TEXTS) {
			put_text(f, t, ((const uint32_t *)things)[i]);
		} else {
			put_text(f, t, ((const struct pol_ttls_sni *)things)[i].name);
			put_text(f, t, ((const struct pol_ttls_sni *)things)[i].label);
		}
	}
}

/* All but the numbers of actions, which change with how the same is written. */
static void put_profile(FILE *f, const struct pol_ttls *t, const struct pol_ttls_profile *profile)
{
	for (unsigned i = 0; i < pol_ttls_n_fields; i++) {
		const struct pol_ttls_field *field = &pol_ttls_fields[i];
		const uint8_t *at = (const uint8_t *)profile + field->at;
		struct pol_ttls_list list;
		uint32_t number;

		fprintf(f, "  %s", field->keyword ? field->keyword : "-");
		switch (field->kind) {
		case POL_TTLS_BOOL:
		case POL_TTLS_CHOICE:
			fprintf(f, " %u", *at);
			break;
		case POL_TTLS_NUMBER:
		case POL_TTLS_TEXT:
			memcpy(&number, at, sizeof(number));
			if (field->kind == POL_TTLS_NUMBER)
				fprintf(f, " %u", number);
			else
				put_text(f, t, number);
			break;
		case POL_TTLS_TEXTS:
		case POL_TTLS_CODES:
		case POL_TTLS_NAMES:
			memcpy(&list, at, sizeof(list));
			put_things(f, t, field, list);
			break;
		}
		fputc('\n', f);
	}
}

static void put_ttls_rule(FILE *f, const struct pol_ttls *t, const struct pol_ttls_rule *r)
{
	fputs(" AT-TLS rule", f);
	put_text(f, t, r->name);
	fprintf(f, " priority %u directions %u job", r->priority, r->directions);
	put_text(f, t, r->job);
	fputs(" user", f);
	put_text(f, t, r->user);
	fputs("\n  local", f);
	put_ranges(f, t, r->local);
	put_ports(f, t, r->local_ports, r->local_span);
	fputs("\n  remote", f);
	put_ranges(f, t, r->remote);
	put_ports(f, t, r->remote_ports, r->remote_span);
	put_ttls_times(f, t, r->times);
	fputc('\n', f);
	put_profile(f, t, pol_ttls_profile(t, r));
}

/* ---- the whole ---- */

static void put_local_rule(FILE *f, const struct pol_local_dynvpn *r)
{
	char text[CS_SELECTOR_STRLEN];

	fprintf(f, " local rule %s group '%s': %s type %d code %d auto %d\n", r->name,
		r->group_name, cs_selector_text(&r->selector, text), r->type, r->code,
		r->auto_activate);
}

static void put_manual(FILE *f, const struct pol_manvpn_action *a)
{
	uint8_t content[POL_CONTENT_LEN];

	ck_assert_int_eq(pol_manual_content(a, content, NULL), 0);
	fprintf(f, "manual %s %d %u ", a->name, a->active, a->n_times);
	for (unsigned i = 0; i < sizeof(content); i++)
		fprintf(f, "%02x", content[i]);
	fputc('\n', f);
}

char *policy_dump(const struct pol_policy *p)
{
	char *text = NULL;
	size_t size = 0;
	FILE *f = open_memstream(&text, &size);

	ck_assert_ptr_nonnull(f);
	fprintf(f, "policy predecap %d logging %d demand %d icmp %d fips %d keepalive %u\n",
		p->predecap, p->filter_logging, p->allow_on_demand, p->implicit_discard_icmp,
		p->fips140, p->nat_keepalive);
	for (unsigned i = 0; i < p->n_rules; i++)
		put_filter_rule(f, &p->rules[i]);
	for (unsigned i = 0; i < p->n_ke_rules; i++)
		put_ke_rule(f, &p->ke_rules[i]);
	for (unsigned i = 0; i < p->n_local_rules; i++)
		put_local_rule(f, &p->local_rules[i]);
	for (unsigned i = 0; i < p->n_manuals; i++)
		put_manual(f, p->manuals[i]);
	for (unsigned i = 0; i < pol_ttls_count(p->ttls); i++)
		put_ttls_rule(f, p->ttls, pol_ttls_rule(p->ttls, i));
	ck_assert_int_eq(fclose(f), 0);
	return text;
}
