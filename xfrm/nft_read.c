/*
 * What of our nftables table is in the kernel: rules and their counters, by netlink itself, because
 * a listing by libnftables takes seconds for some thousands of rules.
 */
#include <arpa/inet.h>
#include <limits.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nf_tables.h>
#include <linux/netfilter/nfnetlink.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/kernel.h"

#define UDATA_COMMENT 0 /* libnftnl's NFTNL_UDATA_RULE_COMMENT: type, length, text with its 0 */

static void request(struct xf_msg *m, uint16_t type, uint16_t flags)
{
	struct nfgenmsg *g =
		xf_msg_start(m, (uint16_t)(NFNL_SUBSYS_NFTABLES << 8 | type), flags, sizeof(*g));

	g->nfgen_family = NFPROTO_INET;
	g->version = NFNETLINK_V0;
	/* Tables, chains and rules have their table first. */
	xf_msg_put(m, NFTA_RULE_TABLE, XF_TABLE, sizeof(XF_TABLE));
}

static bool is_rule(const struct nlmsghdr *h)
{
	return h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWRULE) &&
	       mnl_nlmsg_get_payload_len(h) >= sizeof(struct nfgenmsg);
}

/* Others change their tables meanwhile, and the kernel says so of all. */
static int dump_rules(struct xf_kernel *nf, mnl_cb_t fn, void *arg, void (*again)(void *arg),
		      struct cs_err *err)
{
	struct xf_msg m;
	int rc = CS_EAGAIN;

	for (unsigned i = 0; i < XF_DUMP_TRIES && rc == CS_EAGAIN; i++) {
		again(arg);
		request(&m, NFT_MSG_GETRULE, NLM_F_DUMP);
		rc = xf_ask(nf, &m, fn, arg, "nftables table inet " XF_TABLE, err);
	}
	return rc;
}

/* ---- is it there? ---- */

static int on_rule(const struct nlmsghdr *h, void *arg)
{
	unsigned *n = arg;

	*n += is_rule(h);
	return MNL_CB_OK;
}

static void from_zero(void *arg)
{
	*(unsigned *)arg = 0;
}

/* Somebody may have made it dormant, and then it is there and looks at nothing. */
static int on_flags(const struct nlattr *a, void *arg)
{
	if (mnl_attr_get_type(a) == NFTA_TABLE_FLAGS && mnl_attr_validate(a, MNL_TYPE_U32) == 0)
		*(uint32_t *)arg = ntohl(mnl_attr_get_u32(a));
	return MNL_CB_OK;
}

static int on_table(const struct nlmsghdr *h, void *arg)
{
	if (h->nlmsg_type == (NFNL_SUBSYS_NFTABLES << 8 | NFT_MSG_NEWTABLE))
		mnl_attr_parse(h, sizeof(struct nfgenmsg), on_flags, arg);
	return MNL_CB_OK;
}

static bool is_awake(struct xf_kernel *nf)
{
	uint32_t flags = 0;
	struct xf_msg m;

	request(&m, NFT_MSG_GETTABLE, 0);
	return xf_ask(nf, &m, on_table, &flags, "nftables table inet " XF_TABLE, NULL) == 0 &&
	       !(flags & NFT_TABLE_F_DORMANT);
}

bool xf_nft_present(uint64_t generation, unsigned n_rules)
{
	struct xf_kernel *nf;
	unsigned rules = 0;
	struct xf_msg m;
	char chain[40];
	bool there;

	if (xf_open_netfilter(&nf, NULL) < 0)
		return false;
	snprintf(chain, sizeof(chain), "generation_%llu", (unsigned long long)generation);
	request(&m, NFT_MSG_GETCHAIN, 0);
	xf_msg_put(&m, NFTA_CHAIN_NAME, chain, strlen(chain) + 1);
	there = xf_ask(nf, &m, NULL, NULL, chain, NULL) == 0 && is_awake(nf) &&
		dump_rules(nf, on_rule, &rules, from_zero, NULL) == 0 && rules == n_rules;
	xf_close(nf);
	return there;
}

/* ---- counters ---- */

struct count_list {
	struct xf_filter_count *v;
	size_t n, cap;
};

/* A number with a colon behind it. */
static bool read_index(const char **text, unsigned *value)
{
	unsigned long n = 0;
	const char *p = *text;

	if (*p < '0' || *p > '9')
		return false;
	for (; *p >= '0' && *p <= '9'; p++) {
		n = 10 * n + (unsigned long)(*p - '0');
		if (n > UINT_MAX)
			return false;
	}
	if (*p != ':')
		return false;
	*text = p + 1;
	*value = (unsigned)n;
	return true;
}

/* "rule:service:direction", nothing else. */
static bool read_key(const char *comment, struct xf_filter_count *c)
{
	if (!read_index(&comment, &c->rule) || !read_index(&comment, &c->service))
		return false;
	c->outbound = strcmp(comment, "o") == 0;
	return c->outbound || strcmp(comment, "i") == 0;
}

/* The comment among a rule's user data; NULL without one. */
static const char *comment_of(const struct nlattr *a)
{
	const uint8_t *p = mnl_attr_get_payload(a);
	size_t left = mnl_attr_get_payload_len(a);

	while (left >= 2 && left - 2 >= p[1]) {
		if (p[0] == UDATA_COMMENT && p[1] > 0 && p[1 + p[1]] == '\0')
			return (const char *)p + 2;
		left -= 2u + p[1];
		p += 2 + p[1];
	}
	return NULL;
}

static uint64_t be64_of(const struct nlattr *a)
{
	const uint8_t *p = mnl_attr_get_payload(a);
	uint64_t v = 0;

	for (size_t i = 0; i < 8 && mnl_attr_get_payload_len(a) >= 8; i++)
		v = v << 8 | p[i];
	return v;
}

/* What a rule has: its comment, and the sum of its counters. */
struct rule {
	const struct nlattr *expressions;
	const char *comment, *name; /* name: of the expression that is read */
	const struct nlattr *data;
	struct xf_filter_count count;
};

static int on_number(const struct nlattr *a, void *arg)
{
	struct rule *r = arg;

	if (mnl_attr_get_type(a) == NFTA_COUNTER_PACKETS)
		r->count.packets += be64_of(a);
	else if (mnl_attr_get_type(a) == NFTA_COUNTER_BYTES)
		r->count.bytes += be64_of(a);
	return MNL_CB_OK;
}

static int on_part(const struct nlattr *a, void *arg)
{
	struct rule *r = arg;

	if (mnl_attr_get_type(a) == NFTA_EXPR_NAME &&
	    mnl_attr_validate(a, MNL_TYPE_NUL_STRING) == 0)
		r->name = mnl_attr_get_str(a);
	else if (mnl_attr_get_type(a) == NFTA_EXPR_DATA)
		r->data = a;
	return MNL_CB_OK;
}

static int on_expression(const struct nlattr *a, void *arg)
{
	struct rule *r = arg;

	r->name = NULL;
	r->data = NULL;
	mnl_attr_parse_nested(a, on_part, r);
	if (r->name && r->data && strcmp(r->name, "counter") == 0)
		mnl_attr_parse_nested(r->data, on_number, r);
	return MNL_CB_OK;
}

static int on_attr(const struct nlattr *a, void *arg)
{
	struct rule *r = arg;

	if (mnl_attr_get_type(a) == NFTA_RULE_EXPRESSIONS)
		r->expressions = a;
	else if (mnl_attr_get_type(a) == NFTA_RULE_USERDATA)
		r->comment = comment_of(a);
	return MNL_CB_OK;
}

static int on_counter(const struct nlmsghdr *h, void *arg)
{
	struct xf_filter_count *v;
	struct count_list *l = arg;
	struct rule r = {0};

	if (!is_rule(h))
		return MNL_CB_OK;
	mnl_attr_parse(h, sizeof(struct nfgenmsg), on_attr, &r);
	if (!r.comment || !r.expressions || !read_key(r.comment, &r.count))
		return MNL_CB_OK;
	mnl_attr_parse_nested(r.expressions, on_expression, &r);
	v = xf_room(l->v, l->n, &l->cap, sizeof(*v));
	if (!v)
		return MNL_CB_ERROR;
	l->v = v;
	l->v[l->n++] = r.count;
	return MNL_CB_OK;
}

static void no_counts(void *arg)
{
	struct count_list *l = arg;

	l->n = 0;
}

static int by_key(const void *x, const void *y)
{
	const struct xf_filter_count *a = x, *b = y;

	if (a->rule != b->rule)
		return a->rule < b->rule ? -1 : 1;
	if (a->service != b->service)
		return a->service < b->service ? -1 : 1;
	return (int)b->outbound - (int)a->outbound;
}

/* One filter is several nftables rules (families, local and routed, leaves): they add up. */
static void report(struct count_list *l, xf_filter_fn *fn, void *arg)
{
	if (l->n > 1)
		qsort(l->v, l->n, sizeof(*l->v), by_key);
	for (size_t i = 0, j; i < l->n; i = j) {
		struct xf_filter_count sum = l->v[i];

		for (j = i + 1; j < l->n && by_key(&l->v[i], &l->v[j]) == 0; j++) {
			sum.packets += l->v[j].packets;
			sum.bytes += l->v[j].bytes;
		}
		fn(arg, &sum);
	}
}

int xf_filter_counts(struct xf_kernel *k, xf_filter_fn *fn, void *arg, struct cs_err *err)
{
	struct count_list l = {0};
	struct xf_kernel *nf;
	int rc = xf_open_netfilter(&nf, err);

	(void)k;
	if (rc < 0)
		return rc;
	rc = dump_rules(nf, on_counter, &l, no_counts, err);
	xf_close(nf);
	if (rc == 0 && l.n == 0)
		rc = cs_fail(err, CS_ENOTFOUND, "there is no nftables table inet " XF_TABLE);
	if (rc == 0)
		report(&l, fn, arg);
	free(l.v);
	return rc;
}
