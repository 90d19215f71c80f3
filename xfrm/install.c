/*
 * A policy into the kernel and out of it.  nftables has transactions and XFRM has none, so what
 * the new table needs goes in before it, and what the old one needed goes after it.
 */
#include <errno.h>
#include <net/if.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "xfrm/closed.h"
#include "xfrm/dead_end.h"
#include "xfrm/kernel.h"
#include "xfrm/spent.h"

static int check_loopback(struct cs_err *err)
{
	struct ifreq ifr = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), rc = 0;

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &ifr) < 0)
		rc = cs_fail_errno(err, "interface lo");
	else if (!(ifr.ifr_flags & IFF_UP))
		rc = cs_fail(err, CS_EINVAL,
			     "interface lo is down, and what protects traffic needs it: "
			     "ip link set lo up");
	if (fd >= 0)
		close(fd);
	return rc;
}

/* ---- where the policies lead ---- */

static int add_ends(struct xf_kernel *k, uint8_t family, struct cs_err *err)
{
	int rc = xf_spent_add(k, family, err);

	return rc == 0 ? xf_dead_end_add(k, XF_HELD, family, err) : rc;
}

static int delete_ends(struct xf_kernel *k, uint8_t family, struct cs_err *err)
{
	int rc = xf_spent_delete(k, family, err);

	return rc == 0 ? xf_dead_end_delete(k, XF_HELD, family, err) : rc;
}

static bool ends_there(struct xf_kernel *k, uint8_t family)
{
	return xf_spent_there(k, family) && xf_dead_end_there(k, XF_HELD, family);
}

/* ---- what is there ---- */

struct present {
	struct xf_policy_list list;
	uint32_t mask, clients;
	bool had_clients; /* what was installed last allowed NAT */
};

/* Ours: our field of the mark and a priority of pagent's. iked's tunnels are not among them. */
static int on_present(void *arg, const struct xf_policy *p)
{
	struct present *have = arg;

	if (p->mark_mask != have->mask && p->mark_mask != have->clients)
		return 0;
	if (p->priority != XF_PRIO_ANCHOR && p->priority != XF_PRIO_NEIGHBOR &&
	    p->priority != XF_PRIO_CLOSED)
		return 0;
	have->had_clients |= p->mark_mask == have->clients;
	return xf_list_put(&have->list, p) ? 0 : CS_ENOMEM;
}

static int read_present(struct xf_kernel *k, struct present *have, struct cs_err *err)
{
	int rc;

	have->mask = xf_mark_mask(&k->marking);
	have->clients = xf_mark_value(&k->marking, XF_MARK_CLIENT_GONE);
	rc = xf_policy_dump(k, on_present, have, err);
	if (rc == CS_ENOMEM)
		return cs_fail(err, CS_ENOMEM, "no memory for the kernel's policies");
	xf_list_sort(&have->list);
	return rc;
}

static const struct xf_policy *find(const struct xf_policy_list *l, const struct xf_policy *p)
{
	size_t low = 0, high = l->n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		int d = xf_policy_order(p, &l->v[mid]);

		if (d == 0)
			return &l->v[mid];
		if (d < 0)
			high = mid;
		else
			low = mid + 1;
	}
	return NULL;
}

static bool is_missing(const struct xf_policy *p, const struct xf_policy_list *have)
{
	const struct xf_policy *old = find(have, p);

	return !old || !xf_policy_same(old, p);
}

static bool any_missing(const struct xf_policy_list *wanted, const struct xf_policy_list *have)
{
	for (size_t i = 0; i < wanted->n; i++)
		if (is_missing(&wanted->v[i], have))
			return true;
	return false;
}

static int add_missing(struct xf_kernel *k, const struct xf_policy_list *wanted,
		       const struct xf_policy_list *have, struct cs_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < wanted->n && rc == 0; i++)
		if (is_missing(&wanted->v[i], have))
			rc = xf_policy_add(k, &wanted->v[i], err);
	return rc;
}

static int delete_unwanted(struct xf_kernel *k, const struct xf_policy_list *wanted,
			   const struct xf_policy_list *have, struct cs_err *err)
{
	int rc, first = 0;

	for (size_t i = 0; i < have->n; i++) {
		if (find(wanted, &have->v[i]))
			continue;
		rc = xf_policy_delete(k, &have->v[i], first < 0 ? NULL : err);
		if (rc < 0 && rc != CS_ENOTFOUND && first == 0)
			first = rc;
	}
	return first;
}

/* ---- the steps of an installation ---- */

struct change {
	const struct pol_policy *policy;
	time_t now;
	struct xf_policy_list wanted;
	struct present have;
	bool v4, v6; /* what must be protected is of these families */
};

static int put_before(struct xf_kernel *k, const struct change *c, struct cs_err *err)
{
	int rc = xf_policy_has_clients(c->policy) ? xf_early_demux_set(false, err) : 0;

	if (rc == 0 && c->v4)
		rc = add_ends(k, AF_INET, err);
	if (rc == 0 && c->v6)
		rc = add_ends(k, AF_INET6, err);
	return rc == 0 ? add_missing(k, &c->wanted, &c->have.list, err) : rc;
}

/*
 * Nothing new came into force: what was put in for it goes, and what it was put in the place of
 * comes back. Best effort, for an error is told already.
 */
static void undo(struct xf_kernel *k, const struct change *c)
{
	for (size_t i = 0; i < c->wanted.n; i++) {
		const struct xf_policy *p = &c->wanted.v[i], *old = find(&c->have.list, p);

		if (!old)
			xf_policy_delete(k, p, NULL);
		else if (!xf_policy_same(old, p))
			xf_policy_add(k, old, NULL);
	}
	if (xf_policy_has_clients(c->policy) && !c->have.had_clients)
		xf_early_demux_set(true, NULL);
}

/* The one transaction. Counters that cannot be read are no reason to leave the filters undone. */
static int flip(struct xf_kernel *k, const struct change *c, const struct xf_carry *carry,
		struct cs_err *err)
{
	struct xf_count_list counts = {0};
	unsigned n_rules;
	char *text;
	int rc;

	if (carry && xf_carry_read(k, c->policy, carry, &counts, NULL) < 0)
		counts.n = 0;
	text = xf_nft_compile(&k->marking, c->policy, c->now, &counts, &n_rules);
	rc = text ? xf_nft_run(text, false, err)
		  : cs_fail(err, CS_ENOMEM, "no memory for the nftables ruleset");
	free(text);
	free(counts.v);
	return rc;
}

static int take_after(struct xf_kernel *k, const struct change *c, struct cs_err *err)
{
	int rc = delete_unwanted(k, &c->wanted, &c->have.list, err);

	if (rc == 0 && !c->v4)
		rc = delete_ends(k, AF_INET, err);
	if (rc == 0 && !c->v6)
		rc = delete_ends(k, AF_INET6, err);
	if (rc == 0 && c->have.had_clients && !xf_policy_has_clients(c->policy))
		rc = xf_early_demux_set(true, err);
	return rc;
}

/*
 * A table that the kernel refuses is found out before an entry goes in that could refuse what the
 * old table lets through.  Without such an entry the transaction itself is trial enough.
 */
static int try_table(struct xf_kernel *k, const struct change *c, struct cs_err *err)
{
	unsigned n_rules;
	char *text;
	int rc;

	if (!any_missing(&c->wanted, &c->have.list))
		return 0;
	text = xf_nft_compile(&k->marking, c->policy, c->now, NULL, &n_rules);
	rc = text ? xf_nft_run(text, true, err)
		  : cs_fail(err, CS_ENOMEM, "no memory for the nftables ruleset");
	free(text);
	return rc;
}

/* ---- the three calls ---- */

int xf_install(struct xf_kernel *k, const struct pol_policy *policy, time_t now, struct cs_err *err)
{
	return xf_install_over(k, policy, now, NULL, err);
}

int xf_install_over(struct xf_kernel *k, const struct pol_policy *policy, time_t now,
		    const struct xf_carry *carry, struct cs_err *err)
{
	struct change c = {.policy = policy, .now = now};
	int rc = xf_wanted(&k->marking, policy, &c.wanted, &c.v4, &c.v6, err);

	if (rc == 0 && (c.v4 || c.v6))
		rc = check_loopback(err);
	if (rc == 0)
		rc = read_present(k, &c.have, err);
	if (rc == 0)
		rc = try_table(k, &c, err);
	if (rc == 0) {
		rc = put_before(k, &c, err);
		if (rc == 0)
			rc = flip(k, &c, carry, err);
		if (rc < 0)
			undo(k, &c);
	}
	if (rc == 0)
		rc = take_after(k, &c, err);
	xf_list_free(&c.wanted);
	xf_list_free(&c.have.list);
	return rc;
}

int xf_uninstall(struct xf_kernel *k, struct cs_err *err)
{
	struct xf_policy_list none = {0};
	struct present have = {0};
	int rc;

	rc = read_present(k, &have, err);
	if (rc == 0)
		rc = delete_unwanted(k, &none, &have.list, err);
	if (rc == 0)
		rc = xf_nft_delete(err);
	if (rc == 0)
		rc = delete_ends(k, AF_INET, err);
	if (rc == 0)
		rc = delete_ends(k, AF_INET6, err);
	if (rc == 0 && have.had_clients)
		rc = xf_early_demux_set(true, err);
	xf_list_free(&have.list);
	return rc;
}

/* Every policy is there, too, and what they lead to: somebody may have flushed the SPD. */
bool xf_installed(struct xf_kernel *k, const struct pol_policy *policy, time_t now)
{
	struct xf_policy_list wanted = {0};
	struct present have = {0};
	unsigned n_rules;
	bool v4 = false, v6 = false, all;
	char *text;

	text = xf_nft_compile(&k->marking, policy, now, NULL, &n_rules);
	all = text && xf_nft_present(policy->generation, n_rules) &&
	      xf_wanted(&k->marking, policy, &wanted, &v4, &v6, NULL) == 0 &&
	      read_present(k, &have, NULL) == 0;
	for (size_t i = 0; all && i < wanted.n; i++) {
		const struct xf_policy *p = find(&have.list, &wanted.v[i]);

		all = p && xf_policy_same(p, &wanted.v[i]);
	}
	all = all && (!v4 || ends_there(k, AF_INET)) && (!v6 || ends_there(k, AF_INET6));
	all = all && (!xf_policy_has_clients(policy) || xf_early_demux_is(false));
	free(text);
	xf_list_free(&wanted);
	xf_list_free(&have.list);
	return all;
}
