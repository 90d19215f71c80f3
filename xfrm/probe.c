/* What this kernel can do, found out by doing it. */
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>

#include "xfrm/kernel.h"

static const uint8_t documentation4[4] = {192, 0, 2, 1};                      /* RFC 5737 */
static const uint8_t documentation6[16] = {0x20, 0x01, 0x0d, 0xb8, [15] = 1}; /* RFC 3849 */

/* Adds an SA for an address that nobody has and deletes it; it would end by itself after 1 s. */
static bool can_esp(struct xf_kernel *k, uint8_t family, const uint8_t *address, struct cs_err *err)
{
	struct cs_addr a = cs_addr_from_bytes(family, address);
	uint8_t keys[2][64];
	struct xf_sa sa = {.src = a,
			   .reqid = xf_reqid(0, XF_REQID_TUNNEL_MAX),
			   .mode = XF_TRANSPORT,
			   .cipher = cs_cipher_by_keyword("AES_CBC", 128),
			   .integ = cs_integ_by_keyword("HMAC_SHA2_256_128"),
			   .hard_seconds = 1};
	int rc;

	sa.id = (struct xf_said){.dst = a, .proto = IPPROTO_ESP};
	if (!sa.cipher || !sa.integ || getrandom(keys, sizeof(keys), 0) != sizeof(keys))
		return false;
	sa.cipher_key = (struct cs_bytes){keys[0], sa.cipher->key_bits / 8u};
	sa.integ_key = (struct cs_bytes){keys[1], sa.integ->key_bits / 8u};
	rc = xf_sa_spi(k, &a, &a, IPPROTO_ESP, XF_SPI_PLAIN, sa.reqid, sa.mode, &sa.id.spi, err);
	if (rc == 0) {
		rc = xf_sa_update(k, &sa, err);
		xf_sa_delete(k, &sa.id, NULL);
	}
	return rc == 0;
}

static bool can_nft(const char *rules)
{
	char text[512];

	snprintf(text, sizeof(text),
		 "table inet csipsec_probe {\n"
		 " chain o { type route hook output priority mangle; }\n"
		 " chain i { type filter hook prerouting priority mangle; }\n"
		 " chain p { type filter hook postrouting priority mangle; }\n"
		 "}\n%s\n",
		 rules);
	return xf_nft_run(text, true, NULL) == 0;
}

static void lacks(struct xf_abilities *a, const char *what)
{
	size_t used = strlen(a->missing);

	snprintf(a->missing + used, sizeof(a->missing) - used, "%s%s", used ? ", " : "", what);
}

void xf_probe(struct xf_kernel *k, struct xf_abilities *a)
{
	struct xf_policy p = {.dir = XF_OUT,
			      .family = AF_INET,
			      .priority = XF_PRIO_TUNNEL,
			      .mark = 1,
			      .mark_mask = 0xffffffff};
	struct cs_addr doc = cs_addr_from_bytes(AF_INET, documentation4);

	memset(a, 0, sizeof(*a));
	p.selector.local = p.selector.remote = cs_range_single(&doc);
	a->xfrm = xf_policy_add(k, &p, NULL) == 0;
	if (a->xfrm)
		xf_policy_delete(k, &p, NULL);
	a->esp4 = a->xfrm && can_esp(k, AF_INET, documentation4, NULL);
	a->esp6 = a->xfrm && can_esp(k, AF_INET6, documentation6, NULL);
	a->nft_inet = can_nft("add rule inet csipsec_probe o fib daddr type local counter "
			      "meta mark set meta mark & 0xc000ffff | 0x10000 accept\n"
			      "add rule inet csipsec_probe i counter reject with icmpx "
			      "admin-prohibited\n"
			      "add rule inet csipsec_probe i log group 119\n"
			      "add rule inet csipsec_probe p tcp option maxseg size set rt mtu");
	a->nft_xfrm =
		can_nft("add rule inet csipsec_probe i ipsec in reqid & 0xfffc0000 == 0x400000 "
			"accept\n"
			"add rule inet csipsec_probe p rt ipsec missing drop");
	if (!a->xfrm)
		lacks(a, "XFRM policies (CONFIG_XFRM_USER, or CAP_NET_ADMIN)");
	if (!a->esp4)
		lacks(a, "ESP over IPv4 (INET_ESP)");
	if (!a->esp6)
		lacks(a, "ESP over IPv6 (INET6_ESP)");
	if (!a->nft_inet)
		lacks(a, "nftables inet, with fib, reject and log (NFT_LOG, "
			 "NETFILTER_NETLINK_LOG)");
	if (!a->nft_xfrm)
		lacks(a, "nftables ipsec and rt (NFT_XFRM)");
}
