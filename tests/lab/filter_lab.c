/*
 * The filter list asked from the lab: what the reference evaluator says about packets, and what the
 * kernel has counted.
 *
 *   filter_lab ruleset FILE      the nftables text of a policy file
 *   filter_lab ask STATEDIR|FILE answers lines of standard input, each answer ends with a line "."
 *       rules                    the policy in force: "position verdict id name", a line each
 *       counts                   "position service direction packets" of what has counted
 *       PACKET                   the positions of the rules that it passes because its SA is of
 *                                another peer, and then of its own, or their number for the
 *                                implicit deny; a line each
 *   filter_lab logs SECONDS      for so long what NFLOG says: the prefix and the packet in hex
 *
 * A packet is a line of numbers and addresses: outbound routed source destination protocol fragment
 * ports? source-port destination-port type code opens class rule-of-its-SA.  What is unknown is -1.
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
#include <sys/stat.h>
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

/* A policy file, with ids as the store would give them. */
static int from_file(const char *file, struct pol_policy **policy, struct cs_err *err)
{
	int rc = pol_compile(file, "TCPIP", on_diag, NULL, policy, err);

	for (unsigned i = 0, id = XF_MARK_RULE_MIN; rc == 0 && i < (*policy)->n_rules; i++)
		if ((*policy)->rules[i].verdict == POL_IPSEC)
			(*policy)->rules[i].id = (uint16_t)id++;
	return rc;
}

static int ruleset(const char *file)
{
	const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct pol_policy *policy;
	struct cs_err err;
	char *text;

	if (from_file(file, &policy, &err) < 0)
		return fail(&err);
	text = xf_ruleset(&marking, policy, time(NULL));
	if (text)
		fputs(text, stdout);
	free(text);
	pol_unref(policy);
	return text ? 0 : 1;
}

/* ---- the evaluator ---- */

#define N_VALUES 14

static bool read_packet(char *line, struct pol_packet *p, struct cs_err *err)
{
	long v[N_VALUES] = {0};
	unsigned n = 0;
	char *word, *rest = NULL;

	memset(p, 0, sizeof(*p));
	for (word = strtok_r(line, " \n", &rest); word && n < N_VALUES;
	     word = strtok_r(NULL, " \n", &rest), n++) {
		if (n == 2 || n == 3) {
			if (cs_addr_parse(word, n == 2 ? &p->src : &p->dst, err) < 0)
				return false;
		} else {
			v[n] = strtol(word, NULL, 10);
		}
	}
	if (n != N_VALUES) {
		cs_fail(err, CS_EINVAL, "not a packet: %u values", n);
		return false;
	}
	p->outbound = v[0];
	p->routed = v[1];
	p->proto = (int)v[4];
	p->fragment = v[5];
	p->ports_known = v[6];
	p->src_port = (uint16_t)v[7];
	p->dst_port = (uint16_t)v[8];
	p->type = (int)v[9];
	p->code = (int)v[10];
	p->tcp_syn_only = v[11];
	p->security_class = (uint8_t)v[12];
	p->sa_rule = (uint16_t)v[13];
	return true;
}

static void on_count(void *arg, const struct xf_filter_count *c)
{
	(void)arg;
	if (c->packets)
		printf("%u %u %c %llu\n", c->rule, c->service, c->outbound ? 'o' : 'i',
		       (unsigned long long)c->packets);
}

static void rules(const struct pol_policy *policy)
{
	static const char *const verdicts[] = {"permit", "deny", "ipsec"};

	for (unsigned i = 0; i < policy->n_rules; i++)
		printf("%u %s %u %s\n", i, verdicts[policy->rules[i].verdict], policy->rules[i].id,
		       policy->rules[i].name);
}

static void on_rule(void *arg, const struct pol_filter_rule *r, bool matched, const char *why_not)
{
	const struct pol_policy *policy = arg;

	if (matched || strstr(why_not, "an SA of another rule"))
		printf("%u\n", (unsigned)(r - policy->rules));
}

static int answers(struct pol_policy *policy, struct xf_kernel *k)
{
	struct pol_packet packet;
	struct cs_err err;
	char line[512];

	while (fgets(line, sizeof(line), stdin)) {
		if (strcmp(line, "rules\n") == 0) {
			rules(policy);
		} else if (strcmp(line, "counts\n") == 0) {
			if (xf_filter_counts(k, on_count, NULL, &err) < 0)
				return fail(&err);
		} else {
			if (!read_packet(line, &packet, &err))
				return fail(&err);
			if (!pol_filter_match(policy, &packet, time(NULL), on_rule, policy))
				printf("%u\n", policy->n_rules);
		}
		puts(".");
		fflush(stdout);
	}
	return 0;
}

static int from_store(const char *statedir, struct pol_policy **policy, struct cs_err *err)
{
	struct pol_store *store;
	int rc = pol_store_open(statedir, false, &store, err);

	if (rc < 0)
		return rc;
	rc = pol_store_load(store, policy, err);
	pol_store_close(store);
	return rc;
}

static int ask(const char *from)
{
	const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct xf_kernel *k = NULL;
	struct pol_policy *policy;
	struct cs_err err;
	struct stat st;
	int status, rc;

	if (stat(from, &st) == 0 && S_ISREG(st.st_mode))
		rc = from_file(from, &policy, &err);
	else
		rc = from_store(from, &policy, &err);
	if (rc < 0)
		return fail(&err);
	status = xf_open(&marking, &k, &err) < 0 ? fail(&err) : answers(policy, k);
	xf_close(k);
	pol_unref(policy);
	return status;
}

/* ---- NFLOG ---- */

static int on_attr(const struct nlattr *a, void *arg)
{
	const struct nlattr **kept = arg;

	if (mnl_attr_get_type(a) == NFULA_PREFIX)
		kept[0] = a;
	else if (mnl_attr_get_type(a) == NFULA_PAYLOAD)
		kept[1] = a;
	return MNL_CB_OK;
}

static int on_log(const struct nlmsghdr *h, void *arg)
{
	const struct nlattr *kept[2] = {NULL, NULL};
	const uint8_t *payload;

	(void)arg;
	if (h->nlmsg_type != (NFNL_SUBSYS_ULOG << 8 | NFULNL_MSG_PACKET))
		return MNL_CB_OK;
	mnl_attr_parse(h, sizeof(struct nfgenmsg), on_attr, kept);
	printf("%s|", kept[0] ? mnl_attr_get_str(kept[0]) : "");
	payload = kept[1] ? mnl_attr_get_payload(kept[1]) : NULL;
	for (size_t i = 0; payload && i < mnl_attr_get_payload_len(kept[1]); i++)
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
	char buf[8192];
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

static int logs(long seconds)
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
	if (argc == 3 && strcmp(argv[1], "ask") == 0)
		return ask(argv[2]);
	if (argc == 3 && strcmp(argv[1], "logs") == 0)
		return logs(strtol(argv[2], NULL, 10));
	fprintf(stderr, "usage: filter_lab ruleset FILE | ask STATEDIR|FILE | logs SECONDS\n");
	return 2;
}
