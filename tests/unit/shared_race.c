#include "tests/unit/shared_race.h"

#include <check.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "iked/shared_store.h"

#define EPOCHS_MAX 4096

static struct ike_shared_db *open_store(const char *uri)
{
	const struct ike_shared_backend *backend;
	const char *place;
	struct ike_shared_db *db;
	struct cs_err err = {0};
	int status = ike_shared_backend_of(uri, &backend, &place, &err);

	if (status == 0)
		status = backend->open(place, true, &db, &err);
	if (status == 0)
		status = ike_shared_tables_make(db, &err);
	ck_assert_msg(status == 0, "%s", err.text);
	return db;
}

/* Says by which epochs it won. All begin with the tables still to be made. */
static void run(const char *uri, const struct cs_addr *address, unsigned me, unsigned rounds,
		int won)
{
	struct ike_shared_db *db = open_store(uri);
	struct ike_shared_owner seen, want;

	snprintf(want.owner, sizeof(want.owner), "host%u", me);
	for (unsigned i = 0; i < rounds; i++) {
		struct cs_err err = {0};
		bool done = false;
		int status = ike_shared_get_owner(db, address, &seen, &err);

		want.epoch = seen.epoch + 1;
		if (status == 0)
			status = ike_shared_set_owner(db, address, &seen, &want, 1, &done, &err);
		if (status < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(1);
		}
		if (done && write(won, &want.epoch, sizeof(want.epoch)) < 0)
			_exit(2);
	}
	_exit(0);
}

void shared_race(const char *uri, unsigned processes, unsigned rounds)
{
	static unsigned winners[EPOCHS_MAX];
	struct ike_shared_owner last;
	struct ike_shared_db *db;
	struct cs_addr address;
	uint64_t epoch, n = 0;
	int won[2], status;

	cs_addr_parse("2001:db8::10", &address, NULL);
	ck_assert_int_eq(pipe(won), 0);
	for (unsigned i = 0; i < processes; i++)
		if (fork() == 0)
			run(uri, &address, i, rounds, won[1]);
	close(won[1]);
	while (read(won[0], &epoch, sizeof(epoch)) == (ssize_t)sizeof(epoch)) {
		ck_assert_uint_lt(epoch, EPOCHS_MAX);
		winners[epoch]++;
		n++;
	}
	for (unsigned i = 0; i < processes; i++) {
		ck_assert_int_gt(wait(&status), 0);
		ck_assert_int_eq(status, 0);
	}
	for (epoch = 1; epoch <= n; epoch++)
		ck_assert_msg(winners[epoch] == 1, "epoch %u was won %u times", (unsigned)epoch,
			      winners[epoch]);
	db = open_store(uri);
	ck_assert_int_eq(ike_shared_get_owner(db, &address, &last, NULL), 0);
	ck_assert_uint_eq(last.epoch, n);
	ck_assert_uint_ge(n, rounds); /* who runs alone wins each */
	db->backend->close(db);
	close(won[0]);
}

/* Claims when it is told to and says what came of it. A child must not inherit sqlite's handles. */
static void claim_elsewhere(const char *uri, const struct cs_addr *address,
			    const struct ike_shared_owner *seen,
			    const struct ike_shared_owner *want, int go[2], int done[2])
{
	ck_assert_int_eq(pipe(go), 0);
	ck_assert_int_eq(pipe(done), 0);
	if (fork() == 0) {
		struct cs_err err = {0};
		bool won = false;

		if (read(go[0], &won, 1) != 1)
			_exit(1);
		if (ike_shared_set_owner(open_store(uri), address, seen, want, 1, &won, &err) < 0) {
			fprintf(stderr, "%s\n", err.text);
			_exit(1);
		}
		_exit(write(done[1], &won, 1) != 1);
	}
	close(done[1]);
}

static void count(void *arg, const struct ike_shared_key *k, int64_t used, const char *attributes)
{
	(void)k, (void)used, (void)attributes;
	++*(unsigned *)arg;
}

void shared_fence(const char *uri)
{
	struct ike_shared_db *db;
	struct ike_shared_owner none = {"", 0}, me = {"me", 1}, you = {"you", 2};
	struct ike_shared_key k = {.host = "me", .kind = 'Y', .tunnel = 1, .generation = 1};
	struct cs_addr address;
	unsigned n = 0;
	bool ok, won = false;
	int go[2], done[2];

	cs_addr_parse("192.0.2.77", &address, NULL);
	k.address = &address;
	claim_elsewhere(uri, &address, &me, &you, go, done);
	db = open_store(uri);
	ck_assert_int_eq(ike_shared_set_owner(db, &address, &none, &me, 1, &ok, NULL), 0);
	ck_assert(ok);
	ck_assert_int_eq(ike_shared_begin(db, NULL), 0);
	ck_assert_int_eq(ike_shared_fence(db, &address, &me, &ok, NULL), 0);
	ck_assert(ok);
	ck_assert_int_eq(write(go[1], "", 1), 1);
	usleep(300000);
	/* It is still ours, so that this is written before the other may read. */
	ck_assert_int_eq(ike_shared_put_sa(db, &k, 0, 0, time(NULL) + 100, "{}", NULL), 0);
	ck_assert_int_eq(ike_shared_end(db, 0, NULL), 0);
	ck_assert_int_eq(read(done[0], &won, 1), 1);
	ck_assert(won);
	wait(NULL);
	ck_assert_int_eq(ike_shared_each_sa(db, &address, time(NULL), count, &n, NULL), 0);
	ck_assert_uint_eq(n, 1);
	ck_assert_int_eq(ike_shared_begin(db, NULL), 0);
	ck_assert_int_eq(ike_shared_fence(db, &address, &me, &ok, NULL), 0);
	ck_assert(!ok);
	ck_assert_int_eq(ike_shared_end(db, 0, NULL), 0);
	db->backend->close(db);
}
