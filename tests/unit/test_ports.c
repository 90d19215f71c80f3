/* The parent's sockets, and what it knows again of one that an earlier parent left. */
#include <check.h>
#include <netinet/in.h>
#include <sched.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/run_suite.h"

#define PORT 40500

static int plain(int family)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6, .sin6_port = htons(PORT)};
	struct sockaddr_in v4 = {.sin_family = AF_INET, .sin_port = htons(PORT)};
	int fd = socket(family, SOCK_DGRAM, 0);

	if (family == AF_INET)
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&v4, sizeof(v4)), 0);
	else
		ck_assert_int_eq(bind(fd, (struct sockaddr *)&v6, sizeof(v6)), 0);
	return fd;
}

/* Only what would be made here and now is the same. */
START_TEST(test_is)
{
	int family = _i ? AF_INET6 : AF_INET, fd, other;
	struct cs_err err;

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	ck_assert_int_eq(iked_port_open(family, PORT, &fd, &err), 0);
	ck_assert(iked_port_is(fd, family, PORT, false));
	ck_assert(!iked_port_is(fd, family, PORT + 1, false));
	ck_assert(!iked_port_is(fd, _i ? AF_INET : AF_INET6, PORT, false));
	ck_assert(!iked_port_is(fd, family, PORT, true)); /* it takes no ESP in UDP */
	ck_assert(!iked_port_is(-1, family, PORT, false));
	ck_assert(!iked_port_is(STDIN_FILENO, family, PORT, false));
	ck_assert_int_eq(unshare(CLONE_NEWNET), 0);
	ck_assert(!iked_port_is(fd, family, PORT, false)); /* another namespace's */
	close(fd);
	other = plain(family);
	ck_assert(!iked_port_is(other, family, PORT, false)); /* without the mark */
	close(other);
}
END_TEST

/* Sending from any address is asked for by who needs it. */
START_TEST(test_own_addresses)
{
	int family = _i ? AF_INET6 : AF_INET, fd, on = -1;
	socklen_t len = sizeof(on);
	struct cs_err err;

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	ck_assert_int_eq(iked_port_open(family, PORT, &fd, &err), 0);
	ck_assert_int_eq(getsockopt(fd, _i ? IPPROTO_IPV6 : IPPROTO_IP,
				    _i ? IPV6_TRANSPARENT : IP_TRANSPARENT, &on, &len),
			 0);
	ck_assert_int_eq(on, 0);
	close(fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("ports");
	TCase *t = tcase_create("ports");

	tcase_add_loop_test(t, test_is, 0, 2);
	tcase_add_loop_test(t, test_own_addresses, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
