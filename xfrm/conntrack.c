/*
 * What connection tracking knows of clients behind a NAT (nft_clients.c): their connections, by
 * ctnetlink.  A client is the zone of the direction that comes from it.
 */
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_conntrack.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/kernel.h"

#define TUPLE_MAX 160 /* of IPv4 it is 60 bytes long */

struct found {
	struct xf_connection c;
	uint32_t mark;
	uint8_t tuple[TUPLE_MAX]; /* of the client's direction, as the kernel wants it back */
	size_t tuple_len;
};

struct found_list {
	struct found *v;
	size_t n, cap;
};

/* ---- reading ---- */

#define ATTRS_MAX 32

struct attrs {
	const struct nlattr *a[ATTRS_MAX];
};

static int on_attr(const struct nlattr *a, void *arg)
{
	struct attrs *t = arg;

	if (mnl_attr_get_type(a) < ATTRS_MAX)
		t->a[mnl_attr_get_type(a)] = a;
	return MNL_CB_OK;
}

static struct attrs nested(const struct attrs *t, unsigned type)
{
	struct attrs in = {{NULL}};

	if (t->a[type])
		mnl_attr_parse_nested(t->a[type], on_attr, &in);
	return in;
}

static uint16_t be16_of(const struct attrs *t, unsigned type)
{
	uint16_t v = 0;

	if (t->a[type] && mnl_attr_get_payload_len(t->a[type]) >= sizeof(v))
		memcpy(&v, mnl_attr_get_payload(t->a[type]), sizeof(v));
	return ntohs(v);
}

static struct cs_addr addr_of(const struct attrs *t, unsigned type)
{
	if (!t->a[type] || mnl_attr_get_payload_len(t->a[type]) < 4)
		return (struct cs_addr){0};
	return cs_addr_from_bytes(AF_INET, mnl_attr_get_payload(t->a[type]));
}

struct tuple {
	struct cs_addr src, dst;
	uint16_t sport, dport, zone;
	uint8_t proto;
};

static struct tuple tuple_of(const struct attrs *t, unsigned type)
{
	struct attrs whole = nested(t, type);
	struct attrs ip = nested(&whole, CTA_TUPLE_IP), proto = nested(&whole, CTA_TUPLE_PROTO);
	struct tuple u = {.src = addr_of(&ip, CTA_IP_V4_SRC), .dst = addr_of(&ip, CTA_IP_V4_DST)};

	if (proto.a[CTA_PROTO_NUM] && mnl_attr_get_payload_len(proto.a[CTA_PROTO_NUM]) > 0)
		u.proto = mnl_attr_get_u8(proto.a[CTA_PROTO_NUM]);
	u.sport = be16_of(&proto, CTA_PROTO_SRC_PORT);
	u.dport = be16_of(&proto, CTA_PROTO_DST_PORT);
	u.zone = be16_of(&whole, CTA_TUPLE_ZONE);
	return u;
}

static struct found *put(struct found_list *l)
{
	struct found *v = xf_room(l->v, l->n, &l->cap, sizeof(*v));

	if (!v)
		return NULL;
	l->v = v;
	memset(&l->v[l->n], 0, sizeof(l->v[l->n]));
	return &l->v[l->n++];
}

static int on_connection(const struct nlmsghdr *h, void *arg)
{
	struct attrs t = {{NULL}};
	struct tuple from, to;
	struct found *f;

	if (NFNL_SUBSYS_ID(h->nlmsg_type) != NFNL_SUBSYS_CTNETLINK ||
	    mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg))
		return MNL_CB_OK;
	mnl_attr_parse(h, sizeof(struct nfgenmsg), on_attr, &t);
	from = tuple_of(&t, CTA_TUPLE_ORIG);
	to = tuple_of(&t, CTA_TUPLE_REPLY);
	if (from.zone < XF_MARK_CLIENT_MIN || from.zone > XF_MARK_CLIENT_MAX ||
	    mnl_attr_get_payload_len(t.a[CTA_TUPLE_ORIG]) > TUPLE_MAX)
		return MNL_CB_OK;
	f = put(arg);
	if (!f)
		return MNL_CB_ERROR;
	f->c = (struct xf_connection){
		.client = from.zone,
		.proto = from.proto,
		.remote = {from.src, from.sport},
		.local = {from.dst, from.dport},
		.seen_port = to.dport,
	};
	if (t.a[CTA_MARK] && mnl_attr_get_payload_len(t.a[CTA_MARK]) >= 4)
		f->mark = ntohl(mnl_attr_get_u32(t.a[CTA_MARK]));
	f->tuple_len = mnl_attr_get_payload_len(t.a[CTA_TUPLE_ORIG]);
	memcpy(f->tuple, mnl_attr_get_payload(t.a[CTA_TUPLE_ORIG]), f->tuple_len);
	return MNL_CB_OK;
}

static struct nfgenmsg *start(struct xf_msg *m, uint16_t type, uint16_t flags)
{
	struct nfgenmsg *body;

	body = xf_msg_start(m, (uint16_t)(NFNL_SUBSYS_CTNETLINK << 8 | type), flags, sizeof(*body));
	body->nfgen_family = AF_INET;
	body->version = NFNETLINK_V0;
	return body;
}

static int read_all(struct xf_kernel *nf, struct found_list *l, struct cs_err *err)
{
	struct xf_msg m;
	int rc = 0;

	for (int tries = 0; tries < XF_DUMP_TRIES; tries++) {
		l->n = 0;
		start(&m, IPCTNL_MSG_CT_GET, NLM_F_DUMP);
		rc = xf_ask(nf, &m, on_connection, l, "dump of connections", err);
		if (rc != CS_EAGAIN)
			break;
	}
	return rc;
}

int xf_client_connections(xf_connection_fn *fn, void *arg, struct cs_err *err)
{
	struct found_list l = {0};
	struct xf_kernel *nf;
	int rc = xf_open_netfilter(&nf, err);

	if (rc < 0)
		return rc;
	rc = read_all(nf, &l, err);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = fn(arg, &l.v[i].c);
	free(l.v);
	xf_close(nf);
	return rc;
}

/* ---- clients that have gone ---- */

static int on_live(void *arg, const struct xf_sa *sa, const struct xf_counters *c)
{
	bool *live = arg;

	(void)c;
	if (sa->client && !sa->outbound)
		live[sa->client - XF_MARK_CLIENT_MIN] = true;
	return 0;
}

static int mark_gone(struct xf_kernel *nf, const struct xf_marking *marking, const struct found *f,
		     struct cs_err *err)
{
	uint32_t mark = htonl(xf_mark_value(marking, XF_MARK_CLIENT_GONE));
	uint32_t mask = htonl(xf_mark_mask(marking));
	struct xf_msg m;
	int rc;

	start(&m, IPCTNL_MSG_CT_NEW, 0);
	xf_msg_put(&m, NLA_F_NESTED | CTA_TUPLE_ORIG, f->tuple, f->tuple_len);
	xf_msg_put(&m, CTA_MARK, &mark, sizeof(mark));
	xf_msg_put(&m, CTA_MARK_MASK, &mask, sizeof(mask));
	rc = xf_ask(nf, &m, NULL, NULL, "connection of a client that has gone", err);
	return rc == CS_ENOTFOUND ? 0 : rc;
}

static bool is_gone(const struct xf_marking *m, const struct found *f)
{
	return (f->mark & xf_mark_mask(m)) == xf_mark_value(m, XF_MARK_CLIENT_GONE);
}

/* Connections are read before SAs are: who has come back in between is not taken for gone. */
int xf_clients_gone(struct xf_kernel *k, const struct pol_policy *policy, struct cs_err *err)
{
	bool live[XF_MARK_CLIENT_MAX - XF_MARK_CLIENT_MIN + 1] = {false};
	struct found_list l = {0};
	struct xf_kernel *nf;
	int rc;

	if (!xf_policy_has_clients(policy))
		return 0;
	rc = xf_open_netfilter(&nf, err);
	if (rc < 0)
		return rc;
	rc = read_all(nf, &l, err);
	if (rc == 0 && l.n > 0)
		rc = xf_sa_dump(k, on_live, live, err);
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		if (!live[l.v[i].c.client - XF_MARK_CLIENT_MIN] && !is_gone(&k->marking, &l.v[i]))
			rc = mark_gone(nf, &k->marking, &l.v[i], err);
	free(l.v);
	xf_close(nf);
	return rc;
}
