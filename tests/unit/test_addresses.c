/* This host's addresses as they come and go, in a network namespace of the test's own. */
#include <check.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/run_suite.h"
#include "xfrm/xfrm.h"

static struct xf_addresses *addresses;
static char seen[65536]; /* "+192.0.2.1 -192.0.2.2 ", what changed, in order */
static unsigned n_came, n_went;

static void on_address(void *arg, const struct cs_addr *a, bool here)
{
	char text[CS_ADDR_STRLEN];
	size_t at = strlen(seen);

	(void)arg;
	*(here ? &n_came : &n_went) += 1;
	snprintf(seen + at, sizeof(seen) - at, "%c%s ", here ? '+' : '-', cs_addr_text(a, text));
}

static const char *changes(void)
{
	struct cs_err err = {0};

	seen[0] = '\0';
	n_came = n_went = 0;
	ck_assert_msg(xf_addresses_read(addresses, on_address, NULL, &err) == 0, "%s", err.text);
	return seen;
}

static bool readable(void)
{
	struct pollfd p = {xf_addresses_fd(addresses), POLLIN, 0};

	return poll(&p, 1, 1000) == 1;
}

static void run(const char *command)
{
	ck_assert_msg(system(command) == 0, "%s", command);
}

static void enter(void)
{
	struct cs_err err = {0};

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "this needs root");
	run("ip link set lo up");
	ck_assert_msg(xf_addresses_open(&addresses, &err) == 0, "%s", err.text);
	ck_assert_str_eq(changes(), "+127.0.0.1 +::1 ");
}

static void leave(void)
{
	xf_addresses_close(addresses);
}

START_TEST(test_come_and_go)
{
	run("ip addr add 192.0.2.1/32 dev lo");
	ck_assert(readable());
	ck_assert_str_eq(changes(), "+192.0.2.1 ");
	ck_assert_str_eq(changes(), "");
	run("ip addr add 192.0.2.2/32 dev lo; ip addr add 2001:db8::1/128 dev lo nodad;"
	    "ip addr del 192.0.2.1/32 dev lo");
	ck_assert(readable());
	ck_assert_str_eq(changes(), "-192.0.2.1 +192.0.2.2 +2001:db8::1 ");
	/* away and back before anybody looked: it is here */
	run("ip addr del 192.0.2.2/32 dev lo; ip addr add 192.0.2.2/32 dev lo");
	ck_assert_str_eq(changes(), "");
}
END_TEST

/* One address on two interfaces is gone when the last has lost it. */
START_TEST(test_twice)
{
	run("ip link add v0 type veth peer name v1 && ip link set v0 up");
	run("ip addr add 192.0.2.1/32 dev lo; ip addr add 192.0.2.1/32 dev v0");
	ck_assert_str_eq(changes(), "+192.0.2.1 ");
	run("ip addr del 192.0.2.1/32 dev lo");
	ck_assert_str_eq(changes(), "");
	run("ip link del v0");
	ck_assert_str_eq(changes(), "-192.0.2.1 ");
}
END_TEST

/* What looks for duplicates still is told when that is over. */
START_TEST(test_tentative)
{
	run("sysctl -q net.ipv6.conf.default.addr_gen_mode=1;"
	    "ip link add v0 type veth peer name v1 && ip link set v0 up && ip link set v1 up");
	run("ip addr add 2001:db8::7/64 dev v0");
	ck_assert_ptr_null(strstr(changes(), "2001:db8::7"));
	for (int i = 0; i < 10 && !strstr(seen, "+2001:db8::7 "); i++) {
		readable();
		changes();
	}
	ck_assert_ptr_nonnull(strstr(seen, "+2001:db8::7 "));
}
END_TEST

/* More events than the socket holds. */
START_TEST(test_many)
{
	FILE *f = popen("ip -batch -", "w");

	ck_assert_ptr_nonnull(f);
	for (int i = 0; i < 3000; i++)
		fprintf(f, "addr add 10.1.%d.%d/32 dev lo\n", i / 256, i % 256);
	ck_assert_int_eq(pclose(f), 0);
	ck_assert(readable());
	changes();
	ck_assert_uint_eq(n_came, 3000);
	ck_assert_uint_eq(n_went, 0);
	run("ip addr flush dev lo to 10.1.0.0/16");
	changes();
	ck_assert_uint_eq(n_came, 0);
	ck_assert_uint_eq(n_went, 3000);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("addresses");
	TCase *t = tcase_create("kernel");

	tcase_add_checked_fixture(t, enter, leave);
	tcase_set_timeout(t, 30);
	tcase_add_test(t, test_come_and_go);
	tcase_add_test(t, test_twice);
	tcase_add_test(t, test_tentative);
	tcase_add_test(t, test_many);
	suite_add_tcase(s, t);
	return run_suite(s);
}
