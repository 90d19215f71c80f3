/*
 * iked's requests that are answered later, on the real socket, engine, store and pool.  The peer of
 * the engine says nothing, so that a tunnel stays under way until the test says otherwise.
 */
#include <arpa/inet.h>
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "iked/iked.h"
#include "iked/nmi_wait.h"
#include "tests/unit/engine_pair.h"
#include "tests/unit/run_suite.h"

#define PATIENCE_MS 10000

static char dir[] = "/tmp/csipsec-nmi-XXXXXX";
static char path[64];
static uv_loop_t loop;
static struct pair *pair;
static struct ike_store *store;
static struct ike_pk_pool *pool;
static struct iked_policy *policy;
static struct iked_nmi *nmi;

static void on_committed(void *arg, uint64_t tx, int status)
{
	(void)arg;
	(void)tx;
	(void)status;
}

static void on_pk(void *arg, struct ike_pk_job *job)
{
	(void)arg;
	(void)job;
}

static void on_loaded(void *arg, uint64_t round, int status, const struct cs_err *err)
{
	(void)arg;
	iked_nmi_loaded(nmi, round, status, err);
}

static void setup(void)
{
	struct iked_policy_env load = {.loop = &loop, .stack = "STACK", .loaded = on_loaded};
	static const struct pair_policy o = {.local_rule = true};
	struct iked_nmi_env env = {.loop = &loop};
	struct cs_err err;
	char db[64];

	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/iked.sock", dir);
	snprintf(db, sizeof(db), "%s/iked.db", dir);
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	pair = pair_new(&o, &o);
	ck_assert_int_eq(
		ike_store_open(&loop, db, IKE_STUCK_WAIT, on_committed, NULL, &store, &err), 0);
	ck_assert_int_eq(ike_pk_pool_new(&loop, on_pk, NULL, &pool, &err), 0);
	ck_assert_int_eq(iked_nmi_open(&loop, path, &nmi, &err), 0);
	env.engine = pair->side[0].e;
	env.store = store;
	env.pk = pool;
	load.engine = env.engine;
	load.pk = pool;
	setenv("CSIPSEC_STATEDIR", dir, 1);
	ck_assert_int_eq(iked_policy_new(&load, &policy, &err), 0);
	env.policy = policy;
	iked_nmi_attach(nmi, &env);
}

static void do_nothing(void *arg)
{
	(void)arg;
}

static void teardown(void)
{
	char command[64];

	pair->side[0].hear = NULL;
	iked_nmi_stop(nmi);
	iked_policy_stop(policy);
	ike_pk_pool_stop(pool, do_nothing, NULL);
	ike_store_close(store);
	uv_run(&loop, UV_RUN_DEFAULT);
	iked_policy_free(policy);
	ike_pk_pool_free(pool);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	pair_free(pair);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	ck_assert_int_eq(system(command), 0);
}

/* ---- clients that are asked nothing while the loop does not turn ---- */

/* Turns the loop until so much has come; false: the other end closed. */
static bool receive(int fd, void *to, size_t len)
{
	uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;
	size_t got = 0;

	while (got < len) {
		ssize_t n = recv(fd, (char *)to + got, len - got, MSG_DONTWAIT);

		if (n == 0)
			return false;
		got += n > 0 ? (size_t)n : 0;
		uv_run(&loop, UV_RUN_NOWAIT);
		ck_assert_msg(uv_hrtime() / 1000000 < end, "no answer in time");
	}
	return true;
}

static json_t *frame(int fd)
{
	char text[65536];
	uint32_t len;
	json_t *json;

	if (!receive(fd, &len, sizeof(len)))
		return NULL;
	len = ntohl(len);
	ck_assert_uint_le(len, sizeof(text));
	ck_assert(receive(fd, text, len));
	json = json_loadb(text, len, 0, NULL);
	ck_assert_ptr_nonnull(json);
	return json;
}

static int client(void)
{
	struct sockaddr_un sun = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);

	memcpy(sun.sun_path, path, strlen(path) + 1);
	ck_assert_int_eq(connect(fd, (struct sockaddr *)&sun, sizeof(sun)), 0);
	json_decref(frame(fd)); /* the greeting */
	return fd;
}

static void ask(int fd, const char *text)
{
	uint32_t len = htonl((uint32_t)strlen(text));

	ck_assert_int_eq(send(fd, &len, sizeof(len), 0), sizeof(len));
	ck_assert_int_eq(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
}

static int waiter(void)
{
	int fd = client();

	ask(fd, "{\"request\":\"activate-dynamic\",\"rule\":\"ByHand\",\"wait\":3600}");
	return fd;
}

static int waiting(void)
{
	int fd = client(), n;
	json_t *done;

	ask(fd, "{\"request\":\"statistics\"}");
	done = frame(fd);
	n = (int)json_integer_value(json_object_get(json_object_get(done, "nmi"), "waiting"));
	json_decref(done);
	close(fd);
	return n;
}

static void wait_for_waiters(int n)
{
	uint64_t end = uv_hrtime() / 1000000 + PATIENCE_MS;

	while (waiting() != n)
		ck_assert_msg(uv_hrtime() / 1000000 < end, "%d wait, not %d", waiting(), n);
}

static void expect_error(int fd, const char *code)
{
	json_t *error = frame(fd);

	ck_assert_str_eq(json_string_value(json_object_get(error, "code")), code);
	json_decref(error);
}

/* ---- tests ---- */

/* A client that is gone is not waited for. */
START_TEST(test_client_gone)
{
	int one = waiter(), two = waiter();

	wait_for_waiters(2);
	close(one);
	wait_for_waiters(1);
	/* The other one still hears. */
	iked_nmi_event(nmi, &(struct ike_event){.kind = IKE_EV_FAILED,
						.p2_tunnel = 2,
						.rule = "Both",
						.reason = "no luck"});
	expect_error(two, cs_code_name(CS_ESYS));
	wait_for_waiters(0);
	close(two);
}
END_TEST

START_TEST(test_tunnel_up)
{
	int fd = waiter();
	json_t *entry;

	wait_for_waiters(1);
	iked_nmi_event(nmi,
		       &(struct ike_event){.kind = IKE_EV_P2_UP, .p2_tunnel = 2, .rule = "Both"});
	entry = frame(fd);
	ck_assert_str_eq(
		json_string_value(json_object_get(json_object_get(entry, "entry"), "Status")),
		"Active");
	json_decref(entry);
	wait_for_waiters(0);
	close(fd);
}
END_TEST

/* So many, and the rest of the connections can still ask. */
START_TEST(test_bound)
{
	int fds[IKED_WAITERS_MAX], one_more;

	for (int i = 0; i < IKED_WAITERS_MAX; i++)
		fds[i] = waiter();
	wait_for_waiters(IKED_WAITERS_MAX);
	one_more = waiter();
	expect_error(one_more, cs_code_name(CS_ELIMIT));
	close(one_more);
	close(fds[0]);
	wait_for_waiters(IKED_WAITERS_MAX - 1);
	fds[0] = waiter();
	wait_for_waiters(IKED_WAITERS_MAX);
	for (int i = 0; i < IKED_WAITERS_MAX; i++)
		close(fds[i]);
	wait_for_waiters(0);
}
END_TEST

/* ---- refresh: the peer answers ---- */

static void to_nmi(const struct ike_event *ev)
{
	iked_nmi_event(nmi, ev);
}

static void run_pair(void)
{
	pair->now = iked_now();
	pair_run(pair);
}

/* K1 and Y2 are up. */
static void bring_up(void)
{
	pair->now = iked_now();
	pair_acquire(pair, 0);
	ck_assert(pair_mirrored(pair));
	pair->side[0].hear = to_nmi;
}

static void expect_status(int fd, const char *tunnel, const char *rule, const char *status)
{
	json_t *answer = frame(fd), *entry = json_object_get(answer, "entry");
	const char *got = json_string_value(json_object_get(entry, "LocalDynVpnRule"));

	ck_assert_str_eq(json_string_value(json_object_get(entry, "TunnelID")), tunnel);
	ck_assert_str_eq(json_string_value(json_object_get(entry, "Status")), status);
	ck_assert_str_eq(got ? got : "", rule);
	json_decref(answer);
	json_decref(frame(fd)); /* done */
}

static int newest_generation(int fd, const char *request)
{
	json_t *answer, *entry;
	int generation = 0;

	ask(fd, request);
	for (;;) {
		answer = frame(fd);
		entry = json_object_get(answer, "entry");
		if (!entry)
			break;
		if (!generation)
			generation = (int)json_integer_value(json_object_get(entry, "Generation"));
		json_decref(answer);
	}
	json_decref(answer);
	return generation;
}

/* At once, and waited for: the second request waits for the first one's negotiation. */
START_TEST(test_refresh)
{
	static const struct {
		const char *tunnel, *now, *wait, *list;
	} kinds[] = {
		{"K1", "{\"request\":\"refresh-ike\",\"tunnel\":\"K1\"}",
		 "{\"request\":\"refresh-ike\",\"tunnel\":\"K1\",\"wait\":3600}",
		 "{\"request\":\"ike-tunnels\"}"},
		{"Y2", "{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y2\",\"wait\":null}",
		 "{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y2\",\"wait\":3600}",
		 "{\"request\":\"dynamic-tunnels\",\"source\":\"ike\"}"},
	};
	int fd = client(), other = client();

	bring_up();
	ask(fd, kinds[_i].now);
	expect_status(fd, kinds[_i].tunnel, "", "Refreshing");
	ask(fd, kinds[_i].wait);
	wait_for_waiters(1);
	/* The other kind's events are not this one's. */
	iked_nmi_event(nmi, &(struct ike_event){.kind = _i ? IKE_EV_P1_UP : IKE_EV_P2_UP,
						.p1_tunnel = 1,
						.p2_tunnel = _i ? 0 : 2,
						.rule = ""});
	/* Nor is the end of an older SA. */
	iked_nmi_event(nmi, &(struct ike_event){.kind = _i ? IKE_EV_P2_DOWN : IKE_EV_P1_DOWN,
						.p1_tunnel = 1,
						.p2_tunnel = _i ? 2 : 0,
						.rule = ""});
	wait_for_waiters(1);
	run_pair();
	pair_expire(pair, 0, false); /* the peer sends by the new pair */
	expect_status(fd, kinds[_i].tunnel, "", "Refreshed");
	ck_assert_int_eq(newest_generation(other, kinds[_i].list), 2);
	close(fd);
	close(other);
}
END_TEST

START_TEST(test_refresh_by_rule)
{
	int fd = client();

	bring_up();
	ask(fd, "{\"request\":\"refresh-dynamic\",\"rule\":\"ByHand\"}");
	expect_error(fd, cs_code_name(CS_ENOTFOUND)); /* packets began it */
	ask(fd, "{\"request\":\"activate-dynamic\",\"rule\":\"ByHand\"}");
	expect_status(fd, "Y2", "ByHand", "Already active");
	ask(fd, "{\"request\":\"refresh-dynamic\",\"rule\":\"ByHand\",\"wait\":3600}");
	wait_for_waiters(1);
	run_pair();
	pair_expire(pair, 0, false);
	expect_status(fd, "Y2", "ByHand", "Refreshed");
	close(fd);
}
END_TEST

/* The peer takes neither what was agreed before nor the policy's list: one answer, the last. */
START_TEST(test_refresh_refused)
{
	struct pol_dynvpn_action *vpn;
	int fd = client();
	json_t *error;

	bring_up();
	vpn = (struct pol_dynvpn_action *)pair->side[1].policy->rules[0].vpn;
	vpn->offers[0].encap = vpn->offers[0].encap == POL_TUNNEL ? POL_TRANSPORT : POL_TUNNEL;
	ask(fd, "{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y2\",\"wait\":3600}");
	wait_for_waiters(1);
	run_pair();
	error = frame(fd);
	ck_assert_str_eq(json_string_value(json_object_get(error, "code")), cs_code_name(CS_ESYS));
	ck_assert_ptr_nonnull(
		strstr(json_string_value(json_object_get(error, "error")), "NO-PROPOSAL-CHOSEN"));
	json_decref(error);
	ck_assert_uint_eq(pair->side[0].n_events[IKE_EV_FAILED], 1);
	ck_assert_uint_eq(pair_stats(pair, 0)->p2_failed, 2);
	ck_assert(pair_mirrored(pair));
	close(fd);
}
END_TEST

START_TEST(test_refresh_errors)
{
	static const struct {
		const char *request;
		int code;
	} cases[] = {
		{"{\"request\":\"refresh-ike\",\"tunnel\":\"K9\"}", CS_ENOTFOUND},
		{"{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y9\"}", CS_ENOTFOUND},
		{"{\"request\":\"refresh-dynamic\",\"rule\":\"None\"}", CS_ENOTFOUND},
		{"{\"request\":\"refresh-ike\",\"tunnel\":\"all\"}", CS_EINVAL},
		{"{\"request\":\"refresh-ike\",\"tunnel\":\"Y1\"}", CS_EINVAL},
		{"{\"request\":\"refresh-ike\"}", CS_EINVAL},
		{"{\"request\":\"refresh-dynamic\"}", CS_EINVAL},
		{"{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y2\",\"rule\":\"x\"}", CS_EINVAL},
		{"{\"request\":\"refresh-dynamic\",\"rule\":\"\"}", CS_EINVAL},
		{"{\"request\":\"deactivate-dynamic\",\"rule\":\"\"}", CS_EINVAL},
		{"{\"request\":\"refresh-ike\",\"tunnel\":\"K1\",\"wait\":-1}", CS_EINVAL},
		{"{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y2\",\"wait\":86401}", CS_EINVAL},
		{"{\"request\":\"refresh-dynamic\",\"tunnel\":\"Y2\",\"wait\":0}", CS_EAGAIN},
	};
	int fd = client();

	bring_up();
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		ask(fd, cases[i].request);
		expect_error(fd, cs_code_name(cases[i].code));
	}
	close(fd);
}
END_TEST

static void put_policy(void)
{
	struct pol_store *to;
	struct cs_err err;
	char state[64];

	snprintf(state, sizeof(state), "%s/STACK", dir);
	ck_assert_int_eq(pol_store_open(state, true, &to, &err), 0);
	ck_assert_int_eq(pol_store_put(to, pair->side[1].policy, &err), 0);
	pol_store_close(to);
}

static void expect_generation(int fd, int generation)
{
	json_t *done = frame(fd);

	ck_assert(json_is_true(json_object_get(done, "done")));
	ck_assert_int_eq(json_integer_value(json_object_get(done, "generation")), generation);
	json_decref(done);
}

/* The answer comes when the policy is in force. */
START_TEST(test_policy)
{
	int fd = client(), gone = client();

	ask(fd, "{\"request\":\"policy\"}");
	expect_generation(fd, 0);
	put_policy();
	ask(gone, "{\"request\":\"policy\"}");
	close(gone);
	ask(fd, "{\"request\":\"policy\"}");
	expect_generation(fd, 1);
	wait_for_waiters(0);
	close(fd);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("iked, management socket");
	TCase *t = tcase_create("waiting");

	if (!pair_crypto())
		return EXIT_FAILURE;
	tcase_set_timeout(t, 60);
	tcase_add_checked_fixture(t, setup, teardown);
	tcase_add_test(t, test_client_gone);
	tcase_add_test(t, test_tunnel_up);
	tcase_add_test(t, test_bound);
	tcase_add_loop_test(t, test_refresh, 0, 2);
	tcase_add_test(t, test_refresh_by_rule);
	tcase_add_test(t, test_refresh_refused);
	tcase_add_test(t, test_refresh_errors);
	tcase_add_test(t, test_policy);
	suite_add_tcase(s, t);
	return run_suite(s);
}
