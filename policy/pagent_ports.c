/*
 * Translated remote ports, as `ipsec -o display` shows them: what connection tracking knows of
 * clients behind a NAT, and what their SAs know of where they are.
 */
#include <netinet/in.h>
#include <stdlib.h>

#include "policy/pagent.h"

#define CLIENTS (XF_MARK_CLIENT_MAX - XF_MARK_CLIENT_MIN + 1)

/* Where a client is, by its inbound SA. */
struct client {
	struct cs_addr outer, inner; /* as its NAT shows it, and behind it if it is known */
	uint16_t port;
	enum xf_mode mode;
	uint64_t added; /* 0: it has no SA */
};

/* An answer under way. */
struct ports {
	struct client *clients;
	struct xf_connection *v;
	size_t n, cap, at;
};

static struct client *client_of(const struct ports *p, unsigned mark)
{
	return &p->clients[mark - XF_MARK_CLIENT_MIN];
}

/* The newest SA tells. */
static int on_sa(void *arg, const struct xf_sa *sa, const struct xf_counters *counters)
{
	struct client *c;

	if (!sa->client || sa->outbound)
		return 0;
	c = client_of(arg, sa->client);
	if (c->added > counters->added)
		return 0;
	*c = (struct client){.outer = sa->src,
			     .inner = sa->encap_oa,
			     .port = sa->encap_sport,
			     .mode = sa->mode,
			     .added = counters->added};
	return 0;
}

static int on_connection(void *arg, const struct xf_connection *c)
{
	struct ports *p = arg;
	struct xf_connection *v;
	size_t cap;

	/* What is remembered of a client that has gone is nobody's. */
	if ((c->proto != IPPROTO_TCP && c->proto != IPPROTO_UDP) || !client_of(p, c->client)->added)
		return 0;
	if (p->n == p->cap) {
		cap = p->cap ? 2 * p->cap : 64;
		v = reallocarray(p->v, cap, sizeof(*v));
		if (!v)
			return CS_ENOMEM;
		p->v = v;
		p->cap = cap;
	}
	p->v[p->n++] = *c;
	return 0;
}

static int order(uint64_t a, uint64_t b)
{
	return a < b ? -1 : a > b;
}

static int by_port(const void *x, const void *y)
{
	const struct xf_connection *a = x, *b = y;
	int d;

	if ((d = order(a->client, b->client)) || (d = order(a->proto, b->proto)) ||
	    (d = cs_addr_compare(&a->remote.addr, &b->remote.addr)) ||
	    (d = order(a->remote.port, b->remote.port)))
		return d;
	return order(a->seen_port, b->seen_port);
}

/* A client's port may have many connections; it is translated once. */
static void sort(struct ports *p)
{
	size_t n = 0;

	if (p->n > 1)
		qsort(p->v, p->n, sizeof(*p->v), by_port);
	for (size_t i = 0; i < p->n; i++)
		if (n == 0 || by_port(&p->v[n - 1], &p->v[i]) != 0)
			p->v[n++] = p->v[i];
	p->n = n;
}

static json_t *address_json(const struct cs_addr *a)
{
	char text[CS_ADDR_STRLEN];

	return a->family ? json_string(cs_addr_text(a, text)) : json_null();
}

static int next(void *state, json_t **json, struct cs_err *err)
{
	struct ports *p = state;
	const struct xf_connection *c = &p->v[p->at];
	const struct client *client;

	(void)err;
	*json = NULL;
	if (p->at == p->n)
		return 0;
	p->at++;
	client = client_of(p, c->client);
	/* A tunnel's packets have the inner address; in transport mode the peer has told it. */
	*json = json_pack(
		"{s:o, s:i, s:i, s:i, s:o, s:o}", "RmtIpAddress", address_json(&client->outer),
		"Protocol", c->proto, "TransRmtConnPort", c->seen_port, "OrigRmtConnPort",
		c->remote.port, "RmtInnerIpAddress",
		address_json(client->mode == XF_TUNNEL ? &c->remote.addr : &client->inner),
		"RmtUdpEncapPort", client->port ? json_integer(client->port) : json_null());
	return 1;
}

static void release(void *state)
{
	struct ports *p = state;

	free(p->clients);
	free(p->v);
	free(p);
}

static int read_kernel(struct pagent *pagent, struct ports *p, struct cs_err *err)
{
	int rc = xf_sa_dump(pagent->kernel, on_sa, p, err);

	if (rc == 0)
		rc = xf_client_connections(on_connection, p, err);
	return rc == CS_ENOMEM ? cs_fail(err, rc, "no memory for the ports") : rc;
}

void pagent_ports(struct pagent *pagent, uint64_t ticket, const json_t *request)
{
	struct ports *p = calloc(1, sizeof(*p));
	struct cs_err err = {0};
	int rc = 0;

	(void)request;
	if (p)
		p->clients = calloc(CLIENTS, sizeof(*p->clients));
	if (!p || !p->clients)
		rc = cs_fail(&err, CS_ENOMEM, "no memory for the ports");
	/* Without a policy that allows NAT there are none, and the kernel may not have what it
	 * takes. */
	if (rc == 0 && pagent->policy && xf_policy_has_clients(pagent->policy))
		rc = read_kernel(pagent, p, &err);
	if (rc < 0) {
		if (p)
			release(p);
		cs_nmi_error(pagent->nmi, ticket, err.code, err.text);
		return;
	}
	sort(p);
	cs_nmi_stream(pagent->nmi, ticket, next, release, p);
}
