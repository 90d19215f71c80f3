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
#include <sys/random.h>
#include <unistd.h>

#include "xfrm/closed.h"
#include "xfrm/kernel.h"

#define SPENT_SPI     0x100u
#define SPENT_OSEQ    0xffffffffu
#define SPENT_KEY_LEN 20 /* AES-128 and the salt */

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

static int on_spent(const struct nlmsghdr *h, void *arg)
{
	const struct xfrm_replay_state *replay;
	struct xfrm_usersa_info info;

	if (!xf_body(h, &info, sizeof(info)))
		return MNL_CB_OK;
	replay = xf_attr(h, sizeof(info), XFRMA_REPLAY_VAL, sizeof(*replay));
	if (replay && replay->oseq == SPENT_OSEQ && info.reqid == XF_REQID_SPENT)
		*(bool *)arg = true;
	return MNL_CB_OK;
}

static bool is_spent(struct xf_kernel *k, const struct cs_addr *loopback)
{
	struct xfrm_usersa_id *id;
	bool spent = false;
	struct xf_msg m;

	id = xf_msg_start(&m, XFRM_MSG_GETSA, 0, sizeof(*id));
	xf_to_kernel_addr(loopback, &id->daddr);
	id->family = loopback->family;
	id->proto = IPPROTO_ESP;
	id->spi = htonl(SPENT_SPI);
	return xf_ask(k, &m, on_spent, &spent, "spent SA", NULL) == 0 && spent;
}

/* An SA that has used up its sequence numbers: whatever is routed into it is refused. */
static int add_spent(struct xf_kernel *k, const struct cs_addr *loopback, struct cs_err *err)
{
	struct xfrm_replay_state replay = {.oseq = SPENT_OSEQ};
	union { /* the key follows the head */
		struct xfrm_algo_aead head;
		uint8_t raw[sizeof(struct xfrm_algo_aead) + SPENT_KEY_LEN];
	} aead = {.head = {.alg_name = "rfc4106(gcm(aes))",
			   .alg_key_len = SPENT_KEY_LEN * 8,
			   .alg_icv_len = 128}};
	struct xf_said id = {.dst = *loopback, .proto = IPPROTO_ESP, .spi = SPENT_SPI};
	struct xfrm_usersa_info *info;
	struct xf_msg m;
	int rc;

	if (is_spent(k, loopback))
		return 0;
	/* Something else has its place, or nothing. */
	xf_sa_delete(k, &id, NULL);
	if (getrandom(aead.raw + sizeof(aead.head), SPENT_KEY_LEN, 0) != SPENT_KEY_LEN)
		return cs_fail_errno(err, "random numbers");
	info = xf_msg_start(&m, XFRM_MSG_NEWSA, NLM_F_CREATE | NLM_F_EXCL, sizeof(*info));
	info->family = loopback->family;
	info->mode = XFRM_MODE_TUNNEL;
	info->reqid = XF_REQID_SPENT;
	info->id.proto = IPPROTO_ESP;
	info->id.spi = htonl(SPENT_SPI);
	xf_to_kernel_addr(loopback, &info->id.daddr);
	xf_to_kernel_addr(loopback, &info->saddr);
	info->lft.soft_byte_limit = info->lft.hard_byte_limit = XFRM_INF;
	info->lft.soft_packet_limit = info->lft.hard_packet_limit = XFRM_INF;
	xf_msg_put(&m, XFRMA_ALG_AEAD, &aead, sizeof(aead.raw));
	xf_msg_put(&m, XFRMA_REPLAY_VAL, &replay, sizeof(replay));
	rc = xf_ask(k, &m, NULL, NULL, "the SA that keeps unmarked traffic in", err);
	cs_wipe(&aead, sizeof(aead));
	cs_wipe(&m, sizeof(m));
	return rc;
}

static struct cs_addr loopback(uint8_t family)
{
	static const uint8_t v4[4] = {127, 0, 0, 1}, v6[16] = {[15] = 1};

	return cs_addr_from_bytes(family, family == AF_INET ? v4 : v6);
}

static int add_all_spent(struct xf_kernel *k, bool v4, bool v6, struct cs_err *err)
{
	struct cs_addr lo4 = loopback(AF_INET), lo6 = loopback(AF_INET6);
	int rc = 0;

	if (v4)
		rc = add_spent(k, &lo4, err);
	if (rc == 0 && v6)
		rc = add_spent(k, &lo6, err);
	return rc;
}

static void delete_spent(struct xf_kernel *k, bool v4, bool v6)
{
	struct xf_said id4 = {loopback(AF_INET), IPPROTO_ESP, SPENT_SPI};
	struct xf_said id6 = {loopback(AF_INET6), IPPROTO_ESP, SPENT_SPI};

	if (v4)
		xf_sa_delete(k, &id4, NULL);
	if (v6)
		xf_sa_delete(k, &id6, NULL);
}

/* ---- what is there ---- */

struct present {
	struct xf_policy_list list;
	uint32_t mask;
};

/* Ours: our field of the mark and a priority of pagent's. iked's tunnels are not among them. */
static int on_present(void *arg, const struct xf_policy *p)
{
	struct present *have = arg;

	if (p->mark_mask != have->mask)
		return 0;
	if (p->priority != XF_PRIO_ANCHOR && p->priority != XF_PRIO_NEIGHBOR &&
	    p->priority != XF_PRIO_CLOSED)
		return 0;
	return xf_list_put(&have->list, p) ? 0 : CS_ENOMEM;
}

static int read_present(struct xf_kernel *k, struct present *have, struct cs_err *err)
{
	int rc;

	have->mask = xf_mark_mask(&k->marking);
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

static int add_missing(struct xf_kernel *k, const struct xf_policy_list *wanted,
		       const struct xf_policy_list *have, struct cs_err *err)
{
	int rc = 0;

	for (size_t i = 0; i < wanted->n && rc == 0; i++) {
		const struct xf_policy *old = find(have, &wanted->v[i]);

		if (!old || !xf_policy_same(old, &wanted->v[i]))
			rc = xf_policy_add(k, &wanted->v[i], err);
	}
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

/* ---- the three calls ---- */

int xf_install(struct xf_kernel *k, const struct pol_policy *policy, struct cs_err *err)
{
	struct xf_policy_list wanted = {0};
	struct present have = {0};
	bool v4 = false, v6 = false;
	unsigned n_rules;
	char *text = NULL;
	int rc;

	rc = xf_wanted(&k->marking, policy, &wanted, &v4, &v6, err);
	if (rc == 0 && (v4 || v6))
		rc = check_loopback(err);
	if (rc < 0)
		goto out;
	text = xf_nft_compile(&k->marking, policy, &n_rules);
	if (!text) {
		rc = cs_fail(err, CS_ENOMEM, "no memory for the nftables ruleset");
		goto out;
	}
	rc = read_present(k, &have, err);
	if (rc < 0)
		goto out;
	/* Where a policy of ours could refuse what the old table lets through, nothing has changed
	 * yet. */
	rc = xf_nft_run(text, true, err);
	if (rc == 0)
		rc = add_all_spent(k, v4, v6, err);
	if (rc == 0)
		rc = add_missing(k, &wanted, &have.list, err);
	if (rc == 0)
		rc = xf_nft_run(text, false, err);
	if (rc == 0)
		rc = delete_unwanted(k, &wanted, &have.list, err);
	if (rc == 0)
		delete_spent(k, !v4, !v6);
out:
	free(text);
	xf_list_free(&wanted);
	xf_list_free(&have.list);
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
		delete_spent(k, true, true);
	xf_list_free(&have.list);
	return rc;
}

/* Every policy is there, too: somebody may have flushed the SPD. */
bool xf_installed(struct xf_kernel *k, const struct pol_policy *policy)
{
	struct xf_policy_list wanted = {0};
	struct present have = {0};
	unsigned n_rules;
	bool v4, v6, all;
	char *text;

	text = xf_nft_compile(&k->marking, policy, &n_rules);
	all = text && xf_nft_present(policy->generation, n_rules) &&
	      xf_wanted(&k->marking, policy, &wanted, &v4, &v6, NULL) == 0 &&
	      read_present(k, &have, NULL) == 0;
	for (size_t i = 0; all && i < wanted.n; i++) {
		const struct xf_policy *p = find(&have.list, &wanted.v[i]);

		all = p && xf_policy_same(p, &wanted.v[i]);
	}
	free(text);
	xf_list_free(&wanted);
	xf_list_free(&have.list);
	return all;
}
