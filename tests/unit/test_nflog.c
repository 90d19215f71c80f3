/*
 * NFLOG: prefixes, messages made by hand and mangled, and where the kernel lets us, a namespace
 * with a rule that logs.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <libmnl/libmnl.h>
#include <linux/netfilter/nfnetlink.h>
#include <linux/netfilter/nfnetlink_log.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <unistd.h>

#include "policy/policy.h"
#include "tests/unit/run_suite.h"
#include "trmd/filters.h"
#include "trmd/nflog.h"
#include "xfrm/xfrm.h"

#define PACKET   ((NFNL_SUBSYS_ULOG << 8) | NFULNL_MSG_PACKET)
#define RECEIVED 1768472430450000

/* ---- what came ---- */

static struct {
	unsigned n;
	struct trmd_event last;
	uint8_t payload[256];
	char line[CS_LOG_LINE]; /* what would be written of the last one */
} seen;

static void on_packet(void *arg, const struct trmd_event *e)
{
	ck_assert_ptr_eq(arg, &seen);
	seen.n++;
	seen.last = *e;
	if (e->len && e->len <= sizeof(seen.payload))
		memcpy(seen.payload, e->p, e->len);
	ck_assert_uint_lt(strlen(e->name), TRMD_RULE_NAME);
}

/* The same, and what is made of it for the log. */
static void on_real_packet(void *arg, const struct trmd_event *e)
{
	struct trmd_interfaces *interfaces = trmd_interfaces_new();
	struct trmd_filter_message m;
	struct trmd_filter_facts facts;

	on_packet(arg, e);
	trmd_facts(NULL, interfaces, e, &facts);
	ck_assert(trmd_filter_message(e, &facts, &m));
	snprintf(seen.line, sizeof(seen.line), "%s %s", m.id, m.text);
	trmd_interfaces_free(interfaces);
}

static void on_failed(void *arg, const struct cs_err *why)
{
	(void)arg;
	ck_abort_msg("%s", why->text);
}

static const struct trmd_nflog_ops ops = {on_packet, on_failed};
static const struct trmd_nflog_ops real_ops = {on_real_packet, on_failed};

/* ---- prefixes ---- */

static bool parse(const char *text, struct trmd_event *e)
{
	return trmd_prefix_parse(text, strlen(text) + 1, e);
}

START_TEST(test_prefix)
{
	static const char *const reasons[] = {"permit",      "deny",     "implicit",
					      "unprotected", "mismatch", "held"};
	static const char *const wrong[] = {
		"",
		"csipsec",
		"csipsec 1 permit i 0",
		"csipsec 1 permit i 0 ",
		"csipsec 1 permit i 0 A B",
		"csipsec 1 permit i 0 A ",
		"csipsec 1 permit x 0 A",
		"csipsec 1 permit io 0 A",
		"csipsec 1 permits i 0 A",
		"csipsec 1  i 0 A",
		"csipsec x permit i 0 A",
		"csipsec 18446744073709551616 permit i 0 A",
		"csipsec 1 permit i 4294967296 A",
		"csipsec 1 permit i -1 A",
		"csipsecs 1 permit i 0 A",
		" csipsec 1 permit i 0 A",
		"csipsec 1 permit i 0 A\nB",
		"csipsec 1 permit i 0 A=B",
		"csipsec 1 permit i 0 \x1b[2J",
		"csipsec 1 permit i 0 \xc3\xa9",
	};
	struct trmd_event e;
	char text[256];

	for (unsigned i = 0; i < TRMD_REASONS; i++) {
		snprintf(text, sizeof(text),
			 "csipsec 18446744073709551615 %s o 4294967295 A-b_1.@#:+/?", reasons[i]);
		ck_assert(parse(text, &e));
		ck_assert_uint_eq(e.reason, i);
		ck_assert_str_eq(trmd_reason_name(e.reason), reasons[i]);
		ck_assert(e.outbound);
		ck_assert_uint_eq(e.generation, UINT64_MAX);
		ck_assert_uint_eq(e.rule, UINT32_MAX);
		ck_assert_str_eq(e.name, "A-b_1.@#:+/?");
	}
	ck_assert(parse("csipsec 7 implicit i 3 -", &e) && !e.outbound && e.rule == 3);
	ck_assert_str_eq(e.name, "-");
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		ck_assert_msg(!parse(wrong[i], &e), "%s", wrong[i]);
	/* Without the NUL, and each length of it: only the whole of it and names cut short. */
	for (size_t len = 0; len <= 23; len++)
		ck_assert_int_eq(trmd_prefix_parse("csipsec 1 permit i 0 AB", len, &e), len >= 22);
	/* A name that is too long is none. */
	strcpy(text, "csipsec 1 permit i 0 ");
	memset(text + 21, 'A', 127);
	text[21 + 127] = '\0';
	ck_assert(parse(text, &e));
	text[21 + 127] = 'A';
	text[21 + 128] = '\0';
	ck_assert(!parse(text, &e));
}
END_TEST

/* What the rules of a policy really log, of each verdict. */
START_TEST(test_prefixes_of_rules)
{
	static const enum pol_verdict verdicts[] = {POL_PERMIT, POL_DENY, POL_IPSEC};
	static const struct xf_marking marking = {.shift = XF_MARK_SHIFT_DEFAULT};
	struct pol_service any = {.proto = POL_PROTO_ANY, .type = {-1, -1}, .code = {-1, -1}};
	struct pol_filter_rule rules[3] = {0};
	struct pol_policy policy = {.rules = rules,
				    .n_rules = 3,
				    .generation = 12345,
				    .filter_logging = true,
				    .log_implicit = true};
	unsigned reasons = 0, n = 0;
	struct cs_range ranges[2];
	char *text, *at;

	ck_assert_int_eq(cs_range_parse("192.0.2.1", &ranges[0], NULL), 0);
	ck_assert_int_eq(cs_range_parse("198.51.100.0/24", &ranges[1], NULL), 0);
	for (unsigned i = 0; i < 3; i++) {
		rules[i] = (struct pol_filter_rule){.verdict = verdicts[i],
						    .id = verdicts[i] == POL_IPSEC ? 17 : 0,
						    .src = &ranges[0],
						    .dst = &ranges[1],
						    .n_src = 1,
						    .n_dst = 1,
						    .services = &any,
						    .n_services = 1,
						    .log = POL_LOG_YES};
		snprintf(rules[i].name, sizeof(rules[i].name), "Rule %u~\xc3\xa9", i);
	}
	text = xf_ruleset(&marking, &policy, 0);
	ck_assert_ptr_nonnull(text);
	for (at = text; (at = strstr(at, "log prefix \"")); at++, n++) {
		const char *prefix = at + strlen("log prefix \""), *end = strchr(prefix, '"');
		struct trmd_event e;
		char name[32];

		ck_assert_msg(trmd_prefix_parse(prefix, (size_t)(end - prefix), &e), "%.*s",
			      (int)(end - prefix), prefix);
		ck_assert_uint_eq(e.generation, 12345);
		ck_assert_uint_le(e.rule, 3);
		snprintf(name, sizeof(name), e.rule < 3 ? "Rule?%u???" : "-", e.rule);
		ck_assert_str_eq(e.name, name);
		reasons |= 1u << e.reason;
	}
	ck_assert_uint_gt(n, 10);
	ck_assert_uint_eq(reasons, (1u << TRMD_REASONS) - 1);
	free(text);
}
END_TEST

/* ---- messages ---- */

struct message {
	const char *prefix;
	const void *payload;
	size_t len;
	uint32_t in, out, mark, seq;
	bool has_time;
	uint64_t s, us;
};

static const uint8_t packet[] = {0x45, 0, 0, 28, 1, 2, 3, 4, 5, 6, 7, 8};

static const struct message usual = {.prefix = "csipsec 7 deny i 2 Rule_1",
				     .payload = packet,
				     .len = sizeof(packet),
				     .in = 3,
				     .mark = 0x10203,
				     .has_time = true,
				     .s = 1768472000,
				     .us = 123456};

static size_t put_message(void *buf, const struct message *m)
{
	struct nfulnl_msg_packet_hdr head = {htons(0x0800), 1, 0};
	struct nfulnl_msg_packet_hw hw = {htons(6), 0, {2, 0, 0, 0, 0, 9}};
	struct nfulnl_msg_packet_timestamp stamp = {(__u64)htobe64(m->s), (__u64)htobe64(m->us)};
	struct nlmsghdr *h = mnl_nlmsg_put_header(buf);
	struct nfgenmsg *g;

	h->nlmsg_type = PACKET;
	g = mnl_nlmsg_put_extra_header(h, sizeof(*g));
	g->nfgen_family = AF_INET;
	g->res_id = htons(119);
	mnl_attr_put(h, NFULA_PACKET_HDR, sizeof(head), &head);
	if (m->prefix)
		mnl_attr_put_strz(h, NFULA_PREFIX, m->prefix);
	if (m->in)
		mnl_attr_put_u32(h, NFULA_IFINDEX_INDEV, htonl(m->in));
	if (m->out)
		mnl_attr_put_u32(h, NFULA_IFINDEX_OUTDEV, htonl(m->out));
	mnl_attr_put_u32(h, NFULA_MARK, htonl(m->mark));
	mnl_attr_put(h, NFULA_HWADDR, sizeof(hw), &hw);
	if (m->has_time)
		mnl_attr_put(h, NFULA_TIMESTAMP, sizeof(stamp), &stamp);
	mnl_attr_put_u32(h, NFULA_SEQ, htonl(m->seq));
	if (m->payload)
		mnl_attr_put(h, NFULA_PAYLOAD, m->len, m->payload);
	return (h->nlmsg_len + 3u) & ~3u;
}

static struct trmd_nflog_reader reader;

static void begin(void)
{
	memset(&seen, 0, sizeof(seen));
	reader = (struct trmd_nflog_reader){.ops = &ops, .arg = &seen};
}

static void feed(const struct message *m)
{
	_Alignas(8) uint8_t buf[2048];

	trmd_nflog_datagram(&reader, buf, put_message(buf, m), RECEIVED);
}

START_TEST(test_message)
{
	struct message m = usual;

	begin();
	m.prefix = "csipsec 7 deny i 2 Rule_1";
	feed(&m);
	ck_assert_uint_eq(seen.n, 1);
	ck_assert_uint_eq(seen.last.generation, 7);
	ck_assert_uint_eq(seen.last.reason, TRMD_DENY);
	ck_assert_uint_eq(seen.last.rule, 2);
	ck_assert_str_eq(seen.last.name, "Rule_1");
	ck_assert(!seen.last.outbound);
	ck_assert_uint_eq(seen.last.family, AF_INET);
	ck_assert_uint_eq(seen.last.hook, 1);
	ck_assert_uint_eq(seen.last.in, 3);
	ck_assert_uint_eq(seen.last.out, 0);
	ck_assert_uint_eq(seen.last.mark, 0x10203);
	ck_assert_uint_eq(seen.last.hw_len, 6);
	ck_assert_uint_eq(seen.last.hw_addr[5], 9);
	ck_assert(seen.last.has_seq && seen.last.seq == 0);
	ck_assert(seen.last.kernel_time);
	ck_assert_int_eq(seen.last.time_us, 1768472000123456);
	ck_assert_uint_eq(seen.last.len, sizeof(packet));
	ck_assert_mem_eq(seen.payload, packet, sizeof(packet));
	/* Without what may be missing. */
	m.payload = NULL;
	m.has_time = false;
	m.in = 0;
	m.out = 4;
	m.seq = 1;
	m.prefix = "csipsec 7 permit o 0 R";
	feed(&m);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_uint_eq(seen.last.len, 0);
	ck_assert_uint_eq(seen.last.out, 4);
	ck_assert(!seen.last.kernel_time && seen.last.time_us == RECEIVED);
	/* Times that are not of the wall. */
	m.has_time = true;
	m.s = 5000;
	m.seq = 2;
	feed(&m);
	ck_assert(!seen.last.kernel_time && seen.last.time_us == RECEIVED);
	m.s = 1768472000;
	m.us = 1000000;
	m.seq = 3;
	feed(&m);
	ck_assert(!seen.last.kernel_time);
	ck_assert_uint_eq(reader.stats.packets, 4);
	ck_assert_uint_eq(reader.stats.lost + reader.stats.foreign + reader.stats.malformed, 0);
}
END_TEST

START_TEST(test_sequence)
{
	struct message m = usual;

	begin();
	m.prefix = "csipsec 7 deny i 2 R";
	m.seq = 3; /* three before it */
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 3);
	m.seq = 4;
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 3);
	m.seq = 1004;
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 1002);
	/* Others' packets have numbers, too. */
	m.seq = 1005;
	m.prefix = "their rule";
	feed(&m);
	m.prefix = "csipsec 7 deny i 2 R";
	m.seq = 1006;
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 1002);
	ck_assert_uint_eq(reader.stats.foreign, 1);
	/* Begun afresh, and over the end of the number. */
	m.seq = 0;
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 1002);
	reader.next = UINT32_MAX;
	m.seq = 1;
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 1004);
	m.seq = 2;
	feed(&m);
	ck_assert_uint_eq(reader.stats.lost, 1004);
	ck_assert_uint_eq(reader.stats.packets, 7);
}
END_TEST

/* Many in a datagram, with others between them and the end of a batch. */
START_TEST(test_many)
{
	_Alignas(8) uint8_t buf[8192];
	struct message m = usual;
	struct nlmsghdr *h;
	size_t len = 0;

	begin();
	m.prefix = "csipsec 7 deny i 2 R";
	for (m.seq = 0; m.seq < 20; m.seq++) {
		len += put_message(buf + len, &m);
		if (m.seq % 5)
			continue;
		h = mnl_nlmsg_put_header(buf + len);
		h->nlmsg_type = m.seq % 2 ? NLMSG_DONE : NLMSG_NOOP;
		len += h->nlmsg_len;
	}
	trmd_nflog_datagram(&reader, buf, len, RECEIVED);
	ck_assert_uint_eq(seen.n, 20);
	ck_assert_uint_eq(reader.stats.malformed, 0);
	/* One that is cut off costs itself alone. */
	begin();
	trmd_nflog_datagram(&reader, buf, len - 40, RECEIVED);
	ck_assert_uint_eq(seen.n, 19);
	ck_assert_uint_eq(reader.stats.malformed, 1);
}
END_TEST

/* Each length of a message, in memory that ends there. */
START_TEST(test_cut)
{
	_Alignas(8) uint8_t buf[2048];
	struct message m = usual;
	size_t len;

	m.prefix = "csipsec 7 deny i 2 R";
	len = put_message(buf, &m);
	for (size_t n = 0; n < len; n++) {
		uint8_t *cut = malloc(n);

		begin();
		if (n)
			memcpy(cut, buf, n);
		/* The datagram is cut, ... */
		trmd_nflog_datagram(&reader, cut, n, RECEIVED);
		ck_assert_uint_eq(seen.n, 0);
		ck_assert_uint_eq(reader.stats.malformed, n > 0);
		/* ... or the message says so itself. */
		if (n >= sizeof(struct nlmsghdr)) {
			((struct nlmsghdr *)(void *)cut)->nlmsg_len = (uint32_t)n;
			trmd_nflog_datagram(&reader, cut, n, RECEIVED);
			ck_assert_uint_eq(seen.n + reader.stats.malformed + reader.stats.foreign,
					  2);
		}
		free(cut);
	}
}
END_TEST

START_TEST(test_mangled)
{
	_Alignas(8) uint8_t buf[2048];
	struct message m = usual;
	unsigned seed;
	size_t len;

	ck_assert_int_eq(getrandom(&seed, sizeof(seed), 0), sizeof(seed));
	printf("test_nflog: seed %u\n", seed);
	srand(seed);
	begin();
	m.prefix = "csipsec 7 deny i 2 Rule";
	for (unsigned i = 0; i < 100000; i++) {
		uint8_t *copy;

		len = put_message(buf, &m);
		copy = malloc(len);
		memcpy(copy, buf, len);
		for (int k = rand() % 8; k >= 0; k--)
			copy[(size_t)rand() % len] = (uint8_t)rand();
		trmd_nflog_datagram(&reader, copy, len, RECEIVED);
		free(copy);
	}
	ck_assert_uint_gt(reader.stats.packets, 1000);
	ck_assert_uint_gt(reader.stats.foreign, 1000);
	ck_assert_uint_gt(reader.stats.malformed, 1000);
}
END_TEST

/* ---- the kernel ---- */

static bool up(void)
{
	struct ifreq r = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	bool good = ioctl(fd, SIOCSIFFLAGS, &r) == 0;

	close(fd);
	return good;
}

/* A namespace with rules that log UDP to port 7 and all that is sent to port 8; false: not here. */
static bool namespace(void)
{
	static const char rules[] =
		"table inet t {\n chain out {\n  type filter hook output priority 0;\n"
		"  udp dport 7 counter log prefix \"csipsec 5 permit o 1 Out_Rule\" group 119 "
		"snaplen "
		"128 queue-threshold 32\n"
		"  udp dport 8 log prefix \"somebody\" group 119\n }\n"
		" chain in {\n  type filter hook prerouting priority 0;\n"
		"  udp dport 7 log prefix \"csipsec 5 deny i 2 In_Rule\" group 119 snaplen 128 "
		"queue-threshold 32 drop\n }\n}\n";
	struct nft_ctx *nft;
	bool good;

	if (unshare(CLONE_NEWNET) < 0 || !up()) {
		printf("test_nflog: SKIP: no network namespace: %s\n", strerror(errno));
		return false;
	}
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	good = nft && nft_run_cmd_from_buffer(nft, rules) == 0;
	nft_ctx_free(nft);
	if (!good)
		printf("test_nflog: SKIP: this kernel has no nftables or no nfnetlink_log\n");
	return good;
}

static void send_udp(uint16_t port, unsigned times)
{
	struct sockaddr_in from = {.sin_family = AF_INET, .sin_port = htons(777)};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(port)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	ck_assert_int_eq(bind(fd, (struct sockaddr *)&from, sizeof(from)), 0);
	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (times--)
		ck_assert_int_eq(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	close(fd);
}

static void on_timer(uv_timer_t *timer)
{
	uv_stop(timer->loop);
}

static void run(uv_loop_t *loop, uv_timer_t *timer, unsigned ms)
{
	uv_timer_start(timer, on_timer, ms, 0);
	uv_run(loop, UV_RUN_DEFAULT);
}

static void end(uv_loop_t *loop, uv_timer_t *timer, struct trmd_nflog *log)
{
	trmd_nflog_close(log);
	uv_close((uv_handle_t *)timer, NULL);
	uv_run(loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(loop), 0);
}

START_TEST(test_kernel)
{
	struct trmd_nflog_settings settings = trmd_nflog_defaults();
	struct trmd_nflog *log, *second;
	uv_timer_t timer;
	struct cs_err err;
	uv_loop_t loop;

	if (!namespace())
		return;
	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	settings.timeout_ms = 100;
	ck_assert_msg(trmd_nflog_open(&loop, &settings, &real_ops, &seen, &log, &err) == 0, "%s",
		      err.text);
	ck_assert_int_eq(trmd_nflog_open(&loop, &settings, &ops, &seen, &second, &err), CS_EPERM);
	ck_assert_ptr_nonnull(strstr(err.text, "NFLOG group 119 is refused"));
	send_udp(7, 1);
	send_udp(8, 1);
	run(&loop, &timer, 400);
	ck_assert_uint_eq(seen.n, 2);
	ck_assert_uint_eq(trmd_nflog_stats(log)->packets, 2);
	ck_assert_uint_eq(trmd_nflog_stats(log)->foreign, 1);
	ck_assert_uint_eq(trmd_nflog_stats(log)->lost, 0);
	/* The last of ours is what came in. */
	ck_assert_str_eq(seen.last.name, "In_Rule");
	ck_assert_uint_eq(seen.last.reason, TRMD_DENY);
	ck_assert_uint_eq(seen.last.generation, 5);
	ck_assert_uint_eq(seen.last.hook, 0);
	ck_assert_str_eq(seen.last.in_name, "lo");
	ck_assert_str_eq(seen.last.out_name, "");
	ck_assert_uint_eq(seen.last.len, 33);
	ck_assert_uint_eq(seen.payload[0], 0x45);
	ck_assert_mem_eq(seen.payload + 28, "hello", 5);
	ck_assert_int_gt(seen.last.time_us, 1700000000000000);
	ck_assert_str_eq(
		strstr(seen.line, " filter rule="),
		" filter rule= In_Rule ext= N/A sipaddr= 127.0.0.1 dipaddr= 127.0.0.1 proto= "
		"UDP(17) "
		"sport= 777 dport= 7 -= Interface= 127.0.0.1 (I) secclass= 255 dest= local len= 33 "
		"vpnaction= N/A tunnelID= N/A ifcname= lo fragment= N");
	ck_assert_int_eq(strncmp(seen.line, "EZD0815I Packet denied by policy: 20", 36), 0);
	/* Less of each packet from now on. */
	settings.copy_range = 64;
	settings.queue = 1;
	ck_assert_msg(trmd_nflog_configure(log, &settings, &err) == 0, "%s", err.text);
	settings.copy_range = 63;
	ck_assert_int_eq(trmd_nflog_configure(log, &settings, &err), CS_EINVAL);
	send_udp(7, 1);
	run(&loop, &timer, 50); /* at once, not after the time */
	ck_assert_uint_eq(seen.n, 4);
	ck_assert_str_eq(seen.last.name, "In_Rule");
	end(&loop, &timer, log);
}
END_TEST

/* More than the socket holds, and nobody reads: each packet has come or is counted. */
START_TEST(test_flood)
{
	struct trmd_nflog_settings settings = trmd_nflog_defaults();
	struct trmd_nflog *log;
	uv_timer_t timer;
	struct cs_err err;
	uv_loop_t loop;

	if (!namespace())
		return;
	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	settings.timeout_ms = 100;
	settings.socket_buffer = 131072;
	settings.at_once = 2;
	ck_assert_msg(trmd_nflog_open(&loop, &settings, &ops, &seen, &log, &err) == 0, "%s",
		      err.text);
	send_udp(7, 10000);
	run(&loop, &timer, 500);
	send_udp(7, 1);
	run(&loop, &timer, 500);
	printf("test_nflog: of 20002 packets %llu came, %llu were lost, %llu overruns\n",
	       (unsigned long long)trmd_nflog_stats(log)->packets,
	       (unsigned long long)trmd_nflog_stats(log)->lost,
	       (unsigned long long)trmd_nflog_stats(log)->overruns);
	ck_assert_uint_eq(seen.n, trmd_nflog_stats(log)->packets);
	ck_assert_uint_eq(trmd_nflog_stats(log)->packets + trmd_nflog_stats(log)->lost, 20002);
	ck_assert_uint_gt(trmd_nflog_stats(log)->lost, 1000);
	ck_assert_uint_gt(trmd_nflog_stats(log)->overruns, 0);
	ck_assert_uint_eq(trmd_nflog_stats(log)->errors + trmd_nflog_stats(log)->malformed, 0);
	end(&loop, &timer, log);
}
END_TEST

START_TEST(test_settings)
{
	struct trmd_nflog *log = NULL;
	struct cs_err err;
	uv_loop_t loop;

	uv_loop_init(&loop);
	for (unsigned i = 0; i < 6; i++) {
		struct trmd_nflog_settings s = trmd_nflog_defaults();
		static const char *const texts[] = {
			"64 to 65531 bytes of a packet, not 0",
			"1 to 4096 packets at once, not 0",
			"packets wait for 10 to 60000 ms, not 0",
			"packets wait in 4096 to 131072 bytes, not 0",
			"a socket's buffer is 131072 to 1073741824 bytes, not 0",
			"at least one datagram is read at once",
		};
		uint32_t *const values[] = {&s.copy_range,    &s.queue,         &s.timeout_ms,
					    &s.kernel_buffer, &s.socket_buffer, &s.at_once};

		*values[i] = 0;
		ck_assert_int_eq(trmd_nflog_open(&loop, &s, &ops, NULL, &log, &err), CS_EINVAL);
		ck_assert_str_eq(err.text, texts[i]);
	}
	ck_assert_ptr_null(log);
	trmd_nflog_close(NULL);
	uv_loop_close(&loop);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("nflog");
	TCase *tc = tcase_create("nflog");

	tcase_set_timeout(tc, 300);
	tcase_add_test(tc, test_prefix);
	tcase_add_test(tc, test_prefixes_of_rules);
	tcase_add_test(tc, test_message);
	tcase_add_test(tc, test_sequence);
	tcase_add_test(tc, test_many);
	tcase_add_test(tc, test_cut);
	tcase_add_test(tc, test_mangled);
	tcase_add_test(tc, test_settings);
	tcase_add_test(tc, test_kernel);
	tcase_add_test(tc, test_flood);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
