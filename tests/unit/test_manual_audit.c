/*
 * The audit trail of manual tunnels: its database, and the difference between what is recorded and
 * what a kernel has.  The kernel here is memory that outlives a process, as a real one does, and
 * keeps an account of its own of what came and went.
 */
#include <check.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "policy/pagent_audit.h"
#include "policy/store.h"
#include "tests/unit/run_killed.h"
#include "tests/unit/run_suite.h"

#define TUNNELS 3 /* M1, M2 and, in the place of M1 after a change of keys, M3 */
#define ADDED   INT64_C(1768472431)
#define EVENTS  64

static char dir[64], database[96];
static struct cs_err err;

/* ---- the kernel ---- */

struct sa {
	struct xf_said id;
	uint32_t number;
	uint64_t packets, added;
};

static struct shared {
	struct sa sas[2 * TUNNELS];
	unsigned n, turn;
	/* What an observer saw: tunnel n whole (n), not whole any more (-n). */
	int seen[EVENTS];
	unsigned n_seen;
	bool whole[TUNNELS + 1];
} * kernel;

static struct pol_manvpn_action actions[TUNNELS + 1]; /* by number */

static void observe(void)
{
	for (unsigned t = 1; t <= TUNNELS; t++) {
		unsigned found = 0;

		for (unsigned i = 0; i < kernel->n; i++)
			found += kernel->sas[i].number == t;
		if ((found == 2) == kernel->whole[t])
			continue;
		kernel->whole[t] = found == 2;
		/* Not an assertion of Check, which writes, so that a kill could come between. */
		if (kernel->n_seen == EVENTS)
			abort();
		kernel->seen[kernel->n_seen++] = found == 2 ? (int)t : -(int)t;
	}
}

static bool has(const struct xf_said *id, uint32_t number)
{
	for (unsigned i = 0; i < kernel->n; i++)
		if (xf_said_equal(&kernel->sas[i].id, id) && kernel->sas[i].number == number)
			return true;
	return false;
}

static void forget(unsigned i)
{
	memmove(&kernel->sas[i], &kernel->sas[i + 1], (--kernel->n - i) * sizeof(kernel->sas[0]));
	observe();
}

/* Between any two changes of a kernel there is a place to be killed at: a call that does nothing.
 */
static void place(void)
{
	static int nowhere = -1;

	if (nowhere < 0)
		nowhere = open("/dev/null", O_WRONLY);
	if (write(nowhere, "", 1) != 1)
		abort();
}

static void look(struct pagent_present *have)
{
	for (unsigned i = 0; i < kernel->n; i++) {
		const struct xf_sa sa = {.id = kernel->sas[i].id,
					 .reqid = xf_reqid_manual(kernel->sas[i].number)};
		const struct xf_counters c = {.added = kernel->sas[i].added};

		ck_assert_int_eq(pagent_present_add(have, &sa, &c), 0);
	}
}

/* As xf_manual_install() does it: what is to come first, then what is to go. */
static void install(struct pagent_audit *a, const bool up[TUNNELS + 1])
{
	struct xf_said ids[XF_MANUAL_SAS];

	for (unsigned t = 1; t <= TUNNELS; t++)
		for (unsigned i = 0; up[t] && i < xf_manual_ids(&actions[t], ids); i++)
			if (!has(&ids[i], t)) {
				place();
				kernel->sas[kernel->n++] = (struct sa){
					ids[i], t, 100 * t + kernel->turn, (uint64_t)ADDED};
				observe();
			}
	for (unsigned i = kernel->n; i-- > 0;)
		if (!up[kernel->sas[i].number]) {
			const struct xf_counters c = {.packets = kernel->sas[i].packets,
						      .bytes = 10 * kernel->sas[i].packets};

			pagent_audit_gone(a, &kernel->sas[i].id, &c);
			place();
			forget(i);
		}
}

static void flush(void)
{
	while (kernel->n)
		forget(0);
}

/* ---- pagent's part ---- */

static void make_actions(void)
{
	for (unsigned t = 1; t <= TUNNELS; t++) {
		struct pol_manvpn_action *a = &actions[t];

		*a = (struct pol_manvpn_action){
			.active = true,
			.encap = POL_TUNNEL,
			.auth_proto = POL_ESP,
			.cipher = cs_cipher_by_keyword("AES_CBC", 128),
			.integ = cs_integ_by_keyword("HMAC_SHA1"),
			.number = t,
		};
		snprintf(a->name, sizeof(a->name), "%s", t == 2 ? "Second" : "First");
		cs_addr_parse("192.0.2.1", &a->local, NULL);
		cs_addr_parse("198.51.100.7", &a->remote, NULL);
		/* Other keys, the same SPIs: M3 is what the policy made of M1. */
		a->auth_in.spi = a->encrypt_in.spi = t == 2 ? 2000 : 1000;
		a->auth_out.spi = a->encrypt_out.spi = t == 2 ? 2001 : 1001;
	}
}

static const char *because = "deactivated by command";

static const char *why(void *arg, const char *name, uint32_t number)
{
	(void)arg;
	(void)name;
	(void)number;
	return because;
}

static const struct pagent_why reason = {why, NULL};

/* One time that pagent brings about what should be; -1: something could not be recorded. */
static int bring_about(struct pagent_audit *a, const bool wanted[TUNNELS + 1])
{
	struct pol_manvpn_action *list[TUNNELS];
	struct pol_policy policy = {.manuals = list};
	bool up[TUNNELS], result[TUNNELS + 1] = {false};
	struct pagent_present have = {.n = 0};
	int rc;

	for (unsigned t = 1; t <= TUNNELS; t++) {
		up[policy.n_manuals] = wanted[t];
		list[policy.n_manuals++] = &actions[t];
	}
	look(&have);
	rc = pagent_audit_before(a, &have, &policy, up, &reason, &err);
	pagent_present_free(&have);
	for (unsigned t = 1; t <= TUNNELS; t++)
		result[t] = up[t - 1];
	install(a, result);
	look(&have);
	pagent_audit_after(a, &have, &reason);
	ck_assert(pagent_audit_pending(a) || rc < 0 || !pagent_audit_due(a, &have, &policy, up));
	pagent_present_free(&have);
	return rc;
}

#define TURNS 8

static int turn(unsigned which)
{
	static const bool turns[TURNS][TUNNELS + 1] = {
		{0, 1, 0, 0}, {0, 1, 1, 0}, {0, 0, 1, 0}, {0, 1, 1, 0},
		{0, 0, 1, 1}, {0, 0, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 0},
	};
	struct pagent_audit *a;
	int rc;

	if (which == TURNS)
		return 1;
	a = pagent_audit_new(dir);
	ck_assert_ptr_nonnull(a);
	rc = bring_about(a, turns[which]);
	pagent_audit_free(a);
	return rc;
}

/* All turns from the one that was begun last. */
static void work(void)
{
	int rc;

	while ((rc = turn(kernel->turn)) == 0) {
		place();
		kernel->turn++;
	}
	ck_assert_int_eq(rc, 1);
}

/* ---- what is recorded ---- */

struct rows {
	int seen[EVENTS];
	unsigned n, unknown;
	int64_t ids[EVENTS], last_time, started;
	struct pagent_outbox_end end;
	json_t *payload; /* of the last */
};

static void on_row(void *arg, const struct pagent_row *row)
{
	struct rows *r = arg;
	bool up = strcmp(row->kind, "MAN_UP") == 0;
	json_t *o = json_loads(row->payload, 0, NULL);
	json_t *t = json_object_get(o, "ManualTunnel");
	const char *id = json_string_value(json_object_get(t, "TunnelID"));

	ck_assert(up || strcmp(row->kind, "MAN_DOWN") == 0);
	ck_assert_ptr_nonnull(id);
	ck_assert_str_eq(json_string_value(json_object_get(t, "State")),
			 up ? "Active" : "Inactive");
	ck_assert_int_eq(json_integer_value(json_object_get(o, "Started")), r->started);
	ck_assert_uint_lt(r->n, EVENTS);
	r->ids[r->n] = row->id;
	r->seen[r->n++] = (up ? 1 : -1) * (int)strtol(id + 1, NULL, 10);
	r->unknown += !up && !json_is_true(json_object_get(o, "CountersKnown"));
	r->last_time = row->time;
	json_decref(r->payload);
	r->payload = o;
}

static void count_row(void *arg, const struct pagent_row *row)
{
	struct rows *r = arg;

	r->n++;
	r->last_time = row->time;
}

static struct rows rows_of_outbox(struct pagent_outbox *o)
{
	struct rows r = {.started = ADDED};

	ck_assert_msg(pagent_outbox_read(o, EVENTS, on_row, &r, &r.end, &err) == 0, "%s", err.text);
	for (unsigned i = 1; i < r.n; i++)
		ck_assert_int_gt(r.ids[i], r.ids[i - 1]);
	return r;
}

static struct rows rows_of(void)
{
	struct pagent_outbox *o = pagent_outbox_new(dir);
	struct rows r = rows_of_outbox(o);

	pagent_outbox_free(o);
	return r;
}

/* The account of each tunnel is the observer's; what is of several tunnels may be in any order. */
static void same_account(const struct rows *r, const char *when)
{
	for (unsigned t = 1; t <= TUNNELS; t++) {
		unsigned i = 0, j = 0;

		for (;;) {
			while (i < r->n && abs(r->seen[i]) != (int)t)
				i++;
			while (j < kernel->n_seen && abs(kernel->seen[j]) != (int)t)
				j++;
			if (i == r->n || j == kernel->n_seen)
				break;
			ck_assert_msg(r->seen[i++] == kernel->seen[j++], "%s: M%u", when, t);
		}
		ck_assert_msg(i == r->n && j == kernel->n_seen, "%s: M%u: recorded %u, seen %u",
			      when, t, i, j);
	}
}

static void expect_account(const char *when)
{
	struct rows r = rows_of();

	same_account(&r, when);
	json_decref(r.payload);
}

static void drop_database(void)
{
	char journal[128];

	snprintf(journal, sizeof(journal), "%s-journal", database);
	unlink(database);
	unlink(journal);
}

static void begin_again(void)
{
	drop_database();
	memset(kernel, 0, sizeof(*kernel));
}

static void setup(void)
{
	strcpy(dir, "/tmp/test_manual_audit.XXXXXX");
	ck_assert_ptr_nonnull(mkdtemp(dir));
	snprintf(database, sizeof(database), "%s/audit.db", dir);
	kernel = mmap(NULL, sizeof(*kernel), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	ck_assert(kernel != MAP_FAILED);
	make_actions();
}

static void teardown(void)
{
	drop_database();
	rmdir(database);
	ck_assert_int_eq(rmdir(dir), 0);
	munmap(kernel, sizeof(*kernel));
}

/* ---- the difference ---- */

START_TEST(each_change_is_a_row)
{
	struct stat st;
	struct rows r;

	work();
	ck_assert_uint_eq(kernel->n_seen, 10);
	expect_account("no kill");
	r = rows_of();
	ck_assert_uint_eq(r.unknown, 0);
	/* M2 the second time, 200 and the turn that brought it; in and out */
	ck_assert_int_eq(json_integer_value(
				 json_object_get(json_object_get(r.payload, "Inbound"), "Packets")),
			 206);
	ck_assert_int_eq(json_integer_value(
				 json_object_get(json_object_get(r.payload, "Outbound"), "Bytes")),
			 2060);
	ck_assert_str_eq(json_string_value(json_object_get(r.payload, "Reason")),
			 "deactivated by command");
	json_decref(r.payload);
	ck_assert_int_eq(stat(database, &st), 0);
	ck_assert_uint_eq(st.st_mode & 07777, 0600);
}
END_TEST

/* What goes while nobody looks: all SAs flushed, by hand or because the host was started anew. */
START_TEST(gone_unseen)
{
	static const bool both[] = {0, 1, 1, 0}, none[TUNNELS + 1] = {0};
	struct pagent_audit *a = pagent_audit_new(dir);
	struct rows r;

	ck_assert_int_eq(bring_about(a, both), 0);
	flush();
	ck_assert_int_eq(bring_about(a, both), 0);
	expect_account("flushed, and restored");
	r = rows_of();
	ck_assert_uint_eq(r.n, 6);
	ck_assert_uint_eq(r.unknown, 2);
	json_decref(r.payload);
	flush();
	pagent_audit_free(a);
	a = pagent_audit_new(dir);
	ck_assert_int_eq(bring_about(a, none), 0);
	expect_account("the host was started anew");
	/* one SA of two */
	ck_assert_int_eq(bring_about(a, both), 0);
	forget(0);
	ck_assert_int_eq(bring_about(a, both), 0);
	ck_assert_int_eq(bring_about(a, both), 0);
	expect_account("one SA removed by hand");
	pagent_audit_free(a);
}
END_TEST

/* A tunnel that is not recorded, as of an older pagent, is recorded when it is found. */
START_TEST(found_active)
{
	static const bool first[] = {0, 1, 0, 0};
	struct pagent_audit *a = pagent_audit_new(dir);

	install(a, first);
	ck_assert_int_eq(bring_about(a, first), 0);
	ck_assert_int_eq(bring_about(a, first), 0);
	expect_account("found");
	pagent_audit_free(a);
}
END_TEST

/* The same where it is not wanted any more: it was up until it is taken down. */
START_TEST(found_and_not_wanted)
{
	static const bool first[] = {0, 1, 0, 0}, none[TUNNELS + 1] = {0};
	struct pagent_audit *a = pagent_audit_new(dir);
	struct rows r;

	install(a, first);
	ck_assert_int_eq(bring_about(a, none), 0);
	expect_account("found and taken down");
	r = rows_of();
	ck_assert_uint_eq(r.n, 2);
	ck_assert_uint_eq(r.unknown, 0);
	json_decref(r.payload);
	pagent_audit_free(a);
}
END_TEST

/* Killed with the tunnel in the kernel and no row of it; undone then, as by pagent -u. */
START_TEST(undone_after_a_kill)
{
	static const bool first[] = {0, 1, 0, 0}, none[TUNNELS + 1] = {0};
	struct pol_manvpn_action *list[] = {&actions[1]};
	struct pol_policy policy = {.manuals = list, .n_manuals = 1};
	struct pagent_audit *a = pagent_audit_new(dir);
	struct pagent_present have = {.n = 0};
	bool up = true;

	ck_assert_int_eq(pagent_audit_before(a, &have, &policy, &up, &reason, &err), 0);
	install(a, first);
	pagent_audit_free(a);
	a = pagent_audit_new(dir);
	look(&have);
	pagent_audit_after(a, &have, &reason);
	pagent_present_free(&have);
	install(a, none);
	pagent_audit_after(a, &have, &reason);
	pagent_audit_free(a);
	expect_account("killed and undone");
	ck_assert_uint_eq(kernel->n_seen, 2);
}
END_TEST

/* Somebody puts SAs of the same SPIs in their place: these are others, since a later time. */
START_TEST(replaced_by_others)
{
	static const bool first[] = {0, 1, 0, 0};
	struct pagent_audit *a = pagent_audit_new(dir);
	struct rows r = {.started = ADDED};
	struct pagent_outbox *o;

	ck_assert_int_eq(bring_about(a, first), 0);
	kernel->sas[1].added++;
	ck_assert_int_eq(bring_about(a, first), 0);
	ck_assert_int_eq(bring_about(a, first), 0);
	pagent_audit_free(a);
	o = pagent_outbox_new(dir);
	ck_assert_int_eq(pagent_outbox_read(o, EVENTS, count_row, &r, &r.end, &err), 0);
	pagent_outbox_free(o);
	ck_assert_uint_eq(r.n, 3);
	ck_assert_int_eq(r.last_time, ADDED + 1);
}
END_TEST

/*
 * Killed before each system call and each change of the kernel, and once more soon after.  After a
 * kill the turn is done again, or the next one follows: an operator's command that was lost.
 */
static void kill_anywhere(bool go_on)
{
	unsigned at = 0, unknown = 0;
	char when[32];
	struct rows r;
	int killed;

	do {
		begin_again();
		killed = run_killed(work, ++at);
		if (killed < 0)
			return; /* untraced, as the run allows */
		if (killed) {
			kernel->turn += go_on && kernel->turn + 1 < TURNS;
			run_killed(work, 1 + at % 13);
		}
		run_to_the_end(work);
		snprintf(when, sizeof(when), "kill %u", at);
		r = rows_of();
		same_account(&r, when);
		unknown += r.unknown;
		json_decref(r.payload);
	} while (killed);
	/* seen to be all, and some of them between a change and its row */
	ck_assert_uint_gt(at, 100);
	ck_assert_uint_gt(unknown, 10);
	printf("test_manual_audit: killed at each of %u places, %u ends without counters\n", at - 1,
	       unknown);
}

START_TEST(killed_anywhere)
{
	kill_anywhere(_i);
}
END_TEST

/* ---- the gate ---- */

/* Nothing comes up that cannot be recorded; what is up stays, and what is to go down goes. */
START_TEST(cannot_be_recorded)
{
	static const bool first[] = {0, 1, 0, 0}, both[] = {0, 1, 1, 0}, second[] = {0, 0, 1, 0};
	struct pagent_audit *a = pagent_audit_new(dir);
	char away[128], journal[128];

	ck_assert_int_eq(bring_about(a, first), 0);
	snprintf(away, sizeof(away), "%s.away", database);
	snprintf(journal, sizeof(journal), "%s-journal", database);
	ck_assert_int_eq(rename(database, away), 0);
	ck_assert_int_eq(mkdir(database, 0700), 0);
	ck_assert_int_eq(bring_about(a, both), CS_ESTORE);
	ck_assert_ptr_nonnull(strstr(err.text, "M2 (Second) is not activated"));
	ck_assert(kernel->whole[1] && !kernel->whole[2]);
	ck_assert(pagent_audit_pending(a));
	/* M1 goes all the same, though M2 may not come; its counters are kept */
	ck_assert_int_eq(bring_about(a, second), CS_ESTORE);
	ck_assert(!kernel->whole[1] && !kernel->whole[2]);
	/* nor may M1 come back before its end is recorded */
	ck_assert_int_eq(bring_about(a, first), CS_ESTORE);
	ck_assert_uint_eq(kernel->n_seen, 2);
	ck_assert_int_eq(rmdir(database), 0);
	ck_assert_int_eq(rename(away, database), 0);
	ck_assert_int_eq(bring_about(a, both), 0);
	ck_assert(!pagent_audit_pending(a));
	expect_account("recorded later");
	{
		struct rows r = rows_of();

		ck_assert_uint_eq(r.n, 4);
		ck_assert_uint_eq(r.unknown, 0);
		json_decref(r.payload);
	}
	pagent_audit_free(a);
}
END_TEST

/* The same with a database that another program holds locked, so that it can be read alone. */
START_TEST(cannot_be_written)
{
	static const bool first[] = {0, 1, 0, 0}, none[TUNNELS + 1] = {0};
	struct pagent_audit *a = pagent_audit_new(dir);
	sqlite3 *other;
	struct rows r;
	time_t gone;

	ck_assert_int_eq(bring_about(a, first), 0);
	ck_assert_int_eq(sqlite3_open(database, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other,
				      "CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN "
				      "SELECT raise(FAIL, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	gone = time(NULL);
	ck_assert_int_eq(bring_about(a, none), 0);
	ck_assert(pagent_audit_pending(a));
	ck_assert_int_lt(bring_about(a, first), 0);
	ck_assert_uint_eq(kernel->n_seen, 2);
	ck_assert_int_eq(sqlite3_exec(other, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	/* with the time and the reason that it had */
	sleep(2);
	because = "another reason";
	ck_assert_int_eq(bring_about(a, none), 0);
	because = "deactivated by command";
	expect_account("written later");
	r = rows_of();
	ck_assert_int_ge(r.last_time, gone);
	ck_assert_int_le(r.last_time, gone + 1);
	ck_assert_str_eq(json_string_value(json_object_get(r.payload, "Reason")), because);
	json_decref(r.payload);
	pagent_audit_free(a);
}
END_TEST

/* It comes up, which cannot be recorded any more, and goes: both are recorded when they can be. */
START_TEST(came_and_went)
{
	static const bool first[] = {0, 1, 0, 0}, none[TUNNELS + 1] = {0};
	struct pagent_audit *a = pagent_audit_new(dir);
	sqlite3 *other;

	ck_assert_int_eq(bring_about(a, none), 0);
	ck_assert_int_eq(sqlite3_open(database, &other), SQLITE_OK);
	ck_assert_int_eq(sqlite3_exec(other,
				      "CREATE TRIGGER no BEFORE INSERT ON outbox BEGIN "
				      "SELECT raise(FAIL, 'no'); END",
				      NULL, NULL, NULL),
			 SQLITE_OK);
	ck_assert_int_eq(bring_about(a, first), 0);
	ck_assert_int_eq(bring_about(a, none), 0);
	ck_assert_uint_eq(kernel->n_seen, 2);
	ck_assert_int_eq(sqlite3_exec(other, "DROP TRIGGER no", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(other);
	ck_assert_int_eq(bring_about(a, none), 0);
	expect_account("written later");
	pagent_audit_free(a);
}
END_TEST

/* ---- the database ---- */

static void one_row(struct pagent_outbox *o)
{
	const char *payload = "{\"ManualTunnel\": {\"TunnelID\": \"M1\", \"State\": \"Active\"},"
			      " \"Started\": 1768472431}";

	ck_assert_int_eq(pagent_outbox_begin(o, &err), 0);
	ck_assert_msg(pagent_outbox_row(o, 5, "MAN_UP", payload, &err) == 0, "%s", err.text);
	ck_assert_int_eq(pagent_outbox_commit(o, &err), 0);
}

START_TEST(rows_are_taken)
{
	struct pagent_outbox *o = pagent_outbox_new(dir);
	struct rows r, left;

	for (int i = 0; i < 5; i++)
		one_row(o);
	r = rows_of();
	ck_assert_uint_eq(r.n, 5);
	ck_assert_int_eq(r.last_time, 5);
	/* that were given to nobody by this process, as after its start */
	struct pagent_outbox_done done = {.identity = r.end.identity, .last = r.ids[4]};
	ck_assert_int_eq(pagent_outbox_done(o, &done, &err), 0);
	left = rows_of_outbox(o);
	ck_assert_uint_eq(left.n, 5);
	json_decref(left.payload);
	/* and some that nobody was ever given */
	done.last++;
	ck_assert_int_eq(pagent_outbox_done(o, &done, &err), CS_EINVAL);
	ck_assert_int_eq(r.end.last, r.ids[4]);
	ck_assert_int_ne(r.end.identity, 0);
	/* of another database */
	done = (struct pagent_outbox_done){.identity = r.end.identity + 1, .last = r.ids[4]};
	ck_assert_int_eq(pagent_outbox_done(o, &done, &err), 0);
	left = rows_of();
	ck_assert_uint_eq(left.n, 5);
	json_decref(left.payload);
	/* one of them is refused, and stays */
	done = (struct pagent_outbox_done){r.end.identity, r.ids[2], &r.ids[1], 1};
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(pagent_outbox_done(o, &done, &err), 0);
	left = rows_of();
	ck_assert_uint_eq(left.n, 2);
	ck_assert_int_eq(left.ids[0], r.ids[3]);
	json_decref(left.payload);
	pagent_outbox_free(o);
	o = pagent_outbox_new(dir);
	ck_assert_int_eq(pagent_outbox_begin(o, &err), 0);
	ck_assert_int_eq(pagent_outbox_row(o, 5, "MAN_UP", "{}", &err), 0);
	pagent_outbox_rollback(o);
	left = rows_of();
	ck_assert_uint_eq(left.n, 2);
	json_decref(left.payload);
	json_decref(r.payload);
	pagent_outbox_free(o);
}
END_TEST

/* What somebody has written into it is no reason to go on with half of it. */
START_TEST(odd_tunnels)
{
	static const char *const odd[] = {"",
					  "50",
					  "50 192.0.2.1",
					  "50 192.0.2.1 5",
					  "50 nowhere 5;",
					  "50 192.0.2.1 5;x",
					  "x 192.0.2.1 5;",
					  "1 ::1 1;1 ::1 1;1 ::1 1;1 ::1 1;1 ::1 1;"};
	struct pagent_outbox *o = pagent_outbox_new(dir);
	struct pagent_audited *list = NULL, t = {.number = 1, .name = "T", .shown = "{}"};
	char statement[160];
	unsigned n;
	sqlite3 *db;

	t.n_sas = xf_manual_ids(&actions[1], t.sas);
	ck_assert_int_eq(pagent_outbox_begin(o, &err), 0);
	ck_assert_int_eq(pagent_outbox_put(o, &t, &err), 0);
	ck_assert_int_eq(pagent_outbox_commit(o, &err), 0);
	ck_assert_int_eq(pagent_outbox_tunnels(o, &list, &n, &err), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_uint_eq(list->n_sas, 2);
	ck_assert(xf_said_equal(&list->sas[0], &t.sas[0]) &&
		  xf_said_equal(&list->sas[1], &t.sas[1]));
	pagent_audited_free(list, n);
	ck_assert_int_eq(sqlite3_open(database, &db), SQLITE_OK);
	for (size_t i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		snprintf(statement, sizeof(statement), "UPDATE tunnel SET sas = '%s'", odd[i]);
		ck_assert_int_eq(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
		ck_assert_msg(pagent_outbox_tunnels(o, &list, &n, &err) == CS_ESTORE, "%s", odd[i]);
	}
	sqlite3_close(db);
	pagent_outbox_free(o);
}
END_TEST

/* Lost while it is open: a new one is made, and its rows come after those of the old. */
START_TEST(database_is_lost)
{
	struct pagent_outbox *o = pagent_outbox_new(dir);
	struct rows before, after;

	one_row(o);
	before = rows_of();
	drop_database();
	one_row(o);
	after = rows_of();
	ck_assert_uint_eq(after.n, 1);
	ck_assert_int_gt(after.ids[0], before.ids[0]);
	ck_assert_int_ne(after.end.identity, before.end.identity);
	json_decref(before.payload);
	json_decref(after.payload);
	pagent_outbox_free(o);
}
END_TEST

START_TEST(not_ours)
{
	struct pagent_audited *list;
	struct pagent_outbox *o = pagent_outbox_new(dir);
	unsigned n;
	int fd = open(database, O_WRONLY | O_CREAT, 0600);

	ck_assert_int_eq(write(fd, "no database at all, but long enough to be one", 45), 45);
	close(fd);
	ck_assert_int_eq(pagent_outbox_tunnels(o, &list, &n, &err), CS_ESTORE);
	ck_assert_int_eq(pagent_outbox_begin(o, &err), CS_ESTORE);
	drop_database();
	ck_assert_int_eq(symlink("/etc/passwd", database), 0);
	ck_assert_int_eq(pagent_outbox_begin(o, &err), CS_ESTORE);
	drop_database();
	ck_assert_int_eq(pagent_outbox_tunnels(o, &list, &n, &err), 0);
	ck_assert_uint_eq(n, 0);
	pagent_audited_free(list, n);
	pagent_outbox_free(o);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("manual_audit");
	TCase *tc = tcase_create("all"), *kills = tcase_create("killed");

	tcase_add_checked_fixture(tc, setup, teardown);
	tcase_set_timeout(tc, 3000);
	tcase_add_test(tc, each_change_is_a_row);
	tcase_add_test(tc, gone_unseen);
	tcase_add_test(tc, found_active);
	tcase_add_test(tc, found_and_not_wanted);
	tcase_add_test(tc, undone_after_a_kill);
	tcase_add_test(tc, replaced_by_others);
	tcase_add_test(tc, cannot_be_recorded);
	tcase_add_test(tc, cannot_be_written);
	tcase_add_test(tc, came_and_went);
	tcase_add_test(tc, rows_are_taken);
	tcase_add_test(tc, odd_tunnels);
	tcase_add_test(tc, database_is_lost);
	tcase_add_test(tc, not_ours);
	suite_add_tcase(s, tc);
	tcase_add_checked_fixture(kills, setup, teardown);
	tcase_set_timeout(kills, 3000);
	tcase_add_loop_test(kills, killed_anywhere, 0, 2);
	suite_add_tcase(s, kills);
	return run_suite(s);
}
