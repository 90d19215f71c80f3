/* Messages of nfnetlink_log: linux/netfilter/nfnetlink_log.h. */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <string.h>

#include "trmd/nflog.h"

#define PACKET ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET)

/* Before this the kernel's time is not that of the wall: some stamps count from the boot. */
#define TIME_MIN_S 1000000000

struct attrs {
	const struct nlattr *of[NFULA_MAX + 1];
};

static const void *value(const struct attrs *a, int type, size_t len)
{
	const struct nlattr *attr = a->of[type];

	return attr && mnl_attr_get_payload_len(attr) >= len ? mnl_attr_get_payload(attr) : NULL;
}

static uint32_t number(const struct attrs *a, int type)
{
	const void *p = value(a, type, sizeof(uint32_t));
	uint32_t n = 0;

	if (p)
		memcpy(&n, p, sizeof(n));
	return ntohl(n);
}

/* False: what is behind the header is not attributes, all of it. */
static bool collect(const struct nlmsghdr *h, struct attrs *a)
{
	/* libmnl's end is that of the padding behind, which need not be there. */
	const uint8_t *end = (const uint8_t *)h + h->nlmsg_len;
	const struct nlattr *attr;

	memset(a, 0, sizeof(*a));
	for (attr = mnl_nlmsg_get_payload_offset(h, sizeof(struct nfgenmsg));
	     mnl_attr_ok(attr, (int)(end - (const uint8_t *)attr)); attr = mnl_attr_next(attr))
		if (mnl_attr_get_type(attr) <= NFULA_MAX)
			a->of[mnl_attr_get_type(attr)] = attr;
	return (const uint8_t *)attr >= end;
}

static uint64_t be64(const uint8_t *p)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < 8; i++)
		n = n << 8 | p[i];
	return n;
}

static void set_time(struct trmd_event *e, const struct attrs *a, int64_t received_us)
{
	const uint8_t *p = value(a, NFULA_TIMESTAMP, sizeof(struct nfulnl_msg_packet_timestamp));
	uint64_t s = p ? be64(p) : 0, us = p ? be64(p + 8) : 0;

	e->kernel_time = s >= TIME_MIN_S && s < UINT32_MAX && us < 1000000;
	e->time_us = e->kernel_time ? (int64_t)(s * 1000000 + us) : received_us;
}

static void set_hardware(struct trmd_event *e, const struct attrs *a)
{
	const struct nfulnl_msg_packet_hw *hw = value(a, NFULA_HWADDR, sizeof(*hw));

	e->hw_len = 0;
	if (!hw || ntohs(hw->hw_addrlen) > sizeof(e->hw_addr))
		return;
	e->hw_len = (uint8_t)ntohs(hw->hw_addrlen);
	memcpy(e->hw_addr, hw->hw_addr, sizeof(e->hw_addr));
}

/* Every packet of the group has one, whose prefix it may be. */
static void check_sequence(struct trmd_nflog_reader *r, const struct attrs *a, struct trmd_event *e)
{
	uint32_t gap;

	e->has_seq = value(a, NFULA_SEQ, sizeof(uint32_t)) != NULL;
	e->seq = number(a, NFULA_SEQ);
	if (!e->has_seq)
		return;
	gap = e->seq - r->next;
	/* Backwards is no loss: the kernel has begun to count afresh. */
	if (gap < UINT32_MAX / 2)
		r->stats.lost += gap;
	r->next = e->seq + 1;
}

static void on_packet(struct trmd_nflog_reader *r, const struct nlmsghdr *h, int64_t received_us)
{
	const struct nfulnl_msg_packet_hdr *head;
	struct trmd_event e = {0};
	const struct nlattr *prefix;
	struct attrs a;

	if (mnl_nlmsg_get_payload_len(h) < sizeof(struct nfgenmsg) || !collect(h, &a)) {
		r->stats.malformed++;
		return;
	}
	check_sequence(r, &a, &e);
	prefix = a.of[NFULA_PREFIX];
	if (!prefix || !trmd_prefix_parse(mnl_attr_get_payload(prefix),
					  mnl_attr_get_payload_len(prefix), &e)) {
		r->stats.foreign++;
		return;
	}
	head = value(&a, NFULA_PACKET_HDR, sizeof(*head));
	if (!head) {
		r->stats.malformed++;
		return;
	}
	e.hook = head->hook;
	e.family = ntohs(head->hw_protocol) == 0x0800   ? AF_INET
		   : ntohs(head->hw_protocol) == 0x86dd ? AF_INET6
							: 0;
	e.in = number(&a, NFULA_IFINDEX_INDEV);
	e.out = number(&a, NFULA_IFINDEX_OUTDEV);
	e.mark = number(&a, NFULA_MARK);
	set_time(&e, &a, received_us);
	set_hardware(&e, &a);
	if (a.of[NFULA_PAYLOAD]) {
		e.p = mnl_attr_get_payload(a.of[NFULA_PAYLOAD]);
		e.len = mnl_attr_get_payload_len(a.of[NFULA_PAYLOAD]);
	}
	r->stats.packets++;
	r->ops->packet(r->arg, &e);
}

void trmd_nflog_datagram(struct trmd_nflog_reader *r, const void *p, size_t len,
			 int64_t received_us)
{
	const struct nlmsghdr *h = p;
	int left = len > INT32_MAX ? 0 : (int)len;

	/* To libmnl a length of more than 2 GB is a negative one, and good. */
	for (; mnl_nlmsg_ok(h, left) && h->nlmsg_len <= (uint32_t)left;
	     h = mnl_nlmsg_next(h, &left))
		if (h->nlmsg_type == PACKET)
			on_packet(r, h, received_us);
	if (left > 0)
		r->stats.malformed++;
}
