/* Memory that outlives the worker: what is kept in it, and a kill at any instant. */
#include <check.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "iked/sealed.h"
#include "tests/unit/run_suite.h"

#define KILLS   150
#define TUNNELS 40u

static int memory;
static struct ike_sealed *sealed;

static void map(void)
{
	struct cs_err err;

	ck_assert_msg(!ike_sealed_map(memory, &sealed, &err), "%s", err.text);
}

static void setup(void)
{
	struct cs_err err;

	ck_assert_msg(!ike_sealed_create(&memory, &err), "%s", err.text);
	map();
}

static void teardown(void)
{
	ike_sealed_unmap(sealed);
	close(memory);
}

static void remap(void)
{
	ike_sealed_unmap(sealed);
	map();
}

/* Every byte follows from the tunnel and a stamp, so that a torn one shows. */
static struct ike_p1_kept make(uint32_t tunnel, uint32_t stamp)
{
	struct ike_p1_kept k;

	memset(&k, (int)(stamp * 7 + tunnel) & 0xff, sizeof(k));
	k.tunnel = tunnel;
	k.generation = 1;
	k.instance = stamp;
	return k;
}

/* Padding included: all of it follows from the stamp. */
static bool same_bytes(const void *a, const void *b, size_t n)
{
	return !memcmp(a, b, n);
}

static int check_whole(void *arg, const struct ike_p1_kept *k)
{
	struct ike_p1_kept want = make(k->tunnel, k->instance);
	bool *seen = arg;

	ck_assert_uint_le(k->tunnel, TUNNELS);
	ck_assert_msg(same_bytes(k, &want, sizeof(want)), "tunnel %u is torn", k->tunnel);
	ck_assert_msg(!seen[k->tunnel], "tunnel %u is there twice", k->tunnel);
	seen[k->tunnel] = true;
	return 0;
}

static unsigned count(void)
{
	bool seen[TUNNELS + 1] = {false};
	unsigned n = 0;

	ck_assert_int_eq(ike_sealed_each(sealed, check_whole, seen), 0);
	for (unsigned i = 0; i <= TUNNELS; i++)
		n += seen[i];
	ck_assert_uint_eq(n, ike_sealed_stats(sealed).kept);
	return n;
}

static void keep(uint32_t tunnel, uint32_t stamp)
{
	struct ike_p1_kept k = make(tunnel, stamp);

	ike_sealed_keep(sealed, &k);
}

START_TEST(test_kept_and_forgotten)
{
	ck_assert_uint_eq(count(), 0);
	for (uint32_t i = 1; i <= TUNNELS; i++)
		keep(i, 5);
	for (uint32_t i = 1; i <= TUNNELS; i += 2)
		keep(i, 6);
	ck_assert_uint_eq(count(), TUNNELS);
	remap();
	ck_assert_uint_eq(count(), TUNNELS);
	for (uint32_t i = 2; i <= TUNNELS; i += 2)
		ike_sealed_forget(sealed, i, 1);
	ike_sealed_forget(sealed, 1, 2); /* there is no such generation */
	ck_assert_uint_eq(count(), TUNNELS / 2);
	remap();
	ck_assert_uint_eq(count(), TUNNELS / 2);
	for (uint32_t i = 2; i <= TUNNELS; i += 2)
		keep(i, 7);
	remap();
	ck_assert_uint_eq(count(), TUNNELS);
}
END_TEST

/* ---- exchanges ---- */

static void count_quick(void *arg, const struct ike_quick_kept *k)
{
	ck_assert_uint_eq(k->mid, k->tunnel * 7);
	++*(unsigned *)arg;
}

static unsigned quicks(void)
{
	unsigned n = 0;

	ike_sealed_each_quick(sealed, count_quick, &n);
	return n;
}

static void keep_quick(uint32_t tunnel)
{
	struct ike_quick_kept k = {.tunnel = tunnel, .generation = 2, .mid = tunnel * 7};

	ike_sealed_keep_quick(sealed, &k);
}

/* Of exchanges as of SAs; they do not get in each other's way, nor is one kept that is too many. */
START_TEST(test_quicks)
{
	static const char mark[] = "a-key-that-nobody-must-find";
	struct ike_quick_kept secret = {.tunnel = 1, .generation = 9, .mid = 7};
	const uint32_t n = IKE_SEALED_QUICKS;
	uint8_t *all, *behind;
	struct stat st;

	keep(1, 5);
	for (uint32_t i = 1; i <= n; i++)
		keep_quick(i);
	keep_quick(n); /* once more: in place of the first */
	ck_assert_uint_eq(quicks(), n);
	keep_quick(n + 1);
	ck_assert_uint_eq(quicks(), n);
	ck_assert_uint_eq(ike_sealed_stats(sealed).refused, 1);
	remap();
	ck_assert_uint_eq(quicks(), n);
	ck_assert_uint_eq(count(), 1);
	for (uint32_t i = 1; i <= n; i += 2)
		ike_sealed_forget_quick(sealed, i, 2);
	ike_sealed_forget_quick(sealed, 2, 1);
	ck_assert_uint_eq(quicks(), n / 2);
	memcpy(secret.keymat_out, mark, sizeof(mark));
	ike_sealed_keep_quick(sealed, &secret);
	remap();
	ck_assert_uint_eq(quicks(), n / 2 + 1);
	ck_assert_int_eq(fstat(memory, &st), 0);
	all = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, memory, 0);
	ck_assert_ptr_ne(all, MAP_FAILED);
	/* Exchanges are behind all SAs. */
	behind = all + st.st_size - n * sizeof(secret);
	ck_assert_ptr_nonnull(memmem(behind, n * sizeof(secret), mark, sizeof(mark)));
	ike_sealed_forget_quick(sealed, 1, 9);
	ck_assert_ptr_null(memmem(behind, n * sizeof(secret), mark, sizeof(mark)));
	munmap(all, (size_t)st.st_size);
	for (uint32_t i = 2; i <= n; i += 2)
		ike_sealed_forget_quick(sealed, i, 2);
	ck_assert_uint_eq(quicks(), 0);
	ck_assert_uint_eq(count(), 1);
}
END_TEST

/* What was forgotten is not to be found in the memory any more. */
START_TEST(test_wiped)
{
	struct ike_p1_kept k = make(3, 9);
	static const char mark[] = "a-key-that-nobody-must-find";
	uint8_t page[65536];

	memcpy(&k.keys, mark, sizeof(mark));
	ike_sealed_keep(sealed, &k);
	ike_sealed_keep(sealed, &k);
	ck_assert_int_gt(pread(memory, page, sizeof(page), 0), 0);
	ck_assert_ptr_nonnull(memmem(page, sizeof(page), mark, sizeof(mark)));
	ike_sealed_forget(sealed, 3, 1);
	ck_assert_int_gt(pread(memory, page, sizeof(page), 0), 0);
	ck_assert_ptr_null(memmem(page, sizeof(page), mark, sizeof(mark)));
}
END_TEST

START_TEST(test_full)
{
	struct ike_p1_kept k = make(1, 1);

	for (uint32_t i = 1; i <= IKE_SEALED_MAX; i++) {
		k.tunnel = i;
		ike_sealed_keep(sealed, &k);
	}
	ck_assert_uint_eq(ike_sealed_stats(sealed).kept, IKE_SEALED_MAX);
	k.tunnel = IKE_SEALED_MAX + 1;
	ike_sealed_keep(sealed, &k);
	ck_assert_uint_eq(ike_sealed_stats(sealed).kept, IKE_SEALED_MAX);
	ck_assert_uint_eq(ike_sealed_stats(sealed).refused, 1);
	ike_sealed_forget(sealed, 77, 1);
	ike_sealed_keep(sealed, &k);
	ck_assert_uint_eq(ike_sealed_stats(sealed).kept, IKE_SEALED_MAX);
	ck_assert_uint_eq(ike_sealed_stats(sealed).refused, 1);
}
END_TEST

START_TEST(test_cannot_be_cut)
{
	ck_assert_int_lt(ftruncate(memory, 4096), 0);
	ck_assert_int_lt(fcntl(memory, F_ADD_SEALS, F_SEAL_WRITE), 0);
}
END_TEST

START_TEST(test_other_memory)
{
	struct ike_sealed *other = NULL;
	struct cs_err err;
	int fd = memfd_create("other", MFD_CLOEXEC);

	ck_assert_int_lt(ike_sealed_map(fd, &other, &err), 0);
	ck_assert_int_eq(ftruncate(fd, 1 << 20), 0);
	ck_assert_int_eq(ike_sealed_map(fd, &other, &err), CS_EPARSE);
	close(fd);
	ck_assert_int_lt(ike_sealed_map(fd, &other, &err), 0);
	ck_assert_ptr_null(other);
}
END_TEST

/* What another parent hands on: memory of this layout that nobody can cut, and nothing else. */
START_TEST(test_handed_on)
{
	static const char other[4] = "none";
	int fd = memfd_create("other", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	struct cs_err err;

	ck_assert_int_eq(ike_sealed_check(memory, &err), 0);
	keep(1, 1);
	ck_assert_int_eq(ike_sealed_check(memory, &err), 0);
	ck_assert_int_eq(ike_sealed_check(fd, &err), CS_EPARSE); /* empty */
	ck_assert_int_eq(ftruncate(fd, lseek(memory, 0, SEEK_END)), 0);
	ck_assert_int_eq(ike_sealed_check(fd, &err), CS_EPARSE); /* and may be cut */
	ck_assert_int_eq(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	ck_assert_int_eq(ike_sealed_check(fd, &err), CS_EPARSE); /* and is nothing */
	ck_assert_int_eq(ike_sealed_check(STDIN_FILENO, &err), CS_EPARSE);
	close(fd);
	ck_assert_int_eq(ike_sealed_check(fd, &err), CS_EPARSE);
	ck_assert_int_eq(pwrite(memory, other, sizeof(other), 0), sizeof(other));
	ck_assert_int_eq(ike_sealed_check(memory, &err), CS_EPARSE);
}
END_TEST

/* Keeps and forgets for ever; tunnel 1 is kept always, with a growing stamp that is reported. */
static void victim(int report)
{
	struct ike_sealed_stats stats;

	for (uint32_t stamp = 1;; stamp++) {
		uint32_t tunnel = 2 + (uint32_t)random() % (TUNNELS - 1);

		keep(1, stamp);
		if (write(report, &stamp, sizeof(stamp)) != sizeof(stamp))
			_exit(1);
		if (random() % 3)
			keep(tunnel, stamp);
		else
			ike_sealed_forget(sealed, tunnel, 1);
		stats = ike_sealed_stats(sealed);
		if (stats.refused)
			_exit(2);
	}
}

static int stamp_of_first(void *arg, const struct ike_p1_kept *k)
{
	if (k->tunnel == 1)
		*(uint32_t *)arg = k->instance;
	return 0;
}

START_TEST(test_killed_at_any_instant)
{
	unsigned seed = (unsigned)time(NULL), filled = 0;
	const char *given = getenv("SEED");

	if (given)
		seed = (unsigned)strtoul(given, NULL, 10);
	printf("test_sealed: SEED=%u\n", seed);
	fflush(stdout);
	for (unsigned round = 0; round < KILLS; round++) {
		uint32_t reported = 0, next, kept = 0;
		int pipe_fds[2], status;
		pid_t child;

		srandom(seed + round);
		ck_assert_int_eq(pipe(pipe_fds), 0);
		fcntl(pipe_fds[1], F_SETPIPE_SZ, 1 << 20);
		child = fork();
		ck_assert_int_ge(child, 0);
		if (child == 0) {
			close(pipe_fds[0]);
			map(); /* the parent's mapping is not inherited */
			victim(pipe_fds[1]);
		}
		close(pipe_fds[1]);
		usleep((useconds_t)(random() % 8000));
		kill(child, SIGKILL);
		ck_assert_int_eq(waitpid(child, &status, 0), child);
		ck_assert(WIFSIGNALED(status));
		while (read(pipe_fds[0], &next, sizeof(next)) == sizeof(next))
			reported = next;
		close(pipe_fds[0]);
		remap();
		filled += count() > 0;
		ike_sealed_each(sealed, stamp_of_first, &kept);
		if (reported)
			ck_assert_msg(kept == reported || kept == reported + 1,
				      "reported %u, kept %u", reported, kept);
	}
	ck_assert_uint_gt(filled, KILLS / 2);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("sealed");
	TCase *t = tcase_create("sealed");

	tcase_add_checked_fixture(t, setup, teardown);
	tcase_set_timeout(t, 120);
	tcase_add_test(t, test_kept_and_forgotten);
	tcase_add_test(t, test_quicks);
	tcase_add_test(t, test_wiped);
	tcase_add_test(t, test_full);
	tcase_add_test(t, test_cannot_be_cut);
	tcase_add_test(t, test_other_memory);
	tcase_add_test(t, test_handed_on);
	tcase_add_test(t, test_killed_at_any_instant);
	suite_add_tcase(s, t);
	return run_suite(s);
}
