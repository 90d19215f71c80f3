/*
 * What a policy costs by its number of rules: reading and compiling it, storing and loading it,
 * putting it into the kernel and reading its counters, and what each packet then costs, in the
 * reference evaluator and in the kernel: by the compiled tree, by the same rules as a plain list,
 * and without any filter.
 *
 * All times are CPU seconds, all rates are per CPU second.  It wants a network namespace of its own
 * with lo up, root, and for xf_install a kernel with ESP.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/policy.h"
#include "xfrm/kernel.h"
#include "xfrm/nft_model.h"

#define PORT    7000
#define BATCH   64
#define SECONDS 0.3

static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};

/*
 * CPU time of this process and its children, the kernel's share with it, so that others on the
 * machine count less.
 */
static double now(void)
{
	struct rusage children;
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	getrusage(RUSAGE_CHILDREN, &children); /* nftables is one */
	return (double)(t.tv_sec + children.ru_utime.tv_sec + children.ru_stime.tv_sec) +
	       (double)t.tv_nsec / 1e9 +
	       (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) / 1e6;
}

static void die(const char *what, const struct cs_err *err)
{
	fprintf(stderr, "bench_policy: %s: %s\n", what, err ? err->text : strerror(errno));
	exit(1);
}

/* ---- a policy: partners with some services each, and now and then something for everybody ---- */

static void put_rule(FILE *f, unsigned i)
{
	static const char *const actions[] = {"permit", "deny", "permit", "ipsec"};
	const char *action = actions[i / 8 % 16 == 0 ? 3 : i % 3];
	unsigned partner = i / 4;

	fprintf(f, "IpFilterRule R%u\n{\n  IpSourceAddr 127.0.0.1\n", i);
	if (i % 50 == 49)
		fputs("  IpDestAddr All4\n", f);
	else
		fprintf(f, "  IpDestAddr 127.%u.%u.%u%s\n", 1 + partner / 16384,
			partner / 128 % 128, 2 * (partner % 128), i % 8 == 1 ? "/31" : "");
	fprintf(f,
		"  IpService\n  {\n    Protocol %s\n    DestinationPortRange %u %u\n  }\n"
		"  IpGenericFilterActionRef %s\n%s}\n",
		i % 4 == 2 ? "Udp" : "Tcp", 1024 + i % 4000, 1024 + i % 4000 + i % 3, action,
		action[0] == 'i' ? "  IpDynVpnActionRef Gold\n" : "");
}

static void write_policy(const char *path, unsigned n)
{
	FILE *f = fopen(path, "w");

	if (!f)
		die(path, NULL);
	fchmod(fileno(f), 0600);
	fputs("IpFilterPolicy\n{\n  FilterLogging Off\n", f);
	for (unsigned i = 0; i < n; i++)
		fprintf(f, "  IpFilterRuleRef R%u\n", i);
	fputs("  IpFilterRuleRef Last\n}\n", f);
	for (unsigned i = 0; i < n; i++)
		put_rule(f, i);
	fprintf(f,
		"IpFilterRule Last\n{\n  IpSourceAddr 127.0.0.1\n  IpDestAddr 127.200.0.0/16\n"
		"  IpService\n  {\n    Protocol Udp\n    DestinationPortRange %u\n  }\n"
		"  IpGenericFilterActionRef permit\n}\n"
		"IpGenericFilterAction permit\n{\n  IpFilterAction Permit\n}\n"
		"IpGenericFilterAction deny\n{\n  IpFilterAction Deny\n}\n"
		"IpGenericFilterAction ipsec\n{\n  IpFilterAction IpSec\n}\n"
		"IpDynVpnAction Gold\n{\n  IpDataOffer\n  {\n    HowToEncap Tunnel\n"
		"    HowToEncrypt AES_CBC KeyLength 128\n    HowToAuth ESP HMAC_SHA1\n  }\n}\n",
		PORT);
	if (fclose(f) != 0)
		die(path, NULL);
}

static void on_diag(void *arg, const struct pol_diag *d)
{
	(void)arg;
	if (d->severity == POL_ERROR)
		fprintf(stderr, "%s:%u: %s\n", d->file, d->line, d->text);
}

/* ---- the kernel's packets ---- */

/* Datagrams a second to an address that the last rule permits; nobody takes them. */
static double packets_a_second(double seconds)
{
	struct sockaddr_in from = {.sin_family = AF_INET}, to = {.sin_family = AF_INET};
	struct mmsghdr messages[BATCH];
	char text[64] = "a datagram of a size that many have";
	struct iovec data = {.iov_base = text, .iov_len = sizeof(text)};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), sink;
	double began, end, sent = 0;

	sink = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	from.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	to.sin_addr.s_addr = inet_addr("127.200.0.1");
	to.sin_port = htons(PORT);
	if (fd < 0 || sink < 0 || bind(fd, (struct sockaddr *)&from, sizeof(from)) < 0 ||
	    bind(sink, (struct sockaddr *)&to, sizeof(to)) < 0)
		die("sockets", NULL);
	memset(messages, 0, sizeof(messages));
	for (unsigned i = 0; i < BATCH; i++)
		messages[i].msg_hdr = (struct msghdr){.msg_name = &to,
						      .msg_namelen = sizeof(to),
						      .msg_iov = &data,
						      .msg_iovlen = 1};
	began = now();
	do {
		int n = sendmmsg(fd, messages, BATCH, 0);

		if (n < 0)
			die("sendmmsg", NULL);
		sent += n;
		end = now();
	} while (end - began < seconds);
	close(fd);
	close(sink);
	return sent / (end - began);
}

static void accepts(void *arg, FILE *f, const struct xf_line *l)
{
	const struct pol_policy *policy = arg;

	fputs(policy->rules[l->rule].verdict == POL_DENY ? "counter drop" : "counter accept", f);
}

/* The list for what leaves, as a tree or plain, in a table of its own. */
static char *alone(const struct pol_policy *policy, bool plain)
{
	struct xf_book book;
	struct xf_lines lines;
	struct xf_tree tree = {0};
	struct xf_node leaf = {.kind = XF_LEAF};
	char *text = NULL;
	size_t size;
	FILE *f = open_memstream(&text, &size);

	if (!f || !xf_book_make(policy, time(NULL), &book) ||
	    !xf_lines_of(policy, &book, XF_OUT_LOCAL, &lines))
		die("lines", NULL);
	if (plain) {
		tree.lines = lines;
		leaf.n_lines = lines.n;
		leaf.lines = calloc(lines.n, sizeof(*leaf.lines));
		for (unsigned i = 0; i < lines.n; i++)
			leaf.lines[i] = i;
		tree.root = &leaf;
	} else if (!xf_tree_build(&lines, &tree)) {
		die("tree", NULL);
	}
	fputs("table inet bench {\n", f);
	xf_sets_print(f, &book);
	xf_tree_print(f, &tree, "filters", XF_OUT_LOCAL, accepts, (void *)policy);
	fputs("\t\tcounter drop\n\t}\n\tchain o {\n"
	      "\t\ttype filter hook output priority 0; policy accept;\n\t\tgoto filters\n\t}\n}\n",
	      f);
	fclose(f);
	free(leaf.lines);
	tree.root = NULL;
	xf_tree_free(&tree);
	xf_book_free(&book);
	return text;
}

static double filtered(const struct pol_policy *policy, bool plain)
{
	char *text = alone(policy, plain);
	struct cs_err err;
	double rate;

	if (xf_nft_run(text, false, &err) < 0)
		die("nftables", &err);
	rate = packets_a_second(SECONDS);
	if (xf_nft_run("delete table inet bench\n", false, &err) < 0)
		die("nftables", &err);
	free(text);
	return rate;
}

/* ---- one size ---- */

static void on_count(void *arg, const struct xf_filter_count *c)
{
	unsigned *n = arg;

	(void)c;
	++*n;
}

static void install(struct pol_policy *policy)
{
	struct xf_kernel *k;
	struct cs_err err;
	double began = now(), installed;
	unsigned n = 0;

	if (xf_open(&marking, &k, &err) < 0)
		die("netlink", &err);
	if (xf_install(k, policy, time(NULL), &err) < 0) {
		printf(" %9s %9s", "-", "-");
		fprintf(stderr, "not installed: %s\n", err.text);
	} else {
		installed = now();
		if (xf_filter_counts(k, on_count, &n, &err) < 0)
			die("counters", &err);
		printf(" %9.3f %9.3f", installed - began, now() - installed);
		xf_uninstall(k, NULL);
	}
	xf_close(k);
}

static double lookups_a_second(const struct pol_policy *policy)
{
	struct pol_packet p = {
		.outbound = true, .proto = 17, .ports_known = true, .dst_port = PORT};
	double began = now(), end, n = 0;
	time_t t = time(NULL);

	p.type = p.code = -1;
	cs_addr_parse("127.0.0.1", &p.src, NULL);
	cs_addr_parse("127.200.0.1", &p.dst, NULL);
	do {
		for (int i = 0; i < 16; i++)
			if (!pol_filter_match(policy, &p, t, NULL, NULL))
				die("no rule", NULL);
		n += 16;
		end = now();
	} while (end - began < SECONDS);
	return n / (end - began);
}

static void one(unsigned n)
{
	const char *tmp = getenv("TMPDIR");
	char dir[64], path[96], command[128];
	struct pol_policy *policy, *again;
	struct pol_store *store;
	struct cs_err err;
	double t[6];
	char *text;

	snprintf(dir, sizeof(dir), "%s/bench_policy.XXXXXX", tmp ? tmp : "/tmp");
	if (!mkdtemp(dir))
		die(dir, NULL);
	snprintf(path, sizeof(path), "%s/policy", dir);
	write_policy(path, n);
	t[0] = now();
	if (pol_compile(path, "TCPIP", on_diag, NULL, &policy, &err) < 0)
		die("policy", &err);
	t[1] = now();
	if (pol_store_open(dir, true, &store, &err) < 0)
		die("store", &err);
	t[2] = now();
	if (pol_store_put(store, policy, &err) < 0)
		die("store", &err);
	t[3] = now();
	if (pol_store_load(store, &again, &err) < 0)
		die("store", &err);
	t[4] = now();
	text = xf_ruleset(&marking, policy, time(NULL));
	t[5] = now();
	printf("%6u %9.3f %9.3f %9.3f %9.3f", n, t[1] - t[0], t[3] - t[2], t[4] - t[3],
	       t[5] - t[4]);
	free(text);
	install(policy);
	printf(" %9.0f", lookups_a_second(policy));
	fflush(stdout);
	printf(" %9.0f", packets_a_second(SECONDS));
	fflush(stdout);
	printf(" %9.0f", filtered(policy, false));
	fflush(stdout);
	printf(" %9.0f\n", filtered(policy, true));
	fflush(stdout);
	pol_unref(again);
	pol_unref(policy);
	pol_store_close(store);
	snprintf(command, sizeof(command), "%s/policy", dir);
	unlink(command);
	static const char *const leaves[] = {"policy.db",  "policy.db-wal",  "policy.db-shm",
					     "secrets.db", "secrets.db-wal", "secrets.db-shm"};
	for (unsigned i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		snprintf(command, sizeof(command), "%s/%s", dir, leaves[i]);
		unlink(command);
	}
	rmdir(dir);
}

/* Numbers of rules as arguments, or these. */
int main(int argc, char **argv)
{
	static const unsigned sizes[] = {100, 1000, 10000};

	printf("%6s %9s %9s %9s %9s %9s %9s %9s %9s %9s %9s\n", "rules", "read s", "store s",
	       "load s", "text s", "install s", "count s", "lookup/s", "no filter", "tree p/s",
	       "list p/s");
	for (int i = 1; i < argc; i++)
		one((unsigned)strtoul(argv[i], NULL, 10));
	for (unsigned i = 0; argc == 1 && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		one(sizes[i]);
	return 0;
}
