/*
 * Policies in the kernel's database.  The kernel tells two policies apart by direction, selector
 * and mark alone, so an anchor and a tunnel of one rule must not have the same selector.
 */
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "xfrm/closed.h"
#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"

static uint8_t kernel_dir(enum xf_dir dir)
{
	switch (dir) {
	case XF_IN:
		return XFRM_POLICY_IN;
	case XF_FWD:
		return XFRM_POLICY_FWD;
	case XF_OUT:
		break;
	}
	return XFRM_POLICY_OUT;
}

static const char *policy_text(const struct xf_policy *p, char buf[static XF_WHAT_MAX])
{
	static const char *const dirs[] = {[XF_IN] = "in", [XF_OUT] = "out", [XF_FWD] = "fwd"};
	char sel[CS_SELECTOR_STRLEN];

	if (p->selector.local.lo.family)
		cs_selector_text(&p->selector, sel);
	else
		snprintf(sel, sizeof(sel), "any IPv%c", p->family == AF_INET6 ? '6' : '4');
	snprintf(buf, XF_WHAT_MAX, "policy %s %.100s mark 0x%x", dirs[p->dir], sel, p->mark);
	return buf;
}

#define TEMPLATES_MAX 2

static size_t own_templates(const struct xf_policy *p, uint8_t family, struct xfrm_user_tmpl *t)
{
	bool turned = p->dir != XF_OUT;
	const struct cs_addr *src = turned ? &p->remote : &p->local;
	const struct cs_addr *dst = turned ? &p->local : &p->remote;

	if (!p->has_template)
		return 0;
	t[0].family = dst->family ? dst->family : family;
	t[0].id.proto = p->proto;
	t[0].reqid = p->reqid;
	t[0].mode = p->mode == XF_TUNNEL ? XFRM_MODE_TUNNEL : XFRM_MODE_TRANSPORT;
	/* The kernel asks for the SA of an optional template, and goes on to the next without. */
	t[0].optional = p->optional || p->hold;
	t[0].aalgos = t[0].ealgos = t[0].calgos = 0xffffffff;
	xf_to_kernel_addr(src, &t[0].saddr);
	xf_to_kernel_addr(dst, &t[0].id.daddr);
	if (p->bundle) {
		/* Behind it, so outside of it; the addresses are those of the packet by then. */
		t[1] = t[0];
		t[1].id.proto = IPPROTO_AH;
		t[1].mode = XFRM_MODE_TRANSPORT;
		memset(&t[1].saddr, 0, sizeof(t[1].saddr));
		memset(&t[1].id.daddr, 0, sizeof(t[1].id.daddr));
		return 2;
	}
	if (!p->optional || p->proto != IPPROTO_ESP)
		return 1;
	/* This one only lets pass what nftables checked: AH as well as ESP. */
	t[1] = t[0];
	t[1].id.proto = IPPROTO_AH;
	return 2;
}

static void held_template(uint8_t family, struct xfrm_user_tmpl *t)
{
	struct cs_addr src = xf_dead_end_src(family), dst = xf_dead_end_dst(XF_HELD, family);

	t->family = family;
	t->id.proto = IPPROTO_ESP;
	t->reqid = XF_REQID_HELD;
	t->mode = XFRM_MODE_TUNNEL;
	t->aalgos = t->ealgos = t->calgos = 0xffffffff;
	xf_to_kernel_addr(&src, &t->saddr);
	xf_to_kernel_addr(&dst, &t->id.daddr);
}

static void put_templates(struct xf_msg *m, const struct xf_policy *p, uint8_t family)
{
	struct xfrm_user_tmpl t[TEMPLATES_MAX + 1];
	size_t n;

	memset(t, 0, sizeof(t));
	n = own_templates(p, family, t);
	if (p->hold)
		held_template(family, &t[n++]);
	if (n)
		xf_msg_put(m, XFRMA_TMPL, t, n * sizeof(t[0]));
}

static bool is_hold(const struct xf_policy *p)
{
	return p->hold && !p->has_template && p->priority == XF_PRIO_HOLD;
}

static int add_one(struct xf_kernel *k, const struct xf_policy *p, struct cs_err *err)
{
	struct xfrm_userpolicy_info *info;
	char what[XF_WHAT_MAX];
	struct xf_msg m;
	int rc;

	/* A hold is for where nothing is. */
	info = xf_msg_start(&m, is_hold(p) ? XFRM_MSG_NEWPOLICY : XFRM_MSG_UPDPOLICY, 0,
			    sizeof(*info));
	policy_text(p, what);
	rc = xf_to_kernel_selector(&p->selector, p->family, p->dir != XF_OUT, &info->sel, err);
	if (rc < 0) {
		cs_err_prefix(err, "%s", what);
		return rc;
	}
	info->dir = kernel_dir(p->dir);
	info->priority = p->priority;
	info->action = p->action == XF_BLOCK ? XFRM_POLICY_BLOCK : XFRM_POLICY_ALLOW;
	info->share = XFRM_SHARE_ANY;
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = XFRM_INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = XFRM_INF;
	put_templates(&m, p, (uint8_t)info->sel.family);
	xf_msg_put_mark(&m, p->mark, p->mark_mask);
	return xf_ask(k, &m, NULL, NULL, what, err);
}

static int delete_one(struct xf_kernel *k, const struct xf_policy *p, struct cs_err *err)
{
	struct xfrm_userpolicy_id *id;
	char what[XF_WHAT_MAX];
	struct xf_msg m;
	int rc;

	id = xf_msg_start(&m, XFRM_MSG_DELPOLICY, 0, sizeof(*id));
	policy_text(p, what);
	rc = xf_to_kernel_selector(&p->selector, p->family, p->dir != XF_OUT, &id->sel, err);
	if (rc < 0) {
		cs_err_prefix(err, "%s", what);
		return rc;
	}
	id->dir = kernel_dir(p->dir);
	xf_msg_put_mark(&m, p->mark, p->mark_mask);
	return xf_ask(k, &m, NULL, NULL, what, err);
}

/*
 * A tunnel for everything has the selector of its rule's anchor and would replace it; it, and what
 * holds its packets before, goes in as two halves of the remote addresses instead. True: half[] is
 * set.
 */
static bool halves(const struct xf_policy *p, struct xf_policy half[2])
{
	uint8_t family = p->selector.local.lo.family ? p->selector.local.lo.family : p->family;
	struct cs_range all = cs_range_all(family);
	const struct cs_selector *s = &p->selector;

	if ((p->priority != XF_PRIO_TUNNEL && p->priority != XF_PRIO_HOLD) || p->dir != XF_OUT ||
	    s->proto || s->local_port || s->remote_port)
		return false;
	if (s->local.lo.family &&
	    (!cs_range_equal(&s->local, &all) || !cs_range_equal(&s->remote, &all)))
		return false;
	for (int i = 0; i < 2; i++) {
		half[i] = *p;
		half[i].family = family;
		half[i].selector.local = all;
		half[i].selector.remote.lo = all.lo;
		if (i == 1)
			half[i].selector.remote.lo.b[0] = 0x80;
		half[i].selector.remote = cs_range_prefix(&half[i].selector.remote.lo, 1);
	}
	return true;
}

int xf_policy_add(struct xf_kernel *k, const struct xf_policy *p, struct cs_err *err)
{
	struct xf_policy half[2];
	int rc;

	if (!halves(p, half))
		return add_one(k, p, err);
	rc = add_one(k, &half[0], err);
	if (rc < 0)
		return rc;
	rc = add_one(k, &half[1], err);
	if (rc < 0)
		delete_one(k, &half[0], NULL);
	return rc;
}

int xf_policy_delete(struct xf_kernel *k, const struct xf_policy *p, struct cs_err *err)
{
	struct xf_policy half[2];
	int rc, rc2;

	if (!halves(p, half))
		return delete_one(k, p, err);
	rc = delete_one(k, &half[0], err);
	rc2 = delete_one(k, &half[1], rc < 0 ? NULL : err);
	return rc < 0 ? rc : rc2;
}

/* ---- reading ---- */

static bool is_everything(const struct xfrm_selector *s)
{
	return !s->prefixlen_s && !s->prefixlen_d && !s->proto && !s->sport_mask && !s->dport_mask;
}

/* t[0] of n. */
static void read_template(const struct xfrm_user_tmpl *t, size_t n, bool turned,
			  struct xf_policy *p)
{
	p->has_template = true;
	p->bundle = n > 1 && !t[0].optional && !t[1].optional && t[1].id.proto == IPPROTO_AH;
	p->optional = t->optional && !p->hold;
	p->mode = t->mode == XFRM_MODE_TUNNEL ? XF_TUNNEL : XF_TRANSPORT;
	p->proto = t->id.proto;
	p->reqid = t->reqid;
	p->local = xf_from_kernel_addr(t->family, turned ? &t->id.daddr : &t->saddr);
	p->remote = xf_from_kernel_addr(t->family, turned ? &t->saddr : &t->id.daddr);
	if (cs_addr_is_any(&p->local))
		p->local.family = 0;
	if (cs_addr_is_any(&p->remote))
		p->remote.family = 0;
}

static bool read_policy(const struct nlmsghdr *h, struct xf_policy *p)
{
	struct xfrm_userpolicy_info info;
	const struct xfrm_user_tmpl *t;
	const struct xfrm_mark *mark;
	bool turned;
	size_t n;

	if (h->nlmsg_type != XFRM_MSG_NEWPOLICY || !xf_body(h, &info, sizeof(info)) ||
	    info.dir > XFRM_POLICY_FWD)
		return false;
	memset(p, 0, sizeof(*p));
	p->dir = info.dir == XFRM_POLICY_IN ? XF_IN : XF_OUT;
	if (info.dir == XFRM_POLICY_FWD)
		p->dir = XF_FWD;
	turned = p->dir != XF_OUT;
	p->family = (uint8_t)info.sel.family;
	if (!is_everything(&info.sel))
		xf_from_kernel_selector(&info.sel, turned, &p->selector);
	p->priority = info.priority;
	p->added = (int64_t)info.curlft.add_time;
	p->action = info.action == XFRM_POLICY_BLOCK ? XF_BLOCK : XF_ALLOW;
	mark = xf_attr(h, sizeof(info), XFRMA_MARK, sizeof(*mark));
	if (mark) {
		p->mark = mark->v;
		p->mark_mask = mark->m;
	}
	t = xf_attr_array(h, sizeof(info), XFRMA_TMPL, sizeof(*t), &n);
	p->hold = n && t[n - 1].reqid == XF_REQID_HELD;
	if (p->hold)
		n--;
	if (n)
		read_template(t, n, turned, p);
	return true;
}

static int on_policy(const struct nlmsghdr *h, void *arg)
{
	struct xf_policy p;

	return !read_policy(h, &p) || xf_list_put(arg, &p) ? MNL_CB_OK : MNL_CB_ERROR;
}

/* Everything is read before fn is called, so that fn may use the socket itself. */
int xf_policy_dump(struct xf_kernel *k, xf_policy_fn *fn, void *arg, struct cs_err *err)
{
	struct xf_policy_list l = {0};
	struct xf_msg m;
	int rc = 0;

	for (int tries = 0; tries < XF_DUMP_TRIES; tries++) {
		l.n = 0;
		xf_msg_start(&m, XFRM_MSG_GETPOLICY, NLM_F_DUMP, 0);
		rc = xf_ask(k, &m, on_policy, &l, "dump of policies", err);
		if (rc != CS_EAGAIN)
			break;
	}
	for (size_t i = 0; rc == 0 && i < l.n; i++)
		rc = fn(arg, &l.v[i]);
	xf_list_free(&l);
	return rc;
}

/* ---- tunnel policies ---- */

static int on_tunnel(void *arg, const struct xf_policy *p)
{
	if (p->dir != XF_OUT || p->priority != XF_PRIO_TUNNEL || !xf_reqid_is_tunnel(p->reqid))
		return 0;
	return xf_list_put(arg, p) ? 0 : CS_ENOMEM;
}

static int by_reqid(const void *a, const void *b)
{
	const struct xf_policy *p = a, *q = b;

	return p->reqid < q->reqid ? -1 : p->reqid > q->reqid;
}

/* A tunnel has one policy, or two that are the halves of one for everything. */
static size_t join_halves(struct xf_policy *v, size_t n)
{
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		if (kept > 0 && v[kept - 1].reqid == v[i].reqid)
			v[kept - 1].selector.remote = cs_range_all(v[i].family);
		else
			v[kept++] = v[i];
	}
	return kept;
}

int xf_tunnel_policies(struct xf_kernel *k, struct xf_policy **policies, size_t *n,
		       struct cs_err *err)
{
	struct xf_policy_list l = {0};
	int rc = xf_policy_dump(k, on_tunnel, &l, err);

	*policies = NULL;
	*n = 0;
	if (rc < 0) {
		xf_list_free(&l);
		return rc == CS_ENOMEM ? cs_fail(err, rc, "no memory for the kernel's policies")
				       : rc;
	}
	if (l.n > 0)
		qsort(l.v, l.n, sizeof(*l.v), by_reqid);
	*policies = l.v;
	*n = join_halves(l.v, l.n);
	return 0;
}
