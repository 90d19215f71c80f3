/*
 * Rows of iked's outbox as SMF records.  The payloads are those that iked writes (iked/json.c), the
 * records are read back by the decoder.
 */
#include <check.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "iked/engine.h"
#include "iked/json.h"
#include "tests/unit/run_suite.h"
#include "trmd/message.h"
#include "trmd/record.h"
#include "trmd/record_values.h"

#define WHEN INT64_C(1768472431) /* 2026-01-15T10:20:31Z */

static const struct trmd_origin origin = {
	.sid = "LNX1",
	.system = "LNX1",
	.release = "0.1.0",
	.user = "CSIPSEC-",
	.stack = "TCPIP",
	.process = 42,
};
static const struct trmd_wanted all = {true, true};

/* ---- SAs as iked has them ---- */

static struct ike_p1_info p1;
static struct ike_p2_info p2;
static struct xf_counters in, out;

static void make_p1(void)
{
	p1 = (struct ike_p1_info){
		.tunnel = 12,
		.generation = 3,
		.state = IKE_P1_DONE,
		.initiator = true,
		.mode = POL_MODE_MAIN,
		.rule = "Branch~1",
		.action = "Gold~IKE",
		.local_id_type = POL_ID_IPV4_ADDR,
		.remote_id_type = POL_ID_FQDN,
		.local_id = "192.0.2.1",
		.remote_id = "branch.example",
		.suite = {.cipher = cs_cipher_by_keyword("AES_CBC", 256),
			  .hash = cs_hash_by_keyword("SHA2_256"),
			  .group = cs_group_by_number(14),
			  .auth = POL_AUTH_RSA},
		.icookie = {0x11, 0x22, 0x33, 0x44, 0x55, 0x66, 0x77, 0x88},
		.rcookie = {0x99, 0xaa, 0xbb, 0xcc, 0xdd, 0xee, 0xff, 0x01},
		.established = WHEN - 5,
		.refresh = WHEN + 100,
		.expires = WHEN + 200,
		.lifetime = 28800,
		.lifesize = 4096,
		.bytes = 777,
		.n_p2 = 5,
		.n_p2_under_way = 3,
		.counts = {.local_up = 21,
			   .local_failed = 22,
			   .remote_up = 23,
			   .remote_failed = 24,
			   .retransmitted = 25,
			   .repeated = 26,
			   .malformed = 27,
			   .unauthentic = 28},
		.allow_nat = true,
		.natt_level = 3,
		.nat_local = true,
		.nat_remote = true,
		.nat_napt = true,
	};
	cs_addr_parse("192.0.2.1", &p1.local.addr, NULL);
	cs_addr_parse("198.51.100.7", &p1.remote.addr, NULL);
	p1.remote.port = 61123;
}

static void make_p2(void)
{
	p2 = (struct ike_p2_info){
		.tunnel = 7,
		.parent = 12,
		.generation = 2,
		.state = IKE_P2_DONE,
		.activation = IKE_ACT_ONDEMAND,
		.rule = "Data",
		.action = "Silver~VPN",
		.local_rule = "Activate",
		.suite = {.protocol = POL_ESP,
			  .cipher = cs_cipher_by_keyword("AES_CBC", 128),
			  .integ = cs_integ_by_keyword("HMAC_SHA2_256_128"),
			  .encap = POL_TUNNEL,
			  .udp = IKE_UDP_DRAFT},
		.pfs_group = 19,
		.message_id = 0x8badf00d,
		.spi_in = 0xc0de0001,
		.spi_out = 0xbeef0002,
		.installed = WHEN - 60,
		.refresh = WHEN + 500,
		.expires = WHEN + 900,
		.vpn_expires = WHEN + 9000,
		.lifetime = 14400,
		.lifesize = 512,
		.nat_remote = true,
		.nat_napt = true,
		.encap_remote = 61123,
	};
	cs_addr_parse("192.0.2.1", &p2.local, NULL);
	cs_addr_parse("198.51.100.7", &p2.remote, NULL);
	cs_addr_parse("10.0.0.5", &p2.oa[0], NULL);
	cs_range_parse("192.0.2.64/26", &p2.selector.local, NULL);
	cs_range_parse("203.0.113.1-203.0.113.9", &p2.selector.remote, NULL);
	p2.selector.proto = 6;
	p2.selector.remote_port = 443;
	in = (struct xf_counters){.packets = 11, .bytes = 4096, .replay_errors = 3};
	out = (struct xf_counters){.packets = 12, .bytes = 2048, .integrity_failures = 4};
}

static void setup(void)
{
	make_p1();
	make_p2();
}

/* ---- from there to records ---- */

static struct smf_record records[TRMD_RECORDS_MAX];
static uint8_t bytes[TRMD_ROW_MAX];
static struct trmd_change change;

static void decode(unsigned n, size_t len)
{
	const uint8_t *p = bytes;
	struct cs_err err;

	for (unsigned i = 0; i < n; i++) {
		size_t one = (size_t)(p[0] << 8 | p[1]);

		ck_assert_msg(smf_decode(p, one, &records[i], &err) == 0, "%s", err.text);
		p += one;
	}
	ck_assert_uint_eq((size_t)(p - bytes), len);
}

static int convert(const char *kind, const char *payload, struct trmd_wanted wanted, unsigned *n,
		   struct cs_err *err)
{
	struct cs_writer w = cs_writer_of(bytes, sizeof(bytes));
	int rc = trmd_change_of(5, kind, WHEN, payload, &change, err);

	*n = 0;
	if (rc < 0)
		return rc;
	rc = trmd_records(&origin, wanted, &change, &w, n, err);
	if (rc == 0)
		decode(*n, w.len);
	else
		ck_assert_uint_eq(w.len, 0);
	return rc;
}

static bool in_doubt; /* of the records to come */

static char *payload_of(enum ike_record_kind kind, const char *reason, bool counters)
{
	bool phase1 = kind == IKE_REC_P1_UP || kind == IKE_REC_P1_DOWN;
	const struct ike_record r = {
		.kind = kind,
		.when = {1, WHEN},
		.p1 = &p1,
		.p2 = phase1 ? NULL : &p2,
		.in = counters ? &in : NULL,
		.out = counters ? &out : NULL,
		.reason = reason,
		.in_doubt = in_doubt,
	};
	json_t *o = ike_json_record(&r);
	char *text = json_dumps(o, JSON_COMPACT);

	json_decref(o);
	ck_assert_ptr_nonnull(text);
	return text;
}

/* All records of what iked would write now; their number. */
static unsigned record(enum ike_record_kind kind, const char *reason, bool counters)
{
	char *payload = payload_of(kind, reason, counters);
	struct cs_err err;
	unsigned n;

	trmd_change_free(&change);
	if (convert(ike_record_name(kind), payload, all, &n, &err) < 0)
		ck_abort_msg("%s", err.text);
	free(payload);
	return n;
}

static void done(void)
{
	trmd_change_free(&change);
}

static void is_number(const struct smf_record *r, enum smf_field field, uint64_t expected)
{
	uint64_t value = 0;

	ck_assert_msg(smf_get_u64(r, field, &value), "%s is not there", smf_rows[field].name);
	ck_assert_msg(value == expected, "%s is %llu, not %llu", smf_rows[field].name,
		      (unsigned long long)value, (unsigned long long)expected);
}

static void is_text(const struct smf_record *r, enum smf_field field, const char *expected)
{
	char text[4096];

	smf_get_text(r, field, SMF_IBM1047, text, sizeof(text));
	ck_assert_msg(strcmp(text, expected) == 0, "%s is '%s', not '%s'", smf_rows[field].name,
		      text, expected);
}

static void is_addr(const struct smf_record *r, enum smf_field field, const char *expected)
{
	char text[CS_ADDR_STRLEN];
	struct cs_addr addr;

	ck_assert(smf_get_addr(r, field, &addr));
	ck_assert_msg(strcmp(cs_addr_text(&addr, text), expected) == 0, "%s is %s, not %s",
		      smf_rows[field].name, text, expected);
}

static void is_event(const struct smf_record *r, unsigned subtype, const char *event)
{
	int64_t us;

	ck_assert_uint_eq(r->layout->subtype, subtype);
	ck_assert_str_eq(smf_event(r), event);
	ck_assert(smf_get_time(r, &us));
	ck_assert_int_eq(us, WHEN * 1000000);
	is_text(r, SMF_HDSID, "LNX1");
	is_text(r, SMF_TI_SYS_NAME, "LNX1");
	is_text(r, SMF_TI_STACK, "TCPIP");
	is_text(r, SMF_TI_RELEASE_ID, "0.1.0");
	is_text(r, SMF_TI_AS_NAME, subtype < 77 ? "IKED" : "TCPIP");
	is_text(r, SMF_TI_USER_ID, subtype < 77 ? "CSIPSEC-" : "");
	is_number(r, SMF_TI_ASID, 42);
}

/* ---- phase 1 ---- */

START_TEST(ike_tunnel_up)
{
	const struct smf_record *r = records;

	ck_assert_uint_eq(record(IKE_REC_P1_UP, "", false), 1);
	is_event(r, 73, "ike_tunnel_refreshed");
	is_number(r, SMF_IKE_TUN_FLAGS, 0x78000000); /* allowed, both NATs, NAPT; not: may begin */
	is_number(r, SMF_IKE_TUN_MAJOR_VER, 1);
	is_number(r, SMF_IKE_TUN_MINOR_VER, 0);
	is_number(r, SMF_IKE_TUN_ROLE, 1);
	is_number(r, SMF_IKE_TUN_STATE, 4);
	is_text(r, SMF_IKE_TUN_ID, "K12");
	is_text(r, SMF_IKE_TUN_KEY_EXCH_RULE, "Branch~1");
	is_text(r, SMF_IKE_TUN_KEY_EXCH_ACTION, "Gold~IKE");
	is_number(r, SMF_IKE_TUN_GENERATION, 3);
	is_number(r, SMF_IKE_TUN_EXT_STATE, 8);
	is_number(r, SMF_IKE_TUN_EXCH_MODE, 2);
	is_number(r, SMF_IKE_TUN_NATT_LEVEL, 2);
	is_number(r, SMF_IKE_TUN_DH_GROUP, 14);
	is_addr(r, SMF_IKE_TUN_LCL_ENDPT, "192.0.2.1");
	is_addr(r, SMF_IKE_TUN_RMT_ENDPT, "198.51.100.7");
	is_number(r, SMF_IKE_TUN_RMT_UDP_PORT, 61123);
	is_number(r, SMF_IKE_TUN_LCL_ID_TYPE, 1);
	is_number(r, SMF_IKE_TUN_RMT_ID_TYPE, 2);
	is_number(r, SMF_IKE_TUN_LCL_AUTH_METH, 3);
	is_number(r, SMF_IKE_TUN_RMT_AUTH_METH, 3);
	is_number(r, SMF_IKE_TUN_AUTH_ALG, 7);
	is_number(r, SMF_IKE_TUN_ENCRYPT_ALG, 12);
	is_number(r, SMF_IKE_TUN_PRF, 5);
	is_number(r, SMF_IKE_TUN_ENCRYPT_KEY_LEN, 256);
	is_number(r, SMF_IKE_TUN_I_COOKIE, 0x1122334455667788);
	is_number(r, SMF_IKE_TUN_R_COOKIE, 0x99aabbccddeeff01);
	is_number(r, SMF_IKE_TUN_LIFESIZE, 4096);
	is_number(r, SMF_IKE_TUN_LIFETIME, 28800);
	is_number(r, SMF_IKE_TUN_LIFE_REFRESH, WHEN + 100);
	is_number(r, SMF_IKE_TUN_LIFE_EXPIRES, WHEN + 200);
	is_number(r, SMF_IKE_TUN_START_TIME, WHEN - 5);
	is_number(r, SMF_IKE_TUN_REAUTH_TIME, WHEN + 100);
	is_text(r, SMF_LCL_ID, "192.0.2.1");
	is_text(r, SMF_RMT_ID, "branch.example");
}
END_TEST

START_TEST(ike_tunnel_other_values)
{
	const struct smf_record *r = records;

	p1.generation = 1;
	p1.initiator = false;
	p1.mode = POL_MODE_AGGRESSIVE;
	p1.allow_nat = p1.nat_local = p1.nat_remote = p1.nat_napt = false;
	p1.natt_level = 0;
	p1.suite.auth = POL_AUTH_PSK;
	p1.suite.cipher = cs_cipher_by_keyword("3DES", 0);
	p1.suite.hash = cs_hash_by_keyword("MD5");
	p1.suite.group = cs_group_by_number(2);
	p1.remote_id_type = POL_ID_DER_ASN1_DN;
	p1.remote.port = 500;
	cs_addr_parse("2001:db8::1", &p1.local.addr, NULL);
	cs_addr_parse("2001:db8::2", &p1.remote.addr, NULL);
	ck_assert_uint_eq(record(IKE_REC_P1_UP, "", false), 1);
	is_event(r, 73, "ike_tunnel_activated");
	is_number(r, SMF_IKE_TUN_FLAGS, 0x84000000); /* IPv6, may begin */
	is_addr(r, SMF_IKE_TUN_RMT_ENDPT, "2001:db8::2");
	is_number(r, SMF_IKE_TUN_ROLE, 2);
	is_number(r, SMF_IKE_TUN_EXCH_MODE, 4);
	is_number(r, SMF_IKE_TUN_NATT_LEVEL, 0);
	is_number(r, SMF_IKE_TUN_LCL_AUTH_METH, 1);
	is_number(r, SMF_IKE_TUN_ENCRYPT_ALG, 3);
	is_number(r, SMF_IKE_TUN_AUTH_ALG, 38);
	is_number(r, SMF_IKE_TUN_PRF, 1);
	is_number(r, SMF_IKE_TUN_DH_GROUP, 2);
	is_number(r, SMF_IKE_TUN_RMT_ID_TYPE, 9);
}
END_TEST

START_TEST(ike_tunnel_down)
{
	const struct smf_record *r = records;

	p1.state = IKE_P1_EXPIRED;
	ck_assert_uint_eq(record(IKE_REC_P1_DOWN, "its lifetime is over", false), 1);
	is_event(r, 74, "ike_tunnel_ended");
	is_text(r, SMF_IKE_TUN_ID, "K12");
	is_number(r, SMF_IKE_TUN_STATE, 5);
	is_number(r, SMF_IKE_TUN_EXT_STATE, 9);
	is_number(r, SMF_IKE_TUN_START_TIME, WHEN - 5);
	is_number(r, SMF_IKE_TUN_BYTES, 777);
	is_number(r, SMF_IKE_TUN_ACTIVE_DYN, 2);
	is_number(r, SMF_IKE_TUN_IN_PROG_DYN, 3);
	is_number(r, SMF_IKE_TUN_P2_LCL_OK, 21);
	is_number(r, SMF_IKE_TUN_P2_LCL_FAIL, 22);
	is_number(r, SMF_IKE_TUN_P2_RMT_OK, 23);
	is_number(r, SMF_IKE_TUN_P2_RMT_FAIL, 24);
	is_number(r, SMF_IKE_TUN_RETRANS, 25);
	is_number(r, SMF_IKE_TUN_REPLAYS, 26);
	is_number(r, SMF_IKE_TUN_INVALID, 27);
	is_number(r, SMF_IKE_TUN_AUTH_FAIL, 28);
	is_number(r, SMF_IKE_TUN_END_TIME, WHEN);
	is_number(r, SMF_IKE_TUN_END_REASON, TRMD_END_LIFETIME);
	is_text(r, SMF_RMT_ID, "branch.example");
}
END_TEST

/* ---- phase 2 ---- */

static void is_pair(const struct smf_record *r, bool stack)
{
	is_text(r, SMF_IP_TUN_ID, "Y7");
	is_text(r, SMF_IP_TUN_VPN_ACTION, "Silver~VPN");
	is_number(r, SMF_IP_TUN_FLAGS, 0);
	is_number(r, SMF_IP_TUN_TYPE, stack ? 2 : 3);
	is_addr(r, SMF_IP_TUN_LCL_ENDPT, "192.0.2.1");
	is_addr(r, SMF_IP_TUN_RMT_ENDPT, "198.51.100.7");
	is_number(r, SMF_IP_TUN_ENCAP_MODE, 1);
	is_number(r, SMF_IP_TUN_AUTH_PROTO, 50);
	is_number(r, SMF_IP_TUN_AUTH_ALG, 7);
	is_number(r, SMF_IP_TUN_ENCRYPT_ALG, 12);
	is_number(r, SMF_IP_TUN_INB_AUTH_SPI, 0xc0de0001);
	is_number(r, SMF_IP_TUN_OUTB_AUTH_SPI, 0xbeef0002);
	is_number(r, SMF_IP_TUN_INB_ENCRYPT_SPI, 0xc0de0001);
	is_number(r, SMF_IP_TUN_OUTB_ENCRYPT_SPI, 0xbeef0002);
	is_number(r, SMF_IP_TUN_START_TIME, WHEN - 60);
	is_number(r, SMF_IP_TUN_ENCRYPT_KEY_LEN, 128);
	/* UDP, NAT and NAPT there, gateway, DF and DSCP cleared; not: may begin */
	is_number(r, SMF_IP_DYN_FLAGS, 0xb8600000);
	is_number(r, SMF_IP_DYN_ACT_METHOD, 3);
	is_number(r, SMF_IP_DYN_IKE_MAJOR_VER, 1);
	is_number(r, SMF_IP_DYN_DH_GROUP, 19);
	is_number(r, SMF_IP_DYN_GENERATION, 2);
	is_number(r, SMF_IP_DYN_PROTO, 6);
	is_number(r, SMF_IP_DYN_ICMP_TYPE, 255);
	is_number(r, SMF_IP_DYN_ICMP_CODE, 255);
	is_text(r, SMF_IP_DYN_VPN_RULE, "Activate");
	is_text(r, SMF_IP_DYN_IKE_TUN_ID, "K12");
	is_addr(r, SMF_IP_DYN_SRC_ADDR, "192.0.2.64");
	is_addr(r, SMF_IP_DYN_SRC_ADDR_END, "192.0.2.127");
	is_addr(r, SMF_IP_DYN_DST_ADDR, "203.0.113.1");
	is_addr(r, SMF_IP_DYN_DST_ADDR_END, "203.0.113.9");
	is_number(r, SMF_IP_DYN_SRC_PORT, 0);
	is_number(r, SMF_IP_DYN_SRC_PORT_END, 65535);
	is_number(r, SMF_IP_DYN_DST_PORT, 443);
	is_number(r, SMF_IP_DYN_DST_PORT_END, 443);
	is_number(r, SMF_IP_DYN_RMT_UDP_PORT, 61123);
	is_number(r, SMF_IP_DYN_LIFESIZE, 512);
	is_number(r, SMF_IP_DYN_LIFETIME, 14400);
	is_number(r, SMF_IP_DYN_VPN_LIFE_EXPIRES, WHEN + 9000);
	is_number(r, SMF_IP_DYN_LIFE_REFRESH, WHEN + 500);
	is_number(r, SMF_IP_DYN_LIFE_EXPIRES, WHEN + 900);
}

static void is_ike_view(const struct smf_record *r)
{
	is_number(r, SMF_IP_DYN_IKE_MSG_ID, 0x8badf00d);
	is_number(r, SMF_IP_DYN_IKE_LCL_CLI_TYPE, 4);
	is_number(r, SMF_IP_DYN_IKE_RMT_CLI_TYPE, 7);
	is_addr(r, SMF_IP_DYN_IKE_SRC_NATOA, "10.0.0.5");
	is_text(r, SMF_LCL_CLIENT_ID, "192.0.2.64/26");
	is_text(r, SMF_RMT_CLIENT_ID, "203.0.113.1-203.0.113.9");
}

START_TEST(pair_up)
{
	ck_assert_uint_eq(record(IKE_REC_P2_UP, "", false), 2);
	is_event(&records[0], 77, "dynamic_tunnel_added");
	is_event(&records[1], 75, "dynamic_tunnel_refreshed");
	is_pair(&records[0], true);
	is_pair(&records[1], false);
	is_number(&records[0], SMF_IP_TUN_STATE, 4);
	is_number(&records[0], SMF_IP_DYN_ADD_FLAGS, 0x80000000); /* replaces */
	is_number(&records[0], SMF_IP_DYN_ADD_STCK, smf_tod_of(WHEN * 1000000));
	is_ike_view(&records[1]);
	is_number(&records[1], SMF_IP_TUN_STATE, 4);
	is_number(&records[1], SMF_IP_DYN_IKE_EXT_STATE, 8);
	is_number(&records[1], SMF_IP_DYN_IKE_END_TIME, 0);
	is_number(&records[1], SMF_IP_DYN_IKE_END_REASON, 0);
	p2.generation = 1;
	ck_assert_uint_eq(record(IKE_REC_P2_UP, "", false), 2);
	is_event(&records[1], 75, "dynamic_tunnel_activated");
	is_number(&records[0], SMF_IP_DYN_ADD_FLAGS, 0);
}
END_TEST

START_TEST(pair_down)
{
	const struct smf_record *stack = &records[1];

	ck_assert_uint_eq(record(IKE_REC_P2_DOWN, "a newer one has taken its place", true), 2);
	is_event(&records[0], 76, "dynamic_tunnel_ended");
	is_event(stack, 78, "dynamic_tunnel_removed");
	is_pair(&records[0], false);
	is_pair(stack, true);
	is_ike_view(&records[0]);
	is_number(&records[0], SMF_IP_DYN_IKE_END_TIME, WHEN);
	is_number(&records[0], SMF_IP_DYN_IKE_END_REASON, TRMD_END_REPLACED);
	is_number(stack, SMF_IP_DYN_STK_FLAGS, 0x80000000); /* a newer one is active */
	is_number(stack, SMF_IP_DYN_STK_INB_PKTS, 11);
	is_number(stack, SMF_IP_DYN_STK_OUTB_PKTS, 12);
	is_number(stack, SMF_IP_DYN_STK_INB_BYTES, 4096);
	is_number(stack, SMF_IP_DYN_STK_OUTB_BYTES, 2048);
	is_number(stack, SMF_IP_DYN_STK_CUR_LIFESIZE, 6);
	is_number(stack, SMF_IP_DYN_STK_REPLAYS, 3);
	is_number(stack, SMF_IP_DYN_STK_AUTH_FAIL, 4);
	is_number(stack, SMF_IP_DYN_STK_END_REASON, TRMD_END_REPLACED);
	is_number(stack, SMF_IP_DYN_STK_STCK, smf_tod_of(WHEN * 1000000));
}
END_TEST

/* Of an SA that died unseen the last counters are not known, which is not the same as none. */
START_TEST(pair_gone_unseen)
{
	ck_assert_uint_eq(record(IKE_REC_P2_DOWN, "iked started anew without it", false), 2);
	is_number(&records[0], SMF_IP_DYN_IKE_END_REASON, TRMD_END_RESTART);
	is_number(&records[1], SMF_IP_DYN_STK_END_REASON, TRMD_END_RESTART);
	is_number(&records[1], SMF_IP_DYN_STK_FLAGS, 0x10000000);
	is_number(&records[1], SMF_IP_DYN_STK_INB_BYTES, 0);
	ck_assert_uint_eq(record(IKE_REC_P2_DOWN, "its life size is used up", true), 2);
	is_number(&records[1], SMF_IP_DYN_STK_FLAGS, 0x20000000);
	ck_assert_uint_eq(record(IKE_REC_P2_DOWN, "its lifetime is over", true), 2);
	is_number(&records[1], SMF_IP_DYN_STK_FLAGS, 0x40000000);
}
END_TEST

/* Nobody knows whether the kernel had it, which both records say. */
START_TEST(pair_in_doubt)
{
	in_doubt = true;
	p2.generation = 1;
	ck_assert_uint_eq(record(IKE_REC_P2_UP, "", false), 2);
	is_number(&records[0], SMF_IP_DYN_ADD_FLAGS, 0x20000000);
	ck_assert_uint_eq(record(IKE_REC_P2_DOWN, "it was gone when iked started anew", false), 2);
	is_number(&records[1], SMF_IP_DYN_STK_FLAGS, 0x18000000);
	in_doubt = false;
}
END_TEST

START_TEST(pair_failed)
{
	const struct smf_record *r = records;

	p2.state = IKE_P2_KEP;
	p2.generation = 1;
	p2.installed = 0;
	ck_assert_uint_eq(record(IKE_REC_P2_FAILED, "the kernel said no", false), 1);
	is_event(r, 76, "dynamic_tunnel_ended");
	is_number(r, SMF_IP_TUN_STATE, 7);
	is_number(r, SMF_IP_TUN_START_TIME, 0);
	is_number(r, SMF_IP_DYN_IKE_EXT_STATE, 11);
	is_number(r, SMF_IP_DYN_IKE_END_TIME, WHEN);
	is_number(r, SMF_IP_DYN_IKE_END_REASON, TRMD_END_FAILED);
}
END_TEST

START_TEST(protocols)
{
	const struct smf_record *r = &records[1];

	/* AEAD: no algorithm of its own, and ESP's SPI for both */
	p2.suite.cipher = cs_cipher_by_keyword("AES_GCM_16", 256);
	p2.suite.integ = NULL;
	record(IKE_REC_P2_UP, "", false);
	is_number(r, SMF_IP_TUN_AUTH_PROTO, 50);
	is_number(r, SMF_IP_TUN_AUTH_ALG, 0);
	is_number(r, SMF_IP_TUN_ENCRYPT_ALG, 20);
	is_number(r, SMF_IP_TUN_INB_AUTH_SPI, 0xc0de0001);
	is_number(r, SMF_IP_TUN_OUTB_AUTH_SPI, 0xbeef0002);
	/* AH alone, in transport mode */
	p2.suite.cipher = NULL;
	p2.suite.protocol = POL_AH;
	p2.suite.encap = POL_TRANSPORT;
	p2.suite.integ = cs_integ_by_keyword("HMAC_SHA1");
	record(IKE_REC_P2_UP, "", false);
	is_number(r, SMF_IP_TUN_ENCAP_MODE, 2);
	is_number(r, SMF_IP_TUN_AUTH_PROTO, 51);
	is_number(r, SMF_IP_TUN_AUTH_ALG, 39);
	is_number(r, SMF_IP_TUN_ENCRYPT_ALG, 0);
	is_number(r, SMF_IP_TUN_INB_AUTH_SPI, 0xc0de0001);
	is_number(r, SMF_IP_TUN_INB_ENCRYPT_SPI, 0);
	is_number(r, SMF_IP_DYN_FLAGS, 0xb8000000); /* nothing is cleared */
	/* ESP inside AH */
	p2.suite.protocol = POL_ESP;
	p2.suite.cipher = cs_cipher_by_keyword("AES_CBC", 256);
	p2.suite.ah = cs_integ_by_keyword("HMAC_SHA2_512_256");
	p2.ah_in = 0xa1;
	p2.ah_out = 0xa2;
	record(IKE_REC_P2_UP, "", false);
	is_number(r, SMF_IP_TUN_AUTH_PROTO, 51);
	is_number(r, SMF_IP_TUN_AUTH_ALG, 14);
	is_number(r, SMF_IP_TUN_INB_AUTH_SPI, 0xa1);
	is_number(r, SMF_IP_TUN_OUTB_AUTH_SPI, 0xa2);
	is_number(r, SMF_IP_TUN_INB_ENCRYPT_SPI, 0xc0de0001);
	is_number(r, SMF_IP_TUN_ENCRYPT_KEY_LEN, 256);
}
END_TEST

/* One record has addresses of one family. */
START_TEST(two_families)
{
	const struct smf_record *r = &records[1];

	cs_range_parse("2001:db8::1-2001:db8::9", &p2.selector.remote, NULL);
	ck_assert_uint_eq(record(IKE_REC_P2_UP, "", false), 2);
	is_number(r, SMF_IP_TUN_FLAGS, 0);
	is_addr(r, SMF_IP_DYN_DST_ADDR, "0.0.0.0");
	is_text(r, SMF_RMT_CLIENT_ID, "2001:db8::1-2001:db8::9");
}
END_TEST

START_TEST(odd_texts)
{
	strcpy(p1.remote_id, "a\nb\x7f \xc2\x85 c\xc3\xa4");
	p1.bytes = UINT64_C(1) << 40;
	p1.lifesize = UINT32_MAX;
	ck_assert_uint_eq(record(IKE_REC_P1_UP, "", false), 1);
	is_text(records, SMF_RMT_ID, "a?b? ?? c\xc3\xa4");
	is_number(records, SMF_IKE_TUN_LIFESIZE, UINT32_MAX);
}
END_TEST

/* ---- which are written ---- */

static unsigned number_of(enum ike_record_kind kind, struct trmd_wanted wanted)
{
	char *payload = payload_of(kind, "", true);
	struct cs_err err;
	unsigned n;

	trmd_change_free(&change);
	if (convert(ike_record_name(kind), payload, wanted, &n, &err) < 0)
		ck_abort_msg("%s", err.text);
	free(payload);
	return n;
}

START_TEST(selection)
{
	const struct trmd_wanted ike = {true, false}, dyn = {false, true}, none = {false, false};

	ck_assert_uint_eq(number_of(IKE_REC_P1_UP, ike), 1);
	ck_assert_uint_eq(number_of(IKE_REC_P2_UP, ike), 0);
	ck_assert_uint_eq(number_of(IKE_REC_P1_DOWN, dyn), 0);
	ck_assert_uint_eq(number_of(IKE_REC_P2_DOWN, dyn), 2);
	ck_assert_uint_eq(number_of(IKE_REC_P2_FAILED, dyn), 1);
	ck_assert_uint_eq(number_of(IKE_REC_P1_UP, none), 0);
	ck_assert_uint_eq(number_of(IKE_REC_P2_UP, none), 0);
}
END_TEST

/* ---- what is no row of iked's ---- */

START_TEST(bad_rows)
{
	static const struct {
		const char *kind, *payload, *part;
	} bad[] = {
		{"P3_UP", "{}", "no kind"},
		{"P1_UP", "", "no JSON object"},
		{"P1_UP", "[1]", "no JSON object"},
		{"P1_UP", "{\"IKETunnel\":", "no JSON object"},
		{"P1_UP", "{}", "no IKETunnel"},
		{"P1_UP", "{\"IKETunnel\":7}", "no IKETunnel"},
		{"P2_UP", "{\"IKETunnel\":{}}", "no DynamicTunnel"},
		{"P1_UP", "{\"IKETunnel\":{\"TunnelID\":7}}", "TunnelID"},
		{"P1_UP", "{\"IKETunnel\":{\"Generation\":\"x\"}}", "Generation"},
		{"P1_UP", "{\"IKETunnel\":{\"AllowNat\":1}}", "AllowNat"},
		{"P1_UP", "{\"IKETunnel\":{\"Lifetime\":true}}", "Lifetime"},
		{"P1_UP", "{\"IKETunnel\":{\"LocalEndPoint\":\"here\"}}", "LocalEndPoint"},
		{"P1_UP", "{\"IKETunnel\":{\"InitiatorCookie\":\"0x11\"}}", "InitiatorCookie"},
		{"P1_UP", "{\"IKETunnel\":{\"InitiatorCookie\":\"1122334455667788\"}}",
		 "InitiatorCookie"},
		{"P2_UP", "{\"DynamicTunnel\":{\"LocalPort\":70000}}", "LocalPort"},
		{"P2_UP", "{\"DynamicTunnel\":{\"LocalAddressBase\":\"x\"}}", "LocalAddressBase"},
		{"P2_UP",
		 "{\"DynamicTunnel\":{\"LocalAddressBase\":\"1.2.3.4\",\"LocalAddressPrefix\":33}}",
		 "LocalAddressPrefix"},
		{"P2_UP",
		 "{\"DynamicTunnel\":{\"RemoteAddressBase\":\"1.2.3.4\","
		 "\"RemoteAddressRange\":\"z\"}}",
		 "RemoteAddressRange"},
	};
	struct cs_err err;
	unsigned n;

	for (unsigned i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		ck_assert_msg(convert(bad[i].kind, bad[i].payload, all, &n, &err) == CS_EPARSE,
			      "%s", bad[i].payload);
		ck_assert_msg(strstr(err.text, bad[i].part) != NULL, "%s: %s", bad[i].payload,
			      err.text);
		trmd_change_free(&change);
	}
	/* Little is known, but nothing is wrong. */
	ck_assert_int_eq(convert("P2_DOWN", "{\"DynamicTunnel\":{}}", all, &n, &err), 0);
	ck_assert_uint_eq(n, 2);
}
END_TEST

/* Each byte of a payload changed: an error or records, never more. */
START_TEST(mutations)
{
	char *payload = payload_of(IKE_REC_P2_DOWN, "its lifetime is over", true);
	static const char other[] = {'"', '9', '\\', '\xff'};
	struct cs_err err;
	unsigned n, good = 0;

	for (char *p = payload; *p; p++) {
		char was = *p;

		for (unsigned i = 0; i < sizeof(other); i++) {
			*p = other[i];
			good += convert("P2_DOWN", payload, all, &n, &err) == 0;
			trmd_change_free(&change);
		}
		*p = was;
	}
	ck_assert_uint_gt(good, 500);
	free(payload);
}
END_TEST

/* ---- reasons ---- */

/* All of iked's sources in one text. */
static char *iked_sources(void)
{
	FILE *f = popen("cat " TESTDATA "/../iked/*.c " TESTDATA "/../iked/*.h", "r");
	size_t cap = 8u << 20, n;
	char *text = malloc(cap);

	ck_assert(f && text);
	n = fread(text, 1, cap - 1, f);
	ck_assert_int_eq(pclose(f), 0);
	text[n] = '\0';
	return text;
}

/* A sentence that was rewritten there must be known here. */
START_TEST(reasons_are_iked_s)
{
	char *text = iked_sources();

	for (const struct trmd_end_row *row = trmd_ends; row->part; row++)
		ck_assert_msg(strstr(text, row->part) != NULL, "iked says '%s' nowhere", row->part);
	free(text);
	ck_assert_int_eq(trmd_end_of("no answer to 6 questions whether it is there"),
			 TRMD_END_DEAD);
	ck_assert_int_eq(trmd_end_of("the moon is full"), TRMD_END_UNKNOWN);
	ck_assert_int_eq(trmd_end_of(""), TRMD_END_UNKNOWN);
}
END_TEST

/* ---- messages ---- */

static char said[1024];
static enum cs_severity severity;
static unsigned times;

static void hear(void *arg, enum cs_severity s, const char *line)
{
	(void)arg;
	severity = s;
	times++;
	snprintf(said, sizeof(said), "%s", line);
}

static void says(enum ike_record_kind kind, const char *expected)
{
	record(kind, "", true);
	times = 0;
	said[0] = '\0';
	trmd_messages(&change, hear, NULL);
	ck_assert_str_eq(said, expected);
	ck_assert_uint_eq(times, expected[0] != 0);
}

START_TEST(messages)
{
	struct cs_err err;
	unsigned n;

	says(IKE_REC_P2_UP, "EZD0818I Tunnel added: 2026-01-15T10:20:31.000000Z vpnaction= "
			    "Silver~VPN tunnelID= Y7 AHSPI= 0 ESPSPI= 3235774465");
	ck_assert_int_eq(severity, CS_INFO);
	says(IKE_REC_P2_DOWN, "EZD0812I Tunnel deleted: 2026-01-15T10:20:31.000000Z vpnaction= "
			      "Silver~VPN tunnelID= Y7 AHSPI= 0 ESPSPI= 3235774465");
	says(IKE_REC_P1_DOWN,
	     "EZD1776I IKE version 1.0 Security Association 3 for tunnel K12 deleted");
	says(IKE_REC_P1_UP, "");
	says(IKE_REC_P2_FAILED, "");
	/* AH around ESP, then AH alone */
	p2.suite.ah = cs_integ_by_keyword("HMAC_SHA1");
	p2.ah_in = 17;
	says(IKE_REC_P2_UP, "EZD0818I Tunnel added: 2026-01-15T10:20:31.000000Z vpnaction= "
			    "Silver~VPN tunnelID= Y7 AHSPI= 17 ESPSPI= 3235774465");
	p2.suite.ah = NULL;
	p2.suite.cipher = NULL;
	p2.suite.protocol = POL_AH;
	p2.spi_in = 18;
	p2.action = "";
	says(IKE_REC_P2_UP, "EZD0818I Tunnel added: 2026-01-15T10:20:31.000000Z vpnaction= N/A "
			    "tunnelID= Y7 AHSPI= 18 ESPSPI= 0");
	trmd_change_free(&change);
	ck_assert_int_eq(convert("LOSS",
				 "{\"Event\":\"LOSS\",\"Records\":5,\"From\":1768472000,"
				 "\"To\":1768472431}",
				 all, &n, &err),
			 0);
	ck_assert_uint_eq(n, 0);
	trmd_messages(&change, hear, NULL);
	ck_assert_str_eq(said, "EZZ9325I TRMD Log records missing: 2026-01-15T10:20:31.000000Z "
			       "logtype= IKE logmissing= 5 from= 2026-01-15T10:13:20.000000Z");
	ck_assert_int_eq(severity, CS_ERROR);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("trmd_record");
	TCase *tc = tcase_create("record");

	tcase_add_checked_fixture(tc, setup, done);
	tcase_set_timeout(tc, 600);
	tcase_add_test(tc, ike_tunnel_up);
	tcase_add_test(tc, ike_tunnel_other_values);
	tcase_add_test(tc, ike_tunnel_down);
	tcase_add_test(tc, pair_up);
	tcase_add_test(tc, pair_down);
	tcase_add_test(tc, pair_gone_unseen);
	tcase_add_test(tc, pair_in_doubt);
	tcase_add_test(tc, pair_failed);
	tcase_add_test(tc, protocols);
	tcase_add_test(tc, two_families);
	tcase_add_test(tc, odd_texts);
	tcase_add_test(tc, selection);
	tcase_add_test(tc, bad_rows);
	tcase_add_test(tc, mutations);
	tcase_add_test(tc, reasons_are_iked_s);
	tcase_add_test(tc, messages);
	suite_add_tcase(s, tc);
	return run_suite(s);
}
