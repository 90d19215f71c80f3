/* Addresses, buffers, errors, log lines, paths and the algorithm table. */
#include <check.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/addr.h"
#include "common/alg.h"
#include "common/buf.h"
#include "common/err.h"
#include "common/log.h"
#include "common/options.h"
#include "common/paths.h"
#include "tests/unit/run_suite.h"

START_TEST(test_range_text)
{
	static const struct {
		const char *in, *out; /* out NULL: refused */
	} cases[] = {
		{"192.0.2.1", "192.0.2.1"},
		{"192.0.2.77/24", "192.0.2.0/24"},
		{"192.0.2.1/32", "192.0.2.1"},
		{"0.0.0.0/0", "0.0.0.0/0"},
		{"192.0.2.1-192.0.2.9", "192.0.2.1-192.0.2.9"},
		{"192.0.2.0-192.0.2.255", "192.0.2.0/24"},
		{"2001:db8::1", "2001:db8::1"},
		{"2001:db8::1/33", "2001:db8::/33"},
		{"2001:db8::1-2001:db8::3", "2001:db8::1-2001:db8::3"},
		{"::/0", "::/0"},
		{"192.0.2.9-192.0.2.1", NULL},
		{"192.0.2.1-2001:db8::1", NULL},
		{"192.0.2.1/33", NULL},
		{"192.0.2.1/-1", NULL},
		{"192.0.2.1/", NULL},
		{"192.0.2.1/8x", NULL},
		{"2001:db8::1/129", NULL},
		{"192.0.2.1:192.0.2.9", NULL},
		{"host.example.com", NULL},
		{"", NULL},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct cs_range r;
		struct cs_err err = {0};
		char text[CS_RANGE_STRLEN];
		int rc = cs_range_parse(cases[i].in, &r, &err);

		if (!cases[i].out) {
			ck_assert_msg(rc < 0, "%s was accepted", cases[i].in);
			ck_assert_int_eq(rc, err.code);
			ck_assert_uint_gt(strlen(err.text), 0);
			continue;
		}
		ck_assert_msg(rc == 0, "%s: %s", cases[i].in, err.text);
		ck_assert_str_eq(cs_range_text(&r, text), cases[i].out);
	}
}
END_TEST

START_TEST(test_range_cover)
{
	struct cs_range net, part, other, six;

	ck_assert_int_eq(cs_range_parse("198.51.100.128/25", &net, NULL), 0);
	ck_assert_int_eq(cs_range_parse("198.51.100.200-198.51.100.255", &part, NULL), 0);
	ck_assert_int_eq(cs_range_parse("198.51.100.127-198.51.100.130", &other, NULL), 0);
	ck_assert_int_eq(cs_range_parse("::/0", &six, NULL), 0);
	ck_assert(cs_range_covers(&net, &part));
	ck_assert(!cs_range_covers(&part, &net));
	ck_assert(!cs_range_covers(&net, &other));
	ck_assert(!cs_range_covers(&six, &net));
	ck_assert_int_eq(cs_range_prefix_len(&other), -1);
}
END_TEST

START_TEST(test_selector)
{
	struct cs_selector any = {0}, tcp;
	char text[CS_SELECTOR_STRLEN];

	ck_assert_int_eq(cs_range_parse("192.0.2.1", &any.local, NULL), 0);
	ck_assert_int_eq(cs_range_parse("198.51.100.0/24", &any.remote, NULL), 0);
	tcp = any;
	tcp.proto = 6;
	tcp.remote_port = 80;
	ck_assert(cs_selector_covers(&any, &tcp));
	ck_assert(!cs_selector_covers(&tcp, &any));
	ck_assert(!cs_selector_equal(&tcp, &any));
	ck_assert_str_eq(cs_selector_text(&tcp, text), "192.0.2.1[6] - 198.51.100.0/24[6/80]");
	ck_assert_str_eq(cs_selector_text(&any, text), "192.0.2.1 - 198.51.100.0/24");
}
END_TEST

START_TEST(test_sockaddr)
{
	static const char *const texts[] = {"192.0.2.1", "2001:db8::7"};

	for (int i = 0; i < 2; i++) {
		struct cs_endpoint ep = {.port = 500}, back;
		struct sockaddr_storage ss;
		socklen_t len;
		char text[CS_ENDPOINT_STRLEN];

		ck_assert_int_eq(cs_addr_parse(texts[i], &ep.addr, NULL), 0);
		ck_assert_int_eq(cs_endpoint_to_sockaddr(&ep, &ss, &len), 0);
		ck_assert_int_eq(cs_endpoint_from_sockaddr((struct sockaddr *)&ss, &back), 0);
		ck_assert(cs_addr_equal(&ep.addr, &back.addr));
		ck_assert_int_eq(back.port, 500);
		ck_assert_str_eq(cs_endpoint_text(&ep, text),
				 i ? "[2001:db8::7]:500" : "192.0.2.1:500");
	}
	ck_assert_int_eq(cs_endpoint_from_sockaddr(&(struct sockaddr){.sa_family = AF_UNIX}, NULL),
			 CS_EINVAL);
}
END_TEST

START_TEST(test_reader)
{
	static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
	struct cs_reader r = cs_reader_of(data, sizeof(data)), none = cs_reader_of(NULL, 0);
	uint8_t a;
	uint16_t b;
	uint32_t c = 77;
	uint64_t d;
	struct cs_bytes view;

	ck_assert(cs_get_u8(&r, &a) && a == 1);
	ck_assert(cs_get_u16(&r, &b) && b == 0x0203);
	ck_assert(cs_get_u64(&r, &d) && d == 0x0405060708090a0bULL);
	ck_assert(cs_get_bytes(&r, 1, &view) && view.p[0] == 12);
	ck_assert(!cs_get_u32(&r, &c) && c == 77);
	ck_assert_uint_eq(cs_reader_left(&r), 3);
	ck_assert(!cs_get_bytes(&r, (size_t)-1, &view));
	ck_assert(!cs_get_u8(&none, &a));
}
END_TEST

START_TEST(test_writer)
{
	uint8_t buf[8];
	struct cs_writer w = cs_writer_of(buf, sizeof(buf));

	cs_put_u8(&w, 1);
	cs_put_u16(&w, 0);
	cs_put_u32(&w, 0x01020304);
	cs_patch_u16(&w, 1, 0xabcd);
	ck_assert(cs_writer_ok(&w));
	ck_assert_mem_eq(buf, "\x01\xab\xcd\x01\x02\x03\x04", 7);
	cs_put_u16(&w, 5);
	ck_assert(!cs_writer_ok(&w));
	ck_assert_uint_eq(w.len, 7);
	cs_put_u8(&w, 5);
	ck_assert_uint_eq(w.len, 7); /* overflow sticks */
	w = cs_writer_of(buf, sizeof(buf));
	cs_put_u8(&w, 1);
	cs_patch_u32(&w, 0, 1);
	ck_assert(!cs_writer_ok(&w));
}
END_TEST

START_TEST(test_hex)
{
	uint8_t out[4];
	char text[9];

	ck_assert_int_eq(cs_unhex("00ffA1b2", out, sizeof(out)), 4);
	cs_hex(out, 4, text);
	ck_assert_str_eq(text, "00ffa1b2");
	ck_assert_int_eq(cs_unhex("0", out, sizeof(out)), -1);
	ck_assert_int_eq(cs_unhex("0g", out, sizeof(out)), -1);
	ck_assert_int_eq(cs_unhex("0011223344", out, sizeof(out)), -1);
	ck_assert(cs_equal_secret("abc", "abc", 3));
	ck_assert(!cs_equal_secret("abc", "abd", 3));
}
END_TEST

START_TEST(test_errors)
{
	struct cs_err err = {0};

	ck_assert_int_eq(cs_fail(&err, CS_ELIMIT, "only %d", 3), CS_ELIMIT);
	ck_assert_int_eq(cs_err_prefix(&err, "rule %s", "A"), CS_ELIMIT);
	ck_assert_str_eq(err.text, "rule A: only 3");
	ck_assert_int_eq(cs_fail(NULL, CS_EAUTH, "x"), CS_EAUTH);
	for (int code = CS_EPERM; code <= CS_OK; code++)
		ck_assert_str_ne(cs_code_name(code), "unknown");
}
END_TEST

START_TEST(test_log_line)
{
	char line[64];

	cs_log_line(line, sizeof(line), (struct cs_logctx){7, "K1"}, "CSI0001I", "a\nb");
	ck_assert_str_eq(line, "7 CSI0001I K1: a?b");
	cs_log_line(line, sizeof(line), CS_NOCTX, "CSI0001I", "up");
	ck_assert_str_eq(line, "CSI0001I up");
}
END_TEST

START_TEST(test_paths)
{
	char path[CS_PATH_MAX];

	setenv("CSIPSEC_RUNDIR", "/x/run", 1);
	ck_assert_int_eq(cs_run_path("TCPCS", "iked.sock", path, NULL), 0);
	ck_assert_str_eq(path, "/x/run/TCPCS/iked.sock");
	unsetenv("CSIPSEC_STATEDIR");
	ck_assert_int_eq(cs_state_path("A", NULL, path, NULL), 0);
	ck_assert_str_eq(path, "/var/lib/csipsec/A");
	ck_assert_int_eq(cs_stack_check("TCPIP", NULL), 0);
	ck_assert_int_lt(cs_stack_check("..", NULL), 0);
	ck_assert_int_lt(cs_stack_check("a/b", NULL), 0);
	ck_assert_int_lt(cs_stack_check("", NULL), 0);
	ck_assert_int_lt(cs_stack_check("abcdefghijklmnopqrstuvwxyz", NULL), 0);
}
END_TEST

START_TEST(test_options)
{
	struct cs_err err;
	char path[16];

	ck_assert_int_eq(cs_order("x", 'k', "stop"), SIGTERM);
	ck_assert_int_eq(cs_order("x", 'r', "refresh"), SIGHUP);
	ck_assert_int_eq(cs_order("x", 'k', "refresh"), 0);
	ck_assert_int_eq(cs_order("x", 'r', "stop"), 0);
	ck_assert_int_eq(chdir("/dev"), 0);
	ck_assert_int_eq(cs_absolute("a/../b", path, sizeof(path), &err), 0);
	ck_assert_str_eq(path, "/dev/a/../b");
	ck_assert_int_eq(cs_absolute("/x", path, sizeof(path), &err), 0);
	ck_assert_str_eq(path, "/x");
	ck_assert_int_eq(cs_absolute("0123456789", path, sizeof(path), &err), 0);
	ck_assert_int_eq(cs_absolute("01234567890", path, sizeof(path), &err), CS_EINVAL);
}
END_TEST

START_TEST(test_numbers)
{
	static const char *const bad[] = {"",   "0",  "11",  "-2", "+2",
					  " 2", "2 ", "0x2", "2k", "18446744073709551618"};
	unsigned n = 77;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		ck_assert_msg(!cs_number(bad[i], 1, 10, &n), "%s", bad[i]);
	ck_assert_uint_eq(n, 77);
	ck_assert(cs_number("1", 1, 10, &n) && n == 1);
	ck_assert(cs_number("010", 1, 10, &n) && n == 10);
}
END_TEST

START_TEST(test_algorithms)
{
	unsigned n;
	const struct cs_group *g = cs_groups(&n);

	for (unsigned i = 0; i < n; i++) {
		size_t bytes = (g[i].bits + 7u) / 8;

		ck_assert_ptr_eq(cs_group_by_number(g[i].number), &g[i]);
		ck_assert_ptr_eq(cs_group_by_keyword(g[i].keyword), &g[i]);
		ck_assert_uint_eq(g[i].secret_len, bytes);
		ck_assert_uint_eq(g[i].public_len, g[i].kind == CS_ECP ? 2 * bytes : bytes);
	}
	ck_assert_uint_eq(cs_cipher_by_keyword("aes", 0)->key_bits, 128);
	ck_assert_uint_eq(cs_cipher_by_keyword("AES_CBC", 256)->key_bits, 256);
	ck_assert_ptr_null(cs_cipher_by_keyword("AES_CBC", 0));
	ck_assert_ptr_null(cs_cipher_by_ike(7, 0));
	ck_assert_str_eq(cs_cipher_by_ike(5, 0)->keyword, "3DES");
	ck_assert_str_eq(cs_cipher_by_esp(20, 128)->xfrm, "rfc4106(gcm(aes))");
	ck_assert_ptr_null(cs_cipher_by_ike(0, 0));
	ck_assert_str_eq(cs_integ_by_keyword("HMAC_SHA")->xfrm, "hmac(sha1)");
	ck_assert_uint_eq(cs_integ_by_esp(5)->icv_bits, 128);
	ck_assert_ptr_null(cs_integ_by_esp(0));
	ck_assert_uint_eq(cs_hash_by_ike(4)->len, 32);
	ck_assert_ptr_null(cs_hash_by_keyword("SHA"));
}
END_TEST

int main(void)
{
	Suite *s = suite_create("common");
	TCase *t = tcase_create("common");

	tcase_add_test(t, test_range_text);
	tcase_add_test(t, test_range_cover);
	tcase_add_test(t, test_selector);
	tcase_add_test(t, test_sockaddr);
	tcase_add_test(t, test_reader);
	tcase_add_test(t, test_writer);
	tcase_add_test(t, test_hex);
	tcase_add_test(t, test_errors);
	tcase_add_test(t, test_log_line);
	tcase_add_test(t, test_paths);
	tcase_add_test(t, test_options);
	tcase_add_test(t, test_numbers);
	tcase_add_test(t, test_algorithms);
	suite_add_tcase(s, t);
	return run_suite(s);
}
