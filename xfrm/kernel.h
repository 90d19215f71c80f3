/*
 * The netlink socket and the translations between our values and XFRM's structs.  Private to xfrm/.
 */
#ifndef XF_KERNEL_H
#define XF_KERNEL_H

#include <libmnl/libmnl.h>
#include <linux/netlink.h>
#include <linux/xfrm.h>
#include <stdio.h>

#include "xfrm/xfrm.h"

#define XF_TABLE "csipsec"

struct xf_kernel {
	struct mnl_socket *nl;
	uint32_t port, seq;
	struct xf_marking marking;
	uint8_t *reply; /* of XF_REPLY_MAX bytes */
};

#define XF_REPLY_MAX 65536
#define XF_MSG_MAX   8192
#define XF_WHAT_MAX  160

/* One request under construction. Attributes are bounds-checked by libmnl's _check functions. */
struct xf_msg {
	union {
		uint8_t bytes[XF_MSG_MAX];
		uint64_t align; /* XFRM's structs have 64-bit members */
	} u;
	struct nlmsghdr *h;
	bool overflow;
};

/* Starts a message; returns its zeroed body of `size` bytes. */
void *xf_msg_start(struct xf_msg *m, uint16_t type, uint16_t flags, size_t size);
void xf_msg_put(struct xf_msg *m, uint16_t type, const void *data, size_t len);
void xf_msg_put_u32(struct xf_msg *m, uint16_t type, uint32_t v);
void xf_msg_put_mark(struct xf_msg *m, uint32_t value, uint32_t mask);

/*
 * Sends the request and runs the answers through fn until the acknowledgement or the end of the
 * dump. `what` names the object in the error. CS_EAGAIN: a dump was disturbed, ask again.
 */
int xf_ask(struct xf_kernel *k, struct xf_msg *m, mnl_cb_t fn, void *arg, const char *what,
	   struct cs_err *err);

/*
 * Copies an answer's fixed part: netlink aligns to 4 bytes, and XFRM's structs want 8. False when
 * the message is shorter.
 */
bool xf_body(const struct nlmsghdr *h, void *to, size_t size);

/* XFRM's structs and ours. */
void xf_to_kernel_addr(const struct cs_addr *a, xfrm_address_t *to);
struct cs_addr xf_from_kernel_addr(uint16_t family, const xfrm_address_t *from);
/*
 * turned: source is the remote side (everything inbound). CS_EINVAL when a range is not one prefix
 * or the families differ. A selector without addresses is everything of `family`.
 */
int xf_to_kernel_selector(const struct cs_selector *s, uint8_t family, bool turned,
			  struct xfrm_selector *to, struct cs_err *err);
void xf_from_kernel_selector(const struct xfrm_selector *from, bool turned, struct cs_selector *s);
/* The attribute's payload when it is at least len bytes, else NULL. */
const void *xf_attr(const struct nlmsghdr *h, size_t body, uint16_t type, size_t len);
/* The attribute as an array of *n items of this size; without it *n is 0. */
const void *xf_attr_array(const struct nlmsghdr *h, size_t body, uint16_t type, size_t item,
			  size_t *n);

/* "ESP SA 0x00001234 to 192.0.2.1", in errors. */
const char *xf_said_text(const struct xf_said *id, char buf[static XF_WHAT_MAX]);

/* Counters as an SA's message has them. */
void xf_counters_of(const struct xfrm_usersa_info *info, struct xf_counters *c);

/* A dump that others' changes disturb is read again, so often. */
#define XF_DUMP_TRIES 8

/* Room for one item more: the array, or NULL without memory. *cap 0: it is NULL yet. */
void *xf_room(void *items, size_t n, size_t *cap, size_t size);

/* ---- routes: route.c ---- */

/* A socket for the calls below, closed by xf_close. */
int xf_open_routes(struct xf_kernel **routes, struct cs_err *err);
/* The smallest MTU of the interfaces that are up, lo and what is below floor aside. */
int xf_link_mtu(struct xf_kernel *routes, unsigned floor, unsigned *mtu, struct cs_err *err);
/* The local route to one address, with an MTU; _mtu is CS_ENOTFOUND without one. */
int xf_route_put(struct xf_kernel *routes, const struct cs_addr *to, unsigned mtu,
		 struct cs_err *err);
int xf_route_mtu(struct xf_kernel *routes, const struct cs_addr *to, unsigned *mtu,
		 struct cs_err *err);
int xf_route_delete(struct xf_kernel *routes, const struct cs_addr *to, struct cs_err *err);

/* ---- connections: conntrack.c ---- */

int xf_open_netfilter(struct xf_kernel **nf, struct cs_err *err);

/* ---- early demultiplexing: early_demux.c ---- */

bool xf_early_demux_is(bool on);
int xf_early_demux_set(bool on, struct cs_err *err);

/* ---- counters that live on: carry.c ---- */

struct xf_count_list {
	struct xf_filter_count *v; /* by rule, service and direction */
	size_t n;
};
/* NULL: there is none, or there are no counts. */
struct xf_filter_count *xf_count_find(const struct xf_count_list *counts, unsigned rule,
				      unsigned service, bool outbound);
/*
 * What the rules of the table have counted, by the rules of the policy. Without a table there are
 * no counts, which is no error.
 */
int xf_carry_read(struct xf_kernel *k, const struct pol_policy *policy,
		  const struct xf_carry *carry, struct xf_count_list *counts, struct cs_err *err);

/* ---- policy into the kernel: nft_compile.c, nft_clients.c and nft_install.c ---- */

/*
 * The text of one nftables transaction that replaces our table by one for the time now, and the
 * number of its rules. counts (NULL: 0 for all) is what counters begin with, and is used up.
 */
char *xf_nft_compile(const struct xf_marking *marking, const struct pol_policy *policy, time_t now,
		     struct xf_count_list *counts, unsigned *n_rules);
/*
 * The chains for clients behind a NAT, and the number of their rules; they are there only where
 * the policy allows NAT, because they need connection tracking.
 */
unsigned xf_nft_clients(FILE *f, const struct xf_marking *marking);
/* What answers a client: the packet's connection has come from one. */
#define XF_NFT_ANSWER "ct direction reply ct original zone 8193-16383"
/*
 * Runs nftables commands in a child process and waits for it, a minute or, for a long text, more.
 * CS_EKERNEL because it took longer: the kernel may have done them all the same, or nothing of
 * them, but does nothing more. err may be NULL.
 */
int xf_nft_run(const char *commands, bool check_only, struct cs_err *err);
int xf_nft_run_within(const char *commands, bool check_only, unsigned seconds, struct cs_err *err);
int xf_nft_delete(struct cs_err *err); /* no table is no error */
/* Is our table there, with this generation and as many rules? */
bool xf_nft_present(uint64_t generation, unsigned n_rules);

#endif
