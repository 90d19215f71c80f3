/* ESP that nobody has an SA for is seen while somebody wants to know, and only then. */
#include <arpa/inet.h>
#include <check.h>
#include <fcntl.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/run_suite.h"

static uv_loop_t loop;
static uint32_t seen[16];
static unsigned n_seen;

static void on_spi(void *arg, uint32_t spi)
{
	(void)arg;
	if (n_seen < 16)
		seen[n_seen++] = spi;
}

static void in_place(int fd, int place)
{
	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(dup2(fd, place), place);
	close(fd);
}

static void send_esp(int family, const char *to, const void *data, size_t len)
{
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	int fd = socket(family, SOCK_RAW, IPPROTO_ESP);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(
		inet_pton(family, to, family == AF_INET ? (void *)&v4.sin_addr : &v6.sin6_addr), 1);
	ck_assert_int_eq(sendto(fd, data, len, 0,
				family == AF_INET ? (struct sockaddr *)&v4 : (struct sockaddr *)&v6,
				family == AF_INET ? sizeof(v4) : sizeof(v6)),
			 (ssize_t)len);
	close(fd);
}

static void turn(void)
{
	n_seen = 0;
	for (int i = 0; i < 20; i++) {
		uv_run(&loop, UV_RUN_NOWAIT);
		usleep(1000);
	}
}

static void both(void)
{
	static const uint8_t esp[] = {0x12, 0x34, 0x56, 0x78, 0, 0, 0, 1, 9, 9, 9, 9};

	send_esp(AF_INET, "192.0.2.1", esp, sizeof(esp));
	send_esp(AF_INET6, "2001:db8::1", esp, sizeof(esp));
	turn();
}

START_TEST(test_listen)
{
	static const uint8_t stub[] = {1, 2, 3};
	struct iked_lost_esp *lost;
	struct cs_err err;
	int fd4, fd6;

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	ck_assert_int_eq(system("ip link set lo up; ip addr add 192.0.2.1/32 dev lo;"
				"ip addr add 2001:db8::1/128 dev lo nodad"),
			 0);
	ck_assert_int_eq(iked_esp_open(AF_INET, &fd4, &err), 0);
	in_place(fd4, IKED_FD_ESP4);
	ck_assert_int_eq(iked_esp_open(AF_INET6, &fd6, &err), 0);
	in_place(fd6, IKED_FD_ESP6);
	uv_loop_init(&loop);
	ck_assert_int_eq(iked_lost_esp_new(&loop, on_spi, NULL, &lost, &err), 0);
	both();
	ck_assert_uint_eq(n_seen, 0);
	for (int round = 0; round < 2; round++) {
		iked_lost_esp_listen(lost, true);
		both();
		ck_assert_uint_eq(n_seen, 2);
		ck_assert_uint_eq(seen[0], 0x12345678);
		ck_assert_uint_eq(seen[1], 0x12345678);
		send_esp(AF_INET, "192.0.2.1", stub, sizeof(stub));
		turn();
		ck_assert_uint_eq(n_seen, 0);
		iked_lost_esp_listen(lost, false);
		both();
		ck_assert_uint_eq(n_seen, 0);
	}
	iked_lost_esp_stop(lost);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

/* Without the sockets it is there and hears nothing. */
START_TEST(test_none)
{
	struct iked_lost_esp *lost;
	struct cs_err err;

	/* Their places are not to become the loop's own. */
	dup2(STDIN_FILENO, IKED_FD_ESP4);
	dup2(STDIN_FILENO, IKED_FD_ESP6);
	uv_loop_init(&loop);
	close(IKED_FD_ESP4);
	close(IKED_FD_ESP6);
	ck_assert_int_eq(iked_lost_esp_new(&loop, on_spi, NULL, &lost, &err), 0);
	iked_lost_esp_listen(lost, true);
	iked_lost_esp_listen(lost, false);
	iked_lost_esp_stop(lost);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
}
END_TEST

/* What else has their places is left alone, whether anybody is to listen or not. */
START_TEST(test_others)
{
	struct iked_lost_esp *lost;
	struct cs_err err;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = 1};
	socklen_t len = sizeof(at);

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	in_place(socket(AF_INET, SOCK_DGRAM, 0), IKED_FD_ESP4);
	in_place(socket(AF_INET6, SOCK_RAW, IPPROTO_ICMPV6), IKED_FD_ESP6);
	uv_loop_init(&loop);
	ck_assert_int_eq(iked_lost_esp_new(&loop, on_spi, NULL, &lost, &err), 0);
	iked_lost_esp_listen(lost, true);
	ck_assert_int_eq(getsockname(IKED_FD_ESP4, (struct sockaddr *)&at, &len), 0);
	ck_assert_uint_eq(at.sin_port, 0);
	iked_lost_esp_stop(lost);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	iked_lost_esp_none();
	ck_assert_int_ge(fcntl(IKED_FD_ESP4, F_GETFD), 0);
	ck_assert_int_ge(fcntl(IKED_FD_ESP6, F_GETFD), 0);
}
END_TEST

START_TEST(test_nobody_listens)
{
	struct cs_err err;
	int fd;

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	ck_assert_int_eq(system("ip link set lo up"), 0);
	ck_assert_int_eq(iked_esp_open(AF_INET, &fd, &err), 0);
	in_place(fd, IKED_FD_ESP4);
	ck_assert_int_eq(iked_esp_open(AF_INET6, &fd, &err), 0);
	in_place(fd, IKED_FD_ESP6);
	iked_lost_esp_none();
	ck_assert_int_lt(fcntl(IKED_FD_ESP4, F_GETFD), 0);
	ck_assert_int_lt(fcntl(IKED_FD_ESP6, F_GETFD), 0);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("lost esp");
	TCase *t = tcase_create("loopback");

	tcase_add_test(t, test_listen);
	tcase_add_test(t, test_none);
	tcase_add_test(t, test_others);
	tcase_add_test(t, test_nobody_listens);
	suite_add_tcase(s, t);
	return run_suite(s);
}
