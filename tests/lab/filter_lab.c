/*
 * The filter list asked from the lab: what the reference evaluator says about packets, and what the
 * kernel has counted.
 *
 *   filter_lab ruleset FILE      the nftables text of a policy file
 *   filter_lab rules STATEDIR    the policy in force: "position verdict id name", a line each
 *   filter_lab which STATEDIR    for each packet on standard input the position of its rule, or
 *                                their number for the implicit deny
 *   filter_lab counts            "position direction packets" of what has counted
 *   filter_lab logs SECONDS      for so long what NFLOG says: the prefix and the packet in hex
 *
 * A packet is a line of numbers and addresses: outbound routed source destination protocol fragment
 * ports? source-port destination-port type code opens class.  What is unknown is -1.
 */
#include <arpa/inet.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "policy/policy.h"
#include "xfrm/xfrm.h"

static int fail(const struct cs_err *err)
{
	fprintf(stderr, "filter_lab: %s\n", err->text);
	return 1;
}

static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg;
	if (d->severity == POL_ERROR)
		fprintf(stderr, "%s:%u: %s\n", d->file, d->line, d->text);
}

static int ruleset(const char *file)
{
	const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct pol_policy *policy;
	struct cs_err err;
	char *text;

	if (pol_compile(file, "TCPIP", on_diag, NULL, &policy, &err) < 0)
		return fail(&err);
	/* The store would give them. */
	for (unsigned i = 0, id = XF_MARK_RULE_MIN; i < policy->n_rules; i++)
		if (policy->rules[i].verdict == POL_IPSEC)
			policy->rules[i].id = (uint16_t)id++;
	text = xf_ruleset(&marking, policy);
	if (text)
		fputs(text, stdout);
	free(text);
	pol_unref(policy);
	return text ? 0 : 1;
}

/* ---- the evaluator ---- */

static bool read_packet(const char *line, struct pol_packet *p, struct cs_err *err)
{
	int out, routed, fragment, known, sport, dport, opens, class;
	char src[CS_ADDR_STRLEN], dst[CS_ADDR_STRLEN];

	memset(p, 0, sizeof(*p));
	if (sscanf(line, "%d %d %45s %45s %d %d %d %d %d %d %d %d %d", &out, &routed, src, dst,
		   &p->proto, &fragment, &known, &sport, &dport, &p->type, &p->code, &opens,
		   &class) != 13) {
		cs_fail(err, CS_EINVAL, "not a packet: %s", line);
		return false;
	}
	p->outbound = out;
	p->routed = routed;
	p->fragment = fragment;
	p->ports_known = known;
	p->src_port = (uint16_t)sport;
	p->dst_port = (uint16_t)dport;
	p->tcp_syn_only = opens;
	p->security_class = (uint8_t) class;
	return cs_addr_parse(src, &p->src, err) == 0 && cs_addr_parse(dst, &p->dst, err) == 0;
}

static int which(const struct pol_policy *policy)
{
	const struct pol_filter_rule *r;
	struct pol_packet packet;
	struct cs_err err;
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		if (!read_packet(line, &packet, &err))
			return fail(&err);
		r = pol_filter_match(policy, &packet, time(NULL), NULL, NULL);
		printf("%u\n", r ? (unsigned)(r - policy->rules) : policy->n_rules);
	}
	return 0;
}

static int rules(const struct pol_policy *policy)
{
	static const char *const verdicts[] = {"permit", "deny", "ipsec"};

	for (unsigned i = 0; i < policy->n_rules; i++)
		printf("%u %s %u %s\n", i, verdicts[policy->rules[i].verdict], policy->rules[i].id,
		       policy->rules[i].name);
	return 0;
}

static int with_policy(const char *statedir, int (*fn)(const struct pol_policy *))
{
	struct pol_store *store;
	struct pol_policy *policy;
	struct cs_err err;
	int status;

	if (pol_store_open(statedir, false, &store, &err) < 0)
		return fail(&err);
	if (pol_store_load(store, &policy, &err) < 0) {
		pol_store_close(store);
		return fail(&err);
	}
	status = fn(policy);
	pol_unref(policy);
	pol_store_close(store);
	return status;
}

/* ---- the kernel ---- */

static void on_count(void *arg, const struct xf_filter_count *c)
{
	(void)arg;
	if (c->packets)
		printf("%u %c %llu\n", c->rule, c->outbound ? 'o' : 'i',
		       (unsigned long long)c->packets);
}

static int counts(void)
{
	const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct xf_kernel *k;
	struct cs_err err;
	int rc;

	if (xf_open(&marking, &k, &err) < 0)
		return fail(&err);
	rc = xf_filter_counts(k, on_count, NULL, &err);
	xf_close(k);
	return rc < 0 ? fail(&err) : 0;
}

/* ---- NFLOG ---- */

static int on_log(const struct nlmsghdr *h, void *arg)
{
	const uint8_t *payload = NULL;
	const char *prefix = "";
	struct nlattr *a;
	size_t n = 0;

	(void)arg;
	if (NFNL_MSG_TYPE(h->nlmsg_type) != NFULNL_MSG_PACKET)
		return MNL_CB_OK;
	mnl_attr_for_each(a, h, sizeof(struct nfgenmsg))
	{
		if (mnl_attr_get_type(a) == NFULA_PREFIX)
			prefix = mnl_attr_get_str(a);
		if (mnl_attr_get_type(a) == NFULA_PAYLOAD) {
			payload = mnl_attr_get_payload(a);
			n = mnl_attr_get_payload_len(a);
		}
	}
	printf("%s|", prefix);
	for (size_t i = 0; i < n; i++)
		printf("%02x", payload[i]);
	putchar('\n');
	return MNL_CB_OK;
}

static void *config(char *buf, uint32_t seq)
{
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_CONFIG;
	h->nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK;
	h->nlmsg_seq = seq;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_UNSPEC;
	g->version = NFNETLINK_V0;
	g->res_id = htons(XF_LOG_GROUP);
	return h;
}

static bool subscribe(struct mnl_socket *nl)
{
	struct nfulnl_msg_config_mode mode = {.copy_range = htonl(0xffff),
					      .copy_mode = NFULNL_COPY_PACKET};
	struct nfulnl_msg_config_cmd bind = {.command = NFULNL_CFG_CMD_BIND};
	char buf[MNL_SOCKET_BUFFER_SIZE];
	struct nlmsghdr *h;
	ssize_t n;

	for (uint32_t i = 1; i <= 2; i++) {
		h = config(buf, i);
		if (i == 1)
			mnl_attr_put(h, NFULA_CFG_CMD, sizeof(bind), &bind);
		else
			mnl_attr_put(h, NFULA_CFG_MODE, sizeof(mode), &mode);
		if (mnl_socket_sendto(nl, h, h->nlmsg_len) < 0)
			return false;
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n < 0 ||
		    mnl_cb_run(buf, (size_t)n, i, mnl_socket_get_portid(nl), NULL, NULL) < 0)
			return false;
	}
	return true;
}

static int logs(int seconds)
{
	struct mnl_socket *nl = mnl_socket_open(NETLINK_NETFILTER);
	time_t end = time(NULL) + seconds;
	static char buf[1 << 17];

	if (!nl || mnl_socket_bind(nl, 0, MNL_SOCKET_AUTOPID) < 0 || !subscribe(nl)) {
		perror("filter_lab: NFLOG");
		return 1;
	}
	puts("ready");
	fflush(stdout);
	while (time(NULL) < end) {
		struct pollfd p = {.fd = mnl_socket_get_fd(nl), .events = POLLIN};
		ssize_t n;

		if (poll(&p, 1, 100) <= 0)
			continue;
		n = mnl_socket_recvfrom(nl, buf, sizeof(buf));
		if (n > 0)
			mnl_cb_run(buf, (size_t)n, 0, 0, on_log, NULL);
		fflush(stdout);
	}
	mnl_socket_close(nl);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc == 3 && strcmp(argv[1], "ruleset") == 0)
		return ruleset(argv[2]);
	if (argc == 3 && strcmp(argv[1], "rules") == 0)
		return with_policy(argv[2], rules);
	if (argc == 3 && strcmp(argv[1], "which") == 0)
		return with_policy(argv[2], which);
	if (argc == 2 && strcmp(argv[1], "counts") == 0)
		return counts();
	if (argc == 3 && strcmp(argv[1], "logs") == 0)
		return logs(atoi(argv[2]));
	fprintf(stderr, "usage: filter_lab ruleset|rules|which|counts|logs [ARGUMENT]\n");
	return 2;
}
