/*
 * Logged packets become lines, and losses are told over a restart: in a network namespace with
 * rules that log, where the kernel lets us, and with a pagent that is this test.
 */
#include <arpa/inet.h>
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <net/if.h>
#include <nftables/libnftables.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "common/log.h"
#include "common/nmi.h"
#include "tests/unit/run_suite.h"
#include "trmd/filter_log.h"

static char dir[64], smf[80], state[120], made[128];
static struct cs_err err;
static unsigned n_permits, n_denies, n_lost, n_others;
static char lost[2][CS_LOG_LINE]; /* the last ones */
static int64_t matches;           /* of both rules' filters */
static uv_loop_t loop;
static struct cs_nmi_server *server;
static uv_timer_t timer;

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

static void setup(void)
{
	char path[120];

	strcpy(dir, "/tmp/test_filter_log.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(smf, sizeof(smf), "%s/smf", dir);
	snprintf(state, sizeof(state), "%s/.filter-log.json", smf);
	snprintf(made, sizeof(made), "%s.new", state);
	ck_assert_int_eq(mkdir(smf, 0700), 0);
	setenv("CSIPSEC_RUNDIR", dir, 1);
	snprintf(path, sizeof(path), "%s/TCPIP", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	snprintf(path, sizeof(path), "%s/OTHER", dir);
	ck_assert_int_eq(mkdir(path, 0700), 0);
	cs_log_open("test_filter_log", true);
}

static void teardown(void)
{
	nftw(dir, remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* ---- the kernel ---- */

/* A namespace with rules that log UDP to port 7; false: not here. */
static bool namespace(void)
{
	static const char rules[] =
		"table inet t {\n chain out {\n  type filter hook output priority 0;\n"
		"  udp dport 7 log prefix \"csipsec 5 permit o 1 Out_Rule\" group 119\n }\n"
		" chain in {\n  type filter hook prerouting priority 0;\n"
		"  udp dport 7 log prefix \"csipsec 5 deny i 2 In_Rule\" group 119 drop\n }\n}\n";
	struct ifreq lo = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
	struct nft_ctx *nft;
	bool good;
	int fd;

	if (unshare(CLONE_NEWNET | CLONE_NEWNS) < 0 ||
	    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0) {
		printf("test_filter_log: SKIP: no namespaces: %s\n", strerror(errno));
		return false;
	}
	fd = socket(AF_INET, SOCK_DGRAM, 0);
	ck_assert_int_eq(ioctl(fd, SIOCSIFFLAGS, &lo), 0);
	close(fd);
	nft = nft_ctx_new(NFT_CTX_DEFAULT);
	good = nft && nft_run_cmd_from_buffer(nft, rules) == 0;
	nft_ctx_free(nft);
	if (!good)
		printf("test_filter_log: SKIP: this kernel has no nftables or nfnetlink_log\n");
	return good;
}

static void send_udp(unsigned times)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(7)};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	while (times--)
		ck_assert_int_eq(sendto(fd, "hello", 5, 0, (struct sockaddr *)&to, sizeof(to)), 5);
	close(fd);
}

/* ---- pagent ---- */

static json_t *filter(const char *name, const char *direction, const char *action)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:i, s:s, s:i, s:I}", "FilterName",
			 name, "TunnelID", "0x00", "Type", "Generic", "Action", action, "Logging",
			 "All", "Direction", direction, "SourceAddress", "0.0.0.0",
			 "SourceAddressPrefix", 0, "DestAddress", "0.0.0.0", "DestAddressPrefix", 0,
			 "FilterMatches", (json_int_t)matches);
}

static void on_request(void *arg, struct cs_nmi_server *s, uint64_t ticket, uid_t uid,
		       const json_t *request)
{
	(void)arg;
	(void)uid;
	(void)request;
	cs_nmi_entry(s, ticket, filter("Out_Rule", "Outbound", "Permit"));
	cs_nmi_entry(s, ticket, filter("In_Rule", "Inbound", "Deny"));
	cs_nmi_done(s, ticket, json_pack("{s:b}", "Logging", 1));
}

/* ---- a run ---- */

static bool refuse; /* the log takes nothing */

static bool hear(void *arg, enum cs_severity severity, const char *line)
{
	(void)severity;
	ck_assert_ptr_eq(arg, &loop);
	if (refuse)
		return false;
	if (strncmp(line, "EZD0814I Packet permitted: 20", 29) == 0) {
		ck_assert_ptr_nonnull(strstr(line, " filter rule= Out_Rule "));
		n_permits++;
	} else if (strncmp(line, "EZD0815I Packet denied by policy: 20", 36) == 0) {
		ck_assert_ptr_nonnull(strstr(line, " filter rule= In_Rule "));
		n_denies++;
	} else if (strncmp(line, "CSI6102W Packet messages lost: 20", 33) == 0) {
		strcpy(lost[n_lost++ % 2], strstr(line, " filter rule="));
	} else {
		n_others++;
	}
	return true;
}

static struct trmd_filter_log *start(const char *stack)
{
	const struct trmd_filter_log_env env = {.stack = stack,
						.directory = smf,
						.limits = trmd_limit_defaults(),
						.say = hear,
						.arg = &loop};
	struct trmd_filter_log *log;
	char path[120];

	n_permits = n_denies = n_lost = n_others = 0;
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	ck_assert_int_eq(uv_timer_init(&loop, &timer), 0);
	snprintf(path, sizeof(path), "%s/%s/pagent.sock", dir, stack);
	ck_assert_msg(cs_nmi_serve(&loop, path, "pagent", on_request, NULL, &server, &err) == 0,
		      "%s", err.text);
	ck_assert_int_eq(trmd_filter_log_open(&loop, &env, &log, &err), 0);
	return log;
}

static void on_timer(uv_timer_t *t)
{
	uv_stop(t->loop);
}

static void run(unsigned ms)
{
	uv_timer_start(&timer, on_timer, ms, 0);
	uv_run(&loop, UV_RUN_DEFAULT);
}

/* All that was opened is closed: else the loop cannot be. */
static void end(struct trmd_filter_log *log)
{
	trmd_filter_log_end(log);
	cs_nmi_stop(server);
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	trmd_filter_log_free(log);
}

/* Both rules count 3 packets, which become lines; nobody listens to the other packets of matches.
 */
static void first_run(void)
{
	struct trmd_filter_log *log;

	matches = 0;
	log = start("TCPIP");
	trmd_filter_log_begin(log);
	run(300);
	send_udp(3);
	run(1500);
	ck_assert(n_permits == 3 && n_denies == 3);
	ck_assert(n_lost == 0 && n_others == 0);
	ck_assert_int_ne(access(state, F_OK), 0);
	end(log);
	ck_assert_int_eq(access(state, F_OK), 0);
	ck_assert_int_ne(access(made, F_OK), 0);
	matches = 10;
}

/* How many losses the next run tells before it settles. */
static unsigned next_run(const char *stack)
{
	struct trmd_filter_log *log = start(stack);

	trmd_filter_log_begin(log);
	run(2800);
	end(log);
	return n_lost;
}

START_TEST(lines_and_losses)
{
	if (!namespace())
		return;
	first_run();
	ck_assert_uint_eq(next_run("TCPIP"), 2);
	ck_assert_str_eq(lost[0], " filter rule= In_Rule dir= I count= 7");
	ck_assert_str_eq(lost[1], " filter rule= Out_Rule dir= O count= 7");
	/* They are told once. */
	ck_assert_uint_eq(next_run("TCPIP"), 0);
	/* What the rules of one stack count is not what another's do. */
	matches = 20;
	ck_assert_uint_eq(next_run("OTHER"), 0);
}
END_TEST

/* A packet whose line the log does not take is one that is lost, as is told when it takes lines. */
START_TEST(log_takes_nothing)
{
	struct trmd_filter_log *log;

	if (!namespace())
		return;
	matches = 0;
	log = start("TCPIP");
	trmd_filter_log_begin(log);
	run(300);
	refuse = true;
	send_udp(4);
	run(1500);
	refuse = false;
	send_udp(1);
	run(1500);
	ck_assert(n_permits == 1 && n_denies == 1);
	end(log);
	matches = 5;
	/* Nor is the loss told to a log that does not take it. */
	refuse = true;
	ck_assert_uint_eq(next_run("TCPIP"), 0);
	refuse = false;
	ck_assert_uint_eq(next_run("TCPIP"), 2);
	ck_assert_str_eq(lost[0], " filter rule= In_Rule dir= I count= 4");
	ck_assert_str_eq(lost[1], " filter rule= Out_Rule dir= O count= 4");
}
END_TEST

/* One that cannot be removed would be told of twice. */
START_TEST(state_stays)
{
	if (!namespace())
		return;
	first_run();
	ck_assert_int_eq(mount(smf, smf, NULL, MS_BIND, NULL), 0);
	ck_assert_int_eq(mount(NULL, smf, NULL, MS_REMOUNT | MS_BIND | MS_RDONLY, NULL), 0);
	ck_assert_uint_eq(next_run("TCPIP"), 0);
	ck_assert_int_eq(umount2(smf, MNT_DETACH), 0);
}
END_TEST

/* What somebody put there: not waited for, not followed, not believed. */
START_TEST(state_of_somebody)
{
	char victim[80], text[8] = "";
	int fd;

	if (!namespace())
		return;
	snprintf(victim, sizeof(victim), "%s/victim", dir);
	fd = open(victim, O_WRONLY | O_CREAT, 0600);
	ck_assert_int_eq(write(fd, "mine", 4), 4);
	close(fd);
	ck_assert_int_eq(mkfifo(state, 0600), 0);
	ck_assert_int_eq(symlink(victim, made), 0);
	ck_assert_uint_eq(next_run("TCPIP"), 0);
	ck_assert_int_eq(unlink(state), 0);
	ck_assert_int_eq(symlink(victim, state), 0);
	ck_assert_uint_eq(next_run("TCPIP"), 0);
	fd = open(victim, O_RDONLY);
	ck_assert_int_eq(read(fd, text, sizeof(text)), 4);
	ck_assert_str_eq(text, "mine");
	close(fd);
}
END_TEST

START_TEST(ends)
{
	struct trmd_filter_log *log, *second;
	const struct trmd_filter_log_env env = {.stack = "TCPIP",
						.directory = smf,
						.limits = trmd_limit_defaults(),
						.say = hear,
						.arg = &loop};

	if (!namespace())
		return;
	/* Before it has begun; nobody looked for a state then. */
	end(start("TCPIP"));
	ck_assert_int_ne(access(state, F_OK), 0);
	/* Where another has the group it does nothing, and ends. */
	log = start("TCPIP");
	ck_assert_int_eq(trmd_filter_log_open(&loop, &env, &second, &err), 0);
	trmd_filter_log_begin(second);
	trmd_filter_log_end(second);
	uv_run(&loop, UV_RUN_NOWAIT);
	trmd_filter_log_free(second);
	end(log);
	/* While pagent is asked, ... */
	log = start("TCPIP");
	trmd_filter_log_begin(log);
	uv_run(&loop, UV_RUN_NOWAIT);
	end(log);
	/* ... and while its answer settles. */
	log = start("TCPIP");
	trmd_filter_log_begin(log);
	run(500);
	end(log);
	ck_assert_int_eq(access(state, F_OK), 0);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("filter_log");
	TCase *tc = tcase_create("filter_log");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, lines_and_losses);
	tcase_add_test(tc, log_takes_nothing);
	tcase_add_test(tc, state_stays);
	tcase_add_test(tc, state_of_somebody);
	tcase_add_test(tc, ends);
	suite_add_tcase(suite, tc);
	return run_suite(suite);
}
