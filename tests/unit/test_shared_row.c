/* SAs as documents of the shared store: what is written is read back, what is wrong is named. */
#include <check.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/shared_row.h"
#include "iked/shared_wire.h"
#include "tests/unit/run_suite.h"
#include "tests/unit/sa_random.h"

#define ROUNDS 2000

static struct sa_random sa = {.state = 20260};

/* Names and identities by their content, the rest as it lies in memory. */
static void same_p1(const struct ike_p1_info *a, struct ike_p1_info *b)
{
	ck_assert_str_eq(a->rule, b->rule);
	ck_assert_str_eq(a->action, b->action);
	b->rule = a->rule;
	b->action = a->action;
	ck_assert_mem_eq(a, b, sizeof(*a));
}

static void same_p2(const struct ike_p2_info *a, struct ike_p2_info *b)
{
	ck_assert_str_eq(a->rule, b->rule);
	ck_assert_str_eq(a->action, b->action);
	ck_assert_str_eq(a->local_rule, b->local_rule);
	ck_assert_uint_eq(a->local_id.len, b->local_id.len);
	ck_assert_uint_eq(a->remote_id.len, b->remote_id.len);
	if (a->local_id.len)
		ck_assert_mem_eq(a->local_id.p, b->local_id.p, a->local_id.len);
	if (a->remote_id.len)
		ck_assert_mem_eq(a->remote_id.p, b->remote_id.p, a->remote_id.len);
	b->rule = a->rule;
	b->action = a->action;
	b->local_rule = a->local_rule;
	b->local_id = a->local_id;
	b->remote_id = a->remote_id;
	ck_assert_mem_eq(a, b, sizeof(*a));
}

/* The next one that is possible, of either phase. */
static char *draw(char kind, struct ike_p1_info *p1, struct ike_p2_info *p2)
{
	char *text = NULL;
	struct cs_err err = {0};
	int status;

	if (kind == 'K')
		sa_random_p1(&sa, p1);
	else
		sa_random_p2(&sa, p2);
	status = kind == 'K' ? ike_shared_put_p1(p1, &text, &err)
			     : ike_shared_put_p2(p2, &text, &err);
	ck_assert_msg(status == 0, "%s", err.text);
	return text;
}

START_TEST(round_trip)
{
	for (unsigned i = 0; i < ROUNDS; i++) {
		char kind = i % 2 ? 'K' : 'Y', *text;
		struct ike_p1_info p1;
		struct ike_p2_info p2;
		struct ike_shared_row row;
		struct cs_err err = {0};

		text = draw(kind, &p1, &p2);
		ck_assert_msg(ike_shared_get(kind, text, strlen(text), &row, &err) == 0,
			      "round %u: %s in %s", i, err.text, text);
		if (kind == 'K')
			same_p1(&p1, &row.p1);
		else
			same_p2(&p2, &row.p2);
		ike_shared_row_clear(&row);
		free(text);
	}
}
END_TEST

static void refused(char kind, json_t *document, const char *key, const char *how)
{
	char *text = json_dumps(document, 0), want[80];
	struct ike_shared_row row;
	struct cs_err err = {0};

	snprintf(want, sizeof(want), "%s is %s", key, how);
	ck_assert_int_eq(ike_shared_get(kind, text, strlen(text), &row, &err), CS_EPARSE);
	ck_assert_str_eq(err.text, want);
	free(text);
}

/* Each key in turn: missing, of another type, and out of its range. */
START_TEST(each_key_is_named)
{
	char kind = _i ? 'K' : 'Y';
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	char *text = draw(kind, &p1, &p2);
	json_t *whole = json_loads(text, 0, NULL), *value;
	char long_text[5001];
	const char *key;
	unsigned n = 0;

	memset(long_text, 'a', sizeof(long_text) - 1);
	long_text[sizeof(long_text) - 1] = '\0';

	json_object_foreach(whole, key, value)
	{
		json_t *d = json_deep_copy(whole);
		/* The key length has its meaning with its cipher only, which is what is named. */
		const char *named = strcmp(key, "key_bits") == 0 ? "cipher" : key;
		const char *how = strcmp(key, named) == 0 ? "missing" : "not understood";

		json_object_del(d, key);
		refused(kind, d, named, how);
		json_object_set_new(d, key, json_array());
		refused(kind, d, named, "not understood");
		json_object_set_new(d, key,
				    json_is_string(value)    ? json_string("no\tsuch")
				    : json_is_boolean(value) ? json_integer(1)
							     : json_integer(-1));
		if (strcmp(key, "rule") != 0 && strcmp(key, "action") != 0 &&
		    strcmp(key, "local_rule") != 0 && strcmp(key, "user") != 0 &&
		    (kind == 'Y' ||
		     (strcmp(key, "local_id") != 0 && strcmp(key, "remote_id") != 0)))
			refused(kind, d, named, "not understood");
		if (json_is_string(value)) { /* longer than any of them may be */
			json_object_set_new(d, key, json_string(long_text));
			refused(kind, d, named, "not understood");
		}
		json_decref(d);
		n++;
	}
	ck_assert_uint_gt(n, 38);
	json_decref(whole);
	free(text);
}
END_TEST

/* A newer host's keys are its own affair. */
START_TEST(unknown_keys)
{
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	char *text = draw('K', &p1, &p2), *more;
	json_t *d = json_loads(text, 0, NULL);
	struct ike_shared_row row;

	json_object_set_new(d, "quantum_group", json_pack("{s:[i,i]}", "x", 1, 2));
	more = json_dumps(d, 0);
	ck_assert_int_eq(ike_shared_get('K', more, strlen(more), &row, NULL), 0);
	same_p1(&p1, &row.p1);
	ike_shared_row_clear(&row);
	json_decref(d);
	free(text);
	free(more);
}
END_TEST

START_TEST(not_documents)
{
	static const char *const bad[] = {"",     "[]", "{",
					  "null", "{}", "{\"tunnel\":1,\"tunnel\":1}"};
	struct ike_shared_row row;
	struct cs_err err;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		ck_assert_int_eq(ike_shared_get('Y', bad[i], strlen(bad[i]), &row, &err),
				 CS_EPARSE);
	ck_assert_str_eq(err.text, "the attributes are no JSON object");
}
END_TEST

/* What only several keys together show. */
START_TEST(contradictions)
{
	struct ike_p1_info p1;
	struct ike_p2_info p2;
	char *text;
	json_t *d;

	do {
		text = draw('Y', &p1, &p2);
		if (p2.suite.protocol != POL_AH || p2.local.family != AF_INET) {
			free(text);
			text = NULL;
		}
	} while (!text);
	d = json_loads(text, 0, NULL);
	json_object_set_new(d, "remote_addr", json_string("2001:db8::1"));
	refused('Y', d, "remote_addr", "not understood");
	json_object_set_new(d, "remote_addr", json_string("192.0.2.1"));
	json_object_set_new(d, "vpn_expires", json_integer(INT64_MAX)); /* when the clock is set */
	refused('Y', d, "vpn_expires", "not understood");
	json_object_set_new(d, "vpn_expires", json_integer(IKE_WALL_MAX));
	json_object_set_new(d, "integ", json_integer(0));
	refused('Y', d, "integ", "not understood");
	json_object_set_new(d, "protocol", json_integer(POL_ESP));
	refused('Y', d, "cipher", "not understood");
	json_decref(d);
	free(text);
}
END_TEST

/* ---- messages ---- */

static void random_message(struct ike_shared_message *m, char *text)
{
	memset(m, 0, sizeof(*m));
	m->kind = (enum ike_shared_kind)(1 + sa_draw(&sa) % IKE_SH_LAST);
	m->serial = sa_draw(&sa);
	m->epoch = sa_draw(&sa);
	m->seen = sa_draw(&sa);
	m->address = cs_addr_from_bytes(AF_INET6, (const uint8_t *)"0123456789abcdef");
	memset(m->host, 'h', 1 + sa_draw(&sa) % (IKE_SHARED_HOST - 1));
	m->sa = sa_draw(&sa) % 2 ? 'K' : 'Y';
	m->tunnel = (uint32_t)sa_draw(&sa);
	m->generation = (uint32_t)sa_draw(&sa);
	m->parent = (uint32_t)sa_draw(&sa);
	m->used = (int64_t)(sa_draw(&sa) >> 1);
	m->expires = (int64_t)(sa_draw(&sa) >> 1);
	m->status = -(int)(sa_draw(&sa) % 16);
	m->flag = sa_draw(&sa) & 1;
	m->is_seen = sa_draw(&sa) & 1;
	m->text.len = m->kind == IKE_SH_POLICY ? 2 * POL_CONTENT_LEN : sa_draw(&sa) % 900;
	memset(text, 'a', m->text.len);
	m->text.p = (const uint8_t *)text;
}

/* Each message comes as it went, and none that is cut short or longer does. */
START_TEST(messages)
{
	uint8_t packet[IKE_SHARED_MESSAGE_MAX + 1];
	char text[1000];
	size_t len;

	for (unsigned i = 0; i < 500; i++) {
		struct ike_shared_message m, back;

		random_message(&m, text);
		ck_assert_int_eq(ike_shared_put_message(&m, packet, sizeof(packet) - 1, &len, NULL),
				 0);
		ck_assert_int_eq(ike_shared_get_message(packet, len, &back, NULL), 0);
		ck_assert_uint_eq(back.text.len, m.text.len);
		ck_assert_mem_eq(back.text.p, m.text.p, m.text.len);
		back.text.p = m.text.p;
		ck_assert_mem_eq(&m, &back, sizeof(m));
		packet[len] = 0;
		ck_assert_int_eq(ike_shared_get_message(packet, len + 1, &back, NULL), CS_EPARSE);
		for (size_t cut = 0; cut < len; cut++) {
			uint8_t *exact = malloc(cut ? cut : 1); /* so that ASan sees its end */

			memcpy(exact, packet, cut);
			ck_assert_int_eq(ike_shared_get_message(exact, cut, &back, NULL),
					 CS_EPARSE);
			free(exact);
		}
	}
}
END_TEST

int main(void)
{
	Suite *s = suite_create("shared row");
	TCase *t = tcase_create("documents");

	tcase_set_timeout(t, 60);
	tcase_add_test(t, round_trip);
	tcase_add_loop_test(t, each_key_is_named, 0, 2);
	tcase_add_test(t, unknown_keys);
	tcase_add_test(t, not_documents);
	tcase_add_test(t, contradictions);
	tcase_add_test(t, messages);
	suite_add_tcase(s, t);
	return run_suite(s);
}
