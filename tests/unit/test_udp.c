/*
 * The worker's side of the port for NAT traversal, on real sockets: IKE's marker comes and goes,
 * a keepalive goes without one and is not handed on, and nothing else is.
 */
#include <arpa/inet.h>
#include <check.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "iked/iked.h"
#include "tests/unit/run_suite.h"

static uv_loop_t loop;
static uint8_t got[64];
static size_t got_len;
static unsigned n_got;
static struct cs_endpoint got_local, got_remote;

static void on_datagram(void *arg, const struct cs_endpoint *local,
			const struct cs_endpoint *remote, const uint8_t *data, size_t len)
{
	(void)arg;
	ck_assert_uint_le(len, sizeof(got));
	memcpy(got, data, len);
	got_len = len;
	got_local = *local;
	got_remote = *remote;
	n_got++;
}

/* On an address of this host alone, at any port. */
static int make_socket(struct cs_endpoint *at)
{
	struct sockaddr_in sa = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof(sa);
	int on = 1, fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);

	ck_assert_int_ge(fd, 0);
	ck_assert_int_eq(setsockopt(fd, IPPROTO_IP, IP_PKTINFO, &on, sizeof(on)), 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&sa, sizeof(sa)), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	ck_assert_int_eq(cs_endpoint_from_sockaddr((struct sockaddr *)&sa, at), 0);
	return fd;
}

static struct iked_udp *udp;
static struct cs_endpoint ours, theirs;
static int our_fd, their_fd;

static void start(bool nat)
{
	struct cs_err err;
	struct iked_udp_port port = {.family = AF_INET, .nat = nat};

	n_got = 0;
	ck_assert_int_eq(uv_loop_init(&loop), 0);
	our_fd = port.fd = make_socket(&ours);
	their_fd = make_socket(&theirs);
	port.port = ours.port;
	ck_assert_int_eq(iked_udp_start(&loop, &port, on_datagram, NULL, &udp, &err), 0);
}

static void stop(void)
{
	iked_udp_stop(udp);
	uv_run(&loop, UV_RUN_DEFAULT);
	ck_assert_int_eq(uv_loop_close(&loop), 0);
	close(our_fd);
	close(their_fd);
}

static void send_theirs(const void *data, size_t len)
{
	struct sockaddr_storage to;
	socklen_t to_len;

	ck_assert_int_eq(cs_endpoint_to_sockaddr(&ours, &to, &to_len), 0);
	ck_assert_int_eq(sendto(their_fd, data, len, 0, (struct sockaddr *)&to, to_len), (int)len);
	uv_run(&loop, UV_RUN_ONCE);
}

START_TEST(test_marker_in)
{
	start(true);
	send_theirs("\0\0\0\0abc", 7);
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(got_len, 3);
	ck_assert_mem_eq(got, "abc", 3);
	ck_assert_uint_eq(got_local.port, ours.port);
	ck_assert_uint_eq(got_remote.port, theirs.port);
	send_theirs("\xff", 1); /* a keepalive */
	ck_assert_uint_eq(iked_udp_stats(udp)->malformed, 0);
	send_theirs("\0\0\0", 3);
	send_theirs("\0\0\0\1ESP", 7); /* what the kernel takes elsewhere */
	send_theirs("", 0);
	ck_assert_uint_eq(n_got, 1);
	ck_assert_uint_eq(iked_udp_stats(udp)->malformed, 3);
	stop();
}
END_TEST

START_TEST(test_marker_out)
{
	uint8_t buf[16];

	start(true);
	iked_udp_send(udp, &ours, &theirs, (const uint8_t *)"abc", 3);
	ck_assert_int_eq(recv(their_fd, buf, sizeof(buf), 0), 7);
	ck_assert_mem_eq(buf, "\0\0\0\0abc", 7);
	iked_udp_send(udp, &ours, &theirs, (const uint8_t *)"\xff", 1);
	ck_assert_int_eq(recv(their_fd, buf, sizeof(buf), 0), 1);
	ck_assert_uint_eq(buf[0], 0xff);
	stop();
}
END_TEST

/* The other port knows nothing of this. */
START_TEST(test_plain)
{
	uint8_t buf[16];

	start(false);
	send_theirs("\0\0\0\0abc", 7);
	ck_assert_uint_eq(got_len, 7);
	send_theirs("\xff", 1);
	ck_assert_uint_eq(n_got, 2);
	iked_udp_send(udp, &ours, &theirs, (const uint8_t *)"abc", 3);
	ck_assert_int_eq(recv(their_fd, buf, sizeof(buf), 0), 3);
	stop();
}
END_TEST

/* Peers are told from an address that has just left: where one may move, and as long as that is so.
 */
START_TEST(test_moving)
{
	struct iked_udp_port port = {.family = _i ? AF_INET6 : AF_INET};
	struct cs_endpoint gone, to;
	struct cs_err err;

	ck_assert_msg(unshare(CLONE_NEWNET) == 0, "root must run this test");
	ck_assert_int_eq(system("ip link set lo up"), 0);
	gone.port = to.port = port.port = 40500;
	ck_assert_int_eq(cs_addr_parse(_i ? "2001:db8::1" : "192.0.2.1", &gone.addr, &err), 0);
	ck_assert_int_eq(cs_addr_parse(_i ? "::1" : "127.0.0.1", &to.addr, &err), 0);
	ck_assert_int_eq(iked_port_open(port.family, port.port, &port.fd, &err), 0);
	for (unsigned i = 0; i < 3; i++) {
		port.moving = i == 1;
		ck_assert_int_eq(uv_loop_init(&loop), 0);
		ck_assert_int_eq(iked_udp_start(&loop, &port, on_datagram, NULL, &udp, &err), 0);
		iked_udp_send(udp, &gone, &to, (const uint8_t *)"abc", 3);
		ck_assert_uint_eq(iked_udp_stats(udp)->sent, port.moving);
		iked_udp_stop(udp);
		uv_run(&loop, UV_RUN_DEFAULT);
		ck_assert_int_eq(uv_loop_close(&loop), 0);
	}
	close(port.fd);
}
END_TEST

static Suite *suite(void)
{
	Suite *s = suite_create("udp");
	TCase *t = tcase_create("nat");

	tcase_add_test(t, test_marker_in);
	tcase_add_test(t, test_marker_out);
	tcase_add_test(t, test_plain);
	tcase_add_loop_test(t, test_moving, 0, 2);
	suite_add_tcase(s, t);
	return s;
}

int main(void)
{
	return run_suite(suite());
}
